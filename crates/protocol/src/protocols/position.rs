//! Positions in lists of alerts that are asked for by time.
//!
//! Results are live: while pages follow each other, alerts change, appear and leave, and what stands on the next page
//! shifts. So nothing is taken for complete because pages came to an end. A sweep is cut into windows of time, each small
//! enough for one answer; an answer that holds a whole window holds all of it as it was at one moment.
//!
//! What was read stays uncertain for a while, because alerts show up a little later than their time stamp says. A window
//! is *settled* when it was read later than [`Reach::overlap`] after its end. The next sweep begins where the first
//! window began that was not. What was read since then is recognised by a fingerprint and dropped.
//!
//! When a window was read is told by the server's own time stamps: an alert that was shown was stamped before. No clock
//! moves the position further than to the newest time stamp that the server has shown.

use crate::http::Response;
use crate::json;
use crate::source::Notice;
use crate::stamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use ring::digest;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// How many fingerprints are remembered: as many as a cursor of [`Cursor::MAX_BYTES`](crate::Cursor::MAX_BYTES) holds.
const MAX_SEEN: usize = 64_000;

/// A fingerprint is kept a little longer than it is needed, for servers that round the bounds they are asked for.
const ROUNDING: i64 = 2 * SECOND;

/// The clock behind the header `Date` and the one that stamps alerts differ by no more than this. It decides only how
/// soon old windows are settled, not what is asked for next.
const CLOCKS: i64 = 15 * 60 * SECOND;

/// Fingerprints of a position of version 1 and of version 2 are the beginning of the same hash.
const FINGERPRINT_BYTES: usize = 8;

/// Windows are filled to this share of an answer, in percent, so that most of them fit at the first attempt.
const FILL: usize = 70;

/// How many alerts a window is to hold at most, where so many fit into an answer.
fn fill(page: usize) -> usize {
    (page.saturating_mul(FILL) / 100).max(1)
}

/// A window grows to no more than so many times the size of the one before.
const GROWTH: i64 = 4;

const SECOND: i64 = 10_000_000;

/// A point in time in the unit of the server's stamps: 100 nanoseconds, since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Tick(i64);

impl Tick {
    fn of(time: DateTime<Utc>) -> Self {
        Self(time.timestamp() * SECOND + i64::from(time.timestamp_subsec_nanos() / 100))
    }

    fn time(self) -> DateTime<Utc> {
        let nanos = u32::try_from(self.0.rem_euclid(SECOND) * 100).unwrap_or_default();
        DateTime::from_timestamp(self.0.div_euclid(SECOND), nanos).unwrap_or_default()
    }

    fn plus(self, ticks: i64) -> Self {
        Self(self.0.saturating_add(ticks))
    }
}

impl Serialize for Tick {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&stamp::format(self.time()))
    }
}

impl<'de> Deserialize<'de> for Tick {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        stamp::parse(&text)
            .map(Self::of)
            .ok_or_else(|| serde::de::Error::custom("a time stamp in it is none"))
    }
}

/// How far the list has been read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// The next sweep begins here: everything before was read when nothing late was to be expected any more.
    settled: Tick,
    /// The newest time stamp that the server has shown, without those from the future.
    newest: Tick,
    /// Nothing was read yet, and the begin is a time of our clock.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    fresh: bool,
    /// The sweep that has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sweep: Option<Sweep>,
    /// What was read since `settled`.
    #[serde(default, skip_serializing_if = "Seen::is_empty")]
    seen: Seen,
}

/// A walk from `settled` to the present, window by window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Sweep {
    /// Begin of the window; everything before it was read in this sweep.
    low: Tick,
    /// End of the window, which belongs to it; absent where it reaches to the present.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    high: Option<Tick>,
    /// A window of this sweep was not settled, so `settled` moves no further before the next one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    late: bool,
    /// When the window was asked for, once its first answer is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    read: Option<Read>,
}

