//! Writing events.

use memchr::memmem;
use thiserror::Error;

use crate::charset::{Charset, Place};
use crate::header::{Header, HeaderField, Version};
use crate::key::{AsKey, Checked, Key, KeyFilter};
use crate::options::{OptionsError, Substitution, WriterOptions};
use crate::report::{Change, Field, Report};

/// The most characters that an event ID may have.
pub const EVENT_ID_LIMIT: usize = 255;
/// The key under which an event names its changed fields.
pub const SANITIZED_KEY: &str = "leefSanitized";
/// The key under which an event says that attributes were left out.
pub const TRUNCATED_KEY: &str = "leefTruncated";
const TRUNCATED_VALUE: &str = "true";

/// An event was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The event ID is empty, or nothing was left of it.
    #[error("the event ID is empty: give the event a stable identifier")]
    EmptyEventId,
    /// The event ID is too long and must not be cut.
    #[error("the event ID has {characters} characters and may have {EVENT_ID_LIMIT}: shorten it")]
    EventIdTooLong {
        /// How many characters it has.
        characters: usize,
    },
    /// A character cannot be carried and must not be substituted.
    #[error(
        "{field} holds {character:?}, which LEEF cannot carry: remove it or allow substitution"
    )]
    Unrepresentable {
        /// The text that holds it.
        field: Field,
        /// The first such character.
        character: char,
    },
    /// A key is not an ASCII letter followed by ASCII letters and digits.
    #[error("{key:?} cannot be a key: use a letter followed by letters and digits")]
    InvalidKey {
        /// The key as given.
        key: String,
    },
    /// A key is one that the writer itself uses to mark changes.
    #[error("`{key}` is how the writer marks changed events: use another key or turn marks off")]
    MarkKey {
        /// The key as given.
        key: String,
    },
    /// A key was given twice and nothing must be left out.
    #[error("the attribute `{key}` is given twice: give each key once")]
    DuplicateKey {
        /// The key as given.
        key: String,
    },
    /// Not even the header, with the marks that it needs, is short enough.
    #[error(
        "the event needs {needed} bytes before any attribute and may have {limit}: raise the limit"
    )]
    TooLong {
        /// What the header and the marks need.
        needed: usize,
        /// The limit.
        limit: usize,
    },
    /// An earlier call has already refused this event.
    #[error("the event was refused by an earlier error: begin a new one")]
    Refused,
}

/// Writes events, one after the other, into buffers of the caller.
///
/// A writer keeps what it needs between events, so that writing does not
/// allocate unless something has to be reported.
///
/// ```
/// use leef::{Header, Writer, WriterOptions};
///
/// let mut writer = Writer::new(WriterOptions::default())?;
/// let header = Header {
///     vendor: "Example",
///     product: "Guard",
///     product_version: "4.0 SP1",
///     event_id: "logon-failed",
///     ..Header::default()
/// };
/// let mut buffer = Vec::new();
/// let mut event = writer.event(&mut buffer, &header)?;
/// event.attribute("src", "192.0.2.7")?;
/// event.integer("sev", 5)?;
/// event.attribute("reason", "wrong\npassword")?;
/// let report = event.finish()?;
///
/// assert_eq!(
///     buffer,
///     b"LEEF:1.0|Example|Guard|4.0 SP1|logon-failed|\
///       src=192.0.2.7\tsev=5\treason=wrong password\tleefSanitized=reason"
/// );
/// assert_eq!(report.changed[0].field.mark(), "reason");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Writer {
    options: WriterOptions,
    charset: Charset,
    /// What the last event had in front of its ID: most likely the next one has it too.
    beginning: Option<Beginning>,
}

/// What stands in front of the event ID.
#[derive(Debug, Clone)]
struct Beginning {
    vendor: String,
    product: String,
    product_version: String,
    bytes: Vec<u8>,
}

impl Beginning {
    fn is_of(&self, header: &Header<'_>) -> bool {
        self.product == header.product
            && self.vendor == header.vendor
            && self.product_version == header.product_version
    }
}

impl Writer {
    /// Makes a writer.
    ///
    /// # Errors
    ///
    /// If the options contradict each other.
    pub fn new(options: WriterOptions) -> Result<Self, OptionsError> {
        options.check()?;
        Ok(Self {
            options,
            charset: Charset::new(options.delimiter),
            beginning: None,
        })
    }

