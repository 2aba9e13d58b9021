//! Connections to AWS accounts: made, looked at, ended; and what they delivered, in [`months`].
//!
//! No call here reaches AWS: it writes a row and asks for a job, which looks. What a customer needs to let us in stands in
//! the answer: the quick-create link, the template, the Terraform module and the plain policies ([`files`]).

pub mod files;
pub mod months;
mod views;

use std::sync::Arc;

use costlens_domain::audit::Action;
use costlens_domain::aws::{AwsAccountId, ExternalId, ReportPlace, RoleArn};
use costlens_domain::{AwsConnectionId, ProblemCode, TenantId};
use costlens_jobs::aws::ask_to_check;
use costlens_store::{AwsConnection, AwsConnectionState, NewAwsConnection, TenantConn};
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde_json::json;

use crate::error::ApiError;
use crate::idempotent::{self, Claimed};
use crate::page::{Page, default_limit};
use crate::principal::{Caller, Permission};
use crate::wire::Wire;
use crate::{ApiParts, Tag};

pub use views::{AwsConnectionView, AwsSetup};

/// How customers let us in.
#[derive(Clone, Debug)]
pub struct AwsOnboarding {
    /// The role that theirs trusts.
    pub assumer: RoleArn,
    /// Where the template lies in S3, if the operator put it there.
    pub template_url: Option<String>,
}

/// The most accounts that a tenant may have connected.
const MOST: usize = 20;

/// An AWS account to be connected.
#[derive(Object)]
pub struct CreateAwsConnection {
    /// The account's twelve digits: the one that owns role and bucket.
    #[oai(validator(max_length = 12))]
    pub account_id: String,
    /// The bucket that AWS writes the report to.
    #[oai(validator(max_length = 63))]
    pub bucket: String,
    /// The folder in it below which the report lies.
    #[oai(validator(max_length = 512))]
    pub prefix: String,
    /// The report's or export's name.
    #[oai(validator(max_length = 256))]
    pub report_name: String,
    /// The role, if it is another one than the template's.
    #[oai(default, skip_serializing_if_is_none, validator(max_length = 2048))]
    pub role_arn: Option<String>,
    /// The bucket's region; found by itself without it.
    #[oai(default, skip_serializing_if_is_none, validator(max_length = 32))]
    pub region: Option<String>,
    /// The key in AWS KMS that the report's files are encrypted with, if there is one.
    #[oai(default, skip_serializing_if_is_none, validator(max_length = 2048))]
    pub kms_key_arn: Option<String>,
}

/// A connection was made.
#[derive(ApiResponse)]
pub enum AwsConnectionCreated {
    /// The connection, with what its people do next.
    #[oai(status = 201)]
    Created(Json<AwsConnectionView>),
}

/// A connection will be looked at.
#[derive(ApiResponse)]
pub enum AwsConnectionTested {
    /// Ask for the connection until `checked_at` has moved.
    #[oai(status = 202)]
    Accepted(Json<AwsConnectionView>),
}

/// A connection was ended.
#[derive(ApiResponse)]
pub enum AwsConnectionRevoked {
    /// Nothing is read any more. The months that were read stay.
    #[oai(status = 204)]
    Revoked,
}

pub(crate) struct AwsConnectionsApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Bills")]
impl AwsConnectionsApi {
    /// List connected AWS accounts
    ///
    /// Newest first, revoked ones included.
    #[oai(path = "/aws-connections", method = "get", operation_id = "list_aws_connections")]
    async fn list(
        &self,
        caller: Caller,
        /// How many at most.
        #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<Wire<AwsConnectionId>>>,
    ) -> Result<Json<Page<AwsConnectionView>>, ApiError> {
        let tenant = caller.require(Permission::BillsRead)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let found = conn.list_aws_connections(cursor.0.map(|id| id.0), limit.0.saturating_add(1)).await?;
        Ok(Json(Page::of(found, limit.0, |one| one.id.to_string(), |one| self.view(one))))
    }

