//! `images`: makes, lists, verifies and carries builder images.

use std::time::Instant;

use anyhow::Context as _;
use pyrsia_api_types::{ImageFetch, ImageFetched};
use pyrsia_digest::Sha256;
use serde::Serialize;

use super::governance;
use crate::asked::unless_asked;
use crate::cli::{Global, ImageRef, ImagesCommand};
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
            let images: Vec<Listed> = store.list()?.into_iter().map(|image| Listed::of(&store, image)).collect();
            if global.json {
                terminal::json(&images)?;
            } else {
                images.iter().for_each(Listed::show);
            }
        }
        ImagesCommand::Verify { image, again } => return verify(global, &store, image, *again).await,
        ImagesCommand::Export { image, out } => {
            let image = named(&store, image)?;
            let (store, file) = (store.clone(), out.clone());
            let digest = image.digest;
            let bytes = tokio::task::spawn_blocking(move || store.export(&image, &file)).await??;
            if global.json {
                terminal::json(&Exported { image: digest, file: out.display().to_string(), bytes })?;
            } else {
                line(&terminal::plain(&format!("{digest}  {} ({bytes} bytes)", out.display())));
            }
        }
        ImagesCommand::Import { file } => {
            let (into, file) = (store.clone(), file.clone());
            let image = tokio::task::spawn_blocking(move || into.import(&file)).await??;
            let listed = Listed::of(&store, image);
            if global.json {
                terminal::json(&listed)?;
            } else {
                listed.show();
            }
        }
        ImagesCommand::Fetch { digest } => return fetch(global, &context, digest).await,
        ImagesCommand::Approve { digest, name, unverified } => {
            return governance::image(global, &context, digest, name.as_str(), *unverified).await;
        }
        ImagesCommand::Build { name, force } => {
            let name = name.as_str();
            let image = match store.find(name)? {
                // One without a lock is of an older version of this program.
                Some(image) if !force && image.lock.is_some() => image,
                _ => {
                    let start = Instant::now();
                    terminal::note(&format!("making builder image {name}"));
                    let image = unless_asked(store.build(name, &progress)).await?;
                    terminal::note(&format!("made in {:.1} s", start.elapsed().as_secs_f64()));
                    image
                }
            };
            let listed = Listed::of(&store, image);
            if global.json {
                terminal::json(&listed)?;
            } else {
                listed.show();
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

/// Lines of the tool that makes images, for a person who waits.
fn progress(text: &str) {
    if terminal::decorated() {
        terminal::note(&terminal::plain(text));
    }
}

/// The image that somebody names.
fn named(store: &ImageStore, image: &ImageRef) -> anyhow::Result<KnownImage> {
    match image {
        ImageRef::Name(name) => store.find(name.as_str())?.with_context(|| {
            let name = name.as_str();
            format!("there is no builder image {name} here; make it with `pyrsia-maven images build {name}`")
        }),
        ImageRef::Digest(digest) => store.by_digest(digest)?.with_context(|| {
            format!(
                "builder image {digest} is not here; `pyrsia-maven images fetch {digest}` asks the node's peers for it"
            )
        }),
    }
}

async fn verify(global: &Global, store: &ImageStore, image: &ImageRef, again: bool) -> anyhow::Result<Exit> {
    let image = named(store, image)?;
    let work =
        async { if again { store.remake(&image, &progress).await } else { store.remade(&image, &progress).await } };
    let remade = unless_asked(work).await?;
    if global.json {
        terminal::json(&remade)?;
    } else if remade.equal {
        let suites = remade.suites.join(", ");
        line(&format!(
            "{}  {}  equal: {} packages of {suites} make the same files",
            remade.name, remade.image, remade.packages
        ));
    } else {
        line(&terminal::plain(&remade.difference()));
    }
    Ok(if remade.equal { Exit::Done } else { Exit::Different })
}

/// An image in a list.
#[derive(Debug, Serialize)]
struct Listed {
    #[serde(flatten)]
    image: KnownImage,
    /// Made on this machine from a recipe.
    own: bool,
    /// Made again here from its packages, with equal files.
    verified: bool,
}

impl Listed {
    fn of(store: &ImageStore, image: KnownImage) -> Self {
        Self { own: store.is_own(&image), verified: store.was_remade(&image), image }
    }

    fn show(&self) {
        let KnownImage { digest, layer, layer_bytes, config, .. } = &self.image;
        let origin = if self.own { "made here" } else { "of others" };
        let verified = if self.verified { ", verified" } else { "" };
        line(&terminal::plain(&format!(
            "{}  {digest}  layer {layer} ({layer_bytes} bytes), {origin}{verified}",
            config.name
        )));
    }
}

/// `images export`
#[derive(Debug, Serialize)]
struct Exported {
    image: Sha256,
    file: String,
    bytes: u64,
}
