//! The rows of a CSV file, each cell with its place.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, SourceFile, nearest};
use std::ops::Range;
use std::sync::Arc;

pub(super) struct Row {
    pub(super) cells: Vec<(String, Range<usize>)>,
    pub(super) span: Range<usize>,
}

/// The rows of a CSV file after its headings, and whether that is all of them; what cannot be read is reported and
/// left out.
pub(super) fn rows<const N: usize>(
    file: &Arc<SourceFile>,
    columns: &[&str; N],
    out: &mut Diagnostics,
) -> (Vec<Row>, bool) {
    let mut rows = records(file, out);
    let text = file.text.as_str();
    let expected = columns.join(",");
    let malformed = |out: &mut Diagnostics, span: Range<usize>, message: String, help: String| {
        out.push(Diagnostic::new(Code::CsvMalformed, message, help).at(file, span, ""));
    };
    let Some(first) = rows.first() else {
        let help = format!("begin the file with the line {expected}");
        malformed(out, 0..0, "the file is empty".to_owned(), help);
        return (rows, false);
    };
    let headings: Vec<&str> = first.cells.iter().map(|(cell, _)| cell.trim()).collect();
    let span = first.span.clone();
    let wrong: Vec<usize> = (0..N.min(headings.len()))
        .filter(|at| headings[*at] != columns[*at])
        .collect();
    if headings.len() == N && wrong.is_empty() {
        rows.remove(0);
    } else if let [only] = headings.as_slice()
        && let Some((_, name)) = [(';', "semicolons"), ('\t', "tabs"), ('|', "bars")]
            .into_iter()
            .find(|(separator, _)| only.contains(*separator))
    {
        malformed(
            out,
            span,
            format!("the columns are separated by {name}"),
            format!("save the file with commas between the columns: {expected}"),
        );
        return (Vec::new(), false);
    } else if headings.len() > N && wrong.is_empty() {
        malformed(
            out,
            first.cells[N].1.start..span.end,
            format!("{} headings instead of {N}", headings.len()),
            format!("remove the other columns; the file holds {expected}"),
        );
        return (Vec::new(), false);
    } else if headings.iter().all(|heading| columns.contains(heading)) {
        let message = if headings.len() == N {
            "the columns stand in another order"
        } else {
            "the first line does not hold all column headings"
        };
        let help = format!("the order is {expected}");
        malformed(out, span, message.to_owned(), help);
        return (Vec::new(), false);
    } else if headings.len() == N
        && wrong
            .iter()
            .all(|at| nearest(headings[*at], [columns[*at]]).is_some())
    {
        for at in wrong {
            malformed(
                out,
                first.cells[at].1.clone(),
                format!("`{}` is not the heading of column {}", headings[at], at + 1),
                format!("write {}", columns[at]),
            );
        }
        rows.remove(0);
    } else if headings
        .iter()
        .any(|heading| nearest(heading, *columns).is_some())
    {
        let help = format!("begin the file with the line {expected}");
        let message = "the first line does not hold the column headings".to_owned();
        malformed(out, span, message, help);
        return (Vec::new(), false);
    } else {
        // The rows are read as if the headings were there.
        let help = format!("begin the file with the line {expected}");
        malformed(
            out,
            span,
            "the column headings are missing".to_owned(),
            help,
        );
    }
    let mut complete = true;
    rows.retain(|row| {
        let raw = &text[row.span.clone()];
        let open = unclosed_quote(raw);
        let right = row.cells.len() == N && open.is_none();
        complete &= right;
        if let Some(open) = open {
            let at = row.span.start + open;
            malformed(
                out,
                at..at + 1,
                "a quote is not closed".to_owned(),
                "end the text with a double quote; a quote inside it is written twice".to_owned(),
            );
        } else if !right {
            let count = row.cells.len();
            let help = if count > N {
                format!("a text with a comma stands in double quotes; the columns are {expected}")
            } else {
                format!("the columns are {expected}; an empty one keeps its comma")
            };
            let columns = if count == 1 { "column" } else { "columns" };
            let message = format!("{count} {columns} instead of {N}");
            malformed(out, row.span.clone(), message, help);
        } else {
            for (_, span) in &row.cells {
                if misquoted(&text[span.clone()]) {
                    let finding = Diagnostic::new(
                        Code::CsvMalformed,
                        "a quote stands inside a text",
                        "put the whole text in double quotes, and write each quote inside it twice",
                    )
                    .because("programs read such a cell in different ways")
                    .at(file, span.clone(), "");
                    out.push(finding);
                }
            }
        }
        right
    });
    (rows, complete)
}

