//! The walk over the bytes.

use super::MAX_DEPTH;
use super::found::{Form, Found, Hit, JsonError, JsonErrorKind, Settings};
use super::plan::{Commit, NodeIx, Plan, Select, SlotIx, Test};
use super::text::{text_of, unescape};
use crate::extract::Span;
use crate::lsx::Hits as HitsMode;
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
        found.clear(self.slots.len());
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
                bytes,
                at: start,
                members: 0,
            };
            match scanner.value(0, found) {
                Ok(()) => return Ok(Span::new(start, scanner.at)),
                Err(error) => {
                    found.clear(self.slots.len());
                    let members = scanner.members;
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

type Outcome = Result<(), JsonError>;

struct Scanner<'t> {
    plan: &'t Plan,
    settings: &'t Settings,
    bytes: &'t [u8],
    at: usize,
    /// Members read so far: a text with one was meant to be an object.
    members: usize,
}

impl<'t> Scanner<'t> {
    fn error<T>(&self, kind: JsonErrorKind) -> Result<T, JsonError> {
        Err(JsonError { at: self.at, kind })
    }

    /// Wrong byte, or none left.
    fn unexpected<T>(&self) -> Result<T, JsonError> {
        if self.at >= self.bytes.len() {
            self.error(JsonErrorKind::Truncated)
        } else {
            self.error(JsonErrorKind::Syntax)
        }
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// A value that the plan has an interest in. The recursion is as deep as the longest path.
    fn value(&mut self, node: NodeIx, found: &mut Found) -> Outcome {
        let plan = self.plan;
        let this = &plan.nodes[node];
        let start = self.at;
        let form = match self.peek() {
            Some(b'"') => {
                if self.string()? {
                    Form::Escaped
                } else {
                    Form::Plain
                }
            }
            Some(b'n') => {
                self.word(b"null")?;
                Form::Null
            }
            Some(b'{') if !this.is_leaf() => {
                match &this.select {
                    // A filter on an object: the object is its own only element.
                    Some(select) => match select.merged {
                        Some(merged) => self.element(select, merged, found)?,
                        None => {
                            if !this.members.names.is_empty() {
                                self.object(node, found)?;
                                self.at = start;
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
                self.skip()?;
                Form::Other
            }
        };
        if !this.captures.is_empty() {
            let span = Span::new(start, self.at);
            for &slot in &this.captures {
                found.set(slot, Hit { span, form });
            }
        }
        Ok(())
    }

    fn object(&mut self, node: NodeIx, found: &mut Found) -> Outcome {
        let plan = self.plan;
        let members = &plan.nodes[node].members;
        let mut seen = Seen::default();
        self.at += 1;
        self.blanks();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            if self.peek() != Some(b'"') {
                return self.unexpected();
            }
            let start = self.at + 1;
            let escaped = self.string()?;
            let name = &self.bytes[start..self.at - 1];
            self.blanks();
            if self.peek() != Some(b':') {
                return self.unexpected();
            }
            self.at += 1;
            self.members += 1;
            self.blanks();
            let member = if escaped {
                let name = String::from_utf8_lossy(name);
                members.get(unescape(&name).as_bytes())
            } else {
                members.get(name)
            };
            match member {
                Some(member) if seen.again(member) => {
                    let child = members.names[member].1;
                    if self.settings.duplicates == DuplicateJsonKey::First {
                        self.skip()?;
                    } else {
                        plan.empty(child, found);
                        self.value(child, found)?;
                    }
                }
                Some(member) => self.value(members.names[member].1, found)?,
                None => self.skip()?,
            }
            self.blanks();
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    self.blanks();
                }
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return self.unexpected(),
            }
        }
    }

    fn array(&mut self, node: NodeIx, found: &mut Found) -> Outcome {
        let plan = self.plan;
        let this = &plan.nodes[node];
        self.at += 1;
        self.blanks();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        let mut index = 0;
        loop {
            let start = self.at;
            let wanted = this
                .indexes
                .iter()
                .find(|(i, _)| *i == index)
                .map(|(_, node)| *node);
            if let Some(child) = wanted {
                self.value(child, found)?;
            }
            if let Some(select) = &this.select {
                self.at = start;
                self.element(select, select.element, found)?;
            } else if wanted.is_none() {
                self.skip()?;
            }
            index += 1;
            self.blanks();
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    self.blanks();
                }
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return self.unexpected(),
            }
        }
    }

    /// One element of an array that filters apply to.
    fn element(&mut self, select: &Select, walk: NodeIx, found: &mut Found) -> Outcome {
        // Everything that the walk fills from here on belongs to this element, except slots of the object around it.
        let (filled, more) = (found.filled.len(), found.more.len());
        self.value(walk, found)?;
        let passing = found.passing.len();
        match self.dispatched(select, found) {
            Some(commits) => {
                for &index in commits.iter().chain(&select.dispatch.always) {
                    self.commit(&select.commits[index], more, found);
                }
            }
            None => {
                for commit in &select.commits {
                    self.commit(commit, more, found);
                }
            }
        }
        // What belongs to the element goes; what was filled around it on the same walk stays.
        let owned = |slot: SlotIx| select.owners.contains(&self.plan.owner[slot]);
        let mut kept = filled;
        for at in filled..found.filled.len() {
            let slot = found.filled[at];
            if owned(slot) {
                found.first[slot] = Hit::NONE;
            } else {
                found.filled[kept] = slot;
                kept += 1;
            }
        }
        found.filled.truncate(kept);
        let mut kept = more;
        for at in more..found.more.len() {
            if !owned(found.more[at].0) {
                found.more[kept] = found.more[at];
                kept += 1;
            }
        }
        found.more.truncate(kept);
        for at in passing..found.passing.len() {
            let (slot, hit) = found.passing[at];
            if self.plan.slots[slot] == HitsMode::Joined || !found.first[slot].is_some() {
                found.push(slot, hit);
            }
        }
        found.passing.truncate(passing);
        Ok(())
    }

    /// The commits for the value that decides among them; none if all have to be looked at.
    fn dispatched<'s>(&self, select: &'s Select, found: &Found) -> Option<&'s [usize]> {
        let (slot, by_value) = select.dispatch.by_value.as_ref()?;
        let Some(hit) = found.get(*slot) else {
            return Some(&[]);
        };
        let commits = match &self.bytes[hit.span.range()] {
            [b'"', inner @ .., b'"'] if memchr(b'\\', inner).is_none() => {
                by_value.get(std::str::from_utf8(inner).ok()?)
            }
            // A list may hold several of the values; that is rare enough to be left to the slow way.
            [b'[', ..] => return None,
            raw => {
                let text = String::from_utf8_lossy(raw);
                text_of(&text).and_then(|text| by_value.get(text.as_ref()))
            }
        };
        Some(commits.map_or(&[], Vec::as_slice))
    }

    /// Hands on what a path found in an element, if the conditions hold. `more` is where the further hits of this element
    /// begin.
    fn commit(&self, commit: &Commit, more: usize, found: &mut Found) {
        if !found.first[commit.from].is_some() {
            return;
        }
        let all = self.plan.slots[commit.to] == HitsMode::Joined;
        if !all && found.first[commit.to].is_some() {
            return;
        }
        if !commit.conditions.iter().all(|test| self.holds(test, found)) {
            return;
        }
        let first = found.first[commit.from];
        if first.is_data() {
            found.passing.push((commit.to, first));
            if !all {
                return;
            }
        }
        for at in more..found.more.len() {
            let (slot, hit) = found.more[at];
            if slot == commit.from && hit.is_data() {
                found.passing.push((commit.to, hit));
                if !all {
                    return;
                }
            }
        }
    }

    fn holds(&self, test: &Test, found: &Found) -> bool {
        let value = found
            .get(test.slot)
            .map_or(&b""[..], |hit| &self.bytes[hit.span.range()]);
        let equal = if value.first() == Some(&b'[') {
            let text = String::from_utf8_lossy(value);
            elements(&text).any(|element| text_of(element).as_deref() == Some(test.value.as_str()))
        } else {
            match value {
                [b'"', inner @ .., b'"'] if memchr(b'\\', inner).is_none() => {
                    inner == test.value.as_bytes()
                }
                b"null" => test.value.is_empty(),
                _ => {
                    let text = String::from_utf8_lossy(value);
                    text_of(&text).as_deref().unwrap_or_default() == test.value
                }
            }
        };
        equal == test.equal
    }

    /// Passes over a string; tells whether it holds escapes.
    #[inline]
    fn string(&mut self) -> Result<bool, JsonError> {
        let end = string_break(self.bytes, self.at + 1);
        if self.bytes.get(end) == Some(&b'"') {
            self.at = end + 1;
            return Ok(false);
        }
        self.at = end;
        self.escaped_string()?;
        Ok(true)
    }

    /// The rest of a string, from its first escape.
    fn escaped_string(&mut self) -> Outcome {
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(_) => {}
                None => return self.error(JsonErrorKind::Truncated),
            }
            self.at += 1;
            match self.peek() {
                Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
                Some(b'u') => {
                    self.at += 1;
                    for _ in 0..4 {
                        if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                            return self.unexpected();
                        }
                        self.at += 1;
                    }
                }
                _ => return self.unexpected(),
            }
            self.at = string_break(self.bytes, self.at);
        }
    }

    /// Passes over a value of any kind, without recursion.
    fn skip(&mut self) -> Outcome {
        // One bit for each open bracket: set for an object.
        let mut stack = [0u64; MAX_DEPTH / 64];
        let mut depth = 0usize;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.string()?;
                }
                Some(open @ (b'{' | b'[')) => {
                    if depth == MAX_DEPTH {
                        return self.error(JsonErrorKind::TooDeep);
                    }
                    let bit = 1 << (depth % 64);
                    self.at += 1;
                    self.blanks();
                    if open == b'{' {
                        stack[depth / 64] |= bit;
                        depth += 1;
                        if self.peek() == Some(b'}') {
                            self.at += 1;
                            depth -= 1;
                        } else {
                            self.name()?;
                            continue;
                        }
                    } else {
                        stack[depth / 64] &= !bit;
                        depth += 1;
                        if self.peek() == Some(b']') {
                            self.at += 1;
                            depth -= 1;
                        } else {
                            continue;
                        }
                    }
                }
                Some(b't') => self.word(b"true")?,
                Some(b'f') => self.word(b"false")?,
                Some(b'n') => self.word(b"null")?,
                Some(b'-' | b'0'..=b'9') => self.number()?,
                _ => return self.unexpected(),
            }
            // After a value: close what ends here, or go on to the next one.
            loop {
                if depth == 0 {
                    return Ok(());
                }
                let object = stack[(depth - 1) / 64] >> ((depth - 1) % 64) & 1 == 1;
                self.blanks();
                match (self.peek(), object) {
                    (Some(b','), true) => {
                        self.at += 1;
                        self.blanks();
                        self.name()?;
                        break;
                    }
                    (Some(b','), false) => {
                        self.at += 1;
                        self.blanks();
                        break;
                    }
                    (Some(b'}'), true) | (Some(b']'), false) => {
                        self.at += 1;
                        depth -= 1;
                    }
                    _ => return self.unexpected(),
                }
            }
        }
    }

    /// A member name and its colon.
    fn name(&mut self) -> Outcome {
        if self.peek() != Some(b'"') {
            return self.unexpected();
        }
        self.string()?;
        self.blanks();
        if self.peek() != Some(b':') {
            return self.unexpected();
        }
        self.at += 1;
        self.members += 1;
        self.blanks();
        Ok(())
    }

    fn word(&mut self, word: &[u8]) -> Outcome {
        let rest = &self.bytes[self.at..];
        if rest.starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        if word.starts_with(rest) {
            self.at = self.bytes.len();
        }
        self.unexpected()
    }

    fn number(&mut self) -> Outcome {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Outcome {
        if !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            return self.unexpected();
        }
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }
}

