//! The tenants' HTTP surface: sign-in, keys, connections, requests, spend, bills, whom to tell, the account's end, what
//! happens later, and the console's files; and the operator's.
//!
//! One folder or file a resource, each an `#[OpenApi]` struct over [`ApiParts`]. Handlers are thin: they check the
//! caller, call the store, and show what came back in the contract's types. [`contract`] needs no database.

pub mod anomalies;
pub mod audit;
pub mod aws_connections;
pub mod bills;
pub mod bodies;
mod bounds;
pub mod budgets;
pub mod candidate_rules;
pub mod chargeback;
pub mod clerk;
pub mod closure;
pub mod connections;
pub mod console;
mod cookies;
mod dates;
pub mod error;
pub mod exports;
mod idempotent;
pub mod imports;
pub mod insight;
pub mod invoice_sources;
pub mod key_labels;
pub mod keys;
mod known_browser;
mod limits;
pub mod links;
pub mod members;
pub mod messages;
mod methods;
pub mod oauth;
mod opening;
pub mod operator;
pub mod page;
mod permissions;
pub mod prices;
pub mod principal;
pub mod privacy;
pub mod recipients;
pub mod registrations;
pub mod repricings;
pub mod requests;
mod sealing;
pub mod second_factor;
pub mod sessions;
pub mod settings;
pub mod settlements;
pub mod single_sign_on;
pub mod slack_channels;
pub mod spend;
pub mod statement;
pub mod status;
pub mod support_grants;
pub mod tenant;
mod trips;
pub mod trust;
pub mod users;
pub mod webhook_endpoints;
pub mod wire;
pub mod workflows;

use std::collections::HashMap;
use std::sync::Arc;

use costlens_cache::Limits;
use costlens_domain::ports::{Clock, Entropy};
use costlens_domain::pricing::PricesInForce;
use costlens_domain::{Problem, ProblemCode};
use costlens_edge::Arrival;
use costlens_identity::Passwords;
use costlens_identity::vouching::Vouchers;
use costlens_notify::words::Link;
use costlens_queue::Queue;
use costlens_store::Store;
use costlens_vault::Keyring;
use poem::endpoint::BoxEndpoint;
use poem::http::Method;
use poem::{Endpoint, EndpointExt as _, IntoResponse as _, Response};
use poem_openapi::{OpenApi, OpenApiService, Tags};

use crate::error::ApiError;

/// Who may become a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SignUp {
    /// Whoever is invited by a member.
    #[default]
    Invited,
    /// Anybody who reads an e-mail address, with an organisation of its own.
    Open,
}

/// What the operations are made of.
#[derive(Debug)]
#[expect(missing_docs, reason = "each part is documented where it is defined")]
pub struct ApiParts {
    pub store: Store,
    /// Durable work, to be looked at and operated; what happens later for a tenant is asked for through the store.
    pub queue: Queue,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub keyring: Arc<Keyring>,
    /// How often somebody may try something, counted for all processes together.
    pub limits: Arc<Limits>,
    pub egress_policy: costlens_egress::Policy,
    pub prices: PricesInForce,
    pub objects: costlens_objects::Objects,
    /// How customers let us read their AWS bills; `None` where no account can be connected.
    pub aws: Option<aws_connections::AwsOnboarding>,
    /// The most bytes of an uploaded bill.
    pub max_bill_bytes: u64,
    /// Whom the operator set up to be called, for what and with what.
    pub outside: Vec<trust::Subprocessor>,
    /// The uploads of bills that this process takes right now.
    pub arriving: bills::uploads::Arriving,
    /// What was last said of the service itself.
    pub last_status: status::LastStatus,
    /// After how many days what tenants keep for ever is let go of; `None` if never.
    pub forever_body_days: Option<u32>,
    /// Whether there is a mail server.
    pub mail_configured: bool,
    /// Where browsers reach the console, for links in messages.
    pub public_url: String,
    pub passwords: Passwords,
    pub sign_up: SignUp,
    pub vouchers: Vouchers,
    /// Tenants' own identity providers.
    pub providers: costlens_identity::single_sign_on::Providers,
    /// That Clerk keeps people and organisations, in the place of passwords and whoever else vouches.
    pub clerk: Option<clerk::ClerkMode>,
    /// Whether browsers reach the console by https, so that cookies are bound to it.
    pub https: bool,
}

