use std::time::Duration;

use pyrsia_digest::Sha256;
use pyrsia_ledger::{Mode, RoundState, Stage, VerdictState};

use crate::fixture::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_authorities_agree_from_a_wish_to_a_verdict() {
    let net = Net::of(4).await;
    let intake = net.nodes[0].intake();
    // The own image has one approval, this node's: the request has to wait.
    intake.start("b1".to_owned(), None, submission()).unwrap();
    wait_for(&net.nodes[0], "b1", "waits for the approval of other authorities").await;
    assert!(net.nodes[0].state().rounds().next().is_none());

    // Each node approves what it has made; nobody says it twice.
    for node in &net.nodes {
        node.intake().approve_own_images().await.unwrap();
    }
    // Then it is made, and as long as nobody works nothing else is said.
    let requested = |state: &pyrsia_ledger::State| state.rounds().next().map(|round| (round.key, state.log_size()));
    let (round, size) = net.nodes[0].until("no round", requested).await;
    assert!(net.nodes[0].state().is_image_approved(&image()));
    net.nodes[3].until("behind", |state| (state.log_size() >= size).then_some(())).await;
    for node in &net.nodes {
        node.intake().approve_own_images().await.unwrap();
    }
    assert_eq!(net.nodes[0].state().log_size(), size);

    // Upstream had published fewer versions of a dependency when some of the nodes looked, and only the first node has
    // the specification.
    for (index, node) in net.nodes.iter().enumerate() {
        node.work(Script { versions: 3 + index % 2, ..Script::default() }, patient());
    }
    let mut ends = Vec::new();
    for node in &net.nodes {
        let closed = node.closed(round).await;
        ends.push((closed.stage, closed.attempt, node.verdict(RELEASE).state));
    }
    // A recorder with the longer list is contradicted by those with the shorter one, and the next turn works.
    let identical = Stage::Closed(RoundState::Decided(VerdictState::Identical));
    assert!(ends.iter().all(|end| (end.0, end.2) == (identical, VerdictState::Identical) && end.1 <= 1), "{ends:?}");
    for node in &net.nodes {
        let inputs = node.closed(round).await.inputs.unwrap();
        assert!(node.blobs.has(&inputs.manifest), "everybody holds the manifest");
        assert!(node.blobs.has(&Sha256::of(b"a dependency")), "everybody holds the inputs");
        assert!(node.blobs.has(&Sha256::of(GOOD)), "everybody holds the outputs");
        let all_shown = |state: &pyrsia_ledger::State| {
            state.round(&round).filter(|round| round.attestations.len() == 4).map(|_| ())
        };
        node.until("somebody is silent", all_shown).await;
    }
    // A build that came from elsewhere has its story here too.
    let story = wait_done(&net.nodes[2], &round.to_string()[..16]).await;
    for part in [
        "4 authorities take part, 3 have to agree",
        "it is the turn of authority-",
        "has recorded 4 inputs",
        "have committed",
        "shows its result",
        "org.acme:lib:1.0 identical",
    ] {
        assert!(story.contains(part), "no `{part}` in\n{story}");
    }
    wait_done(&net.nodes[0], "b1").await;
}

fn patient() -> pyrsia_rebuilds::Patience {
    pyrsia_rebuilds::Patience { record_s: 60, commit_s: 60, reveal_s: 60, ..short() }
}

