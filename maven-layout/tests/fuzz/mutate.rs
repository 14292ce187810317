//! Random changes of known inputs.

/// Words that mean something to the XML reader.
const MARKUP: [&str; 20] = [
    "<",
    ">",
    "</",
    "/>",
    "<![CDATA[",
    "]]>",
    "<![CDATA[ <x> ]]>",
    "<!--",
    "-->",
    "<!-- x -->",
    "<!DOCTYPE x>",
    "<?x ?>",
    "&amp;",
    "&lt;",
    "&#13;",
    "&#0;",
    "&#x1F600;",
    "&x;",
    "&",
    "<x/>",
];
/// Words that mean something to one of the other readers.
const WORDS: [&str; 36] = [
    "${",
    "}",
    "${project.version}",
    "${a}",
    "${json.version}",
    "\r\n",
    "\t",
    " ",
    "..",
    "../",
    "/",
    "//",
    "\\",
    "%2e",
    "%2F",
    "%25",
    ":",
    "@",
    "1",
    "-1",
    "-SNAPSHOT",
    "1-SNAPSHOT",
    "-20261122.072715-3",
    "99999999999999999999",
    "0000000000",
    "alpha",
    "-final",
    ".tar.gz",
    ".sha1",
    ".asc",
    "import",
    "pom",
    "test-jar",
    "@ unsupported",
    "\u{e9}\u{202e}\u{1f600}",
    "scm:git:",
];

/// Gives one changed input after the other.
pub(crate) struct Mutator<'a> {
    corpus: &'a [&'a [u8]],
    state: u64,
}

impl<'a> Mutator<'a> {
    pub(crate) fn new(corpus: &'a [&'a [u8]], seed: u64) -> Self {
        Self { corpus, state: seed }
    }

    /// One of the inputs with a few changes; most often only one, so that many are still understood.
    pub(crate) fn next(&mut self) -> Vec<u8> {
        let mut input = self.original().to_vec();
        let changes = if self.below(3) == 0 { 1 + self.below(6) } else { 1 };
        for _ in 0..changes {
            self.change(&mut input);
        }
        input
    }

    fn original(&mut self) -> &'a [u8] {
        let at = self.below(self.corpus.len());
        self.corpus.get(at).copied().unwrap_or_default()
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let (from, to) = self.range(input.len());
        match self.below(18) {
            0 => drop(input.drain(from..to)),
            1 => {
                let copy = input[from..to].to_vec();
                let at = self.below(input.len() + 1);
                input.splice(at..at, copy);
            }
            2 => {
                let other = self.original();
                let (start, end) = self.range(other.len());
                input.splice(from..to, other[start..end].iter().copied());
            }
            3 => input.truncate(to),
            4 | 5 => {
                let word = self.word();
                input.splice(from..from, word.bytes());
            }
            6 => {
                let word = self.word();
                input.splice(from..to, word.bytes());
            }
            7 => {
                if let Some(byte) = input.get_mut(from) {
                    *byte ^= 1 << self.below(8);
                }
            }
            8 => {
                let byte = self.below(256) as u8;
                input.insert(from, byte);
            }
            // A document is mostly still one after these.
            9..=14 => {
                let (from, to) = text_behind(input, from);
                let text = if self.below(2) == 0 { self.text() } else { WORDS[self.below(WORDS.len())].into() };
                input.splice(from..to, text);
            }
            15 => {
                let (from, to) = line_around(input, from);
                drop(input.drain(from..to));
            }
            _ => {
                let (from, to) = line_around(input, from);
                let mut line = input[from..to].to_vec();
                line.insert(0, b'\n');
                let (_, end) = line_around(input, self.below(input.len() + 1));
                input.splice(end..end, line);
            }
        }
    }

    fn word(&mut self) -> &'static str {
        if self.below(3) == 0 { MARKUP[self.below(MARKUP.len())] } else { WORDS[self.below(WORDS.len())] }
    }

    /// The text of some element of some input.
    fn text(&mut self) -> Vec<u8> {
        let other = self.original();
        let (from, to) = text_behind(other, self.below(other.len() + 1));
        other[from..to].to_vec()
    }

    /// Mostly a short range, inside of `0..=length`.
    fn range(&mut self, length: usize) -> (usize, usize) {
        let from = self.below(length + 1);
        let most = if self.below(4) == 0 { length - from } else { (length - from).min(12) };
        (from, from + self.below(most + 1))
    }

    /// splitmix64.
    fn below(&mut self, limit: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit.max(1) as u64) as usize
    }
}

/// The text from the end of the next tag to the tag after it.
fn text_behind(input: &[u8], at: usize) -> (usize, usize) {
    let from = input[at..].iter().position(|byte| *byte == b'>').map_or(input.len(), |found| at + found + 1);
    let to = input[from..].iter().position(|byte| *byte == b'<').map_or(input.len(), |found| from + found);
    (from, to)
}

fn line_around(input: &[u8], at: usize) -> (usize, usize) {
    let from = input[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |found| found + 1);
    let to = input[at..].iter().position(|byte| *byte == b'\n').map_or(input.len(), |found| at + found);
    (from, to)
}
