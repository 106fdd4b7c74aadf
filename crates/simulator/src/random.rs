//! Numbers that look random and are the same on every run.
//!
//! A library would do, but its stream may change with its version, and with it every alert that a test has ever seen.

/// SplitMix64, started from a seed and any number of words, so that alert 5 is the same whether or not alert 4 was made.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The stream that belongs to these words.
    #[must_use]
    pub fn new(words: &[u64]) -> Self {
        let mut random = Self(0x6473_6d69_7468);
        for word in words {
            random.0 = random.next_u64() ^ *word;
        }
        random.next_u64();
        random
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 if there is none.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next_u64() % end.max(1)
    }

    /// True in so many cases of a thousand.
    pub fn per_mille(&mut self, cases: u16) -> bool {
        self.below(1000) < u64::from(cases)
    }

    /// One of them.
    ///
    /// # Panics
    /// There is none.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[(self.next_u64() % of.len() as u64) as usize]
    }

    /// So many hexadecimal digits.
    pub fn hex(&mut self, digits: usize) -> String {
        let mut text = String::with_capacity(digits + 16);
        while text.len() < digits {
            text.push_str(&format!("{:016x}", self.next_u64()));
        }
        text.truncate(digits);
        text
    }

    /// A version 4 GUID.
    pub fn guid(&mut self) -> String {
        let hex = self.hex(32);
        format!(
            "{}-{}-4{}-a{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[13..16],
            &hex[17..20],
            &hex[20..]
        )
    }

    /// So many bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| (self.next_u64() >> 32) as u8)
    }
}

/// A text as a word for [`Random::new`] (FNV-1a).
pub(crate) fn word(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_words_give_the_same_stream_and_others_another() {
        let stream = |words: &[u64]| {
            let mut random = Random::new(words);
            (random.next_u64(), random.guid(), random.hex(7))
        };
        assert_eq!(stream(&[1, 2]), stream(&[1, 2]));
        assert_ne!(stream(&[1, 2]), stream(&[2, 1]));
        assert_ne!(stream(&[1, 2]), stream(&[1]));
    }

    #[test]
    fn guids_have_the_form_of_version_4() {
        let guid = Random::new(&[word("eu")]).guid();
        assert_eq!(guid.len(), 36);
        assert_eq!(&guid[14..15], "4");
        assert_eq!(&guid[19..20], "a");
    }
}
