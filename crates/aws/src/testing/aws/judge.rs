//! What it answers to a call, as the real ones would judge it.

use std::fmt::Write as _;

use chrono::TimeDelta;
use serde_json::Value;

use super::{
    ASSUMER, ASSUMER_KEY, Answer, AwsCall, AwsState, Bucket, Failure, Request, Session, pairs, s3_error,
    sts_error, xml,
};

/// Who signed a request, in which region.
struct Signer {
    key: String,
    region: String,
}

/// AWS Signature Version 4, as far as a server without the secret can check it: whose it is, and that what matters is
/// signed.
fn signer(request: &Request, service: &str) -> Option<Signer> {
    let text = request.headers.get("authorization")?.strip_prefix("AWS4-HMAC-SHA256 ")?;
    let part = |name: &str| text.split(", ").find_map(|part| part.strip_prefix(name));
    let scope: Vec<&str> = part("Credential=")?.split('/').collect();
    let [key, date, region, of, "aws4_request"] = scope.as_slice() else { return None };
    let signed: Vec<&str> = part("SignedHeaders=")?.split(';').collect();
    let signature = part("Signature=")?;
    let mut wanted = vec!["host", "x-amz-date"];
    wanted.extend(
        ["x-amz-security-token", "x-amz-expected-bucket-owner"]
            .into_iter()
            .filter(|name| request.headers.contains_key(*name)),
    );
    let is_dated = request.headers.get("x-amz-date")?.starts_with(date);
    let is_whole = signature.len() == 64 && signature.bytes().all(|byte| byte.is_ascii_hexdigit());
    (*of == service && is_dated && is_whole && wanted.iter().all(|name| signed.contains(name)))
        .then(|| Signer { key: (*key).to_owned(), region: (*region).to_owned() })
}

pub(super) fn answer(request: &Request, state: &mut AwsState) -> Answer {
    let is_sts = request.method == "POST" && request.path == "/";
    let (action, resource) = if is_sts {
        let form = pairs(&request.body);
        let action = form.get("Action").cloned().unwrap_or_default();
        (format!("sts:{action}"), form.get("RoleArn").cloned().unwrap_or_default())
    } else {
        (s3_action(request).to_owned(), request.path.trim_matches('/').to_owned())
    };
    let due = state.pending.iter().position(|(of, end, _)| *of == action && resource.ends_with(end.as_str()));
    if let Some(due) = due {
        let (.., change) = state.pending.remove(due);
        change(state);
    }
    let mut session = None;
    let failure = state.failure_of(&action, &resource);
    let mut answer = match failure {
        Some(Failure::Status(status)) if is_sts => sts_error(status, "InternalFailure"),
        Some(Failure::Status(status)) => s3_error(status, "SlowDown"),
        _ if is_sts => assume_role(request, state),
        _ => s3(request, &action, state, &mut session),
    };
    if failure == Some(Failure::CutInHalf) {
        answer.cut_at = Some(answer.body.len() / 2);
    }
    let reads = action == "s3:GetObject" && request.method == "GET" && answer.status < 300;
    state.calls.push(AwsCall { action, resource, status: answer.status, session, reads });
    answer
}

