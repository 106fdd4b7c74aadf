//! The regular expressions against the JDK.
//!
//! `java/regex-cases.tsv` (written by hand) and `java/regex-generated.tsv` (written by `generator`) hold patterns, texts
//! and what JDK 17 answered. `java RegexOracle.java` answers the first three fields of a line; to refresh a file after
//! adding cases, run `cargo test -p dsm --test java_regex -- --ignored refresh`.

#![allow(clippy::disallowed_methods, reason = "tests run the JDK and write its answers")]

#[path = "java_regex_support/generator.rs"]
mod generator;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use dsm::java_regex::{BudgetExceeded, Engine, Flags, JavaRegex, Reason, Slots, SyntaxErrorKind};
use proptest::prelude::*;

const BUDGET: u64 = 5_000_000;

struct Case<'a> {
    pattern: String,
    flags: Flags,
    text: String,
    line: &'a str,
    answer: &'a str,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/java")
}

fn unescape(field: &str) -> String {
    let mut units: Vec<u16> = Vec::new();
    let mut chars = field.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
            continue;
        }
        units.push(match chars.next().unwrap() {
            't' => 9,
            'n' => 10,
            'r' => 13,
            '\\' => 92,
            'u' => u16::from_str_radix(&chars.by_ref().take(4).collect::<String>(), 16).unwrap(),
            other => panic!("escape \\{other} in {field}"),
        });
    }
    String::from_utf16(&units).unwrap()
}

fn escape(text: &str) -> String {
    let mut field = String::new();
    for unit in text.encode_utf16() {
        match unit {
            9 => field.push_str("\\t"),
            10 => field.push_str("\\n"),
            13 => field.push_str("\\r"),
            92 => field.push_str("\\\\"),
            32..=126 => field.push(char::from(unit as u8)),
            _ => write!(field, "\\u{unit:04x}").unwrap(),
        }
    }
    field
}

fn flags(letters: &str) -> Flags {
    let has = |letter| letters.contains(letter);
    Flags {
        case_insensitive: has('i'),
        multiline: has('m'),
        dotall: has('s'),
        unix_lines: has('d'),
        unicode_case: has('u'),
        unicode_character_class: has('U'),
        comments: has('x'),
    }
}

fn cases(file: &str) -> impl Iterator<Item = Case<'_>> {
    file.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")).map(|line| {
        let mut fields = line.splitn(4, '\t');
        let mut field = || fields.next().unwrap_or_else(|| panic!("too few fields: {line}"));
        let (pattern, letters, text) = (unescape(field()), flags(field()), unescape(field()));
        Case { pattern, flags: letters, text, line, answer: field() }
    })
}

fn answer(found: Result<bool, BudgetExceeded>, groups: usize, text: &str, slots: &Slots) -> String {
    match found {
        Err(BudgetExceeded) => "budget".to_owned(),
        Ok(false) => "none".to_owned(),
        Ok(true) => {
            let mut answer = "found".to_owned();
            for group in 0..=groups {
                let Some(range) = slots.get(group) else {
                    answer.push_str("\tnull");
                    continue;
                };
                let unit = |offset: usize| text[..offset].encode_utf16().count();
                write!(answer, "\t{}-{} {}", unit(range.start), unit(range.end), escape(&text[range])).unwrap();
            }
            answer
        }
    }
}

/// What differs from Java's answers; and how many cases were found unsupported.
fn differences(file: &str) -> (Vec<String>, usize) {
    let (mut differences, mut unsupported) = (Vec::new(), 0);
    let mut slots = Slots::default();
    for case in cases(file) {
        if case.answer == "overflow" {
            continue;
        }
        let regex = match JavaRegex::new(&case.pattern, case.flags) {
            Ok(regex) => regex,
            Err(error) => {
                match error.kind {
                    SyntaxErrorKind::Invalid if case.answer != "error" => {
                        differences.push(format!("{}\n    refused: {error}", case.line));
                    }
                    SyntaxErrorKind::Unsupported => unsupported += 1,
                    SyntaxErrorKind::Invalid => {}
                }
                assert!(case.pattern.get(error.span.clone()).is_some(), "{}: span {:?}", case.line, error.span);
                assert!(!error.message.ends_with('.') && !error.message.starts_with(char::is_uppercase) || error.message.starts_with("Java"));
                continue;
            }
        };
        let found = regex.find_by_backtracking(&case.text, &mut slots, BUDGET);
        let slow = answer(found, regex.group_count(), &case.text, &slots);
        if slow != case.answer {
            differences.push(format!("{}\n    backtracking: {slow}", case.line));
        }
        let found = regex.find(&case.text, &mut slots, BUDGET);
        let usual = answer(found, regex.group_count(), &case.text, &slots);
        if usual != case.answer {
            differences.push(format!("{}\n    {:?}: {usual}", case.line, regex.engine()));
        }
        assert_eq!(regex.is_match(&case.text, &mut slots, BUDGET), found, "{}", case.line);
    }
    (differences, unsupported)
}

