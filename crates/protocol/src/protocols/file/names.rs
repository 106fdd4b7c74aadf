//! What rotated files are called.

/// How the text of a file is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Gzip,
    /// Compressed in a format that is not read, by the ending of its name.
    Foreign(&'static str),
}

/// Endings of compressed files that are not read.
const FOREIGN: [&str; 11] = [
    "xz", "zst", "zstd", "bz2", "lz4", "lzma", "lzo", "br", "zip", "7z", "Z",
];

/// Words that programs put behind the name of a file that they replace.
const WORDS: [&str; 8] = [
    "old", "bak", "backup", "prev", "previous", "last", "save", "saved",
];

/// How a rotated file is named after the file that it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// With a small number, of which a smaller one is newer: `app.log.1`, `app.1.log`.
    Number(u32),
    /// With a date or a word: `app.log-20261130`, `app-2026-11-30.log`, `app.log.old`. The name does not tell the age for
    /// certain.
    Mark,
}

/// A name without the ending that a compressed file has.
pub(super) fn unpacked(name: &[u8]) -> (&[u8], Packing) {
    let Some(dot) = memchr::memrchr(b'.', name).filter(|dot| *dot > 0) else {
        return (name, Packing::Plain);
    };
    let ending = &name[dot + 1..];
    if ending.eq_ignore_ascii_case(b"gz") {
        return (&name[..dot], Packing::Gzip);
    }
    let foreign = FOREIGN.iter().find(|known| known.as_bytes() == ending);
    match foreign {
        Some(known) => (&name[..dot], Packing::Foreign(known)),
        None => (name, Packing::Plain),
    }
}

/// Whether a file with this name is, by its name, an older generation of the file `base`, and of which style.
pub(super) fn generation(base: &[u8], name: &[u8]) -> Option<Style> {
    let (name, packing) = unpacked(name);
    if let Some(rest) = name.strip_prefix(base) {
        let Some((separator, mark)) = rest.split_first() else {
            // The file itself, compressed.
            return (packing != Packing::Plain).then_some(Style::Mark);
        };
        return is_separator(*separator).then(|| suffix(mark)).flatten();
    }
    let dot = memchr::memrchr(b'.', base).filter(|dot| *dot > 0)?;
    let (stem, ending) = base.split_at(dot);
    let rest = name.strip_prefix(stem)?.strip_suffix(ending)?;
    let (separator, mark) = rest.split_first()?;
    if !is_separator(*separator) {
        return None;
    }
    // `worker-1.log` beside `worker.log` is another worker more often than an older file.
    match small_number(mark) {
        Some(number) => (*separator == b'.').then_some(Style::Number(number)),
        None => is_date(mark).then_some(Style::Mark),
    }
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'.' | b'-' | b'_')
}

/// What stands behind the whole name of the file.
fn suffix(mark: &[u8]) -> Option<Style> {
    if let Some(number) = small_number(mark) {
        return Some(Style::Number(number));
    }
    let is_word = WORDS
        .iter()
        .any(|word| mark.eq_ignore_ascii_case(word.as_bytes()));
    (is_word || is_date(mark)).then_some(Style::Mark)
}

/// A number that counts generations; longer ones are dates.
fn small_number(mark: &[u8]) -> Option<u32> {
    if mark.len() > 5 || !mark.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(mark).ok()?.parse().ok()
}

/// Six digits or more, with what stands between the parts of a date and a time.
fn is_date(mark: &[u8]) -> bool {
    let digits = mark.iter().filter(|byte| byte.is_ascii_digit()).count();
    let fits = |byte: &u8| {
        byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'+' | b'T' | b'Z')
    };
    digits >= 6 && mark.iter().all(fits)
}

/// Whether two names differ in their numbers only, as the targets of a link do that is changed with each rotation.
pub(super) fn differ_in_numbers(one: &[u8], other: &[u8]) -> bool {
    let one = without_numbers(unpacked(one).0);
    one.contains(&0) && one == without_numbers(unpacked(other).0)
}

