//! What holds for any input.

use crate::{FaultKind, Frame, Framing, MAX_LOOKS, Mark, Span, Splitter};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Input that is shown as text when a property fails.
#[derive(Clone)]
struct Input(Vec<u8>);

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

/// An object of some depth.
fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i32>().prop_map(Into::into),
        select(vec![
            "", "x", "a\"b", "\\", "{", "}\n", "[{", "ü", "\u{1b}", "value"
        ])
        .prop_map(Into::into),
    ];
    let name = select(vec![
        "a", "b", "value", "records", "@odata.x", "n\"m", "next",
    ]);
    let value = leaf.prop_recursive(4, 16, 4, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(serde_json::Value::Array),
            vec((name.clone(), inner), 0..4).prop_map(|members| members
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect::<serde_json::Map<_, _>>()
                .into()),
        ]
    });
    (value, any::<u16>()).prop_map(|(value, id)| serde_json::json!({ "id": id, "x": value }))
}

fn object() -> impl Strategy<Value = String> {
    (json(), 0..4).prop_map(|(json, manner)| match manner {
        0 => format!("{json:#}"),
        // Without indentation, so that lines begin with braces.
        1 => {
            let pretty = format!("{json:#}");
            let lines: Vec<_> = pretty.lines().map(str::trim_start).collect();
            lines.join("\n")
        }
        _ => json.to_string(),
    })
}

fn array() -> impl Strategy<Value = String> {
    let separator = select(vec![",", ", ", ",\n", "\n,\n", "\n"]);
    let edges = select(vec![("[", "]"), ("[\n", "\n]"), ("[ ", "\n ]")]);
    (vec(object(), 0..4), separator, edges).prop_map(|(elements, separator, (begin, end))| {
        format!("{begin}{}{end}", elements.join(separator))
    })
}

fn envelope() -> impl Strategy<Value = String> {
    let before = select(vec![
        "",
        "\"@odata.context\":\"x\",",
        "\"id\": [1],\n",
        "\"c\":{},",
    ]);
    let after = select(vec![
        "",
        ",\"@odata.nextLink\":null",
        ", \"more\": \"}\"",
        ",\"records\":[{}]",
    ]);
    let name = select(vec!["\"value\":", "\n \"records\" : ", "\"value\":\n"]);
    (before, name, array(), after)
        .prop_map(|(before, name, array, after)| format!("{{{before}{name}{array}{after}}}"))
}

fn text() -> impl Strategy<Value = String> {
    let text = select(vec![
        "<13>Nov 23 10:00:00 gw login: ok",
        "2026-11-23T10:00:00Z x",
        "[2026-11-23] x",
        "[{user}] logged in",
        "[{\"user\":1}] logged in",
        "{\"a\":1} and text",
        "{worker 3 started",
        "{'a': 1}",
        "  indented",
        ",,",
        ",",
        "]",
        "]}",
        "\"quoted\" text",
        "true story",
        "\u{feff}{\"a\":1}",
        "\0\u{1b}[31m\u{7f}",
        "",
        " ",
        "\r",
        "\x0c",
        "\"",
        "\\",
    ]);
    text.prop_map(str::to_owned)
}

fn nested() -> impl Strategy<Value = String> {
    let opening = select(vec![
        "[",
        "{\"a\":",
        "[\n",
        "{\"a\":\n",
        "[{\"a\":",
        "{\"a\":[{},\n",
    ]);
    (opening, 1..700_usize).prop_map(|(opening, depth)| opening.repeat(depth))
}

fn blank() -> impl Strategy<Value = String> {
    let blank = select(vec![" ", "\n", "\r\n", "\t", "\r", ", "]);
    (blank, 1..3000_usize).prop_map(|(blank, count)| blank.repeat(count))
}

