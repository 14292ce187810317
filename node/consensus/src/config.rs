//! The crate's section of the configuration.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::ConsensusError;

/// Section `consensus`. Unknown fields are refused.
///
/// Where sessions are cut is not configured: all members must agree on it, so it is a constant of the network (see
/// [`crate::Cut`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsensusConfig {
    /// Milliseconds between two units of one member while there is work; 5 to 10000. An entry is final after 3 to 4 of
    /// them in a network of one, after 4 to 6 in a larger one.
    pub unit_creation_delay_ms: u64,
    /// The most entries of this member that wait for agreement; more are refused.
    pub max_pending: usize,
}

impl Default for ConsensusConfig {
    fn default() -> Self {
        Self { unit_creation_delay_ms: 80, max_pending: 4096 }
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
        let config = ConsensusConfig { max_pending: 0, ..ConsensusConfig::default() };
        assert!(matches!(config.check(), Err(ConsensusError::Config { field: "max_pending", value: 0, .. })));
    }
}
