//! What objects looked like so far.
//!
//! The payloads of a source have the same members in the same order again and again. Which member followed which is
//! noted, so that most names are compared with one expectation instead of being searched for their end and looked up.
//! What is found does not depend on it.

use super::names::Names;
use super::plan::Child;
use wide::u8x16;

/// Names that no path asks for are remembered as well, up to so many and up to this length.
const MAX_OTHERS: usize = 256;
const MAX_NAME: usize = 64;

/// Stands for no place.
const NONE: u32 = u32::MAX;

/// How many bytes of a name are compared at once. A longer one is never expected.
const WIDTH: usize = 48;

/// A place in the order of members: the beginning of the object, or a member.
pub(super) type Place = u32;

/// The beginning of an object.
pub(super) const BEGIN: Place = 0;

/// The order of members in the objects of one node.
#[derive(Debug, Default)]
pub(super) struct Shape {
    /// The beginning, then the members in the order in which they were met first.
    places: Vec<Known>,
    /// The places of the members that paths ask for.
    members: Vec<Place>,
    /// The members that none asks for, and their places.
    others: Names,
    other_places: Vec<Place>,
    /// Counts the objects.
    objects: u64,
}

/// A member.
#[derive(Debug)]
struct Known {
    /// Its name with the quotes and the colon, and zeros behind it.
    name: [u8; WIDTH],
    /// A bit for each byte of that, or one more than there are where the name is not to be expected.
    bits: u64,
    /// The object in which it came last.
    object: u64,
    child: Child,
    len: u32,
    /// What came next: the last time, and before that.
    next: [Place; 2],
}

impl Known {
    fn new(name: &[u8], child: Child) -> Self {
        let mut known = Self {
            name: [0; WIDTH],
            bits: 1 << WIDTH,
            object: 0,
            child,
            len: NONE,
            next: [NONE; 2],
        };
        let quoted = name.len() + 3;
        let is_plain = !name.iter().any(|byte| matches!(byte, b'"' | b'\\'));
        if let Some(place) = known.name.get_mut(..quoted)
            && is_plain
        {
            place[0] = b'"';
            place[1..quoted - 2].copy_from_slice(name);
            place[quoted - 2..].copy_from_slice(b"\":");
            known.bits = (1 << quoted) - 1;
            known.len = small(quoted);
        }
        known
    }

    /// Whether the text begins with the name.
    #[inline(always)]
    fn begins(&self, text: &[u8]) -> bool {
        let Some(chunk) = text.first_chunk::<WIDTH>() else {
            return self.begins_short(text);
        };
        let (text, name) = (chunk.as_chunks::<16>().0, self.name.as_chunks::<16>().0);
        let differs = |block: usize| {
            let same = u8x16::new(text[block]).simd_eq(u8x16::new(name[block]));
            u64::from(same.to_bitmask() ^ 0xffff) << (16 * block) & self.bits
        };
        // Names of more than two blocks are rare.
        (differs(0) | differs(1)) == 0 && (self.len <= 32 || (differs(2) | self.bits >> WIDTH) == 0)
    }

    /// The same within the last bytes of a text.
    fn begins_short(&self, text: &[u8]) -> bool {
        let name = self.name.get(..self.len as usize).unwrap_or_default();
        !name.is_empty() && text.starts_with(name)
    }
}

/// A member that came.
#[derive(Debug)]
pub(super) struct Met<'s> {
    known: &'s mut Known,
    object: u64,
}

impl Met<'_> {
    /// What it is asked for.
    #[inline(always)]
    pub(super) fn child(&self) -> Child {
        self.known.child
    }

    /// The length of its name with the quotes and the colon.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.known.len as usize
    }

    /// Notes it; tells whether it has come in this object before.
    #[inline(always)]
    pub(super) fn again(self) -> bool {
        let again = self.known.object == self.object;
        self.known.object = self.object;
        again
    }
}

/// There are no more members than bytes in a mapping, and no more of these than fit.
fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(NONE)
}

impl Shape {
    /// Another object begins.
    pub(super) fn begin(&mut self) {
        self.objects += 1;
    }

