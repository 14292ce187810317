//! A `.gitattributes` file, written anew so that libgit2 reads it as git does.
//!
//! libgit2 matches patterns as git, but splits a file into lines and words in another way: it knows no patterns in quotes, takes
//! `\` before a space for an escape, follows patterns that begin with `!` or are only a slash, keeps the good words of a line that
//! has a bad one, skips a byte order mark, and lets `binary` mean the old attribute `crlf` too. What is left here is a file about
//! which both agree.

/// git reads no longer lines.
const MAX_LINE: usize = 2048;
/// git's own macro, without what libgit2 adds to it.
const BINARY: &[u8] = b"[attr]binary -diff -merge -text";
const MACRO: &[u8] = b"[attr]";

/// Macros of one repository. Each can be a part of the next, so many would be more than memory holds.
const MAX_MACROS: usize = 64;
/// What is asked for; other attributes would only take room.
const ASKED_FOR: [&[u8]; 6] = [b"text", b"crlf", b"eol", b"ident", b"filter", b"working-tree-encoding"];

/// The macros of a repository, which the file of its root defines alone.
pub(crate) struct Macros(Vec<Vec<u8>>);

impl Macros {
    /// Those of this file.
    ///
    /// # Errors
    /// There are too many.
    pub(crate) fn of(content: &[u8]) -> Result<Self, String> {
        let mut names = vec![b"binary".to_vec()];
        for name in lines(content).filter_map(|line| line.macro_name()) {
            if !names.contains(&name) {
                names.push(name);
            }
            if names.len() > MAX_MACROS {
                return Err(format!("it has more than {MAX_MACROS} macros"));
            }
        }
        Ok(Self(names))
    }

    fn has(&self, name: &[u8]) -> bool {
        self.0.iter().any(|known| known == name)
    }
}

/// The file for libgit2, in a repository with these macros.
///
/// # Errors
/// A macro is taken back (`-binary`, `!binary`), has a value, or is used by another before it is defined: libgit2 cannot do
/// that as git does.
pub(crate) fn normal(content: &[u8], is_root: bool, macros: &Macros) -> Result<Vec<u8>, String> {
    // The first line of a file may be taken for more than a line.
    let mut file = if is_root { BINARY.to_vec() } else { b"#".to_vec() };
    file.push(b'\n');
    let mut defined = vec![b"binary".to_vec()];
    // libgit2 looks a macro up where it reads a line, git when the whole file is read: so macros come first.
    let mut rules = Vec::new();
    for line in lines(content) {
        let macro_name = line.macro_name();
        let pattern = match &macro_name {
            Some(_) if !is_root => continue,
            Some(name) => [MACRO, name].concat(),
            None => match line.escaped_pattern() {
                Some(pattern) => pattern,
                None => continue,
            },
        };
        let mut words = Vec::new();
        for word in line.words {
            let negated = matches!(word[0], b'-' | b'!');
            let end = word.iter().position(|byte| *byte == b'=').unwrap_or(word.len());
            let name = &word[usize::from(negated)..end];
            if macros.has(name) {
                let shown = || String::from_utf8_lossy(word);
                if name.len() < word.len() {
                    return Err(format!("it takes back a macro: {}", shown()));
                }
                if macro_name.is_some() && !defined.iter().any(|known| known == name) {
                    return Err(format!("a macro is a part of another one before it is defined: {}", shown()));
                }
            } else if !ASKED_FOR.contains(&name) {
                continue;
            }
            words.push(word);
        }
        let place = if macro_name.is_some() { &mut file } else { &mut rules };
        defined.extend(macro_name);
        if words.is_empty() {
            continue;
        }
        place.extend_from_slice(&pattern);
        for word in words {
            place.push(b' ');
            place.extend_from_slice(word);
        }
        place.push(b'\n');
    }
    file.append(&mut rules);
    Ok(file)
}

/// The lines that say something. For git, a file ends at its first NUL.
fn lines(content: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let end = content.iter().position(|byte| *byte == 0).unwrap_or(content.len());
    content[..end].split(|byte| *byte == b'\n').filter_map(line)
}

struct Line<'a> {
    pattern: Vec<u8>,
    words: Vec<&'a [u8]>,
}

