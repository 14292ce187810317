//! The tables of `index.db`, and files as their rows.

use std::collections::HashMap;

use maven_layout::{PathKind, RepoPath};
use pyrsia_digest::{FileDigests, KnownDigests, OtherDigests, Sha256};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use crate::database::{Schema, WholeCheck};
use crate::error::Fault;
use crate::index_types::FileRecord;
use crate::values::{blake3, bound, first, int, md5, optional_uint, sha1, sha256, sha512, uint};

pub(crate) const INDEX: Schema = Schema {
    file_name: "index.db",
    application_id: 0x5059_4958, // "PYIX"
    // Derived: a power cut may cost the last records, never the database.
    synchronous: "NORMAL",
    migrations: &[VERSION_1, VERSION_2, VERSION_3, VERSION_4, VERSION_5],
    whole_check: WholeCheck::UpTo(64 << 20),
};

const VERSION_1: &str = "
CREATE TABLE files (
    path          TEXT PRIMARY KEY,
    group_id      TEXT,               -- these three only for files of a release or snapshot
    artifact_id   TEXT,
    version       TEXT,
    size          INTEGER NOT NULL,
    md5           BLOB NOT NULL CHECK (length(md5) = 16),
    sha1          BLOB NOT NULL CHECK (length(sha1) = 20),
    sha256        BLOB NOT NULL CHECK (length(sha256) = 32),
    sha512        BLOB NOT NULL CHECK (length(sha512) = 64),
    blake3        BLOB NOT NULL CHECK (length(blake3) = 32),
    origin        TEXT NOT NULL,
    verified_by   TEXT NOT NULL,
    last_modified INTEGER,
    first_seen    INTEGER NOT NULL,
    last_use      INTEGER NOT NULL
) STRICT;
CREATE INDEX files_by_release ON files (group_id, artifact_id, version) WHERE group_id IS NOT NULL;
CREATE INDEX files_by_blob ON files (sha256);

