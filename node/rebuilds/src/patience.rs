//! How long an authority waits, and how often it tries: section `[rounds]` of the configuration.

use serde::{Deserialize, Serialize};

/// Longest time that can be set, in seconds: a week.
const MAX_SECONDS: u64 = 7 * 24 * 3600;
/// Most tries that can be set.
const MAX_TRIES: u32 = 100;
/// Longest pause between two looks at something that others have to bring, in seconds.
const MAX_PAUSE: u64 = 60;

/// Times and limits, in seconds. An authority's own business: they decide when it gives up, never what counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Raw")]
pub struct Patience {
    /// For the recorder to record.
    pub record_s: u64,
    /// For all to commit.
    pub commit_s: u64,
    /// For the last ones to commit, once a quorum has. A result that comes later still counts beside timely equal ones, so
    /// one dead authority need not cost every round the whole of `commit_s`.
    pub straggler_s: u64,
    /// For all to reveal.
    pub reveal_s: u64,
    /// Tries after a fault of the engine or of an upstream, before this authority gives up.
    pub tries: u32,
    /// Pause after the first failed try; doubles with each.
    pub retry_s: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self { record_s: 3600, commit_s: 3600, straggler_s: 900, reveal_s: 300, tries: 3, retry_s: 5 }
    }
}

impl Patience {
    /// The pause after so many failed tries.
    pub(crate) fn pause(&self, failed: u32) -> u64 {
        self.retry_s.saturating_mul(1 << failed.min(10))
    }

    /// The pause after having waited so many times for something that others have to bring. It stays short, since the
    /// stage has a clock of its own.
    pub(crate) fn wait(&self, waited: u32) -> u64 {
        self.pause(waited).min(MAX_PAUSE.max(self.retry_s))
    }
}

/// A value of the section `[rounds]` is out of its range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be between 1 and {max}, got {value}")]
pub struct PatienceError {
    field: &'static str,
    max: u64,
    value: u64,
}

/// The section as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    record_s: u64,
    commit_s: u64,
    straggler_s: u64,
    reveal_s: u64,
    tries: u32,
    retry_s: u64,
}

impl Default for Raw {
    fn default() -> Self {
        let Patience { record_s, commit_s, straggler_s, reveal_s, tries, retry_s } = Patience::default();
        Self { record_s, commit_s, straggler_s, reveal_s, tries, retry_s }
    }
}

impl TryFrom<Raw> for Patience {
    type Error = PatienceError;

    fn try_from(raw: Raw) -> Result<Self, PatienceError> {
        for (field, value, max) in [
            ("record_s", raw.record_s, MAX_SECONDS),
            ("commit_s", raw.commit_s, MAX_SECONDS),
            ("straggler_s", raw.straggler_s, MAX_SECONDS),
            ("reveal_s", raw.reveal_s, MAX_SECONDS),
            ("tries", raw.tries.into(), MAX_TRIES.into()),
            ("retry_s", raw.retry_s, MAX_SECONDS),
        ] {
            if !(1..=max).contains(&value) {
                return Err(PatienceError { field, max, value });
            }
        }
        let Raw { record_s, commit_s, straggler_s, reveal_s, tries, retry_s } = raw;
        Ok(Self { record_s, commit_s, straggler_s, reveal_s, tries, retry_s })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Patience, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_given_is_the_default() {
        assert_eq!(read("{}"), Ok(Patience::default()));
        assert_eq!(read("{\"record_s\": 1}"), Ok(Patience { record_s: 1, ..Patience::default() }));
        let text = serde_json::to_string(&Patience::default()).unwrap();
        assert_eq!(read(&text), Ok(Patience::default()));
    }

    #[test]
    fn odd_values_are_refused_by_name() {
        for (json, name) in [
            ("{\"commit_s\": 0}", "commit_s"),
            ("{\"reveal_s\": 99999999}", "reveal_s"),
            ("{\"tries\": 0}", "tries"),
            ("{\"recrod_s\": 5}", "recrod_s"),
        ] {
            assert!(read(json).unwrap_err().contains(name), "{json}");
        }
    }

    #[test]
    fn pauses_grow_and_waits_stay_short() {
        let patience = Patience::default();
        assert_eq!([patience.pause(0), patience.pause(1), patience.pause(5)], [5, 10, 160]);
        assert_eq!(patience.wait(20), MAX_PAUSE);
    }
}
