//! The kinds of messages and what each says.
//!
//! A kind is a struct of its own figures, exact and serialisable, so that whoever sends may freeze them first and
//! render the same words at every attempt. [`Message`] is any of them. The words of a kind are said once, as a page of
//! sections; letter and Slack message are two drawings of the same page.

mod alerts;
mod bills;
mod blocks;
mod channels;
mod deletion;
pub(crate) mod figures;
mod letter;
pub(crate) mod names;
mod page;
mod people;
mod samples;
mod styles;
mod weekly_digest;

use serde::{Deserialize, Serialize};

pub use alerts::{AnomalyAlert, BudgetAlert, Contributor, ExpectedCrossing};
pub use bills::{BillFailed, BillPublished};
pub use channels::{ChannelDisabled, ConfirmRecipient, Medium};
pub use costlens_domain::calendar::{UnknownZone, Zone};
pub use deletion::{DeletionCancelled, DeletionDone, DeletionRequested, Erased};
pub use letter::{Letter, Unfilled};
pub use names::{BadLink, Link};
pub use people::{
    AccountExists, InvitationLink, PasswordChanged, PasswordResetLink, RegistrationLink, SignInChanged,
};
pub use samples::sample;
pub use weekly_digest::{AnomalyLine, BillPart, BillTotal, BudgetLine, DaySpend, Ranked, WeeklyDigest};

use crate::slack::SlackMessage;
use page::Page;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal, slack: $slack:literal;)*) => {
        /// A kind of message.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Kind {
            $($(#[$doc])* $name,)*
        }

        impl Kind {
            /// Every kind there is.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The kind's stable name, as it stands in rows and on the command line.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// Whether the kind is also said in Slack. What is between us and one address is not.
            #[must_use]
            pub const fn goes_to_slack(self) -> bool {
                match self {
                    $(Self::$name => $slack,)*
                }
            }
        }

        /// A message of any kind, with its figures.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "kind", rename_all = "snake_case")]
        pub enum Message {
            $($(#[$doc])* $name(Box<$name>),)*
        }

        impl Message {
            /// Which kind it is.
            #[must_use]
            pub const fn kind(&self) -> Kind {
                match self {
                    $(Self::$name(_) => Kind::$name,)*
                }
            }

            fn page(&self) -> Page {
                match self {
                    $(Self::$name(figures) => figures.page(),)*
                }
            }
        }

        $(impl From<$name> for Message {
            fn from(figures: $name) -> Self {
                Self::$name(Box::new(figures))
            }
        })*
    };
}

kinds! {
    /// The week's figures.
    WeeklyDigest = "weekly_digest", slack: true;
    /// A budget reached a threshold.
    BudgetAlert = "budget_alert", slack: true;
    /// A series of costs left its usual course.
    AnomalyAlert = "anomaly_alert", slack: true;
    /// A bill was read.
    BillPublished = "bill_published", slack: true;
    /// A bill could not be read.
    BillFailed = "bill_failed", slack: true;
    /// A channel was stopped.
    ChannelDisabled = "channel_disabled", slack: true;
    /// Somebody asked that everything be erased.
    DeletionRequested = "deletion_requested", slack: false;
    /// The deletion was called off.
    DeletionCancelled = "deletion_cancelled", slack: false;
    /// Everything was erased.
    DeletionDone = "deletion_done", slack: false;
    /// An address is to say yes.
    ConfirmRecipient = "confirm_recipient", slack: false;
    /// Whoever reads the address may become a user.
    RegistrationLink = "registration_link", slack: false;
    /// Somebody wanted to register who is registered.
    AccountExists = "account_exists", slack: false;
    /// A new password may be set.
    PasswordResetLink = "password_reset_link", slack: false;
    /// A password was changed.
    PasswordChanged = "password_changed", slack: false;
    /// A way to sign in, or a second factor, was added or taken away.
    SignInChanged = "sign_in_changed", slack: false;
    /// Somebody is asked to become a member.
    InvitationLink = "invitation_link", slack: false;
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that no kind has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no kind of message")]
pub struct NoSuchKind(pub String);

impl std::str::FromStr for Kind {
    type Err = NoSuchKind;

    fn from_str(name: &str) -> Result<Self, NoSuchKind> {
        let found = Self::ALL.iter().find(|kind| kind.as_str() == name);
        found.copied().ok_or_else(|| NoSuchKind(name.to_owned()))
    }
}

impl Message {
    /// The message as a letter. Fails only where a template is broken, which a test would have noticed.
    pub fn letter(&self) -> Result<Letter, Unfilled> {
        letter::draw(&self.page())
    }

    /// The message for Slack; none for kinds that do not go there.
    #[must_use]
    pub fn slack(&self) -> Option<SlackMessage> {
        self.kind().goes_to_slack().then(|| blocks::draw(&self.page()))
    }
}

/// How a kind looks, over sample figures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Preview {
    /// The mail's subject.
    pub subject: String,
    /// The mail's HTML.
    pub html: String,
    /// The mail's text.
    pub text: String,
    /// The Slack message, for kinds that go there.
    pub slack: Option<SlackMessage>,
}

/// A kind's preview. The same on any day.
pub fn preview(kind: Kind) -> Result<Preview, Unfilled> {
    let message = sample(kind);
    let Letter { subject, html, text } = message.letter()?;
    Ok(Preview { subject, html, text, slack: message.slack() })
}

#[cfg(test)]
mod tests;