/// When a window was asked for, in the time of the server's stamps: not before either of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Read {
    /// The newest time stamp that had been shown.
    newest: Tick,
    /// The same, or later by the header `Date`.
    as_of: Tick,
}

/// What differs between interfaces in how they are asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reach {
    /// How much later than its time stamp says an alert may show up.
    pub(crate) overlap: TimeDelta,
    /// Whether the bounds of a range belong to it.
    pub(crate) inclusive: bool,
    /// The shortest window that is asked for, in ticks from its begin to its end.
    pub(crate) shortest: i64,
}

/// When an answer was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// By the server's clock, or by ours where the server does not tell.
    now: Tick,
    /// Whether the server has told.
    told: bool,
}

impl Moment {
    /// The moment of a response to a request that was sent at `asked`.
    pub(crate) fn of(response: &Response, asked: DateTime<Utc>) -> Self {
        let date = response.date();
        Self {
            now: Tick::of(date.unwrap_or(asked)),
            told: date.is_some(),
        }
    }

    /// The moment by our clock.
    #[cfg(test)]
    pub(crate) fn ours(now: DateTime<Utc>) -> Self {
        Self {
            now: Tick::of(now),
            told: false,
        }
    }
}

/// A range of time stamps to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) since: DateTime<Utc>,
    /// Absent where it reaches to the present.
    pub(crate) until: Option<DateTime<Utc>>,
}

/// What identifies an alert.
#[derive(Debug, Default)]
pub(crate) struct Key {
    /// Its identity, if it has one; else the whole text identifies it.
    pub(crate) identity: Option<String>,
    /// Its time stamp.
    pub(crate) stamp: Option<DateTime<Utc>>,
}

/// What became of the elements of a list.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) payloads: Vec<Box<[u8]>>,
    pub(crate) duplicates: u64,
    pub(crate) malformed: u64,
    /// The sum of the fingerprints of all elements, also of those that were dropped: the same for the same elements, in
    /// whatever order.
    pub(crate) digest: u64,
    /// More alerts were read than are remembered.
    pub(crate) crowded: Option<Crowd>,
}

/// What was wrong with a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mended {
    /// It began too late.
    Begin,
    /// It lay in the future.
    Future,
}

/// What it costs that there are more alerts than are remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crowd {
    /// The next sweep reaches back to this time only.
    Shortened(DateTime<Utc>),
    /// Alerts that were read are read again.
    Repeated,
}

impl Mended {
    /// What is said about it.
    pub(crate) fn notice(self, lookback: TimeDelta) -> Option<Notice> {
        (self == Self::Future).then(|| Notice {
            message: format!(
                "the stored position lay in the server's future, so collection begins again {} minutes back",
                lookback.num_minutes()
            ),
            remedy: "check the clock of this machine",
        })
    }
}

impl Crowd {
    /// What is said about it.
    pub(crate) fn notice(self) -> Notice {
        match self {
            Self::Shortened(to) => Notice {
                message: format!(
                    "more than {MAX_SEEN} alerts lie within the overlap: alerts that show up late are expected back to {} only",
                    stamp::format(to)
                ),
                remedy: "none needed if no alert shows up late; a smaller `overlap` has the same effect",
            },
            Self::Repeated => Notice {
                message: format!(
                    "more than {MAX_SEEN} alerts are being collected at once: some of them come twice"
                ),
                remedy: "none needed; nothing is lost",
            },
        }
    }
}

impl Position {
    /// Nothing has been read; the list is read from this time on.
    pub(crate) fn starting_at(start: DateTime<Utc>, overlap: TimeDelta) -> Self {
        let start = Tick::of(start);
        Self {
            settled: start.plus(-ticks(overlap)),
            newest: start,
            fresh: true,
            sweep: None,
            seen: Seen::default(),
        }
    }

    /// The newest time stamp that the server has shown.
    pub(crate) fn newest(&self) -> DateTime<Utc> {
        self.newest.time()
    }

