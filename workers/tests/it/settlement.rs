//! A month is settled when its bill comes, again when another comes, and whoever dies meanwhile.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use costlens_domain::bill::{BillReport, DailyFact, Measure, ReportFormat};
use costlens_domain::classify::{Cloud, LineKey, classify};
use costlens_domain::imports::vendors::BEDROCK;
use costlens_domain::imports::{Attribution, ImportedCall};
use costlens_domain::invoices::InvoiceVendor;
use costlens_domain::request::{Origin, Provenance, RequestFact};
use costlens_domain::settlement::{Issuer, ResidualCode, ResidualSide, SettlementState};
use costlens_domain::{BillId, ConnectionId, Currency, RequestId, TenantId};
use costlens_jobs::settlement::{SettleMonth, ask_to_settle};
use costlens_queue::ops::State;
use costlens_store::testing::unlike_bytes;
use costlens_store::{Bill, NewBill, NewConnection, Settlement, SettlementGroup, SettlementKey};
use rust_decimal::Decimal;

use super::Office;
use super::account::Account;
use super::outside::Outside;
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
        amortised: unblended,
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
            provider: "openai_compatible".to_owned(),
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

#[tokio::test]
async fn a_bill_settles_its_month_once_however_often_the_job_runs() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, now()).await;
    let account = Account::open(&office, &outside, "Settler").await;
    let customer = Customer::of(&office, &account).await;
    let bill = customer.bill(&october_bill("1.00"), 0).await;
    customer.is_settled().await;

    for (measure, settled, unproxied) in
        [(Measure::Unblended, "0.00336", "0.8"), (Measure::NetUnblended, "0.003024", "0.72")]
    {
        let head = customer.settlement(measure).await;
        assert_eq!((head.version, head.calls, head.absent_calls), (bill.id, 3, 0), "{head:?}");
        assert_eq!((head.estimated, head.settled), (amount("0.00336"), amount(settled)), "{head:?}");
        assert_eq!(head.billed, amount(settled) + amount(unproxied) + Decimal::ONE);
        assert_eq!((head.billed_tokens, head.covered_tokens, head.is_amber()), (1_003_300, 3_300, false));
        let outside = |code| customer.residual(measure, code, ResidualSide::Outside);
        assert_eq!(outside(ResidualCode::Unproxied).await, amount(unproxied));
        assert_eq!(outside(ResidualCode::Tax).await, Decimal::ONE);
        let discount = customer.residual(measure, ResidualCode::Discount, ResidualSide::Calls).await;
        assert_eq!(discount, amount(settled) - amount("0.00336"));
        // Each call used a third of it.
        let mut sum = Decimal::ZERO;
        for call in &customer.calls {
            sum += customer.cost(call.id, measure).await.unwrap();
        }
        assert_eq!(sum, amount(settled));
    }
    let mut tx = office.parts.store.tenant(account.tenant).await.unwrap();
    let shadow = tx.settlement_coverage(of_october(Measure::NetUnblended), 1).await.unwrap().remove(0);
    assert_eq!(shadow.principal, "arn:aws:iam::222222222222:user/alice");
    assert_eq!((shadow.covered_tokens, shadow.billed), (0, amount("0.72")));
    drop(tx);

    let before = rows(&office, account.tenant).await;
    let mut tx = office.parts.store.tenant(account.tenant).await.unwrap();
    // As the same, and as somebody else's wish for the same month.
    let job = SettleMonth { month: october(), bill: bill.id, night: None };
    costlens_jobs::ask(&mut tx, &job).await.unwrap();
    let again = SettleMonth { bill: BillId::new(now(), unlike_bytes()), ..job };
    costlens_jobs::ask(&mut tx, &again).await.unwrap();
    tx.commit().await.unwrap();
    customer.is_settled().await;
    assert_eq!(office.jobs(QUEUE).await.len(), 2);
    assert_eq!(rows(&office, account.tenant).await, before);
    office.close().await;
}

