//! Java's regular expressions (`java.util.regex` as of JDK 17), to the letter.
//!
//! QRadar runs the patterns of a log source extension on Java, so a pattern here must find what Java finds: same matches,
//! same captures, same refusals. A pattern is read by Java's syntax ([`SyntaxError`] tells what Java would refuse), and
//! then runs on one of two engines. The linear one takes the patterns for which it provably agrees with Java, and needs
//! time in proportion to the text. The backtracking one takes everything else, works the way Java does, and counts its
//! steps.
//!
//! The linear one is three: patterns of one shape need no engine (`simple`); most of the others are matched by a lean one
//! (`direct`); where that one would have to try too much, [`regex_automata`] does it, or, if the pattern has look-arounds,
//! the lean one once more with a memo of what it has tried.
//!
//! Where this departs from Java, on purpose: half of a surrogate pair at the beginning or the end of a group is left out,
//! because UTF-8 has no form for it (Java steps into the middle of a pair in some places, as for `(?<!^).` on a lone
//! emoji; that is done here too); and a deep recursion that ends in Java's `StackOverflowError` simply goes on here until
//! the budget is used up.
//!
//! ```
//! use java_regex::{Flags, JavaRegex, Slots};
//!
//! let regex = JavaRegex::new(r"src=(?<ip>\d{1,3}(?:\.\d{1,3}){3})", Flags::default())?;
//! let (text, mut slots) = ("act=deny src=10.1.2.3", Slots::default());
//! assert_eq!(regex.find(text, &mut slots, 100_000), Ok(true));
//! assert_eq!(slots.get(1).map(|range| &text[range]), Some("10.1.2.3"));
//! # Ok::<(), java_regex::SyntaxError>(())
//! ```

pub mod analysis;
mod backtrack;
mod blocks;
mod charset;
mod class;
mod direct;
mod escape;
mod grapheme;
mod hir;
#[cfg(test)]
mod limits;
mod literals;
mod measure;
mod names;
mod parser;
mod place;
mod program;
mod property;
mod set;
mod simple;
mod syntax;
mod work;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::{Input, meta};

pub use backtrack::BudgetExceeded;
pub use hir::Reason;
pub use set::{RegexSet, SetState};
pub use syntax::{SyntaxError, SyntaxErrorKind};

/// The flags of `Pattern.compile`. Inline flags such as `(?i)` change them inside the pattern.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `CASE_INSENSITIVE`, `(?i)`: letters match in both cases; only ASCII letters without `unicode_case`.
    pub case_insensitive: bool,
    /// `MULTILINE`, `(?m)`: `^` and `$` match at every line.
    pub multiline: bool,
    /// `DOTALL`, `(?s)`: `.` matches line terminators too.
    pub dotall: bool,
    /// `UNIX_LINES`, `(?d)`: only `\n` ends a line.
    pub unix_lines: bool,
    /// `UNICODE_CASE`, `(?u)`
    pub unicode_case: bool,
    /// `UNICODE_CHARACTER_CLASS`, `(?U)`: `\w`, `\d`, `\s`, `\b` and the POSIX classes go by Unicode.
    pub unicode_character_class: bool,
    /// `COMMENTS`, `(?x)`: blanks and `# …` in the pattern do not count.
    pub comments: bool,
}

/// Which engine a pattern runs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Time in proportion to the text. A text that a precondition rules out (one with emoji and a pattern with
    /// look-arounds, say) still goes to the backtracking engine.
    Linear,
    /// Time that can grow exponentially, within the budget.
    Backtracking {
        /// What keeps the pattern from the linear engine; at least one reason, none of them twice.
        because: Vec<Reason>,
    },
}

/// A compiled pattern. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct JavaRegex {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    pattern: String,
    flags: Flags,
    groups: usize,
    names: BTreeMap<String, usize>,
    by_chars: bool,
    program: program::Program,
    linear: Result<hir::Linear, Vec<Reason>>,
    simple: Option<simple::Simple>,
    direct: Option<direct::Direct>,
}