/// Input of many kinds, some of it damaged.
fn input() -> impl Strategy<Value = Input> {
    let part = prop_oneof![
        4 => object(),
        2 => array(),
        2 => envelope(),
        3 => text(),
        1 => nested(),
        1 => blank(),
    ];
    let cut = (part, any::<Index>(), prop::bool::weighted(0.3)).prop_map(|(part, at, is_cut)| {
        let mut bytes = part.into_bytes();
        if is_cut && !bytes.is_empty() {
            bytes.truncate(at.index(bytes.len()));
        }
        bytes
    });
    let end = select(vec!["\n", "\n", "\n", "\r\n", "", " ", ",", ",\n"]);
    let parts = vec((cut, end), 0..8).prop_map(|parts| {
        let mut all = Vec::new();
        for (part, end) in parts {
            all.extend(part);
            all.extend(end.bytes());
        }
        all
    });
    let byte = prop_oneof![
        select(b"{}[]\",:\n\\ ".to_vec()),
        select(vec![0, 0xff, 0xef, b'\r', b'e', b'1']),
        any::<u8>(),
    ];
    let mark = select(vec!["", "", "", "\u{feff}"]);
    (mark, parts, vec((any::<Index>(), 0..3, byte), 0..4)).prop_map(|(mark, mut all, mutations)| {
        for (at, manner, byte) in mutations {
            if !all.is_empty() {
                let at = at.index(all.len());
                match manner {
                    0 => all[at] = byte,
                    1 => all.insert(at, byte),
                    _ => {
                        all.remove(at);
                    }
                }
            }
        }
        all.splice(0..0, mark.bytes());
        Input(all)
    })
}

fn limit() -> impl Strategy<Value = usize> {
    select(vec![1, 5, 40, 200, 1000, 1 << 20])
}

/// Payloads and faults, and how often bytes were looked at.
type Split = (Frames, u64);

fn split(input: &[u8], pieces: impl Iterator<Item = usize>, way: Way, limit: usize) -> Split {
    let mut frames = Vec::new();
    let mut sink = |frame: Frame<'_>| {
        frames.push(match frame {
            Frame::Payload { bytes, offset } => (offset, Ok(bytes.to_vec())),
            Frame::Fault(fault) => (fault.offset, Err(fault.kind)),
        });
    };
    let mut splitter = way.splitter(limit);
    let (mut rest, mut longest) = (input, 0);
    for piece in pieces {
        let (piece, behind) = rest.split_at(piece.min(rest.len()));
        rest = behind;
        splitter.push(piece, &mut sink);
        longest = longest.max(piece.len());
        let most = limit + longest + longest / 2 + 3;
        assert!(
            splitter.buffer.capacity() <= most,
            "{} > {most}",
            splitter.buffer.capacity()
        );
        assert!(splitter.memory() <= most + (50 << 10));
        if rest.is_empty() {
            break;
        }
    }
    splitter.push(rest, &mut sink);
    splitter.finish(&mut sink);
    (frames, splitter.looks())
}

/// How to split, and what becomes of what exceeds the limit.
#[derive(Debug, Clone, Copy)]
struct Way {
    framing: Framing,
    in_pieces: bool,
}

impl Way {
    const AUTO: Self = Self {
        framing: Framing::Auto,
        in_pieces: false,
    };

    fn splitter(self, limit: usize) -> Splitter {
        self.of(Splitter::new(self.framing, limit))
    }

    fn of(self, splitter: Splitter) -> Splitter {
        if self.in_pieces {
            splitter.in_pieces()
        } else {
            splitter
        }
    }
}

fn way() -> impl Strategy<Value = Way> {
    let framing = prop_oneof![
        8 => Just(Framing::Auto),
        1 => Just(Framing::Lines),
        1 => Just(Framing::JsonLines),
        6 => Just(Framing::Json),
    ];
    let whole = Way {
        framing: Framing::Whole,
        in_pieces: false,
    };
    prop_oneof![
        15 => (framing, any::<bool>()).prop_map(|(framing, in_pieces)| Way { framing, in_pieces }),
        1 => Just(whole),
    ]
}

type Frames = Vec<(u64, Result<Vec<u8>, FaultKind>)>;

