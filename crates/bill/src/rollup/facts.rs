//! Daily facts as they grow: integer keys and integer sums, made into words at the end.

use costlens_domain::bill::DailyFact;
use hashbrown::HashMap;
use rust_decimal::Decimal;

use super::chunks::Chunks;
use super::measures::Sums;
use super::products::Products;
use crate::BillError;
use crate::lines::amounts::{Day, date, decimal};
use crate::lines::texts::{Code, Codes, Texts};
use crate::lines::{SCALE, USER_TEXTS};

/// What makes two lines the same fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct FactKey {
    pub(super) product: u32,
    /// The codes of [`USER_TEXTS`].
    pub(super) user: Codes<{ USER_TEXTS.len() }>,
    pub(super) day: Day,
}

/// Every fact once.
#[derive(Debug, Default)]
pub(super) struct Facts {
    by_key: HashMap<FactKey, u32>,
    sums: Chunks<Sums>,
}

impl Facts {
    /// About how many bytes of memory they take.
    pub(super) fn held_bytes(&self) -> usize {
        self.sums.len().saturating_mul(size_of::<(FactKey, u32, Sums)>())
    }

    /// The place of a fact, for [`Self::add`].
    pub(super) fn place(&mut self, key: FactKey) -> u32 {
        *self.by_key.entry(key).or_insert_with(|| {
            self.sums.push(Sums::default());
            u32::try_from(self.sums.len() - 1).unwrap_or(u32::MAX)
        })
    }

    pub(super) fn add(&mut self, place: u32, sums: Sums) -> Result<(), BillError> {
        match usize::try_from(place).ok().and_then(|at| self.sums.get_mut(at)) {
            Some(known) => known.add(sums),
            None => Ok(()),
        }
    }

    pub(super) fn absorb(
        &mut self,
        other: &Self,
        own: impl Fn(&FactKey) -> FactKey,
    ) -> Result<(), BillError> {
        for (key, at) in &other.by_key {
            if let Some(sums) = usize::try_from(*at).ok().and_then(|at| other.sums.get(at)) {
                let place = self.place(own(key));
                self.add(place, *sums)?;
            }
        }
        Ok(())
    }

    /// The facts in words, ordered by day, product, account and so on. `first_day` stands in for a missing day.
    pub(super) fn into_daily(
        self,
        products: &Products,
        texts: &Texts,
        first_day: Day,
    ) -> Result<Vec<DailyFact>, BillError> {
        let order = Order::new(products, texts);
        let mut keys = Vec::with_capacity(self.by_key.len());
        for (key, at) in self.by_key {
            let Some(day) = key.day.or(first_day) else {
                return Err(BillError::Engine { message: "no line of the bill has a day".to_owned() });
            };
            keys.push((order.rank(day, &key), day, key, at));
        }
        keys.sort_unstable_by_key(|(rank, ..)| *rank);
        let products: Vec<_> = products.all().collect();
        let mut daily: Vec<DailyFact> = Vec::with_capacity(keys.len());
        // Lines without a day may meet those of the first day.
        for same in keys.chunk_by(|a, b| a.0 == b.0) {
            let mut sums = Sums::default();
            for (.., at) in same {
                if let Some(more) = usize::try_from(*at).ok().and_then(|at| self.sums.get(at)) {
                    sums.add(*more)?;
                }
            }
            let Some((_, day, key, _)) = same.first() else { continue };
            let Some((product, class)) = usize::try_from(key.product).ok().and_then(|at| products.get(at))
            else {
                continue;
            };
            let [billing_account, usage_account, region, principal] = texts.texts(key.user.0);
            let usage_quantity = decimal(sums.usage_quantity, SCALE)?;
            let line_item_type = texts.text(product.line_type);
            let tokens = class
                .tokens_per_unit
                .filter(|_| costlens_domain::classify::is_usage(&line_item_type))
                .and_then(|per_unit| usage_quantity.checked_mul(Decimal::from(per_unit)));
            daily.push(DailyFact {
                day: date(*day)?,
                billing_account,
                usage_account,
                region,
                billing_entity: texts.text(product.entity),
                product_code: texts.text(product.code),
                product_name: texts.text(product.name),
                usage_type: texts.text(product.usage_type),
                operation: texts.text(product.operation),
                principal,
                line_item_type,
                currency: super::currency(&texts.text(product.currency)),
                class: (*class).clone(),
                pricing_unit: texts.text(product.unit),
                usage_quantity,
                tokens,
                unblended: decimal(sums.unblended, SCALE)?,
                net_unblended: decimal(sums.net_unblended, SCALE)?,
                amortised: Some(decimal(sums.amortised, SCALE)?),
                net_amortised: Some(decimal(sums.net_amortised, SCALE)?),
                list: sums.list.map(|list| decimal(list, SCALE)).transpose()?,
                lines: sums.lines,
            });
        }
        Ok(daily)
    }
}

/// Where a fact stands: day, product code, usage type, account, line type, region, principal, the rest of the
/// product, the payer.
type Rank = (i32, [u32; 8]);

/// The places of texts and products in their order.
struct Order {
    texts: Vec<u32>,
    products: Vec<ProductRank>,
}

#[derive(Clone, Copy, Default)]
struct ProductRank {
    code: u32,
    usage_type: u32,
    line_type: u32,
    rest: u32,
}

impl Order {
    fn new(products: &Products, texts: &Texts) -> Self {
        let texts_rank = ranks(texts.all());
        let rank =
            |code: Code| usize::try_from(code).ok().and_then(|at| texts_rank.get(at)).copied().unwrap_or(0);
        let rest: Vec<_> =
            products.all().map(|(product, class)| (product.order_texts(texts), (*class).clone())).collect();
        let products = products.all().zip(ranks(&rest)).map(|((product, _), rest)| ProductRank {
            code: rank(product.code),
            usage_type: rank(product.usage_type),
            line_type: rank(product.line_type),
            rest,
        });
        Self { products: products.collect(), texts: texts_rank }
    }

    fn rank(&self, day: i32, key: &FactKey) -> Rank {
        let text =
            |code: Code| usize::try_from(code).ok().and_then(|at| self.texts.get(at)).copied().unwrap_or(0);
        let [payer, account, region, principal] = key.user.0.map(text);
        let at = usize::try_from(key.product).ok();
        let ProductRank { code, usage_type, line_type, rest } =
            at.and_then(|at| self.products.get(at)).copied().unwrap_or_default();
        (day, [code, usage_type, account, line_type, region, principal, rest, payer])
    }
}

/// For each element its place among all of them in order; equal ones share a place.
fn ranks<T: Ord>(all: &[T]) -> Vec<u32> {
    let mut sorted: Vec<(usize, &T)> = all.iter().enumerate().collect();
    sorted.sort_unstable_by_key(|(_, value)| *value);
    let mut out = vec![0; all.len()];
    let mut rank = 0;
    let mut last: Option<&T> = None;
    for (at, value) in sorted {
        if last.is_some_and(|last| last != value) {
            rank += 1;
        }
        last = Some(value);
        if let Some(place) = out.get_mut(at) {
            *place = rank;
        }
    }
    out
}
