//! The `.git` that a build sees, made anew: the same bytes on every machine for the same commit.
//!
//! What a clone leaves depends on when, how and with which git it was made. So of the clone nothing is taken but objects:
//! they go into one pack, in an order of their own and compressed by the zlib that this program brings. Everything else is
//! a few files of one form:
//! - `HEAD` is the commit itself (no branch), as after a checkout of a tag;
//! - `packed-refs` has the tag that was asked for and, with the history, those of commits before this one. Other tags of
//!   the same commit are left out: they may have come later;
//! - `config` names the canonical address as `origin`, whatever a mirror map says;
//! - `shallow` says, if only the commit is there, that its parents are not;
//! - `index` has no times or sizes, so git looks at the files and finds them as they should be.
//!
//! No reflog, hook, description or remote branch is there. A submodule has its own below `.git/modules`, as git makes it.

use std::collections::{BTreeMap, BinaryHeap, HashSet};
use std::path::{Path, PathBuf};

use build_spec::{Checkout, GitState, Newline, SourceError};
use git2::{Index, ObjectType, Oid, Repository};

use crate::source::frozen::{Made, MadeContent};
use crate::source::tree::{MAX_DEPTH, MAX_FILE, MAX_FOLDER, Module, size};
use crate::source::{Budget, clone, tags, tree_error};

/// Objects of a history.
const MAX_OBJECTS: usize = 3_000_000;
/// Tags of a history.
const MAX_TAGS: usize = 20_000;
/// So much of an object's path is kept, from its end: libgit2 looks at no more when it says what may be alike.
const PATH_END: usize = 64;

/// What is to be made.
pub(crate) struct Plan<'a> {
    pub(crate) modules: &'a [Module],
    pub(crate) checkout: Checkout,
    /// The tag that was asked for, and what it holds.
    pub(crate) tag: Option<(&'a str, Oid)>,
    /// Of the release, for messages.
    pub(crate) commit: &'a str,
    /// An empty folder that lives as long as the files are needed.
    pub(crate) scratch: &'a Path,
    pub(crate) budget: &'a Budget,
}

/// Makes the `.git` of the release's repository, and of each submodule.
pub(crate) fn make(plan: &Plan<'_>) -> Result<Vec<Made>, SourceError> {
    let mut made = Vec::new();
    if plan.checkout.git == GitState::None {
        return Ok(made);
    }
    let mut folders: Vec<String> = Vec::new();
    for (number, module) in plan.modules.iter().enumerate() {
        let folder = match module.parent {
            None => ".git".to_owned(),
            Some(parent) => format!("{}/modules/{}", folders[parent], module.name),
        };
        folders.push(folder.clone());
        let inner: Vec<&Module> = plan.modules.iter().filter(|other| other.parent == Some(number)).collect();
        // As git refuses it: `a/refs` would lie inside what `a` has.
        let lies_in = |a: &Module, b: &Module| a.name.strip_prefix(&b.name).is_some_and(|rest| rest.starts_with('/'));
        if let Some(other) = inner.iter().find(|a| inner.iter().any(|b| lies_in(a, b))) {
            let shown = &other.name;
            return Err(tree_error(plan.commit, &format!("its submodules would share the folder of {shown}")));
        }
        let packed = Packing::of(plan, number, module)?.pack()?;
        let mut files = BTreeMap::from([
            ("HEAD", format!("{}\n", module.commit).into_bytes()),
            ("config", config(plan, module, &folder, &inner)?.into_bytes()),
            ("index", index(plan, number, module)?),
            ("packed-refs", packed_refs(&packed.tags).into_bytes()),
        ]);
        if packed.shallow {
            files.insert("shallow", format!("{}\n", module.commit).into_bytes());
        }
        if module.parent.is_some() {
            let path = outer_path(plan, module)?;
            let link = format!("gitdir: {}{folder}\n", "../".repeat(path.split('/').count()));
            made.push(Made {
                path: format!("{path}/.git").into_bytes(),
                content: MadeContent::Bytes(link.into_bytes()),
            });
        }
        // Every folder on the way, once; git knows a repository by `HEAD`, `objects` and `refs`.
        for (at, _) in folder.match_indices('/').chain([(folder.len(), "")]) {
            let path = folder.as_bytes()[..at].to_vec();
            if !made.iter().any(|known| known.path == path) {
                made.push(Made { path, content: MadeContent::Directory });
            }
        }
        for path in ["objects", "objects/info", "objects/pack", "refs", "refs/heads", "refs/tags"] {
            made.push(Made { path: format!("{folder}/{path}").into_bytes(), content: MadeContent::Directory });
        }
        for (name, content) in files {
            made.push(Made { path: format!("{folder}/{name}").into_bytes(), content: MadeContent::Bytes(content) });
        }
        for (name, file) in packed.files {
            let path = format!("{folder}/objects/pack/{name}").into_bytes();
            made.push(Made { path, content: MadeContent::File(file) });
        }
    }
    let mut paths: Vec<&[u8]> = made.iter().map(|made| made.path.as_slice()).collect();
    paths.sort_unstable();
    if let Some([twice, _]) = paths.array_windows().find(|[a, b]| a == b) {
        let shown = String::from_utf8_lossy(twice);
        return Err(tree_error(plan.commit, &format!("its submodules would share {shown}")));
    }
    drop(paths);
    Ok(made)
}

