//! Signed provenance, checked by libraries that know nothing of this project (`tests/verifier`). They are installed where
//! they are missing, each by its SHA-256; a machine that cannot get them fails the test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::places;
use crate::process::{self, Finished};

/// How long installing may take.
const INSTALL: Duration = Duration::from_secs(600);

/// The folder with the scripts.
fn scripts() -> PathBuf {
    places::root().join("tests/verifier")
}

/// The libraries' Python.
pub fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let folder = places::root().join(".dev/verifier");
        process::run(Command::new(scripts().join("install.sh")).arg(&folder), INSTALL).expect(0);
        folder.join("bin/python")
    })
}

/// Checks the envelopes of a file, one in a line, with these public keys (files in PEM, or hexadecimal digits). It ends with
/// 0 and what they say as JSON, or with 1 and a sentence.
pub fn verify(envelopes: &Path, keys: &[&str]) -> Finished {
    let mut command = Command::new(python());
    command.arg(scripts().join("verify.py")).arg(envelopes).args(keys);
    process::run(&mut command, Duration::from_secs(120))
}
