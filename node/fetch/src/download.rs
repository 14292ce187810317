//! One file from an [`HttpOrigin`]: its bytes, its checksums, the verdict.

use futures_util::future::join_all;
use maven_layout::{ChecksumAlgorithm, RepoPath};
use pyrsia_blobs::{AsyncBlobWriter, AsyncSealedBlob, BlobStore, Expected, Mismatch};
use reqwest::header::{HeaderMap, LAST_MODIFIED};

use crate::checksum::{self, Claim, MAX_CHECKSUM_BYTES};
use crate::http_origin::{Answer, text};
use crate::origin::OriginAnswer;
use crate::retry::parse_http_date;
use crate::{ChecksumReport, ChecksumSource, FetchError, HttpOrigin};

/// Whose word it is when the caller's expectation is not met.
pub(crate) const BY_CALLER: &str = "this network";

/// A file that has arrived, with what the origin says of it.
struct Download {
    url: String,
    sealed: AsyncSealedBlob,
    last_modified: Option<u64>,
    claims: Vec<(ChecksumAlgorithm, ChecksumSource, Claim)>,
}

impl HttpOrigin {
    /// Downloads and verifies; a mismatch gets a second chance, because mirrors and metadata change under our hands.
    pub(crate) async fn fetch_verified(
        &self,
        path: &RepoPath,
        expected: &Expected,
        blobs: &BlobStore,
    ) -> Result<OriginAnswer, FetchError> {
        match self.fetch_once(path, expected, blobs).await {
            Err(error @ FetchError::Mismatch { .. }) => {
                tracing::warn!(origin.id = self.id, error = %error, "fetching once more");
                self.fetch_once(path, expected, blobs).await
            }
            other => other,
        }
    }

    async fn fetch_once(
        &self,
        path: &RepoPath,
        expected: &Expected,
        blobs: &BlobStore,
    ) -> Result<OriginAnswer, FetchError> {
        let download = || self.download(path, expected, blobs);
        let Some(download) = self.retrying(download).await? else {
            return Ok(OriginAnswer::Absent);
        };
        let checksums = verify(&download, expected)?;
        if checksums.is_unverified() && checksum::wanted(path).is_some() {
            let malformed = checksums.malformed.len();
            tracing::warn!(
                origin.id = self.id, file.path = %path, malformed,
                "the origin has no checksum for this file that can be read"
            );
        }
        let stored = download.sealed.commit().await?;
        Ok(OriginAnswer::Found { stored, last_modified: download.last_modified, checksums })
    }

    /// One attempt: the file, and meanwhile its checksums.
    async fn download(
        &self,
        path: &RepoPath,
        expected: &Expected,
        blobs: &BlobStore,
    ) -> Result<Option<Download>, FetchError> {
        let Some(answer) = self.get(&path.to_url_path()).await? else {
            return Ok(None);
        };
        let url = answer.url.clone();
        let headers = answer.response.headers();
        let last_modified = text(headers, LAST_MODIFIED.as_str()).and_then(parse_http_date);
        let mut claims = claims_of(headers);
        // A digest from the ledger or the like is better than anything the origin could add.
        let wanted = if expected.is_strong() { None } else { checksum::wanted(path) };
        // What a header says is worth as much as what a file says, but for MD5.
        let in_headers = claims.iter().any(|(algorithm, ..)| *algorithm != ChecksumAlgorithm::Md5);
        let first = wanted.filter(|_| !in_headers).map(|(first, _)| first);
        // Whichever fails first ends the other: without the checksum the bytes are of no use.
        let body = self.body(answer, expected, blobs);
        let (sealed, files) = tokio::try_join!(body, self.checksum_files(path, first.as_slice()))?;
        claims.extend(files);
        let says_nothing = |(_, _, claim): &(_, _, Claim)| !matches!(claim, Claim::Says(_));
        if let Some((_, others)) = wanted
            && claims.iter().all(says_nothing)
        {
            claims.extend(self.checksum_files(path, others).await?);
        }
        Ok(Some(Download { url, sealed, last_modified, claims }))
    }

