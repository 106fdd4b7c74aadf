//! The walk over the bytes.

use super::found::{Form, Found, Hit, JsonError, JsonErrorKind, Settings};
use super::plan::{NodeIx, Plan};
use super::text::unescape;
use super::token::{Name, Outcome, Reader};
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
                reader: Reader::new(bytes, start),
            };
            match scanner.value(0, found) {
                Ok(()) => return Ok(Span::new(start, scanner.reader.at)),
                Err(error) => {
                    found.clear(self);
                    let members = scanner.reader.members;
                    first_error.get_or_insert(error);
                    if members > 0 && settings.broken == BrokenJson::NoData {
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
    pub(super) reader: Reader<'t>,
}

impl Scanner<'_> {
    /// A value that the plan has an interest in. The recursion is as deep as the longest path.
    pub(super) fn value(&mut self, node: NodeIx, found: &mut Found) -> Outcome {
        let plan = self.plan;
        let this = &plan.nodes[node];
        let start = self.reader.at;
        let form = match self.reader.peek() {
            Some(b'"') => {
                if self.reader.string()? {
                    Form::Escaped
                } else {
                    Form::Plain
                }
            }
            Some(b'n') => {
                self.reader.word(b"null")?;
                Form::Null
            }
            Some(b'{') if !this.is_leaf() => {
                match &this.select {
                    // A filter on an object: the object is its own only element.
                    Some(select) => match select.merged {
                        Some(merged) => self.element(select, merged, found)?,
                        None => {
                            if this.members.len() > 0 {
                                self.object(node, found)?;
                                self.reader.at = start;
                            }
                            self.element(select, select.element, found)?;
                        }
                    },
                    None => self.object(node, found)?,
                }
                Form::Other
            }
            Some(b'[') if !this.is_leaf() => {
                self.array(node, found)?;
                Form::Other
            }
            _ => {
                self.reader.skip()?;
                Form::Other
            }
        };
        if !this.captures.is_empty() {
            let span = Span::new(start, self.reader.at);
            for &slot in &this.captures {
                found.set(slot, Hit { span, form });
            }
        }
        Ok(())
    }

    fn object(&mut self, node: NodeIx, found: &mut Found) -> Outcome {
        let this = &self.plan.nodes[node];
        if self.reader.open(b'}') {
            return Ok(());
        }
        let mut seen = Seen::default();
        loop {
            let name = self.reader.name()?;
            let member = if name.escaped {
                this.members.get(self.unescaped(name).as_bytes())
            } else {
                this.members.get_in(self.reader.bytes, name.start, name.end)
            };
            match member {
                None => self.reader.skip()?,
                Some(member) if seen.again(member) => {
                    self.repeated(this.children[member], found)?;
                }
                Some(member) => self.value(this.children[member], found)?,
            }
            if !self.reader.comma(b'}')? {
                return Ok(());
            }
        }
    }

    #[cold]
    fn unescaped(&self, name: Name) -> String {
        let raw = String::from_utf8_lossy(&self.reader.bytes[name.start..name.end]);
        unescape(&raw).into_owned()
    }

    /// The value of a member whose name has come by before.
    #[cold]
    fn repeated(&mut self, child: NodeIx, found: &mut Found) -> Outcome {
        if self.settings.duplicates == DuplicateJsonKey::First {
            return self.reader.skip();
        }
        self.plan.empty(child, found);
        self.value(child, found)
    }

    fn array(&mut self, node: NodeIx, found: &mut Found) -> Outcome {
        let this = &self.plan.nodes[node];
        if self.reader.open(b']') {
            return Ok(());
        }
        let mut index = 0;
        loop {
            let start = self.reader.at;
            let wanted = this
                .indexes
                .iter()
                .find(|(i, _)| *i == index)
                .map(|(_, node)| *node);
            if let Some(child) = wanted {
                self.value(child, found)?;
            }
            if let Some(select) = &this.select {
                self.reader.at = start;
                self.element(select, select.element, found)?;
            } else if wanted.is_none() {
                self.reader.skip()?;
            }
            index += 1;
            if !self.reader.comma(b']')? {
                return Ok(());
            }
        }
    }
}
