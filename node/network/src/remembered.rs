//! The file of remembered peers: how a restarted node finds the network when every bootstrap address is dead.
//!
//! Lines of text, each of which is taken or skipped by itself, so that damage costs only what it hit:
//! ```text
//! pyrsia-maven remembered peers 1
//! record <hexadecimal bytes of a signed AuthorityRecord, borsh>
//! peer <multiaddr with /p2p/>
//! ```
//! Nothing in it is trusted: records carry signatures, and an address only says where to try.

use std::io::{self, Read as _, Write as _};
use std::path::Path;

use borsh::BorshDeserialize as _;
use libp2p::Multiaddr;

use crate::address;
use crate::hello::MAX_RECORDS;
use crate::record::AuthorityRecord;

const FIRST_LINE: &str = "pyrsia-maven remembered peers 1";
/// Most addresses beside the records.
pub(crate) const MAX_PEERS: usize = 32;
/// Most bytes of the file that are read.
const MAX_FILE_BYTES: u64 = 512 * 1024;

/// What is remembered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Remembered {
    pub records: Vec<AuthorityRecord>,
    /// With the node's name each, the newest first.
    pub peers: Vec<Multiaddr>,
}

impl Remembered {
    pub fn encode(&self) -> String {
        let mut text = format!("{FIRST_LINE}\n");
        for record in self.records.iter().take(MAX_RECORDS) {
            let bytes = borsh::to_vec(record).expect("writing into memory does not fail");
            text.push_str(&format!("record {}\n", hex::encode(bytes)));
        }
        for peer in self.peers.iter().take(MAX_PEERS) {
            text.push_str(&format!("peer {peer}\n"));
        }
        text
    }

    /// Takes what can be read.
    pub fn decode(text: &str) -> Self {
        let mut remembered = Self::default();
        let mut lines = text.lines();
        if lines.next() != Some(FIRST_LINE) {
            return remembered;
        }
        for line in lines {
            match line.split_once(' ') {
                Some(("record", hexadecimal)) if remembered.records.len() < MAX_RECORDS => {
                    let bytes = hex::decode(hexadecimal).ok();
                    remembered.records.extend(bytes.and_then(|bytes| AuthorityRecord::try_from_slice(&bytes).ok()));
                }
                Some(("peer", text)) if remembered.peers.len() < MAX_PEERS => {
                    let named = address::dialable(text).filter(|address| address::split(address.clone()).1.is_some());
                    remembered.peers.extend(named);
                }
                _ => {}
            }
        }
        remembered
    }

    /// Adds an address in front. Says whether it is new.
    pub fn reached(&mut self, address: Multiaddr) -> bool {
        let new = !self.peers.contains(&address);
        if new {
            self.peers.insert(0, address);
            self.peers.truncate(MAX_PEERS);
        }
        new
    }
}

/// Reads the file; a missing or unreadable one remembers nothing.
pub(crate) fn load(path: &Path) -> Remembered {
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    match read() {
        Ok(bytes) => Remembered::decode(&String::from_utf8_lossy(&bytes)),
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(path = %path.display(), %error, "remembered peers cannot be read: starting without them");
            }
            Remembered::default()
        }
    }
}

/// Writes the file: whole or not at all.
pub(crate) fn save(path: &Path, remembered: &Remembered) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(remembered.encode().as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    // So that the name survives a loss of power. Losing it would cost only what was remembered since.
    let _ = std::fs::File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use pyrsia_ledger::{AuthorityKey, NetworkId};

    fn remembered() -> Remembered {
        let network = NetworkId(pyrsia_digest::Sha256::from_bytes([1; 32]));
        let peer = crate::node_id(&[9; 32]);
        let record = |byte| {
            let key = AuthorityKey::from_seed(&[byte; 32]);
            AuthorityRecord::sign(&key, &network, &peer.0, &["/ip4/192.0.2.1/tcp/1".into()], 5)
        };
        let address = |port| format!("/ip4/192.0.2.1/tcp/{port}/p2p/{peer}").parse().unwrap();
        Remembered { records: vec![record(1), record(2)], peers: vec![address(1), address(2)] }
    }

    #[test]
    fn the_file_survives_and_a_damaged_line_costs_only_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("remembered");
        assert_eq!(load(&path), Remembered::default());
        save(&path, &remembered()).unwrap();
        save(&path, &remembered()).unwrap();
        assert_eq!(load(&path), remembered());
        let text = std::fs::read_to_string(&path).unwrap();
        let damaged = text.replacen("record 01", "record 0x", 1).replacen("tcp/2", "tdp/2", 1);
        assert_ne!(damaged, text);
        let left = Remembered::decode(&damaged);
        assert_eq!((left.records, left.peers), (remembered().records[1..].to_vec(), remembered().peers[..1].to_vec()));
        std::fs::write(&path, &text[..text.len() - 5]).unwrap();
        assert_eq!(load(&path).records.len(), 2);
        std::fs::write(&path, [0xff; 100]).unwrap();
        assert_eq!(load(&path), Remembered::default());
    }

    #[test]
    fn the_newest_addresses_are_kept() {
        let mut remembered = remembered();
        assert!(!remembered.reached(remembered.peers[1].clone()));
        for port in 0..100 {
            assert!(remembered.reached(format!("/ip4/192.0.2.1/tcp/{port}").parse().unwrap()));
        }
        assert_eq!(
            (remembered.peers.len(), remembered.peers[0].to_string()),
            (MAX_PEERS, "/ip4/192.0.2.1/tcp/99".into())
        );
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in any::<String>(), rest in "(record|peer) [0-9a-f/p]{0,200}") {
            let _ = Remembered::decode(&text);
            let _ = Remembered::decode(&format!("{FIRST_LINE}\n{rest}\n{text}"));
        }
    }
}
