//! Runs every target over its corpus: what was found once stays mended.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

use std::collections::BTreeSet;
use std::fs;

#[test]
fn every_input_of_every_corpus_keeps_the_promises() {
    for target in fuzz::TARGETS {
        let folder = fuzz::corpora().join(target.name);
        let mut files: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        assert!(!files.is_empty(), "{} has a corpus", target.name);
        for file in files {
            let input = fs::read(&file).unwrap();
            let outcome = std::panic::catch_unwind(|| fuzz::check(target, &input));
            assert!(outcome.is_ok(), "{}", file.display());
        }
    }
}

#[test]
fn every_corpus_belongs_to_a_target() {
    let known: BTreeSet<&str> = fuzz::TARGETS.iter().map(|target| target.name).collect();
    for entry in fs::read_dir(fuzz::corpora()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(known.contains(&*name), "no target is called {name}");
    }
}
