//! The console's files, embedded in the binary: hashed assets for ever, the page itself never cached.
//!
//! A build without the console (no Node on the machine) serves one page that says so. Whatever path a browser asks
//! for by name gets the page, because the console routes by itself; a program that asks for a missing file gets
//! a problem.

use costlens_domain::{Problem, ProblemCode};
use costlens_edge::Arrival;
use poem::endpoint::make_sync;
use poem::http::{HeaderValue, Method, StatusCode, header};
use poem::{Endpoint, IntoResponse as _, Request, Response};
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::error::problem_response;

#[derive(RustEmbed)]
#[folder = "$CONSOLE_DIST"]
struct Files;

/// What the page may load: its own files. Base UI and the charts set style attributes, nothing sets style elements.
const POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; \
    frame-ancestors 'none'";

/// Every path that is no other endpoint's. `called` is an origin that pages may call besides their own.
pub fn endpoint(called: Option<&str>) -> impl Endpoint<Output = Response> + use<> {
    let policy = match called
        .map(|origin| POLICY.replace("connect-src 'self'", &format!("connect-src 'self' {origin}")))
    {
        // An origin that fits into no header is no origin.
        Some(policy) => HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static(POLICY)),
        None => HeaderValue::from_static(POLICY),
    };
    make_sync(move |request: Request| serve(&request, &policy))
}

fn serve(request: &Request, policy: &HeaderValue) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return missing(request);
    }
    let path = request.original_uri().path().trim_start_matches('/');
    let asset = path.starts_with("assets/");
    match Files::get(path) {
        Some(file) if !path.is_empty() => answer(request, path, file, asset, policy),
        _ if asset || !wants_html(request) => missing(request),
        _ => match Files::get("index.html") {
            Some(page) => answer(request, "index.html", page, false, policy),
            None => missing(request),
        },
    }
}

fn answer(
    request: &Request,
    path: &str,
    file: EmbeddedFile,
    immutable: bool,
    policy: &HeaderValue,
) -> Response {
    let tag = format!("\"{}\"", hex::encode(file.metadata.sha256_hash()));
    let cache = if immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
    let unchanged = request.header(header::IF_NONE_MATCH).is_some_and(|seen| seen.contains(&tag));
    let mut response = if unchanged {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let kind = content_type(path);
        poem::Body::from(file.data.into_owned()).with_content_type(kind).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::CONTENT_SECURITY_POLICY, policy.clone());
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}

fn wants_html(request: &Request) -> bool {
    request.header(header::ACCEPT).is_some_and(|accept| accept.contains("text/html"))
}

fn missing(request: &Request) -> Response {
    let problem = Problem::new(ProblemCode::NotFound, "there is nothing at this address");
    problem_response(&match request.data::<Arrival>() {
        Some(arrival) => problem.instance(arrival.request_id.to_string()),
        None => problem,
    })
}

/// The kinds of files that the console is built of.
fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "json" | "map" => "application/json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
