//! `policy test`: the node says of each file what would become of it; here it is counted.

use std::collections::{BTreeMap, BTreeSet};

use maven_layout::{ArtifactRef, Coordinates, Extension, GroupId};
use pyrsia_api_types::{FilePolicy, GroupPolicy, PolicyTest, ReleasePolicy};

use super::suggest::{self, Known};
use super::{project, suggest::lines};
use crate::cli::{AsPolicy, Global, PolicyTestArgs};
use crate::client::Client;
use crate::commands::local_files;
use crate::exit::Exit;
use crate::terminal::{self, line, plain};

/// Files that are asked about in one request.
const FILES: usize = 50;
/// What to do next is said so many times.
const HINTS: usize = 3;
/// Words for what is not known, shown to a person.
const UNKNOWN: usize = 20;

/// What is asked about.
#[derive(Default)]
struct Subjects {
    /// Files of releases; none named: those that the node knows of.
    releases: BTreeMap<Coordinates, BTreeSet<String>>,
    /// Releases of which nothing but the named files is asked about.
    only_named: BTreeSet<Coordinates>,
    unknown: Vec<String>,
}

/// Runs the command.
pub async fn run(global: &Global, args: &PolicyTestArgs) -> anyhow::Result<Exit> {
    let client = std::sync::Arc::new(Client::new(&global.node, None)?);
    let mut subjects = Subjects::default();
    for artifact in &args.artifacts {
        let files = subjects.releases.entry(artifact.coordinates.clone()).or_default();
        // Without a classifier and an extension the whole release is meant, whatever its main file is.
        if artifact.classifier.is_some() || artifact.extension != Extension::jar() {
            files.insert(artifact.file_name().to_string());
        }
    }
    let mut several = Vec::new();
    if let Some(folder) = &args.repo {
        let found = local_files::downloaded(folder)?;
        if found.installed > 0 {
            subjects
                .unknown
                .push(format!("{} files that were installed here, not downloaded, are left out", found.installed));
        }
        several.extend(found.artifacts);
    }
    if let Some(folder) = &args.project {
        let needed = project::needed(folder, &args.profiles, &client).await?;
        subjects.unknown.extend(needed.unknown);
        several.extend(needed.artifacts);
    }
    add(&mut subjects, several);
    let mut test = answers(&client, args, &subjects).await?;
    test.unknown = subjects.unknown;
    let exit = Exit::worst(test.releases.iter().map(code));
    test.exit_code = exit.code().into();
    if global.json {
        terminal::json(&test)?;
    } else {
        print(&test, args);
    }
    Ok(exit)
}

/// Files that are known to be asked for: nothing is guessed about what else their releases have.
fn add(subjects: &mut Subjects, artifacts: impl IntoIterator<Item = ArtifactRef>) {
    for artifact in artifacts {
        let (coordinates, name) = (artifact.coordinates.clone(), artifact.file_name().to_string());
        if !subjects.releases.contains_key(&coordinates) {
            subjects.only_named.insert(coordinates.clone());
        }
        subjects.releases.entry(coordinates).or_default().insert(name);
    }
}

async fn answers(client: &Client, args: &PolicyTestArgs, subjects: &Subjects) -> anyhow::Result<PolicyTest> {
    let mut releases = Vec::new();
    let mut groups: BTreeMap<GroupId, GroupPolicy> = BTreeMap::new();
    for (coordinates, names) in &subjects.releases {
        let only_named = subjects.only_named.contains(coordinates);
        let ask = async |policy: Option<AsPolicy>, allow_equivalent| {
            ask(client, coordinates, names, policy.map(|policy| (policy, allow_equivalent)), only_named).await
        };
        let release = ask(args.policy, args.allow_equivalent).await?;
        let verifiable = match args.policy {
            Some(AsPolicy::Verified) => all_served(&release),
            _ => all_served(&ask(Some(AsPolicy::Verified), false).await?),
        };
        let group = groups.entry(coordinates.group.clone()).or_insert_with(|| GroupPolicy {
            group: coordinates.group.to_string(),
            policy: release.policy.clone(),
            served: BTreeMap::new(),
            withheld: BTreeMap::new(),
            verifiable: true,
        });
        group.verifiable &= verifiable;
        for file in &release.files {
            let counted = match file.outcome.as_str() {
                "served" => group.served.entry(file.provenance.clone().unwrap_or_default()),
                "withheld" => group.withheld.entry(file.reason.clone().unwrap_or_default()),
                _ => continue,
            };
            *counted.or_default() += 1;
        }
        releases.push(release);
    }
    let suggestion = matches!(args.policy, None | Some(AsPolicy::Verified)).then(|| suggestion(&groups, args));
    let groups = groups.into_values().collect();
    Ok(PolicyTest { exit_code: 0, releases, groups, suggestion, unknown: Vec::new() })
}

