//! What a node is called.

use std::fmt;
use std::str::FromStr;

use libp2p::PeerId;
use libp2p::identity::Keypair;

/// The name of a node: its libp2p peer id, which is derived from its node key. Whoever speaks under a name has proven
/// that it holds the key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerName(pub(crate) PeerId);

/// A text is not the name of a node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a node: {text:?}")]
pub struct PeerNameError {
    /// The text, cut to 64 characters.
    pub text: String,
}

impl fmt::Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerName({})", self.0)
    }
}

impl FromStr for PeerName {
    type Err = PeerNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| PeerNameError { text: text.chars().take(64).collect() })
    }
}

/// The libp2p key of a seed.
pub(crate) fn keypair(seed: &[u8; 32]) -> Keypair {
    // A copy, because the function below overwrites what it is given.
    let mut copy = *seed;
    Keypair::ed25519_from_bytes(&mut copy).expect("every 32 bytes are the seed of an ed25519 key")
}

/// The name of the node with this key, without starting anything.
pub fn node_id(seed: &[u8; 32]) -> PeerName {
    PeerName(keypair(seed).public().to_peer_id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_survives_its_text_form_and_is_a_function_of_the_seed() {
        let name = node_id(&[7; 32]);
        assert_eq!(name.to_string().parse(), Ok(name));
        assert_eq!(node_id(&[7; 32]), name);
        assert_ne!(node_id(&[8; 32]), name);
        assert!("not a name".parse::<PeerName>().is_err());
    }
}
