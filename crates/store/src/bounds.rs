//! How many there may be of something, and how often something may be done: counted under a lock, so that two calls at
//! once do not both find room for one.

use chrono::{DateTime, Utc};
use costlens_domain::audit::Action;
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel_async::RunQueryDsl;

use crate::db::from_bigint;
use crate::schema::audit_event;
use crate::{StoreError, TenantConn};

impl TenantConn {
    /// Waits for every other transaction of this tenant that counts the same things; the next one waits for this one's
    /// end. What is counted then is what there is.
    pub async fn lock_count(&mut self, what: &str) -> Result<(), StoreError> {
        let key = format!("count/{what}/{}", self.tenant_id());
        diesel::sql_query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))")
            .bind::<Text, _>(key)
            .execute(self.conn()?)
            .await?;
        Ok(())
    }

    /// How often one of these things was done since a moment, to one target or to any.
    pub async fn count_acts(
        &mut self,
        actions: &[Action],
        target: Option<&str>,
        since: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        let names: Vec<&str> = actions.iter().map(|action| action.as_str()).collect();
        let mut query = audit_event::table
            .filter(audit_event::tenant_id.eq(self.tenant_id().uuid()))
            .filter(audit_event::at.gt(since))
            .filter(audit_event::action.eq_any(names))
            .count()
            .into_boxed();
        if let Some(target) = target {
            query = query.filter(audit_event::target.eq(target));
        }
        Ok(from_bigint(query.get_result(self.conn()?).await?))
    }
}
