//! Calls: one request and one answer over a stream of their own.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use libp2p::{PeerId, Stream, StreamProtocol};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::frame::{header, length, read_body, unstalled, write_body};
use crate::peer::{Peer, Provider};
use crate::shared::Shared;
use crate::slots::{Slot, Slots};
use crate::{CallError, Method, PeerName, Refusal};

pub(crate) const PROTOCOL: StreamProtocol = StreamProtocol::new("/pyrsia-maven/call/1");
/// Calls that are served at a time for one peer; calls that are held back are counted by themselves.
pub(crate) const PER_PEER: usize = 16;
/// Of these, those that all peers that are no authorities share, beyond one for each.
pub(crate) const SHARED: usize = 128;
/// Most bytes of answers that wait for slow readers, all calls of authorities together, and all of others.
const ANSWER_MEMORY: usize = 64 * 1024 * 1024;
/// An answer of more bytes than this needs a place of its own while it is written: a peer has two, and peers that are no
/// authorities share those beyond the first.
const SMALL_ANSWER: usize = 64 * 1024;
const LARGE_PER_PEER: usize = 2;
const LARGE_SHARED: usize = 8;
/// The time for writing any answer, and the slowest rate beyond it.
const WRITE_TIME: Duration = Duration::from_secs(20);
const SLOWEST_BYTES_PER_SECOND: usize = 64 * 1024;
/// What the caller waits beyond the time of the method.
const WAY: Duration = Duration::from_secs(15);
const GREETING_WAIT: Duration = Duration::from_secs(10);
/// How often a call is made whose stream was dropped before the peer took it.
const ATTEMPTS: u32 = 4;
const ATTEMPT_PAUSE: Duration = Duration::from_millis(25);
const MAX_TEXT_BYTES: usize = 512;

/// The first byte of an answer: it was taken, and is being worked on. A final status follows.
const TAKEN: u8 = 255;
const DONE: u8 = 0;

/// A refusal as status and text.
fn encode(refusal: &Refusal) -> (u8, &str) {
    match refusal {
        Refusal::Busy => (1, ""),
        Refusal::NotFound => (2, ""),
        Refusal::NotAllowed(text) => (3, text),
        Refusal::Malformed(text) => (4, text),
        Refusal::Failed(text) => (5, text),
        Refusal::TooLarge => (6, ""),
        Refusal::UnknownMethod => (7, ""),
        Refusal::TooSlow => (8, ""),
    }
}

fn decode(status: u8, text: &[u8]) -> Option<Refusal> {
    // Another node's text: what a terminal would act on is taken out.
    let text = || String::from_utf8_lossy(text).chars().filter(|c| !c.is_control()).collect();
    Some(match status {
        1 => Refusal::Busy,
        2 => Refusal::NotFound,
        3 => Refusal::NotAllowed(text()),
        4 => Refusal::Malformed(text()),
        5 => Refusal::Failed(text()),
        6 => Refusal::TooLarge,
        7 => Refusal::UnknownMethod,
        8 => Refusal::TooSlow,
        _ => return None,
    })
}

/// The first part of a text that fits.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(MAX_TEXT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Calls a peer.
pub(crate) async fn call(shared: &Shared, peer: PeerId, method: Method, body: Bytes) -> Result<Bytes, CallError> {
    let limits = method.limits();
    if body.len() > limits.request {
        return Err(CallError::RequestTooLarge { actual: body.len(), limit: limits.request });
    }
    if !shared.connected(&peer).await {
        return Err(CallError::NotConnected);
    }
    let calling = async {
        let mut attempt = 1;
        loop {
            match once(shared, peer, method, &body).await {
                Err(Attempt::NotTaken(error)) if attempt == ATTEMPTS => return Err(CallError::Broken(error)),
                Err(Attempt::NotTaken(_)) => sleep(ATTEMPT_PAUSE * attempt).await,
                Err(Attempt::Failed(error)) => return Err(error),
                Ok(answer) => return Ok(answer),
            }
            attempt += 1;
        }
    };
    timeout(limits.time + WAY, calling).await.map_err(|_| CallError::TooSlow)?
}

#[derive(Debug)]
pub(crate) enum Attempt {
    /// The stream ended before the peer's first byte: bursts of streams are dropped that way.
    NotTaken(io::Error),
    /// It was taken, and something else is wrong.
    Failed(CallError),
}

