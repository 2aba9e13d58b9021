//! What a group's ticks are to bring about, written down before they begin, each thing due at a moment of its own; and
//! whether it was brought about, once.

use std::collections::BTreeSet;

use chrono::{DateTime, Days, TimeDelta, Utc, Weekday};
use costlens_domain::calendar::{Period, Zone};
use costlens_domain::export::{ExportFormat, ExportWhat};
use costlens_domain::{ErasureId, ExportId, TenantId};
use costlens_queue::ops::State;
use costlens_store::testing::unlike_bytes;
use costlens_store::{DeliveryState, ErasureState, MessageState, NewExport, RequestFilter, TenantSettings};
use costlens_vault::SealedFor;
use serde_json::Value;

use super::super::Office;
use super::super::account::Account;
use super::super::audit::is_anchored;
use super::super::crashes::is_mail;
use super::super::notifications::{budget, tell};
use super::super::outside::Outside;
use super::calendar::ticks;
use super::{Chaos, Group, at, counted, number, texts};

/// A tenant with a digest and a budget in its own zone.
struct Zoned {
    account: Account,
    /// When its digest is due.
    digest: Option<DateTime<Utc>>,
    /// The days of its own on which its budget is reached.
    days: BTreeSet<DateTime<Utc>>,
}

/// What is due.
#[derive(Default)]
pub(super) struct Due {
    zoned: Vec<Zoned>,
    /// Messages and deliveries that lost their jobs, and how many of each.
    orphans: Option<(Account, i64)>,
    uploads: Option<(Account, i64)>,
    exports: Option<(Account, i64)>,
    erasures: Vec<(TenantId, ErasureId)>,
    /// Hours that their past does not explain.
    surprises: Option<(Account, BTreeSet<DateTime<Utc>>)>,
    sessions: Option<(TenantId, i64)>,
    /// Jobs that ended long ago.
    old_jobs: i64,
    keys: Vec<Account>,
}

/// Digests at hours that a change of clocks repeats, at odd offsets, and on the other side of midnight.
const ZONES: [(&str, Weekday, u32, &str); 8] = [
    ("Europe/Berlin", Weekday::Sun, 2, "2026-10-25T00:00:00Z"),
    ("Europe/Berlin", Weekday::Sun, 3, "2026-10-25T02:00:00Z"),
    ("Europe/London", Weekday::Sun, 1, "2026-10-25T00:00:00Z"),
    ("Asia/Kolkata", Weekday::Sun, 6, "2026-10-25T00:30:00Z"),
    ("Asia/Kathmandu", Weekday::Sun, 7, "2026-10-25T01:15:00Z"),
    ("America/New_York", Weekday::Sat, 20, "2026-10-25T00:00:00Z"),
    ("Australia/Lord_Howe", Weekday::Sun, 12, "2026-10-25T01:00:00Z"),
    ("UTC", Weekday::Sun, 1, "2026-10-25T01:00:00Z"),
];

impl Due {
    pub(super) async fn make(group: &Group, office: &Office, outside: &Outside) -> Self {
        let mut due = Self::default();
        let tens = group.lasts.num_minutes() / 10;
        for schedule in &group.schedules {
            match *schedule {
                "digests" => due.make_zoned(group, office, outside).await,
                "messages" => due.make_orphans(group, office, outside, tens - 6).await,
                "bill-uploads" => due.make_uploads(group, office, outside, tens - 3).await,
                "exports" => due.make_exports(group, office, outside, tens - 3).await,
                "erasures" => due.make_erasures(group, office, outside).await,
                "anomalies" => due.make_surprises(group, office, outside).await,
                "retention" => due.make_sessions(group, office).await,
                "queue-rows" => due.old_jobs = group.lasts.num_days(),
                "key-rotation" => {
                    for name in ["Key One", "Key Two", "Key Three"] {
                        due.keys.push(Account::open(office, outside, name).await);
                    }
                }
                // Their work is made with that of the others.
                "audit-anchors" | "budgets" | "dead-letters" | "deliveries" | "insight" | "partitions" | "settlements"
                // What these look at is outside and not configured here, or priced already.
                | "aws-checks" | "clerk-sweep" | "invoice-fetches" | "prices" | "sso-domains" | "status" | "unpriced" => {}
                other => panic!("nothing is due of {other}"),
            }
        }
        due
    }

