//! Finding a release's specification among files that others have written. Nothing is opened here.
//!
//! The layout is Reproducible Central's: `.../GROUP/AS/PATH/.../NAME-VERSION.buildspec`, where the file says which release
//! it is for. A TOML file says nothing about its release, so its place does, as in a Maven repository:
//! `.../GROUP/AS/PATH/ARTIFACT/ARTIFACT-VERSION.toml`.

use std::collections::BTreeMap;

use maven_layout::Coordinates;

use super::{Chosen, parse};

/// How the names of Reproducible Central's files end.
pub const BUILDSPEC: &str = ".buildspec";
const TOML: &str = ".toml";

/// A file of a collection: its path and what is in it.
pub type File = (String, Vec<u8>);

/// Whether a file may be about a release of this version, by its name.
pub fn is_of_version(path: &str, version: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let stem = name.strip_suffix(BUILDSPEC).or_else(|| name.strip_suffix(TOML));
    stem.and_then(|stem| stem.strip_suffix(version)).is_some_and(|before| before.ends_with('-'))
}

/// Why none was chosen although there is one.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// Files of the release's group and version, none of which names its artifact, that do not say the same.
    #[error("{0} is not named by any file, and those of its group and version differ: {1}")]
    Ambiguous(String, String),
    /// The release's own file is refused, or one of its group and no other is for it.
    #[error("{0:#}")]
    Refused(anyhow::Error),
}

/// The specification of a release: of the file that is for it, else of those for its group and version, as modules of one
/// reactor are released together.
pub fn find(files: &[File], wanted: &Coordinates) -> Result<Option<Chosen>, FindError> {
    let folder = wanted.group.as_str().replace('.', "/");
    let mut relatives: BTreeMap<String, Chosen> = BTreeMap::new();
    let own_name = format!("/{}-{}{BUILDSPEC}", wanted.artifact.as_str(), wanted.version.as_str());
    let (mut own_refused, mut refused) = (None, None);
    for (path, content) in files.iter().filter(|(path, _)| is_of_version(path, wanted.version.as_str())) {
        let placed = by_place(path, &folder, wanted);
        let is_own = placed.as_ref() == Some(wanted) || format!("/{path}").ends_with(&own_name);
        let parsed = match std::str::from_utf8(content) {
            Ok(_) if path.ends_with(TOML) && placed.is_none() => continue,
            Ok(text) => parse(path, text),
            Err(_) => Err(anyhow::anyhow!("{path} is not UTF-8")),
        };
        match parsed {
            Ok((stated, chosen)) => {
                let release = stated.or(placed);
                if release.as_ref() == Some(wanted) {
                    return Ok(Some(chosen));
                }
                if release.is_some_and(|release| release.group == wanted.group && release.version == wanted.version) {
                    relatives.insert(path.clone(), chosen);
                }
            }
            // No other is taken for it.
            Err(error) if is_own && within(path, &folder) => own_refused = own_refused.or(Some(error)),
            // One of another group is nobody's business here.
            Err(error) if within(path, &folder) => refused = refused.or(Some(error)),
            Err(_) => {}
        }
    }
    if let Some(error) = own_refused {
        return Err(FindError::Refused(error));
    }
    let mut all = relatives.iter();
    if let Some((_, first)) = all.next() {
        let same = |chosen: &Chosen| Chosen { place: first.place.clone(), ..chosen.clone() } == *first;
        if all.any(|(_, chosen)| !same(chosen)) {
            let paths: Vec<&str> = relatives.keys().map(String::as_str).collect();
            return Err(FindError::Ambiguous(wanted.to_string(), paths.join(", ")));
        }
        return Ok(Some(first.clone()));
    }
    match refused {
        Some(error) => Err(FindError::Refused(error)),
        None => Ok(None),
    }
}

/// Whether a path lies below the folder of a group.
fn within(path: &str, folder: &str) -> bool {
    format!("/{path}").contains(&format!("/{folder}/"))
}

