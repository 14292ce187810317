//! The `maven-metadata.xml` of what is in the folder.

use maven_layout::metadata::Metadata;
use maven_layout::{ArtifactId, Coordinates, GroupId, Version, metadata};

use super::target::Target;

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

fn holds_release(folder: &std::path::Path, release: &Coordinates) -> anyhow::Result<bool> {
    let begins = format!("{}-{}", release.artifact, release.version);
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_file() && entry.file_name().to_str().is_some_and(|name| name.starts_with(&begins)) {
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
    let there = std::fs::read(target.join(&path)).ok().and_then(|bytes| metadata::parse(&bytes).ok());
    let of_artifact = there.filter(|there| !there.versions.is_empty());
    let new = of_artifact.is_none();
    let whole = match of_artifact {
        Some(there) => metadata::merge(Metadata { plugins: Default::default(), ..there }, plugins)?,
        None => plugins,
    };
    target.put_document(&path, metadata::write(&whole).as_bytes())?;
    Ok(u64::from(new))
}
