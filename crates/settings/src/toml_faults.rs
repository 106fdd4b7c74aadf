//! Explains TOML syntax errors and how to fix them.

use std::ops::Range;

/// Where exactly a fault is, what it is, and a remedy for the faults that people make. `message` and `span` are those of
/// the TOML parser.
#[must_use]
pub(crate) fn explain(
    text: &str,
    message: &str,
    span: Range<usize>,
) -> (Range<usize>, String, String) {
    let before = text.get(..span.start).unwrap_or(text);
    let from = before.rfind('\n').map_or(0, |newline| newline + 1);
    let to = text[from..].find('\n').map_or(text.len(), |end| from + end);
    let line = &text[from..to];
    let message = message.lines().next().unwrap_or_default();
    let value = line.split_once('=').map_or("", |(_, value)| value.trim());
    if message.starts_with("duplicate key") {
        (
            span,
            "the key stands twice".to_owned(),
            "remove one of the two".to_owned(),
        )
    } else if let Some(at) = line.find(['“', '”', '„', '‘', '’']) {
        let quote = line[at..].chars().next().map_or(0, char::len_utf8);
        (
            from + at..from + at + quote,
            "a curly quote is no quote in TOML".to_owned(),
            "write straight quotes: \"...\" or '...'".to_owned(),
        )
    } else if message.contains("escape") && line.contains('\\') {
        (
            span,
            "a backslash in double quotes begins an escape".to_owned(),
            r"use single quotes for a regex: '\w+'".to_owned(),
        )
    } else if value.starts_with(|c: char| c.is_alphabetic()) && !value.contains(['"', '\'']) {
        let at = to - line.len() + line.find(value).unwrap_or_default();
        (
            at..at + value.len(),
            "a text stands without quotes".to_owned(),
            format!("write \"{value}\""),
        )
    } else if value.starts_with('"') && value.matches('"').count() == 1 {
        let at = from + line.find('"').unwrap_or_default();
        (
            at..to,
            "a quote is not closed on its line".to_owned(),
            "end the text with a double quote".to_owned(),
        )
    } else if message.starts_with("unclosed table") {
        (
            span,
            message.to_owned(),
            "write the name in brackets: [name]".to_owned(),
        )
    } else if message.starts_with("unclosed array") {
        (span, message.to_owned(), "end the list with `]`".to_owned())
    } else {
        (span, message.to_owned(), "mend the TOML here".to_owned())
    }
}
