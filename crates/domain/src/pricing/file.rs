//! A price file as it is written: one provider, figures as exact decimal strings.
//!
//! The importer writes this shape and the catalogue reads it. `"=fresh_input"` in place of a figure says in data
//! that a vendor has no separate price for a class and bills it as fresh input; a class that is left out has no
//! known price.

use chrono::{NaiveDate, NaiveTime, Timelike};
use serde::{Deserialize, Serialize};

use super::catalogue::CatalogueFault;
use super::model::{ChargedApart, DailyWindow, Days, ModelPrice, RateRow, Rates, RegionClass, ServiceTier};
use super::rate::Rate;

/// What stands in place of a figure where a class is billed as fresh input.
pub(super) const AS_FRESH_INPUT: &str = "=fresh_input";

/// One provider's prices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceFile {
    /// The provider's stable name.
    pub provider: String,
    /// The provider's name for people.
    pub name: String,
    /// Other names that callers may use for the provider.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Who published the figures.
    pub source: String,
    /// What a reader should know about all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The models.
    pub models: Vec<PriceEntry>,
}

/// One model's prices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceEntry {
    /// The entry's name, unique within the provider.
    pub id: String,
    /// Other exact names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// Names that also hold with a date or version behind them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<String>,
    /// Names that hold with anything behind them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<String>,
    /// Where Bedrock serves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<RegionClass>,
    /// Who published the figures, where it is not the file's source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// When the figures were last checked.
    pub checked: NaiveDate,
    /// What a reader should know about them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What the vendor charges at rates of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub charged_apart: Vec<ChargedApart>,
    /// The rates.
    pub rates: Vec<RateEntry>,
}

/// The rates of one tier, stretch of time and range of context sizes. Token rates are dollars per million.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateEntry {
    /// The tier; absent for the ordinary one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<ServiceTier>,
    /// First day (UTC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<NaiveDate>,
    /// First day on which it no longer holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<NaiveDate>,
    /// Hours of the day in UTC, `01:00-04:00`, the end excluded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<String>,
    /// `weekdays` or `weekends`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<Days>,
    /// Holds where the total input is larger than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above_input: Option<u64>,
    /// Holds where the total input is at most this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to_input: Option<u64>,
    /// Per million.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fresh_input: Option<String>,
    /// Per million.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<String>,
    /// Per million.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_5m: Option<String>,
    /// Per million.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_1h: Option<String>,
    /// Per million.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Per million.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_input: Option<String>,
    /// Per million.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_output: Option<String>,
    /// Per thousand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_search: Option<String>,
    /// Who published these figures, where it is not the entry's source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// When these figures were last checked, where it is not the entry's day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked: Option<NaiveDate>,
}

impl PriceEntry {
    /// The entry as the engine uses it.
    pub(super) fn compile(self, provider: &str, source: &str) -> Result<ModelPrice, CatalogueFault> {
        let rows = self
            .rates
            .iter()
            .map(RateEntry::compile)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|fault| fault.of(&self.id))?;
        for (at, row) in rows.iter().enumerate() {
            if rows.iter().skip(at + 1).any(|other| row.overlaps(other)) {
                return Err(CatalogueFault::Overlap { id: self.id });
            }
        }
        Ok(ModelPrice {
            provider: provider.to_owned(),
            price_id: format!("{provider}/{}", self.id),
            names: self.names,
            versions: self.versions,
            prefixes: self.prefixes,
            region: self.region,
            source: self.source.unwrap_or_else(|| source.to_owned()),
            checked: self.checked,
            note: self.note,
            charged_apart: self.charged_apart,
            rows,
            id: self.id,
        })
    }
}

impl RateEntry {
    /// The figures in the order of [`crate::usage::TokenClass::ALL`].
    pub(super) fn tokens(&self) -> [Option<&str>; 7] {
        [
            self.fresh_input.as_deref(),
            self.cache_read.as_deref(),
            self.cache_write_5m.as_deref(),
            self.cache_write_1h.as_deref(),
            self.output.as_deref(),
            self.audio_input.as_deref(),
            self.audio_output.as_deref(),
        ]
    }

