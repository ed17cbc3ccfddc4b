//! Another bank that keeps its promises, and answers as a test says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bankstorm_contracts::TransferId;
use bankstorm_contracts::banks_api::{Credit, CreditState};
use bankstorm_outside::bank_network::{BankNetwork, CreditReply};
use bankstorm_outside::core_api::CallError;

/// What it does with a credit that is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Credits it and says so.
    Credits,
    /// Refuses it and says so.
    Refuses,
    /// Takes it on, and decides nothing.
    TakesOn,
    /// Never hears of it.
    Deaf,
    /// Credits it and says nothing.
    CreditsInSilence,
    /// Is not reached, and says so.
    Away,
}

pub(crate) struct Book {
    pub(crate) manner: Manner,
    /// Whether cancels are heard and answered.
    pub(crate) hears_cancels: bool,
    pub(crate) book: BTreeMap<TransferId, CreditState>,
    pub(crate) asked: Vec<(&'static str, TransferId)>,
}

#[derive(Clone)]
pub(crate) struct Bank(Arc<Mutex<Book>>);

impl Bank {
    pub(crate) fn new(manner: Manner) -> Self {
        let book = Book { manner, hears_cancels: true, book: BTreeMap::new(), asked: Vec::new() };
        Self(Arc::new(Mutex::new(book)))
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().expect("no panic holds it")
    }

    pub(crate) fn asked(&self, what: &str) -> usize {
        self.book().asked.iter().filter(|(asked, _)| *asked == what).count()
    }
}

impl BankNetwork for Bank {
    async fn credit(&self, credit: &Credit) -> Result<CreditReply, CallError> {
        let reply = {
            let mut bank = self.book();
            bank.asked.push(("credit", credit.id));
            let manner = bank.manner;
            let state = match manner {
                Manner::Credits | Manner::CreditsInSilence => Some(CreditState::Credited),
                Manner::Refuses => Some(CreditState::Refused),
                Manner::TakesOn | Manner::Deaf | Manner::Away => None,
            };
            let stands = match state {
                Some(state) => Some(*bank.book.entry(credit.id).or_insert(state)),
                None => bank.book.get(&credit.id).copied(),
            };
            match manner {
                Manner::Deaf | Manner::CreditsInSilence => None,
                Manner::Away => Some(Err(CallError::NotSent("refused".to_owned()))),
                _ => Some(Ok(stands.map_or(CreditReply::Accepted, CreditReply::Answer))),
            }
        };
        match reply {
            Some(reply) => reply,
            None => std::future::pending().await,
        }
    }

    async fn cancel(&self, id: TransferId) -> Result<CreditReply, CallError> {
        let state = {
            let mut bank = self.book();
            bank.asked.push(("cancel", id));
            bank.hears_cancels.then(|| *bank.book.entry(id).or_insert(CreditState::Refused))
        };
        match state {
            Some(state) => Ok(CreditReply::Answer(state)),
            None => std::future::pending().await,
        }
    }
}
