//! Checkpoints, certificates and receipts.

use pyrsia_ledger::*;
use pyrsia_merkle::{Frontier, inclusion_proof, leaf_hash, root};

use crate::harness::*;

impl Net {
    fn root_at(&self, size: u64) -> pyrsia_digest::Sha256 {
        let hashes: Vec<_> = self.leaves[..size as usize].iter().map(Leaf::hash).collect();
        root(&hashes)
    }

    /// Cosigned at a size by these authorities.
    pub fn certify(&self, size: u64, members: &[usize]) -> Certificate {
        let checkpoint = Checkpoint::new(&self.network(), size, self.root_at(size));
        let cosign = |n: &usize| checkpoint.cosign(&key(*n), &authority(*n).name, 1_800_000_000 + *n as u64);
        Certificate::new(checkpoint.clone(), members.iter().map(cosign).collect())
    }

    fn proof(&self, size: u64, index: u64) -> Vec<pyrsia_digest::Sha256> {
        let mut nodes = std::collections::BTreeMap::new();
        let mut frontier = Frontier::new();
        for leaf in &self.leaves[..size as usize] {
            frontier.push(leaf.hash(), &mut |level, index, hash| {
                nodes.insert((level, index), hash);
            });
        }
        inclusion_proof(size, index, &mut |level, index| nodes.get(&(level, index)).copied().ok_or(())).unwrap()
    }

    /// A receipt of what stands, certified by the last committee's first members.
    pub fn receipt(&self, handovers: Vec<Handover>, members: &[usize]) -> Receipt {
        let size = self.leaves.len() as u64;
        let verdict = self.verdict().clone();
        Receipt {
            network: self.network(),
            proof: self.proof(size, verdict.index),
            verdict,
            handovers,
            certificate: self.certify(size, members),
        }
    }

    /// The hand-over at the latest committee leaf, certified at the present size.
    pub fn handover(&self, members: &[usize]) -> Handover {
        let size = self.leaves.len() as u64;
        let leaf = self.leaves.iter().rev().find_map(|leaf| match leaf {
            Leaf::Committee(leaf) => Some(leaf.clone()),
            _ => None,
        });
        let leaf = leaf.unwrap();
        Handover { proof: self.proof(size, leaf.index), leaf, certificate: self.certify(size, members) }
    }
}

/// Four authorities, a verdict, then seven, then a second verdict's worth of leaves.
pub fn with_handover() -> (Net, Receipt) {
    let mut net = Net::new(4);
    net.run(&upstream_request(), &[identical(), identical(), different("x"), identical()]);
    net.approve(EntryBody::AuthorityChange(AuthorityChange { epoch: 1, authorities: (2..9).map(authority).collect() }));
    let handover = net.handover(&[0, 1, 3]);
    net.approve(EntryBody::ImageProposal(ImageProposal::allow(sha("later"), "x")));
    let receipt = net.receipt(vec![handover], &[2, 3, 4, 5, 6]);
    (net, receipt)
}

#[test]
fn a_receipt_verifies_with_the_genesis_alone() {
    for n in [1, 4, 7] {
        let mut net = Net::new(n);
        net.run(&upstream_request(), &vec![identical(); n]);
        let members: Vec<usize> = (0..net.state.committee().quorum()).collect();
        let receipt = net.receipt(vec![], &members);
        let parsed = Receipt::parse(&receipt.to_text()).unwrap();
        assert_eq!(parsed, receipt);
        let verified = parsed.verify(&net.genesis).unwrap();
        assert_eq!(&verified.verdict, net.verdict());
        assert_eq!(verified.log_size, net.leaves.len() as u64);
        assert_eq!(verified.log_root, net.frontier.root());
        // The newest f may lie.
        assert_eq!(verified.time, 1_800_000_000 + (members.len() - 1 - net.state.committee().faulty()) as u64);
        let path = "org/acme/lib/1.0/lib-1.0.jar".parse().unwrap();
        assert_eq!(verified.file(&path).unwrap().sha256, Some(sha("jar")));
        assert!(verified.file(&"org/acme/lib/1.1/lib-1.0.jar".parse().unwrap()).is_none());
    }
}

