//! Texts of which every match of a pattern holds at least one, so that a text without any of them need not be searched.
//!
//! Upper and lower case of ASCII letters are the same here. What is left out (look-arounds, places, back-references) only
//! makes matches fewer, so that what is said of all matches remains true.

use super::charset::CharSet;
use super::syntax::{GroupKind, Node};

/// The most texts for one pattern.
const MAX_TEXTS: usize = 16;
/// A shorter text is nearly everywhere.
const MIN_LENGTH: usize = 3;
/// More of a text does not make it rarer.
const MAX_LENGTH: usize = 64;

/// The texts of a sequence, in lower case; nothing if there are none that say much.
pub(crate) fn required(parts: &[Node]) -> Option<Vec<String>> {
    let texts = sequence(parts.iter().map(study)).any()?;
    let is_telling = texts.iter().all(|text| text.len() >= MIN_LENGTH);
    is_telling.then_some(texts)
}

/// What is known of a part.
enum Known {
    /// It matches these texts and no others.
    Exactly(Vec<String>),
    /// One of these is in whatever it matches; nothing if none is known.
    Holds(Option<Vec<String>>),
}

impl Known {
    fn nothing() -> Known {
        Known::Exactly(vec![String::new()])
    }

    fn any(self) -> Option<Vec<String>> {
        match self {
            Known::Exactly(texts) => Some(texts),
            Known::Holds(texts) => texts,
        }
    }
}

/// The one that says more: whose shortest text is longer.
fn better(a: Option<Vec<String>>, b: Option<Vec<String>>) -> Option<Vec<String>> {
    let least = |texts: &Option<Vec<String>>| {
        let lengths = texts.iter().flatten().map(String::len);
        lengths.min().unwrap_or(0)
    };
    if least(&a) > least(&b) { a } else { b }
}

fn study(node: &Node) -> Known {
    super::work::make(1);
    match node {
        Node::Empty
        | Node::Assert(_)
        | Node::Group {
            kind: GroupKind::Ahead { .. } | GroupKind::Behind { .. },
            ..
        }
        | Node::Repeat { max: 0, .. } => Known::nothing(),
        Node::Set(set) => match texts(set) {
            Some(texts) => Known::Exactly(texts),
            None => Known::Holds(None),
        },
        Node::LineBreak | Node::Grapheme | Node::BackReference { .. } => Known::Holds(None),
        Node::Group { body, .. } => study(body),
        Node::Concat(parts) => sequence(parts.iter().map(study)),
        Node::Alternation(branches) => alternatives(branches),
        Node::Repeat { body, min, max, .. } => match (study(body), *min, *max) {
            (Known::Exactly(mut texts), 0, 1) if texts.len() < MAX_TEXTS => {
                texts.push(String::new());
                Known::Exactly(texts)
            }
            (_, 0, _) => Known::Holds(None),
            (known, 1, 1) => known,
            (Known::Exactly(texts), min, max) => {
                // One after the other, as often as it has to be and for as long as that is worth it.
                let rounds = (min as usize).min(MAX_LENGTH);
                let repeated = sequence((0..rounds).map(|_| Known::Exactly(texts.clone())));
                match repeated {
                    exact @ Known::Exactly(_) if rounds == max as usize => exact,
                    other => Known::Holds(other.any()),
                }
            }
            (holds, ..) => Known::Holds(holds.any()),
        },
    }
}

