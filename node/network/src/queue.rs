//! Queues that drop what they cannot hold.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

/// Messages in order, bounded by number and by bytes. When it is full the oldest go: what is newest is what the other
/// side can use best, and everything that matters is sent again.
#[derive(Debug)]
pub(crate) struct Bounded {
    messages: VecDeque<Bytes>,
    bytes: usize,
    max_messages: usize,
    max_bytes: usize,
}

impl Bounded {
    pub fn new(max_messages: usize, max_bytes: usize) -> Self {
        Self { messages: VecDeque::new(), bytes: 0, max_messages, max_bytes }
    }

    /// Puts a message at the end; says how many were dropped for it. One that can never fit is dropped itself.
    pub fn push(&mut self, message: Bytes) -> usize {
        if message.len() > self.max_bytes || self.max_messages == 0 {
            return 1;
        }
        let mut dropped = 0;
        while self.messages.len() >= self.max_messages || self.bytes + message.len() > self.max_bytes {
            if self.pop().is_none() {
                break;
            }
            dropped += 1;
        }
        self.bytes += message.len();
        self.messages.push_back(message);
        dropped
    }

    /// Puts back what was taken and not delivered, if there is still room.
    pub fn put_back(&mut self, message: Bytes) {
        if self.messages.len() < self.max_messages && self.bytes + message.len() <= self.max_bytes {
            self.bytes += message.len();
            self.messages.push_front(message);
        }
    }

    pub fn pop(&mut self) -> Option<Bytes> {
        let message = self.messages.pop_front()?;
        self.bytes -= message.len();
        Some(message)
    }

    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }
}

/// Locks a mutex whatever a panicking thread left in it: every critical section here leaves the value whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A queue to one member with a bell for the one task that empties it.
#[derive(Debug)]
pub(crate) struct Outbox {
    queue: Mutex<Bounded>,
    bell: Notify,
}

impl Outbox {
    pub fn new(max_messages: usize, max_bytes: usize) -> Self {
        Self { queue: Mutex::new(Bounded::new(max_messages, max_bytes)), bell: Notify::new() }
    }

    pub fn push(&self, message: Bytes) -> usize {
        let dropped = lock(&self.queue).push(message);
        self.bell.notify_one();
        dropped
    }

    pub fn put_back(&self, message: Bytes) {
        lock(&self.queue).put_back(message);
        self.bell.notify_one();
    }

    pub fn is_empty(&self) -> bool {
        lock(&self.queue).is_empty()
    }

    /// Waits until there is something, and leaves it.
    pub async fn filled(&self) {
        while self.is_empty() {
            self.bell.notified().await;
        }
    }

    /// The next message. Safe to cancel: a message is taken in the last step.
    pub async fn next(&self) -> Bytes {
        loop {
            if let Some(message) = lock(&self.queue).pop() {
                return message;
            }
            self.bell.notified().await;
        }
    }
}

/// What came from the members on one channel: a queue for each, emptied in turn, so that none of them can crowd out
/// another.
#[derive(Debug)]
pub(crate) struct Inbox {
    queues: Mutex<(Vec<Bounded>, usize)>,
    bell: Notify,
}

impl Inbox {
    pub fn new(members: usize, max_messages: usize, max_bytes: usize) -> Self {
        let queues = (0..members).map(|_| Bounded::new(max_messages, max_bytes)).collect();
        Self { queues: Mutex::new((queues, 0)), bell: Notify::new() }
    }

    pub fn push(&self, from: usize, message: Bytes) -> usize {
        let dropped = lock(&self.queues).0.get_mut(from).map_or(1, |queue| queue.push(message));
        self.bell.notify_one();
        dropped
    }

    fn pop(&self) -> Option<(usize, Bytes)> {
        let (queues, turn) = &mut *lock(&self.queues);
        let members = queues.len();
        let (from, message) =
            (0..members).map(|step| (*turn + step) % members).find_map(|at| Some((at, queues[at].pop()?)))?;
        *turn = (from + 1) % members;
        if queues.iter().any(|queue| !queue.is_empty()) {
            // For a second receiver, which may be waiting.
            self.bell.notify_one();
        }
        Some((from, message))
    }

    /// The next message, of each sender in turn. Safe to cancel.
    pub async fn next(&self) -> (usize, Bytes) {
        loop {
            if let Some(next) = self.pop() {
                return next;
            }
            self.bell.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length: usize, fill: u8) -> Bytes {
        Bytes::from(vec![fill; length])
    }

    #[test]
    fn a_full_queue_drops_the_oldest_by_number_and_by_bytes() {
        let mut queue = Bounded::new(2, 10);
        assert_eq!((queue.push(message(3, 1)), queue.push(message(3, 2)), queue.push(message(3, 3))), (0, 0, 1));
        assert_eq!(queue.push(message(10, 4)), 2);
        assert_eq!(queue.push(message(11, 5)), 1);
        assert_eq!(queue.pop(), Some(message(10, 4)));
        assert_eq!((queue.pop(), queue.bytes), (None, 0));
    }

    #[test]
    fn what_is_put_back_comes_next_and_is_dropped_when_there_is_no_room() {
        let mut queue = Bounded::new(2, 10);
        queue.push(message(5, 1));
        queue.put_back(message(5, 2));
        queue.put_back(message(1, 3));
        assert_eq!((queue.pop(), queue.pop(), queue.pop()), (Some(message(5, 2)), Some(message(5, 1)), None));
    }

    #[tokio::test]
    async fn members_are_heard_in_turn_however_much_one_of_them_says() {
        let inbox = Inbox::new(3, 100, 1000);
        for _ in 0..100 {
            inbox.push(0, message(1, 0));
        }
        inbox.push(2, message(1, 2));
        assert_eq!(inbox.next().await.0, 0);
        assert_eq!(inbox.next().await.0, 2);
        assert_eq!(inbox.next().await.0, 0);
        assert_eq!(inbox.push(7, message(1, 0)), 1);
    }

    #[tokio::test]
    async fn an_empty_queue_waits_and_a_cancelled_wait_loses_nothing() {
        let outbox = Outbox::new(4, 100);
        assert!(tokio::time::timeout(std::time::Duration::from_millis(5), outbox.next()).await.is_err());
        outbox.push(message(1, 1));
        outbox.filled().await;
        assert_eq!(outbox.next().await, message(1, 1));
    }
}
