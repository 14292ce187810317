//! Which classes are in the JARs that are here, for searches: looked up in the background, from the names in each JAR's central
//! directory. No request waits for it, nothing is expanded, and what was noted can be lost and is found again.

use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use jar_compare::{Directory, Limits};
use maven_layout::RepoPath;
use pyrsia_blobs::BlobStore;
use pyrsia_digest::Sha256;
use pyrsia_ledger::State;
use pyrsia_replica::ReplicaHandle;
use pyrsia_store::{ClassName, ClassStore, IndexStore};

/// Until it is looked again whether something came.
const PAUSE: Duration = Duration::from_secs(5);
/// Pause between two steps while there is much to do: others get to the disk.
const BETWEEN: Duration = Duration::from_millis(50);
/// Files that are looked at in one step.
const STEP: u64 = 100;
/// Classes of one JAR that are noted.
const MAX_CLASSES: usize = 20_000;
/// Largest central directory that is read, in bytes.
const MAX_DIRECTORY: u64 = 16 << 20;
/// Native JARs that are remembered as looked into; beyond it the memory begins anew.
const REMEMBERED: usize = 100_000;

/// A native JAR, and where it lies.
type NativeJar = (Sha256, RepoPath);

/// Looks into JARs.
#[derive(Clone)]
pub struct Cataloguer {
    /// The bytes.
    pub blobs: BlobStore,
    /// Which files are here.
    pub index: IndexStore,
    /// Where the classes are noted.
    pub classes: ClassStore,
    /// Which native files there are, whether anybody has asked for them or not.
    pub replica: ReplicaHandle,
}

