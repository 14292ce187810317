//! The files under `vectors/`: what other implementations test against, and what keeps the formats from changing
//! unnoticed. The layouts are written out here a second time, on purpose.
//!
//! Network and authorities are those of `node/ledger/vectors/genesis.json`: the seed of authority N is the byte N + 1, 32
//! times, and that of its node the byte N + 201.

use std::path::PathBuf;

use bytes::Bytes;
use futures_util::io::Cursor;
use pyrsia_digest::Sha256;
use pyrsia_ledger::{AuthorityKey, NetworkId};

use crate::call::Attempt;
use crate::frame::{read_frame, write_frame};
use crate::hello::{Goodbye, Greeting, Hello, MAX_HELLO_BYTES, VERSION};
use crate::record::{AuthorityRecord, Book};
use crate::{CallError, Channel, Method, Refusal, blob, call};

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

fn joined(fields: &[Field]) -> Vec<u8> {
    fields.iter().flat_map(|(_, bytes)| bytes.clone()).collect()
}

/// The fields in their order are the bytes, and both are the stored vector. With `WRITE_VECTORS` in the environment it is
/// written instead, for a new format.
fn check(name: &str, about: &str, fields: &[Field], actual: &[u8]) {
    assert_eq!(hex::encode(joined(fields)), hex::encode(actual), "the layout of {name}");
    let lines = fields.iter().map(|(what, bytes)| format!("{} # {what}\n", hex::encode(bytes)));
    let text = format!("# {about}\n{}", lines.collect::<String>());
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors").join(name);
    if std::env::var_os("WRITE_VECTORS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, stored, "{name} has changed: that is a new version of the format");
}

fn network() -> NetworkId {
    let text = include_str!("../../ledger/vectors/network-id.txt");
    NetworkId(Sha256::from_bytes(hex::decode(text.trim()).unwrap().try_into().unwrap()))
}

fn key(n: u8) -> AuthorityKey {
    AuthorityKey::from_seed(&[n + 1; 32])
}

fn record(n: u8) -> AuthorityRecord {
    let addresses = [format!("/ip4/192.0.2.{n}/tcp/7889"), "/dns4/node.example/tcp/7889".to_owned()];
    let peer = crate::node_id(&[n + 201; 32]).0;
    AuthorityRecord::sign(&key(n), &network(), &peer, &addresses, 1_700_000_000 + u64::from(n))
}

fn record_fields(what: &str, record: &AuthorityRecord) -> Vec<Field> {
    let content = &record.content;
    let at = |name: &str| format!("{what}{name}");
    let mut fields =
        vec![field(at("network id"), network().as_bytes()), field(at("authority key"), content.authority.as_bytes())];
    fields.extend(counted(&at("peer id"), &content.peer));
    fields.push(field(at("number of addresses, u32"), (content.addresses.len() as u32).to_le_bytes()));
    for address in &content.addresses {
        fields.extend(counted(&at("address"), address.as_bytes()));
    }
    fields.push(field(at("sequence, u64"), content.sequence.to_le_bytes()));
    fields.push(field(at("signature"), record.signature.as_bytes()));
    fields
}

#[test]
fn an_authority_record() {
    let record = record(0);
    let fields = record_fields("", &record);
    let bytes = borsh::to_vec(&record).unwrap();
    check("authority-record.txt", "authority 0 (seed 32 x 01) names its node (seed 32 x c9)", &fields, &bytes);
    // And from the bytes alone: the signature is over domain and content, each after its length.
    let (content, signature) = bytes.split_at(bytes.len() - 64);
    assert_eq!(signature, record.signature.as_bytes());
    let domain = b"pyrsia-maven/authority-record/v1".as_slice();
    let lengths = [(domain.len() as u64).to_le_bytes(), (content.len() as u64).to_le_bytes()];
    let signed = [&lengths[0], domain, &lengths[1], content].concat();
    assert!(key(0).public().verify(&signed, &record.signature));
    let read: AuthorityRecord = borsh::from_slice(&bytes).unwrap();
    Book::new(network(), vec![key(0).public()]).verify(read).unwrap();
}

async fn frame(body: &[u8]) -> Vec<u8> {
    let mut wire = Cursor::new(Vec::new());
    write_frame(&mut wire, body).await.unwrap();
    wire.into_inner()
}

#[tokio::test]
async fn greetings() {
    let (own, other) = (record(0), record(1));
    let (network, instance) = (*network().as_bytes(), 0x0102_0304_0506_0708);
    let mut body = vec![
        field("a hello", [0]),
        field("version, u32", [1, 0, 0, 0]),
        field("network id", network),
        field("instance, u64", [8, 7, 6, 5, 4, 3, 2, 1]),
        field("is there a record of its own", [1]),
    ];
    body.extend(record_fields("own: ", &own));
    body.push(field("number of other records, u32", [1, 0, 0, 0]));
    body.extend(record_fields("other: ", &other));
    let hello = Hello { version: VERSION, network, instance, own: Some(own), others: vec![other] };
    let hello = Greeting::Hello(Box::new(hello));
    let goodbye = Greeting::Goodbye(Goodbye::Full);
    let because = vec![field("a goodbye", [1]), field("no room", [2])];
    for (name, about, greeting, body) in [
        (
            "hello.txt",
            "a frame on /pyrsia-maven/hello/1, by the node of authority 0, which knows authority 1 (seeds 32 x 02, 32 x ca)",
            hello,
            body,
        ),
        ("goodbye.txt", "the other answer to a hello", goodbye, because),
    ] {
        let length = (joined(&body).len() as u32).to_be_bytes();
        let mut fields = vec![field("length of the frame, big-endian", length)];
        fields.extend(body);
        let bytes = frame(&greeting.encode()).await;
        check(name, about, &fields, &bytes);
        let read = read_frame(&mut Cursor::new(bytes), MAX_HELLO_BYTES).await.unwrap();
        assert_eq!(Greeting::decode(&read), Some(greeting));
    }
    let others = [Goodbye::OtherNetwork, Goodbye::OtherVersion, Goodbye::Full, Goodbye::Misbehaved];
    for (number, why) in (0..).zip(others) {
        assert_eq!(Greeting::Goodbye(why).encode(), [1, number]);
    }
}

#[tokio::test]
async fn a_frame_on_a_link() {
    let fields = [field("length of the message, big-endian", [0, 0, 0, 5]), field("the message", b"hello")];
    let bytes = frame(b"hello").await;
    check("link-frame.txt", "a frame on a link, after the receiver has sent the byte 01", &fields, &bytes);
    let read = read_frame(&mut Cursor::new(bytes), Channel::Consensus.max_message()).await.unwrap();
    assert_eq!(read, b"hello");
    assert_eq!(
        Channel::ALL.map(|channel| crate::link::protocol(channel).to_string()),
        ["/pyrsia-maven/link/consensus/1", "/pyrsia-maven/link/cosignatures/1",]
    );
}

#[tokio::test]
async fn calls() {
    let mut wire = Cursor::new(Vec::new());
    call::write_request(&mut wire, Method::Specification, b"ask").await.unwrap();
    let fields = [
        field("method: document", [6]),
        field("length of the body, big-endian", [0, 0, 0, 3]),
        field("the body", b"ask"),
    ];
    check("call-request.txt", "a request on /pyrsia-maven/call/1", &fields, wire.get_ref());

    let taken = || field("the call was taken", [255]);
    let text = "not you";
    for (name, about, fields, answer) in [
        (
            "call-answer.txt",
            "an answer to call-request.txt",
            vec![
                taken(),
                field("status: done", [0]),
                field("length of the body, big-endian", [0, 0, 0, 5]),
                field("the body", b"reply"),
            ],
            Ok(Bytes::from_static(b"reply")),
        ),
        (
            "call-refusal.txt",
            "a refusal of call-request.txt",
            vec![
                taken(),
                field("status: not allowed", [3]),
                field("length of the text, big-endian", [0, 0, 0, 7]),
                field("the text", text),
            ],
            Err(Refusal::NotAllowed(text.to_owned())),
        ),
    ] {
        let mut wire = Cursor::new(Vec::new());
        call::take(&mut wire).await.unwrap();
        call::respond(&mut wire, answer.clone()).await.unwrap();
        check(name, about, &fields, wire.get_ref());
        wire.set_position(0);
        match (call::read_answer(&mut wire, Method::Specification, Ok(())).await, answer) {
            (Ok(read), Ok(answer)) => assert_eq!(read, answer),
            (Err(Attempt::Failed(CallError::Refused(read))), Err(refusal)) => assert_eq!(read, refusal),
            (read, _) => panic!("{name} was read as {read:?}"),
        }
    }
    // Every number of the document.
    let methods = Method::ALL.map(Method::code);
    assert_eq!(methods, [1, 2, 3, 4, 5, 6]);
    let no = String::new;
    let refusals = [
        Refusal::Busy,
        Refusal::NotFound,
        Refusal::NotAllowed(no()),
        Refusal::Malformed(no()),
        Refusal::Failed(no()),
        Refusal::TooLarge,
        Refusal::UnknownMethod,
        Refusal::TooSlow,
    ];
    for (status, refusal) in (1..).zip(refusals) {
        let mut wire = Cursor::new(Vec::new());
        call::respond(&mut wire, Err(refusal)).await.unwrap();
        assert_eq!(wire.into_inner(), [status, 0, 0, 0, 0]);
    }
}

#[tokio::test]
async fn blobs() {
    let sha256 = Sha256::of(b"content");
    let mut wire = Cursor::new(Vec::new());
    blob::write_request(&mut wire, &sha256).await.unwrap();
    let fields = [field("SHA-256 of the file", sha256.as_bytes())];
    check("blob-request.txt", "a request on /pyrsia-maven/blob/1", &fields, wire.get_ref());
    let fields = [field("found", [0]), field("size, u64, big-endian", [0, 0, 0, 0, 0, 0, 0, 7])];
    check(
        "blob-answer.txt",
        "the beginning of an answer to blob-request.txt; the 7 bytes of the file follow",
        &fields,
        &blob::head(7),
    );
    for (bytes, read) in [(joined(&fields), (0, 7)), (vec![1], (1, 0)), (vec![2], (2, 0))] {
        assert_eq!(blob::read_head(&mut Cursor::new(bytes)).await.unwrap(), read);
    }
}
