//! A specification of Reproducible Central in our form.
//!
//! An ordinary call of Maven becomes goals, profiles, modules and properties, so that it may be structured and a quorum
//! need not approve it. Every other command stays a line of a shell.

use buildspec::{Buildspec, LineEnds, Origin, SimpleCommand, Tool as Stated};
use pyrsia_digest::Sha256;

use crate::specification::{Newline, SourceDistribution, Specification, SpecificationError, Tool, field};

/// The version of Gradle is what the project's own wrapper says.
const WRAPPER: &str = "wrapper";
const UMASK: &str = "0002";
const GRADLE_WORKDIR: &str = "/var/gradle/app";

/// A converted specification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Converted {
    /// The specification; it has been checked. Where an archive is built it does not say so yet.
    pub specification: Specification,
    /// The archive that is built instead of a commit. The file states no digest of it, so whoever gets it has to fill
    /// `source_distribution`.
    pub archive: Option<Archive>,
    /// What the file asks for and the specification does not say, one sentence each.
    pub notes: Vec<String>,
}

/// A source archive without its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// Where it comes from.
    pub url: String,
    /// The folder in it that is built; none is its root.
    pub path: Option<String>,
    /// Files that are left out, relative to that folder.
    pub remove: Vec<String>,
}

impl Archive {
    /// The field of a specification, once the digest is known.
    pub fn with_digest(self, sha256: Sha256) -> SourceDistribution {
        SourceDistribution { url: self.url, sha256, path: self.path, remove: self.remove }
    }
}

/// Converts a file. Where a commit is stays with the file.
///
/// # Errors
/// [`SpecificationError::Field`] with the field of our form that could not be filled.
pub fn from_buildspec(file: &Buildspec) -> Result<Converted, SpecificationError> {
    let tool = match &file.tool {
        Stated::Maven(version) => Tool::Maven(version.clone()),
        Stated::Gradle => Tool::Gradle(WRAPPER.to_owned()),
        Stated::Sbt => return Err(field("tool", "sbt is not known here")),
    };
    let mut base = Specification::default_maven("");
    base.goals.clear();
    base.properties.clear();
    if tool == Tool::Gradle(WRAPPER.to_owned()) {
        base.workdir = GRADLE_WORKDIR.to_owned();
    }
    base.tool = tool;
    base.jdk = file.jdk.major;
    base.umask = match &file.umask {
        Some(umask) => format!("{umask:0>4}"),
        None => UMASK.to_owned(),
    };
    base.newline = newline(file.newline);
    base.newline_git = file.newline_git.map(newline);
    for (place, stated) in
        [(&mut base.timezone, &file.timezone), (&mut base.locale, &file.locale), (&mut base.workdir, &file.workdir)]
    {
        if let Some(stated) = stated {
            place.clone_from(stated);
        }
    }
    base.toolchains.clone_from(&file.toolchains);
    base.os.clone_from(&file.os);
    base.arch.clone_from(&file.arch);
    base.maven_opts = file.maven_opts.as_deref().map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "));
    base.exec_before = links("exec_before", file.exec_before.as_deref())?;
    base.exec_after = links("exec_after", file.exec_after.as_deref())?;

    let archive = match &file.origin {
        Origin::Git { .. } => None,
        Origin::Distribution { url, path, remove } => {
            if !url.starts_with("https://") {
                return Err(field("source_distribution", format!("{url} is no https address")));
            }
            Some(Archive { url: url.clone(), path: path.clone(), remove: remove.clone() })
        }
    };
    let mut notes = Vec::new();
    if let Some(exact) = &file.jdk.exact {
        notes.push(format!("JDK {exact} is asked for; the image's JDK {} is taken", file.jdk.major));
    }
    if file.other_vendor {
        notes.push("a JDK of another vendor is asked for; the image's is taken".to_owned());
    }
    let line = buildspec::Line::parse(&file.command).map_err(|error| field("commands", error.to_string()))?;
    if let Some(ordinary) = line.single().and_then(|command| ordinary(&base, command)) {
        return Ok(Converted { specification: ordinary, archive, notes });
    }
    base.commands = line.links().map(str::to_owned).collect();
    let specification = versioned(base);
    specification.check()?;
    Ok(Converted { specification, archive, notes })
}

fn newline(ends: LineEnds) -> Newline {
    match ends {
        LineEnds::Lf => Newline::Lf,
        LineEnds::Crlf => Newline::Crlf,
    }
}

fn links(name: &'static str, line: Option<&str>) -> Result<Vec<String>, SpecificationError> {
    let Some(line) = line else { return Ok(Vec::new()) };
    let line = buildspec::Line::parse(line).map_err(|error| field(name, error.to_string()))?;
    Ok(line.links().map(str::to_owned).collect())
}

