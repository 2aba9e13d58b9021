//! OpenAI's and Anthropic's cost and usage reports on a real socket, written from their documents: strict about keys,
//! headers and questions, and paged as they page.
//!
//! Every test has a [`Book`] of its own, which its admin key opens.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Days, NaiveDate, NaiveTime};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// Both vendors.
#[derive(Clone, Debug)]
pub struct FakeInvoices {
    address: std::net::SocketAddr,
    books: Arc<Mutex<HashMap<String, Book>>>,
}

/// What one organisation owes.
#[derive(Clone, Debug)]
pub struct Book {
    key: String,
    pages: Arc<Mutex<Pages>>,
}

/// What is answered.
#[derive(Debug, Default)]
pub struct Pages {
    /// Whose book it is.
    pub organisation: String,
    /// Results of the cost report, as JSON, by day.
    pub costs: BTreeMap<NaiveDate, Vec<String>>,
    /// Results of the usage report.
    pub usage: BTreeMap<NaiveDate, Vec<String>>,
    /// How many days a page has.
    pub days_per_page: usize,
    /// Answered instead, this often.
    pub instead: Option<(u16, usize)>,
    /// A day whose bucket is told twice.
    pub twice: Option<NaiveDate>,
    /// How long the usage report of the month that begins on this day takes.
    pub pause: Option<(NaiveDate, Duration)>,
    /// What was asked: paths and queries, oldest first.
    pub asked: Vec<String>,
}

impl Book {
    /// The admin key that opens it.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Changes or reads what is answered.
    pub fn with<T>(&self, change: impl FnOnce(&mut Pages) -> T) -> T {
        change(&mut self.pages.lock().unwrap())
    }

    /// Adds a result of the cost report.
    pub fn cost(&self, day: NaiveDate, result: &str) {
        self.with(|pages| pages.costs.entry(day).or_default().push(result.to_owned()));
    }

    /// Adds a result of the usage report.
    pub fn usage(&self, day: NaiveDate, result: &str) {
        self.with(|pages| pages.usage.entry(day).or_default().push(result.to_owned()));
    }

    /// How often a path was asked for.
    #[must_use]
    pub fn asked(&self, path: &str) -> usize {
        self.with(|pages| pages.asked.iter().filter(|asked| asked.contains(path)).count())
    }
}

