//! What the engine does to a corpus, stage by stage and as a whole.

use super::corpus::Corpus;
use super::pair::{Pair, Side, ranges};
use dsm::output::leef::LeefOutput;
use dsm::{Event, Mapping, Normalizer, Payload, Status};
use framing::{DEFAULT_LIMIT, Framing, Splitter};
use std::hint::black_box;

/// A stage of the way from bytes to LEEF, or all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Where does a payload end?
    Framing,
    /// Bytes to text.
    Decode,
    /// Text to event.
    Normalize,
    /// Event to line.
    Leef,
    /// Payload bytes to LEEF bytes: the last three.
    Whole,
}

impl Stage {
    /// All of them, in order.
    pub const ALL: [Self; 5] = [
        Self::Framing,
        Self::Decode,
        Self::Normalize,
        Self::Leef,
        Self::Whole,
    ];

    /// Its name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Framing => "framing",
            Self::Decode => "decode",
            Self::Normalize => "normalize",
            Self::Leef => "leef",
            Self::Whole => "whole",
        }
    }
}

/// A corpus made ready for every stage.
#[derive(Debug)]
pub struct Prepared<'a> {
    corpus: &'a Corpus,
    mapping: &'a Mapping,
    decoded: Vec<Payload<'a>>,
}

impl<'a> Prepared<'a> {
    /// Decodes the payloads.
    pub fn new(corpus: &'a Corpus, mapping: &'a Mapping) -> Self {
        Self {
            corpus,
            mapping,
            decoded: corpus
                .payloads
                .iter()
                .map(|bytes| Payload::decode(bytes))
                .collect(),
        }
    }

    /// How many payloads are mapped, which shows that the work was done.
    pub fn mapped(&self) -> usize {
        let mut normalizer = Normalizer::new(self.mapping);
        let received = authoring::snapshot::received();
        let is_mapped = |payload: &&Payload<'_>| {
            normalizer.normalize(payload, received).status == Status::Mapped
        };
        self.decoded.iter().filter(is_mapped).count()
    }

    /// A stage beside the plain parse: of the same bytes where the corpus is comparable, else of `reference`.
    ///
    /// # Errors
    /// The LEEF options contradict each other, which they do not.
    pub fn pair<'s>(
        &'s self,
        stage: Stage,
        reference: &'s Corpus,
    ) -> Result<Pair<'s>, leef::OptionsError> {
        let reference = if self.corpus.comparable {
            self.corpus
        } else {
            reference
        };
        let sizes = self.corpus.payloads.iter().map(Vec::len);
        let ours = match stage {
            Stage::Framing => return Ok(self.framing(reference)),
            Stage::Decode => Side::new(sizes, |range| {
                for bytes in &self.corpus.payloads[range] {
                    black_box(Payload::decode(black_box(bytes)));
                }
            }),
            Stage::Normalize => {
                let mut normalizer = Normalizer::new(self.mapping);
                let received = authoring::snapshot::received();
                Side::new(sizes, move |range| {
                    for payload in &self.decoded[range] {
                        let event = normalizer.normalize(black_box(payload), received);
                        black_box(&event);
                        normalizer.recycle(event);
                    }
                })
            }
            Stage::Leef => {
                let events = self.events();
                let mut leef = LeefOutput::new(leef::WriterOptions::default())?;
                let mut line = Vec::new();
                Side::new(sizes, move |range| {
                    for event in &events[range] {
                        line.clear();
                        let _ = black_box(leef.write(black_box(event), &mut line));
                        black_box(&line);
                    }
                })
            }
            Stage::Whole => whole(self.mapping, &self.corpus.payloads)?,
        };
        Ok(Pair::new(plain(&reference.payloads), ours))
    }

    fn events(&self) -> Vec<Event<'_>> {
        let mut normalizer = Normalizer::new(self.mapping);
        let received = authoring::snapshot::received();
        self.decoded
            .iter()
            .map(|payload| normalizer.normalize(payload, received))
            .collect()
    }

    /// Framing reads what a source sends: records come in envelopes, all else a line each.
    fn framing<'s>(&'s self, reference: &'s Corpus) -> Pair<'s> {
        let enveloped = self.corpus.name == Corpus::STREAMING;
        let payloads = &self.corpus.payloads;
        let wires: Vec<Vec<u8>> = ranges(payloads.iter().map(Vec::len))
            .into_iter()
            .map(|(range, _)| Corpus::wire(&payloads[range], enveloped))
            .collect();
        let each = payloads.len().div_ceil(wires.len().max(1));
        // The plain parse of an envelope is one value.
        let plain_side = if enveloped {
            let wires = wires.clone();
            Side::new(
                wires.iter().map(Vec::len).collect::<Vec<_>>(),
                move |range| {
                    for wire in &wires[range] {
                        parse_all(wire);
                    }
                },
            )
        } else {
            plain(&reference.payloads)
        };
        let ours = Side::new(
            wires.iter().map(Vec::len).collect::<Vec<_>>(),
            move |range| {
                for wire in &wires[range] {
                    let mut splitter = Splitter::new(Framing::Auto, DEFAULT_LIMIT);
                    let mut sink = |frame: framing::Frame<'_>| {
                        black_box(frame);
                    };
                    for block in wire.chunks(64 << 10) {
                        splitter.push(black_box(block), &mut sink);
                    }
                    splitter.finish(&mut sink);
                }
            },
        );
        Pair::new(plain_side, ours.with_payloads(each))
    }
}

