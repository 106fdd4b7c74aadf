//! Reading events.

mod pairs;

use std::ops::Range;

use thiserror::Error;

use crate::delimiter::{Declared, declared};
use crate::header::{Header, HeaderField, Version};
use crate::repair::Repair;

/// How much a reader puts up with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mode {
    /// The grammar and nothing else.
    Strict,
    /// What products really send; every repair is reported.
    #[default]
    Lenient,
}

/// How events are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadOptions {
    /// How much to put up with.
    pub mode: Mode,
    /// The most bytes that may stand before `LEEF:`; `None` looks through the
    /// whole line. The default leaves room for a syslog header with the
    /// longest host name.
    pub max_prefix: Option<usize>,
    /// The character between attributes, whatever the header says. A blank
    /// stands for any number of blanks, see [`read_with`]. It also turns off
    /// guessing.
    pub separator: Option<char>,
}

impl ReadOptions {
    /// The usual options in one of the modes.
    #[must_use]
    pub fn new(mode: Mode) -> Self {
        Self {
            mode,
            max_prefix: Some(512),
            separator: None,
        }
    }
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self::new(Mode::default())
    }
}

/// An event that was read. It borrows from the line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message<'a> {
    /// What stands before `LEEF:`: a syslog header with the blank after it, or
    /// nothing.
    pub prefix: &'a str,
    /// The header.
    pub header: Header<'a>,
    /// The delimiter field of LEEF 2.0 as it was written, if there is one.
    pub delimiter_field: Option<&'a str>,
    /// The character that the attributes were separated by.
    pub delimiter: char,
    /// The attributes in the order of the line. No key occurs twice.
    pub attributes: Vec<Attribute<'a>>,
    /// What had to be repaired, in no particular order.
    pub repairs: Vec<Repair>,
    ranges: [Range<usize>; 4],
}

/// An attribute that was read, and where it stands in the line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attribute<'a> {
    /// The key.
    pub key: &'a str,
    /// The value, exactly as in the line.
    pub value: &'a str,
    /// The bytes of the line that the key is.
    pub key_range: Range<usize>,
    /// The bytes of the line that the value is.
    pub value_range: Range<usize>,
}

impl<'a> Message<'a> {
    /// The value of an attribute, by its exact key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.attribute(key).map(|attribute| attribute.value)
    }

    /// An attribute, by its exact key.
    #[must_use]
    pub fn attribute(&self, key: &str) -> Option<&Attribute<'a>> {
        self.attributes.iter().find(|a| a.key == key)
    }

    /// The bytes of the line that a field of the header is.
    #[must_use]
    pub fn header_range(&self, field: HeaderField) -> Range<usize> {
        let [vendor, product, product_version, event_id] = &self.ranges;
        match field {
            HeaderField::Vendor => vendor,
            HeaderField::Product => product,
            HeaderField::ProductVersion => product_version,
            HeaderField::EventId => event_id,
        }
        .clone()
    }
}

/// A line could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// There is no LEEF header.
    #[error("no LEEF header, such as `LEEF:1.0|`, {}", within(.max_prefix))]
    NotFound {
        /// How many bytes were allowed before it.
        max_prefix: Option<usize>,
    },
    /// The version is not 1.0 or 2.0.
    #[error("LEEF version {found:?} is unknown: only 1.0 and 2.0 exist")]
    UnknownVersion {
        /// The version as written.
        found: String,
    },
    /// The line ends before the header does.
    #[error("the header ends before the {field}: it needs vendor|product|version|event ID|")]
    MissingField {
        /// The first field that is not there.
        field: HeaderField,
    },
    /// The separator that the options force cannot be one.
    #[error("{separator:?} cannot separate attributes: force another character")]
    UnusableSeparator {
        /// The separator.
        separator: char,
    },
    /// The line is outside the grammar, in strict mode.
    #[error("not strict LEEF, {}: correct the sender or read in lenient mode", .0.fault())]
    NotStrict(Repair),
}

fn within(max_prefix: &Option<usize>) -> String {
    match max_prefix {
        Some(bytes) => format!("begins within the first {bytes} bytes: allow a longer prefix"),
        None => "in the line: check what the sender writes".to_owned(),
    }
}

