//! Nothing of the input vanishes.

use super::{split, split_in, split_with};
use crate::{Framing, Splitter};

#[test]
fn a_text_line_in_brackets_is_one_event() {
    for line in [
        "[{user}] logged in",
        "[{user} logged in",
        "[{\"user\":\"ann\"}] logged in",
        "[ { \"a\" : 1 } ] x",
        "[] x",
        "[ ] , x",
        "{user} logged in",
        "{user",
        "{} logged in",
        "{\"a\":1}, x",
        "  {worker 3 started",
        "{\"value\" of \"x\"",
        "[1,2,3]",
        "[[{\"a\":1}]]",
        "[ x",
    ] {
        assert_eq!(
            split(&format!("one\n{line}\n{{\"b\":2}}\n")),
            ["one", line, "{\"b\":2}"]
        );
    }
    assert_eq!(split("[{\"a\":1}]\nx"), ["{\"a\":1}", "x"]);
    assert_eq!(split("[\n{\"a\":1}] x"), ["{\"a\":1}", "x"]);
    assert_eq!(
        split("[{\"a\":1},{\"b\":2}] x"),
        ["{\"a\":1}", "{\"b\":2}", "x"]
    );
}

#[test]
fn a_line_of_commas_is_an_event_unless_it_separates_json_values() {
    assert_eq!(split(",,\n"), [",,"]);
    assert_eq!(split("one\n , ,\ntwo"), ["one", " , ,", "two"]);
    assert_eq!(split(","), [","]);
    assert_eq!(split("{\"a\":1}\n,\n{\"b\":2}"), ["{\"a\":1}", "{\"b\":2}"]);
    assert_eq!(split("{\"a\":1},\n,{\"b\":2}"), ["{\"a\":1}", "{\"b\":2}"]);
    assert_eq!(split("{\"a\":1}\n,,\n"), ["{\"a\":1}", ",,"]);
    assert_eq!(split("{\"a\":1}\n,\n,\n"), ["{\"a\":1}", ","]);
    assert_eq!(
        split("[{\"a\":1},\n,,\n{\"b\":2}]"),
        ["{\"a\":1}", "{\"b\":2}"]
    );
    assert_eq!(split(", x\n"), [", x"]);
}

#[test]
fn members_of_an_envelope_beside_its_payloads_are_named() {
    assert_eq!(
        split("{\"id\":\"outer\",\"value\":[{\"a\":1}],\"more\":1}\n{\"b\":2}"),
        [
            "!Members([\"id\"])@0",
            "{\"a\":1}",
            "!Members([\"more\"])@31",
            "{\"b\":2}"
        ]
    );
    assert_eq!(
        split(
            "{\n \"@odata.context\": \"x\",\n \"value\": [\n  {}\n ],\n \"nextLink\": \"y\"\n}\n"
        ),
        ["{}"]
    );
    // A second array of payloads is one too.
    assert_eq!(
        split("{\"value\":[{\"a\":1}],\"x\":{\"y\":[]},\"records\":[{\"b\":2}],\"z\":\"}\"}"),
        [
            "{\"a\":1}",
            "!Members([\"x\"])@18",
            "{\"b\":2}",
            "!Members([\"z\"])@51"
        ]
    );
    let names = (0..30)
        .map(|i| format!("\"member {i}\":1,"))
        .collect::<String>();
    let frames = split(&format!("{{{names}\"\\u001b[31m\u{1b}\":2,\"value\":[]}}"));
    assert_eq!(
        frames,
        [
            "!Members([\"member 0\", \"member 1\", \"member 2\", \"member 3\", \"member 4\" and others])@0"
        ]
    );
    let name = "n".repeat(100);
    assert_eq!(
        split(&format!("{{\"{name}\":1,\"value\":[]}}")),
        ["!Members([a long name])@0"]
    );
    let frames = split("{\"\u{1b}[31m\u{202e}\":1,\"value\":[]}");
    assert_eq!(frames, ["!Members([\"\\u{1b}[31m\\u{202e}\"])@0"]);
}

#[test]
fn an_envelope_that_breaks_off_is_reported() {
    assert_eq!(
        split("{\"value\":[{\"a\":1}]\n"),
        ["{\"a\":1}", "!Unclosed@18"]
    );
    assert_eq!(
        split("{\"value\":[{\"a\":1}],\"x\":\n{\"b\":2}\n{\"c\":3}\n"),
        ["{\"a\":1}", "!Unclosed@18", "{\"b\":2}", "{\"c\":3}"]
    );
    assert_eq!(
        split("{\"value\":[{\"a\":1}],\"x\":\"cut\nNov 23 text\n"),
        ["{\"a\":1}", "!Unclosed@18", "Nov 23 text"]
    );
}

#[test]
fn elements_that_are_no_objects_are_payloads() {
    assert_eq!(
        split("[{\"a\":1}, 5, \"x,]\", null, [1,2], -1.5e3, true ]\n"),
        [
            "{\"a\":1}",
            "5",
            "\"x,]\"",
            "null",
            "[1,2]",
            "-1.5e3",
            "true"
        ]
    );
}

#[test]
fn an_array_that_turns_into_text_is_reported_where_it_does() {
    assert_eq!(
        split("[{\"a\":1},\n<13>one\n{\"b\":2}\n"),
        ["{\"a\":1}", "!Unclosed@10", "<13>one", "{\"b\":2}"]
    );
    assert_eq!(
        split("[{\"a\":1},\ntrue story\n2026-11-23 two\n"),
        ["{\"a\":1}", "!Unclosed@15", "true story", "2026-11-23 two"]
    );
    assert_eq!(
        split("[\n  {\"a\":1},\n  {\"b\":\"cut\n  {\"c\":3}\n]\nend"),
        [
            "{\"a\":1}",
            "!Truncated@15",
            "{\"b\":\"cut",
            "{\"c\":3}",
            "end"
        ]
    );
}

