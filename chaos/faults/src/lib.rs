//! Faults as plain values: what is broken, where, when and for how long; and the conductor that carries a plan out.
//!
//! In: a plan from a scenario, hands on the nodes and links of a run ([`Nodes`](nodes::Nodes)), moments and counts of the load. Out: for
//! each fault whether it fired, what witnessed it, when it was healed. Elsewhere: how a fault is typed (`harness/scenario`), how a node is
//! killed (`harness/environment`), what a fault did to the bank (`harness/check`).
//!
//! | to read first | what it is |
//! |---|---|
//! | [`plan`] | a fault as a value |
//! | [`catalogue`] | what can be done, one file each |
//! | [`nodes`] | what an environment must offer |
//! | [`rule`] | what a proxy does to what passes it |
//! | [`conductor`] | strikes, witnesses, heals |

pub mod catalogue;
pub mod conductor;
pub mod nodes;
pub mod plan;
pub mod rule;