fn assume_role(request: &Request, state: &mut AwsState) -> Answer {
    let Some(signer) = signer(request, "sts") else { return sts_error(403, "IncompleteSignature") };
    if signer.key != ASSUMER_KEY {
        return sts_error(403, "InvalidClientTokenId");
    }
    let form = pairs(&request.body);
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    if field("Action") != "AssumeRole" {
        return sts_error(400, "InvalidAction");
    }
    let seconds: u64 = field("DurationSeconds").parse().unwrap_or(3_600);
    state.longest_seconds = state.longest_seconds.max(seconds);
    let (role, name) = (field("RoleArn").to_owned(), field("RoleSessionName").to_owned());
    let is_name = (2..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte));
    if !(900..=3_600).contains(&seconds) || !is_name {
        return sts_error(400, "ValidationError");
    }
    let Ok(policy) = serde_json::from_str::<Value>(field("Policy")) else {
        return sts_error(400, "MalformedPolicyDocument");
    };
    let trusted = state.roles.get(&role).is_some_and(|known| {
        known.trusts == ASSUMER && known.external_ids.let_in(form.get("ExternalId").map(String::as_str))
    });
    if !trusted {
        return sts_error(403, "AccessDenied");
    }
    let expires_at = state.now() + TimeDelta::seconds(i64::try_from(seconds).unwrap_or_default());
    let expiration = expires_at.format("%Y-%m-%dT%H:%M:%SZ");
    state.counter += 1;
    let key = format!("ASID{:016}", state.counter);
    let token = format!("session-token-{:032}", state.counter);
    let account = role.split(':').nth(4).unwrap_or_default();
    let short = role.rsplit('/').next().unwrap_or_default();
    let body = format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
         <AssumedRoleUser><AssumedRoleId>AROAEXAMPLE:{name}</AssumedRoleId>\
         <Arn>arn:aws:sts::{account}:assumed-role/{short}/{name}</Arn></AssumedRoleUser>\
         <Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>secret-{key}</SecretAccessKey>\
         <SessionToken>{token}</SessionToken><Expiration>{expiration}</Expiration></Credentials>\
         </AssumeRoleResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></AssumeRoleResponse>"
    );
    state.sessions.insert(key, Session { token, role, policy, name, expires_at });
    xml(200, body)
}

/// The IAM action that a request of S3 needs.
fn s3_action(request: &Request) -> &'static str {
    let path = request.path.trim_matches('/');
    match (request.method.as_str(), path.contains('/')) {
        ("GET" | "HEAD", true) => "s3:GetObject",
        ("GET", false) if request.query.contains_key("location") => "s3:GetBucketLocation",
        ("GET", false) if request.query.contains_key("list-type") => "s3:ListBucket",
        ("HEAD", false) => "s3:HeadBucket",
        _ => "s3:SomethingElse",
    }
}

fn s3(request: &Request, action: &str, state: &AwsState, in_session: &mut Option<String>) -> Answer {
    let Some(signer) = signer(request, "s3") else { return s3_error(403, "SignatureDoesNotMatch") };
    let Some(session) = state.sessions.get(&signer.key) else { return s3_error(403, "InvalidAccessKeyId") };
    *in_session = Some(session.name.clone());
    if request.headers.get("x-amz-security-token") != Some(&session.token) {
        return s3_error(400, "InvalidToken");
    }
    if session.expires_at <= state.now() {
        return s3_error(400, "ExpiredToken");
    }
    let path = request.path.trim_start_matches('/');
    let (name, key) = path.split_once('/').unwrap_or((path, ""));
    let Some(bucket) = state.buckets.get(name) else { return s3_error(404, "NoSuchBucket") };
    let region = ("x-amz-bucket-region", bucket.region.clone());
    if action != "s3:GetBucketLocation" && signer.region != bucket.region {
        let mut answer = s3_error(301, "PermanentRedirect");
        answer.headers.push(region);
        return answer;
    }
    let denied = || {
        let mut answer = s3_error(403, "AccessDenied");
        answer.headers.push(region.clone());
        answer
    };
    // A session ends with its role; one of another account needs the bucket's own leave, which no bucket here gives.
    let Some(role) = state.roles.get(&session.role) else { return denied() };
    let account = session.role.split(':').nth(4).unwrap_or_default();
    if request.headers.get("x-amz-expected-bucket-owner").is_some_and(|owner| *owner != bucket.owner) {
        return denied();
    }
    let shared = bucket.objects.contains_key("shared-with-everybody");
    if account != bucket.owner && !shared {
        return denied();
    }
    let arn =
        if key.is_empty() { format!("arn:aws:s3:::{name}") } else { format!("arn:aws:s3:::{name}/{key}") };
    let wanted = if action == "s3:HeadBucket" { "s3:ListBucket" } else { action };
    let prefix = request.query.get("prefix").map(String::as_str);
    if !allows(&role.policy, wanted, &arn, prefix) || !allows(&session.policy, wanted, &arn, prefix) {
        return denied();
    }
    let reads = action == "s3:GetObject" && request.method == "GET";
    if let Some(key) = bucket.key.as_deref().filter(|_| reads) {
        let may = |policy: &Value| allows(policy, "kms:Decrypt", key, None);
        if !may(&role.policy) || !may(&session.policy) {
            return denied();
        }
    }
    match action {
        "s3:HeadBucket" => Answer::new(200, vec![region], Vec::new()),
        "s3:GetBucketLocation" => xml(
            200,
            format!(
                "<LocationConstraint xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{}</LocationConstraint>",
                bucket.region
            ),
        ),
        "s3:ListBucket" => list(request, bucket, name),
        _ => object(request, bucket, key),
    }
}

