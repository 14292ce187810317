//! What the installed Maven brings to every build: its super POM and the plugins of each packaging.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use maven_layout::bindings::{self, Bindings};
use maven_layout::{Pom, PomError};

use crate::find::{FindConfig, FindError, SUPER_POM, SUPER_POM_JARS, jars_of, read_bounded};

const CORE: &str = "maven-core-";
/// Where a JAR that Maven built says its version.
const PROPERTIES: &str = "META-INF/maven/org.apache.maven/maven-core/pom.properties";

/// A Maven on this machine.
#[derive(Debug, Clone)]
pub struct InstalledMaven {
    /// Where it is.
    pub home: PathBuf,
    /// Its version, if it says one.
    pub version: Option<String>,
    /// Its plugins by packaging; none where they are in its code (3.10 and 4).
    pub bindings: Option<Bindings>,
    /// Its super POM.
    pub super_pom: Option<Pom>,
}

/// The Maven that this user would run, of those that [`find_central`](crate::find_central) would ask.
///
/// Reads files, so asynchronous callers use a blocking thread.
///
/// # Errors
/// [`FindError`] where its files cannot be read. That there is none is no error.
pub fn find_maven(config: &FindConfig) -> Result<Option<InstalledMaven>, FindError> {
    for home in config.homes() {
        let lib = home.join("lib");
        let Some(core) = jars_of(&lib, &[CORE])?.into_iter().next() else { continue };
        let properties = entry(&core, PROPERTIES)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let version = properties.as_deref().and_then(|text| {
            let versions = text.lines().filter_map(|line| line.trim().strip_prefix("version="));
            versions.map(str::trim).next().map(str::to_owned)
        });
        let xml = |path: &Path| {
            let path = path.to_owned();
            move |source| FindError::Xml { path, source }
        };
        let bindings = entry(&core, bindings::PLACE)?.map(|bytes| Bindings::parse(&bytes).map_err(xml(&core)));
        let mut super_pom = None;
        for jar in jars_of(&lib, &SUPER_POM_JARS)? {
            if let Some(bytes) = entry(&jar, SUPER_POM)? {
                super_pom = Some(Pom::parse(&bytes).map_err(|error| match error {
                    PomError::Xml(source) => FindError::Xml { path: jar.clone(), source },
                    other => FindError::Jar { path: jar.clone(), reason: other.to_string() },
                })?);
                break;
            }
        }
        return Ok(Some(InstalledMaven { home, version, bindings: bindings.transpose()?, super_pom }));
    }
    Ok(None)
}

/// An entry of a JAR of Maven's.
pub(crate) fn entry(jar: &Path, name: &str) -> Result<Option<Vec<u8>>, FindError> {
    let broken = |e: zip::result::ZipError| FindError::Jar { path: jar.to_path_buf(), reason: e.to_string() };
    let file = File::open(jar).map_err(|source| FindError::Io { path: jar.to_path_buf(), source })?;
    let mut archive = zip::ZipArchive::new(io::BufReader::new(file)).map_err(broken)?;
    match archive.by_name(name) {
        Ok(entry) => read_bounded(entry, jar).map(Some),
        Err(zip::result::ZipError::FileNotFound) => Ok(None),
        Err(error) => Err(broken(error)),
    }
}
