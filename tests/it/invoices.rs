//! Vendors' own cost reports, from an admin key to bills that count; and what may go wrong on the way.
//!
//! The vendors are strict ones of the tests' own, on a real socket: they check the key, the headers and the question, and
//! give a month on several pages.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use chrono::{Datelike as _, NaiveDate, Utc};
use costlens_tests::actors::Owner;
use costlens_tests::app::TestApp;
use costlens_tests::fake_invoices::{Book, FakeInvoices};
use costlens_tests::http::Answer;
use costlens_tests::{eventually, run};
use serde_json::{Value, json};

/// A service whose vendors are ours, shared by all tests that break neither.
struct Platform {
    vendors: Arc<FakeInvoices>,
    app: TestApp,
}

static PLATFORM: LazyLock<Platform> = LazyLock::new(|| {
    let vendors = Arc::new(FakeInvoices::start());
    let app = TestApp::shared_with(&[
        ("COSTLENS_INVOICE_URLS", vendors.urls().as_str()),
        ("COSTLENS_ALLOW_PRIVATE_HOSTS", vendors.host_port().as_str()),
    ]);
    Platform { vendors, app }
});

/// The first day of the month that runs, and of the one before it.
#[expect(clippy::disallowed_methods, reason = "the process under test runs by the machine's clock")]
fn months() -> [NaiveDate; 2] {
    let this = Utc::now().date_naive().with_day(1).unwrap();
    [this, (this - chrono::Days::new(1)).with_day(1).unwrap()]
}

fn claude(cents: &str, token_type: &str) -> String {
    json!({
        "amount": cents, "currency": "USD", "cost_type": "tokens", "context_window": "0-200k",
        "description": "Claude Sonnet 4.6 Usage", "model": "claude-sonnet-4-6", "service_tier": "standard",
        "token_type": token_type, "inference_geo": null, "workspace_id": null,
    })
    .to_string()
}

const CLAUDE_USED: &str = r#"{"uncached_input_tokens":1000,"cache_read_input_tokens":0,"output_tokens":50,
    "cache_creation":{"ephemeral_1h_input_tokens":0,"ephemeral_5m_input_tokens":0},"model":"claude-sonnet-4-6",
    "service_tier":"standard","context_window":"0-200k","workspace_id":null}"#;

fn gpt(value: &str, item: &str, organisation: &str) -> String {
    format!(
        r#"{{"object":"organization.costs.result","amount":{{"value":{value},"currency":"usd"}},"line_item":"{item}",
        "project_id":"proj_1","organization_id":"{organisation}"}}"#
    )
}

const GPT_USED: &str = r#"{"input_tokens":900,"input_cached_tokens":300,"output_tokens":40,"num_model_requests":2,
    "project_id":"proj_1","model":"gpt-4o-2024-08-06","batch":false}"#;

/// A source of one owner's.
struct Source {
    owner: Owner,
    id: String,
}

async fn create(owner: &Owner, vendor: &str, name: &str, key: &str) -> Answer {
    let body = json!({"vendor": vendor, "name": name, "admin_key": key});
    owner.call("POST", "/api/v1/invoice-sources", Some(&body)).await
}

impl Source {
    async fn made(app: &TestApp, who: &str, vendor: &str, key: &str) -> Self {
        let owner = app.owner(who).await;
        let made = create(&owner, vendor, "all of it", key).await.expect(201).json();
        assert_eq!((&made["state"], &made["organisation"]), (&json!("pending"), &Value::Null), "{made}");
        Self { owner, id: made["id"].as_str().unwrap().to_owned() }
    }

    fn path(&self, more: &str) -> String {
        format!("/api/v1/invoice-sources/{}{more}", self.id)
    }

    async fn show(&self) -> Value {
        self.owner.get(&self.path("")).await
    }

    async fn until(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        eventually(what, async || Some(self.show().await).filter(|shown| is(shown))).await
    }

    async fn active(&self) -> Value {
        self.until("active source", |shown| shown["state"] == "active").await
    }

    async fn failing(&self, code: &str) -> Value {
        let failing = |shown: &Value| shown["state"] == "failing" && shown["problem"]["code"] == code;
        self.until(code, failing).await
    }

    /// Has the vendor asked.
    async fn ask(&self) {
        self.owner.call("POST", &self.path("/test"), None).await.expect(202);
    }

