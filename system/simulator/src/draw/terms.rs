//! What a drawn bank promises about transfers.
//!
//! In: the seed's stream, how many accounts there are. Out: [`Terms`]. Elsewhere: what each means (`plan::Terms`).
//!
//! Limits are drawn around each other and around what faults take: short validities meet held requests, rows that somebody holds and
//! stalled commits; long ones let the answer come after the event.

use bankstorm_contracts::AccountStatus;

use super::Dice;
use crate::plan::{Deadline, Fault, Guard, Kind, NotStarted, Status, Temper, Terms};

/// The most accounts of a plan that are not open for everything.
const STATUSES: u64 = 3;

/// Draws the terms.
pub(super) fn draw(dice: &mut Dice, accounts: u32) -> Terms {
    Terms {
        guard: dice.one_of(&[Guard::User, Guard::User, Guard::Account]),
        not_started: dice.one_of(&[NotStarted::Final, NotStarted::Final, NotStarted::Fenced]),
        call_limit_ms: dice.one_of(&[100, 500, 1_000, 1_000, 3_000]),
        validity_ms: dice.one_of(&[100, 400, 1_000, 2_000, 2_000, 5_000]),
        poll_every_ms: dice.one_of(&[200, 500, 1_000]),
        poll_retry_ms: dice.one_of(&[100, 500, 2_000]),
        // Drawn once it is known whether anybody sets a clock.
        deadline: Deadline::Relative,
        outbound_answer_ms: dice.one_of(&[100, 500, 2_000, 2_000]),
        outbound_expiry_ms: dice.one_of(&[300, 1_000, 5_000, 20_000, 60_000]),
        outbound_scan_ms: dice.one_of(&[2_000, 10_000]),
        statuses: statuses(dice, accounts),
        banks: temper(dice),
    }
}

/// Of plans in which nobody sets a clock, so many of a hundred judge validities by two of them (D31).
const ABSOLUTE_PERCENT: u64 = 25;

/// Which clocks judge a transfer's validity.
pub(super) fn deadline(dice: &mut Dice, faults: &[Fault]) -> Deadline {
    let clocks_agree = faults.iter().all(|fault| fault.kind != Kind::ClockStep);
    if clocks_agree && dice.percent(ABSOLUTE_PERCENT) { Deadline::Absolute } else { Deadline::Relative }
}

/// Some accounts of a plan with many; none of one with few, where nothing would be left to do.
fn statuses(dice: &mut Dice, accounts: u32) -> Vec<Status> {
    const OF: [AccountStatus; 3] =
        [AccountStatus::Closed, AccountStatus::DepositStopped, AccountStatus::WithdrawalStopped];
    if accounts < 5 || dice.percent(50) {
        return Vec::new();
    }
    let mut found: Vec<Status> = Vec::new();
    for _ in 0..dice.between(1, STATUSES) {
        let account = u32::try_from(dice.below(u64::from(accounts))).expect("accounts are few");
        let status = dice.one_of(&OF);
        if found.iter().all(|other| other.account != account) {
            found.push(Status { account, status });
        }
    }
    found
}

fn temper(dice: &mut Dice) -> Temper {
    Temper {
        late_permille: dice.one_of(&[0, 200, 500]),
        never_permille: dice.one_of(&[0, 100, 300]),
        twice_permille: dice.one_of(&[0, 100]),
        refused_permille: dice.one_of(&[0, 50, 300]),
        late_ms: dice.one_of(&[200, 2_000, 10_000]),
        seed: dice.bits(),
    }
}
