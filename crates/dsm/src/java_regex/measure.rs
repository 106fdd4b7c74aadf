//! How far a look-behind reaches, as Java computes it: with 32-bit arithmetic that may overflow.
//!
//! The surprises are Java's: `(?<=user=\S+)` works because its length overflows to a value that lets every start pass,
//! `(?<=a*b*)` never matches because its length overflows to less than nothing.

use super::syntax::{Greed, GroupKind, Node, Written};

#[derive(Clone, Copy)]
struct Length {
    min: i32,
    max: i32,
    valid: bool,
}

const NOTHING: Length = Length {
    min: 0,
    max: 0,
    valid: true,
};

/// What comes after the nodes at hand.
struct Rest<'a> {
    nodes: &'a [Node],
    after: Option<&'a Rest<'a>>,
}

/// The least and most characters of the body of a look-behind, or nothing if Java refuses it.
pub(super) fn reach(body: &Node) -> Option<(i32, i32)> {
    let mut length = NOTHING;
    study(std::slice::from_ref(body), None, &mut length);
    length.valid.then_some((length.min, length.max))
}

fn alone(node: &Node) -> Length {
    let mut length = NOTHING;
    study(std::slice::from_ref(node), None, &mut length);
    length
}

fn study(nodes: &[Node], after: Option<&Rest<'_>>, length: &mut Length) {
    let Some((node, nodes)) = nodes.split_first() else {
        if let Some(rest) = after {
            study(rest.nodes, rest.after, length);
        }
        return;
    };
    let rest = Rest { nodes, after };
    match node {
        Node::Set(_) => {
            length.min = length.min.wrapping_add(1);
            length.max = length.max.wrapping_add(1);
        }
        Node::LineBreak => {
            length.min = length.min.wrapping_add(1);
            length.max = length.max.wrapping_add(2);
        }
        Node::BackReference { .. } => length.valid = false,
        Node::Empty
        | Node::Assert(_)
        | Node::Group {
            kind: GroupKind::Ahead { .. } | GroupKind::Behind { .. },
            ..
        } => {}
        Node::Group {
            kind: GroupKind::Atomic,
            body,
        } => study(std::slice::from_ref(body), None, length),
        Node::Group { body, .. } => return study(std::slice::from_ref(body), Some(&rest), length),
        Node::Concat(parts) => return study(parts, Some(&rest), length),
        Node::Alternation(branches) => {
            return alternatives(
                &branches.iter().map(Some).collect::<Vec<_>>(),
                &rest,
                length,
            );
        }
        Node::Repeat {
            body,
            greed,
            written: Written::Question,
            ..
        } => {
            let group = matches!(
                **body,
                Node::Group {
                    kind: GroupKind::Capture(_) | GroupKind::Plain,
                    ..
                }
            );
            if group && *greed != Greed::Possessive {
                return alternatives(&[Some(body), None], &rest, length);
            }
            // Java adds the longest length to what it has so far, and keeps the shortest.
            let min = length.min;
            study(std::slice::from_ref(body), None, length);
            length.min = min;
        }
        Node::Repeat {
            body,
            greed,
            written,
            min,
            max,
        } => {
            let single = matches!(**body, Node::Set(_));
            let group = matches!(
                **body,
                Node::Group {
                    kind: GroupKind::Capture(_) | GroupKind::Plain,
                    ..
                }
            );
            if single && *written == Written::Symbol && *greed == Greed::Greedy {
                length.min = length.min.wrapping_add(*min as i32);
                if length.valid {
                    length.max = length.max.wrapping_add(i32::MAX);
                }
            } else if group && *greed != Greed::Possessive && !body.is_deterministic() {
                // Java stops measuring at such a loop.
                length.valid = false;
                return;
            } else {
                repeated(alone(body), *min as i32, *max as i32, length);
            }
        }
    }
    study(nodes, after, length);
}

fn repeated(body: Length, min: i32, max: i32, length: &mut Length) {
    let least = body.min.wrapping_mul(min).wrapping_add(length.min);
    length.min = if least < length.min {
        0xFFF_FFFF
    } else {
        least
    };
    if length.valid && body.valid {
        let most = body.max.wrapping_mul(max).wrapping_add(length.max);
        length.valid = most >= length.max;
        length.max = most;
    } else {
        length.valid = false;
    }
}

fn alternatives(branches: &[Option<&Node>], rest: &Rest<'_>, length: &mut Length) {
    let (mut min, mut max, mut valid) = (i32::MAX, -1, length.valid);
    for branch in branches {
        let branch = branch.map_or(NOTHING, alone);
        min = min.min(branch.min);
        max = max.max(branch.max);
        valid &= branch.valid;
    }
    let (min, max) = (min.wrapping_add(length.min), max.wrapping_add(length.max));
    *length = NOTHING;
    study(rest.nodes, rest.after, length);
    length.min = length.min.wrapping_add(min);
    length.max = length.max.wrapping_add(max);
    length.valid &= valid;
}
