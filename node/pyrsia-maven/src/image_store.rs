//! Builder images: layers, and what they were made of, as blobs; one small document per image.
//!
//! `NAME.json` is what this machine made itself, `DIGEST.json` what came from others, `DIGEST.remade` says what came out when
//! an image was made again here from its packages.

mod carry;
mod remake;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use anyhow::{Context as _, anyhow};
use async_trait::async_trait;
use java_builder::{Engine, ImageConfig, ImageLock, LockedFile, build_image, recipe};
use pyrsia_blobs::BlobStore;
use pyrsia_digest::Sha256;
use pyrsia_rebuilds::{Images, OwnImage};
use serde::{Deserialize, Serialize};

use crate::data_dir::write_atomically;

/// Largest layer that is taken from a peer, in bytes.
pub const MAX_LAYER: u64 = 4 << 30;

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
    /// SHA-256 of the lock, which names everything that it was made of: the name of its blob. None: an image that an older
    /// version of this program made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<Sha256>,
}

impl KnownImage {
    /// Refuses a description that its digest contradicts. (The digest covers neither the size nor the lock: the one is
    /// a limit for the bytes that come, the other is checked by making the image again.)
    fn check(&self) -> anyhow::Result<()> {
        let is_it = self.config.digest(&self.layer) == self.digest;
        anyhow::ensure!(is_it, "the description of image {} contradicts its digest", self.digest);
        anyhow::ensure!(self.layer_bytes <= MAX_LAYER, "a layer of {} bytes is too large", self.layer_bytes);
        Ok(())
    }
}

/// The folder of images.
pub struct ImageStore {
    dir: PathBuf,
    blobs: BlobStore,
    engine: Option<String>,
    loading: tokio::sync::Mutex<()>,
    making: tokio::sync::Mutex<()>,
    fetching: tokio::sync::Mutex<()>,
    peers: OnceLock<Arc<dyn ImagePeers>>,
}

/// Where images come from that this machine has not made.
#[async_trait]
pub trait ImagePeers: Send + Sync {
    /// What somebody says an image is made of. Not verified.
    async fn describe(&self, image: &Sha256) -> Option<KnownImage>;

    /// Puts a file into `blobs` unless it is there; its bytes are those of its SHA-256.
    async fn file(&self, sha256: &Sha256, max_bytes: u64, blobs: &BlobStore) -> anyhow::Result<()>;
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
            fetching: tokio::sync::Mutex::default(),
            peers: OnceLock::new(),
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

    /// The image with this digest, if it and its layer are here.
    pub fn by_digest(&self, digest: &Sha256) -> anyhow::Result<Option<KnownImage>> {
        let known = self.list()?.into_iter().find(|known| known.digest == *digest);
        Ok(known.filter(|image| self.blobs.has(&image.layer)))
    }

    /// Whether this machine made the image itself.
    pub fn is_own(&self, image: &KnownImage) -> bool {
        let made = self.find(&image.config.name);
        matches!(made, Ok(Some(made)) if made.digest == image.digest)
    }

    /// Where the layers are.
    pub fn blobs(&self) -> &BlobStore {
        &self.blobs
    }

    /// Says whom to ask for images that are not here.
    pub fn set_peers(&self, peers: Arc<dyn ImagePeers>) {
        // The first one stays: a node has one network.
        let _ = self.peers.set(peers);
    }

    /// The image with this digest, got from peers if it is not here.
    pub async fn find_or_fetch(&self, image: &Sha256) -> anyhow::Result<KnownImage> {
        match self.by_digest(image)? {
            Some(known) => Ok(known),
            None => self.fetched(image).await,
        }
    }

    /// Gets an image that others have made: what its digest covers is checked before anything is kept.
    async fn fetched(&self, image: &Sha256) -> anyhow::Result<KnownImage> {
        let peers = self.peers.get().with_context(|| format!("this node does not hold builder image {image}"))?;
        let _one = self.fetching.lock().await;
        if let Some(known) = self.by_digest(image)? {
            return Ok(known);
        }
        let known = peers.describe(image).await.with_context(|| format!("no peer knows builder image {image}"))?;
        anyhow::ensure!(known.digest == *image, "a peer describes another image than {image}");
        known.check()?;
        let layer = peers.file(&known.layer, known.layer_bytes, &self.blobs).await;
        layer.with_context(|| format!("the layer of image {image} did not come"))?;
        self.keep_of_others(&known)?;
        Ok(known)
    }

