//! Taking an input apart.

/// The last byte, or 0 where there is none, and the rest. It is the last one so that a file of the repository is an input
/// that begins as the file does.
pub(crate) fn byte(input: &[u8]) -> (u8, &[u8]) {
    match input.split_last() {
        Some((last, rest)) => (*last, rest),
        None => (0, input),
    }
}

/// The first line as text, without its end, and the rest.
pub(crate) fn line(input: &[u8]) -> (String, &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n');
    let (line, rest) = match end {
        Some(end) => (&input[..end], &input[end + 1..]),
        None => (input, &input[input.len()..]),
    };
    (text(line), rest)
}

/// Bytes as text. What is not UTF-8 is replaced.
pub(crate) fn text(input: &[u8]) -> String {
    String::from_utf8_lossy(input).into_owned()
}

/// Parts of an input that stand between NUL bytes.
pub(crate) fn parts(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    input.split(|byte| *byte == 0)
}

/// The input in pieces of random sizes, many of them small. The same seed gives the same sizes.
pub(crate) fn pieces(input: &[u8], seed: u8) -> impl Iterator<Item = &[u8]> {
    let mut state = u32::from(seed) + 1;
    let mut rest = input;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        // A linear congruential generator; only variety is asked of it.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let size = match state >> 30 {
            0 => 1,
            1 => 1 + (state >> 20) as usize % 4,
            2 => 1 + (state >> 16) as usize % 64,
            _ => 1 + (state >> 12) as usize % 4096,
        };
        let (piece, after) = rest.split_at(size.min(rest.len()));
        rest = after;
        Some(piece)
    })
}
