//! The walk over the bytes.

use super::found::{Form, Found, Hit, JsonError, JsonErrorKind, Settings};
use super::plan::{Child, NodeIx, Plan};
use super::shape::BEGIN;
use super::text::unescape;
use super::token::{Between, Name, Outcome, Text};
use crate::extract::Span;
use crate::options::{BrokenJson, DuplicateJsonKey};
use memchr::{memchr, memchr2};

/// How many places that look like the start of an object are tried in one text.
const MAX_CANDIDATES: usize = 64;

impl Plan {
    /// Looks for a JSON document in the text and walks it once. `found` is overwritten.
    ///
    /// # Errors
    /// There is no JSON in the text, or it is broken; nothing is found then.
    pub fn scan(
        &self,
        text: &str,
        settings: &Settings,
        found: &mut Found,
    ) -> Result<Span, JsonError> {
        found.clear(self);
        let bytes = text.as_bytes();
        let mut at = 0;
        let mut first_error = None;
        for _ in 0..MAX_CANDIDATES {
            let Some(start) = self.candidate(bytes, at) else {
                break;
            };
            let mut scanner = Scanner {
                plan: self,
                settings,
                text: Text { bytes },
                has_members: false,
            };
            match scanner.value(0, start, found) {
                Ok(end) => return Ok(Span::new(start, end)),
                Err(error) => {
                    found.clear(self);
                    let has_members = scanner.has_members;
                    first_error.get_or_insert(error);
                    if has_members && settings.broken == BrokenJson::NoData {
                        break;
                    }
                    at = start + 1;
                }
            }
        }
        Err(first_error.unwrap_or(JsonError {
            at: 0,
            kind: JsonErrorKind::Absent,
        }))
    }

    /// The next place where an object (or array, if paths want one) may begin.
    fn candidate(&self, bytes: &[u8], mut at: usize) -> Option<usize> {
        loop {
            let rest = bytes.get(at..)?;
            let start = at
                + if self.array_root {
                    memchr2(b'{', b'[', rest)?
                } else {
                    memchr(b'{', rest)?
                };
            let next = bytes[start + 1..]
                .iter()
                .find(|byte| !byte.is_ascii_whitespace());
            let plausible = match bytes[start] {
                b'{' => matches!(next, Some(b'"' | b'}')),
                _ => matches!(
                    next,
                    Some(b'"' | b'{' | b'[' | b']' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n')
                ),
            };
            if plausible {
                return Some(start);
            }
            at = start + 1;
        }
    }
}

/// Which members of an object have come by.
#[derive(Debug, Default)]
struct Seen([u64; 16]);

impl Seen {
    /// Notes a member; whether it had come by before. Plans with more than 1,024 members on one object do not notice.
    fn again(&mut self, member: usize) -> bool {
        let Some(word) = self.0.get_mut(member / 64) else {
            return false;
        };
        let bit = 1 << (member % 64);
        let again = *word & bit != 0;
        *word |= bit;
        again
    }
}

pub(super) struct Scanner<'t> {
    pub(super) plan: &'t Plan,
    pub(super) settings: &'t Settings,
    pub(super) text: Text<'t>,
    /// A member was read: the text was meant to be an object.
    has_members: bool,
}

