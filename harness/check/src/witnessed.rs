//! V2 witnessed: what the scenario planned or declared did happen. A reason of validity, not a guarantee.
//!
//! In: planned faults without evidence or with a problem, declared markers with their counts. Out: reasons named `vacuous`. Elsewhere: the other reasons
//! (`sane_harness`, `validity`).

use crate::validity::{Facts, Reason};

/// For lists and reports.
pub const ID: &str = "V2";
/// For lists and reports.
pub const NAME: &str = "witnessed";
/// For `bankstorm checks`.
pub const EXPLAINS: &str = "Each planned fault left evidence that it happened and was healed as planned, no other node ended by itself beside it, and each marker that the scenario declares fired at least once (vacuous).";

/// What was promised and did not happen.
pub fn reasons(facts: &Facts) -> Vec<Reason> {
    let faults = facts.faults_without_witness.iter();
    let faults = faults.map(|fault| Reason::inconclusive(format!("vacuous: nothing proves that {fault}")));
    let markers = facts.markers.iter().filter(|(_, count)| **count == 0);
    let markers = markers.map(|(name, _)| {
        Reason::inconclusive(format!("vacuous: the declared marker {name} fired 0 times, at least 1 is required"))
    });
    let problems = facts.fault_problems.iter();
    let problems =
        problems.map(|problem| Reason::inconclusive(format!("vacuous: a fault went not as planned: {problem}")));
    faults.chain(problems).chain(markers).collect()
}

/// How many promises there were.
pub fn examined(facts: &Facts) -> u64 {
    u64::try_from(facts.markers.len()).unwrap_or(u64::MAX).saturating_add(facts.planned_faults)
}

#[cfg(test)]
mod tests {
    use super::{examined, reasons};
    use crate::validity::Facts;

    #[test]
    fn a_fault_without_evidence_or_heal_and_a_marker_that_never_fired() {
        let facts = Facts {
            planned_faults: 2,
            faults_without_witness: vec!["kill-1 (node.kill channel-1) happened (its moment never came)".to_owned()],
            fault_problems: vec!["kill-2 (node.kill on core) was not healed: not ready within 30 s".to_owned()],
            markers: [("relay_batch".to_owned(), 3), ("gap_fill".to_owned(), 0)].into(),
            ..Facts::sound()
        };
        let texts: Vec<String> = reasons(&facts).into_iter().map(|reason| reason.text).collect();
        assert_eq!(
            texts,
            [
                "vacuous: nothing proves that kill-1 (node.kill channel-1) happened (its moment never came)",
                "vacuous: a fault went not as planned: kill-2 (node.kill on core) was not healed: not ready within 30 s",
                "vacuous: the declared marker gap_fill fired 0 times, at least 1 is required",
            ]
        );
        assert_eq!(examined(&facts), 4);
    }
}
