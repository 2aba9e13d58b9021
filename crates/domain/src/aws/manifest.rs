//! Where a month's manifest lies and what it says: the files of the newest delivery. AWS writes it last (Data Exports user
//! guide, "Export delivery"), so that what it names is whole.
//!
//! The legacy report's keys are known (`assemblyId`, `reportKeys`, …). Those of exports are read tolerantly: a list of
//! texts or of objects with a key, under one of the names that were seen. One without a list that we know says at least
//! that the partition is whole: then the partition's files are it.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, Months, NaiveDate, Utc};
use serde_json::Value;

use super::{ReportPlace, names::BadName};

/// A month of a bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Month(NaiveDate);

impl Month {
    /// The month of a day.
    #[must_use]
    pub fn of(day: NaiveDate) -> Self {
        Self(day.with_day(1).unwrap_or(day))
    }

    /// Its first day.
    #[must_use]
    pub const fn first_day(self) -> NaiveDate {
        self.0
    }

    /// So many months before it.
    #[must_use]
    pub fn back(self, months: u32) -> Self {
        Self(self.0.checked_sub_months(Months::new(months)).unwrap_or(self.0))
    }

    /// The day after its last.
    #[must_use]
    pub fn end(self) -> NaiveDate {
        self.0.checked_add_months(Months::new(1)).unwrap_or(self.0)
    }

    /// Its name in English, with the year.
    #[must_use]
    pub fn title(self) -> String {
        self.0.format("%B %Y").to_string()
    }

    /// `20261001-20261101`, as the legacy report's folders are called.
    fn folder(self) -> String {
        format!("{}-{}", self.0.format("%Y%m%d"), self.end().format("%Y%m%d"))
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format("%Y-%m"))
    }
}

impl FromStr for Month {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let bad = BadName("is no month, like 2026-10");
        if text.len() != 7 {
            return Err(bad);
        }
        NaiveDate::parse_from_str(&format!("{text}-01"), "%Y-%m-%d").map(Self).map_err(|_| bad)
    }
}

impl serde::Serialize for Month {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Month {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// How a report's folders are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `<report>/<period>/<report>-Manifest.json`, as the legacy report's.
    Legacy,
    /// `<report>/metadata/BILLING_PERIOD=<month>/<report>-Manifest.json` and `data/…`, as Data Exports'.
    Export,
}

impl Layout {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Export, Self::Legacy];

    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Export => "export",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|layout| layout.as_str() == name)
    }

    /// Where the month's manifest lies.
    #[must_use]
    pub fn manifest(self, place: &ReportPlace, month: Month) -> String {
        format!("{}{}-Manifest.json", self.manifests(place, month), place.report)
    }

    /// The folder of the month's manifest, and of one manifest for each delivery where AWS keeps them all; with a slash.
    #[must_use]
    pub fn manifests(self, place: &ReportPlace, month: Month) -> String {
        let (prefix, report) = (&place.prefix, &place.report);
        match self {
            Self::Legacy => format!("{prefix}/{report}/{}/", month.folder()),
            Self::Export => format!("{prefix}/{report}/metadata/BILLING_PERIOD={month}/"),
        }
    }

    /// The folder of the month's data, with a slash.
    #[must_use]
    pub fn data(self, place: &ReportPlace, month: Month) -> String {
        let (prefix, report) = (&place.prefix, &place.report);
        match self {
            Self::Legacy => self.manifests(place, month),
            Self::Export => format!("{prefix}/{report}/data/BILLING_PERIOD={month}/"),
        }
    }
}

/// One of a delivery's files, as the bucket has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    /// The key.
    pub key: String,
    /// What it is read under: a change of the file changes it.
    pub etag: String,
    /// How many bytes it has.
    pub bytes: u64,
    /// When it was written, to the second.
    pub modified: DateTime<Utc>,
}

/// Why a manifest is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// It is no JSON object.
    #[error("it is no JSON object")]
    Shape,
    /// It names a file that no report of the prefix has.
    #[error("it names `{key}`, which is not below the prefix")]
    Outside {
        /// The key.
        key: String,
    },
    /// It names more files than a month has.
    #[error("it names {files} files")]
    TooMany {
        /// How many.
        files: usize,
    },
    /// It tells of a report that has no cost.
    #[error("the report has no column {column}")]
    Column {
        /// The column that is missing.
        column: &'static str,
    },
}

/// What a manifest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// What names the delivery, where AWS names it.
    pub delivery: Option<String>,
    /// Its files' keys; `None` where the manifest names them in no way that we know.
    pub files: Option<Vec<String>>,
    /// The report's columns, where it tells them; sorted.
    pub columns: Vec<String>,
}

