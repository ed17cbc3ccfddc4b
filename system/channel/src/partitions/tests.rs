//! Behaviour of a member's bookkeeping.

use bankstorm_contracts::{AccountNo, Entry, EntryKind, Seq, TransferId, WallMicros, Won, event};
use bankstorm_outside::log::{Assignment, Record, TopicPartition};

use super::{Delivery, Lane, Partitions};
use crate::advance::Origin;
use crate::config::{ChannelConfig, WorkerMode};

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
    member.assign(Assignment { partitions: partitions.iter().copied().map(at).collect(), generation: Some(4) });
    member
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
    let origin = Origin::Record { topic: "t".into(), partition: 0, generation: Some(4) };
    assert_eq!(fast.mv.origin, origin);
    assert!(member.next_job().is_none());
    assert!(member.complete(&fast.complete(true)));
    assert_eq!(member.committable(), [(at(0), 0)], "nothing below the slow record is done");
    assert!(member.complete(&slow.complete(true)));
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
    let jobs: Vec<_> = std::iter::from_fn(|| member.next_job()).collect();
    assert_eq!((jobs.len(), member.in_work()), (4, 4));
}

#[test]
fn serial_mode_works_one_record_at_a_time() {
    let mut member = member(&ChannelConfig { worker_mode: WorkerMode::Serial, ..ChannelConfig::default() }, &[0]);
    member.deliver(record(0, 0, 1, 1));
    member.deliver(record(0, 1, 2, 1));
    let first = member.next_job().expect("the first record");
    assert_eq!((first.lane, first.offsets.as_slice()), (Lane::Partition, [0].as_slice()));
    assert!(member.next_job().is_none());
    member.complete(&first.complete(true));
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
    member.complete(&job.complete(true));
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
    member.assign(Assignment { partitions: vec![at(0)], generation: Some(5) });
    member.deliver(record(0, 0, 1, 1));
    let new = member.next_job().expect("the same record, anew");
    assert!(!member.complete(&old.complete(true)));
    assert_eq!(member.committable(), [(at(0), 0)]);
    assert!(member.complete(&new.complete(true)));
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
        member.complete(&job.complete(true));
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
    assert!(named.unreadable.is_some_and(|unreadable| unreadable.repairable && unreadable.offset == 1));
    let nameless = member.next_job().expect("the other");
    assert_eq!(nameless.lane, Lane::Nameless(2));
    assert!(nameless.unreadable.is_some_and(|unreadable| !unreadable.repairable));
    assert_eq!(member.deliver(garbage(2, b"who")), Delivery::Again);
}
