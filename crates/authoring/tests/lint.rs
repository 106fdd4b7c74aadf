//! The lints: what they find in what is shipped, what the worst pattern costs, and which fixes are refused.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

use authoring::anonymize;
use authoring::corpus::Input;
use authoring::folder;
use authoring::lint::{self, Finding};
use authoring::render::{Format, render};
use authoring::replay::Corpus;
use dsm::diagnostic::{Code, SourceFile};
use dsm::mapping::Source;
use dsm::{Mapping, Normalizer, Payload};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A mapping of one match group with an extension of its own.
fn source(patterns: &str, matchers: &str) -> Source {
    let file = |name: &str, text: &str| SourceFile::new(format!("acme/{name}"), text);
    let extension = format!(
        "<ns2:device-extension xmlns:ns2=\"event_parsing/device_extension\">\n{patterns}\n<match-group order=\"1\">\n{matchers}\n</match-group>\n</ns2:device-extension>\n"
    );
    Source {
        slug: "acme".to_owned(),
        manifest: file(
            "manifest.toml",
            "format = 1\nname = \"Acme\"\nlog_source_type_id = 4001\n[leef]\nvendor = \"A\"\nproduct = \"B\"\nversion = \"1\"\n",
        ),
        extension: file("extension.xml", &extension),
        qidmap: file(
            "qidmap.csv",
            "qid,name,description,severity,lowlevelcategory\n",
        ),
        event_mappings: file("event-mappings.csv", "event_id,event_category,qid\n"),
    }
}

fn corpus(text: &str) -> Corpus {
    let mut corpus = Corpus::default();
    corpus.add("payloads.log", text.as_bytes()).unwrap();
    corpus
}

fn findings(source: &Source, code: Code) -> Vec<Finding> {
    let report = lint::lint(source, &Corpus::default());
    assert!(!report.checked.has_errors(), "{:?}", report.checked);
    let mut findings = report.findings;
    findings.retain(|finding| finding.diagnostic.code == code);
    findings
}

#[test]
fn patterns_that_are_too_many_and_too_alike_to_be_compared_are_a_finding_that_names_the_first() {
    let patterns: String = (0..1_500)
        .map(|at| {
            let same = "the same letters are in all of them ";
            format!("<pattern id=\"p{at}\"><![CDATA[{same}(?:{at}|-)x]]></pattern>\n")
        })
        .collect();
    let matchers: String = (0..1_500)
        .map(|at| {
            let order = at + 1;
            format!("<matcher field=\"EventName\" order=\"{order}\" pattern-id=\"p{at}\" capture-group=\"login\"/>\n")
        })
        .collect();
    let found = findings(&source(&patterns, &matchers), Code::MatcherNeverWins);
    assert_eq!(found.len(), 1);
    let message = &found[0].diagnostic.message;
    assert!(
        message.contains("were not compared") && message.contains("40000000 steps"),
        "{message}"
    );
    assert!(found[0].subject.starts_with("group/1/EventName/"));
}

#[test]
fn the_shipped_mappings_are_clean_or_say_why() {
    for folder in folder::folders(&root().join("dsm-mappings")).unwrap() {
        let slug = folder.file_name().unwrap().to_string_lossy().into_owned();
        let corpus = Corpus::of_fixtures(&root().join("fixtures").join(&slug)).unwrap();
        let (source, _) = folder::read_as(&folder, slug);
        let report = lint::lint(&source.unwrap(), &corpus);
        let findings = report.diagnostics();
        assert!(
            findings.is_empty(),
            "{}",
            render(&findings, Format::Human, false)
        );
    }
}

#[test]
fn every_fixture_of_this_repository_is_clean_but_the_one_that_shows_the_lint() {
    let mut unclean = Vec::new();
    let mut files = 0;
    let listing = authoring::corpus::inputs(&[root().join("fixtures")]);
    for input in listing.inputs {
        let name = input.name();
        let Input::Found(path) = input else { continue };
        let Ok(text) = std::fs::read_to_string(&path) else {
            continue;
        };
        files += 1;
        if !anonymize::findings(&text).is_empty() {
            unclean.push(name);
        }
    }
    assert!(files > 200, "{files}");
    assert!(
        matches!(&unclean[..], [name] if name.contains("DSM113-address-of-somebody")),
        "{unclean:#?}"
    );
}

