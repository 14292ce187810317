//! What the heads of many answers have in common.
//!
//! Thousands of files differ in a handful of values; the names, and the values that say the same of all of them, are kept once.
//! They then stay in the processor's cache while the files change.

use std::sync::{Arc, Mutex, PoisonError};

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use pyrsia_repository::Provenance;

use crate::problem::{NOSNIFF, SANDBOX};

const PROVENANCE: HeaderName = HeaderName::from_static("x-pyrsia-provenance");

/// What a head is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    /// The headers whose values each file has of its own.
    pub(crate) names: Vec<HeaderName>,
    /// Where the bytes come from, if it is told.
    pub(crate) provenance: Option<Provenance>,
    /// Whether the path always has these bytes.
    pub(crate) immutable: bool,
    /// The media type, of those that the repository knows.
    pub(crate) content_type: &'static str,
}

/// Shapes that are kept: more than there are kinds of files. What comes later is made each time.
const MOST: usize = 256;

static KNOWN: Mutex<Vec<(Shape, Arc<HeaderMap>)>> = Mutex::new(Vec::new());

/// The head of this shape, with empty values in the places of a file's own.
pub(crate) fn of(shape: Shape) -> Arc<HeaderMap> {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, headers)) = known.iter().find(|(other, _)| *other == shape) {
        return Arc::clone(headers);
    }
    let headers = Arc::new(make(&shape));
    if known.len() < MOST {
        known.push((shape, Arc::clone(&headers)));
    }
    headers
}

fn make(shape: &Shape) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(16);
    for name in &shape.names {
        headers.insert(name, HeaderValue::from_static(""));
    }
    if let Some(provenance) = shape.provenance {
        headers.insert(PROVENANCE, HeaderValue::from_static(provenance.as_str()));
    }
    if !shape.immutable {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    }
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_SECURITY_POLICY, SANDBOX);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(shape.content_type));
    headers
}
