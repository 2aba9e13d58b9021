//! The audit from outside: every operation that changes something writes exactly one event, in the transaction of what
//! it does; and what was written proves itself to whoever has an export.

use std::collections::BTreeSet;

use costlens_tests::actors::{Owner, redeem};
use costlens_tests::app::{TestApp, shared};
use costlens_tests::http::{self, Answer};
use costlens_tests::run;
use serde_json::{Value, json};

use crate::victim::{Operation, hook_url, operations, send, slack_url};

/// What an operation that changes something writes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writes {
    /// This event, in the transaction of its effect.
    Event(&'static str),
    /// This event; its effect is a row that is gone, or one that a worker takes on at once.
    EventOfWhatGoes(&'static str),
    /// This event for the operators, before it acts: the queue's transactions are others.
    Operators(&'static str),
    /// This event; only somebody who signed in as itself, or follows a mail's link, does it. `people::written_down` walks
    /// all of these.
    OfPeople(&'static str),
    /// None that this test can see, and why.
    Nothing(&'static str),
}

use Writes::{Event, EventOfWhatGoes, Nothing, OfPeople, Operators};

/// The token is in a mail: `api/tests/it/links.rs` follows it and reads the event.
const BY_MAIL: Writes = Nothing("a link in a mail does it, which another test follows");
/// It belongs to no account yet.
const BY_NOBODY: Writes = Nothing("nobody is known yet, and no account");

const CHANGING: &[(&str, Writes)] = &[
    ("create_session", Event("session.opened")),
    ("create_password_session", OfPeople("session.opened")),
    ("create_exchanged_session", OfPeople("session.opened")),
    ("create_clerk_session", Nothing("Clerk's people do it, whom the tests of Clerk play")),
    ("refresh_session", Nothing("a sign-in goes on; that it began is written down")),
    ("prove_session", Nothing("what is proven is written down with what it is proven for")),
    ("switch_tenant", OfPeople("session.switched")),
    ("create_registration", BY_NOBODY),
    ("complete_registration", OfPeople("tenant.registered")),
    ("create_password_reset", BY_NOBODY),
    ("complete_password_reset", OfPeople("user.password_reset")),
    ("accept_invitation", OfPeople("invitation.accepted")),
    ("update_user", OfPeople("user.renamed")),
    ("change_password", OfPeople("user.password_changed")),
    ("end_sign_in", OfPeople("session.revoked")),
    ("unlink_identity", OfPeople("user.identity_unlinked")),
    ("start_single_sign_on", BY_NOBODY),
    ("set_single_sign_on", Nothing("it asks the provider first, which the tests of people play")),
    ("remove_single_sign_on", EventOfWhatGoes("single_sign_on.removed")),
    ("create_single_sign_on_domain", Event("single_sign_on_domain.added")),
    ("check_single_sign_on_domain", Nothing("it asks name servers first, which the tests of people play")),
    ("delete_single_sign_on_domain", EventOfWhatGoes("single_sign_on_domain.removed")),
    ("begin_second_factor", Nothing("it is asked for only once it is confirmed")),
    ("confirm_second_factor", OfPeople("user.second_factor_added")),
    ("replace_recovery_codes", OfPeople("user.recovery_codes_replaced")),
    ("remove_second_factor", OfPeople("user.second_factor_removed")),
    ("update_member", OfPeople("member.role_changed")),
    ("remove_member", OfPeople("member.removed")),
    ("create_invitation", EventOfWhatGoes("invitation.created")),
    ("revoke_invitation", EventOfWhatGoes("invitation.revoked")),
    ("update_tenant", Event("tenant.changed")),
    ("delete_session", Event("session.ended")),
    ("create_key", Event("key.created")),
    ("update_key", Event("key.updated")),
    ("set_key_labels", Event("key.labelled")),
    ("roll_key", Event("key.rolled")),
    ("revoke_key", Event("key.revoked")),
    ("create_connection", Event("connection.created")),
    ("disable_connection", Event("connection.disabled")),
    ("create_bill", EventOfWhatGoes("bill.uploaded")),
    ("withdraw_bill", Event("bill.withdrawn")),
    ("create_candidate_rule", Event("candidate_rule.created")),
    ("delete_candidate_rule", Event("candidate_rule.ended")),
    // Before the first row is stored, in a transaction of its own.
    ("import_litellm_logs", EventOfWhatGoes("calls.imported")),
    ("create_aws_connection", EventOfWhatGoes("aws_connection.created")),
    ("test_aws_connection", EventOfWhatGoes("aws_connection.tested")),
    ("pause_aws_connection", Event("aws_connection.paused")),
    ("resume_aws_connection", EventOfWhatGoes("aws_connection.resumed")),
    ("reconnect_aws_connection", EventOfWhatGoes("aws_connection.reconnected")),
    ("revoke_aws_connection", Event("aws_connection.revoked")),
    ("create_invoice_source", EventOfWhatGoes("invoice_source.created")),
    ("test_invoice_source", EventOfWhatGoes("invoice_source.tested")),
    ("replace_invoice_key", EventOfWhatGoes("invoice_source.key_replaced")),
    ("pause_invoice_source", Event("invoice_source.paused")),
    ("resume_invoice_source", EventOfWhatGoes("invoice_source.resumed")),
    ("revoke_invoice_source", Event("invoice_source.revoked")),
    ("update_settings", Event("settings.updated")),
    ("create_recipient", Event("recipient.created")),
    ("update_recipient", Event("recipient.updated")),
    ("delete_recipient", EventOfWhatGoes("recipient.deleted")),
    ("resend_confirmation", EventOfWhatGoes("recipient.asked")),
    ("confirm_recipient", BY_MAIL),
    ("unsubscribe", BY_MAIL),
    ("create_slack_channel", Event("slack_channel.created")),
    ("update_slack_channel", Event("slack_channel.updated")),
    ("delete_slack_channel", EventOfWhatGoes("slack_channel.deleted")),
    ("test_slack_channel", EventOfWhatGoes("slack_channel.tested")),
    ("create_webhook_endpoint", Event("webhook_endpoint.created")),
    ("update_webhook_endpoint", Event("webhook_endpoint.updated")),
    ("roll_webhook_secret", Event("webhook_secret.rolled")),
    ("delete_webhook_endpoint", EventOfWhatGoes("webhook_endpoint.deleted")),
    ("test_webhook_endpoint", Event("webhook_endpoint.tested")),
    ("retry_webhook_delivery", EventOfWhatGoes("webhook_delivery.retried")),
    ("update_privacy", Event("privacy.changed")),
    ("destroy_key_bodies", Event("bodies.destroyed")),
    ("create_support_grant", Event("support_grant.created")),
    ("revoke_support_grant", Event("support_grant.revoked")),
    ("create_export", EventOfWhatGoes("export.created")),
    ("delete_export", EventOfWhatGoes("export.removed")),
    ("create_budget", Event("budget.created")),
    ("delete_budget", Event("budget.ended")),
    ("decide_anomaly", Event("anomaly.decided")),
    ("dismiss_recommendation", Event("recommendation.dismissed")),
    ("request_closure", Event("closure.requested")),
    ("cancel_closure", Event("closure.cancelled")),
    ("keep_account", BY_MAIL),
    ("preview_redrive", Nothing("it counts and changes nothing")),
    ("retry_operator_job", Operators("workflow.retried")),
    ("cancel_operator_job", Operators("workflow.cancelled")),
    ("discard_operator_job", Operators("workflow.discarded")),
    ("redrive_dead_letters", Operators("workflows.redriven")),
    ("discard_dead_letters", Operators("workflows.discarded")),
    ("pause_schedule", Operators("schedule.paused")),
    ("resume_schedule", Operators("schedule.resumed")),
    ("approve_price_review", Operators("prices.approved")),
    ("refuse_price_review", Operators("prices.refused")),
    ("create_price_correction", Operators("price_correction.previewed")),
    ("run_price_correction", Operators("price_correction.run")),
    ("cancel_price_correction", Operators("price_correction.cancelled")),
];

/// What people do to themselves, and what is decided about them: each operation with the event that it writes down.
pub(crate) fn of_people() -> impl Iterator<Item = (&'static str, &'static str)> {
    CHANGING.iter().filter_map(|(id, writes)| match writes {
        OfPeople(action) => Some((*id, *action)),
        _ => None,
    })
}

/// The tables in which an effect can stand: all but the audit's own and what remembers answers.
const NOT_AN_EFFECT: &str =
    "'audit_event', 'audit_head', 'operator_event', 'operator_event_head', 'idempotency_key'";

/// The database's id of the request that an answer is to.
fn request_of(answer: &Answer) -> String {
    let id = answer.header("x-request-id").strip_prefix("req_").unwrap().to_owned();
    [&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]].join("-")
}

/// Looks at what a call wrote down.
fn look(app: &TestApp, operation: &str, answer: &Answer) {
    assert!((200..300).contains(&answer.status), "{operation}: {} {}", answer.status, answer.text());
    let writes = CHANGING.iter().find(|(id, _)| *id == operation).unwrap().1;
    let request = request_of(answer);
    let events = |table: &str| {
        app.query(&format!("SELECT action || ' ' || xmin::text FROM {table} WHERE request_id = '{request}'"))
    };
    let (table, action) = match writes {
        Event(action) | EventOfWhatGoes(action) => ("audit_event", action),
        Operators(action) => ("operator_event", action),
        OfPeople(_) | Nothing(_) => panic!("{operation} is not among those that are looked at here"),
    };
    let events = events(table);
    let [event] = events.lines().collect::<Vec<_>>()[..] else { panic!("{operation} wrote {events:?}") };
    let (wrote, transaction) = event.split_once(' ').unwrap();
    assert_eq!(wrote, action, "{operation}");
    if !matches!(writes, Event(_)) {
        return;
    }
    // A row of the same transaction, in any table of any schema.
    let tables = app.query(&format!(
        "SELECT format('SELECT count(*) FROM %I.%I WHERE xmin::text = ''{transaction}''', n.nspname, c.relname) \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname IN ('public', 'queue') AND c.relkind = 'r' AND c.relname NOT IN ({NOT_AN_EFFECT})"
    ));
    let counts = tables.lines().collect::<Vec<_>>().join(" UNION ALL ");
    let rows = app.query(&format!("SELECT sum(count) FROM ({counts}) AS all_of_them"));
    assert!(
        rows.trim().parse::<u64>().unwrap() > 0,
        "{operation}: the event stands alone in its transaction"
    );
}

#[test]
fn every_operation_that_changes_something_says_what_it_writes_down() {
    run(async {
        let changing = operations(shared()).await.into_iter().filter(|operation| operation.method != "GET");
        let contract: BTreeSet<String> = changing.map(|operation| operation.id).collect();
        let listed: BTreeSet<String> = CHANGING.iter().map(|(id, _)| (*id).to_owned()).collect();
        assert_eq!(CHANGING.len(), listed.len());
        let missing: Vec<_> = contract.difference(&listed).collect();
        assert!(missing.is_empty(), "say what these operations write down: {missing:?}");
        let gone: Vec<_> = listed.difference(&contract).collect();
        assert!(gone.is_empty(), "these operations are no longer in the contract: {gone:?}");
    });
}

/// Calls every operation that writes something, and looks after each.
struct Walk<'a> {
    app: &'a TestApp,
    owner: &'a Owner,
    all: &'a [Operation],
    walked: BTreeSet<String>,
}

impl Walk<'_> {
    async fn does(&mut self, id: &str, path: &str) -> Answer {
        let operation = self.all.iter().find(|operation| operation.id == id).unwrap();
        let answer = send(self.app, operation, path, &[("cookie", self.owner.cookie())]).await;
        self.looked(id, answer)
    }

    async fn does_with(&mut self, id: &str, (method, path): (&str, &str), body: &Value) -> Answer {
        let answer = self.owner.call(method, path, Some(body)).await;
        self.looked(id, answer)
    }

    async fn single_sign_on(&mut self, tenant: &str) {
        let domain =
            id_of(&self.does("create_single_sign_on_domain", "/api/v1/single-sign-on/domains").await);
        self.does("delete_single_sign_on_domain", &format!("/api/v1/single-sign-on/domains/{domain}")).await;
        self.app.sql(&format!(
            "INSERT INTO sso_provider (tenant_id, id, issuer, client_id, sealed_secret, default_role, required, \
             created_at, changed_at) VALUES ('{0}', '{0}', 'https://idp.example', 'client', '\\x01', 'viewer', false, \
             now(), now())",
            tenant.trim_start_matches("ten_")
        ));
        self.does("remove_single_sign_on", "/api/v1/single-sign-on").await;
    }

    fn looked(&mut self, id: &str, answer: Answer) -> Answer {
        look(self.app, id, &answer);
        self.walked.insert(id.to_owned());
        answer
    }
}

fn id_of(answer: &Answer) -> String {
    let json = answer.json();
    let id = json.get("id").or_else(|| json.pointer("/key/id")).or_else(|| json.pointer("/endpoint/id"));
    id.unwrap().as_str().unwrap().to_owned()
}

/// As if prompts of this key were kept.
fn keeps_prompts(app: &TestApp, tenant: &str, key: &str) {
    let id = |prefixed: &str| prefixed.split_once('_').unwrap().1.to_owned();
    let (tenant, key) = (id(tenant), id(key));
    app.sql(&format!(
        "INSERT INTO subject_key (tenant_id, subject_id, version, wrapped, created_at) \
         VALUES ('{tenant}', '{key}', 1, '\\x01', now())"
    ));
}

/// A key's life.
async fn key(walk: &mut Walk<'_>, tenant: &str) {
    let key = id_of(&walk.does("create_key", "/api/v1/keys").await);
    let path = format!("/api/v1/keys/{key}");
    walk.does_with("update_key", ("PATCH", &path), &json!({"name": "renamed"})).await;
    walk.does("set_key_labels", &format!("{path}/labels")).await;
    walk.does_with("roll_key", ("POST", &format!("{path}/roll")), &json!({})).await;
    keeps_prompts(walk.app, tenant, &key);
    walk.does("destroy_key_bodies", &format!("{path}/bodies")).await;
    walk.does("import_litellm_logs", &format!("/api/v1/imports/litellm/{key}")).await;
    walk.does("revoke_key", &path).await;
}

#[test]
fn each_change_writes_one_event_in_the_transaction_of_its_effect() {
    run(async {
        let app = shared();
        let all = operations(app).await;
        let tenant = app.command(&["tenants", "create", "Aurora"]);
        let link = app.sign_in_link(&tenant);
        let opened = redeem(&app.base_url(), &link).await;
        look(app, "create_session", &opened);
        let owner = Owner::sign_in(&app.base_url(), &app.sign_in_link(&tenant)).await;
        let mut walk = Walk { app, owner: &owner, all: &all, walked: BTreeSet::new() };
        walk.walked.insert("create_session".to_owned());

        key(&mut walk, &tenant).await;
        let connection = id_of(&walk.does("create_connection", "/api/v1/connections").await);
        walk.does("disable_connection", &format!("/api/v1/connections/{connection}")).await;
        bills(&mut walk).await;
        walk.does_with(
            "update_settings",
            ("PATCH", "/api/v1/settings"),
            &json!({"time_zone": "Europe/Berlin"}),
        )
        .await;
        let capture = json!({"capture_bodies": true});
        walk.does_with("update_privacy", ("PATCH", "/api/v1/privacy"), &capture).await;
        let leave = id_of(&walk.does("create_support_grant", "/api/v1/support-grants").await);
        walk.does("revoke_support_grant", &format!("/api/v1/support-grants/{leave}")).await;
        let recipient = id_of(&walk.does("create_recipient", "/api/v1/recipients").await);
        let path = format!("/api/v1/recipients/{recipient}");
        walk.does_with("update_recipient", ("PATCH", &path), &json!({"digest": false})).await;
        // The question of the recipient's beginning is older than ten minutes.
        app.sql(&format!(
            "UPDATE message SET created_at = created_at - interval '11 minutes', key = key || ':older' WHERE tenant_id = '{}'",
            tenant.trim_start_matches("ten_")
        ));
        walk.does("resend_confirmation", &format!("{path}/confirmation")).await;
        walk.does("delete_recipient", &path).await;
        let channel = json!({"name": "audited", "url": slack_url(app)});
        let channel =
            walk.does_with("create_slack_channel", ("POST", "/api/v1/slack-channels"), &channel).await;
        let path = format!("/api/v1/slack-channels/{}", id_of(&channel));
        walk.does("update_slack_channel", &path).await;
        walk.does("test_slack_channel", &format!("{path}/test")).await;
        walk.does("delete_slack_channel", &path).await;
        let endpoint = json!({"name": "audited", "url": hook_url(app)});
        let endpoint =
            walk.does_with("create_webhook_endpoint", ("POST", "/api/v1/webhook-endpoints"), &endpoint).await;
        let path = format!("/api/v1/webhook-endpoints/{}", id_of(&endpoint));
        walk.does("update_webhook_endpoint", &path).await;
        walk.does("roll_webhook_secret", &format!("{path}/secret")).await;
        let test_path = format!("{path}/test");
        let test = owner.call("POST", &test_path, None).await;
        // What may be done every few seconds is refused before that, and writes nothing down.
        let again = owner.call("POST", &test_path, None).await;
        again.expect_problem(429, "too_many_requests");
        let test = walk.looked("test_webhook_endpoint", test);
        let event = test.json()["event_id"].as_str().unwrap().to_owned();
        costlens_tests::eventually("a delivery", async || {
            let deliveries = owner.get(&format!("{path}/deliveries")).await;
            deliveries["items"].as_array().unwrap().first().cloned()
        })
        .await;
        walk.does("retry_webhook_delivery", &format!("{path}/deliveries/{event}/retry")).await;
        walk.does("delete_webhook_endpoint", &path).await;
        budgets_and_surprises(&mut walk).await;
        let export = id_of(&walk.does("create_export", "/api/v1/exports").await);
        // Called off where it is not yet written, and taken away where it is.
        let path = format!("/api/v1/exports/{export}");
        costlens_tests::eventually("an export", async || {
            (owner.get(&path).await["state"] == "done").then_some(())
        })
        .await;
        walk.does("delete_export", &path).await;
        let invitation = id_of(&walk.does("create_invitation", "/api/v1/invitations").await);
        walk.does("revoke_invitation", &format!("/api/v1/invitations/{invitation}")).await;
        walk.single_sign_on(&tenant).await;
        walk.does_with("update_tenant", ("PATCH", "/api/v1/tenant"), &json!({"one_hour_sign_in": true}))
            .await;
        walk.does("request_closure", "/api/v1/account/closure").await;
        walk.does("cancel_closure", "/api/v1/account/closure").await;
        for _ in 1..5 {
            let closing = json!({"confirm": "Aurora"});
            owner.call("POST", "/api/v1/account/closure", Some(&closing)).await.expect(201);
            owner.call("DELETE", "/api/v1/account/closure", None).await.expect(204);
        }
        let closing = json!({"confirm": "Aurora"});
        let sixth = owner.call("POST", "/api/v1/account/closure", Some(&closing)).await;
        sixth.expect_problem(429, "too_many_requests");

        let base = app.base_url();
        let link = app.command(&["sign-in", "--tenant", &tenant, "--operator", "--public-url", &base]);
        let operator = Owner::sign_in(&base, &link).await;
        let job = |number: u32| {
            let id = format!("01a21452-bbf1-7199-ac38-{number:012}");
            app.sql(&format!(
                "INSERT INTO queue.job (id, queue, args, metadata, max_attempts, run_at, status, done_at, error_class, \
                     error_code, error) VALUES ('{id}', 'nobodys-audit.v1', '{{}}', '{{}}', 3, now(), 'dead', now(), \
                     'bug', 'broken', 'raw words of a program')"
            ));
            format!("/api/v1/operator/jobs/{id}")
        };
        let (one, other) = (job(1), job(2));
        let reason = json!({"reason": "a test"});
        let which = json!({"which": {"queue": "nobodys-audit.v1"}, "reason": "a test"});
        for (id, path, body) in [
            ("discard_operator_job", format!("{one}/discard"), &reason),
            ("retry_operator_job", format!("{other}/retry"), &reason),
            ("cancel_operator_job", format!("{other}/cancel"), &reason),
            ("redrive_dead_letters", "/api/v1/operator/redrive".to_owned(), &which),
            ("discard_dead_letters", "/api/v1/operator/discard".to_owned(), &which),
            ("pause_schedule", "/api/v1/operator/schedules/partitions/pause".to_owned(), &reason),
            ("resume_schedule", "/api/v1/operator/schedules/partitions/resume".to_owned(), &reason),
        ] {
            let answer = operator.call("POST", &path, Some(body)).await;
            walk.looked(id, answer);
        }
        prices(&mut walk, &operator).await;
        walk.does("delete_session", "/api/v1/session").await;
        let writing = CHANGING.iter().filter(|(_, writes)| !matches!(writes, OfPeople(_) | Nothing(_)));
        let unwalked: Vec<_> = writing.filter(|(id, _)| !walk.walked.contains(*id)).collect();
        assert!(unwalked.is_empty(), "these were not called: {unwalked:?}");
    });
}

/// Budgets, and what was found in weeks of facts.
async fn budgets_and_surprises(walk: &mut Walk<'_>) {
    let budget = id_of(&walk.does("create_budget", "/api/v1/budgets").await);
    walk.does("delete_budget", &format!("/api/v1/budgets/{budget}")).await;
    let rule = id_of(&walk.does("create_candidate_rule", "/api/v1/candidate-rules").await);
    walk.does("delete_candidate_rule", &format!("/api/v1/candidate-rules/{rule}")).await;
    let tenant = &walk.owner.tenant_id;
    walk.app.sql(&crate::victim::insight_of(tenant));
    let path = format!("/api/v1/anomalies/{}/decision", tenant.replace("ten_", "ano_"));
    let other = format!("/api/v1/recommendations/{}/dismissal", tenant.replace("ten_", "rec_"));
    walk.does("decide_anomaly", &path).await;
    walk.does("dismiss_recommendation", &other).await;
}

/// Bills, and where they come from.
async fn bills(walk: &mut Walk<'_>) {
    let received = walk.does("create_bill", "/api/v1/bills").await;
    let upload = walk.owner.upload_at(received.header("location")).await;
    walk.does("withdraw_bill", &format!("/api/v1/bills/{}", upload["bill_id"].as_str().unwrap())).await;
    let account = id_of(&walk.does("create_aws_connection", "/api/v1/aws-connections").await);
    let path = format!("/api/v1/aws-connections/{account}");
    walk.does("test_aws_connection", &format!("{path}/test")).await;
    walk.does("pause_aws_connection", &format!("{path}/pause")).await;
    walk.does("resume_aws_connection", &format!("{path}/resume")).await;
    walk.does("reconnect_aws_connection", &format!("{path}/reconnect")).await;
    walk.does("revoke_aws_connection", &path).await;
    let source = id_of(&walk.does("create_invoice_source", "/api/v1/invoice-sources").await);
    let path = format!("/api/v1/invoice-sources/{source}");
    walk.does("test_invoice_source", &format!("{path}/test")).await;
    walk.does("replace_invoice_key", &format!("{path}/key")).await;
    walk.does("pause_invoice_source", &format!("{path}/pause")).await;
    walk.does("resume_invoice_source", &format!("{path}/resume")).await;
    walk.does("revoke_invoice_source", &path).await;
}

/// What an operator does about prices. The document that is published says what the program's own prices say.
async fn prices(walk: &mut Walk<'_>, operator: &Owner) {
    let (app, reason) = (walk.app, json!({"reason": "a test"}));
    let document = app.command(&["prices", "export"]);
    for (number, id, verb) in [(1, "refuse_price_review", "refuse"), (2, "approve_price_review", "approve")] {
        let review = format!("01a21452-bbf1-7199-ac38-{number:012}");
        app.sql(&format!(
            "INSERT INTO price_review (id, state, fetched_at, base, sha256, source, diff, document) VALUES ('{review}', \
                 'needs_review', now(), 0, sha256('{number}'), 'a test', '{{}}', '')"
        ));
        // A command's argument holds some of it at once.
        for part in document.chars().collect::<Vec<_>>().chunks(20_000) {
            let part = hex::encode(part.iter().collect::<String>());
            app.sql(&format!(
                "UPDATE price_review SET document = document || convert_from('\\x{part}', 'UTF8') WHERE id = '{review}'"
            ));
        }
        let path = format!("/api/v1/operator/price-reviews/prv_{}/{verb}", review.replace('-', ""));
        walk.looked(id, operator.call("POST", &path, Some(&reason)).await);
    }
    let wrong = json!({
        "provider": "openai", "model": "gpt-4o", "reason": "a test",
        "from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z",
    });
    for (id, verb) in [("run_price_correction", "run"), ("cancel_price_correction", "cancel")] {
        let path = "/api/v1/operator/price-corrections";
        let asked = operator.call("POST", path, Some(&wrong)).await;
        let path = format!("{path}/{}", id_of(&walk.looked("create_price_correction", asked)));
        costlens_tests::eventually("a preview", async || {
            (operator.get(&path).await["correction"]["state"] == "previewed").then_some(())
        })
        .await;
        walk.looked(id, operator.call("POST", &format!("{path}/{verb}"), Some(&reason)).await);
    }
}

#[test]
fn who_signs_in_and_who_is_not_let_in_is_written_down_with_the_reason() {
    run(async {
        let app = shared();
        let tenant = app.command(&["tenants", "create", "Knocked at"]);
        let link = app.sign_in_link(&tenant);
        let owner = Owner::sign_in(&app.base_url(), &link).await;
        redeem(&app.base_url(), &link).await.expect_problem(401, "sign_in_link_invalid");
        let expired = app.sign_in_link(&tenant);
        app.sql(&format!(
            "UPDATE sign_in_link SET expires_at = created_at WHERE used_at IS NULL AND tenant_id = '{}'",
            tenant.trim_start_matches("ten_")
        ));
        redeem(&app.base_url(), &expired).await.expect_problem(401, "sign_in_link_invalid");
        let told = owner.get("/api/v1/audit-events").await;
        let told = told["items"].as_array().unwrap();
        let acts: Vec<_> = told.iter().map(|each| each["action"].as_str().unwrap()).collect();
        let expected = [
            "session.refused",
            "sign_in_link.created",
            "session.refused",
            "session.opened",
            "sign_in_link.created",
            "tenant.created",
        ];
        assert_eq!(acts, expected);
        assert_eq!(
            (&told[0]["change"]["reason"], &told[2]["change"]["reason"]),
            (&json!("expired"), &json!("used"))
        );
        assert_eq!((&told[0]["actor"], &told[0]["address"]), (&json!("nobody"), &json!("127.0.0.1")));

        // Of a link that nobody made the operator is told.
        let unknown = redeem(&app.base_url(), "http://x/welcome#t=acs_nobody-made-this").await;
        unknown.expect_problem(401, "sign_in_link_invalid");
        let request = request_of(&unknown);
        let noted = app.query(&format!("SELECT change FROM operator_event WHERE request_id = '{request}'"));
        assert_eq!(noted.trim(), r#"{"method": "link", "reason": "unknown"}"#);
        // An operator's link is made and used; whose console it opens is not said.
        let before = app.query("SELECT max(seq) FROM operator_event");
        let base = app.base_url();
        let link = app.command(&["sign-in", "--tenant", &tenant, "--operator", "--public-url", &base]);
        Owner::sign_in(&base, &link).await;
        let since = app.query(&format!(
            "SELECT action || ' ' || split_part(actor, '_', 1) || ' ' || change::text FROM operator_event \
             WHERE seq > {} AND action IN ('sign_in_link.created', 'session.opened') ORDER BY seq",
            before.trim()
        ));
        assert!(since.contains("sign_in_link.created operator:command-line {}"), "{since}");
        assert!(since.contains("session.opened operator:ses {}"), "{since}");
    });
}

#[test]
fn an_export_is_verified_offline_in_parts_and_packed_and_a_forged_one_is_not() {
    run(async {
        let app = shared();
        let owner = app.owner("Exported").await;
        for n in 0..5 {
            owner.create_key(&format!("key {n}")).await;
        }
        let head = owner.get("/api/v1/audit/head").await;
        assert_eq!(head["seq"], 8, "{head}");
        let verified = owner.get("/api/v1/audit/verification").await;
        assert_eq!((&verified["verified"], &verified["events"]), (&json!(true), &json!(8)), "{verified}");
        assert_eq!(verified["to_hash"], head["hash"]);

        let dir = tempfile::tempdir().unwrap();
        let url = format!("{}/api/v1/audit/export", app.base_url());
        let cookie = ("cookie", owner.cookie());
        let export = http::send("GET", &url, &[cookie], "").await.expect(200).text();
        let file = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let plain = file("audit.jsonl", export.as_bytes());
        let known = format!("{}:{}", head["seq"], head["hash"].as_str().unwrap());
        let said = app.command(&["verify-audit", &plain, "--head", &known]);
        assert!(
            said.contains("verified: 8 events") && said.contains("1 heads that were kept elsewhere"),
            "{said}"
        );
        assert!(said.contains(&format!("head: {known}")), "{said}");

        let packed = http::send("GET", &url, &[cookie, ("accept-encoding", "gzip")], "").await.expect(200);
        assert_eq!(packed.header("content-encoding"), "gzip");
        let packed = file("audit.jsonl.gz", &packed.body);
        assert!(app.command(&["verify-audit", &packed]).contains("verified: 8 events"));

        let lines: Vec<&str> = export.lines().collect();
        let first = file("first", format!("{}\n", lines[..4].join("\n")).as_bytes());
        let broken_off = app.failing_command(&["verify-audit", &first]);
        assert!(broken_off.contains("breaks off after event 3"), "{broken_off}");
        let rest = http::send("GET", &format!("{url}?after=3"), &[cookie], "").await.expect(200).text();
        let rest = file("rest", rest.as_bytes());
        assert!(app.command(&["verify-audit", &first, &rest]).contains("verified: 8 events"));
        let beyond = http::send("GET", &format!("{url}?after=99"), &[cookie], "").await;
        beyond.expect_problem(400, "invalid_request");

        let forged = export.replacen("\"name\": \"key 2\"", "\"name\": \"key 7\"", 1);
        assert_ne!(forged, export);
        let said = app.failing_command(&["verify-audit", &file("forged", forged.as_bytes())]);
        assert!(said.contains("line 7: event 6 was changed"), "{said}");
        let mut cut: Vec<&str> = lines.clone();
        cut.remove(5);
        let said = app.failing_command(&["verify-audit", &file("cut", cut.join("\n").as_bytes())]);
        assert!(said.contains("event 5 is missing"), "{said}");

        // The owner of the database changes a row: the server itself says which.
        let tenant = owner.tenant_id.trim_start_matches("ten_");
        app.sql(&format!(
            "BEGIN; ALTER TABLE audit_event DISABLE TRIGGER stays; \
             UPDATE audit_event SET actor = 'somebody' WHERE tenant_id = '{tenant}' AND seq = 5; \
             ALTER TABLE audit_event ENABLE TRIGGER stays; COMMIT"
        ));
        let broken = owner.get("/api/v1/audit/verification").await;
        assert_eq!((&broken["verified"], &broken["fault"]["seq"]), (&json!(false), &json!(5)), "{broken}");
        let words = broken["fault"]["what"].as_str().unwrap();
        assert!(words.contains("event 5 was changed"), "{words}");
    });
}
