//! The simulator as a program, for a look with `curl` and for system tests.

use clap::Parser;
use simulator::{Feed, Scenario, Simulator};
use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Play Microsoft's sign-in service and alert interfaces on this machine.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Example:
  simulator --listen 127.0.0.1:8080 --scenario outage.toml
  curl -s http://127.0.0.1:8080/_simulator/progress

It runs until it is killed. Without a scenario there are 1000 alerts of the last
hour in each interface, and 600 more in each hour."
)]
struct Cli {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// What to play.
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<(), Box<dyn Error>> {
    let scenario = match &cli.scenario {
        Some(path) => {
            let place = path.display();
            let text = std::fs::read_to_string(path)
                .map_err(|error| format!("cannot read {place}: {error}"))?;
            Scenario::read(&text).map_err(|error| format!("{place}: {error}"))?
        }
        None => Scenario {
            feeds: [
                Feed::siem("eu"),
                Feed::siem("us"),
                Feed::mde(),
                Feed::graph(),
            ]
            .map(|feed| Feed {
                per_hour: 600,
                ..feed.backlog(1000, Duration::from_secs(3600))
            })
            .into(),
            ..Scenario::default()
        },
    };
    let client = scenario.clients.first().cloned();
    let simulator = Simulator::start_on(cli.listen, scenario)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "listening on {}", simulator.url())?;
    if let Some(client) = client {
        writeln!(out, "tenant        {}", client.tenant)?;
        writeln!(out, "client id     {}", client.id)?;
        writeln!(out, "client secret {}", client.secret)?;
    }
    out.flush()?;
    drop(out);
    loop {
        std::thread::park();
    }
}
