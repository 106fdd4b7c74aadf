//! Whether one pattern is found wherever another one is.
//!
//! The answer is proved by the trees alone, so a no only means that there is no such proof.

use crate::charset::CharSet;
use crate::syntax::{Assertion, Greed, GroupKind, Node};
use crate::{Flags, parser};

/// The most bytes of one pattern times bytes of another for which a proof is looked for: it may compare each part with
/// each.
const MAX_PAIRS: usize = 1 << 24;

/// More of a text does not make it rarer.
const MAX_KEY: usize = 64;

/// A pattern that was read in order to be compared with others.
#[derive(Debug)]
pub struct Cover {
    root: Node,
    bytes: usize,
    keys: Vec<String>,
    text: String,
}

impl Cover {
    /// Reads a pattern; nothing if it is none.
    pub fn new(pattern: &str, flags: Flags) -> Option<Cover> {
        let root = parser::parse(pattern, flags).ok()?.root;
        let (mut keys, mut text) = (Vec::new(), String::new());
        for_each_branch(&root, &mut |branch| {
            let mut key = String::new();
            for_each_run(branch, &mut |run| {
                if run.len() > key.len() {
                    run.clone_into(&mut key);
                }
                text.push_str(run);
                text.push('\0');
            });
            let end = key.char_indices().nth(MAX_KEY);
            key.truncate(end.map_or(key.len(), |(at, _)| at));
            keys.push(key);
        });
        Some(Cover {
            bytes: pattern.len(),
            root,
            keys,
            text,
        })
    }

    /// Whether the pattern is certainly found in every text that is not empty.
    pub fn is_found_everywhere(&self) -> bool {
        always(&self.root)
    }

    /// Whether this pattern is certainly found in every text in which the other one is found. What that takes is added to
    /// `steps`. Long patterns are not compared.
    pub fn is_found_wherever(&self, other: &Cover, steps: &mut u64) -> bool {
        *steps += 1;
        self.bytes.saturating_mul(other.bytes) <= MAX_PAIRS
            && covers(&self.root, &other.root, steps)
    }

