//! Tests that neither a pattern nor a text can take more than their share: hostile patterns compile in proportion to their
//! length, on a small stack, or are refused; hostile texts cost what the steps say. Nothing here looks at a clock: what is
//! done is counted, see [`work`].

use super::{
    Engine, Flags, JavaRegex, RegexSet, Room, Slots, SyntaxErrorKind, backtrack, direct, parser,
    work,
};
use proptest::prelude::*;

#[allow(dead_code, reason = "shared with the tests against the JDK")]
#[path = "../tests/support/generator.rs"]
mod generator;

/// The stack of a thread that nobody asked for a larger one. In a build for tests a frame is several times as large as in
/// the program.
const STACK: usize = 2 << 20;

fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(STACK);
    thread.spawn(test).unwrap().join().unwrap();
}

/// Compiles the pattern, and searches a little: what was made of it, or how it was refused.
fn compile(pattern: &str) -> Result<u64, SyntaxErrorKind> {
    work::made();
    let result = JavaRegex::new(pattern, Flags::default());
    let made = work::made();
    match result {
        Ok(regex) => {
            let mut slots = Slots::default();
            for text in ["", "a", "xaab b\u{301} \u{1F600}é"] {
                let _ = regex.find(text, &mut slots, 20_000);
                let _ = regex.find_by_backtracking(text, &mut slots, 20_000);
                let _ = regex.find_by_memo(text, &mut slots);
            }
            RegexSet::new([(0, &regex)]);
            Ok(made)
        }
        Err(error) => {
            assert!(error.message.len() < 300, "{}", error.message);
            // Within the limits everything is read up to the fault.
            Err(error.kind)
        }
    }
}

/// A pattern of a length.
type Pattern = fn(usize) -> String;

const SERIES: &[(&str, Pattern)] = &[
    ("text", |n| "a".repeat(n)),
    ("text in both cases", |n| format!("(?iu){}", "k".repeat(n))),
    ("all letters in both cases", |n| {
        let letters = ('a'..='z').chain('\u{e0}'..='\u{17e}').cycle();
        format!("(?iu){}", letters.take(n / 2).collect::<String>())
    }),
    ("dots", |n| ".".repeat(n)),
    ("alternatives", |n| "a|".repeat(n / 2)),
    ("words", |n| {
        let words: Vec<String> = (0..n / 8).map(|i| format!("w{i:06}")).collect();
        words.join("|")
    }),
    ("classes of two", |n| {
        let classes = (0..n as u32 / 16)
            .map(|i| format!("[\\x{{{:x}}}-\\x{{{:x}}}]", 0x100 + 3 * i, 0x101 + 3 * i));
        classes.collect::<Vec<_>>().join("|")
    }),
    ("different classes", |n| {
        let classes = (0..n as u32 / 10).map(|i| format!("[b\\x{{{:x}}}]", 0x100 + i));
        classes.collect::<String>()
    }),
    ("nested classes side by side", |n| {
        format!("[{}]", "[a]".repeat(n / 3))
    }),
    ("nested classes that differ", |n| {
        let classes = (0..n as u32 / 10).map(|i| format!("[\\x{{{:x}}}]", 0x100 + 2 * i));
        format!("[{}]", classes.collect::<String>())
    }),
    ("large classes", |n| r"[\p{L}]".repeat(n / 8)),
    ("large families in one class", |n| {
        format!("[{}]", r"\p{L}".repeat(n / 5))
    }),
    ("negated families", |n| r"(?U)\W\PL".repeat(n / 9)),
    ("intersections", |n| {
        format!("[a-z{}]", "&&[a-y]".repeat(n / 7))
    }),
    ("ranges in both cases", |n| {
        format!("(?iu)[{}]", "a-\u{17e}".repeat(n / 4))
    }),
    ("groups", |n| "(a)".repeat(n / 3)),
    ("optional groups", |n| "(a)?".repeat(n / 4)),
    ("repeated groups", |n| "(?:ab|c)*".repeat(n / 9)),
    ("names", |n| {
        let groups = (0..n / 13).map(|i| format!("(?<n{i}>a)"));
        groups.collect::<String>()
    }),
    ("back-references", |n| format!("(a){}", r"\1".repeat(n / 2))),
    ("a look-behind at a text", |n| {
        format!("(?<={})b", "a".repeat(n))
    }),
    ("a look-behind at groups", |n| {
        format!("(?<={})b", "(a)".repeat(n / 3))
    }),
    ("a look-behind at options", |n| {
        format!("(?<={})b", "(?:a|bb)?".repeat(n / 9))
    }),
    ("look-arounds", |n| "(?!ab)(?<=b)".repeat(n / 12)),
    ("places", |n| r"\b".repeat(n / 2)),
    ("places and a text", |n| {
        format!("{}{}", r"\b".repeat(n / 4), "a".repeat(n / 2))
    }),
    ("runs", |n| "a*".repeat(n / 2)),
    ("counted runs", |n| "a{1,3}".repeat(n / 6)),
    ("large counts", |n| "(?:ab){1000}".repeat(n / 12)),
    ("large counts of nothing", |n| {
        "(?:){2000000000}".repeat(n / 16)
    }),
    ("a comment", |n| format!("(?x)#{}\na", "a".repeat(n))),
    ("a quotation", |n| format!(r"\Q{}\E", "a+".repeat(n / 2))),
    ("flags", |n| "(?i)".repeat(n / 4)),
    ("line breaks and clusters", |n| r"\R\X".repeat(n / 4)),
    ("groups in groups", |n| {
        let groups = format!("{}a{}", "(?:".repeat(200), ")".repeat(200));
        groups.repeat(n / groups.len())
    }),
];

