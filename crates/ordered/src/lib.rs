//! Work on batches on several threads, with the order of the batches kept.
//!
//! There is no thread that only reads, none that only writes, and no queue between them. Each thread takes its turn at
//! the [`Source`], works on the batch that it got, and hands it in; whoever hands in the batch whose turn it is gives it
//! to the [`Sink`], and after it those that were waiting for it. So a batch stays with the core that read it, nothing is
//! copied, and one thread is the same as several: it runs on the thread of the caller, and nothing is started.
//!
//! **Memory is bounded.** A thread holds one batch, and no more than two batches for each thread wait for their turn, so
//! there are never more than three times as many batches as threads. They are used again and again, and by the thread
//! that used them before where possible, because their memory is in the caches of its core.
//!
//! **Nothing hangs.** When the sink has enough, [`run`] comes back at once, even if a thread waits in the source for
//! input that may never come; the thread is left to itself. When work, source or sink panic, that is an error.

use std::any::Any;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Where batches come from.
pub trait Source: Send + 'static {
    /// A piece of work. It is used again, so its memory is too.
    type Batch: Default + Send + 'static;

    /// Fills a batch, which may hold what an earlier one left in it; `false` when there is nothing more.
    fn fill(&mut self, batch: &mut Self::Batch) -> bool;
}

/// Where batches go, in the order in which they came from the source.
pub trait Sink<B>: Send + 'static {
    /// Takes what is in a batch; to break means that no other one is wanted.
    fn take(&mut self, batch: &mut B) -> ControlFlow<()>;
}

/// The program is at fault: some code panicked, or gave up a batch. Batches that were under way are lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panicked(String);

impl std::fmt::Display for Panicked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a fault of the program: {}", self.0)
    }
}

impl std::error::Error for Panicked {}

/// Runs `work` on so many threads until the source is empty or the sink has enough, and gives the sink back.
///
/// `work` is called once on each thread and asks for batches until there are none. Where the system refuses threads it
/// makes do with fewer.
///
/// # Errors
/// Something panicked.
pub fn run<S, K, W>(threads: NonZeroUsize, source: S, sink: K, work: W) -> Result<K, Panicked>
where
    S: Source,
    K: Sink<S::Batch>,
    W: Fn(&mut Batches<'_, S, K>) + Send + Sync + 'static,
{
    let shared = Arc::new(Shared {
        source: Mutex::new((0, Some(source))),
        sink: Mutex::new(Some(sink)),
        order: Mutex::new(Order::default()),
        turned: Condvar::new(),
        ended: Condvar::new(),
        stopped: AtomicBool::new(false),
        window: 2 * threads.get() as u64,
        most: 3 * threads.get(),
    });
    let work = Arc::new(work);
    let wanted = if threads.get() == 1 { 0 } else { threads.get() };
    let started = (1..=wanted)
        .take_while(|&number| {
            let (its, work) = (Arc::clone(&shared), Arc::clone(&work));
            shared.order().running += 1;
            let thread = thread::Builder::new().name(format!("worker {number}"));
            let is_refused = thread.spawn(move || its.serve(number, &*work)).is_err();
            shared.order().running -= usize::from(is_refused);
            !is_refused
        })
        .count();
    if started == 0 {
        shared.order().running += 1;
        shared.serve(1, &*work);
    }
    shared.wait()
}

/// The batches that a thread gets.
#[derive(Debug)]
pub struct Batches<'s, S: Source, K> {
    shared: &'s Shared<S, K>,
    /// The number of the thread.
    thread: usize,
    current: Option<(u64, S::Batch)>,
}

impl<S: Source, K: Sink<S::Batch>> Batches<'_, S, K> {
    /// Hands in the batch that was worked on, and gives the next one to work on.
    pub fn next_batch(&mut self) -> Option<&mut S::Batch> {
        let mut batch = match self.current.take() {
            Some((number, batch)) => self.shared.hand_in(number, self.thread, batch)?,
            None => {
                self.shared.order().made += 1;
                S::Batch::default()
            }
        };
        let number = self.shared.fill(&mut batch)?;
        let (_, batch) = self.current.insert((number, batch));
        Some(batch)
    }
}

#[derive(Debug)]
struct Shared<S: Source, K> {
    /// The number of the next batch, and what it comes from, until that is empty.
    source: Mutex<(u64, Option<S>)>,
    /// In the hands of one thread at a time, the one that set [`Order::writing`].
    sink: Mutex<Option<K>>,
    order: Mutex<Order<S::Batch>>,
    /// It is the turn of another batch, or all was stopped.
    turned: Condvar,
    /// A thread came to its end, or all was stopped. Only the caller waits for that; it is not woken for each batch.
    ended: Condvar,
    /// No other batch is wanted. Set while `order` is held, so that nobody misses it.
    stopped: AtomicBool,
    /// How far a batch may be ahead of the one whose turn it is.
    window: u64,
    /// How many batches there may be: those that threads hold, and those that wait.
    most: usize,
}

