//! Vendors' own cost reports: a source made, asked, given another key, ended.
//!
//! No call here reaches a vendor: it writes a row and asks for a job, which reads. The admin key goes in and never comes
//! out; its last characters tell its people which it is.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use costlens_domain::audit::Action;
use costlens_domain::aws::Month;
use costlens_domain::invoices::{AdminKey, InvoiceVendor, Refusal};
use costlens_domain::{BillId, InvoiceSourceId, ProblemCode, TenantId};
use costlens_jobs::invoices::ask_to_fetch;
use costlens_store::{
    InvoiceMonth, InvoiceProblem, InvoiceSource, InvoiceSourceState, NewInvoiceSource, TenantConn,
};
use costlens_vault::SealedFor;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use serde_json::json;

use crate::error::ApiError;
use crate::idempotent::{self, Claimed};
use crate::page::{Page, default_limit};
use crate::principal::{Caller, Permission};
use crate::wire::Wire;
use crate::{ApiParts, Tag, sealing};

/// The most sources that a tenant may have.
const MOST: usize = 20;
/// How many months a source shows, newest first.
const MONTHS: u32 = 24;

/// Who bills.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "InvoiceVendor", rename_all = "snake_case", remote = "InvoiceVendor")]
pub enum InvoiceVendorView {
    /// Anthropic, for the Claude API.
    Anthropic,
    /// OpenAI, for its API.
    #[oai(rename = "openai")]
    OpenAi,
}

/// How a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "InvoiceSourceState", rename_all = "snake_case", remote = "InvoiceSourceState")]
pub enum InvoiceSourceStateView {
    /// The vendor was not asked yet with this key; it is asked at once.
    Pending,
    /// The reports are read once a day.
    Active,
    /// Nothing is read until it is resumed.
    Paused,
    /// They cannot be read: `problem` says why. It is tried again by itself, ever more seldom.
    Failing,
    /// It was ended, and its key is gone. What was read stays.
    Revoked,
}

/// What is wrong.
#[derive(Object)]
#[oai(rename = "InvoiceProblem")]
pub struct InvoiceProblemView {
    /// A stable name, such as `key_refused`, `access_denied`, `organisation_connected`, `report_unreadable` or
    /// `vendor_away`.
    pub code: String,
    /// What happened.
    pub detail: String,
    /// What can be done about it.
    pub remedy: String,
}

impl From<InvoiceProblem> for InvoiceProblemView {
    fn from(problem: InvoiceProblem) -> Self {
        let remedy = Refusal::from_name(&problem.code).map_or("", Refusal::remedy).to_owned();
        Self { code: problem.code, detail: problem.detail, remedy }
    }
}

/// A month of a source.
#[derive(Object)]
#[oai(rename = "InvoiceMonth")]
pub struct InvoiceMonthView {
    /// Which it is.
    pub month: Wire<Month>,
    /// The bill that counts; null where the vendor billed nothing so far.
    #[oai(nullable)]
    pub bill_id: Option<Wire<BillId>>,
    /// Why the vendor's last answers became no bill; null while they did. The bill before them counts on.
    #[oai(nullable)]
    pub problem: Option<InvoiceProblemView>,
    /// When it was last read to an end.
    #[oai(nullable)]
    pub read_at: Option<DateTime<Utc>>,
    /// When that last changed what counts.
    #[oai(nullable)]
    pub changed_at: Option<DateTime<Utc>>,
}

impl From<InvoiceMonth> for InvoiceMonthView {
    fn from(month: InvoiceMonth) -> Self {
        Self {
            month: Wire(month.month),
            bill_id: month.bill_id.map(Wire),
            problem: month.problem.map(Into::into),
            read_at: month.read_at,
            changed_at: month.changed_at,
        }
    }
}

/// A vendor whose own cost reports are read.
#[derive(Object)]
#[oai(rename = "InvoiceSource")]
pub struct InvoiceSourceView {
    /// The source.
    pub id: Wire<InvoiceSourceId>,
    /// Who bills.
    pub vendor: InvoiceVendorView,
    /// What its people call it.
    pub name: String,
    /// The admin key's last characters.
    pub key_hint: String,
    /// Whose reports these are, by the vendor's own word; null where it tells none, or was not asked yet.
    #[oai(nullable)]
    pub organisation: Option<String>,
    /// How it is.
    pub state: InvoiceSourceStateView,
    /// What is wrong; null while nothing is.
    #[oai(nullable)]
    pub problem: Option<InvoiceProblemView>,
    /// When the vendor is asked next; null while paused or revoked.
    #[oai(nullable)]
    pub next_fetch_at: Option<DateTime<Utc>>,
    /// When all of it was read last.
    #[oai(nullable)]
    pub fetched_at: Option<DateTime<Utc>>,
    /// Its months, newest first.
    pub months: Vec<InvoiceMonthView>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When its people ended it.
    #[oai(nullable)]
    pub revoked_at: Option<DateTime<Utc>>,
}

