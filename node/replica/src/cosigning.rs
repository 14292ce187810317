//! How cosignatures reach the other authorities: what to send, and when. No runtime, no clock, no network.
//!
//! Each authority sends its word on a new head to all others, once. That is all, as long as nothing gets lost. While the
//! own head has no certificate, the others are asked again, after one second and then at growing pauses up to a minute;
//! who is asked answers with its newest word. Once the head is certified there is silence.
//!
//! Words about a longer log than the own one are kept until the log has grown, the newest of each member. A member that
//! stays ahead for two seconds means that blocks are missing here which consensus does not bring: time to catch up.

use std::time::{Duration, Instant};

use borsh::{BorshDeserialize, BorshSerialize};
use pyrsia_ledger::DecodeError;

use crate::sync::{decode, encode};
use crate::word::Word;

/// Longest message, in bytes.
pub const MAX_COSIGNATURE_MESSAGE_BYTES: usize = 1024;
/// The first pause before asking again, and the longest one.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// A member is answered this often at most.
const ANSWER_PAUSE: Duration = Duration::from_millis(500);
/// A member that is ahead for this long is a reason to catch up.
const AHEAD_AFTER: Duration = Duration::from_secs(2);

/// What authorities send each other about the head of the log.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct CosignatureMessage {
    /// The sender's word.
    pub word: Word,
    /// Whether the sender misses the receiver's.
    pub please_answer: bool,
}

impl CosignatureMessage {
    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// Decodes canonical bytes. Nothing is verified yet.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes, MAX_COSIGNATURE_MESSAGE_BYTES)
    }
}

/// What is known of another member.
#[derive(Debug, Clone, Default)]
struct Peer {
    /// Its newest word about a longer log, and since when it is ahead.
    ahead: Option<(Word, Instant)>,
    answered: Option<Instant>,
}

/// Messages to send, each with the position of the member that it is for.
pub(crate) type Outgoing = Vec<(usize, CosignatureMessage)>;

/// The exchange of cosignatures of one committee, as one member sees it.
#[derive(Debug)]
pub struct Cosigning {
    me: usize,
    peers: Vec<Peer>,
    own: Option<Word>,
    /// When the others are asked again; none while the own head is certified.
    ask: Option<(Instant, Duration)>,
}

impl Cosigning {
    /// Member `me` of `members`.
    pub fn new(members: usize, me: usize) -> Self {
        Self { me, peers: vec![Peer::default(); members], own: None, ask: None }
    }

    /// To be called at the start and whenever this node's word or the certificate of its head may have changed. `word`:
    /// the newest one, none when this node does not sign. `is_certified`: whether its head has a certificate.
    pub fn on_head(
        &mut self,
        word: Option<Word>,
        is_certified: bool,
        now: Instant,
    ) -> Vec<(usize, CosignatureMessage)> {
        let is_news = word.is_some() && word != self.own;
        let is_other_head = word.as_ref().map(|word| &word.log) != self.own.as_ref().map(|word| &word.log);
        self.own = word;
        if is_certified || self.own.is_none() {
            self.ask = None;
        } else if is_other_head || self.ask.is_none() {
            self.ask = Some((now + PAUSES.0, PAUSES.0));
        }
        if is_news { self.to_all(false) } else { Vec::new() }
    }

    /// A message of member `from` came: what to answer. The word in it is to be observed by the replica.
    pub fn on_message(
        &mut self,
        from: usize,
        message: &CosignatureMessage,
        now: Instant,
    ) -> Option<CosignatureMessage> {
        let own = self.own.clone()?;
        let peer = self.peers.get_mut(from).filter(|_| from != self.me && message.please_answer)?;
        if peer.answered.is_some_and(|last| now.saturating_duration_since(last) < ANSWER_PAUSE) {
            return None;
        }
        peer.answered = Some(now);
        Some(CosignatureMessage { word: own, please_answer: false })
    }

    /// The replica found a valid word of member `from` to be about a longer log.
    pub fn on_ahead(&mut self, from: usize, word: Word, now: Instant) {
        let Some(peer) = self.peers.get_mut(from) else {
            return;
        };
        let since = peer.ahead.as_ref().map_or(now, |(_, since)| *since);
        let is_newer = peer
            .ahead
            .as_ref()
            .is_none_or(|(kept, _)| (kept.log.size, kept.cosignature.time) < (word.log.size, word.cosignature.time));
        if is_newer {
            peer.ahead = Some((word, since));
        }
    }

    /// The log has grown to `size`: the kept words that can be observed now.
    pub fn on_growth(&mut self, size: u64) -> Vec<(usize, Word)> {
        let mut ripe = Vec::new();
        for (from, peer) in self.peers.iter_mut().enumerate() {
            if let Some((word, _)) = peer.ahead.take_if(|(word, _)| word.log.size <= size) {
                ripe.push((from, word));
            }
        }
        ripe
    }

    /// What to send by now. Call it when [`Cosigning::next`] has come.
    pub fn on_time(&mut self, now: Instant) -> Vec<(usize, CosignatureMessage)> {
        match self.ask {
            Some((at, pause)) if at <= now => {
                let pause = (pause * 2).min(PAUSES.1);
                self.ask = Some((now + pause, pause));
                self.to_all(true)
            }
            _ => Vec::new(),
        }
    }

    /// When to call [`Cosigning::on_time`], and to look at [`Cosigning::ahead`] again.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        let ripe = self.peers.iter().filter_map(|peer| Some(peer.ahead.as_ref()?.1 + AHEAD_AFTER));
        ripe.filter(|at| *at > now).chain(self.ask.map(|(at, _)| at)).min()
    }

    /// How many members have been ahead for more than two seconds. One of them may lie: it is a reason to ask for
    /// blocks, not more.
    pub fn ahead(&self, now: Instant) -> usize {
        let ripe = |since: Instant| now.saturating_duration_since(since) >= AHEAD_AFTER;
        self.peers.iter().filter(|peer| peer.ahead.as_ref().is_some_and(|(_, since)| ripe(*since))).count()
    }

    fn to_all(&self, please_answer: bool) -> Outgoing {
        let Some(word) = &self.own else {
            return Vec::new();
        };
        let message = CosignatureMessage { word: word.clone(), please_answer };
        (0..self.peers.len()).filter(|to| *to != self.me).map(|to| (to, message.clone())).collect()
    }
}

#[cfg(test)]
#[path = "cosigning_tests.rs"]
mod tests;
