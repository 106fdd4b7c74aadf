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

/// Log sources and destinations, each with something that only shows when it is opened.
fn only_at_opening() -> Vec<(&'static str, String, &'static str)> {
    let source = |protocol: &str, parameters: &str| {
        format!(
            "state_directory = \"state\"\n[[destination]]\nname = \"out\"\ntype = \"stdout\"\n[[log_source]]\n\
             identifier = \"alpha\"\ntype = \"microsoft-365-defender\"\nprotocol = \"{protocol}\"\n\
             destinations = [\"out\"]\n[log_source.parameters]\n{parameters}\n"
        )
    };
    let mut cases = vec![(
        "metrics at an address of another machine",
        format!(
            "{}[metrics]\naddress = \"192.0.2.1:9464\"\n",
            source("file", "path = \"in.log\"")
        ),
        "metrics cannot be served at 192.0.2.1:9464",
    )];
    cases.push((
        "a connection string without its parts",
        source(
            "microsoft-azure-event-hubs",
            "event_hub_connection_string = { file = \"@/secret\" }\nconsumer_group = \"dsmith\"",
        ),
        "event_hub_connection_string",
    ));
    cases.push((
        "a region that is named twice, so that two lanes would have one cursor",
        source(
            "microsoft-defender-endpoint-siem",
            "authorization_server_url = \"https://login.microsoftonline.com/3b1d1cbc-6f1e-4a3c-9a53-0c7c1e5d8f10/oauth2/token\"\n\
             client_id = \"8c0f4b52-94a5-4d3e-8f6a-2a9c1b7e4d21\"\nclient_secret = { file = \"@/secret\" }\n\
             region = [\"eu\", \"eu\"]",
        ),
        "eu",
    ));
    if cfg!(not(feature = "kafka")) {
        cases.push((
            "a protocol that this build lacks",
            source(
                "apache-kafka",
                "bootstrap_server_list = [\"192.0.2.1:9092\"]\nconsumer_group = \"dsmith\"\ntopic_list = [\"alerts\"]",
            ),
            "without the feature `kafka`",
        ));
        cases.push((
            "a destination that this build lacks",
            source("file", "path = \"in.log\"").replace(
                "type = \"stdout\"",
                "type = \"kafka\"\nbootstrap_servers = [\"192.0.2.1:9092\"]\ntopic = \"alerts\"",
            ),
            "without the feature `kafka`",
        ));
        cases.push((
            "a group that this build cannot join",
            source("file", "path = \"in.log\"").replace(
                "[[destination]]",
                "[group]\nname = \"collectors\"\nbootstrap_servers = [\"192.0.2.1:9092\"]\n[[destination]]",
            ),
            "without the feature `kafka`",
        ));
    }
    cases
}

#[test]
fn what_a_run_refuses_the_check_reports_in_the_same_words() {
    for (what, text, said) in only_at_opening() {
        let folder = Folder::new();
        folder.file("secret", "Endpoint=nonsense");
        folder.file("in.log", "");
        let text = text.replace('@', &folder.at(""));
        let path = folder.file("dsmith.toml", text);
        let checked = run(&["check-config", "-c", &path]);
        assert!(checked.out.contains(said), "{what}: {checked:?}");
        let ran = run(&["run", "--once", "-c", &path]).exits_with(1);
        assert!(ran.err.contains(said), "{what}: {ran:?}");
        // It refuses before it has done anything.
        assert!(
            !std::path::Path::new(&folder.at("state")).exists(),
            "{what}"
        );
    }
}

#[test]
fn a_build_without_a_feature_is_an_error_with_the_line_and_the_remedy() {
    if cfg!(feature = "kafka") {
        return;
    }
    let folder = Folder::new();
    let mut cases = only_at_opening().into_iter();
    let case = cases.find(|(what, ..)| *what == "a protocol that this build lacks");
    let (_, text, _) = case.unwrap();
    let path = folder.file("dsmith.toml", text);
    let ran = run(&["check-config", "-c", &path]).exits_with(1);
    for part in [
        "error[CFG023]",
        "dsmith.toml:8:",
        "cargo build --release --features kafka",
    ] {
        assert!(ran.out.contains(part), "{part}: {ran:?}");
    }
}

#[test]
fn names_that_meet_somewhere_are_refused_with_both_lines() {
    let two = |first: &str, second: &str| {
        format!(
            "state_directory = \"state\"\n[[destination]]\nname = \"out\"\ntype = \"stdout\"\n\
             [[log_source]]\nidentifier = \"{first}\"\ntype = \"openssh-server\"\nprotocol = \"file\"\n\
             destinations = [\"out\"]\nparameters = {{ path = \"a.log\" }}\n\
             [[log_source]]\nidentifier = \"{second}\"\ntype = \"openssh-server\"\nprotocol = \"file\"\n\
             destinations = [\"out\"]\nparameters = {{ path = \"b.log\" }}\n"
        )
    };
    for (first, second) in [("a b", "a-b"), ("Alpha", "alpha"), ("é", "ü"), ("ä1", "-1")] {
        let folder = Folder::new();
        let path = folder.file("dsmith.toml", two(first, second));
        let ran = run(&["check-config", "-c", &path]).exits_with(1);
        for part in [
            "CFG024",
            &format!("identifier = \"{first}\""),
            &format!("identifier = \"{second}\""),
        ] {
            assert!(ran.out.contains(part), "{part}: {ran:?}");
        }
        run(&["run", "--once", "-c", &path]).exits_with(1);
    }
    let folder = Folder::new();
    let path = folder.file("dsmith.toml", two("alpha", "alpha-1"));
    run(&["check-config", "-c", &path]).exits_with(0);
}
