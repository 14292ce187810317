//! Typed comparison of a rebuilt file with its reference (JAR, ZIP, POM or any other file).
//!
//! [`compare`] takes the bytes of both and answers [`Outcome::Identical`], [`Outcome::Equivalent`] with the names
//! of the [`Normaliser`]s that had to be applied, or [`Outcome::Different`] with explanations that a person reads.
//! The three are never merged.
//!
//! Invariants:
//! - Identical means equal bytes, nothing less; two files of equal bytes are identical whatever is in them.
//! - Everything that is ignored has a name: an equivalent result lists at least one normaliser, and the list is
//!   minimal (an aspect in which both files agree is not on it).
//! - Archives are read strictly, by an own parser of the
//!   [ZIP format](https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT). An archive that two readers could
//!   understand in two ways is refused before anything in it is expanded; see [`ArchiveError`] for the list.
//! - No normaliser removes what a class loader, a JVM or an unpacker would see: order does not count, but whether the
//!   manifest is where streams look for it does; compression does not, but whether a nested archive is stored does;
//!   a manifest that a JVM might read in another way than this crate is compared byte for byte.
//! - [`Directory`] tells the names in an archive, by its end and its central directory alone.
//! - No input panics; memory and time are bounded by [`Limits`].
//! - The digest of the normalised content ([`Comparison::normalised`]) is a function of one file's bytes, the
//!   limits and [`COMPARATOR_VERSION`] alone, never of the file that it was compared with. Two files are equivalent
//!   exactly when these digests are equal.
//!
//! What is not here: files, clocks, threads, the network, and any opinion on whether an equivalent file is good
//! enough.

mod canonical;
mod class;
mod compare;
mod contents;
mod error;
mod findings;
mod limits;
mod listing;
mod manifest;
mod manifest_diff;
mod metadata;
mod model;
mod properties;
mod rules;
mod text;
mod zip;

pub use canonical::normalised_digest;
pub use compare::compare;
pub use error::{ArchiveError, CompareError, Side};
pub use limits::Limits;
pub use listing::{Listed, Listing, LocalTime, class_major, main_attributes};
pub use model::{Comparison, Difference, DifferenceKind, EntryCounts, Normaliser, Outcome, UnknownNormaliser};
pub use rules::{BUILD_METADATA_ATTRIBUTES, GIT_BUILD_KEYS, UNORDERED_VALUE_ATTRIBUTES};
pub use zip::Directory;

/// Version of the rules of this crate. It rises whenever some pair of files would get another outcome, other
/// normalisers or another normalised digest than before; builders agree on it before they build.
pub const COMPARATOR_VERSION: u32 = 2;