    async fn make_zoned(&mut self, group: &Group, office: &Office, outside: &Outside) {
        let (begin, end) = (group.begin, group.begin + group.lasts);
        let by_hours = (0..group.lasts.num_hours() / 12).map(|n| {
            let due = begin + TimeDelta::hours(12 * n + 5);
            let (day, hour) = (chrono::Datelike::weekday(&due), chrono::Timelike::hour(&due));
            ("UTC".to_owned(), day, hour, due)
        });
        let zones = ZONES.into_iter().map(|(zone, day, hour, due)| (zone.to_owned(), day, hour, at(due)));
        for (n, (zone, day, hour, due)) in (0..).zip(zones.chain(by_hours)) {
            let account = Account::open(office, outside, &format!("Zoned {n}")).await;
            let mut tx = office.parts.store.tenant(account.tenant).await.unwrap();
            let zone = Zone::parse(&zone).unwrap();
            tx.put_settings(&TenantSettings::of(zone, day, hour, begin)).await.unwrap();
            tx.commit().await.unwrap();
            budget(office, account.tenant, "10.00").await;
            // Spent at the same hour of every day, which is a day of its own in every zone.
            let first = at("2026-10-24T00:20:00Z");
            let calls =
                (0..).map(|day| first + Days::new(day)).take_while(|at| *at < end - TimeDelta::hours(2));
            let calls: Vec<DateTime<Utc>> = calls.filter(|at| *at > begin).collect();
            let facts: Vec<_> = calls.iter().map(|at| account.call(*at, "gpt-4o", "12.00")).collect();
            account.spend(office, &facts).await;
            let days = calls.iter().map(|at| zone.start_of(Period::Day, *at)).collect();
            let digest = Some(due).filter(|due| *due > begin && *due < end - TimeDelta::minutes(30));
            self.zoned.push(Zoned { account, digest, days });
        }
    }

    /// Copies of a message and a delivery, each with a job that never was.
    async fn make_orphans(&mut self, group: &Group, office: &Office, outside: &Outside, many: i64) {
        let account = Account::open(office, outside, "Orphans").await;
        let (tenant, begin) = (account.tenant.uuid(), group.begin.to_rfc3339());
        office
            .sql(&format!(
                "UPDATE tenant_settings SET next_digest_at = '{}' WHERE tenant_id = '{tenant}'",
                office.parts.clock.now().to_rfc3339()
            ))
            .await;
        office.run("digest.v1").await;
        tell(office, &account).await;
        office.quiet().await;
        office
            .sql(&format!(
                "UPDATE tenant_settings SET next_digest_at = '2100-01-01' WHERE tenant_id = '{tenant}'"
            ))
            .await;
        office
            .sql(&format!(
                "INSERT INTO message (tenant_id, id, key, kind, channel, target_id, figures, state, created_at, \
                     expires_at, attempts, job_id, doubts) \
                 SELECT tenant_id, gen_random_uuid(), 'orphan ' || n, kind, channel, target_id, figures, 'queued', \
                     timestamptz '{begin}' + (n - 3) * interval '10 minutes', \
                     timestamptz '{begin}' + (n - 3) * interval '10 minutes' + interval '30 days', \
                     0, gen_random_uuid(), 0 \
                 FROM message, generate_series(1, {many}) AS n \
                 WHERE tenant_id = '{tenant}' AND channel = 'email' AND kind = 'weekly_digest'; \
                 WITH made AS ( \
                     INSERT INTO event (tenant_id, id, kind, at, payload) \
                     SELECT '{tenant}', gen_random_uuid(), 'key.created', '{begin}', jsonb_build_object('orphan', n) \
                     FROM generate_series(1, {many}) AS n RETURNING id, payload) \
                 INSERT INTO webhook_delivery (tenant_id, event_id, endpoint_id, state, attempts, created_at, next_at, \
                     job_id) \
                 SELECT '{tenant}', id, '{endpoint}', 'pending', 0, '{begin}', \
                     timestamptz '{begin}' + ((payload->>'orphan')::int - 3) * interval '10 minutes', \
                     gen_random_uuid() FROM made",
                endpoint = account.endpoint.uuid(),
            ))
            .await;
        self.orphans = Some((account, many));
    }

