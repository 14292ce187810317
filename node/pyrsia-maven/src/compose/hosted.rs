//! Private repositories: opened from the data directory, with who may do what.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::Context as _;
use pyrsia_hosted::{Hosted, HostedConfig, PathRule, RepositoryId};
use pyrsia_http::{Holder, HostedRepository};

use super::clock;
use super::secure::token;
use crate::config::{self, HolderConfig};
use crate::data_dir::DataDir;

/// Their folder in the data directory.
pub const FOLDER: &str = "hosted";

/// Opens all that the configuration has.
pub fn open(hosted: &[config::HostedConfig], data: &DataDir) -> anyhow::Result<Vec<HostedRepository>> {
    let mut seen = BTreeSet::new();
    hosted
        .iter()
        .map(|config| {
            let id: RepositoryId = config.id.parse().context("[[hosted]]")?;
            anyhow::ensure!(seen.insert(id.clone()), "there are two [[hosted]] with the id {id}");
            one(config, data).with_context(|| format!("[[hosted]] {}", config.id))
        })
        .collect()
}

/// Opens one for a command, which has nobody to ask for credentials.
pub fn open_one(config: &config::HostedConfig, data: &DataDir) -> anyhow::Result<Hosted> {
    let id: RepositoryId = config.id.parse().context("[[hosted]]")?;
    let root = data.join(FOLDER).join(id.as_str());
    let (accepts, max_file, max_bytes) = (config.accept, config.max_file, config.max_bytes);
    Ok(Hosted::open(HostedConfig { id, accepts, max_file, max_bytes }, &root, clock())?)
}

fn one(config: &config::HostedConfig, data: &DataDir) -> anyhow::Result<HostedRepository> {
    let repository = open_one(config, data)?;
    anyhow::ensure!(!config.readers.iter().any(|reader| reader.may_remove), "`may_remove` is for [[hosted.writers]]");
    let writers = holders("[[hosted.writers]]", &config.writers)?;
    let readers = holders("[[hosted.readers]]", &config.readers)?;
    Ok(HostedRepository { repository, writers, readers: (!readers.is_empty()).then_some(readers) })
}

/// The folders of all that are in the data directory, those too that the configuration has no more, in order.
pub fn folders(data: &DataDir) -> anyhow::Result<BTreeMap<RepositoryId, PathBuf>> {
    let folder = data.join(FOLDER);
    let mut found = BTreeMap::new();
    if !folder.is_dir() {
        return Ok(found);
    }
    for entry in std::fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let entry = entry?;
        // What else lies there is nobody's repository.
        if let (Ok(id), true) = (entry.file_name().to_string_lossy().parse(), entry.path().is_dir()) {
            found.insert(id, entry.path());
        }
    }
    Ok(found)
}

fn holders(section: &str, holders: &[HolderConfig]) -> anyhow::Result<Vec<Holder>> {
    let holder = |config: &HolderConfig| {
        let HolderConfig { name, token_file, paths, may_remove } = config;
        let paths = match paths {
            None => vec![PathRule::everything()],
            Some(paths) => paths
                .iter()
                .map(|text| text.parse())
                .collect::<Result<_, _>>()
                .with_context(|| format!("{section} {name}: paths"))?,
        };
        Ok(Holder { name: name.clone(), token: token(section, name, token_file)?, paths, removes: *may_remove })
    };
    holders.iter().map(holder).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn what_is_wrong_with_an_entry_is_said_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::new(folder.path()).unwrap();
        data.create().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "t".repeat(32)).unwrap();
        let writer = |more: &str| format!("[[hosted.writers]]\nname = \"ci\"\ntoken_file = {file:?}\n{more}\n");
        let entry = |id: &str| format!("[[hosted]]\nid = \"{id}\"\naccept = \"releases\"\n");
        let opened = |text: &str| {
            let config: Config = toml::from_str(text).map_err(|error| error.to_string())?;
            let repositories = open(&config.hosted, &data).map_err(|error| format!("{error:#}"))?;
            Ok::<_, String>(repositories)
        };
        let fine = opened(&format!("{}{}", entry("a"), writer("paths = [\"com.example.*\"]"))).unwrap();
        assert!(fine[0].readers.is_none() && fine[0].writers[0].paths.len() == 1);
        assert!(!fine[0].writers[0].removes);
        assert!(opened(&format!("{}{}", entry("a"), writer("may_remove = true"))).unwrap()[0].writers[0].removes);
        let everywhere = opened(&format!("{}{}", entry("a"), writer(""))).unwrap();
        assert_eq!(everywhere[0].writers[0].paths, [PathRule::everything()]);
        let nowhere = opened(&format!("{}{}", entry("a"), writer("paths = []"))).unwrap();
        assert!(nowhere[0].writers[0].paths.is_empty());
        for (text, wanted) in [
            (entry("../a"), "no name of a repository"),
            (format!("{}{}", entry("a"), entry("a")), "two [[hosted]]"),
            (entry("a").replace("releases", "everything"), "everything"),
            (format!("{}pahts = []\n", entry("a")), "pahts"),
            (format!("{}{}", entry("a"), writer("path = []")), "path"),
            (format!("{}{}", entry("a"), writer("paths = [\"a..b\"]")), "a..b"),
            (format!("{}{}", entry("a"), writer("")).replace("\"ci\"", "\"c:i\""), "colon"),
            (format!("{}{}", entry("a"), writer("")).replace("/token", "/none"), "none"),
            (format!("{}{}", entry("a"), writer("may_remove = true").replace("writers", "readers")), "may_remove"),
            ("[[hosted]]\nid = \"a\"\n".to_owned(), "accept"),
        ] {
            let error = opened(&text).err().expect(&text);
            assert!(error.contains(wanted), "{wanted}: {error}");
        }
    }
}
