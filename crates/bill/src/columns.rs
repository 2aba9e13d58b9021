//! Columns by meaning: whatever a writer calls them, and however it types them.
//!
//! `lineItem/UnblendedCost`, `line_item_unblended_cost` and `reservation_reservation_a_r_n` against
//! `reservation/ReservationARN`: spelled without separators and in lower case they agree, so that is how columns
//! are looked up.

use std::collections::BTreeMap;

/// What a column holds, as far as reading it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Text.
    Text,
    /// A binary number.
    Float,
    /// An exact decimal.
    Decimal,
    /// An integer.
    Integer,
    /// A time stamp or a date.
    Time,
    /// A map from text to something.
    Map,
    /// Anything else, which is not read.
    Other,
}

/// A column as a file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The name in the file.
    pub(crate) name: String,
    /// The place in the file.
    pub(crate) index: usize,
    /// What it holds.
    pub(crate) kind: Kind,
}

/// The columns of a file, found by meaning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Columns {
    by_key: BTreeMap<String, Found>,
}

impl Columns {
    pub(crate) fn new(columns: impl IntoIterator<Item = (String, Kind)>) -> Self {
        let mut by_key = BTreeMap::new();
        for (index, (name, kind)) in columns.into_iter().enumerate() {
            // Of two columns with one meaning the first wins; AWS never writes two.
            by_key.entry(squash(&name)).or_insert(Found { name, index, kind });
        }
        Self { by_key }
    }

    /// The column of this name, in any spelling.
    pub(crate) fn find(&self, name: &str) -> Option<&Found> {
        self.by_key.get(&squash(name))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// How many of these columns the file has.
    pub(crate) fn count(&self, names: &[&str]) -> usize {
        names.iter().filter(|name| self.has(name)).count()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// The first few names, for a message about a file that nobody knows.
    pub(crate) fn sample(&self) -> String {
        let mut found: Vec<&Found> = self.by_key.values().collect();
        found.sort_by_key(|found| found.index);
        let mut names: Vec<String> =
            found.iter().take(6).map(|found| found.name.chars().take(40).collect()).collect();
        if found.len() > names.len() {
            names.push(format!("… ({} columns)", found.len()));
        }
        names.join(", ")
    }
}

fn squash(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_column_agree() {
        let columns = Columns::new([
            ("lineItem/UnblendedCost".to_owned(), Kind::Text),
            ("reservation_reservation_a_r_n".to_owned(), Kind::Text),
        ]);
        assert!(columns.has("line_item_unblended_cost"));
        assert!(columns.has("reservation/ReservationARN"));
        assert!(!columns.has("line_item_blended_cost"));
    }
}
