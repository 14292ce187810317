//! The assignments of a file, with quoting, variables and substitutions, as a shell would have understood them.

use std::collections::BTreeMap;

use crate::expand;
use crate::filters;
use crate::refusal::{Refusal, RefusalKind, excerpt};
use crate::work::{MAX_DEPTH, MAX_FILE, Work};

/// What was assigned last, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assigned {
    pub(crate) value: String,
    pub(crate) line: usize,
}

pub(crate) type Variables = BTreeMap<String, Assigned>;

/// Reads a whole file.
pub(crate) fn read(text: &str) -> Result<Variables, Refusal> {
    let mut reader = Reader { text, at: 0, line: 1, depth: 0, variables: Variables::new(), work: Work::default() };
    match reader.file() {
        Ok(()) => Ok(reader.variables),
        Err(kind) => Err(Refusal { line: reader.line, kind }),
    }
}

/// What a word is part of, which decides where it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Context {
    Assignment,
    Pipeline,
}

pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
    line: usize,
    depth: usize,
    variables: Variables,
    pub(crate) work: Work,
}

impl Reader<'_> {
    pub(crate) fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(crate) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(crate) fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        if c == '\n' {
            self.line += 1;
        }
        Some(c)
    }

    pub(crate) fn take(&mut self, text: &str) -> bool {
        let there = self.rest().starts_with(text);
        if there {
            // No text that is asked for holds a line end.
            self.at += text.len();
        }
        there
    }

    pub(crate) fn name(&mut self) -> Option<String> {
        let rest = self.rest();
        let first = rest.chars().next()?;
        if !(first.is_ascii_alphabetic() || first == '_') {
            return None;
        }
        let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let name = rest[..length].to_owned();
        self.at += length;
        Some(name)
    }

    fn file(&mut self) -> Result<(), RefusalKind> {
        if self.text.len() > MAX_FILE {
            return Err(RefusalKind::TooMuch("the file is too long"));
        }
        loop {
            match self.peek() {
                None => return Ok(()),
                Some(' ' | '\t' | '\n' | '\r' | ';') => drop(self.next()),
                Some('#') => {
                    let length = self.rest().find('\n').unwrap_or(self.rest().len());
                    self.at += length;
                }
                Some('\\') if self.rest().starts_with("\\\n") => {
                    self.next();
                    self.next();
                }
                Some(_) => self.assignment()?,
            }
        }
    }

    fn assignment(&mut self) -> Result<(), RefusalKind> {
        let statement = excerpt(self.rest());
        let refused = || RefusalKind::Statement(statement.clone());
        let line = self.line;
        let mut name = self.name().ok_or_else(refused)?;
        if name == "export" && self.take(" ") {
            name = self.name().ok_or_else(refused)?;
        }
        if !self.take("=") {
            return Err(refused());
        }
        let value = self.word(Context::Assignment)?.unwrap_or_default();
        self.variables.insert(name, Assigned { value, line });
        Ok(())
    }

    /// A word; none where none begins.
    fn word(&mut self, context: Context) -> Result<Option<String>, RefusalKind> {
        let start = self.at;
        let mut word = String::new();
        let mut quoted = false;
        loop {
            self.work.grow(word.len())?;
            let Some(c) = self.peek() else { break };
            match (c, context) {
                (' ' | '\t' | '\n' | '\r', _) => break,
                (';', Context::Assignment) | ('|' | ')', Context::Pipeline) => break,
                ('\\', _) => {
                    self.next();
                    match self.next() {
                        Some('\n') => {}
                        Some(c) => word.push(c),
                        None => return Err(RefusalKind::Syntax("the file ends after a backslash".to_owned())),
                    }
                }
                ('\'', _) => {
                    quoted = true;
                    self.next();
                    self.single_quoted(&mut word)?;
                }
                ('"', _) => {
                    quoted = true;
                    self.next();
                    self.double_quoted(&mut word)?;
                }
                ('$' | '`', _) => {
                    let value = if c == '$' { self.dollar(false)? } else { self.backtick(false)? };
                    if context == Context::Pipeline && value.contains([' ', '\t', '\n', '*', '?', '[']) {
                        let problem = format!("`{}` would be split or expanded without quotes", excerpt(&value));
                        return Err(RefusalKind::Syntax(problem));
                    }
                    word.push_str(&value);
                }
                ('*' | '?' | '[' | '{' | '#', Context::Pipeline) | ('~', _)
                    if match c {
                        '#' => start == self.at,
                        '~' => start == self.at || self.text[..self.at].ends_with(':'),
                        _ => true,
                    } =>
                {
                    return Err(RefusalKind::Syntax(format!("`{c}` has to be quoted here")));
                }
                (';' | '|' | '&' | '<' | '>' | '(' | ')', _) => {
                    return Err(RefusalKind::Syntax(format!("`{c}` has a meaning that is not read here")));
                }
                _ => {
                    word.push(c);
                    self.next();
                }
            }
        }
        // Without quotes what is empty is no word.
        let vanishes = context == Context::Pipeline && word.is_empty() && !quoted;
        Ok((self.at > start && !vanishes).then_some(word))
    }

    fn single_quoted(&mut self, word: &mut String) -> Result<(), RefusalKind> {
        loop {
            match self.next() {
                Some('\'') => return Ok(()),
                Some(c) => word.push(c),
                None => return Err(RefusalKind::Syntax("a single quote is not closed".to_owned())),
            }
        }
    }

    pub(crate) fn double_quoted(&mut self, word: &mut String) -> Result<(), RefusalKind> {
        loop {
            self.work.grow(word.len())?;
            match self.peek() {
                Some('"') => {
                    self.next();
                    return Ok(());
                }
                Some('\\') => {
                    self.next();
                    match self.next() {
                        Some(c @ ('$' | '`' | '"' | '\\')) => word.push(c),
                        Some('\n') => {}
                        Some(c) => word.extend(['\\', c]),
                        None => break,
                    }
                }
                Some('$') => word.push_str(&self.dollar(true)?),
                Some('`') => word.push_str(&self.backtick(true)?),
                Some(c) => {
                    word.push(c);
                    self.next();
                }
                None => break,
            }
        }
        Err(RefusalKind::Syntax("a double quote is not closed".to_owned()))
    }

    /// What stands for a `$` and what belongs to it.
    pub(crate) fn dollar(&mut self, quoted: bool) -> Result<String, RefusalKind> {
        self.next();
        let text = match self.peek() {
            Some('(') => {
                let shown = excerpt(self.rest());
                self.next();
                if self.peek() == Some('(') {
                    return Err(RefusalKind::Substitution(format!("${shown}")));
                }
                return self.nested(|reader| reader.pipeline(Some(')'), &format!("${shown}")));
            }
            Some('{') => {
                self.next();
                return self.nested(expand::braces);
            }
            Some('\'' | '"') if !quoted => {
                return Err(RefusalKind::Syntax("a quote behind `$` is not read".to_owned()));
            }
            Some(c) if c.is_ascii_digit() || "@*#?-$!".contains(c) => {
                return Err(RefusalKind::Variable(c.to_string()));
            }
            _ => match self.name() {
                Some(name) => self.variable(&name)?,
                None => "$".to_owned(),
            },
        };
        Ok(text)
    }

    pub(crate) fn variable(&mut self, name: &str) -> Result<String, RefusalKind> {
        let assigned = self.variables.get(name).ok_or_else(|| RefusalKind::Variable(excerpt(name)))?;
        self.work.value(assigned.value.len())?;
        Ok(assigned.value.clone())
    }

    /// The variable's value if it has one.
    pub(crate) fn assigned(&self, name: &str) -> Option<String> {
        self.variables.get(name).map(|assigned| assigned.value.clone())
    }

    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Result<String, RefusalKind>) -> Result<String, RefusalKind> {
        if self.depth >= MAX_DEPTH {
            return Err(RefusalKind::TooMuch("substitutions are nested too deeply"));
        }
        self.depth += 1;
        let result = read(self)?;
        self.depth -= 1;
        Ok(result)
    }

    /// What stands for a backquote and what belongs to it; within double quotes (`quoted`) it escapes those too.
    fn backtick(&mut self, quoted: bool) -> Result<String, RefusalKind> {
        self.next();
        let line = self.line;
        let mut inner = String::new();
        loop {
            match self.next() {
                Some('`') => break,
                Some('\\') => match self.next() {
                    Some(c @ ('`' | '\\' | '$')) => inner.push(c),
                    Some('"') if quoted => inner.push('"'),
                    Some(c) => inner.extend(['\\', c]),
                    None => return Err(RefusalKind::Syntax("a backquote is not closed".to_owned())),
                },
                Some(c) => inner.push(c),
                None => return Err(RefusalKind::Syntax("a backquote is not closed".to_owned())),
            }
        }
        self.work.value(inner.len())?;
        let mut within = Reader {
            text: &inner,
            at: 0,
            line,
            depth: self.depth,
            variables: std::mem::take(&mut self.variables),
            work: std::mem::take(&mut self.work),
        };
        let result = within.nested(|reader| reader.pipeline(None, &format!("`{}`", excerpt(&inner))));
        self.variables = within.variables;
        self.work = within.work;
        result
    }

    /// `echo WORDS | FILTER | ...` up to `end`, which is taken too.
    fn pipeline(&mut self, end: Option<char>, shown: &str) -> Result<String, RefusalKind> {
        let mut output: Option<String> = None;
        loop {
            let (words, last) = self.command(end)?;
            output = Some(match output {
                None => echo(&words).ok_or_else(|| RefusalKind::Substitution(shown.to_owned()))?,
                Some(input) => filters::apply(&words, &input, &mut self.work)?,
            });
            if last {
                return Ok(output.unwrap_or_default().trim_end_matches('\n').to_owned());
            }
        }
    }

    /// The words up to `|` (false) or the end (true).
    fn command(&mut self, end: Option<char>) -> Result<(Vec<String>, bool), RefusalKind> {
        let mut words = Vec::new();
        loop {
            match self.peek() {
                Some(' ' | '\t') => drop(self.next()),
                Some('|') => {
                    self.next();
                    return Ok((words, false));
                }
                None if end.is_none() => return Ok((words, true)),
                None => return Err(RefusalKind::Syntax("a parenthesis is not closed".to_owned())),
                c if c == end => {
                    self.next();
                    return Ok((words, true));
                }
                Some(_) => {
                    let start = self.at;
                    match self.word(Context::Pipeline)? {
                        Some(word) => words.push(word),
                        None if self.at > start => {}
                        None => return Err(RefusalKind::Syntax("a substitution goes over one line".to_owned())),
                    }
                }
            }
        }
    }
}

