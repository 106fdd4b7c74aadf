//! Writes trees down again, and makes one expression of two.
//!
//! [`lower`] is for `dsmith:within`, which QRadar does not have: one expression finds a value, a second one runs over it.
//! The first has to be `head(.*)` or `head(.+)`, with `$` or without, so that its value is the rest of a line. The single
//! expression has three parts:
//!
//! 1. The first place where the head matches, and no other: `^` if the head begins with it, else
//!    `^(?:(?!head)(?s:.))*+`, which steps over every place where it does not. The head itself stands in `(?>…)`, so it
//!    matches in the first of its ways, as it does when `.*` follows, which never fails. What could fail behind it, the `+`
//!    or the `$`, is asked for by a look-ahead in the same group.
//! 2. `.*?`, unless the second expression begins with `^`: it may begin anywhere in the value, the first place goes first.
//! 3. The second expression. All its sets lose the line terminators, so it cannot leave the line, and its `$` becomes
//!    `(?!.)`, the end of the line.
//!
//! What could see beyond the value (a look-behind, `\b` at its beginning) is refused. The result is read again and compared
//! with the tree it was written from.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::charset::{CharSet, MAX};
use crate::syntax::{Assertion, Greed, GroupKind, Node, Tree, UNBOUNDED, Written};
use crate::{Flags, parser};

/// What leads to a value.
pub(super) struct Head {
    /// Matches the text before the value.
    pub(super) text: String,
    /// The character before the value, if it is always the same.
    pub(super) last: Option<char>,
}

fn terminators() -> CharSet {
    CharSet::of("\n\r\u{85}\u{2028}\u{2029}")
}

/// See the text of the module.
pub(super) fn head(tree: &Tree) -> Result<Head, &'static str> {
    const SHAPE: &str = "the outer expression does not end in (.*) or (.+)";
    let parts = match &tree.root {
        Node::Concat(parts) => parts.as_slice(),
        other => std::slice::from_ref(other),
    };
    let (parts, ended) = match parts {
        [
            rest @ ..,
            Node::Assert(Assertion::LineEnd {
                unix: false,
                multiline: false,
            }),
        ] => (rest, true),
        all => (all, false),
    };
    let Some((
        Node::Group {
            kind: GroupKind::Capture(1),
            body,
        },
        head,
    )) = parts.split_last()
    else {
        return Err(SHAPE);
    };
    let Node::Repeat {
        body,
        min: min @ (0 | 1),
        max: UNBOUNDED,
        greed: Greed::Greedy,
        ..
    } = body.as_ref()
    else {
        return Err(SHAPE);
    };
    if !matches!(body.as_ref(), Node::Set(set) if **set == terminators().negate()) {
        return Err(SHAPE);
    }
    let (anchored, rest) = match head {
        [Node::Assert(Assertion::TextStart), rest @ ..] => (true, rest),
        all => (false, all),
    };
    let mut text = String::new();
    for part in rest {
        print(part, &mut text)?;
    }
    verify(&text, rest)?;
    if *min == 1 {
        text.push_str("(?=.)");
    }
    if ended {
        text.push_str("(?=.*$)");
    }
    let start = if anchored {
        "^".to_owned()
    } else {
        format!("^(?:(?!{text})(?s:.))*+")
    };
    Ok(Head {
        text: format!("{start}(?>{text})"),
        last: match rest.last() {
            Some(Node::Set(set)) => set.single().and_then(char::from_u32),
            _ => None,
        },
    })
}

/// See the text of the module.
pub(super) fn lower(outer: &Tree, inner: &Tree) -> Result<String, &'static str> {
    let head = head(outer)?;
    let parts = match &inner.root {
        Node::Concat(parts) => parts.as_slice(),
        other => std::slice::from_ref(other),
    };
    let (anchored, parts) = match parts {
        [Node::Assert(Assertion::TextStart), rest @ ..] => (true, rest),
        all => (false, all),
    };
    let after_blank = head
        .last
        .is_some_and(|c| c.is_ascii() && !c.is_ascii_alphanumeric() && c != '_');
    let confined: Vec<Node> = parts
        .iter()
        .map(|part| confine(part, after_blank))
        .collect::<Result<_, _>>()?;
    let mut text = String::new();
    if inner.groups == 0 {
        text.push('(');
    }
    let alternatives = matches!(confined.as_slice(), [Node::Alternation(_)]);
    if alternatives && inner.groups > 0 {
        text.push_str("(?:");
    }
    let mut written = String::new();
    for part in &confined {
        print(part, &mut written)?;
    }
    verify(&written, &confined)?;
    text.push_str(&written);
    if inner.groups == 0 || alternatives {
        text.push(')');
    }
    let skip = if anchored { "" } else { ".*?" };
    Ok(format!("{}{skip}{text}", head.text))
}

