//! Read-ahead: while a client walks from POM to POM, what it will ask for next is fetched.
//!
//! A client that resolves dependencies asks for one POM, reads it, asks for its parent, and so on: on the way to a far
//! repository most of its time is waiting. The node reads the same POMs, and is ahead. Invariants:
//! - what is fetched ahead goes the same way as what a client asks for: the same policy, the same checks, one download
//!   for both if the client comes meanwhile;
//! - once the configured number of files or bytes has arrived that nobody asked for, nothing more is begun, and some
//!   seconds after the last client has asked for something new all is dropped; a POM made to cost much costs little;
//! - nothing happens on account of files that have been here for long: a warm node does not look ahead.
//!
//! Not here: what is in a POM ([`maven_layout::pom`]), and profiles or properties of a project that the node never sees. A
//! wrong guess costs a download and nothing else.

mod expect;
mod plan;

use std::sync::Arc;
use std::time::Duration;

use maven_layout::RepoPath;
use maven_layout::pom::Pom;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::answer::{Answer, ServedFile};
use crate::service::{Clock, Repository, WeakRepository};
use plan::{Arrived, Plan, Step};

/// Files that are reported and not looked at yet; more are not reported.
const REPORTED: usize = 1_024;
/// A file that is here for longer is no reason to look ahead, in seconds.
pub(crate) const NEW_S: u64 = 600;
/// Largest POM that is read, in bytes.
const LARGEST_POM: u64 = 2 << 20;

/// Limits of what is fetched before anybody asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadAhead {
    /// Downloads at one time.
    pub at_once: usize,
    /// Files that were fetched ahead and not asked for; then nothing more is fetched until some are.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// After this many seconds without a client that asks for something new, the rest is dropped.
    pub pause_s: u64,
}

impl Default for ReadAhead {
    fn default() -> Self {
        Self { at_once: 8, files: 1_000, bytes: 256 << 20, pause_s: 15 }
    }
}

/// Where clients' requests are reported.
pub(crate) type Reported = mpsc::Sender<RepoPath>;

pub(crate) fn channel() -> (Reported, mpsc::Receiver<RepoPath>) {
    mpsc::channel(REPORTED)
}

/// Fetches ahead until the repository is gone.
pub(crate) async fn run(
    repository: WeakRepository,
    clock: Clock,
    limits: ReadAhead,
    mut reported: mpsc::Receiver<RepoPath>,
) {
    let pause = Duration::from_secs(limits.pause_s.saturating_add(1));
    let at_once = limits.at_once;
    let mut plan = Plan::new(limits);
    let mut running = JoinSet::new();
    loop {
        while running.len() < at_once
            && let Some(step) = plan.next(clock())
        {
            let Some(repository) = repository.upgrade() else { return };
            running.spawn(async move {
                let arrived = fetch(&repository, &step).await;
                (step, arrived)
            });
        }
        tokio::select! {
            path = reported.recv() => match path {
                Some(path) => {
                    let now = clock();
                    plan = think(plan, move |plan| plan.asked(&path, now)).await;
                }
                None => return,
            },
            Some(done) = running.join_next(), if !running.is_empty() => match done {
                Ok((step, arrived)) => plan = think(plan, move |plan| plan.arrived(step, arrived)).await,
                // Its step will never be done.
                Err(error) => {
                    tracing::error!(error.message = %error, "reading ahead failed and begins anew");
                    plan = Plan::new(plan.limits().clone());
                }
            },
            () = tokio::time::sleep(pause), if !plan.is_empty() => plan.rest(clock()),
        }
    }
}

/// Lets the plan think on a thread that may be kept busy: a large family of POMs takes milliseconds.
async fn think(mut plan: Plan, work: impl FnOnce(&mut Plan) + Send + 'static) -> Plan {
    let limits = plan.limits().clone();
    let thought = tokio::task::spawn_blocking(move || {
        work(&mut plan);
        plan
    });
    thought.await.unwrap_or_else(|error| {
        tracing::error!(error.message = %error, "reading ahead failed and begins anew");
        Plan::new(limits)
    })
}

async fn fetch(repository: &Repository, step: &Step) -> Arrived {
    match step {
        Step::File(path) => match repository.ahead(path, false).await {
            Some(Answer::File(file)) => Arrived::File(file.digests.size),
            _ => Arrived::Nothing,
        },
        Step::Pom(of) => {
            let path = of.pom_path();
            let Some(Answer::File(file)) = repository.ahead(&path, true).await else { return Arrived::Nothing };
            let size = file.digests.size;
            if size > LARGEST_POM {
                return Arrived::Nothing;
            }
            match tokio::task::spawn_blocking(move || read(&file)).await.ok().flatten() {
                Some(pom) => Arrived::Pom(Arc::new(pom), size),
                None => Arrived::Nothing,
            }
        }
    }
}

/// The POM, if it is one. Blocking.
fn read(file: &ServedFile) -> Option<Pom> {
    let parsed = match &file.bytes {
        Some(bytes) => Pom::parse(bytes),
        None => Pom::parse(&std::fs::read(&file.blob_path).ok()?),
    };
    parsed.inspect_err(|error| tracing::debug!(file.path = %file.path, error.message = %error, "not read ahead")).ok()
}
