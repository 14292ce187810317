//! `verify`: does this artifact match what the ledger says? The node's word is not taken: its receipt is checked here
//! against the network that the user trusts.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use anyhow::Context as _;
use maven_layout::{ArtifactRef, Coordinates};
use pyrsia_api_types::{FileMatches, Inspection, LogPosition, SourceDocument, VerifyReport};
use pyrsia_digest::{MultiHasher, Sha256};
use pyrsia_ledger::{Certificate, Genesis, Pin, Receipt, VerifiedReceipt};
use serde::Serialize;

use super::judge::{Accept, Candidate, Judged, WITHDRAWN, hint, judge, unknown};
use super::local_files::{self, Subject, digests};
use crate::cli::{Global, VerifyArgs};
use crate::client::{CallError, Client};
use crate::context::Context;
use crate::exit::{CommandError, Exit};
use crate::{committee_pin, network_file, terminal};

/// What is known about a release, after the proof was checked.
struct Release {
    proven: Option<VerifiedReceipt>,
    withdrawn: bool,
    /// The proof does not hold, and why.
    broken: Option<String>,
}

/// Whom receipts are checked against.
struct Trusted {
    genesis: Genesis,
    /// The newest committee that was seen proven.
    pin: Option<Pin>,
}

#[derive(Serialize)]
struct Several {
    exit_code: i32,
    releases: Vec<VerifyReport>,
}

/// Runs the command.
pub async fn run(global: &Global, args: &VerifyArgs) -> anyhow::Result<Exit> {
    let context = Context::load(global)?;
    let subjects = local_files::subjects(args)?;
    let client = Client::new(&global.node, None)?;
    let genesis = genesis(&context, &global.node, args, &client).await?;
    let pin = committee_pin::known(&context.data, &genesis.network_id())?;
    let trusted = Trusted { genesis, pin };
    let freshest = match args.max_age {
        Some(_) if args.receipt.is_none() => checkpoint_time(&client, &trusted.genesis).await?,
        _ => None,
    };
    let mut releases: BTreeMap<Coordinates, Release> = BTreeMap::new();
    let mut judged: Vec<(Coordinates, Judged, Option<VerifiedReceipt>)> = Vec::new();
    for subject in &subjects {
        let artifact = match &subject.artifact {
            Some(artifact) => artifact.clone(),
            None => identify(subject, args, &trusted, &client).await?,
        };
        let coordinates = artifact.coordinates.clone();
        if !releases.contains_key(&coordinates) {
            let release = match &args.receipt {
                Some(path) => offline(path, &trusted, &coordinates)?,
                None => online(&client, &trusted, &coordinates).await?,
            };
            releases.insert(coordinates.clone(), release);
        }
        let release = &releases[&coordinates];
        let candidate = match &release.broken {
            // A proof that does not hold is the answer, whatever the file is.
            Some(_) => Candidate { name: artifact.file_name().to_string(), path: None, sha256: None },
            None => candidate(subject, &artifact, args, &client).await?,
        };
        let verdict = judge_release(release, &candidate, &trusted.genesis, args, freshest);
        judged.push((coordinates, verdict, release.proven.clone()));
    }
    let seen = judged.iter().filter_map(|(.., proven)| proven.as_ref()).map(|proven| proven.pin);
    if let Some(seen) = seen.max_by_key(|pin| pin.epoch) {
        committee_pin::raise(&context.data, &trusted.genesis.network_id(), seen)?;
    }
    report(global, judged)
}

async fn genesis(context: &Context, url: &str, args: &VerifyArgs, client: &Client) -> anyhow::Result<Genesis> {
    if args.receipt.is_some() {
        return network_file::pinned(&context.data, url, args.network.as_deref(), None);
    }
    // The pinned network decides; the node's own word is only the first contact, or what an id is compared with.
    match network_file::pinned(&context.data, url, args.network.as_deref(), None) {
        Ok(genesis) => Ok(genesis),
        Err(error) if crate::exit::of(&error) == Exit::Usage => {
            let bytes = client.find_bytes("/api/v1/network").await?.context("the node has no network document")?;
            network_file::pinned(&context.data, url, args.network.as_deref(), Some(&bytes))
        }
        Err(error) => Err(error),
    }
}

