//! A run whose configuration changes: each log source of the configuration is on the board, is opened again and again where
//! it cannot be opened, and goes from the board with the configuration.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

use dsm::Mapping;
use dsm::diagnostic::SourceFile;
use pipeline::config::{self, Config};
use pipeline::exposition::{metrics, not_ready};
use pipeline::metrics::{Board, NO_LANE};
use pipeline::runner::{Loader, Mappings, Plan, Report, Run, RunError, RunOptions, Signals};
use pipeline::store::{Limits, Store};
use protocol::clock::{Clock, SystemClock};
use protocol::secret::{Secret, SecretError, SecretRef, Secrets};
use protocol::status::{LaneStatus, State};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything here takes on a slow machine.
const LONG: Duration = Duration::from_secs(60);

const BASE: &str =
    "state_directory = \"state\"\n[[destination]]\nname = \"out\"\ntype = \"stdout\"\n";

/// A log source that asks a server, with a secret.
fn source(identifier: &str, server: SocketAddr) -> String {
    format!(
        "[[log_source]]\nidentifier = \"{identifier}\"\ntype = \"microsoft-365-defender\"\n\
         protocol = \"microsoft-graph-security\"\ndestinations = [\"out\"]\n[log_source.parameters]\n\
         tenant_id = \"3b1d1cbc-6f1e-4a3c-9a53-0c7c1e5d8f10\"\nclient_id = \"8c0f4b52-94a5-4d3e-8f6a-2a9c1b7e4d21\"\n\
         client_secret = {{ env = \"{identifier}\" }}\nendpoint_override = \"http://{server}\"\n"
    )
}

/// One that reads a file that is not there.
fn file(identifier: &str) -> String {
    format!(
        "[[log_source]]\nidentifier = \"{identifier}\"\ntype = \"example-vpn\"\nprotocol = \"file\"\n\
         destinations = [\"out\"]\nparameters = {{ path = \"/nowhere/{identifier}.log\" }}\n"
    )
}

#[derive(Debug)]
struct NoMappings;

impl Mappings for NoMappings {
    fn mapping(&self, _slug: &str) -> Option<&Mapping> {
        None
    }
}

fn config(text: &str) -> Config {
    let file = SourceFile::new("dsmith.toml", format!("{BASE}{text}"));
    let (config, found) = config::read(&file, Path::new("/"));
    assert!(!found.has_errors(), "{found:?}");
    config
}

fn plan(text: &str) -> Plan {
    Plan {
        config: config(text),
        mappings: Box::new(NoMappings),
    }
}

/// Secrets of which some cannot be had so and so often.
#[derive(Debug, Default)]
struct Rare {
    /// How often it is refused yet, of the log source `late`.
    refusals: AtomicU32,
}

impl Secrets for Rare {
    fn resolve(&self, reference: &SecretRef) -> Result<Secret, SecretError> {
        let take_one = |left: u32| left.checked_sub(1);
        let order = Ordering::Relaxed;
        if *reference == SecretRef::Env("late".to_owned())
            && self.refusals.fetch_update(order, order, take_one).is_ok()
        {
            return Err(SecretError::Missing(reference.clone()));
        }
        Ok(Secret::new("hunter2-hunter2"))
    }
}

/// A run in a thread.
struct Running {
    dir: tempfile::TempDir,
    board: Arc<Board>,
    store: Arc<Store>,
    signals: Signals,
    secrets: Arc<Rare>,
    /// What the next reload finds; a panic where there is nothing.
    next: Arc<Mutex<Vec<String>>>,
    thread: Option<thread::JoinHandle<Result<Report, RunError>>>,
}

impl Running {
    fn start(text: &str) -> Self {
        Self::start_with(text, |_| {})
    }

    /// The same with a state in which something has been done before.
    fn start_with(text: &str, before: impl FnOnce(&Self)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let limits = Limits {
            free: 0,
            ..Limits::default()
        };
        let store = Arc::new(Store::open(dir.path(), limits).unwrap());
        let mut running = Self {
            dir,
            board: Arc::default(),
            store,
            signals: Signals::default(),
            secrets: Arc::default(),
            next: Arc::default(),
            thread: None,
        };
        before(&running);
        let (board, store) = (Arc::clone(&running.board), Arc::clone(&running.store));
        let (signals, secrets) = (running.signals.clone(), Arc::clone(&running.secrets));
        let next = Arc::clone(&running.next);
        let first = plan(text);
        running.thread = Some(thread::spawn(move || {
            let run = Run {
                store,
                board,
                clock: Arc::new(SystemClock),
                secrets: &*secrets,
                options: RunOptions {
                    once: None,
                    drain: Duration::from_millis(200),
                    seed: 1,
                },
                signals,
            };
            let loader: Loader = Arc::new(move || {
                let text = next.lock().unwrap().pop();
                let Some(text) = text else {
                    panic!("the loader has a fault")
                };
                Some(plan(&text))
            });
            run.run(first, &loader)
        }));
        running
    }

