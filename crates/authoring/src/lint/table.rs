//! What each lint looks at, for the pages of the documentation.

use dsm::diagnostic::Code;

/// A lint.
#[derive(Debug, Clone, Copy)]
pub struct Lint {
    /// Its code.
    pub code: Code,
    /// When it speaks, exactly.
    pub rule: &'static str,
    /// What to do.
    pub remedy: &'static str,
    /// The extension, or another file, of the example.
    pub example: &'static str,
    /// The language of the example.
    pub language: &'static str,
    /// What the lint says about it.
    pub report: &'static str,
    /// What its fix does, and the difference in the example.
    pub fix: Option<(&'static str, &'static str)>,
}

macro_rules! lints {
    ($($code:ident = $folder:literal / $file:literal $language:literal
        rule: $rule:literal
        remedy: $remedy:literal
        $(fix: $fix:literal)?;)*) => {
        /// Every lint, in the order of the codes.
        pub const LINTS: &[Lint] = &[$(Lint {
            code: Code::$code,
            rule: $rule,
            remedy: $remedy,
            example: include_str!(concat!("../../../../fixtures/_invalid/", $folder, "/", $file)),
            language: $language,
            report: include_str!(concat!("../../../../fixtures/_invalid/", $folder, "/report.snap")),
            fix: lints!(@fix $folder $($fix)?),
        },)*];
    };
    (@fix $folder:literal) => { None };
    (@fix $folder:literal $fix:literal) => {
        Some((
            $fix,
            include_str!(concat!("../../../../fixtures/_invalid/", $folder, "/fixed.snap")),
        ))
    };
}

