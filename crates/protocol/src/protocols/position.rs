//! Positions in lists of alerts that are asked for by time: a bookmark, an overlap, and what was read within it.
//!
//! Whether a lower bound includes its own moment is not documented for any of these interfaces, and an alert may become
//! visible a little after others with later time stamps. So every request reaches back behind the bookmark, and what
//! was read before is recognised by a fingerprint and dropped.

use crate::json;
use crate::stamp;
use chrono::{DateTime, TimeDelta, Utc};
use ring::digest;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

/// How far behind the bookmark every request reaches.
pub(crate) const OVERLAP: TimeDelta = TimeDelta::minutes(5);

/// How many fingerprints are remembered. Where more alerts than this lie within the overlap, the overlap gets shorter
/// rather than alerts being read twice.
const MAX_SEEN: usize = 10_000;

/// Twelve bytes of SHA-256 in hexadecimal digits: among all alerts that a tenant ever has, no two share them.
const FINGERPRINT_BYTES: usize = 12;

/// How far the list has been read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Everything up to here has been read.
    bookmark: String,
    /// Fingerprints from before this time have been forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    floor: Option<String>,
    /// The newest time stamp since the bookmark was moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    high: Option<String>,
    /// Fingerprints were forgotten since the bookmark was moved.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    forgot: bool,
    /// Fingerprints by time stamp.
    #[serde(default)]
    seen: BTreeMap<String, Vec<String>>,
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
}

impl Position {
    /// Nothing has been read; the list is read from this time on.
    pub(crate) fn starting_at(start: DateTime<Utc>) -> Self {
        Self {
            bookmark: stamp::format(start),
            floor: None,
            high: None,
            forgot: false,
            seen: BTreeMap::new(),
        }
    }

    /// Everything up to here has been read.
    pub(crate) fn bookmark(&self) -> DateTime<Utc> {
        // A position that was decoded has a stamp here: see `is_sound`.
        stamp::parse(&self.bookmark).unwrap_or(DateTime::UNIX_EPOCH)
    }

    /// Whether the time stamps in a stored position can be read.
    pub(crate) fn is_sound(&self) -> bool {
        [
            Some(&self.bookmark),
            self.floor.as_ref(),
            self.high.as_ref(),
        ]
        .into_iter()
        .flatten()
        .all(|text| stamp::parse(text).is_some())
    }

    /// From when on to ask.
    pub(crate) fn since(&self, overlap: TimeDelta) -> DateTime<Utc> {
        let since = self.bookmark() - overlap;
        let floor = self.floor.as_deref().and_then(stamp::parse);
        floor.map_or(since, |floor| floor.max(since))
    }

    /// Takes the elements that have not been read before. None is lost for being odd: what is no object, or has no
    /// identity or no time stamp, is passed on as it is. Only `null` holds nothing. They were asked for at `now`.
    pub(crate) fn take(
        &mut self,
        elements: &[&[u8]],
        now: DateTime<Utc>,
        key: impl Fn(&[u8]) -> Option<Key>,
    ) -> Taken {
        let mut known: HashSet<String> = self.seen.values().flatten().cloned().collect();
        let asked = stamp::format(now);
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
            let print = fingerprint(key.identity.as_deref().map_or(element, str::as_bytes));
            if !known.insert(print.clone()) {
                taken.duplicates += 1;
                continue;
            }
            let stamp = key.stamp.map(stamp::format);
            if let Some(stamp) = &stamp
                && self.high.as_ref().is_none_or(|high| high < stamp)
            {
                self.high = Some(stamp.clone());
            }
            // Whatever its time stamp is for the server, it is none after this moment.
            let at = stamp.unwrap_or_else(|| asked.clone());
            self.seen.entry(at).or_default().push(print);
            taken.payloads.push(json::payload(element));
        }
        self.forget_most();
        taken
    }

    /// Everything that was asked for has been read: the bookmark moves to the newest time stamp, or to `at_least`. It
    /// never passes `now`, so that a time stamp from the future hides nothing.
    pub(crate) fn finish(&mut self, at_least: Option<DateTime<Utc>>, now: DateTime<Utc>) {
        let high = self.high.take().and_then(|high| stamp::parse(&high));
        let newest = high
            .max(at_least)
            .map_or(self.bookmark(), |newest| newest.min(now));
        if newest > self.bookmark() {
            self.bookmark = stamp::format(newest);
        }
        if std::mem::take(&mut self.forgot) {
            self.floor = self.seen.keys().next().cloned().max(self.floor.take());
        }
        let since = stamp::format(self.since(OVERLAP));
        self.seen = self.seen.split_off(&since);
        if self
            .floor
            .as_ref()
            .is_some_and(|floor| *floor <= stamp::format(self.bookmark() - OVERLAP))
        {
            self.floor = None;
        }
    }

    /// Forgets the oldest fingerprints where there are too many: those of whole moments, as long as there are several.
    fn forget_most(&mut self) {
        let mut count: usize = self.seen.values().map(Vec::len).sum();
        while count > MAX_SEEN && self.seen.len() > 1 {
            let oldest = self.seen.pop_first();
            count -= oldest.map_or(0, |(_, prints)| prints.len());
            self.forgot = true;
        }
        if count > MAX_SEEN
            && let Some(mut only) = self.seen.first_entry()
        {
            only.get_mut().drain(..count - MAX_SEEN);
        }
    }
}

