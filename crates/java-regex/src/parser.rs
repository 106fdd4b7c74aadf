//! Reads Java's regular expression syntax, with Java's own idea of where things end.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use super::Flags;
use super::charset::{CharSet, Fold, literal};
use super::class::is_bmp_single;
use super::escape::{Escaped, Family, shown};
use super::measure;
use super::syntax::{
    Assertion, Greed, GroupKind, Node, SyntaxError, SyntaxErrorKind, Tree, UNBOUNDED, Written,
};

/// How deep groups and classes may nest. Java gives up too, at a depth that depends on its stack.
const DEPTH: usize = 250;

/// The most bytes of a pattern.
const LENGTH: usize = 1 << 18;

/// The most parts of all classes together, and of all groups that are repeated or looked behind at: what is in a group in
/// a group counts for both, and a class such as `\p{L}` counts with its ranges.
const PARTS: usize = 1 << 23;

pub(crate) type Parsed<T> = Result<T, SyntaxError>;

pub(crate) struct Parser {
    /// The code points of the pattern with `\Q…\E` taken apart, and two zeros.
    chars: Vec<u32>,
    /// Where each of them starts in the pattern.
    offsets: Vec<usize>,
    pub(crate) len: usize,
    pub(crate) cursor: usize,
    pub(crate) flags: Flags,
    pub(crate) groups: usize,
    pub(crate) names: BTreeMap<String, usize>,
    depth: usize,
    /// The index of the last character that is a surrogate pair in Java.
    last_pair: Option<usize>,
    /// How many of [`PARTS`] were used up.
    charged: usize,
    /// How many nodes there are so far.
    nodes: usize,
    /// Java steps over surrogate pairs when it looks for the start of a match.
    by_chars: bool,
    /// Sets that the pattern has in several places are kept once.
    sets: BTreeSet<Arc<CharSet>>,
    literals: BTreeMap<(u32, Fold), Arc<CharSet>>,
    pub(crate) ranges: BTreeMap<(u32, u32, Fold), Arc<CharSet>>,
    pub(crate) families: BTreeMap<(String, bool, bool, bool), Family>,
}

/// Reads a pattern.
pub(crate) fn parse(pattern: &str, flags: Flags) -> Parsed<Tree> {
    let mut flags = flags;
    flags.unicode_case |= flags.unicode_character_class;
    if pattern.len() > LENGTH {
        let limit = (0..=LENGTH).rev().find(|&at| pattern.is_char_boundary(at));
        let limit = limit.unwrap_or(0);
        return Err(unsupported(
            limit..pattern.len(),
            format!("the pattern is longer than {LENGTH} bytes"),
        )
        .help("take the pattern apart"));
    }
    let (chars, offsets) = unquote(pattern);
    let len = chars.len() - 2;
    let last_pair = chars.iter().rposition(|&c| c >= 0x1_0000);
    let mut parser = Parser {
        chars,
        offsets,
        len,
        cursor: 0,
        flags,
        groups: 0,
        names: BTreeMap::new(),
        depth: 0,
        charged: 0,
        nodes: 0,
        by_chars: last_pair.is_some(),
        last_pair,
        sets: BTreeSet::new(),
        literals: BTreeMap::new(),
        ranges: BTreeMap::new(),
        families: BTreeMap::new(),
    };
    let root = parser.alternation()?;
    if parser.cursor != parser.len {
        let span = parser.span(parser.cursor);
        return Err(if parser.peek() == ')' as u32 {
            invalid(span, "`)` without an open group")
                .help(r"write `\)` for a parenthesis in the text")
        } else {
            invalid(span, "the pattern ends in the middle of a construct")
        });
    }
    Ok(Tree {
        root,
        groups: parser.groups,
        names: parser.names,
        by_chars: parser.by_chars,
    })
}

