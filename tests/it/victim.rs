//! Who must not be seen: a tenant with one of everything, and the words that would betray it; and how each
//! operation of the contract is called.

use costlens_tests::actors::{CHAT, MESSAGES, Owner, Program, call_id};
use costlens_tests::app::TestApp;
use costlens_tests::eventually;
use costlens_tests::fake_llm::Line;
use costlens_tests::http;
use costlens_tests::http::Answer;
use costlens_tests::reply::Tokens;
use serde_json::{Value, json};
use std::time::Duration;

/// The routes of the proxy, each with a model that only the first tenant's connections serve.
pub(crate) const ROUTES: &[(&str, &str)] = &[(CHAT, "gpt-4o-mini"), (MESSAGES, "claude-sonnet-4-5")];

/// The first tenant, with one of everything, and the words that would betray it.
pub(crate) struct Victim {
    pub(crate) owner: Owner,
    pub(crate) program: Program,
    pub(crate) line: Line,
    pub(crate) connection: String,
    request: String,
    /// The upload and the bill that it became.
    bill: Option<(String, String)>,
    told: Told,
    member: String,
    invitation: String,
}

/// Whom the first tenant tells, and what came of it.
struct Told {
    recipient: String,
    channel: String,
    endpoint: String,
    event: String,
    budget: String,
    export: String,
    anomaly: String,
    message: String,
    workflow: String,
    audit: String,
    repricing: String,
}

const ACCOUNT: &str = "424242424242";

