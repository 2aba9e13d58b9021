//! A month's newest delivery as files on this machine, all of one moment.
//!
//! AWS overwrites files in place and writes the manifest last. So: the manifest with its version, each file's version,
//! each file under its very version, and the manifest once more. If it moved, what was copied is of no moment at all, and
//! everything begins anew. Whoever reads between two of AWS' writes sees nothing move: then a file is newer than the manifest.

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::aws::{Manifest, ManifestError, Part, Refusal, ReportPlace};
use costlens_vault::TokenHash;

use super::port::{BucketRefused, ReportBucket};

/// The largest manifest that is read. One of a thousand files has a few hundred kilobytes.
const LARGEST_MANIFEST: u64 = 16 * 1024 * 1024;

/// How long AWS may take from a delivery's first file to its manifest. Where somebody copies deliveries from another bucket,
/// files may stay newer than their manifest; after this they are taken as they are.
const DELIVERING: TimeDelta = TimeDelta::minutes(15);

/// What the newest delivery is, before its files are copied.
#[derive(Debug)]
pub(super) struct Delivery {
    /// The manifest's version.
    pub(super) manifest: Part,
    /// Its SHA-256.
    pub(super) manifest_sha256: [u8; 32],
    /// SHA-256 of the columns that it names.
    pub(super) columns_sha256: Option<[u8; 32]>,
    /// What names the delivery: AWS' own name for it, and what its files are. One name for other files would be another
    /// delivery.
    pub(super) name: String,
    /// Its files.
    pub(super) parts: Vec<Part>,
}

impl Delivery {
    /// Their bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).sum()
    }
}

/// Why there is none that can be read, and whose manifest says so where one was read.
#[derive(Debug)]
pub(super) struct Unfit {
    pub(super) why: BucketRefused,
    pub(super) manifest: Option<String>,
}

impl From<BucketRefused> for Unfit {
    fn from(why: BucketRefused) -> Self {
        Self { why, manifest: None }
    }
}

/// Reads the manifest and finds the versions of its files.
pub(super) async fn find(
    bucket: &dyn ReportBucket,
    place: &ReportPlace,
    manifest_key: &str,
    most_bytes: u64,
    now: DateTime<Utc>,
) -> Result<Delivery, Unfit> {
    let (manifest, bytes) = match bucket.get(manifest_key, LARGEST_MANIFEST).await {
        Err(BucketRefused::Missing { .. }) => {
            let detail = format!("the manifest {manifest_key} is gone");
            return Err(BucketRefused::of(Refusal::ManifestMissing, detail).into());
        }
        read => read?,
    };
    let unfit = |why| Unfit { why, manifest: Some(manifest.etag.clone()) };
    let read = Manifest::read(&bytes, place).map_err(|error| unfit(of_manifest(manifest_key, &error)))?;
    let mut parts = Vec::new();
    if let Some(keys) = &read.files {
        for key in keys {
            let Some(part) = bucket.head(key).await? else {
                let detail = format!("the manifest names {key}, which is not there");
                return Err(unfit(BucketRefused::of(Refusal::PartsMissing, detail)));
            };
            parts.push(part);
        }
    } else {
        parts = bucket.list(&data_folder(manifest_key)).await?;
        parts.retain(is_data);
        if let Some(outside) = parts.iter().find(|part| !place.prefix.holds(&part.key)) {
            let detail = format!("{} is not below the prefix", outside.key);
            return Err(unfit(BucketRefused::of(Refusal::OutsidePrefix, detail)));
        }
    }
    parts.sort();
    let bytes_of_all: u64 = parts.iter().map(|part| part.bytes).sum();
    if parts.is_empty() {
        let detail = format!("the manifest {manifest_key} names no file");
        return Err(unfit(BucketRefused::of(Refusal::PartsMissing, detail)));
    }
    if bytes_of_all > most_bytes {
        let detail =
            format!("the delivery has {bytes_of_all} bytes, more than the {most_bytes} that are taken");
        return Err(unfit(BucketRefused::of(Refusal::TooLarge, detail)));
    }
    let is_of_the_next = |part: &&Part| part.modified > manifest.modified && now - part.modified < DELIVERING;
    if let Some(part) = parts.iter().find(is_of_the_next) {
        return Err(unfit(BucketRefused::Moved { key: part.key.clone() }));
    }
    let files: Vec<String> =
        parts.iter().map(|part| format!("{}\n{}\n{}", part.key, part.etag, part.bytes)).collect();
    let files = hex::encode(TokenHash::of(&files.join("\n")).0);
    let name = read.delivery.as_ref().map_or_else(|| files.clone(), |name| format!("{name} {files}"));
    let columns_sha256 = (!read.columns.is_empty()).then(|| TokenHash::of(&read.columns.join("\n")).0);
    let manifest_sha256 = TokenHash::of(&String::from_utf8_lossy(&bytes)).0;
    Ok(Delivery { manifest, manifest_sha256, columns_sha256, name, parts })
}

