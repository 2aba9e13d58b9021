//! What pricing promises, seen from outside.

mod disagreements;
mod golden;
mod importing;
mod lookup;
mod oracle;
mod publishing;
mod refusals;

use std::sync::LazyLock;

use chrono::{DateTime, Utc};

use super::{Catalogue, Priced, Quote};
use crate::usage::{Tokens, Usage};

/// The committed prices, read once.
static PRICES: LazyLock<Catalogue> =
    LazyLock::new(|| Catalogue::embedded().expect("the committed prices are readable"));

/// A Friday on which every tier of the committed prices is in force.
fn today() -> DateTime<Utc> {
    at("2026-11-20T12:00:00Z")
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("an RFC 3339 time")
}

/// Counts by class, in the order fresh, read, 5m, 1h, output.
fn usage(fresh: u64, read: u64, five_minutes: u64, hour: u64, output: u64) -> Usage {
    Usage {
        fresh_input: Tokens(fresh),
        cache_read: Tokens(read),
        cache_write_5m: Tokens(five_minutes),
        cache_write_1h: Tokens(hour),
        output: Tokens(output),
        ..Usage::default()
    }
}

fn price(provider: &str, model: &str, tier: Option<&str>, usage: &Usage) -> Priced {
    PRICES.price(Quote { provider, model, tier, at: today(), usage })
}

/// The amount as text, or the code of the reason why there is none.
fn outcome(priced: &Priced) -> String {
    match priced {
        Priced::Exact { amount, .. } => amount.to_string(),
        Priced::Unpriced { reason } => reason.code().to_owned(),
    }
}

/// A catalogue of one provider `p`, written out in the test.
fn catalogue(models: &str) -> Catalogue {
    let mut catalogue = Catalogue::default();
    let text = format!(r#"{{"provider": "p", "name": "P", "source": "the test", "models": {models}}}"#);
    catalogue.add("p.json", text.as_bytes()).expect("the test's own prices are readable");
    catalogue
}
