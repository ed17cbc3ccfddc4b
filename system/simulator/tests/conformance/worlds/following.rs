//! Races on the way from core's books to the copies and their pages (R9-R18, R21), each provoked in the order that hurts and, where there is
//! one, in the other.
//!
//! In: one small plan, changed for each race. Out: a trial each, as of `races`. Elsewhere: races about transfers (`races`), the checks that
//! judge each world (`check`).

use bankstorm_simulator::plan::{Action, Kind, Operation, Plan, Trigger, WorkerMode};
use libtest_mimic::Trial;

use super::races::{Race, at, nth, of};

pub(crate) fn trials() -> Vec<Trial> {
    of("following", RACES)
}

/// Deposits into the second account, at these times, and nothing else.
fn deposits(plan: &mut Plan, times: &[u64]) {
    plan.topology.channels = 1;
    plan.operations = Vec::new();
    times.iter().for_each(|at_ms| {
        operation(plan, *at_ms, Action::Deposit { won: 5, patience_ms: 8_000, retries: 3, again: None })
    });
}

/// Something about the second account.
fn operation(plan: &mut Plan, at_ms: u64, action: Action) {
    let op = plan.operations.len() as u64;
    plan.operations.push(Operation { op, at_ms, account: 1, action });
}

fn poison(plan: &mut Plan, lasts_ms: u64) {
    at(plan, Kind::AccountRefused, "postgres-channel", (0, lasts_ms), 1);
}

const ENTRIES: &str = "channel-0>core:entries";
const HISTORY: &str = "customers>channel-0:history";

