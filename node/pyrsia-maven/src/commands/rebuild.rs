//! `rebuild`: rebuilds a release here and now, without a node and without a network.

mod told;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use build_infer::Checkout;
use build_spec::{BuildLog, Builder as _, Mode, Phase, Source, SourceError, SourceRequest, Specification};
use maven_layout::CanonicalRepository;
use pyrsia_api_types::{InferredSource, RebuildVerdict, WrittenProvenance};
use pyrsia_ledger::AuthorityKey;
use pyrsia_provenance::{Envelope, key_id, local_builder, public_key_pem};
use pyrsia_rebuilds::{pom_chain, provenance, resolve};

use crate::asked::Asked;
use crate::cli::{Global, RebuildArgs, SourceArgs};
use crate::context::Context;
use crate::data_dir::{read_seed, write_atomically};
use crate::exit::{CommandError, Exit};
use crate::inference::attempts::{Made, RunLog, Task, Tried};
use crate::inference::{self, Published, Session, report};
use crate::specs::{self, Chosen};
use crate::terminal;

/// Where a specification came from that lies in the commit itself.
const FROM_SOURCE: &str = "source";
/// That was found in a collection of specifications.
const FOUND: &str = "specs";
/// That was named.
const GIVEN: &str = "given";

/// The statement as a document.
const STATEMENT: &str = "provenance.json";
/// The signed statement: one DSSE envelope in a line.
const ENVELOPE: &str = "provenance.intoto.jsonl";

/// What is known of the way to a result, also if there is none.
#[derive(Default)]
struct Way {
    inferred: Option<InferredSource>,
    tried: Vec<Tried>,
    warnings: Vec<String>,
}

/// Everything that was found out, for the report.
struct Found {
    made: Made,
    origin: &'static str,
    clone: Duration,
}

/// Runs the command.
pub async fn run(global: &Global, args: &RebuildArgs) -> anyhow::Result<Exit> {
    let mut way = Way::default();
    match until_asked(global, args, &mut way).await {
        Ok(exit) => Ok(exit),
        Err(error) if global.json => {
            let exit = crate::exit::of(&error);
            terminal::json(&told::failed_report(args, &error, &way))?;
            Ok(exit)
        }
        Err(error) => Err(error),
    }
}

/// Rebuilds, or ends early when the process is asked to; then nothing of the build stays behind.
async fn until_asked(global: &Global, args: &RebuildArgs, way: &mut Way) -> anyhow::Result<Exit> {
    let mut asked = Asked::listen()?;
    let mut session = Session::open(global, &args.source_mirror, args.upstream.as_deref()).await?;
    let done = tokio::select! {
        done = attempt(global, args, &mut session, way) => Some(done),
        () = asked.wait() => None,
    };
    match done {
        Some(done) => done,
        None => session.ended_early(&mut asked).await,
    }
}

