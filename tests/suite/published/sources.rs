//! The sources of published releases, as repositories.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use pyrsia_tests::clients::unpack;
use pyrsia_tests::sources::git;
use pyrsia_tests::{http, places};

use super::Release;
use crate::fixture::central;

/// A folder of bare repositories, one for each release, that stand for the places that the releases name.
pub struct Published {
    folder: PathBuf,
    /// One is unpacked at a time: both ways of rebuilding a release may ask for it at once.
    unpacking: Mutex<()>,
}

impl Published {
    pub fn new(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).expect("a folder for the repositories");
        Self { folder: folder.to_owned(), unpacking: Mutex::default() }
    }

    /// Unpacks the source that was published with a release into a repository, under the release's tag.
    pub fn add(&self, release: &Release) {
        let _one = self.unpacking.lock().unwrap_or_else(PoisonError::into_inner);
        let bare = self.repository(release);
        if bare.exists() {
            return;
        }
        let folder = places::scratch("source-release");
        let url = format!("{}{}", central().maven2(), release.file("-source-release.zip"));
        unpack(&http::get(&url).expect(200).body, folder.path());
        // The archive has one folder, which is the tree.
        let tree = std::fs::read_dir(folder.path()).expect("it is there").flatten().next().expect("a folder").path();
        git(&tree, &["init", "-q"]);
        git(&tree, &["add", "-A", "-f"]);
        git(&tree, &["commit", "-q", "-m", &release.tag]);
        git(&tree, &["tag", &release.tag]);
        git(&tree, &["clone", "-q", "--bare", ".", &bare.to_string_lossy()]);
    }

    /// `--source-mirror` for a release: whatever is cloned from the place where its repository lies. Several releases of one
    /// repository have a repository each, with one tag.
    pub fn mirror_of(&self, release: &Release) -> String {
        format!("{}/=file://{}/", parent(&release.repository), self.place(release).display())
    }

    fn place(&self, release: &Release) -> PathBuf {
        self.folder.join(release.coordinates.replace(':', "_"))
    }

    fn repository(&self, release: &Release) -> PathBuf {
        self.place(release).join(release.repository.rsplit('/').next().expect("a name"))
    }
}

fn parent(repository: &str) -> &str {
    repository.rsplit_once('/').map_or(repository, |(parent, _)| parent)
}
