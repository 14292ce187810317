//! Where an authority is: its signed record, and the book of the newest ones.

use borsh::{BorshDeserialize, BorshSerialize};
use libp2p::PeerId;
use pyrsia_ledger::{AuthorityKey, NetworkId, PublicKey, Signature};

use crate::address;

/// Most addresses in a record.
pub(crate) const MAX_ADDRESSES: usize = 8;
/// Most bytes of one address.
pub(crate) const MAX_ADDRESS_BYTES: usize = 128;
/// Most bytes of a peer id.
pub(crate) const MAX_PEER_BYTES: usize = 64;
const DOMAIN: &[u8] = b"pyrsia-maven/authority-record/v1";

/// What an authority says about its node. Signed, it binds the authority's key to the node's key.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct Content {
    pub network: [u8; 32],
    pub authority: PublicKey,
    pub peer: Vec<u8>,
    pub addresses: Vec<String>,
    /// Unix seconds of the authority's clock when it signed this; the newest counts.
    pub sequence: u64,
}

/// A record as it goes over the wire. Says nothing until [`AuthorityRecord::check`] has passed.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct AuthorityRecord {
    pub content: Content,
    pub signature: Signature,
}

/// Why a record does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordError {
    #[error("a record of another network")]
    OtherNetwork,
    #[error("a record of a key outside the committee")]
    NoMember,
    #[error("a record that breaks a limit or names no peer")]
    Shape,
    #[error("a record with a wrong signature")]
    Signature,
}

impl AuthorityRecord {
    pub fn sign(key: &AuthorityKey, network: &NetworkId, peer: &PeerId, addresses: &[String], sequence: u64) -> Self {
        let content = Content {
            network: *network.as_bytes(),
            authority: key.public(),
            peer: peer.to_bytes(),
            addresses: addresses.iter().take(MAX_ADDRESSES).cloned().collect(),
            sequence,
        };
        let signature = key.sign(&signed_bytes(&content));
        Self { content, signature }
    }

    /// The node it names, if its shape is right. Cheap; the signature is not looked at.
    fn shape(&self) -> Result<PeerId, RecordError> {
        let content = &self.content;
        let addresses_fit = content.addresses.len() <= MAX_ADDRESSES
            && content
                .addresses
                .iter()
                .all(|text| text.len() <= MAX_ADDRESS_BYTES && address::dialable(text).is_some());
        if !addresses_fit || content.peer.len() > MAX_PEER_BYTES {
            return Err(RecordError::Shape);
        }
        let peer = PeerId::from_bytes(&content.peer).map_err(|_| RecordError::Shape)?;
        if peer.to_bytes() != content.peer { Err(RecordError::Shape) } else { Ok(peer) }
    }
}

