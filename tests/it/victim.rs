//! Who must not be seen: a tenant with one of everything, and the words that would betray it; and how each
//! operation of the contract is called.

use costlens_tests::actors::{CHAT, MESSAGES, Owner, Program, call_id};
use costlens_tests::app::TestApp;
use costlens_tests::eventually;
use costlens_tests::fake_llm::Line;
use costlens_tests::http;
use costlens_tests::http::Answer;
use costlens_tests::mailbox::Mailbox;
use costlens_tests::reply::Tokens;
use serde_json::{Value, json};

/// The routes of the proxy, each with a model that only the first tenant's connections serve.
pub(crate) const ROUTES: &[(&str, &str)] = &[(CHAT, "gpt-4o-mini"), (MESSAGES, "claude-sonnet-4-5")];

/// The first tenant, with one of everything, and the words that would betray it.
pub(crate) struct Victim {
    pub(crate) owner: Owner,
    pub(crate) program: Program,
    pub(crate) line: Line,
    pub(crate) connection: String,
    pub(crate) aws_connection: String,
    pub(crate) invoice_source: String,
    pub(crate) external_id: String,
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
    candidate_rule: String,
    export: String,
    anomaly: String,
    happening: String,
    recommendation: String,
    message: String,
    workflow: String,
    audit: String,
    repricing: String,
    grant: String,
    domain: String,
}

const ACCOUNT: &str = "424242424242";

