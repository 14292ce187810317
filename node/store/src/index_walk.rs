//! Questions about many files at once: what lies below a folder, which groups there are, when bytes were last used.

use maven_layout::{GroupId, RepoPath};
use pyrsia_digest::Sha256;

use crate::error::StoreError;
use crate::index::IndexStore;
use crate::index_rows::parsed;
use crate::ledger::MAX_ROWS;
use crate::values::{collect, first, optional_uint, sha256};

/// How a walk goes on after a file, see [`IndexStore::walk_below`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Walk {
    /// With the next file.
    Next,
    /// Behind everything that shares the first so many bytes of the file's path and a slash after them.
    PastFolder(usize),
    /// Not at all.
    Stop,
}

impl IndexStore {
    /// Shows the files below a folder (none: of the whole repository) in the order of their paths. Folders that are passed over
    /// cost one step in the database, however many files are in them.
    ///
    /// # Errors
    /// Errors of SQLite; so for all methods of this file.
    pub fn walk_below(
        &self,
        folder: Option<&RepoPath>,
        mut visit: impl FnMut(&RepoPath, &Sha256) -> Walk,
    ) -> Result<(), StoreError> {
        let (mut from, end) = match folder {
            Some(folder) => (format!("{folder}/"), behind(folder.as_str())),
            // Beyond every path: no UTF-8 begins with this character's successor.
            None => (String::new(), char::MAX.to_string()),
        };
        self.db().read(|db| {
            let mut query =
                db.prepare_cached("SELECT path, sha256 FROM files WHERE path >= ?1 AND path < ?2 ORDER BY path")?;
            loop {
                let mut next = None;
                let mut rows = query.query((&from, &end))?;
                while let Some(row) = rows.next()? {
                    let path: RepoPath = parsed(row, 0)?;
                    match visit(&path, &sha256(row, 1)?) {
                        Walk::Next => {}
                        Walk::PastFolder(length) => {
                            next = Some(behind(path.as_str().get(..length).unwrap_or(path.as_str())));
                            break;
                        }
                        Walk::Stop => return Ok(()),
                    }
                }
                match next {
                    // A walk never goes back, whatever its visitor says.
                    Some(next) if next > from => from = next,
                    _ => return Ok(()),
                }
            }
        })
    }

    /// The groups of which some file of a release is known, at most `max`.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn groups(&self, max: usize) -> Result<Vec<GroupId>, StoreError> {
        self.db().read(|db| {
            let mut query = db.prepare_cached("SELECT DISTINCT group_id FROM artifacts WHERE files > 0 LIMIT ?1")?;
            collect(query.query([i64::try_from(max).unwrap_or(i64::MAX)])?, |row| parsed(row, 0))
        })
    }

    /// Paths of files that belong to no release (documents, catalogues), after `after`, at most [`MAX_ROWS`].
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn of_no_release(&self, after: Option<&RepoPath>) -> Result<Vec<RepoPath>, StoreError> {
        self.db().read(|db| {
            let mut query = db
                .prepare_cached("SELECT path FROM files WHERE path > ?1 AND group_id IS NULL ORDER BY path LIMIT ?2")?;
            collect(query.query((after.map_or("", |path| path.as_str()), MAX_ROWS as i64))?, |row| parsed(row, 0))
        })
    }

    /// When bytes were last used under any path, seconds since 1970; none if no path has them.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn last_use_of(&self, digest: &Sha256) -> Result<Option<u64>, StoreError> {
        self.db().read(|db| {
            let mut query = db.prepare_cached("SELECT max(last_use) FROM files WHERE sha256 = ?1")?;
            Ok(first(query.query([digest.as_bytes()])?, |row| optional_uint(row, 0))?.flatten())
        })
    }
}

/// The first text that is behind everything below a folder: the slash's successor in its place.
fn behind(folder: &str) -> String {
    format!("{folder}0")
}

#[cfg(test)]
mod tests {
    use pyrsia_digest::FileDigests;

    use super::*;
    use crate::FileRecord;

    fn index(paths: &[&str]) -> (IndexStore, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let index = IndexStore::open(dir.path()).unwrap();
        for (at, path) in paths.iter().enumerate() {
            let record = FileRecord {
                path: path.parse().unwrap(),
                digests: FileDigests::of(path.as_bytes()).into(),
                origin: "here".to_owned(),
                verified_by: String::new(),
                last_modified: None,
                first_seen: 1,
                last_use: 10 + at as u64,
            };
            index.put_file(record).unwrap();
        }
        (index, dir)
    }

    fn children(index: &IndexStore, folder: Option<&str>) -> (Vec<String>, usize) {
        let folder: Option<RepoPath> = folder.map(|folder| folder.parse().unwrap());
        let begin = folder.as_ref().map_or(0, |folder| folder.as_str().len() + 1);
        let (mut found, mut visited) = (Vec::new(), 0);
        index
            .walk_below(folder.as_ref(), |path, _| {
                visited += 1;
                let rest = &path.as_str()[begin..];
                match rest.find('/') {
                    Some(at) => {
                        found.push(rest[..=at].to_owned());
                        Walk::PastFolder(begin + at)
                    }
                    None => {
                        found.push(rest.to_owned());
                        Walk::Next
                    }
                }
            })
            .unwrap();
        (found, visited)
    }

    #[test]
    fn a_folder_is_walked_in_as_many_steps_as_it_has_children() {
        let paths = [
            "a/b/1.0/b-1.0.jar",
            "a/b/1.0/b-1.0.pom",
            "a/b/1.0-x/b-1.0-x.jar",
            "a/b/1.00/b-1.00.jar",
            "a/b/maven-metadata.xml",
            "a/b-c/1/b-c-1.jar",
            "a/b0/1/b0-1.jar",
            "z.xml",
        ];
        let (index, _dir) = index(&paths);
        assert_eq!(children(&index, None), (vec!["a/".to_owned(), "z.xml".to_owned()], 2));
        assert_eq!(children(&index, Some("a")), (["b-c/", "b/", "b0/"].map(str::to_owned).to_vec(), 3));
        let versions = ["1.0-x/", "1.0/", "1.00/", "maven-metadata.xml"].map(str::to_owned).to_vec();
        assert_eq!(children(&index, Some("a/b")), (versions, 4));
        assert_eq!(children(&index, Some("a/b/1.0")).0, ["b-1.0.jar", "b-1.0.pom"]);
        assert_eq!(children(&index, Some("nothing")).0, Vec::<String>::new());
    }

    #[test]
    fn groups_strays_and_times() {
        let (index, _dir) =
            index(&["a/b/1.0/b-1.0.jar", "a/c/1.0/c-1.0.jar", "d/e/f/2/f-2.pom", "d/maven-metadata.xml"]);
        let mut groups: Vec<String> = index.groups(9).unwrap().iter().map(ToString::to_string).collect();
        groups.sort();
        assert_eq!(groups, ["a", "d.e"]);
        assert_eq!(index.groups(1).unwrap().len(), 1);
        let strays = index.of_no_release(None).unwrap();
        assert_eq!(strays.iter().map(|path| path.as_str()).collect::<Vec<_>>(), ["d/maven-metadata.xml"]);
        assert!(index.of_no_release(strays.last()).unwrap().is_empty());
        assert_eq!(index.last_use_of(&Sha256::of(b"d/e/f/2/f-2.pom")).unwrap(), Some(12));
        assert_eq!(index.last_use_of(&Sha256::of(b"unknown")).unwrap(), None);
    }
}