fn outer_path(plan: &Plan<'_>, module: &Module) -> Result<String, SourceError> {
    String::from_utf8(module.path.clone()).map_err(|_| tree_error(plan.commit, "the path of a submodule is not UTF-8"))
}

fn config(plan: &Plan<'_>, module: &Module, folder: &str, inner: &[&Module]) -> Result<String, SourceError> {
    // As where lines end in CRLF: there, no file system knows what can be executed.
    let (filemode, autocrlf) = match plan.checkout.newline {
        Newline::Lf => ("true", ""),
        Newline::Crlf => ("false", "\tautocrlf = true\n"),
    };
    let mut text = format!(
        "[core]\n\trepositoryformatversion = 0\n\tfilemode = {filemode}\n\tbare = false\n\tlogallrefupdates = true\n{autocrlf}"
    );
    if module.parent.is_some() {
        let up = "../".repeat(folder.split('/').count());
        text.push_str(&format!("\tworktree = {}\n", quoted(&format!("{up}{}", outer_path(plan, module)?))));
    }
    text.push_str(&format!(
        "[remote \"origin\"]\n\turl = {}\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n",
        module.address
    ));
    for other in inner {
        let name = quoted(&other.name);
        text.push_str(&format!("[submodule {name}]\n\tactive = true\n\turl = {}\n", other.address));
    }
    Ok(text)
}

/// A value of a configuration file, whatever stands in it.
fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// An index that has every file of the commit, without times and sizes.
fn index(plan: &Plan<'_>, number: usize, module: &Module) -> Result<Vec<u8>, SourceError> {
    let file = plan.scratch.join(format!("index-{number}"));
    let write = || -> Result<(), git2::Error> {
        let mut index = Index::open(&file)?;
        index.read_tree(&module.repository.find_commit(module.commit)?.tree()?)?;
        index.write()
    };
    write().map_err(|error| SourceError::Local(format!("the index cannot be written: {}", error.message())))?;
    std::fs::read(&file).map_err(|error| SourceError::Local(format!("the index cannot be read: {error}")))
}

/// The parents that a commit names. libgit2 says of a commit at the end of a shallow clone that it has none, so that what
/// is here would depend on the transport.
fn parents(commit: &git2::Commit<'_>) -> Result<Vec<Oid>, git2::Error> {
    let lines = commit.raw_header_bytes().split(|byte| *byte == b'\n').skip(1);
    let named = lines.map_while(|line| line.strip_prefix(b"parent "));
    named.map(|id| Oid::from_str(&String::from_utf8_lossy(id))).collect()
}

/// Refs with what they hold and the commit that they lead to, by name.
type Tags = BTreeMap<String, (Oid, Oid)>;

fn packed_refs(tags: &Tags) -> String {
    let mut text = "# pack-refs with: peeled fully-peeled sorted \n".to_owned();
    for (name, (target, commit)) in tags {
        text.push_str(&format!("{target} {name}\n"));
        if target != commit {
            text.push_str(&format!("^{commit}\n"));
        }
    }
    text
}

