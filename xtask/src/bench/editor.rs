//! `cargo xtask bench lsp`: how long an editor waits for the language server, on the largest mapping there is.

use crate::tell;
use anyhow::Context;
use authoring::snapshot::table;
use harness::Editor;
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

/// No answer may take longer.
const GOAL: Duration = Duration::from_millis(50);

/// The mapping with the most fixtures.
const MAPPING: &str = "dsm-mappings/microsoft-365-defender";

/// How often the program is started, and how often it is asked the same each time.
const STARTS: usize = 5;
const TIMES: usize = 10;

/// What was asked, and how long each answer took. What goes on in the background has no goal: nobody waits for it.
struct Waits {
    rows: Vec<(&'static str, bool, Vec<Duration>)>,
}

impl Waits {
    fn measure<T>(
        &mut self,
        what: &'static str,
        has_goal: bool,
        work: impl FnOnce() -> std::io::Result<T>,
    ) -> anyhow::Result<T> {
        let begun = Instant::now();
        let answer = work().with_context(|| format!("the language server: {what}"))?;
        let took = begun.elapsed();
        match self.rows.iter_mut().find(|(known, ..)| *known == what) {
            Some((_, _, all)) => all.push(took),
            None => self.rows.push((what, has_goal, vec![took])),
        }
        Ok(answer)
    }

