//! O7 same key, other parameters: the second use is refused, and has no effect.
//!
//! In: operations, what was told of ids, core's and the channel's transfers. Out: `param-drift`. Elsewhere: whether an id was posted more
//! than once (`once`), whether what was posted is what was answered (`ok_booked`).
//!
//! An id is bound to the parameters that stand in a store. Whoever sent others must not have been told of them as of his own: not ok, and by
//! the channel no state at all, by core at least not `completed`. A tombstone is bound to no parameters. Memory: 65 bytes an accepted use, 32 bytes a request.

use bankstorm_record::source::{ReadError, Source};

use crate::check::{Check, Context, Tally, uuid};
use crate::ordered::{Ordered, channel_transfers, core_transfers, money_operations, transfer_reads};

/// O7.
pub struct ParamDrift;

const VIOLATION: &str = "param-drift";
/// Ids that were sent with several parameters: with none, this check holds without a case.
const REUSED: &str = "reused_ids_asked";
/// What a tombstone is bound to.
const TOMBSTONE: [u8; 32] = [0; 32];

/// An id and the first bytes of a hash: what somebody sent.
type Asked = (u128, u64);

/// A use of an id that was accepted.
struct Use {
    transfer: u128,
    params_hash: Vec<u8>,
    told: String,
    /// By whose store; by whichever the operation went through when absent.
    store: Option<String>,
}

impl Check for ParamDrift {
    fn id(&self) -> &'static str {
        "O7"
    }

    fn name(&self) -> &'static str {
        "param_drift"
    }

    fn explains(&self) -> &'static str {
        "An id that comes again with other parameters is refused: nobody was told ok, or a state, for parameters that the id does not \
         stand for, and both stores bind it to the same ones (param-drift). reused_ids_asked tells how many ids were sent with several."
    }

    fn fold(&self, source: &dyn Source, context: &Context, tally: &mut Tally) -> Result<(), ReadError> {
        let mut asked: Vec<Asked> = Vec::new();
        let mut uses = operations(source, &mut asked, tally)?;
        if context.transfers {
            told(source, &mut uses, &mut asked, tally)?;
        }
        tally.count(REUSED, reused(asked));
        uses.sort_by(|a, b| (a.transfer, &a.told).cmp(&(b.transfer, &b.told)));
        let mut core = core_transfers(source);
        let mut channel = context.transfers.then(|| channel_transfers(source));
        let mut rest = uses.as_slice();
        loop {
            let in_channel = channel.as_mut().map(Ordered::key).transpose()?.flatten();
            let next = [rest.first().map(|it| it.transfer), core.key()?, in_channel].into_iter().flatten().min();
            let Some(id) = next else { return Ok(()) };
            let (of_it, after) = rest.split_at(rest.iter().take_while(|it| it.transfer == id).count());
            rest = after;
            let core = core.last_with(id)?.0.map(|row| row.params_hash).filter(|hash| *hash != TOMBSTONE);
            let channel = match &mut channel {
                Some(channel) => channel.last_with(id)?.0.map(|row| row.params_hash),
                None => None,
            };
            judge(id, of_it, core.as_deref(), channel.as_deref(), tally);
        }
    }
}

/// Operations that ended ok; all of them are examined.
fn operations(source: &dyn Source, asked: &mut Vec<Asked>, tally: &mut Tally) -> Result<Vec<Use>, ReadError> {
    let mut uses = Vec::new();
    for row in money_operations(source) {
        let row = row?;
        tally.look();
        if row.sent_ns.is_some() {
            asked.push((row.transfer, beginning(&row.params_hash)));
        }
        if [&row.outcome, &row.resolved].into_iter().any(|word| word.as_deref() == Some("ok")) {
            let told = format!("op {} was answered ok", row.op);
            uses.push(Use { transfer: row.transfer, params_hash: row.params_hash, told, store: None });
        }
    }
    Ok(uses)
}

