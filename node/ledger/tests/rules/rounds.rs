//! Rounds: turns, closing, counting, late results, evidence.

use pyrsia_ledger::*;

use crate::harness::*;

#[test]
fn a_network_of_one_decides_alone_and_says_so() {
    let mut net = Net::new(1);
    let round = net.run(&upstream_request(), &[identical()]);
    assert_eq!(net.stage(round), Stage::Closed(RoundState::Decided(VerdictState::Identical)));
    let verdict = net.verdict();
    assert_eq!((verdict.threshold, verdict.committee_size), (1, 1));
    assert!(verdict.is_self_verified());
    assert_eq!(verdict.file("lib-1.0.jar").unwrap().sha256, Some(sha("jar")));
    let path = "org/acme/lib/1.0/lib-1.0.jar".parse().unwrap();
    assert_eq!(net.state.file_verdict(&path).unwrap().state, VerdictState::Identical);
}

#[test]
fn states_for_every_mixture_of_results() {
    use VerdictState::*;
    let n4: [(&str, [RoundResult; 4], VerdictState); 9] = [
        ("all identical", [identical(), identical(), identical(), identical()], Identical),
        ("one liar", [identical(), identical(), identical(), different("x")], Identical),
        (
            "raw bytes differ, value agrees",
            [equivalent("a"), equivalent("b"), equivalent("c"), identical()],
            Equivalent,
        ),
        ("different, raw bytes differ", [different("a"), different("b"), different("c"), different("d")], Different),
        ("two against two", [identical(), identical(), different("a"), different("a")], Disputed),
        ("all fail alike", std::array::from_fn(|_| failed(FailureKind::Tests)), Failed),
        (
            "three fail alike",
            [failed(FailureKind::Tests), identical(), failed(FailureKind::Tests), failed(FailureKind::Tests)],
            Failed,
        ),
        (
            "they fail differently",
            [
                failed(FailureKind::Tests),
                failed(FailureKind::Compilation),
                failed(FailureKind::Tests),
                failed(FailureKind::Compilation),
            ],
            Disputed,
        ),
        ("one failure among identical", [identical(), failed(FailureKind::Tests), identical(), identical()], Identical),
    ];
    for (what, results, expected) in n4 {
        let mut net = Net::new(4);
        let round = net.run(&upstream_request(), &results);
        assert_eq!(net.stage(round), Stage::Closed(RoundState::Decided(expected)), "{what}");
        assert_eq!(net.verdict().state, expected, "{what}");
        assert!(!net.verdict().is_self_verified());
    }
}

#[test]
fn a_native_release_needs_the_same_bytes() {
    for (jars, expected, served) in [
        (["a", "a", "a", "b"], VerdictState::Published, Some(sha("a"))),
        (["a", "b", "a", "b"], VerdictState::Disputed, None),
    ] {
        let mut net = Net::new(4);
        net.grant("org.acme", 1, true, false);
        let request = net.native_request();
        net.run(&request, &jars.map(native));
        assert_eq!(net.verdict().state, expected);
        let jar = net.verdict().file("lib-1.0.jar").unwrap();
        assert_eq!(jar.sha256, served);
        assert_eq!(net.state.final_digest(&release(), "lib-1.0.jar"), served);
        // The POM was agreed on in both.
        assert_eq!(net.verdict().file("lib-1.0.pom").unwrap().state, VerdictState::Published);
    }
}

#[test]
fn every_dissenter_is_on_record() {
    let mut net = Net::new(4);
    net.run(&upstream_request(), &[different("a"), different("b"), identical(), identical()]);
    let jar = net.verdict().file("lib-1.0.jar").unwrap();
    assert_eq!((jar.state, jar.outcome), (VerdictState::Disputed, None));
    assert!(jar.agreed_by.is_empty());
    let mut digests: Vec<_> = jar.dissent.iter().map(|(_, digest)| *digest).collect();
    digests.sort();
    let mut expected = vec![Some(sha("a")), Some(sha("b")), Some(sha("jar")), Some(sha("jar"))];
    expected.sort();
    assert_eq!(digests, expected);
    // All four agree on what upstream has.
    assert_eq!(jar.sha256, Some(sha("jar")));
}