    async fn make_uploads(&mut self, group: &Group, office: &Office, outside: &Outside, many: i64) {
        let account = Account::open(office, outside, "Uploads").await;
        for n in 0..many {
            let content = format!("bill {}-{:02} {}", 1900 + n / 12, n % 12 + 1, n + 1);
            account.keep_upload(office, &format!("{n}.csv"), &content).await;
        }
        self.set_still(group, office, "bill_upload", &account).await;
        self.uploads = Some((account, many));
    }

    /// Exports that nobody asks to write.
    async fn make_exports(&mut self, group: &Group, office: &Office, outside: &Outside, many: i64) {
        let account = Account::open(office, outside, "Exports").await;
        let now = office.parts.clock.now();
        let mut tx = office.parts.store.tenant(account.tenant).await.unwrap();
        for _ in 0..many {
            let filter = RequestFilter { to: Some(now), ..RequestFilter::default() };
            let (what, format) = (ExportWhat::Requests, ExportFormat::Csv);
            let id = ExportId::new(now, unlike_bytes());
            tx.create_export(&NewExport { id, what, format, filter, created_at: now }).await.unwrap();
        }
        tx.commit().await.unwrap();
        self.set_still(group, office, "export", &account).await;
        self.exports = Some((account, many));
    }

    /// Each lies still since another moment.
    async fn set_still(&self, group: &Group, office: &Office, table: &str, account: &Account) {
        office
            .sql(&format!(
                "WITH counted AS (SELECT id, row_number() OVER (ORDER BY id) AS n FROM {table} \
                                  WHERE tenant_id = '{tenant}') \
                 UPDATE {table} AS t SET updated_at = timestamptz '{begin}' + (n - 1) * interval '10 minutes' \
                 FROM counted WHERE t.tenant_id = '{tenant}' AND t.id = counted.id",
                tenant = account.tenant.uuid(),
                begin = group.begin.to_rfc3339(),
            ))
            .await;
    }

    /// Accounts that go one after another.
    async fn make_erasures(&mut self, group: &Group, office: &Office, outside: &Outside) {
        let many = (group.lasts.num_hours() / 5).clamp(2, 25);
        for n in 0..many {
            let account = Account::open(office, outside, &format!("Leaver {n}")).await;
            tell(office, &account).await;
            office.quiet().await;
            let asked = office.parts.clock.now();
            let erase_at =
                group.begin + group.lasts * i32::try_from(n).unwrap() / i32::try_from(many + 1).unwrap();
            let id = ErasureId::new(asked, unlike_bytes());
            let mut tx = office.parts.store.tenant(account.tenant).await.unwrap();
            let deadline = erase_at + TimeDelta::days(23);
            tx.request_closure(id, ("a test", None), asked, erase_at, deadline).await.unwrap();
            tx.commit().await.unwrap();
            self.erasures.push((account.tenant, id));
        }
    }

