//! The engine beside a plain parse of the same bytes, driven by criterion.
//!
//! criterion plans the iterations, warms up, draws the samples and compares with the last run. What it measures is not a
//! time but the cost of the engine in units of the plain parse: both are run in turns within each iteration, so a machine
//! that slows down for a while slows both. `cargo bench -p authoring --bench engine` shows what criterion says;
//! `cargo xtask bench` runs this and shows the tables.

#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::panic,
    reason = "this is no library: a benchmark that cannot run says so and ends"
)]

use authoring::bench::corpus::{Corpus, graph_of_size};
use authoring::bench::pair::{Pair, Sample, Side, Summary, summarise};
use authoring::bench::report::{Curve, Engine, Series, StageRow};
use authoring::bench::stages::{Prepared, Stage, plain, whole};
use authoring::bench::synthetic::{self, Matchers};
use authoring::folder;
use authoring::suite::Suite;
use criterion::measurement::{Measurement, ValueFormatter};
use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use dsm::Mapping;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

/// Where the results go as JSON; nowhere if it is not set.
const RESULTS: &str = "DSMITH_BENCH_RESULTS";
/// Set for a short run.
const QUICK: &str = "DSMITH_BENCH_QUICK";

/// The cost of one iteration, in plain parses of the same bytes.
#[derive(Default, Clone)]
struct Cost {
    /// What criterion has measured since somebody asked last.
    samples: Rc<RefCell<Vec<Sample>>>,
}

impl Measurement for Cost {
    type Intermediate = ();
    type Value = Sample;

    fn start(&self) {}

    fn end(&self, (): ()) -> Sample {
        Sample::default()
    }

    fn add(&self, a: &Sample, b: &Sample) -> Sample {
        let mut sum = *a;
        sum.plain += b.plain;
        sum.ours += b.ours;
        sum.turns += b.turns;
        sum
    }

    fn zero(&self) -> Sample {
        Sample::default()
    }

    /// Called once for each sample, and not for warming up.
    #[allow(clippy::cast_precision_loss, reason = "criterion counts in f64")]
    fn to_f64(&self, sample: &Sample) -> f64 {
        self.samples.borrow_mut().push(*sample);
        sample.turns as f64 / sample.ratio()
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        &CostFormatter
    }
}

struct CostFormatter;

impl ValueFormatter for CostFormatter {
    fn scale_values(&self, _typical: f64, _values: &mut [f64]) -> &'static str {
        "plain parses"
    }

    fn scale_throughputs(&self, _: f64, _: &Throughput, _: &mut [f64]) -> &'static str {
        "plain parses"
    }

    fn scale_for_machines(&self, _values: &mut [f64]) -> &'static str {
        "plain parses"
    }
}

/// How long everything may take.
struct Effort {
    quick: bool,
    payloads: usize,
    samples: usize,
    warm_up: Duration,
    measure: Duration,
}

impl Effort {
    fn new(quick: bool) -> Self {
        let milliseconds = Duration::from_millis;
        if quick {
            Self {
                quick,
                payloads: 600,
                samples: 15,
                warm_up: milliseconds(120),
                measure: milliseconds(600),
            }
        } else {
            Self {
                quick,
                payloads: 3_000,
                samples: 40,
                warm_up: milliseconds(500),
                measure: milliseconds(3_000),
            }
        }
    }

    /// Fewer points in a short run.
    fn points(&self, all: &[usize], quick: &[usize]) -> Vec<usize> {
        if self.quick { quick } else { all }.to_vec()
    }
}

struct Bench {
    driver: Driver,
    effort: Effort,
    mappings: BTreeMap<&'static str, Mapping>,
    siem: Corpus,
    results: Engine,
}

impl Bench {
    fn new() -> Self {
        let effort = Effort::new(std::env::var_os(QUICK).is_some());
        let cost = Cost::default();
        let criterion = Criterion::default()
            .configure_from_args()
            .without_plots()
            .with_measurement(cost.clone())
            .sample_size(effort.samples)
            .warm_up_time(effort.warm_up)
            .measurement_time(effort.measure)
            .nresamples(if effort.quick { 1_001 } else { 20_000 });
        let siem = Corpus::siem(effort.payloads);
        Self {
            driver: Driver { criterion, cost },
            effort,
            mappings: BTreeMap::new(),
            siem,
            results: Engine::default(),
        }
    }