#[test]
fn secondary_files_do_not_decide_the_headline() {
    let sources = |outcome, digest| {
        built(vec![
            file("lib-1.0.pom", Outcome::Identical, Some("pom"), Some("pom")),
            file("lib-1.0.jar", Outcome::Identical, Some("jar"), Some("jar")),
            file("lib-1.0-sources.jar", outcome, Some("sources"), digest),
            file("lib-1.0.buildinfo", Outcome::Extra, None, Some("info")),
        ])
    };
    let mut net = Net::new(1);
    net.run(&upstream_request(), &[sources(Outcome::NotBuilt, None)]);
    assert_eq!(net.verdict().state, VerdictState::Identical);
    let file = net.verdict().file("lib-1.0-sources.jar").unwrap();
    assert_eq!((file.state, file.outcome), (VerdictState::Different, Some(Outcome::NotBuilt)));
    assert_eq!(net.verdict().file("lib-1.0.buildinfo").unwrap().sha256, None);
}

#[test]
fn a_file_that_only_a_liar_lists_is_not_in_the_verdict() {
    let mut net = Net::new(4);
    let liar = built(vec![
        file("lib-1.0.pom", Outcome::Identical, Some("pom"), Some("pom")),
        file("lib-1.0.jar", Outcome::Identical, Some("jar"), Some("jar")),
        file("lib-1.0-evil.jar", Outcome::Identical, Some("evil"), Some("evil")),
    ]);
    net.run(&upstream_request(), &[liar, identical(), identical(), identical()]);
    assert_eq!(net.verdict().files.len(), 2);
    assert_eq!(net.verdict().state, VerdictState::Identical);
}

#[test]
fn the_recorder_s_turn_goes_round() {
    let mut net = Net::new(4);
    let round = net.request(2, &upstream_request());
    let index = net.round(&round).index as usize;
    for attempt in 0..3 {
        let recorder = net.recorder(&round);
        assert_eq!(recorder, (index + attempt) % 4);
        let other = (recorder + 1) % 4;
        assert!(matches!(net.say(other, net.inputs(round)), Err(Refusal::NotRecorder { .. })));
        match attempt {
            0 => net.time_out(round, RoundStage::Record),
            1 => {
                let failure =
                    InputsFailed { round, attempt: 1, failure: RecordFailure::Engine, detail: "out of memory".into() };
                net.say(recorder, EntryBody::InputsFailed(failure)).unwrap();
            }
            _ => {
                net.record(round);
                let reject = |attempt| {
                    EntryBody::InputsRejected(InputsRejected {
                        round,
                        attempt,
                        line: "central a/b/1/b-1.jar 200".into(),
                        detail: String::new(),
                    })
                };
                // One liar alone cannot reject a manifest.
                net.say(0, reject(2)).unwrap();
                assert_eq!(net.say(0, reject(2)), Err(Refusal::Duplicate));
                assert_eq!(net.stage(round), Stage::Committing);
                net.say(1, reject(2)).unwrap();
            }
        }
        assert_eq!(net.round(&round).attempt as usize, attempt + 1);
        assert_eq!(net.stage(round), Stage::Recording);
    }
    assert!(matches!(net.timeout_of(round, 0), Err(Refusal::Attempt { named: 0, present: 3 })));
    // The last of four attempts.
    net.time_out(round, RoundStage::Record);
    assert_eq!(net.stage(round), Stage::Closed(RoundState::Abandoned));
    assert!(net.state.verdict(&release()).is_none());
}

impl Net {
    fn timeout_of(&mut self, round: RoundKey, attempt: u32) -> Result<Vec<Leaf>, Refusal> {
        self.say(0, EntryBody::Timeout(Timeout { round, attempt, stage: RoundStage::Record }))
    }
}

#[test]
fn only_the_first_inputs_count() {
    let mut net = Net::new(4);
    let round = net.request(0, &upstream_request());
    let recorder = net.recorder(&round);
    net.record(round);
    assert_eq!(net.say(recorder, net.inputs(round)), Err(Refusal::Stage));
}

#[test]
fn fewer_than_a_quorum_of_timeouts_move_nothing() {
    let mut net = Net::new(4);
    let round = net.request(0, &upstream_request());
    for n in 0..2 {
        net.timeout(n, round, RoundStage::Record).unwrap();
    }
    assert_eq!(net.timeout(0, round, RoundStage::Record), Err(Refusal::Duplicate));
    assert_eq!(net.timeout(2, round, RoundStage::Commit), Err(Refusal::Stage));
    assert_eq!(net.round(&round).attempt, 0);
}

