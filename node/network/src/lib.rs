//! Peers: finding them, and carrying messages, calls and files between them. libp2p lives only here.
//!
//! [`Network::start`] makes this node a peer: it listens, dials, and keeps connections with the authorities for ever.
//! Authorities exchange messages over links ([`Network::send`], [`Network::receive`]); any node asks any other
//! ([`Network::call`], [`Network::blob`]) and answers through its [`Provider`].
//!
//! Invariants:
//! - **a node is known by its name**, which is derived from its node key and proven by the handshake; the authority key
//!   is another key, and speaks for a node only if the newest signed record of that authority names the node *and* the
//!   node itself presented such a record: neither side can claim the other alone;
//! - **whatever comes from a peer has a limit that is checked before memory is taken for it**, a time-out, and a number
//!   of times that it may happen at once, for each peer and in all; authorities have places of their own;
//! - **an end is not a success**: lengths are declared first, and bytes that were asked for by digest have it when
//!   the call succeeds ([`BlobSink`] hashes them);
//! - nothing waits without a bound except what is said to wait for ever ([`Network::receive`]) and dialling;
//! - **an idle network sends a ping a minute and nothing else**: records are told when they change;
//! - what is decided (records, table of peers, schedule of dials, queues, places) is synchronous and takes time and
//!   randomness as arguments; the loop around it only carries events.
//!
//! What it is not: no blobs or ledger are kept here, no entry is judged, nothing is retried beyond a stream that was
//! lost unseen, and messages on links may be lost, doubled (after a broken stream) and delayed.
//!
//! # On the wire
//!
//! Test vectors are in `vectors/`.
//!
//! TCP (a port of its own for each outgoing connection), noise, yamux with at most 96 streams a connection; identify once
//! a connection; ping each 60 seconds, a connection whose answer takes longer than 20 seconds is closed. A handshake may
//! take 10 seconds. At most 64 connections are being made in each direction; established ones from outside are at most
//! `2 * max_peers + 64`, those made by this node at most 256, with one peer at most 4; nodes of authorities do not count
//! in the first three. Each protocol below opens streams of its own. Integers in headers are big-endian; *borsh* is
//! little-endian and canonical here: another encoding of the same value is refused. In the middle of anything, 20 seconds
//! without progress end the stream ("stall").
//!
//! ## `/pyrsia-maven/hello/1`
//! The side that dialled opens a stream as soon as there is a connection, sends one frame and gets one:
//! `length: u32` (at most 131072) and a borsh `Greeting`:
//! ```text
//! Greeting        = 0 Hello | 1 Goodbye
//! Hello           = version: u32 (1), network: [32], instance: u64 (random for each start of the node),
//!                   own: option of AuthorityRecord, others: list of AuthorityRecord (at most 64)
//! Goodbye         = 0 other network | 1 other version | 2 full | 3 misbehaved
//! AuthorityRecord = content: Content, signature: [64]
//! Content         = network: [32], authority: [32], peer: bytes (a peer id, at most 64),
//!                   addresses: list (at most 8) of text (at most 128 bytes; /ip4, /ip6, /dns, /dns4 or /dns6, then /tcp,
//!                   then perhaps /p2p), sequence: u64 (Unix seconds)
//! ```
//! The signature is the authority key's (ed25519, strict) over `len(D) D len(C) C` with D =
//! `pyrsia-maven/authority-record/v1`, C = borsh of Content, lengths as u64 little-endian. The record with the largest
//! sequence of each authority counts; of two with the same, the first seen. Records of keys outside the committee are
//! ignored. A forged record, one of another network, a record of another node as one's own, or an undecodable greeting
//! ends the connection (3), and the sender is refused for 10 minutes. After a goodbye a node is not dialled for 10 minutes,
//! 60 seconds if it was full. The exchange may take 10 seconds and is tried 3 times; who has not greeted 15 seconds
//! after connecting is disconnected. Greetings are repeated, by either side, when the sender has records that the peer
//! was not told: at most once a second; a node takes 120 a minute from a peer, 2 at a time (64 in all). A new instance
//! under the same name closes the older connections with it.
//!
//! ## `/pyrsia-maven/link/consensus/1`, `/pyrsia-maven/link/cosignatures/1`
//! One stream for each direction, opened by the sender when it has something to send, and kept. The receiver waits up to
//! 10 seconds for the peer's greeting, and drops the stream unless the peer is the node of an authority and itself one
//! too; otherwise it sends the byte `1`. Only then (waiting at most 15 seconds) the sender sends frames: `length: u32`
//! (1 to 25165824 for consensus, 1 to 1048576 for cosignatures) and the message. A newer stream of the same authority
//! replaces the older. Queues in both directions, for each authority and channel: 2048 messages, 32 MiB (consensus) or
//! 4 MiB (cosignatures); the oldest are dropped. A frame that could not be written completely is sent again on the next
//! stream, which is opened after 0.2 to 5 seconds.
//!
//! ## `/pyrsia-maven/call/1`
//! Request: `method: u8`, `length: u32`, body. Methods: 1 blocks, 2 entry, 3 build, 4 sign, 5 build events,
//! 6 document; limits in [`Method::limits`]. Answer: the byte `255` as soon as the call was taken (missing when it is
//! refused for lack of a place), then `status: u8`, `length: u32`, body. Status 0: the answer. Otherwise the body is a
//! text of at most 512 bytes: 1 busy, 2 not found, 3 not allowed, 4 malformed, 5 failed, 6 request too large, 7 unknown
//! method, 8 too slow. A stream that ends before its first byte is opened again, 4 times in all: **a method must be
//! idempotent**. Served at a time: 16 for a peer; one place is its own, and peers that are no authorities share 128 for the
//! rest. Calls that are held back are counted by themselves. Answers being written hold at most 64 MiB. The caller waits
//! 15 seconds longer than the time of the method. A caller that ends the stream ends the call.
//!
//! ## `/pyrsia-maven/blob/1`
//! Request: 32 bytes, a SHA-256. Answer: `0`, `size: u64`, and as many bytes; or `1` not there; or `2` busy. A transfer may
//! take 20 seconds and one more for each 64 KiB, of a peer that is no authority for each MiB; the reader counts those that
//! came, the sender all, at the slower rate. Served at a time: 4 for a peer; 32 are shared in the same way.
//!
//! # Memory
//! For each connection, streams that are not read hold 256 KiB each (24 MiB) and more with a peer whose answers to pings take
//! long, which the multiplexer bounds at 1 GiB for a connection; and what is on its way from and to the
//! socket 192 KiB; for each transfer about 2 MiB; for each
//! authority the queues above. The file of remembered peers holds at most 64 records and 32 addresses; 512 KiB of it are
//! read.
//!
//! # Known limits of libp2p that matter here
//! - `libp2p-stream` drops incoming streams of one protocol that arrive faster than they are taken; the other side sees
//!   an end without a byte. Hence the byte that takes a call or a link, and the attempts.
//! - It keeps a small sender for each connection that ever was: some hundred bytes for each, until the node restarts.
//! - The TCP transport listens with SO_REUSEPORT, so that a taken port is no error: this crate asks first, without it.
//! - Flow control windows grow by themselves with the rate of reading (from 256 KiB): there is nothing to configure.

mod address;
mod blob;
mod call;
mod config;
mod dial;
mod driver;
mod error;
mod frame;
mod gather;
mod greet;
mod hello;
mod link;
mod method;
mod name;
mod network;
mod peer;
mod queue;
mod record;
mod remembered;
mod serve;
mod shared;
mod slots;
mod swarm;
mod table;
#[cfg(test)]
mod vectors;

pub use config::NetworkConfig;
pub use error::{BlobError, CallError, NetworkError, Refusal};
pub use method::{Channel, Limits, Method};
pub use name::{PeerName, PeerNameError, node_id};
pub use network::{Network, Start};
pub use peer::{BlobFile, BlobSink, Peer, PeerInfo, Provider};
