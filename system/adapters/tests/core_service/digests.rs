//! Digests of heads on PostgreSQL: what a sweep over a whole bank is told, and that nobody waits for it.

use bankstorm_contracts::core_api::{CoreRequest, CoreResponse};
use bankstorm_contracts::digest::{MAX_DIGEST_ACCOUNTS, MAX_DIGEST_WIDTH};
use bankstorm_contracts::{AccountNo, DigestRange, Digests, Head, Won};
use bankstorm_core::CoreConfig;
use libtest_mimic::Trial;
use tokio::time::timeout;

use super::{Bench, COMPLETED, account, state};
use crate::Place;
use crate::database::{LIMIT, until_waiting};

pub(super) fn trials(place: &Place) -> Vec<Trial> {
    macro_rules! list {
        ($($name:ident),* $(,)?) => {
            vec![$(place.trial(concat!("core_service::", stringify!($name)).to_owned(), $name)),*]
        };
    }
    list![d43_a_sweep_finds_the_one_head_that_differs, digests_wait_for_nobody_and_hold_nobody_up]
}

impl Bench {
    async fn digests(&self, range: DigestRange) -> Digests {
        let asked = self.core.handle("trial", CoreRequest::Digests(range));
        match timeout(LIMIT, asked).await.expect("an answer to a digest") {
            CoreResponse::Digests(digests) => digests,
            other => panic!("{other:?}"),
        }
    }

    /// Every head, read past core.
    async fn heads(&self) -> Vec<Head> {
        let rows = self.control.query("SELECT no, seq, balance FROM account", &[]).await.expect("rows");
        let head = |row: &tokio_postgres::Row| Head {
            account: AccountNo::new(row.get(0)),
            seq: row.get(1),
            balance: Won::new(row.get(2)),
        };
        rows.iter().map(head).collect()
    }

    /// Which parts differ from `own`, asked to the end; and how many answers that took.
    async fn sweep(&self, own: &[Head]) -> (Vec<(AccountNo, AccountNo)>, usize) {
        let (mut range, mut unequal, mut answers) = (DigestRange::ALL, Vec::new(), 0);
        loop {
            let answer = self.digests(range).await;
            answers += 1;
            unequal.extend(answer.unequal(&range, own));
            match answer.next {
                Some(next) => assert!(std::mem::replace(&mut range.from, next) < next, "it goes on"),
                None => return (unequal, answers),
            }
        }
    }
}

async fn d43_a_sweep_finds_the_one_head_that_differs(place: Place) {
    let bench = Bench::new(&place, CoreConfig::default()).await;
    let (first, count) = (AccountNo::FIRST_CUSTOMER + 10, 2 * i64::from(MAX_DIGEST_ACCOUNTS) + 5_000);
    let filled = format!(
        "INSERT INTO account (no, seq, balance) SELECT {first} + n, n % 7, n * 3 FROM generate_series(1, {count}) AS n"
    );
    bench.control.batch_execute(&filled).await.expect("new accounts");
    let copy = bench.heads().await;
    assert_eq!(bench.sweep(&copy).await, (vec![], 3), "a copy of every head differs nowhere");

    // The copy misses what is posted now, as it would if the event were lost.
    let place = 10 + count / 2;
    assert_eq!(state(&bench.deposit(1, place, 10).await), COMPLETED);
    let (unequal, _) = bench.sweep(&copy).await;
    let part = DigestRange::ALL.part_of(account(place)).expect("a customer's");
    assert_eq!(unequal, [part]);
    let numbers: Vec<_> = (part.0.get()..=part.1.get()).map(AccountNo::new).collect();
    assert_eq!(numbers.len(), MAX_DIGEST_WIDTH as usize, "one question for heads takes them all");
    let CoreResponse::Heads(answer) =
        bench.core.handle("trial", CoreRequest::Heads { accounts: numbers, purpose: None }).await
    else {
        panic!("heads")
    };
    let differ: Vec<_> = answer.heads.into_iter().filter(|head| !copy.contains(head)).collect();
    assert_eq!(differ.iter().map(|head| head.account).collect::<Vec<_>>(), [account(place)]);
    bench.end().await;
}

async fn digests_wait_for_nobody_and_hold_nobody_up(place: Place) {
    let bench = Bench::new(&place, CoreConfig { lock_timeout: LIMIT, ..CoreConfig::default() }).await;
    let before = bench.heads().await;
    bench.hold(1).await;
    let beside = async {
        // The deposit waits for the row that is held.
        until_waiting(&bench.control, 1).await;
        let meanwhile = bench.sweep(&before).await;
        bench.let_go().await;
        meanwhile
    };
    let (deposited, meanwhile) = futures_util::join!(bench.deposit(1, 1, 10), beside);
    assert_eq!((state(&deposited), meanwhile), (COMPLETED, (vec![], 1)), "committed heads, at once");

    // As a digest reads, in a transaction that stays open: postings go on over it.
    let read =
        "BEGIN; SELECT no, seq, balance FROM account WHERE no BETWEEN 1000000 AND 9999999 ORDER BY no LIMIT 10001";
    bench.holder.batch_execute(read).await.expect("a plain read");
    assert_eq!(state(&bench.deposit(2, 1, 10).await), COMPLETED);
    bench.let_go().await;
    assert_eq!(bench.sweep(&bench.heads().await).await.0, []);
    bench.end().await;
}
