//! What is promised, how far it is, and what this very process does about it: for anybody, without signing in.
//!
//! The rows are those of `docs/trust.md`, put into the binary when it is built; what a deployment decides (whom it
//! calls, how long rows are kept, what it limits) is read from the process and its database when it is asked, so that
//! a page cannot say one thing and the process do another.

mod document;
mod facts;
pub mod papers;
pub mod policy;

use std::sync::{Arc, LazyLock};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object, OpenApi};
use tokio::sync::Mutex;

use crate::error::ApiError;
use crate::wire::Wire;
use crate::{ApiParts, Tag};

/// How long what the database says is told again without asking it: nobody needs a credential to ask.
const KEPT: TimeDelta = TimeDelta::minutes(1);

/// How far a promise is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "PromiseState", rename_all = "snake_case")]
pub enum PromiseState {
    /// All of it holds.
    Kept,
    /// What is said holds; more is planned.
    Partly,
    /// Work on it is under way; what holds is said.
    BeingBuilt,
    /// Not there, and so not promised.
    NotBuilt,
}

/// Tests in one file that fail when a promise is broken.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
pub struct Proof {
    /// The file, from the repository's root.
    pub file: String,
    /// The tests' names.
    pub tests: Vec<String>,
}

/// A promise.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
pub struct Promise {
    /// Its number in the list; null for what holds beside the list.
    #[oai(nullable)]
    pub id: Option<String>,
    /// What is promised, in plain words; code and names stand in backquotes.
    pub promise: String,
    /// How far it is.
    pub state: PromiseState,
    /// The modules that keep it.
    pub kept_by: String,
    /// What proves it.
    pub proofs: Vec<Proof>,
    /// Deliberate breakages that those tests must notice, and do.
    pub mutants: Vec<String>,
}

/// Promises that belong together.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
pub struct PromiseArea {
    /// What they are about.
    pub title: String,
    /// The promises.
    pub promises: Vec<Promise>,
}

/// Something that holds in this process.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
pub struct TrustFact {
    /// What it is about.
    pub area: String,
    /// What it is.
    pub name: String,
    /// Its value, with its unit.
    pub value: String,
}

/// How long the rows of a table are kept.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
#[oai(rename = "Retention")]
pub struct RetentionView {
    /// The table.
    pub table: String,
    /// Days behind the moment from which a row is of no more use; null for as long as the account.
    #[oai(nullable)]
    pub keep_days: Option<u32>,
    /// Why.
    pub reason: String,
}

/// Somebody else's service that this process is set up to call.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
pub struct Subprocessor {
    /// Who it is.
    pub name: String,
    /// The host that is called; null where it is one of those that you choose.
    #[oai(nullable)]
    pub host: Option<String>,
    /// What for.
    pub purpose: String,
    /// Which data it gets.
    pub data: String,
    /// Whether nothing goes there unless you ask for it.
    pub your_choice: bool,
}

/// How soon a weakness of this severity is mended.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
pub struct SeverityView {
    /// The severity.
    pub severity: String,
    /// What would be of it.
    pub example: String,
    /// In how many days, from the acknowledgement.
    pub days: u32,
}

/// How to tell of a weakness, or of something on this page that is not so.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
pub struct Reporting {
    /// Where to write.
    pub contact: String,
    /// Within how many hours a report is acknowledged.
    pub acknowledged_within_hours: u32,
    /// How soon it is mended.
    pub severities: Vec<SeverityView>,
}

/// What is promised, and what this process does about it.
#[derive(Clone, Debug, Object)]
pub struct Trust {
    /// The day of the last change of a promise.
    pub last_change: Wire<NaiveDate>,
    /// The version that runs.
    pub version: String,
    /// The promises, and what holds beside them.
    pub areas: Vec<PromiseArea>,
    /// What holds in this process.
    pub facts: Vec<TrustFact>,
    /// How long rows are kept, by the database.
    pub retention: Vec<RetentionView>,
    /// Whom this process is set up to call.
    pub subprocessors: Vec<Subprocessor>,
    /// How to tell of what is wrong.
    pub reporting: Reporting,
}

static DOCUMENT: LazyLock<document::Document> = LazyLock::new(document::read);

pub(crate) struct TrustApi {
    pub(crate) parts: Arc<ApiParts>,
    pub(crate) retention: Mutex<Option<(DateTime<Utc>, Vec<RetentionView>)>>,
}

impl TrustApi {
    pub(crate) fn new(parts: &Arc<ApiParts>) -> Self {
        Self { parts: Arc::clone(parts), retention: Mutex::new(None) }
    }

    /// What the database says, at most a minute old. One caller asks; the others wait for its answer.
    async fn retention(&self) -> Result<Vec<RetentionView>, ApiError> {
        let now = self.parts.clock.now();
        let mut kept = self.retention.lock().await;
        if let Some((at, rows)) = &*kept
            && (TimeDelta::zero()..KEPT).contains(&(now - *at))
        {
            return Ok(rows.clone());
        }
        let rows = self.parts.store.system().await?.retention_of_all().await?;
        let rows: Vec<_> = rows
            .into_iter()
            .map(|rule| RetentionView { table: rule.table, keep_days: rule.keep_days, reason: rule.reason })
            .collect();
        *kept = Some((now, rows.clone()));
        Ok(rows)
    }
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Trust")]
impl TrustApi {
    /// What is promised
    ///
    /// For anybody, without signing in: each promise with what keeps and what proves it, and what this deployment does
    /// about it.
    #[oai(path = "/trust", method = "get", operation_id = "get_trust")]
    async fn get(&self) -> Result<Json<Trust>, ApiError> {
        let policy = policy::policy();
        Ok(Json(Trust {
            last_change: Wire(DOCUMENT.last_change),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            areas: DOCUMENT.areas.clone(),
            facts: facts::facts(&self.parts),
            retention: self.retention().await?,
            subprocessors: facts::subprocessors(&self.parts),
            reporting: Reporting {
                contact: policy.contact.clone(),
                acknowledged_within_hours: policy.acknowledged_within_hours,
                severities: policy.severities.clone(),
            },
        }))
    }
}
