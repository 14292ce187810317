//! The language of searches: terms that all hold, as Maven Central's search service takes them.

use maven_layout::{ArtifactId, Classifier, GroupId, Version};
use pyrsia_digest::Sha1;

/// Longest query, in bytes.
const LONGEST: usize = 1_024;
/// Most terms.
const TERMS: usize = 16;

/// What is looked for: everything that is given holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchQuery {
    /// `g`.
    pub group: Option<GroupId>,
    /// `a`.
    pub artifact: Option<ArtifactId>,
    /// `v`.
    pub version: Option<Version>,
    /// `p`: the extension of the main file.
    pub packaging: Option<String>,
    /// `l`.
    pub classifier: Option<Classifier>,
    /// `1`.
    pub sha1: Option<Sha1>,
    /// `c` or `fc`: a class in a JAR.
    pub class: Option<ClassQuery>,
    /// Words without a field: beginnings of words of the group or the artifact, in lower case, letters and digits only.
    pub words: Vec<String>,
}

/// A class, by its name (`Main`) or its full one (`org.acme.Main`), in any letter case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassQuery {
    /// The package, empty for a class without one; none: in any.
    pub package: Option<String>,
    /// The name in the package.
    pub name: String,
}

impl ClassQuery {
    fn parse(field: &'static str, text: &str) -> Result<Self, QueryError> {
        let is_name = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_');
        if !text.split('.').all(is_name) || (field == "c" && text.contains('.')) {
            let reason = format!("{text:?} is no name of a class; inner ones are not known");
            return Err(QueryError::Value { field, reason });
        }
        Ok(match text.rsplit_once('.') {
            Some((package, name)) => Self { package: Some(package.to_owned()), name: name.to_owned() },
            None => Self { package: (field == "fc").then(String::new), name: text.to_owned() },
        })
    }
}

/// Why a text is not a query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// Nothing is asked.
    #[error("the query names nothing to look for")]
    Empty,
    /// More than anybody types.
    #[error("a query has at most {LONGEST} bytes and {TERMS} terms")]
    TooLong,
    /// A field that is none of these.
    #[error("{0:?} is not a field: g, a, v, p, l, 1, c and fc are")]
    Field(String),
    /// A field with two values.
    #[error("the field {0} is named twice")]
    Twice(&'static str),
    /// A value that its field cannot have.
    #[error("{field}: {reason}")]
    Value {
        /// The field.
        field: &'static str,
        /// What is wrong with the value.
        reason: String,
    },
    /// A quotation without an end.
    #[error("a quotation mark has no second one")]
    Quotation,
    /// Something else that Lucene's language has.
    #[error("{0:?} is not understood: terms are joined by AND or by spaces, and a value is a whole one")]
    Syntax(String),
    /// No term by which anything can be found.
    #[error("a version, packaging or classifier alone finds nothing: name a group, an artifact or a word too")]
    TooWide,
}

impl std::str::FromStr for SearchQuery {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, QueryError> {
        if text.len() > LONGEST {
            return Err(QueryError::TooLong);
        }
        let mut query = Self::default();
        let mut rest = text.trim_start();
        let mut everything = false;
        for number in 0.. {
            if rest.is_empty() {
                break;
            }
            if number == TERMS {
                return Err(QueryError::TooLong);
            }
            let (term, after) = term(rest)?;
            rest = after.trim_start();
            match term {
                Term { field: None, value: "AND", quoted: false } => {}
                Term { field: Some("*"), value: "*", quoted: false } => everything = true,
                term => query.add(term)?,
            }
        }
        if everything || query.finds_something() {
            return Ok(query);
        }
        Err(if query == Self::default() { QueryError::Empty } else { QueryError::TooWide })
    }
}

impl SearchQuery {
    fn finds_something(&self) -> bool {
        self.group.is_some()
            || self.artifact.is_some()
            || self.sha1.is_some()
            || self.class.is_some()
            || !self.words.is_empty()
    }

    fn add(&mut self, term: Term<'_>) -> Result<(), QueryError> {
        let value = term.value;
        if !term.quoted && value.contains(['*', '?', '~', '(', ')', '[', ']', '{', '}', '^', '!', '\\', '|']) {
            return Err(QueryError::Syntax(value.to_owned()));
        }
        match term.field {
            None => {
                if !term.quoted && matches!(value, "OR" | "NOT") || value.starts_with(['-', '+']) {
                    return Err(QueryError::Syntax(value.to_owned()));
                }
                let words = value.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
                self.words.extend(words.map(str::to_lowercase));
                if self.words.len() > TERMS { Err(QueryError::TooLong) } else { Ok(()) }
            }
            Some("g") => set("g", &mut self.group, value),
            Some("a") => set("a", &mut self.artifact, value),
            Some("v") => set("v", &mut self.version, value),
            Some("p") => set("p", &mut self.packaging, value),
            Some("l") => set("l", &mut self.classifier, value),
            Some("1") => set("1", &mut self.sha1, &value.to_ascii_lowercase()),
            Some("c") => self.set_class("c", value),
            Some("fc") => self.set_class("fc", value),
            Some(other) => Err(QueryError::Field(other.chars().take(40).collect())),
        }
    }
}

