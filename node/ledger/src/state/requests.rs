//! Requests, and what they need from namespaces and images.

use std::sync::Arc;

use maven_layout::CanonicalRepository;

use super::{Refusal, State};
use crate::{BuildRequest, Leaf, Mode, PublicKey, Round, RoundResult, RoundState, Stage};

impl State {
    pub(super) fn apply_request(&mut self, signer: PublicKey, request: &BuildRequest) -> Result<Vec<Leaf>, Refusal> {
        self.request_allowed(request)?;
        if request.mode == Mode::Native && !request.verify_publisher(&self.network) {
            return Err(Refusal::Publisher);
        }
        let key = request.round_key();
        for coordinates in &request.coordinates {
            if self.latest_round(coordinates).is_some_and(|round| round.stage.is_open()) {
                return Err(Refusal::ReleaseOpen { coordinates: coordinates.to_string() });
            }
        }
        let earlier = self.round(&key);
        if earlier.is_some_and(|round| round.stage != Stage::Closed(RoundState::Abandoned)) {
            return Err(Refusal::RoundOver { round: key });
        }
        let expected = earlier.map_or(0, |round| round.request.reopening.saturating_add(1));
        if request.reopening != expected {
            return Err(Refusal::Reopening { expected });
        }
        let limit = self.constants.max_open_rounds_per_authority;
        let open = self.open_rounds().filter(|round| round.admitted_by == signer).count();
        if open >= limit as usize {
            return Err(Refusal::TooManyRounds { limit });
        }
        // Attempts never go back, so nothing that was said in an earlier opening can be said again.
        let attempt = earlier.map_or(0, |round| round.attempt.saturating_add(1));
        let (committee, natives) = (Arc::clone(&self.committee), self.natives());
        let round = Round::open(key, request.clone(), self.log_size, signer, committee, natives, attempt);
        let latest = Arc::make_mut(&mut self.latest);
        for coordinates in &request.coordinates {
            latest.insert(coordinates.clone(), key);
        }
        self.put_round(round);
        Ok(Vec::new())
    }

    /// Whether namespaces and images allow this request now. Asked again when the results are counted, so that what a
    /// quorum has revoked in between is not published.
    pub(super) fn request_allowed(&self, request: &BuildRequest) -> Result<(), Refusal> {
        if !self.is_image_approved(&request.image) {
            return Err(Refusal::Image { image: request.image });
        }
        for coordinates in &request.coordinates {
            let refuse = |rule| Err(Refusal::Namespace { coordinates: coordinates.to_string(), rule });
            let namespace = self.namespace_for(&coordinates.group);
            match (request.mode, namespace.filter(|namespace| namespace.native)) {
                (Mode::Upstream, None) => {}
                (Mode::Upstream, Some(_)) => return refuse("its releases are native"),
                (Mode::Native, None) => return refuse("its releases are not native"),
                (Mode::Native, Some(namespace)) => {
                    if !namespace.repositories.contains(&request.repository) {
                        return refuse("the repository is not granted");
                    }
                    let publisher = request.publisher.as_ref().map(|publisher| publisher.key);
                    if !publisher.is_some_and(|key| namespace.publishers.contains(&key)) {
                        return refuse("the publisher is not granted");
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether the source of a result counts. A stranger's fork can neither publish nor discredit a release.
    pub(super) fn result_counts(&self, request: &BuildRequest, result: &RoundResult) -> bool {
        match result {
            RoundResult::Built(built) => {
                self.source_counts(request, built.canonical_scm.as_ref(), built.mirrored_source)
            }
            RoundResult::Failed(failed) => {
                self.source_counts(request, failed.canonical_scm.as_ref(), failed.mirrored_source)
            }
            // Leads to no verdict.
            RoundResult::Void { .. } => true,
        }
    }

    pub(super) fn source_counts(
        &self,
        request: &BuildRequest,
        scm: Option<&CanonicalRepository>,
        mirrored: bool,
    ) -> bool {
        if mirrored && !self.constants.mirrored_sources_count {
            return false;
        }
        // A native request's repository is granted: `request_allowed` has seen to it.
        if request.mode == Mode::Native || scm == Some(&request.repository) {
            return true;
        }
        request.coordinates.iter().all(|coordinates| {
            self.namespace_for(&coordinates.group).is_some_and(|namespace| {
                namespace.upstream_source && namespace.repositories.contains(&request.repository)
            })
        })
    }
}
