//! Where a specification comes from that does not lie in the commit: a file, or a collection of files that others have
//! written, as a folder or a git repository.
//!
//! What is read is data: TOML of our own, or `.buildspec` files of Reproducible Central. A file that is refused is refused
//! by name; nothing is executed or guessed.

mod archive;
mod collection;
mod download;
mod listing;

use std::path::Path;

use anyhow::{Context as _, ensure};
use build_spec::{Archive, Specification, from_buildspec};
use buildspec::{Buildspec, Origin, Revision};
use java_builder::source::commit_with_message;
use maven_layout::Coordinates;

use crate::cli::SourceArgs;
use crate::compose::java_config;
use crate::context::Context;
use crate::exit::{CommandError, Exit};

pub use archive::get as get_archive;
use collection::BUILDSPEC;
pub use listing::everything;

/// Bytes of one file; longer ones are no specifications.
const MAX_FILE: usize = 64 * 1024;

/// A specification, and what the file says about the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// The specification.
    pub specification: Specification,
    /// The repository.
    pub source: Option<String>,
    /// The tag.
    pub tag: Option<String>,
    /// The commit.
    pub commit: Option<String>,
    /// A text in the message of the commit, where neither tag nor id is known.
    pub message: Option<String>,
    /// An archive that is built instead of a commit, where its digest is not known.
    pub archive: Option<Archive>,
    /// Where it stands.
    pub place: String,
    /// What the file asks for that the specification does not say.
    pub notes: Vec<String>,
}

/// Reads a file of either form. The release, if the file says which one it is for.
pub fn parse(place: &str, text: &str) -> anyhow::Result<(Option<Coordinates>, Chosen)> {
    let chosen = |specification: Specification, notes: Vec<String>| Chosen {
        specification,
        source: None,
        tag: None,
        commit: None,
        message: None,
        archive: None,
        place: place.to_owned(),
        notes,
    };
    if !place.ends_with(BUILDSPEC) {
        let specification = Specification::from_toml(text).with_context(|| format!("{place} is no specification"))?;
        return Ok((None, chosen(specification, Vec::new())));
    }
    let file = Buildspec::parse(text).with_context(|| format!("{place} is not read"))?;
    let converted = from_buildspec(&file).with_context(|| format!("{place} cannot be built here"))?;
    let mut chosen = chosen(converted.specification, converted.notes);
    chosen.archive = converted.archive;
    if let Origin::Git { repository, revision } = &file.origin {
        chosen.source = Some(repository.to_string());
        match revision {
            Revision::Tag(tag) => chosen.tag = Some(tag.clone()),
            Revision::Commit(commit) => chosen.commit = Some(commit.clone()),
            Revision::Message(message) => chosen.message = Some(message.clone()),
        }
    }
    Ok((Some(file.coordinates), chosen))
}

/// Reads the file that somebody names, for a release if one is meant.
pub fn read(path: &Path, wanted: Option<&Coordinates>) -> anyhow::Result<Chosen> {
    let place = path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {place}"))?;
    let (stated, chosen) = parse(&place, &text)?;
    if let (Some(stated), Some(wanted)) = (stated, wanted) {
        // A reactor is one specification, under whichever of its modules.
        let same = stated.group == wanted.group && stated.version == wanted.version;
        ensure!(same, "{place} is for {stated}, not for {wanted}");
    }
    Ok(chosen)
}

impl Chosen {
    /// The specification for a network, which builds commits and no archives.
    pub fn for_a_network(self) -> anyhow::Result<Specification> {
        let archive = self.archive.is_some() || self.specification.source_distribution.is_some();
        ensure!(!archive, "{} builds an archive, which only `rebuild` does: a network builds commits", self.place);
        Ok(self.specification)
    }
}

/// The specification that the arguments or (`configured`) the configuration have for a release, if they have one.
///
/// # Errors
/// A file that is named but not read; a collection that cannot be had; a collection that is named and has none.
pub async fn choose(
    context: &Context,
    args: &SourceArgs,
    configured: &[String],
    wanted: &Coordinates,
) -> anyhow::Result<Option<Chosen>> {
    if let Some(path) = &args.spec {
        return read(path, Some(wanted)).map(Some);
    }
    let none = |text: String| CommandError::new(Exit::NoSource, text);
    let named = args.specs.iter().chain(configured);
    for address in named {
        let files = listing::of_version(context, address, wanted.version.as_str()).await?;
        let found = collection::find(&files, wanted);
        if let Some(chosen) = found.map_err(|error| none(format!("in {address}: {error:#}")))? {
            return Ok(Some(Chosen { place: format!("{} in {address}", chosen.place), ..chosen }));
        }
    }
    if !args.specs.is_empty() {
        return Err(none(format!("no specification of {wanted} in {}", args.specs.join(", "))).into());
    }
    Ok(None)
}

/// The arguments, with what a specification says about the source where they say nothing. A commit that it names by its
/// message is looked for.
///
/// # Errors
/// The repository cannot be cloned, or has no such commit.
pub async fn completed(context: &Context, args: &SourceArgs, chosen: Option<&Chosen>) -> anyhow::Result<SourceArgs> {
    let mut all = args.clone();
    // Who names a repository means another than the file does, so the file's tag is not for it.
    let Some(chosen) = chosen.filter(|_| all.source.is_none()) else { return Ok(all) };
    all.source.clone_from(&chosen.source);
    if all.tag.is_some() || all.commit.is_some() {
        return Ok(all);
    }
    all.tag.clone_from(&chosen.tag);
    all.commit.clone_from(&chosen.commit);
    if let (Some(message), Some(source)) = (&chosen.message, &chosen.source) {
        let none = |text: String| CommandError::new(Exit::NoSource, text);
        let repository = maven_layout::scm::canonical(source).map_err(|error| none(format!("{source}: {error}")))?;
        let found = commit_with_message(&java_config(context), &repository, message).await;
        let found = found.map_err(|error| none(error.to_string()))?;
        let missing = || none(format!("no commit of {source} has {message:?} in its message"));
        all.commit = Some(found.ok_or_else(missing)?);
    }
    Ok(all)
}
