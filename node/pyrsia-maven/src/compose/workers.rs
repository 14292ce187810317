//! Workers: the listener for them, and a builder that has them build.

use std::collections::BTreeSet;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use pyrsia_digest::Sha256;
use pyrsia_http::{Limits, Tls, WorkerDoor, WorkerImages, WorkerToken};
use pyrsia_rebuilds::{Images, OwnImage};
use pyrsia_workers::{Hub, HubConfig, OutputLimits, RemoteBuilder};
use tokio::net::TcpListener;

use super::secure::{certificate, token};
use crate::builders::Builders;
use crate::config::{Config, WorkersConfig};
use crate::data_dir::DataDir;
use crate::image_store::ImageStore;

/// Connections of all workers, and of one address, behind which a whole cluster may be. A build has up to 64.
const CONNECTIONS: usize = 2048;
const PER_CLIENT: usize = 1024;
/// Leases that can be set, in seconds: long enough for a network that stutters, short enough for somebody who waits.
const LEASES: std::ops::RangeInclusive<u64> = 5..=3600;
/// Rounds at a time that can be set.
const BUILDS: std::ops::RangeInclusive<usize> = 1..=256;
/// A lease lasts at most so many times as long as a build may take: it waits for a slot, gets files and sends files too.
const TIMES: u32 = 4;

/// A listener that is ready to serve workers.
pub struct Workers {
    address: SocketAddr,
    listener: TcpListener,
    tls: Option<Tls>,
    door: WorkerDoor,
}

impl Workers {
    /// Where workers find it.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Serves until `shutdown` is done.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let limits = Limits { connections: CONNECTIONS, per_client: PER_CLIENT, ..Limits::default() };
        pyrsia_http::serve(self.listener, self.tls, self.door, limits, shutdown).await;
    }
}

/// The listener, if the configuration has one; `builders` then has workers build.
pub fn workers(config: &Config, data: &DataDir, builders: &mut Builders) -> anyhow::Result<Option<Workers>> {
    let WorkersConfig { listen, tls, lease_s, builds, tokens } = &config.workers;
    let Some(listen) = *listen else {
        anyhow::ensure!(tokens.is_empty(), "there are [[workers.tokens]], and no `listen` in [workers]");
        return Ok(None);
    };
    anyhow::ensure!(
        !tokens.is_empty(),
        "[workers] has a `listen` and no [[workers.tokens]]: nobody could take a build"
    );
    let (least, most) = (LEASES.start(), LEASES.end());
    anyhow::ensure!(LEASES.contains(lease_s), "`lease_s` in [workers] is from {least} to {most}, and not {lease_s}");
    let (least, most) = (BUILDS.start(), BUILDS.end());
    anyhow::ensure!(BUILDS.contains(builds), "`builds` in [workers] is from {least} to {most}, and not {builds}");
    let names: BTreeSet<&str> = tokens.iter().map(|known| known.name.as_str()).collect();
    anyhow::ensure!(names.len() == tokens.len(), "two [[workers.tokens]] have the same name");
    let known = tokens.iter().map(|known| {
        let secret = token("[[workers.tokens]]", &known.name, &known.token_file)?;
        Ok(WorkerToken { name: known.name.clone(), token: secret })
    });
    let known = known.collect::<anyhow::Result<Vec<_>>>()?;

    let with_tls = *tls || !listen.ip().to_canonical().is_loopback();
    pyrsia_http::check_bind(listen, with_tls, true)?;
    let tls = with_tls.then(|| certificate(config, data).context("[tls], for [workers]")).transpose()?;
    let listener =
        pyrsia_http::listen(listen).with_context(|| format!("cannot listen at {listen}, named in [workers]"))?;

    let limits = &config.builder.java.limits;
    let hub = Hub::new(HubConfig {
        lease: Duration::from_secs(*lease_s),
        longest: Duration::from_secs(limits.build_seconds).saturating_mul(TIMES),
        outputs: OutputLimits { bytes: limits.output_mib.saturating_mul(1 << 20), files: limits.output_files },
    })?;
    let images: Arc<dyn WorkerImages> = match &builders.image_store {
        Some(store) => {
            builders.images = Arc::new(WithoutEngine(store.clone()));
            Arc::new(Shown(store.clone()))
        }
        None => Arc::new(NoImages),
    };
    builders.builder = Arc::new(RemoteBuilder::new(builders.builder.clone(), hub.clone()));
    let door = WorkerDoor::new(hub, images, known);
    Ok(Some(Workers { address: listener.local_addr()?, listener, tls, door }))
}

