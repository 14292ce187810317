//! Results of a build and the commitment to them.

use borsh::{BorshDeserialize, BorshSerialize};
use maven_layout::{CanonicalRepository, Coordinates, FileName};
use pyrsia_digest::Sha256;
use serde::{Deserialize, Serialize};

use super::{EntryError, MAX_TEXT_BYTES, check_ascending, check_count, check_rule, check_text};
use crate::canonical::{encode, framed};
use crate::{NetworkId, PublicKey, RoundKey};

/// Most files of one result.
pub const MAX_FILES: usize = 256;
/// Most normalisers of one file.
pub const MAX_NORMALISERS: usize = 32;
/// Longest name of a normaliser, in bytes.
const MAX_NORMALISER_BYTES: usize = 64;
/// Longest POM chain.
const MAX_POM_CHAIN: usize = 32;
/// Endings of files that only speak about another file.
const COMPANIONS: [&str; 6] = [".md5", ".sha1", ".sha256", ".sha512", ".asc", ".sigstore.json"];

/// How a rebuilt file compares.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, BorshSerialize, BorshDeserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The same bytes as upstream's file.
    Identical,
    /// The same after the named normalisers.
    Equivalent,
    /// Another content.
    Different,
    /// Upstream has this file, the build does not make it.
    NotBuilt,
    /// The build makes this file, upstream does not have it.
    Extra,
    /// A file of a native release: there is nothing to compare it with.
    Native,
}

/// What an authority found about one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct FileResult {
    /// The release that the file belongs to.
    #[borsh(serialize_with = "crate::canonical::text::write", deserialize_with = "crate::canonical::text::read")]
    pub coordinates: Coordinates,
    /// File name in the repository layout: `artifact-version[-classifier].extension`.
    pub name: String,
    /// SHA-256 of upstream's file, if it has one.
    pub reference: Option<Sha256>,
    /// How the rebuilt file compares with it.
    pub outcome: Outcome,
    /// SHA-256 of the rebuilt file, if one was built.
    pub digest: Option<Sha256>,
    /// SHA-256 of the rebuilt file after the normalisers.
    pub normalised: Option<Sha256>,
    /// Names (with version) of the normalisers applied; ascending.
    pub normalisers: Vec<String>,
}

impl FileResult {
    fn check(&self) -> Result<(), EntryError> {
        check_text("files.name", &self.name, MAX_TEXT_BYTES)?;
        let in_layout = self.name.parse::<FileName>().is_ok() && self.coordinates.rest_of(&self.name).is_some();
        check_rule("files.name", "a file is named artifact-version and an ending", in_layout)?;
        let companion = COMPANIONS.iter().any(|ending| self.name.ends_with(ending));
        check_rule("files.name", "checksums and signatures are no outputs", !companion)?;
        check_count("files.normalisers", self.normalisers.len(), 0, MAX_NORMALISERS)?;
        check_ascending("files.normalisers", &self.normalisers, Clone::clone)?;
        for normaliser in &self.normalisers {
            check_text("files.normalisers", normaliser, MAX_NORMALISER_BYTES)?;
            check_rule("files.normalisers", "a normaliser has a name", !normaliser.is_empty())?;
        }
        let plain = self.normalisers.is_empty() && self.normalised.is_none();
        let fits = match (self.outcome, self.reference, self.digest) {
            (Outcome::Identical, Some(reference), Some(digest)) => plain && reference == digest,
            (Outcome::Equivalent, Some(reference), Some(digest)) => {
                reference != digest && !self.normalisers.is_empty() && self.normalised.is_some()
            }
            (Outcome::Different, Some(reference), Some(digest)) => {
                reference != digest && (self.normalisers.is_empty() || self.normalised.is_some())
            }
            (Outcome::NotBuilt, Some(_), None) | (Outcome::Extra | Outcome::Native, None, Some(_)) => plain,
            _ => false,
        };
        check_rule("files.outcome", "digests and normalisers fit the outcome", fits)
    }
}

/// Whether the file decides the headline of its release: the POM and the main artifact, which have no classifier.
/// Gradle's module metadata has a line of its own.
pub(crate) fn is_headline(coordinates: &Coordinates, name: &str) -> bool {
    coordinates.rest_of(name).is_some_and(|rest| rest.starts_with('.') && rest != ".module")
}