#[test]
fn any_changed_byte_of_a_receipt_is_refused() {
    let (net, receipt) = with_handover();
    let text = receipt.to_text();
    receipt.verify(&net.genesis).unwrap();
    let bytes = text.as_bytes();
    let refused = |bytes: &[u8]| {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return true;
        };
        Receipt::parse(text).and_then(|receipt| receipt.verify(&net.genesis)).is_err()
    };
    assert!(!refused(bytes));
    for position in 0..bytes.len() {
        // The next character, the other case, and a bit that may leave ASCII.
        for change in [0x01, 0x20, 0x80] {
            let mut changed = bytes.to_vec();
            changed[position] ^= change;
            assert!(refused(&changed), "byte {position} xor {change:#x}");
        }
        let mut shorter = bytes.to_vec();
        shorter.remove(position);
        assert!(refused(&shorter), "without byte {position}");
    }
    for (position, _) in text.match_indices('\n') {
        let mut longer = bytes.to_vec();
        longer.insert(position, b'\r');
        assert!(refused(&longer));
        longer[position] = b'\n';
        assert!(refused(&longer));
    }
    assert!(refused(format!("{text}\n").as_bytes()));
    assert!(refused(format!(" {text}").as_bytes()));
}

#[test]
fn committees_are_handed_over_by_the_old_one() {
    let (net, receipt) = with_handover();
    let verified = receipt.verify(&net.genesis).unwrap();
    assert_eq!(verified.pin.epoch, 1);
    assert_eq!(verified.pin.committee_hash, net.state.committee().hash());

    let without = Receipt { handovers: vec![], ..receipt.clone() };
    assert!(matches!(without.verify(&net.genesis), Err(ReceiptError::Certificate(_))));
    // The new committee cannot put itself into office.
    let mut usurped = receipt.clone();
    usurped.handovers[0].certificate = net.certify(usurped.handovers[0].certificate.checkpoint.size, &[2, 3, 4, 5, 6]);
    assert!(matches!(usurped.verify(&net.genesis), Err(ReceiptError::Certificate(_))));
    let mut other = receipt.clone();
    other.handovers[0].leaf.committee.authorities.pop();
    assert!(matches!(other.verify(&net.genesis), Err(ReceiptError::Proof(_))));
    let mut twice = receipt.clone();
    twice.handovers.push(twice.handovers[0].clone());
    assert!(matches!(twice.verify(&net.genesis), Err(ReceiptError::Handover { number: 2, .. })));
}

#[test]
fn a_pinned_committee_keeps_replaced_ones_from_speaking() {
    let (net, receipt) = with_handover();
    let pin = receipt.verify(&net.genesis).unwrap().pin;
    receipt.verify_pinned(&net.genesis, Some(&pin)).unwrap();
    // The old committee goes on signing: fine for who knows nothing newer, refused by who does.
    let old = Receipt { handovers: vec![], certificate: net.certify(net.leaves.len() as u64, &[0, 1, 2]), ..receipt };
    old.verify(&net.genesis).unwrap();
    assert_eq!(old.verify_pinned(&net.genesis, Some(&pin)), Err(ReceiptError::Pinned { epoch: 1 }));
}

#[test]
fn exactly_a_quorum_cosigns_a_receipt() {
    let mut net = Net::new(4);
    net.run(&upstream_request(), &vec![identical(); 4]);
    let receipt = |members: &[usize]| net.receipt(vec![], members).verify(&net.genesis);
    assert!(receipt(&[0, 1, 2]).is_ok());
    assert!(receipt(&[1, 2, 3]).is_ok());
    assert_eq!(receipt(&[0, 1, 2, 3]), Err(ReceiptError::NotExactlyQuorum { actual: 4, quorum: 3 }));
    assert_eq!(receipt(&[0, 1]), Err(ReceiptError::Certificate(CertificateError::Quorum { actual: 2, quorum: 3 })));
    assert!(matches!(receipt(&[0, 1, 9]), Err(ReceiptError::Certificate(CertificateError::NotMember { .. }))));
    let mut twice = net.receipt(vec![], &[0, 1, 2]);
    twice.certificate.cosignatures[2] = twice.certificate.cosignatures[1].clone();
    assert_eq!(twice.verify(&net.genesis), Err(ReceiptError::Certificate(CertificateError::Order)));
    let full = net.certify(net.leaves.len() as u64, &[0, 1, 2, 3]);
    assert!(full.verify(&net.network(), net.state.committee()).is_ok());
    assert_eq!(full.truncated(3).cosignatures.len(), 3);
}

