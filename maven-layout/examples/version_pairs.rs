//! Prints pairs of versions and how [`maven_layout::version::compare`] ranks them, to be asked of Maven's own class.
//!
//! `version_pairs COUNT [SEED]` writes COUNT lines `left TAB right TAB answer`, the answer being `-1`, `0` or `1`. With `-`
//! instead of COUNT it reads lines `left TAB right` and answers those. The pairs are a function of the seed, so that a
//! difference can be found again.
//!
//! Half of the pairs are a text and a small change of it, because two random texts mostly differ at the first letter and
//! tell little about the rest.

use std::io::{BufRead, BufWriter, Write};
use std::process::ExitCode;

use maven_layout::version::compare;

/// Pieces that each reach another branch of Maven's comparison.
const QUALIFIERS: [&str; 46] = [
    "alpha",
    "ALPHA",
    "beta",
    "Beta",
    "milestone",
    "rc",
    "RC",
    "cr",
    "CR",
    "snapshot",
    "SNAPSHOT",
    "sp",
    "SP",
    "ga",
    "GA",
    "final",
    "Final",
    "FINAL",
    "release",
    "RELEASE",
    "a",
    "b",
    "m",
    "A",
    "B",
    "M",
    "c",
    "x",
    "z",
    "alph",
    "alphaa",
    "betas",
    "finals",
    "gaa",
    "r",
    "s",
    "jre",
    "android",
    "redhat",
    "incubating",
    "pre",
    "dev",
    "v",
    "Final_",
    "rc_",
    "_",
];
const NUMBERS: [&str; 26] = [
    "0",
    "0",
    "1",
    "1",
    "2",
    "3",
    "9",
    "10",
    "00",
    "01",
    "001",
    "007",
    "010",
    "000000000000000000000",
    "20261122",
    "072715",
    "999999999",
    "1000000000",
    "2147483648",
    "999999999999999999",
    "1000000000000000000",
    "9223372036854775808",
    "18446744073709551616",
    "000000000000000000000000000001",
    "123456789012345678901234567890",
    "0000000002147483648",
];
/// Letters whose lower case, order in UTF-16 or class of digits is special; none can stand in a file's path.
const UNICODE: [&str; 23] = [
    "é",
    "É",
    "ß",
    "ẞ",
    "İ",
    "ı",
    "ς",
    "σ",
    "ǅ",
    "\u{e000}",
    "\u{ffff}",
    "\u{1f600}",
    "\u{10400}",
    "\u{10428}",
    "٠",
    "٣",
    "٠٣",
    "९",
    "\u{1d7d9}",
    "１",
    "²",
    "Ⅷ",
    "\u{130}1",
];
const OTHERS: [&str; 9] = ["+", "~", "_", " ", "/", ":", "${v}", "!", "é"];

/// A small generator of numbers (splitmix64): enough for tests, and no dependency.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }
}

fn separator(random: &mut Random) -> &'static str {
    random.of(&[".", ".", ".", "-", "-", "", "", "..", "--", ".-", "-."])
}

fn piece(random: &mut Random) -> &'static str {
    match random.below(100) {
        0..55 => random.of(&NUMBERS),
        55..92 => random.of(&QUALIFIERS),
        92..96 => random.of(&UNICODE),
        _ => random.of(&OTHERS),
    }
}

fn version(random: &mut Random) -> Vec<&'static str> {
    let mut pieces = Vec::new();
    if random.below(20) == 0 {
        pieces.push(separator(random));
    }
    for _ in 0..=random.below(5) {
        pieces.push(piece(random));
        pieces.push(separator(random));
    }
    // Trailing separators are rare in the wild, and each of them is a case of its own.
    if random.below(8) != 0 {
        pieces.pop();
    }
    pieces
}

/// The pieces with one of them changed, taken away, added or said twice.
fn changed(random: &mut Random, pieces: &[&'static str]) -> Vec<&'static str> {
    let mut pieces = pieces.to_vec();
    for _ in 0..=random.below(2) {
        let at = random.below(pieces.len().max(1));
        let new = if random.below(2) == 0 { piece(random) } else { separator(random) };
        match random.below(5) {
            0 if at < pieces.len() => pieces[at] = new,
            1 if at < pieces.len() => drop(pieces.remove(at)),
            2 => pieces.insert(at, new),
            3 => pieces.extend([separator(random), random.of(&["0", "00", "ga", "final", "", "0.0", "release-0"])]),
            _ => pieces.extend([separator(random), new]),
        }
    }
    pieces
}

fn answer(out: &mut impl Write, left: &str, right: &str) -> std::io::Result<()> {
    writeln!(out, "{left}\t{right}\t{}", compare(left, right) as i8)
}

fn generated(out: &mut impl Write, count: u64, seed: u64) -> std::io::Result<()> {
    let mut random = Random(seed);
    for _ in 0..count {
        let left = version(&mut random);
        let right = if random.below(2) == 0 { changed(&mut random, &left) } else { version(&mut random) };
        answer(out, &left.concat(), &right.concat())?;
    }
    out.flush()
}

fn given(out: &mut impl Write) -> std::io::Result<()> {
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        if let Some((left, right)) = line.split_once('\t') {
            answer(out, left, right)?;
        }
    }
    out.flush()
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut out = BufWriter::new(std::io::stdout().lock());
    let seed = arguments.get(1).map_or(Ok(1), |text| text.parse());
    let done = match (arguments.first().map(String::as_str), seed) {
        (Some("-"), Ok(_)) => given(&mut out),
        (Some(count), Ok(seed)) => match count.parse() {
            Ok(count) => generated(&mut out, count, seed),
            Err(_) => return usage(),
        },
        _ => return usage(),
    };
    if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn usage() -> ExitCode {
    eprintln!("usage: version_pairs COUNT [SEED], or version_pairs - with pairs on standard input");
    ExitCode::from(2)
}