fn sequence(parts: impl Iterator<Item = Known>) -> Known {
    let mut best = None;
    let mut is_exact = true;
    let mut run = vec![String::new()];
    for part in parts {
        match part {
            Known::Exactly(texts) if texts.len() * run.len() <= MAX_TEXTS => {
                run = run
                    .iter()
                    .flat_map(|start| texts.iter().map(move |end| format!("{start}{end}")))
                    .collect();
                if run.iter().any(|text| text.len() > MAX_LENGTH) {
                    is_exact = false;
                    best = better(best, Some(std::mem::replace(&mut run, vec![String::new()])));
                }
            }
            Known::Exactly(texts) => {
                is_exact = false;
                best = better(best, Some(std::mem::replace(&mut run, texts)));
            }
            Known::Holds(texts) => {
                is_exact = false;
                best = better(best, Some(std::mem::replace(&mut run, vec![String::new()])));
                best = better(best, texts);
            }
        }
    }
    if is_exact {
        Known::Exactly(run)
    } else {
        Known::Holds(better(best, Some(run)))
    }
}

fn alternatives(branches: &[Node]) -> Known {
    let mut is_exact = true;
    let mut all = Vec::new();
    for branch in branches {
        let known = study(branch);
        is_exact &= matches!(known, Known::Exactly(_));
        match known.any() {
            Some(texts) if all.len() + texts.len() <= MAX_TEXTS => all.extend(texts),
            _ => return Known::Holds(None),
        }
    }
    if is_exact {
        Known::Exactly(all)
    } else {
        Known::Holds(Some(all))
    }
}

/// The members of a small set, in lower case.
fn texts(set: &CharSet) -> Option<Vec<String>> {
    let mut texts: Vec<String> = Vec::new();
    for &(low, high) in set.ranges() {
        for c in low..=high {
            let text = char::from_u32(c)?.to_ascii_lowercase().to_string();
            if !texts.contains(&text) {
                texts.push(text);
            }
            if texts.len() > 4 {
                return None;
            }
        }
    }
    (!texts.is_empty()).then_some(texts)
}

#[cfg(test)]
mod tests {
    use super::super::{Flags, parser};
    use super::*;

    fn of(pattern: &str, case_insensitive: bool) -> Vec<String> {
        let flags = Flags {
            case_insensitive,
            ..Flags::default()
        };
        required(parser::parse(pattern, flags).unwrap().parts()).unwrap_or_default()
    }

    #[test]
    fn every_match_holds_one_of_the_texts() {
        for (pattern, texts) in [
            ("abc", vec!["abc"]),
            (r"\bexvpnd\[\d+\]: (.*)", vec!["exvpnd["]),
            (
                r"^<\d+>.*(?:Accepted|Failed) (\S+) for ",
                vec!["accepted ", "failed "],
            ),
            (r"sshd(?:-session)?\[\d", vec!["sshd-session[", "sshd["]),
            (r"(?:abc|abd\d)x?", vec!["abc", "abd"]),
            (r"(?:abc){2}d", vec!["abcabcd"]),
            (r"(?:abc){2,}d", vec!["abcabc"]),
            (r"a[bc]d", vec!["abd", "acd"]),
            (r"é+user=", vec!["user="]),
            // None that says much.
            (r"(?:abc)?\d+", vec![]),
            (r"(?:abc)*d", vec![]),
            (r"(?=abc)\w+", vec![]),
            (r"(?:abc|\d+)", vec![]),
            (r"(?:abc){0}", vec![]),
            (r"(?:abc|)\d{2}", vec![]),
            ("ab", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(of(pattern, false), texts, "{pattern}");
        }
        assert_eq!(of("Abc=(.*)", true), ["abc="]);
    }

    #[test]
    fn a_letter_with_cases_outside_ascii_counts_with_all_of_them() {
        let texts = of("(?iu)kat", false);
        assert_eq!(texts, ["kat", "\u{212A}at"]);
    }

    #[test]
    fn long_and_hostile_patterns_are_no_trouble() {
        let long = "a".repeat(5000);
        assert!(of(&long, false)[0].len() > 60);
        of(&"(?:a|b)".repeat(500), true);
        of(&"[ab]{2000}".repeat(20), true);
        let nested = format!("{}x{}", "(?:abc|".repeat(100), ")".repeat(100));
        assert_eq!(of(&nested, false).len(), 0);
    }
}
