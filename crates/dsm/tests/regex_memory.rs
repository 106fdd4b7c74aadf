//! The regular expressions of a mapping take no more memory together than the documentation says, and find the same. It is
//! the only test of its process, because it measures the heap of all of it.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

use chrono::DateTime;
use dsm::diagnostic::SourceFile;
use dsm::event::canonical;
use dsm::field::Field;
use dsm::{Mapping, Normalizer, Payload};
use java_regex::{Flags, JavaRegex, Slots};
use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// For what is not an automaton of the linear engine: 16 KiB for each pattern.
const OTHERWISE: usize = 16 << 10;
const LIMIT: usize = 64 << 20;

fn extension(patterns: &[String]) -> String {
    let declared = patterns.iter().enumerate();
    let declared: String = declared
        .map(|(at, pattern)| format!("<pattern id=\"p{at}\"><![CDATA[{pattern}]]></pattern>"))
        .collect();
    let matchers: String = (0..patterns.len())
        .map(|at| {
            let order = at + 1;
            format!("<matcher field=\"EventName\" order=\"{order}\" pattern-id=\"p{at}\" capture-group=\"1\"/>")
        })
        .collect();
    format!(
        "<device-extension xmlns=\"event_parsing/device_extension\">{declared}<match-group order=\"1\">{matchers}</match-group></device-extension>"
    )
}

/// The value that a mapping finds for the event name.
fn found(mapping: &Mapping, text: &str) -> Option<String> {
    let mut normalizer = Normalizer::new(mapping);
    let payload = Payload::decode(text.as_bytes());
    let event = normalizer.normalize(&payload, DateTime::UNIX_EPOCH);
    let property = event.field(Field::EventName)?;
    Some(canonical(property).into_owned())
}

#[test]
fn the_regular_expressions_of_a_mapping_share_a_limit_of_memory() {
    let shapes: [fn(usize) -> String; 4] = [
        |at| format!(r"{at}(?U)x(\w{{20}})"),
        |at| format!(r"{at}(?U)x(\w{{20}}[\p{{L}}\d]{{5}}|\w+)"),
        // Of so many steps that only one engine takes it in linear time.
        |at| format!("{at}x((?:ab|c[à-ÿ]){{{}}}|c)", 300 + at),
        |at| format!(r"{at}: user=(\S+) from ([\d.]+) port (\d+)"),
    ];
    for shape in shapes {
        let patterns: Vec<String> = (100..600).map(shape).collect();
        let file = SourceFile::new("extension.xml", extension(&patterns));
        let before = HEAP.current_usage();
        HEAP.reset_peak_usage();
        let (mapping, findings) = Mapping::from_extension("many", &file);
        let mapping = mapping.unwrap();
        let kept = HEAP.current_usage() - before;
        let peak = HEAP.peak_usage() - before;
        eprintln!(
            "{}: {} KiB kept, {} KiB peak",
            patterns[0],
            kept >> 10,
            peak >> 10
        );
        drop(findings);
        let limit = LIMIT + OTHERWISE * patterns.len();
        assert!(kept < limit, "{}: {} MiB", patterns[0], kept >> 20);
        assert!(
            peak < limit + (16 << 20),
            "{}: {} MiB",
            patterns[0],
            peak >> 20
        );
        // The last ones find what they find by themselves.
        for at in [0, 250, 499] {
            let regex = JavaRegex::new(&patterns[at], Flags::default()).unwrap();
            let number = at + 100;
            for text in [
                format!("{number}x{}", "é".repeat(40)),
                format!("{number}x{}", "ab".repeat(300 + number)),
                format!("{number}: user=jvega from 192.0.2.1 port 22"),
                format!("{number}x{}", "c".repeat(30)),
            ] {
                let mut slots = Slots::default();
                let alone = regex.find(&text, &mut slots, 250_000).unwrap();
                let alone = slots
                    .get(1)
                    .filter(|_| alone)
                    .map(|range| text[range].to_owned());
                assert_eq!(found(&mapping, &text), alone, "{} {text}", patterns[at]);
            }
        }
    }
}
