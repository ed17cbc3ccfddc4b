//! A plan's topology as the services' settings.
//!
//! In: a topology. Out: settings of core, of a channel, of the other banks. Elsewhere: what they mean (the services' `config`).

mod protections;

use std::time::Duration;

use bankstorm_banks::BanksConfig;
use bankstorm_channel::{ChannelConfig, WorkerMode};
use bankstorm_core::CoreConfig;
use bankstorm_core::config::Deadline;

use crate::plan::{self, Terms, Topology};

/// The shortest delay of a late answer of the other banks.
const LATE_LEAST: Duration = Duration::from_millis(50);

/// How often core looks for holds that it left out, where it keeps few in mind: each look brings in a few.
const TIGHT_SCAN_MS: u64 = 1_000;

pub(super) fn core(topology: &Topology) -> CoreConfig {
    let tight = CoreConfig {
        admitted_max: 8,
        caller_max: 6,
        read_slots: 1,
        read_wait: Duration::from_millis(20),
        relay_ack_wait: Duration::from_secs(2),
        outbound_calls: 4,
        outbound_slots: 1,
        // Scans bring in what was left out, so there are many.
        outbound_known_max: 8,
        ..CoreConfig::default()
    };
    let terms = &topology.transfers;
    let outbound_scan_ms = if topology.tight_limits { TIGHT_SCAN_MS } else { terms.outbound_scan_ms };
    CoreConfig {
        posting_slots: topology.posting_slots as usize,
        batch_max: topology.batch_max as usize,
        relay_poll: Duration::from_millis(topology.relay_poll_ms),
        relay_rows_max: topology.relay_rows,
        deadline: match terms.deadline {
            plan::Deadline::Relative => Deadline::Relative,
            plan::Deadline::Absolute => Deadline::Absolute,
        },
        outbound_answer_wait: Duration::from_millis(terms.outbound_answer_ms),
        outbound_expiry: Duration::from_millis(terms.outbound_expiry_ms),
        outbound_scan: Duration::from_millis(outbound_scan_ms),
        protections: protections::of_core(topology),
        ..if topology.tight_limits { tight } else { CoreConfig::default() }
    }
}

pub(super) fn channel(topology: &Topology) -> ChannelConfig {
    let tight = ChannelConfig {
        drain_limit: Duration::from_millis(40),
        drain_commit: Duration::from_millis(20),
        commit_limit: Duration::from_millis(200),
        submits_max: 3,
        transfer_transactions: 1,
        poll_concurrency: 1,
        ..ChannelConfig::default()
    };
    let (terms, following) = (&topology.transfers, &topology.following);
    let config = ChannelConfig {
        worker_mode: match topology.worker_mode {
            plan::WorkerMode::Serial => WorkerMode::Serial,
            plan::WorkerMode::Slots => WorkerMode::Slots,
            plan::WorkerMode::Keyed => WorkerMode::Keyed,
            plan::WorkerMode::KeyedBatched => WorkerMode::KeyedBatched,
        },
        workers: topology.workers as usize,
        sync_cost: Duration::from_millis(topology.sync_cost_ms),
        transactions: topology.transactions as usize,
        batch_accounts: topology.batch_accounts as usize,
        span: i64::from(topology.span),
        commit_every: Duration::from_millis(topology.commit_every_ms),
        not_started: match terms.not_started {
            plan::NotStarted::Final => bankstorm_channel::NotStarted::Final,
            plan::NotStarted::Fenced => bankstorm_channel::NotStarted::Fenced,
        },
        call_limit: Duration::from_millis(terms.call_limit_ms),
        validity: Duration::from_millis(terms.validity_ms),
        poll_every: Duration::from_millis(terms.poll_every_ms),
        poll_retry_first: Duration::from_millis(terms.poll_retry_ms),
        read_budget: Duration::from_millis(following.read_budget_ms),
        core_pulls: following.core_pulls as usize,
        manual_every: Duration::from_millis(following.manual_every_ms),
        sweep_every: Duration::from_millis(following.sweep_every_ms),
        sweep_accounts: following.sweep_accounts,
        attempts: following.attempts,
        attempts_for: Duration::from_millis(following.attempts_for_ms),
        redrive_every: Duration::from_millis(following.redrive_every_ms),
        redrive_most: following.redrive_most,
        ..if topology.tight_limits { tight } else { ChannelConfig::default() }
    };
    protections::of_channel(topology, config)
}

pub(super) fn banks(terms: &Terms) -> BanksConfig {
    let temper = &terms.banks;
    BanksConfig {
        late_permille: temper.late_permille,
        never_permille: temper.never_permille,
        twice_permille: temper.twice_permille,
        refused_permille: temper.refused_permille,
        late_for: LATE_LEAST..=Duration::from_millis(temper.late_ms).max(LATE_LEAST),
        seed: temper.seed,
        ..BanksConfig::default()
    }
}
