//! Letters of a date format that are valid, and hardly what was meant: `mm` for the month, `DD` for the day.

use super::{DateFormat, Dialect};
use std::ops::Range;

/// A run of letters that stands for something else than its place says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// Where it stands in the pattern.
    pub span: Range<usize>,
    /// What the letter stands for.
    pub is: &'static str,
    /// What its place asks for.
    pub meant: &'static str,
    /// The letter for that.
    pub letter: char,
}

/// A run of one letter outside quotes.
struct Run {
    letter: char,
    span: Range<usize>,
}

/// The runs of letters of a pattern.
fn runs(pattern: &str) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut is_quoted = false;
    for (at, character) in pattern.char_indices() {
        if character == '\'' {
            is_quoted = !is_quoted;
        } else if !is_quoted && character.is_ascii_alphabetic() {
            match runs.last_mut() {
                Some(last) if last.letter == character && last.span.end == at => {
                    last.span.end += 1;
                }
                _ => runs.push(Run {
                    letter: character,
                    span: at..at + 1,
                }),
            }
        }
    }
    runs
}

impl DateFormat {
    /// The letters of a pattern that hardly mean what they say, in their order.
    pub fn doubts(pattern: &str, dialect: Dialect) -> Vec<Doubt> {
        let runs = runs(pattern);
        let has = |letters: &str| runs.iter().any(|run| letters.contains(run.letter));
        let is =
            |run: Option<&Run>, letters: &str| run.is_some_and(|run| letters.contains(run.letter));
        // A minute without an hour before it, beside year or day.
        let is_month = |index: usize| {
            let before = index.checked_sub(1).and_then(|before| runs.get(before));
            let behind = runs.get(index + 1);
            !is(before, "HhKk")
                && !is(behind, "sS")
                && (is(before, "yYuDd") || before.is_none() && is(behind, "yYuDd"))
        };
        let has_month = runs
            .iter()
            .enumerate()
            .any(|(index, run)| match run.letter {
                'M' | 'L' => !is(index.checked_sub(1).and_then(|at| runs.get(at)), "HhKk"),
                'm' => is_month(index),
                _ => false,
            });
        let mut doubts: Vec<Doubt> = Vec::new();
        // Whether a run stands where the minutes do: letters that are no minutes may be meant as such.
        let mut is_minute = false;
        for (index, run) in runs.iter().enumerate() {
            let before = index.checked_sub(1).and_then(|before| runs.get(before));
            let count = run.span.len();
            let was_minute = std::mem::take(&mut is_minute);
            let (meaning, meant, letter) = match run.letter {
                'm' if is_month(index) => ("the minute", "the month", 'M'),
                'm' => {
                    is_minute = true;
                    continue;
                }
                'M' if count <= 2 && is(before, "HhKk") => {
                    is_minute = true;
                    ("the month", "the minute", 'm')
                }
                'D' if !has("d") && has_month => {
                    ("the day of the year", "the day of the month", 'd')
                }
                'S' if count <= 2 && was_minute && !has("s") => {
                    ("a fraction of the second", "the second", 's')
                }
                's' if is(before, "s") => ("the second", "a fraction of the second", 'S'),
                'Y' if dialect == Dialect::SimpleDateFormat && !has("w") => (
                    "the year of the week in Java, which is another one around New Year",
                    "the year",
                    'y',
                ),
                'u' if dialect == Dialect::SimpleDateFormat && !has("yY") => {
                    ("the number of the day of the week", "the year", 'y')
                }
                _ => continue,
            };
            doubts.push(Doubt {
                span: run.span.clone(),
                is: meaning,
                meant,
                letter,
            });
        }
        doubts
    }

    /// The pattern as its [`doubts`](Self::doubts) say that it is meant.
    pub fn as_meant(pattern: &str, doubts: &[Doubt]) -> String {
        let mut meant = String::with_capacity(pattern.len());
        let mut at = 0;
        for doubt in doubts {
            meant.push_str(pattern.get(at..doubt.span.start).unwrap_or_default());
            meant.extend(std::iter::repeat_n(doubt.letter, doubt.span.len()));
            at = doubt.span.end;
        }
        meant + pattern.get(at..).unwrap_or_default()
    }

    /// Where a pattern has the day of a syslog stamp (`MMM d HH:mm:ss`, without a year) behind a single blank: such
    /// stamps pad the days from 1 to 9 with a second one, which Joda-Time does not skip.
    pub fn unpadded_day(pattern: &str) -> Option<Range<usize>> {
        let runs = runs(pattern);
        let [month, day, ..] = runs.as_slice() else {
            return None;
        };
        let is_syslog = month.letter == 'M'
            && month.span.len() > 2
            && day.letter == 'd'
            && day.span.len() <= 2
            && pattern.get(month.span.end..day.span.start) == Some(" ")
            && !runs.iter().any(|run| matches!(run.letter, 'y' | 'Y' | 'x'));
        is_syslog.then_some(month.span.start..day.span.end)
    }
}
