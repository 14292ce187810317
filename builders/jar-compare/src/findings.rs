//! Collects what a comparison finds, within its limits.

use std::collections::BTreeSet;

use crate::model::{Difference, DifferenceKind, Normaliser};

/// Longest path that is kept, in characters; entries may have names of 64 KiB, four archives deep.
const MAX_PATH: usize = 512;

/// A sentence about a difference, and where in the file it is.
pub(crate) struct Said {
    pub(crate) place: Option<String>,
    pub(crate) text: String,
}

impl Said {
    pub(crate) fn at(place: &str, text: impl Into<String>) -> Self {
        Self { place: Some(place.to_owned()).filter(|place| !place.is_empty()), text: text.into() }
    }
}

impl From<String> for Said {
    fn from(text: String) -> Self {
        Self { place: None, text }
    }
}

impl From<&str> for Said {
    fn from(text: &str) -> Self {
        Self { place: None, text: text.to_owned() }
    }
}

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
    pub(crate) fn differ(&mut self, path: &str, kind: DifferenceKind, said: impl Into<Said>) {
        self.real_count += 1;
        if self.real.len() < self.limit {
            self.real.push(difference(path, kind, said.into(), None));
        }
    }

    /// Records a difference that a normaliser removes.
    pub(crate) fn remove(&mut self, normaliser: Normaliser, path: &str, kind: DifferenceKind, said: impl Into<Said>) {
        self.removed_count += 1;
        self.normalisers.insert(normaliser);
        if self.removed.len() < self.limit {
            self.removed.push(difference(path, kind, said.into(), Some(normaliser)));
        }
    }

    /// Whether a further real difference would only be counted: nobody has to find words for it.
    pub(crate) fn is_full(&self) -> bool {
        self.real.len() >= self.limit
    }

    /// How many differences of either sort were found.
    pub(crate) fn count(&self) -> u64 {
        self.real_count + self.removed_count
    }

    /// How many were found that no normaliser removes.
    pub(crate) fn real_count(&self) -> u64 {
        self.real_count
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

fn difference(path: &str, kind: DifferenceKind, said: Said, normaliser: Option<Normaliser>) -> Difference {
    let mut path: String = path.to_owned();
    if let Some((at, _)) = path.char_indices().nth(MAX_PATH) {
        path.truncate(at);
        path.push('…');
    }
    Difference { path, kind, place: said.place, explanation: said.text, normaliser }
}
