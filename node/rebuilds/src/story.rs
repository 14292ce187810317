//! What people are told of a round as it moves: sentences from the ledger, whoever asked for the build. Pure.

use std::collections::BTreeSet;

use pyrsia_ledger::{PublicKey, Round, RoundResult, Stage, State};

use crate::board::describe;

/// Dissenting digests that are named when a round ends.
const MAX_DISSENT: usize = 40;

/// What was told of a round already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    attempt: u32,
    stage: Stage,
    failures: BTreeSet<PublicKey>,
    rejections: BTreeSet<PublicKey>,
    timeouts: BTreeSet<PublicKey>,
    commitments: BTreeSet<PublicKey>,
    attestations: BTreeSet<PublicKey>,
    equivocations: BTreeSet<PublicKey>,
}

impl Told {
    pub(crate) fn of(round: &Round) -> Self {
        Self {
            attempt: round.attempt,
            stage: round.stage,
            failures: round.record_failures.keys().copied().collect(),
            rejections: round.rejections.clone(),
            timeouts: round.timeouts.clone(),
            commitments: round.commitments.keys().copied().collect(),
            attestations: round.attestations.keys().copied().collect(),
            equivocations: round.equivocations.keys().copied().collect(),
        }
    }
}

/// The name of a member, or its key.
fn name(round: &Round, key: &PublicKey) -> String {
    round.committee.member(key).map_or_else(|| key.to_string(), |member| member.name.clone())
}

fn names<'a>(round: &Round, keys: impl Iterator<Item = &'a PublicKey>) -> String {
    keys.map(|key| name(round, key)).collect::<Vec<_>>().join(", ")
}

/// The sentences about what has changed since.
pub(crate) fn news(before: Option<&Told>, round: &Round) -> Vec<String> {
    let size = round.committee.size();
    let quorum = round.committee.quorum();
    let mut news = Vec::new();
    let attempt = round.attempt - round.first_attempt.min(round.attempt) + 1;
    let turn = |news: &mut Vec<String>| {
        if round.stage == Stage::Recording {
            let recorder = name(round, &round.recorder());
            news.push(format!("attempt {attempt}: it is the turn of {recorder} to record the inputs"));
        }
    };
    let Some(before) = before else {
        news.push(format!("{size} authorities take part, {quorum} have to agree"));
        turn(&mut news);
        return news;
    };
    for (key, failure) in &round.record_failures {
        if !before.failures.contains(key) {
            news.push(format!("{} could not record: {}", name(round, key), describe(failure)));
        }
    }
    let moved = before.attempt != round.attempt;
    if moved {
        if before.stage != Stage::Recording {
            news.push("the attempt came to nothing: its inputs were contradicted, or too few have a result".to_owned());
        }
        turn(&mut news);
    }
    let fresh = |now: &BTreeSet<PublicKey>, then: &BTreeSet<PublicKey>| -> Vec<PublicKey> {
        now.iter().filter(|key| moved || !then.contains(key)).copied().collect()
    };
    let now = Told::of(round);
    if let Some(inputs) = &round.inputs
        && (moved || before.stage == Stage::Recording)
    {
        news.push(format!(
            "{} has recorded {} inputs of {} bytes; each authority checks and replays them",
            name(round, &round.recorder()),
            inputs.lines,
            inputs.total_bytes
        ));
    }
    for key in fresh(&now.rejections, &before.rejections) {
        let needed = round.committee.faulty() + 1;
        let count = now.rejections.len();
        news.push(format!(
            "{} contradicts the recorded inputs ({count} of {needed} that reject them)",
            name(round, &key)
        ));
    }
    let committed = fresh(&now.commitments, &before.commitments);
    if !committed.is_empty() {
        let count = now.commitments.len();
        news.push(format!("{} of {size} have committed to a result: {}", count, names(round, committed.iter())));
    }
    for key in fresh(&now.equivocations, &before.equivocations) {
        news.push(format!("{} committed to two results and has lost its vote", name(round, &key)));
    }
    if now.stage == Stage::Revealing && (moved || before.stage != Stage::Revealing) {
        news.push(format!("commitments are closed with {} of {size}; results are shown", now.commitments.len()));
    }
    let waited = match (moved, before.stage == now.stage) {
        (false, true) => now.timeouts.difference(&before.timeouts).copied().collect(),
        // Clocks have started anew.
        _ => now.timeouts.clone(),
    };
    if !waited.is_empty() && now.stage.is_open() {
        let what = match now.stage {
            Stage::Recording => "the recorder",
            Stage::Committing => "commitments",
            Stage::Revealing | Stage::Closed(_) => "results",
        };
        let count = now.timeouts.len();
        news.push(format!("{} no longer waits for {what} ({count} of {quorum})", names(round, waited.iter())));
    }
    for key in fresh(&now.attestations, &before.attestations) {
        let Some(shown) = round.attestations.get(&key) else { continue };
        let result = match &*shown.result {
            RoundResult::Built(built) => format!("built {} files", built.files.len()),
            RoundResult::Failed(_) => "the build tool failed".to_owned(),
            RoundResult::Void { .. } => "the build was fed its own result".to_owned(),
        };
        let when = match (shown.after_close, shown.late) {
            (true, _) => ", after the verdict",
            (_, true) => ", late",
            _ => "",
        };
        let count = now.attestations.len();
        news.push(format!("{} shows its result ({count} of {size}){when}: {result}", name(round, &key)));
    }
    news
}

/// Who found something else than the verdict says, file by file.
pub(crate) fn dissent(state: &State, round: &Round) -> Vec<String> {
    let verdicts = round.request.coordinates.iter().filter_map(|release| state.verdict(release));
    let files = verdicts.filter(|verdict| verdict.round == round.key).flat_map(|verdict| &verdict.files);
    files
        .flat_map(|file| file.dissent.iter().map(move |(key, digest)| (file, key, digest)))
        .take(MAX_DISSENT)
        .map(|(file, key, digest)| match digest {
            Some(digest) => format!("{} found for {}: {digest}", name(round, key), file.name),
            None => format!("{} made no {}", name(round, key), file.name),
        })
        .collect()
}
