//! The loop around [`Cosigning`].

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::cosigning::{CosignatureMessage, Cosigning, Outgoing};
use crate::error::ReplicaError;
use crate::handle::ReplicaHandle;
use crate::signing::Observed;
use crate::word::Word;

/// Carries cosignatures between the members of one committee. Messages may be lost, doubled and reordered.
#[async_trait]
pub trait CosignatureMail: Send + Sync {
    /// Sends to the member at position `to`. Must not block; bounded, drops when full.
    fn send(&self, to: usize, message: Vec<u8>);

    /// The next message, with the authenticated position of its sender. Waits for ever once the network is closed. Safe
    /// to cancel.
    async fn receive(&self) -> (usize, Vec<u8>);
}

/// Exchanges cosignatures until the database fails: sends this authority's words, has those of others observed. `ahead`
/// tells how many members have been ahead for more than two seconds: while it is not 0, ask other nodes for blocks.
///
/// `members` and `me` are the committee's. For authorities only. To be aborted when the node stops.
pub async fn exchange_cosignatures(
    handle: ReplicaHandle,
    members: usize,
    me: usize,
    mail: Arc<dyn CosignatureMail>,
    ahead: watch::Sender<usize>,
) -> Result<(), ReplicaError> {
    let mut cosigning = Cosigning::new(members, me);
    let mut said = handle.said();
    said.mark_changed();
    loop {
        let now = Instant::now();
        let count = cosigning.ahead(now);
        ahead.send_if_modified(|known| std::mem::replace(known, count) != count);
        let next = cosigning.next(now);
        let outgoing = tokio::select! {
            changed = said.changed() => {
                if changed.is_err() {
                    return Err(ReplicaError::ShuttingDown);
                }
                on_change(&handle, &mut cosigning).await?
            }
            (from, bytes) = mail.receive() => on_message(&handle, &mut cosigning, me, from, &bytes).await?,
            () = until(next) => cosigning.on_time(Instant::now()),
        };
        send(&*mail, outgoing);
    }
}

fn send(mail: &dyn CosignatureMail, outgoing: Outgoing) {
    for (to, message) in outgoing {
        mail.send(to, message.to_bytes());
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

async fn on_change(handle: &ReplicaHandle, cosigning: &mut Cosigning) -> Result<Outgoing, ReplicaError> {
    for (from, word) in cosigning.on_growth(handle.state().log_size()) {
        observe(handle, cosigning, from, word).await?;
    }
    let word = handle.word().await?;
    let certified = *handle.certified().borrow();
    let is_certified = word.as_ref().is_some_and(|word| certified.time > 0 && certified.size >= word.log.size);
    Ok(cosigning.on_head(word, is_certified, Instant::now()))
}

async fn on_message(
    handle: &ReplicaHandle,
    cosigning: &mut Cosigning,
    me: usize,
    from: usize,
    bytes: &[u8],
) -> Result<Outgoing, ReplicaError> {
    let Ok(message) = CosignatureMessage::from_bytes(bytes) else {
        tracing::debug!(cosignature.from = from, bytes = bytes.len(), "dropped a message that is no cosignature");
        return Ok(Outgoing::new());
    };
    // A member speaks for itself only: a word handed on by another is not refused for its content, but for its way.
    let is_own = |handle: &ReplicaHandle| {
        let state = handle.state();
        let sender = state.committee().authorities.get(from);
        from != me && sender.is_some_and(|sender| sender.name == message.word.cosignature.name)
    };
    if !is_own(handle) {
        return Ok(Outgoing::new());
    }
    let answer = cosigning.on_message(from, &message, Instant::now());
    observe(handle, cosigning, from, message.word).await?;
    Ok(answer.map(|answer| (from, answer)).into_iter().collect())
}

async fn observe(
    handle: &ReplicaHandle,
    cosigning: &mut Cosigning,
    from: usize,
    word: Word,
) -> Result<(), ReplicaError> {
    if handle.observe(word.clone()).await? == Observed::Ahead {
        cosigning.on_ahead(from, word, Instant::now());
    }
    Ok(())
}
