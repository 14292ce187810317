//! Running commands to their end, with a limit, and seeing what they said.

use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A command that ended.
#[derive(Debug)]
pub struct Finished {
    /// The command line, for messages.
    pub line: String,
    /// The exit code; -1 when a signal ended it, -2 when the limit did.
    pub code: i32,
    /// Standard output; bytes that are not UTF-8 are replaced.
    pub stdout: String,
    /// Standard error; bytes that are not UTF-8 are replaced.
    pub stderr: String,
    /// Wall-clock time.
    pub took: Duration,
    /// The log of the node that the command spoke to; its end is shown when an expectation fails.
    pub log: Option<PathBuf>,
}

impl Finished {
    /// Fails the test with everything the command said unless it ended with `code`.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert!(self.code == code, "expected exit code {code}\n{}", self.report());
        self
    }

    /// Standard output as one JSON document.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        match serde_json::from_str(&self.stdout) {
            Ok(value) => value,
            Err(error) => panic!("standard output is not one JSON document: {error}\n{}", self.report()),
        }
    }

    /// Both outputs, for searching.
    pub fn output(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// What happened, for a person.
    pub fn report(&self) -> String {
        let mut text = format!(
            "$ {}\nended with {} after {:.1} s\n--- stdout\n{}\n--- stderr\n{}\n",
            self.line,
            self.code,
            self.took.as_secs_f64(),
            tail(&self.stdout, 80),
            tail(&self.stderr, 80),
        );
        if let Some(log) = &self.log {
            let _ = writeln!(text, "--- {}\n{}", log.display(), tail_of(log, 60));
        }
        text
    }
}

/// Runs a command without standard input; ends it after `limit`.
pub fn run(command: &mut Command, limit: Duration) -> Finished {
    let line = describe(command);
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {line}: {error}"));
    let stdout = drain(child.stdout.take().expect("stdout is piped"));
    let stderr = drain(child.stderr.take().expect("stderr is piped"));
    let code = wait(&mut child, limit);
    Finished {
        line,
        code,
        stdout: stdout.join().expect("the reader does not panic"),
        stderr: stderr.join().expect("the reader does not panic"),
        took: started.elapsed(),
        log: None,
    }
}

/// Waits for a child up to `limit`, then kills it. See [`Finished::code`] for the result.
pub fn wait(child: &mut Child, limit: Duration) -> i32 {
    let started = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.code().unwrap_or(-1),
            Ok(None) if started.elapsed() < limit => std::thread::sleep(Duration::from_millis(15)),
            Ok(None) | Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                return -2;
            }
        }
    }
}

/// Asks a process to end, by its id.
pub fn terminate(id: u32) {
    let _ = Command::new("kill").arg("-TERM").arg(id.to_string()).status();
}

/// Ends a child: asks it to, waits up to `limit`, then kills it. One that has ended already is not asked.
pub fn end(child: &mut Child, limit: Duration) {
    if matches!(child.try_wait(), Ok(None)) {
        terminate(child.id());
    }
    wait(child, limit);
}

/// Kills a process, by its id.
pub fn kill(id: u32) {
    let _ = Command::new("kill").arg("-KILL").arg(id.to_string()).status();
}

/// Whether a process is there and has not ended.
pub fn is_running(id: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// The processes that run with this text in their command line.
pub fn mentioning(text: &str) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").expect("the processes").flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mentions = |id: &u32| {
        let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(text)
    };
    ids.filter(mentions).collect()
}

/// Memory of a process that is in use now, in MiB.
#[track_caller]
pub fn resident_mib(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("a running process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS of a running process");
    let kib: u64 = line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number of KiB");
    kib / 1024
}

/// Writes a file that only its owner can read.
pub fn private_file(path: &Path, text: &str) {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file =
        std::fs::File::options().create(true).truncate(true).write(true).mode(0o600).open(path).expect("a new file");
    std::io::Write::write_all(&mut file, text.as_bytes()).expect("a written file");
}

/// The last `lines` lines of a text.
pub fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// The last lines of a file, or why it cannot be read.
pub fn tail_of(file: &Path, lines: usize) -> String {
    match std::fs::read(file) {
        Ok(bytes) => tail(&String::from_utf8_lossy(&bytes), lines),
        Err(error) => format!("({error})"),
    }
}

/// Asks again every 50 ms until `ready` answers, up to `limit`.
pub fn until<T>(limit: Duration, mut ready: impl FnMut() -> Option<T>) -> Option<T> {
    let started = Instant::now();
    loop {
        if let Some(value) = ready() {
            return Some(value);
        }
        if started.elapsed() > limit {
            return None;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn drain(mut from: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn describe(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_outputs_are_seen() {
        let done = run(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 7"]), Duration::from_secs(10));
        assert_eq!(done.code, 7);
        assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("out\n", "err\n"));
    }

    #[test]
    fn the_limit_ends_a_command() {
        let done = run(Command::new("sleep").arg("30"), Duration::from_millis(100));
        assert_eq!(done.code, -2);
        assert!(done.took < Duration::from_secs(10));
    }
}