    fn sweep(&self) -> Sweep {
        self.sweep.clone().unwrap_or(Sweep {
            low: self.settled,
            high: None,
            late: false,
            read: None,
        })
    }

    /// What to ask for.
    pub(crate) fn window(&self) -> Window {
        let sweep = self.sweep();
        Window {
            since: sweep.low.time(),
            until: sweep.high.map(Tick::time),
        }
    }

    /// Corrects a position that our clock has put too far ahead: the begin, which is to lie so far back from the server's
    /// present, and any position in the server's future, which would see nothing that comes. Tells what it is now.
    pub(crate) fn mend(
        &mut self,
        moment: Moment,
        lookback: TimeDelta,
        reach: &Reach,
    ) -> Option<Mended> {
        let fresh = std::mem::take(&mut self.fresh);
        let begin = moment.now.plus(-ticks(lookback));
        let settled = begin.plus(-ticks(reach.overlap));
        let latest = if fresh {
            settled.plus(60 * SECOND)
        } else {
            moment.now.plus(CLOCKS)
        };
        if !moment.told || self.settled <= latest {
            return None;
        }
        self.settled = settled;
        self.newest = begin;
        self.sweep = None;
        Some(if fresh { Mended::Begin } else { Mended::Future })
    }

    /// Takes the elements that have not been read before. None is lost for being odd: what is no object, or has no
    /// identity or no time stamp, is passed on as it is. Only `null` holds nothing.
    pub(crate) fn take(
        &mut self,
        elements: &[&[u8]],
        moment: Moment,
        key: impl Fn(&[u8]) -> Option<Key>,
    ) -> Taken {
        self.fresh = false;
        let mut known: HashSet<u64> = self.seen.0.iter().map(|(_, print)| *print).collect();
        let mut taken = Taken::default();
        for element in elements {
            if *element == b"null" {
                taken.malformed += 1;
                continue;
            }
            let key = key(element).unwrap_or_default();
            if key.identity.is_none() || key.stamp.is_none() {
                taken.malformed += 1;
            }
            let stamp = key.stamp.map(Tick::of);
            if let Some(stamp) = stamp.filter(|stamp| *stamp <= moment.now) {
                self.newest = self.newest.max(stamp);
            }
            let print = fingerprint(key.identity.as_deref().map_or(element, str::as_bytes));
            taken.digest = taken.digest.wrapping_add(print);
            if !known.insert(print) {
                taken.duplicates += 1;
                continue;
            }
            self.seen.0.insert((stamp.unwrap_or(moment.now), print));
            taken.payloads.push(json::payload(element));
        }
        let mut sweep = self.sweep();
        if sweep.read.is_none() {
            let by_date = moment.now.plus(-CLOCKS);
            sweep.read = Some(Read {
                newest: self.newest,
                as_of: if moment.told {
                    self.newest.max(by_date)
                } else {
                    self.newest
                },
            });
        }
        self.sweep = Some(sweep);
        taken.crowded = self.forget_most();
        taken
    }

