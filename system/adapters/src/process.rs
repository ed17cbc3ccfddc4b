//! The process itself: tasks, stop signals, a clock, markers and counters, and the assemblies that `bankstorm serve` runs.

pub mod banks;
pub mod channel;
pub mod core;
pub mod registry;
pub mod scope;
pub mod wall;
