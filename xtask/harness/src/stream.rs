//! Records of Microsoft's Streaming API, in the envelopes in which they stand in a topic. All of them are invented.
//!
//! A record is known by the identifier of its device: the partition, the number within it, and digits that follow from
//! both. So one that was delivered is found again in every form in which an event can come out, and one that nobody has
//! produced is told from those.

use simulator::Random;
use std::fmt::Write as _;

/// Digits of the identifier of a device.
const DIGITS: usize = 40;

/// Most records in an envelope.
pub(crate) const MOST: u32 = 20;

/// What is to be produced.
#[derive(Debug)]
pub(crate) struct Stream {
    seed: u64,
    /// Of the message to come.
    random: Random,
    /// How many records each partition has so far.
    records: Vec<u32>,
}

/// A message for a partition.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) partition: usize,
    /// How many records it has.
    pub(crate) records: u32,
    /// The envelope, in one line.
    pub(crate) body: String,
}

/// Which record: the partition, and the number within it, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id {
    pub(crate) partition: usize,
    pub(crate) number: u32,
}

impl Id {
    /// The identifier of the device.
    fn text(self, seed: u64) -> String {
        let Self { partition, number } = self;
        let words = [seed, partition as u64, u64::from(number)];
        let rest = Random::new(&words).hex(DIGITS - 10);
        format!("{partition:02x}{number:08x}{rest}")
    }

    /// The record of an event in LEEF; `None` where it is none of this stream.
    pub(crate) fn of_leef(line: &[u8], seed: u64) -> Option<Self> {
        let mut attributes = line.split(|byte| *byte == b'\t');
        let text = attributes.find_map(|attribute| attribute.strip_prefix(b"deviceId="))?;
        let text = std::str::from_utf8(text).ok()?;
        let id = Self {
            partition: usize::from_str_radix(text.get(..2)?, 16).ok()?,
            number: u32::from_str_radix(text.get(2..10)?, 16).ok()?,
        };
        (id.text(seed) == text).then_some(id)
    }
}

impl Stream {
    pub(crate) fn new(seed: u64, partitions: usize) -> Self {
        Self {
            seed,
            random: Random::new(&[seed]),
            records: vec![0; partitions],
        }
    }

    /// How many records each partition has so far.
    pub(crate) fn records(&self) -> &[u32] {
        &self.records
    }

    /// The next message, of so many records at most.
    pub(crate) fn message(&mut self, at_most: u32) -> Message {
        let partition = self.random.below(self.records.len() as u64) as usize;
        let records = (1 + self.random.below(MOST.into()) as u32).min(at_most);
        let mut body = String::from("{\"records\":[");
        for index in 0..records {
            if index > 0 {
                body.push(',');
            }
            let number = self.records[partition] + index;
            self.record(Id { partition, number }, &mut body);
        }
        body.push_str("]}");
        self.records[partition] += records;
        Message {
            partition,
            records,
            body,
        }
    }

    fn record(&self, id: Id, out: &mut String) {
        let mut random = Random::new(&[self.seed, id.partition as u64, id.number.into(), 1]);
        let user = random.pick(&["avery", "blake", "casey", "devon"]);
        let (octet, port) = (random.below(256), 1024 + random.below(60_000));
        let (table, own) = match random.below(3) {
            0 => (
                "DeviceProcessEvents",
                format!(
                    r#""ActionType":"ProcessCreated","FileName":"cmd.exe","FolderPath":"C:\\Windows\\System32\\cmd.exe","SHA1":"{}","ProcessId":{port},"ProcessCommandLine":"cmd.exe /c \"echo {octet}\"","AccountDomain":"contoso","AccountName":"{user}""#,
                    random.hex(40)
                ),
            ),
            1 => (
                "DeviceNetworkEvents",
                format!(
                    r#""ActionType":"ConnectionSuccess","RemoteIP":"198.51.100.{octet}","RemotePort":443,"RemoteUrl":"www.example.net","LocalIP":"192.0.2.{octet}","LocalPort":{port},"Protocol":"Tcp""#
                ),
            ),
            _ => (
                "DeviceLogonEvents",
                format!(
                    r#""ActionType":"LogonSuccess","LogonType":"Network","AccountDomain":"contoso","AccountName":"{user}","Protocol":"NTLM","IsLocalAdmin":false,"RemoteIP":"203.0.113.{octet}","RemotePort":{port}"#
                ),
            ),
        };
        let second = id.number % 60;
        let _ = write!(
            out,
            r#"{{"time":"2026-03-02T08:01:{second:02}.1234567Z","tenantId":"{}","operationName":"Publish","category":"AdvancedHunting-{table}","properties":{{"Timestamp":"2026-03-02T08:00:{second:02}.7654321Z","DeviceId":"{}","DeviceName":"host-{octet}.contoso.example",{own},"InitiatingProcessAccountName":"{user}","InitiatingProcessFileName":"explorer.exe","InitiatingProcessId":{port},"ReportId":{},"AdditionalFields":"","MachineGroup":"Workstations"}},"Tenant":"DefaultTenant"}}"#,
            simulator::TENANT,
            id.text(self.seed),
            id.number,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn a_stream_is_the_same_each_time_and_every_record_has_an_identifier_of_its_own() {
        let (mut stream, mut again) = (Stream::new(3, 4), Stream::new(3, 4));
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let message = stream.message(u32::MAX);
            assert_eq!(message.body, again.message(u32::MAX).body);
            assert!(!message.body.contains('\n'));
            let envelope: Value = serde_json::from_str(&message.body).unwrap();
            let records = envelope["records"].as_array().unwrap();
            assert_eq!(records.len(), message.records as usize);
            for record in records {
                let device = record["properties"]["DeviceId"].as_str().unwrap();
                let line = format!("LEEF:1.0|a|b|c|d|cat=x\tdeviceId={device}\tusrName=y");
                let id = Id::of_leef(line.as_bytes(), 3).unwrap();
                assert_eq!(id.partition, message.partition);
                assert!(id.number < stream.records()[id.partition]);
                assert!(seen.insert(id));
                assert_eq!(Id::of_leef(line.as_bytes(), 4), None);
                let cut = &line[..line.len() - "0\tusrName=y".len()];
                assert_eq!(Id::of_leef(cut.as_bytes(), 3), None);
            }
        }
        assert_eq!(seen.len(), stream.records().iter().sum::<u32>() as usize);
        assert_eq!(stream.message(1).records, 1);
    }
}
