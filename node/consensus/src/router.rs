//! Incoming messages: to the session that they are for, within bounds.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::gate::Shared;
use crate::transport::Transport;
use crate::wire::Envelope;

/// Messages that wait for one session at most.
const MAX_WAITING: usize = 4096;
/// Bytes that wait for one session at most. Room for one message of the greatest length, and as much again.
const MAX_WAITING_BYTES: usize = 2 * crate::types::MAX_MESSAGE_BYTES;
/// Early messages for the session after the last one started: kept, because that session starts soon here too.
const MAX_EARLY: usize = 512;
const MAX_EARLY_BYTES: usize = 4 * 1024 * 1024;

/// Where messages of live sessions go.
#[derive(Default)]
pub(crate) struct Router {
    routes: Mutex<Routes>,
}

#[derive(Default)]
struct Routes {
    live: HashMap<u64, Inlet>,
    next: u64,
    early: Vec<Bytes>,
    early_bytes: usize,
}

#[derive(Clone)]
struct Inlet {
    queue: mpsc::Sender<Bytes>,
    bytes: Arc<AtomicUsize>,
}

/// The receiving end of one session.
pub(crate) struct Inbox {
    queue: mpsc::Receiver<Bytes>,
    bytes: Arc<AtomicUsize>,
}

impl Inlet {
    fn push(&self, message: Bytes) {
        let length = message.len();
        let waiting = self.bytes.fetch_add(length, Ordering::Relaxed);
        // What does not fit is lost, as on a network; consensus asks for it again.
        if waiting + length > MAX_WAITING_BYTES || self.queue.try_send(message).is_err() {
            self.bytes.fetch_sub(length, Ordering::Relaxed);
        }
    }
}

impl Inbox {
    /// The next message; waits for ever once the session is closed. Safe to cancel.
    pub(crate) async fn receive(&mut self) -> Bytes {
        match self.queue.recv().await {
            Some(message) => {
                self.bytes.fetch_sub(message.len(), Ordering::Relaxed);
                message
            }
            None => std::future::pending().await,
        }
    }
}

impl Router {
    fn routes(&self) -> MutexGuard<'_, Routes> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the inbox of a session that starts; early messages are in it already.
    pub(crate) fn open(&self, session: u64) -> Inbox {
        let (queue, outlet) = mpsc::channel(MAX_WAITING);
        let inlet = Inlet { queue, bytes: Arc::new(AtomicUsize::new(0)) };
        let inbox = Inbox { queue: outlet, bytes: Arc::clone(&inlet.bytes) };
        let mut routes = self.routes();
        let early = std::mem::take(&mut routes.early);
        routes.early_bytes = 0;
        if session == routes.next {
            for message in early {
                inlet.push(message);
            }
        }
        routes.next = session.saturating_add(1);
        routes.live.insert(session, inlet);
        inbox
    }

    /// Closes the inbox of a session.
    pub(crate) fn close(&self, session: u64) {
        self.routes().live.remove(&session);
    }

    fn deliver(&self, session: u64, message: Bytes) {
        let mut routes = self.routes();
        if let Some(inlet) = routes.live.get(&session) {
            inlet.push(message);
        } else if session == routes.next
            && routes.early.len() < MAX_EARLY
            && routes.early_bytes + message.len() <= MAX_EARLY_BYTES
        {
            routes.early_bytes += message.len();
            routes.early.push(message);
        }
    }

    /// Takes messages from the network for ever.
    pub(crate) async fn run(&self, transport: &dyn Transport, shared: &Shared) {
        loop {
            let incoming = transport.receive().await;
            match Envelope::from_bytes(&incoming.message) {
                Some(Envelope::Session { session, message }) => self.deliver(session, message),
                Some(Envelope::Hint(hint)) => {
                    if shared.change(|core| core.hint(incoming.from, hint, Instant::now())) {
                        shared.heard.notify_one();
                    }
                }
                None => tracing::debug!(
                    consensus.from = incoming.from,
                    bytes = incoming.message.len(),
                    "dropped a message of another member that is none"
                ),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn next(inbox: &mut Inbox) -> Option<Bytes> {
        inbox.receive().now_or_never()
    }

    #[test]
    fn messages_reach_their_session_only() {
        let router = Router::default();
        let mut first = router.open(0);
        let mut second = router.open(1);
        router.deliver(0, Bytes::from_static(b"a"));
        router.deliver(1, Bytes::from_static(b"b"));
        router.deliver(9, Bytes::from_static(b"c"));
        assert_eq!(next(&mut first), Some(Bytes::from_static(b"a")));
        assert_eq!(next(&mut second), Some(Bytes::from_static(b"b")));
        router.close(0);
        router.deliver(0, Bytes::from_static(b"d"));
        assert_eq!(next(&mut first), None);
        assert_eq!(next(&mut second), None);
    }

    #[test]
    fn early_messages_wait_for_their_session_within_bounds() {
        let router = Router::default();
        let _first = router.open(0);
        for _ in 0..2 * MAX_EARLY {
            router.deliver(1, Bytes::from_static(b"early"));
        }
        let mut second = router.open(1);
        let mut count = 0;
        while next(&mut second).is_some() {
            count += 1;
        }
        assert_eq!(count, MAX_EARLY);
    }

    #[test]
    fn an_inbox_is_bounded_in_bytes_and_recovers() {
        let router = Router::default();
        let mut inbox = router.open(0);
        let message = Bytes::from(vec![0; crate::types::MAX_MESSAGE_BYTES]);
        for _ in 0..5 {
            router.deliver(0, message.clone());
        }
        for _ in 0..2 {
            assert!(next(&mut inbox).is_some());
        }
        assert!(next(&mut inbox).is_none());
        router.deliver(0, message);
        assert!(next(&mut inbox).is_some());
    }
}
