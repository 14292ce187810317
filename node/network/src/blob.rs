//! Files by digest, from one node to another.

use std::fs::File;
use std::io::{self, Read as _};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use libp2p::{PeerId, Stream, StreamProtocol};
use pyrsia_digest::Sha256;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use crate::BlobError;
use crate::frame::unstalled;
use crate::peer::{BlobFile, BlobSink, Provider};
use crate::shared::Shared;

pub(crate) const PROTOCOL: StreamProtocol = StreamProtocol::new("/pyrsia-maven/blob/1");
/// Transfers at a time to one peer.
pub(crate) const PER_PEER: usize = 4;
/// Of these, those that all peers that are no authorities share, beyond one for each.
pub(crate) const SHARED: usize = 32;
/// Bytes that are read from a file or a stream at a time. Small enough to be still in a processor's cache when the next
/// step takes them, and for memory that is used again instead of mapped anew.
const PIECE: usize = 64 * 1024;
/// Pieces that are read ahead of the slower side.
const PIECES_AHEAD: usize = 16;
/// The time for any transfer, and the slowest rates beyond it: of an authority, and of anybody else, who may declare any size.
const BASE_TIME: Duration = Duration::from_secs(20);
const SLOWEST_BYTES_PER_SECOND: u64 = 64 * 1024;
const SLOWEST_OF_STRANGERS: u64 = 1024 * 1024;
const GREETING_WAIT: Duration = Duration::from_secs(10);
const ATTEMPTS: u32 = 4;
const ATTEMPT_PAUSE: Duration = Duration::from_millis(25);

const FOUND: u8 = 0;
const NOT_FOUND: u8 = 1;
const BUSY: u8 = 2;

/// The time that so many bytes may take at the slowest rate.
///
/// **The receiver counts the bytes that came, not those that were declared**: a peer has to keep a pace, and whoever invents a
/// large file has to send it.
fn time_for(size: u64, slowest: u64) -> Duration {
    BASE_TIME.saturating_add(Duration::from_secs(size / slowest))
}

/// Fetches a file.
pub(crate) async fn fetch(
    shared: &Shared,
    peer: PeerId,
    sha256: &Sha256,
    max_bytes: u64,
    sink: &mut dyn BlobSink,
) -> Result<u64, BlobError> {
    if !shared.connected(&peer).await {
        return Err(BlobError::NotConnected);
    }
    let mut attempt = 1;
    let (stream, size) = loop {
        match ask(shared, peer, sha256).await {
            Ok(found) => break found,
            // Bursts of streams are dropped before the other side has seen them.
            Err(BlobError::Truncated { .. }) if attempt < ATTEMPTS => sleep(ATTEMPT_PAUSE * attempt).await,
            Err(error) => return Err(error),
        }
        attempt += 1;
    };
    if size > max_bytes {
        return Err(BlobError::TooLarge { actual: size, limit: max_bytes });
    }
    let slowest = if shared.member(&peer).is_some() { SLOWEST_BYTES_PER_SECOND } else { SLOWEST_OF_STRANGERS };
    receive(stream, size, slowest, sha256, sink).await
}

/// Asks for a file and reads the answer up to the first byte of the content.
async fn ask(shared: &Shared, peer: PeerId, sha256: &Sha256) -> Result<(Stream, u64), BlobError> {
    let broken = |source| BlobError::Truncated { received: 0, size: 0, source };
    // Only a stream that was dropped is worth another attempt.
    let mut stream = shared.open(peer, PROTOCOL).await.map_err(|error| match error.kind() {
        io::ErrorKind::TimedOut => BlobError::TooSlow,
        _ => BlobError::NotConnected,
    })?;
    let asking = async {
        write_request(&mut stream, sha256).await?;
        read_head(&mut stream).await
    };
    match unstalled(asking).await {
        Ok((FOUND, size)) => Ok((stream, size)),
        Ok((NOT_FOUND, _)) => Err(BlobError::NotFound),
        Ok((BUSY, _)) => Err(BlobError::Busy),
        Ok(_) => Err(BlobError::Malformed),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(BlobError::TooSlow),
        Err(error) => Err(broken(error)),
    }
}

