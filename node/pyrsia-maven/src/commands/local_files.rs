//! Which local files `verify` is about.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use maven_layout::{ArtifactRef, PathKind, RepoPath};
use nix::fcntl::OFlag;
use pyrsia_digest::{FileDigests, MultiHasher};

use crate::cli::VerifyArgs;
use crate::exit::{CommandError, Exit};

/// Files that `verify --repo` looks at before it gives up, so that a wrong folder does not run for hours.
const MAX_FILES: usize = 1_000_000;

/// One thing to verify.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The artifact, where it is known.
    pub artifact: Option<ArtifactRef>,
    /// The local file; none: what the node serves is hashed.
    pub file: Option<PathBuf>,
}

/// Everything that the arguments name.
pub fn subjects(args: &VerifyArgs) -> anyhow::Result<Vec<Subject>> {
    let mut artifacts = args.artifacts.clone();
    if args.stdin {
        for line in std::io::stdin().lock().lines().take(100_000) {
            let line = line.context("cannot read standard input")?;
            if !line.trim().is_empty() {
                let artifact = line.trim().parse();
                artifacts.push(artifact.map_err(|error| usage(format!("`{}` is no artifact: {error}", line.trim())))?);
            }
        }
    }
    if let Some(file) = &args.file {
        return match artifacts.as_slice() {
            [] => Ok(vec![Subject { artifact: None, file: Some(file.clone()) }]),
            [one] => Ok(vec![Subject { artifact: Some(one.clone()), file: Some(file.clone()) }]),
            several => Err(usage(format!("--file goes with one artifact; {} are named", several.len()))),
        };
    }
    let local = args.maven_repo.clone().or_else(default_repository);
    let mut subjects: Vec<Subject> = artifacts
        .into_iter()
        .map(|artifact| {
            let file = local.as_ref().map(|folder| folder.join(artifact.path().as_str())).filter(|file| file.is_file());
            Subject { artifact: Some(artifact), file }
        })
        .collect();
    if let Some(folder) = &args.repo {
        scan(folder, &mut subjects)?;
    }
    if subjects.is_empty() {
        return Err(usage("nothing to verify: name artifacts, or use --file, --stdin or --repo".to_owned()));
    }
    Ok(subjects)
}

fn usage(text: String) -> anyhow::Error {
    CommandError::new(Exit::Usage, text).into()
}

fn default_repository() -> Option<PathBuf> {
    Some(std::env::home_dir()?.join(".m2/repository"))
}

/// What a local repository has from elsewhere.
pub struct Downloaded {
    /// The artifacts.
    pub artifacts: Vec<ArtifactRef>,
    /// Files beside them that were installed on this machine.
    pub installed: usize,
}

/// Every artifact of a local repository that came from another one.
pub fn downloaded(root: &Path) -> anyhow::Result<Downloaded> {
    let mut subjects = Vec::new();
    scan(root, &mut subjects)?;
    let mut found = Downloaded { artifacts: Vec::new(), installed: 0 };
    for subject in subjects {
        if let (Some(artifact), Some(file)) = (subject.artifact, subject.file) {
            if was_installed(&file) { found.installed += 1 } else { found.artifacts.push(artifact) }
        }
    }
    Ok(found)
}

/// Largest note of Maven's about where files came from that is read, in bytes.
const MAX_NOTE: u64 = 1 << 20;

/// Opens a file of somebody's that is to be one: no link, no pipe that would wait for its writer.
pub fn open(path: &Path) -> std::io::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "it is no file"));
    }
    Ok(file)
}

/// Whether Maven noted that the file came from no repository (`NAME>=`).
pub fn was_installed(file: &Path) -> bool {
    let (Some(name), Ok(note)) =
        (file.file_name().and_then(|name| name.to_str()), open(&file.with_file_name("_remote.repositories")))
    else {
        return false;
    };
    let mut text = String::new();
    let read = note.take(MAX_NOTE).read_to_string(&mut text);
    read.is_ok() && text.lines().any(|line| line.strip_prefix(name) == Some(">="))
}

