//! O6 fence: what was given up for good is never booked, and nothing is given up before its time (D31, D32).
//!
//! In: what was told of ids, operations, the channel's and core's transfers, core's entries. Out: `late-commit`, `early-expiry`. Elsewhere:
//! bookings behind any other refusal (`fail_absent`), verdicts that contradict each other (`verdict`).
//!
//! Given up means the reasons `expired` and `not_received`, wherever they stand or were told. The budget starts when core has the request, which
//! is after its first attempt was sent: a refusal that was heard before sending plus budget is early by any clock. By how much a commit
//! came after its deadline is never judged. Memory: 16 bytes an id given up, 56 bytes a transfer that was sent.
//!
//! Clocks that were set: `expired` is core's word, by its own monotonic clock, which nobody sets; where core is told to compare two clocks
//! instead (`absolute`), setting one is what this check is to see. `not_received` follows a poller's question, which is due by the clock of
//! the channel's database: it may come early by as much as that clock was set forward meanwhile ([`Leap`]), and by no more. That is
//! harmless, for the tombstone decides, and nobody prevents it (D31).

use bankstorm_record::source::{ReadError, Source};

use crate::check::{Check, Context, Leap, Tally, shown, uuid};
use crate::ordered::{
    Ordered, channel_transfers, core_entries, core_transfers, is_customer, money_operations, transfer_reads,
};

/// O6.
pub struct Fence;

/// Two clocks of one host that read a millisecond apart are no finding.
const TOLERANCE_NS: i64 = 1_000_000;

/// Ids that were told to be given up, and held against their validity: with none, half of this check holds without a case.
const JUDGED: &str = "given_up_judged";

/// When an id was told to be given up first, in nanoseconds, by whose word.
#[derive(Clone, Copy, Default)]
struct Told {
    expired_ns: Option<i64>,
    not_received_ns: Option<i64>,
}

impl Told {
    fn hear(&mut self, reason: &str, at_ns: i64) {
        let first = if reason == "expired" { &mut self.expired_ns } else { &mut self.not_received_ns };
        *first = [*first, Some(at_ns)].into_iter().flatten().min();
    }

    fn or(self, other: Self) -> Self {
        let min = |a: Option<i64>, b: Option<i64>| [a, b].into_iter().flatten().min();
        let expired_ns = min(self.expired_ns, other.expired_ns);
        Self { expired_ns, not_received_ns: min(self.not_received_ns, other.not_received_ns) }
    }

    fn is_nothing(self) -> bool {
        self.expired_ns.is_none() && self.not_received_ns.is_none()
    }
}

/// A transfer that a customer sent.
#[derive(Clone, Copy)]
struct Sent {
    transfer: u128,
    sent_ns: i64,
    /// What the operation itself was told.
    told: Told,
}

impl Check for Fence {
    fn id(&self) -> &'static str {
        "O6"
    }

    fn name(&self) -> &'static str {
        "fence"
    }

    fn explains(&self) -> &'static str {
        "No id that has a tombstone, or that anybody was told had expired, is booked (late-commit), and nobody is told so before the request's \
         validity is over by the harness's clock (early-expiry): given_up_judged tells of how many ids."
    }

    fn fold(&self, source: &dyn Source, context: &Context, tally: &mut Tally) -> Result<(), ReadError> {
        tally.count(JUDGED, 0);
        let mut given_up: Vec<u128> = Vec::new();
        let sent = sent(source, &mut given_up, tally)?;
        if context.transfers {
            Tally::needs(sent.len() as u64, "operations", "transfers")?;
        }
        stores_and_budgets(source, context, &sent, &mut given_up, tally)?;
        given_up.sort_unstable();
        given_up.dedup();
        late_commits(source, &given_up, tally)
    }
}

fn is_given_up(reason: Option<&str>) -> bool {
    matches!(reason, Some("expired" | "not_received"))
}

/// Transfers that were sent, by id, each at its first attempt.
fn sent(source: &dyn Source, given_up: &mut Vec<u128>, tally: &mut Tally) -> Result<Vec<Sent>, ReadError> {
    let mut sent: Vec<Sent> = Vec::new();
    for row in money_operations(source) {
        let row = row?;
        tally.look();
        let is_refused = [&row.outcome, &row.resolved].into_iter().any(|word| word.as_deref() == Some("rejected"));
        let gave_up = is_refused && is_given_up(row.detail.as_deref());
        if gave_up {
            given_up.push(row.transfer);
        }
        let Some(sent_ns) = row.sent_ns.filter(|_| row.kind != "deposit") else { continue };
        let mut told = Told::default();
        // What was heard only when resolved was heard later than this moment.
        if let (Some(at_ns), Some(reason)) = (row.acked_ns, &row.detail)
            && gave_up
            && row.outcome.as_deref() == Some("rejected")
        {
            told.hear(reason, at_ns);
        }
        sent.push(Sent { transfer: row.transfer, sent_ns, told });
    }
    sent.sort_unstable_by_key(|sent| sent.transfer);
    sent.dedup_by(|next, first| {
        let is_same = next.transfer == first.transfer;
        if is_same {
            first.sent_ns = first.sent_ns.min(next.sent_ns);
            first.told = first.told.or(next.told);
        }
        is_same
    });
    Ok(sent)
}

