//! A network of N authorities in memory.

use maven_layout::Coordinates;
use pyrsia_digest::Sha256;
use pyrsia_ledger::*;
use pyrsia_merkle::Frontier;

pub const RELEASE: &str = "org.acme:lib:1.0";
pub const REPOSITORY: &str = "https://git.example/acme/lib";

pub fn sha(text: &str) -> Sha256 {
    Sha256::of(text.as_bytes())
}

pub fn release() -> Coordinates {
    RELEASE.parse().unwrap()
}

pub fn key(n: usize) -> AuthorityKey {
    AuthorityKey::from_seed(&[n as u8 + 1; 32])
}

pub fn publisher() -> PublisherKey {
    PublisherKey::from_seed(&[200; 32])
}

pub fn authority(n: usize) -> Authority {
    Authority {
        name: format!("authority-{n:02}"),
        authority_key: key(n).public(),
        consensus_key: ConsensusKey::from_seed(&[n as u8 + 101; 32]).public(),
    }
}

pub fn genesis(n: usize) -> Genesis {
    Genesis {
        name: "test".into(),
        nonce: [7; 32],
        authorities: (0..n).map(authority).collect(),
        constants: Constants { max_open_rounds_per_authority: 3, max_attempts: 4, ..Constants::default() },
    }
}

/// State and log, kept together as a replica would.
#[derive(Clone)]
pub struct Net {
    pub genesis: Genesis,
    pub state: State,
    pub leaves: Vec<Leaf>,
    pub frontier: Frontier,
}

impl Net {
    /// N authorities, one approved image.
    pub fn new(n: usize) -> Self {
        Self::with(genesis(n))
    }

    pub fn with(genesis: Genesis) -> Self {
        let state = State::new(&genesis).unwrap();
        let mut net = Self { genesis, state, leaves: Vec::new(), frontier: Frontier::new() };
        net.approve(EntryBody::ImageProposal(ImageProposal::allow(sha("image"), "jdk")));
        net
    }

    pub fn network(&self) -> NetworkId {
        self.genesis.network_id()
    }

    /// Applies an entry; checks that a refusal changes nothing and that indexes are right.
    pub fn apply(&mut self, entry: &SignedEntry) -> Result<Vec<Leaf>, Refusal> {
        let before = self.state.clone();
        match self.state.apply(entry) {
            Ok(applied) => {
                assert_eq!(applied.first_index, self.leaves.len() as u64);
                assert_eq!(applied.leaves[0], Leaf::Entry(entry.clone()));
                for leaf in &applied.leaves {
                    let index = self.leaves.len() as u64;
                    match leaf {
                        Leaf::Verdict(verdict) => assert_eq!(verdict.index, index),
                        Leaf::Committee(committee) => assert_eq!(committee.index, index),
                        Leaf::Entry(_) => {}
                    }
                    assert_eq!(Leaf::from_bytes(&leaf.to_bytes()).as_ref(), Ok(leaf));
                    self.frontier.push(leaf.hash(), &mut |_, _, _| {});
                    self.leaves.push(leaf.clone());
                }
                assert_eq!(self.state.log_size(), self.leaves.len() as u64);
                Ok(applied.leaves[1..].to_vec())
            }
            Err(refusal) => {
                assert!(self.state == before, "a refusal changed the state: {refusal}");
                Err(refusal)
            }
        }
    }

    pub fn sign(&self, n: usize, body: EntryBody) -> SignedEntry {
        SignedEntry::sign(body, &self.network(), &key(n)).unwrap()
    }

    pub fn say(&mut self, n: usize, body: EntryBody) -> Result<Vec<Leaf>, Refusal> {
        let entry = self.sign(n, body);
        self.apply(&entry)
    }

    /// A proposal with as many approvals as it needs.
    pub fn approve(&mut self, body: EntryBody) -> Vec<Leaf> {
        let id = body.proposal_id().unwrap();
        let keys: Vec<_> = self.state.committee().authorities.iter().map(|a| a.authority_key).collect();
        let members: Vec<usize> = keys.iter().map(|k| (0..64).find(|n| key(*n).public() == *k).unwrap()).collect();
        let quorum = self.state.committee().quorum();
        let mut derived = self.say(members[0], body).unwrap();
        for n in &members[1..quorum] {
            derived = self.say(*n, EntryBody::Approval(Approval { subject: Subject::Proposal(id) })).unwrap();
        }
        derived
    }

    pub fn grant(&mut self, group: &str, serial: u32, native: bool, upstream_source: bool) {
        self.approve(EntryBody::NamespaceGrant(NamespaceGrant {
            group: group.parse().unwrap(),
            serial,
            repositories: vec![REPOSITORY.parse().unwrap()],
            publishers: if native { vec![publisher().public()] } else { vec![] },
            native,
            upstream_source,
        }));
    }

    pub fn native_request(&self) -> BuildRequest {
        let mut request = BuildRequest { mode: Mode::Native, tag: Some("v1.0".into()), ..upstream_request() };
        request.sign_as_publisher(&self.network(), &publisher());
        request
    }

    pub fn round(&self, key: &RoundKey) -> &Round {
        self.state.round(key).unwrap()
    }

    /// Position of the present recorder.
    pub fn recorder(&self, key: &RoundKey) -> usize {
        let round = self.round(key);
        (0..64).find(|n| self::key(*n).public() == round.recorder()).unwrap()
    }

    pub fn request(&mut self, n: usize, request: &BuildRequest) -> RoundKey {
        self.say(n, EntryBody::BuildRequest(request.clone())).unwrap();
        request.round_key()
    }

