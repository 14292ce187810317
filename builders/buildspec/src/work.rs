//! The bounds: how long a file and a value may be, and how much may be computed for one file.

use crate::refusal::RefusalKind;

/// Bytes of a file.
pub(crate) const MAX_FILE: usize = 64 * 1024;
/// Bytes of a value.
pub(crate) const MAX_VALUE: usize = 8 * 1024;
/// Substitutions within substitutions.
pub(crate) const MAX_DEPTH: usize = 8;
/// Characters that may be copied and compared for one file.
const MAX_STEPS: u64 = 20_000_000;

/// What is left of the steps for one file.
#[derive(Debug)]
pub(crate) struct Work(u64);

impl Default for Work {
    fn default() -> Self {
        Self(MAX_STEPS)
    }
}

impl Work {
    /// Takes some.
    pub(crate) fn spend(&mut self, steps: usize) -> Result<(), RefusalKind> {
        self.0 = self.0.checked_sub(steps as u64 + 1).ok_or(RefusalKind::TooMuch("its values take too long"))?;
        Ok(())
    }

    /// Takes what one more character of a value of this length costs, if a value may be so long.
    pub(crate) fn grow(&mut self, length: usize) -> Result<(), RefusalKind> {
        self.value(if length > MAX_VALUE { length } else { 0 })
    }

    /// Takes what a value of this length costs, if a value may be so long.
    pub(crate) fn value(&mut self, length: usize) -> Result<(), RefusalKind> {
        if length > MAX_VALUE {
            return Err(RefusalKind::TooMuch("a value is too long"));
        }
        self.spend(length)
    }
}