/// The images of an authority that builds nothing itself: they are made and kept here, and loaded by workers.
struct WithoutEngine(Arc<ImageStore>);

#[async_trait]
impl Images for WithoutEngine {
    async fn named(&self, name: &str) -> Result<Sha256, String> {
        self.0.named(name).await
    }

    async fn ensure(&self, image: &Sha256) -> Result<(), String> {
        self.0.find_or_fetch(image).await.map(|_| ()).map_err(|error| format!("{error:#}"))
    }

    async fn made(&self) -> Result<Vec<OwnImage>, String> {
        self.0.made().await
    }

    async fn verify(&self, image: &Sha256) -> Result<(), String> {
        self.0.verify(image).await
    }
}

/// Builder images, as workers get them.
struct Shown(Arc<ImageStore>);

impl WorkerImages for Shown {
    fn describe(&self, image: &Sha256) -> Option<Vec<u8>> {
        let known = self.0.by_digest(image).ok().flatten()?;
        serde_json::to_vec(&known).ok()
    }

    fn layer(&self, layer: &Sha256) -> Option<PathBuf> {
        // Layers of images, and nothing else of what the folder holds.
        let is_layer = self.0.list().ok()?.iter().any(|known| known.layer == *layer);
        is_layer.then(|| self.0.blobs().get(layer)).flatten()
    }
}

/// A builder that needs none.
struct NoImages;

impl WorkerImages for NoImages {
    fn describe(&self, _image: &Sha256) -> Option<Vec<u8>> {
        None
    }

    fn layer(&self, _layer: &Sha256) -> Option<PathBuf> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pyrsia_rebuilds::Unable;

    fn opened(text: &str, data: &DataDir) -> anyhow::Result<Option<Workers>> {
        let unable = Arc::new(Unable("none".to_owned()));
        let mut builders = Builders { builder: unable.clone(), images: unable, image_store: None, entries: None };
        workers(&toml::from_str(text).unwrap(), data, &mut builders)
    }

    #[tokio::test]
    async fn workers_are_let_in_by_name_and_beyond_loopback_with_tls_only() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::new(folder.path()).unwrap();
        data.create().unwrap();
        let (file, short) = (folder.path().join("token"), folder.path().join("short"));
        std::fs::write(&file, "t".repeat(32)).unwrap();
        std::fs::write(&short, "too short").unwrap();
        let token = |name: &str| format!("[[workers.tokens]]\nname = {name:?}\ntoken_file = {file:?}\n");
        let section = |more: &str| format!("[workers]\nlisten = \"127.0.0.1:0\"\n{more}\n{}", token("w"));

        assert!(opened("", &data).unwrap().is_none());
        let url = |text: &str| opened(text, &data).unwrap().unwrap().url();
        assert!(url(&section("")).starts_with("http://127.0.0.1:"));
        assert!(url(&section("tls = true")).starts_with("https://127.0.0.1:"));
        assert!(url(&section("").replace("127.0.0.1", "0.0.0.0")).starts_with("https://0.0.0.0:"));
        for (text, wanted) in [
            (token("w"), "no `listen`"),
            ("[workers]\nlisten = \"127.0.0.1:0\"\n".to_owned(), "nobody could"),
            (format!("{}{}", section(""), token("w")), "same name"),
            (section("lease_s = 1"), "lease_s"),
            (section("builds = 0"), "builds"),
            (section("").replace("/token", "/none"), "none"),
            (section("").replace("/token", "/short"), "32"),
        ] {
            let error = opened(&text, &data).err().expect(&text);
            assert!(format!("{error:#}").contains(wanted), "{wanted}: {error:#}");
        }
    }
}
