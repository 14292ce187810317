//! The configuration of an image, its canonical text, and the digest over layer and configuration.

use bollard::models::ImageInspect;
use pyrsia_digest::Sha256;
use serde::{Deserialize, Serialize};

const DOMAIN: &[u8] = b"pyrsia-maven/image/v1\0";

/// Label that holds the canonical text of the configuration.
pub(crate) const LABEL_CONFIG: &str = "pyrsia.image";

/// What the engine and the sandbox are told about an image. Follows from the recipe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageConfig {
    /// Name of the recipe.
    pub name: String,
    /// Major version of the JDK.
    pub jdk: u32,
    /// Operating system, `linux`.
    pub os: String,
    /// Architecture, as `amd64` or `arm64`.
    pub architecture: String,
    /// Where the JDK lies.
    pub java_home: String,
    /// Version of the Gradle in it, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gradle: Option<String>,
}

impl ImageConfig {
    /// The one text form: JSON, fields in the order of the declaration, no white space.
    pub fn canonical(&self) -> String {
        // Strings and numbers only: there is nothing in it that JSON cannot hold.
        serde_json::to_string(self).expect("a configuration has a JSON form")
    }

    /// Every JDK in the image, by major version, with its folder.
    pub fn jdks(&self) -> Vec<(u32, String)> {
        vec![(self.jdk, self.java_home.clone())]
    }

    /// Reads the canonical text and no other form.
    pub fn parse(text: &str) -> Option<Self> {
        let config: Self = serde_json::from_str(text).ok()?;
        (config.canonical() == text).then_some(config)
    }

    /// The digest of the image that this configuration makes of a layer.
    pub fn digest(&self, layer: &Sha256) -> Sha256 {
        let mut bytes = DOMAIN.to_vec();
        bytes.extend_from_slice(layer.as_bytes());
        bytes.extend_from_slice(self.canonical().as_bytes());
        Sha256::of(&bytes)
    }
}

/// An image that the engine holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedImage {
    /// Our digest, computed from what the engine reports.
    pub digest: Sha256,
    /// SHA-256 of its only layer.
    pub layer_digest: Sha256,
    /// The configuration.
    pub config: ImageConfig,
    /// The engine's own id, of use only on this machine.
    pub engine_id: String,
}

impl LoadedImage {
    /// None unless the image has exactly one layer, our label, and nothing that would change how a command runs.
    pub(crate) fn from_engine(inspected: ImageInspect) -> Option<Self> {
        let layers = inspected.root_fs?.layers?;
        let [layer] = layers.as_slice() else { return None };
        let layer_digest: Sha256 = layer.strip_prefix("sha256:")?.parse().ok()?;
        let settings = inspected.config?;
        let some = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
        let changes_commands = some(&settings.entrypoint)
            || some(&settings.env)
            || some(&settings.volumes)
            || settings.user.is_some_and(|user| !user.is_empty());
        if changes_commands {
            return None;
        }
        let config = ImageConfig::parse(settings.labels?.get(LABEL_CONFIG)?)?;
        let digest = config.digest(&layer_digest);
        Some(Self { digest, layer_digest, config, engine_id: inspected.id? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::{ImageConfig as EngineConfig, ImageInspectRootFs};
    use std::collections::HashMap;

    fn config() -> ImageConfig {
        ImageConfig {
            name: "jdk17".into(),
            jdk: 17,
            os: "linux".into(),
            architecture: "amd64".into(),
            java_home: "/usr/lib/jvm/java-17".into(),
            gradle: None,
        }
    }

    fn inspected(layers: Vec<String>, label: &str) -> ImageInspect {
        ImageInspect {
            id: Some("sha256:whatever".into()),
            root_fs: Some(ImageInspectRootFs { typ: "layers".into(), layers: Some(layers) }),
            config: Some(EngineConfig {
                labels: Some(HashMap::from([(LABEL_CONFIG.to_owned(), label.to_owned())])),
                ..EngineConfig::default()
            }),
            ..ImageInspect::default()
        }
    }

    #[test]
    fn the_digest_covers_layer_and_configuration() {
        let layer = Sha256::of(b"layer");
        let digest = config().digest(&layer);
        assert_ne!(digest, config().digest(&Sha256::of(b"other")));
        assert_ne!(digest, ImageConfig { jdk: 21, ..config() }.digest(&layer));
        assert!(!config().canonical().contains("gradle"), "the images that there were keep their digests");
        let with_gradle = ImageConfig { gradle: Some("4.4.1".into()), ..config() };
        assert_ne!(digest, with_gradle.digest(&layer));
        assert_eq!(ImageConfig::parse(&with_gradle.canonical()), Some(with_gradle));
        assert_eq!(ImageConfig::parse(&config().canonical()), Some(config()));
        assert_eq!(ImageConfig::parse(&format!(" {}", config().canonical())), None);
    }

    #[test]
    fn an_image_is_believed_only_in_the_form_we_make() {
        let layer = Sha256::of(b"layer");
        let name = format!("sha256:{layer}");
        let label = config().canonical();
        let loaded = LoadedImage::from_engine(inspected(vec![name.clone()], &label)).unwrap();
        assert_eq!(loaded.digest, config().digest(&layer));
        assert_eq!(LoadedImage::from_engine(inspected(vec![name.clone(), name.clone()], &label)), None);
        assert_eq!(LoadedImage::from_engine(inspected(vec!["sha256:zz".into()], &label)), None);
        assert_eq!(LoadedImage::from_engine(inspected(vec![name.clone()], "{}")), None);
        let mut with_entry = inspected(vec![name], &label);
        if let Some(settings) = &mut with_entry.config {
            settings.entrypoint = Some(vec!["/bin/evil".into()]);
        }
        assert_eq!(LoadedImage::from_engine(with_entry), None);
    }
}
