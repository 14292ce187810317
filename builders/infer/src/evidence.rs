//! Why something was chosen.

use std::fmt;

/// One reason for one choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// What was chosen: a field of a specification, or `repository`, `tag`, `commit`.
    pub about: &'static str,
    /// What it speaks for.
    pub value: String,
    /// Where that was read.
    pub from: String,
}

impl Evidence {
    /// Evidence from texts of any origin, cut to a sane length.
    pub fn new(about: &'static str, value: impl AsRef<str>, from: impl AsRef<str>) -> Self {
        Self { about, value: shown(value.as_ref()), from: shown(from.as_ref()) }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.about, self.value, self.from)
    }
}

/// At most so many characters of any text that comes from outside.
const SHOWN: usize = 300;

/// Text on one line, without control characters, cut.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
