//! Calls that change something.

use async_trait::async_trait;
use build_spec::Specification;
use maven_layout::{CanonicalRepository, Coordinates};
use pyrsia_api_types::{
    Accepted, BlockSubmission, BuildAccepted, BuildMode, BuildSubmission, ImageApproval, ImageFetch, ImageFetched,
    NamespaceSubmission, PublisherProof, SpecificationApproval, WithdrawalSubmission,
};
use pyrsia_digest::Sha256;
use pyrsia_http::{NodeControl, ViewError};
use pyrsia_ledger::{
    Approval, EntryBody, ImageProposal, Mode, NamespaceGrant, PublicKey, PublisherSignature, ReleaseBlock, State,
    Subject, Withdrawal,
};
use pyrsia_rebuilds::{Entries, Submission, SubmissionError};
use std::sync::Arc;
use std::time::Duration;

use super::{Builds, NodeService, invalid};

/// How long one call waits for an image.
const FETCH: Duration = Duration::from_secs(45);

#[async_trait]
impl NodeControl for NodeService {
    async fn submit_build(&self, submission: BuildSubmission) -> Result<BuildAccepted, ViewError> {
        self.take_build(submission, None).await
    }

    async fn sign_build(&self, id: &str, proof: PublisherProof) -> Result<Accepted, ViewError> {
        let intake = match &self.builds {
            Builds::Here { intake, .. } => intake,
            Builds::There(remote) => {
                let holder = remote.holder(id).ok_or_else(|| ViewError::NotFound {
                    detail: format!("this node has asked no authority for a build {id}"),
                    next: "pyrsia-maven builds".to_owned(),
                })?;
                return remote.sign(&holder, id, proof).await;
            }
            Builds::Nowhere(reason) => return Err(no_builds(reason)),
        };
        let signature = PublisherSignature {
            key: proof.key.parse().map_err(invalid)?,
            signature: proof.signature.parse().map_err(invalid)?,
        };
        intake.sign(id, signature).await.map_err(submission_error)?;
        Ok(Accepted { entry: id.to_owned(), effective: true })
    }

    async fn submit_namespace(&self, submission: NamespaceSubmission) -> Result<Accepted, ViewError> {
        let group: maven_layout::GroupId = submission.group.parse().map_err(invalid)?;
        let mut repositories: Vec<CanonicalRepository> =
            submission.repositories.iter().map(|raw| repository(raw)).collect::<Result<_, _>>()?;
        let mut publishers: Vec<PublicKey> =
            submission.publishers.iter().map(|key| key.parse().map_err(invalid)).collect::<Result<_, _>>()?;
        let state = self.replica.state();
        // What is granted already stays: one more repository of a group is an addition, not a replacement.
        let known = state.namespaces().find(|namespace| namespace.group == group);
        if let Some(known) = known {
            repositories.extend(known.repositories.iter().cloned());
            publishers.extend(known.publishers.iter().copied());
        }
        repositories.sort_by_key(ToString::to_string);
        repositories.dedup();
        publishers.sort();
        publishers.dedup();
        let grant = NamespaceGrant {
            serial: known.map_or(1, |known| known.serial + 1),
            native: submission.native || known.is_some_and(|known| known.native),
            upstream_source: submission.upstream_source || known.is_some_and(|known| known.upstream_source),
            group,
            repositories,
            publishers,
        };
        let unchanged = known.is_some_and(|known| NamespaceGrant { serial: grant.serial, ..known.clone() } == grant);
        if unchanged {
            return Ok(Accepted { entry: String::new(), effective: true });
        }
        self.propose(EntryBody::NamespaceGrant(grant)).await
    }

    async fn approve_image(&self, approval: ImageApproval) -> Result<Accepted, ViewError> {
        let image: Sha256 = approval.image.parse().map_err(invalid)?;
        if !approval.unverified {
            self.check_remade(&image)?;
        }
        let serial = self.replica.state().image(&image).map_or(1, |record| record.serial + 1);
        let proposal = ImageProposal { serial, ..ImageProposal::allow(image, approval.description) };
        self.propose(EntryBody::ImageProposal(proposal)).await
    }

    async fn fetch_image(&self, wanted: ImageFetch) -> Result<ImageFetched, ViewError> {
        let image: Sha256 = wanted.image.parse().map_err(invalid)?;
        let images = self.images.clone().ok_or_else(|| ViewError::Unavailable {
            detail: "this node keeps no builder images".to_owned(),
            next: String::new(),
        })?;
        // A task of its own: an answer that comes before its end does not end it.
        let fetching = tokio::spawn(async move {
            let known = images.find_or_fetch(&image).await?;
            // Whoever fetches an image by hand may want to make it again; a build only runs in it.
            if known.lock.is_some() {
                images.fetch_lock(&known).await?;
            }
            Ok::<_, anyhow::Error>(known)
        });
        let known = match tokio::time::timeout(FETCH, fetching).await {
            Err(_) => return Ok(ImageFetched { image: wanted.image, here: false, name: None, layer_bytes: None }),
            Ok(Err(error)) => return Err(super::internal(error)),
            Ok(Ok(Err(error))) => {
                return Err(ViewError::Unavailable {
                    detail: format!("{error:#}"),
                    next: "pyrsia-maven peers".to_owned(),
                });
            }
            Ok(Ok(Ok(known))) => known,
        };
        Ok(ImageFetched {
            image: known.digest.to_string(),
            here: true,
            name: Some(known.config.name),
            layer_bytes: Some(known.layer_bytes),
        })
    }