/// The release that a file is for by its place, if it is one of the wanted group and version.
fn by_place(path: &str, folder: &str, wanted: &Coordinates) -> Option<Coordinates> {
    let (rest, name) = path.rsplit_once('/')?;
    let (group, artifact) = rest.rsplit_once('/')?;
    let named = name.strip_suffix(TOML)? == format!("{artifact}-{}", wanted.version);
    (named && format!("/{group}").ends_with(&format!("/{folder}")))
        .then(|| Some(Coordinates { artifact: artifact.parse().ok()?, ..wanted.clone() }))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "groupId=org.acme\nartifactId=parent\nversion=1.0\ngitRepo=https://git.example/acme/lib.git\n\
        gitTag=v${version}\ntool=mvn-3.9.9\njdk=17\nnewline=lf\ncommand='mvn package'\n";
    const TOML_TEXT: &str = "version = 1\ntool = \"maven-3.9.9\"\njdk = 21\ngoals = [\"verify\"]\n";

    fn file(path: &str, text: &str) -> File {
        (path.to_owned(), text.as_bytes().to_vec())
    }

    fn found(files: &[File], wanted: &str) -> Option<Chosen> {
        find(files, &wanted.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_release_and_the_modules_released_with_it_are_found() {
        let files = [
            file("content/org/acme/lib/parent-1.0.buildspec", TEXT),
            file("content/org/acme/other-2-1.0.buildspec", &TEXT.replace("=1.0", "=2-1.0").replace("jdk=17", "jdk=11")),
            file("content/org/acme/lib/parent-1.0.buildinfo", "none"),
        ];
        let parent = found(&files, "org.acme:parent:1.0").unwrap();
        assert_eq!(parent.source.as_deref(), Some("https://git.example/acme/lib"));
        assert_eq!(parent.tag.as_deref(), Some("v1.0"));
        assert_eq!(parent.specification.jdk, 17);
        assert_eq!(found(&files, "org.acme:core:1.0"), Some(parent));
        assert_eq!(found(&files, "org.acme:core:2-1.0").unwrap().specification.jdk, 11);
        for other in ["org.acme:core:1.1", "org.acme.sub:core:1.0", "org:acme:1.0"] {
            assert_eq!(found(&files, other), None, "{other}");
        }
    }

    #[test]
    fn a_file_of_the_release_itself_wins_and_relatives_have_to_agree() {
        let parent = file("org/acme/parent-1.0.buildspec", TEXT);
        let core = file("org/acme/core-1.0.buildspec", &TEXT.replace("parent", "core").replace("jdk=17", "jdk=11"));
        let files = [parent.clone(), core];
        assert_eq!(found(&files, "org.acme:core:1.0").unwrap().specification.jdk, 11);
        assert_eq!(found(&files, "org.acme:parent:1.0").unwrap().specification.jdk, 17);
        let error = find(&files, &"org.acme:api:1.0".parse().unwrap()).unwrap_err();
        assert!(
            matches!(&error, FindError::Ambiguous(_, paths) if paths.contains("core-1.0") && paths.contains("parent-1.0"))
        );
        let twice = [parent, file("org/acme/again-1.0.buildspec", TEXT)];
        assert!(found(&twice, "org.acme:api:1.0").is_some());
    }

    #[test]
    fn toml_is_for_the_release_whose_place_it_has() {
        let files = [
            file("specs/org/acme/core/core-1.0.toml", TOML_TEXT),
            file("specs/org/acme/core-1.0.toml", "not TOML = ="),
            file("deny-1.0.toml", "not TOML = ="),
        ];
        let chosen = found(&files, "org.acme:core:1.0").unwrap();
        assert_eq!((chosen.specification.jdk, chosen.source), (21, None));
        assert!(found(&files, "org.acme:api:1.0").is_some(), "a relative");
        assert_eq!(
            found(&files, "acme:core:1.0").unwrap().specification.jdk,
            21,
            "a group is told by the end of the path"
        );
        assert_eq!(found(&files, "org.acme.core:core:1.0"), None);
    }

    #[test]
    fn a_refused_file_is_an_error_only_for_its_own_group() {
        let files = [file("content/org/acme/lib/parent-1.0.buildspec", &TEXT.replace("v${version}", "$(id)"))];
        let error = find(&files, &"org.acme:parent:1.0".parse().unwrap()).unwrap_err();
        assert!(error.to_string().contains("would have to be executed"), "{error}");
        assert_eq!(found(&files, "org.other:parent:1.0"), None);
        let core = TEXT.replace("parent", "core").replace("v${version}", "$(id)");
        let files = [file("org/acme/core-1.0.buildspec", &core), file("org/acme/parent-1.0.buildspec", TEXT)];
        let error = find(&files, &"org.acme:core:1.0".parse().unwrap()).unwrap_err();
        assert!(matches!(error, FindError::Refused(_)), "a relative is not taken in its place: {error}");
        assert!(found(&files, "org.acme:api:1.0").is_some());
    }
}
