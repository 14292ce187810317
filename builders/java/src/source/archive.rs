//! A source archive as a git repository of one commit, so that it is looked at, checked and frozen as any other source.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _};
use std::path::Path;

use build_spec::SourceError;
use flate2::read::MultiGzDecoder;
use git2::{Index, IndexEntry, IndexTime, Oid, Repository, Signature, Time};

use crate::config::{Limits, bytes};

/// The time of the commit, and so of all files: the earliest that a zip can hold. Archives have times in unknown zones.
const TIME: i64 = 315_532_800;
const BRANCH: &str = "refs/heads/archive";

/// Puts the files of an archive (a zip, or a tar compressed with gzip) into a new repository at `into`: those below `folder`,
/// without those in `remove`. Returns the id of its commit, which depends on the files alone.
///
/// # Errors
/// [`SourceError::Clone`] for what is no such archive, is larger than a source may be, or holds links or names that lead out
/// of it; [`SourceError::Local`] for this machine's own failures. `name` stands for it in messages.
pub fn repository_of_archive(
    archive: &Path,
    name: &str,
    folder: Option<&str>,
    remove: &[String],
    into: &Path,
    limits: &Limits,
) -> Result<String, SourceError> {
    let refused = |problem: String| SourceError::Clone { repository: name.to_owned(), problem };
    let local = |error: io::Error| SourceError::Local(format!("{}: {error}", archive.display()));
    let mut file = File::open(archive).map_err(local)?;
    let mut magic = [0; 2];
    let read = file.read(&mut magic).map_err(local)?;
    file.rewind().map_err(local)?;
    let repository = Repository::init_bare(into).map_err(|error| SourceError::Local(error.message().to_owned()))?;
    let mut files = Files {
        repository: &repository,
        index: Index::new().map_err(|error| SourceError::Local(error.message().to_owned()))?,
        folder: folder.map(|folder| format!("{folder}/")).unwrap_or_default(),
        remove,
        seen: BTreeSet::new(),
        left: bytes(limits.source_mib),
        entries_left: limits.source_files,
    };
    match (read, &magic) {
        (2, b"PK") => zip(file, &mut files),
        (2, [0x1f, 0x8b]) => tar(file, &mut files),
        _ => Err("it is neither a zip nor a tar compressed with gzip".to_owned()),
    }
    .map_err(refused)?;
    if files.index.is_empty() {
        return Err(refused(format!("it has no file{}", folder.map_or(String::new(), |at| format!(" below {at}")))));
    }
    let mut index = files.index;
    let commit = || -> Result<Oid, git2::Error> {
        let tree = repository.find_tree(index.write_tree_to(&repository)?)?;
        let who = Signature::new("archive", "archive@localhost", &Time::new(TIME, 0))?;
        repository.commit(Some(BRANCH), &who, &who, "archive", &tree, &[])
    }();
    commit.map(|id| id.to_string()).map_err(|error| refused(error.message().to_owned()))
}

struct Files<'a> {
    repository: &'a Repository,
    index: Index,
    /// With its slash; empty for the root.
    folder: String,
    remove: &'a [String],
    seen: BTreeSet<String>,
    left: u64,
    entries_left: u64,
}

impl Files<'_> {
    /// Takes an entry that is no folder.
    fn take(&mut self, path: &str, executable: bool, content: &mut dyn Read) -> Result<(), String> {
        let path = path.strip_prefix("./").unwrap_or(path);
        let named = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['\\', '\0']);
        if !path.split('/').all(named) {
            return Err(format!("{:?} is no path within it", excerpt(path)));
        }
        if !self.seen.insert(path.to_owned()) {
            return Err(format!("{} is in it twice", excerpt(path)));
        }
        self.entries_left =
            self.entries_left.checked_sub(1).ok_or_else(|| "it has more files than a source may have".to_owned())?;
        let mut bytes = Vec::new();
        content.take(self.left.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        self.left = self
            .left
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| "its files are larger than a source may be".to_owned())?;
        let Some(path) = path.strip_prefix(&self.folder) else { return Ok(()) };
        let removed =
            |gone: &String| path == gone || path.strip_prefix(gone.as_str()).is_some_and(|rest| rest.starts_with('/'));
        if self.remove.iter().any(removed) {
            return Ok(());
        }
        let id = self.repository.blob(&bytes).map_err(|error| error.message().to_owned())?;
        let mode = if executable { 0o100_755 } else { 0o100_644 };
        self.index.add(&entry(path, mode, id)).map_err(|error| error.message().to_owned())
    }
}

