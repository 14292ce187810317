//! `rebuild`: rebuilds a release here and now, without a node and without a network.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use async_trait::async_trait;
use build_spec::{
    BuildError, BuildLog, Builder, Input, InputError, Inputs, Job, Mode, Phase, RepositoryId, RunId, SandboxProfile,
    Source, SourceError, SourceRequest, Specification, ToolFailure,
};
use maven_layout::{CanonicalRepository, RepoPath};
use pyrsia_api_types::{
    ManifestSummary, OutputReport, RebuildReport, RebuildVerdict, SourceDocument, SpecReport, Timings,
    WrittenProvenance,
};
use pyrsia_ledger::AuthorityKey;
use pyrsia_provenance::{Envelope, key_id, local_builder, public_key_pem};
use pyrsia_rebuilds::{
    Assessment, FileOutcome, PomChainError, Rebuilt, ReferenceFile, StoreBlobs, assess, check_inputs, pom_chain,
    provenance, record_and_replay, references, resolve,
};

use crate::cli::{Global, RebuildArgs, SourceArgs};
use crate::compose::{self, DEFAULT_MAVEN, LocalRepository};
use crate::context::Context;
use crate::data_dir::{DataDir, read_seed, write_atomically};
use crate::exit::{CommandError, Exit};
use crate::image_store::ImageStore;
use crate::inputs::RepositoryInputs;
use crate::specs::{self, Chosen};
use crate::terminal;
use crate::upstream::NONE;

/// Where a specification came from that lies in the commit itself.
const FROM_SOURCE: &str = "source";
/// That was found in a collection of specifications.
const FOUND: &str = "specs";

/// The statement as a document.
const STATEMENT: &str = "provenance.json";
/// The signed statement: one DSSE envelope in a line.
const ENVELOPE: &str = "provenance.intoto.jsonl";

/// The log of a run: into a file, and to the terminal.
struct RunLog {
    file: Mutex<File>,
    show: bool,
}

impl BuildLog for RunLog {
    fn line(&self, phase: Phase, line: &str) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // A full disk must not end the build; its result says more than its log.
        let _ = writeln!(file, "[{phase}] {line}");
        if self.show {
            terminal::note(&terminal::plain(&format!("[{phase}] {line}")));
        }
    }
}

/// Inputs of a run that has no upstream: nothing is there.
struct NoInputs;

#[async_trait]
impl Inputs for NoInputs {
    async fn get(&self, repository: &RepositoryId, _path: &RepoPath) -> Result<Input, InputError> {
        Err(InputError::UnknownRepository(format!("{repository} (no upstream was found; name one with --upstream)")))
    }
}

/// Everything that was found out, for the report.
struct Found {
    job: Job,
    origin: &'static str,
    rebuilt: Rebuilt,
    assessment: Assessment,
    clone: Duration,
    compare: Duration,
}

/// Runs the command.
pub async fn run(global: &Global, args: &RebuildArgs) -> anyhow::Result<Exit> {
    match attempt(global, args).await {
        Ok(exit) => Ok(exit),
        Err(error) if global.json => {
            let exit = crate::exit::of(&error);
            terminal::json(&failed_report(args, &error))?;
            Ok(exit)
        }
        Err(error) => Err(error),
    }
}

