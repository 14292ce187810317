//! The folder that is written. **Nothing outside of it is ever written or removed**: no component of a path below it may be
//! a link, and each file comes into being whole, under a temporary name in the folder itself.
//!
//! Durability: files are not flushed one by one. What a power cut leaves half-written does not agree with its size and its
//! `.sha256`, and is written anew by the next export.

use std::fs::{self, File, FileTimes, FileType, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use maven_layout::{ChecksumAlgorithm, RepoPath};
use pyrsia_digest::{FileDigests, NameHasher, Sha256};
use tempfile::NamedTempFile;

use crate::commands::local_files;

/// Where files are until they are whole; removed in the end.
const WORKSHOP: &str = ".pyrsia-export";

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It was written.
    Written {
        /// Its bytes.
        bytes: u64,
        /// It is a link to the store's.
        linked: bool,
    },
    /// It was there already.
    Unchanged,
}

/// The folder.
pub struct Target {
    root: PathBuf,
    /// The folder that was looked at last: files come in the order of their paths.
    looked_at: Option<PathBuf>,
}

impl Target {
    /// Makes the folder if it is not there. It must not lie in the data directory, nor that in it.
    pub fn open(dir: &Path, data: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("cannot make the folder {}", dir.display()))?;
        let root = dir.canonicalize().with_context(|| format!("cannot read the folder {}", dir.display()))?;
        let data = data.canonicalize().with_context(|| format!("cannot read the folder {}", data.display()))?;
        if root.starts_with(&data) || data.starts_with(&root) {
            bail!(
                "{} and the data directory {} lie in each other: name another folder",
                root.display(),
                data.display()
            );
        }
        let target = Self { root, looked_at: None };
        let workshop = target.root.join(WORKSHOP);
        match fs::symlink_metadata(&workshop) {
            Ok(found) if found.is_dir() => {
                fs::remove_dir_all(&workshop).with_context(|| format!("cannot remove {}", workshop.display()))?;
            }
            Ok(_) => bail!("{} is no folder: remove it", workshop.display()),
            Err(_) => {}
        }
        fs::create_dir(&workshop).with_context(|| format!("cannot make the folder {}", workshop.display()))?;
        Ok(target)
    }

    /// Removes what is left of the work.
    pub fn finish(self) -> anyhow::Result<()> {
        Ok(fs::remove_dir_all(self.root.join(WORKSHOP))?)
    }

    /// Where a path lies.
    pub fn join(&self, path: &RepoPath) -> PathBuf {
        self.root.join(path.as_str())
    }

    /// Whether a file is there with this size and a checksum file that says that it is the one; if `check` is set, with these bytes.
    pub fn has(&self, path: &RepoPath, sha256: &Sha256, size: u64, check: bool) -> anyhow::Result<bool> {
        if self.folder_of(path, false)?.is_none() {
            return Ok(false);
        }
        let file = self.join(path);
        let whole = fs::symlink_metadata(&file).is_ok_and(|found| found.is_file() && found.len() == size);
        let all = |algorithm: ChecksumAlgorithm| beside(&file, algorithm).is_file();
        let said = whole && ChecksumAlgorithm::ALL.into_iter().all(all) && says(&file) == Some(sha256.to_string());
        // What cannot be read is written anew.
        Ok(said && (!check || hash(&file, size).is_ok_and(|found| found == *sha256)))
    }

    /// Writes a file and its checksums; the bytes of `blob` are those of `digests`.
    pub fn put(
        &mut self,
        path: &RepoPath,
        blob: &Path,
        digests: &FileDigests,
        modified: Option<u64>,
        link: bool,
    ) -> anyhow::Result<Put> {
        self.make_folder_of(path)?;
        let file = self.join(path);
        let linked = link && self.link(blob, &file)?;
        if !linked {
            let mut copy = self.begin()?;
            let length = io::copy(&mut File::open(blob)?, copy.as_file_mut())?;
            anyhow::ensure!(length == digests.size, "{} has changed while it was copied", blob.display());
            if let Some(time) = modified.and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds))) {
                copy.as_file().set_times(FileTimes::new().set_modified(time))?;
            }
            self.end(copy, &file)?;
        }
        self.put_checksums(&file, digests)?;
        Ok(Put::Written { bytes: digests.size, linked })
    }

    /// Writes a document and its checksums.
    pub fn put_document(&mut self, path: &RepoPath, bytes: &[u8]) -> anyhow::Result<()> {
        self.make_folder_of(path)?;
        let file = self.join(path);
        let mut copy = self.begin()?;
        copy.write_all(bytes)?;
        self.end(copy, &file)?;
        self.put_checksums(&file, &FileDigests::of(bytes))
    }

    /// Removes a file with its checksums; false if it was not there.
    pub fn remove(&mut self, path: &RepoPath) -> anyhow::Result<bool> {
        if self.folder_of(path, false)?.is_none() {
            return Ok(false);
        }
        let file = self.join(path);
        let was_there = remove(&file)?;
        for algorithm in ChecksumAlgorithm::ALL {
            remove(&beside(&file, algorithm))?;
        }
        // Empty folders of versions would look like versions.
        if was_there && let Some(folder) = file.parent() {
            let _ = fs::remove_dir(folder);
            self.looked_at = None;
        }
        Ok(was_there)
    }

    /// Names of the folders in a folder of the repository, without links; none if it is not there.
    pub fn folders_in(&self, folder: &Path) -> anyhow::Result<Vec<String>> {
        self.names_in(folder, FileType::is_dir)
    }

    fn names_in(&self, folder: &Path, wanted: fn(&FileType) -> bool) -> anyhow::Result<Vec<String>> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", folder.display())),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            if wanted(&entry.file_type()?)
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Names of the files in a folder of the repository, without links; none if it is not there.
    pub fn files_in(&self, folder: &Path) -> anyhow::Result<Vec<String>> {
        self.names_in(folder, FileType::is_file)
    }

    fn put_checksums(&self, file: &Path, digests: &FileDigests) -> anyhow::Result<()> {
        for algorithm in ChecksumAlgorithm::ALL {
            let mut copy = self.begin()?;
            copy.write_all(digests.checksum(algorithm).as_bytes())?;
            self.end(copy, &beside(file, algorithm))?;
        }
        Ok(())
    }

    /// Another name of the store's file; false where that is not possible.
    fn link(&self, blob: &Path, file: &Path) -> anyhow::Result<bool> {
        let temporary = self.root.join(WORKSHOP).join("link");
        remove(&temporary)?;
        match fs::hard_link(blob, &temporary) {
            Ok(()) => {}
            Err(error) if is_no_link(&error) => return Ok(false),
            Err(error) => return Err(error).with_context(|| format!("cannot link {}", blob.display())),
        }
        // The store's files are its owner's alone, and a web server is somebody else. Nobody is to write to either name.
        fs::set_permissions(&temporary, Permissions::from_mode(0o444))?;
        fs::rename(&temporary, file).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(true)
    }

    fn begin(&self) -> anyhow::Result<NamedTempFile> {
        Ok(tempfile::Builder::new().permissions(Permissions::from_mode(0o644)).tempfile_in(self.root.join(WORKSHOP))?)
    }

    fn end(&self, copy: NamedTempFile, file: &Path) -> anyhow::Result<()> {
        copy.persist(file).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(())
    }

    fn make_folder_of(&mut self, path: &RepoPath) -> anyhow::Result<()> {
        let parent = self.join(path).parent().map(Path::to_owned);
        if parent.is_some() && parent == self.looked_at {
            return Ok(());
        }
        self.looked_at = self.folder_of(path, true)?;
        Ok(())
    }

    /// The folder of a file, looked at from the top: a link on the way would lead out. Made if wanted.
    fn folder_of(&self, path: &RepoPath, make: bool) -> anyhow::Result<Option<PathBuf>> {
        let mut folder = self.root.clone();
        let Some(parent) = path.parent() else { return Ok(Some(folder)) };
        for name in parent.segments() {
            folder.push(name);
            match fs::symlink_metadata(&folder) {
                Ok(found) if found.is_dir() => {}
                Ok(_) => bail!("{} is no folder of its own: nothing is written there", folder.display()),
                Err(error) if error.kind() == io::ErrorKind::NotFound && !make => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    fs::create_dir(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
                    fs::set_permissions(&folder, Permissions::from_mode(0o755))?;
                }
                Err(error) => return Err(error).with_context(|| format!("cannot read {}", folder.display())),
            }
        }
        Ok(Some(folder))
    }
}

