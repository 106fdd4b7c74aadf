//! The extension without what QRadar does not know, and what is lost by that.

use super::lower::{Way, ways};
use crate::replay::Corpus;
use crate::rewrite::{self, Edit};
use dsm::Mapping;
use dsm::diagnostic::{Diagnostics, SourceFile};
use dsm::event::Origin;
use dsm::field::Field;
use dsm::lsx::{self, DSMITH_NAMESPACE, Document, Group, Matcher, Pattern, PatternType};
use dsm::mapping::Source;
use dsm::options::{Assumption, Options, register};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

/// Something that QRadar will not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// What it is about, such as `group/1/UserName/2`.
    pub subject: String,
    /// Why it is lost.
    pub reason: String,
    /// The files of the corpus with payloads whose events rely on it, and how many in each.
    pub fixtures: BTreeMap<String, usize>,
}

impl Loss {
    /// How many payloads of the corpus it touches.
    pub fn events(&self) -> usize {
        self.fixtures.values().sum()
    }
}

/// An extension that QRadar takes.
#[derive(Debug)]
pub struct Lsx {
    /// The file; where nothing had to be changed, the same bytes.
    pub text: String,
    /// The patterns that became one expression each.
    pub lowered: Vec<String>,
    /// The custom properties, which an extension does not have; [`requests`](super::requests()) makes them.
    pub moved: BTreeSet<String>,
    /// What is lost.
    pub losses: Vec<Loss>,
    /// Payloads whose event is another one without any of the losses having a part in it: none, or the export is wrong.
    pub unexplained: Vec<String>,
}

/// Why there is no export.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The mapping has errors.
    #[error("the mapping has errors; `dsmith check` shows them")]
    Invalid(Diagnostics),
    /// No match group can do without dsmith's attributes.
    #[error("nothing would be left: {0}")]
    Nothing(String),
    /// What was written cannot be read.
    #[error("the exported extension has errors, which is a fault of dsmith: {0}")]
    Broken(String),
}

/// What becomes of a matcher.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    Kept,
    /// It fills a custom property, which has expressions of its own.
    Moved,
    Lost(String),
}

/// Exports an extension. The corpus shows what the losses cost.
///
/// # Errors
/// The mapping cannot be used, or nothing of it can be expressed.
pub fn lsx(source: &Source, corpus: &Corpus) -> Result<Lsx, ExportError> {
    let (mapping, findings) = Mapping::load(source);
    let mapping = mapping.ok_or(ExportError::Invalid(findings))?;
    let document = lsx::parse(&source.extension).0;
    let export = Export::new(&document, &mapping);
    let text = rewrite::apply(&source.extension.text, &export.edits());
    let mut losses = export.losses();
    if export.groups.iter().all(|kept| !kept) {
        let first = losses.first().map_or("", |loss| loss.1.reason.as_str());
        return Err(ExportError::Nothing(first.to_owned()));
    }
    // As far as it goes, it gives the same.
    let file = SourceFile::new(source.extension.name.clone(), text.as_str());
    let (exported, findings) =
        Mapping::from_extension_with(&source.slug, &file, mapping.options().clone());
    let Some(mut exported) = exported else {
        let findings: Vec<String> = findings.iter().map(ToString::to_string).collect();
        return Err(ExportError::Broken(findings.join("; ")));
    };
    exported.set_qid_map(&source.qidmap, &source.event_mappings);
    let unexplained = export.account(corpus, &exported, &mut losses);
    let mut losses: Vec<Loss> = losses.into_iter().map(|(_, loss)| loss).collect();
    losses.extend(options(mapping.options()).map(|(row, reset)| {
        let (other, _) = Mapping::from_extension_with(&source.slug, &file, reset);
        let other = other.map(|mut other| {
            other.set_qid_map(&source.qidmap, &source.event_mappings);
            other
        });
        Loss {
            subject: format!("option/{}", row.id),
            reason: format!(
                "an extension cannot say it; a QRadar that does as `{}` would give other events",
                row.default
            ),
            fixtures: other.map_or_else(BTreeMap::new, |other| {
                differences(corpus, &exported, &other)
            }),
        }
    }));
    Ok(Lsx {
        lowered: export.lowered(),
        moved: export.moved(),
        losses,
        unexplained,
        text,
    })
}

/// The options that are not our defaults, and all options with the default for this one. The budget of steps is ours alone.
fn options(set: &Options) -> impl Iterator<Item = (&'static Assumption, Options)> {
    let rows = register()
        .iter()
        .filter(|row| row.id != "regex-step-budget");
    rows.filter_map(|row| {
        let mut reset = set.clone();
        reset.set(&row.id, &row.default).ok()?;
        (reset != *set).then_some((row, reset))
    })
}