    fn table(&self) -> String {
        let mut rows = vec![["WHAT", "MEDIAN", "WORST", "GOAL"].map(str::to_owned)];
        for (what, has_goal, all) in &self.rows {
            let mut all = all.clone();
            all.sort();
            let ms = |took: Option<&Duration>| {
                took.map_or_else(String::new, |took| {
                    format!("{:>7.1} ms", took.as_secs_f64() * 1000.0)
                })
            };
            let worst = all.last();
            let goal = match (has_goal, worst) {
                (true, Some(worst)) if *worst < GOAL => "below 50 ms: met",
                (true, _) => "below 50 ms: NOT MET",
                (false, _) => "none, in the background",
            };
            rows.push([
                (*what).to_owned(),
                ms(all.get(all.len() / 2)),
                ms(worst),
                goal.to_owned(),
            ]);
        }
        let mut out = String::new();
        table(&mut out, &rows);
        out
    }
}

/// What was measured, as a table; a goal that is not met is shown, not failed.
pub(super) fn run(program: &Path) -> anyhow::Result<String> {
    let folder = std::fs::canonicalize(MAPPING).with_context(|| format!("no {MAPPING}"))?;
    let path = folder.join("extension.xml");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let mut waits = Waits { rows: Vec::new() };
    for start in 1..=STARTS {
        tell(&format!("session {start} of {STARTS}\n"));
        session(
            program,
            &format!("file://{}", path.display()),
            &text,
            &mut waits,
        )?;
    }
    Ok(waits.table())
}

/// The line and column of what follows some text.
fn behind(text: &str, what: &str) -> anyhow::Result<Value> {
    let at = text
        .find(what)
        .with_context(|| format!("no {what} in the extension"))?
        + what.len();
    let line = text[..at].matches('\n').count();
    let column = at - text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    Ok(json!({"line": line, "character": column}))
}

fn session(program: &Path, uri: &str, text: &str, waits: &mut Waits) -> anyhow::Result<()> {
    let mut editor = waits.measure(
        "initialize, the start of the program included",
        true,
        || {
            let mut editor = Editor::start(program)?;
            let can = json!({"workspace": {"codeLens": {"refreshSupport": true}}});
            editor.ask("initialize", &json!({"capabilities": can}))?;
            Ok(editor)
        },
    )?;
    let editor = &mut editor;
    editor.tell("initialized", &json!({}))?;
    let of = |place: &Value| json!({"textDocument": {"uri": uri}, "position": place});
    let matcher = behind(text, "<json-matcher field=\"")?;
    let pattern = behind(text, "<pattern id=\"")?;
    let opened = Instant::now();
    let document = json!({"uri": uri, "languageId": "xml", "version": 0, "text": text});
    waits.measure("diagnostics of check after opening", true, || {
        editor.tell("textDocument/didOpen", &json!({"textDocument": document}))?;
        editor.findings(uri, 0)
    })?;
    waits.measure("hover before the fixtures were run", true, || {
        editor.ask("textDocument/hover", &of(&matcher))
    })?;
    let is_refresh = |message: &Value| message["method"] == "workspace/codeLens/refresh";
    waits.measure("lints and all fixtures after opening", false, || {
        editor.next(is_refresh)?;
        Ok(opened)
    })?;
    let path = behind(
        text,
        "<pattern id=\"graph-verdict-any\" type=\"JsonKeypath\" dsmith:hits=\"first\"><![CDATA[/\"evidence\"[]/\"",
    )?;
    let id = behind(text, "pattern-id=\"")?;
    let whole =
        json!({"start": {"line": 0, "character": 0}, "end": {"line": 9999, "character": 0}});
    for _ in 0..TIMES {
        for (what, method, params) in [
            ("hover on a matcher", "textDocument/hover", of(&matcher)),
            ("hover on a pattern", "textDocument/hover", of(&pattern)),
            ("definition", "textDocument/definition", of(&id)),
            (
                "completion of fields",
                "textDocument/completion",
                of(&matcher),
            ),
            (
                "completion of pattern ids",
                "textDocument/completion",
                of(&id),
            ),
            (
                "completion of a key path",
                "textDocument/completion",
                of(&path),
            ),
            (
                "code lenses",
                "textDocument/codeLens",
                json!({"textDocument": {"uri": uri}}),
            ),
            (
                "code actions",
                "textDocument/codeAction",
                json!({"textDocument": {"uri": uri}, "range": whole, "context": {"diagnostics": []}}),
            ),
        ] {
            let answer = waits.measure(what, true, || editor.ask(method, &params))?;
            anyhow::ensure!(
                answer["result"] != Value::Null || what == "code actions",
                "{what} is answered with nothing: {answer}"
            );
        }
    }
    edits(editor, uri, text, &of(&matcher), waits)?;
    editor.ask("shutdown", &Value::Null)?;
    editor.tell("exit", &Value::Null)?;
    Ok(())
}

/// Edits one by one, each with a question behind it, and then many at once.
fn edits(
    editor: &mut Editor,
    uri: &str,
    text: &str,
    place: &Value,
    waits: &mut Waits,
) -> anyhow::Result<()> {
    let change = |version: i32, text: &str| {
        json!({
            "textDocument": {"uri": uri, "version": version},
            "contentChanges": [{"text": text}],
        })
    };
    let mut version = 0;
    let pieces = text
        .split_once("<![CDATA[")
        .context("no CDATA in the extension")?;
    let edited = |count: usize| format!("{}<![CDATA[{}{}", pieces.0, " ".repeat(count), pieces.1);
    for count in 1..=TIMES {
        version += 1;
        let params = change(version, &edited(count));
        waits.measure("diagnostics after an edit", true, || {
            editor.tell("textDocument/didChange", &params)?;
            editor.findings(uri, version)
        })?;
        version += 1;
        let params = change(version, &edited(count + 1));
        editor.tell("textDocument/didChange", &params)?;
        waits.measure("hover right after an edit", true, || {
            editor.ask("textDocument/hover", place)
        })?;
        editor.findings(uri, version)?;
    }
    for count in 1..50 {
        version += 1;
        editor.tell("textDocument/didChange", &change(version, &edited(count)))?;
    }
    version += 1;
    let last = change(version, text);
    waits.measure(
        "diagnostics after the last of 50 edits at once",
        true,
        || {
            editor.tell("textDocument/didChange", &last)?;
            editor.findings(uri, version)
        },
    )?;
    Ok(())
}
