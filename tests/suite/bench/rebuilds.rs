//! Rebuilds, and their replays beside the same container without the program.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pyrsia_tests::engine::RuntimeFolder;
use pyrsia_tests::measured::Measured;
use pyrsia_tests::places;

use super::by_hand::Container;
use super::{alone, beside};

/// Rebuilds of the library, each with a container started by hand after it.
const REBUILDS: usize = 5;
/// How often the engine is asked for the container that is to be copied.
const LOOK: Duration = Duration::from_millis(50);

pub fn rebuilds() -> Vec<Measured> {
    let chain = crate::fixture::shared();
    let runtime = RuntimeFolder::default();
    let config = runtime.configuration().to_string_lossy().into_owned();
    let rebuild =
        |out: &Path| crate::fixture::rebuild(&chain.sources, out, &["--no-reference", "--config", &config]).expect(0);
    // One that does not count fills the cache and shows what its replay's container is made of.
    let out = places::scratch("bench");
    let ended = AtomicBool::new(false);
    let container = std::thread::scope(|scope| {
        let seen = scope.spawn(|| {
            let mut seen = None;
            while !ended.load(Ordering::SeqCst) {
                for id in runtime.containers() {
                    // The replay is the later of the two.
                    seen = Container::like(&id).or(seen);
                }
                std::thread::sleep(LOOK);
            }
            seen
        });
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| rebuild(out.path())));
        ended.store(true, Ordering::SeqCst);
        let seen = seen.join().expect("the engine answers");
        done.expect("a rebuild");
        seen.expect("the container was seen")
    });
    let blobs = places::run_folder().join("rebuild-data");
    let by_hand = container.prepare(&out.path().join("manifest.txt"), &blobs, &chain.lib);
    let (mut whole, mut replays, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..REBUILDS {
        let out = places::scratch("bench");
        let done = rebuild(out.path());
        whole.push(done.took.as_secs_f64());
        replays.push(done.json()["timings"]["replay_s"].as_f64().expect("seconds"));
        bare.push(by_hand.run().as_secs_f64());
    }

    let build = chain.build.took.as_secs_f64();
    vec![alone("build", vec![build]), alone("rebuild", whole), beside("replay", replays, bare)]
}
