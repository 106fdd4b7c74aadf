//! `dsmith protocol list` and `dsmith protocol show`.

use crate::args::{ProtocolArgs, ProtocolCommand, ProtocolFormat};
use crate::{Exit, UsageError, terminal};
use protocol::Protocol;
use protocol::protocols::{REGISTRY, find, suggest};
use settings::schema;
use std::fmt::Write as _;
use std::io::Write as _;

/// Longer lines are hard to read.
const MAX_WIDTH: usize = 100;

pub(crate) fn run(args: &ProtocolArgs) -> anyhow::Result<Exit> {
    let text = match &args.command {
        ProtocolCommand::List => list(),
        ProtocolCommand::Show { name, format } => {
            let Some(protocol) = find(name) else {
                return Err(UsageError(format!(
                    "there is no protocol `{name}`: {}",
                    suggest(name)
                ))
                .into());
            };
            match format {
                ProtocolFormat::Human => show(protocol, terminal::reading_width().min(MAX_WIDTH)),
                ProtocolFormat::Schema => format!("{:#}\n", schema::object(protocol.parameters())),
            }
        }
    };
    anstream::stdout().write_all(text.as_bytes())?;
    Ok(Exit::Success)
}

fn list() -> String {
    let width = REGISTRY
        .iter()
        .map(|protocol| protocol.name().len())
        .max()
        .unwrap_or_default();
    let mut out = String::new();
    for protocol in REGISTRY {
        let deprecated = if protocol.deprecation().is_some() {
            " (deprecated)"
        } else {
            ""
        };
        let _ = writeln!(
            out,
            "{:width$}  {}{deprecated}",
            protocol.name(),
            protocol.title()
        );
    }
    out
}

fn show(protocol: &dyn Protocol, width: usize) -> String {
    let mut out = format!("{}\n{}\n\n", bold(protocol.name()), protocol.title());
    wrap(&mut out, protocol.description(), "", width);
    if let Some(deprecation) = protocol.deprecation() {
        out.push('\n');
        let text = format!("Deprecated: {}", protocol::reference::in_words(deprecation));
        wrap(&mut out, &text, "", width);
    }
    for key in protocol.parameters() {
        let label = key.label.unwrap_or("QRadar has no such parameter");
        let _ = write!(out, "\n{}  {label}\n", bold(key.name));
        wrap(&mut out, &key.explanation(), "    ", width);
        wrap(&mut out, &format!("takes: {}", key.takes()), "    ", width);
        let (what, value) = match key.default {
            Some(default) => ("default", default.to_owned()),
            None => ("required", key.requirement()),
        };
        wrap(&mut out, &format!("{what}: {value}"), "    ", width);
    }
    out
}

/// Bold, where that would be seen: what is written goes through a stream that knows.
fn bold(text: &str) -> String {
    format!("\x1b[1m{text}\x1b[0m")
}

/// Writes a text in lines of at most so many columns, each with an indent.
fn wrap(out: &mut String, text: &str, indent: &str, width: usize) {
    let mut column = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > width {
            out.push('\n');
            column = 0;
        }
        if column == 0 {
            out.push_str(indent);
            column = indent.len();
        } else {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out.push('\n');
}
