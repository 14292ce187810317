//! A version taken apart the way Maven does it.
//!
//! Maven builds nested lists. A nested list is always the last item of the list around it, so the nesting is kept
//! here as a row of levels, and nothing recurses: `1.2-rc1` is `[1, 2, [rc, [1]]]` and here `[1, 2] [rc] [1]`.

use std::cmp::Ordering;

use super::number::{Number, is_digit};

/// A qualifier's rank: the known ones in Maven's order, `RELEASE` standing for the empty one, then all others.
const QUALIFIERS: [&str; 7] = ["alpha", "beta", "milestone", "rc", "snapshot", "", "sp"];
const RELEASE: usize = 5;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Atom {
    Number(Number),
    Qualifier { rank: usize, text: String },
}

impl Atom {
    fn number(digits: &str) -> Self {
        Self::Number(Number::new(digits))
    }

    fn qualifier(text: &str, followed_by_digit: bool) -> Self {
        let text = match text {
            "a" if followed_by_digit => "alpha",
            "b" if followed_by_digit => "beta",
            "m" if followed_by_digit => "milestone",
            "ga" | "final" | "release" => "",
            "cr" => "rc",
            other => other,
        };
        let rank = QUALIFIERS.iter().position(|known| *known == text).unwrap_or(QUALIFIERS.len());
        Self::Qualifier { rank, text: text.to_owned() }
    }

    /// How the item ranks against no item at all.
    fn sign(&self) -> Ordering {
        match self {
            Self::Number(number) if number.is_zero() => Ordering::Equal,
            Self::Number(_) => Ordering::Greater,
            Self::Qualifier { rank, .. } => rank.cmp(&RELEASE),
        }
    }
}

/// Java's order of texts: by UTF-16 units, which is not the order of characters.
fn cmp_texts(left: &str, right: &str) -> Ordering {
    left.encode_utf16().cmp(right.encode_utf16())
}

/// What stands at one position of one level.
#[derive(Clone, Copy)]
enum Item<'a> {
    Nothing,
    Atom(&'a Atom),
    /// The next level.
    List,
}

/// A version as Maven compares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Comparable {
    levels: Vec<Vec<Atom>>,
}

impl Comparable {
    pub(super) fn parse(version: &str) -> Self {
        let version = version.to_lowercase();
        let mut levels = Levels { rows: vec![Vec::new()] };
        let mut in_number = false;
        let mut start = 0;
        for (at, c) in version.char_indices() {
            let pending = &version[start..at];
            if c == '.' || c == '-' {
                levels.push(match pending {
                    "" => Atom::number(""),
                    digits if in_number => Atom::number(digits),
                    text => Atom::qualifier(text, false),
                });
                start = at + 1;
                if c == '-' {
                    levels.open();
                }
            } else if is_digit(c) {
                if !in_number && !pending.is_empty() {
                    levels.open_unless_empty();
                    levels.push(Atom::qualifier(pending, true));
                    levels.open();
                    start = at;
                }
                in_number = true;
            } else {
                if in_number && !pending.is_empty() {
                    levels.push(Atom::number(pending));
                    levels.open();
                    start = at;
                }
                in_number = false;
            }
        }
        let pending = &version[start..];
        if !pending.is_empty() {
            if in_number {
                levels.push(Atom::number(pending));
            } else {
                levels.open_unless_empty();
                levels.push(Atom::qualifier(pending, false));
            }
        }
        levels.normalize()
    }