/// The numbers of a name that begins its numbers with a year, a date or a time, and the name without them.
pub(super) fn dated(name: &[u8]) -> Option<(Vec<u8>, Vec<u128>)> {
    let mut numbers = Vec::new();
    for digits in name.split(|byte| !byte.is_ascii_digit()) {
        if digits.is_empty() {
            continue;
        }
        if numbers.is_empty() && digits.len() < 4 {
            return None;
        }
        numbers.push(std::str::from_utf8(digits).ok()?.parse().ok()?);
    }
    (!numbers.is_empty()).then(|| (without_numbers(name), numbers))
}

/// A name with a NUL for each number.
fn without_numbers(name: &[u8]) -> Vec<u8> {
    let mut skeleton: Vec<u8> = name
        .iter()
        .map(|byte| if byte.is_ascii_digit() { 0 } else { *byte })
        .collect();
    skeleton.dedup_by(|next, before| *next == 0 && *before == 0);
    skeleton
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_names_of_rotated_files_are_known() {
        for name in [
            "app.log-20261130",
            "app.log-20261130.gz",
            "app.log-2026113013",
            "app.log-20261130-13",
            "app.log-20261130-1764504000",
            "app.log.2026-11-30",
            "app.log.2026-11-30_13-00-00",
            "app.log.2026-11-30.1",
            "app.log.old",
            "app.log_20261130.xz",
            "app-20261130.log",
            "app-2026-11-30T18-30-00.000.log",
            "app.2026-11-30.3.log.gz",
            "app.log.gz",
        ] {
            let style = generation(b"app.log", name.as_bytes());
            assert_eq!(style, Some(Style::Mark), "{name}");
        }
        for (name, number) in [
            ("app.log.1", 1),
            ("app.log.0.bz2", 0),
            ("app.log-12.gz", 12),
            ("app.1.log", 1),
            ("app.2.log.gz", 2),
        ] {
            let style = generation(b"app.log", name.as_bytes());
            assert_eq!(style, Some(Style::Number(number)), "{name}");
        }
    }

    #[test]
    fn other_files_of_the_folder_are_none_of_its_generations() {
        for name in [
            "app.log",
            "app.log2",
            "app.logs",
            "app.log.swp",
            "app.log.d",
            "app-1.log",
            "app2.log",
            "app-error.log",
            "app-error.log.1",
            "error-app.log",
            "other.log.1",
            "app.log.1.tmp",
            "",
        ] {
            assert_eq!(generation(b"app.log", name.as_bytes()), None, "{name}");
        }
        assert_eq!(generation(b"syslog", b"syslog.1"), Some(Style::Number(1)));
        assert_eq!(generation(b".gz", b".gz.1"), Some(Style::Number(1)));
    }

    #[test]
    fn names_with_dates_tell_their_order_and_others_do_not() {
        let numbers = |name: &[u8]| dated(name).map(|(_, numbers)| numbers);
        assert!(numbers(b"app-20260102.log") < numbers(b"app-20260110.log"));
        assert!(numbers(b"app.log.2026-9-30") < numbers(b"app.log.2026-10-01"));
        assert!(numbers(b"app.log-20260102-1767312000") < numbers(b"app.log-20260102-1767312001"));
        assert_eq!(numbers(b"app.11-30-2026.log"), None);
        assert_eq!(numbers(b"app.log.old"), None);
    }

    #[test]
    fn targets_of_a_link_differ_in_numbers() {
        assert!(differ_in_numbers(b"app-0001.log", b"app-12.log.gz"));
        assert!(differ_in_numbers(
            b"app.host.log.INFO.20261130-120000.123",
            b"app.host.log.INFO.20261201-000000.9"
        ));
        assert!(!differ_in_numbers(b"app-0001.log", b"web-0001.log"));
        assert!(!differ_in_numbers(b"app.log", b"app.log"));
        assert!(!differ_in_numbers(b"app1", b"app"));
    }
}