/// The files whose events are not the same for two mappings, and how many in each.
fn differences(corpus: &Corpus, one: &Mapping, other: &Mapping) -> BTreeMap<String, usize> {
    let pairs = corpus.facts(one).into_iter().zip(corpus.facts(other));
    let mut files = BTreeMap::new();
    for ((one, other), sample) in pairs.zip(&corpus.samples) {
        if one != other {
            *files.entry(sample.file.clone()).or_default() += 1;
        }
    }
    files
}

/// Where a loss is: the start tag of the matcher or group, or the fields that may differ.
type Place = (Option<Range<usize>>, Vec<String>);

struct Export<'e> {
    document: &'e Document,
    mapping: &'e Mapping,
    ways: Vec<Way>,
    by_id: HashMap<&'e str, usize>,
    fates: Vec<Vec<Fate>>,
    /// Which groups stay.
    groups: Vec<bool>,
}

impl<'e> Export<'e> {
    fn new(document: &'e Document, mapping: &'e Mapping) -> Self {
        let mut by_id = HashMap::new();
        for (index, pattern) in document.patterns.iter().enumerate() {
            by_id.entry(pattern.id.value.as_str()).or_insert(index);
        }
        let mut export = Self {
            ways: ways(document, mapping.options()),
            document,
            mapping,
            by_id,
            fates: Vec::new(),
            groups: Vec::new(),
        };
        for group in &document.groups {
            let fates: Vec<Fate> = group
                .matchers
                .iter()
                .map(|matcher| export.fate(matcher))
                .collect();
            let had_name = group.matchers.iter().any(is_name);
            let has_name = group
                .matchers
                .iter()
                .zip(&fates)
                .any(|(matcher, fate)| is_name(matcher) && *fate == Fate::Kept);
            export.groups.push(has_name || !had_name);
            export.fates.push(fates);
        }
        export
    }

    fn way(&self, id: &str) -> Option<(&'e Pattern, &Way)> {
        let index = *self.by_id.get(id)?;
        Some((&self.document.patterns[index], &self.ways[index]))
    }

    fn fate(&self, matcher: &Matcher) -> Fate {
        if Field::from_name(&matcher.field.value).is_none() {
            return Fate::Moved;
        }
        match self.way(&matcher.pattern_id.value) {
            Some((_, Way::Lost { reason, .. })) => Fate::Lost(reason.clone()),
            Some((_, Way::Regex { wrapped: false, .. })) if takes_whole(matcher) => Fate::Lost(
                "it takes the whole match of an expression with groups, which is not told from what leads to it".to_owned(),
            ),
            _ => Fate::Kept,
        }
    }

    /// Every matcher with its group and what becomes of it.
    fn matchers(&self) -> impl Iterator<Item = (usize, &'e Group, &'e Matcher, &Fate)> {
        self.document
            .groups
            .iter()
            .enumerate()
            .flat_map(|(index, group)| {
                let pairs = group.matchers.iter().zip(&self.fates[index]);
                pairs.map(move |(matcher, fate)| (index, group, matcher, fate))
            })
    }

    fn lowered(&self) -> Vec<String> {
        let used = self.used();
        let patterns = self.document.patterns.iter().zip(&self.ways);
        patterns
            .filter(|(pattern, way)| {
                matches!(way, Way::Regex { .. }) && used.contains(pattern.id.value.as_str())
            })
            .map(|(pattern, _)| pattern.id.value.clone())
            .collect()
    }

    fn moved(&self) -> BTreeSet<String> {
        self.matchers()
            .filter(|(_, _, _, fate)| **fate == Fate::Moved)
            .map(|(_, _, matcher, _)| matcher.field.value.clone())
            .collect()
    }

