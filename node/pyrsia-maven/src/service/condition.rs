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
        let consensus = own.flatten().map(|own| own.status().borrow().clone());
        if consensus.as_ref().is_some_and(|status| status.overdue) {
            warnings
                .push("what this authority has to say has not reached the ledger for more than a minute".to_owned());
        }
        match consensus.map(|status| status.condition) {
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
        let committee = self.replica.state().committee().clone();
        for key in self.replica.condemned() {
            let member = committee.authorities.iter().find(|member| member.authority_key == key);
            let name = member.map_or_else(|| key.to_string(), |member| member.name.clone());
            warnings.push(format!("authority {name} has signed another log; it is not believed any more"));
        }
        warnings.extend(quorum_missing(self.reachable_authorities(), committee.size(), committee.quorum()));
        let excess = self.gauge.excess();
        if excess > 0 {
            warnings.push(format!(
                "the store is {} MiB above its limits, and nothing further may be removed: raise the limits in [store], or set \
                 `remove_named`",
                excess.div_ceil(1 << 20)
            ));
        }
        if stale {
            warnings
                .push("no quorum has signed the log for hours: this node may be cut off from the network".to_owned());
        }
        warnings
    }

    /// How many authorities this node reaches now, itself included if it is one.
    pub(super) fn reachable_authorities(&self) -> usize {
        let connected = self
            .peers
            .as_ref()
            .map_or(0, |peers| peers.network.peers().borrow().iter().filter(|peer| peer.authority.is_some()).count());
        connected + usize::from(self.facts.name.is_some())
    }
}

/// The sentence about a quorum that cannot be reached; none while it can be.
fn quorum_missing(reachable: usize, size: usize, quorum: usize) -> Option<String> {
    (reachable < quorum).then(|| {
        format!(
            "a quorum is missing: {reachable} of {size} authorities reachable, {quorum} needed; until then nothing is \
             decided, and what is known already goes on being served"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_quorum_is_said_with_its_numbers() {
        assert_eq!(quorum_missing(3, 4, 3), None);
        assert_eq!(quorum_missing(1, 1, 1), None);
        let text = quorum_missing(2, 4, 3).unwrap();
        assert!(text.starts_with("a quorum is missing: 2 of 4 authorities reachable, 3 needed"), "{text}");
    }
}
