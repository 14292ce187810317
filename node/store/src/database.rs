//! One SQLite file: how it is opened, its writer thread, its readers.

use std::fs::{self, File};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::error::{Fault, StoreError};

/// Writes that may wait for the writer thread before callers wait themselves.
const QUEUE: usize = 64;
/// Read-only connections of one database.
const READERS: usize = 4;
/// How long SQLite waits for another process before [`StoreError::Busy`].
const BUSY: Duration = Duration::from_secs(5);

/// What kind of database a file is.
pub(crate) struct Schema {
    /// File name in the directory of the store.
    pub file_name: &'static str,
    /// `PRAGMA application_id`, so that a file of another program is not taken for ours.
    pub application_id: i32,
    /// `PRAGMA synchronous`: `FULL` or `NORMAL`.
    pub synchronous: &'static str,
    /// SQL that leads from version n (the position in the list) to n + 1. Released steps are never edited.
    pub migrations: &'static [&'static str],
    /// When all of it is looked at before it is used.
    pub whole_check: WholeCheck,
}

/// When every page of a database is read at the start (`PRAGMA quick_check`), which takes seconds for each gigabyte.
///
/// Damage that is found in use makes the next start look at all of it in any case.
pub(crate) enum WholeCheck {
    /// At every start.
    Always,
    /// While the file is no larger than this, in bytes.
    UpTo(u64),
}

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// An open database.
pub(crate) struct Database {
    path: PathBuf,
    /// `None` only while dropping.
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
    readers: Readers,
}

struct Readers {
    path: PathBuf,
    state: Mutex<ReaderState>,
    returned: Condvar,
}

struct ReaderState {
    idle: Vec<Connection>,
    open: usize,
}

impl Database {
    /// Opens or makes the database in a directory and brings it to the latest schema.
    pub(crate) fn open(dir: &Path, schema: &Schema) -> Result<Self, StoreError> {
        fs::create_dir_all(dir).map_err(|source| StoreError::Io {
            action: "create",
            path: dir.to_path_buf(),
            source,
        })?;
        let path = dir.join(schema.file_name);
        let mut connection = open_writer(&path, schema).map_err(|fault| fault.at(&path))?;
        File::open(dir).and_then(|d| d.sync_all()).map_err(|source| StoreError::Io {
            action: "fsync",
            path: dir.to_path_buf(),
            source,
        })?;
        let (jobs, queue) = mpsc::sync_channel::<Job>(QUEUE);
        let thread = std::thread::Builder::new()
            .name(schema.file_name.to_owned())
            .spawn(move || {
                while let Ok(job) = queue.recv() {
                    // A job that panics has dropped its transaction, which rolls back; its caller sees `Stopped`.
                    let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| job(&mut connection)));
                    if outcome.is_err() {
                        tracing::error!("a database job panicked");
                    }
                }
            })
            .map_err(|source| StoreError::Io { action: "start the writer of", path: path.clone(), source })?;
        let readers = Readers {
            path: path.clone(),
            state: Mutex::new(ReaderState { idle: Vec::new(), open: 0 }),
            returned: Condvar::new(),
        };
        Ok(Self { path, jobs: Some(jobs), thread: Some(thread), readers })
    }

    /// The same for a database that may be lost: a damaged one is moved to `NAME.damaged`, and an empty one takes its place.
    /// True if that happened.
    pub(crate) fn open_or_replace(dir: &Path, schema: &Schema) -> Result<(Self, bool), StoreError> {
        match Self::open(dir, schema) {
            Err(StoreError::Corrupt { path, detail }) => {
                tracing::warn!(file.path = %path.display(), error = detail, "damaged database moved aside; beginning anew");
                move_aside(dir, schema.file_name)?;
                Ok((Self::open(dir, schema)?, true))
            }
            other => Ok((other?, false)),
        }
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs a transaction on the writer thread and waits until it is committed. An error rolls it back.
    pub(crate) fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = mpsc::sync_channel(1);
        let job: Job = Box::new(move |connection| {
            // The caller may have gone; the transaction stands all the same.
            let _ = reply.send(in_transaction(connection, work));
        });
        self.jobs.as_ref().ok_or(StoreError::Stopped)?.send(job).map_err(|_| StoreError::Stopped)?;
        answer.recv().map_err(|_| StoreError::Stopped)?.map_err(|fault| told(&self.path, fault))
    }

    /// Looks at every page.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        self.read(quick_check)
    }

    /// Queues a transaction without waiting for it; false if the queue is full. Failures are logged only: for what
    /// may be lost.
    pub(crate) fn try_write_later(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<(), Fault> + Send + 'static,
    ) -> bool {
        let path = self.path.clone();
        let job: Job = Box::new(move |connection| {
            if let Err(fault) = in_transaction(connection, work) {
                tracing::warn!(error = %told(&path, fault), "a write that nobody waits for failed");
            }
        });
        match self.jobs.as_ref().map(|jobs| jobs.try_send(job)) {
            Some(Ok(())) => true,
            Some(Err(TrySendError::Full(_) | TrySendError::Disconnected(_))) | None => false,
        }
    }

    /// Runs queries on one snapshot of the database.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, StoreError> {
        let reader = self.readers.take()?;
        let result = (|| {
            let snapshot = reader.connection().unchecked_transaction()?;
            let value = work(&snapshot)?;
            snapshot.finish()?;
            Ok(value)
        })();
        result.map_err(|fault: Fault| told(&self.path, fault))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Closing the channel lets the thread finish what is queued and end.
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The error for callers. Damage is noted, so that the next start looks at the whole file.
fn told(path: &Path, fault: Fault) -> StoreError {
    let error = fault.at(path);
    if matches!(error, StoreError::Corrupt { .. })
        && let Err(failed) = fs::write(suspicion(path), b"")
    {
        tracing::warn!(error = %failed, "damage was found and could not be noted");
    }
    error
}

