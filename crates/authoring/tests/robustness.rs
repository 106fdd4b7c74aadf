//! What must hold for every payload, shown on the shipped mappings and on damaged versions of their fixtures.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail the test"
)]

use authoring::folder::Library;
use authoring::input::{self, Item};
use authoring::snapshot::received;
use dsm::diagnostic::SourceFile;
use dsm::mapping::Source;
use dsm::options::{EmptyCapture, Options};
use dsm::output::leef::LeefOutput;
use dsm::output::{cef, json};
use dsm::{Event, Mapping, Normalizer, Payload, Status};
use framing::Framing;
use std::path::Path;
use std::sync::Arc;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn library() -> Library {
    let (library, findings) = Library::load(&root().join("dsm-mappings")).unwrap();
    assert!(findings.is_empty(), "{findings:?}");
    library
}

/// The payloads of every fixture of a mapping.
fn payloads(mapping: &Mapping) -> Vec<Vec<u8>> {
    let mut payloads = Vec::new();
    for file in input::files(&root().join("fixtures").join(mapping.slug())).unwrap() {
        let bytes = std::fs::read(file).unwrap();
        input::read(bytes.as_slice(), Framing::Auto, 1 << 24, |item| {
            if let Item::Payload(payload, _) = item {
                payloads.push(payload.to_vec());
            }
        })
        .unwrap();
    }
    payloads
}

/// Everything that an event says, as text.
fn written(event: &Event<'_>) -> String {
    let mut out = Vec::new();
    json::write(event, &mut out).unwrap();
    out.push(b'\n');
    cef::write(event, &mut out);
    out.push(b'\n');
    let mut leef = LeefOutput::new(leef::WriterOptions::default()).unwrap();
    leef.write(event, &mut out).unwrap();
    for property in &event.properties {
        out.extend_from_slice(format!("\n{property:?}").as_bytes());
    }
    String::from_utf8(out).unwrap()
}

/// What holds for any event, however odd its payload.
fn check_wire(event: &Event<'_>) {
    let mut leef = LeefOutput::new(leef::WriterOptions::default()).unwrap();
    let mut line = Vec::new();
    leef.write(event, &mut line).unwrap();
    let line = String::from_utf8(line).unwrap();
    let message =
        leef::read(&line, leef::Mode::Strict).unwrap_or_else(|error| panic!("{error}: {line}"));
    assert_eq!(message.header.vendor, event.mapping().manifest().vendor);
    let mut text = Vec::new();
    cef::write(event, &mut text);
    assert!(!text.contains(&b'\n'), "CEF is one line");
    text.clear();
    json::write(event, &mut text).unwrap();
    assert!(!text.contains(&b'\n'), "JSON is one line");
    for property in &event.properties {
        if let Some(span) = property.origin.span() {
            assert!(
                event.payload.get(span.range()).is_some(),
                "{property:?} lies in the payload"
            );
        }
    }
}

#[test]
fn the_same_payload_gives_the_same_bytes_whatever_came_before() {
    for mapping in library().iter() {
        let payloads = payloads(mapping);
        let mut used = Normalizer::new(mapping);
        for payload in payloads.iter().rev() {
            let payload = Payload::decode(payload);
            let again = written(&used.normalize(&payload, received()));
            let fresh = written(&Normalizer::new(mapping).normalize(&payload, received()));
            assert_eq!(again, fresh);
        }
    }
}

#[test]
fn an_explained_event_is_the_event_and_every_value_has_a_successful_attempt() {
    for mapping in library().iter() {
        let mut normalizer = Normalizer::new(mapping);
        for payload in payloads(mapping) {
            let payload = Payload::decode(&payload);
            let plain = written(&normalizer.normalize(&payload, received()));
            let (event, trace) = normalizer.explain(&payload, received());
            assert_eq!(written(&event), plain);
            for property in &event.properties {
                let dsm::event::Origin::Matcher { branch, .. } = property.origin else {
                    continue;
                };
                let succeeded = trace
                    .attempts
                    .iter()
                    .any(|attempt| attempt.branch == branch && attempt.failed.is_none());
                assert!(succeeded, "{property:?}");
            }
        }
    }
}

