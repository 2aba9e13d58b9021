//! What units cost by the catalogue, and how the bill's own unit prices stand to that.

use chrono::NaiveDate;
use hashbrown::HashMap;

use super::atto::Atto;
use super::billed::BilledRow;
use super::code::{ByCode, Code};
use super::names::Name;
use super::sku::{Kind, Sku};
pub use costlens_domain::settlement::PriceFinding;

/// The price catalogue, as settlement asks it.
pub trait Prices {
    /// The price of one token or search in that region (where it was said) on that day; `None` where none is known.
    fn per_unit(&self, model: Name, sku: Sku, region: Name, day: NaiveDate) -> Option<Atto>;
}

impl<F: Fn(Name, Sku, Name, NaiveDate) -> Option<Atto>> Prices for F {
    fn per_unit(&self, model: Name, sku: Sku, region: Name, day: NaiveDate) -> Option<Atto> {
        self(model, sku, region, day)
    }
}

/// Ratios are counted in these.
const ONE: i128 = 1_000_000_000;
/// Two ratios this near are the same price.
const SAME: i128 = 2_000;
/// A row whose rounding may move its ratio further than this tells no price.
const CLEAR: i128 = 20_000;
/// A price is believed once so many rows agree on it.
const WITNESSES: usize = 3;

/// A unit price that the bill implies, beside the catalogue's.
#[derive(Clone, Copy, Debug)]
pub struct ImpliedPrice {
    /// The model.
    pub model: Name,
    /// What is bought.
    pub sku: Sku,
    /// The first day on which the bill shows it.
    pub first_day: NaiveDate,
    /// The last one.
    pub last_day: NaiveDate,
    /// How many rows agree on it.
    pub rows: usize,
    /// How much was bought at it.
    pub quantity: u64,
    /// What was charged for that, before private discounts on lines of their own.
    pub charged: Atto,
    /// The same by the catalogue.
    pub listed: Option<Atto>,
    /// What that says.
    pub finding: PriceFinding,
}

/// How one row's charge comes about.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RowPrice {
    /// The catalogue's price of a unit.
    pub(super) list: Option<Atto>,
    /// The charge less the list price, by reason; the charge itself where nothing is listed.
    pub(super) reasons: ByCode,
}

/// Rows of one model and sku that agree on a price.
#[derive(Clone, Debug)]
struct Cluster {
    model: Name,
    sku: Sku,
    /// Charged over listed, in [`ONE`].
    ratio: i128,
    charged: Atto,
    listed: Atto,
    quantity: u64,
    rows: usize,
    first: NaiveDate,
    last: NaiveDate,
    believed: bool,
    /// What the part of the ratio that is no factor of a thousand is.
    code: Code,
}

/// Everything that the bill's prices say.
pub(super) struct Findings {
    pub(super) rows: Vec<RowPrice>,
    pub(super) implied: Vec<ImpliedPrice>,
    clusters: Vec<Cluster>,
    /// By model: charged by the measure and before discounts.
    net: HashMap<Name, (Atto, Atto)>,
}

pub(super) fn find(rows: &[BilledRow], prices: &impl Prices, rounding_per_line: Atto) -> Findings {
    let lists: Vec<Option<Atto>> =
        rows.iter().map(|row| prices.per_unit(row.model, row.sku, row.place.region, row.day)).collect();
    let mut clusters = clusters(rows, &lists, rounding_per_line);
    believe(&mut clusters);
    let codes: Vec<Code> = clusters.iter().map(|cluster| code_of(cluster, &clusters)).collect();
    for (cluster, code) in clusters.iter_mut().zip(codes) {
        cluster.code = code;
    }
    let explained = explain(rows, &lists, &clusters, rounding_per_line);
    let mut net: HashMap<Name, (Atto, Atto)> = HashMap::new();
    for row in rows {
        let sums = net.entry(row.model).or_default();
        sums.0 += row.amount;
        sums.1 += row.listed;
    }
    let mut implied: Vec<ImpliedPrice> = clusters.iter().filter(|one| one.believed).map(implied_by).collect();
    implied.extend(unlisted(rows, &lists));
    Findings { rows: explained, implied, clusters, net }
}

