//! What one document says beyond another: whether a list that somebody else was given is one that an own source vouches
//! for.

use std::collections::BTreeSet;
use std::fmt::Display;

use super::{Metadata, MetadataError, parse};
use crate::version::Version;
use crate::xml::{self, Element};

/// The first thing that `claimed` says and `own` does not; none if `own` vouches for all of it.
///
/// A list may be older or shorter than the own one: versions and plugins may be missing, never added; `latest` and
/// `release` are among the claimed versions or are the own ones. The group and the artifact are the same. Whatever
/// [`parse`] passes over (unknown elements, names that are not valid, an element said twice) might mean something to
/// another reader, so it has to stand in the own document as well. Documents about snapshots are never vouched for.
/// Times are not compared.
///
/// # Errors
/// [`MetadataError`] if the *own* document cannot be read; a claimed one that cannot be is a sentence.
pub fn excess(claimed: &[u8], own: &[u8]) -> Result<Option<String>, MetadataError> {
    let mine = parse(own)?;
    let theirs = match parse(claimed) {
        Ok(theirs) => theirs,
        Err(error) => return Ok(Some(format!("it cannot be read: {error}"))),
    };
    if let Some(found) = compare(&theirs, &mine) {
        return Ok(Some(found));
    }
    let known = oddities(own)?;
    let found = oddities(claimed)?.into_iter().find(|odd| !known.contains(odd));
    Ok(found.map(|odd| format!("it says {}", shortened(&odd))))
}

fn compare(theirs: &Metadata, mine: &Metadata) -> Option<String> {
    if theirs.version.is_some() || theirs.snapshot.is_some() || !theirs.snapshot_versions.is_empty() {
        return Some("it is about a snapshot".to_owned());
    }
    if let Some(found) = other("group", theirs.group.as_ref(), mine.group.as_ref())
        .or_else(|| other("artifact", theirs.artifact.as_ref(), mine.artifact.as_ref()))
    {
        return Some(found);
    }
    let known: BTreeSet<&str> = mine.versions.iter().map(Version::as_str).collect();
    if let Some(version) = theirs.versions.iter().find(|version| !known.contains(version.as_str())) {
        return Some(format!("it lists version {version}"));
    }
    let listed: BTreeSet<&str> = theirs.versions.iter().map(Version::as_str).collect();
    for (what, claimed, own) in [("latest", &theirs.latest, &mine.latest), ("release", &theirs.release, &mine.release)]
    {
        if let Some(version) = claimed
            && claimed != own
            && !listed.contains(version.as_str())
        {
            return Some(format!("its {what} is {version}, which it does not list"));
        }
    }
    theirs.plugins.iter().find_map(|(prefix, plugin)| match mine.plugins.get(prefix) {
        Some(own) if own.artifact == plugin.artifact => None,
        _ => Some(format!("it gives the prefix {} to {}", shortened(prefix), plugin.artifact)),
    })
}

fn other<T: PartialEq + Display>(what: &str, theirs: Option<&T>, mine: Option<&T>) -> Option<String> {
    match (theirs, mine) {
        (theirs, mine) if theirs == mine => None,
        (Some(theirs), _) => Some(format!("it is about the {what} {theirs}")),
        (None, _) => Some(format!("it names no {what}")),
    }
}

/// Everything that [`parse`] passes over, as text.
fn oddities(bytes: &[u8]) -> Result<BTreeSet<String>, MetadataError> {
    let root = xml::parse(bytes, "metadata")?;
    let mut odd = Odd(BTreeSet::new());
    odd.children(&root, &["groupId", "artifactId", "version", "versioning", "plugins"]);
    if let Some(versioning) = root.child("versioning") {
        odd.children(versioning, &["latest", "release", "versions", "lastUpdated", "snapshot", "snapshotVersions"]);
        for name in ["latest", "release"] {
            versioning.all(name).filter(|element| !is_version(element)).for_each(|element| odd.add(element));
        }
        for versions in versioning.all("versions") {
            let strange = |element: &&Element| element.name != "version" || !is_version(element);
            versions.children.iter().filter(strange).for_each(|element| odd.add(element));
        }
    }
    for plugins in root.all("plugins") {
        for plugin in &plugins.children {
            let valid = plugin.name == "plugin"
                && plugin.text_of("prefix").is_some()
                && plugin.text_of("artifactId").is_some_and(|text| text.parse::<crate::ArtifactId>().is_ok());
            if valid {
                odd.children(plugin, &["name", "prefix", "artifactId"]);
            } else {
                odd.add(plugin);
            }
        }
    }
    Ok(odd.0)
}

struct Odd(BTreeSet<String>);

impl Odd {
    fn add(&mut self, element: &Element) {
        let mut text = String::new();
        flatten(element, &mut text);
        self.0.insert(text);
    }

    /// Children that are unknown, or said more than once.
    fn children(&mut self, parent: &Element, known: &[&str]) {
        let mut seen = BTreeSet::new();
        for child in &parent.children {
            let first = seen.insert(child.name.as_str());
            if !first || !known.contains(&child.name.as_str()) {
                self.add(child);
            }
        }
    }
}

fn is_version(element: &Element) -> bool {
    element.children.is_empty() && (element.text.is_empty() || element.text.parse::<Version>().is_ok())
}

/// Elements are nested as deep as the parser allows, so this recursion ends.
fn flatten(element: &Element, text: &mut String) {
    text.push('<');
    text.push_str(&element.name);
    text.push('>');
    text.push_str(&element.text);
    for child in &element.children {
        flatten(child, text);
    }
    text.push_str("</>");
}

fn shortened(text: &str) -> String {
    text.chars().take(100).collect()
}
