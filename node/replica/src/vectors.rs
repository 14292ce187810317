//! The files under `vectors/`: what other implementations test against, and what keeps the formats from changing
//! unnoticed. The layouts are written out here a second time, on purpose.
//!
//! The network is the one of `node/ledger/vectors/genesis.json`.

use std::path::PathBuf;
use std::sync::Arc;

use pyrsia_digest::Sha256;
use pyrsia_ledger::{
    Authority, AuthorityKey, Block, Checkpoint, ConsensusKey, Constants, Cosignature, EntryBody, Genesis,
    ImageProposal, SignedEntry,
};
use pyrsia_store::LedgerStore;
use tempfile::TempDir;

use crate::word::{Head, blocks_network};
use crate::{BlocksAnswer, BlocksRequest, CosignatureMessage, OrderedBatch, Replica, ReplicaHandle, Word};

/// What a field is, and its bytes.
type Field = (String, Vec<u8>);

fn field(what: impl Into<String>, bytes: impl AsRef<[u8]>) -> Field {
    (what.into(), bytes.as_ref().to_vec())
}

/// A length as borsh has it, and as many bytes. A text of one line is also shown as it is.
fn counted(what: &str, bytes: &[u8]) -> [Field; 2] {
    let length = field(format!("{what}: length, u32"), (bytes.len() as u32).to_le_bytes());
    let shown = match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains(char::is_control) => format!("{what}: {text}"),
        _ => what.to_owned(),
    };
    [length, field(shown, bytes)]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Compares with the stored vector. With `WRITE_VECTORS` in the environment it is written instead, for a new format.