const RACES: &[Race] = &[
    Race {
        name: "a3_r9_core_that_dies_between_commit_and_publishing_publishes_later",
        plan: |plan| {
            at(plan, Kind::LinkCut, "core>kafka", (0, 3_000), 2);
            at(plan, Kind::NodeKill, "core", (1_500, 500), 0);
        },
        fires: &["world-killed-before-publishing"],
        silent: &[],
        ok: Some(1),
    },
    Race {
        name: "a9_error_that_passes_leaves_no_letter",
        plan: |plan| {
            deposits(plan, &[100]);
            nth(plan, Kind::StepRefused, "postgres-channel", 0);
            plan.faults[0].amount = 3;
        },
        fires: &["channel-append"],
        silent: &["channel-parked"],
        ok: None,
    },
    Race {
        name: "a9_account_that_is_refused_for_good_is_parked_and_others_go_on",
        plan: |plan| {
            deposits(plan, &[100]);
            poison(plan, 25_000);
            plan.operations.extend((1..20).map(|op| Operation {
                op,
                at_ms: 200 + op * 100,
                account: 0,
                action: Action::Deposit { won: 5, patience_ms: 8_000, retries: 3, again: None },
            }));
        },
        fires: &["channel-parked", "channel-append"],
        silent: &["channel_outage_retries_total"],
        ok: None,
    },
    Race {
        name: "a13_account_stays_in_order_while_consumers_come_and_go",
        plan: |plan| {
            let times: Vec<_> = (1..200).map(|step| step * 100).collect();
            deposits(plan, &times);
            (plan.topology.channels, plan.topology.partitions) = (3, 3);
            plan.topology.sync_cost_ms = 20;
            for (nth, at_ms) in (2_000..18_000).step_by(4_000).enumerate() {
                let channel = ["channel-0", "channel-1", "channel-2"][nth % 3];
                at(plan, Kind::NodeKill, channel, (at_ms, 2_000), 0);
            }
        },
        fires: &["channel-append", "channel-duplicate-dropped"],
        silent: &["channel_gaps_total"],
        ok: None,
    },
    Race {
        name: "a15_one_deposit_each_at_once_is_worked_off_by_many_hands",
        plan: |plan| {
            plan.topology.accounts = 300;
            plan.topology.channels = 1;
            plan.topology.worker_mode = WorkerMode::Slots;
            (plan.topology.workers, plan.topology.partitions, plan.topology.sync_cost_ms) = (100, 10, 100);
            plan.operations = (0..300)
                .map(|op| Operation {
                    op,
                    at_ms: 100 + op,
                    account: u32::try_from(op).expect("accounts are few"),
                    action: Action::Deposit { won: 5, patience_ms: 8_000, retries: 3, again: None },
                })
                .collect();
        },
        fires: &["channel-append", "channel-batch"],
        silent: &["channel_gaps_total"],
        ok: None,
    },
    Race {
        name: "r10_row_that_is_committed_late_is_published_all_the_same",
        plan: |plan| {
            plan.topology.accounts = 3;
            nth(plan, Kind::CommitStalled, "postgres-core", 1_500);
            let action = Action::Deposit { won: 5, patience_ms: 8_000, retries: 0, again: None };
            plan.operations.push(Operation { op: 1, at_ms: 500, account: 2, action });
        },
        fires: &["world-late-committer"],
        silent: &["channel_gaps_total"],
        ok: Some(1),
    },
    Race {
        name: "d43_r11_lost_tail_is_found_by_the_sweep",
        plan: |plan| {
            deposits(plan, &[100]);
            nth(plan, Kind::RecordLost, "kafka", 0);
        },
        fires: &["world-tail-lost", "channel-sweep-healed"],
        silent: &["channel_gaps_total"],
        ok: None,
    },
    Race {
        name: "a10_r11_lost_record_with_a_successor_is_a_gap",
        plan: |plan| {
            deposits(plan, &[100, 900]);
            nth(plan, Kind::RecordLost, "kafka", 0);
        },
        fires: &["channel-gap-filled"],
        silent: &["world-tail-lost", "channel-sweep-healed"],
        ok: None,
    },
    Race {
        name: "d34_r12_two_fill_one_gap_and_it_is_filled_once",
        plan: |plan| {
            deposits(plan, &[100, 500]);
            nth(plan, Kind::RecordLost, "kafka", 0);
            nth(plan, Kind::AnswerHeld, ENTRIES, 2_000);
            operation(plan, 1_200, Action::Sync { channel: 0 });
        },
        fires: &["channel-cas-lost", "world-synced-by-hand"],
        silent: &[],
        ok: None,
    },
    Race {
        name: "a16_r13_answer_to_the_button_that_events_have_overtaken_changes_nothing",
        plan: |plan| {
            deposits(plan, &[100]);
            at(plan, Kind::FetchStalled, "channel-0", (0, 1_000), 0);
            operation(plan, 400, Action::Sync { channel: 0 });
            nth(plan, Kind::AnswerHeld, ENTRIES, 1_500);
        },
        fires: &["channel-sync-overtaken"],
        silent: &[],
        ok: None,
    },
    Race {
        name: "a16_r13_event_that_the_button_has_overtaken_is_dropped",
        plan: |plan| {
            deposits(plan, &[100]);
            at(plan, Kind::FetchStalled, "channel-0", (0, 1_000), 0);
            operation(plan, 400, Action::Sync { channel: 0 });
        },
        fires: &["world-synced-by-hand", "channel-duplicate-dropped"],
        silent: &["channel-sync-overtaken"],
        ok: None,
    },
    Race {
        name: "a12_read_of_a_pending_transfer_asks_core",
        plan: |plan| {
            plan.topology.channels = 1;
            nth(plan, Kind::AnswerDropped, "channel-0>core:transfer", 0);
            at(plan, Kind::FetchStalled, "channel-0", (0, 2_500), 0);
            if let Some(pay) = plan.operations[0].action.payment_mut() {
                pay.looks = 2;
            }
        },
        fires: &["channel-read-synced"],
        silent: &["core-tombstone"],
        ok: Some(1),
    },
    Race {
        name: "d16_r14_work_that_ends_after_its_partition_is_lost_moves_no_offset",
        plan: |plan| {
            deposits(plan, &[100]);
            plan.topology.channels = 2;
            plan.topology.sync_cost_ms = 1_500;
            at(plan, Kind::Rebalance, "kafka", (800, 0), 0);
        },
        fires: &["channel-late-completion"],
        silent: &[],
        ok: None,
    },
    Race {
        name: "d36_r15_consumer_that_was_frozen_past_its_session_is_fenced",
        plan: |plan| {
            deposits(plan, &[100]);
            plan.topology.channels = 2;
            plan.topology.sync_cost_ms = 1_500;
            at(plan, Kind::NodePause, "channel-0", (800, 6_000), 0);
            at(plan, Kind::NodePause, "channel-1", (8_000, 10), 0);
        },
        fires: &["channel-fenced"],
        silent: &[],
        ok: None,
    },
    Race {
        name: "d2_r16_letter_that_is_overtaken_closes_itself",
        plan: |plan| {
            deposits(plan, &[100, 3_500]);
            poison(plan, 3_000);
            plan.topology.following.redrive_most = 0;
        },
        fires: &["channel-parked", "channel-letter-overtaken"],
        silent: &["channel-letter-redriven"],
        ok: None,
    },
    Race {
        name: "d2_r16_letter_that_nothing_overtakes_is_driven_again",
        plan: |plan| {
            deposits(plan, &[100]);
            poison(plan, 1_000);
            plan.topology.following.redrive_every_ms = 1_500;
            plan.topology.following.sweep_every_ms = 20_000;
        },
        fires: &["channel-parked", "channel-letter-redriven"],
        silent: &[],
        ok: None,
    },
    Race {
        name: "r17_channel_that_dies_between_letter_and_offset_parks_twice",
        plan: |plan| {
            deposits(plan, &[100]);
            poison(plan, 10_000);
            plan.topology.commit_every_ms = 2_000;
            at(plan, Kind::NodeKill, "channel-0", (600, 300), 0);
        },
        fires: &["channel-parked", "world-parked-twice"],
        silent: &[],
        ok: None,
    },
    Race {
        name: "d35_r18_record_whose_acknowledgement_was_lost_lies_there_twice_and_counts_once",
        plan: |plan| {
            deposits(plan, &[100]);
            nth(plan, Kind::ProduceUnanswered, "kafka", 0);
        },
        fires: &["core-relay-restarted", "world-published-twice", "channel-duplicate-dropped"],
        silent: &["channel_gaps_total"],
        ok: None,
    },
    Race {
        name: "d35_r18_record_that_was_refused_lies_there_once",
        plan: |plan| {
            deposits(plan, &[100]);
            nth(plan, Kind::ProduceRefused, "kafka", 0);
        },
        fires: &["core-relay-restarted"],
        silent: &["world-published-twice"],
        ok: None,
    },
    Race {
        name: "a1_r21_scroll_goes_on_below_rows_that_landed_meanwhile",
        plan: |plan| {
            deposits(plan, &[100, 120, 140, 900, 950]);
            operation(plan, 500, Action::Scroll { channel: 0, pages: 4, limit: 1 });
            nth(plan, Kind::AnswerHeld, HISTORY, 800);
        },
        fires: &["world-scroll-met-new-rows"],
        silent: &["channel_gaps_total"],
        ok: None,
    },
    Race {
        name: "a11_r21_scroll_goes_on_below_a_gap_that_was_filled_meanwhile",
        plan: |plan| {
            deposits(plan, &[100, 900, 1_000]);
            operation(plan, 500, Action::Scroll { channel: 0, pages: 4, limit: 1 });
            nth(plan, Kind::AnswerHeld, HISTORY, 1_200);
            let lost = plan.faults.len();
            nth(plan, Kind::RecordLost, "kafka", 0);
            plan.faults[lost].trigger = Trigger::Nth(2);
        },
        fires: &["world-scroll-met-new-rows", "channel-gap-filled"],
        silent: &[],
        ok: None,
    },
];