#[tokio::test]
async fn a_call_that_reached_the_ledger_after_its_bill_is_settled_in_the_night() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, now()).await;
    let account = Account::open(&office, &outside, "Settler").await;
    let customer = Customer::of(&office, &account).await;
    customer.bill(&october_bill("1.00"), 0).await;
    // Somebody else whose month is the same.
    let other = Account::open(&office, &outside, "Other").await;
    let others = Customer::of(&office, &other).await;
    others.bill(&october_bill("1.00"), 0).await;
    customer.is_settled().await;
    // Used by one more of the gateway's calls, so that its tokens were not on the bill as the others'.
    let late = RequestFact {
        started_at: customer.calls[2].started_at + TimeDelta::minutes(1),
        ..customer.calls[2].clone()
    };
    let late = RequestFact { id: RequestId::new(late.started_at, unlike_bytes()), ..late };
    account.spend(&office, std::slice::from_ref(&late)).await;
    assert_eq!(customer.settlement(Measure::Unblended).await.calls, 3);
    office.run("settlement-nights.v1").await;
    office.quiet().await;
    customer.is_settled().await;
    let head = customer.settlement(Measure::Unblended).await;
    assert_eq!((head.calls, head.estimated), (4, amount("0.00448")), "{head:?}");
    assert!(customer.cost(late.id, Measure::Unblended).await.is_some());
    // Asked twice in a night, it is settled once, and everybody's is.
    let jobs = office.jobs(QUEUE).await.len();
    assert_eq!(jobs, 4, "a bill and a night of each");
    office.run("settlement-nights.v1").await;
    office.quiet().await;
    assert_eq!(office.jobs(QUEUE).await.len(), jobs);
    office.close().await;
}

/// What OpenAI says of one day: a model's input and output, by the token.
fn openai_costs(input: (u64, &str), output: (u64, &str)) -> BillReport {
    let day = "2026-10-05T00:00:00Z".parse::<DateTime<Utc>>().unwrap().timestamp();
    let line = |name: &str, cost: &str| {
        format!(
            r#"{{"object": "organization.costs.result", "amount": {{"value": {cost}, "currency": "usd"}}, "line_item": "gpt-4o-mini-2024-07-18, {name}", "project_id": "proj_1"}}"#
        )
    };
    let bucket = |results: &str| {
        format!(
            r#"{{"object": "page", "data": [{{"object": "bucket", "start_time": {day}, "end_time": {}, "results": [{results}]}}], "has_more": false, "next_page": null}}"#,
            day + 86_400
        )
    };
    let costs = bucket(&format!("{}, {}", line("input", input.1), line("output", output.1)));
    let usage = bucket(&format!(
        r#"{{"object": "organization.usage.completions.result", "input_tokens": {}, "input_cached_tokens": 0, "output_tokens": {}, "input_audio_tokens": 0, "output_audio_tokens": 0, "num_model_requests": 2, "project_id": "proj_1", "model": "gpt-4o-mini-2024-07-18", "batch": false, "service_tier": "default"}}"#,
        input.0, output.0
    ));
    let pages = costlens_domain::invoices::Pages { costs: &[costs], usage: &[usage] };
    costlens_domain::invoices::read(InvoiceVendor::OpenAi, "2026-10".parse().unwrap(), "org-1", pages)
        .unwrap()
}

