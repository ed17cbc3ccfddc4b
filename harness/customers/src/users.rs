//! Whose account is whose, and what it lets happen: customers share the accounts evenly.
//!
//! In: the accounts of a scenario. Out: customers of accounts, a customer's next account, statuses. Elsewhere: which account is touched (`skew`).

use bankstorm_contracts::{AccountNo, AccountStatus, UserNo};
use bankstorm_scenario::resolved::Accounts;

use crate::seeds;
use crate::skew::{account_at, offset_of};

/// The customer who owns `account`: the first accounts go to one customer each, the next ones to the same again.
pub fn user_of(accounts: &Accounts, account: AccountNo) -> UserNo {
    UserNo(1 + i64::try_from(offset_of(account) % accounts.users).expect("resolved counts fit"))
}

/// The next account of the same customer; the same one when he has no other.
pub fn next_account(accounts: &Accounts, account: AccountNo) -> AccountNo {
    let offset = offset_of(account);
    let next = offset + accounts.users;
    account_at(if next < accounts.count { next } else { offset % accounts.users })
}

/// What the account lets happen to it from the start on: the same in every run of the scenario.
pub fn status_of(accounts: &Accounts, seed: u64, account: AccountNo) -> AccountStatus {
    let drawn = seeds::share(seed ^ seeds::mix(offset_of(account)));
    let stopped = &accounts.stopped;
    let shares = [
        (AccountStatus::Closed, stopped.closed),
        (AccountStatus::DepositStopped, stopped.deposit),
        (AccountStatus::WithdrawalStopped, stopped.withdrawal),
    ];
    let mut below = 0.0;
    let found = shares.into_iter().find(|(_, share)| {
        below += share;
        drawn < below
    });
    found.map_or(AccountStatus::Open, |(status, _)| status)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use bankstorm_contracts::AccountStatus;
    use bankstorm_scenario::resolved::{Accounts, Skew, Stopped};

    use super::{next_account, status_of, user_of};
    use crate::skew::account_at;

    fn accounts() -> Accounts {
        let (skew, stopped) = (Skew::Uniform, Stopped::default());
        Accounts { count: 25, users: 10, opening_balance_won: 1, history_depth: 1, skew, stopped }
    }

    #[test]
    fn every_account_has_its_customer_and_a_customers_accounts_follow_one_another() {
        let accounts = accounts();
        let users: BTreeSet<_> = (0..25).map(|offset| user_of(&accounts, account_at(offset)).0).collect();
        assert_eq!(users, (1..=10).collect());
        for offset in 0..25 {
            let account = account_at(offset);
            let next = next_account(&accounts, account);
            assert_eq!(user_of(&accounts, account), user_of(&accounts, next));
            assert_ne!(account, next);
        }
        let single = Accounts { users: 25, ..accounts };
        assert_eq!(next_account(&single, account_at(7)), account_at(7));
    }

    #[test]
    fn accounts_are_stopped_by_their_shares_and_the_same_ones_again() {
        let stopped = Stopped { closed: 0.1, deposit: 0.2, withdrawal: 0.0 };
        let accounts = Accounts { count: 10_000, stopped, ..accounts() };
        let count = |seed, wanted| {
            (0..10_000).filter(|offset| status_of(&accounts, seed, account_at(*offset)) == wanted).count()
        };
        assert!((900..1_100).contains(&count(1, AccountStatus::Closed)));
        assert!((1_850..2_150).contains(&count(1, AccountStatus::DepositStopped)));
        assert_eq!(count(1, AccountStatus::WithdrawalStopped), 0);
        assert_eq!(count(1, AccountStatus::Open), count(1, AccountStatus::Open));
        let all_open = Accounts { stopped: Stopped::default(), ..accounts };
        assert!((0..10_000).all(|offset| status_of(&all_open, 1, account_at(offset)) == AccountStatus::Open));
    }
}
