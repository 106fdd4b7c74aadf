//! Name-value pairs and lists.

use super::Span;

/// The pairs of a text, in order; of equal names the first counts.
///
/// A pair begins after a pair delimiter (or at the start) and is split at its first name-value delimiter. White space
/// around names does not count, that around values is kept, and a value in double quotes loses them. The first pair may have a syslog header in
/// front of it: the last word before the name-value delimiter is its name.
pub fn pairs(
    text: &str,
    pair_delimiter: &str,
    name_value_delimiter: &str,
    out: &mut Vec<(Span, Span)>,
) {
    out.clear();
    if pair_delimiter.is_empty() || name_value_delimiter.is_empty() {
        return;
    }
    let length = text.trim_end().len();
    let mut start = 0;
    while start <= text.len() {
        let (end, split) = pair_end(text, start, length, pair_delimiter, name_value_delimiter);
        if let Some(split) = split {
            let name = &text[start..start + split];
            let name = if is_trimmed(name) { name } else { name.trim() };
            // Only the first pair can have a header in front; names with blanks are legal in the others.
            let name = if start == 0 { last_word(name) } else { name };
            if !name.is_empty() {
                let name_start = name.as_ptr() as usize - text.as_ptr() as usize;
                let value_start = start + split + name_value_delimiter.len();
                let value = unquoted(text, value_start, end);
                out.push((Span::new(name_start, name_start + name.len()), value));
            }
        }
        start = end + pair_delimiter.len();
    }
}

/// The end of the pair that begins at `start`, and how far behind that its name ends, if it has one: a delimiter inside
/// double quotes does not end it. `length` is that of the text without white space at its end.
fn pair_end(
    text: &str,
    start: usize,
    length: usize,
    pair_delimiter: &str,
    name_value_delimiter: &str,
) -> (usize, Option<usize>) {
    let rest = &text[start..];
    let plain = find(rest, pair_delimiter).unwrap_or(rest.len());
    let split = find(&rest[..plain], name_value_delimiter);
    let quoted = split.and_then(|split| {
        let value = start + split + name_value_delimiter.len();
        quoted_end(text, value, length, pair_delimiter)
    });
    (quoted.unwrap_or(start + plain), split)
}

/// Where a delimiter stands. Most are one byte, and most texts short: the searcher of the standard library takes longer
/// to make ready than to search.
#[inline]
fn find(text: &str, delimiter: &str) -> Option<usize> {
    match *delimiter.as_bytes() {
        [byte] => memchr::memchr(byte, text.as_bytes()),
        ref bytes => memchr::memmem::find(text.as_bytes(), bytes),
    }
}

/// Whether a look at both ends shows that there is nothing to trim.
#[inline]
fn is_trimmed(text: &str) -> bool {
    let ends = [text.as_bytes().first(), text.as_bytes().last()];
    ends.into_iter().flatten().all(u8::is_ascii_graphic)
}

/// The end of a value in double quotes that begins at `start`, blanks before it apart, if a delimiter or nothing follows
/// it. A backslash protects a quote.
fn quoted_end(text: &str, start: usize, length: usize, delimiter: &str) -> Option<usize> {
    let rest = &text[start..];
    if !rest.starts_with([' ', '"']) {
        return None;
    }
    let quote = start + (rest.len() - rest.trim_start_matches(' ').len());
    if text.as_bytes().get(quote) != Some(&b'"') {
        return None;
    }
    let bytes = text.as_bytes();
    let mut at = quote + 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            break;
        }
        at += 2;
    }
    let close = at + 1;
    if close >= length {
        // Only white space follows, which may be of several bytes: it belongs to the last value.
        return Some(text.len());
    }
    text[close..].starts_with(delimiter).then_some(close)
}

fn last_word(name: &str) -> &str {
    name.rsplit(char::is_whitespace).next().unwrap_or(name)
}

