//! The outputs: a tar that a stranger's build wrote, so nothing in it is taken on trust.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::Path;
use std::str::FromStr as _;

use build_spec::{BuildError, BuildLimit, Built, BuiltFile, ToolFailure};
use maven_layout::{Coordinates, PathKind, Pom, RepoPath};
use pyrsia_digest::{MultiHasher, Sha256};

use crate::log::Hints;

/// The builder's own small files at the beginning of the tar.
const MAX_NOTE: u64 = 4096;
/// The one of them that has a line for each file of the reactor.
const MAX_REACTOR_NOTE: u64 = 4 * 1024 * 1024;
/// Files of one release; more than any build makes on purpose.
const MAX_RELEASE_FILES: usize = 256;
/// A POM that is looked into, bytes.
const MAX_POM: u64 = 8 * 1024 * 1024;
/// A path in the tar, and its last part; what the layout has is far shorter.
const MAX_PATH: u64 = 4096;
const MAX_NAME: usize = 255;
/// A RAM disk with less than this left, in KiB, was full.
const FULL_KIB: u64 = 1024;

/// Reads the tar into the folder `scratch`.
pub(crate) fn collect(
    scratch: &Path,
    archive: &Path,
    wanted: &[Coordinates],
    max_bytes: u64,
    max_files: usize,
    log_tail: Vec<String>,
    hints: &Hints,
) -> Result<Built, BuildError> {
    let local = |error: io::Error| BuildError::Engine(format!("the outputs cannot be kept: {error}"));
    // Whatever is wrong with the tar, it was wrong when it came.
    let broken = |error: io::Error| unexpected(&format!("what is no tar: {error}"));
    let mut tar = tar::Archive::new(io::BufReader::new(File::open(archive).map_err(local)?));
    let mut notes: BTreeMap<String, String> = BTreeMap::new();
    let mut found = Vec::new();
    let mut left = max_bytes;
    let mut long_name = None;
    // Raw, since the library would read names of any length.
    for entry in tar.entries().map_err(broken)?.raw(true) {
        let mut entry = entry.map_err(broken)?;
        let bytes = match long_name.take() {
            Some(name) => name,
            None => entry.path_bytes().into_owned(),
        };
        if entry.header().entry_type() == tar::EntryType::GNULongName {
            long_name = Some(read_long_name(&mut entry)?);
            continue;
        }
        let name = String::from_utf8(bytes).map_err(|_| unexpected("a name that is not UTF-8"))?;
        if entry.header().entry_type() != tar::EntryType::Regular {
            return Err(unexpected(&format!("{name}, which is no regular file")));
        }
        if matches!(name.as_str(), "status" | "step" | "ended" | "free" | "limits" | "byproducts" | "reactor") {
            let most = if name == "reactor" { MAX_REACTOR_NOTE } else { MAX_NOTE };
            if entry.size() > most {
                return Err(BuildError::Limit(BuildLimit::Outputs));
            }
            let mut text = String::new();
            entry.by_ref().take(most).read_to_string(&mut text).map_err(broken)?;
            if notes.insert(name.clone(), text).is_some() {
                return Err(unexpected(&format!("{name} twice")));
            }
            continue;
        }
        let Some((coordinates, name)) = place(&name, wanted)? else { continue };
        let siblings = found.iter().filter(|file: &&BuiltFile| file.coordinates == *coordinates).count();
        if found.len() >= max_files || siblings >= MAX_RELEASE_FILES {
            return Err(BuildError::Limit(BuildLimit::Outputs));
        }
        left = left.checked_sub(entry.size()).ok_or(BuildError::Limit(BuildLimit::Outputs))?;
        found.push(keep(&mut entry, coordinates, name, scratch).map_err(local)?);
    }

    // What a limit made of the build says nothing about the source, however the build took it.
    let limits = notes.get("limits").map(String::as_str).unwrap_or_default();
    for (word, limit) in [("memory", BuildLimit::Memory), ("processes", BuildLimit::Processes)] {
        if limits.lines().any(|line| line == word) {
            return Err(BuildError::Limit(limit));
        }
    }
    let code = notes.get("status").and_then(|text| text.trim().parse::<i64>().ok());
    match code {
        None => return Err(unexpected("no status")),
        Some(0) => {}
        Some(exit_code) => return Err(why_failed(exit_code, &notes, log_tail, hints)),
    }
    found.sort_by(|a, b| (&a.coordinates, &a.name).cmp(&(&b.coordinates, &b.name)));
    if let Some(pair) = found.windows(2).find(|pair| pair[0].path == pair[1].path) {
        return Err(unexpected(&format!("{} twice", pair[0].name)));
    }
    for coordinates in wanted {
        complete(coordinates, &found)?;
    }
    let byproducts = notes.get("byproducts").and_then(|text| Sha256::from_str(text.trim()).ok());
    let mut reactor = reactor(notes.get("reactor").map(String::as_str).unwrap_or_default())?;
    reactor.extend(found.iter().map(|file| file.digests.sha256));
    let _ = std::fs::remove_file(archive);
    Ok(Built { files: found, byproducts, reactor, asked: BTreeSet::new() })
}

/// The digests of what all modules attached, a line each.
fn reactor(text: &str) -> Result<BTreeSet<Sha256>, BuildError> {
    let digest = |line: &str| Sha256::from_str(line).map_err(|_| unexpected("a list of files that is none"));
    text.lines().map(digest).collect()
}

