//! Baking a layer with `mmdebstrap`.

use std::collections::VecDeque;
use std::path::Path;
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
    // mmdebstrap checks that other accounts can reach its folders when it drops privileges.
    open_to_all(scratch.path()).map_err(failed)?;
    let unfinished = scratch.path().join("layer.tar");
    let mut child = Command::new("mmdebstrap")
        .args(recipe.arguments())
        .arg(&unfinished)
        .env("SOURCE_DATE_EPOCH", recipe.source_date_epoch.to_string())
        .env("TMPDIR", scratch.path())
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

fn open_to_all(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755))
}
