//! An image as one file, to be carried to another machine: a tar of its description and the blobs that belong to it.
//!
//! What comes in is believed as little as what peers send: the description is checked against the image's digest, each blob
//! against its name, and a blob that the image does not have is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use java_builder::images::MAX_LOCK;
use java_builder::{ImageLock, LockedFile};
use pyrsia_blobs::Expected;
use pyrsia_digest::Sha256;

use super::{ImageStore, KnownImage};

/// Name of the description, the first entry.
const DESCRIPTION: &str = "image.json";
/// Largest description in bytes.
const MAX_DESCRIPTION: u64 = 64 << 10;
/// Folder of the blobs.
const BLOBS: &str = "blobs/";

impl ImageStore {
    /// Writes the image and, where that is here, what it was made of. Returns the size of the file.
    pub fn export(&self, image: &KnownImage, file: &Path) -> anyhow::Result<u64> {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let failed = || format!("cannot write {}", file.display());
        let mut written = tempfile::NamedTempFile::new_in(folder).with_context(failed)?;
        let mut tar = tar::Builder::new(BufWriter::with_capacity(1 << 18, written.as_file_mut()));
        let description = serde_json::to_vec_pretty(image)?;
        append(&mut tar, DESCRIPTION, description.len() as u64, description.as_slice()).with_context(failed)?;
        let mut blobs = Vec::new();
        if let Some(lock) = image.lock {
            blobs.push(lock);
            blobs.extend(self.lock_of(image)?.files().map(|file| file.sha256));
        }
        blobs.push(image.layer);
        // Two suites may have the same index.
        let mut written_before = BTreeSet::new();
        blobs.retain(|blob| written_before.insert(*blob));
        for blob in blobs {
            let path = self.blobs.get(&blob).with_context(|| format!("blob {blob} of the image is gone"))?;
            let bytes = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let size = bytes.metadata()?.len();
            append(&mut tar, &format!("{BLOBS}{blob}"), size, bytes).with_context(failed)?;
        }
        tar.into_inner().and_then(|mut file| file.flush()).with_context(failed)?;
        written.as_file().sync_all().with_context(failed)?;
        let size = written.as_file().metadata()?.len();
        written.persist(file).with_context(failed)?;
        Ok(size)
    }

    /// Takes in what [`ImageStore::export`] wrote. It counts as an image of others.
    pub fn import(&self, file: &Path) -> anyhow::Result<KnownImage> {
        let bytes = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
        self.import_from(BufReader::with_capacity(1 << 18, bytes))
            .with_context(|| format!("{} is not an exported image", file.display()))
    }

    fn import_from(&self, bytes: impl Read) -> anyhow::Result<KnownImage> {
        let mut tar = tar::Archive::new(bytes);
        // Raw: a name that is longer than a header is not one of ours, and is not read into memory either.
        let mut entries = tar.entries()?.raw(true);
        let mut first = entries.next().context("it is empty")??;
        anyhow::ensure!(first.path_bytes() == DESCRIPTION.as_bytes(), "it does not begin with {DESCRIPTION}");
        let image: KnownImage = serde_json::from_slice(&small(&mut first, MAX_DESCRIPTION)?)?;
        image.check()?;
        let mut wanted = BTreeMap::from([(image.layer, image.layer_bytes)]);
        wanted.extend(image.lock.map(|lock| (lock, MAX_LOCK)));
        for entry in entries {
            let mut entry = entry?;
            let name = String::from_utf8(entry.path_bytes().into_owned()).context("a name is not UTF-8")?;
            let blob = name.strip_prefix(BLOBS).and_then(|blob| blob.parse::<Sha256>().ok());
            let most = blob.and_then(|blob| wanted.remove(&blob));
            let (Some(blob), Some(most)) = (blob, most) else { bail!("it holds {name}, which is not of the image") };
            anyhow::ensure!(entry.header().entry_type().is_file() && entry.size() <= most, "{name} is too large");
            if image.lock == Some(blob) {
                let lock = small(&mut entry, MAX_LOCK)?;
                anyhow::ensure!(Sha256::of(&lock) == blob, "{name} is another file than its name says");
                for LockedFile { sha256, bytes } in ImageLock::parse(&lock)?.files() {
                    wanted.insert(sha256, bytes);
                }
                self.blobs.put_bytes(&lock)?;
                continue;
            }
            let mut writer = self.blobs.writer_of_name()?;
            let mut buffer = vec![0; 1 << 18];
            loop {
                match entry.read(&mut buffer)? {
                    0 => break,
                    read => writer.write(&buffer[..read])?,
                }
            }
            writer.finish_expecting(&Expected::sha256(blob)).with_context(|| format!("{name} is damaged"))?;
        }
        if let Some(missing) = wanted.keys().next() {
            bail!("{} blobs of the image are not in it, among them {missing}", wanted.len());
        }
        self.keep_of_others(&image)?;
        Ok(image)
    }
}

