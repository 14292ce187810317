//! Between the words of a builder and those of the link.

use std::path::PathBuf;

use build_spec::{
    BuildError, BuildLimit, Checkout, Job, ManifestError, Mode, RunId, SandboxProfile, Source, Specification,
    ToolFailure,
};

use crate::messages::{Failure, FileRef, LimitReached, MAX_LINE, Order, OrderMode, OrderSource, Part, ToolFailed};

/// Lines of a log that an error keeps.
const TAIL: usize = 40;

/// An order that this program cannot carry out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// The specification is not one.
    #[error("the specification of the order is not valid: {0}")]
    Specification(String),
    /// It wants other surroundings than this program has.
    #[error("the order wants a sandbox profile that this program does not have")]
    Profile,
    /// A replay without a manifest, or a record with one.
    #[error("the order contradicts itself")]
    Contradiction,
}

impl Order {
    /// The order for a job; `manifest` is that of a replay.
    pub(crate) fn of(job: &Job, archive_bytes: u64, repositories: Vec<String>, manifest: Option<FileRef>) -> Self {
        let source = &job.source;
        Self {
            part: if manifest.is_some() { Part::Replay } else { Part::Record },
            run: job.run.as_str().to_owned(),
            coordinates: job.coordinates.clone(),
            mode: match job.mode {
                Mode::Native => OrderMode::Native,
                Mode::Upstream => OrderMode::Upstream,
            },
            source: OrderSource {
                repository: source.repository.clone(),
                tag: source.tag.clone(),
                commit: source.commit.clone(),
                commit_tree: source.commit_tree.clone(),
                commit_time: source.commit_time,
                archive: FileRef { sha256: source.tree, size: archive_bytes },
                reactor: source.reactor.clone(),
            },
            specification: job.specification.to_toml(),
            image: job.image,
            profile: job.profile.digest(),
            repositories,
            manifest,
        }
    }

    /// The job of this order: the source lies at `archive`, outputs go to `work_dir`. What no builder looks at (signatures,
    /// evidence) is not there.
    ///
    /// # Errors
    /// [`OrderError`].
    pub fn job(&self, archive: PathBuf, work_dir: PathBuf) -> Result<Job, OrderError> {
        if self.manifest.is_some() != (self.part == Part::Replay) {
            return Err(OrderError::Contradiction);
        }
        let profile = SandboxProfile::v1();
        if profile.digest() != self.profile {
            return Err(OrderError::Profile);
        }
        let specification = Specification::from_toml(&self.specification)
            .map_err(|error| OrderError::Specification(error.to_string()))?;
        let source = Source {
            repository: self.source.repository.clone(),
            mirrored: false,
            tag: self.source.tag.clone(),
            tag_object: None,
            commit: self.source.commit.clone(),
            commit_tree: self.source.commit_tree.clone(),
            signature: None,
            submodules: Vec::new(),
            // The authority gives out no source that was checked out in another way.
            checkout: Checkout::of(&specification),
            commit_time: self.source.commit_time,
            tree: self.source.archive.sha256,
            archive,
            reactor: self.source.reactor.clone(),
            declared_scm: None,
            specification: None,
            evidence: Vec::new(),
        };
        Ok(Job {
            run: RunId::new(&self.run),
            coordinates: self.coordinates.clone(),
            mode: match self.mode {
                OrderMode::Native => Mode::Native,
                OrderMode::Upstream => Mode::Upstream,
            },
            source,
            specification,
            image: self.image,
            profile,
            work_dir,
        })
    }
}

/// A text from the other side: bounded, without control characters.
pub(crate) fn text(text: &str) -> String {
    text.chars().filter(|c| *c == '\t' || !c.is_control()).take(MAX_LINE).collect()
}

fn tail(lines: Vec<String>) -> Vec<String> {
    let excess = lines.len().saturating_sub(TAIL);
    lines.into_iter().skip(excess).map(|line| text(&line)).collect()
}

impl From<ToolFailure> for ToolFailed {
    fn from(failure: ToolFailure) -> Self {
        Self { exit_code: failure.exit_code, log_tail: failure.log_tail }
    }
}

