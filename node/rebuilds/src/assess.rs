//! From outputs and reference files to one outcome per file and a headline.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use build_spec::{Built, BuiltFile, Mode};
use maven_layout::Coordinates;
use pyrsia_digest::{FileDigests, Sha256};

/// Largest file that is compared in memory, in bytes; a larger one that is not identical is `different`.
pub const MAX_COMPARED_BYTES: u64 = 256 << 20;

/// A file that upstream has for a release.
#[derive(Debug, Clone)]
pub struct ReferenceFile {
    /// The release.
    pub coordinates: Coordinates,
    /// Its name in the release's folder.
    pub name: String,
    /// Where its verified bytes lie.
    pub path: PathBuf,
    /// SHA-256 of those bytes.
    pub sha256: Sha256,
}

/// What became of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileOutcome {
    /// Built, with nothing to compare it with.
    Built,
    /// Bit for bit the reference.
    Identical,
    /// The reference after named normalisers.
    Equivalent,
    /// Not the reference.
    Different,
    /// The reference has it, the build does not make it.
    NotBuilt,
    /// The build makes it, the reference does not have it.
    Extra,
}

impl FileOutcome {
    /// The word in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Built => "built",
            Self::Identical => "identical",
            Self::Equivalent => "equivalent",
            Self::Different => "different",
            Self::NotBuilt => "not-built",
            Self::Extra => "extra",
        }
    }
}

/// One file of a release, built or expected.
#[derive(Debug, Clone)]
pub struct AssessedFile {
    /// The release.
    pub coordinates: Coordinates,
    /// File name.
    pub name: String,
    /// Digests of what was built.
    pub built: Option<FileDigests>,
    /// SHA-256 of the reference.
    pub reference: Option<Sha256>,
    /// The outcome.
    pub outcome: FileOutcome,
    /// Names of the normalisers that were needed.
    pub normalisers: Vec<String>,
    /// Digest of the normalised content, when equivalent.
    pub normalised: Option<Sha256>,
    /// Sentences that say what differs.
    pub explanation: Vec<String>,
}

/// All files of a build.
#[derive(Debug, Clone)]
pub struct Assessment {
    /// Sorted by coordinates and name.
    pub files: Vec<AssessedFile>,
}

/// Why files could not be compared.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {path}: {source}")]
pub struct AssessError {
    /// The file.
    path: PathBuf,
    /// What the system said.
    source: std::io::Error,
}

/// What was built and what upstream has under one name.
type Pair<'a> = (Option<&'a BuiltFile>, Option<&'a ReferenceFile>);

/// Compares the union of built and reference files.
pub fn assess(mode: Mode, built: &Built, references: &[ReferenceFile]) -> Result<Assessment, AssessError> {
    let mut pairs: BTreeMap<(Coordinates, String), Pair<'_>> = BTreeMap::new();
    for file in &built.files {
        pairs.entry((file.coordinates.clone(), file.name.clone())).or_default().0 = Some(file);
    }
    for file in references {
        pairs.entry((file.coordinates.clone(), file.name.clone())).or_default().1 = Some(file);
    }
    let files = pairs
        .into_iter()
        .map(|((coordinates, name), pair)| {
            let mut file = AssessedFile {
                coordinates,
                name,
                built: pair.0.map(|file| file.digests.clone()),
                reference: pair.1.map(|file| file.sha256),
                outcome: FileOutcome::Built,
                normalisers: Vec::new(),
                normalised: None,
                explanation: Vec::new(),
            };
            match pair {
                (Some(built), Some(reference)) => compare_pair(&mut file, built, reference)?,
                (None, _) => file.outcome = FileOutcome::NotBuilt,
                (Some(_), None) if mode == Mode::Upstream && !references.is_empty() => {
                    file.outcome = FileOutcome::Extra;
                }
                (Some(_), None) => {}
            }
            Ok(file)
        })
        .collect::<Result<_, _>>()?;
    Ok(Assessment { files })
}

fn compare_pair(file: &mut AssessedFile, built: &BuiltFile, reference: &ReferenceFile) -> Result<(), AssessError> {
    if built.digests.sha256 == reference.sha256 {
        file.outcome = FileOutcome::Identical;
        return Ok(());
    }
    let (Some(left), Some(right)) = (read_bounded(&built.path)?, read_bounded(&reference.path)?) else {
        file.outcome = FileOutcome::Different;
        file.explanation.push(format!("larger than {MAX_COMPARED_BYTES} bytes, so only the digests were compared"));
        return Ok(());
    };
    match jar_compare::compare(&left, &right, &jar_compare::Limits::default()) {
        Ok(comparison) => {
            file.outcome = match comparison.outcome {
                jar_compare::Outcome::Identical => FileOutcome::Identical,
                jar_compare::Outcome::Equivalent => FileOutcome::Equivalent,
                jar_compare::Outcome::Different => FileOutcome::Different,
            };
            file.normalisers = comparison.normalisers.iter().map(ToString::to_string).collect();
            file.normalised = comparison.normalised;
            file.explanation = comparison
                .differences
                .into_iter()
                .map(|difference| match difference.path.as_str() {
                    "" => difference.explanation,
                    path => format!("{path}: {}", difference.explanation),
                })
                .collect();
            if comparison.omitted > 0 {
                file.explanation.push(format!("and {} further differences", comparison.omitted));
            }
        }
        // An archive that cannot be read strictly is never equivalent to anything.
        Err(error) => {
            file.outcome = FileOutcome::Different;
            file.explanation.push(error.to_string());
        }
    }
    Ok(())
}

