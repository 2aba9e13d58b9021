//! The audit proves itself: whatever the owner of the database does to a row is seen and named, and whoever writes
//! everything anew is seen by the anchors.

#![expect(clippy::indexing_slicing, reason = "a check stops at the first surprise")]

use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::audit::anchor::Anchor;
use costlens_domain::audit::chain::{Chain, Hash, Place, encode_kept};
use costlens_domain::audit::export::{Begin, End, Line};
use costlens_domain::audit::verify::{Broken, Fault, Whole, read_anchors, verify};
use costlens_domain::audit::{Action, Actor};
use costlens_domain::{AuditEventId, ErasureId, RequestId, TenantId};
use costlens_queue::ops::State;
use costlens_store::NewAuditEvent;
use costlens_store::testing::unlike_bytes;
use diesel::sql_types::{BigInt, Text};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl as _, SimpleAsyncConnection as _};
use serde_json::json;

use super::Office;

fn start() -> DateTime<Utc> {
    "2026-11-25T00:25:00Z".parse().unwrap()
}

fn digest(bytes: &[u8]) -> Hash {
    Hash(costlens_vault::sha256(bytes))
}

fn event(at: DateTime<Utc>, name: &str) -> NewAuditEvent {
    NewAuditEvent {
        id: AuditEventId::new(at, unlike_bytes()),
        at,
        actor: Actor::CommandLine,
        action: Action::KeyCreated,
        target: Some(format!("key_{name}")),
        change: json!({ "name": name, "after": { "n": 1, "é\"\\\n": [true, null, "a, b: c"] } }),
        request_id: Some(RequestId::new(at, unlike_bytes())),
        address: Some("2001:db8::1".parse().unwrap()),
    }
}

async fn write(office: &Office, tenant: TenantId, names: &[&str]) {
    for name in names {
        let at = office.parts.clock.now();
        let mut tx = office.parts.store.tenant(tenant).await.unwrap();
        tx.audit(&event(at, name)).await.unwrap();
        tx.commit().await.unwrap();
    }
}

/// A tenant's chain as an export has it.
async fn export(office: &Office, tenant: TenantId) -> Vec<String> {
    let mut tx = office.parts.store.tenant(tenant).await.unwrap();
    let head = tx.audit_head().await.unwrap();
    let events = tx.audit_chain(0, 10_000).await.unwrap();
    let mut lines = vec![serde_json::to_string(&Begin::new(&Chain::Tenant(tenant), head.pruned)).unwrap()];
    for event in events {
        let place = Place { seq: event.seq, hash: event.hash };
        lines.push(serde_json::to_string(&Line::new(place, event.prev, event.record).unwrap()).unwrap());
    }
    lines.push(serde_json::to_string(&End { end: head.head.into() }).unwrap());
    lines
}

async fn verified(office: &Office, tenant: TenantId) -> Result<Whole, Broken> {
    verify(export(office, tenant).await, digest, &[], None)
}

/// The event that the verification names.
fn named(broken: &Broken) -> u64 {
    match broken.fault {
        Fault::Changed(seq) | Fault::Unlinked(seq) => seq,
        Fault::Missing { missing, .. } => missing,
        Fault::Moved { place, .. } => place,
        Fault::Truncated { last, .. } => last + 1,
        _ => panic!("{broken}"),
    }
}

async fn owner(office: &Office) -> AsyncPgConnection {
    AsyncPgConnection::establish(office.db.owner_url()).await.unwrap()
}

/// Whoever owns the tables lifts what stands in the way.
const LIFT: &str =
    "ALTER TABLE audit_event DISABLE TRIGGER USER; ALTER TABLE audit_head DISABLE TRIGGER USER;";

#[derive(diesel::QueryableByName)]
struct Texts {
    #[diesel(sql_type = Text)]
    text: String,
}

