//! The replica over a real database: crashes between steps, repetitions, contradictions, receipts.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use maven_layout::Coordinates;
use pyrsia_digest::Sha256;
use pyrsia_ledger::{
    Attestation, Authority, AuthorityChange, AuthorityKey, BuildRequest, BuiltResult, Checkpoint, Commitment,
    ConsensusKey, Constants, EntryBody, FileResult, Genesis, ImageProposal, Inputs, Leaf, Mode, Outcome, RoundResult,
    RulesChange, SignedEntry, VerdictState, commitment_hash,
};
use pyrsia_store::{BlockRecord, LedgerStore};
use tokio::sync::mpsc;

use crate::word::{Head, blocks_network};
use crate::{
    Certified, Clock, InMemoryOrderer, Observed, OrderedBatch, ReceiptUnavailable, Refused, Replica, ReplicaError,
    ReplicaHandle, SigningStatus, SubmissionOutcome, SubmitError, Word,
};

fn sha(text: &str) -> Sha256 {
    Sha256::of(text.as_bytes())
}

fn key(n: u8) -> AuthorityKey {
    AuthorityKey::from_seed(&[n + 1; 32])
}

fn authority(n: u8) -> Authority {
    Authority {
        name: format!("authority-{n}"),
        authority_key: key(n).public(),
        consensus_key: ConsensusKey::from_seed(&[n + 101; 32]).public(),
    }
}

fn genesis(members: u8) -> Genesis {
    Genesis {
        name: "test".into(),
        nonce: [7; 32],
        authorities: (0..members).map(authority).collect(),
        constants: Constants::default(),
    }
}

fn clock(seconds: u64) -> Clock {
    Arc::new(move || seconds)
}

fn open_with(dir: &Path, members: u8, clock: Clock) -> (Replica, ReplicaHandle) {
    let store = LedgerStore::open(dir).unwrap();
    Replica::open(store, genesis(members), Some(key(0)), clock).unwrap()
}

fn open(dir: &Path, members: u8) -> (Replica, ReplicaHandle) {
    open_with(dir, members, clock(1_800_000_000))
}

fn sign(members: u8, signer: u8, body: EntryBody) -> SignedEntry {
    SignedEntry::sign(body, &genesis(members).network_id(), &key(signer)).unwrap()
}

/// An entry that is accepted, for each text once.
fn proposal(members: u8, text: &str) -> SignedEntry {
    sign(members, 0, EntryBody::ImageProposal(ImageProposal::allow(sha(text), text)))
}

fn batch(index: u64, entries: &[SignedEntry]) -> OrderedBatch {
    OrderedBatch { session: 0, index, entries: entries.iter().map(SignedEntry::to_bytes).collect() }
}

fn release() -> Coordinates {
    "org.acme:lib:1.0".parse().unwrap()
}

fn request() -> BuildRequest {
    BuildRequest {
        coordinates: vec![release()],
        mode: Mode::Upstream,
        repository: "https://git.example/acme/lib".parse().unwrap(),
        tag: None,
        commit: "0123456789abcdef0123456789abcdef01234567".parse().unwrap(),
        specification: sha("specification"),
        image: sha("image"),
        profile: sha("profile"),
        comparator: 1,
        publisher: None,
        reopening: 0,
    }
}

fn result() -> RoundResult {
    let file = |name: &str| FileResult {
        coordinates: release(),
        name: name.into(),
        reference: Some(sha(name)),
        outcome: Outcome::Identical,
        digest: Some(sha(name)),
        normalised: None,
        normalisers: vec![],
    };
    RoundResult::Built(BuiltResult {
        files: vec![file("lib-1.0.jar"), file("lib-1.0.pom")],
        outputs_root: sha("outputs"),
        source_tree: sha("tree"),
        canonical_scm: Some("https://git.example/acme/lib".parse().unwrap()),
        pom_chain: vec![],
        byproducts: None,
        provenance: None,
        mirrored_source: false,
    })
}

/// All entries of a round in a network of one, from the image to the verdict.
fn round_of_one() -> Vec<SignedEntry> {
    let request = request();
    let round = request.round_key();
    let hash = commitment_hash(&genesis(1).network_id(), &round, 0, &key(0).public(), &[5; 32], &result());
    [
        EntryBody::ImageProposal(ImageProposal::allow(sha("image"), "jdk")),
        EntryBody::BuildRequest(request),
        EntryBody::Inputs(Inputs {
            round,
            attempt: 0,
            manifest_root: sha("root"),
            manifest: sha("manifest"),
            lines: 1,
            total_bytes: 1,
        }),
        EntryBody::Commitment(Commitment { round, attempt: 0, hash }),
        EntryBody::Attestation(Attestation { round, attempt: 0, salt: [5; 32], result: result() }),
    ]
    .map(|body| sign(1, 0, body))
    .to_vec()
}