/// A source to be made.
#[derive(Object)]
pub struct CreateInvoiceSource {
    /// Who bills.
    pub vendor: InvoiceVendorView,
    /// What its people call it.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub name: String,
    /// An admin key of the organisation. It is sealed before it is stored and never given out again.
    #[oai(validator(min_length = 1, max_length = 1024))]
    pub admin_key: String,
}

/// Another key for a source.
#[derive(Object)]
pub struct ReplaceInvoiceKey {
    /// An admin key of the same organisation. The one before it is forgotten.
    #[oai(validator(min_length = 1, max_length = 1024))]
    pub admin_key: String,
}

/// A source was made.
#[derive(ApiResponse)]
pub enum InvoiceSourceCreated {
    /// The source. The vendor is asked at once: `state` tells how that went.
    #[oai(status = 201)]
    Created(Json<InvoiceSourceView>),
}

/// A vendor will be asked.
#[derive(ApiResponse)]
pub enum InvoiceSourceTested {
    /// Ask for the source until `fetched_at` has moved, or `problem` says why not.
    #[oai(status = 202)]
    Accepted(Json<InvoiceSourceView>),
}

/// A source was ended.
#[derive(ApiResponse)]
pub enum InvoiceSourceRevoked {
    /// Nothing is read any more, and the key is gone. The months that were read stay.
    #[oai(status = 204)]
    Revoked,
}

pub(crate) struct InvoiceSourcesApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Bills")]
impl InvoiceSourcesApi {
    /// List the vendors whose own cost reports are read
    ///
    /// Newest first, revoked ones included.
    #[oai(path = "/invoice-sources", method = "get", operation_id = "list_invoice_sources")]
    async fn list(
        &self,
        caller: Caller,
        /// How many at most.
        #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<Wire<InvoiceSourceId>>>,
    ) -> Result<Json<Page<InvoiceSourceView>>, ApiError> {
        let tenant = caller.require(Permission::BillsRead)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let found = conn.list_invoice_sources(cursor.0.map(|id| id.0), limit.0.saturating_add(1)).await?;
        let mut views = Vec::with_capacity(found.len());
        for source in found {
            views.push(view(&mut conn, source).await?);
        }
        Ok(Json(Page::of(views, limit.0, |one| one.id.0.to_string(), |one| one)))
    }

    /// Read a vendor's own cost reports
    ///
    /// From now on the month that runs and the one before it are read once a day, so that calls which never touch AWS are
    /// billed here, too. A key that makes calls is refused: the reports want an admin key.
    #[oai(path = "/invoice-sources", method = "post", operation_id = "create_invoice_source")]
    async fn create(
        &self,
        caller: Caller,
        /// The same key and body have one effect.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Json<CreateInvoiceSource>,
    ) -> Result<InvoiceSourceCreated, ApiError> {
        let tenant = caller.require(Permission::ConnectionsWrite)?;
        let vendor = InvoiceVendor::from(body.0.vendor);
        let key = admin_key(vendor, &body.0.admin_key)?;
        let name = body.0.name.trim();
        if name.is_empty() || name.chars().any(char::is_control) {
            return Err(ApiError::field("name", "must have letters, and no control characters"));
        }
        let now = self.0.clock.now();
        sealing::ready(&self.0, tenant).await?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let operation = "create_invoice_source";
        let idempotency_key = idempotency_key.0.as_ref();
        let claim =
            match idempotent::claim((&mut conn, &self.0.keyring), operation, idempotency_key, &body.0, now)
                .await?
            {
                Claimed::First(claim) => claim,
                Claimed::Again(answer) => {
                    return Ok(InvoiceSourceCreated::Created(Json(idempotent::again(&answer)?)));
                }
            };
        let live = conn.list_invoice_sources(None, 1_000).await?;
        if live.iter().filter(|one| one.state != InvoiceSourceState::Revoked).count() >= MOST {
            let detail = format!("an organisation has {MOST} sources of vendors' reports at most");
            return Err(ApiError::new(ProblemCode::LimitReached, detail));
        }
        let id = InvoiceSourceId::new(now, self.0.entropy.for_id());
        let place = sealed_for(tenant, id);
        let sealed_key = sealing::seal(&self.0, &mut conn, &place, key.reveal(), now).await?;
        let new = NewInvoiceSource {
            id,
            vendor,
            name: name.to_owned(),
            sealed_key,
            key_hint: key.hint().to_owned(),
            created_at: now,
        };
        let made = conn.create_invoice_source(&new).await?;
        ask_to_fetch(&mut conn, id, now).await?;
        self.wrote(&caller, &mut conn, Action::InvoiceSourceCreated, &made).await?;
        let view = view(&mut conn, made).await?;
        claim.finish(&mut conn, &view).await?;
        conn.commit().await?;
        Ok(InvoiceSourceCreated::Created(Json(view)))
    }