/// Where the groups of the last match are, and the working memory of the search. Reuse it: it grows to what the searches
/// need and stays there.
#[derive(Debug, Default)]
pub struct Slots {
    memory: backtrack::Memory,
    linear: Vec<Option<NonMaxUsize>>,
    cache: Option<Cache>,
    direct: direct::Memory,
    answer: Answer,
    kept: usize,
}

/// What the linear engine has built for a pattern so far.
#[derive(Debug)]
struct Cache {
    of: Arc<Inner>,
    cache: Box<meta::Cache>,
}

/// Where the answer of the last search is.
#[derive(Debug, Default, Clone, Copy)]
enum Answer {
    /// It found nothing.
    #[default]
    None,
    Memory,
    Direct,
}

impl Slots {
    /// The bytes of working memory that are kept for the next search, but for small change.
    pub fn kept(&self) -> usize {
        self.kept
    }

    /// Gives the working memory back. The groups of the last match stay.
    pub fn release(&mut self) {
        self.cache = None;
        self.memory.release();
        self.direct.release();
        self.kept = 0;
    }

    fn count_kept(&mut self) {
        let cache = self
            .cache
            .as_ref()
            .map_or(0, |kept| kept.cache.memory_usage());
        self.kept = cache + self.memory.kept() + self.direct.kept();
    }

    /// The working memory of the linear engine for a pattern.
    fn cache_for(&mut self, inner: &Arc<Inner>, regex: &meta::Regex) -> &mut meta::Cache {
        let known = self
            .cache
            .take()
            .filter(|known| Arc::ptr_eq(&known.of, inner));
        let known = known.unwrap_or_else(|| Cache {
            of: Arc::clone(inner),
            cache: Box::new(regex.create_cache()),
        });
        &mut self.cache.insert(known).cache
    }

    /// Notes that the lean matcher has given the answer, and returns it.
    fn answer_directly(&mut self, found: bool) -> bool {
        self.answer = if found { Answer::Direct } else { Answer::None };
        found
    }

    /// The bytes of the text that the group has matched; group 0 is the whole match. Nothing if the group took no part,
    /// if there is no such group, or if the last search found nothing.
    pub fn get(&self, group: usize) -> Option<Range<usize>> {
        let (start, end) = match self.answer {
            Answer::None => None,
            Answer::Memory => self.memory.get(group),
            Answer::Direct => self.direct.group(group),
        }?;
        Some(start..end)
    }
}

/// The memory that the automata of several patterns may take together, by default 64 MiB.
///
/// Half of it is for patterns that the lean matcher takes: they have an automaton only in case that one gives up, which is
/// rare, and without an automaton are matched with a memo, in linear time too. So the half for the others, to which
/// nothing but backtracking is left without an automaton, is not used up by them.
#[derive(Debug)]
pub struct Room {
    in_reserve: usize,
    in_use: usize,
}

impl Default for Room {
    fn default() -> Self {
        const HALF: usize = 32 << 20;
        Self {
            in_reserve: HALF,
            in_use: HALF,
        }
    }
}

impl Room {
    /// As much as there is memory.
    pub const fn unlimited() -> Self {
        Self {
            in_reserve: usize::MAX,
            in_use: usize::MAX,
        }
    }

    /// Takes room, if there is as much.
    fn take(&mut self, bytes: usize, is_reserve: bool) -> bool {
        let left = match is_reserve {
            true => &mut self.in_reserve,
            false => &mut self.in_use,
        };
        match left.checked_sub(bytes) {
            Some(rest) => {
                *left = rest;
                true
            }
            None => false,
        }
    }
}

impl JavaRegex {
    /// Compiles a pattern.
    ///
    /// # Errors
    ///
    /// [`SyntaxErrorKind::Invalid`] if Java refuses the pattern, [`SyntaxErrorKind::Unsupported`] if Java takes it and it
    /// cannot be honoured here.
    pub fn new(pattern: &str, flags: Flags) -> Result<JavaRegex, SyntaxError> {
        Self::new_in(&mut Room::unlimited(), pattern, flags)
    }

