//! `hosted`: what is in a private repository, and taking a version out of it.
//!
//! A running node has the repositories open, so it is asked; without one the command opens the data directory itself.

use anyhow::Context as _;
use maven_layout::Coordinates;
use pyrsia_api_types::{HostedRemoval, HostedVersion, HostedVersions};
use pyrsia_hosted::{Hosted, RepositoryId};

use crate::cli::{Global, HostedCommand, HostedRemoveArgs};
use crate::client::Client;
use crate::compose::{HOSTED, open_one};
use crate::context::Context;
use crate::data_dir::DataDirLock;
use crate::exit::Exit;
use crate::terminal::{self, line, plain};

/// Runs the command.
pub async fn run(global: &Global, command: &HostedCommand) -> anyhow::Result<Exit> {
    match command {
        HostedCommand::List { repository } => list(global, repository).await,
        HostedCommand::Remove(args) => remove(global, args).await,
    }
}

/// Who has the repository.
enum Place {
    /// This process, as long as the lock is held.
    Here(Hosted, DataDirLock),
    /// A node.
    There(Client),
}

impl Place {
    fn of(global: &Global, repository: &RepositoryId) -> anyhow::Result<Self> {
        let context = Context::load(global)?;
        let Some(lock) = context.data.try_lock()? else {
            return Ok(Self::There(Client::new(&global.node, Some(context.data.api_token()?))?));
        };
        let config = context.config.hosted.iter().find(|hosted| hosted.id == repository.as_str());
        let config = config.with_context(|| {
            let known: Vec<_> = context.config.hosted.iter().map(|hosted| hosted.id.as_str()).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            format!(
                "the configuration has no [[hosted]] with the id {repository} (there are: {known}); if a node of another data \
                 directory has it, name that with --data-dir"
            )
        })?;
        Ok(Self::Here(open_one(config, &context.data)?, lock))
    }
}

async fn list(global: &Global, repository: &RepositoryId) -> anyhow::Result<Exit> {
    let listed = match Place::of(global, repository)? {
        Place::Here(hosted, _lock) => HostedVersions {
            id: repository.to_string(),
            versions: hosted
                .versions()
                .await?
                .into_iter()
                .map(|listed| HostedVersion {
                    gav: listed.coordinates.to_string(),
                    files: listed.files,
                    bytes: listed.bytes,
                    stored: listed.stored,
                    writers: listed.writers.into_iter().collect(),
                })
                .collect(),
        },
        Place::There(client) => client.get_as_operator(&format!("/{HOSTED}/{repository}/")).await?,
    };
    if global.json {
        terminal::json(&listed)?;
        return Ok(Exit::Done);
    }
    for version in &listed.versions {
        let HostedVersion { gav, files, bytes, stored, writers } = version;
        let (gav, time) = (plain(gav), terminal::time(*stored));
        line(&format!("{gav}  {files} files, {bytes} bytes, {time}, by {}", plain(&writers.join(", "))));
    }
    line(&format!("{} versions in the hosted repository {}", listed.versions.len(), plain(&listed.id)));
    Ok(Exit::Done)
}

async fn remove(global: &Global, args: &HostedRemoveArgs) -> anyhow::Result<Exit> {
    let HostedRemoveArgs { repository, version } = args;
    let removed = match Place::of(global, repository)? {
        Place::Here(hosted, _lock) => {
            let removed = hosted.remove(version, "(the command)").await?;
            HostedRemoval {
                id: repository.to_string(),
                gav: version.to_string(),
                files: removed.files,
                bytes: removed.bytes,
                documents: removed.documents.iter().map(ToString::to_string).collect(),
            }
        }
        Place::There(client) => client.delete(&format!("/{HOSTED}/{repository}/{}/", folder(version))).await?,
    };
    if global.json {
        terminal::json(&removed)?;
        return Ok(Exit::Done);
    }
    let HostedRemoval { id, gav, files, bytes, documents } = &removed;
    line(&format!("{} is gone from the hosted repository {}: {files} files", plain(gav), plain(id)));
    for document in documents {
        line(&format!("          {} does not tell of it any more", plain(document)));
    }
    line(&format!("Its {bytes} bytes stay until `pyrsia-maven gc`, with any limit and the node stopped."));
    Ok(Exit::Done)
}

/// The version as the last part of a path, which for a build of a snapshot is no folder.
fn folder(version: &Coordinates) -> String {
    let path = version.pom_path();
    let artifact = path.parent().and_then(|folder| folder.parent()).map_or_else(String::new, |path| path.to_url_path());
    format!("{artifact}/{}", version.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_named_by_its_own_name() {
        for (version, path) in [
            ("com.example:my.lib:1.0", "com/example/my.lib/1.0"),
            ("a:b:2-SNAPSHOT", "a/b/2-SNAPSHOT"),
            ("a:b:2-20261122.072715-2", "a/b/2-20261122.072715-2"),
        ] {
            assert_eq!(folder(&version.parse().unwrap()), path);
        }
    }
}
