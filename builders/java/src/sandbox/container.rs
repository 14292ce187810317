//! The container: how it is described to the engine, and that it goes away.

use std::collections::HashMap;
use std::time::Duration;

use bollard::container::AttachContainerResults;
use bollard::models::{ContainerCreateBody, HealthConfig, HostConfig, HostConfigLogConfig};
use bollard::query_parameters::{AttachContainerOptionsBuilder, CreateContainerOptionsBuilder};
use build_spec::BuildError;

use crate::config::{Limits, bytes};
use crate::engine::{Engine, EngineError, LABEL_OWNER, LABEL_RUN, Removed};
use crate::sandbox::Plan;
use crate::sandbox::runtime::RunFiles;
use crate::sandbox::script::{CONTROL, Feed, SOCKET};

/// RAM disk for the tool and the builder's own files, MiB.
const CONTROL_MIB: u64 = 256;
/// Exit code of what the kernel killed, as shells and the engine count.
pub(crate) const KILLED: i64 = 137;
/// When a container is removed whose build was dropped, milliseconds after the try before.
const REMOVAL_PAUSES: [u64; 6] = [0, 100, 500, 2_000, 10_000, 60_000];

/// What the engine is told.
pub(crate) fn body(
    plan: &Plan<'_>,
    limits: &Limits,
    owner: &str,
    files: &RunFiles,
    feed: &Feed,
) -> Result<ContainerCreateBody, BuildError> {
    let (job, profile) = (plan.job, &plan.job.profile);
    let user = format!("{0}:{0}", profile.uid);
    // To a RAM disk and to the engine 0 is no limit at all.
    let disk = |mib: u64, mode: &str| {
        format!("rw,exec,nosuid,nodev,size={}m,mode={mode},uid={1},gid={1}", mib.max(1), profile.uid)
    };
    let usual = disk(limits.disk_mib, "0755");
    let tmpfs = HashMap::from([
        (CONTROL.to_owned(), disk(CONTROL_MIB, "0755")),
        ("/tmp".to_owned(), disk(limits.disk_mib, "1777")),
        (profile.home.clone(), usual.clone()),
        (profile.local_repository.clone(), usual.clone()),
        (job.specification.workdir.clone(), usual),
    ]);
    let mut binds = Vec::new();
    for (host, inside, mode) in
        [(files.socket(), SOCKET, "rw"), (files.passwd(), "/etc/passwd", "ro"), (files.group(), "/etc/group", "ro")]
    {
        let host = host.to_str().filter(|path| !path.contains(':')).ok_or_else(|| {
            BuildError::Engine(format!("{} cannot be mounted: it holds a colon or is not UTF-8", host.display()))
        })?;
        binds.push(format!("{host}:{inside}:{mode}"));
    }
    let held = HeldTo::of(limits, profile.processors);
    let host_config = HostConfig {
        network_mode: Some("none".to_owned()),
        cap_drop: Some(vec!["ALL".to_owned()]),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        readonly_rootfs: Some(true),
        privileged: Some(false),
        tmpfs: Some(tmpfs),
        binds: Some(binds),
        memory: Some(held.memory),
        memory_swap: Some(held.memory),
        nano_cpus: Some(held.nano_cpus),
        pids_limit: Some(held.pids),
        init: Some(true),
        ipc_mode: Some("private".to_owned()),
        // The log is read as it is written; the engine must not keep a second, unbounded one.
        log_config: Some(HostConfigLogConfig { typ: Some("none".to_owned()), config: None }),
        ..HostConfig::default()
    };
    let mut command = vec!["/bin/sh".to_owned(), "-c".to_owned(), feed.script.clone(), "build".to_owned()];
    command.extend(feed.arguments.iter().cloned());
    Ok(ContainerCreateBody {
        image: Some(plan.room.engine_id.clone()),
        hostname: Some(profile.hostname.clone()),
        user: Some(user),
        env: Some(feed.environment.clone()),
        // Not as the command: an image of others may have an entry point, which would come before it.
        entrypoint: Some(command),
        cmd: Some(Vec::new()),
        working_dir: Some("/".to_owned()),
        labels: Some(HashMap::from([
            (LABEL_OWNER.to_owned(), owner.to_owned()),
            (LABEL_RUN.to_owned(), job.run.as_str().to_owned()),
        ])),
        tty: Some(false),
        open_stdin: Some(true),
        stdin_once: Some(true),
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        network_disabled: Some(true),
        host_config: Some(host_config),
        // An image that others made may name a command that the engine would run beside the build.
        healthcheck: Some(HealthConfig { test: Some(vec!["NONE".to_owned()]), ..HealthConfig::default() }),
        ..ContainerCreateBody::default()
    })
}

/// The limits as the engine has them, where 0 and less is no limit at all.
#[derive(Debug, PartialEq, Eq)]
struct HeldTo {
    /// Bytes. What lies on RAM disks is charged to the container's memory.
    memory: i64,
    /// Billionths of a processor.
    nano_cpus: i64,
    pids: i64,
}