impl Victim {
    pub(crate) async fn with_everything(app: &TestApp, operations: &[Operation]) -> Self {
        let owner = app.owner("Aurora").await;
        let line = app.llm.line_of(Tokens::plain(424_242_424, 17));
        let connection = json!({"provider": "openai", "name": "aurora-openai", "secret": line.secret()});
        let connection = owner.connect(connection).await;
        owner
            .connect(json!({"provider": "anthropic", "name": "aurora-anthropic", "secret": line.secret()}))
            .await;
        let program = owner.create_key("aurora-key").await;
        let mut request = String::new();
        for (path, model) in ROUTES {
            let body =
                json!({"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "aurora"}]});
            let id = format!("aurora-{}", call_id());
            let answer = program.post(path, &id, body.to_string()).await.expect(200);
            answer.header("costlens-request-id").clone_into(&mut request);
            program.row(&id).await;
        }
        let bill = match operations.iter().find(|operation| operation.id == "create_bill") {
            Some(operation) => {
                let path = format!("{}?filename=aurora.csv", operation.path);
                let upload = owner.upload(&path, bill(ACCOUNT, "4242.42")).await;
                let text = |name: &str| upload[name].as_str().unwrap().to_owned();
                Some((text("id"), text("bill_id")))
            }
            None => None,
        };
        let told = Told::by(app, &owner).await;
        let invite = async |email: &str| {
            let body = json!({"email": email, "role": "analyst"});
            owner.call("POST", "/api/v1/invitations", Some(&body)).await.expect(201).json()
        };
        let sent = invite(&format!("aurora-member-{}@mail.example", owner.tenant_id)).await;
        let token = sent["link"].as_str().unwrap().split_once("#t=").unwrap().1;
        let body = json!({"token": token, "name": "Aurora's analyst", "password": "correct horse battery"});
        let accept = format!("{}/api/v1/invitations/accept", app.base_url());
        let joined =
            http::send("POST", &accept, &[("content-type", "application/json")], body.to_string()).await;
        let member = joined.expect(201).json()["user"]["id"].as_str().unwrap().to_owned();
        let invitation = invite(&format!("aurora-asked-{}@mail.example", owner.tenant_id)).await["id"]
            .as_str()
            .unwrap()
            .to_owned();
        Self { owner, program, line, connection, request, bill, told, member, invitation }
    }

    /// Everything that must never reach another tenant.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let mut words: Vec<String> =
            ["aurora", "Aurora", "424242424", "848484848", "4242.42", self.line.secret()]
                .map(str::to_owned)
                .to_vec();
        words.extend([&self.owner.tenant_id, &self.program.key_id, &self.program.secret].map(Clone::clone));
        words.extend([&self.connection, &self.request, &self.member, &self.invitation].map(Clone::clone));
        let told = &self.told;
        words.extend(
            [&told.recipient, &told.channel, &told.endpoint, &told.event, &told.budget].map(Clone::clone),
        );
        words.extend(
            [&told.anomaly, &told.message, &told.workflow, &told.audit, &told.export, &told.repricing]
                .map(Clone::clone),
        );
        words.extend(self.bill.clone().map(|(upload, bill)| [upload, bill]).into_iter().flatten());
        words
    }

    /// A path or query with the victim's ids put in.
    pub(crate) fn named_in(&self, path: &str) -> String {
        let (upload, bill) = self.bill.clone().unwrap_or_default();
        let of_path = |segment: &str| match segment {
            "keys" => self.program.key_id.clone(),
            "connections" => self.connection.clone(),
            "requests" => self.request.clone(),
            "bills" => bill.clone(),
            "uploads" => upload.clone(),
            "recipients" => self.told.recipient.clone(),
            "slack-channels" => self.told.channel.clone(),
            "webhook-endpoints" => self.told.endpoint.clone(),
            "budgets" => self.told.budget.clone(),
            "invitations" => self.invitation.clone(),
            "sign-ins" => "ses_019ab3c4d5e67f8091a2b3c4d5e6f708".to_owned(),
            "exports" => self.told.export.clone(),
            "workflows" | "jobs" => self.told.workflow.clone(),
            "price-reviews" => "prv_019ab3c4d5e67f8091a2b3c4d5e6f708".to_owned(),
            "price-corrections" => "pcr_019ab3c4d5e67f8091a2b3c4d5e6f708".to_owned(),
            "erasures" => "era_019ab3c4d5e67f8091a2b3c4d5e6f708".to_owned(),
            other => panic!("{path}: the matrix knows no `{other}` with an id"),
        };
        let path = match path.split_once("/{id}") {
            Some((before, _)) => path.replace("{id}", &of_path(before.rsplit('/').next().unwrap())),
            None => path.to_owned(),
        };
        path.replace("{event_id}", &self.told.event)
            .replace("{user_id}", &self.member)
            .replace("{provider}", "google")
            .replace("{export}", &self.told.export)
            .replace("{kind}", "weekly_digest")
            .replace("{name}", "partitions")
            .replace("{anomaly}", &self.told.anomaly)
            .replace("{message}", &self.told.message)
            .replace("{workflow}", &self.told.workflow)
            .replace("{audit}", &self.told.audit)
            .replace("{repricing}", &self.told.repricing)
            .replace("{key}", &self.program.key_id)
            .replace("{connection}", &self.connection)
            .replace("{request}", &self.request)
            .replace("{upload}", &upload)
            .replace("{bill}", &bill)
    }
}

#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) id: String,
    pub(crate) method: String,
    pub(crate) path: String,
}

/// Every operation of the served contract.
pub(crate) async fn operations(app: &TestApp) -> Vec<Operation> {
    let contract = app.get("/openapi.json").await.expect(200).json();
    let mut all = Vec::new();
    for (path, methods) in contract["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap().to_owned();
            all.push(Operation { id, method: method.to_uppercase(), path: path.clone() });
        }
    }
    all
}

