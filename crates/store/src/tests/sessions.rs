//! Sign-in links are used once, whatever the hurry.

use costlens_domain::SessionId;

use super::support::{actor, at};
use crate::testing::{TestDb, unlike_bytes};
use crate::{NewSession, NewSignInLink};

fn new_session(n: u8) -> NewSession {
    NewSession { id: SessionId::new(at(0), unlike_bytes()), hash: [n; 32], expires_at: at(3_600) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_32_tries_at_once_one_gets_a_session() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let link = NewSignInLink {
        tenant_id: acme.tenant,
        hash: [7; 32],
        created_at: at(0),
        expires_at: at(1_800),
        operator: false,
    };
    db.store().system().await.unwrap().create_sign_in_link(&link).await.unwrap();
    let mut tries = tokio::task::JoinSet::new();
    for n in 0..32 {
        let store = db.store().clone();
        tries.spawn(async move {
            let mut system = store.system().await.unwrap();
            system.redeem_sign_in_link(&[7; 32], &new_session(n), at(5)).await.unwrap()
        });
    }
    let sessions: Vec<_> = tries.join_all().await.into_iter().flatten().collect();
    assert_eq!(sessions.len(), 1);
    assert_eq!(sessions[0].tenant_id, acme.tenant);
}

#[tokio::test]
async fn a_late_or_unknown_link_opens_nothing() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let link = NewSignInLink {
        tenant_id: acme.tenant,
        hash: [7; 32],
        created_at: at(0),
        expires_at: at(1_800),
        operator: false,
    };
    let mut system = db.store().system().await.unwrap();
    system.create_sign_in_link(&link).await.unwrap();
    assert_eq!(system.redeem_sign_in_link(&[8; 32], &new_session(1), at(5)).await.unwrap(), None);
    assert_eq!(system.redeem_sign_in_link(&[7; 32], &new_session(1), at(1_800)).await.unwrap(), None);
    assert_eq!(system.session_by_hash(&[1; 32]).await.unwrap(), None);
    let session = system.redeem_sign_in_link(&[7; 32], &new_session(1), at(1_799)).await.unwrap().unwrap();
    assert_eq!(system.session_by_hash(&[1; 32]).await.unwrap(), Some((session.clone(), false)));
    assert!(session.is_valid_at(at(3_599)) && !session.is_valid_at(at(3_600)));
    system.end_session(session.id, at(9)).await.unwrap();
    system.end_session(session.id, at(10)).await.unwrap();
    let (ended, _) = system.session_by_hash(&[1; 32]).await.unwrap().unwrap();
    assert_eq!(ended.ended_at, Some(at(9)));
    assert!(!ended.is_valid_at(at(9)));
}
