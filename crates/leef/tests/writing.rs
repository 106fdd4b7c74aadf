//! What the writer puts on the wire, byte for byte.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use leef::{
    Delimiter, Field, Header, HeaderField, Key, OptionsError, Report, Substitution, Version,
    WriteError, Writer, WriterOptions,
};

const HEADER: Header<'static> = Header {
    version: Version::V1_0,
    vendor: "Example",
    product: "Guard",
    product_version: "1",
    event_id: "logon",
};

/// Writes one event and returns it as text with its report.
fn write(
    options: WriterOptions,
    header: &Header<'_>,
    attributes: &[(&str, &str)],
) -> Result<(String, Report), WriteError> {
    let mut writer = Writer::new(options).unwrap();
    let mut buffer = b"before".to_vec();
    let result = (|| {
        let mut event = writer.event(&mut buffer, header)?;
        for (key, value) in attributes {
            event.attribute(*key, value)?;
        }
        event.finish()
    })();
    let text = String::from_utf8(buffer).unwrap();
    let text = text.strip_prefix("before").unwrap().to_owned();
    match result {
        Ok(report) => {
            assert_eq!(report.bytes, text.len());
            Ok((text, report))
        }
        Err(error) => {
            assert_eq!(text, "", "a refused event leaves nothing behind");
            Err(error)
        }
    }
}

fn unmarked(substitution: Substitution) -> WriterOptions {
    WriterOptions {
        substitution,
        mark_changes: false,
        ..WriterOptions::default()
    }
}

fn caret() -> WriterOptions {
    WriterOptions {
        version: Version::V2_0,
        delimiter: Delimiter::CARET,
        ..WriterOptions::default()
    }
}

fn dropped(report: &Report) -> Vec<&str> {
    report.dropped.iter().map(String::as_str).collect()
}

fn changed(report: &Report) -> Vec<(&str, usize, usize)> {
    report
        .changed
        .iter()
        .map(|c| (c.field.mark(), c.substituted, c.cut))
        .collect()
}

#[test]
fn version_1_uses_tab() {
    let (text, report) = write(
        WriterOptions::default(),
        &HEADER,
        &[("src", "192.0.2.1"), ("msg", r"C:\temp a=b|c^d")],
    )
    .unwrap();
    assert_eq!(
        text,
        "LEEF:1.0|Example|Guard|1|logon|src=192.0.2.1\tmsg=C:\\temp a=b|c^d"
    );
    assert!(report.is_lossless());
}

#[test]
fn version_2_declares_its_delimiter_as_it_is() {
    let two = [("a", "1"), ("b", "2")];
    assert_eq!(
        write(caret(), &HEADER, &two).unwrap().0,
        "LEEF:2.0|Example|Guard|1|logon|^|a=1^b=2"
    );
    let broken_bar = WriterOptions {
        delimiter: Delimiter::new('¦').unwrap(),
        ..caret()
    };
    assert_eq!(
        write(broken_bar, &HEADER, &two).unwrap().0,
        "LEEF:2.0|Example|Guard|1|logon|¦|a=1¦b=2"
    );
    let tab = WriterOptions {
        delimiter: Delimiter::TAB,
        ..caret()
    };
    assert_eq!(
        write(tab, &HEADER, &two).unwrap().0,
        "LEEF:2.0|Example|Guard|1|logon|\t|a=1\tb=2"
    );
}

#[test]
fn an_event_may_have_no_attributes() {
    assert_eq!(
        write(WriterOptions::default(), &HEADER, &[]).unwrap().0,
        "LEEF:1.0|Example|Guard|1|logon|"
    );
    assert_eq!(
        write(caret(), &HEADER, &[]).unwrap().0,
        "LEEF:2.0|Example|Guard|1|logon|^|"
    );
}