    /// Has the vendor asked, and waits until it was.
    async fn read_again(&self) -> Value {
        let before = self.show().await;
        self.ask().await;
        self.until("another reading", |shown| {
            shown["fetched_at"] != before["fetched_at"] || shown["state"] != "active"
        })
        .await
    }

    /// The bills that count, newest month first.
    async fn bills(&self) -> Vec<Value> {
        let bills = self.owner.get("/api/v1/bills").await;
        let mut bills: Vec<Value> = bills["items"].as_array().unwrap().clone();
        bills.retain(|bill| bill["superseded_at"] == Value::Null);
        bills.sort_by_key(|bill| std::cmp::Reverse(bill["first_day"].as_str().unwrap().to_owned()));
        bills
    }

    fn row(&self) -> String {
        self.id.trim_start_matches("ivs_").to_owned()
    }
}

/// What a bill cost by its own totals, currency by currency.
fn totals(bill: &Value) -> Vec<(String, String)> {
    let one = |total: &Value| {
        (total["currency"].as_str().unwrap().to_owned(), total["total_cost"].as_str().unwrap().to_owned())
    };
    bill["totals"].as_array().unwrap().iter().map(one).collect()
}

/// A book of Anthropic's with something in both months.
fn filled(vendors: &FakeInvoices) -> Book {
    let book = vendors.book("anthropic");
    let [this, last] = months();
    book.cost(this, &claude("123.45", "uncached_input_tokens"));
    book.usage(this, CLAUDE_USED);
    book.cost(last, &claude("200", "output_tokens"));
    book.cost(last + chrono::Days::new(20), &claude("100.5", "output_tokens"));
    book
}

#[test]
fn a_month_of_anthropic_becomes_a_bill() {
    run(async {
        let (vendors, app) = (&PLATFORM.vendors, &PLATFORM.app);
        let book = filled(vendors);
        let source = Source::made(app, "Claude's customer", "anthropic", book.key()).await;
        let shown = source.active().await;
        assert!(
            book.asked("/cost_report") > 2,
            "a month has several pages: {:?}",
            book.with(|pages| pages.asked.clone())
        );
        assert_eq!(shown["organisation"], book.with(|pages| pages.organisation.clone()));
        assert_eq!(shown["months"].as_array().unwrap().len(), 2, "{shown}");
        assert!(
            shown["months"][0]["problem"].is_null() && shown["months"][0]["bill_id"].is_string(),
            "{shown}"
        );
        let bills = source.bills().await;
        let [this, last] = months();
        let days: Vec<_> = bills.iter().map(|bill| bill["first_day"].clone()).collect();
        assert_eq!(days, [json!(this.to_string()), json!(last.to_string())]);
        assert!(bills.iter().all(|bill| bill["format"] == "anthropic_costs"), "{bills:?}");
        let tokens = app.query(&format!(
            "SELECT usage_account || ' ' || meter || ' ' || model || ' ' || coalesce(tokens::text, '-') || ' ' || unblended::text \
             FROM bill_daily_fact WHERE tenant_id = '{}' ORDER BY day DESC LIMIT 1",
            source.owner.tenant_id.trim_start_matches("ten_")
        ));
        assert_eq!(tokens.trim(), "default fresh_input claude-sonnet-4-6 1000 1.2345");
        let path = format!("/api/v1/bills/{}", bills[1]["id"].as_str().unwrap());
        assert_eq!(totals(&source.owner.get(&path).await), [("USD".to_owned(), "3.005".to_owned())]);

        // The key went in and is nowhere to be seen.
        let sealed = app.query(&format!(
            "SELECT encode(sealed_key, 'escape') FROM invoice_source WHERE id = '{}'",
            source.row()
        ));
        let log = String::from_utf8_lossy(&app.log()).into_owned();
        for text in
            [sealed, shown.to_string(), source.owner.get("/api/v1/audit-events").await.to_string(), log]
        {
            assert!(!text.contains(book.key()), "the admin key is in {text}");
        }
        assert_eq!(shown["key_hint"].as_str().unwrap().len(), 4);
    });
}

