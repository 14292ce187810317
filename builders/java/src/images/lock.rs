//! What an image was made of: the archive's signed indexes and every package, by digest.
//!
//! A lock is not believed: what it names is given to `apt` again, which checks the archive's signature over each index, the
//! index's digest in it, and each package's digest in that. The digests here only say which files to give.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};

use pyrsia_digest::Sha256;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use crate::images::recipe::architecture;
use crate::images::{ImageError, Recipe};

/// Largest lock, in bytes of its JSON.
pub const MAX_LOCK: u64 = 4 << 20;
/// Packages of one image; some 200 are usual.
const MAX_PACKAGES: usize = 4_000;
/// Everything that a lock names, in bytes; some 300 MB are usual.
const MAX_BYTES: u64 = 8 << 30;
/// One line of an index that is longer than this is not one of ours.
const MAX_LINE: u64 = 1 << 20;

/// A file by its digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedFile {
    /// SHA-256.
    pub sha256: Sha256,
    /// Size in bytes.
    pub bytes: u64,
}

/// The index of one suite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedSuite {
    /// Its name, for example `bookworm-security`.
    pub suite: String,
    /// `InRelease`: digests of the other indexes, signed by the archive.
    pub release: LockedFile,
    /// `main/binary-ARCHITECTURE/Packages`: digests of the packages.
    pub packages: LockedFile,
}

/// One package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedPackage {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its architecture, or `all`.
    pub architecture: String,
    /// The suite whose index names it.
    pub suite: String,
    /// Where that index says that it lies.
    pub path: String,
    /// The `.deb`.
    pub file: LockedFile,
}

/// What an image was made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageLock {
    /// Of this format.
    pub version: u32,
    /// The indexes.
    pub suites: Vec<LockedSuite>,
    /// The packages, by name.
    pub packages: Vec<LockedPackage>,
}

impl ImageLock {
    /// Reads a lock that may come from anybody.
    ///
    /// # Errors
    /// [`ImageError::Lock`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ImageError> {
        let refused = |problem: &str| Err(ImageError::Lock(problem.to_owned()));
        if bytes.len() as u64 > MAX_LOCK {
            return refused("it is too large");
        }
        let lock: Self = serde_json::from_slice(bytes).map_err(|error| ImageError::Lock(error.to_string()))?;
        if lock.version != 1 {
            return refused("it has another version than 1");
        }
        if lock.packages.len() > MAX_PACKAGES || lock.files().map(|file| file.bytes).try_fold(0, more).is_none() {
            return refused("it names too much");
        }
        let mut suites = BTreeSet::new();
        if !lock.suites.iter().all(|suite| plain(&suite.suite) && suites.insert(suite.suite.as_str())) {
            return refused("it names a suite twice, or by what is no name");
        }
        let mut paths = BTreeSet::new();
        for package in &lock.packages {
            let inside = package.path.starts_with("pool/") && package.path.split('/').all(plain);
            if !inside || !paths.insert((&package.suite, &package.path)) {
                return refused(&format!("{} lies at a path that is none, or that is there twice", package.name));
            }
            if !suites.contains(package.suite.as_str()) {
                return refused(&format!("{} is of a suite that it does not name", package.name));
            }
        }
        Ok(lock)
    }

    /// The one text form: JSON.
    pub fn to_json(&self) -> Vec<u8> {
        // Strings and numbers only: there is nothing in it that JSON cannot hold.
        serde_json::to_vec(self).expect("a lock has a JSON form")
    }

    /// Every file that is needed to make the image again.
    pub fn files(&self) -> impl Iterator<Item = LockedFile> + '_ {
        let indexes = self.suites.iter().flat_map(|suite| [suite.release, suite.packages]);
        indexes.chain(self.packages.iter().map(|package| package.file))
    }
}

fn more(sum: u64, bytes: u64) -> Option<u64> {
    sum.checked_add(bytes).filter(|sum| *sum <= MAX_BYTES)
}

/// A part of a path that leads nowhere else.
fn plain(part: &str) -> bool {
    let usual = |c: char| c.is_ascii_alphanumeric() || "+-._~%:".contains(c);
    !part.is_empty() && part.len() <= 255 && part != "." && part != ".." && part.chars().all(usual)
}

