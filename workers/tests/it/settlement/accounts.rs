//! A gateway with credentials of two accounts in one region: no call says whose it is, and each gets what its own account
//! was billed.

use chrono::{DateTime, Days, TimeDelta, Utc};
use costlens_domain::ConnectionId;
use costlens_domain::bill::{DailyFact, Measure};
use costlens_domain::imports::vendors::BEDROCK;
use costlens_domain::request::RequestFact;
use costlens_domain::settlement::{ResidualCode, ResidualSide};
use costlens_store::NewConnection;
use costlens_store::testing::unlike_bytes;

use super::{Customer, MODEL, amount, line, october, of_october, report};
use crate::Office;
use crate::account::Account;
use crate::outside::Outside;
use crate::upkeep::now;

/// A connection to Bedrock by another credential.
async fn connection(office: &Office, account: &Account, name: &str) -> ConnectionId {
    let mut tx = office.parts.store.tenant(account.tenant).await.unwrap();
    let id = ConnectionId::new(now(), unlike_bytes());
    tx.create_connection(&NewConnection {
        id,
        provider: "openai_compatible".to_owned(),
        name: name.to_owned(),
        base_url: Some("https://bedrock-runtime.us-east-1.amazonaws.com/openai/v1".to_owned()),
        sealed_secret: None,
        models: vec![format!("{name}-model")],
        created_at: now(),
    })
    .await
    .unwrap();
    tx.commit().await.unwrap();
    id
}

#[tokio::test]
async fn calls_by_two_accounts_in_one_region_each_cost_what_their_own_was_billed() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, now()).await;
    let account = Account::open(&office, &outside, "Two accounts").await;
    let (plain, flex) =
        (connection(&office, &account, "plain").await, connection(&office, &account, "flex").await);
    let mut facts: Vec<DailyFact> = Vec::new();
    let mut calls: Vec<RequestFact> = Vec::new();
    for day in 1..=4 {
        let date = october() + Days::new(day);
        let at: DateTime<Utc> = date.and_hms_opt(9, 0, 0).unwrap().and_utc();
        for (connection, count) in [(plain, 3), (flex, 2)] {
            for minute in 0..count {
                calls.push(RequestFact {
                    connection_id: Some(connection),
                    provider: BEDROCK.to_owned(),
                    ..account.call(at + TimeDelta::minutes(minute), MODEL, "0.00112")
                });
            }
        }
        // The second account was served flex, at half the price; no call knows of that.
        for (usage_account, tail, calls, prices) in [
            ("111122223333", "", 3, ["0.0024", "0.00096"]),
            ("444455556666", "-flex", 2, ["0.0008", "0.00032"]),
        ] {
            let gateway = format!("arn:aws:sts::{usage_account}:assumed-role/gateway/costlens");
            for (kind, tokens, cost) in
                [("input", 1_000 * calls, prices[0]), ("output", 100 * calls, prices[1])]
            {
                let usage_type = format!("USE1-NovaPro-{kind}-tokens{tail}");
                facts.push(DailyFact {
                    day: date,
                    usage_account: usage_account.into(),
                    ..line(&gateway, &usage_type, "Usage", tokens, cost)
                });
            }
        }
    }
    account.spend(&office, &calls).await;
    let customer = Customer { office: &office, account: &account, calls };
    customer.bill(&report(facts), 0).await;
    customer.is_settled().await;

    let head = customer.settlement(Measure::Unblended).await;
    assert_eq!((head.settled, head.unknown), (amount("0.01792"), amount("0")), "{head:?}");
    let tier = customer.residual(Measure::Unblended, ResidualCode::Tier, ResidualSide::Calls).await;
    assert_eq!(tier, amount("-0.00448"));
    for call in &customer.calls {
        let cost = customer.cost(call.id, Measure::Unblended).await.unwrap();
        let own = if call.connection_id == Some(flex) { "0.00056" } else { "0.00112" };
        assert_eq!(cost, amount(own), "{call:?}");
    }
    let mut tx = office.parts.store.tenant(account.tenant).await.unwrap();
    let coverage = tx.settlement_coverage(of_october(Measure::Unblended), 10).await.unwrap();
    assert!(coverage.iter().all(|one| one.covered_tokens == one.billed_tokens), "{coverage:?}");
    assert_eq!(coverage.len(), 2);
}
