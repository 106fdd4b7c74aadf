//! Reads the payloads of a file from a place on.
//!
//! Where an unfinished payload ends is found once, however slowly it comes: the splitter keeps what it has seen. The
//! place follows to where a later splitter can begin. Between two such marks it says how far payloads were taken, and
//! these are left out when reading begins again at the mark.

use super::opened::Opened;
use super::place::{Place, Stamp, TAIL, digest};
use super::turn::Turn;
use crate::json;
use framing::{Fault, Frame, Framing, Splitter};
use std::io::Result;

/// How many bytes are read at a time.
const PIECE: usize = 256 * 1024;

/// What came of reading on.
pub(super) enum Read {
    Took,
    Full,
    AtEnd {
        /// Whether the file ends in an unfinished payload.
        rest: bool,
        stamp: Stamp,
    },
    /// What was read is not in the file any more.
    Changed,
}

/// Reads a file. It can forget what it knows at any time, and begins at the place then.
#[derive(Debug, Default)]
pub(super) struct Reader(Option<Box<Work>>);

#[derive(Debug)]
struct Work {
    splitter: Splitter,
    /// Where everything before is done with. The last mark may be before it.
    reached: Place,
    /// Faults of a payload that is not finished: they are counted when it is.
    faults: Vec<Fault>,
    /// Offset behind the last byte that was read.
    read_to: u64,
    /// Whether the file ended there.
    is_end: bool,
    /// How the file looked then.
    stamp: Stamp,
}

/// What came of reading more bytes.
enum Fill {
    More,
    AtEnd(Stamp),
    Changed,
}

impl Reader {
    /// Begins at the place next time.
    pub(super) fn forget(&mut self) {
        self.0 = None;
    }

    /// Bytes of memory.
    pub(super) fn memory(&self) -> usize {
        self.0.as_ref().map_or(0, |work| work.splitter.memory())
    }

    /// Reads payloads into the page. `flushes` says that an unfinished one at the end is one all the same.
    pub(super) fn read_on(
        &mut self,
        opened: &mut Opened,
        place: &mut Place,
        turn: &mut Turn<'_>,
        flushes: bool,
    ) -> Result<Read> {
        if turn.page.is_full() {
            return Ok(Read::Full);
        }
        let stamp = loop {
            if let Some(work) = &mut self.0
                && work.take(opened, place, turn, false)
            {
                return Ok(Read::Took);
            }
            match self.fill(opened, place, turn)? {
                Fill::More => {}
                Fill::AtEnd(stamp) => break stamp,
                Fill::Changed => {
                    self.forget();
                    return Ok(Read::Changed);
                }
            }
        };
        if let Some(fault) = opened.fault() {
            return Err(fault);
        }
        if flushes
            && let Some(work) = &mut self.0
            && work.take(opened, place, turn, true)
        {
            return Ok(Read::Took);
        }
        let rest = self.0.as_ref().is_some_and(|work| work.has_rest());
        place.is_end = !rest;
        place.modified = Some(stamp.modified);
        match &mut self.0 {
            Some(work) if rest => work.shrink(),
            _ => self.forget(),
        }
        Ok(Read::AtEnd { rest, stamp })
    }

    /// Reads what follows what was read, if the file still has that.
    fn fill(&mut self, opened: &mut Opened, place: &Place, turn: &mut Turn<'_>) -> Result<Fill> {
        let stamp = opened.stamp()?;
        let bytes = &mut *turn.scratch;
        // What was read last is read again. Other bytes say that the file was written anew, and is long enough by now not
        // to show it otherwise.
        let (work, back) = match &mut self.0 {
            Some(work) => {
                let before = work.before().concat();
                let back = before.len();
                opened.read(work.read_to - back as u64, back + PIECE, bytes)?;
                if !bytes.starts_with(&before) {
                    return Ok(Fill::Changed);
                }
                (work, back)
            }
            none => {
                let back = (place.offset - place.checked_from()) as usize;
                opened.read(place.checked_from(), back + PIECE, bytes)?;
                let Some(before) = bytes.get(..back) else {
                    return Ok(Fill::Changed);
                };
                if place
                    .tail
                    .as_ref()
                    .is_some_and(|tail| digest(before) != *tail)
                {
                    return Ok(Fill::Changed);
                }
                let mut reached = place.clone();
                reached.last_bytes = before.to_vec();
                // A damaged file is said to be that.
                if !opened.has_taken(place)? && opened.fault().is_none() {
                    return Ok(Fill::Changed);
                }
                let (framing, limit) = (turn.reading.format, turn.reading.max_payload);
                let work = none.insert(Box::new(Work {
                    splitter: Splitter::resume(framing, limit, place.mark()).in_pieces(),
                    reached,
                    faults: Vec::new(),
                    read_to: place.offset,
                    is_end: false,
                    stamp,
                }));
                (work, back)
            }
        };
        let bytes = &bytes[back..];
        work.splitter.feed(bytes);
        work.read_to += bytes.len() as u64;
        work.is_end = bytes.len() < PIECE;
        work.stamp = stamp;
        Ok(if bytes.is_empty() {
            // The file was longer when payloads were taken.
            if work.read_to < place.reached() && opened.fault().is_none() {
                return Ok(Fill::Changed);
            }
            Fill::AtEnd(stamp)
        } else {
            Fill::More
        })
    }
}

impl Work {
    /// The last bytes that were read, in two parts.
    fn before(&self) -> [&[u8]; 2] {
        let rest = self.splitter.rest();
        let rest = &rest[rest.len().saturating_sub(TAIL as usize)..];
        let done = &self.reached.last_bytes;
        let most = TAIL as usize - rest.len();
        [&done[done.len().saturating_sub(most)..], rest]
    }

