//! Benchmarks: figures to be compared within one run on one machine, never from memory, and never part of a test that
//! can fail for being slow. `./dev bench` runs them and writes `docs/BENCHMARKS.md`; with `PYRSIA_BENCH` set to names of
//! parts (`verify,blobs`) these alone, and the document stays as it is.

mod blob;
mod by_hand;
mod cold;
mod crowd;
mod devnet;
mod index;
mod rebuilds;
mod repository;
mod warm;

use std::panic::AssertUnwindSafe;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pyrsia_tests::measured::{self, Circumstances, Measured, Series};
use pyrsia_tests::scripted::Scripted;
use pyrsia_tests::{node, places};

/// What several parts need.
const NETWORK: &str = "a network starts";

#[test]
#[ignore = "a benchmark"]
fn bench_everything() {
    let circumstances = circumstances();
    let mut all = Vec::new();
    // A part that breaks leaves its lines unmeasured, and the others their figures.
    let mut broken = Vec::new();
    let alone = std::env::var("PYRSIA_BENCH").ok();
    let mut part = |name: &'static str, measure: &mut dyn FnMut() -> Vec<Measured>| {
        if name != NETWORK && alone.as_ref().is_some_and(|alone| alone.split(',').all(|wanted| wanted != name)) {
            return;
        }
        println!("measuring: {name}");
        match std::panic::catch_unwind(AssertUnwindSafe(measure)) {
            Ok(measured) => {
                for one in &measured {
                    println!("{}", measured::line(one));
                }
                all.extend(measured);
            }
            Err(_) => broken.push(name),
        }
    };
    part("an idle network", &mut devnet::idle);
    let mut network = None;
    part(NETWORK, &mut || {
        network = Some(Scripted::start("bench", 60));
        Vec::new()
    });
    if let Some(network) = &network {
        part("finality", &mut || devnet::finality(network));
        part("verify", &mut || devnet::verify(network));
        part("blobs", &mut || blob::transfers(network));
    }
    drop(network);
    part("warm files", &mut warm::files);
    part("repository", &mut repository::repository);
    part("an index", &mut index::index);
    part("whole builds", &mut cold::builds);
    part("a crowd", &mut crowd::crowd);
    part("a long load", &mut crowd::soak);
    part("rebuilds", &mut rebuilds::rebuilds);
    let text = measured::document(&circumstances, &all);
    println!("\n{text}");
    if alone.is_none() {
        std::fs::write(places::root().join("docs/BENCHMARKS.md"), &text).expect("a written document");
    }
    assert!(broken.is_empty(), "not measured: {broken:?}");
}

fn circumstances() -> Circumstances {
    let version = node::cli(&["--version"]).expect(0).stdout;
    let date = Command::new("date").args(["-u", "+%F"]).output().expect("date runs");
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"));
    let memory = read("/proc/meminfo");
    let kib: u64 = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse().ok())
        .expect("the size of the memory");
    let load = read("/proc/loadavg");
    Circumstances {
        version: version.split_whitespace().last().expect("a version").to_owned(),
        date: String::from_utf8_lossy(&date.stdout).trim().to_owned(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        memory_gib: (kib + (1 << 19)) >> 20,
        load: load.split_whitespace().next().and_then(|word| word.parse().ok()).expect("a load"),
    }
}

/// A whole process, from before its start until its end is known, in ms; it must end with 0. Waits for the end without
/// polling, as the harness does elsewhere.
fn process_ms(command: &mut Command) -> f64 {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let started = Instant::now();
    let status = command.status().expect("the program starts");
    let took = ms(started.elapsed());
    assert!(status.success(), "{command:?} ended with {status}");
    took
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// A line without a peer.
fn alone(id: &'static str, own: Vec<f64>) -> Measured {
    Measured { id, own: Series::of(own), peer: None }
}

/// A line with the figures of its peer.
fn beside(id: &'static str, own: Vec<f64>, peer: Vec<f64>) -> Measured {
    Measured { id, own: Series::of(own), peer: Some(Series::of(peer)) }
}
