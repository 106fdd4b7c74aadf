//! `dsmith lsp`: a scripted editor over standard input and output.

use crate::support::{Folder, command, login};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout};

struct Editor {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    next: u64,
}

impl Editor {
    fn new() -> Self {
        let mut child = command(&["lsp"])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let to = child.stdin.take().unwrap();
        let from = BufReader::new(child.stdout.take().unwrap());
        let mut editor = Self {
            child,
            to,
            from,
            next: 0,
        };
        let answer = editor.ask("initialize", &json!({"capabilities": {}}));
        assert_eq!(answer["capabilities"]["hoverProvider"], true, "{answer}");
        editor.tell("initialized", &json!({}));
        editor
    }

    fn send(&mut self, mut message: Value) {
        message["jsonrpc"] = json!("2.0");
        let text = message.to_string();
        write!(self.to, "Content-Length: {}\r\n\r\n{text}", text.len()).unwrap();
        self.to.flush().unwrap();
    }

    fn tell(&mut self, method: &str, params: &Value) {
        self.send(json!({"method": method, "params": params}));
    }

    fn receive(&mut self) -> Value {
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.from.read_line(&mut line).unwrap();
            if let Some(number) = line.trim().strip_prefix("Content-Length: ") {
                length = number.parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut bytes = vec![0; length];
        self.from.read_exact(&mut bytes).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.next += 1;
        let id = self.next;
        self.send(json!({"id": id, "method": method, "params": params}));
        loop {
            let message = self.receive();
            if message["id"] == id {
                return message["result"].clone();
            }
        }
    }

    /// What is published for the four files after a change, the extension's.
    fn findings(&mut self) -> Value {
        let mut found = Value::Null;
        for _ in 0..4 {
            let message = self.receive();
            assert_eq!(message["method"], "textDocument/publishDiagnostics");
            if message["params"]["uri"]
                .as_str()
                .unwrap()
                .ends_with("extension.xml")
            {
                found = message["params"]["diagnostics"].clone();
            }
        }
        found
    }
}

#[test]
fn an_editor_gets_findings_hover_definition_and_completion() {
    let folder = Folder::with_acme_cloud();
    fs::rename(folder.at("mappings"), folder.at("dsm-mappings")).unwrap();
    folder.file("fixtures/acme-cloud/json/login.json", login("ann"));
    let path = folder.at("dsm-mappings/acme-cloud/extension.xml");
    let text = fs::read_to_string(&path).unwrap();
    let uri = format!("file://{path}");
    let mut editor = Editor::new();
    editor.tell(
        "textDocument/didOpen",
        &json!({"textDocument": {"uri": uri, "languageId": "xml", "version": 1, "text": text}}),
    );
    assert_eq!(editor.findings(), json!([]));

    // A group that is not there is told at once, though nothing was saved.
    let broken = text.replace("pattern-id=\"User\"", "pattern-id=\"Usr\"");
    editor.tell(
        "textDocument/didChange",
        &json!({"textDocument": {"uri": uri, "version": 2}, "contentChanges": [{"text": broken}]}),
    );
    let found = editor.findings();
    let line = text
        .lines()
        .position(|line| line.contains("pattern-id=\"User\""))
        .unwrap();
    assert_eq!(found[0]["range"]["start"]["line"], line, "{found}");
    assert!(
        found[0]["message"].as_str().unwrap().contains("Usr"),
        "{found}"
    );
    editor.tell(
        "textDocument/didChange",
        &json!({"textDocument": {"uri": uri, "version": 3}, "contentChanges": [{"text": text}]}),
    );
    assert_eq!(editor.findings(), json!([]));

    let column = text
        .lines()
        .nth(line)
        .unwrap()
        .find("pattern-id=\"")
        .unwrap()
        + "pattern-id=\"".len();
    let place =
        json!({"textDocument": {"uri": uri}, "position": {"line": line, "character": column}});
    let hover = editor.ask("textDocument/hover", &place);
    let value = hover["contents"]["value"].as_str().unwrap();
    assert!(
        value.contains("in 1 fixture") && value.contains("`ann`"),
        "{value}"
    );
    let definition = editor.ask("textDocument/definition", &place);
    let of_pattern = text
        .lines()
        .position(|line| line.contains("<pattern id=\"User\""))
        .unwrap();
    assert_eq!(
        definition["range"]["start"]["line"], of_pattern,
        "{definition}"
    );
    let items = editor.ask("textDocument/completion", &place);
    let labels: Vec<&str> = items
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["label"].as_str().unwrap())
        .collect();
    assert_eq!(labels, ["Action", "Kind", "User", "Ip"]);

    // What it does not know, or cannot read, does no harm.
    editor.tell("textDocument/didChange", &json!({"nonsense": 1}));
    assert_eq!(editor.ask("textDocument/rename", &place), Value::Null);

    assert_eq!(editor.ask("shutdown", &Value::Null), Value::Null);
    editor.tell("exit", &Value::Null);
    assert_eq!(editor.child.wait().unwrap().code(), Some(0));
}
