//! `classes.db`: which classes are in which JARs, for searches. Derived: without it the JARs are looked into again.

use std::path::Path;
use std::sync::Arc;

use maven_layout::RepoPath;
use pyrsia_digest::Sha256;
use rusqlite::Connection;

use crate::database::{Database, Schema, WholeCheck};
use crate::error::{Fault, StoreError};
use crate::index_rows::parsed;
use crate::values::{bound, collect, first, int, sha256, uint};

const CLASSES: Schema = Schema {
    file_name: "classes.db",
    application_id: 0x5059_434c, // "PYCL"
    // Derived: a power cut may cost the last JARs, never the database.
    synchronous: "NORMAL",
    migrations: &[VERSION_1, VERSION_2],
    whole_check: WholeCheck::UpTo(64 << 20),
};

const VERSION_1: &str = "
CREATE TABLE jars (                   -- those that were looked into, whatever was found
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    sha256  BLOB NOT NULL UNIQUE CHECK (length(sha256) = 32),
    classes INTEGER NOT NULL
) STRICT;
CREATE TABLE packages (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE         -- org.acme.lib; empty for classes without a package
) STRICT;
CREATE TABLE classes (
    name    TEXT NOT NULL COLLATE NOCASE,
    package INTEGER NOT NULL,
    jar     INTEGER NOT NULL,
    PRIMARY KEY (name, package, jar)
) STRICT, WITHOUT ROWID;
CREATE INDEX classes_by_jar ON classes (jar);
CREATE TABLE progress (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    seen INTEGER NOT NULL,            -- files of the index up to here were looked at
    held INTEGER NOT NULL             -- classes of all jars
) STRICT;
INSERT INTO progress VALUES (1, 0, 0);
";

/// Where native JARs lie: the index knows of them only once somebody has asked for them, and in the ledger they would have to be
/// looked for among all verdicts.
const VERSION_2: &str = "
CREATE TABLE places (
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    path   TEXT NOT NULL,
    PRIMARY KEY (sha256, path)
) STRICT, WITHOUT ROWID;
";

/// Classes that are kept: beyond this the JARs that were looked into first go.
const MOST_CLASSES: u64 = 5_000_000;
/// JARs that one search tells.
const MAX_JARS: i64 = 2_000;
/// Places of one JAR that are told.
const MAX_PLACES: i64 = 100;

/// A class: its package (`org.acme`, empty without one) and its name in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClassName {
    /// The package.
    pub package: String,
    /// The name.
    pub name: String,
}

/// The classes. Clones share them.
#[derive(Clone)]
pub struct ClassStore {
    db: Arc<Database>,
    most: u64,
}

