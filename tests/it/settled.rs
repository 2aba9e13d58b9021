//! What a settled month and the look at its facts say, in the answers that console and programs get: each figure is
//! derived here from the bill's lines and the calls' tokens, by hand.

use chrono::{Days, NaiveDate, Utc};
use costlens_domain::aws::Month;
use costlens_tests::actors::Owner;
use costlens_tests::app::shared;
use costlens_tests::{eventually, run};
use serde_json::{Value, json};

pub(crate) const GATEWAY: &str = "arn:aws:iam::222233334444:role/gateway";
const ROGUE: &str = "arn:aws:iam::222233334444:user/rogue";

#[expect(clippy::disallowed_methods, reason = "the process under test runs by the machine's clock")]
fn today() -> NaiveDate {
    Utc::now().date_naive()
}

/// The month before the last: its bill is over for good.
pub(crate) fn month() -> Month {
    Month::of(today()).back(2)
}

/// A line of CUR 2.0 in the columns of [`bill`]: product, usage type, operation, quantity, cost, unit and principal.
pub(crate) fn line(
    day: NaiveDate,
    kind: &str,
    [code, usage, operation, quantity, cost, unit, who]: [&str; 7],
) -> String {
    format!(
        "111122223333,Acme,222233334444,{kind},{day}T00:00:00Z,{code},{usage},{operation},{quantity},USD,{cost},{unit},\
         us-east-1,{who}\n"
    )
}

/// Tokens that Bedrock charged for, in thousands.
pub(crate) fn tokens(day: NaiveDate, usage: &str, thousands: &str, cost: &str, who: &str) -> String {
    line(day, "Usage", ["AmazonBedrock", usage, "InvokeModelInference", thousands, cost, "1K tokens", who])
}

/// The days on which the gateway is called: one alone would be no witness of its price.
fn called(month: Month) -> impl Iterator<Item = NaiveDate> {
    month.first_day().iter_days().take(5)
}

/// A month of CUR 2.0. On its first days the gateway's calls at a tenth less than the list, and somebody who goes around
/// it; on each day an endpoint that nobody calls; on the last one a tax.
pub(crate) fn bill(month: Month) -> String {
    let (first, last) = (month.first_day(), month.end() - Days::new(1));
    let mut text = "bill_payer_account_id,bill_payer_account_name,line_item_usage_account_id,line_item_line_item_type,\
                    line_item_usage_start_date,line_item_product_code,line_item_usage_type,line_item_operation,\
                    line_item_usage_amount,line_item_currency_code,line_item_unblended_cost,pricing_unit,\
                    product_region_code,line_item_iam_principal\n"
        .to_owned();
    for day in called(month) {
        text += &tokens(day, "USE1-NovaPro-input-tokens", "1000", "0.72", GATEWAY);
        text += &tokens(day, "USE1-NovaPro-output-tokens", "100", "0.288", GATEWAY);
    }
    text += &tokens(first, "USE1-NovaLite-input-tokens", "250000", "15", ROGUE);
    for day in first.iter_days().take_while(|day| *day <= last) {
        let host = ["AmazonSageMaker", "USE1-Host:ml.g5.xlarge", "RunInstance", "24", "33.792", "Hrs", ""];
        text += &line(day, "Usage", host);
    }
    text + &line(last, "Tax", ["AmazonBedrock", "", "", "0", "1.1", "", ""])
}

/// The calls that the gateway made on those days, as LiteLLM wrote them down.
pub(crate) fn logs(month: Month) -> String {
    let of_day = |day| [logged("a", day, 600_000, 60_000), logged("b", day, 400_000, 40_000)];
    called(month).flat_map(of_day).collect::<Value>().to_string()
}

fn logged(id: &str, day: NaiveDate, input: u64, output: u64) -> Value {
    json!({
        "request_id": format!("{day}-{id}"), "call_type": "acompletion", "spend": 9.9,
        "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
        "startTime": format!("{day}T09:00:00+00:00"), "endTime": format!("{day}T09:00:02+00:00"),
        "model": "bedrock/us.amazon.nova-pro-v1:0", "custom_llm_provider": "bedrock",
        "api_base": "https://bedrock-runtime.us-east-1.amazonaws.com/model/x/converse",
        "cache_hit": "False", "status": "success",
    })
}

