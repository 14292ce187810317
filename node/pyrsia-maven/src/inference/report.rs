//! Documents about what was inferred.

use build_infer::{Acceptance, Candidate, Evidence, Standing};
use build_spec::Specification;
use pyrsia_api_types::{
    AttemptReport, InferredSource, InferredSpec, ReasonReport, RebuildVerdict, SourceFiles, SpecReport,
};
use pyrsia_rebuilds::FileOutcome;

use super::attempts::Tried;
use super::find::Found;

/// What `origin` says of a specification that was inferred.
pub const INFERRED: &str = "inferred";

/// The source.
pub fn source(found: &Found) -> InferredSource {
    let matched = match &found.acceptance {
        Acceptance::Files(matched) => Some(matched),
        Acceptance::Pom | Acceptance::Declared => None,
    };
    InferredSource {
        repository: found.source.repository.to_string(),
        tag: found.source.tag.clone(),
        commit: found.source.commit.clone(),
        standing: match found.standing {
            Standing::Named => "named",
            Standing::Derived => "derived",
            Standing::Given => "given",
            Standing::Guessed => "guessed",
            Standing::Stranger => "stranger",
        }
        .to_owned(),
        acceptance: found.acceptance.as_str().to_owned(),
        said: found.acceptance.to_string(),
        match_percent: matched.and_then(|matched| matched.per_mille()).map(|share| f64::from(share) / 10.0),
        files: matched.map(|matched| SourceFiles {
            equal: matched.equal,
            line_ends: matched.line_ends,
            missing: matched.missing.count,
            missing_names: matched.missing.names.clone(),
            generated: matched.generated.count,
            generated_names: matched.generated.names.clone(),
        }),
    }
}

/// A specification with the reasons for it.
pub fn specification(specification: &Specification, origin: &str, why: &[String]) -> InferredSpec {
    InferredSpec {
        digest: specification.digest().to_string(),
        origin: origin.to_owned(),
        toml: specification.to_toml(),
        why: why.to_vec(),
    }
}

/// A candidate of a plan.
pub fn candidate(candidate: &Candidate) -> InferredSpec {
    specification(&candidate.specification, INFERRED, &candidate.why)
}

/// Reasons.
pub fn reasons<'a>(evidence: impl IntoIterator<Item = &'a Evidence>) -> Vec<ReasonReport> {
    let reason = |evidence: &Evidence| ReasonReport {
        about: evidence.about.to_owned(),
        value: evidence.value.clone(),
        from: evidence.from.clone(),
    };
    evidence.into_iter().map(reason).collect()
}

/// The specification of a rebuild in short.
pub fn short(specification: &Specification, origin: &str) -> SpecReport {
    SpecReport {
        digest: Some(specification.digest().to_string()),
        origin: origin.to_owned(),
        tool: Some(specification.tool.to_string()),
        jdk: Some(specification.jdk.to_string()),
        command: Some(specification.command_line()),
    }
}

/// The headline of a file as that of a rebuild.
pub fn verdict(outcome: FileOutcome) -> RebuildVerdict {
    match outcome {
        FileOutcome::Built => RebuildVerdict::Built,
        FileOutcome::Identical => RebuildVerdict::Identical,
        FileOutcome::Equivalent => RebuildVerdict::Equivalent,
        FileOutcome::Different | FileOutcome::NotBuilt | FileOutcome::Extra => RebuildVerdict::Different,
    }
}

/// All attempts.
pub fn attempts(tried: &[Tried]) -> Vec<AttemptReport> {
    let one = |(number, tried): (u32, &Tried)| AttemptReport {
        number,
        spec: short(&tried.candidate.specification, INFERRED),
        why: tried.candidate.why.clone(),
        verdict: tried.result.as_ref().map_or(RebuildVerdict::Failed, |outcome| verdict(*outcome)),
        failure: tried.result.as_ref().err().cloned(),
        kept: tried.kept,
    };
    (1..).zip(tried).map(one).collect()
}
