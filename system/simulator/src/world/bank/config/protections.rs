//! A plan's protections as the services' settings.
//!
//! In: words of a plan. Out: arms of core and of a channel. Elsewhere: what each arm does (the services' `config`).

use bankstorm_channel::{self as channel, ChannelConfig};
use bankstorm_core::config::{self as core, Protections};

use crate::plan::{self, Topology};

pub(super) const fn of_core(topology: &Topology) -> Protections {
    let plan::Protections { key, binding, deadline_check, fence, account_lock, lock_order, voiding, .. } =
        topology.protections;
    let plan::Protections { outbox, relay_scan, record_key, .. } = topology.protections;
    Protections {
        key: match key {
            plan::KeyClaim::InTheBooking => core::KeyClaim::InTheBooking,
            plan::KeyClaim::None => core::KeyClaim::None,
            plan::KeyClaim::BeforeTheBooking => core::KeyClaim::BeforeTheBooking,
            plan::KeyClaim::AfterTheBooking => core::KeyClaim::AfterTheBooking,
        },
        binding: match binding {
            plan::Binding::ParamsHash => core::Binding::ParamsHash,
            plan::Binding::IdAlone => core::Binding::IdAlone,
        },
        deadline_check: match deadline_check {
            plan::DeadlineCheck::UnderTheLock => core::DeadlineCheck::UnderTheLock,
            plan::DeadlineCheck::AtArrival => core::DeadlineCheck::AtArrival,
            plan::DeadlineCheck::Never => core::DeadlineCheck::Never,
        },
        fence: match fence {
            plan::Fence::Tombstone => core::Fence::Tombstone,
            plan::Fence::PlainRead => core::Fence::PlainRead,
        },
        account_lock: match account_lock {
            plan::AccountLock::Row => core::AccountLock::Row,
            plan::AccountLock::None => core::AccountLock::None,
        },
        lock_order: match lock_order {
            plan::LockOrder::ByAccount => core::LockOrder::ByAccount,
            plan::LockOrder::PayerFirst => core::LockOrder::PayerFirst,
        },
        voiding: match voiding {
            plan::Voiding::DefiniteNo => core::Voiding::DefiniteNo,
            plan::Voiding::OnExpiry => core::Voiding::OnExpiry,
        },
        outbox: match outbox {
            plan::Outbox::InTheBooking => core::Outbox::InTheBooking,
            plan::Outbox::DirectProduce => core::Outbox::DirectProduce,
            plan::Outbox::ProduceBeforeCommit => core::Outbox::ProduceBeforeCommit,
        },
        relay_scan: match relay_scan {
            plan::RelayScan::UnsentRows => core::RelayScan::UnsentRows,
            plan::RelayScan::IdWatermark => core::RelayScan::IdWatermark,
        },
        record_key: match record_key {
            plan::RecordKey::Account => core::RecordKey::Account,
            plan::RecordKey::Random => core::RecordKey::Random,
        },
    }
}

pub(super) fn of_channel(topology: &Topology, config: ChannelConfig) -> ChannelConfig {
    let plan::Protections { polling, clock, settling, .. } = topology.protections;
    ChannelConfig {
        guard: match topology.transfers.guard {
            plan::Guard::User => channel::Guard::User,
            plan::Guard::Account => channel::Guard::Account,
            plan::Guard::None => channel::Guard::None,
            plan::Guard::CheckThenInsert => channel::Guard::CheckThenInsert,
        },
        polling: match polling {
            plan::Polling::On => channel::Polling::On,
            plan::Polling::Off => channel::Polling::Off,
        },
        clock: match clock {
            plan::DueClock::Database => channel::DueClock::Database,
            plan::DueClock::Process => channel::DueClock::Process,
        },
        settling: match settling {
            plan::Settling::OneTransaction => channel::Settling::OneTransaction,
            plan::Settling::Two => channel::Settling::Two,
        },
        ..of_copies(topology, config)
    }
}

/// What a topology says of the way from core to the copies. What mends a copy may be left out without its protection being off: then it is
/// not there, and nothing worse.
fn of_copies(topology: &Topology, config: ChannelConfig) -> ChannelConfig {
    let plan::Repair { fill, read_sync, manual_sync, sweep, redrive } = topology.repair;
    let protections = &topology.protections;
    ChannelConfig {
        gaps: match protections.gaps {
            plan::Gaps::Fill if fill => channel::Gaps::Fill,
            plan::Gaps::Fill => channel::Gaps::Wait,
            plan::Gaps::Ignore => channel::Gaps::Ignore,
        },
        read_sync: match (protections.read_sync, topology.following.read_sync) {
            (plan::ReadSync::On, plan::ReadSyncWhen::Pending) if read_sync => channel::ReadSync::Pending,
            (plan::ReadSync::On, plan::ReadSyncWhen::Suspect) if read_sync => channel::ReadSync::Suspect,
            (plan::ReadSync::On | plan::ReadSync::Off, _) => channel::ReadSync::Off,
        },
        manual_sync,
        sweeping: match protections.sweep {
            plan::Sweep::On if sweep => channel::Sweeping::On,
            plan::Sweep::On | plan::Sweep::Off => channel::Sweeping::Off,
        },
        redriving: if redrive { channel::Redriving::Automatic } else { channel::Redriving::OnCommand },
        applying: match protections.applying {
            plan::Applying::SeqConditional => channel::Applying::SeqConditional,
            plan::Applying::Unconditional => channel::Applying::Unconditional,
        },
        retrying: match protections.retrying {
            plan::Retrying::InPlace => channel::Retrying::InPlace,
            plan::Retrying::None => channel::Retrying::None,
        },
        dead_letters: match protections.dead_letters {
            plan::DeadLetters::Topic => channel::DeadLetters::Topic,
            plan::DeadLetters::Drop => channel::DeadLetters::Drop,
        },
        hole_marker: match protections.hole_marker {
            plan::HoleMarker::On => channel::HoleMarker::On,
            plan::HoleMarker::Off => channel::HoleMarker::Off,
        },
        offsets: match protections.offsets {
            plan::Offsets::LowWatermark => channel::Offsets::LowWatermark,
            plan::Offsets::OnPoll => channel::Offsets::OnPoll,
            plan::Offsets::HighestDone => channel::Offsets::HighestDone,
        },
        generation_fence: match protections.generation_fence {
            plan::GenerationFence::On => channel::GenerationFence::On,
            plan::GenerationFence::Off => channel::GenerationFence::Off,
        },
        sync_writes: match protections.sync_writes {
            plan::SyncWrites::CompareAndSet => channel::SyncWrites::CompareAndSet,
            plan::SyncWrites::Overwrite => channel::SyncWrites::Overwrite,
        },
        cursor: match protections.cursor {
            plan::Cursor::Keyset => channel::Cursor::Keyset,
            plan::Cursor::Offset => channel::Cursor::Offset,
        },
        slot_hash: match protections.slot_hash {
            plan::SlotHash::Independent => channel::SlotHash::Independent,
            plan::SlotHash::Partitioner => channel::SlotHash::Partitioner,
        },
        ..config
    }
}