    /// Whether the member that came last time after the same predecessor begins at `text[at..]`. The place moves on to it
    /// then.
    #[inline(always)]
    pub(super) fn expect(&mut self, place: &mut Place, text: &[u8], at: usize) -> Option<Met<'_>> {
        let rest = text.get(at..)?;
        let [likely, other] = self.places.get(*place as usize)?.next;
        let next = if self.places.get(likely as usize)?.begins(rest) {
            likely
        } else {
            self.second(*place, other, rest)?
        };
        *place = next;
        Some(Met {
            object: self.objects,
            known: self.places.get_mut(next as usize)?,
        })
    }

    /// The same for the member that came before the last time.
    #[inline(never)]
    fn second(&mut self, place: Place, next: Place, rest: &[u8]) -> Option<Place> {
        if !self.places.get(next as usize)?.begins(rest) {
            return None;
        }
        self.places.get_mut(place as usize)?.next.swap(0, 1);
        Some(next)
    }

    /// Notes which member came, and moves the place on to it. The name is without escapes. Tells whether the member came
    /// before in this object, as far as somebody asks for it.
    #[cold]
    pub(super) fn note(
        &mut self,
        place: &mut Place,
        name: &[u8],
        member: Option<(usize, Child)>,
    ) -> bool {
        if self.places.is_empty() {
            self.places.push(Known::new(&[], Child::NONE));
        }
        let next = match member {
            Some((member, child)) => {
                if self.members.len() <= member {
                    self.members.resize(member + 1, NONE);
                }
                if self.members[member] == NONE {
                    self.members[member] = self.place(name, child);
                }
                self.members[member]
            }
            None => self.other(name),
        };
        if let Some(known) = self.places.get_mut(*place as usize) {
            known.next = [next, known.next[0]];
        }
        // Without a place nothing is expected after it.
        *place = next;
        let object = self.objects;
        let known = self.places.get_mut(next as usize);
        known.is_some_and(|known| Met { object, known }.again())
    }

    fn other(&mut self, name: &[u8]) -> Place {
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
        let place = self.place(name, Child::NONE);
        self.other_places.push(place);
        place
    }

    fn place(&mut self, name: &[u8], child: Child) -> Place {
        self.places.push(Known::new(name, child));
        small(self.places.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn child() -> Child {
        Child::new(7, None)
    }

    /// The place behind the colon and the node, if what comes is as expected.
    fn expect(
        shape: &mut Shape,
        mut place: Place,
        text: &[u8],
        at: usize,
    ) -> Option<(Place, usize, Child)> {
        let (len, child) = shape
            .expect(&mut place, text, at)
            .map(|met| (met.len(), met.child()))?;
        Some((place, at + len, child))
    }

    fn note(shape: &mut Shape, mut place: Place, name: &[u8], member: Option<usize>) -> Place {
        shape.note(&mut place, name, member.map(|member| (member, child())));
        place
    }

    #[test]
    fn a_member_is_expected_after_the_one_it_followed_and_only_as_it_was_written() {
        let mut shape = Shape::default();
        let text = br#""a":1,"bb":2"#;
        assert_eq!(expect(&mut shape, BEGIN, text, 0), None);
        let a = note(&mut shape, BEGIN, b"a", Some(3));
        let b = note(&mut shape, a, b"bb", None);
        assert_eq!(expect(&mut shape, BEGIN, text, 0), Some((a, 4, child())));
        assert_eq!(expect(&mut shape, a, text, 6), Some((b, 11, Child::NONE)));
        for other in [
            &br#""bb" :2"#[..],
            br#""b":2"#,
            br#""bbb":2"#,
            br#""bb"#,
            br#""bb""#,
        ] {
            assert_eq!(expect(&mut shape, a, other, 0), None);
        }
        assert_eq!(expect(&mut shape, b, text, 0), None);
        assert_eq!(note(&mut shape, b, b"a", Some(3)), a);
        assert_eq!(expect(&mut shape, b, text, 0), Some((a, 4, child())));
    }

    #[test]
    fn a_member_that_comes_twice_in_an_object_is_told_apart() {
        let mut shape = Shape::default();
        let (text, member) = (br#""a":1"#, Some((0, child())));
        for _ in 0..2 {
            shape.begin();
            let mut place = BEGIN;
            assert!(!shape.note(&mut place, b"a", member));
            assert!(shape.note(&mut place, b"a", member));
            assert!(shape.expect(&mut place, text, 0).unwrap().again());
            shape.begin();
            place = BEGIN;
            assert!(!shape.expect(&mut place, text, 0).unwrap().again());
            assert!(shape.expect(&mut place, text, 0).unwrap().again());
        }
    }

    #[test]
    fn names_of_any_length_are_told_apart_wherever_they_stand() {
        for length in 0..60 {
            let name = "n".repeat(length);
            let mut shape = Shape::default();
            let place = note(&mut shape, BEGIN, name.as_bytes(), Some(0));
            for tail in ["", "1", &"1".repeat(60)] {
                let text = format!("\"{name}\":{tail}");
                // A name with its quotes and the colon is expected up to the width.
                let expected = (length + 3 <= WIDTH).then_some((place, length + 3, child()));
                assert_eq!(
                    expect(&mut shape, BEGIN, text.as_bytes(), 0),
                    expected,
                    "{text}"
                );
                for at in 0..length + 3 {
                    let mut other = text.clone().into_bytes();
                    other[at] = b'x';
                    assert_eq!(expect(&mut shape, BEGIN, &other, 0), None);
                }
            }
        }
    }

    #[test]
    fn a_name_that_needs_escapes_is_never_expected() {
        let mut shape = Shape::default();
        note(&mut shape, BEGIN, b"a\"b", Some(0));
        assert_eq!(expect(&mut shape, BEGIN, br#""a"b":1"#, 0), None);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut shape = Shape::default();
        let mut last = BEGIN;
        for number in 0..10_000 {
            last = note(&mut shape, last, format!("name {number}").as_bytes(), None);
        }
        assert_eq!(note(&mut shape, BEGIN, &[b'x'; 100], None), NONE);
        assert!(shape.places.len() <= MAX_OTHERS + 1);
    }
}
