//! The table: protections, the ways to take them off, what shows each missing, and which check must see it.
//!
//! In: nothing. Out: [`rows`]. Elsewhere: those about the way to the copies (`rows::copying`), running them (`ablate`), the stories
//! (docs/protections.md).
//!
//! What provokes comes on top of a drawn world, many times in it: most of what could show a protection missing meets something else. The
//! two rows about validities have a world of their own: what only the fence (P6) would stop must not happen in it.

mod copying;

use super::provoke::Stage;
use super::{Finding, NOTHING, Row};
use crate::plan::{
    AccountLock, Again, Binding, DeadlineCheck, DueClock, Fence, Guard, KeyClaim, Kind, LockOrder, Polling, Settling,
    Topology, Twice, Voiding,
};

const LATE: &[Finding] = &[("O6", "late-commit"), ("O3", "phantom-booking")];

/// Every protection that a world can show missing, in the order of their numbers as far as rooms allow.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    POSTING.iter().chain(copying::ROWS)
}

/// Those of postings and transfers.
const POSTING: &[Row] = &[
    Row {
        protection: "P1",
        arm: "none",
        about: "Nothing keeps ids unique.",
        fires: &[("O1", "dup-key")],
        off: |topology| topology.protections.key = KeyClaim::None,
        beside: None,
        keeps: NOTHING,
        provoke: lost_answers,
    },
    Row {
        protection: "P2",
        arm: "before_the_booking",
        about: "An id is claimed in a transaction before the one that books.",
        fires: &[("O2", "lost-ack")],
        off: |topology| topology.protections.key = KeyClaim::BeforeTheBooking,
        beside: None,
        keeps: NOTHING,
        provoke: core_dies,
    },
    Row {
        protection: "P2",
        arm: "after_the_booking",
        about: "An id is claimed in a transaction after the one that books.",
        fires: &[("O3", "phantom-booking"), ("O1", "dup-key")],
        off: |topology| topology.protections.key = KeyClaim::AfterTheBooking,
        beside: None,
        keeps: NOTHING,
        provoke: core_dies,
    },
    Row {
        protection: "P3",
        arm: "id_alone",
        about: "An id is bound to nothing but itself.",
        fires: &[("O7", "param-drift")],
        off: |topology| topology.protections.binding = Binding::IdAlone,
        beside: None,
        keeps: NOTHING,
        provoke: other_amounts,
    },
    Row {
        protection: "P4",
        arm: "never",
        about: "No request is too late; and status is read (P6 off).",
        fires: LATE,
        off: |topology| {
            topology.protections.deadline_check = DeadlineCheck::Never;
            topology.protections.fence = Fence::PlainRead;
        },
        beside: Some(|topology| topology.protections.fence = Fence::PlainRead),
        keeps: NOTHING,
        provoke: rows_that_outlast_validities,
    },
    Row {
        protection: "P5",
        arm: "at_arrival",
        about: "Whether a request is too late is judged when it arrives; and status is read (P6 off).",
        fires: LATE,
        off: |topology| {
            topology.protections.deadline_check = DeadlineCheck::AtArrival;
            topology.protections.fence = Fence::PlainRead;
        },
        beside: Some(|topology| topology.protections.fence = Fence::PlainRead),
        keeps: NOTHING,
        provoke: rows_that_outlast_validities,
    },
    Row {
        protection: "P6",
        arm: "plain_read",
        about: "What became of an id is read, and no tombstone is left.",
        fires: &[("O4", "verdict-flip"), ("O3", "phantom-booking")],
        off: |topology| topology.protections.fence = Fence::PlainRead,
        beside: None,
        keeps: NOTHING,
        provoke: stalled_commits,
    },
    Row {
        protection: "P7",
        arm: "none",
        about: "Transfers do not stand in each other's way.",
        fires: &[("O1", "dup-intent"), ("O1", "dup-open")],
        off: |topology| topology.transfers.guard = Guard::None,
        beside: None,
        keeps: NOTHING,
        provoke: two_devices,
    },
    Row {
        protection: "P7",
        arm: "check_then_insert",
        about: "Open transfers are looked for before one is stored, and no index decides.",
        fires: &[("O1", "dup-intent"), ("O1", "dup-open")],
        off: |topology| topology.transfers.guard = Guard::CheckThenInsert,
        beside: None,
        keeps: NOTHING,
        provoke: two_devices,
    },
    Row {
        protection: "P8",
        arm: "off",
        about: "Nobody asks core about transfers without a verdict.",
        fires: &[("O5", "stuck-pending")],
        off: |topology| topology.protections.polling = Polling::Off,
        beside: None,
        keeps: NOTHING,
        provoke: lost_requests,
    },
    Row {
        protection: "P25",
        arm: "none",
        about: "Heads are read without a lock; and (account, seq) is not unique.",
        fires: &[("L2", "overdraft"), ("L3", "serial-dup"), ("L3", "serial-gap"), ("L3", "chain-break")],
        off: |topology| topology.protections.account_lock = AccountLock::None,
        beside: None,
        keeps: NOTHING,
        provoke: hot_account,
    },
    Row {
        protection: "P26",
        arm: "payer_first",
        about: "The payer's row is waited for first, whatever its number.",
        fires: &[("V1", "deadlock")],
        off: |topology| topology.protections.lock_order = LockOrder::PayerFirst,
        beside: None,
        keeps: NOTHING,
        provoke: opposite_transfers,
    },
    Row {
        protection: "P29",
        arm: "process_forward",
        about: "Transfers are due by each channel's own clock, of which one goes fast.",
        fires: &[("O6", "early-expiry")],
        off: own_clocks,
        beside: None,
        keeps: NOTHING,
        provoke: |stage| clocks(stage, Way::Forward),
    },
    Row {
        protection: "P29",
        arm: "process_back",
        about: "Transfers are due by each channel's own clock, and all are set back.",
        fires: &[("O5", "stuck-pending")],
        off: own_clocks,
        beside: None,
        keeps: NOTHING,
        provoke: |stage| clocks(stage, Way::Back),
    },
    Row {
        protection: "P31",
        arm: "two",
        about: "A transfer is completed in a transaction before the one that stores its row.",
        fires: &[("O8", "released-early")],
        off: |topology| topology.protections.settling = Settling::Two,
        beside: None,
        keeps: NOTHING,
        provoke: some_transfers,
    },
    Row {
        protection: "P32",
        arm: "on_expiry",
        about: "A hold is given back because it is old.",
        fires: &[("L6", "nostro-break")],
        off: |topology| topology.protections.voiding = Voiding::OnExpiry,
        beside: None,
        keeps: NOTHING,
        provoke: late_banks,
    },
];

