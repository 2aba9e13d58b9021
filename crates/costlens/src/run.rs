//! `costlens run`: proxy, console and API in one process, over a given or a private PostgreSQL.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use costlens_api::clerk::ClerkMode;
use costlens_api::{ApiParts, aws_connections, trust};
use costlens_cache::{Limits, Patience};
use costlens_domain::ports::{Clock, Entropy};
use costlens_domain::pricing::PricesInForce;
use costlens_edge::{BodyRule, EdgeConfig};
use costlens_identity::Passwords;
use costlens_identity::single_sign_on::Providers;
use costlens_objects::Objects;
use costlens_proxy::spool::{Shipper, ShipperConfig, Spool, SpoolConfig};
use costlens_proxy::{
    Bodies, BodiesConfig, KeyRing, Proxy, ProxyParts, StoreSink, follow_prices, take_newest,
};
use costlens_vault::{Keyring, OsEntropy};
use costlens_workers::aws_accounts::ScratchDir;
use costlens_workers::{Links, WorkerParts};
use poem::Route;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::api_adapters::{BillAdapter, Health};
use crate::boot::{Failure, Ledger};
use crate::clock::SystemClock;
use crate::keys::{self, KeyPlan};
use crate::log::log_to_stderr;
use crate::seal_counts;
use crate::settings::{Environment, ServerArgs, default_data_dir, object_dir};
use crate::welcome::Welcome;
use crate::work;

/// How long a shutdown waits for the spool to reach the ledger. What is left is shipped at the next start.
const LAST_SHIPMENT: Duration = Duration::from_secs(10);

/// Runs until SIGINT or SIGTERM.
pub(crate) async fn run(args: Box<ServerArgs>) -> Result<(), Failure> {
    args.check()?;
    log_to_stderr(&args.log)?;
    let data_dir = args.data_dir.clone().unwrap_or_else(default_data_dir);
    let (plan, source) = args.keys.plan()?;
    let mut notes: Vec<String> = keys::note(&source).into_iter().collect();
    let listener = TcpListener::bind(args.listen).await?;
    let ledger = match &args.database_url {
        Some(url) => Ledger::given(url, args.wait.named()).await?,
        None => Ledger::private(&data_dir, args.wait.named()).await?,
    };
    if let Some(private) = &ledger.private {
        notes.push(format!(
            "PostgreSQL {} (private, no network), data in {}",
            private.major(),
            data_dir.display()
        ));
    }
    let served = serve(&args, data_dir, plan, listener, &ledger, &notes).await;
    ledger.close().await;
    served
}

