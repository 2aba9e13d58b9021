//! Folders of deliveries.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::SourceFile;
use crate::BillError;

/// Folders that AWS writes beside the data.
const NOT_DATA: [&str; 2] = ["cost_and_usage_data_status", "metadata"];

/// How deep a delivery may be nested; a loop of links ends here.
const MAX_DEPTH: usize = 12;

/// The files below a folder with their paths relative to it, in the order of their names.
pub(super) fn files_below(root: &Path) -> Result<Vec<(PathBuf, String)>, BillError> {
    let mut found = Vec::new();
    let mut folders = vec![(root.to_path_buf(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let failed = |source| BillError::Open { path: folder.clone(), source };
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = entry.path();
            let meta =
                std::fs::metadata(&path).map_err(|source| BillError::Open { path: path.clone(), source })?;
            if name.starts_with('.') {
                continue;
            }
            if meta.is_dir() {
                if depth < MAX_DEPTH && !NOT_DATA.contains(&name.as_str()) {
                    folders.push((path, depth + 1));
                }
            } else if meta.len() > 0 || is_named_like_data(&name) {
                let below = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
                found.push((path, below));
            }
        }
    }
    found.sort_by(|a, b| a.1.cmp(&b.1));
    Ok(found)
}

/// Whether a file's name promises lines of a bill.
pub(super) fn is_named_like_data(name: &str) -> bool {
    const DATA: [&str; 8] =
        [".csv", ".csv.gz", ".csv.zip", ".parquet", ".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz"];
    let name = name.to_ascii_lowercase();
    DATA.iter().any(|ending| name.ends_with(ending))
}

/// Two deliveries of one period would count everything twice, whether they are versions of one export or two exports of one
/// account: which of them is whose, no folder says.
pub(super) fn one_delivery_per_period(files: &[SourceFile]) -> Result<(), BillError> {
    let mut folders: BTreeMap<String, String> = BTreeMap::new();
    for file in files {
        // The period may be the very folder that was asked for, or one above it.
        let path = file.path.canonicalize().unwrap_or_else(|_| file.path.clone());
        let Some(folder) = path.parent().map(Path::to_string_lossy) else { continue };
        let Some(period) = period_of(&folder) else { continue };
        match folders.get(period) {
            Some(other) if *other != folder => {
                return Err(BillError::TwoDeliveries { first: other.clone(), second: folder.into_owned() });
            }
            _ => {
                folders.insert(period.to_owned(), folder.into_owned());
            }
        }
    }
    Ok(())
}

/// The period of `report/20261001-20261101/1f2e…`, of `data/BILLING_PERIOD=2026-10/2026…-1f2e…`, and of the same without a
/// folder for each delivery.
fn period_of(folder: &str) -> Option<&str> {
    folder.split('/').find(|part| is_period(part))
}

fn is_period(part: &str) -> bool {
    let legacy = part.len() == 17
        && part
            .bytes()
            .enumerate()
            .all(|(at, byte)| if at == 8 { byte == b'-' } else { byte.is_ascii_digit() });
    legacy || part.to_ascii_uppercase().starts_with("BILLING_PERIOD=")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_tells_its_period() {
        assert_eq!(period_of("r/20261001-20261101/abc"), Some("20261001-20261101"));
        assert_eq!(period_of("data/BILLING_PERIOD=2026-10"), Some("BILLING_PERIOD=2026-10"));
        assert_eq!(period_of("a/b/c"), None);
    }
}
