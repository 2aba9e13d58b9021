//! What each resource cost, while that fits into memory.
//!
//! Of the columns that are read none repeats itself less, so that a line costs what finding its resource costs: one place in
//! one table, and its name beside those of the others.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hash as _, Hasher as _};

use costlens_domain::bill::{ResourceCost, Text};
use costlens_domain::classify::Verdict;
use costlens_domain::money::Currency;
use datafusion::arrow::array::{Array as _, ArrayRef, AsArray as _};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use hashbrown::{DefaultHashBuilder, HashTable};

use super::currency;
use crate::BillError;
use crate::lines::amounts::{Amount, decimal, out_of_range};
use crate::lines::texts::{Code, Texts};
use crate::lines::{SCALE, Source};

/// What else makes two lines the same resource's, by the numbers of the sum's texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Use {
    pub(super) account: Code,
    pub(super) currency: Code,
    pub(super) service: Code,
    pub(super) verdict: Verdict,
}

/// The sum of one resource.
#[derive(Clone, Copy, Debug)]
struct Sum {
    cost: i128,
    lines: u64,
    hash: u64,
    of: Use,
    name: Name,
}

/// Every resource once.
#[derive(Debug, Default)]
pub(super) struct Resources {
    sums: HashTable<Sum>,
    names: Names,
    hasher: DefaultHashBuilder,
}

impl Resources {
    /// About how many bytes of memory they take.
    pub(super) fn held_bytes(&self) -> usize {
        self.names.held_bytes().saturating_add(self.sums.allocation_size())
    }

    /// Adds the lines of a batch: the row of each, what else it is of, and its cost.
    pub(super) fn add(
        &mut self,
        names: &NameColumns,
        lines: impl Iterator<Item = (usize, Use, Amount)>,
    ) -> Result<(), BillError> {
        // In loops of their own, so that the processor looks for several resources at once.
        let named = lines.filter_map(|(row, of, cost)| Some((names.get(row)?, of, cost)));
        let hashed: Vec<_> = named.map(|(name, of, cost)| (self.hash(name, of), name, of, cost)).collect();
        for (hash, name, of, cost) in hashed {
            self.add_sum(hash, name, of, (cost.unwrap_or(0), 1))?;
        }
        Ok(())
    }

    fn hash(&self, name: &str, of: Use) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        name.hash(&mut hasher);
        of.hash(&mut hasher);
        hasher.finish()
    }

    fn add_sum(
        &mut self,
        hash: u64,
        name: &str,
        of: Use,
        (cost, lines): (i128, u64),
    ) -> Result<(), BillError> {
        let names = &mut self.names;
        let is_it = |sum: &Sum| sum.hash == hash && sum.of == of && names.get(sum.name) == name;
        if let Some(sum) = self.sums.find_mut(hash, is_it) {
            sum.cost = sum.cost.checked_add(cost).ok_or_else(out_of_range)?;
            sum.lines += lines;
            return Ok(());
        }
        let Some(name) = names.push(name) else {
            return Err(BillError::Memory { memory_bytes: names.held_bytes() });
        };
        self.sums.insert_unique(hash, Sum { cost, lines, hash, of, name }, |sum| sum.hash);
        Ok(())
    }

    /// Adds all that another one holds; `own` turns the numbers of its sum's texts into those of this one's.
    pub(super) fn absorb(&mut self, other: &Self, own: impl Fn(Code) -> Code) -> Result<(), BillError> {
        other.sums.iter().try_for_each(|sum| {
            let Use { account, currency, service, verdict } = sum.of;
            let of = Use { account: own(account), currency: own(currency), service: own(service), verdict };
            let name = other.names.get(sum.name);
            self.add_sum(self.hash(name, of), name, of, (sum.cost, sum.lines))
        })
    }

    /// The dearest of each currency, in no order.
    pub(super) fn dearest(&self, top: usize, texts: &Texts) -> Result<Vec<ResourceCost>, BillError> {
        let mut by_currency: BTreeMap<Currency, Vec<&Sum>> = BTreeMap::new();
        for sum in &self.sums {
            by_currency.entry(currency(&texts.text(sum.of.currency))).or_default().push(sum);
        }
        let mut dearest = Vec::new();
        for (currency, mut sums) in by_currency {
            // Which of those that cost the same are among them must not depend on threads.
            let order = |a: &&Sum, b: &&Sum| -> Ordering {
                let by_name = || self.names.get(a.name).cmp(self.names.get(b.name));
                let rest = |of: Use| (texts.texts([of.account, of.service]), of.verdict);
                b.cost.cmp(&a.cost).then_with(by_name).then_with(|| rest(a.of).cmp(&rest(b.of)))
            };
            if sums.len() > top {
                sums.select_nth_unstable_by(top, order);
                sums.truncate(top);
            }
            for sum in sums {
                dearest.push(ResourceCost {
                    resource_id: Text::from(self.names.get(sum.name)),
                    usage_account: texts.text(sum.of.account),
                    service: texts.text(sum.of.service),
                    verdict: sum.of.verdict,
                    currency,
                    unblended: decimal(sum.cost, SCALE)?,
                    lines: sum.lines,
                });
            }
        }
        Ok(dearest)
    }
}

/// How many bytes of names stand in a row. A longer one has a row for itself.
const ROW: usize = 256 * 1024;

/// Names one after the other, in rows, so that what is there is not moved when more come.
#[derive(Debug, Default)]
struct Names(Vec<String>);

/// Where a name stands.
#[derive(Clone, Copy, Debug)]
struct Name {
    row: u32,
    from: u32,
    length: u32,
}

impl Names {
    fn held_bytes(&self) -> usize {
        self.0.iter().map(String::capacity).fold(0, usize::saturating_add)
    }

    /// `None` where it is too long to be counted.
    fn push(&mut self, name: &str) -> Option<Name> {
        if self.0.last().is_none_or(|row| row.capacity() - row.len() < name.len()) {
            self.0.push(String::with_capacity(ROW.max(name.len())));
        }
        let at = self.0.len() - 1;
        let row = self.0.last_mut()?;
        let place = Name {
            row: u32::try_from(at).ok()?,
            from: u32::try_from(row.len()).ok()?,
            length: u32::try_from(name.len()).ok()?,
        };
        row.push_str(name);
        Some(place)
    }

    fn get(&self, name: Name) -> &str {
        let [row, from, length] =
            [name.row, name.from, name.length].map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        self.0.get(row).and_then(|row| row.get(from..from.checked_add(length)?)).unwrap_or_default()
    }
}

/// The columns that name what was used, as views of their texts, best source first.
#[derive(Debug, Default)]
pub(super) struct NameColumns(Vec<ArrayRef>);

impl NameColumns {
    /// A message where a column has no texts.
    pub(super) fn of(columns: &[ArrayRef], sources: &[Source]) -> Result<Self, String> {
        let found = sources.iter().filter_map(|source| columns.get(source.place));
        let views: Result<_, _> = found.map(|column| cast(column, &DataType::Utf8View)).collect();
        views.map(Self).map_err(|error| error.to_string())
    }

    /// What a row's line used; `None` where no column says it.
    pub(super) fn get(&self, row: usize) -> Option<&str> {
        self.0.iter().find_map(|column| {
            let texts = column.as_string_view();
            let is_said = row < texts.len() && texts.is_valid(row);
            is_said.then(|| texts.value(row)).filter(|text| !text.is_empty())
        })
    }
}
