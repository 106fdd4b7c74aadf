//! The regular expressions against the JDK.
//!
//! `java/regex-cases.tsv` (written by hand) and `java/regex-generated.tsv` (written by `generator`) hold patterns, texts
//! and what JDK 17 answered. `java RegexOracle.java` answers the first three fields of a line; to refresh a file after
//! adding cases, run `cargo test -p dsm --test java_regex -- --ignored refresh`.

#![allow(
    clippy::disallowed_methods,
    reason = "tests run the JDK and write its answers"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test says what is wrong by failing, and a note goes to its output"
)]

#[path = "support/generator.rs"]
mod generator;
#[path = "java/jdk.rs"]
mod jdk;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use java_regex::{BudgetExceeded, Engine, Flags, JavaRegex, Reason, Slots, SyntaxErrorKind};
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
    file.lines()
        .filter(|line| !line.is_empty() && !line.starts_with("# "))
        .map(|line| {
            let mut fields = line.splitn(4, '\t');
            let mut field = || {
                fields
                    .next()
                    .unwrap_or_else(|| panic!("too few fields: {line}"))
            };
            let (pattern, letters, text) = (unescape(field()), flags(field()), unescape(field()));
            Case {
                pattern,
                flags: letters,
                text,
                line,
                answer: field(),
            }
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
                write!(
                    answer,
                    "\t{}-{} {}",
                    unit(range.start),
                    unit(range.end),
                    escape(&text[range])
                )
                .unwrap();
            }
            answer
        }
    }
}

/// Java's answer as it can be given here: half a surrogate pair at either end of a group has no form in UTF-8, and is left
/// out.
fn without_halves(answer: &str, text: &str) -> String {
    if !answer.starts_with("found") || text.chars().all(|c| c.len_utf16() == 1) {
        return answer.to_owned();
    }
    // The byte offset of each UTF-16 unit; nothing in the middle of a pair.
    let mut offsets = Vec::new();
    for (at, c) in text.char_indices() {
        offsets.push(Some(at));
        offsets.extend((1..c.len_utf16()).map(|_| None));
    }
    offsets.push(Some(text.len()));
    let group = |field: &str| {
        let Some((place, _)) = field.split_once(' ') else {
            return field.to_owned();
        };
        let (start, end) = place.split_once('-').unwrap();
        let (mut start, mut end): (usize, usize) = (start.parse().unwrap(), end.parse().unwrap());
        start += usize::from(offsets[start].is_none());
        end -= usize::from(offsets[end].is_none());
        end = end.max(start);
        let text = &text[offsets[start].unwrap()..offsets[end].unwrap()];
        format!("{start}-{end} {}", escape(text))
    };
    let mut fields = answer.split('\t');
    let found = fields.next().unwrap().to_owned();
    fields.fold(found, |answer, field| answer + "\t" + &group(field))
}

