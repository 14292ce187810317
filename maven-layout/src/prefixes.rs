//! `/.meta/prefixes.txt`: which path prefixes a repository can serve.
//!
//! Read by Maven 4's [remote repository filtering](https://maven.apache.org/resolver/remote-repository-filtering.html).
//! A wrong file hides artifacts from a build, so it lists exactly what can be served, or is not served at all.

use std::collections::BTreeSet;

use crate::names::GroupId;

/// Where the file lies in a repository.
pub const PATH: &str = ".meta/prefixes.txt";
/// The first line, which tells the format.
pub const HEADER: &str = "## repository-prefixes/2.0";

/// Writes the file for a set of groups: one line `/dir` for each group that lies inside no other listed group, sorted.
pub fn write<'a>(groups: impl IntoIterator<Item = &'a GroupId>) -> String {
    let groups: BTreeSet<&GroupId> = groups.into_iter().collect();
    let mut out = format!("{HEADER}\n");
    for group in &groups {
        let covered = group.ancestors().skip(1).any(|outer| groups.contains(&outer));
        if !covered {
            out.push('/');
            out.push_str(&group.dir());
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_only_outermost_groups() {
        let groups: Vec<GroupId> = ["org.b.c", "org.b", "org.bb", "com.a"].iter().map(|g| g.parse().unwrap()).collect();
        assert_eq!(write(&groups), "## repository-prefixes/2.0\n/com/a\n/org/b\n/org/bb\n");
        assert_eq!(write([]), "## repository-prefixes/2.0\n");
    }
}