impl Findings {
    /// What so much, listed at this amount, is likely to be charged, and why it is not the amount.
    pub(super) fn predict(&self, model: Name, sku: Sku, listed: Atto) -> (Atto, ByCode) {
        let mut reasons = ByCode::default();
        let of_model = || self.clusters.iter().filter(|cluster| cluster.believed && cluster.model == model);
        let likely = of_model()
            .filter(|cluster| cluster.sku == sku)
            .max_by_key(|cluster| cluster.last)
            .or_else(|| of_model().max_by_key(|cluster| cluster.listed));
        let mut charged = listed;
        if let Some(cluster) = likely {
            charged = times_ratio(listed, cluster.ratio);
            by_ratio(listed, cluster.ratio, cluster.code, &mut reasons);
        }
        if let Some((amount, before)) = self.net.get(&model).filter(|(_, before)| before.0 > 0) {
            let net = times_ratio(charged, ratio(*amount, *before));
            reasons.add(Code::Discount, net - charged);
            charged = net;
        }
        (charged, reasons)
    }
}

fn explain(
    rows: &[BilledRow],
    lists: &[Option<Atto>],
    clusters: &[Cluster],
    rounding_per_line: Atto,
) -> Vec<RowPrice> {
    let mut by_sku: HashMap<(Name, Sku), Vec<&Cluster>> = HashMap::new();
    let mut by_model: HashMap<Name, Vec<&Cluster>> = HashMap::new();
    for cluster in clusters.iter().filter(|cluster| cluster.believed) {
        by_sku.entry((cluster.model, cluster.sku)).or_default().push(cluster);
        by_model.entry(cluster.model).or_default().push(cluster);
    }
    let explain = |(row, list): (&BilledRow, &Option<Atto>)| {
        let mut price = RowPrice { list: *list, reasons: ByCode::default() };
        price.reasons.add(Code::Discount, row.amount - row.listed);
        match (list, row.quantity) {
            (Some(list), Some(quantity)) => {
                let own = by_sku.get(&(row.model, row.sku)).map(Vec::as_slice).unwrap_or_default();
                let kin = by_model.get(&row.model).map(Vec::as_slice).unwrap_or_default();
                let slack = slack(row, *list, rounding_per_line);
                explain_ratio(row.listed, list.times(quantity), slack, own, kin, &mut price.reasons);
            }
            _ => price.reasons.add(Code::Price, row.listed),
        }
        price
    };
    rows.iter().zip(lists).map(explain).collect()
}

fn ratio(charged: Atto, listed: Atto) -> i128 {
    // Both a little coarser, so that the product fits for the sums of any bill.
    let (charged, listed) = (charged.0 / 1_000, listed.0 / 1_000);
    if listed == 0 { ONE } else { charged.saturating_mul(ONE) / listed }
}

fn times_ratio(amount: Atto, ratio: i128) -> Atto {
    let whole = u64::try_from(ONE).unwrap_or(u64::MAX);
    let share = amount.share(u64::try_from(ratio.unsigned_abs()).unwrap_or(u64::MAX), whole);
    if ratio < 0 { -share } else { share }
}

/// What rounding of lines and counts may have moved a row's charge by.
fn slack(row: &BilledRow, list: Atto, rounding_per_line: Atto) -> Atto {
    rounding_per_line.times(row.lines.max(1)) + list
}

/// The two ends of what a row's ratio may be, and the row as a cluster of its own.
type Blurred = (i128, i128, Cluster);

fn clusters(rows: &[BilledRow], lists: &[Option<Atto>], rounding_per_line: Atto) -> Vec<Cluster> {
    let mut by_sku: HashMap<(Name, Sku), Vec<Blurred>> = HashMap::new();
    for (row, list) in rows.iter().zip(lists) {
        let (Some(list), Some(quantity)) = (list, row.quantity) else { continue };
        let listed = list.times(quantity);
        if listed.0 <= 0 || row.listed.0 < 0 {
            continue;
        }
        let blur = ratio(slack(row, *list, rounding_per_line), listed);
        let ratio = ratio(row.listed, listed);
        let one = Cluster {
            model: row.model,
            sku: row.sku,
            ratio,
            charged: row.listed,
            listed,
            quantity,
            rows: 1,
            first: row.day,
            last: row.day,
            believed: false,
            code: Code::Price,
        };
        by_sku.entry((row.model, row.sku)).or_default().push((ratio, blur, one));
    }
    let mut found = Vec::new();
    for mut ones in by_sku.into_values() {
        // Where every row is tiny, the clearest that there are must do.
        let is_clear = |ratio: i128, blur: i128, most: i128| blur <= most * (ratio / ONE).max(1);
        let any_clear = ones.iter().any(|(ratio, blur, _)| is_clear(*ratio, *blur, CLEAR));
        let most = if any_clear { CLEAR } else { ONE / 50 };
        ones.retain(|(ratio, blur, _)| is_clear(*ratio, *blur, most));
        ones.sort_by_key(|(ratio, ..)| *ratio);
        let mut open: Option<(i128, i128, Cluster)> = None;
        for (ratio, blur, one) in ones {
            match &mut open {
                Some((last, last_blur, cluster)) if ratio - *last <= near(ratio) + blur + *last_blur => {
                    (*last, *last_blur) = (ratio, blur);
                    cluster.charged += one.charged;
                    cluster.listed += one.listed;
                    cluster.quantity = cluster.quantity.saturating_add(one.quantity);
                    cluster.rows += 1;
                    cluster.first = cluster.first.min(one.first);
                    cluster.last = cluster.last.max(one.last);
                }
                _ => found.extend(open.replace((ratio, blur, one)).map(|(.., cluster)| cluster)),
            }
        }
        found.extend(open.map(|(.., cluster)| cluster));
    }
    for cluster in &mut found {
        cluster.ratio = ratio(cluster.charged, cluster.listed);
    }
    found.sort_by_key(|cluster| (cluster.model, cluster.sku, cluster.ratio));
    found
}