    async fn make_surprises(&mut self, group: &Group, office: &Office, outside: &Outside) {
        let account = Account::open(office, outside, "Surprises").await;
        let hours = group.lasts.num_hours();
        let mut calls = Vec::new();
        for hour in -15 * 24..hours {
            calls.push(account.call(
                group.begin + TimeDelta::hours(hour) + TimeDelta::minutes(5),
                "gpt-4o",
                "1.00",
            ));
        }
        let mut surprises = BTreeSet::new();
        // Each at another time of day, and later than a day after the one before: each is news.
        for n in 0.. {
            let hour = group.begin + TimeDelta::hours(1 + 29 * n);
            if hour + TimeDelta::hours(2) > group.begin + group.lasts {
                break;
            }
            calls.push(account.call(hour + TimeDelta::minutes(30), "o3", "60.00"));
            surprises.insert(hour);
        }
        // Somebody has judged before: a product that never did begins with the last two hours, and the first tick of
        // a slow machine may be later than that.
        office.run("anomalies.v1").await;
        account.spend(office, &calls).await;
        self.surprises = Some((account, surprises));
    }

    /// Sessions that ended one after another, from before the beginning until after the end.
    async fn make_sessions(&mut self, group: &Group, office: &Office) {
        let tenant = office.db.create_tenant("Sessions").await;
        let days = group.lasts.num_days();
        office
            .sql(&format!(
                "INSERT INTO session (tenant_id, id, hash, created_at, expires_at) \
                 SELECT '{}', gen_random_uuid(), sha256(n::text::bytea), at, at FROM generate_series(-40, {days}) AS n, \
                     LATERAL (SELECT timestamptz '{}' + n * interval '1 day' AS at) AS moment",
                tenant.uuid(),
                group.begin.to_rfc3339(),
            ))
            .await;
        self.sessions = Some((tenant, days + 41));
    }

    /// Work whose age is the database's own: it becomes due while the clocks run.
    pub(super) async fn begin(&self, group: &Group, office: &Office) {
        let each = group.takes(1).as_millis() / u128::try_from(self.old_jobs.max(1) + 3).unwrap();
        if self.old_jobs > 0 {
            office
                .sql(&format!(
                    "INSERT INTO queue.job (id, queue, args, max_attempts, status, key, done_at) \
                     SELECT gen_random_uuid(), 'partitions.v1', '{{}}', 1, 'done', 'old ' || n, \
                         clock_timestamp() - interval '7 days' + n * interval '{each} milliseconds' \
                     FROM generate_series(1, {}) AS n",
                    self.old_jobs
                ))
                .await;
        }
    }

