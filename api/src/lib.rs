//! The tenants' HTTP surface: sign-in, keys, connections, requests, spend, bills, and the console's files.
//!
//! One folder or file a resource, each an `#[OpenApi]` struct over [`ApiParts`]. Handlers are thin: they check the
//! caller, call the store, and show what came back in the contract's types. [`contract`] needs no database.

pub mod bills;
pub mod connections;
pub mod console;
pub mod error;
mod idempotent;
pub mod keys;
pub mod page;
pub mod principal;
pub mod requests;
mod sealing;
pub mod sessions;
pub mod spend;
pub mod wire;

use std::collections::HashMap;
use std::sync::Arc;

use costlens_domain::ports::{Clock, Entropy};
use costlens_edge::Arrival;
use costlens_store::Store;
use costlens_vault::Keyring;
use poem::endpoint::BoxEndpoint;
use poem::http::Method;
use poem::{Endpoint, EndpointExt as _, IntoResponse as _, Response};
use poem_openapi::{OpenApi, OpenApiService, Tags};

/// What the operations are made of.
#[derive(Debug)]
#[expect(missing_docs, reason = "each part is documented where it is defined")]
pub struct ApiParts {
    pub store: Store,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub keyring: Arc<Keyring>,
    pub egress_policy: costlens_egress::Policy,
    pub objects: costlens_objects::Objects,
    /// The most bytes of an uploaded bill.
    pub max_bill_bytes: u64,
    /// Whether browsers reach the console by https, so that cookies are bound to it.
    pub https: bool,
}

/// The areas of the contract.
#[derive(Tags)]
pub(crate) enum Tag {
    /// Signing in and out.
    Sessions,
    /// API keys of the proxy.
    Keys,
    /// Links to LLM providers.
    Connections,
    /// Proxied calls and their receipts.
    Requests,
    /// Spend over time and by what.
    Spend,
    /// Bills and what they say about AI.
    Bills,
}

type Operations = (
    sessions::SessionsApi,
    keys::KeysApi,
    connections::ConnectionsApi,
    requests::RequestsApi,
    spend::SpendApi,
    bills::BillsApi,
    bills::uploads::BillUploadsApi,
);

fn operations(parts: &Arc<ApiParts>) -> Operations {
    (
        sessions::SessionsApi(Arc::clone(parts)),
        keys::KeysApi(Arc::clone(parts)),
        connections::ConnectionsApi(Arc::clone(parts)),
        requests::RequestsApi(Arc::clone(parts)),
        spend::SpendApi(Arc::clone(parts)),
        bills::BillsApi(Arc::clone(parts)),
        bills::uploads::BillUploadsApi(Arc::clone(parts)),
    )
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

/// Every operation of the management API, under `/api/v1`.
pub fn routes(parts: &Arc<ApiParts>) -> impl Endpoint<Output = Response> + 'static {
    let gate = principal::Gate { store: parts.store.clone(), clock: Arc::clone(&parts.clock) };
    service(operations(parts))
        .data(gate)
        .catch_all_error(|error| async move { error::framework_error(error) })
        .around(|endpoint, mut request| async move {
            let id = request.data::<Arrival>().map(|arrival| arrival.request_id);
            let refused = principal::Refused::default();
            request.extensions_mut().insert(refused.clone());
            let response = endpoint.call(request).await?.into_response();
            let mut response = error::told_of_request(refused.instead_of(response), id).await;
            // Keys, cookies and figures of one caller: nobody on the way keeps them.
            let kept = poem::http::HeaderValue::from_static("no-store");
            response.headers_mut().entry(poem::http::header::CACHE_CONTROL).or_insert(kept);
            Ok::<_, poem::Error>(response)
        })
}