fn near(ratio: i128) -> i128 {
    (ratio.abs() / ONE).max(1) * SAME
}

fn is_same(one: i128, other: i128) -> bool {
    (one - other).abs() <= near(one) * 10
}

/// A price needs witnesses: enough rows, the catalogue itself, or something else at the same ratio.
fn believe(clusters: &mut [Cluster]) {
    for cluster in clusters.iter_mut() {
        cluster.believed = cluster.rows >= WITNESSES || is_same(cluster.ratio, ONE);
    }
    let known: Vec<(Name, Sku, i128)> =
        clusters.iter().filter(|one| one.believed).map(|one| (one.model, one.sku, one.ratio)).collect();
    for cluster in clusters.iter_mut().filter(|cluster| !cluster.believed) {
        cluster.believed = known.iter().any(|(model, sku, ratio)| {
            (*model, *sku) != (cluster.model, cluster.sku) && is_same(*ratio, cluster.ratio)
        });
    }
}

/// A discount holds for several models, or for all of one model and from the first day to the last; anything else that
/// differs from the catalogue is another price.
fn code_of(cluster: &Cluster, all: &[Cluster]) -> Code {
    let (_, own) = without_thousands(cluster.ratio);
    if own >= ONE {
        return Code::Price;
    }
    let believed = || all.iter().filter(|other| other.believed);
    let same = |other: &Cluster| is_same(without_thousands(other.ratio).1, own);
    if believed().any(|other| other.model != cluster.model && same(other)) {
        return Code::Discount;
    }
    let of_model = || believed().filter(|other| other.model == cluster.model);
    let is_new = of_model()
        .any(|other| other.sku == cluster.sku && (other.last < cluster.first || cluster.last < other.first));
    let kinds_of_model = of_model().any(|other| other.sku.kind != cluster.sku.kind);
    let kinds_at_this = of_model().any(|other| other.sku.kind != cluster.sku.kind && same(other));
    if !is_new && (kinds_at_this || !kinds_of_model) { Code::Discount } else { Code::Price }
}

/// A ratio as a power of a thousand, and the rest of it.
fn without_thousands(ratio: i128) -> (i32, i128) {
    let (mut power, mut rest) = (0, ratio);
    while rest >= ONE * 100 && power < 3 {
        (power, rest) = (power + 1, rest / 1_000);
    }
    while rest > 0 && rest <= ONE / 100 && power > -2 {
        (power, rest) = (power - 1, rest.saturating_mul(1_000));
    }
    (power, rest)
}

fn by_ratio(listed: Atto, ratio: i128, code: Code, reasons: &mut ByCode) {
    let (power, _) = without_thousands(ratio);
    let factor = 1_000_i128.pow(power.unsigned_abs());
    let in_units = Atto(if power < 0 { listed.0 / factor } else { listed.0.saturating_mul(factor) });
    reasons.add(Code::UnitChange, in_units - listed);
    reasons.add(code, times_ratio(listed, ratio) - in_units);
}

