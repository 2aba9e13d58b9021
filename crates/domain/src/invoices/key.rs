//! The keys that open a vendor's cost reports. They are told from the keys of calls by their beginning, so that one that
//! can never work is refused before anybody is asked.

use std::fmt;

use super::InvoiceVendor;

/// An admin key. Never shown, not in a log either.
#[derive(Clone, PartialEq, Eq)]
pub struct AdminKey(String);

/// Why a text is no admin key. It does not repeat the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAdminKey {
    /// A key that makes calls: it opens no reports, and has no business here.
    #[error("is a key for calls of {vendor}; the cost report needs an admin key, which begins with {prefix}")]
    ForCalls {
        /// The vendor.
        vendor: &'static str,
        /// What its admin keys begin with.
        prefix: &'static str,
    },
    /// The other vendor's.
    #[error("is an admin key of {of}, not of {vendor}")]
    OfAnother {
        /// Whose it is.
        of: &'static str,
        /// Whose it should be.
        vendor: &'static str,
    },
    /// Something else.
    #[error("is no admin key of {vendor}: those begin with {prefix} and have letters, digits, - and _ only")]
    Shape {
        /// The vendor.
        vendor: &'static str,
        /// What its admin keys begin with.
        prefix: &'static str,
    },
}

/// A key has more characters than this, its beginning included.
const SHORTEST: usize = 24;
/// And fewer than this.
const LONGEST: usize = 512;

impl InvoiceVendor {
    /// What its admin keys begin with.
    #[must_use]
    pub const fn key_prefix(self) -> &'static str {
        match self {
            Self::Anthropic => "sk-ant-admin",
            Self::OpenAi => "sk-admin-",
        }
    }
}

impl AdminKey {
    /// The key that a text is, by its shape.
    pub fn parse(vendor: InvoiceVendor, text: &str) -> Result<Self, BadAdminKey> {
        let text = text.trim();
        let (name, prefix) = (vendor.title(), vendor.key_prefix());
        let other =
            InvoiceVendor::ALL.into_iter().find(|of| *of != vendor && text.starts_with(of.key_prefix()));
        if let Some(of) = other {
            return Err(BadAdminKey::OfAnother { of: of.title(), vendor: name });
        }
        if !text.starts_with(prefix) && text.starts_with("sk-") {
            return Err(BadAdminKey::ForCalls { vendor: name, prefix });
        }
        let is_key = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if !text.starts_with(prefix)
            || !(SHORTEST..LONGEST).contains(&text.len())
            || !text.chars().all(is_key)
        {
            return Err(BadAdminKey::Shape { vendor: name, prefix });
        }
        Ok(Self(text.to_owned()))
    }

    /// The key, for the one header that it goes into, and to be sealed.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What tells it from others of its owner: its last four characters.
    #[must_use]
    pub fn hint(&self) -> &str {
        let at = self.0.len().saturating_sub(4);
        self.0.get(at..).unwrap_or_default()
    }
}

impl fmt::Debug for AdminKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminKey(…)")
    }
}