#[test]
fn patterns_compile_in_proportion_to_their_length() {
    on_a_small_stack(|| {
        for (name, pattern) in SERIES {
            let (short, long) = (pattern(8_000), pattern(32_000));
            let (few, many) = (compile(&short).unwrap(), compile(&long).unwrap());
            let bytes = long.len() as u64;
            assert!(many <= 5 * few + 2 * bytes, "{name}: {few}, then {many}");
            assert!(many <= 400 * bytes + 200_000, "{name}: {many} for {bytes}");
        }
    });
}

#[test]
fn the_longest_patterns_are_compiled_or_refused() {
    on_a_small_stack(|| {
        for (name, pattern) in SERIES {
            let pattern = pattern(250_000);
            if let Err(kind) = compile(&pattern) {
                assert_eq!(kind, SyntaxErrorKind::Unsupported, "{name}");
            }
        }
    });
}

#[test]
fn what_is_nested_or_repeated_without_end_is_compiled_or_refused() {
    on_a_small_stack(|| {
        let nested = |open: &str, close: &str, deep: usize| {
            format!("{}a{}", open.repeat(deep), close.repeat(deep))
        };
        for (open, close) in [
            ("(", ")"),
            ("(?:", ")"),
            ("(?>", ")"),
            ("(?=", ")"),
            ("(?<=", ")"),
            ("(?!", ")*"),
            ("(?:", ")*"),
            ("(?:", ")?"),
            ("(", ")+?"),
            ("(?:", "){2}"),
            ("(?:", "){0,1000}"),
            ("(a|", ")+"),
            ("(a", "|b)*+"),
            ("[", "]"),
            ("[^", "]"),
            ("[a&&", "]"),
            ("[a&&[", "]]"),
            ("[", ""),
            ("(", ""),
            ("(?<=(", "))"),
            ("(?i:", ")"),
        ] {
            for deep in [10, 100, 249, 251, 100_000] {
                let result = compile(&nested(open, close, deep));
                if deep > 500 {
                    result.unwrap_err();
                } else if let Ok(made) = result {
                    assert!(made < 3_000_000, "{open} {close} {deep}: {made}");
                }
            }
        }
        for pattern in [
            "(?:){2000000000}x",
            "(?:(?:){1000000}){1000000}x",
            "(?:(?:(?:x{0}){1000000}){1000000}){1000000}",
            "^{2000000000}a",
            "(?:^){2000000000}a",
            "(?:a{1000}){1000}{1000}",
            "(?:(?:(?:a{1000}){1000}){1000}){1000}",
            "(?:(?:(?:(?:ab?){9}){9}){9}){9}",
            "(a{0,2147483647}){2147483647}",
            r"\w{1000}{2}(?:\w{1000}){1000}",
            "(?:(?:){0,2000000000}){0,2000000000}",
            "(?:|){2000000000}",
        ] {
            let made = compile(pattern).unwrap();
            assert!(made < 300_000, "{pattern}: {made}");
        }
        let classes = format!("[{}]", "[a]".repeat(200_000));
        assert_eq!(compile(&classes), Err(SyntaxErrorKind::Unsupported));
    });
}

