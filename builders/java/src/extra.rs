//! Single files that a specification names: lines of the manifest, and part of what the sandbox finds in its work folder.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use build_spec::{
    BuildError, BuildLimit, BuildLog, Input, InputLine, InputManifest, InputStatus, Inputs, ManifestBlobs, Phase,
    RepositoryId, SandboxProfile, Specification,
};
use pyrsia_digest::Sha256;
use tempfile::NamedTempFile;

use crate::far_end;

/// One of them, at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Extra {
    /// Where the build finds it, from the root of the source.
    pub(crate) path: String,
    pub(crate) file: PathBuf,
    pub(crate) sha256: Sha256,
}

/// Gets the files of a specification for a record, at most the bytes that are left for inputs, and takes them off.
pub(crate) async fn recorded(
    specification: &Specification,
    inputs: &dyn Inputs,
    left: &mut u64,
    log: &dyn BuildLog,
) -> Result<(Vec<Extra>, Vec<InputLine>), BuildError> {
    let (mut extras, mut lines) = (Vec::new(), Vec::new());
    for input in &specification.inputs {
        log.line(Phase::Record, &format!("the input {} is {}", input.path, input.url));
        let (file, digests) = match inputs.pinned(input).await {
            Ok(Input::Found { file, digests, .. }) => (file, digests),
            Ok(Input::Absent) => return Err(BuildError::InputsUnavailable(input.url.clone())),
            Err(error) => return Err(far_end::not_had(error)),
        };
        let (size, sha256) = (digests.size, digests.sha256);
        if sha256 != input.sha256 {
            return Err(BuildError::InputsUnavailable(format!("{} is {sha256}, not {}", input.url, input.sha256)));
        }
        *left = left.checked_sub(size).ok_or(BuildError::Limit(BuildLimit::Disk))?;
        let status = InputStatus::Found { size, sha256, cut: false };
        lines.push(InputLine { repository: RepositoryId::inputs(), path: input.place()?, status });
        extras.push(Extra { path: input.path.clone(), file, sha256 });
    }
    Ok((extras, lines))
}

/// The same files for a replay, as the manifest and the specification agree on them.
pub(crate) async fn replayed(
    specification: &Specification,
    manifest: &InputManifest,
    blobs: &dyn ManifestBlobs,
) -> Result<Vec<Extra>, BuildError> {
    let repository = RepositoryId::inputs();
    let mut extras = Vec::new();
    for input in &specification.inputs {
        let place = input.place()?;
        let (size, sha256) = match manifest.get(&repository, &place) {
            Some(InputStatus::Found { size, sha256, .. }) if sha256 == input.sha256 => (size, sha256),
            _ => {
                let (repository, path) = (repository.to_string(), input.path.clone());
                return Err(BuildError::Undeclared { repository, path });
            }
        };
        let Some(file) = blobs.blob(&sha256).await else {
            return Err(BuildError::InputsUnavailable(format!("{} (blob {sha256}) is not in the store", input.path)));
        };
        far_end::hash(file.clone(), size, sha256).await.map_err(BuildError::InputsUnavailable)?;
        extras.push(Extra { path: input.path.clone(), file, sha256 });
    }
    Ok(extras)
}

/// A tar of the files in `folder`, to be unpacked over the source; none if the source has all of them already.
pub(crate) async fn packed(
    extras: Vec<Extra>,
    source: &Path,
    time: i64,
    folder: &Path,
) -> Result<Option<NamedTempFile>, BuildError> {
    if extras.is_empty() {
        return Ok(None);
    }
    let (source, folder) = (source.to_owned(), folder.to_owned());
    let work = move || {
        let missing = not_there(extras, &source)?;
        if missing.is_empty() {
            return Ok(None);
        }
        let pack = || -> io::Result<NamedTempFile> {
            let mut file = tempfile::Builder::new().prefix("inputs-").suffix(".tar").tempfile_in(&folder)?;
            write(&missing, u64::try_from(time).unwrap_or_default(), file.as_file_mut())?;
            Ok(file)
        };
        pack().map(Some).map_err(|error| BuildError::Engine(format!("the inputs cannot be packed: {error}")))
    };
    tokio::task::spawn_blocking(work).await.map_err(|error| BuildError::Engine(error.to_string()))?
}

