//! The guide for authors: its commands are run, and what they print is what it shows.
//!
//! A fenced block with `file=PATH` is that file; if it is a `diff`, the change to it. In a `console` block a line with `$ `
//! is a command, the lines after it its output, where `...` stands for any lines. With `DSMITH_UPDATE_GUIDE=1` in the
//! environment what does not hold is written anew, to be read by a person.

use crate::support::{Folder, repository};
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs};

/// A fenced block: the words behind the fence, its lines, and where it is.
struct Block<'t> {
    info: Vec<&'t str>,
    lines: Vec<&'t str>,
    line: usize,
}

impl Block<'_> {
    fn file(&self) -> Option<&str> {
        self.info.iter().find_map(|word| word.strip_prefix("file="))
    }
}

/// Either a line outside of blocks, or a block.
enum Part<'t> {
    Line(&'t str),
    Block(Block<'t>),
}

fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut block: Option<Block<'_>> = None;
    for (at, line) in text.lines().enumerate() {
        match (&mut block, line.strip_prefix("```")) {
            (None, None) => parts.push(Part::Line(line)),
            (None, Some(info)) => {
                block = Some(Block {
                    info: info.split(' ').collect(),
                    lines: Vec::new(),
                    line: at + 1,
                });
            }
            (Some(_), Some(_)) => parts.extend(block.take().map(Part::Block)),
            (Some(block), None) => block.lines.push(line),
        }
    }
    assert!(block.is_none(), "a block does not end");
    parts
}

/// The lines of a side of a difference, as text.
fn side(block: &Block<'_>, sign: char) -> String {
    let lines = block.lines.iter();
    lines
        .filter_map(|line| line.strip_prefix([' ', sign]))
        .flat_map(|line| [line, "\n"])
        .collect()
}

fn change(folder: &Path, file: &str, block: &Block<'_>) {
    let path = folder.join(file);
    let text = fs::read_to_string(&path).unwrap();
    let (old, new) = (side(block, '-'), side(block, '+'));
    let place = format!("line {}: {file}", block.line);
    assert_eq!(text.matches(&old).count(), 1, "{place}\n{old}\n{text}");
    fs::write(path, text.replacen(&old, &new, 1)).unwrap();
}

/// What a command prints, on both streams, in a shell that knows the binary as `dsmith`.
fn output(folder: &Path, command: &str) -> Vec<String> {
    let bin = Path::new(env!("CARGO_BIN_EXE_dsmith")).parent().unwrap();
    let old = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(std::iter::once(bin.to_owned()).chain(env::split_paths(&old)));
    let output = Command::new("sh")
        .args(["-c", &format!("{{ {command}\n}} 2>&1")])
        .current_dir(folder)
        .env("PATH", path.unwrap())
        .env("LC_ALL", "C")
        .env_remove("CLICOLOR_FORCE")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| line.trim_end().to_owned())
        .collect()
}

/// Whether lines are like those of the guide.
fn is_like(shown: &[&str], real: &[String]) -> bool {
    match shown.split_first() {
        None => real.is_empty(),
        Some((&"...", rest)) => (0..=real.len()).any(|skip| is_like(rest, &real[skip..])),
        Some((line, rest)) => real
            .split_first()
            .is_some_and(|(first, behind)| first == line && is_like(rest, behind)),
    }
}

#[test]
fn every_command_of_the_mapping_guide_prints_what_the_guide_shows() {
    let folder = Folder::new();
    let page = repository().join("docs/mapping-guide.md");
    let text = fs::read_to_string(&page).unwrap();
    let (mut commands, mut wrong) = (0, String::new());
    let mut updated = String::new();
    for part in parts(&text) {
        let block = match part {
            Part::Line(line) => {
                updated += &format!("{line}\n");
                continue;
            }
            Part::Block(block) => block,
        };
        let _ = writeln!(updated, "```{}", block.info.join(" "));
        if block.info[0] != "console" {
            let lines = block.lines.iter().flat_map(|line| [*line, "\n"]);
            let contents: String = lines.collect();
            match block.file() {
                Some(file) if block.info[0] == "diff" => change(folder.path(), file, &block),
                Some(file) => {
                    folder.file(file, &contents);
                }
                None => {}
            }
            updated += &contents;
        }
        let mut rest = &block.lines[..];
        while block.info[0] == "console"
            && let Some((line, behind)) = rest.split_first()
        {
            let command = line
                .strip_prefix("$ ")
                .unwrap_or_else(|| panic!("line {}: output without a command: {line}", block.line));
            let end = behind.iter().position(|line| line.starts_with("$ "));
            let (shown, behind) = behind.split_at(end.unwrap_or(behind.len()));
            rest = behind;
            commands += 1;
            let real = output(folder.path(), command);
            let is_right = is_like(shown, &real);
            let real = real.join("\n");
            let shown = shown.join("\n");
            if !is_right {
                let _ = writeln!(wrong, "$ {command}\n{real}\n-- and not\n{shown}\n");
            }
            let right = if is_right { shown } else { real };
            let _ = writeln!(updated, "$ {command}");
            if !right.is_empty() {
                let _ = writeln!(updated, "{right}");
            }
        }
        updated += "```\n";
    }
    if env::var_os("DSMITH_UPDATE_GUIDE").is_some() {
        fs::write(&page, updated).unwrap();
    }
    assert!(commands > 20, "{commands}");
    assert!(wrong.is_empty(), "{wrong}");
}
