//! The end of an account: frozen, kept after all, or erased to the last byte and certified.

use std::path::Path;
use std::process::Command;

use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::ErasureId;
use costlens_jobs::closures::{DEADLINE_DAYS, EraseAccount, GRACE_DAYS};
use costlens_queue::NewJob;
use costlens_queue::ops::State;
use costlens_store::testing::unlike_bytes;
use costlens_store::{ERASED_TABLES, Erasure, ErasureState};
use costlens_vault::SealedFor;
use costlens_workers::erasure::{Certificate, is_genuine};
use diesel::sql_types::{BigInt, Binary, Text};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl as _};

use super::Office;
use super::account::{Account, CANARY};
use super::children::machine_time;
use super::outside::{MailFault, Outside};

fn start() -> DateTime<Utc> {
    "2026-11-25T12:00:00Z".parse().unwrap()
}

#[derive(diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

#[derive(diesel::QueryableByName)]
struct Sealed {
    #[diesel(sql_type = Binary)]
    sealed: Vec<u8>,
    #[diesel(sql_type = diesel::sql_types::Uuid)]
    id: uuid::Uuid,
}

#[derive(diesel::QueryableByName)]
struct Wrapped {
    #[diesel(sql_type = Binary)]
    wrapped: Vec<u8>,
}

#[derive(diesel::QueryableByName)]
struct Said {
    #[diesel(sql_type = Text)]
    evidence: String,
}

async fn owner(office: &Office) -> AsyncPgConnection {
    AsyncPgConnection::establish(office.db.owner_url()).await.unwrap()
}

pub(crate) async fn rows(office: &Office, table: &str, account: &Account) -> i64 {
    let sql = format!("SELECT count(*) AS rows FROM {table} WHERE tenant_id = '{}'", account.tenant.uuid());
    let count: Count = diesel::sql_query(sql).get_result(&mut owner(office).await).await.unwrap();
    count.rows
}

/// What operators are told.
const BOOK: &str = include_str!("../../../docs/src/running.md");

/// What a text begins with, up to the first character that is in no name.
fn word(text: &str) -> Option<&str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}

#[derive(diesel::QueryableByName)]
struct Hex {
    #[diesel(sql_type = diesel::sql_types::Nullable<diesel::sql_types::Text>)]
    hex: Option<String>,
}

/// The whole database as text, as a backup holds it, without the rows of these tables.
fn dump(office: &Office, exclude: &[&str]) -> String {
    let binaries = ["/usr/lib/postgresql"];
    let mut command = None;
    for folder in binaries.iter().flat_map(|dir| std::fs::read_dir(dir).into_iter().flatten().flatten()) {
        let path = folder.path().join("bin/pg_dump");
        if path.exists() {
            command = Some(path);
        }
    }
    let mut pg_dump = Command::new(command.unwrap_or_else(|| "pg_dump".into()));
    pg_dump.arg("--inserts").arg("--dbname").arg(office.db.owner_url());
    for table in exclude {
        pg_dump.arg(format!("--exclude-table-data={table}"));
    }
    let out = pg_dump.output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// Whether a text is in any file below a folder.
fn in_files(dir: &Path, text: &str) -> bool {
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            if entry.path().to_string_lossy().contains(text) {
                return true;
            }
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else if String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap()).contains(text) {
                return true;
            }
        }
    }
    false
}

pub(crate) async fn request(office: &Office, account: &Account) -> Erasure {
    let now = office.parts.clock.now();
    let mut tx = office.parts.store.tenant(account.tenant).await.unwrap();
    let id = ErasureId::new(now, unlike_bytes());
    let days = |days| now + TimeDelta::days(i64::try_from(days).unwrap());
    let asked = tx.request_closure(id, ("a test", None), now, days(GRACE_DAYS), days(DEADLINE_DAYS)).await;
    let asked = asked.unwrap();
    tx.commit().await.unwrap();
    asked
}

pub(crate) async fn state(office: &Office, id: ErasureId) -> Erasure {
    office.parts.store.system().await.unwrap().erasure(id).await.unwrap().0
}

/// The tables whose rows have no end of their own: whatever runs when a test moves the clock takes none of theirs, and
/// makes none anew.
pub(crate) fn lasting() -> impl Iterator<Item = &'static str> {
    let purged = [
        "idempotency_key",
        "session",
        "sign_in_link",
        "message",
        "event",
        "webhook_delivery",
        "bill_upload",
        "unjudged_hour",
        // The days that go by tell of more.
        "budget_alert",
        // Made anew every night, out of the bills and calls that there are.
        "settlement",
        "settlement_residual",
        "settlement_coverage",
        "settlement_cell",
        "settlement_price",
        "settlement_day",
    ];
    ERASED_TABLES.concat().into_iter().filter(move |table| !purged.contains(table))
}