/// The areas of the contract.
#[derive(Tags)]
pub(crate) enum Tag {
    /// Signing in and out.
    Sessions,
    /// One's own user.
    Users,
    /// The organisation and who belongs to it.
    Members,
    /// API keys of the proxy.
    Keys,
    /// Links to LLM providers.
    Connections,
    /// Proxied calls and their receipts.
    Requests,
    /// Spend over time and by what.
    Spend,
    /// What models cost, and calls that were priced later.
    Prices,
    /// Bills and what they say about AI.
    Bills,
    /// Files of calls and hourly spend.
    Exports,
    /// The account's calendar.
    Settings,
    /// People and Slack channels that are told, and what they were told.
    Notifications,
    /// Programs that are told.
    Webhooks,
    /// What the links in mails do, without signing in.
    Links,
    /// Budgets and surprises.
    Budgets,
    /// What follows from the facts: events, recommendations, forecasts.
    Insight,
    /// What is kept of prompts and answers, and who may read it.
    Privacy,
    /// The account's end.
    Account,
    /// What happens later.
    Workflows,
    /// What was done in the account.
    Audit,
    /// Running the service.
    Operator,
    /// What is promised, for anybody.
    Trust,
    /// How the service is, for everybody.
    Status,
}

type Operations = (
    People,
    keys::KeysApi,
    key_labels::KeyLabelsApi,
    connections::ConnectionsApi,
    Requests,
    spend::SpendApi,
    Bills,
    exports::ExportsApi,
    Notifications,
    Upkeep,
    Prices,
);

/// Calls, and how those come in that never passed the proxy.
type Requests = (requests::RequestsApi, imports::ImportsApi);

/// Who gets in, and as what.
type People = (
    sessions::SessionsApi,
    registrations::RegistrationsApi,
    oauth::OauthApi,
    single_sign_on::SingleSignOnApi,
    single_sign_on::SingleSignOnTripApi,
    clerk::ClerkApi,
    users::UsersApi,
    second_factor::SecondFactorApi,
    members::MembersApi,
    tenant::TenantApi,
);

/// The framework takes so many areas at once; who is told what is one of them.
type Notifications = (
    settings::SettingsApi,
    recipients::RecipientsApi,
    slack_channels::SlackChannelsApi,
    webhook_endpoints::WebhookEndpointsApi,
    webhook_endpoints::WebhookDeliveriesApi,
    messages::MessagesApi,
    budgets::BudgetsApi,
    anomalies::AnomaliesApi,
    insight::InsightApi,
);

/// Bills, how they come in, and what calls cost by them.
type Bills = (
    bills::BillsApi,
    candidate_rules::CandidateRulesApi,
    bills::uploads::BillUploadsApi,
    aws_connections::AwsConnectionsApi,
    aws_connections::months::BillMonthsApi,
    invoice_sources::InvoiceSourcesApi,
    settlements::SettlementsApi,
    chargeback::ChargebackApi,
    statement::StatementApi,
);

/// What models cost.
type Prices = (prices::PricesApi, repricings::RepricingsApi, operator::OperatorPricesApi);

/// What keeps an account in order, until its end.
type Upkeep = (
    links::LinksApi,
    Privacy,
    closure::ClosureApi,
    workflows::WorkflowsApi,
    audit::AuditApi,
    operator::OperatorApi,
    operator::OperatorActionsApi,
    trust::TrustApi,
    status::StatusApi,
);