#[test]
fn a_nest_of_repetitions_around_much_is_refused() {
    on_a_small_stack(|| {
        let pattern = format!(
            "{}{}{}",
            "(?:".repeat(240),
            "ab".repeat(60_000),
            ")*".repeat(240)
        );
        assert_eq!(compile(&pattern), Err(SyntaxErrorKind::Unsupported));
        let pattern = format!(
            "{}{}{}",
            "(?:".repeat(100),
            "ab".repeat(2_000),
            ")*".repeat(100)
        );
        compile(&pattern).unwrap();
    });
}

/// Texts on which something takes long if anything does.
fn hostile() -> Vec<String> {
    let n = 3_000;
    vec![
        "a".repeat(n),
        "ab".repeat(n / 2),
        format!(" src= user=a{} x", "\u{301}".repeat(n)),
        format!("a{}b", "\u{301}".repeat(n)),
        "\u{301}a".repeat(n / 2),
        "\u{1F600}".repeat(n / 2),
        format!("a{}b", "\u{1F600}".repeat(n / 2)),
        "\u{1E8D0}".repeat(n / 2),
        "\n".repeat(n),
        "\r\n".repeat(n / 2),
        " \n".repeat(n / 2),
        "a\n \u{2028}".repeat(n / 4),
        "\u{e9}".repeat(n),
        "\u{e9}a1 ".repeat(n / 4),
        format!("{}\n", "a1 ".repeat(n / 3)),
        "-_\u{85}k".repeat(n / 4),
        "\u{1F1E9}\u{1F1EA}".repeat(n / 4),
        "e\u{200D}\u{1F469}\u{200D}".repeat(n / 8),
    ]
}

/// What a search may look at: for a step so many bytes, and for a byte of the text so many, whatever the steps.
const FOR_A_STEP: u64 = 40;
const FOR_A_BYTE: u64 = 8;
/// The lean matcher steps over more at once.
const FOR_A_DIRECT_STEP: u64 = 80;

fn assert_backtracking_is_paid_for(regex: &JavaRegex, text: &str, budget: u64) {
    let mut slots = Slots::default();
    work::looked();
    let steps = regex.steps(text, &mut slots, budget);
    let looked = work::looked();
    assert!(steps <= budget);
    // What was not finished may have looked at a text's length once more.
    let most = FOR_A_STEP * (steps + 64) + (FOR_A_BYTE + 8) * text.len() as u64;
    assert!(
        looked <= most,
        "/{}/ on {:?}… of {} bytes: {looked} bytes for {steps} steps",
        regex.pattern(),
        text.chars().take(12).collect::<String>(),
        text.len()
    );
    let kept = slots.memory.kept();
    assert!(kept <= 1 << 17, "{kept}");
}

