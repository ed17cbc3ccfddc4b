//! What copy and core say of an account, beside each other. Pure.
//!
//! In: heads of the copy, heads of core that were read later. Out: findings. Elsewhere: what is done about them (`sweep`).

use std::collections::BTreeMap;

use bankstorm_contracts::{AccountNo, Head, Seq};

/// What is the matter with an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// Core has entries that the copy lacks.
    Behind {
        /// Where the copy stands; 0 where there is none.
        stands: Seq,
    },
    /// They cannot both be right: the copy is ahead, has another balance at the same serial, or an account that core does not know.
    Contradiction {
        /// The copy's head.
        copy: Head,
        /// Core's, if it knows the account.
        core: Option<Head>,
    },
}

/// The findings about accounts, in their order. Both have each account once, in any order.
pub(super) fn findings(copy: &[Head], core: &[Head]) -> Vec<(AccountNo, Finding)> {
    let mut heads: BTreeMap<AccountNo, (Option<Head>, Option<Head>)> = BTreeMap::new();
    copy.iter().for_each(|head| heads.entry(head.account).or_default().0 = Some(*head));
    core.iter().for_each(|head| heads.entry(head.account).or_default().1 = Some(*head));
    let found = heads.into_iter().filter_map(|(account, (copy, core))| Some((account, finding(copy, core)?)));
    found.collect()
}

fn finding(copy: Option<Head>, core: Option<Head>) -> Option<Finding> {
    let stands = copy.map_or(0, |head| head.seq);
    match (copy, core) {
        (_, Some(core)) if core.seq > stands => Some(Finding::Behind { stands }),
        (Some(copy), Some(core)) if core.seq == copy.seq && core.balance == copy.balance => None,
        // An account without entries that the other side does not have.
        (Some(Head { seq: 0, .. }), None) | (None, _) => None,
        (Some(copy), core) => Some(Finding::Contradiction { copy, core }),
    }
}

#[cfg(test)]
mod tests {
    use bankstorm_contracts::{AccountNo, Head, Seq, Won};

    use super::{Finding, findings};

    const fn head(number: i64, seq: Seq, balance: i64) -> Head {
        Head { account: AccountNo::new(number), seq, balance: Won::new(balance) }
    }

    fn found(copy: Option<Head>, core: Option<Head>) -> Option<Finding> {
        let found = findings(copy.as_slice(), core.as_slice());
        found.first().map(|(_, finding)| *finding)
    }

    #[test]
    fn d43_a_copy_that_lacks_entries_is_behind_whatever_its_balance() {
        assert_eq!(found(Some(head(1, 3, 30)), Some(head(1, 4, 30))), Some(Finding::Behind { stands: 3 }));
        assert_eq!(found(None, Some(head(1, 1, 10))), Some(Finding::Behind { stands: 0 }));
        assert_eq!(found(Some(head(1, 3, 30)), Some(head(1, 3, 30))), None);
        assert_eq!((found(Some(head(1, 0, 0)), None), found(None, Some(head(1, 0, 0)))), (None, None));
    }

    #[test]
    fn d43_a_copy_ahead_of_core_or_with_another_balance_is_a_contradiction() {
        for (copy, core) in [
            (head(1, 5, 50), Some(head(1, 4, 40))),
            (head(1, 4, 41), Some(head(1, 4, 40))),
            (head(1, 1, 10), Some(head(1, 0, 0))),
            (head(1, 1, 10), None),
        ] {
            assert_eq!(found(Some(copy), core), Some(Finding::Contradiction { copy, core }));
        }
    }

    #[test]
    fn accounts_are_told_apart_and_come_in_their_order() {
        let (copy, core) =
            ([head(3, 1, 1), head(1, 1, 1), head(2, 2, 2)], [head(2, 3, 3), head(1, 1, 1), head(4, 1, 1)]);
        let accounts: Vec<_> = findings(&copy, &core).iter().map(|(account, _)| account.get()).collect();
        assert_eq!(accounts, [2, 3, 4]);
    }
}
