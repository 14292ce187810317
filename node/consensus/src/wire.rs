//! What travels through a [`crate::Transport`].

use bytes::Bytes;

use crate::types::MAX_MESSAGE_BYTES;

/// The first byte of every message; raised when the format changes.
const FORMAT: u8 = 1;
const KIND_SESSION: u8 = 0;
const KIND_HINT: u8 = 1;
const HEADER: usize = 1 + 1 + 8;

/// A message between members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Envelope {
    /// A message of AlephBFT, for its instance of that session.
    Session {
        /// Number of the session.
        session: u64,
        /// SCALE bytes of AlephBFT's message.
        message: Bytes,
    },
    /// What the sender is busy with, so that the others open their gates or know that they are behind.
    Hint(Hint),
}

/// See [`Envelope::Hint`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hint {
    /// The session that the sender takes part in.
    pub(crate) session: u64,
    /// True while the sender knows of entries that are not final; sent again every second. False once, afterwards.
    pub(crate) working: bool,
}

impl Envelope {
    pub(crate) fn to_bytes(&self) -> Bytes {
        let (kind, session, rest): (u8, u64, &[u8]) = match self {
            Self::Session { session, message } => (KIND_SESSION, *session, message),
            Self::Hint(hint) => (KIND_HINT, hint.session, if hint.working { &[1] } else { &[0] }),
        };
        let mut out = Vec::with_capacity(HEADER + rest.len());
        out.push(FORMAT);
        out.push(kind);
        out.extend_from_slice(&session.to_le_bytes());
        out.extend_from_slice(rest);
        Bytes::from(out)
    }

    /// None for anything that [`Envelope::to_bytes`] does not print.
    pub(crate) fn from_bytes(bytes: &Bytes) -> Option<Self> {
        if bytes.len() > MAX_MESSAGE_BYTES {
            return None;
        }
        let (header, _) = bytes.split_first_chunk::<HEADER>()?;
        let [FORMAT, kind, session @ ..] = *header else {
            return None;
        };
        let session = u64::from_le_bytes(session);
        let rest = bytes.slice(HEADER..);
        match (kind, &rest[..]) {
            (KIND_SESSION, [_, ..]) => Some(Self::Session { session, message: rest }),
            (KIND_HINT, [working @ (0 | 1)]) => Some(Self::Hint(Hint { session, working: *working == 1 })),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read() {
        for envelope in [
            Envelope::Session { session: 7, message: Bytes::from_static(b"abc") },
            Envelope::Hint(Hint { session: u64::MAX, working: true }),
            Envelope::Hint(Hint { session: 0, working: false }),
        ] {
            assert_eq!(Envelope::from_bytes(&envelope.to_bytes()), Some(envelope));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let hint = Envelope::Hint(Hint { session: 1, working: true }).to_bytes();
        for end in 0..hint.len() {
            assert_eq!(Envelope::from_bytes(&hint.slice(..end)), None, "cut at {end}");
        }
        for (position, value) in [(0, 2), (1, 2), (HEADER, 2)] {
            let mut changed = hint.to_vec();
            changed[position] = value;
            assert_eq!(Envelope::from_bytes(&Bytes::from(changed)), None);
        }
        let mut longer = hint.to_vec();
        longer.push(0);
        assert_eq!(Envelope::from_bytes(&Bytes::from(longer)), None);
    }
}