    async fn body(
        &self,
        answer: Answer<'_>,
        expected: &Expected,
        blobs: &BlobStore,
    ) -> Result<AsyncSealedBlob, FetchError> {
        let limit = self.config.max_file_bytes;
        if answer.response.content_length().is_some_and(|length| length > limit) {
            return Err(FetchError::TooLarge { url: answer.url, limit });
        }
        let mut writer: AsyncBlobWriter = blobs.async_writer().await?;
        let mut answer = answer;
        while let Some(chunk) = self.chunk(&mut answer, writer.size()).await? {
            let size = writer.size().saturating_add(chunk.len() as u64);
            if size > limit {
                return Err(FetchError::TooLarge { url: answer.url, limit });
            }
            // No need to store the rest of what cannot be right any more.
            if let Some(right) = expected.size.filter(|right| size > *right) {
                let actual = format!("{size} or more");
                let mismatch = Mismatch { what: "size", expected: right.to_string(), actual };
                return Err(FetchError::Mismatch { url: answer.url, by: BY_CALLER.to_owned(), mismatch });
            }
            writer.write(chunk).await?;
        }
        Ok(writer.seal().await?)
    }

    async fn checksum_files(
        &self,
        path: &RepoPath,
        algorithms: &[ChecksumAlgorithm],
    ) -> Result<Vec<(ChecksumAlgorithm, ChecksumSource, Claim)>, FetchError> {
        let files = algorithms.iter().map(|algorithm| async move {
            let claim = self.retrying(|| self.checksum_file(path, *algorithm)).await;
            // Marked, because its retries are used up: the file's own retries are for the file.
            let claim = claim.map_err(|e| FetchError::Checksum { source: Box::new(e) })?;
            Ok((*algorithm, ChecksumSource::File, claim))
        });
        join_all(files).await.into_iter().collect()
    }

    pub(crate) async fn checksum_file(
        &self,
        path: &RepoPath,
        algorithm: ChecksumAlgorithm,
    ) -> Result<Claim, FetchError> {
        let address = format!("{}.{}", path.to_url_path(), algorithm.extension());
        let mut answer = match self.get(&address).await {
            Ok(Some(answer)) => answer,
            // Some servers refuse what they do not have.
            Ok(None) | Err(FetchError::Denied { .. }) => return Ok(Claim::Missing),
            Err(FetchError::Status { status: 400..=407 | 409..=424, .. }) => return Ok(Claim::Missing),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        while let Some(chunk) = self.chunk(&mut answer, bytes.len() as u64).await? {
            if (bytes.len() + chunk.len()) as u64 > MAX_CHECKSUM_BYTES {
                return Ok(Claim::Unreadable);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(checksum::read(algorithm, &bytes))
    }
}

/// Decides whether the bytes may become visible.
fn verify(download: &Download, expected: &Expected) -> Result<ChecksumReport, FetchError> {
    let digests = download.sealed.digests();
    let mismatch = |by: String| {
        let url = download.url.clone();
        move |mismatch| FetchError::Mismatch { url, by, mismatch }
    };
    expected.check(digests).map_err(mismatch(BY_CALLER.to_owned()))?;
    let mut report = ChecksumReport { expected: expected.is_strong(), ..ChecksumReport::default() };
    for (algorithm, source, claim) in &download.claims {
        match claim {
            Claim::Missing => report.missing.push(*algorithm),
            Claim::Unreadable => report.unreadable.push(*algorithm),
            Claim::Malformed => report.malformed.push(*algorithm),
            Claim::Says(says) => {
                let by = match source {
                    ChecksumSource::Header => {
                        format!("the answer's {} header", checksum::header(*algorithm))
                    }
                    ChecksumSource::File => format!("its .{} file", algorithm.extension()),
                };
                checksum::check(*algorithm, says, digests).map_err(mismatch(by))?;
                report.verified.push((*algorithm, *source));
            }
        }
    }
    match report.unreadable.first() {
        Some(algorithm) if report.is_unverified() => {
            Err(FetchError::UnreadableChecksum { url: download.url.clone(), algorithm: *algorithm })
        }
        _ => Ok(report),
    }
}

pub(crate) fn claims_of(headers: &HeaderMap) -> Vec<(ChecksumAlgorithm, ChecksumSource, Claim)> {
    let claim = |algorithm: ChecksumAlgorithm| {
        // A header that holds no checksum is as good as none: the file is asked for.
        let says = checksum::parse(algorithm, text(headers, checksum::header(algorithm))?.as_bytes())?;
        Some((algorithm, ChecksumSource::Header, Claim::Says(says)))
    };
    ChecksumAlgorithm::ALL.into_iter().filter_map(claim).collect()
}
