//! The report as one page that needs nothing else: styles and charts stand in it, and it loads and runs nothing.
//!
//! Every text of a bill is somebody else's: all of them go through [`Escaped`]. The page says by its own policy that
//! nothing may be fetched, so that even a text that slipped through could call nobody.

mod charts;

use std::fmt;
use std::io::{Result, Write};

use chrono::{Days, NaiveDate};
use costlens_domain::bill::{BillReport, DailyFact, Dimension, Measure, Share, Slice, breakdown};
use costlens_domain::money::Currency;
use costlens_insight::anomalies::{self, DayRule};
use costlens_insight::recommend;
use rust_decimal::Decimal;

use super::figures::{count, known_money, known_percent, known_sum, money, percent, tokens};
use charts::{Bar, columns, rows};

/// A text as it may stand in a page, between tags and in quoted attributes.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // Controls, and letters that turn the direction of what stands around them.
                c if c.is_control() => f.write_str(" ")?,
                '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
                c => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#16202b;--dim:#5b6875;--line:#dde3e9;--paper:#fff;--bar:#2f6fde;--soft:#f4f6f9}
@media(prefers-color-scheme:dark){:root{--ink:#e7edf3;--dim:#9aa7b4;--line:#2b3641;--paper:#10161d;--bar:#6aa0ff;--soft:#18212b}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:64rem;padding:2rem 1.25rem 4rem;font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper)}
h1{font-size:1.5rem;margin:0}h2{font-size:1.15rem;margin:2.25rem 0 .5rem}h3{font-size:1rem;margin:1.5rem 0 .4rem}
p{margin:.25rem 0}.dim{color:var(--dim)}
.cards{display:flex;flex-wrap:wrap;gap:.75rem;margin:1rem 0}.card{background:var(--soft);border-radius:.6rem;padding:.75rem 1rem;min-width:11rem}
.card b{display:block;font-size:1.3rem;font-variant-numeric:tabular-nums}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .5rem;border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:anywhere}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
svg{display:block;width:100%;height:auto}svg text{fill:var(--dim);font-size:11px}svg rect{fill:var(--bar)}svg line{stroke:var(--line)}
.advice{background:var(--soft);border-radius:.6rem;padding:.75rem 1rem;margin:.6rem 0}.advice p{overflow-wrap:anywhere}
";

/// The breakdowns, in the order in which they are shown.
const SECTIONS: [(&str, Dimension, &str); 6] = [
    ("By service", Dimension::Service, "(none)"),
    ("By model", Dimension::Model, "(no model)"),
    ("By token class and unit", Dimension::Meter, "(none)"),
    ("By account", Dimension::Account, "(no account)"),
    ("By region", Dimension::Region, "(no region)"),
    ("By principal", Dimension::Principal, "(not in the bill)"),
];

/// Writes the whole page.
pub(super) fn write(report: &BillReport, measure: Measure, top: usize, out: &mut dyn Write) -> Result<()> {
    writeln!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"referrer\" content=\"no-referrer\"><title>AI spend</title><style>{STYLE}</style></head><body>"
    )?;
    header(report, out)?;
    for (currency, share) in report.by_currency() {
        let ai: Vec<&DailyFact> =
            report.facts.iter().filter(|fact| fact.is_ai() && fact.currency == currency).collect();
        writeln!(out, "<h2>AI spend in {currency}</h2>")?;
        summary(currency, share, measure, out)?;
        by_day(&ai, currency, measure, out)?;
        for (title, dimension, nothing) in SECTIONS {
            let slices = breakdown(ai.iter().copied(), dimension, measure);
            if !slices.iter().all(|slice| slice.key.is_empty()) {
                section(&slices, currency, (title, nothing), top, out)?;
            }
        }
    }
    if let Some(last) = report.last_day {
        let until = last + Days::new(1) - Days::new(anomalies::bill::UNFINISHED_DAYS);
        recommendations(report, until, out)?;
        surprises(report, out)?;
    }
    totals(report, out)?;
    writeln!(
        out,
        "<p class=\"dim\">Classification rules {}. This page loads nothing and sends nothing.</p></body></html>",
        report.rules_version
    )
}

fn header(report: &BillReport, out: &mut dyn Write) -> Result<()> {
    let days = match (report.first_day, report.last_day) {
        (Some(first), Some(last)) => format!(" · {first} to {last}"),
        _ => String::new(),
    };
    let files = report.files.len();
    let s = if files == 1 { "" } else { "s" };
    let lines = count(report.lines);
    writeln!(
        out,
        "<h1>AI spend</h1><p class=\"dim\">{} · {lines} lines in {files} file{s}{days}</p>",
        report.format
    )
}

fn summary(currency: Currency, share: Share, measure: Measure, out: &mut dyn Write) -> Result<()> {
    let card = |name: &str, amount: Decimal, note: &str| {
        format!(
            "<div class=\"card\"><span class=\"dim\">{name}</span><b>{}</b>{note}</div>",
            money(amount, currency)
        )
    };
    let of_bill = |amount| format!("<span class=\"dim\">{} of the bill</span>", percent(amount, share.total));
    write!(out, "<div class=\"cards\">{}", card("AI", share.ai, &of_bill(share.ai)))?;
    if !share.candidate.is_zero() {
        write!(out, "{}", card("May be AI", share.candidate, &of_bill(share.candidate)))?;
    }
    writeln!(out, "{}</div>", card("Whole bill", share.total, ""))?;
    let told = Measure::ALL.map(|of| format!("{} {}", of.title(), known_money(share.ai_by(of), currency)));
    writeln!(
        out,
        "<p class=\"dim\">The AI by each cost: {}. Broken down below: {}.</p>",
        told.join(", "),
        measure.title()
    )
}