#[tokio::test]
async fn calls_that_never_touch_aws_are_settled_against_their_vendor_s_own_report() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, now()).await;
    let account = Account::open(&office, &outside, "Settler").await;
    let customer = Customer::of(&office, &account).await;
    let mut tx = office.parts.store.tenant(account.tenant).await.unwrap();
    let connection = ConnectionId::new(now(), unlike_bytes());
    tx.create_connection(&NewConnection {
        id: connection,
        provider: "openai".to_owned(),
        name: "openai".to_owned(),
        base_url: None,
        sealed_secret: None,
        models: Vec::new(),
        created_at: now(),
    })
    .await
    .unwrap();
    tx.commit().await.unwrap();
    let at: DateTime<Utc> = "2026-10-05T09:00:00Z".parse().unwrap();
    // A call has 1,000 tokens of input and 100 of output: $0.00021 by the list.
    let call = |minutes: i64| RequestFact {
        connection_id: Some(connection),
        provider: "openai".to_owned(),
        ..account.call(at + TimeDelta::minutes(minutes), "gpt-4o-mini-2024-07-18", "0.00021")
    };
    let calls = [call(0), call(1)];
    account.spend(&office, &calls).await;
    customer.bill(&october_bill("1.00"), 0).await;
    // Twice the calls' input, the half of it by somebody who went around the proxy, and a tenth off.
    let bill = customer.bill(&openai_costs((4_000, "0.00054"), (200, "0.000108")), 1).await;
    customer.is_settled().await;

    let key = SettlementKey { issuer: Issuer::OpenAi, ..of_october(Measure::Unblended) };
    let mut tx = office.parts.store.tenant(account.tenant).await.unwrap();
    let head = tx.settlement(key).await.unwrap();
    assert_eq!((head.bill_ids.as_slice(), head.calls, head.absent_calls), (&[bill.id][..], 2, 0), "{head:?}");
    assert_eq!((head.billed, head.estimated), (amount("0.000648"), amount("0.00042")));
    assert_eq!(head.settled, amount("0.000378"), "{head:?}");
    assert_eq!((head.billed_tokens, head.covered_tokens), (4_200, 2_200));
    let sums = tx.settlement_residuals(key).await.unwrap();
    let sum = |code| sums.iter().find(|sum| sum.code == code).map(|sum| (sum.side, sum.amount));
    assert_eq!(sum(ResidualCode::Unproxied), Some((ResidualSide::Outside, amount("0.00027"))), "{sums:?}");
    // Two rows are too few witnesses of a discount.
    assert_eq!(sum(ResidualCode::Price), Some((ResidualSide::Calls, amount("-0.000042"))), "{sums:?}");
    drop(tx);
    assert_eq!(customer.cost(calls[0].id, Measure::Unblended).await, Some(amount("0.000189")));
    // The other issuer's settlement of the month is another one.
    assert_eq!(customer.settlement(Measure::Unblended).await.settled, amount("0.00336"));
    let mut tx = office.parts.store.tenant(account.tenant).await.unwrap();
    let months = tx.list_settlements(Measure::Unblended, None, 10).await.unwrap();
    let issuers: Vec<Issuer> = months.iter().map(|one| one.key.issuer).collect();
    assert_eq!(issuers, [Issuer::Aws, Issuer::OpenAi]);
    let after = Some((october(), Issuer::Aws));
    let rest = tx.list_settlements(Measure::Unblended, after, 10).await.unwrap();
    assert_eq!(rest.len(), 1);
    drop(tx);
    office.close().await;
}

/// A line of a day's tokens on another cloud's bill: what it is of (service and meter), how many, what it cost and what after
/// credits.
fn cloud_line(cloud: Cloud, (service, meter): (&str, &str), tokens: u64, cost: &str, net: &str) -> DailyFact {
    let (unit, kind) = if cloud == Cloud::Azure { ("1K", "Usage") } else { ("count", "regular") };
    let key = LineKey {
        cloud,
        product_code: service,
        usage_type: meter,
        pricing_unit: unit,
        line_item_type: kind,
        ..LineKey::default()
    };
    let class = classify(&key);
    assert_eq!(class.tokens_per_unit, Some(1), "{meter}");
    DailyFact {
        billing_account: "8611537".into(),
        usage_account: "production".into(),
        region: if cloud == Cloud::Azure { "swedencentral".into() } else { "global".into() },
        billing_entity: "".into(),
        product_code: service.into(),
        operation: "".into(),
        line_item_type: kind.into(),
        class: Arc::new(class),
        pricing_unit: unit.into(),
        usage_quantity: Decimal::from(tokens),
        tokens: Some(Decimal::from(tokens)),
        net_unblended: amount(net),
        ..line("", meter, "Usage", tokens, cost)
    }
}

