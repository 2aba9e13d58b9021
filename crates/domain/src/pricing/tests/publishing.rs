//! A catalogue as a document, what of a new one a person must look at, and calls that are priced later.

use std::collections::BTreeSet;

use super::*;
use crate::pricing::{
    BundleFault, Estimate, PriceBundle, PriceChanges, PriceVersion, PricesInForce, ReviewReason, SHORTENED,
    price_fact, price_later,
};
use crate::privacy::BodyState;
use crate::request::{CostBasis, Outcome, PriceReceipt, Provenance, RequestFact};
use crate::{ApiKeyId, RequestId, TenantId};

/// The changes between two rates of the model `p/m`, which is in use or not.
fn changes(old: &str, new: &str, in_use: bool) -> PriceChanges {
    let model =
        |rates: &str| catalogue(&format!(r#"[{{"id": "m", "checked": "2026-11-01", "rates": {rates}}}]"#));
    let used: BTreeSet<_> = in_use.then(|| ("p".to_owned(), "m".to_owned())).into_iter().collect();
    PriceChanges::between(&model(old), &model(new), &used, today())
}

#[test]
fn the_builds_own_prices_are_a_document_that_reads_back_the_same() {
    let bundle = PriceBundle::embedded().expect("a bundle");
    let text = bundle.to_text().expect("text");
    let read: PriceBundle = serde_json::from_str(&text).expect("JSON");
    assert_eq!(read, bundle);
    let prices =
        Catalogue::from_fetched_bundle(text.as_bytes(), at("2027-01-01T00:00:00Z")).expect("a catalogue");
    assert_eq!(prices.models().count(), PRICES.models().count(), "the built-in provider is added");
    let none = PriceChanges::between(&PRICES, &prices, &BTreeSet::new(), today());
    assert!(none.is_empty(), "{none:?}");
}

#[test]
fn a_document_without_prices_or_of_a_day_to_come_is_refused() {
    let text = PriceBundle::embedded().and_then(|bundle| Ok(bundle.to_text()?)).expect("text");
    let early = Catalogue::from_fetched_bundle(text.as_bytes(), at("2020-01-01T00:00:00Z"));
    assert!(matches!(early, Err(BundleFault::CheckedInFuture { .. })), "{early:?}");
    let empty = Catalogue::from_bundle(br#"{"format": "costlens-prices/1", "files": []}"#);
    assert!(matches!(empty, Err(BundleFault::Empty)), "{empty:?}");
    let file = r#"{"provider": "p", "name": "P", "source": "s", "models": [
        {"id": "m", "checked": "2026-11-01", "prefixes": [""], "rates": [{"output": "1"}]}]}"#;
    let blank = format!(r#"{{"format": "costlens-prices/1", "files": [{file}]}}"#);
    let blank = Catalogue::from_bundle(blank.as_bytes());
    assert!(
        matches!(blank, Err(BundleFault::Blank { .. })),
        "an empty prefix holds for everything: {blank:?}"
    );
}

#[test]
fn five_times_is_a_jump_and_less_is_news() {
    let jumps = |old: &str, new: &str| {
        let figure = |figure: &str| format!(r#"[{{"output": "{figure}"}}]"#);
        let changes = changes(&figure(old), &figure(new), false);
        assert_eq!(changes.counts.changed, 1, "{old} to {new}");
        matches!(changes.review.as_slice(), [ReviewReason::Jump(_)])
    };
    for (old, new) in [("1", "5"), ("5", "1"), ("1", "0"), ("0", "0.000001"), ("2", "100")] {
        assert!(jumps(old, new), "{old} to {new}");
    }
    for (old, new) in [("1", "4.999999"), ("4.999999", "1"), ("1", "1.01")] {
        assert!(!jumps(old, new), "{old} to {new}");
    }
    let same = changes(r#"[{"output": "1.50"}]"#, r#"[{"output": "1.5"}]"#, true);
    assert!(same.is_empty(), "the same figure otherwise written: {same:?}");
}

#[test]
fn a_jump_hides_in_no_tier_day_hour_or_context_size() {
    let rows =
        |figure: &str, terms: &str| format!(r#"[{{"output": "1"}}, {{{terms}, "output": "{figure}"}}]"#);
    let tier = changes(&rows("1", r#""tier": "flex""#), &rows("9", r#""tier": "flex""#), false);
    assert!(matches!(tier.review.as_slice(), [ReviewReason::Jump(_)]), "{tier:?}");
    let split = |dear: &str, terms: &str, rest: &str| {
        format!(r#"[{{{rest}, "output": "1"}}, {{{terms}, "output": "{dear}"}}]"#)
    };
    for (terms, rest) in [
        (r#""above_input": 1000"#, r#""up_to_input": 1000"#),
        (r#""from": "2027-01-01""#, r#""until": "2027-01-01""#),
        (r#""hours": "01:00-04:00""#, r#""hours": "04:00-01:00""#),
        (r#""days": "weekends""#, r#""days": "weekdays""#),
    ] {
        let jump = changes(r#"[{"output": "1"}]"#, &split("9", terms, rest), false);
        assert!(matches!(jump.review.as_slice(), [ReviewReason::Jump(_)]), "{terms}: {jump:?}");
        let none = changes(r#"[{"output": "1"}]"#, &split("1", terms, rest), true);
        assert!(none.is_empty(), "{terms}: {none:?}");
    }
}

#[test]
fn what_vanishes_is_looked_at_where_calls_use_it() {
    let old = r#"[{"fresh_input": "1", "output": "1"}]"#;
    for (in_use, looked_at) in [(true, 1), (false, 0)] {
        let lost = changes(old, r#"[{"fresh_input": "1"}]"#, in_use);
        assert_eq!((lost.counts.changed, lost.review.len()), (1, looked_at), "{lost:?}");
        let used: BTreeSet<_> = in_use.then(|| ("p".to_owned(), "m".to_owned())).into_iter().collect();
        let other = catalogue(r#"[{"id": "n", "checked": "2026-11-01", "rates": [{"output": "1"}]}]"#);
        let this = catalogue(&format!(r#"[{{"id": "m", "checked": "2026-11-01", "rates": {old}}}]"#));
        let gone = PriceChanges::between(&this, &other, &used, today());
        assert_eq!((&*gone.removed, &*gone.added), (&["p/m".to_owned()][..], &["p/n".to_owned()][..]));
        assert_eq!(gone.review.len(), looked_at, "{gone:?}");
        // Found under another entry it has not vanished, but a rate may have.
        let renamed = |rates: &str| {
            let model = r#""id": "n", "names": ["m"], "checked": "2026-11-01""#;
            let renamed = catalogue(&format!("[{{{model}, \"rates\": {rates}}}]"));
            PriceChanges::between(&this, &renamed, &used, today()).review
        };
        assert_eq!(renamed(old), []);
        assert_eq!(renamed(r#"[{"output": "1"}]"#).len(), looked_at);
    }
}

#[test]
fn a_name_that_goes_to_another_entry_is_listed_and_its_jump_is_looked_at() {
    let with = |cheap: &str, dear: &str| {
        let model = |id: &str, names: &str, figure: &str| {
            format!(
                r#"{{"id": "{id}", "names": [{names}], "versions": ["{id}-v"], "checked": "2026-11-01",
                    "rates": [{{"output": "{figure}"}}]}}"#
            )
        };
        catalogue(&format!("[{}, {}]", model("cheap", cheap, "1"), model("dear", dear, "6")))
    };
    let between = |old: &Catalogue, new: &Catalogue, used: &[&str]| {
        let used = used.iter().map(|name| ("p".to_owned(), (*name).to_owned())).collect();
        PriceChanges::between(old, new, &used, today())
    };
    let before = with(r#""latest""#, "");
    let after = with("", r#""latest""#);
    let moved = between(&before, &after, &[]);
    assert_eq!((moved.counts.moved, moved.counts.changed), (1, 0), "no figure is another: {moved:?}");
    let [name] = moved.moved.as_slice() else { panic!("{moved:?}") };
    assert_eq!(
        (&*name.name, name.old.as_deref(), name.new.as_deref()),
        ("latest", Some("p/cheap"), Some("p/dear"))
    );
    let [ReviewReason::Moved { from, change }] = moved.review.as_slice() else { panic!("{moved:?}") };
    assert_eq!((&**from, &*change.price_id), ("p/cheap", "p/dear"));
    assert_eq!((change.old.as_deref(), change.new.as_deref()), (Some("1"), Some("6")));

    // A name that an entry gains or loses is listed; one that calls use and nothing prices any more is looked at.
    let lost = between(&before, &with("", ""), &["latest"]);
    assert_eq!((lost.counts.moved, lost.moved[0].new.as_deref()), (1, None), "{lost:?}");
    assert!(matches!(lost.review.as_slice(), [ReviewReason::Vanished { .. }]), "{lost:?}");
    let gained = between(&with("", ""), &before, &[]);
    assert_eq!((gained.counts.moved, gained.moved[0].old.as_deref(), gained.review.len()), (1, None, 0));
    // A dated name that no entry says is judged like one that is said.
    let taken = with("", r#""cheap-v-2026-10-01""#);
    let taken = between(&with("", ""), &taken, &["cheap-v-2026-10-01"]);
    assert!(matches!(taken.review.as_slice(), [ReviewReason::Moved { .. }]), "{taken:?}");
}

#[test]
fn a_new_figure_like_no_other_is_looked_at_and_what_is_charged_apart_is_listed() {
    let known = r#"{"id": "a", "checked": "2026-11-01", "rates": [{"fresh_input": "0.5", "output": "1"}]},
        {"id": "b", "checked": "2026-11-01", "rates": [{"output": "20"}]}"#;
    let old = catalogue(&format!("[{known}]"));
    let looked_at = |rates: &str| {
        let model = r#""id": "new", "checked": "2026-11-01""#;
        let new = catalogue(&format!(r#"[{known}, {{{model}, "rates": [{rates}]}}]"#));
        let changes = PriceChanges::between(&old, &new, &BTreeSet::new(), today());
        assert_eq!((changes.counts.added, changes.counts.changed), (1, 0));
        matches!(changes.review.as_slice(), [ReviewReason::Outlier(_)])
    };
    for odd in ["100", "10000000", "0.2", "0.000001", "0"] {
        assert!(looked_at(&format!(r#"{{"output": "{odd}"}}"#)), "{odd}");
    }
    for like_others in ["99.9", "20", "1", "0.21"] {
        assert!(!looked_at(&format!(r#"{{"output": "{like_others}"}}"#)), "{like_others}");
    }
    assert!(looked_at(r#"{"tier": "flex", "output": "100"}"#), "in whatever row");
    assert!(!looked_at(r#"{"output": "2", "cache_read": "0"}"#), "some vendors' caches are free");

    let apart = |words: &str| {
        let model = r#""id": "m", "checked": "2026-11-01", "rates": [{"output": "1"}]"#;
        catalogue(&format!(r#"[{{{model}, "charged_apart": [{words}]}}]"#))
    };
    let changes = PriceChanges::between(&apart(r#""image_input""#), &apart(""), &BTreeSet::new(), today());
    let [change] = changes.changed.as_slice() else { panic!("{changes:?}") };
    assert_eq!((change.old.as_deref(), change.new.as_deref()), (Some("image_input"), None));
}

#[test]
fn only_a_newer_version_takes_the_place_of_the_one_in_force() {
    let version = |n| PriceVersion { n, published_at: None, catalogue: Catalogue::default() };
    let prices = PricesInForce::of(version(2));
    let held = prices.now();
    assert!(!prices.put(version(1)) && !prices.put(version(2)));
    assert!(prices.put(version(3)));
    assert_eq!((held.n, prices.now().n), (2, 3), "who took the old ones goes on with them");
}

fn call(model: &str) -> RequestFact {
    RequestFact {
        id: RequestId::new(today(), [1; 10]),
        tenant_id: TenantId::new(today(), [2; 10]),
        api_key_id: ApiKeyId::new(today(), [3; 10]),
        connection_id: None,
        started_at: today(),
        duration_ms: 1,
        first_byte_ms: None,
        provider: "p".to_owned(),
        endpoint: "/v1/chat/completions".to_owned(),
        model_requested: model.to_owned(),
        model_served: None,
        service_tier: None,
        streamed: false,
        status: Some(200),
        outcome: Outcome::Completed,
        error_code: None,
        usage: usage(1_000, 0, 0, 0, 100),
        cost_basis: CostBasis::Unpriced,
        cost: None,
        price: PriceReceipt::default(),
        caller_request_id: None,
        provider_request_id: None,
        provenance: Provenance::default(),
        body: BodyState::None,
    }
}

#[test]
fn a_call_that_is_priced_later_is_as_sure_as_it_was_counted_and_keeps_what_it_said_first() {
    let none = Catalogue::default();
    let model = r#"[{"id": "m", "checked": "2026-11-01", "rates": [{"fresh_input": "1", "output": "2"}]}]"#;
    let prices = PriceVersion { n: 7, published_at: None, catalogue: catalogue(model) };
    for (estimated, basis) in [
        (None, CostBasis::Exact),
        (Some(Estimate::Whole), CostBasis::Estimated),
        (Some(Estimate::Output), CostBasis::Estimated),
        (Some(Estimate::Interrupted), CostBasis::Estimated),
    ] {
        let mut fact = call("m");
        price_fact(&mut fact, &none, estimated);
        assert_eq!((fact.cost_basis, fact.cost), (CostBasis::Unpriced, None));
        let later = price_later(&fact, &prices, today()).expect("a price");
        assert_eq!((later.basis, later.cost.to_string()), (basis, "0.0012".to_owned()), "{estimated:?}");
        assert_eq!(
            later.receipt.note.as_deref(),
            estimated.map(Estimate::note),
            "why it was unpriced is over"
        );
        let told = later.receipt.repriced.clone().expect("a note");
        assert_eq!((told.version, told.first_basis, told.first_cost), (7, CostBasis::Unpriced, None));
        // And once more: the first word stays the first.
        fact = RequestFact { cost_basis: later.basis, cost: Some(later.cost), price: later.receipt, ..fact };
        let again =
            price_later(&fact, &PriceVersion { n: 8, ..prices_like(model) }, today()).expect("a price");
        let told = again.receipt.repriced.expect("a note");
        assert_eq!((again.basis, told.version, told.first_cost), (basis, 8, None));
    }
    let shortened = RequestFact {
        price: PriceReceipt { note: Some(SHORTENED.to_owned()), ..PriceReceipt::default() },
        ..call("m")
    };
    let later = price_later(&shortened, &prices, today()).expect("a price");
    assert_eq!(later.basis, CostBasis::Estimated, "whether it was counted is not known any more");
    assert_eq!(price_later(&call("other"), &prices, today()), None);
}

/// The asked name, the served one, and what a million tokens of input cost by them.
#[test]
fn a_call_is_priced_by_the_served_name_as_far_as_that_tells_the_price() {
    let priced = |provider: &str, asked: &str, served: &str| {
        let mut fact = RequestFact {
            provider: provider.to_owned(),
            model_served: Some(served.to_owned()),
            usage: usage(1_000_000, 0, 0, 0, 0),
            ..call(asked)
        };
        price_fact(&mut fact, &PRICES, None);
        fact.cost.map(|cost| cost.to_string())
    };
    let (sonnet, nova) = ("anthropic.claude-sonnet-4-5-20250929-v1:0", "amazon.nova-lite-v1:0");
    let profile = |scope: &str, name: &str| format!("{scope}.{name}");
    let (global, us) = (profile("global", sonnet), profile("us", sonnet));
    let (nova_eu, nova_us) = (profile("eu", nova), profile("us", nova));
    for (provider, asked, served, cost) in [
        ("openai", "gpt-4o", "gpt-4o-2024-05-13", "5"),
        // The bare name is the dearer one of a region, or the list price of another.
        ("bedrock", global.as_str(), sonnet, "3"),
        ("bedrock", us.as_str(), sonnet, "3.3"),
        ("bedrock", sonnet, global.as_str(), "3"),
        ("bedrock", nova_eu.as_str(), nova, "0.078"),
        ("bedrock", nova_us.as_str(), nova, "0.06"),
        // Another model is another model.
        ("bedrock", global.as_str(), nova, "0.06"),
        // A name that the catalogue does not know: as the vendor writes the asked one, …
        ("bedrock", us.as_str(), "claude-sonnet-four-five", "3.3"),
        ("openai", "gpt-4o", "gpt-four-o", "2.5"),
        // … or that of the model to which an alias has moved.
        ("mistral", "mistral-small-latest", "mistral-small-2603", "0.15"),
        ("mistral", "mistral-small-latest", "mistral-small-latest", "0.15"),
    ] {
        assert_eq!(priced(provider, asked, served).as_deref(), Some(cost), "{asked} served as {served}");
    }
    assert_eq!(priced("mistral", "mistral-small-latest", "mistral-small-2701"), None);
    assert_eq!(priced("xai", "grok-4-latest", "grok-9"), None);
}

fn prices_like(model: &str) -> PriceVersion {
    PriceVersion { n: 0, published_at: None, catalogue: catalogue(model) }
}
