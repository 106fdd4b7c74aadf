//! Fixtures that show what should not be shown.

use super::{Finding, Subject};
use crate::anonymize;
use dsm::diagnostic::{Code, Diagnostic, SourceFile};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) fn lint(subject: &Subject<'_>, out: &mut Vec<Finding>) {
    for (name, file) in &subject.corpus.fixtures {
        // What stands there many times is told once, where it is first.
        let mut found: Vec<(anonymize::Finding, usize)> = Vec::new();
        let mut places = BTreeMap::new();
        for finding in anonymize::findings(&file.text) {
            let key = (finding.what, finding.text.clone());
            let place = *places.entry(key).or_insert_with(|| {
                found.push((finding, 0));
                found.len() - 1
            });
            found[place].1 += 1;
        }
        let file = &without_secrets(file);
        for (finding, count) in found {
            let times = match count {
                1 => String::new(),
                _ => format!(", {count} times"),
            };
            let (message, help) = match &finding.text {
                Some(text) => (
                    format!("a fixture holds `{text}`, {}{times}", finding.what),
                    "replace it; dsmith anonymize --in-place does in all files that it is given",
                ),
                None => (
                    format!("a fixture holds {}{times}", finding.what),
                    "write ******** in its place, and revoke it if it was ever good",
                ),
            };
            let length = finding.text.as_ref().map_or(0, String::len);
            out.push(Finding {
                diagnostic: Diagnostic::new(Code::FixtureUnclean, message, help).at(
                    file,
                    finding.offset..finding.offset + length,
                    "",
                ),
                subject: format!("fixture/{name}"),
                fix: None,
            });
        }
    }
}

/// The file as it may be shown: a finding is shown with its line, and a secret may stand in it. From a secret to the end of
/// the line there are stars, as many as there are bytes.
fn without_secrets(file: &Arc<SourceFile>) -> Arc<SourceFile> {
    let secrets = anonymize::secrets(&file.text);
    if secrets.is_empty() {
        return Arc::clone(file);
    }
    let mut text = String::with_capacity(file.text.len());
    for secret in secrets {
        // What begins on a line that is masked already is masked too.
        let Some(before) = file.text.get(text.len()..secret.offset) else {
            continue;
        };
        text.push_str(before);
        let rest = &file.text[secret.offset..];
        let end = rest.find('\n').unwrap_or(rest.len());
        text.extend(std::iter::repeat_n('*', end));
    }
    text.push_str(&file.text[text.len()..]);
    SourceFile::new(file.name.as_str(), text)
}
