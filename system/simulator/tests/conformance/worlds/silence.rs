//! The other banks say nothing for an hour (issue 6, D29, D39): holds stay, money is neither lost nor doubled, everybody else goes on.
//!
//! In: one plan, silent in several ways. Out: a trial a way: what stood every ten seconds, and how it ended. Elsewhere: silences of seconds
//! (`races`), drawn ones (`draw::faults`).
//!
//! Before the silence one bank credits and its answer is lost, another never gets its request; in the middle of it somebody asks for one more.

use std::collections::BTreeMap;
use std::time::Duration;

use bankstorm_outside::core_store::HoldEnd;
use bankstorm_simulator::plan::{self, Action, Fault, Kind, Operation, Payment, Plan, Temper, Terms, Trigger};
use bankstorm_simulator::world::{Look, Options, Outcome, run};
use libtest_mimic::Trial;

use super::tiny::{payment, tiny};

/// Streams under which each is run.
const STREAMS: u64 = 2;
const HOUR_MS: u64 = 3_600_000;
/// When it begins, in milliseconds of load.
const SILENT_FROM_MS: u64 = 2_000;
const SILENT_TO_MS: u64 = SILENT_FROM_MS + HOUR_MS;
/// Long enough for the last questions: the longest pause between two is 5 s.
const LOAD_MS: u64 = SILENT_TO_MS + 60_000;
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Payments abroad: the bank credits and nobody hears of it; it never hears of this one; this one is asked for while it is silent.
const CREDITED: u64 = 0;
const NEVER_GOT: u64 = 1;
const IN_THE_SILENCE: u64 = 2;
/// In the silence: the customer of the first asks for more, another one wants more than the hold leaves.
const IN_THE_WAY: u64 = 3;
const TOO_MUCH: u64 = 4;
/// Afterwards the customer of the first pays again.
const AFTERWARDS: u64 = 5;
/// Deposits and transfers from here on, one of each every two minutes.
const OTHERS: u64 = 100;

const OPENING_WON: i64 = 1_000;
const ABROAD_WON: [i64; 3] = [300, 200, 100];

const POSTED: Option<HoldEnd> = Some(HoldEnd::Posted);
const VOIDED: Option<HoldEnd> = Some(HoldEnd::Voided);

/// A way to be silent, and how the three payments abroad end; nothing where either end is right.
struct Way {
    name: &'static str,
    plan: fn(&mut Plan),
    ends: [Option<HoldEnd>; 3],
}

const WAYS: [Way; 4] = [
    Way { name: "cut_off", plan: |plan| lost_and_never(plan, silent_by_cuts), ends: [POSTED, VOIDED, VOIDED] },
    Way {
        name: "frozen",
        plan: |plan| lost_and_never(plan, |plan| silent_by(plan, Kind::NodePause)),
        // Credits and cancels lie in the same socket: either may be read first.
        ends: [POSTED, None, None],
    },
    Way {
        name: "dead",
        plan: |plan| lost_and_never(plan, |plan| silent_by(plan, Kind::NodeKill)),
        ends: [POSTED, VOIDED, VOIDED],
    },
    Way { name: "cut_off_while_they_decide", plan: taken_on, ends: [POSTED, POSTED, VOIDED] },
];

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |way: &'static Way| {
        let name = format!("worlds::silence::d39_banks_that_are_{}_for_an_hour_keep_holds_and_nobody_else", way.name);
        Trial::test(name, move || {
            let mut plan = hour();
            (way.plan)(&mut plan);
            plan::check(&plan).map_err(|error| error.to_string())?;
            for chance in 0..STREAMS {
                let options = Options { watch_every: Some(LOOK_EVERY), ..Options::default() };
                let outcome = run(&Plan { chance, ..plan.clone() }, &options);
                judge(&plan, &outcome, &way.ends).map_err(|said| format!("stream {chance}: {said}"))?;
            }
            Ok(())
        })
    };
    WAYS.iter().map(trial).collect()
}

