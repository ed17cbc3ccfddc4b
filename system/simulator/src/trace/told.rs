//! Short texts of what travels and of what is written, for people who read a trace.
//!
//! In: requests, answers, faults, ids. Out: one line each. Elsewhere: when something is told (the models, the world), what a transaction
//! wrote (`model::core_store::told`, `model::channel_store::told`).
//!
//! Things have the names that plans give them: an account is its index from 0, a transfer `#` and the number of its operation.

use std::time::Duration;

use bankstorm_contracts::channel_api::{ChannelRequest, ChannelResponse, HistoryPage};
use bankstorm_contracts::core_api::{CoreRequest, CoreResponse, Verdict};
use bankstorm_contracts::{AccountNo, Entry, Head, Problem, TransferId, event};

use crate::plan::Fault;

/// The upper half of the id of a customer's deposit; the lower one is its operation's number.
pub(crate) const DEPOSITS: u64 = 0xde90;
/// How many things of a list are named.
const NAMED: usize = 5;

/// What can be said in a line.
pub trait Told {
    /// The line.
    fn told(&self) -> String;

    /// Whether an answer can be understood without its question.
    fn stands_alone(&self) -> bool {
        true
    }
}

/// What is one of several kinds of message.
pub trait Kinded {
    /// Its kind's word, as places of faults write it after their link: `customers>core:deposit`.
    fn kind(&self) -> &'static str;
}

/// `account 7`, as plans number them; others by what they are.
pub(crate) fn account(account: AccountNo) -> String {
    let number = account.get();
    if number < AccountNo::FIRST_CUSTOMER {
        return format!("internal account {number}");
    }
    format!("account {}", number - AccountNo::FIRST_CUSTOMER)
}

/// `#50` for a customer's deposit; others by what they are.
pub(crate) fn transfer(id: TransferId) -> String {
    let (kind, number) = id.0.as_u64_pair();
    match (kind, i64::try_from(number)) {
        (DEPOSITS, _) => format!("#{number}"),
        (0, Ok(number)) => format!("the opening of {}", account(AccountNo::new(number))),
        _ => format!("transfer {id}"),
    }
}

/// `3.2 s`.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}

/// The first few, and how many more there are.
pub(crate) fn listed(texts: impl Iterator<Item = String>) -> String {
    let mut texts = texts;
    let mut told: Vec<_> = texts.by_ref().take(NAMED).collect();
    match texts.count() {
        0 => {}
        more => told.push(format!("and {more} more")),
    }
    told.join(", ")
}

fn head(head: &Head) -> String {
    format!("{} at seq {}, balance {}", account(head.account), head.seq, head.balance.get())
}

fn verdict(verdict: &Verdict) -> String {
    let seq = verdict.seq.map_or_else(String::new, |seq| format!(", seq {seq}"));
    let balance = verdict.balance_after.map_or_else(String::new, |won| format!(", balance {}", won.get()));
    let reason = verdict.reason.map_or_else(String::new, |reason| format!(", {}", reason.as_str()));
    format!("{} {}{reason}{seq}{balance}", transfer(verdict.id), verdict.state.as_str())
}

fn entries(entries: &[Entry]) -> String {
    match entries {
        [] => "no entries".to_owned(),
        [first, rest @ ..] => {
            let last = rest.last().unwrap_or(first);
            format!("entries {}..{} of {}", first.seq, last.seq, account(first.account))
        }
    }
}

fn page(page: &HistoryPage) -> String {
    let shown = match (page.items.first(), page.items.last()) {
        (Some(top), Some(bottom)) => format!("page {}..{} of {}", top.seq, bottom.seq, page.items.len()),
        _ => "an empty page".to_owned(),
    };
    let stale = if page.stale { ", stale" } else { "" };
    format!("{shown}, as of {}{stale}", page.as_of_seq)
}

fn problem(problem: &Problem) -> String {
    // Its word is what the wire calls it.
    let kind = serde_json::to_value(problem.kind).ok();
    let kind = kind.as_ref().and_then(serde_json::Value::as_str).unwrap_or("of no kind");
    format!("problem {kind}: {}", problem.detail)
}

impl Told for CoreRequest {
    fn told(&self) -> String {
        match self {
            Self::Deposit(deposit) => {
                let (id, to) = (transfer(deposit.id), account(deposit.account));
                format!("deposit {id} of {} won to {to}", deposit.amount.get())
            }
            Self::Resolve(id) => format!("resolve {}", transfer(*id)),
            Self::Entries { account: no, after, limit } => {
                format!("entries of {} after {after}, at most {limit}", account(*no))
            }
            Self::Head(no) => format!("head of {}", account(*no)),
            Self::Heads(accounts) => format!("heads of {}", listed(accounts.iter().map(|no| account(*no)))),
        }
    }
}

