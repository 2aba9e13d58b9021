//! What goes wrong, on the wire: RFC 9457 problems, one variant a status.

use costlens_domain::{Problem, ProblemCode, RequestId};
use costlens_store::StoreError;
use poem::Response;
use poem::http::StatusCode;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object};

/// One field of a request and what is wrong with it.
#[derive(Debug, Clone, Object)]
#[oai(rename = "FieldError")]
pub struct FieldErrorBody {
    /// A JSON pointer (RFC 6901) or the parameter's name.
    pub field: String,
    /// What is wrong, in words.
    pub detail: String,
}

/// What went wrong (RFC 9457).
#[derive(Debug, Clone, Object)]
#[oai(rename = "Problem")]
pub struct ProblemBody {
    /// A URI that names the kind of problem: `urn:costlens:problem:<code>`.
    #[oai(rename = "type")]
    pub kind: String,
    /// One short sentence, the same at every occurrence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time, for the person who reads it.
    pub detail: String,
    /// The request id under which the cause was logged.
    #[oai(skip_serializing_if_is_none)]
    pub instance: Option<String>,
    /// The stable name of the problem.
    pub code: String,
    /// What is wrong with which field.
    #[oai(default, skip_serializing_if_is_empty)]
    pub errors: Vec<FieldErrorBody>,
}

impl From<Problem> for ProblemBody {
    fn from(problem: Problem) -> Self {
        let errors = problem.errors.into_iter();
        Self {
            kind: problem.kind,
            title: problem.title,
            status: problem.status,
            detail: problem.detail,
            instance: problem.instance,
            code: problem.code,
            errors: errors.map(|error| FieldErrorBody { field: error.field, detail: error.detail }).collect(),
        }
    }
}

/// A problem in an answer; boxed, because it is large and rare.
pub type Told = Json<Box<ProblemBody>>;

/// Every way in which an operation can fail.
#[derive(Debug, ApiResponse)]
pub enum ApiError {
    /// The request is not what the operation wants.
    #[oai(status = 400, content_type = "application/problem+json")]
    Invalid(Told),
    /// No valid credential.
    #[oai(status = 401, content_type = "application/problem+json")]
    Unauthenticated(Told),
    /// The caller may not do this.
    #[oai(status = 403, content_type = "application/problem+json")]
    Forbidden(Told),
    /// There is no such thing, or the caller may not know of it.
    #[oai(status = 404, content_type = "application/problem+json")]
    NotFound(Told),
    /// The present state forbids it.
    #[oai(status = 409, content_type = "application/problem+json")]
    Conflict(Told),
    /// The body is too large.
    #[oai(status = 413, content_type = "application/problem+json")]
    TooLarge(Told),
    /// The content type is not one the operation reads.
    #[oai(status = 415, content_type = "application/problem+json")]
    UnsupportedMediaType(Told),
    /// Well-formed, and yet not possible.
    #[oai(status = 422, content_type = "application/problem+json")]
    Unprocessable(Told),
    /// Too many requests.
    #[oai(status = 429, content_type = "application/problem+json")]
    TooMany(
        Told,
        /// Seconds after which another try may succeed, where that is known.
        #[oai(header = "Retry-After")]
        Option<u64>,
    ),
    /// Something broke on our side.
    #[oai(status = 500, content_type = "application/problem+json")]
    Internal(Told),
    /// Not now: try again later.
    #[oai(status = 503, content_type = "application/problem+json")]
    Unavailable(Told),
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        let variant = match problem.status {
            400 | 408 => Self::Invalid,
            401 => Self::Unauthenticated,
            403 => Self::Forbidden,
            404 | 405 => Self::NotFound,
            409 => Self::Conflict,
            413 => Self::TooLarge,
            415 => Self::UnsupportedMediaType,
            422 => Self::Unprocessable,
            429 => |told| Self::TooMany(told, None),
            503 => Self::Unavailable,
            _ => Self::Internal,
        };
        variant(Json(Box::new(problem.into())))
    }
}

