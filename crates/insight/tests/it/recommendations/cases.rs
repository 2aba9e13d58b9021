//! Of each kind the smallest bill that proves it, and what is nearly the same.

use std::sync::Arc;

use costlens_domain::Currency;
use costlens_domain::bill::DailyFact;
use costlens_domain::classify::LineKey;
use costlens_domain::export::HourlySpend;
use costlens_insight::recommend::{Confidence, Evidence, Kind, Recommendation};

use super::{Month, amount, by, calls, day, fact, hours, key, tokens};

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

const THROUGHPUT: &str = "USE1-NovaPro-ProvisionedThroughput-NoCommit-ModelUnits";
const NOVA: &str = "amazon.nova-pro-v1:0";

/// A day of one model unit at $20 an hour, for calls that cost $30 on demand.
fn provisioned_throughput_unused() -> Case {
    let of = |calls: Vec<HourlySpend>| Month {
        days: 10,
        facts: vec![hours(0, "AmazonBedrock", THROUGHPUT, "24", "480")],
        calls,
    };
    let carried = |model: &str, cost: Option<&str>| calls(0, "bedrock", model, 10, cost);
    let used = || carried(NOVA, Some("30"));
    let arn = "arn:aws:bedrock:us-east-1:111122223333:provisioned-model/a1b2c3d4e5f6";
    let application = "arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/a1b2c3d4e5f6";
    let profile = "arn:aws:bedrock:us-east-1:111122223333:inference-profile/us.amazon.nova-pro-v1:0";
    let mut elsewhere = of(vec![used()]);
    for fact in &mut elsewhere.facts {
        Arc::make_mut(&mut fact.class).service = "azure_openai".into();
    }
    Case {
        proof: of(vec![
            carried(profile, Some("30")),
            carried("anthropic.claude-sonnet-4-20250514-v1:0", None),
        ]),
        kind: Kind::ProvisionedThroughputUnused,
        subject: "nova-pro",
        who: &[],
        amounts: ("1350.00", "1440.00"),
        confidence: Confidence::Medium,
        filter: &[("model", "nova-pro"), ("category", "provisioned")],
        figures: &[("units", "24"), ("cost", "480"), ("cost_on_demand", "30")],
        assumption: Some("all calls of this model go through the proxy"),
        near_misses: vec![
            ("the calls would cost more on demand", of(vec![carried(NOVA, Some("480"))])),
            (
                "the proxy may not have carried the first days' calls",
                of(vec![calls(4, "bedrock", NOVA, 10, Some("30"))]),
            ),
            ("nothing went to Bedrock", of(vec![calls(0, "openai", "gpt-4.1", 10, Some("30"))])),
            ("calls of throughput tell no model", of(vec![used(), carried(arn, None)])),
            ("nor do those of an application's profile", of(vec![used(), carried(application, None)])),
            ("calls of the model have no price", of(vec![used(), carried(NOVA, None)])),
            ("calls to Bedrock tell nothing of another cloud", elsewhere),
        ],
    }
}

const ENDPOINT: &str = "USE1-Host:ml.g5.xlarge";

/// An endpoint that has run for the last seven days of ten, at $30 a day.
fn idle_endpoint() -> Case {
    let of = |first: u64, more: Option<DailyFact>| {
        let mut facts = vec![tokens(INPUT, "1000", "0.8")];
        facts.extend((first..10).map(|n| hours(n, "AmazonSageMaker", ENDPOINT, "24", "30")));
        facts.extend(more);
        Month::of(10, facts)
    };
    let called = hours(4, "AmazonSageMaker", "USE1-Host:Data-Bytes-Out", "0.001", "0");
    let mut elsewhere = called.clone();
    elsewhere.region = "eu-west-1".into();
    Case {
        proof: of(3, Some(elsewhere)),
        kind: Kind::IdleEndpoint,
        subject: "g5.xlarge in us-east-1 of 2",
        who: &[],
        amounts: ("900.00", "900.00"),
        confidence: Confidence::Medium,
        filter: &[("usage_account", "2"), ("region", "us-east-1"), ("instance_type", "g5.xlarge")],
        figures: &[("days", "7"), ("hours", "168"), ("data_bytes", "0")],
        assumption: None,
        near_misses: vec![
            ("six days", of(4, None)),
            ("a byte went out of an endpoint there", of(3, Some(called))),
        ],
    }
}

