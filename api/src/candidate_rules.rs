//! What of the lines that may be AI is: said by a tenant's people, place by place.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use costlens_domain::audit::Action;
use costlens_domain::classify::CANDIDATE_SERVICES;
use costlens_domain::{BillId, CandidateRuleId, Currency, ProblemCode};
use costlens_jobs::candidates::DecideCandidates;
use costlens_store::{Candidate, CandidateRule, CandidateScope};
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde_json::json;

use crate::error::ApiError;
use crate::idempotent::{self, Claimed};
use crate::page::default_limit;
use crate::principal::{Caller, Permission};
use crate::wire::{Exact, Wire};
use crate::{ApiParts, Tag};

/// The most rules of an account that hold at once.
const MOST: usize = 200;

/// What may be AI on a bill, of one place and kind.
#[derive(Object)]
#[oai(rename = "Candidate")]
pub struct CandidateView {
    /// The service, such as `ec2`.
    pub service: String,
    /// The account that used it.
    pub account_id: String,
    /// The region; empty where the bill names none.
    pub region: String,
    /// The instance type; null for what is none.
    #[oai(nullable)]
    pub instance_type: Option<String>,
    /// What accelerates it, such as `8 × H100`; empty where nothing does, or nobody knows what.
    pub accelerators: String,
    /// The rule by which it counts as AI; null for what does not.
    #[oai(nullable)]
    pub rule_id: Option<Wire<CandidateRuleId>>,
    /// What the cost counts.
    pub currency: Wire<Currency>,
    /// The unblended cost.
    pub cost: Wire<Exact>,
    /// How many bill lines there are.
    pub lines: u64,
}

impl From<Candidate> for CandidateView {
    fn from(one: Candidate) -> Self {
        Self {
            service: one.service,
            account_id: one.usage_account,
            region: one.region,
            instance_type: one.instance_type,
            accelerators: one.accelerators,
            rule_id: one.by_rule.map(Wire),
            currency: Wire(one.currency),
            cost: Wire(Exact(one.cost)),
            lines: one.lines,
        }
    }
}

/// What may be AI on a bill.
#[derive(Object)]
pub struct Candidates {
    /// Currency by currency, dearest first.
    pub items: Vec<CandidateView>,
}

/// Lines that may be AI and count as such.
#[derive(Object)]
#[oai(rename = "CandidateRule")]
pub struct CandidateRuleView {
    /// The rule.
    pub id: Wire<CandidateRuleId>,
    /// The service whose lines count.
    pub service: String,
    /// Only those of this account; null for all.
    #[oai(nullable)]
    pub account_id: Option<String>,
    /// Only those in this region; null for all.
    #[oai(nullable)]
    pub region: Option<String>,
    /// Only those of this instance type; null for all.
    #[oai(nullable)]
    pub instance_type: Option<String>,
    /// Since when.
    pub created_at: DateTime<Utc>,
    /// Until when; null while it holds.
    #[oai(nullable)]
    pub ended_at: Option<DateTime<Utc>>,
}

impl From<CandidateRule> for CandidateRuleView {
    fn from(rule: CandidateRule) -> Self {
        let CandidateScope { service, usage_account, region, instance_type } = rule.scope;
        Self {
            id: Wire(rule.id),
            service,
            account_id: usage_account,
            region,
            instance_type,
            created_at: rule.created_at,
            ended_at: rule.ended_at,
        }
    }
}

/// All rules.
#[derive(Object)]
pub struct CandidateRules {
    /// Newest first, ended ones included.
    pub items: Vec<CandidateRuleView>,
}

/// A rule to be made.
#[derive(Object)]
pub struct CreateCandidateRule {
    /// The service, as candidates name it: `ec2`, `opensearch`, `fsx_lustre`, `azure_ai_search`, `azure_virtual_machines`,
    /// `compute_engine` or `cloud_tpu`.
    #[oai(validator(min_length = 1, max_length = 64))]
    pub service: String,
    /// Only lines of this account.
    #[oai(default, skip_serializing_if_is_none, validator(min_length = 1, max_length = 256))]
    pub account_id: Option<String>,
    /// Only lines in this region.
    #[oai(default, skip_serializing_if_is_none, validator(min_length = 1, max_length = 64))]
    pub region: Option<String>,
    /// Only lines of this instance type.
    #[oai(default, skip_serializing_if_is_none, validator(min_length = 1, max_length = 128))]
    pub instance_type: Option<String>,
}

/// A rule was made.
#[derive(ApiResponse)]
pub enum CandidateRuleCreated {
    /// The rule.
    #[oai(status = 201)]
    Created(Json<CandidateRuleView>),
}

/// A rule was ended.
#[derive(ApiResponse)]
pub enum CandidateRuleDeleted {
    /// It counts nothing any more.
    #[oai(status = 204)]
    Ended,
}