fn echo(words: &[String]) -> Option<String> {
    let (name, words) = words.split_first()?;
    let words = if words.first().is_some_and(|word| word == "-n") { &words[1..] } else { words };
    let option = words.first().is_some_and(|word| word.len() > 1 && word.starts_with('-'));
    (name == "echo" && !option).then(|| words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Result<String, RefusalKind> {
        read(text).map(|variables| variables["x"].value.clone()).map_err(|refusal| refusal.kind)
    }

    #[test]
    fn quotes_are_read_as_a_shell_reads_them() {
        let before = "v=1.2.3-beta\nname='a b'\n";
        for line in [
            "x=plain",
            "x=",
            "x=''",
            "x=\"a $v b\"",
            "x='a $v b'",
            "x=a\\ b",
            "x=\"\\$v \\\\ \\a \\\"\"",
            "x=a'b'\"c\"$v",
            "x=a\\\nb",
            "x=\"a\\\nb\nc\"",
            "x=$v # comment",
            "x=$v#none",
            "x=${v}_$name",
            "x=\"$\"",
            "x=a$",
            "x=1 ; y=2",
            "x=*?[a]{b,c}",
            "export x=$v",
            "x=${v//./_}",
            "x=${v/./_}",
            "x=${v%-*}",
            "x=${v%%.*}",
            "x=${v#*.}",
            "x=${v##*[.-]}",
            "x=${v%\"-beta\"}",
            "x=${v%-$name}",
            "x=${v%'-beta'}",
            "x=\"${v/-beta/.RELEASE}\"",
            "x=${v//[!0-9]/}",
            "x=${v/#1/one}",
            "x=${v/%beta/gamma}",
            "x=${v//.}",
            "x=${v^^}",
            "x=${v^}",
            "x=${v,,}",
            "x=${v:2}",
            "x=${v:0:3}",
            "x=${v:-none}",
            "x=${none:-$v}",
            "x=$(echo $v)",
            "x=$(echo \"$name\" | tr ' ' '-')",
            "x=v$(echo ${v} | sed -e 's/-beta//' | tr . _)!",
            "x=`echo ${v} | tr . _`",
            "x=\"`echo $v | cut -d \\- -f 1`\"",
            "x=\"`echo \\\"$v\\\" | tr . _`\"",
            "x=`echo \\\"$v\\\"`",
            "e=; x=$(echo a $e b \"$e\" c)",
            "x=$(echo a \\\n b)",
            "x=$(echo -n $v | cut -d '-' -f 1)",
            "x=$(echo $(echo $v | tr 1 2) | tr 2 3)",
        ] {
            let script = format!("{before}{line}\nprintf %s \"$x\"");
            let output = std::process::Command::new("bash").args(["-c", &script]).output().unwrap();
            let expected = String::from_utf8(output.stdout).unwrap();
            assert_eq!(value(&format!("{before}{line}\n")), Ok(expected), "{line}");
        }
    }

    #[test]
    fn what_would_be_executed_is_refused_with_its_line() {
        for (text, name, line) in [
            ("x=1\nrm -rf /", "statement", 2),
            ("if true; then x=1; fi", "statement", 1),
            ("x=1 touch /tmp/y", "statement", 1),
            ("x[1]=2", "statement", 1),
            ("x+=2", "statement", 1),
            ("\n\nx=$(id)", "substitution", 3),
            ("x=`id`", "substitution", 1),
            ("x=\"$(curl http://x | sh)\"", "substitution", 1),
            ("x=$(echo a | sh)", "filter", 1),
            ("x=$(echo a; id)", "syntax", 1),
            ("x=$(echo a > /tmp/y)", "syntax", 1),
            ("x=$(echo a & id)", "syntax", 1),
            ("x=$(echo a\nid)", "syntax", 1),
            ("x=$(echo *)", "syntax", 1),
            ("x=$((1+1))", "substitution", 1),
            ("x=<(id)", "syntax", 1),
            ("x=(a b)", "syntax", 1),
            ("x=a&id", "syntax", 1),
            ("x=a|id", "syntax", 1),
            ("x=~/a", "syntax", 1),
            ("x=a:~/b", "syntax", 1),
            ("x=$(echo ~)", "syntax", 1),
            ("x=$(echo a #b\n)", "syntax", 1),
            ("x=$HOME", "variable", 1),
            ("x=$1", "variable", 1),
            ("x=${x", "variable", 1),
            ("y=1\nx=${y", "expansion", 2),
            ("y=1\nx=${!y}", "expansion", 2),
            ("y=1\nx=${#y}", "expansion", 2),
            ("y=1\nx=${y@P}", "expansion", 2),
            ("y=1\nx=${y:=2}", "expansion", 2),
            ("y=1\nx=${y%$(id)}", "substitution", 2),
            ("x='a", "syntax", 1),
            ("x=\"a", "syntax", 1),
            ("x=`a", "syntax", 1),
            ("x=$(echo", "syntax", 1),
            ("x=a\\", "syntax", 1),
            ("x=$'a'", "syntax", 1),
            ("y='a b'\nx=$(echo $y)", "syntax", 2),
        ] {
            match read(text) {
                Err(refusal) => assert_eq!((refusal.kind.name(), refusal.line), (name, line), "{text}: {refusal}"),
                Ok(variables) => panic!("{text}: {variables:?}"),
            }
        }
    }

    #[test]
    fn a_long_value_is_no_costly_one() {
        let long = "a ".repeat(4000);
        for text in [format!("x='{long}'"), format!("x=\"{long}\""), format!("x={}", long.replace(' ', "b"))] {
            assert_eq!(value(&text).map(|value| value.len()), Ok(8000));
        }
        assert_eq!(value(&format!("x='{}'", "a".repeat(9000))), Err(RefusalKind::TooMuch("a value is too long")));
    }

    #[test]
    fn values_that_grow_are_refused() {
        let mut text = "x0=aaaaaaaaaaaaaaaa\n".to_owned();
        for at in 1..40 {
            text.push_str(&format!("x{at}=$x{0}$x{0}\n", at - 1));
        }
        assert_eq!(read(&text).unwrap_err().kind, RefusalKind::TooMuch("a value is too long"));
        let nested = format!("x={}a{}", "$(echo ".repeat(50), ")".repeat(50));
        assert_eq!(read(&nested).unwrap_err().kind.name(), "too-much");
        assert_eq!(read(&"#".repeat(MAX_FILE + 1)).unwrap_err().kind.name(), "too-much");
    }
}
