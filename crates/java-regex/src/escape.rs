//! Escape sequences: `\` and what follows it, inside character classes and outside.

use std::sync::Arc;

use super::Flags;
use super::charset::CharSet;
use super::parser::{Parsed, Parser, ascii, digit, invalid};
use super::syntax::{Assertion, Node, SyntaxError};
use super::{names, property};

/// A set of characters that is written as one.
#[derive(Clone)]
pub(crate) struct Family {
    pub(crate) set: Arc<CharSet>,
    /// Java looks for its members by single UTF-16 units, and so never in a surrogate pair.
    pub(crate) is_bmp: bool,
}

/// What an escape sequence stands for.
pub(crate) enum Escaped {
    Char(u32),
    Set(Family),
    Node(Node),
}

/// What is shown of a name that may be as long as the pattern.
const SHOWN: usize = 40;

pub(crate) fn shown(name: &str) -> String {
    match name.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &name[..at]),
        None => name.to_owned(),
    }
}

impl Parser {
    /// From the `\` of `\p` or `\P` on.
    pub(crate) fn family(&mut self) -> Parsed<Family> {
        let start = self.cursor;
        let negated = self.next_escaped() == 'P' as u32;
        let name = if self.next() == '{' as u32 {
            let from = self.cursor + 1;
            self.cursor = from;
            // In comments mode Java skips a comment here, even past the brace.
            while self.read_or_brace() != '}' as u32 {}
            if self.cursor > self.len {
                self.cursor = self.len;
                return Err(
                    invalid(self.span(start), "the property name is not closed").help("add `}`")
                );
            }
            self.text(from..self.cursor - 1)
        } else {
            self.unread();
            self.next();
            let at = self.cursor;
            self.read();
            self.text(at..at + 1)
        };
        let Flags {
            case_insensitive,
            unicode_character_class: unicode,
            ..
        } = self.flags;
        let key = (name, negated, case_insensitive, unicode);
        if let Some(known) = self.families.get(&key) {
            return Ok(known.clone());
        }
        let span = self.span(start);
        let set = match property::lookup(&key.0, case_insensitive, unicode) {
            property::Property::Set(set) => set,
            property::Property::Unknown => {
                let name = shown(&key.0);
                return Err(
                    invalid(span, format!("Java knows no property `{name}`")).help(
                        "examples: \\p{Alpha}, \\p{Lu}, \\p{IsLatin}, \\p{InGreek}, \\p{javaLowerCase}",
                    ),
                );
            }
        };
        let set = if negated { set.negate() } else { set };
        self.charge(set.ranges().len())?;
        let family = Family {
            set: self.intern(Arc::new(set)),
            is_bmp: !negated && property::is_bmp(&key.0, unicode),
        };
        self.families.insert(key, family.clone());
        Ok(family)
    }

    /// The name of a character, from behind `\N` on.
    fn named_character(&mut self, start: usize) -> Parsed<u32> {
        if self.read() != '{' as u32 {
            return Err(invalid(
                self.span(start),
                r"`\N` is not followed by the name of a character",
            )
            .help(r"write `\N{LATIN SMALL LETTER A}`, or `.` for any character"));
        }
        let from = self.cursor;
        while self.read() != '}' as u32 {
            if self.at_end() {
                return Err(
                    invalid(self.span(start), "the name of the character is not closed")
                        .help("add `}`"),
                );
            }
        }
        let name = self.text(from..self.cursor - 1);
        names::code_point(&name).ok_or_else(|| {
            invalid(
                self.span(start),
                format!("Java knows no character of the name `{}`", shown(&name)),
            )
            .help(r"write the name as Unicode 13 has it, or the code point: \x{…}")
        })
    }

    fn read_or_brace(&mut self) -> u32 {
        if self.cursor >= self.len {
            self.cursor = self.len + 1;
            return '}' as u32;
        }
        self.read()
    }

