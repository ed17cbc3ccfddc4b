//! A resolved sweep as it is typed.
//!
//! In: a [`Sweep`]. Out: the file's. Elsewhere: reading it again (`resolve/sweep`).

use crate::file;
use crate::resolved::{Sweep, WorkerMode};
use crate::units::DurationText;

pub(super) fn sweep_of(sweep: &Sweep) -> file::Sweep {
    let number = |count: u64| Some(i64::try_from(count).expect("resolved counts fit"));
    let mode = |mode: &WorkerMode| match mode {
        WorkerMode::Serial => file::WorkerMode::Serial,
        WorkerMode::Slots => file::WorkerMode::Slots,
        WorkerMode::Keyed => file::WorkerMode::Keyed,
        WorkerMode::KeyedBatched => file::WorkerMode::KeyedBatched,
    };
    let anchor =
        |(partitions, workers): (u32, u32)| file::Anchor { partitions: partitions.into(), workers: workers.into() };
    file::Sweep {
        mode: Some(file::SweepMode::Drain),
        partitions: sweep.partitions.iter().copied().map(i64::from).collect(),
        workers: sweep.workers.iter().copied().map(i64::from).collect(),
        worker_mode: Some(sweep.worker_modes.iter().map(mode).collect()),
        sync_cost: Some(sweep.sync_costs.iter().copied().map(DurationText).collect()),
        events: number(sweep.events),
        free_events: number(sweep.free_events),
        lasts: Some(DurationText(sweep.lasts)),
        budget: Some(DurationText(sweep.budget)),
        repeats: Some(sweep.repeats.into()),
        anchor: sweep.anchor.map(anchor),
    }
}
