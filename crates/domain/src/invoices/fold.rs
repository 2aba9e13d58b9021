//! Results of a cost report, added up to facts and control totals, and joined with what was used.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{Datelike, NaiveDate};
use rust_decimal::Decimal;

use super::{BadPage, DEFAULT_ACCOUNT, InvoiceVendor, Pages, Report};
use crate::aws::Month;
use crate::bill::{BillReport, ControlTotal, DailyFact, OtherCosts, ReportFile, Text};
use crate::classify::{Category, Classification, Meter, RULES_VERSION, Tier, Verdict};
use crate::money::{Currency, parse_decimal};

/// Digits behind the point that are kept. Amounts that are exact have fewer; what a vendor's own floats leave behind is
/// rounded here, half to even. With [`LARGEST`] every sum is exact: 28 digits hold both.
const PLACES: u32 = 18;

/// The largest amount of a result and of a month: what is beyond is no bill.
const LARGEST: i64 = 1_000_000_000;

/// The line-item type of all results: both vendors bill use alone.
const USAGE: &str = "Usage";

/// The unit of tokens.
const TOKENS: &str = "Tokens";

/// The unit of searches.
const SEARCHES: &str = "Searches";

/// What of both reports must be the same for the tokens of the one to be the tokens of the other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Grain {
    pub(super) day: NaiveDate,
    pub(super) account: Text,
    /// As the vendor writes it.
    pub(super) model: Text,
    pub(super) tier: Tier,
    pub(super) long_context: bool,
}

/// One result of a cost report.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) day: NaiveDate,
    /// Workspace or project; `None` for the default one.
    pub(super) account: Option<String>,
    /// As the vendor writes it.
    pub(super) model: Option<String>,
    pub(super) region: String,
    /// What is paid for, as billed.
    pub(super) usage_type: String,
    pub(super) class: Classification,
    pub(super) currency: Currency,
    pub(super) amount: Decimal,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct FactKey {
    day: NaiveDate,
    account: Text,
    region: Text,
    usage_type: Text,
    model: Option<Text>,
    currency: Currency,
    class: Arc<Classification>,
}

#[derive(Debug, Default)]
struct Sum {
    cost: Decimal,
    lines: u64,
}

#[derive(Debug)]
pub(super) struct Fold {
    pub(super) vendor: InvoiceVendor,
    pub(super) month: Month,
    billing_account: Text,
    facts: BTreeMap<FactKey, Sum>,
    totals: BTreeMap<Currency, Sum>,
    used: BTreeMap<Grain, BTreeMap<Meter, u64>>,
    /// Searches by day and account: they cost the same whatever model asked for them.
    searched: BTreeMap<(NaiveDate, Text), u64>,
    /// Where the two reports cannot be told to mean the same.
    unlike: BTreeSet<Grain>,
    days: BTreeSet<(bool, NaiveDate)>,
    lines: u64,
}

impl Fold {
    pub(super) fn new(vendor: InvoiceVendor, month: Month, account: &str) -> Self {
        Self {
            vendor,
            month,
            billing_account: account.into(),
            facts: BTreeMap::new(),
            totals: BTreeMap::new(),
            used: BTreeMap::new(),
            searched: BTreeMap::new(),
            unlike: BTreeSet::new(),
            days: BTreeSet::new(),
            lines: 0,
        }
    }

    /// The day of a bucket: of the month, and told once.
    pub(super) fn day(
        &mut self,
        report: Report,
        start: Option<NaiveDate>,
        text: impl FnOnce() -> String,
    ) -> Result<NaiveDate, BadPage> {
        let Some(day) = start.filter(|day| Month::of(*day) == self.month) else {
            return Err(BadPage::NotOfMonth { report, start: text(), month: self.month });
        };
        if self.days.insert((report == Report::Costs, day)) {
            Ok(day)
        } else {
            Err(BadPage::Twice { report, day })
        }
    }

