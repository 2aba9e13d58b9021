//! Why a vendor's bill cannot be read, by name. A name is stable: people look it up, programs match on it.

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $remedy:literal;)*) => {
        /// Why a vendor's bill cannot be read.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Refusal { $($(#[$doc])* $name,)* }

        impl Refusal {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// What whoever holds the key can do about it.
            #[must_use]
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$name => $remedy,)* }
            }
        }
    };
}

refusals! {
    /// The vendor does not know the key (any more).
    KeyRefused = "key_refused",
        "Make a new admin key at the vendor and replace this one by it.";
    /// The vendor knows the key, and it may not read the reports.
    AccessDenied = "access_denied",
        "Replace the key by an admin key of the organisation, with the right to read usage and costs.";
    /// What is kept of the key does not open: the vendor cannot be asked with it.
    KeyUnreadable = "key_unreadable",
        "Replace the key, by itself or by another: what is kept of it cannot be read any more.";
    /// Another of the tenant's sources reads the same organisation: both would count.
    OrganisationConnected = "organisation_connected",
        "Revoke one of the two: a bill counts once.";
    /// The key is of another organisation than the months that were read.
    OrganisationChanged = "organisation_changed",
        "Connect the other organisation by itself, and replace this key by one of the first.";
    /// An answer that is no report, or says what cannot be.
    ReportUnreadable = "report_unreadable",
        "Nothing to do: it is read again. If it stays, tell us.";
    /// The vendor does not take the question.
    QuestionRefused = "question_refused",
        "Nothing to do: it is asked again. If it stays, tell us.";
    /// The vendor cannot be asked now.
    VendorAway = "vendor_away",
        "Nothing to do: it is asked again.";
}

impl Refusal {
    /// The one of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|refusal| refusal.as_str() == name)
    }
}
