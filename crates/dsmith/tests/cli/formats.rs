//! What is written.

use crate::support::{Folder, SSH, acme, login, repository, run, run_with};
use leef::{Mode, Version};
use serde_json::Value;

/// All payloads of two log source types whose values are hard on every format.
fn fixtures() -> Vec<String> {
    ["example-vpn", "openssh-server"]
        .map(|slug| {
            repository()
                .join("fixtures")
                .join(slug)
                .to_str()
                .unwrap()
                .to_owned()
        })
        .to_vec()
}

fn parse_fixtures(more: &[&str]) -> Vec<String> {
    let mut args = vec!["parse", "--received", "2026-11-23T10:00:00Z", "-q"];
    args.extend(more);
    let fixtures = fixtures();
    args.extend(fixtures.iter().map(String::as_str));
    run(&args)
        .exits_with(0)
        .out
        .lines()
        .map(str::to_owned)
        .collect()
}

fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// Values as QRadar's LEEF and CEF have them on one line.
fn flat(text: &str) -> String {
    text.replace(['\t', '\r', '\n'], " ").trim().to_owned()
}

#[test]
fn every_format_writes_one_line_for_each_event() {
    let json = parse_fixtures(&["-f", "json"]);
    assert!(json.len() > 50);
    for format in ["leef", "leef1", "leef2", "cef"] {
        assert_eq!(
            parse_fixtures(&["-f", format]).len(),
            json.len(),
            "{format}"
        );
    }
    assert_eq!(parse_fixtures(&["-f", "table"]).len(), json.len() + 1);
    assert_eq!(parse_fixtures(&[]), parse_fixtures(&["-f", "leef1"]));
}

#[test]
fn leef_is_read_back_strictly_with_the_same_fields_as_json_has() {
    let json = parse_fixtures(&["-f", "json"]);
    for (format, version) in [("leef1", Version::V1_0), ("leef2", Version::V2_0)] {
        let mut compared = 0;
        for (line, json) in parse_fixtures(&["-f", format]).iter().zip(&json) {
            let message = leef::read(line, Mode::Strict).unwrap_or_else(|e| panic!("{e}: {line}"));
            assert_eq!(message.header.version, version);
            let event: Value = serde_json::from_str(json).unwrap();
            if message.get("leefSanitized").is_some() {
                continue;
            }
            for (key, pointer) in [
                ("src", "/properties/SourceIp"),
                ("dst", "/properties/DestinationIp"),
                ("srcPort", "/properties/SourcePort"),
                ("usrName", "/properties/UserName"),
                ("identHostName", "/identity/hostName"),
                ("cat", "/eventCategory"),
                ("qid", "/qid"),
                ("sev", "/severity"),
                ("authMethod", "/customProperties/Authentication Method"),
                ("tunnelId", "/customProperties/Tunnel ID"),
            ] {
                let value = event.pointer(pointer).and_then(as_text);
                let value = value.filter(|value| !value.is_empty());
                assert_eq!(
                    message.get(key).map(str::to_owned),
                    value,
                    "{key} of {line}"
                );
                compared += usize::from(value.is_some());
            }
            if let Some(event_id) = event["eventId"].as_str() {
                assert_eq!(message.header.event_id, event_id, "{line}");
            }
        }
        assert!(compared > 200, "only {compared} values were compared");
    }
}

/// Header fields and extension of a CEF line, unescaped.
fn read_cef(line: &str) -> (Vec<String>, Vec<(String, String)>) {
    let mut header = vec![String::new()];
    let mut chars = line.chars();
    while header.len() < 8 {
        match chars
            .next()
            .unwrap_or_else(|| panic!("short header: {line}"))
        {
            '\\' => header.last_mut().unwrap().push(chars.next().unwrap()),
            '|' => header.push(String::new()),
            c => header.last_mut().unwrap().push(c),
        }
    }
    let mut rest = header.pop().unwrap() + chars.as_str();
    let mut pairs = Vec::new();
    // From the end: the last sign that is not escaped has its key in front of it.
    while let Some(at) = rest
        .char_indices()
        .rev()
        .find(|(at, c)| *c == '=' && !rest[..*at].ends_with('\\'))
        .map(|(at, _)| at)
    {
        let key_at = rest[..at].rfind(' ').map_or(0, |blank| blank + 1);
        let value = rest[at + 1..].replace("\\=", "=").replace("\\\\", "\\");
        pairs.push((rest[key_at..at].to_owned(), value));
        rest.truncate(key_at.saturating_sub(1));
    }
    assert_eq!(rest, "", "{line}");
    (header, pairs)
}

#[test]
fn cef_parses_with_the_same_fields_as_json_has() {
    let json = parse_fixtures(&["-f", "json"]);
    for (line, json) in parse_fixtures(&["-f", "cef"]).iter().zip(&json) {
        let event: Value = serde_json::from_str(json).unwrap();
        let (header, pairs) = read_cef(line);
        assert_eq!(header[0], "CEF:0", "{line}");
        let name = event["name"].as_str();
        assert!(name.is_none_or(|name| header[5] == name), "{line}");
        let user = event.pointer("/properties/UserName").and_then(as_text);
        let found = pairs.iter().find(|(key, _)| key == "suser");
        assert_eq!(
            found.map(|(_, value)| flat(value)),
            user.as_deref().map(flat),
            "{line}"
        );
    }
}

