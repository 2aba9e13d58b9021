//! Compiles the crate again when a migration is added: the embedding macro alone does not see new directories.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations");
}
