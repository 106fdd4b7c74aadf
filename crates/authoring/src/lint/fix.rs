//! Applies fixes, and takes back what changes an event.

use super::{Finding, Fix, Part, Report, Subject, allow, fixable, lint};
use crate::replay::{Corpus, Facts};
use crate::rewrite;
use dsm::Mapping;
use dsm::diagnostic::{Code, SourceFile};
use dsm::lsx;
use dsm::mapping::Source;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What became of the fixes.
#[derive(Debug)]
pub struct Fixed {
    /// The files as they are now.
    pub source: Source,
    /// What was done, in order.
    pub done: Vec<String>,
    /// What was not done, and why.
    pub refused: Vec<(String, String)>,
    /// What is left.
    pub report: Report,
}

/// Applies every fix after which the payloads give the same events. Nothing is written.
pub fn fix(source: &Source, corpus: &Corpus) -> Fixed {
    let mut source = source.clone();
    let (mut done, mut refused) = (Vec::new(), Vec::new());
    let mut tried = BTreeSet::new();
    if let Some(before) = facts(&source, corpus) {
        while let Some(finding) = next(&source, corpus, &tried) {
            let Some(fix) = finding.fix else { break };
            let changed = with(&source, &fix);
            match difference(&before, facts(&changed, corpus), corpus) {
                None => {
                    source = changed;
                    done.push(fix.title);
                }
                Some(reason) => refused.push((fix.title.clone(), reason)),
            }
            tried.insert((finding.diagnostic.code, finding.subject));
        }
    }
    let report = lint(&source, corpus);
    Fixed {
        source,
        done,
        refused,
        report,
    }
}

/// Leaves only fixes after which the payloads give the same events. So many are tried, the others go.
pub fn keep_safe(source: &Source, corpus: &Corpus, findings: &mut [Finding], most: usize) {
    let mut fixable = findings.iter_mut().filter(|f| f.fix.is_some()).peekable();
    if fixable.peek().is_none() {
        return;
    }
    let before = facts(source, corpus);
    for (index, finding) in fixable.enumerate() {
        let Some((fix, before)) = finding.fix.take().zip(before.as_ref()) else {
            continue;
        };
        let is_safe = || difference(before, facts(&with(source, &fix), corpus), corpus).is_none();
        if index < most && is_safe() {
            finding.fix = Some(fix);
        }
    }
}

/// The files after a fix.
fn with(source: &Source, fix: &Fix) -> Source {
    let mut changed = source.clone();
    let file = match fix.part {
        Part::Manifest => &mut changed.manifest,
        Part::Extension => &mut changed.extension,
        Part::QidMap => &mut changed.qidmap,
        Part::EventMappings => &mut changed.event_mappings,
    };
    *file = rewrite::apply_to(file, &fix.edits);
    changed
}

/// The next finding with a fix that was not tried yet.
fn next(source: &Source, corpus: &Corpus, tried: &BTreeSet<(Code, String)>) -> Option<Finding> {
    let mapping = Mapping::load(source).0?;
    let document = lsx::parse(&source.extension).0;
    let subject = Subject::new(source, &document, &mapping, corpus);
    let untried = |finding: &Finding| {
        let key = (finding.diagnostic.code, finding.subject.clone());
        finding.fix.is_some() && !tried.contains(&key)
    };
    let mut findings = Vec::new();
    fixable(&subject, &mut findings);
    let (findings, _) = allow(&mapping, source, findings);
    // Whether an allow is in vain can only be told when all lints were run.
    let of_allow = |finding: &Finding| finding.diagnostic.code == Code::AllowUnused;
    let mut findings = findings.into_iter();
    findings
        .find(|finding| untried(finding) && !of_allow(finding))
        .or_else(|| lint(source, corpus).findings.into_iter().find(untried))
}

fn facts(source: &Source, corpus: &Corpus) -> Option<Vec<Facts>> {
    let (mapping, _) = Mapping::load(source);
    Some(corpus.facts(&mapping?))
}

/// What would be different.
fn difference(before: &[Facts], after: Option<Vec<Facts>>, corpus: &Corpus) -> Option<String> {
    let Some(after) = after else {
        return Some("the mapping could not be used any more".to_owned());
    };
    let mut changed = before
        .iter()
        .zip(&after)
        .zip(&corpus.samples)
        .filter(|((before, after), _)| before != after)
        .map(|(_, sample)| &sample.file);
    let first = changed.next()?;
    let others = changed.count();
    Some(format!(
        "it would change {} of {} events, the first in {first}",
        others + 1,
        before.len()
    ))
}

impl Fixed {
    /// The files that differ from another version.
    pub fn changed(&self, old: &Source) -> Vec<&Arc<SourceFile>> {
        [
            Part::Manifest,
            Part::Extension,
            Part::QidMap,
            Part::EventMappings,
        ]
        .into_iter()
        .filter(|part| part.of(old).text != part.of(&self.source).text)
        .map(|part| part.of(&self.source))
        .collect()
    }
}
