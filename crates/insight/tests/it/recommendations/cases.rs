//! Of each kind the smallest bill that proves it, and what is nearly the same.

pub(super) mod capacity;

use std::sync::Arc;

use costlens_domain::Currency;
use costlens_domain::bill::DailyFact;
use costlens_insight::recommend::{Confidence, Evidence, Kind, Recommendation};

use super::{Month, amount, by, calls, day, key, tokens};

/// What proves a recommendation, the recommendation, and what does not prove it.
pub(super) struct Case {
    pub(super) proof: Month,
    pub(super) kind: Kind,
    subject: &'static str,
    /// Whom it is about, where that is several.
    who: &'static [&'static str],
    /// What would be saved in thirty days, and what it costs in them.
    amounts: (&'static str, &'static str),
    confidence: Confidence,
    filter: &'static [(&'static str, &'static str)],
    figures: &'static [(&'static str, &'static str)],
    assumption: Option<&'static str>,
    pub(super) near_misses: Vec<(&'static str, Month)>,
}

impl Case {
    pub(super) fn expected(&self) -> Recommendation {
        // A text that only a run knows.
        let told = |text: &str| text.replace("KEY", &key().to_string());
        Recommendation {
            kind: self.kind,
            subject: told(self.subject),
            currency: Currency::USD,
            monthly_saving: amount(self.amounts.0),
            monthly_cost: amount(self.amounts.1),
            confidence: self.confidence,
            evidence: Evidence {
                from: day(0),
                to: day(self.proof.days),
                filter: self.filter.iter().map(|(name, value)| ((*name).to_owned(), told(value))).collect(),
                figures: self
                    .figures
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), amount(value)))
                    .collect(),
                who: self.who.iter().map(|name| (*name).to_owned()).collect(),
                assumption: self.assumption.map(str::to_owned),
            },
        }
    }
}

const INPUT: &str = "USE1-NovaPro-input-tokens";
const DEAR_OUTPUT: &str = "USE1-NovaPremier-output-tokens";
const BATCH: &str = "USE1-NovaPro-input-tokens-batch";
const READ: &str = "USE1-NovaPro-cache-read-input-token-count";
const WRITE: &str = "USE1-NovaPro-cache-write-input-token-count";
const WRITE_1H: &str = "USE1-NovaPro-cache-write-input-token-count-1h";

/// Eighty cents for a million tokens, twenty of those from a cache: who reads three in five from it shows what others could.
fn use_cache() -> Case {
    let of = |read: &str, cost: &str| {
        let facts = vec![
            by("cached", tokens(INPUT, "40000", "32")),
            by("cached", tokens(READ, read, cost)),
            by("plain", tokens(INPUT, "100000", "80")),
        ];
        Month::of(10, facts)
    };
    Case {
        proof: of("60000", "12"),
        kind: Kind::UseCache,
        subject: "nova-pro by plain",
        who: &[],
        amounts: ("54.00", "240.00"),
        confidence: Confidence::Low,
        filter: &[
            ("principal", "plain"),
            ("model", "nova-pro"),
            ("tier", "standard"),
            ("routing", "regional"),
            ("long_context", "false"),
        ],
        figures: &[("fresh_tokens", "100000000"), ("cached_share_elsewhere", "0.6")],
        assumption: Some("prompts repeat half as often as where the same model is cached most"),
        near_misses: vec![
            ("less than three in ten are read from a cache elsewhere", of("17142", "3.4284")),
            (
                "batches are another thing to cache",
                Month::of(
                    10,
                    vec![
                        by("cached", tokens(INPUT, "40000", "32")),
                        by("cached", tokens(READ, "60000", "12")),
                        by("plain", tokens(BATCH, "100000", "40")),
                    ],
                ),
            ),
        ],
    }
}

/// The same cost of tokens that the bill does not count.
pub(super) fn unknown(fact: DailyFact) -> DailyFact {
    DailyFact { tokens: None, ..fact }
}

/// Writing costs twenty dollars more than plain input, reading saves six.
fn cache_writes_unread() -> Case {
    let of = |read: &str, cost: &str| {
        Month::of(
            10,
            vec![tokens(INPUT, "100000", "80"), tokens(WRITE, "100000", "100"), tokens(READ, read, cost)],
        )
    };
    let of_unknown = || {
        let mut month = of("10000", "2");
        month.facts.push(unknown(tokens(READ, "90000", "18")));
        month
    };
    // A cache that pays, and something else.
    let with = |more: DailyFact| {
        let mut month = of("40000", "8");
        month.facts.push(more);
        month
    };
    Case {
        proof: of("10000", "2"),
        kind: Kind::CacheWritesUnread,
        subject: "nova-pro by 2",
        who: &[],
        amounts: ("42.00", "306.00"),
        confidence: Confidence::High,
        filter: &[
            ("usage_account", "2"),
            ("model", "nova-pro"),
            ("tier", "standard"),
            ("routing", "regional"),
            ("long_context", "false"),
        ],
        figures: &[
            ("written_tokens", "100000000"),
            ("read_tokens", "10000000"),
            ("write_premium", "20"),
            ("read_saving", "6"),
        ],
        assumption: None,
        near_misses: vec![
            ("$9.60 in thirty days are not worth a word", of("28000", "5.6")),
            ("reads save more than writes cost", of("40000", "8")),
            ("batches at half the price make no cache dearer", with(tokens(BATCH, "1000000", "400"))),
            ("nobody knows how much was read", of_unknown()),
        ],
    }
}

