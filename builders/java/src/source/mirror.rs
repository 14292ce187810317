//! Where a canonical address is really cloned from.

use maven_layout::CanonicalRepository;

use crate::config::SourceMirror;

/// An address for git.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloneAddress {
    /// What git is given.
    pub url: String,
    /// Whether a rule of the source map made it. Such an address may have any scheme, an own one only https.
    pub mirrored: bool,
}

/// Applies the source map: the longest prefix that fits wins; without one the address is used as it is.
///
/// A prefix fits as text, as git's `insteadOf` does, so it should end with a slash.
pub fn clone_address(repository: &CanonicalRepository, mirrors: &[SourceMirror]) -> CloneAddress {
    mapped(repository.as_str(), mirrors)
}

/// The same for any address.
pub(crate) fn mapped(own: &str, mirrors: &[SourceMirror]) -> CloneAddress {
    let rule = mirrors
        .iter()
        .filter(|mirror| !mirror.prefix.is_empty() && own.starts_with(&mirror.prefix))
        .max_by_key(|mirror| mirror.prefix.len());
    match rule {
        Some(mirror) => {
            CloneAddress { url: format!("{}{}", mirror.replacement, &own[mirror.prefix.len()..]), mirrored: true }
        }
        None => CloneAddress { url: own.to_owned(), mirrored: false },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(prefix: &str, replacement: &str) -> SourceMirror {
        SourceMirror { prefix: prefix.to_owned(), replacement: replacement.to_owned() }
    }

    #[test]
    fn the_longest_prefix_wins() {
        let repository = maven_layout::scm::canonical("https://example.org/acme/lib").unwrap();
        let rules = [
            rule("https://example.org/", "file:///a/"),
            rule("https://example.org/acme/", "file:///b/"),
            rule("https://other.org/acme/lib/and/more", "file:///c/"),
            rule("", "file:///d/"),
        ];
        let mapped = clone_address(&repository, &rules);
        assert_eq!(mapped, CloneAddress { url: "file:///b/lib".to_owned(), mirrored: true });
        let own = clone_address(&repository, &rules[2..]);
        assert_eq!(own, CloneAddress { url: "https://example.org/acme/lib".to_owned(), mirrored: false });
    }
}
