//! The data keys of each tenant, wrapped: what is sealed opens with them, and is destroyed with them.
//!
//! A reader in a tenant's transaction holds the keys that it read until it ends, so that no key goes while something
//! is being sealed under it. Every change is told to the listening proxies, which hold opened secrets in memory.

use std::fmt;

use chrono::{DateTime, Utc};
use costlens_domain::TenantId;
use diesel::QueryableByName;
use diesel::prelude::*;
use diesel::sql_types::{self, BigInt, Binary, Bool, Nullable, Timestamptz};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::schema::{service_key, subject_key, tenant_key};
use crate::sealed::{has_older_texts, header};
use crate::{SEALED_COLUMNS, StoreError, SystemConn, TenantConn};

/// A data key as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct DataKey {
    /// Counts up from 1 for each tenant; the highest seals.
    pub version: u32,
    /// The key, wrapped under a master key.
    pub wrapped: Vec<u8>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

impl fmt::Debug for DataKey {
    /// Leaves the key out, wrapped as it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataKey")
            .field("version", &self.version)
            .field("created_at", &self.created_at)
            .finish_non_exhaustive()
    }
}

/// Which of a tenant's data keys go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destroy {
    /// Those older than this version, and only if no sealed text needs one of them.
    UnusedBelow(u32),
    /// All, those of the tenant's subjects too, and with them every secret, prompt and answer that is sealed under them:
    /// nothing brings it back.
    All,
}

/// What the rotation has to know of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyAge {
    /// Whose keys.
    pub tenant_id: TenantId,
    /// The newest version; `None` for a tenant without keys.
    pub newest: Option<u32>,
    /// When the newest one was made.
    pub created_at: Option<DateTime<Utc>>,
    /// Whether there are older ones.
    pub has_older: bool,
    /// Whether every key was wrapped under the present master key; true where there is none.
    pub all_current: bool,
    /// How many texts the newest key sealed, as far as the processes have told: see `count_seals`.
    pub seals: u64,
    /// Whether a text was sealed under none of the tenant's keys, or under an older one than the newest.
    pub has_older_texts: bool,
}

impl TenantConn {
    /// The tenant's data keys, oldest first. None of them is destroyed until this transaction ends, so that what it
    /// seals stays readable.
    pub async fn data_keys(&mut self) -> Result<Vec<DataKey>, StoreError> {
        let rows: Vec<DataKeyRow> = tenant_key::table
            .filter(tenant_key::tenant_id.eq(self.tenant_id().uuid()))
            .order(tenant_key::version)
            .select(DataKeyRow::as_select())
            .for_key_share()
            .load(self.conn()?)
            .await?;
        Ok(rows.into_iter().map(DataKey::from).collect())
    }

    /// Adds a data key. The first writer wins: false where the version is taken, and then by whoever took it.
    pub async fn add_data_key(
        &mut self,
        version: u32,
        wrapped: &[u8],
        created_at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let added = diesel::insert_into(tenant_key::table)
            .values((
                tenant_key::tenant_id.eq(self.tenant_id().uuid()),
                tenant_key::version.eq(number(version)?),
                tenant_key::wrapped.eq(wrapped),
                tenant_key::created_at.eq(created_at),
            ))
            .on_conflict_do_nothing()
            .execute(self.conn()?)
            .await?;
        self.told_of(added).await.map(|added| added > 0)
    }

    /// Puts the same data key, wrapped anew, in the old one's place, if that still stands there; says whether it did.
    pub async fn replace_wrapped(
        &mut self,
        version: u32,
        old: &[u8],
        wrapped: &[u8],
    ) -> Result<bool, StoreError> {
        let row = tenant_key::table.find((self.tenant_id().uuid(), number(version)?));
        let replaced = diesel::update(row.filter(tenant_key::wrapped.eq(old)))
            .set(tenant_key::wrapped.eq(wrapped))
            .execute(self.conn()?)
            .await?;
        self.told_of(replaced).await.map(|replaced| replaced > 0)
    }

    /// Destroys data keys for good; says how many. Waits for transactions that may be sealing under them. A text of
    /// the first format names no data key and is not destroyed by this: seal it anew before.
    pub async fn destroy_data_keys(&mut self, which: Destroy) -> Result<usize, StoreError> {
        let tenant = self.tenant_id().uuid();
        let last = match which {
            Destroy::UnusedBelow(version) => number(version)?.saturating_sub(1),
            Destroy::All => i32::MAX,
        };
        // Taken before the look at the texts: what is being sealed under one of these keys is then there to be seen.
        let doomed: Vec<i32> = tenant_key::table
            .filter(tenant_key::tenant_id.eq(tenant))
            .filter(tenant_key::version.le(last))
            .order(tenant_key::version)
            .select(tenant_key::version)
            .for_update()
            .load(self.conn()?)
            .await?;
        if let Destroy::UnusedBelow(version) = which
            && self.is_sealed_before(version).await?
        {
            return Ok(0);
        }
        let rows = tenant_key::table
            .filter(tenant_key::tenant_id.eq(tenant))
            .filter(tenant_key::version.eq_any(doomed));
        let mut destroyed = diesel::delete(rows).execute(self.conn()?).await?;
        if which == Destroy::All {
            let of_subjects = subject_key::table.filter(subject_key::tenant_id.eq(tenant));
            destroyed += diesel::delete(of_subjects).execute(self.conn()?).await?;
        }
        self.told_of(destroyed).await
    }

