//! Collects what a comparison finds, within its limits.

use std::collections::BTreeSet;

use crate::model::{Difference, DifferenceKind, Normaliser};

/// Differences found so far. Counting goes on past the limit; describing does not.
pub(crate) struct Findings {
    limit: usize,
    real: Vec<Difference>,
    removed: Vec<Difference>,
    real_count: u64,
    removed_count: u64,
    normalisers: BTreeSet<Normaliser>,
}

impl Findings {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            real: Vec::new(),
            removed: Vec::new(),
            real_count: 0,
            removed_count: 0,
            normalisers: BTreeSet::new(),
        }
    }

    /// Records a difference that no normaliser removes.
    pub(crate) fn differ(&mut self, path: &str, kind: DifferenceKind, explanation: impl Into<String>) {
        self.real_count += 1;
        if self.real.len() < self.limit {
            let explanation = explanation.into();
            self.real.push(Difference { path: path.to_owned(), kind, explanation, normaliser: None });
        }
    }

    /// Records a difference that a normaliser removes.
    pub(crate) fn remove(
        &mut self,
        normaliser: Normaliser,
        path: &str,
        kind: DifferenceKind,
        explanation: impl Into<String>,
    ) {
        self.removed_count += 1;
        self.normalisers.insert(normaliser);
        if self.removed.len() < self.limit {
            let explanation = explanation.into();
            self.removed.push(Difference { path: path.to_owned(), kind, explanation, normaliser: Some(normaliser) });
        }
    }

    /// How many differences of either sort were found.
    pub(crate) fn count(&self) -> u64 {
        self.real_count + self.removed_count
    }

    pub(crate) fn has_real(&self) -> bool {
        self.real_count > 0
    }

    /// Normalisers (sorted), differences (real ones first) and the number of those left out.
    pub(crate) fn finish(self) -> (Vec<Normaliser>, Vec<Difference>, u64) {
        let mut differences = self.real;
        differences.extend(self.removed);
        differences.truncate(self.limit);
        let omitted = (self.real_count + self.removed_count).saturating_sub(differences.len() as u64);
        (self.normalisers.into_iter().collect(), differences, omitted)
    }
}
