use proptest::prelude::*;

use super::*;
use crate::{metadata, pom::Pom, settings, superpom};

fn parse_text(text: &str) -> Result<Element, XmlError> {
    parse(text.as_bytes(), "r")
}

fn text_of(text: &str) -> String {
    parse_text(text).unwrap().text
}

#[test]
fn text_is_put_together() {
    assert_eq!(text_of("<r> a&amp;b <![CDATA[ <c> ]]><!-- no -->&#100;&#x65; </r>"), "a&b  <c> de");
    assert_eq!(text_of("<r>&lt;&gt;&quot;&apos;</r>"), "<>\"'");
    assert_eq!(text_of("<r>a\r\nb</r>"), "a\nb");
    assert_eq!(parse_text("<x:r xmlns:x='u'><x:a>1</x:a></x:r>").unwrap().text_of("a"), Some("1"));
}

#[test]
fn byte_order_mark_and_declared_encodings() {
    assert_eq!(parse(b"\xef\xbb\xbf<r>x</r>", "r").unwrap().text, "x");
    assert_eq!(parse(b"\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\"?><r>x</r>", "r").unwrap().text, "x");
    assert_eq!(parse(b"<?xml version='1.0' encoding='ISO-8859-1'?><r>\xe9</r>", "r").unwrap().text, "é");
    assert_eq!(parse("<r>é</r>".as_bytes(), "r").unwrap().text, "é");
    assert_eq!(parse(b"<r>\xe9</r>", "r"), Err(XmlError::NotText { position: 3, encoding: "UTF-8" }));
    assert_eq!(
        parse(b"<?xml version='1.0' encoding='US-ASCII'?><r>\xe9</r>", "r"),
        Err(XmlError::NotText { position: 44, encoding: "US-ASCII" })
    );
}

#[test]
fn other_encodings_are_refused_by_name() {
    let refused = |bytes: &[u8]| match parse(bytes, "r") {
        Err(XmlError::Encoding { name }) => name,
        other => panic!("{other:?}"),
    };
    let utf16 = |text: &str, to: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(to).collect::<Vec<u8>>();
    assert_eq!(refused(&utf16("\u{feff}<r/>", u16::to_be_bytes)), "UTF-16");
    assert_eq!(refused(&utf16("\u{feff}<r/>", u16::to_le_bytes)), "UTF-16");
    assert_eq!(refused(&utf16("<?xml version='1.0' encoding='UTF-16'?><r/>", u16::to_be_bytes)), "UTF-16");
    assert_eq!(refused(&utf16("<?xml version='1.0'?><r/>", u16::to_le_bytes)), "UTF-16");
    assert_eq!(refused(b"\xff\xfe\0\0<\0\0\0"), "UTF-32");
    assert_eq!(refused(b"<?xml version='1.0' encoding='UTF-16'?><r/>"), "UTF-16");
    assert_eq!(refused(b"<?xml version='1.0' encoding = \"UTF-7\" ?><r/>"), "UTF-7");
    assert_eq!(refused(b"\xef\xbb\xbf<?xml version='1.0' encoding='ISO-8859-1'?><r/>"), "ISO-8859-1");
}

#[test]
fn entities_and_document_types_are_refused() {
    for text in [
        "<!DOCTYPE r><r/>",
        "<!DOCTYPE r SYSTEM \"file:///etc/passwd\"><r/>",
        "<!DOCTYPE r [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><r>&b;</r>",
        "<!DOCTYPE r [<!ENTITY % x SYSTEM \"https://example.org/\"> %x;]><r/>",
        "<?xml version='1.0'?><!-- x --><!DOCTYPE r [ <!ENTITY x SYSTEM 'file:///dev/random'> ]><r>&x;</r>",
    ] {
        assert_eq!(parse_text(text), Err(XmlError::DocumentType), "{text}");
    }
    for text in ["<r>&nbsp;</r>", "<r a='&nbsp;'/>", "<r><a b=\"&nbsp;\"/></r>"] {
        assert_eq!(parse_text(text), Err(XmlError::Entity { name: "nbsp".to_owned() }), "{text}");
    }
    for text in
        ["<r>&#0;</r>", "<r>&#x1;</r>", "<r>&#xFFFF;</r>", "<r>&#xD800;</r>", "<r>&#99999999999;</r>", "<r>\u{1}</r>"]
    {
        assert_eq!(parse_text(text), Err(XmlError::Character), "{text:?}");
    }
}

#[test]
fn size_depth_and_count_are_bounded() {
    let deep = |levels: usize| format!("<r>{}{}</r>", "<a>".repeat(levels), "</a>".repeat(levels));
    assert!(parse_text(&deep(99)).is_ok());
    assert_eq!(parse_text(&deep(100)), Err(XmlError::TooDeep { limit: 100 }));
    assert_eq!(parse_text(&"<r>".repeat(1_000_000)), Err(XmlError::TooDeep { limit: 100 }));
    let wide = format!("<r>{}</r>", "<a/>".repeat(ELEMENT_LIMIT));
    assert_eq!(parse_text(&wide), Err(XmlError::TooManyElements { limit: ELEMENT_LIMIT }));
    let large = vec![b' '; SIZE_LIMIT + 1];
    assert_eq!(parse(&large, "r"), Err(XmlError::TooLarge { actual: SIZE_LIMIT + 1, limit: SIZE_LIMIT }));
}

