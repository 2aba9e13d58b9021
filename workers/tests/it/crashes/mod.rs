//! A world with work for every workflow, and what must be so of it at the end, whatever died meanwhile: the world
//! outside has seen each effect once, or it stands written down that nobody knows, and nothing is left over.
//!
//! A test run strikes a few moments, chosen by a printed seed; `COSTLENS_CRASH_ROUNDS` says how many, `all` strikes
//! every one.

#![expect(clippy::indexing_slicing, reason = "a check stops at the first surprise")]

mod kills;
mod restarts;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::privacy::BodyClass;
use costlens_domain::request::{CostBasis, RequestFact};
use costlens_domain::{ErasureId, ExportId, RequestId};
use costlens_objects::Listed;
use costlens_queue::NewJob;
use costlens_store::testing::{TestDb, unlike_bytes};
use costlens_store::{ErasureState, ExportState, Message, MessageState, MessageTarget};
use diesel::sql_types::BigInt;
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl as _};
use serde_json::{Value, json};

use super::account::Account;
use super::children::{ToldClock, Worker};
use super::outside::Outside;
use super::{Office, PATIENCE};

fn monday() -> DateTime<Utc> {
    "2026-11-23T14:05:00Z".parse().unwrap()
}

/// How thorough a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rounds {
    /// So many, by the dice.
    Some(u64),
    /// Every one of so many, beginning with the part's own: `COSTLENS_CRASH_ROUNDS=all`, or `2/6` for a sixth of them.
    Part { part: u64, of: u64 },
}

#[expect(clippy::disallowed_methods, reason = "the test run says how thorough it is")]
fn rounds() -> Option<Rounds> {
    match std::env::var("COSTLENS_CRASH_ROUNDS").ok()?.as_str() {
        "all" => Some(Rounds::Part { part: 1, of: 1 }),
        told => match told.split_once('/') {
            Some((part, of)) => {
                let (part, of) = (part.parse().ok()?, of.parse().ok()?);
                (1..=of).contains(&part).then_some(Rounds::Part { part, of })
            }
            None => told.parse().ok().map(Rounds::Some),
        },
    }
}

/// A worker whose clock stands at the moment of these tests.
fn worker(world: &World, url: &str) -> Worker {
    Worker::start(&world.office, &world.outside, url, ToldClock::Stands(monday()))
}

/// A world with work for every workflow.
struct World {
    office: Office,
    outside: Outside,
    stays: Account,
    leaves: Account,
    erasure: ErasureId,
    export: ExportId,
    /// What Slack had heard before the workers began.
    posts_before: usize,
    /// The call that has no price yet.
    unpriced: RequestId,
    /// How much of it there is to erase.
    leaving: Vec<(&'static str, i64)>,
}

/// What may have changed something: an erasure's functions do.
fn may_change(sql: &str) -> bool {
    sql.starts_with("SELECT erase_") || costlens_queue::testing::may_change(sql)
}

/// Tables of the account that leaves in which nothing comes and goes but by its erasure.
const RESTING: [&str; 10] = [
    "request",
    "budget",
    "connection",
    "api_key",
    "webhook_endpoint",
    "slack_channel",
    "recipient",
    "member",
    "outer_organization",
    "tenant_settings",
];

/// The jobs that begin it all.
const BEGINNINGS: [&str; 20] = [
    "audit-anchors.v1",
    "aws-checks.v1",
    "digest.v1",
    "budgets.v1",
    "anomalies.v1",
    "insight-nights.v1",
    "settlement-nights.v1",
    "erasure-sweep.v1",
    "message-sweep.v1",
    "webhook-sweep.v1",
    "bill-uploads.v1",
    "exports.v1",
    "invoice-fetches.v1",
    "key-rotation.v1",
    "partitions.v1",
    "retention.v1",
    "status.v1",
    "queue-rows.v1",
    "price_unpriced.v1",
    "event-of-the-test",
];

impl World {
    async fn make() -> Self {
        Self::make_in(TestDb::new().await).await
    }