    /// Compiles a pattern, one of several whose automata share their memory. One that has no room left finds the same by
    /// other engines.
    ///
    /// # Errors
    ///
    /// As for [`JavaRegex::new`].
    pub fn new_in(room: &mut Room, pattern: &str, flags: Flags) -> Result<JavaRegex, SyntaxError> {
        let tree = parser::parse(pattern, flags)?;
        let program = program::compile(&tree);
        let linear = hir::build(&tree);
        let simple = simple::build(&tree).filter(|_| linear.is_ok());
        let is_regular = match &linear {
            Ok(_) => true,
            Err(because) => because.as_slice() == [Reason::LookAround],
        };
        let direct = is_regular
            .then(|| direct::build(&tree, program.anchored))
            .flatten();
        let linear = linear.and_then(|linear| {
            let has_room = room.take(linear.bytes, direct.is_some());
            has_room.then_some(linear).ok_or(vec![Reason::TooLarge])
        });
        let syntax::Tree {
            groups,
            names,
            by_chars,
            ..
        } = tree;
        let pattern = pattern.to_owned();
        Ok(JavaRegex {
            inner: Arc::new(Inner {
                pattern,
                flags,
                groups,
                names,
                by_chars,
                program,
                linear,
                simple,
                direct,
            }),
        })
    }

    /// The pattern as it was given.
    pub fn pattern(&self) -> &str {
        &self.inner.pattern
    }

    /// The flags as they were given.
    pub fn flags(&self) -> Flags {
        self.inner.flags
    }

    /// How many capturing groups there are; group 0 does not count.
    pub fn group_count(&self) -> usize {
        self.inner.groups
    }

