//! Where the source of a release may lie: every address that its POM and the parents of that give, in the reduced form,
//! with the ways in which addresses are commonly wrong undone.
//!
//! What the network counts as *the* repository is one pure function with a version of its own ([`maven_layout::scm`]).
//! Nothing here changes it: its answer comes first, and the others are tried only where it leads nowhere.

use maven_layout::pom::{Lineage, Pom, is_computed};
use maven_layout::{CanonicalRepository, ScmError, scm};

use crate::Chain;
use crate::evidence::shown;

/// Addresses that are kept.
const MOST: usize = 12;
/// Refusals that are told.
const MOST_REFUSED: usize = 12;
/// Hosts whose web pages are repositories.
const FORGES: [&str; 5] = ["github.com", "gitlab.com", "bitbucket.org", "codeberg.org", "gitee.com"];

/// How an address came to be considered, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// By the network's rule, the repository of the release.
    Named,
    /// An `scm` of the chain gives it, once what is usually wrong with addresses is undone.
    Derived,
    /// The asker names it, and the chain names none.
    Given,
    /// Nobody names it as a source: a project's page, an organisation with an artifact's name, a host's new address.
    Guessed,
    /// The asker names it, and the chain names another.
    Stranger,
}

impl Standing {
    /// Whether the release's own POMs, or an asker whom they do not contradict, name the address.
    pub const fn is_named(self) -> bool {
        matches!(self, Self::Named | Self::Derived | Self::Given)
    }
}

/// One address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The reduced form.
    pub repository: CanonicalRepository,
    /// What speaks for it.
    pub standing: Standing,
    /// The same for people.
    pub why: String,
}

/// All of them, the likeliest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addresses {
    /// At most 12.
    pub candidates: Vec<Address>,
    /// Addresses that lead nowhere, and why: Subversion is named here.
    pub refused: Vec<String>,
}

impl Addresses {
    fn add(&mut self, repository: CanonicalRepository, standing: Standing, why: impl FnOnce() -> String) {
        // A name without a dot is no host of the public internet: a scheme that lost its colon, most often.
        let has_dot = repository.authority().split(':').next().is_some_and(|host| host.contains('.'));
        let known = self.candidates.iter().any(|known| known.repository == repository);
        if has_dot && !known && self.candidates.len() < MOST {
            self.candidates.push(Address { repository, standing, why: why() });
        }
    }

    fn refuse(&mut self, text: String) {
        if self.refused.len() < MOST_REFUSED && !self.refused.contains(&text) {
            self.refused.push(text);
        }
    }
}

/// What an address that the asker names is worth beside those of the chain.
pub fn standing_of(given: &CanonicalRepository, of_chain: &Addresses) -> Standing {
    let named = |address: &&Address| matches!(address.standing, Standing::Named | Standing::Derived);
    match of_chain.candidates.iter().find(|address| address.repository == *given) {
        Some(known) if named(&known) => known.standing,
        _ if of_chain.candidates.iter().any(|address| named(&address)) => Standing::Stranger,
        _ => Standing::Given,
    }
}

/// Reads the addresses of a chain. `named` is what the network's rule made of it.
pub fn addresses(chain: &Chain, named: Option<&CanonicalRepository>) -> Addresses {
    let mut found = Addresses::default();
    if let Some(named) = named {
        found.add(named.clone(), Standing::Named, || "the nearest <scm> of the release's POMs names it".to_owned());
    }
    let poms: Vec<&Pom> = chain.iter().map(|(_, pom)| pom).collect();
    let names: Vec<&str> = chain.iter().map(|(release, _)| release.artifact.as_str()).collect();
    for (level, (release, pom)) in chain.iter().enumerate() {
        let Some(scm) = &pom.scm else { continue };
        let elements =
            [("connection", &scm.connection), ("developerConnection", &scm.developer_connection), ("url", &scm.url)];
        for (element, raw) in elements {
            let Some(raw) = raw else { continue };
            let place = format!("<scm><{element}> of the POM of {release}");
            read(&mut found, raw, &place, level, &poms, &names);
        }
    }
    for (level, (release, pom)) in chain.iter().enumerate() {
        let Some(page) = pom.url.as_deref().and_then(|raw| fill(raw, level, &poms)) else { continue };
        for (repository, how) in from_page(&page, &names) {
            found.add(repository, Standing::Guessed, || format!("<url> of the POM of {release} is {how}"));
        }
    }
    for known in found.candidates.clone() {
        for moved in moved(&known.repository) {
            let why = || format!("{} is served there today", known.repository);
            found.add(moved, Standing::Guessed, why);
        }
    }
    found
}

/// Everything that one element can mean.
fn read(found: &mut Addresses, raw: &str, place: &str, level: usize, poms: &[&Pom], names: &[&str]) {
    let filled = fill(raw, level, poms);
    let text = filled.as_deref().unwrap_or(raw);
    let mut problem = None;
    let mut any = false;
    for (text, repair) in repairs(text) {
        // Maven appends the artifact id of each generation to an address that is inherited. How many of them a
        // flattened POM holds cannot be seen, so every number is tried, the whole address last.
        let mut suffixes: Vec<Vec<&str>> =
            (1..=names.len()).rev().map(|count| names[..count].iter().rev().copied().collect()).collect();
        suffixes.extend(names.get(level).map(|own| vec![*own]));
        suffixes.push(Vec::new());
        for suffix in suffixes {
            match scm::canonical_with_modules(&text, &suffix) {
                Ok(repository) => {
                    any = true;
                    found.add(repository, Standing::Derived, || match repair {
                        None => format!("{place} gives {}", shown(raw)),
                        Some(repair) => format!("{place} gives {}, {repair}", shown(raw)),
                    });
                }
                Err(error) => problem = problem.or(Some(error)),
            }
        }
        if !any && matches!(problem, Some(ScmError::NoRepository { .. } | ScmError::Computed)) {
            let base = text.split("${").next().unwrap_or_default().trim_end_matches('/');
            for name in names.iter().take(3) {
                if let Ok(repository) = scm::canonical(&format!("{base}/{name}")) {
                    let why = || format!("{place} gives only {}, the name is the artifact's", shown(base));
                    found.add(repository, Standing::Guessed, why);
                }
            }
        }
    }
    if let (false, Some(problem)) = (any, problem) {
        found.refuse(format!("{place}, {}: {problem}", shown(raw)));
    }
}