/// Calls an operation with a body that it takes.
pub(crate) async fn send(
    app: &TestApp,
    operation: &Operation,
    path: &str,
    credential: &[(&str, &str)],
) -> Answer {
    let name = call_id();
    let json = |body: Value| ("application/json", body.to_string());
    let (kind, body) = match operation.id.as_str() {
        "create_recipient" => json(json!({"email": format!("{name}@mail.example")})),
        "create_slack_channel" => json(json!({"name": name, "url": slack_url(app)})),
        "create_webhook_endpoint" => json(json!({"name": name, "url": hook_url(app)})),
        "create_export" => json(json!({"what": "requests", "format": "csv"})),
        "create_budget" => json(json!({"name": name, "period": "day", "amount": "1"})),
        "create_invitation" => json(json!({"email": format!("{name}@mail.example"), "role": "viewer"})),
        "update_member" => json(json!({"role": "viewer"})),
        "create_password_session" => {
            json(json!({"email": format!("{name}@mail.example"), "password": "correct horse battery"}))
        }
        "create_registration" | "create_password_reset" => {
            json(json!({"email": format!("{name}@mail.example")}))
        }
        "complete_registration" => json(
            json!({"token": "bWFkZSB1cA", "name": "x", "tenant_name": "x", "password": "correct horse battery"}),
        ),
        "complete_password_reset" => {
            json(json!({"token": "bWFkZSB1cA", "password": "correct horse battery"}))
        }
        "create_clerk_session" => json(json!({"token": "eyJ.made.up"})),
        "create_exchanged_session" => json(json!({"code": "acx_no-such-code"})),
        "switch_tenant" => json(json!({"tenant_id": "ten_019ab3c4d5e67f8091a2b3c4d5e6f708"})),
        "change_password" => json(json!({"current": "x", "new": "correct horse battery"})),
        "confirm_second_factor" => json(json!({"code": "000000"})),
        "prove_session"
        | "update_user"
        | "update_tenant"
        | "update_settings"
        | "update_recipient"
        | "update_slack_channel"
        | "update_webhook_endpoint"
        | "preview_redrive"
        | "roll_key" => json(json!({})),
        "accept_invitation" | "confirm_recipient" | "unsubscribe" | "keep_account" => {
            json(json!({"token": "bWFkZSB1cA"}))
        }
        // Nobody closes an account by the name of another's.
        "request_closure" => json(json!({"confirm": "Aurora"})),
        "redrive_dead_letters" | "discard_dead_letters" => json(json!({"which": {}, "reason": "x"})),
        "retry_operator_job"
        | "cancel_operator_job"
        | "discard_operator_job"
        | "approve_price_review"
        | "refuse_price_review"
        | "run_price_correction"
        | "cancel_price_correction"
        | "pause_schedule"
        | "resume_schedule" => json(json!({"reason": "x"})),
        "create_key" | "update_key" => json(json!({"name": name})),
        "create_price_correction" => json(json!({
            "provider": "openai", "model": "gpt-4o", "reason": "x",
            "from": "2026-11-01T00:00:00Z", "to": "2026-11-02T00:00:00Z",
        })),
        "create_connection" => {
            ("application/json", json!({"provider": "openai", "name": name, "secret": "sk-x"}).to_string())
        }
        "create_session" => ("application/json", json!({"token": "acs_no-such-token"}).to_string()),
        "create_bill" => ("application/octet-stream", bill("000000000000", "1.00")),
        _ => ("", String::new()),
    };
    let mut headers = credential.to_vec();
    if !kind.is_empty() {
        headers.push(("content-type", kind));
    }
    let query = match operation.id.as_str() {
        "create_bill" => "?filename=bill.csv",
        "get_price" => "?provider=openai&model=gpt-4o",
        "unlink_identity" => "?issuer=https://accounts.google.com",
        _ => "",
    };
    http::send(&operation.method, &format!("{}{path}{query}", app.base_url()), &headers, body).await
}

/// A Slack webhook that nobody answers.
pub(crate) fn slack_url(app: &TestApp) -> String {
    format!("http://{}/services/T0/B0/x", app.nothing_there)
}

/// An endpoint that nobody answers.
pub(crate) fn hook_url(app: &TestApp) -> String {
    format!("http://{}/hook", app.nothing_there)
}

