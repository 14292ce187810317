//! Bounded reading of small XML documents into a tree.
//!
//! Not a general XML parser: only what Maven's own documents need, and strict where leniency would be a risk.

use std::borrow::Cow;

use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::reader::Reader;

/// Largest document, in bytes.
pub(crate) const SIZE_LIMIT: usize = 8 * 1024 * 1024;
/// Deepest nesting of elements.
const DEPTH_LIMIT: usize = 100;
/// Most elements in one document.
const ELEMENT_LIMIT: usize = 200_000;

/// Most attributes on one element. Checking that their names differ takes time by the square of their number.
const ATTRIBUTE_LIMIT: usize = 100;
/// Longest reference in an attribute's value, between `&` and `;`.
const REFERENCE_LIMIT: usize = 64;
/// Longest XML declaration.
const DECLARATION_LIMIT: usize = 256;

/// Why a document was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// The document is larger than documents of this kind may be.
    #[error("document has {actual} bytes, at most {limit} are read")]
    TooLarge {
        /// Bytes that were given.
        actual: usize,
        /// Bytes that are read.
        limit: usize,
    },
    /// Elements are nested deeper than any honest document does.
    #[error("elements are nested deeper than {limit} levels")]
    TooDeep {
        /// Levels that are read.
        limit: usize,
    },
    /// There are more elements than any honest document has.
    #[error("document has more than {limit} elements")]
    TooManyElements {
        /// Elements that are read.
        limit: usize,
    },
    /// An element has more attributes than any honest one.
    #[error("an element has more than {limit} attributes")]
    TooManyAttributes {
        /// Attributes that are read.
        limit: usize,
    },
    /// The document is in, or says it is in, an encoding other than UTF-8, US-ASCII and ISO-8859-1.
    #[error("encoding {name:?} is not read; UTF-8, US-ASCII and ISO-8859-1 are")]
    Encoding {
        /// The encoding, as the document names it or as its first bytes give it away.
        name: String,
    },
    /// The bytes are not valid in the document's encoding.
    #[error("byte {position} is not valid {encoding}")]
    NotText {
        /// Byte offset.
        position: usize,
        /// The encoding that the document is in.
        encoding: &'static str,
    },
    /// There is a document type declaration: it could define entities or pull in other files.
    #[error("a document type declaration is not allowed")]
    DocumentType,
    /// An entity other than `lt`, `gt`, `amp`, `quot` and `apos`.
    #[error("entity {name:?} is not one of the five predefined ones")]
    Entity {
        /// The entity's name, cut to 64 bytes.
        name: String,
    },
    /// A character that XML does not allow, written as such or as a character reference.
    #[error("a character that XML does not allow")]
    Character,
    /// The document is not well-formed.
    #[error("not well-formed near byte {position}: {reason}")]
    Malformed {
        /// Byte offset in the decoded document.
        position: u64,
        /// What the parser objects to.
        reason: String,
    },
    /// The outermost element is another one than documents of this kind have.
    #[error("expected <{expected}> as outermost element, found <{actual}>")]
    Root {
        /// The expected name.
        expected: &'static str,
        /// The name found, cut to 64 bytes; empty for a document without elements.
        actual: String,
    },
}

/// One element: its local name, its text (trimmed), its child elements in document order. Attributes are not kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) children: Vec<Element>,
}

