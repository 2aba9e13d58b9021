//! A month is settled when its bill comes, again when another comes, and whoever dies meanwhile.

mod accounts;
mod months;
mod surprises;
mod vendors;

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use costlens_domain::bill::{BillReport, DailyFact, Measure, ReportFormat};
use costlens_domain::classify::{LineKey, classify};
use costlens_domain::imports::vendors::BEDROCK;
use costlens_domain::request::RequestFact;
use costlens_domain::settlement::{Issuer, ResidualCode, ResidualSide, SettlementState};
use costlens_domain::{BillId, ConnectionId, Currency, RequestId, TenantId};
use costlens_jobs::settlement::ask_to_settle;
use costlens_queue::ops::State;
use costlens_store::testing::unlike_bytes;
use costlens_store::{Bill, NewBill, NewConnection, Settlement, SettlementGroup, SettlementKey};
use rust_decimal::Decimal;

use super::Office;
use super::account::Account;
use super::upkeep::now;

const QUEUE: &str = "settle_month.v1";
pub(super) const MODEL: &str = "us.amazon.nova-pro-v1:0";

pub(super) fn october() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 10, 1).unwrap()
}

fn of_october(measure: Measure) -> SettlementKey {
    SettlementKey { issuer: Issuer::Aws, month: october(), measure }
}

pub(super) fn amount(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// One line of a day's use, a tenth of which is discounted.
pub(super) fn line(
    principal: &str,
    usage_type: &str,
    line_item_type: &str,
    tokens: u64,
    cost: &str,
) -> DailyFact {
    let key = LineKey {
        product_code: "AmazonBedrock",
        usage_type,
        pricing_unit: "1K tokens",
        line_item_type,
        billing_entity: "AWS",
        ..LineKey::default()
    };
    let unblended = amount(cost);
    let is_use = line_item_type == "Usage";
    DailyFact {
        day: NaiveDate::from_ymd_opt(2026, 10, 5).unwrap(),
        billing_account: "111111111111".into(),
        usage_account: "222222222222".into(),
        region: "us-east-1".into(),
        billing_entity: "AWS".into(),
        product_code: "AmazonBedrock".into(),
        product_name: "".into(),
        usage_type: usage_type.into(),
        operation: "InvokeModelInference".into(),
        principal: principal.into(),
        line_item_type: line_item_type.into(),
        currency: Currency::USD,
        class: Arc::new(classify(&key)),
        pricing_unit: "1K tokens".into(),
        usage_quantity: Decimal::from(tokens) / Decimal::ONE_THOUSAND,
        tokens: is_use.then(|| Decimal::from(tokens)),
        unblended,
        net_unblended: if is_use { unblended * amount("0.9") } else { unblended },
        amortised: Some(unblended),
        net_amortised: None,
        list: None,
        lines: 1,
    }
}

pub(super) fn report(facts: Vec<DailyFact>) -> BillReport {
    BillReport {
        format: ReportFormat::Cur2,
        files: Vec::new(),
        lines: 9,
        first_day: Some(october()),
        last_day: NaiveDate::from_ymd_opt(2026, 10, 31),
        months: Some((october(), october())),
        has_invoices: false,
        rules_version: 1,
        totals: Vec::new(),
        facts,
        resources: Vec::new(),
        unknown_line_types: Vec::new(),
        skipped: Vec::new(),
    }
}

/// What the gateway's three calls used, what Alice used herself, and a tax. `shadow` is what Alice paid for a thousand
/// times as much as one of the calls.
pub(super) fn october_bill(tax: &str) -> BillReport {
    let gateway = "arn:aws:sts::222222222222:assumed-role/gateway/costlens";
    report(vec![
        line(gateway, "USE1-NovaPro-input-tokens", "Usage", 3_000, "0.0024"),
        line(gateway, "USE1-NovaPro-output-tokens", "Usage", 300, "0.00096"),
        line("arn:aws:iam::222222222222:user/alice", "USE1-NovaPro-input-tokens", "Usage", 1_000_000, "0.8"),
        line("", "", "Tax", 0, tax),
    ])
}

pub(super) struct Customer<'a> {
    office: &'a Office,
    account: &'a Account,
    pub(super) calls: Vec<RequestFact>,
}

