//! Proposals: voted on by the committee, in force once a quorum approves.

use std::sync::Arc;

use super::queries::ImageRecord;
use super::{Pending, Refusal, State};
use crate::{Approval, AuthorityChange, Committee, CommitteeLeaf, EntryBody, Leaf, PublicKey, Subject};

impl State {
    pub(super) fn apply_proposal(&mut self, signer: PublicKey, body: &EntryBody) -> Result<Vec<Leaf>, Refusal> {
        self.fits_state(body)?;
        let id = body.proposal_id().ok_or(Refusal::UnknownProposal)?;
        self.vote(signer, Subject::Proposal(id), Some(body))
    }

    pub(super) fn apply_approval(&mut self, signer: PublicKey, entry: &Approval) -> Result<Vec<Leaf>, Refusal> {
        match entry.subject {
            Subject::Proposal(_) if !self.pending.contains_key(&entry.subject) => Err(Refusal::UnknownProposal),
            Subject::Specification(digest) if self.specifications.contains(&digest) => {
                Err(Refusal::Obsolete { rule: "the specification is approved already" })
            }
            _ => self.vote(signer, entry.subject, None),
        }
    }

    /// Adds a vote; the first one makes the proposal.
    fn vote(&mut self, signer: PublicKey, subject: Subject, body: Option<&EntryBody>) -> Result<Vec<Leaf>, Refusal> {
        match self.pending.get(&subject) {
            Some(pending) if pending.votes.contains(&signer) => return Err(Refusal::Duplicate),
            Some(_) => {}
            None => {
                let limit = self.constants.max_open_proposals_per_authority;
                let made = self.pending.values().filter(|pending| pending.proposer == signer).count();
                if made >= limit as usize {
                    return Err(Refusal::TooManyProposals { limit });
                }
            }
        }
        Arc::make_mut(&mut self.pending)
            .entry(subject)
            .or_insert_with(|| Pending {
                proposer: signer,
                body: body.cloned().map(Arc::new),
                votes: Default::default(),
            })
            .votes
            .insert(signer);
        Ok(self.settle())
    }

    /// Puts everything into force that has its quorum. More than one proposal can have it, after the committee shrank.
    fn settle(&mut self) -> Vec<Leaf> {
        let mut leaves = Vec::new();
        while let Some(subject) = self.ready() {
            let Some(pending) = Arc::make_mut(&mut self.pending).remove(&subject) else {
                break;
            };
            match (subject, pending.body) {
                (Subject::Specification(digest), _) => {
                    Arc::make_mut(&mut self.specifications).insert(digest);
                }
                (Subject::Proposal(_), Some(body)) => leaves.extend(self.enact(&body, leaves.len())),
                (Subject::Proposal(_), None) => {}
            }
            self.drop_obsolete();
        }
        leaves
    }

    fn ready(&self) -> Option<Subject> {
        let approves = |pending: &Pending| pending.votes.iter().filter(|key| self.committee.contains(key)).count();
        self.pending
            .iter()
            .find(|(_, pending)| approves(pending) >= self.committee.quorum())
            .map(|(subject, _)| *subject)
    }

    /// Forgets proposals that no longer fit, so that they do not use up anybody's limit.
    pub(super) fn drop_obsolete(&mut self) {
        let obsolete: Vec<Subject> = self
            .pending
            .iter()
            .filter(|(_, pending)| {
                !self.committee.contains(&pending.proposer)
                    || pending.body.as_ref().is_some_and(|body| self.fits_state(body).is_err())
            })
            .map(|(subject, _)| *subject)
            .collect();
        if !obsolete.is_empty() {
            let pending = Arc::make_mut(&mut self.pending);
            obsolete.iter().for_each(|subject| {
                pending.remove(subject);
            });
        }
    }

    /// Whether a proposal could be put into force now. Serials make sure that none can be put into force twice.
    fn fits_state(&self, body: &EntryBody) -> Result<(), Refusal> {
        let serial = |present: Option<u32>, proposed: u32| {
            if present.unwrap_or(0).checked_add(1) == Some(proposed) {
                Ok(())
            } else {
                Err(Refusal::Obsolete { rule: "the serial is not one more than the one in force" })
            }
        };
        match body {
            EntryBody::NamespaceGrant(grant) => {
                serial(self.namespaces.get(&grant.group.to_string()).map(|present| present.serial), grant.serial)
            }
            EntryBody::ImageProposal(image) => {
                serial(self.images.get(&image.image).map(|present| present.serial), image.serial)
            }
            EntryBody::Block(block) => {
                serial(self.blocks.get(&block.coordinates).map(|present| present.serial), block.serial)
            }
            EntryBody::Withdrawal(withdrawal) => match self.verdict(&withdrawal.coordinates) {
                Some(verdict) if verdict.round == withdrawal.round => Ok(()),
                _ => Err(Refusal::Obsolete { rule: "this round's verdict does not stand" }),
            },
            EntryBody::AuthorityChange(change) if self.committee.epoch.checked_add(1) != Some(change.epoch) => {
                Err(Refusal::Obsolete { rule: "the epoch is not one more than the present one" })
            }
            EntryBody::RulesChange(change) if self.rules.checked_add(1) != Some(change.rules) => {
                Err(Refusal::Obsolete { rule: "the rules are not the next ones" })
            }
            _ => Ok(()),
        }
    }

    /// Puts a proposal into force. It fits the state.
    fn enact(&mut self, body: &EntryBody, derived: usize) -> Option<Leaf> {
        match body {
            EntryBody::NamespaceGrant(grant) => {
                Arc::make_mut(&mut self.namespaces).insert(grant.group.to_string(), Arc::new(grant.clone()));
            }
            EntryBody::ImageProposal(image) => {
                let record = ImageRecord { name: image.name.clone(), serial: image.serial, allowed: image.allowed };
                Arc::make_mut(&mut self.images).insert(image.image, record);
            }
            EntryBody::Block(block) => {
                Arc::make_mut(&mut self.blocks).insert(block.coordinates.clone(), block.clone());
            }
            EntryBody::Withdrawal(withdrawal) => {
                Arc::make_mut(&mut self.standing).remove(&withdrawal.coordinates);
            }
            EntryBody::AuthorityChange(change) => {
                return Some(self.change_committee(change, derived));
            }
            EntryBody::RulesChange(change) => self.rules = change.rules,
            _ => {}
        }
        None
    }

    fn change_committee(&mut self, change: &AuthorityChange, derived: usize) -> Leaf {
        let committee = Committee { epoch: change.epoch, authorities: change.authorities.clone() };
        let leaf = CommitteeLeaf {
            index: self.derived_index(derived),
            previous: self.committee.hash(),
            committee: committee.clone(),
        };
        self.committee = Arc::new(committee);
        let open: Vec<_> = self.open_rounds().cloned().collect();
        for mut round in open {
            round.restart(Arc::clone(&self.committee));
            self.put_round(round);
        }
        Leaf::Committee(leaf)
    }
}
