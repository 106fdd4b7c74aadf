//! Key paths: how an LSX names a place in a JSON or XML document.
//!
//! ```text
//! json    := ( '/' ( '"' name '"' )? selector* )+
//! xml     := ( '/' '"' name '"' ( '[' digits ']' )? )+ ( '.' attribute )?
//! selector:= '[' digits? ']' | '[?' filter ']'
//! filter  := '"' name '"' ( '/' '"' name '"' )* ( '=' | '!=' ) '"' text '"'
//! format  := ( literal | '{' path '}' )*
//! ```
//! Filters are the extension of this project; the rest is QRadar's.

use std::ops::Range;

/// How many steps a JSON key path has, how many names a path in a filter, and how many elements an XML path. What is
/// deeper in a payload is read as part of a value.
pub const MAX_STEPS: usize = 128;

/// One step of a JSON key path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// The member of this name.
    Member(String),
    /// The element at this position.
    Index(usize),
    /// Every element.
    Each,
    /// The elements, or the object itself, for which the condition holds.
    Filter(Condition),
}

/// What a filter asks of an element.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Condition {
    /// Member names from the element down to the value that is compared.
    pub path: Vec<String>,
    /// `=` rather than `!=`.
    pub equal: bool,
    /// The text to compare with.
    pub value: String,
    /// Where the filter stands in the path text, brackets included.
    pub span: Range<usize>,
}

/// A JSON key path. Empty brackets at its end select the array itself and leave no step.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JsonPath {
    /// The steps from the root.
    pub steps: Vec<Step>,
    /// Whether the text ended in empty brackets.
    pub whole_array: bool,
}

impl JsonPath {
    /// Whether the path can select several values.
    pub fn fans_out(&self) -> bool {
        self.steps
            .iter()
            .any(|step| matches!(step, Step::Each | Step::Filter(_)))
    }

    /// Whether it uses the filter extension.
    pub fn filters(&self) -> impl Iterator<Item = &Condition> {
        self.steps.iter().filter_map(|step| match step {
            Step::Filter(condition) => Some(condition),
            _ => None,
        })
    }
}

/// An XML path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct XmlPath {
    /// Element names from the root, each with the position among its siblings of the same name.
    pub elements: Vec<(String, usize)>,
    /// The attribute of the last element, if the path ends in one.
    pub attribute: Option<String>,
}

/// A piece of a format string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece<P> {
    /// Text that is copied.
    Literal(String),
    /// A path whose value is inserted.
    Path(P),
}

/// Why a path cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathError {
    /// Where, in the text.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// Reads a JSON key path.
///
/// # Errors
/// The text is not a path.
pub fn json_path(text: &str) -> Result<JsonPath, PathError> {
    Cursor::new(text).json_path()
}

/// Reads an XML path.
///
/// # Errors
/// The text is not a path.
pub fn xml_path(text: &str) -> Result<XmlPath, PathError> {
    Cursor::new(text).xml_path()
}

/// A path, or a format with paths in braces.
///
/// # Errors
/// A path in it cannot be read.
pub fn json_format(text: &str) -> Result<Vec<Piece<JsonPath>>, PathError> {
    format(text, json_path)
}

/// A path, or a format with paths in braces.
///
/// # Errors
/// A path in it cannot be read.
pub fn xml_format(text: &str) -> Result<Vec<Piece<XmlPath>>, PathError> {
    format(text, xml_path)
}

fn format<P>(
    text: &str,
    path: impl Fn(&str) -> Result<P, PathError>,
) -> Result<Vec<Piece<P>>, PathError> {
    let at = |offset: usize, mut error: PathError| {
        error.span = error.span.start + offset..error.span.end + offset;
        error
    };
    let start = text.len() - text.trim_start().len();
    // A bare path begins with a slash; a format that begins with one has its first path in braces.
    if text[start..].starts_with('/') && !text[start..].starts_with("/{") {
        let bare = path(text.trim()).map_err(|error| at(start, error))?;
        return Ok(vec![Piece::Path(bare)]);
    }
    let mut pieces = Vec::new();
    let mut rest = 0;
    while let Some(open) = text[rest..].find('{').map(|i| rest + i) {
        if open > rest {
            pieces.push(Piece::Literal(text[rest..open].to_owned()));
        }
        let Some(close) = closing_brace(text, open) else {
            return Err(PathError {
                span: open..text.len(),
                message: "a `{` without its `}`".to_owned(),
                help: "close the braces around the path".to_owned(),
            });
        };
        let inner = &text[open + 1..close];
        let lead = inner.len() - inner.trim_start().len();
        let parsed = path(inner.trim()).map_err(|error| at(open + 1 + lead, error))?;
        pieces.push(Piece::Path(parsed));
        rest = close + 1;
    }
    if rest < text.len() {
        pieces.push(Piece::Literal(text[rest..].to_owned()));
    }
    Ok(pieces)
}

