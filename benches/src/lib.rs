//! Inputs that benches share.
//!
//! In: nothing. Out: scenarios and rows of a size. Elsewhere: what is measured (`benches/`, one file per room).

use bankstorm_contracts::core_api::{Deposit, Party};
use bankstorm_contracts::{AccountNo, Entry, EntryKind, TransferId, WallMicros, Won};
use bankstorm_scenario::Scenario;

/// 300 deposits a second for `seconds`, without warm-up, over 10,000 accounts.
///
/// # Panics
/// When `seconds` is outside a scenario's limits.
pub fn scenario(seconds: u32) -> Scenario {
    let text =
        format!("[phases]\nwarm_up = \"0s\"\nmeasure = \"{seconds}s\"\n[[load]]\nop = \"deposit\"\nrate = \"300/s\"\n");
    bankstorm_scenario::parse("bench.toml", &text, &[], None).expect("within the limits")
}

/// The `n`th deposit, each to an account of its own.
pub fn deposit(n: i64) -> Deposit {
    Deposit {
        id: id(n),
        account: AccountNo::new(AccountNo::FIRST_CUSTOMER + n),
        amount: Won::new(1_000 + n),
        from: Party { bank: "088".to_owned(), account: "110-222-333".to_owned() },
    }
}

/// The first `length` entries of an account, all deposits.
pub fn history(account: AccountNo, length: i64) -> Vec<Entry> {
    (1..=length)
        .map(|seq| Entry {
            account,
            seq,
            amount: Won::new(1_000),
            balance_after: Won::new(1_000 * seq),
            transfer: id(account.get() * 1_000_000 + seq),
            kind: EntryKind::Deposit,
            posted_at: WallMicros(1_700_000_000_000_000 + seq),
        })
        .collect()
}

fn id(n: i64) -> TransferId {
    TransferId(uuid::Uuid::from_u128(n.unsigned_abs().into()))
}
