//! Bytes that are looked at, counted in tests: twice the text may cost twice the bytes, and not more.

#[cfg(test)]
thread_local! {
    static BYTES: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Counts some bytes.
#[inline(always)]
pub(super) fn count(_bytes: usize) {
    #[cfg(test)]
    BYTES.with(|bytes| bytes.set(bytes.get() + _bytes as u64));
}

/// How many bytes are looked at.
#[cfg(test)]
pub(super) fn of<R>(work: impl FnOnce() -> R) -> u64 {
    let before = BYTES.with(std::cell::Cell::get);
    work();
    BYTES.with(std::cell::Cell::get) - before
}
