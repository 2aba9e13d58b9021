//! The workspace's arrows and jails, as ARCHITECTURE.md draws them: who may depend on whom, and which crate alone
//! names which heavy dependency. A new crate, arrow or heavy dependency is a line here, or a failure.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};
use costlens_tests::place;

/// Every package of the workspace, its level, and the packages of ours that it may name.
const ARROWS: &[(&str, u8, &[&str])] = &[
    ("costlens-domain", 0, &[]),
    ("costlens-store", 1, &["costlens-domain"]),
    ("costlens-queue", 1, &[]),
    ("costlens-vault", 1, &["costlens-domain"]),
    ("costlens-cache", 1, &["costlens-domain"]),
    ("costlens-objects", 1, &["costlens-domain"]),
    ("costlens-egress", 1, &[]),
    ("costlens-edge", 1, &["costlens-domain"]),
    ("costlens-identity", 2, &["costlens-domain", "costlens-egress"]),
    ("costlens-bill", 2, &["costlens-domain"]),
    ("costlens-insight", 2, &["costlens-domain"]),
    ("costlens-imports", 2, &["costlens-domain"]),
    ("costlens-aws", 2, &["costlens-domain", "costlens-vault"]),
    ("costlens-notify", 2, &["costlens-domain", "costlens-egress", "costlens-vault"]),
    ("costlens-jobs", 2, &["costlens-domain", "costlens-store", "costlens-queue"]),
    (
        "costlens-proxy",
        3,
        &["costlens-domain", "costlens-store", "costlens-vault", "costlens-egress", "costlens-edge"],
    ),
    // Not `costlens-bill`: the API keeps a bill's file and asks for its reading, so that it builds without the engine.
    (
        "costlens-api",
        3,
        &[
            "costlens-domain",
            "costlens-store",
            "costlens-vault",
            "costlens-cache",
            "costlens-egress",
            "costlens-edge",
            "costlens-identity",
            "costlens-imports",
            "costlens-insight",
            "costlens-jobs",
            "costlens-notify",
            "costlens-objects",
            "costlens-queue",
        ],
    ),
    // Nor these: a bill is read through a port.
    (
        "costlens-workers",
        3,
        &[
            "costlens-domain",
            "costlens-store",
            "costlens-queue",
            "costlens-jobs",
            "costlens-vault",
            "costlens-objects",
            "costlens-egress",
            "costlens-identity",
            "costlens-insight",
            "costlens-notify",
        ],
    ),
    ("costlens-openapi", 4, &["costlens-api"]),
    (
        "costlens",
        5,
        &[
            "costlens-domain",
            "costlens-store",
            "costlens-queue",
            "costlens-jobs",
            "costlens-vault",
            "costlens-cache",
            "costlens-aws",
            "costlens-objects",
            "costlens-egress",
            "costlens-edge",
            "costlens-identity",
            "costlens-bill",
            "costlens-imports",
            "costlens-insight",
            "costlens-proxy",
            "costlens-notify",
            "costlens-api",
            "costlens-workers",
            "costlens-openapi",
        ],
    ),
    ("costlens-tests", 6, &["costlens-proxy", "costlens-identity"]),
    (
        "costlens-benches",
        6,
        &["costlens-domain", "costlens-store", "costlens-queue", "costlens-egress", "costlens-edge"],
    ),
    ("costlens-bench-bill", 6, &["costlens-bill"]),
];

