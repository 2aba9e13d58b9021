//! Who belongs to a tenant, and as what.

use std::fmt;
use std::str::FromStr;

/// What a member may do is said in one table by role, beside the operations (`api`'s permissions).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Looks at spend, bills and budgets.
    Viewer,
    /// Uses the proxy: has keys, sees calls.
    Member,
    /// Works with the figures: uploads bills, sets budgets.
    Analyst,
    /// Runs the account day by day, but for its owners and its end.
    Admin,
    /// May do everything, and closes the account.
    Owner,
}

impl Role {
    /// Every role, the least first.
    pub const ALL: [Self; 5] = [Self::Viewer, Self::Member, Self::Analyst, Self::Admin, Self::Owner];

    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Member => "member",
            Self::Analyst => "analyst",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// Whether it runs the account. Who does signs in anew after an hour.
    #[must_use]
    pub const fn administers(self) -> bool {
        matches!(self, Self::Owner | Self::Admin)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that no role has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no role; there are viewer, member, analyst, admin and owner")]
pub struct UnknownRole(pub String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(name: &str) -> Result<Self, UnknownRole> {
        let found = Self::ALL.into_iter().find(|role| role.as_str() == name);
        found.ok_or_else(|| UnknownRole(name.to_owned()))
    }
}

/// The longest address (RFC 5321, section 4.5.3.1.3, without its brackets).
const LONGEST_EMAIL: usize = 254;

/// An address as it is compared and stored: without blanks around it, in lower case. `None` for what is no address:
/// whether it exists only a mail can say.
#[must_use]
pub fn normal_email(text: &str) -> Option<String> {
    let text = text.trim();
    let (local, host) = text.rsplit_once('@')?;
    let odd = |c: char| {
        c.is_control() || c.is_whitespace() || matches!(c, '<' | '>' | '"' | ',' | ';' | '\\' | '@')
    };
    let plain = !local.is_empty()
        && local.len() <= 64
        && !host.is_empty()
        && host.split('.').all(|label| !label.is_empty())
        && !text.chars().filter(|c| *c != '@').any(odd)
        && !local.contains('@')
        && text.len() <= LONGEST_EMAIL;
    plain.then(|| text.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_reads_back_and_owners_stand_above_all() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
            assert!(role <= Role::Owner);
        }
        assert!("root".parse::<Role>().is_err());
        assert!("Owner".parse::<Role>().is_err());
    }

    #[test]
    fn an_address_is_one_whatever_its_case_and_blanks() {
        assert_eq!(normal_email(" Ann@Example.COM "), Some("ann@example.com".to_owned()));
        assert_eq!(normal_email("a+b@x.io"), Some("a+b@x.io".to_owned()));
    }

    #[test]
    fn what_is_no_address_is_none() {
        let longest = format!("{}@{}", "a".repeat(64), "b".repeat(190));
        for text in [
            "",
            "@",
            "a@",
            "@b",
            "a",
            "a b@c.io",
            "a@b..c",
            "a@.b",
            "a@b@c",
            "a\n@b.c",
            "<a@b.c>",
            "a@b.c, d@e.f",
            longest.as_str(),
            "\"a\"@b.c",
        ] {
            assert_eq!(normal_email(text), None, "{text:?}");
        }
    }
}
