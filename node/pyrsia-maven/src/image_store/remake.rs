//! Making an image again from its packages, and what came out.

use std::fs::{File, OpenOptions, TryLockError};
use std::time::Duration;

use anyhow::Context as _;
use java_builder::{differences, recipe, remake_image};
use pyrsia_digest::Sha256;
use serde::{Deserialize, Serialize};

use super::{ImageStore, KnownImage};
use crate::data_dir::write_atomically;

/// Of the paths at which two layers differ, so many are kept.
const SHOWN: usize = 50;
/// How often is looked whether another process has done it.
const PAUSE: Duration = Duration::from_millis(250);

/// An image that was made again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remade {
    /// The image.
    pub image: Sha256,
    /// The recipe.
    pub name: String,
    /// The lock that it was made from.
    pub lock: Sha256,
    /// Suites of Debian whose signed indexes name the packages.
    pub suites: Vec<String>,
    /// How many packages.
    pub packages: usize,
    /// The layer that came out.
    pub layer: Sha256,
    /// Whether that is the image's layer, bit for bit.
    pub equal: bool,
    /// Paths of files that are not the same; the first of them.
    pub different: Vec<String>,
}

impl Remade {
    /// In one sentence.
    pub fn difference(&self) -> String {
        format!(
            "image {} ({}) is not what its packages make: {}",
            self.image,
            self.name,
            match self.different.is_empty() {
                true => "the files are the same, but not their order or form".to_owned(),
                false => self.different.join(", "),
            }
        )
    }
}

impl ImageStore {
    /// Whether the image was made again on this machine and came out equal.
    pub fn was_remade(&self, image: &KnownImage) -> bool {
        self.noted(image).is_some_and(|remade| remade.equal)
    }

    /// What came out when the image was made again on this machine.
    fn noted(&self, image: &KnownImage) -> Option<Remade> {
        let remade: Remade = serde_json::from_slice(&std::fs::read(self.note(&image.digest)).ok()?).ok()?;
        let is_of_it = remade.image == image.digest
            && Some(remade.lock) == image.lock
            && remade.equal == (remade.layer == image.layer);
        is_of_it.then_some(remade)
    }

    /// What came out when the image was made again; made again now if that was not done yet. One that came out different is
    /// not tried again: the same packages make the same files.
    pub async fn remade(&self, image: &KnownImage, progress: &(dyn Fn(&str) + Send + Sync)) -> anyhow::Result<Remade> {
        // What is known waits for nobody: another image may be made again for minutes.
        if let Some(remade) = self.noted(image) {
            return Ok(remade);
        }
        // All nodes of a machine may share this folder, and each of them wants to know.
        let _one = self.one_remake().await?;
        match self.noted(image) {
            Some(remade) => Ok(remade),
            None => self.remake(image, progress).await,
        }
    }

    /// Makes the image again from its packages and compares.
    pub async fn remake(&self, image: &KnownImage, progress: &(dyn Fn(&str) + Send + Sync)) -> anyhow::Result<Remade> {
        image.check()?;
        let name = &image.config.name;
        let recipe = recipe(name)?.with_context(|| format!("there is no image recipe named {name}"))?;
        anyhow::ensure!(
            recipe.config() == image.config,
            "image {} is not of this program's recipe {name}",
            image.digest
        );
        progress("making it again from its packages");
        let original = self.blobs.get(&image.layer).context("the layer of the image is gone")?;
        let lock = self.lock_of(image)?;
        let scratch = tempfile::tempdir_in(&self.dir).context("cannot make a folder for the image")?;
        let blobs = self.blobs.clone();
        let find = move |sha256: &Sha256| blobs.get(sha256);
        let (layer, again) = remake_image(&recipe, &lock, find, scratch.path(), progress).await?;
        let equal = again == image.layer;
        let mut different = match equal {
            true => Vec::new(),
            false => tokio::task::spawn_blocking(move || differences(&original, &layer)).await??,
        };
        different.truncate(SHOWN);
        let remade = Remade {
            image: image.digest,
            name: name.clone(),
            lock: image.lock.context("the image has no lock")?,
            suites: lock.suites.iter().map(|suite| suite.suite.clone()).collect(),
            packages: lock.packages.len(),
            layer: again,
            equal,
            different,
        };
        write_atomically(&self.note(&image.digest), &serde_json::to_vec_pretty(&remade)?)?;
        Ok(remade)
    }

