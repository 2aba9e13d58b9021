//! Mail to people about how they get in: registering, invitations, passwords.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::words::figures;
use crate::words::names::{Link, name};
use crate::words::page::{Page, Section};
use costlens_domain::calendar::Zone;

const EYEBROW: &str = "Costlens";
const IGNORE: &str = "You receive this because this address was entered in Costlens. If that was not you, nothing happens \
                      unless the link is used.";

/// Whoever reads the address may become a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationLink {
    /// The link that goes on.
    pub link: Link,
    /// When it ends.
    pub expires: DateTime<Utc>,
}

impl RegistrationLink {
    pub(crate) fn page(&self) -> Page {
        Page {
            subject: "Go on with your registration".to_owned(),
            preheader: "One click, then a name and a password.".to_owned(),
            eyebrow: EYEBROW.to_owned(),
            heading: "Welcome to Costlens".to_owned(),
            sections: vec![
                Section::text(
                    "This address was entered to register. Go on, choose a password, and name your organisation."
                        .to_owned(),
                ),
                Section::button("Go on", &self.link),
                Section::note(format!("The link works once, until {}.", figures::moment_in(self.expires, Zone::UTC))),
            ],
            reason: IGNORE.to_owned(),
            preferences: None,
        }
    }
}

/// Somebody wanted to register who is registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountExists {
    /// Where one signs in.
    pub sign_in: Link,
}

impl AccountExists {
    pub(crate) fn page(&self) -> Page {
        Page {
            subject: "You are registered already".to_owned(),
            preheader: "Sign in, or ask for a new password.".to_owned(),
            eyebrow: EYEBROW.to_owned(),
            heading: "You are registered already".to_owned(),
            sections: vec![
                Section::text(
                    "This address was entered to register, and somebody signs in with it already. Sign in as before; \
                     if you forgot how, ask for a new password there."
                        .to_owned(),
                ),
                Section::button("Sign in", &self.sign_in),
            ],
            reason: "You receive this because this address was entered in Costlens. If that was not you, there is \
                     nothing to do."
                .to_owned(),
            preferences: None,
        }
    }
}

/// A new password may be set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordResetLink {
    /// The link that sets it.
    pub link: Link,
    /// When it ends.
    pub expires: DateTime<Utc>,
}

impl PasswordResetLink {
    pub(crate) fn page(&self) -> Page {
        Page {
            subject: "Set a new password".to_owned(),
            preheader: "The link works once.".to_owned(),
            eyebrow: EYEBROW.to_owned(),
            heading: "Set a new password".to_owned(),
            sections: vec![
                Section::text(
                    "A new password was asked for. When it is set, every sign-in ends and the old password is gone. A \
                     second factor stays as it is."
                        .to_owned(),
                ),
                Section::button("Set a new password", &self.link),
                Section::note(format!("The link works once, until {}.", figures::moment_in(self.expires, Zone::UTC))),
            ],
            reason: IGNORE.to_owned(),
            preferences: None,
        }
    }
}

/// The password is another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordChanged {
    /// When it was changed.
    pub at: DateTime<Utc>,
    /// Where one signs in, and asks for a new one.
    pub sign_in: Link,
}

impl PasswordChanged {
    pub(crate) fn page(&self) -> Page {
        Page {
            subject: "Your password was changed".to_owned(),
            preheader: "If that was not you, set a new one now.".to_owned(),
            eyebrow: EYEBROW.to_owned(),
            heading: "Your password was changed".to_owned(),
            sections: vec![
                Section::text(format!(
                    "It was changed {}, and every other sign-in has ended. If that was not you, somebody reads your \
                     mail or knew your password: ask for a new one at once, and tell whoever runs your organisation.",
                    figures::moment_in(self.at, Zone::UTC)
                )),
                Section::button("Sign in", &self.sign_in),
            ],
            reason: "You receive this because this address signs you in to Costlens.".to_owned(),
            preferences: None,
        }
    }
}

/// A way to sign in, or a second factor, was added or taken away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignInChanged {
    /// When.
    pub at: DateTime<Utc>,
    /// Where one looks at one's ways to sign in.
    pub profile: Link,
}

impl SignInChanged {
    pub(crate) fn page(&self) -> Page {
        Page {
            subject: "How you sign in was changed".to_owned(),
            preheader: "If that was not you, look at it now.".to_owned(),
            eyebrow: EYEBROW.to_owned(),
            heading: "How you sign in was changed".to_owned(),
            sections: vec![
                Section::text(format!(
                    "Somebody who vouches for you, or your second factor, was added or taken away {}. If that was not \
                     you, somebody else is signed in as you: set a new password, which ends every other sign-in, and \
                     take away what is not yours.",
                    figures::moment_in(self.at, Zone::UTC)
                )),
                Section::button("Look at it", &self.profile),
            ],
            reason: "You receive this because this address is that of your user at Costlens.".to_owned(),
            preferences: None,
        }
    }
}

/// Somebody is asked to become a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationLink {
    /// The organisation's name.
    pub tenant: String,
    /// As what, by the role's name.
    pub role: String,
    /// The link that accepts.
    pub link: Link,
    /// When it ends.
    pub expires: DateTime<Utc>,
    /// The zone whose times are meant.
    pub zone: Zone,
}

impl InvitationLink {
    pub(crate) fn page(&self) -> Page {
        let tenant = name(&self.tenant);
        Page {
            subject: format!("Join {tenant} on Costlens"),
            preheader: "The ledger of your AI spend.".to_owned(),
            eyebrow: tenant.clone(),
            heading: format!("Join {tenant}"),
            sections: vec![
                Section::text(format!(
                    "Somebody at {tenant} invites you to Costlens, where what it spends on AI is kept in one ledger. \
                     You would join as {}.",
                    name(&self.role)
                )),
                Section::button("Accept", &self.link),
                Section::note(format!(
                    "The link works once, until {}.",
                    figures::moment_in(self.expires, self.zone)
                )),
            ],
            reason: format!("You receive this once, because somebody at {tenant} entered this address."),
            preferences: None,
        }
    }
}
