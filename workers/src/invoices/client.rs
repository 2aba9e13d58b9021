//! One vendor, asked with one key: a month's pages, bounded in time, number and size.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::NaiveDate;
use costlens_domain::aws::Month;
use costlens_domain::invoices::{AdminKey, BadPage, InvoiceVendor, Refusal, Report, next_page, path};
use costlens_egress::{Body, Egress, EndpointUrl};
use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT,
};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

/// The longest wait for one page.
const TIMEOUT: Duration = Duration::from_mins(1);
/// The most pages of a report of one month, which has 31 days at most: each page tells one of them at least.
const MOST_PAGES: usize = 40;
/// The most bytes of a page.
const LARGEST_PAGE: usize = 32 << 20;
/// And of all pages of a month.
const LARGEST: usize = 128 << 20;
/// The longest pause that a vendor is given because it asks for it.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// The version of Anthropic's API that its documents speak of.
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Fault {
    /// For a reason that people can do something about, or that stays.
    Refused(Refusal, String),
    /// The vendor cannot be asked now, and says for how long, where it does.
    Away(String, Option<Duration>),
}

impl From<BadPage> for Fault {
    fn from(bad: BadPage) -> Self {
        Self::Refused(Refusal::ReportUnreadable, bad.to_string())
    }
}

/// What a vendor said of a month.
#[derive(Debug, Default)]
pub(super) struct Answers {
    pub(super) costs: Vec<String>,
    pub(super) usage: Vec<String>,
}

/// A vendor and the key that opens its reports.
pub(super) struct Client<'a> {
    pub(super) egress: &'a Egress,
    pub(super) host: &'a EndpointUrl,
    pub(super) vendor: InvoiceVendor,
    pub(super) key: &'a AdminKey,
}

impl Client<'_> {
    /// All pages of both reports of a month.
    pub(super) async fn month(&self, month: Month, today: NaiveDate) -> Result<Answers, Fault> {
        let mut room = LARGEST;
        let costs = self.report(Report::Costs, month, today, &mut room).await?;
        let usage = self.report(Report::Usage, month, today, &mut room).await?;
        Ok(Answers { costs, usage })
    }

    async fn report(
        &self,
        report: Report,
        month: Month,
        today: NaiveDate,
        room: &mut usize,
    ) -> Result<Vec<String>, Fault> {
        let mut pages: Vec<String> = Vec::new();
        let mut asked = BTreeSet::new();
        let mut page: Option<String> = None;
        loop {
            let path = path(self.vendor, report, month, today, page.as_deref());
            let text = self.get(&path, &format!("the {report} of {month}")).await?;
            *room = room.checked_sub(text.len()).ok_or_else(|| {
                unreadable(format!("the reports of {month} are larger than {LARGEST} bytes"))
            })?;
            let next = next_page(report, pages.len() + 1, &text)?;
            pages.push(text);
            let Some(next) = next else { return Ok(pages) };
            if pages.len() >= MOST_PAGES {
                return Err(unreadable(format!("the {report} of {month} has more than {MOST_PAGES} pages")));
            }
            if !asked.insert(next.clone()) {
                return Err(unreadable(format!("the {report} of {month} names a page as its own successor")));
            }
            page = Some(next);
        }
    }

    /// Whose key it is, where the vendor has a question for that and answers it.
    pub(super) async fn organisation(&self) -> Result<Option<String>, Fault> {
        if self.vendor != InvoiceVendor::Anthropic {
            return Ok(None);
        }
        let text = match self.get("/v1/organizations/me", "the organisation").await {
            // The reports are what is wanted; without a name they are read all the same.
            Err(Fault::Refused(Refusal::QuestionRefused, _)) => return Ok(None),
            answer => answer?,
        };
        let told: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let id = told.get("id").and_then(serde_json::Value::as_str);
        Ok(id.filter(|id| !id.is_empty() && id.len() <= 256).map(str::to_owned))
    }

    async fn get(&self, path: &str, what: &str) -> Result<String, Fault> {
        let name = self.vendor.title();
        tokio::time::timeout(TIMEOUT, self.ask(path, what))
            .await
            .unwrap_or_else(|_| Err(Fault::Away(format!("{name} did not answer within {TIMEOUT:?}"), None)))
    }

    async fn ask(&self, path: &str, what: &str) -> Result<String, Fault> {
        let name = self.vendor.title();
        let mut request = Request::new(Body::default());
        *request.uri_mut() = self
            .host
            .uri(path)
            .ok_or_else(|| unreadable(format!("{name} named a page that cannot be asked for")))?;
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("costlens/", env!("CARGO_PKG_VERSION"))));
        let (header, value) = match self.vendor {
            InvoiceVendor::Anthropic => {
                let version = HeaderValue::from_static(ANTHROPIC_VERSION);
                headers.insert(HeaderName::from_static("anthropic-version"), version);
                (HeaderName::from_static("x-api-key"), self.key.reveal().to_owned())
            }
            InvoiceVendor::OpenAi => (AUTHORIZATION, format!("Bearer {}", self.key.reveal())),
        };
        let mut value = HeaderValue::from_str(&value)
            .map_err(|_| Fault::Refused(Refusal::KeyRefused, "the key fits into no header".to_owned()))?;
        value.set_sensitive(true);
        headers.insert(header, value);
        let away = |why: String| Fault::Away(why, None);
        let answer = self
            .egress
            .send(request)
            .await
            .map_err(|error| away(format!("{name} was not reached: {error}")))?;
        let (head, body) = answer.into_parts();
        let told = format!("{name} answered {} to the question for {what}", head.status.as_u16());
        match head.status {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED => return Err(Fault::Refused(Refusal::KeyRefused, told)),
            StatusCode::FORBIDDEN => return Err(Fault::Refused(Refusal::AccessDenied, told)),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
                return Err(Fault::Away(told, pause(head.headers.get(RETRY_AFTER))));
            }
            status if status.is_server_error() => {
                return Err(Fault::Away(told, pause(head.headers.get(RETRY_AFTER))));
            }
            _ => return Err(Fault::Refused(Refusal::QuestionRefused, told)),
        }
        let whole = Limited::new(body, LARGEST_PAGE).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                unreadable(format!(
                    "{name} answered more than {LARGEST_PAGE} bytes to the question for {what}"
                ))
            } else {
                away(format!("the answer of {name} broke off"))
            }
        })?;
        String::from_utf8(whole.to_bytes().into())
            .map_err(|_| unreadable(format!("{name} answered no text to the question for {what}")))
    }
}

fn unreadable(why: String) -> Fault {
    Fault::Refused(Refusal::ReportUnreadable, why)
}

/// `Retry-After` in seconds (RFC 9110, section 10.2.3), within bounds.
fn pause(header: Option<&HeaderValue>) -> Option<Duration> {
    let seconds = header?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_PAUSE))
}
