//! Constants of two pools, told apart by what they mean.

use std::collections::HashMap;

use super::parse::{Constant, Pool};

/// What a constant means, with its references replaced.
#[derive(PartialEq, Eq, Hash)]
enum Meaning<'a> {
    Broken,
    Bytes(u8, &'a [u8]),
    One(u8, u32),
    Two(u8, u32, u32),
}

/// Numbers for meanings: the same number in both pools means the same.
#[derive(Default)]
pub(super) struct Meanings<'a> {
    numbers: HashMap<Meaning<'a>, u32>,
}

impl<'a> Meanings<'a> {
    /// The numbers of a pool's constants, by index.
    pub(super) fn of(&mut self, pool: &Pool<'a>) -> Vec<u32> {
        let mut known = vec![None; pool.constants.len()];
        (0..pool.constants.len()).map(|index| self.number(pool, index, 4, &mut known)).collect()
    }

    /// References go four deep at most (handle, member, name and type, text): cycles are possible in a broken file.
    fn number(&mut self, pool: &Pool<'a>, index: usize, depth: u8, known: &mut [Option<u32>]) -> u32 {
        if let Some(Some(number)) = known.get(index) {
            return *number;
        }
        let meaning = match (pool.constants.get(index), depth.checked_sub(1)) {
            (Some(&constant), Some(depth)) => {
                let mut inner = |at: u16| self.number(pool, usize::from(at), depth, known);
                match constant {
                    Constant::Unused => Meaning::Broken,
                    Constant::Utf8(bytes) => Meaning::Bytes(1, bytes),
                    Constant::Number(tag, bytes) => Meaning::Bytes(tag, bytes),
                    Constant::One(tag, at) => Meaning::One(tag, inner(at)),
                    // The first half is no constant but a place in the table of bootstrap methods.
                    Constant::Two(tag @ (17 | 18), place, at) => Meaning::Two(tag, place.into(), inner(at)),
                    Constant::Two(tag, a, b) => Meaning::Two(tag, inner(a), inner(b)),
                    Constant::Handle(kind, at) => Meaning::Two(15, kind.into(), inner(at)),
                }
            }
            _ => Meaning::Broken,
        };
        let next = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        let number = *self.numbers.entry(meaning).or_insert(next);
        if let Some(slot) = known.get_mut(index) {
            *slot = Some(number);
        }
        number
    }
}