    /// The whole window was read, and held so many alerts; tells whether the sweep goes on with another one. `page` is how
    /// many alerts fit into an answer, where that is known, and `now` as far as the sweep has to reach at least.
    pub(crate) fn complete(
        &mut self,
        count: usize,
        page: Option<usize>,
        now: Option<Moment>,
        reach: &Reach,
    ) -> bool {
        let mut sweep = self.sweep();
        let overlap = ticks(reach.overlap);
        let read = sweep.read.take().unwrap_or(Read {
            newest: self.newest,
            as_of: self.newest,
        });
        let Some(high) = sweep.high else {
            if !sweep.late {
                let newest = read.newest.plus(i64::from(reach.inclusive));
                let settled = newest.min(read.as_of.plus(-overlap));
                self.settled = self.settled.max(settled);
            }
            self.sweep = None;
            self.forget_old();
            return false;
        };
        // Bounds that may lie outside are asked for with the next window again.
        let next = high.plus(if reach.inclusive { 1 } else { -1 });
        if !sweep.late {
            let settled = next.min(self.newest).min(read.as_of.plus(-overlap));
            self.settled = self.settled.max(settled);
            sweep.late = read.as_of.plus(-overlap) < high;
        }
        let width = (high.0 - sweep.low.0).max(1);
        sweep.low = next.max(sweep.low.plus(1));
        let low = sweep.low;
        sweep.high = match page {
            None => {
                let far = now.map_or(self.newest, |now| self.newest.max(now.now));
                let end = low.plus(width.saturating_mul(2).max(reach.shortest));
                (end < far).then_some(end)
            }
            Some(page) => {
                let (fill, count) = (fill(page) as i128, count as i128);
                let most = i128::from(width) * i128::from(GROWTH);
                let fitting = if count > 0 {
                    (i128::from(width) * fill / count).clamp(1, most)
                } else {
                    most
                };
                let end = low.plus(i64::try_from(fitting).unwrap_or(i64::MAX));
                match self.known_to_fit(low, page) {
                    // Where alerts were few, they are taken to be few up to those that are known.
                    Some(known) if count * i128::from(GROWTH) < fill => Some(known),
                    Some(known) => Some(end.min(known)),
                    None => (end < self.newest).then_some(end),
                }
            }
        };
        self.sweep = Some(sweep);
        self.forget_old();
        true
    }

    /// Asks for a shorter window, as the present one does not fit into an answer; `false` where it is as short as can be.
    /// `page` is how many alerts fit into an answer, where that is known, and `now` how far the window reaches at least if
    /// it has no end.
    pub(crate) fn narrow(
        &mut self,
        page: Option<usize>,
        now: Option<DateTime<Utc>>,
        reach: &Reach,
    ) -> bool {
        let mut sweep = self.sweep();
        let end = match (sweep.high, now) {
            (Some(high), _) => high,
            // Where our clock is behind the server's, an hour is as good as any end: the next window begins there.
            (None, Some(now)) => {
                let far = self.newest.max(Tick::of(now));
                if far > sweep.low.plus(2 * reach.shortest) {
                    far
                } else {
                    sweep.low.plus(3600 * SECOND)
                }
            }
            (None, None) if self.newest >= sweep.low => self.newest,
            // Only what is stamped with the future is left.
            (None, None) => match self.seen.0.last() {
                Some((newest, _)) => *newest,
                None => return false,
            },
        };
        if end < sweep.low {
            return false;
        }
        let mut high = sweep.low.plus((end.0 - sweep.low.0) / 2);
        if let Some(page) = page {
            let known = self.known_to_fit(sweep.low, page);
            let first = self.seen.0.range((sweep.low, 0)..).next();
            if sweep.high.is_none() && known.is_none_or(|known| known >= end) {
                // What is more lies behind what is known.
                high = end;
            } else if let Some(known) = known
                && first.is_some_and(|(first, _)| *first <= high)
            {
                high = high.min(known);
            }
        }
        if high.0 - sweep.low.0 < reach.shortest || sweep.high == Some(high) {
            return false;
        }
        sweep.high = Some(high);
        sweep.read = None;
        self.sweep = Some(sweep);
        true
    }

    /// Where a window has to end so that the alerts in it that are known fill an answer as far as it is to be filled; `None`
    /// where there are not so many.
    fn known_to_fit(&self, low: Tick, page: usize) -> Option<Tick> {
        let (next, _) = self.seen.0.range((low, 0)..).nth(fill(page))?;
        Some(next.plus(-1).max(low))
    }

    /// The window is read once more from its beginning.
    pub(crate) fn again(&mut self) {
        if let Some(sweep) = &mut self.sweep {
            sweep.read = None;
        }
    }