#[test]
fn nobody_reveals_before_commitments_close() {
    let mut net = Net::new(4);
    let round = net.request(0, &upstream_request());
    net.record(round);
    for n in 0..3 {
        net.commit(n, round, &identical()).unwrap();
        assert_eq!(net.reveal(n, round, &identical()), Err(Refusal::Stage));
    }
    assert_eq!(net.commit(0, round, &identical()), Err(Refusal::Duplicate));
    net.time_out(round, RoundStage::Commit);
    assert_eq!(net.stage(round), Stage::Revealing);
    assert_eq!(net.commit(3, round, &identical()), Err(Refusal::Stage));
}

#[test]
fn a_result_must_be_the_committed_one() {
    let mut net = Net::new(4);
    let round = net.request(0, &upstream_request());
    net.record(round);
    for n in 0..4 {
        net.commit(n, round, &identical()).unwrap();
    }
    assert_eq!(net.reveal(0, round, &different("x")), Err(Refusal::CommitmentMismatch));
    let EntryBody::Attestation(mut other_salt) = net.attestation(0, round, &identical()) else { unreachable!() };
    other_salt.salt = [99; 32];
    assert_eq!(net.say(0, EntryBody::Attestation(other_salt)), Err(Refusal::CommitmentMismatch));
    // A copied commitment is of no use: the authority is part of the hash.
    net.reveal(0, round, &identical()).unwrap();
}

#[test]
fn an_early_verdict_once_nothing_can_change_it() {
    let mut net = Net::new(4);
    let round = net.request(0, &upstream_request());
    net.record(round);
    for n in 0..4 {
        net.commit(n, round, &if n == 3 { different("x") } else { identical() }).unwrap();
    }
    assert!(net.reveal(0, round, &identical()).unwrap().is_empty());
    assert!(net.reveal(1, round, &identical()).unwrap().is_empty());
    assert_eq!(net.reveal(2, round, &identical()).unwrap().len(), 1);
    assert_eq!(net.stage(round), Stage::Closed(RoundState::Decided(VerdictState::Identical)));
    // The fourth is put on record and changes nothing.
    let verdict = net.verdict().clone();
    assert!(net.reveal(3, round, &different("x")).unwrap().is_empty());
    assert_eq!(net.verdict(), &verdict);
    assert!(net.round(&round).attestations[&key(3).public()].after_close);
    assert_eq!(net.reveal(3, round, &different("x")), Err(Refusal::Duplicate));
}

#[test]
fn no_early_verdict_while_a_file_is_undecided() {
    let mut net = Net::new(4);
    let round = net.request(0, &upstream_request());
    net.record(round);
    let results = [identical(), identical(), different("x"), identical()];
    for (n, result) in results.iter().enumerate() {
        net.commit(n, round, result).unwrap();
    }
    for (n, result) in results.iter().enumerate().take(3) {
        assert!(net.reveal(n, round, result).unwrap().is_empty(), "{n}");
    }
    assert_eq!(net.reveal(3, round, &results[3]).unwrap().len(), 1);
    assert_eq!(net.verdict().state, VerdictState::Identical);
}

/// Commitments of `timely` members, then timeouts.
fn revealing(net: &mut Net, timely: &[(usize, RoundResult)]) -> RoundKey {
    let round = net.request(0, &upstream_request());
    net.record(round);
    for (n, result) in timely {
        net.commit(*n, round, result).unwrap();
    }
    net.time_out(round, RoundStage::Commit);
    round
}

#[test]
fn a_late_result_counts_only_beside_enough_timely_ones() {
    // f = 1: two timely equal ones let the late third one count.
    let mut net = Net::new(4);
    let round = revealing(&mut net, &[(0, identical()), (1, identical())]);
    net.reveal(0, round, &identical()).unwrap();
    net.reveal(1, round, &identical()).unwrap();
    assert_eq!(net.reveal(2, round, &identical()).unwrap().len(), 1);
    assert!(net.round(&round).attestations[&key(2).public()].late);
    assert_eq!(net.verdict().state, VerdictState::Identical);

    // One timely `identical` and two late copies of it are not a quorum.
    let mut net = Net::new(4);
    let round = revealing(&mut net, &[(0, identical()), (1, different("x"))]);
    net.reveal(0, round, &identical()).unwrap();
    net.reveal(1, round, &different("x")).unwrap();
    net.reveal(2, round, &identical()).unwrap();
    net.reveal(3, round, &identical()).unwrap();
    assert_eq!(net.verdict().state, VerdictState::Disputed);
}

