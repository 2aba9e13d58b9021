//! When vendors are asked for their reports: once for each moment that is set for it, whatever is run twice or lost.

use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::invoices::InvoiceVendor;
use costlens_domain::{InvoiceSourceId, TenantId};
use costlens_egress::Policy;
use costlens_queue::ops::State;
use costlens_store::testing::unlike_bytes;
use costlens_store::{InvoiceSource, InvoiceSourceState, NewInvoiceSource};
use costlens_workers::InvoiceHosts;

use super::account::{Account, seal};
use super::outside::Outside;
use super::upkeep::now;
use super::{Office, egress};

const FINDER: &str = "invoice-fetches.v1";
const READER: &str = "invoices.v1";

/// An office whose vendors are where nobody listens.
async fn office() -> Office {
    // No program is given this port.
    let nobody = "127.0.0.1:1".to_owned();
    let mut office = Office::closed(now()).await;
    let policy = Policy { allow_private: vec![nobody.parse().unwrap()] };
    let urls = [format!("anthropic=http://{nobody}"), format!("openai=http://{nobody}")];
    office.parts.invoices = InvoiceHosts::new(&urls, &policy).unwrap();
    office.parts.egress = egress(&[nobody]);
    office.work().await;
    office
}

async fn source(office: &Office, tenant: TenantId, at: DateTime<Utc>) -> InvoiceSourceId {
    let id = InvoiceSourceId::new(at, unlike_bytes());
    let mut tx = office.parts.store.tenant(tenant).await.unwrap();
    let place = ("invoice_source", "sealed_key", id.uuid());
    let sealed_key = seal(&office.parts, &mut tx, place, "sk-admin-abcdefghijklmnopqrst").await;
    let new = NewInvoiceSource {
        id,
        vendor: InvoiceVendor::OpenAi,
        name: "all of it".to_owned(),
        sealed_key,
        key_hint: "qrst".to_owned(),
        created_at: at,
    };
    tx.create_invoice_source(&new).await.unwrap();
    tx.commit().await.unwrap();
    id
}

async fn shown(office: &Office, tenant: TenantId, id: InvoiceSourceId) -> InvoiceSource {
    office.parts.store.tenant(tenant).await.unwrap().invoice_source(id).await.unwrap()
}

#[tokio::test]
async fn a_source_that_is_due_is_asked_for_once_for_each_moment() {
    let (outside, office) = (Outside::open().await, office().await);
    let account = Account::open(&office, &outside, "Acme").await;
    let id = source(&office, account.tenant, now()).await;
    for _ in 0..3 {
        assert_eq!(office.run(FINDER).await.job.state, State::Done);
        office.quiet().await;
    }
    let jobs = office.jobs(READER).await;
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    assert_eq!(jobs[0].state, State::Retrying, "the vendor is away: {jobs:?}");
    let leased = shown(&office, account.tenant, id).await;
    assert!(
        leased.next_fetch_at.unwrap() > now() + TimeDelta::hours(5),
        "the job has it for all its attempts"
    );
    assert_eq!((leased.state, leased.problem), (InvoiceSourceState::Pending, None));

    // All attempts in vain: told in the row, and tried again within the hour.
    for _ in 0..8 {
        office.wake(READER).await;
        office.quiet().await;
    }
    assert!(office.jobs(READER).await.iter().all(|job| job.state == State::Done));
    let away = shown(&office, account.tenant, id).await;
    assert_eq!(away.problem.unwrap().code, "vendor_away");
    assert_eq!(
        (away.state, away.next_fetch_at),
        (InvoiceSourceState::Pending, Some(now() + TimeDelta::hours(1)))
    );
    office.set_clock(now() + TimeDelta::minutes(61));
    office.run(FINDER).await;
    office.quiet().await;
    assert_eq!(office.jobs(READER).await.len(), 2);

    // Nothing is asked for a source at rest.
    let mut tx = office.parts.store.tenant(account.tenant).await.unwrap();
    tx.set_invoice_source(id, InvoiceSourceState::Paused, now()).await.unwrap();
    tx.commit().await.unwrap();
    office.set_clock(now() + TimeDelta::days(3));
    office.run(FINDER).await;
    office.wake(READER).await;
    office.quiet().await;
    let jobs = office.jobs(READER).await;
    assert!(jobs.len() == 2 && jobs.iter().all(|job| job.state == State::Done), "{jobs:?}");
    assert_eq!(shown(&office, account.tenant, id).await.state, InvoiceSourceState::Paused);
    office.close().await;
}

#[tokio::test]
async fn a_source_whose_key_does_not_open_is_failing_and_told_once() {
    let (outside, office) = (Outside::open().await, office().await);
    let account = Account::open(&office, &outside, "Acme").await;
    let id = source(&office, account.tenant, now()).await;
    office.sql("UPDATE invoice_source SET sealed_key = '\\x00'").await;
    let told = async || {
        let mut tx = office.parts.store.tenant(account.tenant).await.unwrap();
        let events = office.jobs("event.v1").await;
        let mut kinds = Vec::new();
        for event in events {
            let mut conn = office.queue.conn().await.unwrap();
            let args = costlens_queue::ops::show(&mut conn, event.id, None).await.unwrap().unwrap().args;
            let event = serde_json::from_value(args["event"].clone()).unwrap();
            kinds.push(tx.event(event).await.unwrap().kind);
        }
        kinds.into_iter().filter(|kind| kind == "bill.failed").count()
    };
    for failures in 1..4_u32 {
        assert_eq!(office.run(FINDER).await.job.state, State::Done);
        office.quiet().await;
        let failing = shown(&office, account.tenant, id).await;
        assert_eq!(failing.problem.unwrap().code, "key_unreadable");
        assert_eq!((failing.state, failing.failures), (InvoiceSourceState::Failing, failures));
        let next = failing.next_fetch_at.unwrap();
        assert!(next > office.parts.clock.now(), "it is asked again for a moment that is past");
        assert_eq!(told().await, 1);
        office.set_clock(next);
    }
    office.close().await;
}
