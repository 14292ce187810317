//! Files by digest, from one node to another.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{AsyncRead as FuturesRead, AsyncReadExt as _, AsyncWrite as FuturesWrite, AsyncWriteExt as _};
use libp2p::{PeerId, Stream, StreamProtocol};
use pyrsia_digest::Sha256;
use sha2::Digest as _;
use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::BlobError;
use crate::frame::unstalled;
use crate::peer::{BlobFile, Provider};
use crate::shared::Shared;

pub(crate) const PROTOCOL: StreamProtocol = StreamProtocol::new("/pyrsia-maven/blob/1");
/// Transfers at a time to one peer.
pub(crate) const PER_PEER: usize = 4;
/// Of these, those that all peers that are no authorities share, beyond one for each.
pub(crate) const SHARED: usize = 32;
/// Bytes that are read from a file or a stream at a time.
const PIECE: usize = 256 * 1024;
/// Pieces that are read ahead of the slower side.
const PIECES_AHEAD: usize = 2;
/// The time for any transfer, and the slowest rate beyond it.
const BASE_TIME: Duration = Duration::from_secs(60);
const SLOWEST_BYTES_PER_SECOND: u64 = 64 * 1024;
const GREETING_WAIT: Duration = Duration::from_secs(10);
const ATTEMPTS: u32 = 4;
const ATTEMPT_PAUSE: Duration = Duration::from_millis(25);

const FOUND: u8 = 0;
const NOT_FOUND: u8 = 1;
const BUSY: u8 = 2;

/// The time that a transfer of this size may take.
fn time_for(size: u64) -> Duration {
    BASE_TIME.saturating_add(Duration::from_secs(size / SLOWEST_BYTES_PER_SECOND))
}

/// Fetches a file.
pub(crate) async fn fetch(
    shared: &Shared,
    peer: PeerId,
    sha256: &Sha256,
    max_bytes: u64,
    out: &mut (dyn AsyncWrite + Unpin + Send),
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
    timeout(time_for(size), receive(stream, size, sha256, out)).await.map_err(|_| BlobError::TooSlow)?
}

/// Asks for a file and reads the answer up to the first byte of the content.
async fn ask(shared: &Shared, peer: PeerId, sha256: &Sha256) -> Result<(Stream, u64), BlobError> {
    let broken = |source| BlobError::Truncated { received: 0, size: 0, source };
    let mut stream = shared.open(peer, PROTOCOL).await.map_err(broken)?;
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

pub(crate) async fn write_request<W: FuturesWrite + Unpin>(stream: &mut W, sha256: &Sha256) -> io::Result<()> {
    stream.write_all(sha256.as_bytes()).await?;
    stream.flush().await
}

/// Status and size; 0 when there is no content.
pub(crate) async fn read_head<R: FuturesRead + Unpin>(stream: &mut R) -> io::Result<(u8, u64)> {
    let mut status = [0];
    stream.read_exact(&mut status).await?;
    let mut size = [0; 8];
    if status == [FOUND] {
        stream.read_exact(&mut size).await?;
    }
    Ok((status[0], u64::from_be_bytes(size)))
}

/// Receives the content. Reading runs ahead of hashing and writing by a bounded number of pieces, so that a slow disk
/// does not stop the stream at each piece.
async fn receive(
    mut stream: Stream,
    size: u64,
    sha256: &Sha256,
    out: &mut (dyn AsyncWrite + Unpin + Send),
) -> Result<u64, BlobError> {
    let (pieces, mut incoming) = mpsc::channel::<Vec<u8>>(PIECES_AHEAD);
    let reading = async move {
        let mut received = 0;
        while received < size {
            let left = usize::try_from(size - received).unwrap_or(PIECE);
            let mut piece = vec![0; PIECE.min(left)];
            let mut filled = 0;
            while filled < piece.len() {
                // A clean end before the declared size is no success.
                let count = match unstalled(stream.read(&mut piece[filled..])).await {
                    Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
                    other => other,
                };
                filled += count.map_err(|source| {
                    let received = received + filled as u64;
                    match source.kind() {
                        io::ErrorKind::TimedOut => BlobError::TooSlow,
                        _ => BlobError::Truncated { received, size, source },
                    }
                })?;
            }
            received += filled as u64;
            if pieces.send(piece).await.is_err() {
                break;
            }
        }
        // Nothing may follow, but whether it does is of no interest.
        Ok(())
    };
    let writing = async {
        let mut hasher = sha2::Sha256::new();
        while let Some(piece) = incoming.recv().await {
            hasher.update(&piece);
            out.write_all(&piece).await.map_err(BlobError::Write)?;
        }
        out.flush().await.map_err(BlobError::Write)?;
        Ok(Sha256::from_bytes(hasher.finalize().into()))
    };
    let ((), digest) = tokio::try_join!(reading, writing)?;
    if digest == *sha256 { Ok(size) } else { Err(BlobError::WrongDigest) }
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
    timeout(time_for(size), sending).await.map_err(|_| io::ErrorKind::TimedOut)?
}

/// Opens the file of a blob. One that is not there, or has another size, is not there for the peer either.
async fn open(found: Option<BlobFile>) -> Option<(tokio::fs::File, u64)> {
    let BlobFile { path, size } = found?;
    let file = tokio::fs::File::open(&path).await.ok()?;
    let actual = file.metadata().await.ok()?.len();
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

async fn send(stream: &mut Stream, mut file: tokio::fs::File, size: u64) -> io::Result<()> {
    file.set_max_buf_size(PIECE);
    unstalled(stream.write_all(&head(size))).await?;
    let (pieces, mut outgoing) = mpsc::channel::<Vec<u8>>(PIECES_AHEAD);
    let reading = async move {
        let mut left = size;
        while left > 0 {
            let length = PIECE.min(usize::try_from(left).unwrap_or(PIECE));
            let mut piece = vec![0; length];
            file.read_exact(&mut piece).await?;
            left -= length as u64;
            if pieces.send(piece).await.is_err() {
                break;
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
        assert_eq!(time_for(0), Duration::from_secs(60));
        assert_eq!(time_for(64 * 1024 * 100), Duration::from_secs(160));
        assert!(time_for(u64::MAX) > time_for(1 << 50));
    }
}
