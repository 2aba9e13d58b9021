//! `costlens sign-in`: a single-use link into a tenant's console.

use chrono::TimeDelta;
use costlens_domain::TenantId;
use costlens_domain::audit::Action;
use costlens_domain::ports::Clock;
use costlens_store::{NewSignInLink, Store};
use costlens_vault::secret_token::SIGN_IN_PREFIX;
use costlens_vault::{OsEntropy, SecretToken};
use serde_json::json;

use crate::boot::{Failure, Ledger};
use crate::cli::{SignInArgs, print};
use crate::clock::SystemClock;
use crate::record;

/// How long a link waits to be used.
const LINK_LIFE: TimeDelta = TimeDelta::minutes(30);

pub(crate) async fn run(args: SignInArgs) -> Result<(), Failure> {
    let ledger = Ledger::of(&args.ledger).await?;
    let link = make_link(&ledger, &args).await;
    ledger.close().await;
    print(&format!("{}\n", link?));
    Ok(())
}

async fn make_link(ledger: &Ledger, args: &SignInArgs) -> Result<String, Failure> {
    let tenant = ledger.tenant_or_only(args.tenant).await?;
    let base = args.public_url.trim_end_matches('/');
    link(&ledger.store, tenant, args.operator, base, &SystemClock).await
}

/// Makes a link. The token stands behind `#`, so that no server, proxy or log on the way ever sees it.
pub(crate) async fn link(
    store: &Store,
    tenant_id: TenantId,
    operator: bool,
    public_url: &str,
    clock: &dyn Clock,
) -> Result<String, Failure> {
    let now = clock.now();
    let token = SecretToken::generate(SIGN_IN_PREFIX, &OsEntropy);
    let link = NewSignInLink {
        tenant_id,
        hash: token.hash().0,
        created_at: now,
        expires_at: now + LINK_LIFE,
        operator,
    };
    let mut tx = store.system().await?.begin().await?;
    tx.system()?.create_sign_in_link(&link).await?;
    let made = Action::SignInLinkCreated;
    if operator {
        // Whose console it opens is not said here: an erasure would not find it.
        tx.system()?.note_operator_event(&record::event(clock, made, None, json!({}))).await?;
    }
    tx.system()?
        .audit_of(tenant_id, &record::event(clock, made, None, json!({ "operator": operator })))
        .await?;
    tx.commit().await?;
    Ok(format!("{public_url}/welcome#t={}", token.reveal()))
}
