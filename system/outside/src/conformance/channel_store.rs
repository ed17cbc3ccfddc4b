//! What every implementation of the channel's store must do.
//!
//! In: a [`ChannelStoreFixture`], which makes fresh stores. Out: a panic that names what differed. Elsewhere: what `channel::advance`
//! makes of these promises.
//!
//! Each case has accounts, transfers and guards of its own, so that a fixture may give one and the same store to all of them, also at the
//! same time; but for the cases of what is due, dirty or dead, each of which is alone in its store.

mod due;
mod guards;
mod letters;
mod locks;
mod marks;
mod owners;
mod pages;
mod transfers;
mod writes;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bankstorm_contracts::channel_api::TransferStage;
use bankstorm_contracts::core_api::Party;
use bankstorm_contracts::{AccountNo, Entry, EntryKind, Head, ParamsHash, Seq, TransferId, UserNo, WallMicros, Won};
use uuid::Uuid;

use crate::channel_store::{
    AdvanceWrites, Cause, ChannelStore, ChannelTx, Clock, JournalLine, NewTransfer, Opened, Source, SyncRow,
    TransferMove, TransferRow,
};
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

    /// A store that holds nothing at all, and that no other case uses: what is due is due to whoever asks.
    fn alone(&self) -> impl Future<Output = Self::Store> + Send;
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

macro_rules! list {
    ($make:ident: $($room:ident::$case:ident),* $(,)?) => {
        vec![$(Case {
            name: stringify!($case),
            run: |fixture: Arc<F>| Box::pin(async move { $room::$case(fixture.$make().await).await }),
        }),*]
    };
}

/// The list.
pub fn cases<F: ChannelStoreFixture>() -> Vec<Case<F>> {
    let mut cases = of_the_copy();
    cases.extend(of_owners_and_marks());
    cases.extend(of_transfers());
    cases.extend(alone());
    cases
}

fn of_the_copy<F: ChannelStoreFixture>() -> Vec<Case<F>> {
    list![
        fresh:
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
        pages::a_page_names_open_transfers_of_its_account_oldest_first,
        pages::a_page_never_lists_as_pending_what_it_shows,
        pages::pages_by_number_count_rows,
    ]
}

fn of_owners_and_marks<F: ChannelStoreFixture>() -> Vec<Case<F>> {
    list![
        fresh:
        owners::a_fence_refuses_lower_generations_than_the_owners,
        owners::owning_never_lowers,
        owners::r15_a_new_owner_waits_for_advances_under_way_and_none_comes_later,
        owners::owning_waits_for_nobody_elses_partitions,
        owners::a_fence_behind_a_new_owner_reads_him,
        owners::a_fence_and_locks_are_the_first_and_then_the_second,
        marks::marks_are_read_with_the_lock_and_on_the_page,
        marks::marks_are_written_with_the_rest_or_not_at_all,
        marks::marking_dirty_takes_no_hole_away_and_makes_no_row,
        marks::marking_dirty_waits_for_whoever_holds_the_row,
        marks::heads_of_a_stretch_come_in_order_up_to_a_limit,
    ]
}

fn of_transfers<F: ChannelStoreFixture>() -> Vec<Case<F>> {
    list![
        fresh:
        transfers::a_new_transfer_is_pending_once_it_is_committed,
        transfers::a_dropped_opening_leaves_nothing,
        transfers::an_id_that_stands_is_existing_whatever_it_comes_with,
        transfers::opening_an_id_that_is_being_opened_waits_for_its_end,
        transfers::moves_are_seen_after_the_commit_only,
        transfers::a_transfer_is_moved_only_under_its_lock,
        transfers::transfers_are_locked_in_id_order_and_unknown_ones_are_absent,
        transfers::a_transfer_that_is_not_committed_is_not_waited_for,
        transfers::whoever_waited_for_a_transfer_reads_what_was_committed,
        transfers::waiting_for_a_held_transfer_ends_at_its_limit,
        transfers::locking_both_is_the_first_and_then_the_second,
        transfers::a_transfer_and_its_row_are_settled_together_or_not_at_all,
        guards::one_transfer_is_open_per_guard,
        guards::a_terminal_transfer_guards_nothing,
        guards::the_id_is_looked_at_before_the_guard,
        guards::opening_under_a_guard_that_is_being_taken_waits_for_its_end,
        guards::a_locked_transfer_guards_without_a_wait,
        guards::opening_waits_for_whoever_settles_the_guarding_one,
    ]
}

