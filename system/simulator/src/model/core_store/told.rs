//! What a transaction of core did, in a line.
//!
//! In: what it had staged. Out: text for the trace. Elsewhere: when it is told (`database::session`), names of things (`trace::told`).

use bankstorm_contracts::{TransferKind, TransferState};
use bankstorm_outside::core_store::TransferRecord;

use super::tx::Staged;
use crate::trace::Told;
use crate::trace::told::{account, listed, party, transfer};

impl Staged {
    fn outcome(&self, record: &TransferRecord) -> String {
        let id = transfer(record.id);
        match record.state {
            TransferState::Completed => {
                let seq = record.seq.map_or_else(String::new, |seq| format!(" seq {seq}"));
                format!("posts {id}{}{seq}", self.whose(record))
            }
            TransferState::Rejected if record.kind == TransferKind::Tombstone => format!("tombstone for {id}"),
            TransferState::Rejected => {
                format!("rejects {id}: {}", record.reason.map_or("no reason", |reason| reason.as_str()))
            }
            TransferState::Processing => match self.holds.get(&record.id) {
                Some(row) => format!("holds {} for {id} from {}", row.hold.amount.get(), account(row.hold.account)),
                None => format!("leaves {id} in work"),
            },
        }
    }

    /// Between whom it goes, where this transaction was told.
    fn whose(&self, record: &TransferRecord) -> String {
        let Some(asked) = self.asked.get(&record.id).map(|asked| &asked.claim) else { return String::new() };
        let customer = asked.account.map_or_else(|| "nobody".to_owned(), account);
        match (asked.kind, &asked.party) {
            (TransferKind::Transfer | TransferKind::Outbound, Some(to)) => format!(" from {customer} to {}", party(to)),
            _ => format!(" to {customer}"),
        }
    }

    fn ends(&self) -> impl Iterator<Item = String> {
        let ended = self.holds.iter().filter_map(|(id, row)| Some((*id, row.ended?)));
        ended.map(|(id, ended)| format!("the hold of {} is {}", transfer(id), ended.end.as_str()))
    }
}

impl Told for Staged {
    fn told(&self) -> String {
        if self.claimed.is_empty() && self.reopened.is_empty() {
            let heads =
                listed(self.heads.values().map(|head| format!("{} to seq {}", account(head.account), head.seq)));
            return if heads.is_empty() { "commits nothing new".to_owned() } else { format!("moves {heads}") };
        }
        let outcomes = self.claimed.values().chain(self.reopened.values()).map(|record| self.outcome(record));
        listed(outcomes.chain(self.ends()))
    }
}
