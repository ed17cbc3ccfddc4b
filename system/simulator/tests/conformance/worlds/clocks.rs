//! Clocks that are set, and who minds (A8, D31): a validity that core counts itself minds nobody's, one between two databases' clocks does.
//!
//! In: one plan under either deadline. Out: a trial a case: whether the transfer is booked, and what O6 says. Elsewhere: drawn worlds, in which
//! `absolute` is drawn only where nobody sets a clock.
//!
//! A clock that is wrong makes validities too short, which O6 sees (`early-expiry`), or too long, which nobody judges. Money is safe either
//! way: the tombstone knows no clock.

use bankstorm_simulator::plan::{self, Deadline, Fault, Kind, Plan, Trigger};
use bankstorm_simulator::world::{Options, run};
use libtest_mimic::{Failed, Trial};

use super::tiny::tiny;

/// Streams under which each is run.
const STREAMS: u64 = 4;
const HOUR_MS: i64 = 3_600_000;
const CORE: &str = "postgres-core";
const CHANNEL: &str = "postgres-channel";

/// What becomes of the transfer.
struct Case {
    name: &'static str,
    plan: fn(&mut Plan),
    /// Whether it is booked, by core's own clock.
    relative: bool,
    /// Whether it is booked, by the two databases' clocks.
    absolute: bool,
    /// What O6 says of the second.
    early: bool,
    /// What happened in both.
    fires: &'static [&'static str],
}

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |case: &'static Case| {
        Trial::test(format!("worlds::clocks::d31_{}", case.name), move || {
            judge(case, Deadline::Relative, case.relative, false)?;
            judge(case, Deadline::Absolute, case.absolute, case.early)
        })
    };
    CASES.iter().map(trial).collect()
}

fn judge(case: &Case, deadline: Deadline, is_booked: bool, is_early: bool) -> Result<(), Failed> {
    let mut plan = tiny();
    plan.topology.transfers.deadline = deadline;
    plan.topology.transfers.validity_ms = 600;
    (case.plan)(&mut plan);
    plan::check(&plan).map_err(|error| error.to_string())?;
    for chance in 0..STREAMS {
        let outcome = run(&Plan { chance, ..plan.clone() }, &Options::default());
        let found: Vec<_> = outcome.violations.iter().map(|it| (it.check.as_str(), it.name.as_str())).collect();
        let wanted: &[_] = if is_early { &[("O6", "early-expiry")] } else { &[] };
        if found != wanted {
            return Err(format!("{deadline:?}, stream {chance}: {:?}", outcome.violations).into());
        }
        // The world's own transfer comes on top of the plan's, unless it is refused again and again until O6 speaks.
        let by = ["answer", "event", "gap-fill", "poller"].map(|who| format!("channel-transfer-settled-by-{who}"));
        let completed: u64 = by.iter().map(|marker| outcome.markers[marker.as_str()]).sum();
        if completed != u64::from(is_booked) + 1 {
            return Err(
                format!("{deadline:?}, stream {chance}: {completed} completed, one of them the world's own").into()
            );
        }
        if let Some(marker) =
            case.fires.iter().find(|marker| outcome.markers.get(*marker).is_none_or(|count| *count == 0))
        {
            return Err(format!("{deadline:?}, stream {chance}: {marker} does not fire").into());
        }
    }
    Ok(())
}

fn set(plan: &mut Plan, place: &str, at_ms: u64, by_ms: i64) {
    let trigger = Trigger::AtMs(at_ms);
    plan.faults.push(Fault { kind: Kind::ClockStep, place: place.to_owned(), trigger, lasts_ms: 0, amount: by_ms });
}

fn held_row(plan: &mut Plan, lasts_ms: u64) {
    let (kind, trigger) = (Kind::RowHeld, Trigger::AtMs(50));
    plan.faults.push(Fault { kind, place: CORE.to_owned(), trigger, lasts_ms, amount: 0 });
}

const CASES: &[Case] = &[
    Case {
        name: "clocks_that_agree_expire_what_waited_too_long",
        plan: |plan| held_row(plan, 900),
        relative: false,
        absolute: false,
        early: false,
        fires: &["core-expired"],
    },
    Case {
        name: "clocks_that_agree_expire_nothing_else",
        plan: |plan| held_row(plan, 400),
        relative: true,
        absolute: true,
        early: false,
        fires: &[],
    },
    Case {
        name: "core_database_that_is_ahead_for_a_while_expires_at_once_what_compares_clocks",
        plan: |plan| {
            set(plan, CORE, 50, HOUR_MS);
            set(plan, CORE, 5_000, -HOUR_MS);
        },
        relative: true,
        absolute: false,
        early: true,
        fires: &[],
    },
    Case {
        name: "core_database_that_is_behind_books_late_what_compares_clocks_and_nobody_loses",
        plan: |plan| {
            set(plan, CORE, 40, -HOUR_MS);
            held_row(plan, 900);
        },
        relative: false,
        absolute: true,
        early: false,
        fires: &[],
    },
    Case {
        name: "channel_database_that_is_ahead_books_late_what_compares_clocks_and_nobody_loses",
        plan: |plan| {
            set(plan, CHANNEL, 40, HOUR_MS);
            held_row(plan, 900);
        },
        relative: false,
        absolute: true,
        early: false,
        fires: &[],
    },
    Case {
        name: "late_request_meets_the_tombstone_whatever_the_clocks_say",
        plan: |plan| {
            set(plan, CORE, 40, -HOUR_MS);
            plan.faults.push(Fault {
                kind: Kind::RequestHeld,
                place: "channel-0>core:transfer".to_owned(),
                trigger: Trigger::Nth(1),
                lasts_ms: 6_000,
                amount: 0,
            });
        },
        relative: false,
        absolute: false,
        early: false,
        fires: &["core-tombstone", "core-late-after-tombstone"],
    },
    Case {
        name: "poller_whose_clock_is_set_forward_asks_early_and_may",
        plan: |plan| {
            plan.topology.transfers.validity_ms = 5_000;
            plan.faults.push(Fault {
                kind: Kind::RequestDropped,
                place: "channel-0>core:transfer".to_owned(),
                trigger: Trigger::Nth(1),
                lasts_ms: 0,
                amount: 0,
            });
            set(plan, CHANNEL, 1_500, HOUR_MS);
        },
        relative: false,
        absolute: false,
        early: false,
        fires: &["core-tombstone", "channel-transfer-failed-by-tombstone"],
    },
];