#[test]
fn the_event_of_a_claimed_payload_is_the_event_and_other_payloads_have_none() {
    let library = library();
    let payloads: Vec<Vec<u8>> = library.iter().flat_map(payloads).collect();
    for mapping in library.iter() {
        let mut one = Normalizer::new(mapping);
        let mut other = Normalizer::new(mapping);
        for (index, payload) in payloads.iter().enumerate() {
            // A JSON text that is cut is not recognised by its members.
            let end = payload.len() - usize::from(index % 5 == 0);
            let payload = Payload::decode(&payload[..end]);
            let claimed = one.normalize_claimed(&payload, received());
            assert_eq!(
                claimed.is_some(),
                mapping.recognises(payload.text()),
                "{}: {}",
                mapping.slug(),
                payload.text()
            );
            if let Some(event) = claimed {
                let plain = other.normalize(&payload, received());
                assert_eq!(written(&event), written(&plain));
                assert_eq!(one.json_fault(), other.json_fault());
            }
        }
    }
}

#[test]
fn every_fixture_is_recognised_as_its_own_type_or_stored() {
    let library = library();
    let mut wrong = Vec::new();
    for mapping in library.iter() {
        let mut normalizer = Normalizer::new(mapping);
        for payload in payloads(mapping) {
            let payload = Payload::decode(&payload);
            let recognised = library.recognise(payload.text()).map(Mapping::slug);
            let status = normalizer.normalize(&payload, received()).status;
            if recognised != Some(mapping.slug())
                && (recognised.is_some() || status != Status::Stored)
            {
                wrong.push(format!(
                    "{recognised:?} instead of {}: {}",
                    mapping.slug(),
                    payload.text()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn damaged_payloads_of_every_kind_still_give_a_line_that_can_be_read() {
    // A generator of its own, so that the damage is the same in every run.
    let mut state = 0x9E37_79B9_u64;
    let mut below = |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % (limit.max(1) as u64)).unwrap()
    };
    for mapping in library().iter() {
        let mut normalizer = Normalizer::new(mapping);
        for (index, original) in payloads(mapping).into_iter().enumerate() {
            // Every payload once, in one of seven ways; the large type has more than a thousand.
            let mut damaged = original;
            let at = below(damaged.len());
            match index % 7 {
                0 => damaged.truncate(at),
                1 => damaged[at] = u8::try_from(below(256)).unwrap(),
                2 => {
                    damaged.drain(..at);
                }
                3 => damaged.insert(at, b'"'),
                4 => {
                    let copy = damaged.clone();
                    damaged.extend_from_slice(&copy[..at]);
                }
                5 => damaged
                    .iter_mut()
                    .skip(at)
                    .take(4)
                    .for_each(|byte| *byte = 0xff),
                _ => {
                    for _ in 0..20 {
                        let at = below(damaged.len());
                        damaged[at] = b"\\\"{}[],:\t\n|=^"[below(13)];
                    }
                }
            }
            let payload = Payload::decode(&damaged);
            check_wire(&normalizer.normalize(&payload, received()));
        }
    }
}

#[test]
fn no_format_of_lines_carries_a_control_character_and_each_accounts_for_it() {
    let extension = dsm::diagnostic::SourceFile::new(
        "x.xml",
        r#"<device-extension xmlns="event_parsing/device_extension">
  <pattern id="name" xmlns=""><![CDATA[^(\w+)]]></pattern>
  <pattern id="user" xmlns=""><![CDATA[(?s)user=(.*)]]></pattern>
  <match-group order="1" xmlns="">
    <matcher field="EventName" order="1" pattern-id="name" capture-group="1"/>
    <matcher field="UserName" order="1" pattern-id="user" capture-group="1"/>
  </match-group>
</device-extension>"#,
    );
    let mapping = Mapping::from_extension("case", &extension).0.unwrap();
    let mut normalizer = Normalizer::new(&mapping);
    for control in (0..0x3000).filter_map(char::from_u32) {
        if !leef::control::is_control(control) {
            continue;
        }
        let user = format!("a{control}b");
        let text = format!("login user={user}");
        let payload = Payload::from(text.as_str());
        let event = normalizer.normalize(&payload, received());
        let found = event.field(dsm::field::Field::UserName).unwrap();
        assert_eq!(found.text, user);
        let mut line = Vec::new();
        let is_escaped = matches!(control, '\n' | '\r');
        assert_eq!(cef::write(&event, &mut line), !is_escaped, "{control:?}");
        let line = String::from_utf8(line).unwrap();
        assert_eq!(leef::control::find(&line, 0), None, "{line:?}");
        assert_eq!(line.contains("cefSanitized=suser"), !is_escaped, "{line}");
        let mut leef = LeefOutput::new(leef::WriterOptions::default()).unwrap();
        let mut line = Vec::new();
        assert!(!leef.write(&event, &mut line).unwrap().is_lossless());
        let line = String::from_utf8(line).unwrap();
        assert_eq!(
            leef::control::find(&line.replace('\t', ""), 0),
            None,
            "{line:?}"
        );
        assert!(line.contains("leefSanitized="), "{line}");
        let mut line = Vec::new();
        json::write(&event, &mut line).unwrap();
        let line = String::from_utf8(line).unwrap();
        assert_eq!(leef::control::find(&line, 0), None, "{line:?}");
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["properties"]["UserName"], user.as_str());
        assert_eq!(value["payload"], text.as_str());
        let shown = authoring::explain::visible(&text);
        assert_eq!(leef::control::find(&shown, 0), None, "{shown:?}");
    }
}

#[test]
fn a_pattern_that_runs_away_is_stopped_and_said_so() {
    let extension = dsm::diagnostic::SourceFile::new(
        "x.xml",
        r#"<device-extension xmlns="event_parsing/device_extension">
  <pattern id="name" xmlns=""><![CDATA[^(\w+)]]></pattern>
  <pattern id="runaway" xmlns=""><![CDATA[(?>)((?:x+)+)+y]]></pattern>
  <match-group order="1" xmlns="">
    <matcher field="EventName" order="1" pattern-id="name" capture-group="1"/>
    <matcher field="UserName" order="1" pattern-id="runaway" capture-group="1"/>
    <matcher field="UserName" order="2" pattern-id="name" capture-group="1"/>
  </match-group>
</device-extension>"#,
    );
    let (mapping, findings) = Mapping::from_extension("case", &extension);
    let mapping = mapping.unwrap_or_else(|| panic!("{findings:?}"));
    let text = format!("login {}", "x".repeat(5000));
    let payload = Payload::from(text.as_str());
    let (event, trace) = Normalizer::new(&mapping).explain(&payload, received());
    assert_eq!(event.budget_exceeded, 1);
    let user = event.field(dsm::field::Field::UserName).unwrap();
    assert_eq!(user.text, "login", "the next order is tried");
    let failed: Vec<String> = trace
        .attempts
        .iter()
        .filter_map(|attempt| attempt.failed.as_ref().map(ToString::to_string))
        .collect();
    assert_eq!(failed, ["no match, budget exceeded"]);
}

#[test]
fn the_relay_in_a_syslog_header_is_no_identity_and_does_not_displace_an_ipv6_source() {
    let extension = dsm::diagnostic::SourceFile::new(
        "x.xml",
        r#"<device-extension xmlns="event_parsing/device_extension">
  <pattern id="login" xmlns=""><![CDATA[(login) (\w+)(?: from (\S+))?]]></pattern>
  <match-group order="1" xmlns="">
    <matcher field="EventName" order="1" pattern-id="login" capture-group="1"/>
    <matcher field="UserName" order="1" pattern-id="login" capture-group="2"/>
    <matcher field="SourceIpv6" order="1" pattern-id="login" capture-group="3"/>
    <event-match-single event-name="login" send-identity="OverrideAndAlwaysSend"/>
  </match-group>
</device-extension>"#,
    );
    let (mapping, findings) = Mapping::from_extension("case", &extension);
    let mapping = mapping.unwrap_or_else(|| panic!("{findings:?}"));
    let line = |text: &str| {
        let payload = Payload::from(text);
        let mut normalizer = Normalizer::new(&mapping);
        let event = normalizer.normalize(&payload, received());
        let mut out = Vec::new();
        let mut leef = LeefOutput::new(leef::WriterOptions::default()).unwrap();
        leef.write(&event, &mut out).unwrap();
        String::from_utf8(out).unwrap().replace('\t', " ")
    };
    assert_eq!(
        line("<13>Nov 23 10:00:00 10.0.0.9 sshd: login alice"),
        "LEEF:1.0|Unknown|case|1.0|login|src=10.0.0.9 dst=10.0.0.9 usrName=alice"
    );
    assert_eq!(
        line("<13>Nov 23 10:00:00 10.0.0.9 sshd: login alice from 2001:db8::5"),
        "LEEF:1.0|Unknown|case|1.0|login|dst=10.0.0.9 usrName=alice identSrc=2001:db8::5 src=2001:db8::5"
    );
}

#[test]
fn a_member_that_comes_again_and_again_costs_linear_time() {
    let library = library();
    let mapping = library.get("microsoft-365-defender").unwrap();
    let text = format!(
        r#"{{"id":"a","serviceSource":"x","category":"Malware","mitreTechniques":[{}"T"],"evidence":[]{}}}"#,
        r#""T1","#.repeat(20_000),
        r#","evidence":[]"#.repeat(20_000)
    );
    let payload = Payload::from(text.as_str());
    let start = std::time::Instant::now();
    let event = Normalizer::new(mapping).normalize(&payload, received());
    assert_eq!(event.event_id.as_deref(), Some("Malware"));
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}

/// A bare extension with one group.
fn extension(patterns: &str, matchers: &str) -> Arc<SourceFile> {
    SourceFile::new(
        "extension.xml",
        format!(
            r#"<device-extension xmlns="event_parsing/device_extension">{patterns}
            <match-group order="1">{matchers}</match-group></device-extension>"#
        ),
    )
}

#[test]
fn an_event_whose_id_is_empty_is_stored_and_every_format_carries_it() {
    let file = extension(
        "<pattern id=\"Id\"><![CDATA[id=(\\S*)]]></pattern>",
        r#"<matcher field="EventName" order="1" pattern-id="Id" capture-group="1"/>"#,
    );
    let options = Options {
        empty_capture: EmptyCapture::EmptyValue,
        ..Options::default()
    };
    let (mapping, findings) = Mapping::from_extension_with("x", &file, options);
    let mapping = mapping.unwrap_or_else(|| panic!("{findings:?}"));
    let payload = Payload::decode(b"id= src=192.0.2.1");
    let mut normalizer = Normalizer::new(&mapping);
    let event = normalizer.normalize(&payload, received());
    assert_eq!((event.status, &event.event_id), (Status::Stored, &None));
    check_wire(&event);
}

#[test]
fn a_numeric_property_is_a_number_in_json_as_the_payload_spells_it() {
    let (mapping, findings) = Mapping::load(&Source {
        slug: "x".to_owned(),
        manifest: SourceFile::new(
            "manifest.toml",
            r#"
            format = 1
            name = "X"
            log_source_type_id = 4001
            [leef]
            vendor = "X"
            product = "X"
            version = "1"
            [[property]]
            name = "Score"
            type = "numeric"
            leef_key = "score"
            description = "A number"
            "#,
        ),
        extension: extension(
            "<pattern id=\"Id\">id=(\\S+)</pattern><pattern id=\"Score\">score=(\\S+)</pattern>",
            r#"<matcher field="EventName" order="1" pattern-id="Id" capture-group="1"/>
            <matcher field="Score" order="1" pattern-id="Score" capture-group="1"/>"#,
        ),
        qidmap: SourceFile::new(
            "qidmap.csv",
            "qid,name,description,severity,lowlevelcategory\n",
        ),
        event_mappings: SourceFile::new("event-mappings.csv", "event_id,event_category,qid\n"),
    });
    let mapping = mapping.unwrap_or_else(|| panic!("{findings:?}"));
    for (spelled, json) in [
        ("7", "7"),
        ("1.50", "1.50"),
        ("1e3", "1e3"),
        ("007", "7"),
        ("12345678901234567890123", "12345678901234567890123"),
    ] {
        let text = format!("id=1 score={spelled}");
        let payload = Payload::decode(text.as_bytes());
        let mut line = Vec::new();
        let mut normalizer = Normalizer::new(&mapping);
        json::write(&normalizer.normalize(&payload, received()), &mut line).unwrap();
        let line = String::from_utf8(line).unwrap();
        let expected = format!(r#""customProperties":{{"Score":{json}}}"#);
        assert!(line.contains(&expected), "{line}");
    }
}
