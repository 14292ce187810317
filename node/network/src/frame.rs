//! Lengths before bodies, limits before memory, and time-outs on both.

use std::io;
use std::time::Duration;

use futures_util::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

/// How long a stream may stand still in the middle of something.
pub(crate) const STALL: Duration = Duration::from_secs(20);
/// Memory grows with the bytes that came, in steps of this size, never with a length that was only declared.
const STEP: usize = 64 * 1024;

/// The header of a frame: the length as four bytes, big-endian.
pub(crate) fn header(length: usize) -> Option<[u8; 4]> {
    u32::try_from(length).ok().map(u32::to_be_bytes)
}

/// The length that a header declares, if it is within `limit`.
pub(crate) fn length(header: [u8; 4], limit: usize) -> Option<usize> {
    usize::try_from(u32::from_be_bytes(header)).ok().filter(|length| *length <= limit)
}

fn too_slow() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no byte for too long")
}

/// Runs one step of reading or writing, but not for longer than a stall.
pub(crate) async fn unstalled<T>(step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(STALL, step).await.map_err(|_| too_slow())?
}

/// Reads exactly `length` bytes.
pub(crate) async fn read_body<R: AsyncRead + Unpin>(stream: &mut R, length: usize) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    while body.len() < length {
        let start = body.len();
        let step = STEP.min(length - start);
        body.reserve_exact(step);
        body.resize(start + step, 0);
        unstalled(stream.read_exact(&mut body[start..])).await?;
    }
    Ok(body)
}

/// Reads a frame of at most `limit` bytes.
pub(crate) async fn read_frame<R: AsyncRead + Unpin>(stream: &mut R, limit: usize) -> io::Result<Vec<u8>> {
    let mut head = [0; 4];
    unstalled(stream.read_exact(&mut head)).await?;
    let length = length(head, limit).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a frame too long"))?;
    read_body(stream, length).await
}

/// Writes bytes in steps, none of which may stall. Does not flush.
pub(crate) async fn write_body<W: AsyncWrite + Unpin>(stream: &mut W, body: &[u8]) -> io::Result<()> {
    for step in body.chunks(STEP) {
        unstalled(stream.write_all(step)).await?;
    }
    Ok(())
}

/// Writes a frame. Does not flush.
pub(crate) async fn write_frame<W: AsyncWrite + Unpin>(stream: &mut W, body: &[u8]) -> io::Result<()> {
    let head = header(body.len()).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a frame too long"))?;
    unstalled(stream.write_all(&head)).await?;
    write_body(stream, body).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::io::Cursor;
    use proptest::prelude::*;

    #[tokio::test]
    async fn a_frame_survives_and_one_byte_too_many_is_refused_before_it_is_read() {
        let mut wire = Cursor::new(Vec::new());
        write_frame(&mut wire, b"hello").await.unwrap();
        assert_eq!(wire.get_ref().as_slice(), b"\0\0\0\x05hello");
        wire.set_position(0);
        assert_eq!(read_frame(&mut wire, 5).await.unwrap(), b"hello");
        wire.set_position(0);
        assert_eq!(read_frame(&mut wire, 4).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(wire.position(), 4);
    }

    #[tokio::test]
    async fn a_frame_that_ends_early_is_an_error() {
        let mut wire = Cursor::new(b"\0\0\0\x05hell".to_vec());
        assert_eq!(read_frame(&mut wire, 10).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_stands_still_times_out() {
        let (mut here, _there) = {
            use tokio_util::compat::TokioAsyncReadCompatExt as _;
            let (here, there) = tokio::io::duplex(16);
            (here.compat(), there)
        };
        assert_eq!(read_frame(&mut here, 10).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    proptest! {
        #[test]
        fn a_header_is_its_length_or_refused(value in any::<[u8; 4]>(), limit in 0usize..100_000) {
            match length(value, limit) {
                Some(length) => prop_assert!(length <= limit && header(length) == Some(value)),
                None => prop_assert!(u32::from_be_bytes(value) as usize > limit),
            }
        }
    }
}