impl From<ToolFailed> for ToolFailure {
    fn from(failed: ToolFailed) -> Self {
        Self { exit_code: failed.exit_code, log_tail: tail(failed.log_tail) }
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::ToolFailed(failure) => Self::ToolFailed(failure.into()),
            BuildError::CommandFailed { place, exit_code, log_tail } => {
                Self::CommandFailed { place, exit_code, log_tail }
            }
            BuildError::NoOutput(what) => Self::NoOutput(what),
            BuildError::Interfered(what) => Self::Interfered(what),
            BuildError::Undeclared { repository, path } => Self::Undeclared { repository, path },
            BuildError::NeedsNetwork(what) => Self::NeedsNetwork(what),
            BuildError::UpstreamFailed(what) => Self::UpstreamFailed(what),
            BuildError::InputsUnavailable(what) => Self::InputsUnavailable(what),
            BuildError::Snapshot(what) => Self::Snapshot(what),
            BuildError::InputIsOutput(what) => Self::InputIsOutput(what),
            BuildError::Unsupported(what) => Self::Unsupported(what),
            // Both say that the specification is nothing to build by.
            BuildError::Specification(error) => Self::Unsupported(error.to_string()),
            BuildError::Manifest(ManifestError::TooLarge) => Self::ManifestTooLarge,
            BuildError::Manifest(ManifestError::Contradiction { repository, path }) => {
                Self::ManifestContradiction { repository, path }
            }
            BuildError::Manifest(error @ ManifestError::NotCanonical { .. }) => Self::Engine(error.to_string()),
            BuildError::Limit(limit) => Self::Limit(match limit {
                BuildLimit::Time => LimitReached::Time,
                BuildLimit::Memory => LimitReached::Memory,
                BuildLimit::Disk => LimitReached::Disk,
                BuildLimit::Processes => LimitReached::Processes,
                BuildLimit::Log => LimitReached::Log,
                BuildLimit::Outputs => LimitReached::Outputs,
            }),
            BuildError::Engine(what) => Self::Engine(what),
        }
    }
}