async fn wait_for(node: &Node, id: &str, part: &str) {
    for _ in 0..600 {
        if node.story(id).contains(part) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("no `{part}` in\n{}", node.story(id));
}

async fn wait_done(node: &Node, id: &str) -> String {
    for _ in 0..600 {
        if node.board.find(id).is_some_and(|build| build.done) {
            return node.story(id);
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{id} does not end:\n{}", node.board.find(id).map(|build| node.story(&build.id)).unwrap_or_default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_that_does_not_come_out_equal_is_not_approved() {
    let net = Net::of(4).await;
    let spoiled = net.nodes[0].intake_whose_image(Err("usr/bin/javac is another file".to_owned()));
    let refusal = spoiled.approve_own_images().await.unwrap_err();
    assert!(refusal.contains("javac"), "{refusal}");
    assert_eq!(net.nodes[0].state().pending().count(), 0, "nothing was said");
    net.nodes[0].intake().approve_own_images().await.unwrap();
    net.nodes[0].until("no proposal", |state| (state.pending().count() == 1).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_liar_is_outvoted_and_named() {
    let net = Net::of(4).await;
    let (round, recorder) = net.open(Mode::Native).await;
    let liar = (recorder + 1) % 4;
    for (index, node) in net.nodes.iter().enumerate() {
        node.work(if index == liar { makes(b"a back door") } else { Script::default() }, patient());
    }
    let shown =
        |state: &pyrsia_ledger::State| state.round(&round).filter(|round| round.attestations.len() == 4).cloned();
    let closed = net.nodes[0].until("no result of the liar", shown).await;
    assert_eq!(closed.stage, Stage::Closed(RoundState::Decided(VerdictState::Published)));
    let verdict = net.nodes[0].verdict(NATIVE);
    let jar = verdict.file("lib-1.0.jar").unwrap();
    assert_eq!((jar.state, jar.sha256), (VerdictState::Published, Some(Sha256::of(GOOD))));
    // In the verdict if it was shown before the third honest result, in the log in any case.
    let me = net.nodes[liar].me();
    assert!(!jar.agreed_by.contains(&me));
    let shown = &closed.attestations[&me];
    assert!(shown.after_close || jar.dissent == [(me, Some(Sha256::of(b"a back door")))]);
    let id = round.to_string()[..16].to_owned();
    let story = wait_done(&net.nodes[recorder], &id).await;
    assert!(story.contains(&format!("authority-{liar}")), "{story}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn builds_that_differ_are_a_dispute_with_every_digest_on_record() {
    let net = Net::of(4).await;
    let (round, _) = net.open(Mode::Native).await;
    let jars: Vec<Vec<u8>> = (0..4).map(|index| format!("built at noon plus {}", index / 2).into_bytes()).collect();
    for (node, jar) in net.nodes.iter().zip(&jars) {
        node.work(makes(jar), patient());
    }
    let closed = net.nodes[3].closed(round).await;
    assert_eq!(closed.stage, Stage::Closed(RoundState::Decided(VerdictState::Disputed)));
    let verdict = net.nodes[3].verdict(NATIVE);
    let jar = verdict.file("lib-1.0.jar").unwrap();
    assert_eq!((jar.state, jar.sha256), (VerdictState::Disputed, None));
    let mut expected: Vec<_> =
        net.nodes.iter().zip(&jars).map(|(node, jar)| (node.me(), Some(Sha256::of(jar)))).collect();
    expected.sort();
    let mut dissent = jar.dissent.clone();
    dissent.sort();
    assert_eq!(dissent, expected);
    assert_eq!(verdict.file("lib-1.0.pom").unwrap().state, VerdictState::Published);
    let story = wait_done(&net.nodes[3], &round.to_string()[..16]).await;
    for (index, jar) in jars.iter().enumerate() {
        let line = format!("authority-{index} found for lib-1.0.jar: {}", Sha256::of(jar));
        assert!(story.contains(&line), "no `{line}` in\n{story}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planted_input_passes_the_turn_on() {
    let net = Net::of(4).await;
    let (round, recorder) = net.open(Mode::Upstream).await;
    for (index, node) in net.nodes.iter().enumerate() {
        let plant = (index == recorder).then(|| b"a poisoned dependency".to_vec());
        node.work(Script { plant, ..Script::default() }, patient());
    }
    let closed = net.nodes[0].closed(round).await;
    assert_eq!((closed.attempt, net.nodes[0].verdict(RELEASE).state), (1, VerdictState::Identical));
    let honest = &net.nodes[(recorder + 1) % 4];
    assert!(honest.blobs.has(&Sha256::of(b"a dependency")));
    let story = wait_done(honest, &round.to_string()[..16]).await;
    assert!(story.contains("own sources contradict the recorded inputs"), "{story}");
    assert!(story.contains(DEP), "{story}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_recorder_is_passed_over_and_one_that_joins_late_finds_the_verdict() {
    let mut net = Net::of(3).await;
    let (round, recorder) = net.open(Mode::Upstream).await;
    assert_eq!(recorder, 3, "it is the turn of the one that has not started");
    net.nodes.iter().for_each(|node| node.work(Script::default(), short()));
    let closed = net.nodes[0].closed(round).await;
    assert_eq!((closed.attempt, closed.attestations.len()), (1, 3));
    let story = wait_done(&net.nodes[1], &round.to_string()[..16]).await;
    assert!(story.contains("no longer waits for the recorder") && story.contains("(2 of 3)"), "{story}");
    net.join().await;
    let late = &net.nodes[3];
    late.work(Script::default(), short());
    assert_eq!(late.closed(round).await.stage, Stage::Closed(RoundState::Decided(VerdictState::Identical)));
    assert_eq!(late.verdict(RELEASE).state, VerdictState::Identical);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_builder_still_shows_what_it_found() {
    let net = Net::of(4).await;
    let (round, recorder) = net.open(Mode::Upstream).await;
    let slow = (recorder + 1) % 4;
    for (index, node) in net.nodes.iter().enumerate() {
        let takes = if index == slow { Duration::from_secs(7) } else { Duration::ZERO };
        node.work(Script { takes, ..Script::default() }, short());
    }
    let closed = net.nodes[recorder].closed(round).await;
    assert!(!closed.attestations.contains_key(&net.nodes[slow].me()));
    let me = net.nodes[slow].me();
    let shown = |state: &pyrsia_ledger::State| state.round(&round)?.attestations.get(&me).cloned();
    let late = net.nodes[recorder].until("the slow one says nothing", shown).await;
    assert!(late.after_close && late.late);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorder_without_an_engine_says_so_in_its_turn() {
    let net = Net::of(4).await;
    let (round, recorder) = net.open(Mode::Upstream).await;
    for (index, node) in net.nodes.iter().enumerate() {
        let unable = (index == recorder).then(|| "no container engine".to_owned());
        // Long enough that no clock passes the turn on.
        let patience = pyrsia_rebuilds::Patience { record_s: 60, ..short() };
        node.work(Script { unable, ..Script::default() }, patience);
    }
    let closed = net.nodes[0].closed(round).await;
    assert_eq!((closed.attempt, net.nodes[0].verdict(RELEASE).state), (1, VerdictState::Identical));
    assert!(closed.record_failures.contains_key(&net.nodes[recorder].me()));
    assert_eq!(closed.attestations.len(), 3, "without an engine it has nothing to show");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abandoned_round_leaves_nothing_behind() {
    let net = Net::of(4).await;
    let (round, recorder) = net.open(Mode::Upstream).await;
    for node in &net.nodes {
        let unable = Some("no container engine".to_owned());
        node.work(Script { unable, ..Script::default() }, pyrsia_rebuilds::Patience { tries: 1, ..patient() });
    }
    let closed = net.nodes[0].closed(round).await;
    assert_eq!((closed.stage, closed.record_failures.len()), (Stage::Closed(RoundState::Abandoned), 4));
    let story = wait_done(&net.nodes[1], &round.to_string()[..16]).await;
    assert!(story.contains("could not record"), "{story}");
    let first = &net.nodes[recorder];
    for _ in 0..200 {
        if first.entries.saying("recorded", &round, 0).unwrap().is_none() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("what the recorder had to say is still kept");
}