async fn attempt(global: &Global, args: &RebuildArgs, session: &mut Session, way: &mut Way) -> anyhow::Result<Exit> {
    let out = match &args.out {
        Some(out) => out.clone(),
        None => session.cache.join("out").join(args.coordinates.dir().as_str()),
    };
    std::fs::create_dir_all(&out).with_context(|| format!("cannot create {}", out.display()))?;
    let log = RunLog::create(&out.join("build.log"), !global.json)?;
    let signer = signer(&session.context, args)?;
    session.builder.available().await.map_err(|text| anyhow::anyhow!("{text}"))?;

    let start = Instant::now();
    let (chosen, wanted) = chosen(args, session, &log).await?;
    let checkout = chosen.as_ref().map(|chosen| build_spec::Checkout::of(&chosen.specification));
    let sourced = source(args, &wanted, checkout, session, log.clone()).await?;
    let clone = start.elapsed();
    way.inferred.clone_from(&sourced.inferred);
    way.warnings.extend(super::seen_tags::note(&session.cache, &sourced.source)?);
    for warning in &way.warnings {
        log.line(Phase::Source, &format!("warning: {warning}"));
    }
    let given = specification(args, chosen, &sourced.source);
    if let Some(reference) = &args.image {
        session.use_foreign_image(reference).await?;
    }
    // A release that brings its own specification is native; whether it is compared is another matter.
    let mode = match &given {
        Some((_, FROM_SOURCE)) => Mode::Native,
        _ => Mode::Upstream,
    };
    let session = &*session;
    let task = Task { session, args, source: sourced.source, mode, log };
    let (made, origin) = match given {
        Some((specification, origin)) => (task.once(specification).await?, origin),
        None => {
            let published = match sourced.published {
                Some(published) => published,
                // What is not compared is none of upstream's releases, so upstream is not asked for hints either.
                None if args.no_reference => Published::default(),
                None => Published::fetch(&*session.inputs, &args.coordinates, true).await?,
            };
            let checkout = match sourced.checkout {
                Some(checkout) => checkout,
                None => inference::read_checkout(task.source.archive.clone(), args.coordinates.clone()).await?,
            };
            if let Some(script) = checkout.gradle_script() {
                let text =
                    format!("Gradle builds this source ({script}), and how is not inferred: name a specification");
                return Err(CommandError::new(Exit::Failed, format!("{text} with --spec")).into());
            }
            let (mut plan, evidence) =
                inference::plan(session, &args.coordinates, &published, Some(&checkout), sourced.is_crlf)?;
            for text in &published.unread {
                task.log.line(Phase::Source, text);
            }
            for reason in evidence {
                task.log.line(Phase::Source, &format!("inferred {reason}"));
            }
            let made = task.along(&mut plan, &mut way.tried).await;
            for text in plan.skipped() {
                task.log.line(Phase::Source, &format!("not to be had here: {text}"));
            }
            (made?, report::INFERRED)
        }
    };
    let found = Found { made, origin, clone };
    let provenance = write_out(args, &out, &found, signer.as_ref())?;
    let report = told::report(args, &found, way, provenance);
    let exit = match report.verdict {
        RebuildVerdict::Identical | RebuildVerdict::Built => Exit::Done,
        RebuildVerdict::Equivalent => Exit::Equivalent,
        RebuildVerdict::Different => Exit::Different,
        RebuildVerdict::Failed => Exit::BuildFailed,
    };
    if global.json {
        terminal::json(&report)?;
    } else {
        told::print(&report, &out);
    }
    Ok(exit)
}

/// The specification that is named or found in a collection, and the source that the arguments and it name; an archive that
/// it builds is got.
async fn chosen(
    args: &RebuildArgs,
    session: &mut Session,
    log: &RunLog,
) -> anyhow::Result<(Option<Chosen>, SourceArgs)> {
    let context = &session.context;
    let mut chosen = specs::choose(context, &args.source, &context.config.specs, &args.coordinates).await?;
    let mut wanted = specs::completed(context, &args.source, chosen.as_ref()).await?;
    session.get_archive(&mut chosen, &mut wanted, &args.source).await?;
    if let Some(chosen) = &chosen {
        log.line(Phase::Source, &format!("specification {}", chosen.place));
        chosen.notes.iter().for_each(|note| log.line(Phase::Source, note));
    }
    Ok((chosen, wanted))
}

/// A source, and what was learnt on the way to it.
struct Sourced {
    source: Source,
    inferred: Option<InferredSource>,
    published: Option<Published>,
    checkout: Option<Checkout>,
    is_crlf: bool,
}

/// A tag or commit that is named is the asker's business; any other is looked for.
async fn source(
    args: &RebuildArgs,
    wanted: &SourceArgs,
    checkout: Option<build_spec::Checkout>,
    session: &Session,
    log: Arc<RunLog>,
) -> anyhow::Result<Sourced> {
    let given = super::infer::given(wanted.source.as_deref())?;
    if wanted.tag.is_some() || wanted.commit.is_some() {
        let source = named_source(args, wanted, checkout, session, given, log).await?;
        return Ok(Sourced { source, inferred: None, published: None, checkout: None, is_crlf: false });
    }
    let release = &args.coordinates;
    let published = Published::fetch(&*session.inputs, release, given.is_some()).await?;
    let found = inference::find(session, release, &published, given.as_ref(), log.clone()).await;
    let found = found.map_err(|error| error.into_error(release))?;
    for reason in &found.evidence {
        log.line(Phase::Source, &reason.to_string());
    }
    let (inferred, is_crlf) = (Some(report::source(&found)), found.is_crlf());
    Ok(Sourced { source: found.source, inferred, published: Some(published), checkout: Some(found.checkout), is_crlf })
}

