//! Making an image again from its lock, and saying what is different.
//!
//! The files of the lock are laid out as the archive lays them out, so that `apt` itself checks what it always checks: the
//! archive's signature with Debian's keyring, the digest of the index under it, the digests of the packages in that.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use pyrsia_digest::Sha256;

use crate::images::bake::Oven;
use crate::images::lock::{self, ImageLock, LockedFile};
use crate::images::recipe::architecture;
use crate::images::{ImageError, Recipe, archive};

/// Where Debian's keys lie.
const KEYRINGS: [&str; 2] =
    ["/usr/share/keyrings/debian-archive-keyring.pgp", "/usr/share/keyrings/debian-archive-keyring.gpg"];
/// Entries of a layer that are compared at most; some 40,000 are usual.
const MAX_ENTRIES: usize = 1_000_000;
/// Largest entry that only describes the next one, such as a long name, in bytes.
const MAX_EXTENSION: u64 = 1 << 16;

/// Makes the image of a recipe again into `work_dir/NAME.tar`, from the files of a lock and from nothing else; `find` says
/// where each of them lies. Takes as long as making it.
///
/// # Errors
/// [`ImageError::Lock`] for a lock that names what it may not or whose files are not there, [`ImageError::Bake`] where a
/// signature or digest of the archive is not right, else as for [`build_image`](crate::build_image).
pub async fn remake_image(
    recipe: &Recipe,
    lock: &ImageLock,
    find: impl Fn(&Sha256) -> Option<PathBuf> + Send + 'static,
    work_dir: &Path,
    progress: &(dyn Fn(&str) + Send + Sync),
) -> Result<(PathBuf, Sha256), ImageError> {
    let oven = Oven::new(work_dir)?;
    let mirror = oven.open().join("mirror");
    let sources = {
        let (recipe, lock, mirror) = (recipe.clone(), lock.clone(), mirror.clone());
        tokio::task::spawn_blocking(move || lay_out(&recipe, &lock, find, &mirror))
    };
    let sources = sources.await.map_err(|error| ImageError::Lock(error.to_string()))??;
    let mut arguments = recipe.arguments(false, &[]);
    arguments.push(recipe.suite.clone());
    let layer = oven.bake(recipe, arguments, &sources, work_dir, progress).await?;
    let (_, digest) = archive::measure(&layer).await?;
    Ok((layer, digest))
}

/// Copies the files of a lock to where `apt` looks for them; returns the lines of its list of sources.
fn lay_out(
    recipe: &Recipe,
    lock: &ImageLock,
    find: impl Fn(&Sha256) -> Option<PathBuf>,
    mirror: &Path,
) -> Result<Vec<String>, ImageError> {
    let keyring = KEYRINGS.iter().find(|file| Path::new(file).is_file());
    let Some(keyring) = keyring else {
        return Err(ImageError::Lock("Debian's keys are not here (the package debian-archive-keyring)".to_owned()));
    };
    let known = recipe.suites();
    if let Some(suite) = lock.suites.iter().find(|suite| !known.contains(&suite.suite)) {
        return Err(ImageError::Lock(format!("{} is made from no suite {}", recipe.name, suite.suite)));
    }
    let mut sources = Vec::new();
    // In the order in which the tool lists them by itself: `apt` may install in another order with another one.
    for suite in known.iter().filter_map(|name| lock.suites.iter().find(|suite| suite.suite == *name)) {
        let name = &suite.suite;
        let root = mirror.join(name);
        let index = root.join("dists").join(name);
        let put = |file: &LockedFile, to: PathBuf| copy(file, &find, &to, mirror);
        put(&suite.release, index.join("InRelease"))?;
        put(&suite.packages, index.join(format!("main/binary-{}/Packages", architecture())))?;
        for package in lock.packages.iter().filter(|package| package.suite == *name) {
            put(&package.file, root.join(&package.path))?;
        }
        let url = url::Url::from_file_path(&root)
            .map_err(|()| ImageError::Lock(format!("{} is no absolute path", root.display())))?;
        sources.push(format!("deb [signed-by={keyring}] copy:{} {name} main", url.path()));
    }
    Ok(sources)
}

/// Copies a file, which must be what its digest says, to where every account may read it, below `mirror`.
fn copy(
    file: &LockedFile,
    find: impl Fn(&Sha256) -> Option<PathBuf>,
    to: &Path,
    mirror: &Path,
) -> Result<(), ImageError> {
    let failed = |source| ImageError::Read { file: to.to_owned(), source };
    let Some(from) = find(&file.sha256) else {
        return Err(ImageError::Lock(format!("a file that the image was made of is not here: {}", file.sha256)));
    };
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
        // Whatever this process' umask is: the account that reads here may be another one.
        for folder in folder.ancestors().take_while(|folder| folder.starts_with(mirror)) {
            std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).map_err(failed)?;
        }
    }
    std::fs::copy(from, to).map_err(failed)?;
    if lock::measure(to)? != *file {
        return Err(ImageError::Lock(format!("a file that the image was made of is damaged: {}", file.sha256)));
    }
    std::fs::set_permissions(to, std::fs::Permissions::from_mode(0o644)).map_err(failed)
}

/// What two layers have at one path: everything that a container could see.
type Facts = (u8, u32, u64, u64, u64, Option<PathBuf>, Sha256);

