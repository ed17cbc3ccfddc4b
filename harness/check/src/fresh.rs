//! S6 fresh: a read of an account with a transfer in progress has everything that core had told before it began (A12, D4).
//!
//! In: the pages read, what customers were told, core's entries, core's access log, the dead letters. Out: `stale-read`. Elsewhere: whether the
//! rows are core's (`no_visible_hole`), what reads cost core (`spared`).
//!
//! Where every read goes to core (A19), every page is held to it. A page that says it is stale is excused from that, and needs a reason: in a calm
//! run there is none where core answered all that this read asked for, within the read and within the budget. An account with a dead letter
//! is left out of that: its copy cannot be brought forward whatever core answers. Memory: 16 bytes an entry of one account, the calls of
//! accounts with stale pages.

use bankstorm_record::rows::{CoreAccessRow, PageRow};
use bankstorm_record::source::{ReadError, Source};

use crate::check::{Check, Context, Tally};
use crate::following::{Following, History, ReadSync};
use crate::ordered::{core_access, core_entries, dead_letters, pages};
use crate::told::{Highest, Told};

/// S6.
pub struct Fresh;

const VIOLATION: &str = "stale-read";
/// Pages that were held against what had been told: with none, nothing was promised.
const JUDGED: &str = "fresh_judged";
/// Pages that said they were stale.
const STALE: &str = "stale_pages";
/// Pages that were to be fresh, or to say that they are not.
const PROMISED: &str = "promised_pages";

impl Check for Fresh {
    fn id(&self) -> &'static str {
        "S6"
    }

    fn name(&self) -> &'static str {
        "fresh"
    }

    fn explains(&self) -> &'static str {
        "A page of an account with a transfer in progress that does not say it is stale has every entry that core had told anybody of before it \
         was asked for; where every read goes to core, every page has. In a run without faults no page says it is stale although core answered \
         within the read's budget (stale-read). Where all of them say they are stale, faults or not, nobody can tell whether any read asks core: \
         unknown. How many were to be fresh, how many were judged and how many pages were stale is counted (promised_pages, fresh_judged, stale_pages)."
    }

    fn applies(&self, context: &Context) -> bool {
        let promised =
            |following: &Following| following.read_sync != ReadSync::Off || following.history == History::CoreByPeriod;
        context.following.as_ref().is_some_and(promised)
    }

    fn fold(&self, source: &dyn Source, context: &Context, tally: &mut Tally) -> Result<(), ReadError> {
        let following = context.following.unwrap_or_default();
        let Seen { accounts, stale, promised } = look(source, &following, tally)?;
        if following.calm {
            let calls = calls(source, &stale)?;
            stale_without_need(source, &following, &calls, tally)?;
        }
        let told = Told::read(source, context, &accounts)?;
        let judged = fresh(source, &following, &told, tally)?;
        tally.count(JUDGED, judged);
        tally.count(PROMISED, promised);
        // A channel whose reads never ask core would pass otherwise: it says that all of them are stale.
        Tally::needs(judged + u64::from(promised == 0), "page", "reads that are to be fresh, all of which were stale")
    }
}

/// What a first pass over the pages gives.
struct Seen {
    /// Accounts with pages that are judged, rising.
    accounts: Vec<i64>,
    /// Accounts with pages that say they are stale, rising.
    stale: Vec<i64>,
    /// Pages that are promised to be fresh, or to say that they are not.
    promised: u64,
}

fn look(source: &dyn Source, following: &Following, tally: &mut Tally) -> Result<Seen, ReadError> {
    let (mut accounts, mut stale, mut promised) = (Vec::new(), Vec::new(), 0);
    let mut served = pages(source);
    tally.count(STALE, 0);
    while let Some(page) = served.take()? {
        if page.outcome != "ok" {
            continue;
        }
        tally.look();
        if page.stale {
            tally.count(STALE, 1);
            stale.push(page.account);
        }
        if is_promised(&page, following) {
            promised += 1;
            accounts.push(page.account);
        }
        accounts.dedup();
        stale.dedup();
    }
    Ok(Seen { accounts, stale, promised })
}

fn is_promised(page: &PageRow, following: &Following) -> bool {
    // Rows below a cursor never change, so a page further down is exact however far behind the copy is.
    let is_newest = page.cursor.is_none();
    page.outcome == "ok" && (is_newest && !page.pending.is_empty() || following.history == History::CoreByPeriod)
}

