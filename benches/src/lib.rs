//! Ratios against a floor measured in the same run.
//!
//! A machine's speed is nobody's promise, so no bench here judges a time: it runs the least that could do the same
//! work beside the product, on the same machine in the same minute, and judges the ratio.

pub mod process;
pub mod ratio;