    /// Gets what an image was made of from peers, as far as it is not here.
    pub async fn fetch_lock(&self, image: &KnownImage) -> anyhow::Result<()> {
        let lock = image.lock.with_context(|| format!("nobody says what image {} was made of", image.digest))?;
        let have = |file: &Sha256| self.blobs.has(file);
        if have(&lock) && self.lock_of(image)?.files().all(|file| have(&file.sha256)) {
            return Ok(());
        }
        let peers = self.peers.get().context("this node has no peers")?;
        let _one = self.fetching.lock().await;
        peers.file(&lock, java_builder::images::MAX_LOCK, &self.blobs).await?;
        for LockedFile { sha256, bytes } in self.lock_of(image)?.files() {
            let came = peers.file(&sha256, bytes, &self.blobs).await;
            came.with_context(|| format!("what image {} was made of did not come", image.digest))?;
        }
        Ok(())
    }

    /// Writes the description of an image that others have made.
    fn keep_of_others(&self, image: &KnownImage) -> anyhow::Result<()> {
        if self.is_own(image) {
            return Ok(());
        }
        // Not under the recipe's name: that is for what this machine made itself.
        write_atomically(&self.dir.join(format!("{}.json", image.digest)), &serde_json::to_vec_pretty(image)?)
    }

    /// What an image was made of.
    fn lock_of(&self, image: &KnownImage) -> anyhow::Result<ImageLock> {
        let lock = image.lock.with_context(|| {
            let name = &image.config.name;
            format!(
                "image {} was made without a lock; make it again with `pyrsia-maven images build {name} --force`",
                image.digest
            )
        })?;
        let bytes = self.blobs.read_verified(&lock).context("the lock of the image is not here")?;
        Ok(ImageLock::parse(&bytes)?)
    }

    /// Makes an image from its recipe.
    pub async fn build(&self, name: &str, progress: &(dyn Fn(&str) + Send + Sync)) -> anyhow::Result<KnownImage> {
        let recipe = recipe(name)?.ok_or_else(|| anyhow!("there is no image recipe named {name}"))?;
        let scratch = tempfile::tempdir_in(&self.dir).context("cannot make a folder for the image")?;
        let built = build_image(&recipe, scratch.path(), progress).await?;
        let stored = self.blobs.import_file(&built.layer)?;
        anyhow::ensure!(stored.digests.sha256 == built.layer_digest, "the layer changed while it was stored");
        for file in &built.made_of.files {
            self.blobs.import_file(file)?;
        }
        let lock = self.blobs.put_bytes(&built.made_of.lock.to_json())?.digests.sha256;
        let image = KnownImage {
            digest: built.digest,
            layer: built.layer_digest,
            layer_bytes: built.layer_size,
            config: built.config,
            lock: Some(lock),
        };
        self.keep_own(&image)?;
        Ok(image)
    }

