//! Random patterns and texts, the same for the same seed.

pub(crate) struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        // SplitMix64
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }
}

const CHARS: &[&str] = &["a", "b", "a", "b", "a", "b", "A", "1", " ", "é", "\n", "\r"];
const TEXT: &[&str] = &[
    "a", "b", "a", "b", "a", "b", "A", "B", "1", " ", "é", "É", "\n", "\r", "\r\n", "-", "_",
    "\u{85}", "k", "\u{301}",
];
const ESCAPES: &[&str] = &[
    r"\d",
    r"\w",
    r"\s",
    r"\h",
    r"\v",
    r"\D",
    r"\W",
    r"\S",
    r"\H",
    r"\V",
    r"\x61",
    r"\u0061",
    r"\n",
    r"\r",
    r"\-",
    r"\_",
    r"\0141",
    r"\p{L}",
    r"\p{Lu}",
    r"\P{Lower}",
    r"\p{Alpha}",
    r"\p{javaLowerCase}",
    r"\p{IsAlphabetic}",
    r"\pL",
    r"\x{e9}",
    r"\cA",
    r"\e",
    r"\t",
    r"\p{IsLatin}",
    r"\p{Punct}",
];
const PLACES: &[&str] = &["^", "$", r"\b", r"\B", r"\A", r"\z", r"\Z", r"\G"];
const QUANTIFIERS: &[&str] = &[
    "?", "*", "+", "*", "+", "{2}", "{1,2}", "{0,1}", "{1,}", "{0,2}", "{2,3}", "{0}", "{1}",
    "{0,}",
];
const NOISE: &[&str] = &[
    "{", "}", "[", "]", "(", ")", "?", "*", "+", "\\", "|", "^", "&&", "-", "(?", "{2}", "{,2}",
    r"\Q", r"\E", r"\k<n>", r"\8", "(?P<n>", "(?<n_>", r"\y", r"\x", r"\08", "(?i", "#", "(?-",
    ":", "[^", "[]", "]]", "[&&", "a-", r"\p{", r"\c",
];
const WORDS: &[&str] = &["ab-1", "bab", "Ab1 ", "aé", "kK", "-ba", "^ab", "1 a"];
const FLAGS: &[&str] = &[
    "", "", "", "", "", "", "i", "i", "iu", "m", "s", "d", "dm", "U", "x", "iU", "ms", "ix",
];

/// A pattern, its flags, and a text of up to so many pieces.
pub(crate) fn case(seed: u64, pieces: usize) -> (String, &'static str, String) {
    let mut random = Random(seed);
    let mut pattern = String::new();
    let loops = random.chance(40);
    let mut maker = Maker {
        random: &mut random,
        groups: 0,
        named: false,
        loops,
        pairs: false,
    };
    maker.alternation(&mut pattern, 3);
    if random.chance(40) {
        // With a text in it, as most patterns of log sources.
        let at = random.below(pattern.len() + 1);
        if pattern.is_char_boundary(at) {
            pattern.insert_str(at, random.of(WORDS));
        }
    }
    let flags = random.of(FLAGS);
    let mut text = String::new();
    for _ in 0..random.below(pieces) {
        let pieces = if random.chance(20) { WORDS } else { TEXT };
        text.push_str(random.of(pieces));
    }
    (pattern, flags, text)
}

/// What looks for characters that Java knows as two halves, and at the places between and inside them.
const PAIR_ATOMS: &[&str] = &[
    ".",
    ".",
    "😀",
    r"\x{1F600}",
    "[^a]",
    r"\X",
    r"\b{g}",
    r"\S",
    "[😀a]",
    r"\B",
    "(?<=.)",
    "(?<!.)",
    "(?<=a.)",
    "(?<=.{1,2})",
    "(?<=😀)",
    "(?<!^)",
    "(?!^)",
    r"\uDE00",
    r"[\uD800-\uDFFF]",
    "(.)",
    r"\p{L}",
];
const PAIR_TEXT: &[&str] = &[
    "😀",
    "😀",
    "😀",
    "a",
    "b",
    "A",
    " ",
    "é",
    "\u{301}",
    "𝒳",
    "\u{1E8D0}",
    "\n",
    "\u{200D}",
    "👩",
    "🇩",
    "🇪",
];

/// The same with texts that hold surrogate pairs.
pub(crate) fn pair_cases(seed: u64, patterns: usize, escape: fn(&str) -> String) -> String {
    let mut lines = String::new();
    let mut random = Random(seed);
    for _ in 0..patterns {
        let mut pattern = String::new();
        // What fails at the beginning makes Java look into the first pair.
        pattern.push_str(random.of(&["", "", "(?!^)", "(?<!^)"]));
        let mut maker = Maker {
            random: &mut random,
            groups: 0,
            named: false,
            loops: false,
            pairs: true,
        };
        maker.alternation(&mut pattern, 2);
        let flags = random.of(FLAGS);
        for _ in 0..3 {
            let length = random.below(7);
            let text: String = (0..length).map(|_| random.of(PAIR_TEXT)).collect();
            lines.push_str(&format!(
                "{}\t{flags}\t{}\n",
                escape(&pattern),
                escape(&text)
            ));
        }
    }
    lines
}

