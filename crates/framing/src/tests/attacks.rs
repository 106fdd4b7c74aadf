//! Input that costs memory or time, or makes the splitter leave out more than it should.

use super::split_in;
use crate::{Frame, Framing, MAX_LOOKS, Splitter};

/// What came of an input of many pieces: payloads, faults, and bytes of memory at most.
#[derive(Debug, Default)]
struct Outcome {
    payloads: u64,
    faults: u64,
    memory: usize,
}

const PIECE: usize = 256 << 10;

/// Splits an input in pieces as they come from a file, and checks how often its bytes were looked at.
fn attack(input: &[u8], limit: usize) -> Outcome {
    let mut outcome = Outcome::default();
    let mut splitter = Splitter::new(Framing::Auto, limit);
    let mut sink = |frame: Frame<'_>| match frame {
        Frame::Payload { .. } => outcome.payloads += 1,
        Frame::Fault(_) => outcome.faults += 1,
    };
    for piece in input.chunks(PIECE) {
        splitter.push(piece, &mut sink);
        outcome.memory = outcome.memory.max(splitter.memory());
    }
    splitter.finish(&mut sink);
    assert!(outcome.memory <= limit + PIECE, "{outcome:?}");
    let looks = splitter.looks();
    assert!(
        looks <= MAX_LOOKS * input.len() as u64 + 100,
        "{looks} looks at {} bytes",
        input.len()
    );
    outcome
}

#[test]
fn lines_that_nest_without_end_are_looked_at_a_few_times() {
    for line in [
        "{\"a\":\n",
        "[\n",
        "{\"a\":[\n",
        "{\"a\":[\n{},\n",
        "{\"a\":[\n{}, {\"a\":[\n",
        "{\"a\":[\n{},\n  {\"a\":[\n",
        "{\"a\":[{},\n",
        "  {\"a\":\n",
        "{\"value\":[\n",
        "{\"value\":[{\n",
        "[{\n",
        "[{\"a\":\n",
        "{\"a\":[1,\n",
        "{\n\n",
        "{\"a\":1\n,\"b\":\n",
    ] {
        let input = line.repeat(200_000 / line.len());
        for limit in [1000, 100_000, 1 << 24] {
            attack(input.as_bytes(), limit);
        }
    }
}

#[test]
fn long_nested_lines_are_looked_at_a_few_times() {
    for filler in [
        "1,",
        "\"x\",",
        "{},",
        "   ",
        "\"xxxxxxxxxxxxxxxxxxxxxxxxxxx\",",
    ] {
        for begin in [
            "{\"a\":[",
            "[",
            "{\"value\":[",
            "  {\"a\":[",
            "{}, {\"a\":[",
        ] {
            let line = format!("{begin}{}\n", filler.repeat(200));
            let input = line.repeat(200_000 / line.len());
            for limit in [1000, 100_000, 1 << 24] {
                attack(input.as_bytes(), limit);
            }
        }
    }
}

#[test]
fn blanks_behind_a_value_cost_no_more_memory_than_the_limit() {
    for begin in [
        "{\"id\":1}",
        "[{\"id\":1}]",
        "[{\"id\":1},",
        "{\"value\":[{\"id\":1}],",
        "x",
    ] {
        for blank in [" ", "\n", "\r\n", " \n"] {
            let input = format!("{begin}{}\n{{\"id\":2}}", blank.repeat(1 << 18));
            let outcome = attack(input.as_bytes(), 1 << 17);
            assert!(
                outcome.payloads >= 2 || begin == "x" && blank == " ",
                "{begin} {blank:?} {outcome:?}"
            );
        }
    }
}

