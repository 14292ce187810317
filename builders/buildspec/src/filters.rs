//! `sed`, `tr` and `cut`, as far as tags are made with them.

use crate::refusal::{RefusalKind, excerpt};
use crate::work::Work;

/// What comes out of a filter.
pub(crate) fn apply(words: &[String], input: &str, work: &mut Work) -> Result<String, RefusalKind> {
    let refused = || RefusalKind::Filter(excerpt(&words.join(" ")));
    work.spend(input.len())?;
    let (name, arguments) = words.split_first().ok_or_else(refused)?;
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = match name.as_str() {
        "sed" => sed(&arguments, input, work)?,
        "tr" if input.is_ascii() => tr(&arguments, input),
        "cut" if input.is_ascii() => cut(&arguments, input),
        _ => None,
    };
    let output = output.ok_or_else(refused)?;
    work.value(output.len())?;
    Ok(output)
}

fn sed(arguments: &[&str], input: &str, work: &mut Work) -> Result<Option<String>, RefusalKind> {
    let scripts: Vec<&str> = match arguments {
        [script] if !script.starts_with('-') => vec![script],
        pairs
            if !pairs.is_empty()
                && pairs.len().is_multiple_of(2)
                && pairs.iter().step_by(2).all(|flag| *flag == "-e") =>
        {
            pairs.iter().skip(1).step_by(2).copied().collect()
        }
        _ => return Ok(None),
    };
    // Each line would be edited by itself.
    if input.contains('\n') {
        return Ok(None);
    }
    let mut text = input.to_owned();
    for script in scripts {
        let Some(substitution) = Substitution::parse(script) else { return Ok(None) };
        work.spend(text.len().saturating_mul(substitution.atoms.len() + 1))?;
        text = substitution.apply(&text);
        work.value(text.len())?;
    }
    Ok(Some(text))
}

/// `s/PATTERN/TEXT/` or `s/PATTERN/TEXT/g` whose pattern has neither repetition, class nor group.
struct Substitution {
    at_start: bool,
    at_end: bool,
    /// None takes any character.
    atoms: Vec<Option<char>>,
    with: String,
    all: bool,
}

impl Substitution {
    fn parse(script: &str) -> Option<Self> {
        let mut chars = script.strip_prefix('s')?.chars();
        let delimiter = chars.next().filter(|c| c.is_ascii_punctuation() && *c != '\\')?;
        let mut parts = vec![Vec::new()];
        // Each character with whether it was escaped.
        while let Some(c) = chars.next() {
            match c {
                '\\' => {
                    let c = chars.next().filter(char::is_ascii_punctuation)?;
                    parts.last_mut()?.push((c, c != delimiter));
                }
                c if c == delimiter => parts.push(Vec::new()),
                '\n' => return None,
                c => parts.last_mut()?.push((c, false)),
            }
        }
        let [pattern, with, flags] = parts.as_slice() else { return None };
        let all = match flags.as_slice() {
            [] => false,
            [('g', false)] => true,
            _ => return None,
        };
        let mut pattern = pattern.as_slice();
        let at_start = pattern.first() == Some(&('^', false));
        if at_start {
            pattern = &pattern[1..];
        }
        let at_end = pattern.last() == Some(&('$', false));
        if at_end {
            pattern = &pattern[..pattern.len() - 1];
        }
        let atom = |(c, escaped): &(char, bool)| match (c, escaped) {
            // Plain when escaped; the other punctuation gets a meaning by being escaped.
            ('.' | '/' | '[' | ']' | '*' | '^' | '$' | '\\' | '-' | '_' | ':' | ',' | '@' | '#', true) => {
                Some(Some(*c))
            }
            (_, true) | ('*' | '[' | '^' | '$' | '\\', false) => None,
            ('.', false) => Some(None),
            (c, false) => Some(Some(*c)),
        };
        let atoms: Vec<Option<char>> = pattern.iter().map(atom).collect::<Option<_>>()?;
        let plain = |(c, escaped): &(char, bool)| (*escaped || *c != '&').then_some(*c);
        let with: String = with.iter().map(plain).collect::<Option<_>>()?;
        (!atoms.is_empty()).then_some(Self { at_start, at_end, atoms, with, all })
    }

