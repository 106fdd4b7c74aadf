//! Changes to the text of a file, by place: what is not touched keeps its bytes.

use dsm::diagnostic::SourceFile;
use std::ops::Range;
use std::sync::Arc;

/// A place and the text that comes there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The bytes that go.
    pub span: Range<usize>,
    /// What comes instead.
    pub text: String,
}

impl Edit {
    /// Replaces a place.
    pub fn replace(span: Range<usize>, text: impl Into<String>) -> Self {
        Self {
            span,
            text: text.into(),
        }
    }

    /// Takes a place out.
    pub fn remove(span: Range<usize>) -> Self {
        Self::replace(span, "")
    }
}

/// The text with the changes. Of changes that overlap the first in the text wins.
pub fn apply(text: &str, edits: &[Edit]) -> String {
    let mut edits: Vec<&Edit> = edits.iter().collect();
    edits.sort_by_key(|edit| (edit.span.start, edit.span.end));
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for edit in edits {
        if edit.span.start < at || text.get(edit.span.clone()).is_none() {
            continue;
        }
        out.push_str(&text[at..edit.span.start]);
        out.push_str(&edit.text);
        at = edit.span.end;
    }
    out.push_str(&text[at..]);
    out
}

/// A file under the same name with the changes.
pub fn apply_to(file: &Arc<SourceFile>, edits: &[Edit]) -> Arc<SourceFile> {
    SourceFile::new(file.name.clone(), apply(&file.text, edits))
}

/// The whole element whose start tag is given, end tag included, and its line if nothing else stands there.
pub fn element(text: &str, tag: &Range<usize>) -> Range<usize> {
    let start_tag = text.get(tag.clone()).unwrap_or_default();
    let mut end = tag.end;
    if !start_tag.trim_end().ends_with("/>") {
        let name: String = start_tag
            .trim_start_matches('<')
            .chars()
            .take_while(|c| !c.is_whitespace() && *c != '>' && *c != '/')
            .collect();
        let close = format!("</{name}");
        // What stands in CDATA is no tag.
        let mut at = tag.end;
        while let Some(rest) = text.get(at..) {
            let cdata = rest.find("<![CDATA[");
            match rest.find(&close) {
                Some(found) if cdata.is_none_or(|cdata| found < cdata) => {
                    let found = at + found;
                    end = text[found..]
                        .find('>')
                        .map_or(text.len(), |i| found + i + 1);
                    break;
                }
                _ => match cdata.and_then(|cdata| {
                    let from = at + cdata;
                    text[from..].find("]]>").map(|i| from + i + 3)
                }) {
                    Some(behind) => at = behind,
                    None => break,
                },
            }
        }
    }
    line(text, tag.start..end)
}

/// A place with its line, line break included, if only white space stands beside it.
pub fn line(text: &str, span: Range<usize>) -> Range<usize> {
    let before = text[..span.start]
        .rfind('\n')
        .map_or(0, |newline| newline + 1);
    let after = text[span.end..]
        .find('\n')
        .map_or(text.len(), |newline| span.end + newline + 1);
    let alone =
        text[before..span.start].trim().is_empty() && text[span.end..after].trim().is_empty();
    if alone { before..after } else { span }
}

/// The place of an attribute in a start tag: from the white space before it to its closing quote, and of its value.
pub fn attribute(
    text: &str,
    tag: &Range<usize>,
    name: &str,
) -> Option<(Range<usize>, Range<usize>)> {
    let source = text.get(tag.clone())?;
    let bytes = source.as_bytes();
    let mut at = source.find(|c: char| c.is_whitespace())?;
    while at < source.len() {
        let start = at;
        at += source[at..].len() - source[at..].trim_start().len();
        let name_start = at;
        let equals = at + source[at..].find('=')?;
        let found = source[name_start..equals].trim_end();
        let value =
            equals + 1 + (source[equals + 1..].len() - source[equals + 1..].trim_start().len());
        let quote = *bytes.get(value)?;
        if quote != b'"' && quote != b'\'' {
            return None;
        }
        let close = value + 1 + source[value + 1..].find(char::from(quote))?;
        if found == name {
            let shift = tag.start;
            return Some((
                shift + start..shift + close + 1,
                shift + value + 1..shift + close,
            ));
        }
        at = close + 1;
    }
    None
}

/// A text as the value of an attribute in double quotes.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '"' => out.push_str("&quot;"),
            '\t' => out.push_str("&#9;"),
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            c => out.push(c),
        }
    }
    out
}

/// A text in CDATA.
pub fn cdata(text: &str) -> String {
    format!("<![CDATA[{}]]>", text.replace("]]>", "]]]]><![CDATA[>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "<a>\n  <b x='1' y=\"</b>\"><![CDATA[</b>]]></b>\n  <c  z = \"2\" /> <d/>\n</a>\n";

    #[test]
    fn what_is_not_touched_keeps_its_bytes() {
        let edits = [
            Edit::replace(4..6, "B"),
            Edit::remove(0..3),
            Edit::replace(5..7, "no"),
        ];
        assert_eq!(apply("0123456789", &edits), "3B6789");
        assert_eq!(apply("abc", &[]), "abc");
    }

    #[test]
    fn an_element_goes_with_its_end_tag_and_its_line() {
        let tag = |name: &str| {
            let start = TEXT.find(&format!("<{name}")).unwrap();
            let end = start
                + TEXT[start..]
                    .find(if name == "b" { "><!" } else { ">" })
                    .unwrap()
                + 1;
            start..end
        };
        let without = |name: &str| apply(TEXT, &[Edit::remove(element(TEXT, &tag(name)))]);
        assert_eq!(without("b"), "<a>\n  <c  z = \"2\" /> <d/>\n</a>\n");
        assert!(without("c").contains("</b>\n   <d/>\n"), "{}", without("c"));
    }

    #[test]
    fn attributes_are_found_however_they_are_written() {
        let text = "<c  z = \"2\" y='a=b' />";
        let tag = 0..text.len();
        let (whole, value) = attribute(text, &tag, "y").unwrap();
        assert_eq!((&text[whole], &text[value]), (" y='a=b'", "a=b"));
        assert_eq!(&text[attribute(text, &tag, "z").unwrap().1], "2");
        assert_eq!(attribute(text, &tag, "x"), None);
    }

    #[test]
    fn the_end_of_cdata_can_stand_in_it() {
        assert_eq!(cdata("[a]]>"), "<![CDATA[[a]]]]><![CDATA[>]]>");
        assert_eq!(escaped("a<\"&\t"), "a&lt;&quot;&amp;&#9;");
    }
}
