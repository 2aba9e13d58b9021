//! Calls are settled by the bills of whoever served them: vendors, other clouds, and calls that others told of.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::bill::{BillReport, DailyFact, Measure, ReportFormat};
use costlens_domain::classify::{Cloud, LineKey, classify};
use costlens_domain::export::SettledKind;
use costlens_domain::imports::vendors::BEDROCK;
use costlens_domain::imports::{Attribution, ImportedCall};
use costlens_domain::invoices::InvoiceVendor;
use costlens_domain::request::{CostBasis, Origin, Outcome, Provenance, RequestFact};
use costlens_domain::settlement::{Issuer, ResidualCode, ResidualSide};
use costlens_domain::{ConnectionId, Usage};
use costlens_store::testing::unlike_bytes;
use costlens_store::{ChargebackBy, MonthKey, NewConnection, SettlementGroup, SettlementKey, SpendFilter};
use rust_decimal::Decimal;

use super::{Customer, MODEL, amount, line, october, october_bill, of_october, report};
use crate::Office;
use crate::account::Account;
use crate::outside::Outside;
use crate::upkeep::now;

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
    let charges = tx.settled_charges_after(at.date_naive(), None, 100).await.unwrap();
    let origin = |provider: &str| {
        let of_calls = charges.iter().find(|(_, one)| one.api_key_id.is_some() && one.provider == provider);
        of_calls.unwrap().1.origin
    };
    // What is in no settlement stands by its hours, which do not say who saw it.
    assert_eq!((origin("openai"), origin("azure")), (Some(Origin::Otlp), None), "{charges:?}");
    drop(tx);
    assert_eq!(customer.cost(calls[0].fact.id, Measure::Unblended).await, Some(amount("0.000189")));
    office.close().await;
}

#[tokio::test]
async fn a_failed_import_that_nobody_counted_has_no_share_in_what_calls_like_it_cost() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, now()).await;
    let account = Account::open(&office, &outside, "Settler").await;
    let at: DateTime<Utc> = "2026-10-05T09:00:00Z".parse().unwrap();
    let call = |minutes: i64| {
        let provenance = Provenance { origin: Origin::LiteLlm, ..Provenance::default() };
        let fact = account.call(at + TimeDelta::minutes(minutes), "gpt-4o-mini-2024-07-18", "0.00021");
        ImportedCall {
            source_id: fact.id.to_string(),
            imported_at: now(),
            claimed_cost: None,
            attribution: Attribution::default(),
            fact: RequestFact { provenance, ..fact },
        }
    };
    let mut broken = call(2);
    broken.fact = RequestFact {
        outcome: Outcome::Failed,
        usage: Usage::default(),
        cost_basis: CostBasis::Unpriced,
        cost: None,
        ..broken.fact
    };
    let calls = [call(0), call(1), broken];
    let mut writer = office.parts.store.writer().await.unwrap();
    assert_eq!(writer.import_calls(account.tenant, &calls).await.unwrap().taken, 3);
    drop(writer);
    let customer = Customer { office: &office, account: &account, calls: Vec::new() };
    customer.bill(&openai_costs((4_000, "0.00054"), (200, "0.000108")), 1).await;
    customer.is_settled().await;
    assert_eq!(customer.cost(calls[0].fact.id, Measure::Unblended).await, Some(amount("0.000189")));
    assert_eq!(customer.cost(calls[2].fact.id, Measure::Unblended).await, None, "unknown is never zero");

    // It is no settled call anywhere else: on no bill, and nobody knows at what cost.
    let mut tx = office.parts.store.tenant(account.tenant).await.unwrap();
    let key = MonthKey { month: october(), measure: Measure::Unblended };
    let charged = tx.chargeback(key, &ChargebackBy::Key, 10).await.unwrap().calls();
    assert_eq!((charged.calls, charged.settled, charged.unbilled), (3, amount("0.000378"), Decimal::ZERO));
    assert_eq!((charged.settled_calls, charged.unbilled_calls, charged.unpriced_calls), (2, 1, 1));
    let filter = SpendFilter {
        from: "2026-10-01T00:00:00Z".parse().unwrap(),
        to: "2026-11-01T00:00:00Z".parse().unwrap(),
        api_key_id: None,
        provider: None,
        model: None,
    };
    let budget = tx.budget_spend(&filter, false).await.unwrap();
    assert_eq!((budget.requests, budget.unpriced_requests), (3, 1), "{budget:?}");
    let charges = tx.settled_charges_after(at.date_naive(), None, 100).await.unwrap();
    let of_calls = charges.iter().map(|(_, one)| one).filter(|one| one.api_key_id.is_some());
    let told: Vec<_> = of_calls.map(|one| (one.kind, one.calls, one.contracted.is_some())).collect();
    assert_eq!(told, [(SettledKind::Settled, 2, true), (SettledKind::Unbilled, 1, false)], "{charges:?}");
    drop(tx);
    office.close().await;
}