impl Element {
    /// The first child of this name.
    pub(crate) fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// All children of this name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of the first child of this name, unless it is empty.
    pub(crate) fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_str()).filter(|text| !text.is_empty())
    }

    fn close(&mut self) {
        let trimmed = self.text.trim_matches(is_space);
        if trimmed.len() != self.text.len() {
            self.text = trimmed.to_owned();
        }
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// Reads a whole document whose outermost element is `root`.
pub(crate) fn parse(bytes: &[u8], root: &'static str) -> Result<Element, XmlError> {
    if bytes.len() > SIZE_LIMIT {
        return Err(XmlError::TooLarge { actual: bytes.len(), limit: SIZE_LIMIT });
    }
    let text = decode(bytes)?;
    let element = read(&text)?.unwrap_or_default();
    if element.name == root { Ok(element) } else { Err(XmlError::Root { expected: root, actual: cut(&element.name) }) }
}

fn read(text: &str) -> Result<Option<Element>, XmlError> {
    if !text.chars().all(is_xml_char) {
        return Err(XmlError::Character);
    }
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_comments = true;
    let mut root = None;
    let mut open: Vec<Element> = Vec::new();
    let mut elements = 0_usize;
    let mut at_start = true;
    loop {
        let first = std::mem::take(&mut at_start);
        let event = reader.read_event().map_err(|error| malformed(&reader, error))?;
        let outside = |reason: &str| XmlError::Malformed { position: reader.buffer_position(), reason: reason.into() };
        match event {
            Event::Start(start) => {
                count(&mut elements)?;
                if open.len() >= DEPTH_LIMIT {
                    return Err(XmlError::TooDeep { limit: DEPTH_LIMIT });
                }
                if open.is_empty() && root.is_some() {
                    return Err(outside("a second outermost element"));
                }
                open.push(element(&start, &reader)?);
            }
            Event::Empty(start) => {
                count(&mut elements)?;
                let element = element(&start, &reader)?;
                match open.last_mut() {
                    Some(parent) => parent.children.push(element),
                    None if root.is_none() => root = Some(element),
                    None => return Err(outside("a second outermost element")),
                }
            }
            Event::End(_) => {
                let Some(mut element) = open.pop() else {
                    return Err(outside("an end tag without its start"));
                };
                element.close();
                match open.last_mut() {
                    Some(parent) => parent.children.push(element),
                    None => root = Some(element),
                }
            }
            Event::Text(text) => {
                let content = text.xml10_content();
                match open.last_mut() {
                    Some(element) => element.text.push_str(&content),
                    None if content.chars().all(is_space) => {}
                    None => return Err(outside("text outside of the outermost element")),
                }
            }
            Event::CData(data) => match open.last_mut() {
                Some(element) => element.text.push_str(&data.xml10_content()),
                None => return Err(outside("text outside of the outermost element")),
            },
            Event::GeneralRef(reference) => {
                let character = match reference.resolve_char_ref() {
                    Ok(Some(c)) if is_xml_char(c) => c,
                    Ok(Some(_)) | Err(_) => return Err(XmlError::Character),
                    Ok(None) => predefined(&reference)?,
                };
                match open.last_mut() {
                    Some(element) => element.text.push(character),
                    None => return Err(outside("text outside of the outermost element")),
                }
            }
            Event::DocType(_) => return Err(XmlError::DocumentType),
            // Only at the very beginning was it looked at for an encoding.
            Event::Decl(_) if !first => {
                return Err(outside("an XML declaration that is not the beginning"));
            }
            Event::Comment(_) | Event::PI(_) | Event::Decl(_) => {}
            Event::Eof if open.is_empty() => return Ok(root),
            Event::Eof => return Err(outside("the document ends inside an element")),
        }
    }
}

fn count(elements: &mut usize) -> Result<(), XmlError> {
    *elements += 1;
    if *elements > ELEMENT_LIMIT { Err(XmlError::TooManyElements { limit: ELEMENT_LIMIT }) } else { Ok(()) }
}

fn element(start: &BytesStart<'_>, reader: &Reader<&[u8]>) -> Result<Element, XmlError> {
    // Attributes carry nothing that we read, but entities in them are still entities, and a broken one is broken XML.
    for (count, attribute) in start.attributes().enumerate() {
        if count >= ATTRIBUTE_LIMIT {
            return Err(XmlError::TooManyAttributes { limit: ATTRIBUTE_LIMIT });
        }
        let attribute = attribute.map_err(|error| malformed(reader, error.into()))?;
        check_references(&attribute.value, reader)?;
    }
    let name = start.local_name();
    Ok(Element { name: AsRef::<str>::as_ref(&name).to_owned(), ..Element::default() })
}

fn check_references(value: &str, reader: &Reader<&[u8]>) -> Result<(), XmlError> {
    let mut rest = value;
    while let Some(at) = rest.find('&') {
        rest = &rest[at + 1..];
        let Some(end) = rest.bytes().take(REFERENCE_LIMIT).position(|byte| byte == b';') else {
            return Err(XmlError::Malformed {
                position: reader.buffer_position(),
                reason: "an unfinished reference in an attribute".to_owned(),
            });
        };
        let reference = BytesRef::new(&rest[..end]);
        match reference.resolve_char_ref() {
            Ok(Some(c)) if is_xml_char(c) => {}
            Ok(Some(_)) | Err(_) => return Err(XmlError::Character),
            Ok(None) => {
                predefined(&reference)?;
            }
        }
        rest = &rest[end + 1..];
    }
    Ok(())
}

fn predefined(name: &str) -> Result<char, XmlError> {
    match name {
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "amp" => Ok('&'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        other => Err(XmlError::Entity { name: cut(other) }),
    }
}

pub(crate) fn malformed(reader: &Reader<&[u8]>, error: quick_xml::Error) -> XmlError {
    XmlError::Malformed { position: reader.error_position(), reason: cut(&error.to_string()) }
}

/// The first 64 bytes or less, at a character boundary: error messages repeat what a stranger wrote.
pub(crate) fn cut(text: &str) -> String {
    let mut end = text.len().min(64);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// [XML 1.0, production 2](https://www.w3.org/TR/xml/#charsets).
fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// The document as text, without byte order mark.
pub(crate) fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, XmlError> {
    let refuse = |name: &str| Err(XmlError::Encoding { name: name.to_owned() });
    let (bytes, marked) = match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => (rest, true),
        [0x00, 0x00, 0xfe, 0xff, ..] | [0xff, 0xfe, 0x00, 0x00, ..] => return refuse("UTF-32"),
        [0xfe, 0xff, ..] | [0xff, 0xfe, ..] | [0x00, b'<', ..] | [b'<', 0x00, ..] => {
            return refuse("UTF-16");
        }
        _ => (bytes, false),
    };
    let name = declared_encoding(bytes)?.unwrap_or("UTF-8");
    match name.to_ascii_uppercase().as_str() {
        "UTF-8" | "UTF8" => utf8(bytes, "UTF-8"),
        _ if marked => refuse(name),
        "US-ASCII" | "ASCII" => match bytes.iter().position(|byte| !byte.is_ascii()) {
            Some(position) => Err(XmlError::NotText { position, encoding: "US-ASCII" }),
            None => utf8(bytes, "US-ASCII"),
        },
        "ISO-8859-1" | "ISO8859-1" | "ISO8859_1" | "LATIN1" => {
            Ok(Cow::Owned(bytes.iter().map(|byte| char::from(*byte)).collect()))
        }
        _ => refuse(&cut(name)),
    }
}

fn utf8<'a>(bytes: &'a [u8], encoding: &'static str) -> Result<Cow<'a, str>, XmlError> {
    std::str::from_utf8(bytes)
        .map(Cow::Borrowed)
        .map_err(|error| XmlError::NotText { position: error.valid_up_to(), encoding })
}

/// The encoding that the XML declaration names, read before anything is decoded.
///
/// A declaration that cannot be understood is an error: guessing would ignore what it says.
fn declared_encoding(bytes: &[u8]) -> Result<Option<&str>, XmlError> {
    let Some(start) = bytes.strip_prefix(b"<?xml") else {
        return Ok(None);
    };
    if !start.first().is_some_and(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let start = &start[..start.len().min(DECLARATION_LIMIT)];
    let broken = |reason: &str| XmlError::Malformed { position: 0, reason: reason.to_owned() };
    let end = start.windows(2).position(|pair| pair == b"?>").ok_or_else(|| broken("endless XML declaration"))?;
    let declaration = std::str::from_utf8(&start[..end]).map_err(|_| broken("unreadable XML declaration"))?;
    let Some((_, value)) = declaration.split_once("encoding") else {
        return Ok(None);
    };
    let quoted = value.trim_start_matches(is_space).strip_prefix('=').and_then(|value| {
        let value = value.trim_start_matches(is_space);
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        value[1..].split_once(quote).map(|(name, _)| name)
    });
    quoted.map(Some).ok_or_else(|| broken("unreadable encoding in the XML declaration"))
}

#[cfg(test)]
mod tests;