#[test]
fn a_month_of_openai_keeps_its_digits() {
    run(async {
        let (vendors, app) = (&PLATFORM.vendors, &PLATFORM.app);
        let book = vendors.book("openai");
        let [this, _] = months();
        book.cost(this, &gpt("0.8958740000000001", "gpt-4o-2024-08-06, input", "org-acme"));
        book.cost(this, &gpt("0.1", "gpt-4o-2024-08-06, cached input", "org-acme"));
        book.cost(this, &gpt("0.2", "something of tomorrow", "org-acme"));
        book.usage(this, GPT_USED);
        let source = Source::made(app, "GPT's customer", "openai", book.key()).await;
        assert_eq!(source.active().await["organisation"], "org-acme");
        let bills = source.bills().await;
        assert_eq!(bills.len(), 1, "the month before was free: {bills:?}");
        assert_eq!(bills[0]["format"], "openai_costs");
        let facts = app.query(&format!(
            "SELECT usage_type || ' | ' || billing_account || ' | ' || usage_account || ' | ' || coalesce(tokens::text, '-') || \
                 ' | ' || unblended::text || ' | ' || (class ->> 'understood') \
             FROM bill_daily_fact WHERE tenant_id = '{}' ORDER BY unblended",
            source.owner.tenant_id.trim_start_matches("ten_")
        ));
        let facts: Vec<&str> = facts.lines().collect();
        assert_eq!(
            facts,
            [
                "gpt-4o-2024-08-06, cached input | org-acme | proj_1 | 300 | 0.1 | true",
                "something of tomorrow | org-acme | proj_1 | - | 0.2 | false",
                "gpt-4o-2024-08-06, input | org-acme | proj_1 | 600 | 0.8958740000000001 | true",
            ]
        );
    });
}

#[test]
fn what_did_not_change_changes_nothing_and_what_did_takes_its_place() {
    run(async {
        let (vendors, app) = (&PLATFORM.vendors, &PLATFORM.app);
        let book = filled(vendors);
        let source = Source::made(app, "Restated", "anthropic", book.key()).await;
        source.active().await;
        let before = source.bills().await;
        book.with(|pages| pages.days_per_page = 31);
        let shown = source.read_again().await;
        assert_eq!(shown["state"], "active", "{shown}");
        assert_eq!(source.bills().await, before, "other pages of the same days are the same month");

        let [this, last] = months();
        book.cost(last, &claude("-50", "output_tokens"));
        let shown = source.read_again().await;
        let after = source.bills().await;
        assert_eq!(after.len(), 2, "{after:?}");
        assert_eq!(after[0], before[0], "the other month stays as it was");
        assert_ne!(after[1]["id"], before[1]["id"]);
        assert_eq!(shown["months"][1]["bill_id"], after[1]["id"]);
        let path = format!("/api/v1/bills/{}", after[1]["id"].as_str().unwrap());
        assert_eq!(totals(&source.owner.get(&path).await), [("USD".to_owned(), "2.505".to_owned())]);
        let old = before[1]["id"].as_str().unwrap().trim_start_matches("bil_").to_owned();
        let kept = app.query(&format!("SELECT count(*) FROM bill_daily_fact WHERE bill_id = '{old}'"));
        assert_eq!(kept.trim(), "0", "a version that no longer counts gives up its facts");
        let restated = app.query(&format!(
            "SELECT subject || ' ' || sign(amount) FROM insight_event WHERE kind = 'month_restated' AND tenant_id = \
             (SELECT tenant_id FROM invoice_source WHERE id = '{}')",
            source.row()
        ));
        assert_eq!(
            restated.trim(),
            format!("{} -1", &last.to_string()[..7]),
            "what changed is told all the same"
        );

        // A page that cannot be taken leaves the last good month, and the other month goes on.
        book.with(|pages| pages.twice = Some(last));
        book.cost(this, &claude("7", "output_tokens"));
        let shown = source.read_again().await;
        assert_eq!(
            (&shown["state"], &shown["problem"]["code"]),
            (&json!("failing"), &json!("report_unreadable")),
            "{shown}"
        );
        assert_eq!(shown["months"][1]["problem"]["code"], "report_unreadable");
        assert!(shown["problem"]["detail"].as_str().unwrap().contains("twice"), "{shown}");
        assert_eq!(shown["months"][1]["bill_id"], after[1]["id"], "the bill before counts on");
        assert_ne!(shown["months"][0]["bill_id"], after[0]["id"]);
        book.with(|pages| pages.twice = None);
        source.ask().await;
        let shown = source.active().await;
        assert!(shown["problem"].is_null() && shown["months"][1]["problem"].is_null(), "{shown}");
    });
}