impl Victim {
    /// `mailbox` gets the mail, if the server sends any.
    pub(crate) async fn with_everything(
        app: &TestApp,
        operations: &[Operation],
        mailbox: Option<&Mailbox>,
    ) -> Self {
        let owner = app.owner("Aurora").await;
        let line = app.llm.line_of(Tokens::plain(424_242_424, 17));
        let connection = json!({"provider": "openai", "name": "aurora-openai", "secret": line.secret()});
        let connection = owner.connect(connection).await;
        owner
            .connect(json!({"provider": "anthropic", "name": "aurora-anthropic", "secret": line.secret()}))
            .await;
        let program = owner.create_key("aurora-key").await;
        let labels = json!({"labels": [{"name": "team", "value": "aurora-team"}]});
        let path = format!("/api/v1/keys/{}/labels", program.key_id);
        owner.call("PUT", &path, Some(&labels)).await.expect(200);
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
                owner.settled().await;
                Some((text("id"), text("bill_id")))
            }
            None => None,
        };
        let account = json!({
            "account_id": ACCOUNT, "bucket": "aurora-billing", "prefix": "aurora", "report_name": "aurora",
        });
        let account = owner.call("POST", "/api/v1/aws-connections", Some(&account)).await.expect(201).json();
        let aws_connection = account["id"].as_str().unwrap().to_owned();
        let external_id = account["external_id"].as_str().unwrap().to_owned();
        let source =
            json!({"vendor": "openai", "name": "Aurora's", "admin_key": "sk-admin-abcdefghijklmnop-aurora"});
        let source = owner.call("POST", "/api/v1/invoice-sources", Some(&source)).await.expect(201).json();
        let invoice_source = source["id"].as_str().unwrap().to_owned();
        if let Some((_, bill)) = &bill {
            delivered(app, &owner.tenant_id, &aws_connection, bill);
        }
        let told = Told::by(app, &owner).await;
        let invite = async |email: &str| {
            let body = json!({"email": email, "role": "analyst"});
            owner.call("POST", "/api/v1/invitations", Some(&body)).await.expect(201).json()
        };
        let email = format!("aurora-member-{}@mail.example", owner.tenant_id);
        let sent = invite(&email).await;
        let token = match mailbox {
            Some(mailbox) => mailbox.token(&email, "/invitation", 0).await,
            None => sent["link"].as_str().unwrap().split_once("#t=").unwrap().1.to_owned(),
        };
        let body = json!({"token": token, "name": "Aurora's analyst", "password": "correct horse battery"});
        let accept = format!("{}/api/v1/invitations/accept", app.base_url());
        let joined =
            http::send("POST", &accept, &[("content-type", "application/json")], body.to_string()).await;
        let member = joined.expect(201).json()["user"]["id"].as_str().unwrap().to_owned();
        let invitation = invite(&format!("aurora-asked-{}@mail.example", owner.tenant_id)).await["id"]
            .as_str()
            .unwrap()
            .to_owned();
        Self {
            owner,
            program,
            line,
            connection,
            aws_connection,
            invoice_source,
            external_id,
            request,
            bill,
            told,
            member,
            invitation,
        }
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
        words.extend([&told.grant, &told.domain, &told.candidate_rule].map(Clone::clone));
        words.extend([&self.aws_connection, &self.external_id, &self.invoice_source].map(Clone::clone));
        words.extend([&told.happening, &told.recommendation].map(Clone::clone));
        words.extend(self.bill.clone().map(|(upload, bill)| [upload, bill]).into_iter().flatten());
        words
    }

    /// A path or query with the victim's ids put in.
    pub(crate) fn named_in(&self, path: &str) -> String {
        let (upload, bill) = self.bill.clone().unwrap_or_default();
        let of_path = |segment: &str| match segment {
            "keys" | "litellm" => self.program.key_id.clone(),
            "connections" => self.connection.clone(),
            "aws-connections" => self.aws_connection.clone(),
            "invoice-sources" => self.invoice_source.clone(),
            "requests" => self.request.clone(),
            "bills" => bill.clone(),
            "uploads" => upload.clone(),
            "recipients" => self.told.recipient.clone(),
            "slack-channels" => self.told.channel.clone(),
            "webhook-endpoints" => self.told.endpoint.clone(),
            "budgets" => self.told.budget.clone(),
            "candidate-rules" => self.told.candidate_rule.clone(),
            "anomalies" => self.told.anomaly.clone(),
            "recommendations" => self.told.recommendation.clone(),
            "invitations" => self.invitation.clone(),
            "sign-ins" => "ses_019ab3c4d5e67f8091a2b3c4d5e6f708".to_owned(),
            "exports" => self.told.export.clone(),
            "support-grants" => self.told.grant.clone(),
            "domains" => self.told.domain.clone(),
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
            // Deliveries are of a month, and a settlement is named after its first day.
            .replace(
                "{month}",
                if path.starts_with("/api/v1/settlements") { "2026-10-01" } else { "2026-10" },
            )
            .replace("{user_id}", &self.member)
            .replace("{provider}", "google")
            .replace("{export}", &self.told.export)
            .replace("{kind}", "weekly_digest")
            .replace("{name}", "partitions")
            .replace("{anomaly}", &self.told.anomaly)
            .replace("{happening}", &self.told.happening)
            .replace("{message}", &self.told.message)
            .replace("{workflow}", &self.told.workflow)
            .replace("{audit}", &self.told.audit)
            .replace("{repricing}", &self.told.repricing)
            .replace("{grant}", &self.told.grant)
            .replace("{tenant_id}", &self.owner.tenant_id)
            .replace("{key}", &self.program.key_id)
            .replace("{connection}", &self.connection)
            .replace("{aws_connection}", &self.aws_connection)
            .replace("{invoice_source}", &self.invoice_source)
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
        "create_recipient" | "start_single_sign_on" => json(json!({"email": format!("{name}@mail.example")})),
        "create_slack_channel" => json(json!({"name": name, "url": slack_url(app)})),
        "create_webhook_endpoint" => json(json!({"name": name, "url": hook_url(app)})),
        "create_support_grant" => json(json!({"hours": 1, "reason": name})),
        "create_export" => json(json!({"what": "requests", "format": "csv"})),
        "decide_anomaly" => json(json!({"judgement": "dismissed", "reason": name})),
        "dismiss_recommendation" => json(json!({"reason": name})),
        "create_candidate_rule" => json(json!({"service": "ec2", "account_id": name})),
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
        // Nobody comes to run an account unasked.
        "set_single_sign_on" => json(json!({
            "issuer": "https://idp.example.com", "client_id": name, "client_secret": name, "default_role": "owner",
        })),
        "create_single_sign_on_domain" => json(json!({"domain": format!("{name}.example")})),
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
        | "update_privacy"
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
        "set_key_labels" => json(json!({"labels": [{"name": "team", "value": name}]})),
        "create_key" | "update_key" => json(json!({"name": name})),
        "create_price_correction" => json(json!({
            "provider": "openai", "model": "gpt-4o", "reason": "x",
            "from": "2026-11-01T00:00:00Z", "to": "2026-11-02T00:00:00Z",
        })),
        "create_connection" => {
            ("application/json", json!({"provider": "openai", "name": name, "secret": "sk-x"}).to_string())
        }
        "create_aws_connection" => {
            let number: u64 =
                name.bytes().fold(7, |sum, byte| (sum * 31 + u64::from(byte)) % 999_999_999_989);
            json(json!({
                "account_id": format!("{number:012}"), "bucket": "some-bucket", "prefix": "exports",
                "report_name": "costlens",
            }))
        }
        "create_invoice_source" => json(json!({
            "vendor": "openai", "name": name, "admin_key": "sk-admin-abcdefghijklmnopqrst",
        })),
        "replace_invoice_key" => json(json!({"admin_key": "sk-admin-abcdefghijklmnopqrst"})),
        "create_session" => ("application/json", json!({"token": "acs_no-such-token"}).to_string()),
        "create_bill" => ("application/octet-stream", bill("000000000000", "1.00")),
        "import_litellm_logs" => ("application/octet-stream", "[]".to_owned()),
        _ => ("", String::new()),
    };
    let mut headers = credential.to_vec();
    if !kind.is_empty() {
        headers.push(("content-type", kind));
    }
    let query = match operation.id.as_str() {
        "create_bill" => "?filename=bill.csv",
        "get_price" => "?provider=openai&model=gpt-4o",
        "preview_body_purge" => "?body_retention=7d",
        "unlink_identity" => "?issuer=https://accounts.google.com",
        _ => "",
    };
    http::send(&operation.method, &format!("{}{path}{query}", app.base_url()), &headers, body).await
}

