//! `dsmith export`, `dsmith import` and `dsmith schema`.

use crate::support::{Folder, command, feed, repository, run};
use serde_json::Value;

fn in_repository(args: &[&str]) -> crate::support::Ran {
    feed(command(args).current_dir(repository()), b"")
}

#[test]
fn an_extension_without_our_attributes_and_properties_is_exported_byte_for_byte() {
    let folder = Folder::with_acme_cloud();
    let ran = run(&[
        "export",
        "acme-cloud",
        "--mappings",
        &folder.at("mappings"),
        "--to",
        "lsx",
    ])
    .exits_with(0)
    .says(&["acme-cloud", "nothing is lost"]);
    let text = std::fs::read_to_string(folder.at("mappings/acme-cloud/extension.xml")).unwrap();
    assert_eq!(ran.out, text);
}

#[test]
fn custom_properties_leave_the_extension_and_the_summary_says_where_they_are() {
    let ran = in_repository(&["export", "openssh-server", "--to", "lsx", "--strict"])
        .exits_with(0)
        .says(&["4 custom properties are not in an extension but in --to qradar"]);
    assert!(!ran.out.contains("Key Fingerprint"), "{}", ran.out);
    let folder = Folder::with_acme_cloud();
    let extension = folder.at("mappings/acme-cloud/extension.xml");
    let into = folder.at("mappings/acme-vault");
    // A bare extension says neither name nor id.
    run(&["import", &extension, "--into", &into])
        .exits_with(0)
        .says(&["id of the log source type", "4000"])
        .says(&["vendor and description"]);
    let manifest = std::fs::read_to_string(folder.at("mappings/acme-vault/manifest.toml")).unwrap();
    assert!(manifest.contains("name = \"Acme Vault\""), "{manifest}");
}

#[test]
fn losses_are_listed_with_the_payloads_that_rely_on_them() {
    let ran = in_repository(&["export", "example-web-gateway", "--to", "lsx"])
        .exits_with(0)
        .says(&["group/1/SourceIp/2", "payload", "SrcHostOfPair"]);
    assert!(!ran.out.contains("dsmith"), "{}", ran.out);
    in_repository(&["export", "example-web-gateway", "--to", "lsx", "--strict"]).exits_with(1);
    let ran = in_repository(&[
        "export",
        "example-web-gateway",
        "--to",
        "lsx",
        "--format",
        "json",
    ]);
    let loss: Value = serde_json::from_str(ran.err.lines().next().unwrap()).unwrap();
    assert!(loss["payloads"].as_u64().is_some(), "{loss}");
    in_repository(&["export", "example-vpn", "--to", "lsx", "--strict"])
        .exits_with(0)
        .says(&["nothing is lost", "became one expression each"]);
}

