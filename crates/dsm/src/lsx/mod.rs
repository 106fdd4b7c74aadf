//! The log source extension document: what the XML says, with the place of everything.
//!
//! Reading never stops at a fault: [`parse()`] returns what could be read and every finding. Meaning (do the patterns
//! compile, do the fields exist) is decided later, when a mapping is compiled.

mod attributes;
mod elements;
mod parse;
pub mod schema;
mod tree;

pub use parse::parse;
pub use settings::Spanned;

use crate::diagnostic::SourceFile;
use java_regex::{Flags, JavaRegex, Room};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

/// The namespace of the attributes that QRadar does not have.
pub const DSMITH_NAMESPACE: &str = "urn:dsmith:lsx:1";
/// The namespace of the root element.
pub const NAMESPACE: &str = "event_parsing/device_extension";

/// A whole extension.
#[derive(Debug)]
pub struct Document {
    /// The file it was read from.
    pub file: Arc<SourceFile>,
    /// The patterns in document order.
    pub patterns: Vec<Pattern>,
    /// The match groups in document order.
    pub groups: Vec<Group>,
    /// The start tag of the root element.
    pub root: Range<usize>,
    /// Whether a part of the file could not be read, so that nothing may be called missing or unused.
    pub unread: bool,
    /// What elements and attributes say that are not read because they are misspelt or out of place.
    pub mentioned: BTreeSet<String>,
    /// The identifiers of patterns that stand where no pattern is read.
    pub misplaced: BTreeSet<String>,
}

macro_rules! pattern_types {
    ($($(#[$doc:meta])* $name:ident / $element:literal;)*) => {
        /// What the text of a pattern is, by the value of its `type` attribute and by the element that reads it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum PatternType { $($(#[$doc])* $name,)* }

        impl PatternType {
            /// All types.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
            /// The values of the `type` attribute.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name),)*];
            /// The matcher elements, in the same order.
            pub const ELEMENTS: &'static [&'static str] = &[$($element,)*];

            /// The value of the `type` attribute.
            pub const fn name(self) -> &'static str { Self::NAMES[self as usize] }
            /// The matcher element that reads patterns of this type.
            pub const fn element(self) -> &'static str { Self::ELEMENTS[self as usize] }
        }
    };
}

pattern_types! {
    /// A Java regular expression.
    JavaPattern / "matcher";
    /// A JSON key path, or a format with paths in braces.
    JsonKeypath / "json-matcher";
    /// A LEEF key or header word.
    LeefKey / "leef-matcher";
    /// A CEF key or header word.
    CefKey / "cef-matcher";
    /// An XML path, or a format with paths in braces.
    XmlKey / "xml-matcher";
    /// The name of a name-value pair.
    NameValuePairKey / "namevaluepair-matcher";
    /// A position in a list, `$0` being the first.
    GenericListKey / "genericlist-matcher";
}

/// What several values found by one key path mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hits {
    /// The first one that is not empty.
    First,
    /// All of them, in order, each once.
    Joined,
}

/// The text of a pattern, and how its offsets lead back into the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Body {
    /// The text, XML escapes resolved.
    pub text: String,
    /// Pairs of offsets (in `text`, in the file) at which a verbatim piece begins.
    pub pieces: Vec<(usize, usize)>,
    /// Whether any of it, white space apart, stands outside CDATA.
    pub outside_cdata: bool,
    /// Whether white space stands outside CDATA.
    pub outside_cdata_blank: bool,
    /// Whether the text is not what was meant, after a fault in the XML.
    pub unread: bool,
}

impl Body {
    /// The place in the file of a range of the text.
    pub fn file_span(&self, range: &Range<usize>) -> Range<usize> {
        let place = |offset: usize| {
            let index = self.pieces.partition_point(|(text, _)| *text <= offset);
            match index.checked_sub(1).and_then(|i| self.pieces.get(i)) {
                Some((text, file)) => file + (offset - text),
                None => offset,
            }
        };
        if range.is_empty() {
            let start = place(range.start);
            return start..start;
        }
        place(range.start)..place(range.end - 1) + 1
    }
}

/// A `pattern` element.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// Its identifier; empty if it has none, which is reported.
    pub id: Spanned<String>,
    /// The `type` attribute, if it is there.
    pub declared_type: Option<Spanned<PatternType>>,
    /// `case-insensitive`.
    pub case_insensitive: bool,
    /// `trim-whitespace`.
    pub trim_whitespace: bool,
    /// `use-default-pattern`: Java's own engine instead of QRadar's adaptive one. The meaning is the same.
    pub use_default_pattern: bool,
    /// The text.
    pub body: Body,
    /// The place of the text, or of the element if it has none.
    pub body_span: Range<usize>,
    /// `dsmith:within`: the pattern whose value this one runs over.
    pub within: Option<Spanned<String>>,
    /// `dsmith:hits`.
    pub hits: Option<Spanned<Hits>>,
    /// `dsmith:separator`.
    pub separator: Option<Spanned<String>>,
    /// The start tag.
    pub span: Range<usize>,
}

