//! Counts of what is really done, apart from the steps that are paid for: bytes of text that the matchers look at, and
//! pieces that are made of a pattern while it is compiled. Only tests count; elsewhere nothing is left of it.

#[cfg(test)]
thread_local! {
    static LOOKED: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
    static MADE: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// So many bytes of text are looked at.
#[inline(always)]
pub(crate) fn look(bytes: usize) {
    #[cfg(test)]
    LOOKED.with(|looked| looked.set(looked.get() + bytes as u64));
    #[cfg(not(test))]
    let _ = bytes;
}

/// So many pieces of a pattern are made or looked at.
#[inline(always)]
pub(crate) fn make(pieces: usize) {
    #[cfg(test)]
    MADE.with(|made| made.set(made.get() + pieces as u64));
    #[cfg(not(test))]
    let _ = pieces;
}

/// How many bytes were looked at since this was asked last.
#[cfg(test)]
pub(crate) fn looked() -> u64 {
    LOOKED.with(|looked| looked.replace(0))
}

/// How many pieces were made since this was asked last.
#[cfg(test)]
pub(crate) fn made() -> u64 {
    MADE.with(|made| made.replace(0))
}
