//! Races about transfers (R1-R8, R20), each provoked in the order that hurts and in the other one (A2, A4-A8, D39).
//!
//! In: one small plan, changed for each race. Out: a trial each: the world holds under every stream, ends as said, and the markers of the
//! race fire. Elsewhere: what each fault does (the models), drawn worlds (`worlds`).

use std::collections::BTreeMap;

use bankstorm_simulator::plan::{self, Action, Fault, Kind, NotStarted, Operation, Payment, Plan, Trigger, Twice};
use bankstorm_simulator::world::{Options, run};
use libtest_mimic::{Failed, Trial};

use super::tiny::{payment, tiny};

/// Streams under which each race is run.
const STREAMS: u64 = 6;

/// What is done to the plan, what must fire, and what must not.
pub(super) struct Race {
    pub(super) name: &'static str,
    pub(super) plan: fn(&mut Plan),
    pub(super) fires: &'static [&'static str],
    pub(super) silent: &'static [&'static str],
    /// How many of its payments the channel holds to be completed in the end; nothing where either end is right.
    pub(super) ok: Option<u64>,
}

pub(crate) fn trials() -> Vec<Trial> {
    of("races", RACES)
}

pub(super) fn of(name: &str, races: &'static [Race]) -> Vec<Trial> {
    races.iter().map(|race| Trial::test(format!("worlds::{name}::{}", race.name), move || judge(race))).collect()
}

fn judge(race: &Race) -> Result<(), Failed> {
    let mut plan = tiny();
    (race.plan)(&mut plan);
    plan::check(&plan).map_err(|error| error.to_string())?;
    let mut fired: BTreeMap<&str, u64> = BTreeMap::new();
    for chance in 0..STREAMS {
        let outcome = run(&Plan { chance, ..plan.clone() }, &Options::default());
        if let Some(violation) = outcome.violations.first() {
            return Err(format!("stream {chance}: {violation:?}").into());
        }
        for marker in race.fires {
            let count = outcome.markers.get(marker).ok_or_else(|| format!("{marker} is not declared"))?;
            *fired.entry(marker).or_default() += u64::from(*count > 0);
        }
        if let Some(marker) =
            race.silent.iter().find(|marker| outcome.markers.get(*marker).is_none_or(|count| *count > 0))
        {
            return Err(format!("stream {chance}: {marker} fires").into());
        }
        // The world's own two deposits, transfer, and transfer abroad where there is one, come on top.
        let by =
            ["answer", "event", "gap-fill", "pull", "poller"].map(|who| format!("channel-transfer-settled-by-{who}"));
        let completed: u64 = by.iter().map(|marker| outcome.markers[marker.as_str()]).sum();
        let own = 1 + u64::from(plan.has_outbound());
        if race.ok.is_some_and(|ok| completed != ok + own) {
            return Err(
                format!("stream {chance}: {completed} payments completed, {own} of them the world's own").into()
            );
        }
    }
    // Who is first where nothing decides it hangs on the stream.
    match fired.iter().find(|(_, streams)| **streams < STREAMS / 2) {
        Some((marker, streams)) => Err(format!("{marker} fires under {streams} streams of {STREAMS}").into()),
        None => Ok(()),
    }
}

fn abroad(plan: &mut Plan) {
    plan.operations[0].action = Action::Outbound { pay: payment() };
}

fn pay(plan: &mut Plan) -> &mut Payment {
    plan.operations[0].action.payment_mut().expect("it pays")
}

pub(super) fn nth(plan: &mut Plan, kind: Kind, place: &str, lasts_ms: u64) {
    plan.faults.push(Fault { kind, place: place.to_owned(), trigger: Trigger::Nth(1), lasts_ms, amount: 0 });
}

pub(super) fn at(plan: &mut Plan, kind: Kind, place: &str, (at_ms, lasts_ms): (u64, u64), amount: i64) {
    let trigger = Trigger::AtMs(at_ms);
    plan.faults.push(Fault { kind, place: place.to_owned(), trigger, lasts_ms, amount });
}

const TO_CORE: &str = "channel-0>core:transfer";