CREATE TABLE absent (
    path  TEXT PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX absent_by_end ON absent (until);

CREATE TABLE quarantine (
    path    TEXT NOT NULL,
    sha256  BLOB NOT NULL CHECK (length(sha256) = 32),
    size    INTEGER NOT NULL,
    origin  TEXT NOT NULL,
    reason  TEXT NOT NULL,
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (path, sha256)
) STRICT, WITHOUT ROWID;
";

/// Digests may be missing, all but the one that names the file. SQLite cannot take a NOT NULL back from a column.
const VERSION_2: &str = "
CREATE TABLE files_2 (
    path          TEXT PRIMARY KEY,
    group_id      TEXT,               -- these three only for files of a release or snapshot
    artifact_id   TEXT,
    version       TEXT,
    size          INTEGER NOT NULL,
    md5           BLOB CHECK (length(md5) = 16),    -- these four all or none
    sha1          BLOB CHECK (length(sha1) = 20),
    sha256        BLOB NOT NULL CHECK (length(sha256) = 32),
    sha512        BLOB CHECK (length(sha512) = 64),
    blake3        BLOB CHECK (length(blake3) = 32),
    origin        TEXT NOT NULL,
    verified_by   TEXT NOT NULL,
    last_modified INTEGER,
    first_seen    INTEGER NOT NULL,
    last_use      INTEGER NOT NULL,
    CHECK ((md5 IS NULL) + (sha1 IS NULL) + (sha512 IS NULL) + (blake3 IS NULL) IN (0, 4))
) STRICT;
INSERT INTO files_2 (path, group_id, artifact_id, version, size, md5, sha1, sha256, sha512, blake3, origin, verified_by,
                     last_modified, first_seen, last_use)
    SELECT path, group_id, artifact_id, version, size, md5, sha1, sha256, sha512, blake3, origin, verified_by,
           last_modified, first_seen, last_use FROM files;
DROP TABLE files;
ALTER TABLE files_2 RENAME TO files;
CREATE INDEX files_by_release ON files (group_id, artifact_id, version) WHERE group_id IS NOT NULL;
CREATE INDEX files_by_blob ON files (sha256);
";

/// Bytes that a path had and has no more: only here is it known that they may go.
const VERSION_3: &str = "
CREATE TABLE superseded (
    sha256 BLOB PRIMARY KEY CHECK (length(sha256) = 32),
    size   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// What search and status need, kept by triggers so that no way of changing `files` can forget it. An artifact whose last
/// file is gone stays in the names and is not found, because it has no files.
const VERSION_4: &str = "
CREATE TABLE artifacts (
    id          INTEGER PRIMARY KEY,
    group_id    TEXT NOT NULL,
    artifact_id TEXT NOT NULL,
    files       INTEGER NOT NULL,
    UNIQUE (group_id, artifact_id)
) STRICT;
CREATE INDEX artifacts_by_name ON artifacts (artifact_id, group_id);
CREATE VIRTUAL TABLE artifact_names USING fts5(name, content = '', columnsize = 0, prefix = '2 3');
CREATE TRIGGER artifact_named AFTER INSERT ON artifacts BEGIN
    INSERT INTO artifact_names (rowid, name) VALUES (new.id, new.group_id || ' ' || new.artifact_id);
END;
CREATE TABLE totals (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    files INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT;
INSERT INTO totals SELECT 1, count(*), coalesce(sum(size), 0) FROM files;
INSERT INTO artifacts (group_id, artifact_id, files)
    SELECT group_id, artifact_id, count(*) FROM files WHERE group_id IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2;
CREATE TRIGGER file_added AFTER INSERT ON files BEGIN
    UPDATE totals SET files = files + 1, bytes = bytes + new.size;
    INSERT INTO artifacts (group_id, artifact_id, files) SELECT new.group_id, new.artifact_id, 1
        WHERE new.group_id IS NOT NULL
        ON CONFLICT (group_id, artifact_id) DO UPDATE SET files = files + 1;
END;
CREATE TRIGGER file_changed AFTER UPDATE OF size ON files BEGIN
    UPDATE totals SET bytes = bytes + new.size - old.size;
END;
CREATE TRIGGER file_removed AFTER DELETE ON files BEGIN
    UPDATE totals SET files = files - 1, bytes = bytes - old.size;
    UPDATE artifacts SET files = files - 1 WHERE group_id = old.group_id AND artifact_id = old.artifact_id;
END;
CREATE INDEX files_by_sha1 ON files (sha1) WHERE sha1 IS NOT NULL;
";

/// Files of no release are few among millions, and asked for by themselves. A row whose path is understood in another way than
/// by the program that wrote it moves to another artifact.
const VERSION_5: &str = "
CREATE INDEX files_of_no_release ON files (path) WHERE group_id IS NULL;
CREATE TRIGGER file_moved AFTER UPDATE OF group_id, artifact_id ON files
    WHEN new.group_id IS NOT old.group_id OR new.artifact_id IS NOT old.artifact_id
BEGIN
    UPDATE artifacts SET files = files - 1 WHERE group_id = old.group_id AND artifact_id = old.artifact_id;
    INSERT INTO artifacts (group_id, artifact_id, files) SELECT new.group_id, new.artifact_id, 1
        WHERE new.group_id IS NOT NULL
        ON CONFLICT (group_id, artifact_id) DO UPDATE SET files = files + 1;
END;
";

pub(crate) const FILE_COLUMNS: &str =
    "path, size, md5, sha1, sha256, sha512, blake3, origin, verified_by, last_modified, first_seen, last_use";

pub(crate) fn file(db: &Connection, path: &RepoPath) -> Result<Option<FileRecord>, Fault> {
    let mut query = db.prepare_cached(&format!("SELECT {FILE_COLUMNS} FROM files WHERE path = ?1"))?;
    first(query.query([path.as_str()])?, record)
}

pub(crate) fn insert(db: &Connection, record: &FileRecord) -> Result<(), Fault> {
    let release = match record.path.kind() {
        PathKind::Artifact { coordinates, .. } => Some(coordinates),
        _ => None,
    };
    let digests = &record.digests;
    let others = digests.others.as_ref();
    supersede(db, &record.path, Some(&digests.sha256))?;
    let is_other = release.is_some() && has_others(db, &record.path, &digests.sha256)?;
    db.prepare_cached(
        // Not `OR REPLACE`, which fires no trigger for the row that it removes.
        "INSERT INTO files (path, group_id, artifact_id, version, size, md5, sha1, sha256, sha512, blake3,
                            origin, verified_by, last_modified, first_seen, last_use)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
         ON CONFLICT (path) DO UPDATE SET
            group_id = excluded.group_id, artifact_id = excluded.artifact_id, version = excluded.version,
            size = excluded.size, md5 = excluded.md5, sha1 = excluded.sha1, sha256 = excluded.sha256,
            sha512 = excluded.sha512, blake3 = excluded.blake3, origin = excluded.origin,
            verified_by = excluded.verified_by, last_modified = excluded.last_modified,
            first_seen = excluded.first_seen, last_use = excluded.last_use",
    )?
    .execute((
        record.path.as_str(),
        release.as_ref().map(|c| c.group.as_str()),
        release.as_ref().map(|c| c.artifact.as_str()),
        release.as_ref().map(|c| c.version.as_str()),
        int(digests.size)?,
        others.map(|others| others.md5.as_bytes()),
        others.map(|others| others.sha1.as_bytes()),
        digests.sha256.as_bytes(),
        others.map(|others| others.sha512.as_bytes()),
        others.map(|others| others.blake3.as_bytes()),
        &record.origin,
        &record.verified_by,
        record.last_modified.map(int).transpose()?,
        int(record.first_seen)?,
        int(record.last_use)?,
    ))?;
    if is_other {
        // Other bytes of a release or snapshot came now, whatever the path had before: who looks at what came sees them.
        db.prepare_cached("UPDATE files SET rowid = (SELECT max(rowid) + 1 FROM files) WHERE path = ?1")?
            .execute([record.path.as_str()])?;
    }
    db.prepare_cached("DELETE FROM absent WHERE path = ?1")?.execute([record.path.as_str()])?;
    Ok(())
}

/// Whether a path has bytes, and not these.
fn has_others(db: &Connection, path: &RepoPath, sha256: &Sha256) -> Result<bool, Fault> {
    let mut query = db.prepare_cached("SELECT 1 FROM files WHERE path = ?1 AND sha256 <> ?2")?;
    Ok(query.exists((path.as_str(), sha256.as_bytes()))?)
}

/// Notes that a path loses the bytes that it has, unless they are these.
pub(crate) fn supersede(db: &Connection, path: &RepoPath, by: Option<&Sha256>) -> Result<(), Fault> {
    db.prepare_cached(
        "INSERT OR IGNORE INTO superseded (sha256, size) SELECT sha256, size FROM files WHERE path = ?1 AND sha256 IS NOT ?2",
    )?
    .execute((path.as_str(), by.map(|by| by.as_bytes())))?;
    Ok(())
}

/// Sets the digests that were missing, under every path that has these bytes.
pub(crate) fn complete(db: &Connection, all: &FileDigests) -> Result<(), Fault> {
    db.prepare_cached(
        "UPDATE files SET md5 = ?1, sha1 = ?2, sha512 = ?3, blake3 = ?4 WHERE sha256 = ?5 AND md5 IS NULL",
    )?
    .execute((
        all.md5.as_bytes(),
        all.sha1.as_bytes(),
        all.sha512.as_bytes(),
        all.blake3.as_bytes(),
        all.sha256.as_bytes(),
    ))?;
    Ok(())
}

pub(crate) fn write_touches(db: &Connection, batch: &HashMap<RepoPath, u64>) -> Result<(), Fault> {
    let mut update = db.prepare_cached("UPDATE files SET last_use = max(last_use, ?2) WHERE path = ?1")?;
    for (path, used) in batch {
        update.execute((path.as_str(), bound(*used)))?;
    }
    Ok(())
}

/// Compares what triggers keep with the files themselves and puts it right; true if anything was wrong. Looks at every row.
pub(crate) fn recount(db: &Connection) -> Result<bool, Fault> {
    // A database that lost the row has one of nothing.
    db.execute("INSERT OR IGNORE INTO totals VALUES (1, 0, 0)", [])?;
    let totals = db.execute(
        "UPDATE totals SET files = f, bytes = b FROM (SELECT count(*) AS f, coalesce(sum(size), 0) AS b FROM files)
         WHERE files <> f OR bytes <> b",
        [],
    )?;
    db.execute_batch(
        "CREATE TEMP TABLE counted AS
         SELECT group_id, artifact_id, count(*) AS n FROM files WHERE group_id IS NOT NULL GROUP BY 1, 2;
         CREATE UNIQUE INDEX temp.counted_by_name ON counted (group_id, artifact_id);",
    )?;
    let changed = db.execute(
        "UPDATE artifacts SET files = coalesce((SELECT n FROM counted AS c
             WHERE c.group_id = artifacts.group_id AND c.artifact_id = artifacts.artifact_id), 0)
         WHERE files <> coalesce((SELECT n FROM counted AS c
             WHERE c.group_id = artifacts.group_id AND c.artifact_id = artifacts.artifact_id), 0)",
        [],
    )?;
    let added = db.execute(
        "INSERT INTO artifacts (group_id, artifact_id, files) SELECT group_id, artifact_id, n FROM counted WHERE true
         ON CONFLICT (group_id, artifact_id) DO NOTHING",
        [],
    )?;
    db.execute_batch("DROP TABLE temp.counted")?;
    Ok(totals + changed + added > 0)
}

pub(crate) fn record(row: &Row<'_>) -> Result<FileRecord, Fault> {
    Ok(FileRecord {
        path: parsed(row, 0)?,
        digests: KnownDigests { size: uint(row, 1)?, sha256: sha256(row, 4)?, others: others(row)? },
        origin: row.get(7)?,
        verified_by: row.get(8)?,
        last_modified: optional_uint(row, 9)?,
        first_seen: uint(row, 10)?,
        last_use: uint(row, 11)?,
    })
}

fn others(row: &Row<'_>) -> Result<Option<OtherDigests>, Fault> {
    if row.get_ref(2)? == ValueRef::Null {
        return Ok(None);
    }
    Ok(Some(OtherDigests { md5: md5(row, 2)?, sha1: sha1(row, 3)?, sha512: sha512(row, 5)?, blake3: blake3(row, 6)? }))
}

pub(crate) fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(row: &Row<'_>, column: usize) -> Result<T, Fault> {
    let text: String = row.get(column)?;
    text.parse().map_err(|e| Fault::Corrupt(format!("`{text}`: {e}")))
}