/// Replaces `\Q…\E` by escapes, as Java does before it reads anything else.
fn unquote(pattern: &str) -> (Vec<u32>, Vec<usize>) {
    let source: Vec<(usize, char)> = pattern.char_indices().collect();
    let (mut chars, mut offsets) = (
        Vec::with_capacity(source.len() + 2),
        Vec::with_capacity(source.len() + 2),
    );
    let mut quoted = false;
    let mut fresh = false;
    let mut i = 0;
    while let Some(&(offset, c)) = source.get(i) {
        let next = source.get(i + 1).map(|&(_, c)| c);
        let mut push = |c: char| {
            chars.push(c as u32);
            offsets.push(offset);
        };
        i += 1;
        match (quoted, c, next) {
            (false, '\\', Some('Q')) => {
                (quoted, fresh) = (true, true);
                i += 1;
                continue;
            }
            (false, '\\', Some(next)) => {
                push('\\');
                push(next);
                i += 1;
            }
            (false, ..) => push(c),
            (true, '\\', Some('E')) => {
                quoted = false;
                i += 1;
            }
            (true, '0'..='9', _) if fresh => {
                // So that the digit does not become a part of an escape before the quotation.
                for c in ['\\', 'x', '3', c] {
                    push(c);
                }
            }
            (true, ..) if c.is_ascii_alphanumeric() => push(c),
            (true, ..) => {
                push('\\');
                push(c);
            }
        }
        fresh = false;
    }
    for _ in 0..2 {
        chars.push(0);
        offsets.push(pattern.len());
    }
    (chars, offsets)
}

pub(crate) fn invalid(span: Range<usize>, message: impl Into<String>) -> SyntaxError {
    SyntaxError {
        kind: SyntaxErrorKind::Invalid,
        span,
        message: message.into(),
        help: None,
    }
}

pub(crate) fn unsupported(span: Range<usize>, message: impl Into<String>) -> SyntaxError {
    SyntaxError {
        kind: SyntaxErrorKind::Unsupported,
        span,
        message: message.into(),
        help: None,
    }
}

impl SyntaxError {
    pub(crate) fn help(mut self, help: impl Into<String>) -> SyntaxError {
        self.help = Some(help.into());
        self
    }
}

fn is_space(c: u32) -> bool {
    matches!(c, 9..=13 | 32)
}

/// An ASCII character as a `char`, anything else as NUL: for matching on syntax characters.
pub(crate) fn ascii(c: u32) -> char {
    u8::try_from(c)
        .ok()
        .filter(u8::is_ascii)
        .map_or('\0', char::from)
}

pub(crate) fn digit(c: u32, radix: u32) -> Option<u32> {
    ascii(c).to_digit(radix)
}

/// Characters that stand side by side, which Java compares as one text. A single one it compares like a class.
#[derive(Default)]
struct Run {
    length: usize,
    /// The first one, as a class, is looked for in surrogate pairs too.
    is_wide: bool,
}

impl Run {
    fn add(&mut self, parser: &mut Parser, c: u32, is_repeated: bool) {
        let is_wide = !is_bmp_single(c, parser.fold());
        if is_repeated {
            self.end(parser);
            parser.by_chars |= is_wide;
        } else {
            self.is_wide |= self.length == 0 && is_wide;
            self.length += 1;
        }
    }

    fn end(&mut self, parser: &mut Parser) {
        parser.by_chars |= self.length == 1 && self.is_wide;
        *self = Run::default();
    }
}

/// The cursor. These follow Java's own primitives, because where Java skips blanks in comments mode depends on them.
impl Parser {
    fn at(&self, index: usize) -> u32 {
        super::work::make(1);
        self.chars.get(index).copied().unwrap_or(0)
    }

    pub(crate) fn raw(&self, ahead: usize) -> u32 {
        self.at(self.cursor + ahead)
    }

    pub(crate) fn before(&self) -> u32 {
        self.cursor.checked_sub(1).map_or(0, |index| self.at(index))
    }

    pub(crate) fn at_end(&self) -> bool {
        self.cursor >= self.len
    }

