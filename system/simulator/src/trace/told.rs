//! Short texts of what travels and of what is written, for people who read a trace.
//!
//! In: requests, answers, faults, ids. Out: one line each. Elsewhere: when something is told (the models, the world), what a transaction
//! wrote (`model::core_store::told`, `model::channel_store::told`).
//!
//! Things have the names that plans give them: an account is its index from 0, a transfer `#` and the number of its operation.

use std::time::Duration;

use bankstorm_contracts::banks_api::{BanksRequest, BanksResponse, CreditAnswer};
use bankstorm_contracts::channel_api::{
    ChannelRequest, ChannelResponse, HistoryPage, RedriveAnswer, SyncAnswer, TransferView,
};
use bankstorm_contracts::core_api::{CoreRequest, CoreResponse, Destination, Party, Purpose, Verdict};
use bankstorm_contracts::{AccountNo, Entry, Head, Problem, TransferId, event};

use crate::plan::Fault;

/// The upper half of the id of a customer's deposit; the lower one is its operation's number.
pub(crate) const DEPOSITS: u64 = 0xde90;
/// The upper half of the id of a customer's transfer; the lower one is its operation's number.
pub(crate) const TRANSFERS: u64 = 0x7a45;
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

/// `account 7` at this bank; others by bank and number.
pub(crate) fn party(party: &Party) -> String {
    match party.destination("to") {
        Ok(Destination::Own(no)) => account(no),
        _ => format!("{} {}", party.bank, party.account),
    }
}

/// `#50` for a customer's deposit or transfer; others by what they are.
pub(crate) fn transfer(id: TransferId) -> String {
    let (kind, number) = id.0.as_u64_pair();
    match (kind, i64::try_from(number)) {
        (DEPOSITS | TRANSFERS, _) => format!("#{number}"),
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

fn view(view: &TransferView) -> String {
    let seq = view.seq.map_or_else(String::new, |seq| format!(", seq {seq}"));
    let reason = view.reason.map_or_else(String::new, |reason| format!(", {}", reason.as_str()));
    format!("{} {}{reason}{seq}", transfer(view.id), view.state.as_str())
}

fn outcome(answer: &CreditAnswer) -> String {
    format!("{} {}", transfer(answer.id), answer.state.as_str())
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
    let pending = match &page.pending[..] {
        [] => String::new(),
        shown => format!(", pending {}", listed(shown.iter().map(|shown| transfer(shown.id)))),
    };
    format!("{shown}, as of {}{stale}{pending}", page.as_of_seq)
}

/// What for, where it was said.
fn told_purpose(purpose: Option<Purpose>) -> String {
    purpose.map_or_else(String::new, |purpose| format!(" ({})", purpose.as_str()))
}

fn synced(answer: &SyncAnswer) -> String {
    let again = answer.retry_after_ms.map_or_else(String::new, |millis| format!(", again in {millis} ms"));
    format!("{}, as of {}{again}", answer.result.as_str(), answer.as_of_seq)
}

fn redriven(answer: &RedriveAnswer) -> String {
    let RedriveAnswer { taken, closed, failed, open, .. } = answer;
    format!("letters: {taken} taken, {closed} closed, {failed} failed, {open} open")
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
            Self::Transfer(asked) => {
                let (id, from, to) = (transfer(asked.id), account(asked.from), party(&asked.to));
                format!("transfer {id} of {} won from {from} to {to}", asked.amount.get())
            }
            Self::Resolve(id) => format!("resolve {}", transfer(*id)),
            Self::BankOutcome(answer) => format!("outcome {}", outcome(answer)),
            Self::Entries { account: no, after, limit, purpose } => {
                format!("entries of {} after {after}, at most {limit}{}", account(*no), told_purpose(*purpose))
            }
            Self::Head(no) => format!("head of {}", account(*no)),
            Self::Heads { accounts, purpose } => {
                format!("heads of {}{}", listed(accounts.iter().map(|no| account(*no))), told_purpose(*purpose))
            }
            Self::Digests(range) => {
                format!("digests of {} to {}, {} each", account(range.from), account(range.to), range.width)
            }
        }
    }
}

impl Kinded for CoreRequest {
    fn kind(&self) -> &'static str {
        match self {
            Self::Deposit(_) => "deposit",
            Self::Transfer(_) => "transfer",
            Self::BankOutcome(_) => "outcome",
            Self::Resolve(_) => "resolve",
            Self::Entries { .. } => "entries",
            Self::Head(_) => "head",
            Self::Heads { .. } => "heads",
            Self::Digests(_) => "digests",
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
            Self::Digests(answer) => {
                let next = answer.next.map_or_else(String::new, |next| format!(", cut at {}", account(next)));
                format!("digests of {} parts{next}", answer.parts.len())
            }
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
        match self {
            Self::History { account: no, cursor, limit } => {
                let below = cursor.map_or_else(String::new, |below| format!(" below {below}"));
                format!("history of {}{below}, {limit} a page", account(*no))
            }
            Self::Submit(asked) => {
                let (id, user) = (transfer(asked.id), asked.user);
                let (from, to) = (account(asked.from), party(&asked.to));
                format!("submit {id} of {} won from {from} to {to}, user {user}", asked.amount.get())
            }
            Self::Transfer(id) => format!("state of {}", transfer(*id)),
            Self::Sync(no) => format!("sync of {}", account(*no)),
            Self::Redrive(asked) => format!("redrive of {} letters", asked.limit),
        }
    }
}

impl Kinded for ChannelRequest {
    fn kind(&self) -> &'static str {
        match self {
            Self::History { .. } => "history",
            Self::Submit(_) => "submit",
            Self::Transfer(_) => "state",
            Self::Sync(_) => "sync",
            Self::Redrive(_) => "redrive",
        }
    }
}

impl Told for ChannelResponse {
    fn told(&self) -> String {
        match self {
            Self::History(answer) => page(answer),
            Self::Created(answer) => format!("created: {}", view(answer)),
            Self::Accepted(answer) => format!("accepted: {}", view(answer)),
            Self::Transfer(answer) => format!("stands: {}", view(answer)),
            Self::Synced(answer) => synced(answer),
            Self::Redriven(answer) => redriven(answer),
            Self::Problem(no) => problem(no),
        }
    }

    fn stands_alone(&self) -> bool {
        matches!(self, Self::Created(_) | Self::Accepted(_) | Self::Transfer(_))
    }
}

impl Told for BanksRequest {
    fn told(&self) -> String {
        match self {
            Self::Credit(credit) => {
                format!("credit {} of {} won to {}", transfer(credit.id), credit.amount.get(), party(&credit.to))
            }
            Self::Cancel(id) => format!("cancel {}", transfer(*id)),
        }
    }
}

impl Kinded for BanksRequest {
    fn kind(&self) -> &'static str {
        match self {
            Self::Credit(_) => "credit",
            Self::Cancel(_) => "cancel",
        }
    }
}

impl Told for BanksResponse {
    fn told(&self) -> String {
        match self {
            Self::Answer(answer) => format!("answer: {}", outcome(answer)),
            Self::Accepted(id) => format!("takes {} on", transfer(*id)),
            Self::Problem(no) => problem(no),
        }
    }

    fn stands_alone(&self) -> bool {
        !matches!(self, Self::Problem(_))
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
mod tests;
