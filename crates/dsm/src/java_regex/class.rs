//! Character classes: `[…]` with unions, intersections and Java's order of evaluation.

use std::sync::Arc;

use super::charset::{CharSet, Fold, class_literal, class_range};
use super::escape::Escaped;
use super::parser::{Parsed, Parser, ascii, invalid, unsupported};

/// A class while it is read. Java gathers the single characters below 256 in one bitmap that every earlier mention of it
/// shares, so that `[a&&&b]` holds `a`, `&` and `b`.
#[derive(Clone)]
enum Part {
    Singles,
    Set(Arc<CharSet>),
    Union(Box<Part>, Box<Part>),
    Both(Box<Part>, Box<Part>),
}

impl Part {
    fn or(self, other: Part) -> Part {
        Part::Union(Box::new(self), Box::new(other))
    }

    fn join(parts: Option<Part>, other: Part) -> Part {
        match parts {
            Some(parts) => parts.or(other),
            None => other,
        }
    }

    fn evaluate(&self, singles: &CharSet) -> CharSet {
        match self {
            Part::Singles => singles.clone(),
            Part::Set(set) => CharSet::clone(set),
            Part::Union(a, b) => a.evaluate(singles).union(&b.evaluate(singles)),
            Part::Both(a, b) => a.evaluate(singles).intersect(&b.evaluate(singles)),
        }
    }
}

impl Parser {
    /// From `[` to after `]`; without `close` the `]` stays.
    pub(super) fn class(&mut self, close: bool) -> Parsed<CharSet> {
        let open = self.cursor;
        let mut so_far: Option<Part> = None;
        let mut latest: Option<Part> = None;
        let mut singles: Vec<(u32, u32)> = Vec::new();
        let mut has_singles = false;
        let mut negated = false;
        let mut parts = 0usize;
        let mut c = self.next();
        if c == '^' as u32 && self.before() == '[' as u32 {
            c = self.next();
            negated = true;
        }
        loop {
            match ascii(c) {
                '[' => {
                    let inner = Part::Set(Arc::new(self.deeper(|parser| parser.class(true))?));
                    latest = Some(inner.clone());
                    so_far = Some(Part::join(so_far, inner));
                    c = self.peek();
                    continue;
                }
                '&' => {
                    let start = self.cursor;
                    if self.next() == '&' as u32 {
                        self.next();
                        let right = self.right_side()?;
                        if has_singles {
                            if so_far.is_none() {
                                latest = Some(Part::Singles);
                            }
                            so_far = Some(Part::join(so_far, Part::Singles));
                            has_singles = false;
                        }
                        if right.is_some() {
                            latest = right.clone();
                        }
                        so_far = Some(match (so_far, &latest) {
                            (None, _) => {
                                let Some(right) = right else {
                                    return Err(invalid(
                                        self.span(open),
                                        "`&&` has nothing on either side",
                                    ));
                                };
                                right
                            }
                            (Some(left), Some(latest)) => {
                                Part::Both(Box::new(left), Box::new(latest.clone()))
                            }
                            (Some(_), None) => {
                                return Err(unsupported(
                                    self.span(start),
                                    "`&&` without a right side breaks Java's matcher here",
                                )
                                .help("remove the `&&`, or give it a class"));
                            }
                        });
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
                ']' if so_far.is_some() || has_singles => {
                    if close {
                        self.next();
                    }
                    if has_singles {
                        so_far = Some(Part::join(so_far, Part::Singles));
                    }
                    let set = so_far
                        .unwrap_or(Part::Singles)
                        .evaluate(&CharSet::new(singles));
                    return Ok(if negated { set.negate() } else { set });
                }
                _ => {}
            }
            parts += 1;
            if parts > 2000 {
                return Err(unsupported(
                    self.span(open),
                    "the character class has more than 2000 parts",
                ));
            }
            match self.class_item()? {
                Item::Single(set) => {
                    singles.extend_from_slice(set.ranges());
                    has_singles = true;
                    latest = None;
                }
                Item::Part(set) => {
                    let part = Part::Set(set);
                    latest = Some(part.clone());
                    so_far = Some(Part::join(so_far, part));
                }
            }
            c = self.peek();
        }
    }

    /// What follows `&&`: classes in brackets, and everything else up to the end of the class around it.
    fn right_side(&mut self) -> Parsed<Option<Part>> {
        let mut right = None;
        let mut c = self.peek();
        while c != ']' as u32 && c != '&' as u32 {
            let bracket = c == '[' as u32;
            if !bracket {
                self.unread();
            }
            let part = Part::Set(Arc::new(self.deeper(|parser| parser.class(bracket))?));
            right = Some(Part::join(right, part));
            c = self.peek();
        }
        Ok(right)
    }

    fn class_item(&mut self) -> Parsed<Item> {
        let start = self.cursor;
        let fold = self.fold();
        let low = if self.peek() == '\\' as u32 {
            if matches!(ascii(self.raw(1)), 'p' | 'P') {
                return Ok(Item::Part(Arc::new(self.family()?)));
            }
            let range = self.raw(2) == '-' as u32;
            match self.escape(true, range)? {
                Escaped::Char(c) => c,
                Escaped::Set(set) => return Ok(Item::Part(set)),
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
            Some(high) if high >= low => Ok(Item::Part(Arc::new(class_range(low, high, fold)))),
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
    Part(Arc<CharSet>),
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
        Item::Part(Arc::new(set))
    }
}