    fn is_line_end(&self, c: u32) -> bool {
        c == 10 || (!self.flags.unix_lines && matches!(c, 13 | 0x85 | 0x2028 | 0x2029))
    }

    pub(crate) fn peek(&mut self) -> u32 {
        let c = self.raw(0);
        if self.flags.comments {
            self.peek_past_blanks(c)
        } else {
            c
        }
    }

    pub(crate) fn next(&mut self) -> u32 {
        self.cursor += 1;
        self.peek()
    }

    pub(crate) fn next_escaped(&mut self) -> u32 {
        self.cursor += 1;
        self.raw(0)
    }

    pub(crate) fn read(&mut self) -> u32 {
        let mut c = self.raw(0);
        self.cursor += 1;
        if self.flags.comments {
            while is_space(c) || c == '#' as u32 {
                while is_space(c) {
                    c = self.take();
                }
                if c == '#' as u32 {
                    c = self.take();
                    while !self.is_line_end(c) && (c != 0 || self.cursor <= self.len) {
                        c = self.take();
                    }
                }
            }
        }
        c
    }

    fn take(&mut self) -> u32 {
        self.cursor += 1;
        self.at(self.cursor - 1)
    }

    pub(crate) fn skip(&mut self) -> u32 {
        self.cursor += 2;
        self.at(self.cursor - 1)
    }

    pub(crate) fn unread(&mut self) {
        self.cursor = self.cursor.saturating_sub(1);
    }

    fn peek_past_blanks(&mut self, mut c: u32) -> u32 {
        while is_space(c) || c == '#' as u32 {
            while is_space(c) {
                c = self.next_escaped();
            }
            if c == '#' as u32 {
                c = self.next_escaped();
                while !self.is_line_end(c) && (c != 0 || self.cursor < self.len) {
                    c = self.next_escaped();
                }
            }
        }
        c
    }

    /// The bytes of the pattern from the code point with index `start` to the cursor, and at least one character.
    pub(crate) fn span(&self, start: usize) -> Range<usize> {
        let last = self.offsets.len() - 1;
        let end = self.cursor.max(start + 1).min(last);
        self.offsets[start.min(last)]..self.offsets[end].max(self.offsets[start.min(last)])
    }

    pub(crate) fn text(&self, range: Range<usize>) -> String {
        range
            .filter_map(|index| char::from_u32(self.at(index)))
            .collect()
    }

    pub(crate) fn fold(&self) -> Fold {
        match (self.flags.case_insensitive, self.flags.unicode_case) {
            (false, _) => Fold::Exact,
            (true, false) => Fold::Ascii,
            (true, true) => Fold::Unicode,
        }
    }

    pub(crate) fn deeper<T>(&mut self, inside: impl FnOnce(&mut Parser) -> Parsed<T>) -> Parsed<T> {
        if self.depth == DEPTH {
            return Err(unsupported(
                self.span(self.cursor),
                format!("nested more than {DEPTH} deep"),
            )
            .help("take the pattern apart"));
        }
        self.depth += 1;
        let result = inside(self);
        self.depth -= 1;
        result
    }
}

impl Parser {
    /// Counts what takes time, or has to be kept, beyond the length of the pattern.
    pub(crate) fn charge(&mut self, parts: usize) -> Parsed<()> {
        self.charged += parts;
        if self.charged <= PARTS {
            return Ok(());
        }
        Err(unsupported(
            self.span(self.cursor.min(self.len)),
            format!(
                "the classes and the repeated groups of the pattern have more than {PARTS} parts"
            ),
        )
        .help("nest fewer repeated groups, and write large classes only once"))
    }

    /// The set, shared with its equals.
    pub(crate) fn intern(&mut self, set: Arc<CharSet>) -> Arc<CharSet> {
        if let Some(known) = self.sets.get(&set) {
            return Arc::clone(known);
        }
        self.sets.insert(Arc::clone(&set));
        set
    }

