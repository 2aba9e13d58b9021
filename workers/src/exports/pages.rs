//! An export's rows, a page at a time, and how far in the period the last one is.

use chrono::{DateTime, Utc};
use costlens_domain::RequestId;
use costlens_domain::export::{ExportWhat, HourlySpend};
use costlens_domain::request::RequestFact;
use costlens_store::{Export, ExportState, RequestFilter, SpendPlace, StoreError, TenantConn};

/// How many rows are in memory at once.
pub(super) const PAGE: u32 = 1_000;

/// Some rows.
#[derive(Debug)]
pub(super) enum Page {
    Requests(Vec<RequestFact>),
    Hours(Vec<HourlySpend>),
}

impl Page {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Requests(facts) => facts.len(),
            Self::Hours(hours) => hours.len(),
        }
    }

    /// When its first row began, and its last.
    fn times(&self) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        match self {
            Self::Requests(facts) => Some((facts.first()?.started_at, facts.last()?.started_at)),
            Self::Hours(hours) => Some((hours.first()?.hour, hours.last()?.hour)),
        }
    }
}

/// Whoever reads page after page.
#[derive(Debug)]
pub(super) struct Reader {
    what: ExportWhat,
    filter: RequestFilter,
    last_request: Option<RequestId>,
    last_hour: Option<SpendPlace>,
    period: Option<(DateTime<Utc>, DateTime<Utc>)>,
    permille: u16,
}

impl Reader {
    pub(super) fn of(export: &Export) -> Self {
        let filter = export.filter.clone();
        Self {
            what: export.what,
            period: filter.from.zip(filter.to),
            filter,
            last_request: None,
            last_hour: None,
            permille: 0,
        }
    }

    /// The next rows; an empty page is the end. `None` if the export is no longer wanted: it was cancelled, or its
    /// account is being closed.
    pub(super) async fn next(
        &mut self,
        conn: &mut TenantConn,
        export: &Export,
    ) -> Result<Option<Page>, StoreError> {
        let wanted = match conn.export(export.id).await {
            Ok(now) => now.state == ExportState::Running,
            Err(StoreError::NotFound) => false,
            Err(error) => return Err(error),
        };
        if !wanted || conn.tenant().await?.closing_at.is_some() {
            return Ok(None);
        }
        let page = match self.what {
            ExportWhat::Requests => {
                let facts = conn.requests_after(&self.filter, self.last_request, PAGE).await?;
                self.last_request = facts.last().map(|fact| fact.id).or(self.last_request);
                Page::Requests(facts)
            }
            ExportWhat::HourlySpend => {
                let hours = conn.hourly_spend_after(&self.filter, self.last_hour.as_ref(), PAGE).await?;
                self.last_hour = hours.last().map(SpendPlace::from).or(self.last_hour.take());
                Page::Hours(hours)
            }
        };
        if let Some((first, last)) = page.times() {
            // Without a beginning of its own the period begins with the first row.
            let (from, to) = *self.period.get_or_insert((first, self.filter.to.unwrap_or(last)));
            self.permille = share(from, last, to).max(self.permille);
        }
        Ok(Some(page))
    }

    /// The share of the period that was read, in thousandths.
    pub(super) const fn permille(&self) -> u16 {
        self.permille
    }
}

fn share(from: DateTime<Utc>, at: DateTime<Utc>, to: DateTime<Utc>) -> u16 {
    let (done, whole) = ((at - from).num_seconds(), (to - from).num_seconds());
    if whole <= 0 {
        return 0;
    }
    let permille = done.clamp(0, whole).saturating_mul(1000) / whole;
    u16::try_from(permille).unwrap_or(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_a_period_is_between_nothing_and_all_of_it() {
        let at = |seconds: i64| DateTime::from_timestamp(1_763_800_000 + seconds, 0).unwrap();
        for (from, now, to, permille) in [
            (0, 0, 100, 0),
            (0, 50, 100, 500),
            (0, 100, 100, 1000),
            (0, 300, 100, 1000),
            (0, -5, 100, 0),
            (7, 7, 7, 0),
        ] {
            assert_eq!(share(at(from), at(now), at(to)), permille, "{from} {now} {to}");
        }
    }
}
