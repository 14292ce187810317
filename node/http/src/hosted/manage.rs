//! What is in a repository, and a version taken away: for the operator, and for those who were given that right.

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use maven_layout::{Coordinates, RepoPath};
use pyrsia_api_types::{HostedRemoval, HostedVersion, HostedVersions, Problem};

use super::access::Access;
use super::{HostedRepository, problems};
use crate::api;

type Answered = Result<Response, Box<Problem>>;

/// Whether the list is asked for, and not the text for people.
pub(super) fn wants_list(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut kinds = accepted.flat_map(|value| value.split(',')).filter_map(|kind| kind.split(';').next());
    kinds.any(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// `GET /hosted/ID/` as JSON: the versions whose files may be read.
pub(super) async fn list(hosted: &HostedRepository, access: &Access<'_>) -> Answered {
    let versions = hosted.repository.versions().await.map_err(|error| Box::new(problems::not_managed(&error)))?;
    let shown = versions.into_iter().filter(|listed| access.read(&listed.coordinates.pom_path()).is_ok());
    let versions = shown
        .map(|listed| HostedVersion {
            gav: listed.coordinates.to_string(),
            files: listed.files,
            bytes: listed.bytes,
            stored: listed.stored,
            writers: if access.sees_writers() { listed.writers.into_iter().collect() } else { Vec::new() },
        })
        .collect();
    answer(&HostedVersions { id: hosted.repository.id().to_string(), versions })
}

/// A removal that was asked for by somebody who may.
pub(super) struct Removal<'a> {
    version: Coordinates,
    by: &'a str,
}

/// What `DELETE /hosted/ID/GROUP/ARTIFACT/VERSION/` would remove, if whoever asks may.
pub(super) fn removal<'a>(access: &Access<'a>, encoded: &str) -> Result<Removal<'a>, Box<Problem>> {
    let path = RepoPath::from_url_path(encoded.strip_suffix('/').unwrap_or(encoded));
    let path = path.map_err(|error| Box::new(problems::bad_path(error.to_string())))?;
    let version = version_at(&path).ok_or_else(|| Box::new(problems::no_version(&path)))?;
    let by = access.remove(&version.pom_path()).map_err(|denied| Box::new(problems::not_removing(&denied)))?;
    Ok(Removal { version, by })
}

/// Carries it out.
pub(super) async fn remove(hosted: &HostedRepository, removal: &Removal<'_>) -> Answered {
    let Removal { version, by } = removal;
    let removed = hosted.repository.remove(version, by).await;
    let removed = removed.map_err(|error| Box::new(problems::not_managed(&error)))?;
    answer(&HostedRemoval {
        id: hosted.repository.id().to_string(),
        gav: version.to_string(),
        files: removed.files,
        bytes: removed.bytes,
        documents: removed.documents.iter().map(ToString::to_string).collect(),
    })
}

fn answer<T: serde::Serialize>(document: &T) -> Answered {
    api::json(StatusCode::OK, document).map_err(|error| Box::new(error.into_problem()))
}

/// The version whose folder this is; a build of a snapshot has a name and no folder of its own.
fn version_at(path: &RepoPath) -> Option<Coordinates> {
    let (rest, version) = path.as_str().rsplit_once('/')?;
    let (group, artifact) = rest.rsplit_once('/')?;
    if group.contains('.') {
        return None;
    }
    let group = group.replace('/', ".").parse().ok()?;
    Some(Coordinates::new(group, artifact.parse().ok()?, version.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_their_folders() {
        for (path, version) in [
            ("com/example/lib/1.0", Some("com.example:lib:1.0")),
            ("com/my.lib/2-SNAPSHOT", Some("com:my.lib:2-SNAPSHOT")),
            ("com/example/lib/2-20261122.072715-2", Some("com.example:lib:2-20261122.072715-2")),
            ("com/example", None),
            ("com/ex.ample/lib/1.0", None),
        ] {
            let read = version_at(&path.parse().unwrap()).map(|version| version.to_string());
            assert_eq!(read.as_deref(), version, "{path}");
        }
    }

    #[test]
    fn the_list_is_for_those_who_ask_for_it() {
        for (accepted, wanted) in [
            ("application/json", true),
            ("text/html, application/json;q=0.5", true),
            ("*/*", false),
            ("text/html,application/xhtml+xml,*/*;q=0.8", false),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, accepted.parse().unwrap())]);
            assert_eq!(wants_list(&headers), wanted, "{accepted}");
        }
        assert!(!wants_list(&HeaderMap::new()));
    }
}