    async fn make_in(db: TestDb) -> Self {
        let outside = Outside::open().await;
        let mut office = Office::open_in(db, &outside, monday() - TimeDelta::days(8)).await;
        let leaves = Account::open(&office, &outside, "Leaver").await;
        leaves.fill(&office).await;
        let stays = Account::open(&office, &outside, "Stayer").await;
        // So old that the rotation takes it up.
        office.sql("UPDATE tenant_key SET created_at = '2026-01-01' WHERE version = 1").await;
        office.sql("UPDATE tenant_settings SET next_digest_at = '2026-11-23T14:00:00Z'").await;
        office.quiet().await;
        let asked = office.parts.clock.now();
        let erasure = ErasureId::new(asked, unlike_bytes());
        let mut tx = office.parts.store.tenant(leaves.tenant).await.unwrap();
        let (erase_at, deadline) = (asked + TimeDelta::days(7), asked + TimeDelta::days(30));
        tx.request_closure(erasure, ("a test", None), asked, erase_at, deadline).await.unwrap();
        tx.commit().await.unwrap();
        office.stop_work().await;
        office.wake_schedules().await;
        office.set_clock(monday());
        let mut calls = Vec::new();
        for day in 1..=14 {
            for hour in -3..=3 {
                let at = monday() - TimeDelta::days(day) + TimeDelta::hours(hour);
                calls.push(stays.call(at, "gpt-4o-mini", "1.00"));
            }
        }
        calls.push(stays.call(monday() - TimeDelta::minutes(40), "o3", "60.00"));
        // A call that had no price and gets one: the prices that came with the build know the model.
        let late = stays.call(monday() - TimeDelta::minutes(30), "gpt-4o", "0");
        let late = RequestFact { cost_basis: CostBasis::Unpriced, cost: None, ..late };
        let unpriced = late.id;
        calls.push(late);
        stays.spend(&office, &calls).await;
        super::notifications::budget(&office, stays.tenant, "70.00").await;
        stays.upload(&office, "october.csv", "bill 2026-10 3").await;
        // Prompts and answers past their time, under the class that they came with and under a shorter one.
        for days in [9, 10] {
            stays.keep(&office, monday() - TimeDelta::days(days), BodyClass::Week).await;
            stays.keep(&office, monday() - TimeDelta::days(days + 30), BodyClass::Year).await;
        }
        let month = format!(
            "INSERT INTO tenant_privacy VALUES ('{}', true, false, false, '30d', '2026-01-01')",
            stays.tenant.uuid()
        );
        office.sql(&month).await;
        office.sql("UPDATE subject_key SET created_at = '2026-01-01'").await;
        let export = stays.export(&office).await;
        stays.kept_member_that_leaves(&office).await;
        for queue in BEGINNINGS {
            match queue {
                "event-of-the-test" => drop(super::notifications::tell(&office, &stays).await),
                queue => drop(office.ask(NewJob::raw(queue, json!({}))).await),
            }
        }
        let posts_before = outside.posts("/services").len();
        let mut leaving = Vec::new();
        for table in RESTING {
            leaving.push((table, super::erasures::rows(&office, table, &leaves).await));
        }
        Self { office, outside, stays, leaves, erasure, export, posts_before, unpriced, leaving }
    }

    /// The export's file is there, whole, and once a sweeper came by after all was done, alone.
    async fn check_export(&self, story: &str) {
        let (store, objects) = (&self.office.parts.store, &self.office.parts.objects);
        let export = store.tenant(self.stays.tenant).await.unwrap().export(self.export).await.unwrap();
        assert_eq!((export.state, export.rows), (ExportState::Done, 104), "{story}");
        let files = objects.list_prefix(Some(self.stays.tenant), 10).await.unwrap();
        let is_this = |file: &Listed| Some(file.key.to_string()) == export.object_key;
        let this = files.iter().find(|file| is_this(file)).unwrap_or_else(|| panic!("{story}: {files:?}"));
        assert_eq!(Some(this.bytes), export.bytes, "{story}");
        // What a killed attempt left is a sweeper's to remove, and each of them is one of this export's.
        let of_it = |file: &Listed| file.key.name().starts_with(&self.export.to_string());
        assert!(files.iter().all(of_it) && files.len() <= 3, "{story}: {files:?}");
    }