/// What differs from Java's answers; and how many cases had no answer, because they are unsupported or took too long.
fn differences(file: &str) -> (Vec<String>, usize) {
    let (mut differences, mut unanswered) = (Vec::new(), 0);
    let mut slots = Slots::default();
    for case in cases(file) {
        if case.answer == "overflow" {
            continue;
        }
        // Java's matcher breaks: there is no answer to compare with.
        if case.answer == "throws" {
            unanswered += 1;
            continue;
        }
        let expected = without_halves(case.answer, &case.text);
        let regex = match JavaRegex::new(&case.pattern, case.flags) {
            Ok(regex) => regex,
            Err(error) => {
                match error.kind {
                    SyntaxErrorKind::Invalid if case.answer != "error" => {
                        differences.push(format!("{}\n    refused: {error}", case.line));
                    }
                    SyntaxErrorKind::Unsupported => unanswered += 1,
                    SyntaxErrorKind::Invalid => {}
                }
                assert!(
                    case.pattern.get(error.span.clone()).is_some(),
                    "{}: span {:?}",
                    case.line,
                    error.span
                );
                assert!(
                    !error.message.is_empty() && !error.message.ends_with('.'),
                    "{}: {error}",
                    case.line
                );
                continue;
            }
        };
        let found = regex.find_by_backtracking(&case.text, &mut slots, BUDGET);
        let slow = answer(found, regex.group_count(), &case.text, &slots);
        if slow == "budget" {
            unanswered += 1;
        } else if slow != expected {
            differences.push(format!("{}\n    backtracking: {slow}", case.line));
        }
        let found = regex.find(&case.text, &mut slots, BUDGET);
        let usual = answer(found, regex.group_count(), &case.text, &slots);
        if usual != "budget" && usual != expected {
            differences.push(format!("{}\n    {:?}: {usual}", case.line, regex.engine()));
        }
        if let Some(found) = regex.find_by_memo(&case.text, &mut slots) {
            let memo = answer(Ok(found), regex.group_count(), &case.text, &slots);
            if memo != expected {
                differences.push(format!("{}\n    with a memo: {memo}", case.line));
            }
        }
        assert_eq!(
            regex.is_match(&case.text, &mut slots, BUDGET),
            found,
            "{}",
            case.line
        );
    }
    (differences, unanswered)
}

/// Java's answers to the cases, or nothing if there is no JDK 17.
fn ask_java(file: &str, arguments: &[&str]) -> Option<String> {
    let mut child = jdk::oracle("RegexOracle.java")?
        .args(arguments)
        .spawn()
        .unwrap();
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
    let (differences, unanswered) = differences(file);
    assert!(unanswered < cases(file).count() / 20);
    assert!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        differences[..differences.len().min(40)].join("\n")
    );
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
        if let Some(answers) = ask_java(&questions(file), &["echo"]) {
            assert!(
                answers == file,
                "run the ignored test `refresh` and look at what changes"
            );
        }
    }
}

#[test]
fn fresh_generated_cases_agree_with_java() {
    fuzz(17, 1500, generator::cases);
}

#[test]
fn fresh_cases_with_surrogate_pairs_agree_with_java() {
    fuzz(18, 1500, generator::pair_cases);
}

type Generator = fn(u64, usize, fn(&str) -> String) -> String;

fn fuzz(seed: u64, patterns: usize, generate: Generator) -> (usize, usize) {
    let questions = generate(seed, patterns, escape);
    let Some(answers) = ask_java(&questions, &["echo"]) else {
        return (0, 0);
    };
    let (differences, unanswered) = differences(&answers);
    let shown = differences[..differences.len().min(30)].join("\n");
    assert!(
        differences.is_empty(),
        "seed {seed}: {} differences:\n{shown}",
        differences.len()
    );
    (cases(&answers).count(), unanswered)
}

#[test]
#[ignore = "takes minutes; DSMITH_FUZZ_SEED and DSMITH_FUZZ_PATTERNS choose the cases"]
fn long_fuzz() {
    let number = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |value| value.parse().unwrap())
    };
    let seed = number("DSMITH_FUZZ_SEED", 1);
    let patterns = number("DSMITH_FUZZ_PATTERNS", 20_000) as usize;
    for generate in [generator::cases as Generator, generator::pair_cases] {
        let (asked, unanswered) = fuzz(seed, patterns, generate);
        println!("seed {seed}: {asked} cases, {unanswered} without an answer, the others agree");
    }
}

#[test]
#[ignore = "rewrites the committed answers"]
fn refresh() {
    let by_hand = std::fs::read_to_string(folder().join("regex-cases.tsv")).unwrap();
    for (name, file) in [
        ("regex-cases.tsv", questions(&by_hand)),
        ("regex-generated.tsv", generator::cases(4, 900, escape)),
    ] {
        let answers = ask_java(&file, &["echo"]).expect("a JDK 17 on the path");
        std::fs::write(folder().join(name), answers).unwrap();
    }
}

