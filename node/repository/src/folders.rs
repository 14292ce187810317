//! Listings and the list of prefixes, carried out.

use std::sync::Arc;

use maven_layout::{MetadataLevel, PathKind, RepoPath, Version, metadata};
use pyrsia_store::StoreError;

use crate::answer::{Answer, Generated};
use crate::error::RepositoryError;
use crate::ledger_view::LedgerView;
use crate::listing::{self, Eyes, Gathered, Listing};
use crate::service::{Inner, Repository};

impl Repository {
    pub(crate) async fn listing(&self, folder: Option<&RepoPath>) -> Result<Listing, RepositoryError> {
        let ledger = self.inner.ledger.view();
        let named = folder.cloned();
        let view = Arc::clone(&ledger);
        let mut found = self
            .look(folder, move |inner| {
                let eyes = Eyes {
                    policies: &inner.config.policies,
                    ledger: view.as_ref(),
                    blobs: inner.local.blobs(),
                    has_peers: inner.remote.has_peers(),
                };
                eyes.gather(named.as_ref(), inner.local.index())
            })
            .await?;
        if let Some(document) = folder.filter(|_| found.of_artifact).and_then(document_in)
            && self.inner.remote.may_have_more(&document)
            && !is_native(&document, ledger.as_ref())
        {
            self.complete_versions(&document, &mut found).await;
        }
        Ok(found.listing)
    }

    /// The versions of the document that is served; none if there is no document, or none to be had at present.
    async fn complete_versions(&self, document: &RepoPath, found: &mut Gathered) {
        let bytes = match crate::Files::get(self, document).await {
            Ok(Answer::Generated(document)) => document.bytes.to_vec(),
            Ok(Answer::File(file)) => self.inner.local.read(document, &file.digests.sha256).await.unwrap_or_default(),
            Ok(Answer::Absent | Answer::Withheld(_)) | Err(_) => Vec::new(),
        };
        let versions: Vec<Version> = metadata::parse(&bytes).map(|parsed| parsed.versions).unwrap_or_default();
        found.set_versions(&versions);
    }

    /// The list of prefixes. It is exact, or absent: a client asks for nothing that it does not cover. What an upstream
    /// without patterns has is known to nobody but itself, so there is a list only while every upstream that is asked is
    /// asked for named groups alone, or while none is asked.
    pub(crate) async fn prefixes(&self, path: &RepoPath) -> Result<Answer, RepositoryError> {
        let Some(asked) = self.inner.remote.asked_for() else {
            return Ok(Answer::Absent);
        };
        let ledger = self.inner.ledger.view();
        let list =
            self.look(Some(path), move |inner| listing::prefixes(&asked, ledger.as_ref(), inner.local.index())).await?;
        Ok(match list {
            Some(list) => Answer::Generated(Generated::new(path.clone(), list.to_string().into_bytes(), None)),
            None => Answer::Absent,
        })
    }

    /// Looks through the index on a blocking thread, one at a time.
    async fn look<T: Send + 'static>(
        &self,
        path: Option<&RepoPath>,
        work: impl FnOnce(&Inner) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, RepositoryError> {
        let turn = self.inner.looking.acquire().await;
        let inner = Arc::clone(&self.inner);
        let done = tokio::task::spawn_blocking(move || work(&inner)).await;
        drop(turn);
        let failed = |error: &dyn std::fmt::Display| RepositoryError::Folder {
            folder: format!("/{}", path.map_or("", |path| path.as_str())),
            detail: error.to_string(),
        };
        match done {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(error)) => Err(failed(&error)),
            Err(error) => Err(failed(&error)),
        }
    }
}

/// The document of the versions of the artifact that a folder is.
fn document_in(folder: &RepoPath) -> Option<RepoPath> {
    format!("{folder}/{}", metadata::FILE_NAME).parse().ok()
}

/// Whether the artifact of a document is of a group whose releases are all in the ledger.
fn is_native(document: &RepoPath, ledger: &dyn LedgerView) -> bool {
    match document.kind() {
        PathKind::Metadata(MetadataLevel::Artifact { group, .. } | MetadataLevel::GroupOrArtifact { group, .. }) => {
            ledger.is_native(&group)
        }
        _ => false,
    }
}
