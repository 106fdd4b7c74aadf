//! Text inside XML and HTML.

/// A text that can stand between tags and in attributes. Characters that XML 1.0 does not allow become U+FFFD.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn nothing_in_a_text_ends_the_element_or_breaks_the_document() {
        assert_eq!(
            escape("<a b=\"&\">\u{1b}[2J\r\n"),
            "&lt;a b=&quot;&amp;&quot;&gt;\u{fffd}[2J\u{fffd}\n"
        );
    }
}
