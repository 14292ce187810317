//! What a specification of version 2 has the shell of the sandbox do, as far as it can be checked without one.

use buildspec::Line;

use crate::specification::{MAX_LIST, MAX_TEXT, Specification, SpecificationError, Tool, field, text};

/// A value that cannot be told: in a build file, an expression that nothing gives a value.
const UNKNOWN: &str = "${}";
/// JDKs among the toolchains.
const MAX_TOOLCHAINS: usize = 16;

impl Tool {
    /// What a command calls it.
    pub fn command(&self) -> &'static str {
        match self {
            Self::Maven(_) => "mvn",
            Self::Gradle(_) => "gradle",
        }
    }
}

impl Specification {
    /// The build in one line, for people.
    pub fn command_line(&self) -> String {
        if self.commands.is_empty() { self.goals.join(" ") } else { self.commands.join(" && ") }
    }

    /// Properties that the build is given by name, wherever they stand. Where a shell would expand something in one, its
    /// value is an expression that has none.
    pub fn stated_properties(&self) -> Vec<(String, String)> {
        let own = self.properties.iter().chain(&self.system_properties);
        let mut found: Vec<(String, String)> = own.map(|(name, value)| (name.clone(), value.clone())).collect();
        let options = self.maven_opts.as_deref().unwrap_or_default().split(' ');
        let mut words: Vec<(String, bool)> = options.map(|option| (option.to_owned(), true)).collect();
        for line in self.lines() {
            let all = line.commands().iter().flat_map(|command| &command.words);
            words.extend(all.map(|word| (word.text.clone(), word.literal)));
        }
        for (at, (word, literal)) in words.iter().enumerate() {
            let definition = match word.as_str() {
                "-D" | "--define" => words.get(at + 1).map(|(next, literal)| (next.as_str(), *literal)),
                word => {
                    let attached = word.strip_prefix("-D").or_else(|| word.strip_prefix("--define="));
                    attached.map(|definition| (definition, *literal))
                }
            };
            if let Some((definition, literal)) = definition {
                let (name, value) = definition.split_once('=').unwrap_or((definition, "true"));
                found.push((name.to_owned(), if literal { value } else { UNKNOWN }.to_owned()));
            }
        }
        found
    }

    /// Whether a command may build something else than the root of the source: it changes the folder, or names a file.
    pub fn builds_elsewhere(&self) -> bool {
        self.lines().iter().flat_map(Line::commands).any(|command| {
            let name = command.words.get(command.assignments()).map(|word| word.text.as_str());
            let moves = matches!(name, Some("cd" | "pushd" | "eval" | "sh" | "bash" | "." | "source"));
            let named = |word: &buildspec::Word| word.text.starts_with("-f") || word.text.starts_with("--file");
            moves || command.tool().is_some_and(|(_, _, arguments)| arguments.iter().any(named))
        })
    }

    fn lines(&self) -> Vec<Line> {
        let all = self.exec_before.iter().chain(&self.commands).chain(&self.exec_after);
        all.filter_map(|line| Line::parse(line).ok()).collect()
    }

