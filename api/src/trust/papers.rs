//! What reviewers and lawyers want on paper, as files: embedded here, so that what is served is what was tested.

use poem::endpoint::make_sync;
use poem::{Endpoint, IntoResponse as _, Response, get};

/// All of them: path and text.
pub const ALL: [(&str, &str); 2] = [
    ("/trust/questionnaire.md", include_str!("../../../docs/src/reference/questionnaire.md")),
    ("/trust/data-processing.md", include_str!("../../../docs/src/reference/data-processing.md")),
];

/// Serves one, to anybody.
pub fn endpoint(text: &'static str) -> impl Endpoint<Output = Response> + 'static {
    get(make_sync(move |_| {
        text.with_content_type("text/markdown; charset=utf-8")
            .with_header("cache-control", "public, max-age=3600")
            .into_response()
    }))
}
