//! `infer`: which source and which specification would be used, and why, without building.

use std::sync::Arc;

use build_spec::{BuildLog, Phase};
use maven_layout::CanonicalRepository;
use pyrsia_api_types::InferReport;

use crate::asked::Asked;
use crate::cli::{Global, InferArgs};
use crate::exit::{CommandError, Exit};
use crate::inference::{self, NotFound, Published, Session, report};
use crate::terminal;

/// Progress, for a person.
struct Progress;

impl BuildLog for Progress {
    fn line(&self, phase: Phase, line: &str) {
        terminal::note(&terminal::plain(&format!("[{phase}] {line}")));
    }
}

/// The repository that a flag names.
pub fn given(source: Option<&str>) -> anyhow::Result<Option<CanonicalRepository>> {
    let read = |raw: &str| {
        maven_layout::scm::canonical(raw)
            .map_err(|error| CommandError::new(Exit::NoSource, format!("source {raw}: {error}")))
    };
    Ok(source.map(read).transpose()?)
}

/// Runs the command, or ends early when the process is asked to; then nothing of it stays behind.
pub async fn run(global: &Global, args: &InferArgs) -> anyhow::Result<Exit> {
    let mut asked = Asked::listen()?;
    let session = Session::open(global, &args.source_mirror, args.upstream.as_deref()).await?;
    let done = tokio::select! {
        done = attempt(global, args, &session) => Some(done),
        () = asked.wait() => None,
    };
    match done {
        Some(done) => done,
        None => session.ended_early(&mut asked).await,
    }
}

async fn attempt(global: &Global, args: &InferArgs, session: &Session) -> anyhow::Result<Exit> {
    let release = &args.coordinates;
    let log: Arc<dyn BuildLog> = if global.json { Arc::new(build_spec::NoLog) } else { Arc::new(Progress) };
    let given = given(args.source.as_deref())?;
    let published = Published::fetch(&*session.inputs, release, given.is_some()).await?;
    let mut told = InferReport { gav: release.to_string(), ..InferReport::default() };
    let found = match inference::find(session, release, &published, given.as_ref(), log).await {
        Ok(found) => Some(found),
        Err(NotFound::Refused(refused)) => {
            told.failure = Some(inference::failure(release, &refused));
            told.refused = refused;
            None
        }
        Err(failed) => return Err(failed.into_error(release)),
    };
    told.skipped.clone_from(&published.unread);
    if let Some(found) = &found {
        told.source = Some(report::source(found));
        told.evidence = report::reasons(&found.evidence);
        told.refused.clone_from(&found.refused);
        if let Some(committed) = &found.source.specification {
            let why = ["pyrsia.toml of the commit".to_owned()];
            told.spec = Some(report::specification(committed, "source", &why));
        } else if let Some(script) = found.checkout.gradle_script() {
            told.skipped.push(format!("how Gradle builds it ({script}) is not inferred"));
        } else {
            let is_crlf = found.is_crlf();
            let (mut plan, evidence) = inference::plan(session, release, &published, Some(&found.checkout), is_crlf)?;
            told.evidence.extend(report::reasons(&evidence));
            told.spec = plan.first().as_ref().map(report::candidate);
            told.alternatives = plan.candidates().map(report::candidate).collect();
            told.skipped.extend(plan.skipped().iter().cloned());
        }
    }
    if global.json {
        terminal::json(&told)?;
    } else {
        print(&told);
    }
    Ok(if found.is_some() { Exit::Done } else { Exit::NoSource })
}

fn print(told: &InferReport) {
    let line = |text: &str| terminal::line(&terminal::plain(text));
    line(&told.gav);
    if let Some(source) = &told.source {
        let tag = source.tag.as_deref().unwrap_or("-");
        line(&format!("  source    {} tag {tag} commit {}", source.repository, source.commit));
        line(&format!("  proof     {}: {}", source.acceptance, source.said));
        for name in source.files.iter().flat_map(|files| &files.missing_names) {
            line(&format!("    not in the commit: {name}"));
        }
    }
    for reason in &told.evidence {
        line(&format!("  {:<17} {} ({})", reason.about, reason.value, reason.from));
    }
    for text in &told.refused {
        line(&format!("  not taken         {text}"));
    }
    for text in &told.skipped {
        line(&format!("  not to be had     {text}"));
    }
    if let Some(spec) = &told.spec {
        line(&format!("  specification {} ({})", spec.digest, spec.why.join("; ")));
        for text in spec.toml.lines() {
            line(&format!("    {text}"));
        }
    }
    for other in &told.alternatives {
        line(&format!("  then              {}", other.why.join("; ")));
    }
    if let Some(failure) = &told.failure {
        terminal::note(&terminal::plain_lines(failure));
    }
}
