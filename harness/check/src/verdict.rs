//! O4 verdict lattice: where an id stands only moves forward, and ends in one verdict, whoever is asked.
//!
//! In: operations, what was told of ids, core's and the channel's transfers. Out: `verdict-flip`. Elsewhere: whether a verdict is true
//! (`ok_booked`, `fail_absent`), whether there is one (`resolved`), ids with two sets of parameters (`param_drift`).
//!
//! What core told (reads of its store) is kept by simulated worlds only: on real processes core's side is what stands in it at the end.
//! Per store, of two answers that did not overlap the later never tells less, and a verdict that was told stands in that store at the end.
//! Across stores, a verdict of the channel is core's: `completed`, or core's reason; `failed` is the tombstone's, or of a call that never
//! began. Where core leaves no tombstones, nothing contradicts `failed` there but a booking, or a refusal for another reason than its lateness.
//! Memory: one id's answers.

use bankstorm_contracts::TransferState;
use bankstorm_contracts::channel_api::TransferStage;
use bankstorm_record::rows::{ChannelTransferRow, CoreTransferRow, TransferReadRow};
use bankstorm_record::source::{ReadError, Source};

use crate::check::{Check, Context, Tally, shown, uuid};
use crate::ordered::{channel_transfers, core_transfers, money_operations, transfer_reads};

/// O4.
pub struct VerdictLattice;

const VIOLATION: &str = "verdict-flip";
const NOT_RECEIVED: &str = "not_received";
const EXPIRED: &str = "expired";

/// Where an id stands in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    /// Rises as the id moves forward; all verdicts are the same height.
    height: u8,
    is_verdict: bool,
    word: String,
    reason: Option<String>,
    seq: Option<i64>,
}

impl Check for VerdictLattice {
    fn id(&self) -> &'static str {
        "O4"
    }

    fn name(&self) -> &'static str {
        "verdict_lattice"
    }

    fn explains(&self) -> &'static str {
        "Where a transfer stands never goes back, for whoever asks one time after another, and core, the channel and everybody who was told a \
         verdict have the same one (verdict-flip). What core told on the way is seen in simulated worlds only: on real processes its side \
         is the verdicts that stand in it at the end."
    }

    fn needs_rest(&self) -> bool {
        true
    }

    fn fold(&self, source: &dyn Source, context: &Context, tally: &mut Tally) -> Result<(), ReadError> {
        operations(source, tally)?;
        if !context.transfers {
            return Ok(());
        }
        let mut core = core_transfers(source);
        let mut channel = channel_transfers(source);
        let mut reads = transfer_reads(source);
        let (mut stored, mut told) = (0_u64, 0_u64);
        let mut of_it: Vec<TransferReadRow> = Vec::new();
        loop {
            let next_read = reads.key()?.map(|key| key.0);
            let Some(id) = [core.key()?, channel.key()?, next_read].into_iter().flatten().min() else { break };
            let core = core.last_with(id)?.0;
            let channel = channel.last_with(id)?.0;
            of_it.clear();
            while let Some(read) = reads.take_if(|key| key.0 == id)? {
                of_it.push(read);
            }
            stored += u64::from(channel.is_some());
            told += of_it.len() as u64;
            if channel.is_some() || !of_it.is_empty() {
                if let Some(problem) = channel.as_ref().and_then(|channel| across(core.as_ref(), channel, context)) {
                    tally.violated(VIOLATION, || format!("transfer {}: {problem}", uuid(id)));
                }
                judge(id, core.as_ref(), channel.as_ref(), &of_it, tally)?;
            }
        }
        Tally::needs(stored, "channel_transfer", "transfers")?;
        Tally::needs(told, "transfer_read", "transfers")
    }
}

/// The first answer and the last one to an operation.
fn operations(source: &dyn Source, tally: &mut Tally) -> Result<(), ReadError> {
    for row in money_operations(source) {
        let row = row?;
        tally.look();
        let (Some(first), Some(last)) = (&row.outcome, &row.resolved) else { continue };
        let is_verdict = |word: &str| matches!(word, "ok" | "rejected");
        if is_verdict(first) && is_verdict(last) && first != last {
            tally.violated(VIOLATION, || {
                format!(
                    "op {} (transfer {}) was answered {first}, and {last} when resolved",
                    row.op,
                    uuid(row.transfer)
                )
            });
        }
    }
    Ok(())
}

