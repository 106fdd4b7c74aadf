//! What the reader makes of lines, good and bad.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use leef::{
    Header, HeaderField, Message, Mode, ReadError, ReadOptions, Repair, Version, find, read,
    read_with,
};

/// Reads in lenient mode and checks what holds for every message.
fn lenient(line: &str) -> Message<'_> {
    let message = read(line, Mode::Lenient).unwrap();
    check_ranges(line, &message);
    message
}

fn check_ranges(line: &str, message: &Message<'_>) {
    for attribute in &message.attributes {
        assert_eq!(&line[attribute.key_range.clone()], attribute.key);
        assert_eq!(&line[attribute.value_range.clone()], attribute.value);
    }
    for field in HeaderField::ALL {
        assert_eq!(
            &line[message.header_range(field)],
            message.header.get(field)
        );
    }
}

fn pairs<'a>(message: &Message<'a>) -> Vec<(&'a str, &'a str)> {
    message
        .attributes
        .iter()
        .map(|a| (a.key, a.value))
        .collect()
}

/// The one reason why strict mode does not take a line.
fn strict_fault(line: &str) -> Repair {
    match read(line, Mode::Strict) {
        Err(ReadError::NotStrict(repair)) => repair,
        other => panic!("{line:?}: {other:?}"),
    }
}

#[test]
fn version_1_is_read_with_its_syslog_header() {
    let line = "<13>Jan 18 11:07:53 192.0.2.9 LEEF:1.0|Example|Guard|4.0 SP1|Logon Failure|\
                src=192.0.2.1\tusrName=EXAMPLE\\user10\tmsg=a=b|c\tempty=";
    for mode in [Mode::Strict, Mode::Lenient] {
        let message = read(line, mode).unwrap();
        check_ranges(line, &message);
        assert_eq!(message.prefix, "<13>Jan 18 11:07:53 192.0.2.9 ");
        assert_eq!(
            message.header,
            Header {
                version: Version::V1_0,
                vendor: "Example",
                product: "Guard",
                product_version: "4.0 SP1",
                event_id: "Logon Failure",
            }
        );
        assert_eq!(
            pairs(&message),
            [
                ("src", "192.0.2.1"),
                ("usrName", r"EXAMPLE\user10"),
                ("msg", "a=b|c"),
                ("empty", "")
            ]
        );
        assert_eq!(message.delimiter, '\t');
        assert_eq!(message.delimiter_field, None);
        assert_eq!(message.repairs, []);
        assert_eq!(message.get("empty"), Some(""));
        assert_eq!(message.get("Src"), None);
    }
}

#[test]
fn version_2_is_read_with_every_spelling_of_its_delimiter() {
    for (field, delimiter) in [
        ("^", '^'),
        ("x5E", '^'),
        ("0x5e", '^'),
        ("x9", '\t'),
        ("0x0009", '\t'),
        ("\t", '\t'),
        ("x7C", '|'),
        ("xa6", '¦'),
        ("¦", '¦'),
        ("x2028", '\u{2028}'),
        ("x", 'x'),
        ("0", '0'),
        (";", ';'),
    ] {
        let line = format!("LEEF:2.0|V|P|1|E|{field}|a=1{delimiter}b=§ 2");
        for mode in [Mode::Strict, Mode::Lenient] {
            let message = read(&line, mode).unwrap();
            check_ranges(&line, &message);
            assert_eq!(pairs(&message), [("a", "1"), ("b", "§ 2")], "{line}");
            assert_eq!(message.delimiter, delimiter);
            assert_eq!(message.delimiter_field, Some(field));
            assert_eq!(message.repairs, []);
        }
    }
}

#[test]
fn without_a_delimiter_field_tab_is_assumed_in_both_modes() {
    let missing = "LEEF:2.0|V|P|1|E|cat=System\tmsg=one|two";
    let empty = "LEEF:2.0|V|P|1|E||cat=System\tmsg=one|two";
    for mode in [Mode::Strict, Mode::Lenient] {
        for (line, field, repair) in [
            (missing, None, Repair::DelimiterMissing { at: 17 }),
            (empty, Some(""), Repair::DelimiterEmpty { at: 17 }),
        ] {
            let message = read(line, mode).unwrap();
            check_ranges(line, &message);
            assert_eq!(pairs(&message), [("cat", "System"), ("msg", "one|two")]);
            assert_eq!(message.delimiter_field, field);
            assert_eq!(message.repairs, [repair]);
        }
    }
}

