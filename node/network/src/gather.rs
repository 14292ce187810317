//! Fewer and larger writes to a connection's socket.
//!
//! The multiplexer flushes after each frame of 16 KiB, although the next one is often waiting already. A flush that follows
//! fresh bytes is therefore put off by one turn of the task (it is woken at once, no clock takes part): frames that are waiting
//! are written in between and leave in one call to the kernel.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::{AsyncRead, AsyncWrite};

/// Bytes that are gathered at most.
const CAPACITY: usize = 128 * 1024;

/// A stream whose writes are gathered; reading is the stream's own.
///
/// **Bytes are kept until the first flush that follows no write, or until there are as many as fit**: whoever writes and then
/// polls a flush until it is ready has sent them.
pub(crate) struct Gather<T> {
    io: T,
    buffer: Vec<u8>,
    /// Of the buffer, what the stream has taken.
    sent: usize,
    /// Something was written since the last flush.
    fresh: bool,
}

impl<T: AsyncWrite + Unpin> Gather<T> {
    pub(crate) fn new(io: T) -> Self {
        Self { io, buffer: Vec::new(), sent: 0, fresh: false }
    }

    /// Hands all that was gathered to the stream.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.buffer.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut self.io).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                taken => self.sent += taken,
            }
        }
        self.buffer.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Gather<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.buffer.len() + bytes.len() > CAPACITY {
            ready!(this.poll_send(cx))?;
        }
        let taken = bytes.len().min(CAPACITY);
        this.buffer.extend_from_slice(&bytes[..taken]);
        this.fresh |= taken > 0;
        Poll::Ready(Ok(taken))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = slices.iter().find(|slice| !slice.is_empty());
        self.poll_write(cx, first.map_or(&[], |slice| slice))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if std::mem::take(&mut this.fresh) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        ready!(this.poll_send(cx))?;
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_send(cx))?;
        Pin::new(&mut this.io).poll_close(cx)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Gather<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_read(cx, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{AsyncWriteExt as _, FutureExt as _, task::noop_waker_ref};
    use proptest::prelude::*;

    /// Takes at most `most` bytes at a time, and none at every third call.
    #[derive(Default)]
    struct Socket {
        most: usize,
        calls: usize,
        writes: Vec<usize>,
        got: Vec<u8>,
        closed: bool,
    }

    impl AsyncWrite for Socket {
        fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            self.calls += 1;
            if self.calls.is_multiple_of(3) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let taken = bytes.len().min(self.most);
            self.got.extend_from_slice(&bytes[..taken]);
            self.writes.push(taken);
            Poll::Ready(Ok(taken))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.closed = true;
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn frames_that_wait_leave_together_and_a_flush_that_is_awaited_sends() {
        let mut gather = Gather::new(Socket { most: usize::MAX, ..Socket::default() });
        let cx = &mut Context::from_waker(noop_waker_ref());
        for _ in 0..5 {
            assert!(Pin::new(&mut gather).poll_write(cx, &[7; 16 * 1024]).is_ready());
            assert!(Pin::new(&mut gather).poll_flush(cx).is_pending(), "put off by one turn");
        }
        assert!(gather.io.got.is_empty());
        assert!(Pin::new(&mut gather).poll_flush(cx).is_ready());
        assert_eq!(gather.io.writes, [5 * 16 * 1024]);
        assert!(Pin::new(&mut gather).poll_flush(cx).is_ready(), "nothing is left to put off");
    }

    #[test]
    fn a_stream_that_takes_nothing_more_is_an_error() {
        let mut gather = Gather::new(Socket::default());
        let outcome = async { gather.write_all(b"x").await.and(gather.flush().await) };
        let error = outcome.now_or_never();
        // The first flush is put off; the second fails.
        let cx = &mut Context::from_waker(noop_waker_ref());
        let second = Pin::new(&mut gather).poll_flush(cx);
        assert!(error.is_none());
        assert!(matches!(second, Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::WriteZero));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_repeated_or_reordered(
            writes in prop::collection::vec((0usize..200_000, any::<bool>()), 0..20),
            most in 1usize..100_000,
        ) {
            let mut gather = Gather::new(Socket { most, ..Socket::default() });
            let mut expected = Vec::new();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                for (number, (length, flush)) in writes.iter().enumerate() {
                    let bytes: Vec<u8> = (0..*length).map(|at| (at * 31 + number) as u8).collect();
                    gather.write_all(&bytes).await.unwrap();
                    expected.extend_from_slice(&bytes);
                    assert!(gather.buffer.len() <= CAPACITY);
                    if *flush {
                        gather.flush().await.unwrap();
                        assert_eq!(gather.io.got.len(), expected.len());
                    }
                }
                gather.close().await.unwrap();
            });
            prop_assert!(gather.io.closed);
            prop_assert!(gather.io.got == expected);
        }
    }
}
