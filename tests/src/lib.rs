//! The product from outside: harness, actors, fakes, coverage.