fn entry(path: &str, mode: u32, id: Oid) -> IndexEntry {
    let none = IndexTime::new(0, 0);
    IndexEntry {
        ctime: none,
        mtime: none,
        dev: 0,
        ino: 0,
        mode,
        uid: 0,
        gid: 0,
        file_size: 0,
        id,
        flags: 0,
        flags_extended: 0,
        path: path.as_bytes().to_vec(),
    }
}

fn zip(file: File, files: &mut Files<'_>) -> Result<(), String> {
    const KIND: u32 = 0o170_000;
    let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(|error| error.to_string())?;
    for at in 0..archive.len() {
        let mut entry = archive.by_index(at).map_err(|error| error.to_string())?;
        let name = entry.name().to_owned();
        if entry.is_dir() {
            continue;
        }
        let mode = entry.unix_mode().unwrap_or(0o100_644);
        if mode & KIND != 0 && mode & KIND != 0o100_000 {
            return Err(format!("{} is a link or no file", excerpt(&name)));
        }
        files.take(&name, mode & 0o111 != 0, &mut entry)?;
    }
    Ok(())
}

fn tar(file: File, files: &mut Files<'_>) -> Result<(), String> {
    let mut archive = tar::Archive::new(MultiGzDecoder::new(BufReader::new(file)));
    for entry in archive.entries().map_err(|error| error.to_string())? {
        let mut entry = entry.map_err(|error| error.to_string())?;
        let name = String::from_utf8(entry.path_bytes().into_owned()).map_err(|_| "a name is not UTF-8".to_owned())?;
        let mode = entry.header().mode().map_err(|error| error.to_string())?;
        match entry.header().entry_type() {
            tar::EntryType::Regular | tar::EntryType::Continuous => files.take(&name, mode & 0o111 != 0, &mut entry)?,
            tar::EntryType::Directory | tar::EntryType::XGlobalHeader => {
                let next = files.entries_left.checked_sub(1);
                files.entries_left = next.ok_or_else(|| "it has more files than a source may have".to_owned())?;
            }
            _ => return Err(format!("{} is a link or no file", excerpt(&name))),
        }
    }
    Ok(())
}