/// Every artifact of a local repository; Maven's own bookkeeping files are none.
fn scan(root: &Path, subjects: &mut Vec<Subject>) -> anyhow::Result<()> {
    let mut folders = vec![root.to_owned()];
    let mut seen = 0usize;
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("cannot read {}", folder.display()))?;
            let mut kind = entry.file_type()?;
            // A linked file is a file of the repository like any other; linked folders are not followed, they can lead
            // in circles.
            if kind.is_symlink()
                && let Ok(target) = std::fs::metadata(entry.path())
                && target.is_file()
            {
                kind = target.file_type();
            }
            seen += 1;
            if seen > MAX_FILES {
                bail!("{} holds more than {MAX_FILES} files", root.display());
            }
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                let path = entry.path();
                if let Some(artifact) = artifact_of(root, &path) {
                    subjects.push(Subject { artifact: Some(artifact), file: Some(path) });
                }
            }
        }
    }
    Ok(())
}

fn artifact_of(root: &Path, file: &Path) -> Option<ArtifactRef> {
    let relative: RepoPath = file.strip_prefix(root).ok()?.to_str()?.parse().ok()?;
    let name = relative.file_name().to_owned();
    let bookkeeping = name.starts_with('_') || name.starts_with("maven-metadata") || name.ends_with(".lastUpdated");
    match relative.kind() {
        PathKind::Artifact { coordinates, .. } if !bookkeeping => {
            let rest = name.strip_prefix(&format!("{}-{}", coordinates.artifact, coordinates.version))?;
            let text = match rest.strip_prefix('-') {
                Some(rest) => {
                    let (classifier, extension) = rest.split_once('.')?;
                    format!("{coordinates}:{classifier}@{extension}")
                }
                None => format!("{coordinates}@{}", rest.strip_prefix('.')?),
            };
            text.parse().ok()
        }
        _ => None,
    }
}

/// Size and digests of a file on disk.
pub fn digests(path: &Path) -> anyhow::Result<FileDigests> {
    let mut file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut hasher = MultiHasher::new();
    let mut buffer = vec![0u8; 256 << 10];
    loop {
        match file.read(&mut buffer).with_context(|| format!("cannot read {}", path.display()))? {
            0 => return Ok(hasher.finish()),
            count => hasher.update(&buffer[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_installed_here_was_not_downloaded() {
        let folder = tempfile::tempdir().unwrap();
        let release = folder.path().join("org/acme/lib/1.0");
        std::fs::create_dir_all(&release).unwrap();
        for name in ["lib-1.0.jar", "lib-1.0.pom", "lib-1.0-sources.jar"] {
            std::fs::write(release.join(name), name).unwrap();
        }
        std::fs::write(release.join("_remote.repositories"), "#note\nlib-1.0.jar>=\nlib-1.0.pom>central=\n").unwrap();
        let found = downloaded(folder.path()).unwrap();
        let mut names: Vec<_> = found.artifacts.iter().map(|artifact| artifact.file_name().to_string()).collect();
        names.sort();
        assert_eq!((names, found.installed), (vec!["lib-1.0-sources.jar".to_owned(), "lib-1.0.pom".to_owned()], 1));
    }

    #[test]
    fn a_local_repository_is_read_as_artifacts() {
        let folder = tempfile::tempdir().unwrap();
        let release = folder.path().join("org/acme/lib/1.0");
        std::fs::create_dir_all(&release).unwrap();
        for name in ["lib-1.0.jar", "lib-1.0-sources.jar", "lib-1.0.pom", "_remote.repositories", "lib-1.0.jar.sha1"] {
            std::fs::write(release.join(name), name).unwrap();
        }
        let mut subjects = Vec::new();
        scan(folder.path(), &mut subjects).unwrap();
        let mut names: Vec<_> = subjects.iter().map(|s| s.artifact.as_ref().unwrap().file_name().to_string()).collect();
        names.sort();
        assert_eq!(names, ["lib-1.0-sources.jar", "lib-1.0.jar", "lib-1.0.pom"]);
    }
}