#[test]
fn too_few_commitments_lose_the_attempt() {
    let mut net = Net::new(4);
    let round = revealing(&mut net, &[(0, identical())]);
    assert_eq!((net.stage(round), net.round(&round).attempt), (Stage::Recording, 1));
}

#[test]
fn silence_is_no_dispute() {
    let mut net = Net::new(4);
    let round = revealing(&mut net, &[(0, identical()), (1, different("x"))]);
    net.reveal(0, round, &identical()).unwrap();
    net.reveal(1, round, &different("x")).unwrap();
    net.time_out(round, RoundStage::Reveal);
    assert!(net.state.verdict(&release()).is_none());
    assert_eq!((net.stage(round), net.round(&round).attempt), (Stage::Recording, 1));
    // Nothing of the lost attempt can be said again.
    let EntryBody::Attestation(mut old) = net.attestation(0, round, &identical()) else { unreachable!() };
    old.attempt = 0;
    assert!(matches!(net.say(0, EntryBody::Attestation(old)), Err(Refusal::Attempt { .. })));
}

#[test]
fn two_commitments_are_evidence_and_cost_the_vote() {
    let mut net = Net::new(4);
    let round = net.request(0, &upstream_request());
    net.record(round);
    net.commit(0, round, &identical()).unwrap();
    net.commit(0, round, &different("x")).unwrap();
    let evidence = net.round(&round).equivocations[&key(0).public()].clone();
    assert_ne!(evidence.first, evidence.second);
    // Once is enough: the log cannot be filled with evidence.
    assert_eq!(net.commit(0, round, &different("y")), Err(Refusal::Duplicate));
    for n in 1..4 {
        net.commit(n, round, &identical()).unwrap();
    }
    assert_eq!(net.reveal(0, round, &identical()), Err(Refusal::Duplicate));
    for n in 1..4 {
        net.reveal(n, round, &identical()).unwrap();
    }
    assert_eq!(net.verdict().state, VerdictState::Identical);
    assert!(!net.verdict().file("lib-1.0.jar").unwrap().agreed_by.contains(&key(0).public()));
}

#[test]
fn evidence_takes_back_a_vote_that_was_shown() {
    let mut net = Net::new(4);
    let round = net.request(0, &upstream_request());
    net.record(round);
    for n in 0..4 {
        net.commit(n, round, &identical()).unwrap();
    }
    net.reveal(0, round, &identical()).unwrap();
    net.commit(0, round, &different("x")).unwrap();
    net.reveal(1, round, &identical()).unwrap();
    assert!(net.reveal(2, round, &identical()).unwrap().is_empty(), "two votes are no quorum of four");
    assert_eq!(net.reveal(3, round, &identical()).unwrap().len(), 1);
}

#[test]
fn a_build_fed_its_own_result_is_void() {
    let mut net = Net::new(4);
    let void = RoundResult::Void { reason: VoidReason::InputEqualsReference };
    let round = net.run(&upstream_request(), &[void.clone(), void.clone(), void.clone(), identical()]);
    assert_eq!(net.stage(round), Stage::Closed(RoundState::Void(VoidReason::InputEqualsReference)));
    assert!(net.state.verdict(&release()).is_none());
    // One liar alone voids nothing.
    let mut net = Net::new(4);
    net.run(&upstream_request(), &[void, identical(), identical(), identical()]);
    assert_eq!(net.verdict().state, VerdictState::Identical);
}

#[test]
fn recorders_that_see_the_build_fail_are_attestations_of_it() {
    for n in [1, 4] {
        let mut net = Net::new(n);
        let round = net.request(0, &upstream_request());
        let RoundResult::Failed(failure) = failed(FailureKind::Compilation) else { unreachable!() };
        let quorum = net.state.committee().quorum();
        for attempt in 0..quorum {
            assert!(net.state.verdict(&release()).is_none());
            let recorder = net.recorder(&round);
            let body = InputsFailed {
                round,
                attempt: attempt as u32,
                failure: RecordFailure::Build(failure.clone()),
                detail: "cannot find symbol".into(),
            };
            net.say(recorder, EntryBody::InputsFailed(body)).unwrap();
        }
        assert_eq!(net.verdict().state, VerdictState::Failed, "N = {n}");
        assert_eq!(net.verdict().inputs_root, None);
    }
}