impl Scanner<'_> {
    /// A value that the plan has an interest in. The recursion is as deep as the longest path.
    pub(super) fn value(&mut self, node: NodeIx, start: usize, found: &mut Found) -> Outcome {
        let (end, form) = match self.text.byte(start) {
            Some(b'"') => self.string(start)?,
            Some(b'n') => (self.text.scalar(start)?, Form::Null),
            Some(b'{' | b'[') => (self.nested(node, start, found)?, Form::Other),
            _ => (self.text.scalar(start)?, Form::Other),
        };
        let node = &self.plan.nodes[node];
        let span = Span::new(start, end);
        for &slot in &node.captures {
            found.set(slot, Hit { span, form });
        }
        for &slot in &node.element_captures {
            found.set_in_element(slot, Hit { span, form });
        }
        Ok(end)
    }

    #[inline(always)]
    fn string(&self, start: usize) -> Result<(usize, Form), JsonError> {
        let (end, escaped) = self.text.string(start)?;
        Ok((end, if escaped { Form::Escaped } else { Form::Plain }))
    }

    fn nested(&mut self, node: NodeIx, start: usize, found: &mut Found) -> Outcome {
        let this = &self.plan.nodes[node];
        if this.is_leaf() {
            return self.skip(start);
        }
        if self.text.byte(start) == Some(b'[') {
            return self.array(node, start, found);
        }
        match &this.select {
            None => self.object(node, start, found),
            // A filter on an object: the object is its own only element.
            Some(select) => match select.merged {
                Some(merged) => self.element(select, merged, start, found),
                None => {
                    if !this.children.is_empty() {
                        self.object(node, start, found)?;
                    }
                    self.element(select, select.element, start, found)
                }
            },
        }
    }

    /// Passes over a value that nobody asks for.
    #[inline]
    fn skip(&mut self, at: usize) -> Outcome {
        self.text.skip(at, &mut self.has_members)
    }

    fn object(&mut self, node: NodeIx, start: usize, found: &mut Found) -> Outcome {
        let this = &self.plan.nodes[node];
        let text = self.text;
        let mut at = match text.open(start, b'}') {
            Between::Comma(at) => at,
            Between::Close(end) => return Ok(end),
        };
        let mut seen = Seen::default();
        let mut place = BEGIN;
        loop {
            let (member, value) = match found.shapes[node].expect(place, text.bytes, at) {
                Some(expected) if text.byte(at) == Some(b'"') => {
                    place = expected.place;
                    (expected.member, text.blanks(expected.behind))
                }
                _ => {
                    let name = text.name(at)?;
                    let member = if name.escaped {
                        let name = self.unescaped(name);
                        this.members.get(name.as_bytes())
                    } else {
                        let member = this.members.get_in(text.bytes, name.start, name.end);
                        let name = &text.bytes[name.start..name.end];
                        place = found.shapes[node].note(place, name, member);
                        member
                    };
                    (member, name.value)
                }
            };
            self.has_members = true;
            let end = match member {
                None => self.skip(value)?,
                Some(member) if seen.again(member) => {
                    self.repeated(this.children[member].node, value, found)?
                }
                Some(member) => {
                    let Child { node, only } = this.children[member];
                    match (text.byte(value), only) {
                        (Some(b'"'), Some(slot)) => {
                            let (end, form) = self.string(value)?;
                            let span = Span::new(value, end);
                            found.set(slot, Hit { span, form });
                            end
                        }
                        _ => self.value(node, value, found)?,
                    }
                }
            };
            match text.between(end, b'}')? {
                Between::Comma(next) => at = next,
                Between::Close(end) => return Ok(end),
            }
        }
    }

    #[cold]
    fn unescaped(&self, name: Name) -> String {
        let raw = String::from_utf8_lossy(&self.text.bytes[name.start..name.end]);
        unescape(&raw).into_owned()
    }

    /// The value of a member whose name has come by before.
    #[cold]
    fn repeated(&mut self, child: NodeIx, at: usize, found: &mut Found) -> Outcome {
        if self.settings.duplicates == DuplicateJsonKey::First {
            return self.skip(at);
        }
        self.plan.empty(child, found);
        self.value(child, at, found)
    }

    fn array(&mut self, node: NodeIx, start: usize, found: &mut Found) -> Outcome {
        let this = &self.plan.nodes[node];
        let mut at = match self.text.open(start, b']') {
            Between::Comma(at) => at,
            Between::Close(end) => return Ok(end),
        };
        let mut index = 0;
        loop {
            let wanted = this
                .indexes
                .iter()
                .find(|(i, _)| *i == index)
                .map(|(_, node)| *node);
            let end = match (wanted, &this.select) {
                (None, None) => self.skip(at)?,
                (Some(child), None) => self.value(child, at, found)?,
                (wanted, Some(select)) => {
                    if let Some(child) = wanted {
                        self.value(child, at, found)?;
                    }
                    self.element(select, select.element, at, found)?
                }
            };
            index += 1;
            match self.text.between(end, b']')? {
                Between::Comma(next) => at = next,
                Between::Close(end) => return Ok(end),
            }
        }
    }
}
