//! To QRadar and back: what comes back gives the same events, but for what is listed as lost.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

use authoring::export;
use authoring::folder;
use authoring::import::{self, Identity};
use authoring::replay::Corpus;
use dsm::field::Field;
use dsm::mapping::Source;
use dsm::{Mapping, Normalizer, Payload};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn shipped(slug: &str) -> (Source, Corpus) {
    let folder = root().join("dsm-mappings").join(slug);
    let corpus = Corpus::read(&root().join("fixtures").join(slug)).unwrap();
    (folder::read_as(&folder, slug.to_owned()).0.unwrap(), corpus)
}

fn identity(slug: &str, type_id: u32) -> Identity {
    Identity {
        slug: slug.to_owned(),
        name: Some("Imported".to_owned()),
        type_id: Some(type_id),
    }
}

fn mapping(source: &Source) -> Mapping {
    let (mapping, findings) = Mapping::load(source);
    mapping.unwrap_or_else(|| {
        panic!(
            "{:#?}",
            findings.iter().map(ToString::to_string).collect::<Vec<_>>()
        )
    })
}

/// Exports everything, and imports it into a folder.
fn there_and_back(source: &Source, corpus: &Corpus) -> Source {
    let lsx = export::lsx(source, corpus).unwrap();
    let requests = export::requests(source, corpus).unwrap();
    let files = [
        ("extension.xml".to_owned(), lsx.text),
        ("qidmap.csv".to_owned(), export::qidmap(source).unwrap()),
        ("qradar.json".to_owned(), requests.document.to_string()),
    ];
    let type_id = mapping(source).manifest().log_source_type_id;
    import::import(&files, &identity(&source.slug, type_id))
        .unwrap()
        .source
}

#[test]
fn a_mapping_without_our_attributes_comes_back_with_the_same_events() {
    let (source, corpus) = shipped("openssh-server");
    let back = there_and_back(&source, &corpus);
    assert!(corpus.samples.len() > 40);
    assert_eq!(
        corpus.facts(&mapping(&source)),
        corpus.facts(&mapping(&back))
    );
    let lsx = export::lsx(&source, &corpus).unwrap();
    assert!(
        lsx.losses.is_empty() && lsx.unexplained.is_empty(),
        "{:?}",
        lsx.losses
    );
    // Only the matchers of custom properties went.
    for line in lsx.text.lines() {
        assert!(source.extension.text.contains(line), "{line}");
    }
}

#[test]
fn pairs_and_lists_within_expressions_come_back_as_expressions_with_the_same_events() {
    let (source, corpus) = shipped("example-vpn");
    let lsx = export::lsx(&source, &corpus).unwrap();
    assert!(lsx.losses.is_empty(), "{:?}", lsx.losses);
    assert!(lsx.lowered.len() > 10, "{:?}", lsx.lowered);
    assert!(!lsx.text.contains("dsmith:within"), "{}", lsx.text);
    let back = there_and_back(&source, &corpus);
    // QRadar files a custom property under the type of its definition, and tries its expressions for every event.
    assert_eq!(
        corpus.facts(&mapping(&source)),
        corpus.facts(&mapping(&back))
    );
}

#[test]
fn what_is_lost_is_listed_with_the_fixtures_that_rely_on_it_and_nothing_else_differs() {
    for slug in ["example-web-gateway", "microsoft-365-defender"] {
        let (source, corpus) = shipped(slug);
        match export::lsx(&source, &corpus) {
            Ok(lsx) => {
                assert!(!lsx.losses.is_empty());
                assert_eq!(lsx.unexplained, [""; 0], "{slug}");
                // Comments may speak of it.
                let file = dsm::diagnostic::SourceFile::new("exported.xml", lsx.text.as_str());
                let (document, _) = dsm::lsx::parse(&file);
                let is_ours = |p: &dsm::lsx::Pattern| p.within.is_some() || p.hits.is_some();
                assert!(!document.patterns.iter().any(is_ours) && !lsx.text.contains("urn:dsmith"));
                let pair = lsx
                    .losses
                    .iter()
                    .find(|loss| loss.reason.contains("OfPair"));
                if slug == "example-web-gateway" {
                    assert!(pair.unwrap().events() > 0, "{:?}", lsx.losses);
                }
            }
            Err(error) => panic!("{slug}: {error}"),
        }
    }
}

/// As the DSM Editor writes it: a prefix on the root, `standalone`, a template for every capture, a catch-all at the end.
const EDITOR: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<ns2:device-extension xmlns:ns2="event_parsing/device_extension">
    <pattern xmlns="" id="EventName-1" type="JavaPattern" case-insensitive="true"><![CDATA[action=(\w+)]]></pattern>
    <pattern xmlns="" id="SourceIp-1" type="JavaPattern"><![CDATA[src=([\d.]+):(\d+)]]></pattern>
    <pattern xmlns="" id="UserName-1" type="JsonKeypath">{/"user"/"last"}, {/"user"/"first"}</pattern>
    <pattern xmlns="" id="AllEvents" type="JavaPattern"><![CDATA[(.*?)]]></pattern>
    <match-group xmlns="" order="1" description="Acme" device-type-id-override="4001">
        <matcher field="EventName" order="1" pattern-id="EventName-1" capture-group="\1" enable-substitutions="true"/>
        <matcher field="SourceIp" order="1" pattern-id="SourceIp-1" capture-group="\1" enable-substitutions="true"/>
        <matcher field="SourcePort" order="1" pattern-id="SourceIp-1" capture-group="\2" enable-substitutions="true"/>
        <json-matcher field="UserName" order="1" pattern-id="UserName-1" enable-substitutions="true"/>
        <event-match-multiple pattern-id="AllEvents" send-identity="UseDSMResults" force-qidmap-lookup-on-fixup="true"/>
    </match-group>