/// A filled account, at rest.
pub(crate) async fn filled(office: &Office, outside: &Outside, name: &str) -> Account {
    let account = Account::open(office, outside, name).await;
    account.fill(office).await;
    office.run("budgets.v1").await;
    office.quiet().await;
    for table in ERASED_TABLES.concat() {
        assert!(rows(office, table, &account).await > 0, "the test puts nothing into {table}");
    }
    account
}

#[tokio::test]
async fn an_account_is_erased_to_the_last_byte_after_its_days_of_grace_and_no_other_loses_a_row() {
    let outside = Outside::open().await;
    let office = Office::open_with_svix(&outside, start()).await;
    let acme = filled(&office, &outside, &format!("{CANARY} Rockets")).await;
    let other = filled(&office, &outside, "Other").await;
    office.sql("UPDATE connection SET name = 'other' WHERE tenant_id <> (SELECT id FROM tenant WHERE name LIKE 'Canary%')").await;
    // People are no tenant's: those of the other account are called something else.
    let others = format!("IN (SELECT user_id FROM member WHERE tenant_id = '{}')", other.tenant.uuid());
    office
        .sql(&format!(
            "UPDATE user_account SET name = 'other', email = 'other@people.example' WHERE id {others}; \
             UPDATE user_identity SET subject = 'other' WHERE user_id {others}; \
             UPDATE user_link SET email = 'other@people.example' WHERE user_id {others}"
        ))
        .await;
    let kept_before: Vec<i64> = {
        let mut counts = Vec::new();
        for table in lasting() {
            counts.push(rows(&office, table, &other).await);
        }
        counts
    };
    // A file that was never read, and a row whose text is sealed.
    acme.upload(&office, &format!("{CANARY}-late.csv"), "bill 2026-09 4").await;
    office.quiet().await;
    let mut conn = owner(&office).await;
    let sql = format!(
        "SELECT id, sealed_secret AS sealed FROM connection WHERE tenant_id = '{}'",
        acme.tenant.uuid()
    );
    let sealed: Sealed = diesel::sql_query(sql).get_result(&mut conn).await.unwrap();
    // A backup as the book has it taken: sealed texts, and no key to them.
    let left_out: Vec<&str> = BOOK.split("--exclude-table-data=").skip(1).filter_map(word).collect();
    let backup = dump(&office, &left_out);
    assert!(!backup.contains(&format!("sk-{CANARY}")), "a backup shows a secret");
    for table in ["tenant_key", "subject_key"] {
        let sql = format!("SELECT string_agg(encode(wrapped, 'hex'), ' ') AS hex FROM {table}");
        let keys: Hex = diesel::sql_query(sql).get_result(&mut conn).await.unwrap();
        let keys = keys.hex.unwrap();
        assert!(dump(&office, &[]).contains(word(&keys).unwrap()), "{table}: a dump shows keys otherwise");
        assert!(keys.split(' ').all(|key| !backup.contains(key)), "a backup holds the keys of {table}");
    }
    assert!(dump(&office, &[]).contains(CANARY), "the canaries sing nowhere");

    let asked = request(&office, &acme).await;
    office.set_clock(start() + TimeDelta::days(6) + TimeDelta::hours(23));
    office.run("erasure-sweep.v1").await;
    office.quiet().await;
    assert_eq!(state(&office, asked.id).await.state, ErasureState::Grace);
    office.set_clock(start() + TimeDelta::days(7));
    office.run("erasure-sweep.v1").await;
    office.quiet().await;
    let done = state(&office, asked.id).await;
    assert_eq!(done.state, ErasureState::Certified, "{done:?} {:?}", office.jobs("erasure.v1").await);

    // Nothing of it is anywhere: not by the tenant's id, not by any canary.
    let left = dump(&office, &[]);
    let mut lines =
        left.lines().filter(|line| line.contains(CANARY) || line.contains(&acme.tenant.uuid().to_string()));
    let of_other = |line: &str| line.contains(&other.tenant.uuid().to_string());
    let found: Vec<&str> = lines.by_ref().filter(|line| !of_other(line)).collect();
    assert!(found.is_empty(), "{found:#?}");
    assert!(
        !in_files(office.files.path(), CANARY) && !in_files(office.files.path(), &acme.tenant.to_string())
    );
    // What was sealed opens no more, with the backup and the master key at hand.
    let place =
        SealedFor { tenant: acme.tenant, table: "connection", column: "sealed_secret", row: sealed.id };
    let none: [(u32, Vec<u8>); 0] = [];
    assert!(office.parts.keyring.tenant(acme.tenant, &none).open(&place, &sealed.sealed).is_err());
    let keys: Vec<Wrapped> =
        diesel::sql_query("SELECT wrapped FROM tenant_key").load(&mut conn).await.unwrap();
    assert_eq!(keys.len(), 1, "one account has keys");
    assert!(!keys[0].wrapped.is_empty());
    // The other account has every row that it had.
    for (table, before) in lasting().zip(kept_before) {
        assert_eq!(rows(&office, table, &other).await, before, "{table}");
    }

    // The last word reached its people, and the certificate is genuine in every word.
    let letters = outside.letters();
    assert!(letters.iter().any(|letter| letter.contains(&asked.id.to_string())), "{letters:?}");
    let certificate: Certificate = serde_json::from_value(done.certificate.clone().unwrap()).unwrap();
    assert!(is_genuine(&office.parts.keyring, &certificate));
    let forged = Certificate { erased_at: certificate.erased_at - TimeDelta::days(1), ..certificate.clone() };
    assert!(!is_genuine(&office.parts.keyring, &forged));
    assert!(certificate.steps["rows:request"].as_u64().unwrap() >= 1, "{}", certificate.steps);
    assert_eq!(certificate.steps["data_keys"], 2, "the account's own, and its API key's");
    assert_eq!(certificate.steps["rows:request_body"], 1);
    // What Svix held of it is gone, which took one call, and the certificate says so.
    assert_eq!(outside.svix_deleted(), [acme.tenant.to_string()]);
    assert_eq!(outside.svix_calls("DELETE /api/v1/app").len(), 1);
    assert_eq!(outside.svix_has(), [other.tenant.to_string()]);
    let gone = certificate.steps["outside"].as_object().unwrap();
    assert_eq!(gone.keys().collect::<Vec<_>>(), [&svix_name(&outside)]);
    let told = done.certificate.unwrap().to_string();
    assert!(!told.contains(CANARY) && !told.contains(&acme.tenant.uuid().simple().to_string()));
    // What the audit must keep has times and acts, and no more.
    let kept: Count = diesel::sql_query("SELECT count(*) AS rows FROM kept_audit_event")
        .get_result(&mut conn)
        .await
        .unwrap();
    assert_eq!(kept.rows, 1);
    office.run("erasure-sweep.v1").await;
    office.end().await;
}

