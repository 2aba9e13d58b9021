//! Where vendors' reports are asked for: their own addresses, unless whoever runs this says another.

use costlens_domain::invoices::InvoiceVendor;
use costlens_egress::{EndpointUrl, Policy};

/// The address of each vendor's API.
#[derive(Clone, Debug)]
pub struct InvoiceHosts {
    anthropic: EndpointUrl,
    openai: EndpointUrl,
}

impl InvoiceHosts {
    /// The vendors' own addresses, but for those that entries like `openai=https://…` name. Fails in words.
    pub fn new(entries: &[String], policy: &Policy) -> Result<Self, String> {
        let own = |vendor: InvoiceVendor| {
            EndpointUrl::parse(vendor.base_url(), policy)
                .map_err(|refused| format!("{}: {refused}", vendor.as_str()))
        };
        let mut hosts =
            Self { anthropic: own(InvoiceVendor::Anthropic)?, openai: own(InvoiceVendor::OpenAi)? };
        for entry in entries.iter().filter(|entry| !entry.trim().is_empty()) {
            let (name, url) = entry.split_once('=').ok_or_else(|| format!("`{entry}` is not NAME=URL"))?;
            let vendor = InvoiceVendor::from_name(name.trim())
                .ok_or_else(|| format!("`{name}` is no vendor whose reports are read"))?;
            let url =
                EndpointUrl::parse(url.trim(), policy).map_err(|refused| format!("{name}: {refused}"))?;
            match vendor {
                InvoiceVendor::Anthropic => hosts.anthropic = url,
                InvoiceVendor::OpenAi => hosts.openai = url,
            }
        }
        Ok(hosts)
    }

    /// A vendor's.
    pub(super) const fn of(&self, vendor: InvoiceVendor) -> &EndpointUrl {
        match vendor {
            InvoiceVendor::Anthropic => &self.anthropic,
            InvoiceVendor::OpenAi => &self.openai,
        }
    }
}
