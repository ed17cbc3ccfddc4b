//! The transfers of the good history: two inside the bank, one posted to another bank, one refused there, one that core never received, one
//! that core refused (the second key of the same intent, sent after the first was settled).
//!
//! In: a bank with its deposits. Out: accounts [`PAYER`] and [`PAYEE`], with all rows of their transfers, and handles to them.

use bankstorm_record::rows::{
    BankNetworkRow, ChannelTransferRow, CoreAccountRow, CoreEntryRow, CoreHoldRow, CoreTransferRow, OperationRow,
    TransferReadRow,
};

use super::{Bank, SETTLEMENT};

/// Who sends: serials 1 to 3 loaded, 4 to 6 debits.
pub(crate) const PAYER: i64 = 1_000_100;
/// Who gets what stays inside: serials 1 to 3 loaded, 4 and 5 credits.
pub(crate) const PAYEE: i64 = 1_000_101;
/// How long a transfer may be posted.
pub(crate) const VALIDITY_MS: i64 = 5_000;

const IDS: u128 = 0x0192_f000 << 96;
/// 100 won inside the bank.
pub(crate) const FIRST_OWN: u128 = IDS + 1;
const SECOND_OWN: u128 = IDS + 2;
/// 200 won to another bank.
pub(crate) const POSTED: u128 = IDS + 3;
/// 300 won that the other bank refused.
pub(crate) const VOIDED: u128 = IDS + 4;
/// Core never received it.
pub(crate) const LOST: u128 = IDS + 5;
/// Core refused it.
pub(crate) const REFUSED: u128 = IDS + 6;

const USER: i64 = 7;
const LOADED: i64 = 3;

/// One transfer, from its end.
struct Case {
    id: u128,
    kind: &'static str,
    amount: i64,
    /// What its sender heard first: an outcome and the channel's word.
    heard: (&'static str, &'static str),
    stage: &'static str,
    reason: Option<&'static str>,
    seq: Option<i64>,
}

const fn own(id: u128, amount: i64, seq: i64) -> Case {
    let heard = ("ok", "completed");
    Case { id, kind: "transfer", amount, heard, stage: "completed", reason: None, seq: Some(seq) }
}

const fn refused(id: u128, kind: &'static str, amount: i64, stage: &'static str, reason: &'static str) -> Case {
    Case { id, kind, amount, heard: ("unknown", "unknown"), stage, reason: Some(reason), seq: None }
}

const CASES: [Case; 6] = [
    own(FIRST_OWN, 100, 4),
    own(SECOND_OWN, 70, 5),
    Case { kind: "outbound", heard: ("unknown", "sent"), ..own(POSTED, 200, 6) },
    refused(VOIDED, "outbound", 300, "rejected", "refused_by_bank"),
    refused(LOST, "transfer", 40, "failed", "not_received"),
    Case {
        heard: ("rejected", "rejected"),
        ..refused(REFUSED, "transfer", 1_000_000, "rejected", "insufficient_funds")
    },
];

impl Case {
    fn to(&self) -> (String, String) {
        match self.kind {
            "outbound" => ("088".to_owned(), "77-1".to_owned()),
            _ => ("900".to_owned(), PAYEE.to_string()),
        }
    }

    fn params_hash(&self) -> Vec<u8> {
        vec![0x40 + (self.id & 0xf) as u8; 32]
    }

    fn outcome(&self) -> &'static str {
        match self.stage {
            "completed" => "ok",
            other => other,
        }
    }

    fn reason(&self) -> Option<String> {
        self.reason.map(str::to_owned)
    }
}

impl Bank {
    /// Adds both accounts and everything that became of the transfers.
    pub(super) fn add_transfers(&mut self) {
        let mut balances =
            [PAYER, PAYEE].map(|account| (1..=LOADED).fold(0, |balance, seq| self.book(account, seq, balance, false)));
        for case in &CASES {
            self.in_core(case, &mut balances);
        }
        for (account, balance) in [PAYER, PAYEE].into_iter().zip(balances) {
            let last = if account == PAYER { 6 } else { 5 };
            self.source.core_accounts.push(CoreAccountRow {
                account,
                kind: "customer".to_owned(),
                seq: last,
                balance: Some(balance),
                loaded_seq: LOADED,
                status: "open".to_owned(),
                held: 0,
            });
            self.sort();
            self.copy(account, LOADED);
        }
        for (case, number) in CASES.iter().zip(1..) {
            self.in_channel(case, number);
            self.by_customer(case);
        }
        self.sort_reads();
    }

