//! The comparison itself: pairs of entries, in the order of the rebuilt archive.

use std::collections::{BTreeMap, HashSet};

use crate::canonical::archive_digest;
use crate::contents;
use crate::error::{ArchiveError, CompareError, Side};
use crate::findings::Findings;
use crate::limits::Limits;
use crate::metadata;
use crate::model::{Comparison, DifferenceKind, EntryCounts, Normaliser, Outcome};
use crate::normalised_digest;
use crate::rules::{MANIFEST, Rule, is_xml, manifest_leads, signature_files};
use crate::text::{explain_bytes, unix_lines};
use crate::zip::{Archive, Budget, Nested, is_archive};

/// Compares a rebuilt file (`left`) with its reference (`right`).
///
/// # Errors
/// Both are archives, their bytes differ, and one of them is refused ([`ArchiveError`]).
pub fn compare(left: &[u8], right: &[u8], limits: &Limits) -> Result<Comparison, CompareError> {
    let mut findings = Findings::new(limits.max_differences);
    if left == right {
        return Ok(finish(findings, None, Outcome::Identical));
    }
    match (is_archive(left), is_archive(right)) {
        (true, true) => archives(left, right, limits),
        (false, false) => {
            if is_xml(left) && is_xml(right) && unix_lines(left) == unix_lines(right) {
                let said = contents::line_ends(left, right);
                findings.remove(Normaliser::XmlLineEndings, "", DifferenceKind::Text, said);
                let digest = normalised_digest(right, limits).map_err(|reason| refused(Side::Reference, reason))?;
                return Ok(finish(findings, Some(digest), Outcome::Equivalent));
            }
            contents::plain("", "", left, right, &mut findings);
            Ok(finish(findings, None, Outcome::Different))
        }
        (archive, _) => {
            let text = match archive {
                true => "the rebuilt file is an archive, the reference is not",
                false => "the reference is an archive, the rebuilt file is not",
            };
            findings.differ("", DifferenceKind::FileType, text);
            Ok(finish(findings, None, Outcome::Different))
        }
    }
}

fn refused(side: Side, reason: ArchiveError) -> CompareError {
    CompareError::Refused { side, reason }
}

fn finish(findings: Findings, normalised: Option<pyrsia_digest::Sha256>, outcome: Outcome) -> Comparison {
    let (normalisers, differences, omitted) = findings.finish();
    let normalisers = if outcome == Outcome::Equivalent { normalisers } else { Vec::new() };
    Comparison { outcome, normalisers, normalised, differences, omitted, entries: None }
}

fn archives(left: &[u8], right: &[u8], limits: &Limits) -> Result<Comparison, CompareError> {
    let mut pair = Pair {
        limits,
        left: Budget::new(limits),
        right: Budget::new(limits),
        findings: Findings::new(limits.max_differences),
        counts: EntryCounts::default(),
    };
    let l = Archive::open(left, limits, &mut pair.left).map_err(|reason| refused(Side::Rebuilt, reason))?;
    let r = Archive::open(right, limits, &mut pair.right).map_err(|reason| refused(Side::Reference, reason))?;
    pair.archives("", &l, &r, 0)?;
    let entries = Some(pair.counts);
    if pair.findings.has_real() {
        return Ok(Comparison { entries, ..finish(pair.findings, None, Outcome::Different) });
    }
    // The digest is what other builders see, so it has the last word: both files must really have the same.
    let digest = |archive: &Archive<'_>| archive_digest(archive, 0, limits, &mut Budget::new(limits));
    let of_left = digest(&l).map_err(|reason| refused(Side::Rebuilt, reason))?;
    let of_right = digest(&r).map_err(|reason| refused(Side::Reference, reason))?;
    if of_left != of_right {
        pair.findings.differ("", DifferenceKind::Binary, "the normalised contents differ");
        return Ok(Comparison { entries, ..finish(pair.findings, None, Outcome::Different) });
    }
    Ok(Comparison { entries, ..finish(pair.findings, Some(of_right), Outcome::Equivalent) })
}

/// A comparison under way.
struct Pair<'l> {
    limits: &'l Limits,
    left: Budget,
    right: Budget,
    findings: Findings,
    /// Of the outermost archives.
    counts: EntryCounts,
}

/// One archive of a pair.
struct Half<'a> {
    archive: &'a Archive<'a>,
    signatures: HashSet<usize>,
}

impl<'a> Half<'a> {
    fn new(archive: &'a Archive<'a>) -> Self {
        Self { archive, signatures: signature_files(archive) }
    }

    fn signed(&self) -> bool {
        !self.signatures.is_empty()
    }
}

