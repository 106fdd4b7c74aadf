//! Which mapping is applied: named, recognised, brought along, or bare.

use crate::support::{Folder, SSH, acme, login, repository, run, run_with};
use std::fs;
use std::path::Path;

const LSX: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<device-extension xmlns="event_parsing/device_extension">
  <pattern id="Action" xmlns=""><![CDATA[action=(\w+)]]></pattern>
  <pattern id="User" xmlns=""><![CDATA[user=(\w+)]]></pattern>
  <pattern id="Kind" xmlns=""><![CDATA[kind=(\w+)]]></pattern>
  <match-group order="1" description="acme" xmlns="">
    <matcher field="EventName" order="1" pattern-id="Action" capture-group="1"/>
    <matcher field="EventCategory" order="1" pattern-id="Kind" capture-group="1"/>
    <matcher field="UserName" order="1" pattern-id="User" capture-group="1"/>
  </match-group>
</device-extension>
"#;

#[test]
fn a_type_is_recognised_by_itself_and_said() {
    let folder = Folder::with_acme_cloud();
    let mixed = format!(
        "{SSH}{}\nnobody knows this\n",
        SSH.replace("jvega", "bob").trim_end()
    );
    let ran = run_with(&["parse", "-f", "json"], mixed)
        .exits_with(0)
        .says(&["openssh-server", "2", "0"])
        .says(&["not recognised", "1"])
        .says(&["total", "3"]);
    assert_eq!(
        ran.column("/logSourceType/name"),
        ["OpenSSH Server", "OpenSSH Server", "SIM Generic Log"]
    );
    run_with(&acme(&folder, &[]), login("ann"))
        .exits_with(0)
        .says(&["acme-cloud: 1 event, 1 mapped, 0 unknown, 0 stored"]);
}

#[test]
fn a_payload_is_recognised_by_its_object_though_the_mapping_reads_arrays_too() {
    let folder = Folder::with_acme_cloud();
    let path = folder.at("mappings/acme-cloud/manifest.toml");
    let manifest = fs::read_to_string(&path).unwrap();
    let by_member = manifest.replace(
        r#"patterns = ['"acme"\s*:']"#,
        r#"keypaths = ['/"acme"', '/"user"']"#,
    );
    assert_ne!(by_member, manifest);
    fs::write(&path, by_member).unwrap();
    let path = folder.at("mappings/acme-cloud/extension.xml");
    let extension = fs::read_to_string(&path).unwrap();
    let line = format!("<13>Nov 23 10:00:00 gw acme: [{}]\n", login("ann"));
    let other = line.replace("\"user\"", "\"name\"");
    for first in ["", "[0]/"] {
        let extension = extension.replace("/\"user\"", &format!("/{first}\"user\""));
        fs::write(&path, extension).unwrap();
        run_with(&acme(&folder, &[]), format!("{line}{other}"))
            .says(&["acme-cloud", "1"])
            .says(&["not recognised", "1"]);
    }
}

#[test]
fn a_payload_that_nothing_recognises_is_named_with_the_types_there_are() {
    run_with(&["parse"], "nobody knows this\n")
        .exits_with(0)
        .says(&[
            "standard input: byte 0",
            "not recognised by any autodetection rule",
        ])
        .says(&[
            "note",
            "--type",
            "example-vpn",
            "microsoft-365-defender",
            "openssh-server",
        ])
        .says(&["not recognised: 1 event, 0 mapped, 0 unknown, 1 stored"]);
}

#[test]
fn the_type_that_is_named_is_applied_even_if_it_would_not_be_recognised() {
    let ran = run_with(&["parse", "-t", "example-vpn", "-f", "json"], SSH).exits_with(0);
    assert_eq!(ran.column("/logSourceType/name"), ["Example VPN"]);
    assert_eq!(ran.column("/status"), ["Stored"]);
}

#[test]
fn an_unknown_type_lists_the_nearest_and_all_others() {
    run_with(&["parse", "--type", "OpenSSH"], SSH)
        .exits_with(64)
        .says(&[
            "no log source type `OpenSSH`",
            "openssh-server",
            "example-vpn",
        ]);
    run_with(&["parse", "--type", "opensh_server"], SSH)
        .exits_with(64)
        .says(&["did you mean `openssh-server`?"]);
    let folder = Folder::with_acme_cloud();
    run_with(&acme(&folder, &["--type", "acme-clod"]), login("ann"))
        .exits_with(64)
        .says(&["acme-clod", "did you mean `acme-cloud`?"]);
    run_with(&["parse", "--mappings", &folder.at("nowhere")], SSH)
        .exits_with(1)
        .says(&["nowhere", "No such file"]);
}

#[test]
fn strict_exits_with_2_when_an_event_is_not_mapped() {
    let folder = Folder::with_acme_cloud();
    let unknown = login("ann").replace("login", "logout");
    let args = acme(&folder, &["--strict"]);
    run_with(&args, login("ann")).exits_with(0);
    let ran = run_with(&args, format!("{}\n{unknown}\n", login("ann"))).exits_with(2);
    assert_eq!(ran.out.lines().count(), 2, "both come out");
    run_with(&acme(&folder, &[]), unknown).exits_with(0);
    run_with(&args, "no type at all\n").exits_with(2);
    // What could not be read weighs more than what could not be mapped.
    run_with(&args, "no type at all\n{\"acme\":\"cut\n").exits_with(1);
}

