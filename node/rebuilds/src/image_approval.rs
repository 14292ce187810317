//! Which builder image a request names, and which images this authority approves.
//!
//! **An authority approves an image by itself only if it made that image from its own recipe, and made it again from the same
//! packages with equal files.** A proposal is known by its
//! content (digest, name, serial), so authorities that each made the same image approve one proposal, whoever was first.
//!
//! A request names this node's own image where a quorum has approved that; else one that a quorum has approved under the
//! same name, one that this node can run first: a newer recipe on one machine must not stop builds while the others still run the
//! older one. Without any the build ends before its request, since the ledger would refuse it.

use std::time::Duration;

use pyrsia_digest::Sha256;
use pyrsia_ledger::{EntryBody, ImageProposal, PublicKey, State, Subject};

use crate::board::FailureKind;
use crate::intake::{Failure, Intake, OwnImage};

/// How long a build waits for other authorities to approve an image that they have made too.
const OTHERS: Duration = Duration::from_secs(20);

/// Where an image stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Requests may name it.
    Approved,
    /// A quorum has disallowed it.
    Disallowed,
    /// Not decided; so many have approved it, this authority among them or not.
    Open { approvals: usize, mine: bool },
}

/// Where an image stands in the ledger.
pub(crate) fn standing(state: &State, me: &PublicKey, own: &OwnImage) -> Standing {
    match state.image(&own.image) {
        Some(record) if record.allowed => return Standing::Approved,
        Some(_) => return Standing::Disallowed,
        None => {}
    }
    let subject = proposal(own).proposal_id().map(Subject::Proposal);
    let votes =
        state.pending().find(|(known, ..)| Some(*known) == subject).map(|(.., votes)| votes).unwrap_or_default();
    Standing::Open { approvals: votes.len(), mine: votes.contains(me) }
}

fn proposal(own: &OwnImage) -> EntryBody {
    EntryBody::ImageProposal(ImageProposal::allow(own.image, own.name.clone()))
}

impl Intake {
    /// Approves every image that this node has made and nobody has decided about: to be called at the start and now and
    /// then, since operators make images while nodes run. Says nothing that this authority has said already.
    ///
    /// The error is what kept the first of those from being approved that were not, and it keeps no other; trying again may
    /// help.
    pub async fn approve_own_images(&self) -> Result<(), String> {
        let mut kept = Ok(());
        for own in self.images.made().await? {
            kept = kept.and(self.approve(&own).await);
        }
        kept
    }

    async fn approve(&self, own: &OwnImage) -> Result<(), String> {
        let me = self.entries.me();
        let open = |state: &State| matches!(standing(state, &me, own), Standing::Open { mine: false, .. });
        if !self.entries.state().committee().contains(&me) || !open(&self.entries.state()) {
            return Ok(());
        }
        self.images.verify(&own.image).await?;
        match self.entries.submit(proposal(own)).await {
            // The last approval that was needed, or this authority's own by another task, came in between.
            Err(_) if !open(&self.entries.state()) => Ok(()),
            other => other,
        }
    }

    /// Where an image stands, once the others have had the time to approve what they have made too.
    async fn settled(&self, id: &str, own: &OwnImage) -> Standing {
        let me = self.entries.me();
        let mut changes = self.entries.changes();
        let deadline = tokio::time::Instant::now() + OTHERS;
        let mut told = false;
        loop {
            changes.mark_unchanged();
            let found = standing(&self.entries.state(), &me, own);
            if !matches!(found, Standing::Open { .. }) {
                return found;
            }
            if !told {
                self.board.event(
                    id,
                    "source",
                    &format!("image {} waits for the approval of other authorities", own.image),
                );
                told = true;
            }
            if !matches!(tokio::time::timeout_at(deadline, changes.changed()).await, Ok(Ok(()))) {
                return found;
            }
        }
    }

