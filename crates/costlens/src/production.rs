//! What production must be given. Everything that is missing or no good is named at once, before anything starts, and
//! no value is shown: it may be the secret itself.

use url::Url;

use crate::keys::KeyArgs;
use crate::settings::{ServerArgs, given};

/// Passwords that stand in examples and images. Whoever has one of these has none.
const DEFAULT_PASSWORDS: &[&str] = &[
    "postgres", "password", "passw0rd", "admin", "root", "redis", "costlens", "changeme", "secret",
    "example", "test", "1234", "123456",
];

/// Why production does not start; nothing if it may.
pub(crate) fn missing(args: &ServerArgs) -> Vec<String> {
    let mut wrong = Vec::new();
    match given(args.database_url.as_deref()) {
        None => wrong.push("DATABASE_URL is not set: production wants a PostgreSQL of its own".to_owned()),
        Some(url) => wrong.extend(database(url)),
    }
    match given(args.redis_url.as_deref()) {
        None => {
            wrong.push("REDIS_URL is not set: production counts tries for all processes together".to_owned());
        }
        Some(url) => wrong.extend(redis(args, url)),
    }
    wrong.extend(master_keys(&args.keys));
    if !args.outward.public_url.as_ref().is_some_and(|url| is_https(url)) {
        wrong.push("COSTLENS_PUBLIC_URL is not an https address: plain HTTP is not served".to_owned());
    }
    if !args.provider_urls.is_empty() {
        wrong.push("COSTLENS_PROVIDER_URLS is set: production calls the vendors' own addresses".to_owned());
    }
    if !args.outward.invoice_urls.is_empty() {
        wrong.push("COSTLENS_INVOICE_URLS is set: production asks the vendors' own addresses".to_owned());
    }
    wrong
}

fn database(url: &str) -> Option<String> {
    let Ok(url) = Url::parse(url) else { return Some("DATABASE_URL is not an address".to_owned()) };
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Some("DATABASE_URL is not an address of a PostgreSQL".to_owned());
    }
    has_default_password(&url).then(|| "DATABASE_URL has a password that everybody knows".to_owned())
}

fn redis(args: &ServerArgs, url: &str) -> Option<String> {
    if let Err(error) = args.redis() {
        return Some(format!("REDIS_URL is {error}"));
    }
    let known = Url::parse(url).is_ok_and(|url| has_default_password(&url));
    known.then(|| "REDIS_URL has a password that everybody knows".to_owned())
}

fn master_keys(keys: &KeyArgs) -> Vec<String> {
    let mut wrong = Vec::new();
    if !keys.are_given() {
        wrong.push(
            "COSTLENS_MASTER_KEYS is not set (nor COSTLENS_MASTER_KEY): production keeps no key file"
                .to_owned(),
        );
    } else if let Err(error) = keys.plan().map(|(plan, _)| {
        if plan.masters.iter().any(costlens_vault::MasterKey::looks_made_up) {
            wrong.push(
                "COSTLENS_MASTER_KEYS holds a key that is not random: make one with `openssl rand -hex 32`"
                    .to_owned(),
            );
        }
    }) {
        wrong.push(error.to_string());
    }
    if given(keys.kms_url.as_deref()).is_some_and(|url| !is_https(url)) {
        wrong.push("COSTLENS_KMS_URL is not an https address".to_owned());
    }
    wrong
}

fn is_https(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| url.scheme() == "https" && url.host().is_some())
}

fn has_default_password(url: &Url) -> bool {
    url.password().is_some_and(|password| {
        let same_as_user = !password.is_empty() && password == url.username();
        same_as_user || DEFAULT_PASSWORDS.iter().any(|known| password.eq_ignore_ascii_case(known))
    })
}