#[tokio::test]
async fn a_byte_of_any_field_that_the_owner_changes_is_seen_and_the_row_is_named() {
    let office = Office::closed(start()).await;
    let tenant = office.db.create_tenant("acme").await;
    write(&office, tenant, &["one", "two", "three", "four"]).await;
    let whole = verified(&office, tenant).await.unwrap();
    assert_eq!((whole.events, whole.head.seq), (4, 4));
    let mut owner = owner(&office).await;
    let saved = format!("{LIFT} CREATE TABLE saved AS SELECT * FROM audit_event;");
    owner.batch_execute(&saved).await.unwrap();

    let flip = |column: &str, bytes: usize, to: &str, from: &str| -> Vec<String> {
        let byte = |at| {
            let flipped = format!("set_byte({to}({column}), {at}, get_byte({to}({column}), {at}) # 1)");
            format!("{column} = {}", from.replace('$', &flipped))
        };
        (0..bytes).map(byte).collect()
    };
    let uuid = |column: &str| flip(column, 16, "uuid_send", "encode($, 'hex')::uuid");
    let text = |column: &str, bytes| {
        flip(column, bytes, "", "convert_from($, 'UTF8')")
            .into_iter()
            .map(|set| set.replace(&format!("({column})"), &format!("convert_to({column}, 'UTF8')")))
            .collect::<Vec<_>>()
    };
    let mut changes = Vec::new();
    changes.extend(uuid("id"));
    changes.extend(uuid("request_id"));
    changes.extend((0..40).map(|bit| format!("at = at + {} * interval '1 microsecond'", 1_i64 << bit)));
    changes.extend(text("actor", "operator:command-line".len()));
    changes.extend(text("action", "key.created".len()));
    changes.extend(text("target", "key_two".len()));
    changes.extend(text("address", "2001:db8::1".len()));
    changes.extend(flip("prev_hash", 32, "", "$"));
    changes.extend(flip("hash", 32, "", "$"));
    changes.extend(["target", "address", "request_id"].map(|column| format!("{column} = NULL")));
    changes.push("seq = seq + 100".to_owned());
    changes.push("seq = 0".to_owned());
    // Every byte of the change that can be another and still be JSON.
    let sql = "SELECT change::text AS text FROM audit_event WHERE seq = 2";
    let json: Texts = diesel::sql_query(sql).get_result(&mut owner).await.unwrap();
    let mut of_change = 0;
    for at in 0..json.text.len() {
        let mut bytes = json.text.clone().into_bytes();
        bytes[at] ^= 1;
        let Ok(changed) = String::from_utf8(bytes) else { continue };
        if serde_json::from_str::<serde_json::Value>(&changed).is_ok() {
            changes.push(format!("change = '{}'", changed.replace('\'', "''")));
            of_change += 1;
        }
    }
    assert!(of_change > 10, "{of_change}");
    assert!(changes.len() > 200, "{}", changes.len());
    for change in &changes {
        owner.batch_execute(&format!("UPDATE audit_event SET {change} WHERE seq = 2")).await.unwrap();
        let broken = verified(&office, tenant).await.expect_err(change);
        assert_eq!(named(&broken), 2, "{change}: {broken}");
        let back = "DELETE FROM audit_event; INSERT INTO audit_event SELECT * FROM saved;";
        owner.batch_execute(back).await.unwrap();
    }
    assert_eq!(verified(&office, tenant).await.unwrap(), whole);
    // The last event has no next one: the head knows it.
    owner.batch_execute("DELETE FROM audit_event WHERE seq = 4").await.unwrap();
    assert_eq!(named(&verified(&office, tenant).await.unwrap_err()), 4);
}

