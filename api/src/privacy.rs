//! What the account lets be kept of prompts and answers, and for how long.

use std::sync::Arc;

use chrono::{Days, NaiveDate};
use costlens_domain::audit::Action;
use costlens_domain::privacy::{BodyClass, FOREVER_FLOOR_DAYS, PrivacySettings};
use costlens_domain::{ApiKeyId, ProblemCode};
use costlens_store::{BodyCount, TenantConn};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object, OpenApi};
use serde_json::json;

use crate::error::ApiError;
use crate::principal::{Caller, Permission};
use crate::wire::Wire;
use crate::{ApiParts, Tag};

/// How long prompts and answers are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "BodyRetention")]
pub enum BodyRetention {
    /// Seven days.
    #[oai(rename = "7d")]
    Week,
    /// Thirty days.
    #[oai(rename = "30d")]
    Month,
    /// Ninety days.
    #[oai(rename = "90d")]
    Quarter,
    /// A year.
    #[oai(rename = "365d")]
    Year,
    /// For ever; at least thirty days where the operator has set an end to that.
    #[oai(rename = "forever")]
    Forever,
}

impl From<BodyRetention> for BodyClass {
    fn from(retention: BodyRetention) -> Self {
        match retention {
            BodyRetention::Week => Self::Week,
            BodyRetention::Month => Self::Month,
            BodyRetention::Quarter => Self::Quarter,
            BodyRetention::Year => Self::Year,
            BodyRetention::Forever => Self::Forever,
        }
    }
}

impl From<BodyClass> for BodyRetention {
    fn from(class: BodyClass) -> Self {
        match class {
            BodyClass::Week => Self::Week,
            BodyClass::Month => Self::Month,
            BodyClass::Quarter => Self::Quarter,
            BodyClass::Year => Self::Year,
            BodyClass::Forever => Self::Forever,
        }
    }
}

/// What the account lets be kept.
#[derive(Object)]
#[oai(rename = "Privacy")]
pub struct PrivacyView {
    /// Whether prompts and answers are kept, sealed; off until somebody says otherwise.
    pub capture_bodies: bool,
    /// Zero Data Retention for every key: nothing of prompts and answers is kept, whatever else is said.
    pub zero_retention: bool,
    /// Whether personal data is taken out of what is kept. Providers get the original.
    pub redact: bool,
    /// How long prompts and answers are kept. What calls used and cost is kept for ever.
    pub body_retention: BodyRetention,
    /// After how many days the operator of this service lets go of what is kept `forever`; null if never.
    #[oai(nullable)]
    pub forever_ends_after_days: Option<u32>,
    /// What is kept `forever` is kept at least so many days.
    pub forever_floor_days: u32,
    /// Private hosts that connections may lead to, as the operator of this service allows them.
    pub private_hosts: Vec<String>,
}

/// What is to change. What is absent stays.
#[derive(Object)]
pub struct UpdatePrivacy {
    /// Keep prompts and answers, sealed.
    #[oai(default, skip_serializing_if_is_none)]
    pub capture_bodies: Option<bool>,
    /// Zero Data Retention for every key.
    #[oai(default, skip_serializing_if_is_none)]
    pub zero_retention: Option<bool>,
    /// Take personal data out of what is kept.
    #[oai(default, skip_serializing_if_is_none)]
    pub redact: Option<bool>,
    /// How long prompts and answers are kept. A shorter time than before also ends what is kept already, with the next
    /// nightly purge: see what that would remove before.
    #[oai(default, skip_serializing_if_is_none)]
    pub body_retention: Option<BodyRetention>,
}

/// What the next nightly purge would remove.
#[derive(Object)]
pub struct BodyPurge {
    /// How long prompts and answers would be kept.
    pub body_retention: BodyRetention,
    /// Of how many calls prompt and answer would be removed for it that are kept for longer now.
    pub bodies: u64,
    /// The first day of such a call; null where there is none.
    #[oai(nullable)]
    pub oldest: Option<Wire<NaiveDate>>,
    /// The last day of such a call.
    #[oai(nullable)]
    pub newest: Option<Wire<NaiveDate>>,
}

/// The end of a key's prompts and answers.
#[derive(Object)]
pub struct DestroyedBodies {
    /// How many data keys were destroyed; what they sealed cannot be read any more, in no backup that holds no keys either.
    pub data_keys: u32,
}

pub(crate) struct PrivacyApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Privacy")]
impl PrivacyApi {
    /// Get what is kept of prompts and answers
    #[oai(path = "/privacy", method = "get", operation_id = "get_privacy")]
    async fn get(&self, caller: Caller) -> Result<Json<PrivacyView>, ApiError> {
        let tenant = caller.require(Permission::SettingsRead)?;
        let settings = self.0.store.tenant(tenant).await?.privacy().await?;
        Ok(Json(self.view(settings)))
    }

