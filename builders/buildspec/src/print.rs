//! A specification as a file that reads as the same one.

use std::fmt;

use crate::fields::{Buildspec, CommandPrefix, LineEnds, Origin, Revision, Tool};

impl fmt::Display for Buildspec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |name: &str, value: &str| {
            let quoted = value.replace('\'', "'\\''");
            writeln!(f, "{name}='{quoted}'")
        };
        let ends = |ends: LineEnds| match ends {
            LineEnds::Lf => "lf",
            LineEnds::Crlf => "crlf",
        };
        line("groupId", self.coordinates.group.as_str())?;
        line("artifactId", self.coordinates.artifact.as_str())?;
        line("version", self.coordinates.version.as_str())?;
        match &self.origin {
            Origin::Git { repository, revision } => {
                line("gitRepo", repository.as_str())?;
                match revision {
                    Revision::Tag(tag) => line("gitTag", tag)?,
                    Revision::Commit(commit) => line("gitTag", commit)?,
                    Revision::Message(message) => {
                        let quoted = message.replace('\'', "'\\''");
                        line("gitTag", &format!("git log --all --pretty=format:%H --grep '{quoted}'"))?;
                    }
                }
            }
            Origin::Distribution { url, path, remove } => {
                line("sourceDistribution", url)?;
                line("sourcePath", path.as_deref().unwrap_or_default())?;
                line("sourceRmFiles", &remove.join(" "))?;
            }
        }
        match &self.tool {
            Tool::Maven(version) => line("tool", &format!("mvn-{version}"))?,
            Tool::Gradle => line("tool", "gradle")?,
            Tool::Sbt => line("tool", "sbt")?,
        }
        line("jdk", &self.jdk.exact.clone().unwrap_or_else(|| self.jdk.major.to_string()))?;
        let toolchains: Vec<String> = self.toolchains.iter().map(u32::to_string).collect();
        line("toolchains", &toolchains.join("|"))?;
        line("jdkForceAzul", if self.other_vendor { "true" } else { "" })?;
        line("newline", ends(self.newline))?;
        line("newlineGit", self.newline_git.map_or("", ends))?;
        for (name, value) in [
            ("umask", &self.umask),
            ("timezone", &self.timezone),
            ("locale", &self.locale),
            ("workdir", &self.workdir),
            ("os", &self.os),
            ("arch", &self.arch),
            ("MAVEN_OPTS", &self.maven_opts),
            ("execBefore", &self.exec_before),
            ("execAfter", &self.exec_after),
            ("referenceRepo", &self.reference_repo),
            ("issue", &self.issue),
        ] {
            line(name, value.as_deref().unwrap_or_default())?;
        }
        let prefix = match self.prefix {
            Some(CommandPrefix::Shell) => "SHELL ",
            Some(CommandPrefix::Docker) => "DOCKER ",
            None => "",
        };
        line("command", &format!("{prefix}{}", self.command))?;
        self.others.iter().try_for_each(|(name, value)| line(name, value))
    }
}
