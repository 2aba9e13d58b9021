//! Which bills are versions of one another, and which of them stand in each other's way.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use costlens_domain::BillId;
use costlens_domain::aws::Month;
use costlens_domain::bill::BillReport;
use costlens_domain::settlement::Issuer;
use diesel::prelude::*;
use diesel::sql_types::{self, Array, Bool, Date, Text, Timestamptz};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::LONGEST_NAME;
use super::rows::json;
use crate::db::mend;
use crate::schema::bill;
use crate::{StoreError, TenantConn};

/// An index entry holds some 2,700 bytes; a bill of more paying accounts than that is its first ones'.
const LONGEST: usize = 2_000;

/// What tells of which bills one is a version: who issued it, its months and its paying accounts. The format is no part of
/// it: a CUR and a FOCUS export of one month are the same money twice. Nor is which accounts its lines are of, which the facts
/// say: of an organisation's accounts each may have a report of its own, and all name the same payer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BillScope {
    issuer: Issuer,
    /// The first and the last month, by their first days; `None` for a bill without dates.
    pub(crate) months: Option<(NaiveDate, NaiveDate)>,
    /// The paying accounts, or whatever else tells whose it is.
    whose: String,
    /// The connection that delivers it: others may deliver the same payer's months, of other accounts.
    by: Option<String>,
}

impl BillScope {
    /// Of a report that says itself what it is of.
    pub(crate) fn of(report: &BillReport) -> Self {
        let accounts: BTreeSet<&str> =
            report.facts.iter().map(|fact| account(&fact.billing_account)).collect();
        let accounts: Vec<&str> = accounts.into_iter().collect();
        Self { issuer: Issuer::of(report.format), months: report.months, whose: accounts.join(","), by: None }
    }

    /// Of a month that was asked for, and of the paying accounts that the report names; of `asker` where it names none.
    pub(crate) fn of_delivery(report: &BillReport, month: Month, asker: &str) -> Self {
        let months = Some((month.first_day(), month.first_day()));
        let Self { issuer, whose, .. } = Self::of(report);
        let whose = if whose.is_empty() { asker.to_owned() } else { whose };
        Self { issuer, months, whose, by: Some(asker.to_owned()) }
    }

    /// Of a month that a vendor reports about one of its customers.
    pub(crate) fn of_invoice(report: &BillReport, month: Month, whose: String) -> Self {
        Self {
            issuer: Issuer::of(report.format),
            months: Some((month.first_day(), month.first_day())),
            whose,
            by: None,
        }
    }

    /// Whether it is of an account that AWS delivers.
    pub(crate) const fn is_delivered(&self) -> bool {
        self.by.is_some()
    }

    /// One text for all of it.
    pub(crate) fn text(&self) -> String {
        let of = |month: NaiveDate| format!("{:04}-{:02}", month.year(), month.month());
        let months = match self.months {
            Some((first, last)) if first == last => of(first),
            Some((first, last)) => format!("{}..{}", of(first), of(last)),
            None => String::new(),
        };
        // Its parts are told apart by the spaces between them.
        let text = mend(&format!("{} {months} {}", self.issuer, self.whose.replace(' ', "_")), LONGEST);
        match &self.by {
            Some(by) => format!("{text} {by}"),
            None => text,
        }
    }
}

/// The accounts that a report's lines are of, beside whoever pays for them.
pub(crate) fn usage_accounts(report: &BillReport) -> Vec<&str> {
    let accounts: BTreeSet<&str> = report.facts.iter().map(|fact| &*fact.usage_account).collect();
    accounts.into_iter().collect()
}

/// A paying account, by the same name in each format: Azure's FOCUS names it by its path, perhaps with a profile behind it.
fn account(name: &str) -> &str {
    name.split_once("/billingAccounts/")
        .map_or(name, |(_, account)| account.split_once('/').map_or(account, |(account, _)| account))
}

/// A bill that counts, and beside or in place of which another must not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillInTheWay {
    /// The bill.
    pub id: BillId,
    /// Its name.
    pub name: String,
    /// Why.
    pub why: InTheWay,
}

/// Why a bill is in another's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InTheWay {
    /// A connection that is at work delivered it, and knows better.
    Delivered,
    /// It is of other months as well, which would be lost.
    OtherMonths,
    /// It is of other paying accounts as well, which would be lost.
    OtherAccounts,
    /// It has lines of accounts of which the file has none: the file may be one member's of an organisation, and they would be
    /// lost.
    OtherLines,
    /// It is another part of the same delivery, by its name: the month is both together.
    OtherPart,
}

impl InTheWay {
    /// What a person is told of it, after the bill's name.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Delivered => {
                "has a month of this file, and a connected AWS account delivers it. Pause the connection if the file is to \
                 count"
            }
            Self::OtherMonths => {
                "has a month of this file, but is not of the same months. Withdraw it if the file is to count"
            }
            Self::OtherAccounts => {
                "has a paying account of this file, and others. Withdraw it if the file is to count"
            }
            Self::OtherLines => {
                "has AI of this file's paying account in other accounts, of which the file has none. Withdraw it if the file \
                 is to count"
            }
            Self::OtherPart => {
                "is another part of the same report, and only all parts together are the month. Withdraw it if the file is \
                 the whole"
            }
        }
    }
}

/// A name without the number that tells the parts of one delivery apart, and the number: as AWS writes both
/// (`costlens-00002.snappy.parquet`, and `costlens-2.csv.gz` of the legacy report), as Azure does (`part_1_0001.csv`) and as
/// BigQuery does (`costs-000000000001.json.gz`). Any other number may be a date, or a newer copy of the same month.
fn part_of(name: &str) -> Option<(String, u32)> {
    let (stem, endings) = name.split_once('.').unwrap_or((name, ""));
    if let Some((number, rest)) = stem.strip_prefix("part_").and_then(|rest| rest.split_once('_')) {
        return Some((format!("part_{rest}.{endings}"), number.parse().ok()?));
    }
    let (base, number) = stem.rsplit_once('-')?;
    if number.len() != 5 && number.len() != 12 && !(number.len() == 1 && endings == "csv.gz") {
        return None;
    }
    Some((format!("{base}.{endings}"), number.parse().ok()?))
}

