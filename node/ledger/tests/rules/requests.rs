//! Who may open which round, whose source counts, and what a later verdict may displace.

use maven_layout::RepoPath;
use pyrsia_ledger::*;

use crate::harness::*;

fn fork(result: RoundResult) -> RoundResult {
    let scm = Some("https://git.example/stranger/lib".parse().unwrap());
    match result {
        RoundResult::Built(built) => RoundResult::Built(BuiltResult { canonical_scm: scm, ..built }),
        RoundResult::Failed(failed) => RoundResult::Failed(FailedBuild { canonical_scm: scm, ..failed }),
        void => void,
    }
}

#[test]
fn a_native_request_needs_its_namespace() {
    let mut net = Net::new(1);
    let request = net.native_request();
    let say = |net: &mut Net, request: &BuildRequest| net.say(0, EntryBody::BuildRequest(request.clone()));
    assert!(matches!(say(&mut net, &request), Err(Refusal::Namespace { .. })));
    // The power to give an upstream release's source is not the power to publish.
    net.grant("org.acme", 1, false, true);
    assert!(matches!(say(&mut net, &request), Err(Refusal::Namespace { .. })));
    net.grant("org.acme", 2, true, false);
    let mut stranger = request.clone();
    stranger.sign_as_publisher(&net.network(), &PublisherKey::from_seed(&[9; 32]));
    assert!(matches!(say(&mut net, &stranger), Err(Refusal::Namespace { .. })));
    let mut elsewhere = request.clone();
    elsewhere.repository = "https://git.example/stranger/lib".parse().unwrap();
    elsewhere.sign_as_publisher(&net.network(), &publisher());
    assert!(matches!(say(&mut net, &elsewhere), Err(Refusal::Namespace { .. })));
    let moved = BuildRequest { tag: Some("v2.0".into()), ..request.clone() };
    assert_eq!(say(&mut net, &moved), Err(Refusal::Publisher));
    let mut foreign = request.clone();
    foreign.sign_as_publisher(&Net::new(4).network(), &publisher());
    assert_eq!(say(&mut net, &foreign), Err(Refusal::Publisher));
    // What is native is never compared with an upstream.
    assert!(matches!(say(&mut net, &upstream_request()), Err(Refusal::Namespace { .. })));
    assert_eq!(say(&mut net, &request), Ok(vec![]));
}

#[test]
fn the_longest_namespace_wins_on_a_dot_boundary() {
    let mut net = Net::new(1);
    net.grant("org.acme", 1, true, false);
    net.grant("org.acme.open", 1, false, true);
    let native = |group: &str| net.state.is_native(&group.parse().unwrap());
    assert!(native("org.acme") && native("org.acme.sub.deep"));
    assert!(!native("org.acme.open") && !native("org.acme.open.x"));
    assert!(!native("org.acmes") && !native("org"));
}

#[test]
fn a_stranger_s_fork_neither_proves_nor_discredits() {
    for result in [identical(), different("x"), failed(FailureKind::Compilation)] {
        let mut net = Net::new(4);
        let round = net.run(&upstream_request(), &[(); 4].map(|()| fork(result.clone())));
        assert_eq!(net.stage(round), Stage::Closed(RoundState::NotEligible));
        assert!(net.state.verdict(&release()).is_none());
    }
    // A grant says where the source lies, whatever the POM says.
    let mut net = Net::new(4);
    net.grant("org.acme", 1, false, true);
    net.run(&upstream_request(), &[(); 4].map(|()| fork(identical())));
    assert_eq!(net.verdict().state, VerdictState::Identical);
}

#[test]
fn a_forged_failure_at_recording_counts_for_nothing() {
    let mut net = Net::new(1);
    let round = net.request(0, &upstream_request());
    let RoundResult::Failed(failure) = fork(failed(FailureKind::ToolExit)) else { unreachable!() };
    let body = InputsFailed { round, attempt: 0, failure: RecordFailure::Build(failure), detail: String::new() };
    net.say(0, EntryBody::InputsFailed(body)).unwrap();
    assert!(net.state.verdict(&release()).is_none());
}

#[test]
fn mirrored_sources_count_only_if_the_constants_say_so() {
    for (allowed, expected) in [(false, None), (true, Some(VerdictState::Identical))] {
        let mut genesis = genesis(4);
        genesis.constants.mirrored_sources_count = allowed;
        let mut net = Net::with(genesis);
        let RoundResult::Built(built) = identical() else { unreachable!() };
        let result = RoundResult::Built(BuiltResult { mirrored_source: true, ..built });
        net.run(&upstream_request(), &[(); 4].map(|()| result.clone()));
        assert_eq!(net.state.verdict(&release()).map(|verdict| verdict.state), expected);
    }
}

