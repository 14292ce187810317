//! From ledger values to documents: pure, tested without a node.

use maven_layout::Coordinates;
use pyrsia_api_types::{
    AuthorityProgress, Build, BuildMode, Dissent, FileStory, LogLeaf, SourceDocument, VerdictStory,
};
use pyrsia_ledger::{Committee, EntryBody, Leaf, Mode, PublicKey, Round, RoundResult, Stage, State, Verdict};
use pyrsia_rebuilds::BoardBuild;

use super::provenance;

/// The name of an authority, or its key.
pub fn name_of(committee: &Committee, key: &PublicKey) -> String {
    committee.member(key).map_or_else(|| key.to_string(), |authority| authority.name.clone())
}

/// The story of a verdict, with what authorities showed only after it was reached.
pub fn verdict(verdict: &Verdict, state: &State) -> VerdictStory {
    let committee = state.committee();
    let mut files: Vec<FileStory> =
        verdict.files.iter().map(|file| file_story(&verdict.coordinates, file, committee)).collect();
    if let Some(round) = state.round(&verdict.round) {
        for (story, file) in files.iter_mut().zip(&verdict.files) {
            add_latecomers(story, file, &verdict.coordinates, round, committee);
        }
    }
    VerdictStory {
        gav: verdict.coordinates.to_string(),
        verdict: verdict.state.to_string(),
        self_verified: verdict.is_self_verified(),
        round: verdict.round.to_string(),
        source: SourceDocument {
            repository: Some(verdict.repository.to_string()),
            commit: Some(verdict.commit.to_string()),
            tag: verdict.tag.clone(),
        },
        specification: verdict.specification.to_string(),
        image: verdict.image.to_string(),
        inputs_root: verdict.inputs_root.map(|root| root.to_string()),
        outputs_root: Some(verdict.outputs_root.to_string()),
        threshold: verdict.threshold,
        committee_size: verdict.committee_size,
        files,
        log_index: Some(verdict.index),
        provenance: state.round(&verdict.round).map(provenance::of_round).unwrap_or_default(),
    }
}

fn file_story(release: &Coordinates, file: &pyrsia_ledger::FileVerdict, committee: &Committee) -> FileStory {
    FileStory {
        name: file.name.clone(),
        path: format!("{}/{}", release.dir(), file.name),
        verdict: file.state.to_string(),
        sha256: file.sha256.map(|digest| digest.to_string()),
        comparison: file.outcome.and_then(|outcome| serde_json::to_value(outcome).ok()?.as_str().map(str::to_owned)),
        normalisers: file.normalisers.clone(),
        agreed_by: file.agreed_by.iter().map(|key| name_of(committee, key)).collect(),
        agreed_later: Vec::new(),
        dissent: file
            .dissent
            .iter()
            .map(|(key, digest)| Dissent {
                authority: name_of(committee, key),
                sha256: digest.map(|digest| digest.to_string()),
            })
            .collect(),
    }
}

/// What an authority says of a build that it does for this node, with everything that this node's own ledger can say in
/// its place.
pub fn confirmed(told: Build, state: &State) -> Build {
    let round = told.round.as_ref().and_then(|key| key.parse().ok()).and_then(|key| state.round(&key));
    match round {
        Some(round) if !round.stage.is_open() => {
            let own = build(&BoardBuild::of_round(round), state);
            Build { id: told.id, ..own }
        }
        // A round that is closed there and not here is on its way.
        _ if told.round.is_some() => {
            Build { verdicts: Vec::new(), failure: None, failure_kind: None, done: false, ..told }
        }
        // Before its round there is nothing but the authority's word: it refuses, or prepares.
        _ => told,
    }
}

/// What came in after the quorum was complete: recorded, never counted, and no less worth knowing.
fn add_latecomers(
    story: &mut FileStory,
    file: &pyrsia_ledger::FileVerdict,
    release: &Coordinates,
    round: &Round,
    committee: &Committee,
) {
    for (key, shown) in &round.attestations {
        let counted = file.agreed_by.contains(key) || file.dissent.iter().any(|(by, _)| by == key);
        let RoundResult::Built(built) = &*shown.result else { continue };
        if counted {
            continue;
        }
        let found = built.files.iter().find(|one| one.name == file.name && one.coordinates == *release);
        let agrees = found.is_some_and(|one| match one.reference {
            None => one.digest == file.sha256,
            reference => reference == file.sha256 && Some(one.outcome) == file.outcome,
        });
        let authority = name_of(committee, key);
        if agrees {
            story.agreed_later.push(authority);
        } else {
            let sha256 = found.and_then(|one| one.digest).map(|digest| digest.to_string());
            story.dissent.push(Dissent { authority, sha256 });
        }
    }
}

