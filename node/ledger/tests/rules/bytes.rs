//! Canonical bytes: any changed byte of a signed entry is refused, and nothing read from outside panics.

use proptest::prelude::*;
use pyrsia_ledger::*;

use crate::harness::*;

/// One entry of each kind.
pub fn samples() -> Vec<(&'static str, EntryBody)> {
    let net = Net::new(4);
    let round = upstream_request().round_key();
    let RoundResult::Failed(failure) = failed(FailureKind::Compilation) else { unreachable!() };
    let detail = String::from("cannot find symbol");
    let native = net.native_request();
    let grant = NamespaceGrant {
        group: "org.acme".parse().unwrap(),
        serial: 1,
        repositories: vec![REPOSITORY.parse().unwrap()],
        publishers: vec![publisher().public()],
        native: true,
        upstream_source: false,
    };
    vec![
        ("build-request-native", EntryBody::BuildRequest(native)),
        ("build-request-upstream", EntryBody::BuildRequest(upstream_request())),
        (
            "inputs",
            EntryBody::Inputs(Inputs {
                round,
                attempt: 1,
                manifest_root: sha("root"),
                manifest: sha("manifest"),
                lines: 12,
                total_bytes: 3456,
            }),
        ),
        (
            "inputs-failed",
            EntryBody::InputsFailed(InputsFailed {
                round,
                attempt: 0,
                failure: RecordFailure::Build(failure),
                detail: detail.clone(),
            }),
        ),
        (
            "inputs-rejected",
            EntryBody::InputsRejected(InputsRejected { round, attempt: 0, line: "central a/b".into(), detail }),
        ),
        ("commitment", EntryBody::Commitment(Commitment { round, attempt: 0, hash: sha("commitment") })),
        (
            "attestation",
            EntryBody::Attestation(Attestation { round, attempt: 0, salt: [5; 32], result: equivalent("raw") }),
        ),
        ("timeout", EntryBody::Timeout(Timeout { round, attempt: 0, stage: RoundStage::Commit })),
        ("approval", EntryBody::Approval(Approval { subject: Subject::Specification(sha("free")) })),
        ("namespace", EntryBody::NamespaceGrant(grant)),
        ("image", EntryBody::ImageProposal(ImageProposal::allow(sha("image"), "jdk 17"))),
        ("withdrawal", EntryBody::Withdrawal(Withdrawal { coordinates: release(), round, reason: "wrong tag".into() })),
        (
            "block",
            EntryBody::Block(ReleaseBlock {
                coordinates: release(),
                blocked: true,
                serial: 1,
                reason: "malware".into(),
            }),
        ),
        (
            "authority-change",
            EntryBody::AuthorityChange(AuthorityChange { epoch: 1, authorities: vec![authority(0), authority(1)] }),
        ),
        ("rules", EntryBody::RulesChange(RulesChange { rules: 2 })),
    ]
}

/// Decoded and verified, as a replica does.
fn accept(bytes: &[u8], network: &NetworkId) -> Option<SignedEntry> {
    SignedEntry::from_bytes(bytes).ok().filter(|entry| entry.verify(network))
}

