//! All guarantees over one source; the worst verdict is the run's.
//!
//! In: a source. Out: [`Guarantees`]. Elsewhere: the checks (a file each), V2 and V3, which are validity (`validity`).

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bankstorm_record::run_json::{CheckResult, GuaranteeVerdict, Guarantees};
use bankstorm_record::source::Source;

use crate::check::{Check, Context};

/// Every guarantee, in the order of reports.
pub fn all() -> Vec<Box<dyn Check>> {
    crate::registered()
}

/// Runs every guarantee that the load gives something to say. A check that panics is `unknown`, and the others still run.
pub fn run_all(source: &dyn Source, context: &Context) -> Guarantees {
    let all = all();
    let spoken = all.iter().filter(|check| check.applies(context));
    let checks: Vec<CheckResult> = spoken.map(|check| run_one(check.as_ref(), source, context)).collect();
    Guarantees { verdict: worst(checks.iter().map(|check| check.verdict)), checks }
}

fn run_one(check: &dyn Check, source: &dyn Source, context: &Context) -> CheckResult {
    // Nothing of a broken fold is used afterwards, so whatever it left half done cannot be seen.
    catch_unwind(AssertUnwindSafe(|| check.run(source, context))).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let said = said.or_else(|| panic.downcast_ref::<String>().cloned());
        CheckResult {
            id: check.id().to_owned(),
            name: check.name().to_owned(),
            verdict: GuaranteeVerdict::Unknown,
            examined: 0,
            violations: 0,
            first: Some(format!("the check panicked: {}", said.as_deref().unwrap_or("it did not say why"))),
            figures: BTreeMap::new(),
        }
    })
}

/// `violated` before `unknown` before `holds`; nothing at all is `unknown`.
fn worst(verdicts: impl Iterator<Item = GuaranteeVerdict>) -> GuaranteeVerdict {
    let rank = |verdict: &GuaranteeVerdict| match verdict {
        GuaranteeVerdict::Holds => 0,
        GuaranteeVerdict::Unknown => 1,
        GuaranteeVerdict::Violated => 2,
    };
    verdicts.max_by_key(rank).unwrap_or(GuaranteeVerdict::Unknown)
}

#[cfg(test)]
mod tests {
    use bankstorm_record::run_json::GuaranteeVerdict::{Holds, Unknown, Violated};
    use bankstorm_record::source::{MemorySource, ReadError, Source};

    use super::{all, run_all, run_one, worst};
    use crate::bank::{Bank, DECLARED};
    use crate::check::{Check, Context, Tally};

    struct Panics;

    impl Check for Panics {
        fn id(&self) -> &'static str {
            "X9"
        }

        fn name(&self) -> &'static str {
            "panics"
        }

        fn explains(&self) -> &'static str {
            "Stands for a bug in a check."
        }

        fn fold(&self, _: &dyn Source, _: &Context, _: &mut Tally) -> Result<(), ReadError> {
            panic!("index 7 of 3")
        }
    }

    #[test]
    fn a_check_that_panics_is_unknown() {
        let found = run_one(&Panics, &MemorySource::default(), &Context::default());
        assert_eq!(found.verdict, Unknown);
        assert_eq!(found.first.as_deref(), Some("the check panicked: index 7 of 3"));
    }

    #[test]
    fn the_worst_verdict_wins() {
        assert_eq!(worst([Holds, Unknown, Holds].into_iter()), Unknown);
        assert_eq!(worst([Unknown, Violated, Holds].into_iter()), Violated);
        assert_eq!(worst([Holds].into_iter()), Holds);
        assert_eq!(worst([].into_iter()), Unknown);
    }

    #[test]
    fn an_empty_source_holds_nothing() {
        for context in [Context::default(), DECLARED] {
            let found = run_all(&MemorySource::default(), &context);
            assert_eq!(found.verdict, Unknown);
            for check in &found.checks {
                assert_eq!((check.verdict, check.examined), (Unknown, 0), "{}", check.id);
            }
        }
    }

    #[test]
    fn deposits_alone_are_never_enough_where_transfers_are_declared() {
        let deposits = Bank::deposits().source;
        let undeclared = run_all(&deposits, &Context::default());
        assert_eq!(undeclared.verdict, Holds, "{:?}", undeclared.checks);
        assert!(undeclared.checks.len() < all().len(), "what has nothing to say is left out");
        let declared = run_all(&deposits, &DECLARED);
        assert_eq!(declared.checks.len(), all().len());
        for id in ["O1", "O2", "O3", "O4", "O5", "O6", "O8", "L6"] {
            let check = declared.checks.iter().find(|check| check.id == id).expect("a check of that id");
            assert_eq!(check.verdict, Unknown, "{check:?}");
            assert!(check.first.as_deref().is_some_and(|first| first.contains("vacuous")), "{check:?}");
        }
    }

    #[test]
    fn a_good_history_holds_everywhere_and_every_check_looked() {
        let found = run_all(&Bank::good().source, &DECLARED);
        assert_eq!((found.verdict, found.checks.len()), (Holds, all().len()), "{:?}", found.checks);
        assert!(found.checks.iter().all(|check| check.examined > 0 && check.first.is_none()));
    }

    #[test]
    fn a_file_out_of_order_is_never_holds() {
        let mut bank = Bank::good();
        bank.source.core_entries.reverse();
        let found = run_all(&bank.source, &DECLARED);
        let others = ["G1", "L6", "O4", "O5", "O7", "O8", "S2", "S4", "T2", "T3", "T4", "T5", "V1"];
        for check in found.checks.iter().filter(|check| !others.contains(&check.id.as_str())) {
            assert_eq!(check.verdict, Unknown, "{} does not read core's entries in order?", check.id);
            assert!(check.first.as_deref().is_some_and(|first| first.starts_with("core_entry: row ")), "{check:?}");
        }
    }
}