    /// Get one source of a vendor's reports
    #[oai(path = "/invoice-sources/:id", method = "get", operation_id = "get_invoice_source")]
    async fn get(
        &self,
        caller: Caller,
        id: Path<Wire<InvoiceSourceId>>,
    ) -> Result<Json<InvoiceSourceView>, ApiError> {
        let tenant = caller.require(Permission::BillsRead)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let found = conn.invoice_source(id.0.0).await?;
        Ok(Json(view(&mut conn, found).await?))
    }

    /// Ask a vendor for its reports now
    #[oai(path = "/invoice-sources/:id/test", method = "post", operation_id = "test_invoice_source")]
    async fn test(
        &self,
        caller: Caller,
        id: Path<Wire<InvoiceSourceId>>,
    ) -> Result<InvoiceSourceTested, ApiError> {
        let (mut conn, found) = self.changing(&caller, id.0.0).await?;
        let now = self.0.clock.now();
        if !conn.hasten_invoice_fetch(found.id, now).await? {
            return Err(at_rest(&found));
        }
        // However often it is asked for, a tenant's readings are done one at a time.
        ask_to_fetch(&mut conn, found.id, now).await?;
        let told = conn.invoice_source(found.id).await?;
        let view = view(&mut conn, told).await?;
        self.wrote(&caller, &mut conn, Action::InvoiceSourceTested, &found).await?;
        conn.commit().await?;
        Ok(InvoiceSourceTested::Accepted(Json(view)))
    }

    /// Replace the key to a vendor's reports
    ///
    /// The vendor is asked with the new one at once, unless the source is paused. The old one is forgotten here; at the
    /// vendor it lasts until somebody deletes it there.
    #[oai(path = "/invoice-sources/:id/key", method = "put", operation_id = "replace_invoice_key")]
    async fn replace_key(
        &self,
        caller: Caller,
        id: Path<Wire<InvoiceSourceId>>,
        body: Json<ReplaceInvoiceKey>,
    ) -> Result<Json<InvoiceSourceView>, ApiError> {
        let tenant = caller.require(Permission::ConnectionsWrite)?;
        sealing::ready(&self.0, tenant).await?;
        let (mut conn, found) = self.changing(&caller, id.0.0).await?;
        if found.state == InvoiceSourceState::Revoked {
            return Err(at_rest(&found));
        }
        let key = admin_key(found.vendor, &body.0.admin_key)?;
        let now = self.0.clock.now();
        let place = sealed_for(tenant, found.id);
        let sealed = sealing::seal(&self.0, &mut conn, &place, key.reveal(), now).await?;
        let replaced = conn.replace_invoice_key(&found, (&sealed, key.hint()), now).await?;
        if !replaced.state.is_at_rest() {
            ask_to_fetch(&mut conn, found.id, now).await?;
        }
        self.wrote(&caller, &mut conn, Action::InvoiceSourceKeyReplaced, &replaced).await?;
        let view = view(&mut conn, replaced).await?;
        conn.commit().await?;
        Ok(Json(view))
    }

    /// Pause reading a vendor's reports
    ///
    /// Nothing is read until it is resumed. What was read stays.
    #[oai(path = "/invoice-sources/:id/pause", method = "post", operation_id = "pause_invoice_source")]
    async fn pause(
        &self,
        caller: Caller,
        id: Path<Wire<InvoiceSourceId>>,
    ) -> Result<Json<InvoiceSourceView>, ApiError> {
        let (mut conn, found) = self.changing(&caller, id.0.0).await?;
        match found.state {
            InvoiceSourceState::Paused => Ok(Json(view(&mut conn, found).await?)),
            InvoiceSourceState::Revoked => Err(at_rest(&found)),
            _ => {
                let to = (InvoiceSourceState::Paused, Action::InvoiceSourcePaused);
                self.moved(&caller, conn, &found, to).await
            }
        }
    }

