//! Single files that a specification names: got from their addresses, under the rules for the addresses of sources.

use std::fmt::Display;
use std::path::Path;

use build_spec::{ExtraInput, Input, InputError, RepositoryId, SourceError};
use java_builder::JavaBuilderConfig;
use java_builder::source::{FileAddress, file_address};
use pyrsia_blobs::BlobStore;

use crate::checked_download::{self, Broken};
use crate::commands::local_files;

/// Gets a file into the store, unless it is there already.
///
/// # Errors
/// [`InputError::Refused`] for an address that is not asked, a file that is not there, and one that is another;
/// [`InputError::Unavailable`] where trying again may help.
pub async fn get(config: &JavaBuilderConfig, input: &ExtraInput, blobs: &BlobStore) -> Result<Input, InputError> {
    let problem = Problem(&input.url);
    let (store, sha256) = (blobs.clone(), input.sha256);
    let kept = move || {
        let file = store.get(&sha256)?;
        // A damaged one is got again.
        Some((file, store.verify(&sha256).ok()?))
    };
    let kept = tokio::task::spawn_blocking(kept).await.map_err(|error| problem.for_now(error))?;
    if let Some((file, digests)) = kept {
        return Ok(Input::found(file, digests));
    }
    let address = file_address(config, &input.url).await.map_err(|error| match error {
        SourceError::Refused { problem: text, .. } => problem.for_good(text),
        error => problem.for_now(error),
    })?;
    let folder = config.temp_dir.clone().unwrap_or_else(std::env::temp_dir);
    let file = tempfile::Builder::new().prefix("input-").tempfile_in(folder).map_err(|error| problem.for_now(error))?;
    fetch(config, &address, file.path(), &problem).await?;
    let store = blobs.clone();
    let keep = move || -> anyhow::Result<_> {
        let found = local_files::digests(file.path())?.sha256;
        Ok(if found == sha256 { Ok(store.import_file(file.path())?) } else { Err(found) })
    };
    let kept = tokio::task::spawn_blocking(keep).await.map_err(|error| problem.for_now(error))?;
    match kept.map_err(|error| problem.for_now(format!("{error:#}")))? {
        Ok(stored) => Ok(Input::found(stored.path, stored.digests)),
        Err(found) => Err(problem.for_good(format!("it is {found}, not {sha256}"))),
    }
}

async fn fetch(
    config: &JavaBuilderConfig,
    address: &FileAddress,
    into: &Path,
    problem: &Problem<'_>,
) -> Result<(), InputError> {
    let most = config.limits.source_mib.saturating_mul(1024 * 1024);
    if let Some(path) = address.url.strip_prefix("file://") {
        let unreadable = |error: std::io::Error| problem.for_good(format!("{path}: {error}"));
        let there = tokio::fs::metadata(path).await.map_err(unreadable)?;
        if !there.is_file() {
            // A device or pipe has no size, and no end.
            return Err(problem.for_good(format!("{path} is no file")));
        }
        if there.len() > most {
            return Err(problem.for_good(Broken::TooLarge(most)));
        }
        tokio::fs::copy(path, into).await.map_err(unreadable)?;
        return Ok(());
    }
    let is_plain = address.mirrored && address.url.starts_with("http://");
    if !is_plain && !address.url.starts_with("https://") {
        return Err(problem.for_good("a source mirror of single files leads to https, http or file"));
    }
    let client = checked_download::client(address.way.clone(), config.limits.clone_seconds);
    let client = client.map_err(|error| problem.for_now(error))?;
    let answer = client.get(&address.url).send().await.map_err(|error| problem.for_now(error.without_url()))?;
    let status = answer.status();
    if status.is_redirection() {
        return Err(problem.for_good("its server leads to another address, which is not followed: name that one"));
    }
    if status.is_client_error() && status.as_u16() != 429 {
        return Err(problem.for_good(format!("its server says {status}")));
    }
    if !status.is_success() {
        return Err(problem.for_now(format!("its server says {status}")));
    }
    checked_download::write(answer, most, into).await.map_err(|error| match error {
        Broken::TooLarge(_) => problem.for_good(error),
        error => problem.for_now(error),
    })
}

/// What is wrong with the file at an address.
struct Problem<'a>(&'a str);

impl Problem<'_> {
    fn for_good(&self, problem: impl Display) -> InputError {
        InputError::Refused { url: self.0.to_owned(), problem: problem.to_string() }
    }

    fn for_now(&self, problem: impl Display) -> InputError {
        InputError::Unavailable {
            repository: RepositoryId::inputs().to_string(),
            path: self.0.to_owned(),
            problem: problem.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use java_builder::SourceMirror;
    use pyrsia_digest::Sha256;

    use super::*;

    #[tokio::test]
    async fn a_file_is_what_its_digest_says_and_comes_through_the_source_map() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = BlobStore::open(folder.path().join("blobs")).unwrap();
        std::fs::write(folder.path().join("a.zip"), b"a zip").unwrap();
        let mut config = JavaBuilderConfig { temp_dir: Some(folder.path().to_owned()), ..JavaBuilderConfig::default() };
        config.source_mirrors = vec![SourceMirror {
            prefix: "https://files.example/".to_owned(),
            replacement: format!("file://{}/", folder.path().display()),
        }];
        let input = |url: &str, content: &[u8]| {
            let sha256 = Sha256::of(content);
            ExtraInput { url: url.to_owned(), sha256, path: "a.zip".to_owned() }
        };
        let refusal = async |input: &ExtraInput| match get(&config, input, &blobs).await {
            Err(InputError::Refused { problem, .. }) => problem,
            other => panic!("{other:?}"),
        };
        let right = input("https://files.example/a.zip", b"a zip");
        let Ok(Input::Found { file, digests, .. }) = get(&config, &right, &blobs).await else { panic!("it is there") };
        assert_eq!((std::fs::read(file).unwrap().as_slice(), digests.sha256), (&b"a zip"[..], right.sha256));
        let other = refusal(&input("https://files.example/a.zip", b"other")).await;
        assert_eq!(other, format!("it is {}, not {}", Sha256::of(b"a zip"), Sha256::of(b"other")));
        assert!(refusal(&input("https://files.example/none.zip", b"none")).await.contains("none.zip"));
        std::fs::create_dir(folder.path().join("folder")).unwrap();
        assert!(refusal(&input("https://files.example/folder", b"x")).await.contains("is no file"));
        for path in ["../a.zip", "folder/../a.zip", "folder/%2E./a.zip"] {
            let outside = refusal(&input(&format!("https://files.example/{path}"), b"other")).await;
            assert!(outside.contains("`..`"), "{path}: {outside}");
        }
        // What is here already needs no address.
        std::fs::remove_file(folder.path().join("a.zip")).unwrap();
        assert!(matches!(get(&config, &right, &blobs).await, Ok(Input::Found { .. })));
        assert!(refusal(&input("https://127.0.0.1/a.zip", b"x")).await.contains("not public"));
        let small = JavaBuilderConfig {
            limits: java_builder::Limits { source_mib: 0, ..config.limits.clone() },
            ..config.clone()
        };
        std::fs::write(folder.path().join("b.zip"), b"b").unwrap();
        let large = get(&small, &input("https://files.example/b.zip", b"b"), &blobs).await;
        assert!(matches!(large, Err(InputError::Refused { problem, .. }) if problem.contains("larger")));
    }
}
