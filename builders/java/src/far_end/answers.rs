//! From a request to the bytes of an answer, over whatever holds the files.

use std::io;
use std::path::PathBuf;

use async_trait::async_trait;
use build_spec::{BuildError, RepositoryId};
use bytes::Bytes;
use maven_layout::RepoPath;
use pyrsia_digest::{FileDigests, MultiHasher, Sha256};

use crate::far_end::{Held, Known, Routes, Wanted, is_snapshot};

/// Files up to this size are read whole; larger ones are sent as a stream.
const WHOLE: u64 = 8 * 1024 * 1024;

/// Who holds the files: a record's inputs or a replay's manifest.
#[async_trait]
pub(crate) trait Answers: Send + Sync {
    /// The repositories that may be asked.
    fn routes(&self) -> &Routes;

    /// What the repository has; an error ends the build.
    async fn ask(&self, repository: &RepositoryId, path: &RepoPath) -> Result<Held, BuildError>;
}

/// An answer, ready to be sent.
#[derive(Debug)]
pub(crate) enum Reply {
    /// 200 with these bytes.
    Bytes(Bytes),
    /// 200 with this file.
    File { file: PathBuf, size: u64 },
    /// 404.
    NotFound,
}

/// Answers one request; an error ends the build.
pub(crate) async fn answer(answers: &dyn Answers, path: RepoPath) -> Result<Reply, BuildError> {
    let wanted = Wanted::of(path);
    if is_snapshot(wanted.file()) {
        return Err(BuildError::Snapshot(wanted.file().to_string()));
    }
    for repository in answers.routes().for_path(wanted.file()) {
        let Held::File { file, size, known } = answers.ask(repository, wanted.file()).await? else { continue };
        let unusable =
            |problem: String| BuildError::InputsUnavailable(format!("{repository} {}: {problem}", wanted.file()));
        return match (&wanted, known) {
            (Wanted::Checksum(_, algorithm), Known::All(digests)) => {
                Ok(Reply::Bytes(digests.checksum(*algorithm).into()))
            }
            (Wanted::Checksum(_, algorithm), Known::Sha256(expected)) => {
                let digests = hash(file, size, expected).await.map_err(unusable)?;
                Ok(Reply::Bytes(digests.checksum(*algorithm).into()))
            }
            (Wanted::File(_), known) if size <= WHOLE => {
                let bytes = tokio::fs::read(&file).await.map_err(|error| unusable(error.to_string()))?;
                let expected = match known {
                    Known::All(digests) => digests.sha256,
                    Known::Sha256(sha256) => sha256,
                };
                if Sha256::of(&bytes) != expected {
                    return Err(unusable("the stored file is not what it is said to be".to_owned()));
                }
                Ok(Reply::Bytes(bytes.into()))
            }
            (Wanted::File(_), Known::Sha256(expected)) => {
                hash(file.clone(), size, expected).await.map_err(unusable)?;
                Ok(Reply::File { file, size })
            }
            (Wanted::File(_), Known::All(_)) => Ok(Reply::File { file, size }),
        };
    }
    Ok(Reply::NotFound)
}

/// All digests of what there is to read.
pub(crate) fn digests(input: &mut impl io::Read) -> io::Result<FileDigests> {
    let mut hasher = MultiHasher::new();
    let mut buffer = vec![0; 1 << 17];
    loop {
        match input.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            read => hasher.update(&buffer[..read]),
        }
    }
}

/// All digests of a file, if it is what it should be.
pub(crate) async fn hash(file: PathBuf, size: u64, expected: Sha256) -> Result<FileDigests, String> {
    let work = move || digests(&mut std::fs::File::open(file)?);
    let digests = tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())?;
    if digests.sha256 != expected || digests.size != size {
        return Err("the stored file is not what the manifest says".to_owned());
    }
    Ok(digests)
}
