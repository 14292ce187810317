//! What was taken away.
//!
//! Whoever deploys reads a list of versions, adds one and uploads it, and all of it is merged: a version that was removed
//! meanwhile would come back into the list. So a note says that it was, until a file of it is uploaded again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use maven_layout::Coordinates;
use pyrsia_digest::Sha256;

use crate::error::HostedError;
use crate::tree::sync;

/// The notes: files named after the SHA-256 of `group:artifact:version`, which is what they hold.
#[derive(Debug)]
pub(crate) struct Gone(PathBuf);

impl Gone {
    /// Opens the notes in a repository's folder.
    pub(crate) fn open(root: &Path) -> Result<Self, HostedError> {
        let folder = root.join("gone");
        fs::create_dir_all(&folder).map_err(HostedError::io("create", &folder))?;
        sync(root)?;
        Ok(Self(folder))
    }

    /// Whether a version, or a build of a snapshot, was taken away and has not come back.
    pub(crate) fn is(&self, version: &Coordinates) -> bool {
        self.place(version).is_file()
    }

    /// Notes that it is taken away, on the disk when this returns.
    pub(crate) fn note(&self, version: &Coordinates) -> Result<(), HostedError> {
        let place = self.place(version);
        fs::write(&place, version.to_string()).map_err(HostedError::io("write", &place))?;
        sync(&self.0)
    }

    /// A file of it is uploaded: its note goes, and for a build that of its snapshot too.
    pub(crate) fn came_back(&self, version: &Coordinates) -> Result<(), HostedError> {
        let base = Coordinates { version: version.version.base(), ..version.clone() };
        for version in [&base, version] {
            let place = self.place(version);
            match fs::remove_file(&place) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(HostedError::io("remove", &place)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn place(&self, version: &Coordinates) -> PathBuf {
        self.0.join(Sha256::of(version.to_string().as_bytes()).to_string())
    }
}
