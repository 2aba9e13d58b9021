//! The price catalogue from outside: a running server takes a published document into its prices, prices the next call
//! by it, and gives the calls that had no price one; what jumps waits for the operator.

use std::sync::{Arc, Mutex};

use costlens_tests::actors::{CHAT, Owner, call_id};
use costlens_tests::app::TestApp;
use costlens_tests::reply::Tokens;
use costlens_tests::{eventually, run};
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;

const NOVEL: &str = "gpt-99-novel";

/// Whoever hosts the document, with TLS.
struct Host {
    port: u16,
    root: String,
    document: Arc<Mutex<String>>,
}

impl Host {
    async fn open() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let root = pem(made.cert.der());
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let tls = TlsAcceptor::from(Arc::new(config));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let document = Arc::<Mutex<String>>::default();
        let served = Arc::clone(&document);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, served) = (tls.clone(), Arc::clone(&served));
                tokio::spawn(async move {
                    let Ok(mut stream) = tls.accept(stream).await else { return };
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        let Ok(byte) = stream.read_u8().await else { return };
                        head.push(byte);
                    }
                    let text = served.lock().unwrap().clone();
                    let head = format!(
                        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{text}",
                        text.len()
                    );
                    let _gone = stream.write_all(head.as_bytes()).await;
                    let _gone = stream.shutdown().await;
                });
            }
        });
        Self { port, root, document }
    }

    fn serve(&self, document: &Value) {
        *self.document.lock().unwrap() = document.to_string();
    }
}

/// A certificate as `SSL_CERT_FILE` wants it.
fn pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

/// Has the document fetched now.
fn fetch(app: &TestApp) {
    app.sql(
        "INSERT INTO queue.job (id, queue, args, metadata, max_attempts, run_at) \
         VALUES (gen_random_uuid(), 'prices.v1', '{}', '{}', 5, now())",
    );
}

async fn status(operator: &Owner) -> Value {
    operator.get("/api/v1/operator/prices").await
}

/// Waits until calls are priced by this version.
async fn in_force(operator: &Owner, version: u64) {
    eventually("the new prices", async || (status(operator).await["price_version"] == version).then_some(()))
        .await;
}

fn openai(document: &mut Value) -> &mut Value {
    let files = document["files"].as_array_mut().unwrap();
    files.iter_mut().find(|file| file["provider"] == "openai").unwrap()
}

fn ten_times_as_dear(document: &mut Value) {
    let models = openai(document)["models"].as_array_mut().unwrap();
    models.last_mut().unwrap()["rates"][0]["output"] = json!("80");
}

/// A jump waits for a person: it comes into force by the operator's word, which only an operator can give, and once.
async fn is_looked_at_and_published(owner: &Owner, operator: &Owner) {
    let review = eventually("a review", async || {
        let reviews = operator.get("/api/v1/operator/price-reviews").await;
        reviews["items"].as_array().unwrap().first().cloned()
    })
    .await;
    let why = &review["changes"]["review"][0];
    assert_eq!(
        (&why["why"], &why["change"]["old"], &why["change"]["new"]),
        (&json!("jump"), &json!("8"), &json!("80"))
    );
    assert_eq!(status(operator).await["newest_version"], 1);
    let approve = format!("/api/v1/operator/price-reviews/{}/approve", review["id"].as_str().unwrap());
    let reason = json!({"reason": "the vendor said so"});
    owner.call("POST", &approve, Some(&reason)).await.expect_problem(404, "not_found");
    operator.call("POST", &approve, Some(&reason)).await.expect(204);
    operator.call("POST", &approve, Some(&reason)).await.expect_problem(409, "conflict");
    in_force(operator, 2).await;
    let events = operator.get("/api/v1/operator/events").await.to_string();
    assert!(events.contains("prices.approved") && events.contains("act.failed"), "{events}");
}