    /// Connect an AWS account
    ///
    /// Answers the ExternalId, which is made here, and the link that creates the role. From then on the role is looked for
    /// until it is there: `state` tells.
    #[oai(path = "/aws-connections", method = "post", operation_id = "create_aws_connection")]
    async fn create(
        &self,
        caller: Caller,
        /// The same key and body have one effect.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Json<CreateAwsConnection>,
    ) -> Result<AwsConnectionCreated, ApiError> {
        let tenant = caller.require(Permission::ConnectionsWrite)?;
        if self.0.aws.is_none() {
            let detail = "whoever runs this service has set up no role for it in AWS; upload bills instead";
            return Err(ApiError::new(ProblemCode::AwsNotSetUp, detail));
        }
        let new = self.checked(&body.0)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let operation = "create_aws_connection";
        let key = idempotency_key.0.as_ref();
        let claim =
            match idempotent::claim((&mut conn, &self.0.keyring), operation, key, &body.0, new.created_at)
                .await?
            {
                Claimed::First(claim) => claim,
                Claimed::Again(answer) => {
                    return Ok(AwsConnectionCreated::Created(Json(idempotent::again(&answer)?)));
                }
            };
        let live = conn.list_aws_connections(None, 1_000).await?;
        if live.iter().filter(|one| one.state != AwsConnectionState::Revoked).count() >= MOST {
            let detail = format!("an organisation connects {MOST} AWS accounts at most");
            return Err(ApiError::new(ProblemCode::LimitReached, detail));
        }
        let made = conn.create_aws_connection(&new).await?;
        ask_to_check(&mut conn, made.id, new.created_at, false).await?;
        let view = self.view(made);
        let change = json!({
            "account_id": view.account_id, "role_arn": view.role_arn, "bucket": view.bucket, "prefix": view.prefix,
            "report_name": view.report_name,
        });
        let target = (Action::AwsConnectionCreated, Some(new.id.to_string()));
        caller.principal().by().did(&self.0, &mut conn, target, change).await?;
        claim.finish(&mut conn, &view).await?;
        conn.commit().await?;
        Ok(AwsConnectionCreated::Created(Json(view)))
    }

    /// Get one connected AWS account
    #[oai(path = "/aws-connections/:id", method = "get", operation_id = "get_aws_connection")]
    async fn get(
        &self,
        caller: Caller,
        id: Path<Wire<AwsConnectionId>>,
    ) -> Result<Json<AwsConnectionView>, ApiError> {
        let tenant = caller.require(Permission::BillsRead)?;
        let found = self.0.store.tenant(tenant).await?.aws_connection(id.0.0).await?;
        Ok(Json(self.view(found)))
    }

    /// Look at a connected AWS account now
    ///
    /// Whether the role lets us in and what was delivered, months included that could not be read before.
    #[oai(path = "/aws-connections/:id/test", method = "post", operation_id = "test_aws_connection")]
    async fn test(
        &self,
        caller: Caller,
        id: Path<Wire<AwsConnectionId>>,
    ) -> Result<AwsConnectionTested, ApiError> {
        let (mut conn, found) = self.changing(&caller, id.0.0).await?;
        let now = self.0.clock.now();
        if !conn.hasten_aws_check(found.id, now).await? {
            return Err(at_rest(&found));
        }
        // However often it is asked for, a tenant's looks are done one at a time.
        ask_to_check(&mut conn, found.id, now, true).await?;
        let told = conn.aws_connection(found.id).await?;
        self.wrote(&caller, &mut conn, Action::AwsConnectionTested, &found).await?;
        conn.commit().await?;
        Ok(AwsConnectionTested::Accepted(Json(self.view(told))))
    }

    /// Pause a connected AWS account
    ///
    /// Nothing is read until it is resumed. What was read stays.
    #[oai(path = "/aws-connections/:id/pause", method = "post", operation_id = "pause_aws_connection")]
    async fn pause(
        &self,
        caller: Caller,
        id: Path<Wire<AwsConnectionId>>,
    ) -> Result<Json<AwsConnectionView>, ApiError> {
        let (conn, found) = self.changing(&caller, id.0.0).await?;
        match found.state {
            AwsConnectionState::Paused => Ok(Json(self.view(found))),
            AwsConnectionState::Revoked => Err(at_rest(&found)),
            _ => {
                let to = (AwsConnectionState::Paused, Action::AwsConnectionPaused);
                self.moved(&caller, conn, &found, to, None).await
            }
        }
    }

    /// Resume a paused AWS account
    #[oai(path = "/aws-connections/:id/resume", method = "post", operation_id = "resume_aws_connection")]
    async fn resume(
        &self,
        caller: Caller,
        id: Path<Wire<AwsConnectionId>>,
    ) -> Result<Json<AwsConnectionView>, ApiError> {
        let (conn, found) = self.changing(&caller, id.0.0).await?;
        match found.state {
            AwsConnectionState::Paused => {
                let to = (AwsConnectionState::Pending, Action::AwsConnectionResumed);
                self.moved(&caller, conn, &found, to, None).await
            }
            AwsConnectionState::Revoked => Err(at_rest(&found)),
            _ => Ok(Json(self.view(found))),
        }
    }

