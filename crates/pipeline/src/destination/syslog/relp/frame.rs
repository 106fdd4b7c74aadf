//! Frames of RELP: `TXNR SP COMMAND SP DATALEN [SP DATA] LF`.
//!
//! What a server sends is bounded: a frame has 128 KiB of data at most, as the specification has it for both sides, and
//! numbers and commands have their greatest lengths.

use std::io::Write as _;

/// The last transaction number. 1 follows; 0 is for hints, to which nobody answers.
pub(super) const LAST_NUMBER: u32 = 999_999_999;
const MAX_DIGITS: usize = 9;
const MAX_COMMAND: usize = 32;
const MAX_DATA: usize = 128 << 10;
/// What stands around an event in a frame at most: the number, `syslog`, the length, three blanks and the line feed.
const AROUND: usize = MAX_DIGITS + "syslog".len() + 6 + 4;
/// The longest event whose frame no server has to refuse: some count all of a frame, and some the data only.
pub(in crate::destination::syslog) const MAX_EVENT: usize = MAX_DATA - AROUND;
/// The length of a response code.
const CODE: usize = 3;

/// The transaction number after another one.
pub(super) fn next_number(number: u32) -> u32 {
    number % LAST_NUMBER + 1
}

/// Appends what stands in front of so many bytes of data. Behind them goes a line feed.
pub(super) fn write_head(number: u32, command: &str, length: usize, out: &mut Vec<u8>) {
    // Writing into a Vec does not fail.
    let _ = write!(out, "{number} {command} {length}");
    if length > 0 {
        out.push(b' ');
    }
}

/// Appends a frame.
pub(super) fn write(number: u32, command: &str, data: &str, out: &mut Vec<u8>) {
    write_head(number, command, data.len(), out);
    out.extend_from_slice(data.as_bytes());
    out.push(b'\n');
}

/// What a server says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said<'a> {
    /// The answer to a transaction: its number, the response code, and what stands behind the first line.
    Answer(u32, u16, &'a [u8]),
    /// It ends the session.
    Close,
    /// A hint that is not known, which changes nothing.
    Hint,
}

/// What is sent is not RELP.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotRelp;

/// Cuts what a server sends into frames.
#[derive(Debug, Default)]
pub(super) struct Reader {
    bytes: Vec<u8>,
    /// Where the next frame begins.
    start: usize,
}

impl Reader {
    /// Takes what was received. All frames of what was taken before have been read.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.start);
        self.start = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next frame; nothing where it is not complete.
    ///
    /// # Errors
    /// It can never be complete. Nothing behind that place can be read.
    pub(super) fn next(&mut self) -> Result<Option<Said<'_>>, NotRelp> {
        let rest = self.bytes.get(self.start..).unwrap_or_default();
        let mut cursor = Cursor { bytes: rest, at: 0 };
        match cursor.frame() {
            Ok(said) => {
                self.start += cursor.at;
                Ok(Some(said))
            }
            Err(Fault::Incomplete) => Ok(None),
            Err(Fault::NotRelp) => Err(NotRelp),
        }
    }

    /// How many bytes are held.
    #[cfg(test)]
    fn held(&self) -> usize {
        self.bytes.len() - self.start
    }
}

/// Why there is no frame.
enum Fault {
    /// More has to come.
    Incomplete,
    NotRelp,
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn frame(&mut self) -> Result<Said<'a>, Fault> {
        let number = self.number()?;
        self.skip(b' ')?;
        let command = self.token(MAX_COMMAND, u8::is_ascii_alphabetic)?;
        self.skip(b' ')?;
        let length = self.number()? as usize;
        if length > MAX_DATA {
            return Err(Fault::NotRelp);
        }
        // Where there is no data, some leave the blank out and some do not.
        if length > 0 || self.bytes.get(self.at) == Some(&b' ') {
            self.skip(b' ')?;
        }
        let data = self.bytes.get(self.at..self.at + length);
        let data = data.ok_or(Fault::Incomplete)?;
        self.at += length;
        self.skip(b'\n')?;
        match (number, command) {
            (0, b"serverclose") => Ok(Said::Close),
            (0, _) => Ok(Said::Hint),
            (_, b"rsp") => answer(number, data).ok_or(Fault::NotRelp),
            _ => Err(Fault::NotRelp),
        }
    }

    fn number(&mut self) -> Result<u32, Fault> {
        self.token(MAX_DIGITS, u8::is_ascii_digit).map(value)
    }

    /// Between one and so many bytes of a kind. It is complete when another byte follows.
    fn token(&mut self, most: usize, is_part: fn(&u8) -> bool) -> Result<&'a [u8], Fault> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let found = rest.iter().take(most + 1);
        let length = found.take_while(|byte| is_part(byte)).count();
        if length > most {
            return Err(Fault::NotRelp);
        }
        if length == rest.len() {
            return Err(Fault::Incomplete);
        }
        self.at += length;
        let token = rest.get(..length).filter(|token| !token.is_empty());
        token.ok_or(Fault::NotRelp)
    }

    /// Passes over a byte.
    fn skip(&mut self, expected: u8) -> Result<(), Fault> {
        let byte = self.bytes.get(self.at).ok_or(Fault::Incomplete)?;
        if *byte != expected {
            return Err(Fault::NotRelp);
        }
        self.at += 1;
        Ok(())
    }
}