impl Cataloguer {
    /// Looks into every JAR that is here or comes, for ever.
    pub async fn run(self) {
        let (mut looked, mut size) = (HashSet::<NativeJar>::new(), None);
        loop {
            let state = self.replica.state();
            let native = (size != Some(state.log_size())).then(|| state.clone());
            let here = self.clone();
            let known = std::mem::take(&mut looked);
            let step = move || -> anyhow::Result<(bool, HashSet<NativeJar>)> {
                let mut known = known;
                if let Some(state) = native {
                    here.native(&state, &mut known)?;
                }
                Ok((here.step()?, known))
            };
            let pause = match tokio::task::spawn_blocking(step).await.map_err(anyhow::Error::new).flatten() {
                Ok((more, known)) => {
                    (looked, size) = (known, Some(state.log_size()));
                    if more { BETWEEN } else { PAUSE }
                }
                Err(error) => {
                    tracing::warn!(error.message = format!("{error:#}"), "classes are not noted");
                    PAUSE
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Looks at the next files of the index. True if there were some. Blocking.
    fn step(&self) -> anyhow::Result<bool> {
        let seen = self.classes.seen()?;
        let (last, files) = self.index.came_after(seen, STEP)?;
        for (path, sha256) in &files {
            if holds_classes(path.file_name()) {
                self.look_into(sha256)?;
            }
        }
        if last != seen {
            self.classes.set_seen(last)?;
        }
        Ok(last != seen)
    }

    /// Looks at the native files that are here. Blocking.
    fn native(&self, state: &State, looked: &mut HashSet<NativeJar>) -> anyhow::Result<()> {
        let mut places = Vec::new();
        for verdict in state.verdicts().filter(|verdict| state.is_native(&verdict.coordinates.group)) {
            for file in verdict.files.iter().filter(|file| holds_classes(&file.name)) {
                let path = format!("{}/{}", verdict.coordinates.dir(), file.name).parse();
                let (Some(jar), Ok(path)) = (file.sha256, path) else { continue };
                let found = (jar, path);
                if !looked.contains(&found) && self.blobs.has(&jar) {
                    self.look_into(&jar)?;
                    if looked.len() >= REMEMBERED {
                        looked.clear();
                    }
                    places.push(found.clone());
                    looked.insert(found);
                }
            }
        }
        if !places.is_empty() {
            self.classes.put_places(places)?;
        }
        Ok(())
    }

    fn look_into(&self, jar: &Sha256) -> anyhow::Result<()> {
        if self.classes.knows(jar)? {
            return Ok(());
        }
        // Gone since: it is looked for again when the index begins anew.
        let Some(place) = self.blobs.get(jar) else { return Ok(()) };
        let classes = match classes_in(&place) {
            Ok(classes) => classes,
            Err(error) => {
                let message = format!("{error:#}");
                tracing::debug!(file.sha256 = %jar, error.message = message, "a JAR without classes to find");
                if is_of_the_disk(&error) {
                    return Ok(());
                }
                Vec::new()
            }
        };
        Ok(self.classes.put(jar, classes)?)
    }
}

/// Whether a file is gone or could not be read, which says nothing of what is in it.
fn is_of_the_disk(error: &anyhow::Error) -> bool {
    let of = error.downcast_ref::<std::io::Error>();
    of.is_some_and(|error| error.kind() != std::io::ErrorKind::UnexpectedEof)
}

/// JARs of sources and of documentation have none.
fn holds_classes(name: &str) -> bool {
    name.ends_with(".jar") && !name.ends_with("-sources.jar") && !name.ends_with("-javadoc.jar")
}

/// The classes in a JAR that a program can name: no inner ones, none of other Java versions.
fn classes_in(place: &Path) -> anyhow::Result<Vec<ClassName>> {
    let file = File::open(place)?;
    let size = file.metadata()?.len();
    let tail = read(&file, size.saturating_sub(Directory::TAIL as u64)..size)?;
    let directory = Directory::find(&tail, size)?;
    let range = directory.range();
    let length = range.end - range.start;
    ensure!(length <= MAX_DIRECTORY, "its central directory has {length} bytes");
    let bytes = read(&file, range)?;
    let names = directory.names(&bytes, &Limits::default())?;
    let classes: BTreeSet<ClassName> = names.into_iter().filter_map(class).take(MAX_CLASSES).collect();
    Ok(classes.into_iter().collect())
}

fn read(file: &File, range: std::ops::Range<u64>) -> anyhow::Result<Vec<u8>> {
    let length = range.end.checked_sub(range.start).and_then(|length| usize::try_from(length).ok());
    let mut bytes = vec![0; length.context("a range that ends before it begins")?];
    file.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes)
}

/// The class that an entry is.
fn class(entry: &str) -> Option<ClassName> {
    let path = entry.strip_suffix(".class")?;
    // No package has a hyphen, so neither the descriptions of packages and modules nor what lies in META-INF is one.
    let is_name = |part: &str| {
        !part.is_empty()
            && part.chars().all(|c| c.is_alphanumeric() || c == '_')
            && !part.starts_with(|c: char| c.is_ascii_digit())
    };
    if !path.split('/').all(is_name) {
        return None;
    }
    let (package, name) = path.rsplit_once('/').unwrap_or(("", path));
    Some(ClassName { package: package.replace('/', "."), name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_classes_are_those_that_a_program_can_name() {
        for (entry, expected) in [
            ("org/acme/Main.class", Some(("org.acme", "Main"))),
            ("Bare.class", Some(("", "Bare"))),
            ("org/acme/Größe_2.class", Some(("org.acme", "Größe_2"))),
            ("org/acme/Main$Inner.class", None),
            ("org/acme/package-info.class", None),
            ("module-info.class", None),
            ("META-INF/versions/9/org/acme/Main.class", None),
            ("BOOT-INF/classes/org/acme/Main.class", None),
            ("org/acme/Main.java", None),
            ("org/acme/", None),
            (".class", None),
        ] {
            let found = class(entry).map(|class| (class.package, class.name));
            assert_eq!(found, expected.map(|(package, name)| (package.to_owned(), name.to_owned())), "{entry}");
        }
        assert!(holds_classes("lib-1.0.jar") && holds_classes("lib-1.0-tests.jar"));
        assert!(!holds_classes("lib-1.0-sources.jar") && !holds_classes("lib-1.0.pom"));
    }

    #[test]
    fn what_is_no_archive_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for bytes in [&b""[..], b"a jar in name only"] {
            std::fs::write(file.path(), bytes).unwrap();
            assert!(!is_of_the_disk(&classes_in(file.path()).unwrap_err()));
        }
        let gone = file.path().to_owned();
        drop(file);
        assert!(is_of_the_disk(&classes_in(&gone).unwrap_err()), "it may come back");
    }
}
