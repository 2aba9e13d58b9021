//! Connections to AWS accounts: who is let in how, how it is, and when it is looked at next.
//!
//! One that was paused or revoked is changed by its people alone: whatever a job found out meanwhile is let go. So is what
//! a job found out under an ExternalId that is no longer the connection's.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use costlens_domain::aws::{
    AwsAccountId, BucketName, ExternalId, KeyPrefix, KmsKeyArn, Layout, Region, ReportName, ReportPlace,
    RoleArn,
};
use costlens_domain::{AwsConnectionId, TenantId, UserId};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::db::{mend, named};
use crate::schema::aws_connection;
use crate::{StoreError, SystemConn, TenantConn};

/// How a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AwsConnectionState {
    /// The role was not seen yet.
    Pending,
    /// It is being looked at for the first time since something changed.
    Verifying,
    /// The bill is read.
    Active,
    /// Its people want nothing read for now.
    Paused,
    /// It cannot be read, and why is told.
    Failing,
    /// Its people ended it. What was read stays.
    Revoked,
}

impl AwsConnectionState {
    /// Its stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Verifying => "verifying",
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Failing => "failing",
            Self::Revoked => "revoked",
        }
    }

    /// Whether anything may be read.
    #[must_use]
    pub const fn is_at_rest(self) -> bool {
        matches!(self, Self::Paused | Self::Revoked)
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Pending, Self::Verifying, Self::Active, Self::Paused, Self::Failing, Self::Revoked]
            .into_iter()
            .find(|state| state.as_str() == name)
    }
}

/// Why something cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsProblem {
    /// Its stable name, see `costlens_domain::aws::Refusal`.
    pub code: String,
    /// What happened, in words for the account's people.
    pub detail: String,
}

/// A tenant's link to an AWS account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsConnection {
    /// Its id.
    pub id: AwsConnectionId,
    /// Where the reports lie, and as whom they are read.
    pub place: ReportPlace,
    /// The bucket's region, as stated or found.
    pub region: Option<Region>,
    /// The key that encrypts the reports, if its people said that there is one.
    pub kms_key: Option<KmsKeyArn>,
    /// How the report's folders are made, once one was seen.
    pub layout: Option<Layout>,
    /// How it is.
    pub state: AwsConnectionState,
    /// What is wrong, or was wrong last.
    pub problem: Option<AwsProblem>,
    /// How often in a row it was looked at in vain.
    pub checks: u32,
    /// When it is looked at next; never while at rest.
    pub next_check_at: Option<DateTime<Utc>>,
    /// When it was looked at last.
    pub checked_at: Option<DateTime<Utc>>,
    /// When the role was last proven to want the ExternalId.
    pub verified_at: Option<DateTime<Utc>>,
    /// When the last twelve months were looked at.
    pub swept_at: Option<DateTime<Utc>>,
    /// When the last delivery was stored.
    pub delivered_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When something last changed.
    pub updated_at: DateTime<Utc>,
    /// When its people ended it.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// What a new connection is made of.
#[derive(Clone, Debug)]
pub struct NewAwsConnection {
    /// Its id.
    pub id: AwsConnectionId,
    /// Where the reports lie, and as whom they are read.
    pub place: ReportPlace,
    /// The bucket's region, if stated.
    pub region: Option<Region>,
    /// The key that encrypts the reports, if there is one.
    pub kms_key: Option<KmsKeyArn>,
    /// When it is made, and looked at first.
    pub created_at: DateTime<Utc>,
}

/// What a look at a connection came to.
#[derive(Clone, Debug)]
pub struct AwsChecked {
    /// The ExternalId under which it was looked at.
    pub external_id: ExternalId,
    /// How it is now.
    pub state: AwsConnectionState,
    /// What is wrong.
    pub problem: Option<AwsProblem>,
    /// How often in a row it was looked at in vain.
    pub checks: u32,
    /// When it is looked at next.
    pub next_check_at: DateTime<Utc>,
    /// The bucket's region, where it was found.
    pub region: Option<Region>,
    /// How the report's folders are made, where that was seen.
    pub layout: Option<Layout>,
    /// Whether the role was proven to want the ExternalId.
    pub verified: bool,
    /// Whether the last twelve months were looked at.
    pub swept: bool,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = aws_connection)]