/// Judges pages that do not say they are stale; gives how many.
fn fresh(source: &dyn Source, following: &Following, told: &Told, tally: &mut Tally) -> Result<u64, ReadError> {
    let mut served = pages(source);
    let mut core = core_entries(source);
    let mut of: Option<(i64, Highest)> = None;
    let mut judged = 0;
    while let Some(page) = served.take()? {
        if !is_promised(&page, following) || page.stale {
            continue;
        }
        judged += 1;
        let mut here = match of.take().filter(|(account, _)| *account == page.account) {
            Some((_, highest)) => highest,
            None => Highest::of(&told.entries(page.account, &mut core)?),
        };
        if let Some((seq, told_ns)) = here.before(page.invoked_ns).filter(|(seq, _)| *seq > page.as_of_seq) {
            tally.violated(VIOLATION, || {
                format!(
                    "account {}: a read of {} begun at {} ns shows seq {} and does not say it is stale; seq {seq} was told at {told_ns} ns",
                    page.account, page.instance, page.invoked_ns, page.as_of_seq
                )
            });
        }
        of = Some((page.account, here));
    }
    core.drain()?;
    Ok(judged)
}

/// The calls that reads of these accounts made, but for accounts with dead letters; sorted as the log is.
fn calls(source: &dyn Source, accounts: &[i64]) -> Result<Vec<CoreAccessRow>, ReadError> {
    let mut parked: Vec<i64> = Vec::new();
    let mut letters = dead_letters(source);
    while let Some(letter) = letters.take()? {
        parked.extend(letter.account);
    }
    parked.sort_unstable();
    let mut calls = Vec::new();
    let mut log = core_access(source);
    while let Some(call) = log.take()? {
        let is_of_a_read = matches!(call.purpose.as_deref(), Some("read" | "history"));
        let is_wanted =
            |account: i64| accounts.binary_search(&account).is_ok() && parked.binary_search(&account).is_err();
        if is_of_a_read && call.account.is_some_and(is_wanted) {
            calls.push(call);
        }
    }
    Ok(calls)
}