/// A notebook of ten days at 70 cents an hour, two Saturdays and a Sunday among them.
fn always_on_notebook() -> Case {
    let of = |usage_type: &str, last: &str| {
        let hours_of = |n: u64| if n == 9 { last } else { "24" };
        let notebook = |n: u64| hours(n, "AmazonSageMaker", usage_type, hours_of(n), "16.8");
        Month::of(10, (0..10).map(notebook).collect())
    };
    Case {
        proof: of("USE1-Notebk:ml.m5.xlarge", "24"),
        kind: Kind::AlwaysOnNotebook,
        subject: "m5.xlarge in us-east-1 of 2",
        who: &[],
        amounts: ("354.00", "504.00"),
        confidence: Confidence::Low,
        filter: &[("usage_account", "2"), ("region", "us-east-1"), ("instance_type", "m5.xlarge")],
        figures: &[("hours", "240"), ("whole_days", "10"), ("cost", "168")],
        assumption: Some(
            "these hours are of notebooks that are never stopped, which are needed fifty hours a week",
        ),
        near_misses: vec![
            ("it was stopped on the last Saturday", of("USE1-Notebk:ml.m5.xlarge", "23")),
            ("training is no notebook", of("USE1-Train:ml.m5.xlarge", "24")),
        ],
    }
}

const NEW_GPU: &str = "USE1-BoxUsage:p5.48xlarge";

/// One instance that ran through fifteen days, at $100 a day.
fn commit_to_gpu() -> Case {
    let of = |days: u64, last: &str| {
        let hours_of = |n: u64| if n + 1 == days { last } else { "24" };
        let instance = |n: u64| hours(n, "AmazonEC2", NEW_GPU, hours_of(n), "100");
        Month::of(days, (0..days).map(instance).collect())
    };
    let mut spot = of(15, "24");
    for fact in &mut spot.facts {
        fact.usage_type = "USE1-SpotUsage:p5.48xlarge".into();
    }
    let old = (0..15).map(|n| hours(n, "AmazonEC2", "USE1-BoxUsage:p3.2xlarge", "24", "100"));
    let old = Month::of(15, old.collect());
    Case {
        proof: of(15, "24"),
        kind: Kind::CommitToGpu,
        subject: "p5.48xlarge in us-east-1 of 2",
        who: &[],
        amounts: ("750.00", "3000.00"),
        confidence: Confidence::Low,
        filter: &[("usage_account", "2"), ("region", "us-east-1"), ("instance_type", "p5.48xlarge")],
        figures: &[("instances", "1"), ("hours", "360"), ("cost", "1500")],
        assumption: Some(
            "as many run by night as by day, and are still needed in a year; a commitment of a year takes a quarter off",
        ),
        near_misses: vec![
            ("thirteen days", of(13, "24")),
            ("an hour of the last day is missing", of(15, "23")),
            ("spot instances cannot be committed to", spot),
            ("an old generation is to be left", old),
        ],
    }
}

/// Ten hours of a V100.
fn old_gpu_generation() -> Case {
    let of =
        |usage_type: &str, cost: &str| Month::of(10, vec![hours(0, "AmazonEC2", usage_type, "10", cost)]);
    let mut covered = of("USE1-BoxUsage:p3.2xlarge", "0");
    for fact in &mut covered.facts {
        (fact.amortised, fact.net_amortised) = (Some(amount("100")), Some(amount("100")));
    }
    let idle = (0..10).map(|n| hours(n, "AmazonSageMaker", "USE1-Host:ml.p3.2xlarge", "24", "92"));
    let idle = Month::of(10, idle.collect());
    Case {
        proof: of("USE1-BoxUsage:p3.2xlarge", "100"),
        kind: Kind::OldGpuGeneration,
        subject: "p3.2xlarge in us-east-1 of 2",
        who: &[],
        amounts: ("60.00", "300.00"),
        confidence: Confidence::Low,
        filter: &[("usage_account", "2"), ("region", "us-east-1"), ("instance_type", "p3.2xlarge")],
        figures: &[("hours", "10"), ("cost", "100")],
        assumption: Some("the next generation does the same for a fifth less"),
        near_misses: vec![
            ("a newer one", of("USE1-BoxUsage:g5.xlarge", "100")),
            ("a fifth of $49 in thirty days is not worth a word", of("USE1-BoxUsage:p3.2xlarge", "16.4")),
            ("a commitment pays for it", covered),
            ("it is an endpoint that is to be deleted", idle),
        ],
    }
}

