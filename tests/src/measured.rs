//! What the benchmarks measure, and the document that they write: pure, so that its look can be tested without a
//! benchmark.

mod lines;

use std::fmt::Write as _;

pub use lines::LINES;

/// The figures of one thing, several times measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// In the line's unit, in ascending order; never empty.
    values: Vec<f64>,
}

impl Series {
    /// Of at least one figure.
    pub fn of(mut values: Vec<f64>) -> Self {
        assert!(!values.is_empty(), "nothing was measured");
        values.sort_by(f64::total_cmp);
        Self { values }
    }

    /// How often it was measured.
    pub fn runs(&self) -> usize {
        self.values.len()
    }

    /// The smallest figure of which this part (0 to 1) of all are no larger: the nearest rank.
    pub fn quantile(&self, part: f64) -> f64 {
        let rank = (part * self.values.len() as f64).ceil() as usize;
        self.values[rank.clamp(1, self.values.len()) - 1]
    }

    /// The figure in the middle.
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }
}

/// What a line should reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// The median lies below this.
    Below(f64),
    /// The median is this at most.
    AtMost(f64),
    /// The median, divided by the peer's, is this at most.
    PeerTimesAtMost(f64),
    /// The median, divided by the peer's, is this at least.
    PeerTimesAtLeast(f64),
    /// It is written down, nothing more.
    None,
}

/// One line of the table.
#[derive(Debug)]
pub struct Line {
    /// Its name.
    pub id: &'static str,
    /// The unit of its figures.
    pub unit: &'static str,
    /// What is measured, from where to where.
    pub meaning: &'static str,
    /// What it is compared against, in the same run.
    pub peer: Option<&'static str>,
    /// What it should reach.
    pub target: Target,
}

/// A line's figures.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// [`Line::id`].
    pub id: &'static str,
    /// The program's.
    pub own: Series,
    /// The peer's.
    pub peer: Option<Series>,
}

/// What was measured, on what.
#[derive(Debug, Clone)]
pub struct Circumstances {
    /// The program's version.
    pub version: String,
    /// YYYY-MM-DD.
    pub date: String,
    /// Processors.
    pub cores: usize,
    /// Memory in GiB.
    pub memory_gib: u64,
    /// Runnable tasks at the beginning (the load of the last minute).
    pub load: f64,
}

/// The document.
pub fn document(circumstances: &Circumstances, measured: &[Measured]) -> String {
    let mut text = String::from(
        "# Benchmarks\n\nWritten by `./dev bench`, which measures everything below in one run; do not edit. Each figure \
         belongs to the machine and the minute it was taken in: compare within this document, never across.\n\n",
    );
    let _ = writeln!(
        text,
        "{}, pyrsia-maven {}; a machine with {} processor cores and {} GiB of memory, on which everything runs, \
         also what is compared against. Load average of the last minute at the beginning: {:.1}.\n",
        circumstances.date, circumstances.version, circumstances.cores, circumstances.memory_gib, circumstances.load
    );
    text.push_str(
        "| line | unit | runs | min | median | p95 | max | peer's median (min to max) | to the peer | target | |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for line in &LINES {
        let found = measured.iter().find(|one| one.id == line.id);
        text.push_str(&found.map_or_else(|| missing(line), |one| row(line, one)));
    }
    text.push_str("\n## What the lines mean\n\n");
    for line in &LINES {
        let _ = writeln!(text, "- `{}`: {}", line.id, line.meaning);
        if let Some(peer) = line.peer {
            let _ = writeln!(text, "  Compared against {peer}.");
        }
    }
    text
}

/// The row of one line, as it will stand in the document.
pub fn line(measured: &Measured) -> String {
    let line = LINES.iter().find(|line| line.id == measured.id);
    line.map_or_else(|| format!("{} is no line", measured.id), |line| row(line, measured).trim_end().to_owned())
}

fn missing(line: &Line) -> String {
    format!("| `{}` | {} | 0 | | | | | | | {} | **not measured** |\n", line.id, line.unit, wish(line.target))
}

fn row(line: &Line, measured: &Measured) -> String {
    let own = &measured.own;
    let times = measured.peer.as_ref().map(|peer| times(own.median(), peer.median()));
    let (peer, to_the_peer) = match (&measured.peer, times) {
        (Some(peer), Some(times)) => (
            format!("{} ({} to {})", figure(peer.median()), figure(peer.quantile(0.0)), figure(peer.quantile(1.0))),
            format!("{times:.2} times"),
        ),
        _ => (String::new(), String::new()),
    };
    let met = match line.target {
        Target::None => None,
        Target::Below(limit) => Some(own.median() < limit),
        Target::AtMost(limit) => Some(own.median() <= limit),
        Target::PeerTimesAtMost(limit) => Some(times.is_some_and(|times| times <= limit)),
        Target::PeerTimesAtLeast(limit) => Some(times.is_some_and(|times| times >= limit)),
    };
    let met = met.map_or("", |met| if met { "met" } else { "**missed**" });
    format!(
        "| `{}` | {} | {} | {} | {} | {} | {} | {peer} | {to_the_peer} | {} | {met} |\n",
        line.id,
        line.unit,
        own.runs(),
        figure(own.quantile(0.0)),
        figure(own.median()),
        figure(own.quantile(0.95)),
        figure(own.quantile(1.0)),
        wish(line.target)
    )
}

