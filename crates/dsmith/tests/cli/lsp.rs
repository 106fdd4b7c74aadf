//! `dsmith lsp`: a scripted editor over standard input and output.

use crate::support::{Folder, login, peak_memory, repository};
use harness::Editor;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// An editor whose session has begun. It can refresh lenses and watch files.
fn editor() -> Editor {
    let mut editor = Editor::start(Path::new(env!("CARGO_BIN_EXE_dsmith"))).unwrap();
    let can = json!({
        "workspace": {
            "codeLens": {"refreshSupport": true},
            "didChangeWatchedFiles": {"dynamicRegistration": true},
        },
        "somethingNew": {"unknown": true},
    });
    let answer = editor
        .ask("initialize", &json!({"capabilities": can}))
        .unwrap();
    let capabilities = &answer["result"]["capabilities"];
    assert_eq!(capabilities["hoverProvider"], true, "{answer}");
    assert_eq!(capabilities["positionEncoding"], "utf-16", "{answer}");
    editor.tell("initialized", &json!({})).unwrap();
    editor
}

/// Ends a session as it should be.
fn end(mut editor: Editor) {
    let answer = editor.ask("shutdown", &Value::Null).unwrap();
    assert_eq!(answer.get("result"), Some(&Value::Null), "{answer}");
    editor.tell("exit", &Value::Null).unwrap();
    assert_eq!(editor.wait().unwrap().code(), Some(0));
}

fn uri(path: impl AsRef<Path>) -> String {
    format!("file://{}", path.as_ref().display())
}

fn open(editor: &mut Editor, uri: &str, version: i32, text: &str) {
    let document = json!({"uri": uri, "languageId": "xml", "version": version, "text": text});
    let params = json!({"textDocument": document});
    editor.tell("textDocument/didOpen", &params).unwrap();
}

fn change(editor: &mut Editor, uri: &str, version: i32, text: &str) {
    let params = json!({
        "textDocument": {"uri": uri, "version": version},
        "contentChanges": [{"text": text}],
    });
    editor.tell("textDocument/didChange", &params).unwrap();
}

/// Waits until lints and fixtures were run.
fn studied(editor: &mut Editor) {
    let is_refresh = |message: &Value| message["method"] == "workspace/codeLens/refresh";
    editor.next(is_refresh).unwrap();
}

/// Line and column behind the first place of some text.
#[track_caller]
fn behind(text: &str, what: &str) -> Value {
    let at = text.find(what).unwrap() + what.len();
    let line = text[..at].matches('\n').count();
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    json!({"line": line, "character": text[start..at].encode_utf16().count()})
}

#[track_caller]
fn ask(editor: &mut Editor, method: &str, uri: &str, position: &Value) -> Value {
    let params = json!({"textDocument": {"uri": uri}, "position": position});
    let answer = editor.ask(method, &params).unwrap();
    answer
        .get("result")
        .unwrap_or_else(|| panic!("{answer}"))
        .clone()
}