fn suggestion(groups: &BTreeMap<GroupId, GroupPolicy>, args: &PolicyTestArgs) -> String {
    let known = groups.iter().map(|(group, counted)| {
        // Where another policy was asked about, what stays as it is stays at the usual one.
        let policy = if args.policy.is_some() { AsPolicy::PreferVerified.as_str() } else { &counted.policy };
        (group.clone(), Known { verifiable: counted.verifiable, policy: policy.to_owned() })
    });
    suggest::toml(&lines(&known.collect()), args.allow_equivalent)
}

/// The node's answer about a release, asked for in pieces.
async fn ask(
    client: &Client,
    coordinates: &Coordinates,
    names: &BTreeSet<String>,
    policy: Option<(AsPolicy, bool)>,
    only_named: bool,
) -> anyhow::Result<ReleasePolicy> {
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut pieces = all.chunks(FILES);
    let mut whole =
        client.get::<ReleasePolicy>(&address(coordinates, pieces.next().unwrap_or_default(), policy)?).await?;
    for piece in pieces {
        let more: ReleasePolicy = client.get(&address(coordinates, piece, policy)?).await?;
        for file in more.files {
            if !whole.files.iter().any(|known| known.name == file.name) {
                whole.files.push(file);
            }
        }
    }
    if only_named {
        whole.files.retain(|file| names.contains(&file.name));
    }
    Ok(whole)
}

fn address(coordinates: &Coordinates, names: &[&str], policy: Option<(AsPolicy, bool)>) -> anyhow::Result<String> {
    let mut url = reqwest::Url::parse("http://node/")?;
    url.path_segments_mut().map_err(|()| anyhow::anyhow!("no path"))?.push(&coordinates.to_string());
    if !names.is_empty() {
        url.query_pairs_mut().append_pair("files", &names.join(","));
    }
    if let Some((policy, allow_equivalent)) = policy {
        url.query_pairs_mut().append_pair("policy", policy.as_str());
        url.query_pairs_mut().append_pair("allow_equivalent", if allow_equivalent { "true" } else { "false" });
    }
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    Ok(format!("/api/v1/policy{}{query}", url.path()))
}

fn all_served(release: &ReleasePolicy) -> bool {
    release.files.iter().all(|file| file.outcome == "served" || file.outcome == "absent")
}

/// The code of a release: the worst reason for withholding; of one that has no file at all, that it is unknown.
fn code(release: &ReleasePolicy) -> Exit {
    if release.files.iter().all(|file| file.outcome == "absent") {
        return Exit::Unknown;
    }
    Exit::worst(release.files.iter().filter(|file| file.outcome == "withheld").map(
        |file| match file.reason.as_deref() {
            Some("blocked") => Exit::Withdrawn,
            Some("equivalent") => Exit::Equivalent,
            Some("different") => Exit::Different,
            Some("disputed") => Exit::Disputed,
            _ => Exit::Unknown,
        },
    ))
}

