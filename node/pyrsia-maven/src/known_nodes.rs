//! Nodes of the same user that are reached at an address: their API token and their network.
//!
//! `devnet up` starts nodes with data directories of their own, and every other command should find the plain node at the
//! default address without being told where its directory is. So it leaves a note in the data directory of the command:
//! `nodes/HOST-PORT/{api.token, network.json}`, 0600, which `devnet down` removes. The note is trusted like any key of this
//! directory: only its owner can write it.

use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use pyrsia_ledger::Genesis;

use crate::data_dir::{self, DataDir};
use crate::network_file;

const FOLDER: &str = "nodes";
const TOKEN: &str = "api.token";
const NETWORK: &str = "network.json";

/// The folder about the node at `url`. None for an address without a host and a port.
fn folder(data: &DataDir, url: &str) -> Option<PathBuf> {
    let url = reqwest::Url::parse(url).ok()?;
    let (host, port) = (url.host_str()?, url.port_or_known_default()?);
    // Host names hold letters, digits, dots and dashes, IPv6 addresses brackets and colons besides.
    let name: String = host.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
    Some(data.join(FOLDER).join(format!("{name}-{port}")))
}

/// Leaves a note about the node at `url`.
pub fn remember(data: &DataDir, url: &str, token: &str, genesis: &Genesis) -> anyhow::Result<()> {
    let folder = folder(data, url).with_context(|| format!("{url} is no address of a node"))?;
    data.create()?;
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    data_dir::write_secret(&folder.join(TOKEN), token)?;
    data_dir::write_atomically(&folder.join(NETWORK), &serde_json::to_vec_pretty(genesis)?)
}

/// Removes the note about the node at `url`.
pub fn forget(data: &DataDir, url: &str) -> anyhow::Result<()> {
    let Some(folder) = folder(data, url).filter(|folder| folder.exists()) else { return Ok(()) };
    std::fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))
}

/// The token for calls to `url` that change something: of a note, else of the data directory's own node. **No address of
/// another machine is told the own node's token.**
pub fn token(data: &DataDir, url: &str) -> anyhow::Result<Option<String>> {
    if let Some(path) = folder(data, url).map(|folder| folder.join(TOKEN))
        && let Some(text) = data_dir::read_secret(&path)?
    {
        return Ok(Some(text.trim_end().to_owned()));
    }
    if url.parse().is_ok_and(|url| is_this_machine(&url)) { data.existing_api_token() } else { Ok(None) }
}

/// Whether an address leads to nobody but this machine: secrets may go there in the open.
pub fn is_this_machine(url: &reqwest::Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.map_or(host == "localhost", |address| address.to_canonical().is_loopback())
}

/// The network of the node at `url`, if there is a note.
pub fn network(data: &DataDir, url: &str) -> anyhow::Result<Option<Genesis>> {
    match folder(data, url).map(|folder| folder.join(NETWORK)).filter(|path| path.exists()) {
        Some(path) => network_file::read(&path).map(Some),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network_file::Identity;

    #[test]
    fn a_note_holds_for_its_address_only_and_until_it_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::new(folder.path()).unwrap();
        data.create().unwrap();
        let genesis = Identity::load(&data).unwrap().genesis;
        let other = tempfile::tempdir().unwrap();
        let data = DataDir::new(other.path()).unwrap();
        let url = "http://127.0.0.1:7888";
        assert_eq!((token(&data, url).unwrap(), network(&data, url).unwrap()), (None, None));
        remember(&data, url, "secret", &genesis).unwrap();
        assert_eq!(token(&data, "http://127.0.0.1:7888/").unwrap().as_deref(), Some("secret"));
        assert_eq!(network(&data, url).unwrap(), Some(genesis));
        assert_eq!(token(&data, "http://127.0.0.1:7889").unwrap(), None);
        forget(&data, url).unwrap();
        assert_eq!(token(&data, url).unwrap(), None);
        forget(&data, url).unwrap();
        assert!(folder_name_is_inside(&data, "http://[::1]:1/../../etc"));
    }

    #[test]
    fn the_own_token_stays_on_this_machine() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::new(folder.path()).unwrap();
        data.create().unwrap();
        let own = data.api_token().unwrap();
        for (url, told) in [
            ("http://127.0.0.1:7888", true),
            ("http://127.3.2.1", true),
            ("http://[::1]:7888/", true),
            ("http://localhost:7888", true),
            ("http://192.0.2.1:7888", false),
            ("http://127.0.0.1.example:7888", false),
            ("http://127.0.0.1@example.org", false),
            ("https://localhost.example", false),
            ("http://[2001:db8::1]", false),
            ("no address", false),
        ] {
            assert_eq!(token(&data, url).unwrap(), told.then(|| own.clone()), "{url}");
        }
    }

    fn folder_name_is_inside(data: &DataDir, url: &str) -> bool {
        folder(data, url).unwrap().parent() == Some(data.join(FOLDER).as_path())
    }
}