fn explain_ratio(
    charged: Atto,
    listed: Atto,
    slack: Atto,
    own: &[&Cluster],
    kin: &[&Cluster],
    reasons: &mut ByCode,
) {
    let miss = |ratio: i128| (charged - times_ratio(listed, ratio)).abs();
    // By itself first, then as its model; the catalogue's own price is always believed.
    let near_enough = |of: &[&Cluster]| {
        let best = of.iter().min_by_key(|cluster| miss(cluster.ratio)).map(|one| (one.ratio, one.code));
        // What a cluster's mean is blurred by, beside the row's own rounding.
        let blur = |ratio: i128| slack + times_ratio(listed, near(ratio));
        best.filter(|(ratio, _)| miss(*ratio) <= blur(*ratio))
    };
    let listed_price = Some((ONE, Code::Price)).filter(|_| miss(ONE) <= slack);
    let found = listed_price.or_else(|| near_enough(own)).or_else(|| near_enough(kin));
    let (ratio, code, rest) = if let Some((ratio, code)) = found {
        (ratio, code, Code::Rounding)
    } else {
        let usual = own.iter().max_by_key(|cluster| cluster.listed);
        let usual = usual.or_else(|| kin.iter().max_by_key(|cluster| cluster.listed));
        let (ratio, code) = usual.map_or((ONE, Code::Price), |usual| (usual.ratio, usual.code));
        (ratio, code, Code::Unknown)
    };
    by_ratio(listed, ratio, code, reasons);
    reasons.add(rest, charged - times_ratio(listed, ratio));
}

fn implied_by(cluster: &Cluster) -> ImpliedPrice {
    let (power, own) = without_thousands(cluster.ratio);
    let finding = if power != 0 {
        PriceFinding::Unit
    } else if is_same(own, ONE) {
        PriceFinding::Agrees
    } else if cluster.code == Code::Discount {
        PriceFinding::Discount
    } else {
        PriceFinding::Differs
    };
    ImpliedPrice {
        model: cluster.model,
        sku: cluster.sku,
        first_day: cluster.first,
        last_day: cluster.last,
        rows: cluster.rows,
        quantity: cluster.quantity,
        charged: cluster.charged,
        listed: Some(cluster.listed),
        finding,
    }
}

/// What is bought and has no price in the catalogue.
fn unlisted(rows: &[BilledRow], lists: &[Option<Atto>]) -> Vec<ImpliedPrice> {
    let mut found: HashMap<(Name, Sku), ImpliedPrice> = HashMap::new();
    for (row, _) in rows.iter().zip(lists).filter(|(_, list)| list.is_none()) {
        let implied = found.entry((row.model, row.sku)).or_insert(ImpliedPrice {
            model: row.model,
            sku: row.sku,
            first_day: row.day,
            last_day: row.day,
            rows: 0,
            quantity: 0,
            charged: Atto::ZERO,
            listed: None,
            finding: PriceFinding::Unlisted,
        });
        implied.first_day = implied.first_day.min(row.day);
        implied.last_day = implied.last_day.max(row.day);
        implied.rows += 1;
        implied.quantity = implied.quantity.saturating_add(row.quantity.unwrap_or_default());
        implied.charged += row.listed;
    }
    let mut found: Vec<ImpliedPrice> = found.into_values().collect();
    found.sort_by_key(|implied| (implied.model, implied.sku));
    found
}

/// Counts as tokens what the bill counts in a unit that it does not name or names wrongly, where the catalogue's price
/// leaves no doubt; `metered` tells how much of it the proxy saw.
pub(super) fn mend_units(rows: &mut [BilledRow], prices: &impl Prices, metered: impl Fn(Name, Kind) -> u64) {
    let mut counted: HashMap<(Name, Kind), u64> = HashMap::new();
    for row in rows.iter() {
        let sum = counted.entry((row.model, row.sku.kind)).or_default();
        *sum = sum.saturating_add(row.quantity.unwrap_or_default());
    }
    for row in rows {
        let Some(list) =
            prices.per_unit(row.model, row.sku, row.place.region, row.day).filter(|list| list.0 > 0)
        else {
            continue;
        };
        let power = |quantity: u64| {
            let listed = list.times(quantity);
            (listed.0 > 0).then(|| without_thousands(ratio(row.listed, listed)).0)
        };
        match row.quantity {
            None => {
                let fits = |per_unit: &u64| row.counted_in(*per_unit).and_then(power) == Some(0);
                let per_unit = [1, 1_000, 1_000_000].into_iter().find(fits);
                row.quantity = per_unit.and_then(|per_unit| row.counted_in(per_unit));
            }
            Some(quantity) => {
                let off = power(quantity).unwrap_or_default();
                if off == 0 {
                    continue;
                }
                // Either the bill's count or the catalogue's price is off. The proxy's count says which.
                let key = (row.model, row.sku.kind);
                let (seen, told) = (metered(key.0, key.1), counted.get(&key).copied().unwrap_or_default());
                let factor = 1_000_u64.pow(off.unsigned_abs());
                let mended = |count: u64| if off > 0 { count.saturating_mul(factor) } else { count / factor };
                let distance = |count: u64| count.max(1).ilog2().abs_diff(seen.max(1).ilog2());
                if seen == 0 || distance(mended(told)) < distance(told) {
                    row.quantity = Some(mended(quantity));
                }
            }
        }
    }
}