/// The range as it is, or what stands between double quotes that enclose it.
fn unquoted(text: &str, start: usize, end: usize) -> Span {
    let value = &text[start..end];
    if is_trimmed(value) && !value.starts_with('"') {
        return Span::new(start, end);
    }
    let trimmed = value.trim();
    if trimmed.len() >= 2 && trimmed.starts_with('"') && trimmed.ends_with('"') {
        let start = start + (value.len() - value.trim_start().len());
        return Span::new(start + 1, start + trimmed.len() - 1);
    }
    Span::new(start, end)
}

/// The item at a position of a list; the first is 0. Double quotes that enclose it do not count, and a
/// delimiter inside them does not end it.
pub fn item(text: &str, delimiter: &str, index: usize) -> Option<Span> {
    if delimiter.is_empty() {
        return None;
    }
    let length = text.trim_end().len();
    let end_of = |start: usize| {
        let plain = find(&text[start..], delimiter).map_or(text.len(), |i| start + i);
        quoted_end(text, start, length, delimiter).unwrap_or(plain)
    };
    let mut start = 0;
    for _ in 0..index {
        let next = end_of(start) + delimiter.len();
        if next > text.len() {
            return None;
        }
        start = next;
    }
    let end = end_of(start);
    Some(unquoted(text, start, end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use java_regex::{Flags, JavaRegex, Slots};

    fn read<'t>(text: &'t str, pair: &str, name_value: &str) -> Vec<(&'t str, &'t str)> {
        let mut out = Vec::new();
        pairs(text, pair, name_value, &mut out);
        out.iter()
            .map(|(name, value)| (name.of(text), value.of(text)))
            .collect()
    }

    #[test]
    fn the_documented_example_is_read() {
        assert_eq!(
            read("key1=value1,key2=value2,key3=value3", ",", "="),
            [("key1", "value1"), ("key2", "value2"), ("key3", "value3")]
        );
    }

    #[test]
    fn a_syslog_header_before_the_first_pair_does_not_belong_to_its_name() {
        assert_eq!(
            read(
                "<13>Jan  1 00:00:00 fw: action=drop; user name=a b ;note=",
                ";",
                "="
            ),
            [("action", "drop"), ("user name", "a b "), ("note", "")]
        );
    }

    #[test]
    fn a_delimiter_inside_quotes_belongs_to_the_value() {
        assert_eq!(
            read(r#"a="x,y",b=1,c="open,d=2"#, ",", "="),
            [("a", "x,y"), ("b", "1"), ("c", "\"open"), ("d", "2")]
        );
    }

    #[test]
    fn delimiters_may_be_longer_than_a_character() {
        assert_eq!(
            read("a: 1||b: 2:3", "||", ":"),
            [("a", " 1"), ("b", " 2:3")]
        );
    }

    #[test]
    fn list_items_are_counted_from_zero() {
        let text = "a, \"b\" ,,d";
        let get = |index| item(text, ",", index).map(|span| span.of(text));
        assert_eq!(
            [get(0), get(1), get(2), get(3), get(4)],
            [Some("a"), Some("b"), Some(""), Some("d"), None]
        );
    }

    #[test]
    fn a_quote_that_is_escaped_does_not_let_a_value_invent_a_name() {
        let text = r#"zy=1,msg="say \"hi\", zz=evil",zz=good"#;
        let pairs = read(text, ",", "=");
        assert_eq!(
            pairs.iter().find(|(name, _)| *name == "zz").unwrap().1,
            "good"
        );
    }

    #[test]
    fn a_delimiter_inside_the_quotes_of_an_item_does_not_shift_the_others() {
        let get = |index| item("a,\"x,y\",b", ",", index).map(|span| span.of("a,\"x,y\",b"));
        assert_eq!([get(1), get(2), get(3)], [Some("x,y"), Some("b"), None]);
    }

    #[test]
    fn wide_white_space_after_the_last_quotes_is_passed_over() {
        let text = "a=\"x\"\u{3000}";
        assert_eq!(read(text, ",", "="), [("a", "x")]);
        assert_eq!(
            item("\"x\"\u{3000}", ",", 0).map(|span| span.of("\"x\"\u{3000}")),
            Some("x")
        );
        assert_eq!(item("\"x\"\u{3000}", ",", 1), None);
    }

    /// Texts made of pieces, the same in every run.
    fn texts(pieces: &[&str], count: usize, length: usize) -> Vec<String> {
        let mut state = 0x9E37_79B9_7F4A_7C15u64;
        let mut next = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % below as u64) as usize
        };
        (0..count)
            .map(|_| {
                let length = next(length) + 1;
                (0..length).map(|_| pieces[next(pieces.len())]).collect()
            })
            .collect()
    }

    #[test]
    fn pairs_and_items_are_those_that_an_expression_for_them_finds() {
        let pieces = [
            "k", "k=", "x=", "=", ";", ";", "\"", "\"", "\\", " ", "a", "é", "\u{a0}", "k=\"",
            "\";", "h ",
        ];
        let regex = |text: &str| JavaRegex::new(text, Flags::default()).unwrap();
        let found = |regex: &JavaRegex, text: &str| {
            let mut slots = Slots::default();
            let is_found = regex.find(text, &mut slots, 10_000_000).unwrap();
            is_found.then(|| slots.get(1).map(|range| text[range].to_owned()))
        };
        let outer = regex("^>(.*)");
        let single = regex(&outer.lower_pair(";", "=", "k").unwrap());
        let items: Vec<JavaRegex> = (0..4)
            .map(|index| regex(&outer.lower_item(";", index).unwrap()))
            .collect();
        let (mut values, mut found_pairs) = (0, Vec::new());
        for value in texts(&pieces, 3_000, 16) {
            let text = format!(">{value}\nk=no;k=no;k=no;k=no");
            pairs(&value, ";", "=", &mut found_pairs);
            let read = found_pairs
                .iter()
                .find(|(name, _)| name.of(&value) == "k")
                .map(|(_, at)| Some(at.of(&value).to_owned()));
            values += usize::from(read.is_some());
            assert_eq!(found(&single, &text), read, "{value:?}");
            for (index, single) in items.iter().enumerate() {
                let read = item(&value, ";", index).map(|at| Some(at.of(&value).to_owned()));
                assert_eq!(found(single, &text), read, "{value:?} {index}");
            }
        }
        assert!(values > 400, "{values}");
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig {
            failure_persistence: None,
            ..proptest::prelude::ProptestConfig::default()
        })]

        #[test]
        fn where_nothing_is_quoted_the_pairs_are_what_splitting_gives(
            text in "[ab=,; \t\u{3000}é\"]{0,24}",
            pair in "[,;é]{1,2}",
            name_value in "[=é]{1,2}",
        ) {
            let text = text.replace(&format!("{name_value}\""), "").replace(&format!("{name_value} "), "");
            let header = |at: usize, name: &str| if at == 0 { last_word(name).to_owned() } else { name.to_owned() };
            let split = text.split(pair.as_str()).enumerate().filter_map(|(at, piece)| {
                let (name, value) = piece.split_once(name_value.as_str())?;
                Some((header(at, name.trim()), value.to_owned())).filter(|(name, _)| !name.is_empty())
            });
            let quoted = |(_, value): &(String, String)| value.trim().starts_with('"');
            let split: Vec<_> = split.collect();
            proptest::prop_assume!(!split.iter().any(quoted));
            let found = read(&text, &pair, &name_value);
            let found: Vec<_> = found.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            proptest::prop_assert_eq!(found, split);
        }

        #[test]
        fn no_text_and_no_delimiter_make_it_panic(
            text in "[ab=,;\"\\\\ \t\u{3000}é]{0,24}",
            pair in "[,; é]{1,2}",
            name_value in "[=: é]{1,2}",
            index in 0usize..6,
        ) {
            let mut out = Vec::new();
            pairs(&text, &pair, &name_value, &mut out);
            for (name, value) in out {
                proptest::prop_assert!(text.get(name.range()).is_some() && text.get(value.range()).is_some());
            }
            let found = item(&text, &pair, index);
            proptest::prop_assert!(found.is_none_or(|span| text.get(span.range()).is_some()));
        }
    }
}
