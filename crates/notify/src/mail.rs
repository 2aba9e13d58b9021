//! Hands a letter to an SMTP server, one connection a letter, and knows at every step what the server has seen.
//!
//! SMTP has no idempotency key. What it has is a moment: until the message's data begins to go out nothing can have
//! been accepted, and from then on only the server's final answer says. So the dialogue is held here command by
//! command, and each failure is named by the step it happened in. The server is the operator's, not a tenant's; its
//! address is not judged.

mod config;
mod envelope;

use std::time::Duration;

use chrono::{DateTime, Utc};
use lettre::Address;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::Mechanism;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};

pub use config::{BadMailer, MailerConfig};
use config::{Server, Tls};

use crate::outcome::{Retry, SendError, said};
use crate::words::{Letter, Link};

/// How long the farewell may take. The letter's fate is known by then.
const FAREWELL: Duration = Duration::from_secs(2);

/// Whom a letter goes to.
#[derive(Clone, Debug)]
pub struct MailTo {
    /// The address, bare: `ada@example.org`.
    pub to: String,
    /// What the letter's `Message-ID` is made of. The same key gives the same id, by which a mailbox that drops
    /// duplicates knows a second one.
    pub message_id_key: String,
    /// Where one click ends the subscription (RFC 8058); none for letters that are no subscription.
    pub list_unsubscribe: Option<Link>,
}

/// The server has taken the letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The server's own id for it, where its answer names one (Amazon SES and Postfix do).
    pub provider_id: Option<String>,
}

/// A way to one SMTP server.
#[derive(Clone, Debug)]
pub struct Mailer {
    server: Server,
}

impl Mailer {
    /// Reads the configuration, and the platform's certificates if it speaks TLS. Connects to nothing.
    pub fn new(config: &MailerConfig) -> Result<Self, BadMailer> {
        Ok(Self { server: Server::new(config)? })
    }

    /// Sends a letter, once. `at` is the letter's `Date`.
    ///
    /// Everything up to the letter's data may take the configured time, and the data with the server's last word the
    /// same again.
    pub async fn send(
        &self,
        mail: &MailTo,
        letter: &Letter,
        at: DateTime<Utc>,
    ) -> Result<Accepted, SendError> {
        // Servers repeat the address in what they say, and what they say is kept and logged.
        self.hand_over(mail, letter, at).await.map_err(|error| error.without(mail.to.trim()))
    }

    async fn hand_over(
        &self,
        mail: &MailTo,
        letter: &Letter,
        at: DateTime<Utc>,
    ) -> Result<Accepted, SendError> {
        let to: Address = mail.to.trim().parse().map_err(|_| SendError::AddressRefused {
            permanent: true,
            code: None,
            text: "this is no e-mail address".to_owned(),
        })?;
        let message = envelope::message(&self.server.from, to.clone(), mail, letter, at)
            .map_err(|error| not_sent(Retry::Never, &error.to_string()))?;
        let data = message.formatted();
        let limit = self.server.timeout;
        let Ok(opened) = tokio::time::timeout(limit, self.open(to)).await else {
            return Err(not_sent(Retry::Later, "the mail server did not answer in time"));
        };
        let mut connection = opened?;
        // From here on the server may have the letter, whatever the connection does.
        let result = match tokio::time::timeout(limit, connection.message(&data)).await {
            Err(_) => Err(unknown("the mail server did not confirm the message in time")),
            Ok(Ok(answer)) => {
                Ok(Accepted { provider_id: provider_id(&answer.message().collect::<Vec<_>>()) })
            }
            Ok(Err(error)) => Err(match code(&error) {
                Some(code) => refused(code, &error),
                None => unknown("the connection broke before the mail server confirmed the message"),
            }),
        };
        let parting = !matches!(result, Err(SendError::Unknown { .. }));
        if parting && tokio::time::timeout(FAREWELL, connection.quit()).await.is_err() {
            // The connection is dropped all the same.
        }
        result
    }

    /// Connects and goes through the dialogue up to the server's "go ahead" for the data. Nothing is sent by then.
    async fn open(&self, to: Address) -> Result<AsyncSmtpConnection, SendError> {
        let server = &self.server;
        let hello = ClientId::Domain(server.from.email.domain().to_owned());
        let at_once = (server.tls == Tls::FromTheStart).then(|| server.parameters.clone()).flatten();
        let address = (server.host.as_str(), server.port);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(address, Some(server.timeout), &hello, at_once, None)
                .await
                .map_err(|error| trouble(&error))?;
        let upgrade = match server.tls {
            Tls::Required => true,
            Tls::Opportunistic => connection.can_starttls(),
            Tls::FromTheStart | Tls::None => false,
        };
        if let (true, Some(parameters)) = (upgrade, &server.parameters) {
            connection.starttls(parameters.clone(), &hello).await.map_err(|error| trouble(&error))?;
        }
        if let Some(credentials) = &server.credentials {
            if !connection.is_encrypted() {
                return Err(not_sent(
                    Retry::Later,
                    "the mail server offers no encryption, so no password was sent",
                ));
            }
            connection
                .auth(&[Mechanism::Plain, Mechanism::Login], credentials)
                .await
                .map_err(|error| trouble(&error))?;
        }
        let from = server.from.email.clone();
        let mut options = Vec::new();
        if !to.to_string().is_ascii() || !from.to_string().is_ascii() {
            if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
                return Err(not_sent(Retry::Never, "the mail server cannot carry this address (SMTPUTF8)"));
            }
            options.push(MailParameter::SmtpUtfEight);
        }
        // Who sends is the operator's to mend, so the letter waits.
        connection.command(Mail::new(Some(from), options)).await.map_err(|error| trouble(&error))?;
        connection.command(Rcpt::new(to, Vec::new())).await.map_err(|error| at_recipient(&error))?;
        let go = connection.command(Data).await.map_err(|error| before_data(&error))?;
        if !go.has_code(354) {
            return Err(not_sent(Retry::Later, "the mail server did not ask for the message"));
        }
        Ok(connection)
    }
}

