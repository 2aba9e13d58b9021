//! `costlens tenants`: customer organisations from the command line.

use std::sync::Arc;

use costlens_domain::TenantId;
use costlens_domain::audit::Action;
use costlens_domain::ports::{Clock, Entropy as _};
use costlens_store::Tenant;
use costlens_vault::OsEntropy;
use serde_json::json;

use crate::boot::{Failure, Ledger};
use crate::cli::{TenantsArgs, TenantsCommand, print};
use crate::clock::SystemClock;
use crate::record;

pub(crate) async fn run(args: TenantsArgs) -> Result<(), Failure> {
    let ledger = Ledger::of(&args.ledger).await?;
    let done = work(&ledger, args.command).await;
    ledger.close().await;
    done
}

async fn work(ledger: &Ledger, command: TenantsCommand) -> Result<(), Failure> {
    match command {
        TenantsCommand::Create { name } => {
            let clock: Arc<dyn Clock> = Arc::new(SystemClock);
            let tenant = create(ledger, &name, &*clock).await?;
            print(&format!("{}\n", tenant.id));
        }
        TenantsCommand::List => {
            for tenant in ledger.store.system().await?.list_tenants().await? {
                let made = tenant.created_at.format("%Y-%m-%d");
                print(&format!("{}  {made}  {}\n", tenant.id, tenant.name));
            }
        }
    }
    Ok(())
}

/// Makes a tenant.
pub(crate) async fn create(ledger: &Ledger, name: &str, clock: &dyn Clock) -> Result<Tenant, Failure> {
    let name = name.trim();
    if name.is_empty() || name.len() > 200 {
        return Err("a tenant's name must have 1 to 200 characters".into());
    }
    let now = clock.now();
    let tenant = Tenant::new(TenantId::new(now, OsEntropy.for_id()), name, now);
    let mut tx = ledger.store.system().await?.begin().await?;
    tx.system()?.create_tenant(&tenant).await?;
    tx.system()?.audit_of(tenant.id, &record::event(clock, Action::TenantCreated, None, json!({}))).await?;
    tx.commit().await?;
    Ok(tenant)
}
