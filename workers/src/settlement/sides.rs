//! The ledger's rows as the two sides of a settlement, and what it says as rows again.

use std::collections::{BTreeSet, HashMap};

use costlens_domain::charging::{GOOGLE, charged_at};
use costlens_domain::classify::{Routing, Tier};
use costlens_domain::imports::vendors::{host_of, is_under};
use costlens_domain::invoices::InvoiceVendor;
use costlens_domain::request::Origin;
use costlens_domain::settlement::Issuer;
use costlens_domain::{ConnectionId, Currency};
use costlens_insight::settle::{
    Atto, Billed, Bundle, BundleId, BundleKey, Certainty, Hint, Name, Names, Place, Settlement, Variant,
};
use costlens_store::{
    Connection, NewSettlement, SettledPart, SettlementCalls, SettlementCell, SettlementCoverage,
    SettlementDay, SettlementKey, SettlementPrice, SettlementResidual,
};
use rust_decimal::Decimal;

use super::Input;
use super::prices::common_name;

/// The connections whose calls an issuer charges for, and the region that each one's address names.
///
/// Which account a connection's key belongs to its address does not say: such calls are matched by region and model over
/// all accounts of the bill, with the account first whose use is likest to theirs.
pub(super) struct Routes {
    issuer: Issuer,
    regions: HashMap<ConnectionId, String>,
}

impl Routes {
    pub(super) fn of(issuer: Issuer, connections: &[Connection]) -> Self {
        let by_address = |url: &str| charged_at(url).filter(|at| at.issuer == issuer).map(|at| at.region);
        let region = |one: &Connection| match issuer {
            Issuer::Anthropic => is_vendors(one, InvoiceVendor::Anthropic).then(String::new),
            Issuer::OpenAi => is_vendors(one, InvoiceVendor::OpenAi).then(String::new),
            Issuer::Aws | Issuer::Azure | Issuer::Google => match &one.base_url {
                Some(url) => by_address(url),
                None => (issuer == Issuer::Google && one.provider == GOOGLE).then(String::new),
            },
        };
        let regions = connections.iter().filter_map(|one| Some((one.id, region(one)?))).collect();
        Self { issuer, regions }
    }

    pub(super) fn connections(&self) -> Vec<ConnectionId> {
        self.regions.keys().copied().collect()
    }

    /// A cell of calls as the engine takes it. Calls of one cell alone are of its lane, so that each cell is a bundle.
    pub(super) fn bundle(&self, calls: &SettlementCalls, names: &mut Names) -> Bundle {
        let key = &calls.key;
        // What was imported says itself which region it went to; the rest its connection's address does.
        let of_connection = key.connection_id.and_then(|id| self.regions.get(&id)).map_or("", String::as_str);
        let region = if key.origin == Origin::Proxy { of_connection } else { &key.region };
        let is_global = match self.issuer {
            // Most deployments of Azure's are global, and no call says of which kind its own is: the bill does.
            Issuer::Azure => true,
            Issuer::Google => region.is_empty(),
            Issuer::Aws | Issuer::Anthropic | Issuer::OpenAi => is_global(&key.model),
        };
        let variant = Variant {
            tier: tier_of(&key.service_tier),
            routing: if is_global { Routing::Global } else { Routing::Regional },
            long_context: false,
        };
        // Whether a model has a price of its own for long prompts the bill knows; that a prompt was one is a mark.
        let hint = key.long_prompt.then_some(Variant { long_context: true, ..variant });
        let model = common_name(self.issuer, &key.model).unwrap_or_default();
        let connection = key.connection_id.map_or_else(|| key.origin.to_string(), |id| id.to_string());
        let lane = format!(
            "{}|{connection}|{region}|{}|{}|{}",
            key.api_key_id, key.provider, key.model, key.service_tier
        );
        // A connection has one credential. Whoever wrote imported calls down has mostly one for each key.
        let route = match key.origin {
            Origin::Proxy => format!("{connection}|{region}"),
            _ => format!("{connection}|{region}|{}", key.api_key_id),
        };
        Bundle {
            key: BundleKey {
                day: key.day,
                place: Place { region: names.of(region), ..Place::default() },
                model: names.of(&model),
                lane: names.of(&lane),
                route: names.of(&route),
                variant,
                hint: Hint { variant: hint, one_hour_cache: false },
                certainty: match key.certainty.as_str() {
                    "exact" => Certainty::Exact,
                    "output_estimated" => Certainty::OutputEstimated,
                    _ => Certainty::Estimated,
                },
            },
            calls: calls.calls,
            unpriced: calls.unpriced_calls,
            usage: (&calls.usage).into(),
            estimate: Atto::of(calls.estimated).0,
        }
    }
}