    pub(super) async fn check(&self, group: &Group, office: &Office, outside: &Outside, chaos: Chaos) {
        for zoned in &self.zoned {
            zoned.check(office, outside).await;
        }
        if let Some((account, many)) = &self.orphans {
            check_orphans(office, outside, account, *many, chaos).await;
        }
        if let Some((account, many)) = &self.uploads {
            let tenant = account.tenant.uuid();
            let sql = format!("SELECT state AS key FROM bill_upload WHERE tenant_id = '{tenant}'");
            assert_eq!(
                counted(texts(office, &sql).await),
                [("published".to_owned(), many.cast_unsigned())].into()
            );
            let bills = format!("SELECT count(*) FROM bill WHERE tenant_id = '{tenant}'");
            assert_eq!(number(office, &bills).await, *many);
            let events = format!(
                "SELECT count(*) FROM event WHERE tenant_id = '{tenant}' AND kind = 'bill.published'"
            );
            assert_eq!(number(office, &events).await, *many);
            assert_eq!(office.parts.objects.count_prefix(account.tenant).await.unwrap(), 0);
            println!("{}: {many} bills", group.name);
        }
        if let Some((account, many)) = &self.exports {
            let tenant = account.tenant.uuid();
            let sql = format!("SELECT state AS key FROM export WHERE tenant_id = '{tenant}'");
            assert_eq!(
                counted(texts(office, &sql).await),
                [("done".to_owned(), many.cast_unsigned())].into()
            );
            let events =
                format!("SELECT count(*) FROM event WHERE tenant_id = '{tenant}' AND kind = 'export.done'");
            assert_eq!(number(office, &events).await, *many);
            println!("{}: {many} exports", group.name);
        }
        if group.schedules.contains(&"audit-anchors") {
            let days = "SELECT count(DISTINCT day) FROM audit_anchor";
            let (days, rows) =
                (number(office, days).await, number(office, "SELECT count(*) FROM audit_anchor").await);
            // A day whose job came late has the next day's anchor: how many days that leaves depends on the machine. No day
            // has two; that each anchor is in its file and in the chain of them is looked at below.
            assert!(days == rows && rows > 0, "{rows} anchors of {days} days");
            is_anchored(office, usize::try_from(rows).unwrap(), group.name).await;
            println!("{}: {rows} anchors", group.name);
        }
        let letters = outside.letters();
        for (tenant, id) in &self.erasures {
            let (erasure, of) = office.parts.store.system().await.unwrap().erasure(*id).await.unwrap();
            assert_eq!((erasure.state, of), (ErasureState::Certified, None), "{tenant} {erasure:?}");
            let said = letters.iter().filter(|letter| letter.contains(&id.to_string())).count();
            match erasure.evidence["farewell"]["sent"].as_u64() {
                Some(sent) => assert_eq!(u64::try_from(said).unwrap(), sent),
                None => assert!(said <= 1 && chaos.kills > 0, "{said} last words"),
            }
        }
        if !self.erasures.is_empty() {
            println!("{}: {} accounts erased", group.name, self.erasures.len());
        }
        if let Some((account, hours)) = &self.surprises {
            self.check_surprises(group, office, account, hours).await;
        }
        if group.schedules.contains(&"partitions") {
            let end = group.begin + group.lasts;
            let days = group
                .begin
                .date_naive()
                .iter_days()
                .take_while(|day| *day <= end.date_naive() + Days::new(7));
            for day in days {
                let name = format!("request_{}", day.format("%Y%m%d"));
                let there = format!("SELECT count(*) FROM pg_class WHERE relname = '{name}'");
                assert_eq!(number(office, &there).await, 1, "{name}");
            }
        }
        if let Some((tenant, made)) = self.sessions {
            self.check_sessions(group, office, tenant, made).await;
        }
        if self.old_jobs > 0 {
            let left = number(office, "SELECT count(*) FROM queue.job WHERE key LIKE 'old %'").await;
            let pruned = "SELECT coalesce(sum((progress->>'jobs')::int), 0) FROM queue.job \
                          WHERE queue = 'queue-rows.v1'";
            // What an attempt did that was killed stands nowhere.
            let pruned = number(office, pruned).await;
            assert!(left == 0 && pruned <= self.old_jobs, "{left} are left, {pruned} went");
            println!("{}: {} old jobs went, {pruned} are counted", group.name, self.old_jobs);
        }
        for account in &self.keys {
            self.check_keys(group, office, account).await;
        }
    }

    async fn check_surprises(
        &self,
        group: &Group,
        office: &Office,
        account: &Account,
        hours: &BTreeSet<DateTime<Utc>>,
    ) {
        let mut tx = office.parts.store.tenant(account.tenant).await.unwrap();
        let anomalies = tx.list_anomalies(None, 1_000).await.unwrap();
        let found = counted(anomalies.iter().map(|anomaly| anomaly.hour));
        let once: std::collections::BTreeMap<_, _> = hours.iter().map(|hour| (*hour, 1)).collect();
        assert_eq!(found, once, "{}", group.name);
        drop(tx);
        let sql = format!(
            "SELECT channel || ' ' || state AS key FROM message WHERE tenant_id = '{}' AND kind = 'anomaly_alert'",
            account.tenant.uuid()
        );
        let told = texts(office, &sql).await;
        // What was found half a day late or later wakes nobody.
        assert!(told.len() <= 2 * hours.len(), "{told:?}");
        println!("{}: {} surprises, {:?}", group.name, hours.len(), counted(told));
    }