const fn own_clocks(topology: &mut Topology) {
    topology.protections.clock = DueClock::Process;
}

/// Deposits whose answers are lost, and that are sent again.
fn lost_answers(stage: &mut Stage) {
    for _ in 0..20 {
        let (at, account) = (stage.moment(), any_account(stage));
        stage.deposit(at, account, None);
    }
    for _ in 0..8 {
        let nth = stage.dice.between(1, 60);
        stage.nth(Kind::AnswerDropped, "customers>core:deposit", nth, 0);
    }
}

/// Core is killed in the middle of what it books, and its commits fail; whoever sent it sends it again.
fn core_dies(stage: &mut Stage) {
    // A claim beside the booking costs a connection more.
    (stage.plan.topology.posting_slots, stage.plan.topology.connections) = (2, 16);
    for _ in 0..8 {
        let at = stage.moment();
        for _ in 0..10 {
            let account = any_account(stage);
            stage.deposit(at, account, None);
        }
        let after = stage.dice.between(1, 5 + 8 * stage.plan.topology.pace_ms);
        stage.at(Kind::NodeKill, "core", at + after, 300, 0);
    }
    for kind in [Kind::CommitFailed, Kind::CommitLost, Kind::CommitFailed] {
        let nth = stage.dice.between(1, 60);
        stage.nth(kind, "postgres-core", nth, 0);
    }
}