    pub fn inputs(&self, round: RoundKey) -> EntryBody {
        EntryBody::Inputs(Inputs {
            round,
            attempt: self.round(&round).attempt,
            manifest_root: sha("root"),
            manifest: sha("manifest"),
            lines: 12,
            total_bytes: 3456,
        })
    }

    pub fn record(&mut self, round: RoundKey) {
        let recorder = self.recorder(&round);
        self.say(recorder, self.inputs(round)).unwrap();
    }

    pub fn commitment(&self, n: usize, round: RoundKey, result: &RoundResult) -> EntryBody {
        let attempt = self.round(&round).attempt;
        let hash = commitment_hash(&self.network(), &round, attempt, &key(n).public(), &[n as u8; 32], result);
        EntryBody::Commitment(Commitment { round, attempt, hash })
    }

    pub fn commit(&mut self, n: usize, round: RoundKey, result: &RoundResult) -> Result<Vec<Leaf>, Refusal> {
        self.say(n, self.commitment(n, round, result))
    }

    pub fn attestation(&self, n: usize, round: RoundKey, result: &RoundResult) -> EntryBody {
        let attempt = self.round(&round).attempt;
        EntryBody::Attestation(Attestation { round, attempt, salt: [n as u8; 32], result: result.clone() })
    }

    pub fn reveal(&mut self, n: usize, round: RoundKey, result: &RoundResult) -> Result<Vec<Leaf>, Refusal> {
        self.say(n, self.attestation(n, round, result))
    }

    pub fn timeout(&mut self, n: usize, round: RoundKey, stage: RoundStage) -> Result<Vec<Leaf>, Refusal> {
        let attempt = self.round(&round).attempt;
        self.say(n, EntryBody::Timeout(Timeout { round, attempt, stage }))
    }

    /// A quorum of timeouts by the first members.
    pub fn time_out(&mut self, round: RoundKey, stage: RoundStage) {
        for n in 0..self.state.committee().quorum() {
            self.timeout(n, round, stage).unwrap();
        }
    }

    /// Request, manifest, commitments of all, reveals of all (those after an early verdict included).
    pub fn run(&mut self, request: &BuildRequest, results: &[RoundResult]) -> RoundKey {
        let round = self.request(0, request);
        self.run_opened(round, results);
        round
    }

    pub fn run_opened(&mut self, round: RoundKey, results: &[RoundResult]) {
        self.record(round);
        for (n, result) in results.iter().enumerate() {
            self.commit(n, round, result).unwrap();
        }
        for (n, result) in results.iter().enumerate() {
            match self.reveal(n, round, result) {
                Ok(_) | Err(Refusal::Stage) => {}
                Err(refusal) => panic!("{refusal}"),
            }
        }
    }

    pub fn stage(&self, round: RoundKey) -> Stage {
        self.round(&round).stage
    }

    pub fn verdict(&self) -> &Verdict {
        self.state.verdict(&release()).unwrap()
    }
}

pub fn upstream_request() -> BuildRequest {
    BuildRequest {
        coordinates: vec![release()],
        mode: Mode::Upstream,
        repository: REPOSITORY.parse().unwrap(),
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

/// The same request with another specification: a changed key.
pub fn changed(request: &BuildRequest, text: &str) -> BuildRequest {
    BuildRequest { specification: sha(text), ..request.clone() }
}

pub fn file(name: &str, outcome: Outcome, reference: Option<&str>, digest: Option<&str>) -> FileResult {
    let equivalent = outcome == Outcome::Equivalent;
    FileResult {
        coordinates: release(),
        name: name.into(),
        reference: reference.map(sha),
        outcome,
        digest: digest.map(sha),
        normalised: equivalent.then(|| sha("normalised")),
        normalisers: if equivalent { vec!["zip-order/1".into()] } else { vec![] },
    }
}

pub fn built(mut files: Vec<FileResult>) -> RoundResult {
    files.sort_by_key(|file| (file.coordinates.to_string(), file.name.clone()));
    RoundResult::Built(BuiltResult {
        files,
        outputs_root: sha("outputs"),
        source_tree: sha("tree"),
        canonical_scm: Some(REPOSITORY.parse().unwrap()),
        pom_chain: vec![],
        byproducts: None,
        provenance: None,
        mirrored_source: false,
    })
}

/// POM identical, JAR as given.
pub fn upstream_result(jar: FileResult) -> RoundResult {
    built(vec![file("lib-1.0.pom", Outcome::Identical, Some("pom"), Some("pom")), jar])
}

pub fn identical() -> RoundResult {
    upstream_result(file("lib-1.0.jar", Outcome::Identical, Some("jar"), Some("jar")))
}

pub fn equivalent(raw: &str) -> RoundResult {
    upstream_result(file("lib-1.0.jar", Outcome::Equivalent, Some("jar"), Some(raw)))
}

pub fn different(raw: &str) -> RoundResult {
    upstream_result(file("lib-1.0.jar", Outcome::Different, Some("jar"), Some(raw)))
}

pub fn native(jar: &str) -> RoundResult {
    built(vec![
        file("lib-1.0.pom", Outcome::Native, None, Some("pom")),
        file("lib-1.0.jar", Outcome::Native, None, Some(jar)),
    ])
}

pub fn failed(kind: FailureKind) -> RoundResult {
    RoundResult::Failed(FailedBuild { kind, canonical_scm: Some(REPOSITORY.parse().unwrap()), mirrored_source: false })
}
