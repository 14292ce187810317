//! The catalogue of archetypes: upstream's with the native ones in it, in one document with one checksum.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use maven_layout::{Coordinates, PathKind, Pom, RepoPath, archetypes};
use pyrsia_digest::Sha256;
use pyrsia_store::Walk;

use crate::answer::{Answer, Generated, Provenance, Withheld};
use crate::decide::{Decision, decide};
use crate::error::RepositoryError;
use crate::ledger_view::LedgerView;
use crate::service::Repository;

/// POMs that are remembered as one of an archetype or of something else; beyond it the memory begins anew.
const REMEMBERED: usize = 100_000;

/// What is remembered of native POMs and of the last catalogue.
#[derive(Debug, Default)]
pub(crate) struct Archetypes {
    poms: Mutex<HashMap<Sha256, bool>>,
    /// The native POMs of the last ledger that was looked through, by its version.
    native: Mutex<Option<(u64, Arc<[NativePom]>)>>,
    /// The last merged one, by upstream's bytes and the archetypes in it.
    merged: Mutex<Option<(Sha256, Vec<Coordinates>, Generated)>>,
}

#[derive(Debug)]
struct NativePom {
    path: RepoPath,
    of: Coordinates,
    sha256: Sha256,
}

impl Repository {
    /// The catalogue. `withheld`: upstream's part is not handed out.
    pub(crate) async fn archetypes(
        &self,
        path: &RepoPath,
        withheld: Option<Withheld>,
        ledger: &dyn LedgerView,
        grace_s: u64,
    ) -> Result<Answer, RepositoryError> {
        let own = self.native_archetypes(ledger).await?;
        let record = match withheld {
            Some(withheld) if own.is_empty() => return self.withhold_unless_absent(path, withheld).await,
            Some(_) => None,
            None => self.changing(path, grace_s).await?,
        };
        let Some(record) = record else {
            if own.is_empty() {
                return Ok(Answer::Absent);
            }
            return Ok(Answer::Generated(Generated::new(path.clone(), archetypes::write(&own).into_bytes(), None)));
        };
        if own.is_empty() {
            return self.serve(path, record, Provenance::Unverified, false);
        }
        let sha256 = record.digests.sha256;
        if let Some((of, with, merged)) = &*lock(&self.inner.archetypes.merged)
            && (*of, with) == (sha256, &own)
        {
            return Ok(Answer::Generated(merged.clone()));
        }
        if record.digests.size > archetypes::MAX_BYTES as u64 {
            return Err(RepositoryError::upstream(path, format!("a catalogue of {} bytes", record.digests.size)));
        }
        let bytes = self.inner.local.read(path, &sha256).await?;
        let (with, of) = (own.clone(), path.clone());
        // A public repository's has millions of bytes.
        let native: Vec<_> = own.iter().map(|archetype| archetype.group.clone()).collect();
        let making = tokio::task::spawn_blocking(move || -> Result<Generated, RepositoryError> {
            let merged = archetypes::merge(&bytes, &with, |group| !native.contains(group))
                .map_err(|error| RepositoryError::upstream(&of, format!("its catalogue cannot be used: {error}")))?;
            // Without a date: it changes with the ledger as well as with upstream's document.
            Ok(Generated::new(of, merged.into_bytes(), None))
        });
        let merged = making.await.map_err(|error| RepositoryError::local(path, &error))??;
        *lock(&self.inner.archetypes.merged) = Some((sha256, own, merged.clone()));
        Ok(Answer::Generated(merged))
    }

    /// The native releases that are archetypes and whose POM is here, in their order.
    async fn native_archetypes(&self, ledger: &dyn LedgerView) -> Result<Vec<Coordinates>, RepositoryError> {
        let mut found = Vec::new();
        for pom in self.native_poms(ledger).iter() {
            if self.is_archetype(&pom.path, pom.sha256).await? {
                found.push(pom.of.clone());
            }
        }
        found.sort();
        found.dedup();
        Ok(found)
    }

    /// The POMs of native releases that are handed out. All of the ledger is looked through once for each version of it.
    fn native_poms(&self, ledger: &dyn LedgerView) -> Arc<[NativePom]> {
        let version = ledger.version();
        if let Some((of, poms)) = &*lock(&self.inner.archetypes.native)
            && *of == version
        {
            return Arc::clone(poms);
        }
        let mut poms = Vec::new();
        ledger.walk_below(None, &mut |path| {
            if path.file_name().ends_with(".pom")
                && let PathKind::Artifact { coordinates, .. } = path.kind()
                && ledger.is_native(&coordinates.group)
                // Blocked or disputed ones are not.
                && let Decision::Exactly { sha256, .. } = decide(path, &self.inner.config.policies, ledger)
            {
                poms.push(NativePom { path: path.clone(), of: coordinates, sha256 });
            }
            Walk::Next
        });
        let poms: Arc<[NativePom]> = poms.into();
        *lock(&self.inner.archetypes.native) = Some((version, Arc::clone(&poms)));
        poms
    }

    async fn is_archetype(&self, path: &RepoPath, pom: Sha256) -> Result<bool, RepositoryError> {
        if let Some(known) = lock(&self.inner.archetypes.poms).get(&pom) {
            return Ok(*known);
        }
        if !self.inner.local.has(&pom) {
            return Ok(false);
        }
        let bytes = self.inner.local.read(path, &pom).await?;
        let is = Pom::parse(&bytes).is_ok_and(|pom| pom.effective_packaging() == archetypes::PACKAGING);
        let mut poms = lock(&self.inner.archetypes.poms);
        if poms.len() >= REMEMBERED {
            poms.clear();
        }
        poms.insert(pom, is);
        Ok(is)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