/// The measure: each payload becomes a [`serde_json::Value`].
pub fn plain(payloads: &[Vec<u8>]) -> Side<'_> {
    Side::new(payloads.iter().map(Vec::len), |range| {
        for bytes in &payloads[range] {
            let _ = black_box(serde_json::from_slice::<serde_json::Value>(black_box(
                bytes,
            )));
        }
    })
}

/// Values that follow each other.
fn parse_all(bytes: &[u8]) {
    let stream = serde_json::Deserializer::from_slice(black_box(bytes));
    for value in stream.into_iter::<serde_json::Value>() {
        let _ = black_box(value);
    }
}

/// What is measured: payload bytes to LEEF bytes.
///
/// # Errors
/// The LEEF options contradict each other, which they do not.
pub fn whole<'a>(
    mapping: &'a Mapping,
    payloads: &'a [Vec<u8>],
) -> Result<Side<'a>, leef::OptionsError> {
    let mut leef = LeefOutput::new(leef::WriterOptions::default())?;
    let mut normalizer = Normalizer::new(mapping);
    let mut line = Vec::new();
    let received = authoring::snapshot::received();
    Ok(Side::new(payloads.iter().map(Vec::len), move |range| {
        for bytes in &payloads[range] {
            let payload = Payload::decode(black_box(bytes));
            let event = normalizer.normalize(&payload, received);
            line.clear();
            // A refused event would show as a missing line in the snapshots; here only the time counts.
            let _ = black_box(leef.write(&event, &mut line));
            black_box(&line);
            normalizer.recycle(event);
        }
    }))
}

/// The LEEF lines of payloads, for comparing them with those of others. An event that LEEF cannot carry has an empty one.
///
/// # Errors
/// The LEEF options contradict each other, which they do not.
pub fn lines(mapping: &Mapping, payloads: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, leef::OptionsError> {
    let mut leef = LeefOutput::new(leef::WriterOptions::default())?;
    let mut normalizer = Normalizer::new(mapping);
    let received = authoring::snapshot::received();
    let line = |bytes: &Vec<u8>| {
        let payload = Payload::decode(bytes);
        let event = normalizer.normalize(&payload, received);
        let mut line = Vec::new();
        let _ = leef.write(&event, &mut line);
        line
    };
    Ok(payloads.iter().map(line).collect())
}