    fn load(&mut self, slug: &'static str) {
        self.mappings.entry(slug).or_insert_with(|| {
            let (mapping, findings) = folder::load(&root().join("dsm-mappings").join(slug));
            mapping.unwrap_or_else(|| panic!("{slug} cannot be used: {findings:?}"))
        });
    }

    fn corpora(&mut self) {
        let count = self.effort.payloads;
        let mut corpora = Corpus::of_goals(count);
        corpora.extend([Corpus::vpn(count), Corpus::sshd(count)]);
        for corpus in corpora {
            self.stages(&corpus, &Stage::ALL);
        }
        for corpus in Corpus::hostile(count / 4) {
            self.stages(&corpus, &[Stage::Whole]);
        }
    }

    fn stages(&mut self, corpus: &Corpus, stages: &[Stage]) {
        self.load(corpus.slug);
        let prepared = Prepared::new(corpus, &self.mappings[corpus.slug]);
        let mapped = prepared.mapped();
        for stage in stages {
            let pair = prepared
                .pair(*stage, &self.siem)
                .expect("default options of LEEF");
            let measured = self.driver.measure(corpus.name, stage.name(), pair);
            let row = measured.map(|summary| StageRow::new(corpus, stage.name(), mapped, &summary));
            self.results.stages.extend(row);
        }
    }

