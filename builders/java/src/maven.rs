//! Maven's own distributions, pinned.
//!
//! A distribution is an input like any other (fetched through [`build_spec::Inputs`], one line of the manifest), with
//! one difference: what it must be is written here, so no upstream can hand a build another Maven.

use std::str::FromStr;

use maven_layout::RepoPath;
use pyrsia_digest::{FileDigests, Sha512};

/// Version of the plugin that puts what a build attached into the sandbox's local repository. It is part of how
/// outputs are found, so a change of it is a change of the builder, not of a specification.
pub const INSTALL_GOAL: &str = "org.apache.maven.plugins:maven-install-plugin:3.1.2:install";

/// Version and SHA-512 of `apache-maven-VERSION-bin.tar.gz`, as published beside it.
const DISTRIBUTIONS: &[(&str, &str)] = &[
    (
        "3.6.3",
        "c35a1803a6e70a126e80b2b3ae33eed961f83ed74d18fcd16909b2d44d7dada3203f1ffe726c17ef8dcca2dcaa9fca676987befeadc9b9f759967a8cb77181c0",
    ),
    (
        "3.8.8",
        "332088670d14fa9ff346e6858ca0acca304666596fec86eea89253bd496d3c90deae2be5091be199f48e09d46cec817c6419d5161fb4ee37871503f472765d00",
    ),
    (
        "3.9.9",
        "a555254d6b53d267965a3404ecb14e53c3827c09c3b94b5678835887ab404556bfaf78dcfe03ba76fa2508649dca8531c74bca4d5846513522404d48e8c4ac8b",
    ),
    (
        "3.9.11",
        "bcfe4fe305c962ace56ac7b5fc7a08b87d5abd8b7e89027ab251069faebee516b0ded8961445d6d91ec1985dfe30f8153268843c89aa392733d1a3ec956c9978",
    ),
    (
        "3.9.16",
        "831a8591fe20c8243b1dbe7d71e3244f31d1665b0804b2e825e38cbbe5ce0cafb8338851f90780735568773e0a6cd07bbec107cda0b896b008b861075358b6f6",
    ),
];

/// A distribution of Maven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution {
    /// Its version.
    pub version: &'static str,
    /// Where it lies in the default repository.
    pub path: RepoPath,
    /// What the file at that path must be.
    pub sha512: Sha512,
}

impl Distribution {
    /// The distribution of this version, if it is one of those that are pinned here.
    pub fn of(version: &str) -> Option<Self> {
        let (version, sha512) = DISTRIBUTIONS.iter().find(|(known, _)| *known == version)?;
        let path = format!("org/apache/maven/apache-maven/{version}/apache-maven-{version}-bin.tar.gz");
        Some(Self { version, path: RepoPath::from_str(&path).ok()?, sha512: sha512.parse().ok()? })
    }

    /// Whether these are the digests of the pinned file.
    pub fn is(&self, digests: &FileDigests) -> bool {
        digests.sha512 == self.sha512
    }
}

/// All versions that can be asked for, oldest first.
pub fn versions() -> impl Iterator<Item = &'static str> {
    DISTRIBUTIONS.iter().map(|(version, _)| *version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_is_well_formed() {
        for version in versions() {
            let distribution = Distribution::of(version).unwrap_or_else(|| panic!("{version} has a bad row"));
            assert!(distribution.path.as_str().contains(version));
            assert!(!distribution.is(&FileDigests::of(b"something else")));
        }
        assert_eq!(Distribution::of("3.6.2"), None);
    }
}
