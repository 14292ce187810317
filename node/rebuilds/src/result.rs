//! From what this machine found to what an authority says in the ledger.

use build_spec::{BuildError, Job, SourceError};
use maven_layout::CanonicalRepository;
use pyrsia_digest::Sha256;
use pyrsia_ledger::{
    BuiltResult, FailedBuild, FailureKind, FileResult, MAX_TEXT_BYTES, Outcome, RecordFailure, RoundResult,
};

use crate::assess::{AssessedFile, Assessment, FileOutcome};
use crate::board;
use crate::pom_chain::PomChain;

/// A result for the ledger from an assessed build.
pub fn built_result(
    job: &Job,
    assessment: &Assessment,
    chain: Option<&PomChain>,
    byproducts: Option<Sha256>,
    provenance: Option<Sha256>,
) -> RoundResult {
    let mut files: Vec<FileResult> = assessment.files.iter().map(file_result).collect();
    files.sort_by_key(|file| (file.coordinates.to_string(), file.name.clone()));
    RoundResult::Built(BuiltResult {
        outputs_root: outputs_root(assessment),
        files,
        source_tree: job.source.tree,
        canonical_scm: canonical_scm(job, chain),
        pom_chain: chain.map(|chain| chain.digests.clone()).unwrap_or_default(),
        byproducts,
        provenance,
        mirrored_source: job.source.mirrored,
    })
}

/// The result of a build whose tool gave up.
pub fn failed_result(job: &Job, chain: Option<&PomChain>) -> FailedBuild {
    FailedBuild {
        kind: FailureKind::ToolExit,
        canonical_scm: canonical_scm(job, chain),
        mirrored_source: job.source.mirrored,
    }
}

/// For an upstream release the word of upstream's POMs; for a native one that of the build file at the commit.
fn canonical_scm(job: &Job, chain: Option<&PomChain>) -> Option<CanonicalRepository> {
    match chain {
        Some(chain) => chain.repository.clone(),
        None => job.source.declared_scm.clone(),
    }
}

fn file_result(file: &AssessedFile) -> FileResult {
    FileResult {
        coordinates: file.coordinates.clone(),
        name: file.name.clone(),
        reference: file.reference,
        outcome: match file.outcome {
            FileOutcome::Built => Outcome::Native,
            FileOutcome::Identical => Outcome::Identical,
            FileOutcome::Equivalent => Outcome::Equivalent,
            FileOutcome::Different => Outcome::Different,
            FileOutcome::NotBuilt => Outcome::NotBuilt,
            FileOutcome::Extra => Outcome::Extra,
        },
        digest: file.built.as_ref().map(|built| built.sha256),
        normalised: file.normalised,
        normalisers: file.normalisers.clone(),
    }
}

/// RFC 6962 tree head over lines `coordinates<TAB>name<TAB>size<TAB>sha256` of what was built, in ledger order.
pub fn outputs_root(assessment: &Assessment) -> Sha256 {
    let mut lines: Vec<(String, String, String)> = assessment
        .files
        .iter()
        .filter_map(|file| {
            let built = file.built.as_ref()?;
            let (coordinates, name) = (file.coordinates.to_string(), file.name.clone());
            let line = format!("{coordinates}\t{name}\t{}\t{}", built.size, built.sha256);
            Some((coordinates, name, line))
        })
        .collect();
    lines.sort();
    let leaves: Vec<_> = lines.iter().map(|(.., line)| pyrsia_merkle::leaf_hash(line.as_bytes())).collect();
    pyrsia_merkle::root(&leaves)
}

/// What the recorder says when a source could not be established.
pub fn source_failure(error: &SourceError) -> RecordFailure {
    match error {
        SourceError::Clone { .. } | SourceError::Local(_) => RecordFailure::SourceUnavailable,
        SourceError::BuildFile { .. }
        | SourceError::Coordinates { .. }
        | SourceError::Refused { .. }
        | SourceError::Revision { .. }
        | SourceError::Tree { .. } => RecordFailure::SourceMismatch,
    }
}

