//! What is not known at the end of load is found out.
//!
//! In: keys without a verdict. Out: their verdicts. Elsewhere: keys and answers (`ledger`).
//!
//! Deposits are asked about by `resolve`, which fences them. Transfers are only read: the bank settles them alone, or it would be helped
//! (D32). What a channel does not know once nothing is on its way any more never arrived.

use std::time::Duration;

use bankstorm_contracts::Outcome;
use bankstorm_contracts::problem::ProblemKind;
use tokio::time::{Instant, sleep, sleep_until};

use super::{ASK_LIMIT, ASK_PAUSE, REST_LIMIT, World};
use crate::plan::Kind;
use crate::trace;
use crate::trace::told::transfer;
use crate::world::customers::deposits::{resolve, submit_deposit};
use crate::world::customers::payments::{read_state, submit_payment};
use crate::world::ledger::{Ask, Ending, Open};

impl World<'_> {
    /// Asks about everything that is not known.
    pub(super) async fn resolve(&mut self) {
        let until = Instant::now() + REST_LIMIT;
        let open = self.ledger.open();
        trace::note(|| format!("---- every customer has ended; what became of {} ids is asked", open.len()));
        if open.iter().any(|open| matches!(open.ask, Ask::Transfer(_))) {
            // What is on its way arrives by then.
            sleep_until(Instant::now() + self.longest_on_the_way()).await;
        }
        for open in open {
            let ending = loop {
                let ending = self.ask(&open).await;
                if let Some(ending) = ending {
                    break ending;
                }
                if Instant::now() >= until {
                    self.late.push(format!("transfer {} had no verdict {REST_LIMIT:?} after load", open.ask.id()));
                    break Ending::passing(Outcome::Unknown);
                }
                sleep(ASK_PAUSE).await;
            };
            self.ledger.resolve(open.place, ending);
        }
    }

    /// The longest time that a request may be kept by a fault.
    fn longest_on_the_way(&self) -> Duration {
        let keeps = |kind| matches!(kind, Kind::RequestHeld | Kind::RequestDoubled);
        let faults = self.plan.faults.iter().filter(|fault| keeps(fault.kind));
        Duration::from_millis(faults.map(|fault| fault.lasts_ms).max().unwrap_or(0))
    }

    /// Asks once; `None` while nobody can tell.
    async fn ask(&self, open: &Open) -> Option<Ending> {
        let (bank, ledger) = (&self.bank, &self.ledger);
        let ending = match &open.ask {
            Ask::Deposit(deposit) => resolve(bank, ledger, &self.harness, deposit.id, ASK_LIMIT).await,
            Ask::Transfer(submit) => {
                let channel = self.some_channel(open.place);
                let (heard, ending) = read_state(bank, ledger, (&self.channels[channel], channel), submit.id).await;
                if heard.problem == Some(ProblemKind::NotFound) {
                    trace::note(|| format!("{} never arrived", transfer(submit.id)));
                    return Some(Ending::passing(Outcome::Failed));
                }
                ending
            }
        };
        if !ending.is_final {
            return None;
        }
        if open.is_ambiguous { self.ask_for_which(open).await } else { Some(ending) }
    }

    /// An id that was sent with several sets of parameters stands for one of them. Whoever sends his own again hears whether it is his:
    /// since the id stands, that does nothing.
    async fn ask_for_which(&self, open: &Open) -> Option<Ending> {
        let (bank, ledger, asked) = (&self.bank, &self.ledger, (open.place, &open.ask));
        let ending = match &open.ask {
            Ask::Deposit(_) => submit_deposit(bank, ledger, &self.harness, asked, ASK_LIMIT).await,
            Ask::Transfer(_) => {
                let channel = self.some_channel(open.place);
                submit_payment(bank, ledger, (&self.channels[channel], channel), asked, ASK_LIMIT).await
            }
        };
        ending.is_final.then_some(ending)
    }

    /// Each time the same one, for the same number; over many all of them.
    pub(super) fn some_channel(&self, number: usize) -> usize {
        number % self.channels.len()
    }
}