impl ClassStore {
    /// Opens `classes.db` in a directory, making both if needed. A damaged one is moved to `classes.db.damaged`, and an empty
    /// one takes its place.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_with(dir, MOST_CLASSES)
    }

    fn open_with(dir: impl AsRef<Path>, most: u64) -> Result<Self, StoreError> {
        let (db, _) = Database::open_or_replace(dir.as_ref(), &CLASSES)?;
        Ok(Self { db: Arc::new(db), most })
    }

    /// Up to which file of the index JARs were looked for.
    ///
    /// # Errors
    /// Errors of SQLite; so for all methods below.
    pub fn seen(&self) -> Result<u64, StoreError> {
        self.db.read(|db| {
            let mut query = db.prepare_cached("SELECT seen FROM progress")?;
            Ok(first(query.query([])?, |row| uint(row, 0))?.unwrap_or_default())
        })
    }

    /// Notes up to where JARs were looked for.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn set_seen(&self, seen: u64) -> Result<(), StoreError> {
        self.db.write(move |db| {
            db.prepare_cached("UPDATE progress SET seen = ?1")?.execute([int(seen)?])?;
            Ok(())
        })
    }

    /// Whether a JAR was looked into.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn knows(&self, jar: &Sha256) -> Result<bool, StoreError> {
        self.db.read(|db| Ok(db.prepare_cached("SELECT 1 FROM jars WHERE sha256 = ?1")?.exists([jar.as_bytes()])?))
    }

    /// Notes the classes of a JAR, none for one without or one that cannot be read. Those that were looked into first make
    /// room.
    ///
    /// # Errors
    /// Errors of SQLite; then nothing of it is stored.
    pub fn put(&self, jar: &Sha256, classes: Vec<ClassName>) -> Result<(), StoreError> {
        let (jar, most) = (*jar, self.most);
        self.db.write(move |db| {
            if db.prepare_cached("SELECT 1 FROM jars WHERE sha256 = ?1")?.exists([jar.as_bytes()])? {
                return Ok(());
            }
            let count = classes.len() as u64;
            db.prepare_cached("INSERT INTO jars (sha256, classes) VALUES (?1, ?2)")?
                .execute((jar.as_bytes(), int(count)?))?;
            let id = db.last_insert_rowid();
            let mut known = db.prepare_cached("SELECT id FROM packages WHERE name = ?1")?;
            let mut package = db.prepare_cached("INSERT INTO packages (name) VALUES (?1)")?;
            let mut class =
                db.prepare_cached("INSERT OR IGNORE INTO classes (name, package, jar) VALUES (?1, ?2, ?3)")?;
            for ClassName { package: of, name } in &classes {
                let of = match first(known.query([of])?, |row| Ok(row.get::<_, i64>(0)?))? {
                    Some(id) => id,
                    None => package.insert([of])?,
                };
                class.execute((name, of, id))?;
            }
            db.prepare_cached("UPDATE progress SET held = held + ?1")?.execute([int(count)?])?;
            make_room(db, most, id)
        })
    }

    /// The JARs with a class of this name, in any letter case; of a package, if one is named. At most 2,000, those that were
    /// looked into last first.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn jars_with(&self, name: &str, package: Option<&str>) -> Result<Vec<Sha256>, StoreError> {
        self.db.read(|db| {
            let mut query = db.prepare_cached(
                "SELECT jars.sha256 FROM classes JOIN jars ON jars.id = classes.jar
                 JOIN packages ON packages.id = classes.package
                 WHERE classes.name = ?1 AND (?2 IS NULL OR packages.name = ?2 COLLATE NOCASE)
                 GROUP BY jars.id ORDER BY jars.id DESC LIMIT ?3",
            )?;
            collect(query.query((name, package, MAX_JARS))?, |row| sha256(row, 0))
        })
    }

    /// Notes where JARs lie of which the index may not know.
    ///
    /// # Errors
    /// Errors of SQLite; then none of them is noted.
    pub fn put_places(&self, places: Vec<(Sha256, RepoPath)>) -> Result<(), StoreError> {
        self.db.write(move |db| {
            let mut place = db.prepare_cached("INSERT OR IGNORE INTO places (sha256, path) VALUES (?1, ?2)")?;
            for (jar, path) in &places {
                place.execute((jar.as_bytes(), path.as_str()))?;
            }
            Ok(())
        })
    }

    /// Where a JAR was noted to lie, at most 100 paths. What was noted is never taken back: whoever asks knows whether it still
    /// holds.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn places_of(&self, jar: &Sha256) -> Result<Vec<RepoPath>, StoreError> {
        self.db.read(|db| {
            let mut query = db.prepare_cached("SELECT path FROM places WHERE sha256 = ?1 ORDER BY path LIMIT ?2")?;
            collect(query.query((jar.as_bytes(), MAX_PLACES))?, |row| parsed(row, 0))
        })
    }

    /// Runs synchronous calls on a blocking thread, for asynchronous callers.
    ///
    /// # Errors
    /// Those of `work`; [`StoreError::Stopped`] when the runtime is shutting down.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.clone();
        tokio::task::spawn_blocking(move || work(&store)).await.map_err(|_| StoreError::Stopped)?
    }
}

