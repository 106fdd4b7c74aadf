//! How far a lane has been delivered whose cursors are not kept here.

use crate::store::{SourceId, Store};
use protocol::{Cursor, LaneId};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The cursors of a lane, from accepted to delivered. The thread of the lane adds to it, and whoever publishes positions
/// looks at it.
#[derive(Debug)]
pub struct Ledger {
    store: Arc<Store>,
    source: SourceId,
    lane: LaneId,
    account: Mutex<Account>,
}

#[derive(Debug)]
struct Account {
    /// Of accepted pages that are not known to be delivered.
    open: VecDeque<Cursor>,
    /// How many pages were delivered before these, as the store counts.
    delivered: u64,
    /// The cursor up to which everything is delivered, if nobody has asked for it yet.
    reached: Option<Cursor>,
}

impl Ledger {
    /// The account of a lane that begins at a cursor, and whose first page has this number in the store.
    pub(crate) fn begin(
        store: Arc<Store>,
        source: SourceId,
        lane: LaneId,
        first: u64,
        cursor: Cursor,
    ) -> Self {
        Self {
            store,
            source,
            lane,
            account: Mutex::new(Account {
                open: VecDeque::new(),
                delivered: first,
                // Whoever goes on has to know where it has begun, even if there never was anything.
                reached: Some(cursor),
            }),
        }
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose it is.
    pub(crate) fn lane(&self) -> &LaneId {
        &self.lane
    }

    /// The store has accepted a page up to this cursor.
    pub(crate) fn accepted(&self, cursor: Cursor) {
        self.account().open.push_back(cursor);
    }

    /// The cursor up to which everything has been delivered, if it has changed since this was asked last.
    pub(crate) fn reached(&self) -> Option<Cursor> {
        let pages = self.store.delivered(self.source, &self.lane.lane);
        let mut account = self.account();
        while account.delivered < pages
            && let Some(cursor) = account.open.pop_front()
        {
            account.delivered += 1;
            account.reached = Some(cursor);
        }
        account.reached.take()
    }

    /// Whether something that was accepted is not delivered.
    pub(crate) fn is_open(&self) -> bool {
        let pages = self.store.delivered(self.source, &self.lane.lane);
        let account = self.account();
        account.delivered + account.open.len() as u64 > pages
    }
}
