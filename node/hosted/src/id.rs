//! Names of repositories.

/// Longest name.
const LONGEST: usize = 64;

/// The name of a hosted repository: part of its address and the name of its folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryId(String);

/// Why a text is not the name of a repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no name of a repository: 1 to {LONGEST} of a-z, 0-9, `.`, `_` and `-`, beginning with a letter or digit"
)]
pub struct IdError {
    /// The text.
    pub text: String,
}

impl RepositoryId {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for RepositoryId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let fine = text.len() <= LONGEST
            && text.bytes().next().is_some_and(letter)
            && text.bytes().all(|byte| letter(byte) || matches!(byte, b'.' | b'_' | b'-'));
        if fine { Ok(Self(text.to_owned())) } else { Err(IdError { text: text.to_owned() }) }
    }
}

impl std::fmt::Display for RepositoryId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for RepositoryId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folders_and_parts_of_addresses() {
        for good in ["releases", "team-a", "3rd_party.v2", &"a".repeat(64)] {
            assert_eq!(good.parse::<RepositoryId>().unwrap().to_string(), good);
        }
        for bad in ["", ".", "..", ".hidden", "-x", "a/b", "A", "a b", "ä", "a%2f", &"a".repeat(65)] {
            assert!(bad.parse::<RepositoryId>().is_err(), "{bad:?}");
        }
    }
}