/// An owner whose calls of a month came first and whose bill came then, and the key of the calls.
async fn settled(name: &str) -> (Owner, String, Month) {
    let (owner, month) = (shared().owner(name).await, month());
    let key = owner.create_key("logs").await.key_id;
    let path = format!("/api/v1/imports/litellm/{key}");
    let taken = owner.send_bill(&path, logs(month), &[]).await.expect(200).json();
    assert_eq!(taken["taken"], 10, "{taken}");
    let upload = owner.upload("/api/v1/bills?filename=month.csv", bill(month)).await;
    assert_eq!(upload["state"], "published", "{upload}");
    owner.settled().await;
    (owner, key, month)
}

/// An hour of an instance with accelerators on a day, for a hundred dollars.
pub(crate) fn accelerated(day: NaiveDate) -> String {
    line(day, "Usage", ["AmazonEC2", "USE1-BoxUsage:p5.48xlarge", "RunInstances", "1", "100", "Hrs", ""])
}

/// The members of a row that are named.
fn of(row: &Value, names: &[&str]) -> Value {
    names.iter().map(|name| ((*name).to_owned(), row[name].clone())).collect()
}

#[test]
fn a_settled_month_tells_its_sums_its_reasons_its_callers_and_its_prices() {
    run(async {
        let (owner, key, month) = settled("Settled by HTTP").await;
        let at = |more: &str| format!("/api/v1/settlements/{}{more}", month.first_day());
        let days = (month.end() - month.first_day()).num_days();
        // 33.792 a day in whole thousandths.
        let hosting = rust_decimal::Decimal::new(33_792 * days, 3);
        let billed = (rust_decimal::Decimal::new(21_140, 3) + hosting).normalize().to_string();

        let whole = owner.get(&at("")).await;
        let sums = of(
            &whole["settlement"],
            &[
                "billed",
                "estimated",
                "settled",
                "unknown",
                "is_amber",
                "billed_for_tokens",
                "covered",
                "calls",
            ],
        );
        let expected = json!({
            "billed": billed, "estimated": "5.6", "settled": "5.04", "unknown": "0", "is_amber": false,
            "billed_for_tokens": "20.04", "covered": "5.04", "calls": 10,
        });
        assert_eq!(sums, expected, "{whole}");
        // 5.5 of 255.5 million tokens.
        let tokens = of(&whole["settlement"], &["billed_tokens", "covered_tokens", "coverage_percent"]);
        let expected =
            json!({"billed_tokens": 255_500_000, "covered_tokens": 5_500_000, "coverage_percent": "2.1526"});
        assert_eq!(tokens, expected, "{whole}");
        let mut reasons: Vec<Value> = whole["residuals"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| json!([one["code"], one["side"], one["amount"]]))
            .collect();
        reasons.sort_by_key(ToString::to_string);
        let expected = [
            json!(["discount", "calls", "-0.56"]),
            json!(["tax", "outside", "1.1"]),
            json!(["unmetered", "outside", hosting.normalize().to_string()]),
            json!(["unproxied", "outside", "15"]),
        ];
        assert_eq!(reasons, expected, "{whole}");
        let day = of(&whole["days"][0], &["day", "calls", "estimated", "settled", "missed", "error_percent"]);
        let expected = json!({
            "day": month.first_day().to_string(), "calls": 2, "estimated": "1.12", "settled": "1.008",
            "missed": "0.112", "error_percent": "11.1111",
        });
        assert_eq!(day, expected, "{whole}");

        let groups = [("key", key.as_str()), ("model", "us.amazon.nova-pro-v1:0"), ("origin", "litellm")];
        for (by, group) in groups {
            let rows = owner.get(&at(&format!("/breakdown?by={by}"))).await;
            let expected = json!([{
                "group": group, "calls": 10, "estimated": "5.6", "settled": "5.04", "provisional": "0",
            }]);
            assert_eq!(rows["items"], expected, "{by}");
        }
        let coverage = owner.get(&at("/coverage")).await;
        let names = [
            "account",
            "region",
            "principal",
            "model",
            "billed_tokens",
            "covered_tokens",
            "covered",
            "unproxied",
        ];
        let rows: Vec<Value> =
            coverage["items"].as_array().unwrap().iter().map(|row| of(row, &names)).collect();
        let row = |who, model, tokens: [u64; 2], dollars: [&str; 2]| {
            json!({
                "account": "222233334444", "region": "us-east-1", "principal": who, "model": model,
                "billed_tokens": tokens[0], "covered_tokens": tokens[1], "covered": dollars[0],
                "unproxied": dollars[1],
            })
        };
        // What went around the proxy first.
        let expected = [
            row(ROGUE, "nova-lite", [250_000_000, 0], ["0", "15"]),
            row(GATEWAY, "nova-pro", [5_500_000, 5_500_000], ["5.04", "0"]),
        ];
        assert_eq!(rows, expected, "{coverage}");

        let prices = owner.get(&at("/prices")).await;
        let mut rows: Vec<Value> = prices["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| of(one, &["model", "kind", "billed_per_million", "listed_per_million", "finding"]))
            .collect();
        rows.sort_by_key(ToString::to_string);
        let price = |model, kind, billed, listed, finding| {
            json!({
                "model": model, "kind": kind, "billed_per_million": billed, "listed_per_million": listed,
                "finding": finding,
            })
        };
        let mut expected = [
            price("nova-lite", "fresh_input", "0.06", "0.06", "agrees"),
            price("nova-pro", "fresh_input", "0.72", "0.8", "discount"),
            price("nova-pro", "output", "2.88", "3.2", "discount"),
        ];
        expected.sort_by_key(ToString::to_string);
        assert_eq!(rows, expected, "{prices}");
    });
}

#[test]
fn what_happened_and_what_could_be_saved_is_told_with_its_dollars() {
    run(async {
        let (owner, _, month) = settled("Insight by HTTP").await;
        let found = eventually("advice", async || {
            let found = owner.get("/api/v1/recommendations").await;
            (!found["items"].as_array().unwrap().is_empty()).then_some(found)
        })
        .await;
        let advised: Vec<Value> = found["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                of(one, &["kind", "subject", "currency", "monthly_saving", "monthly_cost", "confidence"])
            })
            .collect();
        // Thirty days of 33.792.
        let expected = json!([{
            "kind": "idle_endpoint", "subject": "g5.xlarge in us-east-1 of 222233334444", "currency": "USD",
            "monthly_saving": "1013.76", "monthly_cost": "1013.76", "confidence": "medium",
        }]);
        assert_eq!(json!(advised), expected, "{found}");
        assert_eq!(found["items"][0]["evidence"]["filter"]["instance_type"], "g5.xlarge", "{found}");

        let events = owner.get("/api/v1/insight-events").await;
        let shadow: Vec<Value> = events["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|event| event["kind"] == "shadow_use")
            .map(|event| of(event, &["subject", "day", "amount", "currency", "detail"]))
            .collect();
        let expected = json!([{
            "subject": ROGUE, "day": month.first_day().to_string(), "amount": "15", "currency": "USD",
            "detail": {"tokens": "250000000", "models": "nova-lite"},
        }]);
        assert_eq!(json!(shadow), expected, "{events}");

        let id = found["items"][0]["id"].as_str().unwrap();
        let path = format!("/api/v1/recommendations/{id}/dismissal");
        let said = owner.call("PUT", &path, Some(&json!({"reason": "it serves the demo"}))).await.expect(200);
        assert_eq!(said.json()["dismissed_reason"], "it serves the demo");
        assert_eq!(owner.get("/api/v1/recommendations").await["items"], json!([]));
        let listed = async || owner.get("/api/v1/recommendations?dismissed=true").await["items"].clone();
        assert_eq!(listed().await[0]["id"], id);
        // What was advised by a bill ends with it.
        let bill = owner.get("/api/v1/bills").await["items"][0]["id"].as_str().unwrap().to_owned();
        owner.call("DELETE", &format!("/api/v1/bills/{bill}"), None).await.expect(204);
        eventually("the end of advice", async || (listed().await == json!([])).then_some(())).await;
    });
}

#[test]
fn the_forecast_goes_on_as_calls_went_within_its_band_and_says_nothing_of_bills_that_are_not_there() {
    run(async {
        let owner = shared().owner("Forecast by HTTP").await;
        let key = owner.create_key("logs").await.key_id;
        // Some hundredths of 1.12 dollars on each of the last forty days: 90 to 110, by no rule that a forecast knows.
        let days = || (1..=40_u64).map(|back| (today() - Days::new(back), 90 + back * 37 % 21));
        let call = |(day, hundredths): (NaiveDate, u64)| {
            logged("daily", day, 10_000 * hundredths, 1_000 * hundredths)
        };
        let calls: Value = days().map(call).collect();
        let path = format!("/api/v1/imports/litellm/{key}");
        let taken = owner.send_bill(&path, calls.to_string(), &[]).await.expect(200).json();
        assert_eq!(taken["taken"], 40, "{taken}");

        let found = owner.get("/api/v1/forecast?source=calls").await;
        let [of_dollars] = found["items"].as_array().unwrap().as_slice() else { panic!("{found}") };
        assert_eq!(
            (&of_dollars["currency"], &of_dollars["history_days"]),
            (&json!("USD"), &json!(40)),
            "{found}"
        );
        let amount = |value: &Value| value.as_str().unwrap().parse::<rust_decimal::Decimal>().unwrap();
        let band = |estimate: &Value| {
            let [low, middle, high] = ["low", "middle", "high"].map(|name| amount(&estimate[name]));
            assert!(low < middle && middle < high, "{estimate}");
            (low, middle, high)
        };
        let dollars =
            |hundredths: u64| rust_decimal::Decimal::new(112, 4) * rust_decimal::Decimal::from(hundredths);
        let daily = dollars(100);
        let near = |is: rust_decimal::Decimal, expected: rust_decimal::Decimal| {
            let room = expected / rust_decimal::Decimal::TEN;
            assert!((is - expected).abs() <= room, "{is} for {expected}: {found}");
        };
        let (_, middle, _) = band(&of_dollars["thirty_days"]["estimate"]);
        near(middle, daily * rust_decimal::Decimal::from(30));
        assert_eq!(of_dollars["thirty_days"]["from"], json!(today().to_string()), "{found}");
        // Of this month what was is known to the cent, and the rest goes on so.
        let month = &of_dollars["month"];
        let (first, next) = (Month::of(today()).first_day(), Month::of(today()).end());
        assert_eq!(
            (&month["from"], &month["to"]),
            (&json!(first.to_string()), &json!(next.to_string())),
            "{found}"
        );
        let so_far: u64 = days().filter(|(day, _)| *day >= first).map(|(_, hundredths)| hundredths).sum();
        assert_eq!(amount(&month["so_far"]), dollars(so_far), "{found}");
        assert_eq!(amount(&month["committed"]), rust_decimal::Decimal::ZERO);
        let whole = rust_decimal::Decimal::from((next - first).num_days());
        near(amount(&month["estimate"]["middle"]), daily * whole);

        let of_bills = owner.get("/api/v1/forecast?source=bills").await;
        assert_eq!(of_bills, json!({"items": [], "left_out": []}));
    });
}

#[test]
fn what_may_be_ai_counts_where_its_people_say_so_on_bills_that_are_there_and_on_those_to_come() {
    run(async {
        let (owner, month) = (shared().owner("Candidates").await, month());
        let upload = |name: &'static str, month: Month| {
            let text = bill(month) + &accelerated(month.first_day());
            let owner = owner.clone();
            async move {
                owner.upload(&format!("/api/v1/bills?filename={name}.csv"), text).await["bill_id"].clone()
            }
        };
        let id = upload("first", month).await.as_str().unwrap().to_owned();
        owner.settled().await;
        let candidates = async |id: &str| {
            let found = owner.get(&format!("/api/v1/bills/{id}/candidates")).await;
            let names =
                ["service", "account_id", "region", "instance_type", "accelerators", "cost", "rule_id"];
            found["items"].as_array().unwrap().iter().map(|one| of(one, &names)).collect::<Vec<_>>()
        };
        let expected = |rule: &Value| {
            [json!({
                "service": "ec2", "account_id": "222233334444", "region": "us-east-1", "instance_type": "p5.48xlarge",
                "accelerators": "8 × H100", "cost": "100", "rule_id": rule,
            })]
        };
        assert_eq!(candidates(&id).await, expected(&Value::Null));
        let sums = async |id: &str| {
            let bill = owner.get(&format!("/api/v1/bills/{id}")).await;
            let text = |name: &str| {
                bill["totals"][0][name].as_str().unwrap().parse::<rust_decimal::Decimal>().unwrap()
            };
            (text("ai_cost"), text("candidate_cost"), text("total_cost"))
        };
        let before = sums(&id).await;
        let hundred = rust_decimal::Decimal::ONE_HUNDRED;
        assert_eq!(before.1, hundred);
        let unmetered = async || {
            let whole = owner.get(&format!("/api/v1/settlements/{}", month.first_day())).await;
            let all = whole["residuals"].as_array().unwrap();
            let one = all.iter().find(|one| one["code"] == "unmetered").unwrap();
            one["amount"].as_str().unwrap().parse::<rust_decimal::Decimal>().unwrap()
        };
        let hosting = unmetered().await;

        for (field, body) in
            [("service", json!({"service": "s3"})), ("region", json!({"service": "ec2", "region": " "}))]
        {
            let refused = owner.call("POST", "/api/v1/candidate-rules", Some(&body)).await.expect(400);
            assert!(refused.text().contains(&format!("/{field}")), "{}", refused.text());
        }
        let body = json!({"service": "ec2", "instance_type": "p5.48xlarge"});
        let rule = owner.call("POST", "/api/v1/candidate-rules", Some(&body)).await.expect(201).json();
        owner.call("POST", "/api/v1/candidate-rules", Some(&body)).await.expect_problem(409, "conflict");
        eventually("counted candidates", async || (sums(&id).await.1.is_zero()).then_some(())).await;
        assert_eq!(sums(&id).await, (before.0 + hundred, rust_decimal::Decimal::ZERO, before.2));
        assert_eq!(candidates(&id).await, expected(&rule["id"]));
        let by = owner.get(&format!("/api/v1/bills/{id}/breakdown?by=accelerator")).await;
        assert!(
            by["items"]
                .as_array()
                .unwrap()
                .iter()
                .any(|one| one["group"] == "8 × H100" && one["cost"] == "100"),
            "{by}"
        );
        eventually("settlement by the rule", async || (unmetered().await == hosting + hundred).then_some(()))
            .await;
        // Another month comes, and is decided as it is stored.
        let other = upload("second", month.back(1)).await.as_str().unwrap().to_owned();
        assert_eq!(candidates(&other).await, expected(&rule["id"]));
        assert!(sums(&other).await.1.is_zero());

        let path = format!("/api/v1/candidate-rules/{}", rule["id"].as_str().unwrap());
        owner.call("DELETE", &path, None).await.expect(204);
        owner.call("DELETE", &path, None).await.expect(204);
        eventually("candidates as before", async || (sums(&id).await == before).then_some(())).await;
        eventually("settlement as before", async || (unmetered().await == hosting).then_some(())).await;
        assert_eq!(candidates(&other).await, expected(&Value::Null));
        let rules = owner.get("/api/v1/candidate-rules").await;
        assert_eq!(rules["items"][0]["id"], rule["id"]);
        assert!(rules["items"][0]["ended_at"].is_string(), "{rules}");
    });
}
