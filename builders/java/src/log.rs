//! A build's log on its way to the caller: cut into lines, bounded, cleaned of control characters.

use std::collections::VecDeque;
use std::sync::Arc;

use build_spec::{BuildLog, Phase};

/// Lines that an error keeps.
const TAIL: usize = 40;
/// A longer line is cut into several.
const MAX_LINE: usize = 4096;

/// What a log says about why a build failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Hints {
    /// A write failed for want of space.
    pub(crate) disk_full: bool,
    /// The first host of the network that the build could not find.
    pub(crate) unknown_host: Option<String>,
}

impl Hints {
    fn look_at(&mut self, line: &str) {
        self.disk_full |= line.contains("No space left on device");
        if self.unknown_host.is_none() {
            self.unknown_host = unknown_host(line);
        }
    }
}

/// The host after one of the phrases that tools use.
fn unknown_host(line: &str) -> Option<String> {
    let phrases = ["UnknownHostException: ", "Unknown host ", "Could not resolve host: "];
    let rest = phrases.iter().find_map(|phrase| line.split_once(phrase)).map(|(_, rest)| rest);
    // What a name server's failure is called, behind the host; Gradle says no more.
    let behind = [": Temporary failure in name resolution", ": Name or service not known"];
    let front = || behind.iter().find_map(|phrase| line.split_once(phrase)).map(|(front, _)| front);
    let rest = rest.or_else(|| front()?.rsplit(' ').next())?;
    let host: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || ".-".contains(*c)).collect();
    let host = host.trim_end_matches('.');
    (host.contains('.') && host.len() <= 253).then(|| host.to_owned())
}

pub(crate) struct LogLines {
    sink: Arc<dyn BuildLog>,
    phase: Phase,
    partial: Vec<u8>,
    tail: VecDeque<String>,
    left: u64,
    hints: Hints,
}

impl LogLines {
    /// At most `limit` bytes reach the sink; the tail is kept whatever the limit.
    pub(crate) fn new(sink: Arc<dyn BuildLog>, phase: Phase, limit: u64) -> Self {
        Self { sink, phase, partial: Vec::new(), tail: VecDeque::new(), left: limit, hints: Hints::default() }
    }

    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if *byte == b'\n' || self.partial.len() >= MAX_LINE {
                self.flush();
            }
            if *byte != b'\n' {
                self.partial.push(*byte);
            }
        }
    }

    /// Ends the last line.
    pub(crate) fn flush(&mut self) {
        if !self.partial.is_empty() {
            let line = clean(&String::from_utf8_lossy(&self.partial));
            self.partial.clear();
            self.emit(&line);
        }
    }

    /// The last lines.
    pub(crate) fn tail(&mut self) -> Vec<String> {
        self.flush();
        self.tail.iter().cloned().collect()
    }

    /// What was noticed so far.
    pub(crate) fn hints(&self) -> Hints {
        self.hints.clone()
    }

    fn emit(&mut self, line: &str) {
        self.hints.look_at(line);
        if self.tail.len() == TAIL {
            self.tail.pop_front();
        }
        self.tail.push_back(line.to_owned());
        if self.left == 0 {
            return;
        }
        let cost = line.len() as u64 + 1;
        if cost > self.left {
            self.left = 0;
            self.sink.line(self.phase, "(the log is longer than its limit; the rest is dropped)");
            return;
        }
        self.left -= cost;
        self.sink.line(self.phase, line);
    }
}

/// Without control characters: a build must not steer the terminal of who reads its log.
fn clean(line: &str) -> String {
    line.chars().filter(|c| *c == '\t' || !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[derive(Default)]
    struct Kept(Mutex<Vec<String>>);

    impl BuildLog for Kept {
        fn line(&self, _: Phase, line: &str) {
            self.0.lock().unwrap().push(line.to_owned());
        }
    }

    #[test]
    fn lines_are_cut_cleaned_and_bounded() {
        let kept = Arc::new(Kept::default());
        let mut lines = LogLines::new(kept.clone(), Phase::Record, 13);
        lines.feed(b"on");
        lines.feed(b"e\r\n\x1b[31mtwo\n");
        lines.feed(b"three");
        assert_eq!(lines.tail(), ["one", "[31mtwo", "three"]);
        let seen = kept.0.lock().unwrap().clone();
        assert_eq!(seen[..2], ["one", "[31mtwo"]);
        assert_eq!(seen.len(), 3);
        assert!(seen[2].contains("limit"));
    }

    #[test]
    fn hosts_are_named_from_the_phrases_of_tools() {
        for (line, host) in [
            ("Caused by: java.net.UnknownHostException: nodejs.org", Some("nodejs.org")),
            ("fatal: unable to access 'https://a.b/': Could not resolve host: a.b", Some("a.b")),
            ("[ERROR] Unknown host example.org: Name or service not known", Some("example.org")),
            ("java.net.UnknownHostException: sandbox", None),
            ("   > repo.example.org: Temporary failure in name resolution", Some("repo.example.org")),
            ("   > plugins.example.org: Name or service not known", Some("plugins.example.org")),
            (": Name or service not known", None),
            ("nothing", None),
        ] {
            assert_eq!(unknown_host(line).as_deref(), host, "{line}");
        }
    }

    #[test]
    fn an_endless_line_takes_bounded_memory() {
        let mut lines = LogLines::new(Arc::new(build_spec::NoLog), Phase::Replay, u64::MAX);
        for _ in 0..1000 {
            lines.feed(&[b'x'; 1000]);
            assert!(lines.partial.len() <= MAX_LINE);
        }
        assert!(lines.tail().len() <= TAIL);
    }
}