#[test]
fn unsupported_is_told_from_invalid() {
    for pattern in [
        "(?c)a",
        "[b-da&&]",
        "(?<=a*😀)b",
        &"a".repeat(300_000),
        &"(?:".repeat(300),
    ] {
        let error = JavaRegex::new(pattern, Flags::default()).unwrap_err();
        assert_eq!(error.kind, SyntaxErrorKind::Unsupported, "{pattern}");
        assert!(!error.message.is_empty());
    }
    // What Java refuses is not said to be taken by Java.
    for pattern in [
        r"\N",
        r"\N{NO SUCH NAME}",
        r"\N{SPACE",
        r"\p{InFoo}",
        r"\p{block=Foo}",
        r"\b{g",
        r"[\X]",
    ] {
        let error = JavaRegex::new(pattern, Flags::default()).unwrap_err();
        assert_eq!(error.kind, SyntaxErrorKind::Invalid, "{pattern}");
    }
    let error = JavaRegex::new("src=(?<user_name>.*)", Flags::default()).unwrap_err();
    assert_eq!(
        (error.kind, error.span.clone()),
        (SyntaxErrorKind::Invalid, 4..12)
    );
    assert_eq!(
        error.to_string(),
        "the group name `user` is not followed by `>` (Java allows only ASCII letters and digits in a group name, no underscore)"
    );
}

#[test]
fn engines_and_reasons() {
    use Reason::*;
    for (pattern, because) in [
        (r"(?i)src=(\d+(?:\.\d+){3})\b.*?$", vec![]),
        (r"(?:(\w+)=(\S+)\s*)+", vec![]),
        (r"(?=a)b(?<!c)", vec![]),
        (r"^(?=.*user=(\w+))(?!.*deny).*src=(\S+)", vec![]),
        // Java keeps what a group in there has captured when the match fails elsewhere.
        (r"(?:(?=(a))b|a)c", vec![LookAround]),
        (r"(?<=user=\S+)b", vec![LookAround]),
        (r"(?=\X)\b{g}", vec![LookAround, Grapheme]),
        (
            r"(a)\1(?>b)c++\G",
            vec![
                BackReference,
                AtomicGroup,
                PossessiveQuantifier,
                SearchStart,
            ],
        ),
        (r"(a*)*", vec![RepeatedEmpty]),
        (r"(?:(\w)*-)+", vec![RepeatedCapture]),
        (r"\R+", vec![RepeatedLineBreak]),
        (r"\w{1000}{2}(?:\w{1000}){1000}", vec![TooLarge]),
    ] {
        let expected = if because.is_empty() {
            Engine::Linear
        } else {
            Engine::Backtracking { because }
        };
        assert_eq!(
            JavaRegex::new(pattern, Flags::default()).unwrap().engine(),
            expected,
            "{pattern}"
        );
    }
}

#[test]
fn names_groups_and_slots() {
    let regex = JavaRegex::new("(a)(?<two>b)?(?<three>c)", Flags::default()).unwrap();
    assert_eq!(regex.group_count(), 3);
    assert_eq!(
        regex.group_names().collect::<Vec<_>>(),
        [("three", 3), ("two", 2)]
    );
    let mut slots = Slots::default();
    assert_eq!(regex.find("xac", &mut slots, BUDGET), Ok(true));
    assert_eq!(
        [
            slots.get(0),
            slots.get(1),
            slots.get(2),
            slots.get(3),
            slots.get(4)
        ],
        [Some(1..3), Some(1..2), None, Some(2..3), None]
    );
    assert_eq!(regex.find("x", &mut slots, BUDGET), Ok(false));
    assert_eq!(slots.get(0), None);
}