#[test]
fn a_bare_extension_works_at_once() {
    let folder = Folder::new();
    let lsx = folder.file("exported.xml", LSX);
    run(&["check", &lsx])
        .exits_with(0)
        .says(&["1 mapping checked"]);
    let ran = run_with(
        &["parse", "--lsx", &lsx, "-f", "json"],
        "action=login kind=web user=ann\nnothing\n",
    )
    .exits_with(0)
    .says(&["2 events, 0 mapped, 1 unknown, 1 stored"]);
    assert_eq!(ran.column("/status"), ["Unknown", "Stored"]);
    assert_eq!(ran.column("/reason")[0], "there is no QID map");
    assert_eq!(ran.column("/eventId")[0], "login");
    assert_eq!(ran.column("/eventCategory")[0], "web");
    assert_eq!(ran.column("/properties/UserName")[0], "ann");
    run_with(
        &["parse", "--lsx", &lsx, "--explain"],
        "action=login user=ann\n",
    )
    .exits_with(0);
}

#[test]
fn a_faulty_extension_is_shown_with_the_place() {
    let folder = Folder::new();
    let lsx = folder.file(
        "exported.xml",
        LSX.replace("pattern-id=\"User\"", "pattern-id=\"Usr\""),
    );
    for args in [&["check", &lsx][..], &["parse", "--lsx", &lsx]] {
        let ran = run_with(args, "x\n").exits_with(1);
        let all = format!("{}{}", ran.out, ran.err);
        assert!(all.contains("exported.xml:9:"), "{all}");
        assert!(all.contains("`User`"), "{all}");
    }
    run_with(&["parse", "--lsx", &folder.at("none.xml")], "x\n")
        .exits_with(1)
        .says(&["none.xml"]);
    run_with(&["parse", "--lsx", &lsx, "--type", "openssh-server"], "x\n").exits_with(64);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn a_new_log_source_type_is_a_copied_folder_with_edited_text_files() {
    let folder = Folder::new();
    let ours = repository().join("dsm-mappings");
    for slug in ["openssh-server", "example-vpn"] {
        copy(&ours.join(slug), &folder.path().join("mappings").join(slug));
    }
    // The new type: another program name, another product, QIDs and precedence of its own.
    let new = folder.path().join("mappings/acme-shell");
    copy(&ours.join("openssh-server"), &new);
    for entry in fs::read_dir(&new).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path)
            .unwrap()
            .replace("sshd", "acmed")
            .replace("OpenSSH Server", "Acme Shell")
            .replace("log_source_type_id = 4003", "log_source_type_id = 4997")
            .replace("precedence = 50", "precedence = 51")
            .replace("241000", "247000")
            .replace("241001", "247001")
            .replace("241002", "247002");
        fs::write(&path, text).unwrap();
    }
    let mappings = folder.at("mappings");

    run(&["check", &mappings])
        .exits_with(0)
        .says(&["3 mappings checked: no findings"]);

    let input = format!("{SSH}{}", SSH.replace("sshd", "acmed"));
    let ran = run_with(&["parse", "--mappings", &mappings, "-f", "json"], &input)
        .exits_with(0)
        .says(&["acme-shell", "1"])
        .says(&["openssh-server", "1"]);
    assert_eq!(
        ran.column("/logSourceType/name"),
        ["OpenSSH Server", "Acme Shell"]
    );
    assert_eq!(ran.column("/status"), ["Mapped", "Mapped"]);
    assert_eq!(ran.column("/qid"), [2_410_001, 2_470_001]);
    assert_eq!(ran.column("/properties/UserName"), ["jvega", "jvega"]);

    let named = run_with(
        &[
            "parse",
            "--mappings",
            &mappings,
            "--type",
            "acme-shell",
            "-f",
            "json",
            "--strict",
        ],
        SSH.replace("sshd", "acmed"),
    )
    .exits_with(0);
    assert_eq!(named.column("/qid"), [2_470_001]);
}

#[test]
fn a_mapping_with_errors_is_shown_left_out_and_remembered_in_the_exit_code() {
    let folder = Folder::with_acme_cloud();
    folder.file("mappings/broken/manifest.toml", "format = 1\n");
    let ran = run_with(&acme(&folder, &["-f", "json"]), login("ann"))
        .exits_with(1)
        .says(&["DSM060", "extension.xml is missing"]);
    assert_eq!(ran.column("/status"), ["Mapped"]);
    // It is no business of somebody who asks for another one.
    run_with(&acme(&folder, &["--type", "acme-cloud"]), login("ann")).exits_with(0);
    run_with(&acme(&folder, &["--type", "broken"]), login("ann"))
        .exits_with(1)
        .says(&["cannot be used"]);
}

#[test]
fn device_times_without_a_year_refer_to_the_time_of_receipt() {
    let year = |received: &str| {
        run_with(&["parse", "-f", "json", "--received", received], SSH)
            .exits_with(0)
            .column("/deviceTime")[0]
            .clone()
    };
    assert_eq!(year("2026-11-23T10:00:00Z"), "2026-03-10T08:14:27Z");
    assert_eq!(year("2020-01-01T00:00:00+01:00"), "2019-03-10T08:14:27Z");
    run_with(&["parse", "--received", "yesterday"], SSH).exits_with(64);
}