fn excerpt(path: &str) -> String {
    path.chars().filter(|c| !c.is_control()).take(128).collect()
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write as _};

    use super::*;

    type Entries<'a> = &'a [(&'a str, u32, &'a [u8])];

    fn zipped(entries: Entries<'_>) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, mode, content) in entries {
            let options = zip::write::SimpleFileOptions::default().unix_permissions(*mode);
            if *mode == 0o120_777 {
                zip.add_symlink(*name, String::from_utf8_lossy(content), options).unwrap();
            } else {
                zip.start_file(*name, options).unwrap();
                zip.write_all(content).unwrap();
            }
        }
        zip.finish().unwrap().into_inner()
    }

    fn tarred(entries: Entries<'_>) -> Vec<u8> {
        let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
        for (name, mode, content) in entries {
            let mut header = tar::Header::new_gnu();
            // As it is: the library would refuse the names that are tried here.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_mode(*mode & 0o777);
            let link = *mode == 0o120_777;
            header.set_entry_type(if link { tar::EntryType::Symlink } else { tar::EntryType::Regular });
            header.set_size(if link { 0 } else { content.len() as u64 });
            header.set_cksum();
            tar.append(&header, if link { &[][..] } else { *content }).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap()
    }

    fn made(
        archive: &[u8],
        folder: Option<&str>,
        remove: &[&str],
    ) -> Result<(String, Vec<(String, i32)>), SourceError> {
        let work = tempfile::tempdir().unwrap();
        let file = work.path().join("archive");
        std::fs::write(&file, archive).unwrap();
        let remove: Vec<String> = remove.iter().map(|path| (*path).to_owned()).collect();
        let limits = Limits { source_mib: 1, source_files: 5, ..Limits::default() };
        let into = work.path().join("git");
        let id = repository_of_archive(&file, "https://files.example/a", folder, &remove, &into, &limits)?;
        let repository = Repository::open_bare(&into).unwrap();
        let tree = repository.find_commit(Oid::from_str(&id).unwrap()).unwrap().tree().unwrap();
        let mut found = Vec::new();
        tree.walk(git2::TreeWalkMode::PreOrder, |root, entry| {
            if entry.kind() == Some(git2::ObjectType::Blob) {
                found.push((format!("{root}{}", entry.name().unwrap()), entry.filemode()));
            }
            git2::TreeWalkResult::Ok
        })
        .unwrap();
        Ok((id, found))
    }

    const FILES: Entries<'static> = &[
        ("a-1/pom.xml", 0o644, b"<project/>"),
        ("a-1/bin/run.sh", 0o755, b"#!/bin/sh"),
        ("a-1/NOTICE", 0o644, b"none"),
        ("other", 0o644, b"beside"),
    ];

    #[test]
    fn both_kinds_make_the_same_commit_of_the_same_files() {
        let expected = [("bin/run.sh".to_owned(), 0o100_755), ("pom.xml".to_owned(), 0o100_644)];
        let (zip, files) = made(&zipped(FILES), Some("a-1"), &["NOTICE"]).unwrap();
        assert_eq!(files, expected);
        let (tar, files) = made(&tarred(FILES), Some("a-1"), &["NOTICE"]).unwrap();
        assert_eq!((tar, files), (zip.clone(), expected.to_vec()));
        let (whole, files) = made(&zipped(FILES), None, &["a-1/bin"]).unwrap();
        assert_eq!(files.len(), 3);
        assert_ne!(whole, zip);
    }

    #[test]
    fn what_leads_out_or_is_too_large_is_refused() {
        let refused = |archive: Vec<u8>, text: &str| match made(&archive, None, &[]) {
            Err(SourceError::Clone { problem, .. }) => assert!(problem.contains(text), "{text}: {problem}"),
            other => panic!("{text}: {other:?}"),
        };
        let large = vec![0; 1024 * 1024 + 1];
        for pack in [zipped, tarred] {
            refused(pack(&[("../x", 0o644, b"")]), "no path within it");
            refused(pack(&[("/etc/x", 0o644, b"")]), "no path within it");
            refused(pack(&[("a\\b", 0o644, b"")]), "no path within it");
            refused(pack(&[(".git/config", 0o644, b"")]), "invalid path");
            refused(pack(&[("link", 0o120_777, b"/etc/passwd")]), "is a link");
            refused(pack(&[("large", 0o644, &large)]), "larger than a source may be");
            let many: Vec<(&str, u32, &[u8])> =
                ["1", "2", "3", "4", "5", "6"].map(|name| (name, 0o644, &b""[..])).into();
            refused(pack(&many), "more files");
        }
        refused(tarred(&[("x", 0o644, b"1"), ("x", 0o644, b"2")]), "twice");
        refused(b"neither".to_vec(), "neither a zip");
        refused(zipped(FILES)[..60].to_vec(), "");
        let mut cut = tarred(FILES);
        cut.truncate(cut.len() / 2);
        refused(cut, "");
        assert!(matches!(made(&zipped(FILES), Some("b"), &[]), Err(SourceError::Clone { .. })));
    }
}
