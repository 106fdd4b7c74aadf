//! QRadar's high-level and low-level categories.

use std::sync::LazyLock;

/// A low-level category and the high-level category that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Category {
    /// Identifier of the low-level category.
    pub low_id: u32,
    /// Name of the low-level category.
    pub low_name: &'static str,
    /// Identifier of the high-level category: the low-level one rounded down to a thousand.
    pub high_id: u32,
    /// Name of the high-level category.
    pub high_name: &'static str,
    /// Severity of the category, where IBM's pages state it.
    pub severity: Option<u8>,
}

/// Events without a QID are filed here.
pub const UNKNOWN: u32 = 10_001;
/// Events without an event ID are filed here.
pub const STORED: u32 = 10_008;

static TABLE: LazyLock<Vec<Category>> = LazyLock::new(|| {
    let mut table: Vec<Category> = include_str!("../data/categories.tsv")
        .lines()
        .skip(1)
        .filter_map(row)
        .collect();
    table.sort_by_key(|category| category.low_id);
    table
});

fn row(line: &'static str) -> Option<Category> {
    let mut columns = line.split('\t');
    Some(Category {
        high_id: columns.next()?.parse().ok()?,
        high_name: columns.next()?,
        low_id: columns.next()?.parse().ok()?,
        low_name: columns.next()?,
        severity: columns.next().and_then(|text| text.trim().parse().ok()),
    })
}

/// All low-level categories, by identifier.
pub fn all() -> &'static [Category] {
    &TABLE
}

/// The low-level category with this identifier.
pub fn by_id(low_id: u32) -> Option<&'static Category> {
    TABLE
        .binary_search_by_key(&low_id, |category| category.low_id)
        .ok()
        .map(|index| &TABLE[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_is_read_and_belongs_to_its_thousand() {
        let rows = include_str!("../data/categories.tsv").lines().count() - 1;
        assert_eq!(all().len(), rows);
        for category in all() {
            assert_eq!(category.high_id, category.low_id / 1000 * 1000);
        }
    }

    #[test]
    fn unknown_and_stored_exist() {
        assert_eq!(by_id(UNKNOWN).map(|c| c.low_name), Some("Unknown"));
        assert_eq!(by_id(STORED).map(|c| c.low_name), Some("Stored"));
        assert_eq!(by_id(1), None);
    }
}
