//! The seam to what builds: containers in the shipped program, a script in the harness's own.
//!
//! The shipped program cannot select anything but [`docker`]: which one is used is an argument of [`crate::run`], not of the
//! command line or of the configuration.

use std::path::PathBuf;
use std::sync::Arc;

use build_spec::Builder;
use java_builder::{JavaBuilder, JavaBuilderConfig};
use pyrsia_ledger::SignedEntry;
use pyrsia_rebuilds::Images;
use tokio::sync::mpsc;

use crate::image_store::ImageStore;

/// Where a builder of this node works.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The node's data directory.
    pub data_dir: PathBuf,
    /// The folder of builder images.
    pub images_dir: PathBuf,
    /// Settings of the Java builder, with the source mirrors of the configuration.
    pub java: JavaBuilderConfig,
}

/// What a node builds with.
pub struct Builders {
    /// Resolves sources, records and replays.
    pub builder: Arc<dyn Builder>,
    /// The images that it builds in.
    pub images: Arc<dyn Images>,
    /// The same images as files, which peers may ask for.
    pub image_store: Option<Arc<ImageStore>>,
    /// Entries from outside of the node's own work, which it submits as they are; the shipped program has none. A bounded
    /// channel.
    pub entries: Option<mpsc::Receiver<SignedEntry>>,
}

/// Makes what a node builds with. Called once, when the node starts.
pub type MakeBuilders = fn(Surroundings) -> anyhow::Result<Builders>;

/// Containers.
pub fn docker(surroundings: Surroundings) -> anyhow::Result<Builders> {
    let images = ImageStore::open(&surroundings.images_dir, surroundings.java.engine.clone())?;
    Ok(Builders {
        builder: Arc::new(JavaBuilder::new(surroundings.java)),
        images: images.clone(),
        image_store: Some(images),
        entries: None,
    })
}