impl Pair<'_> {
    fn archives(
        &mut self,
        path: &str,
        left: &Archive<'_>,
        right: &Archive<'_>,
        depth: u32,
    ) -> Result<(), CompareError> {
        let before = self.findings.count();
        let (l, r) = (Half::new(left), Half::new(right));
        let there: BTreeMap<&str, usize> = right.entries.iter().enumerate().map(|(i, e)| (e.name, i)).collect();
        let mut matched = HashSet::new();
        let mut pairs = Vec::new();
        for (i, entry) in left.entries.iter().enumerate() {
            match there.get(entry.name) {
                Some(&j) => {
                    matched.insert(j);
                    let (real, all) = (self.findings.real_count(), self.findings.count());
                    if self.entry(path, (&l, i), (&r, j), depth)? {
                        pairs.push((i, j));
                    }
                    if depth == 0 {
                        self.count(self.findings.real_count() > real, self.findings.count() > all);
                    }
                }
                None => self.lonely(path, entry.name, l.signatures.contains(&i), Side::Rebuilt),
            }
        }
        for (j, entry) in right.entries.iter().enumerate().filter(|(j, _)| !matched.contains(j)) {
            self.lonely(path, entry.name, r.signatures.contains(&j), Side::Reference);
        }
        if manifest_leads(left) != manifest_leads(right)
            && [left, right].iter().all(|archive| archive.entries.iter().any(|e| e.name.eq_ignore_ascii_case(MANIFEST)))
        {
            let text = "the manifest is the first entry in one archive only: who reads the other as a stream sees none";
            self.findings.differ(&inside(path, MANIFEST), DifferenceKind::ArchiveMetadata, text);
        }
        metadata::compare(path, left, right, &pairs, &mut self.findings);
        if self.findings.count() == before {
            // Their bytes differ, their entries do not: it can only be how the headers are written.
            let text = "the headers are written in another way";
            self.findings.remove(Normaliser::ZipHeaders, path, DifferenceKind::ArchiveMetadata, text);
        }
        Ok(())
    }

    fn count(&mut self, differs: bool, is_told: bool) {
        let count = match (differs, is_told) {
            (true, _) => &mut self.counts.different,
            (false, true) => &mut self.counts.normalised,
            (false, false) => &mut self.counts.same,
        };
        *count += 1;
    }

    /// An entry that only one archive has.
    fn lonely(&mut self, path: &str, name: &str, signature: bool, side: Side) {
        if path.is_empty() {
            match side {
                Side::Rebuilt => self.counts.only_in_rebuilt += 1,
                Side::Reference => self.counts.only_in_reference += 1,
            }
        }
        let place = match side {
            Side::Rebuilt => "rebuilt archive",
            Side::Reference => "reference",
        };
        let text = format!("only in the {place}");
        let path = inside(path, name);
        match (signature, side) {
            (true, _) => self.findings.remove(Normaliser::JarSignatures, &path, DifferenceKind::Signature, text),
            (_, Side::Rebuilt) => self.findings.differ(&path, DifferenceKind::OnlyInRebuilt, text),
            (_, Side::Reference) => self.findings.differ(&path, DifferenceKind::OnlyInReference, text),
        }
    }

    /// An entry that both archives have; true if what the archives record about it counts.
    fn entry(
        &mut self,
        path: &str,
        (left, i): (&Half<'_>, usize),
        (right, j): (&Half<'_>, usize),
        depth: u32,
    ) -> Result<bool, CompareError> {
        let name = left.archive.entries[i].name;
        let (a, b) = (left.archive.contents[i], right.archive.contents[j]);
        let path = inside(path, name);
        match (left.signatures.contains(&i), right.signatures.contains(&j)) {
            (true, true) => {
                if a.digest != b.digest {
                    let text = "the signature files differ";
                    self.findings.remove(Normaliser::JarSignatures, &path, DifferenceKind::Signature, text);
                }
                return Ok(false);
            }
            (false, false) => {}
            _ => {
                let text = "part of a signature in one archive only";
                self.findings.differ(&path, DifferenceKind::Signature, text);
                return Ok(false);
            }
        }
        if a.archive && b.archive {
            let stored = |half: &Half<'_>, index: usize| half.archive.entries[index].method == 0;
            if stored(left, i) != stored(right, j) {
                let text = "a nested archive is stored in one file and compressed in the other: it can be read in place \
                            only where it is stored";
                self.findings.differ(&path, DifferenceKind::ArchiveMetadata, text);
            }
        }
        let rule = Rule::of(name);
        // A signature changes how the digests in a manifest count, so equal bytes may still not mean the same.
        let manifest_of_signed = rule == Some(Rule::Manifest) && left.signed() != right.signed();
        if a.digest == b.digest && !manifest_of_signed {
            return Ok(true);
        }
        let l = left.archive.content(i).map_err(|reason| refused(Side::Rebuilt, reason))?;
        let r = right.archive.content(j).map_err(|reason| refused(Side::Reference, reason))?;
        if a.archive && b.archive {
            self.nested(&path, &l, &r, depth + 1)?;
        } else if a.archive || b.archive {
            self.findings.differ(
                &path,
                DifferenceKind::FileType,
                "an archive in one file, something else in the other",
            );
        } else if let Some(rule) = rule {
            contents::ruled(rule, &path, (&l, left.signed()), (&r, right.signed()), &mut self.findings);
        } else {
            contents::plain(&path, name, &l, &r, &mut self.findings);
        }
        Ok(true)
    }

    fn nested(&mut self, path: &str, left: &[u8], right: &[u8], depth: u32) -> Result<(), CompareError> {
        let l = Nested::open(left, depth, self.limits, &mut self.left);
        let l = l.map_err(|reason| refused(Side::Rebuilt, reason))?;
        let r = Nested::open(right, depth, self.limits, &mut self.right);
        let r = r.map_err(|reason| refused(Side::Reference, reason))?;
        let (side, why) = match (l, r) {
            (Nested::Open(l), Nested::Open(r)) => return self.archives(path, &l, &r, depth),
            (Nested::Opaque(why), _) => (Side::Rebuilt, why),
            (_, Nested::Opaque(why)) => (Side::Reference, why),
        };
        let text = format!("{}; the {side} one is not opened: {why}", explain_bytes(left, right));
        self.findings.differ(path, DifferenceKind::Archive, text);
        Ok(())
    }
}

/// `a.jar` and `x` make `a.jar!/x`; in the outermost archive the name alone.
fn inside(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}!/{name}") }
}
