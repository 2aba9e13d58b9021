//! How often something may be done that reaches somebody outside: counted in the audit, in the transaction of the act.

use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::ProblemCode;
use costlens_domain::audit::Action;
use costlens_store::TenantConn;

use crate::error::ApiError;

/// What is counted together, and how much of it there may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound<'a> {
    /// What is done.
    pub(crate) actions: &'a [Action],
    /// To what; to anything if it is not said.
    pub(crate) target: Option<&'a str>,
    /// How often at most.
    pub(crate) most: u64,
    /// In how long.
    pub(crate) within: TimeDelta,
    /// What whoever comes too often is told.
    pub(crate) detail: &'static str,
}

/// Refuses what was done so often before. Of two calls at once the second counts the first.
pub(crate) async fn hold(
    conn: &mut TenantConn,
    bounds: &[Bound<'_>],
    now: DateTime<Utc>,
) -> Result<(), ApiError> {
    conn.lock_count("acts").await?;
    for bound in bounds {
        let since = now - bound.within;
        if conn.count_acts(bound.actions, bound.target, since).await? >= bound.most {
            return Err(ApiError::new(ProblemCode::TooManyRequests, bound.detail));
        }
    }
    Ok(())
}