fn judge(
    id: u128,
    core: Option<&CoreTransferRow>,
    channel: Option<&ChannelTransferRow>,
    reads: &[TransferReadRow],
    tally: &mut Tally,
) -> Result<(), ReadError> {
    tally.look();
    for store in ["core", "channel"] {
        let stands = match store {
            "core" => core.map(in_core).transpose()?,
            _ => channel.map(in_channel).transpose()?,
        };
        let told: Vec<(&TransferReadRow, State)> = states(store, reads)?;
        told.iter().for_each(|_| tally.look());
        for problem in went_back(&told).into_iter().chain(not_as_it_stands(&told, stands.as_ref())) {
            tally.violated(VIOLATION, || format!("transfer {}: {store} {problem}", uuid(id)));
        }
    }
    if let Some(read) = reads.iter().find(|read| !matches!(read.store.as_str(), "core" | "channel")) {
        return Err(unreadable("transfer_read", id, "store", &read.store));
    }
    Ok(())
}

fn unreadable(file: &str, id: u128, field: &str, word: &str) -> ReadError {
    ReadError { file: file.to_owned(), problem: format!("transfer {}: {field} is {word:?}", uuid(id)) }
}

fn in_core(row: &CoreTransferRow) -> Result<State, ReadError> {
    core_state(&row.state, row.reason.clone(), row.seq)
        .ok_or_else(|| unreadable("core_transfer", row.transfer, "state", &row.state))
}

fn in_channel(row: &ChannelTransferRow) -> Result<State, ReadError> {
    channel_state(&row.stage, row.reason.clone(), row.seq)
        .ok_or_else(|| unreadable("channel_transfer", row.transfer, "stage", &row.stage))
}

fn core_state(word: &str, reason: Option<String>, seq: Option<i64>) -> Option<State> {
    let is_verdict = TransferState::from_word(word)? != TransferState::Processing;
    Some(State { height: u8::from(is_verdict), is_verdict, word: word.to_owned(), reason, seq })
}

fn channel_state(word: &str, reason: Option<String>, seq: Option<i64>) -> Option<State> {
    let stage = TransferStage::from_word(word)?;
    let height = if stage.is_terminal() { 3 } else { stage as u8 };
    Some(State { height, is_verdict: stage.is_terminal(), word: word.to_owned(), reason, seq })
}

/// What one store told, in the order in which it was asked.
fn states<'a>(store: &str, reads: &'a [TransferReadRow]) -> Result<Vec<(&'a TransferReadRow, State)>, ReadError> {
    let mut states = Vec::new();
    for read in reads.iter().filter(|read| read.store == store) {
        let Some(word) = &read.stage else { continue };
        let make = if store == "core" { core_state } else { channel_state };
        let state = make(word, read.reason.clone(), read.seq);
        states.push((read, state.ok_or_else(|| unreadable("transfer_read", read.transfer, "stage", word))?));
    }
    Ok(states)
}

/// Answers that tell less than one that was complete before they were asked for.
fn went_back(told: &[(&TransferReadRow, State)]) -> Vec<String> {
    let mut complete: Vec<usize> = (0..told.len()).collect();
    complete.sort_unstable_by_key(|index| told[*index].0.completed_ns);
    let mut complete = complete.into_iter().peekable();
    let mut highest: Option<usize> = None;
    let mut problems = Vec::new();
    for (read, state) in told {
        while let Some(index) = complete.next_if(|index| told[*index].0.completed_ns < read.invoked_ns) {
            highest = highest.filter(|best| told[*best].1.height >= told[index].1.height).or(Some(index));
        }
        if let Some(best) = highest.filter(|best| told[*best].1.height > state.height) {
            let (before, was) = &told[best];
            problems.push(format!(
                "told {} at {} ns, and {} when asked at {} ns",
                was.told(),
                before.completed_ns,
                state.told(),
                read.invoked_ns
            ));
        }
    }
    problems
}

/// Verdicts that were told and do not stand at the end, and states of ids that are not there at all.
fn not_as_it_stands(told: &[(&TransferReadRow, State)], stands: Option<&State>) -> Vec<String> {
    let differs = |state: &State| match stands {
        // Core may have had it in work and given it up (`processing`); what a channel tells was stored before.
        None => state.height > 0 || state.word != TransferState::Processing.as_str(),
        Some(stands) => {
            let serial = state.seq.is_some() && state.seq != stands.seq;
            state.is_verdict && (serial || (&state.word, &state.reason) != (&stands.word, &stands.reason))
        }
    };
    let told = told.iter().filter(|(_, state)| differs(state));
    let stands =
        stands.map_or_else(|| "has no such transfer".to_owned(), |stands| format!("has it as {}", stands.told()));
    told.map(|(read, state)| format!("told {} at {} ns, and at the end {stands}", state.told(), read.completed_ns))
        .collect()
}

