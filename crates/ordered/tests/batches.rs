//! What a user of the crate can rely on, with any number of threads.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

use ordered::{Sink, Source, run};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

/// Numbers up to a limit.
struct Numbers(u64, u64);

impl Source for Numbers {
    type Batch = u64;

    fn fill(&mut self, batch: &mut u64) -> bool {
        *batch = self.0;
        self.0 += 1;
        *batch < self.1
    }
}

/// Keeps what it gets, and has enough after so many.
struct Kept(Vec<u64>, usize);

impl Kept {
    fn all() -> Self {
        Self(Vec::new(), usize::MAX)
    }
}

impl Sink<u64> for Kept {
    fn take(&mut self, batch: &mut u64) -> ControlFlow<()> {
        self.0.push(*batch);
        if self.0.len() < self.1 {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    }
}

fn threads(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap()
}

#[test]
fn batches_come_out_in_the_order_in_which_they_came_in() {
    for count in [1, 2, 3, 8] {
        let kept = run(threads(count), Numbers(0, 500), Kept::all(), |batches| {
            while let Some(batch) = batches.next_batch() {
                // Some take much longer than those behind them.
                if *batch % 7 == 0 {
                    thread::sleep(Duration::from_micros(300));
                }
                *batch *= 10;
            }
        });
        let wanted: Vec<u64> = (0..500).map(|number| number * 10).collect();
        assert_eq!(kept.unwrap().0, wanted, "{count} threads");
    }
}

#[test]
fn one_thread_is_the_thread_of_the_caller() {
    let caller = thread::current().id();
    let kept = run(threads(1), Numbers(0, 3), Kept::all(), move |batches| {
        assert_eq!(thread::current().id(), caller);
        while batches.next_batch().is_some() {}
    });
    assert_eq!(kept.unwrap().0, [0, 1, 2]);
}

#[test]
fn several_threads_work_at_the_same_time() {
    let barrier = Barrier::new(3);
    let kept = run(threads(3), Numbers(0, 3), Kept::all(), move |batches| {
        while batches.next_batch().is_some() {
            barrier.wait();
        }
    });
    assert_eq!(kept.unwrap().0, [0, 1, 2]);
}

#[test]
fn there_are_never_more_than_three_batches_for_each_thread() {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    struct Counted(u64);
    impl Default for Counted {
        fn default() -> Self {
            MADE.fetch_add(1, Ordering::Relaxed);
            Self(0)
        }
    }
    struct From(u64);
    impl Source for From {
        type Batch = Counted;
        fn fill(&mut self, batch: &mut Counted) -> bool {
            batch.0 = self.0;
            self.0 += 1;
            self.0 <= 2000
        }
    }
    struct Nowhere;
    impl Sink<Counted> for Nowhere {
        fn take(&mut self, _: &mut Counted) -> ControlFlow<()> {
            ControlFlow::Continue(())
        }
    }
    for count in [1, 4] {
        MADE.store(0, Ordering::Relaxed);
        run(threads(count), From(0), Nowhere, |batches| {
            while let Some(batch) = batches.next_batch() {
                // All others get as far ahead as they may.
                if batch.0 % 1000 == 0 {
                    thread::sleep(Duration::from_millis(50));
                }
            }
        })
        .unwrap();
        let made = MADE.load(Ordering::Relaxed);
        assert!(made <= 3 * count, "{made} batches with {count} threads");
    }
}

/// Gives a number each time somebody sends one.
struct Sent(Receiver<u64>);

impl Source for Sent {
    type Batch = u64;

    fn fill(&mut self, batch: &mut u64) -> bool {
        self.0.recv().is_ok_and(|number| {
            *batch = number;
            true
        })
    }
}

/// Hands on what it gets, and has enough at 0.
struct Forward(Sender<u64>);

impl Sink<u64> for Forward {
    fn take(&mut self, batch: &mut u64) -> ControlFlow<()> {
        self.0.send(*batch).unwrap();
        if *batch == 0 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

#[test]
fn a_batch_does_not_wait_for_the_next_one_and_a_silent_source_does_not_delay_the_end() {
    for count in [1, 2, 4] {
        let (send, source) = channel();
        let (sink, receive) = channel();
        let (done, ended) = channel();
        thread::spawn(move || {
            let sink = run(threads(count), Sent(source), Forward(sink), |batches| {
                while let Some(batch) = batches.next_batch() {
                    if *batch == 0 {
                        // Another thread has long been waiting in the source.
                        thread::sleep(Duration::from_millis(200));
                    }
                }
            });
            done.send(sink.is_ok())
        });
        let patience = Duration::from_secs(30);
        for number in [3, 2, 1, 0] {
            send.send(number).unwrap();
            assert_eq!(receive.recv_timeout(patience), Ok(number));
        }
        // Other threads still wait for numbers, since the source was not closed.
        assert_eq!(ended.recv_timeout(patience), Ok(true), "{count} threads");
        drop(send);
    }
}

#[test]
fn the_sink_gets_nothing_behind_the_batch_that_was_enough() {
    for count in [1, 2, 4] {
        let sink = Kept(Vec::new(), 5);
        let kept = run(threads(count), Numbers(0, u64::MAX), sink, |batches| {
            while batches.next_batch().is_some() {}
        });
        assert_eq!(kept.unwrap().0, [0, 1, 2, 3, 4], "{count} threads");
    }
}

/// Panics without the words on standard error.
fn panic_quietly() -> ! {
    resume_unwind(Box::new("out of order"))
}

#[test]
fn a_panic_at_work_is_an_error_and_nothing_waits_for_the_lost_batch() {
    for count in [1, 2, 8] {
        let error = run(
            threads(count),
            Numbers(0, u64::MAX),
            Kept::all(),
            |batches| {
                while let Some(batch) = batches.next_batch() {
                    if *batch == 20 {
                        panic_quietly();
                    }
                }
            },
        );
        let error = error.err().unwrap().to_string();
        assert_eq!(error, "a fault of the program: out of order");
    }
}

#[test]
fn a_panic_in_the_source_or_in_the_sink_is_an_error() {
    struct Bad(u64);
    impl Source for Bad {
        type Batch = u64;
        fn fill(&mut self, batch: &mut u64) -> bool {
            self.0 += 1;
            if self.0 > 20 {
                panic_quietly();
            }
            *batch = self.0;
            true
        }
    }
    impl Sink<u64> for Bad {
        fn take(&mut self, batch: &mut u64) -> ControlFlow<()> {
            if *batch > self.0 {
                panic_quietly();
            }
            ControlFlow::Continue(())
        }
    }
    for count in [1, 2, 8] {
        let work = |batches: &mut ordered::Batches<'_, Bad, Kept>| {
            while batches.next_batch().is_some() {}
        };
        assert!(run(threads(count), Bad(0), Kept::all(), work).is_err());
        let ended = run(threads(count), Numbers(0, u64::MAX), Bad(10), |batches| {
            while batches.next_batch().is_some() {}
        });
        assert!(ended.is_err());
    }
}

#[test]
fn a_batch_that_is_not_handed_in_is_an_error_and_not_a_hole() {
    for count in [1, 2] {
        let once = Arc::new(AtomicUsize::new(0));
        let ended = run(
            threads(count),
            Numbers(0, 100),
            Kept::all(),
            move |batches| {
                while batches.next_batch().is_some() {
                    if once.fetch_add(1, Ordering::Relaxed) == 10 {
                        return;
                    }
                }
            },
        );
        assert!(ended.is_err(), "{count} threads");
    }
}