    /// The options that the writer was made with.
    #[must_use]
    pub fn options(&self) -> &WriterOptions {
        &self.options
    }

    /// Begins an event at the end of `buffer`.
    ///
    /// What the buffer holds already, such as a syslog header, stays. No line
    /// break is written after the event.
    ///
    /// # Errors
    ///
    /// If the header cannot be written; the buffer is then as it was.
    pub fn event<'w>(
        &'w mut self,
        buffer: &'w mut Vec<u8>,
        header: &Header<'_>,
    ) -> Result<EventWriter<'w>, WriteError> {
        let mut event = EventWriter {
            start: buffer.len(),
            attributes: usize::MAX,
            is_free: self.options.max_bytes.is_none(),
            writer: self,
            buffer,
            keys: KeyFilter::default(),
            names_len: 0,
            open: true,
            report: Report::default(),
        };
        event.header(header)?;
        event.attributes = event.buffer.len();
        Ok(event)
    }
}

/// An event that is being written.
///
/// Every error refuses the whole event: the buffer is cut back to where the
/// event began, and further calls return [`WriteError::Refused`]. An event
/// that is dropped without [`finish`](Self::finish) is taken back too.
#[derive(Debug)]
#[must_use = "an event that is not finished is taken back"]
pub struct EventWriter<'w> {
    writer: &'w mut Writer,
    buffer: &'w mut Vec<u8>,
    start: usize,
    /// Where the attributes begin: behind the header, once that is written.
    attributes: usize,
    /// The keys so far.
    keys: KeyFilter,
    /// The length of all names in `leefSanitized` together.
    names_len: usize,
    open: bool,
    /// Still open, and without a limit.
    is_free: bool,
    report: Report,
}

