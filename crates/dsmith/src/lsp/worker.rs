//! A thread that does the latest of what is asked of it, so that answers never wait for work.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A thread with a desk. There is at most one job for each folder on it: a newer one takes the place of the older.
#[derive(Debug)]
pub(super) struct Worker<J> {
    desk: Arc<Desk<J>>,
}

#[derive(Debug)]
struct Desk<J> {
    jobs: Mutex<Jobs<J>>,
    bell: Condvar,
}

#[derive(Debug)]
struct Jobs<J> {
    waiting: BTreeMap<PathBuf, J>,
    /// When the last one was put there.
    last: Option<Instant>,
    is_closed: bool,
}

impl<J> Desk<J> {
    fn jobs(&self) -> MutexGuard<'_, Jobs<J>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next job, when nothing has come for so long; nothing when the desk is closed.
    fn take(&self, quiet: Duration) -> Option<(PathBuf, J)> {
        let mut jobs = self.jobs();
        loop {
            if jobs.is_closed {
                return None;
            }
            let since = jobs.last.map_or(Duration::MAX, |last| last.elapsed());
            if jobs.waiting.is_empty() {
                jobs = self.bell.wait(jobs).unwrap_or_else(PoisonError::into_inner);
            } else if let Some(rest) = quiet.checked_sub(since).filter(|rest| !rest.is_zero()) {
                let waited = self.bell.wait_timeout(jobs, rest);
                jobs = waited.unwrap_or_else(PoisonError::into_inner).0;
            } else {
                return jobs.waiting.pop_first();
            }
        }
    }
}

impl<J: Send + 'static> Worker<J> {
    /// Starts the thread. It takes a job when nothing new has come for so long.
    ///
    /// # Errors
    /// There can be no more threads.
    pub(super) fn start(
        name: &str,
        quiet: Duration,
        mut work: impl FnMut(&Path, J) + Send + 'static,
    ) -> io::Result<Self> {
        let desk = Arc::new(Desk {
            jobs: Mutex::new(Jobs {
                waiting: BTreeMap::new(),
                last: None,
                is_closed: false,
            }),
            bell: Condvar::new(),
        });
        let own = Arc::clone(&desk);
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                while let Some((folder, job)) = own.take(quiet) {
                    work(&folder, job);
                }
            })?;
        Ok(Self { desk })
    }

    pub(super) fn put(&self, folder: &Path, job: J) {
        let mut jobs = self.desk.jobs();
        jobs.waiting.insert(folder.to_owned(), job);
        jobs.last = Some(Instant::now());
        self.desk.bell.notify_one();
    }

    /// Takes a job back, if it was not begun.
    pub(super) fn forget(&self, folder: &Path) {
        self.desk.jobs().waiting.remove(folder);
    }
}

impl<J> Drop for Worker<J> {
    fn drop(&mut self) {
        self.desk.jobs().is_closed = true;
        self.desk.bell.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn of_what_comes_while_it_works_only_the_latest_is_done() {
        let (began, begins) = channel();
        let (go, goes) = channel::<()>();
        let worker = Worker::start("test", Duration::ZERO, move |folder: &Path, job: u32| {
            began.send((folder.to_owned(), job)).unwrap();
            goes.recv().unwrap();
        })
        .unwrap();
        let (a, b) = (Path::new("a"), Path::new("b"));
        worker.put(a, 1);
        assert_eq!(begins.recv().unwrap(), (a.to_owned(), 1));
        for job in 2..100 {
            worker.put(a, job);
        }
        worker.put(b, 7);
        worker.put(b, 8);
        worker.forget(b);
        worker.put(b, 9);
        go.send(()).unwrap();
        assert_eq!(begins.recv().unwrap(), (a.to_owned(), 99));
        go.send(()).unwrap();
        assert_eq!(begins.recv().unwrap(), (b.to_owned(), 9));
        go.send(()).unwrap();
        drop(worker);
        assert!(begins.recv().is_err(), "the thread ends");
    }
}