    fn apply(&self, text: &str) -> String {
        let chars: Vec<char> = text.chars().collect();
        let mut result = String::new();
        let mut at = 0;
        while at < chars.len() {
            let end = at + self.atoms.len();
            let placed = (!self.at_start || at == 0) && (!self.at_end || end == chars.len());
            let here = placed
                && chars.get(at..end).is_some_and(|part| {
                    part.iter().zip(&self.atoms).all(|(c, atom)| atom.is_none_or(|wanted| wanted == *c))
                });
            if !here {
                result.push(chars[at]);
                at += 1;
                continue;
            }
            result.push_str(&self.with);
            at = end;
            if !self.all {
                break;
            }
        }
        result.extend(&chars[at..]);
        result
    }
}

fn tr(arguments: &[&str], input: &str) -> Option<String> {
    match arguments {
        ["-d", set] => {
            let set = set_of(set)?;
            Some(input.chars().filter(|c| !set.contains(c)).collect())
        }
        [from, to] => {
            let (from, to) = (set_of(from)?, set_of(to)?);
            let last = *to.last()?;
            // Of a character that stands there twice the later place counts.
            let place = |c| from.iter().rposition(|wanted| *wanted == c);
            Some(input.chars().map(|c| place(c).map_or(c, |at| to.get(at).copied().unwrap_or(last))).collect())
        }
        _ => None,
    }
}

/// The characters of a set of `tr`, in order.
fn set_of(text: &str) -> Option<Vec<char>> {
    match text {
        "[:upper:]" => return Some(('A'..='Z').collect()),
        "[:lower:]" => return Some(('a'..='z').collect()),
        _ => {}
    }
    if text.is_empty()
        || (text.len() > 1 && text.starts_with('-'))
        || text.contains(['\\', '[', ']'])
        || !text.is_ascii()
    {
        return None;
    }
    let chars: Vec<char> = text.chars().collect();
    let mut set = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        match (chars.get(at + 1), chars.get(at + 2)) {
            (Some('-'), Some(to)) => {
                (chars[at] <= *to).then_some(())?;
                set.extend(chars[at]..=*to);
                at += 3;
            }
            _ => {
                set.push(chars[at]);
                at += 1;
            }
        }
    }
    Some(set)
}

fn cut(arguments: &[&str], input: &str) -> Option<String> {
    let (mut characters, mut fields, mut delimiter) = (None, None, None);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let (flag, attached) = argument.split_at_checked(2)?;
        let value = if attached.is_empty() { *rest.next()? } else { attached };
        let place = match flag {
            "-c" => &mut characters,
            "-f" => &mut fields,
            "-d" => &mut delimiter,
            _ => return None,
        };
        if place.replace(value).is_some() {
            return None;
        }
    }
    if input.contains('\n') {
        return None;
    }
    match (characters, fields, delimiter) {
        (Some(list), None, None) => {
            let list = positions(list)?;
            Some(input.chars().zip(1..).filter(|(_, at)| chosen(&list, *at)).map(|(c, _)| c).collect())
        }
        (None, Some(list), delimiter) => {
            let list = positions(list)?;
            let delimiter = delimiter.unwrap_or("\t");
            if delimiter.len() != 1 || !input.contains(delimiter) {
                return (delimiter.len() == 1).then(|| input.to_owned());
            }
            let parts = input.split(delimiter).zip(1..).filter(|(_, at)| chosen(&list, *at)).map(|(part, _)| part);
            Some(parts.collect::<Vec<_>>().join(delimiter))
        }
        _ => None,
    }
}

