//! From a seed to a plan.
//!
//! In: a seed. Out: a [`Plan`]. Elsewhere: what the plan means (`plan`), carrying it out (`world`).

use crate::plan::Plan;

/// Draws a plan: the same for the same seed, on every machine.
pub fn draw(seed: u64) -> Plan {
    let _ = seed;
    todo_plan()
}

fn todo_plan() -> Plan {
    unreachable!("being written")
}