/// Whether a connection leads to the vendor's own API, in whichever region, whatever the connection calls itself.
fn is_vendors(connection: &Connection, vendor: InvoiceVendor) -> bool {
    let host = vendor.base_url().trim_start_matches("https://");
    match &connection.base_url {
        Some(url) => host_of(url).is_some_and(|its| is_under(&its, host)),
        None => connection.provider == vendor.as_str(),
    }
}

/// A profile that may run anywhere in the world.
fn is_global(model: &str) -> bool {
    let name = model.rsplit(['/', ':']).find(|part| part.contains('.')).unwrap_or(model);
    name.starts_with("global.") || model.starts_with("global.")
}

fn tier_of(word: &str) -> Tier {
    // Behind it may stand the geography that the vendor says served it.
    let tier = word.split('/').next().unwrap_or(word);
    match tier.to_ascii_lowercase().as_str() {
        "batch" => Tier::Batch,
        "flex" => Tier::Flex,
        "priority" => Tier::Priority,
        "fast" | "optimized" | "latency_optimized" => Tier::LatencyOptimized,
        "reserved" => Tier::Reserved,
        _ => Tier::Standard,
    }
}

/// A settlement as rows.
pub(super) fn told(
    input: &Input,
    (key, complete_through): (SettlementKey, chrono::NaiveDate),
    cells: &[BundleId],
    billed: &Billed,
    settlement: &Settlement,
    names: &Names,
) -> NewSettlement {
    let totals = &settlement.totals;
    let text = |name: Name| names.text(name).to_owned();
    let version = input.version().unwrap_or_else(|| costlens_domain::BillId::from(uuid::Uuid::nil()));
    let head = costlens_store::Settlement {
        key,
        version,
        bill_ids: input.bills.bills.iter().map(|bill| bill.id).collect(),
        complete_through,
        settled_at: input.now,
        other_currencies: other_currencies(input),
        billed: totals.billed.decimal() + billed.dust,
        estimated: totals.estimated.decimal(),
        settled: totals.settled.decimal(),
        unknown: totals.unknown.decimal(),
        billed_for_tokens: totals.billed_for_tokens.decimal(),
        covered: totals.covered.decimal(),
        billed_tokens: totals.billed_tokens,
        covered_tokens: totals.covered_tokens,
        calls: totals.calls,
        absent: totals.absent.decimal(),
        absent_calls: totals.absent_calls,
    };
    let mut residuals: Vec<SettlementResidual> = settlement
        .residuals
        .iter()
        .map(|one| SettlementResidual {
            day: one.day,
            account: text(one.place.account),
            region: text(one.place.region),
            principal: text(one.place.principal),
            model: text(one.model),
            code: one.code,
            side: one.side,
            amount: one.amount.decimal(),
            tokens: one.tokens,
        })
        .collect();
    if billed.dust != Decimal::ZERO {
        // What is finer than the units that are counted in is on the bill all the same.
        residuals.push(SettlementResidual {
            day: input.month,
            account: String::new(),
            region: String::new(),
            principal: String::new(),
            model: String::new(),
            code: costlens_domain::settlement::ResidualCode::Rounding,
            side: costlens_domain::settlement::ResidualSide::Outside,
            amount: billed.dust,
            tokens: 0,
        });
    }
    let coverage = settlement.coverage.iter().map(|one| SettlementCoverage {
        account: text(one.place.account),
        region: text(one.place.region),
        principal: text(one.place.principal),
        model: text(one.model),
        billed_tokens: one.billed_tokens,
        covered_tokens: one.covered_tokens,
        billed: one.billed.decimal(),
        covered: one.covered.decimal(),
    });
    let prices = settlement.prices.iter().map(|one| SettlementPrice {
        model: text(one.model),
        kind: one.sku.kind.as_str().to_owned(),
        tier: one.sku.variant.tier.as_str().to_owned(),
        routing: one.sku.variant.routing.as_str().to_owned(),
        long_context: one.sku.variant.long_context,
        first_day: one.first_day,
        last_day: one.last_day,
        rows: u64::try_from(one.rows).unwrap_or(u64::MAX),
        quantity: one.quantity,
        charged: one.charged.decimal(),
        listed: one.listed.map(Atto::decimal),
        finding: one.finding,
    });
    let days = settlement.days.iter().map(|(day, one)| SettlementDay {
        day: *day,
        version,
        settled_at: input.now,
        calls: one.calls,
        estimated: one.estimated.decimal(),
        settled: one.settled.decimal(),
        missed: one.missed.decimal(),
        billed: one.billed.decimal(),
        unknown: one.unknown.decimal(),
    });
    let bundles = input.calls.iter().zip(cells);
    let cells = bundles.filter_map(|(calls, id)| Some(cell(calls, settlement.bundle(*id)?)));
    NewSettlement {
        head,
        residuals,
        coverage: coverage.collect(),
        cells: cells.collect(),
        prices: prices.collect(),
        days: days.collect(),
    }
}

