//! G1 spared: reads cost core nothing while nothing is in progress, and no more than one look each while something is.
//!
//! In: core's access log, the pages read, operations, what was told of transfers. Out: `core-bothered`. Elsewhere: whether the reads were fresh
//! (`fresh`), how much load core took (`objectives`).
//!
//! A call for a read needs a read at that instance, and a transfer of that account that had been sent and was not known to be settled when the read
//! began. The button is counted by itself: of one account an instance asks core for its head at most once in `manual_every` (D5). That cap is
//! each process's own; nobody promises one over all of them. When exactly it came and how many there were is judged in calm runs only: a network may hold a call back until its read is long over,
//! and repeat it. Memory: 40 bytes a call for a read or the button, 24 bytes a read of the accounts called for, 56 bytes a transfer of those.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use bankstorm_record::source::{ReadError, Source};

use crate::check::{Check, Context, Tally};
use crate::following::{Following, History, ReadSync};
use crate::ordered::{core_access, money_operations, pages, transfer_reads};

/// G1.
pub struct Spared;

const VIOLATION: &str = "core-bothered";
/// Calls that core had for reads.
const CALLS: &str = "core_calls_for_reads";
/// Those that name no single account, so that nobody can tell whose read they were for.
const UNNAMED: &str = "core_calls_without_account";
/// How long a press waits at most until its question goes out: the button's budget (`channel::config`). So the questions of presses that were far
/// enough apart may be so much nearer to each other, and by the budget of a read that joined in.
const PRESS_WAITS_NS: i64 = 1_000_000_000;
/// What lies between a caller's moment and core's for the same thing, in a run without faults on one host: sockets, queues, clocks.
const GRAIN_NS: i64 = 100_000_000;
/// A sync may outlive its read by the budget and so much more, since somebody else's read may wait for it.
const GRACE_NS: i64 = 1_000_000_000;

/// A call for a read or for the button; `caller` is an index into the names.
#[derive(Clone, Copy)]
struct Call {
    account: i64,
    begun_ns: i64,
    ended_ns: i64,
    caller: usize,
    is_heads: bool,
    is_read: bool,
    /// For the button, of one account.
    is_manual: bool,
    /// Core gave an answer.
    is_answered: bool,
}

/// A transfer of an account that was called for.
#[derive(Clone, Copy)]
struct Transfer {
    id: u128,
    account: i64,
    sent_ns: i64,
    /// When the channel first told that it was settled; the end of time where it never did.
    settled_ns: i64,
}

impl Check for Spared {
    fn id(&self) -> &'static str {
        "G1"
    }

    fn name(&self) -> &'static str {
        "spared"
    }

    fn explains(&self) -> &'static str {
        "Core is called for a read only by the instance that has one of that account, and only while a transfer of the account is in progress; in a \
         run without faults also only while the read runs, at most once for each, never more at a time than the cap, and for the button at most \
         once an account and instance in its time (core-bothered). \
         How many calls reads made is counted (core_calls_for_reads)."
    }

    fn applies(&self, context: &Context) -> bool {
        context.following.is_some_and(|following| following.history == History::Copy)
    }

    fn fold(&self, source: &dyn Source, context: &Context, tally: &mut Tally) -> Result<(), ReadError> {
        let following = context.following.unwrap_or_default();
        let (mut calls, names) = calls(source, tally)?;
        if following.calm {
            in_flight(&mut calls, &names, &following, tally);
            pressed(&mut calls, &names, &following, tally);
        }
        calls.retain(|call| call.is_read);
        calls.sort_unstable_by_key(|call| (call.account, call.caller, call.begun_ns));
        let transfers = transfers(source, context, &calls)?;
        judge(source, &following, &calls, &names, &transfers, tally)
    }
}