/// The last characters of a path.
fn end_of(path: &str) -> &str {
    let start = path.char_indices().rev().nth(PATH_END - 1).map_or(0, |(at, _)| at);
    &path[start..]
}

struct Packed {
    /// Names and places of the pack and its index.
    files: Vec<(String, PathBuf)>,
    tags: Tags,
    shallow: bool,
}

/// The choice of objects of one repository.
struct Packing<'a> {
    plan: &'a Plan<'a>,
    module: &'a Module,
    folder: PathBuf,
    /// In the order of the pack, with the end of the path that an object was first seen at.
    objects: Vec<(Oid, Option<String>)>,
    seen: HashSet<Oid>,
    tags: Tags,
    shallow: bool,
}

impl<'a> Packing<'a> {
    fn of(plan: &'a Plan<'a>, number: usize, module: &'a Module) -> Result<Self, SourceError> {
        let folder = plan.scratch.join(format!("pack-{number}"));
        let (objects, seen) = (Vec::new(), HashSet::new());
        let mut packing = Self { plan, module, folder, objects, seen, tags: Tags::new(), shallow: false };
        let commits = packing.commits()?;
        packing.take_tags(number == 0)?;
        for commit in commits {
            let tree = packing.module.repository.find_commit(commit).map(|commit| commit.tree_id());
            packing.take_tree(tree.map_err(|error| packing.failed(error.message()))?)?;
        }
        Ok(packing)
    }

    fn failed(&self, problem: &str) -> SourceError {
        tree_error(self.plan.commit, &format!("no .git can be made of {}: {problem}", self.module.address))
    }

    fn take(&mut self, id: Oid, path: Option<&str>) -> Result<bool, SourceError> {
        if let Some(reason) = self.plan.budget.exhausted() {
            return Err(SourceError::Local(reason.to_owned()));
        }
        if !self.seen.insert(id) {
            return Ok(false);
        }
        if self.objects.len() >= MAX_OBJECTS {
            return Err(self.failed(&format!("its history has more than {MAX_OBJECTS} objects")));
        }
        self.objects.push((id, path.map(str::to_owned)));
        Ok(true)
    }

    /// The commit and, with the history, all before it: the newest first, of equally old ones the one with the greater id.
    fn commits(&mut self) -> Result<Vec<Oid>, SourceError> {
        let module = self.module;
        let repository = &module.repository;
        let mut open = BinaryHeap::from([(i64::MAX, self.module.commit)]);
        // A commit may name the same parent tens of thousands of times, in a few bytes of a pack.
        let mut queued = HashSet::from([self.module.commit]);
        let mut commits = Vec::new();
        while let Some((_, id)) = open.pop() {
            self.take(id, None)?;
            commits.push(id);
            let commit = repository.find_commit(id).map_err(|error| self.failed(error.message()))?;
            let parents = parents(&commit).map_err(|error| self.failed(error.message()))?;
            if self.plan.checkout.git == GitState::Commit {
                self.shallow = !parents.is_empty();
                break;
            }
            for parent in parents {
                if !queued.insert(parent) {
                    continue;
                }
                let missing = |_| self.failed(&format!("commit {parent} of its history is missing"));
                tags::check_size(repository, parent).map_err(|_| missing(()))?;
                let parent = repository.find_commit(parent).map_err(|_| missing(()))?;
                open.push((parent.time().seconds(), parent.id()));
            }
        }
        Ok(commits)
    }