fn read_bounded(path: &Path) -> Result<Option<Vec<u8>>, AssessError> {
    let failed = |source| AssessError { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MAX_COMPARED_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok((bytes.len() as u64 <= MAX_COMPARED_BYTES).then_some(bytes))
}

impl Assessment {
    /// The worst outcome of a release's main artifact and POM; sources, javadoc and the like have lines of their own,
    /// and a file that the reference does not have takes no part.
    pub fn headline(&self, coordinates: &Coordinates) -> FileOutcome {
        self.files
            .iter()
            .filter(|file| file.coordinates == *coordinates && is_headline(file) && file.outcome != FileOutcome::Extra)
            .map(|file| file.outcome)
            .max_by_key(|outcome| match outcome {
                FileOutcome::Built => 0,
                FileOutcome::Identical => 1,
                FileOutcome::Equivalent => 2,
                FileOutcome::Extra => 3,
                FileOutcome::Different => 4,
                FileOutcome::NotBuilt => 5,
            })
            .unwrap_or(FileOutcome::NotBuilt)
    }
}

/// `artifact-version.ext`: no classifier.
fn is_headline(file: &AssessedFile) -> bool {
    let stem = format!("{}-{}.", file.coordinates.artifact, file.coordinates.version);
    file.name.strip_prefix(&stem).is_some_and(|extension| matches!(extension, "jar" | "pom" | "war" | "aar" | "ear"))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixture(tempfile::TempDir);

    impl Fixture {
        fn path(&self, name: &str, bytes: &[u8]) -> PathBuf {
            let path = self.0.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        }

        fn built(&self, name: &str, bytes: &[u8]) -> BuiltFile {
            BuiltFile {
                coordinates: release(),
                name: name.to_owned(),
                path: self.path(&format!("built-{name}"), bytes),
                digests: FileDigests::of(bytes),
            }
        }

        fn reference(&self, name: &str, bytes: &[u8]) -> ReferenceFile {
            let path = self.path(&format!("reference-{name}"), bytes);
            ReferenceFile { coordinates: release(), name: name.to_owned(), path, sha256: Sha256::of(bytes) }
        }
    }

    fn release() -> Coordinates {
        "org.acme:lib:1".parse().unwrap()
    }

    #[test]
    fn every_file_of_either_side_has_its_line() {
        let fixture = Fixture(tempfile::tempdir().unwrap());
        let built = Built {
            files: vec![
                fixture.built("lib-1.jar", b"same"),
                fixture.built("lib-1.pom", b"<a/>\n"),
                fixture.built("lib-1-tests.jar", b"more"),
            ],
            ..Built::default()
        };
        let references = [
            fixture.reference("lib-1.jar", b"same"),
            fixture.reference("lib-1.pom", b"<b/>\n"),
            fixture.reference("lib-1-sources.jar", b"sources"),
        ];
        let assessment = assess(Mode::Upstream, &built, &references).unwrap();
        let outcome = |name: &str| assessment.files.iter().find(|file| file.name == name).unwrap().outcome;
        assert_eq!(outcome("lib-1.jar"), FileOutcome::Identical);
        assert_eq!(outcome("lib-1.pom"), FileOutcome::Different);
        assert_eq!(outcome("lib-1-tests.jar"), FileOutcome::Extra);
        assert_eq!(outcome("lib-1-sources.jar"), FileOutcome::NotBuilt);
        assert_eq!(assessment.headline(&release()), FileOutcome::Different);
        let other = "org.acme:other:1".parse().unwrap();
        assert_eq!(assessment.headline(&other), FileOutcome::NotBuilt);
    }

    #[test]
    fn a_native_build_has_nothing_to_compare_with() {
        let fixture = Fixture(tempfile::tempdir().unwrap());
        let built = Built { files: vec![fixture.built("lib-1.jar", b"x")], ..Built::default() };
        let assessment = assess(Mode::Native, &built, &[]).unwrap();
        assert_eq!(assessment.headline(&release()), FileOutcome::Built);
    }

    #[test]
    fn a_broken_archive_is_different_and_says_why() {
        let fixture = Fixture(tempfile::tempdir().unwrap());
        let built = Built { files: vec![fixture.built("lib-1.jar", b"PK\x03\x04 cut")], ..Built::default() };
        let references = [fixture.reference("lib-1.jar", b"PK\x03\x04 also")];
        let assessment = assess(Mode::Upstream, &built, &references).unwrap();
        assert_eq!(assessment.files[0].outcome, FileOutcome::Different);
        assert!(!assessment.files[0].explanation.is_empty());
    }
}
