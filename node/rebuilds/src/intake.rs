//! From "please rebuild this" to a request in the ledger.
//!
//! The source is resolved before anything is asked of the network: a request names a commit, not a wish.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use build_spec::{Builder, Checkout, Inputs, Source, SourceRequest, Specification};
use maven_layout::{CanonicalRepository, Coordinates};
use pyrsia_digest::Sha256;
use pyrsia_ledger::{BuildRequest, CommitId, EntryBody, Mode, PublisherSignature, RoundState, Stage, State};

use crate::board::{Board, FailureKind};
use crate::entries::{Entries, NotSaid};
use crate::moved_tag;
use crate::pom_chain::{PomChainError, pom_chains};
use crate::requesters::{Busy, Requesters};
use crate::source::resolve;

/// Requests that wait for their publisher's signature, of this machine's user and of peers each; further ones are refused.
const MAX_UNSIGNED: usize = 128;
/// How long a request waits for it.
const UNSIGNED: Duration = Duration::from_secs(3600);
/// How long whoever sends the signature waits for the request to be in the ledger; it goes on without them.
const SIGNED: Duration = Duration::from_secs(20);
/// Pause before a request is said again that no quorum has ordered yet.
const SAY_AGAIN: Duration = Duration::from_secs(5);

/// Builder images of this machine.
#[async_trait]
pub trait Images: Send + Sync {
    /// The image that this node made from the recipe of this name (as [`Specification::image_name`] has it), or what to do
    /// to have one.
    async fn named(&self, name: &str) -> Result<Sha256, String>;

    /// Makes the engine hold the image, so that a build can run in it.
    async fn ensure(&self, image: &Sha256) -> Result<(), String>;

    /// The images that this node has made from recipes so far. Makes none.
    async fn made(&self) -> Result<Vec<OwnImage>, String>;

    /// Makes an image again from the packages that it was made of, and finds it equal, unless that was done before. Takes
    /// minutes. The error says what is not equal, or why it could not be made again.
    async fn verify(&self, image: &Sha256) -> Result<(), String>;
}

/// An image that this node made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnImage {
    /// The network's digest of it.
    pub image: Sha256,
    /// The recipe's name, `jdk17`: the same for everybody, since a proposal is known by its content.
    pub name: String,
}

/// What somebody wants rebuilt.
#[derive(Debug, Clone)]
pub struct Submission {
    /// The releases of one build.
    pub coordinates: Vec<Coordinates>,
    /// Native or upstream; none: native when the group has a native namespace.
    pub mode: Option<Mode>,
    /// The repository; none: what the namespace grants, or the release's own POMs name.
    pub repository: Option<CanonicalRepository>,
    /// The tag.
    pub tag: Option<String>,
    /// The commit.
    pub commit: Option<String>,
    /// The specification; none: the one at the commit, or the ordinary build.
    pub specification: Option<Specification>,
}

/// Why a submission was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SubmissionError {
    /// Too many are waiting.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// No release was named.
    #[error("a build makes at least one release")]
    Nothing,
    /// There is no such build, or it does not wait for a signature.
    #[error("{0} is no build that waits for a publisher's signature")]
    NotWaiting(String),
    /// The signature is not that of a publisher over this request.
    #[error("the signature is not valid for this request")]
    Signature,
}

/// A build that ends before its round.
pub(crate) struct Failure(pub(crate) FailureKind, pub(crate) String);

/// A native request without its publisher's signature.
#[derive(Clone)]
struct Unsigned {
    request: BuildRequest,
    specification: Specification,
    since: Instant,
    of_peer: bool,
}

/// Takes submissions.
pub struct Intake {
    builder: Arc<dyn Builder>,
    inputs: Arc<dyn Inputs>,
    pub(crate) images: Arc<dyn Images>,
    pub(crate) entries: Arc<Entries>,
    pub(crate) board: Arc<Board>,
    requesters: Requesters,
    unsigned: Mutex<BTreeMap<String, Unsigned>>,
    default_maven: String,
}

impl Intake {
    /// An intake; `default_maven` is the Maven version of builds that name none.
    pub fn new(
        builder: Arc<dyn Builder>,
        inputs: Arc<dyn Inputs>,
        images: Arc<dyn Images>,
        entries: Arc<Entries>,
        board: Arc<Board>,
        default_maven: String,
    ) -> Arc<Self> {
        Arc::new(Self {
            builder,
            inputs,
            images,
            entries,
            board,
            requesters: Requesters::new(),
            unsigned: Mutex::default(),
            default_maven,
        })
    }

