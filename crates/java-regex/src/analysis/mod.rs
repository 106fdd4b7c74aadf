//! What authors of patterns ask, and no matcher needs: on which text a pattern is slow ([`JavaRegex::attack`]), whether a
//! pattern is found wherever another one is ([`Cover`]), and one expression instead of two ([`JavaRegex::lower`]).

mod attack;
mod cover;
mod print;

pub use attack::{Attack, Growth};
pub use cover::Cover;

use crate::JavaRegex;

impl JavaRegex {
    /// A text of at most `longest` bytes on which the backtracking engine needs more than `budget` steps, if one is found.
    /// It was run on; that none is found proves nothing. None is looked for if the pattern is longer than 16,384 bytes.
    pub fn attack(&self, longest: usize, budget: u64) -> Option<Attack> {
        const LONGEST: usize = 1 << 14;
        if self.pattern().len() > LONGEST {
            return None;
        }
        attack::find(self, &self.tree()?, longest, budget)
    }

    /// One expression over a whole text that finds what `inner` finds in the rest of the line behind `self`, where `self` is
    /// `head(.*)` or `head(.+)`, with `$` or without. The groups are those
    /// of `inner`; if it has none, group 1 is its whole match.
    ///
    /// # Errors
    ///
    /// The reason why there is none.
    pub fn lower(&self, inner: &JavaRegex) -> Result<String, &'static str> {
        match (self.tree(), inner.tree()) {
            (Some(outer), Some(inner)) => print::lower(&outer, &inner),
            _ => Err("one of the expressions cannot be read"),
        }
    }

    /// The same for an item of a list behind `self`; the first item is 0. The value is group 1.
    ///
    /// # Errors
    ///
    /// The reason why there is none.
    pub fn lower_item(&self, delimiter: &str, index: usize) -> Result<String, &'static str> {
        let tree = self.tree().ok_or("the expression cannot be read")?;
        print::list_item(&print::head(&tree)?, delimiter, index)
    }

    /// The same for the value of a name in name-value pairs behind `self`. The value is group 1.
    ///
    /// # Errors
    ///
    /// The reason why there is none.
    pub fn lower_pair(
        &self,
        pair: &str,
        name_value: &str,
        name: &str,
    ) -> Result<String, &'static str> {
        let tree = self.tree().ok_or("the expression cannot be read")?;
        print::pair_value(&print::head(&tree)?, pair, name_value, name)
    }
}