impl EventWriter<'_> {
    /// Adds an attribute. The key is a text, or a [`Key`] that was checked before.
    ///
    /// # Errors
    ///
    /// If the key is not [valid](crate::attribute::is_valid_key), or, under
    /// [`Substitution::Fail`], if the key was given before or the value cannot
    /// be carried as it is; if the limit leaves no room for the marks.
    #[inline(always)]
    #[allow(
        clippy::needless_pass_by_value,
        reason = "a key is a reference, to a text or to a `Key`"
    )]
    pub fn attribute(&mut self, key: impl AsKey, value: &str) -> Result<(), WriteError> {
        match key.ready() {
            Some(key)
                if self.writer.charset.is_plain_value(value.as_bytes()) && self.takes(key) =>
            {
                self.append(key, value.as_bytes());
                Ok(())
            }
            _ => self.checked_attribute(key.checked(), value),
        }
    }

    /// Whether nothing speaks against a key, which is noted then: most keys are new.
    #[inline]
    fn takes(&mut self, key: &Key) -> bool {
        self.is_free && !self.keys.note(key.trace)
    }

    /// Adds an attribute that nothing speaks against.
    #[inline(always)]
    fn append(&mut self, key: &Key, value: &[u8]) {
        let start = self.buffer.len();
        let line = &key.line;
        match self.writer.charset.delimiter() {
            &[delimiter] if start > self.attributes && line.len > 0 => {
                self.buffer.reserve(line.bytes.len() + value.len());
                self.buffer.extend_from_slice(&line.bytes);
                self.buffer.truncate(start + line.len);
                self.buffer[start] = delimiter;
            }
            _ => self.open_pair(key.as_str()),
        }
        self.buffer.extend_from_slice(value);
    }

    fn checked_attribute(
        &mut self,
        key: Result<Checked<'_>, WriteError>,
        value: &str,
    ) -> Result<(), WriteError> {
        if !self.open {
            return Err(WriteError::Refused);
        }
        let added = key.and_then(|key| self.pair(key, value));
        self.refuse_on_error(added)
    }

    /// Adds an attribute whose value is a decimal integer.
    ///
    /// # Errors
    ///
    /// As [`attribute`](Self::attribute) does.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "a key is a reference, to a text or to a `Key`"
    )]
    pub fn integer(&mut self, key: impl AsKey, value: i64) -> Result<(), WriteError> {
        let mut digits = [0; 20];
        let mut at = digits.len();
        let mut rest = value.unsigned_abs();
        // Remainders of a hundred and of ten fit into a byte.
        while rest >= 10 {
            let two = (rest % 100) as u8;
            rest /= 100;
            at -= 2;
            digits[at] = b'0' + two / 10;
            digits[at + 1] = b'0' + two % 10;
        }
        if rest > 0 || at == digits.len() {
            at -= 1;
            digits[at] = b'0' + rest as u8;
        }
        if value < 0 {
            at -= 1;
            digits[at] = b'-';
        }
        let digits = &digits[at..];
        match key.ready() {
            // No delimiter is a digit; one may be the sign.
            Some(key) if value >= 0 && self.takes(key) => {
                self.append(key, digits);
                Ok(())
            }
            _ => {
                let text = str::from_utf8(digits).unwrap_or_default();
                self.checked_attribute(key.checked(), text)
            }
        }
    }

    /// Ends the event and accounts for it.
    ///
    /// # Errors
    ///
    /// If the event was refused before.
    pub fn finish(mut self) -> Result<Report, WriteError> {
        if !self.open {
            return Err(WriteError::Refused);
        }
        if self.writer.options.mark_changes {
            self.write_marks();
        }
        self.open = false;
        self.report.bytes = self.buffer.len() - self.start;
        Ok(std::mem::take(&mut self.report))
    }

    fn refuse_on_error<T>(&mut self, result: Result<T, WriteError>) -> Result<T, WriteError> {
        if result.is_err() {
            self.open = false;
            self.is_free = false;
            self.buffer.truncate(self.start);
        }
        result
    }

    fn header(&mut self, header: &Header<'_>) -> Result<(), WriteError> {
        let options = self.writer.options;
        match &self.writer.beginning {
            Some(last) if last.is_of(header) => self.buffer.extend_from_slice(&last.bytes),
            _ => self.beginning(header)?,
        }
        let (event_id, cut) = self.fit_event_id(header.event_id)?;
        let before = self.buffer.len();
        let substituted = self.header_field(HeaderField::EventId, event_id)?;
        if self.buffer.len() == before {
            return Err(WriteError::EmptyEventId);
        }
        self.buffer.push(b'|');
        if substituted + cut > 0 {
            self.changed(Field::Header(HeaderField::EventId), substituted, cut);
        }
        if options.version == Version::V2_0 {
            self.buffer
                .extend_from_slice(self.writer.charset.delimiter());
            self.buffer.push(b'|');
        }
        match options.max_bytes {
            Some(limit) if self.needed() > limit => Err(WriteError::TooLong {
                needed: self.needed(),
                limit,
            }),
            _ => Ok(()),
        }
    }

    /// Writes what stands in front of the event ID.
    fn beginning(&mut self, header: &Header<'_>) -> Result<(), WriteError> {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(b"LEEF:");
        let version = self.writer.options.version.as_str();
        self.buffer.extend_from_slice(version.as_bytes());
        self.buffer.push(b'|');
        for field in [
            HeaderField::Vendor,
            HeaderField::Product,
            HeaderField::ProductVersion,
        ] {
            let substituted = self.header_field(field, header.get(field))?;
            self.buffer.push(b'|');
            if substituted > 0 {
                self.changed(Field::Header(field), substituted, 0);
            }
        }
        // Changes are accounted for in each event, so that only a beginning without any is kept.
        if self.report.changed.is_empty() {
            self.writer.beginning = Some(Beginning {
                vendor: header.vendor.to_owned(),
                product: header.product.to_owned(),
                product_version: header.product_version.to_owned(),
                bytes: self.buffer[start..].to_vec(),
            });
        }
        Ok(())
    }

    fn header_field(&mut self, field: HeaderField, text: &str) -> Result<usize, WriteError> {
        self.text(text, Place::Header)
            .map_err(|character| WriteError::Unrepresentable {
                field: Field::Header(field),
                character,
            })
    }

    /// The longest beginning of an event ID that is short enough when it is
    /// written, and how many characters follow it.
    fn fit_event_id<'t>(&self, text: &'t str) -> Result<(&'t str, usize), WriteError> {
        let charset = &self.writer.charset;
        let bytes = text.as_bytes();
        let clean = charset.next_bad(bytes, 0, Place::Header).is_none();
        if clean && text.len() <= EVENT_ID_LIMIT {
            return Ok((text, 0));
        }
        let policy = self.writer.options.substitution;
        if policy == Substitution::Fail {
            return match text.chars().count() {
                characters if characters > EVENT_ID_LIMIT => {
                    Err(WriteError::EventIdTooLong { characters })
                }
                _ => Ok((text, 0)),
            };
        }
        let mut written = 0;
        for (at, character) in text.char_indices() {
            let bad = !clean && charset.bad_at(&bytes[at..], Place::Header) > 0;
            written += match policy {
                Substitution::Drop if bad => 0,
                Substitution::Percent if bad || (character == '%' && !clean) => {
                    3 * character.len_utf8()
                }
                _ => 1,
            };
            if written > EVENT_ID_LIMIT {
                let (kept, rest) = text.split_at(at);
                return Ok((kept, rest.chars().count()));
            }
        }
        Ok((text, 0))
    }

    fn pair(&mut self, key: Checked<'_>, value: &str) -> Result<(), WriteError> {
        let options = &self.writer.options;
        let Checked {
            text: key,
            trace,
            is_mark,
        } = key;
        if is_mark && options.mark_changes {
            return Err(WriteError::MarkKey { key: key.into() });
        }
        if self.keys.note(trace) && self.is_known(key) {
            if options.substitution == Substitution::Fail {
                return Err(WriteError::DuplicateKey { key: key.into() });
            }
            self.report.duplicates.push(key.into());
            return Ok(());
        }

        let limit = options.max_bytes;
        // The delimiter has at most four bytes.
        self.buffer.reserve(key.len() + value.len() + 5);
        self.open_pair(key);
        if self.writer.charset.is_plain_value(value.as_bytes()) {
            self.buffer.extend_from_slice(value.as_bytes());
        } else {
            self.sanitized(key, value)?;
        }
        match limit {
            Some(limit) if self.needed() > limit => self.shorten(key, limit),
            _ => Ok(()),
        }
    }

    /// Writes a value that may hold what cannot be carried.
    #[cold]
    fn sanitized(&mut self, key: &str, value: &str) -> Result<(), WriteError> {
        let substituted =
            self.text(value, Place::Value)
                .map_err(|character| WriteError::Unrepresentable {
                    field: Field::Attribute(key.into()),
                    character,
                })?;
        if substituted > 0 {
            self.changed(Field::Attribute(key.into()), substituted, 0);
        }
        Ok(())
    }

    /// Whether the event has no attribute yet.
    fn is_bare(&self) -> bool {
        self.buffer.len() <= self.attributes
    }

    /// Writes a delimiter unless the pair is the first, the key and `=`.
    #[inline]
    fn open_pair(&mut self, key: &str) {
        if !self.is_bare() {
            match self.writer.charset.delimiter() {
                &[delimiter] => self.buffer.push(delimiter),
                delimiter => self.buffer.extend_from_slice(delimiter),
            }
        }
        self.buffer.extend_from_slice(key.as_bytes());
        self.buffer.push(b'=');
    }

    /// Whether a key was given before. Seldom asked, so that it is read from what was written, where nothing but a
    /// delimiter looks like one.
    fn is_known(&self, key: &str) -> bool {
        let begins = |at: usize| {
            let rest = self.buffer.get(at..).unwrap_or_default();
            let rest = rest.strip_prefix(key.as_bytes());
            rest.is_some_and(|rest| rest.first() == Some(&b'='))
        };
        let delimiter = self.writer.charset.delimiter();
        let attributes = self.buffer.get(self.attributes..).unwrap_or_default();
        begins(self.attributes)
            || memmem::find_iter(attributes, delimiter)
                .any(|at| begins(self.attributes + at + delimiter.len()))
            || self.report.dropped.iter().any(|dropped| dropped == key)
    }

    /// Takes back the attribute `key`, which was just added, and as many
    /// before it as the mark for doing so needs.
    fn shorten(&mut self, key: &str, limit: usize) -> Result<(), WriteError> {
        let first = self.report.dropped.is_empty();
        self.drop_last();
        while self.needed() > limit {
            if !self.drop_last() {
                return Err(WriteError::TooLong {
                    needed: self.needed(),
                    limit,
                });
            }
        }
        if first {
            // Taken back from the end; reported in the order given.
            self.report.dropped.reverse();
        }
        debug_assert_eq!(self.report.dropped.last().map(String::as_str), Some(key));
        Ok(())
    }

    /// Takes back the last attribute; returns whether there was one.
    fn drop_last(&mut self) -> bool {
        if self.is_bare() {
            return false;
        }
        let delimiter = self.writer.charset.delimiter();
        let attributes = self.buffer.get(self.attributes..).unwrap_or_default();
        let before = memmem::rfind(attributes, delimiter);
        let pair = &attributes[before.map_or(0, |at| at + delimiter.len())..];
        let key = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
        let key = String::from_utf8_lossy(key).into_owned();
        if let Some(change) = self.report.changed.last()
            && matches!(&change.field, Field::Attribute(k) if *k == key)
        {
            self.names_len -= key.len();
            self.report.changed.pop();
        }
        self.report.dropped.push(key);
        self.buffer.truncate(self.attributes + before.unwrap_or(0));
        true
    }

    fn changed(&mut self, field: Field, substituted: usize, cut: usize) {
        self.names_len += field.mark().len();
        self.report.changed.push(Change {
            field,
            substituted,
            cut,
        });
    }

    /// The length of the event if it were finished now.
    fn needed(&self) -> usize {
        let written = self.buffer.len() - self.start;
        if !self.writer.options.mark_changes {
            return written;
        }
        let delimiter = self.writer.charset.delimiter().len();
        let mut marks = 0;
        if !self.report.changed.is_empty() {
            let commas = self.report.changed.len() - 1;
            marks += delimiter + SANITIZED_KEY.len() + 1 + self.names_len + commas;
        }
        if !self.report.dropped.is_empty() {
            marks += delimiter + TRUNCATED_KEY.len() + 1 + TRUNCATED_VALUE.len();
        }
        if marks > 0 && self.is_bare() {
            marks -= delimiter;
        }
        written + marks
    }

    fn write_marks(&mut self) {
        if !self.report.changed.is_empty() {
            let separator = match self.writer.options.delimiter.as_char() {
                ',' => b';',
                _ => b',',
            };
            self.open_pair(SANITIZED_KEY);
            for (at, change) in self.report.changed.iter().enumerate() {
                if at > 0 {
                    self.buffer.push(separator);
                }
                self.buffer
                    .extend_from_slice(change.field.mark().as_bytes());
            }
        }
        if !self.report.dropped.is_empty() {
            self.open_pair(TRUNCATED_KEY);
            self.buffer.extend_from_slice(TRUNCATED_VALUE.as_bytes());
        }
    }

    /// Appends a text under the substitution policy and counts what changed,
    /// or gives back the character that must not be changed.
    fn text(&mut self, text: &str, place: Place) -> Result<usize, char> {
        let charset = &self.writer.charset;
        let bytes = text.as_bytes();
        let out = &mut *self.buffer;
        let Some(first) = charset.next_bad(bytes, 0, place) else {
            out.extend_from_slice(bytes);
            return Ok(0);
        };
        let policy = self.writer.options.substitution;
        let mut bad = Some(first);
        let mut done = 0;
        let mut count = 0;
        while let Some((at, len)) = bad {
            let end = at + len;
            match policy {
                Substitution::Space => {
                    out.extend_from_slice(&bytes[done..at]);
                    out.push(b' ');
                }
                Substitution::Drop => out.extend_from_slice(&bytes[done..at]),
                Substitution::Percent => {
                    count += encode_percent_signs(out, &bytes[done..at]);
                    for &byte in &bytes[at..end] {
                        encode(out, byte);
                    }
                }
                Substitution::Fail => {
                    let character = text.get(at..).and_then(|rest| rest.chars().next());
                    return Err(character.unwrap_or(char::REPLACEMENT_CHARACTER));
                }
            }
            count += 1;
            done = end;
            bad = charset.next_bad(bytes, done, place);
        }
        if policy == Substitution::Percent {
            count += encode_percent_signs(out, &bytes[done..]);
        } else {
            out.extend_from_slice(&bytes[done..]);
        }
        Ok(count)
    }
}

impl Drop for EventWriter<'_> {
    fn drop(&mut self) {
        if self.open {
            self.buffer.truncate(self.start);
        }
    }
}

fn encode(out: &mut Vec<u8>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.extend_from_slice(&[
        b'%',
        DIGITS[usize::from(byte >> 4)],
        DIGITS[usize::from(byte & 15)],
    ]);
}

fn encode_percent_signs(out: &mut Vec<u8>, bytes: &[u8]) -> usize {
    let mut count = 0;
    for (index, run) in bytes.split(|&b| b == b'%').enumerate() {
        if index > 0 {
            encode(out, b'%');
            count += 1;
        }
        out.extend_from_slice(run);
    }
    count
}
