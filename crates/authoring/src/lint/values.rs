//! QIDs, event mappings, severities.

use super::{Finding, Subject, constant};
use dsm::diagnostic::{Code, Diagnostic};
use dsm::field::Field;
use dsm::options::QidCase;
use std::collections::BTreeSet;

/// How far a severity may be from that of its category.
const DISTANCE: u8 = 4;

pub(super) fn lint(subject: &Subject<'_>, out: &mut Vec<Finding>) {
    severities(subject, out);
    unreachable(subject, out);
}

fn severities(subject: &Subject<'_>, out: &mut Vec<Finding>) {
    let file = &subject.source.qidmap;
    for record in &subject.mapping.qids().records {
        let Some(severity) = record.category.severity else {
            continue;
        };
        if record.severity.abs_diff(severity) < DISTANCE {
            continue;
        }
        out.push(Finding {
            diagnostic: Diagnostic::new(
                Code::SeverityDisagrees,
                format!(
                    "QID {} has severity {}, and its category {} {} has {severity}",
                    record.qid, record.severity, record.category.low_id, record.category.low_name
                ),
                "choose the category that means what the event means, or bring the severity nearer",
            )
            .at(file, record.span.clone(), ""),
            subject: format!("qid/{}", record.qid),
            fix: None,
        });
    }
}

/// Event IDs that no matcher can produce, where all of them are constants.
fn unreachable(subject: &Subject<'_>, out: &mut Vec<Finding>) {
    let name = Field::EventName.name();
    let mut known = BTreeSet::new();
    for (_, matcher) in subject.matchers() {
        if matcher.field.value == name {
            match constant(matcher) {
                Some(text) => known.insert(text),
                None => return,
            };
        }
    }
    // A modifier may put a part of the name in its place.
    let renames = subject
        .document
        .groups
        .iter()
        .flat_map(|group| &group.multiples)
        .any(|multiple| {
            multiple
                .value
                .capture_group
                .as_ref()
                .is_some_and(|group| group.value > 0)
        });
    if renames || known.is_empty() {
        return;
    }
    let fold = subject.options().qid_case != QidCase::default();
    let file = &subject.source.event_mappings;
    for row in &subject.mapping.qids().mappings {
        let id = row.event_id.as_str();
        let is_known = id.is_empty()
            || known.contains(id)
            || fold
                && known
                    .iter()
                    .any(|known| known.to_lowercase() == id.to_lowercase());
        if is_known {
            continue;
        }
        let near = dsm::diagnostic::nearest(id, known.iter().copied());
        let help = match near {
            Some(near) => format!("did you mean `{near}`? else remove the row, or add a matcher"),
            None => "remove the row, or add a matcher for EventName that yields it".to_owned(),
        };
        out.push(Finding {
            diagnostic: Diagnostic::new(
                Code::EventMappingUnreachable,
                format!("no matcher yields the event ID `{id}`"),
                help,
            )
            .at(file, row.span.clone(), ""),
            subject: format!("event-mapping/{id}|{}", row.event_category),
            fix: None,
        });
    }
}
