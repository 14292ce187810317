//! A frozen source, read for hints.

use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use build_infer::Checkout;
use maven_layout::Coordinates;

/// Larger files are no source text and are left out, in bytes.
const MAX_FILE: u64 = 16 << 20;

/// Largest file of which the text is wanted, in bytes.
const MAX_TEXT: u64 = 64 << 10;

/// Reads the archive that a builder has made of a commit.
pub async fn read(archive: PathBuf, release: Coordinates) -> anyhow::Result<Checkout> {
    let shown = archive.display().to_string();
    let work = tokio::task::spawn_blocking(move || read_blocking(&archive, release));
    work.await?.with_context(|| format!("cannot read {shown}"))
}

/// The text of one small file of such an archive, if it is there.
pub fn read_text(archive: &Path, wanted: &str) -> io::Result<Option<String>> {
    let mut tar = tar::Archive::new(BufReader::new(File::open(archive)?));
    for entry in tar.entries()? {
        let mut entry = entry?;
        let found = entry.header().entry_type().is_file() && entry.path_bytes().as_ref() == wanted.as_bytes();
        if found && entry.size() <= MAX_TEXT {
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            return Ok(Some(String::from_utf8_lossy(&content).into_owned()));
        }
    }
    Ok(None)
}

fn read_blocking(archive: &Path, release: Coordinates) -> io::Result<Checkout> {
    let mut checkout = Checkout::new(release);
    let mut tar = tar::Archive::new(BufReader::new(File::open(archive)?));
    for entry in tar.entries()? {
        let mut entry = entry?;
        if !entry.header().entry_type().is_file() || entry.size() > MAX_FILE {
            continue;
        }
        // What is no text is no path that a published file could have.
        let Ok(path) = String::from_utf8(entry.path_bytes().into_owned()) else { continue };
        if path.starts_with(".git/") {
            continue;
        }
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        checkout.add(&path, &content);
    }
    Ok(checkout)
}
