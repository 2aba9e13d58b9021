//! Who must not be seen: a tenant with one of everything, and the words that would betray it; and how each
//! operation of the contract is called.

use costlens_tests::actors::{CHAT, MESSAGES, Owner, Program, call_id};
use costlens_tests::app::TestApp;
use costlens_tests::fake_llm::Line;
use costlens_tests::http;
use costlens_tests::http::Answer;
use costlens_tests::reply::Tokens;
use serde_json::json;

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
                let upload = owner.upload(&path, bill(ACCOUNT, "42.42")).await;
                let text = |name: &str| upload[name].as_str().unwrap().to_owned();
                Some((text("id"), text("bill_id")))
            }
            None => None,
        };
        Self { owner, program, line, connection, request, bill }
    }

    /// Everything that must never reach another tenant.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let mut words: Vec<String> =
            ["aurora", "Aurora", "424242424", "848484848", "42.42", self.line.secret()]
                .map(str::to_owned)
                .to_vec();
        words.extend([&self.owner.tenant_id, &self.program.key_id, &self.program.secret].map(Clone::clone));
        words.extend([&self.connection, &self.request].map(Clone::clone));
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
            other => panic!("{path}: the matrix knows no `{other}` with an id"),
        };
        let path = match path.split_once("/{id}") {
            Some((before, _)) => path.replace("{id}", &of_path(before.rsplit('/').next().unwrap())),
            None => path.to_owned(),
        };
        path.replace("{key}", &self.program.key_id)
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
    let (kind, body) = match operation.id.as_str() {
        "create_key" => ("application/json", json!({"name": name}).to_string()),
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
    let query = if operation.id == "create_bill" { "?filename=bill.csv" } else { "" };
    http::send(&operation.method, &format!("{}{path}{query}", app.base_url()), &headers, body).await
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
