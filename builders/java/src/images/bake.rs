//! Baking a layer with `mmdebstrap`.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::images::{BuiltImage, ImageError, Recipe, archive};

/// Bakes the image of a recipe into `work_dir/NAME.tar`, which takes one to three minutes and needs a Debian mirror.
///
/// `progress` gets the tool's lines. Dropping the future ends the tool and removes what it had written.
///
/// # Errors
/// [`ImageError::Start`] without `mmdebstrap`, [`ImageError::Bake`] if it fails, [`ImageError::Read`].
pub async fn build_image(
    recipe: &Recipe,
    work_dir: &Path,
    progress: &(dyn Fn(&str) + Send + Sync),
) -> Result<BuiltImage, ImageError> {
    let failed = |source| ImageError::Read { file: work_dir.to_owned(), source };
    let scratch = tempfile::Builder::new().prefix("bake-").tempdir_in(work_dir).map_err(failed)?;
    open_to_all(scratch.path()).map_err(failed)?;
    // Without root the tool works in a user namespace, whose accounts are other ones outside of it: they do not get through
    // a home that only its owner may enter.
    let elsewhere = match is_open_to_all(scratch.path()) {
        true => None,
        false => {
            let dir = tempfile::Builder::new().prefix("pyrsia-bake-").tempdir_in(roomy()).map_err(failed)?;
            open_to_all(dir.path()).map_err(failed)?;
            Some(dir)
        }
    };
    let unfinished = scratch.path().join("layer.tar");
    let mut child = Command::new("mmdebstrap")
        .args(recipe.arguments())
        .arg(&unfinished)
        .env("SOURCE_DATE_EPOCH", recipe.source_date_epoch.to_string())
        .env("TMPDIR", elsewhere.as_ref().unwrap_or(&scratch).path())
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(ImageError::Start)?;

    let mut tail = VecDeque::new();
    if let Some(stderr) = child.stderr.take() {
        let mut lines = BufReader::new(stderr).split(b'\n');
        while let Some(line) = lines.next_segment().await.map_err(ImageError::Start)? {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            progress(&line);
            if tail.len() == 10 {
                tail.pop_front();
            }
            tail.push_back(line);
        }
    }
    let status = child.wait().await.map_err(ImageError::Start)?;
    if !status.success() {
        let tail = tail.into_iter().collect::<Vec<_>>().join("\n");
        return Err(ImageError::Bake { status: status.to_string(), tail });
    }

    let layer = work_dir.join(format!("{}.tar", recipe.name));
    tokio::fs::rename(&unfinished, &layer).await.map_err(failed)?;
    let (layer_size, layer_digest) = archive::measure(&layer).await?;
    let config = recipe.config();
    let digest = config.digest(&layer_digest);
    Ok(BuiltImage { layer, layer_digest, layer_size, config, digest })
}

/// Whether every account gets into this folder.
fn is_open_to_all(dir: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    let enters = |dir: &Path| std::fs::metadata(dir).is_ok_and(|found| found.permissions().mode() & 0o001 != 0);
    dir.canonicalize().is_ok_and(|dir| dir.ancestors().all(enters))
}

/// A folder for large temporary files: the system's usual one may lie in memory.
fn roomy() -> PathBuf {
    let disk = Path::new("/var/tmp");
    if disk.is_dir() { disk.to_owned() } else { std::env::temp_dir() }
}

fn open_to_all(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_folder_below_a_closed_home_is_not_open() {
        let home = tempfile::Builder::new().tempdir_in(roomy()).unwrap();
        let work = home.path().join("checkout/images");
        std::fs::create_dir_all(&work).unwrap();
        for (mode, open) in [(0o755, true), (0o750, false), (0o700, false), (0o711, true)] {
            std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(is_open_to_all(&work), open, "{mode:o}");
        }
        assert!(!is_open_to_all(&home.path().join("none")));
    }
}
