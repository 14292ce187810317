//! What can go wrong, as types.

use std::io;

/// Why a network did not start.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// An address of the configuration is none that this node can use.
    #[error(
        "{field} in the section [network]: {address:?} is no address like /ip4/192.0.2.1/tcp/4001 or /dns4/example.org/tcp/4001"
    )]
    Address {
        /// The setting: `listen`, `external` or `bootstrap`.
        field: &'static str,
        /// The text.
        address: String,
    },
    /// An address list of the configuration is too long.
    #[error("{field} in the section [network] has {count} addresses, at most {limit} are allowed")]
    TooManyAddresses {
        /// The setting.
        field: &'static str,
        /// Addresses given.
        count: usize,
        /// Most allowed.
        limit: usize,
    },
    /// This node cannot listen on an address: another program does, or it is not this machine's.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The transport could not be made.
    #[error("cannot prepare connections: {detail}")]
    Transport {
        /// What libp2p said.
        detail: String,
    },
    /// The committee is larger than this protocol carries.
    #[error("a committee of {members}, at most {limit} are possible")]
    Committee {
        /// Its members.
        members: usize,
        /// Most possible.
        limit: usize,
    },
}

/// Why another node does not answer a call. A provider returns one; the caller sees it in [`CallError::Refused`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It has too much to do. Try later, or another peer.
    #[error("the peer is busy")]
    Busy,
    /// It does not have what was asked for.
    #[error("the peer does not have it")]
    NotFound,
    /// The caller may not ask this.
    #[error("the peer does not allow it: {0}")]
    NotAllowed(String),
    /// The request makes no sense.
    #[error("the peer did not understand the request: {0}")]
    Malformed(String),
    /// It could not do it.
    #[error("the peer failed: {0}")]
    Failed(String),
    /// The request is longer than the method allows.
    #[error("the request is too long for the peer")]
    TooLarge,
    /// It does not know this method.
    #[error("the peer does not know this method")]
    UnknownMethod,
    /// It did not finish in the time of the method.
    #[error("the peer did not finish in time")]
    TooSlow,
}

/// Why a call brought no answer. It was not carried out after `NotConnected`, `RequestTooLarge` and `Refused`, except that
/// [`Refusal::Failed`] and [`Refusal::TooSlow`] leave it open; so do all others.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// There is no connection to this peer, and none could be made in the time for that.
    #[error("not connected")]
    NotConnected,
    /// The request is longer than the method allows. Nothing was sent.
    #[error("a request of {actual} bytes, at most {limit} are allowed")]
    RequestTooLarge {
        /// Bytes of the request.
        actual: usize,
        /// Most allowed.
        limit: usize,
    },
    /// The peer declared an answer longer than the method allows. It was not read.
    #[error("an answer of {actual} bytes, at most {limit} are allowed")]
    AnswerTooLarge {
        /// Bytes declared.
        actual: usize,
        /// Most allowed.
        limit: usize,
    },
    /// The peer refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No complete answer in the time of the method.
    #[error("no answer in time")]
    TooSlow,
    /// The stream broke, or ended before the answer was complete.
    #[error("the connection broke: {0}")]
    Broken(io::Error),
    /// The peer sent what is no answer.
    #[error("the answer makes no sense")]
    Malformed,
}

/// Why a blob was not fetched. What was written until then is to be thrown away.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// There is no connection to this peer, and none could be made in the time for that.
    #[error("not connected")]
    NotConnected,
    /// The peer does not have it.
    #[error("the peer does not have it")]
    NotFound,
    /// The peer has too many transfers. Try later, or another peer.
    #[error("the peer is busy")]
    Busy,
    /// The peer declared more bytes than the caller takes. None was read.
    #[error("{actual} bytes, at most {limit} are wanted")]
    TooLarge {
        /// Bytes declared.
        actual: u64,
        /// Most that the caller takes.
        limit: u64,
    },
    /// The stream ended or broke before the declared size.
    #[error("only {received} of {size} bytes came: {source}")]
    Truncated {
        /// Bytes received.
        received: u64,
        /// Bytes declared; 0 when it broke before.
        size: u64,
        /// How it ended.
        source: io::Error,
    },
    /// The bytes are not the ones that the digest names. The peer is broken or lies.
    #[error("the bytes are other ones than asked for")]
    WrongDigest,
    /// No byte for too long, or too long altogether.
    #[error("too slow")]
    TooSlow,
    /// The receiving end could not be written to.
    #[error("cannot write what was received: {0}")]
    Write(io::Error),
    /// The peer sent what is no answer.
    #[error("the answer makes no sense")]
    Malformed,
}