    fn note(&self, image: &Sha256) -> std::path::PathBuf {
        self.dir.join(format!("{image}.remade"))
    }

    async fn one_remake(&self) -> anyhow::Result<File> {
        let failed = "the folder of images cannot be locked";
        let path = self.dir.join("remake.lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).context(failed)?;
        // Tried again and again: a thread that waits for minutes would keep a node from ending.
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) => tokio::time::sleep(PAUSE).await,
                Err(TryLockError::Error(error)) => return Err(error).context(failed),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use java_builder::ImageConfig;

    fn image(lock: Option<Sha256>) -> KnownImage {
        let config: ImageConfig = recipe("jdk17").unwrap().unwrap().config();
        let layer = Sha256::of(b"layer");
        KnownImage { digest: config.digest(&layer), layer, layer_bytes: 5, config, lock }
    }

    #[tokio::test]
    async fn an_image_whose_making_is_not_known_is_not_vouched_for() {
        let folder = tempfile::tempdir().unwrap();
        let store = ImageStore::open(folder.path(), None).unwrap();
        store.blobs.put_bytes(b"layer").unwrap();
        let refusal = |image: KnownImage| {
            let store = store.clone();
            async move { format!("{:#}", store.remade(&image, &|_| ()).await.unwrap_err()) }
        };
        assert!(refusal(image(None)).await.contains("images build jdk17 --force"));
        assert!(refusal(image(Some(Sha256::of(b"gone")))).await.contains("not here"));
        let garbage = store.blobs.put_bytes(b"{}").unwrap().digests.sha256;
        assert!(refusal(image(Some(garbage))).await.contains("lock"));
        let mut other = image(None);
        other.config.java_home = "/evil".to_owned();
        assert!(refusal(other.clone()).await.contains("contradicts"));
        other.digest = other.config.digest(&other.layer);
        assert!(refusal(other).await.contains("recipe"));
        assert!(!store.was_remade(&image(None)));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "blobs and the lock: nothing is left behind");
    }

    #[tokio::test]
    async fn what_is_known_does_not_wait_for_what_is_being_made() {
        let folder = tempfile::tempdir().unwrap();
        let store = ImageStore::open(folder.path(), None).unwrap();
        let image = image(Some(Sha256::of(b"lock")));
        let remade = Remade {
            image: image.digest,
            name: "jdk17".to_owned(),
            lock: Sha256::of(b"lock"),
            suites: Vec::new(),
            packages: 0,
            layer: image.layer,
            equal: true,
            different: Vec::new(),
        };
        std::fs::write(store.note(&image.digest), serde_json::to_vec(&remade).unwrap()).unwrap();
        let _another = store.one_remake().await.unwrap();
        let known = tokio::time::timeout(std::time::Duration::from_secs(5), store.remade(&image, &|_| ())).await;
        assert!(known.unwrap().unwrap().equal);
    }

    #[test]
    fn a_note_counts_for_the_layer_that_it_names() {
        let folder = tempfile::tempdir().unwrap();
        let store = ImageStore::open(folder.path(), None).unwrap();
        let image = image(Some(Sha256::of(b"lock")));
        let mut remade = Remade {
            image: image.digest,
            name: "jdk17".to_owned(),
            lock: Sha256::of(b"lock"),
            suites: Vec::new(),
            packages: 1,
            layer: image.layer,
            equal: true,
            different: Vec::new(),
        };
        let mut says = |spoil: fn(&mut Remade)| {
            spoil(&mut remade);
            std::fs::write(store.note(&image.digest), serde_json::to_vec(&remade).unwrap()).unwrap();
            store.was_remade(&image)
        };
        assert!(says(|_| ()));
        assert!(!says(|remade| remade.equal = false));
        assert!(!says(|remade| {
            remade.equal = true;
            remade.layer = Sha256::of(b"another");
        }));
        assert!(says(|remade| remade.layer = Sha256::of(b"layer")));
        assert!(!says(|remade| remade.lock = Sha256::of(b"another")));
    }
}