struct Row {
    id: Uuid,
    account_id: String,
    role_arn: String,
    external_id: String,
    bucket: String,
    prefix: String,
    report: String,
    region: Option<String>,
    kms_key_arn: Option<String>,
    layout: Option<String>,
    state: String,
    problem_code: Option<String>,
    problem_detail: Option<String>,
    checks: i32,
    next_check_at: Option<DateTime<Utc>>,
    checked_at: Option<DateTime<Utc>>,
    verified_at: Option<DateTime<Utc>>,
    swept_at: Option<DateTime<Utc>>,
    delivered_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    revoked_at: Option<DateTime<Utc>>,
}

fn parsed<T: std::str::FromStr>(column: &'static str, text: &str) -> Result<T, StoreError> {
    named(column, text, |text| text.parse().ok())
}

impl TryFrom<Row> for AwsConnection {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let account: AwsAccountId = parsed("aws_connection.account_id", &row.account_id)?;
        let role: RoleArn = parsed("aws_connection.role_arn", &row.role_arn)?;
        let external_id: ExternalId = parsed("aws_connection.external_id", &row.external_id)?;
        let bucket: BucketName = parsed("aws_connection.bucket", &row.bucket)?;
        let prefix: KeyPrefix = parsed("aws_connection.prefix", &row.prefix)?;
        let report: ReportName = parsed("aws_connection.report", &row.report)?;
        let region = row.region.as_deref().map(|text| parsed("aws_connection.region", text));
        let kms_key = row.kms_key_arn.as_deref().map(|text| parsed("aws_connection.kms_key_arn", text));
        let layout =
            row.layout.as_deref().map(|name| named("aws_connection.layout", name, Layout::from_name));
        let problem = row.problem_code.zip(row.problem_detail);
        Ok(Self {
            id: row.id.into(),
            place: ReportPlace { account, role, external_id, bucket, prefix, report },
            region: region.transpose()?,
            kms_key: kms_key.transpose()?,
            layout: layout.transpose()?,
            state: named("aws_connection.state", &row.state, AwsConnectionState::parse)?,
            problem: problem.map(|(code, detail)| AwsProblem { code, detail }),
            checks: u32::try_from(row.checks).unwrap_or_default(),
            next_check_at: row.next_check_at,
            checked_at: row.checked_at,
            verified_at: row.verified_at,
            swept_at: row.swept_at,
            delivered_at: row.delivered_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
            revoked_at: row.revoked_at,
        })
    }
}

/// The longest words that are kept of a problem.
pub(crate) const LONGEST_DETAIL: usize = 2_048;

/// What may be looked at.
const AT_WORK: [&str; 4] = [
    AwsConnectionState::Pending.as_str(),
    AwsConnectionState::Verifying.as_str(),
    AwsConnectionState::Active.as_str(),
    AwsConnectionState::Failing.as_str(),
];

impl TenantConn {
    /// Makes a connection, to be looked at at once. A conflict on `aws_connection_account` means that the account is
    /// connected.
    pub async fn create_aws_connection(
        &mut self,
        new: &NewAwsConnection,
    ) -> Result<AwsConnection, StoreError> {
        let place = &new.place;
        diesel::insert_into(aws_connection::table)
            .values((
                aws_connection::tenant_id.eq(self.tenant_id().uuid()),
                aws_connection::id.eq(new.id.uuid()),
                aws_connection::account_id.eq(place.account.as_str()),
                aws_connection::role_arn.eq(place.role.as_str()),
                aws_connection::external_id.eq(place.external_id.as_str()),
                aws_connection::bucket.eq(place.bucket.as_str()),
                aws_connection::prefix.eq(place.prefix.as_str()),
                aws_connection::report.eq(place.report.as_str()),
                aws_connection::region.eq(new.region.as_ref().map(Region::as_str)),
                aws_connection::kms_key_arn.eq(new.kms_key.as_ref().map(KmsKeyArn::as_str)),
                aws_connection::state.eq(AwsConnectionState::Pending.as_str()),
                aws_connection::next_check_at.eq(new.created_at),
                aws_connection::created_at.eq(new.created_at),
                aws_connection::updated_at.eq(new.created_at),
            ))
            .execute(self.conn()?)
            .await?;
        self.aws_connection(new.id).await
    }

