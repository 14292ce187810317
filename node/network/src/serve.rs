//! Takes incoming streams: a place for each, or none.

use std::sync::Arc;

use futures_util::StreamExt as _;
use libp2p::{PeerId, Stream, StreamProtocol};
use libp2p_stream::IncomingStreams;

use crate::link::Readers;
use crate::peer::Provider;
use crate::queue::Inbox;
use crate::shared::Shared;
use crate::slots::{Slot, Slots};
use crate::{Channel, NetworkError, Refusal, blob, call, greet, link};

/// Places for telling a peer that all places are taken. Beyond them the stream is dropped.
const BUSY_PER_PEER: usize = 8;
const BUSY_SHARED: usize = 64;

fn accept(shared: &Shared, protocol: StreamProtocol) -> Result<IncomingStreams, NetworkError> {
    let accepted = shared.control.clone().accept(protocol);
    accepted.map_err(|error| NetworkError::Transport { detail: error.to_string() })
}

/// Takes the streams of one protocol. The handler gets a place, or none; without one it may only say so, and is given
/// a place for that.
fn take<F>(
    shared: &Arc<Shared>,
    protocol: StreamProtocol,
    slots: &Arc<Slots<PeerId>>,
    handle: F,
) -> Result<(), NetworkError>
where
    F: Fn(PeerId, Stream, Option<Slot<PeerId>>) + Send + 'static,
{
    let mut incoming = accept(shared, protocol)?;
    let (watched, slots) = (shared.clone(), slots.clone());
    shared.spawn(async move {
        while let Some((peer, stream)) = incoming.next().await {
            let member = watched.member(&peer).is_some();
            handle(peer, stream, slots.take(peer, member));
        }
    });
    Ok(())
}

/// Starts taking the streams of every protocol.
pub(crate) fn start(
    shared: &Arc<Shared>,
    provider: &Arc<dyn Provider>,
    inboxes: &[Arc<Inbox>; 2],
) -> Result<(), NetworkError> {
    let here = shared.clone();
    take(shared, greet::PROTOCOL, &Slots::new(2, 64), move |peer, stream, slot| {
        let Some(slot) = slot else { return };
        let answering = greet::answer(here.clone(), peer, stream);
        here.spawn(async move {
            let _slot = slot;
            answering.await;
        });
    })?;

    let readers = Arc::new(Readers::default());
    for channel in Channel::ALL {
        let (here, readers, inbox) = (shared.clone(), readers.clone(), inboxes[channel.index()].clone());
        take(shared, link::protocol(channel), &Slots::new(4, 64), move |peer, stream, slot| {
            let Some(slot) = slot else { return };
            let receiving = link::receive(here.clone(), peer, channel, stream, readers.clone(), inbox.clone());
            here.spawn(async move {
                let _slot = slot;
                receiving.await;
            });
        })?;
    }

    let busy = Slots::new(BUSY_PER_PEER, BUSY_SHARED);
    let server = Arc::new(call::Server::new(shared.clone(), provider.clone()));
    let (here, turned_away) = (shared.clone(), busy.clone());
    take(shared, call::PROTOCOL, &Slots::new(call::PER_PEER, call::SHARED), move |peer, mut stream, slot| {
        if let Some(slot) = slot {
            let server = server.clone();
            here.spawn(async move {
                server.serve(peer, stream, slot).await;
            });
        } else if let Some(slot) = turned_away.take(peer, false) {
            here.spawn(async move {
                let _slot = slot;
                let _ = call::respond(&mut stream, Err(Refusal::Busy)).await;
            });
        }
    })?;

    let (here, provider) = (shared.clone(), provider.clone());
    take(shared, blob::PROTOCOL, &Slots::new(blob::PER_PEER, blob::SHARED), move |peer, mut stream, slot| {
        if let Some(slot) = slot {
            let serving = blob::serve(here.clone(), provider.clone(), peer, stream);
            here.spawn(async move {
                let _slot = slot;
                serving.await;
            });
        } else if let Some(slot) = busy.take(peer, false) {
            here.spawn(async move {
                let _slot = slot;
                let _ = blob::busy(&mut stream).await;
            });
        }
    })
}
