//! Finding releases among the files of the index. What a question costs is bounded by how much of the answer is wanted, not
//! by how much there is.

use maven_layout::{ArtifactId, GroupId, RepoPath};
use pyrsia_digest::{Sha1, Sha256};

use crate::error::StoreError;
use crate::index::IndexStore;
use crate::index_rows::{FILE_COLUMNS, parsed, record};
use crate::index_types::FileRecord;
use crate::values::{bound, collect, first, optional_uint, sha256, uint};

/// Artifacts are counted up to here; a total of this many means "at least".
pub const COUNTED: u64 = 1_000;
/// Files of one artifact that are looked at.
const MAX_FILES: i64 = 20_000;
/// Files with one SHA-1 that are told.
const MAX_SAME: i64 = 100;

/// Which artifacts are looked for: all parts that are given hold. Without any, every artifact.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArtifactFilter {
    /// The group.
    pub group: Option<GroupId>,
    /// The artifact.
    pub artifact: Option<ArtifactId>,
    /// Beginnings of words of the group or the artifact; letters and digits make words.
    pub words: Vec<String>,
}

/// A part of what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<T> {
    /// How many there are, at most [`COUNTED`].
    pub total: u64,
    /// The part that was asked for.
    pub items: Vec<T>,
}

/// A file of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseFile {
    /// Where it lies.
    pub path: RepoPath,
    /// When it was first seen, seconds since 1970.
    pub first_seen: u64,
}

impl IndexStore {
    /// Artifacts of which some file is here, by group and artifact; at most `max` after `skip`.
    ///
    /// # Errors
    /// Errors of SQLite; so for all methods below.
    pub fn artifacts(
        &self,
        filter: &ArtifactFilter,
        skip: u64,
        max: u64,
    ) -> Result<Found<(GroupId, ArtifactId)>, StoreError> {
        let words = filter.words.iter().map(|word| matching(word)).collect::<Vec<_>>().join(" AND ");
        // Words decide the order in which artifacts are met, so that a page costs no sorting of all of them.
        let (from, order) = if words.is_empty() {
            ("artifacts", if filter.artifact.is_some() { "group_id" } else { "group_id, artifact_id" })
        } else {
            ("artifact_names JOIN artifacts ON artifacts.id = artifact_names.rowid", "artifact_names.rowid")
        };
        let mut conditions = vec!["artifacts.files > 0"];
        conditions.extend((!words.is_empty()).then_some("artifact_names MATCH :words"));
        conditions.extend(filter.group.is_some().then_some("artifacts.group_id = :group"));
        conditions.extend(filter.artifact.is_some().then_some("artifacts.artifact_id = :artifact"));
        let body = format!("FROM {from} WHERE {}", conditions.join(" AND "));
        self.inner.db.read(|db| {
            let mut bind: Vec<(&str, &dyn rusqlite::ToSql)> = Vec::new();
            let (group, artifact) = (
                filter.group.as_ref().map(|group| group.as_str().to_owned()),
                filter.artifact.as_ref().map(|artifact| artifact.as_str().to_owned()),
            );
            if !words.is_empty() {
                bind.push((":words", &words));
            }
            if let Some(group) = &group {
                bind.push((":group", group));
            }
            if let Some(artifact) = &artifact {
                bind.push((":artifact", artifact));
            }
            let mut count = db.prepare_cached(&format!("SELECT count(*) FROM (SELECT 1 {body} LIMIT {COUNTED})"))?;
            let total = first(count.query(bind.as_slice())?, |row| uint(row, 0))?.unwrap_or_default();
            let (skip, max) = (bound(skip.min(COUNTED)), bound(max.min(COUNTED)));
            bind.push((":skip", &skip));
            bind.push((":max", &max));
            let mut page = db.prepare_cached(&format!(
                "SELECT artifacts.group_id, artifacts.artifact_id {body} ORDER BY {order} LIMIT :max OFFSET :skip"
            ))?;
            let items = collect(page.query(bind.as_slice())?, |row| Ok((parsed(row, 0)?, parsed(row, 1)?)))?;
            Ok(Found { total, items })
        })
    }

    /// The files of an artifact that are here, of all its versions, at most 20,000.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn files_of(&self, group: &GroupId, artifact: &ArtifactId) -> Result<Vec<ReleaseFile>, StoreError> {
        self.inner.db.read(|db| {
            let mut query = db.prepare_cached(
                "SELECT path, first_seen FROM files WHERE group_id = ?1 AND artifact_id = ?2 LIMIT ?3",
            )?;
            collect(query.query((group.as_str(), artifact.as_str(), MAX_FILES))?, |row| {
                Ok(ReleaseFile { path: parsed(row, 0)?, first_seen: uint(row, 1)? })
            })
        })
    }

    /// The paths under which these bytes are here, at most 100.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn paths_of(&self, sha256: &Sha256) -> Result<Vec<RepoPath>, StoreError> {
        self.inner.db.read(|db| {
            let mut query = db.prepare_cached("SELECT path FROM files WHERE sha256 = ?1 LIMIT ?2")?;
            collect(query.query((sha256.as_bytes(), MAX_SAME))?, |row| parsed(row, 0))
        })
    }

    /// At most `max` files of releases that came after the one of this number, in the order in which they came; with the number
    /// of the last one. A file that took the place of another one, as those of snapshots may, came when it did. Numbers begin
    /// anew with the index, and a document that is removed leaves its number to whatever comes next: so only the numbers of
    /// files of releases are told.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn came_after(&self, number: u64, max: u64) -> Result<(u64, Vec<(RepoPath, Sha256)>), StoreError> {
        self.inner.db.read(|db| {
            let mut newest = db.prepare_cached("SELECT max(rowid) FROM files")?;
            let newest = first(newest.query([])?, |row| optional_uint(row, 0))?.flatten().unwrap_or_default();
            let after = if number > newest { 0 } else { number };
            let mut query = db.prepare_cached(
                "SELECT rowid, path, sha256 FROM files WHERE rowid > ?1 AND group_id IS NOT NULL ORDER BY rowid LIMIT ?2",
            )?;
            let rows = collect(query.query((bound(after), bound(max)))?, |row| {
                Ok((uint(row, 0)?, parsed(row, 1)?, sha256(row, 2)?))
            })?;
            let last = rows.last().map_or(after, |(number, ..)| *number);
            Ok((last, rows.into_iter().map(|(_, path, sha256)| (path, sha256)).collect()))
        })
    }

    /// The files with this SHA-1, at most 100.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn by_sha1(&self, sha1: &Sha1) -> Result<Vec<FileRecord>, StoreError> {
        self.inner.db.read(|db| {
            let mut query = db.prepare_cached(&format!("SELECT {FILE_COLUMNS} FROM files WHERE sha1 = ?1 LIMIT ?2"))?;
            collect(query.query((sha1.as_bytes(), MAX_SAME))?, record)
        })
    }
}

/// The beginning of a word in the language of FTS5: quoted, so that nothing in it is an operator.
fn matching(word: &str) -> String {
    format!("\"{}\" *", word.replace('"', "\"\""))
}

#[cfg(test)]
#[path = "search_tests.rs"]
mod tests;
