//! What authors write and bring.

use crate::input::{byte, parts, text};
use authoring::anonymize::{Anonymizer, Refusal, secrets};
use authoring::import::{self, Identity};
use authoring::language::{Checked, View};
use dsm::Mapping;
use dsm::diagnostic::SourceFile;
use dsm::lsx;
use dsm::mapping::Source;

pub(super) fn language(input: &[u8]) {
    let (where_, input) = byte(input);
    let extension = SourceFile::new("extension.xml", text(input));
    let file = |name: &str, text: &str| SourceFile::new(name, text);
    let source = Source {
        slug: "x".to_owned(),
        manifest: file("manifest.toml", MANIFEST),
        extension: extension.clone(),
        qidmap: file(
            "qidmap.csv",
            "qid,name,description,severity,lowlevelcategory\n",
        ),
        event_mappings: file("event-mappings.csv", "event_id,event_category,qid\n"),
    };
    let (mapping, findings) = Mapping::load(&source);
    let checked = Checked {
        source: Some(source),
        mapping: mapping.filter(|_| !findings.has_errors()),
        findings,
    };
    let (document, _) = lsx::parse(&extension);
    let view = View {
        document: &document,
        checked: Some(&checked),
        study: None,
    };
    let length = extension.text.len();
    let mut at = length * usize::from(where_) / 255;
    while !extension.text.is_char_boundary(at) {
        at -= 1;
    }
    for at in [at, length, 0] {
        let _ = view.hover(at);
        let _ = view.definition(at);
        let _ = view.proposals(at);
    }
    let _ = view.lenses();
}

const MANIFEST: &str = r#"
format = 1
name = "X"
log_source_type_id = 4001

[leef]
vendor = "X"
product = "X"
version = "1.0"
"#;

pub(super) fn anonymize(input: &[u8]) {
    let text = text(input);
    let mut anonymizer = Anonymizer::new(1);
    anonymizer.learn(&text);
    match anonymizer.apply(&text) {
        Ok(done) => {
            assert!(secrets(&done.text).is_empty(), "no secret is left");
            // The same text gives the same stand-ins.
            let again = anonymizer.apply(&text).expect("it was taken before");
            assert_eq!(done, again);
        }
        Err(Refusal::Secrets(found)) => assert!(!found.is_empty(), "a reason"),
        Err(Refusal::Left(keys)) => assert!(!keys.is_empty(), "a reason"),
        Err(other) => panic!("{other}"),
    }
}

pub(super) fn import(input: &[u8]) {
    let files: Vec<(String, String)> = parts(input)
        .take(4)
        .enumerate()
        .map(|(number, part)| (format!("file-{number}"), text(part)))
        .collect();
    let identity = Identity {
        slug: "x".to_owned(),
        name: None,
        type_id: None,
    };
    if let Ok(imported) = import::import(&files, &identity) {
        let (mapping, findings) = Mapping::load(&imported.source);
        assert!(
            mapping.is_some() || findings.has_errors(),
            "no mapping, and no reason"
        );
    }
}
