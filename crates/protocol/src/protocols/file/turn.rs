//! What a file needs to go on, and what comes of its turn.

use super::Reading;
use super::reader::Scratch;
use super::survey::Folders;
use crate::source::{LaneId, Page};
use crate::status::{GapReason, LaneStatus};
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;
use std::io::Error;
use std::path::PathBuf;
use tracing::warn;

/// Most payloads and bytes in a page.
const PAGE_PAYLOADS: usize = 1000;
const PAGE_BYTES: usize = 1 << 20;

/// The page that is being put together.
#[derive(Debug, Default)]
pub(super) struct Building {
    pub(super) page: Page,
    pub(super) size: usize,
    /// Whether a position has changed.
    pub(super) is_dirty: bool,
}

impl Building {
    pub(super) fn is_full(&self) -> bool {
        self.page.payloads.len() >= PAGE_PAYLOADS || self.size >= PAGE_BYTES
    }
}

/// What a file needs to go on.
pub(super) struct Turn<'a> {
    pub(super) now: DateTime<Utc>,
    pub(super) reading: &'a Reading,
    pub(super) lane: &'a LaneId,
    pub(super) status: &'a mut LaneStatus,
    pub(super) page: &'a mut Building,
    pub(super) scratch: &'a mut Scratch,
    pub(super) folders: &'a mut Folders,
    /// The names of all files that are followed.
    pub(super) names: &'a BTreeSet<PathBuf>,
    /// The last gap, and when it was found.
    pub(super) warning: &'a mut Option<(DateTime<Utc>, String)>,
}

impl Turn<'_> {
    pub(super) fn gap(&mut self, reason: GapReason, message: String) {
        warn!(lane = %self.lane, reason = reason.as_str(), "{message}");
        self.status.count_gap(reason);
        self.page.is_dirty = true;
        *self.warning = Some((self.now, message));
    }
}

/// What came of a turn.
#[derive(Debug)]
pub(super) enum Outcome {
    /// There may be more at once.
    More,
    /// The page is full.
    Full,
    /// Everything was read that there is. An unfinished line of a rotated file may still be waited for.
    Rest { is_waiting: bool },
    /// The file is not there.
    Missing(Error),
    /// It was to be read once, and was.
    Over,
}
