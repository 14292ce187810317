//! The fields of a specification, out of the variables that its file assigns.

use std::collections::BTreeMap;

use maven_layout::scm::CanonicalRepository;
use maven_layout::{Coordinates, scm};

use crate::reader::{Assigned, Variables, read};
use crate::refusal::{Refusal, RefusalKind};
use crate::shell::Line;

/// The Maven that `tool=mvn` means.
const DEFAULT_MAVEN: &str = "3.6.3";

/// How a release is built, as the file says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buildspec {
    /// The release; of a reactor any one of its modules.
    pub coordinates: Coordinates,
    /// Where its source is.
    pub origin: Origin,
    /// The build tool.
    pub tool: Tool,
    /// The JDK that the tool runs on.
    pub jdk: Jdk,
    /// Major versions of the JDKs that the build finds in its `toolchains.xml`.
    pub toolchains: Vec<u32>,
    /// Whether a distribution of the JDK by another vendor is needed (`jdkForceAzul`).
    pub other_vendor: bool,
    /// `line.separator`.
    pub newline: LineEnds,
    /// Line ends of the checked-out files, where they are not the same.
    pub newline_git: Option<LineEnds>,
    /// File mode mask, octal digits; none is `0002`.
    pub umask: Option<String>,
    /// Time zone; none is UTC.
    pub timezone: Option<String>,
    /// Locale; none is `en_US`.
    pub locale: Option<String>,
    /// Folder of the source; none is `/var/maven/app`, or `/var/gradle/app`.
    pub workdir: Option<String>,
    /// Operating system on which the release was built, if the result depends on it.
    pub os: Option<String>,
    /// Processor architecture, likewise.
    pub arch: Option<String>,
    /// Options of the JVM that the tool runs on.
    pub maven_opts: Option<String>,
    /// The word in front of the command.
    pub prefix: Option<CommandPrefix>,
    /// The command, a line of a shell.
    pub command: String,
    /// A line that is run before it.
    pub exec_before: Option<String>,
    /// A line that is run after it.
    pub exec_after: Option<String>,
    /// The repository to compare with; none is Maven Central.
    pub reference_repo: Option<String>,
    /// Where more is said about what cannot be reproduced.
    pub issue: Option<String>,
    /// All other variables. They mean nothing.
    pub others: BTreeMap<String, String>,
}

/// Where a source is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// In a git repository.
    Git {
        /// Its address, reduced to its canonical form.
        repository: CanonicalRepository,
        /// The commit in it.
        revision: Revision,
    },
    /// In an archive.
    Distribution {
        /// Its address.
        url: String,
        /// The folder in it that is built; none is its root.
        path: Option<String>,
        /// Files that are removed from it, relative to the folder.
        remove: Vec<String>,
    },
}

/// How a commit is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revision {
    /// By a tag.
    Tag(String),
    /// By its id, 40 hexadecimal digits.
    Commit(String),
    /// By a text in its message: the newest such commit of the repository.
    Message(String),
}

/// A build tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tool {
    /// Maven of this version.
    Maven(String),
    /// Gradle, by the project's own wrapper.
    Gradle,
    /// sbt.
    Sbt,
}

/// A JDK: `17`, or `17.0.7`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jdk {
    /// Its major version.
    pub major: u32,
    /// Its whole version, where one is stated.
    pub exact: Option<String>,
}

/// Line ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineEnds {
    /// `\n`
    Lf,
    /// `\r\n`
    Crlf,
}

/// A word in front of a command that says where it is run. Here it makes no difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandPrefix {
    /// In a shell of the machine.
    Shell,
    /// In a shell of the container.
    Docker,
}