/// The node such that it cannot leave the line it is on.
fn confine(node: &Node, after_blank: bool) -> Result<Node, &'static str> {
    let inside = |node: &Node| confine(node, after_blank);
    Ok(match node {
        Node::Empty => Node::Empty,
        Node::Set(set) => Node::Set(Arc::new(set.minus(&terminators()))),
        Node::Assert(Assertion::LineEnd {
            multiline: false, ..
        })
        | Node::Assert(Assertion::TextEnd) => Node::Group {
            kind: GroupKind::Ahead { negated: true },
            body: Box::new(Node::Set(Arc::new(terminators().negate()))),
        },
        Node::Assert(what @ Assertion::Word { .. }) if after_blank => Node::Assert(*what),
        Node::Assert(_) => return Err("the inner expression has an anchor inside"),
        Node::LineBreak => return Err(r"the inner expression has a \R"),
        Node::Grapheme => return Err(r"the inner expression has a \X"),
        Node::BackReference { .. } => return Err("the inner expression has a back-reference"),
        Node::Group {
            kind: GroupKind::Behind { .. },
            ..
        } => return Err("the inner expression has a look-behind"),
        Node::Group { kind, body } => Node::Group {
            kind: *kind,
            body: Box::new(inside(body)?),
        },
        Node::Repeat {
            body,
            min,
            max,
            greed,
            written,
        } => Node::Repeat {
            body: Box::new(inside(body)?),
            min: *min,
            max: *max,
            greed: *greed,
            written: *written,
        },
        Node::Concat(parts) => Node::Concat(parts.iter().map(inside).collect::<Result<_, _>>()?),
        Node::Alternation(parts) => {
            Node::Alternation(parts.iter().map(inside).collect::<Result<_, _>>()?)
        }
    })
}

/// What was written means what it was written from.
fn verify(text: &str, parts: &[Node]) -> Result<(), &'static str> {
    const FAULT: &str = "an expression cannot be written down again";
    let tree = parser::parse(text, Flags::default()).map_err(|_| FAULT)?;
    let root = match parts {
        [] => Node::Empty,
        [one] => one.clone(),
        many => Node::Concat(many.to_vec()),
    };
    // Groups may have other numbers in a part than in the whole, but the same order.
    let mut root = root;
    let mut next = 0;
    renumber(&mut root, &mut next);
    (tree.root == root).then_some(()).ok_or(FAULT)
}

fn renumber(node: &mut Node, next: &mut usize) {
    match node {
        Node::Group { kind, body } => {
            if let GroupKind::Capture(group) = kind {
                *next += 1;
                *group = *next;
            }
            renumber(body, next);
        }
        Node::Repeat { body, .. } => renumber(body, next),
        Node::Concat(parts) | Node::Alternation(parts) => {
            parts.iter_mut().for_each(|part| renumber(part, next));
        }
        _ => {}
    }
}