/// The next quote or backslash, or the end.
///
/// Eight bytes at a time: most strings are too short for a vector search to pay off, which takes over for long ones.
#[inline]
fn string_break(bytes: &[u8], start: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let mut at = start;
    for _ in 0..3 {
        let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) else {
            break;
        };
        let word = u64::from_le_bytes(*chunk);
        let hits = zero(word ^ (ONES * b'"' as u64)) | zero(word ^ (ONES * b'\\' as u64));
        if hits != 0 {
            // The lowest hit is exact; higher ones may be the carry of it.
            return at + (hits.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    memchr2(b'"', b'\\', &bytes[at..]).map_or(bytes.len(), |next| at + next)
}

/// The elements of an array that a scan has already passed over, as they stand in the text.
fn elements(array: &str) -> impl Iterator<Item = &str> {
    let plan = Plan::default();
    let settings = Settings::default();
    let mut at = 1;
    std::iter::from_fn(move || {
        let mut scanner = Scanner {
            plan: &plan,
            settings: &settings,
            bytes: array.as_bytes(),
            at,
            members: 0,
        };
        scanner.blanks();
        if scanner.peek() == Some(b',') {
            scanner.at += 1;
            scanner.blanks();
        }
        let start = scanner.at;
        scanner.skip().ok()?;
        at = scanner.at;
        array.get(start..at)
    })
}
