//! What a transaction makes of accounts and of the transfers whose debits it stores.

use std::cell::RefCell;
use std::sync::Arc;

use bankstorm_contracts::channel_api::TransferStage;
use bankstorm_contracts::core_api::Party;
use bankstorm_contracts::{AccountNo, Entry, EntryKind, Head, Seq, TransferId, WallMicros, Won};
use bankstorm_contracts::{ParamsHash, UserNo};
use bankstorm_outside::channel_store::{Source, SyncRow, TransferRow};

use super::super::plan::{Next, Rule, Why};
use super::super::{Move, Moved, Origin};
use super::{By, Staged, debits};
use crate::ownership::Holding;

/// By the safe rule, with rows that nothing is marked on.
fn stage(
    moves: &mut [&mut Move],
    heads: Vec<Head>,
    transfers: Vec<TransferRow>,
    settled: impl Fn((AccountNo, Seq, Seq)),
) -> Staged {
    super::stage(&Rule::default(), moves, heads.into_iter().map(SyncRow::clean).collect(), transfers, settled)
}

fn head(account: i64, seq: Seq) -> Head {
    Head { account: AccountNo::new(account), seq, balance: Won::new(10 * seq) }
}

fn coming(account: i64, serials: &[Seq]) -> Move {
    let id = "00000000-0000-0000-0000-000000000001".parse::<TransferId>().expect("an id");
    let entry = |seq: Seq| Entry {
        account: AccountNo::new(account),
        seq,
        amount: Won::new(10),
        balance_after: Won::new(10 * seq),
        transfer: id,
        kind: EntryKind::Deposit,
        posted_at: WallMicros(0),
    };
    let origin = Origin::Record { topic: "t".into(), partition: 3, holding: Arc::new(Holding::new(Some(7))) };
    let records = serials.iter().map(|seq| (100 + seq, entry(*seq))).collect();
    Move::new(AccountNo::new(account), Source::Event, origin, records)
}

#[test]
fn each_account_is_planned_against_its_own_row_and_held_ones_are_left_out() {
    let (mut a, mut b, mut c) = (coming(1, &[1, 2]), coming(2, &[1]), coming(3, &[4, 5, 7]));
    let staged =
        stage(&mut [&mut a, &mut b, &mut c], vec![head(1, 0), head(3, 4)], vec![], |_| panic!("nothing was unsure"));
    assert_eq!(staged.moved[1], Moved::Held);
    let next = Next::Pull { target: 7, why: Why::Gap };
    assert_eq!(staged.moved[2], Moved::Locked { before: head(3, 4), after: head(3, 5), next });
    assert_eq!(staged.advances(), [(AccountNo::new(1), 0, 2), (AccountNo::new(3), 4, 5)]);
    assert_eq!(staged.taken, [2, 0, 2]);
    assert_eq!(staged.duplicates, 1);
    let offsets: Vec<i64> =
        staged.writes.journal.iter().map(|line| line.cause.as_ref().expect("a record").offset).collect();
    assert_eq!(offsets, [102, 105], "the last record that was applied");
}

#[test]
fn an_unsure_commit_is_decided_by_the_head() {
    for (now, told, left) in [(0, vec![], 2), (2, vec![(0, 2)], 0), (9, vec![(0, 2)], 0)] {
        let mut mv = Move { unsure: Some((0, 2)), ..coming(1, &[1, 2]) };
        let heard = RefCell::new(Vec::new());
        let staged =
            stage(&mut [&mut mv], vec![head(1, now)], vec![], |(_, from, to)| heard.borrow_mut().push((from, to)));
        assert_eq!(heard.into_inner(), told, "head {now}");
        assert_eq!((staged.writes.entries.len(), staged.duplicates), (left, 0), "head {now}");
        assert_eq!(mv.unsure, None);
    }
}

fn id(number: u32) -> TransferId {
    format!("00000000-0000-0000-0000-{number:012}").parse().expect("an id")
}

/// Transfer 50 + n is the debit of serial n.
fn debiting(account: i64, serials: &[Seq]) -> Move {
    let mut mv = coming(account, serials);
    for (_, entry) in &mut mv.records {
        let number = u32::try_from(entry.seq).expect("small");
        (entry.kind, entry.transfer, entry.amount) = (EntryKind::TransferOut, id(50 + number), Won::new(-10));
        entry.balance_after = Won::new(1_000 - 10 * entry.seq);
    }
    mv
}

fn falling(account: i64, seq: Seq) -> Head {
    Head { account: AccountNo::new(account), seq, balance: Won::new(1_000 - 10 * seq) }
}

fn row(account: i64, number: u32, stage: TransferStage) -> TransferRow {
    TransferRow {
        id: id(number),
        user: UserNo(1),
        from: AccountNo::new(account),
        to: Party::own(AccountNo::new(9)),
        amount: Won::new(10),
        params_hash: ParamsHash::TOMBSTONE,
        stage,
        reason: None,
        seq: None,
        created_at: WallMicros(0),
        attempts: 0,
    }
}

