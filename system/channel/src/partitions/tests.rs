//! Behaviour of a member's bookkeeping.

use std::sync::Arc;

use bankstorm_contracts::dead_letter::Class;
use bankstorm_contracts::{AccountNo, Entry, EntryKind, Seq, TransferId, WallMicros, Won, event};
use bankstorm_outside::log::{Assignment, Record, TopicPartition};

use super::{Delivery, End, Job, Lane, Partitions, Step};
use crate::advance::{AdvanceError, Origin};
use crate::config::{ChannelConfig, GenerationFence, Offsets, Share, SlotHash, WorkerMode};
use crate::ownership::{Claim, Holding};
use crate::slots::slot;

fn at(partition: i32) -> TopicPartition {
    TopicPartition { topic: "t".to_owned(), partition }
}

fn record(partition: i32, offset: i64, account: i64, seq: Seq) -> Record {
    let entry = Entry {
        account: AccountNo::new(account),
        seq,
        amount: Won::new(1),
        balance_after: Won::new(seq),
        transfer: TransferId("00000000-0000-0000-0000-000000000001".parse::<TransferId>().expect("an id").0),
        kind: EntryKind::Deposit,
        posted_at: WallMicros(0),
    };
    Record { at: at(partition), offset, key: event::key(entry.account), value: event::encode(&entry) }
}

fn member(config: &ChannelConfig, partitions: &[i32]) -> Partitions {
    let mut member = Partitions::new(config);
    owned(&mut member, partitions, 4);
    member
}

/// Partitions come in a generation, and the store takes it.
fn owned(member: &mut Partitions, partitions: &[i32], generation: i32) {
    let claim = assign(member, partitions, Some(generation)).expect("the store has to be told");
    assert_eq!(member.adopt(&claim, &[]), []);
}

fn assign(member: &mut Partitions, partitions: &[i32], generation: Option<i32>) -> Option<Claim> {
    member.assign(Assignment { partitions: partitions.iter().copied().map(at).collect(), generation })
}

fn jobs(member: &mut Partitions) -> Vec<Job> {
    std::iter::from_fn(|| member.next_job()).collect()
}

#[test]
fn watermark_follows_completions_and_waits_for_the_slow_account() {
    let mut member = member(&ChannelConfig::default(), &[0]);
    for (offset, account) in [(0, 1), (1, 2), (2, 2)] {
        assert_eq!(member.deliver(record(0, offset, account, offset + 1)), Delivery::Queued);
    }
    let slow = member.next_job().expect("account 1");
    let fast = member.next_job().expect("account 2");
    assert_eq!(fast.offsets, [1, 2], "an account's queue is drained at once");
    let origin = Origin::Record { topic: "t".into(), partition: 0, holding: Arc::new(Holding::new(Some(4))) };
    assert_eq!(fast.mv.origin, origin);
    assert!(member.next_job().is_none());
    assert!(member.complete(&fast.complete(End::Done)));
    assert_eq!(member.committable(), [(at(0), 0)], "nothing below the slow record is done");
    assert!(member.complete(&slow.complete(End::Done)));
    assert_eq!(member.committable(), [(at(0), 3)]);
    member.committed(&[(at(0), 3)]);
    assert_eq!(member.committable(), []);
}

#[test]
fn workers_bound_the_accounts_in_work_per_partition() {
    let mut member = member(&ChannelConfig { workers: 2, ..ChannelConfig::default() }, &[0, 1]);
    for account in 1..=5 {
        member.deliver(record(0, account, account, 1));
        member.deliver(record(1, account, 10 + account, 1));
    }
    assert_eq!((jobs(&mut member).len(), member.in_work(), member.slots_used()), (4, 4, 4));
}