#[test]
fn options_and_properties_that_cannot_be_exported_are_losses_with_their_payloads() {
    let folder = Folder::with_devices(
        r#"<ns2:device-extension xmlns:ns2="event_parsing/device_extension">
  <pattern id="Action" type="JsonKeypath"><![CDATA[/"acme"]]></pattern>
  <pattern id="At" type="JsonKeypath"><![CDATA[/"at"]]></pattern>
  <match-group order="1">
    <json-matcher field="EventName" order="1" pattern-id="Action"/>
    <json-matcher field="DeviceTime" order="1" pattern-id="At"/>
    <json-matcher field="Device" order="1" pattern-id="At"/>
  </match-group>
</ns2:device-extension>
"#,
    );
    let manifest = folder.at("dsm-mappings/acme-cloud/manifest.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    // A property of type time without a format is one that QRadar does not make.
    let text = text.replace("type = \"string\"", "type = \"time\"");
    let options = "\n[options]\ntime-zone = \"+02:00\"\nqid-case = \"insensitive\"\n";
    std::fs::write(manifest, text + options).unwrap();
    folder.file(
        "payloads.log",
        "{\"acme\":\"login\",\"at\":\"2026-11-23T10:00:00\"}\n{\"acme\":\"login\"}\n",
    );
    let losses = |to: &str| -> Vec<(String, u64)> {
        let args = [
            "export",
            "acme-cloud",
            "--to",
            to,
            "--out",
            &folder.at(to),
            "--corpus",
            "payloads.log",
            "-f",
            "json",
        ];
        let ran = feed(command(&args).current_dir(folder.path()), b"").exits_with(0);
        let lines = ran
            .err
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines
            .map(|loss| {
                (
                    loss["subject"].as_str().unwrap().to_owned(),
                    loss["payloads"].as_u64().unwrap(),
                )
            })
            .collect()
    };
    let zone = ("option/time-zone".to_owned(), 1);
    let found = losses("lsx");
    assert!(
        found.contains(&zone) && found.contains(&("option/qid-case".to_owned(), 0)),
        "{found:?}"
    );
    let found = losses("qradar");
    assert!(
        found.contains(&zone) && found.contains(&("property/Device".to_owned(), 1)),
        "{found:?}"
    );
}

#[test]
fn a_folder_for_qradar_comes_back_as_a_mapping_that_passes_the_check() {
    let folder = Folder::new();
    let out = folder.at("out");
    in_repository(&["export", "openssh-server", "--to", "qradar", "--out", &out]).exits_with(0);
    let rows = std::fs::read_to_string(folder.at("out/qidmap.csv")).unwrap();
    assert!(rows.starts_with("24100"), "{rows}");
    let script = std::process::Command::new("sh")
        .args(["-n", &folder.at("out/apply.sh")])
        .status()
        .unwrap();
    assert!(script.success());
    let files = ["extension.xml", "qidmap.csv", "qradar.json"]
        .map(|name| folder.at(&format!("out/{name}")));
    let into = folder.at("mappings/back-again");
    let mut args = vec!["import", "--into", &into];
    args.extend(files.iter().map(String::as_str));
    run(&args).exits_with(0).says(&["back-again written"]);
    run(&["check", &into]).exits_with(0);
    let readme = std::fs::read_to_string(folder.at("mappings/back-again/README.md")).unwrap();
    assert!(readme.starts_with("# OpenSSH Server\n"), "{readme}");
    let manifest = std::fs::read_to_string(folder.at("mappings/back-again/manifest.toml")).unwrap();
    for line in ["name = \"OpenSSH Server\"", "log_source_type_id = 4003"] {
        assert!(manifest.contains(line), "{manifest}");
    }
    // What is there is not written over by accident.
    run(&args)
        .exits_with(1)
        .says(&["is there already", "--force"]);
    args.push("--force");
    run(&args).exits_with(0);
}

#[test]
fn what_cannot_be_exported_or_imported_is_named_with_the_reason() {
    let folder = Folder::with_acme_cloud();
    let mappings = folder.at("mappings");
    run(&[
        "export",
        "acme-cloud",
        "--mappings",
        &mappings,
        "--to",
        "qradar",
    ])
    .exits_with(64)
    .says(&["several files", "--out DIR"]);
    let into = folder.at("new");
    let other = folder.file("notes.txt", "hello\n");
    run(&["import", &other, "--into", &into])
        .exits_with(1)
        .says(&["notes.txt", "neither an extension"]);
    let broken = folder.file("broken.xml", "<device-extension>");
    run(&["import", &broken, "--into", &into])
        .exits_with(1)
        .says(&["broken.xml"])
        .says(&["the extension cannot be imported"]);
    let csv = folder.file("qids.csv", ",A,b,5,7001\n");
    run(&["import", &csv, "--into", &into])
        .exits_with(1)
        .says(&["no extension"]);
    let json = folder.file("x.json", "{");
    let extension = folder.at("mappings/acme-cloud/extension.xml");
    run(&["import", &json, &extension, "--into", &into])
        .exits_with(1)
        .says(&["x.json", "line 1"]);
    assert!(!folder.path().join("new").exists());
    folder.file("mappings/acme-cloud/extension.xml", "<x/>");
    run(&[
        "export",
        "acme-cloud",
        "--mappings",
        &mappings,
        "--to",
        "lsx",
    ])
    .exits_with(1)
    .says(&["DSM002"])
    .says(&["acme-cloud cannot be exported"]);
}

#[test]
fn the_schemas_are_those_of_the_documentation() {
    for (name, file) in [
        ("lsx", "lsx.xsd"),
        ("lsx-dsmith", "lsx-dsmith.xsd"),
        ("manifest", "manifest.schema.json"),
    ] {
        let ran = run(&["schema", name]).exits_with(0);
        let page = std::fs::read_to_string(repository().join("docs/reference").join(file)).unwrap();
        assert_eq!(ran.out, page, "{name}");
    }
}
