//! From overlays, dates, hours and context steps to plain rows that do not overlap.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::schema::{ConditionalPrices, Constraint, Figure, SourceModel, SourcePrices, SourceVariant};
use super::{CurationRule, GenaiError};
use crate::pricing::file::{AS_FRESH_INPUT, RateEntry};
use crate::pricing::model::{ChargedApart, Days, ServiceTier};

type Figures = BTreeMap<String, Figure>;

/// One stretch of time with its prices.
struct Span {
    from: Option<NaiveDate>,
    until: Option<NaiveDate>,
    hours: Option<String>,
    days: Option<Days>,
    figures: Figures,
}

pub(super) fn rates_of(
    model: &SourceModel,
    rules: &[&CurationRule],
) -> Result<(Vec<RateEntry>, Vec<ChargedApart>), GenaiError> {
    let conditional = model.conditional()?;
    let mut rates = Vec::new();
    let mut apart = BTreeSet::new();
    for tier in ServiceTier::ALL.iter().copied() {
        for span in spans(model, &conditional, tier, rules)? {
            for key in span.figures.keys() {
                known(model, key)?;
            }
            charged_apart(&span.figures, &mut apart);
            rates.extend(rows(tier, &span, rules));
        }
    }
    let empty = |row: &RateEntry| row.tokens().iter().all(Option::is_none);
    if rates.iter().all(empty) && apart.is_empty() {
        rates.clear();
    }
    Ok((merged(rates), apart.into_iter().collect()))
}

/// The stretches of time of one tier, each with its prices resolved as the format's own engine would.
fn spans(
    model: &SourceModel,
    conditional: &[ConditionalPrices],
    tier: ServiceTier,
    rules: &[&CurationRule],
) -> Result<Vec<Span>, GenaiError> {
    let variants: Vec<&SourceVariant> =
        model.price_variants.iter().filter(|variant| tier_of(variant) == Some(tier)).collect();
    if tier != ServiceTier::Standard && variants.is_empty() {
        return Ok(Vec::new());
    }
    for variant in &model.price_variants {
        let standard = variant.when.get("service_tier").is_some_and(|word| word == "default");
        if tier_of(variant).is_none() || (standard && !variant.prices.is_empty()) {
            return Err(unsupported(model, format!("variant {:?}", variant.when)));
        }
    }
    let constraints = conditional
        .iter()
        .filter_map(|prices| prices.constraint.as_ref())
        .chain(variants.iter().filter_map(|variant| variant.constraint.as_ref()));
    let starts: BTreeSet<NaiveDate> = constraints.filter_map(|constraint| constraint.start_date).collect();
    let windows: Vec<&ConditionalPrices> = conditional.iter().filter(|prices| is_window(prices)).collect();
    if tier != ServiceTier::Standard && !windows.is_empty() {
        return Err(unsupported(model, "a tier beside prices by the hour".to_owned()));
    }

    let mut firsts: Vec<Option<NaiveDate>> =
        std::iter::once(None).chain(starts.into_iter().map(Some)).collect();
    if !windows.is_empty() {
        let days = |rule: &&CurationRule| [rule.hours_since, rule.hours_unknown_since, rule.weekdays_since];
        firsts.extend(rules.iter().flat_map(days).flatten().map(Some));
        firsts.sort();
        firsts.dedup();
    }
    let mut spans = Vec::new();
    for (at, from) in firsts.iter().enumerate() {
        let until = firsts.get(at + 1).copied().flatten();
        let Some(figures) = figures_at(model, conditional, &variants, tier, *from)? else { continue };
        let before = |day: Option<NaiveDate>| day.is_some_and(|day| *from < Some(day));
        let unknown = rules.iter().any(|rule| {
            rule.hours_unknown_since.is_some()
                && !before(rule.hours_unknown_since)
                && before(rule.hours_since)
        });
        if windows.is_empty() || (!unknown && rules.iter().any(|rule| before(rule.hours_since))) {
            spans.push(Span { from: *from, until, hours: None, days: None, figures });
            continue;
        }
        let weekdays = rules.iter().any(|rule| rule.weekdays_since.is_some_and(|since| *from >= Some(since)));
        let days = weekdays.then_some(Days::Weekdays);
        if weekdays {
            spans.push(Span {
                from: *from,
                until,
                hours: None,
                days: Some(Days::Weekends),
                figures: figures.clone(),
            });
        }
        for hours in hours_outside(model, &windows)? {
            spans.push(Span { from: *from, until, hours: Some(hours), days, figures: figures.clone() });
        }
        for window in windows.iter().filter(|_| !unknown) {
            let hours =
                window.constraint.as_ref().map(|constraint| hours_of(model, constraint)).transpose()?;
            let hours = hours.map(|(start, end)| clock(start, end));
            spans.push(Span { from: *from, until, hours, days, figures: read_all(model, &window.prices)? });
        }
    }
    Ok(spans)
}

