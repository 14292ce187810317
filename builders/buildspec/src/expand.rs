//! `${...}`: the expansions by which one value is made of another.

use crate::pattern::{Atom, End, Place, replace, strip};
use crate::reader::Reader;
use crate::refusal::{RefusalKind, excerpt};

/// The value of what follows `${`, up to its brace, which is taken too.
pub(crate) fn braces(reader: &mut Reader<'_>) -> Result<String, RefusalKind> {
    let rest = reader.rest();
    let shown = excerpt(rest.split('}').next().unwrap_or_default());
    let refused = || RefusalKind::Expansion(shown.clone());
    let name = reader.name().ok_or_else(refused)?;
    if reader.take(":-") {
        let default = text(reader, &refused)?;
        return Ok(reader.assigned(&name).filter(|value| !value.is_empty()).unwrap_or(default));
    }
    let value = reader.variable(&name)?;
    if reader.take("}") {
        return Ok(value);
    }
    for (sign, end, greedy) in
        [("%%", End::Back, true), ("%", End::Back, false), ("##", End::Front, true), ("#", End::Front, false)]
    {
        if reader.take(sign) {
            let pattern = pattern(reader, false, &refused)?;
            closed(reader, &refused)?;
            return strip(&value, &pattern, end, greedy, &mut reader.work);
        }
    }
    for (sign, place) in
        [("//", Place::All), ("/#", Place::At(End::Front)), ("/%", Place::At(End::Back)), ("/", Place::First)]
    {
        if reader.take(sign) {
            let pattern = pattern(reader, true, &refused)?;
            let with = if reader.take("/") { text(reader, &refused)? } else { closed(reader, &refused)? };
            // The shells differ in what an empty pattern takes, and in what `&` stands for.
            if pattern.is_empty() || with.contains('&') {
                return Err(refused());
            }
            return replace(&value, &pattern, &with, place, &mut reader.work);
        }
    }
    let first = |change: fn(&char) -> char| {
        let mut chars = value.chars();
        chars.next().map(|c| change(&c)).into_iter().chain(chars).collect::<String>()
    };
    for (sign, changed) in [
        ("^^}", value.to_ascii_uppercase()),
        (",,}", value.to_ascii_lowercase()),
        ("^}", first(char::to_ascii_uppercase)),
        (",}", first(char::to_ascii_lowercase)),
    ] {
        if value.is_ascii() && reader.take(sign) {
            return Ok(changed);
        }
    }
    if reader.take(":") {
        let from = number(reader).ok_or_else(refused)?;
        let length = if reader.take(":") { Some(number(reader).ok_or_else(refused)?) } else { None };
        closed(reader, &refused)?;
        return Ok(value.chars().skip(from).take(length.unwrap_or(usize::MAX)).collect());
    }
    Err(refused())
}

/// The closing brace; its text is nothing.
fn closed(reader: &mut Reader<'_>, refused: &impl Fn() -> RefusalKind) -> Result<String, RefusalKind> {
    if reader.take("}") { Ok(String::new()) } else { Err(refused()) }
}

fn number(reader: &mut Reader<'_>) -> Option<usize> {
    let rest = reader.rest();
    let digits = rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())].to_owned();
    reader.take(&digits);
    digits.parse().ok()
}

/// A text up to the closing brace, which is taken too.
fn text(reader: &mut Reader<'_>, refused: &impl Fn() -> RefusalKind) -> Result<String, RefusalKind> {
    let mut text = String::new();
    loop {
        reader.work.grow(text.len())?;
        match reader.peek() {
            Some('}') => {
                reader.next();
                return Ok(text);
            }
            Some('"') => {
                reader.next();
                reader.double_quoted(&mut text)?;
            }
            Some('\\') => {
                reader.next();
                text.push(reader.next().filter(char::is_ascii_punctuation).ok_or_else(refused)?);
            }
            Some('$') => text.push_str(&reader.dollar(false)?),
            None | Some('\'' | '`' | '\n' | '{') => return Err(refused()),
            Some(c) => {
                text.push(c);
                reader.next();
            }
        }
    }
}

/// A pattern up to the closing brace or (`to_slash`) a slash, which stay.
fn pattern(
    reader: &mut Reader<'_>,
    to_slash: bool,
    refused: &impl Fn() -> RefusalKind,
) -> Result<Vec<Atom>, RefusalKind> {
    let mut atoms = Vec::new();
    loop {
        reader.work.grow(atoms.len())?;
        match reader.peek() {
            Some('}') => return Ok(atoms),
            Some('/') if to_slash => return Ok(atoms),
            Some('\\') => {
                reader.next();
                atoms.push(Atom::Is(reader.next().ok_or_else(refused)?));
            }
            Some('\'') => {
                reader.next();
                let rest = reader.rest();
                let quoted = rest[..rest.find('\'').ok_or_else(refused)?].to_owned();
                atoms.extend(quoted.chars().map(Atom::Is));
                for _ in 0..=quoted.chars().count() {
                    reader.next();
                }
            }
            Some('"') => {
                reader.next();
                let mut quoted = String::new();
                reader.double_quoted(&mut quoted)?;
                atoms.extend(quoted.chars().map(Atom::Is));
            }
            Some('$') => {
                let value = reader.dollar(false)?;
                if value.contains(['*', '?', '[', '\\']) {
                    return Err(refused());
                }
                atoms.extend(value.chars().map(Atom::Is));
            }
            Some('*') => {
                reader.next();
                atoms.push(Atom::Many);
            }
            Some('?') => {
                reader.next();
                atoms.push(Atom::One);
            }
            Some('[') => {
                reader.next();
                atoms.push(class(reader).ok_or_else(refused)?);
            }
            None | Some('`' | '\n' | '{' | '(' | ')') => return Err(refused()),
            Some(c) => {
                reader.next();
                atoms.push(Atom::Is(c));
            }
        }
    }
}

/// A class, behind its `[`.
fn class(reader: &mut Reader<'_>) -> Option<Atom> {
    let not = reader.take("!") || reader.take("^");
    let mut chars = Vec::new();
    loop {
        match reader.next()? {
            ']' if !chars.is_empty() => break,
            // Named classes, quotes and escapes mean more than their characters.
            '[' | '\\' | '\'' | '"' | '$' | '`' | '\n' | '}' | '/' => return None,
            c => chars.push(c),
        }
    }
    let mut ranges = Vec::new();
    let mut rest = chars.as_slice();
    while let [from, after @ ..] = rest {
        match after {
            ['-', to, after @ ..] => {
                ranges.push((*from, *to));
                rest = after;
            }
            _ => {
                ranges.push((*from, *from));
                rest = after;
            }
        }
    }
    Some(Atom::Class(not, ranges))
}
