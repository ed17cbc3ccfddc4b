//! Each operation's visible time: the earliest stamp that covers its serial.
//!
//! In: sorted stamps, operations. Out: `visible_ns` and whether it is an upper bound. Elsewhere: what is made of it (`check`, `report`).
//!
//! Where no channel's stamp covers a serial, the earliest of two later proofs is taken as an upper bound: a read by the harness that
//! showed it, and a stamp of the same account for later serials, since a copy never holds a serial without all before it (S3 holds it
//! to that).

use bankstorm_record::rows::OperationRow;

use super::{HARNESS, Stamp, Stamps};

/// What became of the operations that core answered with a serial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Joined {
    /// With a channel's stamp.
    pub stamped: u64,
    /// With an upper bound only.
    pub upper_bound: u64,
    /// Never seen.
    pub unseen: u64,
}

impl Stamps {
    /// Sets the visible time of each operation that has a serial; of the others it is absent.
    pub fn join(&self, operations: &mut [OperationRow]) -> Joined {
        let harness = self.instances.iter().position(|name| name == HARNESS);
        let least = self.least_from();
        let mut joined = Joined::default();
        for operation in operations {
            (operation.visible_ns, operation.visible_is_upper_bound) = (None, false);
            let Some(seq) = operation.seq else { continue };
            let seen = self.seen(&least, harness, operation.account, seq);
            operation.visible_ns = seen.moment();
            operation.visible_is_upper_bound = seen.stamp.is_none() && seen.bound.is_some();
            let count = match seen {
                Seen { stamp: Some(_), .. } => &mut joined.stamped,
                Seen { bound: Some(_), .. } => &mut joined.upper_bound,
                Seen { .. } => &mut joined.unseen,
            };
            *count += 1;
        }
        joined
    }

    /// Of each stamp, the least `from_seq` of it and all later ones of its account: where a search may end.
    fn least_from(&self) -> Vec<i64> {
        let mut least: Vec<i64> = self.stamps.iter().map(|stamp| stamp.from_seq).collect();
        for index in (1..least.len()).rev() {
            if self.stamps[index - 1].account == self.stamps[index].account {
                least[index - 1] = least[index - 1].min(least[index]);
            }
        }
        least
    }

    fn seen(&self, least: &[i64], harness: Option<usize>, account: i64, seq: i64) -> Seen {
        let first = self.stamps.partition_point(|stamp| (stamp.account, stamp.to_seq) < (account, seq));
        let later = || self.stamps[first..].iter().take_while(|stamp| stamp.account == account);
        let mut seen = Seen::default();
        for (stamp, least) in later().zip(&least[first..]) {
            if *least >= seq {
                break;
            }
            if stamp.from_seq < seq {
                let found = if Some(stamp.instance) == harness { &mut seen.bound } else { &mut seen.stamp };
                *found = earliest(*found, stamp);
            }
        }
        if seen.stamp.is_none() {
            // Rare: only where a stamp is lost. The account's later stamps are few or the search is worth it.
            seen.bound = later().filter(|stamp| Some(stamp.instance) != harness).fold(seen.bound, earliest);
        }
        seen
    }
}

#[derive(Default)]
struct Seen {
    stamp: Option<i64>,
    bound: Option<i64>,
}

impl Seen {
    /// A read may show an entry between its commit and its stamp; visible is then the earlier of the two, and never after a read that
    /// showed it.
    fn moment(&self) -> Option<i64> {
        match (self.stamp, self.bound) {
            (Some(stamp), Some(bound)) => Some(stamp.min(bound)),
            (stamp, bound) => stamp.or(bound),
        }
    }
}

fn earliest(found: Option<i64>, stamp: &Stamp) -> Option<i64> {
    Some(found.map_or(stamp.at_ns, |found| found.min(stamp.at_ns)))
}
