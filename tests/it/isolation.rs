//! One tenant's key, session or id never shows another tenant's data: a matrix over every operation of the
//! contract and every route of the proxy. An operation without a row in the matrix fails the test.

use std::collections::BTreeSet;
use std::time::Duration;

use costlens_tests::actors::{CHAT, Owner, call_id};
use costlens_tests::app::{TestApp, shared};
use costlens_tests::http::Answer;
use costlens_tests::reply::Tokens;
use costlens_tests::{http, in_time, run};
use serde_json::{Value, json};

use crate::victim::{Operation, ROUTES, Victim, operations, send};

/// What an operation is about, and so how a stranger must fare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    /// One thing, named in the path: 404 for whoever may not know of it.
    OneThing,
    /// The same, whose answer is a compressed file.
    OneFile,
    /// The caller's things, narrowed by these queries, some of which name another's: never another's.
    Things(&'static [&'static str]),
    /// A new thing of the caller's own.
    NewThing,
    /// The caller's session.
    Session,
    /// What is the same for everybody who is let in.
    Everybody,
    /// What the caller has one of, and what it does to that.
    Own,
    /// What a mail's link does: its token is the only credential, and this one is made up.
    Link,
    /// The way back from somebody who vouches: to the sign-in, whatever is there.
    Comeback,
    /// Running the service: not there for anybody else.
    Operator,
    /// The door itself.
    SignIn,
    /// What anybody may ask, and hears the same.
    Anybody,
    /// What is a person's own, who signed in as itself: nobody here is one.
    Person,
    /// What is the same for everybody, also without a credential.
    Public,
}