/// Lines for the oracle: so many patterns with a few texts each.
pub(crate) fn cases(seed: u64, patterns: usize, escape: fn(&str) -> String) -> String {
    let mut lines = String::new();
    let mut random = Random(seed);
    for _ in 0..patterns {
        let mut pattern = String::new();
        // Every other pattern is all about groups and loops.
        let loops = random.chance(50);
        let mut maker = Maker {
            random: &mut random,
            groups: 0,
            named: false,
            loops,
            pairs: false,
        };
        maker.alternation(&mut pattern, if loops { 4 } else { 3 });
        if random.chance(6) {
            let at = random.below(pattern.len() + 1);
            if pattern.is_char_boundary(at) {
                pattern.insert_str(at, random.of(NOISE));
            }
        }
        let flags = random.of(FLAGS);
        for _ in 0..3 {
            let mut text = String::new();
            for _ in 0..random.below(if loops { 14 } else { 10 }) {
                text.push_str(if loops {
                    random.of(&["a", "b"])
                } else {
                    random.of(TEXT)
                });
            }
            lines.push_str(&format!(
                "{}\t{flags}\t{}\n",
                escape(&pattern),
                escape(&text)
            ));
        }
    }
    // A line that is all blank or looks like a comment is not a case for the oracle.
    lines
        .lines()
        .filter(|line| !line.starts_with("# "))
        .map(|line| format!("{line}\n"))
        .collect()
}

struct Maker<'a> {
    random: &'a mut Random,
    groups: usize,
    named: bool,
    loops: bool,
    pairs: bool,
}

impl Maker<'_> {
    fn alternation(&mut self, out: &mut String, depth: usize) {
        self.sequence(out, depth);
        while self.random.chance(22) {
            out.push('|');
            self.sequence(out, depth);
        }
    }

    fn sequence(&mut self, out: &mut String, depth: usize) {
        for _ in 0..self.random.below(4) {
            self.atom(out, depth);
            if self.random.chance(40) {
                out.push_str(self.random.of(QUANTIFIERS));
                out.push_str(self.random.of(&["", "", "", "?", "+"]));
            }
        }
    }

    fn atom(&mut self, out: &mut String, depth: usize) {
        if self.pairs && self.random.chance(35) {
            return out.push_str(self.random.of(PAIR_ATOMS));
        }
        if self.loops && (depth == 0 || self.random.chance(30)) {
            return out.push_str(
                self.random
                    .of(&["a", "b", "a", "b", "[ab]", ".", "$", r"\b", r"\1", r"\2"]),
            );
        }
        match self.random.below(if depth == 0 { 60 } else { 100 }) + if self.loops { 60 } else { 0 }
        {
            0..30 => out.push_str(self.random.of(CHARS)),
            30..34 => out.push('.'),
            34..42 => self.class(out, 2),
            42..48 => out.push_str(self.random.of(ESCAPES)),
            48..53 => out.push_str(self.random.of(PLACES)),
            53..55 => out.push_str(r"\R"),
            55..57 => out.push_str(self.random.of(&[
                "(?i)", "(?-i)", "(?iu)", "(?s)", "(?m)", "(?d)", "(?x)", "(?U)", "(?-U)", "(?u-i)",
            ])),
            57 => out.push_str(self.random.of(&[r"\Qa\E", r"\Q1b\E", r"\Qa*\E", r"\Qab\E"])),
            58..60 => {
                if self.groups > 0 && self.random.chance(80) {
                    if self.named && self.random.chance(30) {
                        out.push_str(r"\k<n>");
                    } else {
                        let group = 1 + self.random.below(self.groups);
                        out.push_str(&format!("\\{group}"));
                    }
                }
            }
            60..74 | 100..140 => {
                self.groups += 1;
                if !self.named && self.random.chance(15) {
                    self.named = true;
                    out.push_str("(?<n>");
                } else {
                    out.push('(');
                }
                self.alternation(out, depth - 1);
                out.push(')');
            }
            _ => {
                out.push_str(self.random.of(&[
                    "(?:", "(?:", "(?:", "(?:", "(?>", "(?=", "(?!", "(?<=", "(?<!", "(?i:",
                    "(?iu:", "(?m:", "(?s-i:",
                ]));
                self.alternation(out, depth - 1);
                out.push(')');
            }
        }
    }

    fn class(&mut self, out: &mut String, depth: usize) {
        out.push_str(self.random.of(&["[", "[", "[^"]));
        for _ in 0..1 + self.random.below(4) {
            match self.random.below(12) {
                0..5 => out.push_str(self.random.of(CHARS)),
                5..7 => out.push_str(
                    self.random
                        .of(&["a-b", "A-Z", "a-c", "0-9", "à-ü", "!-~", r"\x61-b", "I-k"]),
                ),
                7..9 => out.push_str(self.random.of(ESCAPES)),
                9 if depth > 0 => self.class(out, depth - 1),
                10 => out.push_str("&&"),
                _ => out.push_str(self.random.of(&["-", "&", "^", "]", "[:alpha:]", "ß", "ÿ"])),
            }
        }
        out.push(']');
    }
}