fn not_sent(retry: Retry, text: &str) -> SendError {
    SendError::NotSent { retry, code: None, text: said(text) }
}

fn unknown(text: &str) -> SendError {
    SendError::Unknown { text: text.to_owned() }
}

fn code(error: &SmtpError) -> Option<u16> {
    error.status().map(u16::from)
}

/// What the server said, or what happened instead.
fn words(error: &SmtpError) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string);
    let text = source.unwrap_or_else(|| error.to_string());
    said(&match code(error) {
        Some(code) => format!("{code} {text}"),
        None => text,
    })
}

/// A failure to get as far as the letter: connection, TLS, greeting, password. The letter is as good as it was.
fn trouble(error: &SmtpError) -> SendError {
    SendError::NotSent { retry: Retry::Later, code: code(error), text: words(error) }
}

/// An answer to the letter itself. What is about us waits for the operator, as everywhere: servers that judge the sender
/// at the letter's end say so by an X.7 code, or as Amazon SES does with a bare 554 ("Email address is not verified").
fn refused(code: u16, error: &SmtpError) -> SendError {
    let text = words(error);
    let about_us = is_about_us(code, &text) || (code == 554 && enhanced(&text).is_none());
    let retry = if code >= 500 && !about_us { Retry::Never } else { Retry::Later };
    SendError::NotSent { retry, code: Some(code), text }
}

fn before_data(error: &SmtpError) -> SendError {
    code(error).map_or_else(|| trouble(error), |code| refused(code, error))
}

/// The enhanced code (RFC 3463) in what a server said, such as `5.7.1`.
fn enhanced(text: &str) -> Option<&str> {
    let code = text.split(' ').nth(1)?;
    let numbers: Vec<&str> = code.split('.').collect();
    let is_number = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (numbers.len() == 3 && numbers.iter().all(is_number)).then_some(code)
}

/// Whether an answer is about whoever sends: 421, which ends the service, 530, which wants a password, and the enhanced
/// codes X.7 (RFC 3463, 3.8).
fn is_about_us(code: u16, text: &str) -> bool {
    let is_of_policy = |code: &str| code.starts_with("5.7.") || code.starts_with("4.7.");
    matches!(code, 421 | 530) || enhanced(text).is_some_and(is_of_policy)
}

/// An answer to `RCPT TO`. Most are about the address. For one that is about us the address must not be suppressed, and
/// the letter may go once the operator has mended it.
fn at_recipient(error: &SmtpError) -> SendError {
    let Some(code) = code(error) else { return trouble(error) };
    let text = words(error);
    if is_about_us(code, &text) {
        return trouble(error);
    }
    SendError::AddressRefused { permanent: code >= 500, code: Some(code), text }
}

/// The id in `250 Ok 0100018f…` (Amazon SES) and `250 2.0.0 Ok: queued as 4WxYz` (Postfix).
fn provider_id(lines: &[&str]) -> Option<String> {
    let line = lines.first()?;
    let words: Vec<&str> = line.split_whitespace().collect();
    let id = match words.as_slice() {
        [.., "queued", "as", id] => id,
        [ok, id] if ok.eq_ignore_ascii_case("ok") => id,
        _ => return None,
    };
    let plain = id.len() <= 200 && id.chars().all(|c| c.is_ascii_graphic());
    plain.then(|| (*id).to_owned())
}

/// Whether a text is an address that mail can be sent to: one mailbox of a domain with a dot, within the limits of
/// RFC 5321 (section 4.5.3.1), and no more than the address.
#[must_use]
pub fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let plain =
        text.chars().all(|c| !c.is_whitespace() && !c.is_control() && !matches!(c, '<' | '>' | ',' | '"'));
    let mut labels = domain.split('.');
    let named = labels.clone().count() > 1 && labels.all(|label| (1..=63).contains(&label.len()));
    let fits = text.len() <= 254 && local.len() <= 64;
    fits && plain && named && !domain.starts_with('[') && text.parse::<Address>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_own_id_is_read_where_it_is_one() {
        let id = |line: &str| provider_id(&[line]);
        assert_eq!(id("Ok 0100018f-aa-000000").as_deref(), Some("0100018f-aa-000000"));
        assert_eq!(id("2.0.0 Ok: queued as 4WxYz").as_deref(), Some("4WxYz"));
        assert_eq!(id("2.0.0 OK  1700000000 abc-2002 - gsmtp"), None);
        assert_eq!(id("Ok"), None);
        assert_eq!(provider_id(&[]), None);
    }
}
