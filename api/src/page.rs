//! Lists: `limit` and `cursor` in, `items` and `next_cursor` out. Never an offset, never a total nobody asked for.

use poem_openapi::Object;
use poem_openapi::types::{ParseFromJSON, ToJSON, Type};

/// How many items a list gives without being asked.
pub(crate) const DEFAULT_LIMIT: u32 = 50;

/// [`DEFAULT_LIMIT`], as parameters name their defaults.
pub(crate) const fn default_limit() -> u32 {
    DEFAULT_LIMIT
}

/// One page of a list.
#[derive(Object)]
pub struct Page<T: ParseFromJSON + ToJSON + Type + Send + Sync> {
    /// The items.
    pub items: Vec<T>,
    /// What to send as `cursor` for the next page; null at the end.
    #[oai(nullable)]
    pub next_cursor: Option<String>,
}

impl<T: ParseFromJSON + ToJSON + Type + Send + Sync> Page<T> {
    /// A page of rows that were asked for one beyond the limit: the surplus tells that there is more.
    pub(crate) fn of<R>(
        mut rows: Vec<R>,
        limit: u32,
        cursor: impl Fn(&R) -> String,
        view: impl FnMut(R) -> T,
    ) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = rows.last().filter(|_| more).map(cursor);
        Self { items: rows.into_iter().map(view).collect(), next_cursor }
    }
}
