//! The normalised form of a file, as a digest.
//!
//! Entries sorted by name, each with the digest of its content after the rules for it; nested archives by their own
//! normalised digest; signature files left out. Of what the archive records about its entries only what somebody reads:
//! whether the manifest comes first, and whether nested archives are stored.

use pyrsia_digest::Sha256;

use crate::error::ArchiveError;
use crate::limits::Limits;
use crate::rules::{Rule, is_xml, manifest_leads, signature_files};
use crate::text::unix_lines;
use crate::zip::{Archive, Budget, Nested, is_archive};

/// Digest of the normalised content of a file. Two files are equivalent exactly when it is equal.
///
/// It depends on the bytes, the limits and [`crate::COMPARATOR_VERSION`] alone, so builders that never saw each
/// other's files get the same one.
///
/// # Errors
/// The file is an archive that is refused.
pub fn normalised_digest(file: &[u8], limits: &Limits) -> Result<Sha256, ArchiveError> {
    if is_archive(file) {
        let mut budget = Budget::new(limits);
        let archive = Archive::open(file, limits, &mut budget)?;
        return archive_digest(&archive, 0, limits, &mut budget);
    }
    let content = if is_xml(file) { Sha256::of(&unix_lines(file)) } else { Sha256::of(file) };
    Ok(Sha256::of(format!("jar-compare/2 file\n{content}").as_bytes()))
}

/// Digest of an opened archive at this depth of nesting.
pub(crate) fn archive_digest(
    archive: &Archive<'_>,
    depth: u32,
    limits: &Limits,
    budget: &mut Budget,
) -> Result<Sha256, ArchiveError> {
    let signatures = signature_files(archive);
    let mut order: Vec<usize> = (0..archive.entries.len()).filter(|index| !signatures.contains(index)).collect();
    order.sort_by_key(|&index| archive.entries[index].name);
    let mut text = b"jar-compare/2 archive\n".to_vec();
    if manifest_leads(archive) {
        text.extend_from_slice(b"manifest first\n");
    }
    for index in order {
        let (entry, summary) = (&archive.entries[index], archive.contents[index]);
        let (form, digest) = if summary.archive {
            let content = archive.content(index)?;
            let opened = match Nested::open(&content, depth + 1, limits, budget)? {
                Nested::Open(nested) => Some(archive_digest(&nested, depth + 1, limits, budget)?),
                Nested::Opaque(_) => None,
            };
            match (opened, entry.method == 0) {
                (Some(digest), true) => ("stored archive", digest),
                (Some(digest), false) => ("archive", digest),
                // Another reader may open it.
                (None, true) => ("stored bytes", summary.digest),
                (None, false) => ("bytes", summary.digest),
            }
        } else {
            match Rule::of(entry.name) {
                Some(rule) => match rule.canonical(&archive.content(index)?, !signatures.is_empty()) {
                    Some(canonical) => ("rule", Sha256::of(&canonical)),
                    None => ("bytes", summary.digest),
                },
                None => ("bytes", summary.digest),
            }
        };
        // Names hold no control characters, so a line cannot be forged.
        text.extend_from_slice(format!("{form} {digest} {}\n", entry.name).as_bytes());
    }
    Ok(Sha256::of(&text))
}
