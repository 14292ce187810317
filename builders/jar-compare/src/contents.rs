//! Pairs of contents: which normaliser removes their difference, or how it is told.

use crate::class;
use crate::findings::{Findings, Said};
use crate::manifest::Manifest;
use crate::manifest_diff;
use crate::model::{DifferenceKind, Normaliser};
use crate::properties::Properties;
use crate::rules::Rule;
use crate::text::{escape, explain, explain_bytes, unopened};

/// Keys of a properties file that are named.
const KEYS: usize = 10;

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
            findings.remove(Normaliser::XmlLineEndings, path, DifferenceKind::Text, line_ends(left, right));
        }
        Rule::GitProperties => {
            let said = properties(left, right);
            let said = said.unwrap_or_else(|| vec![Said::from("comments, order or line ends differ")]);
            for one in said {
                findings.remove(Normaliser::GitPropertiesBuild, path, DifferenceKind::Properties, one);
            }
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
fn properties(left: &[u8], right: &[u8]) -> Option<Vec<Said>> {
    let said = Properties::parse(left)?.explain(&Properties::parse(right)?, KEYS);
    (!said.is_empty()).then_some(said)
}

/// What stands for a difference that an XML processor does not see.
pub(crate) fn line_ends(left: &[u8], right: &[u8]) -> Said {
    let said = explain(left, right).and_then(|said| said.into_iter().next());
    said.unwrap_or_else(|| Said::at("line ends", "only line ends differ"))
}

/// Records that two contents differ, in the words that fit them.
pub(crate) fn plain(path: &str, name: &str, left: &[u8], right: &[u8], findings: &mut Findings) {
    if findings.is_full() {
        // Nobody will read it.
        return findings.differ(path, DifferenceKind::Binary, "");
    }
    let (kind, said) = if name.ends_with(".properties")
        && let Some(said) = properties(left, right)
    {
        (DifferenceKind::Properties, said)
    } else if let Some(said) = class::explain(left, right) {
        (DifferenceKind::Class, said)
    } else if let Some(said) = explain(left, right) {
        (DifferenceKind::Text, said)
    } else {
        let text = explain_bytes(left, right);
        match (unopened(left), unopened(right)) {
            (Some(format), Some(there)) if format == there => {
                let text = format!("{format} is compared byte for byte, not opened: {text}");
                (DifferenceKind::Archive, vec![Said::from(text)])
            }
            _ => (DifferenceKind::Binary, vec![Said::from(text)]),
        }
    };
    for one in said {
        findings.differ(path, kind, one);
    }
}
