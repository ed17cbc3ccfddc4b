//! A plan's protections as the services' settings.
//!
//! In: words of a plan. Out: arms of core and of a channel. Elsewhere: what each arm does (the services' `config`).

use bankstorm_channel::{self as channel, ChannelConfig};
use bankstorm_core::config::{self as core, Protections};

use crate::plan::{self, Topology};

pub(super) const fn of_core(topology: &Topology) -> Protections {
    let plan::Protections { key, binding, deadline_check, fence, account_lock, lock_order, voiding, .. } =
        topology.protections;
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
        outbox: core::Outbox::InTheBooking,
        relay_scan: core::RelayScan::UnsentRows,
        record_key: core::RecordKey::Account,
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
        ..config
    }
}