/// Where the quote stands that opens a text without an end.
fn unclosed_quote(raw: &str) -> Option<usize> {
    let mut open = None;
    let mut closed = None;
    let mut start = true;
    for (at, byte) in raw.bytes().enumerate() {
        match (byte, open) {
            (b'"', Some(_)) => (open, closed) = (None, Some(at)),
            // A quote after a quote is one inside the text: the text goes on.
            (b'"', None) if start || closed.is_some_and(|closed| closed + 1 == at) => {
                open = Some(at);
            }
            _ => {}
        }
        start = byte == b',' && open.is_none();
    }
    open
}

/// Whether a cell has quotes that are neither around it nor written twice.
fn misquoted(raw: &str) -> bool {
    match raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "").contains('"'),
        None => raw.contains('"'),
    }
}

/// The records of a CSV file as they stand.
fn records(file: &Arc<SourceFile>, out: &mut Diagnostics) -> Vec<Row> {
    let text = file.text.strip_prefix('\u{feff}').unwrap_or(&file.text);
    let shift = file.text.len() - text.len();
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut rows = Vec::new();
    let mut record = csv::StringRecord::new();
    loop {
        match reader.read_record(&mut record) {
            Ok(false) => break,
            Ok(true) => {}
            Err(error) => {
                out.push(
                    Diagnostic::new(Code::CsvMalformed, format!("{error}"), "mend the row").at(
                        file,
                        0..0,
                        "",
                    ),
                );
                break;
            }
        }
        let position = |p: Option<&csv::Position>| {
            p.map_or(0, |p| usize::try_from(p.byte()).unwrap_or_default()) + shift
        };
        let end = position(Some(reader.position()));
        let start = position(record.position());
        let raw = file.text.get(start..end).unwrap_or_default();
        let lead = raw.len() - raw.trim_start_matches(['\r', '\n']).len();
        let start = start + lead;
        let raw = raw[lead..].trim_end_matches(['\r', '\n']);
        let spans = cell_spans(raw, start);
        let cells = record
            .iter()
            .zip(
                spans
                    .into_iter()
                    .chain(std::iter::repeat(start..start + raw.len())),
            )
            .map(|(cell, span)| (cell.to_owned(), span))
            .collect();
        rows.push(Row {
            cells,
            span: start..start + raw.len(),
        });
    }
    rows
}

/// Where the cells of one row stand.
fn cell_spans(raw: &str, offset: usize) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    let mut start = 0;
    let mut quoted = false;
    for (at, byte) in raw.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b',' if !quoted => {
                spans.push(offset + start..offset + at);
                start = at + 1;
            }
            _ => {}
        }
    }
    spans.push(offset + start..offset + raw.len());
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_opens_a_text_only_at_the_beginning_of_a_cell() {
        assert_eq!(unclosed_quote("a,\"b,c"), Some(2));
        for fine in ["a,\"b\",c", "\"\"", "\"a\"\"b\",c", "a\"b,c", "a\"\"b"] {
            assert_eq!(unclosed_quote(fine), None, "{fine}");
        }
        assert!(misquoted("a\"b") && misquoted("\"a\" b") && misquoted("\"a\"b\""));
        assert!(!misquoted("\"a\"\"b\"") && !misquoted("\"\"") && !misquoted("ab"));
    }
}