#[test]
fn serial_mode_works_one_record_at_a_time() {
    let mut member = member(&ChannelConfig { worker_mode: WorkerMode::Serial, ..ChannelConfig::default() }, &[0]);
    member.deliver(record(0, 0, 1, 1));
    member.deliver(record(0, 1, 2, 1));
    let first = member.next_job().expect("the first record");
    assert_eq!((first.lane, first.offsets.as_slice()), (Lane::Partition, [0].as_slice()));
    assert!(member.next_job().is_none());
    member.complete(&first.complete(End::Done));
    assert_eq!(member.next_job().expect("the second").offsets, [1]);
}

#[test]
fn a_draining_partition_takes_and_starts_nothing_and_commits_what_is_done() {
    let mut member = member(&ChannelConfig::default(), &[0]);
    member.deliver(record(0, 0, 1, 1));
    let job = member.next_job().expect("a job");
    member.deliver(record(0, 1, 2, 1));
    let epochs = member.drain(&[at(0)]);
    assert!(member.next_job().is_none());
    assert_eq!(member.deliver(record(0, 2, 3, 1)), Delivery::NotOurs);
    assert_eq!(member.in_work_of(&epochs), 1);
    member.complete(&job.complete(End::Done));
    assert_eq!(member.in_work_of(&epochs), 0);
    assert_eq!(member.committable(), [(at(0), 1)]);
    member.forget(&epochs);
    assert_eq!(member.all(), []);
}

#[test]
fn a_late_completion_of_an_old_epoch_is_not_heard() {
    let mut member = member(&ChannelConfig::default(), &[0]);
    member.deliver(record(0, 0, 1, 1));
    let old = member.next_job().expect("a job");
    member.lose(&[at(0)]);
    assert!(old.epoch.has_ended());
    owned(&mut member, &[0], 5);
    member.deliver(record(0, 0, 1, 1));
    let new = member.next_job().expect("the same record, anew");
    assert!(!member.complete(&old.complete(End::Done)));
    assert_eq!(member.committable(), [(at(0), 0)]);
    assert!(member.complete(&new.complete(End::Done)));
    assert_eq!(member.committable(), [(at(0), 1)]);
}

#[test]
fn a_full_span_pauses_and_half_of_it_resumes() {
    let mut member = member(&ChannelConfig { span: 4, ..ChannelConfig::default() }, &[0]);
    assert_eq!(
        member.to_turn(),
        [(at(0), false)],
        "an assignment begins with a resume, whatever was asked for before it"
    );
    member.turned(&at(0), false);
    (0..4).for_each(|offset| assert_eq!(member.deliver(record(0, offset, offset, 1)), Delivery::Queued));
    for _ in 0..2 {
        assert_eq!(member.to_turn(), [(at(0), true)], "told until it is done");
    }
    member.turned(&at(0), true);
    assert_eq!(member.to_turn(), []);
    for resumed in [vec![], vec![(at(0), false)]] {
        let job = member.next_job().expect("a job");
        member.complete(&job.complete(End::Done));
        assert_eq!(member.to_turn(), resumed);
    }
}

#[test]
fn what_cannot_be_read_keeps_its_place_in_its_account() {
    let mut member = member(&ChannelConfig::default(), &[0]);
    let garbage = |offset, key: &[u8]| Record { at: at(0), offset, key: key.to_vec(), value: b"?".to_vec() };
    member.deliver(record(0, 0, 7, 1));
    member.deliver(garbage(1, b"7"));
    member.deliver(garbage(2, b"who"));
    let named = member.next_job().expect("account 7");
    assert_eq!((named.lane, named.offsets.as_slice()), (Lane::Account(AccountNo::new(7)), [0, 1].as_slice()));
    assert!(named.mv.records.len() == 1 && named.has_more(), "what was read comes first");
    let nameless = member.next_job().expect("the other");
    assert_eq!(nameless.lane, Lane::Nameless(2));
    assert!(nameless.mv.records.is_empty() && nameless.unreadable().is_some());
    assert_eq!(member.deliver(garbage(2, b"who")), Delivery::Again);
}