    /// An escape that starts at the cursor. `range`: it stands at either end of a possible range of a class.
    pub(crate) fn escape(&mut self, in_class: bool, range: bool) -> Parsed<Escaped> {
        let start = self.cursor;
        let c = self.skip();
        let unicode = self.flags.unicode_character_class;
        let unix = self.flags.unix_lines;
        let letter = ascii(c);
        Ok(match letter {
            '0' => Escaped::Char(self.octal(start)?),
            'x' => Escaped::Char(self.hexadecimal(start)?),
            'u' => Escaped::Char(self.unicode(start)?),
            'c' if self.at_end() => {
                return Err(invalid(
                    self.span(start),
                    "`\\c` is not followed by a character",
                ));
            }
            'c' => Escaped::Char(self.read() ^ 64),
            'a' => Escaped::Char(7),
            'e' => Escaped::Char(27),
            'f' => Escaped::Char(12),
            'n' => Escaped::Char(10),
            'r' => Escaped::Char(13),
            't' => Escaped::Char(9),
            'v' if range => Escaped::Char(11),
            'd' | 'h' | 's' | 'v' | 'w' | 'D' | 'H' | 'S' | 'V' | 'W' => {
                Escaped::Set(self.predefined(letter, unicode))
            }
            'N' => Escaped::Char(self.named_character(start)?),
            _ if !letter.is_ascii_alphanumeric() => {
                if self.cursor > self.len {
                    self.cursor = self.len;
                    return Err(invalid(self.span(start), "`\\` at the end of the pattern")
                        .help(r"write `\\` for a backslash"));
                }
                Escaped::Char(c)
            }
            _ if in_class => return Err(self.unknown_escape(start, letter, true)),
            '1'..='9' => self.numbered_reference(c - '0' as u32),
            'A' => Escaped::Node(Node::Assert(Assertion::TextStart)),
            'z' => Escaped::Node(Node::Assert(Assertion::TextEnd)),
            'Z' => Escaped::Node(Node::Assert(Assertion::LineEnd {
                unix,
                multiline: false,
            })),
            'G' => Escaped::Node(Node::Assert(Assertion::SearchStart)),
            'B' => Escaped::Node(Node::Assert(Assertion::Word {
                negated: true,
                unicode,
            })),
            'b' => {
                if self.peek() == '{' as u32 && self.raw(1) == 'g' as u32 {
                    self.skip();
                    if self.read() != '}' as u32 {
                        return Err(
                            invalid(self.span(start), r"`\b{g` is not closed").help("add `}`")
                        );
                    }
                    Escaped::Node(Node::Assert(Assertion::Cluster))
                } else {
                    Escaped::Node(Node::Assert(Assertion::Word {
                        negated: false,
                        unicode,
                    }))
                }
            }
            'R' => Escaped::Node(Node::LineBreak),
            'X' => Escaped::Node(Node::Grapheme),
            'k' => {
                if self.read() != '<' as u32 {
                    return Err(invalid(self.span(start), r"`\k` is not followed by `<`")
                        .help(r"write `\k<name>`"));
                }
                let first = self.read();
                let name = self.group_name(start, first)?;
                let Some(&group) = self.names.get(&name) else {
                    return Err(invalid(
                        self.span(start),
                        format!("there is no group `{}` before this reference", shown(&name)),
                    )
                    .help("a named group must be opened before it is referred to"));
                };
                Escaped::Node(Node::BackReference {
                    group,
                    fold: self.fold(),
                })
            }
            _ => return Err(self.unknown_escape(start, letter, false)),
        })
    }

    /// The set of `\d` and its likes.
    fn predefined(&mut self, letter: char, unicode: bool) -> Family {
        let key = (format!("\\{letter}"), false, false, unicode);
        if let Some(known) = self.families.get(&key) {
            return known.clone();
        }
        let set = property::escape(letter.to_ascii_lowercase(), unicode);
        let negated = letter.is_ascii_uppercase();
        let family = Family {
            set: if negated {
                self.intern(Arc::new(set.negate()))
            } else {
                set
            },
            is_bmp: !negated && (!unicode || matches!(letter, 'h' | 'v')),
        };
        self.families.insert(key, family.clone());
        family
    }