#[test]
fn white_space_does_not_count_as_part_of_a_payload() {
    let blanks = " ".repeat(3000);
    for input in [
        format!("{{\"id\":1}}{blanks}\n{{\"id\":2}}"),
        format!("{blanks}{{\"id\":1}}{blanks}{{\"id\":2}}"),
        format!("[{blanks}{{\"id\":1}}{blanks},{blanks}{{\"id\":2}}{blanks}]"),
        format!("{{\"value\":[{blanks}{{\"id\":1}},{{\"id\":2}}{blanks}]}}"),
    ] {
        for piece in [1, 7, 100_000] {
            let frames = split_in(input.as_bytes(), piece, Framing::Auto, 1000);
            assert_eq!(frames, ["{\"id\":1}", "{\"id\":2}"], "pieces of {piece}");
        }
    }
}

#[test]
fn a_cut_line_with_more_than_the_limit_behind_it_costs_nothing_but_itself() {
    let good: String = (0..400)
        .map(|i| format!("{{\"id\":{i},\"x\":[{{}}]}}\n"))
        .collect();
    for cut in [
        "{\"a\":",
        "{\"a\":[",
        "{\"a\":[{\"b\":1},",
        "{\"a\":\"x",
        "{",
        "{\"a\":1,",
        "[{\"a\":1},",
        "{\"a\":[\n[",
    ] {
        let input = format!("{cut}\n{good}").repeat(3);
        for (limit, piece) in [(1000, 1000), (1000, 1), (1 << 20, 999)] {
            let frames = split_in(input.as_bytes(), piece, Framing::Auto, limit);
            for i in 0..400 {
                let wanted = format!("{{\"id\":{i},\"x\":[{{}}]}}");
                let found = frames.iter().filter(|frame| **frame == wanted).count();
                assert_eq!(found, 3, "{cut} {wanted} {limit} {piece}");
            }
            assert!(
                !frames.iter().any(|frame| frame.contains("TooLong")),
                "{cut}"
            );
        }
    }
}

#[test]
fn a_value_over_the_limit_is_divided_at_lines_that_begin_values_and_nothing_is_left_out() {
    let good: String = (0..400).map(|i| format!("{{\"id\":{i}}},\n")).collect();
    for limit in [100, 1000] {
        let input = format!("{{\"results\":[\n{good}{{\n  \"id\": [400]\n}}\n]}}\n{{\"b\":2}}\n");
        for piece in [1, 13, 100_000] {
            let frames = split_in(input.as_bytes(), piece, Framing::Auto, limit);
            assert_eq!(frames[0], format!("!Divided {{ limit: {limit} }}@0"));
            assert_eq!(frames[1], "{\"results\":[");
            for i in 0..400 {
                assert_eq!(frames[i + 2], format!("{{\"id\":{i}}}"));
            }
            assert_eq!(frames[402..], ["{\n  \"id\": [400]\n}", "]}", "{\"b\":2}"]);
        }
    }
}

#[test]
fn a_long_value_of_indented_lines_is_left_out_up_to_its_end() {
    let lines: String = (0..400).map(|i| format!("  {{\"id\":{i}}},\n")).collect();
    let input = format!("{{\"results\":[\n{lines}  {{}}\n]\n}}\n{{\"b\":2}}\n");
    for piece in [1, 13, 100_000] {
        let frames = split_in(input.as_bytes(), piece, Framing::Auto, 1000);
        assert_eq!(frames, ["!TooLong { limit: 1000 }@0", "{\"b\":2}"]);
    }
}

#[test]
fn a_payload_of_exactly_the_limit_is_read() {
    for (end, piece) in ["", "\n", "\r\n"].into_iter().zip([1, 2, 1000]) {
        for text in ["x".repeat(10), format!("{{\"a\":{}}}", "1".repeat(4))] {
            assert_eq!(text.len(), 10);
            for framing in [Framing::Auto, Framing::Lines, Framing::Whole] {
                let input = format!("{text}{end}");
                let frames = split_in(input.as_bytes(), piece, framing, 10);
                assert_eq!(frames, [text.as_str()], "{framing:?} {end:?}");
                let frames = split_in(input.as_bytes(), piece, framing, 9);
                assert_eq!(frames, ["!TooLong { limit: 9 }@0"], "{framing:?} {end:?}");
            }
        }
    }
}
