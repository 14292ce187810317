//! `network.json`: the genesis of the network that a node belongs to.

use std::path::Path;

use anyhow::Context as _;
use pyrsia_ledger::{Authority, AuthorityKey, ConsensusKey, Constants, Genesis, NetworkId};

use crate::data_dir::{DataDir, write_atomically};
use crate::exit::{CommandError, Exit};

const FILE: &str = "network.json";
/// The file that remembers the network of a node that is asked over the API, where this directory has none of its own.
const PINNED: &str = "pinned-network.json";
const MAX_BYTES: u64 = 1 << 20;

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
        Ok(Self {
            authority: AuthorityKey::from_seed(&data.secret("authority.key")?),
            consensus: ConsensusKey::from_seed(&data.secret("consensus.key")?),
        })
    }
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

/// The network of this data directory; without one, a network of which this machine is the only authority.
pub fn load_or_found(data: &DataDir, keys: &AuthorityKeys) -> anyhow::Result<Genesis> {
    let path = data.join(FILE);
    if path.exists() {
        return read(&path);
    }
    anyhow::ensure!(
        !data.join("ledger.db").exists(),
        "{} is missing, but there is a ledger: restore the file from a copy (`network show` of any node of the network)",
        path.display()
    );
    let mut nonce = [0u8; 32];
    getrandom::fill(&mut nonce).context("the operating system gave no randomness")?;
    let genesis = Genesis {
        name: "local".to_owned(),
        nonce,
        authorities: vec![Authority {
            name: "self".to_owned(),
            authority_key: keys.authority.public(),
            consensus_key: keys.consensus.public(),
        }],
        constants: Constants {
            // A network of one vouches to nobody but its owner, who also writes the mirror map.
            mirrored_sources_count: true,
            // Nobody else could do better at the second try; `build` opens the round again.
            max_attempts: 1,
            ..Constants::default()
        },
    };
    write_atomically(&path, &serde_json::to_vec_pretty(&genesis)?)?;
    Ok(genesis)
}

/// The network that answers are checked against: named by the user, this directory's own, or the one first seen.
pub fn pinned(data: &DataDir, named: Option<&str>, from_node: Option<&[u8]>) -> anyhow::Result<Genesis> {
    let id = match named {
        Some(text) => match text.parse::<NetworkId>() {
            Ok(id) => Some(id),
            Err(_) => return read(Path::new(text)),
        },
        None => None,
    };
    let own = [FILE, PINNED].into_iter().map(|name| data.join(name)).find(|path| path.exists());
    if let Some(path) = own {
        let genesis = read(&path)?;
        if id.is_none_or(|id| id == genesis.network_id()) {
            return Ok(genesis);
        }
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

    fn founded() -> (tempfile::TempDir, DataDir, Genesis) {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::new(folder.path()).unwrap();
        data.create().unwrap();
        let keys = AuthorityKeys::load(&data).unwrap();
        let genesis = load_or_found(&data, &keys).unwrap();
        (folder, data, genesis)
    }

    #[test]
    fn a_founded_network_stays() {
        let (_folder, data, genesis) = founded();
        let keys = AuthorityKeys::load(&data).unwrap();
        assert_eq!(load_or_found(&data, &keys).unwrap().network_id(), genesis.network_id());
        assert_eq!(pinned(&data, None, None).unwrap().network_id(), genesis.network_id());
    }

    #[test]
    fn another_network_is_refused() {
        let (_folder, _, genesis) = founded();
        let (_other_folder, other, other_genesis) = founded();
        let bytes = serde_json::to_vec(&other_genesis).unwrap();
        let id = genesis.network_id().to_string();
        let error = pinned(&other, Some(&id), Some(&bytes)).unwrap_err();
        assert_eq!(crate::exit::of(&error), Exit::BadProof);
    }

    #[test]
    fn the_first_contact_is_remembered() {
        let (_folder, _, genesis) = founded();
        let (_other_folder, _, other_genesis) = founded();
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::new(folder.path()).unwrap();
        assert!(pinned(&data, None, None).is_err());
        pinned(&data, None, Some(&serde_json::to_vec(&genesis).unwrap())).unwrap();
        let later = pinned(&data, None, Some(&serde_json::to_vec(&other_genesis).unwrap())).unwrap();
        assert_eq!(later.network_id(), genesis.network_id());
    }
}
