//! `compare A B`: typed comparison of two files.

use std::path::Path;

use anyhow::{Context as _, ensure};
use serde::Serialize;

use crate::cli::{CompareArgs, Global};
use crate::exit::Exit;
use crate::terminal;

#[derive(Serialize)]
struct Document<'a> {
    rebuilt: String,
    reference: String,
    comparator: u32,
    #[serde(flatten)]
    comparison: &'a jar_compare::Comparison,
}

/// Runs the command.
pub fn run(global: &Global, args: &CompareArgs) -> anyhow::Result<Exit> {
    let (left, right) = (read(&args.left)?, read(&args.right)?);
    let comparison = jar_compare::compare(&left, &right, &jar_compare::Limits::default())
        .with_context(|| format!("cannot compare {} and {}", args.left.display(), args.right.display()))?;
    if global.json {
        terminal::json(&Document {
            rebuilt: args.left.display().to_string(),
            reference: args.right.display().to_string(),
            comparator: jar_compare::COMPARATOR_VERSION,
            comparison: &comparison,
        })?;
    } else {
        let normalisers: Vec<_> = comparison.normalisers.iter().map(ToString::to_string).collect();
        match normalisers.as_slice() {
            [] => terminal::line(&comparison.outcome.to_string()),
            names => terminal::line(&format!(
                "{} after {} (comparator {})",
                comparison.outcome,
                names.join(", "),
                jar_compare::COMPARATOR_VERSION
            )),
        }
        if let Some(entries) = &comparison.entries {
            terminal::line(&format!("  {entries}"));
        }
        for difference in &comparison.differences {
            let path = if difference.path.is_empty() { "(file)" } else { &difference.path };
            terminal::line(&format!("  {}: {}", terminal::plain(path), terminal::plain(&difference.explanation)));
        }
        if comparison.omitted > 0 {
            terminal::line(&format!("  and {} more", comparison.omitted));
        }
    }
    Ok(match comparison.outcome {
        jar_compare::Outcome::Identical => Exit::Done,
        jar_compare::Outcome::Equivalent => Exit::Equivalent,
        jar_compare::Outcome::Different => Exit::Different,
    })
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let size = std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?.len();
    let limit = pyrsia_rebuilds::MAX_COMPARED_BYTES;
    ensure!(size <= limit, "{} has {size} bytes; files of up to {limit} bytes are compared", path.display());
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
