//! `qidmap.csv` and `event-mappings.csv`: QID records, and which events lead to them.

mod rows;

use crate::categories::{self, Category};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Severity, SourceFile, Suggester};
use crate::options::{QidCase, QidFallback};
use rows::{Row, rows};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

/// User-defined QIDs begin here.
pub const USER_DEFINED: u32 = 2_000_001;

/// A QID record.
#[derive(Debug, Clone)]
pub struct QidRecord {
    /// The number.
    pub qid: u32,
    /// Name of the event.
    pub name: String,
    /// Description of the event.
    pub description: String,
    /// 0 to 10.
    pub severity: u8,
    /// Low-level category, with its high-level one.
    pub category: &'static Category,
    /// Place of the row in `qidmap.csv`.
    pub span: Range<usize>,
}

/// A row of `event-mappings.csv`.
#[derive(Debug, Clone)]
pub struct EventMapping {
    /// Event ID; empty for a row that stands for a category.
    pub event_id: String,
    /// Event category; empty for a row that stands for an event ID.
    pub event_category: String,
    /// Index of the QID record.
    pub record: usize,
    /// Place of the row.
    pub span: Range<usize>,
}

/// Texts of the mapping that texts of payloads are looked up in.
type Index<V> = HashMap<String, V, foldhash::fast::FixedState>;

/// The QID map of a log source type.
#[derive(Debug, Clone, Default)]
pub struct QidMap {
    /// The records in file order.
    pub records: Vec<QidRecord>,
    /// The event mappings in file order.
    pub mappings: Vec<EventMapping>,
    /// Event ID, then category, to the index of the mapping.
    index: Index<Index<usize>>,
    case: QidCase,
}

/// The column headings of `qidmap.csv`, those of `qidmap_cli.sh`.
pub const QID_COLUMNS: [&str; 5] = ["qid", "name", "description", "severity", "lowlevelcategory"];
/// The column headings of `event-mappings.csv`.
pub const MAPPING_COLUMNS: [&str; 3] = ["event_id", "event_category", "qid"];

/// Reads both files.
pub fn parse(
    qid_file: &Arc<SourceFile>,
    mapping_file: &Arc<SourceFile>,
    case: QidCase,
) -> (QidMap, Diagnostics) {
    let mut out = Diagnostics::new();
    let mut map = QidMap {
        case,
        ..QidMap::default()
    };
    let mut qids = Qids::default();
    let (list, complete) = rows(qid_file, &QID_COLUMNS, &mut out);
    qids.lost = !complete;
    for row in list {
        match record(qid_file, &row, &mut qids.suggester, &mut out) {
            Ok(record) => {
                let cell = row.cells[0].1.clone();
                if let Some((_, first)) = qids.known.get(&record.qid) {
                    out.push(
                        Diagnostic::new(
                            Code::QidDuplicate,
                            format!("QID {} is defined twice", record.qid),
                            "give one of them another number",
                        )
                        .at(qid_file, cell, "the second")
                        .at(qid_file, first.clone(), "the first"),
                    );
                    continue;
                }
                qids.known.insert(record.qid, (map.records.len(), cell));
                map.records.push(record);
            }
            Err(Some(qid)) => {
                qids.faulty.insert(qid);
            }
            Err(None) => qids.lost = true,
        }
    }
    let (list, complete) = rows(mapping_file, &MAPPING_COLUMNS, &mut out);
    for record in &map.records {
        let named = (record.name.clone(), record.qid);
        let key = record.name.to_ascii_lowercase();
        qids.names.entry(key).or_insert(named);
    }
    let mut complete = complete;
    for row in list {
        complete &= map.mapping(mapping_file, &row, &mut qids, &mut out);
    }
    // A row that could not be read may be the one that leads there.
    if complete {
        map.unmapped(qid_file, &mut out);
    }
    (map, out)
}

/// What `qidmap.csv` says, for the rows that refer to it.
#[derive(Default)]
struct Qids {
    /// Index of the record, and the cell with the number.
    known: HashMap<u32, (usize, Range<usize>)>,
    /// The numbers of rows with a fault, which is reported.
    faulty: HashSet<u32>,
    /// Whether there are rows whose number could not be read.
    lost: bool,
    /// Names of records in lower case: the first one of a name, and its number.
    names: HashMap<String, (String, u32)>,
    suggester: Suggester,
}