#[test]
fn a_running_server_prices_the_next_call_by_what_was_published_and_the_earlier_ones_too() {
    run(async {
        let host = Host::open().await;
        let ca = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(ca.path(), &host.root).unwrap();
        let url = format!("https://localhost:{}/prices.json", host.port);
        let app = TestApp::own(&[
            ("COSTLENS_PRICES_URL", &url),
            ("SSL_CERT_FILE", ca.path().to_str().unwrap()),
            ("COSTLENS_ALLOW_PRIVATE_HOSTS", &format!("localhost:{}", host.port)),
        ]);
        let owner = app.owner("Priced later").await;
        let tenant = app.command(&["tenants", "create", "Operator"]);
        let base = app.base_url();
        let link = app.command(&["sign-in", "--tenant", &tenant, "--operator", "--public-url", &base]);
        let operator = Owner::sign_in(&base, &link).await;
        let line = app.llm.line_of(Tokens::plain(1_000, 100));
        owner.connect_both(&line).await;
        let program = owner.create_key("prices").await;
        let call = || json!({"model": NOVEL, "messages": [{"role": "user", "content": "x"}]}).to_string();

        let early = call_id();
        program.post(CHAT, &early, call()).await.expect(200);
        assert_eq!(program.row(&early).await["cost_basis"], "unpriced");
        let unknown = format!("/api/v1/prices/lookup?provider=openai&model={NOVEL}");
        owner.call("GET", &unknown, None).await.expect_problem(404, "not_found");

        // What the command exports is what a host serves.
        let mut document: Value = serde_json::from_str(&app.command(&["prices", "export"])).unwrap();
        openai(&mut document)["models"].as_array_mut().unwrap().push(json!({
            "id": NOVEL, "checked": "2026-11-20", "source": "the vendor's page",
            "rates": [{"fresh_input": "2", "output": "8"}],
        }));
        host.serve(&document);
        fetch(&app);
        in_force(&operator, 1).await;

        // 1000 at two dollars a million, 100 at eight.
        let late = call_id();
        program.post(CHAT, &late, call()).await.expect(200);
        let row = program.row(&late).await;
        assert_eq!((&row["cost"], &row["cost_basis"]), (&json!("0.0028"), &json!("exact")), "{row}");
        assert_eq!(row["price"]["source"], "the vendor's page");
        assert_eq!(row["price"]["repriced"], Value::Null);
        let row = eventually("a price for the earlier call", async || {
            let row = program.row(&early).await;
            (row["cost_basis"] == "exact").then_some(row)
        })
        .await;
        assert_eq!(
            (&row["cost"], &row["price"]["effective"]),
            (&json!("0.0028"), &json!("2026-11-20")),
            "{row}"
        );
        let told = &row["price"]["repriced"];
        assert_eq!((&told["price_version"], &told["first_basis"]), (&json!(1), &json!("unpriced")), "{row}");
        assert_eq!(told["first_cost"], Value::Null);
        let total = program.get("/api/v1/spend/series").await.expect(200).json()["total"].clone();
        assert_eq!((&total["cost"], &total["unpriced_requests"]), (&json!("0.0056"), &json!(0)), "{total}");
        let walks = owner.get("/api/v1/repricings").await;
        assert_eq!(
            (&walks["items"][0]["requests"], &walks["items"][0]["kind"]),
            (&json!(1), &json!("unpriced"))
        );
        let price = owner.get(&unknown).await;
        assert_eq!(
            (&price["rates"][0]["output"], &price["price_version"]),
            (&json!("8"), &json!(1)),
            "{price}"
        );

        ten_times_as_dear(&mut document);
        host.serve(&document);
        fetch(&app);
        is_looked_at_and_published(&owner, &operator).await;

        // The earlier calls keep their price until the operator has it corrected.
        let last = call_id();
        program.post(CHAT, &last, call()).await.expect(200);
        let last = program.row(&last).await;
        assert_eq!(last["cost"], "0.01", "two thousandths in, eight out");
        assert_eq!(program.row(&late).await["cost"], "0.0028");
        let from = program.row(&early).await["started_at"].clone();
        let asked = json!({
            "provider": "openai", "model": NOVEL, "from": from, "to": last["started_at"], "reason": "late news",
        });
        let path = "/api/v1/operator/price-corrections";
        let correction = operator.call("POST", path, Some(&asked)).await.expect(201).json();
        let one = format!("{path}/{}", correction["id"].as_str().unwrap());
        let state = async |wanted: &str| {
            eventually(wanted, async || {
                let details = operator.get(&one).await;
                (details["correction"]["state"] == wanted).then_some(details)
            })
            .await
        };
        let counted = state("previewed").await;
        assert_eq!(
            (
                &counted["preview"]["changed"],
                &counted["preview"]["old_cost"],
                &counted["preview"]["new_cost"]
            ),
            (&json!(2), &json!("0.0056"), &json!("0.02")),
            "{counted}"
        );
        let reason = json!({"reason": "the vendor said so"});
        operator.call("POST", &format!("{one}/run"), Some(&reason)).await.expect(204);
        state("done").await;
        let row = program.row(&late).await;
        assert_eq!(
            (&row["cost"], &row["price"]["repriced"]["first_cost"]),
            (&json!("0.01"), &json!("0.0028"))
        );
        let total = program.get("/api/v1/spend/series").await.expect(200).json()["total"].clone();
        assert_eq!(total["cost"], "0.03");
        let audit = owner.get("/api/v1/audit-events").await.to_string();
        assert!(audit.contains("requests.repriced"), "{audit}");
        operator.call("POST", &format!("{one}/run"), Some(&reason)).await.expect_problem(409, "conflict");
    });
}