#[test]
fn a_key_that_the_vendor_refuses_is_a_named_problem_told_once() {
    run(async {
        let (vendors, app) = (&PLATFORM.vendors, &PLATFORM.app);
        let source = Source::made(app, "Wrong key", "anthropic", "sk-ant-admin01-of-nobody-at-all").await;
        let shown = source.failing("key_refused").await;
        assert!(shown["problem"]["remedy"].as_str().unwrap().contains("new admin key"), "{shown}");
        assert!(source.bills().await.is_empty());
        source.ask().await;
        eventually("second try", async || {
            let failures =
                app.query(&format!("SELECT failures FROM invoice_source WHERE id = '{}'", source.row()));
            (failures.trim() == "2").then_some(())
        })
        .await;
        let told = app.query(&format!(
            "SELECT count(*) FROM event WHERE kind = 'bill.failed' AND payload ->> 'invoice_source_id' = '{}'",
            source.id
        ));
        assert_eq!(told.trim(), "1");

        let book = filled(vendors);
        let body = json!({"admin_key": book.key()});
        let replaced = source.owner.call("PUT", &source.path("/key"), Some(&body)).await.expect(200).json();
        assert_eq!((&replaced["state"], &replaced["problem"]), (&json!("pending"), &Value::Null));
        source.active().await;
        assert_eq!(source.bills().await.len(), 2);

        // The key of another organisation would put its figures in the place of this one's.
        let other = filled(vendors);
        let body = json!({"admin_key": other.key()});
        source.owner.call("PUT", &source.path("/key"), Some(&body)).await.expect(200);
        source.failing("organisation_changed").await;
        assert_eq!(other.asked("cost_report"), 0);
        let body = json!({"admin_key": vendors.another_key(&book)});
        source.owner.call("PUT", &source.path("/key"), Some(&body)).await.expect(200);
        source.active().await;
    });
}

#[test]
fn a_key_that_can_never_work_is_refused_by_its_shape() {
    run(async {
        let app = &PLATFORM.app;
        let owner = app.owner("Shapes").await;
        for (vendor, key, says) in [
            ("anthropic", "sk-ant-api03-abcdefghijklmnopqrst", "a key for calls"),
            ("openai", "sk-proj-abcdefghijklmnopqrstuvwx", "a key for calls"),
            ("openai", "sk-ant-admin01-abcdefghijklmnop", "an admin key of Anthropic"),
            ("openai", "whatever", "begin with sk-admin-"),
        ] {
            let answer = create(&owner, vendor, "x", key).await;
            let problem = answer.json();
            assert!((400..500).contains(&answer.status), "{problem}");
            let text = problem.to_string();
            assert!(text.contains(says) && !text.contains(key), "{text}");
        }
        assert_eq!(owner.get("/api/v1/invoice-sources").await["items"], json!([]));
        // The same key and body have one effect; a name is taken once.
        let body = json!({"vendor": "openai", "name": "one", "admin_key": "sk-admin-abcdefghijklmnopqrst"});
        let headers = [("idempotency-key", "one-source")];
        let first = owner
            .call_with("POST", "/api/v1/invoice-sources", Some(&body), &headers)
            .await
            .expect(201)
            .json();
        let again = owner
            .call_with("POST", "/api/v1/invoice-sources", Some(&body), &headers)
            .await
            .expect(201)
            .json();
        assert_eq!(first["id"], again["id"]);
        let taken = create(&owner, "openai", "one", "sk-admin-abcdefghijklmnopqrsu").await;
        taken.expect_problem(409, "conflict");
    });
}

#[test]
fn a_vendor_that_is_away_is_asked_again() {
    run(async {
        let (vendors, app) = (&PLATFORM.vendors, &PLATFORM.app);
        let mut away = Vec::new();
        for status in [429, 503] {
            let book = filled(vendors);
            book.with(|pages| pages.instead = Some((status, 1)));
            away.push(Source::made(app, &format!("Away {status}"), "anthropic", book.key()).await);
        }
        for source in away {
            source.active().await;
            assert_eq!(source.bills().await.len(), 2);
        }
        let book = filled(vendors);
        book.with(|pages| pages.instead = Some((403, 1_000)));
        let source = Source::made(app, "Forbidden", "anthropic", book.key()).await;
        source.failing("access_denied").await;
    });
}