/// What to write instead of a text that is not a number.
fn number_help(column: usize, text: &str, suggester: &mut Suggester) -> String {
    let digits: String = text
        .chars()
        .filter(|c| !matches!(c, '.' | ',' | ' ' | '\'' | '_' | '\u{a0}'))
        .collect();
    let mut groups = text.split(|c: char| !c.is_ascii_digit());
    let thousands = groups.next().is_some_and(|first| !first.is_empty())
        && groups.all(|group| group.len() == 3);
    if thousands && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return format!("write {digits}, without separators");
    }
    match column {
        3 => "write a whole number from 0 (lowest) to 10".to_owned(),
        4 => {
            let names = || categories::all().iter();
            let exact =
                names().find(|category| category.low_name.eq_ignore_ascii_case(text.trim()));
            let near = || {
                let known: Vec<&str> = names().map(|category| category.low_name).collect();
                let near = suggester.nearest(text, &known)?;
                names().find(|category| category.low_name == near)
            };
            match exact.or_else(near) {
                Some(category) => format!("{} is {}", category.low_name, category.low_id),
                None => {
                    "write the identifier of the category; qidmap_cli.sh -l lists them".to_owned()
                }
            }
        }
        _ => "write digits only".to_owned(),
    }
}

/// The record of a row; else its QID, if that could be read.
fn record(
    file: &Arc<SourceFile>,
    row: &Row,
    suggester: &mut Suggester,
    out: &mut Diagnostics,
) -> Result<QidRecord, Option<u32>> {
    let mut number = |column: usize, out: &mut Diagnostics| {
        let (text, span) = &row.cells[column];
        let parsed = text.trim().parse::<u32>().ok();
        if parsed.is_none() {
            out.push(
                Diagnostic::new(
                    Code::NumberInvalid,
                    format!(
                        "`{text}` in column {} is not a whole number",
                        QID_COLUMNS[column]
                    ),
                    number_help(column, text, suggester),
                )
                .at(file, span.clone(), ""),
            );
        }
        parsed
    };
    let qid = number(0, out);
    let severity = number(3, out);
    let low_id = number(4, out);
    let severity = severity.and_then(|severity| {
        let valid = u8::try_from(severity)
            .ok()
            .filter(|severity| *severity <= 10);
        if valid.is_none() {
            out.push(
                Diagnostic::new(
                    Code::QidSeverityOutOfRange,
                    format!("severity {severity} lies outside 0 to 10"),
                    "0 is lowest, 10 is highest",
                )
                .at(file, row.cells[3].1.clone(), ""),
            );
        }
        valid
    });
    let category = low_id.and_then(|low_id| {
        let category = categories::by_id(low_id);
        if category.is_none() {
            let near: Vec<String> = categories::all()
                .iter()
                .filter(|category| category.high_id == low_id / 1000 * 1000)
                .take(5)
                .map(|category| format!("{} {}", category.low_id, category.low_name))
                .collect();
            let high = categories::all()
                .iter()
                .find(|category| category.high_id == low_id);
            let message = match high {
                Some(high) => format!("{low_id} is the high-level category {}", high.high_name),
                None => format!("low-level category {low_id} does not exist"),
            };
            let help = if near.is_empty() {
                "the identifiers are those that qidmap_cli.sh -l lists".to_owned()
            } else if high.is_some() {
                format!("its low-level categories begin with {}", near.join(", "))
            } else {
                format!(
                    "the categories of {} begin with {}",
                    low_id / 1000 * 1000,
                    near.join(", ")
                )
            };
            out.push(Diagnostic::new(Code::CategoryUnknown, message, help).at(
                file,
                row.cells[4].1.clone(),
                "",
            ));
        }
        category
    });
    for (column, limit, required) in [(1, 255, true), (2, 2048, false)] {
        let (text, span) = &row.cells[column];
        let length = text.chars().count();
        let name = QID_COLUMNS[column];
        let (message, help) = if required && length == 0 {
            (
                format!("the {name} is empty"),
                format!("write a {name} of at most {limit} characters"),
            )
        } else if length > limit {
            (
                format!("the {name} has {length} characters"),
                format!("write at most {limit} characters"),
            )
        } else {
            continue;
        };
        out.push(Diagnostic::new(Code::QidTextTooLong, message, help).at(file, span.clone(), ""));
    }
    if let Some(qid) = qid
        && qid < USER_DEFINED
    {
        out.push(
            Diagnostic::new(
                Code::QidRange,
                format!("QID {qid} lies below the user-defined range"),
                format!("use a number from {USER_DEFINED} on"),
            )
            .at(file, row.cells[0].1.clone(), ""),
        );
    }
    let (Some(number), Some(severity), Some(category)) = (qid, severity, category) else {
        return Err(qid);
    };
    Ok(QidRecord {
        qid: number,
        name: row.cells[1].0.clone(),
        description: row.cells[2].0.clone(),
        severity,
        category,
        span: row.span.clone(),
    })
}

