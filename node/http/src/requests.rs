//! What is under way on a connection, so that one on which nothing moves can be let go.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::time::Instant;

/// Bytes that are handed to a connection of HTTP/2 at once: what is handed over counts as a move, so it must not be more than
/// a slow client takes in the time in which something has to move.
const PIECE: usize = 64 * 1024;

/// The requests of one connection.
pub(crate) struct Requests {
    /// Those that have no answer yet.
    unanswered: AtomicU64,
    /// Those whose answer has not been sent yet.
    running: AtomicU64,
    /// When the connection began.
    origin: Instant,
    /// When a request came, or a part of an answer was handed over, in milliseconds after it.
    moved: AtomicU64,
}

impl Default for Requests {
    fn default() -> Self {
        let (unanswered, running, moved) = Default::default();
        Self { unanswered, running, origin: Instant::now(), moved }
    }
}

impl Requests {
    /// Notes a request.
    pub(crate) fn begin(requests: &Arc<Self>) -> Running {
        requests.unanswered.fetch_add(1, Ordering::Relaxed);
        requests.running.fetch_add(1, Ordering::Relaxed);
        requests.note();
        Running { requests: Arc::clone(requests), answered: false }
    }

    /// Since when no request is under way; none: one is.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let idle = self.running.load(Ordering::Relaxed) == 0;
        idle.then(|| self.moved())
    }

    /// Whether an answer is on its way, or its last part may be: what was handed over is still being sent then.
    pub(crate) fn may_be_sending(&self, patience: Duration) -> bool {
        let running = self.running.load(Ordering::Relaxed);
        if running > 0 {
            return running > self.unanswered.load(Ordering::Relaxed);
        }
        let moved = self.moved.load(Ordering::Relaxed);
        moved > 0 && self.origin + Duration::from_millis(moved) + patience > Instant::now()
    }

    /// Ends when for this time no request came, no part of an answer was handed over, and none had to be found yet.
    pub(crate) async fn still_for(&self, time: Duration) {
        loop {
            let until = self.moved() + time;
            if Instant::now() < until {
                tokio::time::sleep_until(until).await;
            } else if self.unanswered.load(Ordering::Relaxed) == 0 {
                return;
            } else {
                // The handlers' own limits end the search; then its answer moves.
                tokio::time::sleep(time).await;
            }
        }
    }

    fn moved(&self) -> Instant {
        self.origin + Duration::from_millis(self.moved.load(Ordering::Relaxed))
    }

    fn note(&self) {
        let moved = u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved.store(moved, Ordering::Relaxed);
    }
}

/// A request that is under way.
pub(crate) struct Running {
    requests: Arc<Requests>,
    answered: bool,
}

impl Running {
    /// Its answer's body. In pieces, if the connection sends no more than the client has room for.
    pub(crate) fn answer(mut self, body: Body, in_pieces: bool) -> Answering {
        self.answered = true;
        self.requests.unanswered.fetch_sub(1, Ordering::Relaxed);
        self.requests.note();
        Answering { body, rest: Bytes::new(), in_pieces, running: self }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.requests.note();
        if !self.answered {
            self.requests.unanswered.fetch_sub(1, Ordering::Relaxed);
        }
        self.requests.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of an answer, on its way.
pub(crate) struct Answering {
    body: Body,
    /// Of the last piece of the body, what was not handed over yet.
    rest: Bytes,
    in_pieces: bool,
    running: Running,
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
            match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => self.rest = data,
                Some(Ok(Err(other))) => return Poll::Ready(Some(Ok(other))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        self.running.requests.note();
        let length = if self.in_pieces { self.rest.len().min(PIECE) } else { self.rest.len() };
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body.size_hint();
        let rest = self.rest.len() as u64;
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint.set_lower(hint.lower().saturating_add(rest));
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt as _;

    const TIME: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_still_when_nothing_comes_nothing_is_sent_and_nothing_is_looked_for() {
        let requests = Arc::new(Requests::default());
        let still = {
            let requests = Arc::clone(&requests);
            tokio::spawn(async move { requests.still_for(TIME).await })
        };
        tokio::time::sleep(Duration::from_secs(20)).await;
        let running = Requests::begin(&requests);
        assert_eq!(requests.idle_since(), None);
        tokio::time::sleep(Duration::from_secs(200)).await;
        assert!(!still.is_finished(), "the answer is not found yet");
        let body = Body::from(vec![0; 3 * PIECE + 1]);
        let mut pieces = axum::body::Body::new(running.answer(body, true)).into_data_stream();
        for _ in 0..4 {
            let piece = pieces.next().await.unwrap().unwrap();
            assert!(piece.len() <= PIECE);
            tokio::time::sleep(Duration::from_secs(29)).await;
            assert!(!still.is_finished(), "its answer moves");
        }
        assert!(pieces.next().await.is_none());
        assert_eq!(requests.idle_since(), None);
        tokio::time::sleep(Duration::from_secs(31)).await;
        assert!(still.is_finished(), "whoever takes no more of the answer");
        drop(pieces);
        assert!(requests.idle_since().is_some());
    }

    #[tokio::test]
    async fn a_body_stays_what_it_is() {
        let bytes: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
        for in_pieces in [false, true] {
            let body = Body::from(bytes.clone());
            let answering = Requests::begin(&Arc::default()).answer(body, in_pieces);
            assert_eq!(answering.size_hint().exact(), Some(200_000));
            assert_eq!(axum::body::to_bytes(Body::new(answering), usize::MAX).await.unwrap(), bytes);
        }
        assert!(Requests::begin(&Arc::default()).answer(Body::empty(), true).is_end_stream());
    }
}
