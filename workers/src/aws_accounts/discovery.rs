//! What AWS delivered: one look at a month's manifest says whether it is another one than was read last.

use std::collections::BTreeSet;

use costlens_domain::aws::{Layout, Month, Part};
use costlens_store::AwsConnection;

use super::port::{BucketRefused, ReportBucket};

/// The months that AWS still changes: the running one and two before it.
pub(super) const RECENT: u32 = 3;
/// How many months are looked at once a month: refunds and credits change older ones.
pub(super) const YEAR: u32 = 12;
/// How often that is.
const SWEEP: chrono::TimeDelta = chrono::TimeDelta::days(30);
/// AWS writes at least once a day: what is older than this does not show that the report is still made in this way.
const FRESH: chrono::TimeDelta = chrono::TimeDelta::hours(36);

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
    // The known one first. Where nothing new is written in it, the report may have been made anew in the other.
    let mut layouts = Layout::ALL;
    layouts.sort_by_key(|layout| Some(*layout) != connection.layout);
    let mut found = Found { swept: sweeps, ..Found::default() };
    let mut newest = None;
    for layout in layouts {
        let mut manifests = Vec::new();
        for month in &months {
            if let Some(manifest) = manifest(bucket, connection, layout, *month).await? {
                manifests.push((*month, manifest));
            }
        }
        let written = manifests.iter().map(|(_, manifest)| manifest.modified).max();
        if written > newest {
            (found.layout, found.manifests, newest) = (Some(layout), manifests, written);
        }
        if newest.is_some_and(|at| at + FRESH > now) {
            break;
        }
    }
    if !found.manifests.is_empty() {
        return Ok(found);
    }
    for layout in layouts {
        for month in months.iter().take(2) {
            let files = bucket.list(&layout.data(&connection.place, *month)).await?;
            found.has_loose_files |= files.iter().any(|file| file.bytes > 0);
        }
    }
    // Nothing was found to sweep: the next look begins anew.
    found.swept = false;
    Ok(found)
}

/// A month's newest manifest. Where an export keeps every delivery, each has a folder of its own; where it was told to only
/// later, or no longer, one lies beside those folders, and may be the oldest or the newest.
async fn manifest(
    bucket: &dyn ReportBucket,
    connection: &AwsConnection,
    layout: Layout,
    month: Month,
) -> Result<Option<Part>, BucketRefused> {
    let place = &connection.place;
    if layout == Layout::Legacy {
        return bucket.head(&layout.manifest(place, month)).await;
    }
    let all = bucket.list(&layout.manifests(place, month)).await?;
    let manifests = all.into_iter().filter(|file| file.key.ends_with("Manifest.json"));
    // Those of one second by their keys, which name the time.
    Ok(manifests.max_by(|one, other| (one.modified, &one.key).cmp(&(other.modified, &other.key))))
}
