//! What can be done with the management API, and as what.
//!
//! One table: each permission names the least role that has it, and whether it changes anything. A new permission does
//! not compile before it has its row.

use costlens_domain::Role;
use costlens_domain::keys::KeyScope;

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident: $role:ident, $kind:ident;)*) => {
        /// What can be done with the management API.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "most names say it")]
        pub enum Permission {
            $($(#[$doc])* $name,)*
        }

        impl Permission {
            /// Every permission.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The least role that has it.
            #[must_use]
            pub const fn least_role(self) -> Role {
                match self {
                    $(Self::$name => Role::$role,)*
                }
            }

            /// Whether it changes nothing.
            #[must_use]
            pub const fn only_reads(self) -> bool {
                match self {
                    $(Self::$name => permissions!(@$kind),)*
                }
            }
        }
    };
    (@reads) => { true };
    (@writes) => { false };
}

permissions! {
    SpendRead: Viewer, reads;
    BillsRead: Viewer, reads;
    BudgetsRead: Viewer, reads;
    SettingsRead: Viewer, reads;
    /// One's own user, sessions and second factor.
    OwnUser: Viewer, reads;
    RequestsRead: Member, reads;
    ExportsRead: Member, reads;
    ExportsWrite: Member, writes;
    KeysRead: Member, reads;
    KeysWrite: Member, writes;
    ConnectionsRead: Member, reads;
    MembersRead: Member, reads;
    BillsWrite: Analyst, writes;
    /// Handing in calls that never passed the proxy.
    CallsImport: Analyst, writes;
    BudgetsWrite: Analyst, writes;
    NotificationsRead: Analyst, reads;
    WorkflowsRead: Analyst, reads;
    ConnectionsWrite: Admin, writes;
    SettingsWrite: Admin, writes;
    NotificationsWrite: Admin, writes;
    InvitationsRead: Admin, reads;
    MembersWrite: Admin, writes;
    SingleSignOnRead: Admin, reads;
    /// Who vouches for the organisation's people, and for which addresses.
    SingleSignOnWrite: Admin, writes;
    AuditRead: Admin, reads;
    /// Reading prompts and answers, which no key may. Each time is written down, and who acts in another's name reads
    /// none.
    BodiesRead: Admin, writes;
    /// Making what is kept of a key's prompts and answers unreadable.
    BodiesDestroy: Admin, writes;
    /// Seeing whom of those who run the service the account lets read prompts and answers.
    SupportAccessRead: Admin, reads;
    /// Letting whoever runs the service read prompts and answers.
    SupportAccess: Admin, writes;
    /// Asking for the account's end, seeing how far it is, and keeping the account after all.
    AccountClose: Owner, writes;
    /// Running the service: every tenant's workflows. No role has it: see `Principal::operator`.
    Operate: Owner, writes;
}

impl Permission {
    /// The scope by which a key has it. `None` for what no key may.
    #[must_use]
    pub const fn key_scope(self) -> Option<KeyScope> {
        match self {
            Self::RequestsRead => Some(KeyScope::RequestsRead),
            Self::SpendRead => Some(KeyScope::SpendRead),
            Self::BillsRead => Some(KeyScope::BillsRead),
            Self::CallsImport => Some(KeyScope::CallsImport),
            _ => None,
        }
    }

    /// Whether a role has it.
    #[must_use]
    pub fn is_of(self, role: Role) -> bool {
        role >= self.least_role()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_only_looks_changes_nothing_and_owners_alone_close_the_account() {
        for permission in Permission::ALL {
            assert!(permission.only_reads() || !permission.is_of(Role::Viewer), "{permission:?}");
            assert!(permission.is_of(Role::Owner), "{permission:?}");
        }
        assert!(!Permission::AccountClose.is_of(Role::Admin));
        assert!(!Permission::MembersWrite.is_of(Role::Analyst));
        assert!(!Permission::AuditRead.is_of(Role::Analyst));
        assert!(!Permission::BodiesRead.is_of(Role::Analyst) && !Permission::BodiesRead.only_reads());
        assert!(Permission::KeysWrite.is_of(Role::Member) && !Permission::KeysWrite.is_of(Role::Viewer));
    }
}
