//! Finds the console's built files; without them, a page that says how to build them stands in.

use std::path::{Path, PathBuf};

fn main() {
    #[expect(
        clippy::disallowed_methods,
        reason = "a build script is told its directories by the environment"
    )]
    let var = |name: &str| std::env::var_os(name).map(PathBuf::from).unwrap_or_default();
    let built = var("CARGO_MANIFEST_DIR").join("../console/dist");
    println!("cargo::rerun-if-changed={}", built.display());
    let dist = if built.join("index.html").is_file() { built } else { stand_in(&var("OUT_DIR")) };
    println!("cargo::rustc-env=CONSOLE_DIST={}", dist.display());
}

fn stand_in(out: &Path) -> PathBuf {
    let dir = out.join("no-console");
    let page = "<!doctype html><meta charset=utf-8><title>Costlens</title>\
        <p>This binary was built without its console. Build it with <code>npm ci && npm run build</code> in \
        <code>console/</code>, then build the binary again.</p>";
    let written = std::fs::create_dir_all(&dir).and_then(|()| std::fs::write(dir.join("index.html"), page));
    if let Err(error) = written {
        println!("cargo::error=the stand-in for the console cannot be written: {error}");
    }
    dir
}
