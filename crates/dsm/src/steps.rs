//! Work that loading does, counted in tests: a loader whose count more than doubles for twice the input is not linear.
//!
//! A step is one character compared, one entry of a list looked at, or one byte of a file searched. Outside tests
//! nothing is counted.

#[cfg(test)]
thread_local! {
    static STEPS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Counts some steps.
#[inline(always)]
pub(crate) fn count(_steps: usize) {
    #[cfg(test)]
    STEPS.with(|steps| steps.set(steps.get() + _steps as u64));
}

/// How many steps something takes.
#[cfg(test)]
pub(crate) fn of<R>(work: impl FnOnce() -> R) -> (u64, R) {
    let before = STEPS.with(std::cell::Cell::get);
    let result = work();
    (STEPS.with(std::cell::Cell::get) - before, result)
}
