//! A tenant of ninety days in which seven things happen: each is found, and nothing else is.

use std::collections::BTreeSet;

use chrono::{Days, NaiveDate, NaiveTime, TimeDelta};
use costlens_domain::charging::charged_at;
use costlens_domain::export::HourlySpend;
use costlens_insight::anomalies::{self, Cause, DayRule, Scope};
use costlens_insight::events::{self, Kind};
use costlens_insight::forecast::{self, Crossing};
use costlens_insight::recommend;
use costlens_insight::stories::{Story, Tenant};

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// What is found, each as the story that it tells; what tells none is an error.
fn found(tenant: &Tenant) -> (BTreeSet<usize>, Vec<String>) {
    let mut told = BTreeSet::new();
    let mut strange = Vec::new();
    let mut note = |what: String, of: &dyn Fn(&Story) -> bool| match tenant.stories.iter().position(of) {
        Some(story) => {
            told.insert(story);
        }
        None => strange.push(what),
    };
    let begin = tenant.start.and_time(NaiveTime::MIN).and_utc();
    let end = tenant.end.and_time(NaiveTime::MIN).and_utc();
    for one in anomalies::calls::find(&tenant.calls, begin, end) {
        note(format!("{one:#?}"), &|story| {
            matches!(story, Story::Spike { key, hour } if one.key == Some(*key) && one.hour == *hour)
                && one.explanation.parts[0].cause == Cause::Volume
        });
    }
    let near = |one: NaiveDate, other: NaiveDate| one >= other && one <= other + Days::new(7);
    for one in anomalies::calls::levels(&tenant.calls, tenant.end) {
        note(format!("level of calls {one:#?}"), &|story| match story {
            Story::CacheTurnedOn { key, day } => {
                near(one.day, *day) && one.scope == Scope::Key(key.to_string())
            }
            Story::PriceDrop { day, .. } => {
                near(one.day, *day) && one.explanation.parts[0].cause == Cause::Price
            }
            _ => false,
        });
    }
    let facts = tenant.facts();
    for one in anomalies::bill::find(&facts, &DayRule::default(), None) {
        note(format!("of the bill {one:#?}"), &|story| match story {
            Story::PriceDrop { day, .. } => {
                near(one.day, *day) && one.explanation.parts[0].cause == Cause::Price
            }
            Story::IdleEndpoint { day, .. } => {
                near(one.day, *day) && one.scope == Scope::Category("sagemaker/inference".to_owned())
            }
            _ => false,
        });
    }
    for event in events::find(&facts, &tenant.calls, tenant.end, None) {
        note(format!("{event:#?}"), &|story| match (story, event.kind) {
            (Story::PriceDrop { model, day }, Kind::PriceChanged) => {
                event.subject == *model && event.day == *day
            }
            (Story::IdleEndpoint { day, .. }, Kind::FirstEndpoint) => event.day == *day,
            (Story::ShadowUse { principal, day }, Kind::ShadowUse) => {
                event.subject == *principal && event.day == *day
            }
            _ => false,
        });
    }
    for event in events::of_calls(&tenant.calls, tenant.end) {
        note(format!("{event:#?}"), &|story| {
            matches!(story, Story::CacheTurnedOn { key, day }
                if event.kind == Kind::CacheTurnedOn && event.subject == key.to_string() && event.day == *day)
        });
    }
    for pair in tenant.deliveries.windows(2).filter(|pair| pair[0].month == pair[1].month) {
        for event in events::restated(&pair[0].facts, &pair[1].facts) {
            note(
                format!("{event:#?}"),
                &|story| matches!(story, Story::MonthRestated { month, by } if event.day == *month && event.amount == *by),
            );
        }
    }
    let mut idle = 0;
    for one in recommend::find(&facts, &tenant.calls, tenant.end) {
        note(format!("{one:#?}"), &|story| {
            matches!(story, Story::IdleEndpoint { account, instance, .. }
                if one.kind == recommend::Kind::IdleEndpoint
                    && one.evidence.filter["usage_account"] == *account
                    && one.evidence.filter["instance_type"] == *instance)
        });
        idle += 1;
    }
    assert!(idle <= 1, "{idle} recommendations");
    let costs = forecast::costs_of_calls(&tenant.calls, tenant.end).unwrap();
    let forecast = forecast::forecast(&costs).unwrap();
    let amount = tenant.monthly_budget.decimal();
    let crossing = forecast::crossing(amount, &forecast.month);
    if forecast.month.so_far < amount && crossing >= Crossing::Likely {
        note("budget".to_owned(), &|story| *story == Story::BudgetAboutToCross);
    }
    (told, strange)
}

#[test]
fn exactly_the_planted_stories_are_found() {
    for seed in 1..=12 {
        let start = day("2026-01-05") + TimeDelta::days(i64::try_from(seed).unwrap() * 23);
        let tenant = Tenant::new(seed, start);
        let (told, strange) = found(&tenant);
        assert!(strange.is_empty(), "seed {seed} from {start}: {}", strange.join("\n"));
        let missed: Vec<&Story> =
            (0..).zip(&tenant.stories).filter(|(at, _)| !told.contains(at)).map(|(_, story)| story).collect();
        assert!(missed.is_empty(), "seed {seed} from {start} missed {missed:#?}");
    }
}

#[test]
fn the_stories_name_bedrock_as_the_proxy_records_it() {
    let recorded = charged_at("https://bedrock-runtime.us-east-1.amazonaws.com/openai/v1").unwrap().provider;
    let tenant = Tenant::new(1, day("2026-01-28"));
    let bedrocks = tenant.calls.iter().filter(|row| Some(row.provider.as_str()) == recorded);
    assert!(bedrocks.count() > 0, "no call of {recorded:?}");
    let facts = tenant.facts();
    let shadow = |calls: &[HourlySpend]| {
        let events = events::find(&facts, calls, tenant.end, None);
        events.iter().filter(|event| event.kind == Kind::ShadowUse).count()
    };
    assert_eq!(shadow(&tenant.calls), 1);
    // Calls under another name are no use of Bedrock, and nobody can be told to go around them.
    let mut others = tenant.calls.clone();
    for row in &mut others {
        row.provider = "openai_compatible".to_owned();
    }
    assert_eq!(shadow(&others), 0);
}

#[test]
fn the_same_seed_makes_the_same_tenant_and_another_makes_another() {
    let (one, same) = (Tenant::new(7, day("2026-03-02")), Tenant::new(7, day("2026-03-02")));
    assert_eq!(one.calls, same.calls);
    assert_eq!(one.deliveries, same.deliveries);
    assert_ne!(one.calls, Tenant::new(8, day("2026-03-02")).calls);
}