fn move_aside(dir: &Path, file_name: &str) -> Result<(), StoreError> {
    for suffix in ["", "-wal", "-shm"] {
        let from = dir.join(format!("{file_name}{suffix}"));
        let to = dir.join(format!("{file_name}.damaged{suffix}"));
        match fs::rename(&from, to) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::Io { action: "move aside", path: from, source: e });
            }
            _ => {}
        }
    }
    // Last: a start that is killed before looks at all of it again.
    let _ = fs::remove_file(suspicion(&dir.join(file_name)));
    Ok(())
}

fn in_transaction<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let value = work(&transaction)?;
    transaction.commit()?;
    Ok(value)
}

pub(crate) fn open_writer(path: &Path, schema: &Schema) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    check_identity(&connection, path, schema)?;
    begin_log(&connection, path)?;
    connection.pragma_update(None, "synchronous", schema.synchronous)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    check_whole(&connection, path, schema)?;
    migrate(&mut connection, path, schema)?;
    Ok(connection)
}

/// What a disk cannot do is no damage: nothing is moved aside on account of it.
fn begin_log(connection: &Connection, path: &Path) -> Result<(), Fault> {
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode == "wal" {
        return Ok(());
    }
    let detail = format!("its file system does not allow one (mode {mode})");
    Err(StoreError::Io {
        action: "begin a write-ahead log for",
        path: path.to_path_buf(),
        source: std::io::Error::new(std::io::ErrorKind::Unsupported, detail),
    }
    .into())
}

/// The file beside a database that says that damage was found in use.
fn suspicion(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".suspect");
    name.into()
}

fn check_whole(connection: &Connection, path: &Path, schema: &Schema) -> Result<(), Fault> {
    let suspicion = suspicion(path);
    let suspect = suspicion.exists();
    let size = fs::metadata(path).map_or(0, |metadata| metadata.len());
    match schema.whole_check {
        WholeCheck::UpTo(most) if size > most && !suspect => return Ok(()),
        WholeCheck::UpTo(_) | WholeCheck::Always => {}
    }
    quick_check(connection)?;
    if suspect {
        let _ = fs::remove_file(suspicion);
    }
    Ok(())
}

fn quick_check(connection: &Connection) -> Result<(), Fault> {
    let health: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if health == "ok" { Ok(()) } else { Err(Fault::Corrupt(health)) }
}

/// Refuses the database of another program, before anything is written to it.
fn check_identity(connection: &Connection, path: &Path, schema: &Schema) -> Result<(), Fault> {
    let found: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let empty = found == 0 && tables == 0;
    if empty || found == schema.application_id {
        return Ok(());
    }
    Err(StoreError::Foreign { path: path.to_path_buf(), found }.into())
}

fn migrate(connection: &mut Connection, path: &Path, schema: &Schema) -> Result<(), Fault> {
    let known = schema.migrations.len() as i64;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > known {
        return Err(StoreError::TooNew { path: path.to_path_buf(), found, known }.into());
    }
    let done = usize::try_from(found).map_err(|_| Fault::Corrupt(format!("its schema version is {found}")))?;
    if (1..known).contains(&found) {
        tracing::info!(file.path = %path.display(), found, known, "bringing a database to the newest schema");
    }
    for step in &schema.migrations[done..] {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", schema.application_id)?;
    transaction.pragma_update(None, "user_version", known)?;
    transaction.commit()?;
    Ok(())
}

impl Readers {
    fn take(&self) -> Result<Reader<'_>, StoreError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(connection) = state.idle.pop() {
                return Ok(Reader { pool: self, connection: Some(connection) });
            }
            if state.open < READERS {
                state.open += 1;
                break;
            }
            state = self.returned.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        // Made before the connection, so that a failure gives the place back.
        let mut reader = Reader { pool: self, connection: None };
        reader.connection = Some(open_reader(&self.path).map_err(|fault| fault.at(&self.path))?);
        Ok(reader)
    }
}

fn open_reader(path: &Path) -> Result<Connection, Fault> {
    // Not read-only at the level of the file: a reader of a write-ahead log takes part in its shared memory.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

/// A connection on loan from the pool.
struct Reader<'a> {
    pool: &'a Readers,
    connection: Option<Connection>,
}

impl Reader<'_> {
    fn connection(&self) -> &Connection {
        // Set by `Readers::take` before a reader leaves it, taken only by `drop`.
        self.connection.as_ref().expect("a reader on loan has its connection")
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let mut state = self.pool.state.lock().unwrap_or_else(PoisonError::into_inner);
        match self.connection.take() {
            Some(connection) => state.idle.push(connection),
            None => state.open -= 1,
        }
        drop(state);
        self.pool.returned.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_without_write_ahead_logs_is_no_damage() {
        // In memory there is no log either.
        let connection = Connection::open_in_memory().unwrap();
        let refused = begin_log(&connection, Path::new("index.db")).err().unwrap().at(Path::new("index.db"));
        assert!(matches!(refused, StoreError::Io { .. }), "{refused}");
        assert!(refused.to_string().contains("write-ahead log for index.db"), "{refused}");
    }
}