/// A connection to another cloud, and two calls through it of 1,000 tokens of input and 100 of output each.
async fn calls_of(
    (office, account): (&Office, &Account),
    (provider, base_url): (&str, Option<&str>),
    model: &str,
    cost: &str,
) -> [RequestFact; 2] {
    let connection = ConnectionId::new(now(), unlike_bytes());
    let mut tx = office.parts.store.tenant(account.tenant).await.unwrap();
    tx.create_connection(&NewConnection {
        id: connection,
        provider: provider.to_owned(),
        name: format!("{provider} {model}"),
        base_url: base_url.map(str::to_owned),
        sealed_secret: None,
        models: if base_url.is_some() { vec![model.to_owned()] } else { Vec::new() },
        created_at: now(),
    })
    .await
    .unwrap();
    tx.commit().await.unwrap();
    let at: DateTime<Utc> = "2026-10-05T09:00:00Z".parse().unwrap();
    let call = |minutes: i64| RequestFact {
        connection_id: Some(connection),
        provider: provider.to_owned(),
        ..account.call(at + TimeDelta::minutes(minutes), model, cost)
    };
    let calls = [call(0), call(1)];
    account.spend(office, &calls).await;
    calls
}

#[tokio::test]
async fn calls_through_azure_are_settled_against_azure_s_bill_of_whichever_kind_counts() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, now()).await;
    let account = Account::open(&office, &outside, "Settler").await;
    let customer = Customer::of(&office, &account).await;
    let address = ("openai_compatible", Some("https://acme.openai.azure.com/openai/v1"));
    let calls = calls_of((&office, &account), address, "gpt-4o-2024-08-06", "0.0035").await;
    customer.bill(&october_bill("1.00"), 0).await;
    // Half of the input by somebody who went around the proxy.
    let facts = || {
        let line =
            |meter, tokens, cost| cloud_line(Cloud::Azure, ("Azure OpenAI", meter), tokens, cost, cost);
        let mut refund = line("gpt-4o-0806-Inp-glbl Tokens", 0, "-0.001");
        (refund.line_item_type, refund.tokens) = ("Refund".into(), None);
        vec![
            line("gpt-4o-0806-Inp-glbl Tokens", 4_000, "0.01"),
            line("gpt-4o-0806-Outp-glbl Tokens", 200, "0.002"),
            refund,
        ]
    };
    let actual = BillReport { format: ReportFormat::AzureCosts, ..report(facts()) };
    let first = customer.bill(&actual, 1).await;
    customer.is_settled().await;
    let key = SettlementKey { issuer: Issuer::Azure, ..of_october(Measure::Unblended) };
    let mut tx = office.parts.store.tenant(account.tenant).await.unwrap();
    let head = tx.settlement(key).await.unwrap();
    assert_eq!(
        (head.bill_ids.as_slice(), head.calls, head.absent_calls),
        (&[first.id][..], 2, 0),
        "{head:?}"
    );
    assert_eq!((head.billed, head.estimated), (amount("0.011"), amount("0.007")), "{head:?}");
    assert_eq!((head.settled, head.unknown), (amount("0.007"), Decimal::ZERO), "{head:?}");
    assert_eq!((head.billed_tokens, head.covered_tokens), (4_200, 2_200));
    let sums = tx.settlement_residuals(key).await.unwrap();
    let sum = |code| sums.iter().find(|sum| sum.code == code).map(|sum| (sum.side, sum.amount));
    assert_eq!(sum(ResidualCode::Unproxied), Some((ResidualSide::Outside, amount("0.005"))), "{sums:?}");
    assert_eq!(sum(ResidualCode::Credit), Some((ResidualSide::Outside, amount("-0.001"))), "{sums:?}");
    drop(tx);
    assert_eq!(customer.cost(calls[0].id, Measure::Unblended).await, Some(amount("0.0035")));

    // The month's amortised costs take its place, and add nothing.
    let amortised = BillReport { format: ReportFormat::AzureAmortised, ..report(facts()) };
    let second = customer.bill(&amortised, 2).await;
    customer.is_settled().await;
    let mut tx = office.parts.store.tenant(account.tenant).await.unwrap();
    let head = tx.settlement(key).await.unwrap();
    assert_eq!((head.bill_ids.as_slice(), head.billed), (&[second.id][..], amount("0.011")), "{head:?}");
    drop(tx);
    assert_eq!(customer.settlement(Measure::Unblended).await.settled, amount("0.00336"), "AWS' own");
    office.close().await;
}

