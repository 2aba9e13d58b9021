//! What a source's word for a failure says of the provider's work.
//!
//! The rule is the proxy's: an answer with an error status is a refusal, which nobody charges for; whatever broke off, ran out
//! of time or failed in another way may have been worked on. Sources tell statuses as numbers, or as the names that clients
//! give to errors.

/// What clients call an answer with an error status.
const REFUSALS: [&str; 26] = [
    "AccessDeniedException",
    "AuthenticationError",
    "BadGatewayError",
    "BadRequestError",
    "BudgetExceededError",
    "ConflictError",
    "ContentPolicyViolationError",
    "ContextWindowExceededError",
    "InternalServerError",
    "InvalidArgument",
    "InvalidRequestError",
    "NotFoundError",
    "OverloadedError",
    "PermissionDenied",
    "PermissionDeniedError",
    "RateLimitError",
    "RequestTooLargeError",
    "ResourceExhausted",
    "ResourceNotFoundException",
    "ServiceQuotaExceededException",
    "ServiceUnavailableError",
    "ThrottlingException",
    "Unauthenticated",
    "UnprocessableEntityError",
    "UnsupportedParamsError",
    "ValidationException",
];

/// Failures for which some clients make a status up, though no answer came, or not to its end.
const UNANSWERED: [&str; 5] =
    ["APIConnectionError", "APITimeoutError", "MidStreamFallbackError", "Timeout", "TimeoutError"];

/// Whether the provider refused the call, as far as the source's status and its word for the error tell. What they do not
/// tell is no refusal; nor is what went wrong after a good status: in the middle of a stream an error has a refusal's name.
#[must_use]
pub fn is_refusal(status: Option<&str>, error: Option<&str>) -> bool {
    // `openai.RateLimitError`, `litellm::Timeout`
    let name = error.and_then(|error| error.rsplit(['.', ':']).next()).unwrap_or_default();
    let number = |text: &str| text.parse::<u16>().ok();
    let status = status.and_then(number);
    if UNANSWERED.contains(&name) || status.is_some_and(|status| (200..400).contains(&status)) {
        return false;
    }
    let is_error = |code: u16| (400..600).contains(&code);
    status.is_some_and(is_error) || error.and_then(number).is_some_and(is_error) || REFUSALS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_status_is_a_refusal_by_number_and_by_name() {
        for (status, error) in [
            (Some("429"), None),
            (Some("500"), Some("SomethingOfOnesOwn")),
            (None, Some("404")),
            (None, Some("RateLimitError")),
            (None, Some("openai.BadRequestError")),
            (None, Some("anthropic::OverloadedError")),
            (None, Some("ThrottlingException")),
        ] {
            assert!(is_refusal(status, error), "{status:?} {error:?}");
        }
    }

    #[test]
    fn what_may_have_been_worked_on_is_none() {
        for (status, error) in [
            (None, None),
            (Some("200"), None),
            (Some(""), Some("failure")),
            (Some("9999"), None),
            (None, Some("_OTHER")),
            (None, Some("ModelStreamErrorException")),
            // The status of these is the client's own.
            (Some("408"), Some("Timeout")),
            (Some("500"), Some("litellm.APIConnectionError")),
            (Some("503"), Some("MidStreamFallbackError")),
            // The answer had begun.
            (Some("200"), Some("OverloadedError")),
            (Some("200"), Some("529")),
            (Some("206"), Some("openai.RateLimitError")),
            (Some("302"), Some("InternalServerError")),
        ] {
            assert!(!is_refusal(status, error), "{status:?} {error:?}");
        }
    }
}
