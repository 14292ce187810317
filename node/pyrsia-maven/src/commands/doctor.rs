//! `doctor`: what a node needs on this machine, and what is missing.

use build_spec::Builder as _;
use serde::Serialize;

use crate::cli::Global;
use crate::compose;
use crate::context::Context;
use crate::exit::Exit;
use crate::image_store::ImageStore;
use crate::upstream::Upstream;
use crate::{terminal, upstream};

#[derive(Serialize)]
struct Check {
    name: &'static str,
    ok: bool,
    text: String,
}

/// Runs the command. Exit 1 when something that a mirror needs is missing; a missing engine only limits it.
pub async fn run(global: &Global) -> anyhow::Result<Exit> {
    let context = Context::load(global)?;
    let mut checks = Vec::new();
    let mut check = |name, result: Result<String, String>| {
        let (ok, text) = match result {
            Ok(text) => (true, text),
            Err(text) => (false, text),
        };
        checks.push(Check { name, ok, text });
    };
    let folder = context.data.create().map(|()| context.data.root().display().to_string());
    check("data directory", folder.map_err(|error| format!("{error:#}")));
    let found = upstream::find_all(&context.config).await;
    let shown = |upstream: &Upstream| format!("{} (from {})", upstream.url, upstream.found);
    check(
        "upstream",
        match found {
            Ok(all) if all.is_empty() => Err("none was found; install Maven or set `upstream` in [node]".to_owned()),
            Ok(all) => Ok(all.iter().map(shown).collect::<Vec<_>>().join(", ")),
            Err(error) => Err(format!("{error:#}")),
        },
    );
    let builder = compose::java_builder(&context);
    check("container engine", builder.available().await.map(|()| "answers".to_owned()));
    let images = ImageStore::open(&context.images_dir(), None).and_then(|store| store.list());
    check(
        "builder images",
        match images {
            Ok(images) if images.is_empty() => Err("none; run `pyrsia-maven images build jdk17`".to_owned()),
            Ok(images) => Ok(images.iter().map(|image| image.config.name.clone()).collect::<Vec<_>>().join(", ")),
            Err(error) => Err(format!("{error:#}")),
        },
    );
    let essential = ["data directory", "upstream"];
    let broken = checks.iter().any(|check| !check.ok && essential.contains(&check.name));
    if global.json {
        terminal::json(&checks)?;
    } else {
        for check in &checks {
            terminal::line(&format!(
                "{} {:<16} {}",
                if check.ok { "ok     " } else { "MISSING" },
                check.name,
                check.text
            ));
        }
    }
    Ok(if broken { Exit::Failed } else { Exit::Done })
}
