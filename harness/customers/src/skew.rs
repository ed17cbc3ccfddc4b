//! Which account an operation touches: uniform, Zipf, one hot account, or each in turn.
//!
//! In: the accounts of a scenario and a stream of randomness. Out: account numbers. Elsewhere: when (`arrivals`).

use bankstorm_contracts::AccountNo;
use bankstorm_scenario::resolved::{Accounts, Skew};
use rand::RngExt;
use rand_distr::{Distribution, Zipf};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::seeds;

/// Draws accounts.
#[derive(Clone, Debug)]
pub struct AccountPicker {
    count: u64,
    rule: Rule,
    rng: Xoshiro256PlusPlus,
}

#[derive(Clone, Debug)]
enum Rule {
    Uniform,
    Zipf(Zipf<f64>),
    Hot(f64),
    /// The offset of the next.
    Each(u64),
}

impl AccountPicker {
    /// The accounts that load number `index` touches under `seed`, in order.
    pub fn new(accounts: &Accounts, seed: u64, index: u32) -> Self {
        Self::of(accounts, seeds::stream(seed, "accounts", index))
    }

    /// The accounts that receive what load number `index` sends, in order.
    pub fn receivers(accounts: &Accounts, seed: u64, index: u32) -> Self {
        Self::of(accounts, seeds::stream(seed, "receivers", index))
    }

    fn of(accounts: &Accounts, rng: Xoshiro256PlusPlus) -> Self {
        let rule = match accounts.skew {
            Skew::Uniform => Rule::Uniform,
            Skew::Zipf(exponent) => {
                Rule::Zipf(Zipf::new(accounts.count as f64, exponent).expect("a resolved exponent is above 0"))
            }
            Skew::Hot(share) => Rule::Hot(share),
            Skew::Each => Rule::Each(0),
        };
        Self { count: accounts.count, rule, rng }
    }

    /// The next account that is not `other`; of one account alone there is no such.
    pub fn pick_besides(&mut self, other: AccountNo) -> AccountNo {
        let picked = self.pick();
        if picked == other { account_at((offset_of(picked) + 1) % self.count) } else { picked }
    }

    /// The next account.
    pub fn pick(&mut self) -> AccountNo {
        let offset = match &mut self.rule {
            Rule::Uniform => self.rng.random_range(0..self.count),
            // Ranks are 1 to count; rank 1 is the first account.
            Rule::Zipf(zipf) => (zipf.sample(&mut self.rng) as u64).clamp(1, self.count) - 1,
            Rule::Hot(share) if self.count == 1 || self.rng.random::<f64>() < *share => 0,
            Rule::Hot(_) => self.rng.random_range(1..self.count),
            Rule::Each(next) => {
                let offset = *next;
                *next = (offset + 1) % self.count;
                offset
            }
        };
        account_at(offset)
    }
}

/// The number of the customer's account at `offset` from the first.
pub(crate) fn account_at(offset: u64) -> AccountNo {
    AccountNo::new(AccountNo::FIRST_CUSTOMER + i64::try_from(offset).expect("resolved counts fit"))
}

/// How far an account is from the first.
pub(crate) fn offset_of(account: AccountNo) -> u64 {
    u64::try_from(account.get() - AccountNo::FIRST_CUSTOMER).expect("a customer's account")
}

#[cfg(test)]
mod tests {
    use bankstorm_contracts::AccountNo;
    use bankstorm_scenario::resolved::{Accounts, Skew, Stopped};

    use super::AccountPicker;

    fn hits_of_first(skew: Skew, draws: u64) -> u64 {
        let stopped = Stopped::default();
        let accounts = Accounts { count: 100, users: 100, opening_balance_won: 1, history_depth: 1, skew, stopped };
        let mut picker = AccountPicker::new(&accounts, 1, 0);
        let last = AccountNo::FIRST_CUSTOMER + 99;
        let mut hits = 0;
        for _ in 0..draws {
            let account = picker.pick().get();
            assert!((AccountNo::FIRST_CUSTOMER..=last).contains(&account));
            hits += u64::from(account == AccountNo::FIRST_CUSTOMER);
        }
        hits
    }

    #[test]
    fn the_first_account_gets_what_the_skew_says() {
        // Seeds are fixed, so these are facts, not chances: 1 %, 1 / H(100) = 19 % and 20 % of 10,000.
        assert!((50..150).contains(&hits_of_first(Skew::Uniform, 10_000)));
        assert!((1_800..2_050).contains(&hits_of_first(Skew::Zipf(1.0), 10_000)));
        assert!((1_900..2_100).contains(&hits_of_first(Skew::Hot(0.2), 10_000)));
        assert_eq!([99, 100, 101, 10_000].map(|draws| hits_of_first(Skew::Each, draws)), [1, 1, 2, 100]);
    }

    #[test]
    fn each_account_comes_once_before_any_comes_again() {
        let stopped = Stopped::default();
        let accounts =
            Accounts { count: 7, users: 7, opening_balance_won: 1, history_depth: 1, skew: Skew::Each, stopped };
        let mut picker = AccountPicker::new(&accounts, 9, 3);
        let drawn: Vec<_> = (0..16).map(|_| picker.pick().get() - AccountNo::FIRST_CUSTOMER).collect();
        assert_eq!(drawn, [0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5, 6, 0, 1]);
    }
}
