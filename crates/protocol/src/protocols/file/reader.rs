//! Reads payloads from an open file into the page.

use super::framing::{Framing, Front};
use super::opened::Opened;
use super::place::{Identity, Place, Stamp, digest};
use super::turn::Turn;
use std::io::Result;

/// How much is read at a time, unless a payload is longer.
const PIECE: usize = 256 * 1024;

/// Bytes of the file that was read last, from some place on.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    owner: Option<Identity>,
    start: u64,
    bytes: Vec<u8>,
    /// Whether the file ended there.
    is_end: bool,
    stamp: Option<Stamp>,
}

impl Scratch {
    /// Whether it has bytes behind a place of a file.
    fn reaches(&self, identity: Identity, place: &Place) -> bool {
        self.owner == Some(identity)
            && self.start <= place.checked_from()
            && self.start + self.bytes.len() as u64 > place.offset
    }

    pub(super) fn forget(&mut self) {
        self.owner = None;
        if self.bytes.capacity() > 4 * PIECE {
            self.bytes = Vec::new();
        }
    }
}

/// What came of reading on.
pub(super) enum Read {
    Took,
    Full,
    AtEnd {
        rest: bool,
        stamp: Stamp,
    },
    /// What was read is not in the file any more.
    Changed,
}

/// Reads payloads into the page. `flushes` says that an unfinished one at the end is one all the same.
pub(super) fn read_on(
    opened: &mut Opened,
    place: &mut Place,
    framing: &mut Framing,
    turn: &mut Turn<'_>,
    flushes: bool,
) -> Result<Read> {
    if turn.page.is_full() {
        return Ok(Read::Full);
    }
    let mut wanted = PIECE;
    // What was read a while ago may not end any more where it ended then.
    let mut is_fresh = flushes;
    loop {
        let scratch = &mut *turn.scratch;
        if !scratch.reaches(opened.identity, place) || is_fresh {
            let stamp = opened.stamp()?;
            let start = place.checked_from();
            let back = (place.offset - start) as usize;
            scratch.owner = None;
            opened.read(start, back + wanted, &mut scratch.bytes)?;
            scratch.start = start;
            scratch.is_end = scratch.bytes.len() < back + wanted;
            scratch.stamp = Some(stamp);
            // Other bytes before the place: the file was written anew, and is long enough by now not to show it.
            let is_same = scratch.bytes.len() >= back
                && place
                    .tail
                    .as_ref()
                    .is_none_or(|tail| digest(&scratch.bytes[..back]) == *tail);
            if !is_same {
                return Ok(Read::Changed);
            }
            scratch.owner = Some(opened.identity);
            is_fresh = true;
        }
        let stamp = match scratch.stamp {
            Some(stamp) => stamp,
            None => opened.stamp()?,
        };
        let begin = (place.offset - scratch.start) as usize;
        let text = &scratch.bytes[begin..];
        let building = &mut *turn.page;
        let mut taken = 0;
        while taken < text.len() && !building.is_full() {
            match framing.front(&text[taken..], flushes && scratch.is_end) {
                Front::Unfinished => break,
                Front::Payloads {
                    payloads,
                    bytes,
                    malformed,
                } => {
                    taken += bytes;
                    building.size += bytes;
                    building.page.malformed += malformed;
                    building.page.payloads.extend(payloads);
                }
            }
        }
        if taken > 0 {
            place.is_end = scratch.is_end && taken == text.len();
            place.advance(&scratch.bytes[..begin + taken], scratch.start);
            place.modified = Some(stamp.modified);
            place.in_list = framing.in_list;
            building.is_dirty = true;
            return Ok(Read::Took);
        }
        if scratch.is_end && is_fresh {
            if let Some(fault) = opened.fault() {
                return Err(fault);
            }
            let rest = !text.is_empty();
            place.is_end = !rest;
            place.modified = Some(stamp.modified);
            return Ok(Read::AtEnd { rest, stamp });
        }
        if is_fresh && !text.is_empty() {
            wanted = (text.len() * 2).max(PIECE);
        }
        is_fresh = true;
    }
}
