//! A month's statement: one page that needs nothing else, to be printed and kept.
//!
//! Figures go in, exact; an HTML document comes out, whose styles stand in it, which runs nothing and fetches nothing.
//! Every text of somebody else's is cleaned and escaped.

use chrono::{DateTime, NaiveDate, Utc};
use costlens_domain::Currency;
use costlens_domain::settlement::{Issuer, ResidualCode, ResidualSide};
use rust_decimal::Decimal;
use serde::Serialize;
use tera::{Context, Tera};

use crate::words::Unfilled;
use crate::words::figures::{count, days, long_day, money, percent};
use crate::words::names::name;
use costlens_domain::calendar::Zone;

/// What a month came to. Amounts are dollars where no currency stands beside them.
#[derive(Clone, Debug)]
pub struct Statement {
    /// The tenant's name.
    pub tenant: String,
    /// The month's first day.
    pub month: NaiveDate,
    /// Which of the bills' costs, in words.
    pub measure: String,
    /// When the statement was made.
    pub made_at: DateTime<Utc>,
    /// Whether every bill is settled and every call by it.
    pub is_final: bool,
    /// What all calls were estimated to cost.
    pub estimated: Decimal,
    /// What calls cost by the bills, for good.
    pub settled: Decimal,
    /// What calls cost for now, whose day the bills have not to its end.
    pub provisional: Decimal,
    /// The estimates of calls that no bill has.
    pub unbilled: Decimal,
    /// The AI on the bills.
    pub billed: Decimal,
    /// What is on no bill.
    pub not_billed: Decimal,
    /// All of it.
    pub amount: Decimal,
    /// How many calls.
    pub calls: u64,
    /// How many of them have no known price and are not settled: what they cost is in no sum.
    pub unpriced_calls: u64,
    /// Whom calls are charged to, by team, and what no call caused; all of `amount`.
    pub chargeback: Vec<Charge>,
    /// The models that cost most.
    pub models: Vec<Charge>,
    /// The keys that cost most.
    pub keys: Vec<Charge>,
    /// Each issuer's bills.
    pub bills: Vec<IssuedBills>,
    /// Who used what around the proxy, dearest first.
    pub unproxied: Vec<Unproxied>,
    /// Whether others did, too, who are in the sums alone.
    pub more_unproxied: bool,
    /// The largest surprises of the month, the largest difference first.
    pub surprises: Vec<Surprising>,
    /// How many surprises it had.
    pub all_surprises: u64,
    /// AI that is billed in other currencies, and in no sum.
    pub other_currencies: Vec<(Issuer, Currency, Decimal)>,
}

/// A row that something is charged to.
#[derive(Clone, Debug)]
pub struct Charge {
    /// To whom.
    pub to: ChargedTo,
    /// How many calls; `None` of what no call caused.
    pub calls: Option<u64>,
    /// The part of the amount that may still change.
    pub open: Decimal,
    /// How much.
    pub amount: Decimal,
}

/// To whom something is charged.
#[derive(Clone, Debug)]
pub enum ChargedTo {
    /// A team, a key or a model, by its name.
    Named(String),
    /// Keys that no label says anything of.
    Unlabelled,
    /// Everybody after the rows before.
    Rest,
    /// Nobody's calls: what an issuer's bills have beside them.
    Beside(Issuer, ResidualCode),
    /// Nobody's calls: a bill that is not settled yet.
    Unsettled(Issuer),
}

/// An issuer's bills of the month.
#[derive(Clone, Debug)]
pub struct IssuedBills {
    /// Whose.
    pub issuer: Issuer,
    /// The AI on them.
    pub billed: Decimal,
    /// The last day that they have to its end; `None` before they are settled.
    pub complete_through: Option<NaiveDate>,
    /// Tokens on them, and how many of those went through the proxy.
    pub tokens: Option<(u64, u64)>,
    /// Every difference, by its reason.
    pub differences: Vec<Difference>,
    /// What the versions of the bills said, the oldest first.
    pub versions: Vec<(DateTime<Utc>, Decimal)>,
}

/// A difference with its reason.
#[derive(Clone, Debug)]
pub struct Difference {
    /// Why.
    pub code: ResidualCode,
    /// Whether it changed what calls cost, or is the bill's alone.
    pub side: ResidualSide,
    /// How much; above zero where the bill is the dearer.
    pub amount: Decimal,
}

