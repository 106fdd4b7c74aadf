//! What can be said on the command line.

use crate::anonymize::AnonymizeArgs;
use crate::census::CensusArgs;
use crate::coverage::CoverageArgs;
use crate::diff::DiffArgs;
use crate::explain::ExplainArgs;
use crate::export::ExportArgs;
use crate::import::ImportArgs;
use crate::lint::LintArgs;
use crate::new::NewArgs;
use crate::schema::SchemaArgs;
use crate::test::TestArgs;
use chrono::{DateTime, Utc};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

const EXAMPLES_AND_EXIT_CODES: &str = "Examples:
  dsmith parse --type microsoft-365-defender alerts.ndjson
  dsmith parse --explain alerts.ndjson
  dsmith check dsm-mappings/acme
  dsmith lint acme
  dsmith test acme
  dsmith coverage acme --min 95
  dsmith diff HEAD dsm-mappings/acme
  dsmith census acme --corpus logs/
  dsmith export acme --to qradar --out acme-for-qradar
  dsmith explain DSM007
  dsmith run -c dsmith.toml

Exit codes:
  0   everything was done
  1   a mapping or a configuration has errors, a test fails, or something is
      broken or could not be read, written or delivered; everything else was
      done
  2   parse --strict: an event is not mapped
  64  the command line is wrong

dsmith COMMAND --help says more about each.";

/// Collect security events, normalize them with QRadar log source extensions, and deliver them.
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
    /// See the whole way from Microsoft's interfaces to LEEF, with a simulator in Microsoft's place.
    #[command(after_help = DEMO_EXAMPLES)]
    Demo(DemoArgs),
    /// Turn raw payloads into normalized events.
    #[command(after_help = PARSE_EXAMPLES)]
    Parse(ParseArgs),
    /// Make a mapping folder from samples, or around an extension, with fixtures.
    #[command(after_help = crate::new::EXAMPLES)]
    New(NewArgs),
    /// Check mappings, or a bare extension, and report every fault.
    #[command(after_help = CHECK_EXAMPLES)]
    Check(CheckArgs),
    /// Find what works in a mapping, and is slow, dead, misleading or lost on the way to QRadar.
    #[command(after_help = crate::lint::EXAMPLES)]
    Lint(LintArgs),
    /// Run the fixtures of mappings and compare with their snapshots.
    #[command(after_help = crate::test::EXAMPLES)]
    Test(TestArgs),
    /// Measure which branches of a mapping its fixtures reach.
    #[command(after_help = crate::coverage::EXAMPLES)]
    Coverage(CoverageArgs),
    /// Tell which events another version of a mapping changes.
    #[command(after_help = crate::diff::EXAMPLES)]
    Diff(DiffArgs),
    /// Count what a corpus holds that the mapping or the fixtures do not know.
    #[command(after_help = crate::census::EXAMPLES)]
    Census(CensusArgs),
    /// Write a mapping in the forms that QRadar takes, and list what is lost.
    #[command(after_help = crate::export::EXAMPLES)]
    Export(ExportArgs),
    /// Make a mapping folder of an extension, a QID map and custom properties of QRadar.
    #[command(after_help = crate::import::EXAMPLES)]
    Import(ImportArgs),
    /// Print the schemas by which an editor completes and checks mapping files.
    #[command(after_help = crate::schema::EXAMPLES)]
    Schema(SchemaArgs),
    /// Replace what names people, machines and networks, so that a payload can be a fixture.
    #[command(after_help = crate::anonymize::EXAMPLES)]
    Anonymize(AnonymizeArgs),
    /// The language server for mapping folders.
    #[command(after_help = crate::lsp::EXAMPLES)]
    Lsp,
    /// Explain diagnostic codes.
    #[command(after_help = crate::explain::EXAMPLES)]
    Explain(ExplainArgs),
    /// Check the configuration of a run and report every fault.
    #[command(after_help = CHECK_CONFIG_EXAMPLES)]
    CheckConfig(CheckConfigArgs),
    /// Test a log source: name, connection, TLS, token, one page.
    #[command(after_help = TEST_SOURCE_EXAMPLES)]
    TestSource(TestSourceArgs),
    /// Collect from log sources, normalize, and deliver to destinations.
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunArgs),
    /// Show how the log sources and destinations of a configuration are doing.
    #[command(after_help = STATUS_EXAMPLES)]
    Status(StatusArgs),
    /// The protocols that fetch payloads, and their parameters.
    #[command(after_help = PROTOCOL_EXAMPLES)]
    Protocol(ProtocolArgs),
}

const RUN_EXAMPLES: &str = "Examples:
  dsmith run -c /etc/dsmith/dsmith.toml
  dsmith run -c dsmith.toml --once      read what there is, deliver it, end
  dsmith run -c dsmith.toml --once --once-patience 30s
  dsmith run -c dsmith.toml --state-directory state-2 --metrics 127.0.0.1:9465

