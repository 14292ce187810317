//! Answers in the XML form of [Solr](https://solr.apache.org/guide/solr/latest/query-guide/response-writers.html#xml-response-writer),
//! for clients that ask with `wt=xml`.

use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::{Answer, Document};

type Out = Writer<Vec<u8>>;

/// Writes an answer.
pub(super) fn write(answer: &Answer) -> io::Result<Vec<u8>> {
    let mut out = Writer::new(Vec::new());
    out.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    out.create_element("response").write_inner_content(|out| {
        named(out, "lst", "responseHeader", |out| header(out, answer))?;
        let response = &answer.response;
        let (found, start) = (response.num_found.to_string(), response.start.to_string());
        out.create_element("result")
            .with_attribute(("name", "response"))
            .with_attribute(("numFound", found.as_str()))
            .with_attribute(("start", start.as_str()))
            .write_inner_content(|out| response.docs.iter().try_for_each(|found| document(out, found)))?;
        named(out, "lst", "spellcheck", |out| named(out, "lst", "suggestions", |_| Ok(())))
    })?;
    Ok(out.into_inner())
}

fn header(out: &mut Out, answer: &Answer) -> io::Result<()> {
    let header = &answer.response_header;
    value(out, "int", "status", &header.status.to_string())?;
    value(out, "int", "QTime", &header.milliseconds.to_string())?;
    let params = &header.params;
    named(out, "lst", "params", |out| {
        for (name, text) in [
            ("q", params.q.as_str()),
            ("core", params.core.as_str()),
            ("rows", params.rows.as_str()),
            ("start", params.start.as_str()),
            ("wt", params.wt),
            ("version", params.version),
        ] {
            value(out, "str", name, text)?;
        }
        Ok(())
    })
}

fn document(out: &mut Out, found: &Document) -> io::Result<()> {
    out.create_element("doc").write_inner_content(|out| {
        for (name, text) in [
            ("id", Some(found.id.as_str())),
            ("g", Some(found.g.as_str())),
            ("a", Some(found.a.as_str())),
            ("v", found.v.as_deref()),
            ("latestVersion", found.latest_version.as_deref()),
            ("repositoryId", found.repository_id),
            ("p", Some(found.p.as_str())),
        ] {
            if let Some(text) = text {
                value(out, "str", name, text)?;
            }
        }
        value(out, "long", "timestamp", &found.timestamp.to_string())?;
        if let Some(count) = found.version_count {
            value(out, "int", "versionCount", &count.to_string())?;
        }
        if let Some(words) = &found.text {
            list(out, "text", words)?;
        }
        list(out, "ec", &found.ec)
    })?;
    Ok(())
}

fn list(out: &mut Out, name: &str, texts: &[String]) -> io::Result<()> {
    named(out, "arr", name, |out| {
        for text in texts {
            out.create_element("str").write_text_content(BytesText::new(&legal(text)))?;
        }
        Ok(())
    })
}

fn value(out: &mut Out, kind: &str, name: &str, text: &str) -> io::Result<()> {
    out.create_element(kind).with_attribute(("name", name)).write_text_content(BytesText::new(&legal(text)))?;
    Ok(())
}

fn named(out: &mut Out, kind: &str, name: &str, content: impl FnOnce(&mut Out) -> io::Result<()>) -> io::Result<()> {
    out.create_element(kind).with_attribute(("name", name)).write_inner_content(content)?;
    Ok(())
}

/// A text without the characters that no XML document can hold, escaped or not: what was asked for is repeated, whatever it was.
fn legal(text: &str) -> String {
    let is_legal = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    text.chars().map(|c| if is_legal(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Header, Params, Response, Spelling};
    use super::*;

    fn answer(q: &str, docs: Vec<Document>) -> Answer {
        let params = Params {
            q: q.to_owned(),
            core: String::new(),
            rows: "20".to_owned(),
            start: "0".to_owned(),
            wt: "xml",
            version: "2.2",
        };
        Answer {
            response_header: Header { status: 0, milliseconds: 7, params },
            response: Response { num_found: 12, start: 0, docs },
            spellcheck: Spelling { suggestions: [] },
        }
    }

    #[test]
    fn an_answer_is_written_as_solr_does() {
        let found = Document {
            id: "org.acme:lib".to_owned(),
            g: "org.acme".to_owned(),
            a: "lib".to_owned(),
            v: None,
            latest_version: Some("1.0".to_owned()),
            repository_id: Some("central"),
            p: "jar".to_owned(),
            timestamp: 5_000,
            version_count: Some(3),
            text: Some(vec!["org.acme".to_owned(), "lib".to_owned()]),
            ec: vec![".jar".to_owned()],
        };
        let written = String::from_utf8(write(&answer("lib", vec![found])).unwrap()).unwrap();
        let expected = concat!(
            r#"<?xml version="1.0" encoding="UTF-8"?><response><lst name="responseHeader"><int name="status">0</int>"#,
            r#"<int name="QTime">7</int><lst name="params"><str name="q">lib</str><str name="core"></str>"#,
            r#"<str name="rows">20</str><str name="start">0</str><str name="wt">xml</str>"#,
            r#"<str name="version">2.2</str></lst></lst><result name="response" numFound="12" start="0"><doc>"#,
            r#"<str name="id">org.acme:lib</str><str name="g">org.acme</str><str name="a">lib</str>"#,
            r#"<str name="latestVersion">1.0</str><str name="repositoryId">central</str><str name="p">jar</str>"#,
            r#"<long name="timestamp">5000</long><int name="versionCount">3</int>"#,
            r#"<arr name="text"><str>org.acme</str><str>lib</str></arr><arr name="ec"><str>.jar</str></arr>"#,
            r#"</doc></result><lst name="spellcheck"><lst name="suggestions"></lst></lst></response>"#,
        );
        assert_eq!(written, expected);
    }

    #[test]
    fn nothing_that_was_asked_for_gets_out_of_its_place() {
        let written = write(&answer("</str>&<x y=\"1\">\u{1}\u{fffe}\u{1f600}\n", Vec::new())).unwrap();
        let written = String::from_utf8(written).unwrap();
        assert!(written.contains("&lt;/str&gt;&amp;&lt;x y="), "{written}");
        assert!(!written.contains(['\u{1}', '\u{fffe}']) && written.contains('\u{1f600}'), "{written}");
        let mut reader = quick_xml::Reader::from_str(&written);
        while !matches!(reader.read_event().unwrap(), Event::Eof) {}
    }
}