    fn set(&mut self, family: Family) -> Node {
        self.by_chars |= !family.is_bmp;
        Node::Set(family.set)
    }

    fn literal(&mut self, c: u32) -> Node {
        let fold = self.fold();
        let set = match self.literals.get(&(c, fold)) {
            Some(known) => Arc::clone(known),
            None => {
                let set = self.intern(Arc::new(literal(c, fold)));
                self.literals.insert((c, fold), Arc::clone(&set));
                set
            }
        };
        Node::Set(set)
    }

    fn alternation(&mut self) -> Parsed<Node> {
        let mut branches = vec![self.sequence()?];
        while self.peek() == '|' as u32 {
            self.next();
            branches.push(self.sequence()?);
        }
        Ok(match branches.len() {
            1 => branches.remove(0),
            _ => Node::Alternation(branches),
        })
    }

    fn sequence(&mut self) -> Parsed<Node> {
        let mut parts = Vec::new();
        let mut run = Run::default();
        loop {
            let c = self.peek();
            let part = match ascii(c) {
                '|' | ')' => break,
                '\0' if c == 0 && self.at_end() => break,
                '(' => {
                    run.end(self);
                    self.deeper(Parser::group)?
                }
                _ => Some(self.part(c, &mut run)?),
            };
            self.nodes += 1;
            parts.extend(part);
        }
        run.end(self);
        Ok(match parts.len() {
            0 => Node::Empty,
            1 => parts.remove(0),
            _ => Node::Concat(parts),
        })
    }

    /// A part that is no group, with its quantifier. It is apart from the sequence, so that groups in groups take little of
    /// the stack.
    #[inline(never)]
    fn part(&mut self, c: u32, run: &mut Run) -> Parsed<Node> {
        let start = self.cursor;
        let mut written = None;
        let atom = match ascii(c) {
            '[' => {
                let class = self.deeper(|parser| parser.class(true))?;
                self.set(class)
            }
            '\\' => match self.escape_atom()? {
                Escaped::Char(c) => {
                    written = Some(c);
                    self.literal(c)
                }
                Escaped::Set(family) => self.set(family),
                Escaped::Node(node) => node,
            },
            '^' => {
                self.next();
                Node::Assert(if self.flags.multiline {
                    Assertion::LineStart {
                        unix: self.flags.unix_lines,
                    }
                } else {
                    Assertion::TextStart
                })
            }
            '$' => {
                self.next();
                let multiline = self.flags.multiline;
                Node::Assert(Assertion::LineEnd {
                    unix: self.flags.unix_lines,
                    multiline,
                })
            }
            '.' => {
                self.next();
                let set = if self.flags.dotall {
                    CharSet::all()
                } else if self.flags.unix_lines {
                    CharSet::one(10).negate()
                } else {
                    CharSet::of("\n\r\u{85}\u{2028}\u{2029}").negate()
                };
                Node::Set(self.intern(Arc::new(set)))
            }
            '?' | '*' | '+' => {
                let span = self.span(start);
                return Err(
                    invalid(span, format!("`{}` has nothing to repeat", ascii(c)))
                        .help(format!(r"write `\{}` for the character itself", ascii(c))),
                );
            }
            // A counted repetition of nothing.
            '{' => Node::Empty,
            _ => {
                self.next();
                written = Some(c);
                self.literal(c)
            }
        };
        let atom = self.closure(atom)?;
        match written {
            Some(c) => run.add(self, c, matches!(atom, Node::Repeat { .. })),
            None => run.end(self),
        }
        Ok(atom)
    }

    /// An escape outside a character class.
    fn escape_atom(&mut self) -> Parsed<Escaped> {
        if matches!(ascii(self.raw(1)), 'p' | 'P') {
            return Ok(Escaped::Set(self.family()?));
        }
        self.escape(false, false)
    }

