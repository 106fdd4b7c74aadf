//! Date formats that are valid and read another time than was meant, or none on some days.

use super::{Finding, Subject, matcher_subject};
use dsm::device_time::{DateBlanks, DateFormat, Dialect};
use dsm::diagnostic::{Code, Diagnostic, SourceFile};
use dsm::lsx::Spanned;
use std::ops::Range;
use std::sync::Arc;

pub(super) fn lint(subject: &Subject<'_>, out: &mut Vec<Finding>) {
    for (group, matcher) in subject.matchers() {
        let Some(format) = &matcher.ext_data else {
            continue;
        };
        let about = matcher_subject(group, matcher);
        letters(subject.extension(), format, Dialect::Joda, &about, out);
        let is_exact = subject.options().date_blanks == DateBlanks::Exact;
        let Some(day) = DateFormat::unpadded_day(&format.value).filter(|_| is_exact) else {
            continue;
        };
        let padded = format.value.replacen(' ', "  ", 1);
        let has_both = group.matchers.iter().any(|other| {
            let written = other.ext_data.as_ref();
            other.field.value == matcher.field.value
                && written.is_some_and(|other| {
                    other.value.replace("dd", "d") == padded.replace("dd", "d")
                })
        });
        if has_both {
            continue;
        }
        let shown = &format.value[day.clone()];
        out.push(Finding {
            diagnostic: Diagnostic::new(
                Code::DateDayUnpadded,
                format!("`{shown}` does not read days that are padded with a blank, as in `Mar  4`"),
                format!(
                    "add a matcher with the next order and ext-data=\"{}\"; or leave ext-data out, time stamps of syslog are recognised without it",
                    padded.replacen("dd", "d", 1)
                ),
            )
            .at(subject.extension(), within(subject.extension(), format, &day), ""),
            subject: about,
            fix: None,
        });
    }
    let manifest = subject.mapping.manifest();
    for property in &manifest.properties {
        if let Some(format) = &property.datetime_format {
            let file = &subject.source.manifest;
            let about = format!("property/{}", property.name.value);
            letters(file, format, Dialect::SimpleDateFormat, &about, out);
        }
    }
}

fn letters(
    file: &Arc<SourceFile>,
    format: &Spanned<String>,
    dialect: Dialect,
    about: &str,
    out: &mut Vec<Finding>,
) {
    let doubts = DateFormat::doubts(&format.value, dialect);
    let meant = DateFormat::as_meant(&format.value, &doubts);
    for doubt in &doubts {
        let written = &format.value[doubt.span.clone()];
        let right: String = std::iter::repeat_n(doubt.letter, doubt.span.len()).collect();
        out.push(Finding {
            diagnostic: Diagnostic::new(
                Code::DateLetterDoubtful,
                format!("`{written}` is {}; {} is `{right}`", doubt.is, doubt.meant),
                format!("write {meant}"),
            )
            .at(file, within(file, format, &doubt.span), ""),
            subject: about.to_owned(),
            fix: None,
        });
    }
}

/// The place of a part of a value in its file; the whole value where escapes make offsets differ.
fn within(file: &SourceFile, value: &Spanned<String>, part: &Range<usize>) -> Range<usize> {
    // TOML has quotes around it, XML has not.
    let starts = [value.span.start, value.span.start + 1];
    let start = starts.into_iter().find(|start| {
        file.text.get(*start..start + value.value.len()) == Some(value.value.as_str())
    });
    match start {
        Some(start) => start + part.start..start + part.end,
        None => value.span.clone(),
    }
}
