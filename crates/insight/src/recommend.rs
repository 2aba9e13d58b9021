//! What could be saved, as far as the facts of bills and the rollup of calls prove it.
//!
//! Every recommendation carries dollars a month, the question that shows it (a filter over facts and its figures), and
//! how sure it is. What the facts cannot show is not recommended; what rests on an assumption says which. Amounts are
//! those of the last thirty whole days, or of so many as there are, scaled to thirty.

mod caching;
mod capacity;
mod inference;
mod seats;

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};
use costlens_domain::Currency;
use costlens_domain::bill::DailyFact;
use costlens_domain::classify::{Classification, Meter, Routing, Tier};
use costlens_domain::export::HourlySpend;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::anomalies::bill::is_use;

/// What is recommended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Use a prompt cache where others use one for the same model.
    UseCache,
    /// Stop writing to a cache that is read less than its writes cost.
    CacheWritesUnread,
    /// Use the cache of five minutes where that of an hour is not read more.
    ShorterCache,
    /// Let inference run anywhere, at the lower global price.
    GlobalRouting,
    /// Send what runs at fixed hours as a batch.
    UseBatch,
    /// Leave the priority tier where the standard tier serves the same model.
    LeavePriority,
    /// Use the next cheaper model of the same vendor.
    CheaperModel,
    /// Give up throughput that is bought ahead and costs more than the same calls on demand.
    ProvisionedThroughputUnused,
    /// Delete endpoints that nobody calls.
    IdleEndpoint,
    /// Look whether sessions of agents end when their work does.
    IdleAgentMemory,
    /// Take back seats of people who do nothing with them.
    IdleSeats,
    /// Stop notebooks and studios at night and on weekends.
    AlwaysOnNotebook,
    /// Commit to accelerated instances of which so many hours are used every day.
    CommitToGpu,
    /// Move from an old generation of accelerated instances.
    OldGpuGeneration,
    /// Use or let go a commitment that is partly unused.
    UnusedCommitment,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 15] = [
        Self::UseCache,
        Self::CacheWritesUnread,
        Self::ShorterCache,
        Self::GlobalRouting,
        Self::UseBatch,
        Self::LeavePriority,
        Self::CheaperModel,
        Self::ProvisionedThroughputUnused,
        Self::IdleEndpoint,
        Self::IdleAgentMemory,
        Self::IdleSeats,
        Self::AlwaysOnNotebook,
        Self::CommitToGpu,
        Self::OldGpuGeneration,
        Self::UnusedCommitment,
    ];

    /// The stable name, as in JSON and SQL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UseCache => "use_cache",
            Self::CacheWritesUnread => "cache_writes_unread",
            Self::ShorterCache => "shorter_cache",
            Self::GlobalRouting => "global_routing",
            Self::UseBatch => "use_batch",
            Self::LeavePriority => "leave_priority",
            Self::CheaperModel => "cheaper_model",
            Self::ProvisionedThroughputUnused => "provisioned_throughput_unused",
            Self::IdleEndpoint => "idle_endpoint",
            Self::IdleAgentMemory => "idle_agent_memory",
            Self::IdleSeats => "idle_seats",
            Self::AlwaysOnNotebook => "always_on_notebook",
            Self::CommitToGpu => "commit_to_gpu",
            Self::OldGpuGeneration => "old_gpu_generation",
            Self::UnusedCommitment => "unused_commitment",
        }
    }

    /// What to do, in a sentence.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::UseCache => "Cache prompts here, as is done elsewhere with the same model.",
            Self::CacheWritesUnread => {
                "Stop writing this cache: what is read from it saves less than writing it costs."
            }
            Self::ShorterCache => {
                "Write the five-minute cache: the one-hour cache is read no more than once."
            }
            Self::GlobalRouting => "Use the global profile, where data may be processed anywhere.",
            Self::UseBatch => {
                "Send these calls as a batch: they run at fixed hours and cost half of it there."
            }
            Self::LeavePriority => "Leave the priority tier: the standard tier serves the same model.",
            Self::CheaperModel => "Try the cheaper model for what it does well enough.",
            Self::ProvisionedThroughputUnused => {
                "Give this throughput up: the same calls cost less on demand."
            }
            Self::IdleEndpoint => "Delete these endpoints: they run every day and nobody calls them.",
            Self::IdleAgentMemory => {
                "Look whether sessions of agents end when their work does: memory is held far longer than they compute."
            }
            Self::IdleSeats => {
                "Ask these people whether they still need their seats: the bill shows no use of them."
            }
            Self::AlwaysOnNotebook => "Stop these notebooks at night and on weekends.",
            Self::CommitToGpu => "Commit to what of these instances is used every day.",
            Self::OldGpuGeneration => "Move to a newer generation of accelerators.",
            Self::UnusedCommitment => "Use this commitment or let it go: a part of it covers nothing.",
        }
    }
}