/// An hour's cache at twice the price of input that is read one and a half times.
fn shorter_cache() -> Case {
    let of = |read: &str, cost: &str| {
        Month::of(
            10,
            vec![tokens(INPUT, "100000", "80"), tokens(WRITE_1H, "100000", "160"), tokens(READ, read, cost)],
        )
    };
    Case {
        proof: of("150000", "30"),
        kind: Kind::ShorterCache,
        subject: "nova-pro by 2",
        who: &[],
        amounts: ("180.00", "480.00"),
        confidence: Confidence::Low,
        filter: &[
            ("usage_account", "2"),
            ("model", "nova-pro"),
            ("meter", "cache_write_1h"),
            ("tier", "standard"),
            ("routing", "regional"),
            ("long_context", "false"),
        ],
        figures: &[("written_1h_tokens", "100000000"), ("read_tokens", "150000000")],
        assumption: Some("what is read again is read within five minutes"),
        near_misses: vec![
            ("it is read more than twice", of("200001", "40.0002")),
            ("it does not even earn its writes, which is another kind", of("133000", "26.6")),
        ],
    }
}

pub(super) const CLAUDE: &str = "USE1-Claude4Sonnet-input-tokens";
pub(super) const CLAUDE_GLOBAL: &str = "USE1-Claude4Sonnet-input-tokens-cross-region-global";

/// Both prices stand on the bill: $3.30 and $3 for a million.
pub(super) fn global_routing() -> Case {
    let of = |cost: &str| {
        Month::of(10, vec![tokens(CLAUDE, "100000", "330"), tokens(CLAUDE_GLOBAL, "10000", cost)])
    };
    let nova = Month::of(10, vec![tokens(INPUT, "100000", "80")]);
    let batch = Month::of(10, vec![tokens("USE1-Claude4Sonnet-input-tokens-batch", "100000", "165")]);
    Case {
        proof: of("30"),
        kind: Kind::GlobalRouting,
        subject: "claude-sonnet-4",
        who: &[],
        amounts: ("90.00", "990.00"),
        confidence: Confidence::High,
        filter: &[("model", "claude-sonnet-4"), ("routing", "regional")],
        figures: &[("tokens", "100000000"), ("cost", "330"), ("cost_global", "300")],
        assumption: Some("data may be processed in any region"),
        near_misses: vec![
            ("the global price is the same", of("33")),
            ("the vendor has no global profiles", nova),
            ("batches are another price", batch),
        ],
    }
}

/// The regional price alone, of a model whose global one is listed: a region costs a tenth more.
fn global_routing_unseen() -> Case {
    let of = |usage_type: &str| Month::of(10, vec![tokens(usage_type, "100000", "330")]);
    let mut vendors_own = of("USE1-Claude4.6Sonnet-input-tokens");
    for fact in &mut vendors_own.facts {
        Arc::make_mut(&mut fact.class).service = "anthropic".into();
    }
    Case {
        proof: of("USE1-Claude4.6Sonnet-input-tokens"),
        subject: "claude-sonnet-4-6",
        who: &[],
        amounts: ("90.00", "990.00"),
        confidence: Confidence::Medium,
        filter: &[("model", "claude-sonnet-4-6"), ("routing", "regional")],
        figures: &[("tokens", "100000000"), ("cost", "330"), ("cost_global", "300")],
        assumption: Some("data may be processed in any region, and a region costs a tenth more"),
        near_misses: vec![
            ("it is global already", of("USE1-Claude4.6Sonnet-input-tokens-cross-region-global")),
            ("it has no cheaper global profile", of(CLAUDE)),
            ("nor has an older one", of("USE1-Claude3.7Sonnet-input-tokens")),
            ("its maker sells it by no region", vendors_own),
        ],
        ..global_routing()
    }
}

/// A key that calls at two o'clock on ten days, a hundred times each.
pub(super) fn use_batch() -> Case {
    let of = |days: u64, requests: u64, model: &str| Month {
        days: 10,
        facts: vec![tokens(INPUT, "1000", "0.8")],
        calls: (0..days).map(|n| calls(n, "openai", model, requests, Some("2"))).collect(),
    };
    let mut awake = of(10, 100, "gpt-4.1");
    for hour in 3..7 {
        let mut more = calls(0, "openai", "gpt-4.1", 1, Some("0"));
        more.hour += chrono::TimeDelta::hours(hour);
        awake.calls.push(more);
    }
    Case {
        proof: of(10, 100, "gpt-4.1"),
        kind: Kind::UseBatch,
        subject: "gpt-4.1 by KEY",
        who: &[],
        amounts: ("30.00", "60.00"),
        confidence: Confidence::Low,
        filter: &[("api_key_id", "KEY"), ("model", "gpt-4.1"), ("hours_utc", "2")],
        figures: &[("requests", "1000"), ("days", "10"), ("cost", "20")],
        assumption: Some("nobody waits for these answers, and the vendor's batch costs half"),
        near_misses: vec![
            ("nine days", of(9, 120, "gpt-4.1")),
            ("fewer than a thousand calls", of(10, 99, "gpt-4.1")),
            ("five hours of the day", awake),
            ("a vendor without batches", of(10, 100, "grok-4")),
        ],
    }
}

