//! What must hold in the end, whatever happened.
//!
//! In: a world that has settled. Out: a panic that names what is wrong, or the run's digest. Elsewhere: the checkers of real runs
//! (`harness/check`); these here are the few that the models can be judged by without them.

use std::collections::BTreeMap;

use bankstorm_contracts::event::{ENTRIES_TOPIC, decode};
use bankstorm_contracts::{EntryKind, TransferState};
use sha2::{Digest, Sha256};

use super::world::{DEPOSITS, Faults, Outcomes, World};

/// Judges a world.
pub(crate) fn judge(world: &World, outcomes: &Outcomes, faults: Faults) -> String {
    books_balance(world);
    each_id_is_posted_once_or_not_at_all(world, outcomes);
    the_copy_is_core(world);
    first_records_of_an_account_are_in_order(world);
    processes_kept_their_heads(world);
    if faults == Faults::Many {
        faults_were_met(world);
    } else {
        assert!(outcomes.values().all(|state| *state != TransferState::Processing));
    }
    digest(world, outcomes)
}

fn books_balance(world: &World) {
    let core = world.core_store.committed();
    let sum: i64 = core.legs.iter().map(|leg| leg.amount.get()).sum();
    assert_eq!(sum, 0, "the sum over all legs");
    for head in core.heads.values() {
        let own = core.entries.values().filter(|entry| entry.account == head.account);
        let (mut seq, mut balance) = (0, 0);
        for entry in own {
            (seq, balance) = (seq + 1, balance + entry.amount.get());
            assert_eq!((entry.seq, entry.balance_after.get()), (seq, balance), "account {}", head.account);
        }
        assert_eq!((head.seq, head.balance.get()), (seq, balance), "head of account {}", head.account);
    }
}

fn each_id_is_posted_once_or_not_at_all(world: &World, outcomes: &Outcomes) {
    let core = world.core_store.committed();
    let mut legs: BTreeMap<_, usize> = BTreeMap::new();
    for leg in core.legs.iter().filter(|leg| leg.kind == EntryKind::Deposit) {
        *legs.entry(leg.transfer).or_default() += 1;
    }
    assert_eq!(outcomes.len() as u64, DEPOSITS, "every deposit has an outcome");
    for (id, outcome) in outcomes {
        let expected = if *outcome == TransferState::Completed { 2 } else { 0 };
        assert_eq!(legs.remove(id).unwrap_or(0), expected, "legs of {id}, which ended {outcome:?}");
    }
    assert!(legs.is_empty(), "postings that nobody asked for: {legs:?}");
}

fn the_copy_is_core(world: &World) {
    let (core, channel) = (world.core_store.committed(), world.channel_store.committed());
    assert_eq!(core.heads, channel.heads, "heads");
    assert_eq!(core.entries, channel.entries, "entries");
    let mut at: BTreeMap<_, i64> = channel.heads.keys().map(|account| (*account, 1)).collect();
    for (_, line) in &channel.journal {
        let at = at.entry(line.account).or_default();
        assert_eq!(line.from_seq, *at, "the journal of account {} goes on where it stopped", line.account);
        assert!(line.to_seq > line.from_seq, "a line of account {} moves nothing", line.account);
        *at = line.to_seq;
    }
    for head in channel.heads.values() {
        assert_eq!(at[&head.account], head.seq, "the journal of account {} ends at its head", head.account);
    }
}

fn first_records_of_an_account_are_in_order(world: &World) {
    let mut last: BTreeMap<_, i64> = BTreeMap::new();
    for record in world.log.records(ENTRIES_TOPIC) {
        let entry = decode(&record.value).expect("core publishes entries");
        let last = last.entry(entry.account).or_insert(1);
        assert!(entry.seq <= *last + 1, "account {}: {} was published after {last}", entry.account, entry.seq);
        *last = (*last).max(entry.seq);
    }
    for head in world.core_store.committed().heads.values() {
        assert_eq!(last.get(&head.account).copied().unwrap_or(1), head.seq, "account {} is published", head.account);
    }
}

fn processes_kept_their_heads(world: &World) {
    assert_eq!(world.core_scope.panicked(), [], "core");
    for channel in &world.channels {
        assert_eq!(channel.outside.scope.panicked(), [], "a channel");
    }
}

/// A fault that was planned and never met proves nothing.
fn faults_were_met(world: &World) {
    let met = [
        ("core commits", world.core_store.commits().fired()),
        ("core steps", world.core_store.steps().fired()),
        ("channel commits", world.channel_store.commits().fired()),
        ("channel steps", world.channel_store.steps().fired()),
        ("produces", world.log.produces().fired()),
    ];
    for (what, fired) in met {
        assert!(fired > 0, "no fault of {what} was met");
    }
}

fn digest(world: &World, outcomes: &Outcomes) -> String {
    let (core, channel) = (world.core_store.committed(), world.channel_store.committed());
    let mut hasher = Sha256::new();
    hasher.update(format!("{:?}{:?}{:?}", core.legs, channel.entries, channel.journal));
    hasher.update(format!("{outcomes:?}{:?}", world.log.records(ENTRIES_TOPIC)));
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
