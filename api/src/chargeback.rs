//! Chargeback: every dollar of a month, and who it is charged to.

mod rows;
mod views;

use std::sync::Arc;

use costlens_domain::aws::Month;
use costlens_domain::export::{CHARGEBACK_COLUMNS, ExportFormat};
use costlens_store::{Chargeback, ChargebackBy, MonthKey};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::{Binary, Json};
use poem_openapi::{ApiResponse, OpenApi};

pub use views::{
    ChargebackDimension, ChargebackIssuer, ChargebackReport, ChargebackRowKind, ChargebackRowView,
    ChargebackTotals, OtherCurrency,
};

use crate::error::ApiError;
use crate::key_labels::check_name;
use crate::principal::{Caller, Permission};
use crate::settlements::views::CostMeasureView;
use crate::wire::Wire;
use crate::{ApiParts, Tag};

/// The most rows of calls in one answer; what comes after them is one row.
const MOST: u32 = 1_000;

/// A chargeback as a file.
#[derive(ApiResponse)]
pub enum ChargebackFile {
    /// RFC 4180 with a header line.
    #[oai(status = 200, content_type = "text/csv")]
    Csv(
        Binary<String>,
        /// What a browser saves it as.
        #[oai(header = "Content-Disposition")]
        String,
    ),
}

pub(crate) struct ChargebackApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Spend")]
impl ChargebackApi {
    /// Charge a month back
    ///
    /// Every dollar of the month's bills and calls in one row: calls by key, or by what a label of their keys says, and
    /// what the bills have beside calls by its reason. All rows add up to the bills and what is on no bill.
    #[oai(path = "/months/:month/chargeback", method = "get", operation_id = "get_chargeback")]
    async fn get(
        &self,
        caller: Caller,
        /// The month, in UTC.
        month: Path<Wire<Month>>,
        /// To whom.
        #[oai(default)]
        by: Query<ChargebackDimension>,
        /// Which tag, where it is by `tag`.
        tag: Query<Option<String>>,
        /// Which of the bills' costs.
        #[oai(default)]
        measure: Query<CostMeasureView>,
        /// How many rows of calls at most; what comes after them is one row.
        #[oai(default = "default_rows", validator(minimum(value = "1"), maximum(value = "1000")))]
        limit: Query<u32>,
    ) -> Result<Json<ChargebackReport>, ApiError> {
        let tenant = caller.require(Permission::BillsRead)?;
        let key = MonthKey { month: month.0.0.first_day(), measure: measure.0.into() };
        let charged_by = charged_by(by.0, tag.0.as_deref())?;
        let found = self.0.store.tenant(tenant).await?.chargeback(key, &charged_by, limit.0).await?;
        let rows = rows::of(&found);
        Ok(Json(ChargebackReport::of(month.0.0, (by.0, tag.0), measure.0, &found, rows)))
    }

    /// Charge a month back, as CSV
    ///
    /// The same rows as a file, amounts to the last digit.
    #[oai(path = "/months/:month/chargeback/export", method = "get", operation_id = "export_chargeback")]
    async fn export(
        &self,
        caller: Caller,
        /// The month, in UTC.
        month: Path<Wire<Month>>,
        /// To whom.
        #[oai(default)]
        by: Query<ChargebackDimension>,
        /// Which tag, where it is by `tag`.
        tag: Query<Option<String>>,
        /// Which of the bills' costs.
        #[oai(default)]
        measure: Query<CostMeasureView>,
    ) -> Result<ChargebackFile, ApiError> {
        let tenant = caller.require(Permission::BillsRead)?;
        let key = MonthKey { month: month.0.0.first_day(), measure: measure.0.into() };
        let charged_by = charged_by(by.0, tag.0.as_deref())?;
        let found = self.0.store.tenant(tenant).await?.chargeback(key, &charged_by, MOST).await?;
        let name = format!("chargeback-{}-{}.csv", month.0.0, by.0.as_str());
        Ok(ChargebackFile::Csv(Binary(csv(&found)), format!("attachment; filename=\"{name}\"")))
    }
}

/// What the parameters ask for.
fn charged_by(by: ChargebackDimension, tag: Option<&str>) -> Result<ChargebackBy, ApiError> {
    let label = |name: &str| Ok(ChargebackBy::Label(name.to_owned()));
    match (by, tag) {
        (ChargebackDimension::Tag, Some(tag)) => {
            check_name("tag", tag)?;
            label(tag)
        }
        (ChargebackDimension::Tag, None) => Err(ApiError::field("tag", "must say which tag")),
        (_, Some(_)) => Err(ApiError::field("tag", "goes with `by=tag` alone")),
        (ChargebackDimension::Key, None) => Ok(ChargebackBy::Key),
        (ChargebackDimension::Model, None) => Ok(ChargebackBy::Model),
        (ChargebackDimension::Team, None) => label("team"),
        (ChargebackDimension::User, None) => label("user"),
    }
}

fn csv(found: &Chargeback) -> String {
    let format = ExportFormat::Csv;
    let mut text = format.head(&CHARGEBACK_COLUMNS);
    for row in rows::of(found) {
        format.put_row(&CHARGEBACK_COLUMNS, &rows::cells(&row), &mut text);
    }
    text
}

fn default_rows() -> u32 {
    200
}
