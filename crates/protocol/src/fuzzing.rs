//! Parts of this crate that read what strangers send, for those who attack them. Not a part of its interface.

use crate::kafka::unwrap::{Tables, unwrap};
use crate::protocols::syslog::framing::{Decoder, Framing};

/// Messages of one connection that comes in pieces; `None` at the end where the framing was lost. `how` chooses the
/// framing: 0 and 3 recognize it, 1 is lines, 2 octet counting.
pub fn syslog_messages<'p>(
    pieces: impl IntoIterator<Item = &'p [u8]>,
    how: u8,
    max_payload: usize,
) -> Vec<Option<Box<[u8]>>> {
    let framing = match how {
        1 => Framing::Newline,
        2 => Framing::OctetCounting,
        _ => Framing::Auto,
    };
    let mut decoder = Decoder::new(framing, max_payload);
    let mut messages = Vec::new();
    for piece in pieces {
        if decoder.push(piece, &mut messages).is_err() {
            let mut out: Vec<_> = messages.into_iter().map(Some).collect();
            out.push(None);
            return out;
        }
    }
    decoder.finish(&mut messages);
    messages.into_iter().map(Some).collect()
}

/// Events in the body of a record of the Streaming API.
pub fn unwrap_envelope(body: &[u8]) -> Vec<Box<[u8]>> {
    unwrap(body, &Tables::default()).payloads
}