fn print(node: &Node, out: &mut String) -> Result<(), &'static str> {
    match node {
        Node::Empty => {}
        Node::Set(set) => print_set(set, out),
        Node::Assert(what) => out.push_str(match what {
            Assertion::TextStart => "^",
            Assertion::TextEnd => r"\z",
            Assertion::LineEnd {
                unix: false,
                multiline: false,
            } => "$",
            Assertion::Word {
                negated: false,
                unicode: false,
            } => r"\b",
            Assertion::Word {
                negated: true,
                unicode: false,
            } => r"\B",
            _ => return Err("an expression has an anchor of a rare kind"),
        }),
        Node::LineBreak => out.push_str(r"\R"),
        Node::Grapheme => out.push_str(r"\X"),
        Node::BackReference { .. } => return Err("an expression has a back-reference"),
        Node::Group { kind, body } => {
            out.push_str(match kind {
                GroupKind::Capture(_) => "(",
                GroupKind::Plain => "(?:",
                GroupKind::Atomic => "(?>",
                GroupKind::Ahead { negated: false } => "(?=",
                GroupKind::Ahead { negated: true } => "(?!",
                GroupKind::Behind { negated: false, .. } => "(?<=",
                GroupKind::Behind { negated: true, .. } => "(?<!",
            });
            print(body, out)?;
            out.push(')');
        }
        Node::Repeat {
            body,
            min,
            max,
            greed,
            written,
        } => {
            print(body, out)?;
            let _ = match (written, *min, *max) {
                (Written::Question, ..) => write!(out, "?"),
                (_, 0, UNBOUNDED) => write!(out, "*"),
                (_, 1, UNBOUNDED) => write!(out, "+"),
                (_, min, UNBOUNDED) => write!(out, "{{{min},}}"),
                (_, min, max) if min == max => write!(out, "{{{min}}}"),
                (_, min, max) => write!(out, "{{{min},{max}}}"),
            };
            out.push_str(match greed {
                Greed::Greedy => "",
                Greed::Lazy => "?",
                Greed::Possessive => "+",
            });
        }
        Node::Concat(parts) => {
            for part in parts {
                print(part, out)?;
            }
        }
        Node::Alternation(branches) => {
            for (index, branch) in branches.iter().enumerate() {
                if index > 0 {
                    out.push('|');
                }
                print(branch, out)?;
            }
        }
    }
    Ok(())
}

fn print_set(set: &CharSet, out: &mut String) {
    let known = [
        (".", terminators().negate()),
        (r"\d", CharSet::range(u32::from('0'), u32::from('9'))),
        (r"\s", CharSet::of("\t\n\u{b}\u{c}\r ")),
        (r"\S", CharSet::of("\t\n\u{b}\u{c}\r ").negate()),
        (
            r"\w",
            CharSet::new(
                [('0', '9'), ('A', 'Z'), ('a', 'z'), ('_', '_')]
                    .map(|(low, high)| (u32::from(low), u32::from(high)))
                    .to_vec(),
            ),
        ),
    ];
    if let Some((text, _)) = known.iter().find(|(_, known)| known == set) {
        out.push_str(text);
    } else if let Some(c) = set.single() {
        print_char(c, out);
    } else if set.ranges().is_empty() {
        out.push_str(r"[a&&b]");
    } else {
        out.push('[');
        let negated = set.contains(MAX);
        if negated {
            out.push('^');
        }
        let members = if negated { set.negate() } else { set.clone() };
        if members.ranges().is_empty() {
            out.push_str(r"a&&b");
        }
        for &(low, high) in members.ranges() {
            print_char(low, out);
            if high > low + 1 {
                out.push('-');
            }
            if high > low {
                print_char(high, out);
            }
        }
        out.push(']');
    }
}

fn print_char(c: u32, out: &mut String) {
    let _ = match char::from_u32(c) {
        Some(c)
            if c.is_ascii_alphanumeric()
                || matches!(
                    c,
                    ' ' | '_'
                        | ';'
                        | ','
                        | '='
                        | ':'
                        | '"'
                        | '@'
                        | '/'
                        | '%'
                        | '<'
                        | '>'
                        | '\''
                        | '!'
                        | '~'
                        | '#'
                ) =>
        {
            write!(out, "{c}")
        }
        Some('\t') => write!(out, r"\t"),
        Some('\n') => write!(out, r"\n"),
        Some('\r') => write!(out, r"\r"),
        Some(c) if c.is_ascii_punctuation() => write!(out, r"\{c}"),
        Some(c) if c.is_alphabetic() => write!(out, "{c}"),
        _ if c < 0x80 => write!(out, r"\x{c:02X}"),
        _ if c <= 0xFFFF => write!(out, r"\u{c:04X}"),
        _ => write!(out, r"\x{{{c:X}}}"),
    };
}

/// White space other than line terminators, as a part of a class.
const BLANK: &str = r"\t\x0B\x0C \u00A0\u1680\u2000-\u200A\u202F\u205F\u3000";
/// What stands between quotes, of which a backslash protects one.
const QUOTED: &str = r#"(?:[^"\\\n\r\u0085\u2028\u2029]|\\.)*+"#;

