//! The `maven-metadata.xml` of what is in the folder.

use std::io::Read as _;

use maven_layout::metadata::Metadata;
use maven_layout::{ArtifactId, ArtifactRef, Coordinates, GroupId, RepoPath, Version, metadata};

use super::target::Target;
use crate::commands::local_files;

/// Writes the document of an artifact: the versions that lie in the folder, whichever export wrote them. Without one the
/// document is removed. Returns how many were written.
pub fn versions(target: &mut Target, group: &GroupId, artifact: &ArtifactId) -> anyhow::Result<u64> {
    let folder = |version: &Version| Coordinates::new(group.clone(), artifact.clone(), version.clone());
    let Ok(path) = format!("{}/{artifact}/{}", group.dir(), metadata::FILE_NAME).parse() else { return Ok(0) };
    let own = target.join(&path).with_file_name("");
    let mut versions: Vec<Version> = Vec::new();
    for name in target.folders_in(&own)? {
        // A folder without the release's files is one of another group.
        if let Ok(version) = name.parse::<Version>()
            && holds_release(&own.join(&name), &folder(&version))?
        {
            versions.push(version);
        }
    }
    if versions.is_empty() {
        target.remove(&path)?;
        return Ok(0);
    }
    let document = metadata::write(&Metadata::of_versions(group, artifact, versions));
    target.put_document(&path, document.as_bytes())?;
    Ok(1)
}

/// Writes the document of a snapshot: the newest build of each file, of those that lie in the folder. Where none has a build's time
/// in its name there is no document, and clients ask for the files by the snapshot's own name. Returns how many were written.
pub fn builds(target: &mut Target, snapshot: &Coordinates) -> anyhow::Result<u64> {
    let Ok(path) = format!("{}/{}", snapshot.dir(), metadata::FILE_NAME).parse::<RepoPath>() else { return Ok(0) };
    let mut files = Vec::new();
    for name in target.files_in(&target.join(&path).with_file_name(""))? {
        let file: Option<RepoPath> = format!("{}/{name}", snapshot.dir()).parse().ok();
        files.extend(file.and_then(|file| ArtifactRef::from_path(&file)));
    }
    let document = Metadata::of_snapshot(snapshot, files);
    if document.snapshot.is_none() {
        target.remove(&path)?;
        return Ok(0);
    }
    target.put_document(&path, metadata::write(&document).as_bytes())?;
    Ok(1)
}

/// Whether a folder has files of the release, or of any build of the snapshot.
fn holds_release(folder: &std::path::Path, release: &Coordinates) -> anyhow::Result<bool> {
    let begins = format!("{}-{}", release.artifact, release.version);
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let of_release = |name: &str| {
            let file: Option<RepoPath> = format!("{}/{name}", release.dir()).parse().ok();
            let build =
                || file.and_then(|file| ArtifactRef::from_path(&file)).map(|file| file.coordinates.version.base());
            name.starts_with(&begins) || (release.version.is_snapshot() && build().as_ref() == Some(&release.version))
        };
        if entry.file_type()?.is_file() && entry.file_name().to_str().is_some_and(of_release) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Writes the plugins of a group, of those in the document that was seen, that are in the folder: by them Maven finds a
/// plugin that is called by its prefix. The same path may list the versions of an artifact; then the document says both.
pub fn plugins(target: &mut Target, group: &GroupId, seen: &[u8]) -> anyhow::Result<u64> {
    let Ok(mut document) = metadata::parse(seen) else { return Ok(0) };
    document.plugins.retain(|_, plugin| {
        let versions = format!("{}/{}/{}", group.dir(), plugin.artifact, metadata::FILE_NAME).parse();
        versions.is_ok_and(|path| target.join(&path).is_file())
    });
    if document.plugins.is_empty() {
        return Ok(0);
    }
    let plugins = Metadata { plugins: document.plugins, ..Metadata::default() };
    let path = group.metadata_path();
    // What an earlier export said of plugins is told anew; the versions were written a moment ago.
    let there = local_files::open(&target.join(&path)).ok().and_then(|file| {
        let mut bytes = Vec::new();
        file.take(metadata::MAX_BYTES).read_to_end(&mut bytes).ok()?;
        metadata::parse(&bytes).ok()
    });
    let of_artifact = there.filter(|there| !there.versions.is_empty());
    let new = of_artifact.is_none();
    let whole = match of_artifact {
        Some(there) => metadata::merge(Metadata { plugins: Default::default(), ..there }, plugins)?,
        None => plugins,
    };
    target.put_document(&path, metadata::write(&whole).as_bytes())?;
    Ok(u64::from(new))
}