#[test]
fn attributes_are_bounded_in_number_and_time() {
    let many: String = (0..=ATTRIBUTE_LIMIT).map(|at| format!(" a{at}='1'")).collect();
    assert_eq!(parse_text(&format!("<r{many}/>")), Err(XmlError::TooManyAttributes { limit: ATTRIBUTE_LIMIT }));
    let references = "&#".repeat(3_000_000);
    assert!(parse_text(&format!("<r a='{references};'/>")).is_err());
    assert!(parse_text("<r a='&lt;&#65;&amp;'/>").is_ok());
}

#[test]
fn a_declaration_is_never_ignored() {
    let late = format!("<?xml version='1.0'{}encoding='UTF-7'?><r/>", " ".repeat(300));
    let twice = "<r/><?xml version='1.0' encoding='UTF-7'?>".to_owned();
    let indented = "\n<?xml version='1.0' encoding='UTF-7'?><r/>".to_owned();
    let unquoted = "<?xml version='1.0' encoding=UTF-7?><r/>".to_owned();
    for text in [late, twice, indented, unquoted] {
        assert!(matches!(parse_text(&text), Err(XmlError::Malformed { .. })), "{text}");
    }
    assert!(parse_text("<?xml-stylesheet href='encoding'?><r/>").is_ok());
}

#[test]
fn what_is_not_well_formed_is_refused() {
    for text in [
        "<r>",
        "<r></s>",
        "</r>",
        "<r/><r/>",
        "<r/>x",
        "x<r/>",
        "<r><a></r></a>",
        "<r>&amp</r>",
        "<r>&</r>",
        "<r a=1/>",
        "<r a='1' a='2'/>",
        "<r><!-- a -- b --></r>",
        "<r><![CDATA[</r>",
        "<r",
        "<r/>&amp;",
        "<![CDATA[x]]><r/>",
    ] {
        assert!(matches!(parse_text(text), Err(XmlError::Malformed { .. })), "{text}: {:?}", parse_text(text));
    }
    for text in ["", "   ", "<!-- only -->", "<s/>"] {
        assert!(matches!(parse_text(text), Err(XmlError::Root { .. })), "{text}: {:?}", parse_text(text));
    }
}

fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("<project>"),
        Just("</project>"),
        Just("<settings>"),
        Just("</settings>"),
        Just("<metadata>"),
        Just("</metadata>"),
        Just("<a>"),
        Just("</a>"),
        Just("<a/>"),
        Just("<mirrors><mirror>"),
        Just("</mirror></mirrors>"),
        Just("<versioning><versions><version>"),
        Just("<parent>"),
        Just("<scm>"),
        Just("<!DOCTYPE x ["),
        Just("<!ENTITY a \"&b;&b;\">"),
        Just("]>"),
        Just("&a;"),
        Just("&amp;"),
        Just("&#65;"),
        Just("&#x0;"),
        Just("&"),
        Just("<![CDATA["),
        Just("]]>"),
        Just("<!--"),
        Just("-->"),
        Just("--"),
        Just("<?x"),
        Just("?>"),
        Just("<?xml version='1.0' encoding='"),
        Just("UTF-16'?>"),
        Just("ISO-8859-1'?>"),
        Just("\u{feff}"),
        Just("<"),
        Just(">"),
        Just("'"),
        Just("\""),
        Just("="),
        Just("é"),
        Just("\0"),
        Just("${x}"),
        Just("1"),
    ];
    let text = proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat().into_bytes());
    (text, proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3)).prop_map(
        |(mut bytes, edits)| {
            for (at, byte) in edits {
                if !bytes.is_empty() {
                    let at = at.index(bytes.len());
                    bytes[at] = byte;
                }
            }
            bytes
        },
    )
}

/// Every entity that is expanded is at least as long as what it becomes, so nothing that is read can outgrow it.
fn total_text(element: &Element) -> usize {
    element.text.len() + element.name.len() + element.children.iter().map(total_text).sum::<usize>()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn hostile_documents_are_errors_or_small_values(bytes in hostile()) {
        for root in ["project", "settings", "metadata"] {
            if let Ok(element) = parse(&bytes, root) {
                // ISO-8859-1 doubles at most.
                prop_assert!(total_text(&element) <= 2 * bytes.len());
                prop_assert!(!bytes.windows(9).any(|window| window == b"<!DOCTYPE") || bytes.windows(4).any(|w| w == b"<!--" || w == b"<![C" || w[..2] == *b"<?"));
            }
        }
        let _ = Pom::parse(&bytes).map(|pom| (pom.effective_coordinates(), pom.parent_coordinates()));
        let _ = settings::parse(&bytes).map(|settings| settings.mirror_of_central().cloned());
        let _ = superpom::central_url(&bytes);
        let _ = metadata::parse(&bytes).map(|metadata| metadata::write(&metadata));
    }

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(parse(&bytes, "project").is_err() || bytes.windows(8).any(|window| window == b"<project"));
    }
}