    /// Where this pattern is found wherever another one is, one of these is in the [`text`](Self::text) of the other one.
    /// An empty one is in every text.
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// The letters of the pattern that follow each other, without case.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// The alternatives that a pattern consists of.
fn for_each_branch<'n>(node: &'n Node, out: &mut dyn FnMut(&'n Node)) {
    match strip(node) {
        Node::Alternation(branches) => branches
            .iter()
            .for_each(|branch| for_each_branch(branch, out)),
        other => out(other),
    }
}

/// Letters that follow each other in a sequence.
fn for_each_run(node: &Node, out: &mut dyn FnMut(&str)) {
    let mut parts = Vec::new();
    flatten(node, &mut parts);
    let mut run = String::new();
    for part in parts {
        let letter = match part {
            Node::Set(set) => letter(set),
            _ => None,
        };
        match letter {
            Some(letter) => run.push(letter),
            None => {
                out(&run);
                run.clear();
            }
        }
    }
    out(&run);
}

/// What all members of a set are in lower case, if that is the same. A narrower set has the same letter.
fn letter(set: &CharSet) -> Option<char> {
    const FEW: u32 = 8;
    let mut found = None;
    for &(low, high) in set.ranges() {
        if high - low > FEW {
            return None;
        }
        for member in low..=high {
            let lower = char::from_u32(member)?.to_lowercase().next()?;
            if *found.get_or_insert(lower) != lower {
                return None;
            }
        }
    }
    found
}

/// Whether a match of `special` contains a match of `general`: the parts of `general`, one after the other, are those of
/// `special` from some place on, or wider.
fn covers(general: &Node, special: &Node, steps: &mut u64) -> bool {
    if always(general) {
        return true;
    }
    // One branch that is found is enough; and there must be one for every branch that could have been taken.
    if let Node::Alternation(branches) = strip(special) {
        return branches.iter().all(|branch| covers(general, branch, steps));
    }
    if let Node::Alternation(branches) = strip(general) {
        return branches.iter().any(|branch| covers(branch, special, steps));
    }
    let (mut wanted, mut given) = (Vec::new(), Vec::new());
    flatten(general, &mut wanted);
    flatten(special, &mut given);
    *steps += (wanted.len() + given.len()) as u64;
    // What a look-around or a back-reference says depends on what is around it.
    if wanted.iter().any(|node| node.any(&depends)) {
        return wanted == given;
    }
    (0..given.len()).any(|from| {
        let given = &given[from..];
        given.len() >= wanted.len()
            && wanted
                .iter()
                .zip(given)
                .all(|(wide, narrow)| is_wider(wide, narrow, steps))
            && ends_alike(&wanted, given)
    })
}

/// A possessive or greedy part at the end of the general pattern may take more than its counterpart, and still match; in
/// the middle it is followed by the same parts, which were matched behind its counterpart, but possessively it could not
/// give back.
fn ends_alike(wanted: &[&Node], given: &[&Node]) -> bool {
    let possessive = |node: &Node| {
        matches!(
            node,
            Node::Repeat {
                greed: Greed::Possessive,
                ..
            } | Node::Group {
                kind: GroupKind::Atomic,
                ..
            }
        )
    };
    wanted
        .iter()
        .zip(given)
        .all(|(wide, narrow)| wide == narrow || !wide.any(&possessive))
}

/// Whether everything that `narrow` matches is matched by `wide` at the same place and with the same end.
fn is_wider(wide: &Node, narrow: &Node, steps: &mut u64) -> bool {
    *steps += 1;
    if wide == narrow {
        return true;
    }
    match (strip(wide), strip(narrow)) {
        (Node::Set(wide), Node::Set(narrow)) => wide.intersect(narrow) == **narrow,
        (
            Node::Repeat {
                body: wide,
                min: wide_min,
                max: wide_max,
                ..
            },
            Node::Repeat {
                body: narrow,
                min,
                max,
                ..
            },
        ) => wide_min <= min && wide_max >= max && is_wider(wide, narrow, steps),
        (
            Node::Repeat {
                body,
                min: 0 | 1,
                max,
                ..
            },
            narrow @ Node::Set(_),
        ) => *max > 0 && is_wider(body, narrow, steps),
        (Node::Alternation(branches), narrow) => {
            branches.iter().any(|wide| is_wider(wide, narrow, steps))
        }
        (Node::Concat(wide), Node::Concat(narrow)) => {
            wide.len() == narrow.len()
                && wide
                    .iter()
                    .zip(narrow)
                    .all(|(wide, narrow)| is_wider(wide, narrow, steps))
        }
        (wide, narrow) => wide == narrow,
    }
}

fn depends(node: &Node) -> bool {
    matches!(
        node,
        Node::BackReference { .. }
            | Node::Group {
                kind: GroupKind::Ahead { .. } | GroupKind::Behind { .. },
                ..
            }
    )
}

/// What stands in groups that change nothing about what is matched.
fn strip(node: &Node) -> &Node {
    match node {
        Node::Group {
            kind: GroupKind::Capture(_) | GroupKind::Plain,
            body,
        } => strip(body),
        Node::Concat(parts) => match parts.as_slice() {
            [one] => strip(one),
            _ => node,
        },
        _ => node,
    }
}

fn flatten<'n>(node: &'n Node, out: &mut Vec<&'n Node>) {
    match strip(node) {
        Node::Concat(parts) => parts.iter().for_each(|part| flatten(part, out)),
        Node::Empty => {}
        other => out.push(other),
    }
}

/// Whether the pattern is found in every text that is not empty.
fn always(node: &Node) -> bool {
    let mut parts = Vec::new();
    flatten(node, &mut parts);
    if let [Node::Assert(Assertion::TextStart), rest @ ..] = parts.as_slice() {
        parts = rest.to_vec();
    }
    let can_be_empty = |node: &&Node| matches!(node, Node::Repeat { min: 0, .. });
    if parts.iter().all(can_be_empty) {
        return true;
    }
    let is_any =
        |node: &Node| matches!(strip(node), Node::Set(set) if set.negate().ranges().is_empty());
    let takes_any = |node: &&Node| match node {
        Node::Repeat {
            body, min: 1, max, ..
        } => *max > 0 && is_any(body),
        other => is_any(other),
    };
    // What comes before it must be able to give back.
    parts.iter().filter(|node| takes_any(node)).count() == 1
        && parts.iter().all(|node| {
            takes_any(node)
                || can_be_empty(node)
                    && !matches!(
                        node,
                        Node::Repeat {
                            greed: Greed::Possessive,
                            ..
                        }
                    )
        })
}

