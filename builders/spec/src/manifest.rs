//! The input manifest: every file that a build asked for, with what it was answered.
//!
//! Canonical text: a header line, then one line per request, sorted by (repository, path), fields split by tabs:
//!
//! ```text
//! pyrsia-maven input manifest v1
//! central<TAB>org/acme/a/1/a-1.pom<TAB>200<TAB>512<TAB><sha256>
//! central<TAB>org/acme/b/maven-metadata.xml<TAB>404<TAB>-<TAB>-
//! central<TAB>org/acme/c/maven-metadata.xml<TAB>200-cut<TAB>512<TAB><sha256>
//! central<TAB>org/acme/self/1/self-1.jar<TAB>withheld-self<TAB>-<TAB>-
//! input<TAB>lib/a.zip<TAB>200<TAB>512<TAB><sha256>
//! ```
//!
//! `200-cut` is metadata from which what was published after the release was taken out: size and digest are those of the
//! document that the build got. Lines of `input` are the single files that the specification names, by their places in the
//! source.
//!
//! The root is the RFC 6962 tree head over the lines (without their newline), so that one line can be proven or
//! contradicted by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use maven_layout::RepoPath;
use pyrsia_digest::Sha256;

use crate::traits::RepositoryId;

const HEADER: &str = "pyrsia-maven input manifest v1";

/// Lines that a manifest may have.
pub const MAX_MANIFEST_LINES: usize = 50_000;
/// Bytes of the canonical text that is read.
pub const MAX_MANIFEST_BYTES: usize = 32 * 1024 * 1024;

/// What a request was answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InputStatus {
    /// The file, by length in bytes and digest.
    Found {
        /// Length in bytes.
        size: u64,
        /// SHA-256 of the content.
        sha256: Sha256,
        /// Whether it is metadata that was cut to what had been published before the release.
        cut: bool,
    },
    /// 404: the repository has no such file.
    Absent,
    /// 404 whatever the repository has: a file of the release that is being built.
    WithheldSelf,
}

/// One request and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputLine {
    /// The repository that was asked.
    pub repository: RepositoryId,
    /// The path in it.
    pub path: RepoPath,
    /// The answer.
    pub status: InputStatus,
}

impl fmt::Display for InputLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\t{}\t", self.repository, self.path)?;
        match &self.status {
            InputStatus::Found { size, sha256, cut: false } => write!(f, "200\t{size}\t{sha256}"),
            InputStatus::Found { size, sha256, cut: true } => write!(f, "200-cut\t{size}\t{sha256}"),
            InputStatus::Absent => f.write_str("404\t-\t-"),
            InputStatus::WithheldSelf => f.write_str("withheld-self\t-\t-"),
        }
    }
}

/// Why a text is no manifest, or a line cannot be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The text is not in the canonical form.
    #[error("line {line} of the input manifest is not canonical: {problem}")]
    NotCanonical {
        /// Line number, from 1.
        line: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// Too many lines or bytes.
    #[error("the input manifest is larger than {MAX_MANIFEST_LINES} lines or {MAX_MANIFEST_BYTES} bytes")]
    TooLarge,
    /// The same request was answered in two ways during one record.
    #[error("{path} of repository {repository} was answered in two ways during one record")]
    Contradiction {
        /// The repository.
        repository: String,
        /// The path.
        path: String,
    },
}

/// The frozen inputs of a build.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InputManifest {
    lines: BTreeMap<(RepositoryId, RepoPath), InputStatus>,
}

impl InputManifest {
    /// A manifest without lines.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a line; the same answer twice is one line.
    pub fn insert(&mut self, line: InputLine) -> Result<(), ManifestError> {
        if self.lines.len() >= MAX_MANIFEST_LINES {
            return Err(ManifestError::TooLarge);
        }
        let key = (line.repository, line.path);
        match self.lines.get(&key) {
            Some(known) if *known == line.status => Ok(()),
            Some(_) => Err(ManifestError::Contradiction { repository: key.0.to_string(), path: key.1.to_string() }),
            None => {
                self.lines.insert(key, line.status);
                Ok(())
            }
        }
    }

    /// The answer that was frozen for a request; none means that the request was never made.
    pub fn get(&self, repository: &RepositoryId, path: &RepoPath) -> Option<InputStatus> {
        self.lines.get(&(repository.clone(), path.clone())).copied()
    }

