//! Files that git LFS keeps elsewhere.
//!
//! Their content is no part of a commit and is not fetched: a build would see the pointer in its place, and what it makes
//! would hold a few lines of text where a picture should be. So a pointer in a source is refused by its name, unless it
//! lies where nothing of an artifact comes from.

use git2::Repository;

use crate::source::tree::Entry;

/// Pointers are small.
const MAX_POINTER: usize = 1024;
/// The first line of a [pointer](https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md).
const VERSIONS: [&[u8]; 2] = [b"version https://git-lfs.github.com/spec/", b"version https://hawser.github.com/spec/"];
/// Folders whose content goes into no artifact, wherever they lie.
const APART: [&str; 3] = ["src/test", "src/it", "src/site"];
/// The same, in the root.
const APART_IN_ROOT: [&str; 3] = [".github", "doc", "docs"];

/// Whether a file of the attribute `filter=lfs` is a pointer, and not content that was committed all the same.
pub(crate) fn is_pointer(repository: &Repository, entry: &Entry) -> Result<bool, git2::Error> {
    let (size, _) = repository.odb()?.read_header(entry.id)?;
    if size >= MAX_POINTER {
        return Ok(false);
    }
    let blob = repository.find_blob(entry.id)?;
    Ok(VERSIONS.iter().any(|version| blob.content().starts_with(version)))
}

/// Whether nothing at this path becomes a part of an artifact.
pub(crate) fn lies_apart(path: &[u8]) -> bool {
    let path = String::from_utf8_lossy(path);
    let below = |folder: &str| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
    APART_IN_ROOT.iter().any(|folder| below(folder))
        || APART.iter().any(|folder| below(folder) || path.contains(&format!("/{folder}/")))
}

#[cfg(test)]
mod tests {
    use super::lies_apart;

    #[test]
    fn only_what_goes_into_no_artifact_lies_apart() {
        for (path, apart) in [
            ("src/test/resources/a.bin", true),
            ("core/src/it/a/b.bin", true),
            ("docs/a.png", true),
            ("core/docs/a.png", false),
            ("src/main/resources/src/tests/a.bin", false),
            ("src/testing/a.bin", false),
            ("a.bin", false),
        ] {
            assert_eq!(lies_apart(path.as_bytes()), apart, "{path}");
        }
    }
}