#[test]
fn images_need_a_quorum_even_at_the_count() {
    let mut net = Net::new(4);
    let other = BuildRequest { image: sha("other"), ..upstream_request() };
    assert_eq!(net.say(0, EntryBody::BuildRequest(other)), Err(Refusal::Image { image: sha("other") }));
    let round = net.request(0, &upstream_request());
    net.record(round);
    for n in 0..4 {
        net.commit(n, round, &identical()).unwrap();
    }
    let revoke = ImageProposal { image: sha("image"), name: "jdk".into(), serial: 2, allowed: false };
    net.approve(EntryBody::ImageProposal(revoke));
    for n in 0..3 {
        net.reveal(n, round, &identical()).unwrap();
    }
    assert_eq!(net.stage(round), Stage::Closed(RoundState::NotEligible));
    assert!(net.state.verdict(&release()).is_none());
}

#[test]
fn only_a_changed_key_opens_a_release_again() {
    let mut net = Net::new(1);
    let request = upstream_request();
    let round = net.request(0, &request);
    assert!(matches!(
        net.say(0, EntryBody::BuildRequest(changed(&request, "other"))),
        Err(Refusal::ReleaseOpen { .. })
    ));
    net.run_opened(round, &[different("x")]);
    for reopening in [0, 1] {
        let again = BuildRequest { reopening, ..request.clone() };
        assert_eq!(net.say(0, EntryBody::BuildRequest(again)), Err(Refusal::RoundOver { round }));
    }
    net.run(&changed(&request, "other"), &[identical()]);
    assert_eq!(net.verdict().state, VerdictState::Identical);
}

#[test]
fn an_abandoned_round_goes_on_where_it_was() {
    let mut net = Net::new(1);
    let request = upstream_request();
    let round = net.request(0, &request);
    for _ in 0..4 {
        net.time_out(round, RoundStage::Record);
    }
    assert_eq!(net.stage(round), Stage::Closed(RoundState::Abandoned));
    // The old request cannot be played back.
    assert_eq!(net.say(0, EntryBody::BuildRequest(request.clone())), Err(Refusal::Reopening { expected: 1 }));
    let again = BuildRequest { reopening: 1, ..request };
    assert_eq!(net.request(0, &again), round);
    assert_eq!(net.round(&round).attempt, 4);
    net.run_opened(round, &[identical()]);
    assert_eq!(net.verdict().state, VerdictState::Identical);
}

#[test]
fn a_weaker_verdict_never_displaces_a_stronger() {
    let mut net = Net::new(1);
    let order = [
        (failed(FailureKind::Tests), VerdictState::Failed, VerdictState::Failed),
        (different("a"), VerdictState::Different, VerdictState::Different),
        (failed(FailureKind::Tests), VerdictState::Failed, VerdictState::Different),
        (equivalent("a"), VerdictState::Equivalent, VerdictState::Equivalent),
        (different("b"), VerdictState::Different, VerdictState::Equivalent),
        (identical(), VerdictState::Identical, VerdictState::Identical),
        (different("c"), VerdictState::Different, VerdictState::Identical),
    ];
    for (n, (result, found, stands)) in order.into_iter().enumerate() {
        let round = net.run(&changed(&upstream_request(), &n.to_string()), &[result]);
        assert_eq!(net.stage(round), Stage::Closed(RoundState::Decided(found)), "{n}");
        assert_eq!(net.verdict().state, stands, "{n}");
    }
}

#[test]
fn each_file_keeps_its_strongest_verdict() {
    let with_sources = |jar: FileResult, sources: FileResult| {
        built(vec![file("lib-1.0.pom", Outcome::Identical, Some("pom"), Some("pom")), jar, sources])
    };
    let mut net = Net::new(1);
    let jar = "lib-1.0.jar";
    let sources = "lib-1.0-sources.jar";
    net.run(
        &changed(&upstream_request(), "1"),
        &[with_sources(
            file(jar, Outcome::Different, Some("jar"), Some("x")),
            file(sources, Outcome::Identical, Some("s"), Some("s")),
        )],
    );
    net.run(
        &changed(&upstream_request(), "2"),
        &[with_sources(
            file(jar, Outcome::Identical, Some("jar"), Some("jar")),
            file(sources, Outcome::Different, Some("s"), Some("y")),
        )],
    );
    for name in [jar, sources] {
        let path = format!("org/acme/lib/1.0/{name}").parse().unwrap();
        assert_eq!(net.state.file_verdict(&path).unwrap().state, VerdictState::Identical, "{name}");
    }
}