fn assert_linear(regex: &JavaRegex, text: &str) {
    let mut slots = Slots::default();
    work::looked();
    let _ = regex.find_by_memo(text, &mut slots);
    let looked = work::looked();
    let bytes = text.len() as u64;
    let most = |(once, each): (usize, usize)| {
        FOR_A_DIRECT_STEP * (once as u64 + each as u64 * bytes) + FOR_A_BYTE * bytes
    };
    assert!(
        looked <= most(direct::MEMO_ALLOWANCE),
        "/{}/ with a memo: {looked} for {bytes}",
        regex.pattern()
    );
    if let Some(direct) = &regex.inner.direct {
        work::looked();
        direct.find(text, regex.group_count() + 1, &mut slots.direct);
        let looked = work::looked();
        assert!(
            looked <= most(direct::ALLOWANCE),
            "/{}/ by the lean matcher: {looked} for {bytes}",
            regex.pattern()
        );
    }
    assert!(slots.direct.kept() <= 1 << 18, "{}", slots.direct.kept());
}

#[test]
fn known_attacks_on_loops_over_the_text_are_paid_for() {
    let long = "a".repeat(2_000);
    let patterns = [
        r"user=(\S+)\b src=(\S+)",
        r"\S+\b{g} x",
        r"(?:\S\b)*\1x",
        r"(?:.\b)+-",
        r"(?U)(?:.\b)+-",
        r"(?<=a{0,2000})b",
        r"(?<=user=\S+)b",
        r"(?<=\S+)-",
        r"(?<=a.{0,1000})-",
        r"(.+)\1\1x",
        r"(?i)(.+)\1x",
        r"(?iu)(.+)\1x",
        r"(?:(..)*)\1x",
        r"(?:(.)*)*-\1",
        r"((?:..)*)(?:..)*x\1",
        r"\X*x",
        r"(?:\X\b{g})*x",
        r"(?m)(?:^.*$)*x\b{g}",
        r"(?=.*x).",
        r"(?=.*b)(?!.*-).*x",
        r"(?:(?!x).)*x",
        r"(?>.*)x|\1",
    ];
    let mut patterns: Vec<String> = patterns.map(str::to_owned).to_vec();
    patterns.push(format!("{long}b"));
    patterns.push(format!("{long}[^a]"));
    patterns.push(format!(".*{long}b"));
    patterns.push(format!(".*?{long}[^a]"));
    patterns.push(format!(r"(?:x|)({long})b\1"));
    patterns.push(format!(r"(a+){}b\1", "a".repeat(500)));
    patterns.push(format!("{}x", "[ab]".repeat(400)));
    for pattern in &patterns {
        let regex = JavaRegex::new(pattern, Flags::default()).unwrap();
        for text in hostile() {
            assert_backtracking_is_paid_for(&regex, &text, 100_000);
            assert_linear(&regex, &text);
        }
    }
}

#[test]
fn a_long_run_of_marks_is_walked_once() {
    let text = format!(" src= user=a{} x", "\u{301}".repeat(40_000));
    let regex = JavaRegex::new(r"user=(\S+)\b src=(\S+)", Flags::default()).unwrap();
    let mut slots = Slots::default();
    work::looked();
    assert_eq!(regex.find(&text, &mut slots, 250_000), Ok(false));
    assert!(work::looked() < 100 * text.len() as u64);
}