    /// The patterns that what stays refers to.
    fn used(&self) -> BTreeSet<&'e str> {
        let kept = self
            .matchers()
            .filter(|(group, _, _, fate)| self.groups[*group] && **fate == Fate::Kept)
            .map(|(_, _, matcher, _)| matcher.pattern_id.value.as_str());
        let multiples = self
            .document
            .groups
            .iter()
            .zip(&self.groups)
            .filter(|(_, kept)| **kept)
            .flat_map(|(group, _)| &group.multiples)
            .map(|multiple| multiple.value.pattern_id.value.as_str());
        kept.chain(multiples).collect()
    }

    fn losses(&self) -> Vec<(Place, Loss)> {
        let loss = |place, subject, reason| {
            let fixtures = BTreeMap::new();
            (
                place,
                Loss {
                    subject,
                    reason,
                    fixtures,
                },
            )
        };
        let mut losses = Vec::new();
        for (group, kept) in self.document.groups.iter().zip(&self.groups) {
            if !kept {
                losses.push(loss(
                    (Some(group.span.clone()), Vec::new()),
                    format!("group/{}", group.order.value),
                    "none of its matchers for EventName can be exported".to_owned(),
                ));
            }
        }
        for (index, group, matcher, fate) in self.matchers() {
            let Fate::Lost(reason) = fate else { continue };
            if self.groups[index] || is_name(matcher) {
                losses.push(loss(
                    (Some(matcher.span.clone()), Vec::new()),
                    subject(group, matcher),
                    format!("pattern `{}`: {reason}", matcher.pattern_id.value),
                ));
            }
        }
        for (pattern, way) in self.document.patterns.iter().zip(&self.ways) {
            let Way::Widened(reason) = way else { continue };
            let fields: Vec<String> = self
                .matchers()
                .filter(|(_, _, matcher, fate)| {
                    **fate == Fate::Kept && matcher.pattern_id.value == pattern.id.value
                })
                .map(|(_, _, matcher, _)| matcher.field.value.clone())
                .collect();
            if !fields.is_empty() {
                losses.push(loss(
                    (None, fields),
                    format!("pattern/{}", pattern.id.value),
                    format!("it reads the whole payload: {reason}"),
                ));
            }
        }
        losses
    }

    /// Counts what each loss costs; the result are the files with events that differ for no such reason.
    fn account(
        &self,
        corpus: &Corpus,
        exported: &Mapping,
        losses: &mut [(Place, Loss)],
    ) -> Vec<String> {
        let after = corpus.facts(exported);
        let mut unexplained = Vec::new();
        let mut at = 0;
        corpus.each(self.mapping, |sample, event| {
            let before = crate::replay::facts(event);
            let differing: BTreeSet<&str> = before
                .keys()
                .chain(after[at].keys())
                .map(String::as_str)
                .filter(|name| name.starts_with('(') || Field::from_name(name).is_some())
                .filter(|name| before.get(*name) != after[at].get(*name))
                .collect();
            at += 1;
            let mut tags: Vec<usize> = event
                .properties
                .iter()
                .filter_map(|property| match property.origin {
                    Origin::Matcher { branch, .. } => Some(branch),
                    Origin::SyslogHeader { .. } => None,
                })
                .chain(event.group)
                .map(|branch| self.mapping.branches()[branch].span.start)
                .collect();
            tags.sort_unstable();
            let mut explained = differing.is_empty();
            for ((span, fields), loss) in losses.iter_mut() {
                let touched = match span {
                    Some(span) => tags.binary_search(&span.start).is_ok(),
                    None => fields
                        .iter()
                        .any(|field| differing.contains(field.as_str())),
                };
                if touched {
                    *loss.fixtures.entry(sample.file.clone()).or_default() += 1;
                    explained = true;
                }
            }
            if !explained {
                unexplained.push(sample.file.clone());
            }
        });
        unexplained
    }

    fn edits(&self) -> Vec<Edit> {
        let text = self.document.file.text.as_str();
        let mut edits = Vec::new();
        let prefix = self.root(&mut edits);
        for (group, kept) in self.document.groups.iter().zip(&self.groups) {
            if !kept {
                edits.push(Edit::remove(rewrite::element(text, &group.span)));
            }
        }
        for (index, _, matcher, fate) in self.matchers() {
            if !self.groups[index] {
                continue;
            }
            match fate {
                Fate::Kept => {
                    if let Some((_, Way::Regex { wrapped, .. })) =
                        self.way(&matcher.pattern_id.value)
                    {
                        as_expression(text, matcher, *wrapped, &mut edits);
                    }
                }
                Fate::Moved | Fate::Lost(_) => {
                    edits.push(Edit::remove(rewrite::element(text, &matcher.span)));
                }
            }
        }
        self.patterns(&prefix, &mut edits);
        edits
    }

    /// Takes our namespace from the root; the result is its prefix.
    fn root(&self, edits: &mut Vec<Edit>) -> String {
        let text = self.document.file.text.as_str();
        let tag = &self.document.root;
        let source = text.get(tag.clone()).unwrap_or_default();
        for (at, _) in source.match_indices("xmlns:") {
            let name: String = source[at..]
                .chars()
                .take_while(|c| !c.is_whitespace() && *c != '=')
                .collect();
            if let Some((whole, value)) = rewrite::attribute(text, tag, &name)
                && &text[value.clone()] == DSMITH_NAMESPACE
            {
                edits.push(Edit::remove(whole));
                return name["xmlns:".len()..].to_owned();
            }
        }
        "dsmith".to_owned()
    }

    fn patterns(&self, prefix: &str, edits: &mut Vec<Edit>) {
        let text = self.document.file.text.as_str();
        let used = self.used();
        let named: BTreeSet<&str> = self
            .document
            .groups
            .iter()
            .flat_map(|group| {
                let multiples = group.multiples.iter();
                group
                    .matchers
                    .iter()
                    .map(|matcher| matcher.pattern_id.value.as_str())
                    .chain(multiples.map(|multiple| multiple.value.pattern_id.value.as_str()))
            })
            .chain(
                self.document
                    .patterns
                    .iter()
                    .filter_map(|pattern| pattern.within.as_ref())
                    .map(|within| within.value.as_str()),
            )
            .collect();
        for (pattern, way) in self.document.patterns.iter().zip(&self.ways) {
            let id = pattern.id.value.as_str();
            // One that nothing named before is no business of the export, unless it would be refused.
            if !used.contains(id) && (named.contains(id) || *way != Way::Plain) {
                edits.push(Edit::remove(rewrite::element(text, &pattern.span)));
                continue;
            }
            let take = |name: &str, edits: &mut Vec<Edit>| {
                let found = rewrite::attribute(text, &pattern.span, name);
                edits.extend(found.map(|(whole, _)| Edit::remove(whole)));
            };
            if *way != Way::Plain {
                for name in ["within", "hits", "separator"] {
                    take(&format!("{prefix}:{name}"), edits);
                }
            }
            let Way::Regex {
                text: expression, ..
            } = way
            else {
                continue;
            };
            for name in ["case-insensitive", "trim-whitespace", "use-default-pattern"] {
                take(name, edits);
            }
            if let Some((_, value)) = rewrite::attribute(text, &pattern.span, "type") {
                edits.push(Edit::replace(value, PatternType::JavaPattern.name()));
            }
            // The expression needs what Java does, to the letter.
            let end = pattern.span.end - 1;
            edits.push(Edit::replace(end..end, " use-default-pattern=\"true\""));
            let whole = rewrite::element(text, &pattern.span);
            if let Some(close) = text[pattern.span.end..whole.end].rfind("</") {
                let body = pattern.span.end..pattern.span.end + close;
                edits.push(Edit::replace(body, rewrite::cdata(expression)));
            }
        }
    }
}

