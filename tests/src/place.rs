//! Where things are: the repository, the binary under test, the SDKs.

use std::path::{Path, PathBuf};

/// The repository's root.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The binary under test: `COSTLENS_BIN`, or the one that was built beside this test.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the harness alone is told by the environment what to test")]
pub fn binary() -> PathBuf {
    let binary = if let Some(named) = std::env::var_os("COSTLENS_BIN") {
        PathBuf::from(named)
    } else {
        let this = std::env::current_exe().unwrap();
        let profile = this.ancestors().find(|dir| !dir.ends_with("deps") && dir.is_dir()).unwrap();
        profile.join("costlens")
    };
    assert!(binary.is_file(), "{} is not there: run `cargo build -p costlens` first", binary.display());
    binary
}

/// A number that whoever starts the tests may raise, e.g. the rounds of the crash test.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "the harness alone is told by the environment how long to test"
)]
pub fn number(variable: &str, otherwise: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} must be a number, not `{text}`")),
        Err(_) => otherwise,
    }
}