#[test]
fn results_must_fit_the_request() {
    let mut net = Net::new(1);
    let round = net.request(0, &upstream_request());
    net.record(round);
    let mut foreign = file("lib-1.0.jar", Outcome::Identical, Some("jar"), Some("jar"));
    foreign.coordinates = "com.other:lib:1.0".parse().unwrap();
    for result in [native("a"), built(vec![foreign])] {
        let mut net = net.clone();
        net.commit(0, round, &result).unwrap();
        assert!(matches!(net.reveal(0, round, &result), Err(Refusal::Result { .. })));
    }
}

#[test]
fn a_lying_builder_is_outvoted_and_named() {
    for liar in 0..4 {
        let mut net = Net::new(4);
        net.grant("org.acme", 1, true, false);
        let round = net.request(0, &net.native_request());
        net.record(round);
        let result = |n: usize| native(if n == liar { "back door" } else { "honest" });
        for n in 0..4 {
            net.commit(n, round, &result(n)).unwrap();
        }
        // The liar is never the last: a result that comes after the verdict is in the log and not in the verdict.
        for n in [liar, (liar + 1) % 4, (liar + 2) % 4, (liar + 3) % 4] {
            net.reveal(n, round, &result(n)).unwrap();
        }
        let jar = net.verdict().file("lib-1.0.jar").unwrap();
        assert_eq!((jar.state, jar.sha256), (VerdictState::Published, Some(sha("honest"))));
        assert_eq!(jar.dissent, [(key(liar).public(), Some(sha("back door")))]);
        assert_eq!(jar.agreed_by.len(), 3);
    }
}

#[test]
fn a_commitment_holds_for_one_round_one_attempt_and_one_authority() {
    let mut net = Net::new(4);
    let other = changed(&upstream_request(), "another");
    let round = net.request(0, &upstream_request());
    net.record(round);
    let hash = |round: RoundKey, attempt: u32, by: usize| {
        commitment_hash(&net.network(), &round, attempt, &key(by).public(), &[1; 32], &identical())
    };
    let says = |attempt: u32, hash| EntryBody::Commitment(Commitment { round, attempt, hash });
    let wrong = [
        says(0, hash(other.round_key(), 0, 1)),
        says(0, hash(round, 1, 1)),
        // What another authority committed to, copied.
        says(0, hash(round, 0, 0)),
    ];
    for body in wrong {
        let mut net = net.clone();
        net.say(1, body).unwrap();
        for n in [0, 2, 3] {
            net.commit(n, round, &identical()).unwrap();
        }
        let shown = Attestation { round, attempt: 0, salt: [1; 32], result: identical() };
        assert_eq!(net.say(1, EntryBody::Attestation(shown)), Err(Refusal::CommitmentMismatch));
    }
    let right = hash(round, 0, 1);
    assert_eq!(net.say(1, says(1, right)), Err(Refusal::Attempt { named: 1, present: 0 }));
    let stranger = Commitment { round: other.round_key(), attempt: 0, hash: right };
    assert_eq!(net.say(1, EntryBody::Commitment(stranger)), Err(Refusal::UnknownRound { round: other.round_key() }));
}

#[test]
fn what_was_said_about_rejected_inputs_counts_no_more() {
    let mut net = Net::new(4);
    let round = net.request(0, &upstream_request());
    net.record(round);
    let recorder = net.recorder(&round);
    net.commit(recorder, round, &different("planted")).unwrap();
    let kept = net.attestation(recorder, round, &different("planted"));
    for n in (0..4).filter(|n| *n != recorder).take(2) {
        let body = InputsRejected { round, attempt: 0, line: "a line".into(), detail: String::new() };
        net.say(n, EntryBody::InputsRejected(body)).unwrap();
    }
    assert_eq!((net.stage(round), net.round(&round).attempt), (Stage::Recording, 1));
    assert_ne!(net.recorder(&round), recorder);
    assert!(net.round(&round).commitments.is_empty() && net.round(&round).inputs.is_none());
    assert_eq!(net.say(recorder, kept), Err(Refusal::Attempt { named: 0, present: 1 }));
    net.run_opened(round, &std::array::from_fn::<_, 4, _>(|_| identical()));
    assert_eq!(net.verdict().state, VerdictState::Identical);
}
