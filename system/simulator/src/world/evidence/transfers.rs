//! What is left of transfers: as the channel keeps them, and as the other banks do.
//!
//! In: the channel's database, the other banks' book. Out: rows, by id. Elsewhere: core's side (`evidence`).

use std::collections::BTreeMap;

use bankstorm_contracts::TransferId;
use bankstorm_contracts::banks_api::{Credit, CreditAnswer, CreditState};
use bankstorm_record::rows::{BankNetworkRow, ChannelTransferRow};

use crate::model::channel_store::StoredTransfer;
use crate::world::bank::Bank;

/// Every transfer that began in the channel.
pub(super) fn in_channel(bank: &Bank) -> Vec<ChannelTransferRow> {
    bank.channel_store.with(|data| data.transfers.values().map(channel_transfer).collect())
}

fn channel_transfer(stored: &StoredTransfer) -> ChannelTransferRow {
    let StoredTransfer { row, settled_by, opened_commit, settled_commit, .. } = stored;
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    ChannelTransferRow {
        transfer: row.id.0.as_u128(),
        user: row.user.0,
        account: row.from.get(),
        to_bank: row.to.bank.clone(),
        to_account: row.to.account.clone(),
        amount: row.amount.get(),
        params_hash: row.params_hash.0.to_vec(),
        stage: row.stage.as_str().to_owned(),
        reason: row.reason.map(|reason| reason.as_str().to_owned()),
        seq: row.seq,
        created_at_us: row.created_at.0,
        attempts: i64::from(row.attempts),
        settled_txid: settled_by.map(number),
        opened_commit: Some(number(*opened_commit)),
        settled_commit: settled_commit.map(number),
    }
}

/// The other banks' book: an id's first line stands, and each line that says "credited" is a credit.
pub(super) fn abroad(bank: &Bank) -> Vec<BankNetworkRow> {
    let mut rows: BTreeMap<TransferId, BankNetworkRow> = BTreeMap::new();
    for (answer, credit) in bank.book.lines() {
        let row = rows.entry(answer.id).or_insert_with(|| first_line(&answer, credit.as_ref()));
        row.credited += u32::from(answer.state == CreditState::Credited);
    }
    rows.into_values().collect()
}

fn first_line(answer: &CreditAnswer, credit: Option<&Credit>) -> BankNetworkRow {
    BankNetworkRow {
        transfer: answer.id.0.as_u128(),
        state: answer.state.as_str().to_owned(),
        to_bank: credit.map(|credit| credit.to.bank.clone()),
        to_account: credit.map(|credit| credit.to.account.clone()),
        amount: credit.map(|credit| credit.amount.get()),
        credited: 0,
    }
}
