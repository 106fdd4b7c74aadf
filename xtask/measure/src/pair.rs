//! Two pieces of work that are measured in turns.
//!
//! A machine that others use too is fast in one second and slow in the next. So the engine and the plain parse take turns
//! on small batches, and what is kept of a sample is the ratio of the two. Who begins alternates as well: the second one
//! finds the payloads in the cache.

use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::time::{Duration, Instant};

/// So many bytes of payloads are one batch: as much as `dsmith parse` works on between two looks at anything else.
const BATCH: usize = authoring::input::BLOCK;

/// Work on the batches of a corpus.
pub struct Side<'a> {
    batches: Vec<Batch>,
    work: Box<dyn FnMut(usize) + 'a>,
}

/// How much one batch is.
#[derive(Debug, Clone, Copy)]
struct Batch {
    bytes: usize,
    payloads: usize,
}

impl<'a> Side<'a> {
    /// Work on items of the given sizes in bytes; it is told which of them are next.
    pub fn new(
        sizes: impl IntoIterator<Item = usize>,
        mut work: impl FnMut(Range<usize>) + 'a,
    ) -> Self {
        let ranges = ranges(sizes);
        let batches = ranges
            .iter()
            .map(|(range, bytes)| Batch {
                bytes: *bytes,
                payloads: range.len(),
            })
            .collect();
        Self {
            batches,
            work: Box::new(move |index| work(ranges[index].0.clone())),
        }
    }

    /// Says that each item stands for several payloads.
    #[must_use]
    pub fn with_payloads(mut self, each: usize) -> Self {
        for batch in &mut self.batches {
            batch.payloads *= each;
        }
        self
    }

    /// Does all batches once.
    pub fn run_all(&mut self) {
        for turn in 0..self.batches.len() {
            self.run(turn);
        }
    }

    /// Does the batch after `turn` others; nothing where there is none.
    fn run(&mut self, turn: usize) -> Turn {
        if self.batches.is_empty() {
            return Turn::default();
        }
        let index = turn % self.batches.len();
        let start = Instant::now();
        (self.work)(index);
        Turn {
            time: start.elapsed(),
            bytes: self.batches[index].bytes,
            payloads: self.batches[index].payloads,
        }
    }
}

/// The batches of items of these sizes, with their bytes. An item that is larger than a batch is one by itself.
pub fn ranges(sizes: impl IntoIterator<Item = usize>) -> Vec<(Range<usize>, usize)> {
    let mut ranges: Vec<(Range<usize>, usize)> = Vec::new();
    for (index, size) in sizes.into_iter().enumerate() {
        match ranges.last_mut() {
            Some((range, bytes)) if *bytes + size <= BATCH => {
                range.end = index + 1;
                *bytes += size;
            }
            _ => ranges.push((index..index + 1, size)),
        }
    }
    ranges
}

/// What one side did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// How long it took.
    pub time: Duration,
    /// Bytes of payloads.
    pub bytes: usize,
    /// Payloads.
    pub payloads: usize,
}

impl std::ops::AddAssign for Turn {
    fn add_assign(&mut self, other: Self) {
        self.time += other.time;
        self.bytes += other.bytes;
        self.payloads += other.payloads;
    }
}

impl Turn {
    #[allow(clippy::cast_precision_loss, reason = "rates are for people")]
    fn per_second(self, count: usize) -> f64 {
        count as f64 / self.time.as_secs_f64().max(1e-9)
    }

    /// Payloads in a second.
    pub fn payloads_per_second(self) -> f64 {
        self.per_second(self.payloads)
    }

    /// Bytes in a second.
    pub fn bytes_per_second(self) -> f64 {
        self.per_second(self.bytes)
    }

    /// Time for one payload, in microseconds.
    pub fn microseconds(self) -> f64 {
        1e6 / self.payloads_per_second().max(1e-9)
    }
}

/// What both sides did in turns.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sample {
    /// The measure.
    pub plain: Turn,
    /// What is measured.
    pub ours: Turn,
    /// How often each had its turn.
    pub turns: u64,
}

impl Sample {
    /// How many times as many bytes the measured side does in the same time. Above 1 it is the faster one.
    pub fn ratio(&self) -> f64 {
        self.ours.bytes_per_second() / self.plain.bytes_per_second().max(1e-9)
    }
}

/// The measure and what is measured by it.
pub struct Pair<'a> {
    plain: Side<'a>,
    ours: Side<'a>,
    turn: usize,
}

impl<'a> Pair<'a> {
    /// A pair that has had no turn yet.
    pub fn new(plain: Side<'a>, ours: Side<'a>) -> Self {
        Self {
            plain,
            ours,
            turn: 0,
        }
    }