    /// It is not sure that the window was read to its end. The sweep goes on behind it, and the next one begins before it.
    pub(crate) fn leave_behind(&mut self, reach: &Reach) {
        let mut sweep = self.sweep();
        sweep.late = true;
        self.sweep = Some(sweep);
        self.complete(1, None, None, reach);
    }

    /// Whether a sweep has begun and is not over.
    pub(crate) fn has_begun(&self) -> bool {
        self.sweep.is_some()
    }

    /// Whether the alerts of the present window are more than are remembered.
    pub(crate) fn is_crowded(&self) -> bool {
        self.seen.0.len() >= MAX_SEEN
    }

    /// What was read of the window is not remembered whole, so it is not asked for again.
    pub(crate) fn settle_window(&mut self) {
        if let Some(Sweep {
            high: Some(high), ..
        }) = self.sweep
        {
            self.settled = self.settled.max(high.plus(1));
        }
    }

    fn forget_old(&mut self) {
        let from = (self.settled.plus(-ROUNDING), 0);
        if self.seen.0.first().is_some_and(|first| *first < from) {
            self.seen.0 = self.seen.0.split_off(&from);
        }
    }

    /// Forgets where there is too much: first what was read in full and is kept only for what comes late, then what was
    /// read ahead of the window.
    fn forget_most(&mut self) -> Option<Crowd> {
        let mut crowded = None;
        let low = self.sweep().low;
        while self.seen.0.len() > MAX_SEEN {
            let (oldest, _) = *self.seen.0.first()?;
            if oldest < low {
                let next = oldest.plus(1);
                self.seen.0 = self.seen.0.split_off(&(next, 0));
                self.settled = self.settled.max(next);
                crowded = crowded.or(Some(Crowd::Shortened(DateTime::UNIX_EPOCH)));
                continue;
            }
            // The newest first: they are asked for last.
            self.seen.0.pop_last();
            crowded = Some(Crowd::Repeated);
        }
        crowded.map(|crowd| match crowd {
            Crowd::Shortened(_) => Crowd::Shortened(self.settled.time()),
            Crowd::Repeated => Crowd::Repeated,
        })
    }
}

fn ticks(time: TimeDelta) -> i64 {
    time.num_microseconds()
        .unwrap_or(i64::MAX / 10)
        .saturating_mul(10)
}

/// Eight bytes of SHA-256: among as many alerts as are remembered, the chance that any two share them is one in ten
/// thousand million.
fn fingerprint(identity: &[u8]) -> u64 {
    let hash = digest::digest(&digest::SHA256, identity);
    first_bytes(hash.as_ref())
}

fn first_bytes(hash: &[u8]) -> u64 {
    hash.iter()
        .take(FINGERPRINT_BYTES)
        .fold(0, |print, byte| (print << 8) | u64::from(*byte))
}

/// Fingerprints by time stamp. Written as Base64 of, for each, the distance from the time stamp before (LEB128) and the
/// fingerprint: about 15 characters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Seen(BTreeSet<(Tick, u64)>);

impl Seen {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Seen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::with_capacity(self.0.len() * 12);
        let mut before = 0;
        for (Tick(at), print) in &self.0 {
            let mut distance = at.wrapping_sub(before) as u64;
            before = *at;
            while distance >= 0x80 {
                bytes.push(distance as u8 | 0x80);
                distance >>= 7;
            }
            bytes.push(distance as u8);
            bytes.extend_from_slice(&print.to_be_bytes());
        }
        serializer.serialize_str(&STANDARD_NO_PAD.encode(bytes))
    }
}

impl<'de> Deserialize<'de> for Seen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let damaged = || serde::de::Error::custom("its fingerprints are damaged");
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD_NO_PAD.decode(text).map_err(|_| damaged())?;
        let mut seen = BTreeSet::new();
        let mut rest = bytes.as_slice();
        let mut at = 0_i64;
        while !rest.is_empty() {
            let mut distance = 0_u64;
            for shift in (0..).step_by(7) {
                let (byte, tail) = rest.split_first().ok_or_else(damaged)?;
                rest = tail;
                if shift > 63 {
                    return Err(damaged());
                }
                distance |= u64::from(byte & 0x7f) << shift;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            at = at.wrapping_add(distance as i64);
            let (print, tail) = rest
                .split_at_checked(FINGERPRINT_BYTES)
                .ok_or_else(damaged)?;
            rest = tail;
            seen.insert((Tick(at), first_bytes(print)));
        }
        Ok(Self(seen))
    }
}

