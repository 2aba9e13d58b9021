//! Prompt caches that cost more than they save, and those that are missing.

use std::collections::BTreeMap;

use costlens_domain::classify::{Meter, Routing, Tier};
use rust_decimal::Decimal;

use super::{Confidence, Kind, Recommendation, Sum, Window, who};

/// What is priced alike: the same model in another tier, by another route or of long prompts has other prices, and a cache of
/// its own.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Variant {
    model: String,
    tier: Tier,
    routing: Routing,
    long_context: bool,
    custom_model: bool,
}

/// One principal's use of one variant, by what was counted.
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

    /// Whether how much was written and read is known. What is unknown is not nothing.
    fn is_known(&self) -> bool {
        ![&self.read, &self.write_5m, &self.write_1h].iter().any(|sum| sum.is_partly_unknown)
    }

    /// The part of the input that a cache served.
    fn share(&self) -> Decimal {
        let all = self.fresh.tokens + self.read.tokens + self.written();
        self.read.tokens.checked_div(all).unwrap_or_default()
    }
}

/// Who used what.
type Uses = BTreeMap<(String, Variant), Use>;

fn uses(window: &Window<'_>) -> Uses {
    let mut uses = Uses::new();
    for fact in window.used() {
        let class = &fact.class;
        let Some(model) = class.model.clone() else { continue };
        let (by, name) = who(fact);
        let variant = Variant {
            model,
            tier: class.tier,
            routing: class.routing,
            long_context: class.long_context,
            custom_model: class.custom_model,
        };
        let of = uses.entry((name, variant)).or_default();
        of.by = by;
        match class.meter {
            Meter::FreshInput => of.fresh.add(fact),
            Meter::CacheRead => of.read.add(fact),
            Meter::CacheWrite5m | Meter::CacheWrite30m => of.write_5m.add(fact),
            Meter::CacheWrite1h => of.write_1h.add(fact),
            _ => {}
        }
    }
    uses
}

/// The price of a fresh token of a variant, whoever paid it.
fn fresh_rate(uses: &Uses, variant: &Variant) -> Option<Decimal> {
    let mut sum = Sum::default();
    for ((_, of), used) in uses {
        if of == variant {
            sum.cost += used.fresh.cost;
            sum.tokens += used.fresh.tokens;
        }
    }
    sum.rate()
}

/// What a recommendation is about. The usual variant needs no words.
fn subject(name: &str, variant: &Variant) -> String {
    let mut words = vec![variant.model.clone()];
    if variant.custom_model {
        words.push("customised".to_owned());
    }
    if variant.tier != Tier::Standard {
        words.push(variant.tier.to_string());
    }
    if variant.routing != Routing::Regional {
        words.push(variant.routing.to_string());
    }
    if variant.long_context {
        words.push("long prompts".to_owned());
    }
    format!("{} by {name}", words.join(", "))
}

/// The facts that a recommendation rests on.
fn filter(by: &'static str, name: &str, variant: &Variant) -> [(&'static str, String); 5] {
    [
        (by, name.to_owned()),
        ("model", variant.model.clone()),
        ("tier", variant.tier.to_string()),
        ("routing", variant.routing.to_string()),
        ("long_context", variant.long_context.to_string()),
    ]
}

/// Writing a cache costs a quarter more than the same input without one (an hour's: twice as much); what is read saves
/// nine tenths. Where the reads saved less than the writes cost beyond plain input, no cache is the cheaper one. All
/// prices are the bill's own.
pub(super) fn unread_writes(window: &Window<'_>) -> Vec<Recommendation> {
    let uses = uses(window);
    let mut found = Vec::new();
    for ((name, variant), used) in uses.iter().filter(|(_, used)| used.is_known()) {
        let Some(fresh) = fresh_rate(&uses, variant).filter(|_| !used.written().is_zero()) else { continue };
        let writes = used.write_5m.cost + used.write_1h.cost;
        let premium = writes - used.written() * fresh;
        let saved = used.read.tokens * fresh - used.read.cost;
        let figures = [
            ("written_tokens", used.written()),
            ("read_tokens", used.read.tokens),
            ("write_premium", premium),
            ("read_saving", saved),
        ];
        let evidence = window.evidence(filter(used.by, name, variant), figures, None);
        let amounts = (premium - saved, writes + used.read.cost);
        let subject = subject(name, variant);
        found.push(window.recommend(Kind::CacheWritesUnread, subject, amounts, Confidence::High, evidence));
    }
    found
}

/// A cache of an hour costs twice the plain input, one of five minutes a quarter more. Where what was written is read no
/// more than once, the hour bought at most one more read than five minutes would have.
pub(super) fn shorter(window: &Window<'_>) -> Vec<Recommendation> {
    let uses = uses(window);
    let mut found = Vec::new();
    for ((name, variant), used) in uses.iter().filter(|(_, used)| used.is_known()) {
        let Some(fresh) = fresh_rate(&uses, variant) else { continue };
        let written = used.write_1h.tokens;
        let useful = used.read.tokens * fresh - used.read.cost > used.write_1h.cost - written * fresh;
        // A cache that does not even earn its writes is told of by the rule above.
        if written.is_zero() || !useful || used.read.tokens > written * Decimal::TWO {
            continue;
        }
        let five_minutes = written * fresh * Decimal::new(125, 2);
        let figures = [("written_1h_tokens", written), ("read_tokens", used.read.tokens)];
        let [who, model, tier, routing, long_context] = filter(used.by, name, variant);
        let filter = [who, model, tier, routing, long_context, ("meter", "cache_write_1h".to_owned())];
        let assumption = "what is read again is read within five minutes";
        let evidence = window.evidence(filter, figures, Some(assumption));
        let amounts = (used.write_1h.cost - five_minutes, used.write_1h.cost);
        let subject = subject(name, variant);
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
    for ((name, variant), used) in uses.iter().filter(|(_, used)| used.is_known()) {
        if !used.read.tokens.is_zero() || !used.written().is_zero() {
            continue;
        }
        let best = uses
            .iter()
            .filter(|((_, of), used)| of == variant && used.is_known())
            .max_by_key(|(_, used)| used.share())
            .filter(|(_, used)| used.share() >= CACHED_ELSEWHERE);
        let Some(((_, _), best)) = best else { continue };
        let (Some(fresh), Some(read)) = (used.fresh.rate(), best.read.rate()) else { continue };
        // Half of what the best one reaches, and its writes paid like its reads' part of them.
        let share = best.share() / Decimal::TWO;
        let saving = used.fresh.tokens * share * (fresh - read);
        let figures = [("fresh_tokens", used.fresh.tokens), ("cached_share_elsewhere", best.share())];
        let assumption = "prompts repeat half as often as where the same model is cached most";
        let evidence = window.evidence(filter(used.by, name, variant), figures, Some(assumption));
        let subject = subject(name, variant);
        let amounts = (saving, used.fresh.cost);
        found.push(window.recommend(Kind::UseCache, subject, amounts, Confidence::Low, evidence));
    }
    found
}