/// The most files of one month. A report of eight million lines has sixteen.
const MOST_FILES: usize = 20_000;
/// Under what names the files' list was seen.
const FILE_LISTS: [&str; 8] =
    ["reportKeys", "dataFiles", "exportFiles", "files", "dataFileKeys", "fileKeys", "s3Keys", "keys"];
/// Under what names a delivery was seen.
const DELIVERIES: [&str; 4] = ["assemblyId", "executionId", "exportExecutionId", "deliveryId"];

impl Manifest {
    /// Reads one. Every file must lie below the place's prefix.
    pub fn read(bytes: &[u8], place: &ReportPlace) -> Result<Self, ManifestError> {
        let value: Value = serde_json::from_slice(bytes).map_err(|_| ManifestError::Shape)?;
        let whole = value.as_object().ok_or(ManifestError::Shape)?;
        let text = |name: &&str| find(&value, name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let delivery = DELIVERIES.iter().find_map(text).filter(|text| text.len() <= 256).map(str::to_owned);
        let lists = FILE_LISTS.iter().filter_map(|name| find(&value, name).and_then(Value::as_array));
        let mut files = None;
        for list in lists {
            let keys: Option<Vec<String>> = list.iter().map(|entry| key_of(entry, place)).collect();
            if let Some(keys) = keys.filter(|keys| !keys.is_empty()) {
                files = Some(keys);
                break;
            }
        }
        if let Some(files) = &mut files {
            if files.len() > MOST_FILES {
                return Err(ManifestError::TooMany { files: files.len() });
            }
            if let Some(key) = files.iter().find(|key| !place.prefix.holds(key)) {
                return Err(ManifestError::Outside { key: key.chars().take(200).collect() });
            }
            files.sort();
            files.dedup();
        }
        let columns = columns(whole.get("columns").or_else(|| find(&value, "columns")));
        must_have_cost(&columns)?;
        Ok(Self { delivery, files, columns })
    }
}

/// A member by name, of the object itself or of one below it.
fn find<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let object = value.as_object()?;
    let direct = object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    direct.or_else(|| object.values().filter(|value| value.is_object()).find_map(|value| find(value, name)))
}

/// The key in an entry: a text, or an object with one. `s3://bucket/key` is the bucket's own spelling of it; one of
/// another bucket stays as it is, and so lies outside.
fn key_of(entry: &Value, place: &ReportPlace) -> Option<String> {
    let text = match entry {
        Value::String(text) => text.as_str(),
        Value::Object(_) => ["key", "s3Key", "path", "s3Uri", "location", "name"]
            .iter()
            .find_map(|name| find(entry, name).and_then(Value::as_str))?,
        _ => return None,
    };
    let own = format!("s3://{}/", place.bucket);
    Some(text.strip_prefix(&own).unwrap_or(text).trim_start_matches('/').to_owned())
}

fn columns(value: Option<&Value>) -> Vec<String> {
    let name = |entry: &Value| match entry {
        Value::String(text) => Some(text.clone()),
        Value::Object(_) => {
            let name = ["name", "columnName"].iter().find_map(|name| find(entry, name))?.as_str()?;
            match find(entry, "category").and_then(Value::as_str) {
                Some(category) => Some(format!("{category}/{name}")),
                None => Some(name.to_owned()),
            }
        }
        _ => None,
    };
    let mut all: Vec<String> =
        value.and_then(Value::as_array).into_iter().flatten().filter_map(name).collect();
    all.sort();
    all.dedup();
    all
}

/// What every report has that costs anything, in each format's spelling. Letters alone count: the legacy report writes
/// `lineItem/UnblendedCost`, its Parquet `line_item_unblended_cost`.
fn must_have_cost(columns: &[String]) -> Result<(), ManifestError> {
    if columns.is_empty() {
        return Ok(());
    }
    let letters = |text: &str| {
        text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect::<String>()
    };
    let all: Vec<String> = columns.iter().map(|name| letters(name)).collect();
    let has = |name: &str| all.iter().any(|column| *column == letters(name));
    let wanted: &[&'static str] = if has("BilledCost") || has("ChargePeriodStart") {
        &["BilledCost", "ChargePeriodStart", "BillingCurrency"]
    } else {
        &["line_item_unblended_cost", "line_item_usage_start_date", "line_item_product_code"]
    };
    match wanted.iter().copied().find(|name| !has(name)) {
        Some(column) => Err(ManifestError::Column { column }),
        None => Ok(()),
    }
}
