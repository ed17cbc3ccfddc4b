//! What checks say of a history, held against what a test expects.
//!
//! In: a bank. Out: verdicts, or a panic of the test. Elsewhere: the history (`bank`).

use bankstorm_record::run_json::{CheckResult, GuaranteeVerdict};

use super::{Bank, DECLARED};
use crate::guarantees::run_all;

/// Assertions.
impl Bank {
    pub(crate) fn results(&self) -> Vec<CheckResult> {
        run_all(&self.source, &DECLARED).checks
    }

    pub(crate) fn result(&self, id: &str) -> CheckResult {
        self.results().into_iter().find(|check| check.id == id).expect("a check of that id")
    }

    #[track_caller]
    pub(crate) fn assert_fires(&self, id: &str, witness: &str) {
        let found = self.result(id);
        assert_eq!(found.verdict, GuaranteeVerdict::Violated, "{found:?}");
        let first = found.first.expect("a violated check has a witness");
        assert!(first.contains(witness), "{id} says: {first}");
    }

    #[track_caller]
    pub(crate) fn assert_holds(&self, ids: &[&str]) {
        for id in ids {
            let found = self.result(id);
            assert_eq!(found.verdict, GuaranteeVerdict::Holds, "{found:?}");
        }
    }

    #[track_caller]
    pub(crate) fn assert_all_hold(&self) {
        assert_only(self, &[]);
    }
}

/// Exactly these checks fire, each with a witness that contains the text; all others hold.
#[track_caller]
pub(crate) fn assert_only(bank: &Bank, fire: &[(&str, &str)]) {
    for found in bank.results() {
        match fire.iter().find(|(id, _)| *id == found.id) {
            Some((id, witness)) => bank.assert_fires(id, witness),
            None => assert_eq!(found.verdict, GuaranteeVerdict::Holds, "{found:?}"),
        }
    }
}
