//! `network.json`: the genesis of the network that a node belongs to.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use pyrsia_ledger::{Authority, AuthorityKey, ConsensusKey, Constants, Genesis, NetworkId};

use crate::data_dir::{DataDir, sync_folder, write_atomically, write_secret};
use crate::exit::{CommandError, Exit};
use crate::known_nodes;

/// The genesis of the network that a data directory belongs to.
pub const FILE: &str = "network.json";
/// The file that remembers the network of a node that is asked over the API, where this directory has none of its own.
const PINNED: &str = "pinned-network.json";
const MAX_BYTES: u64 = 1 << 20;
const AUTHORITY_KEY: &str = "authority.key";
const CONSENSUS_KEY: &str = "consensus.key";

/// The keys of an authority.
pub struct AuthorityKeys {
    /// Signs entries and checkpoints.
    pub authority: AuthorityKey,
    /// Signs units of the ordering protocol.
    pub consensus: ConsensusKey,
}

impl AuthorityKeys {
    /// Reads the keys of a data directory, or makes them.
    pub fn load(data: &DataDir) -> anyhow::Result<Self> {
        if data.existing_secret(CONSENSUS_KEY)?.is_none() {
            // Before the key: a key without the mark is one that may have signed.
            write_secret(&unused(data), "the consensus key beside this file has signed nothing yet")?;
        }
        Ok(Self {
            authority: AuthorityKey::from_seed(&data.secret(AUTHORITY_KEY)?),
            consensus: ConsensusKey::from_seed(&data.secret(CONSENSUS_KEY)?),
        })
    }

    /// The keys of a data directory that has been an authority's before. One key without the other is an error.
    fn existing(data: &DataDir) -> anyhow::Result<Option<Self>> {
        let seeds = (data.existing_secret(AUTHORITY_KEY)?, data.existing_secret(CONSENSUS_KEY)?);
        match seeds {
            (None, None) => Ok(None),
            (Some(authority), Some(consensus)) => Ok(Some(Self {
                authority: AuthorityKey::from_seed(&authority),
                consensus: ConsensusKey::from_seed(&consensus),
            })),
            _ => anyhow::bail!(
                "one of {AUTHORITY_KEY} and {CONSENSUS_KEY} is missing in {}: restore it from a copy",
                data.keys().display()
            ),
        }
    }

    /// Whether the consensus key of a data directory has certainly signed nothing: it was made here, and no node has used
    /// it. A key that is restored from a copy comes without the mark.
    pub fn is_unused(data: &DataDir) -> bool {
        unused(data).exists()
    }

    /// From now on it may have signed.
    pub fn mark_used(data: &DataDir) -> anyhow::Result<()> {
        match std::fs::remove_file(unused(data)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", unused(data).display()))
            }
            _ => sync_folder(&unused(data)),
        }
    }

    /// What a genesis says of the authority with these keys.
    pub fn describe(&self, name: &str) -> Authority {
        Authority {
            name: name.to_owned(),
            authority_key: self.authority.public(),
            consensus_key: self.consensus.public(),
        }
    }
}

fn unused(data: &DataDir) -> PathBuf {
    data.keys().join("consensus.unused")
}

/// Who the node of a data directory is.
pub struct Identity {
    /// Its network.
    pub genesis: Genesis,
    /// Its keys and its name, if it is an authority of the network. A node whose keys are not in the genesis is a plain one.
    pub authority: Option<(AuthorityKeys, String)>,
}

impl Identity {
    /// Reads the network of this data directory; without one, founds a network of which this machine is the only
    /// authority.
    pub fn load(data: &DataDir) -> anyhow::Result<Self> {
        let path = data.join(FILE);
        let (genesis, keys) = if path.exists() {
            (read(&path)?, AuthorityKeys::existing(data)?)
        } else {
            let keys = AuthorityKeys::load(data)?;
            (found(data, &path, &keys)?, Some(keys))
        };
        let authority = keys.and_then(|keys| {
            let key = keys.authority.public();
            let member = genesis.authorities.iter().find(|authority| authority.authority_key == key)?;
            let name = member.name.clone();
            Some((keys, name))
        });
        Ok(Self { genesis, authority })
    }
}

/// Writes the genesis of a network that this data directory's node joins. Another one is never overwritten.
pub fn join(data: &DataDir, genesis: &Genesis) -> anyhow::Result<()> {
    let path = data.join(FILE);
    if path.exists() {
        let known = read(&path)?;
        anyhow::ensure!(
            known.network_id() == genesis.network_id(),
            "{} belongs to network {} already; use another data directory",
            data.root().display(),
            known.network_id()
        );
        return Ok(());
    }
    anyhow::ensure!(
        !data.join("ledger.db").exists(),
        "{} holds the ledger of another network; use another data directory",
        data.root().display()
    );
    write_atomically(&path, &serde_json::to_vec_pretty(genesis)?)
}

/// Reads a genesis and checks it.
pub fn read(path: &Path) -> anyhow::Result<Genesis> {
    let size = std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?.len();
    anyhow::ensure!(size <= MAX_BYTES, "{} is no network file: it has {size} bytes", path.display());
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&bytes).with_context(|| format!("{} is no network file", path.display()))
}