/// What the stores hold and what was told, id by id.
fn stores_and_budgets(
    source: &dyn Source,
    context: &Context,
    sent: &[Sent],
    given_up: &mut Vec<u128>,
    tally: &mut Tally,
) -> Result<(), ReadError> {
    let mut core = core_transfers(source);
    let mut channel = context.transfers.then(|| channel_transfers(source));
    let mut reads = context.transfers.then(|| transfer_reads(source));
    loop {
        let in_channel = channel.as_mut().map(Ordered::key).transpose()?.flatten();
        let told = reads.as_mut().map(Ordered::key).transpose()?.flatten().map(|key| key.0);
        let Some(id) = [core.key()?, in_channel, told].into_iter().flatten().min() else { return Ok(()) };
        tally.look();
        let core = core.last_with(id)?.0;
        let channel = match &mut channel {
            Some(channel) => channel.last_with(id)?.0,
            None => None,
        };
        let mut heard = Told::default();
        while let Some(reads) = &mut reads
            && let Some(read) = reads.take_if(|key| key.0 == id)?
        {
            if let Some(reason) = read.reason.filter(|reason| is_given_up(Some(reason))) {
                heard.hear(&reason, read.completed_ns);
            }
        }
        let in_core = core.as_ref().is_some_and(|row| row.kind == "tombstone" || is_given_up(row.reason.as_deref()));
        if in_core || !heard.is_nothing() || channel.is_some_and(|row| is_given_up(row.reason.as_deref())) {
            given_up.push(id);
        }
        let budget_ms = core.and_then(|row| row.valid_for_ms).or(context.validity_ms);
        if let (Ok(index), Some(budget_ms)) = (sent.binary_search_by_key(&id, |sent| sent.transfer), budget_ms) {
            early(&sent[index], heard, budget_ms, &context.leaps, tally);
        }
    }
}

fn early(sent: &Sent, heard: Told, budget_ms: i64, leaps: &[Leap], tally: &mut Tally) {
    let told = heard.or(sent.told);
    tally.count(JUDGED, u64::from(!told.is_nothing()));
    let Told { expired_ns, not_received_ns } = told;
    let expired = expired_ns.map(|at_ns| (at_ns, "expired", 0));
    let not_received = not_received_ns.map(|at_ns| (at_ns, "not_received", ahead(leaps, sent.sent_ns, at_ns)));
    for (heard_ns, reason, ahead_ns) in [expired, not_received].into_iter().flatten() {
        let due_ns = sent.sent_ns.saturating_add(budget_ms.saturating_mul(1_000_000)).saturating_sub(ahead_ns);
        if heard_ns.saturating_add(TOLERANCE_NS) < due_ns {
            tally.violated("early-expiry", || {
                format!(
                    "transfer {}: first sent at {} ns with {budget_ms} ms of validity, and given up ({reason}) as heard at {heard_ns} ns",
                    uuid(sent.transfer),
                    sent.sent_ns
                )
            });
            return;
        }
    }
}

/// By how much the pollers' clock was set forward in between: what it was set back does not count, for it may have been before.
fn ahead(leaps: &[Leap], from_ns: i64, to_ns: i64) -> i64 {
    let meanwhile = from_ns.saturating_sub(TOLERANCE_NS)..=to_ns.saturating_add(TOLERANCE_NS);
    let leaps = leaps.iter().filter(|leap| meanwhile.contains(&leap.at_ns));
    leaps.fold(0, |sum: i64, leap| sum.saturating_add(leap.by_ns.max(0)))
}

