//! What has to hold for any input. Each function panics where it does not.

use std::path::{Component, Path};

use maven_layout::pom::Lineage;
use maven_layout::version::compare;
use maven_layout::{
    ArtifactRef, CanonicalRepository, Coordinates, Metadata, PathKind, Pom, Prefixes, RepoPath, Version, metadata, scm,
    superpom,
};

use crate::printed;

/// How much longer than its input something printed may be: `>` in a CDATA section becomes `&gt;`, and `<a/>` becomes
/// `<a></a>` on a line of its own.
fn bounded(input: usize, printed: usize) {
    assert!(printed <= 12 * input + 1024, "{input} bytes became {printed}");
}

fn reprint<T: std::str::FromStr + ToString + PartialEq + std::fmt::Debug>(value: &T) {
    let text = value.to_string();
    match text.parse::<T>() {
        Ok(again) => assert_eq!(&again, value),
        Err(_) => panic!("{text:?} is not read again"),
    }
}

fn stays_inside(path: &RepoPath) {
    assert!(Path::new(path.as_str()).components().all(|part| matches!(part, Component::Normal(_))), "{path}");
    reprint(path);
}

fn file(file: &ArtifactRef) {
    reprint(file);
    let path = file.path();
    stays_inside(&path);
    assert_eq!(path.file_name(), file.file_name().as_str());
    for path in file.paths() {
        stays_inside(&path);
    }
}

pub(crate) fn pom(input: &[u8]) {
    let Ok(pom) = Pom::parse(input) else { return };
    let printed = printed::pom(&pom);
    bounded(input.len(), printed.len());
    // The reader takes any name that a tag may have; only ordinary ones are known to survive being written.
    let ordinary = |name: &String| {
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
    };
    let mut names = pom.properties.keys().chain(pom.profiles.iter().flat_map(|profile| profile.properties.keys()));
    if names.all(ordinary) {
        assert_eq!(Pom::parse(printed.as_bytes()).as_ref(), Ok(&pom));
    }
    if let Ok(coordinates) = pom.effective_coordinates() {
        reprint(&coordinates);
        if let Some(Ok(moved)) = pom.relocation.as_ref().map(|relocation| relocation.target(&coordinates)) {
            reprint(&moved);
        }
    }
    let poms = [&pom, &pom];
    let lineage = Lineage::new(&poms);
    for value in pom.properties.values() {
        let resolved = lineage.resolve(value);
        assert!(resolved.is_none_or(|text| text.len() <= 64 * 1024));
    }
    lineage.dependencies().chain(&pom.managed_dependencies).filter_map(|found| lineage.file(found)).for_each(|found| {
        file(&found);
    });
    lineage.imports().for_each(|bom| stays_inside(&bom.pom_path()));
    pom.build.plugins.iter().filter_map(|plugin| lineage.plugin(plugin)).for_each(|plugin| {
        stays_inside(&plugin.pom_path());
    });
    if let Some(connection) = pom.scm.as_ref().and_then(|scm| scm.connection.as_deref()) {
        address(connection);
    }
}

pub(crate) fn metadata(input: &[u8]) {
    let Ok(document) = metadata::parse(input) else { return };
    let printed = metadata::write(&document);
    bounded(input.len(), printed.len());
    assert_eq!(metadata::parse(printed.as_bytes()).as_ref(), Ok(&document));
    assert_eq!(metadata::merge(document.clone(), document.clone()).as_ref(), Ok(&document));
    assert_eq!(metadata::merge(document.clone(), Metadata::default()).as_ref(), Ok(&document));
    assert!(document.versions.is_sorted());
    assert!(metadata::excess(input, input).is_ok());
    for (extension, classifier) in document.snapshot_versions.keys() {
        let coordinates = document
            .version
            .clone()
            .and_then(|version| Some(Coordinates::new(document.group.clone()?, document.artifact.clone()?, version)));
        if let Some(coordinates) = coordinates {
            let dir = coordinates.dir();
            let wanted = ArtifactRef { coordinates, classifier: classifier.clone(), extension: extension.clone() };
            let found = document.resolve(&wanted);
            file(&found);
            assert_eq!(found.path().parent(), Some(dir));
        }
    }
}