/// Splits with a pause: at the first step behind `pause` that takes bytes, everything but the last mark and the offset is
/// forgotten.
fn split_with_a_pause(input: &[u8], piece: usize, way: Way, limit: usize, pause: u64) -> Frames {
    let mut frames = Vec::new();
    let mut splitter = way.splitter(limit);
    let mut mark = Mark::default();
    let mut taken = 0;
    let mut paused = false;
    let mut fed = 0;
    loop {
        let last = fed == input.len();
        let before = splitter.offset();
        let goes_on = splitter.next(last, |frame| {
            let (offset, frame) = match frame {
                Frame::Payload { bytes, offset } => (offset, Ok(bytes.to_vec())),
                Frame::Fault(fault) => (fault.offset, Err(fault.kind)),
            };
            if offset >= taken {
                frames.push((offset, frame));
            }
        });
        mark = splitter.mark().unwrap_or(mark);
        if !paused && splitter.offset() > before && splitter.offset() > pause {
            paused = true;
            taken = splitter.offset();
            frames.retain(|(offset, _)| *offset < taken);
            splitter = way.of(Splitter::resume(way.framing, limit, mark));
            fed = usize::try_from(mark.offset).unwrap();
            continue;
        }
        if goes_on {
            continue;
        }
        if last {
            splitter.finish(|frame| {
                if let Frame::Fault(fault) = frame {
                    frames.push((fault.offset, Err(fault.kind)));
                }
            });
            return frames;
        }
        let end = (fed + piece).min(input.len());
        splitter.feed(&input[fed..end]);
        fed = end;
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(400)
    })]

    #[test]
    fn any_split_into_reads_gives_the_same_frames(
        Input(input) in input(),
        pieces in vec(1..200_usize, 0..40),
        way in way(),
        limit in limit(),
    ) {
        let (whole, _) = split(&input, std::iter::empty(), way, limit);
        let (trickled, _) = split(&input, std::iter::repeat(1), way, limit);
        prop_assert_eq!(&whole, &trickled);
        let (pieces, _) = split(&input, pieces.into_iter(), way, limit);
        prop_assert_eq!(&whole, &pieces);
    }

    #[test]
    fn a_splitter_goes_on_where_another_one_stopped(
        Input(input) in input(),
        pause in any::<Index>(),
        piece in select(vec![1, 7, 100, 100_000]),
        way in way(),
        limit in limit(),
    ) {
        let (whole, _) = split(&input, std::iter::empty(), way, limit);
        let pause = pause.index(input.len() + 1) as u64;
        prop_assert_eq!(whole, split_with_a_pause(&input, piece, way, limit, pause));
    }

    #[test]
    fn no_byte_is_looked_at_too_often(Input(input) in input(), way in way(), limit in limit()) {
        let (_, looks) = split(&input, std::iter::repeat(1000), way, limit);
        let most = MAX_LOOKS * input.len() as u64 + 100;
        prop_assert!(looks <= most, "{} > {}", looks, most);
    }

    #[test]
    fn every_byte_is_accounted_for(Input(input) in input(), way in way(), limit in limit()) {
        let mut frames = Vec::new();
        let mut splitter = way.splitter(limit);
        let mut sink = |frame: Frame<'_>| frames.push(match frame {
            Frame::Payload { bytes, offset } => (offset, Ok(bytes.to_vec())),
            Frame::Fault(fault) => (fault.offset, Err(fault.kind)),
        });
        splitter.push(&input, &mut sink);
        splitter.finish(&mut sink);
        let mut frames = frames.into_iter().peekable();
        let (mut at, mut faulty, mut has_left_out) = (0, false, false);
        let spans: Vec<_> = splitter.spans.iter().filter(|(_, length)| *length > 0).collect();
        for &&(span, length) in &spans {
            let bytes = &input[at..at + length];
            while let Some((offset, Err(kind))) = frames.peek().cloned()
                && (span == Span::Payload
                    || offset < (at + length) as u64
                    || (span == Span::Separator && offset == (at + length) as u64))
            {
                let is_too_long = matches!(kind, FaultKind::TooLong { .. });
                prop_assert!(!is_too_long || !way.in_pieces);
                let leaves_out = matches!(
                    kind,
                    FaultKind::TooLong { .. } | FaultKind::Utf16 | FaultKind::Unclosed
                );
                faulty |= leaves_out && (offset == at as u64 || span != Span::Fault);
                frames.next();
            }
            match span {
                Span::Payload => {
                    prop_assert_eq!(frames.next(), Some((at as u64, Ok(bytes.to_vec()))));
                    prop_assert!(length <= limit);
                    faulty = false;
                }
                Span::Fault => {
                    prop_assert!(faulty, "{} bytes at {at}", length);
                    has_left_out = true;
                }
                Span::Separator => {
                    let is_mark = at == 0 && bytes == b"\xef\xbb\xbf";
                    let separates = |byte: &u8| byte.is_ascii_whitespace() || b",[]".contains(byte);
                    prop_assert!(is_mark || bytes.iter().all(separates), "{:?} at {at}", bytes);
                }
                Span::Envelope => {
                    let is_part = bytes.iter().any(|byte| b"{}]:".contains(byte));
                    prop_assert!(is_part, "{} bytes at {at}", length);
                }
            }
            at += length;
        }
        prop_assert_eq!(at, input.len());
        let is_utf16 = matches!(input[..], [0xff, 0xfe, ..] | [0xfe, 0xff, ..]);
        let is_lines = matches!(way.framing, Framing::Lines | Framing::JsonLines);
        if way.in_pieces && is_lines && !is_utf16 {
            prop_assert!(!has_left_out);
        }
        prop_assert!(frames.all(|(_, frame)| frame.is_err()), "payloads behind the end");
    }

    #[test]
    fn members_of_envelopes_are_named_or_harmless(
        before in vec(select(vec!["a", "b c", "@odata.count", "nextLink"]), 0..3),
        after in vec(select(vec!["d", "e", "@odata.nextLink"]), 0..3),
        value in json(),
        is_pretty in any::<bool>(),
    ) {
        let mut text = String::from("{");
        let line = if is_pretty { "\n  " } else { "" };
        for name in &before {
            text.push_str(&format!("{line}\"{name}\": {value},"));
        }
        text.push_str(&format!("{line}\"records\": [{value}]"));
        for name in &after {
            text.push_str(&format!(",{line}\"{name}\":{value}"));
        }
        text.push_str("\n}\n{\"last\":1}");
        let (frames, _) = split(text.as_bytes(), std::iter::empty(), Way::AUTO, 1 << 20);
        let mut wanted = Vec::new();
        let named = |names: &[&str]| {
            let names: Vec<_> = names
                .iter()
                .filter(|name| !name.starts_with('@') && **name != "nextLink")
                .map(|name| format!("{name:?}"))
                .collect();
            (!names.is_empty()).then(|| format!("Members([{}])", names.join(", ")))
        };
        wanted.extend(named(&before));
        wanted.push(value.to_string());
        wanted.extend(named(&after));
        wanted.push("{\"last\":1}".to_owned());
        let found: Vec<_> = frames
            .into_iter()
            .map(|(_, frame)| match frame {
                Ok(bytes) => String::from_utf8(bytes).unwrap(),
                Err(kind) => format!("{kind:?}"),
            })
            .collect();
        prop_assert_eq!(found, wanted);
    }

    #[test]
    fn a_cut_line_takes_no_neighbour_along(
        parts in vec((json(), any::<Index>(), 0..5, json(), 1..3_usize), 1..8),
        piece in 1..100_usize,
    ) {
        let mut text = String::new();
        let mut wanted = Vec::new();
        for (index, (cut, at, manner, good, count)) in parts.into_iter().enumerate() {
            let cut = match manner {
                0 => format!("[{cut},{cut}]"),
                1 => format!("{{\"value\":[{cut}],\"x\":{cut}}}"),
                _ => cut.to_string(),
            };
            let mut at = 1 + at.index(cut.len() - 1);
            while !cut.is_char_boundary(at) {
                at -= 1;
            }
            text.push_str(&cut[..at]);
            text.push('\n');
            for number in 0..count {
                let line = match (index + number) % 4 {
                    0 => format!("<13>text {index} {number}"),
                    1 => format!("{:#}", serde_json::json!({ "good": [index, number], "x": good })),
                    2 => format!("2026-11-23 text {index} {number}"),
                    _ => serde_json::json!({ "good": [index, number], "x": good }).to_string(),
                };
                text.push_str(&line);
                text.push('\n');
                wanted.push(line);
            }
        }
        let (frames, _) = split(text.as_bytes(), std::iter::repeat(piece), Way::AUTO, 1 << 20);
        let payloads: Vec<_> = frames
            .into_iter()
            .filter_map(|(_, frame)| Some(String::from_utf8(frame.ok()?).unwrap()))
            .collect();
        for wanted in wanted {
            prop_assert!(payloads.contains(&wanted), "{:?} is not in {:#?}", wanted, payloads);
        }
    }
}