#[tokio::test]
async fn calls_to_google_are_settled_against_google_s_bill_after_credits() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, now()).await;
    let account = Account::open(&office, &outside, "Settler").await;
    let customer = Customer::of(&office, &account).await;
    let gemini = calls_of((&office, &account), ("google", None), "gemini-2.5-flash", "0.00055").await;
    let vertex = ("openai_compatible", Some("https://europe-west1-aiplatform.googleapis.com/v1/projects/p"));
    let claude = calls_of((&office, &account), vertex, "claude-sonnet-4-5@20250929", "0.0045").await;
    let line = |of, tokens, cost, net| cloud_line(Cloud::Google, of, tokens, cost, net);
    let in_europe = |fact| DailyFact { region: "europe-west1".into(), ..fact };
    let bill = BillReport {
        format: ReportFormat::GoogleCosts,
        ..report(vec![
            line(
                ("Gemini API", "Generate content input token count gemini 2.5 flash short input text"),
                2_000,
                "0.0006",
                "0.0005",
            ),
            line(
                ("Gemini API", "Generate content output token count gemini 2.5 flash short input text"),
                200,
                "0.0005",
                "0.0005",
            ),
            in_europe(line(("Vertex AI", "Claude Sonnet 4.5 Input Tokens"), 2_000, "0.006", "0.006")),
            in_europe(line(("Vertex AI", "Claude Sonnet 4.5 Output Tokens"), 200, "0.003", "0.003")),
        ])
    };
    let bill = customer.bill(&bill, 1).await;
    customer.is_settled().await;
    let mut tx = office.parts.store.tenant(account.tenant).await.unwrap();
    for (measure, billed) in [(Measure::Unblended, "0.0101"), (Measure::NetUnblended, "0.0100")] {
        let key = SettlementKey { issuer: Issuer::Google, ..of_october(measure) };
        let head = tx.settlement(key).await.unwrap();
        assert_eq!(
            (head.bill_ids.as_slice(), head.calls, head.absent_calls),
            (&[bill.id][..], 4, 0),
            "{head:?}"
        );
        assert_eq!((head.billed, head.estimated), (amount(billed), amount("0.0101")), "{head:?}");
        assert_eq!((head.settled, head.unknown), (amount(billed), Decimal::ZERO), "{head:?}");
        assert_eq!((head.billed_tokens, head.covered_tokens), (4_400, 4_400));
    }
    drop(tx);
    assert_eq!(customer.cost(gemini[0].id, Measure::NetUnblended).await, Some(amount("0.0005")));
    assert_eq!(customer.cost(claude[1].id, Measure::NetUnblended).await, Some(amount("0.0045")));
    office.close().await;
}

#[tokio::test]
async fn imported_calls_settle_and_are_covered_as_proxied_ones_of_their_provider() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, now()).await;
    let account = Account::open(&office, &outside, "Settler").await;
    let at: DateTime<Utc> = "2026-10-05T09:00:00Z".parse().unwrap();
    // No connection leads to either vendor: whoever counts these calls goes by their provider, and by their region.
    let call = |minutes: i64, (provider, model, cost): (&str, &str, &str), region: Option<&str>| {
        let fact = account.call(at + TimeDelta::minutes(minutes), model, cost);
        ImportedCall {
            source_id: fact.id.to_string(),
            imported_at: now(),
            claimed_cost: "99".parse().ok(),
            attribution: Attribution::default(),
            fact: RequestFact {
                provider: provider.to_owned(),
                provenance: Provenance {
                    origin: Origin::Otlp,
                    region: region.map(str::to_owned),
                    response_id: None,
                },
                ..fact
            },
        }
    };
    let mini = ("openai", "gpt-4o-mini-2024-07-18", "0.00021");
    let calls = [
        call(0, mini, None),
        call(1, mini, None),
        call(2, (BEDROCK, MODEL, "0.00112"), Some("us-east-1")),
        call(3, (BEDROCK, MODEL, "0.00112"), Some("eu-west-1")),
        call(4, ("azure", "gpt-4o-mini-2024-07-18", "0.00021"), None),
    ];
    let mut writer = office.parts.store.writer().await.unwrap();
    let imported = writer.import_calls(account.tenant, &calls).await.unwrap();
    assert_eq!((imported.taken, imported.known, imported.refused), (5, 0, 0));
    drop(writer);
    let customer = Customer { office: &office, account: &account, calls: Vec::new() };
    customer.bill(&october_bill("1.00"), 0).await;
    customer.bill(&openai_costs((4_000, "0.00054"), (200, "0.000108")), 1).await;
    customer.is_settled().await;

    let key = SettlementKey { issuer: Issuer::OpenAi, ..of_october(Measure::Unblended) };
    let mut tx = office.parts.store.tenant(account.tenant).await.unwrap();
    let head = tx.settlement(key).await.unwrap();
    // As the same two calls through the proxy are: see above.
    assert_eq!((head.calls, head.absent_calls, head.settled), (2, 0, amount("0.000378")), "{head:?}");
    assert_eq!((head.billed_tokens, head.covered_tokens), (4_200, 2_200));
    let slices = tx.settlement_slices(key, SettlementGroup::Origin, 10).await.unwrap();
    assert_eq!(slices.iter().map(|one| (one.group.as_str(), one.calls)).collect::<Vec<_>>(), [("otlp", 2)]);
    let slices = tx.settlement_slices(key, SettlementGroup::Connection, 10).await.unwrap();
    assert_eq!(slices.iter().map(|one| one.group.as_str()).collect::<Vec<_>>(), ["otlp"]);
    let of_aws = tx.settlement(of_october(Measure::Unblended)).await.unwrap();
    // Of each region one; what went to Azure is on nobody's bill.
    assert_eq!(of_aws.calls + of_aws.absent_calls, 2, "{of_aws:?}");
    drop(tx);
    assert_eq!(customer.cost(calls[0].fact.id, Measure::Unblended).await, Some(amount("0.000189")));
    office.close().await;
}