#[test]
fn a_catastrophic_pattern_is_found_and_the_engine_stays_within_its_budget_on_its_attack() {
    let source = source(
        r"<pattern id='Name'><![CDATA[name=(\w+)]]></pattern>
          <pattern id='User'><![CDATA[^(?>)(?:(?:\w+\s?)*;)*=(\w)]]></pattern>",
        "<matcher field='EventName' order='1' pattern-id='Name' capture-group='1'/>
         <matcher field='UserName' order='1' pattern-id='User' capture-group='1'/>",
    );
    let found = findings(&source, Code::RegexExponential);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].subject, "pattern/User");
    let why = &found[0].diagnostic.why;
    assert!(why.contains("measured on \""), "{why}");

    let mapping = Mapping::load(&source).0.unwrap();
    let regex =
        java_regex::JavaRegex::new(r"^(?>)(?:(?:\w+\s?)*;)*=(\w)", java_regex::Flags::default())
            .unwrap();
    let budget = mapping.options().regex_step_budget;
    let attack = regex.attack(4096, budget).unwrap();
    let text = attack.text();
    assert!(text.len() < 100, "{text}");
    let mut slots = java_regex::Slots::default();
    assert_eq!(regex.steps(&text, &mut slots, budget), budget);
    let payload = Payload::from(text.as_str());
    let exceeded = Normalizer::new(&mapping)
        .normalize(&payload, chrono::DateTime::UNIX_EPOCH)
        .budget_exceeded;
    assert_eq!(exceeded, 1);
}

#[test]
fn a_fix_that_would_change_an_event_is_not_applied() {
    let source = source(
        r#"<pattern id="Name" type="JsonKeypath"><![CDATA[/"action"]]></pattern>
           <pattern id="User"><![CDATA["user"\s*:\s*"([^"]*)"]]></pattern>"#,
        r#"<json-matcher field="EventName" order="1" pattern-id="Name"/>
           <matcher field="UserName" order="1" pattern-id="User" capture-group="1"/>"#,
    );
    let same = corpus("{\"action\":\"a\",\"user\":\"alice\"}\n{\"action\":\"b\"}\n");
    let fixed = lint::fix(&source, &same);
    assert_eq!(
        (fixed.done.len(), fixed.refused.len()),
        (1, 0),
        "{:?}",
        fixed.refused
    );
    assert!(fixed.source.extension.text.contains("/\"user\""));

    // A number is no text in quotes, but a value all the same.
    let other = corpus("{\"action\":\"a\",\"user\":\"alice\"}\n{\"action\":\"b\",\"user\":7}\n");
    let fixed = lint::fix(&source, &other);
    assert_eq!((fixed.done.len(), fixed.refused.len()), (0, 1));
    assert!(
        fixed.refused[0].1.contains("1 of 2 events"),
        "{:?}",
        fixed.refused
    );
    assert_eq!(fixed.source.extension, source.extension);
    assert_eq!(fixed.report.findings.len(), 1);
}

#[test]
fn an_allow_takes_what_it_names_and_nothing_else() {
    let mut source = source(
        r"<pattern id='Name'><![CDATA[^name=(\w+)]]></pattern>
          <pattern id='A'><![CDATA[^a=(?s)(.)]]></pattern>
          <pattern id='B'><![CDATA[^b=(?s)(.)]]></pattern>",
        "<matcher field='EventName' order='1' pattern-id='Name' capture-group='1'/>
         <matcher field='UserName' order='1' pattern-id='A' capture-group='1'/>
         <matcher field='HostName' order='1' pattern-id='B' capture-group='1'/>",
    );
    assert_eq!(findings(&source, Code::EditorConstruct).len(), 2);
    let manifest = format!(
        "{}[[allow]]\nlint = \"DSM106\"\nat = [\"pattern/A\"]\nreason = \"it is so\"\n",
        source.manifest.text
    );
    source.manifest = SourceFile::new("acme/manifest.toml", manifest);
    let left = findings(&source, Code::EditorConstruct);
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].subject, "pattern/B");
    let report = lint::lint(&source, &Corpus::default());
    assert_eq!(report.allowed.len(), 1);
    assert_eq!(
        (report.allowed[0].count, report.allowed[0].reason.as_str()),
        (1, "it is so")
    );
}

#[test]
fn a_wide_constant_does_not_shadow_what_reads_another_text_or_field() {
    // The second one is narrower, but the first may have an empty value.
    let source = source(
        r"<pattern id='Name'><![CDATA[^(\w*)]]></pattern>
          <pattern id='Wide'><![CDATA[a]]></pattern>
          <pattern id='Narrow'><![CDATA[ab]]></pattern>",
        "<matcher field='EventName' order='1' pattern-id='Name' capture-group='1'/>
         <matcher field='SourcePort' order='1' pattern-id='Wide' capture-group='x' enable-substitutions='true'/>
         <matcher field='SourcePort' order='2' pattern-id='Narrow' capture-group='80' enable-substitutions='true'/>
         <matcher field='UserName' order='1' pattern-id='Wide' capture-group='0'/>
         <matcher field='UserName' order='2' pattern-id='Narrow' capture-group='0'/>",
    );
    assert!(findings(&source, Code::MatcherNeverWins).is_empty());
}
