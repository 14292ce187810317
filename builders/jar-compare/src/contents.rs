//! Pairs of contents: which normaliser removes their difference, or how it is told.

use crate::class;
use crate::findings::Findings;
use crate::manifest::Manifest;
use crate::manifest_diff;
use crate::model::{DifferenceKind, Normaliser};
use crate::properties::Properties;
use crate::rules::Rule;
use crate::text::{as_text, escape, explain, explain_bytes};

/// An entry with a rule of its own; the flags say whether the archives are signed.
pub(crate) fn ruled(
    rule: Rule,
    path: &str,
    (left, signed_left): (&[u8], bool),
    (right, signed_right): (&[u8], bool),
    findings: &mut Findings,
) {
    if rule == Rule::Manifest {
        let (Some(l), Some(r)) = (Manifest::parse(left), Manifest::parse(right)) else {
            if left != right {
                plain(path, path, left, right, findings);
            }
            return;
        };
        let l = manifest_diff::Side { raw: left, manifest: &l, signed: signed_left };
        let r = manifest_diff::Side { raw: right, manifest: &r, signed: signed_right };
        manifest_diff::compare(path, &l, &r, findings);
        return;
    }
    let (a, b) = (rule.canonical(left, signed_left), rule.canonical(right, signed_right));
    if a.is_none() || a != b {
        plain(path, path, left, right, findings);
        return;
    }
    match rule {
        Rule::PomProperties => pom_properties(path, left, right, findings),
        Rule::PomXml | Rule::Manifest => {
            let text = as_text(left).zip(as_text(right)).map(|(l, r)| explain(l, r)).unwrap_or_default();
            findings.remove(Normaliser::XmlLineEndings, path, DifferenceKind::Text, text);
        }
        Rule::GitProperties => {
            let text = properties(left, right).map(|said| said.join("; ")).unwrap_or_default();
            let text = if text.is_empty() { "comments, order or line ends differ".to_owned() } else { text };
            findings.remove(Normaliser::GitPropertiesBuild, path, DifferenceKind::Properties, text);
        }
    }
}

/// Names the aspects in which two equivalent `pom.properties` differ.
fn pom_properties(path: &str, left: &[u8], right: &[u8], findings: &mut Findings) {
    let (Some(l), Some(r)) = (Properties::parse(left), Properties::parse(right)) else {
        return;
    };
    let kind = DifferenceKind::Properties;
    let before = findings.count();
    if l.comments != r.comments {
        let show = |p: &Properties| escape(&p.comments.join(" "));
        let text = format!("comment '{}' vs '{}'", show(&l), show(&r));
        findings.remove(Normaliser::PomPropertiesComment, path, kind, text);
    }
    if l.pairs != r.pairs {
        findings.remove(Normaliser::PomPropertiesOrder, path, kind, "the keys are in another order");
    }
    let crlf = |bytes: &[u8]| bytes.windows(2).any(|pair| pair == b"\r\n");
    if findings.count() == before || crlf(left) != crlf(right) {
        findings.remove(Normaliser::PomPropertiesFormat, path, kind, "line ends or spacing differ");
    }
}

/// Sentences about the keys of two properties files; `None` if one of them is none, or no key differs.
fn properties(left: &[u8], right: &[u8]) -> Option<Vec<String>> {
    let said = Properties::parse(left)?.explain(&Properties::parse(right)?, 5);
    (!said.is_empty()).then_some(said)
}

/// Records that two contents differ, in the words that fit them.
pub(crate) fn plain(path: &str, name: &str, left: &[u8], right: &[u8], findings: &mut Findings) {
    if name.ends_with(".properties")
        && let Some(said) = properties(left, right)
    {
        for sentence in said {
            findings.differ(path, DifferenceKind::Properties, sentence);
        }
    } else if let Some(text) = class::explain(left, right) {
        findings.differ(path, DifferenceKind::Class, text);
    } else if let (Some(l), Some(r)) = (as_text(left), as_text(right)) {
        findings.differ(path, DifferenceKind::Text, explain(l, r));
    } else {
        findings.differ(path, DifferenceKind::Binary, explain_bytes(left, right));
    }
}