/// Heavy or dangerous dependencies, and the packages that alone may name them. What only tests and benches use may
/// stand among anybody's dev-dependencies.
const JAILS: &[(&str, &[&str])] = &[
    ("aes-gcm", &["costlens-vault"]),
    ("apalis", &["costlens-queue"]),
    ("aws-config", &["costlens-aws"]),
    ("aws-sdk-kms", &["costlens-aws"]),
    ("aws-sdk-s3", &["costlens-aws"]),
    ("aws-sdk-sts", &["costlens-aws"]),
    ("aws-smithy-http-client", &["costlens-aws"]),
    ("apalis-core", &["costlens-queue"]),
    ("bcrypt", &["costlens-identity"]),
    ("chrono-tz", &["costlens-queue", "costlens-domain"]),
    ("clap", &["costlens", "costlens-openapi", "costlens-bench-bill"]),
    ("cargo_metadata", &["costlens-tests"]),
    ("croner", &["costlens-queue"]),
    ("csv", &["costlens-imports"]),
    ("datafusion", &["costlens-bill", "costlens-bench-bill"]),
    ("diesel", &["costlens-store", "costlens-queue"]),
    ("diesel-async", &["costlens-store", "costlens-queue"]),
    ("diesel_migrations", &["costlens-store", "costlens-queue"]),
    ("getrandom", &["costlens-vault"]),
    ("hickory-resolver", &["costlens-egress"]),
    ("hmac", &["costlens-vault", "costlens-cache"]),
    ("hyper", &["costlens-edge", "costlens-egress", "costlens-proxy", "costlens-tests", "costlens-benches"]),
    ("hyper-rustls", &["costlens-egress"]),
    ("hyper-util", &["costlens-edge", "costlens-egress", "costlens-tests", "costlens-benches"]),
    ("indicatif", &["costlens"]),
    ("lettre", &["costlens-notify"]),
    ("mimalloc", &["costlens", "costlens-bench-bill"]),
    ("object_store", &["costlens-objects"]),
    ("poem", &["costlens-edge", "costlens-proxy", "costlens-api", "costlens", "costlens-benches"]),
    ("poem-openapi", &["costlens-api"]),
    ("prost", &["costlens-imports"]),
    ("psl", &["costlens-identity"]),
    ("qrcode", &["costlens-identity"]),
    ("redis", &["costlens-cache"]),
    ("ring", &["costlens-identity"]),
    ("rust-embed", &["costlens-api"]),
    ("rustix", &["costlens-store", "costlens-proxy", "costlens"]),
    ("rustls", &["costlens-egress", "costlens-cache"]),
    ("rustls-native-certs", &["costlens-egress"]),
    ("sha2", &["costlens-vault", "costlens-cache", "costlens-objects"]),
    ("standardwebhooks", &["costlens-notify"]),
    ("subtle", &["costlens-vault", "costlens-identity"]),
    ("tera", &["costlens-notify"]),
    ("totp-rs", &["costlens-identity"]),
    ("tracing-subscriber", &["costlens"]),
];

/// Other ways to the same ends, which nobody takes.
const UNWANTED: &[&str] = &[
    "reqwest",
    "ureq",
    "curl",
    "sqlx",
    "tokio-postgres",
    "openssl",
    "native-tls",
    "axum",
    "actix-web",
    "arrow",
    "parquet",
];

/// All that the vocabulary may stand on: nothing that does I/O, knows a clock or runs tasks.
const DOMAIN: &[&str] =
    &["chrono", "chrono-tz", "rust_decimal", "serde", "serde_json", "strsim", "thiserror", "uuid"];

fn workspace() -> Metadata {
    let manifest = place::repository().join("Cargo.toml");
    let offline = vec!["--offline".to_owned()];
    MetadataCommand::new().manifest_path(manifest).no_deps().other_options(offline).exec().unwrap()
}

/// The names of a package's dependencies, without what only its tests use.
fn dependencies(package: &Package) -> BTreeSet<String> {
    let lasting =
        package.dependencies.iter().filter(|dependency| dependency.kind != DependencyKind::Development);
    lasting.map(|dependency| dependency.name.clone()).collect()
}

fn is_ours(name: &str) -> bool {
    name == "costlens" || name.starts_with("costlens-")
}

