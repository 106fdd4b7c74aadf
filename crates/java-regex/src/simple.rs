//! Patterns that need no engine: a fixed text and a run of characters behind it.
//!
//! `src=(\S+)`, `^AdvancedHunting-(.+)$`, `(?s)^.+` and their likes are most of what log source extensions hold. For them
//! the general engines cost many times what there is to do.

use super::charset::CharSet;
use super::syntax::{Assertion, Greed, GroupKind, Node, Tree, UNBOUNDED};
use memchr::memmem::Finder;
use std::ops::Range;
use std::sync::Arc;

/// A run that has to be longer is left to the engines.
const MAX_MIN: u32 = 16;

/// So is a longer text in front of it, which would be compared anew at each place where it nearly stands.
const MAX_TEXT: usize = 64;

/// A pattern of this shape: `^`, a text, a greedy run, `$`, each of them optional but the run.
#[derive(Clone, Debug)]
pub(crate) struct Simple {
    /// `^`
    anchored: bool,
    text: Finder<'static>,
    set: Arc<CharSet>,
    min: usize,
    max: usize,
    /// The run is `.+`, with `.` for every character.
    takes_all: bool,
    /// The run is group 1.
    captured: bool,
    /// `$`, only with `^`: without it, the run could begin at another place and reach the end.
    ended: bool,
}

/// Where the whole match and the run are.
pub(crate) struct Match {
    pub(crate) whole: Range<usize>,
    pub(crate) run: Range<usize>,
}

/// The pattern in this shape, if it has it.
pub(crate) fn build(tree: &Tree) -> Option<Simple> {
    let mut parts = tree.parts();
    let mut anchored = false;
    if let [Node::Assert(Assertion::TextStart), rest @ ..] = parts {
        (anchored, parts) = (true, rest);
    }
    let mut ended = false;
    if let [rest @ .., end] = parts
        && let Node::Assert(Assertion::LineEnd {
            multiline: false, ..
        }) = end
    {
        (ended, parts) = (true, rest);
    }
    let (run, fixed) = parts.split_last()?;
    let mut text = String::new();
    for part in fixed {
        let Node::Set(set) = part else { return None };
        text.push(char::from_u32(set.single()?)?);
    }
    let (run, captured) = match run {
        Node::Group {
            kind: GroupKind::Capture(1),
            body,
        } => (body.as_ref(), true),
        other => (other, false),
    };
    let (set, min, max) = match run {
        Node::Set(set) => (set, 1, 1),
        Node::Repeat {
            body,
            min,
            max,
            greed: Greed::Greedy,
            ..
        } => match body.as_ref() {
            Node::Set(set) => (set, *min, *max),
            _ => return None,
        },
        _ => return None,
    };
    let groups = usize::from(captured);
    // A run that may be empty and has nothing in front of it matches anywhere; nobody writes that. What a run lacks is
    // found out anew at each place where it could begin, so that it must not be much.
    if tree.groups != groups
        || (ended && !anchored)
        || (min == 0 && text.is_empty())
        || min > MAX_MIN
        || text.len() > MAX_TEXT
    {
        return None;
    }
    Some(Simple {
        anchored,
        text: Finder::new(text.as_bytes()).into_owned(),
        set: Arc::clone(set),
        min: min as usize,
        max: if max >= UNBOUNDED {
            usize::MAX
        } else {
            max as usize
        },
        takes_all: min == 1 && max >= UNBOUNDED && **set == CharSet::all(),
        captured,
        ended,
    })
}