#[tokio::test]
async fn rows_that_are_removed_reordered_or_put_between_are_seen() {
    let office = Office::closed(start()).await;
    let tenant = office.db.create_tenant("acme").await;
    write(&office, tenant, &["one", "two", "three", "four", "five"]).await;
    let mut owner = owner(&office).await;
    let saved = format!("{LIFT} CREATE TABLE saved AS SELECT * FROM audit_event;");
    owner.batch_execute(&saved).await.unwrap();
    // What a skilled owner computes: the right hash of an event at its place.
    let rehash = "hash = audit_hash('tenant:' || tenant_id, seq, prev_hash, id, at, actor, action, target, change, \
                  request_id, address)";
    for (deed, seq) in [
        ("DELETE FROM audit_event WHERE seq = 1".to_owned(), 1),
        ("DELETE FROM audit_event WHERE seq = 3".to_owned(), 3),
        ("DELETE FROM audit_event WHERE seq = 5".to_owned(), 5),
        (
            "UPDATE audit_event SET seq = CASE seq WHEN 2 THEN 103 WHEN 3 THEN 102 ELSE seq END; \
          UPDATE audit_event SET seq = seq - 100 WHERE seq > 100"
                .to_owned(),
            2,
        ),
        // Between two and three, with a hash of its own that is right; the others move on.
        (
            format!(
                "UPDATE audit_event SET seq = seq + 101 WHERE seq > 2; UPDATE audit_event SET seq = seq - 100 WHERE seq > 100; \
             INSERT INTO audit_event SELECT tenant_id, gen_random_uuid(), at, 'somebody', action, target, change, \
                 request_id, 3, hash, hash, address FROM audit_event WHERE seq = 2; \
             UPDATE audit_event SET {rehash} WHERE seq = 3; UPDATE audit_head SET seq = 6"
            ),
            4,
        ),
        // The same with every number of what follows hashed anew, but not the links.
        (
            format!(
                "UPDATE audit_event SET actor = 'somebody' WHERE seq = 3; UPDATE audit_event SET {rehash} WHERE seq = 3"
            ),
            4,
        ),
        // A head that is set back, with the event still there.
        ("UPDATE audit_head SET seq = 4".to_owned(), 0),
    ] {
        owner.batch_execute(&deed).await.unwrap();
        let broken = verified(&office, tenant).await.expect_err(&deed);
        if deed.starts_with("UPDATE audit_head") {
            assert_eq!(broken.fault, Fault::EndsElsewhere { says: 4, is: 5 });
        } else {
            assert_eq!(named(&broken), seq, "{deed}: {broken}");
        }
        let head = "UPDATE audit_head SET seq = 5; DELETE FROM audit_event; INSERT INTO audit_event SELECT * FROM saved;";
        owner.batch_execute(head).await.unwrap();
        verified(&office, tenant).await.unwrap();
    }
}

/// The anchors' files, oldest first.
fn files(office: &Office) -> Vec<(String, Vec<u8>)> {
    let folder = office.files.path().join(costlens_workers::audit_anchors::AREA);
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
        // The draft of a process that was killed; the next day's anchor sweeps it away.
        .filter(|(name, _)| !name.starts_with('.'))
        .collect();
    files.sort();
    files
}

#[derive(diesel::QueryableByName)]
struct Noted {
    #[diesel(sql_type = BigInt)]
    n: i64,
    #[diesel(sql_type = Text)]
    sha256: String,
}

async fn noted(office: &Office) -> Vec<(i64, String)> {
    let sql = "SELECT n, encode(sha256, 'hex') AS sha256 FROM audit_anchor ORDER BY n";
    let noted: Vec<Noted> = diesel::sql_query(sql).load(&mut owner(office).await).await.unwrap();
    noted.into_iter().map(|noted| (noted.n, noted.sha256)).collect()
}

/// There are so many anchors, each noted, and each with its file.
pub(crate) async fn is_anchored(office: &Office, anchors: usize, story: &str) {
    let files = files(office);
    let names: Vec<&String> = files.iter().map(|(name, _)| name).collect();
    assert_eq!(files.len(), anchors, "{story}: {names:?}");
    assert_eq!(read_anchors(files.clone(), digest).unwrap().len(), anchors, "{story}");
    let of_files: Vec<_> =
        (1_i64..).zip(&files).map(|(n, (_, bytes))| (n, digest(bytes).to_string())).collect();
    assert_eq!(noted(office).await, of_files, "{story}");
}

