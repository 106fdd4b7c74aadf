//! Mappings, QID maps and fixtures of any size, for measuring how cost grows.
//!
//! What is found in a payload stays the same whatever the size, so that a curve shows the cost of the rest alone.

use super::corpus::Corpus;
use dsm::Mapping;
use dsm::diagnostic::SourceFile;
use dsm::mapping::Source;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Members (or pairs) of a payload of [`payloads_for_matchers`], and how many of them a mapping of any size finds.
const MEMBERS: usize = 40;
const FOUND: usize = 10;

/// What the matchers of a mapping are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matchers {
    /// Key paths into JSON.
    Json,
    /// Regular expressions over text.
    Regex,
}

/// A mapping with `count` matchers, each with a pattern of its own: `FOUND` find something, the others look for what
/// is not there.
pub fn mapping_of_matchers(kind: Matchers, count: usize) -> Option<Mapping> {
    let mut patterns = String::new();
    let mut matchers = String::new();
    for index in 0..count {
        // Those that find something stand among the others, not before them.
        let every = (count / FOUND).max(1);
        let name = if index % every == 0 && index / every < FOUND {
            format!("member{:04}", index / every)
        } else {
            format!("absent{index:04}")
        };
        let field = if index == 0 {
            "EventName".to_owned()
        } else {
            format!("Property {index}")
        };
        let _ = match kind {
            Matchers::Json => {
                let _ = write!(
                    matchers,
                    r#"<json-matcher field="{field}" pattern-id="p{index}" order="1"/>"#
                );
                write!(
                    patterns,
                    r#"<pattern id="p{index}" type="JsonKeypath"><![CDATA[/"{name}"]]></pattern>"#
                )
            }
            Matchers::Regex => {
                let _ = write!(
                    matchers,
                    r#"<matcher field="{field}" pattern-id="p{index}" capture-group="1" order="1"/>"#
                );
                write!(
                    patterns,
                    r#"<pattern id="p{index}"><![CDATA[\b{name}=(\w+)]]></pattern>"#
                )
            }
        };
    }
    let text = format!(
        r#"<device-extension xmlns="event_parsing/device_extension">{patterns}<match-group order="1">{matchers}</match-group></device-extension>"#
    );
    Mapping::from_extension("growth", &SourceFile::new("extension.xml", text)).0
}

/// Payloads that such a mapping reads.
pub fn payloads_for_matchers(kind: Matchers, count: usize) -> Vec<Vec<u8>> {
    (0..count)
        .map(|payload| {
            let members: Vec<String> = (0..MEMBERS)
                .map(|member| match kind {
                    Matchers::Json => format!(r#""member{member:04}":"value{payload}x{member}""#),
                    Matchers::Regex => format!("member{member:04}=value{payload}x{member}"),
                })
                .collect();
            match kind {
                Matchers::Json => format!("{{{}}}", members.join(",")),
                Matchers::Regex => members.join(" "),
            }
            .into_bytes()
        })
        .collect()
}

/// A mapping with `rows` QID records, each with an event mapping.
pub fn mapping_of_qids(rows: usize) -> Option<Mapping> {
    let mut qidmap = "qid,name,description,severity,lowlevelcategory\n".to_owned();
    let mut events = "event_id,event_category,qid\n".to_owned();
    for row in 0..rows {
        let qid = 2_500_000 + row;
        let _ = writeln!(
            qidmap,
            "{qid},Event {row},Description of event {row},3,7001"
        );
        let _ = writeln!(events, "event-{row},category-{},{qid}", row % 50);
    }
    let manifest = "format = 1\nname = \"Growth\"\ndescription = \"a QID map of any size\"\n\
        log_source_type_id = 4999\n[leef]\nvendor = \"Example\"\nproduct = \"Growth\"\nversion = \"1.0\"\n";
    let extension = r#"<device-extension xmlns="event_parsing/device_extension">
        <pattern id="id" type="JsonKeypath"><![CDATA[/"id"]]></pattern>
        <pattern id="category" type="JsonKeypath"><![CDATA[/"category"]]></pattern>
        <match-group order="1">
          <json-matcher field="EventName" pattern-id="id" order="1"/>
          <json-matcher field="EventCategory" pattern-id="category" order="1"/>
        </match-group></device-extension>"#;
    let file = |name: &str, text: String| -> Arc<SourceFile> { SourceFile::new(name, text) };
    let source = Source {
        slug: "growth".to_owned(),
        manifest: file("manifest.toml", manifest.to_owned()),
        extension: file("extension.xml", extension.to_owned()),
        qidmap: file("qidmap.csv", qidmap),
        event_mappings: file("event-mappings.csv", events),
    };
    Mapping::load(&source).0
}

/// Payloads that are spread evenly over the rows of such a mapping.
pub fn payloads_for_qids(rows: usize, count: usize) -> Vec<Vec<u8>> {
    (0..count)
        .map(|index| {
            // A step that shares no factor with the usual sizes visits all of them.
            let row = index * 7_919 % rows.max(1);
            format!(
                r#"{{"id":"event-{row}","category":"category-{}"}}"#,
                row % 50
            )
            .into_bytes()
        })
        .collect()
}

/// Writes `count` fixtures of one payload each for the mapping `example-vpn` below `root`, and returns the folder of
/// mappings and that of fixtures. There are no snapshots yet.
///
/// # Errors
/// A file cannot be read or written.
pub fn fixtures(mappings: &Path, root: &Path, count: usize) -> io::Result<(PathBuf, PathBuf)> {
    let corpus = Corpus::vpn(count);
    let mapping = root.join("mappings").join(corpus.slug);
    let evidence = root.join("fixtures").join(corpus.slug).join("generated");
    std::fs::create_dir_all(&mapping)?;
    std::fs::create_dir_all(&evidence)?;
    for entry in std::fs::read_dir(mappings.join(corpus.slug))? {
        let entry = entry?;
        std::fs::copy(entry.path(), mapping.join(entry.file_name()))?;
    }
    for (index, payload) in corpus.payloads.iter().enumerate() {
        std::fs::write(evidence.join(format!("payload-{index}.log")), payload)?;
    }
    Ok((root.join("mappings"), root.join("fixtures")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dsm::{Normalizer, Payload, Status};

    #[test]
    fn a_mapping_of_any_number_of_matchers_finds_the_same() {
        for kind in [Matchers::Json, Matchers::Regex] {
            for count in [10, 37, 200] {
                let mapping = mapping_of_matchers(kind, count).unwrap();
                let payloads = payloads_for_matchers(kind, 2);
                let payload = Payload::decode(&payloads[1]);
                let event =
                    Normalizer::new(&mapping).normalize(&payload, authoring::snapshot::received());
                assert_eq!(event.properties.len(), FOUND, "{kind:?} {count}");
                assert_eq!(event.event_id.as_deref(), Some("value1x0"));
            }
        }
    }

    #[test]
    fn every_payload_has_a_row_in_a_qid_map_of_any_size() {
        for rows in [1, 100, 1_000] {
            let mapping = mapping_of_qids(rows).unwrap();
            let mut normalizer = Normalizer::new(&mapping);
            for bytes in payloads_for_qids(rows, 150) {
                let payload = Payload::decode(&bytes);
                let event = normalizer.normalize(&payload, authoring::snapshot::received());
                assert_eq!(event.status, Status::Mapped, "{}", payload.text());
            }
        }
    }
}
