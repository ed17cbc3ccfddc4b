//! After the heal the bank must work, not merely answer: what the world itself asks of it.
//!
//! In: a bank at rest. Out: nothing, or what it did not do in time. Elsewhere: customers (`customers`).

use bankstorm_contracts::{AccountNo, Outcome};
use tokio::time::{Instant, sleep};

use super::{ASK_LIMIT, ASK_PAUSE, REST_LIMIT, World};
use crate::plan::Payment;
use crate::trace;
use crate::world::bank::{account, own_accounts};
use crate::world::customers::deposits::{deposit, submit_deposit};
use crate::world::customers::payments::{submit, submit_payment};
use crate::world::customers::{Wanted, read_page};
use crate::world::ledger::Ask;

/// Accounts whose newest page is read at the end, at most: one answer shows how a page is made, not each account's copy (S5 does).
const LAST_PAGES: u32 = 20;
/// The world's own customer.
const OWN_USER: u32 = 1_000_001;

impl World<'_> {
    /// A deposit of the world's own is booked; where the plan has them, a transfer is completed, and one to another bank is settled.
    pub(super) async fn must_work(&mut self) {
        trace::note(|| "---- the bank must work again".to_owned());
        let [own, other] = own_accounts(&self.plan.topology);
        self.deposit_until_ok(account(own)).await;
        if self.plan.has_transfers() {
            // Enough for both payments, whatever accounts were opened with.
            self.deposit_until_ok(account(own)).await;
            self.pay_until_settled(own, Some(other)).await;
        }
        if self.plan.has_outbound() {
            self.pay_until_settled(own, None).await;
        }
    }

    /// A deposit of the world's own, tried again with the same id until it is booked.
    pub(super) async fn deposit_until_ok(&mut self, account: AccountNo) {
        let op = self.take_op();
        let ask = Ask::Deposit(deposit(op, account, 1));
        let place = self.ledger.begin(op, ask.clone(), None);
        let until = Instant::now() + REST_LIMIT;
        loop {
            let ending = submit_deposit(&self.bank, &self.ledger, &self.harness, (place, &ask), ASK_LIMIT).await;
            if ending.outcome == Outcome::Ok || Instant::now() >= until {
                self.ledger.end(place, ending);
                if ending.outcome != Outcome::Ok {
                    self.late.push(format!("a deposit was not booked within {REST_LIMIT:?} after the heal"));
                }
                return;
            }
            sleep(ASK_PAUSE).await;
        }
    }

    /// A payment of the world's own, asked for again with the same id until it is settled; one inside the bank must be completed. One that
    /// core did not even begin is sent anew.
    async fn pay_until_settled(&mut self, from: u32, to: Option<u32>) {
        let until = Instant::now() + REST_LIMIT;
        loop {
            let op = self.take_op();
            let (channel, patience_ms) = (self.some_channel(0), 0);
            let (retries, elsewhere, again, resubmit, reads, looks) = (0, None, None, false, 0, 0);
            let (user, won, channel_no) = (OWN_USER, 1, 0);
            let pay = Payment {
                user,
                won,
                channel: channel_no,
                patience_ms,
                retries,
                elsewhere,
                again,
                resubmit,
                reads,
                looks,
            };
            let ask = Ask::Transfer(submit(op, &pay, account(from), to));
            let place = self.ledger.begin(op, ask.clone(), Some(op));
            let link = &self.channels[channel];
            let ending = loop {
                let asked = (place, &ask);
                let ending = submit_payment(&self.bank, &self.ledger, (link, channel), asked, ASK_LIMIT).await;
                if ending.is_final || Instant::now() >= until {
                    break ending;
                }
                sleep(ASK_PAUSE).await;
            };
            self.ledger.end(place, ending);
            if ending.outcome == Outcome::Ok || (ending.is_final && to.is_none()) {
                return;
            }
            if Instant::now() >= until {
                self.late.push(format!("a payment was not settled within {REST_LIMIT:?} after the heal"));
                return;
            }
            sleep(ASK_PAUSE).await;
        }
    }

    fn take_op(&mut self) -> u64 {
        self.next_op += 1;
        self.next_op - 1
    }

    /// The newest page of some accounts, as a customer would see it now.
    pub(super) async fn look_once_more(&mut self) {
        trace::note(|| "---- the newest pages are read once more".to_owned());
        for index in 0..self.plan.topology.accounts.min(LAST_PAGES) {
            // The copy does not know an account of which there is no entry yet.
            let head = self.bank.core_store.with(|data| data.heads.get(&account(index)).map_or(0, |head| head.seq));
            if head == 0 {
                continue;
            }
            let channel = self.some_channel(index as usize);
            let link = &self.channels[channel];
            // What outsiders hold of a database they may hold a while longer.
            let until = Instant::now() + REST_LIMIT;
            let wanted = Wanted { account: account(index), cursor: None, limit: 100, session: None };
            while read_page(&self.bank, &self.ledger, (link, channel), wanted).await.is_none() {
                if Instant::now() >= until {
                    let limit = REST_LIMIT;
                    self.late.push(format!(
                        "{} gave no page of account {index} within {limit:?} after the heal",
                        link.name()
                    ));
                    return;
                }
                sleep(ASK_PAUSE).await;
            }
        }
    }
}