/// One row for each operation of the contract.
const MATRIX: &[(&str, About)] = &[
    ("create_session", About::SignIn),
    ("create_password_session", About::SignIn),
    ("refresh_session", About::SignIn),
    ("create_exchanged_session", About::SignIn),
    ("create_clerk_session", About::Link),
    ("start_oauth", About::Link),
    ("finish_oauth", About::Link),
    ("unlink_identity", About::Person),
    ("start_single_sign_on", About::Link),
    ("finish_single_sign_on", About::Comeback),
    ("get_single_sign_on", About::Own),
    ("set_single_sign_on", About::Own),
    ("remove_single_sign_on", About::Own),
    ("create_single_sign_on_domain", About::NewThing),
    ("check_single_sign_on_domain", About::OneThing),
    ("delete_single_sign_on_domain", About::OneThing),
    ("get_session", About::Session),
    ("delete_session", About::Session),
    ("prove_session", About::Person),
    ("switch_tenant", About::Person),
    ("get_sign_in_options", About::Anybody),
    ("create_registration", About::Anybody),
    ("complete_registration", About::Link),
    ("create_password_reset", About::Anybody),
    ("complete_password_reset", About::Link),
    ("get_user", About::Person),
    ("update_user", About::Person),
    ("change_password", About::Person),
    ("list_sign_ins", About::Person),
    ("end_sign_in", About::Person),
    ("begin_second_factor", About::Person),
    ("confirm_second_factor", About::Person),
    ("replace_recovery_codes", About::Person),
    ("remove_second_factor", About::Person),
    ("list_members", About::Things(&[""])),
    ("update_member", About::OneThing),
    ("remove_member", About::OneThing),
    ("list_invitations", About::Things(&[""])),
    ("create_invitation", About::NewThing),
    ("revoke_invitation", About::OneThing),
    ("accept_invitation", About::Link),
    ("get_tenant", About::Own),
    ("update_tenant", About::Own),
    ("list_keys", About::Things(&["", "?limit=200", "?cursor={key}"])),
    ("create_key", About::NewThing),
    ("get_key", About::OneThing),
    ("update_key", About::OneThing),
    ("get_key_labels", About::OneThing),
    ("set_key_labels", About::OneThing),
    ("list_key_labels", About::Things(&["", "?limit=1000"])),
    ("roll_key", About::OneThing),
    ("revoke_key", About::OneThing),
    ("destroy_key_bodies", About::OneThing),
    ("list_providers", About::Everybody),
    ("list_connections", About::Things(&["", "?limit=200", "?cursor={connection}"])),
    ("create_connection", About::NewThing),
    ("get_connection", About::OneThing),
    ("disable_connection", About::OneThing),
    (
        "list_requests",
        About::Things(&[
            "",
            "?api_key_id={key}",
            "?model=gpt-4o-mini",
            "?provider=openai",
            "?origin=proxy",
            "?cursor={request}",
        ]),
    ),
    (
        "export_requests",
        About::Things(&[
            "",
            "?format=csv",
            "?api_key_id={key}",
            "?format=csv&api_key_id={key}&provider=openai",
        ]),
    ),
    ("get_request", About::OneThing),
    ("import_litellm_logs", About::OneThing),
    ("get_request_body", About::OneThing),
    (
        "get_spend_series",
        About::Things(&["", "?group_by=key", "?group_by=model&interval=hour", "?provider=openai"]),
    ),
    ("get_spend_breakdown", About::Things(&["", "?by=key", "?by=provider"])),
    ("list_bills", About::Things(&["", "?limit=200", "?cursor={bill}"])),
    ("create_bill", About::NewThing),
    ("list_bill_uploads", About::Things(&["", "?limit=200", "?cursor={upload}"])),
    ("get_bill_upload", About::OneThing),
    ("get_bill", About::OneThing),
    ("get_bill_breakdown", About::OneThing),
    ("get_bill_series", About::Things(&["", "?group_by=account"])),
    ("list_bill_drift", About::Things(&["", "?limit=1000"])),
    ("list_aws_connections", About::Things(&["", "?limit=200", "?cursor={aws_connection}"])),
    ("create_aws_connection", About::NewThing),
    ("get_aws_connection", About::OneThing),
    ("test_aws_connection", About::OneThing),
    ("pause_aws_connection", About::OneThing),
    ("resume_aws_connection", About::OneThing),
    ("reconnect_aws_connection", About::OneThing),
    ("revoke_aws_connection", About::OneThing),
    ("list_invoice_sources", About::Things(&["", "?limit=200", "?cursor={invoice_source}"])),
    ("create_invoice_source", About::NewThing),
    ("get_invoice_source", About::OneThing),
    ("test_invoice_source", About::OneThing),
    ("replace_invoice_key", About::OneThing),
    ("pause_invoice_source", About::OneThing),
    ("resume_invoice_source", About::OneThing),
    ("revoke_invoice_source", About::OneThing),
    ("list_bill_months", About::OneThing),
    ("list_bill_deliveries", About::OneThing),
    (
        "list_settlements",
        About::Things(&["", "?limit=200", "?cursor=2026-11-01-aws", "?cursor=2026-10-01-openai"]),
    ),
    ("get_settlement", About::OneThing),
    ("get_settlement_breakdown", About::OneThing),
    ("get_settlement_coverage", About::OneThing),
    ("get_settlement_prices", About::OneThing),
    ("get_settled_cost", About::OneThing),
    (
        "get_chargeback",
        About::Things(&["", "?by=key", "?by=user", "?by=tag&tag=cost-centre", "?measure=amortised&limit=1"]),
    ),
    ("get_statement", About::Things(&["", "?measure=net_unblended"])),
    ("export_chargeback", About::Things(&["", "?by=key", "?by=tag&tag=cost-centre"])),
    ("get_privacy", About::Own),
    ("update_privacy", About::Own),
    ("preview_body_purge", About::Own),
    ("list_support_grants", About::Things(&["", "?limit=200", "?cursor={grant}"])),
    ("create_support_grant", About::NewThing),
    ("revoke_support_grant", About::OneThing),
    ("list_exports", About::Things(&["", "?limit=200", "?cursor={export}"])),
    ("create_export", About::NewThing),
    ("get_export", About::OneThing),
    ("delete_export", About::OneThing),
    ("download_export", About::OneFile),
    ("get_settings", About::Own),
    ("update_settings", About::Own),
    ("list_recipients", About::Things(&[""])),
    ("create_recipient", About::NewThing),
    ("update_recipient", About::OneThing),
    ("delete_recipient", About::OneThing),
    ("resend_confirmation", About::OneThing),
    ("confirm_recipient", About::Link),
    ("unsubscribe", About::Link),
    ("list_slack_channels", About::Things(&[""])),
    ("create_slack_channel", About::NewThing),
    ("update_slack_channel", About::OneThing),
    ("delete_slack_channel", About::OneThing),
    ("test_slack_channel", About::OneThing),
    ("list_event_kinds", About::Everybody),
    ("list_webhook_endpoints", About::Things(&[""])),
    ("create_webhook_endpoint", About::NewThing),
    ("get_webhook_endpoint", About::OneThing),
    ("update_webhook_endpoint", About::OneThing),
    ("roll_webhook_secret", About::OneThing),
    ("delete_webhook_endpoint", About::OneThing),
    ("test_webhook_endpoint", About::OneThing),
    ("list_webhook_deliveries", About::OneThing),
    ("retry_webhook_delivery", About::OneThing),
    ("list_budgets", About::Things(&[""])),
    ("create_budget", About::NewThing),
    ("delete_budget", About::OneThing),
    ("list_anomalies", About::Things(&["", "?limit=200", "?cursor={anomaly}"])),
    ("decide_anomaly", About::OneThing),
    ("list_insight_events", About::Things(&["", "?limit=200", "?cursor={happening}"])),
    ("list_recommendations", About::Things(&["", "?dismissed=true"])),
    ("dismiss_recommendation", About::OneThing),
    ("get_forecast", About::Everybody),
    ("list_messages", About::Things(&["", "?limit=200", "?cursor={message}"])),
    ("list_message_kinds", About::Everybody),
    ("preview_message", About::Everybody),
    ("get_closure", About::Own),
    ("request_closure", About::Own),
    ("cancel_closure", About::Own),
    ("keep_account", About::Link),
    ("get_erasure_certificate", About::Link),
    ("list_workflows", About::Things(&["", "?limit=200", "?cursor={workflow}"])),
    ("get_workflow", About::OneThing),
    ("list_audit_events", About::Things(&["", "?limit=200", "?cursor={audit}"])),
    ("get_audit_head", About::Own),
    ("verify_audit", About::Own),
    ("export_audit", About::Things(&["", "?after=1"])),
    ("list_operator_jobs", About::Operator),
    ("get_operator_job", About::Operator),
    ("get_operator_stats", About::Operator),
    ("retry_operator_job", About::Operator),
    ("cancel_operator_job", About::Operator),
    ("discard_operator_job", About::Operator),
    ("preview_redrive", About::Operator),
    ("redrive_dead_letters", About::Operator),
    ("discard_dead_letters", About::Operator),
    ("list_schedules", About::Operator),
    ("pause_schedule", About::Operator),
    ("resume_schedule", About::Operator),
    ("list_operator_events", About::Operator),
    ("get_operator_events_head", About::Operator),
    ("verify_operator_events", About::Operator),
    ("export_operator_events", About::Operator),
    ("list_erasures", About::Operator),
    ("list_prices", About::Everybody),
    ("get_price", About::Everybody),
    ("list_repricings", About::Things(&["", "?limit=200", "?cursor={repricing}"])),
    ("get_price_status", About::Operator),
    ("list_price_versions", About::Operator),
    ("list_price_reviews", About::Operator),
    ("approve_price_review", About::Operator),
    ("refuse_price_review", About::Operator),
    ("list_price_corrections", About::Operator),
    ("create_price_correction", About::Operator),
    ("get_price_correction", About::Operator),
    ("run_price_correction", About::Operator),
    ("cancel_price_correction", About::Operator),
    ("get_operator_request_body", About::Operator),
    ("list_operator_support_grants", About::Operator),
    ("get_trust", About::Public),
    ("get_status", About::Public),
];