/// An expression for the value of a pair, or for an item of a list, in the rest of a line; see
/// `extract::delimited` of the crate `dsm` for what is read; a test there compares the two.
pub(super) struct Items {
    /// Everything but the delimiter.
    not: String,
    delimiter: String,
    /// The end of the line.
    blank_end: String,
}

impl Items {
    /// For a delimiter of one ASCII character that is neither a quote, a backslash nor a blank.
    pub(super) fn new(delimiter: &str) -> Result<Self, &'static str> {
        let escaped = one(delimiter)?;
        Ok(Self {
            not: format!(r"[^{escaped}\n\r\u0085\u2028\u2029]"),
            delimiter: escaped,
            blank_end: format!("[{BLANK}]*+(?!.)"),
        })
    }

    /// A value in double quotes that ends its item.
    fn quoted(&self) -> String {
        let Self {
            delimiter,
            blank_end,
            ..
        } = self;
        format!(r#"{QUOTED}"(?:(?={delimiter})|{blank_end})"#)
    }

    /// The value that begins here, as the first group.
    fn value(&self) -> String {
        let Self { not, delimiter, .. } = self;
        let quoted = self.quoted();
        let enclosed = format!(r#"{not}*"[{BLANK}]*+(?:(?={delimiter})|(?!.))"#);
        format!(
            r#"(?: *+"(?={quoted})|(?! *+"{quoted})[{BLANK}]*+"(?={enclosed})|(?! *+"{quoted})(?![{BLANK}]*+"{enclosed}))((?<!")(?:{not}*+)|(?<=")(?={quoted}){QUOTED}|(?<=")(?!{quoted}){not}*(?="[{BLANK}]*+(?:{delimiter}|(?!.))))"#
        )
    }

    /// An item and what is behind it, up to its delimiter; `name`: what comes before its value.
    fn item(&self, name: &str) -> String {
        let Self { not, .. } = self;
        format!(r#"(?>{name} *+"{}|{not}*+)"#, self.quoted())
    }
}

/// Item `index` of a list behind a head.
pub(super) fn list_item(
    head: &Head,
    delimiter: &str,
    index: usize,
) -> Result<String, &'static str> {
    let items = Items::new(delimiter)?;
    if index == 0 && head.last.is_none_or(|c| c == '"') {
        return Err("what comes before the first item is not certain");
    }
    let skip = match index {
        0 => String::new(),
        _ => format!("(?:{}{}){{{index}}}", items.item(""), items.delimiter),
    };
    Ok(format!("{}{skip}{}", head.text, items.value()))
}

/// The value of a name in name-value pairs behind a head.
pub(super) fn pair_value(
    head: &Head,
    pair: &str,
    name_value: &str,
    name: &str,
) -> Result<String, &'static str> {
    let items = Items::new(pair)?;
    let between = one(name_value)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-@#/".contains(c);
    if pair == name_value || name.is_empty() || !name.chars().all(plain) {
        return Err("the name or the delimiters are not plain text");
    }
    if name.contains(pair) || name.contains(name_value) {
        return Err("the name holds a delimiter");
    }
    let mut written = String::new();
    for c in name.chars() {
        print_char(c as u32, &mut written);
    }
    let named = format!("{written}[{BLANK}]*+{between}");
    let before = format!(r"[^{}{between}\n\r\u0085\u2028\u2029]*", items.delimiter);
    let first = format!("(?:{before}[{BLANK}])?{named}");
    let other = format!("[{BLANK}]*+{named}");
    let item = items.item(&format!("{before}+{between}"));
    let delimiter = &items.delimiter;
    Ok(format!(
        "{}(?:{first}|(?!{first}){item}{delimiter}(?:(?!{other}){item}{delimiter})*+{other}){}",
        head.text,
        items.value()
    ))
}

