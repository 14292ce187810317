//! File name patterns, as parameter expansions have them: `*`, `?`, `[...]`.

use crate::refusal::RefusalKind;
use crate::work::Work;

/// One part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Atom {
    /// This character.
    Is(char),
    /// Any one character.
    One,
    /// Any characters, or none.
    Many,
    /// One character that is, or is not (`true`), within one of the ranges.
    Class(bool, Vec<(char, char)>),
}

impl Atom {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Is(own) => *own == c,
            Self::One | Self::Many => true,
            Self::Class(not, ranges) => ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != *not,
        }
    }
}

/// Whether the pattern takes the whole text.
pub(crate) fn takes(pattern: &[Atom], text: &[char], work: &mut Work) -> Result<bool, RefusalKind> {
    work.spend(pattern.len().saturating_add(1).saturating_mul(text.len() + 1))?;
    // reached[n]: the atoms so far take the first n characters.
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for atom in pattern {
        let mut next = vec![false; text.len() + 1];
        if *atom == Atom::Many {
            let mut any = false;
            for (now, before) in next.iter_mut().zip(&reached) {
                any |= *before;
                *now = any;
            }
        } else {
            for (at, c) in text.iter().enumerate() {
                next[at + 1] = reached[at] && atom.takes(*c);
            }
        }
        reached = next;
    }
    Ok(reached.last() == Some(&true))
}

/// Which end of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Front,
    Back,
}

/// The text without what the pattern takes at one end: as little or (`greedy`) as much as possible.
pub(crate) fn strip(
    text: &str,
    pattern: &[Atom],
    end: End,
    greedy: bool,
    work: &mut Work,
) -> Result<String, RefusalKind> {
    let chars: Vec<char> = text.chars().collect();
    let mut lengths: Vec<usize> = (0..=chars.len()).collect();
    if greedy {
        lengths.reverse();
    }
    for length in lengths {
        let (part, rest) = match end {
            End::Front => chars.split_at(length),
            End::Back => {
                let (rest, part) = chars.split_at(chars.len() - length);
                (part, rest)
            }
        };
        if takes(pattern, part, work)? {
            return Ok(rest.iter().collect());
        }
    }
    Ok(text.to_owned())
}

/// Where a replacement may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    First,
    All,
    At(End),
}

/// The text with the longest parts that the pattern takes replaced.
pub(crate) fn replace(
    text: &str,
    pattern: &[Atom],
    with: &str,
    place: Place,
    work: &mut Work,
) -> Result<String, RefusalKind> {
    let chars: Vec<char> = text.chars().collect();
    let mut result = String::new();
    let mut at = 0;
    while at < chars.len() {
        let ends: Vec<usize> = match place {
            Place::At(End::Back) => vec![chars.len()],
            _ => (at + 1..=chars.len()).rev().collect(),
        };
        let mut found = None;
        for end in ends {
            if takes(pattern, &chars[at..end], work)? {
                found = Some(end);
                break;
            }
        }
        match found {
            Some(end) => {
                result.push_str(with);
                work.value(result.len())?;
                at = end;
                if place != Place::All {
                    break;
                }
            }
            None if place == Place::At(End::Front) => break,
            None => {
                result.push(chars[at]);
                at += 1;
            }
        }
    }
    result.extend(&chars[at..]);
    work.value(result.len())?;
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Vec<Atom> {
        text.chars()
            .map(|c| match c {
                '*' => Atom::Many,
                '?' => Atom::One,
                '#' => Atom::Class(false, vec![('0', '9')]),
                c => Atom::Is(c),
            })
            .collect()
    }

    #[test]
    fn ends_are_stripped_as_a_shell_does_it() {
        let mut work = Work::default();
        let mut strip = |text, atoms, end, greedy| strip(text, &pattern(atoms), end, greedy, &mut work).unwrap();
        assert_eq!(strip("1.2.3-x", "-*", End::Back, false), "1.2.3");
        assert_eq!(strip("a-b-c", "-*", End::Back, false), "a-b");
        assert_eq!(strip("a-b-c", "-*", End::Back, true), "a");
        assert_eq!(strip("a-b-c", "*-", End::Front, false), "b-c");
        assert_eq!(strip("a-b-c", "*-", End::Front, true), "c");
        assert_eq!(strip("a-b-c", "x", End::Front, true), "a-b-c");
    }

    #[test]
    fn parts_are_replaced_as_a_shell_does_it() {
        let mut work = Work::default();
        let mut replace = |text, atoms, with, place| replace(text, &pattern(atoms), with, place, &mut work).unwrap();
        assert_eq!(replace("1.2.3", ".", "_", Place::All), "1_2_3");
        assert_eq!(replace("1.2.3", ".", "_", Place::First), "1_2.3");
        assert_eq!(replace("1.2.3", "#", "n", Place::At(End::Front)), "n.2.3");
        assert_eq!(replace("1.2.3", "#", "n", Place::At(End::Back)), "1.2.n");
        assert_eq!(replace("x.2", "#", "n", Place::At(End::Front)), "x.2");
        assert_eq!(replace("abc", "*", "", Place::First), "");
    }

    #[test]
    fn a_pattern_that_would_take_for_ever_is_refused() {
        let text = "a".repeat(4000);
        let result = replace(&text, &pattern("*a*a*a*b"), "", Place::All, &mut Work::default());
        assert_eq!(result, Err(RefusalKind::TooMuch("its values take too long")));
    }
}
