//! `images`: makes and lists builder images.

use std::time::Instant;

use crate::cli::{Global, ImagesCommand};
use crate::context::Context;
use crate::exit::Exit;
use crate::image_store::{ImageStore, KnownImage};
use crate::terminal::{self, line};

/// Runs the command.
pub async fn run(global: &Global, command: &ImagesCommand) -> anyhow::Result<Exit> {
    let context = Context::load(global)?;
    let store = ImageStore::open(&context.images_dir(), context.config.builder.java.engine.clone())?;
    match command {
        ImagesCommand::List => {
            let images = store.list()?;
            if global.json {
                terminal::json(&images)?;
            } else {
                images.iter().for_each(show);
            }
        }
        ImagesCommand::Build { name, force } => {
            let name = name.as_str();
            let image = match store.find(name)? {
                Some(image) if !force => image,
                _ => {
                    let start = Instant::now();
                    terminal::note(&format!("making builder image {name}"));
                    let progress = |text: &str| {
                        if terminal::decorated() {
                            terminal::note(&terminal::plain(text));
                        }
                    };
                    let image = store.build(name, &progress).await?;
                    terminal::note(&format!("made in {:.1} s", start.elapsed().as_secs_f64()));
                    image
                }
            };
            if global.json {
                terminal::json(&image)?;
            } else {
                show(&image);
            }
        }
    }
    Ok(Exit::Done)
}

fn show(image: &KnownImage) {
    line(&format!("{}  {}  layer {} ({} bytes)", image.config.name, image.digest, image.layer, image.layer_bytes));
}
