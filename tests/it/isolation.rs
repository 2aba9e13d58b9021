//! One tenant's key, session or id never shows another tenant's data: a matrix over every operation of the
//! contract and every route of the proxy. An operation without a row in the matrix fails the test. The matrix also says
//! who of the tenant's own people may call an operation, which `roles` holds it to.

use std::collections::BTreeSet;
use std::time::Duration;

use costlens_domain::Role;
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

/// Who of the tenant's own people may call an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum May {
    /// Whoever asks: no role is looked at.
    Anybody,
    /// Whoever has at least this role, in a session that may only look, too.
    Look(Role),
    /// Whoever has at least this role and acts in its own name.
    Act(Role),
    /// Whoever runs the service, whatever its role. For everybody else it is not there.
    Operate,
}

use May::{Act, Look};

impl May {
    /// The least role that is asked for, if any is.
    pub(crate) const fn least(self) -> Option<Role> {
        match self {
            Look(role) | Act(role) => Some(role),
            Self::Anybody | Self::Operate => None,
        }
    }
}

/// One row for each operation of the contract.
const MATRIX: &[(&str, About, May)] = &[
    ("create_session", About::SignIn, May::Anybody),
    ("create_password_session", About::SignIn, May::Anybody),
    ("refresh_session", About::SignIn, May::Anybody),
    ("create_exchanged_session", About::SignIn, May::Anybody),
    ("create_clerk_session", About::Link, May::Anybody),
    ("start_oauth", About::Link, May::Anybody),
    ("finish_oauth", About::Link, May::Anybody),
    ("unlink_identity", About::Person, Act(Role::Viewer)),
    ("start_single_sign_on", About::Link, May::Anybody),
    ("finish_single_sign_on", About::Comeback, May::Anybody),
    ("get_single_sign_on", About::Own, Look(Role::Admin)),
    ("set_single_sign_on", About::Own, Act(Role::Admin)),
    ("remove_single_sign_on", About::Own, Act(Role::Admin)),
    ("create_single_sign_on_domain", About::NewThing, Act(Role::Admin)),
    ("check_single_sign_on_domain", About::OneThing, Act(Role::Admin)),
    ("delete_single_sign_on_domain", About::OneThing, Act(Role::Admin)),
    ("get_session", About::Session, Look(Role::Viewer)),
    ("delete_session", About::Session, Look(Role::Viewer)),
    ("prove_session", About::Person, Look(Role::Viewer)),
    ("switch_tenant", About::Person, Look(Role::Viewer)),
    ("get_sign_in_options", About::Anybody, May::Anybody),
    ("create_registration", About::Anybody, May::Anybody),
    ("complete_registration", About::Link, May::Anybody),
    ("create_password_reset", About::Anybody, May::Anybody),
    ("complete_password_reset", About::Link, May::Anybody),
    ("get_user", About::Person, Look(Role::Viewer)),
    ("update_user", About::Person, Act(Role::Viewer)),
    ("change_password", About::Person, Act(Role::Viewer)),
    ("list_sign_ins", About::Person, Look(Role::Viewer)),
    ("end_sign_in", About::Person, Act(Role::Viewer)),
    ("begin_second_factor", About::Person, Act(Role::Viewer)),
    ("confirm_second_factor", About::Person, Act(Role::Viewer)),
    ("replace_recovery_codes", About::Person, Act(Role::Viewer)),
    ("remove_second_factor", About::Person, Act(Role::Viewer)),
    ("list_members", About::Things(&[""]), Look(Role::Member)),
    ("update_member", About::OneThing, Act(Role::Admin)),
    ("remove_member", About::OneThing, Act(Role::Admin)),
    ("list_invitations", About::Things(&[""]), Look(Role::Admin)),
    ("create_invitation", About::NewThing, Act(Role::Admin)),
    ("revoke_invitation", About::OneThing, Act(Role::Admin)),
    ("accept_invitation", About::Link, May::Anybody),
    ("get_tenant", About::Own, Look(Role::Viewer)),
    ("update_tenant", About::Own, Act(Role::Admin)),
    ("list_keys", About::Things(&["", "?limit=200", "?cursor={key}"]), Look(Role::Member)),
    ("create_key", About::NewThing, Act(Role::Member)),
    ("get_key", About::OneThing, Look(Role::Member)),
    ("update_key", About::OneThing, Act(Role::Member)),
    ("get_key_labels", About::OneThing, Look(Role::Member)),
    ("set_key_labels", About::OneThing, Act(Role::Member)),
    ("list_key_labels", About::Things(&["", "?limit=1000"]), Look(Role::Member)),
    ("roll_key", About::OneThing, Act(Role::Member)),
    ("revoke_key", About::OneThing, Act(Role::Member)),
    ("destroy_key_bodies", About::OneThing, Act(Role::Admin)),
    ("list_providers", About::Everybody, Look(Role::Member)),
    ("list_connections", About::Things(&["", "?limit=200", "?cursor={connection}"]), Look(Role::Member)),
    ("create_connection", About::NewThing, Act(Role::Admin)),
    ("get_connection", About::OneThing, Look(Role::Member)),
    ("disable_connection", About::OneThing, Act(Role::Admin)),
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
        Look(Role::Member),
    ),
    (
        "export_requests",
        About::Things(&[
            "",
            "?format=csv",
            "?api_key_id={key}",
            "?format=csv&api_key_id={key}&provider=openai",
        ]),
        Look(Role::Member),
    ),
    ("get_request", About::OneThing, Look(Role::Member)),
    ("import_litellm_logs", About::OneThing, Act(Role::Analyst)),
    ("get_request_body", About::OneThing, Act(Role::Admin)),
    (
        "get_spend_series",
        About::Things(&["", "?group_by=key", "?group_by=model&interval=hour", "?provider=openai"]),
        Look(Role::Viewer),
    ),
    ("get_spend_breakdown", About::Things(&["", "?by=key", "?by=provider"]), Look(Role::Viewer)),
    ("list_bills", About::Things(&["", "?limit=200", "?cursor={bill}"]), Look(Role::Viewer)),
    ("create_bill", About::NewThing, Act(Role::Analyst)),
    ("list_bill_uploads", About::Things(&["", "?limit=200", "?cursor={upload}"]), Look(Role::Viewer)),
    ("get_bill_upload", About::OneThing, Look(Role::Viewer)),
    ("get_bill", About::OneThing, Look(Role::Viewer)),
    ("withdraw_bill", About::OneThing, Act(Role::Analyst)),
    ("list_bill_candidates", About::OneThing, Look(Role::Viewer)),
    ("list_candidate_rules", About::Things(&[""]), Look(Role::Viewer)),
    ("create_candidate_rule", About::NewThing, Act(Role::Analyst)),
    ("delete_candidate_rule", About::OneThing, Act(Role::Analyst)),
    ("get_bill_breakdown", About::OneThing, Look(Role::Viewer)),
    ("get_bill_series", About::Things(&["", "?group_by=account"]), Look(Role::Viewer)),
    ("list_bill_drift", About::Things(&["", "?limit=1000"]), Look(Role::Viewer)),
    (
        "list_aws_connections",
        About::Things(&["", "?limit=200", "?cursor={aws_connection}"]),
        Look(Role::Viewer),
    ),
    ("create_aws_connection", About::NewThing, Act(Role::Admin)),
    ("get_aws_connection", About::OneThing, Look(Role::Viewer)),
    ("test_aws_connection", About::OneThing, Act(Role::Admin)),
    ("pause_aws_connection", About::OneThing, Act(Role::Admin)),
    ("resume_aws_connection", About::OneThing, Act(Role::Admin)),
    ("reconnect_aws_connection", About::OneThing, Act(Role::Admin)),
    ("revoke_aws_connection", About::OneThing, Act(Role::Admin)),
    (
        "list_invoice_sources",
        About::Things(&["", "?limit=200", "?cursor={invoice_source}"]),
        Look(Role::Viewer),
    ),
    ("create_invoice_source", About::NewThing, Act(Role::Admin)),
    ("get_invoice_source", About::OneThing, Look(Role::Viewer)),
    ("test_invoice_source", About::OneThing, Act(Role::Admin)),
    ("replace_invoice_key", About::OneThing, Act(Role::Admin)),
    ("pause_invoice_source", About::OneThing, Act(Role::Admin)),
    ("resume_invoice_source", About::OneThing, Act(Role::Admin)),
    ("revoke_invoice_source", About::OneThing, Act(Role::Admin)),
    ("list_bill_months", About::OneThing, Look(Role::Viewer)),
    ("list_bill_deliveries", About::OneThing, Look(Role::Viewer)),
    (
        "list_settlements",
        About::Things(&["", "?limit=200", "?cursor=2026-11-01-aws", "?cursor=2026-10-01-openai"]),
        Look(Role::Viewer),
    ),
    ("get_settlement", About::OneThing, Look(Role::Viewer)),
    ("get_settlement_breakdown", About::OneThing, Look(Role::Viewer)),
    ("get_settlement_coverage", About::OneThing, Look(Role::Viewer)),
    ("get_settlement_prices", About::OneThing, Look(Role::Viewer)),
    ("get_settled_cost", About::OneThing, Look(Role::Member)),
    (
        "get_chargeback",
        About::Things(&["", "?by=key", "?by=user", "?by=tag&tag=cost-centre", "?measure=amortised&limit=1"]),
        Look(Role::Viewer),
    ),
    ("get_statement", About::Things(&["", "?measure=net_unblended"]), Look(Role::Viewer)),
    ("export_chargeback", About::Things(&["", "?by=key", "?by=tag&tag=cost-centre"]), Look(Role::Viewer)),
    ("get_privacy", About::Own, Look(Role::Viewer)),
    ("update_privacy", About::Own, Act(Role::Admin)),
    ("preview_body_purge", About::Own, Look(Role::Viewer)),
    ("list_support_grants", About::Things(&["", "?limit=200", "?cursor={grant}"]), Look(Role::Admin)),
    ("create_support_grant", About::NewThing, Act(Role::Admin)),
    ("revoke_support_grant", About::OneThing, Act(Role::Admin)),
    ("list_exports", About::Things(&["", "?limit=200", "?cursor={export}"]), Look(Role::Member)),
    ("create_export", About::NewThing, Act(Role::Member)),
    ("get_export", About::OneThing, Look(Role::Member)),
    ("delete_export", About::OneThing, Act(Role::Member)),
    ("download_export", About::OneFile, Look(Role::Member)),
    ("get_settings", About::Own, Look(Role::Viewer)),
    ("update_settings", About::Own, Act(Role::Admin)),
    ("list_recipients", About::Things(&[""]), Look(Role::Analyst)),
    ("create_recipient", About::NewThing, Act(Role::Admin)),
    ("update_recipient", About::OneThing, Act(Role::Admin)),
    ("delete_recipient", About::OneThing, Act(Role::Admin)),
    ("resend_confirmation", About::OneThing, Act(Role::Admin)),
    ("confirm_recipient", About::Link, May::Anybody),
    ("unsubscribe", About::Link, May::Anybody),
    ("list_slack_channels", About::Things(&[""]), Look(Role::Analyst)),
    ("create_slack_channel", About::NewThing, Act(Role::Admin)),
    ("update_slack_channel", About::OneThing, Act(Role::Admin)),
    ("delete_slack_channel", About::OneThing, Act(Role::Admin)),
    ("test_slack_channel", About::OneThing, Act(Role::Admin)),
    ("list_event_kinds", About::Everybody, Look(Role::Analyst)),
    ("list_webhook_endpoints", About::Things(&[""]), Look(Role::Analyst)),
    ("create_webhook_endpoint", About::NewThing, Act(Role::Admin)),
    ("get_webhook_endpoint", About::OneThing, Look(Role::Analyst)),
    ("update_webhook_endpoint", About::OneThing, Act(Role::Admin)),
    ("roll_webhook_secret", About::OneThing, Act(Role::Admin)),
    ("delete_webhook_endpoint", About::OneThing, Act(Role::Admin)),
    ("test_webhook_endpoint", About::OneThing, Act(Role::Admin)),
    ("list_webhook_deliveries", About::OneThing, Look(Role::Analyst)),
    ("retry_webhook_delivery", About::OneThing, Act(Role::Admin)),
    ("list_budgets", About::Things(&[""]), Look(Role::Viewer)),
    ("create_budget", About::NewThing, Act(Role::Analyst)),
    ("delete_budget", About::OneThing, Act(Role::Analyst)),
    ("list_anomalies", About::Things(&["", "?limit=200", "?cursor={anomaly}"]), Look(Role::Viewer)),
    ("decide_anomaly", About::OneThing, Act(Role::Analyst)),
    ("list_insight_events", About::Things(&["", "?limit=200", "?cursor={happening}"]), Look(Role::Viewer)),
    ("list_recommendations", About::Things(&["", "?dismissed=true"]), Look(Role::Viewer)),
    ("dismiss_recommendation", About::OneThing, Act(Role::Analyst)),
    ("get_forecast", About::Everybody, Look(Role::Viewer)),
    ("list_messages", About::Things(&["", "?limit=200", "?cursor={message}"]), Look(Role::Analyst)),
    ("list_message_kinds", About::Everybody, Look(Role::Analyst)),
    ("preview_message", About::Everybody, Look(Role::Analyst)),
    ("get_closure", About::Own, Act(Role::Owner)),
    ("request_closure", About::Own, Act(Role::Owner)),
    ("cancel_closure", About::Own, Act(Role::Owner)),
    ("keep_account", About::Link, May::Anybody),
    ("get_erasure_certificate", About::Link, May::Anybody),
    ("list_workflows", About::Things(&["", "?limit=200", "?cursor={workflow}"]), Look(Role::Analyst)),
    ("get_workflow", About::OneThing, Look(Role::Analyst)),
    ("list_audit_events", About::Things(&["", "?limit=200", "?cursor={audit}"]), Look(Role::Admin)),
    ("get_audit_head", About::Own, Look(Role::Admin)),
    ("verify_audit", About::Own, Look(Role::Admin)),
    ("export_audit", About::Things(&["", "?after=1"]), Look(Role::Admin)),
    ("list_operator_jobs", About::Operator, May::Operate),
    ("get_operator_job", About::Operator, May::Operate),
    ("get_operator_stats", About::Operator, May::Operate),
    ("retry_operator_job", About::Operator, May::Operate),
    ("cancel_operator_job", About::Operator, May::Operate),
    ("discard_operator_job", About::Operator, May::Operate),
    ("preview_redrive", About::Operator, May::Operate),
    ("redrive_dead_letters", About::Operator, May::Operate),
    ("discard_dead_letters", About::Operator, May::Operate),
    ("list_schedules", About::Operator, May::Operate),
    ("pause_schedule", About::Operator, May::Operate),
    ("resume_schedule", About::Operator, May::Operate),
    ("list_operator_events", About::Operator, May::Operate),
    ("get_operator_events_head", About::Operator, May::Operate),
    ("verify_operator_events", About::Operator, May::Operate),
    ("export_operator_events", About::Operator, May::Operate),
    ("list_erasures", About::Operator, May::Operate),
    ("list_prices", About::Everybody, Look(Role::Viewer)),
    ("get_price", About::Everybody, Look(Role::Viewer)),
    ("list_repricings", About::Things(&["", "?limit=200", "?cursor={repricing}"]), Look(Role::Viewer)),
    ("get_price_status", About::Operator, May::Operate),
    ("list_price_versions", About::Operator, May::Operate),
    ("list_price_reviews", About::Operator, May::Operate),
    ("approve_price_review", About::Operator, May::Operate),
    ("refuse_price_review", About::Operator, May::Operate),
    ("list_price_corrections", About::Operator, May::Operate),
    ("create_price_correction", About::Operator, May::Operate),
    ("get_price_correction", About::Operator, May::Operate),
    ("run_price_correction", About::Operator, May::Operate),
    ("cancel_price_correction", About::Operator, May::Operate),
    ("get_operator_request_body", About::Operator, May::Operate),
    ("list_operator_support_grants", About::Operator, May::Operate),
    ("get_trust", About::Public, May::Anybody),
    ("get_status", About::Public, May::Anybody),
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
        let matrix: BTreeSet<_> = MATRIX.iter().map(|(id, ..)| *id).collect();
        let missing: Vec<_> = contract.difference(&matrix).collect();
        assert!(missing.is_empty(), "give these operations a row in the matrix: {missing:?}");
        let gone: Vec<_> = matrix.difference(&contract).collect();
        assert!(gone.is_empty(), "these operations are no longer in the contract: {gone:?}");
        let routes: BTreeSet<_> = ROUTES.iter().map(|(path, _)| *path).collect();
        let served: BTreeSet<_> = costlens_proxy::http::ROUTES.iter().copied().collect();
        assert_eq!(routes, served, "the proxy's routes and the matrix differ");
    });
}

