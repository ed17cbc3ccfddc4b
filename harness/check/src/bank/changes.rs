//! Changes of several rows of the good history at once, so that core still agrees with itself.
//!
//! In: a bank. Out: the same bank, changed. Elsewhere: handles to single rows (`bank`).

use bankstorm_record::rows::TopicRow;

use super::{Bank, copied};

impl Bank {
    /// The account's last posting gets another amount, everywhere in core.
    pub(crate) fn rewrite_last(&mut self, account: i64, amount: i64) {
        let seq = self.core_account(account).seq;
        let balance = self.core_entry(account, seq - 1).balance_after.expect("a customer's") + amount;
        self.internal_leg(account, seq).amount = -amount;
        let transfer = self.transfer_of(account, seq);
        (transfer.amount, transfer.balance_after) = (Some(amount), Some(balance));
        let entry = self.core_entry(account, seq);
        (entry.amount, entry.balance_after) = (amount, Some(balance));
        self.core_account(account).balance = Some(balance);
    }

    /// Books transfer `id` of the account once more.
    pub(crate) fn post_again(&mut self, account: i64, id: u128) {
        let row = self.source.core_transfers.iter().find(|row| row.transfer == id).expect("a transfer");
        self.post_under(account, id, row.amount.expect("a deposit"));
    }

    /// Books an amount under this id, as the account's next serial, and lets it travel to the copy.
    pub(crate) fn post_under(&mut self, account: i64, id: u128, amount: i64) {
        let row = self.core_account(account);
        (row.seq, row.balance) = (row.seq + 1, row.balance.map(|balance| balance + amount));
        let (seq, balance) = (row.seq, row.balance.expect("a customer's"));
        self.legs(account, seq, id, amount, balance, "deposit");
        let copy = copied(self.core_entry(account, seq));
        self.source.channel_entries.push(copy);
        let head = self.channel_account(account);
        (head.last_seq, head.balance) = (seq, balance);
        self.journal(account, seq);
        let last = &self.source.topic[self.record_at(account, seq - 1)];
        let again =
            TopicRow { record_offset: 1_000, seq, transfer: id, amount, balance_after: balance, ..last.clone() };
        self.source.topic.push(again);
        self.sort();
    }

    /// Takes the account's copy one entry back, as if the last event had never come.
    pub(crate) fn copy_lags_behind(&mut self, account: i64) {
        let last = self.channel_account(account).last_seq;
        let balance = self.channel_entry(account, last - 1).balance_after;
        self.source.channel_entries.retain(|row| (row.account, row.seq) != (account, last));
        self.source.apply_journal.retain(|row| (row.account, row.to_seq) != (account, last));
        self.source.pages.retain(|row| row.account != account || row.as_of_seq < last);
        let head = self.channel_account(account);
        (head.last_seq, head.balance) = (last - 1, balance);
    }

    /// Swaps what two records of an account say; their places stay.
    pub(crate) fn swap_records(&mut self, account: i64, a: i64, b: i64) {
        let [a, b] = [a, b].map(|seq| self.record_at(account, seq));
        self.source.topic.swap(a, b);
        let places = [a, b].map(|index| self.source.topic[index].record_offset);
        self.source.topic[a].record_offset = places[1];
        self.source.topic[b].record_offset = places[0];
    }
}
