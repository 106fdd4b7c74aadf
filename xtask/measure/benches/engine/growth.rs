//! How cost grows with the size of a payload, the number of matchers, of QID rows and of fixtures.

use crate::{Bench, root};
use authoring::suite::Suite;
use dsm::Mapping;
use measure::corpus::{Corpus, graph_of_size};
use measure::pair::{Pair, Side};
use measure::report::{Curve, Series};
use measure::stages::{plain, whole};
use measure::synthetic::{self, Matchers};
use std::cell::OnceCell;
use std::hint::black_box;
use std::path::PathBuf;

impl Bench {
    pub(crate) fn growth(&mut self) {
        let curves = [
            self.payload_size(),
            self.matchers(),
            self.qid_rows(),
            self.fixtures(),
        ];
        self.results.growth.extend(curves);
    }

    /// The cost of an event whose payload is of that size.
    fn payload_size(&mut self) -> Curve {
        self.load(self.siem.slug);
        let mapping = &self.mappings[self.siem.slug];
        let sizes = self.effort.points(
            &[1_000, 4_000, 16_000, 64_000, 256_000, 1_000_000],
            &[1_000, 16_000, 128_000, 1_000_000],
        );
        let mut lines = Lines::new([
            "a list of evidences",
            "one long text",
            "plain parse of the list",
        ]);
        for bytes in sizes {
            for (line, evidences) in [(0, true), (1, false)] {
                let payloads = OnceCell::new();
                let id = format!("{} of {bytes} bytes", lines.name(line));
                let measured = self.driver.measure("payload size", &id, || {
                    // Enough for some batches, however large one payload is.
                    let count = (2_000_000 / bytes).clamp(4, 400);
                    beside_own_parse(
                        mapping,
                        payloads.get_or_init(|| graph_of_size(count, bytes, evidences)),
                    )
                });
                if let Some(summary) = measured {
                    lines.add(line, bytes, summary.ours.microseconds());
                    if evidences {
                        lines.add(2, bytes, summary.plain.microseconds());
                    }
                }
            }
        }
        lines.curve(
            "payload-size",
            "Cost of one event by the size of its payload",
            "payload, bytes",
            "time per event",
        )
    }

    /// The cost of an event with so many matchers in its mapping.
    fn matchers(&mut self) -> Curve {
        let counts = self
            .effort
            .points(&[10, 30, 100, 300, 1_000], &[10, 100, 1_000]);
        let mut lines = Lines::new([
            "JSON key paths",
            "regular expressions",
            "plain parse of the JSON",
        ]);
        let json = synthetic::payloads_for_matchers(Matchers::Json, 200);
        for count in counts {
            for (line, kind) in [(0, Matchers::Json), (1, Matchers::Regex)] {
                let input = OnceCell::new();
                let id = format!("{count} {}", lines.name(line));
                let measured = self.driver.measure("matchers", &id, || {
                    let (mapping, payloads) = input.get_or_init(|| {
                        (
                            synthetic::mapping_of_matchers(kind, count)
                                .expect("a mapping without faults"),
                            synthetic::payloads_for_matchers(kind, 200),
                        )
                    });
                    let ours = whole(mapping, payloads).expect("default options of LEEF");
                    Pair::new(plain(&json), ours)
                });
                if let Some(summary) = measured {
                    lines.add(line, count, summary.ours.microseconds());
                    if kind == Matchers::Json {
                        lines.add(2, count, summary.plain.microseconds());
                    }
                }
            }
        }
        lines.curve(
            "matchers",
            "Cost of one event by the number of matchers in the mapping",
            "matchers",
            "time per event",
        )
    }

