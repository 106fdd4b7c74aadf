//! What becomes of each pattern where dsmith's own attributes are unknown.

use dsm::diagnostic::Code;
use dsm::keypath::{self, Piece};
use dsm::lsx::{Document, Pattern, PatternType};
use dsm::options::Options;
use java_regex::{Flags, JavaRegex};
use std::collections::HashMap;

/// What becomes of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// It says nothing that QRadar does not know.
    Plain,
    /// It is the same without its attributes of ours.
    Stripped,
    /// A regular expression over the payload finds the same.
    Regex {
        /// The expression.
        text: String,
        /// The value is group 1, and was the whole match or had no groups.
        wrapped: bool,
    },
    /// It runs over the whole payload, and may find something else.
    Widened(String),
    /// Nothing does what it does.
    Lost {
        /// The lint that says so.
        lint: Code,
        /// Why.
        reason: String,
    },
}

impl Way {
    fn lost(lint: Code, reason: impl Into<String>) -> Self {
        Self::Lost {
            lint,
            reason: reason.into(),
        }
    }
}

/// What becomes of each pattern of a document, by index.
pub fn ways(document: &Document, options: &Options) -> Vec<Way> {
    let lowering = Lowering::new(document, options);
    (0..document.patterns.len())
        .map(|index| lowering.way(index))
        .collect()
}

/// How a pattern is read: by which element, and with which delimiters.
#[derive(Default)]
struct Use {
    elements: Vec<PatternType>,
    delimiters: Vec<(Option<String>, Option<String>)>,
}

struct Lowering<'d> {
    document: &'d Document,
    options: &'d Options,
    by_id: HashMap<&'d str, usize>,
    uses: Vec<Use>,
}

impl<'d> Lowering<'d> {
    fn new(document: &'d Document, options: &'d Options) -> Self {
        let mut by_id = HashMap::new();
        for (index, pattern) in document.patterns.iter().enumerate() {
            by_id.entry(pattern.id.value.as_str()).or_insert(index);
        }
        let mut uses: Vec<Use> = document.patterns.iter().map(|_| Use::default()).collect();
        for matcher in document.groups.iter().flat_map(|group| &group.matchers) {
            let Some(&index) = by_id.get(matcher.pattern_id.value.as_str()) else {
                continue;
            };
            let text = |value: &Option<dsm::lsx::Spanned<String>>| {
                value.as_ref().map(|value| value.value.clone())
            };
            let delimiters = (
                text(&matcher.delimiter),
                text(&matcher.name_value_delimiter),
            );
            let known = &mut uses[index];
            if !known.elements.contains(&matcher.element) {
                known.elements.push(matcher.element);
            }
            if !known.delimiters.contains(&delimiters) {
                known.delimiters.push(delimiters);
            }
        }
        Self {
            document,
            options,
            by_id,
            uses,
        }
    }

    fn way(&self, index: usize) -> Way {
        let pattern = &self.document.patterns[index];
        let kind = match self.uses[index].elements.as_slice() {
            [] => pattern.kind(),
            [kind] => *kind,
            _ if pattern.within.is_none() && pattern.hits.is_none() => return Way::Plain,
            _ => {
                return Way::lost(
                    Code::WithinInexpressible,
                    "it is read in several ways, by several kinds of matchers",
                );
            }
        };
        if kind == PatternType::JsonKeypath
            && pattern.hits.is_some()
            && let Some(reason) = self.fans_out(pattern)
        {
            return Way::lost(Code::HitsInexpressible, reason);
        }
        let Some(within) = &pattern.within else {
            let ours = pattern.hits.is_some() || pattern.separator.is_some();
            return if ours { Way::Stripped } else { Way::Plain };
        };
        let lost = |reason: &str| Way::lost(Code::WithinInexpressible, reason);
        let Some(&base) = self.by_id.get(within.value.as_str()) else {
            return lost("the pattern that it runs within does not exist");
        };
        match kind {
            PatternType::JsonKeypath => {
                return lost("a key path reads the payload only, no text inside a value");
            }
            PatternType::XmlKey => return lost("an XML path reads the payload only"),
            _ => {}
        }
        let outer = match self.expression(base, 0) {
            Ok(outer) => outer,
            Err(reason) => return lost(reason),
        };
        let lowered = match kind {
            PatternType::LeefKey => {
                return Way::Widened(
                    "QRadar looks for a LEEF message anywhere in the payload".to_owned(),
                );
            }
            PatternType::CefKey => {
                return Way::Widened(
                    "QRadar looks for a CEF message anywhere in the payload".to_owned(),
                );
            }
            PatternType::JavaPattern => pattern
                .regex(self.options)
                .ok_or("the expression cannot be read")
                .and_then(|inner| Ok((outer.lower(&inner)?, inner.group_count() == 0))),
            _ => self.key(index, &outer).map(|text| (text, true)),
        };
        match lowered {
            Ok((text, wrapped)) => Way::Regex { text, wrapped },
            Err(reason) => lost(reason),
        }
    }

    /// Why a key path finds something that a plain one cannot say.
    fn fans_out(&self, pattern: &Pattern) -> Option<String> {
        let pieces = keypath::json_format(&pattern.effective_text(self.options)).ok()?;
        for piece in &pieces {
            let Piece::Path(path) = piece else { continue };
            if path.filters().next().is_some() {
                return Some("a key path of QRadar has no filter".to_owned());
            }
            if path.fans_out() || path.whole_array {
                return Some("a key path of QRadar finds one value only".to_owned());
            }
        }
        None
    }

    /// A pattern as one expression over the payload.
    fn expression(&self, index: usize, depth: usize) -> Result<JavaRegex, &'static str> {
        let pattern = &self.document.patterns[index];
        if pattern.kind() != PatternType::JavaPattern {
            return Err("it runs over the value of a key, where QRadar has no expressions");
        }
        let regex = pattern
            .regex(self.options)
            .ok_or("the outer expression cannot be read")?;
        let Some(within) = &pattern.within else {
            return Ok(regex);
        };
        if depth > 8 {
            return Err("patterns run within each other too deeply");
        }
        let base = self
            .by_id
            .get(within.value.as_str())
            .ok_or("the pattern that it runs within does not exist")?;
        let outer = self.expression(*base, depth + 1)?;
        let text = outer.lower(&regex)?;
        JavaRegex::new(&text, Flags::default()).map_err(|_| "the expression cannot be read")
    }

    /// A name or position in the value of an expression.
    fn key(&self, index: usize, outer: &JavaRegex) -> Result<String, &'static str> {
        let pattern = &self.document.patterns[index];
        let text = pattern.effective_text(self.options);
        let text = text.trim();
        if text.contains(['{', '}']) {
            return Err("a text with several keys cannot become one expression");
        }
        let [(first, second)] = self.uses[index].delimiters.as_slice() else {
            return Err("its matchers name several delimiters");
        };
        let options = self.options;
        if let Some(position) = text.strip_prefix('$') {
            let delimiter = first.as_deref().unwrap_or(&options.list_delimiter);
            let position = position
                .parse()
                .map_err(|_| "it is no position in a list")?;
            outer.lower_item(delimiter, position)
        } else {
            let pair = first.as_deref().unwrap_or(&options.pair_delimiter);
            let name_value = second.as_deref().unwrap_or(&options.name_value_delimiter);
            outer.lower_pair(pair, name_value, text)
        }
    }
}
