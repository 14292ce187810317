//! What differs between two manifests, attribute by attribute.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::findings::{Findings, Said};
use crate::manifest::{Attributes, Manifest, canonical_value, is_build, is_digest};
use crate::model::{DifferenceKind, Normaliser};
use crate::text::{escape, versus};

/// A manifest with what decides how it is read.
pub(crate) struct Side<'a> {
    pub(crate) raw: &'a [u8],
    pub(crate) manifest: &'a Manifest,
    /// True if the JAR is signed: digests in sections then belong to signatures.
    pub(crate) signed: bool,
}

/// Records every difference between two manifests that are not the same bytes.
pub(crate) fn compare(path: &str, left: &Side<'_>, right: &Side<'_>, findings: &mut Findings) {
    let before = findings.count();
    attributes(path, "", (&left.manifest.main, false), (&right.manifest.main, false), findings);

    let lookup = |side: &Side<'_>| -> BTreeMap<String, Attributes> { side.manifest.sections.iter().cloned().collect() };
    let (l, r) = (lookup(left), lookup(right));
    let nothing = Attributes::new();
    let mut names: Vec<&String> = l.keys().chain(r.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let (in_left, in_right) = (l.get(name), r.get(name));
        let label = format!("section {}: ", escape(name));
        let (a, b) = (in_left.unwrap_or(&nothing), in_right.unwrap_or(&nothing));
        attributes(path, &label, (a, left.signed), (b, right.signed), findings);
        // A section without attributes, or with others than digests, is not there by chance.
        let counts = |attributes: Option<&Attributes>, signed: bool| {
            attributes.is_some_and(|list| !signed || list.iter().any(|(name, _)| !is_digest(name)))
        };
        if a.is_empty() && b.is_empty() && counts(in_left, left.signed) != counts(in_right, right.signed) {
            findings.differ(path, DifferenceKind::Manifest, format!("{label}in one file only"));
        }
    }
    let order = |side: &Side<'_>, there: &BTreeMap<String, Attributes>| -> Vec<String> {
        let names = side.manifest.sections.iter().map(|(name, _)| name.clone());
        names.filter(|name| there.contains_key(name)).collect()
    };
    if order(left, &r) != order(right, &l) {
        let text = "the sections are in another order";
        findings.remove(Normaliser::ManifestAttributeOrder, path, DifferenceKind::Manifest, text);
    }
    let crlf = |raw: &[u8]| raw.windows(2).any(|pair| pair == b"\r\n");
    let spelling = |side: &Side<'_>, other: &Side<'_>| -> Vec<String> {
        let known: HashSet<String> = other.manifest.main.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        let names = side.manifest.main.iter().map(|(name, _)| name.clone());
        let mut names: Vec<_> = names.filter(|name| known.contains(&name.to_ascii_lowercase())).collect();
        names.sort();
        names
    };
    let respelled = spelling(left, right) != spelling(right, left);
    let unexplained = findings.count() == before && left.raw != right.raw;
    if unexplained || respelled || crlf(left.raw) != crlf(right.raw) {
        let text = "line ends, wrapping, blank lines or letter case differ";
        findings.remove(Normaliser::ManifestFormat, path, DifferenceKind::Manifest, text);
    }
}

/// Compares one section; the flag says whether digests in it belong to signatures.
fn attributes(
    path: &str,
    label: &str,
    (left, signed_left): (&Attributes, bool),
    (right, signed_right): (&Attributes, bool),
    findings: &mut Findings,
) {
    let kind = DifferenceKind::Manifest;
    let lookup = |list: &Attributes| -> HashMap<String, String> {
        list.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect()
    };
    let (l, r) = (lookup(left), lookup(right));
    let dropped = |name: &str, signed: bool| signed && is_digest(name);
    let build = |name: &str| label.is_empty() && is_build(name);
    for (name, value) in left {
        let key = name.to_ascii_lowercase();
        let there = r.get(&key);
        let place = format!("{label}{}", escape(name));
        let text = || match there {
            Some(there) => Said::at(&place, format!("{label}attribute {}: {}", escape(name), versus(value, there))),
            None => Said::at(&place, format!("{label}attribute {} is in the rebuilt file only", escape(name))),
        };
        if dropped(name, signed_left) && (there.is_none() || dropped(name, signed_right)) {
            if there != Some(value) {
                findings.remove(Normaliser::JarSignatures, path, DifferenceKind::Signature, text());
            }
        } else if dropped(name, signed_left) || (there.is_some() && dropped(name, signed_right)) {
            findings.differ(path, DifferenceKind::Signature, text());
        } else if there == Some(value) {
        } else if build(name) {
            findings.remove(Normaliser::ManifestBuildAttributes, path, kind, text());
        } else if there.is_some_and(|there| canonical_value(name, value) == canonical_value(name, there)) {
            let text = format!("{label}attribute {}: the clauses are in another order", escape(name));
            findings.remove(Normaliser::ManifestValueOrder, path, kind, Said::at(&place, text));
        } else {
            findings.differ(path, kind, text());
        }
    }
    for (name, _) in right.iter().filter(|(name, _)| !l.contains_key(&name.to_ascii_lowercase())) {
        let text = format!("{label}attribute {} is in the reference only", escape(name));
        let text = Said::at(&format!("{label}{}", escape(name)), text);
        if dropped(name, signed_right) {
            findings.remove(Normaliser::JarSignatures, path, DifferenceKind::Signature, text);
        } else if build(name) {
            findings.remove(Normaliser::ManifestBuildAttributes, path, kind, text);
        } else {
            findings.differ(path, kind, text);
        }
    }
    let order = |list: &Attributes, there: &HashMap<String, String>| -> Vec<String> {
        list.iter().map(|(name, _)| name.to_ascii_lowercase()).filter(|name| there.contains_key(name)).collect()
    };
    if order(left, &r) != order(right, &l) {
        let text = format!("{label}the attributes are in another order");
        findings.remove(Normaliser::ManifestAttributeOrder, path, kind, text);
    }
}