fn fingerprint(identity: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA256, identity);
    let mut print = String::with_capacity(2 * FINGERPRINT_BYTES);
    for byte in hash.as_ref().iter().take(FINGERPRINT_BYTES) {
        let _ = write!(print, "{byte:02x}");
    }
    print
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cursor;

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

    fn take(position: &mut Position, elements: &[&str]) -> (Vec<String>, u64) {
        let elements: Vec<&[u8]> = elements.iter().map(|element| element.as_bytes()).collect();
        let taken = position.take(&elements, at(0), key);
        let payloads = taken
            .payloads
            .iter()
            .map(|payload| String::from_utf8(payload.to_vec()).unwrap())
            .collect();
        (payloads, taken.duplicates)
    }

    #[test]
    fn what_was_read_before_is_dropped_and_what_arrives_late_is_not() {
        let mut position = Position::starting_at(at(0));
        assert_eq!(
            take(&mut position, &["a@10", "b@20", "b@20"]).0,
            ["a@10", "b@20"]
        );
        position.finish(None, at(100));
        assert_eq!(position.bookmark(), at(20));
        assert_eq!(position.since(OVERLAP), at(-280));
        assert_eq!(
            take(&mut position, &["a@10", "late@15", "b@20"]),
            (vec!["late@15".to_owned()], 2)
        );
    }

    #[test]
    fn the_bookmark_moves_only_when_all_was_read_and_never_back_nor_beyond_now() {
        let mut position = Position::starting_at(at(0));
        take(&mut position, &["a@50"]);
        assert_eq!(position.bookmark(), at(0));
        position.finish(None, at(100));
        take(&mut position, &["old@-40"]);
        position.finish(None, at(100));
        assert_eq!(position.bookmark(), at(50));
        take(&mut position, &["future@100000"]);
        position.finish(None, at(100));
        assert_eq!(position.bookmark(), at(100));
        assert_eq!(take(&mut position, &["future@100000"]).1, 1);
    }

    #[test]
    fn fingerprints_are_forgotten_once_no_request_reaches_back_to_them() {
        let mut position = Position::starting_at(at(0));
        for minute in 0..1000 {
            let element = format!("{minute}@{}", minute * 60);
            take(&mut position, &[&element]);
            position.finish(None, at(minute * 60));
        }
        assert_eq!(position.seen.len(), 6);
    }

    #[test]
    fn a_burst_keeps_the_cursor_small_and_repeats_nothing() {
        let mut position = Position::starting_at(at(0));
        // A hundred in a second, each with a time stamp of its own.
        let elements: Vec<String> = (0..50_000)
            .map(|n| format!("{n}@{}", f64::from(n) / 100.0))
            .collect();
        let texts: Vec<&str> = elements.iter().map(String::as_str).collect();
        assert_eq!(take(&mut position, &texts).0.len(), 50_000);
        position.finish(None, at(1000));
        let cursor = Cursor::encode(1, &position);
        assert!(cursor.as_text().unwrap().len() < Cursor::MAX_BYTES);
        // What the server would send again.
        let since = (position.since(OVERLAP) - at(0)).as_seconds_f64();
        let again: Vec<&str> = texts
            .into_iter()
            .filter(|text| text.split_once('@').unwrap().1.parse::<f64>().unwrap() >= since)
            .collect();
        assert_eq!(again.len(), MAX_SEEN);
        let (repeated, duplicates) = take(&mut position, &again);
        assert_eq!((repeated.len(), duplicates), (0, MAX_SEEN as u64));
    }

    #[test]
    fn odd_elements_are_passed_on_once_and_counted() {
        let mut position = Position::starting_at(at(0));
        let elements: [&[u8]; 5] = [b"null", b"odd", b"x@never", b"odd", b"y@1"];
        let taken = position.take(&elements, at(0), key);
        assert_eq!(taken.payloads.len(), 3);
        assert_eq!((taken.malformed, taken.duplicates), (4, 1));
    }

    #[test]
    fn a_burst_in_one_moment_is_remembered_in_part_and_stays_bounded() {
        let mut position = Position::starting_at(at(0));
        let elements: Vec<String> = (0..30_000).map(|n| format!("{n}@7")).collect();
        let texts: Vec<&str> = elements.iter().map(String::as_str).collect();
        take(&mut position, &texts);
        position.finish(None, at(8));
        assert_eq!(
            position.seen.values().map(Vec::len).sum::<usize>(),
            MAX_SEEN
        );
        assert_eq!(take(&mut position, &texts[20_000..]).1, 10_000);
    }
}
