//! What can go wrong with a database.

use std::path::PathBuf;

use rusqlite::ErrorCode;

/// Failures of the stores.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A directory cannot be made or a file cannot be moved.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or directory concerned.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// The database is damaged, or is no SQLite database at all. It was not changed.
    #[error("{} is damaged: {detail}", path.display())]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What was found, in SQLite's words or ours.
        detail: String,
    },
    /// The file is a database of something else.
    #[error("{} is a database of another program (application id {found:#x})", path.display())]
    Foreign {
        /// The database.
        path: PathBuf,
        /// The application id found in its header.
        found: i32,
    },
    /// The database was written by a later release of this program.
    #[error("{} has schema version {found}; this release reads up to {known}: use the newer release", path.display())]
    TooNew {
        /// The database.
        path: PathBuf,
        /// Schema version found.
        found: i64,
        /// Latest schema version that this release knows.
        known: i64,
    },
    /// Another process holds the database.
    #[error("{} is in use by another process", path.display())]
    Busy {
        /// The database.
        path: PathBuf,
    },
    /// The disk is full or a quota is used up; nothing was written.
    #[error("no room to write {}: free some space and try again", path.display())]
    DiskFull {
        /// The database.
        path: PathBuf,
    },
    /// Any other refusal of SQLite.
    #[error("{}: {source}", path.display())]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// SQLite's error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Something else is stored under this batch number or block hash already: the two histories cannot both be true.
    #[error("{what} is stored already, with different content")]
    Conflict {
        /// What the key is, e.g. `batch 7 of session 2`.
        what: String,
    },
    /// A record does not follow the last stored one.
    #[error("{what} is {found}, but the stored ledger continues with {expected}")]
    OutOfOrder {
        /// Which number is wrong: `block height`, `leaf index`, `batch`.
        what: &'static str,
        /// What the stored ledger continues with.
        expected: String,
        /// What the record says.
        found: String,
    },
    /// A number is above 2^63 - 1, the largest that SQLite stores.
    #[error("{0} is too large for the database")]
    OutOfRange(u64),
    /// The writer thread or the runtime is gone; the store must be opened again.
    #[error("the database's writer has stopped")]
    Stopped,
}

/// Failure inside a transaction, before the path of the database is added.
pub(crate) enum Fault {
    Sql(rusqlite::Error),
    Store(StoreError),
    Corrupt(String),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Fault {
    pub(crate) fn at(self, path: &std::path::Path) -> StoreError {
        let path = path.to_path_buf();
        let error = match self {
            Self::Store(error) => return error,
            Self::Corrupt(detail) => return StoreError::Corrupt { path, detail },
            Self::Sql(error) => error,
        };
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                StoreError::Corrupt { path, detail: error.to_string() }
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy { path },
            Some(ErrorCode::DiskFull) => StoreError::DiskFull { path },
            _ => match error {
                // A value of another type or length than the schema has: the file was changed behind our back.
                rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::InvalidColumnType(..) => StoreError::Corrupt { path, detail: error.to_string() },
                error => StoreError::Sqlite { path, source: Box::new(error) },
            },
        }
    }
}
