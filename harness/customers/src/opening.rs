//! The history that accounts have before a run: the same for the same scenario, bulk-loaded into both stores.
//!
//! In: the accounts of a scenario. Out: each account's entries, serial 1 the opening balance, then deposits. Elsewhere: COPY and the
//! internal legs (`adapters`), what happens afterwards (`plan`).

use bankstorm_contracts::{AccountNo, Entry, EntryKind, TransferId, WallMicros, Won};
use bankstorm_scenario::Scenario;
use uuid::Builder;

use crate::seeds;
use crate::skew::account_at;

/// 2025-01-01 in microseconds since the epoch: when every account was opened.
const OPENED_US: i64 = 1_735_689_600_000_000;
/// The loaded history spans 300 days, so that it ends before the ids and the clock of any run.
const SPAN_US: i64 = 300 * 86_400 * 1_000_000;
/// Loaded deposits are 1 to this many won.
const DEPOSITS_MAX: u64 = 100_000;

/// Every account with its entries, in order of account numbers.
pub fn loaded_accounts(scenario: &Scenario) -> impl Iterator<Item = (AccountNo, Vec<Entry>)> + use<> {
    let seed = scenario.seed;
    let depth = scenario.accounts.history_depth;
    let opening = scenario.accounts.opening_balance_won;
    (0..scenario.accounts.count).map(move |offset| (account_at(offset), history(seed, offset, depth, opening)))
}

fn history(seed: u64, offset: u64, depth: u32, opening: i64) -> Vec<Entry> {
    let account = account_at(offset);
    let mut balance = Won::ZERO;
    (1..=i64::from(depth))
        .map(|seq| {
            let number = offset * u64::from(depth) + (seq as u64 - 1);
            let (kind, amount) = match seq {
                1 => (EntryKind::Opening, Won::new(opening)),
                _ => (EntryKind::Deposit, loaded_amount(seed, number)),
            };
            balance = balance.checked_add(amount).expect("resolved balances fit");
            let posted_at = WallMicros(OPENED_US + SPAN_US / i64::from(depth) * (seq - 1));
            Entry { account, seq, amount, balance_after: balance, transfer: id(number, posted_at), kind, posted_at }
        })
        .collect()
}

fn loaded_amount(seed: u64, number: u64) -> Won {
    let scattered = seeds::mix(seed ^ seeds::mix(number)) % DEPOSITS_MAX;
    Won::new(1 + i64::try_from(scattered).expect("below 100,000"))
}

/// The id carries its number in clear, so that no two are equal, and a time before that of every planned id.
fn id(number: u64, posted_at: WallMicros) -> TransferId {
    let mut bytes = [0; 10];
    bytes[..2].copy_from_slice(&seeds::mix(number).to_be_bytes()[..2]);
    bytes[2..].copy_from_slice(&number.to_be_bytes());
    let posted_ms = u64::try_from(posted_at.0 / 1_000).expect("after 1970");
    TransferId(Builder::from_unix_timestamp_millis(posted_ms, &bytes).into_uuid())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use bankstorm_contracts::{AccountNo, EntryKind};

    use super::loaded_accounts;
    use crate::plan::Plan;
    use crate::plan::tests::scenario;

    #[test]
    fn histories_are_contiguous_chained_and_in_the_past() {
        let scenario = scenario(1);
        let accounts: Vec<_> = loaded_accounts(&scenario).collect();
        assert_eq!(accounts.len(), 1_000);
        for ((account, entries), number) in accounts.iter().zip(AccountNo::FIRST_CUSTOMER..) {
            assert_eq!(account.get(), number);
            assert_eq!(entries.len(), 10);
            assert_eq!((entries[0].kind, entries[0].amount.get()), (EntryKind::Opening, 1_000_000));
            assert!(entries[1..].iter().all(|entry| entry.kind == EntryKind::Deposit && entry.amount.get() > 0));
            assert!(entries.iter().zip(1..).all(|(entry, seq)| entry.seq == seq && entry.account == *account));
            for pair in entries.windows(2) {
                assert_eq!(pair[0].balance_after.checked_add(pair[1].amount), Some(pair[1].balance_after));
                assert!(pair[0].posted_at < pair[1].posted_at);
            }
        }
    }

    #[test]
    fn ids_differ_from_each_other_and_from_planned_ones() {
        let scenario = scenario(1);
        let mut ids: BTreeSet<_> =
            loaded_accounts(&scenario).flat_map(|(_, entries)| entries).map(|entry| entry.transfer).collect();
        assert_eq!(ids.len(), 10_000);
        let planned: Vec<_> = Plan::new(&scenario).operations().map(|operation| operation.id()).collect();
        ids.extend(&planned);
        assert_eq!(ids.len(), 10_000 + planned.len());
    }

    #[test]
    fn the_same_scenario_gives_the_same_history_and_another_seed_another() {
        let first: Vec<_> = loaded_accounts(&scenario(1)).collect();
        assert_eq!(first, loaded_accounts(&scenario(1)).collect::<Vec<_>>());
        assert_ne!(first, loaded_accounts(&scenario(2)).collect::<Vec<_>>());
    }
}
