//! What is simpler than what: shorter, fewer, rounder, sooner.
//!
//! In: a plan or a part of one. Out: simpler ones, the simplest first; each differs from what it was made of, and never the other way
//! round, so that a search ends. Elsewhere: whether one still fails (`shrink`).

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::{
    Action, Again, Fault, Following, Kind, NotStarted, Operation, Payment, Plan, Terms, Topology, Trigger, Twice,
    WorkerMode, repeats_transfers,
};

/// Smaller numbers, the smallest first: powers of ten, the half, this number with fewer digits that are not 0, one less.
fn smaller(value: u64, least: u64) -> Vec<u64> {
    let powers = [0, 1, 10, 100, 1_000, 10_000];
    let rounded = powers[2..].iter().map(|unit| value - value % unit);
    let found = powers.into_iter().chain(rounded).chain([value / 2, value.saturating_sub(1)]);
    let found: BTreeSet<_> = found.filter(|number| *number >= least && *number < value).collect();
    found.into_iter().collect()
}

/// The same without the last step: for times, where one millisecond less is not worth a run.
fn shorter(value: u64, least: u64) -> Vec<u64> {
    smaller(value, least).into_iter().filter(|number| number + 1 != value || value <= 2).collect()
}

/// Simpler forms of a fault.
pub(super) fn faults(fault: &Fault) -> Vec<Fault> {
    let mut found = Vec::new();
    let triggers: Vec<_> = match fault.trigger {
        Trigger::AtMs(at) => shorter(at, 0).into_iter().map(Trigger::AtMs).collect(),
        Trigger::Nth(nth) => smaller(nth, 1).into_iter().map(Trigger::Nth).collect(),
    };
    found.extend(triggers.into_iter().map(|trigger| Fault { trigger, ..fault.clone() }));
    if fault.kind.needs().lasts {
        found.extend(shorter(fault.lasts_ms, 1).into_iter().map(|lasts_ms| Fault { lasts_ms, ..fault.clone() }));
    }
    let least = u64::from(matches!(fault.kind, Kind::ConnectionsTaken | Kind::LinkSlow | Kind::PartitionsAdded));
    for amount in shorter(fault.amount.unsigned_abs(), least) {
        let amount = i64::try_from(amount).unwrap_or(i64::MAX) * fault.amount.signum();
        found.push(Fault { amount, ..fault.clone() });
    }
    found
}

/// Changes that are tried on all operations at once.
pub(super) const OF_ALL: &[fn(&Operation) -> Operation] = &[
    without_frills,
    |operation| with(operation, |_, _, retries, _| *retries = 0),
    |operation| with(operation, |_, _, _, again| *again = Frill::None),
    |operation| with(operation, |won, _, _, _| *won = 1),
    |operation| with(operation, |_, patience, _, _| *patience = PATIENCE_MS),
    |operation| paying(operation, |pay| (pay.resubmit, pay.reads, pay.looks) = (false, 0, 0)),
    |operation| paying(operation, |pay| (pay.channel, pay.elsewhere) = (0, None)),
];

/// How long a simple customer waits.
const PATIENCE_MS: u64 = 1_000;

fn without_frills(operation: &Operation) -> Operation {
    let operation = with(operation, |won, patience, retries, again| {
        (*won, *patience, *retries, *again) = (1, PATIENCE_MS, 0, Frill::None);
    });
    paying(&operation, |pay| (pay.channel, pay.elsewhere, pay.resubmit, pay.reads, pay.looks) = (0, None, false, 0, 0))
}

/// What else comes with a deposit's id, or beside a payment.
#[derive(Clone, Copy)]
enum Frill {
    None,
    Deposit(Again),
    Payment(Twice),
}

/// A deposit or a payment with something changed that both have; a scroll as it is.
fn with(operation: &Operation, change: impl Fn(&mut i64, &mut u64, &mut u32, &mut Frill)) -> Operation {
    let mut operation = operation.clone();
    match &mut operation.action {
        Action::Deposit { won, patience_ms, retries, again } => {
            let mut frill = again.map_or(Frill::None, Frill::Deposit);
            change(won, patience_ms, retries, &mut frill);
            *again = if let Frill::Deposit(again) = frill { Some(again) } else { None };
        }
        Action::Transfer { pay, .. } | Action::Outbound { pay } => {
            let mut frill = pay.again.map_or(Frill::None, Frill::Payment);
            change(&mut pay.won, &mut pay.patience_ms, &mut pay.retries, &mut frill);
            pay.again = if let Frill::Payment(again) = frill { Some(again) } else { None };
        }
        Action::Scroll { .. } | Action::Sync { .. } | Action::Redrive { .. } => {}
    }
    operation
}

