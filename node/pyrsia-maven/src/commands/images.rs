//! `images`: makes and lists builder images.

use std::time::Instant;

use pyrsia_api_types::{ImageFetch, ImageFetched};
use pyrsia_digest::Sha256;

use super::governance;
use crate::cli::{Global, ImagesCommand};
use crate::client::Client;
use crate::context::Context;
use crate::exit::Exit;
use crate::image_store::{ImageStore, KnownImage};
use crate::known_nodes;
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
        ImagesCommand::Fetch { digest } => return fetch(global, &context, digest).await,
        ImagesCommand::Approve { digest, name } => {
            return governance::image(global, &context, digest, name.as_str()).await;
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

/// Asks until the image is there.
async fn fetch(global: &Global, context: &Context, digest: &Sha256) -> anyhow::Result<Exit> {
    let client = Client::new(&global.node, known_nodes::token(&context.data, &global.node)?)?;
    let wanted = ImageFetch { image: digest.to_string() };
    loop {
        let fetched: ImageFetched = client.post("/api/v1/images/fetch", &wanted).await?;
        if !fetched.here {
            continue;
        }
        if global.json {
            terminal::json(&fetched)?;
        } else {
            let (name, bytes) = (fetched.name.unwrap_or_default(), fetched.layer_bytes.unwrap_or_default());
            line(&terminal::plain(&format!("{name}  {}  ({bytes} bytes)", fetched.image)));
        }
        return Ok(Exit::Done);
    }
}

fn show(image: &KnownImage) {
    line(&format!("{}  {}  layer {} ({} bytes)", image.config.name, image.digest, image.layer, image.layer_bytes));
}