#[test]
fn what_cannot_be_carried_follows_the_policy() {
    let header = Header {
        vendor: "A|B",
        ..HEADER
    };
    let values = [
        ("a", "1\t2\r\n3"),
        ("b", "x\0\u{85}\u{2028}\u{2029}y\u{1f}"),
        ("c", "100%"),
    ];
    let (text, report) = write(unmarked(Substitution::Space), &header, &values).unwrap();
    assert_eq!(
        text,
        "LEEF:1.0|A B|Guard|1|logon|a=1 2  3\tb=x    y \tc=100%"
    );
    assert_eq!(
        changed(&report),
        [("headerVendor", 1, 0), ("a", 3, 0), ("b", 5, 0)]
    );
    let (text, report) = write(unmarked(Substitution::Drop), &header, &values).unwrap();
    assert_eq!(text, "LEEF:1.0|AB|Guard|1|logon|a=123\tb=xy\tc=100%");
    assert_eq!(
        changed(&report),
        [("headerVendor", 1, 0), ("a", 3, 0), ("b", 5, 0)]
    );
    let (text, report) = write(unmarked(Substitution::Percent), &header, &values).unwrap();
    assert_eq!(
        text,
        "LEEF:1.0|A%7CB|Guard|1|logon|a=1%092%0D%0A3\t\
         b=x%00%C2%85%E2%80%A8%E2%80%A9y%1F\tc=100%"
    );
    assert_eq!(
        changed(&report),
        [("headerVendor", 1, 0), ("a", 3, 0), ("b", 5, 0)]
    );
}

#[test]
fn what_steers_a_terminal_or_turns_the_text_round_is_substituted_everywhere() {
    let header = Header {
        event_id: "log\u{7f}on",
        ..HEADER
    };
    let values = [
        ("a", "\u{9b}31mred\u{202e}der\u{1b}[0m"),
        ("b", "\u{2066}é\u{200f}"),
    ];
    let (text, report) = write(unmarked(Substitution::Space), &header, &values).unwrap();
    assert_eq!(
        text,
        "LEEF:1.0|Example|Guard|1|log on|a= 31mred der [0m\tb= é "
    );
    assert_eq!(
        changed(&report),
        [("headerEventId", 1, 0), ("a", 3, 0), ("b", 2, 0)]
    );
}

#[test]
fn percent_signs_are_encoded_where_decoding_will_happen() {
    let values = [("a", "50%\n%0A%"), ("b", "%0A")];
    let (text, report) = write(unmarked(Substitution::Percent), &HEADER, &values).unwrap();
    assert_eq!(
        text,
        "LEEF:1.0|Example|Guard|1|logon|a=50%25%0A%250A%25\tb=%0A"
    );
    assert_eq!(changed(&report), [("a", 4, 0)]);
}

#[test]
fn the_delimiter_is_kept_out_of_values_only() {
    let header = Header {
        vendor: "a^b",
        ..HEADER
    };
    let (text, report) = write(caret(), &header, &[("a", "x^y"), ("b", "¦")]).unwrap();
    assert_eq!(
        text,
        "LEEF:2.0|a^b|Guard|1|logon|^|a=x y^b=¦^leefSanitized=a"
    );
    assert_eq!(changed(&report), [("a", 1, 0)]);
    let broken_bar = WriterOptions {
        delimiter: Delimiter::new('¦').unwrap(),
        substitution: Substitution::Percent,
        mark_changes: false,
        ..caret()
    };
    let (text, _) = write(broken_bar, &HEADER, &[("a", "x¦§^y")]).unwrap();
    assert_eq!(text, "LEEF:2.0|Example|Guard|1|logon|¦|a=x%C2%A6§^y");
}

#[test]
fn an_event_names_what_was_changed() {
    let header = Header {
        product: "G|d",
        ..HEADER
    };
    let values = [("a", "\n"), ("b", "2"), ("c", "\r")];
    let (text, _) = write(WriterOptions::default(), &header, &values).unwrap();
    assert_eq!(
        text,
        "LEEF:1.0|Example|G d|1|logon|a= \tb=2\tc= \tleefSanitized=headerProduct,a,c"
    );
    let comma = WriterOptions {
        delimiter: Delimiter::new(',').unwrap(),
        ..caret()
    };
    let (text, _) = write(comma, &HEADER, &[("a", ","), ("b", "\n")]).unwrap();
    assert_eq!(
        text,
        "LEEF:2.0|Example|Guard|1|logon|,|a= ,b= ,leefSanitized=a;b"
    );
    let (text, _) = write(WriterOptions::default(), &header, &[]).unwrap();
    assert_eq!(
        text,
        "LEEF:1.0|Example|G d|1|logon|leefSanitized=headerProduct"
    );
}