/// Other amounts under the same ids.
fn other_amounts(stage: &mut Stage) {
    for _ in 0..20 {
        let (at, account, after) = (stage.moment(), any_account(stage), stage.dice.below(100));
        stage.deposit(at, account, Some(Again::Other(after)));
    }
}

/// Transfers that reach core at once, and wait for rows there until they are too late: the few hands that wait for rows are busy with
/// others. Meanwhile a channel asks what became of them.
fn rows_that_outlast_validities(stage: &mut Stage) {
    stage.alone();
    stage.plan.topology.pace_ms = stage.plan.topology.pace_ms.min(10);
    let terms = &mut stage.plan.topology.transfers;
    (terms.validity_ms, terms.call_limit_ms) = (400, 500);
    (terms.poll_every_ms, terms.poll_retry_ms) = (200, 500);
    for _ in 0..4 {
        let (at, core) = (stage.moment(), "postgres-core");
        for blocked in 2..8 {
            stage.at(Kind::RowHeld, core, at, 4_500, blocked.into());
            stage.deposit(at + 20, blocked, None);
        }
        stage.at(Kind::RowHeld, core, at, 1_200, 0);
        let after = stage.dice.between(80, 160);
        stage.transfer(at + after, 0, 1, |_| {});
    }
}

/// Commits of transfers that take so long that somebody asks meanwhile, and requests that come after he asked.
fn stalled_commits(stage: &mut Stage) {
    let terms = &mut stage.plan.topology.transfers;
    (terms.validity_ms, terms.call_limit_ms) = (400, 500);
    (terms.poll_every_ms, terms.poll_retry_ms) = (200, 500);
    for _ in 0..30 {
        let (at, [from, to]) = (stage.moment(), two_accounts(stage));
        stage.transfer(at, from, to, |_| {});
    }
    for _ in 0..12 {
        let (nth, lasts) = (stage.dice.between(1, 120), stage.dice.between(2_500, 6_000));
        stage.nth(Kind::CommitStalled, "postgres-core", nth, lasts);
    }
    for channel in stage.channels() {
        let (nth, lasts) = (stage.dice.between(1, 8), stage.dice.between(3_000, 6_000));
        stage.nth(Kind::RequestHeld, &format!("{channel}>core:transfer"), nth, lasts);
    }
}

/// Customers who pay on two devices at once, and who pay anew when they do not know; of others two payments meet that have nothing to do
/// with each other.
fn two_devices(stage: &mut Stage) {
    for nth in 0..60 {
        let (at, [from, to]) = (stage.moment(), two_accounts(stage));
        let (elsewhere, after) = (stage.channel(), stage.dice.one_of(&[0, 0, 1, 5, 50]));
        if nth % 3 == 0 {
            let mut payer = 0;
            stage.transfer(at, from, to, |pay| payer = pay.user);
            stage.transfer(at + after, from, to, |pay| (pay.user, pay.channel) = (payer, elsewhere));
            continue;
        }
        stage.transfer(at, from, to, |pay| {
            (pay.again, pay.elsewhere, pay.resubmit) = (Some(Twice::Device(after)), Some(elsewhere), true);
        });
    }
}

/// Transfers that never reach core, and refusals of which nobody hears.
fn lost_requests(stage: &mut Stage) {
    for nth in 0..20 {
        let (at, [from, to]) = (stage.moment(), two_accounts(stage));
        stage.transfer(at, from, to, |pay| pay.won *= if nth % 4 == 0 { 1_000_000 } else { 1 });
    }
    for channel in stage.channels() {
        for kind in [Kind::RequestDropped, Kind::RequestDropped, Kind::AnswerDropped] {
            let nth = stage.dice.between(1, 8);
            stage.nth(kind, &format!("{channel}>core:transfer"), nth, 0);
        }
    }
}

/// Many payments of one account at once.
fn hot_account(stage: &mut Stage) {
    let topology = &mut stage.plan.topology;
    (topology.posting_slots, topology.batch_max) = (4, 1);
    topology.pace_ms = topology.pace_ms.max(2);
    for _ in 0..8 {
        let at = stage.moment();
        for to in 1..9 {
            stage.transfer(at, 0, to, |_| {});
        }
    }
}

