//! Prompt caches that cost more than they save, and those that are missing.

use std::collections::BTreeMap;

use costlens_domain::classify::Meter;
use rust_decimal::Decimal;

use super::{Confidence, Kind, Recommendation, Sum, Window, who};

/// One principal's use of one model, by what was counted.
#[derive(Default)]
struct Use {
    by: &'static str,
    fresh: Sum,
    read: Sum,
    write_5m: Sum,
    write_1h: Sum,
}

impl Use {
    fn written(&self) -> Decimal {
        self.write_5m.tokens + self.write_1h.tokens
    }

    /// The part of the input that a cache served.
    fn share(&self) -> Decimal {
        let all = self.fresh.tokens + self.read.tokens + self.written();
        self.read.tokens.checked_div(all).unwrap_or_default()
    }
}

fn uses(window: &Window<'_>) -> BTreeMap<(String, String), Use> {
    let mut uses: BTreeMap<(String, String), Use> = BTreeMap::new();
    for fact in window.used() {
        let Some(model) = &fact.class.model else { continue };
        let (by, name) = who(fact);
        let of = uses.entry((name, model.clone())).or_default();
        of.by = by;
        match fact.class.meter {
            Meter::FreshInput => of.fresh.add(fact),
            Meter::CacheRead => of.read.add(fact),
            Meter::CacheWrite5m | Meter::CacheWrite30m => of.write_5m.add(fact),
            Meter::CacheWrite1h => of.write_1h.add(fact),
            _ => {}
        }
    }
    uses
}

/// The price of a fresh token of a model, wherever it was paid.
fn fresh_rate(uses: &BTreeMap<(String, String), Use>, model: &str) -> Option<Decimal> {
    let mut sum = Sum::default();
    for ((_, of), used) in uses {
        if of == model {
            sum.cost += used.fresh.cost;
            sum.tokens += used.fresh.tokens;
        }
    }
    sum.rate()
}

/// Writing a cache costs a quarter more than the same input without one (an hour's: twice as much); what is read saves
/// nine tenths. Where the reads saved less than the writes cost beyond plain input, no cache is the cheaper one. All
/// prices are the bill's own.
pub(super) fn unread_writes(window: &Window<'_>) -> Vec<Recommendation> {
    let uses = uses(window);
    let mut found = Vec::new();
    for ((name, model), used) in &uses {
        let Some(fresh) = fresh_rate(&uses, model).filter(|_| !used.written().is_zero()) else { continue };
        let writes = used.write_5m.cost + used.write_1h.cost;
        let premium = writes - used.written() * fresh;
        let saved = used.read.tokens * fresh - used.read.cost;
        let figures = [
            ("written_tokens", used.written()),
            ("read_tokens", used.read.tokens),
            ("write_premium", premium),
            ("read_saving", saved),
        ];
        let filter = [(used.by, name.clone()), ("model", model.clone())];
        let evidence = window.evidence(filter, figures, None);
        let amounts = (premium - saved, writes + used.read.cost);
        let subject = format!("{model} by {name}");
        found.push(window.recommend(Kind::CacheWritesUnread, subject, amounts, Confidence::High, evidence));
    }
    found
}

/// A cache of an hour costs twice the plain input, one of five minutes a quarter more. Where what was written is read no
/// more than once, the hour bought at most one more read than five minutes would have.
pub(super) fn shorter(window: &Window<'_>) -> Vec<Recommendation> {
    let uses = uses(window);
    let mut found = Vec::new();
    for ((name, model), used) in &uses {
        let Some(fresh) = fresh_rate(&uses, model) else { continue };
        let written = used.write_1h.tokens;
        let useful = used.read.tokens * fresh - used.read.cost > used.write_1h.cost - written * fresh;
        // A cache that does not even earn its writes is told of by the rule above.
        if written.is_zero() || !useful || used.read.tokens > written * Decimal::TWO {
            continue;
        }
        let five_minutes = written * fresh * Decimal::new(125, 2);
        let figures = [("written_1h_tokens", written), ("read_tokens", used.read.tokens)];
        let filter =
            [(used.by, name.clone()), ("model", model.clone()), ("meter", "cache_write_1h".to_owned())];
        let assumption = "what is read again is read within five minutes";
        let evidence = window.evidence(filter, figures, Some(assumption));
        let amounts = (used.write_1h.cost - five_minutes, used.write_1h.cost);
        let subject = format!("{model} by {name}");
        found.push(window.recommend(Kind::ShorterCache, subject, amounts, Confidence::Low, evidence));
    }
    found
}

/// Somebody pays for fresh input of a model that others read from a cache for at least this part.
const CACHED_ELSEWHERE: Decimal = Decimal::from_parts(3, 0, 0, false, 1);

/// The bill does not show which prompts repeat; that they do for others with the same model is a hint and no proof.
pub(super) fn unused(window: &Window<'_>) -> Vec<Recommendation> {
    let uses = uses(window);
    let mut found = Vec::new();
    for ((name, model), used) in &uses {
        if !used.read.tokens.is_zero() || !used.written().is_zero() {
            continue;
        }
        let best = uses
            .iter()
            .filter(|((_, of), _)| of == model)
            .max_by_key(|(_, used)| used.share())
            .filter(|(_, used)| used.share() >= CACHED_ELSEWHERE);
        let Some(((_, _), best)) = best else { continue };
        let (Some(fresh), Some(read)) = (used.fresh.rate(), best.read.rate()) else { continue };
        // Half of what the best one reaches, and its writes paid like its reads' part of them.
        let share = best.share() / Decimal::TWO;
        let saving = used.fresh.tokens * share * (fresh - read);
        let figures = [("fresh_tokens", used.fresh.tokens), ("cached_share_elsewhere", best.share())];
        let filter = [(used.by, name.clone()), ("model", model.clone())];
        let assumption = "prompts repeat half as often as where the same model is cached most";
        let evidence = window.evidence(filter, figures, Some(assumption));
        let subject = format!("{model} by {name}");
        let amounts = (saving, used.fresh.cost);
        found.push(window.recommend(Kind::UseCache, subject, amounts, Confidence::Low, evidence));
    }
    found
}
