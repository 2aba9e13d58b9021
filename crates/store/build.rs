//! Compiles the crate again when a migration is added: the embedding macro alone does not see new directories.
#![expect(clippy::print_stdout, reason = "cargo reads what a build script prints")]

fn main() {
    println!("cargo:rerun-if-changed=../../migrations");
}
