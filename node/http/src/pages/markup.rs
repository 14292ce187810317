//! HTML, put together so that text cannot become markup.

/// A piece of a page.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Markup(String);

impl Markup {
    /// Markup of this program's own: only literals fit.
    pub(crate) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Text, escaped for element content and quoted attributes alike.
    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                // Control characters, and those that reorder the text around them, have no business on a page.
                c if (c.is_control() && c != '\n' && c != '\t')
                    || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
                {
                    self.0.push('\u{fffd}');
                }
                c => self.0.push(c),
            }
        }
        self
    }

    /// A link to an address of this server: it must begin with `/`, the only kind there is.
    pub(crate) fn link(&mut self, path: &str, text: &str) -> &mut Self {
        debug_assert!(path.starts_with('/') && !path.starts_with("//"), "{path}");
        self.raw("<a href=\"").text(path).raw("\">").text(text).raw("</a>")
    }

    /// Text as code.
    pub(crate) fn code(&mut self, text: &str) -> &mut Self {
        self.raw("<code>").text(text).raw("</code>")
    }

    /// A row of a table of two columns.
    pub(crate) fn row(&mut self, name: &'static str, value: &str) -> &mut Self {
        self.raw("<tr><th>").raw(name).raw("</th><td>").text(value).raw("</td></tr>")
    }

    /// A piece after this one.
    pub(crate) fn append(&mut self, other: Self) -> &mut Self {
        self.0.push_str(&other.0);
        self
    }

    /// The text of the page.
    pub(crate) fn finish(self) -> String {
        self.0
    }
}

/// A value of a query or a path segment, percent-encoded.
pub(crate) fn encode(text: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b':') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_never_becomes_markup() {
        let mut markup = Markup::default();
        markup.text("<script>alert('1' & \"2\")</script>\u{202e}\u{7}");
        assert_eq!(
            markup.finish(),
            "&lt;script&gt;alert(&#39;1&#39; &amp; &quot;2&quot;)&lt;/script&gt;\u{fffd}\u{fffd}"
        );
    }

    #[test]
    fn links_escape_their_address() {
        let mut markup = Markup::default();
        markup.link("/x\"onclick=\"y", "<b>");
        assert_eq!(markup.finish(), "<a href=\"/x&quot;onclick=&quot;y\">&lt;b&gt;</a>");
        assert_eq!(encode("a:b:1 +&?/"), "a:b:1%20%2B%26%3F%2F");
    }
}
