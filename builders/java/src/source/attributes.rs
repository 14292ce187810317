//! Which of git's attributes a file has, and what follows from them for its bytes.
//!
//! Attributes come from the `.gitattributes` files of the commit alone: none of this machine or of its user takes part.
//! They are read by libgit2, after a rewrite ([`super::attribute_file`]); what they mean for a checkout is decided here,
//! since libgit2's own checkout writes to a disk and knows no `working-tree-encoding`. `export-ignore` and `export-subst`
//! are about archives, and filters that no configuration defines do nothing: git does the same.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use build_spec::{Newline, SourceError};
use git2::{AttrCheckFlags, AttrValue, Index, IndexEntry, IndexTime, Oid, Repository};

use crate::source::convert::{Conversion, Lines};
use crate::source::tree::{Entry, Kind, Module, size};
use crate::source::{Budget, attribute_file, lfs, tree_error};

const FILE: &[u8] = b".gitattributes";
/// Bytes of all of a repository's files: each line is looked at for each file of the commit.
const MAX_FILES: u64 = 1024 * 1024;

/// Decides what happens to each file; gives sentences about pointers of git LFS that are in the tree.
///
/// # Errors
/// An encoding that is not converted to, or a pointer where an artifact may come from.
pub(crate) fn apply(
    modules: &[Module],
    entries: &mut [Entry],
    newline: Newline,
    commit: &str,
    budget: &Budget,
) -> Result<Vec<String>, SourceError> {
    let mut missing = Vec::new();
    let mut apart = Vec::new();
    for (number, module) in modules.iter().enumerate() {
        let mut prefix = module.path.clone();
        if !prefix.is_empty() {
            prefix.push(b'/');
        }
        let own = entries.iter().filter(|entry| entry.module == number);
        let attributes = Attributes::read(&module.repository, own, &prefix, newline, commit)?;
        for entry in entries.iter_mut().filter(|entry| entry.module == number) {
            if !matches!(entry.kind, Kind::File { .. }) {
                continue;
            }
            let wanted =
                attributes.of(entry.path.strip_prefix(prefix.as_slice()).unwrap_or(&entry.path), commit, budget)?;
            entry.conversion = wanted.conversion;
            let is_pointer = wanted.lfs
                && lfs::is_pointer(&module.repository, entry).map_err(|error| tree_error(commit, error.message()))?;
            if is_pointer {
                let list = if lfs::lies_apart(&entry.path) { &mut apart } else { &mut missing };
                list.push(String::from_utf8_lossy(&entry.path).into_owned());
            }
        }
    }
    let named = |paths: &[String]| match paths {
        [] => String::new(),
        [only] => only.clone(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    };
    if !missing.is_empty() {
        let problem = format!(
            "{}: git LFS keeps the content, which is not fetched, and the build would see a pointer",
            named(&missing)
        );
        return Err(tree_error(commit, &problem));
    }
    let sentence =
        || format!("pointers of git LFS stand in the place of files that go into no artifact: {}", named(&apart));
    Ok((!apart.is_empty()).then(sentence).into_iter().collect())
}

fn index_entry(path: &[u8], id: Oid) -> IndexEntry {
    let zero = IndexTime::new(0, 0);
    IndexEntry {
        ctime: zero,
        mtime: zero,
        dev: 0,
        ino: 0,
        mode: 0o100_644,
        uid: 0,
        gid: 0,
        file_size: 0,
        id,
        flags: 0,
        flags_extended: 0,
        path: path.to_vec(),
    }
}

/// What the attributes of a file ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Wanted {
    pub(crate) conversion: Conversion,
    /// Its content may be a pointer to a file that git LFS keeps elsewhere.
    pub(crate) lfs: bool,
}

/// The attributes of one repository's commit.
pub(crate) struct Attributes {
    /// A handle of its own: its index holds the `.gitattributes` files and nothing else.
    repository: Repository,
    newline: Newline,
    any: bool,
}