/// Java's answers to the cases, or nothing if there is no JDK 17.
fn ask_java(file: &str, echo: bool) -> Option<String> {
    let version = Command::new("java").arg("-version").output().ok()?;
    if !String::from_utf8_lossy(&version.stderr).contains("version \"17.") {
        println!("note: the java on the path is not version 17, so its answers are not compared");
        return None;
    }
    let mut child = Command::new("java")
        .args(["-Xss64m", "RegexOracle.java"])
        .args(echo.then_some("echo"))
        .current_dir(folder())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let mut input = child.stdin.take().unwrap();
    let questions = file.to_owned();
    let writer = std::thread::spawn(move || input.write_all(questions.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    Some(String::from_utf8(output.stdout).unwrap())
}

fn questions(file: &str) -> String {
    let mut questions = String::new();
    for line in file.lines() {
        let fields: Vec<&str> = line.splitn(4, '\t').take(3).collect();
        questions.push_str(&fields.join("\t"));
        questions.push('\n');
    }
    questions
}

fn assert_agrees(file: &str) {
    let (differences, _) = differences(file);
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences[..differences.len().min(40)].join("\n"));
}

const BY_HAND: &str = include_str!("java/regex-cases.tsv");
const GENERATED: &str = include_str!("java/regex-generated.tsv");

#[test]
fn the_cases_by_hand_agree_with_java() {
    assert!(cases(BY_HAND).count() >= 250);
    assert_agrees(BY_HAND);
}

#[test]
fn the_generated_cases_agree_with_java() {
    assert!(cases(GENERATED).count() >= 2000);
    assert_agrees(GENERATED);
}

#[test]
fn java_still_gives_the_committed_answers() {
    for file in [BY_HAND, GENERATED] {
        match ask_java(&questions(file), true) {
            Some(answers) => assert!(answers == file, "run the ignored test `refresh` and look at what changes"),
            None => println!("note: no JDK 17 on the path, so the committed answers were not compared with it"),
        }
    }
}

#[test]
fn fresh_generated_cases_agree_with_java() {
    fuzz(17, 1500);
}

fn fuzz(seed: u64, patterns: usize) -> (usize, usize) {
    let questions = generator::cases(seed, patterns, escape);
    let Some(answers) = ask_java(&questions, true) else { return (0, 0) };
    let (differences, unsupported) = differences(&answers);
    let shown = differences[..differences.len().min(30)].join("\n");
    assert!(differences.is_empty(), "seed {seed}: {} differences:\n{shown}", differences.len());
    (cases(&answers).count(), unsupported)
}

#[test]
#[ignore = "takes minutes; DSMITH_FUZZ_SEED and DSMITH_FUZZ_PATTERNS choose the cases"]
fn long_fuzz() {
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |value| value.parse().unwrap());
    let seed = number("DSMITH_FUZZ_SEED", 1);
    let (asked, unsupported) = fuzz(seed, number("DSMITH_FUZZ_PATTERNS", 20_000) as usize);
    println!("seed {seed}: {asked} cases agree, {unsupported} of them unsupported");
}

#[test]
#[ignore = "rewrites the committed answers"]
fn refresh() {
    let by_hand = std::fs::read_to_string(folder().join("regex-cases.tsv")).unwrap();
    for (name, file) in [("regex-cases.tsv", questions(&by_hand)), ("regex-generated.tsv", generator::cases(4, 900, escape))] {
        let answers = ask_java(&file, true).expect("a JDK 17 on the path");
        std::fs::write(folder().join(name), answers).unwrap();
    }
}