fn small(entry: &mut impl Read, most: u64) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = entry.take(most + 1).read_to_end(&mut bytes)?;
    anyhow::ensure!(read as u64 <= most, "an entry is too large");
    Ok(bytes)
}

fn append(tar: &mut tar::Builder<impl io::Write>, name: &str, size: u64, bytes: impl Read) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o644);
    // Exactly as many bytes as announced, whatever happens to the file meanwhile.
    tar.append_data(&mut header, name, bytes.take(size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use java_builder::ImageConfig;
    use java_builder::images::{LockedPackage, LockedSuite};
    use std::sync::Arc;

    fn put(store: &ImageStore, bytes: &[u8]) -> LockedFile {
        LockedFile { sha256: store.blobs.put_bytes(bytes).unwrap().digests.sha256, bytes: bytes.len() as u64 }
    }

    /// A store with one image of one package.
    fn world(folder: &Path) -> (Arc<ImageStore>, KnownImage) {
        let store = ImageStore::open(folder, None).unwrap();
        let suite = LockedSuite {
            suite: "bookworm".to_owned(),
            release: put(&store, b"release"),
            packages: put(&store, b"packages"),
        };
        let same = LockedSuite { suite: "bookworm-updates".to_owned(), ..suite.clone() };
        let package = LockedPackage {
            name: "acme".to_owned(),
            version: "1".to_owned(),
            architecture: "all".to_owned(),
            suite: suite.suite.clone(),
            path: "pool/main/a/acme_1_all.deb".to_owned(),
            file: put(&store, b"deb"),
        };
        let lock = ImageLock { version: 1, suites: vec![suite, same], packages: vec![package] };
        let lock = put(&store, &lock.to_json()).sha256;
        let config: ImageConfig = java_builder::recipe("jdk17").unwrap().unwrap().config();
        let layer = put(&store, b"layer");
        let digest = config.digest(&layer.sha256);
        (store, KnownImage { digest, layer: layer.sha256, layer_bytes: layer.bytes, config, lock: Some(lock) })
    }

    #[test]
    fn an_image_arrives_whole_or_not_at_all() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (store, image) = world(from.path());
        let file = from.path().join("image.tar");
        let size = store.export(&image, &file).unwrap();
        let whole = std::fs::read(&file).unwrap();
        assert_eq!(size, whole.len() as u64);
        let other = ImageStore::open(to.path(), None).unwrap();

        let find = |bytes: &[u8], wanted: &[u8]| bytes.windows(wanted.len()).position(|found| found == wanted).unwrap();
        let mut damaged = whole.clone();
        damaged[find(&whole, b"layer\0")] ^= 1;
        assert!(other.import_from(damaged.as_slice()).is_err(), "a damaged layer");
        let cut = &whole[..find(&whole, b"layer\0") - 512];
        assert!(other.import_from(cut).is_err(), "a layer is missing");
        let contradicts = |text: &KnownImage| {
            let mut tar = tar::Builder::new(Vec::new());
            let json = serde_json::to_vec(text).unwrap();
            append(&mut tar, DESCRIPTION, json.len() as u64, json.as_slice()).unwrap();
            append(&mut tar, &format!("{BLOBS}{}", Sha256::of(b"extra")), 5, b"extra".as_slice()).unwrap();
            format!("{:#}", other.import_from(tar.into_inner().unwrap().as_slice()).unwrap_err())
        };
        assert!(contradicts(&image).contains("not of the image"));
        assert!(contradicts(&KnownImage { digest: Sha256::of(b"x"), ..image.clone() }).contains("contradicts"));
        assert!(other.import_from(b"no tar at all".as_slice()).is_err());
        assert!(other.list().unwrap().is_empty());

        assert_eq!(other.import_from(whole.as_slice()).unwrap(), image);
        assert_eq!(other.by_digest(&image.digest).unwrap(), Some(image.clone()));
        assert!(!other.is_own(&image), "others' work is no reason to vouch for it");
        assert_eq!(other.lock_of(&image).unwrap().packages.len(), 1);
        // And on to the next one.
        let next = to.path().join("next.tar");
        other.export(&image, &next).unwrap();
        assert_eq!(std::fs::read(next).unwrap().len() as u64, size);
    }
}