/// What the recorder says when a build gave no outputs.
pub fn record_failure(error: &BuildError, failed: FailedBuild) -> RecordFailure {
    match error {
        BuildError::ToolFailed(_) => RecordFailure::Build(failed),
        BuildError::NeedsNetwork(_) => RecordFailure::NeedsNetwork,
        BuildError::InputsUnavailable(_) | BuildError::Snapshot(_) => RecordFailure::InputsUnavailable,
        BuildError::Undeclared { .. } => RecordFailure::NotReplayable,
        BuildError::Specification(_) | BuildError::Unsupported(_) => RecordFailure::SpecificationUnavailable,
        BuildError::CommandFailed { .. }
        | BuildError::NoOutput(_)
        | BuildError::Interfered(_)
        | BuildError::InputIsOutput(_)
        | BuildError::Manifest(_)
        | BuildError::Limit(_)
        | BuildError::UpstreamFailed(_)
        | BuildError::Engine(_) => RecordFailure::Engine,
    }
}

/// The class that exit codes follow.
pub fn failure_kind(error: &BuildError) -> board::FailureKind {
    match error {
        BuildError::ToolFailed(_)
        | BuildError::CommandFailed { .. }
        | BuildError::NoOutput(_)
        | BuildError::Interfered(_)
        | BuildError::InputIsOutput(_) => board::FailureKind::Build,
        BuildError::Undeclared { .. }
        | BuildError::NeedsNetwork(_)
        | BuildError::InputsUnavailable(_)
        | BuildError::Snapshot(_) => board::FailureKind::Input,
        BuildError::Unsupported(_)
        | BuildError::Specification(_)
        | BuildError::Manifest(_)
        | BuildError::Limit(_)
        | BuildError::UpstreamFailed(_)
        | BuildError::Engine(_) => board::FailureKind::Internal,
    }
}

/// Text that fits into an entry: no control characters, at most 512 bytes.
pub fn entry_text(text: &str) -> String {
    let mut short = String::new();
    for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if short.len() + c.len_utf8() > MAX_TEXT_BYTES {
            break;
        }
        short.push(c);
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use build_spec::BuildLimit;
    use pyrsia_digest::FileDigests;

    fn file(name: &str, bytes: &[u8]) -> AssessedFile {
        AssessedFile {
            coordinates: "org.acme:lib:1".parse().unwrap(),
            name: name.to_owned(),
            built: Some(FileDigests::of(bytes)),
            reference: None,
            outcome: FileOutcome::Built,
            normalisers: vec![],
            normalised: None,
            explanation: vec![],
        }
    }

    #[test]
    fn the_outputs_root_depends_on_content_and_not_on_order() {
        let (a, b) = (file("lib-1.jar", b"a"), file("lib-1.pom", b"b"));
        let one = outputs_root(&Assessment { files: vec![a.clone(), b.clone()] });
        let two = outputs_root(&Assessment { files: vec![b.clone(), a] });
        assert_eq!(one, two);
        assert_ne!(one, outputs_root(&Assessment { files: vec![file("lib-1.jar", b"other"), b] }));
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let text = entry_text(&"é\n".repeat(1000));
        assert!(text.len() <= MAX_TEXT_BYTES);
        assert!(!text.contains('\n'));
    }

    #[test]
    fn neither_a_limit_nor_what_a_build_did_to_its_outputs_is_a_result() {
        let failed = || FailedBuild { kind: FailureKind::ToolExit, canonical_scm: None, mirrored_source: false };
        let interfered = BuildError::Interfered("they cannot be collected".to_owned());
        assert_eq!(failure_kind(&interfered), board::FailureKind::Build);
        assert_eq!(record_failure(&interfered, failed()), RecordFailure::Engine);
        for limit in [BuildLimit::Time, BuildLimit::Memory, BuildLimit::Disk, BuildLimit::Processes, BuildLimit::Log] {
            let error = BuildError::Limit(limit);
            assert_eq!(failure_kind(&error), board::FailureKind::Internal);
            assert_eq!(record_failure(&error, failed()), RecordFailure::Engine);
            assert!(!error.is_attestable() && error.word().starts_with("limit-"));
        }
    }
}