    /// The tenant's connections to AWS accounts, newest first, revoked ones included; `after` is the last id of the page
    /// before.
    pub async fn list_aws_connections(
        &mut self,
        after: Option<AwsConnectionId>,
        limit: u32,
    ) -> Result<Vec<AwsConnection>, StoreError> {
        let mut query = aws_connection::table
            .filter(aws_connection::tenant_id.eq(self.tenant_id().uuid()))
            .order(aws_connection::id.desc())
            .limit(i64::from(limit))
            .select(Row::as_select())
            .into_boxed();
        if let Some(after) = after {
            query = query.filter(aws_connection::id.lt(after.uuid()));
        }
        let rows = query.load(self.conn()?).await?;
        rows.into_iter().map(AwsConnection::try_from).collect()
    }

    /// One connection. [`StoreError::NotFound`] if the tenant has no such connection.
    pub async fn aws_connection(&mut self, id: AwsConnectionId) -> Result<AwsConnection, StoreError> {
        let row = aws_connection::table.find((self.tenant_id().uuid(), id.uuid()));
        row.select(Row::as_select()).first(self.conn()?).await?.try_into()
    }

    /// The connection, locked until the transaction ends.
    pub async fn lock_aws_connection(&mut self, id: AwsConnectionId) -> Result<AwsConnection, StoreError> {
        let row = aws_connection::table.find((self.tenant_id().uuid(), id.uuid()));
        row.select(Row::as_select()).for_no_key_update().first(self.conn()?).await?.try_into()
    }

    /// Marks what is not active as being looked at.
    pub async fn begin_aws_check(
        &mut self,
        id: AwsConnectionId,
        at: DateTime<Utc>,
    ) -> Result<AwsConnection, StoreError> {
        let before = self.lock_aws_connection(id).await?;
        if before.state == AwsConnectionState::Pending {
            let row = aws_connection::table.find((self.tenant_id().uuid(), id.uuid()));
            diesel::update(row)
                .set((
                    aws_connection::state.eq(AwsConnectionState::Verifying.as_str()),
                    aws_connection::updated_at.eq(at),
                ))
                .execute(self.conn()?)
                .await?;
        }
        Ok(before)
    }

    /// Writes down what a look came to. Whether it counts: the connection is not at rest, and its ExternalId is the one
    /// that was used.
    pub async fn settle_aws_check(
        &mut self,
        id: AwsConnectionId,
        checked: &AwsChecked,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let row = aws_connection::table
            .find((self.tenant_id().uuid(), id.uuid()))
            .filter(aws_connection::state.eq_any(AT_WORK))
            .filter(aws_connection::external_id.eq(checked.external_id.as_str()));
        let problem = checked.problem.as_ref();
        let settled = diesel::update(row)
            .set((
                aws_connection::state.eq(checked.state.as_str()),
                aws_connection::problem_code.eq(problem.map(|problem| problem.code.as_str())),
                aws_connection::problem_detail
                    .eq(problem.map(|problem| mend(&problem.detail, LONGEST_DETAIL))),
                aws_connection::checks.eq(i32::try_from(checked.checks).unwrap_or(i32::MAX)),
                aws_connection::next_check_at.eq(checked.next_check_at),
                checked.region.as_ref().map(|region| aws_connection::region.eq(region.as_str())),
                checked.layout.map(|layout| aws_connection::layout.eq(layout.as_str())),
                checked.verified.then(|| aws_connection::verified_at.eq(at)),
                checked.swept.then(|| aws_connection::swept_at.eq(at)),
                aws_connection::checked_at.eq(at),
                aws_connection::updated_at.eq(at),
            ))
            .execute(self.conn()?)
            .await?;
        Ok(settled > 0)
    }