/// What the operator was told is wrong.
async fn alarms(office: &Office) -> Vec<String> {
    let mut system = office.parts.store.system().await.unwrap();
    let events = system.list_operator_events(None, 100).await.unwrap();
    let broken = events.iter().filter(|event| event.action == "audit.broken");
    let mut why: Vec<_> = broken.map(|event| event.change["why"].as_str().unwrap().to_owned()).collect();
    why.reverse();
    why
}

async fn anchor(office: &Office) {
    let job = office.run("audit-anchors.v1").await.job;
    assert_eq!(job.state, State::Done, "{job:?}");
}

#[tokio::test]
async fn a_days_anchor_is_made_once_and_holds_every_head_and_no_tenants_id() {
    let office = Office::open(start()).await;
    let (acme, other) = (office.db.create_tenant("acme").await, office.db.create_tenant("other").await);
    let _without_events = office.db.create_tenant("quiet").await;
    write(&office, acme, &["one", "two"]).await;
    write(&office, other, &["one"]).await;
    anchor(&office).await;
    anchor(&office).await;
    is_anchored(&office, 1, "the first day").await;
    write(&office, acme, &["three"]).await;
    office.set_clock(start() + TimeDelta::days(1));
    anchor(&office).await;
    is_anchored(&office, 2, "the second day").await;
    assert_eq!(alarms(&office).await, Vec::<String>::new());

    let files = files(&office);
    let anchors = read_anchors(files.clone(), digest).unwrap();
    assert_eq!(anchors.iter().map(|anchor| anchor.heads.len()).collect::<Vec<_>>(), [2, 2]);
    for (_, bytes) in &files {
        let text = String::from_utf8(bytes.clone()).unwrap();
        let id = acme.uuid();
        assert!(!text.contains(&id.to_string()) && !text.contains(&id.simple().to_string()));
    }
    let whole = verify(export(&office, acme).await, digest, &anchors, None).unwrap();
    assert_eq!((whole.events, whole.compared), (3, 2));

    // A run that died between the file and the note: the next one takes the file as it is.
    office.set_clock(start() + TimeDelta::days(2));
    anchor(&office).await;
    let mut owner = owner(&office).await;
    let undo = "ALTER TABLE audit_anchor DISABLE TRIGGER USER; DELETE FROM audit_anchor WHERE n = 3; \
                ALTER TABLE audit_anchor ENABLE TRIGGER USER";
    owner.batch_execute(undo).await.unwrap();
    write(&office, other, &["two"]).await;
    anchor(&office).await;
    is_anchored(&office, 3, "a note was lost").await;
    owner.batch_execute(undo).await.unwrap();
    office.set_clock(start() + TimeDelta::days(3));
    anchor(&office).await;
    is_anchored(&office, 4, "a note was lost, and it is the next day").await;
    assert_eq!(alarms(&office).await, Vec::<String>::new());
    office.close().await;
}

