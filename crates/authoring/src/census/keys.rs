//! Keys and values in text that is no JSON.

use std::ops::Range;

/// The keys of a text, each with the place of its value: the attributes of a LEEF message, else every `key=value`.
pub(crate) fn of(text: &str) -> Vec<(&str, Range<usize>)> {
    if leef::find(text).is_some()
        && let Ok(message) = leef::read(text, leef::Mode::Lenient)
    {
        let attributes = message.attributes.into_iter();
        return attributes
            .map(|attribute| (attribute.key, attribute.value_range))
            .collect();
    }
    pairs(text)
}

/// Every `key=value`. A value ends where the next key begins; separators and quotes around it do not belong to it.
fn pairs(text: &str) -> Vec<(&str, Range<usize>)> {
    let mut keys: Vec<Range<usize>> = Vec::new();
    let mut quoted = false;
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            // A quote opens behind the sign and closes wherever it is met next.
            b'"' if quoted => quoted = false,
            b'"' if at > 0 && bytes[at - 1] == b'=' => quoted = true,
            b'=' if !quoted => {
                let length = bytes[..at]
                    .iter()
                    .rev()
                    .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
                    .count();
                let is_name = bytes[at - length..at].iter().any(u8::is_ascii_alphabetic);
                if is_name {
                    keys.push(at - length..at);
                }
            }
            _ => {}
        }
    }
    let ends = keys.iter().skip(1).map(|key| key.start);
    let ends: Vec<usize> = ends.chain([text.len()]).collect();
    keys.into_iter()
        .zip(ends)
        .map(|(key, end)| {
            let start = (key.end + 1).min(end);
            let value = text[start..end].trim_end_matches([' ', ';', ',', '|', '\t', '\r', '\n']);
            let inner = value.trim_start_matches('"');
            let start = start + value.len() - inner.len();
            (&text[key], start..start + inner.trim_end_matches('"').len())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<(&str, &str)> {
        of(text)
            .into_iter()
            .map(|(key, value)| (key, &text[value]))
            .collect()
    }

    #[test]
    fn pairs_are_found_in_text_of_many_kinds() {
        assert_eq!(
            texts("<13>Nov 23 gw acme: user=alice rule=\"no web = no fun\" src=192.0.2.1"),
            [
                ("user", "alice"),
                ("rule", "no web = no fun"),
                ("src", "192.0.2.1")
            ]
        );
        assert_eq!(
            texts("CEF:0|Acme|Guard|1.0|100|logon|3|suser=bob smith msg=x"),
            [("suser", "bob smith"), ("msg", "x")]
        );
        assert_eq!(texts("a=1;b=;c=3"), [("a", "1"), ("b", ""), ("c", "3")]);
        assert_eq!(texts("nothing = here == at all"), []);
    }

    #[test]
    fn attributes_of_a_leef_message_are_its_keys() {
        assert_eq!(
            texts("LEEF:1.0|Acme|Guard|1.0|logon|src=192.0.2.1\tmsg=a=b"),
            [("src", "192.0.2.1"), ("msg", "a=b")]
        );
    }
}