    fn take_tags(&mut self, is_release: bool) -> Result<(), SourceError> {
        let module = self.module;
        let repository = &module.repository;
        if let Some((name, target)) = self.plan.tag.filter(|_| is_release) {
            self.tags.insert(format!("refs/tags/{name}"), (target, self.module.commit));
        }
        if self.plan.checkout.git == GitState::History {
            let references = repository.references_glob("refs/tags/*").map_err(|error| self.failed(error.message()))?;
            for reference in references.flatten() {
                let (Ok(name), Some(target)) = (reference.name(), reference.target()) else { continue };
                let Ok((_, last)) = tags::chain(repository, target) else { continue };
                // Nothing but commits is seen yet, so what leads to none, or is too large to be read, is left out.
                if last == self.module.commit || !self.seen.contains(&last) {
                    continue;
                }
                self.tags.insert(name.to_owned(), (target, last));
                if self.tags.len() > MAX_TAGS {
                    return Err(self.failed(&format!("its history has more than {MAX_TAGS} tags")));
                }
            }
        }
        for target in self.tags.values().map(|(target, _)| *target).collect::<Vec<_>>() {
            for object in tags::chain(repository, target)?.0 {
                self.take(object, None)?;
            }
        }
        Ok(())
    }

    fn take_tree(&mut self, root: Oid) -> Result<(), SourceError> {
        let module = self.module;
        let repository = &module.repository;
        let mut open = vec![(root, String::new(), 0)];
        while let Some((id, path, depth)) = open.pop() {
            if !self.take(id, Some(&path))? {
                continue;
            }
            let size_of = |id| size(repository, id);
            if depth > MAX_DEPTH || size_of(id).map_err(|error| self.failed(error.message()))? > MAX_FOLDER {
                return Err(self.failed("a folder of its history is too deep or too large"));
            }
            let tree = repository.find_tree(id).map_err(|error| self.failed(error.message()))?;
            // A folder may have the same one millions of times, in a few bytes of a pack.
            if open.len() + tree.len() > MAX_OBJECTS {
                return Err(self.failed(&format!("folders of its history have more than {MAX_OBJECTS} entries")));
            }
            for entry in &tree {
                let name = String::from_utf8_lossy(entry.name_bytes());
                let path = if path.is_empty() { name.into_owned() } else { format!("{path}/{name}") };
                let path = end_of(&path).to_owned();
                match entry.kind() {
                    Some(ObjectType::Tree) => open.push((entry.id(), path, depth + 1)),
                    // A submodule's commit is in another repository.
                    Some(ObjectType::Commit) => {}
                    _ => {
                        if self.take(entry.id(), Some(&path))?
                            && size_of(entry.id()).map_err(|error| self.failed(error.message()))? > MAX_FILE
                        {
                            return Err(self.failed(&format!("{path} was once larger than {MAX_FILE} bytes")));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn pack(self) -> Result<Packed, SourceError> {
        // A repository without refs or a configuration: either would have a say in the order.
        let empty = clone::empty_repository(&self.folder)?;
        let files = self.folder.join("made");
        let budget = self.plan.budget;
        let write = |repository: &Repository| -> Result<(), git2::Error> {
            let objects = self.module.repository.path().join("objects");
            repository.odb()?.add_disk_alternate(&objects.to_string_lossy())?;
            let mut builder = repository.packbuilder()?;
            builder.set_progress_callback(move |_, _, _| budget.exhausted().is_none())?;
            for (id, path) in &self.objects {
                builder.insert_object(*id, path.as_deref().filter(|path| !path.contains('\0')))?;
            }
            builder.write(&files, 0o644)
        };
        let local = |error: std::io::Error| SourceError::Local(format!("a pack cannot be written: {error}"));
        std::fs::create_dir(&files).map_err(local)?;
        write(&empty).map_err(|error| match budget.exhausted() {
            Some(reason) => SourceError::Local(reason.to_owned()),
            None => self.failed(error.message()),
        })?;
        let mut found = Vec::new();
        for file in std::fs::read_dir(&files).map_err(local)? {
            let file = file.map_err(local)?;
            found.push((file.file_name().to_string_lossy().into_owned(), file.path()));
        }
        found.sort();
        Ok(Packed { files: found, tags: self.tags, shallow: self.shallow })
    }
}

#[cfg(test)]
mod tests {
    use super::{PATH_END, end_of};

    #[test]
    fn of_a_path_the_end_is_kept() {
        assert_eq!(end_of("a/b.java"), "a/b.java");
        let long = format!("{}/b.java", "é".repeat(1_000));
        let end = end_of(&long);
        assert!(end.ends_with("é/b.java") && end.chars().count() == PATH_END, "{end}");
    }
}