/// In the lowest version of the format that can say it.
fn versioned(mut specification: Specification) -> Specification {
    specification.version = if specification.addition().is_some() { 2 } else { 1 };
    specification
}

/// The command in goals, profiles, modules and properties, if they can say it.
fn ordinary(base: &Specification, command: &SimpleCommand) -> Option<Specification> {
    if !matches!(base.tool, Tool::Maven(_)) || command.assignments() > 0 {
        return None;
    }
    let ("mvn", _, arguments) = command.tool()? else { return None };
    let mut specification = base.clone();
    let mut also_make = false;
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        let word = Some(word).filter(|word| word.literal)?.text.as_str();
        let mut value = |short: &str, long: &str| -> Option<Option<String>> {
            let attached = word.strip_prefix(&format!("{long}=")).or_else(|| {
                // `-pl` is no `-p` with an `l`: only the short options of one letter take their value attached.
                (short.len() == 2).then(|| word.strip_prefix(short)).flatten().filter(|rest| !rest.is_empty())
            });
            match attached {
                Some(attached) => Some(Some(attached.to_owned())),
                None if word == short || word == long => {
                    Some(rest.next().filter(|word| word.literal).map(|word| word.text.clone()))
                }
                None => None,
            }
        };
        if let Some(profiles) = value("-P", "--activate-profiles") {
            specification.profiles.extend(profiles?.split(',').map(str::to_owned));
        } else if let Some(definition) = value("-D", "--define") {
            let definition = definition?;
            let (name, value) = match definition.split_once('=') {
                // Empty, which the field cannot say: there it is `true`, as without the sign.
                Some((_, "")) => return None,
                Some(stated) => stated,
                None => (definition.as_str(), ""),
            };
            specification.properties.insert(name.to_owned(), value.to_owned());
        } else if let Some(modules) = value("-pl", "--projects") {
            specification.modules.extend(modules?.split(',').map(str::to_owned));
        } else {
            match word {
                "-am" | "--also-make" => also_make = true,
                // What they change is the log, or is so in the sandbox anyway.
                "-B"
                | "--batch-mode"
                | "-ntp"
                | "--no-transfer-progress"
                | "-V"
                | "--show-version"
                | "-e"
                | "--errors"
                | "-q"
                | "--quiet"
                | "-U"
                | "--update-snapshots" => {}
                option if option.starts_with('-') => return None,
                goal => specification.goals.push(goal.to_owned()),
            }
        }
    }
    // `-pl` without the modules that those need is another build.
    if specification.modules.is_empty() == also_make {
        return None;
    }
    let specification = versioned(specification);
    specification.check().is_ok().then_some(specification)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "groupId=org.acme\nartifactId=widget\nversion=1.0\ngitRepo=https://git.example/acme/widget.git\n\
        gitTag=v1.0\ntool=mvn-3.9.9\njdk=17\nnewline=lf\n";

    fn converted(more: &str) -> Converted {
        try_converted(more).unwrap_or_else(|error| panic!("{more}: {error}"))
    }

    fn try_converted(more: &str) -> Result<Converted, SpecificationError> {
        let text = format!("{FILE}command='mvn package'\n{more}\n");
        from_buildspec(&Buildspec::parse(&text).unwrap_or_else(|refusal| panic!("{more}: {refusal}")))
    }

    fn properties(specification: &Specification) -> Vec<String> {
        specification.properties.iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    #[test]
    fn an_ordinary_command_is_structured() {
        let Converted { specification, notes, .. } = converted(
            "command=\"mvn -B -Papache-release,x -P '!y' -V clean package -DskipTests -Dmaven.javadoc.skip -D gpg.skip \
             --define=rat.skip=true -ntp -pl core,:api -am\"\numask=022",
        );
        assert_eq!(specification.structured(), Ok(()));
        assert_eq!(specification.version, 1);
        assert_eq!(specification.tool, Tool::Maven("3.9.9".to_owned()));
        assert_eq!(specification.goals, ["clean", "package"]);
        assert_eq!(specification.profiles, ["apache-release", "x", "!y"]);
        assert_eq!(specification.modules, ["core", ":api"]);
        let expected = ["gpg.skip=", "maven.javadoc.skip=", "rat.skip=true", "skipTests="];
        assert_eq!(properties(&specification), expected);
        assert_eq!(specification.umask, "0022");
        assert!(notes.is_empty());
        assert_eq!(specification.commands, [""; 0]);
        assert_eq!(converted("command='SHELL ./mvnw package'").specification, converted("").specification);
    }

    #[test]
    fn what_those_fields_cannot_say_stays_a_command() {
        for (command, expected) in [
            ("mvn clean && mvn package", &["mvn clean", "mvn package"][..]),
            ("SHELL mvn clean && mvn package", &["mvn clean", "mvn package"]),
            ("mvn -f java/pom.xml package", &["mvn -f java/pom.xml package"]),
            ("mvn -pl core package", &["mvn -pl core package"]),
            ("mvn -T 4 package", &["mvn -T 4 package"]),
            ("mvn package -Dx=$(id)", &["mvn package -Dx=$(id)"]),
            ("mvn package -Dx=", &["mvn package -Dx="]),
            ("X=1 mvn package", &["X=1 mvn package"]),
            ("mvn -P ?maybe package", &["mvn -P ?maybe package"]),
            ("mvn package | cat && mvn verify", &["mvn package | cat", "mvn verify"]),
        ] {
            let specification = converted(&format!("command='{command}'")).specification;
            assert_eq!(specification.commands, expected);
            assert_eq!((specification.version, specification.goals.len()), (2, 0));
            assert_eq!(specification.structured().unwrap_err().field, "commands");
        }
    }

    #[test]
    fn every_field_arrives() {
        let Converted { specification, notes, .. } = converted(
            "newline=crlf newlineGit=lf timezone=Etc/GMT+8 locale=fr_FR workdir=/home/runner/src os=osx arch=aarch64\n\
             toolchains='8|17' MAVEN_OPTS=' -Da=b   -Xmx2g ' jdk=17.0.7 jdkForceAzul=true tool=mvn\n\
             execBefore='chmod a-x x && sed -i s/a/b/ y' execAfter='ls | cat'",
        );
        assert_eq!(specification.version, 2);
        assert_eq!((specification.newline, specification.checkout_newline()), (Newline::Crlf, Newline::Lf));
        assert_eq!(specification.timezone, "Etc/GMT+8");
        assert_eq!(specification.locale, "fr_FR");
        assert_eq!(specification.workdir, "/home/runner/src");
        assert_eq!((specification.os.as_deref(), specification.arch.as_deref()), (Some("osx"), Some("aarch64")));
        assert_eq!(specification.toolchains, [8, 17]);
        assert_eq!(specification.maven_opts.as_deref(), Some("-Da=b -Xmx2g"));
        assert_eq!(specification.exec_before, ["chmod a-x x", "sed -i s/a/b/ y"]);
        assert_eq!(specification.exec_after, ["ls | cat"]);
        assert_eq!(specification.tool, Tool::Maven("3.6.3".to_owned()));
        assert_eq!(specification.umask, UMASK, "the default of those files is not ours");
        assert_eq!(notes.len(), 2, "{notes:?}");
        assert_eq!(Specification::from_toml(&specification.to_toml()), Ok(specification));
        let plain = converted("").specification;
        assert_eq!((plain.timezone.as_str(), plain.locale.as_str()), ("UTC", "en_US"));
        assert_eq!((plain.workdir.as_str(), plain.output_timestamp), ("/var/maven/app", None));
    }

    #[test]
    fn what_cannot_be_said_is_refused_by_field() {
        for (more, name) in [
            ("tool=sbt", "tool"),
            ("jdk=12", "jdk"),
            ("workdir=/etc", "workdir"),
            ("umask=9", "umask"),
            ("timezone='a b'", "timezone"),
            ("command='mvn package | tee log'", "commands"),
            ("command='./gradlew build'", "commands"),
            ("MAVEN_OPTS=\"-Da='b c'\"", "maven_opts"),
            ("sourceDistribution=http://files.example/a.zip", "source_distribution"),
        ] {
            match try_converted(more) {
                Err(SpecificationError::Field { field, .. }) => assert_eq!(field, name, "{more}"),
                other => panic!("{more}: {other:?}"),
            }
        }
        let archive =
            converted("sourceDistribution=https://files.example/a.zip sourcePath=a-1 sourceRmFiles='NOTICE x/y'")
                .archive;
        let expected = Archive {
            url: "https://files.example/a.zip".to_owned(),
            path: Some("a-1".to_owned()),
            remove: vec!["NOTICE".to_owned(), "x/y".to_owned()],
        };
        assert_eq!(archive, Some(expected));
        let gradle = converted("tool=gradle\ncommand='./gradlew publish -x test'").specification;
        assert_eq!(gradle.tool, Tool::Gradle("wrapper".to_owned()));
        assert_eq!((gradle.workdir.as_str(), gradle.commands.len()), ("/var/gradle/app", 1));
    }
}