/// A round in four batches, with a refused entry, an empty result and bytes that are no entry in between.
fn history() -> Vec<OrderedBatch> {
    let round = round_of_one();
    let mut third = batch(7, &round[2..4]);
    third.entries.insert(1, b"no entry".to_vec());
    vec![
        batch(0, &round[..2]),
        batch(4, &[sign(1, 1, round[0].body.clone()), round[0].clone()]),
        third,
        batch(9, &round[4..]),
    ]
}

/// Everything that a reader can see.
async fn view(handle: &ReplicaHandle) -> (Checkpoint, Vec<Vec<u8>>, Option<String>, Option<String>) {
    let leaves = handle.log(0, 1000).await.unwrap();
    (
        handle.checkpoint(),
        leaves.into_iter().map(|leaf| leaf.bytes).collect(),
        handle.certificate().await.unwrap().map(|certificate| certificate.to_text()),
        handle.receipt(&release()).await.ok().map(|receipt| receipt.to_text()),
    )
}

#[tokio::test]
async fn a_round_ends_in_a_receipt_that_verifies() {
    let temp = tempfile::tempdir().unwrap();
    let (mut replica, handle) = open(temp.path(), 1);
    assert!(matches!(handle.receipt(&release()).await, Err(ReceiptUnavailable::NoVerdict { .. })));
    let sizes = handle.subscribe();
    for batch in history() {
        replica.process(&batch).unwrap();
        assert_eq!(*sizes.borrow(), handle.state().log_size());
    }
    let receipt = handle.receipt(&release()).await.unwrap();
    let text = receipt.to_text();
    let verified = pyrsia_ledger::Receipt::parse(&text).unwrap().verify(handle.genesis()).unwrap();
    assert_eq!(verified.verdict.state, VerdictState::Identical);
    assert_eq!(verified.log_size, 6);
    assert_eq!(verified.time, 1_800_000_000);
    assert_eq!(handle.block().unwrap().height, 3, "an empty batch makes no block");
    assert_eq!(replica.cursor().unwrap(), Some((0, 9)));
    // Later entries do not change what the receipt proves.
    replica.process(&batch(10, &[proposal(1, "other")])).unwrap();
    assert_eq!(handle.receipt(&release()).await.unwrap().to_text(), text);
}

/// The failure matrix: a crash after each step of each batch, then all batches come again.
#[tokio::test]
async fn a_crash_after_any_step_changes_nothing_in_the_end() {
    let history = history();
    let temp = tempfile::tempdir().unwrap();
    let (mut replica, handle) = open(temp.path(), 1);
    for batch in &history {
        replica.process(batch).unwrap();
    }
    let expected = view(&handle).await;
    for crashed in 0..history.len() {
        for steps in 0..4 {
            let temp = tempfile::tempdir().unwrap();
            let (mut replica, handle) = open(temp.path(), 1);
            for batch in &history[..crashed] {
                replica.process(batch).unwrap();
            }
            let before = handle.checkpoint();
            let mut step = replica.apply(&history[crashed]).unwrap();
            if steps > 0 {
                replica.persist(&history[crashed], &mut step).unwrap();
            }
            if steps > 1 {
                replica.sign(&step).unwrap();
            }
            assert_eq!(handle.checkpoint(), before, "nothing is shown before it is published");
            if steps > 2 {
                replica.publish(step);
            }
            drop((replica, handle));

            let (mut replica, handle) = open(temp.path(), 1);
            let certificate = handle.certificate().await.unwrap().unwrap();
            assert_eq!(certificate.checkpoint, handle.checkpoint(), "what is stored is signed");
            for batch in &history {
                replica.process(batch).unwrap();
            }
            assert_eq!(view(&handle).await, expected, "crash at batch {crashed} after {steps} steps");
        }
    }
}

#[test]
fn a_batch_that_comes_again_must_be_the_same() {
    let temp = tempfile::tempdir().unwrap();
    let (mut replica, handle) = open(temp.path(), 1);
    let first = batch(3, &[proposal(1, "a")]);
    replica.process(&first).unwrap();
    replica.process(&first).unwrap();
    assert_eq!(handle.state().log_size(), 1);
    let other = batch(3, &[proposal(1, "b")]);
    for _ in 0..2 {
        assert!(matches!(replica.process(&other), Err(ReplicaError::OtherBatch { session: 0, index: 3 })));
    }
    // Entries that were refused count too: another member may have accepted them.
    let refused = batch(4, &[sign(1, 1, proposal(1, "c").body)]);
    replica.process(&refused).unwrap();
    replica.process(&refused).unwrap();
    assert!(matches!(replica.process(&batch(4, &[])), Err(ReplicaError::OtherBatch { .. })));
    assert!(matches!(replica.process(&batch(2, &[proposal(1, "d")])), Err(ReplicaError::OtherBatch { index: 2, .. })));
    assert_eq!(handle.state().log_size(), 1);
}