#[tokio::test]
async fn another_delivery_settles_anew_and_the_days_remember_the_first() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, now()).await;
    let account = Account::open(&office, &outside, "Settler").await;
    let customer = Customer::of(&office, &account).await;
    let first = customer.bill(&october_bill("1.00"), 0).await;
    customer.is_settled().await;
    let mut facts = october_bill("1.00").facts;
    for fact in &mut facts[..2] {
        // The private rate was lowered afterwards.
        fact.net_unblended = fact.unblended * amount("0.5");
    }
    let second = customer.bill(&report(facts), 1).await;
    customer.is_settled().await;
    let head = customer.settlement(Measure::NetUnblended).await;
    assert_eq!((head.version, head.settled), (second.id, amount("0.00168")));
    assert_eq!(head.bill_ids, [second.id]);
    let mut tx = office.parts.store.tenant(account.tenant).await.unwrap();
    let days = tx.settlement_days(of_october(Measure::NetUnblended)).await.unwrap();
    let day = october() + chrono::Days::new(4);
    let of_day: Vec<_> =
        days.iter().filter(|one| one.day == day).map(|one| (one.version, one.settled)).collect();
    assert_eq!(of_day, [(first.id, amount("0.003024")), (second.id, amount("0.00168"))]);
    drop(tx);
    office.close().await;
}

#[tokio::test]
async fn a_worker_that_dies_while_it_settles_delays_a_settlement_and_no_more() {
    let outside = Outside::open().await;
    let mut office = Office::open_to(&outside, now()).await;
    let account = Account::open(&office, &outside, "Settler").await;
    let mut held = office.parts.store.tenant(account.tenant).await.unwrap();
    held.lock_settlement(october()).await.unwrap();
    let (bill, calls) = {
        let customer = Customer::of(&office, &account).await;
        let bill = customer.bill(&october_bill("1.00"), 0).await;
        (bill, customer.calls)
    };
    office.until(QUEUE, |jobs| jobs.iter().any(|job| job.state == State::Running)).await;
    office.die().await;
    let mut tx = office.parts.store.tenant(account.tenant).await.unwrap();
    assert!(tx.list_settlements(Measure::Unblended, None, 10).await.unwrap().is_empty());
    drop(tx);
    drop(held);
    office.work().await;
    let customer = Customer { office: &office, account: &account, calls };
    customer.is_settled().await;
    assert_eq!(customer.settlement(Measure::Unblended).await.version, bill.id);
    let job = office.jobs(QUEUE).await.remove(0);
    assert_eq!(job.attempts, 2);
    office.close().await;
}