/// As if AWS had delivered the bill.
fn delivered(app: &TestApp, tenant: &str, connection: &str, bill: &str) {
    let id = |prefixed: &str| prefixed.split_once('_').unwrap().1.to_owned();
    let (tenant, connection, bill) = (id(tenant), id(connection), id(bill));
    app.sql(&format!(
        "INSERT INTO bill_delivery (tenant_id, id, connection_id, month, delivery, manifest_key, manifest_etag, \
             manifest_sha256, rules_version, bill_id, finality, files, bytes, changes, created_at) \
         VALUES ('{tenant}', '{connection}', '{connection}', '2026-10-01', 'd', 'k', 'e', decode(repeat('00', 32), 'hex'), \
             1, '{bill}', 'closing', 1, 1, '[]', now()); \
         INSERT INTO bill_month (tenant_id, connection_id, month, state, manifest_key, delivery_id, updated_at) \
         VALUES ('{tenant}', '{connection}', '2026-10-01', 'current', 'k', '{connection}', now())"
    ));
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
        // Of what no bill has, so that no sum is another one.
        let rule = json!({"service": "ec2", "region": "aurora-1"});
        let rule = make("candidate-rules", rule).await;
        let test = format!("/api/v1/webhook-endpoints/{endpoint}/test");
        let event = text(&owner.call("POST", &test, None).await.expect(202).json()["event_id"]);
        eventually("a delivery", async || {
            let path = format!("/api/v1/webhook-endpoints/{endpoint}/deliveries");
            owner.get(&path).await["items"].as_array().unwrap().first().cloned()
        })
        .await;
        let export = json!({"what": "requests", "format": "csv", "provider": "openai"});
        let export = owner.call("POST", "/api/v1/exports", Some(&export)).await.expect(202).json();
        let export = text(&export["id"]);
        eventually("an export", async || {
            let path = format!("/api/v1/exports/{export}");
            (owner.get(&path).await["state"] == "done").then_some(())
        })
        .await;
        // An anomaly takes a week of calls to be found.
        let anomaly = owner.tenant_id.replace("ten_", "ano_");
        app.sql(&insight_of(&owner.tenant_id));
        // A price for the account's earlier calls, which takes a published catalogue to be found.
        let repricing = owner.tenant_id.replace("ten_", "rpc_");
        app.sql(&format!(
            "INSERT INTO repricing (tenant_id, id, kind, key, version, changed, new_cost, started_at, finished_at) \
             VALUES ('{0}', '{0}', 'unpriced', 'a test', 1, 1, 4242.42, now(), now())",
            owner.tenant_id.trim_start_matches("ten_")
        ));
        let grant = make("support-grants", json!({"hours": 1, "reason": "aurora"})).await;
        // A provider is asked before it is stored, and nobody answers here.
        let domain = make("single-sign-on/domains", json!({"domain": "aurora-firm.example"})).await;
        app.sql(&format!(
            "INSERT INTO sso_provider (tenant_id, id, issuer, client_id, sealed_secret, default_role, required, \
             created_at, changed_at) VALUES ('{0}', '{0}', 'https://aurora.example', 'aurora-client', '\\x01', \
             'viewer', false, now(), now())",
            owner.tenant_id.trim_start_matches("ten_")
        ));
        let newest = async |list: &str| text(&owner.get(list).await["items"][0]["id"]);
        Self {
            recipient: text(&recipient["id"]),
            channel: text(&channel["id"]),
            endpoint: endpoint.clone(),
            event,
            budget: text(&budget["id"]),
            candidate_rule: text(&rule["id"]),
            export,
            anomaly,
            happening: owner.tenant_id.replace("ten_", "ins_"),
            recommendation: owner.tenant_id.replace("ten_", "rec_"),
            repricing,
            message: newest("/api/v1/messages").await,
            workflow: newest("/api/v1/workflows").await,
            audit: newest("/api/v1/audit-events").await,
            grant: text(&grant["id"]),
            domain: text(&domain["id"]),
        }
    }
}

