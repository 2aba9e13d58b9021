//! Of what is paid by the hour, the month or ahead.

use std::sync::Arc;

use costlens_domain::bill::DailyFact;
use costlens_domain::classify::LineKey;
use costlens_domain::export::HourlySpend;
use costlens_insight::recommend::{Confidence, Kind};

use super::super::{Month, amount, by, calls, fact, hours, tokens};
use super::{Case, INPUT};
const THROUGHPUT: &str = "USE1-NovaPro-ProvisionedThroughput-NoCommit-ModelUnits";
const NOVA: &str = "amazon.nova-pro-v1:0";

/// A day of one model unit at $20 an hour, for calls that cost $30 on demand.
pub(super) fn provisioned_throughput_unused() -> Case {
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
pub(super) fn idle_endpoint() -> Case {
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
pub(super) fn always_on_notebook() -> Case {
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
pub(super) fn commit_to_gpu() -> Case {
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
pub(super) fn old_gpu_generation() -> Case {
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
pub(in crate::recommendations) fn unused_commitment() -> Case {
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

/// A hundred and twenty gigabytes for each hour of a processor, at a cent a gigabyte and hour: sixty of them wait.
pub(super) fn idle_agent_memory() -> Case {
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
pub(super) fn idle_seats() -> Case {
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
