//! `/log`: the tree as auditors read it ([C2SP tlog-tiles](https://c2sp.org/tlog-tiles)).

use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use pyrsia_api_types::Problem;

use crate::api::{Answered, harden, text};
use crate::problem::ApiError;
use crate::router::Shared;
use crate::tile::{self, Tile, WIDTH};

/// The newest certified checkpoint.
pub(crate) async fn checkpoint(State(shared): State<Shared>) -> Answered {
    Ok(text(shared.view.checkpoint().await?))
}

/// Hashes or leaves.
pub(crate) async fn tile(State(shared): State<Shared>, Path(path): Path<String>) -> Answered {
    let bytes = match tile::parse(&path) {
        None => return Err(no_tile()),
        Some(Tile::Hashes { level, index, width }) => {
            let hashes = shared.view.tree_nodes(8 * level, index * u64::from(WIDTH), width).await?;
            complete(hashes.len(), width)?;
            hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
        }
        Some(Tile::Entries { index, width }) => {
            let leaves = shared.view.leaves(index * u64::from(WIDTH), width).await?;
            complete(leaves.len(), width)?;
            bundle(&leaves)?
        }
    };
    Ok(binary(bytes))
}

/// A tile is there when all of it is: its bytes never change, so it may be kept for ever.
fn complete(have: usize, width: u16) -> Result<(), ApiError> {
    if have == usize::from(width) { Ok(()) } else { Err(no_tile()) }
}

fn no_tile() -> ApiError {
    ApiError::new(
        Problem::new("not-found", 404, "There is no such tile.")
            .detail("The log is not that large, or the path is malformed."),
    )
}

/// Each leaf with its length in two bytes, the greater first.
fn bundle(leaves: &[Vec<u8>]) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::new();
    for leaf in leaves {
        let length = u16::try_from(leaf.len())
            .map_err(|_| ApiError::new(Problem::new("internal", 500, "A leaf is too long for an entry bundle.")))?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(leaf);
    }
    Ok(bytes)
}

fn binary(bytes: Vec<u8>) -> Response {
    let mut response = bytes.into_response();
    harden(&mut response);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    response
}