    fn item(&self, level: usize, position: usize) -> Item<'_> {
        let Some(atoms) = self.levels.get(level) else {
            return Item::Nothing;
        };
        match atoms.get(position) {
            Some(atom) => Item::Atom(atom),
            None if position == atoms.len() && level + 1 < self.levels.len() => Item::List,
            None => Item::Nothing,
        }
    }

    /// How what begins at this position ranks against nothing: the first item that is not null decides.
    fn sign_from(&self, level: usize, position: usize) -> Ordering {
        let first = self.levels.get(level).into_iter().flat_map(|atoms| atoms.iter().skip(position));
        first
            .chain(self.levels.iter().skip(level + 1).flatten())
            .map(Atom::sign)
            .find(|sign| sign.is_ne())
            .unwrap_or(Ordering::Equal)
    }

    /// Exactly Maven's comparison.
    pub(super) fn cmp_as_maven(&self, other: &Self) -> Ordering {
        self.walk(other, |level, position| match (self.item(level, position), other.item(level, position)) {
            (Item::Nothing, Item::Nothing) => Ordering::Equal,
            (Item::Nothing, Item::Atom(atom)) => atom.sign().reverse(),
            (Item::Atom(atom), Item::Nothing) => atom.sign(),
            (Item::Nothing, Item::List) => other.sign_from(level + 1, 0).reverse(),
            (Item::List, Item::Nothing) => self.sign_from(level + 1, 0),
            (Item::Atom(left), Item::Atom(right)) => match (left, right) {
                (Atom::Number(left), Atom::Number(right)) => left.cmp(right),
                (Atom::Number(_), Atom::Qualifier { .. }) => Ordering::Greater,
                (Atom::Qualifier { .. }, Atom::Number(_)) => Ordering::Less,
                (
                    Atom::Qualifier { rank: left_rank, text: left },
                    Atom::Qualifier { rank: right_rank, text: right },
                ) => left_rank.cmp(right_rank).then_with(|| cmp_texts(left, right)),
            },
            (Item::Atom(Atom::Number(_)), Item::List) => Ordering::Greater,
            (Item::List, Item::Atom(Atom::Number(_))) => Ordering::Less,
            (Item::Atom(Atom::Qualifier { .. }), Item::List) => Ordering::Less,
            (Item::List, Item::Atom(Atom::Qualifier { .. })) => Ordering::Greater,
            (Item::List, Item::List) => Ordering::Equal,
        })
    }

    /// A total preorder beside Maven's comparison: position by position over classes that are themselves ordered.
    pub(super) fn cmp_lawfully(&self, other: &Self) -> Ordering {
        self.walk(other, |level, position| {
            self.class(level, position).cmp(&other.class(level, position)).then_with(|| {
                match (self.item(level, position), other.item(level, position)) {
                    (Item::Atom(Atom::Number(left)), Item::Atom(Atom::Number(right))) => left.cmp(right),
                    (
                        Item::Atom(Atom::Qualifier { rank: left_rank, text: left }),
                        Item::Atom(Atom::Qualifier { rank: right_rank, text: right }),
                    ) => left_rank.cmp(right_rank).then_with(|| cmp_texts(left, right)),
                    _ => Ordering::Equal,
                }
            })
        })
    }

    /// Where the item stands among all that may stand at a position. Two items of one class are of one kind.
    ///
    /// Maven's comparison says that an item which makes a version older than nothing (`alpha`) is below one that makes
    /// it newer (`sp`, a number), except that it puts every qualifier below every list; that exception is what closes
    /// the cycles. A zero that is followed by more goes where the rest takes it.
    fn class(&self, level: usize, position: usize) -> u8 {
        match self.item(level, position) {
            Item::Atom(Atom::Qualifier { rank, .. }) if *rank < RELEASE => 0,
            Item::List if self.sign_from(level + 1, 0).is_lt() => 1,
            Item::Atom(Atom::Number(number)) if number.is_zero() && self.sign_from(level, position + 1).is_lt() => 2,
            Item::Nothing => 3,
            Item::Atom(Atom::Qualifier { .. }) => 4,
            Item::List => 5,
            Item::Atom(Atom::Number(_)) => 6,
        }
    }

    /// Goes through the positions of both until `compare` decides, and down a level where both have a list.
    fn walk(&self, other: &Self, compare: impl Fn(usize, usize) -> Ordering) -> Ordering {
        for level in 0..self.levels.len().max(other.levels.len()) {
            let mut position = 0;
            loop {
                match compare(level, position) {
                    Ordering::Equal => {}
                    decided => return decided,
                }
                match (self.item(level, position), other.item(level, position)) {
                    (Item::Nothing, Item::Nothing) => return Ordering::Equal,
                    // A list is the last of its level, so what is inside decides alone.
                    (Item::List, Item::List) => break,
                    _ => position += 1,
                }
            }
        }
        Ordering::Equal
    }
}

/// The levels while they are being filled.
struct Levels {
    rows: Vec<Vec<Atom>>,
}

impl Levels {
    fn push(&mut self, atom: Atom) {
        match self.rows.last_mut() {
            Some(row) => row.push(atom),
            None => self.rows.push(vec![atom]),
        }
    }

    fn open(&mut self) {
        self.rows.push(Vec::new());
    }

    fn open_unless_empty(&mut self) {
        if self.rows.last().is_some_and(|row| !row.is_empty()) {
            self.open();
        }
    }

    /// Drops what ranks as nothing at the end of each level, and levels that hold nothing at the end of all.
    fn normalize(mut self) -> Comparable {
        for level in (0..self.rows.len()).rev() {
            while self.rows[level].last().is_some_and(|atom| atom.sign().is_eq()) {
                self.rows[level].pop();
            }
            if level > 0 && level + 1 == self.rows.len() && self.rows[level].is_empty() {
                self.rows.pop();
            }
        }
        Comparable { levels: self.rows }
    }
}
