//! `dsmith new`: a folder that passes everything as it is.

use crate::support::{Folder, Ran, command, feed};
use std::fs;

fn dsmith(folder: &Folder, args: &[&str]) -> Ran {
    feed(command(args).current_dir(folder.path()), b"")
}

fn text(folder: &Folder, path: &str) -> String {
    fs::read_to_string(folder.at(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Check, test and coverage, all branches reached.
#[track_caller]
fn passes(folder: &Folder, slug: &str) {
    let ran = dsmith(folder, &["check"]).exits_with(0);
    assert!(
        ran.err.contains("no findings") || ran.out.contains("no findings"),
        "{ran:?}"
    );
    dsmith(folder, &["test", slug, "--strict"]).exits_with(0);
    dsmith(folder, &["coverage", slug, "--min", "100"]).exits_with(0);
    dsmith(folder, &["lint", slug]).exits_with(0);
    let out = format!("{slug}-for-qradar");
    dsmith(folder, &["export", slug, "--to", "qradar", "--out", &out]).exits_with(0);
}

const FIREWALL: &str = "\
<134>Nov 23 10:00:00 fw1 acmefw: action=deny src=192.0.2.7 spt=51744 dst=198.51.100.20 dpt=443 proto=tcp user=alice mac=00:00:5e:00:53:01 rule=\"no web for guests\"
<134>Nov 23 10:00:05 fw1 acmefw: action=permit src=192.0.2.8 spt=40100 dst=198.51.100.20 dpt=443 proto=tcp rule=\"web\" bytes=120
";

const CLOUD: &str = r#"{"createdDateTime":"2026-11-23T10:00:00Z","category":"Account","activity":"LoginFailed","actor":{"name":"alice","upn":"alice@example.com"},"source":{"ip":"192.0.2.7","port":4711},"destination":{"ip":"198.51.100.4"},"tags":["a"],"risk":7}
{"createdDateTime":"2026-11-23T10:01:00Z","category":"Policy","activity":"Changed","actor":{"name":"bob","upn":"bob@example.com"},"source":{"ip":"2001:db8::7"},"enabled":true}
"#;

#[test]
fn name_value_pairs_become_a_mapping_that_passes_everything_at_once() {
    let folder = Folder::new();
    folder.file("fw.log", FIREWALL);
    dsmith(
        &folder,
        &["new", "acme-firewall", "--from-samples", "fw.log"],
    )
    .exits_with(0);
    passes(&folder, "acme-firewall");
    dsmith(
        &folder,
        &["export", "acme-firewall", "--to", "lsx", "--strict"],
    )
    .exits_with(0);

    let events = dsmith(
        &folder,
        &[
            "parse",
            "--mappings",
            "dsm-mappings",
            "--strict",
            "-f",
            "json",
            "fw.log",
        ],
    )
    .exits_with(0);
    for (pointer, first) in [
        ("/eventId", "deny"),
        ("/properties/SourceIp", "192.0.2.7"),
        ("/properties/DestinationIp", "198.51.100.20"),
        ("/properties/UserName", "alice"),
        ("/customProperties/Rule", "no web for guests"),
    ] {
        let values = events.column(pointer);
        assert_eq!(values[0], first, "{pointer}: {events:?}");
    }
    let manifest = text(&folder, "dsm-mappings/acme-firewall/manifest.toml");
    assert!(
        manifest.contains("name = \"Bytes\"\ntype = \"numeric\""),
        "{manifest}"
    );
    for name in ["deny", "permit"] {
        let path = format!("fixtures/acme-firewall/name-value-pairs/{name}.log");
        assert!(FIREWALL.contains(text(&folder, &path).as_str()));
        assert!(text(&folder, &format!("{path}.snap")).contains("Mapped"));
    }
}

#[test]
fn an_address_with_a_port_becomes_two_properties() {
    let folder = Folder::new();
    folder.file(
        "fw.log",
        "fw: action=deny src=192.0.2.7:51744 dst=198.51.100.20:443 user=alice\n",
    );
    dsmith(&folder, &["new", "acme", "--from-samples", "fw.log"]).exits_with(0);
    passes(&folder, "acme");
    let snapshot = text(&folder, "fixtures/acme/name-value-pairs/deny.log.snap");
    for line in [
        "src=192.0.2.7⇥",
        "srcPort=51744⇥",
        "dst=198.51.100.20⇥",
        "dstPort=443⇥",
    ] {
        assert!(snapshot.contains(line), "{line}: {snapshot}");
    }
}

#[test]
fn json_gives_key_paths_whose_whole_path_decides_what_they_are() {
    let folder = Folder::new();
    folder.file("cloud.ndjson", CLOUD);
    let ran = dsmith(
        &folder,
        &[
            "new",
            "acme-cloud",
            "--from-samples",
            "cloud.ndjson",
            "-f",
            "json",
        ],
    );
    let records = ran.exits_with(0).events();
    for (field, pattern, seen) in [
        ("DeviceTime", r#"/"createdDateTime""#, 2),
        ("EventName", r#"/"activity""#, 2),
        ("EventCategory", r#"/"category""#, 2),
        ("SourceIp", r#"/"source"/"ip""#, 2),
        ("SourcePort", r#"/"source"/"port""#, 1),
        ("DestinationIp", r#"/"destination"/"ip""#, 1),
        ("UserName", r#"/"actor"/"upn""#, 2),
        ("Risk", r#"/"risk""#, 1),
        ("Tags", r#"/"tags"[0]"#, 1),
    ] {
        let found = records.iter().any(|record| {
            record["field"] == field && record["pattern"] == pattern && record["seen"] == seen
        });
        assert!(found, "{field}: {records:#?}");
    }
    passes(&folder, "acme-cloud");
    let qids = text(&folder, "dsm-mappings/acme-cloud/qidmap.csv");
    assert!(
        qids.contains("Login Failed") && qids.contains(",3,3047"),
        "{qids}"
    );
}

#[test]
fn several_formats_in_one_file_get_a_match_group_each() {
    let folder = Folder::new();
    folder.file(
        "all.log",
        "LEEF:1.0|Acme|Guard|1.0|logon|src=192.0.2.1\tusrName=alice\tcat=Access\n\
         CEF:0|Acme|Guard|1.0|100|logon|3|suser=bob src=192.0.2.2 msg=hello there\n\
         <38>Mar 10 08:14:27 gw guardd[7]: refused from 192.0.2.9 port 4022\n\
         {\"event\":\"boot\",\"time\":\"2026-01-02T03:04:05Z\"}\n",
    );
    dsmith(&folder, &["new", "acme-guard", "--from-samples", "all.log"]).exits_with(0);
    passes(&folder, "acme-guard");
    let extension = text(&folder, "dsm-mappings/acme-guard/extension.xml");
    for description in ["JSON", "LEEF", "CEF", "text"] {
        assert!(
            extension.contains(&format!("description=\"{description}\"")),
            "{extension}"
        );
    }
}

#[test]
fn an_xml_event_gives_its_elements_and_what_attributes_name() {
    let folder = Folder::new();
    folder.file(
        "windows.log",
        "<13>Nov 23 10:00:00 dc1 <Event xmlns=\"urn:event\"><System><EventID>4624</EventID><TimeCreated SystemTime=\"2026-11-23T10:00:00.000Z\"/><Computer>dc1.example.com</Computer></System><EventData><Data Name=\"UserName\">alice</Data><Data Name=\"IpAddress\">192.0.2.1</Data></EventData></Event>\n",
    );
    dsmith(
        &folder,
        &["new", "acme-dc", "--from-samples", "windows.log"],
    )
    .exits_with(0);
    passes(&folder, "acme-dc");
    let snapshot = text(&folder, "fixtures/acme-dc/xml/4624.log.snap");
    for piece in ["src=192.0.2.1⇥", "usrName=alice⇥", "dc1.example.com"] {
        assert!(snapshot.contains(piece), "{piece}: {snapshot}");
    }
}

#[test]
fn the_program_of_a_syslog_header_tells_the_payloads_of_a_source() {
    let folder = Folder::new();
    folder.file(
        "vpn.log",
        "Nov 23 10:00:00 gw1 vpnd[7]: user alice connected from 192.0.2.4 port 4500\n\
         <30>1 2026-11-23T10:00:05.25Z gw1 vpnd 7 - - rekeyed\n",
    );
    let ran = dsmith(&folder, &["new", "acme-vpn", "--from-samples", "vpn.log"]).exits_with(0);
    assert!(!ran.err.contains("autodetection"), "{ran:?}");
    passes(&folder, "acme-vpn");
    let found = dsmith(
        &folder,
        &[
            "parse",
            "--mappings",
            "dsm-mappings",
            "--strict",
            "-f",
            "json",
            "vpn.log",
        ],
    )
    .exits_with(0);
    assert_eq!(found.column("/eventId"), ["vpnd", "vpnd"]);
    let times = found.column("/deviceTime");
    assert!(times.iter().all(serde_json::Value::is_string), "{times:?}");
}

#[test]
fn what_is_cut_off_or_binary_is_left_out_and_the_rest_becomes_a_mapping() {
    let folder = Folder::new();
    folder.file("cut.ndjson", format!("{CLOUD}{{\"activity\":\"Chan"));
    folder.file(
        "data.log",
        b"fw: action=deny user=bob\nfw: action=deny key=\0\0\n",
    );
    let args = ["new", "acme", "--from-samples", "cut.ndjson", "data.log"];
    dsmith(&folder, &args)
        .exits_with(0)
        .says(&["cut.ndjson", "does not end"])
        .says(&["2 samples are cut off, broken or binary"]);
    passes(&folder, "acme");
    folder.file("only.json", "{\"activity\":\"Chan");
    dsmith(&folder, &["new", "other", "--from-samples", "only.json"])
        .exits_with(1)
        .says(&["no payloads", "nothing was written"]);
    assert!(!folder.path().join("dsm-mappings/other").exists());
}

#[test]
fn names_that_are_data_do_not_become_properties() {
    let folder = Folder::new();
    let lines: String = (0..300)
        .map(|n| format!("{{\"event\":\"tick\",\"id-{n}\":1}}\n"))
        .collect();
    folder.file("many.ndjson", lines);
    dsmith(&folder, &["new", "acme", "--from-samples", "many.ndjson"])
        .exits_with(0)
        .says(&["300 more names are not read"]);
    passes(&folder, "acme");
}

#[test]
fn a_folder_that_cannot_be_written_whole_is_not_left_behind() {
    let folder = Folder::new();
    folder.file("fw.log", FIREWALL);
    // Where the folder of fixtures should be there is a file.
    folder.file("fixtures", "");
    dsmith(&folder, &["new", "acme", "--from-samples", "fw.log"])
        .exits_with(1)
        .says(&["cannot write"]);
    assert!(!folder.path().join("dsm-mappings/acme").exists());
}

#[test]
fn a_second_mapping_takes_numbers_that_are_free() {
    let folder = Folder::new();
    folder.file("fw.log", FIREWALL);
    folder.file("cloud.ndjson", CLOUD);
    dsmith(
        &folder,
        &["new", "acme-firewall", "--from-samples", "fw.log"],
    )
    .exits_with(0);
    dsmith(
        &folder,
        &["new", "acme-cloud", "--from-samples", "cloud.ndjson"],
    )
    .exits_with(0);
    passes(&folder, "acme-cloud");
    let number = |slug: &str, key: &str| {
        let manifest = text(&folder, &format!("dsm-mappings/{slug}/manifest.toml"));
        let line = manifest.lines().find(|line| line.starts_with(key)).unwrap();
        line.rsplit(' ').next().unwrap().to_owned()
    };
    for key in ["log_source_type_id", "precedence"] {
        assert_ne!(
            number("acme-firewall", key),
            number("acme-cloud", key),
            "{key}"
        );
    }
}

#[test]
fn without_samples_there_is_an_invented_one() {
    let folder = Folder::new();
    dsmith(&folder, &["new", "acme"]).exits_with(0);
    passes(&folder, "acme");
}

#[test]
fn an_extension_keeps_its_bytes_and_samples_tell_its_events() {
    const LSX: &str = "<device-extension xmlns=\"event_parsing/device_extension\">\r\n<pattern id=\"A\" xmlns=\"\"><![CDATA[action=(\\w+)]]></pattern>\n  <pattern id=\"R\" xmlns=\"\"><![CDATA[rule=\"([^\"]*)\"]]></pattern><match-group order=\"1\" description=\"x\" xmlns=\"\">\n<matcher field=\"EventName\" order=\"1\" pattern-id=\"A\" capture-group=\"1\"/><matcher field=\"Rule Name\" order=\"1\" pattern-id=\"R\" capture-group=\"1\"/></match-group></device-extension>\n";
    let folder = Folder::new();
    folder.file("fw.log", FIREWALL);
    folder.file("old.xml", LSX);
    let args = ["new", "acme", "--from-lsx", "old.xml"];
    dsmith(
        &folder,
        &[&args[..], &["--from-samples", "fw.log"]].concat(),
    )
    .exits_with(0);
    assert_eq!(text(&folder, "dsm-mappings/acme/extension.xml"), LSX);
    let mappings = text(&folder, "dsm-mappings/acme/event-mappings.csv");
    assert!(
        mappings.contains("deny,,") && mappings.contains("permit,,"),
        "{mappings}"
    );
    dsmith(&folder, &["check"]).exits_with(0);
    dsmith(&folder, &["test", "acme"]).exits_with(0);
    dsmith(&folder, &["coverage", "acme", "--min", "100"]).exits_with(0);

    // Alone it passes too, and says that there is no evidence yet.
    dsmith(&folder, &["new", "bare", "--from-lsx", "old.xml"])
        .exits_with(0)
        .says(&["note", "put payloads into"]);
    dsmith(&folder, &["check"]).exits_with(0);
    dsmith(&folder, &["test", "bare"]).exits_with(0);
    dsmith(&folder, &["coverage", "bare"]).exits_with(0);
}

#[test]
fn nothing_is_written_over_and_faults_are_told_before_anything_is_written() {
    let folder = Folder::new();
    folder.file("fw.log", FIREWALL);
    folder.file(
        "bad.xml",
        "<device-extension xmlns=\"event_parsing/device_extension\"><pattern",
    );
    folder.file("empty.log", "\n");
    dsmith(&folder, &["new", "Acme Firewall"])
        .exits_with(64)
        .says(&["acme-firewall"]);
    dsmith(&folder, &["new", "acme", "--from-samples", "missing.log"])
        .exits_with(1)
        .says(&["missing.log"]);
    dsmith(&folder, &["new", "acme", "--from-samples", "empty.log"])
        .exits_with(1)
        .says(&["no payloads"]);
    dsmith(&folder, &["new", "acme", "--from-lsx", "bad.xml"])
        .exits_with(1)
        .says(&["nothing was written"]);
    assert!(!folder.path().join("dsm-mappings").exists());
    dsmith(&folder, &["new", "acme", "--from-samples", "fw.log"]).exits_with(0);
    dsmith(&folder, &["new", "acme", "--from-samples", "fw.log"])
        .exits_with(1)
        .says(&["is there already"]);
}

#[test]
fn a_sample_with_a_secret_is_left_out_and_not_shown() {
    let folder = Folder::new();
    let secret = "fw: action=login header=\"Authorization: Bearer abcdefgh12345678\"\n";
    folder.file("fw.log", format!("{FIREWALL}{secret}"));
    let ran = dsmith(&folder, &["new", "acme", "--from-samples", "fw.log"])
        .exits_with(0)
        .says(&["fw.log", "a bearer token", "left out"]);
    assert!(!format!("{ran:?}").contains("abcdefgh"), "{ran:?}");
    passes(&folder, "acme");
    let found = dsmith(
        &folder,
        &[
            "parse",
            "--type",
            "acme",
            "--mappings",
            "dsm-mappings",
            "fixtures",
        ],
    );
    assert!(
        !found.out.contains("abcdefgh") && found.out.contains("alice"),
        "{found:?}"
    );
}

#[test]
fn of_many_samples_those_become_fixtures_that_show_something_new() {
    let folder = Folder::new();
    let mut lines = String::new();
    for port in 1000..1200 {
        lines.push_str(&format!("fw: action=deny spt={port}\n"));
    }
    lines.push_str("fw: action=permit note=last spt=1\n");
    folder.file("many.log", lines);
    dsmith(
        &folder,
        &["new", "acme", "--most", "3", "--from-samples", "many.log"],
    )
    .exits_with(0)
    .says(&["3 of 201 samples"]);
    passes(&folder, "acme");
    assert!(
        folder
            .path()
            .join("fixtures/acme/name-value-pairs/permit.log")
            .exists()
    );
}
