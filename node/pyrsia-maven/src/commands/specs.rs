//! `specs`: what a collection of specifications has for a release, or how many of its files can be used here.

use std::collections::BTreeMap;

use buildspec::Buildspec;
use serde::Serialize;

use crate::cli::{Global, SourceArgs, SpecsArgs};
use crate::context::Context;
use crate::exit::Exit;
use crate::specs::{self, Chosen};
use crate::terminal;

/// What is known of one release.
#[derive(Serialize)]
struct Release<'a> {
    gav: String,
    place: &'a str,
    digest: String,
    structured: bool,
    source: Option<&'a str>,
    tag: Option<&'a str>,
    commit: Option<&'a str>,
    /// The archive that is built, where its digest is not stated.
    archive: Option<&'a str>,
    /// A text in the commit's message, where neither tag nor commit is known.
    message: Option<&'a str>,
    notes: &'a [String],
    specification: String,
}

/// How many files can be used.
#[derive(Default, Serialize)]
struct Count {
    files: usize,
    /// Read as data.
    read: usize,
    /// Of those, said in our form.
    usable: usize,
    /// Of those, with nothing in them that needs anybody's approval.
    structured: usize,
    /// What is not read or cannot be said, by kind.
    refused: BTreeMap<String, usize>,
    /// The first file of each kind, and why.
    examples: BTreeMap<String, String>,
}

/// Runs the command.
pub async fn run(global: &Global, args: &SpecsArgs) -> anyhow::Result<Exit> {
    let context = Context::load(global)?;
    let Some(coordinates) = &args.coordinates else {
        return count(global, &context, &args.collection).await;
    };
    let source = SourceArgs { source: None, tag: None, commit: None, spec: None, specs: vec![args.collection.clone()] };
    let Some(chosen) = specs::choose(&context, &source, &[], coordinates).await? else { return Ok(Exit::NoSource) };
    let Chosen { specification, source, tag, commit, message, archive, place, notes } = &chosen;
    let archive = archive.as_ref().map(|archive| archive.url.clone());
    let release = Release {
        gav: coordinates.to_string(),
        place,
        digest: specification.digest().to_string(),
        structured: specification.structured().is_ok() && archive.is_none(),
        source: source.as_deref(),
        tag: tag.as_deref(),
        commit: commit.as_deref(),
        message: message.as_deref(),
        archive: archive.as_deref(),
        notes,
        specification: specification.to_toml(),
    };
    if global.json {
        terminal::json(&release)?;
        return Ok(Exit::Done);
    }
    // What is on standard output can be put into a file and given to --spec.
    for (name, value) in
        [("source", source), ("tag", tag), ("commit", commit), ("message", message), ("archive", &archive)]
    {
        if let Some(value) = value {
            terminal::line(&terminal::plain(&format!("# {name} {value}")));
        }
    }
    terminal::line(&format!("# digest {}", release.digest));
    terminal::line(release.specification.trim_end());
    terminal::note(&terminal::plain(place));
    for note in notes {
        terminal::note(&terminal::plain(note));
    }
    Ok(Exit::Done)
}

async fn count(global: &Global, context: &Context, collection: &str) -> anyhow::Result<Exit> {
    let mut count = Count::default();
    for (path, content) in specs::everything(context, collection).await? {
        count.files += 1;
        let (kind, why) = match kind_of(&content) {
            Ok(structured) => {
                count.read += 1;
                count.usable += 1;
                count.structured += usize::from(structured);
                continue;
            }
            Err((kind, why)) => {
                count.read += usize::from(kind.starts_with("unusable"));
                (kind, why)
            }
        };
        count.examples.entry(kind.clone()).or_insert_with(|| format!("{path}: {why}"));
        *count.refused.entry(kind).or_default() += 1;
    }
    if global.json {
        terminal::json(&count)?;
        return Ok(Exit::Done);
    }
    for (name, number) in
        [("files", count.files), ("read", count.read), ("usable", count.usable), ("structured", count.structured)]
    {
        terminal::line(&format!("{number:>7} {name}"));
    }
    for (kind, number) in &count.refused {
        let example = count.examples.get(kind).map(String::as_str).unwrap_or_default();
        terminal::line(&format!("{number:>7} {kind}, as {}", terminal::plain(example)));
    }
    Ok(Exit::Done)
}

/// Whether it is structured, or the kind of refusal and the refusal.
fn kind_of(content: &[u8]) -> Result<bool, (String, String)> {
    let text = std::str::from_utf8(content).map_err(|error| ("not-utf-8".to_owned(), error.to_string()))?;
    let file = Buildspec::parse(text).map_err(|refusal| {
        let name = match &refusal.kind {
            buildspec::RefusalKind::Field { field, .. } => format!("field {field}"),
            buildspec::RefusalKind::Missing(field) => format!("missing {field}"),
            kind => kind.name().to_owned(),
        };
        (format!("unread, {name}"), refusal.to_string())
    })?;
    let converted = build_spec::from_buildspec(&file).map_err(|error| {
        let field = match &error {
            build_spec::SpecificationError::Field { field, .. } => field,
            build_spec::SpecificationError::Toml(_) => "text",
        };
        (format!("unusable, {field}"), error.to_string())
    })?;
    Ok(converted.specification.structured().is_ok() && converted.archive.is_none())
}
