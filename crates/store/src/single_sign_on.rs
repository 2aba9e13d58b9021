//! A tenant's own identity provider, the domains that are the tenant's, and who is who there.
//!
//! What a tenant sets up goes through [`TenantConn`]; whoever signs in is nobody's yet, and is looked up through
//! [`SystemConn`]. That a domain is one tenant's alone is an index over all of them: `sso_domain_proven`.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use costlens_domain::{Role, SsoDomainId, SsoProviderId, TenantId, UserId};
use diesel::prelude::*;
use diesel::sql_types::{self, BigInt, Text};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::db::{from_bigint, named};
use crate::schema::{session, sso_domain, sso_identity, sso_provider, tenant};
use crate::{StoreError, SystemConn, TenantConn};

/// A tenant's identity provider.
#[derive(Clone, PartialEq, Eq)]
pub struct SsoProvider {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Its id; another issuer or client has another.
    pub id: SsoProviderId,
    /// As the provider writes it in its tokens.
    pub issuer: String,
    /// Our name there.
    pub client_id: String,
    /// Our password there, sealed.
    pub sealed_secret: Vec<u8>,
    /// What somebody becomes who comes for the first time.
    pub default_role: Role,
    /// Whether members with addresses in a proven domain must come by it.
    pub required: bool,
    /// When it was set up.
    pub created_at: DateTime<Utc>,
    /// When anything of it last changed.
    pub changed_at: DateTime<Utc>,
}

impl std::fmt::Debug for SsoProvider {
    /// Leaves the secret out, sealed as it is.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SsoProvider")
            .field("id", &self.id)
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

/// Whose a name at a tenant's provider is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SsoName {
    /// Nobody came by it yet.
    New,
    /// This person's.
    Of(UserId),
    /// Somebody's who was removed, so long ago that nobody knows here any more who that was.
    Forgotten,
}

/// A domain of e-mail addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SsoDomain {
    /// Its id.
    pub id: SsoDomainId,
    /// The domain.
    pub domain: String,
    /// What the record in the DNS must hold.
    pub token: String,
    /// When the tenant said that it is its own.
    pub created_at: DateTime<Utc>,
    /// When the record was last looked for and an answer came.
    pub checked_at: Option<DateTime<Utc>>,
    /// When the record was last seen.
    pub seen_at: Option<DateTime<Utc>>,
    /// Since when the domain counts; `None` where it does not.
    pub proven_at: Option<DateTime<Utc>>,
}

impl TenantConn {
    /// The tenant's provider, if it has one.
    pub async fn sso_provider(&mut self) -> Result<Option<SsoProvider>, StoreError> {
        let of = sso_provider::table.filter(sso_provider::tenant_id.eq(self.tenant_id().uuid()));
        let row: Option<ProviderRow> = of.first(self.conn()?).await.optional()?;
        row.map(SsoProvider::try_from).transpose()
    }

    /// Sets a provider up. A conflict on `sso_provider_one` means that there is one.
    pub async fn create_sso_provider(&mut self, new: &SsoProvider) -> Result<(), StoreError> {
        diesel::insert_into(sso_provider::table)
            .values((
                sso_provider::tenant_id.eq(self.tenant_id().uuid()),
                sso_provider::id.eq(new.id.uuid()),
                sso_provider::issuer.eq(&new.issuer),
                sso_provider::client_id.eq(&new.client_id),
                sso_provider::sealed_secret.eq(&new.sealed_secret),
                sso_provider::default_role.eq(new.default_role.as_str()),
                sso_provider::required.eq(new.required),
                sso_provider::created_at.eq(new.created_at),
                sso_provider::changed_at.eq(new.changed_at),
            ))
            .execute(self.conn()?)
            .await?;
        Ok(())
    }

    /// Changes what can change of a provider that stays the same: the secret, what newcomers become, and whether it
    /// must be used.
    pub async fn change_sso_provider(&mut self, to: &SsoProvider) -> Result<(), StoreError> {
        let row = sso_provider::table.find((self.tenant_id().uuid(), to.id.uuid()));
        let changed = diesel::update(row)
            .set((
                sso_provider::sealed_secret.eq(&to.sealed_secret),
                sso_provider::default_role.eq(to.default_role.as_str()),
                sso_provider::required.eq(to.required),
                sso_provider::changed_at.eq(to.changed_at),
            ))
            .execute(self.conn()?)
            .await?;
        if changed == 0 { Err(StoreError::NotFound) } else { Ok(()) }
    }