    /// The last night took what had ended thirty days before, and nothing else went.
    async fn check_sessions(&self, group: &Group, office: &Office, tenant: TenantId, made: i64) {
        let last = *ticks("retention", group.begin, group.begin + group.lasts).last().unwrap();
        let of = format!("SELECT count(*) FROM session WHERE tenant_id = '{}'", tenant.uuid());
        // A clock that is behind takes a little less; one that is ahead, or a night that came late, a little more.
        let kept_for = TimeDelta::days(30);
        let (sure, perhaps) = (last - group.skew - kept_for, group.begin + group.lasts - kept_for);
        let old = number(office, &format!("{of} AND expires_at < '{}'", sure.to_rfc3339())).await;
        let young = number(office, &format!("{of} AND expires_at >= '{}'", perhaps.to_rfc3339())).await;
        let kept = group.lasts.num_days() - (perhaps - group.begin).num_days() + 1;
        assert_eq!((old, young), (0, kept.min(made)), "{}", group.name);
        let gone = "SELECT coalesce(sum((progress->>'session')::int), 0) FROM queue.job \
                    WHERE queue = 'retention.v1'";
        let (gone, left) = (number(office, gone).await, number(office, &of).await);
        println!("{}: of {made} sessions {left} are left, {gone} are counted as gone", group.name);
        assert!(gone + left <= made, "{gone} of {made} went, and {left} are left");
    }

    /// Versions follow one another, none was made before its time, and what is sealed opens under the newest.
    async fn check_keys(&self, group: &Group, office: &Office, account: &Account) {
        let mut tx = office.parts.store.tenant(account.tenant).await.unwrap();
        let keys = tx.data_keys().await.unwrap();
        let newest = keys.iter().map(|key| key.version).max().unwrap();
        // A key of ninety days gets a successor in the night that follows, or when somebody is there to make it.
        let days = group.lasts.num_days() + 8;
        let rotations = i64::from(newest - 1);
        assert!(rotations >= 1 && rotations >= days / 120 && rotations <= days / 90, "{rotations} in {days}");
        let wrapped: Vec<_> = keys.iter().map(|key| (key.version, &key.wrapped)).collect();
        let newest_alone: Vec<_> =
            wrapped.iter().filter(|(version, _)| *version == newest).copied().collect();
        let endpoint = tx.webhook_endpoint(account.endpoint).await.unwrap();
        let place = SealedFor {
            tenant: account.tenant,
            table: "webhook_endpoint",
            column: "sealed_secret",
            row: account.endpoint.uuid(),
        };
        let opened =
            office.parts.keyring.tenant(account.tenant, &newest_alone).open(&place, &endpoint.sealed_secret);
        assert_eq!(*opened.unwrap(), *account.secret.reveal().as_bytes());
        assert!(keys.len() <= 3, "old keys stay: {}", keys.len());
        println!("{}: {rotations} rotations in {days} days", group.name);
    }
}

impl Zoned {
    async fn check(&self, office: &Office, outside: &Outside) {
        let tenant = self.account.tenant.uuid();
        let mut tx = office.parts.store.tenant(self.account.tenant).await.unwrap();
        let messages = tx.list_messages(None, 1_000).await.unwrap();
        let name = tx.tenant().await.unwrap().name;
        drop(tx);
        let of = |kind: &str| messages.iter().filter(|message| message.kind == kind).collect::<Vec<_>>();
        // By mail and to Slack, not before its hour and not twice.
        let digests = of("weekly_digest");
        assert_eq!(digests.len(), if self.digest.is_some() { 2 } else { 0 }, "{name}: {digests:#?}");
        for (digest, due) in digests.iter().filter_map(|digest| self.digest.map(|due| (digest, due))) {
            assert!(digest.created_at >= due, "{name}: {digest:?} was due at {due}");
        }
        let alerts = of("budget_alert");
        assert_eq!(alerts.len(), 2 * self.days.len(), "{name}: {alerts:#?}");
        let sql = format!("SELECT period_start::text AS key FROM budget_alert WHERE tenant_id = '{tenant}'");
        // Its thresholds are reached together, and each is written once a day.
        let told = counted(texts(office, &sql).await);
        assert_eq!(told.len(), self.days.len(), "{name}: {told:?}");
        assert!(told.values().all(|times| *times == 3), "{name}: {told:?}");
        let letters = outside.letters();
        let to = format!("To: cfo@{}.example", name.to_lowercase().replace(' ', "-"));
        for kind in ["weekly_digest", "budget_alert"] {
            let words = if kind == "weekly_digest" { "on the weekly digest" } else { "on the budget alerts" };
            let said = letters.iter().filter(|letter| letter.contains(&to) && letter.contains(words)).count();
            let states = messages.iter().filter(|message| message.kind == kind && is_mail(message));
            let (sent, unknown) = sent_and_unknown(states.map(|message| message.state), &name);
            assert!(
                sent <= said && said <= sent + unknown,
                "{name}: {kind}: {said} letters, {sent} + {unknown}"
            );
        }
    }
}