    /// Adds a result.
    pub(super) fn add(&mut self, line: Line) -> Result<(), BadPage> {
        let cost = line.amount;
        let key = FactKey {
            day: line.day,
            account: account(line.account.as_deref()),
            region: line.region.into(),
            usage_type: line.usage_type.into(),
            model: line.model.map(Text::from),
            currency: line.currency,
            class: Arc::new(line.class),
        };
        for sum in [self.totals.entry(line.currency).or_default(), self.facts.entry(key).or_default()] {
            sum.cost =
                sum.cost.checked_add(cost).filter(is_a_bill).ok_or_else(|| no_amount(&cost.to_string()))?;
            sum.lines += 1;
        }
        self.lines += 1;
        Ok(())
    }

    /// Counts tokens of one class as used.
    pub(super) fn used(&mut self, grain: &Grain, meter: Meter, tokens: u64) {
        let count = self.used.entry(grain.clone()).or_default().entry(meter).or_default();
        *count = count.saturating_add(tokens);
    }

    /// Counts searches that the vendor ran.
    pub(super) fn searched(&mut self, day: NaiveDate, account: &Text, searches: u64) {
        let count = self.searched.entry((day, account.clone())).or_default();
        *count = count.saturating_add(searches);
    }

    /// Says that the tokens of this grain are not known to be those that were paid for.
    pub(super) fn unlike(&mut self, grain: Grain) {
        self.unlike.insert(grain);
    }

    /// Leaves the tokens alone of whatever was paid for in other tiers than it was used in, all else being the same.
    pub(super) fn match_tiers(&mut self) {
        let mut tiers: BTreeMap<Grain, (BTreeSet<Tier>, BTreeSet<Tier>)> = BTreeMap::new();
        let all = |grain: &Grain| Grain { tier: Tier::Standard, ..grain.clone() };
        let paid: BTreeSet<Grain> = self.facts.keys().filter_map(FactKey::grain).collect();
        for grain in &paid {
            tiers.entry(all(grain)).or_default().0.insert(grain.tier);
        }
        for grain in self.used.keys() {
            tiers.entry(all(grain)).or_default().1.insert(grain.tier);
        }
        let differs = |grain: &Grain| tiers.get(&all(grain)).is_some_and(|(paid, used)| paid != used);
        self.unlike.extend(paid.into_iter().filter(differs));
    }

    /// The report. What was used and not paid for is named, for a bill without a part of what is owed says so.
    pub(super) fn into_report(self, pages: Pages<'_>) -> BillReport {
        let mut shares: BTreeMap<(Grain, Meter), usize> = BTreeMap::new();
        for (grain, meter) in
            self.facts.keys().filter_map(|key| key.grain().map(|grain| (grain, key.class.meter)))
        {
            *shares.entry((grain, meter)).or_default() += 1;
        }
        let tokens = |key: &FactKey| {
            let grain = key.grain()?;
            let meter = key.class.meter;
            // Two prices for the same tokens: which of them are whose is not told.
            if self.unlike.contains(&grain) || shares.get(&(grain.clone(), meter)) != Some(&1) {
                return None;
            }
            // None used and some paid for: the two reports do not mean the same.
            self.used.get(&grain)?.get(&meter).copied().filter(|count| *count > 0).map(Decimal::from)
        };
        let mut bills_of_searches: BTreeMap<(NaiveDate, Text), usize> = BTreeMap::new();
        for place in self.facts.keys().filter_map(FactKey::searched_at) {
            *bills_of_searches.entry(place).or_default() += 1;
        }
        let searches = |key: &FactKey| {
            let place = key.searched_at()?;
            // Two charges for the same searches: which of them are whose is not told.
            (bills_of_searches.get(&place) == Some(&1)).then_some(())?;
            self.searched.get(&place).copied().filter(|count| *count > 0).map(Decimal::from)
        };
        let facts: Vec<DailyFact> =
            self.facts.iter().map(|(key, sum)| self.fact(key, sum, tokens(key), searches(key))).collect();
        let totals = self.totals.iter().map(|(currency, sum)| ControlTotal {
            line_item_type: USAGE.into(),
            currency: *currency,
            lines: sum.lines,
            lines_without_cost: 0,
            unblended: sum.cost,
            split_cost: Decimal::ZERO,
            ai: sum.cost,
            candidate: Decimal::ZERO,
            // A vendor's report has one cost, after all that it takes off, and says nothing of its list.
            ai_costs: OtherCosts {
                net_unblended: Some(sum.cost),
                amortised: Some(sum.cost),
                net_amortised: Some(sum.cost),
                list: None,
            },
            candidate_costs: OtherCosts::default(),
        });
        let file = |(report, (n, text)): (Report, (usize, &String))| ReportFile {
            name: format!("{report}, page {}", n + 1),
            size_bytes: u64::try_from(text.len()).unwrap_or(u64::MAX),
        };
        let costs = pages.costs.iter().enumerate().map(|page| file((Report::Costs, page)));
        let usage = pages.usage.iter().enumerate().map(|page| file((Report::Usage, page)));
        BillReport {
            format: self.vendor.format(),
            files: costs.chain(usage).collect(),
            lines: self.lines,
            first_day: facts.iter().map(|fact| fact.day).min(),
            months: Some((self.month.first_day(), self.month.first_day())),
            last_day: facts.iter().map(|fact| fact.day).max(),
            has_invoices: false,
            rules_version: RULES_VERSION,
            totals: totals.collect(),
            skipped: self.unpaid(),
            facts,
            resources: Vec::new(),
            unknown_line_types: Vec::new(),
        }
    }