/// An hour with some life in it. What ticks, ticks slowly: nothing of it matters here, and an hour is long.
fn hour() -> Plan {
    let mut plan = tiny();
    plan.topology.accounts = 4;
    plan.topology.opening_won = OPENING_WON;
    plan.topology.channels = 1;
    plan.topology.load_ms = LOAD_MS;
    plan.topology.relay_poll_ms = 2_000;
    plan.topology.commit_every_ms = 5_000;
    plan.topology.transfers = Terms { poll_every_ms: 1_000, ..Terms::default() };
    let abroad = |op: u64, at_ms, account| {
        let user = 1 + u32::try_from(op).expect("small");
        let won = ABROAD_WON[usize::try_from(op).expect("small")];
        Operation { op, at_ms, account, action: Action::Outbound { pay: Payment { user, won, ..payment() } } }
    };
    let inside = |op: u64, at_ms, user, won| {
        let pay = Payment { user, won, ..payment() };
        Operation { op, at_ms, account: 0, action: Action::Transfer { to: 3, pay } }
    };
    plan.operations = vec![
        abroad(CREDITED, 100, 0),
        abroad(NEVER_GOT, 1_000, 1),
        abroad(IN_THE_SILENCE, HOUR_MS / 6, 2),
        inside(IN_THE_WAY, HOUR_MS / 3, 1, 10),
        // Of about 1,000 won 300 are held.
        inside(TOO_MUCH, HOUR_MS / 2, 50, 800),
        inside(AFTERWARDS, SILENT_TO_MS + 30_000, 1, 10),
    ];
    for nth in 0..30 {
        let (at_ms, op) = (60_000 + nth * 120_000, OTHERS + 2 * nth);
        let deposit = Action::Deposit { won: 10, patience_ms: 1_000, retries: 0, again: None };
        plan.operations.push(Operation { op, at_ms, account: 0, action: deposit });
        plan.operations.push(inside(op + 1, at_ms + 10_000, 100 + u32::try_from(nth).expect("small"), 10));
    }
    plan
}

fn nth(plan: &mut Plan, kind: Kind, place: &str, nth: u64) {
    plan.faults.push(Fault { kind, place: place.to_owned(), trigger: Trigger::Nth(nth), lasts_ms: 0, amount: 0 });
}

fn at(plan: &mut Plan, kind: Kind, place: &str, from_ms: u64, amount: i64) {
    let (trigger, lasts_ms) = (Trigger::AtMs(from_ms), SILENT_TO_MS - from_ms);
    plan.faults.push(Fault { kind, place: place.to_owned(), trigger, lasts_ms, amount });
}

/// The first request's answer is lost, the second request; then the silence begins, before core asks again.
fn lost_and_never(plan: &mut Plan, silent: fn(&mut Plan)) {
    nth(plan, Kind::AnswerDropped, "core>banks:credit", 1);
    nth(plan, Kind::RequestDropped, "core>banks:credit", 2);
    silent(plan);
}

fn silent_by_cuts(plan: &mut Plan) {
    at(plan, Kind::LinkCut, "core>banks", SILENT_FROM_MS, 2);
    at(plan, Kind::LinkCut, "banks>core", SILENT_FROM_MS, 2);
}

fn silent_by(plan: &mut Plan, kind: Kind) {
    at(plan, kind, "banks", SILENT_FROM_MS, 0);
}

/// Both requests arrive and are taken on; the banks decide while nobody hears them.
fn taken_on(plan: &mut Plan) {
    plan.operations[1].at_ms = 100;
    plan.topology.transfers.banks = Temper { late_permille: 1_000, late_ms: 10_000, ..Temper::default() };
    at(plan, Kind::LinkCut, "banks>core", 0, 2);
    // They have taken both on by now, and core has not asked again.
    at(plan, Kind::LinkCut, "core>banks", 190, 2);
}

fn judge(plan: &Plan, outcome: &Outcome, ends: &[Option<HoldEnd>]) -> Result<(), String> {
    if let Some(violation) = outcome.violations.first() {
        return Err(format!("{violation:?}"));
    }
    let looks = &outcome.watched.looks;
    let silent = looks
        .iter()
        .filter(|look| (Duration::from_millis(SILENT_FROM_MS)..Duration::from_millis(SILENT_TO_MS)).contains(&look.at));
    let silent: Vec<_> = silent.collect();
    require(silent.len() >= 350, || format!("{} looks at the silence", silent.len()))?;
    silent.iter().try_for_each(|look| holds_stay(look))?;
    told(plan, outcome)?;
    let last = looks.last().ok_or("nothing was seen")?;
    require(last.open.is_empty(), || format!("open in the end: {:?}", last.open))?;
    require(last.holds.len() == ends.len(), || format!("holds in the end: {:?}", last.holds))?;
    for (hold, end) in last.holds.values().zip(ends) {
        let is_wanted = hold.end.is_some() && end.is_none_or(|end| hold.end == Some(end));
        require(is_wanted, || format!("{hold:?} in the end, and wanted is {end:?}"))?;
    }
    money(last)
}

