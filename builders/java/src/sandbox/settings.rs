//! What the tool is told in files: `settings.xml`, and the JVM's options where a shell would split them.

use build_spec::{Newline, SandboxProfile, Specification};

/// Maven's settings: one repository for everything, and where the local one lies.
pub(crate) fn settings_xml(profile: &SandboxProfile) -> String {
    let SandboxProfile { mirror_id, port, local_repository, .. } = profile;
    format!(
        "<settings>\n  <localRepository>{}</localRepository>\n  <interactiveMode>false</interactiveMode>\n  \
         <mirrors>\n    <mirror>\n      <id>{}</id>\n      <mirrorOf>*</mirrorOf>\n      \
         <url>http://127.0.0.1:{port}/</url>\n    </mirror>\n  </mirrors>\n</settings>\n",
        escape(local_repository),
        escape(mirror_id),
    )
}

/// Maven's `toolchains.xml` for JDKs by major version and folder
/// ([format](https://maven.apache.org/ref/3.9.9/maven-core/toolchains.html)); empty: there are none.
pub(crate) fn toolchains_xml(jdks: &[(u32, String)]) -> String {
    if jdks.is_empty() {
        return String::new();
    }
    let mut xml = String::from("<toolchains>\n");
    for (major, home) in jdks {
        xml.push_str(&format!(
            "  <toolchain>\n    <type>jdk</type>\n    <provides>\n      <version>{major}</version>\n    </provides>\n    \
             <configuration>\n      <jdkHome>{}</jdkHome>\n    </configuration>\n  </toolchain>\n",
            escape(home)
        ));
    }
    xml.push_str("</toolchains>\n");
    xml
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Options of the JVM that runs the tool.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct JvmOptions {
    /// For `MAVEN_OPTS`, which the tool's script splits at white space.
    pub(crate) environment: String,
    /// For an argument file of the `java` launcher (JDK 9 and later), which has quotes; empty: there is none.
    pub(crate) argument_file: String,
    /// For a launcher of our own, where a JDK has no argument files.
    pub(crate) launcher: Vec<String>,
}

/// Sorts the options of profile and specification into environment and argument file.
pub(crate) fn jvm_options(profile: &SandboxProfile, specification: &Specification, argument_file: &str) -> JvmOptions {
    let mut properties: Vec<(&str, &str)> =
        specification.system_properties.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    if let Some(name) = &specification.user_name {
        properties.push(("user.name", name));
    }
    if specification.newline == Newline::Crlf {
        properties.push(("line.separator", "\r\n"));
    }
    let mut options =
        JvmOptions { environment: profile.jvm_options.clone(), argument_file: String::new(), launcher: Vec::new() };
    for (key, value) in properties {
        let plain = value.chars().all(|c| c.is_ascii_alphanumeric() || "_.,:/+-=@".contains(c));
        if plain {
            options.environment.push_str(&format!(" -D{key}={value}"));
        } else if specification.jdk >= 9 {
            options.argument_file.push_str(&quoted(&format!("-D{key}={value}")));
        } else {
            options.launcher.push(format!("-D{key}={value}"));
        }
    }
    if !options.argument_file.is_empty() {
        options.environment.push_str(&format!(" @{argument_file}"));
    }
    // Last, so that they win: they are what somebody has found to be needed.
    if let Some(own) = &specification.maven_opts {
        options.environment.push_str(&format!(" {own}"));
    }
    options
}

/// One line of an [argument file](https://docs.oracle.com/en/java/javase/17/docs/specs/man/java.html).
fn quoted(option: &str) -> String {
    let mut line = String::from("\"");
    for c in option.chars() {
        match c {
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            '"' | '\\' => line.extend(['\\', c]),
            _ => line.push(c),
        }
    }
    line.push_str("\"\n");
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_a_shell_would_split_go_into_the_file() {
        let profile = SandboxProfile::v1();
        let mut specification = Specification::default_maven("3.9.9");
        let plain = jvm_options(&profile, &specification, "/x");
        assert_eq!(plain.environment, profile.jvm_options);
        assert!(plain.argument_file.is_empty() && plain.launcher.is_empty());

        specification.user_name = Some("release manager".to_owned());
        specification.newline = Newline::Crlf;
        specification.system_properties.insert("a.b".to_owned(), "c".to_owned());
        specification.maven_opts = Some("-Duser.country=US -Xmx1g".to_owned());
        let options = jvm_options(&profile, &specification, "/x");
        assert_eq!(options.environment, format!("{} -Da.b=c @/x -Duser.country=US -Xmx1g", profile.jvm_options));
        assert_eq!(options.argument_file, "\"-Duser.name=release manager\"\n\"-Dline.separator=\\r\\n\"\n");

        specification.jdk = 8;
        let options = jvm_options(&profile, &specification, "/x");
        assert_eq!(options.launcher, ["-Duser.name=release manager", "-Dline.separator=\r\n"]);
        assert_eq!((options.argument_file.as_str(), options.environment.contains('@')), ("", false));
    }

    #[test]
    fn toolchains_are_listed_by_version_and_folder() {
        assert_eq!(toolchains_xml(&[]), "");
        let xml = toolchains_xml(&[(8, "/usr/lib/jvm/a&b".to_owned()), (17, "/jdk".to_owned())]);
        assert_eq!(xml.matches("<toolchain>").count(), 2);
        assert!(
            xml.contains("<version>8</version>") && xml.contains("<jdkHome>/usr/lib/jvm/a&amp;b</jdkHome>"),
            "{xml}"
        );
    }

    #[test]
    fn settings_are_escaped() {
        let profile = SandboxProfile { mirror_id: "a<b&c".to_owned(), ..SandboxProfile::v1() };
        let xml = settings_xml(&profile);
        assert!(xml.contains("<id>a&lt;b&amp;c</id>"));
        assert!(xml.contains("<url>http://127.0.0.1:8081/</url>"));
    }
}
