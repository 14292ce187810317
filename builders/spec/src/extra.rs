//! The single files that a specification names.

use maven_layout::RepoPath;

use crate::specification::{ExtraInput, MAX_LIST, MAX_TEXT, Specification, SpecificationError, field};

impl ExtraInput {
    /// Its place in the source, which is its path in a manifest.
    ///
    /// # Errors
    /// [`SpecificationError::Field`] for a path that leads out of the source or into its `.git`.
    pub fn place(&self) -> Result<RepoPath, SpecificationError> {
        let refused = |problem: String| field("input", format!("`path` must lie below the work directory: {problem}"));
        if self.path.len() > MAX_TEXT {
            return Err(refused("it is too long".to_owned()));
        }
        let place: RepoPath = self.path.parse().map_err(|error| refused(format!("{error}")))?;
        let hidden = place.segments().find(|part| part.eq_ignore_ascii_case(".git") || part.starts_with('-'));
        if let Some(part) = hidden {
            return Err(refused(format!("it may not have a part `{part}`")));
        }
        Ok(place)
    }
}

impl Specification {
    /// Checks the field `input`.
    pub(crate) fn check_inputs(&self) -> Result<(), SpecificationError> {
        if self.inputs.len() > MAX_LIST {
            return Err(field("input", format!("at most {MAX_LIST} entries")));
        }
        let mut places: Vec<String> = Vec::new();
        for input in &self.inputs {
            if !input.url.starts_with("https://")
                || input.url.len() > MAX_TEXT
                || input.url.chars().any(char::is_control)
            {
                return Err(field("input", "`url` must be an https address"));
            }
            // With its slash, so that a file that is to lie in another one is seen too.
            let place = format!("{}/", input.place()?);
            if places.iter().any(|other| other.starts_with(&place) || place.starts_with(other.as_str())) {
                return Err(field("input", format!("two files have the place {}", input.path)));
            }
            places.push(place);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use pyrsia_digest::Sha256;

    use super::*;

    fn with(inputs: &[(&str, &str)]) -> Result<(), SpecificationError> {
        let made = |(url, path): &(&str, &str)| ExtraInput {
            url: (*url).to_owned(),
            sha256: Sha256::of(b"a"),
            path: (*path).to_owned(),
        };
        Specification { inputs: inputs.iter().map(made).collect(), ..Specification::default_maven("3.9.9") }.check()
    }

    #[test]
    fn a_place_lies_in_the_source_and_has_one_file() {
        let url = "https://files.example/a.zip";
        assert_eq!(with(&[(url, "lib/a.zip"), (url, "lib/b.zip"), (url, "lib/a.zip.sig")]), Ok(()));
        for path in
            ["", "/etc/passwd", "../a", "lib/../../a", "lib//a", ".git/config", "lib/.GIT/x", "-x", "a\\b", "a\n"]
        {
            assert!(with(&[(url, path)]).is_err(), "{path}");
        }
        for url in ["http://files.example/a", "file:///etc/passwd", "https://a\n"] {
            assert!(with(&[(url, "a")]).is_err(), "{url}");
        }
        for (one, other) in [("a", "a"), ("a", "a/b"), ("a/b/c", "a/b")] {
            assert!(with(&[(url, one), (url, other)]).is_err(), "{one} {other}");
        }
    }
}
