//! Which methods an address takes, for the `Allow` that a 405 must carry (RFC 9110, section 15.5.6). The framework keeps
//! the list to itself, so it is read from the contract's own description once more.

use poem::http::{HeaderValue, Method};
use poem_openapi::OpenApi;

/// The contract's paths with their methods.
pub(crate) struct Methods(Vec<(Vec<String>, Vec<Method>)>);

impl Methods {
    pub(crate) fn of<T: OpenApi>() -> Self {
        let paths = T::meta().into_iter().flat_map(|api| api.paths);
        let rows = paths.map(|path| {
            let methods = path.operations.into_iter().map(|operation| operation.method).collect();
            (segments(&path.path).map(str::to_owned).collect(), methods)
        });
        Self(rows.collect())
    }

    /// What this path takes; `None` where it leads nowhere.
    pub(crate) fn allowed(&self, path: &str) -> Option<HeaderValue> {
        let fits = |pattern: &[String]| {
            let mut given = segments(path);
            let all = pattern.iter().all(|wanted| {
                given.next().is_some_and(|given| wanted.starts_with([':', '{']) || wanted == given)
            });
            all && given.next().is_none()
        };
        // `/recipients/confirm` is a place of its own, and no recipient's.
        let (_, methods) =
            self.0.iter().filter(|(pattern, _)| fits(pattern)).min_by_key(|(pattern, _)| {
                pattern.iter().filter(|part| part.starts_with([':', '{'])).count()
            })?;
        let mut names: Vec<&str> = methods.iter().map(Method::as_str).collect();
        if methods.contains(&Method::GET) {
            names.push(Method::HEAD.as_str());
        }
        names.sort_unstable();
        HeaderValue::try_from(names.join(", ")).ok()
    }
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}
