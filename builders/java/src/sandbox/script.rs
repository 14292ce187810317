//! What runs in the sandbox, with which arguments, and what it is fed.

use std::path::PathBuf;

use build_spec::{BuildError, Mode, Newline, SourceDateEpoch, Specification, Tool};

use crate::maven::INSTALL_GOAL;
use crate::sandbox::settings::{jvm_options, settings_xml};
use crate::sandbox::{Plan, local};

/// Where the builder's own files lie in the sandbox: a RAM disk.
pub(crate) const CONTROL: &str = "/run/pyrsia";
/// Where the far end's socket is mounted.
pub(crate) const SOCKET: &str = "/run/pyrsia.sock";

const SCRIPT: &str = include_str!("build.sh");

/// What goes in over stdin, in this order, and the script that expects it.
pub(crate) struct Feed {
    /// Argument file and settings.
    pub(crate) small: Vec<u8>,
    /// The tool's distribution, then the source.
    pub(crate) files: Vec<(PathBuf, u64)>,
    /// The script with its assignments.
    pub(crate) script: String,
    /// Arguments of the tool.
    pub(crate) arguments: Vec<String>,
    /// The environment, complete.
    pub(crate) environment: Vec<String>,
}

/// Prepares all of it.
pub(crate) async fn feed(plan: &Plan<'_>) -> Result<Feed, BuildError> {
    let (job, profile) = (plan.job, &plan.job.profile);
    let specification = &job.specification;
    let options = jvm_options(profile, specification, &format!("{CONTROL}/java.args"))?;
    let settings = settings_xml(profile);
    let mut files = Vec::new();
    for file in [&plan.tool, &job.source.archive] {
        let size = tokio::fs::metadata(file).await.map_err(local("an input of the build cannot be read"))?.len();
        files.push((file.clone(), size));
    }
    let releases: Vec<String> = job.coordinates.iter().map(|release| release.dir().to_string()).collect();
    let assignments = [
        ("control", CONTROL.to_owned()),
        ("socket", SOCKET.to_owned()),
        ("port", profile.port.to_string()),
        ("repository", profile.local_repository.clone()),
        ("workdir", specification.workdir.clone()),
        ("umask", format!("{:04o}", specification.umask_bits()?)),
        ("args_bytes", options.argument_file.len().to_string()),
        ("settings_bytes", settings.len().to_string()),
        ("tool_bytes", files[0].1.to_string()),
        ("source_bytes", files[1].1.to_string()),
        ("releases", releases.join(" ")),
    ];
    let mut script = String::new();
    for (name, value) in assignments {
        script.push_str(&format!("{name}={}\n", quote(&value)));
    }
    script.push_str(SCRIPT);
    Ok(Feed {
        small: [options.argument_file.as_bytes(), settings.as_bytes()].concat(),
        files,
        script,
        arguments: arguments(specification),
        environment: environment(plan, &options.environment),
    })
}

/// Refuses what this builder cannot do, before anything is started.
pub(crate) fn check(specification: &Specification) -> Result<(), BuildError> {
    let unsupported = |what: &str| Err(BuildError::Unsupported(what.to_owned()));
    specification.check()?;
    if let Tool::Gradle(version) = &specification.tool {
        return unsupported(&format!("this builder does not know Gradle {version} yet"));
    }
    if specification.git != build_spec::GitState::None {
        return unsupported("`git = \"commit\"` and `git = \"history\"` are not supported yet: the build sees no .git");
    }
    if specification.newline == Newline::Crlf {
        return unsupported("`newline = \"crlf\"` is not supported yet");
    }
    if let Some(input) = specification.inputs.first() {
        return unsupported(&format!("[[input]] files are not supported yet ({})", input.url));
    }
    Ok(())
}

/// The tool's arguments as the specification has them, then the goal that shows what the build attached.
fn arguments(specification: &Specification) -> Vec<String> {
    let mut arguments = Vec::new();
    if !specification.profiles.is_empty() {
        arguments.push(format!("-P{}", specification.profiles.join(",")));
    }
    if !specification.modules.is_empty() {
        arguments.extend(["-pl".to_owned(), specification.modules.join(","), "-am".to_owned()]);
    }
    for (name, value) in &specification.properties {
        arguments.push(if value.is_empty() { format!("-D{name}") } else { format!("-D{name}={value}") });
    }
    if let Some(timestamp) = &specification.output_timestamp {
        arguments.push(format!("-Dproject.build.outputTimestamp={timestamp}"));
    }
    arguments.extend(specification.goals.iter().cloned());
    arguments.push(INSTALL_GOAL.to_owned());
    arguments
}

fn environment(plan: &Plan<'_>, jvm: &str) -> Vec<String> {
    let (job, profile) = (plan.job, &plan.job.profile);
    let specification = &job.specification;
    let java_home = &plan.image.config.java_home;
    let language = format!("{}.UTF-8", specification.locale);
    let mut environment = vec![
        format!("PATH={java_home}/bin:/usr/local/bin:/usr/bin:/bin"),
        format!("JAVA_HOME={java_home}"),
        format!("HOME={}", profile.home),
        format!("USER={}", profile.account),
        format!("LOGNAME={}", profile.account),
        format!("LANG={language}"),
        format!("LC_ALL={language}"),
        format!("TZ={}", specification.timezone),
        format!("MAVEN_OPTS={jvm}"),
        "MAVEN_SKIP_RC=1".to_owned(),
    ];
    let epoch = match (specification.source_date_epoch, job.mode) {
        (SourceDateEpoch::At(seconds), _) => Some(seconds),
        (SourceDateEpoch::ByMode, Mode::Native) => Some(job.source.commit_time),
        (SourceDateEpoch::ByMode, Mode::Upstream) | (SourceDateEpoch::Unset, _) => None,
    };
    environment.extend(epoch.map(|seconds| format!("SOURCE_DATE_EPOCH={seconds}")));
    environment
}

/// A word of a shell script, whatever is in it.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        for text in ["", "plain", "two words", "it's", "$(id) `id` \\ \" \n;&|", "'''"] {
            let output =
                std::process::Command::new("sh").args(["-c", &format!("printf %s {}", quote(text))]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
        }
    }

    #[test]
    fn the_script_is_valid_shell() {
        let status = std::process::Command::new("sh").args(["-n", "-c", SCRIPT]).status().unwrap();
        assert!(status.success());
    }

    #[test]
    fn arguments_follow_the_specification() {
        let mut specification = Specification::default_maven("3.9.9");
        specification.profiles = vec!["apache-release".to_owned(), "!x".to_owned()];
        specification.modules = vec!["core".to_owned(), ":api".to_owned()];
        specification.properties.insert("a".to_owned(), "b c".to_owned());
        let all = arguments(&specification);
        assert_eq!(
            all,
            [
                "-Papache-release,!x",
                "-pl",
                "core,:api",
                "-am",
                "-Da=b c",
                "-Dgpg.skip",
                "-Dmaven.javadoc.skip",
                "-DskipTests",
                "clean",
                "package",
                INSTALL_GOAL
            ]
        );
    }

    #[test]
    fn what_is_not_supported_is_refused_by_name() {
        let mut specification = Specification::default_maven("3.9.9");
        assert!(check(&specification).is_ok());
        specification.git = build_spec::GitState::Commit;
        assert!(matches!(check(&specification), Err(BuildError::Unsupported(text)) if text.contains("git")));
    }
}