/// A delimiter as it stands in an expression and in a class.
fn one(delimiter: &str) -> Result<String, &'static str> {
    let mut chars = delimiter.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) if c == '\t' || (c.is_ascii_punctuation() && c != '"' && c != '\\') => {
            let mut out = String::new();
            print_char(c as u32, &mut out);
            Ok(out)
        }
        _ => Err("a delimiter is more than one punctuation mark"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{JavaRegex, Slots};

    fn regex(text: &str) -> JavaRegex {
        JavaRegex::new(text, Flags::default()).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn found(regex: &JavaRegex, text: &str) -> Option<Vec<Option<String>>> {
        let mut slots = Slots::default();
        let groups = regex.group_count();
        regex.find(text, &mut slots, 10_000_000).unwrap().then(|| {
            let group = |group| slots.get(group).map(|range| text[range].to_owned());
            (1..=groups).map(group).collect()
        })
    }

    /// Texts made of pieces, the same in every run.
    fn texts(pieces: &[&str], count: usize, length: usize) -> Vec<String> {
        let mut state = 0x9E37_79B9_7F4A_7C15u64;
        let mut next = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % below as u64) as usize
        };
        (0..count)
            .map(|_| {
                let length = next(length) + 1;
                (0..length).map(|_| pieces[next(pieces.len())]).collect()
            })
            .collect()
    }

    #[test]
    fn what_is_written_down_is_read_as_the_same_tree() {
        let cases = include_str!("../../tests/java/regex-cases.tsv");
        let (mut written, mut read) = (0, 0);
        for line in cases.lines() {
            let Some(pattern) = line.split('\t').nth(1) else {
                continue;
            };
            let Ok(tree) = parser::parse(pattern, Flags::default()) else {
                continue;
            };
            read += 1;
            let mut text = String::new();
            if print(&tree.root, &mut text).is_ok() && verify(&text, &[tree.root]).is_ok() {
                written += 1;
            }
        }
        assert!(read > 300 && written * 10 > read * 7, "{written} of {read}");
    }

    #[test]
    fn one_expression_finds_what_the_two_find_one_after_the_other() {
        let pieces = [
            "h: ", "h", ": ", "a", "b", "=", "1", "22", ";", " ", "\n", "\r\n", "é", "\u{2028}",
        ];
        let texts = texts(&pieces, 300, 14);
        let mut matches = 0;
        for outer in [
            "h: (.*)",
            "^h: (.+)",
            r"\bh: (.*)$",
            "^(?:h|h: )*: (.*)",
            "h(?:: )?(.+)$",
        ] {
            for inner in [
                "a",
                "a=(\\d+)",
                "^a",
                "^(.+)$",
                "b$",
                "(a|ab)(b?)",
                "[^;]*;([^;]*)",
                "^\\s*(\\S+)",
                "(?=a)(.)",
                "a|b",
                "(a)|(b)",
                "\\w+$",
                "(?i)A(?!\\s)",
                "([^=]*)=([^=]*)$",
            ] {
                let (outer, inner) = (regex(outer), regex(inner));
                let single = match outer.lower(&inner) {
                    Ok(single) => regex(&single),
                    Err(error) => panic!("{} {}: {error}", outer.pattern(), inner.pattern()),
                };
                let mut slots = Slots::default();
                for text in &texts {
                    let value = found(&outer, text).map(|groups| groups[0].clone().unwrap());
                    let two = value.and_then(|value| {
                        let groups = found(&inner, &value)?;
                        if !groups.is_empty() {
                            return Some(groups);
                        }
                        inner.find(&value, &mut slots, 1_000_000).unwrap();
                        Some(vec![slots.get(0).map(|range| value[range].to_owned())])
                    });
                    matches += usize::from(two.is_some());
                    assert_eq!(
                        found(&single, text),
                        two,
                        "{:?} {} {} {}",
                        text,
                        outer.pattern(),
                        inner.pattern(),
                        single.pattern()
                    );
                }
            }
        }
        assert!(matches > 700, "{matches}");
    }

    #[test]
    fn what_could_see_beyond_the_value_is_not_lowered() {
        let outer = regex("h: (.*)");
        for inner in ["(?<=x)a", "(?:^|, )a", r"(a)\1", r"\R", "(?m)^a"] {
            assert!(outer.lower(&regex(inner)).is_err(), "{inner}");
        }
        assert!(regex("h(.*)").lower(&regex(r"\ba")).is_err());
        for outer in ["h: (.*) x", "h: (.*?)", "h: .*", "(h): (.*)", "h: ([^;]*)"] {
            assert!(regex(outer).lower(&regex("a")).is_err(), "{outer}");
        }
    }
}
