//! An export's rows, a page at a time, and how far in the period the last one is.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use costlens_domain::bill::DailyFact;
use costlens_domain::export::{ExportWhat, HourlySpend, SettledCharge};
use costlens_domain::request::RequestFact;
use costlens_domain::{BillId, RequestId};
use costlens_store::{
    ChargePlace, Export, ExportState, RequestFilter, SettledPlace, SpendPlace, StoreError, TenantConn,
};

/// How many rows are in memory at once.
pub(super) const PAGE: u32 = 1_000;

/// Some rows.
#[derive(Debug)]
pub(super) enum Page {
    Requests(Vec<RequestFact>),
    Hours(Vec<HourlySpend>),
    Charges(Vec<(BillId, DailyFact)>),
    Settled(Vec<SettledCharge>),
}

impl Page {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Requests(facts) => facts.len(),
            Self::Hours(hours) => hours.len(),
            Self::Charges(charges) => charges.len(),
            Self::Settled(charges) => charges.len(),
        }
    }

    /// When its first row began, and its last.
    fn times(&self) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        match self {
            Self::Requests(facts) => Some((facts.first()?.started_at, facts.last()?.started_at)),
            Self::Hours(hours) => Some((hours.first()?.hour, hours.last()?.hour)),
            Self::Charges(charges) => {
                let day = |(_, fact): &(BillId, DailyFact)| fact.day.and_time(NaiveTime::MIN).and_utc();
                Some((day(charges.first()?), day(charges.last()?)))
            }
            Self::Settled(charges) => {
                let day = |charge: &SettledCharge| charge.day.and_time(NaiveTime::MIN).and_utc();
                Some((day(charges.first()?), day(charges.last()?)))
            }
        }
    }
}

/// What comes next.
#[derive(Debug)]
pub(super) enum Next {
    /// These rows; none are the end.
    Page(Page),
    /// The export is no longer wanted: it was cancelled, or its account is being closed.
    Unwanted,
    /// Another delivery of a month took the place of one that stands in the file already, or a month was settled anew.
    Moved,
}

/// Whoever reads page after page.
#[derive(Debug)]
pub(super) struct Reader {
    what: ExportWhat,
    filter: RequestFilter,
    last_request: Option<RequestId>,
    last_hour: Option<SpendPlace>,
    last_charge: Option<ChargePlace>,
    /// The day whose settled charges are read, and the place of the last one.
    settled: Option<(NaiveDate, Option<SettledPlace>)>,
    /// The bills that counted when the first charge was read.
    bills: Option<Vec<(BillId, i32)>>,
    /// The settlements that there were then.
    settlements: Option<Vec<String>>,
    /// All charges of the bills were read.
    charged: bool,
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
            last_charge: None,
            settled: None,
            bills: None,
            settlements: None,
            charged: false,
            permille: 0,
        }
    }

    /// The next rows.
    pub(super) async fn next(&mut self, conn: &mut TenantConn, export: &Export) -> Result<Next, StoreError> {
        let wanted = match conn.export(export.id).await {
            Ok(now) => now.state == ExportState::Running,
            Err(StoreError::NotFound) => false,
            Err(error) => return Err(error),
        };
        if !wanted || conn.tenant().await?.closing_at.is_some() {
            return Ok(Next::Unwanted);
        }
        let of_bills = match self.what {
            ExportWhat::Focus => !self.charged,
            ExportWhat::FocusSettled => true,
            ExportWhat::Requests | ExportWhat::HourlySpend => false,
        };
        if of_bills {
            let marks = conn.bill_marks().await?;
            if *self.bills.get_or_insert_with(|| marks.clone()) != marks {
                return Ok(Next::Moved);
            }
        }
        if self.what == ExportWhat::FocusSettled {
            let day = |moment: DateTime<Utc>| moment.date_naive();
            let days = (self.filter.from.map(day), self.filter.to.map(day));
            let marks = conn.settlement_marks(days).await?;
            if *self.settlements.get_or_insert_with(|| marks.clone()) != marks {
                return Ok(Next::Moved);
            }
        }
        let page = match self.what {
            ExportWhat::FocusSettled if self.charged => self.settled(conn).await?,
            ExportWhat::FocusSettled => match self.charges(conn).await? {
                page if page.len() > 0 => page,
                _ => {
                    self.charged = true;
                    self.settled(conn).await?
                }
            },
            ExportWhat::Requests => {
                let facts = conn.requests_after(&self.filter, self.last_request, PAGE).await?;
                self.last_request = facts.last().map(|fact| fact.id).or(self.last_request);
                Page::Requests(facts)
            }
            ExportWhat::HourlySpend => self.hours(conn).await?,
            ExportWhat::Focus if self.charged => self.hours(conn).await?,
            ExportWhat::Focus => match self.charges(conn).await? {
                page if page.len() > 0 => page,
                _ => {
                    self.charged = true;
                    self.hours(conn).await?
                }
            },
        };
        if let Some((first, last)) = page.times() {
            // Without a beginning of its own the period begins with the first row.
            let (from, to) = *self.period.get_or_insert((first, self.filter.to.unwrap_or(last)));
            self.permille = share(from, last, to).max(self.permille);
        }
        Ok(Next::Page(page))
    }

    async fn hours(&mut self, conn: &mut TenantConn) -> Result<Page, StoreError> {
        let hours = conn.hourly_spend_after(&self.filter, self.last_hour.as_ref(), PAGE).await?;
        self.last_hour = hours.last().map(SpendPlace::from).or(self.last_hour.take());
        Ok(Page::Hours(hours))
    }

    async fn charges(&mut self, conn: &mut TenantConn) -> Result<Page, StoreError> {
        // The period ends before `to`: a day that it only touches at midnight is not in it.
        let last = self.filter.to.and_then(|to| to.checked_sub_signed(TimeDelta::microseconds(1)));
        let days = (self.filter.from.map(|from| from.date_naive()), last.map(|last| last.date_naive()));
        let unsettled = self.what == ExportWhat::FocusSettled;
        let charges = conn.charges_after(days, self.last_charge.as_ref(), unsettled, PAGE).await?;
        self.last_charge = charges.last().map(|(place, _)| *place).or(self.last_charge);
        Ok(Page::Charges(charges.into_iter().map(|(place, fact)| (place.bill_id, fact)).collect()))
    }

    /// The next settled charges: the rest of the day, or of the next day that has any.
    async fn settled(&mut self, conn: &mut TenantConn) -> Result<Page, StoreError> {
        // Whoever asks for an export says until when.
        let until = self.filter.to.unwrap_or(DateTime::<Utc>::MAX_UTC);
        let mut from = self.filter.from.map(|from| from.date_naive());
        if let Some((day, after)) = &mut self.settled {
            let charges = conn.settled_charges_after(*day, after.as_ref(), PAGE).await?;
            if let Some((place, _)) = charges.last() {
                *after = Some(place.clone());
                return Ok(Page::Settled(charges.into_iter().map(|(_, charge)| charge).collect()));
            }
            from = Some(*day + Days::new(1));
        }
        while let Some(day) = conn.next_settled_day(from, until).await? {
            let charges = conn.settled_charges_after(day, None, PAGE).await?;
            self.settled = Some((day, charges.last().map(|(place, _)| place.clone())));
            if !charges.is_empty() {
                return Ok(Page::Settled(charges.into_iter().map(|(_, charge)| charge).collect()));
            }
            from = Some(day + Days::new(1));
        }
        Ok(Page::Settled(Vec::new()))
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