#[test]
fn the_first_published_digest_is_final_even_after_a_withdrawal() {
    let mut net = Net::new(1);
    net.grant("org.acme", 1, true, false);
    let signed = |net: &Net, text: &str| {
        let mut request = changed(&net.native_request(), text);
        request.sign_as_publisher(&net.network(), &publisher());
        request
    };
    let first = net.run(&signed(&net, "1"), &[native("a")]);
    assert_eq!(net.verdict().state, VerdictState::Published);
    net.run(&signed(&net, "2"), &[native("b")]);
    assert_eq!(net.verdict().file("lib-1.0.jar").unwrap().sha256, Some(sha("a")));
    net.approve(EntryBody::Withdrawal(Withdrawal { coordinates: release(), round: first, reason: "wrong tag".into() }));
    assert!(net.state.verdict(&release()).is_none());
    net.run(&signed(&net, "3"), &[native("c")]);
    assert_eq!(net.verdict().state, VerdictState::Disputed);
    assert_eq!(net.verdict().file("lib-1.0.jar").unwrap().sha256, None);
    net.run(&signed(&net, "4"), &[native("a")]);
    assert_eq!(net.verdict().state, VerdictState::Published);
}

#[test]
fn an_open_round_keeps_the_native_files_of_its_request() {
    let mut net = Net::new(1);
    let jar: RepoPath = "org/acme/lib/1.0/lib-1.0.jar".parse().unwrap();
    let other = BuildRequest { coordinates: vec!["org.other:app:1".parse().unwrap()], ..upstream_request() };
    // Before the grant.
    let early = net.request(0, &BuildRequest { specification: sha("early"), ..other.clone() });
    net.grant("org.acme", 1, true, false);
    let first = net.run(&net.native_request(), &[native("a")]);
    assert_eq!(net.state.natives().file(&jar), NativeFile::Published(sha("a")));
    let second = BuildRequest { coordinates: vec!["org.other:app:2".parse().unwrap()], ..other };
    let published = net.request(0, &second);
    net.approve(EntryBody::Withdrawal(Withdrawal { coordinates: release(), round: first, reason: "wrong tag".into() }));
    let at = |net: &Net, round: &RoundKey| net.state.round(round).unwrap().natives.file(&jar);
    assert_eq!(net.state.natives().file(&jar), NativeFile::Absent);
    assert_eq!(at(&net, &early), NativeFile::NotNative);
    assert_eq!(at(&net, &published), NativeFile::Published(sha("a")), "a withdrawal that came later changes nothing");
    assert_eq!(net.state.round(&first).unwrap().natives, Natives::default(), "a round that is over keeps nothing");
    // Lists, signatures and plugin lists of the group follow the same position.
    let kinds = |round: &RoundKey| {
        let paths =
            ["org/acme/lib/maven-metadata.xml", "org/acme/lib/1.0/lib-1.0.jar.asc", "org/acme/maven-metadata.xml"];
        paths.map(|path| net.state.round(round).unwrap().natives.file(&path.parse().unwrap()))
    };
    assert_eq!(kinds(&early), [NativeFile::NotNative, NativeFile::NotNative, NativeFile::NotNative]);
    let (group, artifact) = (release().group, release().artifact);
    let list = NativeFile::List { group, artifact, versions: vec![release().version] };
    assert_eq!(kinds(&published), [list, NativeFile::Absent, NativeFile::Absent]);
}

#[test]
fn open_rounds_of_an_authority_are_capped() {
    let mut net = Net::new(4);
    let request = |n: usize| BuildRequest {
        coordinates: vec![format!("org.acme:lib{n}:1.0").parse().unwrap()],
        ..upstream_request()
    };
    for n in 0..3 {
        net.request(0, &request(n));
    }
    assert_eq!(net.say(0, EntryBody::BuildRequest(request(3))), Err(Refusal::TooManyRounds { limit: 3 }));
    net.request(1, &request(3));
    assert_eq!(net.state.open_rounds().count(), 4);
}

#[test]
fn one_build_may_make_several_releases() {
    let mut net = Net::new(1);
    let other = "org.acme:core:1.0";
    let request = BuildRequest { coordinates: vec![other.parse().unwrap(), release()], ..upstream_request() };
    let RoundResult::Built(mut result) = identical() else { unreachable!() };
    let mut core = file("core-1.0.jar", Outcome::Different, Some("c"), Some("d"));
    core.coordinates = other.parse().unwrap();
    result.files.insert(0, core);
    let round = net.run(&request, &[RoundResult::Built(result)]);
    assert_eq!(net.stage(round), Stage::Closed(RoundState::Decided(VerdictState::Different)));
    assert_eq!(net.verdict().state, VerdictState::Identical);
    assert_eq!(net.state.verdict(&other.parse().unwrap()).unwrap().state, VerdictState::Different);
    assert_eq!(net.verdict().index, net.leaves.len() as u64 - 1);
}