/// How many were sent, and of how many nobody knows; nothing else may have become of them.
fn sent_and_unknown(states: impl Iterator<Item = MessageState>, whose: &str) -> (usize, usize) {
    let (mut sent, mut unknown) = (0, 0);
    for state in states {
        match state {
            MessageState::Sent => sent += 1,
            MessageState::Unknown => unknown += 1,
            other => panic!("{whose}: a message is {other:?}"),
        }
    }
    (sent, unknown)
}

async fn check_orphans(office: &Office, outside: &Outside, account: &Account, many: i64, chaos: Chaos) {
    let tenant = account.tenant.uuid();
    let sql =
        format!("SELECT state AS key FROM message WHERE tenant_id = '{tenant}' AND key LIKE 'orphan %'");
    let states = counted(texts(office, &sql).await);
    let of = |state: MessageState| states.get(state.as_str()).copied().unwrap_or_default();
    let (sent, unknown) = (of(MessageState::Sent), of(MessageState::Unknown));
    assert_eq!(sent + unknown, many.cast_unsigned(), "{states:?}");
    // Four of a tenant's are sent at once.
    assert!(unknown <= 4 * u64::from(chaos.kills + chaos.freezes), "{states:?}, {chaos:?}");
    // A mailbox knows a letter by its id: none came twice.
    let letters = outside.letters();
    let to = |letter: &&String| letter.contains("To: cfo@orphans.example");
    let id =
        |letter: &String| letter.lines().find(|line| line.starts_with("Message-ID:")).unwrap().to_owned();
    let ids = counted(letters.iter().filter(to).map(id));
    assert!(ids.values().all(|times| *times == 1), "{ids:?}");
    let said = u64::try_from(ids.len()).unwrap();
    assert!(sent <= said && said <= sent + unknown, "{said} letters of {states:?}");

    let sql = format!(
        "SELECT state || ' ' || attempts AS key FROM webhook_delivery d JOIN event e USING (tenant_id) \
         WHERE tenant_id = '{tenant}' AND d.event_id = e.id AND payload ? 'orphan'"
    );
    let delivered = format!("{} 1", DeliveryState::Delivered.as_str());
    assert_eq!(counted(texts(office, &sql).await), [(delivered, many.cast_unsigned())].into());
    let posts = outside.posts("/hook");
    let orphans = posts.iter().filter(|post| {
        let body: Value = serde_json::from_str(&post.body).unwrap();
        body["data"]["orphan"].is_number()
    });
    let calls = counted(orphans.map(|post| post.headers["webhook-id"].clone()));
    assert_eq!(i64::try_from(calls.len()).unwrap(), many);
    let twice = calls.values().filter(|times| **times > 1).count();
    // One that was killed or frozen while it called is called again, under its id.
    assert!(
        u32::try_from(twice).unwrap() <= 4 * (chaos.kills + chaos.freezes),
        "{twice} of {many} twice, {chaos:?}"
    );
    let jobs = office.jobs("webhook.v1").await;
    assert!(jobs.iter().all(|job| job.state == State::Done));
    println!("{many} lost messages: {states:?}; {many} lost deliveries, {twice} of them called twice");
}
