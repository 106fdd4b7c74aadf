//! Character classes: `[…]` with unions, intersections and Java's order of evaluation.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::charset::{CharSet, Fold, Union, class_literal, class_range, to_upper};
use super::escape::{Escaped, Family};
use super::parser::{Parsed, Parser, ascii, invalid, unsupported};

/// A class while it is read, by what is done to it from left to right. Java gathers the single characters below 256 in
/// one bitmap that every earlier mention of it shares, so that `[a&&&b]` holds `a`, `&` and `b`; so what they are is known
/// at the end.
#[derive(Default)]
struct Class {
    /// Each ends in an intersection.
    done: Vec<(Joined, Part)>,
    joined: Joined,
}

/// What was joined since the last intersection.
#[derive(Default)]
struct Joined {
    sets: Union,
    /// Where the sets are that have been joined. The parser keeps each of them, and equals only once.
    seen: BTreeSet<*const CharSet>,
    singles: bool,
    is_something: bool,
}

#[derive(Clone)]
enum Part {
    Singles,
    Set(Arc<CharSet>),
}

impl Class {
    fn is_empty(&self) -> bool {
        self.done.is_empty() && !self.joined.is_something
    }

    fn join(&mut self, part: &Part) {
        self.joined.is_something = true;
        match part {
            Part::Singles => self.joined.singles = true,
            Part::Set(set) => self.joined.sets.add(set),
        }
    }

    /// Whether a set is not joined yet.
    fn is_new(&mut self, set: &Arc<CharSet>) -> bool {
        self.joined.seen.insert(Arc::as_ptr(set))
    }

    fn intersect(&mut self, with: Part) {
        self.done.push((std::mem::take(&mut self.joined), with));
    }

    fn evaluate(self, singles: &CharSet) -> CharSet {
        let mut so_far = CharSet::empty();
        for (joined, with) in self.done {
            let left = joined.evaluate(so_far, singles);
            so_far = left.intersect(match &with {
                Part::Singles => singles,
                Part::Set(set) => set,
            });
        }
        self.joined.evaluate(so_far, singles)
    }
}

impl Joined {
    fn evaluate(mut self, so_far: CharSet, singles: &CharSet) -> CharSet {
        if !self.is_something {
            return so_far;
        }
        self.sets.add(&so_far);
        if self.singles {
            self.sets.add(singles);
        }
        self.sets.finish()
    }
}

impl Parser {
    /// From `[` to after `]`; without `close` the `]` stays.
    pub(crate) fn class(&mut self, close: bool) -> Parsed<Family> {
        let open = self.cursor;
        let mut so_far = Class::default();
        let mut latest: Option<Part> = None;
        let mut singles: Vec<(u32, u32)> = Vec::new();
        let mut has_singles = false;
        let mut negated = false;
        let mut is_bmp = true;
        let mut c = self.next();
        if c == '^' as u32 && self.before() == '[' as u32 {
            c = self.next();
            negated = true;
        }
        loop {
            match ascii(c) {
                '[' => {
                    let inner = self.deeper(|parser| parser.class(true))?;
                    is_bmp &= inner.is_bmp;
                    let inner = Part::Set(inner.set);
                    so_far.join(&inner);
                    latest = Some(inner);
                    c = self.peek();
                    continue;
                }
                '&' => {
                    let start = self.cursor;
                    if self.next() == '&' as u32 {
                        self.next();
                        let right = self.right_side()?;
                        if has_singles {
                            if so_far.is_empty() {
                                latest = Some(Part::Singles);
                            }
                            so_far.join(&Part::Singles);
                            has_singles = false;
                        }
                        if let Some(right) = &right {
                            is_bmp &= right.is_bmp;
                            latest = Some(Part::Set(Arc::clone(&right.set)));
                        }
                        match (so_far.is_empty(), &latest, right) {
                            (true, _, Some(right)) => so_far.join(&Part::Set(right.set)),
                            (true, _, None) => {
                                return Err(invalid(
                                    self.span(open),
                                    "`&&` has nothing on either side",
                                ));
                            }
                            (false, Some(latest), _) => so_far.intersect(latest.clone()),
                            (false, None, _) => {
                                return Err(unsupported(
                                    self.span(start),
                                    "`&&` without a right side breaks Java's matcher here",
                                )
                                .help("remove the `&&`, or give it a class"));
                            }
                        }
                        c = self.peek();
                        continue;
                    }
                    self.unread();
                }
                '\0' if c == 0 && self.at_end() => {
                    self.cursor = open + 1;
                    return Err(
                        invalid(self.span(open), "the character class is not closed")
                            .help(r"add `]`, or write `\[` for a bracket in the text"),
                    );
                }
                ']' if !so_far.is_empty() || has_singles => {
                    if close {
                        self.next();
                    }
                    if has_singles {
                        so_far.join(&Part::Singles);
                    }
                    let set = so_far.evaluate(&CharSet::new(singles));
                    let set = if negated { set.negate() } else { set };
                    self.charge(set.ranges().len())?;
                    return Ok(Family {
                        set: self.intern(Arc::new(set)),
                        is_bmp: is_bmp && !negated,
                    });
                }
                _ => {}
            }
            match self.class_item()? {
                Item::Single(set) => {
                    singles.extend_from_slice(set.ranges());
                    has_singles = true;
                    latest = None;
                }
                Item::Part(family) => {
                    is_bmp &= family.is_bmp;
                    let set = self.intern(family.set);
                    let is_new = so_far.is_new(&set);
                    let part = Part::Set(set);
                    if is_new && let Part::Set(set) = &part {
                        self.charge(set.ranges().len())?;
                        so_far.join(&part);
                    }
                    latest = Some(part);
                }
            }
            c = self.peek();
        }
    }

