//! What QRadar, or its editor, cannot take.

use super::{Finding, Subject, pattern_subject};
use crate::export::{Way, ways};
use dsm::diagnostic::{Code, Diagnostic};
use std::ops::Range;

pub(super) fn lint(subject: &Subject<'_>, out: &mut Vec<Finding>) {
    for (index, pattern) in subject.document.patterns.iter().enumerate() {
        if subject.regexes[index].is_none() {
            continue;
        }
        let text = pattern.body.text.as_str();
        let Some(flags) = foreign_flags(text) else {
            continue;
        };
        out.push(Finding {
            diagnostic: Diagnostic::new(
                Code::EditorConstruct,
                format!("pattern `{}` has the flags `{}`", pattern.id.value, &text[flags.clone()]),
                "write the pattern without them, (?i) at its beginning apart, or say in the manifest that it is maintained as a file",
            )
            .at(subject.extension(), pattern.body.file_span(&flags), ""),
            subject: pattern_subject(pattern),
            fix: None,
        });
    }
    inexpressible(subject, out);
}

fn inexpressible(subject: &Subject<'_>, out: &mut Vec<Finding>) {
    let document = subject.document;
    for (pattern, way) in document
        .patterns
        .iter()
        .zip(ways(document, subject.options()))
    {
        let (code, reason, help) = match way {
            Way::Plain | Way::Stripped | Way::Regex { .. } => continue,
            Way::Widened(reason) => (
                Code::WithinInexpressible,
                reason,
                "try the export with hostile payloads: it reads the whole payload",
            ),
            Way::Lost { lint, reason } => (
                lint,
                reason,
                "do without it, or say in the manifest why the mapping does not go to QRadar as it is",
            ),
        };
        let place = if code == Code::HitsInexpressible {
            pattern.hits.as_ref().map(|hits| hits.span.clone())
        } else {
            pattern.within.as_ref().map(|within| within.span.clone())
        };
        out.push(Finding {
            diagnostic: Diagnostic::new(
                code,
                format!(
                    "pattern `{}` cannot be exported: {reason}",
                    pattern.id.value
                ),
                help,
            )
            .at(
                subject.extension(),
                place.unwrap_or_else(|| pattern.span.clone()),
                "",
            ),
            subject: pattern_subject(pattern),
            fix: None,
        });
    }
}

/// The first inline flags that are not `(?i)` at the very beginning.
fn foreign_flags(text: &str) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let (mut at, mut class) = (0, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if text[at..].starts_with("\\Q") => {
                at = text[at..]
                    .find("\\E")
                    .map_or(bytes.len(), |end| at + end + 2);
                continue;
            }
            b'\\' => at += 1,
            b'[' => class += 1,
            b']' if class > 0 => class -= 1,
            b'(' if class == 0 && text[at..].starts_with("(?") => {
                let flags = &text[at + 2..];
                let length = flags
                    .find(|c: char| !(c.is_ascii_alphabetic() || c == '-'))
                    .unwrap_or(flags.len());
                let ends = flags[length..].starts_with([')', ':']);
                let is_usual = at == 0 && flags.starts_with("i)");
                if length > 0 && ends && !is_usual {
                    return Some(at..at + 2 + length + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_told_from_groups_and_from_text() {
        let found = |text: &str| foreign_flags(text).map(|range| text[range].to_owned());
        assert_eq!(found("(?s).*").as_deref(), Some("(?s)"));
        assert_eq!(found("a(?i)b").as_deref(), Some("(?i)"));
        assert_eq!(found("(?i)a(?-i:b)").as_deref(), Some("(?-i:"));
        for text in [
            "(?i)a",
            "(?:a)",
            "(?=a)",
            "(?<name>a)",
            "[(?s)]",
            "\\(?s)",
            "\\Q(?s)\\E",
            "(?!i)",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }
}
