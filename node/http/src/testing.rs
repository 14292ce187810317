//! A node made of tables, for the tests of the face.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use bytes::Bytes;
use maven_layout::{Coordinates, FileName, RepoPath};
use pyrsia_api_types::*;
use pyrsia_digest::{FileDigests, Sha256};
use pyrsia_repository::{Answer, Files, Policy, Provenance, RepositoryError, ServedFile, WithheldReason};

use crate::door::Door;
use crate::guard::{GuardConfig, Token};
use crate::router::App;
use crate::served::Served;
use crate::solr::{FoundRelease, SearchPage, SearchQuery};
use crate::view::{NodeControl, NodeView, ViewError};

pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const NASTY: &str = "<script>alert('x')</script>\"&";
pub(crate) const DATE: u64 = 1_700_000_000;

/// Answers by path; every path that is asked for is written down.
#[derive(Default)]
pub(crate) struct TableFiles {
    pub(crate) answers: Mutex<HashMap<String, Result<Answer, RepositoryError>>>,
    pub(crate) asked: Mutex<Vec<String>>,
    pub(crate) used: Mutex<Vec<String>>,
    pub(crate) version: AtomicU64,
}

impl TableFiles {
    /// The answer from now on: the ledger says something else than before.
    pub(crate) fn set(&self, path: &str, answer: Result<Answer, RepositoryError>) {
        self.version.fetch_add(1, Ordering::SeqCst);
        self.answers.lock().unwrap().insert(path.to_owned(), answer);
    }

    /// A stored file with these bytes.
    pub(crate) fn file(&self, dir: &Path, path: &str, bytes: &[u8]) -> ServedFile {
        let digests = FileDigests::of(bytes);
        let blob_path = dir.join(digests.sha256.to_string());
        std::fs::write(&blob_path, bytes).unwrap();
        let file = ServedFile {
            path: path.parse().unwrap(),
            blob_path,
            digests: digests.into(),
            last_modified: DATE,
            first_seen: 0,
            upstream_modified: None,
            provenance: Provenance::Verified,
            immutable: true,
            bytes: None,
        };
        self.set(path, Ok(Answer::File(file.clone())));
        file
    }
}

#[async_trait::async_trait]
impl Files for TableFiles {
    async fn get(&self, path: &RepoPath) -> Result<Answer, RepositoryError> {
        self.asked.lock().unwrap().push(path.to_string());
        self.answers.lock().unwrap().get(path.as_str()).cloned().unwrap_or(Ok(Answer::Absent))
    }

    fn version(&self) -> u64 {
        self.version.load(Ordering::SeqCst)
    }

    fn used(&self, path: &RepoPath) {
        self.used.lock().unwrap().push(path.to_string());
    }
}

/// Writes down what it is told.
#[derive(Default)]
pub(crate) struct TableServed {
    pub(crate) told: Mutex<Vec<(String, &'static str, u64)>>,
}

impl TableServed {
    /// How often something was handed out.
    pub(crate) fn times(&self) -> u64 {
        self.told.lock().unwrap().iter().map(|(.., times)| times).sum()
    }
}

impl Served for TableServed {
    fn handed_out(&self, path: &RepoPath, provenance: Provenance, times: u64) {
        self.told.lock().unwrap().push((path.to_string(), provenance.as_str(), times));
    }

