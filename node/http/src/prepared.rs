//! The head of an answer, made once and used for every request that is answered with it.

use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use maven_layout::{ChecksumAlgorithm, RepoPath};
use pyrsia_digest::KnownDigests;
use pyrsia_repository::{Generated, Provenance, ServedFile, content_type};

use crate::conditional::{self, Selection, Version};
use crate::shapes::{self, Shape};

const CHECKSUMS: [(HeaderName, ChecksumAlgorithm); 4] = [
    (HeaderName::from_static("x-checksum-md5"), ChecksumAlgorithm::Md5),
    (HeaderName::from_static("x-checksum-sha1"), ChecksumAlgorithm::Sha1),
    (HeaderName::from_static("x-checksum-sha256"), ChecksumAlgorithm::Sha256),
    (HeaderName::from_static("x-checksum-sha512"), ChecksumAlgorithm::Sha512),
];

/// What is said of a file or document before its bytes, the same for GET and HEAD, of a 200 with all bytes.
#[derive(Debug)]
pub(crate) struct Prepared {
    shape: Arc<HeaderMap>,
    /// What is not the same for all files of the shape, with its place among the shape's values. The values lie one behind
    /// the other in one piece of memory, so that an answer touches few cache lines where thousands of files are asked for
    /// in turns.
    own: Box<[(usize, HeaderValue)]>,
    etag: String,
    last_modified: Option<u64>,
    size: u64,
    immutable: bool,
}

/// Which bytes are to be the body of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// None.
    Nothing,
    /// `length` bytes from `start`.
    Part {
        /// First byte.
        start: u64,
        /// How many.
        length: u64,
    },
    /// Several parts, each behind its head, and an end
    /// ([RFC 9110, section 14.6](https://www.rfc-editor.org/rfc/rfc9110#section-14.6)).
    Parts {
        /// The head of each part, with its first byte and its length.
        parts: Vec<(String, u64, u64)>,
        /// What follows the last one.
        end: String,
    },
}

impl Prepared {
    /// The head of a stored file.
    pub(crate) fn of_file(file: &ServedFile) -> Self {
        // Upstream's own time where it told one: a node that stands between another one and upstream must not make
        // releases look younger.
        let last_modified = Some(file.upstream_modified.unwrap_or(file.last_modified));
        Self::new(&file.path, &file.digests, last_modified, Some(file.provenance), file.immutable)
    }

    /// The head of a document that the node made.
    pub(crate) fn of_document(document: &Generated) -> Self {
        let digests = document.digests.clone().into();
        Self::new(&document.path, &digests, document.last_modified, document.provenance, document.immutable)
    }

    fn new(
        path: &RepoPath,
        digests: &KnownDigests,
        last_modified: Option<u64>,
        provenance: Option<Provenance>,
        immutable: bool,
    ) -> Self {
        let etag = format!("\"{}\"", digests.sha256);
        let mut text = String::with_capacity(512);
        let mut ranges: Vec<(HeaderName, Range<usize>)> = Vec::with_capacity(8);
        let mut put = |name: HeaderName, value: &str| {
            let from = text.len();
            text.push_str(value);
            ranges.push((name, from..text.len()));
        };
        put(header::ETAG, &etag);
        if let Some(date) = last_modified.and_then(conditional::http_date) {
            put(header::LAST_MODIFIED, &date);
        }
        // What is not known yet is left out: clients then ask for the checksum file.
        for (name, algorithm) in CHECKSUMS {
            if let Some(text) = digests.checksum(algorithm) {
                put(name, &text);
            }
        }
        put(header::CONTENT_LENGTH, &digests.size.to_string());
        let names = ranges.iter().map(|(name, _)| name.clone()).collect();
        let shape = shapes::of(Shape { names, provenance, immutable, content_type: content_type(path) });
        let text = Bytes::from(text.into_bytes().into_boxed_slice());
        let mut own: Box<[(usize, HeaderValue)]> = ranges
            .into_iter()
            .filter_map(|(name, range)| {
                let place = shape.keys().position(|key| *key == name)?;
                // Digests, dates and numbers are visible ASCII, so no value is ever left out.
                Some((place, HeaderValue::from_maybe_shared(text.slice(range)).ok()?))
            })
            .collect();
        own.sort_unstable_by_key(|(place, _)| *place);
        Self { shape, own, etag, last_modified, size: digests.size, immutable }
    }

    /// The head of a 200 with all bytes.
    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::clone(&self.shape);
        let mut own = self.own.iter().peekable();
        for (at, slot) in headers.values_mut().enumerate() {
            if let Some((_, value)) = own.next_if(|(place, _)| *place == at) {
                *slot = value.clone();
            }
        }
        headers
    }

    /// The answer to a request, still without its body, and which bytes are to be its body.
    pub(crate) fn begin(&self, method: &Method, request: &HeaderMap) -> (Response, Wanted) {
        let Self { last_modified, size, immutable, .. } = *self;
        let version = Version { etag: &self.etag, last_modified, size, immutable };
        let selection = conditional::select(method, request, version);
        let mut response = Response::new(Body::empty());
        let mut headers = self.headers();
        let mut put = |name: HeaderName, text: String| {
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(name, value);
            }
        };
        let (status, wanted) = match selection {
            Selection::All => (StatusCode::OK, Wanted::Part { start: 0, length: size }),
            Selection::Part { start, length } => {
                // `length` is at least 1 and the part lies inside the file.
                put(header::CONTENT_RANGE, format!("bytes {start}-{}/{size}", start + (length - 1)));
                headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
                (StatusCode::PARTIAL_CONTENT, Wanted::Part { start, length })
            }
            Selection::Parts(parts) => {
                // Bytes that hold their own digest cannot be made, so it is nowhere in a part.
                let boundary = self.etag.trim_matches('"');
                let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
                let parts: Vec<_> = parts
                    .into_iter()
                    .map(|(start, length)| {
                        let last = start + (length - 1);
                        let head = format!(
                            "\r\n--{boundary}\r\ncontent-type: {kind}\r\ncontent-range: bytes {start}-{last}/{size}\r\n\r\n"
                        );
                        (head, start, length)
                    })
                    .collect();
                let end = format!("\r\n--{boundary}--\r\n");
                let total =
                    parts.iter().map(|(head, _, length)| head.len() as u64 + length).sum::<u64>() + end.len() as u64;
                let kind = format!("multipart/byteranges; boundary={boundary}");
                headers.insert(header::CONTENT_LENGTH, HeaderValue::from(total));
                if let Ok(kind) = HeaderValue::from_str(&kind) {
                    headers.insert(header::CONTENT_TYPE, kind);
                }
                (StatusCode::PARTIAL_CONTENT, Wanted::Parts { parts, end })
            }
            Selection::NotModified => {
                // The length stays the one that a 200 would have: the only one allowed here, and without it axum would
                // add 0.
                headers.remove(header::CONTENT_TYPE);
                (StatusCode::NOT_MODIFIED, Wanted::Nothing)
            }
            Selection::Failed => {
                headers.remove(header::CONTENT_TYPE);
                headers.insert(header::CONTENT_LENGTH, HeaderValue::from(0));
                (StatusCode::PRECONDITION_FAILED, Wanted::Nothing)
            }
            Selection::Unsatisfiable => {
                put(header::CONTENT_RANGE, format!("bytes */{size}"));
                headers.insert(header::CONTENT_LENGTH, HeaderValue::from(0));
                (StatusCode::RANGE_NOT_SATISFIABLE, Wanted::Nothing)
            }
        };
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        (response, if *method == Method::HEAD { Wanted::Nothing } else { wanted })
    }
}