#[test]
fn changed_contents_are_refused() {
    let mut net = Net::new(4);
    net.run(&upstream_request(), &vec![identical(); 4]);
    let receipt = net.receipt(vec![], &[0, 1, 2]);
    let verify = |change: &dyn Fn(&mut Receipt)| {
        let mut changed = receipt.clone();
        change(&mut changed);
        changed.verify(&net.genesis)
    };
    assert_eq!(verify(&|r| r.verdict.files[0].sha256 = Some(sha("evil"))), Err(ReceiptError::Outputs));
    assert_eq!(
        verify(&|r| {
            r.verdict.files.pop();
        }),
        Err(ReceiptError::Outputs)
    );
    assert!(matches!(verify(&|r| r.verdict.state = VerdictState::Published), Err(ReceiptError::Proof(_))));
    assert!(matches!(verify(&|r| r.verdict.index += 1), Err(ReceiptError::Proof(_))));
    assert!(matches!(verify(&|r| r.certificate.checkpoint.size += 1), Err(ReceiptError::Certificate(_))));
    assert!(matches!(verify(&|r| r.certificate.cosignatures[0].time += 1), Err(ReceiptError::Certificate(_))));
    assert!(matches!(verify(&|r| r.network = NetworkId(sha("other"))), Err(ReceiptError::Network { .. })));
    assert!(matches!(
        receipt.verify(&Genesis { nonce: [8; 32], ..net.genesis.clone() }),
        Err(ReceiptError::Network { .. })
    ));
}

#[test]
fn a_verdict_proven_as_an_entry_is_refused() {
    // A proof of another leaf of the same log.
    let mut net = Net::new(1);
    net.run(&upstream_request(), &[identical()]);
    let mut receipt = net.receipt(vec![], &[0]);
    receipt.proof = net.proof(net.leaves.len() as u64, 0);
    assert!(receipt.verify(&net.genesis).is_err());
}

#[test]
fn notes_are_strict() {
    let net = Net::new(4);
    let certificate = net.certify(1, &[0, 1, 2]);
    let text = certificate.to_text();
    assert_eq!(text.parse(), Ok(certificate.clone()));
    assert_eq!(certificate.checkpoint.to_text().parse(), Ok(certificate.checkpoint.clone()));
    for (from, to) in [
        ("\n1\n", "\n01\n"),
        ("\n1\n", "\n+1\n"),
        ("\n\n", "\n"),
        ("\n\n", "\nextension\n\n"),
        ("pyrsia-maven/", "other/"),
        ("\u{2014} ", "- "),
        ("=\n", "\n"),
    ] {
        assert!(text.contains(from), "{from:?}");
        assert!(text.replacen(from, to, 1).parse::<Certificate>().is_err(), "{from:?} -> {to:?}");
    }
    assert!(text.trim_end().parse::<Certificate>().is_err());
}

#[test]
fn certificates_keep_the_latest_of_one_name() {
    let net = Net::new(1);
    let checkpoint = Checkpoint::new(&net.network(), 3, leaf_hash(b"x"));
    let cosign = |time| checkpoint.cosign(&key(0), &authority(0).name, time);
    let certificate = Certificate::new(checkpoint.clone(), vec![cosign(10), cosign(30), cosign(20)]);
    let verified = certificate.verify(&net.network(), net.state.committee()).unwrap();
    assert_eq!((verified.quorum_time, verified.honest_time, verified.size), (30, 30, 3));
}
