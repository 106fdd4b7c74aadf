//! The producer: a client of others, which is told how much it may have produced.

use crate::broker::{Broker, BrokerPrograms};
use crate::stream::Stream;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Reads from a file, a line for each message: partition, number of records, body. From standard input it takes how many
/// records it may have produced in all, and says how many it has handed to its client, and how many the broker has
/// confirmed. At the end it says how many messages the topic has, by their offsets: what was produced twice would be in
/// there twice.
const SCRIPT: &str = r#"
import os, select, sys
from confluent_kafka import Producer
address, topic, path = sys.argv[1:]
producer = Producer({"bootstrap.servers": address, "enable.idempotence": True, "linger.ms": 5,
                     "compression.type": "gzip"})
produced = confirmed = granted = 0
failed, ends, said, words = [], {}, None, b""

def confirm(records):
    def done(error, message):
        global confirmed
        if error:
            failed.append(str(error))
        else:
            confirmed += records
            ends[message.partition()] = max(message.offset() + 1, ends.get(message.partition(), 0))
    return done

def tell():
    global said
    if said != (produced, confirmed):
        said = (produced, confirmed)
        print(produced, confirmed, flush=True)

with open(path, "rb") as lines:
    for line in lines:
        partition, records, body = line.rstrip(b"\n").split(b"\t", 2)
        while produced + int(records) > granted:
            producer.poll(0)
            tell()
            if select.select([0], [], [], 0.01)[0]:
                got = os.read(0, 4096)
                if not got:
                    sys.exit("nobody wants anything any more")
                words = (words + got).rsplit(b"\n", 1)
                if len(words) == 2 and words[0]:
                    granted = int(words[0].split()[-1])
                words = words[-1]
        producer.produce(topic, body, partition=int(partition), callback=confirm(int(records)))
        produced += int(records)
        producer.poll(0)
        tell()
while len(producer):
    producer.flush(0.1)
    tell()
tell()
if failed:
    sys.exit(f"{len(failed)} messages failed: {failed[0]}")
print("messages", sum(ends.values()), flush=True)
"#;

/// A producer at work. It is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Producer {
    child: Child,
    grants: Option<ChildStdin>,
    heard: Arc<Heard>,
    granted: u32,
    /// Records in all.
    records: u32,
    /// Messages in all.
    messages: u32,
}

/// What it has said.
#[derive(Debug, Default)]
struct Heard {
    produced: AtomicU32,
    confirmed: AtomicU32,
    /// How many messages the topic has at the end.
    messages: AtomicU32,
}

impl Heard {
    fn line(&self, line: &str) {
        let mut words = line.split_ascii_whitespace();
        let (Some(first), Some(second)) = (words.next(), words.next()) else {
            return;
        };
        let number = |word: &str| word.parse().unwrap_or(0);
        if first == "messages" {
            self.messages.store(number(second), Ordering::Release);
        } else {
            self.confirmed.store(number(second), Ordering::Release);
            self.produced.store(number(first), Ordering::Release);
        }
    }
}

impl Producer {
    /// Writes down what is to be produced, so many records, and starts a producer that waits for the first grant.
    pub(super) fn start(
        programs: &BrokerPrograms,
        broker: &Broker,
        topic: &str,
        stream: &mut Stream,
        records: u32,
        folder: &Path,
    ) -> io::Result<Self> {
        let path = folder.join("messages");
        let mut file = BufWriter::new(File::create(&path)?);
        let (mut left, mut messages) = (records, 0);
        while left > 0 {
            let message = stream.message(left);
            left -= message.records;
            messages += 1;
            let (partition, count) = (message.partition, message.records);
            writeln!(file, "{partition}\t{count}\t{}", message.body)?;
        }
        file.flush()?;
        let path = path.to_string_lossy();
        let mut child = programs
            .script(SCRIPT, &[&broker.address(), topic, &path])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(folder.join("producer.log"))?)
            .spawn()?;
        let heard = Arc::new(Heard::default());
        if let Some(output) = child.stdout.take() {
            let heard = Arc::clone(&heard);
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    heard.line(&line);
                }
            });
        }
        Ok(Self {
            grants: child.stdin.take(),
            child,
            heard,
            granted: 0,
            records,
            messages,
        })
    }

    /// How many records it may have produced so far.
    pub(super) fn granted(&self) -> u32 {
        self.granted
    }

    /// Records that it has handed to its client.
    pub(super) fn produced(&self) -> u32 {
        self.heard.produced.load(Ordering::Acquire)
    }

    /// Records that the broker has confirmed.
    pub(super) fn confirmed(&self) -> u32 {
        self.heard.confirmed.load(Ordering::Acquire)
    }

    /// Lets it have produced so many records.
    pub(super) fn grant(&mut self, records: u32) -> io::Result<()> {
        let records = records.min(self.records);
        if records <= self.granted {
            return Ok(());
        }
        self.granted = records;
        match &mut self.grants {
            Some(grants) => writeln!(grants, "{records}"),
            None => Ok(()),
        }
    }

    /// Whether it has ended. It may only do so when all is confirmed, and each message is there once.
    pub(super) fn has_ended(&mut self, folder: &Path) -> io::Result<bool> {
        let Some(status) = self.child.try_wait()? else {
            return Ok(false);
        };
        let mut said = String::new();
        File::open(folder.join("producer.log"))?.read_to_string(&mut said)?;
        if !status.success() {
            let said = format!("the producer ended with {status}: {said}");
            return Err(io::Error::other(said));
        }
        // The thread that listens may be a moment behind.
        let found = self.heard.messages.load(Ordering::Acquire);
        if found == 0 {
            return Ok(false);
        }
        if found != self.messages {
            let said = format!(
                "the topic has {found} messages, and {} were produced",
                self.messages
            );
            return Err(io::Error::other(said));
        }
        Ok(true)
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