    /// Has a connection looked at at this moment; nothing happens to one at rest.
    pub async fn hasten_aws_check(
        &mut self,
        id: AwsConnectionId,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let row = aws_connection::table
            .find((self.tenant_id().uuid(), id.uuid()))
            .filter(aws_connection::state.eq_any(AT_WORK));
        let hastened = diesel::update(row)
            .set((aws_connection::next_check_at.eq(at), aws_connection::updated_at.eq(at)))
            .execute(self.conn()?)
            .await?;
        Ok(hastened > 0)
    }

    /// Gives a connection another state, as its people want it: paused, revoked, or pending with a look at once, for
    /// which it may get another ExternalId.
    pub async fn set_aws_connection(
        &mut self,
        id: AwsConnectionId,
        state: AwsConnectionState,
        external_id: Option<&ExternalId>,
        at: DateTime<Utc>,
    ) -> Result<AwsConnection, StoreError> {
        let row = aws_connection::table.find((self.tenant_id().uuid(), id.uuid()));
        let revoked = state == AwsConnectionState::Revoked;
        diesel::update(row)
            .set((
                aws_connection::state.eq(state.as_str()),
                aws_connection::problem_code.eq(None::<String>),
                aws_connection::problem_detail.eq(None::<String>),
                aws_connection::checks.eq(0),
                aws_connection::next_check_at.eq((!state.is_at_rest()).then_some(at)),
                aws_connection::revoked_at.eq(revoked.then_some(at)),
                aws_connection::updated_at.eq(at),
                external_id.map(|id| {
                    (
                        aws_connection::external_id.eq(id.as_str()),
                        aws_connection::verified_at.eq(None::<DateTime<Utc>>),
                        // Its report may have been made anew, in another way.
                        aws_connection::layout.eq(None::<String>),
                    )
                }),
            ))
            .execute(self.conn()?)
            .await?;
        self.aws_connection(id).await
    }

    /// Remembers that a delivery was stored.
    pub(crate) async fn note_aws_delivery(
        &mut self,
        id: AwsConnectionId,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let row = aws_connection::table.find((self.tenant_id().uuid(), id.uuid()));
        let noted = (aws_connection::delivered_at.eq(at), aws_connection::updated_at.eq(at));
        diesel::update(row).set(noted).execute(self.conn()?).await?;
        Ok(())
    }
}

#[derive(QueryableByName)]
struct ConnectedRow {
    #[diesel(sql_type = SqlUuid)]
    tenant_id: Uuid,
}

#[derive(QueryableByName)]
struct DueRow {
    #[diesel(sql_type = SqlUuid)]
    tenant_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

impl SystemConn {
    /// Connections of every tenant that are to be looked at by now, in the order of their ids; `after` is the last id of
    /// the page before.
    pub async fn due_aws_connections(
        &mut self,
        now: DateTime<Utc>,
        after: Option<AwsConnectionId>,
        most: u32,
    ) -> Result<Vec<(TenantId, AwsConnectionId)>, StoreError> {
        let sql = "SELECT tenant_id, id FROM aws_connection \
            WHERE next_check_at <= $1 AND ($2 IS NULL OR id > $2) ORDER BY id LIMIT $3";
        let rows: Vec<DueRow> = diesel::sql_query(sql)
            .bind::<Timestamptz, _>(now)
            .bind::<Nullable<SqlUuid>, _>(after.map(AwsConnectionId::uuid))
            .bind::<BigInt, _>(i64::from(most))
            .load(&mut self.conn)
            .await?;
        Ok(rows.into_iter().map(|row| (row.tenant_id.into(), row.id.into())).collect())
    }

    /// Of a person's tenants, those that let us into an AWS account, paused ones included: the role is there.
    pub(crate) async fn connected_to_aws(&mut self, user: UserId) -> Result<BTreeSet<TenantId>, StoreError> {
        let rows: Vec<ConnectedRow> = diesel::sql_query(
            "SELECT m.tenant_id FROM member m JOIN aws_connection c ON c.tenant_id = m.tenant_id \
             WHERE m.user_id = $1 AND c.revoked_at IS NULL",
        )
        .bind::<SqlUuid, _>(user.uuid())
        .load(&mut self.conn)
        .await?;
        Ok(rows.into_iter().map(|row| row.tenant_id.into()).collect())
    }
}
