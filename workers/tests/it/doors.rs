//! What the product's roles may do in the queue's tables.

use costlens_queue::{NewJob, enqueue};
use diesel::sql_types::Text;
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl as _, SimpleAsyncConnection as _};
use serde_json::json;
use uuid::Uuid;

use super::Office;
use super::upkeep::now;

#[derive(diesel::QueryableByName)]
struct Key {
    #[diesel(sql_type = Text)]
    key: String,
}

/// A transaction of a tenant, as the application has it.
async fn tenant_door(office: &Office, tenant: Uuid) -> AsyncPgConnection {
    let url = format!("{}?options=-c%20role%3Dcostlens_app", office.db.runtime_url());
    let mut conn = AsyncPgConnection::establish(&url).await.unwrap();
    let begin = format!("BEGIN; SELECT set_config('costlens.tenant', '{tenant}', true)");
    conn.batch_execute(&begin).await.unwrap();
    conn
}

fn job(key: &str, tenant: Uuid) -> [NewJob; 1] {
    [NewJob::raw("digest.v1", json!({})).key(key).tenant(tenant)]
}

#[tokio::test]
async fn a_tenant_leaves_and_sees_its_own_jobs_alone() {
    let office = Office::closed(now()).await;
    let (acme, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
    for tenant in [acme, other] {
        let mut conn = tenant_door(&office, tenant).await;
        enqueue(&mut conn, &job(&format!("of {tenant}"), tenant)).await.unwrap();
        conn.batch_execute("COMMIT").await.unwrap();
    }
    let mut conn = tenant_door(&office, acme).await;
    let seen: Vec<Key> = diesel::sql_query("SELECT key FROM queue.job WHERE queue = 'digest.v1'")
        .load(&mut conn)
        .await
        .unwrap();
    assert_eq!(seen.iter().map(|row| row.key.clone()).collect::<Vec<_>>(), [format!("of {acme}")]);
    assert!(enqueue(&mut conn, &job("for somebody else", other)).await.is_err());

    let mut conn = tenant_door(&office, acme).await;
    let stolen = conn.batch_execute("UPDATE queue.job SET priority = 9").await;
    assert!(stolen.is_err(), "a tenant's transaction changes no job");
}
