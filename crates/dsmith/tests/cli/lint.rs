//! `dsmith lint`.

use crate::support::{Folder, command, feed, repository, run};

/// A mapping with a pattern that is there twice, and a payload for it.
fn repeated() -> Folder {
    let folder = Folder::with_acme_cloud();
    let path = folder.path().join("mappings/acme-cloud/extension.xml");
    let text = std::fs::read_to_string(&path)
        .unwrap()
        .replace(
            "  <pattern id=\"Ip\"",
            "  <pattern id=\"Account\" type=\"JsonKeypath\"><![CDATA[/\"user\"]]></pattern>\n  <pattern id=\"Ip\"",
        )
        .replace(
            "  </match-group>",
            "    <json-matcher field=\"HostName\" order=\"1\" pattern-id=\"Account\"/>\n  </match-group>",
        );
    std::fs::write(path, text).unwrap();
    folder.file("payloads.log", "{\"acme\":\"login\",\"user\":\"alice\"}\n");
    folder
}

fn lint(folder: &Folder, more: &[&str]) -> crate::support::Ran {
    let (mappings, corpus) = (folder.at("mappings"), folder.at("payloads.log"));
    let mut args = vec![
        "lint",
        "acme-cloud",
        "--mappings",
        &mappings,
        "--corpus",
        &corpus,
    ];
    args.extend(more);
    run(&args)
}

#[test]
fn a_shipped_mapping_has_no_findings_but_what_it_allows_with_a_reason() {
    let mut lint = command(&["lint", "example-web-gateway"]);
    let ran = feed(lint.current_dir(repository()), b"")
        .exits_with(0)
        .says(&["allowed: DSM111", "times", "without dsmith"])
        .says(&["example-web-gateway", "payloads: no findings"]);
    assert_eq!(ran.out, "");
}

#[test]
fn a_finding_fails_the_run_and_tells_what_fix_would_do() {
    let ran = lint(&repeated(), &[])
        .exits_with(1)
        .says(&["1 warning", "1 of them for --fix"]);
    for words in ["warning[DSM105]", "extension.xml:6:", "help:"] {
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
    }
    let ran = lint(&repeated(), &["--format", "json"]).exits_with(1);
    let findings = ran.events();
    assert_eq!(findings[0]["subject"], "pattern/Account");
    assert_eq!(
        findings[0]["fix"],
        "use pattern `User` in place of `Account`"
    );
    assert_eq!(findings[0]["places"][0]["line"], 6);
    let ran = lint(&repeated(), &["--format", "sarif"]).exits_with(1);
    assert!(ran.out.contains("\"ruleId\": \"DSM105\""), "{}", ran.out);
}

#[test]
fn fix_writes_the_file_and_touches_nothing_else_in_it() {
    let folder = repeated();
    let path = folder.path().join("mappings/acme-cloud/extension.xml");
    let before = std::fs::read_to_string(&path).unwrap();
    lint(&folder, &["--fix"])
        .exits_with(0)
        .says(&["fixed: use pattern `User` in place of `Account`"])
        .says(&["1 payload: no findings"]);
    let after = std::fs::read_to_string(&path).unwrap();
    let lost: Vec<&str> = before
        .lines()
        .filter(|line| !after.contains(line))
        .collect();
    assert_eq!(lost.len(), 2, "{lost:?}");
    assert!(
        after.contains("field=\"HostName\" order=\"1\" pattern-id=\"User\"/>"),
        "{after}"
    );
    lint(&folder, &[]).exits_with(0);
}

#[test]
fn what_cannot_be_linted_is_named() {
    let folder = Folder::with_acme_cloud();
    let mappings = folder.at("mappings");
    run(&["lint", "acme-clod", "--mappings", &mappings])
        .exits_with(64)
        .says(&["acme-clod", "did you mean `acme-cloud`"]);
    // Without a folder of mappings those of the program are meant, which nobody can write.
    let mut embedded = command(&["lint", "openssh-server", "--fix"]);
    feed(embedded.current_dir(folder.path()), b"")
        .exits_with(64)
        .says(&["openssh-server is a mapping of this program"]);
    let mut embedded = command(&["lint", "openssh-server"]);
    feed(embedded.current_dir(folder.path()), b"").exits_with(0);
    run(&[
        "lint",
        "acme-cloud",
        "--mappings",
        &mappings,
        "--corpus",
        &folder.at("nowhere"),
    ])
    .exits_with(1)
    .says(&["nowhere does not exist"]);
    folder.file("mappings/acme-cloud/extension.xml", "<x/>");
    let ran = run(&["lint", "acme-cloud", "--mappings", &mappings]).exits_with(1);
    assert!(ran.out.contains("error[DSM002]"), "{}", ran.out);
}
