//! `dsmith lsp`: the language server.

use crate::Exit;
use authoring::language::{self, Folder};
use authoring::replay::Corpus;
use dsm::diagnostic::Severity;
use dsm::mapping::FILES;
use lsp_server::{Connection, ErrorCode, Message, Notification, Request, Response};
use lsp_types::{
    CompletionItem, CompletionOptions, Diagnostic, DiagnosticSeverity, DidChangeTextDocumentParams,
    DidCloseTextDocumentParams, DidOpenTextDocumentParams, Hover, HoverContents,
    HoverProviderCapability, Location, MarkupContent, MarkupKind, NumberOrString, OneOf, Position,
    PublishDiagnosticsParams, Range, ServerCapabilities, TextDocumentPositionParams,
    TextDocumentSyncCapability, TextDocumentSyncKind, Uri,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

pub(crate) const EXAMPLES: &str = "Examples:
  dsmith lsp       started by an editor, which speaks to it over standard input

It reports what check and lint find while you type, shows over a pattern or
matcher what it extracts from the fixtures, goes from a matcher to its pattern,
and completes fields and pattern ids. Fixtures are looked for beside the folder
of the mappings.

Exit codes:
  0   the editor ended it
  1   the editor went away
  64  the command line is wrong";

/// The requests about a place that are answered.
const ANSWERED: [&str; 3] = [
    "textDocument/hover",
    "textDocument/definition",
    "textDocument/completion",
];

/// What stays as it is in the path of a URI.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

struct Server {
    connection: Connection,
    /// What the editor has open: folder, then name of the file.
    edited: BTreeMap<PathBuf, BTreeMap<String, String>>,
    /// The fixtures of a folder, read once.
    corpora: BTreeMap<PathBuf, Corpus>,
}

pub(crate) fn run() -> anyhow::Result<Exit> {
    let (connection, threads) = Connection::stdio();
    let capabilities = ServerCapabilities {
        text_document_sync: Some(TextDocumentSyncCapability::Kind(TextDocumentSyncKind::FULL)),
        hover_provider: Some(HoverProviderCapability::Simple(true)),
        definition_provider: Some(OneOf::Left(true)),
        completion_provider: Some(CompletionOptions {
            trigger_characters: Some(vec!["\"".to_owned()]),
            ..CompletionOptions::default()
        }),
        ..ServerCapabilities::default()
    };
    connection.initialize(serde_json::to_value(capabilities)?)?;
    let mut server = Server {
        connection,
        edited: BTreeMap::new(),
        corpora: BTreeMap::new(),
    };
    let ended = server.serve()?;
    // The threads end when nobody can send any more.
    drop(server);
    threads.join()?;
    Ok(if ended { Exit::Success } else { Exit::Failure })
}

impl Server {
    /// Answers until the editor ends it; whether it did.
    fn serve(&mut self) -> anyhow::Result<bool> {
        while let Ok(message) = self.connection.receiver.recv() {
            match message {
                Message::Request(request) => {
                    if self.connection.handle_shutdown(&request)? {
                        return Ok(true);
                    }
                    let response = self.answer(request);
                    self.connection.sender.send(response.into())?;
                }
                Message::Notification(notification) => self.note(notification)?,
                Message::Response(_) => {}
            }
        }
        Ok(false)
    }

    fn answer(&mut self, request: Request) -> Response {
        if !ANSWERED.contains(&request.method.as_str()) {
            let message = format!("{} is not answered", request.method);
            return Response::new_err(request.id, ErrorCode::MethodNotFound as i32, message);
        }
        let Ok(place) = serde_json::from_value::<TextDocumentPositionParams>(request.params) else {
            return Response::new_ok(request.id, Value::Null);
        };
        let uri = place.text_document.uri;
        let result = self.with_folder(&uri, |folder, name| {
            if name != "extension.xml" {
                return Value::Null;
            }
            let Some(file) = folder.text(name) else {
                return Value::Null;
            };
            let at = language::offset(&file.text, place.position.line, place.position.character);
            let value = match request.method.as_str() {
                "textDocument/hover" => serde_json::to_value(folder.hover(at).map(|value| Hover {
                    contents: HoverContents::Markup(MarkupContent {
                        kind: MarkupKind::Markdown,
                        value,
                    }),
                    range: None,
                })),
                "textDocument/definition" => {
                    let found = folder.definition(at);
                    serde_json::to_value(found.map(|span| Location {
                        uri: uri.clone(),
                        range: range(&file.text, &span),
                    }))
                }
                "textDocument/completion" => {
                    let labels = folder.completions(at).into_iter();
                    let items: Vec<CompletionItem> = labels
                        .map(|label| CompletionItem {
                            label,
                            ..CompletionItem::default()
                        })
                        .collect();
                    serde_json::to_value(items)
                }
                _ => Ok(Value::Null),
            };
            value.unwrap_or_default()
        });
        Response::new_ok(request.id, result.unwrap_or_default())
    }

    fn note(&mut self, notification: Notification) -> anyhow::Result<()> {
        let params = notification.params;
        // What cannot be understood is passed over: the next message may be well again.
        let uri = match notification.method.as_str() {
            "textDocument/didOpen" => {
                let Ok(params) = serde_json::from_value::<DidOpenTextDocumentParams>(params) else {
                    return Ok(());
                };
                let document = params.text_document;
                if let Some((folder, _)) = file_of(&document.uri) {
                    // There may be new fixtures.
                    self.corpora.remove(&folder);
                }
                self.edit(&document.uri, Some(document.text));
                document.uri
            }
            "textDocument/didChange" => {
                let Ok(params) = serde_json::from_value::<DidChangeTextDocumentParams>(params)
                else {
                    return Ok(());
                };
                let uri = params.text_document.uri;
                if let Some(change) = params.content_changes.into_iter().next_back() {
                    self.edit(&uri, Some(change.text));
                }
                uri
            }
            "textDocument/didClose" => {
                let Ok(params) = serde_json::from_value::<DidCloseTextDocumentParams>(params)
                else {
                    return Ok(());
                };
                self.edit(&params.text_document.uri, None);
                params.text_document.uri
            }
            _ => return Ok(()),
        };
        self.publish(&uri)
    }

    fn edit(&mut self, uri: &Uri, text: Option<String>) {
        let Some((folder, name)) = file_of(uri) else {
            return;
        };
        let edited = self.edited.entry(folder).or_default();
        match text {
            Some(text) => edited.insert(name, text),
            None => edited.remove(&name),
        };
    }

    /// Tells what is found in all files of the folder, so that what was mended goes away.
    fn publish(&mut self, uri: &Uri) -> anyhow::Result<()> {
        let Some((path, _)) = file_of(uri) else {
            return Ok(());
        };
        let published = self.with_folder(uri, |folder, _| {
            let found = folder.diagnostics();
            FILES
                .iter()
                .filter_map(|name| {
                    let text = &folder.text(name)?.text;
                    let of_file = found.iter().filter(|d| d.place().0 == *name);
                    let diagnostics = of_file.map(|d| diagnostic(text, d)).collect();
                    Some(PublishDiagnosticsParams {
                        uri: uri_of(&path.join(name))?,
                        diagnostics,
                        version: None,
                    })
                })
                .collect::<Vec<_>>()
        });
        for params in published.unwrap_or_default() {
            let method = "textDocument/publishDiagnostics".to_owned();
            let notification = Notification::new(method, params);
            self.connection.sender.send(notification.into())?;
        }
        Ok(())
    }

    fn with_folder<T>(
        &mut self,
        uri: &Uri,
        use_it: impl FnOnce(&Folder<'_>, &str) -> T,
    ) -> Option<T> {
        let (path, name) = file_of(uri)?;
        let corpus = self.corpora.entry(path.clone()).or_insert_with(|| {
            let slug = path.file_name().unwrap_or_default();
            let root = path.parent().and_then(Path::parent);
            let fixtures = root.map(|root| root.join("fixtures").join(slug));
            fixtures
                .and_then(|fixtures| Corpus::read(&fixtures).ok())
                .unwrap_or_default()
        });
        let edited = self.edited.entry(path.clone()).or_default();
        let folder = Folder::new(&path, edited, corpus)?;
        Some(use_it(&folder, &name))
    }
}

fn diagnostic(text: &str, found: &dsm::diagnostic::Diagnostic) -> Diagnostic {
    let span = found
        .labels
        .first()
        .map_or(0..0, |label| label.span.clone());
    Diagnostic {
        range: range(text, &span),
        severity: Some(match found.severity {
            Severity::Error => DiagnosticSeverity::ERROR,
            Severity::Warning => DiagnosticSeverity::WARNING,
        }),
        code: Some(NumberOrString::String(found.code.as_str().to_owned())),
        source: Some("dsmith".to_owned()),
        message: format!("{}\n{}\n{}", found.message, found.why, found.help),
        ..Diagnostic::default()
    }
}

fn range(text: &str, span: &std::ops::Range<usize>) -> Range {
    let at = |offset| {
        let (line, character) = language::position(text, offset);
        Position { line, character }
    };
    Range {
        start: at(span.start),
        end: at(span.end),
    }
}

/// The folder and the name of a file of a mapping.
fn file_of(uri: &Uri) -> Option<(PathBuf, String)> {
    let path = uri.as_str().strip_prefix("file://")?;
    let path = PathBuf::from(percent_decode_str(path).decode_utf8().ok()?.into_owned());
    let name = path.file_name()?.to_string_lossy().into_owned();
    FILES
        .contains(&name.as_str())
        .then(|| Some((path.parent()?.to_owned(), name.clone())))?
}

fn uri_of(path: &Path) -> Option<Uri> {
    let path = path.to_str()?;
    Uri::from_str(&format!("file://{}", utf8_percent_encode(path, PATH))).ok()
}