impl Simple {
    /// Whether the answer for this text is Java's: `$` also matches before a line terminator at the end of the text.
    pub(crate) fn takes(&self, text: &str) -> bool {
        !self.ended || !text.ends_with(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'])
    }

    /// The first match.
    pub(crate) fn find(&self, text: &str) -> Option<Match> {
        let bytes = text.as_bytes();
        let fixed = self.text.needle();
        if self.anchored {
            let run = self.run(text, fixed.len());
            return run.filter(|_| bytes.starts_with(fixed)).map(|run| Match {
                whole: 0..run.end,
                run,
            });
        }
        let mut from = 0;
        loop {
            let start = if fixed.is_empty() {
                from + text
                    .get(from..)?
                    .find(|c| self.set.contains(u32::from(c)))?
            } else {
                from + self.text.find(bytes.get(from..)?)?
            };
            if let Some(run) = self.run(text, start + fixed.len()) {
                return Some(Match {
                    whole: start..run.end,
                    run,
                });
            }
            // The next character.
            from = start + 1;
            while !text.is_char_boundary(from) {
                from += 1;
            }
        }
    }

    /// The group that the run is.
    pub(crate) fn group<'m>(&self, found: &'m Match, group: usize) -> Option<&'m Range<usize>> {
        match group {
            0 => Some(&found.whole),
            1 if self.captured => Some(&found.run),
            _ => None,
        }
    }

    /// The run that begins at a place, if it is long enough and ends where it has to.
    fn run(&self, text: &str, start: usize) -> Option<Range<usize>> {
        let bytes = text.as_bytes();
        if self.takes_all {
            return (start < bytes.len()).then_some(start..bytes.len());
        }
        // In ASCII a character is a byte.
        let is_other = |&byte: &u8| byte >= 128 || !self.set.contains_ascii(byte);
        let ascii = bytes.get(start..)?.iter().take(self.max);
        let mut count = ascii.clone().position(is_other).unwrap_or(ascii.len());
        let mut end = start + count;
        while count < self.max && end < bytes.len() {
            let c = text.get(end..)?.chars().next()?;
            if !self.set.contains(u32::from(c)) {
                break;
            }
            end += c.len_utf8();
            count += 1;
        }
        (count >= self.min && (!self.ended || end == text.len())).then_some(start..end)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Flags, JavaRegex, Slots};
    use proptest::prelude::*;

    const PATTERNS: &[&str] = &[
        "(?s)^.+",
        ".",
        ".+",
        "(.)",
        "^.*$x",
        "^a.*",
        "^ab(.+)$",
        "^ab(.*)$",
        "^a([^b]{1,3})$",
        "a=(\\S+)",
        "a=([^,]*)",
        "aa(b)",
        "aab{2,3}",
        "(\\d{1,2})",
        "é(\\w+)",
        "^([^.]+)",
        "(?s)^a(.+)$",
        "[^a]+",
        "^b$",
        "(?d)^a(.+)$",
    ];

    fn groups(slots: &Slots, count: usize) -> Vec<Option<std::ops::Range<usize>>> {
        (0..=count).map(|group| slots.get(group)).collect()
    }

    #[test]
    fn the_common_shapes_are_recognised_and_others_are_not() {
        let is_simple = |pattern| {
            let regex = JavaRegex::new(pattern, Flags::default()).unwrap();
            regex.inner.simple.is_some()
        };
        for pattern in PATTERNS {
            assert_eq!(is_simple(pattern), *pattern != "^.*$x", "{pattern}");
        }
        for pattern in [
            "a|b",
            "a.+?",
            "a.++",
            "(?i)a=(.+)",
            "(a)=(.+)",
            "a(.+)$",
            "x*",
            "",
            "a(b+)c",
            "(?m)^a.+",
        ] {
            assert!(!is_simple(pattern), "{pattern}");
        }
    }

    proptest! {
        #[test]
        fn simple_patterns_find_what_the_backtracking_engine_finds(
            text in "[ab=,.1é\u{1F600}\n\r\u{85}\u{2028} ]{0,12}",
            pattern in prop::sample::select(PATTERNS),
        ) {
            let regex = JavaRegex::new(pattern, Flags::default()).unwrap();
            let (mut slots, mut expected) = (Slots::default(), Slots::default());
            let found = regex.find(&text, &mut slots, 100_000);
            prop_assert_eq!(found, regex.find_by_backtracking(&text, &mut expected, 100_000));
            prop_assert_eq!(regex.is_match(&text, &mut Slots::default(), 100_000), found);
            let count = regex.group_count();
            prop_assert_eq!(groups(&slots, count), groups(&expected, count), "{}", pattern);
        }
    }
}
