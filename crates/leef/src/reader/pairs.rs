//! Taking the attributes of an event apart.

use std::collections::HashSet;
use std::ops::Range;

use super::{Attribute, ReadError, Repairs};
use crate::key::{self, KeyFilter};
use crate::repair::Repair;

/// Up to this many attributes, looking at all of them is faster than hashing.
const FEW: usize = 32;

pub(super) struct Separator {
    /// Forced by the caller or declared by the header.
    pub(super) known: Option<char>,
    /// Whether one may be guessed otherwise.
    pub(super) guess: bool,
}

/// Reads the attributes in a part of the line; returns also their separator.
pub(super) fn read<'a>(
    line: &'a str,
    body: Range<usize>,
    separator: &Separator,
    repairs: &mut Repairs,
) -> Result<(char, Vec<Attribute<'a>>), ReadError> {
    let guessed = match separator {
        Separator { known: Some(_), .. } | Separator { guess: false, .. } => None,
        Separator { .. } => guess(line.get(body.clone()).unwrap_or_default()),
    };
    if let Some(separator) = guessed {
        repairs.add(Repair::SeparatorGuessed { separator })?;
    }
    let blanks = guessed == Some(' ') || (separator.known == Some(' ') && separator.guess);
    let separator = separator.known.or(guessed).unwrap_or('\t');
    let mut pairs = Pairs {
        line,
        attributes: Vec::new(),
        bits: KeyFilter::default(),
        seen: HashSet::new(),
        repeated: false,
        joined: false,
        repairs,
    };
    if blanks {
        pairs.split_at_blanks(body)?;
    } else {
        pairs.split_at(body, separator)?;
    }
    Ok((separator, pairs.attributes))
}

/// A separator other than TAB, if the text has no TAB and needs one.
fn guess(body: &str) -> Option<char> {
    if body.contains('\t') {
        return None;
    }
    let blanks = KeysAfterBlanks::new(body).count();
    let pipes = body
        .split('|')
        .filter(|piece| begins_with_key(piece.trim_start_matches(' ')))
        .count();
    if pipes >= 2 && pipes >= blanks {
        Some('|')
    } else if blanks >= 2 {
        Some(' ')
    } else {
        None
    }
}

/// Tells whether a text begins with a key and `=`.
pub(super) fn begins_with_key(piece: &str) -> bool {
    let bytes = piece.as_bytes();
    let key = bytes.iter().take_while(|b| is_key_byte(**b)).count();
    bytes.first().is_some_and(u8::is_ascii_alphabetic) && bytes.get(key) == Some(&b'=')
}

fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

/// Finds each `key=` at the beginning of a text or after a blank, as the range
/// of the key.
struct KeysAfterBlanks<'t> {
    text: &'t [u8],
    at: usize,
}

impl<'t> KeysAfterBlanks<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            text: text.as_bytes(),
            at: 0,
        }
    }
}

impl Iterator for KeysAfterBlanks<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        loop {
            let from = self.at;
            let rest = self.text.get(from..)?;
            let before = rest.get(..rest.iter().position(|b| *b == b'=')?)?;
            let equals = from + before.len();
            self.at = equals + 1;
            let key = before.iter().rev().take_while(|b| is_key_byte(**b)).count();
            let start = equals - key;
            let follows_blank = match start.checked_sub(1) {
                None => true,
                Some(previous) => self.text.get(previous) == Some(&b' '),
            };
            if follows_blank && self.text.get(start).is_some_and(u8::is_ascii_alphabetic) {
                return Some(start..equals);
            }
        }
    }
}

struct Pairs<'a, 'r> {
    line: &'a str,
    attributes: Vec<Attribute<'a>>,
    /// One bit for each key, while there are few.
    bits: KeyFilter,
    /// All keys, once there are more than a few.
    seen: HashSet<&'a str>,
    /// The last pair repeated a key and was left out.
    repeated: bool,
    /// Something was joined to the value of the last pair.
    joined: bool,
    repairs: &'r mut Repairs,
}

