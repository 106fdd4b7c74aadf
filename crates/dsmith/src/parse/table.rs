//! `--format table`.

use authoring::explain::{cell, visible};
use dsm::Event;
use dsm::event::canonical;
use dsm::field::Field;

/// Names and widths of the columns, and whether they give way where the terminal is narrow.
const COLUMNS: [(&str, usize, bool); 8] = [
    ("STATUS", 7, false),
    ("SEV", 3, false),
    ("QID", 8, false),
    ("EVENT NAME", 40, true),
    ("EVENT ID", 24, true),
    ("SOURCE", 15, false),
    ("USER", 20, true),
    ("HOST", 30, true),
];
const GAP: &str = "  ";
/// A narrower column says nothing.
const MIN_WIDTH: usize = 8;

/// The widths of the columns. They do not depend on the events, so that no event has to wait for another.
#[derive(Debug)]
pub(super) struct Table([usize; COLUMNS.len()]);

impl Table {
    /// A table for a terminal of so many columns, or of its natural width.
    pub(super) fn new(available: Option<usize>) -> Self {
        let sum = |gives_way: bool| -> usize {
            let columns = COLUMNS.iter().filter(|column| column.2 == gives_way);
            columns.map(|(_, width, _)| width).sum()
        };
        let (fixed, flexible) = (sum(false) + GAP.len() * (COLUMNS.len() - 1), sum(true));
        let left = available.map_or(flexible, |all| all.saturating_sub(fixed).min(flexible));
        Self(COLUMNS.map(|(_, width, gives_way)| {
            if gives_way {
                (width * left / flexible).max(MIN_WIDTH)
            } else {
                width
            }
        }))
    }

    fn join(&self, cells: &[String; COLUMNS.len()]) -> String {
        let mut line = String::new();
        for (text, width) in cells.iter().zip(self.0) {
            line.push_str(&cell(text, width));
            line.push_str(GAP);
        }
        line.truncate(line.trim_end().len());
        line
    }

    /// The line above the events.
    pub(super) fn headings(&self) -> String {
        self.join(&COLUMNS.map(|(name, ..)| name.to_owned()))
    }

    /// One event.
    pub(super) fn row(&self, event: &Event<'_>) -> String {
        let or_dash =
            |text: Option<String>| text.map_or_else(|| "-".to_owned(), |text| visible(&text));
        let field = |field: Field| {
            or_dash(
                event
                    .field(field)
                    .map(|property| canonical(property).into_owned()),
            )
        };
        self.join(&[
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use unicode_width::UnicodeWidthStr;

    #[test]
    fn a_table_fits_the_terminal_as_far_as_it_can() {
        let width = |available| {
            let full = COLUMNS.map(|_| "x".repeat(100));
            Table::new(available).join(&full).width()
        };
        assert_eq!(width(None), 161);
        assert_eq!(width(Some(300)), 161);
        assert_eq!(width(Some(161)), 161);
        for available in [90, 100, 120, 160] {
            let width = width(Some(available));
            assert!(
                width <= available && width + 4 > available,
                "{width} of {available}"
            );
        }
        assert_eq!(width(Some(10)), 79);
    }
}