    fn in_core(&mut self, case: &Case, [payer, payee]: &mut [i64; 2]) {
        let is_tombstone = case.id == LOST;
        let state = if case.stage == "completed" { "completed" } else { "rejected" };
        if let Some(seq) = case.seq {
            let outbound = case.kind == "outbound";
            *payer -= case.amount;
            self.leg(
                case.id,
                PAYER,
                Some(seq),
                -case.amount,
                *payer,
                if outbound { "outbound" } else { "transfer_out" },
            );
            if outbound {
                self.leg(case.id, SETTLEMENT, None, case.amount, 0, "outbound");
            } else {
                *payee += case.amount;
                self.leg(case.id, PAYEE, Some(seq), case.amount, *payee, "transfer_in");
            }
        }
        let (bank, account) = case.to();
        let known = |it: i64| Some(it).filter(|_| !is_tombstone);
        self.source.core_transfers.push(CoreTransferRow {
            transfer: case.id,
            kind: if is_tombstone { "tombstone" } else { case.kind }.to_owned(),
            state: state.to_owned(),
            params_hash: if is_tombstone { vec![0; 32] } else { case.params_hash() },
            account: known(PAYER),
            amount: known(case.amount),
            reason: case.reason(),
            seq: case.seq,
            balance_after: case.seq.map(|_| *payer),
            party_bank: Some(bank.clone()).filter(|_| !is_tombstone),
            party_account: Some(account.clone()).filter(|_| !is_tombstone),
            created_at_us: Some(1_700_000_000_000_000),
            posted_at_us: case.seq.map(|_| 1_700_000_000_000_100),
            requested_at_us: known(1_700_000_000_000_000),
            valid_for_ms: known(VALIDITY_MS),
        });
        if case.kind == "outbound" {
            let is_posted = case.seq.is_some();
            self.source.core_holds.push(CoreHoldRow {
                transfer: case.id,
                account: PAYER,
                amount: case.amount,
                state: if is_posted { "posted" } else { "voided" }.to_owned(),
                placed_seq: if is_posted { 5 } else { 6 },
                placed_at_us: 1_700_000_000_000_050,
                ended_seq: Some(6),
            });
            self.source.bank_network.push(BankNetworkRow {
                transfer: case.id,
                state: if is_posted { "credited" } else { "refused" }.to_owned(),
                to_bank: Some(bank),
                to_account: Some(account),
                amount: Some(case.amount),
                credited: u32::from(is_posted),
            });
        }
    }

    fn leg(&mut self, transfer: u128, account: i64, seq: Option<i64>, amount: i64, balance: i64, kind: &str) {
        self.source.core_entries.push(CoreEntryRow {
            account,
            seq,
            transfer,
            amount,
            balance_after: seq.map(|_| balance),
            kind: kind.to_owned(),
            posted_at_us: 1_700_000_000_000_000 + seq.unwrap_or(0),
        });
    }

    /// `number` rises with the transfers: each is stored after the one before was settled.
    fn in_channel(&mut self, case: &Case, number: i64) {
        let (to_bank, to_account) = case.to();
        let settled_commit = Some(number * 20 + 10);
        let stored = case.seq.map(|seq| {
            let line = self.journal_line(PAYER, seq);
            line.commit = settled_commit;
            line.txid
        });
        self.source.channel_transfers.push(ChannelTransferRow {
            transfer: case.id,
            user: USER,
            account: PAYER,
            to_bank,
            to_account,
            amount: case.amount,
            params_hash: case.params_hash(),
            stage: case.stage.to_owned(),
            reason: case.reason(),
            seq: case.seq,
            created_at_us: 1_700_000_000_000_000 + number,
            attempts: 1,
            settled_txid: Some(stored.unwrap_or(1_000 + number)),
            opened_commit: Some(number * 20),
            settled_commit,
        });
    }

