//! One transfer in progress per customer, or per paying account: whoever is promised one had no two open at a time (P7).
//!
//! In: the channel's transfers, each with whom it counts for. Out: `dup-open`, `of_one_customer`, `overlap_unsure`. Elsewhere: two keys of one
//! intent (`once`), which order is sound (docs/decisions/0014-which-commit-came-first.md).
//!
//! A transfer is open from the commit that stored it up to the one that settled it. Whom it counts for is what the load declares, not what
//! the channel's row guarded: with the guard off a row guards nothing, and the promise is the same. Two are a finding only where the
//! later was stored in a place before the one where the earlier was settled: whoever waited for that would have a later place. Where both
//! are one place, or a transfer was settled no later than it was stored, the order is not told: it is counted.

use bankstorm_record::source::ReadError;

use super::{Key, lacks_order};
use crate::check::{Subject, Tally, uuid};

/// Transfers of somebody who had one before: each is judged against those, or counted as unsure.
const JUDGED: &str = "of_one_customer";
/// Of these, those of which the order of commits cannot tell whether they overlapped.
const UNSURE: &str = "overlap_unsure";

/// From when to when a transfer was open; one that was not settled is open for ever.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Span {
    of: i64,
    opened: i64,
    settled: i64,
    transfer: u128,
}

/// Finds transfers that were taken on while another one of the same subject was open.
pub(super) fn judge(subject: Subject, keys: &[Key], tally: &mut Tally) -> Result<(), ReadError> {
    tally.count(JUDGED, 0);
    tally.count(UNSURE, 0);
    let of = |key: &Key| match subject {
        Subject::User => key.user,
        Subject::Account => key.account,
    };
    let mut by_subject: Vec<&Key> = keys.iter().collect();
    by_subject.sort_unstable_by_key(|key| of(key));
    for group in by_subject.chunk_by(|a, b| of(a) == of(b)).filter(|group| group.len() > 1) {
        let mut spans = Vec::with_capacity(group.len());
        for key in group {
            let opened = key.opened.ok_or_else(|| lacks_order(key))?;
            let settled = if key.is_terminal { key.settled.ok_or_else(|| lacks_order(key))? } else { i64::MAX };
            spans.push(Span { of: of(key), opened, settled, transfer: key.transfer });
        }
        one_at_a_time(subject, spans, tally);
    }
    Ok(())
}

fn one_at_a_time(subject: Subject, mut spans: Vec<Span>, tally: &mut Tally) {
    tally.count(JUDGED, spans.len().saturating_sub(1) as u64);
    let all = spans.len();
    spans.retain(|span| span.opened < span.settled);
    tally.count(UNSURE, (all - spans.len()) as u64);
    spans.sort_unstable();
    let Some((first, rest)) = spans.split_first() else { return };
    let mut latest = *first;
    for later in rest {
        if later.opened == latest.settled {
            tally.count(UNSURE, 1);
        } else if later.opened < latest.settled {
            tally.violated("dup-open", || witness(subject, &latest, later));
        }
        if later.settled > latest.settled {
            latest = *later;
        }
    }
}

fn witness(subject: Subject, open: &Span, later: &Span) -> String {
    let whose = match subject {
        Subject::User => "user",
        Subject::Account => "account",
    };
    let end = |span: &Span| match span.settled {
        i64::MAX => "never settled".to_owned(),
        at => format!("settled at {at}"),
    };
    format!(
        "{whose} {}: transfer {}, stored at {} and {}, was taken on while transfer {}, stored at {} and {}, was open",
        open.of,
        uuid(later.transfer),
        later.opened,
        end(later),
        uuid(open.transfer),
        open.opened,
        end(open)
    )
}

#[cfg(test)]
mod tests {
    use bankstorm_record::run_json::{CheckResult, GuaranteeVerdict};

    use crate::bank::{Bank, DECLARED, LOST, PAYEE, REFUSED, assert_only};
    use crate::check::{Check, Context, Subject};
    use crate::once::Once;