async fn attempt(global: &Global, args: &RebuildArgs) -> anyhow::Result<Exit> {
    let mut context = Context::load(global)?;
    for mirror in &args.source_mirror {
        context.config.source_mirrors.insert(mirror.prefix.clone(), mirror.replacement.clone());
    }
    if args.upstream.is_some() {
        context.config.node.upstream = args.upstream.clone();
    }
    let cache = DataDir::new(&context.data.join("rebuild"))?;
    let _lock = cache.lock()?;
    let out = match &args.out {
        Some(out) => out.clone(),
        None => cache.join("out").join(args.coordinates.dir().as_str()),
    };
    std::fs::create_dir_all(&out).with_context(|| format!("cannot create {}", out.display()))?;
    let log: Arc<dyn BuildLog> = Arc::new(RunLog {
        file: Mutex::new(File::create(out.join("build.log")).context("cannot write the log")?),
        show: !global.json,
    });
    // Sources and outputs of this run lie in one folder, which goes with it.
    let work = tempfile::tempdir_in(cache.root()).context("cannot make a work folder")?;
    context.config.builder.java.temp_dir = Some(work.path().to_owned());
    let signer = signer(&context, args)?;
    let builder = compose::java_builder(&context);
    builder.available().await.map_err(|text| anyhow::anyhow!("{text}"))?;
    let local = LocalRepository::open(&cache, &context).await?;
    let inputs: Arc<dyn Inputs> = match context.config.node.upstream.as_deref() {
        Some(NONE) => Arc::new(NoInputs),
        _ => Arc::new(RepositoryInputs { files: local.files.clone(), blobs: local.blobs.clone() }),
    };

    let start = Instant::now();
    let mut chosen = specs::choose(&context, &args.source, &context.config.specs, &args.coordinates).await?;
    let mut wanted = specs::completed(&context, &args.source, chosen.as_ref()).await?;
    let builder = match specs::get_archive(&mut context, &mut chosen, &mut wanted, &args.source, work.path()).await? {
        true => compose::java_builder(&context),
        false => builder,
    };
    if let Some(chosen) = &chosen {
        log.line(Phase::Source, &format!("specification {}", chosen.place));
        chosen.notes.iter().for_each(|note| log.line(Phase::Source, note));
    }
    let source = source(args, &wanted, &builder, &*inputs, log.clone()).await?;
    let clone = start.elapsed();
    let (specification, origin) = specification(args, chosen, &source);
    let (builder, image) = match &args.image {
        Some(reference) => {
            let foreign = builder.engine().await?.foreign_image(reference).await?;
            (builder.in_foreign_image(foreign), reference.digest())
        }
        None => (builder, image(&context, specification.jdk).await?),
    };
    let job = Job {
        run: RunId::new(&format!("rebuild-{}", std::process::id())),
        coordinates: vec![args.coordinates.clone()],
        // A release that brings its own specification is native; whether it is compared is another matter.
        mode: if origin == FROM_SOURCE { Mode::Native } else { Mode::Upstream },
        source,
        specification,
        image,
        profile: SandboxProfile::v1(),
        work_dir: work.path().to_owned(),
    };
    let blobs = Arc::new(StoreBlobs(local.blobs.clone()));
    let rebuilt = record_and_replay(&builder, &job, inputs.clone(), blobs, log.clone()).await.map_err(build_error)?;
    let start = Instant::now();
    let references = reference_files(args, &*inputs, &rebuilt, work.path()).await?;
    check_inputs(&rebuilt.manifest, &rebuilt.built, &references).map_err(build_error)?;
    let assessment = assess(job.mode, &rebuilt.built, &references)?;
    let compare = start.elapsed();
    let found = Found { job, origin, rebuilt, assessment, clone, compare };
    let provenance = write_out(args, &out, &found, signer.as_ref())?;
    let report = report(args, &found, provenance);
    let exit = match report.verdict {
        RebuildVerdict::Identical | RebuildVerdict::Built => Exit::Done,
        RebuildVerdict::Equivalent => Exit::Equivalent,
        RebuildVerdict::Different => Exit::Different,
        RebuildVerdict::Failed => Exit::BuildFailed,
    };
    if global.json {
        terminal::json(&report)?;
    } else {
        print(&report, &out);
    }
    Ok(exit)
}