pub(crate) fn settings(input: &[u8]) {
    let _ = superpom::central_url(input);
    let Ok(settings) = maven_layout::settings::parse(input) else { return };
    let printed = printed::settings(&settings);
    bounded(input.len(), printed.len());
    assert_eq!(maven_layout::settings::parse(printed.as_bytes()).as_ref(), Ok(&settings));
    assert!(settings.mirror_of_central().is_none_or(|mirror| settings.mirrors.contains(mirror)));
}

pub(crate) fn prefixes(input: &[u8]) {
    let Ok(prefixes) = Prefixes::parse(input) else { return };
    let printed = prefixes.to_string();
    bounded(input.len(), printed.len());
    assert_eq!(Prefixes::parse(printed.as_bytes()).as_ref(), Ok(&prefixes));
    assert!(prefixes.iter().all(|path| prefixes.covers(path)));
    let short = prefixes.clone().cut(1);
    assert!(prefixes.iter().all(|path| short.covers(path)));
}

pub(crate) fn path(text: &str) {
    for path in [text.parse::<RepoPath>(), RepoPath::from_url_path(text)].into_iter().flatten() {
        stays_inside(&path);
        assert_eq!(RepoPath::from_url_path(&path.to_url_path()).as_ref(), Ok(&path));
        let found = ArtifactRef::from_path(&path);
        match path.kind() {
            PathKind::Artifact { coordinates, file_name } => {
                assert_eq!(format!("{}/{file_name}", coordinates.dir()), path.as_str());
            }
            PathKind::Metadata(level) => assert_eq!(level.path(), path),
            PathKind::Checksum { of, algorithm } => assert_eq!(of.checksum(algorithm).as_ref(), Ok(&path)),
            PathKind::Signature { of } => assert_eq!(of.signature().as_ref(), Ok(&path)),
            PathKind::Other => assert_eq!(found, None),
        }
        if let Some(found) = found {
            assert_eq!(found.path(), path);
            file(&found);
        }
        path.companions().iter().for_each(stays_inside);
    }
}

pub(crate) fn version(text: &str) {
    for other in ["1", "1.0-rc1", "1-SNAPSHOT", "2.0.1-alpha", "0000000000.1", ""] {
        assert_eq!(compare(text, other), compare(other, text).reverse(), "{other}");
    }
    assert!(compare(text, text).is_eq());
    let Ok(version) = text.parse::<Version>() else { return };
    reprint(&version);
    assert_eq!(version.base().base(), version.base());
    assert!(version.cmp(&version).is_eq());
    if let Some(build) = version.snapshot_build() {
        assert_eq!(version.base().with_build(&build), Some(version));
    }
}

pub(crate) fn coordinates(text: &str) {
    if let Ok(coordinates) = text.parse::<Coordinates>() {
        reprint(&coordinates);
        let levels = [coordinates.group.metadata_path(), coordinates.metadata_path()];
        for path in levels.into_iter().chain(coordinates.snapshot_metadata_path()) {
            stays_inside(&path);
            assert!(
                matches!(path.kind(), PathKind::Metadata(_)) || coordinates.version.as_str() == "SNAPSHOT",
                "{path}"
            );
        }
    }
    if let Ok(reference) = text.parse::<ArtifactRef>() {
        file(&reference);
        if let Some(found) = ArtifactRef::from_path(&reference.path()) {
            assert_eq!(found.path(), reference.path());
        }
    }
}

pub(crate) fn address(text: &str) {
    let Ok(reduced) = scm::canonical(text) else { return };
    assert!(reduced.as_str().len() <= 400);
    assert_eq!(scm::canonical(reduced.as_str()).as_ref(), Ok(&reduced));
    assert_eq!(reduced.as_str().parse::<CanonicalRepository>().as_ref(), Ok(&reduced));
}
