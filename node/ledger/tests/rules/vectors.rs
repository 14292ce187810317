//! The files under `vectors/`: what other implementations test against, and what keeps the formats from changing
//! unnoticed.

use std::path::PathBuf;

use pyrsia_ledger::*;

use crate::bytes::samples;
use crate::harness::*;
use crate::receipts::with_handover;

/// Compares with the stored vector. With `WRITE_VECTORS` in the environment it is written instead, for a new format.
fn check(name: &str, actual: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors").join(name);
    if std::env::var_os("WRITE_VECTORS").is_some() {
        std::fs::write(&path, actual).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap();
    assert_eq!(actual, stored, "{name} has changed: that is a new version of the format");
}

#[test]
fn genesis_and_network_id() {
    let genesis = genesis(4);
    check("genesis.json", &(serde_json::to_string_pretty(&genesis).unwrap() + "\n"));
    check("network-id.txt", &format!("{}\n", genesis.network_id()));
    let stored = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/genesis.json")).unwrap();
    let read: Genesis = serde_json::from_str(&stored).unwrap();
    assert_eq!(read.network_id(), genesis.network_id());
    let extended = stored.replacen('{', "{\"surprise\": 1,", 1);
    assert!(serde_json::from_str::<Genesis>(&extended).is_err(), "unknown fields are refused");
}

#[test]
fn entries() {
    let net = Net::new(4);
    let mut text = String::from("# kind, SHA-256 of the signed entry, its bytes (signer: seed 32 x 01)\n");
    for (name, body) in samples() {
        let entry = net.sign(0, body);
        text.push_str(&format!("{name} {} {}\n", entry.digest(), hex::encode(entry.to_bytes())));
    }
    check("entries.txt", &text);
    // And from the file back: the bytes alone suffice.
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(' ').collect();
        let entry = SignedEntry::from_bytes(&hex::decode(fields[2]).unwrap()).unwrap();
        assert_eq!(entry.digest().to_string(), fields[1]);
        assert!(entry.verify(&net.network()) && fields[0].starts_with(entry.body.kind()));
    }
}

#[test]
fn hashes() {
    let net = Net::new(4);
    let request = upstream_request();
    let round = request.round_key();
    let commitment = commitment_hash(&net.network(), &round, 3, &key(0).public(), &[5; 32], &identical());
    let (_, grant) = samples().into_iter().find(|(name, _)| *name == "namespace").unwrap();
    let block = Block {
        height: 1,
        prev_hash: sha("previous"),
        session: 2,
        batch_first: 3,
        batch_last: 4,
        committee_hash: genesis(4).committee().hash(),
        entries_root: sha("entries"),
        log_size: 5,
        log_root: sha("log"),
    };
    assert_eq!(Block::from_bytes(&block.to_bytes()), Ok(block.clone()));
    check(
        "hashes.txt",
        &format!(
            "round-key {round}\ncommitment {commitment}\nproposal {}\ncommittee {}\nblock {}\n",
            grant.proposal_id().unwrap(),
            genesis(4).committee().hash(),
            block.hash(),
        ),
    );
}

#[test]
fn checkpoint_and_receipt() {
    let (net, receipt) = with_handover();
    check("certificate.txt", &receipt.certificate.to_text());
    check("receipt.txt", &receipt.to_text());
    let stored = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/receipt.txt")).unwrap();
    Receipt::parse(&stored).unwrap().verify(&net.genesis).unwrap();
    // The committee that was replaced goes on signing.
    let certificate = net.certify(net.leaves.len() as u64, &[0, 1, 2]);
    let replaced = Receipt { handovers: vec![], certificate, ..receipt };
    check("receipt-of-replaced-committee.txt", &replaced.to_text());
}
