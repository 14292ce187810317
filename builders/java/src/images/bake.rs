//! Baking a layer with `mmdebstrap`: from Debian's mirror, or again from what a lock names.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::images::{BuiltImage, ImageError, Recipe, archive, lock};

const TOOL: &str = "mmdebstrap";
/// What a tool runs below that mounts file systems: they are mounted for it and its children alone, and all of these end with
/// the one process that this program knows.
const CONTAINED: [&str; 7] = ["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"];
/// So many of the tool's last lines are told when it fails: `apt` needs a dozen to say which digest is another.
const TAIL: usize = 20;
/// What keeps the packages until a hook has taken them out.
const KEEP_PACKAGES: [&str; 2] = ["--skip=download/empty", "--skip=essential/unlink"];

/// Bakes the image of a recipe into `work_dir/NAME.tar`, which takes one to three minutes and needs a Debian mirror. What it
/// was made of lies beside it, and the lock says what that is.
///
/// `progress` gets the tool's lines. Dropping the future ends the tool and removes what it had written.
///
/// # Errors
/// [`ImageError::Start`] without `mmdebstrap`, [`ImageError::Bake`] if it fails, [`ImageError::Lock`], [`ImageError::Read`].
pub async fn build_image(
    recipe: &Recipe,
    work_dir: &Path,
    progress: &(dyn Fn(&str) + Send + Sync),
) -> Result<BuiltImage, ImageError> {
    let failed = |source| ImageError::Read { file: work_dir.to_owned(), source };
    let (indexes, packages) = (work_dir.join("indexes"), work_dir.join("packages"));
    let mut hooks = Vec::new();
    for (inside, outside) in [("/var/lib/apt/lists", &indexes), ("/var/cache/apt/archives", &packages)] {
        std::fs::create_dir(outside).map_err(failed)?;
        hooks.push(format!("sync-out {inside} {}", word(outside)?));
    }
    let mut arguments = recipe.arguments(true, &hooks);
    arguments.extend(KEEP_PACKAGES.map(str::to_owned));
    arguments.push(recipe.suite.clone());
    let oven = Oven::new(work_dir)?;
    let layer = oven.bake(recipe, arguments, &[], work_dir, progress).await?;
    let (layer_size, layer_digest) = archive::measure(&layer).await?;
    let made = {
        let recipe = recipe.clone();
        tokio::task::spawn_blocking(move || lock::of_bake(&recipe, &indexes, &packages))
    };
    let made_of = made.await.map_err(|error| ImageError::Lock(error.to_string()))??;
    let config = recipe.config();
    let digest = config.digest(&layer_digest);
    Ok(BuiltImage { layer, layer_digest, layer_size, config, digest, made_of })
}

/// Folders in which the tool works.
pub(super) struct Oven {
    scratch: TempDir,
    elsewhere: Option<TempDir>,
}

impl Oven {
    pub(super) fn new(work_dir: &Path) -> Result<Self, ImageError> {
        let failed = |source| ImageError::Read { file: work_dir.to_owned(), source };
        let scratch = tempfile::Builder::new().prefix("bake-").tempdir_in(work_dir).map_err(failed)?;
        open_to_all(scratch.path()).map_err(failed)?;
        // Without root the tool works in a user namespace, whose accounts are other ones outside of it: they do not get
        // through a home that only its owner may enter.
        let elsewhere = match is_open_to_all(scratch.path()) {
            true => None,
            false => {
                let dir = tempfile::Builder::new().prefix("pyrsia-bake-").tempdir_in(roomy()).map_err(failed)?;
                open_to_all(dir.path()).map_err(failed)?;
                Some(dir)
            }
        };
        Ok(Self { scratch, elsewhere })
    }

    /// A folder that every account gets into.
    pub(super) fn open(&self) -> &Path {
        self.elsewhere.as_ref().unwrap_or(&self.scratch).path()
    }

