//! What `rebuild` and `infer` work with: a cache of their own, a work folder, a builder.

use std::sync::Arc;

use anyhow::Context as _;
use build_spec::Inputs;
use java_builder::{ImageReference, JavaBuilder};
use tempfile::TempDir;

use crate::cli::{Global, SourceArgs, SourceMirror};
use crate::compose::{self, LocalRepository};
use crate::context::Context;
use crate::data_dir::{DataDir, DataDirLock};
use crate::inputs::RepositoryInputs;
use crate::specs::{self, Chosen};
use crate::upstream::NONE;

/// One call of a command.
pub struct Session {
    /// Configuration, with the flags of the command applied.
    pub context: Context,
    /// Folder of everything that such calls keep.
    pub cache: DataDir,
    /// Sources and outputs of this call; goes with it.
    pub work: TempDir,
    /// The builder. It need not have an engine.
    pub builder: Arc<JavaBuilder>,
    /// Files of upstream.
    pub local: LocalRepository,
    /// The same as inputs.
    pub inputs: Arc<dyn Inputs>,
    _lock: DataDirLock,
}

impl Session {
    /// Reads the configuration and opens the cache.
    pub async fn open(global: &Global, mirrors: &[SourceMirror], upstream: Option<&str>) -> anyhow::Result<Self> {
        let mut context = Context::load(global)?;
        for mirror in mirrors {
            context.config.source_mirrors.insert(mirror.prefix.clone(), mirror.replacement.clone());
        }
        if let Some(upstream) = upstream {
            context.config.node.upstream = Some(upstream.to_owned());
        }
        let cache = DataDir::new(&context.data.join("rebuild"))?;
        let lock = cache.lock()?;
        let work = tempfile::tempdir_in(cache.root()).context("cannot make a work folder")?;
        context.config.builder.java.temp_dir = Some(work.path().to_owned());
        let builder = Arc::new(compose::java_builder(&context));
        let local = LocalRepository::open(&cache, &context).await?;
        let inputs: Arc<dyn Inputs> = Arc::new(RepositoryInputs {
            files: (context.config.node.upstream.as_deref() != Some(NONE)).then(|| local.files.clone()),
            others: local.others.clone(),
            routes: local.routes.clone(),
            blobs: local.blobs.clone(),
            java: compose::java_config(&context),
        });
        Ok(Self { context, cache, work, builder, local, inputs, _lock: lock })
    }

    /// Gets the archive that a specification builds, if it builds one; see [`specs::get_archive`]. The builder's source map
    /// leads to it then.
    pub async fn get_archive(
        &mut self,
        chosen: &mut Option<Chosen>,
        wanted: &mut SourceArgs,
        named: &SourceArgs,
    ) -> anyhow::Result<()> {
        if specs::get_archive(&mut self.context, chosen, wanted, named, self.work.path()).await? {
            self.builder = Arc::new(compose::java_builder(&self.context));
        }
        Ok(())
    }

    /// Builds in this image from now on, whatever JDK a specification asks for.
    pub async fn use_foreign_image(&mut self, reference: &ImageReference) -> anyhow::Result<()> {
        let foreign = self.builder.engine().await?.foreign_image(reference).await?;
        self.builder = Arc::new(compose::java_builder(&self.context).in_foreign_image(foreign));
        Ok(())
    }
}
