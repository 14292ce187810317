//! Getting a source archive, and making it a source.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use build_spec::SourceDistribution;
use java_builder::source::{CloneAddress, clone_address, repository_of_archive};
use maven_layout::CanonicalRepository;
use pyrsia_digest::Sha256;

use super::Chosen;
use super::download::download;
use crate::cli::SourceArgs;
use crate::compose::java_config;
use crate::context::Context;
use crate::exit::{CommandError, Exit};

/// If a specification builds an archive: gets it into `work`, says in the specification which one it was, and makes the
/// arguments and the source map lead to a repository that holds its files.
///
/// # Errors
/// The archive cannot be had, is not the one that the specification names, or is no source.
pub async fn get(
    context: &mut Context,
    chosen: &mut Option<Chosen>,
    wanted: &mut SourceArgs,
    named: &SourceArgs,
    work: &Path,
) -> anyhow::Result<bool> {
    let Some(chosen) = chosen.as_mut() else { return Ok(false) };
    let (archive, stated) = match (chosen.archive.take(), &chosen.specification.source_distribution) {
        (Some(archive), _) => (archive, None),
        (None, Some(SourceDistribution { url, sha256, path, remove })) => {
            let archive = build_spec::Archive { url: url.clone(), path: path.clone(), remove: remove.clone() };
            (archive, Some(*sha256))
        }
        (None, None) => return Ok(false),
    };
    ensure!(
        named.source.is_none() && named.tag.is_none() && named.commit.is_none(),
        "{} builds an archive, so there is no repository, tag or commit to name",
        chosen.place
    );
    let none = |text: String| CommandError::new(Exit::NoSource, text);
    let address =
        maven_layout::scm::canonical(&archive.url).map_err(|error| none(format!("{}: {error}", archive.url)))?;
    // What is reduced to something else is the page of a repository, and would pass for that.
    let own = archive.url.rsplit('/').next().is_some_and(|name| address.as_str().ends_with(&format!("/{name}")));
    ensure!(own, none(format!("{} is no address of an archive, but of something in {address}", archive.url)));
    let file = work.join("archive");
    let fetched = fetch(context, &archive.url, &address, &file).await;
    let sha256 = fetched.map_err(|error| none(format!("{}: {error:#}", archive.url)))?;
    if let Some(stated) = stated.filter(|stated| *stated != sha256) {
        return Err(none(format!("{} is {sha256}, not {stated}", archive.url)).into());
    }
    let repository = work.join("archive.git");
    let limits = context.config.builder.java.limits.clone();
    let (url, into, from) = (archive.url.clone(), repository.clone(), archive.clone());
    let made = tokio::task::spawn_blocking(move || {
        repository_of_archive(&file, &url, from.path.as_deref(), &from.remove, &into, &limits)
    });
    let commit = made.await?.map_err(|error| none(error.to_string()))?;
    context.config.source_mirrors.insert(address.to_string(), format!("file://{}", repository.display()));
    chosen.notes.push(format!("the source is the archive {}, SHA-256 {sha256}, as one commit", archive.url));
    wanted.source = Some(archive.url.clone());
    wanted.commit = Some(commit);
    chosen.specification.source_distribution = Some(archive.with_digest(sha256));
    chosen.specification.version = 2;
    chosen.specification.check()?;
    Ok(true)
}

/// Writes what is at the address into a file; the source map holds for it too.
async fn fetch(context: &Context, url: &str, address: &CanonicalRepository, into: &Path) -> anyhow::Result<Sha256> {
    let config = java_config(context);
    let java = &config.limits;
    let most = java.clone_mib.saturating_mul(1024 * 1024);
    let mapped = clone_address(address, &config.source_mirrors);
    // What no rule maps is asked for as it is written.
    let url = if mapped.mirrored { mapped.url.as_str() } else { url };
    if let Some(path) = url.strip_prefix("file://") {
        let size = tokio::fs::metadata(path).await.with_context(|| format!("cannot read {path}"))?.len();
        ensure!(size <= most, "it is larger than {} MiB", java.clone_mib);
        tokio::fs::copy(path, into).await.with_context(|| format!("cannot read {path}"))?;
    } else {
        let from = CloneAddress { url: url.to_owned(), mirrored: mapped.mirrored };
        // Everything together: names are looked up and connections made on the way as well.
        let limit = Duration::from_secs(java.clone_seconds);
        let downloaded =
            tokio::time::timeout(limit, download(from, config.private_sources, (java.clone_seconds, most), into)).await;
        downloaded.with_context(|| format!("it did not come within {} s", java.clone_seconds))??;
    }
    let into = into.to_owned();
    tokio::task::spawn_blocking(move || crate::commands::local_files::digests(&into)).await?.map(|all| all.sha256)
}
