//! Commits that Gradle builds. What their scripts declare is known to Gradle alone, so it is the POM that the build makes that
//! has to state the wanted coordinates.

use crate::source::build_files::Commit;
use crate::source::tree::{self, Kind};

/// What Gradle reads in the root, the more telling first.
const SCRIPTS: [&str; 4] = ["build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts"];

/// The script in the root of a commit that has no `pom.xml` there.
pub(crate) fn script(commit: &Commit<'_>) -> Option<&'static str> {
    let is_file =
        |path: &str| tree::find(commit.entries, path).is_some_and(|entry| matches!(entry.kind, Kind::File { .. }));
    if is_file("pom.xml") { None } else { SCRIPTS.into_iter().find(|path| is_file(path)) }
}
