//! One build in one container.
//!
//! The container has no network but loopback, a read-only root, no capabilities, no new privileges, an unprivileged
//! account, and limits on memory, processes, processor time, RAM disks, log, outputs and wall-clock time. Source and
//! tool go in over the attached stdin, outputs come out as a tar on stdout, the log on stderr; mounted are three files
//! (the socket of the far end, `passwd`, `group`) and RAM disks. Nothing else of the host can be seen.
//!
//! Nothing stays behind: the container's name is known before the engine is asked to make it, and a guard removes it
//! when the future of the build ends in any way; [`runtime::Runtime`] removes what a killed process left.

mod container;
mod gradle;
mod locks;
mod outputs;
mod runtime;
mod script;
mod settings;
mod slots;
mod stream;

use std::path::PathBuf;
use std::sync::Arc;

use build_spec::{BuildError, BuildLimit, BuildLog, Built, Job, Phase};
use tokio::time::timeout;

use crate::config::{Limits, bytes};
use crate::engine::Engine;
use crate::far_end::{Answers, FarEnd};
use crate::images::Room;
use crate::log::{Hints, LogLines};

pub(crate) use runtime::Runtime;
pub(crate) use slots::Slots;

/// Everything that a build needs, gathered.
pub(crate) struct Plan<'a> {
    pub(crate) job: &'a Job,
    pub(crate) phase: Phase,
    pub(crate) room: Room,
    /// The tool's distribution, a gzip-compressed tar with one top folder; none: the image has it.
    pub(crate) tool: Option<PathBuf>,
    /// A tar of the single files of the specification.
    pub(crate) inputs: Option<PathBuf>,
    pub(crate) answers: Arc<dyn Answers>,
}

pub(crate) fn local(what: &str) -> impl FnOnce(std::io::Error) -> BuildError + '_ {
    move |error| BuildError::Engine(format!("{what}: {error}"))
}

/// Runs the build and collects its outputs.
pub(crate) async fn run(
    engine: &Engine,
    runtime: &Runtime,
    limits: &Limits,
    plan: Plan<'_>,
    log: Arc<dyn BuildLog>,
) -> Result<Built, BuildError> {
    let job = plan.job;
    let files = runtime.run_files(&job.profile).map_err(local("the runtime folder cannot be used"))?;
    let far_end = FarEnd::start(&files.socket(), Arc::clone(&plan.answers))
        .map_err(local("the socket of the build cannot be made"))?;
    let feed = script::feed(&plan, limits.build_seconds).await?;
    let body = container::body(&plan, limits, runtime.owner(), &files, &feed)?;
    let mut lines = LogLines::new(log, plan.phase, bytes(limits.log_mib));

    let scratch = tempfile::Builder::new()
        .prefix(&format!("{}-", plan.phase))
        .tempdir_in(&job.work_dir)
        .map_err(local("the work folder cannot be used"))?;
    let archive = scratch.path().join("stdout.tar");

    let container = container::Container::create(engine, &files.name(), body).await?;
    let work = stream::exchange(&container, feed, &archive, bytes(limits.output_mib), &mut lines);
    let ended = tokio::select! {
        // A request that must not be answered ends the build even if the tool would go on without the file.
        biased;
        reason = far_end.stopped() => Err(reason),
        ended = timeout(limits.build_time(), work) => match ended {
            Ok(ended) => ended,
            Err(_) => Err(BuildError::Limit(BuildLimit::Time)),
        },
    };
    let state = match ended {
        Ok(()) => container.state().await,
        Err(error) => Err(error),
    };
    container.remove().await;
    lines.flush();
    if let Some(reason) = far_end.reason() {
        return Err(reason);
    }
    let state = state?;
    if state.out_of_memory {
        return Err(BuildError::Limit(BuildLimit::Memory));
    }
    let hints = lines.hints();
    if state.exit_code != 0 {
        let last = lines.tail().pop().unwrap_or_default();
        return Err(not_collected(state.exit_code, &last, &hints));
    }
    let coordinates = job.coordinates.clone();
    let (max_bytes, max_files) = (bytes(limits.output_mib), limits.output_files);
    let tail = lines.tail();
    let collecting = tokio::task::spawn_blocking(move || {
        let built = outputs::collect(scratch.path(), &archive, &coordinates, max_bytes, max_files, tail, &hints)?;
        // Kept by who takes it: if nobody waits any more, the folder goes with the result.
        Ok::<_, BuildError>((built, scratch))
    });
    let (built, scratch) = collecting.await.map_err(|error| BuildError::Engine(error.to_string()))??;
    let _ = scratch.keep();
    Ok(built)
}

/// Why the sandbox's own script did not come to its end.
fn not_collected(exit_code: i64, last: &str, hints: &Hints) -> BuildError {
    if let Some(limit) = outputs::ran_short(false, hints) {
        return BuildError::Limit(limit);
    }
    match exit_code {
        // Before the build began nobody could have interfered.
        script::NOT_COLLECTED => BuildError::Interfered(format!("they cannot be collected: {last}")),
        // An engine that is stopped asks first, so this was the build itself, or somebody who meant it.
        container::KILLED => BuildError::Interfered("its sandbox was killed".to_owned()),
        code => BuildError::Engine(format!("the sandbox ended with exit code {code}: {last}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_sandbox_ended_is_told_apart() {
        let plain = Hints::default();
        let full = Hints { disk_full: true, ..Hints::default() };
        assert!(matches!(not_collected(script::NOT_COLLECTED, "", &plain), BuildError::Interfered(_)));
        assert!(matches!(not_collected(script::NOT_COLLECTED, "", &full), BuildError::Limit(BuildLimit::Disk)));
        // What comes in may be too large for the disks, before the build begins.
        assert!(matches!(not_collected(2, "", &full), BuildError::Limit(BuildLimit::Disk)));
        assert!(matches!(not_collected(container::KILLED, "", &plain), BuildError::Interfered(_)));
        for code in [1, 2, 70, 143] {
            let error = not_collected(code, "why", &plain);
            assert!(matches!(&error, BuildError::Engine(text) if text.contains("why")), "{code}: {error}");
        }
    }
}