    /// The image that a request names, by the name of its recipe.
    pub(crate) async fn image(&self, id: &str, name: String) -> Result<Sha256, Failure> {
        let own = self.images.named(&name).await.map_err(|text| Failure(FailureKind::Internal, text))?;
        let own = OwnImage { image: own, name };
        // That this node does not vouch for its own need not end the build: the network may have another one.
        let kept = self.approve(&own).await.err();
        if let Some(reason) = &kept {
            self.board.event(id, "source", reason);
        }
        let standing = self.settled(id, &own).await;
        let state = self.entries.state();
        if standing == Standing::Approved {
            return Ok(own.image);
        }
        let named = |image: &Sha256| state.image(image).is_some_and(|record| record.name == own.name);
        let approved: Vec<Sha256> = state.approved_images().filter(named).collect();
        for image in &approved {
            if self.images.ensure(image).await.is_ok() {
                let text =
                    format!("image {image} is used, which the network has approved, and not the own {}", own.image);
                self.board.event(id, "source", &text);
                return Ok(*image);
            }
        }
        if let Some(image) = approved.first() {
            let text = format!(
                "image {image} is used, which the network has approved; this node cannot run it and takes no part"
            );
            self.board.event(id, "source", &text);
            return Ok(*image);
        }
        let refusal = || refusal(&own, &standing, state.committee().quorum());
        Err(Failure(FailureKind::Refused, kept.unwrap_or_else(refusal)))
    }
}

fn refusal(own: &OwnImage, standing: &Standing, quorum: usize) -> String {
    let OwnImage { image, name } = own;
    match standing {
        Standing::Open { approvals, .. } => format!(
            "builder image {image} ({name}) has {approvals} of {quorum} approvals: on the machines of other authorities, run \
             `pyrsia-maven images build {name}` (a node that has made this very image approves it), or \
             `pyrsia-maven images fetch {image}`, `images verify` and `images approve` with the same digest"
        ),
        Standing::Approved | Standing::Disallowed => {
            format!("image {image} was disallowed by the network; make another, or have it allowed again")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pyrsia_ledger::{Authority, AuthorityKey, ConsensusKey, Constants, Genesis, SignedEntry};

    fn network() -> (State, Vec<AuthorityKey>) {
        let keys: Vec<AuthorityKey> = (1..5).map(|seed| AuthorityKey::from_seed(&[seed; 32])).collect();
        let authorities = keys.iter().enumerate().map(|(index, key)| Authority {
            name: format!("a{index}"),
            authority_key: key.public(),
            consensus_key: ConsensusKey::from_seed(&[100 + index as u8; 32]).public(),
        });
        let genesis = Genesis {
            name: "test".to_owned(),
            nonce: [0; 32],
            authorities: authorities.collect(),
            constants: Constants::default(),
        };
        (State::new(&genesis).unwrap(), keys)
    }

    #[test]
    fn authorities_that_made_the_same_image_approve_one_proposal() {
        let (mut state, keys) = network();
        let own = OwnImage { image: Sha256::of(b"image"), name: "jdk17".to_owned() };
        let me = keys[1].public();
        assert_eq!(standing(&state, &me, &own), Standing::Open { approvals: 0, mine: false });
        for (by, expected) in [
            (0, Standing::Open { approvals: 1, mine: false }),
            (1, Standing::Open { approvals: 2, mine: true }),
            (2, Standing::Approved),
        ] {
            let entry = SignedEntry::sign(proposal(&own), &state.network_id(), &keys[by]).unwrap();
            state.apply(&entry).unwrap();
            assert_eq!(standing(&state, &me, &own), expected);
        }
    }

    #[test]
    fn a_refusal_says_how_many_approvals_there_are_and_what_to_do() {
        let own = OwnImage { image: Sha256::of(b"image"), name: "jdk17".to_owned() };
        let text = refusal(&own, &Standing::Open { approvals: 2, mine: true }, 3);
        assert!(text.contains("2 of 3") && text.contains("pyrsia-maven images build jdk17"), "{text}");
    }
}
