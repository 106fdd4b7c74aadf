//! What the editor asks.

use super::FIXTURES;
use super::folders::Folders;
use super::place::range;
use authoring::language::{Lines, Proposals, View};
use lsp_server::{ErrorCode, Request, Response};
use lsp_types::{
    CodeAction, CodeActionKind, CodeActionParams, CodeLens, CodeLensParams, Command,
    CompletionItem, CompletionItemKind, CompletionTextEdit, Documentation, ExecuteCommandParams,
    Hover, HoverContents, Location, MarkupContent, MarkupKind, Position,
    TextDocumentPositionParams, TextEdit, Uri, WorkspaceEdit,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::str::FromStr;

/// Answers from what is known now. What is not known is answered with nothing, and not with a fault: it may be known in a
/// moment.
pub(super) fn answer(folders: &mut Folders, request: Request) -> Response {
    let Request { id, method, params } = request;
    let result = match method.as_str() {
        "textDocument/hover" => at_place(folders, params, hover),
        "textDocument/definition" => at_place(folders, params, definition),
        "textDocument/completion" => at_place(folders, params, completion),
        "textDocument/codeLens" => with(params, |params: CodeLensParams| {
            let uri = params.text_document.uri;
            let lenses = folders.view(&uri, |view, lines| lenses(view, lines, &uri));
            Some(lenses.unwrap_or_default())
        }),
        "textDocument/codeAction" => with(params, |params: CodeActionParams| {
            Some(actions(folders, &params).unwrap_or_default())
        }),
        _ => {
            let message = format!("{method} is not answered");
            return Response::new_err(id, ErrorCode::MethodNotFound as i32, message);
        }
    };
    match result {
        Ok(value) => Response::new_ok(id, value),
        Err(error) => Response::new_err(
            id,
            ErrorCode::InvalidParams as i32,
            format!("{method}: {error}"),
        ),
    }
}

fn with<P: DeserializeOwned, T: Serialize>(
    params: Value,
    answer: impl FnOnce(P) -> Option<T>,
) -> serde_json::Result<Value> {
    serde_json::to_value(answer(serde_json::from_value(params)?))
}

fn at_place<T: Serialize>(
    folders: &mut Folders,
    params: Value,
    answer: impl FnOnce(View<'_>, &Lines<'_>, &Uri, usize) -> Option<T>,
) -> serde_json::Result<Value> {
    with(params, |params: TextDocumentPositionParams| {
        let uri = params.text_document.uri;
        let Position { line, character } = params.position;
        let answered = folders.view(&uri, |view, lines| {
            answer(view, lines, &uri, lines.offset(line, character))
        });
        answered.flatten()
    })
}

fn hover(view: View<'_>, lines: &Lines<'_>, _: &Uri, at: usize) -> Option<Hover> {
    let (value, span) = view.hover(at)?;
    Some(Hover {
        contents: HoverContents::Markup(MarkupContent {
            kind: MarkupKind::Markdown,
            value,
        }),
        range: Some(range(lines, &span)),
    })
}

fn definition(view: View<'_>, lines: &Lines<'_>, uri: &Uri, at: usize) -> Option<Location> {
    let span = view.definition(at)?;
    Some(Location::new(uri.clone(), range(lines, &span)))
}

fn completion(
    view: View<'_>,
    lines: &Lines<'_>,
    _: &Uri,
    at: usize,
) -> Option<Vec<CompletionItem>> {
    let Proposals { typed, list } = view.proposals(at);
    let place = range(lines, &typed);
    let items = list.into_iter().map(|proposal| {
        let often = proposal.count.map(|count| match count {
            1 => "met once".to_owned(),
            count => format!("met {count} times"),
        });
        CompletionItem {
            kind: Some(match proposal.count {
                Some(_) => CompletionItemKind::PROPERTY,
                None => CompletionItemKind::VALUE,
            }),
            // What is met most comes first.
            sort_text: proposal
                .count
                .map(|count| format!("{:020}", u64::MAX - count)),
            filter_text: Some(proposal.text.clone()),
            text_edit: Some(CompletionTextEdit::Edit(TextEdit::new(
                place,
                proposal.text,
            ))),
            detail: Some(often.unwrap_or_else(|| proposal.about.clone())),
            documentation: proposal.count.map(|_| {
                Documentation::MarkupContent(MarkupContent {
                    kind: MarkupKind::Markdown,
                    value: proposal.about,
                })
            }),
            label: proposal.label,
            ..CompletionItem::default()
        }
    });
    Some(items.collect())
}

fn lenses(view: View<'_>, lines: &Lines<'_>, uri: &Uri) -> Vec<CodeLens> {
    let lenses = view.lenses().into_iter();
    lenses
        .map(|lens| CodeLens {
            range: range(lines, &lens.span),
            command: Some(Command {
                title: lens.title,
                command: FIXTURES.to_owned(),
                arguments: Some(vec![uri.as_str().into(), lens.id.into()]),
            }),
            data: None,
        })
        .collect()
}

fn actions(folders: &Folders, params: &CodeActionParams) -> Option<Vec<CodeAction>> {
    let fixes = folders.fixes(&params.text_document.uri, params.range)?;
    let actions = fixes.into_iter().map(|fix| CodeAction {
        title: fix.title,
        kind: Some(CodeActionKind::QUICKFIX),
        diagnostics: Some(vec![fix.diagnostic]),
        edit: Some(WorkspaceEdit::new([(fix.uri, fix.edits)].into())),
        is_preferred: Some(true),
        ..CodeAction::default()
    });
    Some(actions.collect())
}

/// What is to be shown for the command behind a lens.
pub(super) fn command(folders: &mut Folders, params: &Value) -> Option<String> {
    let params: ExecuteCommandParams = serde_json::from_value(params.clone()).ok()?;
    let [uri, branch] = params.arguments.as_slice() else {
        return None;
    };
    if params.command != FIXTURES {
        return None;
    }
    let uri = Uri::from_str(uri.as_str()?).ok()?;
    folders.view(&uri, |view, _| view.fixtures_of(branch.as_str()?))?
}