impl FakeInvoices {
    /// Starts both on a free port. They live as long as the test process.
    #[must_use]
    pub fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let fake = Self { address: listener.local_addr().unwrap(), books: Arc::default() };
        let serving = fake.clone();
        crate::spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((socket, _)) = listener.accept().await {
                let fake = serving.clone();
                crate::spawn(async move {
                    let service = service_fn(move |request| {
                        let fake = fake.clone();
                        async move { Ok::<_, Infallible>(fake.answer(&request).await) }
                    });
                    // A caller that hangs up is an error of its connection alone.
                    let _gone = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(socket), service)
                        .await;
                });
            }
        });
        fake
    }

    /// A new book of a vendor, which an admin key of its kind opens.
    #[must_use]
    pub fn book(&self, vendor: &str) -> Book {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let prefix = if vendor == "anthropic" { "sk-ant-admin01-" } else { "sk-admin-" };
        let key = format!("{prefix}fake-book-of-nobody-{number:04}");
        let pages = Pages { organisation: format!("org-{number}"), days_per_page: 7, ..Pages::default() };
        let book = Book { key: key.clone(), pages: Arc::new(Mutex::new(pages)) };
        self.books.lock().unwrap().insert(key, book.clone());
        book
    }

    /// Another key to a book.
    #[must_use]
    pub fn another_key(&self, book: &Book) -> String {
        let key = format!("{}-again", book.key);
        self.books.lock().unwrap().insert(key.clone(), book.clone());
        key
    }

    /// Where they listen.
    #[must_use]
    pub fn host_port(&self) -> String {
        self.address.to_string()
    }

    /// The setting that leads there.
    #[must_use]
    pub fn urls(&self) -> String {
        format!("anthropic=http://{0},openai=http://{0}", self.address)
    }

    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        let path = request.uri().path();
        let is_anthropic = path.starts_with("/v1/organizations/");
        let key = if is_anthropic {
            if header("anthropic-version") != Some("2023-06-01") {
                return reply(400, r#"{"type":"error","error":{"message":"anthropic-version"}}"#.to_owned());
            }
            header("x-api-key")
        } else {
            header("authorization").and_then(|value| value.strip_prefix("Bearer "))
        };
        let book = key.and_then(|key| self.books.lock().unwrap().get(key).cloned());
        let Some(book) = book else {
            return reply(401, r#"{"error":{"message":"invalid admin key"}}"#.to_owned());
        };
        let asked = request.uri().to_string();
        let (instead, pause) = book.with(|pages| {
            let pause = pages.pause.filter(|(month, _)| asked.contains(&format!("starting_at={month}")));
            pages.asked.push(asked);
            let instead = pages.instead.filter(|(_, left)| *left > 0);
            if let Some((status, left)) = instead {
                pages.instead = Some((status, left - 1));
            }
            (instead, pause)
        });
        if let Some((status, _)) = instead {
            return reply(status, r#"{"error":{"message":"not now"}}"#.to_owned());
        }
        if path.contains("usage")
            && let Some((_, pause)) = pause
        {
            tokio::time::sleep(pause).await;
        }
        let query = request.uri().query().unwrap_or_default();
        let query: Vec<(String, String)> =
            url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        match book.with(|pages| report(pages, path, &query)) {
            Some(text) => reply(200, text),
            None => reply(400, r#"{"error":{"message":"bad question"}}"#.to_owned()),
        }
    }
}

fn reply(status: u16, text: String) -> Response<Full<Bytes>> {
    let response = Response::builder().status(status).header("content-type", "application/json");
    response.body(Full::new(text.into())).unwrap()
}

/// A page of a report; `None` for a question that the vendor would refuse.
fn report(pages: &Pages, path: &str, query: &[(String, String)]) -> Option<String> {
    let all = |name: &str| -> Vec<&str> {
        query.iter().filter(|(given, _)| given == name).map(|(_, value)| value.as_str()).collect()
    };
    let one = |name: &str| all(name).first().copied();
    let (is_anthropic, results, groups): (_, _, &[&str]) = match path {
        "/v1/organizations/me" => {
            return Some(format!(r#"{{"id":"{}","type":"organization","name":"x"}}"#, pages.organisation));
        }
        "/v1/organizations/cost_report" => (true, &pages.costs, &["workspace_id", "description"]),
        "/v1/organizations/usage_report/messages" => {
            (true, &pages.usage, &["workspace_id", "model", "service_tier", "context_window"])
        }
        "/v1/organization/costs" => (false, &pages.costs, &["project_id", "line_item"]),
        "/v1/organization/usage/completions" => (false, &pages.usage, &["project_id", "model", "batch"]),
        _ => return None,
    };
    let group = if is_anthropic { "group_by[]" } else { "group_by" };
    let limit: u32 = one("limit")?.parse().ok()?;
    if all(group) != groups || one("bucket_width") != Some("1d") || !(1..=31).contains(&limit) {
        return None;
    }
    let day = |name: &str| {
        let text = one(name)?;
        let moment = if is_anthropic {
            DateTime::parse_from_rfc3339(text).ok()?.to_utc()
        } else {
            DateTime::from_timestamp(text.parse().ok()?, 0)?
        };
        (moment.time() == NaiveTime::MIN).then(|| moment.date_naive())
    };
    let (first, end) = if is_anthropic {
        (day("starting_at")?, day("ending_at")?)
    } else {
        (day("start_time")?, day("end_time")?)
    };
    let skip: usize = match one("page") {
        Some(page) => page.strip_prefix("page+/=")?.parse().ok()?,
        None => 0,
    };
    let mut days: Vec<NaiveDate> = first.iter_days().take_while(|day| *day < end).collect();
    if let Some(twice) = pages.twice.filter(|day| days.contains(day)) {
        days.push(twice);
    }
    let per_page = pages.days_per_page.min(limit as usize);
    let buckets: Vec<String> = days
        .iter()
        .skip(skip)
        .take(per_page)
        .map(|day| bucket(is_anthropic, *day, results.get(day).map_or(&[][..], Vec::as_slice)))
        .collect();
    let rest = days.len() > skip + per_page;
    let next = if rest { format!("\"page+/={}\"", skip + per_page) } else { "null".to_owned() };
    Some(format!(
        r#"{{"object":"page","data":[{}],"has_more":{rest},"next_page":{next}}}"#,
        buckets.join(",")
    ))
}

fn bucket(is_anthropic: bool, day: NaiveDate, results: &[String]) -> String {
    let (start, end) =
        (day.and_time(NaiveTime::MIN).and_utc(), (day + Days::new(1)).and_time(NaiveTime::MIN).and_utc());
    let results = results.join(",");
    if is_anthropic {
        let (start, end) = (start.format("%Y-%m-%dT%H:%M:%SZ"), end.format("%Y-%m-%dT%H:%M:%SZ"));
        format!(r#"{{"starting_at":"{start}","ending_at":"{end}","results":[{results}]}}"#)
    } else {
        let (start, end) = (start.timestamp(), end.timestamp());
        format!(r#"{{"object":"bucket","start_time":{start},"end_time":{end},"results":[{results}]}}"#)
    }
}
