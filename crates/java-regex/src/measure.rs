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

/// The least and most characters of the body of a look-behind, or nothing if Java refuses it.
pub(crate) fn reach(body: &Node) -> Option<(i32, i32)> {
    let length = measure(body);
    length.valid.then_some((length.min, length.max))
}

fn measure(node: &Node) -> Length {
    measure_behind(node, NOTHING)
}

/// The length of what comes before, which decides where the arithmetic overflows, and of the node. Java goes by recursion
/// from each node to the next; here the nodes that are still to come are on a stack.
fn measure_behind(node: &Node, before: Length) -> Length {
    let mut length = before;
    let mut todo = vec![std::slice::from_ref(node).iter()];
    // What alternatives add to the length of all that comes behind them.
    let mut alternatives = Vec::new();
    while let Some(nodes) = todo.last_mut() {
        let Some(node) = nodes.next() else {
            todo.pop();
            continue;
        };
        super::work::make(1);
        match node {
            Node::Set(_) => {
                length.min = length.min.wrapping_add(1);
                length.max = length.max.wrapping_add(1);
            }
            Node::LineBreak => {
                length.min = length.min.wrapping_add(1);
                length.max = length.max.wrapping_add(2);
            }
            // Java forgets that such a node has no limit.
            Node::Grapheme => length.min = length.min.wrapping_add(1),
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
            } => length = measure_behind(body, length),
            Node::Group { body, .. } => todo.push(std::slice::from_ref(&**body).iter()),
            Node::Concat(parts) => todo.push(parts.iter()),
            Node::Alternation(branches) => {
                alternatives.push(widest(branches.iter().map(measure), length));
                length = NOTHING;
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
                    alternatives.push(widest([measure(body), NOTHING], length));
                    length = NOTHING;
                } else {
                    // Java adds the longest length to what it has so far, and keeps the shortest.
                    length = Length {
                        min: length.min,
                        ..measure_behind(body, length)
                    };
                }
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
                    todo.clear();
                } else {
                    repeated(measure(body), *min as i32, *max as i32, &mut length);
                }
            }
        }
    }
    for branches in alternatives.into_iter().rev() {
        length.min = length.min.wrapping_add(branches.min);
        length.max = length.max.wrapping_add(branches.max);
        length.valid &= branches.valid;
    }
    length
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

/// The least and the most of some branches, on top of what comes before them.
fn widest(branches: impl IntoIterator<Item = Length>, before: Length) -> Length {
    let (mut min, mut max, mut valid) = (i32::MAX, -1, before.valid);
    for branch in branches {
        min = min.min(branch.min);
        max = max.max(branch.max);
        valid &= branch.valid;
    }
    Length {
        min: min.wrapping_add(before.min),
        max: max.wrapping_add(before.max),
        valid,
    }
}
