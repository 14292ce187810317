//! Folders and lock files in places that other accounts of the machine can write to, such as `/tmp`.
//!
//! Nothing here follows a link that another account may have put there, and a mode is only set on what this process
//! has made itself.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

/// Makes a folder if there is none, with this mode; refuses one that another account owns: it could exchange the
/// files in it at will.
pub(crate) fn folder(path: &Path, mode: u32) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    match std::fs::create_dir(path) {
        Ok(()) => std::fs::set_permissions(path, Permissions::from_mode(mode))?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    // Both the name and what it leads to, if it is a link.
    let (name, found) = (std::fs::symlink_metadata(path)?, std::fs::metadata(path)?);
    let me = own_uid()?;
    if !found.is_dir() || !is_trusted(name.uid(), me) || !is_trusted(found.uid(), me) {
        let problem = format!("{} is not a folder that this account or root owns", path.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, problem));
    }
    Ok(())
}

/// The account that this process acts as: the owner of its own folder in `/proc`.
fn own_uid() -> io::Result<u32> {
    Ok(std::fs::metadata("/proc/self")?.uid())
}

fn is_trusted(owner: u32, me: u32) -> bool {
    owner == me || owner == 0
}

/// Opens a file to lock it; makes it if there is none, with this mode.
pub(crate) fn file(path: &Path, mode: u32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    match options.clone().create_new(true).open(path) {
        Ok(file) => {
            // By its handle, since the umask had a say and the name may mean another file by now.
            file.set_permissions(Permissions::from_mode(mode))?;
            Ok(file)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => existing(path),
        Err(error) => Err(error),
    }
}

/// Opens a lock file that is there. "Not found" if it was exchanged meanwhile for another one.
pub(crate) fn existing(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    // A link has another inode than what it led to; opening alone, without truncating, has changed nothing.
    let (opened, named) = (file.metadata()?, std::fs::symlink_metadata(path)?);
    let same = (opened.dev(), opened.ino()) == (named.dev(), named.ino());
    if !same && named.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    if !same || !opened.is_file() {
        let problem = format!("{} is not a regular file", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn links_are_not_followed_and_modes_of_others_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("target");
        std::fs::write(&target, "secret").unwrap();
        std::fs::set_permissions(&target, Permissions::from_mode(0o600)).unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(file(&link, 0o666).is_err());
        assert!(existing(&link).is_err());
        assert_eq!(mode(&target), 0o600);
        file(&target, 0o666).unwrap();
        assert_eq!(mode(&target), 0o600, "it was there before");
        let dangling = dir.path().join("dangling");
        std::os::unix::fs::symlink(dir.path().join("none"), &dangling).unwrap();
        assert!(file(&dangling, 0o666).is_err());
        assert!(!dir.path().join("none").exists());
        file(&dir.path().join("new"), 0o666).unwrap();
        assert_eq!(mode(&dir.path().join("new")), 0o666);
    }

    #[test]
    fn folders_are_made_once_and_must_be_ours() {
        let dir = tempfile::tempdir().unwrap();
        let made = dir.path().join("a/b");
        folder(&made, 0o1777).unwrap();
        assert_eq!(mode(&made), 0o1777);
        folder(&made, 0o755).unwrap();
        assert_eq!(mode(&made), 0o1777);
        std::fs::write(dir.path().join("file"), "").unwrap();
        assert!(folder(&dir.path().join("file"), 0o755).is_err());
        assert!(is_trusted(0, 1000) && is_trusted(1000, 1000));
        assert!(!is_trusted(1001, 1000) && !is_trusted(1000, 0));
    }
}