const RACES: &[Race] = &[
    Race {
        name: "a4_lost_answer_is_settled_by_the_event",
        plan: |plan| {
            nth(plan, Kind::AnswerDropped, TO_CORE, 0);
            // The event comes after the customer has given the answer up, and before the poller asks.
            for channel in ["channel-0", "channel-1"] {
                at(plan, Kind::FetchStalled, channel, (0, 2_500), 0);
            }
        },
        fires: &["channel-transfer-unknown", "channel-transfer-settled-by-event", "world-unknown-then-completed"],
        silent: &["core-tombstone"],
        ok: Some(1),
    },
    Race {
        name: "a7_never_reached_is_failed_by_the_tombstone_and_the_next_one_goes_through",
        plan: |plan| {
            nth(plan, Kind::RequestDropped, TO_CORE, 0);
            let later = Operation { op: 1, at_ms: 9_000, ..plan.operations[0].clone() };
            plan.operations.push(later);
        },
        fires: &["core-tombstone", "channel-transfer-failed-by-tombstone"],
        silent: &["core-late-after-tombstone", "channel-transfer-guarded"],
        ok: Some(1),
    },
    Race {
        name: "a8_r1_late_request_meets_the_tombstone",
        plan: |plan| nth(plan, Kind::RequestHeld, TO_CORE, 6_000),
        fires: &["core-tombstone", "core-late-after-tombstone", "channel-transfer-failed-by-tombstone"],
        silent: &[],
        ok: Some(0),
    },
    Race {
        name: "a8_r1_late_request_that_comes_before_the_question_is_posted",
        plan: |plan| nth(plan, Kind::RequestHeld, TO_CORE, 1_500),
        fires: &["channel-transfer-unknown", "channel-transfer-settled-by-event"],
        silent: &["core-tombstone"],
        ok: Some(1),
    },
    Race {
        name: "r1_r2_commit_that_outlasts_its_validity_is_waited_for",
        plan: |plan| nth(plan, Kind::CommitStalled, "postgres-core", 6_000),
        fires: &["channel-transfer-unknown", "core-processing", "channel-poll-processing"],
        silent: &["core-tombstone", "core-expired"],
        ok: Some(1),
    },
    Race {
        name: "r3_validity_is_judged_after_the_row_was_waited_for",
        plan: |plan| {
            plan.topology.transfers.validity_ms = 400;
            at(plan, Kind::RowHeld, "postgres-core", (50, 900), 0);
        },
        fires: &["core-expired", "channel-transfer-rejected"],
        silent: &["core-tombstone"],
        ok: Some(0),
    },
    Race {
        name: "r3_row_that_is_free_in_time_is_no_reason",
        plan: |plan| at(plan, Kind::RowHeld, "postgres-core", (50, 500), 0),
        fires: &["channel-transfer-settled-by-answer"],
        silent: &["core-expired"],
        ok: Some(1),
    },
    Race {
        name: "r4_core_database_clock_that_is_set_changes_no_validity",
        plan: |plan| {
            at(plan, Kind::ClockStep, "postgres-core", (50, 0), 3_600_000);
            at(plan, Kind::RowHeld, "postgres-core", (60, 500), 0);
            at(plan, Kind::ClockStep, "postgres-core", (300, 0), -7_200_000);
        },
        fires: &["channel-transfer-settled-by-answer"],
        silent: &["core-expired"],
        ok: Some(1),
    },
    Race {
        name: "r5_commit_without_an_answer_that_happened_is_completed",
        plan: |plan| nth(plan, Kind::CommitUnanswered, "postgres-core", 0),
        fires: &["core-commit-unknown", "channel-transfer-unknown"],
        silent: &["core-tombstone"],
        ok: Some(1),
    },
    Race {
        name: "r5_commit_without_an_answer_that_never_happened_is_failed",
        plan: |plan| nth(plan, Kind::CommitLost, "postgres-core", 0),
        fires: &["core-commit-unknown", "core-tombstone", "channel-transfer-failed-by-tombstone"],
        silent: &[],
        ok: Some(0),
    },
    Race {
        name: "r6_refusal_whose_answer_is_lost_is_found_by_the_poller",
        plan: |plan| {
            pay(plan).won = 5_000;
            nth(plan, Kind::AnswerDropped, TO_CORE, 0);
        },
        fires: &["core-insufficient-funds", "channel-transfer-unknown", "channel-transfer-rejected"],
        silent: &["core-tombstone"],
        ok: Some(0),
    },
    Race {
        name: "a5_r7_two_devices_at_once_are_one_payment",
        plan: |plan| {
            let pay = pay(plan);
            (pay.again, pay.elsewhere) = (Some(Twice::Device(0)), Some(1));
        },
        fires: &["channel-transfer-guarded"],
        silent: &[],
        ok: Some(1),
    },
    Race {
        name: "a5_double_click_is_one_payment",
        plan: |plan| {
            let pay = pay(plan);
            (pay.again, pay.elsewhere) = (Some(Twice::Same(0)), Some(1));
        },
        fires: &["channel-transfer-replay"],
        silent: &["channel-transfer-guarded"],
        ok: Some(1),
    },
    Race {
        name: "r8_answer_after_the_event",
        plan: |plan| nth(plan, Kind::AnswerHeld, TO_CORE, 800),
        fires: &["channel-answer-after-event"],
        silent: &["channel-transfer-unknown"],
        ok: Some(1),
    },
    Race {
        name: "r8_event_after_the_answer",
        plan: |plan| {
            plan.topology.channels = 1;
            at(plan, Kind::FetchStalled, "channel-0", (0, 3_000), 0);
        },
        fires: &["channel-transfer-settled-by-answer", "channel-event-after-answer"],
        silent: &["channel-transfer-unknown"],
        ok: Some(1),
    },
    Race {
        name: "r8_event_after_the_poller",
        plan: |plan| {
            // One channel, so that its poller and its consumer are one process.
            plan.topology.channels = 1;
            nth(plan, Kind::AnswerDropped, TO_CORE, 0);
            at(plan, Kind::FetchStalled, "channel-0", (0, 15_000), 0);
        },
        fires: &["channel-transfer-settled-by-poller", "channel-event-after-poller"],
        silent: &[],
        ok: Some(1),
    },
    Race {
        name: "a2_r20_channel_that_dies_while_core_works_leaves_nothing_open",
        plan: |plan| {
            nth(plan, Kind::RequestHeld, TO_CORE, 900);
            at(plan, Kind::NodeKill, "channel-0", (500, 2_000), 0);
        },
        fires: &["world-killed-with-an-open-transfer"],
        silent: &["core-tombstone"],
        ok: Some(1),
    },
    Race {
        name: "a2_channel_that_dies_before_core_has_heard_leaves_nothing_open",
        plan: |plan| {
            nth(plan, Kind::RequestDropped, TO_CORE, 0);
            at(plan, Kind::NodeKill, "channel-0", (500, 9_000), 0);
        },
        fires: &["world-killed-with-an-open-transfer", "channel-transfer-failed-by-tombstone"],
        silent: &[],
        ok: Some(0),
    },
    Race {
        name: "not_started_beside_a_doubled_request_stays_open_until_it_is_fenced",
        plan: |plan| {
            plan.topology.transfers.not_started = NotStarted::Fenced;
            nth(plan, Kind::RequestDoubled, TO_CORE, 300);
            nth(plan, Kind::CommitFailed, "postgres-core", 0);
        },
        fires: &["core_transfers_not_started_total", "channel-transfer-settled-by-event"],
        silent: &["core-tombstone"],
        ok: Some(1),
    },
    Race {
        name: "d39_hold_that_expires_while_the_banks_are_frozen_is_kept_until_they_answer",
        plan: |plan| {
            abroad(plan);
            plan.topology.transfers.outbound_expiry_ms = 1_000;
            at(plan, Kind::NodePause, "banks", (0, 20_000), 0);
        },
        fires: &["core-hold-placed", "core-outbound-unanswered", "channel-poll-processing"],
        silent: &[],
        // Credit and cancel lie in the same socket.
        ok: None,
    },
    Race {
        name: "d39_cancel_that_comes_before_the_late_credit_gives_the_money_back",
        plan: |plan| {
            abroad(plan);
            plan.topology.transfers.outbound_expiry_ms = 1_000;
            nth(plan, Kind::RequestHeld, "core>banks:credit", 9_000);
            at(plan, Kind::LinkCut, "core>banks", (60, 2_000), 0);
        },
        fires: &["core-cancel-won", "core-hold-voided", "banks-credit-after-cancel-refused"],
        silent: &["core-cancel-met-credit"],
        ok: Some(0),
    },
    Race {
        name: "d39_cancel_that_meets_a_credit_books_it",
        plan: |plan| {
            abroad(plan);
            plan.topology.transfers.outbound_expiry_ms = 1_000;
            nth(plan, Kind::AnswerDropped, "core>banks:credit", 0);
        },
        fires: &["core-cancel-met-credit", "banks-cancel-after-credit"],
        silent: &[],
        ok: Some(1),
    },
    Race {
        name: "d29_core_that_dies_with_an_open_hold_finds_it_again",
        plan: |plan| {
            abroad(plan);
            at(plan, Kind::LinkCut, "core>banks", (0, 6_000), 2);
            at(plan, Kind::NodeKill, "core", (2_000, 1_000), 0);
        },
        fires: &["world-killed-with-an-open-hold", "core-hold-found"],
        silent: &["core-hold-voided"],
        ok: Some(1),
    },
];
