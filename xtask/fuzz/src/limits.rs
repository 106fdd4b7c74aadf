//! What an input may cost.

use crate::Target;
use peak_alloc::PeakAlloc;
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// What an input may cost in memory: this much, and so much for each of its bytes. The first covers the largest thing that
/// does not depend on the input, the stack of the backtracking matcher of regular expressions (40 MB).
const MEMORY: usize = 96 << 20;
const MEMORY_PER_BYTE: usize = 4 << 10;

/// What an input may cost in time of the processor, which other programs do not change: this much, and so much for each of
/// its bytes. Code with instrumentation is several times as slow as without. Work that grows with the square of the
/// input goes over it at the longest inputs.
const TIME: Duration = Duration::from_secs(2);
const TIME_PER_BYTE: Duration = Duration::from_micros(40);

/// What an input has cost.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Time of the processor in this thread.
    pub time: Duration,
    /// The most memory that was allocated at once, in bytes, above what was allocated before.
    pub memory: usize,
}

/// Runs a target over an input, and panics if a promise does not hold or it costs too much.
#[allow(
    clippy::panic,
    reason = "a panic is how a target tells what it has found"
)]
pub fn check(target: &Target, input: &[u8]) -> Cost {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let began = now();
    (target.run)(input);
    let cost = Cost {
        time: now().saturating_sub(began),
        memory: ALLOCATOR.peak_usage().saturating_sub(before),
    };
    let bytes = input.len();
    let factor = u32::try_from(bytes).unwrap_or(u32::MAX);
    if cost.time > TIME + TIME_PER_BYTE.saturating_mul(factor) {
        panic!("{bytes} bytes took {:?} of the processor", cost.time);
    }
    if cost.memory > MEMORY + MEMORY_PER_BYTE.saturating_mul(bytes) {
        panic!("{bytes} bytes took {} bytes of memory", cost.memory);
    }
    cost
}

fn now() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.try_into().unwrap_or(0),
        time.tv_nsec.try_into().unwrap_or(0),
    )
}