    fn withheld(&self, path: &RepoPath, reason: WithheldReason) {
        self.told.lock().unwrap().push((path.to_string(), reason.as_str(), 0));
    }
}

/// A node that has one build of one release, all of whose texts are hostile.
#[derive(Default)]
pub(crate) struct TableNode {
    pub(crate) calls: Mutex<Vec<String>>,
}

impl TableNode {
    fn called(&self, what: String) -> Result<Accepted, ViewError> {
        self.calls.lock().unwrap().push(what);
        Ok(Accepted { entry: "ee".to_owned(), effective: true })
    }
}

pub(crate) fn verdict() -> VerdictStory {
    let source = SourceDocument { repository: Some(NASTY.into()), commit: Some(NASTY.into()), tag: Some(NASTY.into()) };
    VerdictStory {
        gav: NASTY.into(),
        verdict: NASTY.into(),
        self_verified: true,
        round: NASTY.into(),
        source,
        specification: NASTY.into(),
        image: NASTY.into(),
        inputs_root: Some(NASTY.into()),
        outputs_root: None,
        threshold: 1,
        committee_size: 1,
        files: vec![FileStory {
            name: NASTY.into(),
            path: NASTY.into(),
            verdict: NASTY.into(),
            sha256: Some(NASTY.into()),
            comparison: None,
            normalisers: vec![NASTY.into()],
            agreed_by: vec![NASTY.into()],
            agreed_later: vec![NASTY.into()],
            dissent: vec![Dissent { authority: NASTY.into(), sha256: Some(NASTY.into()) }],
        }],
        log_index: Some(3),
        provenance: vec![],
    }
}

fn build(id: &str) -> Build {
    Build {
        id: id.to_owned(),
        round: None,
        coordinates: vec![NASTY.into()],
        mode: BuildMode::Upstream,
        source: verdict().source,
        specification: None,
        image: None,
        stage: NASTY.into(),
        attempt: 0,
        request_index: None,
        recorder: Some(NASTY.into()),
        inputs_root: None,
        authorities: vec![AuthorityProgress {
            name: NASTY.into(),
            key: NASTY.into(),
            committed: true,
            attested: true,
            result: Some(NASTY.into()),
        }],
        threshold: 1,
        verdicts: vec![verdict()],
        failure: Some(NASTY.into()),
        failure_kind: None,
        to_sign: None,
        done: true,
    }
}

#[async_trait::async_trait]
impl NodeView for TableNode {
    async fn status(&self) -> Result<Status, ViewError> {
        Ok(Status {
            version: NASTY.into(),
            role: NASTY.into(),
            name: Some(NASTY.into()),
            uptime_s: 1,
            network: NetworkStatus {
                name: NASTY.into(),
                id: NASTY.into(),
                authorities: 1,
                threshold: 1,
                tolerates: 0,
                reachable: 1,
            },
            log: LogStatus { size: 3, root: NASTY.into(), height: None, checkpoint_time: None, stale: true },
            builds: BuildCounts::default(),
            repository: RepositoryStatus {
                url: NASTY.into(),
                policy: NASTY.into(),
                upstreams: vec![UpstreamStatus {
                    id: NASTY.into(),
                    url: NASTY.into(),
                    found: NASTY.into(),
                    policy: None,
                }],
                quarantined: 0,
            },
            storage: StorageStatus::default(),
            peers: 0,
            warnings: vec![NASTY.into()],
        })
    }

    async fn search(
        &self,
        query: &SearchQuery,
        by_release: bool,
        skip: u64,
        max: u64,
    ) -> Result<SearchPage, ViewError> {
        self.calls.lock().unwrap().push(format!("search {:?} {by_release} {skip} {max}", query.words));
        let found = FoundRelease {
            coordinates: "org.acme:lib:1.0".parse().unwrap(),
            versions: 3,
            packaging: "jar".to_owned(),
            first_seen: 7,
            files: vec![".jar".to_owned(), ".pom".to_owned()],
        };
        Ok(SearchPage { total: 9, found: vec![found] })
    }

    async fn builds(&self, skip: u64, max: u64) -> Result<BuildList, ViewError> {
        self.calls.lock().unwrap().push(format!("builds {skip} {max}"));
        Ok(BuildList { builds: vec![build("b1")], total: 1 })
    }

    async fn build(&self, id: &str) -> Result<Build, ViewError> {
        if id == "none" {
            return Err(ViewError::NotFound { detail: format!("no build {NASTY}"), next: "look".to_owned() });
        }
        Ok(build(id))
    }