async fn serve(
    args: &ServerArgs,
    data_dir: PathBuf,
    plan: KeyPlan,
    listener: TcpListener,
    ledger: &Ledger,
    notes: &[String],
) -> Result<(), Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
    let key_services = plan.outside();
    let keyring = Arc::new(plan.open(Some(&ledger.store), &clock).await?);
    let prices = PricesInForce::embedded()?;
    let bodies = Bodies::open(BodiesConfig::new(data_dir.join("bodies")), &*clock, Arc::clone(&entropy))?;
    let (spool, shipper) = start_spool(args, &data_dir, ledger, &clock, bodies.clone())?;

    let bound = listener.local_addr()?;
    let base = args.public_url(bound);
    let config = args.proxy();
    let egress = args.outward.egress()?;
    let kept_keys = Arc::new(KeyRing::new(
        ledger.store.clone(),
        Arc::clone(&keyring),
        args.policy(),
        &config,
        (Arc::clone(&clock), Arc::clone(&entropy)),
    ));
    let following = tokio::spawn({
        let keys = Arc::clone(&kept_keys);
        async move { keys.follow_changes().await }
    });
    // The first call is priced by what is published; without a database the build's own prices hold until it is back.
    if let Err(error) = take_newest(&ledger.store, &prices).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "published prices were not read yet");
    }
    let following_prices = tokio::spawn({
        let (store, prices) = (ledger.store.clone(), prices.clone());
        async move { follow_prices(&store, &prices).await }
    });
    let objects = Objects::local(&object_dir(args.object_dir.as_deref(), &data_dir))?;
    let parts = WorkerParts {
        store: ledger.store.clone(),
        clock: Arc::clone(&clock),
        clocks_apart: Some(costlens_workers::CLOCKS_APART),
        keyring: Arc::clone(&keyring),
        entropy: Arc::clone(&entropy),
        objects: objects.clone(),
        max_export_bytes: args.max_export_bytes,
        bills: Arc::new(BillAdapter),
        parquet: Arc::new(BillAdapter),
        aws: args.outward.aws.accounts(&clock, &entropy).await?,
        scratch: ScratchDir::below(&data_dir.join("scratch")),
        max_bill_bytes: args.max_bill_bytes,
        invoices: args.outward.invoices()?,
        egress: args.outward.egress()?,
        mailer: args.outward.mailer()?,
        svix: args.outward.svix()?,
        links: Links::below(&base),
        clerk: args.outward.clerk(&clock)?,
        status: args.outward.status(Some(&own_address(bound)))?,
        prices_url: args.outward.prices_url()?,
        forever_body_days: args.retention.forever_body_days,
    };
    let mail_configured = parts.mailer.is_some();
    let clerk = match parts.clerk.clone() {
        Some(clerk) => Some(ClerkMode { clerk, webhook_secrets: args.outward.clerk.webhook_secrets()? }),
        None => None,
    };
    let limits = Arc::new(start_limits(args, &keyring, &clock).await?);
    let working = work::start(ledger, parts)?;
    let counting = seal_counts::start(ledger.store.clone(), Arc::clone(&keyring));
    let health = Health { store: ledger.store.clone(), spool: spool.clone(), keyring: Arc::clone(&keyring) };
    let proxy = Proxy::new(ProxyParts {
        config,
        prices: prices.clone(),
        keys: kept_keys,
        spool,
        egress,
        bodies: Some(bodies),
    });
    let api_parts = Arc::new(ApiParts {
        prices,
        store: ledger.store.clone(),
        queue: ledger.queue()?,
        clock: Arc::clone(&clock),
        entropy: Arc::clone(&entropy),
        keyring: Arc::clone(&keyring),
        limits,
        passwords: Passwords::new(),
        sign_up: args.sign_up.into(),
        providers: Providers::asked_by(args.outward.egress()?, Arc::clone(&clock)),
        vouchers: args.vouching.vouchers(&args.outward.egress()?, &clock)?,
        clerk,
        egress_policy: args.policy(),
        outside: [args.outward.outside(), key_services, args.vouching.outside()].concat(),
        forever_body_days: args.retention.forever_body_days,
        mail_configured,
        public_url: base.clone(),
        https: args.https(),
        objects,
        aws: args.outward.aws.onboarding()?,
        max_bill_bytes: args.max_bill_bytes,
        arriving: costlens_api::bills::uploads::Arriving::default(),
        last_status: costlens_api::status::LastStatus::default(),
    });

    // In production nobody gets a tenant, a key or a link by starting a process: `tenants` and `sign-in` make them.
    if args.environment == Environment::Local {
        let welcome = Welcome::prepare(ledger, &base, &*clock).await?;
        if args.print_json {
            welcome.print_json(bound);
        } else {
            welcome.print(notes);
        }
    }
    let endpoints = routes(&proxy, &api_parts, health)?;
    let drained =
        costlens_edge::serve(listener, endpoints, edge(args, &clock, &entropy), stop_signal()?).await;
    following.abort();
    following_prices.abort();
    working.stop().await;
    counting.abort();
    if let Err(error) = seal_counts::carry(&ledger.store, &keyring).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "the last seals are not counted");
    }
    let shipped = shipper.close(LAST_SHIPMENT).await;
    tracing::info!(?drained, ?shipped, "stopped");
    drained?;
    Ok(())
}

/// Where this very process is reached from its own machine.
fn own_address(bound: SocketAddr) -> String {
    let ip = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, bound.port()))
}

