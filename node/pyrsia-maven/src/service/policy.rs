//! What policies would do, and what was served under them.

use std::sync::Arc;

use maven_layout::{Coordinates, FileName, PathKind, RepoPath};
use pyrsia_api_types::{FilePolicy, ReleasePolicy, ServedCount, ServedRelease, ServedReport};
use pyrsia_http::{Served, ViewError};
use pyrsia_repository::{Fate, Ground, LedgerView, Policies, Policy, Provenance, WithheldReason, explain, names};
use pyrsia_store::{ServedFile, ServedStore};

use super::{NodeService, internal};

/// Counts what clients are served. Clones share it.
#[derive(Clone)]
pub struct Tally {
    /// The counts.
    pub store: ServedStore,
    /// The time.
    pub clock: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl Tally {
    fn count(&self, path: &RepoPath, withheld: bool, outcome: &'static str, times: u64) {
        if let PathKind::Artifact { coordinates, file_name } = path.kind() {
            let file = ServedFile { release: coordinates.to_string(), name: file_name, withheld, outcome };
            self.store.count(file, times, (self.clock)());
        }
    }
}

impl Served for Tally {
    fn handed_out(&self, path: &RepoPath, provenance: Provenance, times: u64) {
        self.count(path, false, provenance.as_str(), times);
    }

    fn withheld(&self, path: &RepoPath, reason: WithheldReason) {
        self.count(path, true, reason.as_str(), 1);
    }
}

impl NodeService {
    pub(super) async fn release_policy(
        &self,
        coordinates: &Coordinates,
        more: &[FileName],
        instead: Option<Policy>,
    ) -> Result<ReleasePolicy, ViewError> {
        let (policy, ground) = match instead {
            Some(policy) => (policy, "asked".to_owned()),
            None => {
                let (policy, ground) = self.policies.explained(Some(&coordinates.group));
                (policy, word(&ground))
            }
        };
        let policies = instead.map_or_else(|| self.policies.clone(), Policies::all);
        let state = self.replica.state();
        let named_by_the_ledger = names(coordinates, state.as_ref());
        let mut files = Vec::new();
        for name in named_by_the_ledger.into_iter().chain(more.iter().map(ToString::to_string)) {
            if files.iter().any(|known: &FilePolicy| known.name == name) {
                continue;
            }
            let path: RepoPath = format!("{}/{name}", coordinates.dir()).parse().map_err(internal)?;
            files.push(self.file_policy(name, path, &policies, state.as_ref()).await?);
        }
        let allow_equivalent = matches!(policy, Policy::Verified { allow_equivalent: true });
        let (gav, policy) = (coordinates.to_string(), policy.as_str().to_owned());
        Ok(ReleasePolicy { gav, policy, allow_equivalent, ground, files })
    }

    async fn file_policy(
        &self,
        name: String,
        path: RepoPath,
        policies: &Policies,
        ledger: &dyn LedgerView,
    ) -> Result<FilePolicy, ViewError> {
        let explained = explain(&path, policies, ledger);
        let (of, now) = (path.clone(), (self.served.clock)());
        let (here, absent) = self
            .index
            .run(move |index| Ok((index.file(&of)?.is_some(), index.absent(&of)?.is_some_and(|until| now < until))))
            .await
            .map_err(internal)?;
        let mut file = FilePolicy {
            name,
            path: path.to_string(),
            outcome: String::new(),
            provenance: None,
            reason: None,
            detail: None,
            next: None,
            sha256: explained.sha256.map(|sha256| sha256.to_string()),
            // What was seen here once is there.
            if_there: explained.if_there && !here,
        };
        file.outcome = match explained.fate {
            // As the request itself would find out: it was asked for a moment ago, and nobody has it.
            _ if explained.if_there && !here && absent => {
                file.if_there = false;
                "absent".to_owned()
            }
            Fate::Absent => "absent".to_owned(),
            Fate::Served(provenance) => {
                file.provenance = provenance.map(|provenance| provenance.as_str().to_owned());
                "served".to_owned()
            }
            Fate::Withheld(withheld) => {
                file.reason = Some(withheld.reason.as_str().to_owned());
                file.detail = Some(withheld.detail);
                file.next = Some(withheld.next);
                "withheld".to_owned()
            }
        };
        Ok(file)
    }

    pub(super) async fn served_report(&self, since: Option<u64>, max: usize) -> Result<ServedReport, ViewError> {
        let summary = self.served.store.run(move |store| store.summary(since, max)).await.map_err(internal)?;
        let mut report = ServedReport { since, total: summary.count, ..ServedReport::default() };
        for total in summary.totals {
            let count = ServedCount { outcome: total.outcome, files: total.files, times: total.times };
            if total.withheld { report.withheld.push(count) } else { report.served.push(count) }
        }
        report.releases = summary
            .lines
            .into_iter()
            .map(|line| ServedRelease {
                gav: line.release,
                withheld: line.total.withheld,
                outcome: line.total.outcome,
                files: line.total.files,
                times: line.total.times,
                last: line.last,
            })
            .collect();
        Ok(report)
    }
}

fn word(ground: &Ground) -> String {
    match ground {
        Ground::Group(pattern) => format!("group {pattern}"),
        Ground::Upstream(id) => format!("upstream {id}"),
        Ground::Default => "default".to_owned(),
    }
}