    /// Removes the provider, and ends every session that it vouched for. Says how many sessions that ended.
    pub async fn remove_sso_provider(
        &mut self,
        id: SsoProviderId,
        outer_session: &str,
        at: DateTime<Utc>,
    ) -> Result<usize, StoreError> {
        let of = self.tenant_id().uuid();
        diesel::delete(sso_provider::table.find((of, id.uuid()))).execute(self.conn()?).await?;
        let open = session::table
            .filter(session::tenant_id.eq(of))
            .filter(session::outer_session.eq(outer_session))
            .filter(session::ended_at.is_null());
        Ok(diesel::update(open).set(session::ended_at.eq(at)).execute(self.conn()?).await?)
    }

    /// The domains, oldest first; a tenant has some dozens at most.
    pub async fn sso_domains(&mut self) -> Result<Vec<SsoDomain>, StoreError> {
        let rows: Vec<DomainRow> = sso_domain::table
            .filter(sso_domain::tenant_id.eq(self.tenant_id().uuid()))
            .order(sso_domain::id)
            .select(DomainRow::as_select())
            .load(self.conn()?)
            .await?;
        Ok(rows.into_iter().map(SsoDomain::from).collect())
    }

    /// One domain. [`StoreError::NotFound`] if the tenant has no such.
    pub async fn sso_domain(&mut self, id: SsoDomainId) -> Result<SsoDomain, StoreError> {
        let row = sso_domain::table.find((self.tenant_id().uuid(), id.uuid()));
        let row: DomainRow = row.select(DomainRow::as_select()).first(self.conn()?).await?;
        Ok(row.into())
    }

    /// Writes a domain down, which proves nothing yet. A conflict on `sso_domain_name` means that it is there.
    pub async fn create_sso_domain(&mut self, new: &SsoDomain) -> Result<(), StoreError> {
        diesel::insert_into(sso_domain::table)
            .values((
                sso_domain::tenant_id.eq(self.tenant_id().uuid()),
                sso_domain::id.eq(new.id.uuid()),
                sso_domain::domain.eq(&new.domain),
                sso_domain::token.eq(&new.token),
                sso_domain::created_at.eq(new.created_at),
            ))
            .execute(self.conn()?)
            .await?;
        Ok(())
    }

    /// The domain's record was seen: it counts from now on, or goes on counting. Says whether it did not before. A
    /// conflict on `sso_domain_proven` means that another tenant has proven it, and that its record is still there.
    pub async fn see_sso_domain(&mut self, id: SsoDomainId, at: DateTime<Utc>) -> Result<bool, StoreError> {
        let row = sso_domain::table.find((self.tenant_id().uuid(), id.uuid()));
        let seen = (sso_domain::checked_at.eq(at), sso_domain::seen_at.eq(at));
        let row_is_there = diesel::update(row).set(seen).execute(self.conn()?).await?;
        if row_is_there == 0 {
            return Err(StoreError::NotFound);
        }
        let unproven = row.filter(sso_domain::proven_at.is_null());
        let proven = diesel::update(unproven).set(sso_domain::proven_at.eq(at)).execute(self.conn()?).await?;
        Ok(proven > 0)
    }

    /// The domain's record was looked for and not seen.
    pub async fn miss_sso_domain(&mut self, id: SsoDomainId, at: DateTime<Utc>) -> Result<(), StoreError> {
        let row = sso_domain::table.find((self.tenant_id().uuid(), id.uuid()));
        diesel::update(row).set(sso_domain::checked_at.eq(at)).execute(self.conn()?).await?;
        Ok(())
    }

    /// The domain's record was looked for, whatever came of it.
    pub async fn look_for_sso_domain(
        &mut self,
        id: SsoDomainId,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let row = sso_domain::table.find((self.tenant_id().uuid(), id.uuid()));
        diesel::update(row).set(sso_domain::looked_at.eq(at)).execute(self.conn()?).await?;
        Ok(())
    }

    /// The domain counts no longer, if nobody has seen its record since this moment. Says whether it did count.
    pub async fn lose_sso_domain(
        &mut self,
        id: SsoDomainId,
        seen_at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let row = sso_domain::table
            .find((self.tenant_id().uuid(), id.uuid()))
            .filter(sso_domain::seen_at.le(seen_at))
            .filter(sso_domain::proven_at.is_not_null());
        let lost = diesel::update(row).set(sso_domain::proven_at.eq(None::<DateTime<Utc>>));
        Ok(lost.execute(self.conn()?).await? > 0)
    }

    /// Removes a domain. [`StoreError::NotFound`] if the tenant has no such.
    pub async fn delete_sso_domain(&mut self, id: SsoDomainId) -> Result<(), StoreError> {
        let row = sso_domain::table.find((self.tenant_id().uuid(), id.uuid()));
        let removed = diesel::delete(row).execute(self.conn()?).await?;
        if removed == 0 { Err(StoreError::NotFound) } else { Ok(()) }
    }

