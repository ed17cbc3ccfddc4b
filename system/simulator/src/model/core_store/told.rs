//! What a transaction of core did, in a line.
//!
//! In: what it had staged. Out: text for the trace. Elsewhere: when it is told (`database::session`), names of things (`trace::told`).

use bankstorm_contracts::{ParamsHash, TransferState};
use bankstorm_outside::core_store::TransferRecord;

use super::tx::Staged;
use crate::trace::Told;
use crate::trace::told::{account, listed, transfer};

impl Staged {
    fn outcome(&self, record: &TransferRecord) -> String {
        let id = transfer(record.id);
        match record.state {
            TransferState::Completed => {
                let to = self.asked.get(&record.id).and_then(|(account, _)| *account);
                let to = to.map_or_else(|| "nobody".to_owned(), account);
                let seq = record.seq.map_or_else(String::new, |seq| format!(" seq {seq}"));
                format!("posts {id} to {to}{seq}")
            }
            TransferState::Rejected if record.params_hash == ParamsHash::TOMBSTONE => format!("tombstone for {id}"),
            TransferState::Rejected => {
                format!("rejects {id}: {}", record.reason.map_or("no reason", |reason| reason.as_str()))
            }
            TransferState::Processing => format!("leaves {id} in work"),
        }
    }
}

impl Told for Staged {
    fn told(&self) -> String {
        if self.claimed.is_empty() {
            let heads =
                listed(self.heads.values().map(|head| format!("{} to seq {}", account(head.account), head.seq)));
            return if heads.is_empty() { "commits nothing new".to_owned() } else { format!("moves {heads}") };
        }
        listed(self.claimed.values().map(|record| self.outcome(record)))
    }
}