#[cfg(test)]
mod tests {
    use super::Cover;
    use crate::Flags;

    fn cover(text: &str) -> Cover {
        Cover::new(text, Flags::default()).unwrap()
    }

    fn has_key(special: &Cover, general: &Cover) -> bool {
        let mut keys = general.keys().iter();
        keys.any(|key| special.text().contains(key))
    }

    fn found_wherever(general: &str, special: &str) -> bool {
        let (general, special) = (cover(general), cover(special));
        let is_found = general.is_found_wherever(&special, &mut 0);
        assert!(!is_found || has_key(&special, &general));
        is_found
    }

    #[test]
    fn a_part_of_a_pattern_is_found_wherever_the_pattern_is() {
        for (general, special) in [
            ("Failed", "Failed password"),
            ("password", "Failed password for"),
            (r"Failed \w+", r"Failed ([a-z]+) for"),
            (r"user=\S+", r"user=(\w+)"),
            ("(?i)failed", "Failed"),
            ("a|b", "xb"),
            (r"\d+", r"(\d+):(\d+)"),
            ("(?s).*", "x"),
            ("", "x"),
            ("(?=a)b", "(?=a)b"),
        ] {
            assert!(found_wherever(general, special), "{general} {special}");
        }
    }

    #[test]
    fn what_is_not_certain_is_denied() {
        for (general, special) in [
            ("Failed password", "Failed"),
            ("^Failed", "Failed"),
            ("failed", "Failed"),
            (r"\w++x", r"\w+x"),
            ("b", "a|b"),
            (r"(a)\1", "aa"),
            ("a$", "a"),
            (r"a(?!b)", "a"),
            (r"\d{3}", r"\d{1,3}"),
            ("ab{0}", "ab"),
        ] {
            assert!(!found_wherever(general, special), "{general} {special}");
        }
    }

    #[test]
    fn a_pattern_that_takes_anything_is_found_everywhere() {
        let everywhere = |text: &str| cover(text).is_found_everywhere();
        for text in ["", ".*", "(.*?)", "(?s).", "(?s)^.+", "a*", "^"] {
            assert!(everywhere(text), "{text}");
        }
        for text in [".", "^.+$", "a", "^$", "(?=a)", "(?s)a*+.", "a*^"] {
            assert!(!everywhere(text), "{text}");
        }
    }

    #[test]
    fn a_pattern_has_a_key_by_which_those_that_it_covers_are_known() {
        for (pattern, keys, text) in [
            (
                "Failed (pass)word",
                &["failed password"][..],
                "failed password",
            ),
            (r"user=(\S+) x", &["user="], "user=\0 x"),
            ("(?i)fAiled", &["failed"], "failed"),
            ("a|(?:bc|d)", &["a", "bc", "d"], "a\0bc\0d"),
            (r"\d+", &[""], "\0"),
            (r"é[aA]\w", &["éa"], "éa\0"),
        ] {
            let cover = cover(pattern);
            assert_eq!(cover.keys(), keys, "{pattern}");
            assert_eq!(cover.text(), format!("{text}\0"), "{pattern}");
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig {
            failure_persistence: None,
            ..Default::default()
        })]

        #[test]
        fn what_a_pattern_covers_holds_its_key(
            general in "[a-c]{0,3}(\\(\\?i\\))?[aAb]{0,3}(\\\\w|\\.|x\\+|\\(b\\|c\\))?[a-cB]{0,2}",
            before in "[a-cx]{0,2}",
            after in "[a-cx]{0,2}",
            flips: u8,
        ) {
            // A special one: the general one with something around it, and with other letters in some places.
            let special: String = general
                .chars()
                .enumerate()
                .map(|(at, c)| if c == '.' && flips >> (at % 8) & 1 == 1 { 'q' } else { c })
                .collect();
            let special = format!("{before}{special}{after}");
            let cover = |text: &str| Cover::new(text, Flags::default());
            if let (Some(general), Some(special)) = (cover(&general), cover(&special))
                && general.is_found_wherever(&special, &mut 0)
            {
                proptest::prop_assert!(has_key(&special, &general));
            }
        }
    }
}