    /// Gives back memory where little is unfinished: there may be thousands of files.
    fn shrink(&mut self) {
        if self.splitter.memory() > 2 * self.splitter.rest().len() + PIECE / 4 {
            self.splitter.take(Vec::new());
        }
    }

    fn has_rest(&self) -> bool {
        !self.splitter.rest().is_empty() || self.splitter.mark().is_none()
    }

    /// Takes payloads from what was read until the page is full. `false` if there is none yet.
    fn take(
        &mut self,
        opened: &Opened,
        place: &mut Place,
        turn: &mut Turn<'_>,
        last: bool,
    ) -> bool {
        let begin = self.splitter.offset();
        let taken = place.reached();
        let is_json = turn.reading.format == Framing::Json;
        let mut mark = None;
        loop {
            let before = self.splitter.offset();
            let page = &mut turn.page.page;
            let faults = &mut self.faults;
            let mut is_rest = false;
            let goes_on = self.splitter.next(last, |frame| match frame {
                Frame::Payload { bytes, offset } if offset >= taken => {
                    page.payloads.push(if is_json {
                        payload(bytes)
                    } else {
                        bytes.into()
                    });
                }
                Frame::Payload { bytes, offset } => {
                    // With another limit, other frames come from the same bytes: one may begin before what was taken.
                    let known = usize::try_from(taken - offset).unwrap_or(usize::MAX);
                    let rest = bytes.get(known..).unwrap_or_default();
                    if !rest.trim_ascii().is_empty() {
                        page.payloads.push(rest.into());
                        is_rest = true;
                    }
                }
                Frame::Fault(fault) if fault.offset >= taken => faults.push(fault),
                Frame::Fault(_) => {}
            });
            if is_rest {
                turn.rest_of_payload(&opened.path, taken);
            }
            let done = self.splitter.offset();
            if done > before {
                mark = self.splitter.mark().or(mark);
                turn.page.size += (done - before) as usize;
                // What begins behind these bytes would come again after a restart.
                for fault in self.faults.extract_if(.., |fault| fault.offset < done) {
                    turn.fault(&opened.path, fault);
                }
            }
            // What came without a byte being done with would come again.
            if !goes_on || (done > before && turn.page.is_full()) {
                break;
            }
        }
        let done = self.splitter.offset();
        // The end of a file can end a payload without taking a byte. Where a splitter can begin then, nothing comes again.
        if let Some(at_end) = self.splitter.mark() {
            for fault in self.faults.drain(..) {
                turn.fault(&opened.path, fault);
            }
            mark = Some(at_end);
        }
        if done == begin && mark.is_none_or(|mark| mark.offset <= place.offset) {
            return false;
        }
        let mut bytes = self.splitter.done_since(begin);
        if let Some(mark) = mark {
            let (before, behind) = bytes.split_at((mark.offset - begin) as usize);
            self.reached.advance_by(before);
            place.follow(&self.reached, mark);
            bytes = behind;
        }
        self.reached.advance_by(bytes);
        place.took(&self.reached);
        place.modified = Some(self.stamp.modified);
        place.is_end = self.is_end && !self.has_rest();
        turn.page.is_dirty = true;
        true
    }
}

/// The payload in what a splitter hands out: JSON over several lines without the white space between its parts.
fn payload(bytes: &[u8]) -> Box<[u8]> {
    let is_whole = || json::end_of_value(bytes).is_ok_and(|end| end == bytes.len());
    if memchr::memchr2(b'\n', b'\r', bytes).is_some() && is_whole() {
        json::payload(bytes)
    } else {
        bytes.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocols::file::Reading;
    use crate::protocols::file::survey::Folders;
    use crate::protocols::file::turn::Building;
    use crate::source::LaneId;
    use crate::status::LaneStatus;
    use std::collections::BTreeSet;
    use std::io::Write;

    #[test]
    fn a_payload_that_trickles_in_is_looked_at_once() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut opened = Opened::open(file.path()).unwrap();
        let reading = Reading {
            path: file.path().to_owned(),
            pattern: None,
            rotated_to: None,
            max_files: 1,
            format: Framing::Json,
            once: false,
            from_end: false,
            max_payload: 8 << 20,
        };
        let lane = LaneId {
            log_source: "x".to_owned(),
            lane: "file".to_owned(),
        };
        let mut building = Building::default();
        let mut turn = Turn {
            now: chrono::DateTime::UNIX_EPOCH,
            reading: &reading,
            lane: &lane,
            status: &mut LaneStatus::default(),
            page: &mut building,
            scratch: &mut Vec::new(),
            folders: &mut Folders::default(),
            names: &BTreeSet::new(),
            warning: &mut None,
            logged: &mut Vec::new(),
        };
        let mut place = Place::beginning(opened.identity, opened.stamp().unwrap());
        let mut reader = Reader::default();
        let line = format!(" \"{}\",\n", "y".repeat(1000));
        let mut length = 0;
        for _ in 0..1000 {
            let text = if length == 0 { "{\"list\":[\n" } else { &line };
            file.write_all(text.as_bytes()).unwrap();
            length += text.len() as u64;
            let read = reader.read_on(&mut opened, &mut place, &mut turn, false);
            assert!(matches!(read, Ok(Read::AtEnd { rest: true, .. })));
        }
        let looks = reader.0.as_ref().unwrap().splitter.looks();
        assert!(looks <= 2 * length, "{looks} looks at {length} bytes");
        file.write_all(b" 1]}").unwrap();
        let read = reader.read_on(&mut opened, &mut place, &mut turn, false);
        assert!(matches!(read, Ok(Read::Took)));
        assert_eq!(
            (turn.page.page.payloads.len(), place.offset),
            (1, length + 4)
        );
    }
}
