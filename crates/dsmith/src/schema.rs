//! `dsmith schema`.

use crate::Exit;
use authoring::schema;
use clap::{Args, ValueEnum};
use std::io::Write;

pub(crate) const EXAMPLES: &str = "Examples:
  dsmith schema lsx > lsx.xsd
  dsmith schema lsx-dsmith > lsx-dsmith.xsd
  dsmith schema manifest > manifest.schema.json

docs/editor.md says how an editor uses them.

Exit codes:
  0   written
  64  the command line is wrong";

#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// Which one.
    #[arg(value_enum)]
    name: Name,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// The XML schema of extension.xml.
    Lsx,
    /// The XML schema of the attributes that are dsmith's own, which the other one imports.
    LsxDsmith,
    /// The JSON Schema of manifest.toml.
    Manifest,
}

pub(crate) fn run(args: &SchemaArgs) -> anyhow::Result<Exit> {
    let text = match args.name {
        Name::Lsx => schema::extension(),
        Name::LsxDsmith => schema::ours(),
        Name::Manifest => schema::manifest(),
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(Exit::Success)
}