#[test]
fn every_package_has_its_row_and_arrows_point_down_only() {
    let workspace = workspace();
    let found: BTreeSet<String> = workspace.packages.iter().map(|package| package.name.to_string()).collect();
    let drawn: BTreeSet<String> = ARROWS.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(found, drawn, "give a new package a row in ARROWS, and take a gone one out");
    let level = |name: &str| ARROWS.iter().find(|(row, ..)| *row == name).unwrap().1;
    for package in &workspace.packages {
        let (name, own, allowed) = ARROWS.iter().find(|(row, ..)| *row == package.name.as_str()).unwrap();
        for to in dependencies(package).iter().filter(|to| is_ours(to)) {
            assert!(allowed.contains(&to.as_str()), "{name} must not depend on {to} (see ARCHITECTURE.md)");
            assert!(
                level(to) < *own,
                "{name} (level {own}) names {to} (level {}): arrows point down",
                level(to)
            );
        }
        // Tests of one crate do not reach into its neighbours or upwards either; its own features they may turn on.
        for dependency in package.dependencies.iter().filter(|to| is_ours(&to.name) && to.name != *name) {
            assert!(
                level(&dependency.name) < *own,
                "{name} depends on {}, if only in its tests",
                dependency.name
            );
        }
    }
}

#[test]
fn each_heavy_dependency_is_named_by_its_own_crate_alone() {
    let workspace = workspace();
    for package in &workspace.packages {
        let name = package.name.as_str();
        let named = dependencies(package);
        for (jailed, allowed) in JAILS {
            assert!(
                !named.contains(*jailed) || allowed.contains(&name),
                "{name} must not name {jailed}: {} does that (see ARCHITECTURE.md)",
                allowed.join(", ")
            );
        }
        for unwanted in UNWANTED {
            assert!(
                !named.contains(*unwanted),
                "{name} names {unwanted}, for which the workspace has another way"
            );
        }
    }
    // A jail around nothing tells the reader something that is not so.
    let all: BTreeSet<String> = workspace.packages.iter().flat_map(dependencies).collect();
    for (jailed, _) in JAILS {
        assert!(all.contains(*jailed), "nobody names {jailed} any more: take its row out of JAILS");
    }
}

#[test]
fn the_contracts_command_line_is_optional() {
    let workspace = workspace();
    let openapi =
        workspace.packages.iter().find(|package| package.name.as_str() == "costlens-openapi").unwrap();
    let clap = openapi.dependencies.iter().find(|dependency| dependency.name == "clap").unwrap();
    assert!(clap.optional, "only the binary takes the contract's version from a command line");
}

#[test]
fn the_vocabulary_does_no_io_and_reads_no_clock() {
    let workspace = workspace();
    let domain =
        workspace.packages.iter().find(|package| package.name.as_str() == "costlens-domain").unwrap();
    let strangers: Vec<_> =
        dependencies(domain).into_iter().filter(|name| !DOMAIN.contains(&name.as_str())).collect();
    assert!(strangers.is_empty(), "costlens-domain stands on {strangers:?}: is that paper only?");
    for (path, text) in sources("crates/domain/src") {
        for word in
            ["std::fs", "std::net", "std::process", "std::env::var", "std::thread", "Utc::now(", "SystemTime"]
        {
            assert!(!text.contains(word), "{} names {word}", path.display());
        }
    }
}

#[test]
fn the_proxy_knows_its_web_framework_in_one_file() {
    for (path, text) in sources("crates/proxy/src") {
        let named = text.lines().any(|line| line.contains("poem::") && !line.trim_start().starts_with("//"));
        assert!(!named || path.ends_with("src/http.rs"), "{} names poem", path.display());
    }
}

#[test]
fn every_package_inherits_the_workspaces_lints() {
    for package in workspace().packages {
        let manifest = std::fs::read_to_string(&package.manifest_path).unwrap();
        assert!(
            manifest.contains("[lints]\nworkspace = true"),
            "{} has lints of its own",
            package.manifest_path
        );
    }
}

/// The product's source files below a folder; tests are not the product.
fn sources(below: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![place::repository().join(below)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                if path.file_name().is_some_and(|name| name != "tests") {
                    folders.push(path);
                }
            } else if is_source(&path) {
                let text = std::fs::read_to_string(&path).unwrap();
                let product = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
                found.push((path, product));
            }
        }
    }
    assert!(found.len() > 5, "{below} holds hardly any source");
    found
}

fn is_source(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs")
}