fn list(request: &Request, bucket: &Bucket, name: &str) -> Answer {
    let text = |field: &str| request.query.get(field).map(String::as_str).unwrap_or_default();
    let most: usize = text("max-keys").parse().unwrap_or(1_000);
    // Short pages: whoever reads the first one alone is found out.
    let most = most.min(3);
    let from = text("continuation-token");
    let below: Vec<_> = bucket
        .objects
        .iter()
        .filter(|(key, _)| key.starts_with(text("prefix")) && key.as_str() > from)
        .collect();
    let mut body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
         <Name>{name}</Name><KeyCount>{}</KeyCount><IsTruncated>{}</IsTruncated>",
        below.len().min(most),
        below.len() > most
    );
    for (key, object) in below.iter().take(most) {
        let _infallible = write!(
            body,
            "<Contents><Key>{key}</Key><LastModified>{}</LastModified><ETag>{}</ETag><Size>{}</Size></Contents>",
            object.modified.format("%Y-%m-%dT%H:%M:%S%.3fZ"),
            object.etag.replace('"', "&quot;"),
            object.bytes.len()
        );
    }
    if below.len() > most {
        let last = below[most - 1].0;
        let _infallible = write!(body, "<NextContinuationToken>{last}</NextContinuationToken>");
    }
    xml(200, body + "</ListBucketResult>")
}

fn object(request: &Request, bucket: &Bucket, key: &str) -> Answer {
    let Some(object) = bucket.objects.get(key) else { return s3_error(404, "NoSuchKey") };
    if request.headers.get("if-match").is_some_and(|wanted| *wanted != object.etag) {
        return s3_error(412, "PreconditionFailed");
    }
    let modified = object.modified.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let mut headers = vec![
        ("etag", object.etag.clone()),
        ("accept-ranges", "bytes".to_owned()),
        ("last-modified", modified),
    ];
    let whole = object.bytes.len();
    if request.method == "HEAD" {
        headers.push(("content-length", whole.to_string()));
        return Answer::new(200, headers, Vec::new());
    }
    let range = request.headers.get("range").and_then(|range| {
        let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
        Some((from.parse::<usize>().ok()?, to.parse::<usize>().ok()?.min(whole.checked_sub(1)?)))
    });
    let Some((from, to)) = range else {
        return Answer::new(200, headers, object.bytes.to_vec());
    };
    if from > to {
        return s3_error(416, "InvalidRange");
    }
    headers.push(("content-range", format!("bytes {from}-{to}/{whole}")));
    Answer::new(206, headers, object.bytes[from..=to].to_vec())
}

/// IAM's evaluation, as far as these policies need it: a Deny wins, and without an Allow nothing goes.
fn allows(policy: &Value, action: &str, arn: &str, prefix: Option<&str>) -> bool {
    let texts = |value: &Value| -> Vec<String> {
        match value {
            Value::Array(all) => all.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect(),
            one => one.as_str().map(str::to_owned).into_iter().collect(),
        }
    };
    let fits = |statement: &Value| {
        let names = texts(&statement["Action"]).iter().any(|of| like(of, action));
        let about = texts(&statement["Resource"]).iter().any(|of| like(of, arn));
        let wanted = texts(&statement["Condition"]["StringLike"]["s3:prefix"]);
        let under =
            wanted.is_empty() || prefix.is_some_and(|prefix| wanted.iter().any(|of| like(of, prefix)));
        names && about && under
    };
    let statements = policy["Statement"].as_array().cloned().unwrap_or_default();
    let effect = |effect: &str| statements.iter().any(|one| one["Effect"] == effect && fits(one));
    effect("Allow") && !effect("Deny")
}

/// IAM's wildcards.
fn like(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            rest.is_empty() || (0..=text.len()).any(|at| text.get(at..).is_some_and(|text| like(rest, text)))
        }),
    }
}