impl Pattern {
    /// The type by which it is read where no matcher says otherwise.
    pub fn kind(&self) -> PatternType {
        self.declared_type
            .as_ref()
            .map_or(PatternType::JavaPattern, |kind| kind.value)
    }

    /// The text as it is read: without the white space that `trim-whitespace` takes away.
    pub fn effective_text(&self, options: &crate::options::Options) -> String {
        crate::mapping::effective_text(self, options.trim_whitespace)
    }

    /// The text as a regular expression, if it is one.
    pub fn regex(&self, options: &crate::options::Options) -> Option<JavaRegex> {
        self.regex_in(&mut Room::unlimited(), options)
    }

    /// The same, one of several whose automata share their memory.
    pub fn regex_in(
        &self,
        room: &mut Room,
        options: &crate::options::Options,
    ) -> Option<JavaRegex> {
        let flags = Flags {
            case_insensitive: self.case_insensitive,
            ..Flags::default()
        };
        JavaRegex::new_in(room, &self.effective_text(options), flags).ok()
    }
}

/// A `match-group` element.
#[derive(Debug, Clone)]
pub struct Group {
    /// Its place among the groups; 0 if it has none, which is reported.
    pub order: Spanned<u32>,
    /// `description`.
    pub description: String,
    /// `device-type-id-override`.
    pub type_override: Option<Spanned<u32>>,
    /// The matchers of all kinds in document order.
    pub matchers: Vec<Matcher>,
    /// The modifiers for one event name.
    pub singles: Vec<Spanned<EventMatchSingle>>,
    /// The modifiers for a pattern of event names.
    pub multiples: Vec<Spanned<EventMatchMultiple>>,
    /// The start tag.
    pub span: Range<usize>,
}

/// One of the seven matcher elements.
#[derive(Debug, Clone)]
pub struct Matcher {
    /// Which element it is.
    pub element: PatternType,
    /// The property it fills. Here and below, a missing text is empty and a missing order is 0, both reported.
    pub field: Spanned<String>,
    /// The pattern it uses.
    pub pattern_id: Spanned<String>,
    /// Its place among the matchers of the field.
    pub order: Spanned<u32>,
    /// `capture-group`, a number or a template.
    pub capture_group: Option<Spanned<String>>,
    /// `enable-substitutions`.
    pub enable_substitutions: Option<Spanned<bool>>,
    /// `ext-data`, the format of DeviceTime.
    pub ext_data: Option<Spanned<String>>,
    /// `delimiter-pair` or `delimiter`.
    pub delimiter: Option<Spanned<String>>,
    /// `delimiter-namevalue`.
    pub name_value_delimiter: Option<Spanned<String>>,
    /// The start tag.
    pub span: Range<usize>,
}

/// What to do about identity events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum SendIdentity {
    /// Pass on what the DSM produced.
    #[default]
    UseDSMResults,
    /// Leave an identity of the DSM alone, else make one if there is enough data.
    SendIfAbsent,
    /// Replace the identity of the DSM if there is enough data.
    OverrideAndAlwaysSend,
    /// Send none.
    OverrideAndNeverSend,
}

impl SendIdentity {
    /// All values, as they are written.
    pub const NAMES: &'static [(&'static str, Self)] = &[
        ("UseDSMResults", Self::UseDSMResults),
        ("SendIfAbsent", Self::SendIfAbsent),
        ("OverrideAndAlwaysSend", Self::OverrideAndAlwaysSend),
        ("OverrideAndNeverSend", Self::OverrideAndNeverSend),
    ];

    /// The value as it is written.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize].0
    }
}

/// What both modifiers can change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Modifiers {
    /// `device-event-category`.
    pub category: Option<String>,
    /// `severity`, already 5 where the file says something outside 1 to 10.
    pub severity: Option<u8>,
    /// `send-identity`.
    pub send_identity: SendIdentity,
    /// `force-qidmap-lookup-on-fixup`.
    pub force_lookup: bool,
}

/// An `event-match-single` element.
#[derive(Debug, Clone)]
pub struct EventMatchSingle {
    /// The event name it applies to.
    pub event_name: Spanned<String>,
    /// What it changes.
    pub modifiers: Modifiers,
}

/// An `event-match-multiple` element.
#[derive(Debug, Clone)]
pub struct EventMatchMultiple {
    /// The pattern that the event name must match.
    pub pattern_id: Spanned<String>,
    /// `capture-group-index`.
    pub capture_group: Option<Spanned<u32>>,
    /// What it changes.
    pub modifiers: Modifiers,
}
