//! Proposals, approvals, committees, rules.

use pyrsia_ledger::*;

use crate::harness::*;

fn approval(body: &EntryBody) -> EntryBody {
    EntryBody::Approval(Approval { subject: Subject::Proposal(body.proposal_id().unwrap()) })
}

fn change(epoch: u32, members: &[usize]) -> EntryBody {
    EntryBody::AuthorityChange(AuthorityChange { epoch, authorities: members.iter().map(|n| authority(*n)).collect() })
}

#[test]
fn a_proposal_is_its_author_s_approval_and_takes_effect_at_the_quorum() {
    let mut net = Net::new(4);
    let body = EntryBody::ImageProposal(ImageProposal::allow(sha("new"), "jdk 25"));
    assert_eq!(net.say(1, approval(&body)), Err(Refusal::UnknownProposal));
    net.say(0, body.clone()).unwrap();
    assert_eq!(net.say(0, approval(&body)), Err(Refusal::Duplicate));
    assert_eq!(net.say(0, body.clone()), Err(Refusal::Duplicate));
    // Proposing the same thing is approving it.
    net.say(1, body.clone()).unwrap();
    assert!(!net.state.is_image_approved(&sha("new")));
    assert_eq!(net.state.pending().count(), 1);
    net.say(2, approval(&body)).unwrap();
    assert!(net.state.is_image_approved(&sha("new")));
    assert_eq!(net.state.pending().count(), 0);
    assert_eq!(net.say(3, approval(&body)), Err(Refusal::UnknownProposal));
    // Old proposals cannot be played back.
    assert!(matches!(net.say(3, body), Err(Refusal::Obsolete { .. })));
}

#[test]
fn free_specifications_are_approved_by_digest() {
    let mut net = Net::new(4);
    let body = EntryBody::Approval(Approval { subject: Subject::Specification(sha("free")) });
    for n in 0..3 {
        assert!(!net.state.is_specification_approved(&sha("free")));
        net.say(n, body.clone()).unwrap();
    }
    assert!(net.state.is_specification_approved(&sha("free")));
    assert!(matches!(net.say(3, body), Err(Refusal::Obsolete { .. })));
}

#[test]
fn pending_proposals_of_an_authority_are_capped() {
    let mut genesis = genesis(4);
    genesis.constants.max_open_proposals_per_authority = 2;
    let mut net = Net::with(genesis);
    let body = |n: usize| EntryBody::ImageProposal(ImageProposal::allow(sha(&n.to_string()), "x"));
    net.say(0, body(0)).unwrap();
    net.say(0, body(1)).unwrap();
    assert_eq!(net.say(0, body(2)), Err(Refusal::TooManyProposals { limit: 2 }));
    net.say(1, body(2)).unwrap();
    // Approving costs nothing.
    net.say(0, approval(&body(2))).unwrap();
}

#[test]
fn a_block_withholds_until_it_is_lifted() {
    let mut net = Net::new(1);
    let block = |blocked, serial| {
        EntryBody::Block(ReleaseBlock { coordinates: release(), blocked, serial, reason: "malware".into() })
    };
    net.say(0, block(true, 1)).unwrap();
    assert!(net.state.is_blocked(&release()));
    net.say(0, block(false, 2)).unwrap();
    assert!(!net.state.is_blocked(&release()));
    assert!(matches!(net.say(0, block(true, 1)), Err(Refusal::Obsolete { .. })));
    assert!(!net.state.is_blocked(&release()));
}

#[test]
fn a_withdrawal_names_the_verdict_that_stands() {
    let mut net = Net::new(1);
    let withdrawal =
        |round| EntryBody::Withdrawal(Withdrawal { coordinates: release(), round, reason: "wrong commit".into() });
    let first = net.run(&changed(&upstream_request(), "1"), &[different("x")]);
    let second = net.run(&changed(&upstream_request(), "2"), &[identical()]);
    assert!(matches!(net.say(0, withdrawal(first)), Err(Refusal::Obsolete { .. })));
    net.say(0, withdrawal(second)).unwrap();
    assert!(net.state.verdict(&release()).is_none());
    let path = "org/acme/lib/1.0/lib-1.0.jar".parse().unwrap();
    assert!(net.state.file_verdict(&path).is_none());
}

