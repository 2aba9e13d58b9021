//! What names an object: whose it is, what it is for, which it is.

use std::fmt;
use std::str::FromStr;

use costlens_domain::TenantId;

/// The area of what was begun and not finished.
pub(crate) const INCOMING: &str = "incoming";

/// The longest part of a key.
const LONGEST: usize = 100;

/// A text that is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key has the form <tenant>/<area>/<name>, of letters, digits and underscores")]
pub struct BadKey;

/// An object's key, `<tenant>/<area>/<name>`. No key leads out of its tenant's part.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectKey {
    tenant: TenantId,
    area: String,
    name: String,
}

impl ObjectKey {
    /// The key of a tenant's object. Area and name are letters, digits and underscores, as ids are.
    pub fn new(tenant: TenantId, area: &str, name: &str) -> Result<Self, BadKey> {
        if !is_plain(area) || !is_plain(name) {
            return Err(BadKey);
        }
        Ok(Self { tenant, area: area.to_owned(), name: name.to_owned() })
    }

    /// Whose it is.
    #[must_use]
    pub const fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// What it is for.
    #[must_use]
    pub fn area(&self) -> &str {
        &self.area
    }

    /// Which it is; also the name of its local copy.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is written until it is whole.
    pub(crate) fn incoming(&self) -> Self {
        Self { tenant: self.tenant, area: INCOMING.to_owned(), name: self.name.clone() }
    }

    pub(crate) fn path(&self) -> object_store::path::Path {
        object_store::path::Path::from(self.to_string())
    }
}

pub(crate) fn is_plain(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !text.is_empty() && text.len() <= LONGEST && text.bytes().all(plain)
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.tenant, self.area, self.name)
    }
}

impl FromStr for ObjectKey {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        let mut parts = text.split('/');
        let (Some(tenant), Some(area), Some(name), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(BadKey);
        };
        Self::new(tenant.parse().map_err(|_| BadKey)?, area, name)
    }
}
