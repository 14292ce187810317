//! The newest committee of each network that this user's commands have seen proven.
//!
//! Authorities that have been replaced can still sign: a receipt of theirs looks good to whoever knows the genesis alone. So
//! every receipt that verifies raises the pin, and one that does not pass through the pinned committee is refused. The first
//! committee needs no pin, the genesis names it; so nothing is written before a network has changed its committee.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;
use pyrsia_ledger::{NetworkId, Pin};

use crate::data_dir::{DataDir, write_atomically};

const FILE: &str = "pinned-committees.json";
const MAX_BYTES: u64 = 1 << 20;

type Pins = BTreeMap<String, Pin>;

fn file(data: &DataDir) -> PathBuf {
    data.join(FILE)
}

fn read(data: &DataDir) -> anyhow::Result<Pins> {
    let path = file(data);
    let size = match std::fs::metadata(&path) {
        Ok(found) => found.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Pins::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    anyhow::ensure!(size <= MAX_BYTES, "{} holds {size} bytes, which no list of committees has", path.display());
    let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    // Never passed over: without it a replaced committee would be believed again.
    serde_json::from_slice(&bytes).with_context(|| format!("{} is damaged; restore it from a copy", path.display()))
}

/// The committee that receipts of this network have to pass through.
pub fn known(data: &DataDir, network: &NetworkId) -> anyhow::Result<Option<Pin>> {
    Ok(read(data)?.remove(&network.to_string()))
}

/// Remembers a proven committee, if it is newer than the one that is known.
pub fn raise(data: &DataDir, network: &NetworkId, seen: Pin) -> anyhow::Result<()> {
    let mut pins = read(data)?;
    let present = pins.get(&network.to_string()).map_or(0, |pin| pin.epoch);
    if seen.epoch <= present {
        return Ok(());
    }
    pins.insert(network.to_string(), seen);
    data.create()?;
    write_atomically(&file(data), &serde_json::to_vec_pretty(&pins)?)
}

#[cfg(test)]
mod tests {
    use pyrsia_digest::Sha256;

    use super::*;

    #[test]
    fn the_pin_only_rises_and_a_damaged_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::new(folder.path()).unwrap();
        let network: NetworkId = "11".repeat(32).parse().unwrap();
        let pin = |epoch| Pin { epoch, committee_hash: Sha256::of(&[epoch as u8]) };
        raise(&data, &network, pin(0)).unwrap();
        assert!(!file(&data).exists() && known(&data, &network).unwrap().is_none());
        for (seen, expected) in [(2, 2), (1, 2), (3, 3)] {
            raise(&data, &network, pin(seen)).unwrap();
            assert_eq!(known(&data, &network).unwrap(), Some(pin(expected)));
        }
        assert_eq!(known(&data, &"22".repeat(32).parse().unwrap()).unwrap(), None);
        std::fs::write(file(&data), "{").unwrap();
        assert!(known(&data, &network).is_err() && raise(&data, &network, pin(9)).is_err());
    }
}
