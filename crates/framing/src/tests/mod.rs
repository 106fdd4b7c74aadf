//! What comes out of which input.

use super::*;

mod accounts;
mod attacks;
mod properties;

/// Splits the input in pieces of one size; the result must not depend on the size.
fn split_in(input: &[u8], piece: usize, framing: Framing, limit: usize) -> Vec<String> {
    split_with(Splitter::new(framing, limit), input, piece)
}

fn split_with(mut splitter: Splitter, input: &[u8], piece: usize) -> Vec<String> {
    let mut out = Vec::new();
    let mut sink = |frame: Frame<'_>| {
        out.push(match frame {
            Frame::Payload { bytes, offset } => {
                assert_eq!(
                    &input[usize::try_from(offset).unwrap()..][..bytes.len()],
                    bytes
                );
                String::from_utf8_lossy(bytes).into_owned()
            }
            Frame::Fault(fault) => format!("!{:?}@{}", fault.kind, fault.offset),
        });
    };
    for chunk in input.chunks(piece) {
        splitter.push(chunk, &mut sink);
    }
    splitter.finish(&mut sink);
    out
}

fn split(input: &str) -> Vec<String> {
    let whole = split_in(input.as_bytes(), usize::MAX, Framing::Auto, 1000);
    for piece in [1, 2, 3, 7] {
        assert_eq!(
            split_in(input.as_bytes(), piece, Framing::Auto, 1000),
            whole,
            "pieces of {piece}"
        );
    }
    whole
}

#[test]
fn ndjson_pretty_json_and_text_lines_are_told_apart() {
    assert_eq!(
        split("{\"a\":1}\n{\"b\":\"}\\\"{\"}\r\n\n{\"c\":3}"),
        ["{\"a\":1}", "{\"b\":\"}\\\"{\"}", "{\"c\":3}"]
    );
    assert_eq!(
        split("{\n  \"a\": [\n {\n}\n]\n}\n{\n}\n"),
        ["{\n  \"a\": [\n {\n}\n]\n}", "{\n}"]
    );
    assert_eq!(
        split("<13>one {x\n\n  two\nthree"),
        ["<13>one {x", "  two", "three"]
    );
    assert_eq!(split("[2026-11-23] text\n"), ["[2026-11-23] text"]);
    assert_eq!(split("{\"a\":1} and text\n"), ["{\"a\":1} and text"]);
}

#[test]
fn arrays_and_envelopes_are_opened() {
    assert_eq!(
        split("[{\"a\":1},\n {\"b\":2} ]\n{\"c\":3}"),
        ["{\"a\":1}", "{\"b\":2}", "{\"c\":3}"]
    );
    assert_eq!(
        split(
            "{\"@odata.context\":\"x\",\"value\":[{\"a\":[1]},{\"records\":[{}]}],\"next\":{\"value\":[{}]}}\n{\"c\":3}"
        ),
        [
            "{\"a\":[1]}",
            "{\"records\":[{}]}",
            "!Members([\"next\"])@58",
            "{\"c\":3}"
        ]
    );
    assert_eq!(split("{\"records\": [ ]}"), Vec::<String>::new());
    assert_eq!(split("{\"value\":[1,2]}"), ["{\"value\":[1,2]}"]);
    assert_eq!(
        split("{\"x\":\"value\",\"y\":[{}]}"),
        ["{\"x\":\"value\",\"y\":[{}]}"]
    );
}

#[test]
fn a_line_that_was_cut_costs_nothing_but_itself() {
    assert_eq!(
        split("{\"a\":1}\n{\"b\":\"cut\n{\"c\":3}\n{\"d\":[{\"e\":1},\n{\"f\":6}\n"),
        [
            "{\"a\":1}",
            "!Truncated@8",
            "{\"b\":\"cut",
            "{\"c\":3}",
            "!Truncated@26",
            "{\"d\":[{\"e\":1},",
            "{\"f\":6}",
        ]
    );
}

