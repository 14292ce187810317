//! What a comparison answers.

use std::fmt;
use std::str::FromStr;

use pyrsia_digest::Sha256;
use serde::{Deserialize, Serialize};

/// The result of comparing a rebuilt file with its reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// The verdict.
    pub outcome: Outcome,
    /// The normalisers that had to be applied, sorted; empty unless equivalent.
    pub normalisers: Vec<Normaliser>,
    /// Digest of the normalised content (see [`crate::normalised_digest`]); present exactly when equivalent, and
    /// then equal for both files.
    pub normalised: Option<Sha256>,
    /// What differs: real differences first, then what normalisers removed.
    pub differences: Vec<Difference>,
    /// How many further differences were found but not described, because of [`crate::Limits::max_differences`].
    pub omitted: u64,
    /// The entries in numbers; present if both files are archives of different bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<EntryCounts>,
}

/// What became of the entries of two archives; a nested archive is one entry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct EntryCounts {
    /// Entries with the same content.
    pub same: u64,
    /// Entries with the same content after normalisers.
    pub normalised: u64,
    /// Entries with different content.
    pub different: u64,
    /// Entries of the rebuilt archive only.
    pub only_in_rebuilt: u64,
    /// Entries of the reference only.
    pub only_in_reference: u64,
}

impl fmt::Display for EntryCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} entries have the same content", self.same)?;
        let parts = [
            (self.normalised, "after normalisers"),
            (self.different, "differ"),
            (self.only_in_rebuilt, "in the rebuilt file only"),
            (self.only_in_reference, "in the reference only"),
        ];
        parts.iter().filter(|(count, _)| *count > 0).try_for_each(|(count, text)| write!(f, ", {count} {text}"))
    }
}

/// How a rebuilt file relates to its reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Bit for bit the same.
    Identical,
    /// The same after the named normalisers.
    Equivalent,
    /// Not the same.
    Different,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Identical => "identical",
            Self::Equivalent => "equivalent",
            Self::Different => "different",
        })
    }
}

/// One place where the files differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Path of the entry, nested ones as `lib/a.jar!/x`, cut after 512 characters; empty for the file itself.
    pub path: String,
    /// What sort of difference it is.
    pub kind: DifferenceKind,
    /// Where in the file: a manifest's attribute, a key, a line, a member of a class; `None` for the file as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// One sentence for a person; values stand as "rebuilt vs reference".
    pub explanation: String,
    /// The normaliser that removes this difference; `None` for a real one.
    pub normaliser: Option<Normaliser>,
}

/// Sorts of differences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DifferenceKind {
    /// The entry is in the rebuilt archive only.
    OnlyInRebuilt,
    /// The entry is in the reference archive only.
    OnlyInReference,
    /// One file is an archive and the other is not.
    FileType,
    /// A manifest attribute.
    Manifest,
    /// A key of a properties file.
    Properties,
    /// A line of text.
    Text,
    /// A class file.
    Class,
    /// Other bytes.
    Binary,
    /// A signature file or the digests that belong to it.
    Signature,
    /// A nested archive that is not opened.
    Archive,
    /// What the archive records about its entries: order, times, modes and the like.
    ArchiveMetadata,
}

macro_rules! normalisers {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// A rule that removes differences without meaning. The text form is stable; rules only ever change
        /// together with [`crate::COMPARATOR_VERSION`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Normaliser {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)+
        }

        impl Normaliser {
            /// All normalisers, sorted by name.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

normalisers! {
    /// In `git.properties`: comment lines, line order and ends, and the keys of [`crate::GIT_BUILD_KEYS`].
    GitPropertiesBuild = "git-properties-build",
    /// Signature files in `META-INF` and the digest attributes in the manifest that belong to them.
    JarSignatures = "jar-signatures",
    /// Order of attributes in a manifest section, and of sections.
    ManifestAttributeOrder = "manifest-attribute-order",
    /// Attributes of the manifest's main section that record who, when and with what a JAR was built:
    /// [`crate::BUILD_METADATA_ATTRIBUTES`].
    ManifestBuildAttributes = "manifest-build-attributes",
    /// Line ends, wrapping, blank lines and letter case of attribute names in a manifest.
    ManifestFormat = "manifest-format",
    /// Order of the clauses in values of [`crate::UNORDERED_VALUE_ATTRIBUTES`].
    ManifestValueOrder = "manifest-value-order",
    /// Comment lines in `META-INF/maven/*/*/pom.properties`.
    PomPropertiesComment = "pom-properties-comment",
    /// Line ends and spacing in `META-INF/maven/*/*/pom.properties`.
    PomPropertiesFormat = "pom-properties-format",
    /// Order of the keys in `META-INF/maven/*/*/pom.properties`.
    PomPropertiesOrder = "pom-properties-order",
    /// CRLF for LF in a POM: an XML processor never sees the difference
    /// ([XML 1.0, 2.11](https://www.w3.org/TR/xml/#sec-line-ends)).
    XmlLineEndings = "xml-line-endings",
    /// Comments of entries and of the archive.
    ZipComments = "zip-comments",
    /// The same content compressed in another way.
    ZipCompression = "zip-compression",
    /// Order of the entries.
    ZipEntryOrder = "zip-entry-order",
    /// Extra fields of entries, except times.
    ZipExtraFields = "zip-extra-fields",
    /// Flags, data descriptors, versions, Zip64 forms: how the headers say what they say.
    ZipHeaders = "zip-headers",
    /// Modes and other attributes of entries.
    ZipModes = "zip-modes",
    /// Times of entries, those in extra fields included.
    ZipTimes = "zip-times",
}

impl fmt::Display for Normaliser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no normaliser of this version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no normaliser of this version")]
pub struct UnknownNormaliser(
    /// The text.
    pub String,
);

impl FromStr for Normaliser {
    type Err = UnknownNormaliser;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|normaliser| normaliser.as_str() == text)
            .ok_or_else(|| UnknownNormaliser(text.to_owned()))
    }
}