impl<'a> Customer<'a> {
    /// Somebody with three calls to Bedrock on one day of October, and one elsewhere.
    pub(super) async fn of(office: &'a Office, account: &'a Account) -> Self {
        let at: DateTime<Utc> = "2026-10-05T09:00:00Z".parse().unwrap();
        let mut tx = office.parts.store.tenant(account.tenant).await.unwrap();
        let connection = ConnectionId::new(now(), unlike_bytes());
        tx.create_connection(&NewConnection {
            id: connection,
            provider: "openai_compatible".to_owned(),
            name: "bedrock".to_owned(),
            base_url: Some("https://bedrock-runtime.us-east-1.amazonaws.com/openai/v1".to_owned()),
            sealed_secret: None,
            models: vec![MODEL.to_owned()],
            created_at: now(),
        })
        .await
        .unwrap();
        tx.commit().await.unwrap();
        let call = |minutes: i64| RequestFact {
            connection_id: Some(connection),
            // As the proxy records it, whatever the connection is of; older rows have the connection's own.
            provider: BEDROCK.to_owned(),
            ..account.call(at + TimeDelta::minutes(minutes), MODEL, "0.00112")
        };
        let calls = vec![call(0), call(1), call(2)];
        account.spend(office, &calls).await;
        account.spend(office, &[account.call(at, "gpt-4o", "3.00")]).await;
        Self { office, account, calls }
    }

    /// A bill comes: stored, and its settling asked for, in one transaction.
    pub(super) async fn bill(&self, report: &BillReport, minutes: i64) -> Bill {
        let at = now() + TimeDelta::minutes(minutes);
        let new = NewBill { id: BillId::new(at, unlike_bytes()), name: "october".to_owned(), created_at: at };
        let mut tx = self.office.parts.store.tenant(self.account.tenant).await.unwrap();
        let bill = tx.import_bill(&new, report).await.unwrap();
        ask_to_settle(&mut tx, &bill).await.unwrap();
        tx.commit().await.unwrap();
        bill
    }

    pub(super) async fn is_settled(&self) {
        // A dead worker's jobs are taken up again once their lease is over.
        self.office.until(QUEUE, |jobs| jobs.iter().all(|job| job.state == State::Done)).await;
    }

    async fn settlement(&self, measure: Measure) -> Settlement {
        let mut tx = self.office.parts.store.tenant(self.account.tenant).await.unwrap();
        tx.settlement(of_october(measure)).await.unwrap()
    }

    async fn residual(&self, measure: Measure, code: ResidualCode, side: ResidualSide) -> Decimal {
        let mut tx = self.office.parts.store.tenant(self.account.tenant).await.unwrap();
        let sums = tx.settlement_residuals(of_october(measure)).await.unwrap();
        sums.into_iter()
            .find(|sum| (sum.code, sum.side) == (code, side))
            .map_or(Decimal::ZERO, |sum| sum.amount)
    }

    async fn cost(&self, id: RequestId, measure: Measure) -> Option<Decimal> {
        let mut tx = self.office.parts.store.tenant(self.account.tenant).await.unwrap();
        let call = tx.settled_call(id, measure).await.unwrap();
        assert!(call.as_ref().is_none_or(|call| call.state == SettlementState::Settled), "{call:?}");
        call.map(|call| call.cost)
    }
}

/// Everything that stands in the tables, for a comparison.
async fn rows(office: &Office, tenant: TenantId) -> Vec<String> {
    let mut tx = office.parts.store.tenant(tenant).await.unwrap();
    let mut told = Vec::new();
    for measure in [Measure::Unblended, Measure::NetUnblended, Measure::Amortised, Measure::NetAmortised] {
        let head = tx.settlement(of_october(measure)).await.unwrap();
        told.push(format!("{head:?}"));
        told.push(format!("{:?}", tx.settlement_residuals(of_october(measure)).await.unwrap()));
        told.push(format!("{:?}", tx.settlement_coverage(of_october(measure), 100).await.unwrap()));
        told.push(format!("{:?}", tx.settlement_prices(of_october(measure), 100).await.unwrap()));
        told.push(format!("{:?}", tx.settlement_days(of_october(measure)).await.unwrap()));
        let slices = tx.settlement_slices(of_october(measure), SettlementGroup::Key, 100).await.unwrap();
        told.push(format!("{slices:?}"));
    }
    told
}