    async fn approve_specification(&self, approval: SpecificationApproval) -> Result<Accepted, ViewError> {
        let specification = Specification::from_toml(&approval.specification).map_err(invalid)?;
        let digest = specification.digest();
        self.hand()?.keep_specification(&specification).map_err(super::internal)?;
        if self.replica.state().is_specification_approved(&digest) {
            return Ok(Accepted { entry: String::new(), effective: true });
        }
        self.propose(EntryBody::Approval(Approval { subject: Subject::Specification(digest) })).await
    }

    async fn withdraw(&self, submission: WithdrawalSubmission) -> Result<Accepted, ViewError> {
        let coordinates: Coordinates = submission.coordinates.parse().map_err(invalid)?;
        let state = self.replica.state();
        let verdict = state.verdict(&coordinates).ok_or_else(|| ViewError::NotFound {
            detail: format!("{coordinates} has no verdict to withdraw"),
            next: String::new(),
        })?;
        let round = verdict.round;
        self.propose(EntryBody::Withdrawal(Withdrawal { coordinates, round, reason: submission.reason })).await
    }

    async fn block(&self, submission: BlockSubmission) -> Result<Accepted, ViewError> {
        let coordinates: Coordinates = submission.coordinates.parse().map_err(invalid)?;
        let serial = self.replica.state().block(&coordinates).map_or(1, |block| block.serial + 1);
        let blocked = !submission.lift;
        self.propose(EntryBody::Block(ReleaseBlock { coordinates, blocked, serial, reason: submission.reason })).await
    }
}

impl NodeService {
    /// Takes a build, or hands it on to who does. `peer`: the node that asks, if it is another one.
    pub async fn take_build(
        &self,
        submission: BuildSubmission,
        peer: Option<&str>,
    ) -> Result<BuildAccepted, ViewError> {
        let intake = match &self.builds {
            Builds::Here { intake, .. } => intake,
            Builds::There(remote) => return remote.submit(&submission).await,
            Builds::Nowhere(reason) => return Err(no_builds(reason)),
        };
        let submission = Submission {
            coordinates: parse_all(&submission.coordinates)?,
            mode: submission.mode.map(|mode| match mode {
                BuildMode::Native => Mode::Native,
                BuildMode::Upstream => Mode::Upstream,
            }),
            repository: submission.source.as_deref().map(repository).transpose()?,
            tag: submission.tag,
            commit: submission.commit,
            specification: match submission.specification {
                Some(text) => Some(Specification::from_toml(&text).map_err(invalid)?),
                None => None,
            },
        };
        let mut random = [0u8; 5];
        getrandom::fill(&mut random).map_err(super::internal)?;
        let id = format!("b{}", random.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        intake.start(id.clone(), peer, submission).map_err(submission_error)?;
        Ok(BuildAccepted { id, existing: false })
    }

    /// This authority's hand.
    fn hand(&self) -> Result<&Arc<Entries>, ViewError> {
        self.entries.as_ref().ok_or_else(|| ViewError::Unavailable {
            detail: "this node is no authority; authorities decide, each by the word of its own operator".to_owned(),
            next: "give the command with --node URL of an authority".to_owned(),
        })
    }

    /// Refuses an image that was not made again from its packages on this machine.
    fn check_remade(&self, image: &Sha256) -> Result<(), ViewError> {
        let known =
            self.images.as_ref().and_then(|images| images.by_digest(image).ok().flatten().map(|it| (images, it)));
        match known {
            Some((images, known)) if images.was_remade(&known) => Ok(()),
            known => Err(ViewError::Refused {
                detail: format!("image {image} was not made again from its packages here, with equal files"),
                next: match known {
                    Some(_) => format!("pyrsia-maven images verify {image}, or approve it with --unverified"),
                    None => format!("pyrsia-maven images fetch {image}, or approve it with --unverified"),
                },
            }),
        }
    }

    /// Proposes or approves; in force at once where this was the vote that made the quorum.
    async fn propose(&self, body: EntryBody) -> Result<Accepted, ViewError> {
        let subject = match &body {
            EntryBody::Approval(approval) => Some(approval.subject),
            body => body.proposal_id().map(Subject::Proposal),
        };
        let entry = body.proposal_id().map(|id| id.to_string()).unwrap_or_default();
        self.hand()?.submit(body).await.map_err(|detail| ViewError::Refused { detail, next: String::new() })?;
        // What was accepted either waits for more votes or has taken effect.
        let waits = |state: &State| state.pending().any(|(waiting, ..)| Some(waiting) == subject);
        Ok(Accepted { entry, effective: !waits(&self.replica.state()) })
    }
}

fn no_builds(reason: &str) -> ViewError {
    ViewError::Unavailable {
        detail: format!("this node does not rebuild: {reason}"),
        next: "pyrsia-maven doctor".to_owned(),
    }
}

fn parse_all(texts: &[String]) -> Result<Vec<Coordinates>, ViewError> {
    texts.iter().map(|text| text.parse().map_err(invalid)).collect()
}

fn repository(raw: &str) -> Result<CanonicalRepository, ViewError> {
    maven_layout::scm::canonical(raw).map_err(invalid)
}

fn submission_error(error: SubmissionError) -> ViewError {
    let detail = error.to_string();
    match error {
        SubmissionError::Busy(_) => ViewError::Unavailable { detail, next: String::new() },
        SubmissionError::NotWaiting(_) => ViewError::NotFound { detail, next: String::new() },
        SubmissionError::Nothing | SubmissionError::Signature => ViewError::Invalid { detail, next: String::new() },
    }
}
