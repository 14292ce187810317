//! From refusals and failures to answers.

use axum::http::{HeaderValue, header};
use axum::response::Response;
use hyper::ext::ReasonPhrase;
use maven_layout::RepoPath;
use pyrsia_api_types::Problem;
use pyrsia_hosted::{HostedError, Refused};

use super::access::Denied;
use super::receive::{Interrupted, NotReceived};
use crate::guard::CHALLENGE;
use crate::problem::problem_response;

/// The answer that a problem is. Its title is the reason in the status line too: older Mavens show that and nothing else.
pub(crate) fn respond(problem: Problem, path: &str, head: bool) -> Response {
    let problem = problem.instance(path);
    let mut response = problem_response(&problem, head);
    if let Ok(reason) = ReasonPhrase::try_from(problem.title.clone()) {
        response.extensions_mut().insert(reason);
    }
    if problem.status == 401 {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE));
    }
    if problem.status == 405 {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, PUT"));
    }
    if problem.status == 503 {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    response
}

/// Somebody may not do this.
pub(crate) fn denied(denied: &Denied, writing: bool) -> Problem {
    match denied {
        Denied::Unknown if writing => {
            Problem::new("credentials-required", 401, "Only known writers upload to this repository.")
                .detail("The request names no writer of this repository, or the token is not the writer's.")
                .next("Send a writer's name and token (in Maven's settings.xml: a <server> with the repository's id).")
        }
        Denied::Unknown => Problem::new("credentials-required", 401, "This repository answers to known readers only.")
            .next("Send the user name and token that its operator gave you (in Maven's settings.xml: a <server>)."),
        Denied::ReadsOnly => {
            Problem::new("reads-only", 403, "These credentials read this repository and upload nothing.")
                .next("Send those of one of its writers.")
        }
        Denied::Elsewhere { name, paths } => {
            let what = if writing { "upload" } else { "read" };
            Problem::new("other-paths", 403, format!("{name} may not {what} here."))
                .detail(format!("The credentials of {name} are for: {paths}"))
                .next("Ask the operator of the node for credentials for this path.")
        }
    }
}

/// There is no repository of this name.
pub(crate) fn no_repository(id: &str) -> Problem {
    Problem::new("not-found", 404, "There is no such repository.")
        .detail(format!("No hosted repository of this node has the id {:?}.", id.chars().take(64).collect::<String>()))
        .next("Look at the [[hosted]] entries of its configuration.")
}

/// Not a path of a repository.
pub(crate) fn bad_path(detail: String) -> Problem {
    Problem::new("bad-path", 400, "This is not a path of a Maven repository.").detail(detail)
}

/// Neither read nor uploaded.
pub(crate) fn wrong_method() -> Problem {
    Problem::new("wrong-method", 405, "Files of a hosted repository are read and uploaded, and nothing else.")
        .next("A version is removed as a whole: `pyrsia-maven hosted remove`, or DELETE of its folder with a slash at the end.")
}

/// A folder that is none of a version.
pub(crate) fn no_version(path: &RepoPath) -> Problem {
    Problem::new("bad-path", 400, "This is not the folder of a version.")
        .detail(format!("{path} is not GROUP/ARTIFACT/VERSION."))
        .next("Remove a release, a snapshot or a build of one, such as /hosted/ID/com/example/lib/1.0/.")
}

/// Somebody may not take a version away.
pub(crate) fn not_removing(denied: &Denied) -> Problem {
    match denied {
        Denied::Unknown => Problem::new("credentials-required", 401, "Only those who have the right remove versions.")
            .next("Send the node's own token as `Authorization: Bearer TOKEN`, or run `pyrsia-maven hosted remove`."),
        Denied::ReadsOnly => Problem::new("no-removal", 403, "These credentials remove nothing from this repository.")
            .next(
                "Its operator does (`pyrsia-maven hosted remove`), or gives a writer the right: `may_remove = true`.",
            ),
        Denied::Elsewhere { name, paths } => {
            Problem::new("other-paths", 403, format!("{name} may not remove anything here."))
                .detail(format!("The credentials of {name} are for: {paths}"))
                .next("Ask the operator of the node.")
        }
    }
}

/// A list could not be made, or a version not be taken away.
pub(crate) fn not_managed(error: &HostedError) -> Problem {
    match error {
        HostedError::Refused(refused) => refusal(refused),
        HostedError::Stopping => Problem::new("stopping", 503, "This node is stopping.").next("Try again."),
        _ => {
            tracing::error!(error.message = %error, "a hosted repository cannot be looked through");
            Problem::new("local", 500, "This node could not do that.")
                .detail(error.to_string())
                .next("Stop it and run `pyrsia-maven fsck`; a removal can be repeated.")
        }
    }
}

/// A part of a file, or a file in an encoding.
pub(crate) fn not_whole() -> Problem {
    Problem::new("not-whole", 400, "A file is uploaded whole and as it is.")
        .detail("The request has a Content-Range or a Content-Encoding.")
}