/// How a look-up went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Via {
    /// Event ID and category.
    Pair,
    /// The event ID alone.
    EventId,
    /// The category alone.
    Category,
}

impl QidMap {
    /// Reads a row; whether it is known where it leads.
    fn mapping(
        &mut self,
        file: &Arc<SourceFile>,
        row: &Row,
        qids: &mut Qids,
        out: &mut Diagnostics,
    ) -> bool {
        let (text, span) = &row.cells[2];
        if row.cells[0].0.is_empty() && row.cells[1].0.is_empty() {
            out.push(
                Diagnostic::new(
                    Code::EventMappingEmpty,
                    "the row names neither an event ID nor a category",
                    "write the event ID, the category or both, or remove the row",
                )
                .at(file, row.span.clone(), ""),
            );
        }
        for (text, span) in &row.cells[..2] {
            if text.trim() != text {
                out.push(
                    Diagnostic::new(
                        Code::CsvMalformed,
                        format!("`{text}` begins or ends with a blank"),
                        "remove the blank",
                    )
                    .because("event IDs and categories are compared to the letter")
                    .with_severity(Severity::Warning)
                    .at(file, span.clone(), ""),
                );
            }
        }
        let Ok(qid) = text.trim().parse::<u32>() else {
            let named = qids.names.get(&text.trim().to_ascii_lowercase());
            let help = match named {
                Some((name, qid)) => format!("{name} is QID {qid}; write the number"),
                None => number_help(2, text, &mut qids.suggester),
            };
            out.push(
                Diagnostic::new(
                    Code::NumberInvalid,
                    format!("`{text}` in column qid is not a whole number"),
                    help,
                )
                .at(file, span.clone(), ""),
            );
            return false;
        };
        let Some(&(record, _)) = qids.known.get(&qid) else {
            if qids.lost || qids.faulty.contains(&qid) {
                return true;
            }
            out.push(
                Diagnostic::new(
                    Code::QidMissing,
                    format!("QID {qid} is not in qidmap.csv"),
                    "add its record to qidmap.csv, or name one that is there",
                )
                .at(file, span.clone(), ""),
            );
            return true;
        };
        let (event_id, event_category) = (row.cells[0].0.clone(), row.cells[1].0.clone());
        let slot = self
            .index
            .entry(fold(&event_id, self.case).into_owned())
            .or_default()
            .entry(fold(&event_category, self.case).into_owned());
        match slot {
            std::collections::hash_map::Entry::Occupied(first) => {
                let first = &self.mappings[*first.get()];
                let by_case = first.event_id != event_id || first.event_category != event_category;
                let help = if by_case {
                    "remove one of the rows, or remove the option qid-case = \"insensitive\", which makes them equal"
                } else {
                    "remove one of the rows"
                };
                let pair = match (event_id.is_empty(), event_category.is_empty()) {
                    (false, true) => format!("event ID `{event_id}`"),
                    (true, _) => format!("category `{event_category}`"),
                    _ => format!("event ID `{event_id}` with category `{event_category}`"),
                };
                out.push(
                    Diagnostic::new(
                        Code::EventMappingDuplicate,
                        format!("{pair} is mapped twice"),
                        help,
                    )
                    .at(file, row.span.clone(), "the second")
                    .at(file, first.span.clone(), "the first"),
                );
            }
            std::collections::hash_map::Entry::Vacant(slot) => {
                slot.insert(self.mappings.len());
                self.mappings.push(EventMapping {
                    event_id,
                    event_category,
                    record,
                    span: row.span.clone(),
                });
            }
        }
        true
    }

    fn unmapped(&self, file: &Arc<SourceFile>, out: &mut Diagnostics) {
        let mut mapped = vec![false; self.records.len()];
        for mapping in &self.mappings {
            mapped[mapping.record] = true;
        }
        for (record, mapped) in self.records.iter().zip(mapped) {
            if !mapped {
                out.push(
                    Diagnostic::new(
                        Code::QidUnmapped,
                        format!("no event mapping leads to QID {}", record.qid),
                        "add a row to event-mappings.csv, or remove the record",
                    )
                    .at(file, record.span.clone(), ""),
                );
            }
        }
    }

    /// The index of the mapping for an event ID and category, and which part of them decided.
    pub fn look_up(
        &self,
        event_id: &str,
        event_category: &str,
        fallback: QidFallback,
    ) -> Option<(usize, Via)> {
        let event_id = fold(event_id, self.case);
        let event_category = fold(event_category, self.case);
        let of_id = self.index.get(event_id.as_ref());
        if let Some(mapping) = of_id.and_then(|categories| categories.get(event_category.as_ref()))
        {
            return Some((*mapping, Via::Pair));
        }
        if fallback == QidFallback::Exact {
            return None;
        }
        if let Some(mapping) = of_id.and_then(|categories| categories.get("")) {
            return Some((*mapping, Via::EventId));
        }
        if event_category.is_empty() {
            return None;
        }
        let mapping = self.index.get("")?.get(event_category.as_ref())?;
        Some((*mapping, Via::Category))
    }
}