fn cell(calls: &SettlementCalls, settled: &costlens_insight::settle::SettledBundle) -> SettlementCell {
    let parts = settled.usage.iter().filter(|(_, quantity)| *quantity > 0).map(|(kind, quantity)| {
        SettledPart { kind: kind.as_str().to_owned(), quantity, cost: settled.parts.of(kind).decimal() }
    });
    SettlementCell {
        key: calls.key.clone(),
        state: settled.state,
        confidence: settled.confidence,
        calls: calls.calls,
        unpriced_calls: calls.unpriced_calls,
        estimated: calls.estimated,
        settled: settled.settled.decimal(),
        even: settled.even.decimal(),
        parts: parts.collect(),
    }
}

/// Currencies in which the bills charge AI and estimates are not made.
fn other_currencies(input: &Input) -> Vec<String> {
    let others: BTreeSet<String> = input
        .bills
        .facts
        .iter()
        .filter(|fact| fact.currency != Currency::USD)
        .map(|fact| fact.currency.to_string())
        .collect();
    others.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_global_profile_is_one_wherever_it_is_named() {
        assert!(is_global("global.anthropic.claude-sonnet-4-6-v1:0"));
        assert!(is_global(
            "arn:aws:bedrock:us-east-1:1:inference-profile/global.anthropic.claude-sonnet-4-6-v1:0"
        ));
        assert!(!is_global("us.anthropic.claude-sonnet-4-6-v1:0"));
        assert!(!is_global("claude-sonnet-4-6"));
    }

    /// The vendor has one bill of all its regions.
    #[test]
    fn a_vendor_charges_for_calls_through_its_regions_hosts_too() {
        let to = |provider: &str, base_url: Option<&str>| Connection {
            id: ConnectionId::from(uuid::Uuid::nil()),
            tenant_id: costlens_domain::TenantId::from(uuid::Uuid::nil()),
            provider: provider.to_owned(),
            name: String::new(),
            base_url: base_url.map(str::to_owned),
            sealed_secret: None,
            models: Vec::new(),
            created_at: chrono::DateTime::UNIX_EPOCH,
            disabled_at: None,
        };
        for (connection, is_openais) in [
            (to("openai", None), true),
            (to("openai_compatible", Some("https://api.openai.com/v1")), true),
            (to("openai_compatible", Some("https://eu.api.openai.com/v1")), true),
            (to("openai", Some("https://EU.api.openai.com:443")), true),
            (to("openai", Some("https://myapi.openai.com/v1")), false),
            (to("openai", Some("https://api.openai.com.evil.example/v1")), false),
            (to("anthropic", None), false),
        ] {
            let routes = Routes::of(Issuer::OpenAi, std::slice::from_ref(&connection));
            assert_eq!(routes.connections().len(), usize::from(is_openais), "{:?}", connection.base_url);
        }
    }
}