/// The channel's verdict against core's, once both are there.
fn across(core: Option<&CoreTransferRow>, channel: &ChannelTransferRow, context: &Context) -> Option<String> {
    const TOMBSTONE: &str = "tombstone";
    // Under other parameters it is another transfer: O7's finding.
    let core = core.filter(|core| core.kind == TOMBSTONE || core.params_hash == channel.params_hash);
    let (state, reason) = core.map_or(("absent", None), |core| (core.state.as_str(), core.reason.as_deref()));
    let agrees = match (channel.stage.as_str(), channel.reason.as_deref()) {
        ("completed", _) => state == "completed",
        ("rejected", Some(told)) => state == "rejected" && reason == Some(told) && told != NOT_RECEIVED,
        // Refused as a request: core keeps nothing of it.
        ("rejected", None) => state == "absent",
        ("failed", Some(NOT_RECEIVED)) if context.no_tombstones => {
            state == "absent" || (state == "rejected" && matches!(reason, Some(NOT_RECEIVED | EXPIRED)))
        }
        ("failed", Some(told)) => state == "rejected" && reason == Some(told) && told == NOT_RECEIVED,
        // The call never began; somebody may have asked for it nevertheless.
        ("failed", None) => state == "absent" || reason == Some(NOT_RECEIVED),
        _ => return None,
    };
    (!agrees).then(|| {
        let stage = State::shown(&channel.stage, channel.reason.as_deref(), channel.seq);
        let core = core.map_or_else(
            || "core has no such transfer".to_owned(),
            |core| format!("core has it as {}", State::shown(&core.state, core.reason.as_deref(), core.seq)),
        );
        format!("the channel has it as {stage}, {core}")
    })
}

impl State {
    fn told(&self) -> String {
        Self::shown(&self.word, self.reason.as_deref(), self.seq)
    }

    fn shown(word: &str, reason: Option<&str>, seq: Option<i64>) -> String {
        let reason = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
        let seq = seq.map_or_else(String::new, |seq| format!(" with seq {}", shown(Some(seq))));
        format!("{word}{reason}{seq}")
    }
}

#[cfg(test)]
mod tests {
    use bankstorm_record::run_json::GuaranteeVerdict;

    use super::VerdictLattice;
    use crate::bank::{Bank, DECLARED, LOST, PAYER, POSTED, REFUSED, assert_only};
    use crate::check::{Check, Context};

    #[test]
    fn a_verdict_given_while_the_request_was_under_way_was_wrong() {
        // P6 off: the status was a plain read, the late request was booked afterwards.
        let mut bank = Bank::good();
        let id = bank.core_entry(PAYER, 4).transfer;
        let row = bank.channel_transfer(id);
        (row.stage, row.reason, row.seq) = ("failed".to_owned(), Some("not_received".to_owned()), None);
        bank.assert_fires("O4", "the channel has it as failed (not_received), core has it as completed with seq 4");
        bank.assert_fires("O3", "is failed in the channel");
    }

    #[test]
    fn the_channels_verdict_is_cores() {
        for (stage, reason) in
            [("rejected", Some("account_closed")), ("rejected", None), ("failed", None), ("completed", None)]
        {
            let mut bank = Bank::good();
            let row = bank.channel_transfer(REFUSED);
            (row.stage, row.reason) = (stage.to_owned(), reason.map(str::to_owned));
            bank.assert_fires("O4", "core has it as rejected (insufficient_funds)");
        }
        // A call that never began leaves nothing in core, and that is no contradiction.
        let mut bank = Bank::good();
        bank.source.core_transfers.retain(|row| row.transfer != LOST);
        bank.assert_fires("O4", "the channel has it as failed (not_received), core has no such transfer");
        // Where core leaves no tombstones, none is missed; what was booked contradicts the verdict all the same.
        let without = Context { no_tombstones: true, ..DECLARED };
        assert_eq!(VerdictLattice.run(&bank.source, &without).verdict, GuaranteeVerdict::Holds);
        // What came too late was refused for that: no as well.
        let mut late = Bank::good();
        let row = late.source.core_transfers.iter_mut().find(|row| row.transfer == REFUSED).expect("in core");
        row.reason = Some(super::EXPIRED.to_owned());
        let row = late.channel_transfer(REFUSED);
        (row.stage, row.reason) = ("failed".to_owned(), Some(super::NOT_RECEIVED.to_owned()));
        late.source.transfer_reads.retain(|read| read.transfer != REFUSED);
        late.assert_fires("O4", "core has it as rejected (expired)");
        assert_eq!(VerdictLattice.run(&late.source, &without).verdict, GuaranteeVerdict::Holds);
        let mut booked = Bank::good();
        let id = booked.core_entry(PAYER, 4).transfer;
        let row = booked.channel_transfer(id);
        (row.stage, row.reason, row.seq) = ("failed".to_owned(), Some(super::NOT_RECEIVED.to_owned()), None);
        assert_eq!(VerdictLattice.run(&booked.source, &without).verdict, GuaranteeVerdict::Violated);
        bank.channel_transfer(LOST).reason = None;
        for read in bank.source.transfer_reads.iter_mut().filter(|read| read.transfer == LOST) {
            read.reason = None;
        }
        bank.assert_all_hold();
    }