impl Buildspec {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Refusal`]: what is not understood, and in which line.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        Fields { variables: read(text)?, line: 1 }.all()
    }
}

/// Takes one variable after the other.
struct Fields {
    variables: Variables,
    /// The line of the one that was taken last.
    line: usize,
}

impl Fields {
    /// The value, unless it is empty. White space around a value means nothing in any field.
    fn take(&mut self, name: &str) -> Option<String> {
        let Assigned { value, line } = self.variables.remove(name)?;
        self.line = line;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    fn must(&mut self, name: &'static str) -> Result<String, Refusal> {
        let value = self.take(name);
        value.ok_or(Refusal { line: self.line, kind: RefusalKind::Missing(name) })
    }

    fn refused(&self, field: &'static str, problem: impl Into<String>) -> Refusal {
        Refusal { line: self.line, kind: RefusalKind::Field { field, problem: problem.into() } }
    }

    fn all(mut self) -> Result<Buildspec, Refusal> {
        let coordinates = self.coordinates()?;
        let origin = self.origin()?;
        let tool = self.tool()?;
        let jdk = self.jdk()?;
        let toolchains = self.toolchains()?;
        let other_vendor = self.take("jdkForceAzul").is_some_and(|value| value == "true");
        let newline = self.must("newline")?;
        let newline = self.line_ends("newline", &newline)?;
        let newline_git = match self.take("newlineGit") {
            Some(value) => Some(self.line_ends("newlineGit", &value)?).filter(|git| *git != newline),
            None => None,
        };
        let command = self.must("command")?;
        let (prefix, command) = match command.split_once(char::is_whitespace) {
            Some(("SHELL", rest)) => (Some(CommandPrefix::Shell), rest.trim().to_owned()),
            Some(("DOCKER", rest)) => (Some(CommandPrefix::Docker), rest.trim().to_owned()),
            _ => (None, command),
        };
        self.shell_line("command", &command)?;
        let mut line_of = |name: &'static str| -> Result<Option<String>, Refusal> {
            let Some(line) = self.take(name) else { return Ok(None) };
            self.shell_line(name, &line)?;
            Ok(Some(line))
        };
        let (exec_before, exec_after) = (line_of("execBefore")?, line_of("execAfter")?);
        Ok(Buildspec {
            coordinates,
            origin,
            tool,
            jdk,
            toolchains,
            other_vendor,
            newline,
            newline_git,
            umask: self.take("umask"),
            timezone: self.take("timezone"),
            locale: self.take("locale"),
            workdir: self.take("workdir"),
            os: self.take("os"),
            arch: self.take("arch"),
            maven_opts: self.take("MAVEN_OPTS"),
            prefix,
            command,
            exec_before,
            exec_after,
            reference_repo: self.take("referenceRepo"),
            issue: self.take("issue"),
            others: self.variables.into_iter().map(|(name, assigned)| (name, assigned.value)).collect(),
        })
    }

    fn coordinates(&mut self) -> Result<Coordinates, Refusal> {
        let group = self.must("groupId")?;
        let group = group.parse().map_err(|error| self.refused("groupId", format!("{error}")))?;
        let artifact = self.must("artifactId")?;
        let artifact = artifact.parse().map_err(|error| self.refused("artifactId", format!("{error}")))?;
        let version = self.must("version")?;
        let version = version.parse().map_err(|error| self.refused("version", format!("{error}")))?;
        Ok(Coordinates { group, artifact, version })
    }

    fn origin(&mut self) -> Result<Origin, Refusal> {
        if let Some(url) = self.take("sourceDistribution") {
            // The address of a repository may stand there for the reader.
            self.take("gitRepo");
            self.take("gitTag");
            let remove = self.take("sourceRmFiles").unwrap_or_default();
            let remove: Vec<String> = remove.split_whitespace().map(str::to_owned).collect();
            let path = self.take("sourcePath").filter(|path| path != ".");
            let outside =
                |path: &String| path.split('/').any(|part| matches!(part, "" | "." | "..")) || path.starts_with('-');
            if remove.iter().chain(&path).any(outside) {
                return Err(self.refused("sourcePath", "paths have to lie within the archive"));
            }
            return Ok(Origin::Distribution { url, path, remove });
        }
        for unused in ["sourcePath", "sourceRmFiles"] {
            self.take(unused);
        }
        let address = self.must("gitRepo")?;
        let repository = scm::canonical(&address).map_err(|error| self.refused("gitRepo", format!("{error}")))?;
        let tag = self.must("gitTag")?;
        let revision = self.revision(tag)?;
        Ok(Origin::Git { repository, revision })
    }

    fn revision(&self, tag: String) -> Result<Revision, Refusal> {
        if tag.len() == 40 && tag.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(Revision::Commit(tag.to_ascii_lowercase()));
        }
        if !tag.contains(char::is_whitespace) {
            return Ok(Revision::Tag(tag));
        }
        // There a command that asks git; the one form in which it occurs says which commit is meant.
        let line = Line::parse(&tag).map_err(|error| self.refused("gitTag", error.to_string()))?;
        let words: Vec<Vec<&str>> = line
            .commands()
            .iter()
            .map(|command| command.words.iter().map(|word| word.text.as_str()).collect())
            .collect();
        let literal = line.commands().iter().all(|command| command.words.iter().all(|word| word.literal));
        match words.iter().map(Vec::as_slice).collect::<Vec<_>>().as_slice() {
            [["git", "log", "--all", "--pretty=format:%H", "--grep", message], head @ ..]
                if literal && matches!(head, [] | [["head", "-1"]]) =>
            {
                Ok(Revision::Message((*message).to_owned()))
            }
            _ => Err(self.refused("gitTag", format!("`{tag}` is neither a tag nor a commit"))),
        }
    }

    fn tool(&mut self) -> Result<Tool, Refusal> {
        let tool = self.must("tool")?;
        let plain = |version: &&str| {
            !version.is_empty() && version.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-')
        };
        match (tool.as_str(), tool.strip_prefix("mvn-").filter(plain)) {
            ("mvn", _) => Ok(Tool::Maven(DEFAULT_MAVEN.to_owned())),
            (_, Some(version)) => Ok(Tool::Maven(version.to_owned())),
            ("gradle", _) => Ok(Tool::Gradle),
            ("sbt", _) => Ok(Tool::Sbt),
            _ => Err(self.refused("tool", format!("`{tool}` is none of mvn, mvn-VERSION, gradle, sbt"))),
        }
    }

    fn jdk(&mut self) -> Result<Jdk, Refusal> {
        let text = self.must("jdk")?;
        let parts: Option<Vec<u32>> = text.split('.').map(|part| part.parse().ok()).collect();
        match parts.as_deref() {
            Some([major]) => Ok(Jdk { major: *major, exact: None }),
            Some([major, _, ..]) if *major != 1 => Ok(Jdk { major: *major, exact: Some(text) }),
            _ => Err(self.refused("jdk", format!("`{text}` is no version of a JDK"))),
        }
    }

    fn toolchains(&mut self) -> Result<Vec<u32>, Refusal> {
        let Some(text) = self.take("toolchains") else { return Ok(Vec::new()) };
        let majors: Result<Vec<u32>, _> = text.split('|').map(|part| part.trim().parse()).collect();
        majors.map_err(|_| self.refused("toolchains", format!("`{text}` is no list of JDKs as 8|11|17")))
    }

    fn line_ends(&self, field: &'static str, value: &str) -> Result<LineEnds, Refusal> {
        match value {
            "lf" => Ok(LineEnds::Lf),
            "crlf" => Ok(LineEnds::Crlf),
            _ => Err(self.refused(field, format!("lf or crlf, not `{value}`"))),
        }
    }

    fn shell_line(&self, field: &'static str, line: &str) -> Result<(), Refusal> {
        Line::parse(line).map(|_| ()).map_err(|error| self.refused(field, error.to_string()))
    }
}
