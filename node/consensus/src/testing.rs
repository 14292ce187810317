//! A network in memory, for tests and simulations of several members in one process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{Mutex, mpsc};

use crate::transport::{Incoming, Transport};

/// Messages that wait for one member at most.
const QUEUE: usize = 4096;

/// A network whose members live in this process. Loses messages of members that are cut off, and of full queues.
#[derive(Clone)]
pub struct MemoryNetwork {
    shared: Arc<Shared>,
}

struct Shared {
    inboxes: Vec<mpsc::Sender<Incoming>>,
    outlets: Vec<Mutex<mpsc::Receiver<Incoming>>>,
    cut_off: Vec<AtomicBool>,
    sent: AtomicU64,
}

impl MemoryNetwork {
    /// A network of `members` members.
    pub fn new(members: usize) -> Self {
        let (inboxes, outlets) = (0..members)
            .map(|_| {
                let (inbox, outlet) = mpsc::channel(QUEUE);
                (inbox, Mutex::new(outlet))
            })
            .unzip();
        Self {
            shared: Arc::new(Shared {
                inboxes,
                outlets,
                cut_off: (0..members).map(|_| AtomicBool::new(false)).collect(),
                sent: AtomicU64::new(0),
            }),
        }
    }

    /// The network as member `me` sees it.
    pub fn transport(&self, me: usize) -> Arc<dyn Transport> {
        Arc::new(MemoryTransport { me, shared: Arc::clone(&self.shared) })
    }

    /// Loses every message from and to `member` while `cut_off` is true.
    pub fn set_cut_off(&self, member: usize, cut_off: bool) {
        if let Some(flag) = self.shared.cut_off.get(member) {
            flag.store(cut_off, Ordering::Relaxed);
        }
    }

    /// Messages that members have given to the network so far, lost ones included.
    pub fn messages_sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Relaxed)
    }
}

struct MemoryTransport {
    me: usize,
    shared: Arc<Shared>,
}

impl MemoryTransport {
    fn is_cut_off(&self, member: usize) -> bool {
        self.shared.cut_off.get(member).is_none_or(|flag| flag.load(Ordering::Relaxed))
    }
}

#[async_trait]
impl Transport for MemoryTransport {
    fn send(&self, to: usize, message: Bytes) {
        self.shared.sent.fetch_add(1, Ordering::Relaxed);
        if self.is_cut_off(self.me) || self.is_cut_off(to) {
            return;
        }
        if let Some(inbox) = self.shared.inboxes.get(to) {
            // A full queue loses the message, as a network does.
            let _ = inbox.try_send(Incoming { from: self.me, message });
        }
    }

    async fn receive(&self) -> Incoming {
        let Some(outlet) = self.shared.outlets.get(self.me) else {
            return std::future::pending().await;
        };
        match outlet.lock().await.recv().await {
            Some(incoming) => incoming,
            None => std::future::pending().await,
        }
    }
}