/// A lock, and the files that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeOf {
    /// The lock.
    pub lock: ImageLock,
    /// Where the files lie; the caller keeps them (as blobs).
    pub files: Vec<PathBuf>,
}

/// The lock of an image that has just been made: `indexes` are `apt`'s lists, `packages` the `.deb` files.
pub(super) fn of_bake(recipe: &Recipe, indexes: &Path, packages: &Path) -> Result<MadeOf, ImageError> {
    let mut waiting = BTreeMap::new();
    for file in children(packages)? {
        if file.extension().is_some_and(|extension| extension == "deb") {
            let LockedFile { sha256, bytes } = measure(&file)?;
            waiting.insert(sha256, (bytes, file));
        }
    }
    let mut lock = ImageLock { version: 1, suites: Vec::new(), packages: Vec::new() };
    let mut files: Vec<PathBuf> = waiting.values().map(|(_, file)| file.clone()).collect();
    for release in children(indexes)? {
        let name = release.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let suite = name.strip_suffix("_InRelease").and_then(|name| name.rsplit_once("_dists_"));
        let Some((archive, suite)) = suite else { continue };
        if !recipe.suites().iter().any(|known| known == suite) {
            return Err(ImageError::Lock(format!("the image was made from the suite {suite} too")));
        }
        let index = format!("{archive}_dists_{suite}_main_binary-{}_Packages", architecture());
        let index = indexes.join(index);
        // A suite that has nothing yet has no file.
        if !index.exists() {
            continue;
        }
        for (digest, package) in named(&index, suite, &waiting)? {
            waiting.remove(&digest);
            lock.packages.push(package);
        }
        lock.suites.push(LockedSuite {
            suite: suite.to_owned(),
            release: measure(&release)?,
            packages: measure(&index)?,
        });
        files.extend([release, index]);
    }
    if let Some((_, file)) = waiting.values().next() {
        return Err(ImageError::Lock(format!("no index names {}", file.display())));
    }
    lock.suites.sort_by(|a, b| a.suite.cmp(&b.suite));
    lock.packages.sort_by(|a, b| (&a.name, &a.architecture).cmp(&(&b.name, &b.architecture)));
    Ok(MadeOf { lock: ImageLock::parse(&lock.to_json())?, files })
}

/// The packages of an index whose digest is one of these, which come with their sizes.
fn named(
    index: &Path,
    suite: &str,
    wanted: &BTreeMap<Sha256, (u64, PathBuf)>,
) -> Result<Vec<(Sha256, LockedPackage)>, ImageError> {
    let failed = |source| ImageError::Read { file: index.to_owned(), source };
    let mut lines = BufReader::new(File::open(index).map_err(failed)?);
    let (mut found, mut fields) = (Vec::new(), BTreeMap::<String, String>::new());
    loop {
        let mut line = String::new();
        let read = lines.by_ref().take(MAX_LINE).read_line(&mut line).map_err(failed)?;
        let text = line.trim_end();
        if !text.is_empty() {
            if let Some((name, value)) = text.split_once(": ") {
                fields.insert(name.to_owned(), value.to_owned());
            }
            continue;
        }
        let fields = std::mem::take(&mut fields);
        let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
        if let Ok(sha256) = field("SHA256").parse::<Sha256>()
            && let Some((bytes, _)) = wanted.get(&sha256)
        {
            let package = LockedPackage {
                name: field("Package"),
                version: field("Version"),
                architecture: field("Architecture"),
                suite: suite.to_owned(),
                path: field("Filename"),
                file: LockedFile { sha256, bytes: *bytes },
            };
            found.push((sha256, package));
        }
        if read == 0 {
            return Ok(found);
        }
    }
}

fn children(folder: &Path) -> Result<BTreeSet<PathBuf>, ImageError> {
    let failed = |source| ImageError::Read { file: folder.to_owned(), source };
    let entries = std::fs::read_dir(folder).map_err(failed)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>();
    paths.map_err(failed)
}

pub(super) fn measure(file: &Path) -> Result<LockedFile, ImageError> {
    let failed = |source| ImageError::Read { file: file.to_owned(), source };
    let (sha256, bytes) = hash(File::open(file).map_err(failed)?).map_err(failed)?;
    Ok(LockedFile { sha256, bytes })
}