/// Requests that were told a state of the id as of their own.
fn told(source: &dyn Source, uses: &mut Vec<Use>, asked: &mut Vec<Asked>, tally: &mut Tally) -> Result<(), ReadError> {
    let mut reads = transfer_reads(source);
    while let Some(row) = reads.take()? {
        tally.look();
        let Some(params_hash) = row.params_hash else { continue };
        asked.push((row.transfer, beginning(&params_hash)));
        let Some(stage) = row.stage else { continue };
        if row.store == "channel" || stage == "completed" {
            let told = format!("a {} to {} at {} ns was told {stage}", row.via, row.instance, row.invoked_ns);
            uses.push(Use { transfer: row.transfer, params_hash, told, store: Some(row.store) });
        }
    }
    Ok(())
}

/// Enough of a hash to tell it from another one under the same id.
fn beginning(hash: &[u8]) -> u64 {
    hash.iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}

/// How many ids were sent with more than one set of parameters.
fn reused(mut asked: Vec<Asked>) -> u64 {
    asked.sort_unstable();
    asked.dedup();
    asked.chunk_by(|a, b| a.0 == b.0).filter(|of_it| of_it.len() > 1).count() as u64
}

fn judge(id: u128, uses: &[Use], core: Option<&[u8]>, channel: Option<&[u8]>, tally: &mut Tally) {
    if let (Some(core), Some(channel)) = (core, channel)
        && core != channel
    {
        tally.violated(VIOLATION, || {
            format!("transfer {}: bound to other parameters in core than in the channel", uuid(id))
        });
    }
    for (accepted, name) in uses.iter().flat_map(|it| [(it, "core"), (it, "channel")]) {
        let bound = if name == "core" { core } else { channel };
        let asked = accepted.store.as_deref().is_none_or(|store| store == name);
        if asked && bound.is_some_and(|bound| bound != accepted.params_hash) {
            let told = &accepted.told;
            tally.violated(VIOLATION, || {
                format!("transfer {}: {told}, and {name} has it with other parameters", uuid(id))
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::bank::{Bank, LOST, PAYER, assert_only};

    /// Another amount under the id of an operation that was booked; gives the id.
    fn reuse(bank: &mut Bank, resolved: &str) -> u128 {
        let id = bank.core_entry(PAYER, 4).transfer;
        let mut second = bank.operation(id).clone();
        (second.op, second.amount) = (100, second.amount + 1);
        second.params_hash[0] ^= 1;
        (second.outcome, second.resolved) = (Some(resolved.to_owned()), Some(resolved.to_owned()));
        bank.source.operations.push(second);
        id
    }

    #[test]
    fn a_second_use_with_another_amount_is_refused() {
        let mut bank = Bank::good();
        let reused = |bank: &Bank| bank.result("O7").figures.get("reused_ids_asked").copied();
        assert_eq!(reused(&bank), Some(0), "it holds, and without a case");
        let id = reuse(&mut bank, "rejected");
        bank.assert_all_hold();
        assert_eq!(reused(&bank), Some(1));
        bank.operation(id).sent_ns = None;
        bank.source.transfer_reads.retain(|row| row.transfer != id);
        assert_eq!(reused(&bank), Some(0), "one of the two was never sent");
        let mut bank = Bank::good();
        reuse(&mut bank, "ok");
        bank.assert_fires("O7", "op 100 was answered ok, and core has it with other parameters");
    }

    #[test]
    fn nobody_is_told_a_state_for_parameters_that_the_id_does_not_stand_for() {
        let mut bank = Bank::good();
        let id = bank.core_entry(PAYER, 4).transfer;
        let read = bank.read_of(id, "submit");
        read.params_hash = read.params_hash.clone().map(|hash| hash.into_iter().map(|byte| byte ^ 1).collect());
        assert_only(&bank, &[("O7", "was told completed, and channel has it with other parameters")]);
        // Refused as another request it names no state.
        let read = bank.read_of(id, "submit");
        (read.stage, read.seq, read.outcome) = (None, None, "rejected".to_owned());
        bank.assert_all_hold();
    }

    #[test]
    fn both_stores_bind_an_id_to_the_same_parameters_unless_core_never_got_them() {
        let mut bank = Bank::good();
        assert_eq!(bank.core_transfer(LOST).kind, "tombstone", "a good history has one");
        let id = bank.core_entry(PAYER, 4).transfer;
        bank.channel_transfer(id).params_hash[3] ^= 1;
        bank.assert_fires("O7", "bound to other parameters in core than in the channel");
    }
}
