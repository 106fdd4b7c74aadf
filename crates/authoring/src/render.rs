//! Findings as text for people, and as JSON, GitHub annotations and SARIF for machines.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use dsm::diagnostic::{Code, Diagnostic, Diagnostics, Label, Severity, SourceFile};
use serde_json::{Value, json};
use std::ops::Range;

/// How findings are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// With the source underlined.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
    /// Workflow commands that GitHub shows beside the change.
    Github,
    /// A SARIF 2.1.0 log.
    Sarif,
}

/// All findings in a format. `colour` matters for people only.
pub fn render(findings: &Diagnostics, format: Format, colour: bool) -> String {
    match format {
        Format::Human => findings
            .iter()
            .map(|finding| human(finding, colour) + "\n")
            .collect(),
        Format::Json => findings
            .iter()
            .map(|finding| as_json(finding).to_string() + "\n")
            .collect(),
        Format::Github => findings.iter().map(github).collect(),
        Format::Sarif => sarif(findings),
    }
}

/// `2 errors, 1 warning`, or nothing.
pub fn summary(findings: &Diagnostics) -> Option<String> {
    let count = |severity, name: &str| match findings.count(severity) {
        0 => None,
        1 => Some(format!("1 {name}")),
        count => Some(format!("{count} {name}s")),
    };
    let parts: Vec<String> = [
        count(Severity::Error, "error"),
        count(Severity::Warning, "warning"),
    ]
    .into_iter()
    .flatten()
    .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// How many characters of a line are shown on each side of what is underlined.
const MAX_CONTEXT: usize = 160;

fn human(finding: &Diagnostic, colour: bool) -> String {
    let renderer = if colour {
        Renderer::styled()
    } else {
        Renderer::plain()
    }
    .decor_style(DecorStyle::Ascii);
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group: Group<'_> = level
        .primary_title(finding.message.as_str())
        .id(finding.code.as_str())
        .elements(Vec::<Snippet<'_, annotate_snippets::Annotation<'_>>>::new());
    let windows: Vec<(Window, &Label)> = finding
        .labels
        .iter()
        .map(|label| (Window::of(label), label))
        .collect();
    for (index, (window, label)) in windows.iter().enumerate() {
        if label.file.text.is_empty() {
            group = group.element(Origin::path(label.file.name.as_str()));
            continue;
        }
        // Labels on one line share its snippet, which the first of them brings.
        let beside = |(other, of): &(Window, &Label)| {
            of.file == label.file && other.line == window.line && other.text == window.text
        };
        if windows[..index].iter().any(beside) {
            continue;
        }
        let annotations = windows.iter().enumerate().skip(index);
        let annotations = annotations.filter(|(_, pair)| beside(pair));
        let annotations = annotations.map(|(at, (window, label))| {
            let kind = if at == 0 {
                AnnotationKind::Primary
            } else {
                AnnotationKind::Context
            };
            let annotation = kind.span(window.span.clone());
            if label.text.is_empty() {
                annotation
            } else {
                annotation.label(label.text.as_str())
            }
        });
        group = group.element(
            Snippet::source(window.text.as_str())
                .path(label.file.name.as_str())
                .line_start(window.line)
                .annotations(annotations),
        );
    }
    group = group.element(Level::NOTE.message(finding.why.as_str()));
    if !finding.help.is_empty() {
        group = group.element(Level::HELP.message(finding.help.as_str()));
    }
    renderer.render(&[group]) + "\n"
}

/// The lines that a label underlines, cut out so that long files and long lines stay readable.
struct Window {
    text: String,
    line: usize,
    span: Range<usize>,
}

impl Window {
    fn of(label: &Label) -> Self {
        let text = label.file.text.as_str();
        let clamp = |mut at: usize| {
            at = at.min(text.len());
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let start = clamp(label.span.start);
        // What spans lines is shown by its first line. Only the text around a label is looked at: a line may be as long
        // as the file, and have thousands of labels.
        let mut end = clamp(label.span.end.min(start + 2 * MAX_CONTEXT)).max(start);
        if let Some(newline) = text[start..end].find('\n') {
            end = start + newline;
        }
        let before = clamp(start.saturating_sub(MAX_CONTEXT));
        let from = text[before..start]
            .rfind('\n')
            .map_or(before, |newline| before + newline + 1);
        let behind = clamp(end + MAX_CONTEXT);
        let to = text[end..behind]
            .find('\n')
            .map_or(behind, |newline| end + newline);
        let is_cut = |inside: bool, next: Option<&u8>| inside && next != Some(&b'\n');
        let bytes = text.as_bytes();
        let (head, tail) = (
            if is_cut(from == before && from > 0, bytes.get(from.wrapping_sub(1))) {
                "..."
            } else {
                ""
            },
            if is_cut(to < text.len(), bytes.get(to)) {
                "..."
            } else {
                ""
            },
        );
        let shift = head.len();
        Self {
            text: format!("{head}{}{tail}", &text[from..to]),
            line: label.file.line_column(start).0,
            span: start - from + shift..end - from + shift,
        }
    }
}

fn place(file: &SourceFile, span: &Range<usize>) -> Value {
    let (line, column) = file.line_column(span.start);
    let (end_line, end_column) = file.line_column(span.end);
    json!({
        "file": file.name,
        "line": line,
        "column": column,
        "endLine": end_line,
        "endColumn": end_column,
    })
}

/// A finding as a value.
pub fn as_json(finding: &Diagnostic) -> Value {
    let labels: Vec<Value> = finding
        .labels
        .iter()
        .map(|label| {
            let mut value = place(&label.file, &label.span);
            if !label.text.is_empty() {
                value["text"] = json!(label.text);
            }
            value
        })
        .collect();
    json!({
        "code": finding.code.as_str(),
        "severity": finding.severity.to_string(),
        "message": finding.message,
        "places": labels,
        "why": finding.why,
        "help": finding.help,
    })
}

/// What a code means, as a line of JSON, with a report that shows it.
pub fn explained_json(code: Code, example: Option<&str>) -> String {
    let value = json!({
        "code": code.as_str(),
        "severity": code.severity().to_string(),
        "title": code.title(),
        "why": code.why(),
        "example": example,
    });
    value.to_string() + "\n"
}

/// GitHub's workflow commands have their own escapes.
fn github(finding: &Diagnostic) -> String {
    let data = |text: &str| {
        text.replace('%', "%25")
            .replace('\r', "%0D")
            .replace('\n', "%0A")
    };
    let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    let place = finding.labels.first().map_or_else(String::new, |label| {
        let (line, column) = label.file.line_column(label.span.start);
        format!(
            "file={},line={line},col={column},",
            property(&label.file.name)
        )
    });
    format!(
        "::{} {place}title={}::{}%0Awhy: {}%0Ahelp: {}\n",
        finding.severity,
        property(finding.code.as_str()),
        data(&finding.message),
        data(&finding.why),
        data(&finding.help),
    )
}

fn sarif(findings: &Diagnostics) -> String {
    let rules: Vec<Value> = Code::ALL
        .iter()
        .filter(|code| findings.iter().any(|finding| finding.code == **code))
        .map(|code| {
            json!({
                "id": code.as_str(),
                "shortDescription": {"text": code.title()},
                "fullDescription": {"text": code.why()},
            })
        })
        .collect();
    let results: Vec<Value> = findings
        .iter()
        .map(|finding| {
            let locations: Vec<Value> = finding.labels.iter().take(1).map(location).collect();
            let related: Vec<Value> = finding.labels.iter().skip(1).map(location).collect();
            json!({
                "ruleId": finding.code.as_str(),
                "level": finding.severity.to_string(),
                "message": {"text": format!("{}. {}", finding.message, finding.help)},
                "locations": locations,
                "relatedLocations": related,
            })
        })
        .collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "dsmith",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    // A value made of strings and numbers always has a text.
    serde_json::to_string_pretty(&log).unwrap_or_default() + "\n"
}

fn location(label: &Label) -> Value {
    let (line, column) = label.file.line_column(label.span.start);
    let (end_line, end_column) = label.file.line_column(label.span.end);
    json!({
        "physicalLocation": {
            "artifactLocation": {"uri": label.file.name.replace('\\', "/")},
            "region": {
                "startLine": line,
                "startColumn": column,
                "endLine": end_line,
                "endColumn": end_column.max(if end_line == line { column + 1 } else { 1 }),
            },
        },
        "message": {"text": label.text},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Diagnostics {
        let file = SourceFile::new("dir/extension.xml", "<a>\n  <b order=\"0\"/>\n</a>\n");
        let mut findings = Diagnostics::new();
        findings.push(
            Diagnostic::new(
                Code::OrderInvalid,
                "order `0` is not a positive integer",
                "write 1",
            )
            .at(&file, 16..17, "here"),
        );
        findings
    }

    #[test]
    fn people_see_the_place_the_reason_and_the_remedy() {
        let text = render(&findings(), Format::Human, false);
        for part in [
            "error[DSM004]: order `0` is not a positive integer",
            "dir/extension.xml:2:13",
            "<b order=\"0\"/>",
            "^ here",
            "note: groups and matchers",
            "help: write 1",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn machines_see_the_same() {
        let line: Value = serde_json::from_str(&render(&findings(), Format::Json, false)).unwrap();
        assert_eq!(line["places"][0]["line"], 2);
        assert_eq!(line["code"], "DSM004");
        let annotation = render(&findings(), Format::Github, false);
        assert!(
            annotation
                .starts_with("::error file=dir/extension.xml,line=2,col=13,title=DSM004::order"),
            "{annotation}"
        );
        let log: Value = serde_json::from_str(&render(&findings(), Format::Sarif, false)).unwrap();
        let result = &log["runs"][0]["results"][0];
        assert_eq!(result["ruleId"], "DSM004");
        assert_eq!(
            result["locations"][0]["physicalLocation"]["region"]["startColumn"],
            13
        );
    }

    #[test]
    fn a_very_long_line_is_cut_around_the_place() {
        let file = SourceFile::new("f", format!("{}X{}", "é".repeat(5000), "y".repeat(5000)));
        let mut findings = Diagnostics::new();
        findings.push(Diagnostic::new(Code::OrderInvalid, "m", "h").at(&file, 10000..10001, ""));
        let text = render(&findings, Format::Human, false);
        assert!(text.len() < 2000, "{}", text.len());
        assert!(text.contains('X'));
    }
}
