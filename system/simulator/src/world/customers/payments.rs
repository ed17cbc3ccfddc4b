//! Payments: patience, double clicks, two devices, other amounts, blind resends, questions how it stands.
//!
//! In: payments of a plan. Out: calls of channels, and what was heard. Elsewhere: what an answer means (`ledger::ending`).
//!
//! A payment's first key is numbered as its operation, the second device's and the other amount's `KEYS` above, a resend's twice that.

use std::time::Duration;

use bankstorm_contracts::channel_api::{ChannelRequest, SubmitTransfer};
use bankstorm_contracts::core_api::Party;
use bankstorm_contracts::{AccountNo, Outcome, TransferId, UserNo, Won};
use tokio::time::sleep;

use super::{Customers, KEYS, PAGE_LIMIT, PAUSE, after};
use crate::model::network::Link;
use crate::plan::{Payment, Twice};
use crate::trace::told::TRANSFERS;
use crate::world::bank::{Bank, account};
use crate::world::ledger::{Answer, Ask, Ending, Heard, Ledger, of_channel};
use crate::world::markers;

/// Between two questions how a transfer stands.
const READ_PAUSE: Duration = Duration::from_millis(700);

impl Customers {
    /// One payment, with all that its customer does about it.
    pub(super) async fn pay(&self, op: u64, submit: SubmitTransfer, pay: &Payment) {
        let ask = Ask::Transfer(submit.clone());
        let place = self.ledger.begin(op, ask.clone(), Some(op));
        let first = self.try_payment(place, &ask, pay, pay.channel);
        let elsewhere = pay.elsewhere.unwrap_or(pay.channel);
        let ending = match pay.again {
            None => first.await,
            Some(Twice::Same(after_ms)) => {
                let second = after(after_ms, self.try_payment(place, &ask, pay, pay.channel));
                let (first, second) = tokio::join!(biased; first, second);
                first.or(second)
            }
            Some(Twice::Device(after_ms)) => {
                let device = Ask::Transfer(SubmitTransfer { id: id(op + KEYS), ..submit.clone() });
                let second = after(after_ms, self.another_key(op + KEYS, device, (op, pay), elsewhere));
                let (first, _) = tokio::join!(biased; first, second);
                first
            }
            Some(Twice::Other(after_ms)) => {
                let amount = Won::new(submit.amount.get() + 1);
                let other = Ask::Transfer(SubmitTransfer { amount, ..submit.clone() });
                let second = after(after_ms, self.another_key(op + KEYS, other, (op, pay), elsewhere));
                let (first, _) = tokio::join!(biased; first, second);
                first
            }
        };
        self.ledger.end(place, ending);
        if pay.resubmit && ending.outcome == Outcome::Unknown {
            let anew = Ask::Transfer(SubmitTransfer { id: id(op + 2 * KEYS), ..submit.clone() });
            if self.another_key(op + 2 * KEYS, anew, (op, pay), elsewhere).await.outcome == Outcome::Ok {
                self.bank.see(markers::SENT_ANEW);
            }
        }
        self.look(submit.from, pay.channel as usize, pay.looks).await;
        if !ending.is_final || ending.outcome == Outcome::Ok {
            self.ask_how_it_stands(submit.id, pay, ending.is_final).await;
        }
    }

    /// One device's tries, until it knows or its customer has no more patience.
    async fn try_payment(&self, place: usize, ask: &Ask, pay: &Payment, channel: u32) -> Ending {
        let patience = Duration::from_millis(pay.patience_ms);
        let mut ending = self.submit(place, ask, channel, patience).await;
        for _ in 0..pay.retries {
            if !ending.is_worth_another_try() {
                break;
            }
            sleep(PAUSE).await;
            let channel = pay.elsewhere.unwrap_or(channel);
            ending = ending.or(self.submit(place, ask, channel, patience).await);
        }
        ending
    }

    /// Another key of the intent, sent once.
    async fn another_key(&self, op: u64, ask: Ask, (intent, pay): (u64, &Payment), channel: u32) -> Ending {
        let place = self.ledger.begin(op, ask.clone(), Some(intent));
        let ending = self.submit(place, &ask, channel, Duration::from_millis(pay.patience_ms)).await;
        self.ledger.end(place, ending);
        ending
    }

    async fn submit(&self, place: usize, ask: &Ask, channel: u32, limit: Duration) -> Ending {
        let channel = channel as usize;
        submit_payment(&self.bank, &self.ledger, (&self.channels[channel], channel), (place, ask), limit).await
    }

    /// Asks until it is settled, or no more.
    async fn ask_how_it_stands(&self, id: TransferId, pay: &Payment, was_settled: bool) {
        let mut was_open = !was_settled;
        for nth in 0..pay.reads {
            sleep(READ_PAUSE).await;
            let channel = if nth % 2 == 0 { pay.channel } else { pay.elsewhere.unwrap_or(pay.channel) } as usize;
            let (heard, ending) = read_state(&self.bank, &self.ledger, (&self.channels[channel], channel), id).await;
            if heard.stage.is_some() && ending.is_final {
                if was_open && ending.outcome == Outcome::Ok {
                    self.bank.see(markers::UNKNOWN_THEN_COMPLETED);
                }
                return;
            }
            was_open |= heard.stage.is_some();
        }
    }
}

/// Sends a payment once, and notes what was heard.
pub(crate) async fn submit_payment(
    bank: &Bank,
    ledger: &Ledger,
    (link, channel): (&Link, usize),
    (place, ask): (usize, &Ask),
    limit: Duration,
) -> Ending {
    let Ask::Transfer(submit) = ask else { unreachable!("a transfer is asked of a channel") };
    ledger.sends(place);
    let (invoked_ns, process) = (ledger.now_ns(), &bank.channels[channel]);
    let answer = link.call(&process.endpoint, ChannelRequest::Submit(submit.clone()), limit).await;
    let (heard, ending) = of_channel(&answer);
    let instance = process.name;
    let of = Answer { id: submit.id, invoked_ns, store: "channel", instance, via: "submit", ask: Some(ask) };
    ledger.hear(&of, &heard, ending);
    ending
}

/// Asks a channel how a transfer stands, and notes what was heard.
pub(crate) async fn read_state(
    bank: &Bank,
    ledger: &Ledger,
    (link, channel): (&Link, usize),
    id: TransferId,
) -> (Heard, Ending) {
    let (invoked_ns, process) = (ledger.now_ns(), &bank.channels[channel]);
    let answer = link.call(&process.endpoint, ChannelRequest::Transfer(id), PAGE_LIMIT).await;
    let (heard, ending) = of_channel(&answer);
    let of = Answer { id, invoked_ns, store: "channel", instance: process.name, via: "read", ask: None };
    ledger.hear(&of, &heard, ending);
    (heard, ending)
}

/// A transfer's id by its number.
pub(crate) fn id(number: u64) -> TransferId {
    TransferId(uuid::Uuid::from_u64_pair(TRANSFERS, number))
}

/// A payment's first request. Without `to` it goes to another bank.
pub(crate) fn submit(op: u64, pay: &Payment, from: AccountNo, to: Option<u32>) -> SubmitTransfer {
    let abroad = || Party { bank: "088".to_owned(), account: format!("110-{op}") };
    SubmitTransfer {
        id: id(op),
        user: UserNo(i64::from(pay.user)),
        from,
        to: to.map_or_else(abroad, |to| Party::own(account(to))),
        amount: Won::new(pay.won),
    }
}
