//! The layout of a Maven repository, as types and pure functions.
//!
//! What a coordinate, a version, a repository path, a checksum file name, a `maven-metadata.xml`, a list of prefixes, a
//! POM and a source address *are*, so that every other crate parses once at its edge and then passes values that cannot be
//! wrong. The descriptions followed are Maven's own:
//! [repository layout](https://maven.apache.org/repository/layout.html),
//! [version order](https://maven.apache.org/pom.html#version-order-specification),
//! [repository metadata](https://maven.apache.org/ref/3.9.11/maven-repository-metadata/repository-metadata.html),
//! [prefixes](https://maven.apache.org/resolver/remote-repository-filtering.html),
//! [POMs](https://maven.apache.org/pom.html),
//! [SCM addresses](https://maven.apache.org/scm/scm-url-format.html).
//!
//! Invariants:
//! - a value of a name type holds only the characters and the length its type allows: there is no other way to make
//!   one, and `parse(print(x)) = x`;
//! - a [`RepoPath`] stays inside the directory it is joined to, on every platform;
//! - two versions with different text are different [`Version`]s, even where Maven ranks them as the same
//!   (`1` and `1.0` are two directories);
//! - coordinates and paths lead to each other: [`ArtifactRef::from_path`] is the inverse of [`ArtifactRef::path`] but for
//!   classifiers with dots, which a path does not tell from extensions;
//! - no function panics on any input, and none needs more memory than a small multiple of its input (`tests/fuzz` tries);
//! - XML is read within limits of size, depth and element count; a document type declaration, an entity beyond the
//!   five predefined ones and an encoding that we do not read are errors, never ignored;
//! - [`scm::canonical`] is a rule of the network: it changes only together with [`scm::SCM_RULES_VERSION`].
//!
//! What is not here: files, network, clock, randomness, logging, host names of any registry; profiles, settings and
//! everything else that makes an effective POM ([`pom::Lineage`] resolves what POMs tell by themselves, to fetch ahead; the
//! rest is the build tool's business); JAR contents (`jar-compare`).

pub mod archetypes;
pub mod bindings;
mod coordinates;
mod file_name;
pub mod metadata;
mod names;
mod path;
pub mod pom;
pub mod prefixes;
pub mod scm;
pub mod settings;
pub mod superpom;
mod text;
pub mod version;
mod xml;

pub use coordinates::{ArtifactRef, CoordinateError, Coordinates};
pub use file_name::FileName;
pub use metadata::Metadata;
pub use names::{ArtifactId, Classifier, Extension, GroupId, NameError};
pub use path::{MetadataLevel, PathError, PathKind, RepoPath};
pub use pom::{Pom, PomError};
pub use prefixes::{Prefixes, PrefixesError};
pub use pyrsia_digest::ChecksumAlgorithm;
pub use scm::{CanonicalRepository, ScmError};
pub use settings::Settings;
pub use version::Version;
pub use xml::XmlError;
