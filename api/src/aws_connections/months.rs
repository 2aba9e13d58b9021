//! What a connected account delivered: its months, and the versions that AWS made of each.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use costlens_domain::aws::{Change, Finality, Month};
use costlens_domain::bill::ControlTotal;
use costlens_domain::{AwsConnectionId, BillDeliveryId, BillId, Currency};
use costlens_store::{Bill, BillDelivery, BillMonth, BillMonthState};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object, OpenApi};

use super::views::AwsProblemView;
use crate::bills::uploads::UploadProgressView;
use crate::error::ApiError;
use crate::page::{Page, default_limit};
use crate::principal::{Caller, Permission};
use crate::wire::{Exact, Wire};
use crate::{ApiParts, Tag};

/// How a month is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "BillMonthState", rename_all = "snake_case", remote = "BillMonthState")]
pub enum BillMonthStateView {
    /// A delivery was seen and waits to be read.
    Waiting,
    /// It is being read.
    Reading,
    /// The newest delivery counts.
    Current,
    /// The newest delivery could not be read; the one before it counts, if there is one.
    Failed,
}

/// How final a delivery's figures are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "BillFinality", rename_all = "snake_case", remote = "Finality")]
pub enum FinalityView {
    /// The month runs: more is to come.
    Open,
    /// The month is over, and AWS still adds to it.
    Closing,
    /// All of its lines with a cost name their invoice, or two weeks have passed.
    Invoiced,
    /// AWS changed it after that.
    Restated,
}

/// A month of a connected account.
#[derive(Object)]
#[oai(rename = "BillMonth")]
pub struct BillMonthView {
    /// The month.
    pub month: Wire<Month>,
    /// How it is.
    pub state: BillMonthStateView,
    /// How far the reading is; null while nothing is read.
    #[oai(nullable)]
    pub progress: Option<UploadProgressView>,
    /// Why the newest delivery does not count; null while nothing is wrong.
    #[oai(nullable)]
    pub problem: Option<AwsProblemView>,
    /// The delivery that counts; null before the first.
    #[oai(nullable)]
    pub delivery: Option<BillDeliveryView>,
    /// What is odd about the delivery that counts, although all of it was read.
    pub notices: Vec<BillNotice>,
    /// When something last changed.
    pub updated_at: DateTime<Utc>,
}

/// What can be odd about a bill that was read whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum BillNoticeCode {
    /// It has line-item types that no rule knows. Their cost is kept as billed.
    UnknownLineTypes,
    /// It has AI in currencies that calls are not settled in.
    OtherCurrencies,
}

/// Something odd about a bill that was read whole.
#[derive(Object)]
pub struct BillNotice {
    /// What it is.
    pub code: BillNoticeCode,
    /// The line-item types, or the currencies.
    pub found: Vec<String>,
    /// What that means.
    pub detail: String,
}

/// What is odd about a bill.
fn notices(bill: &Bill, totals: &[ControlTotal]) -> Vec<BillNotice> {
    let types: BTreeSet<&str> = bill.unknown_line_types.iter().map(String::as_str).collect();
    let of_ai = totals.iter().filter(|total| !total.ai.is_zero());
    let mut currencies: BTreeSet<&str> = of_ai.map(|total| total.currency.as_str()).collect();
    currencies.remove(Currency::USD.as_str());
    let notice = |code, found: BTreeSet<&str>, says: &str| {
        let detail = format!("{says}: {}.", found.iter().copied().collect::<Vec<_>>().join(", "));
        let found = found.into_iter().map(str::to_owned).collect::<Vec<_>>();
        (!found.is_empty()).then_some(BillNotice { code, found, detail })
    };
    let types = notice(
        BillNoticeCode::UnknownLineTypes,
        types,
        "Line-item types without a rule of their own, kept as billed",
    );
    let currencies = notice(
        BillNoticeCode::OtherCurrencies,
        currencies,
        "Currencies that are shown apart and in which no call is settled",
    );
    types.into_iter().chain(currencies).collect()
}

/// What a delivery changed of one line-item type, in one currency.
#[derive(Object)]
pub struct BillChange {
    /// The line-item type, as the bill writes it.
    pub line_item_type: String,
    /// What the amounts count.
    pub currency: Wire<Currency>,
    /// The older delivery's sum.
    pub before: Wire<Exact>,
    /// The newer one's.
    pub after: Wire<Exact>,
    /// How much more that is.
    pub by: Wire<Exact>,
}

impl From<Change> for BillChange {
    fn from(change: Change) -> Self {
        let by = change.by();
        Self {
            line_item_type: change.line_item_type.to_string(),
            currency: Wire(change.currency),
            before: Wire(Exact(change.before)),
            after: Wire(Exact(change.after)),
            by: Wire(Exact(by)),
        }
    }
}

