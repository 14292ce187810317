//! What clients keep of a repository, by the paths under which it was served.
//!
//! Left out everywhere: what the client wrote itself (notes, checksums that it computed, metadata that it merged).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Files by their paths below the repository's root.
pub type Files = BTreeMap<String, PathBuf>;

/// Of a local repository of Maven's, or of a client that uses Maven's resolver.
pub fn maven(repository: &Path) -> Files {
    let mut files = walk(repository);
    files.retain(|path, _| {
        let name = path.rsplit('/').next().unwrap_or_default();
        let own = name.starts_with("maven-metadata")
            || matches!(name, "_remote.repositories" | "resolver-status.properties")
            || [".sha1", ".md5", ".lastUpdated", ".lock"].iter().any(|end| name.ends_with(end));
        // A snapshot is kept twice: under its timestamp, as it was served, and under the name that projects use.
        !own && !name.contains("-SNAPSHOT")
    });
    files
}

/// Of coursier's cache, below the folder of one server.
pub fn coursier(cache: &Path, repository: &str) -> Files {
    let below = repository.replacen("://", "/", 1).replace(':', "%3A");
    let mut files = walk(&cache.join(below));
    files.retain(|path, _| {
        let name = path.rsplit('/').next().unwrap_or_default();
        !name.starts_with('.') && name != "maven-metadata.xml"
    });
    files
}

/// Of Gradle's: `GROUP/ARTIFACT/VERSION/SHA1/FILE`.
pub fn gradle(home: &Path) -> Files {
    let files = walk(&home.join("caches/modules-2/files-2.1"));
    let served = files.into_iter().filter_map(|(path, file)| {
        let [group, artifact, version, _, name] = path.split('/').collect::<Vec<_>>()[..] else {
            return None;
        };
        Some((format!("{}/{artifact}/{version}/{name}", group.replace('.', "/")), file))
    });
    served.collect()
}

/// Of Ivy's: POMs are `ORGANISATION/MODULE/ivy-REVISION.xml.original`, other files
/// `ORGANISATION/MODULE/TYPEs/MODULE-REVISION….EXT`.
pub fn ivy(cache: &Path) -> Files {
    let files = walk(cache);
    let mut served = Files::new();
    let mut revisions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (path, file) in &files {
        let [group, module, name] = path.split('/').collect::<Vec<_>>()[..] else {
            continue;
        };
        if let Some(revision) = name.strip_prefix("ivy-").and_then(|rest| rest.strip_suffix(".xml.original")) {
            let folder = format!("{}/{module}/{revision}", group.replace('.', "/"));
            served.insert(format!("{folder}/{module}-{revision}.pom"), file.clone());
            revisions.entry(format!("{group}/{module}")).or_default().push(revision.to_owned());
        }
    }
    for (path, file) in &files {
        let [group, module, _, name] = path.split('/').collect::<Vec<_>>()[..] else {
            continue;
        };
        let known = revisions.get(&format!("{group}/{module}")).into_iter().flatten();
        let of =
            known.filter(|revision| name.starts_with(&format!("{module}-{revision}"))).max_by_key(|text| text.len());
        let revision = of.unwrap_or_else(|| panic!("{path} is of no revision that has a POM"));
        served.insert(format!("{}/{module}/{revision}/{name}", group.replace('.', "/")), file.clone());
    }
    served
}

/// Every file below a folder, by its path relative to it.
fn walk(folder: &Path) -> Files {
    let mut files = Files::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for path in std::fs::read_dir(&next).into_iter().flatten().flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                open.push(path);
            } else if let Ok(relative) = path.strip_prefix(folder) {
                files.insert(relative.to_string_lossy().into_owned(), path);
            }
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::places;

    fn tree(names: &[&str]) -> tempfile::TempDir {
        let folder = places::scratch("tree");
        for name in names {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, name).unwrap();
        }
        folder
    }

    fn names(files: &Files) -> Vec<&str> {
        files.keys().map(String::as_str).collect()
    }

    #[test]
    fn what_maven_wrote_itself_is_left_out() {
        let folder = tree(&[
            "a/b/1/b-1.jar",
            "a/b/1/b-1.jar.sha1",
            "a/b/1/_remote.repositories",
            "a/b/maven-metadata-x.xml",
            "a/b/2-SNAPSHOT/b-2-SNAPSHOT.jar",
            "a/b/2-SNAPSHOT/b-2-20260101.000000-1.jar",
        ]);
        assert_eq!(names(&maven(folder.path())), ["a/b/1/b-1.jar", "a/b/2-SNAPSHOT/b-2-20260101.000000-1.jar"]);
    }

    #[test]
    fn other_layouts_are_turned_into_mavens() {
        let folder =
            tree(&["http/127.0.0.1%3A1/maven2/a/b/1/b-1.jar", "http/127.0.0.1%3A1/maven2/a/b/1/.b-1.jar__sha1"]);
        assert_eq!(names(&coursier(folder.path(), "http://127.0.0.1:1/maven2/")), ["a/b/1/b-1.jar"]);
        let folder = tree(&["caches/modules-2/files-2.1/a.c/b/1/0011/b-1.jar"]);
        assert_eq!(names(&gradle(folder.path())), ["a/c/b/1/b-1.jar"]);
        let folder = tree(&[
            "a.c/b/ivy-1.xml.original",
            "a.c/b/ivy-1.1.xml.original",
            "a.c/b/ivy-1.1.xml",
            "a.c/b/sources/b-1.1-sources.jar",
            "a.c/b/jars/b-1.jar",
        ]);
        assert_eq!(
            names(&ivy(folder.path())),
            ["a/c/b/1.1/b-1.1-sources.jar", "a/c/b/1.1/b-1.1.pom", "a/c/b/1/b-1.jar", "a/c/b/1/b-1.pom"]
        );
    }
}