/// Finds where the first LEEF header of a line begins: `LEEF:` and a number,
/// then `|` or the end of the line.
#[must_use]
pub fn find(line: &str) -> Option<usize> {
    line.match_indices("LEEF:").map(|(at, _)| at).find(|at| {
        let rest = line.get(at + 5..).unwrap_or_default().as_bytes();
        let number = rest
            .iter()
            .take_while(|b| b.is_ascii_digit() || **b == b'.')
            .take(8)
            .count();
        rest.first().is_some_and(u8::is_ascii_digit)
            && matches!(rest.get(number), None | Some(b'|'))
    })
}

/// Reads an event with the usual options, see [`read_with`].
///
/// # Errors
///
/// If the line holds no event, or in strict mode if the line is outside the
/// grammar.
pub fn read(line: &str, mode: Mode) -> Result<Message<'_>, ReadError> {
    read_with(line, &ReadOptions::new(mode))
}

/// Reads an event.
///
/// The line may have anything before the event. Strict mode asks for one blank
/// between the two, but leaves the syslog header itself to others.
///
/// Nothing is unescaped in either mode: the format has no escapes, and a
/// backslash is a backslash. A value goes from the first `=` to the delimiter.
/// In LEEF 2.0 the sixth field is a delimiter if it is one character, or `x`
/// or `0x` with one to four hexadecimal digits; longer texts are attributes
/// already, and the delimiter field is absent.
///
/// In lenient mode, if no delimiter is declared and the attributes hold no
/// TAB, but two or more `key=` that stand after blanks or `|`, then these
/// are taken for the separator and reported as
/// [`Repair::SeparatorGuessed`]. An event with a single attribute that holds
/// such a text is misread; where that matters, force the separator.
///
/// With blanks as the separator, a value in lenient mode goes up to the blanks
/// before the next ` key=`, where the key is a letter with letters, digits,
/// `_`, `.` and `-`; so values may hold blanks.
///
/// The time taken is proportional to the length of the line.
///
/// # Errors
///
/// If the line holds no event, or in strict mode if the line is outside the
/// grammar.
pub fn read_with<'a>(line: &'a str, options: &ReadOptions) -> Result<Message<'a>, ReadError> {
    if let Some(separator @ ('=' | '\r' | '\n')) = options.separator {
        return Err(ReadError::UnusableSeparator { separator });
    }
    let start = locate(line, options.max_prefix).ok_or(ReadError::NotFound {
        max_prefix: options.max_prefix,
    })?;
    let mut repairs = Repairs {
        strict: options.mode == Mode::Strict,
        list: Vec::new(),
    };
    if start > 0 && line.as_bytes().get(start - 1) != Some(&b' ') {
        repairs.add(Repair::NoBlankBeforeHeader { at: start })?;
    }
    let mut cursor = Cursor {
        line,
        at: start + "LEEF:".len(),
        end: line.trim_end_matches(['\r', '\n']).len(),
    };
    if cursor.end < line.len() {
        repairs.add(Repair::LineBreakAtEnd { at: cursor.end })?;
    }
    let bytes = line.as_bytes().get(..cursor.end).unwrap_or_default();
    let is_break = |b: &u8| matches!(b, b'\r' | b'\n');
    // Lines rarely have one, and without an early end this runs on many bytes at once.
    if bytes.iter().fold(false, |any, b| any | is_break(b))
        && let Some(at) = bytes.iter().position(is_break)
    {
        repairs.add(Repair::LineBreakInside { at })?;
    }

    let missing = |field| ReadError::MissingField { field };
    let version = cursor.rest_or_field();
    let version = read_version(cursor.slice(&version), &mut repairs)?;
    let vendor = cursor.field().ok_or(missing(HeaderField::Vendor))?;
    let product = cursor.field().ok_or(missing(HeaderField::Product))?;
    let product_version = cursor.field().ok_or(missing(HeaderField::ProductVersion))?;
    let (event_id, closed) = cursor.event_id().ok_or(missing(HeaderField::EventId))?;
    if !closed {
        repairs.add(Repair::NoLastPipe { at: event_id.end })?;
    }
    if event_id.is_empty() {
        repairs.add(Repair::EmptyEventId { at: event_id.start })?;
    }

    let mut delimiter_field = None;
    let mut delimiter = None;
    if version == Version::V2_0 {
        if closed {
            (delimiter_field, delimiter) = cursor.delimiter(&mut repairs)?;
        } else {
            repairs.add(Repair::DelimiterMissing { at: event_id.end })?;
        }
    }

    let (delimiter, attributes) = pairs::read(
        line,
        cursor.at..cursor.end,
        &pairs::Separator {
            known: options.separator.or(delimiter),
            guess: options.mode == Mode::Lenient,
        },
        &mut repairs,
    )?;
    Ok(Message {
        prefix: cursor.slice(&(0..start)),
        header: Header {
            version,
            vendor: cursor.slice(&vendor),
            product: cursor.slice(&product),
            product_version: cursor.slice(&product_version),
            event_id: cursor.slice(&event_id),
        },
        delimiter_field,
        delimiter,
        attributes,
        repairs: repairs.list,
        ranges: [vendor, product, product_version, event_id],
    })
}