/// Two accounts that pay each other, while somebody holds their rows for moments.
fn opposite_transfers(stage: &mut Stage) {
    let topology = &mut stage.plan.topology;
    (topology.posting_slots, topology.batch_max) = (4, 3);
    topology.pace_ms = topology.pace_ms.max(2);
    for _ in 0..12 {
        let at = stage.moment();
        for held in [0, 1] {
            let lasts = stage.dice.between(100, 600);
            stage.at(Kind::RowHeld, "postgres-core", at, lasts, held);
        }
        for _ in 0..6 {
            let after = stage.dice.between(10, 60);
            stage.transfer(at + after, 0, 1, |_| {});
            stage.transfer(at + after, 1, 0, |_| {});
        }
    }
}

/// Which way a clock is set.
#[derive(Clone, Copy)]
enum Way {
    Forward,
    Back,
}

/// Clocks of channels that are set, while transfers are on their way to core or never reach it.
fn clocks(stage: &mut Stage, way: Way) {
    stage.plan.faults.retain(|fault| fault.kind != Kind::ClockStep);
    let terms = &mut stage.plan.topology.transfers;
    (terms.validity_ms, terms.call_limit_ms) = (5_000, 500);
    (terms.poll_every_ms, terms.poll_retry_ms) = (200, 500);
    let step = i64::try_from(stage.dice.between(600_000, 3_600_000)).expect("an hour");
    let step_at = stage.dice.between(5_000, 8_000);
    for channel in stage.channels() {
        match way {
            Way::Forward if channel != "channel-0" => {}
            Way::Forward => stage.at(Kind::ClockStep, &channel, 0, 0, step),
            Way::Back => {
                stage.at(Kind::ClockStep, &channel, step_at, 0, -step);
                stage.at(Kind::LinkCut, &format!("{channel}>core"), step_at - 3_000, 2_900, 0);
            }
        }
    }
    for _ in 0..20 {
        let at = match way {
            Way::Forward => stage.moment(),
            Way::Back => stage.dice.between(step_at - 2_900, step_at - 200),
        };
        let [from, to] = two_accounts(stage);
        stage.transfer(at, from, to, |pay| pay.patience_ms = 1_000);
    }
    for channel in stage.channels() {
        for kind in [Kind::RequestHeld, Kind::RequestHeld, Kind::RequestDropped] {
            let (nth, lasts) = (stage.dice.between(1, 6), stage.dice.between(1_000, 4_000));
            stage.nth(kind, &format!("{channel}>core:transfer"), nth, lasts);
        }
    }
}

/// Transfers.
fn some_transfers(stage: &mut Stage) {
    for _ in 0..20 {
        let (at, [from, to]) = (stage.moment(), two_accounts(stage));
        stage.transfer(at, from, to, |_| {});
    }
}

/// Payments to banks that credit late.
fn late_banks(stage: &mut Stage) {
    let terms = &mut stage.plan.topology.transfers;
    terms.outbound_expiry_ms = stage.dice.one_of(&[300, 1_000]);
    (terms.banks.late_permille, terms.banks.never_permille, terms.banks.late_ms) = (500, 100, 10_000);
    terms.banks.twice_permille = 0;
    for _ in 0..20 {
        let (at, account) = (stage.moment(), any_account(stage));
        stage.outbound(at, account);
    }
    for _ in 0..6 {
        let (nth, lasts) = (stage.dice.between(1, 20), stage.dice.between(1_000, 8_000));
        stage.nth(Kind::RequestHeld, "core>banks:credit", nth, lasts);
    }
}

fn any_account(stage: &mut Stage) -> u32 {
    u32::try_from(stage.dice.below(u64::from(stage.plan.topology.accounts))).expect("accounts are few")
}

fn two_accounts(stage: &mut Stage) -> [u32; 2] {
    let from = any_account(stage);
    let apart = stage.dice.between(1, u64::from(stage.plan.topology.accounts) - 1);
    let to = (u64::from(from) + apart) % u64::from(stage.plan.topology.accounts);
    [from, u32::try_from(to).expect("accounts are few")]
}