#[test]
fn a_new_committee_restarts_open_rounds() {
    let mut net = Net::new(4);
    let round = net.request(0, &upstream_request());
    net.record(round);
    net.commit(0, round, &identical()).unwrap();
    let derived = net.approve(change(1, &[0, 1, 2, 3, 4, 5, 6]));
    let [Leaf::Committee(leaf)] = derived.as_slice() else { panic!("{derived:?}") };
    assert_eq!(leaf.previous, genesis(4).committee().hash());
    assert_eq!(net.state.committee(), &leaf.committee);
    assert_eq!(net.state.committee().quorum(), 5);
    assert_eq!(net.stage(round), Stage::Recording);
    assert!(net.round(&round).commitments.is_empty());
    assert!(matches!(net.timeout_at(round, 0), Err(Refusal::Attempt { .. })));
    net.run_opened(round, &[(); 7].map(|()| identical()));
    assert_eq!((net.verdict().threshold, net.verdict().committee_size), (5, 7));
    // A removed member has nothing more to say.
    net.approve(change(2, &[1, 2, 3, 4]));
    let body = EntryBody::ImageProposal(ImageProposal::allow(sha("new"), "x"));
    assert!(matches!(net.say(0, body), Err(Refusal::NotAuthority { .. })));
}

impl Net {
    fn timeout_at(&mut self, round: RoundKey, attempt: u32) -> Result<Vec<Leaf>, Refusal> {
        self.say(0, EntryBody::Timeout(Timeout { round, attempt, stage: RoundStage::Record }))
    }
}

#[test]
fn only_votes_of_the_present_committee_count() {
    let mut net = Net::new(7);
    let body = EntryBody::ImageProposal(ImageProposal::allow(sha("new"), "x"));
    // Four of seven, one less than the quorum; proposed by one who stays.
    for n in [3, 4, 5, 6] {
        net.say(n, body.clone()).unwrap();
    }
    net.approve(change(1, &[0, 1, 2, 3]));
    assert!(!net.state.is_image_approved(&sha("new")), "one of the four is left");
    net.say(0, body.clone()).unwrap();
    assert!(!net.state.is_image_approved(&sha("new")));
    net.say(1, body).unwrap();
    assert!(net.state.is_image_approved(&sha("new")));
}

#[test]
fn a_smaller_committee_may_have_a_quorum_at_once() {
    let mut net = Net::new(7);
    let body = EntryBody::ImageProposal(ImageProposal::allow(sha("new"), "x"));
    for n in 0..4 {
        net.say(n, body.clone()).unwrap();
    }
    net.approve(change(1, &[0, 1, 2, 3]));
    assert!(net.state.is_image_approved(&sha("new")));
}

#[test]
fn unknown_rules_stop_the_program() {
    let mut net = Net::new(1);
    assert!(matches!(net.say(0, EntryBody::RulesChange(RulesChange { rules: 3 })), Err(Refusal::Obsolete { .. })));
    net.say(0, EntryBody::RulesChange(RulesChange { rules: 2 })).unwrap();
    assert!(net.state.is_halted());
    let body = EntryBody::ImageProposal(ImageProposal::allow(sha("new"), "x"));
    assert!(matches!(net.say(0, body), Err(Refusal::RulesUnknown { rules: 2, supported: 1 })));
}

#[test]
fn strangers_and_other_networks_are_refused() {
    let mut net = Net::new(4);
    let body = EntryBody::ImageProposal(ImageProposal::allow(sha("new"), "x"));
    assert!(matches!(net.say(9, body.clone()), Err(Refusal::NotAuthority { .. })));
    let foreign = Net::new(1).sign(0, body);
    assert_eq!(net.apply(&foreign), Err(Refusal::Signature));
}
