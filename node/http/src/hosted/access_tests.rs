use super::*;
use crate::guard::Reader;
use base64::Engine as _;
use pyrsia_hosted::{Accepts, Hosted, HostedConfig};

const NODE: &str = "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn";

/// The secret of somebody is the name, often.
fn secret(name: &str) -> String {
    name.repeat(32)
}

fn holder(name: &str, paths: &[&str]) -> Holder {
    let paths = paths.iter().map(|text| text.parse().unwrap()).collect();
    Holder { name: name.to_owned(), token: Token::new(&secret(name)).unwrap(), paths, removes: name == "v" }
}

fn guard(readers: &[&str]) -> GuardConfig {
    let reader = |name: &&str| Reader {
        name: (*name).to_owned(),
        token: Token::new(&secret(name)).unwrap(),
        groups: Vec::new(),
    };
    let readers = (!readers.is_empty()).then(|| readers.iter().map(reader).collect());
    GuardConfig { hosts: vec![], token: Token::new(NODE).unwrap(), readers }
}

fn headers(value: Option<String>) -> HeaderMap {
    value.into_iter().map(|value| (axum::http::header::AUTHORIZATION, value.parse().unwrap())).collect()
}

fn basic(name: &str, secret: &str) -> Option<String> {
    Some(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{name}:{secret}"))))
}

struct World {
    folder: tempfile::TempDir,
}

impl World {
    fn repository(&self, readers: Option<Vec<Holder>>) -> HostedRepository {
        let config = HostedConfig { id: "r".parse().unwrap(), accepts: Accepts::Both, max_file: 1, max_bytes: None };
        let repository = Hosted::open(config, self.folder.path(), std::sync::Arc::new(|| 0)).unwrap();
        HostedRepository { repository, writers: vec![holder("w", &["com.acme"]), holder("v", &["*"])], readers }
    }
}

/// Read, write: 200, 401 or 403.
fn asked(hosted: &HostedRepository, guard: &GuardConfig, shown: Option<String>, path: &str) -> (u16, u16) {
    let headers = headers(shown);
    let access = Access::of(&headers, guard, Some(hosted));
    let path = path.parse().unwrap();
    let status = |result: Result<(), Denied>| match result {
        Ok(()) => 200,
        Err(Denied::Unknown) => 401,
        Err(Denied::ReadsOnly | Denied::Elsewhere { .. }) => 403,
    };
    (status(access.read(&path)), status(access.write(&path).map(|_| ())))
}

#[test]
fn everybody_reads_on_an_open_listener_and_writers_write_where_they_may() {
    let world = World { folder: tempfile::tempdir().unwrap() };
    let (hosted, guard) = (world.repository(None), guard(&[]));
    for (shown, path, expected) in [
        (None, "com/acme/x", (200, 401)),
        (basic("w", &secret("w")), "com/acme/x", (200, 200)),
        (basic("w", &secret("w")), "com/acmes/x", (200, 403)),
        (basic("v", &secret("v")), "com/acmes/x", (200, 200)),
        (basic("w", &secret("v")), "com/acme/x", (200, 401)),
        (basic("v", ""), "com/acme/x", (200, 401)),
        (Some(format!("Bearer {}", secret("w"))), "com/acme/x", (200, 200)),
        (Some(format!("bearer {}", secret("w"))), "org/x", (200, 403)),
        (Some(format!("Bearer {NODE}")), "com/acme/x", (200, 401)),
        (Some("Basic".to_owned()), "com/acme/x", (200, 401)),
        (Some("Basic ====".to_owned()), "com/acme/x", (200, 401)),
        (Some(format!("Digest {}", secret("w"))), "com/acme/x", (200, 401)),
    ] {
        assert_eq!(asked(&hosted, &guard, shown.clone(), path), expected, "{shown:?} {path}");
    }
    let mut both = HeaderMap::new();
    for value in [basic("w", &secret("w")), basic("v", &secret("v"))].into_iter().flatten() {
        both.append(axum::http::header::AUTHORIZATION, value.parse().unwrap());
    }
    assert!(Access::of(&both, &guard, Some(&hosted)).write(&"com/acme/x".parse().unwrap()).is_err(), "which one?");
}

#[test]
fn a_listener_for_known_readers_shows_nothing_to_others() {
    let world = World { folder: tempfile::tempdir().unwrap() };
    let (hosted, guard) = (world.repository(None), guard(&["r"]));
    for (shown, expected) in [
        (None, (401, 401)),
        (basic("r", &secret("r")), (200, 401)),
        (basic("r", &secret("w")), (401, 401)),
        (basic("w", &secret("w")), (200, 200)),
        (Some(format!("Bearer {NODE}")), (200, 401)),
    ] {
        assert_eq!(asked(&hosted, &guard, shown.clone(), "com/acme/x"), expected, "{shown:?}");
    }
    let nowhere = Access::of(&headers(None), &guard, None);
    assert_eq!(nowhere.enter(), Err(Denied::Unknown), "whether a repository exists is not said either");
    assert!(Access::of(&headers(basic("w", &secret("w"))), &guard, None).enter().is_err());
    assert!(Access::of(&headers(basic("r", &secret("r"))), &guard, None).enter().is_ok());
}

#[test]
fn a_repository_with_readers_of_its_own_is_theirs_on_every_listener() {
    let world = World { folder: tempfile::tempdir().unwrap() };
    let hosted = world.repository(Some(vec![holder("o", &["com.acme"])]));
    for guard in [guard(&[]), guard(&["r"])] {
        for (shown, path, expected) in [
            (None, "com/acme/x", (401, 401)),
            (basic("r", &secret("r")), "com/acme/x", (401, 401)),
            (basic("o", &secret("o")), "com/acme/x", (200, 401)),
            (basic("o", &secret("o")), "org/x", (403, 401)),
            (basic("w", &secret("w")), "org/x", (200, 403)),
            (Some(format!("Bearer {NODE}")), "org/x", (200, 401)),
        ] {
            assert_eq!(asked(&hosted, &guard, shown.clone(), path), expected, "{shown:?} {path}");
        }
    }
}

#[test]
fn versions_are_taken_away_by_the_operator_and_by_writers_who_may() {
    let world = World { folder: tempfile::tempdir().unwrap() };
    let mut hosted = world.repository(Some(vec![holder("o", &["*"])]));
    hosted.writers.push(Holder { removes: true, ..holder("x", &["com.acme"]) });
    let (path, other): (RepoPath, RepoPath) = ("com/acme/lib/1/lib-1.pom".parse().unwrap(), "org/x".parse().unwrap());
    for guard in [guard(&[]), guard(&["r"])] {
        for (shown, expected) in [
            (None, (401, 401)),
            (basic("w", &secret("w")), (403, 403)),
            (basic("x", &secret("x")), (200, 403)),
            (basic("v", &secret("v")), (200, 200)),
            (basic("o", &secret("o")), (403, 403)),
            (basic("r", &secret("r")), (401, 401)),
            (Some(format!("Bearer {NODE}")), (200, 200)),
        ] {
            let headers = headers(shown.clone());
            let access = Access::of(&headers, &guard, Some(&hosted));
            let status = |path| match access.remove(path) {
                Ok(_) => 200,
                Err(Denied::Unknown) => 401,
                Err(Denied::ReadsOnly | Denied::Elsewhere { .. }) => 403,
            };
            assert_eq!((status(&path), status(&other)), expected, "{shown:?}");
        }
    }
}
