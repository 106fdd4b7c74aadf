//! Where parts of a pattern have been tried on a text, and whether they led to the end of a look-around.

/// The most bits of a memo for one purpose: 8 megabytes.
const MAX_BITS: usize = 1 << 26;

/// What is kept of the memory from one search to the next, in words.
const KEPT: usize = 1 << 13;

/// What is known of a part at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It was not tried before.
    New,
    /// It leads nowhere.
    Fails,
    /// It leads to the end of the look-around that it stands in.
    Succeeds,
}

/// The place at which a part is being tried, or the places from `low` on that lead to the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trial {
    pub(super) row: u32,
    pub(super) low: u32,
    pub(super) at: u32,
}

/// A bit for each row and place. A part fails at a place in the same way whatever came before it, because nothing of what
/// the memo is used for looks back at what was matched.
#[derive(Debug, Default)]
pub(super) struct Memo {
    tried: Vec<u64>,
    good: Vec<u64>,
    places: usize,
    /// What is being tried, the latest last.
    trials: Vec<Trial>,
    /// By frame of the search, how many trials are going on when it is taken up.
    depths: Vec<u32>,
}

impl Memo {
    /// Makes the memo ready for a text; false if it would be too large.
    pub(super) fn prepare(&mut self, rows: usize, text: usize) -> bool {
        self.places = text + 1;
        let Some(bits) = rows
            .checked_mul(self.places)
            .filter(|bits| *bits <= MAX_BITS)
        else {
            return false;
        };
        let words = bits.div_ceil(64);
        for bits in [&mut self.tried, &mut self.good] {
            bits.clear();
            bits.resize(words, 0);
        }
        self.trials.clear();
        self.depths.clear();
        true
    }

    /// Forgets what was tried.
    pub(super) fn forget(&mut self) {
        self.tried.fill(0);
        self.good.fill(0);
        self.trials.clear();
        self.depths.clear();
    }

    /// Gives back what a long text needed.
    pub(super) fn give_back(&mut self) {
        if self.tried.capacity() > KEPT || self.trials.capacity() > KEPT {
            *self = Memo::default();
        }
    }

    /// The bytes that are kept.
    pub(super) fn kept(&self) -> usize {
        (self.tried.capacity() + self.good.capacity()) * 8
            + self.trials.capacity() * size_of::<Trial>()
            + self.depths.capacity() * 4
    }

    /// What is known of a part at a place, which counts as tried from now on.
    #[inline]
    pub(super) fn enter(&mut self, row: u32, at: usize) -> Known {
        let bit = row as usize * self.places + at;
        let (word, mask) = (bit / 64, 1 << (bit % 64));
        if self.tried[word] & mask == 0 {
            self.tried[word] |= mask;
            Known::New
        } else if self.good[word] & mask == 0 {
            Known::Fails
        } else {
            Known::Succeeds
        }
    }

    pub(super) fn begin(&mut self, row: u32, low: usize, at: usize) {
        self.trials.push(Trial {
            row,
            low: low as u32,
            at: at as u32,
        });
    }

    pub(super) fn push_frame(&mut self) {
        self.depths.push(self.trials.len() as u32);
    }

    pub(super) fn pop_frame(&mut self) {
        if let Some(depth) = self.depths.pop() {
            self.trials.truncate(depth as usize);
        }
    }

    /// How many frames and trials there are.
    pub(super) fn mark(&self) -> (usize, usize) {
        (self.depths.len(), self.trials.len())
    }

    /// Goes back to a mark.
    pub(super) fn rewind(&mut self, (frames, trials): (usize, usize)) {
        self.depths.truncate(frames);
        self.trials.truncate(trials);
    }

    /// What has been tried since a mark, and was not given up, leads to the end of the look-around.
    pub(super) fn succeed(&mut self, (_, trials): (usize, usize)) {
        for Trial { row, low, at } in self.trials.drain(trials..) {
            let start = row as usize * self.places;
            fill(&mut self.good, start + low as usize, start + at as usize);
        }
    }
}

/// Sets the bits from `low` to `high`, both included.
fn fill(bits: &mut [u64], low: usize, high: usize) {
    let (first, last) = (low / 64, high / 64);
    let from = u64::MAX << (low % 64);
    let to = u64::MAX >> (63 - high % 64);
    if first == last {
        bits[first] |= from & to;
        return;
    }
    bits[first] |= from;
    bits[first + 1..last].fill(u64::MAX);
    bits[last] |= to;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_bits_is_set_and_no_other() {
        for low in 0..130usize {
            for high in low..200 {
                let mut bits = vec![0u64; 4];
                fill(&mut bits, low, high);
                for at in 0..256 {
                    let is_set = bits[at / 64] >> (at % 64) & 1 == 1;
                    assert_eq!(is_set, (low..=high).contains(&at), "{low} {high} {at}");
                }
            }
        }
    }
}