/// Every path of this process.
fn routes(proxy: &Proxy, parts: &Arc<ApiParts>, health: Health) -> Result<Route, Failure> {
    let contract = costlens_openapi::document(costlens_openapi::SpecVersion::V3_1)?;
    let mut files = Route::new();
    for (path, kind, text) in aws_connections::files::ALL {
        let assumer = parts.aws.as_ref().map(|onboarding| &onboarding.assumer);
        files = files.at(path, aws_connections::files::endpoint((kind, text), assumer));
    }
    for (path, text) in trust::papers::ALL {
        files = files.at(path, trust::papers::endpoint(text));
    }
    Ok(costlens_proxy::http::add_routes(files, proxy)
        .nest_no_strip("/api/v1", costlens_api::routes(parts))
        .at("/openapi.json", crate::api_adapters::contract(contract))
        .at("/.well-known/security.txt", trust::policy::security_txt_endpoint(&parts.public_url))
        .at("/healthz", crate::api_adapters::alive())
        .at("/readyz", crate::api_adapters::ready(health))
        .at(costlens_api::imports::traces::PATH, costlens_api::imports::traces::endpoint(parts))
        .at(costlens_api::clerk::inbox::PATH, costlens_api::clerk::inbox::endpoint(parts))
        .nest("/", costlens_api::console::endpoint(parts.clerk.as_ref().map(|mode| mode.clerk.issuer()))))
}

fn edge(args: &ServerArgs, clock: &Arc<dyn Clock>, entropy: &Arc<dyn Entropy>) -> EdgeConfig {
    let minutes = Duration::from_mins(30);
    EdgeConfig {
        https: args.https(),
        trusted_proxies: args.trusted_proxies(),
        body: BodyRule { max_bytes: 1 << 20, deadline: Duration::from_secs(30) },
        body_rules: vec![
            (
                "/v1/".to_owned(),
                BodyRule { max_bytes: args.max_request_bytes, deadline: Duration::from_mins(2) },
            ),
            (
                costlens_api::clerk::inbox::PATH.to_owned(),
                BodyRule {
                    max_bytes: costlens_api::clerk::inbox::MOST_BYTES,
                    deadline: Duration::from_secs(30),
                },
            ),
            (
                costlens_api::imports::traces::PATH.to_owned(),
                BodyRule {
                    max_bytes: costlens_api::imports::traces::MOST_BYTES,
                    deadline: Duration::from_secs(30),
                },
            ),
            (
                "/api/v1/imports".to_owned(),
                BodyRule { max_bytes: costlens_api::imports::MOST_BYTES, deadline: Duration::from_mins(5) },
            ),
            ("/api/v1/bills".to_owned(), BodyRule { max_bytes: args.max_bill_bytes, deadline: minutes }),
        ],
        ..EdgeConfig::new(Arc::clone(clock), Arc::clone(entropy))
    }
}

/// Counts in Redis where there is one. Its address is checked when all settings are; that it is away fails no start.
async fn start_limits(
    args: &ServerArgs,
    keyring: &Keyring,
    clock: &Arc<dyn Clock>,
) -> Result<Limits, Failure> {
    let secret = keyring.tag("limits", &[]);
    Ok(match args.redis()? {
        Some(url) => Limits::shared(&url, secret, Arc::clone(clock), Patience::default()).await?,
        None => Limits::local(secret, Arc::clone(clock)),
    })
}

fn start_spool(
    args: &ServerArgs,
    data_dir: &std::path::Path,
    ledger: &Ledger,
    clock: &Arc<dyn Clock>,
    bodies: Bodies,
) -> Result<(Spool, Shipper), Failure> {
    let config = SpoolConfig {
        limit_bytes: args.spool_limit_bytes,
        segment_bytes: args.spool_segment_bytes,
        ..SpoolConfig::new(data_dir.join("spool"))
    };
    let (spool, recovered) = Spool::open(config, Arc::clone(clock))?;
    let sink = Arc::new(StoreSink::new(ledger.store.clone(), Some(bodies)));
    let shipper = spool.start_shipper(recovered, sink, ShipperConfig::default());
    Ok((spool, shipper))
}

/// Ready when somebody asks the process to stop.
pub(crate) fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
