//! Conformance lists: what every implementation of a port must do, as cases that are generic over the port.
//!
//! In: a fresh store or log per case. Out: a panic that names what differed. Elsewhere: the two callers of each list, the real one in
//! `adapters/tests` and the model one in `simulator/tests`. Cases wait for events and never sleep.

pub mod channel_store;
pub mod core_store;
pub mod log;
pub mod script;
