//! What runs in the sandbox, with which arguments, and what it is fed.

use std::path::PathBuf;

use build_spec::{BuildError, Mode, Newline, SourceDateEpoch, Specification};
use buildspec::Line;

use crate::sandbox::gradle::init_script;
use crate::sandbox::settings::{jvm_options, settings_xml, toolchains_xml};
use crate::sandbox::{Plan, local};
use crate::tool::BuildTool;

/// Where the builder's own files lie in the sandbox: a RAM disk.
pub(crate) const CONTROL: &str = "/run/pyrsia";
/// Where the far end's socket is mounted.
pub(crate) const SOCKET: &str = "/run/pyrsia.sock";

/// How long after the end of its time a sandbox ends by itself, seconds: nobody has ended it, so its node is gone.
const ORPHANED: u64 = 60;
/// Exit code of the script when the build has left it nothing that it could collect.
pub(crate) const NOT_COLLECTED: i64 = 71;

const SCRIPT: &str = include_str!("build.sh");

/// What goes in over stdin, in this order, and the script that expects it.
pub(crate) struct Feed {
    /// Argument file, settings, toolchains, launcher, commands.
    pub(crate) small: Vec<u8>,
    /// The tool's distribution, unless the image has it; the source; the single files, if there are any.
    pub(crate) files: Vec<(PathBuf, u64)>,
    /// The script with its assignments.
    pub(crate) script: String,
    /// Arguments of the tool.
    pub(crate) arguments: Vec<String>,
    /// The environment, complete.
    pub(crate) environment: Vec<String>,
}

/// Prepares all of it, for a build that may take so many seconds.
pub(crate) async fn feed(plan: &Plan<'_>, seconds: u64) -> Result<Feed, BuildError> {
    let (job, profile) = (plan.job, &plan.job.profile);
    let specification = &job.specification;
    let options = jvm_options(profile, specification, &format!("{CONTROL}/java.args"));
    let tool = BuildTool::wanted(specification)?.building(job.coordinates.iter().chain(&job.source.reactor));
    let settings = match &tool {
        BuildTool::Maven(_) => settings_xml(profile),
        BuildTool::Gradle(_) => init_script(profile, &job.coordinates),
    };
    let toolchains = toolchains_xml(&plan.room.toolchains);
    let launcher = launcher(&plan.room.java_home, &options.launcher);
    let commands = commands(specification, &tool);
    let mut files = Vec::new();
    for file in plan.tool.iter().chain([&job.source.archive]).chain(&plan.inputs) {
        let size = tokio::fs::metadata(file).await.map_err(local("an input of the build cannot be read"))?.len();
        files.push((file.clone(), size));
    }
    let size_of = |wanted: Option<&PathBuf>| {
        files.iter().find(|(file, _)| wanted == Some(file)).map_or_else(|| "0".to_owned(), |(_, size)| size.to_string())
    };
    let releases: Vec<String> = job.coordinates.iter().map(|release| release.dir().to_string()).collect();
    let assignments = [
        ("control", CONTROL.to_owned()),
        ("socket", SOCKET.to_owned()),
        ("port", profile.port.to_string()),
        ("seconds", seconds.saturating_add(ORPHANED).to_string()),
        ("repository", profile.local_repository.clone()),
        ("home", profile.home.clone()),
        ("workdir", specification.workdir.clone()),
        ("umask", format!("{:04o}", specification.umask_bits()?)),
        ("newline", newline(specification.newline).to_owned()),
        ("args_bytes", options.argument_file.len().to_string()),
        ("settings_bytes", settings.len().to_string()),
        ("toolchains_bytes", toolchains.len().to_string()),
        ("launcher_bytes", launcher.len().to_string()),
        ("commands_bytes", commands.len().to_string()),
        ("tool", tool.command().to_owned()),
        ("gradle", tool.gradle().to_owned()),
        ("gradle_zip", tool.gradle_distribution().to_owned()),
        ("tool_bytes", size_of(plan.tool.as_ref())),
        ("source_bytes", size_of(Some(&job.source.archive))),
        ("inputs_bytes", size_of(plan.inputs.as_ref())),
        ("releases", releases.join(" ")),
        ("maven_options", tool.options().to_owned()),
        ("check_jdk", if plan.room.is_foreign { specification.jdk.to_string() } else { String::new() }),
    ];
    let mut script = String::new();
    for (name, value) in assignments {
        script.push_str(&format!("{name}={}\n", quote(&value)));
    }
    script.push_str(SCRIPT);
    Ok(Feed {
        small: [&options.argument_file, &settings, &toolchains, &launcher, &commands].map(String::as_bytes).concat(),
        files,
        script,
        arguments: tool.arguments(specification),
        environment: environment(plan, &tool, &options.environment),
    })
}

fn newline(newline: Newline) -> &'static str {
    match newline {
        Newline::Lf => "lf",
        Newline::Crlf => "crlf",
    }
}