/// What evidence calls the Svix of a world outside.
pub(crate) fn svix_name(outside: &Outside) -> String {
    format!("svix http://127.0.0.1:{}/", outside.http_port)
}

#[tokio::test]
async fn an_account_that_is_kept_loses_nothing() {
    let outside = Outside::open().await;
    let office = Office::open_with_svix(&outside, start()).await;
    let acme = filled(&office, &outside, "Acme").await;
    let before: Vec<i64> = {
        let mut counts = Vec::new();
        for table in lasting() {
            counts.push(rows(&office, table, &acme).await);
        }
        counts
    };
    let asked = request(&office, &acme).await;
    // Frozen: what is due waits, and what happens is told to nobody.
    let sent = outside.letters().len();
    office.set_clock(start() + TimeDelta::days(6));
    office.run("digest.v1").await;
    office.run("budgets.v1").await;
    office.quiet().await;
    assert_eq!(outside.letters().len(), sent);
    let mut tx = office.parts.store.tenant(acme.tenant).await.unwrap();
    tx.cancel_closure(start() + TimeDelta::days(6)).await.unwrap();
    tx.commit().await.unwrap();
    for days in [7, 14, 31] {
        office.set_clock(start() + TimeDelta::days(days));
        office.run("erasure-sweep.v1").await;
        office.quiet().await;
    }
    assert_eq!(state(&office, asked.id).await.state, ErasureState::Cancelled);
    for (table, before) in lasting().zip(before) {
        assert_eq!(rows(&office, table, &acme).await, before, "{table}");
    }
    office.end().await;
}

