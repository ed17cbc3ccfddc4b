//! Verdicts over a run's evidence: guarantees (did money and history stay right), validity (may the run be believed), objectives, and
//! the exit code that follows from them.
//!
//! In: sorted rows (`record::source::Source`) and plain figures ([`validity::Facts`]). Out: the verdict parts of `run.json`. Elsewhere:
//! how rows are collected (`evidence`), how verdicts are shown (`report`). No IO and no clock; nothing is sampled.
//!
//! A guarantee is one file with one [`Check`]. To add one: a file, its `mod` line, and one line in [`registered`].
//!
//! | to read first | what it is |
//! |---|---|
//! | [`check`] | the trait, and how findings are counted |
//! | [`following`] | what a run says of how its channel follows core |
//! | [`guarantees`] | runs all of them; the worst verdict wins |
//! | [`recover`] | what faults did: recovery times, and which part of the run an operation belongs to |
//! | [`validity`] | the figures that make a run believable, and their limits |

pub mod atomic;
pub mod check;
pub mod conserve;
pub mod converge;
pub mod core_cost;
pub mod dead_letters;
pub mod deadlock;
pub mod dense;
pub mod depth;
pub mod drain;
pub mod exit;
pub mod fail_absent;
pub mod fence;
pub mod floor;
pub mod following;
pub mod fresh;
pub mod guarantees;
pub mod manual_sync;
pub mod monotone;
pub mod no_dup;
pub mod no_garbage;
pub mod no_visible_hole;
pub mod nostro;
pub mod objectives;
pub mod offset_safe;
pub mod ok_booked;
pub mod once;
pub mod order;
pub mod overload;
pub mod ownership;
pub mod param_drift;
pub mod publish;
pub mod realtime;
pub mod recover;
pub mod released;
pub mod resolved;
pub mod sane_harness;
pub mod scroll;
pub mod spared;
pub mod validity;
pub mod verdict;
pub mod witnessed;

mod applied;
mod ordered;
mod told;

#[cfg(test)]
mod bank;
#[cfg(test)]
mod mutations;
#[cfg(test)]
mod tampering;

pub use check::{Check, Context, Leap, Subject};
pub use following::{Cursor, Following, History, ReadSync};

/// Every guarantee, in the order of reports.
fn registered() -> Vec<Box<dyn Check>> {
    vec![
        Box::new(conserve::Conserve),
        Box::new(floor::Floor),
        Box::new(dense::Dense),
        Box::new(atomic::Atomic),
        Box::new(realtime::Realtime),
        Box::new(nostro::Nostro),
        Box::new(once::Once),
        Box::new(ok_booked::OkBooked),
        Box::new(fail_absent::FailAbsent),
        Box::new(verdict::VerdictLattice),
        Box::new(resolved::Resolved),
        Box::new(fence::Fence),
        Box::new(param_drift::ParamDrift),
        Box::new(released::Released),
        Box::new(no_garbage::NoGarbage),
        Box::new(no_dup::NoDup),
        Box::new(no_visible_hole::NoVisibleHole),
        Box::new(monotone::Monotone),
        Box::new(converge::Converge),
        Box::new(fresh::Fresh),
        Box::new(scroll::Scroll),
        Box::new(manual_sync::ManualSync),
        Box::new(publish::Publish),
        Box::new(order::Order),
        Box::new(offset_safe::OffsetSafe),
        Box::new(dead_letters::DeadLetters),
        Box::new(ownership::Ownership),
        Box::new(spared::Spared),
        Box::new(deadlock::Deadlock),
    ]
}

/// What `bankstorm checks` lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explained {
    /// For example `L1`.
    pub id: &'static str,
    /// For example `conserve`.
    pub name: &'static str,
    /// What it says, in a sentence or two, with the names of its violations.
    pub explains: &'static str,
    /// Whether a failure makes the run not believable (V2, V3) rather than a guarantee violated.
    pub is_validity: bool,
}

/// Every check of this crate, guarantees first.
pub fn catalogue() -> Vec<Explained> {
    let mut all: Vec<Explained> = registered()
        .iter()
        .map(|check| Explained { id: check.id(), name: check.name(), explains: check.explains(), is_validity: false })
        .collect();
    for (id, name, explains) in [
        (witnessed::ID, witnessed::NAME, witnessed::EXPLAINS),
        (sane_harness::ID, sane_harness::NAME, sane_harness::EXPLAINS),
    ] {
        all.push(Explained { id, name, explains, is_validity: true });
    }
    all
}