lints! {
    RegexExponential = "DSM101-repetition-in-a-repetition" / "extension.xml" "xml"
        rule: "For each part of the expression that repeats, texts are made that lead to it, feed it and then fail. The matcher is run on them, and counts its steps. The lint speaks if a text of at most 4,096 bytes uses up the budget of steps (the option `regex-step-budget`), and each further repetition multiplies the steps. Since Java 9 the outermost loop of an expression remembers where it has failed; since nobody documents which Java a QRadar runs on, the steps are counted without that memory first, and the report gives both numbers. That no text is found proves nothing."
        remedy: "Let only one part of the expression take each character. `(?:\\w+\\s?)*` can take `abc` as one word or as three; `(?:\\w+\\s)*\\w*` cannot. A possessive quantifier (`*+`, `++`) or an atomic group `(?>...)` gives nothing back, where nothing has to be given back.";
    RegexPolynomial = "DSM102-three-runs-of-the-same-characters" / "extension.xml" "xml"
        rule: "As DSM101, for expressions whose steps grow with a power of the length. The lint speaks if a text of at most 4,096 bytes uses up the budget. dsmith itself runs most of these expressions on an engine that needs time in proportion to the text; QRadar has none."
        remedy: "Begin with `^`, so that one place is tried instead of all. Let neighbours take different characters: `[^;]*;` instead of `.*;`. Make a repetition possessive.";
    RegexLeadingDot = "DSM103-lazy-run-before-the-key" / "extension.xml" "xml"
        rule: "An expression over the payload begins with `.*`, `.+` or a lazy or possessive kin, and something follows. Expressions within a value are left in peace, because values are short."
        remedy: "An expression is looked for everywhere anyway. Without `.*?` it finds the same. Without a greedy `.*` it finds the first place of the line instead of the last; if the last is meant, anchor it with `^`."
        fix: "Removes `.*?` where all matchers take a group or yield a constant, and `.*` where all yield a constant.";
    MatcherNeverWins = "DSM104-narrow-behind-wide" / "extension.xml" "xml"
        rule: "A matcher that is tried earlier for the same field reads the very same; or it yields a constant, and its expression is certainly found wherever that of the later one is: it is a part of it, or takes anything. The same for event-match-multiple, and for match groups behind one whose event name is found in every payload. What cannot be proved by the expressions alone is not reported. An index of the letters in the expressions says which of them are worth a comparison, so most mappings take a few for each expression; after 40,000,000 steps of comparing, a finding says which matchers were left out."
        remedy: "Give the narrower expression the lower order. If the later matcher is a left-over, remove it."
        fix: "Removes the matcher or modifier that never wins, and its pattern if nothing else uses it.";
    PatternRepeated = "DSM105-same-expression-twice" / "extension.xml" "xml"
        rule: "Two patterns have the same type, text, flags and attributes."
        remedy: "Keep one, and name it in all matchers."
        fix: "Names the first pattern everywhere, and removes the second.";
    EditorConstruct = "DSM106-flag-for-all-characters" / "extension.xml" "xml"
        rule: "A regular expression has inline flags other than `(?i)` at its very beginning. IBM's documents say that the DSM Editor takes no other, and that the file has to be edited for them. QRadar itself runs them."
        remedy: "`(?s).` is `[\\s\\S]`, and `(?m)^` is `(?:^|\\n)` where a line break may be taken along. Or allow the finding: the mapping is maintained as a file.";
    JsonByRegex = "DSM107-member-by-expression" / "extension.xml" "xml"
        rule: "An expression has the form `\"name\":\"(value)\"`, all its matchers take group 1, and the payloads of the corpus in which it is found are JSON (or there is no corpus)."
        remedy: "Use a key path. It finds the member where it stands and nowhere else, undoes escapes, and costs next to nothing."
        fix: "Writes the key path at which the value stands in every payload of the corpus that has it, and uses json-matcher. Without a corpus there is no fix.";
    EventMappingUnreachable = "DSM108-event-id-without-matcher" / "event-mappings.csv" "csv"
        rule: "All matchers for EventName yield constants, no modifier puts another name in their place, and none of the constants is the event ID of the row. (That nothing leads to a QID is DSM058, that a category does not exist DSM054; `dsmith check` reports both.)"
        remedy: "Mend the spelling, remove the row, or add the matcher.";
    SeverityDisagrees = "DSM109-high-severity-in-a-harmless-category" / "qidmap.csv" "csv"
        rule: "IBM states a severity for some low-level categories. The lint speaks if that of the QID record is 4 or more away from it."
        remedy: "Most often the category is too general: a category that means what the event means has its severity. If the source gives a severity of its own, allow the finding.";
    HitsInexpressible = "DSM110-filter-in-a-key-path" / "extension.xml" "xml"
        rule: "A pattern has `dsmith:hits`, and its key path has a filter or finds several values. `dsmith export` leaves out what uses it."
        remedy: "A position (`[0]`) is exact if the source always writes the list in the same order. Otherwise it is a loss on the way to QRadar: allow it with a reason.";
    WithinInexpressible = "DSM111-expression-within-a-key-path" / "extension.xml" "xml"
        rule: "A pattern has `dsmith:within`, and no single expression over the payload is certain to find the same. It is certain if the outer pattern is an expression that ends in `(.*)` or `(.+)`, and the inner one an expression, a name of a name-value pair or a position in a list; see [the export](../export.md)."
        remedy: "Write the outer pattern as an expression of that form, or the two as one expression by hand.";
    AllowUnused = "DSM112-allow-without-finding" / "manifest.toml" "toml"
        rule: "An `[[allow]]` of the manifest allows no finding."
        remedy: "Remove it."
        fix: "Removes the table.";
    FixtureUnclean = "DSM113-address-of-somebody" / "payloads.log" "text"
        rule: "A fixture of the log source type holds a secret (a token, a key, a password, a connection string), or an address, a MAC address, a mail address or a domain that may be somebody's. Clean are addresses of the documentation (RFC 5737, RFC 3849) and for benchmarks (RFC 2544); of private networks (RFC 1918, RFC 6598, RFC 4193), of a link, loopback, multicast and masks, because they name nobody, and a mapping may have to tell internal hosts from others; MAC addresses of the documentation (RFC 7042) and those that dsmith anonymize gives; example domains (RFC 2606), contoso.com and fabrikam.com, and domains of vendors whose interfaces everybody names. An IPv6 address that was made of a MAC address counts as one of the machine. Payloads of `--corpus` are no fixtures and are left in peace. Names of people and machines cannot be told from other words, and are not judged."
        remedy: "`dsmith anonymize fixtures/<slug> --in-place` replaces everything but secrets; then read the snapshots with `dsmith test`, and take them over with `--accept`. Take a secret out by hand, and revoke it if it was ever good.";
    DateLetterDoubtful = "DSM114-letters-of-the-wrong-case" / "extension.xml" "xml"
        rule: "A format in `ext-data` or `datetime_format` has a letter in a place that asks for another one: `mm` beside year or day without an hour before it, `MM` behind the hour, `D` beside a month without a `d`, `SS` behind the minute without an `s`, a second `s` behind the first. In `datetime_format`, which is Java's, also `Y` without a week, and `u` without a `y`."
        remedy: "Write the letter that the report names. There is no fix, because the events change with it: `yyyy-MM-DD` reads `2026-11-23` as January 23.";
    DateDayUnpadded = "DSM115-days-padded-with-a-blank" / "extension.xml" "xml"
        rule: "A format in `ext-data` begins with the name of the month, a single blank and the day, and has no year: the time stamp of syslog, which writes `Mar  4` with two blanks. No other matcher of the group has the same format with two blanks, and the option `date-blanks` is not `skipped`."
        remedy: "Add a matcher with the next order whose format has two blanks and a single `d`; or leave `ext-data` out, because dsmith and QRadar recognise the stamp without a format. If the source writes `Mar 04` or `Mar 4`, allow the finding.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_lint_once_and_in_order() {
        let table: Vec<Code> = LINTS.iter().map(|lint| lint.code).collect();
        let codes: Vec<Code> = Code::ALL
            .iter()
            .copied()
            .filter(|code| code.is_lint())
            .collect();
        assert_eq!(table, codes);
    }
}