#[tokio::test]
async fn what_was_written_anew_with_every_hash_right_is_seen_by_the_next_anchor() {
    let office = Office::open(start()).await;
    let (acme, other) = (office.db.create_tenant("acme").await, office.db.create_tenant("other").await);
    write(&office, acme, &["one", "two", "three"]).await;
    write(&office, other, &["one", "two", "three"]).await;
    let mut system = office.parts.store.system().await.unwrap();
    system.note_operator_event(&event(start(), "operators")).await.unwrap();
    drop(system);
    anchor(&office).await;
    let honest = export(&office, acme).await;
    let anchors = read_anchors(files(&office), digest).unwrap();
    assert_eq!(verify(honest, digest, &anchors, None).unwrap().compared, 1);

    // The owner of the database forges one chain whole, cuts the other, and mends both heads.
    let mut owner = owner(&office).await;
    let forge = format!(
        "{LIFT} UPDATE audit_event SET actor = 'somebody' WHERE tenant_id = '{acme}' AND seq = 2; \
         DO $$ DECLARE e record; p bytea := decode(repeat('00', 32), 'hex'); BEGIN \
           FOR e IN SELECT * FROM audit_event WHERE tenant_id = '{acme}' ORDER BY seq LOOP \
             UPDATE audit_event SET prev_hash = p, hash = audit_hash('tenant:' || tenant_id, seq, p, id, at, actor, \
               action, target, change, request_id, address) WHERE tenant_id = e.tenant_id AND seq = e.seq \
               RETURNING hash INTO p; \
           END LOOP; \
           UPDATE audit_head SET hash = p WHERE tenant_id = '{acme}'; END $$; \
         DELETE FROM audit_event WHERE tenant_id = '{other}' AND seq = 3; \
         UPDATE audit_head SET seq = 2, hash = (SELECT hash FROM audit_event WHERE tenant_id = '{other}' AND seq = 2) \
           WHERE tenant_id = '{other}'; \
         ALTER TABLE audit_event ENABLE TRIGGER USER; ALTER TABLE audit_head ENABLE TRIGGER USER;",
        acme = acme.uuid(),
        other = other.uuid(),
    );
    owner.batch_execute(&forge).await.unwrap();
    // By themselves both are whole.
    assert_eq!(verified(&office, acme).await.unwrap().events, 3);
    assert_eq!(verified(&office, other).await.unwrap().events, 2);
    let by = "the anchor of 2026-11-25".to_owned();
    let forged = verify(export(&office, acme).await, digest, &anchors, None).unwrap_err();
    assert_eq!(forged.fault, Fault::Rewritten { seq: 3, by: by.clone() });
    let cut = verify(export(&office, other).await, digest, &anchors, None).unwrap_err();
    assert_eq!(cut.fault, Fault::Truncated { known: 3, last: 2, by });

    office.set_clock(start() + TimeDelta::days(1));
    anchor(&office).await;
    let mut told = alarms(&office).await;
    told.sort();
    assert_eq!(told, ["chain_shorter_than_anchored", "chain_written_anew"]);
    // The next day finds them as the day before left them, but for a changed event that is younger than the anchor.
    office.set_clock(start() + TimeDelta::days(2));
    write(&office, other, &["four"]).await;
    let slip = format!(
        "{LIFT} UPDATE audit_event SET actor = 'x' WHERE tenant_id = '{}' AND seq = 3; \
         ALTER TABLE audit_event ENABLE TRIGGER USER; ALTER TABLE audit_head ENABLE TRIGGER USER;",
        other.uuid()
    );
    owner.batch_execute(&slip).await.unwrap();
    anchor(&office).await;
    assert_eq!(alarms(&office).await[2..], ["chain_broken"]);

    // An anchor's file that was touched is seen, too, and one that is gone.
    let file = office.files.path().join("audit_anchors").join(Anchor::file_name(3));
    let mut bytes = std::fs::read(&file).unwrap();
    let last = bytes.len() - 3;
    bytes[last] ^= 1;
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, bytes).unwrap();
    office.set_clock(start() + TimeDelta::days(3));
    anchor(&office).await;
    // Without it every event is followed.
    assert_eq!(alarms(&office).await[3..], ["anchor_file_changed", "chain_broken"]);
    assert!(read_anchors(files(&office), digest).is_err());
    std::fs::remove_file(office.files.path().join("audit_anchors").join(Anchor::file_name(4))).unwrap();
    // On a Sunday every event is followed, whatever its age.
    let old = format!(
        "{LIFT} UPDATE audit_event SET actor = 'x' WHERE tenant_id = '{}' AND seq = 1; \
         ALTER TABLE audit_event ENABLE TRIGGER USER; ALTER TABLE audit_head ENABLE TRIGGER USER;",
        acme.uuid()
    );
    owner.batch_execute(&old).await.unwrap();
    office.set_clock(start() + TimeDelta::days(4));
    anchor(&office).await;
    let told = alarms(&office).await;
    assert!(
        told[5..].contains(&"anchor_file_missing".to_owned())
            && told[5..].contains(&"chain_broken".to_owned()),
        "{told:?}"
    );
    office.close().await;
}