#[test]
fn a_useless_delimiter_is_replaced_by_tab() {
    for field in ["=", "x3D", "xD800", "x0A"] {
        let line = format!("LEEF:2.0|V|P|1|E|{field}|a=1\tb=2");
        let message = lenient(&line);
        assert_eq!(pairs(&message), [("a", "1"), ("b", "2")]);
        let repair = Repair::DelimiterUnusable {
            found: field.to_owned(),
        };
        assert_eq!(message.repairs, [strict_fault(&line)]);
        assert_eq!(strict_fault(&line), repair);
    }
}

#[test]
fn a_program_tag_may_stand_before_the_header() {
    let line = "<30>Aug 19 12:33:31 host sender[4486]: LEEF:1.0|V|P|1|E|a=1";
    assert_eq!(lenient(line).prefix.len(), 39);
    assert_eq!(find(line), Some(39));
    let glued = "sender:LEEF:1.0|V|P|1|E|a=1";
    assert_eq!(
        lenient(glued).repairs,
        [Repair::NoBlankBeforeHeader { at: 7 }]
    );
    assert_eq!(strict_fault(glued), Repair::NoBlankBeforeHeader { at: 7 });
}

#[test]
fn the_header_is_looked_for_in_the_beginning_only() {
    let line = format!("{} LEEF:1.0|V|P|1|E|a=1", "é".repeat(20));
    let within = |max_prefix| ReadOptions {
        max_prefix,
        ..ReadOptions::default()
    };
    assert!(read_with(&line, &within(Some(41))).is_ok());
    assert!(read_with(&line, &within(None)).is_ok());
    for max in [0, 39, 40] {
        let error = read_with(&line, &within(Some(max))).unwrap_err();
        assert_eq!(
            error,
            ReadError::NotFound {
                max_prefix: Some(max)
            }
        );
    }
    let far = format!("{} LEEF:1.0|V|P|1|E|a=1", "x".repeat(600));
    assert_eq!(
        read(&far, Mode::Lenient).unwrap_err().to_string(),
        "no LEEF header, such as `LEEF:1.0|`, begins within the first 512 bytes: \
         allow a longer prefix"
    );
    assert_eq!(find(&far), Some(601));
}

#[test]
fn talk_about_leef_is_not_a_header() {
    assert_eq!(find("LEEF: is a format"), None);
    assert_eq!(find("LEEF:1.0 is a format"), None);
    assert_eq!(find("LEEF:LEEF:2.0|"), Some(5));
    assert_eq!(find("leef:1.0|"), None);
    assert_eq!(find("LEEF:1.0"), Some(0));
}

#[test]
fn odd_versions_are_read_as_their_neighbours() {
    for (found, read_as) in [
        ("0", Version::V1_0),
        ("1", Version::V1_0),
        ("2", Version::V2_0),
    ] {
        let line = format!("LEEF:{found}|V|P|1|E|a=1\tb=2");
        let message = lenient(&line);
        assert_eq!(message.header.version, read_as);
        assert_eq!(pairs(&message), [("a", "1"), ("b", "2")]);
        let repair = Repair::OddVersion {
            found: found.to_owned(),
            read_as,
        };
        assert!(message.repairs.contains(&repair));
        assert_eq!(strict_fault(&line), repair);
    }
    for mode in [Mode::Strict, Mode::Lenient] {
        assert_eq!(
            read("LEEF:3.0|V|P|1|E|a=1", mode).unwrap_err().to_string(),
            "LEEF version \"3.0\" is unknown: only 1.0 and 2.0 exist"
        );
    }
}

