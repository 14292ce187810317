//! Links between authorities: one long-lived stream for each direction, member and channel.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{AsyncReadExt as _, AsyncWriteExt as _};
use libp2p::{PeerId, Stream, StreamProtocol};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::Channel;
use crate::frame::{length, read_body, unstalled, write_frame};
use crate::queue::{Inbox, Outbox, lock};
use crate::shared::Shared;

/// The byte with which the receiving side takes a stream. Until it came, nothing is sent: the stream may have been
/// dropped unseen.
const TAKEN: u8 = 1;
/// How long the other side may take for that, its wait for our greeting included.
const TAKE_TIME: Duration = Duration::from_secs(15);
/// How long an incoming stream waits for the greeting of its peer.
const GREETING_WAIT: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

pub(crate) fn protocol(channel: Channel) -> StreamProtocol {
    match channel {
        Channel::Consensus => StreamProtocol::new("/pyrsia-maven/link/consensus/1"),
        Channel::Cosignatures => StreamProtocol::new("/pyrsia-maven/link/cosignatures/1"),
    }
}

/// Sends what is in the outbox to the member, for ever.
pub(crate) async fn send(shared: Arc<Shared>, position: usize, channel: Channel, outbox: Arc<Outbox>) {
    let mut pause = FIRST_PAUSE;
    loop {
        outbox.filled().await;
        let peer =
            shared.until(|inner| inner.book.peer(position).filter(|peer| inner.member(peer) == Some(position))).await;
        match open(&shared, peer, channel).await {
            Ok(stream) => {
                pause = FIRST_PAUSE;
                let error = pump(stream, &outbox).await;
                tracing::debug!(position, ?channel, %error, "link closed");
                // Not more often than this even if the other side takes every stream and closes it.
                sleep(FIRST_PAUSE).await;
            }
            Err(error) => {
                tracing::debug!(position, ?channel, %error, "link not opened");
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

async fn open(shared: &Shared, peer: PeerId, channel: Channel) -> io::Result<Stream> {
    let mut stream = shared.open(peer, protocol(channel)).await?;
    let mut taken = [0];
    timeout(TAKE_TIME, stream.read_exact(&mut taken)).await.map_err(|_| io::ErrorKind::TimedOut)??;
    if taken == [TAKEN] { Ok(stream) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// Sends until something goes wrong; what was not sent completely is put back.
async fn pump(stream: Stream, outbox: &Outbox) -> io::Error {
    let (mut reader, mut writer) = stream.split();
    loop {
        let mut end = [0];
        let message = tokio::select! {
            message = outbox.next() => message,
            // The other side sends nothing more: whatever comes is the end.
            ended = reader.read(&mut end) => return ended.err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into()),
        };
        let sent = async {
            write_frame(&mut writer, &message).await?;
            if outbox.is_empty() { unstalled(writer.flush()).await } else { Ok(()) }
        };
        if let Err(error) = sent.await {
            outbox.put_back(message);
            return error;
        }
    }
}

/// The incoming streams that are read: the newest of each member and channel.
#[derive(Debug, Default)]
pub(crate) struct Readers(Mutex<HashMap<(usize, Channel), CancellationToken>>);

impl Readers {
    fn replace(&self, position: usize, channel: Channel) -> CancellationToken {
        let token = CancellationToken::new();
        if let Some(older) = lock(&self.0).insert((position, channel), token.clone()) {
            older.cancel();
        }
        token
    }
}

/// Reads an incoming stream, if it is a member's.
pub(crate) async fn receive(
    shared: Arc<Shared>,
    peer: PeerId,
    channel: Channel,
    mut stream: Stream,
    readers: Arc<Readers>,
    inbox: Arc<Inbox>,
) {
    if shared.position.is_none() || !shared.greeted(&peer, GREETING_WAIT).await {
        return;
    }
    let Some(position) = shared.member(&peer) else {
        tracing::debug!(%peer, ?channel, "a link of somebody who is no authority");
        return;
    };
    let replaced = readers.replace(position, channel);
    let reading = async {
        unstalled(stream.write_all(&[TAKEN])).await?;
        unstalled(stream.flush()).await?;
        loop {
            let mut head = [0; 4];
            stream.read_exact(&mut head).await?;
            let length = length(head, channel.max_message()).filter(|length| *length > 0);
            let length = length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "length out of bounds"))?;
            let message = read_body(&mut stream, length).await?;
            if shared.member(&peer) != Some(position) {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the authority has another node now"));
            }
            if inbox.push(position, Bytes::from(message)) > 0 {
                tracing::debug!(position, ?channel, "messages dropped: nobody takes them fast enough");
            }
        }
    };
    let reading = async {
        let ended: io::Result<()> = reading.await;
        if let Err(error) = ended {
            tracing::debug!(position, ?channel, %error, "incoming link closed");
        }
    };
    replaced.run_until_cancelled(reading).await;
}
