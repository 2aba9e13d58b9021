//! Which instance types carry accelerators, and how many.
//!
//! Figures from EC2's DescribeInstanceTypes (read 2026-11). Fractional types (`g6f`) share one GPU, so their
//! count is unknown rather than zero. A family that is newer than this table is still recognised by its letters.

use super::words::is_region;

/// What accelerates an instance type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accelerator {
    /// The accelerator; `None` for a family that the table does not know yet.
    pub name: Option<&'static str>,
    /// How many; `None` where unknown or where several instances share one.
    pub count: Option<u32>,
}

/// Family, accelerator, and the count of each size.
type Family = (&'static str, &'static str, &'static [(&'static str, u32)]);

const FAMILIES: &[Family] = &[
    ("p2", "K80", &[("xlarge", 1), ("8xlarge", 8), ("16xlarge", 16)]),
    ("p3", "V100", &[("2xlarge", 1), ("8xlarge", 4), ("16xlarge", 8)]),
    ("p3dn", "V100", &[("24xlarge", 8)]),
    ("p4d", "A100", &[("24xlarge", 8)]),
    ("p4de", "A100", &[("24xlarge", 8)]),
    ("p5", "H100", &[("4xlarge", 1), ("48xlarge", 8)]),
    ("p5e", "H200", &[("48xlarge", 8)]),
    ("p5en", "H200", &[("48xlarge", 8)]),
    ("p6-b200", "B200", &[("48xlarge", 8)]),
    ("p6-b300", "B300", &[("48xlarge", 8)]),
    ("g3", "M60", &[("4xlarge", 1), ("8xlarge", 2), ("16xlarge", 4)]),
    ("g3s", "M60", &[("xlarge", 1)]),
    (
        "g4ad",
        "Radeon Pro V520",
        &[("xlarge", 1), ("2xlarge", 1), ("4xlarge", 1), ("8xlarge", 2), ("16xlarge", 4)],
    ),
    (
        "g4dn",
        "T4",
        &[
            ("xlarge", 1),
            ("2xlarge", 1),
            ("4xlarge", 1),
            ("8xlarge", 1),
            ("12xlarge", 4),
            ("16xlarge", 1),
            ("metal", 8),
        ],
    ),
    (
        "g5",
        "A10G",
        &[
            ("xlarge", 1),
            ("2xlarge", 1),
            ("4xlarge", 1),
            ("8xlarge", 1),
            ("12xlarge", 4),
            ("16xlarge", 1),
            ("24xlarge", 4),
            ("48xlarge", 8),
        ],
    ),
    (
        "g5g",
        "T4g",
        &[("xlarge", 1), ("2xlarge", 1), ("4xlarge", 1), ("8xlarge", 1), ("16xlarge", 2), ("metal", 2)],
    ),
    (
        "g6",
        "L4",
        &[
            ("xlarge", 1),
            ("2xlarge", 1),
            ("4xlarge", 1),
            ("8xlarge", 1),
            ("12xlarge", 4),
            ("16xlarge", 1),
            ("24xlarge", 4),
            ("48xlarge", 8),
        ],
    ),
    (
        "g6e",
        "L40S",
        &[
            ("xlarge", 1),
            ("2xlarge", 1),
            ("4xlarge", 1),
            ("8xlarge", 1),
            ("12xlarge", 4),
            ("16xlarge", 1),
            ("24xlarge", 4),
            ("48xlarge", 8),
        ],
    ),
    ("g6f", "L4 (shared)", &[]),
    ("gr6", "L4", &[("4xlarge", 1), ("8xlarge", 1)]),
    ("gr6f", "L4 (shared)", &[]),
    (
        "g7",
        "RTX PRO 4500",
        &[("2xlarge", 1), ("4xlarge", 1), ("8xlarge", 1), ("12xlarge", 2), ("24xlarge", 4), ("48xlarge", 8)],
    ),
    (
        "g7e",
        "RTX PRO Server 6000",
        &[("2xlarge", 1), ("4xlarge", 1), ("8xlarge", 1), ("12xlarge", 2), ("24xlarge", 4), ("48xlarge", 8)],
    ),
    ("trn1", "Trainium", &[("2xlarge", 1), ("32xlarge", 16)]),
    ("trn1n", "Trainium", &[("32xlarge", 16)]),
    ("trn2", "Trainium2", &[("3xlarge", 1), ("48xlarge", 16)]),
    ("inf1", "Inferentia", &[("xlarge", 1), ("2xlarge", 1), ("6xlarge", 4), ("24xlarge", 16)]),
    ("inf2", "Inferentia2", &[("xlarge", 1), ("8xlarge", 1), ("24xlarge", 6), ("48xlarge", 12)]),
    ("dl1", "Gaudi", &[("24xlarge", 8)]),
    ("dl2q", "Qualcomm AI100", &[("24xlarge", 8)]),
    ("vt1", "Xilinx U30", &[("3xlarge", 1), ("6xlarge", 2), ("24xlarge", 8)]),
];

