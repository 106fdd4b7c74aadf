//! Whether one pattern is found wherever another one is.
//!
//! The answer is proved by the trees alone, so a no only means that there is no such proof.

use super::syntax::{Assertion, Greed, GroupKind, Node};

/// Whether a match of `special` contains a match of `general`: the parts of `general`, one after the other, are those of
/// `special` from some place on, or wider.
pub(super) fn covers(general: &Node, special: &Node) -> bool {
    if always(general) {
        return true;
    }
    // One branch that is found is enough; and there must be one for every branch that could have been taken.
    if let Node::Alternation(branches) = strip(special) {
        return branches.iter().all(|branch| covers(general, branch));
    }
    if let Node::Alternation(branches) = strip(general) {
        return branches.iter().any(|branch| covers(branch, special));
    }
    let (mut wanted, mut given) = (Vec::new(), Vec::new());
    flatten(general, &mut wanted);
    flatten(special, &mut given);
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
                .all(|(wide, narrow)| is_wider(wide, narrow))
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
fn is_wider(wide: &Node, narrow: &Node) -> bool {
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
        ) => wide_min <= min && wide_max >= max && is_wider(wide, narrow),
        (
            Node::Repeat {
                body,
                min: 0 | 1,
                max,
                ..
            },
            narrow @ Node::Set(_),
        ) => *max > 0 && is_wider(body, narrow),
        (Node::Alternation(branches), narrow) => branches.iter().any(|wide| is_wider(wide, narrow)),
        (Node::Concat(wide), Node::Concat(narrow)) => {
            wide.len() == narrow.len()
                && wide
                    .iter()
                    .zip(narrow)
                    .all(|(wide, narrow)| is_wider(wide, narrow))
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
pub(super) fn always(node: &Node) -> bool {
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
    use super::super::{Flags, JavaRegex};

    fn found_wherever(general: &str, special: &str) -> bool {
        let regex = |text: &str| JavaRegex::new(text, Flags::default()).unwrap();
        regex(general).is_found_wherever(&regex(special))
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
        let everywhere = |text: &str| {
            JavaRegex::new(text, Flags::default())
                .unwrap()
                .is_found_everywhere()
        };
        for text in ["", ".*", "(.*?)", "(?s).", "(?s)^.+", "a*", "^"] {
            assert!(everywhere(text), "{text}");
        }
        for text in [".", "^.+$", "a", "^$", "(?=a)", "(?s)a*+.", "a*^"] {
            assert!(!everywhere(text), "{text}");
        }
    }
}