fn require(is_so: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if is_so { Ok(()) } else { Err(otherwise()) }
}

/// Every hold that was placed is there, the accounts' rows say the same, and nothing is booked of it.
fn holds_stay(look: &Look) -> Result<(), String> {
    let at = look.at;
    let due = |op: u64| op != IN_THE_SILENCE || at > Duration::from_millis(HOUR_MS / 6 + 10_000);
    for op in [CREDITED, NEVER_GOT, IN_THE_SILENCE].into_iter().filter(|op| due(*op)) {
        let hold = look.holds.get(&op).ok_or_else(|| format!("{at:?}: payment {op} has no hold"))?;
        require(hold.end.is_none(), || format!("{at:?}: payment {op} has {:?}", hold.end))?;
        require(look.open.contains(&op), || format!("{at:?}: payment {op} is not open in the channel"))?;
    }
    for (index, funds) in look.accounts.iter().enumerate() {
        let held: i64 = look
            .holds
            .values()
            .filter(|hold| hold.account as usize == index && hold.end.is_none())
            .map(|hold| hold.won)
            .sum();
        let is_right = funds.held == held && funds.balance == funds.booked && funds.balance - funds.held >= 0;
        require(is_right, || format!("{at:?}: account {index} has {funds:?}, and holds of {held} won"))?;
    }
    // Nobody else pays from these, and nobody pays into them.
    for index in [1, 2] {
        let balance = look.accounts[index].balance;
        require(balance == OPENING_WON, || format!("{at:?}: account {index} has {balance} won"))?;
    }
    Ok(())
}

/// What customers were told, and how soon.
fn told(plan: &Plan, outcome: &Outcome) -> Result<(), String> {
    let mut wanted = BTreeMap::from([
        (CREDITED, "unknown"),
        (NEVER_GOT, "unknown"),
        (IN_THE_SILENCE, "unknown"),
        (IN_THE_WAY, "rejected"),
        (TOO_MUCH, "rejected"),
        (AFTERWARDS, "ok"),
    ]);
    wanted.extend(
        plan.operations.iter().filter(|operation| operation.op >= OTHERS).map(|operation| (operation.op, "ok")),
    );
    for (op, word) in wanted {
        let told = outcome.watched.told.get(&op).ok_or_else(|| format!("nobody asked for {op}"))?;
        require(told.outcome.as_deref() == Some(word), || format!("operation {op}: {told:?}, not {word}"))?;
        // Whoever pays abroad waits for the outcome, others for nothing but their own posting.
        let limit = Duration::from_millis(if op <= IN_THE_SILENCE {
            plan.topology.transfers.outbound_answer_ms + 500
        } else {
            500
        });
        require(told.after <= limit, || format!("operation {op} took {:?}", told.after))?;
    }
    let guarded = outcome.markers["channel-transfer-guarded"];
    require(guarded == 1, || format!("{guarded} payments met one in progress"))
}

/// In the end: what was credited is gone, what was not is there, and nothing is kept back.
fn money(last: &Look) -> Result<(), String> {
    let left = |op: u64| match &last.holds[&op] {
        hold if hold.end == Some(HoldEnd::Posted) => OPENING_WON - hold.won,
        _ => OPENING_WON,
    };
    // Thirty deposits and thirty transfers of as much; one transfer more, afterwards.
    let wanted = [left(CREDITED) - 10, left(NEVER_GOT), left(IN_THE_SILENCE), OPENING_WON + 31 * 10];
    let found: Vec<_> = last.accounts.iter().map(|funds| funds.balance).collect();
    require(found == wanted, || format!("{found:?} won in the end, not {wanted:?}"))?;
    let held: Vec<_> = last.accounts.iter().filter(|funds| funds.held != 0).collect();
    require(held.is_empty(), || format!("still held: {held:?}"))
}
