//! Why a customer's bill cannot be read, by name. A name is stable: people look it up, programs match on it.

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $remedy:literal;)*) => {
        /// Why a customer's bill cannot be read.
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

            /// What whoever runs the account can do about it.
            #[must_use]
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$name => $remedy,)* }
            }
        }
    };
}

refusals! {
    /// The role is not there, or does not trust us: nobody is told which.
    RoleNotAssumable = "role_not_assumable",
        "Create the stack, or check that the role's trust policy names our role and this connection's ExternalId.";
    /// The role lets in whoever comes without the ExternalId, or with another.
    RoleWithoutExternalId = "role_without_external_id",
        "Add the condition StringEquals sts:ExternalId to the role's trust policy: without it others could read your \
         bill through us.";
    /// The role is in another account than was stated.
    WrongAccount = "wrong_account",
        "Connect the account that the role is in.";
    /// The session may not read what it must.
    AccessDenied = "access_denied",
        "Give the role the permissions of the template: s3:GetObject and s3:ListBucket on the prefix, \
         s3:GetBucketLocation on the bucket, and kms:Decrypt on the key if the reports are encrypted with one.";
    /// There is no such bucket.
    BucketNotFound = "bucket_not_found",
        "Check the bucket's name.";
    /// The bucket belongs to another account.
    BucketNotYours = "bucket_not_yours",
        "Connect the account that owns the bucket.";
    /// The bucket is elsewhere than was stated.
    WrongRegion = "wrong_region",
        "Leave the region out, or state the bucket's own.";
    /// There are data files and no manifest, which AWS writes last: the first delivery is under way, or the manifest was
    /// removed.
    ManifestMissing = "manifest_missing",
        "Wait for the first delivery to be complete; if that was days ago, have AWS write the report anew.";
    /// A manifest that is none.
    ManifestUnreadable = "manifest_unreadable",
        "Have AWS write the report anew; if that changes nothing, tell us.";
    /// A manifest that leads out of the prefix.
    OutsidePrefix = "outside_prefix",
        "State the prefix that all files of the report lie under.";
    /// The manifest names files that are not there.
    PartsMissing = "parts_missing",
        "Wait for the delivery to be complete; if that was days ago, have AWS write the report anew.";
    /// The report lies there, and nothing was delivered for two days.
    NothingDelivered = "nothing_delivered",
        "Check bucket, prefix and the report's name; the first delivery takes AWS up to a day.";
    /// What was delivered last is older than a day and a half.
    DeliveryStale = "delivery_stale",
        "See in the account whether the export is still there, healthy, and writes to this bucket; AWS writes at least \
         once a day.";
    /// The delivery moved whenever it was read.
    ChangedInMidRead = "changed_in_mid_read",
        "Nothing to do: it is read again.";
    /// The report lacks a column without which there is no cost.
    ColumnMissing = "column_missing",
        "Create the export with the columns of the template.";
    /// A file of the report is corrupt or no bill.
    FileUnreadable = "file_unreadable",
        "Have AWS write the report anew; if that changes nothing, tell us.";
    /// The month is larger than this installation takes.
    TooLarge = "too_large",
        "Ask whoever runs Costlens for you to raise the limit.";
    /// Another connected account delivers the months of the same accounts.
    DeliveredTwice = "delivered_twice",
        "Pause or disconnect one of the two accounts: both deliver months of the same accounts, and a month counts once.";
    /// Reading failed for reasons of ours.
    Internal = "internal",
        "Nothing to do: it is tried again. The reason stands in the service's log.";
}

impl Refusal {
    /// The one of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|refusal| refusal.as_str() == name)
    }

    /// Whether it is the role that does not let us in: nothing more of the account can be read before that changes.
    #[must_use]
    pub const fn is_of_access(self) -> bool {
        matches!(
            self,
            Self::RoleNotAssumable
                | Self::RoleWithoutExternalId
                | Self::WrongAccount
                | Self::AccessDenied
                | Self::BucketNotFound
                | Self::BucketNotYours
                | Self::WrongRegion
        )
    }
}