/// What is kept of prompts and answers.
type Privacy = (privacy::PrivacyApi, bodies::BodiesApi, support_grants::SupportGrantsApi);

fn operations(parts: &Arc<ApiParts>) -> Operations {
    (
        (
            sessions::SessionsApi(Arc::clone(parts)),
            registrations::RegistrationsApi(Arc::clone(parts)),
            oauth::OauthApi(Arc::clone(parts)),
            single_sign_on::SingleSignOnApi(Arc::clone(parts)),
            single_sign_on::SingleSignOnTripApi(Arc::clone(parts)),
            clerk::ClerkApi(Arc::clone(parts)),
            users::UsersApi(Arc::clone(parts)),
            second_factor::SecondFactorApi(Arc::clone(parts)),
            members::MembersApi(Arc::clone(parts)),
            tenant::TenantApi(Arc::clone(parts)),
        ),
        keys::KeysApi(Arc::clone(parts)),
        key_labels::KeyLabelsApi(Arc::clone(parts)),
        connections::ConnectionsApi(Arc::clone(parts)),
        (requests::RequestsApi(Arc::clone(parts)), imports::ImportsApi(Arc::clone(parts))),
        spend::SpendApi(Arc::clone(parts)),
        (
            bills::BillsApi(Arc::clone(parts)),
            candidate_rules::CandidateRulesApi(Arc::clone(parts)),
            bills::uploads::BillUploadsApi(Arc::clone(parts)),
            aws_connections::AwsConnectionsApi(Arc::clone(parts)),
            aws_connections::months::BillMonthsApi(Arc::clone(parts)),
            invoice_sources::InvoiceSourcesApi(Arc::clone(parts)),
            settlements::SettlementsApi(Arc::clone(parts)),
            chargeback::ChargebackApi(Arc::clone(parts)),
            statement::StatementApi(Arc::clone(parts)),
        ),
        exports::ExportsApi(Arc::clone(parts)),
        (
            settings::SettingsApi(Arc::clone(parts)),
            recipients::RecipientsApi(Arc::clone(parts)),
            slack_channels::SlackChannelsApi(Arc::clone(parts)),
            webhook_endpoints::WebhookEndpointsApi(Arc::clone(parts)),
            webhook_endpoints::WebhookDeliveriesApi(Arc::clone(parts)),
            messages::MessagesApi(Arc::clone(parts)),
            budgets::BudgetsApi(Arc::clone(parts)),
            anomalies::AnomaliesApi(Arc::clone(parts)),
            insight::InsightApi(Arc::clone(parts)),
        ),
        (
            links::LinksApi(Arc::clone(parts)),
            (
                privacy::PrivacyApi(Arc::clone(parts)),
                bodies::BodiesApi(Arc::clone(parts)),
                support_grants::SupportGrantsApi(Arc::clone(parts)),
            ),
            closure::ClosureApi(Arc::clone(parts)),
            workflows::WorkflowsApi(Arc::clone(parts)),
            audit::AuditApi(Arc::clone(parts)),
            operator::OperatorApi(Arc::clone(parts)),
            operator::OperatorActionsApi(Arc::clone(parts)),
            trust::TrustApi::new(parts),
            status::StatusApi(Arc::clone(parts)),
        ),
        (
            prices::PricesApi(Arc::clone(parts)),
            repricings::RepricingsApi(Arc::clone(parts)),
            operator::OperatorPricesApi(Arc::clone(parts)),
        ),
    )
}

impl ApiParts {
    /// A page of the console, as messages link to it.
    pub(crate) fn link(&self, path: &str) -> Result<Link, ApiError> {
        let link = format!("{}{path}", self.public_url.trim_end_matches('/'));
        Link::parse(&link).map_err(|error| broken(&error))
    }
}