async fn once(shared: &Shared, peer: PeerId, method: Method, body: &[u8]) -> Result<Bytes, Attempt> {
    let failed = |error| Attempt::Failed(CallError::Broken(error));
    let mut stream = shared.open(peer, PROTOCOL).await.map_err(failed)?;
    // A peer that refuses does not read the request, so that writing may fail although there is an answer.
    let sent = write_request(&mut stream, method, body).await;
    read_answer(&mut stream, method, sent).await
}

pub(crate) async fn write_request<W: AsyncWrite + Unpin>(
    stream: &mut W,
    method: Method,
    body: &[u8],
) -> io::Result<()> {
    let length = header(body.len()).ok_or(io::ErrorKind::InvalidInput)?;
    let mut head = [method.code(), 0, 0, 0, 0];
    head[1..].copy_from_slice(&length);
    unstalled(stream.write_all(&head)).await?;
    write_body(stream, body).await?;
    unstalled(stream.flush()).await
}

/// Reads the answer. `sent`: what became of the request.
pub(crate) async fn read_answer<R: AsyncRead + Unpin>(
    stream: &mut R,
    method: Method,
    sent: io::Result<()>,
) -> Result<Bytes, Attempt> {
    let failed = |error| Attempt::Failed(CallError::Broken(error));
    let mut status = [0];
    if let Err(error) = stream.read_exact(&mut status).await {
        return Err(Attempt::NotTaken(sent.err().unwrap_or(error)));
    }
    if status == [TAKEN] {
        stream.read_exact(&mut status).await.map_err(failed)?;
    }
    let mut head = [0; 4];
    unstalled(stream.read_exact(&mut head)).await.map_err(failed)?;
    let limit = if status == [DONE] { method.limits().answer } else { MAX_TEXT_BYTES };
    let length = length(head, limit).ok_or_else(|| {
        let actual = usize::try_from(u32::from_be_bytes(head)).unwrap_or(usize::MAX);
        Attempt::Failed(CallError::AnswerTooLarge { actual, limit })
    })?;
    let answer = read_body(stream, length).await.map_err(failed)?;
    if status == [DONE] {
        return Ok(answer.into());
    }
    Err(Attempt::Failed(decode(status[0], &answer).map_or(CallError::Malformed, CallError::Refused)))
}

/// The serving side.
pub(crate) struct Server {
    shared: Arc<Shared>,
    provider: Arc<dyn Provider>,
    /// Of authorities, so that strangers who read slowly take nothing away from them.
    memory_of_members: Semaphore,
    memory: Semaphore,
    large: Arc<Slots<PeerId>>,
    /// Places of calls that are held back, so that waiting takes no place of working.
    waiting: Arc<Slots<PeerId>>,
}

impl Server {
    pub fn new(shared: Arc<Shared>, provider: Arc<dyn Provider>) -> Self {
        let memory = || Semaphore::new(ANSWER_MEMORY);
        let (large, waiting) = (Slots::new(LARGE_PER_PEER, LARGE_SHARED), Slots::new(PER_PEER, SHARED));
        Self { shared, provider, memory_of_members: memory(), memory: memory(), large, waiting }
    }

    /// Serves one call in this place.
    pub async fn serve(&self, peer: PeerId, mut stream: Stream, mut slot: Slot<PeerId>) {
        if let Err(error) = self.try_serve(peer, &mut stream, &mut slot).await {
            tracing::debug!(%peer, %error, "a call was not answered");
        }
    }

    async fn try_serve(&self, peer: PeerId, stream: &mut Stream, slot: &mut Slot<PeerId>) -> io::Result<()> {
        if !self.shared.greeted(&peer, GREETING_WAIT).await {
            return Ok(());
        }
        take(stream).await?;
        let answer = self.answer(peer, stream, slot).await?;
        let bytes = match &answer {
            Ok(body) => body.len(),
            Err(_) => MAX_TEXT_BYTES,
        };
        let member = self.shared.member(&peer).is_some();
        let memory = if member { &self.memory_of_members } else { &self.memory };
        let permits = u32::try_from(bytes).map_or(None, |bytes| memory.try_acquire_many(bytes).ok());
        let large = (bytes > SMALL_ANSWER).then(|| self.large.take(peer, member));
        let answer = match (&permits, &large) {
            (Some(_), None | Some(Some(_))) => answer,
            // Not "busy": by now it was carried out.
            _ => Err(Refusal::Failed("there is no room for the answer; it was carried out".to_owned())),
        };
        let time = WRITE_TIME.saturating_add(Duration::from_secs((bytes / SLOWEST_BYTES_PER_SECOND) as u64));
        timeout(time, respond(stream, answer)).await.map_err(|_| io::ErrorKind::TimedOut)?
    }