/// Replaces expressions: the addresses of the chain themselves first, which a POM may quote, then what the release's own
/// POMs define, then what the POM that holds the text and its parents do.
fn fill(raw: &str, level: usize, poms: &[&Pom]) -> Option<String> {
    let mut text = raw.to_owned();
    for _ in 0..4 {
        if !is_computed(&text) {
            return Some(text);
        }
        for (name, value) in quotable(&poms[level..]) {
            for prefix in ["project.", "pom.", ""] {
                let expression = format!("${{{prefix}{name}}}");
                if text.contains(&expression) && text.len() + value.len() < 2048 {
                    text = text.replace(&expression, value);
                }
            }
        }
        let resolved = Lineage::new(poms).resolve(&text).or_else(|| Lineage::new(&poms[level..]).resolve(&text));
        if resolved.is_some() {
            return resolved;
        }
    }
    None
}

/// Values that an address may quote, the nearest of each.
fn quotable<'a>(poms: &[&'a Pom]) -> Vec<(&'static str, &'a str)> {
    let scm = |of: fn(&maven_layout::pom::Scm) -> Option<&str>| {
        poms.iter()
            .find_map(|pom| pom.scm.as_ref().and_then(of))
            .filter(|value| !value.contains("scm.url}") && !value.contains("onnection}"))
    };
    let all = [
        ("scm.connection", scm(|scm| scm.connection.as_deref())),
        ("scm.developerConnection", scm(|scm| scm.developer_connection.as_deref())),
        ("scm.url", scm(|scm| scm.url.as_deref())),
        ("url", poms.iter().find_map(|pom| pom.url.as_deref()).filter(|value| !value.contains(".url}"))),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// The text, and what it most likely should have been.
fn repairs(text: &str) -> Vec<(String, Option<&'static str>)> {
    let mut all = vec![(text.to_owned(), None)];
    let bare: String = text.chars().filter(|c| !c.is_whitespace() && !"\"'<>".contains(*c)).collect();
    let bare = bare.trim_end_matches([';', ',', '.', ')']).to_owned();
    if bare != text.trim() {
        all.push((bare.clone(), Some("read without what does not belong into an address")));
    }
    for scheme in ["https", "http"] {
        let Some(at) = bare.find(scheme) else { continue };
        let rest = &bare[at + scheme.len()..];
        let after = rest.trim_start_matches([':', '/']);
        let given = &rest[..rest.len() - after.len()];
        if given != "://" && !given.is_empty() && after.contains('.') {
            all.push((format!("https://{after}"), Some("read with the scheme written right")));
        }
        break;
    }
    if let Some((_, name)) = bare.split_once("github:").filter(|(before, _)| before.is_empty() || *before == "scm:") {
        all.push((format!("https://github.com/{}", name.trim_start_matches('/')), Some("read as a name at GitHub")));
    }
    // The page of a folder, at hosts where a repository may have one segment.
    if let Some((repository, _)) = bare.split_once("/tree/").or_else(|| bare.split_once("/blob/")) {
        all.push((repository.to_owned(), Some("read without the page's folder")));
    }
    // A page of gitweb: the repository is a parameter.
    if let Some((page, query)) = bare.split_once('?') {
        let name = query.split(['&', ';', '#']).find_map(|part| part.strip_prefix("p="));
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            let folder = page.trim_end_matches("index.cgi").trim_end_matches("gitweb.cgi").trim_end_matches('/');
            all.push((format!("{folder}/{name}"), Some("read as the page of a repository")));
        }
    }
    all
}

/// What a project's page tells of its repository.
fn from_page(page: &str, names: &[&str]) -> Vec<(CanonicalRepository, String)> {
    let Ok(address) = scm::canonical(page) else { return Vec::new() };
    let how = shown(page);
    if FORGES.contains(&address.authority()) {
        return vec![(address, how)];
    }
    let Some(owner) = address.authority().strip_suffix(".github.io") else { return Vec::new() };
    let first = address.path().split('/').next().unwrap_or_default();
    let candidates = std::iter::once(first).chain(names.iter().copied().take(2)).filter(|name| !name.is_empty());
    candidates
        .filter_map(|name| Some((scm::canonical(&format!("https://github.com/{owner}/{name}")).ok()?, how.clone())))
        .collect()
}

/// Where hosts that are gone, or that have a public copy, keep the same repositories.
fn moved(repository: &CanonicalRepository) -> Vec<CanonicalRepository> {
    let addresses = match repository.authority() {
        "git-wip-us.apache.org" | "git.apache.org" => vec![
            format!("https://gitbox.apache.org/repos/asf/{}", repository.name()),
            format!("https://github.com/apache/{}", repository.name()),
        ],
        "gitbox.apache.org" => vec![format!("https://github.com/apache/{}", repository.name())],
        _ => Vec::new(),
    };
    addresses.iter().filter_map(|address| scm::canonical(address).ok()).collect()
}

#[cfg(test)]
mod tests;
