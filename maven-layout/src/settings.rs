//! The part of Maven's `settings.xml` that tells where artifacts come from and where they are kept.
//!
//! [Settings reference](https://maven.apache.org/settings.html). Servers, passwords and profiles are not read at all.

use crate::xml::{self, XmlError};

/// What a `settings.xml` says, as written. Values may hold expressions such as `${user.home}`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// `localRepository`.
    pub local_repository: Option<String>,
    /// `mirrors`, in document order.
    pub mirrors: Vec<Mirror>,
}

/// One `<mirror>`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mirror {
    /// `id`.
    pub id: String,
    /// `mirrorOf`: ids, `*`, `external:*`, `external:http:*`, exclusions with `!`, separated by commas.
    pub mirror_of: String,
    /// `url`.
    pub url: String,
    /// `blocked`: requests to what is mirrored fail.
    pub blocked: bool,
}

/// Reads a `settings.xml`.
///
/// # Errors
/// See [`XmlError`].
pub fn parse(bytes: &[u8]) -> Result<Settings, XmlError> {
    let settings = xml::parse(bytes, "settings")?;
    let mirrors = settings.child("mirrors").map(|mirrors| {
        mirrors
            .all("mirror")
            .map(|mirror| {
                let own = |name| mirror.text_of(name).unwrap_or_default().to_owned();
                Mirror {
                    id: own("id"),
                    mirror_of: own("mirrorOf"),
                    url: own("url"),
                    blocked: mirror.text_of("blocked").is_some_and(|text| text.eq_ignore_ascii_case("true")),
                }
            })
            .collect()
    });
    Ok(Settings {
        local_repository: settings.text_of("localRepository").map(str::to_owned),
        mirrors: mirrors.unwrap_or_default(),
    })
}

impl Settings {
    /// The mirror that Maven would use for the repository with the id `central`, an external https repository.
    ///
    /// As Maven chooses: a mirror of exactly `central` first, then the first whose pattern matches. The mirror may be
    /// [blocked](Mirror::blocked), and its URL may hold expressions.
    pub fn mirror_of_central(&self) -> Option<&Mirror> {
        self.mirrors
            .iter()
            .find(|mirror| mirror.mirror_of == CENTRAL)
            .or_else(|| self.mirrors.iter().find(|mirror| mirror.matches_central()))
    }
}

const CENTRAL: &str = "central";

impl Mirror {
    /// Maven's pattern rules for a repository `central` at an external https address: an exact id or its exclusion
    /// decides at once; a wildcard counts unless a later exclusion names the repository.
    fn matches_central(&self) -> bool {
        let mut matched = false;
        for pattern in self.mirror_of.split(',').map(str::trim) {
            match pattern {
                CENTRAL => return true,
                _ if pattern.strip_prefix('!') == Some(CENTRAL) => return false,
                "*" | "external:*" => matched = true,
                _ => {}
            }
        }
        matched
    }
}

#[cfg(test)]
mod tests;