#[test]
fn an_array_that_is_cut_gives_what_it_has() {
    assert_eq!(
        split("[{\"a\":1},{\"b\":"),
        ["{\"a\":1}", "!Truncated@9", "{\"b\":"]
    );
    assert_eq!(split("[{\"a\":1},"), ["{\"a\":1}", "!Unclosed@9"]);
    assert_eq!(
        split("{\"value\":[{\"a\":1}\n"),
        ["{\"a\":1}", "!Unclosed@18"]
    );
}

#[test]
fn a_json_line_that_was_cut_does_not_swallow_the_text_lines_after_it() {
    assert_eq!(
        split("{\"a\":[\n<13>one\n{\"b\":\nNov 23 two\n{\"c\":3}\n"),
        [
            "!Truncated@0",
            "{\"a\":[",
            "<13>one",
            "!Truncated@15",
            "{\"b\":",
            "Nov 23 two",
            "{\"c\":3}"
        ]
    );
}

#[test]
fn a_text_line_that_begins_with_a_brace_is_a_text_line() {
    assert_eq!(
        split("{worker 3 started\n{'a': 1\n{\"b\":2}\n"),
        ["{worker 3 started", "{'a': 1", "{\"b\":2}"]
    );
}

#[test]
fn a_pretty_object_is_read_after_many_lines_that_were_cut() {
    let cut = "{\"a\":\"cut\n".repeat(40);
    let frames = split_in(
        format!("{cut}{{\n  \"b\": 2\n}}\n").as_bytes(),
        7,
        Framing::Auto,
        1000,
    );
    assert_eq!(frames.last().unwrap(), "{\n  \"b\": 2\n}");
    assert_eq!(frames.len(), 81);
}

#[test]
fn a_payload_over_the_limit_is_left_out_and_the_next_one_is_read() {
    let long = format!(
        "{{\"a\":\"{}\"}}\n{{\"b\":2}}\n{}\nend",
        "x".repeat(2000),
        "y".repeat(3000)
    );
    assert_eq!(
        split(&long),
        [
            "!TooLong { limit: 1000 }@0",
            "{\"b\":2}",
            "!TooLong { limit: 1000 }@2017",
            "end"
        ]
    );
}

#[test]
fn memory_stays_within_the_limit() {
    let mut splitter = Splitter::new(Framing::Auto, 1000);
    splitter.push(b"{\"a\":\"", |_| {});
    for _ in 0..1000 {
        splitter.push(&[b'x'; 1000], |_| {});
        assert!(splitter.buffer.len() <= 3000);
    }
}

#[test]
fn blanks_do_not_pile_up_in_memory() {
    for begin in ["", "[", "{\"value\":["] {
        let mut splitter = Splitter::new(Framing::Auto, 1000);
        splitter.push(begin.as_bytes(), |_| {});
        for _ in 0..1000 {
            splitter.push(&[b' '; 1000], |_| {});
            assert!(splitter.buffer.len() <= 3000, "{begin}");
        }
    }
}

#[test]
fn other_framings_do_not_look_into_the_text() {
    let input = b"{\"a\":\n1}\n";
    assert_eq!(split_in(input, 2, Framing::Lines, 100), ["{\"a\":", "1}"]);
    assert_eq!(split_in(input, 2, Framing::Whole, 100), ["{\"a\":\n1}"]);
}

#[test]
fn utf_16_is_refused_and_a_byte_order_mark_is_passed_over() {
    assert_eq!(
        split_in(b"\xff\xfe{\0}\0", 1, Framing::Auto, 100),
        ["!Utf16@0"]
    );
    assert_eq!(split_in(b"\xef\xbb\xbf{}\n", 1, Framing::Auto, 100), ["{}"]);
}

#[test]
fn many_values_that_never_end_cost_linear_time() {
    let input = "{\"a\":[\n".repeat(100_000);
    let frames = split_in(input.as_bytes(), 65536, Framing::Auto, 1 << 24);
    assert_eq!(frames.len(), 200_000);
}