/// A position as version 1 wrote it: a bookmark, from which requests reached five minutes back.
#[derive(Debug, Deserialize)]
pub(crate) struct Version1 {
    bookmark: Tick,
    floor: Option<Tick>,
    #[serde(default)]
    seen: BTreeMap<Tick, Vec<String>>,
}

impl From<Version1> for Position {
    /// Begins the sweep again, if there was one: what it has read is known by its fingerprints.
    fn from(old: Version1) -> Self {
        let settled = old.bookmark.plus(-5 * 60 * SECOND);
        let prints = |texts: Vec<String>| {
            texts.into_iter().filter_map(|text| {
                let digits = text.get(..2 * FINGERPRINT_BYTES)?;
                u64::from_str_radix(digits, 16).ok()
            })
        };
        let seen = old
            .seen
            .into_iter()
            .flat_map(|(at, texts)| prints(texts).map(move |print| (at, print)))
            .collect();
        Self {
            settled: old.floor.map_or(settled, |floor| floor.max(settled)),
            newest: old.bookmark,
            fresh: false,
            sweep: None,
            seen: Seen(seen),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cursor;

    const REACH: Reach = Reach {
        overlap: TimeDelta::minutes(5),
        inclusive: true,
        shortest: 0,
    };

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000 + second, 0).unwrap()
    }

    /// An element such as `a@5`: identity and second.
    fn key(element: &[u8]) -> Option<Key> {
        let text = std::str::from_utf8(element).unwrap();
        let (identity, second) = text.split_once('@')?;
        Some(Key {
            identity: Some(identity.to_owned()),
            stamp: second.parse().ok().map(|second: f64| {
                at(0) + TimeDelta::milliseconds((second * 1000.0).round() as i64)
            }),
        })
    }

    /// Takes the elements of an answer at this second, and gives the payloads and the number of duplicates.
    fn take(position: &mut Position, elements: &[&str], second: i64) -> (Vec<String>, u64) {
        let elements: Vec<&[u8]> = elements.iter().map(|element| element.as_bytes()).collect();
        let taken = position.take(&elements, Moment::ours(at(second)), key);
        let payloads = taken
            .payloads
            .iter()
            .map(|payload| String::from_utf8(payload.to_vec()).unwrap())
            .collect();
        (payloads, taken.duplicates)
    }

    fn start() -> Position {
        Position::starting_at(at(0), REACH.overlap)
    }

    fn finish(position: &mut Position) {
        assert!(!position.complete(1, Some(500), None, &REACH));
    }

    fn since(position: &Position) -> i64 {
        (position.window().since - at(0)).num_seconds()
    }

    #[test]
    fn what_was_read_before_is_dropped_and_what_arrives_late_is_not() {
        let mut position = start();
        assert_eq!(since(&position), -300);
        assert_eq!(
            take(&mut position, &["a@10", "b@20", "b@20"], 100).0,
            ["a@10", "b@20"]
        );
        finish(&mut position);
        assert_eq!(since(&position), -280);
        assert_eq!(
            take(&mut position, &["a@10", "late@15", "b@20"], 100),
            (vec!["late@15".to_owned()], 2)
        );
    }