    /// Change what is kept of prompts and answers
    ///
    /// Holds for every call that comes in later than a second after, on every proxy. Each call goes by what held when
    /// it came in. Keeping more, for longer or without redaction wants a fresh proof of who asks.
    #[oai(path = "/privacy", method = "patch", operation_id = "update_privacy")]
    async fn update(&self, caller: Caller, body: Json<UpdatePrivacy>) -> Result<Json<PrivacyView>, ApiError> {
        let tenant = caller.require(Permission::SettingsWrite)?;
        let now = self.0.clock.now();
        let mut conn = self.0.store.tenant(tenant).await?;
        let old = conn.privacy_to_change(now).await?;
        let new = PrivacySettings {
            capture_bodies: body.0.capture_bodies.unwrap_or(old.capture_bodies),
            zero_retention: body.0.zero_retention.unwrap_or(old.zero_retention),
            redact: body.0.redact.unwrap_or(old.redact),
            body_class: body.0.body_retention.map_or(old.body_class, Into::into),
        };
        if new.is_looser_than(old) {
            caller.principal().require_fresh(Permission::SettingsWrite)?;
        }
        if new != old {
            conn.put_privacy(&new, now).await?;
            let told = |settings: PrivacySettings| {
                json!({
                    "capture_bodies": settings.capture_bodies,
                    "zero_retention": settings.zero_retention,
                    "redact": settings.redact,
                    "body_retention": settings.body_class.as_str(),
                })
            };
            let change = json!({ "from": told(old), "to": told(new) });
            caller.principal().by().did(&self.0, &mut conn, (Action::PrivacyChanged, None), change).await?;
            conn.commit().await?;
        }
        Ok(Json(self.view(new)))
    }

    /// See what a shorter retention would remove
    ///
    /// Nothing is changed by it.
    #[oai(path = "/privacy/purge-preview", method = "get", operation_id = "preview_body_purge")]
    async fn preview(
        &self,
        caller: Caller,
        /// For how long prompts and answers would be kept.
        body_retention: Query<BodyRetention>,
    ) -> Result<Json<BodyPurge>, ApiError> {
        let tenant = caller.require(Permission::SettingsRead)?;
        let wanted = BodyClass::from(body_retention.0);
        let mut conn = self.0.store.tenant(tenant).await?;
        let BodyCount { bodies, oldest, newest } = self.shortened(&mut conn, wanted).await?;
        Ok(Json(BodyPurge {
            body_retention: body_retention.0,
            bodies,
            oldest: oldest.map(Wire),
            newest: newest.map(Wire),
        }))
    }

    /// Destroy a key's prompts and answers
    ///
    /// The data keys of this API key are destroyed: what is kept of its calls so far cannot be read any more, from this
    /// moment on and in no backup that holds no keys either. What the calls used and cost stays. The key goes on working.
    #[oai(path = "/keys/:id/bodies", method = "delete", operation_id = "destroy_key_bodies")]
    async fn destroy(
        &self,
        caller: Caller,
        id: Path<Wire<ApiKeyId>>,
    ) -> Result<Json<DestroyedBodies>, ApiError> {
        let tenant = caller.principal().require_fresh(Permission::BodiesDestroy)?;
        let now = self.0.clock.now();
        let mut conn = self.0.store.tenant(tenant).await?;
        let key = conn.key(id.0.0).await?;
        let destroyed = conn.destroy_subject_keys(key.id, now).await?;
        if destroyed > 0 {
            let target = (Action::BodiesDestroyed, Some(key.id.to_string()));
            let change = json!({ "name": key.name, "data_keys": destroyed });
            caller.principal().by().did(&self.0, &mut conn, target, change).await?;
            conn.commit().await?;
        }
        Ok(Json(DestroyedBodies { data_keys: u32::try_from(destroyed).unwrap_or(u32::MAX) }))
    }
}

impl PrivacyApi {
    fn view(&self, settings: PrivacySettings) -> PrivacyView {
        PrivacyView {
            capture_bodies: settings.capture_bodies,
            zero_retention: settings.zero_retention,
            redact: settings.redact,
            body_retention: settings.body_class.into(),
            forever_ends_after_days: BodyClass::Forever.days(self.0.forever_body_days),
            forever_floor_days: FOREVER_FLOOR_DAYS,
            private_hosts: self.0.egress_policy.allow_private.iter().map(ToString::to_string).collect(),
        }
    }

    /// What is kept under a longer class and past its time under this one.
    async fn shortened(&self, conn: &mut TenantConn, wanted: BodyClass) -> Result<BodyCount, ApiError> {
        let Some(days) = wanted.days(self.0.forever_body_days) else { return Ok(BodyCount::default()) };
        let before = self.0.clock.now().date_naive().checked_sub_days(Days::new(u64::from(days)));
        let before = before.ok_or_else(|| ApiError::new(ProblemCode::Internal, "the clock is wrong"))?;
        Ok(conn.count_bodies_before(wanted.longer_ones(), before).await?)
    }
}
