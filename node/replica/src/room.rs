//! A full disk is waited out.
//!
//! What a quorum has agreed on is stored or this node has another ledger than the others, so it cannot be passed over; and
//! ending because of it would take down the repository beside it, which needs no room to serve what it has. A transaction that
//! found no room has changed nothing and can be tried again.

use std::time::Duration;

use pyrsia_store::StoreError;

/// Between two attempts.
pub(crate) const PAUSE: Duration = Duration::from_secs(1);

/// Does `work`, again and again while there is no room for it. Blocking.
pub(crate) fn insist<T>(pause: Duration, mut work: impl FnMut() -> Result<T, StoreError>) -> Result<T, StoreError> {
    let mut waited = false;
    loop {
        match work() {
            Err(error @ StoreError::DiskFull { .. }) => {
                if !std::mem::replace(&mut waited, true) {
                    tracing::error!(error.message = %error, "the ledger waits for room on the disk");
                }
                std::thread::sleep(pause);
            }
            done => {
                if waited {
                    tracing::info!("the ledger goes on: there is room on the disk");
                }
                return done;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_room_is_waited_for_and_every_other_failure_is_one() {
        let mut attempts = 0;
        let done = insist(Duration::ZERO, || {
            attempts += 1;
            if attempts < 3 { Err(StoreError::DiskFull { path: "ledger.db".into() }) } else { Ok(attempts) }
        });
        assert!(matches!(done, Ok(3)));
        let failed = insist(Duration::ZERO, || Err::<(), _>(StoreError::Busy { path: "ledger.db".into() }));
        assert!(matches!(failed, Err(StoreError::Busy { .. })));
    }
}