pub(crate) struct CandidateRulesApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Bills")]
impl CandidateRulesApi {
    /// List what may be AI on a bill
    ///
    /// Accelerated instances, search clusters and parallel file systems serve other work, too: their lines are in no sum
    /// of AI until a rule says so. Those that one counts are listed with it.
    #[oai(path = "/bills/:id/candidates", method = "get", operation_id = "list_bill_candidates")]
    async fn candidates(
        &self,
        caller: Caller,
        id: Path<Wire<BillId>>,
        /// How many rows of each currency at most.
        #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "1000")))]
        limit: Query<u32>,
    ) -> Result<Json<Candidates>, ApiError> {
        let tenant = caller.require(Permission::BillsRead)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        // Another tenant's bill is not found, rather than found empty.
        let bill = conn.bill(id.0.0).await?;
        let found = conn.bill_candidates(bill.id, limit.0).await?;
        Ok(Json(Candidates { items: found.into_iter().map(Into::into).collect() }))
    }

    /// List rules of what counts as AI
    #[oai(path = "/candidate-rules", method = "get", operation_id = "list_candidate_rules")]
    async fn list(&self, caller: Caller) -> Result<Json<CandidateRules>, ApiError> {
        let tenant = caller.require(Permission::BillsRead)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let rules = conn.list_candidate_rules().await?;
        Ok(Json(CandidateRules { items: rules.into_iter().map(Into::into).collect() }))
    }

    /// Count candidates as AI
    ///
    /// Those of a service and, where they are named, of one account, region and instance type. It holds for every bill that
    /// counts and for those to come; months that it changes are settled anew.
    #[oai(path = "/candidate-rules", method = "post", operation_id = "create_candidate_rule")]
    async fn create(
        &self,
        caller: Caller,
        /// The same key and body have one effect.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Json<CreateCandidateRule>,
    ) -> Result<CandidateRuleCreated, ApiError> {
        let tenant = caller.require(Permission::BillsWrite)?;
        let scope = scope_of(&body.0)?;
        let now = self.0.clock.now();
        let mut conn = self.0.store.tenant(tenant).await?;
        let key = idempotency_key.0.as_ref();
        let operation = "create_candidate_rule";
        let claim =
            match idempotent::claim((&mut conn, &self.0.keyring), operation, key, &body.0, now).await? {
                Claimed::First(claim) => claim,
                Claimed::Again(json) => {
                    return Ok(CandidateRuleCreated::Created(Json(idempotent::again(&json)?)));
                }
            };
        conn.lock_count("candidate_rules").await?;
        let rules = conn.list_candidate_rules().await?;
        let holding: Vec<&CandidateRule> = rules.iter().filter(|rule| rule.ended_at.is_none()).collect();
        if holding.iter().any(|rule| rule.scope == scope) {
            return Err(ApiError::new(ProblemCode::Conflict, "there is such a rule"));
        }
        if holding.len() >= MOST {
            let detail = format!("an account has at most {MOST} rules; end one first");
            return Err(ApiError::new(ProblemCode::Conflict, detail));
        }
        let id = CandidateRuleId::new(now, self.0.entropy.for_id());
        let rule = CandidateRule { id, scope, created_at: now, ended_at: None };
        conn.create_candidate_rule(&rule).await?;
        costlens_jobs::ask(&mut conn, &DecideCandidates { rule: rule.id, ended: false }).await?;
        let change = json!({
            "service": rule.scope.service,
            "account_id": rule.scope.usage_account,
            "region": rule.scope.region,
            "instance_type": rule.scope.instance_type,
        });
        let target = (Action::CandidateRuleCreated, Some(rule.id.to_string()));
        caller.principal().by().did(&self.0, &mut conn, target, change).await?;
        let view = CandidateRuleView::from(rule);
        claim.finish(&mut conn, &view).await?;
        conn.commit().await?;
        Ok(CandidateRuleCreated::Created(Json(view)))
    }

    /// End a rule
    ///
    /// What it counted as AI is a candidate again, unless another rule counts it. Doing it again changes nothing.
    #[oai(path = "/candidate-rules/:id", method = "delete", operation_id = "delete_candidate_rule")]
    async fn delete(
        &self,
        caller: Caller,
        id: Path<Wire<CandidateRuleId>>,
    ) -> Result<CandidateRuleDeleted, ApiError> {
        let tenant = caller.require(Permission::BillsWrite)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let rule = conn.candidate_rule(id.0.0).await?;
        if conn.end_candidate_rule(rule.id, self.0.clock.now()).await? {
            costlens_jobs::ask(&mut conn, &DecideCandidates { rule: rule.id, ended: true }).await?;
            let target = (Action::CandidateRuleEnded, Some(rule.id.to_string()));
            caller.principal().by().did(&self.0, &mut conn, target, json!({})).await?;
            conn.commit().await?;
        }
        Ok(CandidateRuleDeleted::Ended)
    }
}

/// What a rule is about; refused where no line could ever be so.
fn scope_of(body: &CreateCandidateRule) -> Result<CandidateScope, ApiError> {
    if !CANDIDATE_SERVICES.contains(&body.service.as_str()) {
        let reason = format!("is none of those whose lines may be AI: {}", CANDIDATE_SERVICES.join(", "));
        return Err(ApiError::field("service", &reason));
    }
    let told = |field: &'static str, value: Option<&str>| match value.map(str::trim) {
        Some("") => Err(ApiError::field(field, "must not be blank")),
        value => Ok(value.map(str::to_owned)),
    };
    Ok(CandidateScope {
        service: body.service.clone(),
        usage_account: told("account_id", body.account_id.as_deref())?,
        region: told("region", body.region.as_deref())?,
        instance_type: told("instance_type", body.instance_type.as_deref())?,
    })
}
