//! What AWS delivered: one look at a month's manifest says whether it is another one than was read last.

use std::collections::BTreeSet;

use costlens_domain::aws::{Layout, Month, Part};
use costlens_store::AwsConnection;

use super::port::{BucketRefused, ReportBucket};

/// The months that AWS still changes: the running one and two before it.
const RECENT: u32 = 3;
/// How many months are looked at once a month: refunds and credits change older ones.
const YEAR: u32 = 12;
/// How often that is.
const SWEEP: chrono::TimeDelta = chrono::TimeDelta::days(30);

/// What lies in the bucket.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// How the report's folders are made, if there are any.
    pub(super) layout: Option<Layout>,
    /// The months' manifests, newest month first.
    pub(super) manifests: Vec<(Month, Part)>,
    /// Whether there are files without a manifest.
    pub(super) has_loose_files: bool,
    /// Whether the last twelve months were looked at.
    pub(super) swept: bool,
}

/// Looks; for older months, too, that are known and unfinished.
pub(super) async fn look(
    bucket: &dyn ReportBucket,
    connection: &AwsConnection,
    unfinished: impl Iterator<Item = Month>,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<Found, BucketRefused> {
    let this = Month::of(now.date_naive());
    let sweeps = connection.swept_at.is_none_or(|at| at + SWEEP <= now);
    let recent = (0..if sweeps { YEAR } else { RECENT }).map(|n| this.back(n));
    let months: BTreeSet<Month> = recent.chain(unfinished).collect();
    let months: Vec<Month> = months.into_iter().rev().collect();
    let layouts = connection.layout.map_or_else(|| Layout::ALL.to_vec(), |layout| vec![layout]);
    let mut found = Found { swept: sweeps, ..Found::default() };
    for layout in &layouts {
        for month in &months {
            if let Some(manifest) = manifest(bucket, connection, *layout, *month).await? {
                found.manifests.push((*month, manifest));
            }
        }
        if !found.manifests.is_empty() {
            found.layout = Some(*layout);
            return Ok(found);
        }
    }
    for layout in &layouts {
        for month in months.iter().take(2) {
            let files = bucket.list(&layout.data(&connection.place, *month)).await?;
            found.has_loose_files |= files.iter().any(|file| file.bytes > 0);
        }
    }
    // Nothing was found to sweep: the next look begins anew.
    found.swept = false;
    Ok(found)
}

/// A month's newest manifest. Where an export keeps every delivery, each has a folder of its own, by the time of its
/// making.
async fn manifest(
    bucket: &dyn ReportBucket,
    connection: &AwsConnection,
    layout: Layout,
    month: Month,
) -> Result<Option<Part>, BucketRefused> {
    let place = &connection.place;
    if let Some(found) = bucket.head(&layout.manifest(place, month)).await? {
        return Ok(Some(found));
    }
    if layout == Layout::Legacy {
        return Ok(None);
    }
    let all = bucket.list(&layout.manifests(place, month)).await?;
    Ok(all.into_iter().filter(|file| file.key.ends_with("Manifest.json")).max())
}