#[test]
fn look_arounds_with_a_regular_inside_take_linear_time() {
    let line = "act=deny proto=tcp msg=\"some words\" ";
    let long = format!("{}src=192.0.2.1 end", line.repeat((128 << 10) / line.len()));
    let (a, spaces) = ("a".repeat(128 << 10), " \t".repeat(64 << 10));
    for (pattern, text, found) in [
        (r"^(?=.*\bdeny\b).*?src=(\S+)", &long, Some("192.0.2.1")),
        (r"^(?=.*\bpermit\b).*?src=(\S+)", &long, None),
        (r"(?=.*\bpermit\b).*?src=(\S+)", &long, None),
        (r"(?=.*permit)(?=.*src=(\S+)).*x", &long, None),
        (
            r"^(?=.*src=(\S+))(?=.*act=(\w+))(?!.*permit)",
            &long,
            Some("192.0.2.1"),
        ),
        (r"(?:(?!src=).)*src=(\S+)", &long, Some("192.0.2.1")),
        (r"(?:(?!src=)[^x])+?src=(\S+) (?!end)", &long, None),
        (r"(?<!act=)(?<=src=)(\S+)(?= end)", &long, Some("192.0.2.1")),
        (r"(?=(?:\w+[= ])*src).*?src=(\S+) (?!end)", &long, None),
        (r"(?=.*b)(.)", &a, None),
        (r"(?=(?:a|a)*b)(.)", &a, None),
        (r"(?=(?:a*)(?:a*)(?:a*)b)(.)", &a, None),
        (r"(?!a*$)(.)", &a, None),
        (r"(?:a(?=a*b))*-()", &a, None),
        (r"(?:a(?!a*b))*-()", &a, None),
        (r"(?=.*?(?!a)b)(.)", &a, None),
        (r"(?=.*(?=a*b))(.)", &a, None),
        (r"(?<=a{1,50})b()", &a, None),
        (r"(?=a{1,50}b)()", &a, None),
        (r"\s+(?=\S)(.)", &spaces, None),
        (r"(?=\s+\S)(.)", &spaces, None),
    ] {
        let regex = JavaRegex::new(pattern, Flags::default()).unwrap();
        let mut slots = Slots::default();
        work::looked();
        let result = regex.find(text, &mut slots, 1_000);
        assert_eq!(result, Ok(found.is_some()), "{pattern}");
        let group = slots.get(1).map(|range| &text[range]);
        assert_eq!(group, found, "{pattern}");
        let looked = work::looked();
        assert!(looked < 1_000 * text.len() as u64, "{pattern}: {looked}");
        assert_eq!(regex.is_match(text, &mut slots, 1_000), result, "{pattern}");
    }
}

#[test]
fn an_engine_with_many_states_does_not_take_long_texts() {
    let text = "a".repeat(200_000);
    for (pattern, takes) in [
        (r"a{0,9000}b", false),
        (r"(?:[ab]{1,90}c?){90}b", false),
        (
            r"^(?:<\d{1,3}>)?(\w{3} [ \d]\d [\d:]{8}) (\S+) ([^ :]+): (.*)$",
            true,
        ),
    ] {
        let regex = JavaRegex::new(pattern, Flags::default()).unwrap();
        assert!(regex.linear_for("aab").is_some(), "{pattern}");
        assert_eq!(regex.linear_for(&text).is_some(), takes, "{pattern}");
        let mut slots = Slots::default();
        let _ = regex.find(&text, &mut slots, 100_000);
    }
}

#[test]
fn memory_that_a_search_needed_is_given_back() {
    let texts = ["a".repeat(30_000), "a ".repeat(15_000)];
    let mut kept = Vec::new();
    for at in 0..60 {
        for shape in [
            r"^(?:a+)+(?:\w+\s?){N}*$",
            r"(a|aa)+\1b{N}",
            r"(?>a?)(?:a|aa)+b{N}",
            r"(?:(?:a|b|ab)*c)*{N}-",
            r"(?=(?:a|ab)*c{N})a",
        ] {
            let pattern = shape
                .replace("{N}", &format!("{{{}}}", at + 1))
                .replace("}*", "}");
            let Ok(regex) = JavaRegex::new(&pattern, Flags::default()) else {
                panic!("{pattern}");
            };
            let mut slots = Slots::default();
            for text in &texts {
                let _ = regex.find(text, &mut slots, 250_000);
                let _ = regex.find_by_backtracking(text, &mut slots, 250_000);
            }
            assert!(
                slots.memory.kept() + slots.direct.kept() <= 1 << 18,
                "{pattern}"
            );
            kept.push(slots);
        }
    }
    let held: usize = kept.iter().map(Slots::kept).sum();
    for slots in &mut kept {
        slots.release();
    }
    assert_eq!(kept.iter().map(Slots::kept).sum::<usize>(), 0);
    assert!(held / kept.len() < 1 << 20, "{held}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_byte_that_is_looked_at_is_paid_for(seed: u64, which in 0usize..18) {
        let (pattern, letters, _) = generator::case(seed, 3);
        let has = |letter| letters.contains(letter);
        let flags = Flags {
            case_insensitive: has('i'),
            multiline: has('m'),
            dotall: has('s'),
            unix_lines: has('d'),
            unicode_case: has('u'),
            unicode_character_class: has('U'),
            comments: has('x'),
        };
        if let Ok(regex) = JavaRegex::new(&pattern, flags) {
            let text = &hostile()[which];
            assert_backtracking_is_paid_for(&regex, text, 20_000);
            assert_linear(&regex, text);
        }
    }
}