/// A plan's fee of which $40 covered nothing.
pub(super) fn unused_commitment() -> Case {
    let of = |line_item_type: &str, unused: &str| {
        let key = LineKey { product_code: "AmazonSageMaker", line_item_type, ..LineKey::default() };
        let mut fee = fact(0, &key, "0", "100");
        fee.amortised = Some(amount(unused));
        fee.net_amortised = Some(amount(unused));
        Month::of(10, vec![fee])
    };
    Case {
        proof: of("SavingsPlanRecurringFee", "40"),
        kind: Kind::UnusedCommitment,
        subject: "sagemaker SavingsPlanRecurringFee",
        who: &[],
        amounts: ("120.00", "120.00"),
        confidence: Confidence::High,
        filter: &[("service", "sagemaker"), ("line_item_type", "SavingsPlanRecurringFee")],
        figures: &[("unused", "40")],
        assumption: None,
        near_misses: vec![
            ("all of it covered something", of("SavingsPlanRecurringFee", "0")),
            ("another fee is no commitment", of("Fee", "40")),
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

/// A hundred and twenty gigabytes for each hour of a processor, at a cent a gigabyte and hour: sixty of them wait.
fn idle_agent_memory() -> Case {
    let of = |vcpu: &str, component: &str| {
        let usage = |of: &str| format!("USE1-{component}:Consumption-based:{of}");
        Month::of(
            10,
            vec![
                hours(0, "AmazonBedrockAgentCore", &usage("vCPU"), vcpu, "90"),
                hours(0, "AmazonBedrockAgentCore", &usage("Memory"), "12000", "120"),
            ],
        )
    };
    Case {
        proof: of("100", "Runtime"),
        kind: Kind::IdleAgentMemory,
        subject: "AgentCore Runtime in us-east-1 of 2",
        who: &[],
        amounts: ("90.00", "360.00"),
        confidence: Confidence::Low,
        filter: &[
            ("usage_account", "2"),
            ("region", "us-east-1"),
            ("service", "bedrock_agentcore"),
            ("usage_type", "USE1-Runtime:Consumption-based:Memory"),
        ],
        figures: &[("gb_hours", "12000"), ("vcpu_hours", "100"), ("memory_cost", "120")],
        assumption: Some(
            "half of the memory beyond sixty gigabyte-hours an hour of a processor is of sessions that nobody needs any more",
        ),
        near_misses: vec![("its sessions wait for their model as any do", of("200", "Runtime"))],
    }
}

/// Four people have seats at twenty dollars a month, of which two do something.
fn idle_seats() -> Case {
    let seat = |n: u64, who: &str, cost: &str| {
        let key = LineKey {
            product_code: "Kiro",
            usage_type: "USE1-KiroEnterprise-Pro",
            pricing_unit: "Subscription",
            line_item_type: "FlatRateSubscription",
            ..LineKey::default()
        };
        by(who, fact(n, &key, "1", cost))
    };
    // What a seat includes costs nothing more.
    let credits = |who: &str| by(who, hours(3, "Kiro", "USE1-KiroEnterprise-Credits", "250", "0"));
    let of = |days: u64, seats: Vec<DailyFact>, done: Vec<DailyFact>| Month::of(days, [seats, done].concat());
    let monthly = |who: &str| seat(0, who, "20");
    let four = || ["ada", "bob", "cy", "dee"].map(monthly).to_vec();
    let by_day = |who: &str, days: std::ops::Range<u64>| -> Vec<DailyFact> {
        days.map(|n| seat(n, who, "0.645")).collect()
    };
    Case {
        proof: of(30, four(), vec![credits("ada"), credits("cy")]),
        kind: Kind::IdleSeats,
        subject: "kiro seats of 2",
        who: &["bob", "dee"],
        amounts: ("40.00", "80.00"),
        confidence: Confidence::Low,
        filter: &[("usage_account", "2"), ("service", "kiro"), ("category", "seats")],
        figures: &[("seats", "4"), ("idle_seats", "2"), ("cost_idle", "40")],
        assumption: Some("what these people do is on the bill, as it is for most who have a seat"),
        near_misses: vec![
            ("the bill says of hardly anybody what they do", of(30, four(), vec![credits("ada")])),
            ("everybody does something", of(30, four(), ["ada", "bob", "cy", "dee"].map(credits).to_vec())),
            ("they have had their seats for a week", of(7, four(), vec![credits("ada"), credits("cy")])),
            (
                "the seat was given back",
                of(
                    30,
                    [monthly("ada")].into_iter().chain(by_day("bob", 0..20)).collect(),
                    vec![credits("ada")],
                ),
            ),
            ("nobody knows whose they are", of(30, vec![monthly(""), monthly("ada")], vec![credits("ada")])),
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
        provisioned_throughput_unused(),
        idle_endpoint(),
        idle_agent_memory(),
        idle_seats(),
        always_on_notebook(),
        commit_to_gpu(),
        old_gpu_generation(),
        unused_commitment(),
    ]
}
