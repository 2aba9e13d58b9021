//! Where a tenant has something outside: services that the operator chose, by their address. Remembered before the
//! first byte goes there, and until an erasure has taken it away there.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use crate::schema::held_outside;
use crate::{StoreError, TenantConn};

/// A service that holds something of the tenant's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldOutside {
    /// Which kind of service, as a stable name.
    pub service: String,
    /// Which of them: its address.
    pub place: String,
}

impl TenantConn {
    /// Remembers that a service may hold something from now on. Again: nothing.
    pub async fn remember_outside(
        &mut self,
        service: &str,
        place: &str,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        diesel::insert_into(held_outside::table)
            .values((
                held_outside::tenant_id.eq(self.tenant_id().uuid()),
                held_outside::service.eq(service),
                held_outside::place.eq(place),
                held_outside::since.eq(at),
            ))
            .on_conflict_do_nothing()
            .execute(self.conn()?)
            .await?;
        Ok(())
    }

    /// Every service that may hold something.
    pub async fn held_outside(&mut self) -> Result<Vec<HeldOutside>, StoreError> {
        let rows: Vec<(String, String)> = held_outside::table
            .filter(held_outside::tenant_id.eq(self.tenant_id().uuid()))
            .order((held_outside::service, held_outside::place))
            .select((held_outside::service, held_outside::place))
            .load(self.conn()?)
            .await?;
        Ok(rows.into_iter().map(|(service, place)| HeldOutside { service, place }).collect())
    }
}