    /// From `(` to the end of the group and its quantifier. Nothing comes of `(?i)` but a change of flags.
    fn group(&mut self) -> Parsed<Option<Node>> {
        let saved = self.flags;
        let open = self.cursor;
        let nodes = self.nodes;
        let mut kind = GroupKind::Plain;
        let mut behind = None;
        if self.next() == '?' as u32 {
            let c = self.skip();
            match ascii(c) {
                ':' => {}
                '=' => kind = GroupKind::Ahead { negated: false },
                '!' => kind = GroupKind::Ahead { negated: true },
                '>' => kind = GroupKind::Atomic,
                '<' => match self.read() {
                    c if c == '=' as u32 => behind = Some(false),
                    c if c == '!' as u32 => behind = Some(true),
                    c => {
                        let name = self.group_name(open, c)?;
                        if self.names.contains_key(&name) {
                            return Err(invalid(
                                self.span(open),
                                format!("the group name `{}` is used twice", shown(&name)),
                            )
                            .help("give each named group a name of its own"));
                        }
                        self.groups += 1;
                        self.names.insert(name, self.groups);
                        kind = GroupKind::Capture(self.groups);
                    }
                },
                _ => {
                    self.unread();
                    self.inline_flags();
                    let c = self.read();
                    if c == ')' as u32 {
                        return Ok(None);
                    }
                    if c != ':' as u32 {
                        return Err(self.bad_group(open, c));
                    }
                }
            }
        } else {
            self.groups += 1;
            kind = GroupKind::Capture(self.groups);
        }
        // What is in a look-behind, and behind it, decides whether Java steps back over surrogate pairs.
        let inside = self.cursor;
        let body = Box::new(self.alternation()?);
        if let Some(negated) = behind {
            self.charge(self.nodes - nodes)?;
            let Some(reach) = measure::reach(&body) else {
                return Err(invalid(self.span(open), "the length of this look-behind has no obvious limit").help(
                    "use a bounded quantifier such as `{0,20}` on single characters, not on groups of varying length",
                ));
            };
            let by_chars = self.last_pair.is_some_and(|last| last >= inside);
            if reach.1 < 0 && by_chars {
                return Err(unsupported(
                    self.span(open),
                    "an unbounded look-behind in a pattern with a character above U+FFFF cannot be honoured",
                )
                .help("use a bounded quantifier such as `{0,20}`"));
            }
            kind = GroupKind::Behind {
                negated,
                reach,
                by_chars,
            };
        }
        if self.read() != ')' as u32 {
            self.cursor = open + 1;
            return Err(invalid(self.span(open), "the group is not closed")
                .help(r"add `)`, or write `\(` for a parenthesis in the text"));
        }
        self.flags = saved;
        let group = self.closure(Node::Group { kind, body })?;
        if matches!(group, Node::Repeat { .. }) {
            self.charge(self.nodes - nodes)?;
        }
        Ok(Some(group))
    }

    fn bad_group(&self, open: usize, c: u32) -> SyntaxError {
        let span = self.span(open);
        match ascii(c) {
            'P' => invalid(span, "`(?P` is not Java syntax").help("write `(?<name>…)` and `\\k<name>`"),
            'c' => unsupported(span, "the flag `c` (canonical equivalence) cannot be honoured").help("leave the flag out"),
            '#' => invalid(span, "`(?#…)` is not Java syntax").help("use comments mode: `(?x)` and `# …` to the end of the line"),
            '|' => invalid(span, "`(?|` is not Java syntax").help("give each branch groups of its own"),
            _ => invalid(span, "unknown group or inline flag")
                .help("Java knows (?:…), (?=…), (?!…), (?<=…), (?<!…), (?>…), (?<name>…) and the flags idmsuxU"),
        }
    }