impl SearchQuery {
    fn set_class(&mut self, field: &'static str, value: &str) -> Result<(), QueryError> {
        if self.class.is_some() {
            return Err(QueryError::Twice(field));
        }
        self.class = Some(ClassQuery::parse(field, value)?);
        Ok(())
    }
}

fn set<T: std::str::FromStr<Err: std::fmt::Display>>(
    field: &'static str,
    place: &mut Option<T>,
    value: &str,
) -> Result<(), QueryError> {
    if place.is_some() {
        return Err(QueryError::Twice(field));
    }
    *place = Some(value.parse().map_err(|error: T::Err| QueryError::Value { field, reason: error.to_string() })?);
    Ok(())
}

struct Term<'a> {
    field: Option<&'a str>,
    value: &'a str,
    quoted: bool,
}

/// The first term of a text that has one, and what follows.
fn term(text: &str) -> Result<(Term<'_>, &str), QueryError> {
    let end = |text: &str| text.find(char::is_whitespace).unwrap_or(text.len());
    let (field, rest) = match text.find([':', '"']).filter(|at| *at < end(text)) {
        Some(at) if text[at..].starts_with(':') => (Some(&text[..at]), &text[at + 1..]),
        _ => (None, text),
    };
    if let Some(quoted) = rest.strip_prefix('"') {
        let (value, after) = quoted.split_once('"').ok_or(QueryError::Quotation)?;
        return Ok((Term { field, value, quoted: true }, after));
    }
    let (value, after) = rest.split_at(end(rest));
    if value.contains('"') {
        return Err(QueryError::Syntax(value.chars().take(40).collect()));
    }
    Ok((Term { field, value, quoted: false }, after))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<SearchQuery, QueryError> {
        text.parse()
    }

    #[test]
    fn the_terms_of_the_clients() {
        let query = parse("g:org.acme AND a:\"lib\" AND v:1.0 AND p:jar AND l:sources").unwrap();
        let expected = SearchQuery {
            group: Some("org.acme".parse().unwrap()),
            artifact: Some("lib".parse().unwrap()),
            version: Some("1.0".parse().unwrap()),
            packaging: Some("jar".to_owned()),
            classifier: Some("sources".parse().unwrap()),
            ..SearchQuery::default()
        };
        assert_eq!(query, expected);
        assert_eq!(parse("  Guice  \"no_aop\" ").unwrap().words, ["guice", "no", "aop"]);
        let sha1 = "35379FB6526FD019F331542B4E9AE2E566C57933";
        assert_eq!(parse(&format!("1:\"{sha1}\"")).unwrap().sha1.unwrap().to_string(), sha1.to_lowercase());
        let class = |package: Option<&str>, name: &str| {
            Some(ClassQuery { package: package.map(str::to_owned), name: name.to_owned() })
        };
        assert_eq!(parse("fc:org.acme.Main").unwrap().class, class(Some("org.acme"), "Main"));
        assert_eq!(parse("fc:\"Main\"").unwrap().class, class(Some(""), "Main"));
        assert_eq!(parse("c:Main AND g:org.acme").unwrap().class, class(None, "Main"));
        assert_eq!(parse("*:*").unwrap(), SearchQuery::default());
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (text, expected) in [
            ("", QueryError::Empty),
            ("   ", QueryError::Empty),
            ("AND", QueryError::Empty),
            ("--", QueryError::Syntax("--".to_owned())),
            ("v:1.0", QueryError::TooWide),
            ("x:1", QueryError::Field("x".to_owned())),
            (":1", QueryError::Field(String::new())),
            ("g:a AND g:b", QueryError::Twice("g")),
            ("a:lib*", QueryError::Syntax("lib*".to_owned())),
            ("(g:a OR g:b)", QueryError::Field("(g".to_owned())),
            ("lib OR core", QueryError::Syntax("OR".to_owned())),
            ("-lib", QueryError::Syntax("-lib".to_owned())),
            ("\"lib", QueryError::Quotation),
            ("g:\"lib", QueryError::Quotation),
            ("li\"b", QueryError::Syntax("li\"b".to_owned())),
        ] {
            assert_eq!(parse(text), Err(expected), "{text:?}");
        }
        assert!(matches!(parse("1:123"), Err(QueryError::Value { field: "1", .. })));
        for bad in ["c:org.acme.Main", "c:Main$Inner", "fc:.Main", "fc:org/acme/Main", "c:\"\"", "c:ma-in"] {
            assert!(matches!(parse(bad), Err(QueryError::Value { .. })), "{bad}");
        }
        assert_eq!(parse("c:Main fc:org.acme.Main"), Err(QueryError::Twice("fc")));
        assert!(matches!(parse("g:../x"), Err(QueryError::Value { field: "g", .. })));
        assert_eq!(parse(&"x ".repeat(20)), Err(QueryError::TooLong));
        assert_eq!(parse(&"x".repeat(2_000)), Err(QueryError::TooLong));
        assert_eq!(parse(&format!("\"{}\"", "x-".repeat(20))), Err(QueryError::TooLong));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,80}") {
            let _ = parse(&text);
        }

        #[test]
        fn nor_does_one_of_the_right_letters(text in "[gavl1cf:\"* AND-]{0,40}") {
            if let Ok(query) = parse(&text) {
                prop_assert!(query.words.iter().all(|word| word.chars().all(char::is_alphanumeric)));
            }
        }
    }
}
