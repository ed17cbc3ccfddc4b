//! What may be typed (`file`) and what the rest may trust (`resolve`).
//!
//! In: a TOML file and `--set` overrides. Out: [`Scenario`], every value checked, every default filled in. Elsewhere: what is done with
//! it (`environment`, `customers`, `load`).

pub mod resolved;

pub use resolved::Scenario;