    #[test]
    fn a_sweep_that_lasts_moves_the_position_to_where_it_began_and_no_further() {
        let mut position = start();
        // Ten alerts each second, two hundred in an answer, the newest first; new ones come while it is read.
        let alert = |n: i64| format!("{n}@{}.{}", n / 10, n % 10);
        let first: Vec<String> = (9800..10_000).map(alert).collect();
        let first: Vec<&str> = first.iter().map(String::as_str).collect();
        let mut all = take(&mut position, &first, 1000).0;
        assert!(position.narrow(Some(200), None, &REACH));
        let mut second = 1000;
        loop {
            second += 5;
            let Window { since, until } = position.window();
            let from = ((since - at(0)).num_milliseconds().max(0) + 99) / 100;
            let to = until.map_or(second * 10, |until| {
                (until - at(0)).num_milliseconds() / 100 + 1
            });
            let there: Vec<String> = (from..to).map(alert).collect();
            let shown = &there[there.len().saturating_sub(200)..];
            let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
            all.extend(take(&mut position, &shown, second).0);
            if there.len() > 200 {
                assert!(position.narrow(Some(200), None, &REACH));
            } else if !position.complete(there.len(), Some(200), None, &REACH) {
                break;
            }
        }
        assert!(second > 1000 + 300, "longer than the overlap: {second}");
        all.sort();
        let count = all.len();
        all.dedup();
        assert_eq!(all.len(), count, "nothing comes twice");
        assert_eq!(count as i64, second * 10, "all that there was at the end");
        // The windows that were read within five minutes of their time stamps are read again, those before are not.
        let since = since(&position);
        assert!((690..second - 300).contains(&since), "{since} {second}");
    }

    #[test]
    fn a_stamp_from_the_future_moves_nothing() {
        let mut position = start();
        take(&mut position, &["a@50", "future@100000"], 100);
        finish(&mut position);
        assert_eq!(since(&position), -250);
        assert_eq!(take(&mut position, &["future@100000"], 100).1, 1);
    }

    #[test]
    fn fingerprints_are_forgotten_once_no_request_reaches_back_to_them() {
        let mut position = start();
        for minute in 0..1000 {
            let element = format!("{minute}@{}", minute * 60);
            take(&mut position, &[&element], minute * 60);
            finish(&mut position);
        }
        assert_eq!(position.seen.0.len(), 6);
    }

    #[test]
    fn as_many_fingerprints_as_are_remembered_fit_into_a_cursor() {
        let mut position = start();
        // As far apart as so many can be within the longest overlap.
        let elements: Vec<String> = (0..MAX_SEEN)
            .map(|n| format!("{n}@{}", n as f64 * 1.35))
            .collect();
        let texts: Vec<&str> = elements.iter().map(String::as_str).collect();
        assert_eq!(take(&mut position, &texts, 90_000).0.len(), MAX_SEEN);
        let cursor = Cursor::encode(2, &position);
        let length = cursor.as_text().unwrap().len();
        // A link has 16 KiB at most.
        assert!(length + 16 * 1024 + 1000 < Cursor::MAX_BYTES, "{length}");
        let mut again: Position = cursor.decode(2).unwrap().unwrap();
        assert_eq!(again, position);
        assert_eq!(take(&mut again, &texts, 90_000).1, MAX_SEEN as u64);
    }

    #[test]
    fn a_burst_beyond_what_is_remembered_shortens_the_overlap_says_so_and_repeats_nothing() {
        let mut position = start();
        // A thousand in a second, five seconds in an answer.
        let mut shortened = 0;
        for window in 0..30 {
            let elements: Vec<String> = (0..5000)
                .map(|n| format!("{window}-{n}@{}", window as f64 * 5.0 + n as f64 / 1000.0))
                .collect();
            let elements: Vec<&[u8]> = elements.iter().map(String::as_bytes).collect();
            let end = (window + 1) * 5;
            if let Some(sweep) = &mut position.sweep {
                sweep.high = Some(Tick::of(at(end)).plus(-1));
            }
            let taken = position.take(&elements, Moment::ours(at(200)), key);
            assert_eq!(taken.payloads.len(), 5000);
            shortened += u32::from(matches!(taken.crowded, Some(Crowd::Shortened(_))));
            if let Some(sweep) = &mut position.sweep {
                sweep.high = Some(Tick::of(at(end)).plus(-1));
            }
            assert!(position.complete(5000, Some(5000), None, &REACH));
        }
        assert!(shortened > 10);
        let since = since(&{
            position.sweep = None;
            position.clone()
        });
        assert!((80..95).contains(&since), "{since}");
        // What the server shows again from there on is known.
        let again: Vec<String> = (since + 1..150)
            .flat_map(|second| (0..1000).map(move |n| (second, n)))
            .map(|(second, n)| {
                let number = second % 5 * 1000 + n;
                format!(
                    "{}-{number}@{}",
                    second / 5,
                    second as f64 + n as f64 / 1000.0
                )
            })
            .collect();
        let again: Vec<&str> = again.iter().map(String::as_str).collect();
        assert_eq!(take(&mut position, &again, 200).0.len(), 0);
    }

