//! Command lines: read as far as is needed to know what they run. Nothing of them is expanded or executed here.

use std::ops::Range;

/// Bytes of a line.
const MAX_LINE: usize = 8 * 1024;
/// Parentheses within parentheses.
const MAX_DEPTH: usize = 16;
const RESERVED: &[&str] = &[
    "!", "[[", "case", "coproc", "do", "done", "elif", "else", "esac", "fi", "for", "function", "if", "select", "then",
    "time", "until", "while", "{", "}",
];

/// Why a line cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// It is empty.
    #[error("there is no command")]
    Empty,
    /// It is longer than 8 KiB, or nests too deeply.
    #[error("the line is too long or nests too deeply")]
    TooLong,
    /// A quote or parenthesis is not closed.
    #[error("{0} is not closed")]
    Open(&'static str),
    /// What a line may not have: documents within it, commands in the background, control characters.
    #[error("{0} in a command")]
    NotRead(&'static str),
}

/// A word, with its quotes removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Its text; where it is not literal, with everything as it stands there.
    pub text: String,
    /// Whether a shell would take exactly this text: nothing in it is expanded, substituted or a file pattern.
    pub literal: bool,
    /// Whether it has the form `NAME=...` without quotes before the sign.
    assigns: bool,
    /// Where it lies in the line.
    pub span: Range<usize>,
}

/// A command and its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SimpleCommand {
    /// Assignments for this command, its name, its arguments.
    pub words: Vec<Word>,
    /// Whether its input or output goes somewhere else.
    pub redirected: bool,
}

impl SimpleCommand {
    /// How many of the words are assignments in front of the name.
    pub fn assignments(&self) -> usize {
        self.words.iter().take_while(|word| word.assigns).count()
    }

    /// If it calls a build tool (or a project's own wrapper of it, perhaps by a shell): the tool's name, the words that
    /// name it, and its arguments.
    pub fn tool(&self) -> Option<(&'static str, &[Word], &[Word])> {
        let words = &self.words[self.assignments()..];
        let by_shell = matches!(words, [shell, _, ..] if shell.literal && matches!(shell.text.as_str(), "sh" | "bash"));
        let named = usize::from(by_shell) + 1;
        let name = words.get(named - 1).filter(|word| word.literal)?;
        let tool = tool_name(&name.text)?;
        // A shell given `mvn` would look for it in the folder, not on the path.
        (!by_shell || name.text.contains('/') || name.text.ends_with('w'))
            .then(|| (tool, &words[..named], &words[named..]))
    }
}

/// `mvn` or `gradle`, if a command of this name is the tool or a project's wrapper of it.
pub fn tool_name(command: &str) -> Option<&'static str> {
    let wrapper = command.rsplit_once('/').map_or(command, |(_, name)| name);
    match (command, wrapper) {
        ("mvn", _) | (_, "mvnw") => Some("mvn"),
        ("gradle", _) | (_, "gradlew") => Some("gradle"),
        _ => None,
    }
}

/// A command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    text: String,
    commands: Vec<SimpleCommand>,
    /// Where the parts begin and end that `&&` or a line end joins.
    links: Vec<Range<usize>>,
    compound: bool,
}

