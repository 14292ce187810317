//! What this node's builds are doing, for people who watch: bounded, in memory, never consulted by a decision.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use build_spec::{BuildLog, Phase};
use maven_layout::Coordinates;
use pyrsia_ledger::{BuildRequest, RecordFailure, Round, RoundKey, RoundState, Stage, State};
use tokio::sync::watch;

/// Builds that are remembered; the oldest finished one makes room. More than can be open: those that wait to be prepared or for
/// a signature, and the rounds that authorities may have open.
const MAX_BUILDS: usize = 512;
/// Events that are remembered of one build; the oldest make room.
const MAX_EVENTS: usize = 4_000;
/// Events that stay of a finished build once others have been opened after it.
const MAX_OLD_EVENTS: usize = 500;
/// Finished builds that keep all their events.
const FRESH: usize = 32;
/// Longest text of an event, in characters.
const MAX_TEXT: usize = 1_000;

/// Something that happened to a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Position in the build's story, from 1.
    pub sequence: u64,
    /// Unix seconds, by this node's clock.
    pub time: u64,
    /// A closed word: `stage`, `log`, `source`, `record`, `replay`, `entry`, `failure`, `verdict`.
    pub kind: &'static str,
    /// One line without control characters.
    pub text: String,
}

/// Why a build will give no verdict, as a class that exit codes follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The build tool failed, or made no such artifact.
    Build,
    /// An input was undeclared or could not be had.
    Input,
    /// No source could be established.
    Source,
    /// The ledger refused the request.
    Refused,
    /// This node failed.
    Internal,
}

impl FailureKind {
    /// The word in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Input => "input",
            Self::Source => "source",
            Self::Refused => "refused",
            Self::Internal => "internal",
        }
    }
}

/// A build as the board has it.
#[derive(Debug, Clone)]
pub struct BoardBuild {
    /// Its name on this node.
    pub id: String,
    /// The releases.
    pub coordinates: Vec<Coordinates>,
    /// `preparing`, `awaiting-signature`, `requested`, `recording`, `replaying`, `waiting`, `closed`.
    pub stage: &'static str,
    /// The round in the ledger, once requested.
    pub round: Option<RoundKey>,
    /// The request that the publisher has to sign, while the stage is `awaiting-signature`.
    pub to_sign: Option<BuildRequest>,
    /// Why there will be no verdict.
    pub failure: Option<(FailureKind, String)>,
    /// Nothing further will happen.
    pub done: bool,
    /// Unix seconds of the first event.
    pub opened: u64,
}

impl BoardBuild {
    /// A build that only the ledger remembers.
    pub fn of_round(round: &Round) -> Self {
        let failure = match round.stage {
            Stage::Closed(RoundState::Decided(_)) => None,
            Stage::Closed(_) => Some(round_failure(round)),
            _ => None,
        };
        Self {
            id: short_name(&round.key),
            coordinates: round.request.coordinates.clone(),
            stage: if round.stage.is_open() { "requested" } else { "closed" },
            round: Some(round.key),
            to_sign: None,
            failure,
            done: !round.stage.is_open(),
            opened: 0,
        }
    }
}

/// The name of a build that came from elsewhere: the beginning of its round's key.
fn short_name(round: &RoundKey) -> String {
    round.to_string().chars().take(16).collect()
}

struct Slot {
    build: BoardBuild,
    events: VecDeque<Event>,
    next: u64,
    order: u64,
}

#[derive(Default)]
struct Inner {
    slots: BTreeMap<String, Slot>,
    by_round: BTreeMap<RoundKey, String>,
    opened: u64,
}

impl Inner {
    /// Old stories shrink to their ends.
    fn trim(&mut self) {
        let before = self.opened.saturating_sub(FRESH as u64);
        for slot in self.slots.values_mut().filter(|slot| slot.build.done && slot.order <= before) {
            let excess = slot.events.len().saturating_sub(MAX_OLD_EVENTS);
            slot.events.drain(..excess);
            slot.events.shrink_to_fit();
        }
    }
}

