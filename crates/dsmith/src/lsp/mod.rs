//! `dsmith lsp`: the language server.
//!
//! One thread has the state and answers; it never waits for anything but messages. A second one reads them. Two more
//! work: one checks the mapping after each change, the other runs lints and fixtures when nobody has typed for a moment.
//! What they find comes back as an event, and is published.

mod answers;
mod folders;
mod place;
mod wire;
mod worker;

use crate::Exit;
use anyhow::Context;
use authoring::language::{self, Checked, Student, Study};
use dsm::diagnostic::SourceFile;
use folders::Folders;
use lsp_server::{ErrorCode, Message, Notification, Request, RequestId, Response};
use lsp_types::{
    CodeActionKind, CodeActionOptions, CodeActionProviderCapability, CodeLensOptions,
    CompletionOptions, DidChangeTextDocumentParams, DidChangeWatchedFilesParams,
    DidCloseTextDocumentParams, DidOpenTextDocumentParams, DidSaveTextDocumentParams,
    ExecuteCommandOptions, HoverProviderCapability, OneOf, PositionEncodingKind,
    PublishDiagnosticsParams, SaveOptions, ServerCapabilities, TextDocumentSyncCapability,
    TextDocumentSyncKind, TextDocumentSyncOptions, TextDocumentSyncSaveOptions, Uri,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;
use wire::Incoming;
use worker::Worker;

pub(crate) const EXAMPLES: &str = "Examples:
  dsmith lsp       started by an editor, which speaks to it over standard input

It reports what check and lint find while you type, shows over a pattern or
matcher what it extracts from each fixture, says over each matcher how many
fixtures it matches, goes from a matcher to its pattern, offers the fixes of
lint, and completes fields, pattern ids and the members of JSON key paths.
Fixtures are looked for beside the folder of the mappings: fixtures/SLUG for
dsm-mappings/SLUG.

Exit codes:
  0   the editor ended it
  1   the editor went away
  64  the command line is wrong";

/// The command behind a lens: its arguments are the URI of the extension and the name of the branch.
const FIXTURES: &str = "dsmith.fixtures";

/// How long nobody may type before lints and fixtures are run.
const QUIET: Duration = Duration::from_millis(150);

/// How many events may wait: a client that writes faster than it is answered has to wait itself.
const WAITING: usize = 8;

/// What the thread with the state is told.
#[derive(Debug)]
enum Event {
    Client(Incoming),
    /// There are no more messages, and why, if that is a fault.
    Ended(Option<io::Error>),
    Checked(PathBuf, u64, Box<Checked>),
    Studied(PathBuf, Arc<Study>),
    /// A thread that works has ended, as none should.
    Broken(&'static str),
}

/// What a check is made of.
#[derive(Debug)]
struct Check {
    change: u64,
    edited: BTreeMap<String, Arc<SourceFile>>,
}

/// What a study is made of.
#[derive(Debug)]
struct Research {
    student: Arc<Mutex<Student>>,
    checked: Arc<Checked>,
}

/// Tells when a thread ends by a panic, so that the editor can start the server again.
struct Watch(&'static str, SyncSender<Event>);

impl Drop for Watch {
    fn drop(&mut self) {
        if thread::panicking() {
            let _ = self.1.send(Event::Broken(self.0));
        }
    }
}

pub(crate) fn run() -> anyhow::Result<Exit> {
    let (events, inbox) = sync_channel(WAITING);
    let to_reader = events.clone();
    thread::Builder::new()
        .name("lsp reader".to_owned())
        .spawn(move || read_all(&to_reader))
        .context("cannot start a thread")?;
    let watch = Watch("check", events.clone());
    let checks = Worker::start("lsp check", Duration::ZERO, move |folder, job: Check| {
        let checked = language::check(folder, &job.edited);
        let _ = watch.1.send(Event::Checked(
            folder.to_owned(),
            job.change,
            Box::new(checked),
        ));
    })
    .context("cannot start a thread")?;
    let watch = Watch("study", events);
    let studies = Worker::start("lsp study", QUIET, move |folder, job: Research| {
        let mut student = job.student.lock().unwrap_or_else(PoisonError::into_inner);
        let study = student.study(folder, &job.checked);
        let _ = watch.1.send(Event::Studied(folder.to_owned(), study));
    })
    .context("cannot start a thread")?;
    let mut server = Server {
        out: BufWriter::new(io::stdout()),
        phase: Phase::New,
        client: Client::default(),
        requests: 0,
        folders: Folders::default(),
        checks,
        studies,
    };
    for event in inbox {
        if let Some(exit) = server.take(event)? {
            return Ok(exit);
        }
    }
    Ok(Exit::Failure)
}

fn read_all(events: &SyncSender<Event>) {
    let _watch = Watch("reader", events.clone());
    let mut input = BufReader::new(io::stdin());
    loop {
        let event = match wire::read(&mut input) {
            Ok(Some(incoming)) => Event::Client(incoming),
            Ok(None) => Event::Ended(None),
            Err(error) => Event::Ended(Some(error)),
        };
        let is_end = matches!(event, Event::Ended(_));
        if events.send(event).is_err() || is_end {
            return;
        }
    }
}

/// What an editor may ask, in the order of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    New,
    Running,
    ShutDown,
}

/// What the editor can do.
#[derive(Debug, Default)]
struct Client {
    refreshes_lenses: bool,
    watches_files: bool,
}

struct Server<W: Write> {
    out: W,
    phase: Phase,
    client: Client,
    /// How many requests were sent to the editor.
    requests: i32,
    folders: Folders,
    checks: Worker<Check>,
    studies: Worker<Research>,
}

impl<W: Write> Server<W> {
    /// Takes an event; the exit, when it is over.
    fn take(&mut self, event: Event) -> anyhow::Result<Option<Exit>> {
        match event {
            Event::Client(Incoming::Rubbish(why)) => self.log(&why)?,
            Event::Client(Incoming::Message(message)) => match *message {
                Message::Request(request) => self.request(request)?,
                Message::Notification(note) if note.method == "exit" => {
                    let is_in_order = self.phase == Phase::ShutDown;
                    return Ok(Some(if is_in_order {
                        Exit::Success
                    } else {
                        Exit::Failure
                    }));
                }
                Message::Notification(note) if self.phase == Phase::Running => self.note(note)?,
                // Answers to what was sent say nothing of interest.
                Message::Notification(_) | Message::Response(_) => {}
            },
            Event::Ended(None) => return Ok(Some(Exit::Failure)),
            Event::Ended(Some(error)) => {
                return Err(error).context("cannot read from the editor");
            }
            Event::Checked(folder, change, checked) => {
                if let Some(research) = self.folders.checked(&folder, change, *checked) {
                    self.studies.put(&folder, research);
                }
                self.publish(&folder)?;
            }
            Event::Studied(folder, study) => {
                if self.folders.studied(&folder, &study) {
                    self.publish(&folder)?;
                    if self.client.refreshes_lenses {
                        self.ask("workspace/codeLens/refresh", Value::Null)?;
                    }
                }
            }
            Event::Broken(what) => {
                anyhow::bail!("the thread of {what} has ended, which is a fault of dsmith")
            }
        }
        Ok(None)
    }

    fn send(&mut self, message: &Message) -> anyhow::Result<()> {
        message
            .write(&mut self.out)
            .context("cannot write to the editor")
    }

    fn tell<T: serde::Serialize>(&mut self, method: &str, params: T) -> anyhow::Result<()> {
        let params = serde_json::to_value(params)?;
        self.send(&Notification::new(method.to_owned(), params).into())
    }

    fn ask(&mut self, method: &str, params: Value) -> anyhow::Result<()> {
        self.requests = self.requests.wrapping_add(1);
        let id = RequestId::from(self.requests);
        self.send(&Request::new(id, method.to_owned(), params).into())
    }

    fn log(&mut self, text: &str) -> anyhow::Result<()> {
        const WARNING: u8 = 2;
        self.tell(
            "window/logMessage",
            json!({"type": WARNING, "message": text}),
        )
    }

    fn request(&mut self, request: Request) -> anyhow::Result<()> {
        let refused = |code: ErrorCode, text: &str| {
            Response::new_err(request.id.clone(), code as i32, text.to_owned())
        };
        let response = match (self.phase, request.method.as_str()) {
            (Phase::New, "initialize") => {
                self.phase = Phase::Running;
                self.client = client(&request.params);
                let answer = json!({
                    "capabilities": capabilities(),
                    "serverInfo": {"name": "dsmith", "version": env!("CARGO_PKG_VERSION")},
                });
                Response::new_ok(request.id, answer)
            }
            (Phase::New, _) => refused(ErrorCode::ServerNotInitialized, "initialize comes first"),
            (Phase::ShutDown, _) => refused(
                ErrorCode::InvalidRequest,
                "after shutdown there is only exit",
            ),
            (Phase::Running, "initialize") => {
                refused(ErrorCode::InvalidRequest, "it is initialized already")
            }
            (Phase::Running, "shutdown") => {
                self.phase = Phase::ShutDown;
                Response::new_ok(request.id, Value::Null)
            }
            (Phase::Running, "workspace/executeCommand") => {
                if let Some(text) = answers::command(&mut self.folders, &request.params) {
                    const INFO: u8 = 3;
                    self.tell("window/showMessage", json!({"type": INFO, "message": text}))?;
                }
                Response::new_ok(request.id, Value::Null)
            }
            (Phase::Running, _) => answers::answer(&mut self.folders, request),
        };
        self.send(&response.into())
    }

    /// A request is answered when it comes, so there is never one to cancel. What cannot be understood is passed over:
    /// the next message may be well again.
    fn note(&mut self, note: Notification) -> anyhow::Result<()> {
        let params = note.params;
        match note.method.as_str() {
            "initialized" if self.client.watches_files => {
                self.ask("client/registerCapability", watched())?;
            }
            "textDocument/didOpen" => {
                if let Some(params) = read::<DidOpenTextDocumentParams>(params) {
                    let document = params.text_document;
                    let opened = self
                        .folders
                        .open(&document.uri, document.version, document.text);
                    self.check(opened);
                }
            }
            "textDocument/didChange" => {
                if let Some(params) = read::<DidChangeTextDocumentParams>(params) {
                    let document = params.text_document;
                    // Each change has the whole text; the last one counts.
                    let mut whole = params.content_changes.into_iter().rev();
                    let text = whole.find(|change| change.range.is_none());
                    if let Some(text) = text {
                        let edited = self
                            .folders
                            .edit(&document.uri, document.version, text.text);
                        self.check(edited);
                    }
                }
            }
            "textDocument/didSave" => {
                if let Some(params) = read::<DidSaveTextDocumentParams>(params) {
                    self.check(place::file_of(&params.text_document.uri).map(|(path, _)| path));
                }
            }
            "textDocument/didClose" => {
                if let Some(params) = read::<DidCloseTextDocumentParams>(params) {
                    self.close(&params.text_document.uri)?;
                }
            }
            "workspace/didChangeWatchedFiles" => {
                if let Some(params) = read::<DidChangeWatchedFilesParams>(params) {
                    let changes = params.changes.iter();
                    let paths: Vec<PathBuf> = changes
                        .filter_map(|change| place::path_of(&change.uri))
                        .collect();
                    for folder in self.folders.with(&paths) {
                        self.check(Some(folder));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Has a folder checked, if it is one that has something open.
    fn check(&self, folder: Option<PathBuf>) {
        let Some(folder) = folder else { return };
        if let Some(check) = self.folders.check(&folder) {
            self.checks.put(&folder, check);
        }
    }

    fn close(&mut self, uri: &Uri) -> anyhow::Result<()> {
        let Some((folder, cleared)) = self.folders.close(uri) else {
            return Ok(());
        };
        let Some(cleared) = cleared else {
            self.check(Some(folder));
            return Ok(());
        };
        // Nothing of it is open any more: what was said of its files is taken back.
        self.checks.forget(&folder);
        self.studies.forget(&folder);
        for uri in cleared {
            let params = PublishDiagnosticsParams::new(uri, Vec::new(), None);
            self.tell("textDocument/publishDiagnostics", params)?;
        }
        Ok(())
    }

    /// Tells what is found in the files of a folder, as far as that is new.
    fn publish(&mut self, folder: &Path) -> anyhow::Result<()> {
        for params in self.folders.news(folder) {
            self.tell("textDocument/publishDiagnostics", params)?;
        }
        Ok(())
    }
}

fn read<T: DeserializeOwned>(params: Value) -> Option<T> {
    serde_json::from_value(params).ok()
}

/// Editors say more about themselves than we know, and some of it in ways of their own: only what is of use is read.
fn client(params: &Value) -> Client {
    let can = |what: &str| params.pointer(what) == Some(&Value::Bool(true));
    Client {
        refreshes_lenses: can("/capabilities/workspace/codeLens/refreshSupport"),
        watches_files: can("/capabilities/workspace/didChangeWatchedFiles/dynamicRegistration"),
    }
}

fn capabilities() -> ServerCapabilities {
    let sync = TextDocumentSyncOptions {
        open_close: Some(true),
        change: Some(TextDocumentSyncKind::FULL),
        save: Some(TextDocumentSyncSaveOptions::SaveOptions(
            SaveOptions::default(),
        )),
        ..TextDocumentSyncOptions::default()
    };
    ServerCapabilities {
        position_encoding: Some(PositionEncodingKind::UTF16),
        text_document_sync: Some(TextDocumentSyncCapability::Options(sync)),
        hover_provider: Some(HoverProviderCapability::Simple(true)),
        definition_provider: Some(OneOf::Left(true)),
        completion_provider: Some(CompletionOptions {
            trigger_characters: Some(["\"", "/", "?", "="].map(str::to_owned).to_vec()),
            ..CompletionOptions::default()
        }),
        code_lens_provider: Some(CodeLensOptions {
            resolve_provider: Some(false),
        }),
        code_action_provider: Some(CodeActionProviderCapability::Options(CodeActionOptions {
            code_action_kinds: Some(vec![CodeActionKind::QUICKFIX]),
            ..CodeActionOptions::default()
        })),
        execute_command_provider: Some(ExecuteCommandOptions {
            commands: vec![FIXTURES.to_owned()],
            ..ExecuteCommandOptions::default()
        }),
        ..ServerCapabilities::default()
    }
}

/// Asks to be told of files that others change: fixtures, and mapping files that are not open.
fn watched() -> Value {
    json!({"registrations": [{
        "id": "dsmith",
        "method": "workspace/didChangeWatchedFiles",
        "registerOptions": {"watchers": [
            {"globPattern": "**/fixtures/**"},
            {"globPattern": "**/{manifest.toml,extension.xml,qidmap.csv,event-mappings.csv}"},
        ]},
    }]})
}
