//! A repository in a folder of its own, for the tests of this crate.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use pyrsia_digest::FileDigests;
use pyrsia_repository::Answer;

use crate::decide::Accepts;
use crate::error::{HostedError, Refused};
use crate::store::{Hosted, HostedConfig};
use crate::upload::Stored;

pub(crate) const JAR: &str = "com/example/lib/1.0/lib-1.0.jar";
pub(crate) const LIST: &str = "com/example/lib/maven-metadata.xml";

pub(crate) struct World {
    pub(crate) hosted: Hosted,
    pub(crate) now: Arc<AtomicU64>,
    pub(crate) folder: tempfile::TempDir,
}

pub(crate) fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicU64::new(1_700_000_000));
    let hosted = open(folder.path(), &now);
    World { hosted, now, folder }
}

pub(crate) fn open(folder: &Path, now: &Arc<AtomicU64>) -> Hosted {
    open_limited(folder, now, None)
}

pub(crate) fn open_limited(folder: &Path, now: &Arc<AtomicU64>, max_bytes: Option<u64>) -> Hosted {
    let config = HostedConfig { id: "all".parse().unwrap(), accepts: Accepts::Both, max_file: 1_000_000, max_bytes };
    let now = Arc::clone(now);
    Hosted::open(config, folder, Arc::new(move || now.load(Ordering::SeqCst))).unwrap()
}

impl World {
    pub(crate) async fn put(&self, path: &str, bytes: &[u8]) -> Result<Stored, HostedError> {
        self.put_as("ci", path, bytes).await
    }

    pub(crate) async fn put_as(&self, writer: &str, path: &str, bytes: &[u8]) -> Result<Stored, HostedError> {
        let mut upload = self.hosted.begin(&path.parse().unwrap(), None).await?;
        for chunk in bytes.chunks(1000) {
            upload.write(Bytes::copy_from_slice(chunk)).await?;
        }
        upload.finish(writer).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.hosted.get(&path.parse().unwrap()).await.unwrap()
    }

    pub(crate) async fn text(&self, path: &str) -> String {
        let Answer::Generated(document) = self.get(path).await else { panic!("{path} is no document") };
        assert_eq!(document.digests, FileDigests::of(&document.bytes));
        String::from_utf8(document.bytes.to_vec()).unwrap()
    }

    pub(crate) fn left(&self) -> usize {
        let count = |name: &str| std::fs::read_dir(self.folder.path().join(name)).unwrap().count();
        count("tmp") + count("blobs/tmp")
    }
}

pub(crate) fn refusal(result: Result<Stored, HostedError>) -> Refused {
    match result {
        Err(HostedError::Refused(refused)) => refused,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn list(versions: &[&str]) -> String {
    let versions: String = versions.iter().map(|version| format!("<version>{version}</version>")).collect();
    format!(
        "<metadata><groupId>com.example</groupId><artifactId>lib</artifactId><versioning><versions>{versions}</versions>\
         </versioning></metadata>"
    )
}