    /// The cost of an event whose payload is of that size.
    fn payload_size(&mut self) {
        self.load(self.siem.slug);
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
                // Enough for some batches, however large one payload is.
                let payloads = graph_of_size((2_000_000 / bytes).clamp(4, 400), bytes, evidences);
                let id = format!("{} of {bytes} bytes", lines.name(line));
                let ours = whole(&self.mappings[self.siem.slug], &payloads)
                    .expect("default options of LEEF");
                let pair = Pair::new(plain(&payloads), ours);
                let measured = self.driver.measure("payload size", &id, pair);
                if let Some(summary) = measured {
                    lines.add(line, bytes, summary.ours.microseconds());
                    if evidences {
                        lines.add(2, bytes, summary.plain.microseconds());
                    }
                }
            }
        }
        self.results.growth.push(lines.curve(
            "payload-size",
            "Cost of one event by the size of its payload",
            "payload, bytes",
            "time per event",
        ));
    }

    /// The cost of an event with so many matchers in its mapping.
    fn matchers(&mut self) {
        let counts = self
            .effort
            .points(&[10, 30, 100, 300, 1_000], &[10, 100, 1_000]);
        let mut lines = Lines::new([
            "JSON key paths",
            "regular expressions",
            "plain parse of the JSON",
        ]);
        for count in counts {
            for (line, kind) in [(0, Matchers::Json), (1, Matchers::Regex)] {
                let mapping =
                    synthetic::mapping_of_matchers(kind, count).expect("a mapping without faults");
                let payloads = synthetic::payloads_for_matchers(kind, 200);
                let json = synthetic::payloads_for_matchers(Matchers::Json, 200);
                let ours = whole(&mapping, &payloads).expect("default options of LEEF");
                let id = format!("{count} {}", lines.name(line));
                let pair = Pair::new(plain(&json), ours);
                let measured = self.driver.measure("matchers", &id, pair);
                if let Some(summary) = measured {
                    lines.add(line, count, summary.ours.microseconds());
                    if kind == Matchers::Json {
                        lines.add(2, count, summary.plain.microseconds());
                    }
                }
            }
        }
        self.results.growth.push(lines.curve(
            "matchers",
            "Cost of one event by the number of matchers in the mapping",
            "matchers",
            "time per event",
        ));
    }

    /// The cost of an event, and of loading, with so many rows in the QID map.
    fn qid_rows(&mut self) {
        let counts = self
            .effort
            .points(&[100, 1_000, 10_000, 100_000], &[100, 3_000, 100_000]);
        let mut lines = Lines::new(["one event", "loading the mapping"]);
        for rows in counts {
            let mapping = synthetic::mapping_of_qids(rows).expect("a mapping without faults");
            let payloads = synthetic::payloads_for_qids(rows, 5_000);
            let ours = whole(&mapping, &payloads).expect("default options of LEEF");
            let id = format!("one event, {rows} rows");
            let pair = Pair::new(plain(&payloads), ours);
            if let Some(summary) = self.driver.measure("qid rows", &id, pair) {
                lines.add(0, rows, summary.ours.microseconds());
            }
            let id = format!("loading {rows} rows");
            let pair = beside(&self.siem, move || {
                std::hint::black_box(synthetic::mapping_of_qids(rows));
            });
            if let Some(summary) = self.driver.measure("qid rows", &id, pair) {
                lines.add(1, rows, summary.ours.microseconds());
            }
        }
        self.results.growth.push(lines.curve(
            "qid-rows",
            "Cost by the number of rows in the QID map",
            "QID records, each with an event mapping",
            "time",
        ));
    }

    /// The cost of `cargo xtask validate` with so many fixtures.
    fn fixtures(&mut self) {
        let counts = self
            .effort
            .points(&[10, 30, 100, 300, 1_000], &[10, 100, 400]);
        let mut lines = Lines::new(["validate"]);
        for count in counts {
            let folder =
                std::env::temp_dir().join(format!("dsmith-bench-{}-{count}", std::process::id()));
            let (mappings, fixtures) =
                synthetic::fixtures(&root().join("dsm-mappings"), &folder, count)
                    .expect("temporary files");
            let mut suite = Suite {
                mappings,
                fixtures,
                only: None,
                accept: true,
                accept_unreached: false,
            };
            suite.run().expect("readable folders");
            suite.accept = false;
            let id = format!("{count} fixtures");
            let pair = beside(&self.siem, move || {
                let _ = std::hint::black_box(suite.run());
            });
            let measured = self.driver.measure("fixtures", &id, pair);
            if let Some(summary) = measured {
                lines.add(0, count, summary.ours.microseconds());
            }
            // Whoever cleans up after us later finds nothing.
            let _ = std::fs::remove_dir_all(&folder);
        }
        self.results.growth.push(lines.curve(
            "fixtures",
            "Time of cargo xtask validate by the number of fixtures",
            "fixtures of one payload",
            "time per run",
        ));
    }
}

/// Something that is no work on payloads, with the parse of payloads as its measure.
fn beside<'a>(corpus: &'a Corpus, mut work: impl FnMut() + 'a) -> Pair<'a> {
    let ours = Side::new([corpus.bytes()], move |_| work());
    Pair::new(plain(&corpus.payloads), ours)
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

/// criterion, and where its samples arrive.
struct Driver {
    criterion: Criterion<Cost>,
    cost: Cost,
}

impl Driver {
    /// Lets criterion measure a pair; `None` where a filter on the command line leaves it out.
    fn measure(&mut self, group: &str, name: &str, mut pair: Pair<'_>) -> Option<Summary> {
        self.cost.samples.borrow_mut().clear();
        let mut group = self.criterion.benchmark_group(group);
        // Samples of the same length: each counts as much as any other.
        group.sampling_mode(SamplingMode::Flat);
        group.bench_function(BenchmarkId::from_parameter(name), |b| {
            b.iter_custom(|turns| pair.run(turns));
        });
        group.finish();
        summarise(&self.cost.samples.borrow())
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn main() {
    let mut bench = Bench::new();
    bench.corpora();
    bench.payload_size();
    bench.matchers();
    bench.qid_rows();
    bench.fixtures();
    if let Some(path) = std::env::var_os(RESULTS) {
        let json = serde_json::to_string(&bench.results).expect("finite numbers");
        std::fs::write(&path, json).expect("a file for the results");
    }
}
