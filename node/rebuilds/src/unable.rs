//! What stands in for a builder on an authority that cannot build: it says so in its turn instead of letting all wait.

use std::sync::Arc;

use async_trait::async_trait;
use build_spec::{
    BuildError, BuildLog, Builder, Built, InputManifest, Inputs, Job, ManifestBlobs, Recorded, Source, SourceError,
    SourceRequest,
};
use pyrsia_digest::Sha256;

use crate::intake::{Images, OwnImage};

/// A builder, and a store of images, that has nothing but a reason.
pub struct Unable(pub String);

#[async_trait]
impl Builder for Unable {
    async fn resolve(&self, _request: &SourceRequest, _log: Arc<dyn BuildLog>) -> Result<Source, SourceError> {
        Err(SourceError::Local(self.0.clone()))
    }

    fn max_input_bytes(&self) -> u64 {
        0
    }

    async fn record(
        &self,
        _job: &Job,
        _inputs: Arc<dyn Inputs>,
        _log: Arc<dyn BuildLog>,
    ) -> Result<Recorded, BuildError> {
        Err(BuildError::Engine(self.0.clone()))
    }

    async fn replay(
        &self,
        _job: &Job,
        _manifest: &InputManifest,
        _blobs: Arc<dyn ManifestBlobs>,
        _log: Arc<dyn BuildLog>,
    ) -> Result<Built, BuildError> {
        Err(BuildError::Engine(self.0.clone()))
    }

    async fn settle(&self) {}

    async fn available(&self) -> Result<(), String> {
        Err(self.0.clone())
    }
}

#[async_trait]
impl Images for Unable {
    async fn named(&self, _name: &str) -> Result<Sha256, String> {
        Err(self.0.clone())
    }

    async fn ensure(&self, _image: &Sha256) -> Result<(), String> {
        Err(self.0.clone())
    }

    async fn made(&self) -> Result<Vec<OwnImage>, String> {
        Ok(Vec::new())
    }

    async fn verify(&self, _image: &Sha256) -> Result<(), String> {
        Err(self.0.clone())
    }
}