/// The paths at which two layers differ, in order.
///
/// # Errors
/// [`ImageError::Read`], also for a layer with more entries, or longer names, than one has.
pub fn differences(one: &Path, other: &Path) -> Result<Vec<String>, ImageError> {
    let (one, mut other) = (facts(one)?, facts(other)?);
    let mut different = Vec::new();
    for (path, facts) in one {
        if other.remove(&path).as_ref() != Some(&facts) {
            different.push(path);
        }
    }
    different.extend(other.into_keys());
    different.sort();
    Ok(different)
}

fn facts(layer: &Path) -> Result<BTreeMap<String, Facts>, ImageError> {
    let read = || -> io::Result<BTreeMap<String, Facts>> {
        check_bounds(layer)?;
        let mut found = BTreeMap::new();
        let mut archive = tar::Archive::new(BufReader::with_capacity(1 << 18, File::open(layer)?));
        for entry in archive.entries()? {
            let mut entry = entry?;
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let header = entry.header();
            let (kind, mode) = (header.entry_type().as_byte(), header.mode()?);
            let (uid, gid, time) = (header.uid()?, header.gid()?, header.mtime()?);
            let link = entry.link_name()?.map(|link| link.into_owned());
            let (digest, _) = lock::hash(&mut entry)?;
            found.insert(path, (kind, mode, uid, gid, time, link, digest));
        }
        Ok(found)
    };
    read().map_err(|source| ImageError::Read { file: layer.to_owned(), source })
}

/// Refuses a layer that would fill the memory when it is compared: it may be one that others have made.
fn check_bounds(layer: &Path) -> io::Result<()> {
    let refused = |problem: &str| Err(io::Error::new(io::ErrorKind::InvalidData, problem));
    let mut archive = tar::Archive::new(BufReader::with_capacity(1 << 18, File::open(layer)?));
    // Raw: a long name is an entry of its own here, whose bytes nobody reads.
    for (index, entry) in archive.entries()?.raw(true).enumerate() {
        let entry = entry?;
        let kind = entry.header().entry_type();
        let describes = kind.is_gnu_longname()
            || kind.is_gnu_longlink()
            || kind.is_pax_local_extensions()
            || kind.is_pax_global_extensions();
        if describes && entry.size() > MAX_EXTENSION {
            return refused("a name in the layer is too long");
        }
        if index >= MAX_ENTRIES {
            return refused("the layer has too many entries");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::lock::{LockedPackage, LockedSuite};

    fn layer(files: &[(&str, &[u8], u32)]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut tar = tar::Builder::new(file.reopen().unwrap());
        for (name, content, mode) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(*mode);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            tar.append_data(&mut header, name, *content).unwrap();
        }
        tar.finish().unwrap();
        file
    }

    #[test]
    fn layers_differ_in_content_mode_and_what_is_there() {
        let one = layer(&[("a", b"1", 0o644), ("b", b"1", 0o644), ("c", b"1", 0o644), ("d", b"1", 0o644)]);
        let other = layer(&[("a", b"1", 0o644), ("b", b"2", 0o644), ("c", b"1", 0o755), ("e", b"1", 0o644)]);
        assert_eq!(differences(one.path(), one.path()).unwrap(), Vec::<String>::new());
        assert_eq!(differences(one.path(), other.path()).unwrap(), ["b", "c", "d", "e"]);
    }

    #[test]
    fn a_layer_with_an_endless_name_is_not_read() {
        let long = |length: usize| {
            let name = format!("a/{}c", "b/".repeat(length / 2));
            layer(&[(name.as_str(), b"1", 0o644)])
        };
        let usual = long(300);
        assert_eq!(differences(usual.path(), usual.path()).unwrap(), Vec::<String>::new());
        let endless = long(1 << 17);
        assert!(matches!(differences(endless.path(), usual.path()), Err(ImageError::Read { .. })));
    }

    #[test]
    fn what_is_not_what_the_lock_says_is_not_laid_out() {
        let recipe = crate::images::recipe("jdk17").unwrap().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let good = folder.path().join("good");
        std::fs::write(&good, b"good").unwrap();
        let file = LockedFile { sha256: Sha256::of(b"good"), bytes: 4 };
        let suite = LockedSuite { suite: "bookworm".to_owned(), release: file, packages: file };
        let package = LockedPackage {
            name: "acme".to_owned(),
            version: "1".to_owned(),
            architecture: "all".to_owned(),
            suite: "bookworm".to_owned(),
            path: "pool/main/a/acme_1_all.deb".to_owned(),
            file,
        };
        let lock = ImageLock { version: 1, suites: vec![suite], packages: vec![package] };
        let refusal = |lock: &ImageLock, content: &[u8]| {
            std::fs::write(&good, content).unwrap();
            let mirror = tempfile::tempdir_in(folder.path()).unwrap();
            let file = good.clone();
            match lay_out(&recipe, lock, move |_| Some(file.clone()), mirror.path()) {
                Ok(sources) => sources.join("\n"),
                Err(error) => error.to_string(),
            }
        };
        if KEYRINGS.iter().any(|file| Path::new(file).is_file()) {
            assert!(refusal(&lock, b"good").contains("signed-by"));
            assert!(refusal(&lock, b"evil").contains("damaged"));
            let mut sid = lock.clone();
            sid.suites[0].suite = "sid".to_owned();
            assert!(refusal(&sid, b"good").contains("sid"));
        } else {
            eprintln!("NOT TESTED: Debian's keys are not here");
        }
    }
}