    /// All lines in canonical order.
    pub fn lines(&self) -> impl Iterator<Item = InputLine> + '_ {
        self.lines.iter().map(|((repository, path), status)| InputLine {
            repository: repository.clone(),
            path: path.clone(),
            status: *status,
        })
    }

    /// Number of lines.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there is no line.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// SHA-256 of every file that it names.
    pub fn files(&self) -> BTreeSet<Sha256> {
        let found = |line: InputLine| match line.status {
            InputStatus::Found { sha256, .. } => Some(sha256),
            InputStatus::Absent | InputStatus::WithheldSelf => None,
        };
        self.lines().filter_map(found).collect()
    }

    /// Sum of the sizes of all found files, in bytes.
    pub fn total_bytes(&self) -> u64 {
        self.lines.values().fold(0u64, |sum, status| match status {
            InputStatus::Found { size, .. } => sum.saturating_add(*size),
            InputStatus::Absent | InputStatus::WithheldSelf => sum,
        })
    }

    /// The RFC 6962 tree head over the lines.
    pub fn root(&self) -> Sha256 {
        let leaves: Vec<_> = self.lines().map(|line| pyrsia_merkle::leaf_hash(line.to_string().as_bytes())).collect();
        pyrsia_merkle::root(&leaves)
    }

    /// The canonical text.
    pub fn to_text(&self) -> String {
        let mut text = format!("{HEADER}\n");
        for line in self.lines() {
            text.push_str(&line.to_string());
            text.push('\n');
        }
        text
    }

    /// Reads the canonical text and nothing else.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        if text.len() > MAX_MANIFEST_BYTES {
            return Err(ManifestError::TooLarge);
        }
        let body = text
            .strip_prefix(HEADER)
            .and_then(|rest| rest.strip_prefix('\n'))
            .ok_or(ManifestError::NotCanonical { line: 1, problem: "the header is missing" })?;
        if !body.is_empty() && !body.ends_with('\n') {
            return Err(ManifestError::NotCanonical { line: 1, problem: "the last newline is missing" });
        }
        let mut manifest = Self::new();
        let mut previous: Option<(RepositoryId, RepoPath)> = None;
        for (index, row) in body.split_terminator('\n').enumerate() {
            let number = index + 2;
            let bad = |problem| ManifestError::NotCanonical { line: number, problem };
            let line = parse_line(row).ok_or_else(|| bad("not repository, path, status, size and SHA-256"))?;
            if line.to_string() != row {
                return Err(bad("not written in the one way that is allowed"));
            }
            let key = (line.repository.clone(), line.path.clone());
            if previous.as_ref().is_some_and(|before| *before >= key) {
                return Err(bad("not sorted, or twice the same request"));
            }
            previous = Some(key);
            manifest.insert(line)?;
        }
        Ok(manifest)
    }
}

fn parse_line(row: &str) -> Option<InputLine> {
    let mut fields = row.split('\t');
    let mut next = || fields.next();
    let (repository, path, status, size, sha256) = (next()?, next()?, next()?, next()?, next()?);
    if next().is_some() {
        return None;
    }
    let status = match (status, size, sha256) {
        ("200" | "200-cut", size, sha256) => InputStatus::Found {
            size: size.parse().ok()?,
            sha256: Sha256::from_str(sha256).ok()?,
            cut: status == "200-cut",
        },
        ("404", "-", "-") => InputStatus::Absent,
        ("withheld-self", "-", "-") => InputStatus::WithheldSelf,
        _ => return None,
    };
    Some(InputLine { repository: repository.parse().ok()?, path: path.parse().ok()?, status })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(path: &str, status: InputStatus) -> InputLine {
        InputLine { repository: RepositoryId::central(), path: path.parse().unwrap(), status }
    }

    #[test]
    fn order_of_insertion_does_not_matter() {
        let found = InputStatus::Found { size: 1, sha256: Sha256::of(b"a"), cut: false };
        let mut one = InputManifest::new();
        one.insert(line("a/b/1/b-1.pom", found)).unwrap();
        one.insert(line("a/a/1/a-1.pom", InputStatus::Absent)).unwrap();
        let mut two = InputManifest::new();
        two.insert(line("a/a/1/a-1.pom", InputStatus::Absent)).unwrap();
        two.insert(line("a/b/1/b-1.pom", found)).unwrap();
        two.insert(line("a/b/1/b-1.pom", found)).unwrap();
        assert_eq!(one.root(), two.root());
        assert_eq!(one.to_text(), two.to_text());
        assert_eq!(InputManifest::parse(&one.to_text()).unwrap(), one);
        assert_eq!(one.total_bytes(), 1);
    }

    #[test]
    fn two_answers_for_one_request_are_refused() {
        let mut manifest = InputManifest::new();
        manifest.insert(line("a/a/1/a-1.pom", InputStatus::Absent)).unwrap();
        let again = line("a/a/1/a-1.pom", InputStatus::WithheldSelf);
        assert!(matches!(manifest.insert(again), Err(ManifestError::Contradiction { .. })));
    }

    #[test]
    fn other_forms_are_refused() {
        for body in [
            "central\ta/b\t404\t-\t-",
            "central\tb\t404\t-\t-\ncentral\ta\t404\t-\t-\n",
            "central\ta\t404\t-\t-\ncentral\ta\t404\t-\t-\n",
            "central\ta\t200\t01\tba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n",
            "central\ta\t200\t1\tBA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n",
            "central\t../a\t404\t-\t-\n",
            "central\ta\t404\t-\t-\tmore\n",
            "central\ta\t200-cut\t-\t-\n",
            "central\ta\t404-cut\t-\t-\n",
            "central\ta\t404\t-\t-\r\n",
        ] {
            let text = format!("{HEADER}\n{body}");
            assert!(InputManifest::parse(&text).is_err(), "{body:?}");
        }
        assert!(InputManifest::parse("").is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text: String) {
            let _ = InputManifest::parse(&text);
            let _ = InputManifest::parse(&format!("{HEADER}\n{text}"));
        }

        #[test]
        fn parse_is_the_inverse_of_print(paths in proptest::collection::btree_map("[a-z]{1,6}/[a-z0-9.]{1,6}x", any::<u32>(), 0..20)) {
            let mut manifest = InputManifest::new();
            for (path, size) in paths {
                let status = match size % 4 {
                    0 => InputStatus::Absent,
                    1 => InputStatus::WithheldSelf,
                    kind => InputStatus::Found {
                        size: size.into(),
                        sha256: Sha256::of(path.as_bytes()),
                        cut: kind == 3,
                    },
                };
                if path.parse::<RepoPath>().is_ok() {
                    manifest.insert(line(&path, status)).unwrap();
                }
            }
            prop_assert_eq!(InputManifest::parse(&manifest.to_text()).unwrap(), manifest);
        }
    }
}