    /// Starts to prepare a submission under `id`, in the background. `peer`: the node that asks, if it is another one.
    pub fn start(
        self: &Arc<Self>,
        id: String,
        peer: Option<&str>,
        submission: Submission,
    ) -> Result<(), SubmissionError> {
        if submission.coordinates.is_empty() {
            return Err(SubmissionError::Nothing);
        }
        let place = self.requesters.admit(&id, peer, |build| self.board.is_open(build))?;
        self.board.open(&id, &submission.coordinates);
        self.board.event(&id, "stage", "preparing");
        let (intake, of_peer) = (Arc::clone(self), peer.is_some());
        tokio::spawn(async move {
            let Some(_turn) = place.turn().await else { return };
            if let Err(Failure(kind, text)) = intake.prepare(&id, of_peer, submission).await {
                intake.board.fail(&id, kind, &text);
            }
        });
        Ok(())
    }

    /// Takes the publisher's signature over a native request and sends it on.
    pub async fn sign(self: &Arc<Self>, id: &str, signature: PublisherSignature) -> Result<(), SubmissionError> {
        let known = self.unsigned().get(id).cloned();
        let Unsigned { mut request, specification, .. } =
            known.ok_or_else(|| SubmissionError::NotWaiting(id.to_owned()))?;
        request.publisher = Some(signature);
        if !request.verify_publisher(self.entries.network()) {
            return Err(SubmissionError::Signature);
        }
        if self.unsigned().remove(id).is_none() {
            // It came twice, and the first one is on its way.
            return Ok(());
        }
        // A task of its own: whoever sent the signature may leave, and the build goes on.
        let (intake, id) = (Arc::clone(self), id.to_owned());
        let requested = tokio::spawn(async move {
            if let Err(Failure(kind, text)) = intake.request(&id, request, &specification).await {
                intake.board.fail(&id, kind, &text);
            }
        });
        // It ends early only when the whole node does; and who sent the signature does not wait for a quorum to come.
        let _ = tokio::time::timeout(SIGNED, requested).await;
        Ok(())
    }