/// The board.
pub struct Board {
    inner: Mutex<Inner>,
    changes: watch::Sender<u64>,
    clock: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl Board {
    /// An empty board; `clock` gives Unix seconds.
    pub fn new(clock: Arc<dyn Fn() -> u64 + Send + Sync>) -> Arc<Self> {
        Arc::new(Self { inner: Mutex::default(), changes: watch::Sender::new(0), clock })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // The board holds nothing that a panic elsewhere could leave half-done.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a build, or finds the one with this id.
    pub fn open(&self, id: &str, coordinates: &[Coordinates]) {
        let now = (self.clock)();
        let mut inner = self.lock();
        if inner.slots.contains_key(id) {
            return;
        }
        if inner.slots.len() >= MAX_BUILDS {
            let oldest = |done: bool| {
                let candidates = inner.slots.values().filter(|slot| slot.build.done || !done);
                candidates.min_by_key(|slot| slot.order).map(|slot| slot.build.id.clone())
            };
            if let Some(id) = oldest(true).or_else(|| oldest(false)) {
                inner.slots.remove(&id);
                inner.by_round.retain(|_, owner| *owner != id);
            }
        }
        inner.trim();
        inner.opened += 1;
        let build = BoardBuild {
            id: id.to_owned(),
            coordinates: coordinates.to_vec(),
            stage: "preparing",
            round: None,
            to_sign: None,
            failure: None,
            done: false,
            opened: now,
        };
        let order = inner.opened;
        inner.slots.insert(id.to_owned(), Slot { build, events: VecDeque::new(), next: 1, order });
    }

    /// The build of a round; opened under the round's short name if it came from elsewhere.
    pub fn of_round(&self, round: &RoundKey, coordinates: &[Coordinates]) -> String {
        if let Some(id) = self.lock().by_round.get(round) {
            return id.clone();
        }
        let id = short_name(round);
        self.open(&id, coordinates);
        self.set_round(&id, *round);
        self.stage(&id, "requested");
        id
    }

    /// Says which round a build became. A round that is known under another name keeps that name too.
    pub fn set_round(&self, id: &str, round: RoundKey) {
        let mut inner = self.lock();
        if let Some(slot) = inner.slots.get_mut(id) {
            slot.build.round = Some(round);
            slot.build.to_sign = None;
            inner.by_round.insert(round, id.to_owned());
        }
    }

    /// Sets the stage; an event is written when it changes.
    pub fn stage(&self, id: &str, stage: &'static str) {
        let changed = match self.lock().slots.get_mut(id) {
            Some(slot) if slot.build.stage != stage && !slot.build.done => {
                slot.build.stage = stage;
                true
            }
            _ => false,
        };
        if changed {
            self.event(id, "stage", stage);
        }
    }

    /// Asks the publisher to sign.
    pub fn await_signature(&self, id: &str, to_sign: BuildRequest) {
        if let Some(slot) = self.lock().slots.get_mut(id) {
            slot.build.to_sign = Some(to_sign);
        }
        self.stage(id, "awaiting-signature");
    }

    /// Writes an event.
    pub fn event(&self, id: &str, kind: &'static str, text: &str) {
        let time = (self.clock)();
        if let Some(slot) = self.lock().slots.get_mut(id) {
            let text = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_TEXT).collect();
            slot.events.push_back(Event { sequence: slot.next, time, kind, text });
            slot.next += 1;
            if slot.events.len() > MAX_EVENTS {
                slot.events.pop_front();
            }
        }
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Ends a build without a verdict.
    pub fn fail(&self, id: &str, kind: FailureKind, text: &str) {
        if let Some(slot) = self.lock().slots.get_mut(id) {
            slot.build.failure = Some((kind, text.to_owned()));
            slot.build.done = true;
            slot.build.to_sign = None;
            slot.build.stage = "closed";
        }
        self.event(id, "failure", text);
    }

    /// Ends a build whose round has closed.
    pub fn close(&self, id: &str, text: &str) {
        let first = match self.lock().slots.get_mut(id) {
            Some(slot) if !slot.build.done => {
                slot.build.done = true;
                slot.build.stage = "closed";
                true
            }
            _ => false,
        };
        if first {
            self.event(id, "verdict", text);
        }
    }

    /// Ends every build that became this round, which is over: with its verdicts, or with the reasons in the ledger.
    pub fn close_round(&self, state: &State, round: &Round) {
        let ids: Vec<String> = {
            let inner = self.lock();
            let builds = inner.slots.values().map(|slot| &slot.build);
            builds.filter(|build| build.round == Some(round.key) && !build.done).map(|build| build.id.clone()).collect()
        };
        let verdicts: Vec<String> = round
            .request
            .coordinates
            .iter()
            .filter_map(|release| state.verdict(release))
            .filter(|verdict| verdict.round == round.key)
            .map(|verdict| format!("{} {}", verdict.coordinates, verdict.state))
            .collect();
        for id in ids {
            match (round.stage, verdicts.as_slice()) {
                (Stage::Closed(RoundState::Decided(decided)), []) => {
                    self.close(&id, &format!("{decided}; a stronger verdict stands"));
                }
                (Stage::Closed(RoundState::Decided(_)), some) => self.close(&id, &some.join(", ")),
                _ => {
                    let (kind, text) = round_failure(round);
                    self.fail(&id, kind, &text);
                }
            }
        }
    }

    /// Rounds of builds that are not done.
    pub fn unfinished(&self) -> Vec<RoundKey> {
        let inner = self.lock();
        inner.slots.values().filter(|slot| !slot.build.done).filter_map(|slot| slot.build.round).collect()
    }

    /// Whether this is a build, by its id, that is not done.
    pub fn is_open(&self, id: &str) -> bool {
        self.lock().slots.get(id).is_some_and(|slot| !slot.build.done)
    }

    /// A build by its id, or by the beginning (at least 8 characters) of its round's key.
    pub fn find(&self, id: &str) -> Option<BoardBuild> {
        let inner = self.lock();
        let by_round = || {
            let mut hits =
                inner.by_round.iter().filter(|(round, _)| id.len() >= 8 && round.to_string().starts_with(id));
            hits.next().and_then(|(_, owner)| inner.slots.get(owner))
        };
        inner.slots.get(id).or_else(by_round).map(|slot| slot.build.clone())
    }

    /// All builds, newest first.
    pub fn list(&self) -> Vec<BoardBuild> {
        let inner = self.lock();
        let mut slots: Vec<&Slot> = inner.slots.values().collect();
        slots.sort_by_key(|slot| std::cmp::Reverse(slot.order));
        slots.into_iter().map(|slot| slot.build.clone()).collect()
    }

    /// Events after a position, the next position, and whether the build is done.
    pub fn events(&self, id: &str, after: u64) -> Option<(Vec<Event>, u64, bool)> {
        let id = self.find(id)?.id;
        let inner = self.lock();
        let slot = inner.slots.get(&id)?;
        let events = slot.events.iter().filter(|event| event.sequence > after).cloned().collect();
        Some((events, slot.next - 1, slot.build.done))
    }

    /// Is told of every change (the value has no meaning).
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// A log that writes into a build's story.
    pub fn log(self: &Arc<Self>, id: &str) -> Arc<dyn BuildLog> {
        Arc::new(BoardLog { board: Arc::clone(self), id: id.to_owned() })
    }
}

/// Why a round closed without a verdict, with the reasons that are in the ledger.
fn round_failure(round: &Round) -> (FailureKind, String) {
    let reasons: Vec<String> = round.record_failures.values().map(|reason| describe(reason).to_owned()).collect();
    let kind = round.record_failures.values().next_back().map_or(FailureKind::Build, |reason| match reason {
        RecordFailure::Build(_) => FailureKind::Build,
        RecordFailure::SourceUnavailable | RecordFailure::SourceMismatch => FailureKind::Source,
        RecordFailure::NeedsNetwork | RecordFailure::InputsUnavailable | RecordFailure::NotReplayable => {
            FailureKind::Input
        }
        RecordFailure::SpecificationUnavailable | RecordFailure::Engine => FailureKind::Internal,
    });
    let state = match round.stage {
        Stage::Closed(RoundState::Void(_)) => "the build was fed its own result, so the round is void",
        Stage::Closed(RoundState::NotEligible) => "the source or the image does not count for this release",
        _ => "all attempts came to nothing",
    };
    let text = match reasons.as_slice() {
        [] => state.to_owned(),
        reasons => format!("{state}: {}", reasons.join("; ")),
    };
    (kind, text)
}

/// A recorder's reason, for people.
pub const fn describe(reason: &RecordFailure) -> &'static str {
    match reason {
        RecordFailure::Build(_) => "the build tool failed",
        RecordFailure::SourceUnavailable => "the source could not be had",
        RecordFailure::SourceMismatch => "the source is not what the request says",
        RecordFailure::SpecificationUnavailable => "the specification could not be had or is not allowed",
        RecordFailure::NeedsNetwork => "the build needs the network",
        RecordFailure::InputsUnavailable => "an input could not be had",
        RecordFailure::NotReplayable => "the build could not be replayed from its record",
        RecordFailure::Engine => "a limit was reached, or the engine failed",
    }
}

struct BoardLog {
    board: Arc<Board>,
    id: String,
}

impl BuildLog for BoardLog {
    fn line(&self, phase: Phase, line: &str) {
        self.board.event(&self.id, "log", &format!("[{phase}] {line}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board() -> Arc<Board> {
        Board::new(Arc::new(|| 7))
    }

    #[test]
    fn events_are_numbered_and_bounded() {
        let board = board();
        board.open("b1", &[]);
        for number in 0..(MAX_EVENTS + 10) {
            board.event("b1", "log", &number.to_string());
        }
        let (events, next, done) = board.events("b1", 0).unwrap();
        assert_eq!(events.len(), MAX_EVENTS);
        assert_eq!(next, (MAX_EVENTS + 10) as u64);
        assert_eq!(events.last().unwrap().sequence, next);
        assert!(!done);
        assert!(board.events("b1", next).unwrap().0.is_empty());
    }

    #[test]
    fn control_characters_never_reach_a_terminal() {
        let board = board();
        board.open("b1", &[]);
        board.log("b1").line(Phase::Replay, "\u{1b}[2J\rboo");
        let (events, ..) = board.events("b1", 0).unwrap();
        assert!(!events[0].text.chars().any(char::is_control));
    }

    #[test]
    fn finished_builds_make_room_first() {
        let board = board();
        board.open("running", &[]);
        for number in 0..MAX_BUILDS * 2 {
            let id = format!("b{number}");
            board.open(&id, &[]);
            board.fail(&id, FailureKind::Build, "no");
        }
        assert!(board.find("running").is_some());
        assert!(board.find("b0").is_none());
        assert!(board.list().len() <= MAX_BUILDS);
    }

    #[test]
    fn old_stories_shrink_to_their_ends() {
        let board = board();
        board.open("old", &[]);
        (0..MAX_EVENTS).for_each(|number| board.event("old", "log", &number.to_string()));
        board.close("old", "org.acme:lib:1 identical");
        for number in 0..=FRESH {
            assert_eq!(board.events("old", 0).unwrap().0.len(), MAX_EVENTS);
            board.open(&format!("b{number}"), &[]);
        }
        let (events, next, done) = board.events("old", 0).unwrap();
        assert_eq!((events.len(), next, done), (MAX_OLD_EVENTS, MAX_EVENTS as u64 + 1, true));
        assert_eq!(events.last().unwrap().text, "org.acme:lib:1 identical");
    }

    #[test]
    fn a_round_is_found_by_its_first_characters() {
        let board = board();
        board.open("b1", &[]);
        let round = RoundKey(pyrsia_digest::Sha256::of(b"round"));
        board.set_round("b1", round);
        assert_eq!(board.find(&round.to_string()[..10]).unwrap().id, "b1");
        assert_eq!(board.of_round(&round, &[]), "b1");
        assert!(board.find("zz").is_none());
    }
}