/// A payment with something changed; anything else as it is.
fn paying(operation: &Operation, change: impl Fn(&mut Payment)) -> Operation {
    let mut operation = operation.clone();
    operation.action.payment_mut().into_iter().for_each(change);
    operation
}

/// Simpler forms of an operation.
pub(super) fn operations(operation: &Operation) -> Vec<Operation> {
    let mut found: Vec<_> =
        OF_ALL.iter().map(|change| change(operation)).filter(|simple| simple != operation).collect();
    match &operation.action {
        Action::Deposit { retries, again, .. } => {
            found.extend(fewer_tries(operation, *retries));
            let sooner = match again {
                None => Vec::new(),
                Some(Again::Same(after)) => shorter(*after, 0).into_iter().map(Again::Same).collect(),
                Some(Again::Other(after)) => shorter(*after, 0).into_iter().map(Again::Other).collect(),
                Some(Again::Resolve(after)) => shorter(*after, 0).into_iter().map(Again::Resolve).collect(),
            };
            let sooner = sooner.into_iter().map(Frill::Deposit);
            found.extend(sooner.map(|sooner| with(operation, |_, _, _, again| *again = sooner)));
        }
        Action::Transfer { pay, .. } | Action::Outbound { pay } => found.extend(payments(operation, pay)),
        Action::Scroll { channel, pages, limit } => {
            for (channel, pages, limit) in
                [(0, 1, 1), (0, *pages, *limit), (*channel, 1, *limit), (*channel, *pages, 1)]
            {
                let action = Action::Scroll { channel, pages, limit };
                if action != operation.action {
                    found.push(Operation { action, ..operation.clone() });
                }
            }
        }
        Action::Sync { channel } => {
            let first = Operation { action: Action::Sync { channel: 0 }, ..operation.clone() };
            found.extend((*channel > 0).then_some(first));
        }
        Action::Redrive { channel, limit } => {
            let first = Operation { action: Action::Redrive { channel: 0, limit: *limit }, ..operation.clone() };
            found.extend((*channel > 0).then_some(first));
        }
    }
    found.extend(shorter(operation.at_ms, 0).into_iter().map(|at_ms| Operation { at_ms, ..operation.clone() }));
    found
}

fn fewer_tries(operation: &Operation, retries: u32) -> Vec<Operation> {
    let fewer = smaller(u64::from(retries), 1).into_iter().map(|fewer| u32::try_from(fewer).unwrap_or(retries));
    fewer.map(|fewer| with(operation, |_, _, retries, _| *retries = fewer)).collect()
}

/// Simpler forms of a payment, beyond what all operations have.
fn payments(operation: &Operation, pay: &Payment) -> Vec<Operation> {
    let mut found = fewer_tries(operation, pay.retries);
    let simpler = [
        paying(operation, |pay| pay.resubmit = false),
        paying(operation, |pay| pay.reads = 0),
        paying(operation, |pay| pay.reads /= 2),
        paying(operation, |pay| pay.looks = 0),
        paying(operation, |pay| pay.looks /= 2),
        paying(operation, |pay| pay.elsewhere = None),
        paying(operation, |pay| pay.user = 1),
    ];
    found.extend(simpler.into_iter().filter(|simple| simple != operation));
    if let Some(twice) = pay.again {
        let sooner = shorter(twice.after_ms(), 0).into_iter();
        found.extend(sooner.map(|after| paying(operation, |pay| pay.again = Some(twice.at(after)))));
    }
    for won in smaller(pay.won.unsigned_abs(), 1) {
        found.push(paying(operation, |pay| pay.won = i64::try_from(won).unwrap_or(pay.won)));
    }
    found
}

/// The plan sooner: everything moved to the beginning, everything in half the time, load no longer than what happens in it.
pub(super) fn times(plan: &Plan) -> Vec<Plan> {
    let moments = || {
        let faults = plan.faults.iter().filter_map(|fault| match fault.trigger {
            Trigger::AtMs(at) => Some(at),
            Trigger::Nth(_) => None,
        });
        plan.operations.iter().map(|operation| operation.at_ms).chain(faults)
    };
    let (first, last) = (moments().min().unwrap_or(0), moments().max().unwrap_or(0));
    let mut found = Vec::new();
    if first > 0 {
        found.push(moved(plan, &|at| at - first, last - first));
    }
    if last > 1 {
        found.push(moved(plan, &|at| at / 2, last / 2));
    }
    if plan.topology.load_ms > last {
        found.push(moved(plan, &|at| at, last));
        // What heals at the end of load may have to last longer.
        found.extend(shorter(plan.topology.load_ms, last).into_iter().map(|load| moved(plan, &|at| at, load)));
    }
    found
}