impl Attributes {
    /// Reads the `.gitattributes` files among these entries, whose paths begin with `prefix` (which ends with a slash,
    /// or is empty).
    pub(crate) fn read<'e>(
        repository: &Repository,
        entries: impl Iterator<Item = &'e Entry>,
        prefix: &[u8],
        newline: Newline,
        commit: &str,
    ) -> Result<Self, SourceError> {
        let failed =
            |error: git2::Error| tree_error(commit, &format!("its attributes cannot be read: {}", error.message()));
        let own = Repository::open_bare(repository.path()).map_err(failed)?;
        own.set_config(&repository.config().map_err(failed)?).map_err(failed)?;
        let mut index = Index::new().map_err(failed)?;
        let mut files = Vec::new();
        let mut total = 0;
        for entry in entries {
            let name = entry.path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
            // git takes no links for attributes.
            if name != FILE || !matches!(entry.kind, Kind::File { .. }) {
                continue;
            }
            total += size(repository, entry.id).map_err(failed)?;
            if total > MAX_FILES {
                let shown = String::from_utf8_lossy(&entry.path);
                return Err(tree_error(
                    commit,
                    &format!("with {shown} there are more than {MAX_FILES} bytes of attributes"),
                ));
            }
            let blob = repository.find_blob(entry.id).map_err(failed)?;
            files.push((entry.path.strip_prefix(prefix).unwrap_or(&entry.path), blob.content().to_vec()));
        }
        let any = !files.is_empty();
        if any && !files.iter().any(|(path, _)| *path == FILE) {
            files.push((FILE, Vec::new()));
        }
        let unusable = |path: &[u8], problem: String| {
            tree_error(commit, &format!("{} cannot be used: {problem}", String::from_utf8_lossy(path)))
        };
        let root =
            files.iter().find(|(path, _)| *path == FILE).map_or(b"".as_slice(), |(_, content)| content.as_slice());
        let macros = attribute_file::Macros::of(root).map_err(|problem| unusable(FILE, problem))?;
        for (path, content) in &files {
            let normal = attribute_file::normal(content, *path == FILE, &macros);
            let normal = normal.map_err(|problem| unusable(path, problem))?;
            let id = own.blob(&normal).map_err(failed)?;
            index.add(&index_entry(path, id)).map_err(failed)?;
        }
        own.set_index(&mut index).map_err(failed)?;
        Ok(Self { repository: own, newline, any })
    }

    /// What the file at a path of that repository gets.
    pub(crate) fn of(&self, path: &[u8], commit: &str, budget: &Budget) -> Result<Wanted, SourceError> {
        if let Some(reason) = budget.exhausted() {
            return Err(SourceError::Local(reason.to_owned()));
        }
        if !self.any {
            return Ok(Wanted { conversion: Conversion { lines: self.unattributed(), ident: false }, lfs: false });
        }
        let get = |name: &str| {
            let flags = AttrCheckFlags::INDEX_ONLY | AttrCheckFlags::NO_SYSTEM;
            let found = self.repository.get_attr_bytes(Path::new(OsStr::from_bytes(path)), name, flags);
            found.map(AttrValue::always_bytes).map_err(|error| {
                let shown = String::from_utf8_lossy(path);
                tree_error(commit, &format!("the attributes of {shown} cannot be read: {}", error.message()))
            })
        };
        let encoding = get("working-tree-encoding")?;
        if !is_usual(encoding) {
            let shown = String::from_utf8_lossy(path);
            let problem = format!("{shown} has a working-tree-encoding, which this version does not convert to");
            return Err(tree_error(commit, &problem));
        }
        let text = match Text::of(get("text")?) {
            // The name that `text` once had.
            Text::Unspecified => Text::of(get("crlf")?),
            text => text,
        };
        let conversion =
            Conversion { lines: self.lines(text, get("eol")?), ident: matches!(get("ident")?, AttrValue::True) };
        Ok(Wanted { conversion, lfs: matches!(get("filter")?, AttrValue::Bytes(b"lfs")) })
    }

    fn unattributed(&self) -> Lines {
        match self.newline {
            Newline::Lf => Lines::Stored,
            Newline::Crlf => Lines::CrlfIfText,
        }
    }

    /// `newline = "crlf"` is what `core.autocrlf = true` is for git, `newline = "lf"` is git's own setting on Unix.
    fn lines(&self, text: Text, eol: AttrValue<'_>) -> Lines {
        let crlf = match (text, eol) {
            // `eol` says nothing about what is no text.
            (Text::No, _) => return Lines::Stored,
            (_, AttrValue::Bytes(b"crlf")) => true,
            (_, AttrValue::Bytes(b"lf")) => false,
            (Text::Input, _) => false,
            (Text::Yes | Text::Guess, _) => self.newline == Newline::Crlf,
            (Text::Unspecified, _) => return self.unattributed(),
        };
        match (crlf, text) {
            (false, _) => Lines::Stored,
            (true, Text::Guess) => Lines::CrlfIfText,
            (true, _) => Lines::Crlf,
        }
    }
}

/// The attribute `text`, or its old name `crlf`.
#[derive(Clone, Copy)]
enum Text {
    Unspecified,
    Yes,
    No,
    Guess,
    /// Text whose line ends are never changed on the way out.
    Input,
}

impl Text {
    fn of(value: AttrValue<'_>) -> Self {
        match value {
            AttrValue::True => Self::Yes,
            AttrValue::False => Self::No,
            AttrValue::Bytes(b"auto") => Self::Guess,
            AttrValue::Bytes(b"input") => Self::Input,
            _ => Self::Unspecified,
        }
    }
}

/// Whether an encoding is none, or the one that texts have anyway.
fn is_usual(encoding: AttrValue<'_>) -> bool {
    match encoding {
        AttrValue::Bytes(name) => {
            name.is_empty() || name.eq_ignore_ascii_case(b"utf-8") || name.eq_ignore_ascii_case(b"utf8")
        }
        AttrValue::Unspecified => true,
        // git refuses these itself.
        _ => false,
    }
}