/// SHA-256 and number of the bytes that are left.
pub(super) fn hash(mut bytes: impl Read) -> std::io::Result<(Sha256, u64)> {
    let (mut hasher, mut size, mut buffer) = (sha2::Sha256::new(), 0, vec![0; 1 << 16]);
    loop {
        match bytes.read(&mut buffer)? {
            0 => return Ok((Sha256::from_bytes(hasher.finalize().into()), size)),
            read => {
                hasher.update(&buffer[..read]);
                size += read as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock() -> ImageLock {
        let file = LockedFile { sha256: Sha256::of(b"file"), bytes: 4 };
        let package = LockedPackage {
            name: "acme".to_owned(),
            version: "1:2~3+b1".to_owned(),
            architecture: "all".to_owned(),
            suite: "bookworm".to_owned(),
            path: "pool/main/a/acme/acme_2~3+b1_all.deb".to_owned(),
            file,
        };
        let suite = LockedSuite { suite: "bookworm".to_owned(), release: file, packages: file };
        ImageLock { version: 1, suites: vec![suite], packages: vec![package] }
    }

    #[test]
    fn a_lock_is_read_back_and_what_leads_elsewhere_is_refused() {
        assert_eq!(ImageLock::parse(&lock().to_json()).unwrap(), lock());
        let breaks: [fn(&mut ImageLock); 8] = [
            |lock| lock.version = 2,
            |lock| lock.packages[0].path = "pool/../../etc/passwd".to_owned(),
            |lock| lock.packages[0].path = "/etc/passwd".to_owned(),
            |lock| lock.packages[0].path = "pool/a b.deb".to_owned(),
            |lock| lock.packages[0].suite = "sid".to_owned(),
            |lock| lock.suites[0].suite = "a/b".to_owned(),
            |lock| lock.packages.push(lock.packages[0].clone()),
            |lock| lock.packages[0].file.bytes = u64::MAX,
        ];
        for (index, spoil) in breaks.iter().enumerate() {
            let mut lock = lock();
            spoil(&mut lock);
            assert!(matches!(ImageLock::parse(&lock.to_json()), Err(ImageError::Lock(_))), "{index}");
        }
    }

    #[test]
    fn packages_are_found_in_the_index_that_names_them() {
        let folder = tempfile::tempdir().unwrap();
        let (indexes, packages) = (folder.path().join("i"), folder.path().join("p"));
        for dir in [&indexes, &packages] {
            std::fs::create_dir(dir).unwrap();
        }
        let recipe = crate::images::recipe("jdk17").unwrap().unwrap();
        std::fs::write(packages.join("acme_1%3a2_all.deb"), b"acme").unwrap();
        std::fs::write(packages.join("lock"), b"").unwrap();
        let digest = Sha256::of(b"acme");
        let stanza = |path: &str, digest| {
            format!(
                "Package: acme\nVersion: 1:2\nArchitecture: all\nDescription: x\n more: y\nFilename: {path}\nSHA256: {digest}\n"
            )
        };
        let other = stanza("pool/x.deb", Sha256::of(b"other"));
        let list = |suite: &str, end: &str| indexes.join(format!("mirror.example_debian_dists_{suite}_{end}"));
        let of_packages = format!("main_binary-{}_Packages", architecture());
        for suite in ["bookworm", "bookworm-security"] {
            std::fs::write(list(suite, "InRelease"), b"signed").unwrap();
        }
        std::fs::write(list("bookworm", &of_packages), &other).unwrap();
        assert!(matches!(of_bake(&recipe, &indexes, &packages), Err(ImageError::Lock(text)) if text.contains("acme")));
        let text = format!("{other}\n{}", stanza("pool/main/a/acme_2_all.deb", digest));
        std::fs::write(list("bookworm-security", &of_packages), text).unwrap();
        let made = of_bake(&recipe, &indexes, &packages).unwrap();
        assert_eq!(made.files.len(), 5);
        assert_eq!(made.lock.suites.len(), 2);
        let [package] = made.lock.packages.as_slice() else { panic!("{made:?}") };
        assert_eq!((package.suite.as_str(), package.version.as_str()), ("bookworm-security", "1:2"));
        assert_eq!(package.file, LockedFile { sha256: digest, bytes: 4 });
        std::fs::write(list("sid", "InRelease"), b"signed").unwrap();
        assert!(matches!(of_bake(&recipe, &indexes, &packages), Err(ImageError::Lock(text)) if text.contains("sid")));
    }
}
