//! The syslog header in front of a payload: just enough of it to find the host.

use crate::extract::Span;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// The host field of an RFC 3164 or RFC 5424 header at the start of the text.
pub(crate) fn host(text: &str) -> Option<Span> {
    let mut rest = text;
    let mut prioritised = false;
    if let Some(after) = rest.strip_prefix('<') {
        let end = find(after, b'>')?;
        let (priority, tail) = (&after[..end], &after[end + 1..]);
        if priority.is_empty()
            || priority.len() > 3
            || !priority.bytes().all(|b| b.is_ascii_digit())
        {
            return None;
        }
        rest = tail;
        prioritised = true;
    }
    let rest = match rest.strip_prefix("1 ") {
        // RFC 5424 does not allow its header without a priority.
        Some(versioned) if prioritised => after_word(versioned)?,
        None if MONTHS.iter().any(|month| rest.starts_with(month)) => {
            // `Nov 23 10:00:00`, in some devices with the year behind the day.
            let day = after_word(rest)?;
            let next = after_word(day)?;
            let time = if next
                .split(' ')
                .next()
                .is_some_and(|w| w.len() == 4 && !w.contains(':'))
            {
                after_word(next)?
            } else {
                next
            };
            if !time.split(' ').next()?.contains(':') {
                return None;
            }
            after_word(time)?
        }
        None if rest.as_bytes().first().is_some_and(u8::is_ascii_digit)
            && rest.as_bytes().get(10) == Some(&b'T') =>
        {
            after_word(rest)?
        }
        _ => return None,
    };
    let start = rest.as_ptr() as usize - text.as_ptr() as usize;
    let word = &rest[..find(rest, b' ')?];
    // Some devices end the host with a colon.
    let length = word.strip_suffix(':').unwrap_or(word).len();
    (length > 0).then(|| Span::new(start, start + length))
}

/// Where an ASCII character stands.
fn find(text: &str, byte: u8) -> Option<usize> {
    memchr::memchr(byte, text.as_bytes())
}

/// What follows the first word and the blanks behind it.
fn after_word(text: &str) -> Option<&str> {
    let end = find(text, b' ')?;
    Some(text[end..].trim_start_matches(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_found_in_both_headers_and_nowhere_else() {
        let host = |text| host(text).map(|span| span.of(text));
        assert_eq!(
            host("<13>Jan 18 11:07:53 192.168.1.1 LEEF:1.0"),
            Some("192.168.1.1")
        );
        assert_eq!(host("Jan  8 11:07:53 myhost x: y"), Some("myhost"));
        assert_eq!(
            host("<13>Jan 18 2026 11:07:53 10.0.0.1 x"),
            Some("10.0.0.1")
        );
        assert_eq!(
            host("<13>1 2019-01-18T11:07:53.520Z 2001:db8::1 a b c"),
            Some("2001:db8::1")
        );
        assert_eq!(
            host("<13>2019-01-18T11:07:53.520+07:00 h tag: x"),
            Some("h")
        );
        assert_eq!(
            host("<189>Nov 23 10:00:00 10.0.0.1: %ASA-1: x"),
            Some("10.0.0.1")
        );
        for none in [
            "1 accept 10.9.9.9 tcp",
            "",
            "{\"a\":1}",
            "<13>",
            "<1x>Jan 1 00:00:00 h x",
            "January is cold today",
            "<13>1 x",
        ] {
            assert_eq!(host(none), None, "{none}");
        }
    }
}
