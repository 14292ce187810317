//! Verdicts: what a committee found about a release and each of its files.

use borsh::{BorshDeserialize, BorshSerialize};
use maven_layout::{CanonicalRepository, Coordinates};
use pyrsia_digest::Sha256;
use serde::{Deserialize, Serialize};

use crate::canonical::{encode, framed};
use crate::entry::is_headline;
use crate::leaf::VerdictLeaf;
use crate::{CommitId, Mode, Outcome, PublicKey, RoundKey};

/// What a verdict says.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, BorshSerialize, BorshDeserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum VerdictState {
    /// Native: the builders agree on the bytes.
    Published,
    /// Upstream's bytes are what the source makes.
    Identical,
    /// ... after the named normalisers.
    Equivalent,
    /// The source makes something else.
    Different,
    /// No value reached a quorum.
    Disputed,
    /// A quorum saw the build tool fail.
    Failed,
}

impl VerdictState {
    /// Rank for precedence: a verdict displaces another only if its rank is greater.
    pub const fn strength(self) -> u8 {
        match self {
            Self::Published | Self::Identical => 4,
            Self::Equivalent => 3,
            Self::Different => 2,
            Self::Disputed => 1,
            Self::Failed => 0,
        }
    }

    /// The word for people and documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Identical => "identical",
            Self::Equivalent => "equivalent",
            Self::Different => "different",
            Self::Disputed => "disputed",
            Self::Failed => "failed",
        }
    }
}

impl std::fmt::Display for VerdictState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the committee found about one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct FileVerdict {
    /// File name in the repository layout.
    pub name: String,
    /// What the verdict on this file is. `different` also for files that are not built, or that upstream lacks: see
    /// `outcome`.
    pub state: VerdictState,
    /// SHA-256 of the file to be served: the built one of a native release, upstream's of an upstream release. `None`
    /// when there is no such file, or no quorum agrees on it.
    pub sha256: Option<Sha256>,
    /// The agreed comparison; `None` for a disputed file.
    pub outcome: Option<Outcome>,
    /// The agreed normalisers.
    pub normalisers: Vec<String>,
    /// The agreed digest after the normalisers.
    pub normalised: Option<Sha256>,
    /// SHA-256 of the rebuilt file, when all who agree built the same bytes.
    pub rebuilt: Option<Sha256>,
    /// Authorities that found the agreed value, ascending.
    pub agreed_by: Vec<PublicKey>,
    /// Authorities that found anything else, ascending, with the digest of what they built, if they built the file.
    pub dissent: Vec<(PublicKey, Option<Sha256>)>,
}

/// What a round found about one release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The release.
    pub coordinates: Coordinates,
    /// The round that found it.
    pub round: RoundKey,
    /// Index of this verdict's leaf in the log.
    pub index: u64,
    /// Native or upstream.
    pub mode: Mode,
    /// The headline: the weakest of the POM and the main artifact.
    pub state: VerdictState,
    /// Each file, ascending by name; empty for a failed build.
    pub files: Vec<FileVerdict>,
    /// Where the source is.
    pub repository: CanonicalRepository,
    /// The commit.
    pub commit: CommitId,
    /// The tag, if the request named one.
    pub tag: Option<String>,
    /// Digest of the specification.
    pub specification: Sha256,
    /// Digest of the builder image.
    pub image: Sha256,
    /// Merkle root of the input manifest; `None` when no manifest could be recorded.
    pub inputs_root: Option<Sha256>,
    /// Hash of the output list: of `files`, see [`outputs_root`].
    pub outputs_root: Sha256,
    /// SHA-256 of the source tree, when a quorum attested the same.
    pub source_tree: Option<Sha256>,
    /// Authorities that had to agree.
    pub threshold: u32,
    /// Members of the committee.
    pub committee_size: u32,
}

impl Verdict {
    /// Whether the committee was too small to tolerate a single liar; such a verdict is never shown as a quorum's.
    pub fn is_self_verified(&self) -> bool {
        self.threshold == self.committee_size
    }

    /// The verdict on one file.
    pub fn file(&self, name: &str) -> Option<&FileVerdict> {
        self.files.iter().find(|file| file.name == name)
    }

    /// The leaf: everything but the files, for which `outputs_root` stands.
    pub fn leaf(&self) -> VerdictLeaf {
        VerdictLeaf {
            coordinates: self.coordinates.clone(),
            round: self.round,
            index: self.index,
            mode: self.mode,
            state: self.state,
            repository: self.repository.clone(),
            commit: self.commit.clone(),
            tag: self.tag.clone(),
            specification: self.specification,
            image: self.image,
            inputs_root: self.inputs_root,
            outputs_root: self.outputs_root,
            source_tree: self.source_tree,
            threshold: self.threshold,
            committee_size: self.committee_size,
        }
    }

    /// The verdict of a leaf and its output list. `None` if the list is not the one that the leaf names.
    pub fn from_leaf(leaf: &VerdictLeaf, files: Vec<FileVerdict>) -> Option<Self> {
        let leaf = leaf.clone();
        (outputs_root(&files) == leaf.outputs_root).then_some(Self {
            coordinates: leaf.coordinates,
            round: leaf.round,
            index: leaf.index,
            mode: leaf.mode,
            state: leaf.state,
            files,
            repository: leaf.repository,
            commit: leaf.commit,
            tag: leaf.tag,
            specification: leaf.specification,
            image: leaf.image,
            inputs_root: leaf.inputs_root,
            outputs_root: leaf.outputs_root,
            source_tree: leaf.source_tree,
            threshold: leaf.threshold,
            committee_size: leaf.committee_size,
        })
    }
}

/// Hash of an output list: the Merkle root over the canonical bytes of each file's verdict, and their number.
pub fn outputs_root(files: &[FileVerdict]) -> Sha256 {
    let leaves: Vec<Sha256> = files.iter().map(|file| pyrsia_merkle::leaf_hash(&encode(file))).collect();
    let count = (files.len() as u64).to_le_bytes();
    Sha256::of(&framed(&[b"pyrsia-maven/outputs/v1", &count, pyrsia_merkle::root(&leaves).as_bytes()]))
}

/// The headline of a release: the weakest state among the POM and the main artifact. A file that upstream does not have
/// takes no part; without any headline file nothing was agreed.
pub(crate) fn headline(coordinates: &Coordinates, files: &[FileVerdict]) -> VerdictState {
    files
        .iter()
        .filter(|file| is_headline(coordinates, &file.name) && file.outcome != Some(Outcome::Extra))
        .map(|file| file.state)
        .min_by_key(|state| state.strength())
        .unwrap_or(VerdictState::Disputed)
}
