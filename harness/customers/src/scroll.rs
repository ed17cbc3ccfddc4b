//! Customers who scroll: which page of which session each planned read is.
//!
//! In: how a load scrolls, and accounts drawn by its skew. Out: one [`Turn`] for each read, in due order. Elsewhere: when reads are due
//! (`arrivals`), what they are (`plan`), cursors and what follows a page that did not come (`load`).
//!
//! Reads go to the scrollers in turn, so that each asks for his next page at an even pace. The first session of each is shorter than the
//! one before him has, so that at any time pages of every depth are read and a comparison of depths is none of times.

use bankstorm_contracts::AccountNo;
use bankstorm_scenario::resolved::Scroll;

use crate::skew::AccountPicker;

/// Whose turn it is, and where he stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Which of the customers who scroll at once, from 0.
    pub scroller: u32,
    /// The operation that reads the first page of his session.
    pub session: u64,
    /// Whose history.
    pub account: AccountNo,
    /// Which page of the session, from 0.
    pub page_no: u32,
}

/// The customers of one load who scroll at once.
#[derive(Clone, Debug)]
pub struct Scrollers {
    pages: u32,
    next: usize,
    each: Vec<Scroller>,
}

#[derive(Clone, Copy, Debug)]
struct Scroller {
    turn: Turn,
    /// Pages that are left of the session.
    left: u32,
    /// Sessions begun.
    begun: u64,
}

impl Scrollers {
    /// Those of a load that scrolls so.
    pub fn new(scroll: &Scroll) -> Self {
        let nobody = AccountNo::new(AccountNo::FIRST_CUSTOMER);
        let each = (0..scroll.readers)
            .map(|scroller| {
                let turn = Turn { scroller, session: 0, account: nobody, page_no: 0 };
                Scroller { turn, left: 0, begun: 0 }
            })
            .collect();
        Self { pages: scroll.pages, next: 0, each }
    }

    /// The page that operation `op` reads; `accounts` is drawn from where a session begins.
    pub fn turn(&mut self, op: u64, accounts: &mut AccountPicker) -> Turn {
        let (readers, index) = (self.each.len() as u64, self.next);
        self.next = (index + 1) % self.each.len();
        let one = &mut self.each[index];
        if one.left == 0 {
            let shorter = if one.begun == 0 { index as u64 * u64::from(self.pages) / readers } else { 0 };
            one.left = self.pages - u32::try_from(shorter).expect("below the pages of a session");
            one.begun += 1;
            one.turn = Turn { session: op, account: accounts.pick(), page_no: 0, ..one.turn };
        } else {
            one.turn.page_no += 1;
        }
        one.left -= 1;
        one.turn
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bankstorm_scenario::resolved::{Accounts, Scroll, Skew, Stopped};
    use proptest::prelude::*;

    use super::{Scrollers, Turn};
    use crate::skew::AccountPicker;

    fn turns(readers: u32, pages: u32, reads: u64) -> Vec<Turn> {
        let (skew, stopped) = (Skew::Each, Stopped::default());
        let accounts = Accounts { count: 1_000, users: 1_000, opening_balance_won: 1, history_depth: 1, skew, stopped };
        let mut picker = AccountPicker::new(&accounts, 1, 0);
        let mut scrollers = Scrollers::new(&Scroll { readers, pages, page_size: 20 });
        (0..reads).map(|op| scrollers.turn(op, &mut picker)).collect()
    }

    #[test]
    fn pages_of_every_depth_are_read_at_any_time() {
        let turns = turns(4, 8, 64);
        let depths = |from: usize| {
            let mut depths: Vec<_> = turns[from..from + 4].iter().map(|turn| turn.page_no).collect();
            depths.sort_unstable();
            depths
        };
        assert_eq!((depths(0), depths(4)), (vec![0; 4], vec![1; 4]));
        // Once every first session has ended they are a quarter of a session apart.
        assert_eq!((depths(28), depths(32), depths(60)), (vec![1, 3, 5, 7], vec![0, 2, 4, 6], vec![1, 3, 5, 7]));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 128, ..ProptestConfig::default() })]

        #[test]
        fn every_read_is_of_one_session_which_goes_from_page_to_page(
            readers in 1_u32..30,
            pages in 1_u32..40,
            reads in 0_u64..2_000,
        ) {
            let turns = turns(readers, pages, reads);
            let mut sessions: BTreeMap<u64, Vec<(u64, Turn)>> = BTreeMap::new();
            for (op, turn) in (0..).zip(&turns) {
                sessions.entry(turn.session).or_default().push((op, *turn));
                prop_assert_eq!(u64::from(turn.scroller), op % u64::from(readers));
            }
            let mut begun = BTreeMap::<u32, u32>::new();
            for (session, reads_of) in &sessions {
                let (first_op, first) = reads_of[0];
                // Named after its first read; its pages follow one another, in due order, of one account and by one customer.
                prop_assert_eq!((first_op, first.page_no), (*session, 0));
                prop_assert!(reads_of.iter().zip(0..).all(|((_, turn), page_no)| turn.page_no == page_no));
                prop_assert!(reads_of.iter().all(|(_, turn)| (turn.account, turn.scroller) == (first.account, first.scroller)));
                prop_assert!(reads_of.windows(2).all(|pair| pair[1].0 == pair[0].0 + u64::from(readers)));
                let nth = begun.entry(first.scroller).or_default();
                *nth += 1;
                let is_last = reads_of.last().is_some_and(|(op, _)| op + u64::from(readers) >= reads);
                let whole = u32::try_from(reads_of.len()).expect("small");
                prop_assert!(whole <= pages && (whole == pages || *nth == 1 || is_last));
            }
        }
    }
}
