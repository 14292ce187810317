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
    /// A JVM had not enough memory. How much it takes for itself follows from the limit, so this says as little about the
    /// source as the limit does.
    pub(crate) out_of_memory: bool,
    /// No further process or thread could be started.
    pub(crate) out_of_processes: bool,
    /// The first host of the network that the build could not find.
    pub(crate) unknown_host: Option<String>,
}

impl Hints {
    fn look_at(&mut self, line: &str) {
        let says = |phrases: &[&str]| phrases.iter().any(|phrase| line.contains(phrase));
        self.disk_full |= says(&["No space left on device"]);
        let no_thread = says(&["unable to create native thread", "unable to create new native thread"]);
        self.out_of_processes |= no_thread || says(&["fork: Resource temporarily", "Cannot fork"]);
        self.out_of_memory |= !no_thread
            && says(&[
                "java.lang.OutOfMemoryError",
                "insufficient memory for the Java Runtime Environment to continue",
            ]);
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
    /// Bytes that the build may still write.
    left: u64,
    is_over: bool,
    hints: Hints,
}

impl LogLines {
    /// Takes at most `limit` bytes.
    pub(crate) fn new(sink: Arc<dyn BuildLog>, phase: Phase, limit: u64) -> Self {
        let (partial, tail) = (Vec::new(), VecDeque::new());
        Self { sink, phase, partial, tail, left: limit, is_over: false, hints: Hints::default() }
    }

    /// Takes what the build wrote. Every byte counts, also those of which no line is made.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        if self.is_over {
            return;
        }
        let fits = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        self.left -= fits as u64;
        for byte in &bytes[..fits] {
            if *byte == b'\n' || self.partial.len() >= MAX_LINE {
                self.flush();
            }
            if *byte != b'\n' {
                self.partial.push(*byte);
            }
        }
        if fits < bytes.len() {
            self.flush();
            self.is_over = true;
            self.sink.line(self.phase, "(the log is longer than its limit)");
        }
    }

    /// Whether the build wrote more than it may.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
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
        let mut lines = LogLines::new(kept.clone(), Phase::Record, 19);
        lines.feed(b"on");
        lines.feed(b"e\r\n\x1b[31mtwo\n");
        lines.feed(b"three");
        assert!(!lines.is_over());
        assert_eq!(lines.tail(), ["one", "[31mtwo", "three"]);
        lines.feed(b"x");
        lines.feed(b"nothing of this\n");
        assert!(lines.is_over());
        let seen = kept.0.lock().unwrap().clone();
        assert_eq!(seen[..3], ["one", "[31mtwo", "three"]);
        assert!(seen.len() == 4 && seen[3].contains("limit"), "{seen:?}");
    }

    #[test]
    fn what_makes_no_line_counts_too() {
        for piece in [&b"\n"[..], b"\x01\x02", b"\xff", b"x"] {
            let mut lines = LogLines::new(Arc::new(build_spec::NoLog), Phase::Record, 10_000);
            let fed = (0..20_000).take_while(|_| {
                lines.feed(piece);
                !lines.is_over()
            });
            assert_eq!(fed.count(), 10_000 / piece.len(), "{piece:?}");
        }
    }

    #[test]
    fn what_ran_short_is_known_by_the_words_of_tools() {
        let of = |line: &str| {
            let mut hints = Hints::default();
            hints.look_at(line);
            (hints.disk_full, hints.out_of_memory, hints.out_of_processes)
        };
        assert_eq!(of("tar: x: Cannot write: No space left on device"), (true, false, false));
        assert_eq!(
            of("Exception in thread \"main\" java.lang.OutOfMemoryError: Java heap space"),
            (false, true, false)
        );
        let thread = "java.lang.OutOfMemoryError: unable to create native thread: possibly out of memory";
        assert_eq!(of(thread), (false, false, true));
        assert_eq!(of("attack.sh: fork: Resource temporarily unavailable"), (false, false, true));
        assert_eq!(of("sh: 0: Cannot fork"), (false, false, true));
        assert_eq!(of("BUILD FAILURE"), (false, false, false));
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
