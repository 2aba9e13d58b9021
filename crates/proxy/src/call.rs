//! One call on its way to becoming a row.
//!
//! A call begins with an intent in the spool that already says what the row will be if the process dies now, and
//! ends with exactly one completion. Whatever path the exchange takes, [`Call::record`] is the only way out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use costlens_domain::charging::tier_at;
use costlens_domain::pricing::{Catalogue, Estimate, PriceVersion, is_without_its_profile, price_fact};
use costlens_domain::request::{CostBasis, Durability, Outcome, PriceReceipt, RequestFact};
use costlens_domain::{Tokens, Usage, Usd};

use crate::bodies::Capture;
use crate::spool::{Receipt, Spool, SpoolError, Ticket};
use crate::usage::{Meter, Reading, estimate_input, estimate_tokens};

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The provider's answer came to its end.
    Complete,
    /// The provider answered with an error status: nothing is billed.
    Refused,
    /// The provider never got the call: nothing is billed.
    NeverSent(&'static str),
    /// The provider may have worked, and the answer did not come (whole).
    Broken(&'static str),
    /// The client hung up and the rest was not read.
    ClientGone,
    /// The client hung up and the rest was read to the end.
    Drained,
}

/// A call between its intent and its completion.
pub(crate) struct Call {
    ticket: Ticket,
    fact: RequestFact,
    prices: Arc<PriceVersion>,
    accepted: Instant,
    durability: Durability,
    database_wait: Duration,
}

impl Call {
    /// Writes the intent. Nothing may be sent to a provider before this returned.
    pub(crate) fn begin(
        spool: &Spool,
        mut fact: RequestFact,
        body: &[u8],
        prices: Arc<PriceVersion>,
        durability: Durability,
        database_wait: Duration,
    ) -> Result<Self, SpoolError> {
        fact.outcome = Outcome::Interrupted;
        fact.usage = Usage { fresh_input: estimate_input(body), ..Usage::default() };
        price_fact(&mut fact, &prices.catalogue, Some(Estimate::Interrupted));
        let ticket = spool.begin(&fact)?;
        Ok(Self { ticket, fact, prices, accepted: Instant::now(), durability, database_wait })
    }

    /// The provider's answer has begun.
    pub(crate) fn answered(&mut self, status: u16, provider_request_id: Option<String>) {
        self.fact.status = Some(status);
        self.fact.provider_request_id = provider_request_id;
    }

    /// The first byte of the provider's body is here.
    pub(crate) fn first_byte(&mut self) {
        self.fact.first_byte_ms.get_or_insert(millis(self.accepted.elapsed()));
    }

    /// Writes the completion: after this the row is certain. The receipt waits for what the key's durability asks.
    /// What was captured is handed on, and waited for by nobody.
    pub(crate) fn record(self, ending: Ending, meter: &Meter, captured: Option<Box<Capture>>) -> Recorded {
        let Self { ticket, mut fact, prices, accepted, durability, database_wait } = self;
        let reading = meter.reading();
        fact.duration_ms = millis(accepted.elapsed());
        take_names(&mut fact, reading, &prices.catalogue);
        (fact.outcome, fact.error_code) = outcome(ending, reading.failed);
        match ending {
            Ending::Refused | Ending::NeverSent(_) => {
                fact.usage = reading.usage.unwrap_or_default();
                if fact.usage == Usage::default() {
                    fact.cost_basis = CostBasis::Exact;
                    fact.cost = Some(Usd::ZERO);
                    fact.price = PriceReceipt {
                        note: Some("the provider did no work: nothing is billed".to_owned()),
                        ..PriceReceipt::default()
                    };
                } else {
                    price_fact(&mut fact, &prices.catalogue, None);
                }
            }
            Ending::Complete | Ending::Drained | Ending::Broken(_) | Ending::ClientGone => {
                // Some servers end a stream without a word that it ends.
                let came_whole = matches!(ending, Ending::Complete | Ending::Drained) && !reading.failed;
                if let Some(usage) = reading.usage.filter(|_| reading.counted_to_its_end || came_whole) {
                    fact.usage = usage;
                    price_fact(&mut fact, &prices.catalogue, None);
                } else {
                    // A running count tells the input, and of the output what had been written by then.
                    let so_far = reading.usage.map_or(Tokens(0), |usage| usage.output);
                    let output = estimate_tokens(reading.output_text_bytes).max(so_far);
                    let counted = reading.usage.or_else(|| meter.input_so_far());
                    let input = counted.unwrap_or(fact.usage);
                    fact.usage = Usage { output, ..input };
                    let estimated = if counted.is_some() { Estimate::Output } else { Estimate::Whole };
                    price_fact(&mut fact, &prices.catalogue, Some(estimated));
                }
            }
        }
        let id = fact.id;
        if let Some(captured) = captured {
            fact.body = captured.keep(id);
        }
        match ticket.complete(fact, durability) {
            Ok(receipt) => Recorded { receipt: Some(receipt), durability, database_wait },
            Err(error) => {
                // The intent stands: the row will say `interrupted` rather than be lost.
                tracing::error!(%error, request.id = %id, "a completion could not be written to the spool");
                Recorded { receipt: None, durability, database_wait }
            }
        }
    }
}

/// What the answer says of who made it, as far as it tells the price: settlement and sums go by these names, too.
fn take_names(fact: &mut RequestFact, reading: &Reading, catalogue: &Catalogue) {
    let tells =
        |served: &&String| !is_without_its_profile(catalogue, &fact.provider, &fact.model_requested, served);
    fact.model_served = reading.model.as_ref().filter(tells).cloned();
    let told = reading.service_tier.as_deref();
    // The intent's tier has the place behind it where that has prices of its own.
    fact.service_tier = match fact.service_tier.as_deref().and_then(|tier| tier.split_once('/')) {
        Some((_, place)) => tier_at(place, &fact.provider, told, reading.model.as_deref()),
        None => told.map(str::to_owned),
    };
    fact.provenance.response_id.clone_from(&reading.response_id);
}

/// A recorded call whose durability may still have to be waited for.
#[must_use = "the answer's last byte waits for this"]
pub(crate) struct Recorded {
    receipt: Option<Receipt>,
    durability: Durability,
    database_wait: Duration,
}

impl Recorded {
    /// Returns when the row is as durable as the key asks. A wait that runs out is logged, not told to the client:
    /// the spool still holds the row.
    pub(crate) async fn settled(self) {
        let Some(receipt) = self.receipt else { return };
        if self.durability == Durability::Spool {
            return;
        }
        if let Err(error) = receipt.settled(self.database_wait).await {
            tracing::warn!(%error, durability = %self.durability, "a call ended before it was as durable as asked");
        }
    }
}

fn outcome(ending: Ending, failed_inside: bool) -> (Outcome, Option<String>) {
    match ending {
        Ending::Complete if failed_inside => (Outcome::Failed, Some("provider_error_event".to_owned())),
        Ending::Complete => (Outcome::Completed, None),
        Ending::Refused => (Outcome::Failed, Some("provider_refused".to_owned())),
        Ending::NeverSent(code) | Ending::Broken(code) => (Outcome::Failed, Some(code.to_owned())),
        Ending::ClientGone | Ending::Drained => (Outcome::ClientGone, None),
    }
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
pub(crate) mod tests {
    use chrono::{DateTime, Utc};
    use costlens_domain::privacy::BodyState;
    use costlens_domain::request::Provenance;
    use costlens_domain::{ApiKeyId, RequestId, TenantId};

    use super::*;

    pub(crate) fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_764_200_000, 0).unwrap()
    }

    /// A call as it begins.
    pub(crate) fn fact(provider: &str, model: &str) -> RequestFact {
        RequestFact {
            id: RequestId::new(now(), [1; 10]),
            tenant_id: TenantId::new(now(), [2; 10]),
            api_key_id: ApiKeyId::new(now(), [3; 10]),
            connection_id: None,
            started_at: now(),
            duration_ms: 0,
            first_byte_ms: None,
            provider: provider.to_owned(),
            endpoint: "/v1/chat/completions".to_owned(),
            model_requested: model.to_owned(),
            model_served: None,
            service_tier: None,
            streamed: false,
            status: None,
            outcome: Outcome::Interrupted,
            error_code: None,
            usage: Usage { fresh_input: Tokens(1_000_000), ..Usage::default() },
            cost_basis: CostBasis::Unpriced,
            cost: None,
            price: PriceReceipt::default(),
            caller_request_id: None,
            provider_request_id: None,
            provenance: Provenance::default(),
            body: BodyState::None,
        }
    }

    fn answered(mut fact: RequestFact, model: &str, tier: Option<&str>) -> RequestFact {
        let catalogue = Catalogue::embedded().unwrap();
        let tier = tier.map(str::to_owned);
        let reading = Reading { model: Some(model.to_owned()), service_tier: tier, ..Reading::default() };
        take_names(&mut fact, &reading, &catalogue);
        price_fact(&mut fact, &catalogue, None);
        fact
    }

    #[test]
    fn a_profile_that_answers_by_the_bare_name_is_recorded_and_priced_as_asked() {
        let bare = "anthropic.claude-sonnet-4-5-20250929-v1:0";
        let global = answered(fact("bedrock", &format!("global.{bare}")), bare, None);
        assert_eq!(
            (&global.model_served, global.cost.map(|cost| cost.to_string())),
            (&None, Some("3".into()))
        );
        let regional = answered(fact("bedrock", &format!("us.{bare}")), bare, None);
        assert_eq!(regional.model_served.as_deref(), Some(bare));
        assert_eq!(regional.cost.map(|cost| cost.to_string()), Some("3.3".into()));
        let dated = answered(fact("openai", "gpt-4o"), "gpt-4o-2024-08-06", None);
        assert_eq!(dated.model_served.as_deref(), Some("gpt-4o-2024-08-06"));
    }

    #[test]
    fn where_a_place_has_prices_of_its_own_a_call_has_none_before_its_bill() {
        let to = |place: &str, provider: &str, model: &str| RequestFact {
            service_tier: tier_at(place, provider, None, None),
            ..fact(provider, model)
        };
        for (call, served, tier, recorded, cost) in [
            (to("eu", "openai", "gpt-5.4"), "gpt-5.4-2026-03-05", Some("default"), Some("default/eu"), None),
            (
                to("eu", "openai", "gpt-4o"),
                "gpt-4o-2024-08-06",
                Some("default"),
                Some("default"),
                Some("2.5"),
            ),
            (to("us", "xai", "grok-4"), "grok-4-0709", None, Some("standard/us"), None),
            (fact("openai", "gpt-4o"), "gpt-4o-2024-08-06", None, None, Some("2.5")),
        ] {
            let call = answered(call, served, tier);
            assert_eq!(call.service_tier.as_deref(), recorded, "{served}");
            assert_eq!(call.cost.map(|cost| cost.to_string()).as_deref(), cost, "{served}");
            assert_eq!(call.cost_basis == CostBasis::Unpriced, cost.is_none(), "{served}");
        }
    }
}