/// A file alone: which artifact it is, the receipt says, or the node (whose word is then checked like any other).
async fn identify(
    subject: &Subject,
    args: &VerifyArgs,
    trusted: &Trusted,
    client: &Client,
) -> anyhow::Result<ArtifactRef> {
    let file = subject.file.as_ref().context("nothing to verify")?;
    let digest = digests(file)?.sha256;
    if let Some(path) = &args.receipt {
        let proven = match offline_receipt(path, trusted)? {
            Release { proven: Some(proven), .. } => proven,
            Release { broken, .. } => {
                let text = format!("THE PROOF DOES NOT HOLD: {}", broken.unwrap_or_default());
                return Err(CommandError::new(Exit::BadProof, text).into());
            }
        };
        let named = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let files = &proven.verdict.files;
        let by_digest = files.iter().find(|known| known.sha256 == Some(digest));
        if let Some(known) = by_digest.or_else(|| files.iter().find(|known| known.name == named)) {
            return artifact_of(&proven.verdict.coordinates, &known.name);
        }
    }
    if args.receipt.is_none() {
        let mut after = String::new();
        loop {
            let known: FileMatches = client.get(&format!("/api/v1/files/{digest}{after}")).await?;
            if let Some(known) = known.files.first() {
                return artifact_of(&known.gav.parse()?, &known.name);
            }
            // As coordinates and nothing else: what a node says is not put into an address as it is.
            let Some(next) = known.next else { break };
            // The one character of theirs that has a meaning there.
            after = format!("?after={}", next.parse::<Coordinates>()?.to_string().replace('+', "%2B"));
        }
    }
    let text = format!(
        "{}: no verdict names a file with SHA-256 {digest}; name the artifact that it should be, as G:A:V[:CLASSIFIER][@EXT]",
        file.display()
    );
    Err(CommandError::new(Exit::Unknown, text).into())
}

fn artifact_of(coordinates: &Coordinates, name: &str) -> anyhow::Result<ArtifactRef> {
    let stem = format!("{}-{}", coordinates.artifact, coordinates.version);
    let rest = name.strip_prefix(&stem).context("the file is named unlike its release")?;
    let text = match rest.strip_prefix('-') {
        Some(rest) => {
            let (classifier, extension) = rest.split_once('.').context("the file has no extension")?;
            format!("{coordinates}:{classifier}@{extension}")
        }
        None => format!("{coordinates}@{}", rest.trim_start_matches('.')),
    };
    Ok(text.parse()?)
}

fn check(text: &str, trusted: &Trusted) -> Result<VerifiedReceipt, String> {
    let receipt = Receipt::parse(text).map_err(|error| chain(&error))?;
    receipt.verify_pinned(&trusted.genesis, trusted.pin.as_ref()).map_err(|error| chain(&error))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}

fn offline_receipt(path: &std::path::Path, trusted: &Trusted) -> anyhow::Result<Release> {
    let size = std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?.len();
    let limit = pyrsia_ledger::receipt::MAX_RECEIPT_BYTES as u64;
    if size > limit {
        let broken = format!("{} is no receipt: it has {size} bytes", path.display());
        return Ok(Release { proven: None, withdrawn: false, broken: Some(broken) });
    }
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(match String::from_utf8(bytes).map_err(|error| error.to_string()).and_then(|text| check(&text, trusted)) {
        Ok(proven) => Release { proven: Some(proven), withdrawn: false, broken: None },
        Err(broken) => Release { proven: None, withdrawn: false, broken: Some(broken) },
    })
}

fn offline(path: &std::path::Path, trusted: &Trusted, coordinates: &Coordinates) -> anyhow::Result<Release> {
    let mut release = offline_receipt(path, trusted)?;
    if let Some(proven) = &release.proven
        && proven.verdict.coordinates != *coordinates
    {
        let other = &proven.verdict.coordinates;
        release.broken = Some(format!("the receipt is about {other}, not about {coordinates}"));
        release.proven = None;
    }
    Ok(release)
}

/// When a quorum cosigned the newest checkpoint, as far as the node shows it. A checkpoint that does not verify counts as
/// none: the node then looks as old as its receipts, never younger.
async fn checkpoint_time(client: &Client, genesis: &Genesis) -> anyhow::Result<Option<u64>> {
    let Some(bytes) = client.find_bytes("/log/checkpoint").await? else { return Ok(None) };
    let certificate = String::from_utf8(bytes).ok().and_then(|text| text.parse::<Certificate>().ok());
    let verified = certificate.and_then(|found| found.verify(&genesis.network_id(), &genesis.committee()).ok());
    Ok(verified.map(|verified| verified.quorum_time))
}

async fn online(client: &Client, trusted: &Trusted, coordinates: &Coordinates) -> anyhow::Result<Release> {
    let inspection: Option<Inspection> = client.find(&format!("/api/v1/inspect/{coordinates}")).await?;
    let withdrawn = inspection.is_some_and(|inspection| inspection.blocked || inspection.withdrawn);
    let Some(bytes) = client.find_bytes(&format!("/api/v1/receipts/{coordinates}")).await? else {
        return Ok(Release { proven: None, withdrawn, broken: None });
    };
    let checked = String::from_utf8(bytes).map_err(|error| error.to_string()).and_then(|text| check(&text, trusted));
    Ok(match checked {
        Ok(proven) if proven.verdict.coordinates == *coordinates => {
            Release { proven: Some(proven), withdrawn, broken: None }
        }
        Ok(proven) => {
            let broken = format!("the node sent a receipt for {}", proven.verdict.coordinates);
            Release { proven: None, withdrawn, broken: Some(broken) }
        }
        Err(broken) => Release { proven: None, withdrawn, broken: Some(broken) },
    })
}