async fn source(
    args: &RebuildArgs,
    wanted: &SourceArgs,
    builder: &dyn Builder,
    inputs: &dyn Inputs,
    log: Arc<dyn BuildLog>,
) -> anyhow::Result<Source> {
    let no_source = |text: String| CommandError::new(Exit::NoSource, text);
    let repository: CanonicalRepository = match &wanted.source {
        Some(raw) => maven_layout::scm::canonical(raw).map_err(|error| no_source(format!("source {raw}: {error}")))?,
        None => {
            let chain = pom_chain(inputs, &args.coordinates).await.map_err(|error| match error {
                // That an upstream is down says nothing about the source.
                PomChainError::Input(InputError::Unavailable { .. }) => {
                    CommandError::new(Exit::Failed, format!("{error}; try again later"))
                }
                error => no_source(error.to_string()),
            })?;
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
    };
    let source = resolve(builder, request, log.clone()).await.map_err(|error| match error {
        SourceError::Local(text) => CommandError::new(Exit::Failed, text),
        error => no_source(error.to_string()),
    })?;
    for sentence in &source.evidence {
        log.line(Phase::Source, sentence);
    }
    Ok(source)
}

fn specification(args: &RebuildArgs, chosen: Option<Chosen>, source: &Source) -> (Specification, &'static str) {
    match (chosen, &source.specification) {
        (Some(chosen), _) if args.source.spec.is_some() => (chosen.specification, "given"),
        (Some(chosen), _) => (chosen.specification, FOUND),
        (None, Some(committed)) => (committed.clone(), FROM_SOURCE),
        (None, None) => (Specification::default_maven(DEFAULT_MAVEN), "default"),
    }
}

/// The image for a JDK, made now if it is not there: a maintainer's first try should need one command.
async fn image(context: &Context, jdk: u32) -> anyhow::Result<pyrsia_digest::Sha256> {
    let store = ImageStore::open(&context.images_dir(), context.config.builder.java.engine.clone())?;
    let name = format!("jdk{jdk}");
    let image = match store.find(&name)? {
        Some(image) => image,
        None => {
            terminal::note(&format!("making builder image {name} (once; about a minute)"));
            store.build(&name, &|_| {}).await?
        }
    };
    store.load(&image).await?;
    Ok(image.digest)
}

async fn reference_files(
    args: &RebuildArgs,
    inputs: &dyn Inputs,
    rebuilt: &Rebuilt,
    work: &Path,
) -> anyhow::Result<Vec<ReferenceFile>> {
    if args.no_reference {
        return Ok(Vec::new());
    }
    let coordinates = args.coordinates.clone();
    let Some(given) = &args.reference else {
        let found = references(inputs, std::slice::from_ref(&coordinates), &rebuilt.built).await;
        let found = found.map_err(|error| anyhow::anyhow!("the reference could not be had: {error:?}"))?;
        if found.is_empty() {
            bail!("upstream has no {coordinates} to compare with; use --no-reference or --reference");
        }
        return Ok(found);
    };
    let stem = format!("{}-{}.", coordinates.artifact, coordinates.version);
    let built = rebuilt.built.files.iter().filter(|file| file.name.starts_with(&stem));
    let extension = given.rsplit_once('.').map_or("jar", |(_, extension)| extension);
    let name = built
        .map(|file| file.name.clone())
        .find(|name| name.ends_with(&format!(".{extension}")))
        .unwrap_or_else(|| format!("{stem}{extension}"));
    let path = if given.starts_with("https://") || given.starts_with("http://") {
        let path = work.join("reference");
        let bytes = reqwest::get(given).await?.error_for_status()?.bytes().await?;
        std::fs::write(&path, &bytes)?;
        path
    } else {
        given.into()
    };
    let sha256 = super::local_files::digests(&path)?.sha256;
    Ok(vec![ReferenceFile { coordinates, name, path, sha256 }])
}

/// A build error with its exit code.
fn build_error(error: BuildError) -> anyhow::Error {
    use pyrsia_rebuilds::FailureKind;
    let exit = match pyrsia_rebuilds::failure_kind(&error) {
        FailureKind::Build => Exit::BuildFailed,
        FailureKind::Input => Exit::Undeclared,
        FailureKind::Source => Exit::NoSource,
        FailureKind::Refused | FailureKind::Internal => Exit::Failed,
    };
    let text = match &error {
        BuildError::ToolFailed(ToolFailure { log_tail, .. }) | BuildError::CommandFailed { log_tail, .. } => {
            format!("{error}\n{}", log_tail.join("\n"))
        }
        _ => error.to_string(),
    };
    CommandError::new(exit, text).into()
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
    for file in &found.rebuilt.built.files {
        let bytes = std::fs::read(&file.path).with_context(|| format!("cannot read {}", file.path.display()))?;
        write_atomically(&out.join(&file.name), &bytes)?;
    }
    write_atomically(&out.join("manifest.txt"), found.rebuilt.manifest.to_text().as_bytes())?;
    write_atomically(&out.join("specification.toml"), found.job.specification.to_toml().as_bytes())?;
    let image = args.image.as_ref().map(ToString::to_string);
    let run = provenance::Run { builder: local_builder(), invocation: None, image };
    let statement = provenance::statement(&found.job, &found.rebuilt.manifest, &found.assessment, run);
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

fn report(args: &RebuildArgs, found: &Found, provenance: WrittenProvenance) -> RebuildReport {
    let (job, rebuilt) = (&found.job, &found.rebuilt);
    let verdict = match found.assessment.headline(&args.coordinates) {
        FileOutcome::Built => RebuildVerdict::Built,
        FileOutcome::Identical => RebuildVerdict::Identical,
        FileOutcome::Equivalent => RebuildVerdict::Equivalent,
        FileOutcome::Different | FileOutcome::NotBuilt | FileOutcome::Extra => RebuildVerdict::Different,
    };
    RebuildReport {
        gav: args.coordinates.to_string(),
        verdict,
        source: SourceDocument {
            repository: Some(job.source.repository.to_string()),
            commit: Some(job.source.commit.clone()),
            tag: job.source.tag.clone(),
        },
        spec: SpecReport {
            digest: Some(job.specification.digest().to_string()),
            origin: found.origin.to_owned(),
            tool: Some(job.specification.tool.to_string()),
            jdk: Some(job.specification.jdk.to_string()),
            command: Some(job.specification.command_line()),
        },
        image_digest: Some(job.image.to_string()),
        image: args.image.as_ref().map(ToString::to_string),
        manifest: ManifestSummary {
            root: Some(rebuilt.manifest.root().to_string()),
            count: rebuilt.manifest.len() as u64,
            bytes: rebuilt.manifest.total_bytes(),
        },
        outputs: found
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
            compare_s: found.compare.as_secs_f64(),
        },
        provenance: Some(provenance),
        failure: None,
    }
}

fn failed_report(args: &RebuildArgs, error: &anyhow::Error) -> RebuildReport {
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
        failure: Some(format!("{error:#}")),
    }
}

fn print(report: &RebuildReport, out: &Path) {
    let none = || "-".to_owned();
    let verdict = match report.verdict {
        RebuildVerdict::Identical => "identical",
        RebuildVerdict::Equivalent => "equivalent",
        RebuildVerdict::Different => "different",
        RebuildVerdict::Built => "built",
        RebuildVerdict::Failed => "failed",
    };
    terminal::line(&format!("{} {verdict}", report.gav));
    let source = &report.source;
    terminal::line(&format!(
        "  source   {} tag {} commit {}",
        source.repository.clone().unwrap_or_else(none),
        source.tag.clone().unwrap_or_else(none),
        source.commit.clone().unwrap_or_else(none)
    ));
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