fn row(operation: &Operation) -> (About, May) {
    let row = MATRIX.iter().find(|(id, ..)| *id == operation.id);
    let (_, about, may) = row.unwrap_or_else(|| panic!("give `{}` a row in the matrix", operation.id));
    (*about, *may)
}

fn about(operation: &Operation) -> About {
    row(operation).0
}

pub(crate) fn may(operation: &Operation) -> May {
    row(operation).1
}

#[test]
fn without_a_valid_credential_no_operation_gives_anything() {
    run(async {
        let app = shared();
        let operations = operations(app).await;
        let victim = Victim::with_everything(app, &operations, None).await;
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
        let victim = Victim::with_everything(app, &operations, None).await;
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
        untouched(&victim, 1).await;
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

/// Everything of the victim's is as it was, with so many members.
pub(crate) async fn untouched(victim: &Victim, members: usize) {
    let key = victim.owner.get(&format!("/api/v1/keys/{}", victim.program.key_id)).await;
    assert_eq!(key["revoked_at"], Value::Null);
    let connection = victim.owner.get(&format!("/api/v1/connections/{}", victim.connection)).await;
    assert_eq!(connection["disabled_at"], Value::Null);
    assert_eq!(victim.owner.get("/api/v1/keys").await["items"].as_array().unwrap().len(), 1);
    assert_eq!(victim.owner.get("/api/v1/connections").await["items"].as_array().unwrap().len(), 2);
    let bills = victim.owner.get("/api/v1/bills").await;
    assert_eq!(bills["items"][0]["superseded_at"], Value::Null, "{bills}");
    let budgets = victim.owner.get("/api/v1/budgets").await;
    assert_eq!(budgets["items"][0]["ended_at"], Value::Null, "{budgets}");
    let rules = victim.owner.get("/api/v1/candidate-rules").await;
    assert_eq!(rules["items"][0]["ended_at"], Value::Null, "{rules}");
    let account = victim.owner.get(&format!("/api/v1/aws-connections/{}", victim.aws_connection)).await;
    assert_eq!((&account["revoked_at"], &account["external_id"]), (&Value::Null, &json!(victim.external_id)));
    let source = victim.owner.get(&format!("/api/v1/invoice-sources/{}", victim.invoice_source)).await;
    assert_eq!((&source["revoked_at"], &source["key_hint"]), (&Value::Null, &json!("rora")), "{source}");
    for (things, count) in [
        ("members", members),
        ("invitations", 1),
        ("recipients", 1),
        ("slack-channels", 1),
        ("webhook-endpoints", 1),
        ("budgets", 1),
        ("candidate-rules", 1),
    ] {
        let things = victim.owner.get(&format!("/api/v1/{things}")).await;
        assert_eq!(things["items"].as_array().unwrap().len(), count, "{things}");
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
        let victim = Victim::with_everything(app, &operations(app).await, None).await;
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