/// The bytes under the signature: each part preceded by its length (eight bytes, little-endian).
fn signed_bytes(content: &Content) -> Vec<u8> {
    let body = borsh::to_vec(content).expect("writing into memory does not fail");
    let mut bytes = Vec::with_capacity(DOMAIN.len() + body.len() + 16);
    for part in [DOMAIN, &body] {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

/// A record that passed every check.
#[derive(Debug, Clone)]
pub(crate) struct Verified {
    pub record: AuthorityRecord,
    pub position: usize,
    pub peer: PeerId,
}

/// What to do with a record, before its signature is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    /// Newer than what is known.
    Newer,
    /// Exactly what is known.
    Known,
    /// Older than what is known, or another of the same second.
    Older,
}

/// The newest record of each member of the committee.
#[derive(Debug)]
pub(crate) struct Book {
    network: NetworkId,
    authorities: Vec<PublicKey>,
    records: Vec<Option<(AuthorityRecord, PeerId)>>,
    version: u64,
}

impl Book {
    pub fn new(network: NetworkId, authorities: Vec<PublicKey>) -> Self {
        let records = vec![None; authorities.len()];
        Self { network, authorities, records, version: 1 }
    }

    /// Grows with each change.
    pub fn version(&self) -> u64 {
        self.version
    }

    pub fn members(&self) -> usize {
        self.authorities.len()
    }

    pub fn position_of(&self, authority: &PublicKey) -> Option<usize> {
        self.authorities.iter().position(|known| known == authority)
    }

    /// Whether a record is worth the verification of its signature.
    pub fn news(&self, record: &AuthorityRecord) -> Result<News, RecordError> {
        if record.content.network != *self.network.as_bytes() {
            return Err(RecordError::OtherNetwork);
        }
        let position = self.position_of(&record.content.authority).ok_or(RecordError::NoMember)?;
        Ok(match &self.records[position] {
            Some((known, _)) if known == record => News::Known,
            Some((known, _)) if known.content.sequence >= record.content.sequence => News::Older,
            _ => News::Newer,
        })
    }

    /// Every check of a record, the signature last.
    pub fn verify(&self, record: AuthorityRecord) -> Result<Verified, RecordError> {
        self.news(&record)?;
        let position = self.position_of(&record.content.authority).ok_or(RecordError::NoMember)?;
        let peer = record.shape()?;
        if !record.content.authority.verify(&signed_bytes(&record.content), &record.signature) {
            return Err(RecordError::Signature);
        }
        Ok(Verified { record, position, peer })
    }

    /// Keeps a record if it is newer than the known one of that member. Says whether it was.
    pub fn take(&mut self, verified: Verified) -> bool {
        let Verified { record, position, peer } = verified;
        match &self.records[position] {
            Some((known, _)) if known.content.sequence >= record.content.sequence => false,
            _ => {
                self.records[position] = Some((record, peer));
                self.version += 1;
                true
            }
        }
    }

    /// The record of a member.
    pub fn get(&self, position: usize) -> Option<&AuthorityRecord> {
        self.records.get(position)?.as_ref().map(|(record, _)| record)
    }

    /// The node of a member, as the member itself names it. That the node agrees shows only when it presents the
    /// record itself.
    pub fn peer(&self, position: usize) -> Option<PeerId> {
        self.records.get(position)?.as_ref().map(|(_, peer)| *peer)
    }

    /// Whether any member names this node as its own.
    pub fn names(&self, peer: &PeerId) -> bool {
        self.records.iter().flatten().any(|(_, named)| named == peer)
    }

    /// All records, with the position of their member.
    pub fn all(&self) -> impl Iterator<Item = (usize, &AuthorityRecord)> {
        self.records.iter().enumerate().filter_map(|(position, slot)| Some((position, &slot.as_ref()?.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(byte: u8) -> NetworkId {
        NetworkId(pyrsia_digest::Sha256::from_bytes([byte; 32]))
    }

    fn key(byte: u8) -> AuthorityKey {
        AuthorityKey::from_seed(&[byte; 32])
    }

    fn peer(byte: u8) -> PeerId {
        crate::node_id(&[byte; 32]).0
    }

    fn book() -> Book {
        Book::new(network(1), vec![key(1).public(), key(2).public()])
    }

    fn record(key: &AuthorityKey, sequence: u64) -> AuthorityRecord {
        AuthorityRecord::sign(key, &network(1), &peer(9), &["/ip4/192.0.2.1/tcp/1".into()], sequence)
    }

    #[test]
    fn the_newest_record_of_a_member_counts() {
        let mut book = book();
        let taken = |book: &mut Book, record| {
            let verified = book.verify(record).unwrap();
            book.take(verified)
        };
        assert!(taken(&mut book, record(&key(2), 5)));
        assert!(!taken(&mut book, record(&key(2), 5)));
        assert!(!taken(&mut book, record(&key(2), 4)));
        assert_eq!(book.news(&record(&key(2), 4)), Ok(News::Older));
        assert_eq!(book.news(&record(&key(2), 5)), Ok(News::Known));
        assert!(taken(&mut book, record(&key(2), 6)));
        assert_eq!(book.get(1).unwrap().content.sequence, 6);
        assert_eq!(book.peer(1), Some(peer(9)));
        assert_eq!(book.get(0), None);
    }

    #[test]
    fn a_key_outside_the_committee_another_network_and_any_changed_field_are_refused() {
        let book = book();
        assert_eq!(book.verify(record(&key(3), 5)).unwrap_err(), RecordError::NoMember);
        let foreign = AuthorityRecord::sign(&key(1), &network(2), &peer(9), &[], 5);
        assert_eq!(book.verify(foreign).unwrap_err(), RecordError::OtherNetwork);
        let good = record(&key(1), 5);
        let mut changed = good.clone();
        changed.content.sequence = 6;
        assert_eq!(book.verify(changed).unwrap_err(), RecordError::Signature);
        let mut changed = good.clone();
        changed.content.peer = peer(8).to_bytes();
        assert_eq!(book.verify(changed).unwrap_err(), RecordError::Signature);
        let mut changed = good.clone();
        changed.content.addresses[0] = "/ip4/192.0.2.1/tcp/2".into();
        assert_eq!(book.verify(changed).unwrap_err(), RecordError::Signature);
        let mut changed = good;
        changed.content.authority = key(2).public();
        assert_eq!(book.verify(changed).unwrap_err(), RecordError::Signature);
    }

    #[test]
    fn limits_hold_even_under_a_good_signature() {
        let book = book();
        let sign = |addresses: Vec<String>, peer: Vec<u8>| {
            let content = Content { network: [1; 32], authority: key(1).public(), peer, addresses, sequence: 1 };
            let signature = key(1).sign(&signed_bytes(&content));
            AuthorityRecord { content, signature }
        };
        let good = peer(9).to_bytes();
        assert!(book.verify(sign(vec!["/ip4/192.0.2.1/tcp/1".into(); 8], good.clone())).is_ok());
        for bad in [
            sign(vec!["/ip4/192.0.2.1/tcp/1".into(); 9], good.clone()),
            sign(vec![format!("/dns4/{}/tcp/1", "a".repeat(130))], good.clone()),
            sign(vec!["not an address".into()], good.clone()),
            sign(vec!["/unix/tmp".into()], good),
            sign(vec![], vec![1, 2, 3]),
        ] {
            assert_eq!(book.verify(bad).unwrap_err(), RecordError::Shape);
        }
    }
}
