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
            } else if meta.len() > 0 {
                let below = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
                found.push((path, below));
            }
        }
    }
    found.sort_by(|a, b| a.1.cmp(&b.1));
    Ok(found)
}

/// Two deliveries of one period (`<period>/<assembly>/…`, twice) would count everything twice.
pub(super) fn one_delivery_per_period(files: &[SourceFile]) -> Result<(), BillError> {
    let mut folders: BTreeMap<String, &str> = BTreeMap::new();
    for file in files {
        let Some((folder, _)) = file.name.rsplit_once('/') else { continue };
        let Some((period, delivery)) = period_and_delivery(folder) else { continue };
        match folders.get(&period) {
            Some(other) if *other != delivery => {
                return Err(BillError::TwoDeliveries {
                    first: format!("{period}/{other}"),
                    second: format!("{period}/{delivery}"),
                });
            }
            _ => {
                folders.insert(period, delivery);
            }
        }
    }
    Ok(())
}

/// Splits `report/20261001-20261101/1f2e…` and `data/BILLING_PERIOD=2026-10/2026…-1f2e…` behind the period.
fn period_and_delivery(folder: &str) -> Option<(String, &str)> {
    let at = folder.split('/').position(is_period)?;
    let period: Vec<&str> = folder.split('/').take(at + 1).collect();
    let delivery = folder.split('/').nth(at + 1)?;
    Some((period.join("/"), delivery))
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
    fn the_delivery_stands_behind_the_period() {
        assert_eq!(
            period_and_delivery("r/20261001-20261101/abc"),
            Some(("r/20261001-20261101".to_owned(), "abc"))
        );
        assert_eq!(period_and_delivery("data/BILLING_PERIOD=2026-10"), None);
        assert_eq!(period_and_delivery("a/b/c"), None);
    }
}
