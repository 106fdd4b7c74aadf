//! Payloads that are run through several versions of a mapping, and what may not differ.

use crate::corpus::{self, Input};
use crate::input::{self, Item};
use crate::snapshot::received;
use dsm::diagnostic::SourceFile;
use dsm::event::{Event, canonical};
use dsm::{Mapping, Normalizer, Payload};
use framing::{DEFAULT_LIMIT, Framing};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// A payload and the file it is from.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Path of the file.
    pub file: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Payloads in memory, in the order of their files.
#[derive(Debug, Clone, Default)]
pub struct Corpus {
    /// The payloads.
    pub samples: Vec<Sample>,
    /// The files, where they are fixtures, and the path of each below their folder. A lint has them clean.
    pub fixtures: Vec<(String, Arc<SourceFile>)>,
}

/// What is the same about two events if they are: the look-up and every property, without the places in payload and
/// mapping.
pub type Facts = BTreeMap<String, String>;

impl Corpus {
    /// The payloads of a file, or of all files below a folder. A path that does not exist has none; what is no payload is
    /// passed over.
    ///
    /// # Errors
    /// Something cannot be listed or read.
    pub fn read(path: &Path) -> io::Result<Self> {
        let mut corpus = Self::default();
        if !path.exists() {
            return Ok(corpus);
        }
        let listing = corpus::inputs(&[path.to_owned()]);
        if let Some((path, error)) = listing.refused.first() {
            let text = format!("{}: {error}", path.display());
            return Err(io::Error::new(error.kind(), text));
        }
        let unread = corpus::read(
            &listing.inputs,
            |_| {},
            |name, item| corpus.add_item(name, item),
        );
        match unread.into_iter().next() {
            Some(error) => Err(io::Error::other(error)),
            None => Ok(corpus),
        }
    }

    /// The payloads of fixtures, which are evidence that everybody sees.
    ///
    /// # Errors
    /// Something cannot be listed or read.
    pub fn of_fixtures(path: &Path) -> io::Result<Self> {
        let mut corpus = Self::read(path)?;
        if !path.exists() {
            return Ok(corpus);
        }
        for input in corpus::inputs(&[path.to_owned()]).inputs {
            let (Input::Named(file) | Input::Found(file)) = &input else {
                continue;
            };
            let bytes = std::fs::read(file)?;
            let below = file.strip_prefix(path).ok();
            let below = below.filter(|below| *below != Path::new(""));
            let name = match below {
                Some(below) => below.display().to_string(),
                None => file
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned(),
            };
            // What is no UTF-8 is text of another encoding, whose addresses are the same.
            let text = String::from_utf8_lossy(&bytes);
            corpus
                .fixtures
                .push((name, SourceFile::new(input.name(), text.as_ref())));
        }
        Ok(corpus)
    }

    /// The payloads in some bytes. What is no payload is passed over.
    ///
    /// # Errors
    /// Never in memory.
    pub fn add(&mut self, file: &str, bytes: &[u8]) -> io::Result<()> {
        input::read(bytes, Framing::Auto, DEFAULT_LIMIT, |item| {
            self.add_item(file, item);
        })
    }

    fn add_item(&mut self, file: &str, item: Item<'_>) {
        if let Item::Payload(bytes, _) = item {
            self.samples.push(Sample {
                file: file.to_owned(),
                bytes: bytes.to_owned(),
            });
        }
    }

    /// Normalizes every payload, in order.
    pub fn each(&self, mapping: &Mapping, mut each: impl FnMut(&Sample, &Event<'_>)) {
        let mut normalizer = Normalizer::new(mapping);
        for sample in &self.samples {
            let payload = Payload::decode(&sample.bytes);
            each(sample, &normalizer.normalize(&payload, received()));
        }
    }

    /// What may not differ, for every payload.
    pub fn facts(&self, mapping: &Mapping) -> Vec<Facts> {
        let mut all = Vec::with_capacity(self.samples.len());
        self.each(mapping, |_, event| all.push(facts(event)));
        all
    }
}

/// What may not differ about an event.
pub fn facts(event: &Event<'_>) -> Facts {
    let mut facts = Facts::new();
    let mut add = |name: &str, value: String| {
        facts.insert(format!("({name})"), value);
    };
    add("status", event.status.to_string());
    add(
        "QID",
        event
            .qid
            .map_or_else(String::new, |(record, _)| record.qid.to_string()),
    );
    add(
        "event ID",
        event.event_id.as_deref().unwrap_or_default().to_owned(),
    );
    add("event category", event.event_category.to_string());
    add(
        "severity",
        event
            .severity
            .map_or_else(String::new, |severity| severity.to_string()),
    );
    add("low-level category", event.category.low_id.to_string());
    add(
        "identity",
        event
            .identity
            .map_or_else(String::new, |identity| identity.address.to_string()),
    );
    for property in &event.properties {
        let name = event.mapping().target_name(property.target).to_owned();
        facts.insert(name, canonical(property).into_owned());
    }
    facts
}