/// One version of a month's bill, as AWS delivered it.
#[derive(Object)]
#[oai(rename = "BillDelivery")]
pub struct BillDeliveryView {
    /// The delivery.
    pub id: Wire<BillDeliveryId>,
    /// The month.
    pub month: Wire<Month>,
    /// The bill that it became. Of one that no longer counts the totals are kept.
    pub bill_id: Wire<BillId>,
    /// How final its figures are.
    pub finality: FinalityView,
    /// How many files it has.
    pub files: u32,
    /// And bytes.
    pub size_bytes: u64,
    /// What it changed against the delivery before it, in a sentence; null where nothing changed or none was before.
    #[oai(nullable)]
    pub change: Option<String>,
    /// The same by line-item type and currency.
    pub changes: Vec<BillChange>,
    /// The delivery before it; null for the first.
    #[oai(nullable)]
    pub previous_id: Option<Wire<BillDeliveryId>>,
    /// When it was stored.
    pub created_at: DateTime<Utc>,
}

impl BillDeliveryView {
    /// As of a day. The delivery that counts grows final by the calendar; one that was superseded is as final as it got.
    fn of(delivery: BillDelivery, counts: Option<BillDeliveryId>, today: NaiveDate) -> Self {
        let finality = if counts == Some(delivery.id) {
            delivery.finality.as_of(delivery.month, today)
        } else {
            delivery.finality
        };
        Self {
            id: Wire(delivery.id),
            month: Wire(delivery.month),
            bill_id: Wire(delivery.bill_id),
            finality: finality.into(),
            files: delivery.files,
            size_bytes: delivery.bytes,
            change: delivery.change,
            changes: delivery.changes.into_iter().map(Into::into).collect(),
            previous_id: delivery.previous.map(Wire),
            created_at: delivery.created_at,
        }
    }
}

/// A connected account's months.
#[derive(Object)]
pub struct BillMonths {
    /// The months, newest first.
    pub items: Vec<BillMonthView>,
}

pub(crate) struct BillMonthsApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Bills")]
impl BillMonthsApi {
    /// List the months of a connected AWS account
    ///
    /// Newest first: what was delivered, how far it is read, and which delivery counts.
    #[oai(path = "/aws-connections/:id/months", method = "get", operation_id = "list_bill_months")]
    async fn list(
        &self,
        caller: Caller,
        id: Path<Wire<AwsConnectionId>>,
    ) -> Result<Json<BillMonths>, ApiError> {
        let tenant = caller.require(Permission::BillsRead)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        // Another tenant's connection is not found, rather than found empty.
        let connection = conn.aws_connection(id.0.0).await?;
        let today = self.0.clock.now().date_naive();
        let mut items = Vec::new();
        for month in conn.bill_months(connection.id).await? {
            let delivery = match month.delivery {
                Some(id) => Some(conn.bill_delivery(id).await?),
                None => None,
            };
            let notices = match &delivery {
                Some(delivery) => {
                    notices(&conn.bill(delivery.bill_id).await?, &conn.bill_totals(delivery.bill_id).await?)
                }
                None => Vec::new(),
            };
            let delivery = delivery.map(|one| BillDeliveryView::of(one, month.delivery, today));
            items.push(view(month, delivery, notices));
        }
        Ok(Json(BillMonths { items }))
    }

    /// List the deliveries of a month
    ///
    /// Newest first, each with what it changed.
    #[oai(
        path = "/aws-connections/:id/months/:month/deliveries",
        method = "get",
        operation_id = "list_bill_deliveries"
    )]
    async fn deliveries(
        &self,
        caller: Caller,
        id: Path<Wire<AwsConnectionId>>,
        month: Path<Wire<Month>>,
        /// How many at most.
        #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<Wire<BillDeliveryId>>>,
    ) -> Result<Json<Page<BillDeliveryView>>, ApiError> {
        let tenant = caller.require(Permission::BillsRead)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let month = conn.bill_month(id.0.0, month.0.0).await?;
        let after = cursor.0.map(|id| id.0);
        let limit = limit.0;
        let found =
            conn.list_bill_deliveries(month.connection, month.month, after, limit.saturating_add(1)).await?;
        let today = self.0.clock.now().date_naive();
        let view = |delivery| BillDeliveryView::of(delivery, month.delivery, today);
        Ok(Json(Page::of(found, limit, |delivery| delivery.id.to_string(), view)))
    }
}

fn view(month: BillMonth, delivery: Option<BillDeliveryView>, notices: Vec<BillNotice>) -> BillMonthView {
    let is_read = month.state == BillMonthState::Reading;
    let progress = month
        .progress
        .filter(|_| is_read)
        .map(|told| UploadProgressView { step: told.step, permille: told.permille });
    BillMonthView {
        month: Wire(month.month),
        state: month.state.into(),
        progress,
        problem: month.problem.map(Into::into),
        delivery,
        notices,
        updated_at: month.updated_at,
    }
}