    /// Checks the fields of version 2.
    pub(crate) fn check_commands(&self) -> Result<(), SpecificationError> {
        if !self.commands.is_empty() {
            for (name, given) in [
                ("goals", !self.goals.is_empty()),
                ("profiles", !self.profiles.is_empty()),
                ("modules", !self.modules.is_empty()),
                ("properties", !self.properties.is_empty()),
                ("output_timestamp", self.output_timestamp.is_some()),
            ] {
                if given {
                    return Err(field(name, "the commands say it, it cannot be given beside them"));
                }
            }
        }
        shell_lines("commands", &self.commands)?;
        shell_lines("exec_before", &self.exec_before)?;
        shell_lines("exec_after", &self.exec_after)?;
        if let Some(last) = self.commands.last() {
            let tool = Line::parse(last).ok().and_then(|line| line.last_tool());
            if tool != Some(self.tool.command()) {
                let problem = format!("the last command has to be a call of `{}`: `{last}`", self.tool.command());
                return Err(field("commands", problem));
            }
        }
        if let Some(options) = &self.maven_opts {
            // The tool's script splits them at white space and knows no quotes, but expands patterns.
            let allowed = |c: char| c == ' ' || (c.is_ascii_graphic() && !"'\"\\*?[`$".contains(c));
            let plain = options.chars().all(allowed) && options.len() <= MAX_TEXT;
            if !plain || !options.split(' ').all(|option| option.starts_with('-')) {
                return Err(field(
                    "maven_opts",
                    "options that begin with a dash, separated by single spaces, unquoted",
                ));
            }
        }
        let mut toolchains = self.toolchains.clone();
        toolchains.sort_unstable();
        toolchains.dedup();
        let known = self.toolchains.iter().all(|major| (5..100).contains(major));
        if toolchains.len() != self.toolchains.len() || toolchains.len() > MAX_TOOLCHAINS || !known {
            return Err(field("toolchains", format!("at most {MAX_TOOLCHAINS} different major versions of a JDK")));
        }
        for (name, value) in [("os", &self.os), ("arch", &self.arch)] {
            if let Some(value) = value {
                text(name, value, |c| c.is_ascii_alphanumeric() || "._-".contains(c))?;
            }
        }
        let Some(distribution) = &self.source_distribution else { return Ok(()) };
        if !distribution.url.starts_with("https://") || distribution.url.len() > MAX_TEXT {
            return Err(field("source_distribution", "`url` must be an https address"));
        }
        let outside =
            |path: &String| path.len() > MAX_TEXT || path.split('/').any(|part| matches!(part, "" | "." | ".."));
        if distribution.remove.len() > MAX_LIST || distribution.remove.iter().chain(&distribution.path).any(outside) {
            return Err(field("source_distribution", "`path` and `remove` must lie within the archive"));
        }
        Ok(())
    }
}

fn shell_lines(name: &'static str, lines: &[String]) -> Result<(), SpecificationError> {
    if lines.len() > MAX_LIST {
        return Err(field(name, format!("at most {MAX_LIST} lines")));
    }
    for line in lines {
        if line.contains('\n') {
            return Err(field(name, "an entry is one line"));
        }
        Line::parse(line).map_err(|error| field(name, format!("`{line}`: {error}")))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(commands: &[&str]) -> Specification {
        let mut specification = Specification::default_maven("3.9.9");
        specification.version = 2;
        specification.goals.clear();
        specification.properties.clear();
        specification.commands = commands.iter().map(|line| (*line).to_owned()).collect();
        assert_eq!(specification.check(), Ok(()));
        specification
    }

    #[test]
    fn properties_are_found_wherever_they_are_stated() {
        let mut specification = with(&["X=1 mvn -Drevision=1.2 -D 'a=b c' clean", "./mvnw package --define=skip -Dd"]);
        specification.maven_opts = Some("-De=f -Xmx1g".to_owned());
        specification.system_properties.insert("g".to_owned(), "h".to_owned());
        let found = specification.stated_properties();
        let expected = [("g", "h"), ("e", "f"), ("revision", "1.2"), ("a", "b c"), ("skip", "true"), ("d", "true")];
        let found: Vec<(&str, &str)> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(found, expected);
        assert_eq!(Specification::default_maven("3.9.9").stated_properties().len(), 3);
        let expanded = with(&["mvn package -Da=$(id) -D \"b=$B\""]).stated_properties();
        assert_eq!(expanded, ["a", "b"].map(|name| (name.to_owned(), UNKNOWN.to_owned())));
    }

    #[test]
    fn a_command_that_leaves_the_root_is_known() {
        for line in
            ["mvn -f java/pom.xml package", "mvn --file=java package", "mvn -fjava package", "cd x; mvn package"]
        {
            assert!(with(&[line]).builds_elsewhere(), "{line}");
        }
        assert!(with(&["sh build.sh", "mvn package"]).builds_elsewhere());
        assert!(!with(&["mvn clean", "mvn package -Dfile=x"]).builds_elsewhere());
    }
}
