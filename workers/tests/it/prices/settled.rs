//! Calls that are settled and get a price afterwards.

use chrono::TimeDelta;
use costlens_domain::bill::Measure;
use costlens_domain::request::{CostBasis, PriceReceipt, RequestFact};
use costlens_domain::settlement::Issuer;
use costlens_domain::{RequestId, Usd};
use costlens_store::testing::unlike_bytes;
use costlens_store::{SettlementKey, SpendFilter};

use super::{bundle, novel, office_of, one, refresh, sums_agree};
use crate::Office;
use crate::account::Account;
use crate::catalogue_server::CatalogueServer;
use crate::outside::Outside;
use crate::settlement::{Customer, MODEL, amount, line, october, report};

async fn spent(office: &Office, account: &Account) -> Option<Usd> {
    let october = SpendFilter {
        from: "2026-10-01T00:00:00Z".parse().unwrap(),
        to: "2026-11-01T00:00:00Z".parse().unwrap(),
        api_key_id: None,
        provider: None,
        model: Some(MODEL.to_owned()),
    };
    let mut tx = office.parts.store.tenant(account.tenant).await.unwrap();
    tx.budget_spend(&october, false).await.unwrap().spent
}

/// The rollup had the price at once and the settlement what it differed by from none, so that a budget had both.
#[tokio::test]
async fn a_price_that_comes_after_the_bill_is_counted_once() {
    let (server, outside) = (CatalogueServer::open().await, Outside::open().await);
    let mut office = office_of(&server).await;
    office.work().await;
    let account = Account::open(&office, &outside, "Acme").await;
    let customer = Customer::of(&office, &account).await;
    // One more of the same, which had no price when it was made.
    let like = &customer.calls[0];
    let at = like.started_at + TimeDelta::minutes(9);
    let unpriced = RequestFact {
        id: RequestId::new(at, unlike_bytes()),
        started_at: at,
        cost_basis: CostBasis::Unpriced,
        cost: None,
        price: PriceReceipt::default(),
        ..like.clone()
    };
    account.spend(&office, &[unpriced]).await;
    let bill = report(vec![
        line("", "USE1-NovaPro-input-tokens", "Usage", 4_000, "0.0032"),
        line("", "USE1-NovaPro-output-tokens", "Usage", 400, "0.00128"),
    ]);
    customer.bill(&bill, 0).await;
    customer.is_settled().await;
    // A tenth off.
    let paid: Option<Usd> = "0.004032".parse().ok();
    assert_eq!(spent(&office, &account).await, paid);

    server.serve(&bundle(novel));
    assert_eq!(refresh(&office).await["outcome"], "published");
    sums_agree(&office, "priced later").await;
    let without = "SELECT count(*) FROM request WHERE cost_basis = 'unpriced' AND provider = 'bedrock'";
    assert_eq!(one(&office, without).await, "0");
    customer.is_settled().await;
    assert_eq!(spent(&office, &account).await, paid, "what is paid does not change with the list");
    let key = SettlementKey { issuer: Issuer::Aws, month: october(), measure: Measure::Unblended };
    let mut tx = office.parts.store.tenant(account.tenant).await.unwrap();
    assert_eq!(tx.settlement(key).await.unwrap().estimated, amount("0.00448"));
    drop(tx);
    office.close().await;
}