#[test]
fn fail_refuses_instead_of_changing() {
    let fail = unmarked(Substitution::Fail);
    let header = Header {
        vendor: "A|B",
        ..HEADER
    };
    assert_eq!(
        write(fail, &header, &[]).unwrap_err(),
        WriteError::Unrepresentable {
            field: Field::Header(HeaderField::Vendor),
            character: '|'
        }
    );
    let error = write(fail, &HEADER, &[("a", "1"), ("b", "x\u{2028}")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the attribute `b` holds '\\u{2028}', which LEEF cannot carry: \
         remove it or allow substitution"
    );
    assert_eq!(
        write(fail, &HEADER, &[("a", "1"), ("a", "1")]).unwrap_err(),
        WriteError::DuplicateKey { key: "a".into() }
    );
    let long = "é".repeat(256);
    let header = Header {
        event_id: &long,
        ..HEADER
    };
    assert_eq!(
        write(fail, &header, &[]).unwrap_err(),
        WriteError::EventIdTooLong { characters: 256 }
    );
    let (text, _) = write(fail, &HEADER, &[("a", "50%")]).unwrap();
    assert!(text.ends_with("|a=50%"));
}

#[test]
fn after_an_error_the_event_is_over() {
    let mut writer = Writer::new(unmarked(Substitution::Fail)).unwrap();
    let mut buffer = b"<13>".to_vec();
    let mut event = writer.event(&mut buffer, &HEADER).unwrap();
    event.attribute("a", "1").unwrap();
    event.attribute("b", "\n").unwrap_err();
    assert_eq!(event.attribute("c", "3"), Err(WriteError::Refused));
    assert_eq!(event.integer("c", 3), Err(WriteError::Refused));
    assert_eq!(event.finish(), Err(WriteError::Refused));
    assert_eq!(buffer, b"<13>");
}

#[test]
fn an_event_that_is_not_finished_is_taken_back() {
    let mut writer = Writer::new(WriterOptions::default()).unwrap();
    let mut buffer = b"kept\n".to_vec();
    let mut event = writer.event(&mut buffer, &HEADER).unwrap();
    event.attribute("a", "1").unwrap();
    drop(event);
    assert_eq!(buffer, b"kept\n");
}

#[test]
fn a_writer_and_its_buffer_serve_many_events() {
    let mut writer = Writer::new(WriterOptions::default()).unwrap();
    let mut buffer = Vec::new();
    for number in [i64::MIN, -1, 0, 7, i64::MAX] {
        let mut event = writer.event(&mut buffer, &HEADER).unwrap();
        event.integer("n", number).unwrap();
        event.attribute("a", "").unwrap();
        assert!(event.finish().unwrap().is_lossless());
        buffer.push(b'\n');
    }
    let expected: String = [i64::MIN, -1, 0, 7, i64::MAX]
        .iter()
        .map(|n| format!("LEEF:1.0|Example|Guard|1|logon|n={n}\ta=\n"))
        .collect();
    assert_eq!(String::from_utf8(buffer).unwrap(), expected);
}

#[test]
fn a_minus_is_a_character_like_others() {
    let minus = WriterOptions {
        delimiter: Delimiter::new('-').unwrap(),
        ..caret()
    };
    let mut writer = Writer::new(minus).unwrap();
    let mut buffer = Vec::new();
    let mut event = writer.event(&mut buffer, &HEADER).unwrap();
    event.integer("n", -5).unwrap();
    let report = event.finish().unwrap();
    assert_eq!(changed(&report), [("n", 1, 0)]);
    assert_eq!(
        buffer,
        b"LEEF:2.0|Example|Guard|1|logon|-|n= 5-leefSanitized=n"
    );
}

#[test]
fn a_key_is_written_once() {
    let values = [("a", "1"), ("A", "2"), ("a", "3"), ("a", "1")];
    let (text, report) = write(WriterOptions::default(), &HEADER, &values).unwrap();
    assert_eq!(text, "LEEF:1.0|Example|Guard|1|logon|a=1\tA=2");
    assert_eq!(report.duplicates, ["a", "a"]);
    assert!(!report.is_lossless());
}

#[test]
fn many_keys_are_told_apart() {
    let keys: Vec<String> = (0..300).map(|n| format!("key{n}")).collect();
    let pairs: Vec<(&str, &str)> = keys.iter().map(|k| (k.as_str(), "")).collect();
    let twice = [pairs.clone(), pairs].concat();
    let (text, report) = write(WriterOptions::default(), &HEADER, &twice).unwrap();
    assert_eq!(text.matches('\t').count(), 299);
    assert_eq!(report.duplicates, keys);
}

#[test]
fn keys_that_would_break_pairs_are_refused() {
    for key in ["", "a b", "a=b", "a\tb", "2a", "process_path", "é"] {
        assert_eq!(
            write(WriterOptions::default(), &HEADER, &[(key, "1")]).unwrap_err(),
            WriteError::InvalidKey { key: key.into() }
        );
    }
}

#[test]
fn marks_belong_to_the_writer_while_it_uses_them() {
    let pair = [("leefTruncated", "maybe")];
    assert_eq!(
        write(WriterOptions::default(), &HEADER, &pair).unwrap_err(),
        WriteError::MarkKey {
            key: "leefTruncated".into()
        }
    );
    let (text, _) = write(unmarked(Substitution::Space), &HEADER, &pair).unwrap();
    assert!(text.ends_with("|leefTruncated=maybe"));
}

#[test]
fn an_event_needs_an_id() {
    let header = |event_id| Header { event_id, ..HEADER };
    assert_eq!(
        write(WriterOptions::default(), &header(""), &[]).unwrap_err(),
        WriteError::EmptyEventId
    );
    assert_eq!(
        write(unmarked(Substitution::Drop), &header("|\n"), &[]).unwrap_err(),
        WriteError::EmptyEventId
    );
}

#[test]
fn a_long_event_id_is_cut_between_characters() {
    let long = "é".repeat(300);
    let header = Header {
        event_id: &long,
        ..HEADER
    };
    let (text, report) = write(WriterOptions::default(), &header, &[]).unwrap();
    assert_eq!(
        text,
        format!(
            "LEEF:1.0|Example|Guard|1|{}|leefSanitized=headerEventId",
            "é".repeat(255)
        )
    );
    assert_eq!(changed(&report), [("headerEventId", 0, 45)]);
    assert_eq!(
        report.changed[0].to_string(),
        "the event ID: 45 characters cut off"
    );
}

#[test]
fn an_encoded_event_id_is_cut_between_escapes() {
    let long = format!("{}\n\n", "x".repeat(251));
    let header = Header {
        event_id: &long,
        ..HEADER
    };
    let (text, report) = write(unmarked(Substitution::Percent), &header, &[]).unwrap();
    assert_eq!(
        text,
        format!("LEEF:1.0|Example|Guard|1|{}%0A|", "x".repeat(251))
    );
    assert_eq!(changed(&report), [("headerEventId", 1, 1)]);
}

#[test]
fn attributes_beyond_the_limit_are_left_out_whole() {
    let limited = |max, mark_changes| WriterOptions {
        max_bytes: Some(max),
        mark_changes,
        ..WriterOptions::default()
    };
    let values = [("a", "1"), ("b", "é23456789"), ("c", "3")];
    let whole = "LEEF:1.0|Example|Guard|1|logon|a=1\tb=é23456789\tc=3";

    let (text, report) = write(limited(whole.len(), true), &HEADER, &values).unwrap();
    assert_eq!(text, whole);
    assert!(report.is_lossless());

    // One byte short: the last one goes, and the mark needs more room still.
    let (text, report) = write(limited(whole.len() - 1, false), &HEADER, &values).unwrap();
    assert_eq!(text, "LEEF:1.0|Example|Guard|1|logon|a=1\tb=é23456789");
    assert_eq!(dropped(&report), ["c"]);
    let (text, report) = write(limited(whole.len() - 1, true), &HEADER, &values).unwrap();
    assert_eq!(text, "LEEF:1.0|Example|Guard|1|logon|leefTruncated=true");
    assert_eq!(dropped(&report), ["a", "b", "c"]);

    // A large attribute does not take the small ones after it along.
    let (text, report) = write(limited(39, false), &HEADER, &values).unwrap();
    assert_eq!(text, "LEEF:1.0|Example|Guard|1|logon|a=1\tc=3");
    assert_eq!(dropped(&report), ["b"]);
}

#[test]
fn a_dropped_key_does_not_come_back() {
    let options = WriterOptions {
        max_bytes: Some(40),
        mark_changes: false,
        ..WriterOptions::default()
    };
    let values = [("a", "0123456789"), ("a", "1"), ("b", "2")];
    let (text, report) = write(options, &HEADER, &values).unwrap();
    assert_eq!(text, "LEEF:1.0|Example|Guard|1|logon|b=2");
    assert_eq!(dropped(&report), ["a"]);
    assert_eq!(report.duplicates, ["a"]);
}

#[test]
fn a_dropped_attribute_is_not_named_as_changed() {
    let options = WriterOptions {
        max_bytes: Some(53),
        ..WriterOptions::default()
    };
    let values = [("a", "1"), ("longname", "\n")];
    let (text, report) = write(options, &HEADER, &values).unwrap();
    assert_eq!(
        text,
        "LEEF:1.0|Example|Guard|1|logon|a=1\tleefTruncated=true"
    );
    assert_eq!(dropped(&report), ["longname"]);
    assert!(report.changed.is_empty());
}

#[test]
fn a_header_that_does_not_fit_is_an_error() {
    let options = |max| WriterOptions {
        max_bytes: Some(max),
        ..WriterOptions::default()
    };
    assert!(write(options(31), &HEADER, &[]).is_ok());
    assert_eq!(
        write(options(30), &HEADER, &[]).unwrap_err(),
        WriteError::TooLong {
            needed: 31,
            limit: 30
        }
    );
    // The header fits, but not the mark that something was left out.
    assert_eq!(
        write(options(31), &HEADER, &[("a", "1")]).unwrap_err(),
        WriteError::TooLong {
            needed: 49,
            limit: 31
        }
    );
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let one = WriterOptions {
        version: Version::V1_0,
        ..caret()
    };
    assert_eq!(
        Writer::new(one).unwrap_err(),
        OptionsError::DelimiterNeedsVersion2 {
            delimiter: Delimiter::CARET
        }
    );
    let percent = WriterOptions {
        delimiter: Delimiter::new('%').unwrap(),
        substitution: Substitution::Percent,
        ..caret()
    };
    assert_eq!(
        Writer::new(percent).unwrap_err(),
        OptionsError::PercentDelimiter
    );
}

/// One line by keys that were checked before, and the same by texts.
fn both_ways(options: WriterOptions, keys: &[String], value: &str, number: i64) -> [Vec<u8>; 2] {
    let mut writer = Writer::new(options).unwrap();
    let mut lines = [Vec::new(), Vec::new()];
    let ready: Vec<Key> = keys.iter().map(|key| Key::new(key).unwrap()).collect();
    let mut event = writer.event(&mut lines[0], &HEADER).unwrap();
    for key in &ready {
        event.attribute(key, value).unwrap();
        event.integer(key, number).unwrap();
    }
    event.finish().unwrap();
    let mut event = writer.event(&mut lines[1], &HEADER).unwrap();
    for key in keys {
        event.attribute(key.as_str(), value).unwrap();
        event.attribute(key.as_str(), &number.to_string()).unwrap();
    }
    event.finish().unwrap();
    lines
}

#[test]
fn keys_that_were_checked_before_write_what_their_texts_write() {
    let long = "v".repeat(60);
    let values = ["", "a", "ab\tc", "^-¦", "é", "exactly sixteen!", &long];
    let numbers = [0, 9, 10, 99, 100, 12_345, -1, -10, i64::MAX, i64::MIN];
    for delimiter in ['\t', '^', '-', '¦'] {
        let options = WriterOptions {
            version: Version::V2_0,
            delimiter: Delimiter::new(delimiter).unwrap(),
            ..WriterOptions::default()
        };
        // Keys of all lengths around the one up to which they are copied whole; each is given twice.
        let keys: Vec<String> = (1..50).map(|length| "k".repeat(length)).collect();
        for value in values {
            for number in numbers {
                let [ready, text] = both_ways(options, &keys, value, number);
                let shown = || String::from_utf8_lossy(&ready).into_owned();
                assert_eq!(ready, text, "{value:?} {number} {}", shown());
            }
        }
    }
    // Once each, so that nothing but the first attribute of a key is looked at.
    for number in numbers {
        let mut writer = Writer::new(WriterOptions::default()).unwrap();
        let mut line = Vec::new();
        let mut event = writer.event(&mut line, &HEADER).unwrap();
        event.integer(&Key::new("n").unwrap(), number).unwrap();
        event.finish().unwrap();
        assert!(
            String::from_utf8(line)
                .unwrap()
                .ends_with(&format!("|n={number}"))
        );
    }
}
