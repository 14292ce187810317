//! Builder images that this machine has made: layers as blobs, one small document per name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use async_trait::async_trait;
use java_builder::{Engine, ImageConfig, build_image, recipe};
use pyrsia_blobs::BlobStore;
use pyrsia_digest::Sha256;
use pyrsia_rebuilds::{Images, OwnImage};
use serde::{Deserialize, Serialize};

use crate::data_dir::write_atomically;

/// An image that has been made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KnownImage {
    /// The network's digest of the image.
    pub digest: Sha256,
    /// SHA-256 of the layer: the name of its blob.
    pub layer: Sha256,
    /// Size of the layer in bytes.
    pub layer_bytes: u64,
    /// What the engine is told about it.
    pub config: ImageConfig,
}

/// The folder of images.
pub struct ImageStore {
    dir: PathBuf,
    blobs: BlobStore,
    engine: Option<String>,
    loading: tokio::sync::Mutex<()>,
    making: tokio::sync::Mutex<()>,
}

impl ImageStore {
    /// Opens or makes the folder; `engine` is the socket of the container engine.
    pub fn open(dir: &Path, engine: Option<String>) -> anyhow::Result<Arc<Self>> {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let blobs = BlobStore::open(dir.join("blobs"))?;
        Ok(Arc::new(Self {
            dir: dir.to_owned(),
            blobs,
            engine,
            loading: tokio::sync::Mutex::default(),
            making: tokio::sync::Mutex::default(),
        }))
    }

    /// Images by name.
    pub fn list(&self) -> anyhow::Result<Vec<KnownImage>> {
        let mut images = Vec::new();
        for entry in std::fs::read_dir(&self.dir)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                images.push(read(&path)?);
            }
        }
        images.sort_by(|a: &KnownImage, b| a.config.name.cmp(&b.config.name));
        Ok(images)
    }

    /// The image of this name, if it has been made and its layer is there.
    pub fn find(&self, name: &str) -> anyhow::Result<Option<KnownImage>> {
        let path = self.dir.join(format!("{name}.json"));
        if !path.exists() {
            return Ok(None);
        }
        Ok(Some(read(&path)?).filter(|image| self.blobs.has(&image.layer)))
    }

    /// Makes an image from its recipe.
    pub async fn build(&self, name: &str, progress: &(dyn Fn(&str) + Send + Sync)) -> anyhow::Result<KnownImage> {
        let recipe = recipe(name)?.ok_or_else(|| anyhow!("there is no image recipe named {name}"))?;
        let scratch = tempfile::tempdir_in(&self.dir).context("cannot make a folder for the image")?;
        let built = build_image(&recipe, scratch.path(), progress).await?;
        let stored = self.blobs.import_file(&built.layer)?;
        anyhow::ensure!(stored.digests.sha256 == built.layer_digest, "the layer changed while it was stored");
        let image = KnownImage {
            digest: built.digest,
            layer: built.layer_digest,
            layer_bytes: built.layer_size,
            config: built.config,
        };
        let json = serde_json::to_vec_pretty(&image)?;
        write_atomically(&self.dir.join(format!("{name}.json")), &json)?;
        Ok(image)
    }

    /// Makes an image that a build needs and nobody has made yet; the second caller finds what the first has made.
    async fn make(&self, name: &str) -> Result<Sha256, String> {
        let _one = self.making.lock().await;
        if let Ok(Some(image)) = self.find(name) {
            return Ok(image.digest);
        }
        match self.build(name, &|line| tracing::debug!(line, "making a builder image")).await {
            Ok(image) => Ok(image.digest),
            Err(error) => Err(format!(
                "builder image {name} could not be made: {error:#}; see `pyrsia-maven images build {name}`"
            )),
        }
    }

    /// Makes the engine hold the image.
    pub async fn load(&self, image: &KnownImage) -> anyhow::Result<()> {
        // Two builds that start together must not both push the same half gigabyte.
        let _one = self.loading.lock().await;
        let engine = Engine::connect(self.engine.as_deref()).await?;
        if engine.image_present(&image.digest).await? {
            return Ok(());
        }
        let layer = self.blobs.get(&image.layer).ok_or_else(|| {
            anyhow!(
                "the layer of image {} is gone; run `pyrsia-maven images build {}`",
                image.digest,
                image.config.name
            )
        })?;
        let loaded = engine.load_image(&layer, &image.config).await?;
        anyhow::ensure!(loaded.digest == image.digest, "the engine holds another image than {}", image.digest);
        Ok(())
    }
}

fn read(path: &Path) -> anyhow::Result<KnownImage> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("{} describes no image", path.display()))
}

#[async_trait]
impl Images for ImageStore {
    async fn for_jdk(&self, jdk: u32) -> Result<Sha256, String> {
        let name = format!("jdk{jdk}");
        match self.find(&name) {
            Ok(Some(image)) => Ok(image.digest),
            Ok(None) => self.make(&name).await,
            Err(error) => Err(format!("{error:#}")),
        }
    }

    async fn ensure(&self, image: &Sha256) -> Result<(), String> {
        let known = self.list().map_err(|error| format!("{error:#}"))?;
        match known.into_iter().find(|known| known.digest == *image) {
            Some(known) => self.load(&known).await.map_err(|error| format!("{error:#}")),
            None => Err(format!("this node does not hold builder image {image}")),
        }
    }

    async fn made(&self) -> Result<Vec<OwnImage>, String> {
        let known = self.list().map_err(|error| format!("{error:#}"))?;
        Ok(known.into_iter().map(|known| OwnImage { image: known.digest, name: known.config.name }).collect())
    }
}