impl<'a> Pairs<'a, '_> {
    fn slice(&self, range: &Range<usize>) -> &'a str {
        self.line.get(range.clone()).unwrap_or_default()
    }

    fn split_at(&mut self, body: Range<usize>, separator: char) -> Result<(), ReadError> {
        if body.is_empty() {
            return Ok(());
        }
        let mut empty = 0;
        let mut first_empty = 0;
        let mut start = body.start;
        for piece in self.slice(&body).split(separator) {
            let range = start..start + piece.len();
            start = range.end + separator.len_utf8();
            if piece.bytes().all(|b| b == b' ') {
                if empty == 0 {
                    first_empty = range.start;
                }
                empty += 1;
                if self.repairs.strict {
                    break;
                }
            } else {
                self.piece(range, &body)?;
            }
        }
        if empty > 0 {
            self.repairs.add(Repair::EmptyPairs {
                count: empty,
                at: first_empty,
            })?;
        }
        Ok(())
    }

    /// Takes in what stands between two separators.
    fn piece(&mut self, piece: Range<usize>, body: &Range<usize>) -> Result<(), ReadError> {
        let text = self.slice(&piece);
        let Some((written, _)) = text.split_once('=') else {
            return self.join(&piece);
        };
        let key = written.trim_matches(' ');
        if key.is_empty() {
            return self.join(&piece);
        }
        let leading = written.len() - written.trim_start_matches(' ').len();
        let key_start = piece.start + leading;
        let key_range = key_start..key_start + key.len();
        if leading > 0 && piece.start == body.start {
            self.repairs
                .add(Repair::BlankAfterHeader { at: piece.start })?;
        }
        if (leading > 0 && piece.start != body.start) || leading + key.len() < written.len() {
            self.repairs.add(Repair::BlankAroundKey {
                key: key.to_owned(),
                at: key_start,
            })?;
        }
        let value_range = piece.start + written.len() + 1..piece.end;
        self.pair(key_range, value_range)
    }

    /// Takes in a text that has no key.
    fn join(&mut self, piece: &Range<usize>) -> Result<(), ReadError> {
        let line = self.line;
        let Some(last) = self.attributes.last_mut() else {
            return self.repairs.add(Repair::Skipped {
                at: piece.start,
                len: piece.len(),
            });
        };
        if self.repeated {
            // It belongs to a value that was left out and reported.
            return Ok(());
        }
        last.value_range.end = piece.end;
        last.value = line.get(last.value_range.clone()).unwrap_or_default();
        // One repair for a value, so that all repairs together are no longer
        // than a small multiple of the line.
        if let Some(Repair::Joined { count, .. }) = self.repairs.list.last_mut()
            && self.joined
        {
            *count += 1;
            return Ok(());
        }
        self.joined = true;
        self.repairs.add(Repair::Joined {
            key: last.key.to_owned(),
            count: 1,
            at: piece.start,
        })
    }

    fn pair(
        &mut self,
        key_range: Range<usize>,
        value_range: Range<usize>,
    ) -> Result<(), ReadError> {
        let key = self.slice(&key_range);
        self.joined = false;
        let plain = key.bytes().all(|b| b.is_ascii_alphanumeric());
        if !plain && key.contains(|c: char| c.is_whitespace() || c.is_control()) {
            self.repairs.add(Repair::BlankInKey {
                key: key.to_owned(),
                at: key_range.start,
            })?;
        }
        self.repeated = self.is_known(key);
        if self.repeated {
            return self.repairs.add(Repair::DuplicateKey {
                key: key.to_owned(),
                at: key_range.start,
            });
        }
        self.attributes.push(Attribute {
            key,
            value: self.slice(&value_range),
            key_range,
            value_range,
        });
        Ok(())
    }

    /// Tells whether a key was taken in before, and remembers it.
    fn is_known(&mut self, key: &'a str) -> bool {
        if self.attributes.len() < FEW {
            return self.bits.note(key::Trace::of(key.as_bytes()))
                && self.attributes.iter().any(|a| a.key == key);
        }
        if self.seen.is_empty() {
            self.seen.extend(self.attributes.iter().map(|a| a.key));
        }
        !self.seen.insert(key)
    }

    fn split_at_blanks(&mut self, body: Range<usize>) -> Result<(), ReadError> {
        let text = self.slice(&body);
        let mut keys = KeysAfterBlanks::new(text).peekable();
        let first = keys.peek().map_or(text.len(), |key| key.start);
        let before = text.get(..first).unwrap_or_default();
        if !before.trim_matches(' ').is_empty() {
            self.repairs.add(Repair::Skipped {
                at: body.start,
                len: before.len(),
            })?;
        } else if !before.is_empty() {
            self.repairs
                .add(Repair::BlankAfterHeader { at: body.start })?;
        }
        while let Some(key) = keys.next() {
            let value = key.end + 1;
            let end = keys.peek().map_or(text.len(), |next| next.start);
            let kept = text
                .get(value..end)
                .unwrap_or_default()
                .trim_end_matches(' ')
                .len();
            self.pair(
                body.start + key.start..body.start + key.end,
                body.start + value..body.start + value + kept,
            )?;
        }
        Ok(())
    }
}