fn late_commits(source: &dyn Source, given_up: &[u128], tally: &mut Tally) -> Result<(), ReadError> {
    let mut entries = core_entries(source);
    while let Some(entry) = entries.take()? {
        if is_customer(entry.account) && given_up.binary_search(&entry.transfer).is_ok() {
            tally.violated("late-commit", || {
                format!(
                    "transfer {} was given up for good, and is booked: account {} seq {}, {} won",
                    uuid(entry.transfer),
                    entry.account,
                    shown(entry.seq),
                    entry.amount
                )
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::bank::{Bank, DECLARED, LOST, PAYER, VALIDITY_MS, assert_only};
    use crate::check::{Check, Context, Leap};

    const MS: i64 = 1_000_000;

    #[test]
    fn a_late_request_booked_behind_its_tombstone() {
        let mut bank = Bank::good();
        bank.post_under(PAYER, LOST, -40);
        bank.assert_fires(
            "O6",
            &format!(
                "late-commit: transfer 0192f000-0000-0000-0000-000000000005 was given up for good, and is \
                                          booked: account {PAYER} seq 7, -40 won"
            ),
        );
        bank.assert_fires("O3", "phantom-booking");
    }

    #[test]
    fn a_booking_of_what_somebody_was_told_had_expired() {
        // P4, P5 off: the resolver read, told, and wrote no fence.
        for told in ["expired", "not_received"] {
            let mut bank = Bank::good();
            let id = bank.core_entry(PAYER, 5).transfer;
            bank.tell_core(id, "rejected", Some(told), VALIDITY_MS * MS);
            bank.assert_fires("O6", "late-commit: transfer ");
            bank.assert_fires("O4", &format!("core told rejected ({told})"));
            // The channel stored it.
            let mut bank = Bank::good();
            let row = bank.channel_transfer(id);
            (row.stage, row.reason, row.seq) = ("failed".to_owned(), Some(told.to_owned()), None);
            bank.assert_fires("O6", "late-commit: transfer ");
            // The customer heard it.
            let mut bank = Bank::good();
            let op = bank.operation(id);
            (op.resolved, op.detail) = (Some("rejected".to_owned()), Some(told.to_owned()));
            bank.assert_fires("O6", "late-commit: transfer ");
        }
    }

    #[test]
    fn how_many_were_held_against_their_validity_is_told() {
        let mut bank = Bank::good();
        let judged = |bank: &Bank| bank.result("O6").figures.get("given_up_judged").copied();
        assert_eq!(judged(&bank), Some(1));
        bank.source.transfer_reads.retain(|row| row.transfer != LOST);
        bank.operation(LOST).resolved = None;
        assert_eq!(judged(&bank), Some(0), "nobody heard of it");
    }

    #[test]
    fn given_up_before_its_time_whoever_heard_it() {
        let mut bank = Bank::good();
        let sent = bank.operation(LOST).sent_ns.expect("sent");
        let read = bank.read_of(LOST, "read");
        assert!(read.completed_ns >= sent + VALIDITY_MS * MS, "the good history waits");
        read.completed_ns = sent + VALIDITY_MS * MS - 2 * MS;
        read.invoked_ns = read.completed_ns - 10;
        assert_only(&bank, &[("O6", "early-expiry: transfer 0192f000-0000-0000-0000-000000000005: first sent at ")]);
        bank.read_of(LOST, "read").completed_ns = sent + VALIDITY_MS * MS;
        bank.assert_all_hold();

        // By its own answer: core's clock was stepped forward, and the request was late on arrival.
        let op = bank.operation(LOST);
        (op.outcome, op.resolved, op.detail) =
            (Some("rejected".to_owned()), Some("rejected".to_owned()), Some("expired".to_owned()));
        op.acked_ns = Some(sent + 3 * MS);
        bank.assert_fires("O6", "as heard at ");
    }

    #[test]
    fn a_question_may_come_early_by_as_much_as_the_pollers_clock_was_set_forward_and_a_refusal_by_core_may_not() {
        let mut bank = Bank::good();
        let sent = bank.operation(LOST).sent_ns.expect("sent");
        let read = bank.read_of(LOST, "read");
        read.completed_ns = sent + VALIDITY_MS * MS - 300 * MS;
        read.invoked_ns = read.completed_ns - 10;
        let violations = |bank: &Bank, leaps: &[(i64, i64)]| {
            let leap = |(at_ns, by_ms): &(i64, i64)| Leap { at_ns: *at_ns, by_ns: by_ms * MS };
            let context = Context { leaps: leaps.iter().map(leap).collect(), ..DECLARED };
            super::Fence.run(&bank.source, &context).violations
        };
        assert_eq!(violations(&bank, &[]), 1);
        assert_eq!(violations(&bank, &[(sent + 10, 300)]), 0);
        assert_eq!(violations(&bank, &[(sent + 10, 200), (sent + 20, 100)]), 0, "both together");
        assert_eq!(violations(&bank, &[(sent + 10, 298)]), 1, "by no more");
        assert_eq!(violations(&bank, &[(sent - 2 * MS, 3_600_000)]), 1, "before there was anything to ask");
        assert_eq!(violations(&bank, &[(sent + VALIDITY_MS * MS, 3_600_000)]), 1, "after it was told");
        assert_eq!(violations(&bank, &[(sent + 10, 300), (sent + 10, -300)]), 0, "which came first does not matter");
        // Core's own clock is another one.
        bank.read_of(LOST, "read").reason = Some("expired".to_owned());
        assert_eq!(violations(&bank, &[(sent + 10, 300)]), 1);
    }

    #[test]
    fn a_transfers_own_validity_is_what_counts_where_core_has_it() {
        let mut bank = Bank::good();
        let row = bank.core_transfer(LOST);
        row.valid_for_ms = Some(VALIDITY_MS * 2);
        assert_only(&bank, &[("O6", "early-expiry")]);
    }
}
