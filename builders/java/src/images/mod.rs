//! Builder images: recipes, baking, and the digest that the network knows an image by.
//!
//! An image is one layer, baked by `mmdebstrap` from a recipe in `builders/java/images`, and a configuration that
//! follows from the recipe. Its digest is ours: SHA-256 over a domain, the layer's SHA-256 and the canonical text of
//! the configuration; the engine's own ids take part in nothing. What a layer was made of is kept in a lock, from which
//! anybody can make it again.

pub(crate) mod archive;
mod bake;
mod config;
mod foreign;
mod lock;
mod recipe;
mod remake;

use std::path::PathBuf;

use pyrsia_digest::Sha256;

pub use bake::build_image;
pub use config::{ImageConfig, LoadedImage};
pub use foreign::{ForeignImage, ImageReference, ImageReferenceError};
pub use lock::{ImageLock, LockedFile, LockedPackage, LockedSuite, MAX_LOCK, MadeOf};
pub use recipe::{Recipe, recipe, recipes};
pub use remake::{differences, remake_image};

pub(crate) use config::LABEL_CONFIG;

use crate::engine::EngineError;

/// What a container is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Room {
    /// The engine's id of the image.
    pub(crate) engine_id: String,
    /// Where the JDK lies.
    pub(crate) java_home: String,
    /// JDKs that the build finds in its `toolchains.xml`: major version and folder.
    pub(crate) toolchains: Vec<(u32, String)>,
    /// Whether nobody has looked yet which JDK that is.
    pub(crate) is_foreign: bool,
}

/// An image that was baked and not yet loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltImage {
    /// The layer, an uncompressed tar; the caller keeps it (as a blob named by `layer_digest`).
    pub layer: PathBuf,
    /// SHA-256 of the layer.
    pub layer_digest: Sha256,
    /// Size of the layer in bytes.
    pub layer_size: u64,
    /// The configuration.
    pub config: ImageConfig,
    /// The image's digest.
    pub digest: Sha256,
    /// What it was made of.
    pub made_of: MadeOf,
}

/// An image cannot be baked or loaded.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A recipe file is not valid.
    #[error("image recipe {name} is not valid: {problem}")]
    Recipe {
        /// Name of the recipe.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// `mmdebstrap` is missing or cannot be started.
    #[error("mmdebstrap cannot be started (it is the Debian package of that name): {0}")]
    Start(#[source] std::io::Error),
    /// `mmdebstrap` failed.
    #[error("mmdebstrap ended with {status}: {tail}")]
    Bake {
        /// How it ended.
        status: String,
        /// Its last lines.
        tail: String,
    },
    /// What an image was made of cannot be told, or not be used.
    #[error("the lock of the image is not valid: {0}")]
    Lock(String),
    /// An image of others cannot be had, or not be built in.
    #[error("image {image} cannot be used: {problem}")]
    Foreign {
        /// The image as it was named.
        image: String,
        /// Why.
        problem: String,
    },
    /// A file cannot be read or written.
    #[error("{file} cannot be used")]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The engine took the archive but does not hold the image afterwards.
    #[error("the container engine took image {digest} but holds another one now")]
    NotLoaded {
        /// Digest of the image.
        digest: Sha256,
    },
}
