//! Which upstream the user of this machine would talk to.
//!
//! No address of a repository is built in. Maven has one in its super POM, and its users may have put a mirror in
//! front of it; this is where ours comes from.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use maven_layout::settings::{self, Settings};
use maven_layout::{XmlError, superpom};
use url::Url;

use crate::installed::entry;

/// Largest `settings.xml` or super POM, in bytes.
const MAX_XML_BYTES: u64 = 1024 * 1024;
/// The super POM inside Maven's jars.
pub(crate) const SUPER_POM: &str = "org/apache/maven/model/pom-4.0.0.xml";
/// The jars that hold it, by the beginning of their names: Maven 3, then 4.
pub(crate) const SUPER_POM_JARS: [&str; 3] = ["maven-model-builder-", "maven-impl-", "maven-api-impl-"];

/// Where to look. Nothing is read from the environment unless [`FindConfig::from_variables`] is given it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FindConfig {
    /// The user's `settings.xml`.
    pub user_settings: Option<PathBuf>,
    /// Maven installations, the preferred first.
    pub maven_homes: Vec<PathBuf>,
    /// The value of `PATH`: an `mvn` found there leads to another installation.
    pub search_path: Option<OsString>,
    /// Installations to try after that one.
    pub well_known: Vec<PathBuf>,
    /// Addresses of mirrors that are passed over, as if the settings did not name them.
    pub not: Vec<String>,
    /// The configured upstream, for machines without Maven. A caller that wants it to win does not ask us.
    pub upstream: Option<String>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundUpstream {
    /// The address, as written where it was found (a valid http or https URL; may hold credentials).
    pub url: String,
    /// Where it was found, for people.
    pub how: String,
}

/// Why no upstream was found.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// A file of Maven's cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// A file of Maven's is not what it should be; going on without it could go around a mirror that is prescribed.
    #[error("{} is not readable as XML: {source}; correct it, or set `upstream`", path.display())]
    Xml {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: XmlError,
    },
    /// A jar of Maven's is damaged.
    #[error("cannot read the super POM in {}: {reason}", path.display())]
    Jar {
        /// The jar.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file is larger than such a file can be.
    #[error("{} is larger than {MAX_XML_BYTES} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The settings forbid the central repository.
    #[error("mirror `{id}` in {} blocks the central repository; set `upstream` to use another", path.display())]
    Blocked {
        /// The settings file.
        path: PathBuf,
        /// The mirror's id.
        id: String,
    },
    /// The address found is no http or https URL.
    #[error("{how} has an address that cannot be used ({reason}); write it out, or set `upstream`")]
    Address {
        /// Where the address was found.
        how: String,
        /// What is wrong with it. The address itself may hold a password and is not repeated.
        reason: String,
    },
    /// No settings with a mirror, no Maven, no configured upstream.
    #[error(
        "no upstream: no Maven was found{} and `upstream` is not set; install Maven or set `upstream`",
        looked(tried)
    )]
    NotFound {
        /// The places that were looked at.
        tried: Vec<PathBuf>,
    },
}

fn looked(tried: &[PathBuf]) -> String {
    let places: Vec<_> = tried.iter().map(|p| p.display().to_string()).collect();
    if places.is_empty() { String::new() } else { format!(" (looked at {})", places.join(", ")) }
}

impl FindConfig {
    /// The usual places, from variables of the environment: `HOME`, `M2_HOME`, `MAVEN_HOME`, `PATH`.
    pub fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let folder = |name: &str| variable(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        Self {
            user_settings: folder("HOME").map(|home| home.join(".m2").join("settings.xml")),
            maven_homes: ["MAVEN_HOME", "M2_HOME"].into_iter().filter_map(folder).collect(),
            search_path: variable("PATH"),
            well_known: vec![PathBuf::from("/usr/share/maven")],
            not: Vec::new(),
            upstream: None,
        }
    }

    /// Maven installations that exist, in order of preference.
    pub(crate) fn homes(&self) -> Vec<PathBuf> {
        let on_path = self.search_path.iter().flat_map(std::env::split_paths).filter_map(|folder| {
            // Distributions link /usr/bin/mvn to the installation's own bin/mvn.
            let mvn = folder.join("mvn").canonicalize().ok().filter(|mvn| mvn.is_file())?;
            Some(mvn.parent()?.parent()?.to_path_buf())
        });
        let mut homes: Vec<PathBuf> = Vec::new();
        for home in self.maven_homes.iter().cloned().chain(on_path).chain(self.well_known.iter().cloned()) {
            if home.is_dir() && !homes.contains(&home) {
                homes.push(home);
            }
        }
        homes
    }
}