/// All of the room that there is, used up.
fn no_room() -> Room {
    Room {
        in_reserve: 0,
        in_use: 0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_pattern_without_room_for_its_automaton_finds_the_same(seed: u64, which in 0usize..18) {
        let (pattern, letters, text) = generator::case(seed, 6);
        let flags = Flags {
            case_insensitive: letters.contains('i'),
            unicode_character_class: letters.contains('U'),
            multiline: letters.contains('m'),
            ..Flags::default()
        };
        if let Ok(regex) = JavaRegex::new(&pattern, flags) {
            let lean = JavaRegex::new_in(&mut no_room(), &pattern, flags).unwrap();
            // What is one text needs no automaton.
            prop_assert!(lean.inner.linear.as_ref().map_or(0, |linear| linear.bytes) == 0);
            if regex.inner.direct.is_some() {
                prop_assert_eq!(lean.engine(), Engine::Linear);
            }
            for text in &[text, hostile()[which].clone()] {
                let (mut a, mut b) = (Slots::default(), Slots::default());
                let found = regex.find(text, &mut a, 100_000);
                let again = lean.find(text, &mut b, 100_000);
                // One that had an automaton may not be found within the budget without.
                if let (Ok(found), Ok(again)) = (found, again) {
                    prop_assert_eq!(found, again, "/{}/ {:?}", pattern, text);
                    let groups = |slots: &Slots| {
                        let groups = (0..=regex.group_count()).map(|group| slots.get(group));
                        groups.collect::<Vec<_>>()
                    };
                    prop_assert_eq!(groups(&a), groups(&b), "/{}/ {:?}", pattern, text);
                }
            }
        }
    }
}

#[test]
fn a_pattern_without_room_for_its_automaton_still_takes_linear_time() {
    let text = format!("{}src=192.0.2.1", "act=deny user=x ".repeat(4_000));
    for pattern in [
        r"(?:\w+[= ])*src=(\S+)",
        r"(\w*)*src=(\S+)$",
        r".*.*.*src=(\S+)x",
        r"(?:a|b|ab|\w)*-",
    ] {
        let Ok(lean) = JavaRegex::new_in(&mut no_room(), pattern, Flags::default()) else {
            panic!("{pattern}");
        };
        if lean.engine() != Engine::Linear {
            continue;
        }
        let mut slots = Slots::default();
        work::looked();
        // Not a step of backtracking is allowed.
        let found = lean.find(&text, &mut slots, 0);
        let looked = work::looked();
        assert!(found.is_ok(), "{pattern}");
        assert!(looked < 1_000 * text.len() as u64, "{pattern}: {looked}");
    }
}

#[test]
fn a_pattern_that_is_read_twice_is_the_same() {
    for (name, pattern) in SERIES {
        let pattern = pattern(2_000);
        let trees = [(); 2].map(|()| parser::parse(&pattern, Flags::default()).unwrap().root);
        assert!(trees[0] == trees[1], "{name}");
    }
    let regex = JavaRegex::new("a", Flags::default()).unwrap();
    let result = regex.find_by_backtracking("a", &mut Slots::default(), 0);
    assert_eq!(result, Err(backtrack::BudgetExceeded));
}
