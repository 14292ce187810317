//! Every document of `/api/v1` and of `--json`: the server and the command line share these types.
//!
//! Text that has a grammar elsewhere (coordinates, digests, keys, paths) is carried here as text and parsed by whoever
//! reads the document: a document is what travels, not what is believed. Digests and keys are lower-case hexadecimal,
//! coordinates are `group:artifact:version`, times are whole seconds since 1970 (UTC), sizes are bytes.
//!
//! Invariants:
//! - documents that a node **takes in** refuse unknown fields; documents that a node **gives out** may gain fields;
//! - the fields of [`VerifyReport`] and [`RebuildReport`] are a contract with other people's scripts: never renamed;
//! - what is optional is written as `null`, never left out of a report, so that a script may index without asking.
//!
//! Each document has its schema ([`utoipa::ToSchema`]), from which `GET /api/v1/openapi.json` is made.
//!
//! What is not here: any decision, any validation beyond shape, HTTP, files, clocks.

mod builds;
mod infer;
mod inspect;
mod log;
mod policy;
mod problem;
mod rebuild;
mod requests;
mod status;
mod store;
mod verify;

pub use builds::{
    AuthorityProgress, Build, BuildAccepted, BuildEvent, BuildEvents, BuildList, BuildMode, BuildSubmission,
    PublisherProof,
};
pub use infer::{AttemptReport, InferReport, InferredSource, InferredSpec, ReasonReport, SourceFiles};
pub use inspect::{
    AttestedProvenance, Dissent, FileMatch, FileMatches, FileStory, Inspection, MovedTag, SourceDocument, VerdictStory,
};
pub use log::{LogLeaf, LogPage};
pub use policy::{FilePolicy, GroupPolicy, PolicyTest, ReleasePolicy, ServedCount, ServedRelease, ServedReport};
pub use problem::Problem;
pub use rebuild::{
    ManifestSummary, OutputReport, ProvenanceReport, RebuildReport, RebuildVerdict, SignedProvenance, SpecReport,
    Timings, WrittenProvenance,
};
pub use requests::{
    Accepted, BlockSubmission, ImageApproval, ImageFetch, ImageFetched, NamespaceSubmission, SpecificationApproval,
    WithdrawalSubmission,
};
pub use status::{
    BuildCounts, LogStatus, NetworkStatus, Peer, PeerList, RepositoryStatus, Status, StorageLimits, StorageStatus,
    UpstreamStatus,
};
pub use store::{
    CollectionReport, DamagedBlob, DamagedHosted, DamagedIndex, ExportReport, HostedCollection, HostedRemoval,
    HostedReport, HostedVersion, HostedVersions, ImportGroup, ImportRefusal, ImportReport, MissingFile, SetAsideReport,
    StoreReport, UnreadableBlob,
};
pub use verify::{FileReport, LogPosition, VerifyReport};
