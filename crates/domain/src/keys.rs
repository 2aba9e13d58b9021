//! What an API key may be used for.

/// Something that an API key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyScope {
    /// Calling models through the proxy.
    Proxy,
    /// Reading calls and their receipts.
    RequestsRead,
    /// Reading spend.
    SpendRead,
    /// Reading bills and what they say about AI.
    BillsRead,
    /// Handing in calls that never passed the proxy.
    CallsImport,
}

impl KeyScope {
    /// Every scope.
    pub const ALL: [Self; 5] =
        [Self::Proxy, Self::RequestsRead, Self::SpendRead, Self::BillsRead, Self::CallsImport];

    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Proxy => "proxy",
            Self::RequestsRead => "requests.read",
            Self::SpendRead => "spend.read",
            Self::BillsRead => "bills.read",
            Self::CallsImport => "calls.import",
        }
    }

    /// By its stable name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// The scopes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyScopes(u8);

impl KeyScopes {
    /// Everything that a key can be used for.
    pub const ALL: Self = Self(0b1_1111);

    /// What a key gets where nobody says: who hands in calls of others' is to be told so.
    pub const USUAL: Self = Self(0b1111);

    /// Whether this is among them.
    #[must_use]
    pub const fn has(self, scope: KeyScope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Those of them that are not among the others.
    #[must_use]
    pub const fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// They, in the order of [`KeyScope::ALL`].
    pub fn iter(self) -> impl Iterator<Item = KeyScope> {
        KeyScope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }

    /// Their stable names.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        self.iter().map(KeyScope::as_str).collect()
    }
}

impl FromIterator<KeyScope> for KeyScopes {
    fn from_iter<I: IntoIterator<Item = KeyScope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |all, scope| all | scope.bit()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_a_set_with_stable_names() {
        assert_eq!(KeyScope::ALL.into_iter().collect::<KeyScopes>(), KeyScopes::ALL);
        for scope in KeyScope::ALL {
            assert_eq!(KeyScope::from_name(scope.as_str()), Some(scope));
            let one: KeyScopes = [scope, scope].into_iter().collect();
            assert_eq!(one.names(), [scope.as_str()]);
            assert!(KeyScope::ALL.into_iter().all(|other| one.has(other) == (other == scope)));
        }
        assert_eq!(KeyScopes::ALL.without(KeyScopes::USUAL).names(), ["calls.import"]);
        assert_eq!(KeyScopes::USUAL.without(KeyScopes::ALL).names(), Vec::<&str>::new());
        assert_eq!(KeyScope::from_name("Proxy"), None);
        assert!(
            KeyScope::ALL
                .into_iter()
                .all(|scope| KeyScopes::USUAL.has(scope) != (scope == KeyScope::CallsImport))
        );
    }
}