    #[test]
    fn what_one_is_told_never_goes_back() {
        let mut bank = Bank::good();
        let end = bank.read_of(POSTED, "read").completed_ns;
        let later = bank.read_of(POSTED, "submit").clone();
        let mut again = later;
        (again.invoked_ns, again.completed_ns) = (end + 10, end + 20);
        (again.stage, again.seq, again.outcome) = (Some("sent".to_owned()), None, "unknown".to_owned());
        bank.source.transfer_reads.push(again);
        bank.sort_reads();
        assert_only(&bank, &[("O4", "channel told completed with seq 6 at ")]);
        // Two reads at the same time may come in any order.
        let overlapping =
            bank.source.transfer_reads.iter_mut().find(|read| read.invoked_ns == end + 10).expect("pushed");
        overlapping.invoked_ns = end;
        bank.sort_reads();
        bank.assert_all_hold();
    }

    #[test]
    fn a_verdict_that_was_told_stands_at_the_end() {
        let mut bank = Bank::good();
        bank.read_of(POSTED, "read").seq = Some(7);
        assert_only(&bank, &[("O4", "told completed with seq 7 at ")]);
        let mut bank = Bank::good();
        bank.read_of(REFUSED, "submit").reason = Some("account_closed".to_owned());
        assert_only(&bank, &[("O4", "told rejected (account_closed) at ")]);
        let mut bank = Bank::good();
        bank.source.channel_transfers.retain(|row| row.transfer != REFUSED);
        assert_only(&bank, &[("O4", "channel told rejected (insufficient_funds) at ")]);
    }

    #[test]
    fn core_told_two_verdicts_on_one_deposit() {
        let mut bank = Bank::good();
        let id = bank.core_entry(1_000_000, 5).transfer;
        bank.tell_core(id, "rejected", Some("not_received"), 1);
        assert_only(&bank, &[("O4", "core told rejected (not_received) at "), ("O6", "late-commit")]);
        let mut bank = Bank::good();
        let op = bank.operation_of(1_000_000, 5);
        op.outcome = Some("rejected".to_owned());
        assert_only(&bank, &[("O4", "was answered rejected, and ok when resolved")]);
    }

    #[test]
    fn what_core_had_in_work_and_gave_up_may_be_gone() {
        let mut bank = Bank::good();
        let mut gone = bank.operation_of(1_000_000, 5).clone();
        (gone.op, gone.transfer, gone.kind) = (100, 1, "deposit".to_owned());
        (gone.outcome, gone.resolved, gone.seq) = (Some("failed".to_owned()), Some("failed".to_owned()), None);
        bank.source.operations.push(gone);
        bank.tell_core(1, "processing", None, 1);
        bank.assert_all_hold();
        bank.read_of(1, "resolve").stage = Some("rejected".to_owned());
        assert_only(&bank, &[("O4", "core told rejected at ")]);
        let read = bank.read_of(1, "resolve");
        (read.store, read.stage) = ("channel".to_owned(), Some("pending".to_owned()));
        assert_only(&bank, &[("O4", "channel told pending at ")]);
    }

    #[test]
    fn without_a_single_answer_nobody_can_tell() {
        let mut bank = Bank::good();
        bank.source.transfer_reads.clear();
        assert_eq!(bank.result("O4").verdict, GuaranteeVerdict::Unknown);
    }
}