/// Short texts of the bytes that mean something to the splitter.
fn scraps(count: usize) -> impl Iterator<Item = Vec<u8>> {
    let alphabet = [
        "{",
        "}",
        "[",
        "]",
        "\"",
        "\n",
        "\\",
        ",",
        ":",
        " ",
        "a",
        "t",
        "<",
        "\"value\":[{",
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap() % below
    };
    (0..count).map(move |_| {
        let length = 1 + next(24);
        (0..length)
            .flat_map(|_| alphabet[next(alphabet.len())].bytes())
            .collect()
    })
}

#[test]
fn where_the_input_is_cut_into_pieces_changes_nothing() {
    for input in scraps(20_000) {
        let whole = split_in(&input, usize::MAX, Framing::Auto, 1000);
        for piece in [1, 2, 5] {
            assert_eq!(
                split_in(&input, piece, Framing::Auto, 1000),
                whole,
                "pieces of {piece}: {:?}",
                String::from_utf8_lossy(&input)
            );
        }
    }
}

#[test]
fn payloads_stand_in_the_buffer_that_is_given_away() {
    for input in scraps(5_000) {
        let pushed = split_in(&input, usize::MAX, Framing::Auto, 1000);
        for piece in [1, 3, 1000] {
            let mut splitter = Splitter::new(Framing::Auto, 1000);
            let (mut rest, mut spare) = (input.as_slice(), Vec::new());
            let mut out = Vec::new();
            loop {
                let mut found = Vec::new();
                let mut sink = |frame: Frame<'_>| {
                    found.push(match frame {
                        Frame::Payload { bytes, offset } => Ok((offset, bytes.len())),
                        Frame::Fault(fault) => Err(fault),
                    });
                };
                let fill = |space: &mut [u8]| std::io::Read::read(&mut rest, space);
                let count = splitter.push_from(piece, fill, &mut sink).unwrap();
                if count == 0 {
                    splitter.finish(&mut sink);
                }
                let (buffer, base) = splitter.take(spare);
                out.extend(found.into_iter().map(|frame| match frame {
                    Ok((offset, length)) => {
                        let start = usize::try_from(offset - base).unwrap();
                        let bytes = &buffer[start..start + length];
                        String::from_utf8_lossy(bytes).into_owned()
                    }
                    Err(fault) => format!("!{:?}@{}", fault.kind, fault.offset),
                }));
                if count == 0 {
                    break;
                }
                // What stood in it must not come up again.
                spare = buffer;
            }
            let text = String::from_utf8_lossy(&input);
            assert_eq!(out, pushed, "pieces of {piece}: {text:?}");
        }
    }
}

#[test]
fn a_piece_that_cannot_be_had_is_nothing() {
    let mut splitter = Splitter::new(Framing::Auto, 1000);
    let mut out = Vec::new();
    let mut sink = |frame: Frame<'_>| out.push(format!("{frame:?}"));
    splitter.push(b"{\"a\":", &mut sink);
    let fill = |space: &mut [u8]| {
        space.fill(b'x');
        Err("broken")
    };
    assert_eq!(splitter.push_from(10, fill, &mut sink), Err("broken"));
    splitter.push(b"1}\n", &mut sink);
    assert_eq!(out.len(), 1, "{out:?}");
}

#[test]
fn no_payload_reaches_into_the_next_one_or_is_longer_than_the_limit() {
    for input in scraps(20_000) {
        for (limit, piece) in [(1000, 1000), (5, 1000), (5, 3)] {
            let mut end = 0;
            let mut splitter = Splitter::new(Framing::Auto, limit);
            let mut sink = |frame: Frame<'_>| {
                if let Frame::Payload { bytes, offset } = frame {
                    let text = String::from_utf8_lossy(&input);
                    assert!(offset >= end, "{text:?}");
                    assert!(bytes.len() <= limit, "{limit}, {piece}: {text:?}");
                    end = offset + bytes.len() as u64;
                }
            };
            for piece in input.chunks(piece) {
                splitter.push(piece, &mut sink);
            }
            splitter.finish(&mut sink);
        }
    }
}