#[test]
fn outcomes_say_what_became_of_each_entry() {
    let temp = tempfile::tempdir().unwrap();
    let (mut replica, handle) = open(temp.path(), 1);
    let (accepted, stranger) = (proposal(1, "a"), sign(1, 1, proposal(1, "b").body));
    let twice = [accepted.clone(), accepted.clone(), stranger.clone()];
    replica.process(&batch(0, &twice)).unwrap();
    replica.process(&batch(1, std::slice::from_ref(&accepted))).unwrap();
    assert_eq!(handle.state().log_size(), 1, "an entry is in the log once");
    assert_eq!(handle.outcome(&accepted.digest()), Some(SubmissionOutcome::Accepted { index: 0 }));
    assert!(matches!(handle.outcome(&stranger.digest()), Some(SubmissionOutcome::Refused(Refused::Rules(_)))));
    let bytes = b"no entry".to_vec();
    let digest = pyrsia_ledger::EntryDigest(Sha256::of(&bytes));
    replica.process(&OrderedBatch { session: 0, index: 2, entries: vec![bytes] }).unwrap();
    assert!(matches!(handle.outcome(&digest), Some(SubmissionOutcome::Refused(Refused::Undecodable(_)))));
}

#[tokio::test]
async fn submitters_hear_the_outcome() {
    let temp = tempfile::tempdir().unwrap();
    let (replica, handle) = open(temp.path(), 1);
    assert!(matches!(handle.submit(proposal(1, "a")).await, Err(SubmitError::Unavailable { .. })));
    let (batches, ordered) = mpsc::channel(4);
    let orderer = InMemoryOrderer::resume(replica.cursor().unwrap(), batches);
    assert!(handle.set_orderer(Arc::new(orderer)));
    let running = tokio::spawn(replica.run(ordered, mpsc::channel(1).1));
    let entry = proposal(1, "a");
    for _ in 0..2 {
        let outcome = handle.submit_and_wait(entry.clone()).await.unwrap();
        assert_eq!(outcome, SubmissionOutcome::Accepted { index: 0 });
    }
    assert_eq!(handle.state().log_size(), 1);
    let again = sign(1, 0, EntryBody::ImageProposal(ImageProposal::allow(sha("a"), "again")));
    let outcome = handle.submit_and_wait(again).await.unwrap();
    assert!(matches!(outcome, SubmissionOutcome::Refused(Refused::Rules(_))));
    running.abort();
    assert!(running.await.is_err());
    assert!(matches!(handle.submit_and_wait(proposal(1, "b")).await, Err(SubmitError::Unavailable { .. })));
}

#[tokio::test]
async fn cosignatures_are_refreshed_and_their_time_never_goes_back() {
    let temp = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicU64::new(1000));
    let ticking: Clock = {
        let now = Arc::clone(&now);
        Arc::new(move || now.load(Ordering::Relaxed))
    };
    let time_of = async |handle: &ReplicaHandle| {
        let certificate = handle.certificate().await.unwrap().unwrap();
        certificate.verify(&handle.network_id(), handle.state().committee()).unwrap().quorum_time
    };
    let (mut replica, handle) = open_with(temp.path(), 1, Arc::clone(&ticking));
    assert_eq!(time_of(&handle).await, 1000, "the empty log is signed too");
    now.store(2000, Ordering::Relaxed);
    let word = handle.refresh().await.unwrap().unwrap();
    assert_eq!((word.log.size, word.cosignature.time), (0, 2000));
    assert_eq!(handle.word().await.unwrap(), Some(word));
    assert_eq!(*handle.certified().borrow(), Certified { size: 0, time: 2000 });
    assert_eq!(time_of(&handle).await, 2000);
    now.store(500, Ordering::Relaxed);
    replica.process(&batch(0, &[proposal(1, "a")])).unwrap();
    assert_eq!(time_of(&handle).await, 2000);
    drop((replica, handle));
    let (_replica, handle) = open_with(temp.path(), 1, ticking);
    assert_eq!(handle.refresh().await.unwrap().unwrap().cosignature.time, 2000);
}

