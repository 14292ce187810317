//! Git repositories made from the sample projects, with the commands that a maintainer would type.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::places;
use crate::process::run;

/// A bare repository with a tagged commit.
#[derive(Debug)]
pub struct Repository {
    /// The bare repository's folder.
    pub path: PathBuf,
    /// The tagged commit, 40 hexadecimal digits.
    pub commit: String,
    /// The tag.
    pub tag: String,
}

/// A folder of repositories that stands for `https://samples.example/`.
#[derive(Debug)]
pub struct Sources {
    folder: PathBuf,
}

/// Changes the files of a tree.
pub type Edit<'a> = &'a dyn Fn(&Path);

/// The address prefix that the sample projects name in their `scm` sections.
pub const PREFIX: &str = "https://samples.example/";

impl Sources {
    /// An empty set of repositories in `folder`.
    pub fn new(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).expect("a folder for the repositories");
        Sources { folder: folder.to_owned() }
    }

    /// The value of `--source-mirror` that makes the programs clone from here.
    pub fn mirror(&self) -> String {
        format!("{PREFIX}=file://{}/", self.folder.display())
    }

    /// The address of a repository, as the ledger records it.
    pub fn address(name: &str) -> String {
        format!("{PREFIX}{name}.git")
    }

    /// Puts a sample project there as the repository `NAME.git` with one commit and the tag.
    pub fn add_sample(&self, name: &str, tag: &str) -> Repository {
        self.add_edited(name, name, tag, |_| {})
    }

    /// Puts a sample project there under another repository name, after `edit` changed its files.
    pub fn add_edited(&self, sample: &str, name: &str, tag: &str, edit: impl FnOnce(&Path)) -> Repository {
        let tree = places::scratch("tree");
        copy_tree(&places::sample(sample), tree.path());
        edit(tree.path());
        git(tree.path(), &["init", "-q"]);
        git(tree.path(), &["add", "-A"]);
        git(tree.path(), &["commit", "-q", "-m", &format!("{sample} {tag}")]);
        git(tree.path(), &["tag", tag]);
        let commit = git(tree.path(), &["rev-parse", "HEAD"]).trim().to_owned();
        Repository { path: self.publish(name, tree.path()), commit, tag: tag.to_owned() }
    }

    /// Puts the repository of a work folder there as `NAME.git`, in the place of the one that was there.
    fn publish(&self, name: &str, tree: &Path) -> PathBuf {
        let path = self.folder.join(format!("{name}.git"));
        let _ = std::fs::remove_dir_all(&path);
        git(tree, &["clone", "-q", "--bare", ".", &path.to_string_lossy()]);
        path
    }

    /// Puts the repository `NAME.git` there with one commit and tag after the other, each after its edit of the tree, which
    /// is empty at first; returns the commits.
    pub fn add_history(&self, name: &str, commits: &[(&str, Edit<'_>)]) -> Vec<String> {
        let tree = places::scratch("tree");
        git(tree.path(), &["init", "-q"]);
        let mut made = Vec::new();
        for (tag, edit) in commits {
            edit(tree.path());
            git(tree.path(), &["add", "-A"]);
            git(tree.path(), &["commit", "-q", "--allow-empty", "-m", tag]);
            git(tree.path(), &["tag", tag]);
            made.push(git(tree.path(), &["rev-parse", "HEAD"]).trim().to_owned());
        }
        self.publish(name, tree.path());
        made
    }

    /// What git calls the tree of a commit of the repository `NAME.git`.
    pub fn tree_of(&self, name: &str, commit: &str) -> String {
        let tree = git(&self.folder.join(format!("{name}.git")), &["rev-parse", &format!("{commit}^{{tree}}")]);
        tree.trim().to_owned()
    }

    /// Removes a repository, as when its host is gone.
    pub fn remove(&self, name: &str) {
        std::fs::remove_dir_all(self.folder.join(format!("{name}.git"))).expect("the repository is there");
    }
}

/// Runs git with a fixed identity, date and no configuration of the machine's; returns its output.
#[track_caller]
pub fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .args(["-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always"])
        .args(arguments);
    for who in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{who}_NAME"), "Samples")
            .env(format!("GIT_{who}_EMAIL"), "samples@samples.example")
            .env(format!("GIT_{who}_DATE"), "2026-01-01T00:00:00Z");
    }
    run(&mut command, Duration::from_secs(60)).expect(0).stdout
}

/// Copies a folder; links are not followed, the outputs of earlier builds are left out.
pub fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a new folder");
    for entry in std::fs::read_dir(from).unwrap_or_else(|error| panic!("{}: {error}", from.display())).flatten() {
        let name = entry.file_name();
        let kind = entry.file_type().expect("a file has a type");
        if kind.is_dir() {
            if !["target", "build", ".gradle", ".git"].iter().any(|skipped| name == *skipped) {
                copy_tree(&entry.path(), &to.join(name));
            }
        } else if kind.is_file() {
            std::fs::copy(entry.path(), to.join(name)).expect("a copied file");
        }
    }
}

/// Replaces a text in a file; it must be there.
#[track_caller]
pub fn replace_in(file: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    assert!(text.contains(from), "{} does not contain {from:?}", file.display());
    std::fs::write(file, text.replace(from, to)).expect("a written file");
}

/// Changes one bit of one byte of a file.
pub fn flip_bit(file: &Path, at: usize) {
    let mut bytes = std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    bytes[at] ^= 1;
    std::fs::write(file, bytes).expect("a written file");
}