impl Line<'_> {
    fn macro_name(&self) -> Option<Vec<u8>> {
        self.pattern.strip_prefix(MACRO).filter(|name| is_name(name)).map(<[u8]>::to_vec)
    }

    /// None for a pattern that git takes for none, or that can match nothing.
    fn escaped_pattern(&self) -> Option<Vec<u8>> {
        let pattern = &self.pattern;
        let slashes_at_the_end = pattern.iter().rev().take_while(|byte| **byte == b'\\').count();
        let only_slashes = pattern.iter().all(|byte| *byte == b'/');
        let is_none = pattern.starts_with(b"!") || pattern.starts_with(MACRO) || pattern.contains(&0);
        if is_none || only_slashes || slashes_at_the_end % 2 == 1 {
            return None;
        }
        let mut escaped = Vec::with_capacity(pattern.len());
        for (at, byte) in pattern.iter().enumerate() {
            // Vertical tabs and form feeds are blanks for libgit2 alone.
            if is_blank(*byte) || matches!(byte, 11 | 12) || (at == 0 && *byte == b'#') {
                escaped.push(b'\\');
            }
            escaped.push(*byte);
        }
        Some(escaped)
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn is_name(name: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    !name.is_empty() && name[0] != b'-' && name.iter().all(plain)
}

/// One line; none for what git skips: comments, what is too long, and lines with a word that is no attribute.
fn line(text: &[u8]) -> Option<Line<'_>> {
    if text.len() >= MAX_LINE {
        return None;
    }
    let start = text.iter().position(|byte| !is_blank(*byte))?;
    let text = &text[start..];
    if text[0] == b'#' {
        return None;
    }
    let (pattern, rest) = unquoted(text).unwrap_or_else(|| {
        let end = text.iter().position(|byte| is_blank(*byte)).unwrap_or(text.len());
        (text[..end].to_vec(), &text[end..])
    });
    let words: Vec<&[u8]> = rest.split(|byte| is_blank(*byte)).filter(|word| !word.is_empty()).collect();
    let mut kept = Vec::new();
    for word in words {
        let end = word.iter().position(|byte| *byte == b'=').unwrap_or(word.len());
        let negated = matches!(word[0], b'-' | b'!');
        if !is_name(&word[usize::from(negated).min(end)..end]) {
            return None;
        }
        // A value means nothing behind `-` or `!`; an empty one is a value that nobody knows.
        kept.push(match word.len() {
            _ if negated => &word[..end],
            length if length == end + 1 => {
                EMPTY_VALUES.iter().copied().find(|known| known.starts_with(word)).unwrap_or(&[])
            }
            _ => word,
        });
    }
    kept.retain(|word| !word.is_empty());
    (!kept.is_empty()).then_some(Line { pattern, words: kept })
}

/// libgit2 takes an empty value for none; of the attributes that are looked at, these say that there is one.
const EMPTY_VALUES: [&[u8]; 6] =
    [b"text=none", b"crlf=none", b"eol=none", b"ident=none", b"filter=none", b"working-tree-encoding=utf-8"];

/// A pattern in quotes, as in C, and what follows it.
fn unquoted(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut rest = text.strip_prefix(b"\"")?;
    let mut pattern = Vec::new();
    loop {
        let (first, more) = rest.split_first()?;
        rest = more;
        match first {
            b'"' => return Some((pattern, rest)),
            b'\\' => {
                let (escape, more) = rest.split_first()?;
                rest = more;
                pattern.push(match escape {
                    b'a' => 7,
                    b'b' => 8,
                    b't' => b'\t',
                    b'n' => b'\n',
                    b'v' => 11,
                    b'f' => 12,
                    b'r' => b'\r',
                    b'"' | b'\\' => *escape,
                    b'0'..=b'3' => {
                        let digits =
                            rest.get(..2).filter(|digits| digits.iter().all(|digit| (b'0'..=b'7').contains(digit)))?;
                        rest = &rest[2..];
                        (escape - b'0') * 64 + (digits[0] - b'0') * 8 + (digits[1] - b'0')
                    }
                    _ => return None,
                });
            }
            byte => pattern.push(*byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_kept_as_git_reads_them() {
        let none = Macros::of(b"").unwrap();
        for (line, expected) in [
            ("*.txt text", "*.txt text\n"),
            ("  *.txt\ttext  eol=lf\r", "*.txt text eol=lf\n"),
            ("\"with space.*\" text", "with\\ space.* text\n"),
            ("\"a\\056\\\"txt\" text", "a.\"txt text\n"),
            ("\"open text", "\"open text\n"),
            ("# comment", ""),
            ("!x text", ""),
            ("/ text", ""),
            ("x\\ y text", ""),
            ("*.x text @bad", ""),
            ("*.x text=", "*.x text=none\n"),
            ("*.x -eol=crlf", "*.x -eol\n"),
            ("*.x", ""),
            ("*.x other diff=java", ""),
            ("*.x text\0\n*.y text", "*.x text\n"),
            ("[attr]mine text", ""),
        ] {
            let file = normal(line.as_bytes(), false, &none).unwrap();
            assert_eq!(String::from_utf8(file).unwrap(), format!("#\n{expected}"), "{line}");
        }
        let mine = b"*.x mine other -diff\n[attr]mine text\n";
        let macros = Macros::of(mine).unwrap();
        let root = normal(mine, true, &macros).unwrap();
        assert!(root.ends_with(b"\n[attr]mine text\n*.x mine\n"));
        assert!(normal(&[b'x'; 3000], true, &none).unwrap().ends_with(b"-text\n"));
        for taken_back in ["*.x -binary", "*.x !mine", "*.x mine=1"] {
            // Of a macro of the root, in any folder.
            assert!(normal(taken_back.as_bytes(), false, &macros).is_err(), "{taken_back}");
        }
        let later = b"[attr]one two\n[attr]two text\n";
        assert!(normal(later, true, &Macros::of(later).unwrap()).is_err());
        let many: String = (0..70).map(|number| format!("[attr]m{number} text\n")).collect();
        assert!(Macros::of(many.as_bytes()).is_err());
    }
}
