//! The program with a scripted builder in place of containers: for tests of what authorities do, not of what builds do.
//!
//! Everything but `record`, `replay` and the images is the shipped program's: sources are really cloned and checked, entries
//! really ordered, files really exchanged. What a node's builder does stands in `PYRSIA_SCRIPT/NAME.json` (NAME is the name of
//! its data directory), which is read anew at each step; without the file it is honest.
//!
//! `PYRSIA_SCRIPT/NAME.entries/` is where a test puts entries, as canonical bytes, that this node is to submit as they are.

mod builder;
mod entries;
mod script;

use std::sync::Arc;

use java_builder::JavaBuilder;
use pyrsia_maven::builders::{Builders, Surroundings};

fn main() -> std::process::ExitCode {
    pyrsia_maven::exit::Exit::into(pyrsia_maven::run(scripted))
}

fn scripted(surroundings: Surroundings) -> anyhow::Result<Builders> {
    let script = script::Place::of(&surroundings.data_dir);
    let java = JavaBuilder::new(surroundings.java);
    Ok(Builders {
        builder: Arc::new(builder::Scripted { java, script: script.clone() }),
        images: Arc::new(builder::NoImages),
        image_store: None,
        entries: Some(entries::watch(script.entries())),
    })
}