fn write(extras: &[Extra], time: u64, file: &mut File) -> io::Result<()> {
    let profile = SandboxProfile::v1();
    let mut tar = tar::Builder::new(BufWriter::new(file));
    let header = |kind: tar::EntryType, mode: u32, size: u64| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mtime(time);
        header.set_uid(profile.uid.into());
        header.set_gid(profile.uid.into());
        header.set_mode(mode);
        header.set_size(size);
        header
    };
    // The folders on the way too, also those that the source has: what is put into them gives them the time of the build,
    // which is another one everywhere. Each comes before those in it.
    let above = |extra: &Extra| -> Vec<String> {
        extra.path.match_indices('/').map(|(at, _)| extra.path[..at].to_owned()).collect()
    };
    for folder in extras.iter().flat_map(above).collect::<BTreeSet<String>>() {
        tar.append_data(&mut header(tar::EntryType::Directory, 0o755, 0), &folder, io::empty())?;
    }
    for extra in extras {
        let content = File::open(&extra.file)?;
        let mut header = header(tar::EntryType::Regular, 0o644, content.metadata()?.len());
        tar.append_data(&mut header, &extra.path, content)?;
    }
    tar.into_inner()?.flush()
}

/// Those that the source does not have. What it has at the place of one, or on the way to it, has to be the same, or folders:
/// a specification says what is added to a source, not what is changed in it.
fn not_there(extras: Vec<Extra>, source: &Path) -> Result<Vec<Extra>, BuildError> {
    let broken = |error: io::Error| BuildError::Engine(format!("{}: {error}", source.display()));
    let refused = |extra: &Extra, problem: &str| {
        Err(BuildError::Unsupported(format!("the input {} cannot be placed: {problem}", extra.path)))
    };
    let mut missing = extras;
    let mut archive = tar::Archive::new(BufReader::with_capacity(1 << 18, File::open(source).map_err(broken)?));
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let path = entry.path_bytes().into_owned();
        let path = path.strip_suffix(b"/").unwrap_or(&path);
        let kind = entry.header().entry_type();
        let begins = |whole: &[u8], part: &[u8]| whole.strip_prefix(part).is_some_and(|rest| rest.starts_with(b"/"));
        let Some(at) = missing.iter().position(|extra| {
            let own = extra.path.as_bytes();
            own == path || begins(path, own) || (begins(own, path) && kind != tar::EntryType::Directory)
        }) else {
            continue;
        };
        let extra = &missing[at];
        if extra.path.as_bytes() != path {
            let shown = String::from_utf8_lossy(path);
            return refused(extra, &format!("the source has {shown}"));
        }
        if kind != tar::EntryType::Regular {
            return refused(extra, "the source has something there that is no file");
        }
        if far_end::digests(&mut entry).map_err(broken)?.sha256 != extra.sha256 {
            return refused(extra, "the source has another file there");
        }
        missing.remove(at);
    }
    Ok(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A source with files, folders and a link.
    fn source(folder: &Path) -> PathBuf {
        let path = folder.join("source.tar");
        let mut tar = tar::Builder::new(File::create(&path).unwrap());
        for (name, kind) in [("lib", tar::EntryType::Directory), ("lib/a.zip", tar::EntryType::Regular)] {
            let content: &[u8] = if kind == tar::EntryType::Regular { b"a zip" } else { b"" };
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_mode(0o644);
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, name, content).unwrap();
        }
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        tar.append_link(&mut header, "link", "lib").unwrap();
        tar.finish().unwrap();
        path
    }

    #[tokio::test]
    async fn a_file_is_added_and_never_put_over_another() {
        let folder = tempfile::tempdir().unwrap();
        let source = source(folder.path());
        let file = folder.path().join("content");
        std::fs::write(&file, b"a zip").unwrap();
        let pack = |path: &str, content: &[u8]| {
            let extra = Extra { path: path.to_owned(), file: file.clone(), sha256: Sha256::of(content) };
            packed(vec![extra], &source, 5, folder.path())
        };
        let packed = pack("lib/more/b.zip", b"a zip").await.unwrap().unwrap();
        let mut tar = tar::Archive::new(packed.reopen().unwrap());
        let mut entries = tar.entries().unwrap();
        for folder in ["lib", "lib/more"] {
            let entry = entries.next().unwrap().unwrap();
            assert_eq!((entry.path().unwrap().as_ref(), entry.header().mtime().unwrap()), (Path::new(folder), 5));
        }
        let mut entry = entries.next().unwrap().unwrap();
        assert_eq!(entry.path_bytes().as_ref(), b"lib/more/b.zip");
        assert_eq!((entry.header().mode().unwrap(), entry.header().mtime().unwrap()), (0o644, 5));
        assert_eq!(io::read_to_string(&mut entry).unwrap(), "a zip");
        assert!(entries.next().is_none());

        assert!(pack("lib/a.zip", b"a zip").await.unwrap().is_none(), "the same file is there");
        for (path, content) in
            [("lib/a.zip", &b"other"[..]), ("lib", b"a zip"), ("link/b.zip", b"a zip"), ("lib/a.zip/b", b"a zip")]
        {
            let refused = pack(path, content).await;
            assert!(matches!(&refused, Err(BuildError::Unsupported(text)) if text.contains(path)), "{path}");
        }
    }
}