    fn unknown_escape(&self, start: usize, letter: char, in_class: bool) -> SyntaxError {
        let place = if in_class {
            " in a character class"
        } else {
            ""
        };
        let help = match letter {
            'K' => "use a look-behind or a capturing group".to_owned(),
            'g' => r"write `\1` or `\k<name>`".to_owned(),
            'b' if in_class => r"write `\x08` for a backspace".to_owned(),
            _ => format!("write `{letter}` without the backslash if you mean the character"),
        };
        invalid(
            self.span(start),
            format!(r"Java has no escape `\{letter}`{place}"),
        )
        .help(help)
    }

    fn numbered_reference(&mut self, first: u32) -> Escaped {
        let mut group = first as usize;
        while let Some(digit) = digit(self.peek(), 10) {
            let longer = group * 10 + digit as usize;
            if longer > self.groups {
                break;
            }
            group = longer;
            self.read();
        }
        Escaped::Node(Node::BackReference {
            group,
            fold: self.fold(),
        })
    }

    fn octal(&mut self, start: usize) -> Parsed<u32> {
        let first = self.read();
        let Some(mut value) = digit(first, 8) else {
            return Err(
                invalid(self.span(start), r"`\0` is not followed by an octal digit")
                    .help(r"write `\0` and one to three octal digits, or `\x00` for NUL"),
            );
        };
        let most = if value <= 3 { 3 } else { 2 };
        for _ in 1..most {
            match digit(self.read(), 8) {
                Some(digit) => value = value * 8 + digit,
                None => {
                    self.unread();
                    break;
                }
            }
        }
        Ok(value)
    }

    fn hexadecimal(&mut self, start: usize) -> Parsed<u32> {
        let refuse = |parser: &Parser, message: &str| {
            Err(invalid(parser.span(start), message)
                .help(r"write `\x` and two hexadecimal digits, or `\x{…}`"))
        };
        let first = self.read();
        if let Some(high) = digit(first, 16) {
            return match digit(self.read(), 16) {
                Some(low) => Ok(high * 16 + low),
                None => refuse(self, "a hexadecimal escape needs two digits"),
            };
        }
        if first != '{' as u32 || digit(self.peek(), 16).is_none() {
            return refuse(self, "the hexadecimal escape has no digits");
        }
        let mut value = 0u32;
        loop {
            let c = self.read();
            match digit(c, 16) {
                Some(digit) => value = (value << 4) + digit,
                None if c == '}' as u32 => return Ok(value),
                None => return refuse(self, "the hexadecimal escape is not closed"),
            }
            if value > super::charset::MAX {
                return refuse(self, "there is no such code point");
            }
        }
    }

    fn unicode(&mut self, start: usize) -> Parsed<u32> {
        let first = self.four_digits(start)?;
        if (0xD800..0xDC00).contains(&first) {
            let back = self.cursor;
            if self.read() == '\\' as u32 && self.read() == 'u' as u32 {
                let second = self.four_digits(start)?;
                if (0xDC00..0xE000).contains(&second) {
                    return Ok(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00));
                }
            }
            self.cursor = back;
        }
        Ok(first)
    }

    fn four_digits(&mut self, start: usize) -> Parsed<u32> {
        let mut value = 0;
        for _ in 0..4 {
            match digit(self.read(), 16) {
                Some(digit) => value = value * 16 + digit,
                None => {
                    return Err(
                        invalid(self.span(start), r"`\u` needs four hexadecimal digits")
                            .help(r"write `\u00e9`, or `\x{…}` for other lengths"),
                    );
                }
            }
        }
        Ok(value)
    }
}