fn beside(file: &Path, algorithm: ChecksumAlgorithm) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{}", algorithm.extension()));
    name.into()
}

/// What the `.sha256` beside a file says.
fn says(file: &Path) -> Option<String> {
    let mut text = String::new();
    local_files::open(&beside(file, ChecksumAlgorithm::Sha256)).ok()?.take(256).read_to_string(&mut text).ok()?;
    Some(text)
}

/// SHA-256 of a file of this size.
fn hash(file: &Path, size: u64) -> io::Result<Sha256> {
    let mut from = local_files::open(file)?.take(size.saturating_add(1));
    let mut hasher = NameHasher::new();
    let mut buffer = vec![0u8; 256 * 1024];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish().sha256),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn remove(file: &Path) -> anyhow::Result<bool> {
    match fs::remove_file(file) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot remove {}", file.display())),
    }
}

/// Whether a link is not possible there, as opposed to a failure: another file system, one without links, too many links.
fn is_no_link(error: &io::Error) -> bool {
    use io::ErrorKind::{CrossesDevices, PermissionDenied, TooManyLinks, Unsupported};
    matches!(error.kind(), CrossesDevices | PermissionDenied | TooManyLinks | Unsupported)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use super::*;

    struct Place {
        dir: tempfile::TempDir,
        blob: PathBuf,
    }

    impl Place {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir(dir.path().join("data")).unwrap();
            let blob = dir.path().join("data/blob");
            fs::write(&blob, b"bytes").unwrap();
            Self { dir, blob }
        }

        fn target(&self) -> Target {
            Target::open(&self.dir.path().join("out"), &self.dir.path().join("data")).unwrap()
        }
    }

    fn jar() -> RepoPath {
        "org/acme/lib/1.0/lib-1.0.jar".parse().unwrap()
    }

    #[test]
    fn a_file_is_written_once_with_its_checksums_and_removed_whole() {
        let place = Place::new();
        let digests = FileDigests::of(b"bytes");
        let mut target = place.target();
        assert!(!target.has(&jar(), &digests.sha256, 5, false).unwrap());
        let put = target.put(&jar(), &place.blob, &digests, Some(1_000_000), false).unwrap();
        assert_eq!(put, Put::Written { bytes: 5, linked: false });
        assert!(target.has(&jar(), &digests.sha256, 5, false).unwrap());
        assert!(!target.has(&jar(), &Sha256::of(b"other"), 5, false).unwrap());
        let file = target.join(&jar());
        let metadata = fs::metadata(&file).unwrap();
        assert_eq!((metadata.mode() & 0o777, metadata.mtime()), (0o644, 1_000_000));
        for algorithm in ChecksumAlgorithm::ALL {
            assert_eq!(fs::read_to_string(beside(&file, algorithm)).unwrap(), digests.checksum(algorithm));
        }
        // As a disk may change it, with the time that it had.
        fs::write(&file, b"bites").unwrap();
        assert!(target.has(&jar(), &digests.sha256, 5, false).unwrap());
        assert!(!target.has(&jar(), &digests.sha256, 5, true).unwrap());
        assert!(target.remove(&jar()).unwrap());
        assert!(!target.remove(&jar()).unwrap());
        assert_eq!(target.folders_in(&target.root.join("org/acme/lib")).unwrap(), Vec::<String>::new());
        let root = target.root.clone();
        target.finish().unwrap();
        assert_eq!(fs::read_dir(root).unwrap().count(), 1, "nothing but the folder of the group is left");
    }

    #[test]
    fn what_lies_beside_a_file_is_read_without_waiting_and_without_leaving_the_folder() {
        let place = Place::new();
        let digests = FileDigests::of(b"bytes");
        let mut target = place.target();
        target.put(&jar(), &place.blob, &digests, None, false).unwrap();
        let says = beside(&target.join(&jar()), ChecksumAlgorithm::Sha256);
        fs::remove_file(&says).unwrap();
        nix::unistd::mkfifo(&says, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(!target.has(&jar(), &digests.sha256, 5, true).unwrap());
        target.put(&jar(), &place.blob, &digests, None, false).unwrap();
        assert!(target.has(&jar(), &digests.sha256, 5, true).unwrap(), "it was put in the place of the pipe");
    }

    #[test]
    fn a_link_is_the_store_s_file_and_nobody_writes_to_it() {
        let place = Place::new();
        let mut target = place.target();
        let digests = FileDigests::of(b"bytes");
        let put = target.put(&jar(), &place.blob, &digests, None, true).unwrap();
        assert_eq!(put, Put::Written { bytes: 5, linked: true });
        let (own, theirs) = (fs::metadata(&place.blob).unwrap(), fs::metadata(target.join(&jar())).unwrap());
        assert_eq!((own.ino(), theirs.mode() & 0o777), (theirs.ino(), 0o444));
    }

    #[test]
    fn nothing_is_written_through_a_link_or_into_the_data_directory() {
        let place = Place::new();
        let outside = place.dir.path().join("outside");
        fs::create_dir_all(outside.join("lib/1.0")).unwrap();
        fs::write(outside.join("lib/1.0/lib-1.0.jar"), b"theirs").unwrap();
        let mut target = place.target();
        fs::create_dir(target.root.join("org")).unwrap();
        symlink(&outside, target.root.join("org/acme")).unwrap();
        let digests = FileDigests::of(b"bytes");
        assert!(target.put(&jar(), &place.blob, &digests, None, false).is_err());
        assert!(target.remove(&jar()).is_err());
        assert!(target.has(&jar(), &digests.sha256, 5, false).is_err());
        assert_eq!(fs::read(outside.join("lib/1.0/lib-1.0.jar")).unwrap(), b"theirs");
        let data = place.dir.path().join("data");
        for dir in [data.clone(), data.join("blobs"), place.dir.path().to_owned()] {
            assert!(Target::open(&dir, &data).is_err(), "{}", dir.display());
        }
    }
}
