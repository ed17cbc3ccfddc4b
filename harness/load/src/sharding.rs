//! Which channel instances a customer's requests go to, where customers are spread over several databases (A21).
//!
//! In: a scenario. Out: instances of an account's database. Elsewhere: how instances are started (`harness/cli`), which of several instances
//! of a database is asked (whoever asks, in turn).
//!
//! The `i`th instance is of database `i` modulo their number, and an account's customer is of his place modulo that number.

use bankstorm_contracts::AccountNo;
use bankstorm_scenario::Scenario;

/// How customers are spread over databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sharding {
    databases: usize,
    users: i64,
}

impl Sharding {
    /// Everybody in one database.
    pub const NONE: Self = Self { databases: 1, users: 1 };

    /// As a scenario has it.
    #[must_use]
    pub fn of(scenario: &Scenario) -> Self {
        let databases = usize::try_from(scenario.system.channel_databases).unwrap_or(1).max(1);
        Self { databases, users: i64::try_from(scenario.accounts.users).unwrap_or(i64::MAX).max(1) }
    }

    /// How many databases there are.
    #[must_use]
    pub const fn databases(&self) -> usize {
        self.databases
    }

    /// An account's database, from 0.
    #[must_use]
    pub fn database_of(&self, account: i64) -> usize {
        let user = account.wrapping_sub(AccountNo::FIRST_CUSTOMER).rem_euclid(self.users);
        usize::try_from(user).unwrap_or(0) % self.databases
    }

    /// The instances of one database, by their places in `instances`.
    pub fn instances<'a, T>(&self, instances: &'a [T], database: usize) -> impl Iterator<Item = &'a T> + use<'a, T> {
        instances.iter().skip(database).step_by(self.databases)
    }

    /// The instance whose turn it is for an account. There is one of each database at least.
    pub(crate) fn pick<'a, T>(&self, instances: &'a [T], account: i64, turn: usize) -> &'a T {
        let database = self.database_of(account);
        let own = instances.len().saturating_sub(database).div_ceil(self.databases).max(1);
        &instances[database + turn % own * self.databases]
    }
}

#[cfg(test)]
mod tests {
    use super::{AccountNo, Sharding};

    const FIRST: i64 = AccountNo::FIRST_CUSTOMER;

    #[test]
    fn a21_an_account_is_asked_about_at_every_instance_of_its_database_and_at_no_other() {
        let instances: Vec<usize> = (0..5).collect();
        let two = Sharding { databases: 2, users: 10 };
        let asked = |account: i64| (0..6).map(|turn| *two.pick(&instances, account, turn)).collect::<Vec<_>>();
        assert_eq!(asked(FIRST), [0, 2, 4, 0, 2, 4]);
        assert_eq!(asked(FIRST + 1), [1, 3, 1, 3, 1, 3]);
        assert_eq!(asked(FIRST + 11), asked(FIRST + 1), "another account of the same customer");
        assert_eq!(two.instances(&instances, 1).copied().collect::<Vec<_>>(), [1, 3]);
    }

    #[test]
    fn with_one_database_instances_are_asked_in_turn_about_every_account() {
        let asked: Vec<_> = (0..5).map(|turn| *Sharding::NONE.pick(&[7, 8, 9], FIRST + 4, turn)).collect();
        assert_eq!(asked, [7, 8, 9, 7, 8]);
    }
}
