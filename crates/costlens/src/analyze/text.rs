//! The report for people.

use std::collections::BTreeMap;
use std::io::{Result, Write};

use costlens_domain::bill::{BillReport, DailyFact, Dimension, Measure, Share, Slice, breakdown};
use costlens_domain::classify::{RULES_VERSION, Verdict};
use costlens_domain::money::Currency;
use rust_decimal::Decimal;

use super::figures::{count, known_money, known_percent, known_sum, money, percent, quantity, tokens};
use super::table::{Side, Table};

/// How letters may look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// Headings in bold.
    pub(super) bold: bool,
}

impl Style {
    fn heading(self, out: &mut dyn Write, text: &str) -> Result<()> {
        if self.bold { writeln!(out, "\n\u{1b}[1m{text}\u{1b}[0m") } else { writeln!(out, "\n{text}") }
    }
}

/// The breakdowns, in the order in which they are shown.
const SECTIONS: [(&str, Dimension, &str); 7] = [
    ("By service", Dimension::Service, "(none)"),
    ("By kind of use", Dimension::Category, "(none)"),
    ("By model", Dimension::Model, "(no model)"),
    ("By token class and unit", Dimension::Meter, "(none)"),
    ("By account", Dimension::Account, "(no account)"),
    ("By region", Dimension::Region, "(no region)"),
    ("By principal", Dimension::Principal, "(not in the bill)"),
];

/// Writes the whole report.
pub(super) fn write(
    report: &BillReport,
    measure: Measure,
    top: usize,
    style: Style,
    out: &mut dyn Write,
) -> Result<()> {
    header(report, out)?;
    for (currency, share) in report.by_currency() {
        style.heading(out, &format!("AI spend in {currency}"))?;
        summary(currency, share, measure, out)?;
        let ai: Vec<&DailyFact> =
            report.facts.iter().filter(|fact| fact.is_ai() && fact.currency == currency).collect();
        for (title, dimension, nothing) in SECTIONS {
            let slices = breakdown(ai.iter().copied(), dimension, measure);
            if dimension == Dimension::Principal && slices.iter().all(|slice| slice.key.is_empty()) {
                continue;
            }
            section(&slices, title, nothing, top, style, out)?;
        }
        resources(report, currency, top, style, out)?;
        not_understood(report, currency, measure, top, style, out)?;
        candidates(report, currency, measure, top, style, out)?;
    }
    totals(report, style, out)?;
    notes(report, out)
}

fn header(report: &BillReport, out: &mut dyn Write) -> Result<()> {
    let days = match (report.first_day, report.last_day) {
        (Some(first), Some(last)) => format!(" · {first} to {last}"),
        _ => String::new(),
    };
    let files = report.files.len();
    let s = if files == 1 { "" } else { "s" };
    writeln!(out, "{} · {} lines in {files} file{s}{days}", report.format, count(report.lines))
}

fn summary(currency: Currency, share: Share, measure: Measure, out: &mut dyn Write) -> Result<()> {
    let mut table = Table::new(&[Side::Left, Side::Right, Side::Right, Side::Left]);
    let part = |amount| percent(amount, share.total);
    let cells = |name: &str, amount, share: String, note: &str| {
        [name.to_owned(), money(amount, currency), share, note.to_owned()]
    };
    table.row(cells("AI", share.ai, part(share.ai), "of the bill"));
    if !share.candidate.is_zero() {
        table.row(cells("may be AI", share.candidate, part(share.candidate), "shown apart below"));
    }
    table.row(cells("whole bill", share.total, String::new(), ""));
    for of in Measure::ALL.into_iter().filter(|of| *of != Measure::Unblended) {
        let sum = share.ai_by(of);
        // What is the same as billed says nothing new.
        if of == measure || sum != Some(share.ai) {
            let note = if of == measure { "what the breakdowns below add up" } else { "" };
            let name = format!("AI, {}", of.title());
            table.row([name, known_money(sum, currency), String::new(), note.to_owned()]);
        }
    }
    table.write(out)
}

