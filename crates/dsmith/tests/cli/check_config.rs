//! `dsmith check-config`.

use crate::support::{Folder, run};

const GOOD: &str = r#"
state_directory = "state"
[[destination]]
name = "out"
type = "stdout"
[[log_source]]
identifier = "alpha"
type = "microsoft-365-defender"
protocol = "microsoft-graph-security"
destinations = ["out"]
[log_source.parameters]
tenant_id = "3b1d1cbc-6f1e-4a3c-9a53-0c7c1e5d8f10"
client_id = "8c0f4b52-94a5-4d3e-8f6a-2a9c1b7e4d21"
client_secret = { env = "DSMITH_TEST_NOWHERE" }
"#;

#[test]
fn a_good_configuration_passes_and_a_secret_that_is_elsewhere_is_a_warning() {
    let folder = Folder::new();
    let path = folder.file("dsmith.toml", GOOD);
    let ran = run(&["check-config", "-c", path.as_str()]).exits_with(0);
    assert!(ran.out.contains("warning[CFG018]"), "{ran:?}");
    assert!(ran.out.contains("DSMITH_TEST_NOWHERE"), "{ran:?}");
    ran.says(&["1 log source, 1 destination: 1 warning"]);
}

#[test]
fn every_mistake_is_listed_with_its_line_in_one_run() {
    let folder = Folder::new();
    let text = GOOD
        .replace("state_directory", "state_dir")
        .replace("\"stdout\"", "\"stdot\"")
        .replace("\"alpha\"", "\"\"")
        .replace("365-defender", "365-defnder")
        .replace("[\"out\"]", "[\"outt\"]")
        .replace("tenant_id = \"3b1d", "tenant_id = \"not-a-uuid-3b1d");
    let path = folder.file("dsmith.toml", &text);
    let ran = run(&["check-config", "-c", path.as_str()]).exits_with(1);
    for line in [2, 5, 7, 8, 10, 12] {
        assert!(
            ran.out.contains(&format!("dsmith.toml:{line}:")),
            "{line}: {ran:?}"
        );
    }
    ran.says(&["6 errors"]);
}

#[test]
fn a_secret_in_the_file_is_refused_and_shown_in_no_format() {
    let folder = Folder::new();
    let text = GOOD.replace("{ env = \"DSMITH_TEST_NOWHERE\" }", "\"hunter2!\"");
    let path = folder.file("dsmith.toml", &text);
    for format in ["human", "json", "github", "sarif"] {
        let ran = run(&["check-config", "-c", path.as_str(), "--format", format]).exits_with(1);
        assert!(ran.out.contains("CFG017"), "{ran:?}");
        assert!(
            ran.out.contains("{ env = ") || ran.out.contains("{ env = \\\"NAME"),
            "{ran:?}"
        );
        assert!(
            !format!("{}{}", ran.out, ran.err).contains("hunter2"),
            "{ran:?}"
        );
    }
}

#[test]
fn a_configuration_that_is_not_there_is_named() {
    let ran = run(&["check-config", "-c", "nowhere/dsmith.toml"]).exits_with(1);
    assert!(ran.out.contains("nowhere/dsmith.toml"), "{ran:?}");
}

#[test]
fn a_mapping_of_the_configuration_is_checked_too() {
    let folder = Folder::new();
    folder.file("mappings/acme/manifest.toml", "format = 1\n");
    let text = GOOD
        .replace(
            "state_directory",
            "mappings = \"mappings\"\nstate_directory",
        )
        .replace("microsoft-365-defender", "acme");
    let path = folder.file("dsmith.toml", &text);
    let ran = run(&["check-config", "-c", path.as_str()]).exits_with(1);
    assert!(
        ran.out.contains("DSM060") && ran.out.contains("CFG011"),
        "{ran:?}"
    );
}