fn moved(plan: &Plan, to: &dyn Fn(u64) -> u64, load_ms: u64) -> Plan {
    let mut plan = plan.clone();
    plan.topology.load_ms = load_ms;
    plan.operations.iter_mut().for_each(|operation| operation.at_ms = to(operation.at_ms));
    for fault in &mut plan.faults {
        if let Trigger::AtMs(at) = fault.trigger {
            fault.trigger = Trigger::AtMs(to(at));
        }
    }
    plan
}

/// What a bank is simply made of; the rest stays as it is.
fn plain(topology: &Topology) -> Topology {
    Topology {
        opening_won: 0,
        partitions: 1,
        pace_ms: 0,
        posting_slots: 1,
        batch_max: 1,
        worker_mode: WorkerMode::Serial,
        workers: 1,
        transactions: 1,
        batch_accounts: 1,
        sync_cost_ms: 0,
        tight_limits: false,
        transfers: Terms::default(),
        following: Following::default(),
        ..topology.clone()
    }
}

/// Simpler topologies: all at once, one field after the other, fewer channels.
pub(super) fn topologies(plan: &Plan) -> Vec<Plan> {
    let now = &plan.topology;
    let plain = plain(now);
    let fields = [
        Topology { opening_won: plain.opening_won, ..now.clone() },
        Topology { partitions: plain.partitions, ..now.clone() },
        Topology { pace_ms: plain.pace_ms, ..now.clone() },
        Topology { posting_slots: plain.posting_slots, ..now.clone() },
        Topology { batch_max: plain.batch_max, ..now.clone() },
        Topology { worker_mode: plain.worker_mode, ..now.clone() },
        Topology { workers: plain.workers, ..now.clone() },
        Topology { transactions: plain.transactions, ..now.clone() },
        Topology { batch_accounts: plain.batch_accounts, ..now.clone() },
        Topology { sync_cost_ms: plain.sync_cost_ms, ..now.clone() },
        Topology { tight_limits: plain.tight_limits, ..now.clone() },
        Topology { following: plain.following, ..now.clone() },
    ];
    let fields = fields
        .into_iter()
        .chain(terms(&now.transfers).into_iter().map(|terms| Topology { transfers: terms, ..now.clone() }));
    let mut found: Vec<Plan> = Vec::new();
    for channels in smaller(u64::from(now.channels), 1) {
        found.push(with_channels(plan, u32::try_from(channels).unwrap_or(now.channels)));
    }
    // What somebody has to pay with may be needed where nothing else is.
    let rich = Topology { opening_won: now.opening_won, ..plain.clone() };
    let topologies = [plain.clone(), rich].into_iter().chain(fields).map(|topology| allowed(topology, plan));
    found.extend(topologies.filter(|topology| topology != now).map(|topology| Plan { topology, ..plan.clone() }));
    for pace_ms in shorter(now.pace_ms, 1) {
        found.push(Plan { topology: Topology { pace_ms, ..now.clone() }, ..plan.clone() });
    }
    found
}

/// A topology that goes with the plan's faults.
fn allowed(mut topology: Topology, plan: &Plan) -> Topology {
    if plan.faults.iter().any(repeats_transfers) {
        topology.transfers.not_started = NotStarted::Fenced;
    }
    topology
}

/// Simpler terms: all of the default, one after the other.
fn terms(now: &Terms) -> Vec<Terms> {
    let plain = Terms::default();
    vec![
        plain.clone(),
        Terms { guard: plain.guard, ..now.clone() },
        Terms { not_started: plain.not_started, ..now.clone() },
        Terms { call_limit_ms: plain.call_limit_ms, ..now.clone() },
        Terms { validity_ms: plain.validity_ms, ..now.clone() },
        Terms { poll_every_ms: plain.poll_every_ms, ..now.clone() },
        Terms { poll_retry_ms: plain.poll_retry_ms, ..now.clone() },
        Terms { deadline: plain.deadline, ..now.clone() },
        Terms { outbound_answer_ms: plain.outbound_answer_ms, ..now.clone() },
        Terms { outbound_expiry_ms: plain.outbound_expiry_ms, ..now.clone() },
        Terms { outbound_scan_ms: plain.outbound_scan_ms, ..now.clone() },
        Terms { statuses: Vec::new(), ..now.clone() },
        Terms { banks: plain.banks, ..now.clone() },
    ]
}

