//! What `rebuild` says: as a document, and for a person.

use std::path::Path;

use pyrsia_api_types::{
    ManifestSummary, OutputReport, RebuildReport, RebuildVerdict, SourceDocument, SpecReport, Timings,
    WrittenProvenance,
};

use super::{ENVELOPE, Found, STATEMENT, Way};
use crate::cli::RebuildArgs;
use crate::exit::CommandError;
use crate::inference::report;
use crate::terminal;

/// The report of a build.
pub(super) fn report(args: &RebuildArgs, found: &Found, way: &Way, provenance: WrittenProvenance) -> RebuildReport {
    let (job, rebuilt) = (&found.made.job, &found.made.rebuilt);
    let verdict = report::verdict(found.made.assessment.headline(&args.coordinates));
    RebuildReport {
        gav: args.coordinates.to_string(),
        verdict,
        source: SourceDocument {
            repository: Some(job.source.repository.to_string()),
            commit: Some(job.source.commit.clone()),
            tag: job.source.tag.clone(),
        },
        spec: report::short(&job.specification, found.origin),
        image_digest: Some(job.image.to_string()),
        image: args.image.as_ref().map(ToString::to_string),
        manifest: ManifestSummary {
            root: Some(rebuilt.manifest.root().to_string()),
            count: rebuilt.manifest.len() as u64,
            bytes: rebuilt.manifest.total_bytes(),
        },
        outputs: found
            .made
            .assessment
            .files
            .iter()
            .map(|file| OutputReport {
                name: file.name.clone(),
                size: file.built.as_ref().map(|built| built.size),
                sha256: file.built.as_ref().map(|built| built.sha256.to_string()),
                sha512: file.built.as_ref().map(|built| built.sha512.to_string()),
                outcome: file.outcome.as_str().to_owned(),
                normalisers: file.normalisers.clone(),
                explanation: (!file.explanation.is_empty()).then(|| file.explanation.join("\n")),
            })
            .collect(),
        timings: Timings {
            clone_s: found.clone.as_secs_f64(),
            record_s: rebuilt.record.as_secs_f64(),
            replay_s: rebuilt.replay.as_secs_f64(),
            compare_s: found.made.compare.as_secs_f64(),
        },
        provenance: Some(provenance),
        warnings: way.warnings.clone(),
        failure: None,
        failure_kind: None,
        inferred: way.inferred.clone(),
        attempts: report::attempts(&way.tried),
    }
}

/// The report where there is none.
pub(super) fn failed_report(args: &RebuildArgs, error: &anyhow::Error, way: &Way) -> RebuildReport {
    RebuildReport {
        gav: args.coordinates.to_string(),
        verdict: RebuildVerdict::Failed,
        source: SourceDocument {
            repository: args.source.source.clone(),
            commit: args.source.commit.clone(),
            tag: args.source.tag.clone(),
        },
        spec: SpecReport::default(),
        image_digest: None,
        image: args.image.as_ref().map(ToString::to_string),
        manifest: ManifestSummary::default(),
        outputs: Vec::new(),
        timings: Timings::default(),
        provenance: None,
        warnings: way.warnings.clone(),
        failure: Some(format!("{error:#}")),
        failure_kind: error.downcast_ref::<CommandError>().and_then(|known| known.kind).map(str::to_owned),
        inferred: way.inferred.clone(),
        attempts: report::attempts(&way.tried),
    }
}

fn word(verdict: RebuildVerdict) -> &'static str {
    match verdict {
        RebuildVerdict::Identical => "identical",
        RebuildVerdict::Equivalent => "equivalent",
        RebuildVerdict::Different => "different",
        RebuildVerdict::Built => "built",
        RebuildVerdict::Failed => "failed",
    }
}

/// The report for a person.
pub(super) fn print(report: &RebuildReport, out: &Path) {
    let none = || "-".to_owned();
    let verdict = word(report.verdict);
    terminal::line(&format!("{} {verdict}", report.gav));
    let source = &report.source;
    terminal::line(&format!(
        "  source   {} tag {} commit {}",
        source.repository.clone().unwrap_or_else(none),
        source.tag.clone().unwrap_or_else(none),
        source.commit.clone().unwrap_or_else(none)
    ));
    if let Some(inferred) = &report.inferred {
        terminal::line(&format!("  proof    {}: {}", inferred.acceptance, terminal::plain(&inferred.said)));
    }
    for attempt in &report.attempts {
        let spec = (attempt.spec.tool.clone().unwrap_or_else(none), attempt.spec.jdk.clone().unwrap_or_else(none));
        let result = match &attempt.failure {
            Some(failure) => failure.lines().next().unwrap_or_default().to_owned(),
            None => word(attempt.verdict).to_owned(),
        };
        let why = attempt.why.join("; ");
        let text = format!("  attempt  {}: {} on JDK {}, {why}: {result}", attempt.number, spec.0, spec.1);
        terminal::line(&terminal::plain(&text));
    }
    terminal::line(&format!(
        "  image    {}",
        report.image.clone().or_else(|| report.image_digest.clone()).unwrap_or_else(none)
    ));
    terminal::line(&format!(
        "  inputs   {} ({} files)",
        report.manifest.root.clone().unwrap_or_else(none),
        report.manifest.count
    ));
    for output in &report.outputs {
        let digest = output.sha256.clone().unwrap_or_else(none);
        terminal::line(&format!("  {} {} {digest}", output.name, output.outcome));
        if !output.normalisers.is_empty() {
            terminal::line(&format!("    after {}", output.normalisers.join(", ")));
        }
        for sentence in output.explanation.iter().flat_map(|text| text.lines()).take(20) {
            terminal::line(&format!("    {}", terminal::plain(sentence)));
        }
    }
    if let Some(written) = &report.provenance {
        let text = match &written.key_id {
            Some(id) => format!("{ENVELOPE}, signed by key {id}"),
            None => format!("{STATEMENT}, UNSIGNED: no authority key in the data directory and none named with --key"),
        };
        terminal::line(&format!("  provenance {text}"));
    }
    let times = &report.timings;
    terminal::line(&format!(
        "  times    clone {:.1} s, record {:.1} s, replay {:.1} s, compare {:.1} s",
        times.clone_s, times.record_s, times.replay_s, times.compare_s
    ));
    terminal::line(&format!("  files    {}", out.display()));
}