</ns2:device-extension>
"#;

#[test]
fn an_extension_of_the_dsm_editor_is_imported_exported_and_imported_again_without_a_change() {
    let files = |text: &str| {
        [
            ("exported.xml".to_owned(), text.to_owned()),
            (
                "qids.csv".to_owned(),
                ",Acme Deny,\"stopped, by a rule\",4,4003\n".to_owned(),
            ),
            (
                "event-mappings.csv".to_owned(),
                "event_id,event_category,qid\ndeny,,2000001\n".to_owned(),
            ),
        ]
    };
    let first = import::import(&files(EDITOR), &identity("acme", 4001)).unwrap();
    let exported = export::lsx(&first.source, &Corpus::default()).unwrap();
    assert_eq!(exported.text, EDITOR);
    assert!(exported.losses.is_empty());
    let second = import::import(&files(&exported.text), &identity("acme", 4001)).unwrap();
    for (a, b) in [
        (&first.source.manifest, &second.source.manifest),
        (&first.source.extension, &second.source.extension),
        (&first.source.qidmap, &second.source.qidmap),
        (&first.source.event_mappings, &second.source.event_mappings),
    ] {
        assert_eq!(a, b);
    }

    let mapping = mapping(&second.source);
    let payload = Payload::from(
        "<13>Nov 23 10:00:00 fw1 ACTION=deny src=192.0.2.7:51744 {\"user\":{\"first\":\"John\",\"last\":\"Smith\"}}",
    );
    let mut normalizer = Normalizer::new(&mapping);
    let event = normalizer.normalize(&payload, chrono::DateTime::UNIX_EPOCH);
    let field = |field| event.field(field).map(|property| property.text.to_string());
    assert_eq!(event.event_id.as_deref(), Some("deny"));
    assert_eq!(event.qid.map(|(record, _)| record.qid), Some(2_000_001));
    assert_eq!(field(Field::SourceIp).as_deref(), Some("192.0.2.7"));
    assert_eq!(field(Field::SourcePort).as_deref(), Some("51744"));
    assert_eq!(field(Field::UserName).as_deref(), Some("Smith, John"));
}

#[test]
fn custom_properties_as_the_rest_api_answers_become_declarations_and_matchers() {
    let answers = r#"{
        "regex_properties": [
            {"id": 1, "identifier": "u-1", "name": "Rule Name", "description": "the rule", "property_type": "STRING"},
            {"id": 2, "identifier": "u-2", "name": "Bytes", "description": "", "property_type": "numeric"}
        ],
        "property_expressions": [
            {"regex_property_identifier": "u-1", "regex": "rule=(\\w+) zone=(\\w+)", "format_string": "$2/$1", "enabled": true},
            {"regex_property_identifier": "u-2", "regex": "bytes=(\\d+)", "capture_group": 1, "enabled": true},
            {"regex_property_identifier": "u-2", "regex": "off=(\\d+)", "capture_group": 1, "enabled": false}
        ]
    }"#;
    let files = [
        ("exported.xml".to_owned(), EDITOR.to_owned()),
        ("answers.json".to_owned(), answers.to_owned()),
    ];
    let imported = import::import(&files, &identity("acme", 4001)).unwrap();
    assert!(
        imported
            .notes
            .iter()
            .any(|note| note.contains("not enabled")),
        "{:?}",
        imported.notes
    );
    let mapping = mapping(&imported.source);
    let payload = Payload::from("action=deny rule=web zone=dmz bytes=17 off=9");
    let mut normalizer = Normalizer::new(&mapping);
    let event = normalizer.normalize(&payload, chrono::DateTime::UNIX_EPOCH);
    let facts = authoring::replay::facts(&event);
    assert_eq!(facts["Rule Name"], "dmz/web");
    assert_eq!(facts["Bytes"], "17");
    // What was there keeps its bytes.
    for line in EDITOR.lines() {
        assert!(imported.source.extension.text.contains(line), "{line}");
    }
}

#[test]
fn requests_name_documented_endpoints_and_refer_backwards_only() {
    let (source, corpus) = shipped("openssh-server");
    let requests = export::requests(&source, &corpus).unwrap();
    let list = requests.document["requests"].as_array().unwrap();
    let mut known = std::collections::BTreeSet::new();
    for request in list {
        let path = request["path"].as_str().unwrap();
        assert!(
            path.starts_with("/api/config/event_sources/custom_properties/")
                || path.starts_with("/api/data_classification/"),
            "{path}"
        );
        for fill in request["fill"].as_object().into_iter().flatten() {
            assert!(
                known.contains(fill.1["from"].as_str().unwrap()),
                "{request}"
            );
        }
        assert!(known.insert(request["id"].as_str().unwrap()), "{request}");
    }
    let record = list
        .iter()
        .find(|request| request["id"] == "qid/2410004")
        .unwrap();
    assert_eq!(record["body"]["low_level_category_id"], 3022);
    let property = list
        .iter()
        .find(|request| request["id"] == "property/Process ID/1")
        .unwrap();
    assert_eq!(
        property["path"],
        "/api/config/event_sources/custom_properties/property_expressions"
    );
    assert_eq!(property["body"]["capture_group"], 1);
}
