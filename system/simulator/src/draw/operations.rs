//! What customers do in a drawn plan.
//!
//! In: the seed's stream, the topology. Out: operations in order of their times. Elsewhere: what each means (`plan::Action`).

use super::Dice;
use crate::plan::{Action, Again, Operation, Payment, Topology, Twice};

/// The least operations of a plan.
const LEAST: u64 = 500;

/// How customers behave in this plan: swarm, so that some plans have none of a kind.
struct Habits {
    scrolls: u64,
    hot: u64,
    impatient: u64,
    retries: u64,
    twice: u64,
    other: u64,
    resolve: u64,
    strangers: u64,
    bursts: u64,
    transfers: u64,
    outbound: u64,
    /// Customers of a plan; several may have one account, and one several.
    users: u64,
    /// The largest payment, in won.
    most: u64,
    devices: u64,
    resubmit: u64,
    reads: u64,
    /// How often payers look at their newest page right after their first answer, at most.
    looks: u64,
    /// Of scrolls, so many of a hundred are uses of the button instead.
    buttons: u64,
    /// Of a thousand operations, so many have dead letters driven again.
    redrives: u64,
}

/// Draws the operations.
pub(super) fn draw(dice: &mut Dice, topology: &Topology) -> Vec<Operation> {
    let habits = habits(dice, topology);
    let count = LEAST + dice.below(40);
    let mut moments: Vec<u64> = Vec::new();
    while (moments.len() as u64) < count {
        let at = dice.below(topology.load_ms);
        let burst = dice.between(1, habits.bursts);
        moments.extend(std::iter::repeat_n(at, usize::try_from(burst).expect("a small number")));
    }
    moments.truncate(usize::try_from(count).expect("a small number"));
    moments.sort_unstable();
    (0..).zip(moments).map(|(op, at_ms)| operation(dice, topology, &habits, op, at_ms)).collect()
}

fn habits(dice: &mut Dice, topology: &Topology) -> Habits {
    let accounts = u64::from(topology.accounts);
    let opening = topology.opening_won.unsigned_abs();
    Habits {
        scrolls: dice.one_of(&[0, 5, 15, 30]),
        hot: dice.one_of(&[0, 0, 20, 60]),
        impatient: dice.one_of(&[0, 5, 30]),
        retries: dice.one_of(&[0, 3, 3]),
        twice: dice.one_of(&[0, 5, 20]),
        other: dice.one_of(&[0, 2, 5]),
        resolve: dice.one_of(&[0, 3, 10]),
        strangers: dice.one_of(&[0, 0, 2]),
        bursts: dice.one_of(&[1, 1, 10, 50]),
        transfers: dice.one_of(&[0, 15, 30, 30, 60]),
        outbound: dice.one_of(&[0, 20, 20, 70]),
        users: dice.one_of(&[accounts.div_ceil(3), accounts, accounts, 3 * accounts]),
        // Tight balances as often as ample ones.
        most: dice.one_of(&[opening / 10, opening / 2, 2 * opening]).max(2),
        devices: dice.one_of(&[0, 5, 20]),
        resubmit: dice.one_of(&[0, 20, 60]),
        reads: dice.one_of(&[0, 2, 5]),
        looks: dice.one_of(&[0, 1, 3]),
        buttons: dice.one_of(&[0, 20, 50]),
        redrives: dice.one_of(&[0, 0, 4]),
    }
}

fn operation(dice: &mut Dice, topology: &Topology, habits: &Habits, op: u64, at_ms: u64) -> Operation {
    let account = account(dice, topology, habits);
    let action = if dice.below(1_000) < habits.redrives {
        Action::Redrive { channel: channel(dice, topology), limit: 100 }
    } else if dice.percent(habits.scrolls) {
        if dice.percent(habits.buttons) {
            Action::Sync { channel: channel(dice, topology) }
        } else {
            scroll(dice, topology)
        }
    } else if dice.percent(habits.transfers) {
        transfer(dice, topology, habits, account)
    } else {
        deposit(dice, habits)
    };
    Operation { op, at_ms, account, action }
}

/// One of the customers' accounts, seldom one that is unknown to the bank.
fn account(dice: &mut Dice, topology: &Topology, habits: &Habits) -> u32 {
    let accounts = u64::from(topology.accounts);
    let account = if dice.percent(habits.hot) { 0 } else { dice.below(accounts) };
    let account = if dice.percent(habits.strangers) { accounts } else { account };
    u32::try_from(account).expect("accounts are few")
}

fn scroll(dice: &mut Dice, topology: &Topology) -> Action {
    let channel = channel(dice, topology);
    let [pages, limit] = [dice.one_of(&[1, 2, 3, 12]), dice.one_of(&[1, 2, 10, 100])]
        .map(|number| u32::try_from(number).expect("a small number"));
    Action::Scroll { channel, pages, limit }
}

fn channel(dice: &mut Dice, topology: &Topology) -> u32 {
    u32::try_from(dice.below(u64::from(topology.channels))).expect("channels are few")
}

/// Inside the bank or to another one; always abroad where nobody else has an account here.
fn transfer(dice: &mut Dice, topology: &Topology, habits: &Habits, from: u32) -> Action {
    let pay = payment(dice, topology, habits);
    if dice.percent(habits.outbound) {
        return Action::Outbound { pay };
    }
    match account(dice, topology, habits) {
        to if to != from => Action::Transfer { to, pay },
        _ if topology.accounts > 1 => Action::Transfer { to: (from + 1) % topology.accounts, pay },
        _ => Action::Outbound { pay },
    }
}

fn payment(dice: &mut Dice, topology: &Topology, habits: &Habits) -> Payment {
    let after = dice.up_to(300) - 1;
    let again = if dice.percent(habits.twice) {
        Some(Twice::Same(after))
    } else if dice.percent(habits.devices) {
        Some(Twice::Device(after))
    } else if dice.percent(habits.other) {
        Some(Twice::Other(after))
    } else {
        None
    };
    Payment {
        user: u32::try_from(1 + dice.below(habits.users)).expect("customers are few"),
        won: i64::try_from(dice.up_to(habits.most)).expect("a small amount"),
        channel: channel(dice, topology),
        patience_ms: patience(dice, habits),
        retries: u32::try_from(dice.between(0, habits.retries)).expect("a small number"),
        elsewhere: dice.percent(40).then(|| channel(dice, topology)),
        again,
        resubmit: dice.percent(habits.resubmit),
        reads: u32::try_from(dice.between(0, habits.reads)).expect("a small number"),
        looks: u32::try_from(dice.between(0, habits.looks)).expect("a small number"),
    }
}

fn patience(dice: &mut Dice, habits: &Habits) -> u64 {
    if dice.percent(habits.impatient) { dice.up_to(60) } else { dice.one_of(&[1_000, 3_000, 8_000]) }
}

fn deposit(dice: &mut Dice, habits: &Habits) -> Action {
    let won = i64::try_from(dice.up_to(1_000_000)).expect("a small amount");
    let patience_ms = patience(dice, habits);
    let retries = u32::try_from(dice.between(0, habits.retries)).expect("a small number");
    let after = dice.up_to(300) - 1;
    let again = if dice.percent(habits.twice) {
        Some(Again::Same(after))
    } else if dice.percent(habits.other) {
        Some(Again::Other(after))
    } else if dice.percent(habits.resolve) {
        Some(Again::Resolve(after))
    } else {
        None
    };
    Action::Deposit { won, patience_ms, retries, again }
}