    #[test]
    fn odd_elements_are_passed_on_once_and_counted() {
        let mut position = start();
        let elements: [&[u8]; 5] = [b"null", b"odd", b"x@never", b"odd", b"y@1"];
        let taken = position.take(&elements, Moment::ours(at(5)), key);
        assert_eq!(taken.payloads.len(), 3);
        assert_eq!((taken.malformed, taken.duplicates), (4, 1));
    }

    #[test]
    fn a_position_that_our_clock_has_put_into_the_future_begins_again() {
        let told = |second| Moment {
            now: Tick::of(at(second)),
            told: true,
        };
        let lookback = TimeDelta::hours(2);
        // At the first answer, by as much as our clock is ahead.
        let mut position = Position::starting_at(at(4000) - lookback, REACH.overlap);
        let mended = position.mend(told(0), lookback, &REACH);
        assert_eq!(mended, Some(Mended::Begin));
        assert_eq!(since(&position), -7500);
        assert_eq!(position.mend(told(0), lookback, &REACH), None);
        // Later on, if it is further ahead than clocks differ.
        let mut position = start();
        take(&mut position, &["a@86400"], 86_400);
        finish(&mut position);
        assert_eq!(position.mend(told(86_000), lookback, &REACH), None);
        assert_eq!(position.mend(Moment::ours(at(0)), lookback, &REACH), None);
        let mended = position.mend(told(0), lookback, &REACH);
        assert_eq!(mended, Some(Mended::Future));
        assert_eq!(since(&position), -7500);
    }

    #[test]
    fn a_position_of_version_1_keeps_its_place_and_what_was_read() {
        let text = r#"{"version":1,"position":{"bookmark":"2023-11-14T22:13:40.0000000Z","floor":null,
            "high":"2023-11-14T22:14:00Z","seen":{"2023-11-14T22:13:30.0000000Z":["ca978112ca1bbdcafac231b3"]}}}"#;
        let old: Version1 = Cursor::from_text(text).decode(2).unwrap().unwrap();
        let mut position = Position::from(old);
        assert_eq!(since(&position), 20 - 300);
        // The hash is that of the identity `a`.
        assert_eq!(
            take(&mut position, &["a@10", "b@10"], 100),
            (vec!["b@10".to_owned()], 1)
        );
    }

    #[test]
    fn a_damaged_position_is_refused() {
        for text in [
            r#"{"settled":"yesterday","newest":"2023-11-14T22:13:40Z"}"#,
            r#"{"settled":"2023-11-14T22:13:40Z","newest":"2023-11-14T22:13:40Z","seen":"A"}"#,
            r#"{"settled":"2023-11-14T22:13:40Z","newest":"2023-11-14T22:13:40Z","seen":"AAAA"}"#,
            r#"{"settled":"2023-11-14T22:13:40Z","newest":"2023-11-14T22:13:40Z","seen":"/////////////////////w"}"#,
        ] {
            assert!(serde_json::from_str::<Position>(text).is_err(), "{text}");
        }
    }
}
