//! A number inside a version, as Maven holds it.

use std::cmp::Ordering;

/// The zeros of the decimal digits that Java knows in the basic plane, each followed by its one to nine.
///
/// Maven looks at one UTF-16 unit at a time, so digits outside of that plane are letters to it.
const ZEROS: [u16; 37] = [
    0x0030, 0x0660, 0x06f0, 0x07c0, 0x0966, 0x09e6, 0x0a66, 0x0ae6, 0x0b66, 0x0be6, 0x0c66, 0x0ce6, 0x0d66, 0x0de6,
    0x0e50, 0x0ed0, 0x0f20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40,
    0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10,
];

/// The value of a digit of any script; `None` for everything else.
fn digit(c: char) -> Option<u8> {
    if c.is_ascii() {
        return c.is_ascii_digit().then(|| c as u8 - b'0');
    }
    let unit = u16::try_from(u32::from(c)).ok()?;
    let zero = ZEROS.iter().rev().find(|zero| **zero <= unit)?;
    u8::try_from(unit - zero).ok().filter(|value| *value < 10)
}

pub(super) fn is_digit(c: char) -> bool {
    digit(c).is_some()
}

/// Which of Java's types Maven puts a number into. A wider one is greater, whatever the values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Width {
    Int,
    Long,
    Big,
}

/// Decimal digits of any length.
///
/// Maven chooses the type by the count of digits without leading zeros; but it takes no zeros from a number that has
/// nothing else, so that ten zeros are a `long`, and above every `int`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Number {
    width: Width,
    /// ASCII, without leading zeros; empty for zero.
    digits: String,
}

impl Number {
    pub(super) fn new(text: &str) -> Self {
        let significant = match text.trim_start_matches('0') {
            "" => text,
            significant => significant,
        };
        let width = match significant.chars().count() {
            0..=9 => Width::Int,
            10..=18 => Width::Long,
            _ => Width::Big,
        };
        let digits = text.chars().filter_map(digit).map(|value| char::from(b'0' + value));
        Self { width, digits: digits.skip_while(|c| *c == '0').collect() }
    }

    pub(super) fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_length = || self.digits.len().cmp(&other.digits.len());
        self.width.cmp(&other.width).then_with(by_length).then_with(|| self.digits.cmp(&other.digits))
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
