//! How much room there is.

use std::path::Path;

/// Bytes that are free for this account on the disk of a folder.
///
/// # Errors
/// What the operating system says.
pub fn free(folder: &Path) -> std::io::Result<u64> {
    let disk = nix::sys::statvfs::statvfs(folder)?;
    Ok(disk.blocks_available().saturating_mul(disk.fragment_size()))
}