    /// Resume reading a vendor's reports
    #[oai(path = "/invoice-sources/:id/resume", method = "post", operation_id = "resume_invoice_source")]
    async fn resume(
        &self,
        caller: Caller,
        id: Path<Wire<InvoiceSourceId>>,
    ) -> Result<Json<InvoiceSourceView>, ApiError> {
        let (mut conn, found) = self.changing(&caller, id.0.0).await?;
        match found.state {
            InvoiceSourceState::Paused => {
                let to = (InvoiceSourceState::Pending, Action::InvoiceSourceResumed);
                self.moved(&caller, conn, &found, to).await
            }
            InvoiceSourceState::Revoked => Err(at_rest(&found)),
            _ => Ok(Json(view(&mut conn, found).await?)),
        }
    }

    /// End reading a vendor's reports
    ///
    /// Nothing is read any more, and the key is gone from here. The months that were read stay. Doing it again changes
    /// nothing.
    #[oai(path = "/invoice-sources/:id", method = "delete", operation_id = "revoke_invoice_source")]
    async fn revoke(
        &self,
        caller: Caller,
        id: Path<Wire<InvoiceSourceId>>,
    ) -> Result<InvoiceSourceRevoked, ApiError> {
        let (conn, found) = self.changing(&caller, id.0.0).await?;
        if found.state != InvoiceSourceState::Revoked {
            let to = (InvoiceSourceState::Revoked, Action::InvoiceSourceRevoked);
            self.moved(&caller, conn, &found, to).await?;
        }
        Ok(InvoiceSourceRevoked::Revoked)
    }
}

impl InvoiceSourcesApi {
    /// The source, locked, for whoever may change it.
    async fn changing(
        &self,
        caller: &Caller,
        id: InvoiceSourceId,
    ) -> Result<(TenantConn, InvoiceSource), ApiError> {
        let tenant = caller.require(Permission::ConnectionsWrite)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let found = conn.lock_invoice_source(id).await?;
        Ok((conn, found))
    }

    async fn wrote(
        &self,
        caller: &Caller,
        conn: &mut TenantConn,
        action: Action,
        source: &InvoiceSource,
    ) -> Result<(), ApiError> {
        let change =
            json!({ "vendor": source.vendor.as_str(), "name": source.name, "key_hint": source.key_hint });
        let target = (action, Some(source.id.to_string()));
        Ok(caller.principal().by().did(&self.0, conn, target, change).await?)
    }

    async fn moved(
        &self,
        caller: &Caller,
        mut conn: TenantConn,
        found: &InvoiceSource,
        (state, action): (InvoiceSourceState, Action),
    ) -> Result<Json<InvoiceSourceView>, ApiError> {
        let now = self.0.clock.now();
        let moved = conn.set_invoice_source(found.id, state, now).await?;
        if !state.is_at_rest() {
            ask_to_fetch(&mut conn, found.id, now).await?;
        }
        self.wrote(caller, &mut conn, action, found).await?;
        let view = view(&mut conn, moved).await?;
        conn.commit().await?;
        Ok(Json(view))
    }
}

async fn view(conn: &mut TenantConn, source: InvoiceSource) -> Result<InvoiceSourceView, ApiError> {
    let months = conn.invoice_months(source.id, MONTHS).await?;
    Ok(InvoiceSourceView {
        id: Wire(source.id),
        vendor: source.vendor.into(),
        name: source.name,
        key_hint: source.key_hint,
        organisation: source.organisation,
        state: source.state.into(),
        problem: source.problem.map(Into::into),
        next_fetch_at: source.next_fetch_at,
        fetched_at: source.fetched_at,
        months: months.into_iter().map(Into::into).collect(),
        created_at: source.created_at,
        revoked_at: source.revoked_at,
    })
}

const fn sealed_for(tenant: TenantId, id: InvoiceSourceId) -> SealedFor<'static> {
    SealedFor { tenant, table: "invoice_source", column: "sealed_key", row: id.uuid() }
}

/// Only what can open the reports is kept: the refusal does not repeat the text.
fn admin_key(vendor: InvoiceVendor, text: &str) -> Result<AdminKey, ApiError> {
    AdminKey::parse(vendor, text).map_err(|bad| ApiError::field("admin_key", &bad.to_string()))
}

fn at_rest(source: &InvoiceSource) -> ApiError {
    let detail = format!("the source is {}", source.state.as_str());
    ApiError::new(ProblemCode::Conflict, detail)
}