    /// The cost of an event, and of loading, with so many rows in the QID map.
    fn qid_rows(&mut self) -> Curve {
        let counts = self
            .effort
            .points(&[100, 1_000, 10_000, 100_000], &[100, 3_000, 100_000]);
        let mut lines = Lines::new(["one event", "loading the mapping"]);
        for rows in counts {
            let load = move || synthetic::mapping_of_qids(rows).expect("a mapping without faults");
            let input = OnceCell::new();
            let id = format!("one event, {rows} rows");
            let measured = self.driver.measure("qid rows", &id, || {
                let (mapping, payloads) =
                    input.get_or_init(|| (load(), synthetic::payloads_for_qids(rows, 5_000)));
                beside_own_parse(mapping, payloads)
            });
            if let Some(summary) = measured {
                lines.add(0, rows, summary.ours.microseconds());
            }
            let id = format!("loading {rows} rows");
            let measured = self.driver.measure("qid rows", &id, || {
                beside(&self.siem, move || {
                    black_box(load());
                })
            });
            if let Some(summary) = measured {
                lines.add(1, rows, summary.ours.microseconds());
            }
        }
        lines.curve(
            "qid-rows",
            "Cost by the number of rows in the QID map",
            "QID records, each with an event mapping",
            "time",
        )
    }

    /// The cost of `cargo xtask validate` with so many fixtures.
    fn fixtures(&mut self) -> Curve {
        let counts = self
            .effort
            .points(&[10, 30, 100, 300, 1_000], &[10, 100, 400]);
        let mut lines = Lines::new(["validate"]);
        for count in counts {
            let evidence = OnceCell::new();
            let id = format!("{count} fixtures");
            let measured = self.driver.measure("fixtures", &id, || {
                let Evidence(suite, _) = evidence.get_or_init(|| Evidence::new(count));
                beside(&self.siem, move || {
                    let _ = black_box(suite.run());
                })
            });
            if let Some(summary) = measured {
                lines.add(0, count, summary.ours.microseconds());
            }
        }
        lines.curve(
            "fixtures",
            "Time of cargo xtask validate by the number of fixtures",
            "fixtures of one payload",
            "time per run",
        )
    }
}

/// The whole path beside the parse of the same payloads.
fn beside_own_parse<'a>(mapping: &'a Mapping, payloads: &'a [Vec<u8>]) -> Pair<'a> {
    let ours = whole(mapping, payloads).expect("default options of LEEF");
    Pair::new(plain(payloads), ours)
}

/// Something that is no work on payloads, with the parse of payloads as its measure.
fn beside<'a>(corpus: &'a Corpus, mut work: impl FnMut() + 'a) -> Pair<'a> {
    let ours = Side::new([corpus.bytes()], move |_| work());
    Pair::new(plain(&corpus.payloads), ours)
}

/// Fixtures with snapshots in a folder that is gone afterwards.
struct Evidence(Suite, PathBuf);

impl Evidence {
    fn new(count: usize) -> Self {
        let folder =
            std::env::temp_dir().join(format!("dsmith-bench-{}-{count}", std::process::id()));
        let (mappings, fixtures) =
            synthetic::fixtures(&root().join("dsm-mappings"), &folder, count)
                .expect("temporary files");
        let mut suite = Suite {
            mappings,
            fixtures,
            selection: Default::default(),
            accept: true,
            accept_unreached: false,
            strict: true,
        };
        suite.run().expect("readable folders");
        suite.accept = false;
        Self(suite, folder)
    }
}

impl Drop for Evidence {
    fn drop(&mut self) {
        // What cannot be removed is left to whoever cleans temporary files.
        let _ = std::fs::remove_dir_all(&self.1);
    }
}

/// The lines of a picture while they grow.
struct Lines(Vec<Series>);

impl Lines {
    fn new<const N: usize>(names: [&str; N]) -> Self {
        let series = |name: &str| Series {
            name: name.to_owned(),
            points: Vec::new(),
        };
        Self(names.into_iter().map(series).collect())
    }

    fn name(&self, line: usize) -> &str {
        &self.0[line].name
    }

    #[allow(clippy::cast_precision_loss, reason = "a place in a picture")]
    fn add(&mut self, line: usize, x: usize, microseconds: f64) {
        self.0[line].points.push((x as f64, microseconds));
    }

    fn curve(self, id: &str, title: &str, x: &str, y: &str) -> Curve {
        Curve {
            id: id.to_owned(),
            title: title.to_owned(),
            x: x.to_owned(),
            y: y.to_owned(),
            series: self.0,
        }
    }
}