fn stale_without_need(
    source: &dyn Source,
    following: &Following,
    calls: &[CoreAccessRow],
    tally: &mut Tally,
) -> Result<(), ReadError> {
    let mut served = pages(source);
    while let Some(page) = served.take()? {
        let took = page.completed_ns.saturating_sub(page.invoked_ns);
        if page.outcome != "ok" || !page.stale || took >= following.read_budget_ns() {
            continue;
        }
        let from = calls.partition_point(|call| call.account < Some(page.account));
        let of_account = calls[from..].iter().take_while(|call| call.account == Some(page.account));
        // Whatever began before this read and still ran in it may be what it waited for.
        let during = of_account
            .take_while(|call| call.begun_ns <= page.completed_ns)
            .filter(|call| call.caller == page.instance && call.ended_ns >= page.invoked_ns);
        let (mut answered, mut other) = (false, false);
        for call in during {
            let inside = page.invoked_ns <= call.begun_ns && call.ended_ns <= page.completed_ns;
            answered |= inside && call.status == 200;
            other |= !inside || call.status != 200;
        }
        if answered && !other {
            tally.violated(VIOLATION, || {
                format!(
                    "account {}: a read of {} begun at {} ns says after {} ms that it is stale; core had answered it, and no call failed",
                    page.account,
                    page.instance,
                    page.invoked_ns,
                    took / 1_000_000
                )
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bankstorm_record::run_json::GuaranteeVerdict;

    use crate::bank::{Bank, DECLARED, FRESH_AT, PAYER, assert_only};
    use crate::check::{Check, Context};
    use crate::following::{Following, History, ReadSync};

    const MS: i64 = 1_000_000;

    fn verdict(bank: &Bank, following: Following) -> (GuaranteeVerdict, String) {
        let context = Context { following: Some(following), ..DECLARED };
        let found = super::Fresh.run(&bank.source, &context);
        (found.verdict, found.first.unwrap_or_default())
    }

    fn declared() -> Following {
        DECLARED.following.expect("declared")
    }

    /// The page with something pending shows one entry less than core had told.
    fn behind() -> Bank {
        let mut bank = Bank::good();
        let page = bank.fresh_page();
        page.as_of_seq = 4;
        bank
    }

    #[test]
    fn a12_a_read_with_a_transfer_in_progress_that_lacks_what_core_had_told() {
        let bank = behind();
        bank.assert_fires("S6", "stale-read: account 1000100: a read of channel-0 begun at 100000000 ns shows seq 4");
        bank.assert_fires("S6", "seq 5 was told at ");
        let mut bank = behind();
        bank.fresh_page().pending.clear();
        let (found, _) = verdict(&bank, declared());
        assert_eq!(found, GuaranteeVerdict::Holds, "nothing in progress, nothing promised");
        let mut further_down = behind();
        further_down.fresh_page().cursor = Some(5);
        assert_eq!(verdict(&further_down, declared()).0, GuaranteeVerdict::Holds, "rows below a cursor never change");
        // The arm in which every read goes to core promises it of all of them.
        let by_period = Following { history: History::CoreByPeriod, read_sync: ReadSync::Off, ..declared() };
        assert_eq!(verdict(&bank, by_period).0, GuaranteeVerdict::Violated);
    }

    #[test]
    fn what_was_told_while_the_read_ran_need_not_be_there() {
        let mut bank = behind();
        let page = bank.fresh_page();
        (page.invoked_ns, page.completed_ns) = (0, FRESH_AT);
        bank.sort_pages();
        assert_eq!(verdict(&bank, declared()).0, GuaranteeVerdict::Holds);
    }

    #[test]
    fn both_legs_of_a_transfer_stand_once_it_is_told_as_completed() {
        let mut bank = Bank::good();
        let op = bank.operation(crate::bank::FIRST_OWN);
        (op.outcome, op.acked_ns) = (Some("unknown".to_owned()), None);
        bank.source.transfer_reads.retain(|row| row.transfer != crate::bank::FIRST_OWN);
        bank.fresh_page().as_of_seq = 3;
        let (_, first) = verdict(&bank, declared());
        assert!(first.contains("seq 5 was told"), "the second transfer was: {first}");
        let page = bank.fresh_page();
        page.account = crate::bank::PAYEE;
        bank.sort_pages();
        let (_, first) = verdict(&bank, declared());
        assert!(first.contains("account 1000101") && first.contains("seq 5 was told"), "{first}");
    }

    #[test]
    fn d04_a_stale_page_needs_a_reason_in_a_calm_run() {
        let stale = |took: i64| {
            let mut bank = Bank::good();
            let page = bank.fresh_page();
            (page.stale, page.completed_ns) = (true, page.invoked_ns + took);
            bank
        };
        assert_only(&stale(299 * MS), &[("S6", "says after 299 ms that it is stale; core had answered it")]);
        stale(300 * MS).assert_all_hold();
        // Faults may lose an answer on its way.
        let disturbed = Following { calm: false, ..declared() };
        assert_eq!(verdict(&stale(10 * MS), disturbed).0, GuaranteeVerdict::Holds);
        // Core failed, was slower, or answered another instance.
        let changes: [fn(&mut bankstorm_record::rows::CoreAccessRow); 4] = [
            |call| call.status = 503,
            |call| call.ended_ns += 400 * MS,
            |call| call.begun_ns -= MS,
            |call| call.caller = "channel-1".to_owned(),
        ];
        for change in changes {
            let mut bank = stale(10 * MS);
            bank.source.core_access.iter_mut().filter(|call| call.account == Some(PAYER)).for_each(change);
            assert_eq!(verdict(&bank, declared()).0, GuaranteeVerdict::Holds);
        }
        // Its copy cannot be brought forward.
        let mut bank = stale(10 * MS);
        bank.source.dead_letters[0].account = Some(PAYER);
        assert_eq!(verdict(&bank, declared()).0, GuaranteeVerdict::Holds);
    }

    #[test]
    fn a_run_whose_reads_were_all_stale_proves_nothing_with_faults_or_without() {
        let mut bank = Bank::good();
        for page in bank.source.pages.iter_mut().filter(|page| !page.pending.is_empty()) {
            (page.stale, page.completed_ns) = (true, page.invoked_ns + 300 * MS);
        }
        for calm in [true, false] {
            let (found, first) = verdict(&bank, Following { calm, ..declared() });
            assert_eq!(found, GuaranteeVerdict::Unknown);
            assert!(first.contains("vacuous"), "{first}");
        }
        bank.source.pages.retain(|page| page.pending.is_empty());
        assert_eq!(verdict(&bank, declared()).0, GuaranteeVerdict::Holds, "nothing in progress, nothing promised");
    }

    #[test]
    fn how_many_were_judged_is_told() {
        let bank = Bank::good();
        let figures = bank.result("S6").figures;
        assert_eq!((figures["promised_pages"], figures["fresh_judged"], figures["stale_pages"]), (3, 2, 1));
    }
}
