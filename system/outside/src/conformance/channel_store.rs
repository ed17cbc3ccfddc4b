//! What every implementation of the channel's store must do.
//!
//! In: a [`ChannelStoreFixture`], which makes fresh stores. Out: a panic that names what differed. Elsewhere: what `channel::advance`
//! makes of these promises.
//!
//! Each case has accounts of its own, so that a fixture may give one and the same store to all of them, also at the same time.

mod locks;
mod pages;
mod writes;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bankstorm_contracts::{AccountNo, Entry, EntryKind, Head, Seq, TransferId, WallMicros, Won};

use crate::channel_store::{AdvanceWrites, Cause, ChannelStore, ChannelTx, JournalLine, Source};
use crate::store::{CommitOutcome, LockMode};

/// How long a case waits for a row that it must get.
const LONG: Duration = Duration::from_secs(20);

/// A store to be tried.
pub trait ChannelStoreFixture: Send + Sync + 'static {
    /// The implementation.
    type Store: ChannelStore;

    /// A store that holds nothing of the list's accounts; one for all cases will do. At least three transactions and a read can be open
    /// at once for each case that runs at the same time.
    fn fresh(&self) -> impl Future<Output = Self::Store> + Send;
}

/// A case in work.
pub type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One promise of the port.
pub struct Case<F> {
    /// What is promised, as a test's name.
    pub name: &'static str,
    /// Tries it.
    pub run: fn(Arc<F>) -> Running,
}

/// The list.
pub fn cases<F: ChannelStoreFixture>() -> Vec<Case<F>> {
    macro_rules! list {
        ($($room:ident::$case:ident),* $(,)?) => {
            vec![$(Case {
                name: stringify!($case),
                run: |fixture| Box::pin(async move { $room::$case(fixture.fresh().await).await }),
            }),*]
        };
    }
    list![
        locks::a_row_is_made_for_an_account_that_has_none,
        locks::rows_come_in_account_order_whatever_the_order_asked,
        locks::skip_locked_leaves_out_rows_that_are_held,
        locks::skip_locked_leaves_out_rows_that_are_being_made,
        locks::waiting_for_a_held_row_ends_at_its_limit,
        locks::waiting_for_a_row_that_is_being_made_ends_at_its_limit,
        locks::whoever_waited_reads_what_the_holder_committed,
        locks::whoever_waited_for_a_new_row_reads_what_its_maker_committed,
        locks::a_commit_without_writes_frees_the_rows,
        writes::rows_are_visible_after_the_commit_only,
        writes::several_accounts_move_together,
        writes::a_dropped_transaction_leaves_nothing,
        writes::a_failed_compare_and_set_fails_the_write_and_the_commit,
        writes::a_failed_compare_and_set_of_one_account_fails_them_all,
        writes::an_entry_twice_is_a_data_error,
        pages::an_unknown_account_has_no_page,
        pages::pages_are_slices_by_serial,
        pages::a_page_and_its_head_are_of_one_moment,
    ]
}

/// An account of a case of its own: `case` tells the cases apart, `index` the accounts of one.
fn account(case: i64, index: i64) -> AccountNo {
    AccountNo::new(AccountNo::FIRST_CUSTOMER + 1_000 * case + index)
}

fn none(account: AccountNo) -> Head {
    Head { account, seq: 0, balance: Won::ZERO }
}

/// Every entry is 10 won.
fn head(account: AccountNo, seq: Seq) -> Head {
    Head { account, seq, balance: Won::new(10 * seq) }
}

fn entry(account: AccountNo, seq: Seq) -> Entry {
    let id = format!("00000000-0000-0000-{:04x}-{:012x}", seq & 0xffff, account.get());
    Entry {
        account,
        seq,
        amount: Won::new(10),
        balance_after: Won::new(10 * seq),
        transfer: id.parse::<TransferId>().expect("a UUID"),
        kind: if seq == 1 { EntryKind::Opening } else { EntryKind::Deposit },
        posted_at: WallMicros(1_700_000_000_000_000 + seq),
    }
}

/// What moves each account from one serial to another.
fn moves(accounts: &[(AccountNo, Seq, Seq)]) -> AdvanceWrites {
    let cause = Cause { topic: "core.entries".to_owned(), partition: 3, offset: 77, generation: Some(2) };
    AdvanceWrites {
        entries: accounts.iter().flat_map(|(no, from, to)| (from + 1..=*to).map(|seq| entry(*no, seq))).collect(),
        heads: accounts.iter().map(|(no, from, to)| (*from, head(*no, *to))).collect(),
        journal: accounts
            .iter()
            .map(|&(account, from_seq, to_seq)| JournalLine {
                account,
                from_seq,
                to_seq,
                source: Source::Event,
                cause: cause.clone(),
            })
            .collect(),
    }
}

async fn begin<S: ChannelStore>(store: &S) -> S::Tx {
    store.begin().await.expect("a transaction begins")
}

async fn lock<S: ChannelStore>(store: &S, accounts: &[AccountNo]) -> (S::Tx, Vec<Head>) {
    let mut tx = begin(store).await;
    let heads = tx.lock(accounts, LockMode::Wait(LONG)).await.expect("the rows are free, or will be");
    (tx, heads)
}

/// Moves accounts, which must succeed.
async fn advance<S: ChannelStore>(store: &S, accounts: &[(AccountNo, Seq, Seq)]) {
    let numbers: Vec<AccountNo> = accounts.iter().map(|(no, _, _)| *no).collect();
    let (tx, _) = lock(store, &numbers).await;
    assert_eq!(tx.write_and_commit(&moves(accounts)).await, CommitOutcome::Ok);
}