    /// Runs the tool with these arguments (the target comes behind them, and the sources behind that), and returns the layer,
    /// `work_dir/NAME.tar`.
    pub(super) async fn bake(
        &self,
        recipe: &Recipe,
        arguments: Vec<String>,
        sources: &[String],
        work_dir: &Path,
        progress: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<PathBuf, ImageError> {
        let unfinished = self.scratch.path().join("layer.tar");
        let mut child = contained(TOOL)
            .await
            .args(arguments)
            .arg(&unfinished)
            .args(sources)
            .env("SOURCE_DATE_EPOCH", recipe.source_date_epoch.to_string())
            .env("TMPDIR", self.open())
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(ImageError::Start)?;

        let mut tail = VecDeque::new();
        if let Some(stderr) = child.stderr.take() {
            let mut lines = BufReader::new(stderr).split(b'\n');
            while let Some(line) = lines.next_segment().await.map_err(ImageError::Start)? {
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                progress(&line);
                if tail.len() == TAIL {
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
        let failed = |source| ImageError::Read { file: layer.clone(), source };
        tokio::fs::rename(&unfinished, &layer).await.map_err(failed)?;
        Ok(layer)
    }
}

/// A command that ends, with all that it has started and mounted, when its process is dropped. Root's `mmdebstrap` mounts
/// `/proc`, `/sys` and devices into the tree that it makes: were it only killed, they would stay, and whoever removed the folder
/// would go into them. Without the right to do that it works in namespaces of its own anyway.
async fn contained(tool: &str) -> Command {
    let within = || {
        let mut command = Command::new("unshare");
        command.args(CONTAINED).arg("--").arg(tool);
        command
    };
    // Looked for with the tool itself: that it is not there shows where it is started without anything around it.
    let mut probe = within();
    probe.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let mut command = match probe.status().await {
        Ok(status) if status.success() => within(),
        _ => Command::new(tool),
    };
    command.kill_on_drop(true);
    command
}

/// A path as one word of a hook, which the tool splits as a shell would.
fn word(path: &Path) -> Result<String, ImageError> {
    let refused = || ImageError::Read {
        file: path.to_owned(),
        source: std::io::Error::new(std::io::ErrorKind::InvalidInput, "the path is not UTF-8"),
    };
    let path = std::path::absolute(path).map_err(|_| refused())?;
    let text = path.to_str().ok_or_else(refused)?;
    Ok(format!("'{}'", text.replace('\'', "'\\''")))
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

    #[tokio::test]
    async fn what_a_dropped_tool_has_mounted_and_started_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = contained("bash").await;
        if command.as_std().get_program() != "unshare" {
            eprintln!("NOT TESTED: this account may not make namespaces");
            return;
        }
        // The folder's name is in the command line of the second process, which is looked for.
        let script =
            "mount -t tmpfs none \"$0\" && touch \"$0/inside\" && echo up && (exec -a \"$0\" sleep 300) & wait";
        let child = command.args(["-c", script]).arg(folder.path()).stdout(Stdio::piped()).spawn();
        let mut child = child.unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("up"));
        let name = folder.path().to_str().unwrap().to_owned();
        assert!(!std::fs::read_to_string("/proc/self/mounts").unwrap().contains(&name), "mounted for the tool alone");
        assert!(!folder.path().join("inside").exists());
        let runs = || {
            std::fs::read_dir("/proc").unwrap().flatten().any(|process| {
                std::fs::read(process.path().join("cmdline")).is_ok_and(|line| line.starts_with(name.as_bytes()))
            })
        };
        let until = |wanted: bool| async move {
            for _ in 0..500 {
                if runs() == wanted {
                    return;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            panic!("the tool's own process runs: {}", !wanted);
        };
        until(true).await;
        drop(child);
        until(false).await;
    }

    #[tokio::test]
    async fn a_tool_that_is_not_there_is_said_to_be_missing() {
        let missing = contained("no-such-tool-of-pyrsia").await.spawn().unwrap_err();
        assert_eq!(missing.kind(), std::io::ErrorKind::NotFound);
    }

    #[test]
    fn a_path_is_one_word() {
        assert_eq!(word(Path::new("/a b/it's")).unwrap(), "'/a b/it'\\''s'");
    }
}
