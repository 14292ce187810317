//! Where things are: the checkout, the built program, folders for one test run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The root of the checkout.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in a folder of the checkout")
}

/// The built program: `PYRSIA_BIN`, or `pyrsia-maven` in the profile folder that this test binary came from.
pub fn program() -> PathBuf {
    if let Some(path) = std::env::var_os("PYRSIA_BIN") {
        return PathBuf::from(path);
    }
    let path = profile_folder().join("pyrsia-maven");
    assert!(path.is_file(), "{} is missing: run `cargo build --release` first, or set PYRSIA_BIN", path.display());
    path
}

/// The program with a scripted builder, beside the test binary's profile folder or named by `PYRSIA_SCRIPTED_BIN`.
pub fn scripted_program() -> PathBuf {
    if let Some(path) = std::env::var_os("PYRSIA_SCRIPTED_BIN") {
        return PathBuf::from(path);
    }
    let path = profile_folder().join("scripted-node");
    assert!(path.is_file(), "{} is missing: run `cargo build --release --workspace` first", path.display());
    path
}

/// An example program of the workspace, built with everything.
pub fn example(name: &str) -> PathBuf {
    let path = profile_folder().join("examples").join(name);
    assert!(
        path.is_file(),
        "{} is missing: run `cargo build --release --workspace --all-targets` first",
        path.display()
    );
    path
}

/// The folder of the builder images shared by all tests: `PYRSIA_IMAGE_CACHE`, or `.dev/images` of the checkout.
pub fn image_cache() -> PathBuf {
    std::env::var_os("PYRSIA_IMAGE_CACHE").map_or_else(|| root().join(".dev/images"), PathBuf::from)
}

/// A sample project's folder.
pub fn sample(name: &str) -> PathBuf {
    root().join("sample-projects").join(name)
}

/// The folder of this test run, under the target folder; those of earlier runs are removed.
pub fn run_folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let all = profile_folder().join("suite-runs");
        remove_ended_runs(&all);
        let mine = all.join(std::process::id().to_string());
        std::fs::create_dir_all(&mine).expect("the target folder can be written");
        mine
    })
}

/// A new folder for one test, removed when dropped.
pub fn scratch(name: &str) -> tempfile::TempDir {
    tempfile::Builder::new()
        .prefix(&format!("{name}-"))
        .tempdir_in(run_folder())
        .expect("the run's folder can be written")
}

/// What is left of something that worked in this folder: the folder, mounts in it, processes that name it.
pub fn left_of(folder: &Path) -> Vec<String> {
    let mut left = Vec::new();
    if folder.exists() {
        left.push(format!("{} is there", folder.display()));
    }
    let name = folder.to_string_lossy();
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    left.extend(mounts.lines().filter(|line| line.contains(&*name)).map(str::to_owned));
    for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(&*name) {
            left.push(format!("process {}: {line}", process.file_name().display()));
        }
    }
    left
}

/// A small file system in memory, mounted while this lives. Needs root.
pub struct SmallDisk {
    path: PathBuf,
    /// The folder that was made for it.
    _own: Option<tempfile::TempDir>,
    /// Where the folder lies in whose place it is.
    aside: Option<PathBuf>,
}

impl SmallDisk {
    /// One of so many MiB, in a folder of its own.
    pub fn mount(mib: u32) -> Self {
        let own = scratch("disk");
        let path = own.path().join("mounted");
        std::fs::create_dir(&path).expect("the scratch folder can be written");
        mount(&path, mib);
        SmallDisk { path, _own: Some(own), aside: None }
    }

    /// One in the place of a folder, with a copy of what is in it; afterwards the folder is back as it was. Nobody may be
    /// using it.
    pub fn over(folder: &Path, mib: u32) -> Self {
        let aside = folder.with_extension("aside");
        std::fs::rename(folder, &aside).expect("nobody uses the folder");
        std::fs::create_dir(folder).expect("the scratch folder can be written");
        mount(folder, mib);
        let disk = SmallDisk { path: folder.to_owned(), _own: None, aside: Some(aside.clone()) };
        done(Command::new("cp").arg("-a").arg(aside.join(".")).arg(folder));
        disk
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn ballast(&self) -> PathBuf {
        self.path.join("ballast")
    }

    /// Leaves no byte of it free.
    pub fn fill(&self) {
        let mut ballast =
            std::fs::File::options().create(true).append(true).open(self.ballast()).expect("the disk can be written");
        for size in [64 * 1024, 4096, 1] {
            let piece = vec![0x5a; size];
            while std::io::Write::write_all(&mut ballast, &piece).is_ok() {}
        }
    }

    /// Undoes [`SmallDisk::fill`].
    pub fn free(&self) {
        std::fs::remove_file(self.ballast()).expect("the ballast is there");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: after a failed test somebody may still use it.
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
        if let Some(aside) = &self.aside {
            // The empty folder that was mounted on gives way.
            let _ = std::fs::rename(aside, &self.path);
        }
    }
}

fn mount(at: &Path, mib: u32) {
    done(Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "pyrsia-test"]).arg(at));
}

#[track_caller]
fn done(command: &mut Command) {
    crate::process::run(command, std::time::Duration::from_secs(30)).expect(0);
}

fn profile_folder() -> PathBuf {
    let exe = std::env::current_exe().expect("a running program has a path");
    // target/release/deps/suite-0123456789abcdef
    exe.parent().and_then(Path::parent).expect("cargo puts test programs two folders down").to_owned()
}

fn remove_ended_runs(all: &Path) {
    let Ok(runs) = std::fs::read_dir(all) else {
        return;
    };
    for run in runs.flatten() {
        let id = run.file_name();
        if !Path::new("/proc").join(&id).exists() {
            // Best effort: a leftover costs space, not correctness.
            let _ = std::fs::remove_dir_all(run.path());
        }
    }
}