/// The bytes to judge: the local file, else what the node serves.
async fn candidate(
    subject: &Subject,
    artifact: &ArtifactRef,
    args: &VerifyArgs,
    client: &Client,
) -> anyhow::Result<Candidate> {
    let name = artifact.file_name().to_string();
    if let Some(file) = &subject.file {
        let sha256 = Some(digests(file)?.sha256);
        return Ok(Candidate { name, path: Some(file.display().to_string()), sha256 });
    }
    if args.receipt.is_some() {
        let text = format!("there is no local copy of {artifact} to verify offline; name it with --file");
        return Err(CommandError::new(Exit::Failed, text).into());
    }
    let path = artifact.path();
    terminal::note(&format!("no local copy of {artifact}: verifying what the node serves"));
    let mut hasher = MultiHasher::new();
    let served = client
        .stream(&format!("/maven2/{}", path.to_url_path()), |chunk| {
            hasher.update(chunk);
            ControlFlow::Continue(())
        })
        .await;
    let sha256: Option<Sha256> = match served {
        Ok(Some(())) => Some(hasher.finish().sha256),
        // Withheld: there is nothing to hash, and the verdict says why.
        Ok(None) => None,
        Err(CallError::Refused(refused)) if refused.status == reqwest::StatusCode::FORBIDDEN => None,
        Err(error) => return Err(error.into()),
    };
    Ok(Candidate { name, path: None, sha256 })
}

fn judge_release(
    release: &Release,
    candidate: &Candidate,
    genesis: &Genesis,
    args: &VerifyArgs,
    freshest: Option<u64>,
) -> Judged {
    if let Some(broken) = &release.broken {
        let mut judged = unknown(candidate, 0, "");
        judged.exit = Exit::BadProof;
        judged.report.verdict = "bad-proof".to_owned();
        judged.sentence = format!("THE PROOF DOES NOT HOLD: {broken}");
        return judged;
    }
    let accept = Accept { self_verified: args.accept_self, equivalent: args.allow_equivalent };
    let Some(proven) = &release.proven else {
        let mut judged = unknown(candidate, 0, "the ledger has no verdict for this artifact");
        if release.withdrawn {
            judged.exit = Exit::Withdrawn;
            judged.report.verdict = "withdrawn".to_owned();
            judged.sentence = WITHDRAWN.to_owned();
        }
        return judged;
    };
    let mut judged = judge(&proven.verdict, candidate, genesis, release.withdrawn, accept);
    if let Some(max_age) = args.max_age {
        let age = crate::clock::now().saturating_sub(freshest.unwrap_or(0).max(proven.time));
        if age > max_age {
            judged.exit = Exit::worst([judged.exit, Exit::Stale]);
            judged.sentence = format!("{}; STALE: the checkpoint is {age} s old", judged.sentence);
        }
    }
    judged
}

fn report(global: &Global, judged: Vec<(Coordinates, Judged, Option<VerifiedReceipt>)>) -> anyhow::Result<Exit> {
    let exit = Exit::worst(judged.iter().map(|(_, judged, _)| judged.exit));
    let count = judged.len();
    let mut good = 0usize;
    let mut by_release: BTreeMap<Coordinates, VerifyReport> = BTreeMap::new();
    let mut codes: BTreeMap<Coordinates, Vec<Exit>> = BTreeMap::new();
    let mut hints: Vec<String> = Vec::new();
    for (coordinates, judged, proven) in judged {
        if !global.json {
            let sentence = terminal::plain(&judged.sentence);
            terminal::line(&format!("{coordinates} {}: {sentence}", judged.report.name));
        }
        good += usize::from(judged.exit == Exit::Done);
        if judged.exit == Exit::Unknown && hints.len() < 3 {
            let text = hint(&coordinates);
            if !hints.contains(&text) {
                hints.push(text);
            }
        }
        codes.entry(coordinates.clone()).or_default().push(judged.exit);
        let report = by_release.entry(coordinates.clone()).or_insert_with(|| empty(&coordinates, proven.as_ref()));
        report.files.push(judged.report);
    }
    for (coordinates, report) in &mut by_release {
        report.exit_code = Exit::worst(codes[coordinates].iter().copied()).code().into();
    }
    if global.json {
        let mut reports: Vec<VerifyReport> = by_release.into_values().collect();
        match (reports.len(), reports.pop()) {
            (1, Some(report)) => terminal::json(&report)?,
            (_, last) => {
                reports.extend(last);
                terminal::json(&Several { exit_code: exit.code().into(), releases: reports })?;
            }
        }
    } else if count > 1 {
        terminal::line(&format!("{good} of {count} files verified"));
    }
    if exit == Exit::Unknown {
        for text in hints {
            terminal::note(&text);
        }
    }
    Ok(exit)
}

fn empty(coordinates: &Coordinates, proven: Option<&VerifiedReceipt>) -> VerifyReport {
    VerifyReport {
        gav: coordinates.to_string(),
        exit_code: 0,
        files: Vec::new(),
        source: proven.map_or_else(SourceDocument::default, |proven| SourceDocument {
            repository: Some(proven.verdict.repository.to_string()),
            commit: Some(proven.verdict.commit.to_string()),
            tag: proven.verdict.tag.clone(),
        }),
        log: proven.map_or_else(LogPosition::default, |proven| LogPosition {
            index: Some(proven.index),
            size: Some(proven.log_size),
            checkpoint_time: Some(proven.time),
        }),
    }
}