What was collected waits in the state directory until its destinations have
accepted it; a crash loses nothing. SIGTERM and SIGINT end the run within 30
seconds, SIGHUP reads the configuration and the mappings again and keeps the old
ones if the new ones have errors.

--once ends with 0 only if everything that was there was read and delivered.
Otherwise it ends with 1 and a table of what is missing and why. A listener such
as syslog has no end, so --once refuses it.

Exit codes:
  0   it was told to end; --once: everything was read and delivered
  1   it cannot run; --once: something was not read or not delivered
  64  the command line is wrong, or --once is used with a listener or a group";

const STATUS_EXAMPLES: &str = "Examples:
  dsmith status -c /etc/dsmith/dsmith.toml

It reads the state directory, whether a process runs or not.

Exit codes:
  0   there is a state, and it is shown
  1   there is none, or it cannot be read
  64  the command line is wrong";

#[derive(Debug, Clone, Args)]
pub(crate) struct ConfigFile {
    /// The configuration.
    #[arg(
        long = "config",
        short = 'c',
        value_name = "FILE",
        default_value = "dsmith.toml"
    )]
    pub(crate) path: PathBuf,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    /// The state directory, instead of that in the configuration: processes that share one need one each.
    #[arg(long, value_name = "DIR")]
    pub(crate) state_directory: Option<PathBuf>,
    /// Where metrics are served, instead of the address in the configuration.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) metrics: Option<SocketAddr>,
    /// Read everything that there is once, deliver it, and end.
    #[arg(long)]
    pub(crate) once: bool,
    /// With --once: how long a log source or a destination may get no further before it is given up.
    #[arg(long, value_name = "DURATION", default_value = "5m", requires = "once", value_parser = duration)]
    pub(crate) once_patience: Duration,
    /// Give up the events of a log source that wait for a destination it no longer has.
    #[arg(long, value_name = "LOG_SOURCE/DESTINATION")]
    pub(crate) forget: Vec<String>,
    /// Give up events that are missing from the state directory, and go on with the others.
    #[arg(long)]
    pub(crate) forget_missing: bool,
}

/// A number with a unit: `90s`, `5m`, `2h`.
fn duration(text: &str) -> Result<Duration, String> {
    let seconds = |unit: &str, factor: u64| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(factor)
    };
    seconds("s", 1)
        .or_else(|| seconds("m", 60))
        .or_else(|| seconds("h", 3600))
        .filter(|seconds| (1..=7 * 24 * 3600).contains(seconds))
        .map(Duration::from_secs)
        .ok_or_else(|| {
            "write a number with a unit, from 1s to 168h, such as 90s, 5m or 2h".to_owned()
        })
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    /// The state directory, instead of that in the configuration: processes that share one need one each.
    #[arg(long, value_name = "DIR")]
    pub(crate) state_directory: Option<PathBuf>,
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
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    /// How findings are shown.
    #[arg(long, short = 'f', value_enum, default_value_t = CheckFormat::Human)]
    pub(crate) format: CheckFormat,
}

const DEMO_EXAMPLES: &str = "Examples:
  dsmith demo
  dsmith demo --dir demo && less demo/events.leef

No network beyond this machine, no set-up. What it writes stays: the
configuration, the events, the state.

Exit codes:
  0   everything there was has been delivered, once
  1   the numbers disagree, or it could not be done
  64  the command line is wrong";

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
  dsmith check --explain                with what each code means
  dsmith check --format github          annotations for a pull request

Exit codes:
  0   no errors (there may be warnings)
  1   errors
  64  the command line is wrong";

const TEST_SOURCE_EXAMPLES: &str = "Example:
  dsmith test-source -c dsmith.toml contoso-defender

Nothing is stored: the page that is read is thrown away, and the next run
collects it. It stops at the first thing that fails.

Exit codes:
  0   everything works
  1   something does not, or the configuration has errors
  64  the command line is wrong, or there is no such log source";

#[derive(Debug, Args)]
pub(crate) struct TestSourceArgs {
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    /// The log source identifier.
    #[arg(value_name = "IDENTIFIER")]
    pub(crate) identifier: String,
}

const PROTOCOL_EXAMPLES: &str = "Examples:
  dsmith protocol list
  dsmith protocol show syslog
  dsmith protocol show syslog --format schema    as JSON Schema

Exit codes:
  0   everything was done
  64  the command line is wrong";

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// A new folder for what it writes; without it one among the temporary files.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

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
    #[arg(long, value_name = "BYTES", default_value_t = framing::DEFAULT_LIMIT)]
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
    /// Explain the code of each finding (for people).
    #[arg(long)]
    pub(crate) explain: bool,
}

/// How a command for authors shows what it found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
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
