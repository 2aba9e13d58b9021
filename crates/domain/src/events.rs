//! The kinds of events that programs are told of by webhooks. A name never changes its meaning.

macro_rules! event_kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// What kind of thing happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum EventKind { $($(#[$doc])* $name,)* }

        impl EventKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable name, as in an event's `type`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

event_kinds! {
    /// A bill was read, and counts.
    BillPublished = "bill.published";
    /// A bill could not be read; nothing changed.
    BillFailed = "bill.failed";
    /// A budget's threshold was reached.
    BudgetReached = "budget.reached";
    /// A monthly budget is expected to be crossed before its month ends.
    BudgetForecast = "budget.forecast";
    /// An hour or a day cost more than its past explains, or costs have kept to another level for three days, be it a lower
    /// one.
    AnomalyFound = "anomaly.found";
    /// An API key was made.
    KeyCreated = "key.created";
    /// An API key was revoked.
    KeyRevoked = "key.revoked";
    /// An export can be downloaded.
    ExportDone = "export.done";
    /// Somebody asked to see whether a webhook arrives.
    WebhookTest = "webhook.test";
}

impl EventKind {
    /// The kind of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == name)
    }
}