impl Told {
    async fn by(app: &TestApp, owner: &Owner) -> Self {
        let make = async |path: &str, body: Value| {
            owner.call("POST", &format!("/api/v1/{path}"), Some(&body)).await.expect(201).json()
        };
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let recipient = make("recipients", json!({"email": "aurora@mail.example"})).await;
        let channel = make("slack-channels", json!({"name": "aurora-channel", "url": slack_url(app)})).await;
        let endpoint = make("webhook-endpoints", json!({"name": "aurora-hook", "url": hook_url(app)})).await;
        let endpoint = text(&endpoint["endpoint"]["id"]);
        let budget = json!({"name": "aurora-budget", "period": "month", "amount": "4242.42"});
        let budget = make("budgets", budget).await;
        let test = format!("/api/v1/webhook-endpoints/{endpoint}/test");
        let event = text(&owner.call("POST", &test, None).await.expect(202).json()["event_id"]);
        eventually(Duration::from_secs(20), "a delivery", async || {
            let path = format!("/api/v1/webhook-endpoints/{endpoint}/deliveries");
            owner.get(&path).await["items"].as_array().unwrap().first().cloned()
        })
        .await;
        let export = json!({"what": "requests", "format": "csv", "provider": "openai"});
        let export = owner.call("POST", "/api/v1/exports", Some(&export)).await.expect(202).json();
        let export = text(&export["id"]);
        eventually(Duration::from_secs(20), "an export", async || {
            let path = format!("/api/v1/exports/{export}");
            (owner.get(&path).await["state"] == "done").then_some(())
        })
        .await;
        // An anomaly takes a week of calls to be found.
        let anomaly = owner.tenant_id.replace("ten_", "ano_");
        app.sql(&format!(
            "INSERT INTO anomaly (tenant_id, id, series, hour, detector, expected, actual, contributors, found_at) \
             VALUES ('{0}', '{0}', 'total', '2026-11-01T00:00:00Z', 'median-hour/1', 1, 4242.42, '[]', \
             '2026-11-01T01:00:00Z')",
            owner.tenant_id.trim_start_matches("ten_")
        ));
        // A price for the account's earlier calls, which takes a published catalogue to be found.
        let repricing = owner.tenant_id.replace("ten_", "rpc_");
        app.sql(&format!(
            "INSERT INTO repricing (tenant_id, id, kind, key, version, changed, new_cost, started_at, finished_at) \
             VALUES ('{0}', '{0}', 'unpriced', 'a test', 1, 1, 4242.42, now(), now())",
            owner.tenant_id.trim_start_matches("ten_")
        ));
        let newest = async |list: &str| text(&owner.get(list).await["items"][0]["id"]);
        Self {
            recipient: text(&recipient["id"]),
            channel: text(&channel["id"]),
            endpoint: endpoint.clone(),
            event,
            budget: text(&budget["id"]),
            export,
            anomaly,
            repricing,
            message: newest("/api/v1/messages").await,
            workflow: newest("/api/v1/workflows").await,
            audit: newest("/api/v1/audit-events").await,
        }
    }
}

/// A legacy Cost and Usage Report of two lines.
fn bill(account: &str, cost: &str) -> String {
    let line = |id: &str, service: &str, usage: &str, cost: &str| {
        format!(
            "{id},2026-10-01T00:00:00Z/2026-10-01T01:00:00Z,{account},{account},Usage,2026-10-01T00:00:00Z,\
             2026-10-01T01:00:00Z,{service},{usage},1000,USD,{cost},2026-10-01T00:00:00Z,2026-11-01T00:00:00Z,AWS,Anniversary\n"
        )
    };
    "identity/LineItemId,identity/TimeInterval,bill/PayerAccountId,lineItem/UsageAccountId,lineItem/LineItemType,\
     lineItem/UsageStartDate,lineItem/UsageEndDate,lineItem/ProductCode,lineItem/UsageType,lineItem/UsageAmount,\
     lineItem/CurrencyCode,lineItem/UnblendedCost,bill/BillingPeriodStartDate,bill/BillingPeriodEndDate,\
     bill/BillingEntity,bill/BillType\n"
        .to_owned()
        + &line("a1", "AmazonBedrock", "USE1-Claude3Sonnet-input-tokens", cost)
        + &line("a2", "AmazonEC2", "BoxUsage:t3.micro", "1.00")
}