    /// The last two transfers of the good history as two intents of one customer, the second stored so long after the first was settled.
    fn two_arrivals(after: i64) -> Bank {
        let mut bank = Bank::good();
        bank.operation(REFUSED).intent = Some(77);
        let settled = bank.channel_transfer(LOST).settled_commit;
        let later = bank.channel_transfer(REFUSED);
        later.opened_commit = settled.map(|at| at + after);
        later.settled_commit = settled.map(|at| at + 1_000);
        bank
    }

    fn judged(bank: &Bank, guard: Option<Subject>) -> CheckResult {
        Once.run(&bank.source, &Context { guard, ..DECLARED })
    }

    fn figure(bank: &Bank, name: &str) -> Option<u64> {
        bank.result("O1").figures.get(name).copied()
    }

    #[test]
    fn a_second_transfer_of_a_customer_taken_on_while_the_first_was_open_whatever_its_intent() {
        let bank = two_arrivals(-1);
        assert_only(
            &bank,
            &[(
                "O1",
                "dup-open: user 7: transfer 0192f000-0000-0000-0000-000000000006, stored at 109 and settled at 1110, was taken on \
                 while transfer 0192f000-0000-0000-0000-000000000005, stored at 100 and settled at 110, was open",
            )],
        );
        two_arrivals(1).assert_all_hold();
        assert_eq!(figure(&two_arrivals(1), "of_one_customer"), Some(5), "five came after the customer's first");
    }

    #[test]
    fn one_that_was_never_settled_is_open_for_ever() {
        let mut bank = two_arrivals(1);
        let earlier = bank.channel_transfer(LOST);
        (earlier.stage, earlier.reason, earlier.settled_commit) = ("unknown".to_owned(), None, None);
        bank.assert_fires("O1", "stored at 100 and never settled, was open");
    }

    #[test]
    fn a_long_one_stands_in_the_way_of_all_that_come_meanwhile() {
        let mut bank = two_arrivals(1);
        bank.channel_transfer(LOST).opened_commit = Some(21);
        assert_eq!(judged(&bank, DECLARED.guard).violations, 4, "each that comes while another is open");
    }

    #[test]
    fn whom_a_transfer_counts_for_is_what_the_load_declares() {
        let mut bank = two_arrivals(-1);
        for (guard, violations) in [(Some(Subject::User), 1), (Some(Subject::Account), 1), (None, 0)] {
            assert_eq!(judged(&bank, guard).violations, violations, "{guard:?}");
        }
        // His other account pays.
        bank.channel_transfer(REFUSED).account = PAYEE;
        for (guard, violations) in [(Some(Subject::User), 1), (Some(Subject::Account), 0)] {
            assert_eq!(judged(&bank, guard).violations, violations, "{guard:?}");
        }
        // Somebody else pays from the same account.
        let later = bank.channel_transfer(REFUSED);
        (later.account, later.user) = (crate::bank::PAYER, 8);
        for (guard, violations) in [(Some(Subject::User), 0), (Some(Subject::Account), 1)] {
            assert_eq!(judged(&bank, guard).violations, violations, "{guard:?}");
        }
    }

    #[test]
    fn what_the_order_does_not_tell_is_counted_and_no_finding() {
        assert_eq!(figure(&two_arrivals(1), "overlap_unsure"), Some(0));
        // Stored in the same place as the settling one.
        let same = two_arrivals(0);
        same.assert_all_hold();
        assert_eq!(figure(&same, "overlap_unsure"), Some(1));
        // Settled no later than it was stored.
        for settled in [50, 109] {
            let mut odd = two_arrivals(-1);
            odd.channel_transfer(REFUSED).settled_commit = Some(settled);
            odd.assert_all_hold();
            assert_eq!(figure(&odd, "overlap_unsure"), Some(1));
        }
        // Both were stored in one place, and settled later: whichever was first, both were open.
        let mut both = two_arrivals(-10);
        both.assert_fires("O1", "dup-open: user 7");
        // Without places nobody can tell.
        both.channel_transfer(REFUSED).opened_commit = None;
        assert_eq!(both.result("O1").verdict, GuaranteeVerdict::Unknown);
        both.channel_transfer(REFUSED).user = 8;
        both.assert_all_hold();
    }
}