#[test]
fn json_says_what_the_event_is_and_keeps_the_payload() {
    let ran = run_with(&["parse", "-f", "json"], SSH).exits_with(0);
    let event = &ran.events()[0];
    assert_eq!(event["status"], "Mapped");
    assert_eq!(event["properties"]["SourceIp"], "10.20.4.14");
    assert_eq!(event["properties"]["SourcePort"], 51022);
    assert_eq!(event["payload"], SSH.trim_end());
}

#[test]
fn table_columns_stay_in_line_whatever_the_script() {
    let folder = Folder::with_acme_cloud();
    let input: String = [
        "ann",
        "日本語ユーザー",
        "e\u{301}ric",
        "a very long name that does not fit",
        "tab\\tbed",
        "",
    ]
    .iter()
    .map(|user| login(user) + "\n")
    .collect();
    let ran = run_with(&acme(&folder, &["-f", "table"]), input).exits_with(0);
    let mut lines = ran.out.lines();
    let headings = lines.next().unwrap();
    let user = unicode_width::UnicodeWidthStr::width(headings.split_once("USER").unwrap().0);
    let host = unicode_width::UnicodeWidthStr::width(headings.split_once("HOST").unwrap().0);
    for line in lines {
        let (before_host, last) = line.rsplit_once(' ').unwrap();
        assert_eq!(last, "-", "{line}");
        assert_eq!(
            unicode_width::UnicodeWidthStr::width(before_host) + 1,
            host,
            "{line}"
        );
        let before_user = line.split_once("10.1.2.3").unwrap();
        let gap = before_user.1.len() - before_user.1.trim_start().len();
        let at = unicode_width::UnicodeWidthStr::width(before_user.0) + "10.1.2.3".len() + gap;
        assert_eq!(at, user, "{line}");
        assert!(!line.contains('\t'));
    }
}

#[test]
fn the_delimiter_of_leef_2_can_be_chosen() {
    let ran = run_with(&["parse", "-f", "leef2", "--delimiter", "~"], SSH).exits_with(0);
    assert!(ran.out.contains("|~|devTime="), "{}", ran.out);
    let message = leef::read(ran.out.trim_end(), Mode::Strict).unwrap();
    assert_eq!(message.get("usrName"), Some("jvega"));
    for bad in ["=", "\n", "ab", ""] {
        run_with(&["parse", "-f", "leef2", "--delimiter", bad], SSH)
            .exits_with(64)
            .says(&["delimiter"]);
    }
}

#[test]
fn an_event_over_the_size_limit_loses_whole_attributes_and_says_so() {
    let whole = run_with(&["parse"], SSH).exits_with(0).out;
    let ran = run_with(&["parse", "--max-event", "200"], SSH)
        .exits_with(0)
        .says(&["1 event shortened"]);
    let line = ran.out.trim_end();
    assert!(line.len() <= 200, "{line}");
    let (short, whole) = (
        leef::read(line, Mode::Strict).unwrap(),
        leef::read(whole.trim_end(), Mode::Strict).unwrap(),
    );
    assert!(short.get("leefTruncated").is_some(), "{line}");
    for attribute in short.attributes.iter().filter(|a| a.key != "leefTruncated") {
        assert_eq!(whole.get(attribute.key), Some(attribute.value), "{line}");
    }
    // Less than a header needs.
    run_with(&["parse", "--max-event", "1"], SSH)
        .exits_with(1)
        .says(&["not written", "raise the limit"]);
}

#[test]
fn characters_that_leef_cannot_carry_are_substituted_as_asked() {
    let folder = Folder::with_acme_cloud();
    let input = format!("{}\n{}\n", login("a\\tb"), login("ann"));
    let first = |substitution: &str, code: i32| {
        let args = acme(&folder, &["--substitution", substitution]);
        run_with(&args, &input).exits_with(code)
    };
    for (substitution, user) in [("space", "a b"), ("drop", "ab"), ("percent", "a%09b")] {
        let ran = first(substitution, 0).says(&["1 event with characters that LEEF cannot carry"]);
        let line = ran.out.lines().next().unwrap();
        let message = leef::read(line, Mode::Strict).unwrap();
        assert_eq!(message.get("usrName"), Some(user));
        assert!(message.get("leefSanitized").is_some());
    }
    let ran = first("fail", 1)
        .says(&["standard input: byte 0: not written", "usrName"])
        .says(&["1 event was not written"]);
    assert_eq!(
        ran.out.lines().count(),
        1,
        "the other event came out: {}",
        ran.out
    );
    assert!(ran.out.contains("usrName=ann"));
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    assert_eq!(parse_fixtures(&[]), parse_fixtures(&[]));
}