/// Too many at a time.
pub(crate) fn busy() -> Problem {
    Problem::new("busy", 503, "Too many uploads or other changes are under way.").next("Try again in a moment.")
}

/// An upload came to nothing.
pub(crate) fn not_received(error: &NotReceived, path: &RepoPath) -> Problem {
    match error {
        NotReceived::Hosted(error) => failed(error, path),
        NotReceived::Interrupted(Interrupted::Late) => Problem::new("late", 408, "The upload did not arrive in time.")
            .detail(format!("{path}: {error}; nothing of it was stored."))
            .next("Try again."),
        NotReceived::Interrupted(Interrupted::Broken(_)) => Problem::new("broken", 400, "The upload broke off.")
            .detail(format!("{path}: {error}; nothing of it was stored."))
            .next("Try again."),
    }
}

/// An upload was refused, or could not be stored.
pub(crate) fn failed(error: &HostedError, path: &RepoPath) -> Problem {
    let problem = match error {
        HostedError::Refused(refused) => return refusal(refused),
        _ if error.is_disk_full() => Problem::new("disk-full", 507, "The disk of this node is full.")
            .next("Its operator has to free some space; then try again."),
        HostedError::Stopping => Problem::new("stopping", 503, "This node is stopping.").next("Try again."),
        HostedError::Blob(_) | HostedError::Io { .. } | HostedError::Entry { .. } => {
            tracing::error!(error.message = %error, file.path = %path, "an upload cannot be stored");
            Problem::new("local", 500, "This node could not store the upload.").next("See the log of the node.")
        }
    };
    problem.detail(format!("{path}: {error}; nothing of it was stored."))
}

fn refusal(refused: &Refused) -> Problem {
    let (kind, status, title, next) = match refused {
        Refused::Path { .. } => (
            "bad-path",
            400,
            "Nothing is uploaded under this path.",
            "Deploy with Maven's layout: group/artifact/version/artifact-version.extension.",
        ),
        Refused::LongName { .. } => ("bad-path", 400, "A name in this path is too long.", "Use shorter names."),
        Refused::OtherKind { snapshot: true, .. } => (
            "snapshot",
            409,
            "This repository accepts releases, and this is a snapshot.",
            "Deploy snapshots to the repository for them: <snapshotRepository> in <distributionManagement>.",
        ),
        Refused::OtherKind { .. } => (
            "release",
            409,
            "This repository accepts snapshots, and this is a release.",
            "Deploy releases to the repository for them: <repository> in <distributionManagement>.",
        ),
        Refused::NoBuild { .. } => (
            "no-build",
            409,
            "A file of a snapshot is uploaded under the name of its build, or of the snapshot.",
            "Deploy with Maven, Gradle, sbt or another client, which know the names.",
        ),
        Refused::TooLarge { .. } => {
            ("too-large", 413, "This file is larger than the repository takes.", "Its operator sets `max_file`.")
        }
        // Not 413: the file is not too large, and fits when there is room again. It is what a full disk is answered with.
        Refused::Full { .. } => (
            "repository-full",
            507,
            "This repository is full: its limit leaves no room for the file.",
            "Its operator removes versions (`hosted remove`) and runs `pyrsia-maven gc`, or raises `max_bytes`.",
        ),
        Refused::Immutable { .. } => (
            "immutable",
            409,
            "This file was published before, with other bytes, and never changes.",
            "Publish the new bytes under a new version.",
        ),
        Refused::Occupied { .. } => {
            ("occupied", 409, "Something lies in the way of this file.", "Use other coordinates.")
        }
        Refused::Document { .. } => (
            "bad-document",
            400,
            "This is no maven-metadata.xml.",
            "Deploy with Maven, Gradle or another client that writes it.",
        ),
        Refused::OtherDocument { .. } => {
            ("other-document", 409, "This maven-metadata.xml is about something else.", "Upload it where it belongs.")
        }
        Refused::Checksum { .. } => {
            ("bad-checksum", 400, "This is no checksum.", "Upload the checksum in hexadecimal.")
        }
        Refused::NothingToCheck { .. } => {
            ("nothing-to-check", 409, "There is no file that this could be the checksum of.", "Upload the file first.")
        }
        Refused::Mismatch { taken_back: true, .. } => (
            "mismatch",
            422,
            "The file is not what its checksum says: it was damaged on its way, or changed while it was sent.",
            "The file was taken back. Deploy it again.",
        ),
        Refused::Mismatch { stays: false, .. } => {
            ("mismatch", 422, "This is not the checksum of the file that is here.", "Deploy the file again.")
        }
        Refused::Mismatch { .. } => (
            "mismatch",
            422,
            "This is not the checksum of the file that is here.",
            "The file stays as it is. Publish other bytes under a new version.",
        ),
        Refused::NotHere { .. } => {
            ("not-found", 404, "There is nothing of this version.", "`pyrsia-maven hosted list` shows what is here.")
        }
    };
    Problem::new(kind, status, title).detail(format!("{refused}.")).next(next)
}