pub(crate) async fn write_request<W: AsyncWrite + Unpin>(stream: &mut W, sha256: &Sha256) -> io::Result<()> {
    stream.write_all(sha256.as_bytes()).await?;
    stream.flush().await
}

/// Status and size; 0 when there is no content.
pub(crate) async fn read_head<R: AsyncRead + Unpin>(stream: &mut R) -> io::Result<(u8, u64)> {
    let mut status = [0];
    stream.read_exact(&mut status).await?;
    let mut size = [0; 8];
    if status == [FOUND] {
        stream.read_exact(&mut size).await?;
    }
    Ok((status[0], u64::from_be_bytes(size)))
}

/// Receives the content. Reading runs ahead of the sink by a bounded number of pieces, so that a slow disk does not stop
/// the stream at each piece.
async fn receive(
    mut stream: Stream,
    size: u64,
    slowest: u64,
    sha256: &Sha256,
    sink: &mut dyn BlobSink,
) -> Result<u64, BlobError> {
    sink.begin(size).await.map_err(BlobError::Write)?;
    let (pieces, mut incoming) = mpsc::channel::<Bytes>(PIECES_AHEAD);
    let reading = async move {
        let begun = Instant::now();
        let mut received = 0;
        while received < size {
            let piece = read_piece(&mut stream, begun, slowest, received, size).await?;
            received += piece.len() as u64;
            if pieces.send(piece).await.is_err() {
                break;
            }
        }
        // Nothing may follow, but whether it does is of no interest.
        Ok(())
    };
    let writing = async {
        while let Some(piece) = incoming.recv().await {
            sink.piece(piece).await.map_err(BlobError::Write)?;
        }
        Ok(())
    };
    tokio::try_join!(reading, writing)?;
    let digest = sink.end().await.map_err(BlobError::Write)?;
    if digest == *sha256 { Ok(size) } else { Err(BlobError::WrongDigest) }
}

/// The next piece of a content of `size` bytes, of which `received` have come since `begun`.
async fn read_piece(
    stream: &mut Stream,
    begun: Instant,
    slowest: u64,
    received: u64,
    size: u64,
) -> Result<Bytes, BlobError> {
    let left = usize::try_from(size - received).unwrap_or(PIECE);
    let mut piece = vec![0; PIECE.min(left)];
    let mut filled = 0;
    while filled < piece.len() {
        let received = received + filled as u64;
        let pace = time_for(received, slowest).saturating_sub(begun.elapsed());
        // A clean end before the declared size is no success.
        let count = match timeout(pace, unstalled(stream.read(&mut piece[filled..]))).await {
            Err(_) => return Err(BlobError::TooSlow),
            Ok(Ok(0)) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(other) => other,
        };
        filled += count.map_err(|source| match source.kind() {
            io::ErrorKind::TimedOut => BlobError::TooSlow,
            _ => BlobError::Truncated { received, size, source },
        })?;
    }
    Ok(piece.into())
}

/// Serves one transfer.
pub(crate) async fn serve(shared: Arc<Shared>, provider: Arc<dyn Provider>, peer: PeerId, mut stream: Stream) {
    if let Err(error) = try_serve(&shared, provider.as_ref(), &peer, &mut stream).await {
        tracing::debug!(%peer, %error, "a blob was not sent completely");
    }
}

