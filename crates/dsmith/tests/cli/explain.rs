//! `dsmith explain`.

use crate::support::{Folder, run};

#[test]
fn a_code_is_explained_with_an_example() {
    let ran = run(&["explain", "dsm007"]).exits_with(0);
    for words in [
        "DSM007, an error: a capture group does not exist",
        "Why it matters: a reference",
        "  error[DSM007]: ",
        "help: ",
    ] {
        assert!(ran.out.contains(words), "{words}: {ran:?}");
    }
}

#[test]
fn every_code_has_a_line_and_can_be_explained() {
    let list = run(&["explain"]).exits_with(0).out;
    let codes: Vec<&str> = list.lines().map(|line| &line[..6]).collect();
    assert!(
        codes.contains(&"DSM001") && codes.contains(&"CFG022"),
        "{list}"
    );
    let ran = run(&[&["explain", "--format", "json"], &codes[..]].concat()).exits_with(0);
    let explained = ran.events();
    assert_eq!(explained.len(), codes.len());
    for (code, explained) in codes.iter().zip(&explained) {
        assert_eq!(explained["code"], *code);
        assert!(explained["why"].as_str().unwrap().len() > 10, "{code}");
    }
}

#[test]
fn a_code_that_does_not_exist_is_a_wrong_command_line() {
    run(&["explain", "DSM007", "DSM999", "XYZ"])
        .exits_with(64)
        .says(&["DSM999", "XYZ", "codes: DSM001"]);
}

#[test]
fn check_explains_each_code_once_on_request() {
    let folder = Folder::with_acme_cloud();
    folder.file("mappings/acme-cloud/notes.txt", "x");
    folder.file("mappings/acme-cloud/more.txt", "x");
    let ran = run(&["check", "--explain", &folder.at("mappings")]).exits_with(0);
    assert_eq!(ran.out.matches("DSM061, a warning: ").count(), 1, "{ran:?}");
    let ran = run(&["check", &folder.at("mappings")]).exits_with(0);
    assert!(!ran.out.contains("Why it matters"), "{ran:?}");
}