/// How sure a recommendation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// The saving rests on an assumption about how things would be.
    Low,
    /// The waste is proven, its amount rests on an assumption that is named; or the amount is exact, and that it is
    /// waste is very likely.
    Medium,
    /// Both follow from the facts.
    High,
}

impl Confidence {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// The question over facts that shows a recommendation, and what it answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The first day.
    pub from: NaiveDate,
    /// The day after the last.
    pub to: NaiveDate,
    /// Which facts: columns and the values that they have.
    pub filter: BTreeMap<String, String>,
    /// What they add up to, by stable names.
    pub figures: BTreeMap<String, Decimal>,
    /// Whom it is about, where that is several at once: the first of them, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub who: Vec<String>,
    /// What is assumed beyond the facts; `None` where nothing is.
    pub assumption: Option<String>,
}

/// Something that could be saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recommendation {
    /// What to do.
    pub kind: Kind,
    /// With what: one recommendation per kind and subject.
    pub subject: String,
    /// What the amounts count.
    pub currency: Currency,
    /// What would be saved in thirty days.
    pub monthly_saving: Decimal,
    /// What it costs in thirty days as it is.
    pub monthly_cost: Decimal,
    /// How sure that is.
    pub confidence: Confidence,
    /// What shows it.
    pub evidence: Evidence,
}

/// What is not worth a word, in thirty days.
const LEAST: Decimal = Decimal::TEN;
/// How many days are looked at.
const WINDOW: u64 = 30;
/// With fewer whole days nothing is recommended.
const LEAST_DAYS: i64 = 7;

/// What the rules look at.
struct Window<'a> {
    facts: Vec<&'a DailyFact>,
    /// Those of earlier days, which only say what is not new.
    earlier: Vec<&'a DailyFact>,
    calls: Vec<&'a HourlySpend>,
    from: NaiveDate,
    to: NaiveDate,
    currency: Currency,
}

/// What can be proven by the whole days before `until`, dearest first. `calls` may be empty.
#[must_use]
pub fn find(facts: &[DailyFact], calls: &[HourlySpend], until: NaiveDate) -> Vec<Recommendation> {
    let Some(first) = facts.iter().map(|fact| fact.day).min() else { return Vec::new() };
    let from = first.max(until - Days::new(WINDOW));
    if (until - from).num_days() < LEAST_DAYS {
        return Vec::new();
    }
    let in_window = |day: NaiveDate| day >= from && day < until;
    let currencies: std::collections::BTreeSet<Currency> = facts.iter().map(|fact| fact.currency).collect();
    let mut found = Vec::new();
    for currency in currencies {
        let window = Window {
            facts: facts.iter().filter(|fact| fact.currency == currency && in_window(fact.day)).collect(),
            earlier: facts.iter().filter(|fact| fact.currency == currency && fact.day < from).collect(),
            calls: calls.iter().filter(|row| in_window(row.hour.date_naive())).collect(),
            from,
            to: until,
            currency,
        };
        for rule in [
            caching::unread_writes,
            caching::shorter,
            caching::unused,
            inference::global_routing,
            inference::batch,
            inference::priority,
            inference::cheaper_model,
            capacity::provisioned,
            capacity::idle_endpoints,
            capacity::agent_memory,
            seats::idle,
            capacity::notebooks,
            capacity::gpus,
            capacity::commitments,
        ] {
            found.extend(rule(&window));
        }
    }
    found.retain(|one: &Recommendation| one.monthly_saving >= LEAST);
    found.sort_by(|a, b| {
        a.currency
            .cmp(&b.currency)
            .then(b.monthly_saving.cmp(&a.monthly_saving))
            .then((a.kind, &a.subject).cmp(&(b.kind, &b.subject)))
    });
    found
}

