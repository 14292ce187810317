//! The peer network and the ordering protocol of a node.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pyrsia_blobs::BlobStore;
use pyrsia_consensus::{ConsensusConfig, ConsensusOrderer, Cut, Membership, Resume, Start, Transport};
use pyrsia_ledger::{AuthorityKey, Genesis};
use pyrsia_network::{Method, Network};
use pyrsia_replica::{BlocksAnswer, OrderedBatch, ReplicaHandle};
use pyrsia_store::LedgerStore;
use tokio::sync::{SetOnce, mpsc};

use super::clock;
use crate::context::Context;
use crate::data_dir::DataDir;
use crate::network_file::AuthorityKeys;
use crate::peering::cosign::Heads;
use crate::peering::fetcher::Fetcher;
use crate::peering::given::Given;
use crate::peering::links::{Links, Solitary};
use crate::peering::submit::Submitter;

/// Where addresses of peers are remembered.
const REMEMBERED: &str = "peers.json";

/// A network that this node has joined.
pub struct Joined {
    pub network: Arc<Network>,
    pub fetcher: Fetcher,
    pub given: Arc<Given>,
    pub heads: Heads,
}

/// Starts the peer network, unless this is a network of one that nobody is to reach.
pub async fn network(
    context: &Context,
    genesis: &Genesis,
    authority: Option<AuthorityKey>,
    replica: &ReplicaHandle,
    blobs: &BlobStore,
) -> anyhow::Result<Option<Joined>> {
    let config = context.config.network.clone();
    let alone = genesis.authorities.len() == 1 && authority.is_some();
    if alone && config.listen.is_empty() && config.bootstrap.is_empty() {
        return Ok(None);
    }
    let given = Arc::new(Given::new(replica.clone(), blobs.clone()));
    let network = Network::start(pyrsia_network::Start {
        config,
        node_key: context.data.secret("node.key")?,
        network: genesis.network_id(),
        authorities: genesis.authorities.iter().map(|member| member.authority_key).collect(),
        authority,
        provider: given.clone(),
        remembered: context.data.join(REMEMBERED),
        clock: clock(),
    })
    .await?;
    let network = Arc::new(network);
    Ok(Some(Joined { fetcher: Fetcher::new(network.clone(), blobs.clone()), network, given, heads: Heads::default() }))
}

/// Pause between two looks at how far the others are.
const LOOK: Duration = Duration::from_millis(500);

/// This authority's part in the ordering protocol, begun in the background: see [`Taking::part`].
pub struct Taking {
    pub config: ConsensusConfig,
    pub data: DataDir,
    pub membership: Membership,
    pub batches: mpsc::Sender<OrderedBatch>,
    pub submitter: Arc<Submitter>,
    pub replica: ReplicaHandle,
}

impl Taking {
    /// What is needed, from keys and genesis.
    pub fn new(
        context: &Context,
        keys: &AuthorityKeys,
        replica: &ReplicaHandle,
        batches: mpsc::Sender<OrderedBatch>,
        network: Option<Arc<Network>>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            config: context.config.consensus.clone(),
            data: context.data.clone(),
            membership: Membership::of_genesis(replica.genesis(), keys.consensus.clone())?,
            batches,
            submitter: Arc::new(Submitter { own: SetOnce::new(), network, data: context.data.root().to_owned() }),
            replica: replica.clone(),
        })
    }

    /// This authority's place in the committee, and the committee's size.
    pub fn place(&self) -> (usize, usize) {
        (self.membership.me(), self.membership.size())
    }

    /// Starts taking part. An authority whose consensus files are gone first waits until its ledger has caught up with
    /// the others: how far the network is says in which sessions it may have signed things that it no longer has.
    pub async fn part(self) -> anyhow::Result<Arc<ConsensusOrderer>> {
        let dir = self.data.join("consensus");
        let founding = AuthorityKeys::is_unused(&self.data);
        let is_lost = !founding && !dir.join("standing").exists();
        if let Some(network) = self.submitter.network.as_deref().filter(|_| is_lost && self.membership.size() > 1) {
            tracing::warn!("the files of consensus are gone: catching up with the network before taking part");
            while !has_caught_up(network, &self.replica).await {
                tokio::time::sleep(LOOK).await;
            }
        }
        let network = self.submitter.network.clone();
        let transport: Arc<dyn Transport> = match network {
            Some(network) => Arc::new(Links(network)),
            None => Arc::new(Solitary),
        };
        let start = Start {
            config: self.config,
            cut: Cut::of(&self.replica.genesis().constants),
            membership: self.membership,
            dir,
            transport,
            batches: self.batches,
            resume: position(&self.replica).await?,
            founding,
        };
        let consensus = Arc::new(ConsensusOrderer::start(start).await?);
        AuthorityKeys::mark_used(&self.data)?;
        // The ledger may have moved meanwhile.
        consensus.ledger_at(position(&self.replica).await?);
        // Set once, here.
        let _ = self.submitter.own.set(consensus.clone());
        // Ends with the orderer.
        tokio::spawn(self.submitter.clone().hand_over());
        Ok(consensus)
    }
}

/// Whether this node's ledger is as long as what enough others show. **One peer's word is not enough**: of q - 1 other
/// authorities that answer, the f longest are set aside, since those may lie, and the longest of the rest counts.
async fn has_caught_up(network: &Network, replica: &ReplicaHandle) -> bool {
    let peers = network.peers().borrow().clone();
    // No bytes of blocks are wanted: then there is no waiting for a newer one.
    let question = Bytes::from(replica.wanted(0).to_bytes());
    let mut heads = Vec::new();
    for peer in peers.iter().filter(|peer| peer.authority.is_some()) {
        if let Ok(answer) = network.call(&peer.name, Method::Blocks, question.clone()).await
            && let Ok(answer) = BlocksAnswer::from_bytes(&answer)
        {
            heads.push(answer.head_height);
        }
    }
    let state = replica.state();
    let committee = state.committee();
    let own = replica.block().map_or(0, |block| block.height);
    is_as_long(own, heads, committee.quorum(), committee.faulty())
}

fn is_as_long(own: u64, mut heads: Vec<u64>, quorum: usize, faulty: usize) -> bool {
    if heads.len() + 1 < quorum {
        return false;
    }
    heads.sort_unstable_by(|a, b| b.cmp(a));
    heads.get(faulty).is_none_or(|head| own >= *head)
}

/// How far the ledger is.
async fn position(replica: &ReplicaHandle) -> anyhow::Result<Resume> {
    let cursor = replica.store().run(LedgerStore::cursor).await?;
    Ok(cursor.map_or_else(Resume::default, |(session, index)| Resume { session, after: Some(index) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_short_answer_is_not_the_end_of_the_ledger() {
        // Four authorities: quorum 3, one may lie.
        assert!(!is_as_long(0, vec![0], 3, 1), "too few have answered");
        assert!(!is_as_long(5, vec![0, 9, 9], 3, 1), "one that hides the ledger changes nothing");
        assert!(is_as_long(9, vec![0, 9, 9], 3, 1));
        assert!(is_as_long(9, vec![u64::MAX, 9, 9], 3, 1), "one that invents a longer one does not keep this node out");
    }
}