    /// The operation, its answer, and the state that was read after its validity and a second.
    fn by_customer(&mut self, case: &Case) {
        let op = self.source.operations.len() as u64;
        let due = op as i64 * 1_000_000;
        let (to_bank, to_account) = case.to();
        let (outcome, heard) = case.heard;
        self.source.operations.push(OperationRow {
            op,
            load: 1,
            kind: case.kind.to_owned(),
            phase: "measure".to_owned(),
            transfer: case.id,
            account: PAYER,
            amount: case.amount,
            params_hash: case.params_hash(),
            intended_ns: due,
            sent_ns: Some(due + 10),
            acked_ns: Some(due + 1_000),
            visible_ns: case.seq.map(|_| due + 5_000),
            outcome: Some(outcome.to_owned()),
            resolved: Some(case.outcome().to_owned()),
            seq: case.seq,
            detail: case.reason(),
            http_status: Some(if outcome == "unknown" { 202 } else { 200 }),
            user: Some(USER),
            to_bank: Some(to_bank),
            to_account: Some(to_account),
            intent: Some(if case.id == REFUSED { op - 1 } else { op }),
            attempts: Some(1),
            ..OperationRow::default()
        });
        let is_end = heard == case.stage;
        let submit = TransferReadRow {
            transfer: case.id,
            invoked_ns: due + 10,
            completed_ns: due + 1_000,
            store: "channel".to_owned(),
            instance: "channel-0".to_owned(),
            via: "submit".to_owned(),
            params_hash: Some(case.params_hash()),
            outcome: outcome.to_owned(),
            stage: Some(heard.to_owned()),
            reason: case.reason().filter(|_| is_end),
            seq: case.seq.filter(|_| is_end),
        };
        let asked = due + (VALIDITY_MS + 1_000) * 1_000_000;
        let read = TransferReadRow {
            invoked_ns: asked,
            completed_ns: asked + 100,
            instance: "channel-1".to_owned(),
            via: "read".to_owned(),
            params_hash: None,
            outcome: "ok".to_owned(),
            stage: Some(case.stage.to_owned()),
            reason: case.reason(),
            seq: case.seq,
            ..submit.clone()
        };
        self.source.transfer_reads.extend([submit, read]);
    }

    pub(crate) fn sort_reads(&mut self) {
        self.source.transfer_reads.sort_by_key(|row| (row.transfer, row.invoked_ns));
    }
}

/// Handles to single rows.
impl Bank {
    pub(crate) fn operation(&mut self, id: u128) -> &mut OperationRow {
        self.source.operations.iter_mut().find(|row| row.transfer == id).expect("an operation")
    }

    pub(crate) fn core_transfer(&mut self, id: u128) -> &mut CoreTransferRow {
        self.source.core_transfers.iter_mut().find(|row| row.transfer == id).expect("a transfer")
    }

    pub(crate) fn channel_transfer(&mut self, id: u128) -> &mut ChannelTransferRow {
        self.source.channel_transfers.iter_mut().find(|row| row.transfer == id).expect("a transfer of the channel")
    }

    pub(crate) fn hold(&mut self, id: u128) -> &mut CoreHoldRow {
        self.source.core_holds.iter_mut().find(|row| row.transfer == id).expect("a hold")
    }

    pub(crate) fn credit(&mut self, id: u128) -> &mut BankNetworkRow {
        self.source.bank_network.iter_mut().find(|row| row.transfer == id).expect("a row of the banks' book")
    }

    pub(crate) fn read_of(&mut self, id: u128, via: &str) -> &mut TransferReadRow {
        let is_it = |row: &&mut TransferReadRow| row.transfer == id && row.via == via;
        self.source.transfer_reads.iter_mut().find(is_it).expect("an answer")
    }

    /// Somebody asked core about an id, so long after its first attempt.
    pub(crate) fn tell_core(&mut self, id: u128, state: &str, reason: Option<&str>, after_ns: i64) {
        let sent = self.operation(id).sent_ns.expect("sent");
        self.source.transfer_reads.push(TransferReadRow {
            transfer: id,
            invoked_ns: sent,
            completed_ns: sent + after_ns,
            store: "core".to_owned(),
            instance: "core".to_owned(),
            via: "resolve".to_owned(),
            params_hash: None,
            outcome: "rejected".to_owned(),
            stage: Some(state.to_owned()),
            reason: reason.map(str::to_owned),
            seq: None,
        });
        self.sort_reads();
    }

    /// Takes an outbound transfer back to where its hold is open and nobody knows anything; the account's row is left as it is.
    pub(crate) fn leave_open(&mut self, id: u128) {
        let hold = self.hold(id);
        (hold.state, hold.ended_seq) = ("held".to_owned(), None);
        let row = self.core_transfer(id);
        (row.state, row.reason) = ("processing".to_owned(), None);
        let row = self.channel_transfer(id);
        (row.stage, row.reason, row.settled_txid, row.settled_commit) = ("unknown".to_owned(), None, None, None);
        // Stored after all others of its customer, none of which it may keep waiting.
        row.opened_commit = Some(1_000);
        let op = self.operation(id);
        (op.outcome, op.resolved, op.detail) = (Some("unknown".to_owned()), None, None);
        self.source.transfer_reads.retain(|row| row.transfer != id || row.via == "submit");
    }
}
