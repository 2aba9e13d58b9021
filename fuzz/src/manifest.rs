//! Manifests of deliveries in customers' buckets: whatever the bytes, each file that one names lies below the report's
//! own prefix, without detours; and the same bytes say the same again.

use costlens_domain::aws::{AwsAccountId, ExternalId, Manifest, ManifestError, ReportPlace, RoleArn};

const PREFIX: &str = "exports/costlens";

/// Where a customer's reports lie, below this prefix.
fn place(prefix: &str) -> ReportPlace {
    let account: AwsAccountId = "111122223333".parse().unwrap();
    ReportPlace {
        role: RoleArn::of_template(&account),
        account,
        external_id: ExternalId::new([7; 20]),
        bucket: "acme-billing".parse().unwrap(),
        prefix: prefix.parse().unwrap(),
        report: "costlens".parse().unwrap(),
    }
}

pub(crate) fn check(input: &[u8]) {
    let place = place(PREFIX);
    let read = Manifest::read(input, &place);
    assert_eq!(Manifest::read(input, &place), read, "the same bytes say something else");
    let manifest = match read {
        Ok(manifest) => manifest,
        Err(error) => {
            // It is told to people, and what it repeats of the manifest is cut.
            let told = error.to_string();
            assert!((1..=300).contains(&told.chars().count()), "{told}");
            return;
        }
    };
    assert!(manifest.delivery.is_none_or(|name| (1..=256).contains(&name.len())));
    assert!(manifest.columns.is_sorted_by(|one, next| one < next), "{:?}", manifest.columns);
    let Some(files) = &manifest.files else { return };
    assert!((1..=20_000).contains(&files.len()), "{} files", files.len());
    assert!(files.is_sorted_by(|one, next| one < next), "{files:?}");
    for key in files {
        let below = key.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix('/'));
        let below = below.unwrap_or_else(|| panic!("{key:?} is not below the prefix"));
        assert!(below.split('/').all(|part| !matches!(part, "" | "." | "..")), "{key:?} makes a detour");
        assert!(key.len() <= 1_024 && !key.chars().any(char::is_control), "{key:?}");
    }
    // Of a report that lies elsewhere the same manifest names nothing.
    let elsewhere = Manifest::read(input, &self::place("exports/other"));
    assert!(matches!(elsewhere, Err(ManifestError::Outside { .. })), "{elsewhere:?}");
}