    pub(crate) fn group_name(&mut self, open: usize, first: u32) -> Parsed<String> {
        let mut name = String::new();
        let mut c = first;
        if !ascii(c).is_ascii_alphabetic() {
            return Err(invalid(
                self.span(open),
                "a group name must start with a letter from a to z",
            ));
        }
        while ascii(c).is_ascii_alphanumeric() {
            name.push(ascii(c));
            c = self.read();
        }
        if c != '>' as u32 {
            return Err(invalid(
                self.span(open),
                format!("the group name `{}` is not followed by `>`", shown(&name)),
            )
            .help("Java allows only ASCII letters and digits in a group name, no underscore"));
        }
        Ok(name)
    }

    fn inline_flags(&mut self) {
        let mut on = true;
        let mut c = self.peek();
        loop {
            let flags = &mut self.flags;
            match ascii(c) {
                'i' => flags.case_insensitive = on,
                'm' => flags.multiline = on,
                's' => flags.dotall = on,
                'd' => flags.unix_lines = on,
                'u' => flags.unicode_case = on,
                'x' => flags.comments = on,
                'U' => (flags.unicode_character_class, flags.unicode_case) = (on, on),
                '-' if on => on = false,
                // Canonical equivalence: switching it off changes nothing, switching it on is refused by the caller.
                'c' if !on => {}
                _ => return,
            }
            c = self.next();
        }
    }

    /// Applies a quantifier, if one follows.
    fn closure(&mut self, atom: Node) -> Parsed<Node> {
        let c = self.peek();
        let start = self.cursor;
        let (min, max, written) = match ascii(c) {
            '?' => (0, 1, Written::Question),
            '*' => (0, UNBOUNDED, Written::Symbol),
            '+' => (1, UNBOUNDED, Written::Symbol),
            '{' => {
                match self.counts(start)? {
                    // Java reads these as `?`, and as `*` and `+` with another minimum.
                    (0, Some(1)) => (0, 1, Written::Question),
                    (min, None) => (min, UNBOUNDED, Written::Symbol),
                    (min, Some(max)) => (min, max, Written::Braces),
                }
            }
            _ => return Ok(atom),
        };
        let greed = match ascii(self.next()) {
            '?' => Greed::Lazy,
            '+' => Greed::Possessive,
            _ => Greed::Greedy,
        };
        if greed != Greed::Greedy {
            self.next();
        }
        Ok(Node::Repeat {
            body: Box::new(atom),
            min,
            max,
            greed,
            written,
        })
    }

    /// `{n}`, `{n,}`, `{n,m}`; leaves the cursor on `}`.
    fn counts(&mut self, start: usize) -> Parsed<(u32, Option<u32>)> {
        let refuse = |parser: &Parser, message: &str| {
            Err(invalid(parser.span(start), message)
                .help(r"write {n}, {n,} or {n,m}, or `\{` for a brace in the text"))
        };
        let mut c = self.raw(1);
        if digit(c, 10).is_none() {
            return refuse(self, "`{` is not followed by a number");
        }
        self.cursor += 1;
        let Some(min) = self.number(&mut c) else {
            return refuse(self, "the repetition count is too big");
        };
        let mut max = Some(min);
        if c == ',' as u32 {
            c = self.read_plain();
            max = None;
            if c != '}' as u32 {
                max = self.number(&mut c);
                if max.is_none() {
                    return refuse(self, "the repetition count is too big");
                }
            }
        }
        if c != '}' as u32 {
            return refuse(self, "the counted repetition is not closed");
        }
        if max.is_some_and(|max| max < min) {
            return refuse(
                self,
                "the counted repetition has its limits the wrong way round",
            );
        }
        Ok((min, max))
    }

    /// A number of which `c` is the first digit; afterwards `c` is what follows. No digits at all are zero.
    fn number(&mut self, c: &mut u32) -> Option<u32> {
        let mut number: i32 = 0;
        while let Some(digit) = digit(*c, 10) {
            number = number.checked_mul(10)?.checked_add(digit as i32)?;
            *c = self.read_plain();
        }
        u32::try_from(number).ok()
    }

    fn read_plain(&mut self) -> u32 {
        self.next()
    }
}
