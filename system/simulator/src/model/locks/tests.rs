//! Locks in turn: alone, shared, outwaited, and circles of them.

use std::time::Duration;

use bankstorm_contracts::{AccountNo, TransferId};
use tokio::sync::oneshot::error::TryRecvError;
use tokio::time::Instant;

use super::{Asked, Key, Locks, News, Owner, Rest};

const ROW: Key = Key::Row(AccountNo::new(7));
const OTHER: Key = Key::Row(AccountNo::new(8));

fn acquire(locks: &mut Locks, owner: Owner, key: Key, until: Option<Instant>) -> Asked {
    locks.acquire(owner, key, until, Rest::default)
}

fn waits(asked: Asked) -> tokio::sync::oneshot::Receiver<()> {
    match asked {
        Asked::Held => panic!("it should have waited"),
        Asked::Waits(granted) => granted,
    }
}

#[tokio::test(start_paused = true)]
async fn a_lock_goes_to_waiters_in_turn_and_past_those_who_have_gone_or_are_late() {
    let (mut locks, now) = (Locks::default(), Instant::now());
    let second = now + Duration::from_secs(1);
    assert!(locks.try_acquire(1, ROW) && locks.try_acquire(1, ROW), "its own lock is no hindrance");
    assert!(!locks.try_acquire(2, ROW));
    drop(waits(acquire(&mut locks, 2, ROW, None)));
    assert!(locks.try_acquire(3, OTHER));
    let mut late = waits(acquire(&mut locks, 3, ROW, Some(second)));
    let mut fourth = waits(acquire(&mut locks, 4, ROW, None));
    let mut fifth = waits(acquire(&mut locks, 5, OTHER, Some(second + Duration::from_secs(1))));
    assert_eq!(locks.waiting(), 3, "the second one has gone");
    locks.release_all(1, second + Duration::from_millis(1));
    assert_eq!(fourth.try_recv(), Ok(()));
    assert_eq!(late.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(fifth.try_recv(), Ok(()), "whoever is late has lost everything it held");
    assert_eq!(locks.news(), [(2, News::Ended), (4, News::Granted), (5, News::Granted)]);
    assert!(locks.is_held_by(4, ROW) && locks.is_held_by(5, OTHER));
}

#[tokio::test(start_paused = true)]
async fn whoever_only_outwaits_a_holder_takes_nothing_and_holds_nobody_up() {
    let (mut locks, now, guard) = (Locks::default(), Instant::now(), Key::Guard(7));
    let until = Some(now + Duration::from_secs(1));
    assert!(matches!(locks.outwait(1, guard, until), Asked::Held), "nobody is in the way");
    assert!(locks.try_acquire(1, guard) && locks.try_acquire(2, ROW));
    let [mut second, mut third] = [2, 3].map(|owner| waits(locks.outwait(owner, guard, until)));
    let _first = waits(locks.outwait(1, ROW, until));
    assert!(locks.in_cycle(1) && locks.in_cycle(2) && !locks.in_cycle(3));
    locks.release_all(1, now);
    assert_eq!((second.try_recv(), third.try_recv()), (Ok(()), Ok(())));
    assert_eq!((locks.holder(guard), locks.wait_of(2), locks.wait_of(3)), (None, None, None));
    assert!(locks.try_acquire(3, guard), "whoever comes first has it");
}

#[tokio::test(start_paused = true)]
async fn those_who_share_come_at_once_and_behind_whoever_waits_to_be_alone() {
    let (mut locks, now, key) = (Locks::default(), Instant::now(), Key::Partition(1, 3));
    let share = |locks: &mut Locks, owner| locks.share(owner, key, None);
    assert!(matches!((share(&mut locks, 1), share(&mut locks, 2)), (Asked::Held, Asked::Held)));
    let mut alone = waits(acquire(&mut locks, 3, key, None));
    let mut behind = waits(share(&mut locks, 4));
    locks.release_all(1, now);
    assert_eq!((alone.try_recv(), locks.holders(key)), (Err(TryRecvError::Empty), &[2][..]));
    locks.release_all(2, now);
    assert_eq!((alone.try_recv(), behind.try_recv()), (Ok(()), Err(TryRecvError::Empty)));
    let mut both = [5, 6].map(|owner| waits(share(&mut locks, owner)));
    let mut next = waits(acquire(&mut locks, 7, key, None));
    assert!(!locks.in_cycle(5), "it waits for one who waits for nobody");
    locks.release_all(3, now);
    assert!(both.iter_mut().all(|granted| granted.try_recv() == Ok(())), "both at once");
    assert_eq!((locks.holders(key), next.try_recv()), (&[4, 5, 6][..], Err(TryRecvError::Empty)));
    let mut last = waits(share(&mut locks, 8));
    locks.release_all(7, now);
    assert_eq!(last.try_recv(), Ok(()), "whoever it waited behind has gone");
}

#[test]
fn a_circle_is_seen_through_rows_and_keys_alike_by_those_on_it() {
    let (mut locks, id) = (Locks::default(), Key::Id(TransferId(uuid::Uuid::from_u128(1))));
    assert!(locks.try_acquire(1, ROW) && locks.try_acquire(2, id));
    let _first = waits(acquire(&mut locks, 1, id, None));
    assert!(!locks.in_cycle(1));
    let _second = waits(acquire(&mut locks, 2, ROW, None));
    let _third = waits(acquire(&mut locks, 3, ROW, None));
    assert!(locks.in_cycle(1) && locks.in_cycle(2));
    assert!(!locks.in_cycle(3), "it waits for a circle and is not on it");
}

#[tokio::test(start_paused = true)]
async fn a_waiter_whose_client_has_gone_locks_the_rest_of_its_rows_before_it_ends() {
    let (mut locks, now) = (Locks::default(), Instant::now());
    let (second, free) = (Duration::from_secs(1), AccountNo::new(9));
    let rest = || Rest::rows([Key::Row(free), OTHER].into_iter(), second);
    assert!(locks.try_acquire(1, ROW) && locks.try_acquire(2, OTHER));
    drop(locks.acquire(3, ROW, Some(now + second), rest));
    let mut fourth = waits(acquire(&mut locks, 4, ROW, None));
    let later = now + second / 2;
    locks.release_all(1, later);
    assert!(locks.is_held_by(3, ROW) && locks.is_held_by(3, Key::Row(free)), "it waits for the last one");
    assert_eq!((locks.wait_of(3), locks.news()), (Some(Some(later + second)), vec![]));
    locks.release_all(2, later);
    assert_eq!(fourth.try_recv(), Ok(()), "nothing is left to lock, so it has ended");
    assert_eq!(locks.news(), [(3, News::Ended), (4, News::Granted)]);
    assert!(locks.holder(OTHER).is_none() && locks.holder(Key::Row(free)).is_none());
}