impl ApiError {
    /// An error with this code, told in these words.
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Problem::new(code, detail).into()
    }

    /// A field that is not what it should be.
    pub fn field(field: &str, detail: &str) -> Self {
        Problem::new(ProblemCode::InvalidRequest, format!("{field}: {detail}"))
            .field(format!("/{field}"), detail)
            .into()
    }

    /// Too often: worth another try after so long.
    pub fn too_many(detail: impl Into<String>, retry_after: std::time::Duration) -> Self {
        let seconds = retry_after.as_millis().div_ceil(1_000);
        let problem = Problem::new(ProblemCode::TooManyRequests, detail);
        Self::TooMany(Json(Box::new(problem.into())), Some(u64::try_from(seconds).unwrap_or(u64::MAX)))
    }

    /// What is told.
    pub(crate) fn told(&self) -> &ProblemBody {
        match self {
            Self::Invalid(told)
            | Self::Unauthenticated(told)
            | Self::Forbidden(told)
            | Self::NotFound(told)
            | Self::Conflict(told)
            | Self::TooLarge(told)
            | Self::UnsupportedMediaType(told)
            | Self::Unprocessable(told)
            | Self::TooMany(told, _)
            | Self::Internal(told)
            | Self::Unavailable(told) => &told.0,
        }
    }

    /// The caller's thing does not exist, or is another's.
    pub fn not_found() -> Self {
        Self::new(ProblemCode::NotFound, "no such thing is visible to this caller")
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound => Self::not_found(),
            StoreError::Conflict { .. } => {
                let detail = match error.constraint() {
                    Some("connection_name") => "an enabled connection already has this name",
                    Some("recipient_email") => "this address is a recipient already",
                    Some("user_account_login") => "somebody signs in with this address already",
                    Some("invitation_open") => "this address is invited already",
                    Some("member_pkey") => "this person is a member already",
                    Some("sso_domain_name") => "this domain is in the list already",
                    Some("sso_domain_proven") => "another organisation here has proven this domain",
                    Some("closure_pkey") => "the account is being closed already",
                    _ => "it conflicts with what is there",
                };
                Self::new(ProblemCode::Conflict, detail)
            }
            StoreError::Text => Self::new(
                ProblemCode::InvalidRequest,
                "a text holds the character U+0000, which cannot be stored",
            ),
            StoreError::Unavailable(_) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the database cannot be reached");
                Self::new(ProblemCode::DatabaseUnavailable, "the database cannot be reached now; try again")
            }
            StoreError::Role(_) | StoreError::Bug(_) => {
                tracing::error!(error = &error as &dyn std::error::Error, "an operation failed");
                Self::new(ProblemCode::Internal, "the cause has been logged under this request's id")
            }
        }
    }
}

/// A problem as an HTTP answer, for what fails outside of an operation.
pub(crate) fn problem_response(problem: &Problem) -> Response {
    let mut response = costlens_edge::problem_response(problem);
    if response.status() == StatusCode::UNAUTHORIZED {
        let value = poem::http::HeaderValue::from_static("Bearer");
        response.headers_mut().insert(poem::http::header::WWW_AUTHENTICATE, value);
    }
    response
}

/// A problem, told of the request that it happened to; any other answer as it is.
pub(crate) async fn told_of_request(mut response: Response, id: Option<RequestId>) -> Response {
    let kind = response.headers().get(poem::http::header::CONTENT_TYPE);
    let is_problem = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/problem+json"));
    let (true, Some(id)) = (is_problem, id) else { return response };
    let body = response.take_body().into_vec().await.unwrap_or_default();
    response.set_body(match serde_json::from_slice::<Problem>(&body) {
        Ok(problem) => serde_json::to_vec(&problem.instance(id.to_string())).unwrap_or(body),
        Err(_) => body,
    });
    response.headers_mut().remove(poem::http::header::CONTENT_LENGTH);
    response
}

/// The framework's own errors as problems. Poem's texts name internals, so none of them is shown.
pub(crate) fn framework_error(error: poem::Error) -> Response {
    use poem::error::{MethodNotAllowedError, NotFoundError, ParsePathError, ParseQueryError, ReadBodyError};
    use poem_openapi::error as oai;

    if error.is_from_response() {
        return error.into_response();
    }
    let problem = if error.is::<oai::AuthorizationError>() {
        Problem::new(ProblemCode::CredentialMissing, "sign in, or send an API key as a bearer token")
    } else if let Some(wrong) = error.downcast_ref::<oai::ParseRequestPayloadError>() {
        Problem::new(ProblemCode::InvalidRequest, payload_detail(&wrong.reason))
    } else if let Some(wrong) = error.downcast_ref::<oai::ParseParamError>() {
        Problem::new(ProblemCode::InvalidRequest, format!("the parameter `{}` is not valid", wrong.name))
            .field(wrong.name, "not valid")
    } else if error.is::<oai::ParsePathError>() || error.is::<ParsePathError>() {
        Problem::new(ProblemCode::NotFound, "no such thing is visible to this caller")
    } else if error.is::<ParseQueryError>() {
        Problem::new(ProblemCode::InvalidRequest, "the query string is not valid")
    } else if error.is::<oai::ContentTypeError>() {
        Problem::new(ProblemCode::UnsupportedMediaType, "this operation does not read that content type")
    } else if let Some(wrong) = error.downcast_ref::<ReadBodyError>() {
        match wrong {
            ReadBodyError::PayloadTooLarge => {
                Problem::new(ProblemCode::BodyTooLarge, "the body is too large")
            }
            _ => Problem::new(ProblemCode::InvalidRequest, "the body could not be read"),
        }
    } else if error.is::<NotFoundError>() {
        Problem::new(ProblemCode::NotFound, "there is nothing at this address")
    } else if error.is::<MethodNotAllowedError>() {
        Problem::new(ProblemCode::MethodNotAllowed, "this address does not take that method")
    } else if error.status().is_client_error() {
        Problem::new(ProblemCode::InvalidRequest, "the request is not valid")
    } else {
        tracing::error!(%error, "an operation failed");
        Problem::new(ProblemCode::Internal, "the cause has been logged under this request's id")
    };
    problem_response(&problem)
}

/// The first line of what a payload lacks, without type names.
fn payload_detail(reason: &str) -> String {
    let words: String =
        reason.replace("failed to parse ", "").chars().filter(|c| *c != '"').take(200).collect();
    let names_types = words.contains('_') && words.contains("::");
    if names_types || words.trim().is_empty() { "the body is not valid".to_owned() } else { words }
}
