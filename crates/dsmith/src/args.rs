//! What can be said on the command line.

use chrono::{DateTime, Utc};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::num::NonZeroUsize;
use std::path::PathBuf;

const EXAMPLES_AND_EXIT_CODES: &str = "Examples:
  dsmith parse --type microsoft-365-defender alerts.ndjson
  dsmith parse --explain alerts.ndjson
  dsmith check dsm-mappings/acme
  dsmith lint acme
  dsmith export acme --to qradar --out acme-for-qradar
  dsmith check-config -c dsmith.toml

Exit codes:
  0   everything was done
  1   a mapping has errors, or some of the input is broken or could not be
      read or written; all other events came out
  2   --strict: an event is not mapped
  64  the command line is wrong";

/// Normalize security events with QRadar log source extensions, offline.
#[derive(Debug, Parser)]
#[command(version, about, after_help = EXAMPLES_AND_EXIT_CODES, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// When to use colours; NO_COLOR is respected.
    #[arg(long = "color", value_name = "WHEN", value_enum, default_value_t = Colour::Auto, global = true, display_order = 100)]
    pub(crate) colour: Colour,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    Auto,
    Always,
    Never,
}

impl Colour {
    pub(crate) fn write_global(self) {
        match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        }
        .write_global();
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Turn raw payloads into normalized events.
    #[command(after_help = PARSE_EXAMPLES)]
    Parse(ParseArgs),
    /// Check mappings, or a bare extension, and report every fault.
    #[command(after_help = CHECK_EXAMPLES)]
    Check(CheckArgs),
    /// Find what works in a mapping, and is slow, dead, misleading or lost on the way to QRadar.
    #[command(after_help = crate::lint::EXAMPLES)]
    Lint(crate::lint::LintArgs),
    /// Write a mapping in the forms that QRadar takes, and list what is lost.
    #[command(after_help = crate::export::EXAMPLES)]
    Export(crate::export::ExportArgs),
    /// Make a mapping folder of an extension, a QID map and custom properties of QRadar.
    #[command(after_help = crate::import::EXAMPLES)]
    Import(crate::import::ImportArgs),
    /// Print the schemas by which an editor completes and checks mapping files.
    #[command(after_help = crate::schema::EXAMPLES)]
    Schema(crate::schema::SchemaArgs),
    /// The protocols that fetch payloads, and their parameters.
    #[command(after_help = PROTOCOL_EXAMPLES)]
    Protocol(ProtocolArgs),
    /// Check the configuration of a run and report every fault.
    #[command(after_help = CHECK_CONFIG_EXAMPLES)]
    CheckConfig(CheckConfigArgs),
}

const CHECK_CONFIG_EXAMPLES: &str = "Examples:
  dsmith check-config -c /etc/dsmith/dsmith.toml
  dsmith check-config -c dsmith.toml --format github

Nothing is collected, sent or connected to. A secret or a file that is missing
here is a warning, because it may be there where the configuration is used.

Exit codes:
  0   no errors (there may be warnings)
  1   errors
  64  the command line is wrong";

#[derive(Debug, Args)]
pub(crate) struct CheckConfigArgs {
    /// The configuration.
    #[arg(
        long = "config",
        short = 'c',
        value_name = "FILE",
        default_value = "dsmith.toml"
    )]
    pub(crate) config: PathBuf,
    /// How findings are shown.
    #[arg(long, short = 'f', value_enum, default_value_t = CheckFormat::Human)]
    pub(crate) format: CheckFormat,
}

const PARSE_EXAMPLES: &str = "Examples:
  dsmith parse --type microsoft-365-defender alerts.ndjson
  curl -s https://api.example.com/alerts | dsmith parse --format json
  dsmith parse --lsx exported.xml --explain syslog.log

