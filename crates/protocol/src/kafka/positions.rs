//! Positions of lanes in a compacted topic: what a record of it holds, and which partition stands for a log source.

use crate::cursor::Cursor;
use crate::source::LaneId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the records that we write.
const VERSION: u32 = 1;

/// Positions by lane.
pub type Positions = BTreeMap<LaneId, Cursor>;

/// The value of a record.
#[derive(Debug, Serialize, Deserialize)]
struct Value<'a> {
    version: u32,
    cursor: &'a str,
}

/// What is only looked at in a record of any version.
#[derive(Debug, Deserialize)]
struct Version {
    version: u32,
}

/// The partition that stands for a log source: the same in every process and every version of this program.
///
/// It is the FNV-1a hash of the identifier with 64 bits, modulo the number of partitions.
pub fn partition_of(identifier: &str, partitions: u32) -> u32 {
    let hash = identifier
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    let partition = hash % u64::from(partitions.max(1));
    u32::try_from(partition).unwrap_or(0)
}

/// The key of the record of a lane. The name of a lane has no slash; an identifier may.
pub(super) fn key(lane: &LaneId) -> String {
    lane.to_string()
}

/// The value of the record of a lane; nothing for a lane that has no position yet.
pub(super) fn value(cursor: &Cursor) -> Option<Vec<u8>> {
    let value = Value {
        version: VERSION,
        cursor: cursor.as_text()?,
    };
    serde_json::to_vec(&value).ok()
}

/// Takes positions from records.
#[derive(Debug, Default)]
pub(super) struct Reader {
    found: BTreeMap<LaneId, (i64, Cursor)>,
    /// Records that are not ours.
    pub(super) strange: u64,
    /// The newest version of a record that is newer than this program.
    pub(super) newer: Option<u32>,
}

impl Reader {
    /// A record, with the time of its writing in milliseconds. In one partition they come in order. Where the number of
    /// partitions was changed, a lane may have records in two: the later one counts.
    pub(super) fn take(&mut self, key: Option<&[u8]>, value: Option<&[u8]>, time: i64) {
        let key = key.and_then(|key| std::str::from_utf8(key).ok());
        let Some((log_source, lane)) = key.and_then(|key| key.rsplit_once('/')) else {
            self.strange += 1;
            return;
        };
        let lane = LaneId {
            log_source: log_source.to_owned(),
            lane: lane.to_owned(),
        };
        let cursor = match value.map(serde_json::from_slice::<Version>) {
            // Somebody wants the lane to begin anew.
            None => Cursor::START,
            Some(Ok(Version { version: VERSION })) => {
                let value = value.and_then(|value| serde_json::from_slice::<Owned>(value).ok());
                let Some(value) = value else {
                    self.strange += 1;
                    return;
                };
                Cursor::from_text(value.cursor)
            }
            Some(Ok(Version { version })) if version > VERSION => {
                self.newer = self.newer.max(Some(version));
                return;
            }
            Some(_) => {
                self.strange += 1;
                return;
            }
        };
        let known = self.found.get(&lane);
        if known.is_none_or(|(known, _)| *known <= time) {
            self.found.insert(lane, (time, cursor));
        }
    }

    /// The positions that were found.
    pub(super) fn positions(self) -> Positions {
        let found = self.found.into_iter();
        found
            .filter(|(_, (_, cursor))| *cursor != Cursor::START)
            .map(|(lane, (_, cursor))| (lane, cursor))
            .collect()
    }
}

/// The value of a record as it is read: a cursor may hold characters that JSON escapes.
#[derive(Debug, Deserialize)]
struct Owned {
    cursor: Box<str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(log_source: &str, lane: &str) -> LaneId {
        LaneId {
            log_source: log_source.to_owned(),
            lane: lane.to_owned(),
        }
    }

    /// Other processes may run another version of this program: what is expected here must never change.
    #[test]
    fn a_log_source_always_has_the_same_partition() {
        let of = |identifier, partitions| partition_of(identifier, partitions);
        assert_eq!(of("", 1), 0);
        assert_eq!(of("contoso-defender", 1), 0);
        // FNV-1a of "a" is 0xaf63dc4c8601ec8c, of "foobar" 0x85944171f73967e8.
        assert_eq!(u64::from(of("a", 1000)), 0xaf63_dc4c_8601_ec8c % 1000);
        assert_eq!(u64::from(of("foobar", 1000)), 0x8594_4171_f739_67e8 % 1000);
        assert_eq!(of("x", 0), 0);
    }

    #[test]
    fn what_was_written_is_read_again() {
        let cursor = Cursor::from_text("{\"version\":1,\"after\":\"ä\\n\"}");
        let mut reader = Reader::default();
        for id in [lane("contoso/defender", "eu"), lane("x", "alerts")] {
            reader.take(Some(key(&id).as_bytes()), value(&cursor).as_deref(), 1_000);
        }
        let expected = [
            (lane("contoso/defender", "eu"), cursor.clone()),
            (lane("x", "alerts"), cursor),
        ];
        assert_eq!(reader.positions(), expected.into());
    }

    #[test]
    fn the_last_position_of_a_lane_counts_and_an_empty_one_takes_it_back() {
        let mut reader = Reader::default();
        let value = |cursor: &str| value(&Cursor::from_text(cursor));
        reader.take(Some(b"a/eu"), value("1").as_deref(), 10);
        reader.take(Some(b"a/eu"), value("2").as_deref(), 10);
        reader.take(Some(b"a/eu"), value("old").as_deref(), 9);
        reader.take(Some(b"b/eu"), value("1").as_deref(), 10);
        reader.take(Some(b"b/eu"), None, 11);
        let expected = [(lane("a", "eu"), Cursor::from_text("2"))];
        assert_eq!(reader.positions(), expected.into());
    }

    #[test]
    fn what_is_not_ours_is_counted_and_what_is_newer_is_noticed() {
        let mut reader = Reader::default();
        reader.take(None, Some(b"{}"), 1);
        reader.take(Some(b"\xff/eu"), Some(b"{}"), 1);
        reader.take(Some(b"no lane"), Some(b"{}"), 1);
        reader.take(Some(b"a/eu"), Some(b"text"), 1);
        reader.take(Some(b"a/eu"), Some(b"{\"version\":1}"), 1);
        reader.take(Some(b"a/eu"), Some(b"{\"version\":0,\"cursor\":\"x\"}"), 1);
        assert_eq!((reader.strange, reader.newer), (6, None));
        reader.take(Some(b"a/eu"), Some(b"{\"version\":3,\"more\":[]}"), 1);
        assert_eq!((reader.strange, reader.newer), (6, Some(3)));
        assert!(reader.positions().is_empty());
    }
}
