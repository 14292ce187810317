//! `archetype-catalog.xml`: the archetypes that a repository offers
//! ([format](https://maven.apache.org/archetype/archetype-models/archetype-catalog/archetype-catalog.html)).
//!
//! A public repository's catalogue has more elements than other documents may have here, so it is not read into a tree: own
//! archetypes are put into it, and everything else stays as it is, byte for byte.

use std::fmt::Write as _;

use quick_xml::events::Event;
use quick_xml::reader::Reader;

use crate::coordinates::Coordinates;
use crate::names::GroupId;
use crate::xml::{self, XmlError};

/// Name of the document, at the root of a repository.
pub const FILE_NAME: &str = "archetype-catalog.xml";
/// The packaging of an archetype's POM.
pub const PACKAGING: &str = "maven-archetype";
/// Largest catalogue that is read, in bytes.
pub const MAX_BYTES: usize = 64 << 20;

const ROOT: &str = "archetype-catalog";
const LIST: &str = "archetypes";
const DEPTH_LIMIT: usize = 16;
/// Longest text of a group, in bytes: no valid one is longer.
const GROUP_LIMIT: usize = 512;

/// A catalogue of these archetypes.
pub fn write(own: &[Coordinates]) -> String {
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{ROOT}>\n  <{LIST}>\n{}  </{LIST}>\n</{ROOT}>\n", listed(own))
}

fn listed(own: &[Coordinates]) -> String {
    let mut text = String::new();
    for Coordinates { group, artifact, version } in own {
        // None of the three can hold a character that means something in XML. Writing to a string does not fail.
        let _ = write!(
            text,
            "    <archetype>\n      <groupId>{group}</groupId>\n      <artifactId>{artifact}</artifactId>\n      \
             <version>{version}</version>\n    </archetype>\n"
        );
    }
    text
}

