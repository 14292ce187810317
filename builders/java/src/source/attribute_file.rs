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

/// The file for libgit2; macros are defined in the file of the root alone.
///
/// # Errors
/// A macro is taken back (`-binary`, `!binary`): libgit2 cannot do that as git does.
pub(crate) fn normal(content: &[u8], is_root: bool) -> Result<Vec<u8>, String> {
    let lines: Vec<Line<'_>> = content.split(|byte| *byte == b'\n').filter_map(line).collect();
    let mut macros = vec![b"binary".to_vec()];
    macros.extend(lines.iter().filter_map(|line| line.macro_name()));
    // The first line of a file may be taken for more than a line.
    let mut file = if is_root { BINARY.to_vec() } else { b"#".to_vec() };
    file.push(b'\n');
    for line in &lines {
        let mut negated = line.words.iter().filter(|word| matches!(word[0], b'-' | b'!'));
        if let Some(word) = negated.find(|word| macros.iter().any(|name| name == &word[1..])) {
            return Err(format!("it takes back a macro: {}", String::from_utf8_lossy(word)));
        }
        let pattern = match line.macro_name() {
            Some(_) if !is_root => continue,
            Some(name) => [MACRO, &name].concat(),
            None => match line.escaped_pattern() {
                Some(pattern) => pattern,
                None => continue,
            },
        };
        file.extend_from_slice(&pattern);
        for word in &line.words {
            file.push(b' ');
            file.extend_from_slice(word);
        }
        file.push(b'\n');
    }
    Ok(file)
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
        if pattern.starts_with(b"!") || pattern.starts_with(MACRO) || only_slashes || slashes_at_the_end % 2 == 1 {
            return None;
        }
        let mut escaped = Vec::with_capacity(pattern.len());
        for (at, byte) in pattern.iter().enumerate() {
            if is_blank(*byte) || (at == 0 && *byte == b'#') {
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
            ("[attr]mine text", ""),
        ] {
            let file = normal(line.as_bytes(), false).unwrap();
            assert_eq!(String::from_utf8(file).unwrap(), format!("#\n{expected}"), "{line}");
        }
        let root = normal(b"[attr]mine text\n*.x mine\n", true).unwrap();
        assert!(root.ends_with(b"\n[attr]mine text\n*.x mine\n"));
        assert!(normal(&[b'x'; 3000], true).unwrap().ends_with(b"-text\n"));
        for taken_back in ["*.x -binary", "[attr]m text\n*.x !m"] {
            assert!(normal(taken_back.as_bytes(), true).is_err(), "{taken_back}");
        }
    }
}