/// Calls for reads and the button, and the callers' names.
fn calls(source: &dyn Source, tally: &mut Tally) -> Result<(Vec<Call>, Vec<String>), ReadError> {
    let (mut calls, mut names): (Vec<Call>, Vec<String>) = (Vec::new(), Vec::new());
    let mut log = core_access(source);
    tally.count(CALLS, 0);
    while let Some(row) = log.take()? {
        tally.look();
        let is_read = row.purpose.as_deref() == Some("read");
        if !is_read && row.purpose.as_deref() != Some("manual") {
            continue;
        }
        tally.count(CALLS, u64::from(is_read));
        tally.count(UNNAMED, u64::from(is_read && row.account.is_none()));
        let caller = names.iter().position(|name| *name == row.caller).unwrap_or_else(|| {
            names.push(row.caller.clone());
            names.len() - 1
        });
        calls.push(Call {
            account: row.account.unwrap_or(0),
            begun_ns: row.begun_ns,
            ended_ns: row.ended_ns,
            caller,
            is_heads: row.call == "heads",
            is_read: is_read && row.account.is_some(),
            is_manual: !is_read && row.account.is_some(),
            is_answered: row.status != 0,
        });
    }
    Ok((calls, names))
}

/// How many calls one instance has under way. One goes on when its reader has left, to its own end. Whoever gave a call up is gone a little before
/// core sees it.
fn in_flight(calls: &mut [Call], names: &[String], following: &Following, tally: &mut Tally) {
    calls.sort_unstable_by_key(|call| (call.caller, call.begun_ns));
    for of_caller in calls.chunk_by(|a, b| a.caller == b.caller) {
        let mut running: BinaryHeap<Reverse<i64>> = BinaryHeap::new();
        for call in of_caller {
            while running.peek().is_some_and(|Reverse(end)| *end <= call.begun_ns) {
                running.pop();
            }
            let unseen_ns = if call.is_answered { 0 } else { GRAIN_NS };
            running.push(Reverse(call.ended_ns.saturating_sub(unseen_ns)));
            if running.len() as u64 > following.core_pulls {
                tally.violated(VIOLATION, || {
                    let (many, cap) = (running.len(), following.core_pulls);
                    let (name, at_ns) = (&names[call.caller], call.begun_ns);
                    format!(
                        "{name} has {many} calls for reads and the button under way at {at_ns} ns, and may have {cap}"
                    )
                });
            }
        }
    }
}

/// How often the button of one instance asked for one account's head.
fn pressed(calls: &mut [Call], names: &[String], following: &Following, tally: &mut Tally) {
    let every_ns = following.manual_every_ms.saturating_mul(1_000_000);
    let slack_ns = PRESS_WAITS_NS.saturating_add(following.read_budget_ns()).saturating_add(GRAIN_NS);
    calls.sort_unstable_by_key(|call| (call.account, call.caller, call.begun_ns));
    for of_one in calls.chunk_by(|a, b| (a.account, a.caller) == (b.account, b.caller)) {
        // What each began above an even pace; the highest so far leaves those that follow the least room.
        let mut highest: Option<(i64, i64, &Call)> = None;
        let heads = of_one.iter().filter(|call| call.is_manual && call.is_heads);
        for (call, number) in heads.zip(0_i64..) {
            let above_ns = call.begun_ns.saturating_sub(every_ns.saturating_mul(number));
            match highest {
                Some((most_ns, first, since)) if above_ns < most_ns.saturating_sub(slack_ns) => {
                    tally.violated(VIOLATION, || {
                        let (account, name, many) = (call.account, &names[call.caller], number - first + 1);
                        let (since_ns, at_ns, every_ms) = (since.begun_ns, call.begun_ns, following.manual_every_ms);
                        format!("account {account}: the button of {name} asked core {many} times from {since_ns} to {at_ns} ns, and may once in {every_ms} ms")
                    });
                }
                Some((most_ns, ..)) if above_ns <= most_ns => {}
                _ => highest = Some((above_ns, number, call)),
            }
        }
    }
}

/// Transfers of the accounts that were called for, by account and the moment at which they were first sent.
fn transfers(source: &dyn Source, context: &Context, calls: &[Call]) -> Result<Vec<Transfer>, ReadError> {
    let mut transfers: Vec<Transfer> = Vec::new();
    for row in money_operations(source) {
        let row = row?;
        let is_called_for = calls.binary_search_by_key(&row.account, |call| call.account).is_ok();
        let Some(sent_ns) = row.sent_ns.filter(|_| row.kind != "deposit" && is_called_for) else { continue };
        // A refusal alone settles nothing: another attempt of the same request may still be on its way.
        transfers.push(Transfer { id: row.transfer, account: row.account, sent_ns, settled_ns: i64::MAX });
    }
    transfers.sort_unstable_by_key(|transfer| transfer.id);
    if context.transfers && !transfers.is_empty() {
        let mut reads = transfer_reads(source);
        while let Some(read) = reads.take()? {
            let is_told = matches!(read.stage.as_deref(), Some("completed" | "rejected" | "failed"));
            if read.store != "channel" || !is_told {
                continue;
            }
            let from = transfers.partition_point(|transfer| transfer.id < read.transfer);
            for transfer in transfers[from..].iter_mut().take_while(|transfer| transfer.id == read.transfer) {
                transfer.settled_ns = transfer.settled_ns.min(read.completed_ns);
            }
        }
    }
    transfers.sort_unstable_by_key(|transfer| (transfer.account, transfer.sent_ns));
    Ok(transfers)
}

