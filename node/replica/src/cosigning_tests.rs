use pyrsia_digest::Sha256;
use pyrsia_ledger::{AuthorityKey, Checkpoint, NetworkId};

use super::*;
use crate::word::blocks_network;

fn word(size: u64, time: u64) -> Word {
    let network = NetworkId(Sha256::of(b"network"));
    let key = AuthorityKey::from_seed(&[1; 32]);
    let log = Checkpoint::new(&network, size, Sha256::of(b"root"));
    let block = Checkpoint::new(&blocks_network(&network), size, Sha256::of(b"block"));
    let name = "a".repeat(64);
    Word {
        cosignature: log.cosign(&key, &name, time),
        block: Some((block.clone(), block.cosign(&key, &name, time))),
        log,
    }
}

fn asks(sent: &[(usize, CosignatureMessage)]) -> usize {
    sent.iter().filter(|(_, message)| message.please_answer).count()
}

#[test]
fn the_longest_message_fits() {
    let message = CosignatureMessage { word: word(u64::MAX, u64::MAX), please_answer: true };
    let bytes = message.to_bytes();
    assert!(bytes.len() <= MAX_COSIGNATURE_MESSAGE_BYTES, "{}", bytes.len());
    assert_eq!(CosignatureMessage::from_bytes(&bytes), Ok(message));
}

#[test]
fn a_new_head_is_told_once_and_a_certified_one_is_silent() {
    let now = Instant::now();
    let mut cosigning = Cosigning::new(4, 1);
    let sent = cosigning.on_head(Some(word(1, 10)), false, now);
    assert_eq!(sent.iter().map(|(to, _)| *to).collect::<Vec<_>>(), [0, 2, 3]);
    assert_eq!(asks(&sent), 0);
    assert!(cosigning.on_head(Some(word(1, 10)), false, now).is_empty());
    assert!(cosigning.on_head(Some(word(1, 10)), true, now).is_empty());
    assert_eq!(cosigning.next(now), None);
    assert!(cosigning.on_time(now + Duration::from_secs(9999)).is_empty());
    // The hourly word goes the same way.
    assert_eq!(cosigning.on_head(Some(word(1, 3610)), true, now).len(), 3);
}

#[test]
fn what_is_not_certified_is_asked_for_at_growing_pauses() {
    let start = Instant::now();
    let mut cosigning = Cosigning::new(4, 0);
    cosigning.on_head(Some(word(1, 10)), false, start);
    let mut now = start;
    let mut pauses = Vec::new();
    for _ in 0..9 {
        let next = cosigning.next(now).unwrap();
        assert!(cosigning.on_time(next - Duration::from_millis(1)).is_empty());
        assert_eq!(asks(&cosigning.on_time(next)), 3);
        pauses.push((next - now).as_secs());
        now = next;
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    cosigning.on_head(Some(word(2, 10)), false, now);
    assert_eq!(cosigning.next(now), Some(now + PAUSES.0), "a new head begins anew");
}

#[test]
fn who_asks_is_answered_but_not_endlessly() {
    let now = Instant::now();
    let mut cosigning = Cosigning::new(4, 0);
    let ask = CosignatureMessage { word: word(1, 1), please_answer: true };
    assert_eq!(cosigning.on_message(2, &ask, now), None, "nothing to say yet");
    cosigning.on_head(Some(word(3, 10)), true, now);
    let answer = cosigning.on_message(2, &ask, now).unwrap();
    assert_eq!((answer.word.log.size, answer.please_answer), (3, false));
    assert_eq!(cosigning.on_message(2, &ask, now), None);
    assert!(cosigning.on_message(3, &ask, now).is_some());
    assert!(cosigning.on_message(2, &ask, now + ANSWER_PAUSE).is_some());
    assert_eq!(cosigning.on_message(1, &answer, now), None, "an answer is not answered");
    for stranger in [0, 4, usize::MAX] {
        assert_eq!(cosigning.on_message(stranger, &ask, now), None);
    }
}

#[test]
fn words_about_a_longer_log_wait_and_tell_that_blocks_are_missing() {
    let start = Instant::now();
    let mut cosigning = Cosigning::new(4, 0);
    cosigning.on_ahead(1, word(5, 1), start);
    cosigning.on_ahead(1, word(9, 1), start + Duration::from_secs(1));
    cosigning.on_ahead(1, word(7, 1), start + Duration::from_secs(1));
    cosigning.on_ahead(3, word(6, 1), start + Duration::from_secs(1));
    cosigning.on_ahead(77, word(6, 1), start);
    assert_eq!(cosigning.ahead(start), 0);
    assert_eq!(cosigning.next(start), Some(start + AHEAD_AFTER));
    let now = start + AHEAD_AFTER;
    assert_eq!(cosigning.ahead(now), 1, "since its first longer log");
    assert_eq!(cosigning.next(now), Some(now + Duration::from_secs(1)));
    assert_eq!(cosigning.on_growth(5), Vec::new());
    assert_eq!(cosigning.on_growth(6), vec![(3, word(6, 1))]);
    assert_eq!(cosigning.on_growth(100), vec![(1, word(9, 1))], "the newest only");
    assert_eq!(cosigning.ahead(now + AHEAD_AFTER), 0);
}
