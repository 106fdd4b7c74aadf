//! What objects looked like so far.
//!
//! The payloads of a source have the same members in the same order again and again. Which member followed which is
//! noted, so that most names are compared with one expectation instead of being searched for their end and looked up.
//! What is found does not depend on it.

use super::names::Names;

/// Names that no path asks for are remembered as well, up to so many and up to this length.
const MAX_OTHERS: usize = 256;
const MAX_NAME: usize = 64;

/// Stands for no symbol.
const NONE: u32 = u32::MAX;

/// A place in the order of members: the beginning of the object, or a member.
pub(super) type Place = usize;

/// The beginning of an object.
pub(super) const BEGIN: Place = 0;

/// The order of members in the objects of one node.
#[derive(Debug, Default)]
pub(super) struct Shape {
    /// The beginning, then the members in the order in which they were met first.
    places: Vec<Known>,
    /// Their names, one after the other, as they stand behind the opening quote, with the closing one and the colon.
    names: Vec<u8>,
    /// The places of the members that paths ask for.
    members: Vec<u32>,
    /// The members that none asks for, and their places.
    others: Names,
    other_places: Vec<u32>,
}

/// A member. Kept small and apart from its name, because all members of a payload are gone through.
#[derive(Debug)]
struct Known {
    /// Where its name stands among the names.
    start: u32,
    end: u32,
    /// Its index in the node, if a path asks for it.
    member: u32,
    /// What came next the last time.
    next: u32,
}

/// A member that came as it was expected.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    pub(super) place: Place,
    pub(super) member: Option<usize>,
    /// Behind the colon.
    pub(super) behind: usize,
}

/// Whether two names of the same length are the same. Calling the general comparison would cost more than it does.
#[inline(always)]
fn is_same(a: &[u8], b: &[u8]) -> bool {
    let (Some(last_a), Some(last_b)) = (a.last_chunk::<8>(), b.last_chunk::<8>()) else {
        return a == b;
    };
    // The last eight bytes may overlap those before them.
    let chunks = a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0);
    last_a == last_b
        && chunks.fold(0, |differ, (a, b)| {
            differ | (u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b))
        }) == 0
}

impl Shape {
    /// The member at `text[at..]`, which begins with a quote, if it is the one that came last time after the same
    /// predecessor.
    #[inline(always)]
    pub(super) fn expect(&self, after: Place, text: &[u8], at: usize) -> Option<Expected> {
        let next = self.places.get(after)?.next as usize;
        let known = self.places.get(next)?;
        let name = self.names.get(known.start as usize..known.end as usize)?;
        let start = at + 1;
        let end = start + name.len();
        is_same(text.get(start..end)?, name).then_some(Expected {
            place: next,
            member: (known.member != NONE).then_some(known.member as usize),
            behind: end,
        })
    }

    /// Notes which member came, and gives its place.
    #[cold]
    pub(super) fn note(&mut self, after: Place, name: &[u8], member: Option<usize>) -> Place {
        if self.places.is_empty() {
            self.places.push(Known {
                start: 0,
                end: 0,
                member: NONE,
                next: NONE,
            });
        }
        let place = match member {
            Some(member) => {
                if self.members.len() <= member {
                    self.members.resize(member + 1, NONE);
                }
                if self.members[member] == NONE {
                    self.members[member] = self.place(name, Some(member));
                }
                self.members[member]
            }
            None => self.other(name),
        };
        if let Some(known) = self.places.get_mut(after) {
            known.next = place;
        }
        // Without a place nothing is expected after it.
        place as usize
    }

    fn other(&mut self, name: &[u8]) -> u32 {
        if let Some(index) = self.others.get(name) {
            return self.other_places[index];
        }
        let Ok(text) = std::str::from_utf8(name) else {
            return NONE;
        };
        if self.other_places.len() >= MAX_OTHERS || name.len() > MAX_NAME {
            return NONE;
        }
        self.others.add(text);
        let place = self.place(name, None);
        self.other_places.push(place);
        place
    }

    fn place(&mut self, name: &[u8], member: Option<usize>) -> u32 {
        // There are no more members than bytes in a mapping, and no more of these than fit.
        let index = |number: usize| u32::try_from(number).unwrap_or(NONE);
        let start = index(self.names.len());
        self.names.extend_from_slice(name);
        self.names.extend_from_slice(b"\":");
        self.places.push(Known {
            start,
            end: index(self.names.len()),
            member: member.map_or(NONE, index),
            next: NONE,
        });
        index(self.places.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_expected_after_the_one_it_followed_and_only_as_it_was_written() {
        let mut shape = Shape::default();
        let text = br#""a":1,"bb":2"#;
        assert!(shape.expect(BEGIN, text, 0).is_none());
        let a = shape.note(BEGIN, b"a", Some(7));
        let b = shape.note(a, b"bb", None);
        let found = shape.expect(BEGIN, text, 0).unwrap();
        assert_eq!((found.place, found.member, found.behind), (a, Some(7), 4));
        let found = shape.expect(a, text, 6).unwrap();
        assert_eq!((found.place, found.member, found.behind), (b, None, 11));
        for other in [
            &br#""bb" :2"#[..],
            br#""b":2"#,
            br#""bbb":2"#,
            br#""bb"#,
            br#""bb""#,
        ] {
            assert!(shape.expect(a, other, 0).is_none());
        }
        assert!(shape.expect(b, text, 0).is_none());
        assert_eq!(shape.note(b, b"a", Some(7)), a);
        assert_eq!(shape.expect(b, text, 0).unwrap().place, a);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut shape = Shape::default();
        let mut last = BEGIN;
        for number in 0..10_000 {
            last = shape.note(last, format!("name {number}").as_bytes(), None);
        }
        assert!(shape.note(BEGIN, &[b'x'; 100], None) == NONE as usize);
        assert!(shape.places.len() <= MAX_OTHERS + 1);
    }
}