#[tokio::test]
async fn certificates_need_a_quorum_and_contradictions_stop_signing() {
    let temp = tempfile::tempdir().unwrap();
    let (mut replica, handle) = open(temp.path(), 4);
    replica.process(&batch(0, &[proposal(4, "a")])).unwrap();
    let own = handle.checkpoint();
    let blocks = blocks_network(&handle.network_id());
    // Another log of the same length ends with another block.
    let said = |signer: u8, name: u8, log: &Checkpoint| {
        let block = match handle.block() {
            Some(block) if *log == own => Checkpoint::new(&blocks, block.height, block.hash()),
            _ => Checkpoint::new(&blocks, log.size, log.root),
        };
        let cosign = |checkpoint: &Checkpoint| checkpoint.cosign(&key(signer), &authority(name).name, 1_800_000_001);
        Word { log: log.clone(), cosignature: cosign(log), block: Some((block.clone(), cosign(&block))) }
    };
    let word = |n: u8, checkpoint: &Checkpoint| handle.observe(said(n, n, checkpoint));
    assert_eq!(handle.certificate().await.unwrap(), None);
    assert_eq!(word(1, &own).await.unwrap(), Observed::Agrees);
    assert_eq!(word(1, &own).await.unwrap(), Observed::Agrees);
    assert_eq!(handle.certificate().await.unwrap(), None, "two of four");
    assert_eq!(word(3, &own).await.unwrap(), Observed::Agrees);
    let certificate = handle.certificate().await.unwrap().unwrap();
    certificate.verify(&handle.network_id(), handle.state().committee()).unwrap();

    let network = handle.network_id();
    let longer = Checkpoint::new(&network, 2, sha("x"));
    assert_eq!(word(1, &longer).await.unwrap(), Observed::Ahead);
    assert_eq!(handle.observe(said(2, 1, &own)).await.unwrap(), Observed::Invalid);
    // Either signature is looked at, and neither may be left out.
    let forged = Word { block: said(2, 3, &own).block, ..said(3, 3, &own) };
    assert_eq!(handle.observe(forged).await.unwrap(), Observed::Invalid);
    let forged = Word { block: None, ..said(3, 3, &own) };
    assert_eq!(handle.observe(forged).await.unwrap(), Observed::Invalid);
    assert_eq!(word(9, &own).await.unwrap(), Observed::Invalid);

    let other = Checkpoint::new(&network, 1, sha("other"));
    for n in [1, 2] {
        let Observed::Contradicts { signers } = word(n, &other).await.unwrap() else { panic!("fewer than a quorum") };
        assert_eq!(signers.len(), n as usize);
        assert_eq!(handle.signing_status(), SigningStatus::Signing);
    }
    // They are believed no more, whatever they say next.
    assert_eq!(word(1, &own).await.unwrap(), Observed::Condemned);
    assert_eq!(word(2, &other).await.unwrap(), Observed::Condemned);
    assert_eq!(word(3, &other).await.unwrap(), Observed::Stopped);
    assert!(matches!(handle.signing_status(), SigningStatus::Stopped { .. }));
    assert_eq!(handle.refresh().await.unwrap(), None);
    drop((replica, handle));
    let (mut replica, handle) = open(temp.path(), 4);
    assert!(matches!(handle.signing_status(), SigningStatus::Stopped { .. }));
    assert_eq!(handle.condemned().len(), 3, "the evidence is kept");
    replica.process(&batch(1, &[proposal(4, "b")])).unwrap();
    let signed = LedgerStore::cosignatures(handle.store(), 2).unwrap();
    assert_eq!(signed, vec![], "stays stopped after a restart");
}

