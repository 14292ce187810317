//! Why a text is not read.

/// A text is refused, at a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {kind}")]
pub struct Refusal {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub kind: RefusalKind,
}

/// What is wrong with a line. Texts out of the file are cut to a few words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefusalKind {
    /// The file is longer than any specification, or its values grow without bound.
    #[error("more than a specification may have: {0}")]
    TooMuch(&'static str),
    /// A quote, a brace or a parenthesis is not closed, or a character has a meaning that is not read.
    #[error("{0}")]
    Syntax(String),
    /// Something else than an assignment.
    #[error("`{0}` is no assignment; nothing in a specification is executed")]
    Statement(String),
    /// A variable that was not assigned before.
    #[error("the variable `{0}` has not been assigned before")]
    Variable(String),
    /// A parameter expansion beyond the usual ones.
    #[error("the expansion `${{{0}}}` is not among those that are read")]
    Expansion(String),
    /// A command substitution that does not begin with `echo`.
    #[error("`{0}` would have to be executed; only `echo` with `sed`, `tr` and `cut` is computed")]
    Substitution(String),
    /// A filter, or a form of one, that is not computed.
    #[error("`{0}` is not among the forms of `sed`, `tr` and `cut` that are computed")]
    Filter(String),
    /// A field that has to be there is missing or empty.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A field has a value that it cannot have.
    #[error("`{field}`: {problem}")]
    Field {
        /// The field.
        field: &'static str,
        /// What is wrong with its value.
        problem: String,
    },
}

impl RefusalKind {
    /// One word for the kind, for counting.
    pub fn name(&self) -> &'static str {
        match self {
            Self::TooMuch(_) => "too-much",
            Self::Syntax(_) => "syntax",
            Self::Statement(_) => "statement",
            Self::Variable(_) => "variable",
            Self::Expansion(_) => "expansion",
            Self::Substitution(_) => "substitution",
            Self::Filter(_) => "filter",
            Self::Missing(_) => "missing",
            Self::Field { .. } => "field",
        }
    }
}

/// The beginning of a text, for a message.
pub(crate) fn excerpt(text: &str) -> String {
    const MOST: usize = 60;
    let line = text.lines().next().unwrap_or_default();
    let cut: String = line.chars().filter(|c| !c.is_control()).take(MOST).collect();
    if cut.len() < line.len() { format!("{cut}...") } else { cut }
}