fn staged(mv: &mut Move, head: Head, rows: Vec<TransferRow>) -> Staged {
    stage(&mut [mv], vec![head], rows, |_| {})
}

fn completed(staged: &Staged) -> Vec<(TransferId, TransferStage, Option<Seq>)> {
    staged.writes.transfers.iter().map(|moved| (moved.id, moved.stage, moved.seq)).collect()
}

#[test]
fn a6_a_debit_completes_its_transfer_in_the_transaction_that_stores_its_row() {
    for (origin, source, by) in [
        (None, Source::Event, By::Event),
        (None, Source::GapFill, By::GapFill),
        (Some(Origin::Answer(id(52))), Source::Answer, By::Answer),
        (Some(Origin::Poller(id(52))), Source::Answer, By::Poller),
    ] {
        let mut mv = debiting(1, &[1, 2]);
        mv.source = source;
        mv.origin = origin.unwrap_or(mv.origin);
        let asked = mv.origin.asks().is_some();
        let rows = vec![row(1, 51, TransferStage::Unknown), row(1, 52, TransferStage::Sent)];
        let staged = staged(&mut mv, falling(1, 0), rows);
        let both = [51, 52].map(|number| (id(number), TransferStage::Completed, Some(Seq::from(number - 50))));
        assert_eq!(completed(&staged), both);
        assert_eq!(staged.writes.entries.len(), 2);
        assert!(staged.settled.iter().all(|settled| settled.by == by && !settled.left_open));
        assert_eq!(staged.writes.journal[0].cause.is_none(), asked, "an answer has no record for its cause");
        assert_eq!(
            mv.stands.map(|(stands, here)| (stands.id, stands.seq, here)),
            asked.then_some((id(52), Some(2), true))
        );
    }
}

#[test]
fn a6_what_is_not_stored_completes_nothing() {
    let rows = || vec![row(1, 51, TransferStage::Sent), row(1, 53, TransferStage::Sent)];
    let mut gap = debiting(1, &[1, 3]);
    assert_eq!(debits([&gap]), [id(51), id(53)], "both are locked: which of them is stored shows later");
    let one = staged(&mut gap, falling(1, 0), rows());
    assert_eq!(completed(&one), [(id(51), TransferStage::Completed, Some(1))], "serial 3 has to wait for 2");
    let mut held = debiting(1, &[1]);
    let none = stage(&mut [&mut held], vec![], rows(), |_| {});
    assert!(none.is_empty() && held.stands.is_none());
    let mut credit = coming(1, &[1]);
    assert!(debits([&credit]).is_empty());
    assert!(completed(&staged(&mut credit, head(1, 0), rows())).is_empty());
}

#[test]
fn a_row_that_stands_has_its_transfer_completed_or_completes_it() {
    let mut event = debiting(1, &[1]);
    let met = staged(&mut event, falling(1, 3), vec![row(1, 51, TransferStage::Completed)]);
    assert!(met.is_empty());
    assert_eq!((met.met.as_slice(), met.duplicates), ([id(51)].as_slice(), 1));

    let mut answer = Move { origin: Origin::Answer(id(51)), source: Source::Answer, ..debiting(1, &[1]) };
    let left_open = staged(&mut answer, falling(1, 3), vec![row(1, 51, TransferStage::Sent)]);
    assert_eq!(completed(&left_open), [(id(51), TransferStage::Completed, Some(1))]);
    assert!(left_open.settled[0].left_open && left_open.writes.heads.is_empty() && !left_open.is_empty());

    let mut late = debiting(1, &[4]);
    let rejected = staged(&mut late, falling(1, 3), vec![row(1, 54, TransferStage::Rejected)]);
    assert_eq!(rejected.contradictions, [id(54)]);
    assert_eq!(
        (rejected.writes.entries.len(), rejected.writes.transfers.len()),
        (1, 0),
        "the copy follows core all the same"
    );
}

#[test]
fn an_unsure_answer_that_stands_tells_how_its_transfer_stands() {
    let origin = Origin::Answer(id(51));
    let mut mv = Move { unsure: Some((0, 1)), origin, source: Source::Answer, ..debiting(1, &[1]) };
    let staged = staged(&mut mv, falling(1, 1), vec![row(1, 51, TransferStage::Completed)]);
    assert!(staged.is_empty() && mv.records.is_empty());
    assert_eq!(mv.stands.map(|(stands, here)| (stands.stage, here)), Some((TransferStage::Completed, false)));
}

#[test]
fn two_events_of_one_debit_in_a_batch_complete_it_once() {
    let mut twice = debiting(1, &[1, 1]);
    let staged = staged(&mut twice, falling(1, 0), vec![row(1, 51, TransferStage::Sent)]);
    assert_eq!((completed(&staged).len(), staged.settled.len(), staged.writes.entries.len()), (1, 1, 1));
}
