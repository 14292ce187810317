//! The releases whose files a build must not get: the wanted ones and every sibling in their reactor.
//!
//! A sibling whose coordinates are stated is one release. Where they are computed it is one for each value that the
//! files of the commit allow, and **at the wanted releases' versions in any case**: what the tool's command line says is
//! not known here, but a release is built at its own version. Nothing is left out because it could not be told; then the
//! source is refused.

use std::collections::BTreeSet;

use maven_layout::{Coordinates, pom};

use crate::source::build_files::{Poms, Tree};
use crate::source::expressions::Chain;

/// Releases that are withheld; more than this many are a mistake or an attack.
const MAX_RELEASES: usize = 20_000;

/// The path of a build file, and what is wrong with it.
pub(crate) type Unusable = (String, String);

/// All releases that the build files may make.
pub(crate) fn releases(
    tree: &Tree<'_>,
    poms: &Poms,
    wanted: &[Coordinates],
    evidence: &mut Vec<String>,
) -> Result<BTreeSet<Coordinates>, Unusable> {
    let versions: BTreeSet<String> = wanted.iter().map(|release| release.version.to_string()).collect();
    let stated_groups = poms.values().filter_map(|pom| pom.effective_group_id()).filter(|id| !pom::is_computed(id));
    let groups: BTreeSet<String> =
        stated_groups.map(str::to_owned).chain(wanted.iter().map(|release| release.group.to_string())).collect();
    let all = tree.all();
    let mut found: BTreeSet<Coordinates> = wanted.iter().cloned().collect();
    let mut computed = 0;
    for (path, pom) in poms {
        if let Ok(stated) = pom.effective_coordinates() {
            found.insert(stated);
            continue;
        }
        let Some(artifact) = pom.artifact_id.as_deref() else { continue };
        computed += 1;
        let chain = tree.chain(path, &all);
        let artifacts = chain.expand(artifact).ok_or_else(|| {
            let problem = format!(
                "its artifact id {:?} cannot be told from the files of the commit, so files that upstream has of it \
                 could not be withheld from the build",
                artifact.chars().take(128).collect::<String>()
            );
            (path.clone(), problem)
        })?;
        let groups = possible(&chain, pom.effective_group_id(), &groups, false);
        let versions = possible(&chain, pom.effective_version(), &versions, true);
        for (group, artifact, version) in product(&groups, &artifacts, &versions) {
            // What is no valid name has no path that could be asked for.
            if let (Ok(group), Ok(artifact), Ok(version)) = (group.parse(), artifact.parse(), version.parse()) {
                found.insert(Coordinates { group, artifact, version });
            }
            if found.len() > MAX_RELEASES {
                return Err((path.clone(), format!("with it the build could make more than {MAX_RELEASES} releases")));
            }
        }
    }
    if computed > 0 {
        evidence.push(format!(
            "{computed} modules compute their coordinates; files of them are withheld for every value that they may have, \
             {} in all",
            found.len()
        ));
    }
    Ok(found)
}

/// The values of a part that is stated, computed, or missing; `fallback` where they cannot be told, or in any case
/// (`always`) where they are computed.
fn possible(chain: &Chain<'_>, text: Option<&str>, fallback: &BTreeSet<String>, always: bool) -> BTreeSet<String> {
    let values = text.and_then(|text| chain.expand(text));
    match (values, text) {
        (Some(values), Some(text)) if !always || !pom::is_computed(text) => values,
        (Some(values), _) => values.into_iter().chain(fallback.iter().cloned()).collect(),
        (None, _) => fallback.clone(),
    }
}

fn product<'a>(
    groups: &'a BTreeSet<String>,
    artifacts: &'a BTreeSet<String>,
    versions: &'a BTreeSet<String>,
) -> impl Iterator<Item = (&'a str, &'a str, &'a str)> {
    groups.iter().flat_map(move |group| {
        artifacts.iter().flat_map(move |artifact| {
            versions.iter().map(move |version| (group.as_str(), artifact.as_str(), version.as_str()))
        })
    })
}
