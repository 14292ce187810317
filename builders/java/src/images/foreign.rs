//! Images that this program did not make: for a rebuild that its user runs alone, by digest, from whatever registry the engine
//! can reach. They never count in a network.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bollard::errors::Error as BollardError;
use bollard::models::ImageInspect;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt as _;
use pyrsia_digest::Sha256;

use crate::engine::{Engine, EngineError};
use crate::images::ImageError;

/// Time that the engine may take to get an image from a registry.
const PULL: Duration = Duration::from_secs(1800);
/// Longest name of an image.
const MAX_NAME: usize = 255;

/// `NAME@sha256:DIGEST`, an image of a registry, or `sha256:ID`, one that the engine holds. Tags are refused: what they mean
/// changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageReference {
    name: Option<String>,
    digest: Sha256,
}

impl ImageReference {
    /// The digest of the image's manifest, or its id.
    pub fn digest(&self) -> Sha256 {
        self.digest
    }
}

/// No image by digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an image is named by its digest, as NAME@sha256:DIGEST or sha256:ID with 64 hexadecimal digits")]
pub struct ImageReferenceError;

impl FromStr for ImageReference {
    type Err = ImageReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (Some(name), digest),
            None => (None, text),
        };
        let digest = digest.strip_prefix("sha256:").ok_or(ImageReferenceError)?;
        let digest = digest.parse().map_err(|_| ImageReferenceError)?;
        let usual = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/:".contains(c);
        let plain = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
                && name.len() <= MAX_NAME
                && name.chars().all(usual)
        };
        match name {
            Some(name) if !plain(name) => Err(ImageReferenceError),
            name => Ok(Self { name: name.map(str::to_owned), digest }),
        }
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name}@sha256:{}", self.digest),
            None => write!(f, "sha256:{}", self.digest),
        }
    }
}

/// An image of others that the engine holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignImage {
    /// How it was named.
    pub reference: ImageReference,
    /// The engine's own id.
    pub engine_id: String,
    /// Where it says that its JDK lies.
    pub java_home: String,
}

impl ForeignImage {
    fn from_engine(reference: &ImageReference, inspected: ImageInspect) -> Result<Self, ImageError> {
        let refused = |problem: &str| ImageError::Foreign { image: reference.to_string(), problem: problem.to_owned() };
        let engine_id = inspected.id.ok_or_else(|| refused("the engine has no id for it"))?;
        let digest = format!("sha256:{}", reference.digest);
        let manifests = inspected.repo_digests.unwrap_or_default();
        let by_manifest = manifests.iter().any(|known| known.rsplit('@').next() == Some(digest.as_str()));
        if engine_id != digest && !by_manifest {
            return Err(refused("the engine gave another image"));
        }
        if inspected.os.as_deref().is_some_and(|os| os != "linux") {
            return Err(refused("it is no Linux image"));
        }
        let environment = inspected.config.and_then(|config| config.env).unwrap_or_default();
        let java_home = environment.iter().find_map(|variable| variable.strip_prefix("JAVA_HOME="));
        let java_home =
            java_home.filter(|home| home.starts_with('/')).ok_or_else(|| refused("it sets no JAVA_HOME"))?;
        Ok(Self { reference: reference.clone(), engine_id, java_home: java_home.to_owned() })
    }
}

impl Engine {
    /// The image of this name, which the engine gets from its registry if it does not hold it.
    ///
    /// # Errors
    /// [`ImageError::Foreign`] for one that cannot be had or not be built in, [`ImageError::Engine`].
    pub async fn foreign_image(&self, reference: &ImageReference) -> Result<ForeignImage, ImageError> {
        if let Some(found) = self.look_for(reference).await? {
            return ForeignImage::from_engine(reference, found);
        }
        let absent = |problem: String| ImageError::Foreign {
            image: reference.to_string(),
            problem: format!("it is not in the container engine{problem}"),
        };
        if reference.name.is_none() {
            return Err(absent(", and an id leads to no registry".to_owned()));
        }
        let mut patient = self.docker().clone();
        patient.set_timeout(PULL);
        let options = CreateImageOptionsBuilder::default().from_image(&reference.to_string()).build();
        let mut progress = std::pin::pin!(patient.create_image(Some(options), None, None));
        let pull = async {
            while let Some(step) = progress.next().await {
                step.map_err(|error| absent(format!(", which could not get it: {error}")))?;
            }
            Ok::<_, ImageError>(())
        };
        // The client's own limit is for the first answer; what comes after it may trickle.
        let late = |_| absent(format!(", which did not get it within {} s", PULL.as_secs()));
        tokio::time::timeout(PULL, pull).await.map_err(late)??;
        match self.look_for(reference).await? {
            Some(found) => ForeignImage::from_engine(reference, found),
            None => Err(absent(" after it was got".to_owned())),
        }
    }

    async fn look_for(&self, reference: &ImageReference) -> Result<Option<ImageInspect>, ImageError> {
        match self.docker().inspect_image(&reference.to_string()).await {
            Ok(found) => Ok(Some(found)),
            Err(BollardError::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(error) => Err(EngineError::call("inspect an image")(error).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::ImageConfig as EngineConfig;

    #[test]
    fn an_image_is_named_by_digest_alone() {
        let digest = Sha256::of(b"image");
        for text in [
            format!("sha256:{digest}"),
            format!("maven@sha256:{digest}"),
            format!("registry.example:5000/acme/jdk-17_x.y@sha256:{digest}"),
        ] {
            let reference: ImageReference = text.parse().unwrap();
            assert_eq!((reference.to_string(), reference.digest()), (text, digest));
        }
        for bad in [
            "maven:3.9".to_owned(),
            format!("{digest}"),
            format!("maven@{digest}"),
            format!("Maven@sha256:{digest}"),
            format!("-x@sha256:{digest}"),
            format!("@sha256:{digest}"),
            format!("a b@sha256:{digest}"),
            format!("a@b@sha256:{digest}"),
            "maven@sha256:abc".to_owned(),
        ] {
            assert_eq!(bad.parse::<ImageReference>(), Err(ImageReferenceError), "{bad}");
        }
    }

    #[test]
    fn what_the_engine_holds_is_looked_at() {
        let digest = Sha256::of(b"image");
        let reference: ImageReference = format!("maven@sha256:{digest}").parse().unwrap();
        let inspected = |id: &str, manifest: &str, variable: &str| ImageInspect {
            id: Some(id.to_owned()),
            repo_digests: Some(vec![format!("maven@sha256:{manifest}")]),
            config: Some(EngineConfig { env: Some(vec![variable.to_owned()]), ..EngineConfig::default() }),
            ..ImageInspect::default()
        };
        let read = |id: &str, manifest: &str, variable: &str| {
            ForeignImage::from_engine(&reference, inspected(id, manifest, variable))
        };
        let own = digest.to_string();
        let home = "JAVA_HOME=/opt/java";
        assert_eq!(read("sha256:x", &own, home).unwrap().java_home, "/opt/java");
        assert_eq!(read(&format!("sha256:{own}"), "other", home).unwrap().java_home, "/opt/java");
        assert!(read("sha256:x", "other", home).is_err(), "another image");
        assert!(read("sha256:x", &own, "JAVA_HOME=here").is_err());
        assert!(read("sha256:x", &own, "PATH=/bin").unwrap_err().to_string().contains("JAVA_HOME"));
    }
}