    async fn build_events(&self, id: &str, after: u64, wait: Duration) -> Result<BuildEvents, ViewError> {
        self.calls.lock().unwrap().push(format!("events {id} {after} {}", wait.as_secs()));
        if id == "slow" {
            tokio::time::sleep(wait).await;
        }
        let event = BuildEvent { sequence: 1, time: 1, kind: NASTY.into(), text: NASTY.into() };
        Ok(BuildEvents { id: id.to_owned(), events: vec![event], next: 1, done: true })
    }

    async fn inspect(&self, coordinates: &Coordinates) -> Result<Inspection, ViewError> {
        Ok(Inspection {
            gav: coordinates.to_string(),
            verdict: Some(verdict()),
            blocked: true,
            withdrawn: false,
            moved_tag: vec![MovedTag { commit: NASTY.into(), round: NASTY.into(), log_index: 1 }],
            namespace: None,
            builds: vec![NASTY.into()],
        })
    }

    async fn files(&self, sha256: &Sha256, after: Option<&Coordinates>) -> Result<FileMatches, ViewError> {
        Ok(FileMatches {
            files: vec![FileMatch { gav: NASTY.into(), name: sha256.to_string() }],
            next: after.map(ToString::to_string),
        })
    }

    async fn log(&self, from: u64, max: u64, wait: Duration) -> Result<LogPage, ViewError> {
        self.calls.lock().unwrap().push(format!("log {from} {max} {}", wait.as_secs()));
        Ok(LogPage { from, leaves: vec![], next: from, size: 3 })
    }

    async fn receipt(&self, coordinates: &Coordinates) -> Result<String, ViewError> {
        Ok(format!("receipt of {coordinates}\n"))
    }

    async fn provenance(&self, coordinates: &Coordinates, authority: Option<&str>) -> Result<String, ViewError> {
        self.calls.lock().unwrap().push(format!("provenance {coordinates} {authority:?}"));
        Ok("{}\n".to_owned())
    }

    async fn network(&self) -> Result<serde_json::Value, ViewError> {
        Err(ViewError::Unavailable { detail: "not yet".to_owned(), next: String::new() })
    }

    async fn peers(&self) -> Result<PeerList, ViewError> {
        Err(ViewError::Internal { detail: "broken".to_owned() })
    }

    async fn policy(
        &self,
        coordinates: &Coordinates,
        more: &[FileName],
        instead: Option<Policy>,
    ) -> Result<ReleasePolicy, ViewError> {
        self.calls.lock().unwrap().push(format!("policy {coordinates} {more:?} {instead:?}"));
        let file = FilePolicy {
            name: NASTY.into(),
            path: NASTY.into(),
            outcome: "withheld".into(),
            provenance: None,
            reason: Some(NASTY.into()),
            detail: Some(NASTY.into()),
            next: None,
            sha256: None,
            if_there: true,
        };
        Ok(ReleasePolicy {
            gav: coordinates.to_string(),
            policy: "verified".into(),
            allow_equivalent: false,
            ground: "default".into(),
            files: vec![file],
        })
    }

    async fn served(&self, since: Option<u64>, max: usize) -> Result<ServedReport, ViewError> {
        self.calls.lock().unwrap().push(format!("served {since:?} {max}"));
        let count = ServedCount { outcome: NASTY.into(), files: 1, times: 2 };
        let release =
            ServedRelease { gav: NASTY.into(), withheld: false, outcome: NASTY.into(), files: 1, times: 2, last: 3 };
        Ok(ServedReport { since, served: vec![count], withheld: vec![], releases: vec![release], total: 1 })
    }

    async fn checkpoint(&self) -> Result<String, ViewError> {
        Ok("origin\n3\nroot\n".to_owned())
    }