async fn named_source(
    args: &RebuildArgs,
    wanted: &SourceArgs,
    checkout: Option<build_spec::Checkout>,
    session: &Session,
    given: Option<CanonicalRepository>,
    log: Arc<RunLog>,
) -> anyhow::Result<Source> {
    let no_source = |text: String| CommandError::new(Exit::NoSource, text);
    let repository = match given {
        Some(given) => given,
        None => {
            let chain = pom_chain(&*session.inputs, &args.coordinates).await;
            let chain = chain.map_err(|error| inference::no_chain(&error))?;
            chain.repository.ok_or_else(|| {
                no_source(format!("the POMs of {} name no git repository; name it with --source", args.coordinates))
            })?
        }
    };
    let request = SourceRequest {
        coordinates: vec![args.coordinates.clone()],
        repository,
        tag: wanted.tag.clone(),
        commit: wanted.commit.clone(),
        checkout,
    };
    let source = resolve(&*session.builder, request, log.clone()).await.map_err(|error| match error {
        SourceError::Local(text) => CommandError::new(Exit::Failed, text),
        error => no_source(error.to_string()),
    })?;
    for sentence in &source.evidence {
        log.line(Phase::Source, sentence);
    }
    Ok(source)
}

/// The specification that is named, found in a collection, or lies in the commit; none if it has to be inferred.
fn specification(args: &RebuildArgs, chosen: Option<Chosen>, source: &Source) -> Option<(Specification, &'static str)> {
    match (chosen, &source.specification) {
        (Some(chosen), _) if args.source.spec.is_some() => Some((chosen.specification, GIVEN)),
        (Some(chosen), _) => Some((chosen.specification, FOUND)),
        (None, Some(committed)) => Some((committed.clone(), FROM_SOURCE)),
        (None, None) => None,
    }
}

/// The key that signs the provenance: the one that was named, else this data directory's as an authority.
fn signer(context: &Context, args: &RebuildArgs) -> anyhow::Result<Option<AuthorityKey>> {
    let seed = match &args.key {
        Some(path) => Some(read_seed(path)?.with_context(|| format!("cannot sign: {} is not there", path.display()))?),
        None => context.data.existing_secret("authority.key")?,
    };
    Ok(seed.map(|seed| AuthorityKey::from_seed(&seed)))
}

/// Writes what was made and how. Without a key there is no envelope, nor one that an earlier run has left.
fn write_out(
    args: &RebuildArgs,
    out: &Path,
    found: &Found,
    signer: Option<&AuthorityKey>,
) -> anyhow::Result<WrittenProvenance> {
    let Made { job, rebuilt, assessment, .. } = &found.made;
    for file in &rebuilt.built.files {
        let bytes = std::fs::read(&file.path).with_context(|| format!("cannot read {}", file.path.display()))?;
        write_atomically(&out.join(&file.name), &bytes)?;
    }
    write_atomically(&out.join("manifest.txt"), rebuilt.manifest.to_text().as_bytes())?;
    write_atomically(&out.join("specification.toml"), job.specification.to_toml().as_bytes())?;
    let image = args.image.as_ref().map(ToString::to_string);
    let run = provenance::Run { builder: local_builder(), invocation: None, image };
    let statement = provenance::statement(job, &rebuilt.manifest, assessment, run);
    write_atomically(&out.join(STATEMENT), &serde_json::to_vec_pretty(&statement)?)?;
    let envelope = out.join(ENVELOPE);
    if let Some(key) = signer {
        let line = format!("{}\n", Envelope::sign(&statement, &[key]).to_json());
        write_atomically(&envelope, line.as_bytes())?;
    } else if let Err(error) = std::fs::remove_file(&envelope)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(error).with_context(|| format!("cannot remove the former {}", envelope.display()));
    }
    Ok(WrittenProvenance {
        statement: STATEMENT.to_owned(),
        envelope: signer.map(|_| ENVELOPE.to_owned()),
        key_id: signer.map(|key| key_id(&key.public())),
        public_key: signer.map(|key| public_key_pem(&key.public())),
    })
}
