//! The walk over the bytes.

use super::MAX_DEPTH;
use super::found::{Form, Found, Hit, JsonError, JsonErrorKind, Settings};
use super::plan::{Child, NodeIx, Plan};
use super::shape::{BEGIN, Place, Shape};
use super::text::unescape;
use super::token::{Between, Name, Outcome, Text, error};
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
                depth: 0,
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

pub(super) struct Scanner<'t> {
    pub(super) plan: &'t Plan,
    pub(super) settings: &'t Settings,
    pub(super) text: Text<'t>,
    /// A member was read: the text was meant to be an object.
    has_members: bool,
    /// How many brackets are open around the value at hand.
    depth: usize,
}

impl Scanner<'_> {
    /// A value that the plan has an interest in. The recursion is as deep as the longest path, which has at most
    /// [`MAX_STEPS`](crate::keypath::MAX_STEPS).
    pub(super) fn value(&mut self, node: NodeIx, start: usize, found: &mut Found) -> Outcome {
        let (end, form) = match self.text.byte(start) {
            Some(b'{' | b'[') => (self.nested(node, start, found)?, Form::Other),
            _ => self.scalar(start)?,
        };
        let span = Span::new(start, end);
        self.capture(node, Hit { span, form }, found);
        Ok(end)
    }

    /// A value that is neither an object nor an array.
    #[inline(always)]
    fn scalar(&self, start: usize) -> Result<(usize, Form), JsonError> {
        match self.text.byte(start) {
            Some(b'"') => {
                let (end, escaped) = self.text.string(start)?;
                Ok((end, if escaped { Form::Escaped } else { Form::Plain }))
            }
            Some(b'n') => Ok((self.text.scalar(start)?, Form::Null)),
            _ => Ok((self.text.scalar(start)?, Form::Other)),
        }
    }

    /// Hands a value to all who want it.
    #[inline(always)]
    fn capture(&self, node: NodeIx, hit: Hit, found: &mut Found) {
        let node = &self.plan.nodes[node];
        for &slot in &node.captures {
            found.set(slot, hit);
        }
        for &slot in &node.element_captures {
            found.set_in_element(slot, hit);
        }
    }

    fn nested(&mut self, node: NodeIx, start: usize, found: &mut Found) -> Outcome {
        let this = &self.plan.nodes[node];
        if this.is_leaf() {
            return self.skip(start);
        }
        if self.depth == MAX_DEPTH {
            return error(start, JsonErrorKind::TooDeep);
        }
        if self.text.byte(start) == Some(b'[') {
            self.depth += 1;
            let end = self.array(node, start, found)?;
            self.depth -= 1;
            return Ok(end);
        }
        match &this.select {
            None => {
                self.depth += 1;
                let end = self.object(node, start, found)?;
                self.depth -= 1;
                Ok(end)
            }
            // A filter on an object: the object is its own only element, whose bracket counts.
            Some(select) => match select.merged {
                Some(merged) => self.element(select, merged, start, found),
                None => {
                    if !this.children.is_empty() {
                        self.depth += 1;
                        self.object(node, start, found)?;
                        self.depth -= 1;
                    }
                    self.element(select, select.element, start, found)
                }
            },
        }
    }

    /// Passes over a value that nobody asks for.
    #[inline]
    fn skip(&mut self, at: usize) -> Outcome {
        self.text.skip(at, self.depth, &mut self.has_members)
    }

    fn object(&mut self, node: NodeIx, start: usize, found: &mut Found) -> Outcome {
        // Out of the way of what is found, so that both can be written to. No object of a node lies within another one.
        let mut shape = found.shapes[node].take().unwrap_or_default();
        let end = self.members(node, &mut shape, start, found);
        found.shapes[node] = Some(shape);
        end
    }

    fn members(
        &mut self,
        node: NodeIx,
        shape: &mut Shape,
        start: usize,
        found: &mut Found,
    ) -> Outcome {
        let text = self.text;
        let mut at = match text.open(start, b'}') {
            Between::Comma(at) => at,
            Between::Close(end) => return Ok(end),
        };
        shape.begin();
        let mut place = BEGIN;
        loop {
            let mut expected = shape.expect(&mut place, text.bytes, at);
            if expected.is_none() && text.blanks(at) != at {
                at = text.blanks(at);
                expected = shape.expect(&mut place, text.bytes, at);
            }
            let (child, value, again) = match expected {
                Some(met) => (met.child(), text.blanks(at + met.len()), met.again()),
                None => {
                    let name = text.name(at)?;
                    let (child, again) = self.unexpected(node, &mut place, shape, name);
                    (child, name.value, again)
                }
            };
            self.has_members = true;
            let end = if child.is_none() {
                self.skip(value)?
            } else if again {
                self.repeated(child.node(), value, found)?
            } else {
                self.member(child, value, found)?
            };
            match text.behind(end, b'}')? {
                Between::Comma(next) => at = next,
                Between::Close(end) => return Ok(end),
            }
        }
    }

    /// The value of a member that somebody asks for.
    #[inline(always)]
    fn member(&mut self, child: Child, at: usize, found: &mut Found) -> Outcome {
        if let Some(b'{' | b'[') = self.text.byte(at) {
            return self.value(child.node(), at, found);
        }
        let (end, form) = self.scalar(at)?;
        let span = Span::new(at, end);
        match child.only() {
            Some(slot) => found.set(slot, Hit { span, form }),
            None => self.capture(child.node(), Hit { span, form }, found),
        }
        Ok(end)
    }

    /// A member that is not the one that was expected: what it is asked for, and whether it has come before.
    #[inline(never)]
    fn unexpected(
        &self,
        node: NodeIx,
        place: &mut Place,
        shape: &mut Shape,
        name: Name,
    ) -> (Child, bool) {
        let Name { start, end, .. } = name;
        let this = &self.plan.nodes[node];
        let raw = &self.text.bytes[start..end];
        let lossy;
        let (name, member) = if name.escaped {
            lossy = unescape(&String::from_utf8_lossy(raw)).into_owned();
            (lossy.as_bytes(), this.members.get(lossy.as_bytes()))
        } else {
            (raw, this.members.get_in(self.text.bytes, start, end))
        };
        let child = |member: usize| this.children[member];
        let again = shape.note(place, name, member.map(|member| (member, child(member))));
        (member.map_or(Child::NONE, child), again)
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
        let mut indexes = this.indexes.iter();
        let mut next = indexes.next();
        loop {
            let wanted = match next {
                Some(&(at, node)) if at == index => {
                    next = indexes.next();
                    Some(node)
                }
                _ => None,
            };
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
