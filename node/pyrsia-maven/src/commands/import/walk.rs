//! A folder that somebody else has filled: which of its files are files of releases, or of builds of snapshots.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use maven_layout::{PathKind, RepoPath, metadata};
use pyrsia_repository::is_fixed;

use crate::commands::local_files::was_installed;

/// A file whose bytes never change.
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

    /// The next file whose bytes never change; what is none is told by its kind, and by its path if no other place has it.
    pub fn next(&mut self, skip: &mut impl FnMut(&str, Option<&RepoPath>)) -> anyhow::Result<Option<Found>> {
        loop {
            let Some(file) = self.files.pop() else {
                let Some(folder) = self.folders.pop() else { return Ok(None) };
                if let Err(error) = self.look_into(&folder, skip) {
                    if folder == self.root {
                        return Err(error).with_context(|| format!("cannot read {}", folder.display()));
                    }
                    skip("folders that cannot be read", None);
                }
                continue;
            };
            let relative = file.strip_prefix(&self.root).unwrap_or(&file);
            match classify(relative) {
                Ok(path) => {
                    let size = std::fs::symlink_metadata(&file).map_or(0, |file| file.len());
                    return Ok(Some(Found { file, path, size }));
                }
                Err(Skip::Kind(kind)) => skip(kind, None),
                Err(Skip::Snapshot(path)) if was_installed(&file) => skip(INSTALLED, Some(&path)),
                Err(Skip::Snapshot(_)) => skip(COPIES, None),
            }
        }
    }

    fn look_into(&mut self, folder: &Path, skip: &mut impl FnMut(&str, Option<&RepoPath>)) -> std::io::Result<()> {
        let (mut folders, mut files) = (Vec::new(), Vec::new());
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_symlink() {
                skip("links", None);
            } else if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path());
            } else {
                skip("devices, sockets and pipes", None);
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

/// What Maven, Ivy, Gradle and IDEs write beside files for themselves.
fn is_bookkeeping(name: &str) -> bool {
    const NAMES: [&str; 2] = ["m2e-lastUpdated.properties", "resolver-status.properties"];
    const ENDS: [&str; 4] = [".lastUpdated", ".part", ".lock", ".tmp"];
    name.starts_with(['_', '.']) || NAMES.contains(&name) || ENDS.iter().any(|end| name.ends_with(end))
}

/// Snapshots that exist on one machine alone: served, they would have to come from a repository that somebody deploys to.
pub const INSTALLED: &str =
    "snapshots installed on this machine, which no upstream has: deploy them to a hosted repository";
/// What a client keeps of a snapshot besides the build that it is a copy of.
const COPIES: &str = "copies of builds of snapshots, which clients make anew";

/// Why a file is not looked at.
#[derive(Debug, PartialEq, Eq)]
enum Skip {
    Kind(&'static str),
    /// One of a snapshot that has no build's time in its name.
    Snapshot(RepoPath),
}

/// The path of a file whose bytes never change, or what it is else.
fn classify(relative: &Path) -> Result<RepoPath, Skip> {
    let parsed: Option<RepoPath> = relative.to_str().and_then(|text| text.parse().ok());
    let path = parsed.ok_or(Skip::Kind("names that no repository has"))?;
    let name = path.file_name();
    if is_bookkeeping(name) {
        return Err(Skip::Kind("bookkeeping of clients"));
    }
    let stem = metadata::FILE_NAME.trim_end_matches(".xml");
    match path.kind() {
        // `maven-metadata-central.xml` too, which Maven writes.
        _ if name.starts_with(stem) && name.contains(".xml") => Err(Skip::Kind("documents, which are fetched anew")),
        PathKind::Checksum { .. } => Err(Skip::Kind("checksums, which are made anew")),
        _ if is_fixed(&path) => Ok(path),
        PathKind::Artifact { .. } | PathKind::Signature { .. } => Err(Skip::Snapshot(path)),
        PathKind::Metadata(_) | PathKind::Other => Err(Skip::Kind("files of no release")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;
    use crate::commands::local_files::open;

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
            ("org/acme/lib/1.0-SNAPSHOT/lib-1.0-SNAPSHOT.jar", "a snapshot"),
            ("org/acme/lib/1.0-SNAPSHOT/lib-1.0-SNAPSHOT.jar.asc", "a snapshot"),
            ("org/acme/lib/1.0-SNAPSHOT/lib-1.0-20261122.072715-2.jar", "taken"),
            ("org/acme/lib/1.0-SNAPSHOT/lib-1.0-20261122.072715-2-sources.jar.asc", "taken"),
            ("org/acme/lib/1.0/stray.jar", "files of no release"),
            ("archetype-catalog.xml", "files of no release"),
            ("org/acme/li%2fb/1.0/x.jar", "names that no repository has"),
            ("org/acme\n/lib/1.0/lib-1.0.jar", "names that no repository has"),
        ] {
            let found = match classify(Path::new(path)) {
                Ok(_) => "taken",
                Err(Skip::Kind(kind)) => kind,
                Err(Skip::Snapshot(_)) => "a snapshot",
            };
            assert_eq!(found, expected, "{path}");
        }
        let bytes = Path::new(OsStr::from_bytes(b"org/acme/\xff/1.0/x-1.0.jar"));
        assert_eq!(classify(bytes), Err(Skip::Kind("names that no repository has")));
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
        // A note that nobody writes to must not be waited for.
        let snapshot = dir.path().join("org/acme/lib/2-SNAPSHOT");
        std::fs::create_dir_all(&snapshot).unwrap();
        std::fs::write(snapshot.join("lib-2-SNAPSHOT.jar"), b"jar").unwrap();
        nix::unistd::mkfifo(&snapshot.join("_remote.repositories"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let mut skipped = BTreeMap::<String, u32>::new();
        let mut skip = |kind: &str, _: Option<&RepoPath>| *skipped.entry(kind.to_owned()).or_default() += 1;
        let mut walk = Walk::new(dir.path());
        let found = walk.next(&mut skip).unwrap().unwrap();
        assert_eq!((found.path.as_str(), found.size), ("org/acme/lib/1.0/lib-1.0.jar", 3));
        assert_eq!(walk.next(&mut skip).unwrap(), None);
        assert_eq!(skipped["links"], 2);
        assert_eq!(skipped["devices, sockets and pipes"], 2);
        assert_eq!(skipped[COPIES], 1);
        for kind in ["lib-1.0.pom", "lib-1.0.war"] {
            assert!(open(&release.join(kind)).is_err(), "{kind}");
        }
    }
}