    fn reload(&self, text: &str) {
        self.next.lock().unwrap().push(text.to_owned());
        self.signals.reload.store(true, Ordering::Relaxed);
    }

    fn rows(&self, log_source: &str) -> Vec<(String, LaneStatus)> {
        let rows = self.board.lanes().into_iter();
        rows.filter(|(id, _)| id.log_source == log_source)
            .map(|(id, status)| (id.lane, status))
            .collect()
    }

    fn metrics(&self) -> String {
        metrics(&self.board, &self.store, SystemClock.now()).unwrap()
    }

    #[track_caller]
    fn wait_until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !is_so(self) {
            assert!(
                begun.elapsed() < LONG,
                "no {what}: {:?}",
                self.board.lanes()
            );
            assert!(!self.thread.as_ref().unwrap().is_finished(), "it has ended");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// A thread that has lost its connection says so at once, if it does.
    #[track_caller]
    fn stays_removed(&self, log_source: &str) {
        for _ in 0..50 {
            assert!(self.rows(log_source).is_empty());
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn end(mut self) -> Report {
        self.signals.terminate.store(true, Ordering::Relaxed);
        let report = self.thread.take().unwrap().join().unwrap().unwrap();
        drop(self.dir);
        report
    }
}

fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

#[test]
fn a_log_source_that_cannot_be_opened_is_shown_and_opened_as_soon_as_it_can_be() {
    let running = Running::start(&file("first"));
    running.wait_until("first lane", |run| {
        run.rows("first")[..]
            .first()
            .is_some_and(|row| row.0 == "file")
    });
    running.secrets.refusals.store(2, Ordering::Relaxed);
    // Once more for the comparison of secrets, which asks for them too.
    running.reload(&(file("first") + &source("late", nobody())));
    running.wait_until("refusal", |run| {
        run.rows("late").first().is_some_and(|(lane, status)| {
            lane == NO_LANE
                && status.state == State::Error
                && status.message.contains("cannot be opened")
                && status.message.contains("client_secret")
                && status.remedy.is_some()
        })
    });
    let reasons = not_ready(&running.board);
    assert!(
        reasons
            .iter()
            .any(|reason| reason.contains("late/-: it cannot be opened")),
        "{reasons:?}"
    );
    let text = running.metrics();
    assert!(
        text.contains("dsmith_lane_state{log_source=\"late\",lane=\"-\"} 3"),
        "{text}"
    );
    assert!(
        text.contains("dsmith_last_success_age_seconds{log_source=\"late\",lane=\"-\"}"),
        "{text}"
    );
    running.wait_until("lane", |run| {
        let rows = run.rows("late");
        rows.len() == 1 && rows[0].0 == "alerts"
    });
    assert_eq!(running.secrets.refusals.load(Ordering::Relaxed), 0);
    running.wait_until("request", |run| run.rows("late")[0].1.requests > 0);
    running.end();
}

/// Leaves a position of a file that a later version has written.
fn leave_a_newer_position(store: &Store, log_source: &str) {
    let source = store.source(log_source).unwrap();
    let (nothing, now) = (&[][..] as &[&[u8]], SystemClock.now());
    let cursor = "{\"version\":99,\"position\":{}}";
    store
        .accept(source, "file", nothing, Some(cursor), now)
        .unwrap();
}

#[test]
fn at_the_start_a_log_source_that_cannot_be_opened_is_shown_and_the_others_collect() {
    let all = file("first") + &file("newer") + &source("server", nobody());
    let running = Running::start_with(&all, |run| leave_a_newer_position(&run.store, "newer"));
    running.wait_until("lanes of the others", |run| {
        let is_first =
            |rows: &[(String, LaneStatus)]| rows.first().is_some_and(|row| row.0 == "file");
        let has_asked =
            |rows: &[(String, LaneStatus)]| rows.first().is_some_and(|row| row.1.requests > 0);
        is_first(&run.rows("first")) && has_asked(&run.rows("server"))
    });
    running.wait_until("refusal", |run| {
        let rows = run.rows("newer");
        rows.len() == 1
            && rows[0].0 == NO_LANE
            && rows[0].1.state == State::Error
            && rows[0].1.message.contains("cannot be opened")
            && rows[0].1.message.contains("99")
    });
    let reasons = not_ready(&running.board);
    assert!(
        reasons.iter().any(|reason| reason.contains("newer/-")),
        "{reasons:?}"
    );
    // It is opened as soon as it can be.
    let read = "{\"version\":2,\"position\":{\"files\":[]}}";
    let source = running.store.source("newer").unwrap();
    let (nothing, now) = (&[][..] as &[&[u8]], SystemClock.now());
    running
        .store
        .accept(source, "file", nothing, Some(read), now)
        .unwrap();
    running.wait_until("lane", |run| {
        let rows = run.rows("newer");
        rows.first().is_some_and(|row| row.0 == "file")
    });
    running.end();
}

#[test]
fn at_the_start_what_is_wrong_with_the_configuration_refuses_the_run() {
    let all = file("first") + &source("late", nobody());
    let running = Running::start_with(&all, |run| run.secrets.refusals.store(1, Ordering::Relaxed));
    let ended = running.thread.unwrap().join().unwrap();
    let error = ended.unwrap_err().to_string();
    assert!(
        error.contains("log source `late`") && error.contains("client_secret"),
        "{error}"
    );
}

#[test]
fn every_log_source_of_the_configuration_has_a_row_until_it_is_removed() {
    let disabled = file("asleep").replace("protocol", "enabled = false\nprotocol");
    let gateway = "[[log_source]]\nidentifier = \"behind\"\ntype = \"example-vpn\"\nprotocol = \"gateway\"\ndestinations = [\"out\"]\n";
    let all = file("first") + &disabled + gateway;
    let running = Running::start(&all);
    let states = |run: &Running| {
        let rows = run.board.lanes().into_iter();
        rows.map(|(id, status)| (id.to_string(), status.state))
            .collect::<Vec<_>>()
    };
    let expected = |first| {
        [
            ("asleep/-", State::NotAvailable),
            ("behind/-", State::NotAvailable),
            ("first/file", first),
        ]
        .map(|(id, state)| (id.to_owned(), state))
        .to_vec()
    };
    running.wait_until("rows", |run| states(run) == expected(State::Warn));
    // Neither is a reason for an alarm.
    assert!(
        not_ready(&running.board).is_empty(),
        "{:?}",
        not_ready(&running.board)
    );
    assert!(
        !running
            .metrics()
            .contains("age_seconds{log_source=\"asleep\"")
    );
    running.reload(&all.replace("enabled = false", "enabled = true"));
    running.wait_until("its lane", |run| run.rows("asleep")[0].0 == "file");
    running.reload(&all);
    running.wait_until("its row", |run| run.rows("asleep")[0].0 == NO_LANE);
    running.reload(&disabled);
    running.wait_until("removal", |run| states(run).len() == 1);
    running.end();
}

#[test]
fn a_log_source_that_is_removed_while_it_waits_for_an_answer_does_not_come_back_to_the_board() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = listener.local_addr().unwrap();
    let running = Running::start(&(file("first") + &source("slow", server)));
    // It waits for an answer now.
    let (asking, _) = listener.accept().unwrap();
    running.reload(&file("first"));
    running.wait_until("removal", |run| run.rows("slow").is_empty());
    drop(asking);
    drop(listener);
    running.stays_removed("slow");
    // Under the same name it begins again when the old one has ended, so this shows that it has.
    running.reload(&(file("first") + &source("slow", nobody())));
    running.wait_until("return", |run| {
        run.rows("slow")
            .first()
            .is_some_and(|(_, status)| status.requests > 0)
    });
    running.reload(&file("first"));
    running.wait_until("removal", |run| run.rows("slow").is_empty());
    running.stays_removed("slow");
    running.end();
}

#[test]
fn a_lane_that_is_not_configured_any_more_goes_from_the_board() {
    let siem = |regions: &str| {
        source("contoso", nobody())
            .replace("microsoft-graph-security", "microsoft-defender-endpoint-siem")
            .replace(
                "tenant_id = \"3b1d1cbc-6f1e-4a3c-9a53-0c7c1e5d8f10\"",
                &format!(
                    "authorization_server_url = \"https://login.microsoftonline.com/3b1d1cbc-6f1e-4a3c-9a53-0c7c1e5d8f10/oauth2/token\"\nregion = {regions}"
                ),
            )
    };
    let running = Running::start(&siem("[\"eu\", \"us\"]"));
    running.wait_until("two lanes", |run| run.rows("contoso").len() == 2);
    running.reload(&siem("[\"us\"]"));
    running.wait_until("one lane", |run| {
        let rows = run.rows("contoso");
        rows.len() == 1 && rows[0].0 == "us" && rows[0].1.requests > 0
    });
    running.end();
}

#[test]
fn a_loader_that_panics_leaves_the_old_configuration_in_force_and_the_next_reload_works() {
    let running = Running::start(&file("first"));
    running.wait_until("first lane", |run| {
        run.rows("first").first().is_some_and(|row| row.0 == "file")
    });
    for _ in 0..3 {
        // There is nothing to load.
        running.signals.reload.store(true, Ordering::Relaxed);
        running.wait_until("attempt", |run| !run.signals.reload.load(Ordering::Relaxed));
    }
    running.reload(&(file("first") + &file("second")));
    running.wait_until("second lane", |run| !run.rows("second").is_empty());
    assert_eq!(running.rows("first")[0].0, "file");
    running.end();
}