impl HeldTo {
    fn of(limits: &Limits, processors: u32) -> Self {
        let positive = |value: u64| i64::try_from(value).unwrap_or(i64::MAX).max(1);
        let percent = positive(limits.cpu_percent.clamp(1, 100));
        Self {
            memory: positive(bytes(limits.memory_mib.max(1).saturating_add(limits.disk_mib.max(1)))),
            nano_cpus: i64::from(processors.max(1)) * percent * 10_000_000,
            pids: positive(limits.pids),
        }
    }
}

/// How a container ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    pub(crate) exit_code: i64,
    pub(crate) out_of_memory: bool,
}

/// A container that is removed when this is dropped.
pub(crate) struct Container {
    engine: Engine,
    name: String,
    removed: bool,
}

impl Container {
    /// Makes the container. The guard exists before the engine is asked: a call that is dropped half-way may still
    /// have made something.
    pub(crate) async fn create(engine: &Engine, name: &str, body: ContainerCreateBody) -> Result<Self, BuildError> {
        let container = Self { engine: engine.clone(), name: name.to_owned(), removed: false };
        let options = CreateContainerOptionsBuilder::default().name(name).build();
        engine.docker().create_container(Some(options), body).await.map_err(failed("make a container"))?;
        Ok(container)
    }

    /// Connects to its three streams and starts it.
    pub(crate) async fn start(&self) -> Result<AttachContainerResults, BuildError> {
        let docker = self.engine.docker();
        let options =
            AttachContainerOptionsBuilder::default().stream(true).stdin(true).stdout(true).stderr(true).build();
        let streams =
            docker.attach_container(&self.name, Some(options)).await.map_err(failed("connect to a container"))?;
        docker
            .start_container(&self.name, None::<bollard::query_parameters::StartContainerOptions>)
            .await
            .map_err(failed("start a container"))?;
        Ok(streams)
    }

    /// How it ended; called when its streams have closed, which may be a moment earlier.
    pub(crate) async fn state(&self) -> Result<Ended, BuildError> {
        let mut asked_again = false;
        for _ in 0..100 {
            let inspected = self
                .engine
                .docker()
                .inspect_container(&self.name, None::<bollard::query_parameters::InspectContainerOptions>)
                .await
                .map_err(failed("inspect a container"))?;
            let state = inspected.state.unwrap_or_default();
            let ended =
                Ended { exit_code: state.exit_code.unwrap_or(-1), out_of_memory: state.oom_killed.unwrap_or(false) };
            // That memory was the reason reaches the engine on a way of its own, perhaps a moment later.
            let may_change = ended.exit_code == KILLED && !ended.out_of_memory && !asked_again;
            if state.running != Some(true) && !may_change {
                return Ok(ended);
            }
            asked_again = state.running != Some(true);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(BuildError::Engine("a container goes on although its streams are closed".to_owned()))
    }

    /// Removes it now.
    pub(crate) async fn remove(mut self) {
        // If this fails or is cancelled, the drop below tries again.
        self.removed = matches!(self.engine.remove_container(&self.name).await, Ok(Removed::Yes));
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if self.removed {
            return;
        }
        let (engine, name) = (self.engine.clone(), std::mem::take(&mut self.name));
        // Without a runtime the process is ending; the next one sweeps.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                for pause in REMOVAL_PAUSES {
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                    match engine.remove_container(&name).await {
                        Ok(Removed::Yes) => return,
                        // It may be about to appear, if its making was cancelled.
                        Ok(Removed::NotThere) => {}
                        Err(error) => tracing::warn!(container = %name, error = %error.line(), "not removed yet"),
                    }
                }
            });
        }
    }
}

fn failed(action: &'static str) -> impl FnOnce(bollard::errors::Error) -> BuildError {
    move |error| BuildError::Engine(EngineError::call(action)(error).line())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_setting_means_that_there_is_no_limit() {
        let usual = HeldTo::of(&Limits::default(), 1);
        assert_eq!(usual, HeldTo { memory: 6144 << 20, nano_cpus: 1_000_000_000, pids: 2048 });
        let half = Limits { cpu_percent: 50, memory_mib: 100, disk_mib: 28, pids: 9, ..Limits::default() };
        assert_eq!(HeldTo::of(&half, 2), HeldTo { memory: 128 << 20, nano_cpus: 1_000_000_000, pids: 9 });
        let none = Limits { cpu_percent: 0, memory_mib: 0, disk_mib: 0, pids: 0, ..Limits::default() };
        assert_eq!(HeldTo::of(&none, 0), HeldTo { memory: 2 << 20, nano_cpus: 10_000_000, pids: 1 });
        let all = Limits { cpu_percent: u64::MAX, memory_mib: u64::MAX, pids: u64::MAX, ..Limits::default() };
        assert_eq!(HeldTo::of(&all, 1), HeldTo { memory: i64::MAX, nano_cpus: 1_000_000_000, pids: i64::MAX });
    }
}
