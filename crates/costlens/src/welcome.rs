//! The first minute: what a fresh start makes and prints, so that one click and one curl line work.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use costlens_domain::audit::Action;
use costlens_domain::keys::KeyScopes;
use costlens_domain::ports::{Clock, Entropy as _};
use costlens_domain::request::{Durability, HangupPolicy, StreamUsagePolicy};
use costlens_domain::{ApiKeyId, TenantId};
use costlens_store::{NewApiKey, Store};
use costlens_vault::secret_token::API_KEY_PREFIX;
use costlens_vault::{OsEntropy, SecretToken};
use serde_json::json;

use crate::boot::{Failure, Ledger};
use crate::cli::print;
use crate::{record, sign_in, tenants};

/// The key that the printed curl line carries. A later start revokes it and makes another: its secret was shown
/// once and is kept nowhere.
const QUICK_START: &str = "quick start";

/// What a start has to show.
#[derive(Debug)]
pub(crate) struct Welcome {
    tenant: TenantId,
    sign_in: String,
    key: String,
    base: String,
}

impl Welcome {
    /// The first tenant (made if there is none), a sign-in link and a key for it.
    pub(crate) async fn prepare(ledger: &Ledger, base: &str, clock: &dyn Clock) -> Result<Self, Failure> {
        let first = ledger.store.system().await?.list_tenants().await?.into_iter().next();
        let tenant = match first {
            Some(tenant) => tenant,
            None => tenants::create(ledger, "My organisation", clock).await?,
        };
        Ok(Self {
            tenant: tenant.id,
            // Who starts the process runs the service.
            sign_in: sign_in::link(&ledger.store, tenant.id, true, base, clock).await?,
            key: quick_start_key(&ledger.store, tenant.id, clock).await?,
            base: base.to_owned(),
        })
    }

    /// For programs: one JSON object on one line.
    pub(crate) fn print_json(&self, listening: std::net::SocketAddr) {
        let line = json!({
            "listening": listening.to_string(),
            "base_url": self.base,
            "sign_in": self.sign_in,
            "tenant_id": self.tenant,
            "api_key": self.key,
        });
        print(&format!("{line}\n"));
    }

    /// For people.
    pub(crate) fn print(&self, notes: &[String]) {
        let tty = std::io::stdout().is_terminal();
        let (bold, plain) = if tty { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
        let Self { base, key, sign_in, .. } = self;
        let mut text = format!("\n  {bold}Costlens {}{plain}\n", env!("CARGO_PKG_VERSION"));
        for note in notes {
            let _infallible = writeln!(text, "  {note}");
        }
        let _infallible = write!(
            text,
            "\n  Console   {bold}{sign_in}{plain}\n            (a single-use sign-in link, valid for 30 minutes)\n  \
             Proxy     {base}/v1        API   {base}/api/v1        Contract   {base}/openapi.json\n\n  \
             Try it:\n\n  \
             curl {base}/v1/chat/completions -H 'Authorization: Bearer {key}' \
             -H 'Content-Type: application/json' \
             -d '{{\"model\":\"demo/echo\",\"messages\":[{{\"role\":\"user\",\"content\":\"Hello, ledger!\"}}]}}'\n\n"
        );
        print(&text);
    }
}

async fn quick_start_key(store: &Store, tenant: TenantId, clock: &dyn Clock) -> Result<String, Failure> {
    let now = clock.now();
    let mut conn = store.tenant(tenant).await?;
    for key in conn.list_keys(None, 200).await? {
        if key.name == QUICK_START && key.revoked_at.is_none() {
            conn.revoke_key(key.id, now).await?;
            let change = json!({ "name": key.name });
            conn.audit(&record::event(clock, Action::KeyRevoked, Some(key.id.to_string()), change)).await?;
        }
    }
    let secret = SecretToken::generate(API_KEY_PREFIX, &OsEntropy);
    let id = ApiKeyId::new(now, OsEntropy.for_id());
    conn.create_key(&NewApiKey {
        id,
        hash: secret.hash().0,
        name: QUICK_START.to_owned(),
        hint: secret.hint().to_owned(),
        hangup: HangupPolicy::Drain,
        stream_usage: StreamUsagePolicy::Inject,
        durability: Durability::Spool,
        created_at: now,
        scopes: KeyScopes::USUAL,
        expires_at: None,
        zero_retention: false,
        shown_to: None,
    })
    .await?;
    let change = json!({ "name": QUICK_START });
    conn.audit(&record::event(clock, Action::KeyCreated, Some(id.to_string()), change)).await?;
    conn.commit().await?;
    Ok(secret.reveal().to_owned())
}
