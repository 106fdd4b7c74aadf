//! The engine beside a plain parse of the same bytes, driven by criterion.
//!
//! criterion plans the iterations, warms up, draws the samples and compares with the last run. What it measures is not a
//! time but the cost of the engine in units of the plain parse: both are run in turns within each iteration, so a machine
//! that slows down for a while slows both. `cargo bench -p measure --bench engine` shows what criterion says;
//! `cargo xtask bench` runs this and shows the tables.

#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::panic,
    reason = "this is no library: a benchmark that cannot run says so and ends"
)]

mod growth;

use authoring::folder;
use criterion::measurement::{Measurement, ValueFormatter};
use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use dsm::Mapping;
use measure::corpus::Corpus;
use measure::pair::{Pair, Sample, Summary, summarise};
use measure::report::{Engine, StageRow};
use measure::stages::{Prepared, Stage};
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
                warm_up: milliseconds(60),
                measure: milliseconds(400),
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
            let measured = self.driver.measure(corpus.name, stage.name(), || {
                prepared
                    .pair(*stage, &self.siem)
                    .expect("default options of LEEF")
            });
            let row = measured.map(|summary| StageRow::new(corpus, stage.name(), mapped, &summary));
            self.results.stages.extend(row);
        }
    }
}

/// criterion, and where its samples arrive.
struct Driver {
    criterion: Criterion<Cost>,
    cost: Cost,
}

impl Driver {
    /// Lets criterion measure a pair. Where a filter on the command line leaves it out, it is not even made.
    fn measure<'a>(
        &mut self,
        group: &str,
        name: &str,
        make: impl FnOnce() -> Pair<'a>,
    ) -> Option<Summary> {
        let (mut make, mut pair) = (Some(make), None);
        self.cost.samples.borrow_mut().clear();
        let mut group = self.criterion.benchmark_group(group);
        // Samples of the same length: each counts as much as any other.
        group.sampling_mode(SamplingMode::Flat);
        group.bench_function(BenchmarkId::from_parameter(name), |b| {
            let pair = pair.get_or_insert_with(|| make.take().expect("made once")());
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
    bench.growth();
    if let Some(path) = std::env::var_os(RESULTS) {
        let json = serde_json::to_string(&bench.results).expect("finite numbers");
        std::fs::write(&path, json).expect("a file for the results");
    }
}
