//! What a start in production needs.

use costlens_tests::app::shared;

#[test]
fn production_names_everything_that_is_missing_at_once() {
    // The shared server's settings name no database, no key and no public address, but the vendors' addresses.
    let refused = shared().failing_command(&["run", "--environment", "production"]);
    for setting in ["DATABASE_URL", "COSTLENS_MASTER_KEY", "COSTLENS_PUBLIC_URL", "COSTLENS_PROVIDER_URLS"] {
        assert!(refused.contains(&format!("{setting} is")), "{setting} is not named: {refused}");
    }
    for plain in ["http://costlens.example.com", "costlens.example.com", "http://localhost:8080"] {
        let refused =
            shared().failing_command(&["run", "--environment", "production", "--public-url", plain]);
        assert!(refused.contains("COSTLENS_PUBLIC_URL is not an https address"), "{plain}: {refused}");
    }
}