fn check_text(name: &str, actual: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors").join(name);
    if std::env::var_os("WRITE_VECTORS").is_some() {
        std::fs::write(&path, actual).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap();
    assert_eq!(actual, stored, "{name} has changed: that is a new version of the format");
}

/// The fields in their order are the bytes, and both are the stored vector.
fn check(name: &str, about: &str, fields: &[Field], actual: &[u8]) {
    let bytes: Vec<u8> = fields.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
    assert_eq!(hex(&bytes), hex(actual), "the layout of {name}");
    let lines = fields.iter().map(|(what, bytes)| format!("{} # {what}\n", hex(bytes)));
    check_text(name, &format!("# {about}\n{}", lines.collect::<String>()));
}

fn key(n: u8) -> AuthorityKey {
    AuthorityKey::from_seed(&[n + 1; 32])
}

fn genesis() -> Genesis {
    let authority = |n: u8| Authority {
        name: format!("authority-{n:02}"),
        authority_key: key(n).public(),
        consensus_key: ConsensusKey::from_seed(&[n + 101; 32]).public(),
    };
    let genesis = Genesis {
        name: "test".into(),
        nonce: [7; 32],
        authorities: (0..4).map(authority).collect(),
        constants: Constants { max_open_rounds_per_authority: 3, max_attempts: 4, ..Constants::default() },
    };
    let ledgers = include_str!("../../ledger/vectors/network-id.txt");
    assert_eq!(genesis.network_id().to_string(), ledgers.trim(), "the network of the ledger's vectors");
    genesis
}

fn replica(signer: Option<u8>) -> (Replica, ReplicaHandle, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let store = LedgerStore::open(dir.path()).unwrap();
    let (replica, handle) = Replica::open(store, genesis(), signer.map(key), Arc::new(|| 1000)).unwrap();
    (replica, handle, dir)
}

/// Two blocks: one with one entry, one with two.
fn two_batches() -> [OrderedBatch; 2] {
    let entry = |signer: u8, text: &str| {
        let body = EntryBody::ImageProposal(ImageProposal::allow(Sha256::of(text.as_bytes()), text));
        SignedEntry::sign(body, &genesis().network_id(), &key(signer)).unwrap().to_bytes()
    };
    [
        OrderedBatch { session: 0, index: 2, entries: vec![entry(0, "one")] },
        OrderedBatch { session: 1, index: 5, entries: vec![entry(1, "two"), entry(2, "three")] },
    ]
}

/// What member `n` says of the head.
fn word(handle: &ReplicaHandle, n: u8) -> Word {
    let head = Head::of(&handle.network_id(), handle.block().as_ref());
    let said = head.cosign(&key(n), &genesis().authorities[usize::from(n)].name, 2000 + u64::from(n));
    Word::new(head, said)
}

fn header_fields(block: &Block) -> Vec<Field> {
    let at = |name: &str| format!("block {}: {name}", block.height);
    vec![
        field(at("height, u64"), block.height.to_le_bytes()),
        field(at("hash of the block before, of the first one: network id"), block.prev_hash.as_bytes()),
        field(at("session, u64"), block.session.to_le_bytes()),
        field(at("first batch, u64"), block.batch_first.to_le_bytes()),
        field(at("last batch, u64"), block.batch_last.to_le_bytes()),
        field(at("committee hash"), block.committee_hash.as_bytes()),
        field(at("Merkle root over the entries"), block.entries_root.as_bytes()),
        field(at("leaves of the log after it, u64"), block.log_size.to_le_bytes()),
        field(at("Merkle root of the log after it"), block.log_root.as_bytes()),
    ]
}

#[test]
fn blocks_request() {
    let request = BlocksRequest { from_height: 3, max_bytes: 1 << 20, newest_time: 1_700_000_000 };
    let bytes = request.to_bytes();
    let fields = [
        field("format", [1]),
        field("height of the first block wanted, u64", 3u64.to_le_bytes()),
        field("about how many bytes of blocks are wanted, u32", (1u32 << 20).to_le_bytes()),
        field("time of the newest certificate known, u64", 1_700_000_000u64.to_le_bytes()),
    ];
    check("blocks-request.txt", "the body of a call of method 1", &fields, &bytes);
    assert_eq!(BlocksRequest::from_bytes(&bytes), Ok(request));
}

#[tokio::test]
async fn blocks_answer() {
    let (mut source, handle, _dir) = replica(None);
    for batch in &two_batches() {
        source.process(batch).unwrap();
    }
    for n in 0..3 {
        handle.observe(word(&handle, n)).await.unwrap();
    }
    let request = BlocksRequest { from_height: 1, max_bytes: u32::MAX, newest_time: 0 };
    let answer = handle.blocks(request).await.unwrap();

    let mut fields = vec![
        field("format", [1]),
        field("height of the answerer's last block, u64", 2u64.to_le_bytes()),
        field("number of blocks, u32", 2u32.to_le_bytes()),
    ];
    for (piece, batch) in answer.blocks.iter().zip(&two_batches()) {
        fields.extend(header_fields(&piece.block));
        let what = format!("block {}: number of entries, u32", piece.block.height);
        fields.push(field(what, (batch.entries.len() as u32).to_le_bytes()));
        for entry in &batch.entries {
            fields.extend(counted(&format!("block {}: an entry", piece.block.height), entry));
        }
    }
    fields.push(field("number of further headers, u32", 0u32.to_le_bytes()));
    for (what, certificate) in [
        ("certificate of the log, a text", &answer.certificate),
        ("certificate of the last block, a text", &answer.block_certificate),
    ] {
        fields.push(field(format!("{what}: is there one"), [1]));
        fields.extend(counted(what, certificate.as_ref().unwrap().as_bytes()));
    }
    let bytes = answer.to_bytes();
    check(
        "blocks-answer.txt",
        "the answer to a call of method 1, certified by authorities 0 to 2 (seeds 32 x 01 to 03)",
        &fields,
        &bytes,
    );

    // And from the bytes alone: another node makes the same ledger of them.
    let (mut other, follower, _dir) = replica(None);
    other.take(&BlocksAnswer::from_bytes(&bytes).unwrap()).unwrap().unwrap();
    assert_eq!((follower.checkpoint(), follower.block()), (handle.checkpoint(), handle.block()));
}

#[test]
fn cosignature_message() {
    let (mut replica, handle, _dir) = replica(None);
    for batch in &two_batches() {
        replica.process(batch).unwrap();
    }
    let word = word(&handle, 1);
    let network = handle.network_id();
    assert!(word.is_by(&network, &key(1).public()));
    let message = CosignatureMessage { word, please_answer: true };

    let checkpoint = |what: &str, checkpoint: &Checkpoint| {
        let mut fields = counted(&format!("{what}: origin"), checkpoint.origin.as_bytes()).to_vec();
        fields.push(field(format!("{what}: size, u64"), checkpoint.size.to_le_bytes()));
        fields.push(field(format!("{what}: root"), checkpoint.root.as_bytes()));
        fields
    };
    let cosignature = |what: &str, cosignature: &Cosignature| {
        let mut fields = counted(&format!("{what}: name"), cosignature.name.as_bytes()).to_vec();
        fields.push(field(format!("{what}: key id"), cosignature.key_id));
        fields.push(field(format!("{what}: time, u64"), cosignature.time.to_le_bytes()));
        fields.push(field(format!("{what}: signature"), cosignature.signature.as_bytes()));
        fields
    };
    let (block, block_cosignature) = message.word.block.as_ref().unwrap();
    assert_eq!(block.origin, format!("pyrsia-maven/{}", blocks_network(&network)));
    assert_eq!(block.root, handle.block().unwrap().hash());
    let mut fields = vec![field("format", [1])];
    fields.extend(checkpoint("log", &message.word.log));
    fields.extend(cosignature("cosignature of the log", &message.word.cosignature));
    fields.push(field("is there a block (not for the empty log)", [1]));
    fields.extend(checkpoint("last block", block));
    fields.extend(cosignature("cosignature of the block", block_cosignature));
    fields.push(field("is an answer wanted", [1]));
    let bytes = message.to_bytes();
    check(
        "cosignature-message.txt",
        "a message on the cosignature link, by authority 1 (seed 32 x 02)",
        &fields,
        &bytes,
    );
    assert_eq!(CosignatureMessage::from_bytes(&bytes), Ok(message));
}

#[test]
fn network_id_of_blocks() {
    let network = genesis().network_id();
    let plain = [b"pyrsia-maven/certified-blocks/v1".as_slice(), network.as_bytes()].concat();
    assert_eq!(blocks_network(&network).0, Sha256::of(&plain));
    check_text("blocks-network-id.txt", &format!("{}\n", blocks_network(&network)));
}