    /// Writes the description of an image that this machine has made.
    fn keep_own(&self, image: &KnownImage) -> anyhow::Result<()> {
        let described = |name: &str| self.dir.join(format!("{name}.json"));
        write_atomically(&described(&image.config.name), &serde_json::to_vec_pretty(image)?)?;
        // It may have come from others before, perhaps with another lock: it would be listed twice.
        match std::fs::remove_file(described(&image.digest.to_string())) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).context("cannot remove what others said of the image")
            }
            _ => Ok(()),
        }
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
    async fn named(&self, name: &str) -> Result<Sha256, String> {
        match self.find(name) {
            Ok(Some(image)) => Ok(image.digest),
            Ok(None) => self.make(name).await,
            Err(error) => Err(format!("{error:#}")),
        }
    }

    async fn ensure(&self, image: &Sha256) -> Result<(), String> {
        let plain = |error: anyhow::Error| format!("{error:#}");
        let known = self.find_or_fetch(image).await.map_err(plain)?;
        self.load(&known).await.map_err(plain)
    }

    async fn made(&self) -> Result<Vec<OwnImage>, String> {
        let known = self.list().map_err(|error| format!("{error:#}"))?;
        // What came from peers lies under its digest: others' work is no reason to vouch for it.
        let mut own: Vec<KnownImage> = known.into_iter().filter(|image| self.is_own(image)).collect();
        // Those that can be vouched for at once do not wait for others to be made again, which takes minutes.
        own.sort_by_cached_key(|image| !self.was_remade(image));
        Ok(own.into_iter().map(|known| OwnImage { image: known.digest, name: known.config.name }).collect())
    }

    async fn verify(&self, image: &Sha256) -> Result<(), String> {
        let plain = |error: anyhow::Error| format!("{error:#}");
        let known = self.by_digest(image).map_err(plain)?;
        let known = known.ok_or_else(|| format!("builder image {image} is not here"))?;
        let remade = self.remade(&known, &|line| tracing::debug!(line, "making a builder image again")).await;
        match remade.map_err(plain)? {
            remade if remade.equal => Ok(()),
            remade => Err(remade.difference()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(layer: &[u8]) -> KnownImage {
        let config = ImageConfig {
            name: "jdk17".to_owned(),
            jdk: 17,
            os: "linux".to_owned(),
            architecture: "amd64".to_owned(),
            java_home: "/usr/lib/jvm/java-17".to_owned(),
            gradle: None,
        };
        let layer_digest = Sha256::of(layer);
        KnownImage {
            digest: config.digest(&layer_digest),
            layer: layer_digest,
            layer_bytes: layer.len() as u64,
            config,
            lock: None,
        }
    }

    /// A peer with one image, which describes it as the test says.
    struct Peer(KnownImage);

    #[async_trait]
    impl ImagePeers for Peer {
        async fn describe(&self, _image: &Sha256) -> Option<KnownImage> {
            Some(self.0.clone())
        }

        async fn file(&self, _sha256: &Sha256, _max_bytes: u64, blobs: &BlobStore) -> anyhow::Result<()> {
            blobs.put_bytes(b"theirs")?;
            Ok(())
        }
    }

    #[tokio::test]
    async fn an_image_of_others_is_used_and_not_vouched_for() {
        let folder = tempfile::tempdir().unwrap();
        let store = ImageStore::open(folder.path(), None).unwrap();
        let own = image(b"own");
        store.blobs.put_bytes(b"own").unwrap();
        std::fs::write(folder.path().join("jdk17.json"), serde_json::to_vec(&own).unwrap()).unwrap();
        let theirs = image(b"theirs");
        store.set_peers(Arc::new(Peer(theirs.clone())));
        assert_eq!(store.find_or_fetch(&theirs.digest).await.unwrap(), theirs);
        assert_eq!(store.list().unwrap().len(), 2);
        let made: Vec<Sha256> = store.made().await.unwrap().into_iter().map(|made| made.image).collect();
        assert_eq!(made, [own.digest]);
        assert!(
            store.find_or_fetch(&Sha256::of(b"another")).await.is_err(),
            "a description that its digest contradicts"
        );
    }

    #[tokio::test]
    async fn an_image_of_others_that_is_made_here_too_is_one_and_own() {
        let folder = tempfile::tempdir().unwrap();
        let store = ImageStore::open(folder.path(), None).unwrap();
        store.blobs.put_bytes(b"same").unwrap();
        let theirs = KnownImage { lock: Some(Sha256::of(b"their lock")), ..image(b"same") };
        store.keep_of_others(&theirs).unwrap();
        assert!(!store.is_own(&theirs));
        let own = KnownImage { lock: Some(Sha256::of(b"own lock")), ..theirs };
        store.keep_own(&own).unwrap();
        assert_eq!(store.list().unwrap(), std::slice::from_ref(&own));
        assert_eq!(store.by_digest(&own.digest).unwrap(), Some(own.clone()));
        assert_eq!(store.made().await.unwrap().len(), 1);
        store.keep_own(&own).unwrap();
    }

    #[tokio::test]
    async fn a_layer_without_end_is_not_begun() {
        let folder = tempfile::tempdir().unwrap();
        let store = ImageStore::open(folder.path(), None).unwrap();
        let endless = KnownImage { layer_bytes: u64::MAX, ..image(b"theirs") };
        store.set_peers(Arc::new(Peer(endless.clone())));
        assert!(store.find_or_fetch(&endless.digest).await.unwrap_err().to_string().contains("too large"));
    }
}
