//! The container engine: connection, images, removal of what a killed process left behind.
//!
//! The engine is trusted to run what it is told (it has to be), but not to name things: its image ids vary between
//! versions, so an image is found by its label and believed only after [`ImageConfig::digest`] was computed again
//! from the layer digest and the label that the engine reports.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error as BollardError;
use bollard::query_parameters::{
    ImportImageOptionsBuilder, ListContainersOptionsBuilder, ListImagesOptionsBuilder, RemoveContainerOptionsBuilder,
    RemoveImageOptionsBuilder,
};
use futures_util::StreamExt as _;
use pyrsia_digest::Sha256;

use crate::images::{ImageConfig, ImageError, LABEL_CONFIG, LoadedImage, archive};

/// Seconds until an ordinary call must have been answered.
const CALL_SECONDS: u64 = 120;
/// Time until an engine must have answered at all.
const NEGOTIATION: Duration = Duration::from_secs(20);
/// Seconds until the engine must have taken in an image.
const LOAD_SECONDS: u64 = 900;

/// Label of every container that this crate makes; its value is the owner (see [`crate::sandbox`]).
pub(crate) const LABEL_OWNER: &str = "pyrsia.owner";
/// Label with the name of the run.
pub(crate) const LABEL_RUN: &str = "pyrsia.run";

/// The engine cannot be used, or refused a call.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// There is no socket, or nobody answers on it.
    #[error("no container engine answers at {address}: {problem}")]
    Unreachable {
        /// Where it was looked for.
        address: String,
        /// What happened.
        problem: String,
    },
    /// The engine refused or failed a call.
    #[error("the container engine could not {action}")]
    Call {
        /// What was wanted.
        action: &'static str,
        /// What the engine said.
        #[source]
        source: Box<BollardError>,
    },
}

impl EngineError {
    pub(crate) fn call(action: &'static str) -> impl FnOnce(BollardError) -> Self {
        move |source| Self::Call { action, source: Box::new(source) }
    }

    /// The error and its cause in one line.
    pub(crate) fn line(&self) -> String {
        match self {
            Self::Call { source, .. } => format!("{self}: {source}"),
            Self::Unreachable { .. } => self.to_string(),
        }
    }
}

/// A connection to the engine; cheap to clone.
#[derive(Debug, Clone)]
pub struct Engine {
    docker: Docker,
}

impl Engine {
    /// Connects to the socket and agrees on a version of the interface.
    ///
    /// # Errors
    /// [`EngineError::Unreachable`].
    pub async fn connect(socket: Option<&str>) -> Result<Self, EngineError> {
        Self::connect_within(socket, NEGOTIATION).await
    }

    /// As [`Engine::connect`], with a limit for the first answer; later calls have the usual one.
    pub(crate) async fn connect_within(socket: Option<&str>, limit: Duration) -> Result<Self, EngineError> {
        let unreachable = |problem: BollardError| EngineError::Unreachable {
            address: socket.unwrap_or("the engine's default socket").to_owned(),
            problem: problem.to_string(),
        };
        let docker = match socket {
            Some(socket) => Docker::connect_with_unix(socket, CALL_SECONDS, bollard::API_DEFAULT_VERSION),
            None => Docker::connect_with_unix_defaults()
                .map(|docker| docker.with_timeout(Duration::from_secs(CALL_SECONDS))),
        };
        let docker = docker.map_err(unreachable)?;
        // Negotiation has no limit of its own when the socket is accepted but never answered.
        let negotiated = tokio::time::timeout(limit, docker.negotiate_version()).await;
        match negotiated {
            Ok(docker) => Ok(Self { docker: docker.map_err(unreachable)? }),
            Err(_) => Err(unreachable(BollardError::RequestTimeoutError)),
        }
    }

    pub(crate) fn docker(&self) -> &Docker {
        &self.docker
    }

    /// The engine's version, as it says.
    ///
    /// # Errors
    /// [`EngineError::Call`].
    pub async fn version(&self) -> Result<String, EngineError> {
        let version = self.docker.version().await.map_err(EngineError::call("tell its version"))?;
        Ok(format!(
            "{} (API {})",
            version.version.unwrap_or_else(|| "unknown".to_owned()),
            version.api_version.unwrap_or_else(|| "unknown".to_owned())
        ))
    }

