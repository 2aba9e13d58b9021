//! What production does not start without.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use costlens_tests::place;

const KEY: &str = "8f1d0c6b7a5e4932f0e1d2c3b4a5968778695a4b3c2d1e0f9a8b7c6d5e4f3a2b";

/// Runs the binary with these settings alone, in an empty directory; it must give up by itself and waits for nothing.
fn refused(settings: &[(&str, &str)]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let Output { status, stderr, .. } = Command::new(place::binary())
        .arg("run")
        .env_clear()
        .envs([
            ("HOME", dir.path().to_str().unwrap()),
            ("PATH", "/usr/bin:/bin"),
            ("COSTLENS_ENV", "production"),
        ])
        .env("COSTLENS_LISTEN", "127.0.0.1:0")
        .envs(settings.iter().copied())
        .output()
        .unwrap();
    assert!(begun.elapsed() < Duration::from_mins(1), "{:?}", begun.elapsed());
    assert!(!status.success());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "something was made");
    String::from_utf8(stderr).unwrap()
}

#[test]
fn production_names_all_that_it_misses_at_once() {
    let said = refused(&[]);
    for name in ["DATABASE_URL", "REDIS_URL", "COSTLENS_MASTER_KEY", "COSTLENS_PUBLIC_URL"] {
        assert!(said.contains(name), "{name} is not named: {said}");
    }
    // Each alone, and set to nothing.
    let all = [
        ("DATABASE_URL", "postgres://costlens_runtime:kq3v9x@127.0.0.1:9/costlens"),
        ("REDIS_URL", "redis://:kq3v9x@127.0.0.1:9/0"),
        ("COSTLENS_MASTER_KEY", KEY),
        ("COSTLENS_PUBLIC_URL", "https://costlens.test"),
    ];
    for (name, _) in all {
        let without: Vec<_> =
            all.iter().copied().map(|(n, v)| (n, if n == name { " " } else { v })).collect();
        let said = refused(&without);
        for (other, _) in all {
            assert_eq!(
                said.contains(&format!("{other} is")) || said.contains(&format!("{other})")),
                other == name,
                "without {name}: {said}"
            );
        }
    }
}

#[test]
fn weak_keys_and_known_passwords_are_refused_and_not_shown() {
    let zeros = "00".repeat(32);
    for key in [zeros.as_str(), "0123456789abcdef0123456789abcdef", "aHVudGVyMg==", &"a1b2".repeat(16)] {
        let said = refused(&[("COSTLENS_MASTER_KEY", key)]);
        assert!(said.contains("COSTLENS_MASTER_KEY"), "{said}");
        assert!(!said.contains("production keeps no key file") && !said.contains(key), "{said}");
    }
    let said = refused(&[
        ("COSTLENS_MASTER_KEY", KEY),
        ("COSTLENS_MASTER_KEY_PREVIOUS", &zeros),
        ("DATABASE_URL", "postgres://postgres:postgres@127.0.0.1:9/costlens"),
        ("REDIS_URL", "rediss://:changeme@127.0.0.1:9/0"),
        ("COSTLENS_PUBLIC_URL", "http://costlens.test"),
    ]);
    for wrong in [
        "COSTLENS_MASTER_KEY_PREVIOUS: the master key is a placeholder",
        "DATABASE_URL has a password that everybody knows",
        "REDIS_URL has a password that everybody knows",
        "COSTLENS_PUBLIC_URL is not an https address",
    ] {
        assert!(said.contains(wrong), "{wrong}: {said}");
    }
    assert!(!said.contains("changeme") && !said.contains("postgres:postgres"), "{said}");
    let listed = format!("v2:{KEY},v1:{}", "ab".repeat(31));
    let said = refused(&[("COSTLENS_MASTER_KEYS", &listed)]);
    assert!(
        said.contains("COSTLENS_MASTER_KEYS: the master key must be 32 bytes") && !said.contains(KEY),
        "{said}"
    );
    let said = refused(&[("REDIS_URL", "rediss://:kq3v9x@host/#insecure")]);
    assert!(said.contains("TLS without checking the certificate") && !said.contains("kq3v9x"), "{said}");
}
