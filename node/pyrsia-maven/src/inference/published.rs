//! What upstream has of a release: its POMs, its JAR, its published sources.

use std::path::Path;

use build_infer::Reference;
use build_spec::{Input, InputError, Inputs, RepositoryId};
use jar_compare::{Limits, Listing};
use maven_layout::{Coordinates, Extension, RepoPath};
use pyrsia_rebuilds::{MAX_COMPARED_BYTES, PomChain, PomChainError, pom_chain};

use crate::exit::{CommandError, Exit};

/// A release as upstream has it.
#[derive(Default)]
pub struct Published {
    /// Its POMs.
    pub chain: PomChain,
    /// Its own POM's bytes.
    pub pom: Vec<u8>,
    /// What its JAR tells, if it has one that can be read.
    pub reference: Option<Reference>,
    /// Its `-sources.jar`, if there is one that can be read.
    pub sources: Option<Vec<u8>>,
    /// What could not be read, in sentences.
    pub unread: Vec<String>,
}

impl Published {
    /// Fetches all of it. `may_be_absent`: a release that upstream does not have is no error, since its source is named.
    pub async fn fetch(inputs: &dyn Inputs, release: &Coordinates, may_be_absent: bool) -> anyhow::Result<Self> {
        let chain = match pom_chain(inputs, release).await {
            Ok(chain) => chain,
            Err(PomChainError::NoRelease(_) | PomChainError::Input(InputError::UnknownRepository(_)))
                if may_be_absent =>
            {
                return Ok(Self::default());
            }
            Err(error) => return Err(no_chain(&error).into()),
        };
        let mut published = Self { chain, ..Self::default() };
        let unread = &mut published.unread;
        published.pom = file(inputs, release, "", &Extension::pom(), unread).await?.unwrap_or_default();
        if let Some(jar) = file(inputs, release, "", &Extension::jar(), unread).await? {
            match Listing::open(&jar, &Limits::default()) {
                Ok(listing) => published.reference = Some(Reference::read(&listing)),
                Err(error) => unread.push(format!("the published JAR gives no hints: {error}")),
            }
        }
        if let Some(sources) = file(inputs, release, "-sources", &Extension::jar(), unread).await? {
            match Listing::open(&sources, &Limits::default()).map(drop) {
                Ok(()) => published.sources = Some(sources),
                Err(error) => unread.push(format!("the published -sources.jar proves nothing: {error}")),
            }
        }
        Ok(published)
    }
}

/// Why the POMs of a release could not be had, with the exit code of a command.
pub fn no_chain(error: &PomChainError) -> CommandError {
    match error {
        // That an upstream is down says nothing about the source.
        PomChainError::Input(InputError::Unavailable { .. }) => {
            CommandError::new(Exit::Failed, format!("{error}; try again later"))
        }
        _ => CommandError::new(Exit::NoSource, error.to_string()),
    }
}

async fn file(
    inputs: &dyn Inputs,
    release: &Coordinates,
    suffix: &str,
    extension: &Extension,
    unread: &mut Vec<String>,
) -> anyhow::Result<Option<Vec<u8>>> {
    let path: RepoPath =
        format!("{}/{}-{}{suffix}.{extension}", release.dir(), release.artifact, release.version).parse()?;
    match inputs.get(&RepositoryId::central(), &path).await {
        Ok(Input::Found { file, digests, .. }) if digests.size <= MAX_COMPARED_BYTES => Ok(Some(read(&file).await?)),
        Ok(Input::Found { .. }) => {
            unread.push(format!("{path} has more than {MAX_COMPARED_BYTES} bytes and was not read"));
            Ok(None)
        }
        Ok(Input::Absent) => Ok(None),
        Err(error) => Err(CommandError::new(Exit::Failed, format!("{error}; try again later")).into()),
    }
}

async fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    tokio::fs::read(file).await.map_err(|error| anyhow::anyhow!("cannot read {}: {error}", file.display()))
}