fn print(test: &PolicyTest, args: &PolicyTestArgs) {
    let mut hints = BTreeSet::new();
    for release in &test.releases {
        let under = format!("policy {} ({})", plain(&release.policy), plain(&release.ground));
        for file in &release.files {
            line(&format!("{} {}: {}; {under}", plain(&release.gav), plain(&file.name), sentence(file)));
            hints.extend(file.next.as_deref().map(plain));
        }
    }
    let sum = |counts: &BTreeMap<String, u64>| -> String {
        let each: Vec<_> = counts.iter().map(|(word, count)| format!("{count} {}", plain(word))).collect();
        if each.is_empty() { "none".to_owned() } else { each.join(", ") }
    };
    let whole = args.project.is_some() || args.repo.is_some();
    if test.releases.len() > 1 || whole {
        for group in &test.groups {
            let verifiable = if group.verifiable { "; `verified` would serve all of them" } else { "" };
            let (served, withheld) = (sum(&group.served), sum(&group.withheld));
            line(&format!("group {}: served {served}; withheld {withheld}{verifiable}", plain(&group.group)));
        }
        let count = |of: fn(&GroupPolicy) -> &BTreeMap<String, u64>| -> u64 {
            test.groups.iter().flat_map(|group| of(group).values()).sum()
        };
        let (served, withheld) = (count(|group| &group.served), count(|group| &group.withheld));
        line(&format!("{served} files would be served, {withheld} withheld"));
    }
    for unknown in test.unknown.iter().take(UNKNOWN) {
        terminal::note(&format!("not known: {}", plain(unknown)));
    }
    if test.unknown.len() > UNKNOWN {
        terminal::note(&format!("not known: and {} things more, which --json lists", test.unknown.len() - UNKNOWN));
    }
    hints.iter().take(HINTS).for_each(|hint| terminal::note(hint));
    if let (Some(suggestion), true) = (&test.suggestion, whole) {
        line("");
        line("# These lines withhold none of these files:");
        suggestion.lines().for_each(|text| line(&plain(text)));
    }
}

fn sentence(file: &FilePolicy) -> String {
    let condition = if file.if_there { ", if upstream has it" } else { "" };
    match file.outcome.as_str() {
        "served" => {
            let mark = file.provenance.as_deref().unwrap_or("nothing");
            format!("would be served, marked {}{condition}", plain(mark))
        }
        "withheld" => {
            let (reason, detail) = (file.reason.as_deref().unwrap_or("?"), file.detail.as_deref().unwrap_or_default());
            format!("would be withheld ({}){condition}: {}", plain(reason), plain(detail).trim_end_matches('.'))
        }
        _ => "there is no such file".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(files: &[(&str, Option<&str>)]) -> ReleasePolicy {
        let file = |(outcome, reason): &(&str, Option<&str>)| FilePolicy {
            name: "lib-1.0.jar".to_owned(),
            path: String::new(),
            outcome: (*outcome).to_owned(),
            provenance: None,
            reason: reason.map(str::to_owned),
            detail: None,
            next: None,
            sha256: None,
            if_there: false,
        };
        ReleasePolicy {
            gav: "org.acme:lib:1.0".to_owned(),
            policy: "verified".to_owned(),
            allow_equivalent: false,
            ground: "default".to_owned(),
            files: files.iter().map(file).collect(),
        }
    }

    #[test]
    fn the_code_names_the_worst_reason_for_withholding() {
        let served = ("served", None);
        for (files, exit) in [
            (vec![served, served], Exit::Done),
            (vec![served, ("absent", None)], Exit::Done),
            (vec![("absent", None)], Exit::Unknown),
            (vec![], Exit::Unknown),
            (vec![served, ("withheld", Some("unverified"))], Exit::Unknown),
            (vec![("withheld", Some("unverified")), ("withheld", Some("equivalent"))], Exit::Equivalent),
            (vec![("withheld", Some("different")), ("withheld", Some("blocked"))], Exit::Withdrawn),
            (vec![("withheld", Some("disputed")), ("withheld", Some("different"))], Exit::Disputed),
        ] {
            assert_eq!(code(&release(&files)), exit, "{files:?}");
        }
    }

    #[test]
    fn names_are_put_into_the_address_as_they_are() {
        let coordinates = "org.acme:lib:1.0+2".parse().unwrap();
        let address = address(&coordinates, &["lib-1.0+2.jar", "a"], Some((AsPolicy::Verified, true))).unwrap();
        let expected =
            "/api/v1/policy/org.acme:lib:1.0+2?files=lib-1.0%2B2.jar%2Ca&policy=verified&allow_equivalent=true";
        assert_eq!(address, expected);
    }
}