/// The catalogue with these archetypes at its end, and without those of groups that `keep` refuses.
///
/// # Errors
/// [`XmlError`] for a document that is no catalogue, or larger than [`MAX_BYTES`].
pub fn merge(catalogue: &[u8], own: &[Coordinates], keep: impl Fn(&GroupId) -> bool) -> Result<String, XmlError> {
    if catalogue.len() > MAX_BYTES {
        return Err(XmlError::TooLarge { actual: catalogue.len(), limit: MAX_BYTES });
    }
    let text = match xml::decode(catalogue)? {
        std::borrow::Cow::Borrowed(text) => text,
        // What it says of its encoding would not hold for what is made of it.
        std::borrow::Cow::Owned(_) => return Err(XmlError::Encoding { name: "ISO-8859-1".to_owned() }),
    };
    let mut reader = Reader::from_str(text);
    let mut out = String::with_capacity(text.len());
    let (mut copied, mut begun) = (0, 0);
    let (mut open, mut group): (Vec<String>, String) = Default::default();
    let mut is_in = false;
    loop {
        let before = place(&reader);
        let event = reader.read_event().map_err(|error| xml::malformed(&reader, error))?;
        let after = place(&reader);
        match event {
            Event::Start(start) => {
                let name = start.local_name();
                open.push(AsRef::<str>::as_ref(&name).to_owned());
                check(&open)?;
                if is_at(&open, &[ROOT, LIST, "archetype"]) {
                    begun = before;
                    group.clear();
                }
            }
            Event::Empty(start) => {
                let name = start.local_name();
                open.push(AsRef::<str>::as_ref(&name).to_owned());
                check(&open)?;
                if is_at(&open, &[ROOT, LIST]) && !is_in {
                    is_in = true;
                    out.push_str(text.get(copied..before).unwrap_or_default());
                    let _ = write!(out, "<{LIST}>\n{}  </{LIST}>", listed(own));
                    copied = after;
                }
                open.pop();
            }
            Event::End(_) => {
                let refused = || group.trim().parse().is_ok_and(|group: GroupId| !keep(&group));
                if is_at(&open, &[ROOT, LIST, "archetype"]) && refused() {
                    out.push_str(text.get(copied..begun).unwrap_or_default());
                    copied = after;
                } else if is_at(&open, &[ROOT, LIST]) && !is_in {
                    is_in = true;
                    out.push_str(text.get(copied..before).unwrap_or_default());
                    out.push_str(&listed(own));
                    copied = before;
                }
                open.pop();
            }
            Event::Text(content)
                if group.len() < GROUP_LIMIT && is_at(&open, &[ROOT, LIST, "archetype", "groupId"]) =>
            {
                group.push_str(&content.xml10_content());
            }
            Event::DocType(_) => return Err(XmlError::DocumentType),
            Event::Eof if open.is_empty() && is_in => break,
            Event::Eof => {
                let reason = format!("it ends without a list of {LIST}");
                return Err(XmlError::Malformed { position: reader.buffer_position(), reason });
            }
            _ => {}
        }
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    Ok(out)
}

fn place(reader: &Reader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

fn is_at(open: &[String], way: &[&str]) -> bool {
    open.iter().map(String::as_str).eq(way.iter().copied())
}

fn check(open: &[String]) -> Result<(), XmlError> {
    match open {
        [root, ..] if root != ROOT => Err(XmlError::Root { expected: ROOT, actual: xml::cut(root) }),
        _ if open.len() > DEPTH_LIMIT => Err(XmlError::TooDeep { limit: DEPTH_LIMIT }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Vec<Coordinates> {
        ["org.own:start:1.0".parse().unwrap(), "org.own:start:2.0".parse().unwrap()].to_vec()
    }

    fn catalogue(entries: &str) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- theirs -->\n<archetype-catalog \
             xmlns=\"http://maven.apache.org/plugins/maven-archetype-plugin/archetype-catalog/1.0.0\">\n <archetypes>{entries}\n \
             </archetypes>\n</archetype-catalog>\n"
        )
    }

    fn entry(group: &str) -> String {
        format!(
            "\n  <archetype><groupId> {group}\n</groupId><artifactId>a</artifactId><version>1</version>\
             <description>x &amp; <![CDATA[<y>]]></description></archetype>"
        )
    }

    #[test]
    fn own_archetypes_are_put_into_a_catalogue_that_stays_as_it_is() {
        let theirs = catalogue(&format!("{}{}", entry("com.theirs"), entry("net.theirs")));
        let merged = merge(theirs.as_bytes(), &own(), |_| true).unwrap();
        let (before, after) = theirs.split_at(theirs.find("</archetypes>").unwrap());
        assert_eq!(merged, format!("{before}{}{after}", listed(&own())));
        assert_eq!(merge(theirs.as_bytes(), &[], |_| true).unwrap(), theirs);
        // What is made of it is a catalogue again.
        assert_eq!(merged.matches("<archetype>").count(), 4);
        assert!(merge(merged.as_bytes(), &[], |_| true).unwrap() == merged);
        let plain = |text: String| text.split_whitespace().collect::<String>();
        assert_eq!(plain(merge(write(&[]).as_bytes(), &own(), |_| true).unwrap()), plain(write(&own())));
    }

    #[test]
    fn what_others_say_of_a_group_that_is_not_theirs_is_left_out() {
        let theirs = catalogue(&format!("{}{}", entry("org.own"), entry("com.theirs")));
        let merged = merge(theirs.as_bytes(), &own(), |group| group.as_str() != "org.own").unwrap();
        assert!(merged.contains("com.theirs") && merged.matches("org.own").count() == 2, "{merged}");
    }

    #[test]
    fn an_empty_list_is_a_list_and_what_is_none_is_refused() {
        let merged = merge(b"<archetype-catalog><archetypes/></archetype-catalog>", &own(), |_| true).unwrap();
        assert_eq!(merged.matches("<archetype>").count(), 2);
        for bad in [
            "<archetype-catalog/>",
            "<archetype-catalog></archetype-catalog>",
            "<archetypes></archetypes>",
            "<html><archetypes/></html>",
            "<archetype-catalog><archetypes>",
            "<!DOCTYPE x []><archetype-catalog><archetypes/></archetype-catalog>",
            "",
        ] {
            assert!(merge(bad.as_bytes(), &own(), |_| true).is_err(), "{bad}");
        }
        let latin =
            b"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><archetype-catalog><archetypes/></archetype-catalog>";
        assert!(matches!(merge(latin, &own(), |_| true), Err(XmlError::Encoding { .. })));
        let deep = format!("<archetype-catalog>{}", "<a>".repeat(100));
        assert!(matches!(merge(deep.as_bytes(), &own(), |_| true), Err(XmlError::TooDeep { .. })));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, text in "(<archetype-catalog>|<archetypes/?>|</archetypes>|<archetype>|é|&|>|<){0,12}") {
            let _ = merge(&bytes, &own(), |_| true);
            let _ = merge(text.as_bytes(), &own(), |_| false);
        }
    }
}