The input may be NDJSON, JSON objects over several lines, a JSON array, an API
envelope ({\"value\":[…]} or {\"records\":[…]}), or lines of text; which one is
found out. Folders are walked: hidden files, snapshots and links to folders are
passed over; compressed and binary files are reported, not read.

Exit codes:
  0   everything was done
  1   a mapping has errors, or some of the input is broken or could not be
      read; all other events came out
  2   --strict: an event is not mapped
  64  the command line is wrong";

const CHECK_EXAMPLES: &str = "Examples:
  dsmith check                          all mappings in ./dsm-mappings
  dsmith check dsm-mappings/acme        one mapping folder
  dsmith check exported.xml             a bare extension
  dsmith check --format github          annotations for a pull request

Exit codes:
  0   no errors (there may be warnings)
  1   errors
  64  the command line is wrong";

const PROTOCOL_EXAMPLES: &str = "Examples:
  dsmith protocol list
  dsmith protocol show syslog
  dsmith protocol show syslog --format schema    as JSON Schema

Exit codes:
  0   everything was done
  64  the command line is wrong";

#[derive(Debug, Args)]
pub(crate) struct ParseArgs {
    /// Files or folders with payloads; `-` or nothing reads standard input.
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Log source type; without it each payload is recognised by the autodetection rules.
    #[arg(long = "type", short = 't', value_name = "SLUG")]
    pub(crate) slug: Option<String>,
    /// Use a bare log source extension: no manifest, no QID map.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["slug", "mappings"])]
    pub(crate) lsx: Option<PathBuf>,
    /// Folder with mapping folders, instead of the ones in this program.
    #[arg(long, value_name = "DIR")]
    pub(crate) mappings: Option<PathBuf>,
    /// What to write.
    #[arg(long, short = 'f', value_enum, default_value_t = Format::Leef)]
    pub(crate) format: Format,
    /// Show for one event where each property came from and which candidates failed.
    #[arg(long)]
    pub(crate) explain: bool,
    /// Which event to explain, counted from 1.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "explain", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) event: u64,
    /// Exit with 2 if an event is not mapped.
    #[arg(long)]
    pub(crate) strict: bool,
    /// How the input is split into payloads.
    #[arg(long, value_enum, default_value_t = FramingArg::Auto)]
    pub(crate) framing: FramingArg,
    /// Payloads of more bytes are left out and reported.
    #[arg(long, value_name = "BYTES", default_value_t = dsm::framing::DEFAULT_LIMIT)]
    pub(crate) max_payload: usize,
    /// LEEF: what becomes of characters that the format cannot carry.
    #[arg(long, value_enum, default_value_t = SubstitutionArg::Space)]
    pub(crate) substitution: SubstitutionArg,
    /// LEEF: longest event; attributes that do not fit are left out whole, and the event says so.
    #[arg(long, value_name = "BYTES")]
    pub(crate) max_event: Option<usize>,
    /// LEEF 2.0: what stands between attributes.
    #[arg(long, value_name = "CHARACTER", default_value_t = '^')]
    pub(crate) delimiter: char,
    /// Time of receipt, for device times without a year; now if it is not given.
    #[arg(long, value_name = "RFC3339")]
    pub(crate) received: Option<DateTime<Utc>>,
    /// How many threads normalize; as many as there are cores, if it is not given. The output is the same.
    #[arg(long, value_name = "N", value_parser = threads)]
    pub(crate) threads: Option<NonZeroUsize>,
    /// No summary and no progress.
    #[arg(long, short = 'q')]
    pub(crate) quiet: bool,
}

/// More threads than any machine has cores are a slip of the pen.
fn threads(text: &str) -> Result<NonZeroUsize, String> {
    let number = text.parse().ok().and_then(NonZeroUsize::new);
    number
        .filter(|number| number.get() <= 1024)
        .ok_or_else(|| "it is a number from 1 to 1024".to_owned())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// LEEF 1.0, the form that every reader takes.
    Leef,
    /// LEEF 1.0.
    Leef1,
    /// LEEF 2.0.
    Leef2,
    /// CEF.
    Cef,
    /// One JSON object a line.
    Json,
    /// Columns for people.
    Table,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FramingArg {
    /// Find out.
    Auto,
    /// Each line is a payload.
    Lines,
    /// Each file is a payload.
    Whole,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SubstitutionArg {
    /// A blank instead.
    Space,
    /// Nothing instead.
    Drop,
    /// The bytes as %XX.
    Percent,
    /// The event is refused.
    Fail,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Mapping folders, folders of mapping folders, or extensions (*.xml).
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// How findings are shown.
    #[arg(long, short = 'f', value_enum, default_value_t = CheckFormat::Human)]
    pub(crate) format: CheckFormat,
}

/// How a command shows what it has to say beside its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shown {
    /// Text for people.
    Human,
    /// JSON, an object a line.
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CheckFormat {
    /// With the source underlined.
    Human,
    /// One JSON object a line.
    Json,
    /// GitHub workflow commands.
    Github,
    /// SARIF 2.1.0.
    Sarif,
}

#[derive(Debug, Args)]
pub(crate) struct ProtocolArgs {
    #[command(subcommand)]
    pub(crate) command: ProtocolCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProtocolCommand {
    /// List the protocols.
    #[command(after_help = "Example:\n  dsmith protocol list")]
    List,
    /// Show one protocol and its parameters.
    #[command(
        after_help = "Examples:\n  dsmith protocol show microsoft-graph-security\n  dsmith protocol show syslog --format schema"
    )]
    Show {
        /// Its name, as `dsmith protocol list` shows it.
        #[arg(value_name = "NAME")]
        name: String,
        /// How it is shown.
        #[arg(long, short = 'f', value_enum, default_value_t = ProtocolFormat::Human)]
        format: ProtocolFormat,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProtocolFormat {
    /// Text for people.
    Human,
    /// JSON Schema of the parameters.
    Schema,
}