/// What went around the proxy.
#[derive(Clone, Debug)]
pub struct Unproxied {
    /// Who, by the bill; empty where it does not say.
    pub principal: String,
    /// In which account.
    pub account: String,
    /// Which model.
    pub model: String,
    /// For how much.
    pub amount: Decimal,
}

/// A surprise.
#[derive(Clone, Debug)]
pub struct Surprising {
    /// When it began.
    pub at: DateTime<Utc>,
    /// What it is about, as its people know it.
    pub series: String,
    /// What was expected.
    pub expected: Decimal,
    /// What it was.
    pub actual: Decimal,
    /// What both count.
    pub currency: Currency,
}

/// One line of a table, as it is printed.
#[derive(Serialize)]
struct Line {
    label: String,
    note: String,
    calls: String,
    amount: String,
    open: String,
}

/// An issuer's part of the page.
#[derive(Serialize)]
struct Part {
    issuer: &'static str,
    billed: String,
    through: String,
    coverage: String,
    differences: Vec<Line>,
    versions: Vec<Line>,
}

impl Statement {
    /// The statement as a whole HTML document. Fails only where the template is broken, which a test would have noticed.
    ///
    /// # Errors
    /// [`Unfilled`], as said.
    pub fn html(&self) -> Result<String, Unfilled> {
        let mut tera = Tera::new();
        tera.autoescape_on([".html"]);
        tera.add_raw_templates([("statement.html", include_str!("../templates/statement.html"))])?;
        let mut context = Context::new();
        let last = self.month.checked_add_months(chrono::Months::new(1)).and_then(|next| next.pred_opt());
        context.insert("tenant", &name(&self.tenant));
        context.insert("month", &days(self.month, last.unwrap_or(self.month)));
        context.insert("measure", &self.measure);
        context.insert("made_at", &crate::words::figures::moment_in(self.made_at, Zone::UTC));
        context.insert("is_final", &self.is_final);
        for (key, amount) in [
            ("estimated", self.estimated),
            ("settled", self.settled),
            ("provisional", self.provisional),
            ("unbilled", self.unbilled),
            ("billed", self.billed),
            ("not_billed", self.not_billed),
            ("amount", self.amount),
        ] {
            context.insert(key, &dollars(amount));
        }
        context.insert("calls", &count(self.calls));
        context.insert("open", &self.open());
        let lines = |charges: &[Charge]| charges.iter().map(Charge::line).collect::<Vec<_>>();
        context.insert("chargeback", &lines(&self.chargeback));
        context.insert("models", &lines(&self.models));
        context.insert("keys", &lines(&self.keys));
        context.insert("bills", &self.bills.iter().map(IssuedBills::part).collect::<Vec<_>>());
        context.insert("unproxied", &self.unproxied.iter().map(Unproxied::line).collect::<Vec<_>>());
        context.insert("more_unproxied", &self.more_unproxied);
        context.insert("surprises", &self.surprises.iter().map(Surprising::line).collect::<Vec<_>>());
        let told = u64::try_from(self.surprises.len()).unwrap_or(u64::MAX);
        context.insert("more_surprises", &self.all_surprises.saturating_sub(told));
        let others = self.other_currencies.iter().map(|(issuer, currency, amount)| {
            plain(issuer.title().to_owned(), String::new(), money(*amount, *currency))
        });
        context.insert("other_currencies", &others.collect::<Vec<_>>());
        Ok(tera.render("statement.html", &context)?)
    }

    /// What may still change, in sentences.
    fn open(&self) -> Vec<String> {
        let mut told = Vec::new();
        for bills in &self.bills {
            match bills.complete_through {
                Some(through) if !self.is_final => told.push(format!(
                    "{}’s bills are whole through {}.",
                    bills.issuer.title(),
                    long_day(through)
                )),
                Some(_) => {}
                None => told.push(format!("{}’s bills are not settled yet.", bills.issuer.title())),
            }
        }
        if !self.provisional.is_zero() {
            told.push(format!(
                "{} of calls is provisional: their day is not billed to its end, and they stand with what the bill is \
                 expected to charge.",
                dollars(self.provisional)
            ));
        }
        if !self.unbilled.is_zero() {
            told.push(format!("{} is the estimate of calls that no bill has.", dollars(self.unbilled)));
        }
        if self.unpriced_calls > 0 {
            told.push(format!(
                "{} without a known price cost more than nothing and are in no sum.",
                crate::words::figures::counted(self.unpriced_calls, "call", "calls")
            ));
        }
        told
    }
}

