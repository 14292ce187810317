//! A worker: takes builds of an authority by lease and runs them beside a container engine.
//!
//! It holds no key, no ledger and no upstream, and nobody can connect to it: sources, inputs and images come from its authority,
//! files and logs go there. What it keeps (inputs and images by digest) may be removed at any time.

mod bench;
mod cache;
mod link;
mod log;

use std::sync::Arc;
use std::time::Duration;

use build_spec::SandboxProfile;
use pyrsia_workers::messages::{Ask, Leased, Outcome, PROGRAM, Part};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use bench::Bench;
pub use cache::Cache;
pub use link::{Link, LinkError};

use crate::image_store::ImageStore;
use crate::terminal;
use log::{Reporter, channel};

/// Pause after something did not work that will work again: an authority that is restarted, an engine that is not there yet.
const PAUSE: Duration = Duration::from_secs(3);
/// Characters of the machine's name in that of the worker.
const NAME: usize = 40;

/// What a worker is made of.
pub struct Worker {
    /// To the authority.
    pub link: Arc<Link>,
    /// Where builds run.
    pub bench: Bench,
    /// The images that are here, to be told.
    pub images: Option<Arc<ImageStore>>,
    /// Which of the processes with this token it is.
    pub instance: String,
}

/// How the work on a lease ended.
enum Ended {
    Made(Outcome),
    Lost(LinkError),
    Stopped,
}

impl Worker {
    /// Builds so many at a time until `stop` is cancelled; what is being built then is given back.
    ///
    /// # Errors
    /// When the authority does not let this worker in.
    pub async fn run(self, slots: usize, stop: CancellationToken) -> anyhow::Result<()> {
        let worker = Arc::new(self);
        let mut tasks = JoinSet::new();
        for _ in 0..slots.max(1) {
            let (worker, stop) = (Arc::clone(&worker), stop.clone());
            tasks.spawn(async move { worker.slot(&stop).await });
        }
        let mut refused = None;
        while let Some(ended) = tasks.join_next().await {
            let ended = ended.map_err(anyhow::Error::from).and_then(|ended| ended.map_err(anyhow::Error::from));
            if let Err(error) = ended {
                refused.get_or_insert(error);
                stop.cancel();
            }
        }
        worker.bench.builder.settle().await;
        refused.map_or(Ok(()), Err)
    }

    /// One build after the other.
    async fn slot(&self, stop: &CancellationToken) -> Result<(), LinkError> {
        let mut told = String::new();
        // The same sentence again and again is said once.
        let mut tell = |sentence: String| {
            if told != sentence {
                terminal::note(&terminal::plain(&sentence));
                told = sentence;
            }
        };
        let mut has_grown = true;
        while !stop.is_cancelled() {
            // Measuring it looks at every file: not for each question of a worker that waits.
            if std::mem::take(&mut has_grown) {
                self.bench.cache.make_room().await;
            }
            // An engine that is not there takes nothing that another worker could build.
            if let Err(reason) = self.bench.builder.available().await {
                tell(format!("waiting for the container engine: {reason}"));
                pause(stop).await;
                continue;
            }
            // Before a build is taken: whoever empties the cache may wait for long builds, and a lease is not for waiting.
            let _held = self.bench.cache.hold().await;
            let ask = self.ask();
            let asked = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                asked = self.link.take(&ask) => asked,
            };
            match asked {
                Ok(None) => tell("waiting for builds".to_owned()),
                Ok(Some(leased)) => {
                    tell(describe(&leased));
                    self.work(leased, stop).await;
                    has_grown = true;
                }
                Err(error) if error.is_final() => return Err(error),
                Err(error) => {
                    tell(format!("waiting for the authority: {error}"));
                    pause(stop).await;
                }
            }
        }
        Ok(())
    }

    fn ask(&self) -> Ask {
        let list = self.images.as_ref().and_then(|images| images.list().ok()).unwrap_or_default();
        let images = list.into_iter().map(|known| known.digest);
        Ask {
            instance: self.instance.clone(),
            program: PROGRAM.to_owned(),
            profile: SandboxProfile::v1().digest(),
            images: images.take(pyrsia_workers::messages::MAX_IMAGES).collect(),
        }
    }

    async fn work(&self, leased: Leased, stop: &CancellationToken) {
        let (log, lines) = channel();
        let mut reporter = Reporter::new(Arc::clone(&self.link), &leased, lines);
        // Whatever ends it, the build is dropped at the end of this statement, and its container with it.
        let ended = tokio::select! {
            biased;
            () = stop.cancelled() => Ended::Stopped,
            error = reporter.run() => Ended::Lost(error),
            outcome = self.bench.build(&leased, log) => Ended::Made(outcome),
        };
        let lease = leased.lease;
        let told = match ended {
            Ended::Made(outcome) => {
                reporter.flush().await;
                self.link.finish(lease, &outcome, Duration::from_millis(leased.lease_ms)).await
            }
            Ended::Lost(error) => Err(error),
            Ended::Stopped => self.link.give_back(lease).await,
        };
        if let Err(error) = told {
            tracing::warn!(%lease, %error, "a build came to nothing here; the authority gives it to somebody else");
        }
    }
}

async fn pause(stop: &CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(PAUSE) => {}
    }
}

fn describe(leased: &Leased) -> String {
    let part = match leased.order.part {
        Part::Record => "records",
        Part::Replay => "replays",
    };
    let releases: Vec<String> = leased.order.coordinates.iter().take(3).map(ToString::to_string).collect();
    format!("{part} {} (lease {})", releases.join(" "), leased.lease)
}

/// A name that no other process has: the machine's and a random number.
///
/// # Errors
/// If the operating system gives no random number.
pub fn instance() -> anyhow::Result<String> {
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    let machine: String = machine.trim().chars().filter(plain).take(NAME).collect();
    let mut number = [0u8; 4];
    getrandom::fill(&mut number)?;
    let number = u32::from_le_bytes(number);
    Ok(if machine.is_empty() { format!("worker-{number:08x}") } else { format!("{machine}-{number:08x}") })
}

#[cfg(test)]
mod tests;
