//! Rebuilds releases from tagged git sources in containers that have no network.
//!
//! The [`JavaBuilder`] implements [`build_spec::Builder`] for Maven and Gradle projects: it clones and freezes the source
//! ([`source`]), records a build against an endpoint that writes down every answer and replays it from that record
//! alone (`far_end`), and runs each build in a container of its own (`sandbox`) whose image is made here too
//! ([`images`]). The design is docs/REBUILD.md.
//!
//! Invariants:
//! - bollard and git2 are used in this crate and in no other; no command-line program of a container engine is run;
//! - a build has no network interface but loopback; the one socket that leads out of it answers file requests and
//!   nothing else, and a replay's answers come from the manifest alone;
//! - a build never receives a file of the release that it makes, nor of a sibling in its reactor;
//! - an image is known by our own digest (layer and canonical configuration), recomputed from what the engine holds
//!   before each use; a build tool is known by a SHA-512 in this repository, or is part of
//!   the image;
//! - every container carries a label with its owner; dropping the future of a build removes its container, and what
//!   a killed process left behind is removed by the next one ([`JavaBuilder::new`] sweeps);
//! - paths, archives, addresses and answers from outside become typed errors, never panics.
//!
//! What is not here: comparing files (`jar-compare`), voting and receipts, HTTP clients, the store. Not a general
//! task runner either: what a build can ask for is what [`build_spec::Specification`] can say.

pub mod config;
pub mod engine;
mod extra;
mod far_end;
pub mod images;
mod java_builder;
mod log;
pub mod maven;
mod published;
mod sandbox;
pub mod source;
mod tool;
mod wrapper;

pub use config::{JavaBuilderConfig, Limits, SourceMirror};
pub use engine::{Engine, EngineError};
pub use images::{
    BuiltImage, ForeignImage, ImageConfig, ImageError, ImageLock, ImageReference, LoadedImage, LockedFile, Recipe,
    build_image, differences, recipe, recipes, remake_image,
};
pub use java_builder::JavaBuilder;
pub use wrapper::{WRAPPER_PROPERTIES, with_wrapper};