fn fold(text: &str, case: QidCase) -> Cow<'_, str> {
    match case {
        QidCase::Sensitive => Cow::Borrowed(text),
        QidCase::Insensitive => Cow::Owned(text.to_ascii_lowercase()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(qids: &str, mappings: &str, case: QidCase) -> (QidMap, Vec<String>) {
        let (map, out) = parse(
            &SourceFile::new("q.csv", qids),
            &SourceFile::new("m.csv", mappings),
            case,
        );
        (map, out.iter().map(ToString::to_string).collect())
    }

    const QIDS: &str = "qid,name,description,severity,lowlevelcategory\n2000001,\"A, b\",text,5,7001\n2000002,C,,3,1003\n2000003,D,,0,1003\n";
    const MAPPINGS: &str = "event_id,event_category,qid\na,x,2000001\na,,2000002\n,x,2000003\n";

    #[test]
    fn the_look_up_falls_back_from_the_pair_to_its_parts() {
        let (map, findings) = load(QIDS, MAPPINGS, QidCase::Sensitive);
        assert_eq!(findings, Vec::<String>::new());
        let find = |id, category, fallback| {
            let (mapping, via) = map.look_up(id, category, fallback)?;
            Some((map.records[map.mappings[mapping].record].qid, via))
        };
        let lenient = QidFallback::EventIdThenCategory;
        assert_eq!(find("a", "x", lenient), Some((2_000_001, Via::Pair)));
        assert_eq!(find("a", "y", lenient), Some((2_000_002, Via::EventId)));
        assert_eq!(find("b", "x", lenient), Some((2_000_003, Via::Category)));
        assert_eq!(find("b", "y", lenient), None);
        assert_eq!(find("A", "x", lenient), Some((2_000_003, Via::Category)));
        assert_eq!(find("a", "y", QidFallback::Exact), None);
    }

    #[test]
    fn case_is_ignored_on_request() {
        let (map, _) = load(QIDS, MAPPINGS, QidCase::Insensitive);
        assert!(map.look_up("A", "X", QidFallback::Exact).is_some());
    }

    #[test]
    fn faults_point_at_their_cell() {
        let (_, findings) = load(
            "qid,name,description,severity,lowlevelcategory\n2000001,,d,11,7999\n7,x,d,1,1003\n2000009,x,d,1\n",
            "event_id,event_category,qid\na,b,x\na,b,2000009\na,b,7\na,b,7\n",
            QidCase::Sensitive,
        );
        assert_eq!(
            findings,
            [
                "q.csv:4:1: error[DSM050]: 4 columns instead of 5",
                "q.csv:2:12: error[DSM053]: severity 11 lies outside 0 to 10",
                "q.csv:2:15: error[DSM054]: low-level category 7999 does not exist",
                "q.csv:2:9: error[DSM055]: the name is empty",
                "q.csv:3:1: warning[DSM059]: QID 7 lies below the user-defined range",
                "m.csv:2:5: error[DSM051]: `x` in column qid is not a whole number",
                "m.csv:5:1: error[DSM057]: event ID `a` with category `b` is mapped twice",
            ]
        );
    }

    #[test]
    fn what_cannot_be_read_does_not_make_other_rows_wrong() {
        let (_, findings) = load(&QIDS.replace(',', ";"), MAPPINGS, QidCase::Sensitive);
        assert_eq!(findings.len(), 1, "{findings:?}");
        let (_, findings) = load(QIDS, "qid,event_id,event_category\n", QidCase::Sensitive);
        assert_eq!(findings.len(), 1, "{findings:?}");
        for (at, c) in QIDS.char_indices() {
            load(&QIDS[..at], MAPPINGS, QidCase::Sensitive);
            let quoted = format!("{}\"é{}", &QIDS[..at], &QIDS[at + c.len_utf8()..]);
            load(&quoted, MAPPINGS, QidCase::Sensitive);
        }
    }

    #[test]
    fn a_file_without_headings_is_refused() {
        let (_, findings) = load("2000001,a,b,5,7001\n", MAPPINGS, QidCase::Sensitive);
        assert!(
            findings[0].contains("q.csv:1:1: error[DSM050]"),
            "{findings:?}"
        );
    }
}