/// The plan with fewer channels: what was at one that is gone is at the first.
fn with_channels(plan: &Plan, channels: u32) -> Plan {
    let mut plan = plan.clone();
    for gone in channels..plan.topology.channels {
        let gone = format!("channel-{gone}");
        for fault in &mut plan.faults {
            fault.place = at_the_first(&fault.place, &gone);
        }
    }
    for operation in &mut plan.operations {
        let fewer = |channel: &mut u32| *channel = if *channel < channels { *channel } else { 0 };
        match &mut operation.action {
            Action::Scroll { channel, .. } | Action::Sync { channel } | Action::Redrive { channel, .. } => {
                fewer(channel)
            }
            Action::Transfer { pay, .. } | Action::Outbound { pay } => {
                fewer(&mut pay.channel);
                pay.elsewhere.iter_mut().for_each(fewer);
            }
            Action::Deposit { .. } => {}
        }
    }
    plan.topology.channels = channels;
    plan
}

/// A place such as `customers>channel-2:history`, its ends that are `gone` at the first channel.
fn at_the_first(place: &str, gone: &str) -> String {
    let end = |end: &str| match end.strip_prefix(gone) {
        Some(rest) if rest.is_empty() || rest.starts_with(':') => format!("channel-0{rest}"),
        _ => end.to_owned(),
    };
    place.split('>').map(end).collect::<Vec<_>>().join(">")
}

/// Fewer accounts: one, only those that somebody uses, each one's doings moved to the first.
pub(super) fn accounts(plan: &Plan) -> Vec<Plan> {
    let count = plan.topology.accounts;
    let used: BTreeSet<u32> = plan.operations.iter().flat_map(accounts_of).filter(|account| *account < count).collect();
    let renumbered: BTreeMap<u32, u32> = used.iter().copied().zip(0..).collect();
    let mut found = vec![
        with_accounts(plan, &|_| 0),
        with_accounts(plan, &|account| renumbered.get(&account).copied().unwrap_or(0)),
    ];
    if let Some(first) = used.first() {
        let merged = |from: u32| move |account| if account == from { *first } else { account };
        found.extend(used.iter().skip(1).map(|from| with_accounts(plan, &merged(*from))));
    }
    found.retain(|candidate| candidate != plan);
    found
}

/// Whoever pays or receives.
fn accounts_of(operation: &Operation) -> impl Iterator<Item = u32> {
    let to = if let Action::Transfer { to, .. } = operation.action { Some(to) } else { None };
    std::iter::once(operation.account).chain(to)
}

/// The same, to be changed.
fn accounts_in(operation: &mut Operation) -> impl Iterator<Item = &mut u32> {
    let to = if let Action::Transfer { to, .. } = &mut operation.action { Some(to) } else { None };
    std::iter::once(&mut operation.account).chain(to)
}

/// Tells accounts that have their new number from those that never had one.
const MOVED: u32 = 1 << 31;

/// The plan with its accounts renumbered, and no more of them than somebody uses. Who is unknown to the bank stays so.
fn with_accounts(plan: &Plan, to: &dyn Fn(u32) -> u32) -> Plan {
    let known = plan.topology.accounts;
    let mut plan = plan.clone();
    let mut most = 0;
    for account in plan.operations.iter_mut().flat_map(accounts_in).filter(|account| **account < known) {
        *account = to(*account) | MOVED;
        most = most.max(*account & !MOVED);
    }
    plan.topology.accounts = most + 1;
    for account in plan.operations.iter_mut().flat_map(accounts_in) {
        *account = if *account & MOVED == 0 { most + 1 } else { *account & !MOVED };
    }
    // Nobody sends money to himself.
    for operation in &mut plan.operations {
        if let Action::Transfer { to, pay } = &operation.action
            && *to == operation.account
        {
            operation.action = Action::Outbound { pay: pay.clone() };
        }
    }
    let statuses = &mut plan.topology.transfers.statuses;
    statuses.iter_mut().for_each(|status| status.account = to(status.account));
    statuses.retain(|status| status.account <= most);
    for fault in plan.faults.iter_mut().filter(|fault| matches!(fault.kind, Kind::RowHeld | Kind::AccountRefused)) {
        fault.amount = u32::try_from(fault.amount).map_or(0, |account| i64::from(to(account).min(most)));
    }
    plan
}

#[cfg(test)]
mod tests;
