//! The content of a commit and of the commits inside it.

use build_spec::SourceError;
use git2::{ObjectType, Oid, Repository, Tree};
use maven_layout::CanonicalRepository;

use crate::source::convert::Conversion;
use crate::source::{Budget, tree_error};

/// Folders in folders; git has no limit, tars and file systems do.
pub(crate) const MAX_DEPTH: usize = 200;
/// What file systems take as one name and as one path, in bytes.
const MAX_NAME: usize = 255;
pub(crate) const MAX_PATH: usize = 4096;
/// Build files and specifications beyond this are not read.
const MAX_CONTENT: u64 = 8 * 1024 * 1024;
/// git gives a file as one piece of memory.
pub(crate) const MAX_FILE: u64 = 256 * 1024 * 1024;
/// The list of one folder.
pub(crate) const MAX_FOLDER: u64 = 64 * 1024 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    File { executable: bool },
    Link,
}

/// A repository whose commit is a part of the source: the release's own, or a submodule.
pub(crate) struct Module {
    pub(crate) repository: Repository,
    pub(crate) commit: Oid,
    pub(crate) address: CanonicalRepository,
    pub(crate) mirrored: bool,
    /// Where it lies; empty for the release's own.
    pub(crate) path: Vec<u8>,
    /// What the outer repository calls it; empty for the release's own.
    pub(crate) name: String,
    /// The repository that it lies in.
    pub(crate) parent: Option<usize>,
}

/// One entry of the tree.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Path from the root, without a leading slash.
    pub(crate) path: Vec<u8>,
    pub(crate) kind: Kind,
    pub(crate) id: Oid,
    /// Which [`Module`] has the object.
    pub(crate) module: usize,
    /// What a checkout makes of the object's bytes.
    pub(crate) conversion: Conversion,
}

/// A place in the tree where another repository's commit belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) path: Vec<u8>,
    pub(crate) commit: Oid,
}

/// Lists the trees of repositories, one after the other.
pub(crate) struct Listing<'a> {
    pub(crate) commit: &'a str,
    pub(crate) budget: &'a Budget,
    pub(crate) entries: Vec<Entry>,
}

impl Listing<'_> {
    /// Adds the whole tree of a repository, below `prefix`; gives the places of its submodules, which become folders.
    pub(crate) fn add(
        &mut self,
        repository: &Repository,
        module: usize,
        root: &Tree<'_>,
        prefix: &[u8],
    ) -> Result<Vec<Link>, SourceError> {
        let mut links = Vec::new();
        self.list(repository, module, root, prefix, 0, &mut links)?;
        Ok(links)
    }

    /// The entries in the order of the tar.
    pub(crate) fn sorted(mut self) -> Result<Vec<Entry>, SourceError> {
        // A directory sorts before its content, since its path is a prefix; `a.txt` sorts before `a/b`.
        self.entries.sort_by(|a, b| a.path.cmp(&b.path));
        if let Some([twice, _]) = self.entries.array_windows().find(|[a, b]| a.path == b.path) {
            let shown = String::from_utf8_lossy(&twice.path);
            return Err(tree_error(self.commit, &format!("{shown} is in it twice")));
        }
        Ok(self.entries)
    }

    fn list(
        &mut self,
        repository: &Repository,
        module: usize,
        tree: &Tree<'_>,
        prefix: &[u8],
        depth: usize,
        links: &mut Vec<Link>,
    ) -> Result<(), SourceError> {
        let commit = self.commit;
        if depth > MAX_DEPTH {
            return Err(tree_error(commit, "its folders are nested too deeply"));
        }
        for entry in tree {
            let name = entry.name_bytes();
            let mut path = prefix.to_vec();
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(name);
            if name.len() > MAX_NAME || path.len() > MAX_PATH {
                let shown = String::from_utf8_lossy(&path[..path.len().min(MAX_NAME)]).into_owned();
                return Err(tree_error(commit, &format!("the path that begins with {shown:?} is too long")));
            }
            let shown = String::from_utf8_lossy(&path).into_owned();
            if name.is_empty()
                || name == b"."
                || name == b".."
                || name.contains(&b'/')
                || name.eq_ignore_ascii_case(b".git")
            {
                return Err(tree_error(commit, &format!("{shown:?} is no name for a file")));
            }
            if self.entries.len() as u64 >= self.budget.tree_files {
                return Err(tree_error(commit, &format!("it has more than {} files", self.budget.tree_files)));
            }
            if let Some(reason) = self.budget.exhausted() {
                return Err(SourceError::Local(reason.to_owned()));
            }
            let kind = match (entry.kind(), entry.filemode_raw()) {
                (Some(ObjectType::Tree), _) => Kind::Directory,
                (Some(ObjectType::Blob), 0o120_000) => Kind::Link,
                (Some(ObjectType::Blob), mode) => Kind::File { executable: mode & 0o111 != 0 },
                (Some(ObjectType::Commit), _) => {
                    links.push(Link { path: path.clone(), commit: entry.id() });
                    Kind::Directory
                }
                _ => return Err(tree_error(commit, &format!("{shown} is neither a file nor a folder"))),
            };
            let is_tree = entry.kind() == Some(ObjectType::Tree);
            let conversion = Conversion::default();
            self.entries.push(Entry { path: path.clone(), kind, id: entry.id(), module, conversion });
            if is_tree {
                let size = size(repository, entry.id()).map_err(|error| tree_error(commit, error.message()))?;
                if size > MAX_FOLDER {
                    return Err(tree_error(commit, &format!("the list of the folder {shown} is too large")));
                }
                let child = repository.find_tree(entry.id()).map_err(|error| tree_error(commit, error.message()))?;
                self.list(repository, module, &child, &path, depth + 1, links)?;
            }
        }
        Ok(())
    }
}

/// The size that an object says it has, read without inflating it: a few bytes can inflate to gigabytes.
pub(crate) fn size(repository: &Repository, id: Oid) -> Result<u64, git2::Error> {
    Ok(repository.odb()?.read_header(id)?.0 as u64)
}

/// The entry at a path.
pub(crate) fn find<'a>(entries: &'a [Entry], path: &str) -> Option<&'a Entry> {
    let index = entries.binary_search_by(|entry| entry.path.as_slice().cmp(path.as_bytes())).ok()?;
    entries.get(index)
}

/// The content of a small file, as it is stored.
pub(crate) fn content(modules: &[Module], entry: &Entry, commit: &str) -> Result<Vec<u8>, SourceError> {
    let shown = || String::from_utf8_lossy(&entry.path).into_owned();
    let unusable = |problem: &str| SourceError::BuildFile {
        commit: commit.to_owned(),
        file: shown(),
        problem: problem.to_owned(),
    };
    if !matches!(entry.kind, Kind::File { .. }) {
        return Err(unusable("it is not a regular file"));
    }
    let repository = &modules[entry.module].repository;
    if size(repository, entry.id).map_err(|error| unusable(error.message()))? > MAX_CONTENT {
        return Err(unusable("it is too large"));
    }
    let blob = repository.find_blob(entry.id).map_err(|error| unusable(error.message()))?;
    Ok(blob.content().to_vec())
}