    fn fact(
        &self,
        key: &FactKey,
        sum: &Sum,
        tokens: Option<Decimal>,
        searches: Option<Decimal>,
    ) -> DailyFact {
        let class = Classification { tokens_per_unit: tokens.map(|_| 1), ..(*key.class).clone() };
        let unit = match class.meter {
            meter if meter.counts_tokens() => TOKENS,
            _ if searches.is_some() => SEARCHES,
            _ => "",
        };
        DailyFact {
            day: key.day,
            billing_account: self.billing_account.clone(),
            usage_account: key.account.clone(),
            region: key.region.clone(),
            billing_entity: self.vendor.title().into(),
            product_code: self.vendor.service().into(),
            product_name: self.vendor.product().into(),
            usage_type: key.usage_type.clone(),
            operation: "".into(),
            principal: "".into(),
            line_item_type: USAGE.into(),
            currency: key.currency,
            class: Arc::new(class),
            pricing_unit: unit.into(),
            usage_quantity: tokens.or(searches).unwrap_or_default(),
            tokens,
            unblended: sum.cost,
            net_unblended: sum.cost,
            amortised: Some(sum.cost),
            net_amortised: Some(sum.cost),
            list: None,
            lines: sum.lines,
        }
    }

    /// Usage in a tier for which the cost report says nothing of the month: Anthropic tells no costs of its priority tier.
    fn unpaid(&self) -> Vec<String> {
        let paid: BTreeSet<Tier> = self.facts.keys().map(|key| key.class.tier).collect();
        let mut days: BTreeMap<Tier, BTreeSet<NaiveDate>> = BTreeMap::new();
        for (grain, counts) in &self.used {
            if !paid.contains(&grain.tier) && counts.values().any(|count| *count > 0) {
                days.entry(grain.tier).or_default().insert(grain.day);
            }
        }
        days.into_iter()
            .map(|(tier, days)| {
                format!(
                    "tokens used in the tier {tier} on {} days: the cost report does not tell what they cost",
                    days.len()
                )
            })
            .collect()
    }
}

impl FactKey {
    /// Where tokens of this fact would be found; `None` for what is paid for in no tokens.
    fn grain(&self) -> Option<Grain> {
        let class = &self.class;
        (class.understood && class.meter.counts_tokens()).then_some(())?;
        Some(Grain {
            day: self.day,
            account: self.account.clone(),
            model: self.model.clone()?,
            tier: class.tier,
            long_context: class.long_context,
        })
    }