/// Prices on and after a day: the last condition that holds, overlaid by the first variants that do.
fn figures_at(
    model: &SourceModel,
    conditional: &[ConditionalPrices],
    variants: &[&SourceVariant],
    tier: ServiceTier,
    day: Option<NaiveDate>,
) -> Result<Option<Figures>, GenaiError> {
    let begun = |constraint: Option<&Constraint>| match constraint {
        None => true,
        Some(constraint) => constraint.start_date.is_some_and(|start| day.is_some_and(|day| start <= day)),
    };
    let standard =
        conditional.iter().rev().find(|prices| !is_window(prices) && begun(prices.constraint.as_ref()));
    let Some(standard) = standard else {
        return Err(unsupported(model, "no price without a condition".to_owned()));
    };
    let mut figures = read_all(model, &standard.prices)?;
    let mut held = tier == ServiceTier::Standard;
    let mut overlaid = BTreeSet::new();
    for variant in variants.iter().filter(|variant| begun(variant.constraint.as_ref())) {
        held = true;
        for (key, figure) in read_all(model, &variant.prices)? {
            if overlaid.insert(key.clone()) {
                figures.insert(key, figure);
            }
        }
    }
    Ok(held.then_some(figures))
}

fn tier_of(variant: &SourceVariant) -> Option<ServiceTier> {
    let mut when = variant.when.iter();
    let (Some((key, value)), None) = (when.next(), when.next()) else { return None };
    match (key.as_str(), value.as_str()) {
        ("service_tier", "default") => Some(ServiceTier::Standard),
        ("service_tier", word) => ServiceTier::from_name(word),
        ("processing", "batch") => Some(ServiceTier::Batch),
        _ => None,
    }
}

fn read_all(model: &SourceModel, prices: &SourcePrices) -> Result<Figures, GenaiError> {
    prices.iter().map(|(key, raw)| Ok((key.clone(), Figure::read(&model.id, raw)?))).collect()
}

fn is_window(prices: &ConditionalPrices) -> bool {
    prices.constraint.as_ref().is_some_and(|constraint| constraint.start_time.is_some())
}

const DAY: u32 = 24 * 60;

/// `01:00:00Z` as minutes of the day.
fn hours_of(model: &SourceModel, constraint: &Constraint) -> Result<(u32, u32), GenaiError> {
    let minute = |text: Option<&String>| {
        let mut parts = text?.trim_end_matches('Z').split(':').map(str::parse::<u32>);
        match (parts.next()?.ok()?, parts.next()?.ok()?, parts.next().transpose().ok()?) {
            (hour @ 0..24, minute @ 0..60, None | Some(0)) => Some(hour * 60 + minute),
            _ => None,
        }
    };
    minute(constraint.start_time.as_ref())
        .zip(minute(constraint.end_time.as_ref()))
        .filter(|(start, end)| start < end)
        .ok_or_else(|| unsupported(model, "hours that are not whole minutes of one day".to_owned()))
}

/// What the windows leave of the day, the stretch over midnight as one.
fn hours_outside(model: &SourceModel, windows: &[&ConditionalPrices]) -> Result<Vec<String>, GenaiError> {
    let mut taken = windows
        .iter()
        .filter_map(|window| window.constraint.as_ref())
        .map(|constraint| hours_of(model, constraint))
        .collect::<Result<Vec<_>, _>>()?;
    taken.sort_unstable();
    let mut outside = Vec::new();
    for (at, (_, end)) in taken.iter().enumerate() {
        let next = taken.get(at + 1).or(taken.first()).map_or(0, |(start, _)| *start);
        if *end != next {
            outside.push(clock(*end, next));
        }
    }
    Ok(outside)
}

fn clock(start: u32, end: u32) -> String {
    let text = |minute: u32| format!("{:02}:{:02}", minute % DAY / 60, minute % 60);
    format!("{}-{}", text(start), text(end))
}

/// One row per range of context sizes.
fn rows(tier: ServiceTier, span: &Span, rules: &[&CurationRule]) -> Vec<RateEntry> {
    let steps: BTreeSet<u64> =
        span.figures.values().flat_map(|figure| figure.steps.iter().map(|(start, _)| *start)).collect();
    let bounds: Vec<u64> = std::iter::once(0).chain(steps).collect();
    let mut rows = Vec::with_capacity(bounds.len());
    for (at, above) in bounds.iter().copied().enumerate() {
        let get = |key: &str| span.figures.get(key).map(|figure| figure.above(above).to_owned());
        let mut row = RateEntry {
            tier: (tier != ServiceTier::Standard).then_some(tier),
            from: span.from,
            until: span.until,
            hours: span.hours.clone(),
            days: span.days,
            above_input: (above > 0).then_some(above),
            up_to_input: bounds.get(at + 1).copied(),
            fresh_input: get("input_mtok"),
            cache_read: get("cache_read_mtok"),
            cache_write_5m: get("cache_write_5m_mtok").or_else(|| get("cache_write_mtok")),
            cache_write_1h: get("cache_write_1h_mtok"),
            output: get("output_mtok"),
            audio_input: get("input_audio_mtok"),
            audio_output: get("output_audio_mtok"),
            web_search: get("web_searches_kcount"),
            source: None,
            checked: None,
        };
        for rule in rules {
            curate(rule, &mut row);
        }
        rows.push(row);
    }
    rows
}