    /// How many members have an address in a proven domain, are no owners, and were never vouched for by this issuer:
    /// those whom a provider that must be used asks to link themselves.
    pub async fn members_without_sso(&mut self, issuer: &str) -> Result<u64, StoreError> {
        let counted: Counted = diesel::sql_query(
            "SELECT count(*) AS rows FROM member m JOIN user_account u ON u.id = m.user_id \
             JOIN sso_domain d ON d.tenant_id = m.tenant_id AND d.proven_at IS NOT NULL \
                AND d.domain = split_part(lower(u.email), '@', 2) \
             WHERE m.tenant_id = $1 AND m.role <> 'owner' AND NOT EXISTS (SELECT FROM sso_identity i \
                WHERE i.tenant_id = m.tenant_id AND i.user_id = m.user_id AND i.issuer = $2)",
        )
        .bind::<sql_types::Uuid, _>(self.tenant_id().uuid())
        .bind::<Text, _>(issuer)
        .get_result(self.conn()?)
        .await?;
        Ok(from_bigint(counted.rows))
    }
}

impl SystemConn {
    /// The provider of the tenant whose domain this is, if it is proven and the account is open.
    pub async fn sso_provider_of_domain(&mut self, domain: &str) -> Result<Option<SsoProvider>, StoreError> {
        let of = sso_domain::table
            .filter(sso_domain::domain.eq(domain))
            .filter(sso_domain::proven_at.is_not_null())
            .select(sso_domain::tenant_id);
        let open = tenant::table.filter(tenant::closing_at.is_null()).select(tenant::id);
        let row: Option<ProviderRow> = sso_provider::table
            .filter(sso_provider::tenant_id.eq_any(of))
            .filter(sso_provider::tenant_id.eq_any(open))
            .first(&mut self.conn)
            .await
            .optional()?;
        row.map(SsoProvider::try_from).transpose()
    }

    /// A tenant's provider, if it has one and the account is open.
    pub async fn sso_provider_of(&mut self, of: TenantId) -> Result<Option<SsoProvider>, StoreError> {
        let open = tenant::table.filter(tenant::closing_at.is_null()).select(tenant::id);
        let row: Option<ProviderRow> = sso_provider::table
            .filter(sso_provider::tenant_id.eq(of.uuid()))
            .filter(sso_provider::tenant_id.eq_any(open))
            .first(&mut self.conn)
            .await
            .optional()?;
        row.map(SsoProvider::try_from).transpose()
    }

    /// A provider by its id, if it is still there and the account is open.
    pub async fn sso_provider_by_id(&mut self, id: SsoProviderId) -> Result<Option<SsoProvider>, StoreError> {
        let open = tenant::table.filter(tenant::closing_at.is_null()).select(tenant::id);
        let row: Option<ProviderRow> = sso_provider::table
            .filter(sso_provider::id.eq(id.uuid()))
            .filter(sso_provider::tenant_id.eq_any(open))
            .first(&mut self.conn)
            .await
            .optional()?;
        row.map(SsoProvider::try_from).transpose()
    }

    /// Whether a tenant has proven this domain.
    pub async fn has_proven_domain(&mut self, of: TenantId, domain: &str) -> Result<bool, StoreError> {
        let proven = sso_domain::table
            .filter(sso_domain::tenant_id.eq(of.uuid()))
            .filter(sso_domain::domain.eq(domain))
            .filter(sso_domain::proven_at.is_not_null());
        Ok(diesel::select(diesel::dsl::exists(proven)).get_result(&mut self.conn).await?)
    }

    /// Whom a tenant's provider vouches for under this name. Of several who ask at once, one goes on until its
    /// transaction is over: a newcomer is made once.
    pub async fn lock_sso_identity(
        &mut self,
        of: TenantId,
        issuer: &str,
        subject: &str,
    ) -> Result<SsoName, StoreError> {
        // The number is this lock's own: the letters "sso " in ASCII.
        diesel::sql_query("SELECT pg_advisory_xact_lock(1936945952, hashtext($1 || ' ' || $2 || ' ' || $3))")
            .bind::<Text, _>(of.to_string())
            .bind::<Text, _>(issuer)
            .bind::<Text, _>(subject)
            .execute(&mut self.conn)
            .await?;
        let found = sso_identity::table.find((of.uuid(), issuer, subject)).select(sso_identity::user_id);
        let known: Option<Option<Uuid>> = found.first(&mut self.conn).await.optional()?;
        if let Some(user) = known.flatten() {
            return Ok(SsoName::Of(user.into()));
        }
        let forgotten: Counted = diesel::sql_query(format!("SELECT count(*) AS rows {FORGOTTEN}"))
            .bind::<sql_types::Uuid, _>(of.uuid())
            .bind::<Text, _>(issuer)
            .bind::<Text, _>(subject)
            .get_result(&mut self.conn)
            .await?;
        Ok(if forgotten.rows > 0 { SsoName::Forgotten } else { SsoName::New })
    }

