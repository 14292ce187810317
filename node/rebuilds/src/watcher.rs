//! Telling people about rounds, whoever asked for the build: from the ledger to the board.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pyrsia_ledger::{Round, RoundKey, State};
use pyrsia_replica::ReplicaHandle;

use crate::board::Board;
use crate::story::{Told, dissent, news};

/// Tells watchers what has changed in a round since `told`.
pub(crate) fn tell(board: &Board, state: &State, round: &Round, told: &mut Option<Told>) {
    let now = Told::of(round);
    if told.as_ref() == Some(&now) {
        return;
    }
    let id = board.of_round(&round.key, &round.request.coordinates);
    for sentence in news(told.as_ref(), round) {
        board.event(&id, "entry", &sentence);
    }
    *told = Some(now);
    if !round.stage.is_open() {
        for sentence in dissent(state, round) {
            board.event(&id, "entry", &sentence);
        }
        board.close_round(state, round);
    }
}

/// Keeps the board of a node that takes no part in rounds.
pub struct Watcher {
    board: Arc<Board>,
    replica: ReplicaHandle,
    told: BTreeMap<RoundKey, Option<Told>>,
}

impl Watcher {
    /// Tells `board` of the rounds of this ledger.
    pub fn new(board: Arc<Board>, replica: ReplicaHandle) -> Self {
        Self { board, replica, told: BTreeMap::new() }
    }

    /// Runs until the replica stops.
    pub async fn run(mut self) {
        let mut changes = self.replica.subscribe();
        loop {
            self.look(&self.replica.state());
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    fn look(&mut self, state: &State) {
        let open = state.open_rounds().map(|round| round.key);
        let keys: BTreeSet<RoundKey> = open.chain(self.told.keys().copied()).collect();
        for key in keys {
            let Some(round) = state.round(&key) else { continue };
            tell(&self.board, state, round, self.told.entry(key).or_default());
            if !round.stage.is_open() {
                self.told.remove(&key);
            }
        }
    }
}