    async fn tree_nodes(&self, level: u8, from: u64, count: u16) -> Result<Vec<Sha256>, ViewError> {
        // A log of three leaves.
        let there = if level == 0 { 3u64.saturating_sub(from).min(u64::from(count)) } else { 0 };
        Ok((from..from + there).map(|index| Sha256::of(&[index as u8])).collect())
    }

    async fn leaves(&self, from: u64, count: u16) -> Result<Vec<Vec<u8>>, ViewError> {
        let there = 3u64.saturating_sub(from).min(u64::from(count));
        Ok((from..from + there).map(|index| vec![index as u8; 2]).collect())
    }
}

#[async_trait::async_trait]
impl NodeControl for TableNode {
    async fn submit_build(&self, submission: BuildSubmission) -> Result<BuildAccepted, ViewError> {
        self.called(format!("build {}", submission.coordinates.join(" ")))?;
        Ok(BuildAccepted { id: "b1".to_owned(), existing: false })
    }

    async fn sign_build(&self, id: &str, proof: PublisherProof) -> Result<Accepted, ViewError> {
        self.called(format!("sign {id} {}", proof.key))
    }

    async fn approve_specification(&self, approval: SpecificationApproval) -> Result<Accepted, ViewError> {
        self.called(format!("specification {}", approval.specification))
    }

    async fn submit_namespace(&self, submission: NamespaceSubmission) -> Result<Accepted, ViewError> {
        self.called(format!("namespace {}", submission.group))
    }

    async fn approve_image(&self, approval: ImageApproval) -> Result<Accepted, ViewError> {
        self.called(format!("image {}", approval.image))
    }

    async fn fetch_image(&self, wanted: ImageFetch) -> Result<ImageFetched, ViewError> {
        self.called(format!("fetch image {}", wanted.image))?;
        Ok(ImageFetched { image: wanted.image, here: false, name: None, layer_bytes: None })
    }

    async fn withdraw(&self, submission: WithdrawalSubmission) -> Result<Accepted, ViewError> {
        self.called(format!("withdraw {}", submission.coordinates))
    }

    async fn block(&self, submission: BlockSubmission) -> Result<Accepted, ViewError> {
        if submission.lift {
            return Err(ViewError::Refused { detail: "not blocked".to_owned(), next: String::new() });
        }
        self.called(format!("block {}", submission.coordinates))
    }
}

pub(crate) struct Face {
    pub(crate) files: Arc<TableFiles>,
    pub(crate) node: Arc<TableNode>,
    pub(crate) served: Arc<TableServed>,
    pub(crate) door: Door,
    pub(crate) dir: tempfile::TempDir,
}

pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answered {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The problem document that every refusal is.
    pub(crate) fn problem(&self) -> Problem {
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem: Problem = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(problem.status, self.status.as_u16());
        problem
    }
}

impl Face {
    pub(crate) fn new() -> Self {
        let files = Arc::new(TableFiles::default());
        let node = Arc::new(TableNode::default());
        let guard = GuardConfig { hosts: vec![], token: Token::new(SECRET).unwrap(), readers: None };
        let served = Arc::new(TableServed::default());
        let app = App {
            files: files.clone(),
            view: node.clone(),
            control: node.clone(),
            hosted: vec![],
            served: served.clone(),
        };
        let door = Door::new(app, guard);
        Self { files, node, served, door, dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) async fn ask(&self, method: &str, uri: &str, headers: &[(&str, &str)], body: &str) -> Answered {
        let mut request = Request::builder().method(method).uri(uri);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", "localhost:7888");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.door.answer(request.body(Body::from(body.to_owned())).unwrap()).await;
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 64 << 20).await.unwrap();
        Answered { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) async fn get(&self, uri: &str) -> Answered {
        self.ask("GET", uri, &[], "").await
    }

    pub(crate) async fn post(&self, uri: &str, body: &str) -> Answered {
        let token = format!("Bearer {SECRET}");
        self.ask("POST", uri, &[("authorization", &token), ("content-type", "application/json")], body).await
    }
}
