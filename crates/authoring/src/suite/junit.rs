//! A run of the suite as JUnit XML, which build servers read.

use super::{FixtureOutcome, Outcome, Verdict};
use crate::markup::escape;
use crate::render::{self, Format};
use dsm::diagnostic::Diagnostics;
use std::fmt::Write as _;

/// The run as a document: a test suite for each log source type with a test case for each fixture, and one for the
/// findings of all of them. There are no times in it, so the same outcome gives the same bytes.
pub fn junit(outcome: &Outcome) -> String {
    let failures = outcome.fixtures.iter().filter(|f| fails(f)).count();
    let others = others(outcome);
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"dsmith test\" tests=\"{}\" failures=\"{}\">\n",
        outcome.fixtures.len() + 1,
        failures + usize::from(others.is_some()),
    );
    for of_type in &outcome.types {
        let fixtures = || outcome.fixtures.iter().filter(|f| f.slug == of_type.slug);
        let _ = writeln!(
            out,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\">",
            escape(&of_type.slug),
            fixtures().count(),
            fixtures().filter(|fixture| fails(fixture)).count(),
        );
        for fixture in fixtures() {
            test_case(&mut out, fixture);
        }
        out.push_str("  </testsuite>\n");
    }
    let _ = writeln!(
        out,
        "  <testsuite name=\"findings\" tests=\"1\" failures=\"{}\">",
        usize::from(others.is_some())
    );
    match others {
        None => out.push_str("    <testcase classname=\"findings\" name=\"no findings\"/>\n"),
        Some((summary, text)) => failure(&mut out, "findings", "no findings", &summary, &text),
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

fn fails(fixture: &FixtureOutcome) -> bool {
    match fixture.verdict {
        Verdict::Same => false,
        Verdict::Broken => true,
        Verdict::Changed | Verdict::New => {
            !fixture.difference.as_ref().is_some_and(|d| d.is_accepted)
        }
    }
}

fn test_case(out: &mut String, fixture: &FixtureOutcome) {
    if !fails(fixture) {
        let _ = writeln!(
            out,
            "    <testcase classname=\"{}\" name=\"{}\"/>",
            escape(&fixture.slug),
            escape(&fixture.name)
        );
        return;
    }
    let summary = match fixture.verdict {
        Verdict::New => "there is no snapshot",
        Verdict::Broken => "the fixture or its snapshot cannot be read without faults",
        Verdict::Same | Verdict::Changed => "the fixture no longer gives what its snapshot says",
    };
    let diff = fixture.difference.as_ref().map_or("", |d| d.diff.as_str());
    failure(out, &fixture.slug, &fixture.name, summary, diff);
}

fn failure(out: &mut String, class: &str, name: &str, summary: &str, text: &str) {
    let _ = writeln!(
        out,
        "    <testcase classname=\"{}\" name=\"{}\">\n      <failure message=\"{}\">{}</failure>\n    </testcase>",
        escape(class),
        escape(name),
        escape(summary),
        escape(text)
    );
}

/// The findings that fail the run and do not belong to a test case.
fn others(outcome: &Outcome) -> Option<(String, String)> {
    use dsm::diagnostic::{Code, Severity};
    let mut others: Diagnostics = outcome.findings.clone();
    others.retain(|finding| {
        !matches!(
            finding.code,
            Code::SnapshotDiffers | Code::SnapshotMissing | Code::FixtureUnreadable
        ) && (outcome.is_strict || finding.severity == Severity::Error)
    });
    let summary = render::summary(&others)?;
    Some((summary, render::render(&others, Format::Human, false)))
}