/// Finds the repository that Maven calls `central` on this machine: the mirror that the settings put in front of it
/// (the user's and the installation's are merged as Maven merges them), else the address in the super POM of the
/// installation, else the configured upstream.
///
/// Reads files, so asynchronous callers use a blocking thread.
///
/// # Errors
/// [`FindError`].
pub fn find_central(config: &FindConfig) -> Result<FoundUpstream, FindError> {
    let homes = config.homes();
    let global = homes.iter().map(|home| home.join("conf").join("settings.xml")).find(|path| path.is_file());
    if let Some(found) = mirror(config.user_settings.as_deref(), global.as_deref(), &config.not)? {
        return Ok(found);
    }
    let mut tried: Vec<PathBuf> = config.user_settings.iter().cloned().collect();
    tried.extend(global);
    for home in homes {
        for jar in jars_of(&home.join("lib"), &SUPER_POM_JARS)? {
            if let Some(found) = central_in(&jar)? {
                return Ok(found);
            }
            tried.push(jar);
        }
        tried.push(home);
    }
    match &config.upstream {
        Some(upstream) => usable(upstream.clone(), "the configured `upstream`".to_owned()),
        None => Err(FindError::NotFound { tried }),
    }
}

fn mirror(user: Option<&Path>, global: Option<&Path>, not: &[String]) -> Result<Option<FoundUpstream>, FindError> {
    let mut merged = Settings::default();
    let mut from: Vec<&Path> = Vec::new();
    for path in [user, global].into_iter().flatten() {
        let mirrors = read_settings(path)?.mirrors.into_iter();
        for mirror in mirrors.filter(|mirror| !not.iter().any(|not| not == mirror.url.trim())) {
            // Of two with one id the user's counts, as in Maven.
            if merged.mirrors.iter().all(|m| m.id != mirror.id || mirror.id.is_empty()) {
                merged.mirrors.push(mirror);
                from.push(path);
            }
        }
    }
    let Some(mirror) = merged.mirror_of_central() else {
        return Ok(None);
    };
    let place = merged.mirrors.iter().position(|m| std::ptr::eq(m, mirror));
    let path = place.and_then(|i| from.get(i)).copied().unwrap_or(Path::new("settings.xml"));
    if mirror.blocked {
        return Err(FindError::Blocked { path: path.to_path_buf(), id: mirror.id.clone() });
    }
    let how = format!("mirror `{}` of the central repository in {}", mirror.id, path.display());
    usable(mirror.url.clone(), how).map(Some)
}

fn read_settings(path: &Path) -> Result<Settings, FindError> {
    let file = match File::open(path) {
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Settings::default());
        }
        other => other.map_err(|source| FindError::Io { path: path.to_path_buf(), source })?,
    };
    let bytes = read_bounded(file, path)?;
    settings::parse(&bytes).map_err(|source| FindError::Xml { path: path.to_path_buf(), source })
}

pub(crate) fn read_bounded(file: impl Read, path: &Path) -> Result<Vec<u8>, FindError> {
    let mut bytes = Vec::new();
    file.take(MAX_XML_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| FindError::Io { path: path.to_path_buf(), source })?;
    if bytes.len() as u64 > MAX_XML_BYTES {
        return Err(FindError::TooLarge { path: path.to_path_buf() });
    }
    Ok(bytes)
}

/// The jars of a folder whose names begin so, in the order of these beginnings.
pub(crate) fn jars_of(lib: &Path, beginnings: &[&'static str]) -> Result<Vec<PathBuf>, FindError> {
    let names = match std::fs::read_dir(lib) {
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        other => other.and_then(|entries| entries.map(|e| Ok(e?.file_name())).collect::<io::Result<Vec<_>>>()),
    };
    let mut names = names.map_err(|source| FindError::Io { path: lib.to_path_buf(), source })?;
    names.sort();
    let with_prefix = |prefix: &'static str| {
        let ours = move |name: &&OsString| {
            name.to_str().is_some_and(|name| name.starts_with(prefix) && name.ends_with(".jar"))
        };
        names.iter().filter(ours).map(|name| lib.join(name))
    };
    Ok(beginnings.iter().copied().flat_map(with_prefix).collect())
}

fn central_in(jar: &Path) -> Result<Option<FoundUpstream>, FindError> {
    let Some(bytes) = entry(jar, SUPER_POM)? else { return Ok(None) };
    let url = superpom::central_url(&bytes).map_err(|source| FindError::Xml { path: jar.to_path_buf(), source })?;
    url.map(|url| usable(url, format!("super POM of Maven in {}", jar.display()))).transpose()
}

fn usable(url: String, how: String) -> Result<FoundUpstream, FindError> {
    if url.contains("${") {
        return Err(FindError::Address {
            how,
            reason: "it holds an expression, which only Maven can resolve".to_owned(),
        });
    }
    match Url::parse(url.trim()) {
        Ok(parsed) if matches!(parsed.scheme(), "http" | "https") && parsed.has_host() => {
            Ok(FoundUpstream { url: url.trim().to_owned(), how })
        }
        Ok(parsed) => Err(FindError::Address { how, reason: format!("scheme `{}`", parsed.scheme()) }),
        Err(error) => Err(FindError::Address { how, reason: error.to_string() }),
    }
}

#[cfg(test)]
#[path = "find_tests.rs"]
mod tests;