    /// Gives both so many turns.
    pub fn run(&mut self, turns: u64) -> Sample {
        let mut sample = Sample {
            turns,
            ..Sample::default()
        };
        for _ in 0..turns {
            let turn = self.turn;
            self.turn = turn.wrapping_add(1);
            if turn.is_multiple_of(2) {
                sample.plain += self.plain.run(turn);
                sample.ours += self.ours.run(turn);
            } else {
                sample.ours += self.ours.run(turn);
                sample.plain += self.plain.run(turn);
            }
        }
        sample
    }
}

/// Samples in brief.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Median of the ratios.
    pub ratio: f64,
    /// The ratio that a quarter of the samples is below.
    pub lower_quartile: f64,
    /// The ratio that a quarter of the samples is above.
    pub upper_quartile: f64,
    /// The ratio of the fastest sample of each side, that is of those that nothing else on the machine has disturbed.
    pub best: f64,
    /// All turns of the measure.
    pub plain: Turn,
    /// All turns of what is measured.
    pub ours: Turn,
}

/// Sums samples up; `None` where there are none.
pub fn summarise(samples: &[Sample]) -> Option<Summary> {
    let mut ratios: Vec<f64> = samples.iter().map(Sample::ratio).collect();
    ratios.sort_by(f64::total_cmp);
    let last = ratios.len().checked_sub(1)?;
    let (mut plain, mut ours) = (Turn::default(), Turn::default());
    for sample in samples {
        plain += sample.plain;
        ours += sample.ours;
    }
    Some(Summary {
        ratio: ratios[last / 2],
        lower_quartile: ratios[last / 4],
        upper_quartile: ratios[last - last / 4],
        best: {
            let fastest = |side: fn(&Sample) -> Turn| {
                let speeds = samples.iter().map(|sample| side(sample).bytes_per_second());
                speeds.fold(0.0, f64::max)
            };
            fastest(|sample| sample.ours) / fastest(|sample| sample.plain).max(1e-9)
        },
        plain,
        ours,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn batches_hold_all_items_in_order_and_a_large_item_stands_alone() {
        let sizes = [BATCH / 2, BATCH / 2, 1, BATCH * 3, 1];
        let ranges = ranges(sizes);
        let expected = [
            (0..2, BATCH / 2 * 2),
            (2..3, 1),
            (3..4, BATCH * 3),
            (4..5, 1),
        ];
        assert_eq!(ranges, expected);
    }

    #[test]
    fn both_sides_take_turns_on_the_same_batch_and_the_first_one_alternates() {
        let order = RefCell::new(Vec::new());
        let side = |name: char| {
            let order = &order;
            Side::new([BATCH, BATCH, BATCH], move |range| {
                order.borrow_mut().push((name, range.start));
            })
        };
        let mut pair = Pair::new(side('a'), side('b'));
        let sample = pair.run(3);
        pair.run(1);
        let expected = [
            ('a', 0),
            ('b', 0),
            ('b', 1),
            ('a', 1),
            ('a', 2),
            ('b', 2),
            ('b', 0),
            ('a', 0),
        ];
        assert_eq!(*order.borrow(), expected);
        assert_eq!(
            (sample.turns, sample.ours.payloads, sample.ours.bytes),
            (3, 3, 3 * BATCH)
        );
    }

    #[test]
    fn the_ratio_compares_bytes_in_the_same_time() {
        let turn = |milliseconds, bytes| Turn {
            time: Duration::from_millis(milliseconds),
            bytes,
            payloads: 10,
        };
        let ratio = |plain, ours| {
            let sample = Sample {
                plain,
                ours,
                turns: 1,
            };
            sample.ratio()
        };
        assert!((ratio(turn(20, 1000), turn(10, 1000)) - 2.0).abs() < 1e-9);
        assert!((ratio(turn(20, 1000), turn(20, 500)) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn one_disturbed_sample_does_not_move_the_median() {
        let sample = |ours| Sample {
            plain: Turn {
                time: Duration::from_millis(30),
                bytes: 3,
                payloads: 3,
            },
            ours: Turn {
                time: Duration::from_millis(ours),
                bytes: 3,
                payloads: 3,
            },
            turns: 3,
        };
        let summary =
            summarise(&[sample(15), sample(900), sample(15), sample(10), sample(20)]).unwrap();
        assert!((summary.ratio - 2.0).abs() < 1e-9, "{summary:?}");
        assert!((summary.lower_quartile - 1.5).abs() < 1e-9, "{summary:?}");
        assert!((summary.upper_quartile - 2.0).abs() < 1e-9, "{summary:?}");
        assert!((summary.best - 3.0).abs() < 1e-9, "{summary:?}");
        assert_eq!(summary.plain.payloads, 15);
        assert_eq!(summarise(&[]), None);
    }
}
