//! Texts of requests and answers.

use std::time::Duration;

use bankstorm_contracts::banks_api::{BanksRequest, BanksResponse, Credit, CreditAnswer, CreditState};
use bankstorm_contracts::channel_api::{
    ChannelRequest, ChannelResponse, HistoryPage, SubmitTransfer, TransferStage, TransferView,
};
use bankstorm_contracts::core_api::{CoreRequest, CoreResponse, Entries, Heads, Party, Purpose, Transfer, Verdict};
use bankstorm_contracts::problem::{Problem, ProblemKind};
use bankstorm_contracts::{
    AccountNo, DigestRange, Digests, Entry, EntryKind, Head, RejectReason, TransferId, TransferState, UserNo,
    WallMicros, Won,
};

use super::{Kinded, Told, account, seconds, transfer};

fn customer(index: i64) -> AccountNo {
    AccountNo::new(AccountNo::FIRST_CUSTOMER + index)
}

fn entry(seq: i64) -> Entry {
    Entry {
        account: customer(3),
        seq,
        amount: Won::new(7),
        balance_after: Won::new(7 * seq),
        transfer: TransferId(uuid::Uuid::from_u64_pair(super::DEPOSITS, 50)),
        kind: EntryKind::Deposit,
        posted_at: WallMicros(0),
    }
}

#[test]
fn things_have_the_names_that_plans_give_them() {
    assert_eq!((account(customer(7)), account(AccountNo::OPENING)), ("account 7".into(), "internal account 2".into()));
    assert_eq!(transfer(entry(1).transfer), "#50");
    assert_eq!(transfer(TransferId(uuid::Uuid::from_u128(1_000_002))), "the opening of account 2");
    assert_eq!(seconds(Duration::from_millis(3200)), "3.2 s");
}

#[test]
fn long_lists_are_cut_and_say_so() {
    let asked = CoreRequest::Heads { accounts: (0..7).map(customer).collect(), purpose: None };
    assert_eq!(asked.told(), "heads of account 0, account 1, account 2, account 3, account 4, and 2 more");
    let head = Head { account: customer(3), seq: 9, balance: Won::new(63) };
    let answer = CoreResponse::Heads(Heads { heads: vec![head] });
    assert_eq!(answer.told(), "heads: account 3 at seq 9, balance 63");
    let range = DigestRange { from: customer(0), to: customer(99), width: 10 };
    let asked = CoreRequest::Digests(range);
    assert_eq!((asked.told().as_str(), asked.kind()), ("digests of account 0 to account 99, 10 each", "digests"));
    let answer = CoreResponse::Digests(Digests { parts: range.parts(&[head]), next: Some(customer(10)) });
    assert_eq!(answer.told(), "digests of 1 parts, cut at account 10");
}

#[test]
fn questions_and_answers_are_short() {
    let (id, after, limit) = (entry(1).transfer, 12, 500);
    let asked = CoreRequest::Entries { account: customer(3), after, limit, purpose: Some(Purpose::GapFill) };
    assert_eq!(asked.told(), "entries of account 3 after 12, at most 500 (gap_fill)");
    let answer = CoreResponse::Entries(Entries { entries: (13..=15).map(entry).collect() });
    assert_eq!(answer.told(), "entries 13..15 of account 3");
    assert_eq!(CoreRequest::Resolve(id).told(), "resolve #50");
    let verdict = Verdict {
        id,
        state: TransferState::Completed,
        reason: None,
        seq: Some(13),
        balance_after: Some(Won::new(91)),
        posted_at: Some(WallMicros(1)),
        params_hash: None,
    };
    assert_eq!(CoreResponse::Created(verdict).told(), "created: #50 completed, seq 13, balance 91");
    let refused = CoreResponse::Problem(Problem::new(ProblemKind::NotStarted, "core is stopping"));
    assert_eq!((refused.told().as_str(), refused.stands_alone()), ("problem not-started: core is stopping", false));
    let asked = ChannelRequest::History { account: customer(3), cursor: Some(13), limit: 10 };
    assert_eq!(asked.told(), "history of account 3 below 13, 10 a page");
    let items = (3..=12).rev().map(entry).collect();
    let page = HistoryPage { items, next_cursor: Some(3), as_of_seq: 14, stale: true, pending: Vec::new() };
    assert_eq!(ChannelResponse::History(page).told(), "page 12..3 of 10, as of 14, stale");
}

#[test]
fn transfers_are_told_with_both_ends() {
    let id = TransferId(uuid::Uuid::from_u64_pair(super::TRANSFERS, 51));
    let (from, amount, abroad) = (customer(3), Won::new(70), Party { bank: "088".into(), account: "77-1".into() });
    let own =
        Transfer { id, from, to: Party::own(customer(4)), amount, requested_at: WallMicros(0), valid_for_ms: 1_000 };
    assert_eq!(CoreRequest::Transfer(own.clone()).told(), "transfer #51 of 70 won from account 3 to account 4");
    let asked = SubmitTransfer { id, user: UserNo(9), from, to: abroad.clone(), amount };
    assert_eq!(ChannelRequest::Submit(asked).told(), "submit #51 of 70 won from account 3 to 088 77-1, user 9");
    let state = TransferStage::Rejected;
    let reason = Some(RejectReason::InsufficientFunds);
    let stands = TransferView { id, state, reason, seq: None, message: None };
    assert_eq!(ChannelResponse::Transfer(stands).told(), "stands: #51 rejected, insufficient_funds");
    let asked = BanksRequest::Credit(Credit { id, to: abroad, amount });
    assert_eq!((asked.told().as_str(), asked.kind()), ("credit #51 of 70 won to 088 77-1", "credit"));
    let answer = CreditAnswer { id, state: CreditState::Credited };
    assert_eq!(BanksResponse::Answer(answer).told(), "answer: #51 credited");
    assert_eq!(CoreRequest::BankOutcome(answer).told(), "outcome #51 credited");
}
