//! Versions in texts: majors of JDKs, ranges.

use std::cmp::Ordering;

use maven_layout::version;

/// The major version in a text that names a JDK: `17`, `1.8.0_292`, `temurin-17.0.3+7`, `openjdk11`, `8.0.292-zulu`.
pub(crate) fn java_major(text: &str) -> Option<u32> {
    let text = text.trim().trim_matches(['"', '\'', '[', ']', ' ']);
    let text = text.strip_prefix("openjdk64-").unwrap_or(text);
    let start = text.find(|c: char| c.is_ascii_digit())?;
    let mut parts = text[start..].split(|c: char| !c.is_ascii_digit());
    let first: u32 = parts.next()?.parse().ok()?;
    // Until Java 8 the first number was always 1.
    let major = match first {
        1 if text[start..].starts_with("1.") => parts.next()?.parse().ok()?,
        other => other,
    };
    (5..=40).contains(&major).then_some(major)
}

/// A version range of [Maven](https://maven.apache.org/enforcer/enforcer-rules/versionRanges.html): a plain version means
/// that one or a later one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Range(Vec<Interval>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Interval {
    low: String,
    low_included: bool,
    high: String,
    high_included: bool,
}

impl Range {
    /// None if it is no range, or holds an expression.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() || text.contains("${") || text.len() > 256 {
            return None;
        }
        if !text.starts_with(['[', '(']) {
            let low = text.to_owned();
            return Some(Self(vec![Interval { low, low_included: true, high: String::new(), high_included: false }]));
        }
        let mut intervals = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let end = rest.find([']', ')'])?;
            let (inner, low_included, high_included) =
                (rest.get(1..end)?, rest.starts_with('['), rest[end..].starts_with(']'));
            let (low, high) = inner.split_once(',').unwrap_or((inner, inner));
            let (low, high) = (low.trim().to_owned(), high.trim().to_owned());
            intervals.push(Interval { low, low_included, high, high_included });
            rest = rest[end + 1..].trim_start_matches([',', ' ']);
        }
        Some(Self(intervals))
    }

    pub(crate) fn holds(&self, wanted: &str) -> bool {
        self.0.iter().any(|interval| {
            let above = match version::compare(wanted, &interval.low) {
                _ if interval.low.is_empty() => true,
                Ordering::Greater => true,
                Ordering::Equal => interval.low_included,
                Ordering::Less => false,
            };
            let below = match version::compare(wanted, &interval.high) {
                _ if interval.high.is_empty() => true,
                Ordering::Less => true,
                Ordering::Equal => interval.high_included,
                Ordering::Greater => false,
            };
            above && below
        })
    }

    /// Whether a JDK of this major is in the range, as the enforcer plugin names it.
    pub(crate) fn holds_jdk(&self, major: u32) -> bool {
        if major <= 8 { self.holds(&format!("1.{major}.0-400")) } else { self.holds(&format!("{major}.0.20")) }
    }
}

/// The majors of JDKs that compile to this version of class files: what is too old does not know it, and each JDK drops
/// the oldest targets.
pub(crate) fn compiles_to(class_major: u16, jdk: u32) -> bool {
    let target = u32::from(class_major.saturating_sub(44));
    let oldest = match jdk {
        0..=8 => 1,
        9..=11 => 6,
        12..=19 => 7,
        _ => 8,
    };
    target <= jdk && (target >= oldest || target == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn majors() {
        for (text, major) in [
            ("17", 17),
            ("1.8.0_292", 8),
            ("temurin-17.0.3+7", 17),
            ("openjdk11", 11),
            ("openjdk64-11.0.2", 11),
            ("8.0.292-zulu", 8),
            (" '21' ", 21),
            ("adopt@1.11", 11),
            ("17.0.1 (Eclipse Adoptium)", 17),
        ] {
            assert_eq!(java_major(text), Some(major), "{text}");
        }
        for text in ["", "latest", "3", "1.", "999999999999", "64"] {
            assert_eq!(java_major(text), None, "{text}");
        }
    }

    #[test]
    fn ranges() {
        let holds = |range: &str, version: &str| Range::parse(range).unwrap().holds(version);
        assert!(holds("3.6.3", "3.9.9") && !holds("3.6.3", "3.6.2"));
        assert!(holds("[3.6,4)", "3.9.9") && !holds("[3.6,4)", "4.0"));
        assert!(holds("(,3.8]", "3.8") && !holds("(,3.8)", "3.8") && holds("[3.8.8]", "3.8.8"));
        assert!(holds("[3.0,3.1),[3.8,)", "3.9") && !holds("[3.0,3.1),[3.8,)", "3.5"));
        let jdk = |range: &str, major| Range::parse(range).unwrap().holds_jdk(major);
        assert!(
            jdk("[1.8,1.9)", 8) && !jdk("[1.8,1.9)", 11) && jdk("11", 17) && !jdk("(,17]", 17) && jdk("[17,18)", 17)
        );
        assert_eq!(Range::parse("${x}"), None);
        assert_eq!(Range::parse("[1"), None);
    }

    #[test]
    fn targets() {
        assert!(compiles_to(52, 8) && compiles_to(52, 25) && !compiles_to(61, 11) && compiles_to(61, 17));
        assert!(compiles_to(50, 11) && !compiles_to(50, 17) && compiles_to(51, 17) && !compiles_to(51, 21));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[\\[\\](),0-9.ä a-]{0,40}", version in "\\PC{0,12}") {
            let _ = java_major(&text);
            if let Some(range) = Range::parse(&text) {
                range.holds(&version);
            }
        }
    }
}
