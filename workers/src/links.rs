//! Links into the console, for those who read mail.

use costlens_domain::TenantId;
use costlens_notify::words::Link;
use costlens_queue::{ErrorClass, JobError};
use costlens_vault::{Keyring, LinkPurpose, link_token};
use uuid::Uuid;

/// Where browsers reach this service.
#[derive(Clone, Debug)]
pub struct Links {
    base: String,
}

impl Links {
    /// Links below this address, `https://host`.
    #[must_use]
    pub fn below(public_url: &str) -> Self {
        Self { base: public_url.trim_end_matches('/').to_owned() }
    }

    /// A page of the console, or an address of the API.
    pub(crate) fn to(&self, path: &str) -> Result<Link, JobError> {
        let link = format!("{}{path}", self.base);
        Link::parse(&link).map_err(|bad| JobError::give_up(ErrorClass::Bug, "public_url", bad))
    }

    /// A page that does something for whoever has the link. The token stands behind `#`, so that no log on the way
    /// sees it.
    pub(crate) fn that_does(
        &self,
        keyring: &Keyring,
        purpose: LinkPurpose,
        (tenant, row): (TenantId, Uuid),
    ) -> Result<Link, JobError> {
        let page = match purpose {
            LinkPurpose::Confirm => "/confirm",
            LinkPurpose::Unsubscribe => "/unsubscribe",
            LinkPurpose::KeepAccount => "/keep-account",
            LinkPurpose::Invitation => "/invitation",
        };
        self.to(&format!("{page}#t={}", link_token(keyring, purpose, tenant, row)))
    }

    /// The address that a mail program posts to at one click (RFC 8058). The token is in the query, because mail
    /// programs send nothing else; it can do no more than stop mail.
    pub(crate) fn one_click(
        &self,
        keyring: &Keyring,
        (tenant, row): (TenantId, Uuid),
    ) -> Result<Link, JobError> {
        let token = link_token(keyring, LinkPurpose::Unsubscribe, tenant, row);
        self.to(&format!("/api/v1/unsubscribe?token={token}"))
    }
}