/// A list as `1,3-5,7-`: first and last of each part.
fn positions(list: &str) -> Option<Vec<(usize, usize)>> {
    let number = |text: &str| text.parse::<usize>().ok().filter(|number| *number > 0);
    let part = |text: &str| match text.split_once('-') {
        None => number(text).map(|only| (only, only)),
        Some(("", "")) => None,
        Some(("", to)) => Some((1, number(to)?)),
        Some((from, "")) => Some((number(from)?, usize::MAX)),
        Some((from, to)) => Some((number(from)?, number(to)?)).filter(|(from, to)| from <= to),
    };
    list.split(',').map(part).collect()
}

fn chosen(list: &[(usize, usize)], at: usize) -> bool {
    list.iter().any(|(from, to)| (*from..=*to).contains(&at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(line: &str, input: &str) -> Result<String, RefusalKind> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        apply(&words, input, &mut Work::default())
    }

    #[test]
    fn the_usual_forms_are_computed() {
        for (line, input, output) in [
            ("sed -e s/.Final//", "5.1.0.Final", "5.1.0"),
            ("sed s/.Final//", "5.1.0-Final", "5.1.0"),
            ("sed s/com.io7m.//", "com.io7m.jtensors", "jtensors"),
            ("sed s/\\./_/g", "1.2.3", "1_2_3"),
            ("sed s/\\./_/", "1.2.3", "1_2.3"),
            ("sed s_\\._\\__", "1.2", "1_2"),
            ("sed s|^v||", "vov", "ov"),
            ("sed s|v$||", "vov", "vo"),
            ("sed -e s/a/b/ -e s/b/c/", "a", "c"),
            ("tr . _", "1.2.3", "1_2_3"),
            ("tr . -", "a.b", "a-b"),
            ("tr a-c A-C", "abcd", "ABCd"),
            ("tr [:upper:] [:lower:]", "ABc", "abc"),
            ("tr -d .", "1.2", "12"),
            ("cut -c 3-", "abcd", "cd"),
            ("cut -c2", "abcd", "b"),
            ("cut -d - -f 1", "1.2-beta-3", "1.2"),
            ("cut -d- -f1,3", "1.2-beta-3", "1.2-3"),
            ("cut -d - -f 2", "plain", "plain"),
        ] {
            assert_eq!(run(line, input).as_deref(), Ok(output), "{line}");
        }
    }

    #[test]
    fn other_forms_are_refused_by_name() {
        for line in [
            "sed -E s/a/b/",
            "sed -i s/a/b/",
            "sed s/a*/b/",
            "sed s/[ab]/b/",
            "sed s/\\(a\\)/\\1/",
            "sed s/a/&/",
            "sed s/a/b/e",
            "sed s/a/b/w",
            "sed e",
            "sed",
            "sed s/a/b",
            "tr -s a",
            "tr",
            "tr a",
            "cut -b 1",
            "cut -f 1 -f 2",
            "cut -c 0",
            "cut -c 3-1",
            "awk x",
            "xargs rm",
        ] {
            assert_eq!(run(line, "abc"), Err(RefusalKind::Filter(line.to_owned())));
        }
        assert!(run("sed s/a/b/", "a\na").is_err());
    }

    #[test]
    fn they_agree_with_the_programs() {
        for (line, input) in [
            ("sed -e s/.Final//", "1.Final.Final"),
            ("sed s/./x/g", "abc"),
            ("sed s/\\./_/g", "1..2"),
            ("tr a-c x", "abcabc"),
            ("tr aa bc", "a"),
            ("tr -d a-c", "abcd"),
            ("cut -c 1-2,4", "abcdef"),
            ("cut -d . -f 2-", "a.b.c"),
            ("cut -d . -f 5", "a.b.c"),
        ] {
            let script = format!("printf '%s\\n' '{input}' | {}", line.replace('\\', "\\\\"));
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            let expected = String::from_utf8(output.stdout).unwrap();
            assert_eq!(run(line, input).unwrap(), expected.trim_end_matches('\n'), "{line}");
        }
    }
}