impl Kinded for CoreRequest {
    fn kind(&self) -> &'static str {
        match self {
            Self::Deposit(_) => "deposit",
            Self::Resolve(_) => "resolve",
            Self::Entries { .. } => "entries",
            Self::Head(_) => "head",
            Self::Heads(_) => "heads",
        }
    }
}

impl Told for CoreResponse {
    fn told(&self) -> String {
        match self {
            Self::Created(created) => format!("created: {}", verdict(created)),
            Self::Verdict(stands) => format!("verdict: {}", verdict(stands)),
            Self::Entries(answer) => entries(&answer.entries),
            Self::Head(answer) => head(answer),
            Self::Heads(answer) => format!("heads: {}", listed(answer.heads.iter().map(head))),
            Self::Problem(no) => problem(no),
        }
    }

    fn stands_alone(&self) -> bool {
        match self {
            Self::Entries(answer) => !answer.entries.is_empty(),
            Self::Problem(_) => false,
            _ => true,
        }
    }
}

impl Told for ChannelRequest {
    fn told(&self) -> String {
        let Self::History { account: no, cursor, limit } = self;
        let below = cursor.map_or_else(String::new, |below| format!(" below {below}"));
        format!("history of {}{below}, {limit} a page", account(*no))
    }
}

impl Kinded for ChannelRequest {
    fn kind(&self) -> &'static str {
        let Self::History { .. } = self;
        "history"
    }
}

impl Told for ChannelResponse {
    fn told(&self) -> String {
        match self {
            Self::History(answer) => page(answer),
            Self::Problem(no) => problem(no),
        }
    }

    fn stands_alone(&self) -> bool {
        false
    }
}

/// A record's value.
pub(crate) struct Value<'a>(pub(crate) &'a [u8]);

impl Told for Value<'_> {
    fn told(&self) -> String {
        event::decode(self.0).map_or_else(
            |error| format!("a value that is no entry: {error}"),
            |entry| format!("{} seq {}, {}", account(entry.account), entry.seq, transfer(entry.transfer)),
        )
    }
}

impl Told for Fault {
    fn told(&self) -> String {
        format!("fault {} at {}", self.kind.word(), self.place)
    }
}

/// What else there is to say of a fault when it strikes.
pub(crate) fn particulars(fault: &Fault) -> String {
    let needs = fault.kind.needs();
    let lasts =
        if needs.lasts { format!(", for {}", seconds(Duration::from_millis(fault.lasts_ms))) } else { String::new() };
    let amount =
        if needs.amount.is_empty() { String::new() } else { format!(", amount {} ({})", fault.amount, needs.amount) };
    format!("{lasts}{amount}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bankstorm_contracts::channel_api::{ChannelRequest, ChannelResponse, HistoryPage};
    use bankstorm_contracts::core_api::{CoreRequest, CoreResponse, Entries, Heads, Verdict};
    use bankstorm_contracts::problem::{Problem, ProblemKind};
    use bankstorm_contracts::{AccountNo, Entry, EntryKind, Head, TransferId, TransferState, WallMicros, Won};

    use super::{Told, account, seconds, transfer};

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
        assert_eq!(
            (account(customer(7)), account(AccountNo::OPENING)),
            ("account 7".into(), "internal account 2".into())
        );
        assert_eq!(transfer(entry(1).transfer), "#50");
        assert_eq!(transfer(TransferId(uuid::Uuid::from_u128(1_000_002))), "the opening of account 2");
        assert_eq!(seconds(Duration::from_millis(3200)), "3.2 s");
    }

    #[test]
    fn long_lists_are_cut_and_say_so() {
        let asked = CoreRequest::Heads((0..7).map(customer).collect());
        assert_eq!(asked.told(), "heads of account 0, account 1, account 2, account 3, account 4, and 2 more");
        let head = Head { account: customer(3), seq: 9, balance: Won::new(63) };
        let answer = CoreResponse::Heads(Heads { heads: vec![head] });
        assert_eq!(answer.told(), "heads: account 3 at seq 9, balance 63");
    }

    #[test]
    fn questions_and_answers_are_short() {
        let (id, after, limit) = (entry(1).transfer, 12, 500);
        let asked = CoreRequest::Entries { account: customer(3), after, limit };
        assert_eq!(asked.told(), "entries of account 3 after 12, at most 500");
        let answer = CoreResponse::Entries(Entries { entries: (13..=15).map(entry).collect() });
        assert_eq!(answer.told(), "entries 13..15 of account 3");
        assert_eq!(CoreRequest::Resolve(id).told(), "resolve #50");
        let verdict = Verdict {
            id,
            state: TransferState::Completed,
            reason: None,
            seq: Some(13),
            balance_after: Some(Won::new(91)),
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
}
