//! Many callers, one call.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// The call that this caller was waiting for died: it panicked, or the runtime is shutting down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the call was interrupted")]
pub struct Interrupted;

/// Runs at most one call at a time for each key and gives its result to everybody who asked meanwhile.
///
/// The call runs in a task of its own: a caller that goes away does not end it, not even the last one, so a file
/// that a client gave up on is there when it comes back (the call's own time limit ends it). `V` is shared by
/// cloning; errors that cannot be cloned go into an `Arc`. Results are not kept: a caller that comes after the end
/// starts anew.
pub struct SingleFlight<K, V> {
    calls: Arc<Calls<K, V>>,
}

type Calls<K, V> = Mutex<HashMap<K, watch::Receiver<Option<V>>>>;

impl<K, V> Clone for SingleFlight<K, V> {
    fn clone(&self) -> Self {
        Self { calls: Arc::clone(&self.calls) }
    }
}

impl<K, V> Default for SingleFlight<K, V> {
    fn default() -> Self {
        Self { calls: Arc::default() }
    }
}

impl<K, V> SingleFlight<K, V>
where
    K: Eq + Hash + Clone + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// With no call under way.
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits for the call under way for this key, or makes one. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`Interrupted`].
    pub async fn run<F>(&self, key: K, call: impl FnOnce() -> F) -> Result<V, Interrupted>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut result = self.join(key, call);
        let value = result.wait_for(Option::is_some).await.map_err(|_| Interrupted)?;
        value.clone().ok_or(Interrupted)
    }

    /// Number of calls under way.
    pub fn under_way(&self) -> usize {
        lock(&self.calls).len()
    }

    /// Not asynchronous, so the guard of the lock cannot live across an await.
    fn join<F>(&self, key: K, call: impl FnOnce() -> F) -> watch::Receiver<Option<V>>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut calls = lock(&self.calls);
        let place = match calls.entry(key.clone()) {
            Entry::Occupied(under_way) => return under_way.get().clone(),
            Entry::Vacant(place) => place,
        };
        let (sender, receiver) = watch::channel(None);
        let future = call();
        place.insert(receiver.clone());
        let finished = Finished { calls: Arc::clone(&self.calls), key };
        tokio::spawn(async move {
            let value = future.await;
            // First the result, then the end: whoever finds the call still listed finds its result too.
            sender.send_replace(Some(value));
            drop(finished);
        });
        receiver
    }
}

/// Takes the call off the list however its task ends.
struct Finished<K: Eq + Hash, V> {
    calls: Arc<Calls<K, V>>,
    key: K,
}

impl<K: Eq + Hash, V> Drop for Finished<K, V> {
    fn drop(&mut self) {
        lock(&self.calls).remove(&self.key);
    }
}

fn lock<K, V>(calls: &Calls<K, V>) -> MutexGuard<'_, HashMap<K, watch::Receiver<Option<V>>>> {
    calls.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;

    /// Calls that count themselves and end when the gate opens.
    #[derive(Clone)]
    struct Gated {
        calls: Arc<AtomicUsize>,
        gate: Arc<Semaphore>,
    }

    impl Gated {
        fn new() -> Self {
            Self { calls: Arc::default(), gate: Arc::new(Semaphore::new(0)) }
        }

        fn call<V: Send + 'static>(&self, value: V) -> impl Future<Output = V> + Send + 'static {
            let this = self.clone();
            async move {
                this.calls.fetch_add(1, Ordering::SeqCst);
                let _permit = this.gate.acquire().await.unwrap();
                value
            }
        }

        fn count(&self) -> usize {
            self.calls.load(Ordering::SeqCst)
        }
    }

    type Shared = Result<u32, Arc<String>>;

    #[tokio::test]
    async fn one_call_for_many_and_errors_are_shared() {
        let flight = SingleFlight::<&str, Shared>::new();
        let gated = Gated::new();
        let waiters: Vec<_> = (0..50)
            .map(|_| {
                let (flight, gated) = (flight.clone(), gated.clone());
                tokio::spawn(async move { flight.run("key", || gated.call(Err(Arc::new("broken".to_owned())))).await })
            })
            .collect();
        while gated.count() == 0 || flight.under_way() == 0 {
            tokio::task::yield_now().await;
        }
        gated.gate.add_permits(50);
        let mut errors = Vec::new();
        for waiter in waiters {
            errors.push(waiter.await.unwrap().unwrap().unwrap_err());
        }
        assert_eq!(gated.count(), 1);
        assert!(errors.iter().all(|e| Arc::ptr_eq(e, &errors[0])), "all see the same error");
        assert_eq!(flight.under_way(), 0);
        // Not remembered: the next caller tries again.
        assert_eq!(flight.run("key", || gated.call(Ok(7))).await, Ok(Ok(7)));
        assert_eq!(gated.count(), 2);
    }

    #[tokio::test]
    async fn keys_do_not_wait_for_each_other() {
        let flight = SingleFlight::<&str, u32>::new();
        let gated = Gated::new();
        let (slow, call) = (flight.clone(), gated.call(1));
        let slow = tokio::spawn(async move { slow.run("slow", || call).await });
        assert_eq!(flight.run("fast", || async { 2 }).await, Ok(2));
        gated.gate.add_permits(1);
        assert_eq!(slow.await.unwrap(), Ok(1));
    }

    #[tokio::test]
    async fn a_caller_that_leaves_takes_nobody_with_it() {
        let flight = SingleFlight::<&str, u32>::new();
        let gated = Gated::new();
        let (first, call) = (flight.clone(), gated.call(1));
        let first = tokio::spawn(async move { first.run("key", || call).await });
        while gated.count() == 0 {
            tokio::task::yield_now().await;
        }
        let (second, call) = (flight.clone(), gated.call(2));
        let second = tokio::spawn(async move { second.run("key", || call).await });
        tokio::task::yield_now().await;
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        gated.gate.add_permits(1);
        assert_eq!(second.await.unwrap(), Ok(1), "the first caller's call goes on for the second");
        assert_eq!(gated.count(), 1);
    }

    #[tokio::test]
    async fn a_panic_interrupts_and_is_forgotten() {
        let flight = SingleFlight::<&str, u32>::new();
        assert_eq!(flight.run("key", || async { panic!("expected in this test") }).await, Err(Interrupted));
        while flight.under_way() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(flight.run("key", || async { 3 }).await, Ok(3));
    }
}
