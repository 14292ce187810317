//! What a comparison may cost.

/// Bounds on what is read from an archive. They are part of the comparator's rules: builders that should agree use
/// the same limits, in practice [`Limits::default`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most entries in one archive.
    pub max_entries: u64,
    /// Most bytes of one expanded entry.
    pub max_entry_bytes: u64,
    /// Most bytes of all expanded entries of one file, those of nested archives included.
    pub max_total_bytes: u64,
    /// Most bytes that one compressed byte may expand to, for entries above [`Limits::ratio_floor`].
    pub max_ratio: u64,
    /// Entries that expand to no more bytes than this may have any ratio.
    pub ratio_floor: u64,
    /// How many archives may be opened inside each other, below the file itself. Deeper ones are plain bytes.
    pub max_depth: u32,
    /// Most differences that are described; the rest is counted.
    pub max_differences: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_entries: 200_000,
            max_entry_bytes: 256 << 20,
            max_total_bytes: 2 << 30,
            max_ratio: 300,
            ratio_floor: 1 << 20,
            max_depth: 4,
            max_differences: 100,
        }
    }
}