/// A message's figures, frozen.
pub(crate) fn figures(figures: &impl serde::Serialize) -> Result<serde_json::Value, ApiError> {
    serde_json::to_value(figures).map_err(|error| broken(&error))
}

/// A name without blanks around it, which is more than blanks.
pub(crate) fn named(name: &str) -> Result<&str, ApiError> {
    let name = name.trim();
    if name.is_empty() {
        return Err(ApiError::field("name", "must not be blank"));
    }
    if name.chars().any(char::is_control) {
        return Err(ApiError::field("name", "must not contain control characters"));
    }
    Ok(name)
}

/// An address that may not be called.
pub(crate) fn refused(field: &str, why: &impl std::error::Error) -> ApiError {
    Problem::new(ProblemCode::EndpointRefused, why.to_string())
        .field(format!("/{field}"), why.to_string())
        .into()
}

fn broken(error: &dyn std::error::Error) -> ApiError {
    tracing::error!(%error, "a message cannot be written");
    ApiError::new(ProblemCode::Internal, "the cause has been logged under this request's id")
}

fn service<T>(operations: T) -> OpenApiService<T, ()> {
    OpenApiService::new(operations, "Costlens", env!("CARGO_PKG_VERSION"))
        .description("The ledger of a company's AI spend that agrees with the bill.")
}

/// The contract as the framework writes it, without a database: everything in it is known at compile time.
#[must_use]
pub fn contract() -> String {
    /// The operations' meta data alone.
    struct Contract;

    impl OpenApi for Contract {
        fn meta() -> Vec<poem_openapi::registry::MetaApi> {
            Operations::meta()
        }

        fn register(registry: &mut poem_openapi::registry::Registry) {
            Operations::register(registry);
        }

        fn add_routes(self, _: &mut HashMap<String, HashMap<Method, BoxEndpoint<'static>>>) {}
    }

    service(Contract).spec()
}

/// Names what is away and stood in for: `redis` while each process counts limits for itself (ADR 0015).
const DEGRADED: &str = "costlens-degraded";

/// Every operation of the management API, under `/api/v1`.
pub fn routes(parts: &Arc<ApiParts>) -> impl Endpoint<Output = Response> + 'static {
    let gate = principal::Gate { store: parts.store.clone(), clock: Arc::clone(&parts.clock) };
    let methods = Arc::new(methods::Methods::of::<Operations>());
    let gated = Arc::clone(parts);
    service(operations(parts))
        .data(gate)
        .catch_all_error(|error| async move { error::framework_error(error) })
        .around(move |endpoint, mut request| {
            let (methods, parts) = (Arc::clone(&methods), Arc::clone(&gated));
            async move {
                let path = request.original_uri().path().to_owned();
                let id = request.data::<Arrival>().map(|arrival| arrival.request_id);
                let refused = principal::Refused::default();
                request.extensions_mut().insert(refused.clone());
                let cookies = cookies::Outgoing::default();
                request.extensions_mut().insert(cookies.clone());
                let response = match clerk::admit(&parts, &mut request).await {
                    Ok(()) => endpoint.call(request).await?.into_response(),
                    Err(error) => error.into_response(),
                };
                let response = cookies.with(refused.instead_of(response));
                let mut response = error::told_of_request(response, id).await;
                // Keys, cookies and figures of one caller: nobody on the way keeps them.
                let kept = poem::http::HeaderValue::from_static("no-store");
                response.headers_mut().entry(poem::http::header::CACHE_CONTROL).or_insert(kept);
                if parts.limits.is_degraded() {
                    let away = poem::http::HeaderValue::from_static("redis");
                    response.headers_mut().insert(DEGRADED, away);
                }
                if response.status() == poem::http::StatusCode::METHOD_NOT_ALLOWED
                    && let Some(allowed) = methods.allowed(&path)
                {
                    response.headers_mut().insert(poem::http::header::ALLOW, allowed);
                }
                Ok::<_, poem::Error>(response)
            }
        })
}
