//! Tenants' own identity providers, and the proof that a domain of e-mail addresses is a tenant's.
//!
//! A provider that a tenant registered vouches for people of that tenant alone, and only for addresses in domains that
//! the tenant has proven. The proof is a TXT record that only who administers the domain can write.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use costlens_domain::SsoProviderId;
use costlens_domain::ports::Clock;
use costlens_domain::single_sign_on::{Look, RECORD_LABEL, RECORD_PREFIX, normal_domain};
use costlens_egress::Egress;

use crate::fetch::Fetch;
use crate::oidc::{Client, Oidc, Reach};

/// How many providers are remembered, with what they say of themselves and their keys.
const MOST: usize = 1_000;

/// Where anybody may have an address: nobody's people are all who have one there.
const MAIL_PROVIDERS: &[&str] = &[
    "126.com",
    "163.com",
    "aol.com",
    "att.net",
    "comcast.net",
    "duck.com",
    "fastmail.com",
    "free.fr",
    "gmail.com",
    "gmx.at",
    "gmx.ch",
    "gmx.com",
    "gmx.de",
    "gmx.net",
    "googlemail.com",
    "hey.com",
    "hotmail.co.uk",
    "hotmail.com",
    "hotmail.fr",
    "icloud.com",
    "libero.it",
    "live.com",
    "mac.com",
    "mail.com",
    "mail.ru",
    "me.com",
    "msn.com",
    "naver.com",
    "orange.fr",
    "outlook.com",
    "pm.me",
    "proton.me",
    "protonmail.com",
    "qq.com",
    "rediffmail.com",
    "seznam.cz",
    "sina.com",
    "t-online.de",
    "tuta.com",
    "tutanota.com",
    "verizon.net",
    "web.de",
    "yahoo.co.jp",
    "yahoo.co.uk",
    "yahoo.com",
    "yandex.com",
    "yandex.ru",
    "ymail.com",
    "zoho.com",
];

/// Why nobody can prove a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDomain {
    /// It is no domain.
    #[error("is no domain such as example.com; write others than ASCII letters as xn--…")]
    NotAName,
    /// Domains of many others end with it.
    #[error("is a suffix below which anybody may have a domain")]
    PublicSuffix,
    /// Anybody may have an address there.
    #[error("is a mail provider's, where anybody may have an address")]
    MailProvider,
}

/// A domain in its one spelling, if somebody could prove that it is theirs.
pub fn provable(text: &str) -> Result<String, BadDomain> {
    let domain = normal_domain(text).ok_or(BadDomain::NotAName)?;
    if MAIL_PROVIDERS.contains(&domain.as_str()) {
        return Err(BadDomain::MailProvider);
    }
    // Of `kawasaki.jp` each name below is everybody's, which makes it nobody's, too.
    if [&domain, &format!("any.{domain}")].into_iter().any(|name| psl::domain_str(name).is_none()) {
        return Err(BadDomain::PublicSuffix);
    }
    Ok(domain)
}

/// Where a domain's record may stand; what it must say follows from the token.
#[must_use]
pub fn record_names(domain: &str) -> [String; 2] {
    [format!("{RECORD_LABEL}.{domain}"), domain.to_owned()]
}

/// What the record must say.
#[must_use]
pub fn record(token: &str) -> String {
    format!("{RECORD_PREFIX}{token}")
}

/// Looks for a domain's record. It is missing only where both of its places were answered for.
pub async fn look(egress: &Egress, domain: &str, token: &str) -> Look {
    let wanted = record(token);
    let mut silent = false;
    for name in record_names(domain) {
        match egress.txt_records(&name).await {
            Ok(texts) if texts.iter().any(|text| text.trim() == wanted) => return Look::Seen,
            Ok(_) => {}
            Err(error) => {
                tracing::info!(
                    error = &error as &dyn std::error::Error,
                    "a domain's record was not looked at"
                );
                silent = true;
            }
        }
    }
    if silent { Look::Silent } else { Look::Missing }
}

/// The providers of all tenants, as far as this process has asked them.
pub struct Providers {
    egress: Egress,
    clock: Arc<dyn Clock>,
    /// Each as it has been since a moment: that of its last change.
    known: Mutex<HashMap<SsoProviderId, Known>>,
}

type Known = (DateTime<Utc>, Arc<Oidc>);

impl std::fmt::Debug for Providers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Providers").finish_non_exhaustive()
    }
}

impl Providers {
    /// None yet; they are asked by this way out.
    #[must_use]
    pub fn asked_by(egress: Egress, clock: Arc<dyn Clock>) -> Self {
        Self { egress, clock, known: Mutex::default() }
    }

    /// The way out to them and to name servers.
    #[must_use]
    pub const fn egress(&self) -> &Egress {
        &self.egress
    }

    /// A provider that is known as it has been since this moment.
    #[must_use]
    pub fn known(&self, id: SsoProviderId, changed_at: DateTime<Utc>) -> Option<Arc<Oidc>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&id).filter(|(at, _)| *at == changed_at).map(|(_, provider)| Arc::clone(provider))
    }

    /// A provider that nobody has asked yet.
    #[must_use]
    pub fn unasked(&self, issuer: &str, client: Client) -> Oidc {
        let fetch = Fetch::by(self.egress.clone());
        Oidc::new((issuer, Reach::OwnPeople), client, fetch, Arc::clone(&self.clock))
    }

    /// Remembers a provider.
    pub fn remember(&self, id: SsoProviderId, changed_at: DateTime<Utc>, provider: Oidc) -> Arc<Oidc> {
        let provider = Arc::new(provider);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(id, (changed_at, Arc::clone(&provider)));
        provider
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_can_prove_what_is_everybodys() {
        for everybodys in ["gmail.com", "Outlook.com.", "yahoo.co.uk", "web.de"] {
            assert_eq!(provable(everybodys), Err(BadDomain::MailProvider), "{everybodys}");
        }
        for suffix in ["co.uk", "com.au", "github.io", "kawasaki.jp"] {
            assert_eq!(provable(suffix), Err(BadDomain::PublicSuffix), "{suffix}");
        }
        for nothing in ["com", "", "10.1.2.3", "firm", "a b.com"] {
            assert_eq!(provable(nothing), Err(BadDomain::NotAName), "{nothing}");
        }
        for firm in ["firm.co.uk", "eng.firm.example", "firm.example"] {
            assert_eq!(provable(firm), Ok(firm.to_owned()));
        }
    }

    #[test]
    fn every_mail_provider_is_written_as_it_is_compared() {
        for domain in MAIL_PROVIDERS {
            assert_eq!(normal_domain(domain).as_deref(), Some(*domain));
        }
    }
}