    /// Where the searches of this fact would be found; `None` for what is paid for by something else.
    fn searched_at(&self) -> Option<(NaiveDate, Text)> {
        (self.class.meter == Meter::Searches).then(|| (self.day, self.account.clone()))
    }
}

/// The account of a workspace or project.
pub(super) fn account(name: Option<&str>) -> Text {
    name.filter(|name| !name.is_empty()).unwrap_or(DEFAULT_ACCOUNT).into()
}

/// A line of a vendor's, before anything is known of it.
pub(super) fn of_vendor(vendor: InvoiceVendor, category: Category, meter: Meter) -> Classification {
    Classification {
        verdict: Verdict::Ai,
        service: vendor.service().into(),
        category,
        vendor: Some(vendor.as_str().into()),
        meter,
        ..Classification::not_ai()
    }
}

/// One that no rule takes apart.
pub(super) fn not_understood(vendor: InvoiceVendor) -> Classification {
    Classification { understood: false, ..of_vendor(vendor, Category::Other, Meter::Units) }
}

/// An amount from its digits, in units of which so many powers of ten make one of the currency.
pub(super) fn amount(text: &str, powers: u32) -> Result<Decimal, BadPage> {
    let mut read =
        parse_decimal(text).ok().or_else(|| shortened(text)).ok_or_else(|| no_amount(text))?.normalize();
    let scale = read.scale() + powers;
    if scale > Decimal::MAX_SCALE {
        read = read.round_dp(PLACES);
    }
    let scale = read.scale() + powers;
    read.set_scale(scale).map_err(|_| no_amount(text))?;
    Some(read.round_dp(PLACES).normalize()).filter(is_a_bill).ok_or_else(|| no_amount(text))
}

fn is_a_bill(amount: &Decimal) -> bool {
    amount.abs() <= Decimal::from(LARGEST)
}

fn no_amount(text: &str) -> BadPage {
    BadPage::Amount { report: Report::Costs, amount: text.chars().take(64).collect() }
}

/// A number with more digits than an exact decimal holds, without those that stand too far behind the point to count.
fn shortened(text: &str) -> Option<Decimal> {
    let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().ok().filter(|exponent| (-400..=0).contains(exponent))?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = whole.trim_start_matches('-');
    if unsigned.is_empty() || unsigned.len() > 10 || !is_number(unsigned) || !is_number(fraction) {
        return None;
    }
    let kept = fraction.get(..fraction.len().min(17))?;
    let point = if kept.is_empty() { "" } else { "." };
    let mut read = parse_decimal(&format!("{whole}{point}{kept}")).ok()?;
    for _ in exponent..0 {
        read = read.checked_div(Decimal::TEN)?;
    }
    Some(read)
}

/// A currency as either vendor writes it.
pub(super) fn currency(text: &str) -> Result<Currency, BadPage> {
    text.to_ascii_uppercase()
        .parse()
        .map_err(|_| BadPage::Currency { report: Report::Costs, currency: text.chars().take(64).collect() })
}

/// The pages in one order, whatever order they came in: what is stored must not depend on it.
pub(super) fn parsed<'a, T: serde::Deserialize<'a>>(
    report: Report,
    pages: &'a [String],
) -> Result<Vec<T>, BadPage> {
    let one = |(n, text): (usize, &'a String)| {
        serde_json::from_str(text).map_err(|error| BadPage::Shape {
            report,
            page: n + 1,
            why: error.to_string(),
        })
    };
    pages.iter().enumerate().map(one).collect()
}

/// The day that a moment of UTC begins.
pub(super) fn day_of(moment: chrono::DateTime<chrono::Utc>) -> Option<NaiveDate> {
    let midnight = moment.time() == chrono::NaiveTime::MIN;
    midnight.then(|| moment.date_naive()).filter(|day| day.year() > 0)
}
