//! Both sources in one: what each day's calls cost by their bills, and what the bills have beside them, page by page.

use chrono::{DateTime, NaiveDate, Utc};
use costlens_domain::export::{SettledCharge, SettledKind};
use costlens_domain::request::Origin;
use costlens_domain::settlement::{Issuer, ResidualCode};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Date, Nullable, Numeric, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::db::{Db, from_bigint, named};
use crate::{StoreError, TenantConn};

/// Where a settled charge stands among those of its day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettledPlace(String);

impl TenantConn {
    /// The next settled charges of a day, at most so many. `after` is where the last one of those before stands.
    pub async fn settled_charges_after(
        &mut self,
        day: NaiveDate,
        after: Option<&SettledPlace>,
        most: u32,
    ) -> Result<Vec<(SettledPlace, SettledCharge)>, StoreError> {
        let rows: Vec<Row> = diesel::sql_query(include_str!("sql/settled_charges.sql"))
            .bind::<SqlUuid, _>(self.tenant_id().uuid())
            .bind::<Date, _>(day)
            .bind::<Nullable<Text>, _>(after.map(|place| place.0.as_str()))
            .bind::<BigInt, _>(i64::from(most))
            .load(self.conn()?)
            .await?;
        rows.into_iter().map(|row| row.into_charge(day)).collect()
    }

    /// The first day from this one on, before `until`, that has calls or differences of a settlement.
    pub async fn next_settled_day(
        &mut self,
        from: Option<NaiveDate>,
        until: DateTime<Utc>,
    ) -> Result<Option<NaiveDate>, StoreError> {
        let sql = "SELECT min(day) AS day FROM ( \
                SELECT min((hour AT TIME ZONE 'UTC')::date) AS day FROM spend_hourly \
                WHERE tenant_id = $1 AND ($2 IS NULL OR hour >= $2::timestamp AT TIME ZONE 'UTC') AND hour < $3 \
                UNION ALL \
                SELECT min(day) FROM settlement_cell \
                WHERE tenant_id = $1 AND ($2 IS NULL OR day >= $2) AND day::timestamp AT TIME ZONE 'UTC' < $3 \
                UNION ALL \
                SELECT min(day) FROM settlement_residual \
                WHERE tenant_id = $1 AND ($2 IS NULL OR day >= $2) AND day::timestamp AT TIME ZONE 'UTC' < $3 AND side = 'outside' \
            ) AS days";
        let row: DayRow = diesel::sql_query(sql)
            .bind::<SqlUuid, _>(self.tenant_id().uuid())
            .bind::<Nullable<Date>, _>(from)
            .bind::<Timestamptz, _>(until)
            .get_result(self.conn()?)
            .await?;
        Ok(row.day)
    }

    /// A mark for each settlement of the months that have these days, which is another one once it is replaced.
    pub async fn settlement_marks(
        &mut self,
        (from, to): (Option<NaiveDate>, Option<NaiveDate>),
    ) -> Result<Vec<String>, StoreError> {
        let rows: Vec<MarkRow> = diesel::sql_query(include_str!("sql/settled_marks.sql"))
            .bind::<SqlUuid, _>(self.tenant_id().uuid())
            .bind::<Nullable<Date>, _>(from)
            .bind::<Nullable<Date>, _>(to)
            .load(self.conn()?)
            .await?;
        Ok(rows.into_iter().map(|row| row.mark).collect())
    }
}

#[derive(QueryableByName)]
struct DayRow {
    #[diesel(sql_type = Nullable<Date>)]
    day: Option<NaiveDate>,
}

#[derive(QueryableByName)]
struct MarkRow {
    #[diesel(sql_type = Text)]
    mark: String,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    place: String,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Nullable<Text>)]
    issuer: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    code: Option<String>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    api_key_id: Option<Uuid>,
    #[diesel(sql_type = Text)]
    provider: String,
    #[diesel(sql_type = Text)]
    model: String,
    #[diesel(sql_type = Text)]
    service_tier: String,
    #[diesel(sql_type = Text)]
    account: String,
    #[diesel(sql_type = Text)]
    region: String,
    #[diesel(sql_type = Text)]
    principal: String,
    #[diesel(sql_type = BigInt)]
    calls: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    tokens: Option<i64>,
    #[diesel(sql_type = Nullable<Numeric>)]
    list: Option<Db<Decimal>>,
    #[diesel(sql_type = Nullable<Numeric>)]
    contracted: Option<Db<Decimal>>,
    #[diesel(sql_type = Nullable<Numeric>)]
    billed: Option<Db<Decimal>>,
    #[diesel(sql_type = Nullable<Numeric>)]
    effective: Option<Db<Decimal>>,
    #[diesel(sql_type = Nullable<Text>)]
    origin: Option<String>,
}

impl Row {
    fn into_charge(self, day: NaiveDate) -> Result<(SettledPlace, SettledCharge), StoreError> {
        let issuer = match self.issuer {
            Some(name) => Some(named("settlement.issuer", &name, Issuer::from_name)?),
            None => None,
        };
        let code = match self.code {
            Some(name) => Some(named("settlement_residual.code", &name, ResidualCode::from_name)?),
            None => None,
        };
        let origin = match self.origin {
            Some(name) => Some(named("settlement_cell.origin", &name, Origin::from_name)?),
            None => None,
        };
        let charge = SettledCharge {
            kind: named("settlement_cell.state", &self.kind, SettledKind::from_name)?,
            day,
            issuer,
            code,
            api_key_id: self.api_key_id.map(Into::into),
            origin,
            provider: self.provider,
            model: self.model,
            service_tier: self.service_tier,
            account: self.account,
            region: self.region,
            principal: self.principal,
            calls: from_bigint(self.calls),
            tokens: self.tokens.map(from_bigint),
            list: self.list.map(|cost| cost.0),
            contracted: self.contracted.map(|cost| cost.0),
            billed: self.billed.map(|cost| cost.0),
            effective: self.effective.map(|cost| cost.0),
        };
        Ok((SettledPlace(self.place), charge))
    }
}