#[tokio::test]
async fn an_erasure_that_cannot_go_on_alarms_the_operator_on_the_days_and_goes_on_when_it_can() {
    let outside = Outside::open().await;
    let office = Office::open_with_svix(&outside, start()).await;
    let acme = filled(&office, &outside, "Acme").await;
    let asked = request(&office, &acme).await;
    // Somebody holds a table that the erasure must empty.
    office
        .sql(
            "ALTER TABLE anomaly ADD CONSTRAINT held CHECK (true) NOT VALID; \
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''held''; END'; \
        CREATE TRIGGER held BEFORE DELETE ON anomaly FOR EACH ROW EXECUTE FUNCTION refuse()",
        )
        .await;
    for days in [8, 13, 14, 15, 20, 25, 26] {
        office.set_clock(start() + TimeDelta::days(days));
        office.run("erasure-sweep.v1").await;
        office.settled("erasure.v1").await;
    }
    // An alarm that cannot be written down is no alarm that was given.
    office.sql("ALTER TABLE operator_event ADD CONSTRAINT refused CHECK (at < '2026-12-25') NOT VALID").await;
    office.set_clock(start() + TimeDelta::days(30));
    office.enqueue("erasure-sweep.v1").await;
    office.until("erasure-sweep.v1", |jobs| jobs.iter().any(|job| job.state == State::Retrying)).await;
    office.sql("ALTER TABLE operator_event DROP CONSTRAINT refused").await;
    office.wake("erasure-sweep.v1").await;
    office.settled("erasure-sweep.v1").await;
    office.settled("erasure.v1").await;
    let mut conn = owner(&office).await;
    let sql =
        "SELECT change->>'day' AS evidence FROM operator_event WHERE action = 'erasure.late' ORDER BY at";
    let alarms: Vec<Said> = diesel::sql_query(sql).load(&mut conn).await.unwrap();
    let days: Vec<&str> = alarms.iter().map(|said| said.evidence.as_str()).collect();
    assert_eq!(days, ["14", "20", "25", "30"]);
    assert_eq!(state(&office, asked.id).await.state, ErasureState::Erasing);
    office.sql("DROP TRIGGER held ON anomaly").await;
    office.wake("erasure.v1").await;
    office.quiet().await;
    assert_eq!(state(&office, asked.id).await.state, ErasureState::Certified);
    let jobs = office.jobs("erasure.v1").await;
    for job in jobs.iter().filter(|job| job.state == State::Retrying) {
        let mut conn = office.queue.conn().await.unwrap();
        costlens_queue::ops::retry_now(&mut conn, job.id, None).await.unwrap();
    }
    office.end().await;
}

#[tokio::test]
async fn a_mail_server_that_is_away_keeps_no_account_alive() {
    let outside = Outside::open().await;
    let office = Office::open_with_svix(&outside, start()).await;
    let acme = filled(&office, &outside, "Acme").await;
    let asked = request(&office, &acme).await;
    outside.fail_mail(Some(MailFault::Busy));
    office.set_clock(start() + TimeDelta::days(8));
    office.run("erasure-sweep.v1").await;
    office.quiet().await;
    let done = state(&office, asked.id).await;
    assert_eq!(done.state, ErasureState::Certified);
    assert_eq!(done.evidence["farewell"]["sent"], 0);
    office.end().await;
}

#[tokio::test]
async fn a_worker_whose_clock_is_days_ahead_begins_no_erasure_and_no_other_work() {
    let outside = Outside::open().await;
    // The time that the database has.
    let mut office = Office::open_to(&outside, machine_time()).await;
    let acme = Account::open(&office, &outside, "Acme").await;
    let asked = request(&office, &acme).await;
    office.quiet().await;
    office.stop_work().await;
    office.parts.clocks_apart = Some(costlens_workers::CLOCKS_APART);
    costlens_workers::prepare(&office.queue, &office.parts).await.unwrap();
    office.set_clock(machine_time() + TimeDelta::days(8));
    let refused = costlens_workers::prepare(&office.queue, &office.parts).await.unwrap_err();
    assert!(matches!(refused, costlens_workers::SetupError::Queue(costlens_queue::QueueError::Clock { .. })));
    // One that is at work when its clock goes wrong: it begins nothing, and ends.
    office.ask(NewJob::of(&EraseAccount { erasure: asked.id }).unwrap()).await;
    let workers = costlens_workers::workers(office.queue.clone(), "test", &office.parts);
    let ended = workers.run_until(std::future::pending()).await.unwrap_err();
    assert_eq!(ended.queue, None);
    assert_eq!(office.jobs("erasure.v1").await[0].code.as_deref(), Some("clock"));
    assert_eq!(state(&office, asked.id).await.state, ErasureState::Grace);
    assert!(office.parts.store.tenant(acme.tenant).await.unwrap().data_keys().await.unwrap().len() == 1);
}
