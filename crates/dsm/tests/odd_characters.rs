//! Characters that are longer than a byte, wherever they stand in the files of a mapping: nothing panics, and every
//! finding points at whole characters.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail the test"
)]

use dsm::Mapping;
use dsm::diagnostic::{Diagnostics, SourceFile};
use dsm::keypath;
use dsm::mapping::Source;
use std::sync::Arc;

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

/// Every kind of element and attribute, and every fault of an attribute that is read on after: no value, no quotes,
/// twice, no equals sign.
const EXTENSION: &str = r#"<ns2:device-extension xmlns:ns2="event_parsing/device_extension" xmlns:dsmith="urn:dsmith:lsx:1">
<pattern id="a" type="JsonKeypath" dsmith:hits="first">/"a"[?"b"="c"]/"d"</pattern>
<pattern id="b" trim-whitespace="true"><![CDATA[u=(\w+) x&amp;]]> &lt; </pattern>
<pattern id=c case-insensitive>[0]</pattern><pattern id="d" id="d" type=“XmlKey”>{/"a"[1].x} {</pattern>
<match-group order="1"><json-matcher field="EventName" order="1" pattern-id="a"/>
<matcher field="DeviceTime" order=2 pattern-id="b" capture-group="\1$1" ext-data="%Y"/>
<event-match-single event-name= severity="x"/></match-group>
</ns2:device-extension>"#;

const MANIFEST: &str = r#"format = 1
name = "Acme"
log_source_type_id = 4001
[leef]
vendor = "A"
product = "B"
version = '1'
[autodetection]
rules = [{ keypaths = ['/"a"'], patterns = ["\\w"] }]
[[property]]
name = "Disk"
type = "datetime"
datetime_format = "%Y"
leef_key = "di-sk"
"#;

const QIDS: &str = "qid,name,description,severity,lowlevelcategory\n2000001,\"Log\"\"in\",d,3,User Login Success\n";
const MAPPINGS: &str = "event_id,event_category,qid\nlogin,\"x,y\",2000001\n";

fn source(texts: [&str; 4]) -> Source {
    let file = |name: &str, text: &str| SourceFile::new(name, text);
    Source {
        slug: "acme".to_owned(),
        manifest: file("manifest.toml", texts[0]),
        extension: file("extension.xml", texts[1]),
        qidmap: file("qidmap.csv", texts[2]),
        event_mappings: file("event-mappings.csv", texts[3]),
    }
}

fn check(findings: &Diagnostics, of: &Arc<SourceFile>) {
    for finding in findings {
        for label in &finding.labels {
            assert!(
                label.file.text.get(label.span.clone()).is_some(),
                "{:?} splits a character: {finding}\n{}",
                label.span,
                of.text
            );
        }
    }
}

/// A text with each of the odd characters before each of its characters, and in the place of it.
fn disturbed(text: &str) -> impl Iterator<Item = String> + '_ {
    let places = text.char_indices().enumerate();
    places.flat_map(move |(count, (at, old))| {
        let (before, rest) = text.split_at(at);
        let inserted = ODD.iter().map(move |odd| format!("{before}{odd}{rest}"));
        let odd = ODD[count % ODD.len()];
        let replaced = format!("{before}{odd}{}", &rest[old.len_utf8()..]);
        inserted.chain([replaced])
    })
}

#[test]
fn a_tag_with_a_blank_of_another_script_is_read() {
    for blank in ['\u{a0}', '\u{2028}', '\u{85}', '\u{3000}'] {
        for tag in [
            format!("<pattern{blank}id=x/>"),
            format!("<pattern id{blank}/>"),
            format!("<pattern {blank}id/>"),
            format!("<pattern id=\"a\" {blank}type=JavaPattern>x</pattern>"),
        ] {
            let text = format!(
                "<device-extension xmlns=\"event_parsing/device_extension\">{tag}</device-extension>"
            );
            let file = SourceFile::new("x.xml", text);
            let (_, findings) = Mapping::from_extension("x", &file);
            assert!(findings.has_errors(), "{tag}");
            check(&findings, &file);
        }
    }
}

#[test]
fn odd_characters_in_an_extension_split_nothing() {
    for text in disturbed(EXTENSION) {
        let file = SourceFile::new("x.xml", text);
        let (_, findings) = Mapping::from_extension("x", &file);
        check(&findings, &file);
    }
}

#[test]
fn odd_characters_in_a_manifest_and_in_tables_split_nothing() {
    for text in disturbed(MANIFEST) {
        let source = source([&text, EXTENSION, QIDS, MAPPINGS]);
        check(&dsm::manifest::parse(&source.manifest).1, &source.manifest);
    }
    for (index, whole) in [QIDS, MAPPINGS].into_iter().enumerate() {
        for text in disturbed(whole) {
            let mut texts = [MANIFEST, "<a/>", QIDS, MAPPINGS];
            texts[2 + index] = &text;
            let source = source(texts);
            let (_, findings) = Mapping::load(&source);
            check(&findings, &source.qidmap);
        }
    }
}

#[test]
fn odd_characters_in_key_paths_split_nothing() {
    for whole in [
        r#"/"a b"[2]/"d"[]/[?"x"/"y" != "z"]"#,
        r#"{/"a"}, {/"b\"}"[1]}x"#,
        r#"/"root"/"e"[1].attribute"#,
    ] {
        for text in disturbed(whole) {
            let json = keypath::json_format(&text).err();
            let xml = keypath::xml_format(&text).err();
            for error in json.into_iter().chain(xml) {
                assert!(text.get(error.span.clone()).is_some(), "{text}: {error:?}");
            }
        }
    }
}

#[test]
fn odd_characters_in_date_formats_and_stamps_split_nothing() {
    use dsm::device_time::{DateFormat, Dialect};
    for whole in [
        "yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
        "EEE MMM d, ''yy h:mm a z",
        "bb %d",
    ] {
        for text in disturbed(whole) {
            for dialect in [Dialect::Joda, Dialect::SimpleDateFormat] {
                if let Err(error) = DateFormat::new(&text, dialect) {
                    let span = error.span.clone();
                    assert!(text.get(span).is_some(), "{text}: {error:?}");
                }
            }
        }
    }
    let payload = "<13>Nov 23 10:00:00 h: a=2026-11-23T10:00:00+01:00 CEF:0|a|b|c|d|e|3|x=y";
    let extension = SourceFile::new(
        "x.xml",
        r#"<device-extension xmlns="event_parsing/device_extension">
<pattern id="n">(\w+)</pattern><pattern id="t">a=(\S+)</pattern><pattern id="c" type="CefKey">x</pattern><pattern id="p" type="NameValuePairKey">a</pattern>
<match-group order="1"><matcher field="EventName" order="1" pattern-id="n"/>
<matcher field="DeviceTime" order="1" pattern-id="t" capture-group="1"/>
<cef-matcher field="UserName" order="1" pattern-id="c"/><namevaluepair-matcher field="UserName" order="2" pattern-id="p" delimiter-pair=" " delimiter-namevalue="="/></match-group></device-extension>"#,
    );
    let mapping = Mapping::from_extension("x", &extension).0.unwrap();
    let mut normalizer = dsm::Normalizer::new(&mapping);
    let received = chrono::DateTime::from_timestamp(1_795_000_000, 0).unwrap();
    for text in disturbed(payload) {
        let payload = dsm::Payload::from(text.as_str());
        let event = normalizer.normalize(&payload, received);
        for property in &event.properties {
            if let Some(span) = property.origin.span() {
                assert!(text.get(span.range()).is_some(), "{property:?}");
            }
        }
    }
}