    /// Connect an AWS account anew
    ///
    /// With a new ExternalId: the role's trust policy must name it, which updating the stack does. The old one is never
    /// used again.
    #[oai(
        path = "/aws-connections/:id/reconnect",
        method = "post",
        operation_id = "reconnect_aws_connection"
    )]
    async fn reconnect(
        &self,
        caller: Caller,
        id: Path<Wire<AwsConnectionId>>,
    ) -> Result<Json<AwsConnectionView>, ApiError> {
        let (conn, found) = self.changing(&caller, id.0.0).await?;
        let to = (AwsConnectionState::Pending, Action::AwsConnectionReconnected);
        let external_id = self.external_id();
        self.moved(&caller, conn, &found, to, Some(&external_id)).await
    }

    /// End a connection to an AWS account
    ///
    /// Nothing is read any more, and no session is opened. The months that were read stay. Doing it again changes nothing.
    #[oai(path = "/aws-connections/:id", method = "delete", operation_id = "revoke_aws_connection")]
    async fn revoke(
        &self,
        caller: Caller,
        id: Path<Wire<AwsConnectionId>>,
    ) -> Result<AwsConnectionRevoked, ApiError> {
        let (conn, found) = self.changing(&caller, id.0.0).await?;
        if found.state != AwsConnectionState::Revoked {
            let to = (AwsConnectionState::Revoked, Action::AwsConnectionRevoked);
            self.moved(&caller, conn, &found, to, None).await?;
        }
        Ok(AwsConnectionRevoked::Revoked)
    }
}

impl AwsConnectionsApi {
    fn view(&self, connection: AwsConnection) -> AwsConnectionView {
        views::view(connection, self.0.aws.as_ref(), &self.0.public_url)
    }

    fn external_id(&self) -> ExternalId {
        let mut random = [0; 20];
        self.0.entropy.fill(&mut random);
        ExternalId::new(random)
    }

    /// Every name, checked; the ExternalId is ours to make.
    fn checked(&self, body: &CreateAwsConnection) -> Result<NewAwsConnection, ApiError> {
        fn name<T>(field: &str, text: &str) -> Result<T, ApiError>
        where
            T: std::str::FromStr<Err = costlens_domain::aws::BadName>,
        {
            text.trim().parse().map_err(|bad: costlens_domain::aws::BadName| ApiError::field(field, bad.0))
        }

        let account: AwsAccountId = name("account_id", &body.account_id)?;
        let role: RoleArn = match &body.role_arn {
            Some(arn) => name("role_arn", arn)?,
            None => RoleArn::of_template(&account),
        };
        let place = ReportPlace {
            role,
            account,
            external_id: self.external_id(),
            bucket: name("bucket", &body.bucket)?,
            prefix: name("prefix", &body.prefix)?,
            report: name("report_name", &body.report_name)?,
        };
        if !place.is_in(&place.account) {
            return Err(ApiError::field("role_arn", "is in another account than account_id says"));
        }
        let now = self.0.clock.now();
        Ok(NewAwsConnection {
            id: AwsConnectionId::new(now, self.0.entropy.for_id()),
            place,
            region: body.region.as_deref().map(|text| name("region", text)).transpose()?,
            kms_key: body.kms_key_arn.as_deref().map(|text| name("kms_key_arn", text)).transpose()?,
            created_at: now,
        })
    }

    /// The connection, locked, for whoever may change it.
    async fn changing(
        &self,
        caller: &Caller,
        id: AwsConnectionId,
    ) -> Result<(TenantConn, AwsConnection), ApiError> {
        let tenant: TenantId = caller.require(Permission::ConnectionsWrite)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let found = conn.lock_aws_connection(id).await?;
        Ok((conn, found))
    }

    async fn wrote(
        &self,
        caller: &Caller,
        conn: &mut TenantConn,
        action: Action,
        connection: &AwsConnection,
    ) -> Result<(), ApiError> {
        let change = json!({ "account_id": connection.place.account.as_str() });
        let target = (action, Some(connection.id.to_string()));
        Ok(caller.principal().by().did(&self.0, conn, target, change).await?)
    }

    async fn moved(
        &self,
        caller: &Caller,
        mut conn: TenantConn,
        found: &AwsConnection,
        (state, action): (AwsConnectionState, Action),
        external_id: Option<&ExternalId>,
    ) -> Result<Json<AwsConnectionView>, ApiError> {
        let now = self.0.clock.now();
        let moved = conn.set_aws_connection(found.id, state, external_id, now).await?;
        if !state.is_at_rest() {
            ask_to_check(&mut conn, found.id, now, false).await?;
        }
        self.wrote(caller, &mut conn, action, found).await?;
        conn.commit().await?;
        Ok(Json(self.view(moved)))
    }
}

fn at_rest(connection: &AwsConnection) -> ApiError {
    let detail = format!("the connection is {}", connection.state.as_str());
    ApiError::new(ProblemCode::Conflict, detail)
}
