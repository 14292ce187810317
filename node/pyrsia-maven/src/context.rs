//! What every command knows: the data directory and the configuration.

use std::path::PathBuf;

use crate::cli::Global;
use crate::config::{Config, FILE_NAME};
use crate::data_dir::DataDir;

/// Data directory and configuration of this call.
pub struct Context {
    /// The data directory, perhaps not yet made.
    pub data: DataDir,
    /// The configuration, with the global flags applied.
    pub config: Config,
}

impl Context {
    /// Reads the configuration.
    pub fn load(global: &Global) -> anyhow::Result<Self> {
        let root = match &global.data_dir {
            Some(root) => root.clone(),
            None => DataDir::default_path()?,
        };
        let data = DataDir::new(&root)?;
        let mut config = match &global.config {
            Some(path) => Config::load(path, true)?,
            None => Config::load(&data.join(FILE_NAME), false)?,
        };
        if let Some(images) = &global.images {
            config.builder.images = Some(images.clone());
        }
        Ok(Self { data, config })
    }

    /// Where builder images are.
    pub fn images_dir(&self) -> PathBuf {
        self.config.builder.images.clone().unwrap_or_else(|| self.data.join("images"))
    }
}
