//! From results to verdicts.

use std::collections::BTreeMap;
use std::sync::Arc;

use maven_layout::Coordinates;
use pyrsia_digest::Sha256;

use super::{Standing, State};
use crate::count::{Ballot, Count, Thresholds, count};
use crate::verdict::{headline, outputs_root};
use crate::{FileVerdict, Leaf, Mode, Round, RoundState, Stage, Verdict, VerdictState};

impl State {
    /// Counts a round whose results are being shown, and stores it: decided, given up, or still waiting.
    pub(super) fn conclude(&mut self, mut round: Round) -> Vec<Leaf> {
        let thresholds = Thresholds { quorum: round.committee.quorum(), faulty: round.committee.faulty() };
        let mut ineligible = 0;
        let mut ballots = Vec::new();
        for (authority, record) in &round.attestations {
            if round.has_equivocated(authority) {
                continue;
            }
            if self.result_counts(&round.request, &record.result) {
                ballots.push(Ballot { authority: *authority, timely: !record.late, result: &record.result });
            } else {
                ineligible += 1;
            }
        }
        let counted = count(thresholds, &ballots);
        let over = round.timeouts.len() >= thresholds.quorum || round.outstanding().next().is_none();
        if !over && !counted.is_settled() {
            self.put_round(round);
            return Vec::new();
        }
        if self.request_allowed(&round.request).is_err() {
            round.stage = Stage::Closed(RoundState::NotEligible);
            self.put_round(round);
            return Vec::new();
        }
        match counted {
            Count::TooFew => {
                // Results without a quorum behind them are no dispute; silence must not discredit a release. With
                // f + 1 results of a source that does not count, an honest authority says so: trying again is idle.
                if ineligible > thresholds.faulty {
                    round.stage = Stage::Closed(RoundState::NotEligible);
                } else {
                    round.next_attempt(self.constants.max_attempts);
                }
                self.put_round(round);
                Vec::new()
            }
            Count::Void(reason) => {
                round.stage = Stage::Closed(RoundState::Void(reason));
                self.put_round(round);
                Vec::new()
            }
            Count::Failed(_) => self.conclude_failed(round),
            Count::Files { files, source_tree, .. } => {
                let mut by_release: BTreeMap<Coordinates, Vec<FileVerdict>> = BTreeMap::new();
                for (coordinates, file) in files.into_values() {
                    by_release.entry(coordinates).or_default().push(file);
                }
                let releases = round.request.coordinates.clone();
                let verdicts = releases.into_iter().map(|coordinates| {
                    let mut files = by_release.remove(&coordinates).unwrap_or_default();
                    if round.request.mode == Mode::Native {
                        self.hold_finals(&coordinates, &mut files);
                    }
                    let state = headline(&coordinates, &files);
                    (coordinates, state, files)
                });
                let verdicts = verdicts.collect();
                self.decide(round, verdicts, source_tree)
            }
        }
    }

    /// Decides that the build of all releases failed.
    pub(super) fn conclude_failed(&mut self, round: Round) -> Vec<Leaf> {
        let releases = round.request.coordinates.clone();
        let verdicts = releases.into_iter().map(|release| (release, VerdictState::Failed, Vec::new())).collect();
        self.decide(round, verdicts, None)
    }

    /// The first published digest of a native path is final: other bytes are a dispute, even if all agree on them.
    fn hold_finals(&self, coordinates: &Coordinates, files: &mut [FileVerdict]) {
        for file in files {
            let first = self.final_digest(coordinates, &file.name);
            if file.state == VerdictState::Published && first.is_some() && first != file.sha256 {
                file.state = VerdictState::Disputed;
                file.outcome = None;
                file.sha256 = None;
            }
        }
    }

    fn decide(
        &mut self,
        mut round: Round,
        verdicts: Vec<(Coordinates, VerdictState, Vec<FileVerdict>)>,
        source_tree: Option<Sha256>,
    ) -> Vec<Leaf> {
        let mut leaves = Vec::new();
        let mut weakest = None;
        for (n, (coordinates, state, files)) in verdicts.into_iter().enumerate() {
            let request = &round.request;
            let verdict = Verdict {
                coordinates,
                round: round.key,
                index: self.derived_index(n),
                mode: request.mode,
                state,
                repository: request.repository.clone(),
                commit: request.commit.clone(),
                tag: request.tag.clone(),
                specification: request.specification,
                image: request.image,
                inputs_root: round.inputs.as_ref().map(|inputs| inputs.manifest_root),
                outputs_root: outputs_root(&files),
                source_tree,
                threshold: round.committee.quorum() as u32,
                committee_size: round.committee.size() as u32,
                files,
            };
            let weaker = |state: VerdictState, than: VerdictState| state.strength() < than.strength();
            if weakest.is_none_or(|weakest| weaker(state, weakest)) {
                weakest = Some(state);
            }
            leaves.push(Leaf::Verdict(verdict.leaf()));
            self.stand(verdict);
        }
        round.stage = Stage::Closed(RoundState::Decided(weakest.unwrap_or(VerdictState::Disputed)));
        self.put_round(round);
        // A verdict that stands now may be another than the one somebody proposed to withdraw.
        self.drop_obsolete();
        leaves
    }

    /// Lets a verdict stand where it is stronger than what stands already.
    fn stand(&mut self, verdict: Verdict) {
        let finals = Arc::make_mut(&mut self.finals);
        for file in verdict.files.iter().filter(|file| file.state == VerdictState::Published) {
            if let Some(digest) = file.sha256 {
                finals.entry(verdict.coordinates.clone()).or_default().entry(file.name.clone()).or_insert(digest);
            }
        }
        let standing = Arc::make_mut(&mut self.standing);
        let Some(present) = standing.get_mut(&verdict.coordinates) else {
            let files = verdict.files.iter().map(|file| (file.name.clone(), file.clone())).collect();
            let coordinates = verdict.coordinates.clone();
            standing.insert(coordinates, Arc::new(Standing { verdict: Arc::new(verdict), files }));
            return;
        };
        let present = Arc::make_mut(present);
        for file in &verdict.files {
            let stronger = |old: &FileVerdict| file.state.strength() > old.state.strength();
            if present.files.get(&file.name).is_none_or(stronger) {
                present.files.insert(file.name.clone(), file.clone());
            }
        }
        if verdict.state.strength() > present.verdict.state.strength() {
            present.verdict = Arc::new(verdict);
        }
    }
}
