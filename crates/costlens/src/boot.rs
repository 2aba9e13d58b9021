//! From settings to a ledger: a given database, or a private PostgreSQL of our own.

use std::path::Path;
use std::time::Duration;

use costlens_domain::TenantId;
use costlens_queue::Queue;
use costlens_store::private::{PrivatePg, PrivatePgConfig, PrivatePgError};
use costlens_store::{RuntimeLogin, Store, StoreConfig};

use crate::cli::{LedgerArgs, MigrateArgs, print};
use crate::settings::default_data_dir;

/// How long a connection to a private PostgreSQL may take: it shares the machine with all that starts at once, and
/// may still be mending what a crash left.
const LOCAL_WAIT: Duration = Duration::from_secs(10);

/// Any failure of a command; told with all its causes.
pub(crate) type Failure = Box<dyn std::error::Error>;

/// The ledger, and the PostgreSQL that belongs to this process, if one does.
pub(crate) struct Ledger {
    pub(crate) store: Store,
    /// The runtime role's URL.
    pub(crate) runtime_url: String,
    pub(crate) private: Option<PrivatePg>,
    /// How long anything waits for a connection, where the operator says it.
    wait: Option<Duration>,
}

impl Ledger {
    /// The ledger at a given URL, as the runtime role.
    pub(crate) async fn given(url: &str, wait: Option<Duration>) -> Result<Self, Failure> {
        let mut config = StoreConfig::new(url);
        config.acquire_timeout = wait.unwrap_or(config.acquire_timeout);
        let store = Store::connect(&config)?;
        store.check_runtime_role().await?;
        Ok(Self { store, runtime_url: url.to_owned(), private: None, wait })
    }

    /// The ledger in a private PostgreSQL below the data directory, made and migrated as needed.
    pub(crate) async fn private(data_dir: &Path, wait: Option<Duration>) -> Result<Self, Failure> {
        let dir = PrivatePg::dir_for(&data_dir.join("pg"));
        let private = PrivatePg::start(PrivatePgConfig::new(dir)).await?;
        let login = RuntimeLogin::Password(private.runtime_password().to_owned());
        costlens_store::migrate(&private.url(), &login, vec![costlens_workers::schema()]).await?;
        let runtime_url = private.runtime_url()?;
        let acquire_timeout = wait.unwrap_or(LOCAL_WAIT);
        let config = StoreConfig { acquire_timeout, ..StoreConfig::new(&runtime_url) };
        let store = Store::connect(&config)?;
        store.check_runtime_role().await?;
        Ok(Self { store, runtime_url, private: Some(private), wait })
    }

    /// The ledger that a command works on: the given one, the private one of a server that runs, or the private
    /// one of a server that does not.
    pub(crate) async fn of(args: &LedgerArgs) -> Result<Self, Failure> {
        let wait = args.wait.named();
        if let Some(url) = &args.database_url {
            return Self::given(url, wait).await;
        }
        let data_dir = args.data_dir.clone().unwrap_or_else(default_data_dir);
        match Self::private(&data_dir, wait).await {
            Err(error) if is_busy(&*error) => {
                let dir = PrivatePg::dir_for(&data_dir.join("pg"));
                Self::given(&PrivatePg::running_url(&dir)?, wait).await
            }
            other => other,
        }
    }

    /// The queue in this ledger.
    pub(crate) fn queue(&self) -> Result<Queue, Failure> {
        Ok(costlens_workers::queue(&self.runtime_url, self.wait)?)
    }

    /// The tenant that was named, or the only one there is.
    pub(crate) async fn tenant_or_only(&self, named: Option<TenantId>) -> Result<TenantId, Failure> {
        if let Some(tenant) = named {
            return Ok(tenant);
        }
        match self.store.system().await?.list_tenants().await?.as_slice() {
            [only] => Ok(only.id),
            [] => Err("there is no tenant yet; `costlens tenants create NAME` makes one".into()),
            _ => Err("there are several tenants; name one with --tenant".into()),
        }
    }

    /// Stops what belongs to this process.
    pub(crate) async fn close(self) {
        drop(self.store);
        if let Some(private) = self.private {
            private.stop().await;
        }
    }
}

fn is_busy(error: &(dyn std::error::Error + 'static)) -> bool {
    matches!(error.downcast_ref::<PrivatePgError>(), Some(PrivatePgError::Owned { .. }))
}

/// `costlens migrate`.
pub(crate) async fn migrate(args: MigrateArgs) -> Result<(), Failure> {
    let login = args.runtime_password.map_or(RuntimeLogin::Unchanged, RuntimeLogin::Password);
    let migrated =
        costlens_store::migrate(&args.database_url, &login, vec![costlens_workers::schema()]).await?;
    print(&format!("{} of {} migrations applied now\n", migrated.applied.len(), migrated.total));
    Ok(())
}