#[test]
fn a_match_does_not_begin_inside_a_character() {
    let mut slots = Slots::default();
    for (pattern, text, place) in [
        ("1+|.*b", "\u{85}b", 2..3),
        (r".*\h", "\u{2028}a ", 3..5),
        ("()[^b]*[à-ü]+", "\u{301}é", 0..4),
    ] {
        let regex = JavaRegex::new(pattern, Flags::default()).unwrap();
        assert_eq!(regex.find(text, &mut slots, BUDGET), Ok(true), "{pattern}");
        assert_eq!(slots.get(0), Some(place), "{pattern}");
    }
}

#[test]
fn catastrophic_patterns_end_with_the_budget() {
    let text = "a".repeat(5000);
    for pattern in [
        "(?>a?)(a+)+b|x",
        "(?=a)(a|aa)+\\1b|x",
        "(?>a?)(?:a*)*[^a]|x",
        "(a*)*(a*)*\\1b|x",
        "(?:(?:(?:a?){9}){9}){9}\\1|x",
    ] {
        let regex = JavaRegex::new(pattern, Flags::default()).unwrap();
        let mut slots = Slots::default();
        assert_eq!(
            regex.find(&text, &mut slots, 1_000_000),
            Err(BudgetExceeded),
            "{pattern}"
        );
        assert_eq!(slots.get(0), None);
    }
}

#[test]
fn long_texts_are_fine() {
    let text = format!("{}user=jdoe end", "key=value ".repeat(10_000));
    let mut slots = Slots::default();
    for pattern in [
        r"(?<= )user=(\w+)",
        r"user=(\w++) ",
        r"^(?:[^=]+=\S+ )*?user=(\w+)(?= )",
        r"^(?:\w+=\w+\s+|-)*user=(\w+)",
        r"(?s)^.*(?=user)\w+=(\w+)",
        r"(?:(?!user).)*user=(\w+)",
    ] {
        let regex = JavaRegex::new(pattern, Flags::default()).unwrap();
        let found = regex.find_by_backtracking(&text, &mut slots, BUDGET);
        assert_eq!(found, Ok(true), "{pattern}");
        assert_eq!(
            slots.get(1).map(|range| &text[range]),
            Some("jdoe"),
            "{pattern}"
        );
    }
}

#[test]
fn deep_nesting_is_refused() {
    for (open, close) in [
        ("(", ")"),
        ("(?:", ")"),
        ("[", "]"),
        ("(?=", ")*"),
        ("[a&&", "]"),
        ("(a|", ")+"),
        ("[", ""),
    ] {
        let pattern = format!("{}a{}", open.repeat(10_000), close.repeat(10_000));
        JavaRegex::new(&pattern, Flags::default()).unwrap_err();
        let pattern = format!("{}a{}", open.repeat(200), close.repeat(200));
        if let Ok(regex) = JavaRegex::new(&pattern, Flags::default()) {
            let _ = regex.find("aaa", &mut Slots::default(), 10_000);
            let _ = regex.find_by_backtracking("aaa", &mut Slots::default(), 10_000);
        }
    }
    // Long, but not deep.
    JavaRegex::new(&"a|".repeat(20_000), Flags::default()).unwrap();
    JavaRegex::new(&"(a)?".repeat(2_000), Flags::default()).unwrap();
    JavaRegex::new(&format!("[{}]", "a-cx".repeat(900)), Flags::default()).unwrap();
    JavaRegex::new(&format!("[{}a]", "a&&".repeat(5_000)), Flags::default()).unwrap_err();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_quicker_finds_what_the_backtracking_engine_finds(seed: u64, pieces in prop_oneof![8 => Just(14usize), 1 => Just(200usize)]) {
        let (pattern, letters, text) = generator::case(seed, pieces);
        if let Ok(regex) = JavaRegex::new(&pattern, flags(letters)) {
            let (groups, mut slots) = (regex.group_count(), Slots::default());
            let slow = regex.find_by_backtracking(&text, &mut slots, 200_000);
            let slow = answer(slow, groups, &text, &slots);
            let found = regex.find(&text, &mut slots, 200_000);
            let usual = answer(found, groups, &text, &slots);
            prop_assert!(slow == usual || slow == "budget", "/{}/{} on {:?}: {} is {}", pattern, letters, text, usual, slow);
            prop_assert_eq!(regex.is_match(&text, &mut slots, 200_000), found);
            if let Some(found) = regex.find_by_memo(&text, &mut slots) {
                let memo = answer(Ok(found), groups, &text, &slots);
                prop_assert!(slow == memo || slow == "budget", "/{}/{} on {:?}: {} is {}", pattern, letters, text, memo, slow);
            }
        }
    }
}