fn are_parts(one: &str, other: &str) -> bool {
    matches!((part_of(one), part_of(other)), (Some((a, n)), Some((b, m))) if a == b && n != m)
}

#[derive(QueryableByName)]
#[expect(clippy::struct_excessive_bools, reason = "a row as the query answers it")]
struct InTheWayRow {
    #[diesel(sql_type = sql_types::Uuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Bool)]
    is_delivered: bool,
    #[diesel(sql_type = Bool)]
    is_of_same_months: bool,
    /// Whether it is of no paying account that the file is not of.
    #[diesel(sql_type = Bool)]
    is_covered: bool,
    /// Whether there are accounts of which both have lines.
    #[diesel(sql_type = Bool)]
    shares_lines: bool,
    /// Whether it has lines of accounts of which the file has none.
    #[diesel(sql_type = Bool)]
    has_other_lines: bool,
}

impl InTheWayRow {
    /// Why it is in the way of a file of this name, if it is.
    fn why(&self, name: &str) -> Option<InTheWay> {
        if self.shares_lines && self.is_delivered {
            Some(InTheWay::Delivered)
        } else if self.shares_lines && !self.is_of_same_months {
            Some(InTheWay::OtherMonths)
        } else if !self.is_delivered && self.is_of_same_months && are_parts(&self.name, name) {
            Some(InTheWay::OtherPart)
        } else if !self.shares_lines {
            None
        } else if !self.is_covered {
            Some(InTheWay::OtherAccounts)
        } else {
            self.has_other_lines.then_some(InTheWay::OtherLines)
        }
    }
}

impl TenantConn {
    /// The bill beside or in place of which this report, in files of which the first has this name, must not count. The same
    /// files' own bill is in nobody's way.
    pub async fn bill_in_the_way(
        &mut self,
        name: &str,
        report: &BillReport,
    ) -> Result<Option<BillInTheWay>, StoreError> {
        // The same files, read by newer rules, take their own bill's place.
        let own: Vec<Uuid> = bill::table
            .filter(bill::tenant_id.eq(self.tenant_id().uuid()))
            .filter(bill::name.eq(mend(name, LONGEST_NAME)))
            .filter(bill::files.eq(json(&report.files)?))
            .filter(bill::superseded_at.is_null())
            .select(bill::id)
            .load(self.conn()?)
            .await?;
        self.bill_in_the_way_but(name, report, &own).await
    }

    /// The same, whatever these bills are.
    pub(crate) async fn bill_in_the_way_but(
        &mut self,
        name: &str,
        report: &BillReport,
        but: &[Uuid],
    ) -> Result<Option<BillInTheWay>, StoreError> {
        let scope = BillScope::of(report);
        let Some((first, last)) = scope.months else { return Ok(None) };
        let rows: Vec<InTheWayRow> = diesel::sql_query(include_str!("../sql/bills_of_months.sql"))
            .bind::<sql_types::Uuid, _>(self.tenant_id().uuid())
            .bind::<Text, _>(scope.text())
            .bind::<Date, _>(first)
            .bind::<Date, _>(last)
            .bind::<Array<Text>, _>(usage_accounts(report))
            .bind::<Array<sql_types::Uuid>, _>(but)
            .load(self.conn()?)
            .await?;
        let in_the_way = |row: InTheWayRow| {
            let why = row.why(name)?;
            Some(BillInTheWay { id: row.id.into(), name: row.name, why })
        };
        Ok(rows.into_iter().find_map(in_the_way))
    }

    /// Lets the bills count no longer of which one in this scope, with lines of these accounts, is a newer version;
    /// `is_delivered` where it is an account's that AWS delivers.
    pub(crate) async fn supersede_versions(
        &mut self,
        scope: &str,
        usage_accounts: &[&str],
        is_delivered: bool,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let update = concat!(
            "UPDATE bill SET superseded_at = $5 WHERE tenant_id = $1 AND id IN (",
            include_str!("../sql/versions_of.sql"),
            ")"
        );
        diesel::sql_query(update)
            .bind::<sql_types::Uuid, _>(self.tenant_id().uuid())
            .bind::<Text, _>(scope)
            .bind::<Array<Text>, _>(usage_accounts)
            .bind::<Bool, _>(is_delivered)
            .bind::<Timestamptz, _>(at)
            .execute(self.conn()?)
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_one_delivery_are_told_by_their_numbers_alone() {
        assert!(are_parts("costlens-00001.snappy.parquet", "costlens-00002.snappy.parquet"));
        assert!(are_parts("report-1.csv.gz", "report-2.csv.gz"));
        assert!(are_parts("part_0_0001.csv", "part_1_0001.csv"));
        assert!(are_parts("costs-000000000000.json.gz", "costs-000000000001.json.gz"));
        assert!(!are_parts("part_0_0001.csv", "part_0_0001.csv"));
        assert!(!are_parts("costlens-00001.csv.gz", "costlens-00001.csv.gz"));
        assert!(!are_parts("october.csv", "november.csv"));
        assert!(!are_parts("acme-00001.csv", "globex-00002.csv"));
        assert!(!are_parts("cur-2026-11-05.csv", "cur-2026-11-12.csv"), "two exports of one month");
        assert!(!are_parts("october-1.csv", "october-2.csv"), "two copies");
    }
}