/// Copies the files, and looks whether they are still the delivery.
pub(super) async fn copy(
    bucket: &dyn ReportBucket,
    delivery: &Delivery,
    to: &Path,
    came: &(dyn Fn(u64) + Send + Sync),
) -> Result<(), BucketRefused> {
    for (n, part) in delivery.parts.iter().enumerate() {
        let base = part.key.rsplit('/').next().unwrap_or_default();
        // A name beginning with a dot would be passed over by the reader; two folders may have files of one name.
        let name = format!("{:05}-{base}", n + 1);
        match bucket.download(part, &to.join(name), came).await {
            // What is gone or another one now belongs to a newer delivery.
            Err(BucketRefused::Missing { key }) => return Err(BucketRefused::Moved { key }),
            copied => copied?,
        }
    }
    let key = &delivery.manifest.key;
    let is_same = bucket.head(key).await?.is_some_and(|now| now.etag == delivery.manifest.etag);
    if is_same { Ok(()) } else { Err(BucketRefused::Moved { key: key.clone() }) }
}

/// Where the files lie whose manifest lies here.
fn data_folder(manifest_key: &str) -> String {
    let folder = manifest_key.rsplit_once('/').map_or("", |(folder, _)| folder);
    match folder.rsplit_once("/metadata/BILLING_PERIOD=") {
        Some((report, month)) => format!("{report}/data/BILLING_PERIOD={month}/"),
        None => format!("{folder}/"),
    }
}

fn is_data(part: &Part) -> bool {
    let name = part.key.rsplit('/').next().unwrap_or_default();
    part.bytes > 0 && !name.ends_with("Manifest.json") && !part.key.contains("/cost_and_usage_data_status/")
}

fn of_manifest(key: &str, error: &ManifestError) -> BucketRefused {
    let refusal = match error {
        ManifestError::Shape | ManifestError::TooMany { .. } => Refusal::ManifestUnreadable,
        ManifestError::Outside { .. } => Refusal::OutsidePrefix,
        ManifestError::Column { .. } => Refusal::ColumnMissing,
    };
    BucketRefused::of(refusal, format!("the manifest {key}: {error}"))
}

#[cfg(test)]
mod tests {
    use costlens_domain::aws::Layout;

    use super::*;

    #[test]
    fn the_data_lies_beside_its_manifest() {
        assert_eq!(
            data_folder("p/r/metadata/BILLING_PERIOD=2026-10/r-Manifest.json"),
            "p/r/data/BILLING_PERIOD=2026-10/"
        );
        assert_eq!(
            data_folder("p/r/metadata/BILLING_PERIOD=2026-10/2026-11-01T00:00:00Z-e/r-Manifest.json"),
            "p/r/data/BILLING_PERIOD=2026-10/2026-11-01T00:00:00Z-e/"
        );
        assert_eq!(data_folder("p/r/20261001-20261101/r-Manifest.json"), "p/r/20261001-20261101/");
        assert_eq!(Layout::ALL.len(), 2, "a third layout needs its own rule here");
    }
}