/// The lines that a specification has the shell run, as a script; empty: there is only the tool's own call.
///
/// Each is handed to `eval` as one word, so that none can reach beyond itself, and all run in one shell, so that a folder
/// or variable stays what a line has made it.
fn commands(specification: &Specification, tool: &BuildTool) -> String {
    let Specification { commands, exec_before, exec_after, .. } = specification;
    if commands.is_empty() && exec_before.is_empty() && exec_after.is_empty() {
        return String::new();
    }
    let rewritten = |line: &String, more: &str| {
        // They have been checked; one that is no line after all fails in the shell.
        Line::parse(line).map_or_else(|_| line.clone(), |line| line.rewritten(tool.command(), more))
    };
    let all = |lines: &[String]| lines.iter().map(|line| rewritten(line, "")).collect::<Vec<_>>();
    let chain = match commands.split_last() {
        None => vec![format!(
            "{} {}",
            tool.command(),
            tool.arguments(specification).iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ")
        )],
        Some((last, before)) => [all(before), vec![rewritten(last, tool.last_goal())]].concat(),
    };
    let mut script = String::new();
    for (place, lines) in [("exec_before", all(exec_before)), ("commands", chain), ("exec_after", all(exec_after))] {
        for (at, line) in lines.iter().enumerate() {
            let step = quote(&format!("{place} {}", at + 1));
            // How the tool ended in an earlier line says nothing about this one.
            script.push_str(&format!(
                "echo {step} > {CONTROL}/step\n: > {CONTROL}/ended\nprintf '%s\\n' {}\n",
                quote(&format!("+ {line}"))
            ));
            script.push_str(&format!("eval {} || exit $?\n", quote(line)));
        }
    }
    script
}

/// A launcher of the JVM that gives it more options; empty: it needs none.
fn launcher(java_home: &str, options: &[String]) -> String {
    if options.is_empty() {
        return String::new();
    }
    let options: Vec<String> = options.iter().map(|option| quote(option)).collect();
    format!("#!/bin/sh\nexec {} {} \"$@\"\n", quote(&format!("{java_home}/bin/java")), options.join(" "))
}

fn environment(plan: &Plan<'_>, tool: &BuildTool, jvm: &str) -> Vec<String> {
    let (job, profile) = (plan.job, &plan.job.profile);
    let specification = &job.specification;
    let java_home = &plan.room.java_home;
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
    ];
    match tool {
        BuildTool::Maven(_) => environment.extend([format!("MAVEN_OPTS={jvm}"), "MAVEN_SKIP_RC=1".to_owned()]),
        // Its script has a shell read them once more.
        BuildTool::Gradle(_) => environment.extend([
            format!("GRADLE_OPTS={}", jvm.split_whitespace().map(quote).collect::<Vec<_>>().join(" ")),
            format!("GRADLE_USER_HOME={}/.gradle", profile.home),
        ]),
    }
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

    /// Runs a script with a `mvn` on the path that says what it was given.
    fn run(script: &str) -> (i32, String) {
        let folder = tempfile::tempdir().unwrap();
        let control = folder.path().join("control");
        std::fs::create_dir_all(control.join("bin")).unwrap();
        let mvn = control.join("bin/mvn");
        std::fs::write(
            &mvn,
            "#!/bin/sh\necho \"mvn in ${PWD##*/}:\"; printf ' <%s>' \"$@\"; echo; [ \"$1\" != fail ]\n",
        )
        .unwrap();
        std::fs::set_permissions(&mvn, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::create_dir(folder.path().join("java")).unwrap();
        let script = script.replace(CONTROL, control.to_str().unwrap());
        let path = format!("{}:{}", control.join("bin").display(), std::env::var("PATH").unwrap());
        let output = std::process::Command::new("bash")
            .args(["-c", &script])
            .env("PATH", path)
            .current_dir(folder.path())
            .output()
            .unwrap();
        let step = std::fs::read_to_string(control.join("step")).unwrap();
        let said = String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .filter(|line| !line.starts_with('+'))
            .collect::<Vec<_>>()
            .join("\n");
        (output.status.code().unwrap(), format!("{said}\n{step}"))
    }

    #[test]
    fn lines_run_in_one_shell_and_the_tool_gets_the_last_goal() {
        let mut specification = Specification::default_maven("3.9.9");
        let maven = BuildTool::wanted(&specification).unwrap();
        assert_eq!(commands(&specification, &maven), "");
        specification.exec_before = vec!["x='it is'; echo before".to_owned(), "echo \"$x\"".to_owned()];
        let (code, said) = run(&commands(&specification, &maven));
        assert_eq!(code, 0);
        let goal = maven.last_goal();
        assert!(said.starts_with("before\nit is\nmvn in "), "{said}");
        assert!(said.ends_with(&format!("<-DskipTests> <clean> <package> <{goal}>\ncommands 1\n")), "{said}");

        specification.goals.clear();
        specification.properties.clear();
        specification.commands = vec!["cd java".to_owned(), "./mvnw clean && sh ../mvnw 'a b' # why".to_owned()];
        specification.exec_after = vec!["echo after".to_owned()];
        let (code, said) = run(&commands(&specification, &maven));
        let expected =
            format!("before\nit is\nmvn in java:\n <clean>\nmvn in java:\n <a b> <{goal}>\nafter\nexec_after 1\n");
        assert_eq!((code, said), (0, expected));

        specification.commands[0] = "mvn fail; false".to_owned();
        let (code, said) = run(&commands(&specification, &maven));
        assert_eq!((code, said.lines().last()), (1, Some("commands 1")));
        specification.commands[0] = "} || exit 0; eval 'echo".to_owned();
        let (code, said) = run(&commands(&specification, &maven));
        assert_ne!(code, 0, "no line reaches beyond itself");
        assert_eq!(said.lines().last(), Some("commands 1"));
    }

    #[test]
    fn a_launcher_hands_on_what_a_variable_cannot_hold() {
        assert_eq!(launcher("/jdk", &[]), "");
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("bin")).unwrap();
        let java = folder.path().join("bin/java");
        std::fs::write(&java, "#!/bin/sh\nprintf '<%s>' \"$@\"\n").unwrap();
        std::fs::set_permissions(&java, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let script =
            launcher(folder.path().to_str().unwrap(), &["-Dline.separator=\r\n".to_owned(), "-Da='".to_owned()]);
        let output = std::process::Command::new("sh").args(["-c", &script, "java", "Main", "a b"]).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "<-Dline.separator=\r\n><-Da='><Main><a b>");
    }
}
