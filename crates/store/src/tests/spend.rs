//! Sums from the rollup: exact, told apart, and never a zero for what is unknown.

use costlens_domain::request::{CostBasis, Outcome, RequestFact};
use costlens_domain::{Tokens, Usd};

use super::support::{actor, at, fact, ship, unpriced};
use crate::testing::TestDb;
use crate::{SpendBucket, SpendFilter, SpendGroup};

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

fn everything() -> SpendFilter {
    SpendFilter { from: at(-100_000), to: at(500_000), api_key_id: None, provider: None, model: None }
}

#[tokio::test]
async fn sums_are_exact_and_unknown_is_not_zero() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let estimated = RequestFact {
        cost_basis: CostBasis::Estimated,
        outcome: Outcome::ClientGone,
        provider: "anthropic".to_owned(),
        model_served: None,
        model_requested: "claude".to_owned(),
        ..fact(&acme, at(90_000))
    };
    let local = RequestFact { provider: "local".to_owned(), ..unpriced(fact(&acme, at(0))) };
    ship(db.store(), &[fact(&acme, at(0)), fact(&acme, at(1)), estimated, local]).await;
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();

    let totals = conn.spend_totals(&everything()).await.unwrap();
    assert_eq!((totals.requests, totals.exact_requests, totals.estimated_requests), (4, 2, 1));
    assert_eq!((totals.unpriced_requests, totals.failed_requests), (1, 1));
    assert_eq!(totals.usage.fresh_input, Tokens(4_000));
    assert_eq!(totals.usage.reasoning, Tokens(16));
    assert_eq!(totals.cost, Some(usd("0.0030000000000003")));
    assert_eq!(totals.exact_cost, Some(usd("0.0020000000000002")));
    assert_eq!(totals.estimated_cost, Some(usd("0.0010000000000001")));

    let slices = conn.spend_breakdown(&everything(), SpendGroup::Provider, 10).await.unwrap();
    let shown: Vec<_> = slices.iter().map(|slice| (slice.group.as_str(), slice.totals.cost)).collect();
    let expected = [
        ("openai", Some(usd("0.0020000000000002"))),
        ("anthropic", Some(usd("0.0010000000000001"))),
        ("local", None),
    ];
    assert_eq!(shown, expected);
    assert_eq!(conn.spend_breakdown(&everything(), SpendGroup::Model, 1).await.unwrap().len(), 1);
    let by_key = conn.spend_breakdown(&everything(), SpendGroup::Key, 10).await.unwrap();
    assert_eq!(by_key.iter().map(|slice| slice.group.clone()).collect::<Vec<_>>(), [acme.key.id.to_string()]);
}

#[tokio::test]
async fn a_series_has_a_point_for_each_bucket_with_calls() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let facts: Vec<_> = [0, 10, 3_600, 90_000].into_iter().map(|second| fact(&acme, at(second))).collect();
    ship(db.store(), &facts).await;
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    let hours = conn.spend_series(&everything(), SpendBucket::Hour, None).await.unwrap();
    let shown: Vec<_> = hours.iter().map(|point| (point.at.to_rfc3339(), point.totals.requests)).collect();
    let expected = [
        ("2025-11-22T08:00:00+00:00".to_owned(), 2),
        ("2025-11-22T09:00:00+00:00".to_owned(), 1),
        ("2025-11-23T09:00:00+00:00".to_owned(), 1),
    ];
    assert_eq!(shown, expected);
    let days = conn.spend_series(&everything(), SpendBucket::Day, Some(SpendGroup::Model)).await.unwrap();
    let shown: Vec<_> = days.iter().map(|point| (point.at.to_rfc3339(), point.totals.requests)).collect();
    let expected = [("2025-11-22T00:00:00+00:00".to_owned(), 3), ("2025-11-23T00:00:00+00:00".to_owned(), 1)];
    assert_eq!(shown, expected);
    assert_eq!(days[0].group.as_deref(), Some("gpt-4o-2024-08-06"));
    let model = |name: &str| RequestFact { model_served: Some(name.to_owned()), ..fact(&acme, at(0)) };
    ship(db.store(), &[model("a"), model("a"), model("a"), model("a"), model("b"), model("c"), model("c")])
        .await;
    let of =
        conn.spend_series_of_dearest(&everything(), SpendBucket::Day, SpendGroup::Model, 2).await.unwrap();
    let shown: Vec<_> = of.iter().map(|point| (point.group.as_deref(), point.totals.requests)).collect();
    // Two groups by name; the rest is one and nothing of it is lost.
    let gpt = Some("gpt-4o-2024-08-06");
    assert_eq!(shown, [(Some("a"), 4), (gpt, 3), (None, 3), (gpt, 1)]);
    let none = SpendFilter { provider: Some("nobody".to_owned()), ..everything() };
    assert_eq!(conn.spend_series(&none, SpendBucket::Day, None).await.unwrap(), []);
    let totals = conn.spend_totals(&none).await.unwrap();
    assert_eq!((totals.requests, totals.cost), (0, None));
}

/// Midnight in Kolkata is half past an hour: that hour is the day's that ended.
#[tokio::test]
async fn a_budget_counts_no_hour_that_began_before_its_period() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let midnight: chrono::DateTime<chrono::Utc> = "2025-11-22T18:30:00Z".parse().unwrap();
    let minutes = |minutes| midnight + chrono::Duration::minutes(minutes);
    // Two in the hour that midnight lies in, one after it.
    ship(db.store(), &[fact(&acme, minutes(-20)), fact(&acme, minutes(10)), fact(&acme, minutes(40))]).await;
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    let span = |from, to| SpendFilter { from, to, ..everything() };
    let today = conn.budget_spend(&span(midnight, minutes(600)), false).await.unwrap();
    assert_eq!((today.requests, today.spent), (1, Some(usd("0.0010000000000001"))));
    let yesterday = conn.budget_spend(&span(minutes(-1_440), midnight), false).await.unwrap();
    assert_eq!((yesterday.requests, yesterday.spent), (2, Some(usd("0.0020000000000002"))));
}