    /// The named groups and their numbers, in the order of the names.
    pub fn group_names(&self) -> impl ExactSizeIterator<Item = (&str, usize)> + '_ {
        self.inner
            .names
            .iter()
            .map(|(name, &group)| (name.as_str(), group))
    }

    /// Which engine the pattern runs on.
    pub fn engine(&self) -> Engine {
        match &self.inner.linear {
            Ok(_) => Engine::Linear,
            Err(_) if self.inner.direct.is_some() => Engine::Linear,
            Err(because) => Engine::Backtracking {
                because: because.clone(),
            },
        }
    }

    /// Searches the text from its start, like `Matcher.find()` on a new matcher.
    ///
    /// # Errors
    ///
    /// If the backtracking engine has taken `budget` steps, or has stacked up more than its memory limit allows, before
    /// the answer was known. The slots are empty then.
    pub fn find(&self, text: &str, slots: &mut Slots, budget: u64) -> Result<bool, BudgetExceeded> {
        let groups = self.inner.groups + 1;
        slots.answer = Answer::Memory;
        if let Some(simple) = self.simple_for(text) {
            let found = simple.find(text);
            slots.memory.set(found.is_some(), groups, |group| {
                let range = simple.group(found.as_ref()?, group)?;
                Some((range.start, range.end))
            });
            return Ok(found.is_some());
        }
        if let Some(found) = self.find_directly(text, slots) {
            slots
                .memory
                .set(found, groups, |group| slots.direct.group(group));
            return Ok(found);
        }
        let Some(linear) = self.linear_for(text) else {
            if let Some(found) = self.find_with_memo(text, slots) {
                slots
                    .memory
                    .set(found, groups, |group| slots.direct.group(group));
                return Ok(found);
            }
            return self.find_by_backtracking(text, slots, budget);
        };
        let mut places = std::mem::take(&mut slots.linear);
        places.clear();
        places.resize(2 * groups, None);
        let cache = slots.cache_for(&self.inner, &linear.regex);
        let found = linear
            .regex
            .search_slots_with(cache, &Input::new(text), &mut places)
            .is_some();
        slots.linear = places;
        slots.count_kept();
        slots.memory.set(found, groups, |group| {
            let (start, end) = (
                slots.linear.get(2 * group)?,
                slots.linear.get(2 * group + 1)?,
            );
            Some((start.as_ref()?.get(), end.as_ref()?.get()))
        });
        Ok(found)
    }

    /// Whether the pattern is found anywhere in the text.
    ///
    /// # Errors
    ///
    /// As for [`JavaRegex::find`].
    pub fn is_match(
        &self,
        text: &str,
        slots: &mut Slots,
        budget: u64,
    ) -> Result<bool, BudgetExceeded> {
        if let Some(simple) = self.simple_for(text) {
            return Ok(simple.find(text).is_some());
        }
        if let Some(found) = self.find_directly(text, slots) {
            return Ok(found);
        }
        if let Some(linear) = self.linear_for(text) {
            let cache = slots.cache_for(&self.inner, &linear.regex);
            let input = Input::new(text).earliest(true);
            let found = linear.regex.search_half_with(cache, &input).is_some();
            slots.count_kept();
            return Ok(found);
        }
        match self.find_with_memo(text, slots) {
            Some(found) => Ok(found),
            None => self.find_by_backtracking(text, slots, budget),
        }
    }

    /// How many steps the backtracking engine, which works the way Java does, takes to search the text: `budget` if that
    /// is not enough. On texts that the linear engine takes this is what QRadar would have to do, and this program has not.
    pub fn steps(&self, text: &str, slots: &mut Slots, budget: u64) -> u64 {
        // That the budget is used up is told by the number.
        let _ = self.find_by_backtracking(text, slots, budget);
        slots.memory.steps
    }

    pub(crate) fn tree(&self) -> Option<syntax::Tree> {
        // It was read before, so it can be read again.
        parser::parse(&self.inner.pattern, self.inner.flags).ok()
    }

    /// [`JavaRegex::find`] on the backtracking engine, whatever the pattern: for comparing the engines.
    #[doc(hidden)]
    pub fn find_by_backtracking(
        &self,
        text: &str,
        slots: &mut Slots,
        budget: u64,
    ) -> Result<bool, BudgetExceeded> {
        slots.answer = Answer::Memory;
        let result = backtrack::find(
            &self.inner.program,
            self.inner.groups,
            text,
            &mut slots.memory,
            budget,
        );
        if result != Ok(true) {
            slots.memory.set(false, 0, |_| None);
        }
        slots.count_kept();
        result
    }

    /// [`JavaRegex::find`] by the search with a memo, where it is possible: for comparing the engines.
    #[doc(hidden)]
    pub fn find_by_memo(&self, text: &str, slots: &mut Slots) -> Option<bool> {
        let found = self.find_with_memo(text, slots)?;
        Some(slots.answer_directly(found))
    }

    fn simple_for(&self, text: &str) -> Option<&simple::Simple> {
        let simple = self.inner.simple.as_ref();
        simple.filter(|simple| fits(text) && simple.takes(text))
    }

    /// Whether the pattern is found, unless it is not for the lean matcher or takes too many steps there.
    fn find_directly(&self, text: &str, slots: &mut Slots) -> Option<bool> {
        let direct = self.inner.direct.as_ref().filter(|_| fits(text))?;
        match direct.find(text, self.inner.groups + 1, &mut slots.direct) {
            direct::Outcome::Found => Some(true),
            direct::Outcome::Absent => Some(false),
            direct::Outcome::GivenUp => None,
        }
    }

    /// Whether the pattern is found, for what no other engine does in linear time; nothing if this one does not either.
    fn find_with_memo(&self, text: &str, slots: &mut Slots) -> Option<bool> {
        let direct = self.inner.direct.as_ref().filter(|_| fits(text))?;
        let groups = self.inner.groups + 1;
        match direct.find_with_memo(text, self.inner.by_chars, groups, &mut slots.direct) {
            direct::Outcome::Found => Some(true),
            direct::Outcome::Absent => Some(false),
            direct::Outcome::GivenUp => None,
        }
    }

    fn linear_for(&self, text: &str) -> Option<&hir::Linear> {
        let fits = fits(text);
        self.inner
            .linear
            .as_ref()
            .ok()
            .filter(|linear| fits && linear.takes(text))
    }
}

/// Whether places in the text fit into the slots.
fn fits(text: &str) -> bool {
    text.len() < u32::MAX as usize / 2
}