/// $1.75 for a million where the standard tier takes $1.
fn leave_priority() -> Case {
    let of = |standard: &str| {
        let priority = tokens("USE1-gpt-oss-120b-input-tokens-priority", "100000", "175");
        Month::of(10, vec![priority, tokens(standard, "10000", "10")])
    };
    Case {
        proof: of("USE1-gpt-oss-120b-input-tokens"),
        kind: Kind::LeavePriority,
        subject: "gpt-oss-120b",
        who: &[],
        amounts: ("225.00", "525.00"),
        confidence: Confidence::Medium,
        filter: &[("model", "gpt-oss-120b"), ("tier", "priority")],
        figures: &[("tokens", "100000000"), ("cost", "175"), ("cost_standard", "100")],
        assumption: Some("these calls can wait for others"),
        near_misses: vec![
            ("the standard price of output says nothing of input", of("USE1-gpt-oss-120b-output-tokens")),
            ("another model's price says nothing", of("USE1-gpt-oss-20b-input-tokens")),
        ],
    }
}

/// Three dollars and fifteen for a million against eighty cents and 3.20, of which thirteen are needed for ten.
fn cheaper_model() -> Case {
    let dear = || {
        vec![tokens("USE1-NovaPremier-input-tokens", "100000", "300"), tokens(DEAR_OUTPUT, "10000", "150")]
    };
    let of = |mut facts: Vec<DailyFact>| {
        facts.extend(dear());
        Month::of(10, facts)
    };
    let output = || tokens("USE1-NovaPro-output-tokens", "100", "0.32");
    let lite = || {
        vec![
            tokens("USE1-NovaLite-input-tokens", "1000", "0.06"),
            tokens("USE1-NovaLite-output-tokens", "1000", "0.24"),
        ]
    };
    Case {
        // That Lite is cheaper still is not the next step.
        proof: of([vec![tokens(INPUT, "100", "0.08"), output()], lite()].concat()),
        kind: Kind::CheaperModel,
        subject: "nova-pro in place of nova-premier",
        who: &[],
        amounts: ("913.20", "1350.00"),
        confidence: Confidence::Low,
        filter: &[
            ("service", "bedrock"),
            ("model", "nova-premier"),
            ("tier", "standard"),
            ("custom_model", "false"),
        ],
        figures: &[("tokens", "110000000"), ("cost", "450"), ("cost_cheaper", "145.6")],
        assumption: Some("the cheaper model does as well, and counts three tenths more tokens"),
        near_misses: vec![
            ("what the cheaper one answers for is not on the bill", of(vec![tokens(INPUT, "1000", "0.8")])),
            (
                "the other is a batch's price",
                of(vec![
                    tokens(BATCH, "1000", "0.4"),
                    tokens("USE1-NovaPro-output-tokens-batch", "1000", "1.6"),
                ]),
            ),
            (
                "it costs as much once its tokens are counted",
                of(vec![tokens(INPUT, "1000", "2.4"), tokens("USE1-NovaPro-output-tokens", "1000", "12")]),
            ),
            (
                "it speaks",
                of(vec![
                    tokens("USE1-NovaSonic-input-tokens", "1000", "0.06"),
                    tokens("USE1-NovaSonic-output-tokens", "1000", "0.24"),
                ]),
            ),
            (
                "it was free in a preview",
                of(vec![tokens(INPUT, "1000", "0"), tokens("USE1-NovaPro-output-tokens", "1000", "0")]),
            ),
            (
                "another vendor's is another model",
                of(vec![
                    tokens("USE1-Llama3-3-70B-input-tokens", "1000", "0.72"),
                    tokens("USE1-Llama3-3-70B-output-tokens", "1000", "0.72"),
                ]),
            ),
        ],
    }
}

pub(super) fn all() -> Vec<Case> {
    vec![
        use_cache(),
        cache_writes_unread(),
        shorter_cache(),
        global_routing(),
        global_routing_unseen(),
        use_batch(),
        leave_priority(),
        cheaper_model(),
        capacity::provisioned_throughput_unused(),
        capacity::idle_endpoint(),
        capacity::idle_agent_memory(),
        capacity::idle_seats(),
        capacity::always_on_notebook(),
        capacity::commit_to_gpu(),
        capacity::old_gpu_generation(),
        capacity::unused_commitment(),
    ]
}
