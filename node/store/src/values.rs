//! Numbers and digests as column values.

use pyrsia_digest::{Blake3, Md5, Sha1, Sha256, Sha512};
use rusqlite::Row;

use crate::error::{Fault, StoreError};

/// SQLite's integers are signed.
pub(crate) fn int(value: u64) -> Result<i64, Fault> {
    i64::try_from(value).map_err(|_| Fault::Store(StoreError::OutOfRange(value)))
}

/// The largest number at most `value` that fits: for bounds of a query.
pub(crate) fn bound(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(crate) fn uint(row: &Row<'_>, column: usize) -> Result<u64, Fault> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| Fault::Corrupt(format!("negative number {value} in column {column}")))
}

pub(crate) fn optional_uint(row: &Row<'_>, column: usize) -> Result<Option<u64>, Fault> {
    match row.get::<_, Option<i64>>(column)? {
        None => Ok(None),
        Some(_) => uint(row, column).map(Some),
    }
}

macro_rules! digest_column {
    ($($function:ident: $type:ident),*) => { $(
        pub(crate) fn $function(row: &Row<'_>, column: usize) -> Result<$type, Fault> {
            Ok($type::from_bytes(row.get::<_, [u8; $type::LEN]>(column)?))
        }
    )* };
}
digest_column!(md5: Md5, sha1: Sha1, sha256: Sha256, sha512: Sha512, blake3: Blake3);

pub(crate) fn optional_sha256(row: &Row<'_>, column: usize) -> Result<Option<Sha256>, Fault> {
    Ok(row.get::<_, Option<[u8; Sha256::LEN]>>(column)?.map(Sha256::from_bytes))
}

/// Collects the rows of a query.
pub(crate) fn collect<T>(
    mut rows: rusqlite::Rows<'_>,
    mut read: impl FnMut(&Row<'_>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(read(row)?);
    }
    Ok(all)
}

/// The first row of a query, if there is one.
pub(crate) fn first<T>(
    mut rows: rusqlite::Rows<'_>,
    read: impl FnOnce(&Row<'_>) -> Result<T, Fault>,
) -> Result<Option<T>, Fault> {
    rows.next()?.map(read).transpose()
}
