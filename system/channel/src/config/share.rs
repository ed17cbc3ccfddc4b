//! Which of several databases an account lies in (A21).
//!
//! In: which of them is an instance's own, of how many, and how many customers share the accounts. Out: whether an account is this
//! instance's. Elsewhere: what becomes of records and requests about others (`partitions`, `lib`), who starts an instance so (`harness/cli`).
//!
//! Customers have the accounts in turn, so an account's customer is its place among them by remainder, and his database the remainder of
//! that: all accounts of a customer lie together, and the guard that lets him have one transfer at a time is one row of one database.

use bankstorm_contracts::AccountNo;
use thiserror::Error;

/// An instance's database among several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    index: u32,
    of: u32,
    users: u64,
}

/// What is no share.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum NoShare {
    /// There is no such database.
    #[error("database {index} of {of}; accepted are 0 to one below their number")]
    Index {
        /// As given.
        index: u32,
        /// As given.
        of: u32,
    },
    /// Nobody has an account.
    #[error("0 users; accepted is 1 at least")]
    Users,
}

impl Share {
    /// Database `index` (from 0) of `of`, where `users` customers have the accounts in turn.
    ///
    /// # Errors
    /// When there is no such database, or no user.
    pub const fn new(index: u32, of: u32, users: u64) -> Result<Self, NoShare> {
        if index >= of {
            return Err(NoShare::Index { index, of });
        }
        if users == 0 {
            return Err(NoShare::Users);
        }
        Ok(Self { index, of, users })
    }

    /// Whether an account lies in this instance's database.
    #[must_use]
    pub const fn owns(&self, account: AccountNo) -> bool {
        self.database_of(account) == self.index
    }

    /// Whether a record is this instance's; one that names no account is the first database's.
    pub(crate) fn takes(&self, account: Option<AccountNo>) -> bool {
        account.map_or(self.index == 0, |account| self.owns(account))
    }

    /// The database that an account lies in, from 0.
    #[must_use]
    pub const fn database_of(&self, account: AccountNo) -> u32 {
        let users = self.users as i128;
        let user = (account.get() as i128 - AccountNo::FIRST_CUSTOMER as i128).rem_euclid(users);
        // Below `of`, which is a u32.
        (user % self.of as i128) as u32
    }

    /// The consumer group of its instances: each database has one, which reads the whole topic.
    #[must_use]
    pub fn group(&self) -> String {
        Self::group_of(self.index)
    }

    /// The group of a database's instances, by its index.
    #[must_use]
    pub fn group_of(index: u32) -> String {
        if index == 0 { "channel".to_owned() } else { format!("channel-{index}") }
    }
}

#[cfg(test)]
mod tests {
    use bankstorm_contracts::AccountNo;

    use super::{NoShare, Share};

    fn share(index: u32, of: u32, users: u64) -> Share {
        Share::new(index, of, users).expect("a share")
    }

    fn account(offset: i64) -> AccountNo {
        AccountNo::new(AccountNo::FIRST_CUSTOMER + offset)
    }

    #[test]
    fn a21_every_account_lies_in_one_database_and_a_customers_accounts_lie_together() {
        for (of, users) in [(1, 1), (2, 1), (2, 5), (3, 7), (4, 4)] {
            let shares: Vec<_> = (0..of).map(|index| share(index, of, users)).collect();
            for offset in -20..60 {
                let owners: Vec<_> = shares.iter().filter(|share| share.owns(account(offset))).collect();
                assert_eq!(owners.len(), 1, "account {offset} of {of} databases and {users} users");
                let others = i64::try_from(users).expect("few");
                assert!(owners[0].owns(account(offset + others)), "the same customer's next account");
            }
        }
    }

    #[test]
    fn a21_customers_are_spread_evenly() {
        let owned = |index| (0..100).filter(|offset| share(index, 2, 10).owns(account(*offset))).count();
        assert_eq!((owned(0), owned(1)), (50, 50));
    }

    #[test]
    fn a21_what_names_no_account_is_taken_once() {
        let takers = (0..3).filter(|index| share(*index, 3, 9).takes(None)).count();
        assert_eq!(takers, 1);
    }

    #[test]
    fn a21_groups_are_one_a_database() {
        assert_eq!([share(0, 2, 9).group(), share(1, 2, 9).group()], ["channel", "channel-1"]);
    }

    #[test]
    fn what_is_no_share_is_refused_with_its_value() {
        assert_eq!(Share::new(2, 2, 9), Err(NoShare::Index { index: 2, of: 2 }));
        assert_eq!(Share::new(0, 0, 9), Err(NoShare::Index { index: 0, of: 0 }));
        assert_eq!(Share::new(0, 2, 0), Err(NoShare::Users));
    }
}