#[test]
fn any_changed_byte_of_any_entry_is_refused() {
    let net = Net::new(4);
    for (name, body) in samples() {
        let entry = net.sign(0, body);
        let bytes = entry.to_bytes();
        assert_eq!(accept(&bytes, &net.network()).as_ref(), Some(&entry), "{name}");
        for position in 0..bytes.len() {
            for change in [0x01, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[position] ^= change;
                assert_eq!(accept(&changed, &net.network()), None, "{name}: byte {position}");
            }
        }
        for cut in 0..bytes.len() {
            assert!(SignedEntry::from_bytes(&bytes[..cut]).is_err(), "{name}: cut at {cut}");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(SignedEntry::from_bytes(&longer).is_err());
    }
}

#[test]
fn entries_survive_their_json() {
    for (name, body) in samples() {
        let json = serde_json::to_string(&body).unwrap();
        assert_eq!(serde_json::from_str::<EntryBody>(&json).unwrap(), body, "{name}: {json}");
    }
}

#[test]
fn limits_of_content() {
    let net = Net::new(1);
    let refused = |body: EntryBody| SignedEntry::sign(body, &net.network(), &key(0)).unwrap_err();
    let request = upstream_request();
    let with = |change: &dyn Fn(&mut BuildRequest)| {
        let mut request = request.clone();
        change(&mut request);
        EntryBody::BuildRequest(request)
    };
    for body in [
        with(&|r| r.coordinates.clear()),
        with(&|r| r.coordinates.push(release())),
        with(&|r| r.coordinates = vec!["org.acme:lib:1.0-SNAPSHOT".parse().unwrap()]),
        with(&|r| r.coordinates.insert(0, "org.acme:zlib:1.0".parse().unwrap())),
        with(&|r| r.tag = Some(String::new())),
        with(&|r| r.tag = Some("v\u{1b}[31m".into())),
        with(&|r| r.tag = Some("x".repeat(256))),
        with(&|r| r.comparator = 0),
        with(&|r| r.mode = Mode::Native),
        with(&|r| r.sign_as_publisher(&net.network(), &publisher())),
        EntryBody::Block(ReleaseBlock { coordinates: release(), blocked: true, serial: 1, reason: "x".repeat(513) }),
        EntryBody::AuthorityChange(AuthorityChange { epoch: 1, authorities: vec![] }),
    ] {
        refused(body);
    }
    let round = request.round_key();
    let attest = |result| EntryBody::Attestation(Attestation { round, attempt: 0, salt: [0; 32], result });
    let jar = "lib-1.0.jar";
    for file in [
        file("../lib-1.0.jar", Outcome::Identical, Some("a"), Some("a")),
        file("other-1.0.jar", Outcome::Identical, Some("a"), Some("a")),
        file("lib-1.0", Outcome::Identical, Some("a"), Some("a")),
        file("lib-1.0.jar.sha1", Outcome::Identical, Some("a"), Some("a")),
        file(jar, Outcome::Identical, Some("a"), Some("b")),
        file(jar, Outcome::Identical, None, Some("b")),
        file(jar, Outcome::Equivalent, Some("a"), Some("a")),
        file(jar, Outcome::Different, Some("a"), Some("a")),
        file(jar, Outcome::NotBuilt, Some("a"), Some("b")),
        file(jar, Outcome::Extra, Some("a"), Some("b")),
        file(jar, Outcome::Native, None, None),
    ] {
        refused(attest(built(vec![file])));
    }
    let twice = file(jar, Outcome::Native, None, Some("a"));
    refused(attest(built(vec![twice.clone(), twice])));
    let many = (0..256).map(|n| file(&format!("lib-1.0-{n:03}.jar"), Outcome::Native, None, Some("a"))).collect();
    assert!(matches!(refused(attest(built(many))), EntryError::TooLong { .. }));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = SignedEntry::from_bytes(&bytes);
        let _ = Leaf::from_bytes(&bytes);
        let _ = Block::from_bytes(&bytes);
        let text = String::from_utf8_lossy(&bytes);
        let _ = Receipt::parse(&text);
        let _ = text.parse::<Certificate>();
        let _ = text.parse::<Checkpoint>();
        let _ = Cosignature::parse_line(&text);
    }

    /// Bytes that begin as an entry does: deeper into the decoder than random ones.
    #[test]
    fn no_spliced_bytes_panic(which in 0usize..15, at in any::<prop::sample::Index>(), tail in any::<[u8; 12]>()) {
        let net = Net::new(1);
        let (_, body) = samples().swap_remove(which);
        let mut bytes = net.sign(0, body).to_bytes();
        let at = at.index(bytes.len());
        for (byte, new) in bytes[at..].iter_mut().zip(tail) {
            *byte = new;
        }
        if let Ok(entry) = SignedEntry::from_bytes(&bytes) {
            prop_assert_eq!(entry.to_bytes(), bytes);
        }
    }
}