/// A build from the board and its round.
pub fn build(board: &BoardBuild, state: &State) -> Build {
    let round = board.round.and_then(|key| state.round(&key));
    let request = round.map(|round| &round.request).or(board.to_sign.as_ref());
    let verdicts: Vec<VerdictStory> = board
        .coordinates
        .iter()
        .filter_map(|release| state.verdict(release))
        .filter(|verdict| Some(verdict.round) == board.round)
        .map(|found| verdict(found, state))
        .collect();
    let stage = match round.map(|round| round.stage) {
        Some(Stage::Closed(_)) => "closed",
        Some(Stage::Revealing) => "revealing",
        _ => board.stage,
    };
    Build {
        id: board.id.clone(),
        round: board.round.map(|key| key.to_string()),
        coordinates: board.coordinates.iter().map(ToString::to_string).collect(),
        mode: match request.map(|request| request.mode) {
            Some(Mode::Native) => BuildMode::Native,
            Some(Mode::Upstream) | None => BuildMode::Upstream,
        },
        source: request.map_or_else(SourceDocument::default, |request| SourceDocument {
            repository: Some(request.repository.to_string()),
            commit: Some(request.commit.to_string()),
            tag: request.tag.clone(),
        }),
        specification: request.map(|request| request.specification.to_string()),
        image: request.map(|request| request.image.to_string()),
        stage: stage.to_owned(),
        attempt: round.map_or(0, |round| round.attempt),
        request_index: round.map(|round| round.index),
        recorder: round.filter(|round| round.stage.is_open()).map(|round| name_of(&round.committee, &round.recorder())),
        inputs_root: round.and_then(|round| round.inputs.as_ref()).map(|inputs| inputs.manifest_root.to_string()),
        authorities: round.map(progress).unwrap_or_default(),
        threshold: u32::try_from(state.committee().quorum()).unwrap_or(u32::MAX),
        verdicts,
        failure: board.failure.as_ref().map(|(_, text)| text.clone()),
        failure_kind: board.failure.as_ref().map(|(kind, _)| kind.as_str().to_owned()),
        to_sign: board.to_sign.as_ref().and_then(|request| serde_json::to_value(request).ok()),
        done: board.done,
    }
}

fn progress(round: &Round) -> Vec<AuthorityProgress> {
    let members = round.committee.authorities.iter();
    members
        .map(|member| {
            let key = member.authority_key;
            let shown = round.attestations.get(&key);
            AuthorityProgress {
                name: member.name.clone(),
                key: key.to_string(),
                committed: round.commitments.contains_key(&key),
                attested: shown.is_some(),
                result: shown.map(|shown| match &*shown.result {
                    RoundResult::Built(built) => format!("built {} files", built.files.len()),
                    RoundResult::Failed(_) => "the build tool failed".to_owned(),
                    RoundResult::Void { .. } => "void".to_owned(),
                }),
            }
        })
        .collect()
}

/// A leaf of the log.
pub fn leaf(index: u64, bytes: &[u8], committee: &Committee) -> LogLeaf {
    let hex = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let decoded = Leaf::from_bytes(bytes);
    let content = decoded.as_ref().ok().and_then(|leaf| serde_json::to_value(leaf).ok()).unwrap_or_default();
    let (kind, entry, signer, summary) = match &decoded {
        Ok(Leaf::Entry(entry)) => (
            entry.body.kind().to_owned(),
            Some(entry.digest().to_string()),
            Some(name_of(committee, &entry.signer)),
            format!("{}: {}", name_of(committee, &entry.signer), summary(&entry.body)),
        ),
        Ok(Leaf::Verdict(verdict)) => {
            let text = format!("{} {} (commit {})", verdict.coordinates, verdict.state, verdict.commit);
            ("verdict".to_owned(), None, None, text)
        }
        Ok(Leaf::Committee(change)) => {
            let text = format!("{} authorities from now on", change.committee.size());
            ("committee".to_owned(), None, None, text)
        }
        Err(error) => ("unreadable".to_owned(), None, None, error.to_string()),
    };
    LogLeaf { index, kind, entry, signer, summary, content, bytes: hex }
}

fn summary(body: &EntryBody) -> String {
    let short = |key: &pyrsia_ledger::RoundKey| key.to_string().chars().take(12).collect::<String>();
    match body {
        EntryBody::BuildRequest(request) => {
            let releases: Vec<String> = request.coordinates.iter().map(ToString::to_string).collect();
            format!("please build {} from {} at {}", releases.join(", "), request.repository, request.commit)
        }
        EntryBody::Inputs(inputs) => {
            format!("round {}: {} inputs, root {}", short(&inputs.round), inputs.lines, inputs.manifest_root)
        }
        EntryBody::InputsFailed(failed) => {
            let reason = pyrsia_rebuilds::describe(&failed.failure);
            format!("round {}: no inputs: {reason}: {}", short(&failed.round), failed.detail)
        }
        EntryBody::InputsRejected(rejected) => format!("round {}: not so: {}", short(&rejected.round), rejected.line),
        EntryBody::Commitment(commitment) => format!("round {}: committed to a result", short(&commitment.round)),
        EntryBody::Attestation(attestation) => {
            let what = match &attestation.result {
                RoundResult::Built(built) => format!("built {} files", built.files.len()),
                RoundResult::Failed(_) => "the build tool failed".to_owned(),
                RoundResult::Void { .. } => "void".to_owned(),
            };
            format!("round {}: {what}", short(&attestation.round))
        }
        EntryBody::Timeout(timeout) => format!("round {}: this takes too long", short(&timeout.round)),
        EntryBody::Approval(_) => "approves".to_owned(),
        EntryBody::NamespaceGrant(grant) => {
            let repositories: Vec<String> = grant.repositories.iter().map(ToString::to_string).collect();
            format!("namespace {} from {}", grant.group, repositories.join(", "))
        }
        EntryBody::ImageProposal(image) => {
            format!("image {} {} {}", image.name, image.image, if image.allowed { "allowed" } else { "disallowed" })
        }
        EntryBody::Withdrawal(withdrawal) => format!("withdraw {}: {}", withdrawal.coordinates, withdrawal.reason),
        EntryBody::Block(block) => {
            let word = if block.blocked { "block" } else { "unblock" };
            format!("{word} {}: {}", block.coordinates, block.reason)
        }
        EntryBody::AuthorityChange(change) => format!("{} authorities", change.authorities.len()),
        EntryBody::RulesChange(change) => format!("rules {}", change.rules),
    }
}
