//! The log of a build on its way to the authority: in pieces, with which its lease is renewed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use build_spec::{BuildLog, Phase};
use pyrsia_workers::LeaseId;
use pyrsia_workers::messages::{Leased, MAX_LINE, MAX_LINES, Renewal};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::link::{Link, LinkError};

/// Lines that wait to be sent; further ones are counted and dropped, since a build does not wait for its log.
const WAITING: usize = 8_192;
/// Bytes of text in one piece: even if each of them were written as `\u0000` it would be a message that is taken.
const PIECE: usize = 128 * 1024;
/// Pause in which further lines join the first one of a piece.
const GATHER: Duration = Duration::from_millis(300);
/// Pause after the authority did not answer.
const AGAIN: Duration = Duration::from_secs(1);

/// The lines of a build.
pub struct Lines {
    lines: mpsc::Receiver<String>,
    /// So that there is always somebody who may send.
    _sender: mpsc::Sender<String>,
    dropped: Arc<AtomicU64>,
}

struct Sender {
    lines: mpsc::Sender<String>,
    dropped: Arc<AtomicU64>,
}

impl BuildLog for Sender {
    fn line(&self, _phase: Phase, line: &str) {
        // The authority knows the phase.
        if self.lines.try_send(line.chars().take(MAX_LINE).collect()).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A log, and what is written into it.
pub fn channel() -> (Arc<dyn BuildLog>, Lines) {
    let (sender, lines) = mpsc::channel(WAITING);
    let dropped = Arc::<AtomicU64>::default();
    let log = Sender { lines: sender.clone(), dropped: Arc::clone(&dropped) };
    (Arc::new(log), Lines { lines, _sender: sender, dropped })
}

/// Renews a lease and carries the log.
pub struct Reporter {
    link: Arc<Link>,
    lease: LeaseId,
    lasts: Duration,
    lines: Lines,
    pending: Vec<String>,
    /// Number of the first pending line.
    first: u64,
}

impl Reporter {
    /// For this lease.
    pub fn new(link: Arc<Link>, leased: &Leased, lines: Lines) -> Self {
        let lasts = Duration::from_millis(leased.lease_ms);
        Self { link, lease: leased.lease, lasts, lines, pending: Vec::new(), first: 0 }
    }

    /// Runs until the lease is lost: the authority has taken it back, or was not reached for as long as it lasts.
    pub async fn run(&mut self) -> LinkError {
        let mut alive = Instant::now();
        let mut next = alive + self.lasts / 3;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                _ = self.lines.lines.recv_many(&mut self.pending, MAX_LINES), if self.pending.len() < MAX_LINES => {
                    tokio::time::sleep(GATHER).await;
                }
            }
            let sent = Instant::now();
            match self.send().await {
                Ok(()) => {
                    // As the authority counts: from a moment that is no later than its own.
                    alive = sent;
                    next = if self.pending.is_empty() { sent + self.lasts / 3 } else { sent };
                }
                Err(error @ LinkError::Silent(_)) if alive.elapsed() < self.lasts => {
                    tracing::info!(lease = %self.lease, %error, "the lease could not be renewed yet");
                    tokio::time::sleep(AGAIN).await;
                    next = Instant::now();
                }
                Err(error) => return error,
            }
        }
    }

    /// Sends what is left, as far as that goes: the result follows.
    pub async fn flush(&mut self) {
        loop {
            self.gather();
            if self.pending.is_empty() {
                return;
            }
            if let Err(error) = self.send().await {
                tracing::info!(lease = %self.lease, %error, "the end of a log did not arrive");
                return;
            }
        }
    }

    fn gather(&mut self) {
        while self.pending.len() < MAX_LINES {
            let Ok(line) = self.lines.lines.try_recv() else { break };
            self.pending.push(line);
        }
        match self.lines.dropped.swap(0, Ordering::Relaxed) {
            0 => {}
            count => self.pending.push(format!("({count} lines of the log were dropped on the way)")),
        }
    }

    async fn send(&mut self) -> Result<(), LinkError> {
        self.gather();
        let mut bytes = 0;
        let fits = self.pending.iter().take(MAX_LINES).take_while(|line| {
            bytes += line.len();
            bytes <= PIECE
        });
        let count = fits.count();
        let renewal = Renewal { first: self.first, lines: self.pending[..count].to_vec() };
        // Lines stay here until they have arrived; those that arrive twice are shown once.
        self.link.renew(self.lease, &renewal).await?;
        self.pending.drain(..count);
        self.first += count as u64;
        Ok(())
    }
}