/// The brace that closes the one at `open`, quoted names passed over.
fn closing_brace(text: &str, open: usize) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    for (at, c) in text[open + 1..].char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '}' if !quoted => return Some(open + 1 + at),
            _ => {}
        }
    }
    None
}

struct Cursor<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Cursor<'t> {
    fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn error<T>(&self, message: &str, help: &str) -> Result<T, PathError> {
        let next = self.rest().chars().next().map_or(0, char::len_utf8);
        Err(PathError {
            span: self.at..self.at + next,
            message: message.to_owned(),
            help: help.to_owned(),
        })
    }

    /// Whether a path may have a step more.
    fn few(&self, steps: usize) -> Result<(), PathError> {
        if steps < MAX_STEPS {
            return Ok(());
        }
        Err(PathError {
            span: self.at..self.text.len(),
            message: format!("the path has more than {MAX_STEPS} steps"),
            help: "end the path further up: the value there holds the rest as text".to_owned(),
        })
    }

    fn json_path(mut self) -> Result<JsonPath, PathError> {
        const HELP: &str = r#"a JSON key path looks like /"object"/"list"[0]/"name""#;
        let mut steps = Vec::new();
        let mut whole_array = false;
        if self.rest().is_empty() {
            return self.error("the path is empty", HELP);
        }
        while !self.rest().is_empty() {
            self.few(steps.len())?;
            if whole_array {
                // Empty brackets were not the end after all: they select every element.
                steps.push(Step::Each);
                whole_array = false;
            }
            if !self.eat("/") {
                return self.error("a path segment begins with `/`", HELP);
            }
            if self.rest().starts_with('"') {
                steps.push(Step::Member(self.quoted()?));
            } else if !self.rest().starts_with('[') {
                return self.error("a name in a path stands in double quotes", HELP);
            }
            while self.rest().starts_with('[') {
                self.few(steps.len())?;
                if whole_array {
                    steps.push(Step::Each);
                }
                whole_array = false;
                match self.selector()? {
                    Some(step) => steps.push(step),
                    None => whole_array = true,
                }
            }
        }
        Ok(JsonPath { steps, whole_array })
    }

    /// What stands in brackets; nothing for empty ones.
    fn selector(&mut self) -> Result<Option<Step>, PathError> {
        const HELP: &str =
            r#"write [0] for an element, [] for the whole array, [?"name"="text"] for a filter"#;
        let start = self.at;
        self.at += 1;
        if self.eat("?") {
            return self.filter(start).map(Some);
        }
        let digits = self.rest().len()
            - self
                .rest()
                .trim_start_matches(|c: char| c.is_ascii_digit())
                .len();
        let number = &self.rest()[..digits];
        self.at += digits;
        if !self.eat("]") {
            return self.error("brackets hold a position or nothing", HELP);
        }
        if number.is_empty() {
            return Ok(None);
        }
        match number.parse() {
            Ok(index) => Ok(Some(Step::Index(index))),
            Err(_) => Err(PathError {
                span: start..self.at,
                message: "the position is too large".to_owned(),
                help: HELP.to_owned(),
            }),
        }
    }

    fn filter(&mut self, start: usize) -> Result<Step, PathError> {
        const HELP: &str = r#"a filter looks like [?"name"="text"] or [?"name"!="text"]; the name may be a path such as "user"/"id""#;
        self.eat("/");
        if !self.rest().starts_with('"') {
            return self.error("a filter begins with a name in double quotes", HELP);
        }
        let mut path = vec![self.quoted()?];
        while self.eat("/") {
            self.few(path.len())?;
            path.push(self.quoted()?);
        }
        self.blanks();
        let equal = if self.eat("!=") {
            false
        } else if self.eat("=") {
            true
        } else {
            return self.error("a filter compares with `=` or `!=`", HELP);
        };
        self.blanks();
        if !self.rest().starts_with('"') {
            return self.error("a filter compares with a text in double quotes", HELP);
        }
        let value = self.quoted()?;
        if !self.eat("]") {
            return self.error("a filter ends with `]`", HELP);
        }
        Ok(Step::Filter(Condition {
            path,
            equal,
            value,
            span: start..self.at,
        }))
    }

    fn blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start_matches(' ').len();
    }

    /// A text in double quotes, in which a backslash protects a quote or a backslash.
    fn quoted(&mut self) -> Result<String, PathError> {
        const HELP: &str = "close the name with a double quote; a quote inside it is written \\\"";
        let start = self.at;
        if !self.eat("\"") {
            return self.error("a name stands in double quotes", HELP);
        }
        let mut name = String::new();
        let mut chars = self.rest().char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += at + 1;
                    return Ok(name);
                }
                '\\' => match chars.next_if(|(_, next)| matches!(next, '"' | '\\')) {
                    Some((_, protected)) => name.push(protected),
                    None => name.push('\\'),
                },
                _ => name.push(c),
            }
        }
        Err(PathError {
            span: start..self.text.len(),
            message: "a name without its closing quote".to_owned(),
            help: HELP.to_owned(),
        })
    }

    fn xml_path(mut self) -> Result<XmlPath, PathError> {
        const HELP: &str = r#"an XML path looks like /"root"/"element"[1] for the second element of a name, or /"root"/"element".attribute"#;
        let mut elements = Vec::new();
        while self.eat("/") {
            self.few(elements.len())?;
            if !self.rest().starts_with('"') {
                return self.error("a name in an XML path stands in double quotes", HELP);
            }
            let name = self.quoted()?;
            let mut index = 0;
            if self.rest().starts_with('[') {
                let inside = &self.rest()[1..];
                if !inside.starts_with(|c: char| c.is_ascii_digit()) {
                    self.at += 1;
                    return self.error("brackets in an XML path hold a position", HELP);
                }
                match self.selector()? {
                    Some(Step::Index(position)) => index = position,
                    _ => return self.error("brackets in an XML path hold a position", HELP),
                }
            }
            elements.push((name, index));
        }
        if elements.is_empty() {
            return self.error("an XML path begins with `/`", HELP);
        }
        let attribute = if self.eat(".") {
            let name = self.rest();
            if name.is_empty() || name.contains(['/', '"', '[', ' ']) {
                return self.error("an attribute name follows the dot", HELP);
            }
            self.at = self.text.len();
            Some(name.to_owned())
        } else {
            None
        };
        if !self.rest().is_empty() {
            return self.error("this does not belong to a path", HELP);
        }
        Ok(XmlPath {
            elements,
            attribute,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str) -> Step {
        Step::Member(name.to_owned())
    }

    #[test]
    fn members_positions_and_empty_brackets_are_read() {
        let path = json_path(r#"/"a"/"b c"[2]/"d"[]"#).unwrap();
        assert_eq!(
            path.steps,
            [member("a"), member("b c"), Step::Index(2), member("d")]
        );
        assert!(path.whole_array);
        let path = json_path(r#"/[0]/"x""#).unwrap();
        assert_eq!(path.steps, [Step::Index(0), member("x")]);
        let path = json_path(r#"/"a"[]/"b""#).unwrap();
        assert_eq!(path.steps, [member("a"), Step::Each, member("b")]);
    }

    #[test]
    fn a_quote_inside_a_name_is_escaped() {
        assert_eq!(json_path(r#"/"a\"b""#).unwrap().steps, [member("a\"b")]);
    }

    #[test]
    fn filters_are_read_with_their_place() {
        let path = json_path(r#"/"evidence"[?"@odata.type"="x"][?"a"/"b"!=""]/"name""#).unwrap();
        let conditions: Vec<_> = path.filters().collect();
        assert_eq!(conditions[0].path, ["@odata.type"]);
        assert_eq!(
            (conditions[0].equal, conditions[0].value.as_str()),
            (true, "x")
        );
        assert_eq!(conditions[0].span, 11..31);
        assert_eq!(conditions[1].path, ["a", "b"]);
        assert!(!conditions[1].equal);
    }

    #[test]
    fn a_format_mixes_literals_and_paths() {
        let pieces = json_format(r#"{/"last"}, {/"fi}rst"}"#).unwrap();
        assert_eq!(pieces.len(), 3);
        assert_eq!(pieces[1], Piece::Literal(", ".to_owned()));
        assert!(matches!(&pieces[2], Piece::Path(path) if path.steps == [member("fi}rst")]));
    }

    #[test]
    fn faults_point_at_the_character() {
        for (text, at) in [
            ("", 0),
            ("a", 0),
            ("/a", 1),
            (r#"/"a"#, 1),
            (r#"/"a"["#, 5),
            (r#"/"a"[x]"#, 5),
            (r#"/"a"[?b="c"]"#, 6),
            (r#"/"a"[?"b"<"c"]"#, 9),
            (r#"/"a" "#, 4),
        ] {
            assert_eq!(json_path(text).unwrap_err().span.start, at, "{text}");
        }
    }

    #[test]
    fn xml_paths_have_positions_and_an_attribute() {
        let path = xml_path(r#"/"EPOEvent"/"Machine"[1].attr"#).unwrap();
        assert_eq!(
            path.elements,
            [("EPOEvent".to_owned(), 0), ("Machine".to_owned(), 1)]
        );
        assert_eq!(path.attribute.as_deref(), Some("attr"));
    }
}