/// The value of at most nine digits.
fn value(digits: &[u8]) -> u32 {
    let digits = digits.iter().map(|digit| u32::from(digit - b'0'));
    digits.fold(0, |value, digit| value * 10 + digit)
}

/// `CODE [SP TEXT] [LF DATA]`; nothing where it has another form.
fn answer(number: u32, data: &[u8]) -> Option<Said<'_>> {
    let (code, behind) = data.split_at_checked(CODE)?;
    let is_code = code.iter().all(u8::is_ascii_digit);
    if !is_code || !matches!(behind.first(), None | Some(b' ' | b'\n')) {
        return None;
    }
    let code = u16::try_from(value(code)).ok()?;
    let mut lines = behind.splitn(2, |byte| *byte == b'\n');
    let data = lines.nth(1).unwrap_or_default();
    Some(Said::Answer(number, code, data))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&[u8]]) -> Result<Vec<String>, NotRelp> {
        let mut reader = Reader::default();
        let mut found = Vec::new();
        for piece in pieces {
            reader.take(piece);
            while let Some(said) = reader.next()? {
                found.push(format!("{said:?}"));
            }
            assert!(reader.held() <= MAX_DATA + 64 + piece.len());
        }
        Ok(found)
    }

    #[test]
    fn frames_have_the_form_of_the_specification() {
        let mut out = Vec::new();
        write(1, "open", "relp_version=0", &mut out);
        write(2, "close", "", &mut out);
        assert_eq!(out, b"1 open 14 relp_version=0\n2 close 0\n");
        assert_eq!([0, 1, LAST_NUMBER].map(next_number), [1, 2, 1]);
    }

    #[test]
    fn the_longest_event_fills_the_largest_frame() {
        let mut out = Vec::new();
        write(LAST_NUMBER, "syslog", &"x".repeat(MAX_EVENT), &mut out);
        assert_eq!(out.len(), MAX_DATA);
    }

    #[test]
    fn answers_and_hints_are_read() {
        let text = b"1 rsp 31 200 OK\nrelp_version=0\ncommands=2 rsp 6 200 OK\n3 rsp 3 500\n0 serverclose 0\n0 other 0 \n999999999 rsp 4 200 \n";
        assert_eq!(read(&[text]), Err(NotRelp), "a length that is too short");
        let text = b"1 rsp 31 200 OK\nrelp_version=0\ncommands=\n2 rsp 6 200 OK\n3 rsp 3 500\n0 serverclose 0\n0 other 0 \n999999999 rsp 4 200 \n";
        let expected = [
            format!("{:?}", Said::Answer(1, 200, b"relp_version=0\ncommands=")),
            "Answer(2, 200, [])".to_owned(),
            "Answer(3, 500, [])".to_owned(),
            "Close".to_owned(),
            "Hint".to_owned(),
            "Answer(999999999, 200, [])".to_owned(),
        ];
        assert_eq!(read(&[text]).as_deref(), Ok(&expected[..]));
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(read(&bytes).as_deref(), Ok(&expected[..]));
    }

    #[test]
    fn what_is_not_relp_is_refused_as_soon_as_that_is_known() {
        for text in [
            "HTTP/1.1 400 Bad Request\r\n",
            "\n",
            " 1 rsp 6 200 OK\n",
            "1234567890",
            "1  rsp 6 200 OK\n",
            "1 rsp 1234567890",
            "1 rsp 999999999 ",
            "1 rsp 131073 ",
            "1 rsp -6 200 OK\n",
            "1 rsp 6 200 OKx",
            "1 rsp 0\n",
            "1 rsp 2 20\n",
            "1 rsp 6 2OO OK\n",
            "1 rsp 6 2000 K\n",
            "1 syslog 1 x\n",
            "1 aaaaaaaaaabbbbbbbbbbccccccccccddd",
            "1 r\u{e9}sp 6 200 OK\n",
        ] {
            assert_eq!(read(&[text.as_bytes()]), Err(NotRelp), "{text:?}");
        }
    }

    /// Whatever is sent, cut in whatever way, is the same frames; damaged, it is frames or a fault, and little is held.
    #[test]
    fn any_split_of_anything_reads_the_same() {
        for seed in 0..2_000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut text = Vec::new();
            for _ in 0..random.usize(1..12) {
                let rest = "x".repeat(random.usize(0..40));
                match random.u8(0..4) {
                    0 => write(0, "serverclose", "", &mut text),
                    1 => write(0, "hint", &rest, &mut text),
                    _ => {
                        let number = random.u32(1..=LAST_NUMBER);
                        let code = random.choice(["200", "500", "200 OK"]).unwrap_or("200");
                        write(number, "rsp", &format!("{code}\n{rest}"), &mut text);
                    }
                }
            }
            if random.bool() {
                for _ in 0..random.usize(1..4) {
                    let at = random.usize(0..text.len());
                    match random.u8(0..3) {
                        0 => text[at] = random.u8(..),
                        1 => text.insert(at, b"0 9\nr"[random.usize(0..5)]),
                        _ => text.truncate(at.max(1)),
                    }
                }
            }
            let whole = read(&[&text]);
            let mut pieces = Vec::new();
            let mut rest = &text[..];
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at(random.usize(1..=rest.len()));
                pieces.push(piece);
                rest = behind;
            }
            assert_eq!(read(&pieces), whole, "seed {seed}");
        }
    }
}
