//! Sets of names that are looked up in place.

/// A set of names. Looking one up hashes a few of its bytes and compares it, all without leaving the text that it
/// stands in.
#[derive(Debug, Default, Clone)]
pub(super) struct Names {
    names: Vec<Box<str>>,
    /// Open-addressed, a power of two in size and at most a quarter full.
    table: Vec<Entry>,
}

/// A name, or nothing: its length, its first and last eight bytes (all of a shorter one), and its index plus one.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Entry {
    head: u64,
    tail: u64,
    len: u32,
    index: u32,
}

impl Entry {
    /// What is known of the name `text[start..end]`.
    #[inline(always)]
    fn of(text: &[u8], start: usize, end: usize) -> Self {
        let len = end - start;
        let (head, tail) = if len >= 8 {
            (word(text, start), word(text, end - 8))
        } else {
            // Less than eight bytes: what was read behind the name is masked away.
            let short = word(text, start) & ((1 << (8 * len)) - 1);
            (short, short)
        };
        Self {
            head,
            tail,
            // Each name takes bytes of a text of less than 4 GiB.
            len: u32::try_from(len).unwrap_or(u32::MAX),
            index: 0,
        }
    }

    /// Where the search in the table begins. Names of one object often begin alike (`InitiatingProcess…`) and differ in
    /// length and at the end.
    #[inline(always)]
    fn hash(self) -> usize {
        let mixed = (self.tail ^ u64::from(self.len).wrapping_mul(0x9E37_79B9_7F4A_7C15))
            .wrapping_mul(0xD6E8_FEB8_6659_FD93);
        // The upper half, which all bits of both factors have gone into.
        (mixed >> 32) as usize
    }

    #[inline(always)]
    fn is_like(self, other: Self) -> bool {
        (self.tail, self.len, self.head) == (other.tail, other.len, other.head)
    }
}

/// Eight bytes of a text; zeros behind its end.
#[inline(always)]
fn word(text: &[u8], at: usize) -> u64 {
    match text.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => last_word(text, at),
    }
}

#[cold]
fn last_word(text: &[u8], at: usize) -> u64 {
    let rest = text.get(at..).unwrap_or_default();
    rest.iter()
        .rev()
        .fold(0, |word, byte| word << 8 | u64::from(*byte))
}

impl Names {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// The names in the order in which they came.
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(AsRef::as_ref)
    }

    /// Index of a name.
    pub(super) fn get(&self, name: &[u8]) -> Option<usize> {
        self.get_in(name, 0, name.len())
    }

    /// Index of the name `text[start..end]`.
    #[inline(always)]
    pub(super) fn get_in(&self, text: &[u8], start: usize, end: usize) -> Option<usize> {
        let mask = self.table.len().checked_sub(1)?;
        let wanted = Entry::of(text, start, end);
        let mut at = wanted.hash();
        loop {
            let entry = self.table[at & mask];
            if entry.index == 0 {
                return None;
            }
            if entry.is_like(wanted) {
                let index = entry.index as usize - 1;
                let name = self.names[index].as_bytes();
                if name.len() <= 16 || text[start + 8..end - 8] == name[8..name.len() - 8] {
                    return Some(index);
                }
            }
            at += 1;
        }
    }

    /// Index of a name, which is added if it is new.
    pub(super) fn add(&mut self, name: &str) -> usize {
        if let Some(known) = self.get(name.as_bytes()) {
            return known;
        }
        self.names.push(name.into());
        let size = (self.names.len() * 4).next_power_of_two();
        if size == self.table.len() {
            self.enter(self.names.len() - 1);
        } else {
            self.table = vec![Entry::default(); size];
            for index in 0..self.names.len() {
                self.enter(index);
            }
        }
        self.names.len() - 1
    }

    fn enter(&mut self, index: usize) {
        let name = self.names[index].as_bytes();
        let mut entry = Entry::of(name, 0, name.len());
        entry.index = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let mask = self.table.len() - 1;
        let mut at = entry.hash();
        while self.table[at & mask].index != 0 {
            at += 1;
        }
        self.table[at & mask] = entry;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_length_are_found_anywhere_in_a_text_and_their_likes_are_not() {
        let mut names = Names::default();
        let all: Vec<String> = (0..40)
            .flat_map(|len| {
                [
                    "x".repeat(len),
                    format!("{}y{}", "x".repeat(len / 2), "x".repeat(len / 2)),
                ]
            })
            .collect();
        let indexes: Vec<usize> = all.iter().map(|name| names.add(name)).collect();
        for (name, index) in all.iter().zip(indexes) {
            for tail in ["", "x", "\":1,\"other\":2"] {
                let text = format!("{{\"{name}{tail}");
                assert_eq!(
                    names.get_in(text.as_bytes(), 2, 2 + name.len()),
                    Some(index),
                    "{text}"
                );
            }
            assert_eq!(names.get(format!("{name}z").as_bytes()), None);
            assert_eq!(
                names.get(name.replacen('x', "z", 1).as_bytes()).is_some(),
                !name.contains('x')
            );
        }
    }

    #[test]
    fn an_empty_set_has_nothing() {
        assert_eq!(Names::default().get(b""), None);
        assert_eq!(Names::default().get(b"a"), None);
    }
}