/// Something that the builder's own script does not hand out. A name in it is the build's, so it is cut and cleaned.
fn unexpected(what: &str) -> BuildError {
    let shown: String = what.chars().filter(|c| !c.is_control()).take(300).collect();
    BuildError::Interfered(format!("the sandbox handed out {shown}"))
}

/// The name of the next entry, where it does not fit into that one's header.
fn read_long_name(entry: &mut impl Read) -> Result<Vec<u8>, BuildError> {
    let mut name = Vec::new();
    let read = entry.take(MAX_PATH + 1).read_to_end(&mut name);
    read.map_err(|error| unexpected(&format!("what is no tar: {error}")))?;
    if name.len() as u64 > MAX_PATH {
        return Err(unexpected("a name that is too long"));
    }
    if name.last() == Some(&0) {
        name.pop();
    }
    Ok(name)
}

/// Which release a file belongs to and its name; none for what is no output: checksums, signatures, and files that
/// Maven's layout gives no place in the release's folder. Such a file has no coordinates that anybody could ask for or
/// compare, so one that a build drops there must not decide about the release.
fn place<'a>(name: &str, wanted: &'a [Coordinates]) -> Result<Option<(&'a Coordinates, String)>, BuildError> {
    let path = RepoPath::from_str(name).map_err(|error| unexpected(&format!("a bad path: {error}")))?;
    if matches!(path.kind(), PathKind::Checksum { .. } | PathKind::Signature { .. }) {
        return Ok(None);
    }
    if path.file_name().len() > MAX_NAME {
        return Err(unexpected("a name that is too long"));
    }
    let folder = path.parent();
    let owner = wanted.iter().find(|release| Some(release.dir()) == folder);
    match owner {
        Some(release) if release.rest_of(path.file_name()).is_some() => {
            Ok(Some((release, path.file_name().to_owned())))
        }
        Some(release) => {
            tracing::info!(%release, file = path.file_name(), "a file in the release's folder is no file of it");
            Ok(None)
        }
        None => Err(unexpected(&format!("{name}, which nobody asked for"))),
    }
}

fn keep(entry: &mut impl Read, coordinates: &Coordinates, name: String, root: &Path) -> io::Result<BuiltFile> {
    let dir = root.join(coordinates.dir().as_str());
    std::fs::create_dir_all(&dir)?;
    let path = dir.join(&name);
    let mut file = File::create(&path)?;
    let mut hasher = MultiHasher::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match entry.read(&mut buffer)? {
            0 => break,
            read => {
                hasher.update(&buffer[..read]);
                file.write_all(&buffer[..read])?;
            }
        }
    }
    Ok(BuiltFile { coordinates: coordinates.clone(), name, path, digests: hasher.finish() })
}

/// A release needs its POM, and a main artifact unless the POM says that it is nothing but a POM.
fn complete(coordinates: &Coordinates, files: &[BuiltFile]) -> Result<(), BuildError> {
    let main = format!("{}-{}.", coordinates.artifact.as_str(), coordinates.version.as_str());
    let own = || files.iter().filter(|file| file.coordinates == *coordinates);
    let missing = |what: &str| Err(BuildError::NoOutput(format!("{what} of {coordinates}")));
    let Some(pom) = own().find(|file| file.name == format!("{main}pom")) else { return missing("POM") };
    // One that is larger than any POM is none that says so.
    let bytes = (pom.digests.size <= MAX_POM).then(|| std::fs::read(&pom.path).ok()).flatten();
    let only_pom =
        bytes.and_then(|bytes| Pom::parse(&bytes).ok()).is_some_and(|pom| pom.effective_packaging() == "pom");
    let has_main = own().any(|file| file.name.starts_with(&main) && file.name != pom.name);
    if only_pom || has_main { Ok(()) } else { missing("main artifact") }
}

/// What the build had not enough of, by its own words and by how full its disks are.
pub(crate) fn ran_short(is_full: bool, hints: &Hints) -> Option<BuildLimit> {
    let short = [
        (is_full || hints.disk_full, BuildLimit::Disk),
        (hints.out_of_processes, BuildLimit::Processes),
        (hints.out_of_memory, BuildLimit::Memory),
    ];
    short.into_iter().find(|(is_short, _)| *is_short).map(|(_, limit)| limit)
}

fn why_failed(exit_code: i64, notes: &BTreeMap<String, String>, log_tail: Vec<String>, hints: &Hints) -> BuildError {
    let free = notes.get("free").map(String::as_str).unwrap_or_default();
    let full = free.lines().filter_map(|line| line.trim().parse::<u64>().ok()).any(|kib| kib < FULL_KIB);
    if let Some(limit) = ran_short(full, hints) {
        return BuildError::Limit(limit);
    }
    if let Some(host) = &hints.unknown_host {
        return BuildError::NeedsNetwork(host.clone());
    }
    // A line that failed without the tool having failed says nothing about the source that could be attested.
    let note = |name: &str| notes.get(name).map(|text| text.trim()).filter(|text| !text.is_empty());
    let by_tool = note("ended").is_some_and(|code| code != "0");
    match note("step").and_then(|step| step.split_once(' ')) {
        Some((place @ ("exec_before" | "commands" | "exec_after"), number)) if !by_tool => {
            let number: String = number.chars().filter(char::is_ascii_digit).take(3).collect();
            BuildError::CommandFailed { place: format!("{place}, line {number}"), exit_code, log_tail }
        }
        _ => ToolFailure { exit_code, log_tail }.into(),
    }
}

#[cfg(test)]
mod tests;
