//! A call's fact and its price: when it is recorded, and again when better prices are known.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};

use super::catalogue::Catalogue;
use super::in_force::PriceVersion;
use super::names;
use super::quote::{Priced, Quote};
use crate::money::Usd;
use crate::request::{CostBasis, Outcome, PriceReceipt, RepricedNote, RequestFact};
use crate::usage::Usage;

/// Why a call's usage is ours and not the provider's. The words stand in the receipt's note, and are read again when
/// the call is priced later: an estimate stays one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Estimate {
    /// The process died in the middle.
    Interrupted,
    /// The provider counted the input only.
    Output,
    /// The provider counted nothing.
    Whole,
}

/// The note of a row whose texts did not fit: whether its usage is an estimate is not known any more.
pub const SHORTENED: &str = "texts were shortened to fit the spool";

impl Estimate {
    const ALL: [Self; 3] = [Self::Interrupted, Self::Output, Self::Whole];

    /// The words.
    #[must_use]
    pub const fn note(self) -> &'static str {
        match self {
            Self::Interrupted => "interrupted: input estimated from the request's size, output unknown",
            Self::Output => "input as the provider counted it, output estimated at 4 bytes a token",
            Self::Whole => "no usage from the provider: estimated at 4 bytes a token",
        }
    }
}

/// Whether the served name is the asked one without its profile of Bedrock's: it says the model and not the price. Bedrock
/// answers a call through `global.…` by the bare name, which has the dearer price of a region.
#[must_use]
pub fn is_without_its_profile(catalogue: &Catalogue, provider: &str, asked: &str, served: &str) -> bool {
    let find = |name| catalogue.find(provider, name);
    let served_name = names::without_path(served, std::iter::empty());
    let (Some(asked), Some(served)) = (find(asked), find(served)) else { return false };
    asked.id != served.id
        && names::without_scope(served_name) == served_name
        && names::without_scope(&asked.id) == names::without_scope(&served.id)
}

/// Prices what the fact says was used, at the model that was served.
pub fn price_fact(fact: &mut RequestFact, catalogue: &Catalogue, estimated: Option<Estimate>) {
    let estimated = estimated.map(Estimate::note);
    let priced = priced(fact, catalogue);
    fact.cost = priced.amount();
    fact.cost_basis = match (&priced, estimated) {
        (Priced::Unpriced { .. }, _) => CostBasis::Unpriced,
        (Priced::Exact { .. }, Some(_)) => CostBasis::Estimated,
        (Priced::Exact { .. }, None) => CostBasis::Exact,
    };
    fact.price = noted(priced.into_receipt(), estimated);
}

/// A price found later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaterPrice {
    /// How sure it is: an estimate of the usage stays one.
    pub basis: CostBasis,
    /// The amount.
    pub cost: Usd,
    /// Where it came from.
    pub receipt: PriceReceipt,
}

/// What a recorded call costs by these prices; `None` where they do not price it either. A call that cost nothing
/// because the provider did no work has no usage, and neither has one of which nobody counted any: they are none of a price's
/// business.
///
/// The receipt says when and by which version it was priced, and keeps what the row said first, however often.
#[must_use]
pub fn price_later(fact: &RequestFact, prices: &PriceVersion, at: DateTime<Utc>) -> Option<LaterPrice> {
    if fact.usage == Usage::default() {
        return None;
    }
    let kept = kept_note(fact);
    let Priced::Exact { amount, receipt } = priced(fact, &prices.catalogue) else { return None };
    // An exact row's usage was counted, whatever its note; of an unpriced one only the note tells.
    let sure = fact.cost_basis == CostBasis::Exact
        || fact.cost_basis == CostBasis::Unpriced && kept.is_none() && fact.outcome != Outcome::Interrupted;
    let basis = if sure { CostBasis::Exact } else { CostBasis::Estimated };
    let (first_basis, first_cost) = match &fact.price.repriced {
        Some(earlier) => (earlier.first_basis, earlier.first_cost),
        None => (fact.cost_basis, fact.cost),
    };
    let mut receipt = noted(receipt, kept);
    receipt.repriced = Some(RepricedNote { at, version: prices.n, first_basis, first_cost });
    Some(LaterPrice { basis, cost: amount, receipt })
}

fn priced(fact: &RequestFact, catalogue: &Catalogue) -> Priced {
    let (provider, asked) = (fact.provider.as_str(), fact.model_requested.as_str());
    // A vendor may write the asked model in a way that the catalogue does not know, and then that one's price holds.
    // Where the asked name moves, an unknown one behind it is as likely a new model: it has no price yet.
    let decides = |served: &&str| {
        (names::moves(asked) || catalogue.find(provider, served).is_some())
            && !is_without_its_profile(catalogue, provider, asked, served)
    };
    let served = fact.model_served.as_deref().filter(decides);
    catalogue.price(Quote {
        provider,
        model: served.unwrap_or(asked),
        tier: fact.service_tier.as_deref(),
        at: fact.started_at,
        usage: &fact.usage,
    })
}

/// What the old note says of the usage, without what it says of the price.
fn kept_note(fact: &RequestFact) -> Option<&'static str> {
    let note = fact.price.note.as_deref()?;
    let known = Estimate::ALL.into_iter().map(Estimate::note).chain([SHORTENED]);
    known.into_iter().find(|known| note.ends_with(known))
}

fn noted(mut receipt: PriceReceipt, estimated: Option<&'static str>) -> PriceReceipt {
    if let Some(words) = estimated {
        match &mut receipt.note {
            Some(note) => {
                let _infallible = write!(note, "; {words}");
            }
            None => receipt.note = Some(words.to_owned()),
        }
    }
    receipt
}
