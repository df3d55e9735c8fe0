//! Black-box scenarios and benchmarks: the real binaries against the sandbox.
//!
//! `tests/` holds the scenarios, `src/bin/bench` the benchmark, and `src/bin/bare.rs` the smallest program that
//! does a check's work, which is what the benchmark compares with.

pub mod build;