    fn compile(&self) -> Result<RateRow, CatalogueFault> {
        let fresh_input = self.fresh_input.as_deref();
        let mut tokens = [const { None }; 7];
        for (slot, figure) in tokens.iter_mut().zip(self.tokens()) {
            let figure = match figure {
                Some(AS_FRESH_INPUT) => match fresh_input {
                    Some(fresh) if fresh != AS_FRESH_INPUT => Some(fresh),
                    _ => return Err(CatalogueFault::row("=fresh_input needs a fresh_input figure")),
                },
                figure => figure,
            };
            *slot = figure.map(Rate::per_million).transpose().map_err(CatalogueFault::rate)?;
        }
        let web_search =
            self.web_search.as_deref().map(Rate::per_thousand).transpose().map_err(CatalogueFault::rate)?;
        let (above, most) = (self.above_input.unwrap_or(0), self.up_to_input);
        if most.is_some_and(|most| most <= above) {
            return Err(CatalogueFault::row("up_to_input must be larger than above_input"));
        }
        if let (Some(from), Some(until)) = (self.from, self.until)
            && from >= until
        {
            return Err(CatalogueFault::row("until must come after from"));
        }
        let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc().timestamp();
        Ok(RateRow {
            tier: self.tier.unwrap_or(ServiceTier::Standard),
            from: self.from,
            until: self.until,
            hours: self.hours.as_deref().map(parse_hours).transpose()?,
            days: self.days.unwrap_or(Days::All),
            above_input: above,
            up_to_input: most,
            rates: Rates { tokens, web_search },
            source: self.source.clone(),
            checked: self.checked,
            span: (self.from.map_or(i64::MIN, midnight), self.until.map_or(i64::MAX, midnight)),
            first_input: self.above_input.is_none(),
        })
    }
}

/// `01:00-04:00` as seconds of the day.
fn parse_hours(text: &str) -> Result<DailyWindow, CatalogueFault> {
    let second = |text: &str| {
        NaiveTime::parse_from_str(text.trim(), "%H:%M").ok().map(|time| time.num_seconds_from_midnight())
    };
    let window = text
        .split_once('-')
        .and_then(|(start, end)| Some(DailyWindow { start: second(start)?, end: second(end)? }));
    window
        .filter(|window| window.start != window.end)
        .ok_or_else(|| CatalogueFault::row("hours are not HH:MM-HH:MM"))
}

impl PriceFile {
    /// The file as it is committed: JSON for people and `diff`, a line per rate.
    pub fn to_text(&self) -> Result<String, serde_json::Error> {
        let mut text = String::with_capacity(64 * 1024);
        text.push_str("{\n");
        member(&mut text, 2, "provider", &self.provider, true)?;
        member(&mut text, 2, "name", &self.name, true)?;
        member(&mut text, 2, "aliases", &self.aliases, !self.aliases.is_empty())?;
        member(&mut text, 2, "source", &self.source, true)?;
        member(&mut text, 2, "note", &self.note, self.note.is_some())?;
        text.push_str("  \"models\": [\n");
        for (at, model) in self.models.iter().enumerate() {
            model.write(&mut text)?;
            text.push_str(if at + 1 == self.models.len() { "\n" } else { ",\n" });
        }
        text.push_str("  ]\n}\n");
        Ok(text)
    }
}

impl PriceEntry {
    fn write(&self, text: &mut String) -> Result<(), serde_json::Error> {
        text.push_str("    {\n");
        member(text, 6, "id", &self.id, true)?;
        member(text, 6, "names", &self.names, !self.names.is_empty())?;
        member(text, 6, "versions", &self.versions, !self.versions.is_empty())?;
        member(text, 6, "prefixes", &self.prefixes, !self.prefixes.is_empty())?;
        member(text, 6, "region", &self.region, self.region.is_some())?;
        member(text, 6, "source", &self.source, self.source.is_some())?;
        member(text, 6, "checked", &self.checked, true)?;
        member(text, 6, "note", &self.note, self.note.is_some())?;
        member(text, 6, "charged_apart", &self.charged_apart, !self.charged_apart.is_empty())?;
        text.push_str("      \"rates\": [\n");
        for (at, rate) in self.rates.iter().enumerate() {
            text.push_str("        ");
            // No value of a rate holds a quote or a colon before one, so the spaces land between members only.
            text.push_str(&serde_json::to_string(rate)?.replace("\":", "\": ").replace(",\"", ", \""));
            text.push_str(if at + 1 == self.rates.len() { "\n" } else { ",\n" });
        }
        text.push_str("      ]\n    }");
        Ok(())
    }
}

/// One member on a line of its own, a comma behind it.
fn member<T: Serialize>(
    text: &mut String,
    indent: usize,
    key: &str,
    value: &T,
    present: bool,
) -> Result<(), serde_json::Error> {
    if present {
        text.extend(std::iter::repeat_n(' ', indent));
        text.push('"');
        text.push_str(key);
        text.push_str("\": ");
        text.push_str(&serde_json::to_string(value)?);
        text.push_str(",\n");
    }
    Ok(())
}