/// Forgets the classes of the JARs that were looked into first. That they were looked into stays known, so that they do not come
/// back and push out others.
fn make_room(db: &Connection, most: u64, newest: i64) -> Result<(), Fault> {
    loop {
        let mut query = db.prepare_cached("SELECT held FROM progress")?;
        let held = first(query.query([])?, |row| uint(row, 0))?.unwrap_or_default();
        if held <= most {
            return Ok(());
        }
        let mut oldest =
            db.prepare_cached("SELECT id, classes FROM jars WHERE classes > 0 AND id < ?1 ORDER BY id LIMIT 1")?;
        let Some((id, count)) = first(oldest.query([newest])?, |row| Ok((row.get::<_, i64>(0)?, uint(row, 1)?)))?
        else {
            return Ok(());
        };
        db.prepare_cached("DELETE FROM classes WHERE jar = ?1")?.execute([id])?;
        db.prepare_cached("UPDATE jars SET classes = 0 WHERE id = ?1")?.execute([id])?;
        db.prepare_cached("UPDATE progress SET held = max(0, held - ?1)")?.execute([bound(count)])?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(names: &[(&str, &str)]) -> Vec<ClassName> {
        let class = |(package, name): &(&str, &str)| ClassName { package: (*package).into(), name: (*name).into() };
        names.iter().map(class).collect()
    }

    #[test]
    fn a_class_is_found_by_its_name_in_any_case_and_by_its_package() {
        let dir = tempfile::tempdir().unwrap();
        let store = ClassStore::open(dir.path()).unwrap();
        let (one, two) = (Sha256::of(b"one"), Sha256::of(b"two"));
        store.put(&one, classes(&[("org.acme", "Main"), ("org.acme", "Main"), ("", "Bare")])).unwrap();
        store.put(&two, classes(&[("com.example", "Main"), ("org.acme", "Mainly")])).unwrap();
        assert_eq!(store.jars_with("main", None).unwrap(), [two, one]);
        assert_eq!(store.jars_with("Main", Some("org.acme")).unwrap(), [one]);
        assert_eq!(store.jars_with("Bare", Some("")).unwrap(), [one]);
        assert!(store.jars_with("Mai", None).unwrap().is_empty() && store.jars_with("%", None).unwrap().is_empty());
        assert!(store.knows(&one).unwrap() && !store.knows(&Sha256::of(b"three")).unwrap());
        // The same again changes nothing.
        store.put(&one, classes(&[("x", "Y")])).unwrap();
        assert!(store.jars_with("Y", None).unwrap().is_empty());
        store.set_seen(7).unwrap();
        drop(store);
        assert_eq!(ClassStore::open(dir.path()).unwrap().seen().unwrap(), 7);
    }

    #[test]
    fn where_a_jar_lies_is_noted_once() {
        let dir = tempfile::tempdir().unwrap();
        let store = ClassStore::open(dir.path()).unwrap();
        let (one, two) = (Sha256::of(b"one"), Sha256::of(b"two"));
        let [a, b]: [RepoPath; 2] = ["a/b/1/b-1.jar", "a/b/2/b-2.jar"].map(|path| path.parse().unwrap());
        store.put_places(vec![(one, b.clone()), (one, a.clone()), (two, b.clone())]).unwrap();
        store.put_places(vec![(one, a.clone())]).unwrap();
        assert_eq!(store.places_of(&one).unwrap(), [a, b.clone()]);
        assert_eq!(store.places_of(&two).unwrap(), [b]);
        assert!(store.places_of(&Sha256::of(b"three")).unwrap().is_empty());
    }

    #[test]
    fn the_first_jars_make_room_and_do_not_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let store = ClassStore::open_with(dir.path(), 5).unwrap();
        let jars: Vec<Sha256> = (0..4u8).map(|at| Sha256::of(&[at])).collect();
        for (at, jar) in jars.iter().enumerate() {
            store.put(jar, classes(&[("p", "Same"), ("p", &format!("Own{at}"))])).unwrap();
        }
        assert_eq!(store.jars_with("Same", None).unwrap(), [jars[3], jars[2]]);
        assert!(store.knows(&jars[0]).unwrap());
        // One JAR with more than there is room for is held all the same, alone.
        let many: Vec<_> = (0..9).map(|at| ClassName { package: "q".into(), name: format!("C{at}") }).collect();
        store.put(&Sha256::of(b"large"), many).unwrap();
        assert!(store.jars_with("Same", None).unwrap().is_empty());
        assert_eq!(store.jars_with("C8", None).unwrap().len(), 1);
    }
}
