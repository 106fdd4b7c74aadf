//! Files of a mapping, and the configuration.

use super::payload;
use crate::input::{parts, text};
use authoring::render::{Format, render};
use dsm::diagnostic::{Diagnostics, SourceFile};
use dsm::options::Options;
use dsm::{Mapping, manifest as manifests, qidmap};
use std::path::Path;
use std::sync::Arc;

fn file(name: &str, bytes: &[u8]) -> Arc<SourceFile> {
    SourceFile::new(name, text(bytes))
}

/// Findings as people and programs get them. Pictures for people take longer than all else, so there are few of them.
fn shown(findings: &Diagnostics) {
    if findings.iter().count() > 20 {
        let _ = render(findings, Format::Json, false);
        return;
    }
    for format in [Format::Human, Format::Json, Format::Github, Format::Sarif] {
        let _ = render(findings, format, false);
    }
}

pub(super) fn extension(input: &[u8]) {
    let file = file("extension.xml", input);
    let (mapping, findings) = Mapping::from_extension("x", &file);
    shown(&findings);
    if let Some(mapping) = mapping {
        payload::event(
            &mapping,
            br#"{"id":"1","list":[{"a":"b"}]} src=192.0.2.1 x"#,
        );
        payload::event(&mapping, input);
    } else {
        assert!(findings.has_errors(), "no mapping, and no reason");
    }
}

pub(super) fn manifest(input: &[u8]) {
    let (_, findings) = manifests::parse(&file("manifest.toml", input));
    shown(&findings);
}

pub(super) fn qid_map(input: &[u8]) {
    let mut parts = parts(input);
    let qids = file("qidmap.csv", parts.next().unwrap_or_default());
    let mappings = file("event-mappings.csv", parts.next().unwrap_or_default());
    let (map, findings) = qidmap::parse(&qids, &mappings, Options::default().qid_case);
    shown(&findings);
    for row in &map.mappings {
        let _ = map.look_up(
            &row.event_id,
            &row.event_category,
            Options::default().qid_fallback,
        );
    }
}

pub(super) fn configuration(input: &[u8]) {
    let (_, findings) = pipeline::config::read(&file("dsmith.toml", input), Path::new("."));
    shown(&findings);
}