/// What is found in weeks of facts: a surprise, an event and a recommendation, each with the tenant's own digits as its
/// id.
pub(crate) fn insight_of(tenant_id: &str) -> String {
    let tenant = tenant_id.trim_start_matches("ten_");
    format!(
        "INSERT INTO anomaly (tenant_id, id, series, hour, detector, expected, actual, contributors, found_at) \
         VALUES ('{tenant}', '{tenant}', 'total', '2026-11-01T00:00:00Z', 'log-level-hour/1', 1, 4242.42, '[]', \
             '2026-11-01T01:00:00Z'); \
         INSERT INTO insight_event (tenant_id, id, kind, subject, day, currency, amount, detail, found_at) \
         VALUES ('{tenant}', '{tenant}', 'new_model', 'aurora', '2026-11-01', 'USD', 4242.42, '{{}}', \
             '2026-11-02T05:35:00Z'); \
         INSERT INTO recommendation (tenant_id, id, kind, subject, currency, monthly_saving, monthly_cost, confidence, \
             evidence, first_found_at, found_at) \
         VALUES ('{tenant}', '{tenant}', 'idle_endpoint', 'aurora', 'USD', 4242.42, 4242.42, 'medium', '{{}}', \
             '2026-11-02T05:35:00Z', '2026-11-02T05:35:00Z')"
    )
}

/// A legacy Cost and Usage Report of three lines, one of which no rule knows.
fn bill(account: &str, cost: &str) -> String {
    // A settlement is named after its month: a stranger has none of the victim's.
    let (month, next) = if account == ACCOUNT { ("2026-10", "2026-11") } else { ("2026-09", "2026-10") };
    let line = |id: &str, service: &str, usage: &str, cost: &str| {
        format!(
            "{id},{month}-01T00:00:00Z/{month}-01T01:00:00Z,{account},{account},Usage,{month}-01T00:00:00Z,\
             {month}-01T01:00:00Z,{service},{usage},1000,USD,{cost},{month}-01T00:00:00Z,{next}-01T00:00:00Z,AWS,Anniversary\n"
        )
    };
    "identity/LineItemId,identity/TimeInterval,bill/PayerAccountId,lineItem/UsageAccountId,lineItem/LineItemType,\
     lineItem/UsageStartDate,lineItem/UsageEndDate,lineItem/ProductCode,lineItem/UsageType,lineItem/UsageAmount,\
     lineItem/CurrencyCode,lineItem/UnblendedCost,bill/BillingPeriodStartDate,bill/BillingPeriodEndDate,\
     bill/BillingEntity,bill/BillType\n"
        .to_owned()
        + &line("a1", "AmazonBedrock", "USE1-Claude3Sonnet-input-tokens", cost)
        + &line("a2", "AmazonEC2", "USE1-BoxUsage:p5.48xlarge", "1.00")
        + &line("a3", "AmazonBedrock", &format!("USE1-Unheard-Of-{account}"), "0.00")
}
