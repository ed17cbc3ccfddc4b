//! When holds are due, who is remembered, and what is forgotten.

use std::time::Duration;

use bankstorm_contracts::banks_api::CreditState;
use bankstorm_contracts::core_api::Party;
use bankstorm_contracts::{AccountNo, TransferId, WallMicros, Won};
use bankstorm_outside::core_store::OpenHold;
use tokio::sync::oneshot;
use tokio::time::Instant;
use uuid::Uuid;

use super::{Added, Known};
use crate::book;
use crate::config::CoreConfig;
use crate::outbound::settle::{By, Definite};

const YES: Definite = Definite { state: CreditState::Credited, by: By::Told };
const NO: Definite = Definite { state: CreditState::Refused, by: By::Cancel };

fn hold(number: u128) -> OpenHold {
    OpenHold {
        transfer: TransferId(Uuid::from_u128(number)),
        account: AccountNo::new(1_000_001),
        amount: Won::new(5),
        party: Party { bank: "088".to_owned(), account: "7".to_owned() },
        placed_at: WallMicros(1),
    }
}

fn id(number: u128) -> TransferId {
    hold(number).transfer
}

fn known(most: u32) -> Known {
    Known::new(&CoreConfig {
        outbound_known_max: most,
        outbound_backoff_first: Duration::from_millis(200),
        outbound_backoff_max: Duration::from_millis(500),
        ..CoreConfig::default()
    })
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[test]
fn pauses_grow_to_the_longest_and_end_when_it_expires() {
    let (start, mut known) = (Instant::now(), known(9));
    let expires_at = start + ms(650);
    assert_eq!(known.add(hold(1), expires_at, start, None), Added::New);
    let mut at = start;
    for due in [200, 600, 650, 1_150, 1_650] {
        assert_eq!(known.take_due(at).map(|task| task.hold), Some(hold(1)));
        assert_eq!(known.take_due(at), None, "somebody is at it");
        known.again(id(1), at, None);
        assert_eq!(known.next_due(), Some(start + ms(due)));
        at = start + ms(due);
    }
}

#[test]
fn a_definite_answer_is_kept_until_the_hold_has_ended() {
    let (start, mut known) = (Instant::now(), known(9));
    known.add(hold(1), start + ms(10), start, None);
    known.take_due(start).expect("due");
    known.again(id(1), start, Some(NO));
    assert_eq!(known.next_due(), Some(start + ms(200)), "its expiry means nothing any more");
    let task = known.take_due(start + ms(200)).expect("due");
    assert_eq!(task.answer, Some(NO));
    known.again(id(1), start + ms(200), None);
    assert_eq!(known.take_due(start + ms(600)).expect("due").answer, Some(NO));
    known.end(id(1));
    known.again(id(1), start + ms(700), None);
    assert_eq!((known.len(), known.next_due()), (0, None), "what has ended does not come again");
}

#[test]
fn what_was_told_brings_the_next_turn_forward_unless_somebody_is_at_it() {
    let (start, mut known) = (Instant::now(), known(9));
    known.add(hold(1), start + ms(60_000), start, None);
    known.take_due(start).expect("due");
    known.learn(id(1), YES, start);
    assert_eq!(known.next_due(), None, "somebody is at it");
    known.again(id(1), start, None);
    assert_eq!(known.take_due(start + ms(200)).expect("due").answer, Some(YES));

    known.add(hold(2), start + ms(60_000), start, None);
    for at in [0, 200, 600] {
        known.take_due(start + ms(at)).expect("due");
        known.again(id(2), start + ms(at), None);
    }
    assert_eq!(known.next_due(), Some(start + ms(1_100)));
    known.learn(id(2), YES, start + ms(601));
    assert_eq!(known.next_due(), Some(start + ms(801)));
    known.learn(id(3), YES, start);
    assert_eq!(known.len(), 2, "what is not known is not made up");
}

#[test]
fn without_room_the_asker_is_told_by_the_end_of_his_channel() {
    let (start, mut known) = (Instant::now(), known(1));
    let (told, mut verdict) = oneshot::channel();
    assert_eq!(known.add(hold(1), start, start, None), Added::New);
    assert_eq!(known.add(hold(2), start, start, Some(told)), Added::Full);
    assert!(verdict.try_recv().is_err());
    assert_eq!(known.len(), 1);
    assert!(!known.room_again(), "the one place is taken");
    known.end(id(1));
    assert_eq!([known.room_again(), known.room_again()], [true, false], "told once");
}

#[test]
fn a_hold_that_a_scan_found_first_still_tells_its_asker() {
    let (start, mut known) = (Instant::now(), known(9));
    let (told, mut verdict) = oneshot::channel();
    known.add(hold(1), start, start, None);
    known.take_due(start).expect("due");
    assert_eq!(known.add(hold(1), start, start, Some(told)), Added::Known);
    assert_eq!(known.add(hold(1), start, start, None), Added::Known);
    assert_eq!(known.next_due(), None, "it is in work once");
    known.end(id(1)).expect("he waits").send(book::processing(id(1))).expect("still");
    assert_eq!(verdict.try_recv(), Ok(book::processing(id(1))));
}

#[test]
fn what_was_forgotten_and_found_again_is_due_once() {
    let (start, mut known) = (Instant::now(), known(9));
    known.add(hold(1), start, start, None);
    known.take_due(start).expect("due");
    known.end(id(1));
    known.add(hold(1), start, start, None);
    known.again(id(1), start, None);
    assert_eq!(known.take_due(start), None);
    assert!(known.take_due(start + ms(200)).is_some());
    assert_eq!(known.next_due(), None);
}