fn by_day(ai: &[&DailyFact], currency: Currency, measure: Measure, out: &mut dyn Write) -> Result<()> {
    let mut slices = breakdown(ai.iter().copied(), Dimension::Day, measure);
    slices.sort_by(|a, b| a.key.cmp(&b.key));
    if slices.len() < 2 {
        return Ok(());
    }
    let bars: Vec<Bar> = slices
        .into_iter()
        .map(|slice| Bar {
            label: slice.key,
            size: slice.cost.unwrap_or_default(),
            shown: known_money(slice.cost, currency),
        })
        .collect();
    writeln!(out, "<h3>By day</h3>{}", columns("AI spend by day", &bars))
}

fn section(
    slices: &[Slice],
    currency: Currency,
    (title, nothing): (&str, &str),
    top: usize,
    out: &mut dyn Write,
) -> Result<()> {
    let whole = known_sum(slices.iter().map(|slice| slice.cost));
    let named = |slice: &Slice| if slice.key.is_empty() { nothing.to_owned() } else { slice.key.clone() };
    let bars: Vec<Bar> = slices
        .iter()
        .take(top)
        .map(|slice| Bar {
            label: named(slice),
            size: slice.cost.unwrap_or_default(),
            shown: known_money(slice.cost, currency),
        })
        .collect();
    writeln!(out, "<h3>{title}</h3>{}<table><tbody>", rows(title, &bars))?;
    for slice in slices.iter().take(top) {
        let rate = slice.rate_per_million().map(|rate| format!("{} per M", money(rate, currency)));
        writeln!(
            out,
            "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            Escaped(&named(slice)),
            known_money(slice.cost, currency),
            known_percent(slice.cost, whole),
            tokens(slice.tokens),
            rate.unwrap_or_default(),
        )?;
    }
    if slices.len() > top {
        let rest = known_sum(slices.iter().skip(top).map(|slice| slice.cost));
        let others = slices.len() - top;
        writeln!(
            out,
            "<tr><td class=\"dim\">{others} others</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td></td><td></td></tr>",
            known_money(rest, currency),
            known_percent(rest, whole),
        )?;
    }
    writeln!(out, "</tbody></table>")
}

fn recommendations(report: &BillReport, until: NaiveDate, out: &mut dyn Write) -> Result<()> {
    let found = recommend::find(&report.facts, &[], until);
    writeln!(out, "<h2>What could be saved</h2>")?;
    if found.is_empty() {
        return writeln!(out, "<p class=\"dim\">Nothing that this bill proves.</p>");
    }
    for one in found {
        let filter: Vec<String> =
            one.evidence.filter.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        let who = if one.evidence.who.is_empty() {
            String::new()
        } else {
            format!(": {}", one.evidence.who.join(", "))
        };
        let figures: Vec<String> =
            one.evidence.figures.iter().map(|(name, value)| format!("{name} {value}")).collect();
        let assumption = one.evidence.assumption.as_deref().map(|words| format!(" Assuming that {words}."));
        writeln!(
            out,
            "<div class=\"advice\"><p><strong>{} in thirty days</strong> of {} · {} confidence</p><p>{}</p>\
             <p class=\"dim\">{}{}: {} to {}, {}; {}.{}</p></div>",
            money(one.monthly_saving, one.currency),
            money(one.monthly_cost, one.currency),
            one.confidence.as_str(),
            one.kind.advice(),
            Escaped(&one.subject),
            Escaped(&who),
            one.evidence.from,
            one.evidence.to,
            Escaped(&filter.join(", ")),
            Escaped(&figures.join(", ")),
            Escaped(&assumption.unwrap_or_default()),
        )?;
    }
    Ok(())
}

fn surprises(report: &BillReport, out: &mut dyn Write) -> Result<()> {
    let found = anomalies::bill::find(&report.facts, &DayRule::default(), None);
    if found.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "<h2>Surprising days</h2><table><thead><tr><th>Day</th><th>What</th><th class=\"n\">Expected</th>\
         <th class=\"n\">Was</th><th>Why</th></tr></thead><tbody>"
    )?;
    for one in found {
        let parts: Vec<String> = one
            .explanation
            .parts
            .iter()
            .map(|part| {
                format!("{} {}", part.cause.as_str().replace('_', " "), money(part.amount, one.currency))
            })
            .collect();
        writeln!(
            out,
            "<tr><td>{}</td><td>{} {}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td></tr>",
            one.day,
            one.scope.by(),
            Escaped(one.scope.name()),
            money(one.verdict.expected, one.currency),
            money(one.verdict.actual, one.currency),
            parts.join(", "),
        )?;
    }
    writeln!(out, "</tbody></table>")
}

fn totals(report: &BillReport, out: &mut dyn Write) -> Result<()> {
    writeln!(
        out,
        "<h2>Every line of the bill</h2><p class=\"dim\">To be held against an independent sum.</p><table><thead><tr>\
         <th>Type of line</th><th class=\"n\">Lines</th><th class=\"n\">Cost</th><th class=\"n\">AI</th></tr></thead><tbody>"
    )?;
    for total in &report.totals {
        writeln!(
            out,
            "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            Escaped(&total.line_item_type),
            count(total.lines),
            money(total.unblended, total.currency),
            money(total.ai, total.currency),
        )?;
    }
    writeln!(out, "</tbody></table>")
}