/// One figure divided by another. Two that are too small to be told from nothing are the same.
fn times(own: f64, peer: f64) -> f64 {
    if own == 0.0 && peer == 0.0 { 1.0 } else { own / peer }
}

fn wish(target: Target) -> String {
    match target {
        Target::Below(limit) => format!("median < {limit}"),
        Target::AtMost(limit) => format!("median <= {limit}"),
        Target::PeerTimesAtMost(limit) => format!("<= {limit} times"),
        Target::PeerTimesAtLeast(limit) => format!(">= {limit} times"),
        Target::None => String::new(),
    }
}

/// Three digits that say something.
fn figure(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circumstances() -> Circumstances {
        Circumstances {
            version: "1.2.3".to_owned(),
            date: "2026-01-02".to_owned(),
            cores: 2,
            memory_gib: 8,
            load: 0.25,
        }
    }

    fn row_of(text: &str, id: &str) -> String {
        let start = format!("| `{id}` |");
        let mut rows = text.lines().filter(|line| line.starts_with(&start));
        let row = rows.next().expect("a row").to_owned();
        assert_eq!(rows.next(), None, "one row for each line");
        row
    }

    #[test]
    fn quantiles_are_measured_figures() {
        let series = Series::of((1..=20).rev().map(f64::from).collect());
        assert_eq!((series.runs(), series.quantile(0.0), series.median()), (20, 1.0, 10.0));
        assert_eq!((series.quantile(0.95), series.quantile(1.0)), (19.0, 20.0));
        assert_eq!(Series::of(vec![7.0]).quantile(0.95), 7.0);
    }

    #[test]
    fn a_row_says_whether_its_target_is_met() {
        let own = |id, value: f64, peer: Option<f64>| Measured {
            id,
            own: Series::of(vec![value]),
            peer: peer.map(|peer| Series::of(vec![peer])),
        };
        let measured = [
            own("finality-plain", 500.0, None),
            own("idle-entries", 0.0, None),
            own("verify-node", 12.345, Some(5.0)),
            own("blob", 80.0, Some(100.0)),
            own("build", 20.0, None),
        ];
        let text = document(&circumstances(), &measured);
        let expected = "| `finality-plain` | ms | 1 | 500 | 500 | 500 | 500 |  |  | median < 500 | **missed** |";
        assert_eq!(row_of(&text, "finality-plain"), expected);
        assert!(row_of(&text, "idle-entries").ends_with("| median <= 0 | met |"));
        let expected = "| `verify-node` | ms | 1 | 12.3 | 12.3 | 12.3 | 12.3 | 5.00 (5.00 to 5.00) | 2.47 times | \
                        median < 50 | met |";
        assert_eq!(row_of(&text, "verify-node"), expected);
        assert!(row_of(&text, "blob").ends_with("| 0.80 times | >= 0.8 times | met |"));
        assert!(row_of(&text, "build").ends_with("|  |  |  |  |"), "{}", row_of(&text, "build"));
        assert!(row_of(&text, "rebuild").ends_with("| **not measured** |"));
        let worse = document(&circumstances(), &[own("blob", 79.0, Some(100.0))]);
        assert!(row_of(&worse, "blob").ends_with("| **missed** |"));
        let without_peer = document(&circumstances(), &[own("blob", 79.0, None)]);
        assert!(row_of(&without_peer, "blob").ends_with("| **missed** |"), "nothing to compare with is no success");
        for (value, peer, end) in [
            (0.0, 0.0, "| 1.00 times | <= 3 times | met |"),
            (0.0, 1.0, "| 0.00 times | <= 3 times | met |"),
            (1.0, 0.0, "| inf times | <= 3 times | **missed** |"),
        ] {
            let text = document(&circumstances(), &[own("repository-head-p99", value, Some(peer))]);
            let row = row_of(&text, "repository-head-p99");
            assert!(row.ends_with(end), "{row}");
        }
    }

    #[test]
    fn the_document_says_what_each_line_means_and_where_it_was_measured() {
        let text = document(&circumstances(), &[]);
        assert!(text.contains("2026-01-02, pyrsia-maven 1.2.3; a machine with 2 processor cores and 8 GiB"));
        for line in &LINES {
            assert!(text.contains(&format!("- `{}`: {}\n", line.id, line.meaning)), "{}", line.id);
            assert!(row_of(&text, line.id).contains("not measured"));
            assert!(line.peer.is_none_or(|peer| text.contains(peer)), "{}", line.id);
        }
    }
}
