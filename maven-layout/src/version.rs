//! Versions and Maven's order of them.
//!
//! [`compare`] is Maven 3.9's `ComparableVersion`
//! ([version order specification](https://maven.apache.org/pom.html#version-order-specification)), checked against
//! that class itself. It has two traps:
//!
//! - different texts can rank the same (`1`, `1.0`, `1-final`), and yet are different directories of a repository;
//! - it is no order: it has cycles, such as `1` < `1.a.1` < `1-alpha` < `1`. A sort that is given such a comparison
//!   may panic, and an ordered map may lose keys, both at the will of whoever names a version.
//!
//! So [`Version`] is equal by text, and its `Ord` is a lawful order that departs from Maven's only where that is
//! caught in a cycle, or where it calls two texts the same (then the text decides).

mod comparable;
mod number;

use std::cmp::Ordering;

use crate::metadata::Snapshot;
use crate::names::{self, Dots, NameError, VERSION_LIMIT};
use crate::text::text_type;

use comparable::Comparable;

fn check(text: &str) -> Result<(), NameError> {
    names::check("version", text, VERSION_LIMIT, b"+~", Dots::Inside)
}

text_type! {
    /// A version such as `1.0-rc1`: at most 100 bytes of `[A-Za-z0-9_.+~-]`, neither `.` nor `..`.
    ///
    /// Equal by text: `1` and `1.0` differ. `Ord` is described at [`crate::version`].
    Version, NameError, check
}

impl Version {
    /// How Maven ranks the two: exactly `ComparableVersion`, so possibly `Equal` for different texts, and not
    /// transitive. For sorting use `Ord`.
    pub fn compare_as_maven(&self, other: &Version) -> Ordering {
        compare(self.as_str(), other.as_str())
    }

    /// Whether this is a snapshot: `…SNAPSHOT`, or a timestamped one such as `1.0-20261122.072715-2`.
    pub fn is_snapshot(&self) -> bool {
        self.as_str().ends_with("SNAPSHOT") || self.split_timestamped().is_some()
    }

    /// The version that names the directory: `1.0-SNAPSHOT` for `1.0-20261122.072715-2`, otherwise the same.
    pub fn base(&self) -> Version {
        match self.split_timestamped() {
            Some(prefix) if prefix.len() + "SNAPSHOT".len() <= VERSION_LIMIT => Version(format!("{prefix}SNAPSHOT")),
            _ => self.clone(),
        }
    }

    /// The build that a timestamped snapshot is: for `1.0-20261122.072715-2` the second, of that time.
    ///
    /// `None` for every other version, and where the build's number has leading zeros or does not fit: no
    /// [`Snapshot`] could be printed as that.
    pub fn snapshot_build(&self) -> Option<Snapshot> {
        let prefix = self.split_timestamped()?;
        let (timestamp, number) = self.as_str().get(prefix.len()..)?.split_once('-')?;
        let build_number: u32 = number.parse().ok()?;
        (build_number.to_string() == number).then(|| Snapshot { timestamp: timestamp.to_owned(), build_number })
    }

    /// The timestamped version of one build of this snapshot: `1.0-20261122.072715-2` for `1.0-SNAPSHOT`.
    ///
    /// `None` if this is no `…-SNAPSHOT`, if the timestamp is none, and if the result is longer than a version may be.
    /// Otherwise [`Version::base`] and [`Version::snapshot_build`] give the two back.
    pub fn with_build(&self, build: &Snapshot) -> Option<Version> {
        let prefix = self.as_str().strip_suffix("SNAPSHOT").filter(|prefix| prefix.len() > 1)?;
        let version: Version = format!("{prefix}{}-{}", build.timestamp, build.build_number).parse().ok()?;
        (version.base() == *self && version.snapshot_build().as_ref() == Some(build)).then_some(version)
    }

    /// What stands before the timestamp of a timestamped snapshot, its hyphen included.
    fn split_timestamped(&self) -> Option<&str> {
        let text = self.as_str();
        text.match_indices('-').map(|(hyphen, _)| text.split_at(hyphen + 1)).find_map(|(prefix, rest)| {
            split_timestamp(rest).filter(|(_, tail)| tail.is_empty() && prefix.len() > 1).map(|_| prefix)
        })
    }
}

/// Splits `20261122.072715-2.jar` into `20261122.072715-2` and `.jar`; `None` if it does not begin so.
pub(crate) fn split_timestamp(text: &str) -> Option<(&str, &str)> {
    const DATE: usize = 8;
    const TIME: usize = 6;
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let rest = (digits(text) == DATE).then(|| &text[DATE..])?.strip_prefix('.')?;
    let rest = (digits(rest) == TIME).then(|| &rest[TIME..])?.strip_prefix('-')?;
    let build = digits(rest);
    (build > 0).then(|| text.split_at(DATE + 1 + TIME + 1 + build))
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        if self == other {
            return Ordering::Equal;
        }
        let (left, right) = (Comparable::parse(self.as_str()), Comparable::parse(other.as_str()));
        left.cmp_lawfully(&right).then_with(|| self.as_str().cmp(other.as_str()))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Sorted as `Ord` has it, without duplicates; each version is taken apart only once.
pub(crate) fn sorted(versions: impl IntoIterator<Item = Version>) -> Vec<Version> {
    let mut keyed: Vec<(Comparable, Version)> =
        versions.into_iter().map(|version| (Comparable::parse(version.as_str()), version)).collect();
    keyed.sort_by(|(left, left_version), (right, right_version)| {
        left.cmp_lawfully(right).then_with(|| left_version.as_str().cmp(right_version.as_str()))
    });
    keyed.dedup_by(|(_, left), (_, right)| left == right);
    keyed.into_iter().map(|(_, version)| version).collect()
}

/// How Maven 3.9 ranks two versions, whatever the texts are.
///
/// Exact for all texts but those where a capital sigma stands beside other letters: Java finds the end of a word, at which
/// its lower case differs, by rules of its own. Not transitive, see the [module](self); never hand it to a sort. Takes time and memory linear in
/// the length of the texts.
pub fn compare(left: &str, right: &str) -> Ordering {
    Comparable::parse(left).cmp_as_maven(&Comparable::parse(right))
}

#[cfg(test)]
mod tests;
