//! Characters that are longer than a byte, wherever they stand in what an author writes: nothing panics.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

use authoring::anonymize::{self, Anonymizer};
use authoring::import::{self, Identity};
use authoring::language::{Checked, Lines, View};
use authoring::lint;
use authoring::render::{Format, render};
use authoring::replay::Corpus;
use authoring::rewrite;
use dsm::Mapping;
use dsm::diagnostic::SourceFile;
use dsm::lsx;
use dsm::mapping::Source;

/// White space that XML does not know as such, marks without a width, letters, and what editors insert unasked.
const ODD: &[char] = &[
    '\u{a0}',
    '\u{2028}',
    '\u{85}',
    '\u{3000}',
    '\u{feff}',
    '\u{301}',
    'é',
    '\u{1F600}',
    '“',
    '\u{200b}',
    '\0',
];

const MANIFEST: &str = r#"format = 1
name = "Acme"
log_source_type_id = 4001
[leef]
vendor = "A"
product = "B"
version = "1"
[[allow]]
lint = "DSM103"
at = ["pattern/*"]
reason = "x"
"#;

const EXTENSION: &str = r#"<ns2:device-extension xmlns:ns2="event_parsing/device_extension" xmlns:dsmith="urn:dsmith:lsx:1">
<pattern id="a" type="JsonKeypath" dsmith:hits="first">/"a"[?"b"="c"]/"d"</pattern>
<pattern id="b"><![CDATA[(?i).*?"u":"(\w)"]]></pattern><pattern id="c" ><![CDATA[(?i).*?"u":"(\w)"]]></pattern>
<match-group order="1"><json-matcher field="EventName" order="1" pattern-id="a"/>
<matcher field="DeviceTime" order="2" pattern-id="b" capture-group="1" ext-data="MMM DD HH:MM"/>
<matcher field="UserName" order="2" pattern-id="c" capture-group="1" enable-substitutions="true"/></match-group>
</ns2:device-extension>"#;

/// A text with an odd character before each of its characters, and in the place of it, and where that is.
fn disturbed(text: &str) -> impl Iterator<Item = (String, usize)> + '_ {
    let places = text.char_indices().enumerate();
    places.flat_map(move |(count, (at, old))| {
        let (before, rest) = text.split_at(at);
        let odd = |step: usize| ODD[(count + step) % ODD.len()];
        [
            (format!("{before}{}{rest}", odd(0)), at),
            (format!("{before}{}{rest}", odd(3)), at),
            (format!("{before}{}{}", odd(5), &rest[old.len_utf8()..]), at),
        ]
    })
}

fn source(manifest: &str, extension: &str) -> Source {
    let file = |name: &str, text: &str| SourceFile::new(name, text);
    Source {
        slug: "acme".to_owned(),
        manifest: file("manifest.toml", manifest),
        extension: file("extension.xml", extension),
        qidmap: file(
            "qidmap.csv",
            "qid,name,description,severity,lowlevelcategory\n",
        ),
        event_mappings: file("event-mappings.csv", "event_id,event_category,qid\n"),
    }
}

#[test]
fn an_extension_is_checked_linted_mended_and_shown() {
    let mut corpus = Corpus::default();
    corpus
        .add("p.log", br#"{"a":{"b":"c","d":"e"},"u":"x"}"#)
        .unwrap();
    for (count, (text, _)) in disturbed(EXTENSION).enumerate() {
        let source = source(MANIFEST, &text);
        let findings = Mapping::load(&source).1;
        for format in [Format::Human, Format::Json] {
            render(&findings, format, false);
        }
        // The lints run the patterns, which takes longer.
        if count % 97 != 0 {
            continue;
        }
        let report = lint::lint(&source, &corpus);
        render(&report.diagnostics(), Format::Human, false);
        for fix in report
            .findings
            .iter()
            .filter_map(|finding| finding.fix.as_ref())
        {
            rewrite::apply(&fix.part.of(&source).text, &fix.edits);
        }
        let _ = authoring::export::lsx(&source, &corpus);
    }
    for (text, _) in disturbed(MANIFEST).step_by(97) {
        let report = lint::lint(&source(&text, EXTENSION), &corpus);
        render(&report.diagnostics(), Format::Human, false);
    }
}

#[test]
fn an_editor_is_answered_at_every_place() {
    for (text, at) in disturbed(EXTENSION) {
        let source = source(MANIFEST, &text);
        let (mapping, findings) = Mapping::load(&source);
        let document = lsx::parse(&source.extension).0;
        let checked = Checked {
            source: Some(source),
            mapping,
            findings,
        };
        let view = View {
            document: &document,
            checked: Some(&checked),
            study: None,
        };
        view.lenses();
        let lines = Lines::new(&text);
        for offset in at..(at + 6).min(text.len()) {
            if text.is_char_boundary(offset) {
                view.hover(offset);
                view.definition(offset);
                let proposals = view.proposals(offset);
                assert!(text.get(proposals.typed.clone()).is_some(), "{text}");
                let (line, column) = lines.position(offset);
                assert_eq!(lines.offset(line, column), offset, "{text}");
            }
        }
    }
}

#[test]
fn an_extension_is_imported_or_refused() {
    let identity = Identity {
        slug: "acme".to_owned(),
        name: None,
        type_id: None,
    };
    let requests = r#"{"log_source_type":"A","properties":[{"name":"P","property_type":"string","expressions":[{"type":"regex","regex":"x(y)","capture_group":1}]}]}"#;
    for (text, _) in disturbed(EXTENSION) {
        let files = [
            ("x.xml".to_owned(), text),
            ("p.json".to_owned(), requests.to_owned()),
        ];
        let _ = import::import(&files, &identity);
    }
    for (text, _) in disturbed(requests) {
        let files = [
            ("x.xml".to_owned(), EXTENSION.to_owned()),
            ("p.json".to_owned(), text),
        ];
        let _ = import::import(&files, &identity);
    }
}

#[test]
fn tags_and_elements_are_found_or_not() {
    let text = "<a>\n  <b x='1' y=\"</b>\"><![CDATA[</b>]]></b>\n  <c  z = \"2\" /> <d/>\n</a>\n";
    for (text, _) in disturbed(text) {
        for (start, _) in text.match_indices('<') {
            for (length, _) in text[start..].match_indices('>') {
                let tag = start..start + length + 1;
                assert!(text.get(rewrite::element(&text, &tag)).is_some(), "{text}");
                if let Some((whole, value)) = rewrite::attribute(&text, &tag, "y") {
                    assert!(text.get(whole).is_some() && text.get(value).is_some());
                }
            }
        }
    }
}

#[test]
fn payloads_are_anonymized_or_refused() {
    let payload = "<13>Nov 23 10:00:00 gw: user=jo.roe C:\\Users\\jroe\\x 10.1.2.3 a:b::1 aa-bb-cc-dd-ee-ff jo@acme.com S-1-5-21-1-2-3-500 pc.acme.com password=\"x\"";
    for (text, _) in disturbed(payload) {
        let mut anonymizer = Anonymizer::new(1);
        anonymizer.learn(&text);
        let _ = anonymizer.apply(&text);
        anonymize::findings(&text);
        let text = text.replace(" password=\"x\"", "");
        anonymizer.learn(&text);
        let _ = anonymizer.apply(&text);
    }
}