fn judge(
    source: &dyn Source,
    following: &Following,
    calls: &[Call],
    names: &[String],
    transfers: &[Transfer],
    tally: &mut Tally,
) -> Result<(), ReadError> {
    let mut served = pages(source);
    for of_account in calls.chunk_by(|a, b| a.account == b.account) {
        let account = of_account[0].account;
        while served.take_if(|key| key.0 < account)?.is_some() {
            tally.look();
        }
        // Begun, over; by the instance asked.
        let mut reads: Vec<Vec<(i64, i64)>> = vec![Vec::new(); names.len()];
        while let Some(page) = served.take_of(account)? {
            tally.look();
            if let Some(caller) = names.iter().position(|name| *name == page.instance) {
                reads[caller].push((page.invoked_ns, page.completed_ns));
            }
        }
        let from = transfers.partition_point(|transfer| transfer.account < account);
        let to = transfers.partition_point(|transfer| transfer.account <= account);
        for of_caller in of_account.chunk_by(|a, b| a.caller == b.caller) {
            let name = &names[of_caller[0].caller];
            let reads = &reads[of_caller[0].caller];
            for call in unasked(of_caller, reads, &transfers[from..to], following) {
                tally.violated(VIOLATION, || {
                    let at_ns = call.begun_ns;
                    format!("account {account}: {name} called core for a read at {at_ns} ns, and no read of it had a transfer in progress then")
                });
            }
            let heads = of_caller.iter().filter(|call| call.is_heads).count();
            if following.calm && heads > reads.len() {
                tally.violated(VIOLATION, || {
                    let many = reads.len();
                    format!("account {account}: {name} asked core for its head {heads} times for {many} reads")
                });
            }
        }
    }
    while served.take()?.is_some() {
        tally.look();
    }
    Ok(())
}

/// Calls of one instance for one account that no read of it explains. All are in the order in which they began.
fn unasked<'a>(
    calls: &'a [Call],
    reads: &[(i64, i64)],
    transfers: &[Transfer],
    following: &Following,
) -> Vec<&'a Call> {
    let outlives_ns = if following.calm { following.read_budget_ns().saturating_add(GRACE_NS) } else { i64::MAX };
    let (mut next_read, mut next_transfer) = (0, 0);
    // Reads that may still want something: by when they began, and by when they are over.
    let mut running: BTreeSet<(i64, usize)> = BTreeSet::new();
    let mut ends: BinaryHeap<Reverse<(i64, usize)>> = BinaryHeap::new();
    let mut settled_last = i64::MIN;
    let mut unasked = Vec::new();
    for call in calls {
        while let Some((invoked_ns, completed_ns)) = reads.get(next_read).filter(|read| read.0 <= call.begun_ns) {
            running.insert((*invoked_ns, next_read));
            ends.push(Reverse((completed_ns.saturating_add(outlives_ns), next_read)));
            next_read += 1;
        }
        while let Some(Reverse((_, read))) = ends.peek().filter(|Reverse((end, _))| *end < call.begun_ns) {
            running.remove(&(reads[*read].0, *read));
            ends.pop();
        }
        while let Some(transfer) = transfers.get(next_transfer).filter(|transfer| transfer.sent_ns <= call.begun_ns) {
            settled_last = settled_last.max(transfer.settled_ns);
            next_transfer += 1;
        }
        let is_explained = running
            .first()
            .is_some_and(|(invoked_ns, _)| following.read_sync == ReadSync::Suspect || settled_last >= *invoked_ns);
        if !is_explained {
            unasked.push(call);
        }
    }
    unasked
}

#[cfg(test)]
mod tests;
