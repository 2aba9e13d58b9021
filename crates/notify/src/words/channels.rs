//! News of the channels themselves: one was stopped, or an address is to be confirmed.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::words::figures;
use crate::words::names::{Link, name, text};
use crate::words::page::{Page, Section};
use costlens_domain::calendar::Zone;

/// What kind of channel is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Medium {
    /// A Slack incoming webhook.
    Slack,
    /// An outgoing webhook.
    Webhook,
}

/// A channel was stopped: nothing more goes there until somebody mends it. Or one message to it was given up, and others
/// still go there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelDisabled {
    /// The tenant's name.
    pub tenant: String,
    /// What it was.
    pub medium: Medium,
    /// The channel as the tenant knows it. Never a Slack URL, which is a secret.
    pub channel: String,
    /// Why, in words.
    pub reason: String,
    /// Whether other messages still go there.
    #[serde(default)]
    pub goes_on: bool,
    /// When.
    pub at: DateTime<Utc>,
    /// The zone whose times are meant.
    pub zone: Zone,
    /// The channel in the console.
    pub console: Link,
    /// Where the reader says what to receive.
    pub preferences: Link,
}

impl ChannelDisabled {
    pub(crate) fn page(&self) -> Page {
        let (tenant, channel) = (name(&self.tenant), name(&self.channel));
        let (what, mend) = match self.medium {
            Medium::Slack => (
                "Slack channel",
                "Create a new incoming webhook in Slack, put its URL in place of the old one in the console, and send \
                 a test message.",
            ),
            Medium::Webhook => (
                "webhook endpoint",
                if self.goes_on {
                    "Mend the endpoint so that it answers with a status from 200 to 299 within 15 seconds, and replay \
                     what it missed in the console. One that takes nothing for five days is stopped."
                } else {
                    "Mend the endpoint so that it answers with a status from 200 to 299 within 15 seconds, switch it on \
                     again in the console, and replay what it missed."
                },
            ),
        };
        let (subject, heading, told, since) = if self.goes_on {
            (
                format!("The {what} “{channel}” does not take what it is sent"),
                format!("A {what} takes nothing"),
                format!(
                    "Something was sent to “{channel}” again and again, and was given up. Others are still sent."
                ),
                "Given up",
            )
        } else {
            (
                format!("The {what} “{channel}” was stopped"),
                format!("A {what} was stopped"),
                format!("Nothing more is sent to “{channel}” until it is switched on again."),
                "Stopped",
            )
        };
        Page {
            subject,
            preheader: text(&self.reason),
            eyebrow: tenant.clone(),
            heading,
            sections: vec![
                Section::text(told),
                Section::facts([
                    ("Reason", text(&self.reason)),
                    (since, figures::moment_in(self.at, self.zone)),
                    ("How to mend it", mend.to_owned()),
                ]),
                Section::button("Open the channel", &self.console),
            ],
            reason: format!("You receive this because you look after {tenant}."),
            preferences: Some(self.preferences.clone()),
        }
    }
}

/// An address was entered and is to say yes before anything else is sent to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfirmRecipient {
    /// The tenant's name.
    pub tenant: String,
    /// What the address would receive, in words: `the weekly digest`.
    pub subscription: String,
    /// The link that says yes.
    pub confirm: Link,
    /// When the link ends.
    pub expires: DateTime<Utc>,
    /// The zone whose times are meant.
    pub zone: Zone,
}

impl ConfirmRecipient {
    pub(crate) fn page(&self) -> Page {
        let (tenant, subscription) = (name(&self.tenant), name(&self.subscription));
        Page {
            subject: format!("Confirm: {subscription} of {tenant}"),
            preheader: "One click, and nothing is sent without it.".to_owned(),
            eyebrow: tenant.clone(),
            heading: format!("Do you want {subscription}?"),
            sections: vec![
                Section::text(format!(
                    "Somebody at {tenant} asked Costlens to send {subscription} to this address. Confirm it, and it \
                     comes. If you do not, nothing more is sent here."
                )),
                Section::button("Yes, send it to me", &self.confirm),
                Section::note(format!("The link ends {}.", figures::moment_in(self.expires, self.zone))),
            ],
            reason: "You receive this once, because this address was entered in Costlens.".to_owned(),
            preferences: None,
        }
    }
}
