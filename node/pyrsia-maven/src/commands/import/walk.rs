//! A folder that somebody else has filled: which of its files are files of releases.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use maven_layout::{PathKind, RepoPath, metadata};
use nix::fcntl::OFlag;
use pyrsia_repository::is_of_release;

/// A file of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it lies.
    pub file: PathBuf,
    /// Where it belongs.
    pub path: RepoPath,
    /// Its size in bytes when it was found.
    pub size: u64,
}

/// The files below a folder, one after the other; of the tree, one folder's names are in memory at a time, and the folders
/// that are still to be looked into. Links are not followed, so nothing outside is ever read.
pub struct Walk {
    root: PathBuf,
    folders: Vec<PathBuf>,
    files: Vec<PathBuf>,
}

impl Walk {
    /// Begins at a folder.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), folders: vec![root.to_owned()], files: Vec::new() }
    }

    /// The next file of a release; what is none is counted by its kind.
    pub fn next(&mut self, skipped: &mut BTreeMap<String, u64>) -> anyhow::Result<Option<Found>> {
        let mut skip = |kind: &str| *skipped.entry(kind.to_owned()).or_default() += 1;
        loop {
            let Some(file) = self.files.pop() else {
                let Some(folder) = self.folders.pop() else { return Ok(None) };
                if let Err(error) = self.look_into(&folder, &mut skip) {
                    if folder == self.root {
                        return Err(error).with_context(|| format!("cannot read {}", folder.display()));
                    }
                    skip("folders that cannot be read");
                }
                continue;
            };
            let relative = file.strip_prefix(&self.root).unwrap_or(&file);
            match classify(relative) {
                Ok(path) => {
                    let size = std::fs::symlink_metadata(&file).map_or(0, |file| file.len());
                    return Ok(Some(Found { file, path, size }));
                }
                Err(kind) => skip(kind),
            }
        }
    }

    fn look_into(&mut self, folder: &Path, skip: &mut impl FnMut(&str)) -> std::io::Result<()> {
        let (mut folders, mut files) = (Vec::new(), Vec::new());
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_symlink() {
                skip("links");
            } else if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path());
            } else {
                skip("devices, sockets and pipes");
            }
        }
        // The last ones are taken first.
        for (found, into) in [(folders, &mut self.folders), (files, &mut self.files)] {
            let mut found = found;
            found.sort_by(|left, right| right.cmp(left));
            into.append(&mut found);
        }
        Ok(())
    }
}

/// Opens a file that is to be one: no link, no pipe that would wait for its writer.
pub fn open(path: &Path) -> std::io::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "it is no file"));
    }
    Ok(file)
}

/// What Maven, Ivy, Gradle and IDEs write beside files for themselves.
fn is_bookkeeping(name: &str) -> bool {
    const NAMES: [&str; 2] = ["m2e-lastUpdated.properties", "resolver-status.properties"];
    const ENDS: [&str; 4] = [".lastUpdated", ".part", ".lock", ".tmp"];
    name.starts_with(['_', '.']) || NAMES.contains(&name) || ENDS.iter().any(|end| name.ends_with(end))
}

/// The path of a file of a release, or the kind of what it is else.
fn classify(relative: &Path) -> Result<RepoPath, &'static str> {
    let path: RepoPath = relative.to_str().and_then(|text| text.parse().ok()).ok_or("names that no repository has")?;
    let name = path.file_name();
    if is_bookkeeping(name) {
        return Err("bookkeeping of clients");
    }
    let stem = metadata::FILE_NAME.trim_end_matches(".xml");
    match path.kind() {
        // `maven-metadata-central.xml` too, which Maven writes.
        _ if name.starts_with(stem) && name.contains(".xml") => Err("documents, which are fetched anew"),
        PathKind::Checksum { .. } => Err("checksums, which are made anew"),
        _ if is_of_release(&path) => Ok(path),
        PathKind::Artifact { .. } | PathKind::Signature { .. } => Err("files of snapshots"),
        PathKind::Metadata(_) | PathKind::Other => Err("files of no release"),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    #[test]
    fn files_are_told_apart() {
        for (path, expected) in [
            ("org/acme/lib/1.0/lib-1.0.jar", "taken"),
            ("org/acme/lib/1.0/lib-1.0.jar.asc", "taken"),
            ("org/acme/lib/1.0/lib-1.0.jar.sha1", "checksums, which are made anew"),
            ("org/acme/lib/1.0/lib-1.0.jar.lastUpdated", "bookkeeping of clients"),
            ("org/acme/lib/1.0/lib-1.0.jar.part", "bookkeeping of clients"),
            ("org/acme/lib/1.0/_remote.repositories", "bookkeeping of clients"),
            ("org/acme/lib/1.0/_maven.repositories", "bookkeeping of clients"),
            ("org/acme/lib/1.0/m2e-lastUpdated.properties", "bookkeeping of clients"),
            ("org/acme/lib/resolver-status.properties", "bookkeeping of clients"),
            ("org/acme/lib/maven-metadata-central.xml", "documents, which are fetched anew"),
            ("org/acme/lib/maven-metadata.xml.sha1", "documents, which are fetched anew"),
            ("org/acme/maven-metadata-x/1.0/maven-metadata-x-1.0.jar", "taken"),
            ("org/acme/lib/1.0-SNAPSHOT/lib-1.0-SNAPSHOT.jar", "files of snapshots"),
            ("org/acme/lib/1.0/stray.jar", "files of no release"),
            ("archetype-catalog.xml", "files of no release"),
            ("org/acme/li%2fb/1.0/x.jar", "names that no repository has"),
            ("org/acme\n/lib/1.0/lib-1.0.jar", "names that no repository has"),
        ] {
            let found = classify(Path::new(path)).map_or_else(|kind| kind, |_| "taken");
            assert_eq!(found, expected, "{path}");
        }
        let bytes = Path::new(OsStr::from_bytes(b"org/acme/\xff/1.0/x-1.0.jar"));
        assert_eq!(classify(bytes), Err("names that no repository has"));
    }

    #[test]
    fn nothing_outside_of_the_folder_is_found() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(outside.path().join("secret/1.0")).unwrap();
        std::fs::write(outside.path().join("secret/1.0/secret-1.0.jar"), b"x").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let release = dir.path().join("org/acme/lib/1.0");
        std::fs::create_dir_all(&release).unwrap();
        std::fs::write(release.join("lib-1.0.jar"), b"jar").unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret/1.0/secret-1.0.jar"), release.join("lib-1.0.pom"))
            .unwrap();
        std::os::unix::fs::symlink(outside.path(), dir.path().join("org/outside")).unwrap();
        nix::unistd::mkfifo(&release.join("lib-1.0.war"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let mut skipped = BTreeMap::new();
        let mut walk = Walk::new(dir.path());
        let found = walk.next(&mut skipped).unwrap().unwrap();
        assert_eq!((found.path.as_str(), found.size), ("org/acme/lib/1.0/lib-1.0.jar", 3));
        assert_eq!(walk.next(&mut skipped).unwrap(), None);
        assert_eq!(skipped["links"], 2);
        assert_eq!(skipped["devices, sockets and pipes"], 1);
        for kind in ["lib-1.0.pom", "lib-1.0.war"] {
            assert!(open(&release.join(kind)).is_err(), "{kind}");
        }
    }
}
