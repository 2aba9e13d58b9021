//! What holds in this process, by its own constants and settings, and whom it is set up to call.

use costlens_domain::invoices::InvoiceVendor;
use costlens_domain::privacy::{BodyClass, PrivacySettings};
use costlens_domain::providers::PROVIDERS;
use costlens_jobs::closures::{DEADLINE_DAYS, GRACE_DAYS};
use costlens_vault::secret_token::API_KEY_PREFIX;

use super::{Subprocessor, TrustFact};
use crate::opening::{SESSION_LIFE, SIGN_IN_LIFE};
use crate::{ApiParts, cookies};

pub(super) fn facts(parts: &ApiParts) -> Vec<TrustFact> {
    let fact = |area: &str, name: &str, value: String| TrustFact {
        area: area.to_owned(),
        name: name.to_owned(),
        value,
    };
    let private = match parts.egress_policy.allow_private.len() {
        0 => "none".to_owned(),
        1 => "1, named by the operator".to_owned(),
        more => format!("{more}, named by the operator"),
    };
    let wrapping = if parts.keyring.wraps_by_service() {
        costlens_vault::WRAPPING_BY_SERVICE
    } else {
        costlens_vault::WRAPPING
    };
    let https = if parts.https { "https alone (HSTS)" } else { "plain http, for this machine alone" };
    let mut facts = vec![
        fact("Encryption", "Secrets are sealed with", costlens_vault::CIPHER.to_owned()),
        fact("Encryption", "Data keys are wrapped under", wrapping.to_owned()),
        fact("Encryption", "Browsers come by", https.to_owned()),
        fact("Signing in", "API keys", format!("{API_KEY_PREFIX} and 32 random bytes; kept as SHA-256")),
        fact("Signing in", "A session lives at most", format!("{} minutes", SESSION_LIFE.num_minutes())),
        fact("Signing in", "A sign-in is continued for at most", format!("{} days", SIGN_IN_LIFE.num_days())),
        fact("Outbound requests", "Addresses that are called", costlens_egress::POLICY.to_owned()),
        fact("Outbound requests", "Private hosts that are let through", private),
        fact("Limits", "The largest bill that is taken", format!("{} bytes", parts.max_bill_bytes)),
        fact("Privacy", BODIES, of_bodies(PrivacySettings::INITIAL, parts.forever_body_days)),
        fact(
            "Privacy",
            "A closed account",
            format!(
                "is erased after {GRACE_DAYS} days, and at the latest {DEADLINE_DAYS} days after it was closed"
            ),
        ),
    ];
    facts.extend(cookies::ALL.iter().map(|cookie| fact("Cookies", cookie.name, cookie.told())));
    facts
}

const BODIES: &str = "Prompts and answers that are stored";

/// What becomes of prompts and answers until an account says otherwise, and what it may say: by the settings that hold
/// then, the classes that there are, and the operator's cap.
fn of_bodies(initial: PrivacySettings, forever_cap: Option<u32>) -> String {
    let first = if initial.capture_bodies && !initial.zero_retention {
        "those of every call, unless your account says otherwise"
    } else {
        "none, unless your account asks for it"
    };
    let days: Vec<String> =
        BodyClass::ALL.iter().filter_map(|class| class.days(None)).map(|days| days.to_string()).collect();
    let forever = match BodyClass::Forever.days(forever_cap) {
        Some(days) => format!("for ever, which ends here after {days} days"),
        None => "for ever".to_owned(),
    };
    format!(
        "{first}. What is kept is sealed under a key of each API key's own, without personal data where your account \
         wants that, for {} days or {forever}, as it says. Zero Data Retention, of the account or of one key, wins over \
         all of it",
        days.join(", ")
    )
}

/// Whom this process may call: what the operator set up, then what is called only because a tenant asked for it.
pub(super) fn subprocessors(parts: &ApiParts) -> Vec<Subprocessor> {
    let mut all = parts.outside.clone();
    let text = str::to_owned;
    all.push(Subprocessor {
        name: text("Slack"),
        host: Some(text("hooks.slack.com")),
        purpose: text("Posts digests and alerts to the channels that you add."),
        data: text("The figures and names that the message shows."),
        your_choice: true,
    });
    all.push(Subprocessor {
        name: text("Your webhook endpoints"),
        host: None,
        purpose: text("Tells your programs of events that they asked for."),
        data: text("The event's ids and figures."),
        your_choice: true,
    });
    all.push(Subprocessor {
        name: text("Your identity provider"),
        host: None,
        purpose: text("Vouches for your people, where you set single sign-on up."),
        data: text("That somebody signs in here. It tells us the person's name there, its address, and what it calls itself."),
        your_choice: true,
    });
    for provider in PROVIDERS.iter().filter(|provider| provider.connectable()) {
        let host = provider.base_url.and_then(|url| url.split('/').nth(2));
        all.push(Subprocessor {
            name: text(provider.display_name),
            host: host.map(str::to_owned),
            purpose: text("Answers the calls that you send to it, under your own contract with it."),
            data: text("Your call as you wrote it, and the credential that you connected."),
            your_choice: true,
        });
    }
    for vendor in InvoiceVendor::ALL {
        all.push(Subprocessor {
            name: format!("{}'s cost reports", vendor.title()),
            host: vendor.base_url().split('/').nth(2).map(str::to_owned),
            purpose: text("Tells what your organisation owes it, if you connect its reports."),
            data: text("The admin key that you connected, and which months are asked for."),
            your_choice: true,
        });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_prompts_and_answers_follows_the_defaults_and_the_operators_cap() {
        let told = of_bodies(PrivacySettings::INITIAL, None);
        assert!(told.starts_with("none, unless your account asks for it"), "{told}");
        assert!(told.contains("for 7, 30, 90, 365 days or for ever, as it says"), "{told}");
        let kept = PrivacySettings { capture_bodies: true, ..PrivacySettings::INITIAL };
        assert!(of_bodies(kept, None).starts_with("those of every call"));
        for (cap, days) in [(400, "400"), (1, "30")] {
            let told = of_bodies(PrivacySettings::INITIAL, Some(cap));
            assert!(told.contains(&format!("for ever, which ends here after {days} days")), "{told}");
        }
    }
}