#[test]
fn a_job_goes_on_record_by_record_once_one_failed_and_fails_with_every_byte_of_it() {
    let mut member = member(&ChannelConfig::default(), &[0]);
    let garbage = Record { at: at(0), offset: 2, key: b"7".to_vec(), value: vec![0, 255] };
    member.deliver(record(0, 0, 7, 1));
    member.deliver(record(0, 1, 7, 2));
    member.deliver(garbage);
    member.deliver(record(0, 3, 7, 4));
    let mut job = member.next_job().expect("account 7");
    assert_eq!((job.next(), job.mv.records.len()), (Step::Records, 2));
    assert!(job.narrow() && !job.narrow(), "it is narrow from then on");
    assert_eq!(job.mv.records.len(), 1);
    let error = AdvanceError::Held(AccountNo::new(7));
    let first = job.fail(&error, Class::Transient, 3).expect("the first record");
    assert_eq!((first.offset, first.seq, first.attempts, first.code.as_str()), (0, Some(1), 3, "held"));
    assert_eq!(first.value, record(0, 0, 7, 1).value);
    assert_eq!((job.next(), job.mv.records.len()), (Step::Records, 1));
    job.mv.records.clear();
    assert_eq!(job.next(), Step::Unreadable);
    let unreadable = job.unreadable().expect("it cannot be read");
    let third = job.fail(&unreadable, Class::Permanent, 1).expect("the third record");
    assert_eq!((third.account, third.seq, third.value), (Some(AccountNo::new(7)), None, vec![0, 255]));
    assert_eq!(job.next(), Step::Records);
    job.mv.records.clear();
    assert_eq!((job.next(), job.offsets.as_slice()), (Step::Done, [0, 1, 2, 3].as_slice()));
}

#[test]
fn d14_slots_take_one_record_at_a_time_and_hold_up_those_who_share_them() {
    let config = ChannelConfig { worker_mode: WorkerMode::Slots, workers: 1, ..ChannelConfig::default() };
    let mut member = member(&config, &[0]);
    for (offset, account) in [(0, 1), (1, 1), (2, 2)] {
        member.deliver(record(0, offset, account, 1));
    }
    for offset in 0..3 {
        let job = member.next_job().expect("a job");
        assert_eq!((job.lane, job.offsets.as_slice()), (Lane::Slot(0), [offset].as_slice()));
        assert!(member.next_job().is_none(), "the slot has its worker");
        member.complete(&job.complete(End::Done));
    }
    assert_eq!((member.slots_used(), member.committable()), (1, vec![(at(0), 3)]));
}

#[test]
fn d14_independent_slots_are_all_used_and_those_of_the_partitioner_are_not() {
    for (slot_hash, least, most) in [(SlotHash::Independent, 96, 100), (SlotHash::Partitioner, 10, 10)] {
        let config = ChannelConfig { worker_mode: WorkerMode::Slots, slot_hash, ..ChannelConfig::default() };
        let mut member = member(&config, &[0]);
        let of_partition =
            (1_000_001..).filter(|account| slot(SlotHash::Partitioner, AccountNo::new(*account), 10) == 3);
        for (offset, account) in (0..2_000).zip(of_partition) {
            member.deliver(record(0, offset, account, 1));
        }
        let used = jobs(&mut member).len();
        assert!((least..=most).contains(&used) && member.slots_used() == used, "{slot_hash:?}: {used}");
    }
}

#[test]
fn d36_nothing_begins_before_the_store_knows_the_generation_and_what_is_retained_goes_on() {
    let mut member = member(&ChannelConfig::default(), &[0]);
    member.deliver(record(0, 0, 1, 1));
    let begun = member.next_job().expect("a job of the first generation");
    let claim = assign(&mut member, &[1], Some(5)).expect("the store has to be told");
    let numbers: Vec<_> = claim.epochs.iter().map(|epoch| epoch.at.partition).collect();
    assert_eq!((numbers.as_slice(), claim.generation), ([0, 1].as_slice(), 5), "the retained one with it");
    member.deliver(record(1, 0, 2, 1));
    member.deliver(record(0, 1, 3, 1));
    let [retained] = jobs(&mut member).try_into().expect("one job: partition 1 waits");
    assert_eq!((retained.epoch.at.partition, retained.epoch.holding.held()), (0, Some(4)));
    assert_eq!(member.adopt(&claim, &[]), []);
    assert_eq!(begun.epoch.holding.held(), Some(5), "a job begun before adopts it");
    assert_eq!(member.next_job().expect("now").epoch.holding.held(), Some(5));
}