impl Charge {
    fn line(&self) -> Line {
        let (label, note) = match &self.to {
            ChargedTo::Named(given) => (name(given), String::new()),
            ChargedTo::Unlabelled => {
                ("Nobody in particular".to_owned(), "calls of keys without the label".to_owned())
            }
            ChargedTo::Rest => ("Everybody else".to_owned(), String::new()),
            ChargedTo::Beside(issuer, code) => {
                let (label, meaning) = reason(*code);
                (format!("{label}, {}", issuer.title()), meaning.to_owned())
            }
            ChargedTo::Unsettled(issuer) => {
                (format!("Not settled yet, {}", issuer.title()), "a bill that came just now".to_owned())
            }
        };
        let open = if self.open.is_zero() { String::new() } else { dollars(self.open) };
        let calls = self.calls.map(count).unwrap_or_default();
        Line { label, note, calls, amount: dollars(self.amount), open }
    }
}

impl IssuedBills {
    fn part(&self) -> Part {
        let difference = |one: &Difference| {
            let (label, meaning) = reason(one.code);
            let of = match one.side {
                ResidualSide::Calls => "from the estimates to what calls cost",
                ResidualSide::Outside => "beside calls",
            };
            plain(label.to_owned(), format!("{meaning}; {of}"), signed(one.amount))
        };
        // A single version restates nothing.
        let versions = if self.versions.len() > 1 { self.versions.as_slice() } else { &[] };
        let version = |(at, billed): &(DateTime<Utc>, Decimal)| {
            plain(crate::words::figures::moment_in(*at, Zone::UTC), String::new(), dollars(*billed))
        };
        let coverage = self.tokens.and_then(|(billed, covered)| {
            let share = percent(Decimal::from(covered), Decimal::from(billed))?;
            Some(format!("{} % of its tokens went through the proxy", share.round_dp(1).normalize()))
        });
        Part {
            issuer: self.issuer.title(),
            billed: dollars(self.billed),
            through: self.complete_through.map(long_day).unwrap_or_default(),
            coverage: coverage.unwrap_or_default(),
            differences: self.differences.iter().map(difference).collect(),
            versions: versions.iter().map(version).collect(),
        }
    }
}

impl Unproxied {
    fn line(&self) -> Line {
        let who = if self.principal.is_empty() {
            "nobody whom the bill names".to_owned()
        } else {
            name(&self.principal)
        };
        let place = if self.account.is_empty() {
            String::new()
        } else {
            format!(", account {}", name(&self.account))
        };
        let model = if self.model.is_empty() { "no model".to_owned() } else { name(&self.model) };
        plain(who, format!("{model}{place}"), dollars(self.amount))
    }
}

impl Surprising {
    fn line(&self) -> Line {
        let expected = money(self.expected, self.currency);
        let when = crate::words::figures::moment_in(self.at, Zone::UTC);
        plain(
            name(&self.series),
            format!("{when}; {expected} was expected"),
            money(self.actual, self.currency),
        )
    }
}

fn plain(label: String, note: String, amount: String) -> Line {
    Line { label, note, calls: String::new(), amount, open: String::new() }
}

fn dollars(amount: Decimal) -> String {
    money(amount, Currency::USD)
}

fn signed(amount: Decimal) -> String {
    let text = dollars(amount);
    if amount > Decimal::ZERO { format!("+{text}") } else { text }
}