    async fn answer(
        &self,
        peer: PeerId,
        stream: &mut Stream,
        slot: &mut Slot<PeerId>,
    ) -> io::Result<Result<Bytes, Refusal>> {
        let mut head = [0; 5];
        unstalled(stream.read_exact(&mut head)).await?;
        let [code, a, b, c, d] = head;
        let Some(method) = Method::from_code(code) else { return Ok(Err(Refusal::UnknownMethod)) };
        let limits = method.limits();
        let Some(length) = length([a, b, c, d], limits.request) else { return Ok(Err(Refusal::TooLarge)) };
        let body = read_body(stream, length).await?;
        let from = Peer { name: PeerName(peer), authority: self.shared.member(&peer) };
        if method.may_be_held_back() {
            let Some(waiting) = self.waiting.take(peer, from.authority.is_some()) else {
                return Ok(Err(Refusal::Busy));
            };
            *slot = waiting;
        }
        let working = self.provider.call(&from, method, body.into());
        // A caller that goes away is noticed by the end of its stream; nothing else may come on it.
        let mut more = [0];
        let answer = tokio::select! {
            answer = timeout(limits.time, working) => answer,
            _ = stream.read(&mut more) => return Err(io::ErrorKind::UnexpectedEof.into()),
        };
        Ok(match answer {
            Ok(Ok(answer)) if answer.len() > limits.answer => {
                tracing::error!(?method, bytes = answer.len(), "an answer longer than its method allows");
                Err(Refusal::Failed("the answer is too long".into()))
            }
            Ok(answer) => answer,
            Err(_) => Err(Refusal::TooSlow),
        })
    }
}

/// Says that the call was taken.
pub(crate) async fn take<W: AsyncWrite + Unpin>(stream: &mut W) -> io::Result<()> {
    unstalled(stream.write_all(&[TAKEN])).await?;
    unstalled(stream.flush()).await
}

/// Writes an answer and closes the stream.
pub(crate) async fn respond<W: AsyncWrite + Unpin>(stream: &mut W, answer: Result<Bytes, Refusal>) -> io::Result<()> {
    let (status, body) = match &answer {
        Ok(body) => (DONE, body.as_ref()),
        Err(refusal) => {
            let (status, text) = encode(refusal);
            (status, cut(text).as_bytes())
        }
    };
    let length = header(body.len()).ok_or(io::ErrorKind::InvalidInput)?;
    let mut head = [status, 0, 0, 0, 0];
    head[1..].copy_from_slice(&length);
    unstalled(stream.write_all(&head)).await?;
    write_body(stream, body).await?;
    unstalled(stream.close()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_survives_and_other_statuses_are_none() {
        let text = || "why".to_owned();
        let all = [
            Refusal::Busy,
            Refusal::NotFound,
            Refusal::NotAllowed(text()),
            Refusal::Malformed(text()),
            Refusal::Failed(text()),
            Refusal::TooLarge,
            Refusal::UnknownMethod,
            Refusal::TooSlow,
        ];
        for refusal in all {
            let (status, text) = encode(&refusal);
            assert_eq!(decode(status, text.as_bytes()), Some(refusal.clone()));
        }
        for status in [DONE, 9, TAKEN] {
            assert_eq!(decode(status, b""), None);
        }
        assert_eq!(decode(5, b"a\x1b\xffb"), Some(Refusal::Failed("a\u{fffd}b".into())));
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(cut("short"), "short");
        let long = format!("{}é", "a".repeat(MAX_TEXT_BYTES - 1));
        assert_eq!(cut(&long).len(), MAX_TEXT_BYTES - 1);
    }
}