#[track_caller]
fn shows_nothing_of(secrets: &[String], answer: &Answer, what: &str) {
    let text = format!("{:?}\n{}", answer.headers, answer.text());
    for secret in secrets {
        assert!(!text.contains(secret.as_str()), "{what} shows `{secret}`: {} {text}", answer.status);
    }
}

#[test]
fn every_operation_has_a_row_in_the_matrix() {
    run(async {
        let operations = operations(shared()).await;
        let contract: BTreeSet<_> = operations.iter().map(|operation| operation.id.as_str()).collect();
        let matrix: BTreeSet<_> = MATRIX.iter().map(|(id, _)| *id).collect();
        let missing: Vec<_> = contract.difference(&matrix).collect();
        assert!(missing.is_empty(), "give these operations a row in the matrix: {missing:?}");
        let gone: Vec<_> = matrix.difference(&contract).collect();
        assert!(gone.is_empty(), "these operations are no longer in the contract: {gone:?}");
        let routes: BTreeSet<_> = ROUTES.iter().map(|(path, _)| *path).collect();
        let served: BTreeSet<_> = costlens_proxy::http::ROUTES.iter().copied().collect();
        assert_eq!(routes, served, "the proxy's routes and the matrix differ");
    });
}

fn about(operation: &Operation) -> About {
    let row = MATRIX.iter().find(|(id, _)| *id == operation.id);
    row.unwrap_or_else(|| panic!("give `{}` a row in the matrix", operation.id)).1
}