impl Line {
    /// Reads a line.
    ///
    /// # Errors
    /// See [`LineError`].
    pub fn parse(text: &str) -> Result<Self, LineError> {
        if text.len() > MAX_LINE {
            return Err(LineError::TooLong);
        }
        if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
            return Err(LineError::NotRead("a control character"));
        }
        let mut lexer = Lexer { text, at: 0, line: Self::empty(text), command: SimpleCommand::default() };
        lexer.run()?;
        let mut line = lexer.line;
        if line.commands.is_empty() {
            return Err(LineError::Empty);
        }
        if line.compound {
            line.links.clear();
            line.links.push(0..text.len());
        }
        Ok(line)
    }

    fn empty(text: &str) -> Self {
        Self { text: text.to_owned(), commands: Vec::new(), links: Vec::new(), compound: false }
    }

    /// Every simple command in it, in the order of the text.
    pub fn commands(&self) -> &[SimpleCommand] {
        &self.commands
    }

    /// The parts that are joined by `&&` or a line end: the line stops at the first that fails. One part, the whole line,
    /// if it has parentheses or reserved words, within which a part could not stand alone.
    pub fn links(&self) -> impl Iterator<Item = &str> {
        self.links.iter().map(|span| self.text[span.clone()].trim()).filter(|text| !text.is_empty())
    }

    /// The only command, if there is but one, with nothing around it.
    pub fn single(&self) -> Option<&SimpleCommand> {
        match self.commands.as_slice() {
            [only] if !self.compound && !only.redirected => Some(only),
            _ => None,
        }
    }

    /// The tool that the last command calls, if it calls one.
    pub fn last_tool(&self) -> Option<&'static str> {
        self.commands.last()?.tool().map(|(tool, ..)| tool)
    }

    /// The line with each call of the tool under this name, and with more arguments at the end of the last command.
    pub fn rewritten(&self, tool: &str, more: &str) -> String {
        let mut result = self.text.clone();
        for (at, command) in self.commands.iter().enumerate().rev() {
            if at + 1 == self.commands.len()
                && !more.is_empty()
                && let Some(word) = command.words.last()
            {
                result.insert_str(word.span.end, &format!(" {more}"));
            }
            if let Some((name, [first, .., last] | [first @ last], _)) = command.tool()
                && name == tool
            {
                result.replace_range(first.span.start..last.span.end, tool);
            }
        }
        result
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    line: Line,
    command: SimpleCommand,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn run(&mut self) -> Result<(), LineError> {
        let mut link = 0;
        loop {
            let start = self.at;
            match self.peek() {
                None => break,
                Some(' ' | '\t') => drop(self.next()),
                Some('\\') if self.rest().starts_with("\\\n") => self.at += 2,
                Some('#') => self.at += self.rest().find('\n').unwrap_or(self.rest().len()),
                Some('&') if self.rest().starts_with("&&") => {
                    self.at += 2;
                    self.end_of_command();
                    self.line.links.push(link..start);
                    link = self.at;
                }
                Some('\n') => {
                    self.at += 1;
                    self.end_of_command();
                    self.line.links.push(link..start);
                    link = self.at;
                }
                Some('&') => return Err(LineError::NotRead("a command in the background")),
                Some(';' | '|') => {
                    self.next();
                    self.end_of_command();
                }
                Some('(' | ')') => {
                    self.next();
                    self.line.compound = true;
                    self.end_of_command();
                }
                Some('<' | '>') => self.redirection()?,
                Some(_) => {
                    let word = self.word()?;
                    let number = word.text.bytes().all(|byte| byte.is_ascii_digit());
                    if !(number && matches!(self.peek(), Some('<' | '>'))) {
                        self.command.words.push(word);
                    }
                }
            }
        }
        self.end_of_command();
        self.line.links.push(link..self.text.len());
        Ok(())
    }

    fn end_of_command(&mut self) {
        let command = std::mem::take(&mut self.command);
        let Some(name) = command.words.get(command.assignments()).or(command.words.first()) else { return };
        self.line.compound |= RESERVED.contains(&&self.text[name.span.clone()]);
        self.line.commands.push(command);
    }

    fn redirection(&mut self) -> Result<(), LineError> {
        if self.rest().starts_with("<<") {
            return Err(LineError::NotRead("a document"));
        }
        self.command.redirected = true;
        while matches!(self.peek(), Some('<' | '>' | '&' | '|')) {
            self.next();
        }
        if self.peek() == Some('(') {
            return Err(LineError::NotRead("a substituted process"));
        }
        while matches!(self.peek(), Some(' ' | '\t')) {
            self.next();
        }
        self.word()?;
        Ok(())
    }

    fn word(&mut self) -> Result<Word, LineError> {
        let start = self.at;
        let (mut text, mut literal) = (String::new(), true);
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' | '\n' | ';' | '&' | '|' | '(' | ')' | '<' | '>' => break,
                '\\' => {
                    self.next();
                    match self.next() {
                        Some('\n') => {}
                        Some(c) => text.push(c),
                        None => return Err(LineError::Open("a backslash at the end")),
                    }
                }
                '\'' => {
                    self.next();
                    let length = self.rest().find('\'').ok_or(LineError::Open("a single quote"))?;
                    text.push_str(&self.rest()[..length]);
                    self.at += length + 1;
                }
                '"' => {
                    self.next();
                    literal &= self.double_quoted(&mut text)?;
                }
                '$' | '`' => {
                    literal &= !self.substitution(&mut text)?;
                }
                _ => {
                    let home = c == '~' && self.at == start;
                    literal &= !(home || matches!(c, '*' | '?' | '[' | '{'));
                    text.push(c);
                    self.next();
                }
            }
        }
        let raw = &self.text[start..self.at];
        let assigns = raw.split_once('=').is_some_and(|(name, _)| {
            name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        });
        Ok(Word { text, literal, assigns, span: start..self.at })
    }

    /// Whether it is literal.
    fn double_quoted(&mut self, text: &mut String) -> Result<bool, LineError> {
        let mut literal = true;
        loop {
            match self.peek().ok_or(LineError::Open("a double quote"))? {
                '"' => {
                    self.next();
                    return Ok(literal);
                }
                '\\' => {
                    self.next();
                    match self.next().ok_or(LineError::Open("a double quote"))? {
                        c @ ('$' | '`' | '"' | '\\') => text.push(c),
                        '\n' => {}
                        c => text.extend(['\\', c]),
                    }
                }
                '$' | '`' => literal &= !self.substitution(text)?,
                c => {
                    text.push(c);
                    self.next();
                }
            }
        }
    }

    /// Goes over what begins with `$` or a backquote; whether anything is substituted.
    fn substitution(&mut self, text: &mut String) -> Result<bool, LineError> {
        let start = self.at;
        let substituted = match (self.next(), self.peek()) {
            (Some('`'), _) => {
                loop {
                    match self.next().ok_or(LineError::Open("a backquote"))? {
                        '`' => break,
                        '\\' => drop(self.next()),
                        _ => {}
                    }
                }
                true
            }
            (_, Some('(')) => {
                self.parentheses(0)?;
                true
            }
            (_, Some('{')) => {
                let length = self.rest().find('}').ok_or(LineError::Open("a brace"))?;
                self.at += length + 1;
                true
            }
            // A quote behind the sign changes what the quote means.
            (_, Some(c)) => c.is_ascii_alphanumeric() || "_@*#?-$!'\"".contains(c),
            (_, None) => false,
        };
        text.push_str(&self.text[start..self.at]);
        Ok(substituted)
    }

    fn parentheses(&mut self, depth: usize) -> Result<(), LineError> {
        if depth > MAX_DEPTH {
            return Err(LineError::TooLong);
        }
        self.next();
        loop {
            match self.peek().ok_or(LineError::Open("a parenthesis"))? {
                '(' => self.parentheses(depth + 1)?,
                ')' => {
                    self.next();
                    return Ok(());
                }
                '\'' => {
                    self.next();
                    let length = self.rest().find('\'').ok_or(LineError::Open("a single quote"))?;
                    self.at += length + 1;
                }
                '"' => {
                    self.next();
                    self.over_double_quoted(depth)?;
                }
                '\\' => {
                    self.next();
                    self.next();
                }
                _ => drop(self.next()),
            }
        }
    }

    fn over_double_quoted(&mut self, depth: usize) -> Result<(), LineError> {
        loop {
            match self.next().ok_or(LineError::Open("a double quote"))? {
                '"' => return Ok(()),
                '\\' => drop(self.next()),
                '$' if self.peek() == Some('(') => self.parentheses(depth + 1)?,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        Line::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn words(command: &SimpleCommand) -> Vec<&str> {
        command.words.iter().map(|word| word.text.as_str()).collect()
    }

    #[test]
    fn a_single_command_is_known_with_its_words() {
        let parsed = line("mvn -Papache-release  clean package -Da='b c' -Db=\"c\\\"d\" -Dc=e\\ f # done");
        let only = parsed.single().unwrap();
        assert_eq!(words(only), ["mvn", "-Papache-release", "clean", "package", "-Da=b c", "-Db=c\"d", "-Dc=e f"]);
        assert!(only.words.iter().all(|word| word.literal));
        assert_eq!(parsed.links().collect::<Vec<_>>().len(), 1);
        for text in ["mvn $x", "mvn \"${x}\"", "mvn `x`", "mvn $(x)", "mvn *", "mvn ~/x", "mvn {a,b}", "mvn a[1]"] {
            assert!(!line(text).commands()[0].words[1].literal, "{text}");
        }
        for text in ["mvn a > b", "(mvn a)", "mvn a | b", "mvn a; b", "mvn a && b", "if mvn a; then b; fi"] {
            assert_eq!(line(text).single(), None, "{text}");
        }
        assert_eq!(line("mvn a 2>&1").commands()[0].words.len(), 2);
    }

    #[test]
    fn chains_are_split_where_each_part_can_stand_alone() {
        let links = |text: &str| line(text).links().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(links("cd java && mvn a 'b && c' && mvn d"), ["cd java", "mvn a 'b && c'", "mvn d"]);
        assert_eq!(links("./build.sh\nmvn a"), ["./build.sh", "mvn a"]);
        assert_eq!(links("a ; b && c"), ["a ; b", "c"]);
        assert_eq!(links("for f in a ; do b && c ; done && d").len(), 1);
        assert_eq!(links("(a && b) && c").len(), 1);
    }

    #[test]
    fn calls_of_the_tool_are_found_and_renamed() {
        for (text, expected) in [
            ("mvn a", "mvn a goal"),
            ("./mvnw a", "mvn a goal"),
            ("bash ./mvnw a", "mvn a goal"),
            ("cd x && ../mvnw a # why", "cd x && mvn a goal # why"),
            ("X=1 ./mvnw a && ./mvnw b > log", "X=1 mvn a && mvn b goal > log"),
            ("(cd x; ./mvnw 'a b')", "(cd x; mvn 'a b' goal)"),
        ] {
            let parsed = line(text);
            assert_eq!(parsed.last_tool(), Some("mvn"), "{text}");
            assert_eq!(parsed.rewritten("mvn", "goal"), expected);
        }
        assert_eq!(line("./gradlew build").last_tool(), Some("gradle"));
        for text in ["mvn a | tee log", "mvn a; done", "echo mvn", "bash mvn", "$mvn a", "for x in a; do mvn a; done"] {
            assert_eq!(line(text).last_tool(), None, "{text}");
        }
    }

    #[test]
    fn what_is_not_read_is_refused() {
        for text in [
            "", "  ", "# only", "a 'b", "a \"b", "a `b", "a $(b", "a ${b", "a\\", "a & b", "a << b", "a <(b)", "a\u{1}",
        ] {
            assert!(Line::parse(text).is_err(), "{text}");
        }
        assert_eq!(Line::parse(&"a ".repeat(5000)), Err(LineError::TooLong));
        assert_eq!(Line::parse(&format!("{}a", "$(".repeat(50))), Err(LineError::TooLong));
    }
}