    /// A message of Clerk's was acted upon once: its member is gone, and that stands in the audit one time.
    async fn check_inbox(&self, story: &str) {
        let mut owner = AsyncPgConnection::establish(self.office.db.owner_url()).await.unwrap();
        let stays = self.stays.tenant.uuid();
        for (sql, expected) in [
            ("SELECT count(*) AS rows FROM inbox_event WHERE state = 'done'".to_owned(), 2),
            (format!("SELECT count(*) AS rows FROM member WHERE tenant_id = '{stays}'"), 0),
            (
                format!(
                    "SELECT count(*) AS rows FROM audit_event \
                     WHERE tenant_id = '{stays}' AND action = 'member.removed' AND actor = 'clerk'"
                ),
                1,
            ),
        ] {
            let found: Count = diesel::sql_query(&sql).get_result(&mut owner).await.unwrap();
            assert_eq!(found.rows, expected, "{story}: {sql}");
        }
    }

    /// Has everything done by whoever works, and waits for it.
    async fn finish(&self, story: &str) {
        let begun = Instant::now();
        // A job that failed for a moment (it met an erased row, a database that was cut) waits for its next attempt.
        while !self.is_all_done().await {
            assert!(begun.elapsed() < PATIENCE, "{story}: still {:#?}", self.office.unfinished().await);
            self.office.wake_all().await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Whether nothing is left to do, and no tick is still to come: a worker that was slow to start may not have looked at
    /// its schedules yet, so they are looked at here as another replica would, behind whoever is at it.
    async fn is_all_done(&self) -> bool {
        let mut conn = self.office.queue.conn().await.unwrap();
        let tick = conn.transaction(async |tx| {
            diesel::sql_query("SELECT name FROM queue.schedule FOR UPDATE").execute(tx).await?;
            costlens_queue::schedule::tick(tx, monday()).await
        });
        tick.await.unwrap();
        self.office.unfinished().await.is_empty()
    }

    /// What must be so at the end, whatever died meanwhile.
    async fn check(&self, story: &str) {
        let store = &self.office.parts.store;
        let mut tx = store.tenant(self.stays.tenant).await.unwrap();
        let messages = tx.list_messages(None, 100).await.unwrap();
        assert_eq!(tx.list_anomalies(None, 10).await.unwrap().len(), 1, "{story}");
        assert_eq!(tx.list_bills(None, 10).await.unwrap().len(), 1, "{story}");
        let (priced, earlier) =
            (tx.request(self.unpriced).await.unwrap(), tx.earlier_prices(self.unpriced).await.unwrap());
        assert_eq!((priced.cost_basis, earlier.len()), (CostBasis::Exact, 1), "{story}");
        let walks = tx.list_repricings(None, 10).await.unwrap();
        assert_eq!((walks.len(), walks[0].changed, Some(walks[0].new_cost)), (1, 1, priced.cost), "{story}");
        drop(tx);
        super::prices::sums_agree(&self.office, story).await;
        // Two channels hear of the digest, the budget, the anomaly and the bill.
        assert_eq!(messages.len(), 8, "{story}: {messages:#?}");
        let letters = self.outside.letters();
        let posts = self.outside.posts("/services").len() - self.posts_before;
        for (kind, words) in [
            ("weekly_digest", "on the weekly digest"),
            ("budget_alert", "on the budget alerts"),
            ("anomaly_alert", "on the anomaly alerts"),
            ("bill_published", "on the bill notices"),
        ] {
            let is_so =
                |letter: &&String| letter.contains("To: cfo@stayer.example") && letter.contains(words);
            let said = letters.iter().filter(is_so).count();
            once(&messages, kind, true, said, story);
        }
        let unknown =
            messages.iter().filter(|message| !is_mail(message) && message.state == MessageState::Unknown);
        let sent = messages.iter().filter(|message| !is_mail(message) && message.state == MessageState::Sent);
        let (unknown, sent) = (unknown.count(), sent.count());
        assert!(sent <= posts && posts <= sent + unknown && sent + unknown == 4, "{story}");

        // A receiver knows a webhook by its id: each was told, and under one id.
        let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for post in self.outside.posts("/hook") {
            let body: Value = serde_json::from_str(&post.body).unwrap();
            let ids = told.entry(body["type"].as_str().unwrap().to_owned()).or_default();
            ids.push(post.headers["webhook-id"].clone());
            ids.sort_unstable();
            ids.dedup();
        }
        // Before the account that leaves was frozen it had told of its own.
        for (kind, ids) in [
            ("anomaly.found", 1),
            ("budget.reached", 1),
            ("key.created", 2),
            ("bill.published", 2),
            ("export.done", 2),
        ] {
            assert_eq!(told.get(kind).map(Vec::len), Some(ids), "{story}: {told:?}");
        }

        // What went stands in the audit, as often as it went.
        let mut tx = store.tenant(self.stays.tenant).await.unwrap();
        let events = tx.list_audit_events(None, 200).await.unwrap();
        let purged = events.iter().filter(|event| event.action == "bodies.purged");
        let purged: u64 = purged.map(|event| event.change["bodies"].as_u64().unwrap()).sum();
        let left = tx.count_bodies_before(BodyClass::ALL, monday().date_naive()).await.unwrap();
        let keys = tx.subject_keys(self.stays.key).await.unwrap();
        assert_eq!((purged, left.bodies, keys.len()), (4, 0, 2), "{story}: {events:#?}");
        drop(tx);

        let mut system = store.system().await.unwrap();
        let (erasure, tenant) = system.erasure(self.erasure).await.unwrap();
        assert_eq!((erasure.state, tenant), (ErasureState::Certified, None), "{story}");
        // It counted every row that it erased, once.
        for (table, rows) in &self.leaving {
            assert_eq!(erasure.evidence[format!("rows:{table}")], *rows, "{story}: {table}");
        }
        // One anchor, of the day, whose file is the one that is noted.
        super::audit::is_anchored(&self.office, 1, story).await;
        // The last word goes out before anybody writes down that it did.
        let number = erasure.id.to_string();
        let last_words = letters.iter().filter(|letter| letter.contains(&number)).count();
        match erasure.evidence["farewell"]["sent"].as_u64() {
            Some(sent) => assert_eq!(u64::try_from(last_words).unwrap(), sent, "{story}"),
            None => assert!(last_words <= 1, "{story}: {last_words} last words"),
        }
        let gone = self.leaves.tenant.uuid();
        let mut owner = AsyncPgConnection::establish(self.office.db.owner_url()).await.unwrap();
        let sql = format!("SELECT count(*) AS rows FROM queue.job WHERE tenant = '{gone}'");
        let left: Count = diesel::sql_query(sql).get_result(&mut owner).await.unwrap();
        assert_eq!(left.rows, 0, "{story}");
        self.check_export(story).await;
        self.check_inbox(story).await;
        assert_eq!(self.office.parts.objects.count_prefix(self.leaves.tenant).await.unwrap(), 0, "{story}");
        self.office.nothing_is_left(story).await;
    }
}

#[derive(diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

pub(crate) const fn is_mail(message: &Message) -> bool {
    matches!(message.target, MessageTarget::Recipient(_))
}

/// A letter was taken once; or it may have been, never twice, and that stands in its row.
fn once(messages: &[Message], kind: &str, mail: bool, said: usize, story: &str) {
    let of_kind = messages.iter().filter(|message| message.kind == kind && is_mail(message) == mail);
    let states: Vec<MessageState> = of_kind.map(|message| message.state).collect();
    match states.as_slice() {
        [MessageState::Sent] => assert_eq!(said, 1, "{story}: {kind}"),
        [MessageState::Unknown] => assert!(said <= 1, "{story}: {kind} went out {said} times"),
        other => panic!("{story}: {kind} is {other:?}"),
    }
}
