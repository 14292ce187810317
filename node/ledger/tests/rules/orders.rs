//! Every order of the entries of a small round, and random entries: never a panic, never two different truths.

use proptest::prelude::*;
use pyrsia_ledger::*;

use crate::harness::*;

fn permutations(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![vec![]];
    }
    let mut all = Vec::new();
    for shorter in permutations(n - 1) {
        for position in 0..n {
            let mut order = shorter.clone();
            order.insert(position, n - 1);
            all.push(order);
        }
    }
    all
}

/// What a verdict says, without where it stands in the log.
fn content(state: &State) -> Option<Verdict> {
    state.verdict(&release()).map(|verdict| Verdict { index: 0, ..verdict.clone() })
}

/// A round of one authority: request, inputs, commitment, attestation, in all 24 orders, each played twice over.
#[test]
fn all_orders_of_a_round_of_one() {
    let mut reference = Net::new(1);
    reference.run(&upstream_request(), &[identical()]);
    let expected = content(&reference.state);
    let start = Net::new(1);
    let entries: Vec<SignedEntry> = reference.leaves[start.leaves.len()..]
        .iter()
        .filter_map(|leaf| match leaf {
            Leaf::Entry(entry) => Some(entry.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(entries.len(), 4);
    for order in permutations(4) {
        let mut net = start.clone();
        let mut applied = 0;
        // Refused entries are offered again, as the ordering protocol may: at the latest the fourth time all fit.
        for n in order.iter().cycle().take(16) {
            applied += usize::from(net.apply(&entries[*n]).is_ok());
        }
        assert_eq!(applied, 4, "{order:?}: each entry is applied once");
        assert_eq!(content(&net.state), expected, "{order:?}");
    }
}

/// The order in which four authorities commit and reveal changes nothing but the point of the early verdict.
#[test]
fn all_orders_of_commitments_and_reveals() {
    let results = [identical(), different("x"), identical(), identical()];
    let mut states = Vec::new();
    for order in permutations(4) {
        let mut net = Net::new(4);
        let round = net.request(0, &upstream_request());
        net.record(round);
        for n in &order {
            net.commit(*n, round, &results[*n]).unwrap();
        }
        for n in order.iter().rev() {
            net.reveal(*n, round, &results[*n]).unwrap();
        }
        let jar = net.verdict().file("lib-1.0.jar").unwrap();
        states.push((net.verdict().state, jar.state, jar.sha256, jar.agreed_by.clone()));
    }
    // All three honest ones are needed, so every order ends in the very same verdict.
    states.dedup();
    assert_eq!(states.len(), 1);
    assert_eq!(states[0].0, VerdictState::Identical);
}

/// Reveals of all, then late, timeouts: every order of the eight last entries of a round with commitments of three.
#[test]
fn counting_does_not_depend_on_the_order_of_ballots() {
    use pyrsia_ledger::count::{Ballot, Thresholds, count};
    let results = [identical(), equivalent("a"), different("b"), identical(), failed(FailureKind::Tests)];
    let thresholds = Thresholds { quorum: 4, faulty: 1 };
    let mut seen = Vec::new();
    for order in permutations(5) {
        let ballots: Vec<Ballot<'_>> = order
            .iter()
            .map(|n| Ballot { authority: key(*n).public(), timely: *n != 3, result: &results[*n] })
            .collect();
        seen.push(count(thresholds, &ballots));
    }
    seen.dedup();
    assert_eq!(seen.len(), 1);
}

#[derive(Debug, Clone)]
enum Step {
    Request(usize, u8),
    Inputs(usize),
    Failed(usize, bool),
    Reject(usize),
    Commit(usize, u8),
    Reveal(usize, u8),
    Timeout(usize, RoundStage),
    Revoke(usize),
    Committee(usize, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let who = 0usize..7;
    let stage = prop_oneof![Just(RoundStage::Record), Just(RoundStage::Commit), Just(RoundStage::Reveal)];
    let step = prop_oneof![
        1 => (who.clone(), 0u8..2).prop_map(|(n, v)| Step::Request(n, v)),
        2 => who.clone().prop_map(Step::Inputs),
        1 => (who.clone(), any::<bool>()).prop_map(|(n, build)| Step::Failed(n, build)),
        1 => who.clone().prop_map(Step::Reject),
        8 => (who.clone(), 0u8..3).prop_map(|(n, v)| Step::Commit(n, v)),
        8 => (who.clone(), 0u8..3).prop_map(|(n, v)| Step::Reveal(n, v)),
        3 => (who.clone(), stage).prop_map(|(n, stage)| Step::Timeout(n, stage)),
        1 => who.clone().prop_map(Step::Revoke),
        1 => (who, 1usize..6).prop_map(|(n, size)| Step::Committee(n, size)),
    ];
    prop::collection::vec(step, 0..120)
}

fn result(value: u8) -> RoundResult {
    match value {
        0 => identical(),
        1 => different("x"),
        _ => failed(FailureKind::Tests),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is said in whatever order: no panic, refusals change nothing (`Net::apply` checks it), the log replays
    /// to the same state, open rounds stay within their limits, and standing verdicts only get stronger.
    #[test]
    fn anything_in_any_order(size in prop_oneof![Just(1usize), Just(4), Just(7)], steps in steps()) {
        let mut net = Net::new(size);
        let start = net.leaves.len();
        let replayed_from = net.state.clone();
        let mut strongest = None;
        for step in steps {
            let open = net.state.open_rounds().next().map(|round| round.key);
            let round = open.unwrap_or(upstream_request().round_key());
            let attempt = net.state.round(&round).map_or(0, |round| round.attempt);
            let known = net.state.round(&round).is_some();
            let (n, body) = match step {
                Step::Request(n, v) => {
                    let request = changed(&upstream_request(), &v.to_string());
                    let reopening = net.state.round(&request.round_key()).map_or(0, |r| r.request.reopening + 1);
                    (n, EntryBody::BuildRequest(BuildRequest { reopening, ..request }))
                }
                Step::Inputs(_) if known => (net.recorder(&round), net.inputs(round)),
                Step::Commit(n, v) if known => (n, net.commitment(n, round, &result(v))),
                Step::Reveal(n, v) if known => (n, net.attestation(n, round, &result(v))),
                Step::Inputs(n) | Step::Commit(n, _) | Step::Reveal(n, _) | Step::Reject(n) => {
                    let (line, detail) = ("line".into(), String::new());
                    (n, EntryBody::InputsRejected(InputsRejected { round, attempt, line, detail }))
                }
                Step::Failed(n, build) => {
                    let RoundResult::Failed(failed) = result(2) else { unreachable!() };
                    let failure = if build { RecordFailure::Build(failed) } else { RecordFailure::Engine };
                    (n, EntryBody::InputsFailed(InputsFailed { round, attempt, failure, detail: String::new() }))
                }
                Step::Timeout(n, stage) => (n, EntryBody::Timeout(Timeout { round, attempt, stage })),
                Step::Revoke(n) => {
                    let serial = net.state.image(&sha("image")).map_or(1, |image| image.serial + 1);
                    let allowed = !net.state.is_image_approved(&sha("image"));
                    let image = ImageProposal { image: sha("image"), name: "jdk".into(), serial, allowed };
                    (n, EntryBody::ImageProposal(image))
                }
                Step::Committee(n, size) => {
                    let epoch = net.state.committee().epoch + 1;
                    let authorities = (0..size).map(authority).collect();
                    (n, EntryBody::AuthorityChange(AuthorityChange { epoch, authorities }))
                }
            };
            let entry = net.sign(n, body);
            let _ = net.apply(&entry);
            let now = net.state.verdict(&release()).map(|verdict| verdict.state.strength());
            prop_assert!(now >= strongest);
            strongest = now;
            prop_assert!(net.state.open_rounds().count() <= 1);
        }
        let mut replay = replayed_from;
        let mut leaves = Vec::new();
        for leaf in &net.leaves[start..] {
            if let Leaf::Entry(entry) = leaf {
                leaves.extend(replay.apply(entry).unwrap().leaves);
            }
        }
        prop_assert_eq!(&leaves[..], &net.leaves[start..]);
        prop_assert!(replay == net.state);
    }
}