#[test]
fn a_byte_order_mark_is_one_at_the_beginning_only() {
    assert_eq!(split("\u{feff}one\n\u{feff}two\n"), ["one", "\u{feff}two"]);
    assert_eq!(split("\u{feff}\u{feff}{}\n"), ["\u{feff}{}"]);
    assert_eq!(split("\u{feff}"), Vec::<String>::new());
    assert_eq!(split_in(b"\xef\xbb", 1, Framing::Auto, 9), ["\u{fffd}"]);
    assert_eq!(split("\u{feff}{worker\n"), ["{worker"]);
}

#[test]
fn what_follows_a_cut_line_is_read_as_if_the_line_were_not_there() {
    let followers = [
        "{\"b\":2}",
        "{\n  \"b\": [\n    {}\n  ]\n}",
        "<13>Nov 23 text",
        "Nov 23 text",
        "2026-11-23T10:00:00Z text",
        "1763892000.123 text",
        "10.0.0.1 - - [23/Nov/2026] \"GET /\"",
        "[2026-11-23] text",
        "true story",
        "\"quoted\" text",
        "{\"b\":2} and text",
        "{worker 3 started",
        "[{user}] logged in",
        "CEF:0|a|b|c|d|e|f|",
    ];
    let line = "{\"a\":1,\"b\":[true,{\"c\":\"x\\\"y\",\"d\":-1.5}],\"e\":{\"f\":{}}}";
    for cut in 1..line.len() {
        for first in followers {
            for second in followers {
                let input = format!("{}\n{first}\n{second}\n", &line[..cut]);
                let frames = split(&input);
                let end = frames.len().saturating_sub(2);
                assert_eq!(frames[end..], [first, second], "{input}");
            }
        }
    }
}

/// Splits in all ways, which must not differ, with a limit of 20 bytes.
fn in_pieces(framing: Framing, input: &str) -> Vec<String> {
    let splitter = || Splitter::new(framing, 20).in_pieces();
    let whole = split_with(splitter(), input.as_bytes(), usize::MAX);
    for piece in [1, 2, 3, 7, 19, 20, 21] {
        let found = split_with(splitter(), input.as_bytes(), piece);
        assert_eq!(found, whole, "pieces of {piece}");
    }
    whole
}

#[test]
fn in_pieces_nothing_is_left_out() {
    let long = "abcdefghijklmnopqrst";
    assert_eq!(
        in_pieces(
            Framing::Lines,
            &format!("{long}\r\n{long}{long}12\n\n{long}.")
        ),
        [
            long,
            "!InPieces { limit: 20 }@22",
            long,
            long,
            "12",
            "!InPieces { limit: 20 }@66",
            long,
            "."
        ]
    );
    // No character is torn.
    assert_eq!(
        in_pieces(Framing::Lines, "abcdefghijklmnopqrsäöüäöüäöüäö\n"),
        [
            "!InPieces { limit: 20 }@0",
            "abcdefghijklmnopqrs",
            "äöüäöüäöüä",
            "ö"
        ]
    );
    // What follows a long element in its array is read.
    assert_eq!(
        in_pieces(
            Framing::Json,
            "[{\"a\":1},{\"b\":\"0123456789 0123456789\"},{\"c\":3}]\n{\"d\":4}"
        ),
        [
            "{\"a\":1}",
            "!InPieces { limit: 20 }@9",
            "{\"b\":\"0123456789 012",
            "3456789\"}",
            "{\"c\":3}",
            "{\"d\":4}"
        ]
    );
    assert_eq!(
        in_pieces(
            Framing::Json,
            "{\n  \"a\": 123456789012,\n  \"b\": [\n\n]}\n{\"c\":3}"
        ),
        [
            "!InPieces { limit: 20 }@0",
            "{\n  \"a\": 12345678901",
            "2,\n  \"b\": [\n\n]}",
            "{\"c\":3}"
        ]
    );
}

#[test]
fn json_values_need_no_line_breaks_and_other_lines_are_said() {
    let json = |input: &str| split_with(Splitter::new(Framing::Json, 1000), input.as_bytes(), 1);
    assert_eq!(
        json("{\"a\":1} {\"b\":2},7 \"x\"\n[1, [{}] ,null]\noops: <b>\n ,,\n{\"c\":3}"),
        [
            "{\"a\":1}",
            "{\"b\":2}",
            "7",
            "\"x\"",
            "1",
            "[{}]",
            "null",
            "!NotJson@38",
            "oops: <b>",
            "{\"c\":3}"
        ]
    );
    assert_eq!(
        json("[INFO] x\n{\"a\":1"),
        ["!NotJson@0", "[INFO] x", "!Truncated@9", "{\"a\":1"]
    );
    let mut first = Splitter::new(Framing::Json, 1000);
    first.feed(b"{\"a\":1}");
    let mut count = 0;
    while first.next(false, |_| count += 1) {}
    assert_eq!(count, 1, "a value is handed out when its bracket closes");
    assert_eq!(
        split_with(
            Splitter::new(Framing::JsonLines, 1000),
            b"\xef\xbb\xbf{\"a\":1}\n  {\"b\":2}\n \n\xef\xbb\xbf{}\noops",
            3
        ),
        [
            "{\"a\":1}",
            "  {\"b\":2}",
            "!NotJson@23",
            "\u{feff}{}",
            "!NotJson@29",
            "oops"
        ]
    );
}