#[tokio::test]
async fn a_chain_that_is_removed_whole_is_seen_by_the_next_anchor() {
    let office = Office::open(start()).await;
    let (acme, other) = (office.db.create_tenant("acme").await, office.db.create_tenant("other").await);
    for tenant in [acme, other] {
        write(&office, tenant, &["one", "two"]).await;
    }
    anchor(&office).await;
    let mut owner = owner(&office).await;
    let remove = |tables: &[&str]| {
        let delete = |table: &&str| format!("DELETE FROM {table} WHERE tenant_id = '{}';", acme.uuid());
        let back = "ALTER TABLE audit_event ENABLE TRIGGER USER; ALTER TABLE audit_head ENABLE TRIGGER USER;";
        format!("{LIFT} {} {back}", tables.iter().map(delete).collect::<String>())
    };
    owner.batch_execute(&remove(&["audit_event", "audit_head"])).await.unwrap();
    office.set_clock(start() + TimeDelta::days(1));
    anchor(&office).await;
    assert_eq!(alarms(&office).await, ["chain_gone"]);
    let mut system = office.parts.store.system().await.unwrap();
    let events = system.list_operator_events(None, 100).await.unwrap();
    let told = events.iter().find(|event| event.action == "audit.broken").unwrap();
    assert_eq!(told.target, Some(Chain::Tenant(acme).tag(digest).to_string()));
    assert_eq!(told.change["seq"], 2);
    drop(system);
    // Told once: the anchor of that day has no such chain.
    office.set_clock(start() + TimeDelta::days(2));
    anchor(&office).await;
    assert_eq!(alarms(&office).await, ["chain_gone"]);
    office.close().await;
}

#[tokio::test]
async fn what_an_erasure_keeps_is_a_chain_that_its_certificate_names() {
    let outside = super::outside::Outside::open().await;
    let office = Office::open_to(&outside, start()).await;
    let acme = super::account::Account::open(&office, &outside, "Acme").await;
    acme.fill(&office).await;
    write(&office, acme.tenant, &["one", "two"]).await;
    let id = ErasureId::new(start(), unlike_bytes());
    let mut tx = office.parts.store.tenant(acme.tenant).await.unwrap();
    let days = |days| start() + TimeDelta::days(days);
    tx.request_closure(id, ("a test", None), start(), days(7), days(30)).await.unwrap();
    tx.commit().await.unwrap();
    anchor(&office).await;
    office.set_clock(days(7));
    office.run("erasure-sweep.v1").await;
    office.quiet().await;
    let mut system = office.parts.store.system().await.unwrap();
    let (erasure, tenant) = system.erasure(id).await.unwrap();
    assert_eq!(tenant, None);
    let kept = system.kept_audit(id).await.unwrap();
    assert_eq!(kept.len(), 3);
    let mut last = Place::START;
    for event in kept {
        assert_eq!((event.n, event.prev), (last.seq + 1, last.hash));
        assert_eq!(digest(&encode_kept(id, event.n, event.prev, event.at, &event.action)), event.hash);
        last = Place { seq: event.n, hash: event.hash };
    }
    let named = &erasure.certificate.unwrap()["steps"]["audit_chain"];
    assert_eq!(named, &json!({ "seq": 3, "hash": last.hash.to_string() }));
    drop(system);
    // A chain that is gone is no alarm.
    anchor(&office).await;
    assert_eq!(alarms(&office).await, Vec::<String>::new());
    office.end().await;
}