/// What is looked for ahead and behind, from many places of a text, and loops around it.
const LOOKS: &[&str] = &[
    "a",
    "b",
    ".",
    "(a)",
    "(?:a|b)*",
    "(?:a|ab)*",
    "a*",
    "a*?",
    "b+",
    ".*",
    ".*?",
    "[ab]{1,3}",
    "[ab]{0,2}?",
    "(?=a)",
    "(?!b)",
    "(?=.*b)",
    "(?=.*?ba)",
    "(?=(?:a|ab)*b-)",
    "(?!(?:a|b)*c)",
    "(?=(?=a*b)a)",
    "(?=a*(?!b)a*b)",
    "(?:(?!ba).)*",
    "(?:(?=a*b)[ab])*?",
    "(?:a(?=a*b)|b(?!a*-))*",
    "(?<=a)",
    "(?<!ab)",
    "(?<=a{1,3})",
    "(?<=ab|b(?=a))",
    "(?=a*(b))",
    "(?:a|b(?=(?:a*b)*-))+",
    "-",
    "c",
    "\\b",
    "$",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 6000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn look_arounds_find_with_a_memo_what_the_backtracking_engine_finds(
        pieces in prop::collection::vec(prop::sample::select(LOOKS), 1..8),
        is_anchored: bool,
        text in "[ab]{0,24}[-c\u{301}\n]?[ab]{0,12}c?-?",
    ) {
        let pattern = format!("{}{}", if is_anchored { "^" } else { "" }, pieces.concat());
        let regex = JavaRegex::new(&pattern, Flags::default()).unwrap();
        let (groups, mut slots) = (regex.group_count(), Slots::default());
        let slow = regex.find_by_backtracking(&text, &mut slots, 2_000_000);
        let slow = answer(slow, groups, &text, &slots);
        if let Some(found) = regex.find_by_memo(&text, &mut slots) {
            let memo = answer(Ok(found), groups, &text, &slots);
            prop_assert!(slow == memo || slow == "budget", "/{}/ on {:?}: {} is {}", pattern, text, memo, slow);
        }
        let found = regex.find(&text, &mut slots, 2_000_000);
        let usual = answer(found, groups, &text, &slots);
        prop_assert!(slow == usual || slow == "budget", "/{}/ on {:?}: {} is {}", pattern, text, usual, slow);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn hostile_patterns_do_not_panic(
        pattern in prop_oneof![any::<String>(), r"([a-cxkpQEURN0-9(){}\[\]|*+?.^$\\&:<>=!,# \n-]|😀|\(\?|\[\^|\\p\{|&&){0,24}"],
        text in "[a-c0-9 \n\ré😀-]{0,12}",
        letters in "[imsduUx]{0,3}",
    ) {
        match JavaRegex::new(&pattern, flags(&letters)) {
            Err(error) => prop_assert!(pattern.get(error.span).is_some()),
            Ok(regex) => {
                let mut slots = Slots::default();
                let slow = regex.find_by_backtracking(&text, &mut slots, 20_000);
                let slow = answer(slow, regex.group_count(), &text, &slots);
                let usual = regex.find(&text, &mut slots, 20_000);
                let usual = answer(usual, regex.group_count(), &text, &slots);
                prop_assert!(slow == usual || slow == "budget", "{} {}", slow, usual);
            }
        }
    }
}