fn section(
    slices: &[Slice],
    title: &str,
    nothing: &str,
    top: usize,
    style: Style,
    out: &mut dyn Write,
) -> Result<()> {
    if slices.is_empty() {
        return Ok(());
    }
    style.heading(out, title)?;
    let whole = known_sum(slices.iter().map(|slice| slice.cost));
    let by_tokens = slices.iter().any(|slice| !slice.tokens.is_zero());
    let mut table = Table::new(&[Side::Left, Side::Right, Side::Right, Side::Right, Side::Right]);
    if by_tokens {
        table.row(["", "cost", "share", "tokens", "per M tokens"].map(str::to_owned));
    }
    for slice in slices.iter().take(top) {
        let key = if slice.key.is_empty() { nothing } else { &slice.key };
        let rate = slice.rate_per_million().map_or(String::new(), |rate| money(rate, slice.currency));
        table.row([
            key.to_owned(),
            known_money(slice.cost, slice.currency),
            known_percent(slice.cost, whole),
            tokens(slice.tokens),
            rate,
        ]);
    }
    rest(slices.iter().skip(top).map(|slice| (slice.cost, slice.currency)), whole, &mut table);
    table.write(out)
}

/// One row for all that a table leaves out, so that every table adds up.
fn rest(
    left_out: impl Iterator<Item = (Option<Decimal>, Currency)>,
    whole: Option<Decimal>,
    table: &mut Table,
) {
    let left_out: Vec<(Option<Decimal>, Currency)> = left_out.collect();
    if let Some((_, currency)) = left_out.first() {
        let sum = known_sum(left_out.iter().map(|(cost, _)| *cost));
        let name = format!("… {} more", left_out.len());
        let cells =
            [name, known_money(sum, *currency), known_percent(sum, whole), String::new(), String::new()];
        table.row(cells);
    }
}

fn resources(
    report: &BillReport,
    currency: Currency,
    top: usize,
    style: Style,
    out: &mut dyn Write,
) -> Result<()> {
    let mut found = report
        .resources
        .iter()
        .filter(|resource| resource.currency == currency && resource.verdict == Verdict::Ai)
        .take(top)
        .peekable();
    if found.peek().is_none() {
        return Ok(());
    }
    style.heading(out, "Top resources (as billed)")?;
    let mut table = Table::new(&[Side::Left, Side::Right, Side::Left, Side::Left]);
    for resource in found {
        table.row([
            resource.resource_id.to_string(),
            money(resource.unblended, currency),
            resource.service.to_string(),
            resource.usage_account.to_string(),
        ]);
    }
    table.write(out)
}

fn not_understood(
    report: &BillReport,
    currency: Currency,
    measure: Measure,
    top: usize,
    style: Style,
    out: &mut dyn Write,
) -> Result<()> {
    let mut found: BTreeMap<(String, String), (Option<Decimal>, u64)> = BTreeMap::new();
    for fact in report.unclassified().filter(|fact| fact.currency == currency) {
        let product = if fact.product_name.is_empty() { &fact.product_code } else { &fact.product_name };
        let sum = found
            .entry((product.to_string(), fact.usage_type.to_string()))
            .or_insert((Some(Decimal::ZERO), 0));
        sum.0 = known_sum([sum.0, fact.cost(measure)].into_iter());
        sum.1 += fact.lines;
    }
    if found.is_empty() {
        return Ok(());
    }
    style.heading(out, "AI, but could not be classified (counted above)")?;
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort_by(|a, b| b.1.0.cmp(&a.1.0).then(a.0.cmp(&b.0)));
    let mut table = Table::new(&[Side::Left, Side::Left, Side::Right, Side::Right]);
    for ((product, usage_type), (cost, lines)) in found.iter().take(top) {
        let lines = format!("{} lines", count(*lines));
        table.row([product.clone(), usage_type.clone(), known_money(*cost, currency), lines]);
    }
    if found.len() > top {
        table.row([format!("… {} more", found.len() - top)]);
    }
    table.write(out)
}

