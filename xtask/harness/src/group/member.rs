//! A process of the group, and what it has delivered.

use crate::collector::{Collector, Running};
use crate::stream::Id;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// What a process says when the group has gone on without it, or when it gives up what it has not delivered. What it has
/// read and not committed comes again then, as after a kill.
const PUT_OUT: [&str; 2] = [
    "the group has gone on without this process",
    "are given up although",
];

/// A folder, the process in it, and what it and those before it in this folder have delivered.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) collector: Collector,
    /// Nothing after a kill.
    pub(super) running: Option<Running>,
    output: PathBuf,
    /// How far the output was read, to the end of a line.
    read: u64,
    seen: BTreeSet<Id>,
    /// Of each partition the number behind the last record that came for the first time.
    next: Vec<u32>,
}

/// What is in the outputs of all members.
#[derive(Debug)]
pub(super) struct Account {
    seed: u64,
    /// How often each record was delivered, by partition and number.
    counts: Vec<Vec<u32>>,
    /// How many records were delivered at least once.
    pub(super) distinct: u32,
    /// Lines that are no record that was produced.
    pub(super) unknown: Vec<String>,
    /// Records that came after a later one of their partition, in the same output and for the first time.
    pub(super) disordered: Vec<Id>,
}

impl Account {
    /// Of records by partition.
    pub(super) fn new(seed: u64, records: &[u32]) -> Self {
        Self {
            seed,
            counts: records
                .iter()
                .map(|records| vec![0; *records as usize])
                .collect(),
            distinct: 0,
            unknown: Vec::new(),
            disordered: Vec::new(),
        }
    }

    /// How often records were delivered, beyond once each.
    pub(super) fn repeats(&self) -> u32 {
        let counts = self.counts.iter().flatten();
        counts.map(|count| count.saturating_sub(1)).sum()
    }

    /// The records that were not delivered.
    pub(super) fn missing(&self) -> impl Iterator<Item = Id> {
        let partitions = self.counts.iter().enumerate();
        partitions.flat_map(|(partition, counts)| {
            let missing = (0..).zip(counts).filter(|(_, count)| **count == 0);
            missing.map(move |(number, _)| Id { partition, number })
        })
    }

    /// Counts a line; tells which record it is.
    fn take(&mut self, line: &[u8]) -> Option<Id> {
        let id = Id::of_leef(line, self.seed);
        let count = id.and_then(|id| {
            let partition = self.counts.get_mut(id.partition)?;
            partition.get_mut(id.number as usize)
        });
        let Some(count) = count else {
            self.unknown
                .push(String::from_utf8_lossy(line).into_owned());
            return None;
        };
        *count += 1;
        self.distinct += u32::from(*count == 1);
        id
    }
}

impl Member {
    /// A folder with a configuration; there is no process yet.
    pub(super) fn new(
        name: String,
        program: &Path,
        folder: PathBuf,
        partitions: usize,
    ) -> io::Result<Self> {
        let collector = Collector::new(program, folder);
        fs::create_dir_all(collector.output())?;
        Ok(Self {
            name,
            output: collector.output().join(super::OUTPUT),
            collector,
            running: None,
            read: 0,
            seen: BTreeSet::new(),
            next: vec![0; partitions],
        })
    }

    pub(super) fn start(&mut self) -> io::Result<()> {
        self.running = Some(self.collector.start(false)?);
        Ok(())
    }

    /// How many bytes it has delivered.
    pub(super) fn size(&self) -> u64 {
        fs::metadata(&self.output).map_or(0, |data| data.len())
    }

    /// Counts the lines that have come since. What stands behind the last line feed is no line yet; where a process was
    /// killed it never becomes one.
    pub(super) fn count(&mut self, account: &mut Account) -> io::Result<()> {
        if self.size() <= self.read {
            return Ok(());
        }
        let mut file = File::open(&self.output)?;
        file.seek(SeekFrom::Start(self.read))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let Some(whole) = line.strip_suffix(b"\n") else {
                break;
            };
            self.read += line.len() as u64;
            let Some(id) = account.take(whole) else {
                continue;
            };
            if !self.seen.insert(id) {
                continue;
            }
            let next = &mut self.next[id.partition];
            if id.number < *next {
                account.disordered.push(id);
            }
            *next = id.number + 1;
        }
        Ok(())
    }

    /// How often it was put out of its group.
    pub(super) fn put_out(&self) -> io::Result<u32> {
        let log = self.collector.log()?;
        let is_told = |line: &&str| PUT_OUT.iter().any(|told| line.contains(told));
        Ok(log.lines().filter(is_told).count() as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Stream;
    use serde_json::Value;

    /// A folder that is removed when this is dropped.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("dsmith-group-{name}-{}", std::process::id());
            Self(std::env::temp_dir().join(name))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// Lines as they would be delivered, for six records of a partition.
    fn lines() -> (Vec<String>, Vec<u32>) {
        let mut stream = Stream::new(1, 1);
        let mut lines = Vec::new();
        while lines.len() < 6 {
            let envelope: Value = serde_json::from_str(&stream.message(1).body).unwrap();
            let device = envelope["records"][0]["properties"]["DeviceId"].clone();
            lines.push(format!("x\tdeviceId={}\ty\n", device.as_str().unwrap()));
        }
        (lines, stream.records().to_vec())
    }

    #[test]
    fn missing_repeated_unknown_and_disordered_records_are_told_apart_and_torn_lines_are_none() {
        let folder = Folder::new("account");
        let (lines, records) = lines();
        let mut account = Account::new(1, &records);
        let mut members = [1, 2].map(|number| {
            let folder = folder.0.join(number.to_string());
            Member::new(String::new(), Path::new("dsmith"), folder, 1).unwrap()
        });
        let write = |member: &Member, text: String| fs::write(&member.output, text).unwrap();
        let id = |number| Id {
            partition: 0,
            number,
        };

        // The second half of a line comes later, or never.
        let begun = format!("{}{}{}", lines[0], lines[1], &lines[2][..30]);
        write(&members[0], begun);
        members[0].count(&mut account).unwrap();
        assert_eq!((account.distinct, account.repeats()), (2, 0));
        write(&members[0], lines[..3].concat());
        members[0].count(&mut account).unwrap();
        assert_eq!(account.distinct, 3);
        // It is put out, and another one goes on where it had committed, which is no disorder.
        write(&members[1], lines[1..5].concat());
        members[1].count(&mut account).unwrap();
        assert_eq!((account.distinct, account.repeats()), (5, 2));
        assert_eq!(account.missing().collect::<Vec<_>>(), [id(5)]);
        // The same from the beginning is no disorder either, but an earlier one that is new is.
        write(&members[0], lines[..3].concat() + &lines.concat());
        members[0].count(&mut account).unwrap();
        assert_eq!((account.distinct, account.repeats()), (6, 7));
        assert_eq!(account.disordered, []);
        write(&members[1], lines[1..5].concat() + &lines[0] + "odd\n");
        members[1].count(&mut account).unwrap();
        assert_eq!(account.disordered, [id(0)]);
        assert_eq!(account.unknown, ["odd"]);
        assert_eq!(account.missing().count(), 0);
    }
}