/// A reason in words, and what it means.
const fn reason(code: ResidualCode) -> (&'static str, &'static str) {
    match code {
        ResidualCode::UnitChange => ("Another unit", "one of the two counted in thousands"),
        ResidualCode::Unproxied => ("Around the proxy", "billed, and no call through the proxy used it"),
        ResidualCode::Lag => ("Not billed yet", "calls whose day the bill has not to its end"),
        ResidualCode::AbortedStreams => ("Aborted streams", "clients hung up, and the use was estimated"),
        ResidualCode::CacheTtl => {
            ("Cache lifetime", "written to a cache of another lifetime than was metered")
        }
        ResidualCode::Tier => ("Service tier", "served in another tier than was metered"),
        ResidualCode::Routing => ("Route", "served by another route than was metered"),
        ResidualCode::LongContext => ("Long prompts", "the price of long prompts"),
        ResidualCode::Price => ("Price", "the price list has another price, or none"),
        ResidualCode::Discount => ("Discounts", "private rates, discounts and commitments"),
        ResidualCode::Credit => ("Credits", "credits and refunds"),
        ResidualCode::Tax => ("Tax", "taxes on the bill"),
        ResidualCode::Unmetered => {
            ("Not by the token", "hours, seats and storage, which no call is charged by")
        }
        ResidualCode::Rounding => ("Rounding", "less than the rounding of the bill’s lines"),
        ResidualCode::Unknown => ("Unexplained", "none of the other reasons"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn statement(given: &str) -> Statement {
        let charge = |to, calls, of: &str| Charge { to, calls, open: Decimal::ZERO, amount: amount(of) };
        Statement {
            tenant: given.to_owned(),
            month: NaiveDate::from_ymd_opt(2026, 10, 1).unwrap(),
            measure: "as billed".to_owned(),
            made_at: DateTime::from_timestamp(1_795_000_000, 0).unwrap(),
            is_final: false,
            estimated: amount("12"),
            settled: amount("10"),
            provisional: amount("1.5"),
            unbilled: amount("0.25"),
            billed: amount("1234.5"),
            not_billed: amount("1.75"),
            amount: amount("1236.25"),
            calls: 1_234,
            unpriced_calls: 1,
            chargeback: vec![
                charge(ChargedTo::Named(given.to_owned()), Some(1_234), "11.75"),
                charge(ChargedTo::Unlabelled, Some(0), "0"),
                charge(ChargedTo::Beside(Issuer::Aws, ResidualCode::Unproxied), None, "1224.5"),
            ],
            models: vec![charge(ChargedTo::Named(given.to_owned()), Some(1_234), "11.75")],
            keys: vec![charge(ChargedTo::Named(given.to_owned()), Some(1_234), "11.75")],
            bills: vec![IssuedBills {
                issuer: Issuer::Aws,
                billed: amount("1234.5"),
                complete_through: NaiveDate::from_ymd_opt(2026, 10, 29),
                tokens: Some((1_000, 333)),
                differences: vec![Difference {
                    code: ResidualCode::Unproxied,
                    side: ResidualSide::Outside,
                    amount: amount("1224.5"),
                }],
                versions: vec![
                    (DateTime::from_timestamp(1_794_000_000, 0).unwrap(), amount("1200")),
                    (DateTime::from_timestamp(1_794_900_000, 0).unwrap(), amount("1234.5")),
                ],
            }],
            unproxied: vec![Unproxied {
                principal: given.to_owned(),
                account: given.to_owned(),
                model: given.to_owned(),
                amount: amount("1224.5"),
            }],
            more_unproxied: true,
            surprises: vec![Surprising {
                at: DateTime::from_timestamp(1_794_000_000, 0).unwrap(),
                series: given.to_owned(),
                expected: amount("1"),
                actual: amount("9"),
                currency: Currency::USD,
            }],
            all_surprises: 8,
            other_currencies: vec![(Issuer::Aws, "EUR".parse().unwrap(), amount("7"))],
        }
    }

    #[test]
    fn a_statement_says_what_a_month_came_to_and_what_may_still_change() {
        let html = statement("Aurora").html().unwrap();
        for said in [
            "October 2026",
            "$1,236.25",
            "$1,234.50",
            "Around the proxy, AWS",
            "33.3 % of its tokens",
            "$1.50 of calls is provisional",
            "AWS’s bills are whole through 29 October 2026.",
            "1 call without a known price",
            "$1,200.00",
            "7.00 EUR",
            "Those with most.",
            "And 7 smaller ones",
        ] {
            assert!(html.contains(said), "{said} is not in {html}");
        }
    }

    #[test]
    fn a_statement_loads_and_runs_nothing_whatever_its_names_are() {
        let html =
            statement("</style><script>alert(1)</script><img src=x onerror=\"y\">\u{202e}").html().unwrap();
        for never in
            ["<script", "<img", "<link", "http:", "https:", "url(", "@import", "\u{202e}", " style=\""]
        {
            assert!(!html.contains(never), "{never} is in {html}");
        }
        assert_eq!(html.matches("</style>").count(), 1);
        assert!(html.contains("&lt;script&gt;"), "{html}");
    }
}
