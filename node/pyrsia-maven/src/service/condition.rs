//! What a person should look at.

use std::time::Duration;

use pyrsia_consensus::Condition;
use pyrsia_replica::SigningStatus;

use super::{Builds, NodeService};

/// How long the container engine may take to answer before it is called unreachable.
const ENGINE: Duration = Duration::from_secs(3);

impl NodeService {
    /// Everything that is not as it should be, in sentences.
    pub(super) async fn warnings(&self, stale: bool) -> Vec<String> {
        let mut warnings = self.facts.warnings.clone();
        match &self.builds {
            Builds::Here { builder, .. } => {
                let answer = tokio::time::timeout(ENGINE, builder.available()).await;
                let reason = match answer {
                    Ok(Ok(())) => None,
                    Ok(Err(reason)) => Some(reason),
                    Err(_) => Some(format!("the container engine did not answer within {} s", ENGINE.as_secs())),
                };
                warnings
                    .extend(reason.map(|reason| format!("this node serves but does not rebuild at present: {reason}")));
            }
            Builds::Nowhere(reason) => warnings.push(format!("this node serves but does not rebuild: {reason}")),
            Builds::There(_) => {}
        }
        let own = self.ordering.as_ref().map(|ordering| ordering.own.get());
        if own.is_some_and(|own| own.is_none()) {
            warnings.push("this authority does not take part yet: its ledger catches up first".to_owned());
        }
        match own.flatten().map(|own| own.status().borrow().condition.clone()) {
            Some(Condition::SittingOut { session, reason }) => warnings.push(format!(
                "this authority sits consensus session {session} out ({reason}); it takes part again in a later one"
            )),
            Some(Condition::Failed { reason }) => {
                warnings.push(format!("consensus stopped: {reason}; restart the node"))
            }
            Some(Condition::Running) | None => {}
        }
        if let SigningStatus::Stopped { reason } = self.replica.signing_status() {
            warnings.push(format!("this authority has stopped signing: {reason}"));
        }
        let state = self.replica.state();
        if let Some(missing) = self.missing_for_a_quorum() {
            warnings.push(format!(
                "{missing} more of the {} authorities must be reached before anything is decided",
                state.committee().size()
            ));
        }
        if stale {
            warnings
                .push("no quorum has signed the log for hours: this node may be cut off from the network".to_owned());
        }
        warnings
    }

    /// How many authorities are missing for a quorum, this one counted; none when there are enough.
    fn missing_for_a_quorum(&self) -> Option<usize> {
        let peers = self.peers.as_ref()?;
        let connected = peers.network.peers().borrow().iter().filter(|peer| peer.authority.is_some()).count();
        let reached = connected + usize::from(self.facts.name.is_some());
        let quorum = self.replica.state().committee().quorum();
        quorum.checked_sub(reached).filter(|missing| *missing > 0)
    }
}