    fn unsigned(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Unsigned>> {
        self.unsigned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a request wait for its signature; those that have waited too long make room.
    fn await_signature(&self, id: &str, waiting: Unsigned) -> Result<(), Failure> {
        let mut unsigned = self.unsigned();
        let late = |waiting: &Unsigned| waiting.since.elapsed() >= UNSIGNED;
        for (id, _) in unsigned.extract_if(.., |_, waiting| late(waiting)) {
            self.board.fail(&id, FailureKind::Refused, "its publisher has not signed it within an hour");
        }
        if unsigned.values().filter(|known| known.of_peer == waiting.of_peer).count() >= MAX_UNSIGNED {
            let text = format!("{MAX_UNSIGNED} builds wait for their publishers already");
            return Err(Failure(FailureKind::Refused, text));
        }
        unsigned.insert(id.to_owned(), waiting);
        Ok(())
    }

    async fn prepare(&self, id: &str, of_peer: bool, submission: Submission) -> Result<(), Failure> {
        let internal = |text: String| Failure(FailureKind::Internal, text);
        self.builder.available().await.map_err(internal)?;
        let state = self.entries.state();
        let mode = submission.mode.unwrap_or_else(|| mode_of(&state, &submission.coordinates));
        let repository = self.repository(&state, mode, &submission).await?;
        self.board.event(id, "source", &format!("source repository {repository}"));
        let source = self.source(id, &repository, &submission).await?;
        // Whoever builds resolves the source again by its commit; this copy has served.
        let _ = std::fs::remove_file(&source.archive);
        if let Some(moved) = moved_tag::sentence(&state, &source) {
            // Who names the commit knows what is asked for.
            if submission.commit.is_none() {
                let text = format!("{moved}; name the commit with --commit to build it all the same");
                return Err(Failure(FailureKind::Source, text));
            }
            self.board.event(id, "source", &moved);
        }
        let (specification, origin) = self.specification(mode, &submission, &source)?;
        let digest = specification.digest();
        self.board.event(id, "source", &format!("commit {}, specification {digest} ({origin})", source.commit));
        if let Err(free) = specification.structured()
            && mode == Mode::Upstream
            && !state.is_specification_approved(&digest)
        {
            let text = format!("{free}: run `pyrsia-maven approve --spec FILE` on each authority that agrees with it");
            return Err(Failure(FailureKind::Refused, text));
        }
        let image = self.image(id, specification.image_name()).await?;
        let mut coordinates = submission.coordinates.clone();
        coordinates.sort_by_key(ToString::to_string);
        coordinates.dedup();
        let commit = source.commit.parse::<CommitId>().map_err(|error| internal(error.to_string()))?;
        let mut request = BuildRequest {
            coordinates,
            mode,
            repository,
            tag: source.tag.clone(),
            commit,
            specification: digest,
            image,
            profile: self.entries.profile().digest(),
            comparator: jar_compare::COMPARATOR_VERSION,
            publisher: None,
            reopening: 0,
        };
        request.reopening = reopening(&state, &request);
        if mode == Mode::Native {
            self.board.event(id, "source", "waiting for the publisher's signature");
            let waiting = Unsigned { request: request.clone(), specification, since: Instant::now(), of_peer };
            self.await_signature(id, waiting)?;
            self.board.await_signature(id, request);
            return Ok(());
        }
        self.request(id, request, &specification).await
    }

    async fn request(&self, id: &str, request: BuildRequest, specification: &Specification) -> Result<(), Failure> {
        let round = request.round_key();
        let reopening = request.reopening;
        let is_known = || self.entries.state().round(&round).is_some_and(|known| known.request.reopening >= reopening);
        if !is_known() {
            let refused = |text: String| Failure(FailureKind::Refused, text);
            let body = EntryBody::BuildRequest(request);
            // Nothing is kept for a request that the ledger refuses, and nothing is said that could not be worked on:
            // the authorities find the specification by its digest.
            self.entries.would_accept(body.clone()).map_err(refused)?;
            let internal = |text: String| Failure(FailureKind::Internal, text);
            self.entries.keep_specification(specification).map_err(internal)?;
            self.put_into_the_ledger(id, body, is_known).await?;
        }
        self.board.set_round(id, round);
        self.board.stage(id, "requested");
        self.board.event(id, "entry", &format!("round {round}"));
        // It may be over already: decided long ago, or while this was written down.
        let state = self.entries.state();
        if let Some(known) = state.round(&round).filter(|known| !known.stage.is_open()) {
            self.board.close_round(&state, known);
        }
        Ok(())
    }

    /// Waits for as long as it takes the authorities to agree: a request that waits for a quorum stays open.
    async fn put_into_the_ledger(&self, id: &str, body: EntryBody, is_known: impl Fn() -> bool) -> Result<(), Failure> {
        loop {
            match self.entries.say(body.clone()).await {
                Ok(()) => return Ok(()),
                // Somebody else's equal request came first.
                Err(NotSaid::Refused(_)) if is_known() => return Ok(()),
                Err(NotSaid::Refused(text)) => return Err(Failure(FailureKind::Refused, text)),
                Err(NotSaid::Unsettled(text)) => {
                    self.board.event(id, "log", &format!("waiting: {text}"));
                    tokio::time::sleep(SAY_AGAIN).await;
                }
            }
        }
    }

    async fn repository(
        &self,
        state: &State,
        mode: Mode,
        submission: &Submission,
    ) -> Result<CanonicalRepository, Failure> {
        let no_source = |text: String| Failure(FailureKind::Source, text);
        let release = &submission.coordinates[0];
        let namespace = state.namespace_for(&release.group);
        match (mode, &submission.repository) {
            // Before anything is cloned: who asks may be anybody.
            (Mode::Native, Some(given)) => match namespace {
                Some(namespace) if namespace.repositories.contains(given) => Ok(given.clone()),
                _ => Err(no_source(format!(
                    "the namespace of {} does not name {given} as its repository",
                    release.group
                ))),
            },
            (Mode::Native, None) => match namespace.map(|namespace| &namespace.repositories[..]) {
                Some([only]) => Ok(only.clone()),
                Some(several) => Err(no_source(format!(
                    "the namespace of {} has {} repositories; name one with --source",
                    release.group,
                    several.len()
                ))),
                None => Err(no_source(format!(
                    "no namespace covers {}; grant one with `pyrsia-maven namespace grant {} --repository URL`",
                    release.group, release.group
                ))),
            },
            (Mode::Upstream, given) => {
                // For every release of the build: the ledger counts a source only if it is that of all.
                let named = self.named_by_upstream(&submission.coordinates).await?;
                // Where namespaces give the source, they do so in place of the POMs.
                let granted_to = |release: &Coordinates| {
                    let namespace = state.namespace_for(&release.group).filter(|namespace| namespace.upstream_source);
                    namespace.map(|namespace| &namespace.repositories[..]).unwrap_or_default()
                };
                let granted = granted_to(release);
                let is_granted = |given: &CanonicalRepository| {
                    submission.coordinates.iter().all(|release| granted_to(release).contains(given))
                };
                match (given, granted) {
                    (Some(given), _) if is_granted(given) || named.as_ref() == Some(given) => Ok(given.clone()),
                    // The ledger would not count what comes from there, and everybody would have worked for nothing.
                    (Some(given), _) => Err(no_source(format!(
                        "{given} is not the repository of {release}: {}",
                        match &named {
                            Some(named) => format!("its POMs name {named}"),
                            None => "its POMs name none, and no namespace does".to_owned(),
                        }
                    ))),
                    (None, [only]) if is_granted(only) => Ok(only.clone()),
                    (None, _) => {
                        named.ok_or_else(|| no_source(format!("the POMs of {release} name no git repository")))
                    }
                }
            }
        }
    }

    /// The repository that the POMs of each of these upstream releases name. A release that upstream does not have cannot be
    /// compared.
    async fn named_by_upstream(&self, releases: &[Coordinates]) -> Result<Option<CanonicalRepository>, Failure> {
        match pom_chains(&*self.inputs, releases).await {
            Ok(chain) => Ok(chain.repository),
            Err(error @ (PomChainError::NoRelease(_) | PomChainError::NoParent { .. } | PomChainError::Pom(..))) => {
                let groups: Vec<String> = releases.iter().map(|release| release.group.to_string()).collect();
                let text = format!(
                    "no namespace covers {}, so it would have to be on the upstream: {error}",
                    groups.join(", ")
                );
                Err(Failure(FailureKind::Source, text))
            }
            Err(error @ (PomChainError::Input(_) | PomChainError::Read(..))) => {
                Err(Failure(FailureKind::Internal, error.to_string()))
            }
        }
    }

    async fn source(
        &self,
        id: &str,
        repository: &CanonicalRepository,
        submission: &Submission,
    ) -> Result<Source, Failure> {
        let request = SourceRequest {
            coordinates: submission.coordinates.clone(),
            repository: repository.clone(),
            tag: submission.tag.clone(),
            commit: submission.commit.clone(),
            // What a native release is built by lies in its commit.
            checkout: submission.specification.as_ref().map(Checkout::of),
        };
        let source = resolve(&*self.builder, request, self.board.log(id))
            .await
            .map_err(|error| Failure(FailureKind::Source, error.to_string()))?;
        for sentence in &source.evidence {
            self.board.event(id, "source", sentence);
        }
        Ok(source)
    }

    /// **A native release is built by the specification that lies in its own commit.**
    fn specification(
        &self,
        mode: Mode,
        submission: &Submission,
        source: &Source,
    ) -> Result<(Specification, &'static str), Failure> {
        match (mode, &submission.specification, &source.specification) {
            (Mode::Native, Some(given), Some(committed)) if given.digest() != committed.digest() => {
                let text = "a native release is built by the pyrsia.toml of its commit, and the given one is another";
                Err(Failure(FailureKind::Refused, text.to_owned()))
            }
            (Mode::Native, _, None) => {
                let text = format!("commit {} has no pyrsia.toml, which a native release needs", source.commit);
                Err(Failure(FailureKind::Source, text))
            }
            (Mode::Upstream, Some(given), _) => Ok((given.clone(), "given")),
            (_, _, Some(committed)) => Ok((committed.clone(), "pyrsia.toml at the commit")),
            (Mode::Upstream, None, None) => Ok((Specification::default_maven(&self.default_maven), "default")),
        }
    }
}

/// Only a round that was abandoned without any verdict may be opened again with the same key.
fn reopening(state: &State, request: &BuildRequest) -> u32 {
    match state.round(&request.round_key()) {
        None => 0,
        Some(known) if known.stage == Stage::Closed(RoundState::Abandoned) => known.request.reopening + 1,
        Some(known) => known.request.reopening,
    }
}

fn mode_of(state: &State, coordinates: &[Coordinates]) -> Mode {
    let native = |release: &Coordinates| state.is_native(&release.group);
    if coordinates.iter().any(native) { Mode::Native } else { Mode::Upstream }
}