#[tokio::test]
async fn receipts_carry_the_hand_over_to_another_committee() {
    let temp = tempfile::tempdir().unwrap();
    let (mut replica, handle) = open(temp.path(), 1);
    let change =
        EntryBody::AuthorityChange(AuthorityChange { epoch: 1, authorities: vec![authority(0), authority(1)] });
    replica.process(&batch(0, &[sign(1, 0, change)])).unwrap();
    assert_eq!(handle.state().committee().size(), 2);
    // The old committee has certified the block that names the new one, by itself.
    assert_eq!(handle.certificate().await.unwrap().unwrap().checkpoint.size, 2);

    let request = request();
    let round = request.round_key();
    let salt = |n: u8| [n; 32];
    let commitment = |n: u8| {
        let hash = commitment_hash(&handle.network_id(), &round, 0, &key(n).public(), &salt(n), &result());
        EntryBody::Commitment(Commitment { round, attempt: 0, hash })
    };
    let attestation =
        |n: u8| EntryBody::Attestation(Attestation { round, attempt: 0, salt: salt(n), result: result() });
    let image = EntryBody::ImageProposal(ImageProposal::allow(sha("image"), "jdk"));
    let inputs = EntryBody::Inputs(Inputs {
        round,
        attempt: 0,
        manifest_root: sha("root"),
        manifest: sha("manifest"),
        lines: 1,
        total_bytes: 1,
    });
    let said = [
        (0, image.clone()),
        (1, image),
        (0, EntryBody::BuildRequest(request)),
        (0, inputs.clone()),
        (1, inputs),
        (0, commitment(0)),
        (1, commitment(1)),
        (0, attestation(0)),
        (1, attestation(1)),
    ];
    let entries: Vec<_> = said.into_iter().map(|(n, body)| sign(1, n, body)).collect();
    replica.process(&batch(1, &entries)).unwrap();
    assert!(matches!(handle.receipt(&release()).await, Err(ReceiptUnavailable::NotCertified { .. })));
    let head = Head::of(&handle.network_id(), handle.block().as_ref());
    let word = Word::new(head.clone(), head.cosign(&key(1), &authority(1).name, 1_800_000_100));
    assert_eq!(handle.observe(word).await.unwrap(), Observed::Agrees);
    let receipt = handle.receipt(&release()).await.unwrap();
    assert_eq!(receipt.handovers.len(), 1);
    let verified = receipt.verify(handle.genesis()).unwrap();
    assert_eq!(verified.pin.epoch, 1);
    // The same after a restart, from what is stored.
    drop((replica, handle));
    let (_replica, handle) = open(temp.path(), 1);
    assert_eq!(handle.receipt(&release()).await.unwrap(), receipt);
}

#[test]
fn unknown_rules_stop_before_the_batch_is_stored() {
    let temp = tempfile::tempdir().unwrap();
    let (mut replica, handle) = open(temp.path(), 1);
    let switch = sign(1, 0, EntryBody::RulesChange(RulesChange { rules: 2 }));
    for _ in 0..2 {
        assert!(matches!(
            replica.process(&batch(0, &[switch.clone(), proposal(1, "a")])),
            Err(ReplicaError::RulesUnknown { rules: 2, supported: 1 })
        ));
        assert_eq!(replica.cursor().unwrap(), None);
        assert_eq!(handle.state().log_size(), 0);
    }
}

#[test]
fn a_database_that_the_rules_do_not_reproduce_is_refused() {
    let forge = |change: fn(&mut BlockRecord)| {
        let temp = tempfile::tempdir().unwrap();
        let (replica, handle) = open(temp.path(), 1);
        let batch = batch(0, &[proposal(1, "a")]);
        let mut record = replica.apply(&batch).unwrap().record.unwrap();
        change(&mut record);
        handle.store().append_block(record).unwrap();
        drop((replica, handle));
        let store = LedgerStore::open(temp.path()).unwrap();
        Replica::open(store, genesis(1), Some(key(0)), clock(0)).map(|_| ())
    };
    forge(|_| {}).unwrap();
    let forgeries: [fn(&mut BlockRecord); 4] = [
        |record| record.block_bytes[40] ^= 1,
        |record| record.block_hash = sha("other"),
        |record| record.entries.push(proposal(1, "more").to_bytes()),
        |record| record.entries[0] = sign(1, 1, proposal(1, "a").body).to_bytes(),
    ];
    for forgery in forgeries {
        assert!(matches!(forge(forgery), Err(ReplicaError::NotReproduced { height: 1, .. })));
    }
    assert!(forge(|record| record.frontier_bytes.clear()).is_err());
}

#[test]
fn a_database_of_another_network_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    drop(open(temp.path(), 1));
    let store = LedgerStore::open(temp.path()).unwrap();
    assert!(matches!(Replica::open(store, genesis(4), None, clock(0)), Err(ReplicaError::OtherNetwork { .. })));
}

#[test]
fn a_node_without_a_key_follows_and_signs_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let store = LedgerStore::open(temp.path()).unwrap();
    let (mut replica, handle) = Replica::open(store, genesis(1), None, clock(0)).unwrap();
    replica.process(&batch(0, &[proposal(1, "a")])).unwrap();
    assert_eq!(handle.signing_status(), SigningStatus::Observer);
    assert_eq!(handle.store().latest_certificate().unwrap(), None);
    let leaf = handle.store().leaf(0).unwrap().unwrap();
    assert!(matches!(Leaf::from_bytes(&leaf.bytes), Ok(Leaf::Entry(_))));
}