#[track_caller]
fn hover(editor: &mut Editor, uri: &str, position: &Value) -> String {
    let answer = ask(editor, "textDocument/hover", uri, position);
    answer["contents"]["value"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"))
        .to_owned()
}

/// The labels that are proposed, with what would be written.
#[track_caller]
fn proposed(editor: &mut Editor, uri: &str, position: &Value) -> Vec<(String, String)> {
    let answer = ask(editor, "textDocument/completion", uri, position);
    let items = answer
        .as_array()
        .unwrap_or_else(|| panic!("{answer}"))
        .iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    items
        .map(|item| (text(&item["label"]), text(&item["textEdit"]["newText"])))
        .collect()
}

fn lenses(editor: &mut Editor, uri: &str) -> Vec<Value> {
    let params = json!({"textDocument": {"uri": uri}});
    let answer = editor.ask("textDocument/codeLens", &params).unwrap();
    answer["result"].as_array().unwrap().clone()
}

/// `acme-cloud` where an author would have it, with the text and the URI of its extension.
fn acme() -> (Folder, String, String) {
    let folder = Folder::with_acme_cloud();
    fs::rename(folder.at("mappings"), folder.at("dsm-mappings")).unwrap();
    folder.file("fixtures/acme-cloud/json/login.json", login("ann"));
    let path = folder.at("dsm-mappings/acme-cloud/extension.xml");
    let text = fs::read_to_string(&path).unwrap();
    (folder, text, uri(path))
}

#[test]
fn what_is_typed_is_checked_at_once_though_nothing_was_saved() {
    let (_folder, text, uri) = acme();
    let mut editor = editor();
    open(&mut editor, &uri, 1, &text);
    assert_eq!(editor.findings(&uri, 1).unwrap(), json!([]));
    let broken = text.replace("pattern-id=\"User\"", "pattern-id=\"Usr\"");
    change(&mut editor, &uri, 2, &broken);
    let found = editor.findings(&uri, 2).unwrap();
    let place = behind(
        &text,
        "<json-matcher field=\"UserName\" order=\"1\" pattern-id=\"",
    );
    assert_eq!(found[0]["range"]["start"], place, "{found}");
    assert_eq!(found[0]["severity"], 1, "{found}");
    assert!(
        found[0]["message"].as_str().unwrap().contains("Usr"),
        "{found}"
    );
    change(&mut editor, &uri, 3, &text);
    assert_eq!(editor.findings(&uri, 3).unwrap(), json!([]));
    end(editor);
}

#[test]
fn places_are_counted_in_utf_16() {
    let (_folder, text, uri) = acme();
    let text = text.replace(
        "<json-matcher field=\"UserName\"",
        "<!-- 🔒é --><json-matcher field=\"UserNam\"",
    );
    let mut editor = editor();
    open(&mut editor, &uri, 1, &text);
    let found = editor.findings(&uri, 1).unwrap();
    let place = behind(&text, "<!-- 🔒é --><json-matcher field=\"");
    assert_eq!(found[0]["range"]["start"], place, "{found}");
    let fields = proposed(&mut editor, &uri, &place);
    assert!(
        fields.iter().any(|(label, _)| label == "UserName"),
        "{fields:?}"
    );
    end(editor);
}

#[test]
fn a_hover_shows_what_each_fixture_gives_and_a_lens_how_many_there_are() {
    let (folder, text, uri) = acme();
    folder.file(
        "fixtures/acme-cloud/json/logout.json",
        r#"{"acme":"logout","ip":"no address"}"#,
    );
    let mut editor = editor();
    open(&mut editor, &uri, 1, &text);
    studied(&mut editor);
    let matcher = behind(&text, "<json-matcher field=\"UserName\"");
    let value = hover(&mut editor, &uri, &matcher);
    for part in [
        "1 of 2 fixtures",
        "`ann` from `json/login.json`",
        "1 fixture: not in the payload (`json/logout.json`)",
    ] {
        assert!(value.contains(part), "{part}: {value}");
    }
    let value = hover(
        &mut editor,
        &uri,
        &behind(&text, "<json-matcher field=\"EventName\""),
    );
    assert!(
        value.contains("without a QID: `json/logout.json`"),
        "{value}"
    );
    // A pattern finds what no matcher takes.
    let value = hover(&mut editor, &uri, &behind(&text, "<pattern id=\"Ip\""));
    assert!(
        value.contains("`no address` from `json/logout.json`"),
        "{value}"
    );
    let value = hover(
        &mut editor,
        &uri,
        &behind(&text, "<json-matcher field=\"SourceIp\""),
    );
    assert!(value.contains("the value is not an IP address"), "{value}");

    let lenses = lenses(&mut editor, &uri);
    let title = |line: &Value| {
        let mut all = lenses.iter();
        let lens = all
            .find(|lens| lens["range"]["start"]["line"] == line["line"])
            .unwrap();
        lens["command"]["title"].as_str().unwrap()
    };
    assert_eq!(title(&matcher), "matched by 1 fixture: json/login.json");
    let of_name = behind(&text, "<json-matcher field=\"EventName\"");
    assert_eq!(
        title(&of_name),
        "matched by 2 fixtures, such as json/login.json"
    );
    let lens = lenses
        .iter()
        .find(|lens| lens["range"]["start"]["line"] == of_name["line"])
        .unwrap();
    editor
        .ask("workspace/executeCommand", &lens["command"])
        .unwrap();
    let shown = editor
        .next(|message| message["method"] == "window/showMessage")
        .unwrap();
    assert_eq!(
        shown["params"]["message"],
        "group/1/EventName/1 is matched by 2 fixtures: json/login.json, json/logout.json"
    );
    end(editor);
}

#[test]
fn a_matcher_and_a_pattern_lead_to_the_pattern_that_they_use() {
    let (_folder, text, uri) = acme();
    let text = text.replace("type=\"JsonKeypath\"><![CDATA[/\"ip\"", "type=\"JsonKeypath\" xmlns:dsmith=\"urn:dsmith:lsx:1\" dsmith:within=\"Kind\"><![CDATA[/\"ip\"");
    let mut editor = editor();
    open(&mut editor, &uri, 1, &text);
    for (from, to) in [
        ("pattern-id=\"User", "<pattern id=\"User\""),
        ("dsmith:within=\"", "<pattern id=\"Kind\""),
    ] {
        let answer = ask(
            &mut editor,
            "textDocument/definition",
            &uri,
            &behind(&text, from),
        );
        let line = behind(&text, to)["line"].clone();
        assert_eq!(answer["range"]["start"]["line"], line, "{from}: {answer}");
    }
    end(editor);
}

#[test]
fn fields_patterns_and_members_are_proposed_in_a_file_that_is_half_typed() {
    let (folder, text, uri) = acme();
    folder.file(
        "fixtures/acme-cloud/json/list.json",
        r#"{"acme":"login","who":[{"type":"user","mail":"a@example.com"},{"type":"host","dns":"b.example"}]}"#,
    );
    let mut editor = editor();
    open(&mut editor, &uri, 1, &text);
    studied(&mut editor);
    let ids = proposed(&mut editor, &uri, &behind(&text, "pattern-id=\""));
    let ids: Vec<&str> = ids.iter().map(|(label, _)| label.as_str()).collect();
    assert_eq!(ids, ["Action", "Ip", "Kind", "User"]);

    let mut version = 1;
    let mut typed = |editor: &mut Editor, line: &str| {
        version += 1;
        let text = text.replace("  <match-group", &format!("  {line}\n  <match-group"));
        change(editor, &uri, version, &text);
        proposed(editor, &uri, &behind(&text, line))
    };
    let is = |label: &str, text: &str| (label.to_owned(), text.to_owned());
    let fields = typed(&mut editor, "<json-matcher field=\"");
    assert!(fields.contains(&is("UserName", "UserName")), "{fields:?}");
    let start = "<pattern id=\"New\" type=\"JsonKeypath\"><![CDATA[";
    let path = |path: &str| format!("{start}{path}");
    assert_eq!(
        typed(&mut editor, &path("/")),
        [
            is("acme", "\"acme\""),
            is("ip", "\"ip\""),
            is("user", "\"user\""),
            is("who", "\"who\"")
        ]
    );
    assert_eq!(
        typed(&mut editor, &path("/\"us")).last(),
        Some(&is("who", "who\""))
    );
    let users = typed(&mut editor, &path("/\"who\"[?\"type\"=\"user\"]/\""));
    assert_eq!(users, [is("mail", "mail\""), is("type", "type\"")]);
    let values = typed(&mut editor, &path("/\"who\"[?\"type\"=\""));
    assert_eq!(values, [is("host", "host\""), is("user", "user\"")]);
    let text_of_regex = "<pattern id=\"New\"><![CDATA[/\"";
    assert_eq!(typed(&mut editor, text_of_regex), []);
    end(editor);
}

#[test]
fn lints_stand_beside_errors_and_bring_their_fixes() {
    let (folder, text, uri) = acme();
    let slow = text.replace(
        "<pattern id=\"Kind\"><![CDATA[\"acme\"]]>",
        "<pattern id=\"Kind\"><![CDATA[.*\"acme\"]]>",
    );
    assert_ne!(slow, text);
    let mut editor = editor();
    open(&mut editor, &uri, 1, &slow);
    assert_eq!(
        editor.findings(&uri, 1).unwrap(),
        json!([]),
        "check comes first"
    );
    let found = editor.findings(&uri, 1).unwrap();
    assert_eq!(found[0]["severity"], 2, "{found}");
    let code = found[0]["code"].as_str().unwrap();
    assert!(code.starts_with("DSM1"), "{found}");
    studied(&mut editor);
    let params = json!({
        "textDocument": {"uri": uri},
        "range": found[0]["range"],
        "context": {"diagnostics": found},
    });
    let answer = editor.ask("textDocument/codeAction", &params).unwrap();
    let edits = &answer["result"][0]["edit"]["changes"][&uri];
    assert_eq!(edits[0]["newText"], "", "{answer}");
    assert_eq!(edits[0]["range"], found[0]["range"], "{answer}");
    // The lint moves with the text until it was run again, even while there is an error.
    let moved = slow.replace(
        "  <pattern id=\"Action\"",
        "\n  <pattern id=\"Action\"/>\n  <pattern id=\"Action\"",
    );
    change(&mut editor, &uri, 2, &moved);
    let moved = editor.findings(&uri, 2).unwrap();
    let line = |found: &Value, code: &str| {
        let mut all = found.as_array().unwrap().iter();
        let found = all
            .find(|found| found["code"] == code)
            .unwrap_or_else(|| panic!("{found}"));
        found["range"]["start"]["line"].as_u64().unwrap()
    };
    assert_eq!(line(&moved, code), line(&found, code) + 2);
    assert!(
        moved
            .as_array()
            .unwrap()
            .iter()
            .any(|found| found["severity"] == 1),
        "{moved}"
    );
    drop(folder);
    end(editor);
}

#[test]
fn fixtures_and_files_that_others_change_are_seen() {
    let (folder, text, uri) = acme();
    let mut editor = editor();
    open(&mut editor, &uri, 1, &text);
    let registered = editor
        .next(|message| message["method"] == "client/registerCapability")
        .unwrap();
    assert!(
        registered.to_string().contains("**/fixtures/**"),
        "{registered}"
    );
    studied(&mut editor);
    let matcher = behind(&text, "<json-matcher field=\"UserName\"");
    let fixture = folder.file("fixtures/acme-cloud/json/second.json", login("bo"));
    let changes = json!({"changes": [{"uri": crate::lsp::uri(&fixture), "type": 1}]});
    editor
        .tell("workspace/didChangeWatchedFiles", &changes)
        .unwrap();
    studied(&mut editor);
    assert!(hover(&mut editor, &uri, &matcher).contains("`bo` from `json/second.json`"));
    fs::remove_file(fixture).unwrap();
    editor
        .tell("workspace/didChangeWatchedFiles", &changes)
        .unwrap();
    studied(&mut editor);
    assert!(hover(&mut editor, &uri, &matcher).contains("1 of 1 fixture"));

    // A file that goes away is missed, and one that is not open is told about.
    let qids = folder.at("dsm-mappings/acme-cloud/qidmap.csv");
    fs::write(&qids, "qid\n").unwrap();
    let changes = json!({"changes": [{"uri": crate::lsp::uri(&qids), "type": 2}]});
    editor
        .tell("workspace/didChangeWatchedFiles", &changes)
        .unwrap();
    let told = editor
        .next(|message| message["params"]["uri"] == crate::lsp::uri(&qids))
        .unwrap();
    assert_ne!(told["params"]["diagnostics"], json!([]), "{told}");
    fs::remove_file(&qids).unwrap();
    editor
        .tell("workspace/didChangeWatchedFiles", &changes)
        .unwrap();
    let told = editor.findings(&uri, 1).unwrap();
    let told = if told == json!([]) {
        editor.findings(&uri, 1).unwrap()
    } else {
        told
    };
    assert!(
        told[0]["message"]
            .as_str()
            .unwrap()
            .contains("qidmap.csv is missing"),
        "{told}"
    );
    end(editor);
}

#[test]
fn a_folder_that_is_closed_is_forgotten_with_what_was_told_of_it() {
    let (_folder, text, uri) = acme();
    let mut editor = editor();
    let broken = text.replace("pattern-id=\"User\"", "pattern-id=\"Usr\"");
    open(&mut editor, &uri, 1, &broken);
    assert_ne!(editor.findings(&uri, 1).unwrap(), json!([]));
    let params = json!({"textDocument": {"uri": uri}});
    editor.tell("textDocument/didClose", &params).unwrap();
    let told = editor
        .next(|message| message["params"]["uri"] == uri)
        .unwrap();
    assert_eq!(told["params"]["diagnostics"], json!([]), "{told}");
    let nothing = ask(
        &mut editor,
        "textDocument/hover",
        &uri,
        &behind(&text, "<pattern id"),
    );
    assert_eq!(nothing, Value::Null);
    // An edit of what is not open is nothing.
    change(&mut editor, &uri, 2, &text);
    end(editor);
}

#[test]
fn files_that_cannot_be_read_or_are_not_there_are_told_in_what_is_open() {
    let (folder, text, uri) = acme();
    fs::remove_file(folder.at("dsm-mappings/acme-cloud/manifest.toml")).unwrap();
    let qids = folder.file("dsm-mappings/acme-cloud/qidmap.csv", b"qid,\xff\n");
    let mut editor = editor();
    open(&mut editor, &uri, 1, &text);
    let told = editor
        .next(|message| message["params"]["uri"] == crate::lsp::uri(&qids))
        .unwrap();
    let message = told["params"]["diagnostics"][0]["message"]
        .as_str()
        .unwrap();
    assert!(message.contains("not UTF-8"), "{told}");
    let found = editor.findings(&uri, 1).unwrap();
    let message = found[0]["message"].as_str().unwrap();
    assert!(message.contains("manifest.toml is missing"), "{found}");
    // The manifest of another program is none of ours.
    let other = folder.file("other/manifest.toml", "x");
    open(&mut editor, &crate::lsp::uri(&other), 1, "x");
    change(&mut editor, &uri, 2, &text);
    editor.findings(&uri, 2).unwrap();
    end(editor);
}

#[test]
fn rubbish_is_passed_over_and_the_order_of_the_protocol_is_kept() {
    let (_folder, text, uri) = acme();
    let mut early = Editor::start(Path::new(env!("CARGO_BIN_EXE_dsmith"))).unwrap();
    let answer = early.ask("textDocument/hover", &json!({})).unwrap();
    assert_eq!(answer["error"]["code"], -32002, "{answer}");
    early.tell("exit", &Value::Null).unwrap();
    assert_eq!(
        early.wait().unwrap().code(),
        Some(1),
        "exit without shutdown"
    );

    let mut editor = editor();
    open(&mut editor, &uri, 1, &text);
    for rubbish in [
        "Content-Length: 5\r\n\r\n{\"a\":",
        "Content-Length: 4\r\n\r\n\u{e9}\u{e9}",
        "Content-Length: 2\r\n\r\n[]",
        "what is this\r\n\r\n",
    ] {
        editor.write(rubbish.as_bytes()).unwrap();
        let logged = editor
            .next(|message| message["method"] == "window/logMessage")
            .unwrap();
        assert_eq!(logged["params"]["type"], 2, "{logged}");
    }
    for method in [
        "textDocument/didOpen",
        "textDocument/didChange",
        "textDocument/didClose",
        "workspace/didChangeWatchedFiles",
        "$/cancelRequest",
        "$/setTrace",
    ] {
        for params in [json!({"nonsense": 1}), Value::Null, json!([1])] {
            editor.tell(method, &params).unwrap();
        }
    }
    let odd = json!({"textDocument": {"uri": uri}, "position": {"line": u32::MAX, "character": u32::MAX}});
    for (method, params, code) in [
        ("textDocument/rename", json!({}), -32601),
        ("textDocument/hover", json!({"textDocument": 1}), -32602),
        ("initialize", json!({"capabilities": {}}), -32600),
    ] {
        let answer = editor.ask(method, &params).unwrap();
        assert_eq!(answer["error"]["code"], code, "{answer}");
    }
    assert_eq!(
        editor.ask("textDocument/hover", &odd).unwrap()["result"],
        Value::Null
    );
    let nobody = json!({"command": "dsmith.fixtures", "arguments": [1, 2]});
    assert_eq!(
        editor.ask("workspace/executeCommand", &nobody).unwrap()["result"],
        Value::Null
    );
    // A request that was called off is answered all the same: it was answered before that was read.
    let id = editor.request("textDocument/definition", &odd).unwrap();
    editor.tell("$/cancelRequest", &json!({"id": id})).unwrap();
    editor.answer(id).unwrap();
    editor.ask("shutdown", &Value::Null).unwrap();
    let late = editor.ask("textDocument/hover", &odd).unwrap();
    assert_eq!(late["error"]["code"], -32600, "{late}");
    editor
        .tell(
            "textDocument/didClose",
            &json!({"textDocument": {"uri": uri}}),
        )
        .unwrap();
    editor.tell("exit", &Value::Null).unwrap();
    assert_eq!(editor.wait().unwrap().code(), Some(0));

    // An editor that goes away without a word.
    let gone = crate::lsp::editor();
    assert_eq!(gone.wait().unwrap().code(), Some(1));
}

#[test]
fn a_huge_text_and_many_edits_take_neither_time_nor_memory_without_end() {
    let (_folder, text, uri) = acme();
    let mut editor = editor();
    let huge = format!("{text}<!--{}-->", "x".repeat(9 << 20));
    open(&mut editor, &uri, 1, &huge);
    let found = editor.findings(&uri, 1).unwrap();
    assert!(
        found[0]["message"]
            .as_str()
            .unwrap()
            .contains("does not look at it"),
        "{found}"
    );
    let long = format!("{text}<!--{}-->", "x".repeat(1 << 20));
    for version in 2..120 {
        change(&mut editor, &uri, version, &long);
    }
    change(&mut editor, &uri, 120, &text);
    assert_eq!(editor.findings(&uri, 120).unwrap(), json!([]));
    if let Some(peak) = peak_memory(editor.process()) {
        assert!(peak < 256 << 20, "{peak} bytes");
    }
    end(editor);
}

#[test]
fn a_file_is_read_wherever_it_is_broken_off() {
    let (_folder, text, uri) = acme();
    let mut editor = editor();
    open(&mut editor, &uri, 0, &text);
    let mut version = 0;
    for (at, _) in text.char_indices().step_by(7) {
        version += 1;
        let cut = &text[..at];
        change(&mut editor, &uri, version, cut);
        let lines = cut.matches('\n').count();
        let place = json!({"line": lines, "character": 9999});
        let id = editor
            .request(
                "textDocument/completion",
                &json!({"textDocument": {"uri": uri}, "position": place}),
            )
            .unwrap();
        let answer = editor.answer(id).unwrap();
        assert!(answer["result"].is_array(), "{answer}");
        ask(&mut editor, "textDocument/hover", &uri, &place);
        lenses(&mut editor, &uri);
    }
    editor.findings(&uri, version).unwrap();
    end(editor);
}

#[test]
fn the_largest_mapping_of_all_is_answered_about_with_its_fixtures() {
    let folder = repository().canonicalize().unwrap();
    let path = folder.join("dsm-mappings/microsoft-365-defender/extension.xml");
    let text = fs::read_to_string(&path).unwrap();
    let uri = uri(path);
    let mut editor = editor();
    open(&mut editor, &uri, 1, &text);
    assert_eq!(editor.findings(&uri, 1).unwrap(), json!([]));
    studied(&mut editor);

    let hovered = hover(
        &mut editor,
        &uri,
        &behind(&text, "<pattern id=\"graph-verdict-any\""),
    );
    assert!(hovered.contains("`malicious` from `graph/"), "{hovered}");
    assert!(hovered.len() < 8000, "{hovered}");
    let matcher = behind(&text, "<json-matcher field=\"");
    let hovered = hover(&mut editor, &uri, &matcher);
    assert!(
        hovered.contains("of 3") && hovered.contains(" from `"),
        "{hovered}"
    );
    let start = "<pattern id=\"graph-verdict-any\" type=\"JsonKeypath\" dsmith:hits=\"first\"><![CDATA[/\"evidence\"[]/\"";
    let members = proposed(&mut editor, &uri, &behind(&text, start));
    assert!(
        members
            .iter()
            .any(|(label, text)| label == "verdict" && text == "verdict"),
        "{members:?}"
    );
    let ids = proposed(&mut editor, &uri, &behind(&text, "pattern-id=\""));
    assert_eq!(ids.len(), text.matches("<pattern id=\"").count());
    let lenses = lenses(&mut editor, &uri);
    let matchers = text.matches("matcher field=\"").count();
    assert!(lenses.len() > matchers, "{} of {matchers}", lenses.len());

    let broken = text.replacen("pattern-id=\"", "pattern-id=\"no-", 1);
    change(&mut editor, &uri, 2, &broken);
    let found = editor.findings(&uri, 2).unwrap();
    assert_eq!(
        found[0]["range"]["start"],
        behind(&text, "pattern-id=\""),
        "{found}"
    );
    // What the fixtures gave is still shown.
    let still = hover(&mut editor, &uri, &matcher);
    assert!(still.contains(" from `"), "{still}");
    change(&mut editor, &uri, 3, &text);
    assert_eq!(editor.findings(&uri, 3).unwrap(), json!([]));
    end(editor);
}
