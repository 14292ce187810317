//! The exchange of greetings, with which every connection begins and which is repeated when there are new records.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{AsyncReadExt as _, AsyncWriteExt as _};
use libp2p::{PeerId, Stream, StreamProtocol};
use tokio::time::{Instant, sleep, timeout};

use crate::dial::{LONG_REST, LONGEST_PAUSE};
use crate::frame::{read_frame, unstalled, write_frame};
use crate::hello::{Goodbye, Greeting, Hello, MAX_HELLO_BYTES, VERSION};
use crate::queue::lock;
use crate::record::{AuthorityRecord, News, RecordError};
use crate::shared::{Command, Shared};
use crate::table::Greet;

pub(crate) const PROTOCOL: StreamProtocol = StreamProtocol::new("/pyrsia-maven/hello/1");
/// How long one exchange may take.
const EXCHANGE_TIME: Duration = Duration::from_secs(10);
const ATTEMPTS: u32 = 3;
const ATTEMPT_PAUSE: Duration = Duration::from_millis(200);

enum Failure {
    /// The stream broke or was dropped: worth another attempt.
    Broken(io::Error),
    /// The peer wants nothing to do with this node.
    Theirs(Goodbye),
    /// This node wants nothing to do with the peer.
    Ours(Goodbye),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

/// Greets a connected peer. Ends the connections with it when that does not work.
pub(crate) async fn greet(shared: Arc<Shared>, peer: PeerId) {
    attempts(&shared, peer).await;
    lock(&shared.inner).table.end(&peer);
    shared.poke();
}

async fn attempts(shared: &Arc<Shared>, peer: PeerId) {
    for attempt in 1..=ATTEMPTS {
        let exchange = timeout(EXCHANGE_TIME, exchange(shared, peer));
        match exchange.await.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into())) {
            Ok(()) => return,
            Err(Failure::Broken(error)) => {
                if !lock(&shared.inner).table.is_connected(&peer) {
                    return;
                }
                tracing::debug!(%peer, %error, attempt, "greeting failed");
                sleep(ATTEMPT_PAUSE * attempt).await;
            }
            Err(Failure::Theirs(why)) => {
                tracing::info!(%peer, "the peer turned this node away: {why}");
                let rest = if why == Goodbye::Full { LONGEST_PAUSE } else { LONG_REST };
                return shared.command(Command::Disconnect { peer, rest, refuse: false }).await;
            }
            Err(Failure::Ours(why)) => return turn_away(shared, peer, why).await,
        }
    }
    shared.command(Command::Disconnect { peer, rest: Duration::ZERO, refuse: false }).await;
}

async fn turn_away(shared: &Shared, peer: PeerId, why: Goodbye) {
    tracing::info!(%peer, "turning a peer away: {why}");
    let rest = if why == Goodbye::Full { Duration::ZERO } else { LONG_REST };
    shared.command(Command::Disconnect { peer, rest, refuse: why == Goodbye::Misbehaved }).await;
}

async fn exchange(shared: &Arc<Shared>, peer: PeerId) -> Result<(), Failure> {
    let mut stream = shared.open(peer, PROTOCOL).await?;
    let hello = Greeting::Hello(Box::new(shared.hello(&peer)));
    write_frame(&mut stream, &hello.encode()).await?;
    unstalled(stream.flush()).await?;
    let answer = read_frame(&mut stream, MAX_HELLO_BYTES).await?;
    let _ = stream.close().await;
    match Greeting::decode(&answer) {
        Some(Greeting::Hello(hello)) => receive(shared, peer, *hello).await.map_err(Failure::Ours),
        Some(Greeting::Goodbye(why)) => Err(Failure::Theirs(why)),
        None => Err(Failure::Ours(Goodbye::Misbehaved)),
    }
}

/// Answers the greeting of a peer.
pub(crate) async fn answer(shared: Arc<Shared>, peer: PeerId, mut stream: Stream) {
    let work = async {
        // The stream can be here before the event that its connection was made.
        shared.until(|inner| inner.table.is_connected(&peer).then_some(())).await;
        if !lock(&shared.inner).table.may_greet(&peer, Instant::now().into_std()) {
            return Ok(());
        }
        let greeting = read_frame(&mut stream, MAX_HELLO_BYTES).await?;
        let taken = match Greeting::decode(&greeting) {
            Some(Greeting::Hello(hello)) => receive(&shared, peer, *hello).await,
            _ => Err(Goodbye::Misbehaved),
        };
        let answer = match taken {
            Ok(()) => Greeting::Hello(Box::new(shared.hello(&peer))),
            Err(why) => Greeting::Goodbye(why),
        };
        write_frame(&mut stream, &answer.encode()).await?;
        unstalled(stream.flush()).await?;
        unstalled(stream.close()).await?;
        if let Err(why) = taken {
            // Time to read the reason, and no more than that.
            let _ = timeout(Duration::from_secs(2), stream.read(&mut [0])).await;
            turn_away(&shared, peer, why).await;
        }
        io::Result::Ok(())
    };
    if let Ok(Err(error)) = timeout(EXCHANGE_TIME, work).await {
        tracing::debug!(%peer, %error, "answering a greeting failed");
    }
}

/// Takes in what a peer says of itself and of others.
async fn receive(shared: &Shared, peer: PeerId, hello: Hello) -> Result<(), Goodbye> {
    if hello.version != VERSION {
        return Err(Goodbye::OtherVersion);
    }
    if hello.network != *shared.network.as_bytes() {
        return Err(Goodbye::OtherNetwork);
    }
    let mut member = None;
    if let Some(record) = hello.own {
        if record.content.peer != peer.to_bytes() {
            return Err(Goodbye::Misbehaved);
        }
        member = take(shared, record, true)?;
    }
    for record in hello.others {
        take(shared, record, false)?;
    }
    let (greet, entitled) = {
        let mut inner = lock(&shared.inner);
        let entitled = member.is_some_and(|position| inner.book.peer(position) == Some(peer));
        (inner.table.greet(&peer, hello.instance, member, entitled), entitled)
    };
    shared.poke();
    match greet {
        Greet::Full => Err(Goodbye::Full),
        Greet::Gone => Ok(()),
        Greet::Welcome { restarted } => {
            tracing::debug!(%peer, entitled, restarted, "greeted");
            if restarted {
                shared.command(Command::CloseOlder(peer)).await;
            }
            shared.command(Command::Greeted(peer)).await;
            Ok(())
        }
    }
}

/// Checks a record and keeps it if it is news. An older one is checked only if `always`. Returns the member's position.
fn take(shared: &Shared, record: AuthorityRecord, always: bool) -> Result<Option<usize>, Goodbye> {
    let mut inner = lock(&shared.inner);
    let position = inner.book.position_of(&record.content.authority);
    match inner.book.news(&record) {
        Ok(News::Known) => return Ok(position),
        Ok(News::Older) if !always => return Ok(None),
        // Of another committee than ours, older or newer: not ours to judge.
        Err(RecordError::NoMember) => return Ok(None),
        _ => {}
    }
    match inner.book.verify(record) {
        Ok(verified) => {
            inner.book.take(verified);
            Ok(position)
        }
        Err(error) => {
            tracing::warn!(%error, "a peer sent a record that does not check out");
            Err(Goodbye::Misbehaved)
        }
    }
}
