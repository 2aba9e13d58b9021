//! Which calls a bill can have: those whose model it names, or could not name yet.

use chrono::NaiveDate;
use hashbrown::{HashMap, HashSet};

use super::billed::Billed;
use super::meter::{Bundle, Meter};
use super::names::Name;

/// Which models the bill knows in which accounts.
pub(super) struct Presence {
    billed: HashMap<Name, HashSet<Name>>,
    /// Models whose calls are all so new that the bill cannot know them.
    new: HashSet<Name>,
}

impl Presence {
    /// By the bill as it came: what calls are thought to have asked for is no sign that their model is on it.
    pub(super) fn of(meter: &Meter, bill: &Billed, complete_through: NaiveDate) -> Self {
        let mut billed: HashMap<Name, HashSet<Name>> = HashMap::new();
        for row in bill.rows.iter().filter(|row| !row.is_nameless_search()) {
            billed.entry(row.model).or_default().insert(row.place.account);
        }
        let mut new: HashSet<Name> = HashSet::new();
        let mut old: HashSet<Name> = HashSet::new();
        for (_, bundle) in meter.bundles() {
            if bundle.key.day > complete_through { &mut new } else { &mut old }.insert(bundle.key.model);
        }
        new.retain(|model| !old.contains(model) && !billed.contains_key(model));
        Self { billed, new }
    }

    pub(super) fn is_absent(&self, bundle: &Bundle) -> bool {
        match self.billed.get(&bundle.key.model) {
            Some(accounts) => !accounts.iter().any(|account| account.agrees_with(bundle.key.place.account)),
            None => !self.new.contains(&bundle.key.model),
        }
    }
}