#[derive(Debug)]
struct Order<B> {
    /// The number of the batch whose turn it is.
    next: u64,
    /// Batches that are ready before their turn, and the thread that made each of them.
    waiting: BTreeMap<u64, (usize, B)>,
    /// Batches without a use, and the thread that had each of them last.
    spare: Vec<(usize, B)>,
    /// How many batches there are.
    made: usize,
    /// Threads that wait for a turn.
    held_up: usize,
    /// Some thread hands batches to the sink.
    writing: bool,
    /// Threads at work.
    running: usize,
    panicked: Option<Panicked>,
}

impl<B> Default for Order<B> {
    fn default() -> Self {
        Self {
            next: 0,
            waiting: BTreeMap::new(),
            spare: Vec::new(),
            made: 0,
            held_up: 0,
            writing: false,
            running: 0,
            panicked: None,
        }
    }
}

/// A lock is poisoned by a panic, which is accounted for elsewhere.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: Source, K: Sink<S::Batch>> Shared<S, K> {
    fn order(&self) -> MutexGuard<'_, Order<S::Batch>> {
        lock(&self.order)
    }

    /// No other batch is wanted; everybody who waits hears of it.
    fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.turned.notify_all();
        self.ended.notify_all();
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// All that a thread does.
    fn serve(&self, thread: usize, work: &impl Fn(&mut Batches<'_, S, K>)) {
        let mut batches = Batches {
            shared: self,
            thread,
            current: None,
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| work(&mut batches)));
        let mut order = self.order();
        order.running -= 1;
        let failed = match outcome {
            Err(panic) => Some(message(&*panic)),
            Ok(()) if batches.current.is_some() => Some("a batch was given up".to_owned()),
            Ok(()) => None,
        };
        if let Some(message) = failed {
            // The others would wait for ever for the batch that was lost.
            order.panicked.get_or_insert(Panicked(message));
            self.stop();
        }
        self.ended.notify_all();
    }

    /// Fills a batch and numbers it.
    fn fill(&self, batch: &mut S::Batch) -> Option<u64> {
        let mut guard = lock(&self.source);
        let (number, source) = &mut *guard;
        if self.is_stopped() {
            return None;
        }
        if !source.as_mut()?.fill(batch) {
            *source = None;
            return None;
        }
        *number += 1;
        Some(*number - 1)
    }

    /// Puts a batch in its place, hands all whose turn it is to the sink, and gives a batch for the next work.
    fn hand_in(&self, number: u64, thread: usize, batch: S::Batch) -> Option<S::Batch> {
        let mut order = self.order();
        // The batch that all wait for is never ahead, so somebody always goes on.
        while number - order.next >= self.window && !self.is_stopped() {
            order.held_up += 1;
            let waited = self.turned.wait(order);
            order = waited.unwrap_or_else(PoisonError::into_inner);
            order.held_up -= 1;
        }
        order.waiting.insert(number, (thread, batch));
        if !order.writing {
            order.writing = true;
            order = self.write(order);
            order.writing = false;
        }
        let mut spares = order.spare.iter();
        let spare = match spares.position(|(owner, _)| *owner == thread) {
            Some(own) => Some(order.spare.swap_remove(own)),
            // The others want theirs back; only when there are as many as there may be, one changes hands.
            None if order.made < self.most => None,
            None => order.spare.pop(),
        };
        let spare = spare.map(|(_, batch)| batch);
        order.made += usize::from(spare.is_none());
        drop(order);
        (!self.is_stopped()).then(|| spare.unwrap_or_default())
    }

    fn write<'g>(
        &'g self,
        mut order: MutexGuard<'g, Order<S::Batch>>,
    ) -> MutexGuard<'g, Order<S::Batch>> {
        loop {
            let next = order.next;
            if self.is_stopped() {
                return order;
            }
            let Some((owner, mut batch)) = order.waiting.remove(&next) else {
                return order;
            };
            // The others go on while this one writes, which may take long.
            drop(order);
            let flow = match lock(&self.sink).as_mut() {
                Some(sink) => sink.take(&mut batch),
                None => ControlFlow::Break(()),
            };
            order = self.order();
            order.next += 1;
            order.spare.push((owner, batch));
            if flow.is_break() {
                self.stop();
            } else if order.held_up > 0 {
                self.turned.notify_all();
            }
        }
    }

    /// Waits until all is done or nothing more is wanted.
    fn wait(&self) -> Result<K, Panicked> {
        let mut order = self.order();
        while order.running > 0 && !self.is_stopped() {
            let waited = self.ended.wait(order);
            order = waited.unwrap_or_else(PoisonError::into_inner);
        }
        let panicked = order.panicked.take();
        drop(order);
        // Whoever is writing comes to an end first.
        let sink = lock(&self.sink).take();
        match (panicked, sink) {
            (None, Some(sink)) => Ok(sink),
            (panicked, _) => Err(panicked.unwrap_or(Panicked("the sink is lost".to_owned()))),
        }
    }
}

/// What was said in a panic.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without words")
        .to_owned()
}