    /// What follows `&&`: classes in brackets, and everything else up to the end of the class around it.
    fn right_side(&mut self) -> Parsed<Option<Family>> {
        let mut right: Option<(Union, bool)> = None;
        let mut c = self.peek();
        while c != ']' as u32 && c != '&' as u32 {
            let bracket = c == '[' as u32;
            if !bracket {
                self.unread();
            }
            let part = self.deeper(|parser| parser.class(bracket))?;
            let (union, is_bmp) = right.get_or_insert((Union::default(), true));
            union.add(&part.set);
            *is_bmp &= part.is_bmp;
            c = self.peek();
        }
        Ok(right.map(|(union, is_bmp)| Family {
            set: self.intern(Arc::new(union.finish())),
            is_bmp,
        }))
    }

    fn range(&mut self, low: u32, high: u32, fold: Fold) -> Parsed<Arc<CharSet>> {
        if let Some(known) = self.ranges.get(&(low, high, fold)) {
            return Ok(Arc::clone(known));
        }
        let set = self.intern(Arc::new(class_range(low, high, fold)));
        self.charge(set.ranges().len())?;
        self.ranges.insert((low, high, fold), Arc::clone(&set));
        Ok(set)
    }

    fn class_item(&mut self) -> Parsed<Item> {
        let start = self.cursor;
        let fold = self.fold();
        let low = if self.peek() == '\\' as u32 {
            if matches!(ascii(self.raw(1)), 'p' | 'P') {
                return Ok(Item::Part(self.family()?));
            }
            let range = self.raw(2) == '-' as u32;
            match self.escape(true, range)? {
                Escaped::Char(c) => c,
                Escaped::Set(family) => return Ok(Item::Part(family)),
                Escaped::Node(_) => {
                    return Err(invalid(
                        self.span(start),
                        "this escape has no place in a class",
                    ));
                }
            }
        } else {
            let c = self.peek();
            self.next();
            c
        };
        if self.peek() != '-' as u32 {
            return Ok(single(low, fold));
        }
        match ascii(self.raw(1)) {
            '[' | ']' => return Ok(single(low, fold)),
            _ => {}
        }
        self.next();
        let high = if self.peek() == '\\' as u32 {
            match self.escape(true, true)? {
                Escaped::Char(c) => Some(c),
                _ => None,
            }
        } else {
            let c = self.peek();
            self.next();
            Some(c)
        };
        match high {
            Some(high) if high >= low => Ok(Item::Part(Family {
                set: self.range(low, high, fold)?,
                // What Java calls a range of the Basic Multilingual Plane has no half of a pair in it.
                is_bmp: fold == Fold::Exact && (high < 0xD800 || (low > 0xDFFF && high < 0x10000)),
            })),
            _ => Err(invalid(
                self.span(start),
                "the range of the character class ends before it starts",
            )
            .help(r"swap the ends, or write `\-` for a hyphen")),
        }
    }
}

enum Item {
    /// A character that Java puts into the bitmap.
    Single(CharSet),
    Part(Family),
}

fn single(c: u32, fold: Fold) -> Item {
    let set = class_literal(c, fold);
    // Java leaves these out of the bitmap, because they have cases beyond it.
    let beyond = fold == Fold::Unicode
        && matches!(
            c,
            0xff | 0xb5 | 0x49 | 0x69 | 0x53 | 0x73 | 0x4b | 0x6b | 0xc5 | 0xe5
        );
    if c < 256 && !beyond {
        Item::Single(set)
    } else {
        Item::Part(Family {
            is_bmp: is_bmp_single(c, fold),
            set: Arc::new(set),
        })
    }
}

/// Whether Java compares the character with single UTF-16 units.
pub(crate) fn is_bmp_single(c: u32, fold: Fold) -> bool {
    let is_cased = fold == Fold::Unicode && to_upper(c) != super::charset::fold(c);
    c < 0x10000 && !(0xD800..0xE000).contains(&c) && !is_cased
}