fn candidates(
    report: &BillReport,
    currency: Currency,
    measure: Measure,
    top: usize,
    style: Style,
    out: &mut dyn Write,
) -> Result<()> {
    let mut found: BTreeMap<(String, String), (Option<Decimal>, Decimal)> = BTreeMap::new();
    let facts = report
        .facts
        .iter()
        .filter(|fact| fact.class.verdict == Verdict::Candidate && fact.currency == currency);
    for fact in facts {
        let what = match (&fact.class.instance_type, &fact.class.accelerator, fact.class.accelerator_count) {
            (Some(instance), Some(name), Some(count)) => format!("{instance} ({count} × {name})"),
            (Some(instance), Some(name), None) => format!("{instance} ({name})"),
            (Some(instance), None, _) => instance.clone(),
            (None, ..) => fact.usage_type.to_string(),
        };
        let sum = found
            .entry((fact.class.service.to_string(), what))
            .or_insert((Some(Decimal::ZERO), Decimal::ZERO));
        sum.0 = known_sum([sum.0, fact.cost(measure)].into_iter());
        sum.1 += fact.usage_quantity;
    }
    if found.is_empty() {
        return Ok(());
    }
    style.heading(out, "May be AI (not counted above: these also serve other work)")?;
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort_by(|a, b| b.1.0.cmp(&a.1.0).then(a.0.cmp(&b.0)));
    let mut table = Table::new(&[Side::Left, Side::Left, Side::Right, Side::Right]);
    for ((service, what), (cost, hours)) in found.iter().take(top) {
        let hours = format!("{} h", quantity(*hours));
        table.row([service.clone(), what.clone(), known_money(*cost, currency), hours]);
    }
    if found.len() > top {
        let sum = known_sum(found.iter().skip(top).map(|(_, (cost, _))| *cost));
        let more = format!("… {} more", found.len() - top);
        table.row([more, String::new(), known_money(sum, currency), String::new()]);
    }
    table.write(out)
}

fn totals(report: &BillReport, style: Style, out: &mut dyn Write) -> Result<()> {
    style.heading(out, "The whole bill by line-item type (hold it against your own sum)")?;
    let mut table = Table::new(&[Side::Left, Side::Left, Side::Right, Side::Right, Side::Right]);
    table.row(["", "", "lines", "cost", "of which AI"].map(str::to_owned));
    for total in &report.totals {
        let kind = if total.line_item_type.is_empty() { "(empty)" } else { &total.line_item_type };
        table.row([
            kind.to_owned(),
            total.currency.to_string(),
            count(total.lines),
            money(total.unblended, total.currency),
            money(total.ai, total.currency),
        ]);
    }
    table.write(out)
}

fn notes(report: &BillReport, out: &mut dyn Write) -> Result<()> {
    writeln!(out)?;
    let currencies = report.by_currency().len();
    if currencies > 1 {
        writeln!(out, "The bill has {currencies} currencies; they are never added up.")?;
    }
    let unpriced: u64 = report.totals.iter().map(|total| total.lines_without_cost).sum();
    if unpriced > 0 {
        writeln!(out, "{} lines carry no cost and are in no sum.", count(unpriced))?;
    }
    let split = report.totals.iter().any(|total| !total.split_cost.is_zero());
    if split {
        writeln!(
            out,
            "Container split-cost lines repeat their instance's cost: in the totals, in no share."
        )?;
    }
    if report.facts.iter().any(|fact| fact.list.is_none()) {
        writeln!(
            out,
            "The bill does not tell the list price of all AI; it is unknown, and in no sum by it."
        )?;
    }
    if !report.unknown_line_types.is_empty() {
        let kinds: Vec<&str> = report.unknown_line_types.iter().map(AsRef::as_ref).collect();
        writeln!(out, "Line-item types without a rule, kept as billed: {}.", kinds.join(", "))?;
    }
    if !report.skipped.is_empty() {
        writeln!(out, "Files that are no bill were passed over: {}.", report.skipped.join(", "))?;
    }
    writeln!(out, "Classified by rules version {RULES_VERSION}.")
}
