//! `--format table`.

use authoring::explain::{cell, visible};
use dsm::Event;
use dsm::event::canonical;
use dsm::field::Field;

/// Names and widths of the columns; they are fixed, so that no event has to wait for another.
const COLUMNS: [(&str, usize); 8] = [
    ("STATUS", 7),
    ("SEV", 3),
    ("QID", 8),
    ("EVENT NAME", 40),
    ("EVENT ID", 24),
    ("SOURCE", 15),
    ("USER", 20),
    ("HOST", 30),
];

fn join(cells: &[String; 8]) -> String {
    let mut line = String::new();
    for (text, (_, width)) in cells.iter().zip(COLUMNS) {
        line.push_str(&cell(text, width));
        line.push_str("  ");
    }
    line.truncate(line.trim_end().len());
    line
}

/// The line above the events.
pub(super) fn headings() -> String {
    join(&COLUMNS.map(|(name, _)| name.to_owned()))
}

/// One event.
pub(super) fn row(event: &Event<'_>) -> String {
    let or_dash = |text: Option<String>| text.map_or_else(|| "-".to_owned(), |text| visible(&text));
    let field = |field: Field| {
        or_dash(
            event
                .field(field)
                .map(|property| canonical(property).into_owned()),
        )
    };
    join(&[
        event.status.to_string(),
        or_dash(event.severity.map(|severity| severity.to_string())),
        or_dash(event.qid.map(|(record, _)| record.qid.to_string())),
        visible(event.name()),
        or_dash(event.event_id.as_deref().map(str::to_owned)),
        field(Field::SourceIp),
        field(Field::UserName),
        field(Field::HostName),
    ])
}