/// Finds the header if it is near enough to the beginning, without looking
/// through a long line for one that would be too far.
fn locate(line: &str, max_prefix: Option<usize>) -> Option<usize> {
    let Some(max) = max_prefix else {
        return find(line);
    };
    // `LEEF:`, eight digits and dots, and `|`.
    let mut end = line.len().min(max.saturating_add(14));
    while !line.is_char_boundary(end) {
        end += 1;
    }
    find(line.get(..end)?).filter(|at| *at <= max)
}

fn read_version(found: &str, repairs: &mut Repairs) -> Result<Version, ReadError> {
    let read_as = match found {
        "1.0" => return Ok(Version::V1_0),
        "2.0" => return Ok(Version::V2_0),
        "0" | "1" => Version::V1_0,
        "2" => Version::V2_0,
        _ => {
            return Err(ReadError::UnknownVersion {
                found: found.to_owned(),
            });
        }
    };
    repairs.add(Repair::OddVersion {
        found: found.to_owned(),
        read_as,
    })?;
    Ok(read_as)
}

/// Collects repairs, or stops at the first in strict mode.
struct Repairs {
    strict: bool,
    list: Vec<Repair>,
}

impl Repairs {
    fn add(&mut self, repair: Repair) -> Result<(), ReadError> {
        if self.strict && repair.breaks_grammar() {
            return Err(ReadError::NotStrict(repair));
        }
        self.list.push(repair);
        Ok(())
    }
}

/// A position in the line. All of its positions are character boundaries.
struct Cursor<'a> {
    line: &'a str,
    at: usize,
    end: usize,
}

type Declaration<'a> = (Option<&'a str>, Option<char>);

impl<'a> Cursor<'a> {
    fn slice(&self, range: &Range<usize>) -> &'a str {
        self.line.get(range.clone()).unwrap_or_default()
    }

    fn rest(&self) -> &'a str {
        self.slice(&(self.at..self.end))
    }

    /// What stands before the next `|`, going past it.
    fn field(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        let end = start + self.rest().find('|')?;
        self.at = end + 1;
        Some(start..end)
    }

    fn rest_or_field(&mut self) -> Range<usize> {
        self.field().unwrap_or_else(|| {
            let rest = self.at..self.end;
            self.at = self.end;
            rest
        })
    }

    /// The event ID, and whether there is a `|` after it. If not, it ends at
    /// the first TAB that attributes follow, or with the line.
    fn event_id(&mut self) -> Option<(Range<usize>, bool)> {
        if self.at == self.end {
            return None;
        }
        let closed = self.rest().contains('|');
        let field = self.rest_or_field();
        let attributes = self
            .slice(&field)
            .match_indices('\t')
            .map(|(at, _)| field.start + at)
            .find(|tab| pairs::begins_with_key(self.slice(&(tab + 1..field.end))));
        match attributes {
            Some(tab) => {
                self.at = tab + 1;
                Some((field.start..tab, false))
            }
            None => Some((field, closed)),
        }
    }

    /// The delimiter field as written, and the delimiter if it names one.
    fn delimiter(&mut self, repairs: &mut Repairs) -> Result<Declaration<'a>, ReadError> {
        let start = self.at;
        let closed = self.rest().contains('|');
        let range = self.rest_or_field();
        let field = self.slice(&range);
        let declared = declared(field);
        let absent = declared == Declared::NotADeclaration || (field.is_empty() && !closed);
        if absent {
            self.at = start;
            repairs.add(Repair::DelimiterMissing { at: start })?;
            return Ok((None, None));
        }
        if !closed {
            repairs.add(Repair::NoLastPipe { at: range.end })?;
        }
        let delimiter = match declared {
            Declared::Character(character) => Some(character),
            Declared::Empty | Declared::NotADeclaration => {
                repairs.add(Repair::DelimiterEmpty { at: start })?;
                None
            }
            Declared::Unusable => {
                repairs.add(Repair::DelimiterUnusable {
                    found: field.to_owned(),
                })?;
                None
            }
        };
        Ok((Some(field), delimiter))
    }
}
