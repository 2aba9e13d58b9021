//! Domains lose the record that proves them, and name servers that say nothing.

use chrono::TimeDelta;
use costlens_domain::SsoDomainId;
use costlens_domain::single_sign_on::{GRACE, SILENCE};
use costlens_egress::testing::TxtServer;
use costlens_egress::{Egress, EgressConfig};
use costlens_queue::ops::{JobRow, State};
use costlens_store::testing::unlike_bytes;
use costlens_store::{SsoDomain, StoreError};
use serde_json::json;

use crate::{DateTime, Office, Utc};

fn noon() -> DateTime<Utc> {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

/// An office that asks this name server.
async fn office(names: &TxtServer) -> Office {
    let mut office = Office::closed(noon()).await;
    let config = EgressConfig {
        name_servers: vec![names.address()],
        dns_timeout: std::time::Duration::from_secs(1),
        ..EgressConfig::default()
    };
    office.parts.egress = Egress::new(config).unwrap();
    office.work().await;
    office
}

fn domain(name: &str) -> SsoDomain {
    SsoDomain {
        id: SsoDomainId::new(noon(), unlike_bytes()),
        domain: name.to_owned(),
        token: format!("token-of-{name}"),
        created_at: noon(),
        checked_at: None,
        seen_at: None,
        proven_at: None,
    }
}

#[tokio::test]
async fn a_domain_whose_record_is_gone_is_lost_after_days_of_grace_and_another_may_prove_it() {
    let names = TxtServer::open();
    let office = office(&names).await;
    let (acme, other) = (office.db.create_tenant("acme").await, office.db.create_tenant("other").await);
    let (stays, goes, silent) = (domain("stays.example"), domain("goes.example"), domain("silent.example"));
    let rival = domain("goes.example");
    let mut tx = office.parts.store.tenant(acme).await.unwrap();
    for domain in [&stays, &goes, &silent] {
        tx.create_sso_domain(domain).await.unwrap();
        assert!(tx.see_sso_domain(domain.id, noon()).await.unwrap());
        names.put(&domain.domain, &["v=spf1 -all", &format!("costlens-verification={}", domain.token)]);
    }
    tx.commit().await.unwrap();
    // One of two has it, whatever the other's record says.
    let mut tx = office.parts.store.tenant(other).await.unwrap();
    tx.create_sso_domain(&rival).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = office.parts.store.tenant(other).await.unwrap();
    let taken = tx.see_sso_domain(rival.id, noon()).await;
    assert!(matches!(&taken, Err(error) if error.constraint() == Some("sso_domain_proven")), "{taken:?}");
    drop(tx);

    assert_eq!(
        office.run("sso-domains.v1").await.job.progress,
        Some(json!({"seen": 3, "missing": 0, "silent": 0, "lost": 0}))
    );
    names.remove("goes.example");
    names.silence("silent.example");
    names.silence("_costlens.silent.example");
    let moment = TimeDelta::seconds(1);
    for (after, lost) in [
        (GRACE - moment, json!({"seen": 1, "missing": 1, "silent": 1, "lost": 0})),
        (GRACE, json!({"seen": 1, "missing": 1, "silent": 1, "lost": 1})),
        (SILENCE - moment, json!({"seen": 1, "missing": 0, "silent": 1, "lost": 0})),
        (SILENCE, json!({"seen": 1, "missing": 0, "silent": 1, "lost": 1})),
        (SILENCE + GRACE, json!({"seen": 1, "missing": 0, "silent": 0, "lost": 0})),
    ] {
        office.set_clock(noon() + after);
        assert_eq!(office.run("sso-domains.v1").await.job.progress, Some(lost), "after {after}");
    }
    let mut tx = office.parts.store.tenant(acme).await.unwrap();
    let counts: Vec<_> = tx.sso_domains().await.unwrap().iter().map(|of| of.proven_at.is_some()).collect();
    assert_eq!(counts.iter().filter(|counts| **counts).count(), 1);
    assert!(tx.sso_domain(stays.id).await.unwrap().proven_at.is_some());
    let lost: Vec<_> = tx.list_audit_events(None, 50).await.unwrap();
    let lost: Vec<_> = lost.iter().map(|event| (event.actor.as_str(), event.action.as_str())).collect();
    assert_eq!(lost, [("schedule", "single_sign_on_domain.lost"); 2]);
    drop(tx);
    let mut tx = office.parts.store.tenant(other).await.unwrap();
    assert!(tx.see_sso_domain(rival.id, noon()).await.unwrap());
    tx.commit().await.unwrap();
    // Nobody proves what is another's.
    let mut tx = office.parts.store.tenant(other).await.unwrap();
    assert!(matches!(tx.see_sso_domain(stays.id, noon()).await, Err(StoreError::NotFound)));
    office.close().await;
}

#[tokio::test]
async fn a_look_at_many_domains_goes_on_from_job_to_job_and_begins_with_those_left_out_longest() {
    let names = TxtServer::open();
    let office = office(&names).await;
    let acme = office.db.create_tenant("acme").await;
    let domains: Vec<_> = (0..330).map(|n| domain(&format!("d{n}.example"))).collect();
    let mut tx = office.parts.store.tenant(acme).await.unwrap();
    for domain in &domains {
        tx.create_sso_domain(domain).await.unwrap();
        assert!(tx.see_sso_domain(domain.id, noon()).await.unwrap());
        names.put(&domain.domain, &[&format!("costlens-verification={}", domain.token)]);
    }
    tx.commit().await.unwrap();
    for silent in &domains[..12] {
        names.silence(&silent.domain);
        names.silence(&format!("_costlens.{}", silent.domain));
    }
    // Before the schedule's own next tick.
    let later = noon() + TimeDelta::minutes(10);
    office.set_clock(later);
    office.enqueue("sso-domains.v1").await;
    let ended = |jobs: &[JobRow]| jobs.len() == 2 && jobs.iter().all(|job| job.state == State::Done);
    let jobs = office.until("sso-domains.v1", ended).await;
    let told = json!({"seen": 318, "missing": 0, "silent": 12, "lost": 0});
    assert_eq!(jobs[0].progress, Some(told), "the newest says what all found");
    // Silent ones were looked for, too, and a look that begins later begins with those that were left out.
    let mut system = office.parts.store.system().await.unwrap();
    assert_eq!(system.proven_sso_domains(later, 10).await.unwrap(), []);
    let left_out = domains[200].id;
    let before = (later - TimeDelta::minutes(1)).to_rfc3339();
    office
        .sql(&format!("UPDATE sso_domain SET looked_at = '{before}' WHERE id = '{}'", left_out.uuid()))
        .await;
    let next = system.proven_sso_domains(later + TimeDelta::hours(6), 3).await.unwrap();
    assert_eq!((next.len(), next[0].1.id), (3, left_out));
    office.close().await;
}
