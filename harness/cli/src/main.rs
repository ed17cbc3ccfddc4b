//! The bankstorm binary.
fn main() {}
