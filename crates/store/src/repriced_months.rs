//! Which settlements a walk over calls made stale: those whose estimates are no longer the calls' prices.

use std::collections::BTreeSet;

use chrono::{DateTime, Months, NaiveDate, NaiveTime, Utc};
use costlens_domain::{RepricingId, RequestId};
use diesel::prelude::*;
use diesel::sql_types::{Array, Date, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::schema::settlement;
use crate::{StoreError, TenantConn};

impl TenantConn {
    /// The settled months, by their first days, of which this walk gave a call another price.
    pub async fn repriced_months(&mut self, walk: RepricingId) -> Result<BTreeSet<NaiveDate>, StoreError> {
        let tenant = self.tenant_id().uuid();
        let settled: Vec<NaiveDate> = settlement::table
            .filter(settlement::tenant_id.eq(tenant))
            .select(settlement::month)
            .distinct()
            .load(self.conn()?)
            .await?;
        // A call's id is of the moment and so of the month that it began in, and its changes are found by it.
        let first_id = |day: NaiveDate| -> Uuid {
            let midnight: DateTime<Utc> = day.and_time(NaiveTime::MIN).and_utc();
            RequestId::new(midnight, [0; 10]).uuid()
        };
        let next = |month: &NaiveDate| month.checked_add_months(Months::new(1)).unwrap_or(*month);
        let sql = "SELECT month FROM unnest($3, $4, $5) AS m (month, first_id, end_id) WHERE EXISTS ( \
            SELECT FROM request_repricing r WHERE r.tenant_id = $1 AND r.repricing_id = $2 \
            AND r.request_id >= m.first_id AND r.request_id < m.end_id)";
        let rows: Vec<Row> = diesel::sql_query(sql)
            .bind::<SqlUuid, _>(tenant)
            .bind::<SqlUuid, _>(walk.uuid())
            .bind::<Array<Date>, _>(&settled)
            .bind::<Array<SqlUuid>, _>(settled.iter().copied().map(first_id).collect::<Vec<_>>())
            .bind::<Array<SqlUuid>, _>(settled.iter().map(next).map(first_id).collect::<Vec<_>>())
            .load(self.conn()?)
            .await?;
        Ok(rows.into_iter().map(|row| row.month).collect())
    }
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Date)]
    month: NaiveDate,
}
