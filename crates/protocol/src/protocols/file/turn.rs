//! What a file needs to go on, and what comes of its turn.

use super::Reading;
use super::paths::shown;
use super::survey::Folders;
use crate::source::{LaneId, Page};
use crate::status::{GapReason, LaneStatus};
use chrono::{DateTime, TimeDelta, Utc};
use framing::{Fault, FaultKind};
use std::collections::BTreeSet;
use std::io::Error;
use std::mem::{Discriminant, discriminant};
use std::path::{Path, PathBuf};
use tracing::warn;

/// Most payloads and bytes in a page.
const PAGE_PAYLOADS: usize = 1000;
const PAGE_BYTES: usize = 1 << 20;

/// How often faults of a kind are logged.
const LOG: TimeDelta = TimeDelta::minutes(1);

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
    /// A buffer for what is read, so that not each file needs one.
    pub(super) scratch: &'a mut Vec<u8>,
    pub(super) folders: &'a mut Folders,
    /// The names of all files that are followed.
    pub(super) names: &'a BTreeSet<PathBuf>,
    /// The last gap, and when it was found.
    pub(super) warning: &'a mut Option<(DateTime<Utc>, String)>,
    /// When a fault of a kind was last logged.
    pub(super) logged: &'a mut Vec<(Discriminant<FaultKind>, DateTime<Utc>)>,
}

impl Turn<'_> {
    pub(super) fn gap(&mut self, reason: GapReason, message: String) {
        warn!(lane = %self.lane, reason = reason.as_str(), "{message}");
        self.status.count_gap(reason, &message);
        self.page.is_dirty = true;
        *self.warning = Some((self.now, message));
    }

    /// Counts what is wrong within a file, and logs it, of each kind one in a minute.
    pub(super) fn fault(&mut self, path: &Path, fault: Fault) {
        let path = shown(path);
        if fault.kind == FaultKind::Utf16 {
            let message =
                format!("{path} is not read, because it is UTF-16: let it be written in UTF-8");
            return self.gap(GapReason::Unreadable, message);
        }
        self.page.page.malformed += u64::from(fault.kind.concerns_payloads());
        let kind = discriminant(&fault.kind);
        let now = self.now;
        let known = self.logged.iter_mut().find(|(known, _)| *known == kind);
        match known {
            Some((_, logged)) if (now - *logged).abs() < LOG => return,
            Some((_, logged)) => *logged = now,
            None => self.logged.push((kind, now)),
        }
        warn!(lane = %self.lane, "{path}, byte {}: {}", fault.offset, fault.kind);
    }

    /// Counts a payload of which only the part behind an offset is passed on, and logs it.
    pub(super) fn rest_of_payload(&mut self, path: &Path, offset: u64) {
        self.page.page.malformed += 1;
        let path = shown(path);
        warn!(
            lane = %self.lane,
            "{path}, byte {offset}: a payload begins before this byte, and its beginning was passed on under other settings; \
             its rest is passed on as a payload"
        );
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