fn is_name(matcher: &Matcher) -> bool {
    matcher.field.value == Field::EventName.name()
}

fn subject(group: &Group, matcher: &Matcher) -> String {
    format!(
        "group/{}/{}/{}",
        group.order.value, matcher.field.value, matcher.order.value
    )
}

/// Whether a matcher of a regular expression takes its whole match.
pub(super) fn takes_whole(matcher: &Matcher) -> bool {
    matcher.element == PatternType::JavaPattern
        && matcher
            .capture_group
            .as_ref()
            .is_none_or(|group| group.value.trim() == "0")
}

/// A matcher as one of a regular expression whose value is group 1, if it was wrapped.
fn as_expression(text: &str, matcher: &Matcher, wrapped: bool, edits: &mut Vec<Edit>) {
    if matcher.element == PatternType::JavaPattern {
        if wrapped && takes_whole(matcher) {
            match rewrite::attribute(text, &matcher.span, "capture-group") {
                Some((_, value)) => edits.push(Edit::replace(value, "1")),
                None => edits.push(insert(text, &matcher.span, " capture-group=\"1\"")),
            }
        }
        return;
    }
    let name = matcher.element.element();
    let source = &text[matcher.span.clone()];
    if let Some(at) = source.find(name) {
        let start = matcher.span.start + at;
        edits.push(Edit::replace(
            start..start + name.len(),
            PatternType::JavaPattern.element(),
        ));
    }
    for attribute in [
        "delimiter",
        "delimiter-pair",
        "delimiter-namevalue",
        "enable-substitutions",
    ] {
        if let Some((whole, _)) = rewrite::attribute(text, &matcher.span, attribute) {
            edits.push(Edit::remove(whole));
        }
    }
    edits.push(insert(text, &matcher.span, " capture-group=\"1\""));
}

/// A further attribute at the end of a start tag.
fn insert(text: &str, tag: &Range<usize>, attribute: &str) -> Edit {
    let source = text[tag.clone()].trim_end_matches(['>', '/']).trim_end();
    let at = tag.start + source.len();
    Edit::replace(at..at, attribute)
}
