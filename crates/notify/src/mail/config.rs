//! Which SMTP server, how it is spoken to, and who the letters are from.

use std::fmt;
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, TlsParameters};
use percent_encoding::percent_decode_str;
use url::Url;

/// The operator's mail server.
#[derive(Clone)]
pub struct MailerConfig {
    /// `smtps://user:password@host:465` (TLS from the start), or `smtp://user:password@host:587?tls=required`, where
    /// `tls` is `required` (the default), `opportunistic` or `none`. User and password are percent-encoded, and go
    /// over an encrypted connection only.
    pub url: String,
    /// Who the letters are from: `Costlens <reports@example.org>`.
    pub from: String,
    /// The longest wait for the dialogue before the letter, and again for the answer to it.
    pub timeout: Duration,
    /// Certificates to trust beside the platform's, in DER.
    pub extra_roots: Vec<Vec<u8>>,
}

impl fmt::Debug for MailerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Only what parses is shown: in what does not, nobody knows where the password is.
        let shown = Url::parse(&self.url).ok().map(|url| {
            format!(
                "{}://{}:{}",
                url.scheme(),
                url.host_str().unwrap_or_default(),
                url.port().unwrap_or_default()
            )
        });
        f.debug_struct("MailerConfig")
            .field("url", &shown.unwrap_or_else(|| "…".to_owned()))
            .field("from", &self.from)
            .field("timeout", &self.timeout)
            .field("extra_roots", &self.extra_roots.len())
            .finish()
    }
}

/// Why there is no mailer. The texts never repeat the URL, which may carry a password.
#[derive(Debug, thiserror::Error)]
pub enum BadMailer {
    /// Not a URL with `smtp` or `smtps` and a host.
    #[error("the mail server must be given as smtps://host:465 or smtp://host:587")]
    Url,
    /// Something after the host that is not known.
    #[error(
        "the mail server's URL may end with ?tls=required, ?tls=opportunistic or ?tls=none, and with smtps nothing"
    )]
    Option,
    /// A password, and a connection that is never encrypted.
    #[error("a password is not sent over a connection without TLS")]
    PasswordInTheClear,
    /// A user without a password, or the other way round, or not percent-encoded UTF-8.
    #[error("the mail server's URL needs user and password, percent-encoded, or neither")]
    Credentials,
    /// The sender is no address.
    #[error("the sender must be an address like Costlens <reports@example.org>")]
    From,
    /// TLS cannot be set up.
    #[error("TLS to the mail server cannot be set up")]
    Tls(#[source] lettre::transport::smtp::Error),
}

/// When the connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tls {
    FromTheStart,
    Required,
    Opportunistic,
    None,
}

/// The configuration, read.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: Tls,
    pub(crate) parameters: Option<TlsParameters>,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) from: Mailbox,
    pub(crate) timeout: Duration,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

impl Server {
    pub(crate) fn new(config: &MailerConfig) -> Result<Self, BadMailer> {
        let url = Url::parse(config.url.trim()).map_err(|_| BadMailer::Url)?;
        let implicit = match url.scheme() {
            "smtps" => true,
            "smtp" => false,
            _ => return Err(BadMailer::Url),
        };
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(BadMailer::Url)?;
        // An IPv6 address is dialled without the brackets that the URL needs.
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let tls = match (implicit, url.query()) {
            (true, None) => Tls::FromTheStart,
            (false, None | Some("tls=required")) => Tls::Required,
            (false, Some("tls=opportunistic")) => Tls::Opportunistic,
            (false, Some("tls=none")) => Tls::None,
            _ => return Err(BadMailer::Option),
        };
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(BadMailer::Option);
        }
        let credentials = credentials(&url)?;
        if credentials.is_some() && tls == Tls::None {
            return Err(BadMailer::PasswordInTheClear);
        }
        let from = config.from.parse().map_err(|_| BadMailer::From)?;
        let parameters = (tls != Tls::None).then(|| parameters(&host, &config.extra_roots)).transpose()?;
        let port = url.port().unwrap_or(if implicit { 465 } else { 587 });
        Ok(Self { host, port, tls, parameters, credentials, from, timeout: config.timeout })
    }
}

fn credentials(url: &Url) -> Result<Option<Credentials>, BadMailer> {
    let decoded = |text: &str| {
        percent_decode_str(text)
            .decode_utf8()
            .map(std::borrow::Cow::into_owned)
            .map_err(|_| BadMailer::Credentials)
    };
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        (user, Some(password)) if !user.is_empty() => {
            Ok(Some(Credentials::new(decoded(user)?, decoded(password)?)))
        }
        _ => Err(BadMailer::Credentials),
    }
}

fn parameters(host: &str, extra_roots: &[Vec<u8>]) -> Result<TlsParameters, BadMailer> {
    let mut builder = TlsParameters::builder(host.to_owned());
    for root in extra_roots {
        builder = builder.add_root_certificate(Certificate::from_der(root.clone()).map_err(BadMailer::Tls)?);
    }
    builder.build().map_err(BadMailer::Tls)
}
