//! The crate's section of the configuration.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::ConsensusError;

/// Section `consensus`. Unknown fields are refused.
///
/// `session_batches` and `session_bytes` decide where a session is cut: **all members must use the same values**, or
/// they would disagree about what belongs to a session. They are constants of a network, not a matter of taste.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsensusConfig {
    /// Milliseconds between two units of one member while there is work; 5 to 10000. An entry is final after 3 to 4 of
    /// them in a network of one, after 4 to 6 in a larger one.
    pub unit_creation_delay_ms: u64,
    /// A session is cut after this many batches (empty ones included); 4 to 20000.
    pub session_batches: u64,
    /// A session is cut by the batch with which its entries reach this many bytes; 1 KiB to 16 MiB.
    pub session_bytes: u64,
    /// The most entries of this member that wait for agreement; more are refused.
    pub max_pending: usize,
}

impl Default for ConsensusConfig {
    fn default() -> Self {
        Self { unit_creation_delay_ms: 80, session_batches: 500, session_bytes: 8 * 1024 * 1024, max_pending: 4096 }
    }
}

impl ConsensusConfig {
    /// Refuses values outside the documented ranges.
    pub(crate) fn check(&self) -> Result<(), ConsensusError> {
        let within = |field, value: u64, least, most| {
            if (least..=most).contains(&value) {
                Ok(())
            } else {
                Err(ConsensusError::Config { field, value, least, most })
            }
        };
        within("unit_creation_delay_ms", self.unit_creation_delay_ms, 5, 10_000)?;
        within("session_batches", self.session_batches, 4, 20_000)?;
        within("session_bytes", self.session_bytes, 1024, 16 * 1024 * 1024)?;
        within("max_pending", self.max_pending as u64, 1, 1_000_000)
    }

    pub(crate) fn unit_creation_delay(&self) -> Duration {
        Duration::from_millis(self.unit_creation_delay_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_is_within_its_own_ranges() {
        ConsensusConfig::default().check().unwrap();
    }

    #[test]
    fn out_of_range_is_refused() {
        let config = ConsensusConfig { session_batches: 3, ..ConsensusConfig::default() };
        assert!(matches!(config.check(), Err(ConsensusError::Config { field: "session_batches", value: 3, .. })));
    }
}