    /// Whether any sealed text was sealed under a key older than this version, or under none of the tenant's own.
    pub async fn is_sealed_before(&mut self, version: u32) -> Result<bool, StoreError> {
        for column in SEALED_COLUMNS {
            let sql = format!("SELECT EXISTS (SELECT {}) AS found", column.older());
            let answer: Found = diesel::sql_query(sql)
                .bind::<sql_types::Uuid, _>(self.tenant_id().uuid())
                .bind::<Binary, _>(header(version))
                .get_result(self.conn()?)
                .await?;
            if answer.found {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn told_of(&mut self, rows: usize) -> Result<usize, StoreError> {
        if rows > 0 {
            self.tell_connections_changed().await?;
        }
        Ok(rows)
    }
}

impl SystemConn {
    /// A tenant's data keys, oldest first. Read what is sealed before them: the key of a text is there no later than
    /// the text.
    pub async fn data_keys_of(&mut self, tenant: TenantId) -> Result<Vec<DataKey>, StoreError> {
        let rows: Vec<DataKeyRow> = tenant_key::table
            .filter(tenant_key::tenant_id.eq(tenant.uuid()))
            .order(tenant_key::version)
            .select(DataKeyRow::as_select())
            .load(&mut self.conn)
            .await?;
        Ok(rows.into_iter().map(DataKey::from).collect())
    }

    /// Adds to how many texts data keys sealed: tenant, version and number. A key that is gone is passed by.
    pub async fn count_seals(&mut self, counts: &[(TenantId, u32, u64)]) -> Result<(), StoreError> {
        // Always in the same order: two processes that count at once do not wait for each other.
        let mut counts = counts.to_vec();
        counts.sort_unstable();
        let tenants: Vec<Uuid> = counts.iter().map(|(tenant, ..)| tenant.uuid()).collect();
        let versions: Result<Vec<i32>, _> = counts.iter().map(|(_, version, _)| number(*version)).collect();
        let seals: Vec<i64> =
            counts.iter().map(|(.., seals)| i64::try_from(*seals).unwrap_or(i64::MAX)).collect();
        diesel::sql_query(include_str!("sql/count_seals.sql"))
            .bind::<sql_types::Array<sql_types::Uuid>, _>(tenants)
            .bind::<sql_types::Array<sql_types::Integer>, _>(versions?)
            .bind::<sql_types::Array<BigInt>, _>(seals)
            .execute(&mut self.conn)
            .await?;
        Ok(())
    }

    /// A key of the installation itself, as the key service wrapped it.
    pub async fn service_key(&mut self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let found = service_key::table.find(name).select(service_key::wrapped).first(&mut self.conn).await;
        Ok(found.optional()?)
    }

    /// Keeps such a key, unless there is one: the first writer wins.
    pub async fn add_service_key(
        &mut self,
        name: &str,
        wrapped: &[u8],
        created_at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        diesel::insert_into(service_key::table)
            .values((
                service_key::name.eq(name),
                service_key::wrapped.eq(wrapped),
                service_key::created_at.eq(created_at),
            ))
            .on_conflict_do_nothing()
            .execute(&mut self.conn)
            .await?;
        Ok(())
    }

    /// Puts the same key, wrapped anew, in the old one's place, if that still stands there.
    pub async fn replace_service_key(
        &mut self,
        name: &str,
        old: &[u8],
        wrapped: &[u8],
    ) -> Result<(), StoreError> {
        diesel::update(service_key::table.find(name).filter(service_key::wrapped.eq(old)))
            .set(service_key::wrapped.eq(wrapped))
            .execute(&mut self.conn)
            .await?;
        Ok(())
    }

    /// How old every tenant's newest data key is, by tenant; `after` is the last one of the page before. A key counts
    /// as wrapped under the present master key if it begins with `current`.
    pub async fn key_ages(
        &mut self,
        current: &[u8],
        after: Option<TenantId>,
        limit: u32,
    ) -> Result<Vec<KeyAge>, StoreError> {
        let sql = include_str!("sql/key_ages.sql").replace("{older_texts}", &has_older_texts());
        let rows: Vec<AgeRow> = diesel::sql_query(sql)
            .bind::<Binary, _>(current)
            .bind::<Nullable<sql_types::Uuid>, _>(after.map(TenantId::uuid))
            .bind::<BigInt, _>(i64::from(limit))
            .load(&mut self.conn)
            .await?;
        Ok(rows.into_iter().map(KeyAge::from).collect())
    }
}

/// A version as the table holds it. 2^31 rotations are a defect, not a number of keys.
fn number(version: u32) -> Result<i32, StoreError> {
    i32::try_from(version).map_err(StoreError::bug)
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = tenant_key)]
struct DataKeyRow {
    version: i32,
    wrapped: Vec<u8>,
    created_at: DateTime<Utc>,
}

impl From<DataKeyRow> for DataKey {
    fn from(row: DataKeyRow) -> Self {
        Self { version: row.version.unsigned_abs(), wrapped: row.wrapped, created_at: row.created_at }
    }
}

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = Bool)]
    found: bool,
}

#[derive(QueryableByName)]
struct AgeRow {
    #[diesel(sql_type = sql_types::Uuid)]
    tenant_id: Uuid,
    #[diesel(sql_type = Nullable<sql_types::Integer>)]
    newest: Option<i32>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    created_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Bool)]
    has_older: bool,
    #[diesel(sql_type = Bool)]
    all_current: bool,
    #[diesel(sql_type = Bool)]
    has_older_texts: bool,
    #[diesel(sql_type = BigInt)]
    seals: i64,
}

impl From<AgeRow> for KeyAge {
    fn from(row: AgeRow) -> Self {
        Self {
            tenant_id: row.tenant_id.into(),
            newest: row.newest.map(i32::unsigned_abs),
            created_at: row.created_at,
            has_older: row.has_older,
            all_current: row.all_current,
            has_older_texts: row.has_older_texts,
            seals: row.seals.unsigned_abs(),
        }
    }
}
