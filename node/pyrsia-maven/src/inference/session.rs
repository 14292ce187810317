//! What `rebuild` and `infer` work with: a cache of their own, a work folder, a builder.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use build_spec::{Builder as _, Inputs};
use java_builder::{ImageReference, JavaBuilder};
use tempfile::TempDir;

use crate::asked::{Asked, ended_early};
use crate::cli::{Global, SourceArgs, SourceMirror};
use crate::compose::{self, LocalRepository};
use crate::context::Context;
use crate::data_dir::{DataDir, DataDirLock};
use crate::inputs::RepositoryInputs;
use crate::specs::{self, Chosen};
use crate::upstream::NONE;

/// How the work folders of calls begin.
const WORK: &str = "work-";
/// How the folders begin that git's threads have in them.
const CLONE: &str = "clone-";
/// How often, and with which pause, it is looked whether those threads have ended.
const SETTLE_TRIES: usize = 50;
const SETTLE_PAUSE: Duration = Duration::from_millis(100);

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
        // Who holds the lock is alone: what others had was left by processes that were killed.
        for name in names(cache.root()).filter(|name| name.starts_with(WORK)) {
            let _ = std::fs::remove_dir_all(cache.join(&name));
        }
        let work = tempfile::Builder::new().prefix(WORK).tempdir_in(cache.root());
        let work = work.context("cannot make a work folder")?;
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

    /// The end of a call whose work was dropped because the process was asked to end: waits until nothing of it is left,
    /// unless it is asked again.
    ///
    /// # Errors
    /// Always, with what the command says.
    pub async fn ended_early<T>(&self, asked: &mut Asked) -> anyhow::Result<T> {
        tokio::select! {
            () = self.settle() => {}
            () = asked.wait() => {}
        }
        Err(ended_early())
    }

    /// Waits, for a while, until nothing works any more for a future that was dropped: containers, and the threads that speak
    /// with git and write into the work folder.
    async fn settle(&self) {
        self.builder.settle().await;
        for _ in 0..SETTLE_TRIES {
            if !names(self.work.path()).any(|name| name.starts_with(CLONE)) {
                return;
            }
            tokio::time::sleep(SETTLE_PAUSE).await;
        }
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

/// The names in a folder; none if it cannot be read.
fn names(folder: &Path) -> impl Iterator<Item = String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned())
}