    /// From now on, who is called this there is this person in this tenant, whoever it was that was forgotten.
    pub async fn link_sso_identity(
        &mut self,
        of: TenantId,
        (issuer, subject): (&str, &str),
        user: UserId,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        diesel::sql_query(format!("DELETE {FORGOTTEN}"))
            .bind::<sql_types::Uuid, _>(of.uuid())
            .bind::<Text, _>(issuer)
            .bind::<Text, _>(subject)
            .execute(&mut self.conn)
            .await?;
        diesel::insert_into(sso_identity::table)
            .values((
                sso_identity::tenant_id.eq(of.uuid()),
                sso_identity::issuer.eq(issuer),
                sso_identity::subject.eq(subject),
                sso_identity::user_id.eq(user.uuid()),
                sso_identity::created_at.eq(at),
            ))
            .execute(&mut self.conn)
            .await?;
        Ok(())
    }

    /// The tenants of a person that want whoever has an address in its domain to come by their provider.
    pub(crate) async fn demanding_single_sign_on(
        &mut self,
        user: UserId,
    ) -> Result<BTreeSet<TenantId>, StoreError> {
        let rows: Vec<TenantIdRow> = diesel::sql_query(
            "SELECT m.tenant_id FROM member m JOIN user_account u ON u.id = m.user_id \
             JOIN sso_provider p ON p.tenant_id = m.tenant_id AND p.required \
             JOIN sso_domain d ON d.tenant_id = m.tenant_id AND d.proven_at IS NOT NULL \
                AND d.domain = split_part(lower(u.email), '@', 2) WHERE m.user_id = $1",
        )
        .bind::<sql_types::Uuid, _>(user.uuid())
        .load(&mut self.conn)
        .await?;
        Ok(rows.into_iter().map(|row| row.tenant_id.into()).collect())
    }

    /// Domains that count, of every tenant, and were not looked for since this moment: those first that were left out
    /// longest; at most so many.
    pub async fn proven_sso_domains(
        &mut self,
        before: DateTime<Utc>,
        most: u32,
    ) -> Result<Vec<(TenantId, SsoDomain)>, StoreError> {
        let left_out = sso_domain::looked_at.is_null().or(sso_domain::looked_at.lt(before));
        let rows: Vec<(Uuid, DomainRow)> = sso_domain::table
            .filter(sso_domain::proven_at.is_not_null())
            .filter(left_out)
            .order((sso_domain::looked_at.asc().nulls_first(), sso_domain::id))
            .limit(i64::from(most))
            .select((sso_domain::tenant_id, DomainRow::as_select()))
            .load(&mut self.conn)
            .await?;
        Ok(rows.into_iter().map(|(tenant, row)| (tenant.into(), row.into())).collect())
    }
}

/// Which row is that of somebody who was called `$3` there and is forgotten.
const FORGOTTEN: &str = "FROM sso_identity WHERE tenant_id = $1 AND issuer = $2 \
    AND subject = forgotten_subject($1, $2, $3) AND user_id IS NULL";

#[derive(QueryableByName)]
struct Counted {
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

#[derive(QueryableByName)]
struct TenantIdRow {
    #[diesel(sql_type = sql_types::Uuid)]
    tenant_id: Uuid,
}

#[derive(Queryable)]
struct ProviderRow {
    tenant_id: Uuid,
    id: Uuid,
    issuer: String,
    client_id: String,
    sealed_secret: Vec<u8>,
    default_role: String,
    required: bool,
    created_at: DateTime<Utc>,
    changed_at: DateTime<Utc>,
}

impl TryFrom<ProviderRow> for SsoProvider {
    type Error = StoreError;

    fn try_from(row: ProviderRow) -> Result<Self, StoreError> {
        Ok(Self {
            tenant_id: row.tenant_id.into(),
            id: row.id.into(),
            issuer: row.issuer,
            client_id: row.client_id,
            sealed_secret: row.sealed_secret,
            default_role: named("sso_provider.default_role", &row.default_role, |name| name.parse().ok())?,
            required: row.required,
            created_at: row.created_at,
            changed_at: row.changed_at,
        })
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = sso_domain)]
struct DomainRow {
    id: Uuid,
    domain: String,
    token: String,
    created_at: DateTime<Utc>,
    checked_at: Option<DateTime<Utc>>,
    seen_at: Option<DateTime<Utc>>,
    proven_at: Option<DateTime<Utc>>,
}

impl From<DomainRow> for SsoDomain {
    fn from(row: DomainRow) -> Self {
        let DomainRow { id, domain, token, created_at, checked_at, seen_at, proven_at } = row;
        Self { id: id.into(), domain, token, created_at, checked_at, seen_at, proven_at }
    }
}