/// A build that worked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct BuiltResult {
    /// The union of built and upstream's files, ascending by (text of the coordinates, name).
    pub files: Vec<FileResult>,
    /// Merkle root of the builder's own output list.
    pub outputs_root: Sha256,
    /// SHA-256 of the canonical tar of the source tree.
    pub source_tree: Sha256,
    /// Canonical address that the own POM chain of **each** of the releases names; none if they name none or not all the same.
    #[borsh(
        serialize_with = "crate::canonical::text::write_option",
        deserialize_with = "crate::canonical::text::read_option"
    )]
    pub canonical_scm: Option<CanonicalRepository>,
    /// SHA-256 of each POM of upstream's chain, the release's own first; empty for a native release.
    pub pom_chain: Vec<Sha256>,
    /// Digest over the by-products: recorded, never voted on.
    pub byproducts: Option<Sha256>,
    /// SHA-256 of the provenance blob (a DSSE envelope): recorded, never voted on.
    pub provenance: Option<Sha256>,
    /// Whether the source was seen only through a mirror map.
    pub mirrored_source: bool,
}

/// The ways in which a build tool itself can fail. Each means that the tool exited with a code other than zero; limits,
/// kills and faults of the engine are not among them.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, BorshSerialize, BorshDeserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// The tool exited with a code other than zero.
    ToolExit,
    /// ... because sources did not compile.
    Compilation,
    /// ... because tests failed.
    Tests,
    /// ... because a dependency is missing from the declared repositories.
    Dependencies,
}

/// A build that the tool itself gave up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct FailedBuild {
    /// How it failed.
    pub kind: FailureKind,
    /// As in [`BuiltResult`]: without it a stranger's broken fork could discredit a release.
    #[borsh(
        serialize_with = "crate::canonical::text::write_option",
        deserialize_with = "crate::canonical::text::read_option"
    )]
    pub canonical_scm: Option<CanonicalRepository>,
    /// As in [`BuiltResult`].
    pub mirrored_source: bool,
}

impl FailedBuild {
    pub(crate) fn check(&self) -> Result<(), EntryError> {
        check_scm(self.canonical_scm.as_ref())
    }
}

/// Why a round is void, whatever was built.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, BorshSerialize, BorshDeserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum VoidReason {
    /// An input of the build equals one of its outputs.
    InputEqualsOutput,
    /// An input of the build equals upstream's file.
    InputEqualsReference,
}

/// What an authority found in a round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum RoundResult {
    /// The build worked.
    Built(BuiltResult),
    /// The build tool itself failed.
    Failed(FailedBuild),
    /// The build was fed its own result.
    Void {
        /// In which way.
        reason: VoidReason,
    },
}

impl RoundResult {
    pub(crate) fn check(&self) -> Result<(), EntryError> {
        let built = match self {
            Self::Built(built) => built,
            Self::Failed(failed) => return failed.check(),
            Self::Void { .. } => return Ok(()),
        };
        check_count("files", built.files.len(), 1, MAX_FILES)?;
        check_ascending("files", &built.files, |file| (file.coordinates.to_string(), file.name.clone()))?;
        built.files.iter().try_for_each(FileResult::check)?;
        check_count("pom_chain", built.pom_chain.len(), 0, MAX_POM_CHAIN)?;
        check_scm(built.canonical_scm.as_ref())
    }
}

fn check_scm(scm: Option<&CanonicalRepository>) -> Result<(), EntryError> {
    match scm {
        Some(scm) => check_text("canonical_scm", scm.as_ref(), MAX_TEXT_BYTES),
        None => Ok(()),
    }
}

/// The hash in a [`super::Commitment`]: over length-prefixed domain, network id, round key, attempt, authority, salt
/// and canonical result. The authority is in it, so that nobody can pass a copied commitment off as its own.
pub fn commitment_hash(
    network: &NetworkId,
    round: &RoundKey,
    attempt: u32,
    authority: &PublicKey,
    salt: &[u8; 32],
    result: &RoundResult,
) -> Sha256 {
    Sha256::of(&framed(&[
        b"pyrsia-maven/commitment/v1",
        network.as_bytes(),
        round.as_bytes(),
        &attempt.to_le_bytes(),
        authority.as_bytes(),
        salt,
        &encode(result),
    ]))
}