fn alone<F: ChannelStoreFixture>() -> Vec<Case<F>> {
    list![
        alone:
        due::due_ones_come_oldest_first_up_to_a_limit_and_once_in_a_lease,
        due::two_takers_never_get_the_same,
        due::the_databases_clock_judges_what_is_due,
        due::a_postponed_transfer_is_due_later,
        due::terminal_ones_are_never_due,
        due::a_transfer_that_is_locked_holds_up_no_taker,
        marks::dirty_accounts_come_in_order_from_a_number_up_to_a_limit,
        letters::a_letter_is_kept_once_per_offset,
        letters::letters_are_kept_with_the_rest_or_not_at_all,
        letters::a_move_closes_what_the_account_has_reached,
        letters::letters_are_taken_oldest_first_once_in_a_lease,
        letters::two_takers_of_letters_never_get_the_same,
        letters::letters_that_were_overtaken_close_and_marks_go_with_the_last_of_an_account,
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
                cause: Some(cause.clone()),
            })
            .collect(),
        ..AdvanceWrites::default()
    }
}

/// A row without marks.
const fn clean(head: Head) -> SyncRow {
    SyncRow::clean(head)
}

async fn begin<S: ChannelStore>(store: &S) -> S::Tx {
    store.begin().await.expect("a transaction begins")
}

async fn lock<S: ChannelStore>(store: &S, accounts: &[AccountNo]) -> (S::Tx, Vec<Head>) {
    let mut tx = begin(store).await;
    let heads = tx.lock(accounts, LockMode::Wait(LONG)).await.expect("the rows are free, or will be");
    (tx, heads.into_iter().map(|row| row.head).collect())
}

/// Moves accounts, which must succeed.
async fn advance<S: ChannelStore>(store: &S, accounts: &[(AccountNo, Seq, Seq)]) {
    let numbers: Vec<AccountNo> = accounts.iter().map(|(no, _, _)| *no).collect();
    let (tx, _) = lock(store, &numbers).await;
    assert_eq!(tx.write_and_commit(&moves(accounts)).await, CommitOutcome::Ok);
}

/// A transfer of a case of its own.
fn id(case: u64, index: u64) -> TransferId {
    TransferId(Uuid::from_u64_pair(case, index + 1))
}

/// A transfer from the case's first account, guarded by a number of the case's own.
fn new(case: u64, index: u64) -> NewTransfer {
    let number = i64::try_from(case).expect("a small number");
    let (from, amount) = (account(number, 0), Won::new(10));
    let to = Party { bank: "088".to_owned(), account: format!("77-{index}") };
    NewTransfer {
        id: id(case, index),
        user: UserNo(number),
        guard: None,
        from,
        params_hash: ParamsHash::of_transfer(from, amount, &to.bank, &to.account),
        to,
        amount,
        due_in: Duration::from_secs(3),
        clock: Clock::Database,
    }
}

fn guarded(case: u64, index: u64, guard: i64) -> NewTransfer {
    NewTransfer { guard: Some(guard), ..new(case, index) }
}

/// The row that a new transfer leaves.
fn pending(new: &NewTransfer, created_at: WallMicros) -> TransferRow {
    TransferRow {
        id: new.id,
        user: new.user,
        from: new.from,
        to: new.to.clone(),
        amount: new.amount,
        params_hash: new.params_hash,
        stage: TransferStage::Pending,
        reason: None,
        seq: None,
        created_at,
        attempts: 0,
    }
}

/// Stores a transfer, which must be new.
async fn store_new<S: ChannelStore>(store: &S, new: &NewTransfer) -> TransferRow {
    let mut tx = begin(store).await;
    let opened = tx.open(new, LONG).await.expect("an answer");
    let Opened::New(at) = opened else { panic!("{opened:?}") };
    assert_eq!(tx.commit().await, CommitOutcome::Ok);
    pending(new, at)
}

/// A completed transfer has the serial of its row: the database holds it to that.
const fn step(id: TransferId, stage: TransferStage) -> TransferMove {
    let seq = if matches!(stage, TransferStage::Completed) { Some(1) } else { None };
    TransferMove { id, stage, reason: None, seq }
}

fn steps(steps: &[TransferMove]) -> AdvanceWrites {
    AdvanceWrites { transfers: steps.to_vec(), ..AdvanceWrites::default() }
}

/// Moves a transfer, which must succeed.
async fn make<S: ChannelStore>(store: &S, id: TransferId, stage: TransferStage) {
    let mut tx = begin(store).await;
    assert_eq!(tx.lock_transfers(&[id], LONG).await.expect("it is free, or will be").len(), 1);
    assert_eq!(tx.write_and_commit(&steps(&[step(id, stage)])).await, CommitOutcome::Ok);
}

async fn stage<S: ChannelStore>(store: &S, id: TransferId) -> Option<TransferStage> {
    store.transfer(id).await.expect("read").map(|row| row.stage)
}
