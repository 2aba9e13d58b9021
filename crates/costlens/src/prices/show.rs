//! `costlens prices show MODEL`: what a model costs, where the figures come from and when they hold.

use std::io::Write;

use chrono::{DateTime, Utc};
use clap::Args;
use costlens_domain::pricing::{Catalogue, Days, ModelPrice, RateRow, ServiceTier};

use super::PricesError;

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// A model's name, dated or not; `provider/model` for one provider alone.
    model: String,
    /// Also show rates that no longer or do not yet hold.
    #[arg(long)]
    all: bool,
}

pub(super) fn show(args: &ShowArgs, now: DateTime<Utc>, out: &mut dyn Write) -> Result<(), PricesError> {
    let catalogue = Catalogue::embedded()?;
    let entries = entries(&catalogue, &args.model);
    if entries.is_empty() {
        return Err(PricesError::UnknownModel {
            model: args.model.clone(),
            near: catalogue.nearest(&args.model, 3),
        });
    }
    for entry in entries {
        write_entry(entry, args.all, now, out)?;
    }
    Ok(())
}

fn entries<'a>(catalogue: &'a Catalogue, model: &str) -> Vec<&'a ModelPrice> {
    let everywhere: Vec<&ModelPrice> =
        catalogue.providers_of(model).iter().filter_map(|provider| catalogue.find(provider, model)).collect();
    if !everywhere.is_empty() {
        return everywhere;
    }
    model.split_once('/').and_then(|(provider, model)| catalogue.find(provider, model)).into_iter().collect()
}

fn write_entry(
    entry: &ModelPrice,
    all: bool,
    now: DateTime<Utc>,
    out: &mut dyn Write,
) -> Result<(), PricesError> {
    writeln!(out, "{}", entry.price_id)?;
    writeln!(out, "  source  {}", entry.source)?;
    writeln!(out, "  checked {}", entry.checked)?;
    if let Some(note) = &entry.note {
        writeln!(out, "  note    {note}")?;
    }
    for what in &entry.charged_apart {
        writeln!(out, "  unpriced where the usage may hold {what}, which has a rate of its own")?;
    }
    let today = now.date_naive();
    let holds = |row: &&RateRow| {
        all || (row.from.is_none_or(|from| from <= today) && row.until.is_none_or(|until| today < until))
    };
    for row in entry.rows.iter().filter(holds) {
        writeln!(out, "  {}", title(row))?;
        if let Some(source) = &row.source {
            writeln!(out, "    source          {source}, checked {}", entry.checked_of(row))?;
        }
        for (class, rate) in row.rates.iter() {
            if let Some(rate) = rate {
                writeln!(out, "    {:<15} ${} per million", class.as_str(), rate.text())?;
            }
        }
        if let Some(rate) = row.rates.web_search() {
            writeln!(out, "    {:<15} ${} per thousand", "web_search", rate.text())?;
        }
    }
    Ok(())
}

/// Tier, time and context of a row in words.
fn title(row: &RateRow) -> String {
    let mut words = vec![row.tier.to_string()];
    if row.tier == ServiceTier::Standard {
        words = vec!["standard".to_owned()];
    }
    match (row.above_input, row.up_to_input) {
        (0, None) => {}
        (0, Some(most)) => words.push(format!("up to {most} input tokens")),
        (above, None) => words.push(format!("above {above} input tokens")),
        (above, Some(most)) => words.push(format!("above {above} and up to {most} input tokens")),
    }
    words.extend(row.from.map(|from| format!("from {from}")));
    words.extend(row.until.map(|until| format!("until {until}")));
    words.extend(row.hours.map(|hours| format!("from {} to {} UTC", clock(hours.start), clock(hours.end))));
    if row.days != Days::All {
        words.push(format!("on {}", row.days));
    }
    words.join(", ")
}

fn clock(second: u32) -> String {
    format!("{:02}:{:02}", second / 3600, second % 3600 / 60)
}