/// Letters that accelerated families begin with, before their generation.
const LETTERS: [&str; 7] = ["p", "g", "gr", "trn", "inf", "dl", "vt"];

/// What EC2 bills instance hours, hosts, reservations and capacity under.
const COMPUTE: [&str; 14] = [
    "BoxUsage",
    "SpotUsage",
    "UnusedBox",
    "UnusedDed",
    "DedicatedUsage",
    "DedicatedRes",
    "HostUsage",
    "HostBoxUsage",
    "ReservedHostUsage",
    "Reservation",
    "HeavyUsage",
    "SchedUsage",
    "CapacityBlockFee",
    "UnusedCapacityBlock",
];

/// The accelerators of an instance type (`p5.48xlarge`) or family (`p5`); `None` for one without.
#[must_use]
pub fn find(instance_type: &str) -> Option<Accelerator> {
    let (family, size) = instance_type.split_once('.').unwrap_or((instance_type, ""));
    if let Some((_, name, sizes)) = FAMILIES.iter().find(|(known, ..)| *known == family) {
        let count = sizes.iter().find(|(known, _)| *known == size).map(|(_, count)| *count);
        return Some(Accelerator { name: Some(name), count });
    }
    let letters = family.trim_end_matches(|c: char| !c.is_ascii_alphabetic());
    let letters: &str = letters.split(|c: char| c.is_ascii_digit()).next().unwrap_or_default();
    let generation = family.strip_prefix(letters).and_then(|rest| rest.bytes().next());
    let known = LETTERS.contains(&letters) && generation.is_some_and(|byte| byte.is_ascii_digit());
    known.then_some(Accelerator { name: None, count: None })
}

/// The accelerated instance type that an EC2 usage type bills compute for.
#[must_use]
pub(super) fn compute_instance(usage_type: &str) -> Option<&str> {
    let (what, instance_type) = usage_type.split_once(':')?;
    let what = match what.split_once('-') {
        Some((prefix, rest)) if is_region(prefix) => rest,
        _ => what,
    };
    if !COMPUTE.contains(&what) {
        return None;
    }
    find(instance_type).map(|_| instance_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_come_from_the_size() {
        assert_eq!(find("p5.4xlarge").and_then(|found| found.count), Some(1));
        assert_eq!(find("p5.48xlarge").and_then(|found| found.count), Some(8));
        assert_eq!(find("g6f.xlarge"), Some(Accelerator { name: Some("L4 (shared)"), count: None }));
        assert_eq!(find("p9.48xlarge"), Some(Accelerator { name: None, count: None }));
    }

    #[test]
    fn families_with_like_letters_are_not_accelerated() {
        for plain in [
            "m5.large",
            "c7g.large",
            "r6g.large",
            "i4g.large",
            "t4g.micro",
            "hpc7g.4xlarge",
            "d3.xlarge",
            "x2gd.large",
            "f2.6xlarge",
            "",
        ] {
            assert_eq!(find(plain), None, "{plain}");
        }
    }

    #[test]
    fn only_compute_hours_count() {
        assert_eq!(compute_instance("USE1-BoxUsage:p5.48xlarge"), Some("p5.48xlarge"));
        assert_eq!(compute_instance("BoxUsage:g5.xlarge"), Some("g5.xlarge"));
        assert_eq!(compute_instance("USE1-CapacityBlockFee:p5.48xlarge"), Some("p5.48xlarge"));
        assert_eq!(compute_instance("USE1-EBS:VolumeUsage.gp3"), None);
        assert_eq!(compute_instance("USE1-EBSOptimized:p2.xlarge"), None);
        assert_eq!(compute_instance("USE1-BoxUsage:m5.large"), None);
    }
}
