//! RFC 9457 problems: the one shape in which everything that went wrong is told.

use serde::{Deserialize, Serialize};

macro_rules! problem_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $status:literal, $title:literal;)*) => {
        /// A stable name for what went wrong. Clients may match on it; it never changes meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ProblemCode { $($(#[$doc])* $name,)* }

        impl ProblemCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable name, as in the `code` member.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The HTTP status it is told with.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// One short sentence, the same at every occurrence.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

problem_codes! {
    /// The body is not what the operation wants.
    InvalidRequest = "invalid_request", 400, "The request is not valid";
    /// The body is not JSON.
    MalformedJson = "malformed_json", 400, "The body is not valid JSON";
    /// No credential was sent.
    CredentialMissing = "credential_missing", 401, "A credential is required";
    /// The API key is not one of ours.
    KeyUnknown = "key_unknown", 401, "The API key is not known";
    /// The API key was revoked.
    KeyRevoked = "key_revoked", 401, "The API key has been revoked";
    /// The API key, or the secret that it had before it was rolled, is past its end.
    KeyExpired = "key_expired", 401, "The API key has expired";
    /// The session is unknown, ended or expired.
    SessionInvalid = "session_invalid", 401, "The session is not valid";
    /// The sign-in link is unknown, used or expired.
    SignInLinkInvalid = "sign_in_link_invalid", 401, "The sign-in link is not valid";
    /// E-mail address or password is wrong; which of them is not said.
    SignInRefused = "sign_in_refused", 401, "The sign-in was refused";
    /// The password is right, and a second factor is wanted with it.
    SecondFactorRequired = "second_factor_required", 401, "A second factor is required";
    /// A message that says it is somebody's is not by who may send it, not whole, or not of this moment.
    SignatureRefused = "signature_refused", 401, "The message's signature was refused";
    /// What is asked for wants a fresh proof of who asks.
    StepUpRequired = "step_up_required", 403, "A fresh proof of who you are is required";
    /// The caller is known and may not do this.
    Forbidden = "forbidden", 403, "The caller may not do this";
    /// People and organisations are kept elsewhere, and so is what this would change.
    SignInElsewhere = "sign_in_elsewhere", 403, "People sign in elsewhere";
    /// The person's organisation wants it to come by its own identity provider, and by nothing else.
    SingleSignOnRequired = "single_sign_on_required", 403, "The organisation wants its own sign-in";
    /// The account is being closed, and is frozen.
    AccountClosing = "account_closing", 403, "The account is being closed";
    /// There is no such thing, or the caller may not know of it.
    NotFound = "not_found", 404, "There is no such thing";
    /// A link of a mail is cut, made up, or no longer leads anywhere.
    LinkInvalid = "link_invalid", 404, "The link is not valid";
    /// No connection of the tenant serves the model.
    ModelNotFound = "model_not_found", 404, "No route serves this model";
    /// The path exists for other methods.
    MethodNotAllowed = "method_not_allowed", 405, "The method is not allowed here";
    /// The state of things forbids it, e.g. a name is taken.
    Conflict = "conflict", 409, "The request conflicts with the present state";
    /// The account has as many unfinished or kept things of this kind as it may.
    LimitReached = "limit_reached", 409, "The account has as many of these as it may";
    /// Whoever runs the service has not set up how AWS accounts are connected.
    AwsNotSetUp = "aws_not_set_up", 409, "AWS accounts cannot be connected here";
    /// The body is larger than allowed.
    BodyTooLarge = "body_too_large", 413, "The body is too large";
    /// The content type is not one the operation reads.
    UnsupportedMediaType = "unsupported_media_type", 415, "The content type is not supported";
    /// The idempotency key was used with another body.
    IdempotencyMismatch = "idempotency_mismatch", 422, "The idempotency key was used with another body";
    /// Another bill that counts keeps a month of this one.
    BillOverlaps = "bill_overlaps", 409, "Another bill keeps these months";
    /// The uploaded bill cannot be read.
    BillUnreadable = "bill_unreadable", 422, "The bill cannot be read";
    /// The endpoint's address is not allowed.
    EndpointRefused = "endpoint_refused", 422, "The endpoint's address is not allowed";
    /// Too many requests.
    TooManyRequests = "too_many_requests", 429, "Too many requests";
    /// The client sent its headers or body too slowly.
    RequestTimeout = "request_timeout", 408, "The request took too long to arrive";
    /// The request's headers are too large.
    HeadersTooLarge = "headers_too_large", 431, "The request's headers are too large";
    /// Something broke on our side.
    Internal = "internal", 500, "Something went wrong on our side";
    /// The provider could not be reached.
    UpstreamUnreachable = "upstream_unreachable", 502, "The provider could not be reached";
    /// The spool has no room, so the call could not be recorded and was not made.
    SpoolFull = "spool_full", 503, "The ledger's spool is full";
    /// The database cannot be reached.
    DatabaseUnavailable = "database_unavailable", 503, "The database cannot be reached";
    /// The service that holds the keys to the tenant's secrets cannot be reached, or refuses.
    KeysUnavailable = "keys_unavailable", 503, "The keys to the account's secrets cannot be had now";
    /// Whoever vouches for people cannot be asked, so nobody new is let in.
    VoucherUnavailable = "voucher_unavailable", 503, "Whoever vouches for people cannot be asked now";
    /// The server is shutting down or at its limit.
    Unavailable = "unavailable", 503, "The service cannot take this request now";
    /// The call has come through this program before: a connection leads back to it.
    LoopDetected = "loop_detected", 508, "The call goes in a circle";
    /// The provider did not answer in time.
    UpstreamTimeout = "upstream_timeout", 504, "The provider did not answer in time";
}

/// One field of a request and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// A JSON pointer (RFC 6901) or the parameter's name.
    pub field: String,
    /// What is wrong, in words.
    pub detail: String,
}

/// A problem as `application/problem+json` carries it (RFC 9457, section 3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// A URI that names the kind of problem: `urn:costlens:problem:<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// One short sentence, the same at every occurrence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time, for the person who reads it.
    pub detail: String,
    /// The request id under which the cause was logged.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub instance: Option<String>,
    /// The stable name of the problem.
    pub code: String,
    /// What is wrong with which field.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub errors: Vec<FieldError>,
}

impl Problem {
    /// A problem with a detail for the reader.
    #[must_use]
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:costlens:problem:{}", code.as_str()),
            title: code.title().to_owned(),
            status: code.status(),
            detail: detail.into(),
            instance: None,
            code: code.as_str().to_owned(),
            errors: Vec::new(),
        }
    }

    /// The same problem, told of one request.
    #[must_use]
    pub fn instance(mut self, request_id: impl Into<String>) -> Self {
        self.instance = Some(request_id.into());
        self
    }

    /// The same problem with one more field named.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>, detail: impl Into<String>) -> Self {
        self.errors.push(FieldError { field: field.into(), detail: detail.into() });
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_unique_and_its_status_is_an_error() {
        let names: std::collections::BTreeSet<_> =
            ProblemCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), ProblemCode::ALL.len());
        assert!(ProblemCode::ALL.iter().all(|code| (400..600).contains(&code.status())));
    }
}