impl From<Failure> for BuildError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::ToolFailed(failed) => Self::ToolFailed(failed.into()),
            Failure::CommandFailed { place, exit_code, log_tail } => {
                Self::CommandFailed { place: text(&place), exit_code, log_tail: tail(log_tail) }
            }
            Failure::NoOutput(what) => Self::NoOutput(text(&what)),
            Failure::Interfered(what) => Self::Interfered(text(&what)),
            Failure::Undeclared { repository, path } => {
                Self::Undeclared { repository: text(&repository), path: text(&path) }
            }
            Failure::NeedsNetwork(what) => Self::NeedsNetwork(text(&what)),
            Failure::UpstreamFailed(what) => Self::UpstreamFailed(text(&what)),
            Failure::InputsUnavailable(what) => Self::InputsUnavailable(text(&what)),
            Failure::Snapshot(what) => Self::Snapshot(text(&what)),
            Failure::InputIsOutput(what) => Self::InputIsOutput(text(&what)),
            Failure::Unsupported(what) => Self::Unsupported(text(&what)),
            Failure::ManifestTooLarge => Self::Manifest(ManifestError::TooLarge),
            Failure::ManifestContradiction { repository, path } => {
                Self::Manifest(ManifestError::Contradiction { repository: text(&repository), path: text(&path) })
            }
            Failure::Limit(limit) => Self::Limit(match limit {
                LimitReached::Time => BuildLimit::Time,
                LimitReached::Memory => BuildLimit::Memory,
                LimitReached::Disk => BuildLimit::Disk,
                LimitReached::Processes => BuildLimit::Processes,
                LimitReached::Log => BuildLimit::Log,
                LimitReached::Outputs => BuildLimit::Outputs,
            }),
            Failure::Engine(what) => Self::Engine(text(&what)),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::messages::Outcome;
    use build_spec::{Checkout, SpecificationError};
    use pyrsia_digest::Sha256;

    /// A record of a Maven release.
    pub(crate) fn job() -> Job {
        let specification = Specification::default_maven("3.9.11");
        Job {
            run: RunId::new("abc-0"),
            coordinates: vec!["org.acme:lib:1".parse().unwrap()],
            mode: Mode::Upstream,
            source: Source {
                repository: "https://git.example/acme/lib".parse().unwrap(),
                mirrored: true,
                tag: Some("v1".to_owned()),
                tag_object: None,
                commit: "0".repeat(40),
                commit_tree: "1".repeat(40),
                signature: None,
                submodules: Vec::new(),
                checkout: Checkout::of(&specification),
                commit_time: 12,
                tree: Sha256::of(b"tree"),
                archive: PathBuf::from("/there"),
                reactor: vec!["org.acme:parent:1".parse().unwrap()],
                declared_scm: None,
                specification: None,
                evidence: vec!["because".to_owned()],
            },
            specification,
            image: Sha256::of(b"image"),
            profile: SandboxProfile::v1(),
            work_dir: PathBuf::from("/work"),
        }
    }

    #[test]
    fn what_a_builder_looks_at_arrives() {
        let job = job();
        let order = Order::of(&job, 4, vec!["company".to_owned()], None);
        let order: Order = serde_json::from_str(&serde_json::to_string(&order).unwrap()).unwrap();
        assert_eq!((order.part, &order.repositories[..]), (Part::Record, &["company".to_owned()][..]));
        let there = order.job(PathBuf::from("/here"), PathBuf::from("/out")).unwrap();
        assert_eq!(there.specification.digest(), job.specification.digest());
        assert_eq!((there.run, there.coordinates, there.mode), (job.run, job.coordinates, job.mode));
        assert_eq!((there.image, there.profile), (job.image, job.profile));
        let (there, here) = (there.source, job.source);
        assert_eq!((there.repository, there.tag, there.commit), (here.repository, here.tag, here.commit));
        assert_eq!((there.tree, there.commit_time, there.reactor), (here.tree, here.commit_time, here.reactor));
        assert_eq!(there.checkout, here.checkout);
        assert_eq!(there.archive, PathBuf::from("/here"));
    }

    #[test]
    fn orders_that_cannot_be_carried_out_are_refused() {
        let file = FileRef { sha256: Sha256::of(b"m"), size: 1 };
        let replay = Order::of(&job(), 4, Vec::new(), Some(file));
        assert_eq!(replay.part, Part::Replay);
        let refused = |order: Order| order.job(PathBuf::new(), PathBuf::new()).unwrap_err();
        assert_eq!(refused(Order { manifest: None, ..replay.clone() }), OrderError::Contradiction);
        assert_eq!(refused(Order { profile: Sha256::of(b"other"), ..replay.clone() }), OrderError::Profile);
        assert!(matches!(refused(Order { specification: "x".to_owned(), ..replay }), OrderError::Specification(_)));
    }

    #[test]
    fn every_failure_stays_what_it_is() {
        let text = |text: &str| text.to_owned();
        let tail = vec![text("last")];
        for error in [
            BuildError::ToolFailed(ToolFailure { exit_code: 1, log_tail: tail.clone() }),
            BuildError::CommandFailed { place: text("exec_before"), exit_code: 2, log_tail: tail },
            BuildError::NoOutput(text("POM")),
            BuildError::Interfered(text("no tar")),
            BuildError::Undeclared { repository: text("central"), path: text("a/b") },
            BuildError::NeedsNetwork(text("host")),
            BuildError::UpstreamFailed(text("503")),
            BuildError::InputsUnavailable(text("a/b")),
            BuildError::Snapshot(text("a")),
            BuildError::InputIsOutput(text("a")),
            BuildError::Unsupported(text("no")),
            BuildError::Manifest(ManifestError::TooLarge),
            BuildError::Manifest(ManifestError::Contradiction { repository: text("central"), path: text("a") }),
            BuildError::Limit(BuildLimit::Time),
            BuildError::Limit(BuildLimit::Memory),
            BuildError::Limit(BuildLimit::Disk),
            BuildError::Limit(BuildLimit::Processes),
            BuildError::Limit(BuildLimit::Log),
            BuildError::Limit(BuildLimit::Outputs),
            BuildError::Engine(text("gone")),
        ] {
            let sent = serde_json::to_string(&Outcome::Failed(error.clone().into())).unwrap();
            let Outcome::Failed(came) = serde_json::from_str(&sent).unwrap() else { panic!("{sent}") };
            assert_eq!(format!("{:?}", BuildError::from(came)), format!("{error:?}"));
        }
        let told = BuildError::from(Failure::from(BuildError::Specification(SpecificationError::Toml("x".to_owned()))));
        assert!(matches!(told, BuildError::Unsupported(_)));
    }

    #[test]
    fn texts_from_workers_are_bounded_and_steer_no_terminal() {
        let long = "x".repeat(MAX_LINE * 2);
        let failed = Failure::ToolFailed(ToolFailed { exit_code: 1, log_tail: vec![long; 100] });
        let BuildError::ToolFailed(failure) = failed.into() else { panic!("another failure") };
        assert_eq!(failure.log_tail.len(), TAIL);
        assert!(failure.log_tail.iter().all(|line| line.len() == MAX_LINE));
        let BuildError::Engine(told) = Failure::Engine("\u{1b}[2Jboo\n".to_owned()).into() else { panic!("another") };
        assert_eq!(told, "[2Jboo");
    }
}