/// What was found for each paying account, as one list for all of them: each kind and subject once.
///
/// Where there are several, the payer stands in the filter, and in the subject of what names neither an account nor a
/// principal: two payers may use the same model. What is found by calls alone, which have no payer, is told once; so is what
/// an account did under two payers. The newest days have the say.
#[must_use]
pub fn of_all_payers(found: Vec<(String, Vec<Recommendation>)>) -> Vec<Recommendation> {
    let are_several = found.len() > 1;
    let mut all: BTreeMap<(Kind, String, Currency), Recommendation> = BTreeMap::new();
    for (payer, of_payer) in found {
        for mut one in of_payer {
            let names = |columns: &[&str]| columns.iter().any(|name| one.evidence.filter.contains_key(*name));
            let (by_calls, by_whom) = (names(&["api_key_id"]), names(&["usage_account", "principal"]));
            if are_several && !by_calls && !payer.is_empty() {
                if !by_whom {
                    one.subject = format!("{}, billed to {payer}", one.subject);
                }
                one.evidence.filter.insert("billing_account".to_owned(), payer.clone());
            }
            let key = (one.kind, one.subject.clone(), one.currency);
            let is_older = all.get(&key).is_some_and(|other| other.evidence.to > one.evidence.to);
            if !is_older {
                all.insert(key, one);
            }
        }
    }
    all.into_values().collect()
}

/// The sums of some facts whose tokens are known. What others cost is no part of the price of a token.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    cost: Decimal,
    tokens: Decimal,
    /// There are others, too.
    is_partly_unknown: bool,
}

impl Sum {
    fn add(&mut self, fact: &DailyFact) {
        match fact.tokens {
            Some(tokens) => {
                self.cost += fact.spread_cost();
                self.tokens += tokens;
            }
            None => self.is_partly_unknown = true,
        }
    }

    /// The price of a token; `None` where there are none.
    fn rate(&self) -> Option<Decimal> {
        (self.tokens > Decimal::ZERO).then(|| self.cost.checked_div(self.tokens)).flatten()
    }
}

/// What is priced alike but for one property: who sells it, the model, and the rest of what a usage type says.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Priced {
    service: String,
    model: String,
    meter: Meter,
    tier: Tier,
    routing: Routing,
    long_context: bool,
    custom_model: bool,
}

impl Priced {
    fn of(class: &Classification) -> Option<Self> {
        let model = class.model.clone()?;
        class.meter.counts_tokens().then(|| Self {
            service: class.service.to_string(),
            model,
            meter: class.meter,
            tier: class.tier,
            routing: class.routing,
            long_context: class.long_context,
            custom_model: class.custom_model,
        })
    }
}

impl Window<'_> {
    fn used(&self) -> impl Iterator<Item = &DailyFact> {
        self.facts.iter().copied().filter(|fact| is_use(fact))
    }

    /// Sums of what is priced alike.
    fn by_price(&self) -> BTreeMap<Priced, Sum> {
        let mut sums: BTreeMap<Priced, Sum> = BTreeMap::new();
        for fact in self.used() {
            if let Some(priced) = Priced::of(&fact.class) {
                sums.entry(priced).or_default().add(fact);
            }
        }
        sums
    }

    /// An amount of the window as one of thirty days, to the cent (half to even).
    fn monthly(&self, amount: Decimal) -> Decimal {
        let days = Decimal::from((self.to - self.from).num_days());
        (amount * Decimal::from(30)).checked_div(days).unwrap_or_default().round_dp(2)
    }

    fn evidence<const F: usize, const G: usize>(
        &self,
        filter: [(&str, String); F],
        figures: [(&str, Decimal); G],
        assumption: Option<&str>,
    ) -> Evidence {
        Evidence {
            from: self.from,
            to: self.to,
            filter: filter.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            figures: figures
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.round_dp(10).normalize()))
                .collect(),
            who: Vec::new(),
            assumption: assumption.map(str::to_owned),
        }
    }

    fn recommend(
        &self,
        kind: Kind,
        subject: String,
        (saving, cost): (Decimal, Decimal),
        confidence: Confidence,
        evidence: Evidence,
    ) -> Recommendation {
        Recommendation {
            kind,
            subject,
            currency: self.currency,
            monthly_saving: self.monthly(saving),
            monthly_cost: self.monthly(cost),
            confidence,
            evidence,
        }
    }
}

/// Who used it: the principal, or the account where the bill names none.
fn who(fact: &DailyFact) -> (&'static str, String) {
    if fact.principal.is_empty() {
        ("usage_account", fact.usage_account.to_string())
    } else {
        ("principal", fact.principal.to_string())
    }
}