/// Reads a genesis from bytes and checks it.
pub fn parse(bytes: &[u8]) -> anyhow::Result<Genesis> {
    let genesis: Genesis = serde_json::from_slice(bytes)?;
    genesis.check()?;
    Ok(genesis)
}

fn found(data: &DataDir, path: &Path, keys: &AuthorityKeys) -> anyhow::Result<Genesis> {
    anyhow::ensure!(
        !data.join("ledger.db").exists(),
        "{} is missing, but there is a ledger: restore the file from a copy (`network show` of any node of the network)",
        path.display()
    );
    let constants = Constants {
        // A network of one vouches to nobody but its owner, who also writes the mirror map.
        mirrored_sources_count: true,
        // Nobody else could do better at the second try; `build` opens the round again.
        max_attempts: 1,
        ..Constants::default()
    };
    let genesis = genesis("local", vec![keys.describe("self")], constants)?;
    write_atomically(path, &serde_json::to_vec_pretty(&genesis)?)?;
    Ok(genesis)
}

/// The genesis of a new network: fresh by its nonce.
pub fn genesis(name: &str, authorities: Vec<Authority>, constants: Constants) -> anyhow::Result<Genesis> {
    let mut nonce = [0u8; 32];
    getrandom::fill(&mut nonce).context("the operating system gave no randomness")?;
    let genesis = Genesis { name: name.to_owned(), nonce, authorities, constants };
    genesis.check()?;
    Ok(genesis)
}

/// The network that answers of the node at `url` are checked against: named by the user, noted of that node, this
/// directory's own, or the one first seen.
pub fn pinned(data: &DataDir, url: &str, named: Option<&str>, from_node: Option<&[u8]>) -> anyhow::Result<Genesis> {
    let id = match named {
        Some(text) => match text.parse::<NetworkId>() {
            Ok(id) => Some(id),
            Err(_) => return read(Path::new(text)),
        },
        None => None,
    };
    let own = [FILE, PINNED].into_iter().map(|name| data.join(name)).find(|path| path.exists());
    let known = match known_nodes::network(data, url)? {
        Some(noted) => Some(noted),
        None => own.map(|path| read(&path)).transpose()?,
    };
    if let Some(genesis) = known
        && id.is_none_or(|id| id == genesis.network_id())
    {
        return Ok(genesis);
    }
    let Some(bytes) = from_node else {
        let text = "which network is to be trusted? name its file with --network";
        return Err(CommandError::new(Exit::Usage, text).into());
    };
    let genesis = parse(bytes).context("the node's network document is not valid")?;
    match id {
        Some(id) if id != genesis.network_id() => Err(CommandError::new(
            Exit::BadProof,
            format!("the node belongs to network {}, not to {id}", genesis.network_id()),
        )
        .into()),
        Some(_) => Ok(genesis),
        None => {
            data.create()?;
            write_atomically(&data.join(PINNED), bytes)?;
            crate::terminal::note(&format!(
                "first contact: trusting network {} ({}) from now on; compare the id with what its operators say",
                genesis.network_id(),
                genesis.name
            ));
            Ok(genesis)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "http://127.0.0.1:7888";

    fn founded() -> (tempfile::TempDir, DataDir, Genesis) {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::new(folder.path()).unwrap();
        data.create().unwrap();
        let genesis = Identity::load(&data).unwrap().genesis;
        (folder, data, genesis)
    }

    #[test]
    fn a_founded_network_stays() {
        let (_folder, data, genesis) = founded();
        let again = Identity::load(&data).unwrap();
        assert_eq!(again.genesis.network_id(), genesis.network_id());
        assert_eq!(again.authority.unwrap().1, "self");
        assert_eq!(pinned(&data, URL, None, None).unwrap().network_id(), genesis.network_id());
    }

    #[test]
    fn who_joins_without_a_key_of_the_genesis_is_a_plain_node() {
        let (_folder, _, genesis) = founded();
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::new(folder.path()).unwrap();
        data.create().unwrap();
        join(&data, &genesis).unwrap();
        join(&data, &genesis).unwrap();
        let identity = Identity::load(&data).unwrap();
        assert!(identity.authority.is_none() && identity.genesis == genesis);
        let (_other, _, another) = founded();
        assert!(join(&data, &another).is_err(), "a node belongs to one network");
        std::fs::write(data.keys().join("authority.key"), "00").unwrap();
        assert!(Identity::load(&data).is_err(), "half of the keys is not none");
    }

    #[test]
    fn another_network_is_refused() {
        let (_folder, _, genesis) = founded();
        let (_other_folder, other, other_genesis) = founded();
        let bytes = serde_json::to_vec(&other_genesis).unwrap();
        let id = genesis.network_id().to_string();
        let error = pinned(&other, URL, Some(&id), Some(&bytes)).unwrap_err();
        assert_eq!(crate::exit::of(&error), Exit::BadProof);
    }

    #[test]
    fn the_first_contact_is_remembered() {
        let (_folder, _, genesis) = founded();
        let (_other_folder, _, other_genesis) = founded();
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::new(folder.path()).unwrap();
        assert!(pinned(&data, URL, None, None).is_err());
        pinned(&data, URL, None, Some(&serde_json::to_vec(&genesis).unwrap())).unwrap();
        let later = pinned(&data, URL, None, Some(&serde_json::to_vec(&other_genesis).unwrap())).unwrap();
        assert_eq!(later.network_id(), genesis.network_id());
    }
}
