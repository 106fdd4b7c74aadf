//! Declarations as the tables of a reference page in Markdown.

use crate::key::{Key, Takes};
use std::fmt::Write as _;

/// A table of these keys. There is a column for QRadar's labels if one of the keys has one.
#[must_use]
pub fn table(keys: &[Key]) -> String {
    let has_labels = keys.iter().any(|key| key.label.is_some());
    let (title, line) = if has_labels {
        ("In QRadar | ", "---|")
    } else {
        ("", "")
    };
    let mut out = format!(
        "| Key | {title}Takes | Required | Default | Meaning |\n|---|{line}---|---|---|---|\n"
    );
    for key in keys {
        let label = if has_labels {
            format!("{} | ", key.label.unwrap_or_default())
        } else {
            String::new()
        };
        let default = key
            .default
            .map_or_else(String::new, |default| format!("`{default}`"));
        let _ = writeln!(
            out,
            "| `{}` | {label}{} | {} | {default} | {} |",
            key.name,
            cell(&key.takes()),
            cell(&key.requirement()),
            cell(&key.explanation())
        );
    }
    out
}

/// Sections with these keys and those of all tables within.
#[must_use]
pub fn sections(title: &str, keys: &[Key]) -> String {
    let mut out = format!("\n## {title}\n\n{}", table(keys));
    within(&mut out, "", keys);
    out
}

fn within(out: &mut String, path: &str, keys: &[Key]) {
    for key in keys {
        let name = format!("{path}{}", key.name);
        let (title, keys) = match key.takes {
            Takes::Table(keys) => (format!("`[{name}]`"), keys),
            Takes::Tables(keys) => (format!("`[[{name}]]`"), keys),
            _ => continue,
        };
        let _ = write!(out, "\n## {title}\n\n{}", table(keys));
        within(out, &format!("{name}."), keys);
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}
