//! Expands one entry and checks it against its header.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::Entry;
use crate::error::ArchiveError;

/// The content of an entry whose declared sizes were checked before.
pub(crate) fn expand(entry: &Entry<'_>) -> Result<Vec<u8>, ArchiveError> {
    let content = if entry.method == 0 { entry.data.to_vec() } else { inflate(entry)? };
    let wrong = |what| ArchiveError::Content { entry: entry.name.to_owned(), what };
    if content.len() as u64 != entry.size {
        return Err(wrong("size"));
    }
    let mut crc = Crc::new();
    crc.update(&content);
    if crc.sum() != entry.crc {
        return Err(wrong("CRC-32"));
    }
    Ok(content)
}

fn inflate(entry: &Entry<'_>) -> Result<Vec<u8>, ArchiveError> {
    let damaged = || ArchiveError::Stream { entry: entry.name.to_owned() };
    let mut decoder = Decompress::new(false);
    let mut content = Vec::new();
    let mut buffer = [0u8; 32 * 1024];
    let mut at = 0usize;
    loop {
        let (before_in, before_out) = (decoder.total_in(), decoder.total_out());
        let input = entry.data.get(at..).ok_or_else(damaged)?;
        let status = decoder.decompress(input, &mut buffer, FlushDecompress::None).map_err(|_| damaged())?;
        let read = usize::try_from(decoder.total_in() - before_in).map_err(|_| damaged())?;
        let written = usize::try_from(decoder.total_out() - before_out).map_err(|_| damaged())?;
        at += read;
        content.extend_from_slice(buffer.get(..written).ok_or_else(damaged)?);
        if content.len() as u64 > entry.size {
            return Err(ArchiveError::Content { entry: entry.name.to_owned(), what: "size" });
        }
        match status {
            Status::StreamEnd if at == entry.data.len() => return Ok(content),
            Status::StreamEnd => return Err(damaged()),
            _ if read == 0 && written == 0 => return Err(damaged()),
            _ => {}
        }
    }
}