#[test]
fn d36_what_a_newer_generation_owns_is_lost_unless_it_is_ones_own() {
    let mut member = member(&ChannelConfig::default(), &[0, 1]);
    let older = assign(&mut member, &[], Some(5)).expect("a claim");
    let newer = assign(&mut member, &[], Some(6)).expect("a claim");
    assert_eq!(member.adopt(&newer, &[1]), [at(1)], "somebody else's");
    assert_eq!(member.adopt(&older, &[0, 1]), [], "refused by the member's own later claim");
    assert_eq!(member.all(), [at(0)]);

    member.deliver(record(0, 0, 1, 1));
    let fenced = member.next_job().expect("a job").complete(End::Fenced);
    assert!(member.complete(&fenced));
    assert_eq!((fenced.lost(), member.all()), (Some(&at(0)), vec![]));
}

#[test]
fn p22_off_and_logs_without_generations_are_not_fenced() {
    let off = ChannelConfig { generation_fence: GenerationFence::Off, ..ChannelConfig::default() };
    for (config, generation) in [(off, Some(4)), (ChannelConfig::default(), None)] {
        let mut member = Partitions::new(&config);
        assert!(assign(&mut member, &[0], generation).is_none());
        member.deliver(record(0, 0, 1, 1));
        assert_eq!(member.next_job().expect("at once").epoch.holding.held(), generation, "what the journal says");
    }
}

#[test]
fn p20_and_p21_off_commit_ahead_of_what_is_done() {
    let orders = [
        (Offsets::LowWatermark, [Some(0), Some(0), Some(3)]),
        (Offsets::OnPoll, [Some(3), Some(3), Some(3)]),
        (Offsets::HighestDone, [None, Some(3), Some(3)]),
    ];
    for (offsets, expected) in orders {
        let mut member = member(&ChannelConfig { offsets, ..ChannelConfig::default() }, &[0]);
        for (offset, account) in [(0, 1), (1, 2), (2, 2)] {
            member.deliver(record(0, offset, account, offset + 1));
        }
        let [slow, fast] = jobs(&mut member).try_into().expect("two accounts");
        let mut seen = vec![member.committable().first().map(|committable| committable.1)];
        for job in [fast, slow] {
            member.complete(&job.complete(End::Done));
            seen.push(member.committable().first().map(|committable| committable.1));
        }
        assert_eq!(seen, expected, "{offsets:?}");
    }
}

#[test]
fn a21_records_of_another_databases_accounts_are_done_as_they_come() {
    let first = AccountNo::FIRST_CUSTOMER;
    let share = Share::new(1, 2, 10).expect("a share");
    let mut member = member(&ChannelConfig::default().sharing(share), &[0]);
    assert_eq!(member.deliver(record(0, 0, first, 1)), Delivery::Foreign);
    assert_eq!(member.committable(), [(at(0), 1)], "nothing is waited for");
    assert_eq!(member.deliver(record(0, 1, first + 1, 1)), Delivery::Queued);
    assert_eq!(member.deliver(record(0, 2, first + 10, 1)), Delivery::Foreign);
    assert_eq!(member.deliver(record(0, 0, first, 1)), Delivery::Again);
    let job = member.next_job().expect("the owned account");
    assert_eq!((job.lane, member.in_work()), (Lane::Account(AccountNo::new(first + 1)), 1));
    assert_eq!(member.committable(), [(at(0), 1)], "the owned record is in work");
    member.complete(&job.complete(End::Done));
    assert_eq!(member.committable(), [(at(0), 3)]);
}