#[test]
fn one_organisation_is_read_by_one_source_and_counts_once() {
    run(async {
        let (vendors, app) = (&PLATFORM.vendors, &PLATFORM.app);
        let book = filled(vendors);
        let first = Source::made(app, "Twice", "anthropic", book.key()).await;
        first.active().await;
        let made =
            create(&first.owner, "anthropic", "again", &vendors.another_key(&book)).await.expect(201).json();
        let second = Source { owner: first.owner, id: made["id"].as_str().unwrap().to_owned() };
        second.failing("organisation_connected").await;
        assert_eq!(second.bills().await.len(), 2);

        let owner = &second.owner;
        owner.call("DELETE", &format!("/api/v1/invoice-sources/{}", first.id), None).await.expect(204);
        owner.call("DELETE", &format!("/api/v1/invoice-sources/{}", first.id), None).await.expect(204);
        let keys = app.query(&format!(
            "SELECT count(sealed_key) FROM invoice_source WHERE id = '{}'",
            first.id.trim_start_matches("ivs_")
        ));
        assert_eq!(keys.trim(), "0", "the key goes with the source");
        owner
            .call("POST", &format!("/api/v1/invoice-sources/{}/test", first.id), None)
            .await
            .expect_problem(409, "conflict");
        second.ask().await;
        second.active().await;
        assert_eq!(second.bills().await.len(), 2, "what the first one read does not count beside it");
    });
}

#[test]
fn a_paused_source_asks_nobody_until_it_is_resumed() {
    run(async {
        let (vendors, app) = (&PLATFORM.vendors, &PLATFORM.app);
        let book = filled(vendors);
        let source = Source::made(app, "Resting", "anthropic", book.key()).await;
        source.active().await;
        let paused = source.owner.call("POST", &source.path("/pause"), None).await.expect(200).json();
        assert_eq!((&paused["state"], &paused["next_fetch_at"]), (&json!("paused"), &Value::Null));
        source.owner.call("POST", &source.path("/test"), None).await.expect_problem(409, "conflict");
        let asked = book.with(|pages| pages.asked.len());
        let body = json!({"admin_key": vendors.another_key(&book)});
        let replaced = source.owner.call("PUT", &source.path("/key"), Some(&body)).await.expect(200).json();
        assert_eq!(replaced["state"], "paused");
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(book.with(|pages| pages.asked.len()), asked);
        source.owner.call("POST", &source.path("/resume"), None).await.expect(200);
        source.active().await;
        assert!(book.with(|pages| pages.asked.len()) > asked);
    });
}

#[test]
fn another_tenant_sees_nothing_of_a_source() {
    run(async {
        let (vendors, app) = (&PLATFORM.vendors, &PLATFORM.app);
        let book = filled(vendors);
        let source = Source::made(app, "Its owner", "anthropic", book.key()).await;
        source.active().await;
        let stranger = app.owner("A stranger").await;
        assert_eq!(stranger.get("/api/v1/invoice-sources").await["items"], json!([]));
        assert_eq!(stranger.get("/api/v1/bills").await["items"], json!([]));
        let key = json!({"admin_key": book.key()});
        for (method, more, body) in [
            ("GET", "", None),
            ("POST", "/test", None),
            ("PUT", "/key", Some(&key)),
            ("POST", "/pause", None),
            ("POST", "/resume", None),
            ("DELETE", "", None),
        ] {
            stranger.call(method, &source.path(more), body).await.expect_problem(404, "not_found");
        }
        assert_eq!(source.show().await["state"], "active");
    });
}

#[test]
fn a_server_that_is_killed_in_the_middle_stores_each_month_once() {
    run(async {
        let vendors = FakeInvoices::start();
        let book = filled(&vendors);
        let mut app = TestApp::own(&[
            ("COSTLENS_INVOICE_URLS", vendors.urls().as_str()),
            ("COSTLENS_ALLOW_PRIVATE_HOSTS", vendors.host_port().as_str()),
        ]);
        let [this, _] = months();
        book.with(|pages| pages.pause = Some((this, Duration::from_secs(20))));
        let source = Source::made(&app, "Killed", "anthropic", book.key()).await;
        // The first month is stored, and the second is being read.
        eventually("first month", async || (source.bills().await.len() == 1).then_some(())).await;
        app.kill();
        book.with(|pages| pages.pause = None);
        app.start();
        let source = Source { owner: source.owner.at(&app.base_url()), id: source.id };
        source.active().await;
        assert_eq!(source.bills().await.len(), 2);
        let all = app.query("SELECT count(*) FROM bill");
        assert_eq!(all.trim(), "2", "no month was stored twice");
        let told = app.query("SELECT count(*) FROM event WHERE kind = 'bill.published'");
        assert_eq!(told.trim(), "2");
    });
}
