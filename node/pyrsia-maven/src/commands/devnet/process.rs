//! The processes of a development network, known by id and start time.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::layout::Member;
use crate::data_dir::write_atomically;

/// The file that says what was started.
pub const FILE: &str = "processes.json";

/// A process. The start time keeps a later process with the same id from being taken for it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Process {
    pid: i32,
    /// In the kernel's ticks since it started.
    start: u64,
}

impl Process {
    fn is_running(self) -> bool {
        start_time(self.pid) == Some(self.start)
    }
}

/// What was started.
#[derive(Debug, Default)]
pub struct Processes(BTreeMap<String, Process>);

impl Processes {
    /// Reads what was started in a folder.
    pub fn read(dir: &Path) -> anyhow::Result<Self> {
        let path = dir.join(FILE);
        match std::fs::read(&path) {
            Ok(bytes) => {
                Ok(Self(serde_json::from_slice(&bytes).with_context(|| format!("{} cannot be read", path.display()))?))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    fn write(&self, dir: &Path) -> anyhow::Result<()> {
        write_atomically(&dir.join(FILE), &serde_json::to_vec_pretty(&self.0)?)
    }

    /// Whether the process of this name runs.
    pub fn is_running(&self, name: &str) -> bool {
        self.pid(name).is_some()
    }

    /// The id of the running process of this name.
    pub fn pid(&self, name: &str) -> Option<i32> {
        self.0.get(name).filter(|process| process.is_running()).map(|process| process.pid)
    }

    /// Starts a node as a process of its own, which outlives this one.
    pub fn start(&mut self, dir: &Path, member: &Member, exit_with: Option<i32>) -> anyhow::Result<()> {
        let program = std::env::current_exe().context("the running program cannot be found")?;
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(member.log_file(dir))
            .with_context(|| format!("cannot write {}", member.log_file(dir).display()))?;
        let ready = member.ready_file(dir);
        if ready.exists() {
            std::fs::remove_file(&ready)?;
        }
        let mut command = Command::new(&program);
        command.arg("--data-dir").arg(member.data_dir(dir)).arg("node").arg("--ready-file").arg(&ready);
        if let Some(process) = exit_with {
            command.arg("--exit-with-process").arg(process.to_string());
        }
        // Its configuration is its own file, not this command's surroundings.
        for variable in ["PYRSIA_CONFIG", "PYRSIA_DATA_DIR", "PYRSIA_LISTEN", "PYRSIA_UPSTREAM", "PYRSIA_IMAGES"] {
            command.env_remove(variable);
        }
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
        let child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        let pid = i32::try_from(child.id()).context("a process id that is none")?;
        // A process that is gone already has no start time: it is recorded as one that does not run.
        self.0.insert(member.name.clone(), Process { pid, start: start_time(pid).unwrap_or_default() });
        self.write(dir)
    }

    /// Asks all to end, waits, insists. Returns how many were running.
    pub async fn stop_all(&mut self, dir: &Path, patience: Duration) -> anyhow::Result<usize> {
        let running: Vec<Process> = self.0.values().copied().filter(|process| process.is_running()).collect();
        signal(&running, Signal::SIGTERM)?;
        let asked = Instant::now();
        while running.iter().any(|process| process.is_running()) && asked.elapsed() < patience {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let left: Vec<Process> = running.iter().copied().filter(|process| process.is_running()).collect();
        if !left.is_empty() {
            crate::terminal::note(&format!(
                "{} processes did not end within {} s: killed",
                left.len(),
                patience.as_secs()
            ));
            signal(&left, Signal::SIGKILL)?;
            while left.iter().any(|process| process.is_running()) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        self.0.clear();
        if dir.exists() {
            self.write(dir)?;
        }
        Ok(running.len())
    }
}

fn signal(processes: &[Process], signal: Signal) -> anyhow::Result<()> {
    for process in processes {
        match kill(Pid::from_raw(process.pid), signal) {
            // It ended in between.
            Ok(()) | Err(nix::errno::Errno::ESRCH) => {}
            Err(error) => return Err(error).with_context(|| format!("process {} cannot be ended", process.pid)),
        }
    }
    Ok(())
}

/// When a process started, in ticks since the machine did; none when it is gone or only waits for its parent.
pub fn start_time(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses and may hold anything.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    if fields.next()? == "Z" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_from_a_later_one_with_its_id() {
        let own = i32::try_from(std::process::id()).unwrap();
        let start = start_time(own).unwrap();
        assert!(Process { pid: own, start }.is_running());
        assert!(!Process { pid: own, start: start + 1 }.is_running());
        assert!(!Process { pid: i32::MAX, start }.is_running());
    }
}