async fn try_serve(shared: &Shared, provider: &dyn Provider, peer: &PeerId, stream: &mut Stream) -> io::Result<()> {
    if !shared.greeted(peer, GREETING_WAIT).await {
        return Ok(());
    }
    let mut digest = [0; 32];
    unstalled(stream.read_exact(&mut digest)).await?;
    let found = timeout(crate::frame::STALL, provider.blob(&Sha256::from_bytes(digest))).await.ok().flatten();
    let Some((file, size)) = open(found).await else {
        return say(stream, NOT_FOUND).await;
    };
    let sending = send(stream, file, size);
    timeout(time_for(size, SLOWEST_BYTES_PER_SECOND), sending).await.map_err(|_| io::ErrorKind::TimedOut)?
}

/// Opens the file of a blob. One that is not there, or has another size, is not there for the peer either.
async fn open(found: Option<BlobFile>) -> Option<(File, u64)> {
    let BlobFile { path, size } = found?;
    let opening = {
        let path = path.clone();
        move || {
            let file = File::open(path)?;
            let actual = file.metadata()?.len();
            Ok::<_, io::Error>((file, actual))
        }
    };
    let (file, actual) = tokio::task::spawn_blocking(opening).await.ok()?.ok()?;
    if actual != size {
        tracing::warn!(path = %path.display(), actual, size, "a blob has another size than its store says");
        return None;
    }
    Some((file, size))
}

/// The beginning of an answer: the content follows.
pub(crate) fn head(size: u64) -> [u8; 9] {
    let mut bytes = [FOUND; 9];
    bytes[1..].copy_from_slice(&size.to_be_bytes());
    bytes
}

async fn send(stream: &mut Stream, file: File, size: u64) -> io::Result<()> {
    unstalled(stream.write_all(&head(size))).await?;
    let (pieces, mut outgoing) = mpsc::channel::<Vec<u8>>(PIECES_AHEAD);
    let reading = async move {
        let mut file = Some(file);
        let mut left = size;
        while left > 0 {
            let Some(from) = file.take() else { break };
            let wanted = usize::try_from(left).unwrap_or(usize::MAX);
            // A blocking thread is held for the time of a read alone, never while the peer is slow.
            let (from, read) = tokio::task::spawn_blocking(move || read_pieces(from, wanted)).await??;
            file = Some(from);
            for piece in read {
                left = left.saturating_sub(piece.len() as u64);
                if pieces.send(piece).await.is_err() {
                    return Ok(());
                }
            }
        }
        Ok(())
    };
    let writing = async {
        while let Some(piece) = outgoing.recv().await {
            crate::frame::write_body(stream, &piece).await?;
        }
        unstalled(stream.close()).await
    };
    tokio::try_join!(reading, writing).map(|_: ((), ())| ())
}

/// The next pieces of a file, of `wanted` bytes together at most.
fn read_pieces(mut file: File, wanted: usize) -> io::Result<(File, Vec<Vec<u8>>)> {
    let mut pieces = Vec::new();
    let mut left = wanted.min(PIECE * PIECES_AHEAD / 2);
    while left > 0 {
        let length = PIECE.min(left);
        let mut piece = Vec::with_capacity(length);
        if file.by_ref().take(length as u64).read_to_end(&mut piece)? < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        left -= length;
        pieces.push(piece);
    }
    Ok((file, pieces))
}

/// Tells a peer that there is no place for it.
pub(crate) async fn busy(stream: &mut Stream) -> io::Result<()> {
    say(stream, BUSY).await
}

async fn say(stream: &mut Stream, status: u8) -> io::Result<()> {
    unstalled(stream.write_all(&[status])).await?;
    unstalled(stream.close()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_grows_with_the_size_and_never_overflows() {
        assert_eq!(time_for(0, SLOWEST_OF_STRANGERS), Duration::from_secs(20));
        assert_eq!(time_for(64 * 1024 * 100, SLOWEST_BYTES_PER_SECOND), Duration::from_secs(120));
        assert_eq!(time_for(1 << 30, SLOWEST_OF_STRANGERS), Duration::from_secs(20 + 1024));
        assert!(time_for(u64::MAX, 1) > time_for(1 << 50, 1));
    }
}