#[test]
fn a_header_that_ends_early_is_an_error() {
    let missing = |line| match read(line, Mode::Lenient) {
        Err(ReadError::MissingField { field }) => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(missing("LEEF:1.0"), HeaderField::Vendor);
    assert_eq!(missing("LEEF:1.0|"), HeaderField::Vendor);
    assert_eq!(missing("LEEF:1.0|V|P"), HeaderField::Product);
    assert_eq!(missing("LEEF:1.0|V|P|1"), HeaderField::ProductVersion);
    assert_eq!(missing("LEEF:1.0|V|P|1|"), HeaderField::EventId);
}

#[test]
fn the_last_pipe_may_be_missing() {
    let line = "LEEF:1.0|V|P|1|E";
    let message = lenient(line);
    assert_eq!(message.header.event_id, "E");
    assert_eq!(message.repairs, [Repair::NoLastPipe { at: 16 }]);
    assert_eq!(strict_fault(line), Repair::NoLastPipe { at: 16 });
    for line in [
        "LEEF:1.0|V|P|1|E\ta=1\tb=2|3",
        "LEEF:2.0|V|P|1|E\ta=1\tb=2|3",
    ] {
        let message = lenient(line);
        assert_eq!(message.header.event_id, "E");
        assert_eq!(pairs(&message), [("a", "1"), ("b", "2|3")]);
        assert_eq!(strict_fault(line), Repair::NoLastPipe { at: 16 });
    }
    let message = lenient("LEEF:2.0|V|P|1|E|^");
    assert_eq!(message.delimiter, '^');
    assert_eq!(message.repairs, [Repair::NoLastPipe { at: 18 }]);
}

#[test]
fn empty_header_fields_are_kept() {
    let message = read("LEEF:1.0||||E|", Mode::Strict).unwrap();
    assert_eq!(message.header.vendor, "");
    assert_eq!(message.attributes, []);
    let line = "LEEF:1.0|V|P|1||a=1";
    assert_eq!(lenient(line).repairs, [Repair::EmptyEventId { at: 15 }]);
    assert_eq!(strict_fault(line), Repair::EmptyEventId { at: 15 });
}

#[test]
fn blanks_around_keys_are_skipped() {
    let line = "LEEF:1.0|V|P|1|E|  src=192.0.2.1\t dst =192.0.2.2\tfile name= x ";
    let message = lenient(line);
    assert_eq!(
        pairs(&message),
        [
            ("src", "192.0.2.1"),
            ("dst", "192.0.2.2"),
            ("file name", " x ")
        ]
    );
    assert_eq!(
        message.repairs,
        [
            Repair::BlankAfterHeader { at: 17 },
            Repair::BlankAroundKey {
                key: "dst".into(),
                at: 34
            },
            Repair::BlankInKey {
                key: "file name".into(),
                at: 49
            },
        ]
    );
    assert_eq!(strict_fault(line), Repair::BlankAfterHeader { at: 17 });
    assert!(matches!(
        strict_fault("LEEF:1.0|V|P|1|E|a b=1"),
        Repair::BlankInKey { .. }
    ));
}

#[test]
fn delimiters_without_attributes_are_skipped() {
    let line = "LEEF:2.0|V|P|1|E|^|^a=1^^ ^b=2^";
    let message = lenient(line);
    assert_eq!(pairs(&message), [("a", "1"), ("b", "2")]);
    let repair = Repair::EmptyPairs { count: 4, at: 19 };
    assert_eq!(message.repairs, [repair]);
    for line in [
        "LEEF:1.0|V|P|1|E|\t",
        "LEEF:1.0|V|P|1|E| ",
        "LEEF:1.0|V|P|1|E|a=1\t",
        "LEEF:1.0|V|P|1|E|a=1\t\tb=2",
    ] {
        assert!(matches!(strict_fault(line), Repair::EmptyPairs { .. }));
    }
}

#[test]
fn a_text_without_key_belongs_to_the_value_before_it() {
    let line = "LEEF:2.0|V|P|1|E|^|junk^msg=one^two^^=three^src=192.0.2.1^^tail";
    let message = lenient(line);
    assert_eq!(
        pairs(&message),
        [("msg", "one^two^^=three"), ("src", "192.0.2.1^^tail")]
    );
    assert_eq!(
        message.repairs,
        [
            Repair::Skipped { at: 19, len: 4 },
            Repair::Joined {
                key: "msg".into(),
                count: 2,
                at: 32
            },
            Repair::Joined {
                key: "src".into(),
                count: 1,
                at: 59
            },
            Repair::EmptyPairs { count: 2, at: 36 },
        ]
    );
    assert_eq!(strict_fault(line), Repair::Skipped { at: 19, len: 4 });
    assert_eq!(
        message.repairs[1].to_string(),
        "text without `key=` at byte 32: taken for a part of the value of \"msg\""
    );
}

#[test]
fn the_first_of_equal_keys_is_kept() {
    let line = "LEEF:1.0|V|P|1|E|a=1\ta=2\tmore\tb=3";
    let message = lenient(line);
    assert_eq!(pairs(&message), [("a", "1"), ("b", "3")]);
    let repair = Repair::DuplicateKey {
        key: "a".into(),
        at: 21,
    };
    assert_eq!(message.repairs, [strict_fault(line)]);
    assert_eq!(strict_fault(line), repair);
    assert_eq!(
        read(line, Mode::Strict).unwrap_err().to_string(),
        "not strict LEEF, key \"a\" again at byte 21: \
         correct the sender or read in lenient mode"
    );
}

#[test]
fn many_keys_are_told_apart() {
    let mut line = "LEEF:1.0|V|P|1|E|k=".to_owned();
    for round in 0..2 {
        for n in 0..100 {
            line.push_str(&format!("\tk{n}={round}"));
        }
    }
    let message = lenient(&line);
    assert_eq!(message.attributes.len(), 101);
    assert_eq!(message.repairs.len(), 100);
    assert!(message.attributes.iter().skip(1).all(|a| a.value == "0"));
}

#[test]
fn blanks_are_recognized_as_separators() {
    let line = "LEEF:0|V|P|0|E| fileId=12 usrName=  sourceServiceName=www.example.com   \
                msg=user a@b logged in  src=192.0.2.1 url=http://example.com/?q=1&r=2 ";
    let message = lenient(line);
    assert_eq!(
        pairs(&message),
        [
            ("fileId", "12"),
            ("usrName", ""),
            ("sourceServiceName", "www.example.com"),
            ("msg", "user a@b logged in"),
            ("src", "192.0.2.1"),
            ("url", "http://example.com/?q=1&r=2"),
        ]
    );
    assert_eq!(message.delimiter, ' ');
    assert!(
        message
            .repairs
            .contains(&Repair::SeparatorGuessed { separator: ' ' })
    );
}

#[test]
fn pipes_are_recognized_as_separators() {
    for line in [
        "LEEF:1.0|V|P|9.1|end|cat=TRAFFIC|src=192.0.2.1|usrName=|msg=one two|",
        "LEEF:2.0|V|P|9.1|end|cat=TRAFFIC|src=192.0.2.1|usrName=|msg=one two|",
        "LEEF:1.0|V|P|9.1|end| cat=TRAFFIC|src=192.0.2.1|usrName=|msg=one two",
    ] {
        let message = lenient(line);
        assert_eq!(
            pairs(&message),
            [
                ("cat", "TRAFFIC"),
                ("src", "192.0.2.1"),
                ("usrName", ""),
                ("msg", "one two")
            ]
        );
        assert_eq!(message.delimiter, '|');
    }
}

#[test]
fn nothing_is_guessed_without_need() {
    for line in [
        "LEEF:1.0|V|P|1|E|msg=one two x",
        "LEEF:1.0|V|P|1|E|url=https://example.com/?a=1&b=2|c",
        "LEEF:1.0|V|P|1|E|a=1 b=2\tc=3",
        "LEEF:2.0|V|P|1|E|^|a=1 b=2 c=3",
        "LEEF:2.0|V|P|1|E|x7C|a=1 b=2 c=3",
    ] {
        assert_eq!(lenient(line).repairs, [], "{line}");
    }
    let single = "LEEF:1.0|V|P|1|E|msg=one a=2";
    assert_eq!(
        pairs(&read(single, Mode::Strict).unwrap()),
        [("msg", "one a=2")]
    );
}

#[test]
fn the_separator_can_be_forced() {
    let with = |line: &str, mode, separator| {
        let options = ReadOptions {
            separator: Some(separator),
            ..ReadOptions::new(mode)
        };
        let message = read_with(line, &options).unwrap();
        check_ranges(line, &message);
        assert_eq!(message.repairs, []);
        assert_eq!(message.delimiter, separator);
        pairs(&message)
            .into_iter()
            .map(|(k, v)| format!("{k}:{v}"))
            .collect::<Vec<_>>()
    };
    let line = "LEEF:1.0|V|P|1|E|a=1 b=2|c=3\td=4";
    for mode in [Mode::Strict, Mode::Lenient] {
        assert_eq!(with(line, mode, '\t'), ["a:1 b=2|c=3", "d:4"]);
        assert_eq!(with(line, mode, '|'), ["a:1 b=2", "c:3\td=4"]);
        assert_eq!(with(line, mode, ' '), ["a:1", "b:2|c=3\td=4"]);
        assert_eq!(
            with("LEEF:2.0|V|P|1|E|^|a=1;b=2", mode, ';'),
            ["a:1", "b:2"]
        );
    }
    let options = ReadOptions {
        separator: Some('='),
        ..ReadOptions::default()
    };
    assert_eq!(
        read_with(line, &options).unwrap_err(),
        ReadError::UnusableSeparator { separator: '=' }
    );
}

#[test]
fn an_event_is_one_line() {
    let line = "LEEF:1.0|V|P|1|E|a=1\tb=2\r\n";
    let message = lenient(line);
    assert_eq!(pairs(&message), [("a", "1"), ("b", "2")]);
    assert_eq!(message.repairs, [Repair::LineBreakAtEnd { at: 24 }]);
    assert_eq!(strict_fault(line), Repair::LineBreakAtEnd { at: 24 });
    let line = "LEEF:1.0|V|P|1|E|a=1\nb\tc=2";
    let message = lenient(line);
    assert_eq!(pairs(&message), [("a", "1\nb"), ("c", "2")]);
    assert_eq!(message.repairs, [Repair::LineBreakInside { at: 20 }]);
    assert_eq!(strict_fault(line), Repair::LineBreakInside { at: 20 });
}

#[test]
fn backslashes_and_quotes_mean_nothing() {
    let line = r#"LEEF:2.0|V\|P|1|E|^|a=C:\temp\new^b=\^c="x^d=y""#;
    let message = lenient(line);
    assert_eq!(message.header.vendor, r"V\");
    assert_eq!(
        pairs(&message),
        [
            ("a", r"C:\temp\new"),
            ("b", r"\"),
            ("c", "\"x"),
            ("d", "y\"")
        ]
    );
}

#[test]
fn reading_takes_linear_time() {
    // Each would take minutes if anything were looked at again and again.
    let key = "k".repeat(300_000);
    let many: Vec<String> = (0..100_000).map(|n| format!("k{n}=")).collect();
    let hostile = [
        format!("LEEF:1.0|V|P|1|E|{key}=1{}", "\tx".repeat(300_000)),
        format!("LEEF:1.0|V|P|1|E|{}", "a=".repeat(500_000)),
        format!("LEEF:1.0|V|P|1|E|{}", " a=".repeat(300_000)),
        format!("LEEF:1.0|V|P|1|E|{}", "|a=".repeat(300_000)),
        format!("LEEF:1.0|V|P|1|E|{}", "\t".repeat(1_000_000)),
        format!("LEEF:1.0|V|P|1|E|{}", many.join("\t")),
        format!("LEEF:1.0|V|P|1|{}", "\tk".repeat(300_000)),
        "LEEF:1.0".repeat(100_000),
        "LEEF:".repeat(200_000),
    ];
    for line in &hostile {
        let options = ReadOptions {
            max_prefix: None,
            ..ReadOptions::default()
        };
        if let Ok(message) = read_with(line, &options) {
            check_ranges(line, &message);
        }
    }
}
