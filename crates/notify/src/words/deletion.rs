//! An account's end: asked for, called off, done. These go out whatever the reader subscribed to.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::words::figures;
use crate::words::names::{Link, name, text};
use crate::words::page::{Event, Page, Section};
use costlens_domain::calendar::Zone;

/// Somebody asked that everything be erased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletionRequested {
    /// The tenant's name.
    pub tenant: String,
    /// Who asked, as the tenant's people know them.
    pub requested_by: String,
    /// When they asked.
    pub at: DateTime<Utc>,
    /// When erasing begins.
    pub erase_at: DateTime<Utc>,
    /// The zone whose times are meant.
    pub zone: Zone,
    /// Where it can be called off.
    pub cancel: Link,
}

impl DeletionRequested {
    pub(crate) fn page(&self) -> Page {
        let tenant = name(&self.tenant);
        let when = figures::moment_in(self.erase_at, self.zone);
        Page {
            subject: format!("{tenant} will be erased on {}", figures::moment(self.erase_at, self.zone)),
            preheader: "Until then it can be called off.".to_owned(),
            eyebrow: tenant.clone(),
            heading: "All data will be erased".to_owned(),
            sections: vec![
                Section::text(format!(
                    "{} asked that {tenant} and all its data be erased. Erasing begins {when}, and cannot be undone \
                     then.",
                    name(&self.requested_by)
                )),
                Section::facts([
                    ("Asked for", figures::moment_in(self.at, self.zone)),
                    ("Erasing begins", when),
                ]),
                Section::text("If this is not what you want, call it off before that moment."),
                Section::button("Keep the account", &self.cancel),
            ],
            reason: format!("You receive this because you look after {tenant}."),
            preferences: None,
        }
    }
}

/// The deletion was called off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletionCancelled {
    /// The tenant's name.
    pub tenant: String,
    /// Who called it off.
    pub cancelled_by: String,
    /// When.
    pub at: DateTime<Utc>,
    /// The zone whose times are meant.
    pub zone: Zone,
    /// The console.
    pub console: Link,
}

impl DeletionCancelled {
    pub(crate) fn page(&self) -> Page {
        let tenant = name(&self.tenant);
        Page {
            subject: format!("{tenant} will not be erased"),
            preheader: "The deletion was called off. Nothing was erased.".to_owned(),
            eyebrow: tenant.clone(),
            heading: "The deletion was called off".to_owned(),
            sections: vec![
                Section::text(format!(
                    "{} called off the deletion of {tenant}. Nothing was erased.",
                    name(&self.cancelled_by)
                )),
                Section::facts([("Called off", figures::moment_in(self.at, self.zone))]),
                Section::button("Open the console", &self.console),
            ],
            reason: format!("You receive this because you look after {tenant}."),
            preferences: None,
        }
    }
}

/// Everything was erased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletionDone {
    /// The tenant's name.
    pub tenant: String,
    /// The number of the certificate of deletion.
    pub certificate: String,
    /// What was erased, in the order it was.
    pub erased: Vec<Erased>,
    /// A service outside, which delivered webhooks, still holds its part.
    #[serde(default)]
    pub outside_left: bool,
    /// The zone whose times are meant.
    pub zone: Zone,
}

/// One part of what was erased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    /// What, in words.
    pub what: String,
    /// When it was done.
    pub at: DateTime<Utc>,
}

/// The most lines of what was erased.
const LINES: usize = 30;

impl DeletionDone {
    pub(crate) fn page(&self) -> Page {
        let (tenant, certificate) = (name(&self.tenant), name(&self.certificate));
        let erased = |part: &Erased| Event {
            title: text(&part.what),
            text: format!("erased {}", figures::moment(part.at, self.zone)),
        };
        let what = if self.outside_left { "All that we kept" } else { "All data" };
        let mut sections = vec![
            Section::text(format!("{what} of {tenant} was erased. This is the last message about it.")),
            Section::facts([("Certificate", certificate.clone())]),
        ];
        if self.outside_left {
            sections.push(Section::text(
                "The service that delivered your webhooks has not confirmed yet that its part is gone. It is asked until \
                 it does, and the certificate is issued then."
                    .to_owned(),
            ));
        }
        if !self.erased.is_empty() {
            let events = self.erased.iter().take(LINES).map(erased).collect();
            sections.push(Section::Events { title: "What was erased".to_owned(), events });
        }
        sections.push(Section::note(format!(
            "Times are in {}. Keep the certificate's number: it is how the deletion is proven later.",
            self.zone.name()
        )));
        Page {
            subject: format!("{tenant} was erased: certificate {certificate}"),
            preheader: format!("{what} was erased."),
            eyebrow: tenant.clone(),
            heading: format!("{what} was erased"),
            sections,
            reason: format!("You receive this because you looked after {tenant}."),
            preferences: None,
        }
    }
}