fn curate(rule: &CurationRule, row: &mut RateEntry) {
    let as_fresh = row.fresh_input.is_some().then(|| AS_FRESH_INPUT.to_owned());
    if rule.audio_as_fresh_input && row.audio_input.is_none() {
        row.audio_input.clone_from(&as_fresh);
    }
    if rule.cache_read_as_fresh_input && row.cache_read.is_none() {
        row.cache_read.clone_from(&as_fresh);
    }
    if rule.free {
        let free = || Some("0".to_owned());
        (row.fresh_input, row.cache_read, row.output, row.audio_input) = (free(), free(), free(), free());
    }
}

/// Rows that follow one another with the same figures are one row.
fn merged(rows: Vec<RateEntry>) -> Vec<RateEntry> {
    let mut merged: Vec<RateEntry> = Vec::with_capacity(rows.len());
    for row in rows {
        let same = merged.iter_mut().find(|known| {
            let timeless = |row: &RateEntry| RateEntry { from: None, until: None, ..row.clone() };
            known.until.is_some() && known.until == row.from && timeless(known) == timeless(&row)
        });
        match same {
            Some(known) => known.until = row.until,
            None => merged.push(row),
        }
    }
    merged
}

fn known(model: &SourceModel, key: &str) -> Result<(), GenaiError> {
    const KEYS: [&str; 27] = [
        "input_mtok",
        "cache_read_mtok",
        "cache_write_mtok",
        "cache_write_5m_mtok",
        "cache_write_1h_mtok",
        "output_mtok",
        "input_audio_mtok",
        "output_audio_mtok",
        "web_searches_kcount",
        "storage_searches_kcount",
        "input_image_mtok",
        "input_video_mtok",
        "output_image_mtok",
        "output_video_mtok",
        "cache_image_read_mtok",
        "cache_audio_read_mtok",
        "cache_video_read_mtok",
        "output_reasoning_mtok",
        "audio_hours",
        "input_audio_hours",
        "input_mchars",
        "input_document_kpages",
        "input_annotated_document_kpages",
        "input_text_messages_kcount",
        "requests_kcount",
        "output_citation_mtok",
        "output_audio_hours",
    ];
    if KEYS.contains(&key) {
        return Ok(());
    }
    Err(GenaiError::UnknownPrice { model: model.id.clone(), key: key.to_owned() })
}

/// What has a rate of its own that our classes cannot tell from another. File searches are left out: they are a
/// tool beside the model and never part of its token usage.
fn charged_apart(figures: &Figures, apart: &mut BTreeSet<ChargedApart>) {
    const PAIRS: [(&str, &str, ChargedApart); 8] = [
        ("input_image_mtok", "input_mtok", ChargedApart::ImageInput),
        ("input_video_mtok", "input_mtok", ChargedApart::ImageInput),
        ("output_image_mtok", "output_mtok", ChargedApart::ImageOutput),
        ("output_video_mtok", "output_mtok", ChargedApart::ImageOutput),
        ("cache_image_read_mtok", "cache_read_mtok", ChargedApart::CachedImage),
        ("cache_video_read_mtok", "cache_read_mtok", ChargedApart::CachedImage),
        ("cache_audio_read_mtok", "cache_read_mtok", ChargedApart::CachedAudio),
        ("output_reasoning_mtok", "output_mtok", ChargedApart::Reasoning),
    ];
    const OTHER: [&str; 9] = [
        "audio_hours",
        "input_audio_hours",
        "output_audio_hours",
        "input_mchars",
        "input_document_kpages",
        "input_annotated_document_kpages",
        "input_text_messages_kcount",
        "requests_kcount",
        "output_citation_mtok",
    ];
    for (key, class, what) in PAIRS {
        if let Some(own) = figures.get(key)
            && figures.get(class) != Some(own)
        {
            apart.insert(what);
        }
    }
    if OTHER.iter().any(|key| figures.contains_key(*key)) {
        apart.insert(ChargedApart::OtherUnits);
    }
}

fn unsupported(model: &SourceModel, what: String) -> GenaiError {
    GenaiError::Unsupported { model: model.id.clone(), what }
}
