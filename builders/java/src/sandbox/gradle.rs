//! What Gradle is told before anything of the project is read: an init script, which leads every repository to the far end and
//! gives each project the task that publishes what it makes.

use build_spec::SandboxProfile;
use maven_layout::Coordinates;

const SCRIPT: &str = include_str!("init.gradle");

/// The [init script](https://docs.gradle.org/4.4.1/userguide/init_scripts.html) of a build of these releases.
pub(crate) fn init_script(profile: &SandboxProfile, wanted: &[Coordinates]) -> String {
    let wanted: Vec<String> = wanted.iter().map(|release| quoted(&release.to_string())).collect();
    let far_end = quoted(&format!("http://127.0.0.1:{}/", profile.port));
    format!("def farEnd = new URI({far_end})\ndef wanted = [{}]\n{SCRIPT}", wanted.join(", "))
}

/// A string of Groovy in which nothing is replaced.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_knows_address_and_releases() {
        let wanted = ["org.acme:core:1.0", "org.acme:api:1.0"].map(|release| release.parse().unwrap());
        let script = init_script(&SandboxProfile::v1(), &wanted);
        let mut lines = script.lines();
        assert_eq!(lines.next(), Some("def farEnd = new URI('http://127.0.0.1:8081/')"));
        assert_eq!(lines.next(), Some("def wanted = ['org.acme:core:1.0', 'org.acme:api:1.0']"));
        assert!(script.contains("'pyrsiaPublication'"));
    }

    #[test]
    fn a_string_ends_where_it_should() {
        assert_eq!(quoted(r"a'b\c$d"), r"'a\'b\\c$d'");
    }
}