    /// All builder images that the engine holds, each with its digest as computed from what the engine reports.
    ///
    /// # Errors
    /// [`EngineError::Call`].
    pub async fn images(&self) -> Result<Vec<LoadedImage>, EngineError> {
        let filters = HashMap::from([("label", vec![LABEL_CONFIG])]);
        let options = ListImagesOptionsBuilder::default().filters(&filters).build();
        let list = self.docker.list_images(Some(options)).await.map_err(EngineError::call("list its images"))?;
        let mut images = Vec::new();
        for summary in list {
            images.extend(self.inspect(&summary.id).await?);
        }
        images.sort_by(|a, b| (&a.config.name, a.digest).cmp(&(&b.config.name, b.digest)));
        images.dedup_by_key(|image| image.digest);
        Ok(images)
    }

    /// The image with this digest, if the engine holds it.
    ///
    /// # Errors
    /// [`EngineError::Call`].
    pub async fn image(&self, digest: &Sha256) -> Result<Option<LoadedImage>, EngineError> {
        let named = self.inspect(&archive::tag(digest)).await?.filter(|image| image.digest == *digest);
        match named {
            Some(image) => Ok(Some(image)),
            None => Ok(self.images().await?.into_iter().find(|image| image.digest == *digest)),
        }
    }

    /// Whether the engine holds the image with this digest.
    ///
    /// # Errors
    /// [`EngineError::Call`].
    pub async fn image_present(&self, digest: &Sha256) -> Result<bool, EngineError> {
        Ok(self.image(digest).await?.is_some())
    }

    async fn inspect(&self, name: &str) -> Result<Option<LoadedImage>, EngineError> {
        match self.docker.inspect_image(name).await {
            Ok(inspected) => Ok(LoadedImage::from_engine(inspected)),
            Err(BollardError::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(error) => Err(EngineError::call("inspect an image")(error)),
        }
    }

    /// Hands a layer to the engine and checks what it made of it. Does nothing if the engine holds the image.
    ///
    /// # Errors
    /// [`ImageError::Read`] for the layer file, [`ImageError::Engine`], [`ImageError::NotLoaded`] if the engine
    /// afterwards holds something else.
    pub async fn load_image(&self, layer: &Path, config: &ImageConfig) -> Result<LoadedImage, ImageError> {
        let (size, layer_digest) = archive::measure(layer).await?;
        let digest = config.digest(&layer_digest);
        if let Some(image) = self.image(&digest).await? {
            return Ok(image);
        }
        let stream = archive::stream(layer, size, &layer_digest, config, &digest).await?;
        let mut patient = self.docker.clone();
        patient.set_timeout(Duration::from_secs(LOAD_SECONDS));
        let options = ImportImageOptionsBuilder::default().quiet(false).build();
        let mut progress = std::pin::pin!(patient.import_image_stream(options, stream, None));
        while let Some(step) = progress.next().await {
            step.map_err(EngineError::call("load an image"))?;
        }
        self.image(&digest).await?.ok_or(ImageError::NotLoaded { digest })
    }

    /// Removes an image; one that is not there is no error.
    ///
    /// # Errors
    /// [`EngineError::Call`].
    pub async fn remove_image(&self, digest: &Sha256) -> Result<(), EngineError> {
        let Some(image) = self.image(digest).await? else { return Ok(()) };
        let options = RemoveImageOptionsBuilder::default().force(true).build();
        self.docker
            .remove_image(&image.engine_id, Some(options), None)
            .await
            .map_err(EngineError::call("remove an image"))?;
        Ok(())
    }

    /// Containers of this crate, by id and owner label.
    pub(crate) async fn containers(&self) -> Result<Vec<(String, String)>, EngineError> {
        let filters = HashMap::from([("label", vec![LABEL_OWNER])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let list =
            self.docker.list_containers(Some(options)).await.map_err(EngineError::call("list its containers"))?;
        let owned = list.into_iter().filter_map(|container| {
            let owner = container.labels?.remove(LABEL_OWNER)?;
            Some((container.id?, owner))
        });
        Ok(owned.collect())
    }

    /// Stops and removes a container at once; one that is not there is no error.
    pub(crate) async fn remove_container(&self, name: &str) -> Result<Removed, EngineError> {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        match self.docker.remove_container(name, Some(options)).await {
            Ok(()) => Ok(Removed::Yes),
            // 409: a removal is under way already.
            Err(BollardError::DockerResponseServerError { status_code: 409, .. }) => Ok(Removed::Yes),
            Err(BollardError::DockerResponseServerError { status_code: 404, .. }) => Ok(Removed::NotThere),
            Err(error) => Err(EngineError::call("remove a container")(error)),
        }
    }
}

/// What removing a container found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removed {
    /// It was there.
    Yes,
    /// There was none, or not yet.
    NotThere,
}
