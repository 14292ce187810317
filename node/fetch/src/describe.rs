//! What a repository says of a file that is not fetched.

use maven_layout::{ChecksumAlgorithm, RepoPath};
use reqwest::header::LAST_MODIFIED;

use crate::checksum::Claim;
use crate::download::claims_of;
use crate::http_origin::text;
use crate::origin::Described;
use crate::retry::parse_http_date;
use crate::{FetchError, HttpOrigin};

/// Checksum files in the order in which they are asked for. MD5 says nothing about bytes of unknown origin.
const FILES: [ChecksumAlgorithm; 3] = [ChecksumAlgorithm::Sha1, ChecksumAlgorithm::Sha256, ChecksumAlgorithm::Sha512];

impl HttpOrigin {
    /// HEAD, whose answer may hold the checksums; if it holds none that is worth anything, the checksum files up to the first
    /// that is there.
    pub(crate) async fn described(&self, path: &RepoPath) -> Result<Described, FetchError> {
        let url = path.to_url_path();
        let (mut checksums, last_modified) = match self.retrying(|| self.head(&url)).await {
            Ok(Some(answer)) => {
                let headers = answer.response.headers();
                let told = claims_of(headers).into_iter().filter_map(|(algorithm, _, claim)| says(algorithm, claim));
                (told.collect(), text(headers, LAST_MODIFIED.as_str()).and_then(parse_http_date))
            }
            Ok(None) => return Ok(Described::Absent),
            // A server that knows no HEAD may have checksum files all the same.
            Err(FetchError::Status { status: 405 | 501, .. }) => (Vec::new(), None),
            Err(error) => return Err(error),
        };
        if checksums.iter().all(|(algorithm, _)| *algorithm == ChecksumAlgorithm::Md5) {
            for algorithm in FILES {
                let claim = self.retrying(|| self.checksum_file(path, algorithm)).await?;
                if let Some(said) = says(algorithm, claim) {
                    checksums.push(said);
                    break;
                }
            }
        }
        Ok(Described::File { checksums, last_modified })
    }
}

fn says(algorithm: ChecksumAlgorithm, claim: Claim) -> Option<(ChecksumAlgorithm, String)> {
    match claim {
        Claim::Says(hex) => Some((algorithm, hex)),
        Claim::Missing | Claim::Unreadable | Claim::Malformed => None,
    }
}