#[test]
fn without_a_valid_credential_no_operation_gives_anything() {
    run(async {
        let app = shared();
        let operations = operations(app).await;
        let victim = Victim::with_everything(app, &operations).await;
        let secrets = victim.secrets();

        let ended = app.owner("Ended").await;
        assert_eq!(ended.call("DELETE", "/api/v1/session", None).await.status, 204);
        let owner = app.owner("Revoked").await;
        let revoked = owner.create_key("revoked").await;
        let path = format!("/api/v1/keys/{}", revoked.key_id);
        assert_eq!(owner.call("DELETE", &path, None).await.status, 204);
        let revoked = format!("Bearer {}", revoked.secret);
        // A tenant's own id and a session's cookie in the wrong place open nothing either.
        let cookie_as_key = format!("Bearer {}", victim.owner.cookie().split_once('=').unwrap().1);
        let key_as_cookie = format!("costlens_session={}", victim.program.secret);
        let credentials: [&[(&str, &str)]; 6] = [
            &[],
            &[("cookie", ended.cookie())],
            &[("cookie", "costlens_session=made-up")],
            &[("authorization", &revoked)],
            &[("authorization", &cookie_as_key)],
            &[("cookie", &key_as_cookie)],
        ];
        for operation in &operations {
            let path = victim.named_in(&operation.path);
            for credential in credentials {
                let answer = send(app, operation, &path, credential).await;
                let what = format!("{} with {credential:?}", operation.id);
                let expected: &[u16] = match about(operation) {
                    About::Link => &[404],
                    About::Comeback => &[303],
                    About::Anybody => &[200, 202, 403, 429],
                    About::Public => &[200],
                    _ => &[401],
                };
                assert!(expected.contains(&answer.status), "{what}: {} {}", answer.status, answer.text());
                shows_nothing_of(&secrets, &answer, &what);
            }
        }
        for (path, model) in ROUTES {
            for credential in credentials {
                let body =
                    json!({"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]});
                let url = format!("{}{path}", app.base_url());
                let answer = http::send("POST", &url, credential, body.to_string()).await;
                assert_eq!(answer.status, 401, "{path} with {credential:?}: {}", answer.text());
                shows_nothing_of(&secrets, &answer, path);
            }
        }
        assert_eq!(victim.line.log().len(), ROUTES.len(), "no call went out with the victim's credential");
    });
}

#[test]
fn another_tenants_key_and_session_see_and_change_nothing() {
    run(async {
        let app = shared();
        let operations = operations(app).await;
        let victim = Victim::with_everything(app, &operations).await;
        let secrets = victim.secrets();
        let stranger = app.owner("Stranger").await;
        let program = stranger.create_key("stranger").await;
        let bearer = format!("Bearer {}", program.secret);
        let as_session: &[(&str, &str)] = &[("cookie", stranger.cookie())];
        let as_program: &[(&str, &str)] = &[("authorization", &bearer)];
        let as_victim: &[(&str, &str)] = &[("cookie", victim.owner.cookie())];

        for operation in &operations {
            let id = &operation.id;
            let queries = match about(operation) {
                About::Things(queries) => queries,
                _ => &[""][..],
            };
            for query in queries {
                let path = victim.named_in(&format!("{}{query}", operation.path));
                let what = format!("{id} {path}");
                let session = match about(operation) {
                    // The one operation that ends what the next rows need.
                    About::Session if operation.method == "DELETE" => {
                        let other = app.sign_in_link(&stranger.tenant_id);
                        let other = Owner::sign_in(&app.base_url(), &other).await;
                        send(app, operation, &path, &[("cookie", other.cookie())]).await
                    }
                    _ => send(app, operation, &path, as_session).await,
                };
                let key = send(app, operation, &path, as_program).await;
                let (allowed_session, allowed_key): (&[u16], &[u16]) = match about(operation) {
                    About::OneThing | About::OneFile => (&[404], &[403, 404]),
                    About::Things(_) | About::Everybody => (&[200], &[200, 403]),
                    About::Public => (&[200], &[200]),
                    About::NewThing => (&[201, 202], &[403]),
                    About::Session => (&[200, 204], &[401]),
                    About::Own => (&[200, 204, 400], &[403]),
                    About::Link | About::Operator => (&[404], &[404]),
                    About::Comeback => (&[303], &[303]),
                    About::SignIn => (&[401], &[401]),
                    About::Anybody => (&[200, 202, 403, 429], &[200, 202, 403, 429]),
                    About::Person => (&[403], &[401]),
                };
                assert!(
                    allowed_session.contains(&session.status),
                    "{what}: {} {}",
                    session.status,
                    session.text()
                );
                assert!(allowed_key.contains(&key.status), "{what}: {} {}", key.status, key.text());
                // A cursor may name anything: it is a place in the caller's own list.
                if about(operation) != About::NewThing {
                    shows_nothing_of(&secrets, &session, &what);
                }
                shows_nothing_of(&secrets, &key, &what);
                check_the_row_itself(app, operation, &path, as_victim, &secrets).await;
            }
        }
        untouched(&victim).await;
    });
}

/// The victim itself sees what the stranger must not: without this, a wrong path would pass for isolation.
async fn check_the_row_itself(
    app: &TestApp,
    operation: &Operation,
    path: &str,
    as_victim: &[(&str, &str)],
    secrets: &[String],
) {
    let anybodys = matches!(
        about(operation),
        About::Link | About::Comeback | About::Operator | About::Anybody | About::Person
    );
    if operation.method != "GET" || path.contains("cursor=") || anybodys {
        return;
    }
    let own = send(app, operation, path, as_victim).await;
    if about(operation) == About::OneFile {
        assert!(own.status == 200 && own.body.starts_with(&[0x1f, 0x8b]), "{path}: {}", own.text());
    }
    assert_eq!(own.status, 200, "{path}: {}", own.text());
    if matches!(about(operation), About::OneThing | About::Things(_)) {
        let text = own.text();
        assert!(
            secrets.iter().any(|secret| text.contains(secret.as_str())),
            "{path} shows its owner nothing: {text}"
        );
    }
}

/// Everything of the victim's is as it was.
async fn untouched(victim: &Victim) {
    let key = victim.owner.get(&format!("/api/v1/keys/{}", victim.program.key_id)).await;
    assert_eq!(key["revoked_at"], Value::Null);
    let connection = victim.owner.get(&format!("/api/v1/connections/{}", victim.connection)).await;
    assert_eq!(connection["disabled_at"], Value::Null);
    assert_eq!(victim.owner.get("/api/v1/keys").await["items"].as_array().unwrap().len(), 1);
    assert_eq!(victim.owner.get("/api/v1/connections").await["items"].as_array().unwrap().len(), 2);
    let budgets = victim.owner.get("/api/v1/budgets").await;
    assert_eq!(budgets["items"][0]["ended_at"], Value::Null, "{budgets}");
    let account = victim.owner.get(&format!("/api/v1/aws-connections/{}", victim.aws_connection)).await;
    assert_eq!((&account["revoked_at"], &account["external_id"]), (&Value::Null, &json!(victim.external_id)));
    let source = victim.owner.get(&format!("/api/v1/invoice-sources/{}", victim.invoice_source)).await;
    assert_eq!((&source["revoked_at"], &source["key_hint"]), (&Value::Null, &json!("rora")), "{source}");
    for things in ["members", "invitations", "recipients", "slack-channels", "webhook-endpoints", "budgets"] {
        let things = victim.owner.get(&format!("/api/v1/{things}")).await;
        assert_eq!(things["items"].as_array().unwrap().len(), 1, "{things}");
    }
    let single_sign_on = victim.owner.get("/api/v1/single-sign-on").await;
    assert_eq!(single_sign_on["provider"]["client_id"], "aurora-client");
    assert_eq!(single_sign_on["domains"].as_array().unwrap().len(), 1);
    assert_eq!(victim.owner.get("/api/v1/exports").await["items"][0]["state"], "done");
    assert_eq!(victim.owner.get("/api/v1/account/closure").await["closure"], Value::Null);
    assert_eq!(victim.program.rows().await.len(), ROUTES.len());
    assert_eq!(victim.owner.get("/api/v1/session").await["tenant_name"], "Aurora");
}

#[test]
fn no_route_of_the_proxy_reaches_through_another_tenants_connection() {
    run(async {
        let app = shared();
        let victim = Victim::with_everything(app, &operations(app).await).await;
        let secrets = victim.secrets();
        let stranger = app.owner("Stranger at the proxy").await;
        let program = stranger.create_key("stranger").await;
        let body = |model: &str| {
            json!({"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]})
                .to_string()
        };
        for (path, model) in ROUTES {
            for prefix in ["", "openai/", "anthropic/", "aurora-openai/", "aurora-anthropic/"] {
                let answer = program.post(path, &call_id(), body(&format!("{prefix}{model}"))).await;
                answer.expect_problem(404, "model_not_found");
                // The refusal repeats the name that the caller typed, and nothing else of it.
                let told = answer.text().replace(&format!("{prefix}{model}"), "");
                assert!(secrets.iter().all(|secret| !told.contains(secret.as_str())), "{told}");
            }
        }
        assert_eq!(victim.line.log().len(), ROUTES.len(), "the victim's vendor was called for another");

        // With a connection of its own, under the very same name, each calls its own vendor and has its own rows.
        let line = app.llm.line_of(Tokens::plain(1, 1));
        stranger
            .connect(json!({"provider": "openai", "name": "aurora-openai", "secret": line.secret()}))
            .await;
        // (The key is warm: a new connection reaches the proxy's memory within a second.)
        let id = in_time(Duration::from_secs(1), "route through its own connection", async || {
            let id = call_id();
            let answer = program.post(CHAT, &id, body("aurora-openai/gpt-4o-mini")).await;
            (answer.status == 200).then_some(id)
        })
        .await;
        assert_eq!(program.row(&id).await["usage"]["fresh_input"], 1);
        assert_eq!((line.log().len(), victim.line.log().len()), (1, ROUTES.len()));
        assert_eq!(victim.program.rows().await.len(), ROUTES.len());
    });
}

#[test]
fn an_idempotency_key_of_one_tenant_replays_nothing_to_another() {
    run(async {
        let app = shared();
        let (one, other) = (app.owner("One").await, app.owner("Other").await);
        let body = json!({"provider": "openai", "name": "same", "secret": "sk-same"});
        let again = [("idempotency-key", "the-same-key")];
        let path = "/api/v1/connections";
        let first = one.call_with("POST", path, Some(&body), &again).await.expect(201).json();
        let second = other.call_with("POST", path, Some(&body), &again).await.expect(201).json();
        assert_ne!(first["id"], second["id"]);
        assert_eq!(other.get(path).await["items"][0]["id"], second["id"]);
    });
}
