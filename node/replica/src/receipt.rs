//! Receipts from what is stored.

use maven_layout::Coordinates;
use pyrsia_digest::Sha256;
use pyrsia_ledger::{Block, Certificate, Handover, Receipt};
use pyrsia_store::{LedgerStore, StoreError};

use crate::chain::Chain;

/// Why there is no receipt.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptUnavailable {
    /// There is no verdict on the release.
    #[error("there is no verdict on {coordinates}")]
    NoVerdict {
        /// The release.
        coordinates: Coordinates,
    },
    /// There is a verdict, but no certificate of a log that holds it yet. Certificates follow entries within seconds, as
    /// long as a quorum of the authorities is up.
    #[error("the verdict on {coordinates} is not certified yet")]
    NotCertified {
        /// The release.
        coordinates: Coordinates,
    },
    /// The database cannot be read, or misses something.
    #[error("the ledger's database failed")]
    Store(#[from] StoreError),
    /// The database holds something else than it should.
    #[error("the database holds {what} that does not decode or is missing")]
    Damaged {
        /// What it is.
        what: &'static str,
    },
}

/// The receipt for the standing verdict on a release, by the first certificate that covers it: the earliest time at
/// which a quorum is known to have logged it.
pub(crate) fn build(
    store: &LedgerStore,
    chain: &Chain,
    coordinates: &Coordinates,
) -> Result<Receipt, ReceiptUnavailable> {
    let verdict = chain
        .state
        .verdict(coordinates)
        .ok_or_else(|| ReceiptUnavailable::NoVerdict { coordinates: coordinates.clone() })?
        .clone();
    let covering = certified_at_or_after(store, verdict.index + 1)?;
    let Some((certificate, block)) = covering else {
        return Err(ReceiptUnavailable::NotCertified { coordinates: coordinates.clone() });
    };
    let mut handovers = Vec::new();
    let mut committee = chain.handovers.first().map_or_else(|| chain.state.committee().hash(), |first| first.previous);
    for leaf in chain.handovers.iter() {
        if committee == block.committee_hash {
            break;
        }
        let Some((certificate, of)) = certified_at_or_after(store, leaf.index + 1)? else {
            return Err(ReceiptUnavailable::NotCertified { coordinates: coordinates.clone() });
        };
        // The old committee's word is needed: that of the block that names the new one.
        if of.committee_hash != committee {
            return Err(ReceiptUnavailable::Damaged { what: "a hand-over's certificate" });
        }
        handovers.push(Handover {
            proof: proof(store, of.log_size, leaf.index)?,
            certificate: exactly_a_quorum(certificate, chain, &committee),
            leaf: leaf.clone(),
        });
        committee = leaf.committee.hash();
    }
    Ok(Receipt {
        network: chain.state.network_id(),
        proof: proof(store, block.log_size, verdict.index)?,
        certificate: exactly_a_quorum(certificate, chain, &committee),
        handovers,
        verdict,
    })
}

/// Cuts a certificate down to as many cosignatures as its committee's quorum.
fn exactly_a_quorum(certificate: Certificate, chain: &Chain, committee_hash: &Sha256) -> Certificate {
    let quorum = chain
        .handovers
        .iter()
        .map(|leaf| &leaf.committee)
        .chain([chain.certifying.as_ref(), chain.state.committee()])
        .find(|committee| committee.hash() == *committee_hash)
        .map(pyrsia_ledger::Committee::quorum);
    match quorum {
        Some(quorum) => certificate.truncated(quorum),
        None => certificate,
    }
}

/// The first certificate of a log of at least `size` leaves, with the block that the log ends with.
fn certified_at_or_after(store: &LedgerStore, size: u64) -> Result<Option<(Certificate, Block)>, ReceiptUnavailable> {
    let Some((size, bytes)) = store.certificate_at_or_after(size)? else {
        return Ok(None);
    };
    let certificate = parse_certificate(&bytes).ok_or(ReceiptUnavailable::Damaged { what: "a certificate" })?;
    let block = store
        .block_covering(size)?
        .filter(|block| block.log_size == size)
        .and_then(|block| Block::from_bytes(&block.block_bytes).ok())
        .ok_or(ReceiptUnavailable::Damaged { what: "the block of a certificate" })?;
    Ok(Some((certificate, block)))
}

pub(crate) fn parse_certificate(bytes: &[u8]) -> Option<Certificate> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

fn proof(store: &LedgerStore, size: u64, index: u64) -> Result<Vec<Sha256>, ReceiptUnavailable> {
    pyrsia_merkle::inclusion_proof(size, index, &mut |level, position| {
        store.node(level, position)?.ok_or(ReceiptUnavailable::Damaged { what: "a tree node" })
    })
}
